package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/tlog"
)

// TestDifferential compares a store with the model on random histories: each
// change must be accepted or refused by both, for the same reason and with the
// same receipt, and every read must agree afterwards. A history that tells
// them apart is shrunk to a short one.
//
// All histories run in one store, so that open is called once: each has
// organisations, batteries and ids of its own, and names are drawn from so few
// that changes collide all the time.
func TestDifferential(t *testing.T, open func(testing.TB) registry.Store) {
	t.Helper()
	store := open(t)
	var histories atomic.Uint32
	rapid.Check(t, func(rt *rapid.T) {
		d := begin(t.Context(), rt, store, 1000+histories.Add(1))
		rt.Repeat(map[string]func(*rapid.T){
			"commit": d.commit,
			"repeat": d.repeat,
			"":       d.agree,
		})
		for _, org := range d.orgs {
			d.agreeOnOrg(rt, org)
		}
		for _, series := range d.series {
			d.agreeOnSeries(rt, series)
		}
	})
}

// differential is one history.
type differential struct {
	ctx       context.Context
	store     registry.Store
	model     *model
	base      int64 // leaves that were pending before
	samples   *Samples
	orgs      []passport.OrgID
	series    []passport.ID
	pins      []passport.ID
	grants    []passport.ID
	batteries []passport.BatteryKey
	secrets   [][sha256.Size]byte
	slots     int64 // of the first series; in a list of their own
	past      []registry.Change
	clock     time.Time
}

// texts are the names, keys and subjects of every history.
var texts = []string{"a", "A", "a ", "ä", "a\u0308", "😀", "%"}

func begin(ctx context.Context, rt *rapid.T, store registry.Store, number uint32) *differential {
	d := &differential{ctx: ctx, store: store, model: newModel(), samples: NewSamples(number), clock: epoch, slots: int64(number) * registry.StatusListSize}
	for _, name := range []string{"x", "y", "z-0"} {
		d.orgs = append(d.orgs, passport.OrgID(fmt.Sprintf("h%d-%s", number, name)))
	}
	for range 4 {
		d.series = append(d.series, d.samples.ID())
		d.pins = append(d.pins, d.samples.ID())
		d.grants = append(d.grants, d.samples.ID())
		d.batteries = append(d.batteries, d.samples.Battery())
		d.secrets = append(d.secrets, d.samples.unique())
	}
	var err error
	if d.base, err = store.PendingLeaves(ctx); err != nil {
		rt.Fatalf("pending leaves: %v", err)
	}
	return d
}

func pick[T any](rt *rapid.T, from []T, what string) T {
	return rapid.SampledFrom(from).Draw(rt, what)
}

// commit makes a change of random parts.
func (d *differential) commit(rt *rapid.T) {
	d.clock = d.clock.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
	c := registry.Change{Tenant: pick(rt, d.orgs, "tenant"), At: d.clock}
	parts := []func(*rapid.T, *registry.Change){
		d.once, d.admit, d.member, d.records, d.claim, d.status, d.grant, d.release, d.reads,
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(parts)-1), 0, 4, rapid.ID).Draw(rt, "parts") {
		parts[n](rt, &c)
	}
	d.past = append(d.past, c)
	d.submit(rt, c)
}

// repeat makes a change of the past again, as a client does who heard nothing.
func (d *differential) repeat(rt *rapid.T) {
	if len(d.past) == 0 {
		rt.Skip("nothing to repeat")
	}
	d.submit(rt, pick(rt, d.past, "change"))
}

// submit gives the change to both and compares what they say.
func (d *differential) submit(rt *rapid.T, c registry.Change) {
	first, conflicts := d.model.judge(c)
	got, err := d.store.Commit(d.ctx, c)
	switch {
	case err == nil && len(conflicts) > 0:
		rt.Fatalf("store accepted %+v, model refuses: %v", c, conflicts)
	case err != nil && !slices.ContainsFunc(conflicts, func(want error) bool { return sameRefusal(err, want) }):
		rt.Fatalf("store refused %+v: %v; model: %v", c, err, conflicts)
	case err != nil:
		return
	}
	want := registry.Committed{}
	if first != nil {
		want = *first
	} else {
		want = d.model.apply(c)
	}
	if diff := difference(got, want); diff != "" {
		rt.Fatalf("receipt of %+v (-model +store):\n%s", c, diff)
	}
}

