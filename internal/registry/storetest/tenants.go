package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

var enrolling = map[string]func(*story){
	"a secret binds a member, once": func(s *story) {
		enrolled := s.Enrol(alpha)
		s.commit(enrolled)
		redeemed := s.Redeem(enrolled, "chief")
		s.commit(redeemed)
		s.same("members", s.members(alpha), []registry.Member{*redeemed.Member})
		s.refused(s.Redeem(enrolled, "second"), registry.ErrNotFound)
		s.same("members", s.members(alpha), []registry.Member{*redeemed.Member})
	},
	"a secret works for one of many": func(s *story) {
		enrolled := s.Enrol(alpha)
		s.commit(enrolled)
		won := atomic.Int64{}
		together(30, func(i int) {
			_, err := s.store.Commit(s.ctx, s.Redeem(enrolled, fmt.Sprintf("subject %d", i)))
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, registry.ErrNotFound):
				s.Errorf("redeem %d: got %v, want ErrNotFound", i, err)
			}
		})
		if got := len(s.members(alpha)); won.Load() != 1 || got != 1 {
			s.Errorf("%d redeemed, %d members", won.Load(), got)
		}
	},
	"a secret ends when it expires": func(s *story) {
		enrolled := s.Enrol(alpha)
		s.commit(enrolled)
		late := s.Redeem(enrolled, "late")
		late.At = enrolled.Enrol.ExpiresAt
		s.refused(late, registry.ErrNotFound)
		late.At = late.At.Add(-time.Microsecond)
		s.commit(late)
	},
	"a secret is its organisation's": func(s *story) {
		enrolled := s.Enrol(alpha)
		s.commit(enrolled)
		foreign := s.Redeem(enrolled, "stranger")
		foreign.Tenant, foreign.Member.Org = beta, beta
		s.refused(foreign, registry.ErrNotFound)
		nobody := s.Redeem(enrolled, "nobody")
		nobody.Member = nil
		s.refused(nobody, registry.ErrNotFound)
		s.commit(s.Redeem(enrolled, "chief"))
	},
	"a secret is handed out once": func(s *story) {
		enrolled := s.Enrol(alpha)
		s.commit(enrolled)
		s.refused(enrolled, registry.ErrStale)
	},
	"an unknown secret is not found": func(s *story) {
		s.refused(s.Redeem(s.Enrol(alpha), "guest"), registry.ErrNotFound)
	},
	"members come in order of subject and change their roles": func(s *story) {
		subjects := []string{"b", "Z", "é", "e\u0301", "a", "😀", "10", "9", ""}
		issuers := []string{"https://b", "https://a"}
		for i, subject := range subjects {
			at := s.Time()
			s.commit(registry.Change{Tenant: alpha, At: at, Member: &registry.Member{Org: alpha, Issuer: issuers[i%2], Subject: subject, Roles: []access.Role{access.Issuer}, At: at}})
		}
		at := s.Time()
		promoted := registry.Member{Org: alpha, Issuer: issuers[1], Subject: "Z", Roles: []access.Role{access.Auditor, access.Issuer}, At: at}
		s.commit(registry.Change{Tenant: alpha, At: at, Member: &promoted})
		members := s.members(alpha)
		var got []string
		for _, m := range members {
			got = append(got, m.Subject)
			if m.Subject == "Z" {
				s.same("promoted", m, promoted)
			}
		}
		slices.Sort(subjects)
		s.same("subjects", got, subjects)
		s.same("members of another", s.members(beta), []registry.Member(nil))
	},
	"an issuer is part of who a member is": func(s *story) {
		for _, issuer := range []string{"https://a", "https://b"} {
			s.commit(registry.Change{Tenant: alpha, At: s.Time(), Member: &registry.Member{Org: alpha, Issuer: issuer, Subject: "x", At: s.Time()}})
		}
		if got := len(s.members(alpha)); got != 2 {
			s.Errorf("%d members, want 2", got)
		}
	},
	"organisations come in order, with every key they published": func(s *story) {
		want := map[passport.OrgID]registry.Change{}
		for _, org := range []passport.OrgID{gamma, alpha, "0", beta, "a-z", "az"} {
			want[org] = s.Organisation(org)
			s.commit(want[org])
		}
		second := s.Key(alpha)
		s.commit(registry.Change{Tenant: passport.Operator, At: s.Time(), Keys: []registry.Key{second, s.Key("unadmitted")}})
		orgs := s.organisations()
		var names []passport.OrgID
		for _, o := range orgs {
			names = append(names, o.ID)
			keys := want[o.ID].Keys
			if o.ID == alpha {
				keys = append(keys, second)
			}
			s.same("keys", keyNames(o.Keys), keyNames(keys))
		}
		s.same("order", names, []passport.OrgID{"0", "a-z", alpha, "az", beta, gamma})
	},
	"an organisation can be renamed": func(s *story) {
		first := s.Organisation(alpha)
		s.commit(first)
		renamed := *first.Admit
		renamed.Name, renamed.Roles, renamed.PartyIDs, renamed.OIDCIssuer = "Neu", []access.Role{access.Auditor}, nil, "https://login.example"
		renamed.AdmittedAt = s.Time()
		s.commit(registry.Change{Tenant: passport.Operator, At: renamed.AdmittedAt, Admit: &renamed})
		want := renamed
		want.AdmittedAt, want.Keys = first.Admit.AdmittedAt, first.Keys // admitted once
		s.same("organisations", s.organisations(), []registry.Organisation{want})
	},
	"a retired key stays published": func(s *story) {
		c := s.Organisation(alpha)
		s.commit(c)
		retired := c.Keys[0]
		retired.RetiredAt = s.Time()
		s.commit(registry.Change{Tenant: passport.Operator, At: retired.RetiredAt, Keys: []registry.Key{retired}})
		s.commit(registry.Change{Tenant: passport.Operator, At: s.Time(), Keys: c.Keys}) // publishing it again does not revive it
		orgs := s.organisations()
		s.same("keys", orgs[0].Keys, []registry.Key{retired})
	},
}

