package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

var committing = map[string]func(*story){
	"a change is applied entirely": func(s *story) {
		c := s.everything()
		done := s.commit(c)
		s.same("receipt", done, registry.Committed{Refs: c.Once.Refs, At: stored(c.At)})
		s.holds(c, true)
	},
	"a change refused by its records leaves nothing": func(s *story) {
		c := s.everything()
		other := s.Model(alpha)
		other.Key = c.Records[0].Key
		c.Records = append(c.Records, other) // the name belongs to the first model by now
		s.refused(c, registry.ErrStale)
		s.holds(c, false)
	},
	"a change refused by its battery leaves nothing": func(s *story) {
		first := s.commitRegistration()
		c := s.Register(alpha)
		c.Status = s.Move(c.Records[2], registry.Active, registry.Suspended).Status
		c.Claim.Battery = first.Claim.Battery
		s.taken(c, first.Claim.Passport)
		s.leftNothing(c, first)
	},
	"a change refused by its status leaves nothing": func(s *story) {
		c := s.everything()
		c.Status.From = registry.Suspended
		s.refused(c, registry.ErrStale)
		s.holds(c, false)
	},
	"a change refused by its secret leaves nothing": func(s *story) {
		c := s.everything()
		c.Redeem.Secret[0] ^= 1
		s.refused(c, registry.ErrNotFound)
		s.holds(c, false)
	},
	"a change refused once can be made when the cause is gone": func(s *story) {
		c := s.everything()
		c.Status.From = registry.Suspended
		s.refused(c, registry.ErrStale)
		c.Status.From = registry.Active
		s.commit(c) // the idempotency key was not used up
		s.holds(c, true)
	},
	"an empty change is one": func(s *story) {
		c := registry.Change{Tenant: alpha, At: s.Time()}
		s.same("receipt", s.commit(c), registry.Committed{At: c.At})
	},
	"one that fails does not disturb those beside it": func(s *story) {
		first := s.commitRegistration()
		changes := make([]registry.Change, 60)
		for i := range changes {
			changes[i] = s.Register(alpha)
			switch i % 4 {
			case 1:
				changes[i].Claim.Battery = first.Claim.Battery
			case 2:
				changes[i].Records[0].Key = first.Records[0].Key
			}
		}
		errs := make([]error, len(changes))
		together(len(changes), func(i int) { _, errs[i] = s.store.Commit(s.ctx, changes[i]) })
		for i, err := range errs {
			_, taken := errors.AsType[*registry.BatteryTaken](err)
			switch {
			case i%4 == 1 && !taken, i%4 == 2 && !errors.Is(err, registry.ErrStale), i%4 != 1 && i%4 != 2 && err != nil:
				s.Errorf("change %d: %v", i, err)
			}
		}
		if got, want := len(s.records(registry.Filter{Type: passport.Item})), 31; got != want {
			s.Errorf("%d items, want %d", got, want)
		}
		if got, want := s.leaves(), int64(31*3); got != want {
			s.Errorf("%d leaves, want %d", got, want)
		}
	},
	"a caller who has gone changes nothing": func(s *story) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		c := s.Register(alpha)
		if _, err := s.store.Commit(ctx, c); !errors.Is(err, context.Canceled) {
			s.Errorf("commit: got %v, want context.Canceled", err)
		}
		s.missing(registry.Query{ID: c.Records[0].ID})
		s.commit(c)
	},
	"callers who go meanwhile leave all or nothing": func(s *story) {
		changes := make([]registry.Change, 40)
		for i := range changes {
			changes[i] = s.Register(alpha)
		}
		errs := make([]error, len(changes))
		together(len(changes), func(i int) {
			ctx, cancel := context.WithTimeout(s.ctx, time.Duration(i)*100*time.Microsecond)
			defer cancel()
			_, errs[i] = s.store.Commit(ctx, changes[i])
		})
		for i, c := range changes {
			there := 0
			for _, r := range c.Records {
				if _, err := s.store.Record(s.ctx, registry.Query{ID: r.ID}); err == nil {
					there++
				}
			}
			if there != 0 && there != len(c.Records) || errs[i] == nil && there == 0 {
				s.Errorf("change %d: %d of its records are there, its error was %v", i, there, errs[i])
			}
		}
	},
	"the caller keeps what it handed in": func(s *story) {
		c := s.Register(alpha)
		refs, jws, encoded := c.Once.Refs[0], c.Records[0].JWS[0], c.Records[0].Disclosures[0].Encoded
		s.commit(c)
		model := c.Records[0].ID
		c.Once.Refs[0], c.Records[0].Disclosures[0].Encoded = passport.ID{}, "changed afterwards"
		if got := s.record(registry.Query{ID: model}).JWS[0]; got != jws {
			s.Errorf("signed bytes begin with %q, want %q", got, jws)
		}
		s.same("disclosure", s.disclosures([]passport.OrgID{alpha}, model)[model][0].Encoded, encoded)
		s.same("ref", s.earlier(alpha, *c.Once).Refs[0], refs)
	},
}

