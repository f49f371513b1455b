package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/passport"
)

// soundRecords is an invented EV pack whose every figure agrees with the
// others: 190.5 Ah at 394 V, 430 kg, 112 kg of NMC811 and 5.6 kg of LiPF6,
// 28.8 kg of mined and 43.2 kg of synthetic graphite.
const soundRecords = `{
"model": {
  "identification": {"gtin": "09506000134352", "batteryCategory": "ev", "rechargeable": true, "batteryMassKg": 430.0, "warrantyPeriod": "P8Y",
    "manufacturingPlace": {"name": "Plant 2", "address": {"city": "Magdeburg", "country": "DE"}}},
  "carbonFootprint": {"perFunctionalUnit": 0.058, "absoluteKg": 5568, "lifetimeEnergyKwh": 96000,
    "stages": {"rawMaterialAcquisition": 0.0372, "mainProduction": 0.0176, "distribution": 0.0012, "endOfLifeAndRecycling": 0.002}},
  "materials": {
    "chemistry": {"code": "NMC811", "cathode": "LiNi0.8Mn0.1Co0.1O2", "anode": "graphite/SiOx"},
    "criticalRawMaterials": [{"material": "cobalt", "wtPct": 1.58}, {"material": "lithium", "wtPct": 1.92}, {"material": "graphite", "wtPct": 16.74},
      {"material": "phosphorus", "wtPct": 0.27}, {"material": "copper", "wtPct": 7.67}],
    "hazardousSubstances": [{"name": "Lithium hexafluorophosphate", "cas": "21324-40-3", "massKg": 5.6, "wtPct": 1.3},
      {"name": "Lithium nickel manganese cobalt oxide", "cas": "346417-97-8", "massKg": 112.0, "wtPct": 26.05}]},
  "circularity": {"recycledContent": [{"material": "nickel", "preConsumerPct": 4.0, "postConsumerPct": 6.0, "year": 2026},
    {"material": "lead", "preConsumerPct": 0, "postConsumerPct": 0, "year": 2026}]},
  "performance": {"ratedCapacityAh": 190.5, "nominalEnergyKwh": 75.1, "certifiedUsableEnergyKwh": 71.0,
    "voltage": {"min": 302, "nominal": 394, "max": 454, "temperatureRangeC": {"min": -30, "max": 55}},
    "power": {"original": [{"socPct": 80, "watts": 232000}, {"socPct": 20, "watts": 158000}], "maxPermittedW": 245000, "powerToEnergyRatio": 3.1,
      "temperatureRangeC": {"min": -20, "max": 50}},
    "roundTripEfficiency": {"initialPct": 95.2},
    "idleTemperature": {"minC": -40, "maxC": 60}},
  "composition": {"materials": [
    {"name": "LiNi0.8Mn0.1Co0.1O2", "cas": "346417-97-8", "component": "cathode", "massKg": 112.0},
    {"name": "graphite, natural", "component": "anode", "massKg": 28.8},
    {"name": "graphite, synthetic", "component": "anode", "massKg": 43.2},
    {"name": "electrolyte (EC/EMC/DMC + LiPF6)", "component": "electrolyte", "massKg": 44.0},
    {"name": "copper foil", "component": "anodeCollector", "massKg": 33.0},
    {"name": "aluminium", "component": "housing", "massKg": 96.0},
    {"name": "steel", "component": "structure", "massKg": 12.0},
    {"name": "plastics", "component": "structure", "massKg": 61.0}]}
},
"batch": {
  "batchId": "NL2-2027W09", "quantity": 1850, "productionPeriod": {"from": "2027-02-22", "to": "2027-02-28"},
  "originSummary": [
    {"mineral": "lithium", "massKg": 8.251, "extraction": {"AU": 0.55, "CL": 0.45}, "refining": {"FI": 0.55, "DE": 0.45},
      "byCustodyModel": {"segregated": 0.55, "massBalance": 0.45}, "byVerification": {"thirdPartyVerified": 1}},
    {"mineral": "nickel", "massKg": 54.06, "extraction": {"FI": 0.9}, "refining": {"FI": 0.9}, "recycled": {"DE": 0.1}},
    {"mineral": "graphite", "massKg": 72.0, "extraction": {"MZ": 0.4}}],
  "origins": [
    {"lotId": "Li-1", "mineral": "lithium", "massShare": 0.55, "containedMassKg": 4.538, "sourceType": "primary",
      "chainOfCustodyModel": "segregated", "verification": "thirdPartyVerified",
      "stages": [{"stage": "extraction", "country": "AU", "region": "AU-WA", "entityId": "mine"}, {"stage": "refining", "country": "FI", "entityId": "refiner"}]},
    {"lotId": "Li-2", "mineral": "lithium", "massShare": 0.45, "containedMassKg": 3.713, "sourceType": "primary",
      "chainOfCustodyModel": "massBalance", "verification": "thirdPartyVerified",
      "stages": [{"stage": "extraction", "country": "CL"}, {"stage": "refining", "country": "CL", "valueAddedShare": 0.4}, {"stage": "refining", "country": "DE", "valueAddedShare": 0.6}]},
    {"lotId": "Ni-1", "mineral": "nickel", "massShare": 0.9, "containedMassKg": 48.654, "sourceType": "primary",
      "stages": [{"stage": "extraction", "country": "FI"}, {"stage": "refining", "country": "FI"}]},
    {"lotId": "Ni-2", "mineral": "nickel", "massShare": 0.1, "containedMassKg": 5.406, "sourceType": "recycledPostConsumer",
      "stages": [{"stage": "recycling", "country": "DE"}]},
    {"lotId": "Gr-1", "mineral": "graphite", "massShare": 0.4, "containedMassKg": 28.8, "sourceType": "primary", "synthetic": false,
      "stages": [{"stage": "extraction", "country": "MZ"}, {"stage": "refining", "country": null}]},
    {"lotId": "Gr-2", "mineral": "graphite", "massShare": 0.6, "containedMassKg": 43.2, "sourceType": "primary", "synthetic": true,
      "stages": [{"stage": "refining", "country": "US"}]}],
  "midstream": [{"stage": "cell", "country": "DE", "entityId": "maker"}],
  "entities": [
    {"entityId": "mine", "name": "Wattle Ridge Mining Pty", "seat": "AU", "owners": [
      {"entityId": "maker", "equity": 0.6, "from": "2020-01-01", "until": "2024-01-01"},
      {"name": "Ridge Holding", "equity": 0.4, "seat": "CH"},
      {"name": "State fund", "equity": 0.6, "coveredGovernment": "CN", "from": "2024-01-01"}]},
    {"entityId": "refiner", "name": "Nordic Lithium Oy", "seat": "FI"},
    {"entityId": "maker", "name": "Nordlicht Zellwerk GmbH", "seat": "DE"}]
},
"passport": {
  "batteryId": "https://id.example.test/01/09506000134352/10/NL2-2027W09/21/AB4F7K2900001", "serialNumber": "AB4F7K2900001", "batchId": "NL2-2027W09",
  "manufacturingDate": "2027-02", "placedOnMarketOn": "2027-02-20", "dateOfPuttingIntoService": "2027-03",
  "economicOperator": {"name": "Nordlicht Zellwerk GmbH", "role": "manufacturer", "country": "DE"},
  "predecessors": [], "lifecycle": {"batteryStatus": "original"}
},
"condition": {
  "recordedAt": "2028-03-20T04:00:00Z", "stateOfCertifiedEnergyPct": 96.8, "remainingUsableEnergyKwh": 68.7, "remainingCapacityAh": 184.9,
  "capacityFadePct": 2.9, "powerFadePct": 1.8, "remainingPower": [{"socPct": 80, "watts": 227800}],
  "remainingRoundTripEfficiencyPct": 94.6, "roundTripEfficiencyFadePct": 0.6,
  "temperature": {"binsFrom": [-40, -20, 0, 20], "minutes": [0, 4210, 98120, 331500]}
}}`

