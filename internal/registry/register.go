package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
)

// attempts is how often a write is planned anew when somebody else registered
// an equal model or batch at the same moment.
const attempts = 8

// RegisterModel registers a model record, or its next version. Equal content
// under the same key is not written again: the receipt says Unchanged.
func (r *Registry) RegisterModel(ctx context.Context, w Write) (Receipt, error) {
	s, err := parseSubmission(w.Body, []passport.RecordType{passport.Model}, nil, true)
	if err != nil {
		return Receipt{}, err
	}
	return r.register(ctx, w, access.RegisterModel, "POST /v1/models", s)
}

// RegisterBatch registers a batch record of a model, or its next version.
func (r *Registry) RegisterBatch(ctx context.Context, w Write) (Receipt, error) {
	s, err := parseSubmission(w.Body, []passport.RecordType{passport.Batch, passport.Model}, nil, true)
	if err != nil {
		return Receipt{}, err
	}
	return r.register(ctx, w, access.RegisterBatch, "POST /v1/batches", s)
}

// RegisterPassport issues the passport of one battery. Model and batch come
// whole, and are registered with it unless equal ones are there already, or by
// the recordId of a registered version.
func (r *Registry) RegisterPassport(ctx context.Context, w Write) (Receipt, error) {
	s, err := parseSubmission(w.Body, []passport.RecordType{passport.Item, passport.Model}, []passport.RecordType{passport.Batch}, false)
	if err != nil {
		return Receipt{}, err
	}
	return r.register(ctx, w, access.RegisterPassport, "POST /v1/passports", s)
}

// register runs the gates, then plans and commits until the plan holds.
func (r *Registry) register(ctx context.Context, w Write, action access.Action, operation string, s submission) (Receipt, error) {
	if err := r.allow(w.By, action, access.Resource{Owner: w.By.Org, At: r.Now()}); err != nil {
		return Receipt{}, err
	}
	d, err := r.check(ctx, w.By.Org, s)
	if err != nil {
		return Receipt{}, err
	}
	return r.write(ctx, w, operation, d)
}

// write turns checked records into a committed change.
func (r *Registry) write(ctx context.Context, w Write, operation string, d draft) (Receipt, error) {
	for range attempts {
		p, err := r.plan(ctx, w.By.Org, d)
		if err != nil {
			return r.earlier(ctx, w, operation, err)
		}
		if w.DryRun {
			return r.receipt(p, d, true), nil
		}
		if len(p.change.Records) == 0 {
			return r.receipt(p, d, false), nil
		}
		done, err := r.issue(ctx, w, operation, &p, d)
		switch {
		case err == nil && done.Repeated:
			return r.repeat(ctx, done)
		case err == nil:
			return r.receipt(p, d, false), nil
		case !errors.Is(err, ErrStale) || d.amends != nil:
			return Receipt{}, conflict(err)
		}
	}
	return Receipt{}, fmt.Errorf("register: %w after %d attempts", ErrUnavailable, attempts)
}

// earlier answers a retry whose first attempt went through: what the plan
// takes for a conflict may be the caller's own success.
func (r *Registry) earlier(ctx context.Context, w Write, operation string, planned error) (Receipt, error) {
	var clash *Conflict
	if w.Key == "" || w.DryRun || !errors.As(planned, &clash) {
		return Receipt{}, planned
	}
	done, err := r.Store.Earlier(ctx, w.By.Org, *once(w, operation))
	switch {
	case errors.Is(err, ErrNotFound):
		return Receipt{}, planned
	case err != nil:
		return Receipt{}, conflict(err)
	}
	return r.repeat(ctx, done)
}

func once(w Write, operation string) *Once {
	if w.Key == "" {
		return nil
	}
	return &Once{Operation: operation, Key: w.Key, Request: sha256.Sum256(w.Body)}
}

// conflict names the store's refusals in the registry's terms.
func conflict(err error) error {
	var taken *BatteryTaken
	var mismatch *OnceMismatch
	switch {
	case errors.As(err, &taken):
		return &Conflict{Code: "battery.registered", Existing: taken.Passport}
	case errors.As(err, &mismatch):
		return &Conflict{Code: "idempotencyKey.reused"}
	case errors.Is(err, ErrStale):
		return &Conflict{Code: "version.taken"}
	}
	return err
}

// draft is a submission that passed every gate that needs no transaction.
type draft struct {
	checked  map[passport.RecordType]schema.Checked
	pinned   map[passport.RecordType]Record // pins that were resolved
	version  int
	warnings []passport.Violation
	amends   *Record            // the version an amendment follows
	battery  passport.BatteryID // of an item or condition
	chained  *[sha256.Size]byte // token digest of the condition before
}

