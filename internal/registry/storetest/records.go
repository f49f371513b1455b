package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/tlog"
)

// awkward texts are all different, and none may be folded into another.
var awkward = []string{
	"a", "A", " a", "a ", "a  ", "a\t", "ä", "a\u0308", "Å", "\u212b", "ß", "ss", "ﬁ", "fi", "ı", "i", "I", "İ",
	"😀", "👨‍👩‍👧", "\U0010ffff", "\ufeffa", "a\u200b", "001", "1", "1.0", "1e0", "%", "_", "\\", "'", "\"", "';--", "NULL", "true", "\n", "\r\n", "\x7f", "\x01",
}

var content = map[string]func(*story){
	"a record comes back byte for byte": func(s *story) {
		r := s.Item(s.Model(alpha), s.Batch(s.Model(alpha)), s.Battery())
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		r.JWS = append(all, all...)
		s.commit(s.Issue(r))
		s.same("record", s.record(registry.Query{ID: r.ID}), asRead(r)[0])
	},
	"a large record comes back byte for byte": func(s *story) {
		r := s.Model(alpha)
		r.JWS = make([]byte, 0, 1<<20)
		for len(r.JWS) < 1<<20 {
			part := s.unique()
			r.JWS = append(r.JWS, part[:]...)
		}
		s.commit(s.Issue(r))
		if got := s.record(registry.Query{ID: r.ID}); sha256.Sum256(got.JWS) != sha256.Sum256(r.JWS) {
			s.Error("signed bytes differ")
		}
	},
	"empty members come back empty": func(s *story) {
		r := registry.Record{ID: s.ID(), Series: s.ID(), Type: passport.Batch, Version: 1, Org: alpha, JWS: []byte{}, Slot: -1}
		s.commit(registry.Change{Tenant: alpha, At: s.Time(), Records: []registry.Record{r}})
		s.same("record", s.record(registry.Query{ID: r.ID}), asRead(r)[0])
		s.same("by its empty name", s.record(registry.Query{Key: &registry.NaturalKey{Type: passport.Batch, Org: alpha}}).ID, r.ID)
		if got := s.records(registry.Filter{Type: passport.Batch}); len(got) != 1 {
			s.Errorf("%d records, want 1", len(got))
		}
		if got := s.disclosures([]passport.OrgID{alpha}, r.ID); len(got) != 0 {
			s.Errorf("a record without disclosures has %v", got)
		}
	},
	"large numbers keep their value": func(s *story) {
		r := s.Model(alpha)
		r.Slot, r.Version = 1<<62+1, 1<<31-1
		s.commit(s.Issue(r))
		s.same("record", s.record(registry.Query{Type: passport.Model, Series: r.Series}), asRead(r)[0])
	},
	"times keep microseconds, in UTC": func(s *story) {
		zurich := time.FixedZone("CET", 3600)
		for _, at := range []time.Time{
			time.Date(2027, 2, 18, 8, 0, 0, 999999999, zurich), time.Date(1969, 12, 31, 23, 59, 59, 1999, time.UTC),
			time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
			{},
		} {
			r := s.Model(alpha)
			r.IssuedAt = at
			c := s.Issue(r)
			c.At, c.Once = at, s.Once(r.ID)
			s.same("receipt", s.commit(c).At, stored(at))
			s.same("issued", s.record(registry.Query{ID: r.ID}).IssuedAt, stored(at))
			s.same("repeated", s.repeat(c).At, stored(at))
		}
	},
	"names differ by any byte": func(s *story) {
		var models []registry.Record
		for _, text := range awkward {
			model := s.Model(alpha)
			model.Key, model.Lot, model.Serial = text+"\x00plant", text, text
			models = append(models, model)
		}
		s.commit(s.Issue(models...))
		for i, model := range models {
			key := &registry.NaturalKey{Type: passport.Model, Org: alpha, Text: model.Key}
			s.same("by name", s.record(registry.Query{Key: key}), asRead(model)[0])
			s.same("by lot "+awkward[i], s.records(registry.Filter{GTIN: model.GTIN, Lot: awkward[i]}), asRead(model))
		}
	},
	"the plant is part of a model's name": func(s *story) {
		one, two := s.Model(alpha), s.Model(alpha)
		one.Key, two.Key = "A\x00B", "A\x00C"
		s.commit(s.Issue(one, two))
		s.same("by name", s.record(registry.Query{Key: &registry.NaturalKey{Type: passport.Model, Org: alpha, Text: "A\x00C"}}).ID, two.ID)
		s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Model, Org: alpha, Text: "A"}})
	},
	"text comes back byte for byte": func(s *story) {
		for _, text := range awkward {
			c := s.Organisation(alpha)
			c.Admit.Name = text
			c.Admit.PartyIDs = []passport.PartyID{{Scheme: "lei", Value: text}, {Scheme: "vat", Value: "<&>"}}
			s.commit(c)
			got := s.organisations()[0]
			s.same("name", got.Name, text)
			s.same("party ids", got.PartyIDs, c.Admit.PartyIDs)
		}
	},
	"disclosures keep their order": func(s *story) {
		model := s.Model(alpha)
		model.Disclosures = nil
		for i := range 120 {
			model.Disclosures = append(model.Disclosures, registry.Disclosure{
				Attribute: fmt.Sprintf("model.a%d", (i*37)%120), Tier: passport.Restricted()[i%4], Encoded: awkward[i%len(awkward)],
			})
		}
		s.commit(s.Issue(model))
		s.same("disclosures", s.disclosures([]passport.OrgID{alpha}, model.ID), map[passport.ID][]registry.Disclosure{model.ID: model.Disclosures})
	},
}