// keyNames lists the ids of keys, sorted.
func keyNames(keys []registry.Key) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.ID)
	}
	slices.Sort(names)
	return names
}

var tenancy = map[string]func(*story){
	"disclosures are given to their tenant only": func(s *story) {
		one, two := s.Register(alpha), s.Register(beta)
		s.commit(one)
		s.commit(two)
		wanted := slices.Concat(ids(one.Records), ids(two.Records), []passport.ID{s.ID()})
		of := func(changes ...registry.Change) map[passport.ID][]registry.Disclosure {
			want := map[passport.ID][]registry.Disclosure{}
			for _, c := range changes {
				for _, r := range c.Records {
					want[r.ID] = r.Disclosures
				}
			}
			return want
		}
		s.same("as alpha", s.disclosures([]passport.OrgID{alpha}, wanted...), of(one))
		s.same("as beta", s.disclosures([]passport.OrgID{beta, beta}, wanted...), of(two))
		s.same("as both", s.disclosures([]passport.OrgID{beta, alpha, gamma}, wanted...), of(one, two))
		s.same("as a third", s.disclosures([]passport.OrgID{gamma, "alph", "ALPHA"}, wanted...), of())
		s.same("as nobody", s.disclosures(nil, wanted...), of())
		s.same("of nothing", s.disclosures([]passport.OrgID{alpha}), of())
		s.same("asked twice", s.disclosures([]passport.OrgID{alpha}, one.Records[0].ID, one.Records[0].ID),
			map[passport.ID][]registry.Disclosure{one.Records[0].ID: one.Records[0].Disclosures})
	},
	"disclosures belong to the organisation of the record": func(s *story) {
		c := s.Register(beta)
		c.Tenant = alpha
		s.commit(c)
		if got := s.disclosures([]passport.OrgID{alpha}, ids(c.Records)...); len(got) != 0 {
			s.Errorf("who acted reads %d disclosures of another", len(got))
		}
		if got := s.disclosures([]passport.OrgID{beta}, ids(c.Records)...); len(got) != 3 {
			s.Errorf("the owner reads %d disclosures, want 3", len(got))
		}
	},
	"disclosures of many records come at once": func(s *story) {
		var wanted []passport.ID
		for range 3 {
			var models []registry.Record
			for range 500 {
				models = append(models, s.Model(alpha))
			}
			s.commit(registry.Change{Tenant: alpha, At: s.Time(), Records: models})
			wanted = append(wanted, ids(models)...)
		}
		if got := s.disclosures([]passport.OrgID{alpha}, wanted...); len(got) != len(wanted) {
			s.Errorf("disclosures of %d records, want %d", len(got), len(wanted))
		}
	},
	"grants are seen from both sides, in order": func(s *story) {
		given, received, foreign := s.Grant(alpha, beta), s.Grant(beta, alpha), s.Grant(beta, gamma)
		given.Grant.Scope = registry.Scope{Passport: s.ID()}
		received.Grant.Scope = registry.Scope{Model: s.ID()}
		received.Grant.Points = passport.AllTiers()
		given.Grant.ID, received.Grant.ID = received.Grant.ID, given.Grant.ID
		for _, c := range []registry.Change{given, foreign, received} {
			s.commit(c)
		}
		s.same("alpha", s.grants(alpha), []registry.Grant{*received.Grant, *given.Grant})
		s.same("beta", s.grants(beta), []registry.Grant{*received.Grant, *given.Grant, *foreign.Grant})
		s.same("gamma", s.grants(gamma), []registry.Grant{*foreign.Grant})
		s.same("nobody", s.grants("nobody"), []registry.Grant(nil))
	},
	"a revoked grant is listed and stays revoked": func(s *story) {
		c := s.Grant(alpha, beta)
		s.commit(c)
		revoked := *c.Grant
		revoked.RevokedAt = s.Time()
		s.commit(registry.Change{Tenant: alpha, At: revoked.RevokedAt, Grant: &revoked})
		s.commit(c)
		again := revoked
		again.RevokedAt = s.Time()
		s.commit(registry.Change{Tenant: alpha, At: again.RevokedAt, Grant: &again})
		s.same("grants", s.grants(beta), []registry.Grant{revoked})
	},
	"a grant to oneself is listed once": func(s *story) {
		c := s.Grant(alpha, alpha)
		s.commit(c)
		s.same("grants", s.grants(alpha), []registry.Grant{*c.Grant})
	},
	"reads are listed newest first, up to the limit": func(s *story) {
		c := s.Register(alpha)
		foreign := s.Register(beta)
		s.commit(c)
		s.commit(foreign)
		var newest []registry.Read
		for range 4 {
			reads := []registry.Read{s.Read(c.Records[1], beta), s.Read(foreign.Records[1], alpha), s.Read(c.Records[2], gamma)}
			reads[2].Attributes = nil
			s.commit(registry.Change{Tenant: beta, At: s.Time(), Reads: reads})
			newest = append([]registry.Read{reads[2], reads[0]}, newest...)
		}
		s.same("all", s.reads(alpha, 100), newest)
		s.same("three", s.reads(alpha, 3), newest[:3])
		s.same("none", s.reads(alpha, 0), []registry.Read(nil))
		if got := len(s.reads(beta, 100)); got != 4 {
			s.Errorf("%d reads of beta, want 4", got)
		}
	},
	"no read is lost among many at once": func(s *story) {
		r := s.Register(alpha).Records[1]
		reads := make([]registry.Read, 50)
		for i := range reads {
			reads[i] = s.Read(r, beta)
		}
		together(len(reads), func(i int) {
			if _, err := s.store.Commit(s.ctx, registry.Change{Tenant: beta, At: reads[i].At, Reads: reads[i : i+1]}); err != nil {
				s.Errorf("commit: %v", err)
			}
		})
		if got := len(s.reads(alpha, 100)); got != len(reads) {
			s.Errorf("%d reads, want %d", got, len(reads))
		}
	},
	"a passport is released to the last that was named": func(s *story) {
		id := s.ID()
		if _, err := s.store.Release(s.ctx, id); !errors.Is(err, registry.ErrNotFound) {
			s.Errorf("release: got %v, want ErrNotFound", err)
		}
		for _, to := range []passport.OrgID{beta, gamma} {
			release := registry.Release{Passport: id, Owner: alpha, To: to, At: s.Time()}
			s.commit(registry.Change{Tenant: alpha, At: release.At, Release: &release})
			s.same("release", s.release(id), release)
		}
	},
}

