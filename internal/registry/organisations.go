package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/internal/tlog"
	"github.com/provolt/provolt/internal/verify"
)

var operatorRoles = []access.Role{access.OperatorAdmin}

// EnrolmentLife is how long the one-time secret of a first administrator is
// good for.
const EnrolmentLife = 24 * time.Hour

// organisations holds the admitted organisations as they were read last.
type organisations struct {
	held    atomic.Pointer[snapshot] // never nil in an open registry
	reading sync.Mutex               // by whoever reads them anew
}

// snapshot is never changed once it is made.
type snapshot struct {
	list  []Organisation // in ascending order of id
	byID  map[passport.OrgID]Organisation
	keys  map[string]credential.PublicKey // every key ever published, by its id
	trust verify.Trust
	at    time.Time
}

// orgsFresh is how long what another process published may stay unseen here.
const orgsFresh = 2 * time.Second

// admitted returns the organisations of at most orgsFresh ago. When they are
// older one caller reads them; whoever asks meanwhile gets the older ones
// rather than a place in a queue.
func (r *Registry) admitted(ctx context.Context) (*snapshot, error) {
	held := r.orgs.held.Load()
	if fresh(held.at, r.now(), orgsFresh) || !r.orgs.reading.TryLock() {
		return held, nil
	}
	defer r.orgs.reading.Unlock()
	return r.readOrganisations(ctx)
}

// refresh reads the organisations as they are now. It waits for a reading
// under way, which may have begun too early.
func (r *Registry) refresh(ctx context.Context) (*snapshot, error) {
	r.orgs.reading.Lock()
	defer r.orgs.reading.Unlock()
	return r.readOrganisations(ctx)
}

func (r *Registry) readOrganisations(ctx context.Context) (*snapshot, error) {
	now := r.now()
	list, err := r.store.Organisations(ctx)
	if err != nil {
		return nil, fmt.Errorf("organisations: %w", err)
	}
	made, err := r.snapshotOf(list, now)
	if err != nil {
		return nil, err
	}
	r.orgs.held.Store(made)
	return made, nil
}

// fresh reports whether something of then can still be used; a clock that was
// set back makes nothing fresh.
func fresh(then, now time.Time, life time.Duration) bool {
	age := now.Sub(then)
	return age >= 0 && age < life
}

// snapshotOf derives whom a verifier is to believe: the registry, and every
// organisation admitted to issue.
func (r *Registry) snapshotOf(list []Organisation, at time.Time) (*snapshot, error) {
	s := &snapshot{
		list: list, byID: make(map[passport.OrgID]Organisation, len(list)), keys: map[string]credential.PublicKey{}, at: at,
		trust: verify.Trust{BaseURL: r.BaseURL(), Environment: r.instance.Environment},
	}
	for _, org := range list {
		s.byID[org.ID] = org
		issuer := credential.Issuer{Party: credential.Party{DID: r.DID(org.ID), Name: org.Name}, AdmittedAt: org.AdmittedAt}
		for _, k := range org.Keys {
			key, err := credential.NewPublicKey(k.ID, k.PublicKey, k.NotBefore, k.RetiredAt)
			if err != nil {
				return nil, fmt.Errorf("published key: %w", err)
			}
			s.keys[k.ID] = key
			issuer.Keys = append(issuer.Keys, key)
		}
		switch {
		case org.ID == passport.Operator:
			s.trust.Registry = issuer
		case slices.Contains(org.Roles, access.Issuer):
			s.trust.Issuers = append(s.trust.Issuers, issuer)
		}
	}
	return s, nil
}

// publicKeys are all keys an organisation ever published.
func (s *snapshot) publicKeys(org Organisation) []credential.PublicKey {
	keys := make([]credential.PublicKey, len(org.Keys))
	for i, k := range org.Keys {
		keys[i] = s.keys[k.ID]
	}
	return keys
}

// Organisations returns every admitted organisation in ascending order of id.
// What it returns is shared; callers must not change it.
func (r *Registry) Organisations(ctx context.Context) ([]Organisation, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return nil, err
	}
	return now.list, nil
}

// Organisation returns an admitted organisation, or ErrNotFound.
func (r *Registry) Organisation(ctx context.Context, id passport.OrgID) (Organisation, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return Organisation{}, err
	}
	return now.organisation(id)
}