// check validates every record of a submission and resolves its pins. All
// violations of all records are reported together.
func (r *Registry) check(ctx context.Context, org passport.OrgID, s submission) (draft, error) {
	d := draft{checked: map[passport.RecordType]schema.Checked{}, pinned: map[passport.RecordType]Record{}, version: s.version}
	docs := map[passport.RecordType]map[string]any{}
	var found []passport.Violation
	for t, id := range s.pins {
		rec, doc, err := r.pinned(ctx, org, t, id)
		if errors.Is(err, ErrNotFound) {
			found = append(found, pinMissing(t))
			continue
		} else if err != nil {
			return draft{}, err
		}
		d.pinned[t], docs[t] = rec, doc
	}
	for t, doc := range s.records {
		docs[t] = doc
	}
	for _, t := range passport.RecordTypes() {
		doc, ok := s.records[t]
		if !ok {
			continue
		}
		checked, violations := r.Validator.Check(t, doc, schema.Context{
			Prefix: passport.Pointer(string(t)), Model: docs[passport.Model], Batch: docs[passport.Batch],
		})
		d.checked[t], found = checked, append(found, violations...)
	}
	if passport.Blocks(found) {
		return draft{}, &Invalid{found}
	}
	d.warnings = found
	return r.checkBattery(d)
}

func pinMissing(t passport.RecordType) passport.Violation {
	return passport.Violation{
		Pointer: passport.Pointer(string(t), "recordId"), Code: "pin.notFound", Severity: passport.Blocking,
		Expected: "the recordId of a registered " + string(t), Found: "no such record",
		Repair: "register the " + string(t) + " first, or send it whole",
	}
}

// checkBattery parses the battery id of an item and warns when its code leads
// to another host, which then has to forward scans.
func (r *Registry) checkBattery(d draft) (draft, error) {
	item, ok := d.checked[passport.Item]
	if !ok {
		return d, nil
	}
	text, _ := item.Record()["batteryId"].(string)
	id, err := passport.ParseBatteryID(text)
	if err != nil {
		return draft{}, fmt.Errorf("battery id passed the schema: %w", err)
	}
	d.battery = id
	if host := hostOf(id.String()); host != "" && host != hostOf(r.BaseURL()) {
		d.warnings = append(d.warnings, passport.Violation{
			Pointer: "/passport/batteryId", Code: "batteryId.foreignHost", Severity: passport.Warning,
			Expected: hostOf(r.BaseURL()), Found: host,
			Repair: "see that this host forwards scans to " + r.digitalLink(id) + ", since the code on the battery leads there",
		})
	}
	return d, nil
}

// pinned reads a record that another one builds on. Its owner's restricted
// members are seen only by the owner.
func (r *Registry) pinned(ctx context.Context, org passport.OrgID, t passport.RecordType, id passport.ID) (Record, map[string]any, error) {
	rec, err := r.Store.Record(ctx, Query{ID: id})
	if err != nil {
		return Record{}, nil, fmt.Errorf("pin %s %s: %w", t, id, err)
	}
	if rec.Type != t {
		return Record{}, nil, fmt.Errorf("pin %s %s: a %s: %w", t, id, rec.Type, ErrNotFound)
	}
	tiers := passport.Tiers(0)
	if rec.Org == org {
		tiers = passport.AllTiers()
	}
	part, _, err := r.part(ctx, rec, tiers)
	return rec, part.Record, err
}

// plan is what a write will store if nobody gets in between.
type plan struct {
	change Change
	used   map[passport.RecordType]Record // by the receipt and as pins: new, reused or pinned
	reused map[passport.RecordType]bool
}

