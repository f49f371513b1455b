package registry_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/tlog"
	"github.com/provolt/provolt/internal/verify"
)

// release lets an organisation issue the successor of a passport.
func (w *world) release(by access.Subject, id passport.ID, to passport.OrgID) error {
	w.t.Helper()
	_, err := w.ReleaseBattery(w.ctx(), id, document{"to": string(to)}.by(w.t, by))
	return err
}

func (w *world) standing(id passport.ID) registry.Standing {
	w.t.Helper()
	return need(w.Standing(w.ctx(), id))(w.t)
}

func TestAnOperatorFollowsItsOwnPassport(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		w.pass(time.Hour)
		next := w.register(pack(w.t, "A1").after(first.Passport))
		if got := w.standing(first.Passport); got.State != registry.Superseded || got.Successor != next.Passport || got.Reason != "successorIssued" {
			w.t.Errorf("the first stands as %+v", got)
		}
		if got := w.standing(next.Passport); got.State != registry.Active || !got.Successor.IsZero() {
			w.t.Errorf("the second stands as %+v", got)
		}
		battery := need(passport.ParseBatteryID(next.BatteryID))(w.t)
		if got := need(w.InForce(w.ctx(), battery))(w.t); got != next.Passport {
			w.t.Errorf("in force is %s, want %s", got, next.Passport)
		}
		for _, id := range []passport.ID{first.Passport, next.Passport} { // both stay readable, and true
			w.view(id, nobody)
			w.verdict(id, verify.Genuine)
		}
		// The successor of all that came before is the one in force.
		last := w.register(pack(w.t, "A1").after(next.Passport))
		for _, id := range []passport.ID{first.Passport, next.Passport} {
			if got := w.standing(id).Successor; got != last.Passport {
				w.t.Errorf("%s leads to %s, want %s", id, got, last.Passport)
			}
		}
	})
}

func TestASuccessorNamesThePassportInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(pack(t, "A1"))
	next := w.register(pack(t, "A1").after(first.Passport))
	other := w.register(pack(t, "A2"))
	for name, doc := range map[string]document{
		"names none":                       pack(t, "A1"),
		"names an old one":                 pack(t, "A1").after(first.Passport),
		"names another":                    pack(t, "A1").after(other.Passport),
		"names a text that ends in the id": pack(t, "A1").set([]any{map[string]any{"uri": "https://x.example/?" + next.Passport.String()}}, "passport", "predecessors"),
	} {
		_, err := w.RegisterPassport(w.ctx(), doc.by(t, maker))
		if c := w.clash(err, registry.CodeBatteryRegistered); c.Existing != next.Passport {
			t.Errorf("%s: led to %s, want %s", name, c.Existing, next.Passport)
		}
	}
	page := pack(t, "A1").set([]any{map[string]any{"uri": base + "/p/" + next.Passport.String()}}, "passport", "predecessors")
	w.register(page)
	w.fsck()
}

func TestAnotherOrganisationFollowsOnlyWhatWasReleasedToIt(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		successor := pack(w.t, "A1").pin(first, passport.Model, passport.Batch).after(first.Passport).by(w.t, rival)
		refused := func(when string) {
			w.t.Helper()
			for _, write := range []registry.Write{successor, dry(successor)} {
				_, err := w.RegisterPassport(w.ctx(), write)
				if c := w.clash(err, registry.CodeBatteryNotReleased); c.Existing != first.Passport {
					w.t.Errorf("%s: led to %s", when, c.Existing)
				}
			}
		}
		refused("without a release")
		w.must(w.release(maker, first.Passport, "kreislauf"))
		refused("released to somebody else")
		w.must(w.release(maker, first.Passport, rival.Org))
		w.must(w.release(maker, first.Passport, maker.Org))
		refused("taken back")
		w.must(w.release(maker, first.Passport, rival.Org))
		next := need(w.RegisterPassport(w.ctx(), successor))(w.t)
		if got := w.standing(first.Passport); got.State != registry.Superseded || got.Successor != next.Passport || got.History[0].Actor != rival.Org {
			w.t.Errorf("the first stands as %+v", got)
		}
		// The release is used up with the passport it was for.
		_, err := w.RegisterPassport(w.ctx(), pack(w.t, "A1").after(next.Passport).by(w.t, maker))
		w.clash(err, registry.CodeBatteryNotReleased)
		w.clash(w.release(maker, first.Passport, maker.Org), registry.CodeSuperseded)
	})
}

