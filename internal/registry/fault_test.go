package registry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/internal/verify"
)

// newFaultyWorld is a world whose database fails the n-th commit after its
// people were admitted.
func newFaultyWorld(t testing.TB, n int, f storetest.Fault) *world {
	t.Helper()
	return newWorldOn(t, onSQLite, func(s registry.Store) registry.Store { return storetest.Faulty(s, storetest.Nth(n, f)) })
}

// faults are what a commit can meet, with what the caller is to hear.
var faults = map[string]struct {
	fault storetest.Fault
	want  error
}{
	"before it was persisted": {storetest.Down, registry.ErrUnavailable},
	"after it was persisted":  {storetest.Lost, registry.ErrUnavailable},
	"on a full disk":          {storetest.Full, registry.ErrFull},
}

// TestARetryAfterAnyFaultGivesTheOriginalReceipt fails every kind of write at
// its commit, in every way, and repeats it under its key: it happens once, and
// is answered as if nothing had been.
func TestARetryAfterAnyFaultGivesTheOriginalReceipt(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		for i := range 7 {
			w := newFaultyWorld(t, 2, f.fault) // the first is the passport that the others are about
			o := operations(t, w)[i]
			t.Run(o.name+" "+name, func(t *testing.T) {
				w.pass(time.Minute)
				before := w.truth.written()
				_, err := o.do(w, "k")
				w.is(err, f.want)
				w.fsck()
				w.pass(time.Minute)
				answer := need(o.do(w, "k"))(t)
				if n := w.truth.written() - before; n != 1 {
					t.Errorf("it was done %d times", n)
				}
				if diff := cmp.Diff(answer, need(o.do(w, "k"))(t)); diff != "" {
					t.Errorf("two retries are answered differently:\n%s", diff)
				}
				w.fsck()
			})
		}
	}
}

func TestWithoutAKeyARetryIsLedToThePassportThatIsThere(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			w := newFaultyWorld(t, 1, f.fault)
			write := pack(t, "A1").by(t, maker)
			w.is(second(w.RegisterPassport(w.ctx(), write)), f.want)
			w.fsck()
			receipt, err := w.RegisterPassport(w.ctx(), write)
			id := receipt.Passport
			if f.fault == storetest.Lost {
				id = w.clash(err, registry.CodeBatteryRegistered).Existing
			} else {
				w.must(err)
			}
			w.verdict(id, verify.Genuine)
			w.fsck()
		})
	}
}

// TestWhateverCommitFailsTheRegistryStaysSound lives a life of a battery once
// for every commit in it, and fails that one.
func TestWhateverCommitFailsTheRegistryStaysSound(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		for n := 1; ; n++ {
			w := newFaultyWorld(t, n, f.fault)
			failed := w.life()
			w.fsck()
			if failed == 0 {
				break // the life has fewer commits
			}
			if failed > 2 {
				t.Errorf("commit %d fails %s, and then %d steps", n, name, failed)
			}
		}
	}
}

// life registers, amends, reads, suspends and hands over, repeating what fails,
// and tells how often something did.
func (w *world) life() (failed int) {
	w.t.Helper()
	step := func(do func() error) {
		w.t.Helper()
		w.pass(time.Minute)
		for range 3 {
			err := do()
			if err == nil || isA[*registry.Conflict](err) { // done by the try before
				return
			}
			if !errors.Is(err, registry.ErrUnavailable) && !errors.Is(err, registry.ErrFull) {
				w.t.Fatalf("%v", explain(err))
			}
			failed++
		}
	}
	var id passport.ID
	step(func() error {
		r, err := w.RegisterPassport(w.ctx(), keyed(pack(w.t, "A1").by(w.t, maker), "k"))
		id = r.Passport
		return err
	})
	step(func() error { return second(w.RecordCondition(w.ctx(), id, reading(w.t, "04:00:00Z").by(w.t, maker))) })
	step(func() error { return second(w.SetState(w.ctx(), operator, id, registry.Suspended, "dataDisputed")) })
	step(func() error {
		return second(w.Amend(w.ctx(), id, pack(w.t, "A1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn").by(w.t, maker)))
	})
	step(func() error { return second(w.SetState(w.ctx(), operator, id, registry.Active, "resolved")) })
	step(func() error { return second(w.Passport(w.ctx(), id, 0, reader(customs))) })
	step(func() error { return second(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now())) })
	step(func() error { return w.release(maker, id, rival.Org) })
	step(func() error {
		return second(w.RegisterPassport(w.ctx(), pack(w.t, "A1").after(id).by(w.t, rival)))
	})
	return failed
}

// gone is a database that does not answer.
type gone struct{ registry.Store }

var errGone = fmt.Errorf("connection refused: %w", registry.ErrUnavailable)

func (gone) Commit(context.Context, registry.Change) (registry.Committed, error) {
	return registry.Committed{}, errGone
}

func (gone) Earlier(context.Context, passport.OrgID, registry.Once) (registry.Committed, error) {
	return registry.Committed{}, errGone
}

func (gone) Record(context.Context, registry.Query) (registry.Record, error) {
	return registry.Record{}, errGone
}

func (gone) Records(context.Context, registry.Filter) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) { yield(registry.Record{}, errGone) }
}

func (gone) Disclosures(context.Context, []passport.OrgID, []passport.ID) (map[passport.ID][]registry.Disclosure, error) {
	return nil, errGone
}

