package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// MaxGrant is the longest a grant can run: it has to be thought about again.
const MaxGrant = 5 * 366 * 24 * time.Hour

// allow turns a refusal into the registry's errors: hidden resources look as
// if they did not exist.
func (r *Registry) allow(by access.Subject, action access.Action, resource access.Resource) error {
	switch d := access.Allow(by, action, resource); {
	case d.Allowed:
		return nil
	case by.Anonymous():
		return ErrUnauthenticated
	case d.Hidden:
		return ErrNotFound
	case d.Reason == access.NoPurpose:
		return ErrPurposeMissing
	default:
		return fmt.Errorf("%w: %s", ErrForbidden, d.Reason)
	}
}

// GiveGrant lets another organisation read restricted tiers of the caller's
// records. Body: {"organisation", "points": ["point2", …], "scope":
// {"passport" or "model"}, "validUntil"}.
func (r *Registry) GiveGrant(ctx context.Context, w Write) (Grant, error) {
	now := r.Now().UTC().Truncate(time.Microsecond)
	if err := r.allow(w.By, access.GiveGrant, access.Resource{Owner: w.By.Org, At: now}); err != nil {
		return Grant{}, err
	}
	g, err := r.parseGrant(ctx, w, now)
	if err != nil || w.DryRun {
		return g, err
	}
	if g.ID, err = passport.NewID(now, r.Random); err != nil {
		return Grant{}, err
	}
	change := Change{Tenant: w.By.Org, At: now, Grant: &g, Once: once(w, "POST /v1/grants")}
	if change.Once != nil {
		change.Once.Refs = []passport.ID{g.ID}
	}
	done, err := r.commit(ctx, change)
	if err != nil {
		return Grant{}, conflict(err)
	}
	if !done.Repeated {
		return g, nil
	}
	return r.grant(ctx, w.By.Org, done.Refs[0])
}

func (r *Registry) grant(ctx context.Context, owner passport.OrgID, id passport.ID) (Grant, error) {
	grants, err := r.Store.Grants(ctx, owner)
	if err != nil {
		return Grant{}, fmt.Errorf("grants of %s: %w", owner, err)
	}
	at := slices.IndexFunc(grants, func(g Grant) bool { return g.ID == id && g.Owner == owner })
	if at < 0 {
		return Grant{}, fmt.Errorf("grant %s: %w", id, ErrNotFound)
	}
	return grants[at], nil
}

// RevokeGrant ends a grant the caller gave.
func (r *Registry) RevokeGrant(ctx context.Context, by access.Subject, id passport.ID) error {
	if by.Anonymous() {
		return ErrUnauthenticated
	}
	g, err := r.grant(ctx, by.Org, id)
	if err != nil {
		return err
	}
	now := r.Now().UTC().Truncate(time.Microsecond)
	if err := r.allow(by, access.GiveGrant, access.Resource{Owner: g.Owner, At: now}); err != nil {
		return err
	}
	if !g.RevokedAt.IsZero() {
		return nil
	}
	g.RevokedAt = now
	if _, err := r.commit(ctx, Change{Tenant: by.Org, At: now, Grant: &g}); err != nil {
		return fmt.Errorf("revoke grant %s: %w", id, err)
	}
	return nil
}

// Grants lists the grants the caller's organisation gave or holds.
func (r *Registry) Grants(ctx context.Context, by access.Subject) ([]Grant, error) {
	if err := r.allow(by, access.ReadGrants, access.Resource{Owner: by.Org, At: r.Now()}); err != nil {
		return nil, err
	}
	return r.Store.Grants(ctx, by.Org)
}

// PurposeLog lists the restricted reads of the caller's data, newest first.
func (r *Registry) PurposeLog(ctx context.Context, by access.Subject, limit int) ([]Read, error) {
	if err := r.allow(by, access.ReadPurposeLog, access.Resource{Owner: by.Org, At: r.Now()}); err != nil {
		return nil, err
	}
	return r.Store.Reads(ctx, by.Org, limit)
}

// ReleaseBattery lets another organisation issue the successor of a passport.
// Body: {"to": ORGANISATION}.
func (r *Registry) ReleaseBattery(ctx context.Context, id passport.ID, w Write) (Release, error) {
	if w.By.Anonymous() {
		return Release{}, ErrUnauthenticated
	}
	rec, err := r.Store.Record(ctx, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Release{}, fmt.Errorf("passport %s: %w", id, err)
	}
	resource := access.Resource{Owner: rec.Org, Type: passport.Item, Series: []passport.ID{id}, At: r.Now()}
	if err := r.allow(w.By, access.ReleaseBattery, resource); err != nil {
		return Release{}, err
	}
	f, err := parseFields(w.Body, "to")
	if err != nil {
		return Release{}, err
	}
	release := Release{Passport: id, Owner: rec.Org, To: r.organisation(ctx, f, "to"), At: r.Now().UTC().Truncate(time.Microsecond)}
	if err := f.err(); err != nil || w.DryRun {
		return release, err
	}
	if _, err := r.commit(ctx, Change{Tenant: rec.Org, At: release.At, Release: &release, Once: once(w, "POST release "+id.String())}); err != nil {
		return Release{}, conflict(err)
	}
	return release, nil
}