// commitRegistration registers one whole document of alpha.
func (s *story) commitRegistration() registry.Change {
	s.Helper()
	c := s.Register(alpha)
	s.commit(c)
	return c
}

// everything is a change in which every part is set. What it builds on (a
// secret) is in the store.
func (s *story) everything() registry.Change {
	s.Helper()
	enrolled := s.Enrol(alpha)
	s.commit(enrolled)
	c := s.Register(alpha)
	item := c.Records[2]
	c.Instance = &registry.Instance{BaseURL: "http://localhost:8080", Environment: "demo", CreatedAt: s.Time()}
	admitted, redeemed := s.Organisation(alpha), s.Redeem(enrolled, "chief")
	c.Admit, c.Keys, c.Leaves = admitted.Admit, admitted.Keys, append(c.Leaves, admitted.Leaves...)
	c.Enrol, c.Redeem, c.Member = s.Enrol(alpha).Enrol, redeemed.Redeem, redeemed.Member
	c.Status = s.Move(item, registry.Active, registry.Suspended).Status
	c.Grant = s.Grant(alpha, beta).Grant
	c.Release = &registry.Release{Passport: item.Series, Owner: alpha, To: beta, At: s.Time()}
	c.Reads = []registry.Read{s.Read(item, beta)}
	return c
}

