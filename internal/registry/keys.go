package registry

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
)

// pen is what an organisation signs with at one moment.
type pen struct {
	Party
	kid       string
	key       crypto.Signer
	rehearsal bool // what it signs is thrown away
}

// pen returns the newest published key that the organisation may sign with at
// that time; none is keyring.ErrNoKey. A key that nobody can look up is passed
// over: another process is about to publish it, or a crash kept it from being
// published and it never will be.
func (r *Registry) pen(ctx context.Context, org passport.OrgID, algorithm string, at time.Time) (pen, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return pen{}, err
	}
	kid, key, err := r.keys.Signer(org, algorithm, at)
	if err == nil && !now.inUse(kid, at) {
		if now, err = r.refresh(ctx); err != nil {
			return pen{}, err
		}
		r.log.WarnContext(ctx, "the newest key is not published", slog.String("organisation", string(org)), slog.String("key", kid))
		kid, key, err = r.newestPublished(now.byID[org].Keys, algorithm, now, at)
	}
	if err != nil {
		return pen{}, fmt.Errorf("key of %s: %w", org, err)
	}
	holder, err := now.organisation(org)
	return pen{Party: Party{Org: org, DID: r.DID(org), Name: holder.Name}, kid: kid, key: key}, err
}

// newestPublished asks for each published key in use by the time at which it
// was the newest one.
func (r *Registry) newestPublished(keys []Key, algorithm string, now *snapshot, at time.Time) (string, crypto.Signer, error) {
	for _, k := range slices.Backward(byFirstUse(keys)) {
		if k.Algorithm != algorithm || !now.inUse(k.ID, at) {
			continue
		}
		if kid, key, err := r.keys.Signer(k.Org, algorithm, k.NotBefore); err == nil && kid == k.ID {
			return kid, key, nil
		}
	}
	return "", nil, fmt.Errorf("none of its published keys: %w", keyring.ErrNoKey)
}

// inUse reports whether a verifier believes what the key signs at that time.
func (s *snapshot) inUse(kid string, at time.Time) bool {
	key, published := s.keys[kid]
	return published && key.InUse(at)
}

func byFirstUse(keys []Key) []Key {
	return slices.SortedFunc(slices.Values(keys), func(a, b Key) int { return a.NotBefore.Compare(b.NotBefore) })
}

// RotateKey publishes a new signing key of an organisation that comes into use
// at notBefore, a whole second that is not past: an earlier one means now.
// Earlier keys stay published and verify what they signed.
func (r *Registry) RotateKey(ctx context.Context, by access.Subject, id passport.OrgID, algorithm string, notBefore time.Time) (Key, error) {
	held, err := r.administered(ctx, by)
	if err != nil {
		return Key{}, err
	}
	if _, err := held.organisation(id); err != nil {
		return Key{}, err
	}
	now := r.now()
	if notBefore.Before(now) {
		notBefore = now
	}
	if err := rotatable(id, algorithm, notBefore.Sub(now)); err != nil {
		return Key{}, err
	}
	created, err := r.keys.Create(id, algorithm, r.DID(id), now, wholeSecond(notBefore))
	if err != nil {
		return Key{}, fmt.Errorf("rotate key of %s: %w", id, err)
	}
	return r.publishKey(ctx, published(id, created), now)
}

// MaxKeyNotice is how far ahead a key can be published: a mistyped date would
// leave an organisation with a key that never signs.
const MaxKeyNotice = 90 * 24 * time.Hour

// rotatable checks what a new key is asked to be. Records are signed ES256
// alone; the registry's proofs are the one use of Ed25519.
func rotatable(id passport.OrgID, algorithm string, notice time.Duration) error {
	switch {
	case algorithm != ES256 && (algorithm != Ed25519 || id != passport.Operator):
		return blocking(passport.Violation{
			Pointer: "/algorithm", Code: "key.algorithm", Found: passport.Quote(algorithm), Expected: ES256,
			Repair: "give ES256; Ed25519 is for the registry's own proofs",
		})
	case notice > MaxKeyNotice:
		return blocking(passport.Violation{
			Pointer: "/notBefore", Code: "key.notBefore", Found: notice.String() + " ahead", Expected: "at most " + MaxKeyNotice.String() + " ahead",
			Repair: "give an earlier first use",
		})
	}
	return nil
}