var status = map[string]func(*story){
	"a series without an entry is active": func(s *story) {
		item := s.commitRegistration().Records[2]
		if history := s.history(item.Series); len(history) != 0 {
			s.Errorf("status %+v, want none", history)
		}
		if list := s.list(0); len(list) != 0 {
			s.Errorf("status list %v, want none", list)
		}
	},
	"the history is told from the first change to the last": func(s *story) {
		item := s.commitRegistration().Records[2]
		var want []registry.StatusChange
		for _, step := range [][2]registry.State{
			{registry.Active, registry.Suspended}, {registry.Suspended, registry.Active}, {registry.Active, registry.Superseded},
		} {
			c := s.Move(item, step[0], step[1])
			s.commit(c)
			want = append(want, *c.Status)
		}
		s.same("history", s.history(item.Series), want)
	},
	"a change from another state is stale": func(s *story) {
		item := s.commitRegistration().Records[2]
		s.refused(s.Move(item, registry.Suspended, registry.Active), registry.ErrStale)
		s.commit(s.Move(item, registry.Active, registry.Suspended))
		s.refused(s.Move(item, registry.Active, registry.Revoked), registry.ErrStale)
		if got := s.leaves(); got != 4 {
			s.Errorf("%d leaves, want 4", got)
		}
	},
	"one of many changes from a state happens": func(s *story) {
		item := s.commitRegistration().Records[2]
		won := atomic.Int64{}
		together(30, func(i int) {
			_, err := s.store.Commit(s.ctx, s.Move(item, registry.Active, registry.Suspended))
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, registry.ErrStale):
				s.Errorf("change %d: got %v, want ErrStale", i, err)
			}
		})
		if got := len(s.history(item.Series)); won.Load() != 1 || got != 1 {
			s.Errorf("%d changes happened, %d are told", won.Load(), got)
		}
	},
	"a list holds the present state of its slots, counted from its first": func(s *story) {
		move := func(slot int64, states ...registry.State) {
			item := s.commitRegistration().Records[2]
			item.Slot = slot
			for i, from := range states[:len(states)-1] {
				s.commit(s.Move(item, from, states[i+1]))
			}
		}
		move(0, registry.Active, registry.Suspended)
		move(7, registry.Active, registry.Suspended, registry.Active)
		move(131071, registry.Active, registry.Suspended, registry.Revoked)
		move(131072, registry.Active, registry.Ceased)
		move(131075, registry.Active, registry.Superseded)
		s.same("list 0", s.list(0), map[int]registry.State{0: registry.Suspended, 131071: registry.Revoked})
		s.same("list 1", s.list(1), map[int]registry.State{0: registry.Ceased, 3: registry.Superseded})
		s.same("list 2", s.list(2), map[int]registry.State{})
	},
}
