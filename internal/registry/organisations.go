package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
	"github.com/provolt/provolt/internal/verify"
)

var operatorRoles = []access.Role{access.OperatorAdmin}

// EnrolmentLife is how long the one-time secret of a first administrator is
// good for.
const EnrolmentLife = 24 * time.Hour

// organisations keeps the latest snapshot of the admitted organisations. It is
// read again when it is older than orgsFresh.
type organisations struct {
	mu   sync.Mutex
	held *snapshot
}

// snapshot is never changed once it is made.
type snapshot struct {
	byID  map[passport.OrgID]Organisation
	trust verify.Trust
	at    time.Time
}

const orgsFresh = 2 * time.Second

// refresh reads the organisations anew.
func (r *Registry) refresh(ctx context.Context) (*snapshot, error) {
	list, err := r.Store.Organisations(ctx)
	if err != nil {
		return nil, fmt.Errorf("organisations: %w", err)
	}
	made := &snapshot{byID: make(map[passport.OrgID]Organisation, len(list)), at: r.Now()}
	for _, org := range list {
		made.byID[org.ID] = org
	}
	if made.trust, err = r.gatherTrust(list); err != nil {
		return nil, err
	}
	r.orgs.mu.Lock()
	defer r.orgs.mu.Unlock()
	r.orgs.held = made
	return made, nil
}

// admitted returns a snapshot at most orgsFresh old.
func (r *Registry) admitted(ctx context.Context) (*snapshot, error) {
	r.orgs.mu.Lock()
	held := r.orgs.held
	r.orgs.mu.Unlock()
	if held != nil && r.Now().Sub(held.at) < orgsFresh {
		return held, nil
	}
	return r.refresh(ctx)
}

// Organisations returns every admitted organisation in ascending order of id.
func (r *Registry) Organisations(ctx context.Context) ([]Organisation, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Organisation, 0, len(now.byID))
	for _, id := range slices.Sorted(maps.Keys(now.byID)) {
		out = append(out, now.byID[id])
	}
	return out, nil
}

// Organisation returns an admitted organisation, or ErrNotFound.
func (r *Registry) Organisation(ctx context.Context, id passport.OrgID) (Organisation, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return Organisation{}, err
	}
	org, ok := now.byID[id]
	if !ok {
		return Organisation{}, fmt.Errorf("organisation %s: %w", id, ErrNotFound)
	}
	return org, nil
}

// DID is the decentralised identifier of an organisation at this registry.
func (r *Registry) DID(id passport.OrgID) string { return didAt(r.BaseURL(), id) }

// didAt is credential.DID for a base URL that Init accepted.
func didAt(base string, id passport.OrgID) string {
	did, err := credential.DID(base, id)
	if err != nil {
		panic(fmt.Sprintf("the stored base URL is malformed: %v", err))
	}
	return did
}

func (r *Registry) party(ctx context.Context, id passport.OrgID) (Party, error) {
	org, err := r.Organisation(ctx, id)
	return Party{Org: id, DID: r.DID(id), Name: org.Name}, err
}

// Admit admits an organisation, publishes its first signing key and returns
// the one-time secret of its first administrator. The secret is kept as a hash
// only.
func (r *Registry) Admit(ctx context.Context, by access.Subject, org Organisation) (secret string, err error) {
	if err := r.allow(by, access.Administer, access.Resource{At: r.Now()}); err != nil {
		return "", err
	}
	if err := r.admissible(ctx, org); err != nil {
		return "", err
	}
	// Whole seconds: credentials carry no fraction, and a key must have been in
	// use when the first one says it was signed.
	now := r.Now().UTC().Truncate(time.Second)
	org.AdmittedAt = now
	change := Change{Tenant: org.ID, At: now, Admit: &org}
	if slices.Contains(org.Roles, access.Issuer) {
		key, err := r.Keys.Create(org.ID, ES256, r.DID(org.ID), now, now)
		if err != nil {
			return "", fmt.Errorf("admit %s: %w", org.ID, err)
		}
		change.Keys = []Key{published(org.ID, key)}
	}
	if change.Leaves, err = admissionLeaves(r.BaseURL(), org, change.Keys); err != nil {
		return "", err
	}
	var raw [32]byte
	if _, err := io.ReadFull(r.Random, raw[:]); err != nil {
		return "", fmt.Errorf("enrolment secret: %w", err)
	}
	secret = "pv_enrol_" + base64.RawURLEncoding.EncodeToString(raw[:])
	change.Enrol = &Enrolment{Org: org.ID, Secret: sha256.Sum256([]byte(secret)), Roles: org.Roles, ExpiresAt: now.Add(EnrolmentLife)}
	if _, err := r.commit(ctx, change); err != nil {
		return "", fmt.Errorf("admit %s: %w", org.ID, err)
	}
	_, err = r.refresh(ctx)
	return secret, err
}

// admissible checks an organisation before it gets a DID and a key.
func (r *Registry) admissible(ctx context.Context, org Organisation) error {
	var faults []passport.Violation
	fault := func(pointer, code, expected, found string) {
		faults = append(faults, passport.Violation{Pointer: pointer, Code: code, Severity: passport.Blocking, Expected: expected, Found: found})
	}
	if _, err := passport.ParseOrgID(string(org.ID)); err != nil {
		fault("/id", "organisation.id", "1 to 40 of a-z, 0-9 and -", string(org.ID))
	}
	if org.Name == "" || len(org.Name) > 200 {
		fault("/name", "organisation.name", "1 to 200 bytes", org.Name)
	}
	if _, err := passport.ParseCountry(org.Country); err != nil {
		fault("/country", "country.unknown", "an ISO 3166-1 alpha-2 code", org.Country)
	}
	for i, id := range org.PartyIDs {
		if err := id.Check(); err != nil {
			fault(passport.Pointer("partyIds", fmt.Sprint(i)), "partyId.form", err.Error(), id.Value)
		}
	}
	for _, role := range org.Roles {
		if !slices.Contains(access.Roles(), role) {
			fault("/roles", "role.unknown", fmt.Sprint(access.Roles()), string(role))
		}
	}
	if len(faults) > 0 {
		return &Invalid{faults}
	}
	if _, err := r.Organisation(ctx, org.ID); err == nil {
		return &Conflict{Code: "organisation.exists"}
	}
	return nil
}

