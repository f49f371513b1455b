package httpapi_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
)

var update = flag.Bool("update", false, "write the golden files anew")

// eyes is somebody who reads, and the tiers they may see by Art. 77(2) of
// Regulation (EU) 2023/1542 and their grants. The owner, nordlicht, grants
// kreislauf and pruefhaus everything: a role opens no more than it can.
type eyes struct {
	name string
	org  passport.OrgID // empty: nobody is signed in
	sees passport.Tiers
}

var everyone = []eyes{
	{"public", "", 0},
	{"owner", "nordlicht", passport.AllTiers()},
	{"otherMaker", "veloplus", 0},
	{"legitimateInterest", "kreislauf", passport.TiersOf(passport.Point2, passport.Point4)},
	{"authority", "hafenzoll", passport.TiersOf(passport.Point2, passport.Point3, passport.Origin)},
	{"contractedVerifier", "pruefhaus", passport.TiersOf(passport.Origin)},
	{"auditor", "rechnungshof", passport.AllTiers()},
	{"operatorAdmin", "treuhand", 0},
}

// complete are the restricted attributes that the shipped example leaves out.
var complete = map[string]map[string]any{
	"passport": {"dateOfPuttingIntoService": "2027-03-20"},
	"model":    {"hazardousSubstanceLocations": "behind the left side panel, cells 1 to 12"}, // below dismantling
	"condition": {
		"remainingRoundTripEfficiencyPct": 94, "selfDischargeRatePctPerMonth": 1.6, "selfDischargeEvolutionPct": 0.1,
		"capacityThroughputAh": 14100, "ohmicResistanceOhm": 0.073, "resistanceIncrease": map[string]any{"packPct": 3.1, "cellPct": 3, "modulePct": 3.2},
		"socHistogram": map[string]any{"unit": "pct", "binsFrom": []int{0, 50}, "minutes": []int{4000, 6000}},
		"extensions":   map[string]any{"com.example.pack": map[string]any{"fan": "on"}},
	},
}

// exposed registers a battery that has every restricted attribute.
func (w *world) exposed() *answer {
	w.t.Helper()
	doc, reading := battery(example(w.t, "ev.json"), "A1"), example(w.t, "condition-ev.json")
	maps.Copy(dig(doc, "model", "dismantling").(map[string]any), complete["model"])
	maps.Copy(doc["passport"].(map[string]any), complete["passport"])
	maps.Copy(reading["condition"].(map[string]any), complete["condition"])
	receipt := w.post("/v1/passports", doc, as("nordlicht")).want(http.StatusCreated)
	w.clock.pass(400 * 24 * time.Hour)
	w.post("/v1/passports/"+receipt.text("passportId")+"/conditions", reading, as("nordlicht")).want(http.StatusCreated)
	for _, org := range []string{"kreislauf", "pruefhaus"} {
		w.post("/v1/grants", map[string]any{
			"organisation": org, "points": []string{"point2", "point3", "point4", "origin"}, "validUntil": "2029-01-01T00:00:00Z",
		}, as("nordlicht")).want(http.StatusCreated)
	}
	return receipt
}

func (e eyes) parts() []part {
	if e.org == "" {
		return nil
	}
	return []part{as(e.org), purpose("matrix")}
}

func TestEveryRoleSeesExactlyItsTiers(t *testing.T) {
	w := newWorld(t)
	id := w.exposed().text("passportId")
	cat, _ := rules()
	views := make([]*answer, len(everyone))
	for i, e := range everyone {
		views[i] = w.get("/v1/passports/"+id, e.parts()...).want(http.StatusOK)
	}
	var golden strings.Builder
	fmt.Fprintf(&golden, "%-10s %-36s %-8s", "record", "attribute", "tier")
	for _, e := range everyone {
		fmt.Fprintf(&golden, " %s", e.name)
	}
	golden.WriteString("\n")
	for _, kind := range passport.RecordTypes() {
		for _, a := range cat.Disclosures(kind) {
			fmt.Fprintf(&golden, "%-10s %-36s %-8s", kind, a.ID, a.Tier)
			for i, e := range everyone {
				shown := present(views[i].at(string(kind)), a.Members)
				if shown != e.sees.Has(a.Tier) {
					t.Errorf("%s sees %s (%s): %v, want %v", e.name, a.ID, a.Tier, shown, e.sees.Has(a.Tier))
				}
				fmt.Fprintf(&golden, " %-*s", len(e.name), map[bool]string{true: "yes", false: "-"}[shown])
			}
			golden.WriteString("\n")
		}
	}
	same(t, "tiers.golden", golden.String())
}

