package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
)

// plan is what a write will store if nobody gets in between. Nothing is signed
// yet.
type plan struct {
	change   Change
	used     map[passport.RecordType]Record // by the receipt and as pins: new, reused or pinned
	reused   map[passport.RecordType]bool
	follows  *Record            // the passport that a new one supersedes
	previous *[sha256.Size]byte // token digest of the condition before
}

// plan decides, record by record, between reuse and the next version.
func (r *Registry) plan(ctx context.Context, d draft) (plan, error) {
	p := plan{used: maps.Clone(d.pinned), reused: map[passport.RecordType]bool{}}
	for t := range d.pinned {
		p.reused[t] = true
	}
	for _, t := range passport.RecordTypes() {
		if _, sent := d.checked[t]; !sent {
			continue
		}
		if err := r.planRecord(ctx, t, d, &p); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

func (r *Registry) planRecord(ctx context.Context, t passport.RecordType, d draft, p *plan) error {
	switch t {
	case passport.Item:
		return r.planItem(ctx, d, p)
	case passport.Condition:
		return r.planCondition(ctx, d, p)
	case passport.Model, passport.Batch:
	}
	return r.planShared(ctx, t, d, p)
}

// add plans a record that is to be written.
func (p *plan) add(rec Record) {
	p.used[rec.Type] = rec
	p.change.Records = append(p.change.Records, rec)
}

// reuse plans the use of a record that is there.
func (p *plan) reuse(rec Record) { p.used[rec.Type], p.reused[rec.Type] = rec, true }

// planShared plans a model or batch that came whole: an equal version under
// its natural key is used as it is.
func (r *Registry) planShared(ctx context.Context, t passport.RecordType, d draft, p *plan) error {
	checked := d.checked[t]
	rec := Record{Type: t, Org: d.by.Org, Key: naturalKey(checked), ContentDigest: checked.Digest(), Version: 1}
	if t == passport.Batch {
		rec.Model = p.used[passport.Model].ID
	}
	newest, err := r.store.Record(ctx, Query{Key: &NaturalKey{Type: t, Org: rec.Org, Text: rec.Key}})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("plan %s: %w", t, err)
	}
	if err == nil {
		equal, err := r.equalVersion(ctx, newest, rec, d)
		if err != nil {
			return err
		}
		if equal != nil {
			p.reuse(*equal)
			return nil
		}
		if err := r.sameModel(ctx, newest, p, "/batch/batchId"); err != nil {
			return err
		}
		rec.Series, rec.Version, rec.Slot = newest.Series, newest.Version+1, newest.Slot
	}
	if asked := d.asked(t); asked != 0 && asked != rec.Version {
		return &Conflict{Code: CodeVersionNotNext}
	}
	p.add(rec)
	return nil
}

// equalVersion returns the registered version whose content equals rec: the
// newest one, or the one asked for by number. None means that rec is a new
// version. A version asked for that has other content is a conflict which shows
// the differences.
func (r *Registry) equalVersion(ctx context.Context, newest, rec Record, d draft) (*Record, error) {
	candidate, asked := newest, d.asked(rec.Type)
	if asked > newest.Version {
		return nil, nil
	}
	if asked != 0 && asked != newest.Version {
		var err error
		if candidate, err = r.store.Record(ctx, Query{Type: rec.Type, Series: newest.Series, Version: asked}); err != nil {
			return nil, fmt.Errorf("compare with version %d: %w", asked, err)
		}
	}
	switch {
	case candidate.ContentDigest == rec.ContentDigest && candidate.Model == rec.Model:
		return &candidate, nil
	case asked == 0:
		return nil, nil
	}
	registered, err := r.whole(ctx, candidate)
	if err != nil {
		return nil, err
	}
	return nil, &Conflict{
		Code: CodeVersionTaken, Existing: candidate.ID,
		Diff: append(difference(registered, d.checked[rec.Type].Record()), pinDifference(candidate, rec)...),
	}
}

// pinDifference shows that a batch rests on another model record than before.
func pinDifference(have, want Record) []Difference {
	if have.Model == want.Model {
		return nil
	}
	d := Difference{Pointer: "/model/recordId", Have: have.Model.String()}
	if !want.Model.IsZero() {
		d.Want = want.Model.String()
	}
	return []Difference{d}
}

// sameModel refuses a batch, registered or to be, that rests on another model
// than the one in the plan: what is told of a pack's origins would be another
// pack's. Models are told apart by their natural key, since one that is being
// registered at this moment has no series yet.
func (r *Registry) sameModel(ctx context.Context, batch Record, p *plan, pointer string) error {
	model := p.used[passport.Model]
	if batch.Type != passport.Batch || batch.Model == model.ID {
		return nil
	}
	of, err := r.record(ctx, batch.Model)
	if err != nil {
		return err
	}
	if of.Org == model.Org && of.Key == model.Key {
		return nil
	}
	return blocking(passport.Violation{
		Pointer: pointer, Code: "batch.otherModel", Expected: "a batch of the same model", Found: "a batch of model " + of.Series.String(),
		Repair: "pin a batch of this model, or give a batch of this model a batchId of its own",
	})
}

// planItem plans the passport itself: a first one, a successor or an amendment.
func (r *Registry) planItem(ctx context.Context, d draft, p *plan) error {
	if err := r.sameModel(ctx, p.used[passport.Batch], p, "/batch"); err != nil {
		return err
	}
	checked, battery := d.checked[passport.Item], d.battery.Key()
	rec := Record{
		Type: passport.Item, Org: d.by.Org, Key: hex.EncodeToString(battery[:]), ContentDigest: checked.Digest(), Version: 1,
		Model: p.used[passport.Model].ID, Batch: p.used[passport.Batch].ID, Serial: text(checked.Record(), "serialNumber"),
	}
	plan := r.planFirst
	if d.amends() {
		plan = r.planAmendment
	}
	return plan(ctx, d, p, rec)
}

// planAmendment plans the next version of a passport that is in force. It
// claims the battery once more: if a successor takes it meanwhile, the
// amendment is refused.
func (r *Registry) planAmendment(ctx context.Context, d draft, p *plan, rec Record) error {
	if err := r.inForce(ctx, *d.item); err != nil {
		return err
	}
	if d.item.ContentDigest == rec.ContentDigest && d.item.Model == rec.Model && d.item.Batch == rec.Batch {
		p.reuse(*d.item)
		return nil
	}
	rec.Series, rec.Version, rec.Slot = d.item.Series, d.item.Version+1, d.item.Slot
	p.change.Claim = &Claim{Battery: d.battery.Key(), Passport: rec.Series, Base: rec.Series}
	p.add(rec)
	return nil
}

// inForce refuses to touch a passport that is revoked, superseded or ceased.
func (r *Registry) inForce(ctx context.Context, item Record) error {
	standing, err := r.standing(ctx, item)
	if err != nil || standing.State == Active || standing.State == Suspended {
		return err
	}
	return notInForce(item.Series, standing)
}

// notInForce names the passport to turn to: the successor if there is one.
func notInForce(id passport.ID, s Standing) *Conflict {
	c := &Conflict{Code: "passport." + string(s.State), Existing: id}
	if !s.Successor.IsZero() {
		c.Existing = s.Successor
	}
	return c
}

// conflict names the store's refusals of the draft.
func (d draft) conflict(err error) error {
	taken, ok := errors.AsType[*BatteryTaken](err)
	if ok && d.amends() {
		return &Conflict{Code: CodeSuperseded, Existing: taken.Passport}
	}
	return conflict(err)
}

// planFirst plans the first version of a passport, over a predecessor in force
// if the record names it and the caller may follow it.
func (r *Registry) planFirst(ctx context.Context, d draft, p *plan, rec Record) error {
	p.change.Claim = &Claim{Battery: d.battery.Key()}
	present, err := r.store.Record(ctx, Query{Key: &NaturalKey{Type: passport.Item, Text: rec.Key}})
	if err == nil {
		p.change.Claim.Base, p.follows = present.Series, &present
		err = r.maySucceed(ctx, d, present)
	} else if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("claim battery: %w", err)
	}
	p.add(rec)
	return nil
}

