package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
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
	default:
		return fmt.Errorf("%w: %s", ErrForbidden, d.Reason)
	}
}

// GiveGrant lets another organisation read restricted tiers of the caller's
// records. Body: {"organisation", "points": ["point2", …], "scope":
// {"passport" or "model"}, "validUntil"}.
func (r *Registry) GiveGrant(ctx context.Context, w Write) (Grant, error) {
	if err := r.allow(w.By, access.GiveGrant, access.Resource{Owner: w.By.Org, At: r.now()}); err != nil {
		return Grant{}, err
	}
	return once(ctx, r, w, "POST /v1/grants", func(key *Once) (Grant, Committed, error) {
		now := r.now()
		g, err := r.parseGrant(ctx, w, now)
		if err != nil || w.DryRun {
			return g, Committed{}, err
		}
		if g.ID, err = passport.NewID(now, r.random); err != nil {
			return Grant{}, Committed{}, err
		}
		if key != nil {
			key.Refs = []passport.ID{g.ID}
		}
		done, err := r.commit(ctx, Change{Tenant: w.By.Org, At: now, Grant: &g, Once: key})
		return g, done, conflict(err)
	}, func(done Committed) (Grant, error) {
		return r.grant(ctx, w.By.Org, done.Refs[0])
	})
}

func (r *Registry) grant(ctx context.Context, owner passport.OrgID, id passport.ID) (Grant, error) {
	grants, err := r.store.Grants(ctx, owner)
	if err != nil {
		return Grant{}, fmt.Errorf("grants of %s: %w", owner, err)
	}
	at := slices.IndexFunc(grants, func(g Grant) bool { return g.ID == id && g.Owner == owner })
	if at < 0 {
		return Grant{}, fmt.Errorf("grant %s: %w", id, ErrNotFound)
	}
	return grants[at], nil
}

// RevokeGrant ends a grant the caller gave, at once: the next read is decided
// without it. A grant that was revoked before stays as it is.
func (r *Registry) RevokeGrant(ctx context.Context, by access.Subject, id passport.ID) error {
	if by.Anonymous() {
		return ErrUnauthenticated
	}
	g, err := r.grant(ctx, by.Org, id)
	if err == nil {
		err = r.allow(by, access.GiveGrant, access.Resource{Owner: g.Owner, At: r.now()})
	}
	if err != nil || !g.RevokedAt.IsZero() {
		return err
	}
	g.RevokedAt = r.now()
	if _, err := r.commit(ctx, Change{Tenant: by.Org, At: g.RevokedAt, Grant: &g}); err != nil {
		return fmt.Errorf("revoke grant %s: %w", id, err)
	}
	return nil
}

// Grants lists the grants the caller's organisation gave or holds, those that
// have ended included.
func (r *Registry) Grants(ctx context.Context, by access.Subject) ([]Grant, error) {
	if err := r.allow(by, access.ReadGrants, access.Resource{Owner: by.Org, At: r.now()}); err != nil {
		return nil, err
	}
	return r.store.Grants(ctx, by.Org)
}

// PurposeLog lists the restricted reads of the caller's data, newest first.
func (r *Registry) PurposeLog(ctx context.Context, by access.Subject, limit int) ([]Read, error) {
	if err := r.allow(by, access.ReadPurposeLog, access.Resource{Owner: by.Org, At: r.now()}); err != nil {
		return nil, err
	}
	return r.store.Reads(ctx, by.Org, limit)
}

// ReleaseBattery lets another organisation issue the successor of a passport.
// Body: {"to": ORGANISATION}. The last release counts; one to the passport's
// own organisation takes an earlier one back.
func (r *Registry) ReleaseBattery(ctx context.Context, id passport.ID, w Write) (Release, error) {
	item, err := r.passport(ctx, w.By, access.ReleaseBattery, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Release{}, err
	}
	release := Release{Passport: id, Owner: item.Org}
	return once(ctx, r, w, "POST /v1/passports/"+id.String()+"/release", func(key *Once) (Release, Committed, error) {
		release.At = r.now()
		if release.To, err = r.parseRelease(ctx, w.Body); err == nil {
			err = r.inForce(ctx, item)
		}
		if err != nil || w.DryRun {
			return release, Committed{}, err
		}
		done, err := r.commit(ctx, Change{Tenant: w.By.Org, At: release.At, Release: &release, Once: key})
		return release, done, conflict(err)
	}, func(done Committed) (Release, error) {
		release.At = done.At
		return release, nil // the body is the same, so is whom it names
	})
}

func (r *Registry) parseRelease(ctx context.Context, body []byte) (passport.OrgID, error) {
	f, err := parseFields(body, "to")
	if err != nil {
		return "", err
	}
	to, err := r.organisationNamed(ctx, f, "to")
	if err != nil {
		return "", err
	}
	return to, f.err()
}

func (r *Registry) parseGrant(ctx context.Context, w Write, now time.Time) (Grant, error) {
	f, err := parseFields(w.Body, "organisation", "points", "validUntil", "scope")
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Owner: w.By.Org, ValidFrom: now, Points: f.points("points"), Until: f.instant("validUntil")}
	if !g.Until.IsZero() && (!g.Until.After(now) || g.Until.After(now.Add(MaxGrant))) {
		f.fault("validUntil", "grant.period", "an instant later than now, at most five years ahead")
	}
	if g.Grantee, err = r.organisationNamed(ctx, f, "organisation"); err != nil {
		return Grant{}, err
	}
	if g.Scope, err = r.scope(ctx, f, w.By.Org); err != nil {
		return Grant{}, err
	}
	return g, f.err()
}

// scope reads {"passport": id} or {"model": id}, of the owner's own records.
func (r *Registry) scope(ctx context.Context, f *fields, owner passport.OrgID) (Scope, error) {
	raw, ok := f.values["scope"]
	if !ok {
		return Scope{}, nil
	}
	object, _ := raw.(map[string]any)
	var s Scope
	for _, t := range []passport.RecordType{passport.Item, passport.Model} {
		id, err := passport.ParseID(text(object, string(t)))
		if err != nil || len(object) != 1 {
			continue
		}
		rec, err := r.store.Record(ctx, Query{Type: t, Series: id})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Scope{}, fmt.Errorf("scope of a grant: %w", err)
		}
		if err != nil || rec.Org != owner {
			f.fault("scope", "scope.notFound", "the id of a "+string(t)+" of your own")
			return Scope{}, nil //nolint:nilerr // the fault is among those of the fields
		}
		if t == passport.Item {
			s.Passport = id
		} else {
			s.Model = id
		}
	}
	if s == (Scope{}) {
		f.fault("scope", "scope.form", `{"passport": ID} or {"model": ID}; leave scope out for all your records`)
	}
	return s, nil
}

// organisationNamed reads the short name of an admitted organisation.
func (r *Registry) organisationNamed(ctx context.Context, f *fields, name string) (passport.OrgID, error) {
	id, err := passport.ParseOrgID(f.text(name))
	if err == nil {
		_, err = r.Organisation(ctx, id)
	}
	if errors.Is(err, passport.ErrMalformed) || errors.Is(err, ErrNotFound) {
		f.fault(name, "organisation.unknown", "the short name of an organisation this registry admitted")
		return "", nil
	}
	return id, err
}
