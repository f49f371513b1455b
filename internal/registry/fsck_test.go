package registry_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/internal/tlog"
)

// fsck re-verifies everything that is stored, from the bytes up: every story
// ends with it, so that no test says less than that the registry is sound. It
// trusts nothing the registry computed: signatures are checked with the
// published keys, contents are digested anew, claims, status, pins, chains and
// log entries are compared with each other.
func (w *world) fsck() {
	w.t.Helper()
	c := &census{
		world: w, keys: map[string]credential.PublicKey{}, records: map[passport.ID]registry.Record{},
		envelopes: map[passport.ID]credential.Envelope{}, bySeries: map[seriesOf][]registry.Record{},
	}
	c.organisations()
	for rec, err := range w.truth.Records(w.ctx(), registry.Filter{}) {
		w.must(err)
		c.records[rec.ID] = rec
		at := seriesOf{rec.Series, rec.Type}
		c.bySeries[at] = append(c.bySeries[at], rec)
	}
	for _, rec := range c.records {
		c.record(rec)
	}
	for at, versions := range c.bySeries {
		c.series(at, versions)
	}
	for _, rec := range c.records {
		c.pins(rec)
	}
	c.claims()
	c.log()
}

type seriesOf struct {
	id   passport.ID
	kind passport.RecordType
}

// census is what fsck has counted so far.
type census struct {
	*world
	keys      map[string]credential.PublicKey
	published int // organisations and keys, each of which the log knows
	records   map[passport.ID]registry.Record
	envelopes map[passport.ID]credential.Envelope
	bySeries  map[seriesOf][]registry.Record
}

func (c *census) fault(rec registry.Record, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("fsck: %s %s version %d: "+format, append([]any{rec.Type, rec.Series, rec.Version}, args...)...)
}

func (c *census) organisations() {
	c.t.Helper()
	for _, org := range need(c.truth.Organisations(c.ctx()))(c.t) {
		c.published++
		for _, k := range org.Keys {
			c.published++
			if !k.RetiredAt.IsZero() {
				c.published++
			}
			c.keys[k.ID] = need(credential.NewPublicKey(k.ID, k.PublicKey, k.NotBefore, k.RetiredAt))(c.t)
		}
	}
}

// record checks one record version by itself.
func (c *census) record(rec registry.Record) {
	c.t.Helper()
	if got := sha256.Sum256(append(slices.Clone(rec.JWS), '~')); got != rec.TokenDigest {
		c.fault(rec, "token digest is not that of the signed bytes")
	}
	stored := need(c.truth.Disclosures(c.ctx(), []passport.OrgID{rec.Org}, []passport.ID{rec.ID}))(c.t)[rec.ID]
	disclosures := make([]credential.Disclosure, len(stored))
	for i, d := range stored {
		disclosures[i] = credential.Disclosure(d)
	}
	token, err := credential.Parse(credential.Present(rec.JWS, disclosures, passport.AllTiers()))
	if err != nil {
		c.fault(rec, "%v", err)
		return
	}
	key, published := c.keys[token.KeyID()]
	if !published || !key.InUse(token.IssuedAt()) {
		c.fault(rec, "key %s is not published or was not in use", token.KeyID())
		return
	}
	verified, err := token.Verify(key.Key())
	if err != nil {
		c.fault(rec, "%v", err)
		return
	}
	record, err := verified.Record()
	c.must(err)
	if got := sha256.Sum256(need(strictjson.Canonical(record))(c.t)); got != rec.ContentDigest || verified.Withheld() != 0 {
		c.fault(rec, "content and disclosures do not give the content digest; %d withheld", verified.Withheld())
	}
	c.envelopes[rec.ID] = verified.Envelope()
	c.envelope(rec, verified.Envelope())
}

// envelope compares what was signed with the row beside it.
func (c *census) envelope(rec registry.Record, env credential.Envelope) {
	c.t.Helper()
	want := credential.Envelope{
		BaseURL: base, Environment: "demo", RecordID: rec.ID, Series: rec.Series, Type: rec.Type, Version: rec.Version,
		Issuer: env.Issuer, ValidFrom: rec.IssuedAt.Truncate(time.Second), Pins: env.Pins, Status: env.Status, Previous: env.Previous,
		SubjectID: env.SubjectID, SchemaURL: env.SchemaURL,
	}
	if diff := cmp.Diff(want, env); diff != "" {
		c.fault(rec, "row and envelope differ (-row +envelope):\n%s", diff)
	}
	if env.Issuer.DID != c.DID(rec.Org) {
		c.fault(rec, "signed by %s, row of %s", env.Issuer.DID, rec.Org)
	}
	if (env.Status == nil) != (rec.Type == passport.Condition) || (rec.Slot < 0) != (env.Status == nil) {
		c.fault(rec, "slot %d, status %v", rec.Slot, env.Status)
	}
}