func (r *Registry) parseGrant(ctx context.Context, w Write, now time.Time) (Grant, error) {
	f, err := parseFields(w.Body, "organisation", "points", "validUntil", "scope")
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Owner: w.By.Org, Grantee: r.organisation(ctx, f, "organisation"), ValidFrom: now}
	g.Points = f.points("points")
	g.Until = f.instant("validUntil")
	if !g.Until.IsZero() && (!g.Until.After(now) || g.Until.After(now.Add(MaxGrant))) {
		f.fault("validUntil", "grant.period", "later than now, at most five years ahead")
	}
	g.Scope = r.scope(ctx, f, w.By.Org)
	return g, f.err()
}

// scope reads {"passport": id} or {"model": id}, of the owner's own records.
func (r *Registry) scope(ctx context.Context, f *fields, owner passport.OrgID) Scope {
	raw, ok := f.values["scope"]
	if !ok {
		return Scope{}
	}
	object, _ := raw.(map[string]any)
	var s Scope
	for name, into := range map[string]*passport.ID{"passport": &s.Passport, "model": &s.Model} {
		value, ok := object[name].(string)
		if !ok {
			continue
		}
		id, err := passport.ParseID(value)
		rec, found := r.Store.Record(ctx, Query{Type: passport.RecordType(name), Series: id})
		if err != nil || found != nil || rec.Org != owner {
			f.fault("scope", "scope.notFound", "the id of a "+name+" of your own")
			continue
		}
		*into = id
	}
	if len(object) != 1 || s == (Scope{}) {
		f.fault("scope", "scope.form", `{"passport": ID} or {"model": ID}; leave scope out for all your records`)
	}
	return s
}

func (r *Registry) organisation(ctx context.Context, f *fields, name string) passport.OrgID {
	id, err := passport.ParseOrgID(f.text(name))
	if err == nil {
		_, err = r.Organisation(ctx, id)
	}
	if err != nil {
		f.fault(name, "organisation.unknown", "the short name of an organisation this registry admitted")
	}
	return id
}

// fields reads a small request body member by member and gathers its faults.
type fields struct {
	values map[string]any
	faults []passport.Violation
}

func parseFields(body []byte, known ...string) (*fields, error) {
	tree, err := strictjson.Parse(body)
	if err != nil {
		return nil, err
	}
	f := &fields{}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, &Invalid{[]passport.Violation{{
			Code: "body.type", Severity: passport.Blocking, Expected: fmt.Sprintf("an object of %v", known), Found: kind(tree),
		}}}
	}
	f.values = object
	for name := range object {
		if !slices.Contains(known, name) {
			f.fault(name, "member.unknown", fmt.Sprintf("only %v", known))
		}
	}
	return f, nil
}

func (f *fields) fault(name, code, expected string) {
	f.faults = append(f.faults, passport.Violation{
		Pointer: passport.Pointer(name), Code: code, Severity: passport.Blocking,
		Expected: expected, Found: kind(f.values[name]), Repair: "send " + expected,
	})
}

func (f *fields) err() error {
	if len(f.faults) == 0 {
		return nil
	}
	slices.SortFunc(f.faults, func(a, b passport.Violation) int {
		if a.Pointer < b.Pointer {
			return -1
		}
		return 1
	})
	return &Invalid{f.faults}
}

func (f *fields) text(name string) string {
	s, _ := f.values[name].(string)
	return s
}

func (f *fields) instant(name string) time.Time {
	at, err := time.Parse(time.RFC3339, f.text(name))
	if err != nil {
		f.fault(name, "instant.form", `an RFC 3339 instant such as "2027-02-18T00:00:00Z"`)
	}
	return at.UTC().Truncate(time.Microsecond)
}

func (f *fields) points(name string) passport.Tiers {
	list, _ := f.values[name].([]any)
	var tiers []passport.Tier
	for _, v := range list {
		s, _ := v.(string)
		tiers = append(tiers, passport.Tier(s))
	}
	set := passport.TiersOf(tiers...)
	if len(tiers) == 0 || len(set.List()) != len(tiers) {
		f.fault(name, "points.form", fmt.Sprintf("one or more of %v, each once", passport.Restricted()))
	}
	return set
}