// soundAt is when the sound records are judged: as the last of them is made.
var soundAt = time.Date(2028, 3, 20, 4, 0, 0, 0, time.UTC)

// records are the four records of one battery, as strict parsing yields them.
type records map[string]any

func parsed(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("parse %.60s: %v", text, err)
	}
	return v
}

func sound(t testing.TB) records {
	t.Helper()
	return parsed(t, soundRecords).(map[string]any)
}

// set puts a JSON value at a pointer, or removes the member where the value
// is empty. "-" appends to an array.
func (w records) set(t testing.TB, pointer, value string) {
	t.Helper()
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	var v any
	if value != "" {
		v = parsed(t, value)
	}
	if err := put(map[string]any(w), steps, v, value == ""); err != "" {
		t.Fatalf("set %s: %s", pointer, err)
	}
}

func put(at any, steps []string, value any, remove bool) string {
	last := len(steps) == 1
	switch at := at.(type) {
	case map[string]any:
		if !last {
			if array, ok := at[steps[0]].([]any); ok && steps[1] == "-" {
				at[steps[0]] = append(array, value)
				return ""
			}
			return put(at[steps[0]], steps[1:], value, remove)
		}
		if remove {
			delete(at, steps[0])
			return ""
		}
		at[steps[0]] = value
	case []any:
		i, err := strconv.Atoi(steps[0])
		if err != nil || i >= len(at) {
			return "no element " + steps[0]
		}
		if !last {
			return put(at[i], steps[1:], value, remove)
		}
		at[i] = value
	default:
		return "nothing to put " + steps[0] + " into"
	}
	return ""
}

// check runs every cross-field check and returns the violations with their
// pointers beginning with the record.
func (w records) check() []passport.Violation {
	record := func(name string) map[string]any {
		m, _ := w[name].(map[string]any)
		return m
	}
	model, batch := record("model"), record("batch")
	var out []passport.Violation
	for _, of := range []struct {
		name  string
		found []passport.Violation
	}{
		{"model", crossModel(model)},
		{"batch", crossBatch(batch, model, soundAt)},
		{"passport", crossItem(record("passport"), model, batch, soundAt)},
		{"condition", crossCondition(record("condition"), model, soundAt)},
	} {
		for _, v := range of.found {
			v.Pointer = "/" + of.name + v.Pointer
			out = append(out, v)
		}
	}
	return out
}