// present reports whether a record shows something of an attribute. An array
// whose elements are all withheld is empty (RFC 9901 section 7.1).
func present(record any, members []string) bool {
	v := dig(record, members...)
	list, isList := v.([]any)
	return v != nil && (!isList || len(list) > 0 || slices.Contains(emptyInTheExample, members[0]))
}

// emptyInTheExample are arrays that have no element to withhold.
var emptyInTheExample = []string{"accidents", "negativeEvents", "lifecycle"}

// same compares with a golden file.
func same(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestWhatIsWithheldIsNamedAndWhatIsPublicIsShownToAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.exposed().text("passportId")
	cat, _ := rules()
	public := w.get("/v1/passports/" + id)
	for _, e := range everyone {
		view := w.get("/v1/passports/"+id, e.parts()...).want(http.StatusOK)
		named := map[string]bool{}
		for _, x := range view.at("withheld").([]any) {
			named[dig(x, "attribute").(string)] = true
		}
		for _, kind := range []passport.RecordType{passport.Model, passport.Batch, passport.Item} {
			cat.Each(kind, func(a catalogue.Attribute) {
				if a.Tier == "public" && !slices.Contains(a.Members, "[]") && dig(public.at(string(kind)), a.Members...) != nil &&
					dig(view.at(string(kind)), a.Members...) == nil {
					t.Errorf("%s does not see the public %s", e.name, a.ID)
				}
			})
			for _, a := range cat.Disclosures(kind) {
				if named[a.ID] == e.sees.Has(a.Tier) {
					t.Errorf("%s: %s is named as withheld: %v", e.name, a.ID, named[a.ID])
				}
			}
		}
	}
}

func TestAllReadersGetTheSameSignedBytes(t *testing.T) {
	w := newWorld(t)
	receipt := w.exposed()
	for kind, path := range map[string]string{"passport": "/v1/passports/", "model": "/v1/models/", "batch": "/v1/batches/"} {
		rec := recordOf(receipt, kind)
		bare := w.get("/v1/records/" + rec["recordId"].(string) + ".sd-jwt").want(http.StatusOK).body
		tags := map[string]string{}
		for _, e := range everyone {
			a := w.get(path+rec["id"].(string), append(e.parts(), accept("application/vc+sd-jwt"))...).want(http.StatusOK)
			if !bytes.HasPrefix(a.body, bare) {
				t.Errorf("%s: the token for %s is signed differently", kind, e.name)
			}
			if e.sees == 0 && !bytes.Equal(a.body, bare) {
				t.Errorf("%s: the token for %s discloses something", kind, e.name)
			}
			if verdict := w.verdict(string(a.body)); verdict != "genuine" {
				t.Errorf("%s: the token for %s is %s", kind, e.name, verdict)
			}
			if other, ok := tags[a.header.Get("Etag")]; ok && other != string(a.body) {
				t.Errorf("%s: one tag for two presentations", kind)
			}
			tags[a.header.Get("Etag")] = string(a.body)
		}
	}
}