// plan decides, record by record, between reuse and the next version. It
// signs nothing.
func (r *Registry) plan(ctx context.Context, org passport.OrgID, d draft) (plan, error) {
	p := plan{used: map[passport.RecordType]Record{}, reused: map[passport.RecordType]bool{}}
	for t, rec := range d.pinned {
		p.used[t], p.reused[t] = rec, true
	}
	for _, t := range []passport.RecordType{passport.Model, passport.Batch} {
		if err := r.planShared(ctx, org, t, d, &p); err != nil {
			return plan{}, err
		}
	}
	if _, ok := d.checked[passport.Item]; ok {
		if err := r.planItem(ctx, org, d, &p); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

// planShared plans a model or batch that came whole: an equal version under
// its natural key is used as it is.
func (r *Registry) planShared(ctx context.Context, org passport.OrgID, t passport.RecordType, d draft, p *plan) error {
	checked, ok := d.checked[t]
	if !ok {
		return nil
	}
	rec := Record{Type: t, Org: org, Key: naturalKey(checked), ContentDigest: checked.Digest(), Version: 1}
	if t == passport.Batch {
		rec.Model = p.used[passport.Model].ID
	}
	newest, err := r.Store.Record(ctx, Query{Key: &NaturalKey{Type: t, Org: org, Text: rec.Key}})
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return fmt.Errorf("plan %s: %w", t, err)
	default:
		if reused, err := r.reuse(ctx, newest, rec, d); err != nil {
			return err
		} else if reused != nil {
			p.used[t], p.reused[t] = *reused, true
			return nil
		}
		rec.Series, rec.Version, rec.Slot = newest.Series, newest.Version+1, newest.Slot
	}
	if asked := d.askedFor(t); asked != 0 && asked != rec.Version {
		return &Conflict{Code: "version.notNext"}
	}
	p.used[t] = rec
	p.change.Records = append(p.change.Records, rec)
	return nil
}

// askedFor is the version number the request names for the record it is about.
func (d draft) askedFor(t passport.RecordType) int {
	if _, batch := d.checked[passport.Batch]; batch && t == passport.Model {
		return 0 // the number is the batch's
	}
	return d.version
}

// reuse returns the registered version whose content equals rec, or nil if rec
// is a new version. A version asked for by number with other content is a
// conflict that shows the differences.
func (r *Registry) reuse(ctx context.Context, newest, rec Record, d draft) (*Record, error) {
	candidate := newest
	if asked := d.askedFor(rec.Type); asked != 0 {
		if asked > newest.Version {
			return nil, nil
		}
		var err error
		if candidate, err = r.Store.Record(ctx, Query{Type: rec.Type, Series: newest.Series, Version: asked}); err != nil {
			return nil, fmt.Errorf("compare with version %d: %w", asked, err)
		}
	}
	if candidate.ContentDigest == rec.ContentDigest && candidate.Model == rec.Model {
		return &candidate, nil
	}
	if d.askedFor(rec.Type) == 0 {
		return nil, nil
	}
	part, _, err := r.part(ctx, candidate, passport.AllTiers())
	if err != nil {
		return nil, err
	}
	return nil, &Conflict{
		Code: "version.taken", Existing: candidate.ID,
		Diff: difference(part.Record, d.checked[rec.Type].Record()),
	}
}

// planItem plans the passport itself: a first one, a successor or an amendment.
func (r *Registry) planItem(ctx context.Context, org passport.OrgID, d draft, p *plan) error {
	checked := d.checked[passport.Item]
	battery := d.battery.Key()
	rec := Record{
		Type: passport.Item, Org: org, Key: hex.EncodeToString(battery[:]), ContentDigest: checked.Digest(), Version: 1,
		Model: p.used[passport.Model].ID, Batch: p.used[passport.Batch].ID,
	}
	rec.Serial, _ = checked.Record()["serialNumber"].(string)
	if d.amends != nil {
		if d.amends.ContentDigest == rec.ContentDigest && d.amends.Model == rec.Model && d.amends.Batch == rec.Batch {
			p.used[passport.Item], p.reused[passport.Item] = *d.amends, true
			return nil
		}
		rec.Series, rec.Version, rec.Slot = d.amends.Series, d.amends.Version+1, d.amends.Slot
	} else if err := r.claim(ctx, org, battery, checked, p); err != nil {
		return err
	}
	p.used[passport.Item] = rec
	p.change.Records = append(p.change.Records, rec)
	return nil
}

// claim plans taking the battery, over a predecessor in force if the record
// names it and its operator or an authority released it.
func (r *Registry) claim(ctx context.Context, org passport.OrgID, battery passport.BatteryKey, item schema.Checked, p *plan) error {
	p.change.Claim = &Claim{Battery: battery}
	present, err := r.Store.Record(ctx, Query{Key: batteryKey(battery)})
	if errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("claim battery: %w", err)
	}
	if !succeeds(item.Record(), present.Series) {
		return &Conflict{Code: "battery.registered", Existing: present.Series}
	}
	if err := r.mayFollow(ctx, org, present); err != nil {
		return err
	}
	standing, err := r.Standing(ctx, present.Series)
	if err != nil {
		return err
	}
	p.change.Claim.Base = present.Series
	if standing.State == Active || standing.State == Suspended {
		p.change.Status = &StatusChange{
			Series: present.Series, Slot: present.Slot, From: standing.State, To: Superseded, Reason: "successorIssued", Actor: org,
		}
	}
	return nil
}

