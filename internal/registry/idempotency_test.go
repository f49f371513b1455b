package registry_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// operation is one kind of write, for stories that are the same for all.
type operation struct {
	name string
	do   func(w *world, key string) (any, error)
	// spoilt is the same call with another body that passes every gate.
	spoilt func(w *world, key string) (any, error)
	// since happens later and makes a first request of this kind fail or do
	// something else.
	since func(w *world)
}

// operations are every write that takes an Idempotency-Key, on a passport of
// battery A1 that exists.
func operations(t testing.TB, w *world) []operation {
	t.Helper()
	first := w.register(pack(t, "A1"))
	id := first.Passport
	receipts := func(call func(registry.Write) (registry.Receipt, error), doc document) func(*world, string) (any, error) {
		return func(w *world, key string) (any, error) {
			r, err := call(keyed(doc.by(w.t, maker), key))
			r.Repeated = false
			return r, err
		}
	}
	about := func(call func(context.Context, passport.ID, registry.Write) (registry.Receipt, error)) func(registry.Write) (registry.Receipt, error) {
		return func(write registry.Write) (registry.Receipt, error) { return call(w.ctx(), id, write) }
	}
	plain := func(call func(context.Context, registry.Write) (registry.Receipt, error)) func(registry.Write) (registry.Receipt, error) {
		return func(write registry.Write) (registry.Receipt, error) { return call(w.ctx(), write) }
	}
	model := func(code string) document {
		return pack(t, "A1").only("model").set(code, "model", "identification", "commodityCode")
	}
	batch := func(unit string) document {
		return pack(t, "A1").only("batch").set(map[string]any{"com.example.note": map[string]any{"text": unit}}, "batch", "extensions").pin(first, passport.Model)
	}
	amendment := func(day string) document {
		return pack(t, "A1").only("passport").set(day, "passport", "placedOnMarketOn")
	}
	grant := func(until string) document {
		return document{"organisation": "kreislauf", "points": []string{"point2"}, "validUntil": until}
	}
	supersede := func(w *world) {
		w.register(pack(t, "A1").after(id))
	}
	return []operation{
		{"model", receipts(plain(w.RegisterModel), model("85076080")), receipts(plain(w.RegisterModel), model("85076090")), func(w *world) {
			must(t, second(w.RegisterModel(w.ctx(), model("85076070").by(t, maker))))
		}},
		{"batch", receipts(plain(w.RegisterBatch), batch("one")), receipts(plain(w.RegisterBatch), batch("two")), func(w *world) {
			must(t, second(w.RegisterBatch(w.ctx(), batch("three").by(t, maker))))
		}},
		{"passport", receipts(plain(w.RegisterPassport), pack(t, "B1")), receipts(plain(w.RegisterPassport), pack(t, "B2")), func(w *world) {
			b1 := need(w.InForce(w.ctx(), need(passport.ParseBatteryID(base+"/01/09506000134376/21/B1"))(t)))(t)
			w.register(pack(t, "B1").after(b1))
		}},
		{"version", receipts(about(w.Amend), amendment("2027-03-20")), receipts(about(w.Amend), amendment("2027-03-21")), supersede},
		{"condition", receipts(about(w.RecordCondition), reading(t, "04:00:00Z")), receipts(about(w.RecordCondition), reading(t, "05:00:00Z")), func(w *world) {
			holder := need(w.InForce(w.ctx(), need(passport.ParseBatteryID(base+"/01/09506000134376/21/A1"))(t)))(t)
			w.register(pack(t, "A1").after(holder))
		}},
		{
			"grant", func(w *world, key string) (any, error) {
				return w.GiveGrant(w.ctx(), keyed(grant("2027-04-03T00:00:00Z").by(t, maker), key))
			},
			func(w *world, key string) (any, error) {
				return w.GiveGrant(w.ctx(), keyed(grant("2027-04-04T00:00:00Z").by(t, maker), key))
			}, func(w *world) { w.pass(72 * time.Hour) },
		},
		{
			"release", func(w *world, key string) (any, error) {
				return w.ReleaseBattery(w.ctx(), id, keyed(document{"to": "veloplus"}.by(t, maker), key))
			},
			func(w *world, key string) (any, error) {
				return w.ReleaseBattery(w.ctx(), id, keyed(document{"to": "kreislauf"}.by(t, maker), key))
			}, func(w *world) { must(t, w.release(maker, id, maker.Org)) },
		},
	}
}

func TestARepeatedRequestIsAnsweredAsTheFirstWas(t *testing.T) {
	t.Parallel()
	for i := range 7 {
		w := newWorld(t)
		o := operations(t, w)[i]
		t.Run(o.name, func(t *testing.T) {
			w.pass(time.Minute)
			answer := need(o.do(w, "k"))(t)
			for _, when := range []string{"at once", "an hour later", "when much has happened since"} {
				before := w.truth.written()
				again := need(o.do(w, "k"))(t)
				if diff := cmp.Diff(answer, again); diff != "" || w.truth.written() != before {
					t.Errorf("repeated %s: %d commits, answer (-first +again):\n%s", when, w.truth.written()-before, diff)
				}
				w.clash(second(o.spoilt(w, "k")), registry.CodeKeyReused)
				if w.pass(time.Hour); when == "an hour later" {
					o.since(w)
				}
			}
			need(o.do(w, "k"))(t)
			w.fsck()
		})
	}
}

func TestARepetitionSaysThatItIsOne(t *testing.T) {
	everywhere(t, func(w *world) {
		write := keyed(pack(w.t, "A1").by(w.t, maker), "k")
		first, again := need(w.RegisterPassport(w.ctx(), write))(w.t), need(w.RegisterPassport(w.ctx(), write))(w.t)
		if first.Repeated || !again.Repeated {
			w.t.Errorf("repeated: first %v, again %v", first.Repeated, again.Repeated)
		}
	})
}

