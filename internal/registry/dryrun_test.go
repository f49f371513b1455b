package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// outcome is how a write ends, without the ids that only an issue makes.
func outcome(r registry.Receipt, err error) string {
	if invalid, ok := errors.AsType[*registry.Invalid](err); ok {
		var all []string
		for _, v := range invalid.Violations {
			all = append(all, v.Pointer+" "+v.Code)
		}
		return strings.Join(all, ", ")
	}
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, rec := range r.Records {
		how := "new"
		if rec.Reused {
			how = "reused"
		}
		all = append(all, string(rec.Type)+" "+string(rune('0'+rec.Version))+" "+how)
	}
	for _, v := range r.Warnings {
		all = append(all, v.Pointer+" "+v.Code)
	}
	return r.BatteryID + " " + strings.Join(all, ", ")
}

// write is one of the calls that register something.
type write = func(context.Context, registry.Write) (registry.Receipt, error)

// TestADryRunEndsAsTheRealOneDoes tries each write dry first, when nothing may
// be stored, and then in earnest: both pass the same gates.
func TestADryRunEndsAsTheRealOneDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(pack(t, "A1"))
	old := w.register(pack(t, "B1"))
	w.register(pack(t, "B1").after(old.Passport))
	suspended := w.register(pack(t, "C1"))
	need(w.SetState(w.ctx(), operator, suspended.Passport, registry.Suspended, "dataDisputed"))(t)
	need(w.RecordCondition(w.ctx(), first.Passport, reading(t, "06:00:00Z").by(t, maker)))(t)
	long := map[string]any{"com.example.note": map[string]any{"text": strings.Repeat("long ", 50_000)}}
	amended := pack(t, "A1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn")
	model := pack(t, "A1").only("model")
	passports, models, batches := w.RegisterPassport, w.RegisterModel, w.RegisterBatch
	amend := func(id passport.ID) write {
		return func(c context.Context, x registry.Write) (registry.Receipt, error) { return w.Amend(c, id, x) }
	}
	record := func(id passport.ID) write {
		return func(c context.Context, x registry.Write) (registry.Receipt, error) {
			return w.RecordCondition(c, id, x)
		}
	}
	for _, tt := range []struct {
		name string
		do   write
		doc  document
		by   access.Subject
	}{
		{"new", passports, pack(t, "D1"), maker},
		{"new, of a known model", passports, pack(t, "D2").pin(first, passport.Model, passport.Batch), maker},
		{"new, of a foreign model", passports, pack(t, "D3").pin(first, passport.Model, passport.Batch), rival},
		{"with faults", passports, pack(t, "D4").set("x", "passport", "serialNumber").set(nil, "model", "identification", "modelId"), maker},
		{"too large", passports, pack(t, "D5").set(long, "passport", "extensions"), maker},
		{"registered", passports, pack(t, "A1"), maker},
		{"not released", passports, pack(t, "A1").pin(first, passport.Model, passport.Batch).after(first.Passport), rival},
		{"after a suspended one", passports, pack(t, "C1").after(suspended.Passport), maker},
		{"after its own", passports, pack(t, "A1").after(first.Passport), maker},
		{"without a key", passports, pack(t, "D6"), as(customs.Org, access.Issuer)},
		{"not an issuer", passports, pack(t, "D6"), customs},
		{"anonymous", passports, pack(t, "D6"), nobody},
		{"model unchanged", models, model, maker},
		{"model changed", models, pack(t, "A1").only("model").set("85076080", "model", "identification", "commodityCode"), maker},
		{"version taken", models, pack(t, "A1").only("model").set("85076090", "model", "identification", "commodityCode").set(1, "version"), maker},
		{"version not next", models, pack(t, "A1").only("model").set("85076090", "model", "identification", "commodityCode").set(9, "version"), maker},
		{"batch of another model", batches, pack(t, "A1").only("batch", "model").set("OTHER", "model", "identification", "modelId"), maker},
		{"amendment of a foreign one", amend(suspended.Passport), pack(t, "C1").only("passport"), rival},
		{"amendment of a suspended one", amend(suspended.Passport), pack(t, "C1").only("passport").set("2027-03-20", "passport", "placedOnMarketOn"), maker},
		{"amendment of a superseded one", amend(old.Passport), pack(t, "B1").only("passport"), maker},
		{"amendment of another battery", amend(suspended.Passport), pack(t, "A1").only("passport"), maker},
		{"amendment too late", amend(first.Passport), amended, maker},
		{"reading too late", record(first.Passport), reading(t, "05:00:00Z"), maker},
		{"reading of a suspended one", record(suspended.Passport), reading(t, "05:00:00Z"), maker},
	} {
		t.Run(tt.name, func(t *testing.T) {
			commits, slots := w.truth.written(), need(w.truth.ReserveSlots(w.ctx(), 1))(t)
			receipt, err := tt.do(w.ctx(), dry(tt.doc.by(t, tt.by)))
			rehearsed := outcome(receipt, err)
			if w.truth.written() != commits || need(w.truth.ReserveSlots(w.ctx(), 1))(t) != slots+1 {
				t.Error("the dry run stored something")
			}
			for _, rec := range receipt.Records {
				if !receipt.DryRun || !rec.Reused && (!rec.RecordID.IsZero() || rec.Token != nil) {
					t.Errorf("the dry run shows what was not issued: %+v", rec)
				}
			}
			if diff := cmp.Diff(rehearsed, outcome(tt.do(w.ctx(), tt.doc.by(t, tt.by)))); diff != "" {
				t.Errorf("outcomes (-dry +real):\n%s", diff)
			}
		})
	}
	w.fsck()
}
