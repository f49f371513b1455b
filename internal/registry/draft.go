package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
)

// draft is a submission that passed every gate which looks at nothing but the
// submission and its pins. Pinned records never change, so it stays true
// however often it is planned.
type draft struct {
	by       access.Subject
	about    passport.RecordType
	checked  map[passport.RecordType]schema.Checked
	pinned   map[passport.RecordType]Record
	version  int // asked for; 0 is the next
	warnings []passport.Violation
	battery  passport.BatteryID // of a passport or condition
	item     *Record            // the version an amendment follows, or whose battery a condition is of
}

// amends reports whether the draft is the next version of a passport.
func (d draft) amends() bool { return d.about == passport.Item && d.item != nil }

// asked is the version number that the request names for a record: it speaks of
// the record it is about.
func (d draft) asked(t passport.RecordType) int {
	if t != d.about {
		return 0
	}
	return d.version
}

// check validates every record of a submission together with what it pins. All
// violations of all records are reported together.
func (r *Registry) check(ctx context.Context, by access.Subject, f frame, s submission, item *Record) (draft, error) {
	d := draft{by: by, about: f.about, checked: map[passport.RecordType]schema.Checked{}, version: s.version, item: item}
	if item != nil {
		s.keep(*item)
	}
	docs, found, err := r.resolve(ctx, &d, s)
	if err != nil {
		return draft{}, err
	}
	for _, t := range passport.RecordTypes() {
		doc, sent := s.records[t]
		if !sent {
			continue
		}
		checked, violations := r.validator.Check(t, doc, schema.Context{
			Prefix: passport.Pointer(string(t)), Model: docs[passport.Model], Batch: docs[passport.Batch], At: r.now(),
		})
		d.checked[t], found = checked, append(found, violations...)
	}
	if passport.Blocks(found) {
		return draft{}, &Invalid{found}
	}
	d.warnings = found
	if d, err = r.checkSigner(ctx, d, docs); err != nil {
		return draft{}, err
	}
	return r.checkBattery(ctx, d)
}

// checkSigner warns when a passport names another operator than the
// organisation that signs it, by name and by every identifier: whoever scans
// the battery will be told.
func (r *Registry) checkSigner(ctx context.Context, d draft, docs map[passport.RecordType]map[string]any) (draft, error) {
	if d.about != passport.Item {
		return d, nil
	}
	signer, err := r.Organisation(ctx, d.by.Org)
	if err != nil {
		return draft{}, err
	}
	at, named := "/passport/economicOperator", member(docs[passport.Item], "economicOperator")
	if named == nil {
		at, named = "/model/identification/manufacturer", member(docs[passport.Model], "identification", "manufacturer")
	}
	if named != nil && !signer.is(named) {
		d.warnings = append(d.warnings, passport.Violation{
			Pointer: at, Code: "operator.notSigner", Severity: passport.Warning, Expected: passport.Quote(signer.Name), Found: passport.Quote(text(named, "name")),
			Repair: "nothing, if you sign on their behalf: the page says who signed",
		})
	}
	return d, nil
}

// is reports whether a party in a record is this organisation.
func (o Organisation) is(party any) bool {
	if strings.EqualFold(strings.TrimSpace(text(party, "name")), o.Name) {
		return true
	}
	ids, _ := member(party, "ids").([]any)
	return slices.ContainsFunc(ids, func(id any) bool {
		return slices.Contains(o.PartyIDs, passport.PartyID{Scheme: text(id, "scheme"), Value: text(id, "value")})
	})
}

// keep pins what a passport pins already, where the body says nothing else.
func (s *submission) keep(item Record) {
	for t, pin := range map[passport.RecordType]passport.ID{passport.Model: item.Model, passport.Batch: item.Batch} {
		if _, sent := s.records[t]; !sent && s.pins[t].IsZero() && !pin.IsZero() {
			s.pins[t] = pin
		}
	}
}