func TestWhatWasUnchangedStaysUnchangedWhenRepeated(t *testing.T) {
	everywhere(t, func(w *world) {
		doc := pack(w.t, "A1").only("model")
		need(w.RegisterModel(w.ctx(), doc.by(w.t, maker)))(w.t)
		write := keyed(doc.by(w.t, maker), "k")
		first := need(w.RegisterModel(w.ctx(), write))(w.t)
		changed := pack(w.t, "A1").only("model").set("85076080", "model", "identification", "commodityCode")
		need(w.RegisterModel(w.ctx(), changed.by(w.t, maker)))(w.t)
		again := need(w.RegisterModel(w.ctx(), write))(w.t)
		if !first.Unchanged || !again.Unchanged || !again.Repeated || again.Records[0].Version != 1 {
			w.t.Errorf("first %+v, again %+v", first, again)
		}
		w.clash(second(w.RegisterModel(w.ctx(), keyed(changed.by(w.t, maker), "k"))), registry.CodeKeyReused)
	})
}

func TestAKeyBelongsToOneOrganisationAndOneOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := need(w.RegisterPassport(w.ctx(), keyed(pack(t, "A1").by(t, maker), "k")))(t)
	need(w.RegisterModel(w.ctx(), keyed(pack(t, "A1").only("model").by(t, maker), "k")))(t)
	need(w.RegisterPassport(w.ctx(), keyed(pack(t, "A2").by(t, rival), "k")))(t)
	two := w.register(pack(t, "A3"))
	for _, id := range []passport.ID{first.Passport, two.Passport} { // the passport is part of the operation
		need(w.RecordCondition(w.ctx(), id, keyed(reading(t, "04:00:00Z").by(t, maker), "k")))(t)
	}
	// What an authority does to a passport is under its own keys.
	for who, to := range map[string]string{"nordlicht": "veloplus", "hafenzoll": "kreislauf"} {
		by := map[string]access.Subject{"nordlicht": maker, "hafenzoll": customs}[who]
		need(w.ReleaseBattery(w.ctx(), first.Passport, keyed(document{"to": to}.by(t, by), "k")))(t)
	}
	w.fsck()
}

func TestARefusalUsesUpNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(pack(t, "A1"))
	w.clash(second(w.RegisterPassport(w.ctx(), keyed(pack(t, "A1").by(t, maker), "k"))), registry.CodeBatteryRegistered)
	w.invalid(registerKeyed(w, document{}, "k"), "/passport", "member.missing")
	need(w.RegisterPassport(w.ctx(), dry(keyed(pack(t, "A2").by(t, maker), "k"))))(t)
	w.must(registerKeyed(w, pack(t, "A3"), "k"))
	// Once it is used up, any other body says so, whatever else is wrong with it.
	for _, doc := range []document{{}, pack(t, "A1"), pack(t, "A4")} {
		w.clash(registerKeyed(w, doc, "k"), registry.CodeKeyReused)
	}
	w.fsck()
}

func registerKeyed(w *world, doc document, key string) error {
	return second(w.RegisterPassport(w.ctx(), keyed(doc.by(w.t, maker), key)))
}

func TestAHundredAtOnceWithOneKeyMakeOnePassport(t *testing.T) {
	everywhere(t, func(w *world) {
		doc := pack(w.t, "A1")
		model, batch := w.shared(doc)
		write := keyed(doc.pin(model, passport.Model).pin(batch, passport.Batch).by(w.t, maker), "k")
		before := need(w.PendingLeaves(w.ctx()))(w.t)
		receipts := make([]registry.Receipt, 100)
		together(len(receipts), func(i int) {
			var err error
			if receipts[i], err = w.RegisterPassport(w.ctx(), write); err != nil {
				w.t.Errorf("request %d: %v", i, err)
			}
		})
		first := 0
		for _, r := range receipts {
			if !r.Repeated {
				first++
			}
			r.Repeated = receipts[0].Repeated
			if !reflect.DeepEqual(receipts[0], r) {
				w.t.Fatalf("answers differ:\n%s", cmp.Diff(receipts[0], r))
			}
		}
		if after := need(w.PendingLeaves(w.ctx()))(w.t); first != 1 || after != before+1 {
			w.t.Errorf("%d first answers, %d new entries for the log", first, after-before)
		}
	})
}

func TestOneBatchOfWritesMixedAtOnceIsSound(t *testing.T) {
	everywhere(t, func(w *world) {
		first := w.register(pack(w.t, "A1"))
		together(40, func(i int) {
			// Refusals are fine, unsoundness is not: fsck judges.
			switch i % 5 {
			case 0:
				_, _ = w.RegisterPassport(w.ctx(), pack(w.t, "A1").after(first.Passport).by(w.t, maker))
			case 1:
				day := fmt.Sprintf("2027-03-%02d", 16+i%10)
				_, _ = w.Amend(w.ctx(), first.Passport, pack(w.t, "A1").only("passport").set(day, "passport", "placedOnMarketOn").by(w.t, maker))
			case 2:
				_, _ = w.RecordCondition(w.ctx(), first.Passport, reading(w.t, fmt.Sprintf("%02d:00:00Z", i%24)).by(w.t, maker))
			case 3:
				_, _ = w.SetState(w.ctx(), operator, first.Passport, registry.Suspended, "dataDisputed")
			case 4:
				_, _ = w.SetState(w.ctx(), operator, first.Passport, registry.Active, "resolved")
			}
		})
	})
}