func TestRestrictedBytesNeverReachWhoMayNotSeeThem(t *testing.T) {
	w := newWorld(t)
	receipt := w.exposed()
	id := receipt.text("passportId")
	// Texts of the example that stand in restricted members alone, by tier.
	secrets := map[passport.Tier]string{
		passport.Origin: "Wattle Ridge Spodumene", passport.Point4: "com.example.pack", passport.Point2: "silicon suboxide",
	}
	paths := []string{
		"/v1/passports/" + id, "/v1/passports/" + id + "?as=token", "/v1/passports/" + id + "/versions", "/v1/passports/" + id + "/verification",
		"/v1/models/" + recordOf(receipt, "model")["id"].(string), "/v1/batches/" + recordOf(receipt, "batch")["id"].(string),
		"/01/09506000134376/21/A1?linkType=linkset",
	}
	for _, e := range everyone {
		for _, path := range paths {
			body := string(w.get(path, e.parts()...).body)
			for tier, text := range secrets {
				if strings.Contains(body, text) && !e.sees.Has(tier) {
					t.Errorf("%s finds %q (%s) in %s", e.name, text, tier, path)
				}
			}
		}
	}
}

// twins are calls about what belongs to somebody else, beside the same calls
// about what does not exist.
func twins(t *testing.T, w *world) [][2]operation {
	t.Helper()
	mine, nobodys := operations(t, w.furnished()), operations(t, unknown)
	pairs := make([][2]operation, len(mine))
	for i := range mine {
		pairs[i] = [2]operation{mine[i], nobodys[i]}
	}
	return pairs
}

func TestAForeignIdAnswersAsAnUnknownOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, pair := range twins(t, w) {
		foreign, unknown := pair[0], pair[1]
		if foreign.method == http.MethodGet || !strings.Contains(foreign.route, "{id}") {
			continue // reading is public; what it shows is another test's
		}
		for _, e := range everyone {
			if e.org == "nordlicht" || e.name == "authority" && strings.HasSuffix(foreign.route, "/release") {
				continue
			}
			foreign.by, unknown.by = e.org, e.org
			one, other := w.do(foreign.method, foreign.path, foreign.parts(t)...), w.do(unknown.method, unknown.path, unknown.parts(t)...)
			if diff := cmp.Diff(anonymised(one), anonymised(other)); diff != "" {
				t.Errorf("%s as %s: -foreign +unknown:\n%s", foreign.name(), e.name, diff)
			}
		}
	}
}

// anonymised is an answer without the id of the request.
func anonymised(a *answer) string {
	a.header.Del("Request-Id")
	body := a.body
	if i := bytes.Index(body, []byte(`"requestId":"req_`)); i >= 0 {
		body = append(slices.Clone(body[:i]), body[i+len(`"requestId":"req_000000000000000000000000"`):]...)
	}
	return fmt.Sprint(a.status, a.header, string(body))
}

func TestNoRouteRoleOrIdYieldsAFaultOrALeak(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, pair := range twins(t, w) {
		for _, o := range pair {
			for _, e := range everyone {
				for _, why := range []string{"", "walk"} {
					o.by, o.purpose = e.org, why
					a := w.do(o.method, o.path, o.parts(t)...)
					if a.status >= http.StatusInternalServerError {
						t.Errorf("%s as %s: %d", o.name(), e.name, a.status)
					}
					if strings.Contains(string(a.body), "Wattle Ridge Spodumene") && !e.sees.Has(passport.Origin) {
						t.Errorf("%s as %s leaks an origin", o.name(), e.name)
					}
					if e.org == "" && a.status < http.StatusMultipleChoices && o.method != http.MethodGet && o.route != "/v1/verify" {
						t.Errorf("%s writes for nobody", o.name())
					}
				}
			}
		}
	}
}

func TestTheTenantComesFromTheTokenAlone(t *testing.T) {
	w := newWorld(t)
	doc := battery(example(t, "ev.json"), "A1")
	receipt := w.post("/v1/passports", doc, as("veloplus"), header("X-Organisation", "nordlicht"), header("Org", "nordlicht")).want(http.StatusCreated)
	if org := w.get("/v1/passports/"+receipt.text("passportId")).text("issuer", "organisation"); org != "veloplus" {
		t.Errorf("issued for %s", org)
	}
	doc["organisation"] = "nordlicht"
	w.post("/v1/passports", doc, as("veloplus")).refused(http.StatusUnprocessableEntity, "record.invalid")
}