// edit is one change to the sound records.
type edit struct{ pointer, value string }

// findings lists the code of each violation and where it is.
func findings(violations []passport.Violation) []string {
	var out []string
	for _, v := range violations {
		out = append(out, v.Code+" "+v.Pointer)
	}
	slices.Sort(out)
	return out
}

func TestRecordsWhoseFiguresAgreePass(t *testing.T) {
	if found := sound(t).check(); len(found) > 0 {
		t.Fatalf("sound records are refused: %+v", found)
	}
}

// The rows say what an author changed and what they are then told; no
// finding means that the change stays within what the check allows.
var crossExamples = []struct {
	claim string
	edits []edit
	want  []string
}{
	{"a GTIN with a wrong check digit is refused", []edit{{"/model/identification/gtin", `"09506000134353"`}}, []string{"gtin.checkDigit /model/identification/gtin"}},
	{"a GTIN-13 is read as its GTIN-14", []edit{{"/model/identification/gtin", `"9506000134352"`}}, nil},
	{"a warranty of no time is refused", []edit{{"/model/identification/warrantyPeriod", `"P0Y0M"`}}, []string{"warranty.notPositive /model/identification/warrantyPeriod"}},
	{"a warranty given as a month is no duration", []edit{{"/model/identification/warrantyPeriod", `"2035-02"`}}, []string{"duration.malformed /model/identification/warrantyPeriod"}},
	{
		"UK is no country",
		[]edit{{"/model/identification/manufacturingPlace/address/country", `"UK"`}},
		[]string{"country.unknown /model/identification/manufacturingPlace/address/country", "importer.unsure /passport/importer"},
	},
	{
		"EU is no country of a lot",
		[]edit{{"/batch/origins/0/stages/0/country", `"EU"`}, {"/batch/origins/0/stages/0/region", ""}, {"/batch/originSummary/0/extraction", `{"CL": 0.45}`}},
		[]string{"country.unknown /batch/origins/0/stages/0/country", "originSummary.disagrees /batch/originSummary/0/extraction"},
	},
	{"Kosovo is a country", []edit{{"/batch/entities/0/seat", `"XK"`}}, nil},
	{"a region lies in its country", []edit{{"/batch/origins/0/stages/0/region", `"CN-XJ"`}}, []string{"region.country /batch/origins/0/stages/0/region"}},

	{"a Cyrillic letter in a Latin trade name is warned of", []edit{{"/model/identification/manufacturer", `{"name": "Tesla", "tradeName": "T\u0435sla"}`}}, []string{"text.mixedScripts /model/identification/manufacturer/tradeName"}},
	{
		"so is one in the name of a party, plant, mine or owner",
		[]edit{
			{"/passport/economicOperator/name", `"Nordlicht Z\u0435llwerk"`},
			{"/model/identification/manufacturingPlace/name", `"Pl\u03b1nt 2"`},
			{"/batch/entities/0/name", `"W\u0430ttle Ridge"`},
			{"/batch/entities/0/owners/1/name", `"\u041d\u03bfldings"`},
		},
		[]string{
			"text.mixedScripts /batch/entities/0/name", "text.mixedScripts /batch/entities/0/owners/1/name",
			"text.mixedScripts /model/identification/manufacturingPlace/name", "text.mixedScripts /passport/economicOperator/name",
		},
	},
	{
		"so is one in an identifier",
		[]edit{{"/model/identification/modelId", `"\u0410B-100"`}, {"/passport/batteryId", `"urn:x:1"`}, {"/passport/serialNumber", `"AB4F7\u041a29"`}},
		[]string{"text.mixedScripts /model/identification/modelId", "text.mixedScripts /passport/serialNumber"},
	},
	{"a name may hold words of two scripts", []edit{{"/passport/economicOperator/name", `"\u0417\u0430\u0432\u043e\u0434-Nordlicht \u03a9\u03bc\u03ad\u03b3\u03b1 GmbH & S\u00f6hne"`}}, nil},
	{"a substance may mix scripts", []edit{{"/model/materials/hazardousSubstances/0/name", `"Lithium hexafluorophosphate \u03b2x"`}}, nil},

	{"a battery placed on the market tomorrow is warned of", []edit{{"/passport/placedOnMarketOn", `"2028-03-21"`}}, []string{"date.future /passport/placedOnMarketOn"}},
	{"today is no future", []edit{{"/passport/placedOnMarketOn", `"2028-03-20"`}}, nil},
	{
		"production that begins next month is warned of",
		[]edit{{"/batch/productionPeriod", `{"from": "2028-04-01", "to": "2028-04-02"}`}, {"/passport/manufacturingDate", `"2028-04"`}, {"/passport/placedOnMarketOn", ""}, {"/passport/dateOfPuttingIntoService", ""}},
		[]string{"date.future /batch/productionPeriod/from", "date.future /passport/manufacturingDate"},
	},
	{
		"the month under way is no future",
		[]edit{{"/batch/productionPeriod", `{"from": "2028-03-20", "to": "2028-04-02"}`}, {"/passport/manufacturingDate", `"2028-03"`}, {"/passport/placedOnMarketOn", ""}, {"/passport/dateOfPuttingIntoService", ""}},
		nil,
	},
	{"a reading of a clock that is a little ahead is warned of", []edit{{"/condition/recordedAt", `"2028-03-20T05:05:00+01:00"`}}, []string{"date.future /condition/recordedAt"}},
	{"a reading of the future is refused", []edit{{"/condition/recordedAt", `"2028-03-20T04:05:01Z"`}}, []string{"instant.future /condition/recordedAt"}},

	{"materials heavier than the battery are refused", []edit{{"/model/composition/materials/7/massKg", "64"}}, []string{"composition.exceedsMass /model/composition/materials"}},
	{"materials may round up to the battery mass", []edit{{"/model/composition/materials/7/massKg", "63"}}, nil},
	{"a nominal voltage above the maximum is refused", []edit{{"/model/performance/voltage/max", "390"}}, []string{"voltage.order /model/performance/voltage/max"}},
	{"a minimum voltage equal to the nominal is refused", []edit{{"/model/performance/voltage/min", "394"}}, []string{"voltage.order /model/performance/voltage/nominal"}},
	{"energy is capacity times voltage", []edit{{"/model/performance/nominalEnergyKwh", "77.5"}}, []string{"energy.mismatch /model/performance/nominalEnergyKwh"}},
	{"energy may differ by three per cent", []edit{{"/model/performance/nominalEnergyKwh", "77.2"}}, nil},
	{
		"power beyond the permitted maximum is refused",
		[]edit{{"/model/performance/power/original/0/watts", "246000"}},
		[]string{"fade.mismatch /condition/powerFadePct", "power.exceedsPermitted /model/performance/power/original/0/watts"},
	},
	{"a power to energy ratio in W/kWh is warned of", []edit{{"/model/performance/power/powerToEnergyRatio", "3100"}}, []string{"power.energyRatio /model/performance/power/powerToEnergyRatio"}},
	{"an EV battery states its power at 20 per cent", []edit{{"/model/performance/power/original", `[{"socPct": 80, "watts": 232000}]`}}, []string{"power.stateOfCharge /model/performance/power/original"}},
	{
		"an e-bike battery need not state its power at 20 per cent",
		[]edit{{"/model/performance/power/original", `[{"socPct": 80, "watts": 232000}]`}, {"/model/identification/batteryCategory", `"lmt"`}},
		nil,
	},
	{"idle temperatures ascend", []edit{{"/model/performance/idleTemperature/maxC", "-40"}}, []string{"temperature.order /model/performance/idleTemperature/maxC"}},
	{"the temperature range of a voltage ascends", []edit{{"/model/performance/voltage/temperatureRangeC/min", "56"}}, []string{"temperature.order /model/performance/voltage/temperatureRangeC/max"}},
	{"footprint stages given in per cent are refused", []edit{{"/model/carbonFootprint/stages/mainProduction", "30"}}, []string{"carbonFootprint.stageSum /model/carbonFootprint/stages"}},
	{"footprint stages may be rounded", []edit{{"/model/carbonFootprint/stages/mainProduction", "0.0184"}}, nil},
	{"an unknown stage leaves room below the total", []edit{{"/model/carbonFootprint/stages/distribution", ""}, {"/model/carbonFootprint/stages/mainProduction", "0.01"}}, nil},
	{"an absolute footprint in tonnes is refused", []edit{{"/model/carbonFootprint/absoluteKg", "5.568"}}, []string{"carbonFootprint.absolute /model/carbonFootprint/absoluteKg"}},
	{"a substance's mass and share agree", []edit{{"/model/materials/hazardousSubstances/0/massKg", "6.1"}}, []string{"hazardousSubstance.share /model/materials/hazardousSubstances/0/massKg"}},
	{
		"a substance weighs what the composition says",
		[]edit{{"/model/materials/hazardousSubstances/1", `{"cas": "346417-97-8", "massKg": 100}`}},
		[]string{"hazardousSubstance.composition /model/materials/hazardousSubstances/1/massKg"},
	},
	{"a critical raw material beyond the composition is refused", []edit{{"/model/materials/criticalRawMaterials/0/wtPct", "2.3"}}, []string{"criticalRawMaterial.share /model/materials/criticalRawMaterials/0/wtPct"}},
	{"a share of lithium carbonate is not one of lithium", []edit{{"/model/materials/criticalRawMaterials/1/wtPct", "10.2"}}, []string{"criticalRawMaterial.share /model/materials/criticalRawMaterials/1/wtPct"}},
	{
		"copper that may be in unnamed material is only warned of",
		[]edit{{"/model/composition/materials/7/name", `"subassembly B"`}, {"/model/materials/criticalRawMaterials/4/wtPct", "9"}},
		[]string{"criticalRawMaterial.shareUnsure /model/materials/criticalRawMaterials/4/wtPct"},
	},
	{
		"a cathode of other proportions contradicts the code",
		[]edit{{"/model/materials/chemistry/code", `"NMC622"`}},
		[]string{"chemistry.formula /model/composition/materials/0/name", "chemistry.formula /model/materials/chemistry/cathode"},
	},
	{
		"LFP holds no nickel",
		[]edit{{"/model/materials/chemistry/code", `"LFP"`}},
		[]string{"chemistry.formula /model/composition/materials/0/name", "chemistry.formula /model/materials/chemistry/cathode"},
	},
	{
		"LTO names the anode",
		[]edit{{"/model/materials/chemistry/code", `"LTO"`}, {"/model/composition/materials/1/component", `"other"`}, {"/model/composition/materials/2/component", `"other"`}},
		[]string{"chemistry.formula /model/materials/chemistry/anode"},
	},
	{"a cathode in unknown words contradicts nothing", []edit{{"/model/materials/chemistry/cathode", `"layered oxide"`}}, nil},
	{
		"recycled shares exceed no whole",
		[]edit{{"/model/circularity/recycledContent/1", `{"material": "lead", "preConsumerPct": 60, "postConsumerPct": 41}`}},
		[]string{"recycledContent.above100 /model/circularity/recycledContent/1"},
	},

	{"production does not end before it begins", []edit{{"/batch/productionPeriod/to", `"2027-02-21"`}}, []string{"productionPeriod.order /batch/productionPeriod/to"}},
	{"a batch of one day is a period", []edit{{"/batch/productionPeriod/to", `"2027-02-22"`}}, nil},
	{"a lot identifier is used once", []edit{{"/batch/origins/1/lotId", `"Li-1"`}}, []string{"lot.duplicate /batch/origins/1/lotId"}},
	{"mass shares of a mineral sum to one", []edit{{"/batch/origins/4/massShare", "0.396"}, {"/batch/origins/5/massShare", "0.597"}}, []string{"lot.shareSum /batch/origins"}},
	{"mass shares may be a thousandth off", []edit{{"/batch/origins/4/massShare", "0.399"}}, nil},
	{"a lot of unknown share does not make the sum short", []edit{{"/batch/origins/4/massShare", ""}, {"/batch/originSummary/2/extraction", ""}}, nil},
	{
		"a lot's share is its mass by the whole",
		[]edit{{"/batch/origins/4/massShare", "0.41"}, {"/batch/origins/5/massShare", "0.59"}, {"/batch/originSummary/2/extraction", `{"MZ": 0.41}`}},
		[]string{"lot.shareMass /batch/origins/4/massShare", "lot.shareMass /batch/origins/5/massShare"},
	},
	{"lots add up to the declared mass", []edit{{"/batch/originSummary/0/massKg", "8.26"}}, []string{"lot.declaredMass /batch/originSummary/0/massKg"}},
	{"a declared mass may be a tenth of a per cent off", []edit{{"/batch/originSummary/0/massKg", "8.259"}}, nil},
	{"a gram is always allowed", []edit{
		{"/batch/origins/-", `{"lotId": "W-1", "mineral": "tungsten", "massShare": 1, "containedMassKg": 0.003}`},
		{"/batch/originSummary/-", `{"mineral": "tungsten", "massKg": 0.002}`},
	}, nil},
	{"more graphite than the anode holds is refused", []edit{
		{"/batch/origins/4/containedMassKg", "33.6"},
		{"/batch/origins/4/massShare", "0.4375"},
		{"/batch/origins/5/massShare", "0.5625"},
		{"/batch/originSummary/2", `{"mineral": "graphite", "massKg": 76.8}`},
	}, []string{"lot.compositionMass /batch/origins/4/containedMassKg"}},
	{
		"the mass of the compound is not that of the element",
		[]edit{{"/batch/origins/2/containedMassKg", "108"}, {"/batch/origins/3/containedMassKg", "12"}, {"/batch/originSummary/1/massKg", "120"}},
		[]string{"lot.compositionMass /batch/origins/2/containedMassKg"},
	},
	{
		"copper that electronics may hold is only warned of",
		[]edit{
			{"/model/composition/materials/7/name", `"electronics (BMS)"`},
			{"/batch/origins/-", `{"lotId": "Cu-1", "mineral": "copper", "massShare": 1, "containedMassKg": 40, "sourceType": "primary"}`},
		},
		[]string{"lot.compositionMassUnsure /batch/origins/6/containedMassKg"},
	},
	{"value added sums to exactly one", []edit{{"/batch/origins/1/stages/2/valueAddedShare", "0.599"}}, []string{"lot.valueAddedSum /batch/origins/1/stages"}},
	{"synthetic graphite has no mine", []edit{{"/batch/origins/5/stages/-", `{"stage": "extraction", "country": null}`}}, []string{"lot.syntheticExtraction /batch/origins/5/stages/1/stage"}},
	{
		"recycled material begins with recycling",
		[]edit{{"/batch/origins/3/stages", `[{"stage": "refining", "country": "DE"}, {"stage": "recycling", "country": "DE"}]`}, {"/batch/originSummary/1/refining", ""}},
		[]string{"lot.recyclingStage /batch/origins/3/stages/0/stage"},
	},
	{"primary material was not recycled", []edit{{"/batch/origins/4/stages/-", `{"stage": "recycling", "country": "DE"}`}}, []string{"lot.recyclingStage /batch/origins/4/stages/2/stage"}},
	{
		"recycled content needs a recycled lot",
		[]edit{{"/batch/origins/3/sourceType", `"primary"`}, {"/batch/origins/3/stages", `[]`}, {"/batch/originSummary/1/recycled", ""}},
		[]string{"lot.recycledMissing /batch/origins/2/sourceType"},
	},
	{"a lot of unknown source may be the recycled one", []edit{{"/batch/origins/3/sourceType", `"unknown"`}}, nil},
	{"recycled lots far from the yearly average are warned of", []edit{{"/model/circularity/recycledContent/0/postConsumerPct", "12"}}, []string{"lot.recycledShare /batch/origins/2/massShare"}},
	{"a mineral is summed up once", []edit{{"/batch/originSummary/-", `{"mineral": "nickel"}`}}, []string{"originSummary.duplicate /batch/originSummary/3/mineral"}},
	{
		"shares by country exceed no whole",
		[]edit{{"/batch/originSummary/2/extraction", `{"MZ": 0.4, "unknown": 0.61}`}},
		[]string{"originSummary.disagrees /batch/originSummary/2/extraction/unknown", "originSummary.shareSum /batch/originSummary/2/extraction"},
	},
	{
		"the summary moves no mine",
		[]edit{{"/batch/originSummary/0/extraction", `{"AU": 0.95, "CL": 0.05}`}},
		[]string{"originSummary.disagrees /batch/originSummary/0/extraction/AU", "originSummary.disagrees /batch/originSummary/0/extraction/CL"},
	},
	{"the summary leaves out no country", []edit{{"/batch/originSummary/0/extraction", `{"AU": 0.55}`}}, []string{"originSummary.disagrees /batch/originSummary/0/extraction"}},
	{"a lot refined twice may be counted at either refiner", []edit{{"/batch/originSummary/0/refining", `{"FI": 0.55, "CL": 0.45}`}}, nil},
	{
		"shares by custody model cover every lot",
		[]edit{{"/batch/originSummary/0/byCustodyModel", `{"segregated": 0.55}`}},
		[]string{"originSummary.disagrees /batch/originSummary/0/byCustodyModel", "originSummary.shareSum /batch/originSummary/0/byCustodyModel"},
	},
	{
		"no claim is stronger than its lots",
		[]edit{{"/batch/originSummary/0/byCustodyModel", `{"identityPreserved": 1}`}},
		[]string{
			"originSummary.disagrees /batch/originSummary/0/byCustodyModel", "originSummary.disagrees /batch/originSummary/0/byCustodyModel",
			"originSummary.disagrees /batch/originSummary/0/byCustodyModel/identityPreserved",
		},
	},
	{"an entity identifier is used once", []edit{{"/batch/entities/1/entityId", `"mine"`}, {"/batch/origins/0/stages/1/entityId", ""}}, []string{"entity.duplicate /batch/entities/1/entityId"}},
	{"a stage's entity is listed", []edit{{"/batch/origins/0/stages/0/entityId", `"mines"`}}, []string{"entity.unknown /batch/origins/0/stages/0/entityId"}},
	{"an owner's entity is listed", []edit{{"/batch/entities/0/owners/0/entityId", `"nobody"`}}, []string{"entity.unknown /batch/entities/0/owners/0/entityId"}},
	{"a midstream entity is listed", []edit{{"/batch/midstream/0/entityId", `"nobody"`}}, []string{"entity.unknown /batch/midstream/0/entityId"}},
	{"the owners of one day hold at most the whole", []edit{{"/batch/entities/0/owners/0/until", `"2024-01-02"`}}, []string{"entity.shareSum /batch/entities/0/owners"}},
	{"votes are added up like equity", []edit{{"/batch/entities/1/owners", `[{"name": "A", "votes": 0.6}, {"name": "B", "votes": 0.41}]`}}, []string{"entity.shareSum /batch/entities/1/owners"}},

	{"the identifier names the model", []edit{{"/passport/batteryId", `"https://id.example.test/01/09506000134376/21/AB4F7K2900001"`}}, []string{"batteryId.gtin /passport/batteryId"}},
	{"the identifier ends in the serial number", []edit{{"/passport/serialNumber", `"AB4F7K2900002"`}}, []string{"batteryId.serial /passport/serialNumber"}},
	{"an identifier that is no Digital Link repeats nothing", []edit{{"/passport/batteryId", `"did:web:maker.example:b:1"`}}, nil},
	{"the batch is the pinned one", []edit{{"/passport/batchId", `"NL2-2027W10"`}}, []string{"batchId.mismatch /passport/batchId", "batteryId.lot /passport/batchId"}},
	{"a battery is made while its batch is", []edit{{"/passport/manufacturingDate", `"2027-01"`}}, []string{"manufacturingDate.outsidePeriod /passport/manufacturingDate"}},
	{
		"a battery made the day after its batch is refused",
		[]edit{{"/passport/manufacturingDate", `"2027-03-01"`}, {"/passport/placedOnMarketOn", ""}},
		[]string{"manufacturingDate.outsidePeriod /passport/manufacturingDate"},
	},
	{"a battery is sold after it was made", []edit{{"/passport/placedOnMarketOn", `"2027-01-31"`}}, []string{"placedOnMarketOn.beforeManufacture /passport/placedOnMarketOn"}},
	{"a battery serves after it was made", []edit{{"/passport/dateOfPuttingIntoService", `"2026-12"`}}, []string{"dateOfPuttingIntoService.beforeManufacture /passport/dateOfPuttingIntoService"}},
	{"a repurposed battery has a predecessor", []edit{{"/passport/lifecycle/batteryStatus", `"repurposed"`}}, []string{"predecessor.missing /passport/predecessors"}},
	{"a remanufactured battery may have two predecessors", []edit{{"/passport/lifecycle/batteryStatus", `"remanufactured"`}, {"/passport/predecessors", `[{"uri": "a"}, {"uri": "b"}]`}}, nil},
	{"an operator that imports names the importer", []edit{{"/passport/economicOperator/role", `"importer"`}}, []string{"importer.missing /passport/importer"}},
	{"an importer without EORI is warned of", []edit{{"/passport/importer", `{"name": "Hafen Import GmbH", "ids": [{"scheme": "lei", "value": "x"}]}`}}, []string{"importer.eori /passport/importer/ids"}},
	{"a battery from outside the Union may need an importer", []edit{{"/model/identification/manufacturingPlace/address/country", `"KR"`}}, []string{"importer.unsure /passport/importer"}},
	{"an importer with EORI is enough", []edit{
		{"/model/identification/manufacturingPlace/address/country", `"KR"`},
		{"/passport/importer", `{"name": "Hafen Import GmbH", "ids": [{"scheme": "eori", "value": "DE1234567890123"}]}`},
	}, nil},

	{"bins ascend", []edit{{"/condition/temperature/binsFrom", `[-40, 0, -20, 20]`}}, []string{"histogram.order /condition/temperature/binsFrom/2"}},
	{"each bin has its minutes", []edit{{"/condition/temperature/minutes", `[0, 1, 2]`}}, []string{"histogram.length /condition/temperature/minutes"}},
	{"a battery does not hold far more than its rating", []edit{{"/condition/remainingCapacityAh", "1849"}, {"/condition/capacityFadePct", "0"}}, []string{"capacity.aboveRated /condition/remainingCapacityAh"}},
	{"a new battery may measure above its rating", []edit{{"/condition/remainingCapacityAh", "193"}, {"/condition/capacityFadePct", "0"}}, nil},
	{"a fade is a percentage", []edit{{"/condition/capacityFadePct", "-3"}, {"/condition/remainingCapacityAh", ""}}, []string{"fade.range /condition/capacityFadePct"}},
	{"a fade that is the remaining capacity is warned of", []edit{{"/condition/capacityFadePct", "97.1"}}, []string{"fade.mismatch /condition/capacityFadePct"}},
	{"a fade may be a point off", []edit{{"/condition/capacityFadePct", "3.9"}}, nil},
	{"certified energy is what remains of it", []edit{{"/condition/stateOfCertifiedEnergyPct", "91"}}, []string{"stateOfCertifiedEnergy.mismatch /condition/stateOfCertifiedEnergyPct"}},
}