// mayFollow refuses a successor by an organisation the battery was not
// released to.
func (r *Registry) mayFollow(ctx context.Context, org passport.OrgID, present Record) error {
	if present.Org == org {
		return nil
	}
	release, err := r.Store.Release(ctx, present.Series)
	if errors.Is(err, ErrNotFound) || err == nil && release.To != org {
		return &Conflict{Code: "battery.notReleased", Existing: present.Series}
	}
	return err
}

// issue signs the planned records, checks them as a stranger would, and
// commits them with their pending log entries.
func (r *Registry) issue(ctx context.Context, w Write, operation string, p *plan, d draft) (Committed, error) {
	now := r.Now().UTC().Truncate(time.Microsecond)
	p.change.Tenant, p.change.At, p.change.Once = w.By.Org, now, once(w, operation)
	if p.change.Status != nil {
		p.change.Status.At = now
	}
	for i := range p.change.Records {
		rec := &p.change.Records[i]
		if err := r.sign(ctx, rec, p, d, now); err != nil {
			return Committed{}, err
		}
		p.used[rec.Type] = *rec
		if leaf, ok := issueLeaf(*rec); ok {
			p.change.Leaves = append(p.change.Leaves, leaf)
		}
	}
	if p.change.Claim != nil {
		p.change.Claim.Passport = p.used[passport.Item].Series
	}
	if p.change.Once != nil {
		p.change.Once.Refs = p.refs()
	}
	return r.commit(ctx, p.change)
}

// refs are the record ids from which an answer is rendered again.
func (p *plan) refs() []passport.ID {
	var ids []passport.ID
	for _, t := range passport.RecordTypes() {
		if rec, ok := p.used[t]; ok {
			ids = append(ids, rec.ID)
		}
	}
	return ids
}

// sign completes rec: ids, slot, salt, the signed token and its disclosures.
func (r *Registry) sign(ctx context.Context, rec *Record, p *plan, d draft, now time.Time) error {
	if err := r.identify(ctx, rec, d, p, now); err != nil {
		return err
	}
	kid, key, err := r.Keys.Signer(rec.Org, ES256, now)
	if err != nil {
		return fmt.Errorf("sign %s: %w", rec.Type, err)
	}
	issuer, err := r.party(ctx, rec.Org)
	if err != nil {
		return err
	}
	issued, err := credential.Issue(d.checked[rec.Type], r.Catalogue, credential.Envelope{
		BaseURL: r.BaseURL(), Environment: r.instance.Environment,
		RecordID: rec.ID, Series: rec.Series, Type: rec.Type, Version: rec.Version, SubjectID: r.subjectID(*rec, d),
		Issuer: credential.Party{DID: issuer.DID, Name: issuer.Name}, ValidFrom: now,
		Pins: pins(*rec, p), Status: r.position(rec.Slot), Previous: d.chained,
	}, kid, key, r.Random)
	if err != nil {
		return fmt.Errorf("sign %s: %w", rec.Type, err)
	}
	rec.JWS, rec.TokenDigest = issued.JWS, issued.TokenDigest
	for _, x := range issued.Disclosures {
		rec.Disclosures = append(rec.Disclosures, Disclosure(x))
	}
	return r.selfCheck(ctx, *rec)
}

// position is where a slot stands in the status lists; nil for a condition.
func (r *Registry) position(slot int64) *credential.Position {
	if slot < 0 {
		return nil
	}
	list, index := credential.StatusIndex(r.statusSecret, slot)
	return &credential.Position{List: list, Index: index}
}

func (r *Registry) identify(ctx context.Context, rec *Record, d draft, p *plan, now time.Time) (err error) {
	if rec.ID, err = passport.NewID(now, r.Random); err != nil {
		return err
	}
	if rec.Series.IsZero() { // the first version of a series
		if rec.Series, err = passport.NewID(now, r.Random); err != nil {
			return err
		}
		if rec.Slot, err = r.slots.take(ctx, r.Store); err != nil {
			return err
		}
	}
	if _, err = io.ReadFull(r.Random, rec.Salt[:]); err != nil {
		return fmt.Errorf("salt: %w", err)
	}
	rec.IssuedAt = now
	if rec.Type != passport.Condition {
		rec.Model, rec.Batch = pinnedID(*rec, p, passport.Model), pinnedID(*rec, p, passport.Batch)
		rec.describe(d, p)
	}
	return nil
}