// maySucceed refuses a passport that would take the battery from another one
// without naming it, without its operator's or an authority's release, or
// while it is not active: nobody leaves a suspension behind by starting anew.
func (r *Registry) maySucceed(ctx context.Context, d draft, present Record) error {
	if !names(d.checked[passport.Item].Record(), present.Series) {
		return &Conflict{Code: CodeBatteryRegistered, Existing: present.Series}
	}
	release, err := r.store.Release(ctx, present.Series)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !access.Allow(d.by, access.Succeed, access.Resource{
		Owner: present.Org, Type: passport.Item, Series: []passport.ID{present.Series}, ReleasedTo: release.by(present.Org), At: r.now(),
	}).Allowed {
		return &Conflict{Code: CodeBatteryNotReleased, Existing: present.Series}
	}
	standing, err := r.standing(ctx, present)
	if err != nil || standing.State == Active {
		return err
	}
	return notInForce(present.Series, standing)
}

// by is to whom the release leads if it is of the owner's battery; a row that
// says another owner releases nothing.
func (l Release) by(owner passport.OrgID) passport.OrgID {
	if l.Owner != owner {
		return ""
	}
	return l.To
}

// names reports whether the item lists the passport among its predecessors, by
// its URN or by an address that ends in its id.
func names(item map[string]any, id passport.ID) bool {
	list, _ := item["predecessors"].([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		uri := text(v, "uri")
		return uri == id.URN() || strings.HasSuffix(uri, "/"+id.String())
	})
}