// RetireKey ends the use of a key at this moment. It stays published for ever.
// A key that was retired before is returned as it is. The last one that signs
// is not retired: a registry without a key could not even say whom it admits.
func (r *Registry) RetireKey(ctx context.Context, by access.Subject, id passport.OrgID, kid string) (Key, error) {
	held, err := r.administered(ctx, by)
	if err != nil {
		return Key{}, err
	}
	org, err := held.organisation(id)
	if err != nil {
		return Key{}, err
	}
	at := slices.IndexFunc(org.Keys, func(k Key) bool { return k.ID == kid })
	if at < 0 {
		return Key{}, fmt.Errorf("key %s: %w", kid, ErrNotFound)
	}
	key := org.Keys[at]
	if !key.RetiredAt.IsZero() {
		return key, nil
	}
	if !hasAnother(org.Keys, key, r.now()) {
		return Key{}, &Conflict{Code: CodeLastKey}
	}
	// The private part first: if the rest fails, the key signs nothing more and
	// can be retired again.
	key.RetiredAt = r.now()
	if err := r.keys.Retire(kid, key.RetiredAt); err != nil {
		return Key{}, fmt.Errorf("retire %s: %w", kid, err)
	}
	return r.publishKey(ctx, key, key.RetiredAt)
}

// hasAnother reports whether the owner could sign on without the key. Whoever
// must stop at once rotates first, with no notice.
func hasAnother(keys []Key, without Key, now time.Time) bool {
	return slices.ContainsFunc(keys, func(k Key) bool {
		return k.ID != without.ID && k.Algorithm == without.Algorithm && k.RetiredAt.IsZero() && !k.NotBefore.After(now)
	})
}

func (r *Registry) publishKey(ctx context.Context, key Key, now time.Time) (Key, error) {
	leaf, err := keyLeaf(r.BaseURL(), key)
	if err != nil {
		return Key{}, err
	}
	if _, err := r.commit(ctx, Change{Tenant: key.Org, At: now, Keys: []Key{key}, Leaves: []Leaf{leaf}}); err != nil {
		return Key{}, fmt.Errorf("publish key %s: %w", key.ID, err)
	}
	_, err = r.refresh(ctx)
	return key, err
}

func published(org passport.OrgID, k keyring.Public) Key {
	return Key{Org: org, ID: k.ID, Algorithm: k.Algorithm, PublicKey: k.PublicKey, NotBefore: k.NotBefore.UTC()}
}

func keyLeaf(base string, key Key) (Leaf, error) {
	digest := sha256.Sum256(key.PublicKey)
	body := map[string]string{
		"key": key.ID, "organisation": didAt(base, key.Org), "algorithm": key.Algorithm,
		"sha256": base64.RawURLEncoding.EncodeToString(digest[:]), "notBefore": key.NotBefore.Format(time.RFC3339Nano),
	}
	if !key.RetiredAt.IsZero() {
		body["retiredAt"] = key.RetiredAt.Format(time.RFC3339Nano)
	}
	data, err := tlog.PublicLeaf(tlog.Key, body)
	return Leaf{Kind: tlog.Key, Data: data}, err
}

// SignedTrust returns the trust bundle, signed by the registry.
func (r *Registry) SignedTrust(ctx context.Context) ([]byte, error) {
	p, err := r.pen(ctx, passport.Operator, ES256, r.now())
	if err != nil {
		return nil, fmt.Errorf("sign trust bundle: %w", err)
	}
	now, err := r.admitted(ctx)
	if err != nil {
		return nil, err
	}
	trust := now.trust
	trust.IssuedAt = now.at.Truncate(time.Minute)
	return trust.Bundle(p.kid, p.key)
}

// DIDDocument is the DID document of an organisation, with every key it ever
// published.
func (r *Registry) DIDDocument(ctx context.Context, id passport.OrgID) (map[string]any, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return nil, err
	}
	org, err := now.organisation(id)
	if err != nil {
		return nil, err
	}
	return credential.DIDDocument(r.DID(id), now.publicKeys(org)), nil
}

// JWKS is the key set of the registry's own keys.
func (r *Registry) JWKS(ctx context.Context) (map[string]any, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return nil, err
	}
	return credential.JWKS(now.publicKeys(now.byID[passport.Operator])), nil
}

// wholeSecond is when a key comes into use: credentials carry no fraction of a
// second, and a key must have been in use when the first one says it was
// signed.
func wholeSecond(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }

// noKey turns the lack of a key into an answer: the request is in order.
func noKey(err error) error {
	if errors.Is(err, keyring.ErrNoKey) {
		return &Conflict{Code: CodeNoKey}
	}
	return err
}