func TestCrossFieldChecks(t *testing.T) {
	for _, row := range crossExamples {
		t.Run(row.claim, func(t *testing.T) {
			w := sound(t)
			for _, e := range row.edits {
				w.set(t, e.pointer, e.value)
			}
			found := w.check()
			if diff := cmp.Diff(row.want, findings(found)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, found)
			}
			mendable(t, found)
		})
	}
}

func TestADateLiesAheadOnlyWhereItHasBegunNowhere(t *testing.T) {
	item := map[string]any{"placedOnMarketOn": "2028-03-21", "manufacturingDate": "2028-04"}
	for at, want := range map[string][]string{
		"2028-03-20T09:59:59Z": {"date.future /manufacturingDate", "date.future /placedOnMarketOn"},
		"2028-03-20T10:00:00Z": {"date.future /manufacturingDate"}, // the 21st begins on Kiritimati
		"2028-03-31T10:00:00Z": nil,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.DeleteFunc(crossItem(item, nil, nil, now), func(v passport.Violation) bool { return v.Code != string(futureDate) })
		if diff := cmp.Diff(want, findings(found)); diff != "" {
			t.Errorf("at %s: %s", at, diff)
		}
	}
}

func TestWithoutAClockNothingLiesAhead(t *testing.T) {
	condition := map[string]any{"recordedAt": "9999-01-01T00:00:00Z"}
	period := map[string]any{"productionPeriod": map[string]any{"from": "9999-01-01"}}
	if found := append(crossCondition(condition, nil, time.Time{}), crossBatch(period, nil, time.Time{})...); len(found) > 0 {
		t.Error(found)
	}
}

