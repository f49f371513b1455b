package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
)

const (
	acme  passport.OrgID = "acme"  // owns the resource
	bolt  passport.OrgID = "bolt"  // reads it
	other passport.OrgID = "other" // has nothing to do with either
)

var (
	noon      = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	item      = passport.ID{0: 1, 6: 0x70, 8: 0x80}
	mod       = passport.ID{0: 2, 6: 0x70, 8: 0x80}
	elsewhere = passport.ID{0: 3, 6: 0x70, 8: 0x80}
)

// theItem is a passport of acme, asked for at noon with a purpose.
func theItem(grants ...access.Grant) access.Resource {
	return access.Resource{
		Owner: acme, Type: passport.Item, Series: []passport.ID{item, mod},
		Grants: grants, HasPurpose: true, At: noon,
	}
}

// toBolt opens every tier of acme's records to bolt for the day.
func toBolt(change ...func(*access.Grant)) access.Grant {
	g := access.Grant{
		Owner: acme, Grantee: bolt, Points: passport.AllTiers(),
		From: noon.Add(-12 * time.Hour), Until: noon.Add(12 * time.Hour),
	}
	for _, f := range change {
		f(&g)
	}
	return g
}

// TestEveryRoleReachesExactlyWhatTheTableSays writes the law out in full, one
// column per role, so that a change of the table is read as a change of rights:
// O own only, * any organisation's, G with a grant or release, - never.
func TestEveryRoleReachesExactlyWhatTheTableSays(t *testing.T) {
	law := `
action            issuer legitimateInterest authority contractedVerifier auditor operatorAdmin
registerModel     O      -                  -         -                  -       -
registerBatch     O      -                  -         -                  -       -
registerPassport  O      -                  -         -                  -       -
succeed           OG     -                  -         -                  -       -
amend             O      -                  -         -                  -       -
recordCondition   O      -                  -         -                  -       -
release           O      -                  *         -                  -       -
grant             O      -                  -         -                  -       -
readGrants        O      O                  -         O                  *       -
readPublic        *      *                  *         *                  *       *
readRestricted    O      G                  *         G                  *       -
readPurposeLog    O      -                  -         -                  *       -
suspend           -      -                  -         -                  -       *
unsuspend         -      -                  -         -                  -       *
administer        -      -                  -         -                  -       *
`
	lines := strings.Split(strings.TrimSpace(law), "\n")
	roles := strings.Fields(lines[0])[1:]
	var seen []access.Action
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		action := access.Action(cells[0])
		seen = append(seen, action)
		for i, want := range cells[1:] {
			if got := reachOf(access.Role(roles[i]), action); got != want {
				t.Errorf("%s %s reaches %s, the law says %s", roles[i], action, got, want)
			}
		}
	}
	if diff := cmp.Diff(access.Actions(), seen); diff != "" {
		t.Errorf("actions without a row in the law (-have +law):\n%s", diff)
	}
}

// reachOf tries a role on acme's own record, on acme's record from outside,
// and on the same record granted and released to the outsider.
func reachOf(role access.Role, a access.Action) string {
	typ := map[access.Action]passport.RecordType{
		access.RegisterModel: passport.Model, access.RegisterBatch: passport.Batch,
	}[a]
	if typ == "" {
		typ = passport.Item
	}
	try := func(org passport.OrgID, opened bool) bool {
		r := theItem()
		r.Type = typ
		if opened {
			r.Grants, r.ReleasedTo = []access.Grant{toBolt()}, bolt
		}
		return access.Allow(access.Subject{Org: org, Name: "p", Roles: []access.Role{role}}, a, r).Allowed
	}
	ownOnly, foreign, opened := try(acme, false), try(bolt, false), try(bolt, true)
	switch {
	case ownOnly && foreign && opened:
		return "*"
	case ownOnly && !foreign && opened:
		return "OG"
	case ownOnly && !foreign && !opened:
		return "O"
	case !ownOnly && !foreign && opened:
		return "G"
	case !ownOnly && !foreign && !opened:
		return "-"
	}
	return "no sense"
}