func (s *snapshot) organisation(id passport.OrgID) (Organisation, error) {
	org, ok := s.byID[id]
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

// Admit admits an organisation, publishes its first signing key if it is to
// issue, and returns the one-time secret of its first administrator. The
// secret is kept as a hash only. An id that is taken is a Conflict.
func (r *Registry) Admit(ctx context.Context, by access.Subject, org Organisation) (secret string, err error) {
	now, err := r.administered(ctx, by)
	if err != nil {
		return "", err
	}
	if err := admissible(org); err != nil {
		return "", err
	}
	if _, taken := now.byID[org.ID]; taken {
		return "", &Conflict{Code: CodeOrganisationExists}
	}
	org.AdmittedAt = wholeSecond(r.now())
	change := Change{Tenant: org.ID, At: org.AdmittedAt, Admit: &org}
	if slices.Contains(org.Roles, access.Issuer) {
		key, err := r.keys.Create(org.ID, ES256, r.DID(org.ID), r.now(), org.AdmittedAt)
		if err != nil {
			return "", fmt.Errorf("admit %s: %w", org.ID, err)
		}
		change.Keys = []Key{published(org.ID, key)}
	}
	if change.Leaves, err = admissionLeaves(r.BaseURL(), org, change.Keys); err != nil {
		return "", err
	}
	if secret, change.Enrol, err = r.enrolment(org); err != nil {
		return "", err
	}
	if _, err := r.commit(ctx, change); err != nil {
		return "", fmt.Errorf("admit %s: %w", org.ID, err)
	}
	_, err = r.refresh(ctx)
	return secret, err
}

// administered lets the operator's administrators through, to the
// organisations as they are now: what is written is built on them.
func (r *Registry) administered(ctx context.Context, by access.Subject) (*snapshot, error) {
	if err := r.allow(by, access.Administer, access.Resource{At: r.now()}); err != nil {
		return nil, err
	}
	return r.refresh(ctx)
}

// enrolment draws the one-time secret of an organisation's first administrator.
func (r *Registry) enrolment(org Organisation) (secret string, e *Enrolment, err error) {
	var raw [32]byte
	if _, err := io.ReadFull(r.random, raw[:]); err != nil {
		return "", nil, fmt.Errorf("enrolment secret: %w", err)
	}
	secret = "pv_enrol_" + base64.RawURLEncoding.EncodeToString(raw[:])
	return secret, &Enrolment{
		Org: org.ID, Secret: sha256.Sum256([]byte(secret)), Roles: org.Roles, ExpiresAt: org.AdmittedAt.Add(EnrolmentLife),
	}, nil
}

const maxOrganisationName = 200 // bytes

// admissible checks an organisation before it gets a DID and a key.
func admissible(org Organisation) error {
	var faults []passport.Violation
	fault := func(pointer, code, expected, found string) {
		faults = append(faults, passport.Violation{
			Pointer: pointer, Code: code, Severity: passport.Blocking, Expected: expected, Found: passport.Quote(found), Repair: "give " + expected,
		})
	}
	if _, err := passport.ParseOrgID(string(org.ID)); err != nil {
		fault("/id", "organisation.id", "1 to 40 of a-z, 0-9 and -", string(org.ID))
	}
	if org.Name == "" || len(org.Name) > maxOrganisationName || !readable(org.Name) {
		fault("/name", "organisation.name", fmt.Sprintf("a text of 1 to %d bytes that shows every character it holds", maxOrganisationName), org.Name)
	}
	if _, err := passport.ParseCountry(org.Country); err != nil {
		fault("/country", "country.unknown", "an ISO 3166-1 alpha-2 code", org.Country)
	}
	for i, id := range org.PartyIDs {
		if err := id.Check(); err != nil {
			fault(passport.Pointer("partyIds", fmt.Sprint(i)), "partyId.form", "a valid "+id.Scheme, id.Value)
		}
	}
	for _, role := range org.Roles {
		if !slices.Contains(access.Roles(), role) {
			fault("/roles", "role.unknown", fmt.Sprintf("some of %v", access.Roles()), string(role))
		}
	}
	if len(faults) > 0 {
		return &Invalid{faults}
	}
	return nil
}

// readable holds a text to the rules of the strict JSON gate.
func readable(text string) bool {
	raw, err := strictjson.Marshal(text)
	if err == nil {
		_, err = strictjson.Parse(raw)
	}
	return err == nil
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

// BindIssuer makes tokens of an identity provider speak for an organisation;
// an empty issuer unbinds it. One issuer speaks for one organisation only.
func (r *Registry) BindIssuer(ctx context.Context, by access.Subject, id passport.OrgID, issuer string) error {
	now, err := r.administered(ctx, by)
	if err != nil {
		return err
	}
	org, err := now.organisation(id)
	if err != nil {
		return err
	}
	if issuer == r.BaseURL() {
		return &Conflict{Code: CodeIssuerBound} // the built-in issuer speaks for everybody
	}
	for _, other := range now.list {
		if issuer != "" && other.OIDCIssuer == issuer && other.ID != id {
			return &Conflict{Code: CodeIssuerBound}
		}
	}
	org.OIDCIssuer, org.Keys = issuer, nil
	if _, err := r.commit(ctx, Change{Tenant: id, At: r.now(), Admit: &org}); err != nil {
		return fmt.Errorf("bind issuer of %s: %w", id, err)
	}
	_, err = r.refresh(ctx)
	return err
}

// Redeem uses up the one-time secret of an organisation and binds the person
// as its first administrator. issuer is the "iss" their later tokens carry. A
// secret that is unknown, used or has run out, and an organisation that is
// unknown, are ErrNotFound.
func (r *Registry) Redeem(ctx context.Context, org passport.OrgID, secret, issuer, subject string) (Member, error) {
	admitted, err := r.Organisation(ctx, org)
	if err != nil {
		return Member{}, err
	}
	m := Member{Org: org, Issuer: issuer, Subject: subject, Roles: admitted.Roles, At: r.now()}
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
	members, err := r.store.Members(ctx, org)
	if err != nil {
		return nil, fmt.Errorf("members of %s: %w", org, err)
	}
	for _, m := range members {
		if m.Issuer == issuer && m.Subject == subject {
			return m.Roles, nil
		}
	}
	return nil, nil
}