func TestAnAuthorityReleasesWhatItDoesNotOwnAndOthersDoNot(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		for _, who := range []access.Subject{rival, recycler, verifier, auditor, operator} {
			if err := w.release(who, first.Passport, rival.Org); !errors.Is(err, registry.ErrNotFound) {
				w.t.Errorf("%s releases another's battery: %v", who.Roles, err)
			}
		}
		w.is(w.release(nobody, first.Passport, rival.Org), registry.ErrUnauthenticated)
		w.is(w.release(customs, issued(first, passport.Model).Series, rival.Org), registry.ErrNotFound)
		w.invalid(w.release(customs, first.Passport, "unknown-org"), "/to", "organisation.unknown")
		w.must(w.release(customs, first.Passport, rival.Org))
		w.registerAs(rival, pack(w.t, "A1").pin(first, passport.Model, passport.Batch).after(first.Passport))
	})
}

func TestNobodyLeavesASuspensionBehindByStartingAnew(t *testing.T) {
	t.Parallel()
	w, race := newRacingWorld(t)
	first := w.register(pack(t, "A1"))
	w.must(w.release(maker, first.Passport, rival.Org))
	write := pack(t, "A1").after(first.Passport).by(t, maker)
	// Even if the suspension comes between planning and committing.
	race.beforeCommit(func() {
		need(w.open(w.truth).SetState(w.ctx(), operator, first.Passport, registry.Suspended, "dataDisputed"))(t)
	})
	_, err := w.RegisterPassport(w.ctx(), write)
	w.clash(err, registry.CodeSuspended)
	for _, write := range []registry.Write{write, dry(write), pack(t, "A1").after(first.Passport).by(t, rival)} {
		_, err := w.RegisterPassport(w.ctx(), write)
		if c := w.clash(err, registry.CodeSuspended); c.Existing != first.Passport {
			t.Errorf("led to %s", c.Existing)
		}
	}
	w.verdict(first.Passport, verify.Suspended)
	need(w.SetState(w.ctx(), operator, first.Passport, registry.Active, "resolved"))(t)
	need(w.RegisterPassport(w.ctx(), write))(t)
	w.fsck()
}

func TestOfTwoSuccessorsAtOnceOneFollows(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		w.must(w.release(maker, first.Passport, rival.Org))
		writes := []registry.Write{
			pack(w.t, "A1").after(first.Passport).by(w.t, maker),
			pack(w.t, "A1").pin(first, passport.Model, passport.Batch).after(first.Passport).by(w.t, rival),
		}
		faults := make([]error, 8)
		together(len(faults), func(i int) { faults[i] = second(w.RegisterPassport(w.ctx(), writes[i%2])) })
		if won := len(slices.DeleteFunc(slices.Clone(faults), func(err error) bool { return err != nil })); won != 1 {
			w.t.Errorf("%d followed: %v", won, faults)
		}
		for _, err := range faults {
			if err != nil && !isA[*registry.Conflict](err) {
				w.t.Errorf("a loser gets %v", err)
			}
		}
	})
}