// holds checks that everything of the change is in the store, or nothing.
func (s *story) holds(c registry.Change, all bool) {
	s.Helper()
	count := func(what string, got, want int) {
		s.Helper()
		if !all {
			want = 0
		}
		if got != want {
			s.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	found := func(err error) int {
		s.Helper()
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			s.Errorf("read: %v", err)
		}
		if err != nil {
			return 0
		}
		return 1
	}
	_, err := s.store.Instance(s.ctx)
	count("instance", found(err), 1)
	count("organisations", len(s.organisations()), 1)
	count("members", len(s.members(alpha)), 1)
	for _, r := range c.Records {
		_, err = s.store.Record(s.ctx, registry.Query{ID: r.ID})
		count("record "+string(r.Type), found(err), 1)
		count("disclosures of "+string(r.Type), len(s.disclosures([]passport.OrgID{alpha}, r.ID)), 1)
		_, err = s.store.Record(s.ctx, registry.Query{Key: &registry.NaturalKey{Type: r.Type, Org: nameOwner(r), Text: r.Key}})
		count("name of "+string(r.Type), found(err), 1)
	}
	count("records", len(s.records(registry.Filter{})), len(c.Records))
	count("status", len(s.history(c.Status.Series)), 1)
	count("status list", len(s.list(0)), 1)
	count("grants", len(s.grants(beta)), 1)
	count("reads", len(s.reads(alpha, 10)), 1)
	_, err = s.store.Release(s.ctx, c.Release.Passport)
	count("release", found(err), 1)
	count("leaves", int(s.leaves()), len(c.Leaves))
	_, err = s.store.Earlier(s.ctx, c.Tenant, *c.Once)
	count("idempotency key", found(err), 1)
}

func nameOwner(r registry.Record) passport.OrgID {
	if r.Type == passport.Item {
		return ""
	}
	return r.Org
}

// leftNothing checks that the refused change is nowhere, while the one before
// it stands.
func (s *story) leftNothing(refused, before registry.Change) {
	s.Helper()
	for _, r := range refused.Records {
		s.missing(registry.Query{ID: r.ID})
		if got := s.disclosures([]passport.OrgID{r.Org}, r.ID); len(got) > 0 {
			s.Errorf("%s %s: refused, but its disclosures are there", r.Type, r.ID)
		}
		if r.Type != passport.Item {
			s.missing(registry.Query{Key: &registry.NaturalKey{Type: r.Type, Org: r.Org, Text: r.Key}})
		}
		if history := s.history(r.Series); len(history) > 0 {
			s.Errorf("%s %s: refused, but has a status", r.Type, r.ID)
		}
	}
	if _, err := s.store.Earlier(s.ctx, refused.Tenant, *refused.Once); !errors.Is(err, registry.ErrNotFound) {
		s.Errorf("idempotency key of a refused change: got %v, want ErrNotFound", err)
	}
	if got, want := s.leaves(), int64(len(before.Leaves)); got != want {
		s.Errorf("%d leaves, want %d", got, want)
	}
	s.same("records", s.records(registry.Filter{}), asRead(before.Records...))
}

var idempotency = map[string]func(*story){
	"the same key and body answers with the first receipt": func(s *story) {
		first := s.commitRegistration()
		again := s.Register(alpha) // the registry has made new ids meanwhile
		again.Once = &registry.Once{Operation: first.Once.Operation, Key: first.Once.Key, Request: first.Once.Request, Refs: ids(again.Records)}
		done := s.repeat(again)
		s.same("receipt", done, registry.Committed{Repeated: true, Refs: first.Once.Refs, At: stored(first.At)})
		for _, r := range again.Records {
			s.missing(registry.Query{ID: r.ID})
		}
		if got := s.leaves(); got != 3 {
			s.Errorf("%d leaves, want 3", got)
		}
	},
	"a repetition wins over every conflict it would meet": func(s *story) {
		first := s.commitRegistration()
		s.same("receipt", s.repeat(first), registry.Committed{Repeated: true, Refs: first.Once.Refs, At: stored(first.At)})
	},
	"the same key with another body is a mismatch": func(s *story) {
		first := s.commitRegistration()
		other := s.Register(alpha)
		other.Once.Key = first.Once.Key
		s.mismatched(other)
		s.missing(registry.Query{ID: other.Records[0].ID})
	},
	"a key is one tenant's and one operation's": func(s *story) {
		first := s.commitRegistration()
		tenant, operation := s.Register(beta), s.Register(alpha)
		tenant.Once.Key, operation.Once.Key = first.Once.Key, first.Once.Key
		operation.Once.Operation = "POST /v1/models"
		s.commit(tenant)
		s.commit(operation)
	},
	"keys differ by any byte": func(s *story) {
		for _, key := range awkward {
			c := s.Register(alpha)
			c.Once.Key = key
			s.commit(c)
		}
	},
	"a change without refs repeats without refs": func(s *story) {
		c := registry.Change{Tenant: alpha, At: s.Time(), Once: s.Once()}
		s.commit(c)
		s.same("receipt", s.repeat(c), registry.Committed{Repeated: true, At: c.At})
	},
	"what was committed under a key can be asked for": func(s *story) {
		first := s.commitRegistration()
		once := *first.Once
		once.Refs = nil
		s.same("receipt", s.earlier(alpha, once),
			registry.Committed{Repeated: true, Refs: first.Once.Refs, At: stored(first.At)})
		for _, wrong := range []struct {
			tenant         passport.OrgID
			operation, key string
		}{{beta, once.Operation, once.Key}, {alpha, "POST /v1/models", once.Key}, {alpha, once.Operation, "other"}} {
			_, err := s.store.Earlier(s.ctx, wrong.tenant, registry.Once{Operation: wrong.operation, Key: wrong.key, Request: once.Request})
			if !errors.Is(err, registry.ErrNotFound) {
				s.Errorf("earlier %+v: got %v, want ErrNotFound", wrong, err)
			}
		}
		once.Request[0] ^= 1
		_, err := s.store.Earlier(s.ctx, alpha, once)
		if _, ok := errors.AsType[*registry.OnceMismatch](err); !ok {
			s.Errorf("earlier with another body: got %v, want OnceMismatch", err)
		}
	},
	"a storm of repetitions happens once": func(s *story) {
		c := s.Register(alpha)
		receipts, errs, fresh := make([]registry.Committed, 50), make([]error, 50), atomic.Int64{}
		together(50, func(i int) {
			receipts[i], errs[i] = s.store.Commit(s.ctx, c)
			if errs[i] == nil && !receipts[i].Repeated {
				fresh.Add(1)
			}
		})
		for i := range receipts {
			if errs[i] != nil {
				s.Fatalf("repetition %d: %v", i, errs[i])
			}
			s.same("refs", receipts[i].Refs, c.Once.Refs)
		}
		if fresh.Load() != 1 {
			s.Errorf("%d commits claim to be the first", fresh.Load())
		}
		if got := s.leaves(); got != 3 {
			s.Errorf("%d leaves, want 3", got)
		}
	},
}

var uniqueness = map[string]func(*story){
	"one of 200 passports gets the battery, the others leave nothing": func(s *story) {
		model := s.Model(alpha)
		batch := s.Batch(model)
		start := s.Issue(model, batch)
		s.commit(start)
		changes, errs := make([]registry.Change, 200), make([]error, 200)
		battery := s.Battery()
		for i := range changes {
			changes[i] = s.RegisterItem(model, batch)
			changes[i].Claim.Battery = battery
		}
		together(len(changes), func(i int) { _, errs[i] = s.store.Commit(s.ctx, changes[i]) })
		winner := slices.Index(errs, nil)
		if winner < 0 {
			s.Fatalf("nobody won: %v", errs[0])
		}
		won := changes[winner].Claim.Passport
		for i, c := range changes {
			if i == winner {
				continue
			}
			if taken, ok := errors.AsType[*registry.BatteryTaken](errs[i]); !ok || taken.Passport != won {
				s.Errorf("change %d: got %v, want BatteryTaken by %s", i, errs[i], won)
			}
			s.missing(registry.Query{ID: c.Records[0].ID})
		}
		if got := s.disclosures([]passport.OrgID{alpha}, func() (all []passport.ID) {
			for _, c := range changes {
				all = append(all, c.Records[0].ID)
			}
			return all
		}()...); len(got) != 1 {
			s.Errorf("disclosures of %d items, want 1", len(got))
		}
		if got := s.leaves(); got != 3 {
			s.Errorf("%d leaves, want 3", got)
		}
		loser := changes[(winner+1)%len(changes)]
		loser.Once.Request[0] ^= 1 // its key was not used up, so no mismatch
		s.taken(loser, won)
	},
	"a battery is found by its key": func(s *story) {
		c := s.commitRegistration()
		item := c.Records[2]
		s.same("item", s.record(registry.Query{Key: &registry.NaturalKey{Type: passport.Item, Text: item.Key}}), asRead(item)[0])
		other := s.Battery()
		for _, k := range []string{"", "zz", fmt.Sprintf("%x", other), fmt.Sprintf("%X", c.Claim.Battery), item.Key[:62]} {
			s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Item, Text: k}})
		}
		s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Item, Org: alpha, Text: item.Key}})
	},
	"a successor takes the battery over from its base": func(s *story) {
		first := s.commitRegistration()
		second := s.Register(beta)
		second.Claim.Battery, second.Claim.Base = first.Claim.Battery, first.Claim.Passport
		second.Records[2].Key = first.Records[2].Key
		s.commit(second)
		key := &registry.NaturalKey{Type: passport.Item, Text: first.Records[2].Key}
		s.same("in force", s.record(registry.Query{Key: key}).Series, second.Claim.Passport)
		s.record(registry.Query{ID: first.Records[2].ID}) // the predecessor stays readable

		late := s.Register(gamma)
		late.Claim.Battery, late.Claim.Base = first.Claim.Battery, first.Claim.Passport
		s.taken(late, second.Claim.Passport)
	},
	"a passport in force may claim its battery again": func(s *story) {
		first := s.commitRegistration()
		next := s.Issue(s.Next(first.Records[2]))
		next.Claim = &registry.Claim{Battery: first.Claim.Battery, Passport: first.Claim.Passport, Base: first.Claim.Passport}
		s.commit(next)
	},
	"a base that holds nothing is stale": func(s *story) {
		c := s.Register(alpha)
		c.Claim.Base = s.ID()
		s.refused(c, registry.ErrStale)
		s.missing(registry.Query{ID: c.Records[0].ID})
	},
	"a version exists once": func(s *story) {
		first := s.commitRegistration()
		for _, r := range first.Records {
			again := s.Next(r)
			again.Version = 1
			s.refused(s.Issue(again), registry.ErrStale)
			s.missing(registry.Query{ID: again.ID})
			s.commit(s.Issue(s.Next(r)))
			s.refused(s.Issue(s.Next(r)), registry.ErrStale)
		}
	},
	"a version exists once within a change": func(s *story) {
		r := s.Model(alpha)
		twin := s.Next(r)
		twin.Version = 1
		s.refused(s.Issue(r, twin), registry.ErrStale)
		s.missing(registry.Query{ID: r.ID})
	},
	"a passport and its conditions share a series": func(s *story) {
		item := s.commitRegistration().Records[2]
		condition := s.Condition(item, 1)
		s.commit(s.Issue(condition))
		s.same("passport", s.record(registry.Query{Type: passport.Item, Series: item.Series}), asRead(item)[0])
		s.same("condition", s.record(registry.Query{Type: passport.Condition, Series: item.Series}), asRead(condition)[0])
	},
	"one of many next versions is issued": func(s *story) {
		model := s.Model(alpha)
		s.commit(s.Issue(model))
		won := atomic.Int64{}
		changes := make([]registry.Change, 40)
		for i := range changes {
			changes[i] = s.Issue(s.Next(model))
		}
		together(len(changes), func(i int) {
			_, err := s.store.Commit(s.ctx, changes[i])
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, registry.ErrStale):
				s.Errorf("change %d: got %v, want ErrStale", i, err)
			}
		})
		if won.Load() != 1 {
			s.Errorf("%d changes issued version 2", won.Load())
		}
	},
	"one of many series gets the name": func(s *story) {
		won := atomic.Int64{}
		changes := make([]registry.Change, 40)
		for i := range changes {
			model := s.Model(alpha)
			model.Key = "LFP-1\x00plant 1"
			changes[i] = s.Issue(model)
		}
		together(len(changes), func(i int) {
			_, err := s.store.Commit(s.ctx, changes[i])
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, registry.ErrStale):
				s.Errorf("change %d: got %v, want ErrStale", i, err)
			}
		})
		if got := len(s.records(registry.Filter{})); won.Load() != 1 || got != 1 {
			s.Errorf("%d changes got the name, %d models are there", won.Load(), got)
		}
	},
	"a name is one organisation's and one type's": func(s *story) {
		model := s.Model(alpha)
		s.commit(s.Issue(model))
		namesake := s.Model(alpha)
		namesake.Key = model.Key
		s.refused(s.Issue(namesake), registry.ErrStale)
		foreign, batch := s.Model(beta), s.Batch(model)
		foreign.Key, batch.Key = model.Key, model.Key
		s.commit(s.Issue(foreign, batch))
		for _, r := range []registry.Record{model, foreign, batch} {
			s.same("by name", s.record(registry.Query{Key: &registry.NaturalKey{Type: r.Type, Org: r.Org, Text: r.Key}}), asRead(r)[0])
		}
	},
	"a condition has no name": func(s *story) {
		item := s.commitRegistration().Records[2]
		one, two := s.Condition(item, 1), s.Condition(item, 2)
		two.Key = one.Key
		s.commit(s.Issue(one, two))
		s.missing(registry.Query{Key: &registry.NaturalKey{Type: passport.Condition, Org: alpha, Text: one.Key}})
	},
	"versions need not follow each other": func(s *story) {
		model := s.Model(alpha)
		model.Version = 7
		s.commit(s.Issue(model))
		older := s.Next(model)
		older.Version = 3
		s.commit(s.Issue(older))
		s.same("newest", s.record(registry.Query{Type: passport.Model, Series: model.Series}).Version, 7)
	},
	"the registry is initialised once": func(s *story) {
		if _, err := s.store.Instance(s.ctx); !errors.Is(err, registry.ErrNotFound) {
			s.Errorf("instance: got %v, want ErrNotFound", err)
		}
		at := s.Time()
		fixed := registry.Instance{BaseURL: "https://pässe.example", Environment: "production", CreatedAt: at}
		s.commit(registry.Change{Tenant: passport.Operator, At: at, Instance: &fixed})
		s.refused(registry.Change{Tenant: passport.Operator, At: at, Instance: &registry.Instance{BaseURL: "http://other", Environment: "demo", CreatedAt: at}}, registry.ErrStale)
		s.same("instance", s.instance(), fixed)
	},
	"slots are handed out once": func(s *story) {
		taken := make([][2]int64, 60)
		together(len(taken), func(i int) {
			n := 1 + i%7
			first, err := s.store.ReserveSlots(s.ctx, n)
			if err != nil {
				s.Errorf("reserve: %v", err)
			}
			taken[i] = [2]int64{first, first + int64(n)}
		})
		slices.SortFunc(taken, func(a, b [2]int64) int { return int(a[0] - b[0]) })
		for i, block := range taken {
			if block[0] < 0 || i > 0 && block[0] < taken[i-1][1] {
				s.Errorf("block %v overlaps %v or is negative", block, taken[max(i-1, 0)])
			}
		}
	},
	"no slot at all cannot be reserved": func(s *story) {
		for _, n := range []int{0, -1} {
			if first, err := s.store.ReserveSlots(s.ctx, n); err == nil {
				s.Errorf("reserving %d slots: got %d", n, first)
			}
		}
	},
}