// BindIssuer makes tokens of an identity provider speak for an organisation.
// One issuer speaks for one organisation only.
func (r *Registry) BindIssuer(ctx context.Context, by access.Subject, id passport.OrgID, issuer string) error {
	if err := r.allow(by, access.Administer, access.Resource{At: r.Now()}); err != nil {
		return err
	}
	now, err := r.admitted(ctx)
	if err != nil {
		return err
	}
	for other, org := range now.byID {
		if org.OIDCIssuer == issuer && other != id && issuer != "" {
			return &Conflict{Code: "issuer.bound"}
		}
	}
	org, err := r.Organisation(ctx, id)
	if err != nil {
		return err
	}
	org.OIDCIssuer, org.Keys = issuer, nil
	if _, err := r.commit(ctx, Change{Tenant: id, At: r.Now().UTC(), Admit: &org}); err != nil {
		return fmt.Errorf("bind issuer of %s: %w", id, err)
	}
	_, err = r.refresh(ctx)
	return err
}

// RotateKey publishes a new signing key of an organisation that comes into use
// at notBefore. Earlier keys stay published and verify what they signed.
func (r *Registry) RotateKey(ctx context.Context, by access.Subject, id passport.OrgID, algorithm string, notBefore time.Time) (Key, error) {
	if err := r.allow(by, access.Administer, access.Resource{At: r.Now()}); err != nil {
		return Key{}, err
	}
	if _, err := r.Organisation(ctx, id); err != nil {
		return Key{}, err
	}
	now := r.Now().UTC().Truncate(time.Microsecond)
	created, err := r.Keys.Create(id, algorithm, r.DID(id), now, notBefore)
	if err != nil {
		return Key{}, fmt.Errorf("rotate key of %s: %w", id, err)
	}
	return r.publishKey(ctx, published(id, created), now)
}

// RetireKey ends the use of a key at this moment. It stays published for ever.
func (r *Registry) RetireKey(ctx context.Context, by access.Subject, id passport.OrgID, kid string) (Key, error) {
	if err := r.allow(by, access.Administer, access.Resource{At: r.Now()}); err != nil {
		return Key{}, err
	}
	org, err := r.Organisation(ctx, id)
	if err != nil {
		return Key{}, err
	}
	at := slices.IndexFunc(org.Keys, func(k Key) bool { return k.ID == kid })
	if at < 0 {
		return Key{}, fmt.Errorf("key %s: %w", kid, ErrNotFound)
	}
	now := r.Now().UTC().Truncate(time.Microsecond)
	if err := r.Keys.Retire(kid, now); err != nil {
		return Key{}, fmt.Errorf("retire %s: %w", kid, err)
	}
	key := org.Keys[at]
	key.RetiredAt = now
	return r.publishKey(ctx, key, now)
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
	return Key{Org: org, ID: k.ID, Algorithm: k.Algorithm, PublicKey: k.PublicKey, NotBefore: k.NotBefore.UTC().Truncate(time.Second)}
}

func admissionLeaves(base string, org Organisation, keys []Key) ([]Leaf, error) {
	data, err := tlog.PublicLeaf(tlog.Organisation, map[string]string{
		"organisation": didAt(base, org.ID), "name": org.Name, "country": org.Country, "at": org.AdmittedAt.Format(time.RFC3339Nano),
	})
	if err != nil {
		return nil, err
	}
	leaves := []Leaf{{Kind: tlog.Organisation, Data: data}}
	for _, key := range keys {
		leaf, err := keyLeaf(base, key)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf)
	}
	return leaves, nil
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

// Redeem uses up the one-time secret of an organisation and binds the person
// as its first administrator. issuer is the "iss" their later tokens carry.
func (r *Registry) Redeem(ctx context.Context, org passport.OrgID, secret, issuer, subject string) (Member, error) {
	admitted, err := r.Organisation(ctx, org)
	if err != nil {
		return Member{}, err
	}
	m := Member{Org: org, Issuer: issuer, Subject: subject, Roles: admitted.Roles, At: r.Now().UTC().Truncate(time.Microsecond)}
	_, err = r.commit(ctx, Change{Tenant: org, At: m.At, Member: &m, Redeem: &Redeem{Secret: sha256.Sum256([]byte(secret))}})
	if errors.Is(err, ErrNotFound) {
		return Member{}, ErrNotFound
	} else if err != nil {
		return Member{}, fmt.Errorf("redeem enrolment of %s: %w", org, err)
	}
	return m, nil
}

// MemberRoles returns the roles the registry recorded for a person of an
// organisation; none is no error.
func (r *Registry) MemberRoles(ctx context.Context, org passport.OrgID, issuer, subject string) ([]access.Role, error) {
	members, err := r.Store.Members(ctx, org)
	if err != nil {
		return nil, fmt.Errorf("members of %s: %w", org, err)
	}
	var roles []access.Role
	for _, m := range members {
		if m.Issuer == issuer && m.Subject == subject {
			roles = append(roles, m.Roles...)
		}
	}
	return roles, nil
}