func TestAnAmendmentIsTheNextVersionOfTheSamePassport(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		w.pass(time.Hour)
		amendment := pack(w.t, "A1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn").by(w.t, maker)
		receipt := need(w.Amend(w.ctx(), first.Passport, amendment))(w.t)
		if got := issued(receipt, passport.Item); receipt.Passport != first.Passport || got.Version != 2 || got.Reused || len(got.Token) == 0 {
			w.t.Errorf("receipt: %+v", receipt)
		}
		again := need(w.Amend(w.ctx(), first.Passport, amendment))(w.t)
		if !again.Unchanged || again.Records[2].RecordID != receipt.Records[2].RecordID || !cmp.Equal(again.Records[2].Token, receipt.Records[2].Token) {
			w.t.Errorf("the same again: %+v", again)
		}
		for version, want := range map[int]string{0: "2027-03-20", 1: "2027-03-15", 2: "2027-03-20"} {
			view := need(w.Passport(w.ctx(), first.Passport, version, registry.Reader{}))(w.t)
			if got := view.Item.Record["placedOnMarketOn"]; got != want || view.Latest != 2 {
				w.t.Errorf("version %d of %d says %v, want %s", version, view.Latest, got, want)
			}
		}
		w.is(second(w.Passport(w.ctx(), first.Passport, 3, registry.Reader{})), registry.ErrNotFound)
		var versions []int
		for _, v := range need(w.Versions(w.ctx(), first.Passport))(w.t) {
			versions = append(versions, v.Version)
		}
		if diff := cmp.Diff([]int{1, 2}, versions); diff != "" {
			w.t.Errorf("versions:\n%s", diff)
		}
		_, err := w.Amend(w.ctx(), first.Passport, pack(w.t, "A2").only("passport").by(w.t, maker))
		w.invalid(err, "/passport/batteryId", "batteryId.changed")
		// With a model of its own the amendment rests on the next version.
		changed := pack(w.t, "A1").only("passport", "model", "batch").set("85076080", "model", "identification", "commodityCode")
		third := need(w.Amend(w.ctx(), first.Passport, changed.by(w.t, maker)))(w.t)
		if got := []int{third.Records[0].Version, third.Records[1].Version, third.Records[2].Version}; !slices.Equal(got, []int{2, 2, 3}) {
			w.t.Errorf("versions of model, batch and passport: %v", got)
		}
	})
}

func TestAForeignPassportCannotBeAmendedNorSeenToExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(pack(t, "A1")).Passport
	unknown := need(passport.ParseID("01890000-0000-7000-8000-000000000000"))(t)
	amendment, condition := pack(t, "A1").only("passport"), reading(t, "04:00:00Z")
	for _, who := range []access.Subject{rival, recycler, customs, verifier, auditor, operator} {
		for _, id := range []passport.ID{id, unknown} {
			w.is(second(w.Amend(w.ctx(), id, amendment.by(t, who))), registry.ErrNotFound)
			w.is(second(w.RecordCondition(w.ctx(), id, condition.by(t, who))), registry.ErrNotFound)
			// Not even by the faults of a body that is only read for the owner.
			w.is(second(w.Amend(w.ctx(), id, registry.Write{By: who, Body: []byte(`[`)})), registry.ErrNotFound)
		}
	}
	clerk := as(maker.Org, access.LegitimateInterest)
	w.is(second(w.Amend(w.ctx(), id, amendment.by(t, clerk))), registry.ErrForbidden)
	w.is(second(w.Amend(w.ctx(), id, amendment.by(t, nobody))), registry.ErrUnauthenticated)
	w.is(second(w.RecordCondition(w.ctx(), unknown, condition.by(t, nobody))), registry.ErrUnauthenticated)
	w.fsck()
}

func TestASuspendedPassportIsPutRightByAnAmendmentAndStaysSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(pack(t, "A1")).Passport
	need(w.SetState(w.ctx(), operator, id, registry.Suspended, "dataDisputed"))(t)
	need(w.Amend(w.ctx(), id, pack(t, "A1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn").by(t, maker)))(t)
	if got := w.standing(id).State; got != registry.Suspended {
		t.Errorf("amended, it is %s", got)
	}
	w.verdict(id, verify.Suspended)
	w.fsck()
}

func TestASupersededPassportNoLongerChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(pack(t, "A1"))
	next := w.register(pack(t, "A1").after(first.Passport))
	amendment := pack(t, "A1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn").by(t, maker)
	for _, err := range []error{
		second(w.Amend(w.ctx(), first.Passport, amendment)), second(w.Amend(w.ctx(), first.Passport, dry(amendment))),
		second(w.RecordCondition(w.ctx(), first.Passport, reading(t, "04:00:00Z").by(t, maker))),
		w.release(maker, first.Passport, rival.Org),
	} {
		if c := w.clash(err, registry.CodeSuperseded); c.Existing != next.Passport {
			t.Errorf("led to %s, want the successor %s", c.Existing, next.Passport)
		}
	}
	w.clash(second(w.SetState(w.ctx(), operator, first.Passport, registry.Suspended, "dataDisputed")), registry.CodeStateChanged)
	w.fsck()
}