// planCondition puts the reading behind the newest one, to which it is chained.
func (r *Registry) planCondition(ctx context.Context, d draft, p *plan) error {
	if err := r.inForce(ctx, *d.item); err != nil {
		return err
	}
	checked := d.checked[passport.Condition]
	rec := Record{
		Type: passport.Condition, Org: d.item.Org, Series: d.item.Series, Slot: -1, Version: 1,
		Key: text(checked.Record(), "recordedAt"), ContentDigest: checked.Digest(),
	}
	newest, err := r.store.Record(ctx, Query{Type: passport.Condition, Series: rec.Series})
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return fmt.Errorf("plan condition: %w", err)
	case newest.ContentDigest == rec.ContentDigest:
		p.reuse(newest)
		return nil
	case !later(rec.Key, newest.Key):
		return &Conflict{Code: CodeConditionNotNewest, Existing: newest.ID}
	default:
		rec.Version, p.previous = newest.Version+1, &newest.TokenDigest
	}
	p.add(rec)
	return nil
}

// later compares two RFC 3339 instants that passed the schema.
func later(a, b string) bool {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	return errX == nil && (errY != nil || x.After(y))
}

// naturalKey is what the operator calls a model or batch. The plant is part of
// a model's key: the law counts carbon footprint and recycled content per
// plant (Art. 7(1), 8(1) of Regulation (EU) 2023/1542).
func naturalKey(c schema.Checked) string {
	record := c.Record()
	if c.Type() == passport.Batch {
		return text(record, "batchId")
	}
	place := member(record, "identification", "manufacturingPlace")
	plant := text(place, "id", "value")
	if plant == "" {
		plant = text(place, "name")
	}
	return text(record, "identification", "modelId") + "\x00" + plant
}

func batteryKey(k passport.BatteryKey) *NaturalKey {
	return &NaturalKey{Type: passport.Item, Text: hex.EncodeToString(k[:])}
}