// sameRefusal reports whether an error says what the model says.
func sameRefusal(err, want error) bool {
	if taken, ok := errors.AsType[*registry.BatteryTaken](want); ok {
		got, ok := errors.AsType[*registry.BatteryTaken](err)
		return ok && *got == *taken
	}
	if _, ok := errors.AsType[*registry.OnceMismatch](want); ok {
		_, ok := errors.AsType[*registry.OnceMismatch](err)
		return ok
	}
	return errors.Is(err, want)
}

func (d *differential) once(rt *rapid.T, c *registry.Change) {
	c.Once = &registry.Once{
		Operation: pick(rt, []string{"POST /v1/models", "POST /v1/passports"}, "operation"),
		Key:       pick(rt, texts, "key"),
		Request:   [sha256.Size]byte{byte(rapid.IntRange(0, 1).Draw(rt, "request"))},
		Refs:      rapid.SliceOfN(rapid.SampledFrom(d.pins), 0, 3).Draw(rt, "refs"),
	}
}

func (d *differential) roles(rt *rapid.T) []access.Role {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]access.Role{access.Issuer, access.Auditor, access.Authority}), 0, 3, rapid.ID).Draw(rt, "roles")
}

func (d *differential) admit(rt *rapid.T, c *registry.Change) {
	org := pick(rt, d.orgs, "admitted")
	if rapid.Bool().Draw(rt, "admits") {
		c.Admit = &registry.Organisation{
			ID: org, Name: pick(rt, texts, "name"), Country: pick(rt, []string{"DE", "KR"}, "country"),
			Roles: d.roles(rt), OIDCIssuer: pick(rt, []string{"", "https://login.example"}, "issuer"), AdmittedAt: c.At,
		}
	}
	for range rapid.IntRange(0, 2).Draw(rt, "keys") {
		key := registry.Key{Org: org, ID: "did:web:h:o:" + string(org) + "#" + pick(rt, texts, "fragment"), Algorithm: "ES256", PublicKey: []byte{1, 2, 3}, NotBefore: epoch}
		if rapid.Bool().Draw(rt, "retired") {
			key.RetiredAt = c.At
		}
		c.Keys = append(c.Keys, key)
	}
}

func (d *differential) member(rt *rapid.T, c *registry.Change) {
	secret := pick(rt, d.secrets, "secret")
	org := pick(rt, d.orgs, "organisation")
	if rapid.Bool().Draw(rt, "enrols") {
		c.Enrol = &registry.Enrolment{Org: org, Secret: secret, Roles: d.roles(rt), ExpiresAt: c.At.Add(time.Hour)}
		return
	}
	c.Member = &registry.Member{Org: org, Issuer: "https://i", Subject: pick(rt, texts, "subject"), Roles: d.roles(rt), At: c.At}
	if rapid.Bool().Draw(rt, "redeems") {
		c.Redeem = &registry.Redeem{Secret: secret}
	}
}

func (d *differential) records(rt *rapid.T, c *registry.Change) {
	for range rapid.IntRange(1, 3).Draw(rt, "records") {
		n := rapid.IntRange(0, len(d.series)-1).Draw(rt, "series")
		r := d.samples.record(pick(rt, passport.RecordTypes(), "type"), pick(rt, d.orgs, "signer"))
		r.Series, r.Version, r.Slot = d.series[n], rapid.IntRange(1, 3).Draw(rt, "version"), d.slots+int64(n)
		r.Key, r.GTIN, r.Lot = pick(rt, texts, "name"), pick(rt, []string{"", "09506000134352", "04012345678901"}, "gtin"), pick(rt, texts, "lot")
		r.Model = pick(rt, append(d.pins, passport.ID{}), "model")
		switch r.Type {
		case passport.Item:
			battery := pick(rt, d.batteries, "battery")
			r.Key = hex.EncodeToString(battery[:])
		case passport.Model:
			r.Key += "\x00plant"
		case passport.Batch, passport.Condition:
		}
		for range rapid.IntRange(0, 2).Draw(rt, "disclosures") {
			r.Disclosures = append(r.Disclosures, d.samples.disclosure(pick(rt, texts, "attribute"), pick(rt, passport.Restricted(), "tier")))
		}
		c.Records = append(c.Records, r)
		c.Leaves = append(c.Leaves, registry.Leaf{Kind: tlog.Issue, Series: r.Series, Data: []byte(`{"t":"issue","v":1}`)})
	}
}