func (gone) Status(context.Context, passport.ID) ([]registry.StatusChange, error) {
	return nil, errGone
}

func (gone) StatusList(context.Context, int) (map[int]registry.State, error) { return nil, errGone }

func (gone) ReserveSlots(context.Context, int) (int64, error) { return 0, errGone }

func (gone) Organisations(context.Context) ([]registry.Organisation, error) { return nil, errGone }

func (gone) Members(context.Context, passport.OrgID) ([]registry.Member, error) { return nil, errGone }

func (gone) Grants(context.Context, passport.OrgID) ([]registry.Grant, error) { return nil, errGone }

func (gone) Reads(context.Context, passport.OrgID, int) ([]registry.Read, error) { return nil, errGone }

func (gone) Release(context.Context, passport.ID) (registry.Release, error) {
	return registry.Release{}, errGone
}

func (gone) PendingLeaves(context.Context) (int64, error) { return 0, errGone }

func (gone) Ping(context.Context) error { return errGone }

// switchable is a database that can go away and come back.
type switchable struct {
	registry.Store
	truth registry.Store
}

func TestEveryCallSaysThatTheDatabaseIsAwayAndWorksWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := &switchable{}
	w := newWorldOn(t, onSQLite, func(truth registry.Store) registry.Store {
		s.Store, s.truth = truth, truth
		return s
	})
	receipt := w.register(pack(t, "A1"))
	id, model := receipt.Passport, issued(receipt, passport.Model)
	battery := need(passport.ParseBatteryID(receipt.BatteryID))(t)
	link, _ := battery.DigitalLink()
	grant := document{"organisation": "kreislauf", "points": []string{"point2"}, "validUntil": "2027-05-01T00:00:00Z", "scope": map[string]any{"passport": id.String()}}
	calls := map[string]func() error{
		"register model": func() error { return second(w.RegisterModel(w.ctx(), pack(t, "A1").only("model").by(t, maker))) },
		"register batch": func() error {
			return second(w.RegisterBatch(w.ctx(), pack(t, "A1").only("model", "batch").by(t, maker)))
		},
		"register passport": func() error { return second(w.RegisterPassport(w.ctx(), dry(pack(t, "A2").by(t, maker)))) },
		"amend":             func() error { return second(w.Amend(w.ctx(), id, pack(t, "A1").only("passport").by(t, maker))) },
		"condition":         func() error { return second(w.RecordCondition(w.ctx(), id, dry(reading(t, "04:00:00Z").by(t, maker)))) },
		"release":           func() error { return w.release(maker, id, rival.Org) },
		"grant":             func() error { return second(w.GiveGrant(w.ctx(), grant.by(t, maker))) },
		"revoke": func() error {
			if err := w.RevokeGrant(w.ctx(), maker, id); !errors.Is(err, registry.ErrNotFound) {
				return err
			}
			return nil
		},
		"grants":        func() error { return second(w.Grants(w.ctx(), maker)) },
		"purpose log":   func() error { return second(w.PurposeLog(w.ctx(), maker, 10)) },
		"passport":      func() error { return second(w.Passport(w.ctx(), id, 0, registry.Reader{})) },
		"passport read": func() error { return second(w.Passport(w.ctx(), id, 0, reader(recycler))) },
		"versions":      func() error { return second(w.Versions(w.ctx(), id)) },
		"shared":        func() error { return second(w.Shared(w.ctx(), passport.Model, model.Series, 0, registry.Reader{})) },
		"standing":      func() error { return second(w.Standing(w.ctx(), id)) },
		"in force":      func() error { return second(w.InForce(w.ctx(), battery)) },
		"look":          func() error { return second(w.Look(w.ctx(), link)) },
		"own":           func() error { return second(w.Own(w.ctx(), maker, passport.Item, passport.ID{}, 5)) },
		"verification":  func() error { return second(w.Verification(w.ctx(), id, 0)) },
		"verify":        func() error { return second(w.Verify(w.ctx(), issued(receipt, passport.Item).Token)) },
		"list":          func() error { return second(w.StatusList(w.ctx(), registry.TokenList, 0, "jwt")) },
		"organisation":  func() error { return second(w.Organisation(w.ctx(), maker.Org)) },
		"trust":         func() error { return second(w.SignedTrust(w.ctx())) },
		"members":       func() error { return second(w.MemberRoles(w.ctx(), maker.Org, base, "ada")) },
		"ready":         func() error { return w.Ready(w.ctx()) },
		"pending":       func() error { return second(w.PendingLeaves(w.ctx())) },
		"rotate":        func() error { return second(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now())) },
		"bind":          func() error { return w.BindIssuer(w.ctx(), operator, maker.Org, "https://login.example") },
		"suspend": func() error {
			err := second(w.SetState(w.ctx(), operator, id, registry.Suspended, "dataDisputed"))
			if isA[*registry.Conflict](err) {
				return nil
			}
			return err
		},
	}
	for name, call := range calls {
		w.pass(time.Minute) // nothing that may change is still held
		s.Store = gone{}
		if err := call(); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("%s while the database is away: %v", name, err)
		}
		s.Store = s.truth
		if err := call(); err != nil {
			t.Errorf("%s when it is back: %v", name, explain(err))
		}
	}
	w.fsck()
}