// series checks the versions of one series against each other.
func (c *census) series(at seriesOf, versions []registry.Record) {
	c.t.Helper()
	first := versions[0]
	for i, rec := range versions {
		if rec.Version != i+1 {
			c.fault(rec, "there is a gap before it")
		}
		if rec.Org != first.Org || rec.Slot != first.Slot || at.kind != passport.Condition && rec.Key != first.Key {
			c.fault(rec, "organisation, slot or key is not that of version 1")
		}
		env, before := c.envelopes[rec.ID], c.envelopes[first.ID]
		if cmp.Diff(env.Status, before.Status) != "" || env.SubjectID != before.SubjectID {
			c.fault(rec, "subject or position in the status lists is not that of version 1")
		}
		if at.kind == passport.Condition {
			c.link(versions, i)
		}
	}
	for other, theirs := range c.bySeries {
		if other != at && first.Slot >= 0 && theirs[0].Slot == first.Slot {
			c.fault(first, "shares its slot with %s", other.id)
		}
	}
}

// link checks the chain of a condition.
func (c *census) link(versions []registry.Record, i int) {
	c.t.Helper()
	previous := c.envelopes[versions[i].ID].Previous
	switch {
	case i == 0 && previous != nil:
		c.fault(versions[i], "the first reading has a previous one")
	case i == 0:
	case previous == nil || *previous != versions[i-1].TokenDigest:
		c.fault(versions[i], "it is not chained to the reading before")
	case !instant(c, versions[i].Key).After(instant(c, versions[i-1].Key)):
		c.fault(versions[i], "recorded at %s, the one before at %s", versions[i].Key, versions[i-1].Key)
	}
}

func instant(c *census, text string) time.Time {
	c.t.Helper()
	return need(time.Parse(time.RFC3339, text))(c.t)
}

// pins checks that what a record rests on is there, byte for byte.
func (c *census) pins(rec registry.Record) {
	c.t.Helper()
	env, signed := c.envelopes[rec.ID], map[passport.RecordType]passport.ID{}
	for _, pin := range env.Pins {
		on, there := c.records[pin.RecordID]
		if !there || on.TokenDigest != pin.TokenDigest || on.Type != pin.Type {
			c.fault(rec, "pins %s %s, which is not there or other bytes", pin.Type, pin.RecordID)
		}
		signed[pin.Type] = pin.RecordID
	}
	if signed[passport.Model] != rec.Model || signed[passport.Batch] != rec.Batch {
		c.fault(rec, "signed pins %v, row has model %s and batch %s", signed, rec.Model, rec.Batch)
	}
	if (rec.Type == passport.Item || rec.Type == passport.Batch) && rec.Model.IsZero() {
		c.fault(rec, "it rests on no model")
	}
	if rec.Type == passport.Item && !rec.Batch.IsZero() {
		ofBatch, ofItem := c.records[c.records[rec.Batch].Model], c.records[rec.Model]
		if ofBatch.Series != ofItem.Series {
			c.fault(rec, "its batch is of model %s, itself of %s", ofBatch.Series, ofItem.Series)
		}
	}
}

// claims checks that each battery has exactly one passport in force and that
// the status of every passport is a history without gaps.
func (c *census) claims() {
	c.t.Helper()
	inForce := map[string]passport.ID{}
	for at, versions := range c.bySeries {
		if at.kind != passport.Item {
			continue
		}
		item := versions[0]
		holder, err := c.truth.Record(c.ctx(), registry.Query{Key: &registry.NaturalKey{Type: passport.Item, Text: item.Key}})
		if err != nil {
			c.fault(item, "nobody holds its battery: %v", err)
			continue
		}
		inForce[item.Key] = holder.Series
		history := need(c.truth.Status(c.ctx(), at.id))(c.t)
		state := registry.Active
		for _, change := range history {
			if change.From != state || change.Slot != item.Slot {
				c.fault(item, "history has a gap: %+v after %s", change, state)
			}
			state = change.To
		}
		if held := holder.Series == at.id; held == (state == registry.Superseded) {
			c.fault(item, "it is %s, and passport %s holds its battery", state, holder.Series)
		}
		c.listed(item, state)
		c.entries(item, history)
	}
}

