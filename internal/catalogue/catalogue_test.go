package catalogue_test

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
)

func TestNoAttributeIsEverLost(t *testing.T) {
	f, err := os.Open("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read to the end below
	cat, listed := load(t), 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		id := lines.Text()
		if strings.HasPrefix(id, "#") {
			continue
		}
		listed++
		if _, ok := cat.Attribute(id); !ok {
			t.Errorf("attribute %s is gone", id)
		}
	}
	// 171 of the data model, 16 of this registry so that tiering is total.
	if all := len(cat.Attributes()); listed != 171+16 || all < listed {
		t.Errorf("%d ids listed, %d attributes in the catalogue", listed, all)
	}
}

// The longlist of Battery Pass numbers its attributes 1 to 93.
func TestEveryAttributeOfTheLonglistHasARow(t *testing.T) {
	numbers := map[string]bool{}
	for _, a := range load(t).Attributes() {
		numbers[a.LonglistNo] = true
		if a.Served() && a.Schema != nil {
			t.Errorf("%s is served beside the record and has a schema", a.ID)
		}
	}
	for n := 1; n <= 93; n++ {
		if !numbers[strconv.Itoa(n)] {
			t.Errorf("no row for number %d of the longlist", n)
		}
	}
}

// Of the rows that come from outside: Annex XIII point 1 and what the registry
// publishes, points 2, 3 and 4, and mineral origins.
func TestTiersAreThoseOfTheDataModel(t *testing.T) {
	got := map[passport.Tier]int{}
	for _, a := range load(t).Attributes() {
		if a.Source != "registry" {
			got[a.Tier]++
		}
	}
	want := map[passport.Tier]int{passport.Public: 81, passport.Point2: 12, passport.Point3: 1, passport.Point4: 33}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMemberOfARecordHasOneTier(t *testing.T) {
	cat := load(t)
	files, err := cat.Schemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range passport.RecordTypes() {
		var schema map[string]any
		if err := json.Unmarshal(files[catalogue.SchemaFile(record, false)], &schema); err != nil {
			t.Fatal(err)
		}
		walk(schema, schema, nil, func(members []string, leaf bool) {
			tier, ok := cat.TierAt(record, members...)
			if leaf && !ok {
				t.Errorf("%s %s has no tier", record, strings.Join(members, "."))
			}
			if !leaf && ok && tier == "" {
				t.Errorf("%s %s has an empty tier", record, strings.Join(members, "."))
			}
		})
	}
}

// walk visits every property of a schema, following its local references.
func walk(root, schema map[string]any, members []string, visit func([]string, bool)) {
	if ref, ok := schema["$ref"].(string); ok {
		name, local := strings.CutPrefix(ref, "#/$defs/")
		if !local {
			visit(members, true)
			return
		}
		schema = root["$defs"].(map[string]any)[name].(map[string]any)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		walk(root, items, append(slices.Clone(members), "[]"), visit)
		return
	}
	properties, ok := schema["properties"].(map[string]any)
	if len(members) > 0 {
		visit(members, !ok)
	}
	for name, property := range properties {
		walk(root, property.(map[string]any), append(slices.Clone(members), name), visit)
	}
}

func TestRestrictedContainersLeakNothing(t *testing.T) {
	cat := load(t)
	want := map[string]passport.Tier{
		"composition.thresholdWtPct":      passport.Point2,
		"composition.materials.[].cas":    passport.Point2,
		"dismantling.parts":               passport.Point2,
		"testReports.[].sha256":           passport.Point3,
		"performance.voltage.nominal":     passport.Public,
		"identification.manufacturer.ids": passport.Public,
	}
	for path, tier := range want {
		if got, ok := cat.TierAt(passport.Model, strings.Split(path, ".")...); !ok || got != tier {
			t.Errorf("model %s is %s (%v), want %s", path, got, ok, tier)
		}
	}
	if _, ok := cat.TierAt(passport.Model, "performance"); ok {
		t.Error("a container without a row of its own has a tier")
	}
	for _, a := range cat.Of(passport.Condition) {
		if a.Tier != passport.Point4 {
			t.Errorf("%s is %s in a record of point 4", a.ID, a.Tier)
		}
	}
}

func TestDisclosuresAreOnePerRestrictedRow(t *testing.T) {
	cat := load(t)
	want := map[passport.RecordType]string{
		passport.Model: "testReports composition.materials composition.thresholdWtPct dismantling.manuals dismantling.parts " +
			"dismantling.spareParts dismantling.safetyMeasures performanceRestricted.initialSelfDischargePctPerMonth " +
			"performanceRestricted.expectedLifetimeYears dismantling.explodedDiagrams dismantling.disassemblySequence " +
			"dismantling.fasteningTechniques dismantling.toolsRequired dismantling.damageWarnings dismantling.cellCountAndLayout " +
			"dismantling.hazardousSubstanceLocations",
		passport.Batch: "origins[] entities[] midstream[]",
		passport.Item:  "dateOfPuttingIntoService lifecycle.batteryStatus lifecycle.statusSince lifecycle.repairs",
		passport.Condition: "remainingCapacityAh capacityFadePct remainingUsableEnergyKwh stateOfCertifiedEnergyPct stateOfChargePct " +
			"remainingPower powerFadePct remainingRoundTripEfficiencyPct roundTripEfficiencyFadePct selfDischargeRatePctPerMonth " +
			"selfDischargeEvolutionPct resistanceIncrease.packPct resistanceIncrease.cellPct resistanceIncrease.modulePct fullCycles " +
			"energyThroughputKwh capacityThroughputAh temperature extremeTemperature.aboveMin extremeTemperature.belowMin " +
			"extremeTemperature.chargingAboveMin extremeTemperature.chargingBelowMin deepDischargeEvents overchargeEvents accidents " +
			"ohmicResistanceOhm socHistogram negativeEvents recordedAt source odometerKm extensions",
	}
	for record, paths := range want {
		var got []string
		for _, a := range cat.Disclosures(record) {
			path := strings.Join(a.Members, ".")
			if a.Elements {
				path += "[]"
			}
			got = append(got, path)
		}
		if diff := cmp.Diff(strings.Fields(paths), got); diff != "" {
			t.Errorf("%s: %s", record, diff)
		}
	}
}

func TestEveryNameStandsInEveryLanguage(t *testing.T) {
	cat := load(t)
	if diff := cmp.Diff([]string{"de", "en"}, cat.Languages()); diff != "" {
		t.Fatal(diff)
	}
	for _, a := range cat.Attributes() {
		if a.Label("de") == "" || a.Label("en") == "" || a.Label("fr") != a.Label("en") {
			t.Errorf("%s is called %v", a.ID, a.Name)
		}
	}
}

// battery describes triggers in a row of a table: the category and the
// triggers that are true; all others are false.
func battery(category string, triggers ...string) catalogue.Triggers {
	has := func(name string) catalogue.Truth {
		switch {
		case slices.Contains(triggers, "?"+name):
			return catalogue.Unknown
		case slices.Contains(triggers, name):
			return catalogue.True
		}
		return catalogue.False
	}
	return catalogue.Triggers{
		Category: category, Rechargeable: has("rechargeable"), HasBMS: has("hasBms"),
		ExternalStorageOnly: has("externalStorageOnly"), StationaryBESS: has("stationaryBess"), NonCycleApplication: has("nonCycleApplication"),
	}
}

func TestDutiesFollowTheTriggers(t *testing.T) {
	cat := load(t)
	for _, tt := range []struct {
		claim     string
		attribute string
		battery   catalogue.Triggers
		want      catalogue.Duty
	}{
		{"an EV owes its exhaustion threshold", "capacityThresholdForExhaustion", battery("ev", "rechargeable"), catalogue.Duty{Need: catalogue.Mandatory}},
		{"an e-bike does not", "capacityThresholdForExhaustion", battery("lmt", "rechargeable"), catalogue.Duty{Need: catalogue.NotApplicable}},
		{"an EV owes its carbon footprint", "carbonFootprintPerFunctionalUnit", battery("ev", "rechargeable"), catalogue.Duty{Need: catalogue.Mandatory}},
		{"an e-bike owes it later", "carbonFootprintPerFunctionalUnit", battery("lmt", "rechargeable"), catalogue.Duty{Need: catalogue.Later, From: "2028-08-18"}},
		{"external storage owes it last", "carbonFootprintPerFunctionalUnit", battery("industrial", "rechargeable", "externalStorageOnly"), catalogue.Duty{Need: catalogue.Later, From: "2030-08-18"}},
		{"a primary battery owes none", "carbonFootprintPerFunctionalUnit", battery("ev"), catalogue.Duty{Need: catalogue.NotApplicable}},
		{"external storage owes no recycled content", "recycledSharePostConsumerNickel", battery("industrial", "rechargeable", "externalStorageOnly"), catalogue.Duty{Need: catalogue.NotApplicable}},
		{"external storage carves out of stationary use too", "recycledSharePostConsumerNickel", battery("industrial", "rechargeable", "externalStorageOnly", "stationaryBess"), catalogue.Duty{Need: catalogue.NotApplicable}},
		{"stationary use adds where external storage is silent", "energyThroughput", battery("industrial", "rechargeable", "hasBms", "externalStorageOnly", "stationaryBess"), catalogue.Duty{Need: catalogue.Mandatory}},
		{"a stationary battery with a BMS owes its service date", "dateOfPuttingIntoService", battery("industrial", "hasBms", "stationaryBess"), catalogue.Duty{Need: catalogue.Mandatory}},
		{"without a BMS it does not", "dateOfPuttingIntoService", battery("industrial", "stationaryBess"), catalogue.Duty{Need: catalogue.Voluntary}},
		{"a battery not made to cycle owes no cycles", "expectedLifetimeCycles", battery("industrial", "rechargeable", "nonCycleApplication"), catalogue.Duty{Need: catalogue.NotApplicable}},
		{"an unknown trigger leaves the cycles open", "expectedLifetimeCycles", battery("industrial", "rechargeable", "?nonCycleApplication"), catalogue.Duty{Missing: []string{"nonCycleApplication"}}},
		{"an unknown trigger that changes nothing is not asked for", "ratedCapacity", battery("industrial", "?nonCycleApplication", "?hasBms"), catalogue.Duty{Need: catalogue.Mandatory}},
		{"what everybody owes needs no category", "batteryMass", battery(""), catalogue.Duty{Need: catalogue.Mandatory}},
		{"what one category owes does", "capacityThresholdForExhaustion", battery(""), catalogue.Duty{Missing: []string{"batteryCategory"}}},
		{"external storage may decide the footprint", "carbonFootprintPerFunctionalUnit", battery("industrial", "rechargeable", "?externalStorageOnly"), catalogue.Duty{Missing: []string{"externalStorageOnly"}}},
	} {
		a, ok := cat.Attribute(tt.attribute)
		if !ok {
			t.Fatalf("no attribute %s", tt.attribute)
		}
		if diff := cmp.Diff(tt.want, a.Duty(tt.battery)); diff != "" {
			t.Errorf("%s: %s", tt.claim, diff)
		}
	}
}

func TestLaterDutiesBeginOnTheirDay(t *testing.T) {
	cat := load(t)
	ev := battery("ev", "rechargeable")
	report, _ := cat.Attribute("dueDiligenceReport")
	class, _ := cat.Attribute("carbonFootprintPerformanceClass")
	for _, tt := range []struct {
		attribute catalogue.Attribute
		on        string
		want      catalogue.Need
	}{
		{report, "2027-08-17", catalogue.Voluntary},
		{report, "2027-08-18", catalogue.Mandatory},
		{class, "2031-01-01", catalogue.Voluntary}, // awaits its act
	} {
		if got := tt.attribute.On(tt.attribute.Duty(ev), tt.on); got != tt.want {
			t.Errorf("%s on %s is %s, want %s", tt.attribute.ID, tt.on, got, tt.want)
		}
	}
}

func TestWhatIsRecalledIsUnconfirmed(t *testing.T) {
	cat := load(t)
	for id, want := range map[string]bool{"recycledSharePostConsumerNickel": true, "carbonFootprintPerformanceClass": true, "batteryMass": false, "modelId": false} {
		if a, ok := cat.Attribute(id); !ok || a.Unconfirmed() != want {
			t.Errorf("%s: there %v, unconfirmed %v", id, ok, a.Unconfirmed())
		}
	}
	for _, a := range cat.Attributes() {
		if !slices.Contains([]string{"seen", "unconfirmed", "own"}, a.Confidence) {
			t.Errorf("%s has the confidence %q", a.ID, a.Confidence)
		}
	}
}

// What is decided while something is unknown stays decided when it becomes
// known: unknown is never a guess.
func TestKnowingMoreNeverOverturnsADuty(t *testing.T) {
	cat := load(t)
	rows := cat.Attributes()
	truth := rapid.SampledFrom([]catalogue.Truth{catalogue.Unknown, catalogue.False, catalogue.True})
	rapid.Check(t, func(t *rapid.T) {
		known := catalogue.Triggers{
			Category:     rapid.SampledFrom([]string{"ev", "lmt", "industrial"}).Draw(t, "category"),
			Rechargeable: catalogue.True, HasBMS: catalogue.False, ExternalStorageOnly: catalogue.False,
			StationaryBESS: catalogue.True, NonCycleApplication: catalogue.False,
		}
		vague := known
		for _, forget := range []*catalogue.Truth{
			&vague.Rechargeable, &vague.HasBMS, &vague.ExternalStorageOnly, &vague.StationaryBESS, &vague.NonCycleApplication,
		} {
			if truth.Draw(t, "truth") == catalogue.Unknown {
				*forget = catalogue.Unknown
			}
		}
		a := rapid.SampledFrom(rows).Draw(t, "attribute")
		if d := a.Duty(vague); !d.Undecided() && d.Need != a.Duty(known).Need {
			t.Fatalf("%s is %s of %+v and %s of %+v", a.ID, d.Need, vague, a.Duty(known).Need, known)
		}
	})
}

func TestTriggersAreReadFromTheModel(t *testing.T) {
	model := func(members map[string]any) map[string]any { return map[string]any{"identification": members} }
	for _, tt := range []struct {
		claim string
		model map[string]any
		want  catalogue.Triggers
	}{
		{"nothing is known without a model", nil, catalogue.Triggers{}},
		{
			"an EV is neither stationary nor of external storage", model(map[string]any{"batteryCategory": "ev", "rechargeable": true}),
			catalogue.Triggers{Category: "ev", Rechargeable: catalogue.True, ExternalStorageOnly: catalogue.False, StationaryBESS: catalogue.False},
		},
		{
			"a trigger of the wrong type is unknown", model(map[string]any{"batteryCategory": "industrial", "hasBms": "yes", "stationaryBess": true}),
			catalogue.Triggers{Category: "industrial", StationaryBESS: catalogue.True},
		},
	} {
		if diff := cmp.Diff(tt.want, catalogue.TriggersOf(tt.model)); diff != "" {
			t.Errorf("%s: %s", tt.claim, diff)
		}
	}
}