// resolve looks up the pins of a submission and returns the records it is to be
// judged with. A condition is judged by the model of its battery and pins
// nothing.
func (r *Registry) resolve(ctx context.Context, d *draft, s submission) (map[passport.RecordType]map[string]any, []passport.Violation, error) {
	docs := map[passport.RecordType]map[string]any{}
	var found []passport.Violation
	d.pinned = map[passport.RecordType]Record{}
	for _, t := range passport.RecordTypes() {
		if doc, sent := s.records[t]; sent {
			docs[t] = doc
			continue
		}
		id, pinned := s.pins[t]
		if !pinned {
			continue
		}
		rec, doc, err := r.pinned(ctx, d.by.Org, t, id)
		if errors.Is(err, ErrNotFound) {
			found = append(found, pinMissing(t))
			continue
		} else if err != nil {
			return nil, nil, err
		}
		docs[t] = doc
		if d.about != passport.Condition {
			d.pinned[t] = rec
		}
	}
	return docs, found, nil
}

func pinMissing(t passport.RecordType) passport.Violation {
	return passport.Violation{
		Pointer: passport.Pointer(string(t), "recordId"), Code: "pin.notFound", Severity: passport.Blocking,
		Expected: "the recordId of a registered " + string(t), Found: "no such record",
		Repair: "register the " + string(t) + " first, or send it whole",
	}
}

// pinned reads a record that another one builds on. Only its owner builds on
// its restricted members: a violation could tell others what they are. What a
// record owes at a date is public (the catalogue's test says so), so that no
// duty seems to be neglected for want of a grant.
func (r *Registry) pinned(ctx context.Context, org passport.OrgID, t passport.RecordType, id passport.ID) (Record, map[string]any, error) {
	rec, err := r.record(ctx, id)
	if err != nil {
		return Record{}, nil, fmt.Errorf("pin %s %s: %w", t, id, err)
	}
	if rec.Type != t {
		return Record{}, nil, fmt.Errorf("pin %s %s: a %s: %w", t, id, rec.Type, ErrNotFound)
	}
	if rec.Org == org {
		whole, err := r.whole(ctx, rec)
		return rec, whole, err
	}
	public, err := r.face(ctx, rec)
	return rec, public.record, err
}

// checkBattery finds out which battery the draft is about. An amendment cannot
// change it; a code that leads to another host is a warning.
func (r *Registry) checkBattery(ctx context.Context, d draft) (draft, error) {
	var err error
	switch d.about {
	case passport.Condition:
		d.battery, err = r.batteryOf(ctx, *d.item)
	case passport.Item:
		d.battery, err = passport.ParseBatteryID(text(d.checked[passport.Item].Record(), "batteryId"))
	case passport.Model, passport.Batch:
		return d, nil
	}
	if err != nil {
		return draft{}, fmt.Errorf("battery id that passed the schema: %w", err)
	}
	if d.amends() && d.item.Key != batteryKey(d.battery.Key()).Text {
		return draft{}, blocking(passport.Violation{
			Pointer: "/passport/batteryId", Code: "batteryId.changed",
			Expected: "the battery of passport " + d.item.Series.String(), Found: passport.Quote(d.battery.String()),
			Repair: "a version describes the same battery; register another battery as a passport of its own",
		})
	}
	if host := hostOf(d.battery.String()); d.about == passport.Item && host != "" && host != hostOf(r.BaseURL()) {
		d.warnings = append(d.warnings, passport.Violation{
			Pointer: "/passport/batteryId", Code: "batteryId.foreignHost", Severity: passport.Warning,
			Expected: hostOf(r.BaseURL()), Found: host,
			Repair: "see that this host forwards scans to " + r.leadsTo(d.battery) + ", since the code on the battery leads there",
		})
	}
	return d, nil
}

// batteryOf reads the battery id out of a stored item.
func (r *Registry) batteryOf(ctx context.Context, item Record) (passport.BatteryID, error) {
	public, err := r.face(ctx, item)
	if err != nil {
		return passport.BatteryID{}, err
	}
	return passport.ParseBatteryID(text(public.record, "batteryId"))
}

// digitalLink is where the battery resolves at this registry, or empty if its
// id is no Digital Link.
func (r *Registry) digitalLink(id passport.BatteryID) string {
	link, ok := id.DigitalLink()
	if !ok {
		return ""
	}
	return r.BaseURL() + link.Path()
}

// leadsTo is where scans of a battery's code have to end.
func (r *Registry) leadsTo(id passport.BatteryID) string {
	if link := r.digitalLink(id); link != "" {
		return link
	}
	return r.BaseURL()
}

// hostOf is the host of a URL; empty for any other URI.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

// member walks into nested objects; nil where the path ends early.
func member(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// text is member as a string; empty where there is none.
func text(v any, path ...string) string {
	s, _ := member(v, path...).(string)
	return s
}
