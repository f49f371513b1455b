package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/tlog"
)

// Amend issues the next version of a passport. Pins that the body leaves out
// stay as they are. The battery cannot change.
func (r *Registry) Amend(ctx context.Context, id passport.ID, w Write) (Receipt, error) {
	s, err := parseSubmission(w.Body, []passport.RecordType{passport.Item}, []passport.RecordType{passport.Model, passport.Batch}, false)
	if err != nil {
		return Receipt{}, err
	}
	present, err := r.own(ctx, w.By, access.Amend, id)
	if err != nil {
		return Receipt{}, err
	}
	if err := r.inForce(ctx, id); err != nil {
		return Receipt{}, err
	}
	for t, pin := range map[passport.RecordType]passport.ID{passport.Model: present.Model, passport.Batch: present.Batch} {
		if _, sent := s.records[t]; !sent && s.pins[t].IsZero() && !pin.IsZero() {
			s.pins[t] = pin
		}
	}
	d, err := r.check(ctx, w.By.Org, s)
	if err != nil {
		return Receipt{}, err
	}
	if key := d.battery.Key(); present.Key != batteryKey(key).Text {
		return Receipt{}, &Invalid{[]passport.Violation{{
			Pointer: "/passport/batteryId", Code: "batteryId.changed", Severity: passport.Blocking,
			Expected: "the battery of passport " + id.String(), Found: d.battery.String(),
			Repair: "a version describes the same battery; register another battery as a passport of its own",
		}}}
	}
	d.amends = &present
	return r.write(ctx, w, "POST /v1/passports/"+id.String()+"/versions", d)
}

// inForce refuses to touch a passport that is revoked, superseded or ceased.
func (r *Registry) inForce(ctx context.Context, id passport.ID) error {
	standing, err := r.Standing(ctx, id)
	if err != nil {
		return err
	}
	if standing.State != Active && standing.State != Suspended {
		return &Conflict{Code: "passport." + string(standing.State), Existing: id}
	}
	return nil
}

// RecordCondition adds dynamic data of one battery. Conditions are signed and
// chained by digest; they have no status and no log entry.
func (r *Registry) RecordCondition(ctx context.Context, id passport.ID, w Write) (Receipt, error) {
	s, err := parseSubmission(w.Body, []passport.RecordType{passport.Condition}, nil, false)
	if err != nil {
		return Receipt{}, err
	}
	item, err := r.own(ctx, w.By, access.RecordCondition, id)
	if err != nil {
		return Receipt{}, err
	}
	if err := r.inForce(ctx, id); err != nil {
		return Receipt{}, err
	}
	d, err := r.checkCondition(ctx, w.By.Org, item, s)
	if err != nil {
		return Receipt{}, err
	}
	operation := "POST /v1/passports/" + id.String() + "/conditions"
	for range attempts {
		p, previous, err := r.planCondition(ctx, item, d)
		if err != nil {
			return r.earlier(ctx, w, operation, err)
		}
		if w.DryRun || len(p.change.Records) == 0 {
			return r.receipt(p, d, w.DryRun), nil
		}
		d.chained = previous
		done, err := r.issue(ctx, w, operation, &p, d)
		switch {
		case err == nil && done.Repeated:
			return r.repeat(ctx, done)
		case err == nil:
			return r.receipt(p, d, false), nil
		case !errors.Is(err, ErrStale):
			return Receipt{}, conflict(err)
		}
	}
	return Receipt{}, fmt.Errorf("record condition: %w after %d attempts", ErrUnavailable, attempts)
}

func (r *Registry) checkCondition(ctx context.Context, org passport.OrgID, item Record, s submission) (draft, error) {
	_, model, err := r.pinned(ctx, org, passport.Model, item.Model)
	if err != nil {
		return draft{}, err
	}
	checked, found := r.Validator.Check(passport.Condition, s.records[passport.Condition], schema.Context{
		Prefix: passport.Pointer(string(passport.Condition)), Model: model,
	})
	if passport.Blocks(found) {
		return draft{}, &Invalid{found}
	}
	battery, err := r.batteryOf(ctx, item)
	if err != nil {
		return draft{}, err
	}
	return draft{checked: map[passport.RecordType]schema.Checked{passport.Condition: checked}, warnings: found, battery: battery}, nil
}

// planCondition puts the reading behind the newest one, to which it is chained.
func (r *Registry) planCondition(ctx context.Context, item Record, d draft) (plan, *[sha256.Size]byte, error) {
	checked := d.checked[passport.Condition]
	rec := Record{
		Type: passport.Condition, Org: item.Org, Series: item.Series, Slot: -1, Version: 1,
		Key: text(checked.Record(), "recordedAt"), ContentDigest: checked.Digest(),
	}
	p := plan{used: map[passport.RecordType]Record{}, reused: map[passport.RecordType]bool{}}
	newest, err := r.Store.Record(ctx, Query{Type: passport.Condition, Series: item.Series})
	var previous *[sha256.Size]byte
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return plan{}, nil, fmt.Errorf("plan condition: %w", err)
	case newest.ContentDigest == rec.ContentDigest:
		p.used[rec.Type], p.reused[rec.Type] = newest, true
		return p, nil, nil
	default:
		if !later(rec.Key, newest.Key) {
			return plan{}, nil, &Conflict{Code: "condition.notNewest", Existing: newest.ID}
		}
		rec.Version, previous = newest.Version+1, &newest.TokenDigest
	}
	p.used[rec.Type] = rec
	p.change.Records = append(p.change.Records, rec)
	return p, previous, nil
}

// later compares two RFC 3339 instants that passed the schema.
func later(a, b string) bool {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	return errX == nil && (errY != nil || x.After(y))
}

// issueLeaf is the pending log entry of a record; a condition has none.
func issueLeaf(rec Record) (Leaf, bool) {
	if rec.Type == passport.Condition {
		return Leaf{}, false
	}
	c := tlog.Commitment(string(rec.Type), rec.Salt, rec.ContentDigest, rec.TokenDigest)
	return Leaf{Kind: tlog.Issue, Series: rec.Series, Data: tlog.IssueLeaf(c)}, true
}

// own returns the newest version of a passport the caller may act on as its
// operator.
func (r *Registry) own(ctx context.Context, by access.Subject, action access.Action, id passport.ID) (Record, error) {
	if by.Anonymous() {
		return Record{}, ErrUnauthenticated
	}
	rec, err := r.Store.Record(ctx, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Record{}, fmt.Errorf("passport %s: %w", id, err)
	}
	return rec, r.allow(by, action, access.Resource{Owner: rec.Org, Type: passport.Item, Series: []passport.ID{id}, At: r.Now()})
}