func TestRestrictedReads(t *testing.T) {
	as := func(org passport.OrgID, roles ...access.Role) access.Subject {
		return access.Subject{Org: org, Name: "person", Roles: roles}
	}
	points := passport.TiersOf
	deny := func(why access.Reason, hidden bool) access.Decision {
		return access.Decision{Reason: why, Hidden: hidden}
	}
	open := func(why access.Reason, tiers ...passport.Tier) access.Decision {
		return access.Decision{Allowed: true, Tiers: points(tiers...), Reason: why}
	}
	everything := passport.Restricted()
	noPurpose := theItem(toBolt())
	noPurpose.HasPurpose = false

	tests := []struct {
		name string
		who  access.Subject
		what access.Resource
		want access.Decision
	}{
		{"anonymous must sign in", access.Subject{}, theItem(toBolt()), deny(access.NoSignIn, false)},
		{"no role, own", as(acme), theItem(), deny(access.NoRole, false)},
		{"no role, foreign", as(bolt), theItem(toBolt()), deny(access.NoRole, true)},
		{"issuer reads all of its own", as(acme, access.Issuer), theItem(), open(access.ByOwner, everything...)},
		{"issuer learns nothing of others", as(bolt, access.Issuer), theItem(toBolt()), deny(access.NoGrant, true)},
		{"legitimate interest without a grant", as(bolt, access.LegitimateInterest), theItem(), deny(access.NoGrant, true)},
		{"legitimate interest never exceeds points 2 and 4", as(bolt, access.LegitimateInterest), theItem(toBolt()), open(access.ByGrant, passport.Point2, passport.Point4)},
		{"legitimate interest gets no more than granted", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Points = points(passport.Point4) })), open(access.ByGrant, passport.Point4)},
		{"a grant of points the role cannot open is none", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Points = points(passport.Point3, passport.Origin) })), deny(access.NoGrant, true)},
		{"two grants add up", as(bolt, access.LegitimateInterest), theItem(
			toBolt(func(g *access.Grant) { g.Points = points(passport.Point2) }),
			toBolt(func(g *access.Grant) { g.Points = points(passport.Point4) }),
		), open(access.ByGrant, passport.Point2, passport.Point4)},
		{"grant of the passport", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Passport = item })), open(access.ByGrant, passport.Point2, passport.Point4)},
		{"grant of the model", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Model = mod })), open(access.ByGrant, passport.Point2, passport.Point4)},
		{"grant of another passport", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Passport = elsewhere })), deny(access.NoGrant, true)},
		{"grant of the passport but another model", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Passport, g.Model = item, elsewhere })), deny(access.NoGrant, true)},
		{"grant to someone else", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Grantee = other })), deny(access.NoGrant, true)},
		{"grant by someone else", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Owner = other })), deny(access.NoGrant, true)},
		{"grant of tomorrow", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.From = noon.Add(1) })), deny(access.NoGrant, true)},
		{"grant from this instant", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.From = noon })), open(access.ByGrant, passport.Point2, passport.Point4)},
		{"grant until this instant", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Until = noon })), deny(access.NoGrant, true)},
		{"grant without an end", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.Until = time.Time{} })), deny(access.NoGrant, true)},
		{"grant revoked this instant", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.RevokedAt = noon })), deny(access.NoGrant, true)},
		{"grant to be revoked later", as(bolt, access.LegitimateInterest), theItem(toBolt(func(g *access.Grant) { g.RevokedAt = noon.Add(1) })), open(access.ByGrant, passport.Point2, passport.Point4)},
		{"contracted verifier sees origin alone", as(bolt, access.ContractedVerifier), theItem(toBolt()), open(access.ByGrant, passport.Origin)},
		{"contracted verifier without a grant", as(bolt, access.ContractedVerifier), theItem(), deny(access.NoGrant, true)},
		{"authority needs no grant and sees no point 4", as(bolt, access.Authority), theItem(), open(access.ByRole, passport.Point2, passport.Point3, passport.Origin)},
		{"auditor sees all", as(bolt, access.Auditor), theItem(), open(access.ByRole, everything...)},
		{"operator's administrator sees no data", as(passport.Operator, access.OperatorAdmin), theItem(), deny(access.NoRole, true)},
		{"two roles add up", as(bolt, access.Authority, access.LegitimateInterest), theItem(toBolt()), open(access.ByGrant, everything...)},
		{"no purpose, no data", as(bolt, access.LegitimateInterest), noPurpose, deny(access.NoPurpose, false)},
		{"without a right the purpose is not asked for", as(other, access.LegitimateInterest), noPurpose, deny(access.NoGrant, true)},
		{"a role this registry does not know", as(bolt, "superuser"), theItem(toBolt()), deny(access.NoRole, true)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := access.Allow(tt.who, access.ReadRestricted, tt.what)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForeignResourcesAreHiddenFromWhoMayNotTouchThem(t *testing.T) {
	for _, a := range access.Actions() {
		for _, role := range access.Roles() {
			d := access.Allow(access.Subject{Org: bolt, Roles: []access.Role{role}}, a, theItem())
			if !d.Allowed && !d.Hidden {
				t.Errorf("%s %s of a foreign passport: refused with %s, which tells that it exists", role, a, d.Reason)
			}
			d = access.Allow(access.Subject{Org: acme, Roles: []access.Role{role}}, a, theItem())
			if d.Hidden {
				t.Errorf("%s %s of its own organisation's passport is hidden", role, a)
			}
		}
	}
}

func TestAConditionIsRecordedForAPackAndNotForAModel(t *testing.T) {
	r := theItem()
	r.Type = passport.Model
	got := access.Allow(access.Subject{Org: acme, Roles: []access.Role{access.Issuer}}, access.RecordCondition, r)
	if diff := cmp.Diff(access.Decision{Reason: access.NoSense}, got); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

func TestAnUnknownActionIsRefusedToEveryone(t *testing.T) {
	s := access.Subject{Org: acme, Roles: access.Roles()}
	if d := access.Allow(s, "destroy", theItem()); d.Allowed {
		t.Errorf("destroy: %+v", d)
	}
}

func TestAResourceOfNobodyBelongsToNobody(t *testing.T) {
	r := theItem(access.Grant{Grantee: bolt, Points: passport.AllTiers(), Until: noon.Add(time.Hour)})
	r.Owner = ""
	roles := []access.Role{access.Issuer, access.LegitimateInterest, access.ContractedVerifier}
	for _, s := range []access.Subject{{Org: bolt, Roles: roles}, {Roles: access.Roles()}} {
		for _, a := range access.Actions() {
			if d := access.Allow(s, a, r); d.Allowed && a != access.ReadPublic {
				t.Errorf("%+v may %s what nobody owns: %+v", s, a, d)
			}
		}
	}
}

// Generators for the properties: few organisations, ids and instants, so that
// matches are frequent.
var (
	orgs     = rapid.SampledFrom([]passport.OrgID{acme, bolt, other})
	ids      = rapid.SampledFrom([]passport.ID{{}, item, mod, elsewhere})
	instants = rapid.Custom(func(t *rapid.T) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "hours")) * time.Hour)
	})
	grants = rapid.Custom(func(t *rapid.T) access.Grant {
		g := access.Grant{
			Owner: orgs.Draw(t, "owner"), Grantee: orgs.Draw(t, "grantee"),
			Points:   passport.Tiers(rapid.IntRange(0, 15).Draw(t, "points")),
			Passport: ids.Draw(t, "passport"), Model: ids.Draw(t, "model"),
			From: instants.Draw(t, "from"), Until: instants.Draw(t, "until"),
		}
		if rapid.Bool().Draw(t, "revoked") {
			g.RevokedAt = instants.Draw(t, "revokedAt")
		}
		return g
	})
	resources = rapid.Custom(func(t *rapid.T) access.Resource {
		return access.Resource{
			Owner:      rapid.SampledFrom([]passport.OrgID{"", acme, bolt, other}).Draw(t, "owner"),
			Type:       rapid.SampledFrom(append(passport.RecordTypes(), "")).Draw(t, "type"),
			Series:     []passport.ID{item, mod},
			ReleasedTo: rapid.SampledFrom([]passport.OrgID{"", acme, bolt}).Draw(t, "releasedTo"),
			Grants:     rapid.SliceOfN(grants, 0, 4).Draw(t, "grants"),
			HasPurpose: rapid.Bool().Draw(t, "hasPurpose"),
			At:         instants.Draw(t, "at"),
		}
	})
	subjects = rapid.Custom(func(t *rapid.T) access.Subject {
		return access.Subject{
			Org:   rapid.SampledFrom([]passport.OrgID{"", acme, bolt, other}).Draw(t, "org"),
			Roles: rapid.SliceOfN(rapid.SampledFrom(access.Roles()), 0, 4).Draw(t, "roles"),
		}
	})
	actions = rapid.SampledFrom(access.Actions())
)