// listed reads a passport's position in every form of the signed lists.
func (c *census) listed(item registry.Record, state registry.State) {
	c.t.Helper()
	want := map[registry.State]credential.Status{registry.Suspended: credential.Suspended, registry.Revoked: credential.Revoked}[state]
	at := c.envelopes[item.ID].Status
	for kind, formats := range map[string][]string{
		registry.TokenList: {"jwt"}, registry.RevocationList: {"jwt", "json"}, registry.SuspensionList: {"jwt", "json"},
	} {
		for _, format := range formats {
			got := c.status(kind, format, *at)
			if shows := kind == registry.TokenList || kind == registry.RevocationList == (want == credential.Revoked); shows && got != want {
				c.fault(item, "it is %s, the %s list as %s says %d", state, kind, format, got)
			}
		}
	}
}

// status reads one position of a served list, with the registry's published
// keys.
func (w *world) status(kind, format string, at credential.Position) credential.Status {
	w.t.Helper()
	trust := need(w.Organisation(w.ctx(), passport.Operator))(w.t)
	var keys []credential.PublicKey
	for _, k := range trust.Keys {
		keys = append(keys, need(credential.NewPublicKey(k.ID, k.PublicKey, k.NotBefore, k.RetiredAt))(w.t))
	}
	list := need(w.StatusList(w.ctx(), kind, at.List, format))(w.t)
	read := need(credential.ParseList(list, w.DID(passport.Operator), keys))(w.t)
	return need(read.At(at.Index))(w.t)
}

// entries checks that each change of a passport's status stands in the log
// once, against the commitment of its issuance.
func (c *census) entries(item registry.Record, history []registry.StatusChange) {
	c.t.Helper()
	kinds := map[registry.State]tlog.Kind{
		registry.Suspended: tlog.Suspend, registry.Active: tlog.Unsuspend, registry.Superseded: tlog.Supersede,
	}
	target := tlog.Commitment(string(item.Type), item.Salt, item.ContentDigest, item.TokenDigest)
	var want, got []map[string]any
	for _, h := range history {
		want = append(want, map[string]any{
			"t": string(kinds[h.To]), "v": json.Number("1"), "target": base64.RawURLEncoding.EncodeToString(target[:]),
			"actor": c.DID(h.Actor), "reason": h.Reason, "at": h.At.Format(time.RFC3339Nano),
		})
	}
	for _, leaf := range c.truth.leaves {
		if leaf.Series == item.Series && leaf.Kind != tlog.Issue {
			entry, _ := need(strictjson.Parse(leaf.Data))(c.t).(map[string]any)
			got = append(got, entry)
		}
	}
	// The ledger wrote them down in the order in which commits returned.
	anyOrder := cmpopts.SortSlices(func(a, b map[string]any) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if diff := cmp.Diff(want, got, anyOrder); diff != "" {
		c.fault(item, "status and log differ (-status +log):\n%s", diff)
	}
}

// log checks that every record but a condition has its commitment in the log
// once, that there are no others, and that the store counts what it was given.
func (c *census) log() {
	c.t.Helper()
	committed, kinds := map[string]int{}, map[tlog.Kind]int{}
	for _, leaf := range c.truth.leaves {
		committed[string(leaf.Data)]++
		kinds[leaf.Kind]++
	}
	records := 0
	for _, rec := range c.records {
		if rec.Type == passport.Condition {
			continue
		}
		records++
		entry := tlog.IssueLeaf(tlog.Commitment(string(rec.Type), rec.Salt, rec.ContentDigest, rec.TokenDigest))
		if n := committed[string(entry)]; n != 1 {
			c.fault(rec, "its commitment is %d times in the log", n)
		}
	}
	if kinds[tlog.Issue] != records {
		c.t.Errorf("fsck: %d issuances in the log, %d records", kinds[tlog.Issue], records)
	}
	if got := kinds[tlog.Organisation] + kinds[tlog.Key]; got != c.published {
		c.t.Errorf("fsck: %d entries about organisations and keys in the log, %d published", got, c.published)
	}
	if pending := need(c.truth.PendingLeaves(c.ctx()))(c.t); pending != int64(len(c.truth.leaves)) {
		c.t.Errorf("fsck: %d entries wait for the log, %d were committed", pending, len(c.truth.leaves))
	}
}