func TestAMixedWordIsShownForWhatItIs(t *testing.T) {
	w := sound(t)
	w.set(t, "/passport/economicOperator/name", `"Tеsla Deutschland"`) // the e is Cyrillic
	found := w.check()
	want := passport.Violation{
		Pointer: "/passport/economicOperator/name", Code: "text.mixedScripts", Severity: passport.Warning,
		Expected: "words of one script each", Found: `the word "T\u0435sla", which mixes Latin and Cyrillic`, Repair: crossChecks[mixedScripts].repair,
	}
	if diff := cmp.Diff([]passport.Violation{want}, found); diff != "" {
		t.Error(diff)
	}
}

// mendable checks that a violation tells its author all they need.
func mendable(t *testing.T, violations []passport.Violation) {
	t.Helper()
	for _, v := range violations {
		if v.Expected == "" || v.Found == "" || v.Repair == "" && !strings.Contains(v.Code, "malformed") {
			t.Errorf("%s says too little: %+v", v.Code, v)
		}
	}
}

func TestEveryCheckHasAFailingExample(t *testing.T) {
	shown := map[string]bool{}
	for _, row := range crossExamples {
		for _, finding := range row.want {
			code, _, _ := strings.Cut(finding, " ")
			shown[code] = true
		}
	}
	for _, code := range slices.Sorted(maps.Keys(crossChecks)) {
		if !shown[string(code)] {
			t.Errorf("no example fails with %s", code)
		}
	}
}

