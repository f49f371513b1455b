package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/internal/verify"
)

func TestAWholeDocumentBecomesAGenuinePassport(t *testing.T) {
	everywhere(t, func(w *world) {
		receipt := w.register(example(w.t, "ev.json"))
		var types []passport.RecordType
		for _, rec := range receipt.Records {
			types = append(types, rec.Type)
			if rec.Version != 1 || rec.Reused || len(rec.Token) == 0 || !rec.IssuedAt.Equal(w.clock.Now()) {
				w.t.Errorf("%s of the receipt: %+v", rec.Type, rec)
			}
		}
		if diff := cmp.Diff([]passport.RecordType{passport.Model, passport.Batch, passport.Item}, types); diff != "" {
			w.t.Errorf("records of the receipt:\n%s", diff)
		}
		link := base + "/01/09506000134376/21/AB4F7K2900001"
		if receipt.BatteryID != link || receipt.DigitalLink != link {
			w.t.Errorf("battery %s at %s, want %s", receipt.BatteryID, receipt.DigitalLink, link)
		}
		w.verdict(receipt.Passport, verify.Genuine)
		view := w.view(receipt.Passport, nobody)
		if view.Standing.State != registry.Active || view.Standing.Since.Sub(w.clock.Now()).Abs() >= 1e6 || view.Model == nil || view.Batch == nil {
			w.t.Errorf("view = %+v", view)
		}
	})
}

// verdict holds the registry's own check of a passport.
func (w *world) verdict(id passport.ID, want verify.Verdict) {
	w.t.Helper()
	result := need(w.Verification(w.ctx(), id, 0))(w.t)
	if result.Verdict != want {
		w.t.Errorf("passport %s is %s, want %s: %+v", id, result.Verdict, want, result.Checks)
	}
}

func TestEveryShippedExampleRegisters(t *testing.T) {
	everywhere(t, func(w *world) {
		for _, name := range []string{"ev.json", "lmt.json", "industrial.json", "stationary.json"} {
			receipt := w.register(example(w.t, name))
			w.verdict(receipt.Passport, verify.Genuine)
			if name == "ev.json" {
				need(w.RecordCondition(w.ctx(), receipt.Passport, reading(w.t, "04:00:00Z").by(w.t, maker)))(w.t)
			}
		}
	})
}

// shared registers model and batch of a document by themselves.
func (w *world) shared(doc document) (model, batch registry.Receipt) {
	w.t.Helper()
	model = need(w.RegisterModel(w.ctx(), doc.only("model").by(w.t, maker)))(w.t)
	batch = need(w.RegisterBatch(w.ctx(), doc.only("batch", "model").pin(model, passport.Model).by(w.t, maker)))(w.t)
	return model, batch
}

func TestOneDocumentAndThreeStepsGiveTheSameContent(t *testing.T) {
	t.Parallel()
	whole, steps := newWorld(t), newWorld(t)
	whole.register(pack(t, "A1"))
	doc := pack(t, "A1")
	model, batch := steps.shared(doc)
	receipt := steps.register(doc.pin(model, passport.Model).pin(batch, passport.Batch))
	for _, rec := range receipt.Records[:2] {
		if !rec.Reused || rec.Token != nil {
			t.Errorf("the item wrote or shows more than itself: %+v", rec)
		}
	}
	if diff := cmp.Diff(whole.contents(), steps.contents()); diff != "" {
		t.Errorf("contents (-whole +steps):\n%s", diff)
	}
	whole.fsck()
	steps.fsck()
}

// contents are the digests of what was declared, by record type.
func (w *world) contents() map[passport.RecordType][][32]byte {
	w.t.Helper()
	out := map[passport.RecordType][][32]byte{}
	for rec, err := range w.truth.Records(w.ctx(), registry.Filter{}) {
		w.must(err)
		out[rec.Type] = append(out[rec.Type], rec.ContentDigest)
	}
	return out
}