// within reports that more allows at least what less allows.
func within(less, more access.Decision) bool {
	return (!less.Allowed || more.Allowed) && less.Tiers.Intersect(more.Tiers) == less.Tiers
}

func TestAnotherRoleNeverTakesAnythingAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, a, r := subjects.Draw(t, "subject"), actions.Draw(t, "action"), resources.Draw(t, "resource")
		before := access.Allow(s, a, r)
		s.Roles = append(slices.Clone(s.Roles), rapid.SampledFrom(access.Roles()).Draw(t, "another role"))
		if after := access.Allow(s, a, r); !within(before, after) {
			t.Fatalf("with another role %+v became %+v", before, after)
		}
	})
}

func TestAnotherGrantNeverTakesAnythingAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, a, r := subjects.Draw(t, "subject"), actions.Draw(t, "action"), resources.Draw(t, "resource")
		before := access.Allow(s, a, r)
		r.Grants = append(slices.Clone(r.Grants), grants.Draw(t, "another grant"))
		if after := access.Allow(s, a, r); !within(before, after) {
			t.Fatalf("with another grant %+v became %+v", before, after)
		}
	})
}

func TestADeadGrantGivesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, a, r := subjects.Draw(t, "subject"), actions.Draw(t, "action"), resources.Draw(t, "resource")
		for i := range r.Grants {
			if rapid.Bool().Draw(t, "expired") {
				r.Grants[i].Until = r.At
			} else {
				r.Grants[i].RevokedAt = r.At
			}
		}
		with := access.Allow(s, a, r)
		r.Grants = nil
		if diff := cmp.Diff(access.Allow(s, a, r), with); diff != "" {
			t.Fatalf("dead grants changed the decision (-without +with):\n%s", diff)
		}
	})
}

func TestOnlyAnAllowedRestrictedReadOpensTiers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, a, r := subjects.Draw(t, "subject"), actions.Draw(t, "action"), resources.Draw(t, "resource")
		d := access.Allow(s, a, r)
		opens := d.Allowed && a == access.ReadRestricted
		if opens != (d.Tiers != 0) {
			t.Fatalf("%s: %+v", a, d)
		}
		if opens && (s.Anonymous() || !r.HasPurpose) {
			t.Fatalf("restricted data without a person or a purpose: %+v", d)
		}
	})
}
