package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

func TestAnOrganisationIsAdmittedOnceAndWithoutFault(t *testing.T) {
	everywhere(t, func(w *world) {
		good := registry.Organisation{
			ID: "neuland", Name: "Neuland Zürich – Ä", Country: "CH", Roles: []access.Role{access.Issuer, access.Auditor},
			PartyIDs: []passport.PartyID{{Scheme: "gln", Value: "9506000140445"}},
		}
		bad := registry.Organisation{
			ID: "Neu Land", Name: "right\u202eto left", Country: "XX", Roles: []access.Role{"superuser"},
			PartyIDs: []passport.PartyID{{Scheme: "gln", Value: "9506000140446"}},
		}
		_, err := w.Admit(w.ctx(), operator, bad)
		for pointer, code := range map[string]string{
			"/id": "organisation.id", "/name": "organisation.name", "/country": "country.unknown", "/roles": "role.unknown", "/partyIds/0": "partyId.form",
		} {
			w.invalid(err, pointer, code)
		}
		for _, name := range []string{"", strings.Repeat("x", 201)} {
			bad = good
			bad.Name = name
			w.invalid(second(w.Admit(w.ctx(), operator, bad)), "/name", "organisation.name")
		}
		for _, who := range []access.Subject{maker, customs, auditor} {
			w.is(second(w.Admit(w.ctx(), who, good)), registry.ErrForbidden)
		}
		w.is(second(w.Admit(w.ctx(), nobody, good)), registry.ErrUnauthenticated)
		other := w.open(w.truth)
		need(w.Admit(w.ctx(), operator, good))(w.t)
		for _, reg := range []*registry.Registry{w.Registry, other} { // also a process that has not heard of it
			w.clash(second(reg.Admit(w.ctx(), operator, good)), registry.CodeOrganisationExists)
		}
		got := need(w.Organisation(w.ctx(), "neuland"))(w.t)
		if len(got.Keys) != 1 || !got.AdmittedAt.Equal(w.clock.Now().Truncate(time.Second)) {
			w.t.Errorf("admitted as %+v", got)
		}
		got.Keys, got.AdmittedAt = nil, time.Time{}
		if diff := cmp.Diff(good, got); diff != "" {
			w.t.Errorf("admitted as (-want +got):\n%s", diff)
		}
		w.clash(second(w.Admit(w.ctx(), operator, registry.Organisation{ID: passport.Operator, Name: "x", Country: "DE"})), registry.CodeOrganisationExists)
		var ids []passport.OrgID
		for _, org := range need(w.Organisations(w.ctx()))(w.t) {
			ids = append(ids, org.ID)
		}
		if diff := cmp.Diff([]passport.OrgID{"hafenzoll", "kreislauf", "neuland", "nordlicht", "pruefhaus", "rechnungshof", "registry", "veloplus"}, ids); diff != "" {
			w.t.Errorf("organisations:\n%s", diff)
		}
	})
}

func TestAnOrganisationThatDoesNotIssueHasNoKeyAndIsNoIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if keys := w.keysOf(customs.Org); len(keys) != 0 {
		t.Errorf("customs has keys: %v", keys)
	}
	if _, ok := w.trust().Issuer(w.DID(customs.Org)); ok {
		t.Error("customs is trusted to issue")
	}
	// Whatever role a token names, there is nothing to sign with.
	w.clash(second(w.RegisterPassport(w.ctx(), pack(t, "A1").by(t, as(customs.Org, access.Issuer)))), registry.CodeNoKey)
	w.fsck()
}

func TestOneIdentityProviderSpeaksForOneOrganisation(t *testing.T) {
	everywhere(t, func(w *world) {
		const login = "https://login.nordlicht.example"
		bind := func(by access.Subject, org passport.OrgID, issuer string) error {
			return w.BindIssuer(w.ctx(), by, org, issuer)
		}
		w.must(bind(operator, maker.Org, login))
		w.must(bind(operator, maker.Org, login))
		w.clash(bind(operator, rival.Org, login), registry.CodeIssuerBound)
		w.is(bind(operator, "unknown", login), registry.ErrNotFound)
		w.is(bind(maker, maker.Org, login), registry.ErrForbidden)
		got := need(w.Organisation(w.ctx(), maker.Org))(w.t)
		if got.OIDCIssuer != login || len(got.Keys) != 1 || got.Name != "nordlicht GmbH" {
			w.t.Errorf("bound: %+v", got)
		}
		w.must(bind(operator, maker.Org, ""))
		w.must(bind(operator, rival.Org, login))
		w.must(bind(operator, maker.Org, "")) // two without a provider of their own are no conflict
	})
}

func TestTheFirstAdministratorRedeemsTheSecretOnce(t *testing.T) {
	everywhere(t, func(w *world) {
		redeem := func(org passport.OrgID, secret, subject string) error {
			return second(w.Redeem(w.ctx(), org, secret, base, subject))
		}
		w.is(redeem(maker.Org, "pv_enrol_wrong", "eve"), registry.ErrNotFound)
		w.is(redeem(maker.Org, w.secret[rival.Org], "eve"), registry.ErrNotFound) // another organisation's
		w.is(redeem("unknown", w.secret[rival.Org], "eve"), registry.ErrNotFound)
		m := need(w.Redeem(w.ctx(), maker.Org, w.secret[maker.Org], base, "ada"))(w.t)
		if diff := cmp.Diff([]access.Role{access.Issuer}, m.Roles); diff != "" {
			w.t.Errorf("roles:\n%s", diff)
		}
		w.is(redeem(maker.Org, w.secret[maker.Org], "eve"), registry.ErrNotFound)
		for subject, want := range map[string]int{"ada": 1, "eve": 0} {
			if roles := need(w.MemberRoles(w.ctx(), maker.Org, base, subject))(w.t); len(roles) != want {
				w.t.Errorf("%s has the roles %v", subject, roles)
			}
		}
		if roles := need(w.MemberRoles(w.ctx(), maker.Org, "https://other.example", "ada"))(w.t); len(roles) != 0 {
			w.t.Errorf("an ada of another provider has the roles %v", roles)
		}
		w.pass(registry.EnrolmentLife)
		w.is(redeem(rival.Org, w.secret[rival.Org], "late"), registry.ErrNotFound)
	})
}

func TestASecretIsRedeemedOnceHoweverManyTry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	faults := make([]error, 20)
	together(len(faults), func(i int) {
		faults[i] = second(w.Redeem(w.ctx(), maker.Org, w.secret[maker.Org], base, "ada"+string(rune('a'+i))))
	})
	won := 0
	for _, err := range faults {
		if err == nil {
			won++
		} else {
			w.is(err, registry.ErrNotFound)
		}
	}
	if won != 1 {
		t.Errorf("%d administrators", won)
	}
	w.fsck()
}