var reading = map[string]func(*story){
	"every name leads to the record": func(s *story) {
		c := s.commitRegistration()
		for _, r := range c.Records {
			next := s.Next(r)
			s.commit(s.Issue(next))
			key := &registry.NaturalKey{Type: r.Type, Org: nameOwner(r), Text: r.Key}
			for want, q := range map[*registry.Record]registry.Query{&r: {Version: 1}, &next: {}} {
				s.same("by id", s.record(registry.Query{ID: want.ID}), asRead(*want)[0])
				s.same("by series", s.record(registry.Query{Type: r.Type, Series: r.Series, Version: q.Version}), asRead(*want)[0])
				s.same("by key", s.record(registry.Query{Key: key, Version: q.Version}), asRead(*want)[0])
			}
			s.missing(registry.Query{Type: r.Type, Series: r.Series, Version: 3})
			s.missing(registry.Query{Key: key, Version: 3})
		}
	},
	"what was never issued is not found": func(s *story) {
		c := s.commitRegistration()
		model := c.Records[0]
		s.missing(registry.Query{})
		s.missing(registry.Query{ID: s.ID()})
		s.missing(registry.Query{ID: model.Series})
		s.missing(registry.Query{Type: passport.Model, Series: s.ID()})
		s.missing(registry.Query{Type: passport.Batch, Series: model.Series})
		s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Model, Org: beta, Text: model.Key}})
		s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Batch, Org: alpha, Text: model.Key}})
		s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Model, Org: alpha, Text: model.Key + " "}})
	},
	"records come in order of series and version": func(s *story) {
		var all []registry.Record
		for range 5 {
			model := s.Model(alpha)
			all = append(all, model, s.Next(model), s.Next(s.Next(model)))
		}
		shuffled := slices.Clone(all)
		slices.Reverse(shuffled)
		s.commit(s.Issue(shuffled...))
		s.same("records", s.records(registry.Filter{}), asRead(all...))
		s.same("records of the type", s.records(registry.Filter{Type: passport.Model}), asRead(all...))
	},
	"every filter restricts": func(s *story) {
		one, two := s.Register(alpha), s.Register(beta)
		two.Records[0].GTIN, two.Records[1].GTIN, two.Records[2].GTIN = "04012345678901", "04012345678901", ""
		two.Records[2].Lot = one.Records[2].Lot
		s.commit(one)
		s.commit(two)
		next := s.Next(one.Records[2])
		condition := s.Condition(one.Records[2], 1)
		s.commit(s.Issue(next, condition))
		all := slices.Concat(one.Records, two.Records, []registry.Record{next, condition})
		model, batch, item := one.Records[0], one.Records[1], one.Records[2]
		for _, f := range []registry.Filter{
			{},
			{Newest: true},
			{Type: passport.Item},
			{Type: passport.Item, Newest: true},
			{Type: passport.Condition},
			{Org: alpha},
			{Org: beta},
			{Org: gamma},
			{Org: alpha, Type: passport.Model},
			{Org: alpha, Newest: true},
			{Series: item.Series},
			{Series: item.Series, Type: passport.Item},
			{Series: item.Series, Newest: true},
			{Series: item.Series, Org: beta},
			{Series: s.ID()},
			{GTIN: model.GTIN},
			{GTIN: model.GTIN, Type: passport.Model},
			{GTIN: "04012345678901", Org: beta},
			{GTIN: "00000000000000"},
			{GTIN: model.GTIN, Lot: batch.Lot},
			{GTIN: model.GTIN, Lot: batch.Lot, Type: passport.Batch},
			{GTIN: "04012345678901", Lot: batch.Lot},
			{GTIN: model.GTIN, Lot: batch.Lot, Type: passport.Item, Org: alpha, Newest: true},
			{After: model.Series},
			{After: item.Series},
			{After: item.Series, Type: passport.Batch},
			{After: s.ID()},
			{Limit: 2},
			{Limit: 1, Type: passport.Item, Newest: true},
			{Limit: 100},
			{After: model.Series, Limit: 1, Org: alpha},
		} {
			reference := newModel()
			reference.apply(registry.Change{Records: all})
			s.same(fmt.Sprintf("%+v", f), s.records(f), reference.matching(f))
		}
	},
	"pages of newest versions meet without gap or overlap": func(s *story) {
		var want []registry.Record
		for range 23 {
			model := s.Model(alpha)
			s.commit(s.Issue(model))
			want = append(want, model)
		}
		next := s.Next(want[4])
		s.commit(s.Issue(next))
		want[4] = next
		var got []registry.Record
		f := registry.Filter{Type: passport.Model, Org: alpha, Newest: true, Limit: 5}
		for page := s.records(f); len(page) > 0; page = s.records(f) {
			got = append(got, page...)
			f.After = page[len(page)-1].Series
		}
		s.same("pages", got, asRead(want...))
	},
	"records are of one snapshot": func(s *story) {
		var before []registry.Record
		for range 50 {
			before = append(before, s.Model(alpha))
		}
		s.commit(s.Issue(before...))
		var got []registry.Record
		for r, err := range s.store.Records(s.ctx, registry.Filter{Type: passport.Model}) {
			if err != nil {
				s.Fatalf("records: %v", err)
			}
			got = append(got, r)
			s.commit(s.Issue(s.Model(alpha), s.Next(before[49])))
			before[49] = s.Next(before[49])
			s.record(registry.Query{ID: r.ID}) // reading inside the loop does not wait for the loop
		}
		if len(got) != 50 {
			s.Errorf("%d records, want the 50 of the beginning", len(got))
		}
		if got := len(s.records(registry.Filter{Type: passport.Model})); got != 150 {
			s.Errorf("%d records afterwards, want 150", got)
		}
	},
	"a loop may be left early": func(s *story) {
		for range 5 {
			s.commitRegistration()
		}
		together(8, func(int) {
			for range 20 {
				for _, err := range s.store.Records(s.ctx, registry.Filter{}) {
					if err != nil {
						s.Errorf("records: %v", err)
					}
					break
				}
			}
		})
		s.commitRegistration()
		if got := len(s.records(registry.Filter{})); got != 18 {
			s.Errorf("%d records, want 18", got)
		}
	},
	"a loop can be run again": func(s *story) {
		s.commitRegistration()
		all := s.store.Records(s.ctx, registry.Filter{})
		for _, want := range []int{3, 6} {
			got := 0
			for _, err := range all {
				if err != nil {
					s.Fatalf("records: %v", err)
				}
				got++
			}
			if got != want {
				s.Errorf("%d records, want %d", got, want)
			}
			s.commitRegistration()
		}
	},
	"a loop ends with its context": func(s *story) {
		s.commitRegistration()
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		var last error
		for _, err := range s.store.Records(ctx, registry.Filter{}) {
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			s.Errorf("records: got %v, want context.Canceled", last)
		}
	},
	"readers see whole changes while writers write": func(s *story) {
		changes := make([]registry.Change, 30)
		for i := range changes {
			changes[i] = s.Register(alpha)
		}
		together(2, func(side int) {
			for _, c := range changes {
				if side == 0 {
					if _, err := s.store.Commit(s.ctx, c); err != nil {
						s.Errorf("commit: %v", err)
					}
					continue
				}
				counts := map[passport.RecordType]int{}
				for r, err := range s.store.Records(s.ctx, registry.Filter{}) {
					if err != nil {
						s.Errorf("records: %v", err)
						return
					}
					counts[r.Type]++
				}
				if counts[passport.Model] != counts[passport.Item] || counts[passport.Batch] != counts[passport.Item] {
					s.Errorf("half a change is visible: %v", counts)
				}
			}
		})
	},
	"what is committed is read": func(s *story) {
		changes := make([]registry.Change, 20)
		for i := range changes {
			changes[i] = s.Register(alpha)
		}
		together(len(changes), func(i int) {
			if _, err := s.store.Commit(s.ctx, changes[i]); err != nil {
				s.Errorf("commit: %v", err)
			}
			if _, err := s.store.Record(s.ctx, registry.Query{ID: changes[i].Records[2].ID}); err != nil {
				s.Errorf("read own write: %v", err)
			}
		})
	},
}

