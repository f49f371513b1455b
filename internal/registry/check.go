package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/verify"
)

// ErrSelfCheck means that our own verifier refused what we were about to store
// or to show. Nothing was stored; it is a fault of the registry.
var ErrSelfCheck = errors.New("own verifier refuses the record")

// opened is a stored presentation that verified.
type opened struct {
	subject  map[string]any
	withheld int
}

// open verifies a presentation with the published keys of its signer.
func (r *Registry) open(ctx context.Context, presentation []byte) (opened, error) {
	token, err := credential.Parse(presentation)
	if err != nil {
		return opened{}, err
	}
	key, err := r.publicKey(ctx, token.KeyID())
	if err != nil {
		return opened{}, err
	}
	verified, err := token.Verify(key.Key())
	if err != nil {
		return opened{}, err
	}
	subject, err := verified.Subject()
	return opened{subject, verified.Withheld()}, err
}

func (r *Registry) publicKey(ctx context.Context, kid string) (credential.PublicKey, error) {
	did, _, _ := strings.Cut(kid, "#")
	trust, err := r.trust(ctx)
	if err != nil {
		return credential.PublicKey{}, err
	}
	issuer, _ := trust.Issuer(did)
	key, ok := issuer.Key(kid)
	if !ok {
		return credential.PublicKey{}, fmt.Errorf("key %s: %w", kid, ErrNotFound)
	}
	return key, nil
}

// trust is whom this registry admits, as a verifier is told.
func (r *Registry) trust(ctx context.Context) (verify.Trust, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return verify.Trust{}, err
	}
	return now.trust, nil
}

func (r *Registry) gatherTrust(orgs []Organisation) (verify.Trust, error) {
	t := verify.Trust{BaseURL: r.BaseURL(), Environment: r.instance.Environment}
	for _, org := range orgs {
		issuer := credential.Issuer{Party: credential.Party{DID: r.DID(org.ID), Name: org.Name}, AdmittedAt: org.AdmittedAt}
		for _, k := range org.Keys {
			key, err := credential.NewPublicKey(k.ID, k.PublicKey, k.NotBefore, k.RetiredAt)
			if err != nil {
				return verify.Trust{}, fmt.Errorf("published key: %w", err)
			}
			issuer.Keys = append(issuer.Keys, key)
		}
		switch {
		case org.ID == passport.Operator:
			t.Registry = issuer
		case slices.Contains(org.Roles, access.Issuer):
			t.Issuers = append(t.Issuers, issuer)
		}
	}
	return t, nil
}

// SignedTrust returns the trust bundle, signed by the registry.
func (r *Registry) SignedTrust(ctx context.Context) ([]byte, error) {
	t, err := r.trust(ctx)
	if err != nil {
		return nil, err
	}
	t.IssuedAt = r.Now().UTC().Truncate(time.Minute)
	kid, key, err := r.Keys.Signer(passport.Operator, ES256, r.Now())
	if err != nil {
		return nil, fmt.Errorf("sign trust bundle: %w", err)
	}
	return t.Bundle(kid, key)
}

// DIDDocument is the DID document of an organisation, with every key it ever
// published.
func (r *Registry) DIDDocument(ctx context.Context, id passport.OrgID) (map[string]any, error) {
	keys, err := r.keysOf(ctx, id)
	if err != nil {
		return nil, err
	}
	return credential.DIDDocument(r.DID(id), keys), nil
}

// JWKS is the key set of the registry's own keys.
func (r *Registry) JWKS(ctx context.Context) (map[string]any, error) {
	keys, err := r.keysOf(ctx, passport.Operator)
	if err != nil {
		return nil, err
	}
	return credential.JWKS(keys), nil
}

func (r *Registry) keysOf(ctx context.Context, id passport.OrgID) ([]credential.PublicKey, error) {
	org, err := r.Organisation(ctx, id)
	if err != nil {
		return nil, err
	}
	keys := make([]credential.PublicKey, len(org.Keys))
	for i, k := range org.Keys {
		if keys[i], err = credential.NewPublicKey(k.ID, k.PublicKey, k.NotBefore, k.RetiredAt); err != nil {
			return nil, fmt.Errorf("published key: %w", err)
		}
	}
	return keys, nil
}

// selfCheck runs our public verifier over a record before it is stored. The
// slot is fresh or its series in force, so that there is no list to ask yet.
func (r *Registry) selfCheck(ctx context.Context, rec Record) error {
	t, err := r.trust(ctx)
	if err != nil {
		return err
	}
	result := verify.Check(credential.Present(rec.JWS, tokenForm(rec.Disclosures), passport.AllTiers()), verify.Evidence{}, t, rec.IssuedAt)
	for _, c := range result.Checks {
		if c.Outcome == verify.Fail {
			return fmt.Errorf("%w: %s: %s", ErrSelfCheck, c.Code, c.Detail)
		}
	}
	return nil
}

// Verification is the registry's own check of a passport: the item with the
// model and batch it pins, against the signed status lists.
func (r *Registry) Verification(ctx context.Context, id passport.ID, version int) (verify.Result, error) {
	_, rec, err := r.versions(ctx, passport.Item, id, version)
	if err != nil {
		return verify.Result{}, err
	}
	return r.Verify(ctx, credential.Present(rec.JWS, nil, 0))
}

// Verify checks any token against this registry's trust, lists and records.
// What is wrong with the token is in the result; an error means that the
// registry could not look.
func (r *Registry) Verify(ctx context.Context, presentation []byte) (verify.Result, error) {
	t, err := r.trust(ctx)
	if err != nil {
		return verify.Result{}, err
	}
	evidence, err := r.evidence(ctx, presentation, t)
	if err != nil {
		return verify.Result{}, err
	}
	return verify.Check(presentation, evidence, t, r.Now().UTC()), nil
}

// evidence gathers the lists and pinned records a token names, as far as they
// are this registry's.
func (r *Registry) evidence(ctx context.Context, presentation []byte, t verify.Trust) (verify.Evidence, error) {
	ev := verify.Evidence{Lists: map[string][]byte{}, Records: map[string][]byte{}, FetchedAt: r.Now().UTC()}
	envelope := verify.Check(presentation, ev, t, r.Now().UTC()).Envelope
	if envelope == nil {
		return ev, nil
	}
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
	if err != nil {
		return verify.Evidence{}, err
	}
	ev.Lists[credential.TokenStatusURL(r.BaseURL(), envelope.Status.List)] = list
	return ev, nil
}

// Own lists the caller's records of a type, the newest version of each series,
// behind the series after.
func (r *Registry) Own(ctx context.Context, by access.Subject, t passport.RecordType, after passport.ID, limit int) ([]Record, error) {
	if err := r.allow(by, access.ReadGrants, access.Resource{Owner: by.Org, At: r.Now()}); err != nil {
		return nil, err
	}
	var out []Record
	for rec, err := range r.Store.Records(ctx, Filter{Type: t, Org: by.Org, After: after, Limit: limit, Newest: true}) {
		if err != nil {
			return nil, fmt.Errorf("list %s records: %w", t, err)
		}
		out = append(out, rec)
	}
	return out, nil
}
