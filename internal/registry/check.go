package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/verify"
)

// verified takes a presentation apart once the signature of a published key
// holds. An error is about the presentation.
func (s *snapshot) verified(presentation []byte) (*credential.Verified, error) {
	token, err := credential.Parse(presentation)
	if err != nil {
		return nil, err
	}
	key, published := s.keys[token.KeyID()]
	if !published {
		return nil, fmt.Errorf("key %s: %w", token.KeyID(), ErrNotFound)
	}
	return token.Verify(key.Key())
}

// Verification is the registry's own check of a passport: the item with the
// model and batch it pins, against the signed status lists.
func (r *Registry) Verification(ctx context.Context, id passport.ID, version int) (verify.Result, error) {
	rec, err := r.store.Record(ctx, Query{Type: passport.Item, Series: id, Version: version})
	if err != nil {
		return verify.Result{}, fmt.Errorf("passport %s version %d: %w", id, version, err)
	}
	return r.Verify(ctx, credential.Present(rec.JWS, nil, 0))
}

// Verify checks any token against this registry's trust, lists and records.
// What is wrong with the token is in the result; an error means that the
// registry could not look.
func (r *Registry) Verify(ctx context.Context, presentation []byte) (verify.Result, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return verify.Result{}, err
	}
	evidence, err := r.evidence(ctx, now, presentation)
	if err != nil {
		return verify.Result{}, err
	}
	return verify.Check(presentation, evidence, now.trust, r.now()), nil
}

// evidence gathers the list and the pinned records that a token names. Only one
// whose signature holds has a say in what is looked up.
func (r *Registry) evidence(ctx context.Context, now *snapshot, presentation []byte) (verify.Evidence, error) {
	ev := verify.Evidence{Lists: map[string][]byte{}, Records: map[string][]byte{}, FetchedAt: r.now()}
	verified, err := now.verified(presentation)
	if err != nil {
		return ev, nil //nolint:nilerr // the verifier says what is wrong with it
	}
	envelope := verified.Envelope()
	for _, pin := range envelope.Pins {
		bare, _, err := r.Bare(ctx, pin.RecordID)
		if errors.Is(err, ErrNotFound) {
			continue
		} else if err != nil {
			return verify.Evidence{}, err
		}
		ev.Records[credential.RecordURL(r.BaseURL(), pin.RecordID)] = bare
	}
	if envelope.Status == nil {
		return ev, nil
	}
	list, err := r.StatusList(ctx, TokenList, envelope.Status.List, "jwt")
	ev.Lists[credential.TokenStatusURL(r.BaseURL(), envelope.Status.List)] = list
	return ev, err
}
