package demo_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/demo"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
	"github.com/provolt/provolt/internal/verify"
)

var operator = access.Subject{Org: passport.Operator, Name: "root", Roles: []access.Role{access.OperatorAdmin}}

// furnished is a registry at that address and time with everything a demo has
// to show.
func furnished(t *testing.T, base string, at time.Time) (*registry.Registry, demo.Showcase) {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "provolt.db")
	must(sqlite.Migrate(ctx, path, sqlite.Options{}))
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	must(err)
	t.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.Open(dir, keyring.Options{})
	must(err)
	must(registry.Init(ctx, store, keys, registry.Instance{BaseURL: base, Environment: "demo", CreatedAt: at}, "Demo", "DE"))
	cat, err := catalogue.Load()
	must(err)
	validator, err := schema.New(cat)
	must(err)
	reg, err := registry.Open(ctx, registry.Options{
		Store: store, Keys: keys, Catalogue: cat, Validator: validator, Random: rand.Reader,
		Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler),
	})
	must(err)
	show, err := demo.Furnish(ctx, reg, operator)
	must(err)
	return reg, show
}

// Wherever and whenever somebody starts it, the demo shows what it says.
func TestEveryExhibitShowsWhatItPromises(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]struct {
		base string
		at   time.Time
	}{
		"on this machine, now": {"http://localhost:8080", time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)},
		"on a network, later":  {"http://192.168.1.20:8080", time.Date(2031, 2, 28, 23, 59, 59, 999, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, show := furnished(t, where.base, where.at)
			if show.BaseURL != where.base {
				t.Errorf("base URL %s, want %s", show.BaseURL, where.base)
			}
			var shown []string
			for _, e := range show.Passports {
				shown = append(shown, e.Shows)
				holds(t, reg, e)
			}
			for _, want := range []string{"genuine", "suspended", "unregistered", "genuine-lmt", "genuine-industrial", "genuine-stationary"} {
				if !slices.Contains(shown, want) {
					t.Errorf("nothing shows %s: %v", want, shown)
				}
			}
		})
	}
}

// holds compares what an exhibit promises with what the registry says.
func holds(t *testing.T, reg *registry.Registry, e demo.Exhibit) {
	t.Helper()
	if !strings.HasPrefix(e.DigitalLink, reg.BaseURL()+"/01/") || e.Description == "" {
		t.Errorf("%s: %+v", e.Shows, e)
	}
	link, err := passport.ParseDigitalLink(e.DigitalLink)
	if err != nil {
		t.Fatal(err)
	}
	place, err := reg.Look(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if e.Shows == "unregistered" {
		if !place.Known || !place.Passport.IsZero() || e.PassportID != "" {
			t.Errorf("unregistered: %+v leads to %+v", e, place)
		}
		return
	}
	if place.Passport.String() != e.PassportID {
		t.Fatalf("%s: %s leads to %s, want %s", e.Shows, e.DigitalLink, place.Passport, e.PassportID)
	}
	want := verify.Genuine
	if e.Shows == "suspended" {
		want = verify.Suspended
	}
	result, err := reg.Verification(t.Context(), place.Passport, 0)
	if err != nil {
		t.Fatal(err)
	}
	if result.Verdict != want {
		t.Errorf("%s is %s: %+v", e.Shows, result.Verdict, result.Checks)
	}
	for name, path := range map[string]string{"page": "/p/" + e.PassportID, "passport": "/v1/passports/" + e.PassportID, "qrSvg": "/v1/passports/" + e.PassportID + "/qr.svg"} {
		if e.Links[name] != reg.BaseURL()+path {
			t.Errorf("%s: link %s is %s", e.Shows, name, e.Links[name])
		}
	}
}

func TestSomebodyOfEveryRoleCanSignIn(t *testing.T) {
	t.Parallel()
	reg, show := furnished(t, "http://localhost:8080", time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC))
	organisations := map[access.Role]map[passport.OrgID]bool{}
	for _, p := range show.Persons {
		org, err := reg.Organisation(t.Context(), p.Organisation)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range p.Roles {
			if !slices.Contains(org.Roles, role) {
				t.Errorf("%s is to be %s, and %s is not", p.Name, role, org.ID)
			}
			if organisations[role] == nil {
				organisations[role] = map[passport.OrgID]bool{}
			}
			organisations[role][p.Organisation] = true
		}
	}
	for _, role := range access.Roles() {
		want := 1
		if role == access.Authority || role == access.OperatorAdmin { // what needs two, needs them from two organisations
			want = 2
		}
		if got := len(organisations[role]); got < want {
			t.Errorf("%s: people of %d organisations, want %d", role, got, want)
		}
	}
	// Every person who reads for a reason sees something that the public does not.
	id, err := passport.ParseID(show.Passports[0].PassportID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range show.Persons {
		who := access.Subject{Org: p.Organisation, Name: p.Name, Roles: p.Roles}
		view, err := reg.Passport(t.Context(), id, 0, registry.Reader{By: who, Purpose: "to look around"})
		if err != nil {
			t.Fatal(err)
		}
		public, err := reg.Passport(t.Context(), id, 0, registry.Reader{})
		if err != nil {
			t.Fatal(err)
		}
		hidden := func(v registry.View) int { return v.Item.WithheldCount + v.Model.WithheldCount + v.Batch.WithheldCount }
		if sees, may := hidden(view) < hidden(public), !slices.Contains(p.Roles, access.OperatorAdmin); sees != may {
			t.Errorf("%s of %s sees more than the public: %v", p.Name, p.Organisation, sees)
		}
	}
}

func TestADemoIsFurnishedOnce(t *testing.T) {
	t.Parallel()
	reg, _ := furnished(t, "http://localhost:8080", time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC))
	if _, err := demo.Furnish(t.Context(), reg, operator); err == nil {
		t.Error("furnished twice")
	}
}