func TestAnAmendmentLosesToASuccessorThatComesFirst(t *testing.T) {
	t.Parallel()
	w, race := newRacingWorld(t)
	first := w.register(pack(t, "A1"))
	var next registry.Receipt
	race.beforeCommit(func() {
		next = need(w.open(w.truth).RegisterPassport(w.ctx(), pack(t, "A1").after(first.Passport).by(t, maker)))(t)
	})
	_, err := w.Amend(w.ctx(), first.Passport, pack(t, "A1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn").by(t, maker))
	if c := w.clash(err, registry.CodeSuperseded); c.Existing != next.Passport {
		t.Errorf("led to %s, want %s", c.Existing, next.Passport)
	}
	w.fsck()
}

func TestOfTwoAmendmentsAtOnceOneIsAConflict(t *testing.T) {
	t.Parallel()
	w, race := newRacingWorld(t)
	id := w.register(pack(t, "A1")).Passport
	amend := func(reg *registry.Registry, day string) error {
		return second(reg.Amend(w.ctx(), id, pack(t, "A1").only("passport").set(day, "passport", "placedOnMarketOn").by(t, maker)))
	}
	race.beforeCommit(func() { must(t, amend(w.open(w.truth), "2027-03-20")) })
	w.clash(amend(w.Registry, "2027-03-21"), registry.CodeVersionTaken)
	w.must(amend(w.Registry, "2027-03-21"))
	w.fsck()
}

// reading is a condition recorded at a time of the day before the stories begin.
func reading(t testing.TB, at string) document {
	t.Helper()
	return example(t, "condition-ev.json").set("2027-03-31T"+at, "condition", "recordedAt")
}

func TestReadingsAreChainedInTheOrderOfTheirTime(t *testing.T) {
	everywhere(t, func(w *world) {
		id := w.register(pack(w.t, "A1")).Passport
		record := func(at string) (registry.Receipt, error) {
			return w.RecordCondition(w.ctx(), id, reading(w.t, at).by(w.t, maker))
		}
		before := need(w.PendingLeaves(w.ctx()))(w.t)
		first := need(record("04:00:00Z"))(w.t)
		if first.Passport != id || first.BatteryID == "" || first.Records[0].Version != 1 {
			w.t.Errorf("receipt: %+v", first)
		}
		next := need(record("06:30:00+02:00"))(w.t) // half an hour later
		again := need(record("06:30:00+02:00"))(w.t)
		if next.Records[0].Version != 2 || !again.Unchanged || again.Records[0].RecordID != next.Records[0].RecordID || len(again.Records[0].Token) == 0 {
			w.t.Errorf("second reading %+v, the same again %+v", next, again)
		}
		for _, at := range []string{"04:00:00Z", "04:15:00Z", "04:30:00Z", "05:00:00+01:00"} {
			if c := w.clash(second(record(at)), registry.CodeConditionNotNewest); c.Existing != next.Records[0].RecordID {
				w.t.Errorf("a reading of %s is led to %s", at, c.Existing)
			}
		}
		if after := need(w.PendingLeaves(w.ctx()))(w.t); after != before {
			w.t.Errorf("readings made %d entries for the log", after-before)
		}
	})
}

func TestReadingsRecordedAtOnceFormOneChain(t *testing.T) {
	t.Parallel()
	w, race := newRacingWorld(t)
	id := w.register(pack(t, "A1")).Passport
	race.beforeCommit(func() { need(w.open(w.truth).RecordCondition(w.ctx(), id, reading(t, "04:00:00Z").by(t, maker)))(t) })
	if got := need(w.RecordCondition(w.ctx(), id, reading(t, "05:00:00Z").by(t, maker)))(t).Records[0].Version; got != 2 {
		t.Errorf("the later reading is version %d, want 2", got)
	}
	race.beforeCommit(func() { need(w.open(w.truth).RecordCondition(w.ctx(), id, reading(t, "07:00:00Z").by(t, maker)))(t) })
	w.clash(second(w.RecordCondition(w.ctx(), id, reading(t, "06:00:00Z").by(t, maker))), registry.CodeConditionNotNewest)
	w.fsck()
}

func TestASuccessionStandsInTheLogOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(pack(t, "A1"))
	w.register(pack(t, "A1").after(first.Passport))
	entries := 0
	for _, leaf := range w.truth.leaves {
		if leaf.Kind == tlog.Supersede && leaf.Series == first.Passport {
			entries++
		}
	}
	if entries != 1 {
		t.Errorf("%d entries", entries)
	}
	w.fsck() // compares each with the history
}