func (d *differential) claim(rt *rapid.T, c *registry.Change) {
	c.Claim = &registry.Claim{
		Battery: pick(rt, d.batteries, "battery"), Passport: pick(rt, d.series, "passport"),
		Base: pick(rt, append(slices.Repeat([]passport.ID{{}}, 3), d.series...), "base"),
	}
}

func (d *differential) status(rt *rapid.T, c *registry.Change) {
	states := []registry.State{registry.Active, registry.Suspended, registry.Revoked}
	n := rapid.IntRange(0, len(d.series)-1).Draw(rt, "series")
	c.Status = &registry.StatusChange{
		Series: d.series[n], Slot: d.slots + int64(n), From: pick(rt, states, "from"), To: pick(rt, states, "to"),
		Reason: pick(rt, texts, "reason"), Actor: c.Tenant, At: c.At,
	}
}

func (d *differential) grant(rt *rapid.T, c *registry.Change) {
	n := rapid.IntRange(0, len(d.grants)-1).Draw(rt, "grant")
	c.Grant = &registry.Grant{
		ID: d.grants[n], Owner: d.orgs[n%len(d.orgs)], Grantee: pick(rt, d.orgs, "grantee"),
		Points: passport.Tiers(rapid.IntRange(0, 15).Draw(rt, "points")), ValidFrom: c.At, Until: c.At.Add(time.Hour),
		Scope: registry.Scope{Model: pick(rt, []passport.ID{{}, d.series[0]}, "scope")},
	}
	if rapid.Bool().Draw(rt, "revoked") {
		c.Grant.RevokedAt = c.At
	}
}

func (d *differential) release(rt *rapid.T, c *registry.Change) {
	c.Release = &registry.Release{Passport: pick(rt, d.series, "passport"), Owner: c.Tenant, To: pick(rt, d.orgs, "to"), At: c.At}
}

func (d *differential) reads(rt *rapid.T, c *registry.Change) {
	for range rapid.IntRange(1, 3).Draw(rt, "reads") {
		c.Reads = append(c.Reads, registry.Read{
			Owner: pick(rt, d.orgs, "owner"), Reader: c.Tenant, Person: pick(rt, texts, "person"), Purpose: pick(rt, texts, "purpose"),
			Series: pick(rt, d.series, "series"), Version: 1, Attributes: rapid.SliceOfN(rapid.SampledFrom(texts), 0, 2).Draw(rt, "attributes"), At: c.At,
		})
	}
}

// agree compares some of the reads that a history could have changed; over
// the steps of a history it comes by all of them.
func (d *differential) agree(rt *rapid.T) {
	switch rapid.IntRange(0, 2).Draw(rt, "read") {
	case 0:
		d.agreeOnOrg(rt, pick(rt, d.orgs, "organisation"))
	case 1:
		d.agreeOnSeries(rt, pick(rt, d.series, "series"))
	case 2:
		d.agreeOnTheRest(rt)
	}
}