func TestMissingMembersAreNoContradiction(t *testing.T) {
	for _, record := range []string{"model", "batch", "passport", "condition"} {
		members, _ := sound(t)[record].(map[string]any)
		for name := range members {
			w := sound(t)
			w.set(t, "/"+record+"/"+name, "")
			for _, v := range w.check() {
				if v.Code != string(entityUnknown) { // entities[] is what the references are to
					t.Errorf("without /%s/%s: %s %s", record, name, v.Code, v.Pointer)
				}
			}
		}
	}
	for _, record := range []string{"model", "batch"} {
		w := sound(t)
		delete(w, record)
		if found := w.check(); len(found) > 0 {
			t.Errorf("without the pinned %s: %v", record, findings(found))
		}
	}
}

// anything is a tree of any shape whose member names and texts are those the
// checks look for, so that malformed documents reach deep into them.
func anything(t *rapid.T) any {
	names := rapid.SampledFrom([]string{
		"origins", "originSummary", "entities", "owners", "stages", "stage", "country", "region", "mineral", "massShare",
		"containedMassKg", "sourceType", "equity", "from", "until", "entityId", "lotId", "extraction", "refining", "byCustodyModel", "valueAddedShare",
		"identification", "gtin", "batteryMassKg", "warrantyPeriod", "composition", "materials", "name", "massKg", "component", "cas", "chemistry", "code",
		"cathode", "hazardousSubstances", "criticalRawMaterials", "material", "wtPct", "performance", "voltage", "min", "nominal", "max", "power", "original",
		"socPct", "watts", "ratedCapacityAh", "nominalEnergyKwh", "carbonFootprint", "perFunctionalUnit", "absoluteKg", "lifetimeEnergyKwh", "circularity",
		"recycledContent", "batteryId", "manufacturingDate", "productionPeriod", "to", "lifecycle", "batteryStatus", "importer", "ids", "temperature",
		"binsFrom", "minutes", "capacityFadePct", "remainingCapacityAh", "a/b~c", "",
	})
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"extraction", "recycling", "primary", "recycledPostConsumer", "lithium", "graphite", "NMC811",
		"LTO", "LiNi0.8Mn0.1Co0.1O2", "Li(", "((((((((", "LiPF6", "NiSO4.6H2O", "DE", "UK", "2027-02", "2027-02-30", "P0Y", "09506000134352", "cathode",
		"graphite, natural", "electrolyte", "7440-50-8", "repurposed", "importer", "https://x.test/01/09506000134352/21/1",
	}))
	numbers := rapid.SampledFrom([]json.Number{"0", "-1", "1", "0.5", "1e-12", "1e15", "80", "20", "1e999999999", "", "NaN", "0x10", "1/3", "-0", "123456789012345678"})
	var tree func(depth int) any
	tree = func(depth int) any {
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		switch {
		case depth > 0 && kind < 5:
			m := map[string]any{}
			for range rapid.IntRange(0, 6).Draw(t, "members") {
				m[names.Draw(t, "name")] = tree(depth - 1)
			}
			return m
		case depth > 0 && kind < 7:
			array := make([]any, rapid.IntRange(0, 4).Draw(t, "elements"))
			for i := range array {
				array[i] = tree(depth - 1)
			}
			return array
		case kind < 8:
			return texts.Draw(t, "text")
		case kind < 9:
			return numbers.Draw(t, "number")
		default:
			return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "literal")
		}
	}
	return tree(5)
}

func TestNoDocumentMakesTheChecksPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := records{"model": anything(t), "batch": anything(t), "passport": anything(t), "condition": anything(t)}
		w.check()
	})
}

// A member of the sound records replaced by anything else must not panic
// either: this reaches the arithmetic behind the shape.
func TestNoReplacedMemberMakesTheChecksPanic(t *testing.T) {
	pointers := pointersOf("", map[string]any(sound(t)))
	rapid.Check(t, func(rt *rapid.T) {
		w := sound(t)
		steps := strings.Split(strings.TrimPrefix(rapid.SampledFrom(pointers).Draw(rt, "pointer"), "/"), "/")
		put(map[string]any(w), steps, anything(rt), false)
		w.check()
	})
}

func pointersOf(at string, v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(append(out, at+"/"+name), pointersOf(at+"/"+name, v[name])...)
		}
	case []any:
		for i, e := range v {
			out = append(append(out, at+"/"+strconv.Itoa(i)), pointersOf(at+"/"+strconv.Itoa(i), e)...)
		}
	}
	return out
}