var lifecycle = map[string]func(*story){
	"leaves are counted, equal ones too": func(s *story) {
		if got := s.leaves(); got != 0 {
			s.Errorf("%d leaves in an empty store", got)
		}
		leaf := registry.Leaf{Kind: tlog.Key, Data: []byte(`{"t":"key","v":1}`)}
		c := registry.Change{Tenant: alpha, At: s.Time(), Leaves: []registry.Leaf{leaf, leaf}}
		s.commit(c)
		s.commit(c)
		if got := s.leaves(); got != 4 {
			s.Errorf("%d leaves, want 4", got)
		}
	},
	"a store that works answers a ping": func(s *story) {
		if err := s.store.Ping(s.ctx); err != nil {
			s.Errorf("ping: %v", err)
		}
	},
	"a read whose caller has gone says so": func(s *story) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if _, err := s.store.Record(ctx, registry.Query{ID: s.ID()}); !errors.Is(err, context.Canceled) {
			s.Errorf("record: got %v, want context.Canceled", err)
		}
	},
	"a closed store is unavailable": func(s *story) {
		c := s.commitRegistration()
		for range 2 {
			if err := s.store.Close(); err != nil {
				s.Fatalf("close: %v", err)
			}
		}
		answers := map[string]error{"ping": s.store.Ping(s.ctx)}
		_, answers["commit"] = s.store.Commit(s.ctx, s.Register(alpha))
		_, answers["earlier"] = s.store.Earlier(s.ctx, alpha, *c.Once)
		_, answers["record"] = s.store.Record(s.ctx, registry.Query{ID: c.Records[0].ID})
		_, answers["disclosures"] = s.store.Disclosures(s.ctx, []passport.OrgID{alpha}, ids(c.Records))
		_, answers["status"] = s.store.Status(s.ctx, c.Records[0].Series)
		_, answers["status list"] = s.store.StatusList(s.ctx, 0)
		_, answers["slots"] = s.store.ReserveSlots(s.ctx, 1)
		_, answers["instance"] = s.store.Instance(s.ctx)
		_, answers["organisations"] = s.store.Organisations(s.ctx)
		_, answers["members"] = s.store.Members(s.ctx, alpha)
		_, answers["grants"] = s.store.Grants(s.ctx, alpha)
		_, answers["reads"] = s.store.Reads(s.ctx, alpha, 1)
		_, answers["release"] = s.store.Release(s.ctx, c.Records[2].Series)
		_, answers["leaves"] = s.store.PendingLeaves(s.ctx)
		for _, err := range s.store.Records(s.ctx, registry.Filter{}) {
			answers["records"] = err
		}
		if _, ok := answers["records"]; !ok {
			s.Error("records: a loop over a closed store yields nothing, not even an error")
		}
		for what, err := range answers {
			if !errors.Is(err, registry.ErrUnavailable) {
				s.Errorf("%s: got %v, want ErrUnavailable", what, err)
			}
		}
	},
	"closing waits for commits under way": func(s *story) {
		changes := make([]registry.Change, 30)
		for i := range changes {
			changes[i] = s.Register(alpha)
		}
		together(len(changes)+1, func(i int) {
			if i == len(changes) {
				if err := s.store.Close(); err != nil {
					s.Errorf("close: %v", err)
				}
				return
			}
			if _, err := s.store.Commit(s.ctx, changes[i]); err != nil && !errors.Is(err, registry.ErrUnavailable) {
				s.Errorf("commit: got %v, want nil or ErrUnavailable", err)
			}
		})
	},
}