func TestTheSameBatteryAThousandTimesAtOnceIsOnePassport(t *testing.T) {
	everywhere(t, func(w *world) {
		doc := pack(w.t, "A1")
		model, batch := w.shared(doc)
		write := doc.pin(model, passport.Model).pin(batch, passport.Batch).by(w.t, maker)
		before := need(w.PendingLeaves(w.ctx()))(w.t)
		receipts, faults := make([]registry.Receipt, 1000), make([]error, 1000)
		together(len(receipts), func(i int) { receipts[i], faults[i] = w.RegisterPassport(w.ctx(), write) })
		won := slices.DeleteFunc(receipts, func(r registry.Receipt) bool { return r.Passport.IsZero() })
		if len(won) != 1 {
			w.t.Fatalf("%d passports", len(won))
		}
		for _, err := range faults {
			if err == nil {
				continue
			}
			if c := w.clash(err, registry.CodeBatteryRegistered); c.Existing != won[0].Passport {
				w.t.Errorf("a loser is led to %s, want %s", c.Existing, won[0].Passport)
			}
		}
		if after := need(w.PendingLeaves(w.ctx()))(w.t); after != before+1 {
			w.t.Errorf("%d new entries for the log, want 1", after-before)
		}
	})
}

func TestAnEqualModelOfFiftyPassportsAtOnceIsOneModel(t *testing.T) {
	everywhere(t, func(w *world) {
		var mu sync.Mutex
		used := map[passport.ID]int{}
		together(50, func(i int) {
			receipt, err := w.RegisterPassport(w.ctx(), pack(w.t, fmt.Sprintf("F%d", i)).by(w.t, maker))
			if err != nil {
				w.t.Errorf("passport %d: %v", i, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			used[issued(receipt, passport.Model).RecordID]++
			used[issued(receipt, passport.Batch).RecordID]++
		})
		if len(used) != 2 {
			w.t.Errorf("models and batches used: %v, want one of each", used)
		}
	})
}

func TestAChangedModelIsItsNextVersion(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		changed := func(serial string) document {
			return pack(w.t, serial).set("85076080", "model", "identification", "commodityCode")
		}
		second, third := w.register(changed("A2")), w.register(changed("A3"))
		for _, kind := range []passport.RecordType{passport.Model, passport.Batch} { // the batch rests on the new model
			one, two, three := issued(first, kind), issued(second, kind), issued(third, kind)
			if two.Version != 2 || two.Series != one.Series || two.Reused || three.RecordID != two.RecordID || !three.Reused {
				w.t.Errorf("%s: version 1 %+v, then %+v, then %+v", kind, one, two, three)
			}
		}
		// What was issued before still rests on what it was issued with.
		if got := w.view(first.Passport, nobody).Model.Version; got != 1 {
			w.t.Errorf("the first passport shows version %d of its model", got)
		}
	})
}

func TestAVersionAskedForByNumberIsReusedOrAConflictThatShowsTheDifferences(t *testing.T) {
	everywhere(t, func(w *world) {
		ask := func(code any, version int) (registry.Receipt, error) {
			doc := pack(w.t, "A1").only("model").set(code, "model", "identification", "commodityCode")
			if version != 0 {
				doc["version"] = version
			}
			return w.RegisterModel(w.ctx(), doc.by(w.t, maker))
		}
		need(ask("85076000", 1))(w.t)
		need(ask("85076080", 2))(w.t)
		for version, code := range map[int]string{0: "85076080", 1: "85076000", 2: "85076080"} {
			r := need(ask(code, version))(w.t)
			if want := max(version, 1); !r.Unchanged || version != 0 && r.Records[0].Version != want || len(r.Records[0].Token) == 0 {
				w.t.Errorf("version %d again: %+v", version, r)
			}
		}
		_, err := ask("85076000", 2)
		taken := w.clash(err, registry.CodeVersionTaken)
		want := []registry.Difference{{Pointer: "/identification/commodityCode", Have: `"85076080"`, Want: `"85076000"`}}
		if diff := cmp.Diff(want, taken.Diff); diff != "" || taken.Existing.IsZero() {
			w.t.Errorf("conflict with %s, differences (-want +got):\n%s", taken.Existing, diff)
		}
		_, err = ask(nil, 1)
		if gone := w.clash(err, registry.CodeVersionTaken).Diff; len(gone) != 1 || gone[0].Want != "" {
			w.t.Errorf("a member left out shows as %+v", gone)
		}
		_, err = ask("85076090", 4)
		w.clash(err, registry.CodeVersionNotNext)
		if r := need(ask("85076090", 3))(w.t); r.Unchanged || r.Records[0].Version != 3 {
			w.t.Errorf("version 3: %+v", r)
		}
	})
}