func (d *differential) agreeOnOrg(rt *rapid.T, org passport.OrgID) {
	var wanted []passport.ID
	filter := registry.Filter{
		Org: org, Type: pick(rt, append(passport.RecordTypes(), ""), "type"), Newest: rapid.Bool().Draw(rt, "newest"),
		GTIN: pick(rt, []string{"", "09506000134352"}, "gtin"), Lot: pick(rt, []string{"", "a"}, "lot"),
		After: pick(rt, append(d.series, passport.ID{}), "after"), Limit: rapid.IntRange(0, 3).Draw(rt, "limit"),
	}
	for _, f := range []registry.Filter{{Org: org}, filter} {
		compare(rt, fmt.Sprintf("records %+v", f), d, func(s registry.Store) (all []registry.Record, err error) {
			for r, err := range s.Records(d.ctx, f) {
				if err != nil {
					return nil, err
				}
				all, wanted = append(all, r), append(wanted, r.ID)
			}
			return all, nil
		})
	}
	as := rapid.SliceOf(rapid.SampledFrom(d.orgs)).Draw(rt, "as")
	compare(rt, "disclosures", d, func(s registry.Store) (map[passport.ID][]registry.Disclosure, error) {
		return s.Disclosures(d.ctx, as, wanted)
	})
	compare(rt, "members", d, func(s registry.Store) ([]registry.Member, error) { return s.Members(d.ctx, org) })
	compare(rt, "grants", d, func(s registry.Store) ([]registry.Grant, error) { return s.Grants(d.ctx, org) })
	compare(rt, "reads", d, func(s registry.Store) ([]registry.Read, error) { return s.Reads(d.ctx, org, 4) })
	key := &registry.NaturalKey{Type: passport.Batch, Org: org, Text: pick(rt, texts, "name")}
	compare(rt, "batch by name", d, func(s registry.Store) (registry.Record, error) {
		return s.Record(d.ctx, registry.Query{Key: key})
	})
	once := registry.Once{Operation: "POST /v1/models", Key: pick(rt, texts, "key")}
	compare(rt, "earlier", d, func(s registry.Store) (registry.Committed, error) { return s.Earlier(d.ctx, org, once) })
}

func (d *differential) agreeOnSeries(rt *rapid.T, series passport.ID) {
	compare(rt, "status", d, func(s registry.Store) ([]registry.StatusChange, error) { return s.Status(d.ctx, series) })
	compare(rt, "release", d, func(s registry.Store) (registry.Release, error) { return s.Release(d.ctx, series) })
	q := registry.Query{Series: series, Type: pick(rt, passport.RecordTypes(), "type"), Version: rapid.IntRange(0, 3).Draw(rt, "version")}
	compare(rt, fmt.Sprintf("record %+v", q), d, func(s registry.Store) (registry.Record, error) { return s.Record(d.ctx, q) })
}

func (d *differential) agreeOnTheRest(rt *rapid.T) {
	battery := pick(rt, d.batteries, "battery")
	key := &registry.NaturalKey{Type: passport.Item, Text: hex.EncodeToString(battery[:])}
	compare(rt, "passport in force", d, func(s registry.Store) (registry.Record, error) {
		return s.Record(d.ctx, registry.Query{Key: key})
	})
	compare(rt, "status list", d, func(s registry.Store) (map[int]registry.State, error) {
		return s.StatusList(d.ctx, int(d.slots/registry.StatusListSize))
	})
	compare(rt, "organisations", d, func(s registry.Store) ([]registry.Organisation, error) {
		all, err := s.Organisations(d.ctx)
		return slices.DeleteFunc(all, func(o registry.Organisation) bool { return !slices.Contains(d.orgs, o.ID) }), err
	})
	compare(rt, "leaves", d, func(s registry.Store) (int64, error) {
		n, err := s.PendingLeaves(d.ctx)
		if s == d.store {
			n -= d.base
		}
		return n, err
	})
}

// compare reads the same from store and model.
func compare[T any](rt *rapid.T, what string, d *differential, read func(registry.Store) (T, error)) {
	want, modelErr := read(d.model)
	got, err := read(d.store)
	switch {
	case modelErr != nil && !sameRefusal(err, unwrapped(modelErr)), modelErr == nil && err != nil:
		rt.Fatalf("%s: store says %v, model %v", what, err, modelErr)
	case err != nil:
		return
	}
	if diff := difference(got, want); diff != "" {
		rt.Fatalf("%s (-model +store):\n%s", what, diff)
	}
}

// unwrapped is the error that a caller branches on.
func unwrapped(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