func TestABatchOfAnotherModelVersionShowsThePinInTheDifferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc := pack(t, "A1")
	first := w.register(doc)
	second := w.register(pack(t, "A2").set("85076080", "model", "identification", "commodityCode"))
	again := doc.only("batch").pin(second, passport.Model).set(json.Number("1"), "version")
	_, err := w.RegisterBatch(w.ctx(), again.by(t, maker))
	diff := w.clash(err, registry.CodeVersionTaken).Diff
	want := []registry.Difference{{
		Pointer: "/model/recordId", Have: issued(first, passport.Model).RecordID.String(), Want: issued(second, passport.Model).RecordID.String(),
	}}
	if d := cmp.Diff(want, diff); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	w.fsck()
}

func TestReuseEndsAtTheOrganisation(t *testing.T) {
	everywhere(t, func(w *world) {
		first, second := w.register(pack(w.t, "A1")), w.registerAs(rival, pack(w.t, "A2"))
		for _, kind := range []passport.RecordType{passport.Model, passport.Batch} {
			if one, two := issued(first, kind), issued(second, kind); two.Reused || two.Series == one.Series || two.Version != 1 {
				w.t.Errorf("%s of two organisations: %+v and %+v", kind, one, two)
			}
		}
	})
}

func TestAForeignModelMayBePinnedAndItsSecretsStayWithItsOwner(t *testing.T) {
	everywhere(t, func(w *world) {
		lent := w.register(pack(w.t, "A1"))
		write := keyed(pack(w.t, "V1").pin(lent, passport.Model, passport.Batch).by(w.t, rival), "k")
		receipt := need(w.RegisterPassport(w.ctx(), write))(w.t)
		for _, v := range receipt.Warnings {
			// What is withheld from the rival must not look as if it were missing.
			if strings.HasPrefix(v.Code, "attribute.") && strings.Contains(v.Expected, "model") {
				w.t.Errorf("warning about a model that is only withheld: %+v", v)
			}
		}
		replay := need(w.RegisterPassport(w.ctx(), write))(w.t)
		for _, r := range []registry.Receipt{receipt, replay} {
			for _, rec := range r.Records {
				if shown := len(rec.Token) > 0; shown != (rec.Type == passport.Item) {
					w.t.Errorf("repeated %v: token of the %s in the receipt: %v", r.Repeated, rec.Type, shown)
				}
			}
		}
		view := w.view(receipt.Passport, rival)
		if view.Item.WithheldCount != 0 || view.Model.WithheldCount == 0 || view.Batch.WithheldCount == 0 {
			w.t.Errorf("withheld from the rival: item %d, model %d, batch %d", view.Item.WithheldCount, view.Model.WithheldCount, view.Batch.WithheldCount)
		}
		if view.Item.Issuer.Org != rival.Org || view.Model.Issuer.Org != maker.Org || view.Batch.Issuer.Org != maker.Org {
			w.t.Errorf("signers: %+v, %+v, %+v", view.Item.Issuer, view.Model.Issuer, view.Batch.Issuer)
		}
		// A version that keeps the pins keeps them, whoever owns them.
		amended := need(w.Amend(w.ctx(), receipt.Passport, pack(w.t, "V1").only("passport").set("2027-03-16", "passport", "placedOnMarketOn").by(w.t, rival)))(w.t)
		if issued(amended, passport.Model).RecordID != issued(lent, passport.Model).RecordID || amended.Records[2].Version != 2 {
			w.t.Errorf("amended: %+v", amended.Records)
		}
	})
}

// TestWhatIsOwedFromADateIsPublic is why a pinned model of another organisation
// can be judged by its public members: no duty that begins at a date would seem
// neglected because it is withheld.
func TestWhatIsOwedFromADateIsPublic(t *testing.T) {
	t.Parallel()
	cat, _ := rules()
	cat.Each(passport.Model, func(a catalogue.Attribute) {
		if (a.DutyFrom != nil || a.Trigger) && a.Restricted() {
			t.Errorf("%s is restricted, and the passports of others depend on it", a.ID)
		}
	})
}

func TestABatchOfAnotherModelIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := func(doc document, model, batch string) document {
		return doc.set(model, "model", "identification", "modelId").set(batch, "batch", "batchId").set(batch, "passport", "batchId")
	}
	one, other := w.register(of(pack(t, "A1"), "ONE", "B1")), w.register(of(pack(t, "A2"), "OTHER", "B2"))
	_, err := w.RegisterPassport(w.ctx(), of(pack(t, "A3"), "ONE", "B2").pin(other, passport.Batch).by(t, maker))
	w.invalid(err, "/batch", "batch.otherModel")
	_, err = w.RegisterPassport(w.ctx(), of(pack(t, "A3"), "THIRD", "B2").pin(other, passport.Batch).by(t, maker))
	w.invalid(err, "/batch", "batch.otherModel")
	_, err = w.Amend(w.ctx(), one.Passport, of(pack(t, "A1"), "ONE", "B2").only("passport").pin(other, passport.Batch).by(t, maker))
	w.invalid(err, "/batch", "batch.otherModel")
	_, err = w.Amend(w.ctx(), one.Passport, of(pack(t, "A1"), "OTHER", "B1").only("passport", "model").by(t, maker))
	w.invalid(err, "/batch", "batch.otherModel")
	// A batch of an older version of the same model is one of the same model.
	w.register(of(pack(t, "A4"), "ONE", "B1").set("85076080", "model", "identification", "commodityCode").pin(one, passport.Batch))
	// Nor does a batch change its model from one version to the next.
	_, err = w.RegisterBatch(w.ctx(), of(pack(t, "A1"), "OTHER", "B1").only("batch", "model").by(t, maker))
	w.invalid(err, "/batch/batchId", "batch.otherModel")
	w.fsck()
}

func TestACodeOfAnotherModelIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lent := w.register(pack(t, "A1"))
	for _, who := range []access.Subject{maker, rival} { // the GTIN of a pinned model is public
		doc := pack(t, "A2").pin(lent, passport.Model, passport.Batch).set(base+"/01/09506000134352/21/A2", "passport", "batteryId")
		_, err := w.RegisterPassport(w.ctx(), doc.by(t, who))
		w.invalid(err, "/passport/batteryId", "batteryId.gtin")
	}
	w.fsck()
}

func TestACodeThatLeadsElsewhereIsAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, link := range map[string]string{
		"https://id.nordlicht.example/01/09506000134376/21/A1": base + "/01/09506000134376/21/A1", "https://nordlicht.example/pack/7": "",
	} {
		receipt := w.register(pack(t, "A1").set(id, "passport", "batteryId").set("A1", "passport", "serialNumber"))
		if receipt.DigitalLink != link {
			t.Errorf("%s resolves at %q, want %q", id, receipt.DigitalLink, link)
		}
		if !slices.ContainsFunc(receipt.Warnings, func(v passport.Violation) bool { return v.Code == "batteryId.foreignHost" }) {
			t.Errorf("no warning for %s: %+v", id, receipt.Warnings)
		}
	}
	w.fsck()
}

func TestWhatIsNoSubmissionIsRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(pack(t, "A1"))
	model, item := issued(first, passport.Model), issued(first, passport.Item)
	tests := []struct {
		name, body string
		do         func(w *world, body []byte) error
		want       map[string]string // code by pointer
	}{
		{"an array", `[]`, registerItem, map[string]string{"": "body.type"}},
		{"nothing", `{}`, registerItem, map[string]string{"/passport": "member.missing", "/model": "member.missing"}},
		{"a stranger", `{"passport": {}, "model": {}, "lot": {}, "version": 1}`, registerItem, map[string]string{"/lot": "member.unknown", "/version": "member.unknown"}},
		{"no records", `{"passport": 1, "model": "x", "batch": null}`, registerItem, map[string]string{"/passport": "member.type", "/model": "member.type", "/batch": "member.type"}},
		{
			"no ids", `{"passport": {}, "model": {"recordId": "x"}, "batch": {"recordId": "` + model.RecordID.String() + `", "batchId": "b"}}`, registerItem,
			map[string]string{"/model/recordId": "pin.form", "/batch/recordId": "pin.form"},
		},
		{
			"pins of nothing", `{"passport": {}, "model": {"recordId": "` + item.RecordID.String() + `"}, "batch": {"recordId": "` + model.Series.String() + `"}}`, registerItem,
			map[string]string{"/model/recordId": "pin.notFound", "/batch/recordId": "pin.notFound"},
		},
		{"a model that is a pin", `{"model": {"recordId": "` + model.RecordID.String() + `"}}`, registerModel, map[string]string{"/model/recordId": "schema.additionalProperties"}},
		{
			"a batch that is a pin", `{"batch": {"recordId": "` + model.RecordID.String() + `"}, "model": {"recordId": "` + model.RecordID.String() + `"}}`, registerBatch,
			map[string]string{"/batch/recordId": "schema.additionalProperties"},
		},
		{"version 0", `{"model": {}, "version": 0}`, registerModel, map[string]string{"/version": "version.form"}},
		{"half a version", `{"model": {}, "version": 1.5}`, registerModel, map[string]string{"/version": "version.form"}},
		{"a version beyond counting", `{"model": {}, "version": 99999999999}`, registerModel, map[string]string{"/version": "version.form"}},
		{"a version in words", `{"model": {}, "version": "two"}`, registerModel, map[string]string{"/version": "version.form"}},
	}
	before := w.truth.written()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(w, []byte(tt.body))
			invalid, ok := errors.AsType[*registry.Invalid](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			for pointer, code := range tt.want {
				if !slices.ContainsFunc(invalid.Violations, func(v passport.Violation) bool { return v.Pointer == pointer && v.Code == code }) {
					t.Errorf("no %s at %q in %s", code, pointer, explain(err))
				}
			}
		})
	}
	for body, is := range map[string]func(error) bool{
		`{"passport": `:                            isA[*strictjson.SyntaxError],
		`{"passport": 1, "passport": 2}`:           isA[*strictjson.Rejected],
		strings.Repeat(" ", strictjson.MaxBytes+1): isA[*strictjson.TooLarge],
	} {
		if err := registerItem(w, []byte(body)); !is(err) {
			t.Errorf("%.20s: %v", body, err)
		}
	}
	if w.truth.written() != before {
		t.Error("something was stored")
	}
	w.fsck()
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func registerModel(w *world, body []byte) error {
	_, err := w.RegisterModel(w.ctx(), registry.Write{By: maker, Body: body})
	return err
}

func registerBatch(w *world, body []byte) error {
	_, err := w.RegisterBatch(w.ctx(), registry.Write{By: maker, Body: body})
	return err
}

func registerItem(w *world, body []byte) error {
	_, err := w.RegisterPassport(w.ctx(), registry.Write{By: maker, Body: body})
	return err
}

func TestARecordLargerThanAnybodyReadsIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := map[string]any{"com.example.note": map[string]any{"text": strings.Repeat("long ", 50_000)}}
	write := pack(t, "A1").set(long, "batch", "extensions").by(t, maker)
	for _, write := range []registry.Write{write, dry(write)} {
		_, err := w.RegisterPassport(w.ctx(), write)
		w.invalid(err, "/batch", "record.tooLarge")
	}
	if n := len(w.contents()); n != 0 {
		t.Errorf("%d types of records are left of it", n)
	}
	w.fsck()
}

func TestOnlyIssuersRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc := pack(t, "A1")
	register := map[string]func(by access.Subject) error{
		"model": func(by access.Subject) error { return second(w.RegisterModel(w.ctx(), doc.only("model").by(t, by))) },
		"batch": func(by access.Subject) error {
			return second(w.RegisterBatch(w.ctx(), doc.only("model", "batch").by(t, by)))
		},
		"passport": func(by access.Subject) error { return second(w.RegisterPassport(w.ctx(), doc.by(t, by))) },
	}
	for name, register := range register {
		w.is(register(nobody), registry.ErrUnauthenticated)
		for _, who := range []access.Subject{operator, recycler, customs, verifier, auditor} {
			if err := register(who); !errors.Is(err, registry.ErrForbidden) {
				t.Errorf("%s registers a %s: %v", who.Roles, name, err)
			}
		}
	}
	w.fsck()
}

// second is the error of a call.
func second[T any](_ T, err error) error { return err }
