package schema_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/schemas"
)

// compiled is made once: compiling takes longer than any test.
var compiled = sync.OnceValues(func() (*schema.Validator, error) {
	cat, err := catalogue.Load()
	if err != nil {
		return nil, err
	}
	return schema.New(cat)
})

func validator(t testing.TB) *schema.Validator {
	t.Helper()
	v, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// example reads a whole document of schemas/examples.
func example(t testing.TB, name string) map[string]any {
	t.Helper()
	raw, err := schemas.FS.ReadFile("examples/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := strictjson.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

func member(doc map[string]any, name string) map[string]any {
	m, _ := doc[name].(map[string]any)
	return m
}

// register checks every record of a whole document as the registry does.
func register(v *schema.Validator, doc map[string]any) []passport.Violation {
	var found []passport.Violation
	for _, t := range passport.RecordTypes() {
		rec := member(doc, string(t))
		if rec == nil {
			continue
		}
		_, violations := v.Check(t, rec, schema.Context{
			Prefix: "/" + string(t), Model: member(doc, "model"), Batch: member(doc, "batch"),
		})
		found = append(found, violations...)
	}
	return found
}

// only drops the records that need not be judged. The model stays, for the
// others are judged by it.
func only(doc map[string]any, record passport.RecordType) map[string]any {
	out := map[string]any{string(record): doc[string(record)]}
	if record != passport.Model {
		out["model"] = doc["model"]
	}
	return out
}

// examples are the whole documents, by battery.
var examples = []string{"ev", "lmt", "industrial", "stationary"}

// edit returns a copy of the document with the value at pointer replaced, or
// removed if value is absent; arrays are copied on the way.
func edit(doc any, pointer string, value any) any {
	tokens := strings.Split(pointer, "/")[1:]
	return edited(doc, tokens, value)
}

// gone as a value removes the member.
var gone = struct{}{}

func edited(v any, tokens []string, value any) any {
	if len(tokens) == 0 {
		return value
	}
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		changed := edited(v[tokens[0]], tokens[1:], value)
		if changed == gone {
			delete(out, tokens[0])
		} else {
			out[tokens[0]] = changed
		}
		return out
	case []any:
		out := slices.Clone(v)
		i, _ := strconv.Atoi(tokens[0])
		changed := edited(v[i], tokens[1:], value)
		if changed == gone {
			return slices.Delete(out, i, i+1)
		}
		out[i] = changed
		return out
	}
	return value // a new member
}

func with(t testing.TB, name, pointer string, value any) map[string]any {
	t.Helper()
	return edit(example(t, name), pointer, value).(map[string]any)
}

func blocking(found []passport.Violation) []passport.Violation {
	return slices.DeleteFunc(slices.Clone(found), func(v passport.Violation) bool { return v.Severity != passport.Blocking })
}

func codes(found []passport.Violation) []string {
	var out []string
	for _, v := range found {
		out = append(out, v.Code+" "+v.Pointer)
	}
	return out
}

func TestEveryExampleRegisters(t *testing.T) {
	v := validator(t)
	warnings := map[string][]string{
		// The reference example declares one voluntary value that an EV does
		// not owe anybody.
		"ev": {"attribute.notApplicable /model/performanceRestricted/initialSelfDischargePctPerMonth"},
	}
	for _, name := range examples {
		doc := example(t, name)
		for _, record := range passport.RecordTypes()[:3] {
			checked, found := v.Check(record, member(doc, string(record)), schema.Context{
				Prefix: "/" + string(record), Model: member(doc, "model"), Batch: member(doc, "batch"),
			})
			if checked.IsZero() || checked.Type() != record {
				t.Errorf("%s %s: %v", name, record, found)
			}
		}
		if diff := cmp.Diff(warnings[name], codes(register(v, doc))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAConditionIsJudgedByTheModelOfItsBattery(t *testing.T) {
	v, doc := validator(t), example(t, "condition-ev")
	checked, found := v.Check(passport.Condition, member(doc, "condition"), schema.Context{
		Prefix: "/condition", Model: member(example(t, "ev"), "model"),
	})
	want := []string{
		"attribute.notApplicable /condition/energyThroughputKwh",
		"attribute.notApplicable /condition/extremeTemperature/aboveMin",
		"attribute.notApplicable /condition/extremeTemperature/belowMin",
		"attribute.notApplicable /condition/extremeTemperature/chargingAboveMin",
		"attribute.notApplicable /condition/extremeTemperature/chargingBelowMin",
	}
	if diff := cmp.Diff(want, codes(found)); diff != "" || checked.IsZero() {
		t.Error(diff)
	}
	_, found = v.Check(passport.Condition, member(doc, "condition"), schema.Context{Model: member(example(t, "lmt"), "model")})
	if got := codes(blocking(found)); !slices.Contains(got, "attribute.missing /capacityThroughputAh") ||
		slices.Contains(got, "attribute.missing /stateOfCertifiedEnergyPct") {
		t.Errorf("judged as the condition of an e-bike: %v", got)
	}
}

func TestEachMandatoryAttributeIsMissedOnce(t *testing.T) {
	v := validator(t)
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	missed := 0
	for _, name := range examples {
		doc := example(t, name)
		triggers := catalogue.TriggersOf(member(doc, "model"))
		for _, a := range cat.Attributes() {
			if a.Served() || a.Record == passport.Condition || slices.Contains(a.Members, "[]") || a.Duty(triggers).Need != catalogue.Mandatory {
				continue
			}
			missed++
			pointer := "/" + string(a.Record) + passport.Pointer(a.Members...)
			changed := edit(doc, pointer, gone).(map[string]any)
			if name != "ev" { // what the other records say of it is told by one example
				changed = only(changed, a.Record)
			}
			found := blocking(register(v, changed))
			if a.ID == "batteryCategory" || a.Trigger {
				found = slices.DeleteFunc(found, func(v passport.Violation) bool { return v.Pointer != pointer })
			}
			if len(found) != 1 || found[0].Pointer != pointer || found[0].Code != "attribute.missing" ||
				found[0].LegalReference != a.LegalReference || !strings.HasPrefix(found[0].Expected, a.Name["en"]) {
				t.Errorf("%s without %s: %+v", name, a.ID, found)
			}
		}
	}
	if missed < 4*60 {
		t.Errorf("only %d attributes were taken away", missed)
	}
}

func TestAMissingSectionIsToldByItsAttributes(t *testing.T) {
	found := blocking(register(validator(t), with(t, "ev", "/model/conformity", gone)))
	want := []string{"attribute.missing /model/conformity/ceMarking", "attribute.missing /model/conformity/declarationOfConformity"}
	if diff := cmp.Diff(want, codes(found)); diff != "" {
		t.Error(diff)
	}
}

func TestAMissingWholeIsNotTellingItsParts(t *testing.T) {
	found := blocking(register(validator(t), with(t, "ev", "/model/identification/manufacturer", gone)))
	if diff := cmp.Diff([]string{"attribute.missing /model/identification/manufacturer"}, codes(found)); diff != "" {
		t.Error(diff)
	}
}

func TestMistakesAreToldWithTheirRepair(t *testing.T) {
	v := validator(t)
	for _, tt := range []struct {
		claim   string
		pointer string
		value   any
		want    passport.Violation
	}{
		{"a category nobody knows", "/model/identification/batteryCategory", "EV", passport.Violation{
			Code: "schema.enum", Expected: "one of ev, lmt, industrial", Found: `"EV"`, Repair: "did you mean ev?",
		}},
		{"a misspelt member", "/model/performance/ratedCapacityAH", json.Number("1"), passport.Violation{
			Code: "schema.additionalProperties", Expected: "a member the schema knows", Found: `the member "ratedCapacityAH"`, Repair: "did you mean ratedCapacityAh?",
		}},
		{"a member of the credential", "/passport/issuedAt", "2027-01-01T00:00:00Z", passport.Violation{
			Code: "schema.additionalProperties", Expected: "a member the schema knows", Found: `the member "issuedAt"`, Repair: "leave it out: the registry states it around the record",
		}},
		{"a member of another world", "/passport/colour", "red", passport.Violation{
			Code: "schema.additionalProperties", Expected: "a member the schema knows", Found: `the member "colour"`,
			Repair: "leave it out, or put it below extensions under a reverse domain name",
		}},
		{"a number as text", "/model/identification/batteryMassKg", "430 kg", passport.Violation{
			Code: "schema.type", Expected: "JSON type number", Found: `"430 kg"`,
		}},
		{"a negative mass", "/model/composition/materials/0/massKg", json.Number("-1"), passport.Violation{
			Code: "schema.minimum", Expected: "at least 0 (kilograms, not negative)", Found: "-1",
		}},
		{"a percentage above 100", "/model/performance/roundTripEfficiency/initialPct", json.Number("100.000000000001"), passport.Violation{
			Code: "schema.maximum", Expected: "at most 100 (per cent, 0 to 100)", Found: "100.000000000001",
		}},
		{"a share just above one", "/batch/origins/0/stages/0/valueAddedShare", json.Number("1.00000000000001"), passport.Violation{
			Code: "schema.maximum", Expected: "at most 1 (a share, 0 to 1)", Found: "1.00000000000001",
		}},
		{"a share in per cent", "/batch/entities/6/owners/0/equity", json.Number("51"), passport.Violation{
			Code: "schema.maximum", Expected: "at most 1 (a share, 0 to 1, or null if unknown)", Found: "51",
		}},
		{"a digest in capitals", "/model/testReports/0/sha256", strings.Repeat("A", 64), passport.Violation{
			Code: "schema.pattern", Expected: "a SHA-256 digest: 64 lower-case hexadecimal digits", Found: passport.Quote(strings.Repeat("A", 64)),
		}},
		{"a day that does not exist", "/passport/placedOnMarketOn", "2027-02-30", passport.Violation{
			Code: "date.malformed", Expected: "a date that exists, such as 2027-02-18", Found: `"2027-02-30"`,
		}},
		{"a date in words", "/passport/placedOnMarketOn", "1 March 2027", passport.Violation{
			Code: "date.malformed", Expected: "a date that exists, such as 2027-02-18", Found: `"1 March 2027"`,
		}},
		{"a CAS number with a slip", "/model/composition/materials/1/cas", "7782-42-6", passport.Violation{
			Code: "cas.checkDigit", Expected: "a CAS number whose last digit is 5", Found: `"7782-42-6"`, Repair: "copy the number again",
		}},
		{"a web address without a host", "/model/carbonFootprint/studyUrl", "https:///x", passport.Violation{
			Code: "uri.malformed", Expected: "an http or https address", Found: `"https:///x"`,
		}},
		{"an LEI with a slip", "/passport/economicOperator/ids/0/value", "529900EXAMPLE0000N71", passport.Violation{
			Pointer: "/passport/economicOperator/ids/0", Code: "lei.checkDigits",
		}},
		{"a half chemistry", "/model/materials/chemistry/name", gone, passport.Violation{
			Code: "schema.required", Expected: "the member name", Found: "nothing", Repair: "add name",
		}},
		{"no test report", "/model/testReports", []any{}, passport.Violation{
			Code: "schema.minItems", Expected: "at least 1 elements", Found: "an array of 0",
		}},
		{"an extension without a domain", "/model/extensions", map[string]any{"fleet": true}, passport.Violation{
			Pointer: "/model/extensions/fleet", Code: "schema.propertyNames",
			Expected: "a reverse domain name such as com.example.fleet", Found: `the member "fleet"`,
		}},
		{"a hazard class in prose", "/model/materials/hazardousSubstances/0/clp/0", "quite toxic", passport.Violation{
			Code: "schema.pattern", Expected: "a CLP hazard class with its statement, such as STOT RE 1 (H372)", Found: `"quite toxic"`,
		}},
		{"a quantity of none", "/batch/quantity", json.Number("0"), passport.Violation{
			Code: "schema.minimum", Expected: "at least 1", Found: "0",
		}},
		{"half a battery", "/batch/quantity", json.Number("1.5"), passport.Violation{
			Code: "schema.type", Expected: "JSON type integer", Found: "1.5",
		}},
	} {
		pointer := tt.want.Pointer
		if pointer == "" {
			pointer = tt.pointer
		}
		found := blocking(register(v, with(t, "ev", tt.pointer, tt.value)))
		at := slices.IndexFunc(found, func(v passport.Violation) bool { return v.Pointer == pointer && v.Code == tt.want.Code })
		if at < 0 {
			t.Errorf("%s: %v", tt.claim, found)
			continue
		}
		if tt.want.Expected == "" { // a parser's words are its own
			continue
		}
		want := tt.want
		want.Pointer, want.Severity = pointer, passport.Blocking
		if diff := cmp.Diff(want, found[at]); diff != "" {
			t.Errorf("%s: %s", tt.claim, diff)
		}
	}
}

func TestOneFaultIsToldOnce(t *testing.T) {
	v := validator(t)
	for pointer, value := range map[string]any{
		"/passport/batteryId":                                "not an id",
		"/passport/placedOnMarketOn":                         "2027-13-01",
		"/model/identification/gtin":                         "09506000134377",
		"/model/identification/manufacturer/address/country": "UK",
		"/batch/origins/0/stages/0/country":                  "ZZ",
		"/model/identification/warrantyPeriod":               "8 years",
		"/model/identification/manufacturingPlace/id/value":  "9506000140453",
		"/model/materials/hazardousSubstances/0/cas":         "21324-40-4",
		"/model/dueDiligence/assurances/0/validUntil":        "2027-09-31",
	} {
		pointers := map[string]int{}
		for _, found := range blocking(register(v, with(t, "ev", pointer, value))) {
			pointers[found.Pointer]++
		}
		at := pointer
		if strings.HasSuffix(pointer, "/id/value") {
			at = strings.TrimSuffix(pointer, "/value")
		}
		if pointers[at] != 1 {
			t.Errorf("%s: %v", pointer, pointers)
		}
	}
}

func TestNumbersAreReadExactly(t *testing.T) {
	v := validator(t)
	for text, ok := range map[string]bool{
		"100": true, "1e2": true, "99.9999999999999": true, "100.000000000001": false, "0.00000000001": true, "-0.00000000001": false,
	} {
		found := blocking(register(v, with(t, "ev", "/model/performance/capacityThresholdForExhaustionPct", json.Number(text))))
		if (len(found) == 0) != ok {
			t.Errorf("%s: %v", text, found)
		}
	}
}

func TestEqualContentHasOneDigest(t *testing.T) {
	v := validator(t)
	digest := func(doc map[string]any) [32]byte {
		checked, found := v.Check(passport.Model, member(doc, "model"), schema.Context{})
		if checked.IsZero() {
			t.Fatal(found)
		}
		return checked.Digest()
	}
	plain := digest(example(t, "ev"))
	if digest(with(t, "ev", "/model/identification/batteryMassKg", json.Number("430.0"))) != plain {
		t.Error("430.0 kg and 430 kg differ")
	}
	if digest(with(t, "ev", "/model/identification/dimensionsMm/height", json.Number("143"))) == plain {
		t.Error("143 mm and 142 mm agree")
	}
}

func TestTheDayOfManufactureIsNotSigned(t *testing.T) {
	v, doc := validator(t), with(t, "ev", "/passport/manufacturingDate", "2027-02-24")
	item := member(doc, "passport")
	checked, found := v.Check(passport.Item, item, schema.Context{Model: member(doc, "model"), Batch: member(doc, "batch")})
	if checked.IsZero() {
		t.Fatal(found)
	}
	if checked.Record()["manufacturingDate"] != "2027-02" || item["manufacturingDate"] != "2027-02-24" {
		t.Errorf("signed %v, sent %v", checked.Record()["manufacturingDate"], item["manufacturingDate"])
	}
	month, _ := v.Check(passport.Item, member(example(t, "ev"), "passport"), schema.Context{Model: member(doc, "model")})
	if checked.Digest() != month.Digest() {
		t.Error("a day that is dropped makes another record")
	}
}

func TestDutiesThatBeginLaterBindTheItem(t *testing.T) {
	v := validator(t)
	bare := with(t, "ev", "/model/dueDiligence/report", gone)
	for _, tt := range []struct {
		on   string
		want []string
	}{
		{"2027-08-17", nil},
		{"2027-08-18", []string{"attribute.missing /passport/placedOnMarketOn"}},
	} {
		doc := edit(bare, "/passport/placedOnMarketOn", tt.on).(map[string]any)
		found := register(v, doc)
		if diff := cmp.Diff(tt.want, codes(blocking(found))); diff != "" {
			t.Errorf("placed on the market on %s: %s", tt.on, diff)
		}
		if !slices.Contains(codes(found), "attribute.dueLater /model/dueDiligence/report") {
			t.Errorf("placed on the market on %s: the model is not warned: %v", tt.on, codes(found))
		}
	}
}

// Nobody has seen the date of the recycled shares in the law: it is recalled.
func TestAnUnconfirmedDutyOnlyWarns(t *testing.T) {
	v := validator(t)
	bare := with(t, "lmt", "/model/circularity/recycledContent", gone)
	found := register(v, edit(bare, "/passport/placedOnMarketOn", "2033-08-18").(map[string]any))
	if b := blocking(found); slices.ContainsFunc(b, func(v passport.Violation) bool { return strings.Contains(v.Repair, "recycledContent") }) {
		t.Errorf("refused: %v", b)
	}
	at := slices.IndexFunc(found, func(v passport.Violation) bool {
		return v.Code == "attribute.missing" && strings.Contains(v.Repair, "recycledContent[nickel].preConsumerPct")
	})
	if at < 0 {
		t.Fatalf("nothing is said: %v", codes(found))
	}
	want := passport.Violation{
		Pointer: "/passport/placedOnMarketOn", Code: "attribute.missing", Severity: passport.Warning,
		Expected:       "Recycled nickel share from manufacturing waste (pre-consumer) in % in the model (the duty or its date is unconfirmed)",
		Found:          `a battery placed on the market on "2033-08-18"; the duty began on 2033-08-18, a date that is unconfirmed`,
		Repair:         "register a version of the model with model.circularity.recycledContent[nickel].preConsumerPct and pin that",
		LegalReference: "Annex XIII 1(e); Art. 8(1) (unconfirmed)",
	}
	if diff := cmp.Diff(want, found[at]); diff != "" {
		t.Error(diff)
	}
	for _, v := range found {
		confirmed := !strings.HasSuffix(v.LegalReference, " (unconfirmed)")
		if confirmed != !strings.Contains(v.Expected, "unconfirmed") {
			t.Errorf("reference and text disagree: %+v", v)
		}
	}
}

func TestOnlyAJudgementWithAClockLooksAhead(t *testing.T) {
	v, doc := validator(t), example(t, "ev")
	item, ctx := member(doc, "passport"), schema.Context{Model: member(doc, "model"), Batch: member(doc, "batch")}
	if _, found := v.Check(passport.Item, item, ctx); len(found) > 0 {
		t.Errorf("without a clock: %v", codes(found))
	}
	ctx.At = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	checked, found := v.Check(passport.Item, item, ctx)
	if diff := cmp.Diff([]string{"date.future /manufacturingDate", "date.future /placedOnMarketOn"}, codes(found)); diff != "" || checked.IsZero() {
		t.Error(diff)
	}
	ctx.At = time.Date(2027, 3, 20, 3, 0, 0, 0, time.UTC)
	checked, found = v.Check(passport.Condition, member(example(t, "condition-ev"), "condition"), ctx)
	if got := codes(blocking(found)); !checked.IsZero() || !slices.Equal(got, []string{"instant.future /recordedAt"}) {
		t.Errorf("a reading of the next hour: %v", got)
	}
}

func TestWhatCannotBeDecidedIsAWarning(t *testing.T) {
	v := validator(t)
	for _, tt := range []struct {
		claim, example, pointer string
		value                   any
		want                    string
	}{
		{
			"recycled content of an industrial battery whose storage is unknown", "industrial", "/model/identification/externalStorageOnly", gone,
			"attribute.undecidable /model/circularity/recycledContent",
		},
		{
			"a trigger that contradicts the category", "ev", "/model/identification/externalStorageOnly", true,
			"attribute.notApplicable /model/identification/externalStorageOnly",
		},
		{
			"an e-bike with an exhaustion threshold", "lmt", "/model/performance/capacityThresholdForExhaustionPct", json.Number("70"),
			"attribute.notApplicable /model/performance/capacityThresholdForExhaustionPct",
		},
		{
			"a performance class without its act", "ev", "/model/carbonFootprint/performanceClass", gone,
			"attribute.awaitsAct /model/carbonFootprint/performanceClass",
		},
		{
			"a null nobody explains", "ev", "/model/notApplicableReason", gone,
			"attribute.unexplained /model/carbonFootprint/performanceClass",
		},
		{
			"a chemistry nobody lists", "industrial", "/model/materials/chemistry/code", "FeAir",
			"attribute.unknownValue /model/materials/chemistry/code",
		},
	} {
		found := register(v, with(t, tt.example, tt.pointer, tt.value))
		if len(blocking(found)) > 0 || !slices.Contains(codes(found), tt.want) {
			t.Errorf("%s: %v", tt.claim, found)
		}
	}
}

func TestABatteryNotYetInServiceRegisters(t *testing.T) {
	found := register(validator(t), with(t, "lmt", "/passport/dateOfPuttingIntoService", nil))
	if len(found) > 0 {
		t.Error(found)
	}
}

func TestAnItemWithoutItsModelIsNotGuessedAt(t *testing.T) {
	doc := with(t, "lmt", "/passport/dateOfPuttingIntoService", gone)
	_, found := validator(t).Check(passport.Item, member(doc, "passport"), schema.Context{Prefix: "/passport"})
	if diff := cmp.Diff([]string{"attribute.undecidable /passport/dateOfPuttingIntoService"}, codes(found)); diff != "" {
		t.Error(diff)
	}
}

func TestADocumentIsNotChanged(t *testing.T) {
	v, doc, want := validator(t), example(t, "ev"), example(t, "ev")
	register(v, doc)
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
}

// Whatever stands anywhere, Check answers, and answers the same twice.
func TestNoShapeOfDocumentBreaksTheCheck(t *testing.T) {
	v := validator(t)
	odd := []any{nil, true, "x", json.Number("-1"), []any{}, map[string]any{}, []any{nil, []any{}, map[string]any{"a": nil}}}
	doc := example(t, "industrial")
	for i, pointer := range pointers(doc, "", nil) {
		if strings.Count(pointer, "/") < 2 {
			continue
		}
		record := passport.RecordType(strings.Split(pointer, "/")[1])
		changed := edit(doc, pointer, odd[i%len(odd)]).(map[string]any)
		ctx := schema.Context{Model: member(changed, "model"), Batch: member(changed, "batch")}
		_, first := v.Check(record, member(changed, string(record)), ctx)
		if i%16 != 0 {
			continue
		}
		if _, second := v.Check(record, member(changed, string(record)), ctx); !cmp.Equal(first, second) {
			t.Errorf("%s: two answers: %s", pointer, cmp.Diff(first, second))
		}
	}
}

func pointers(v any, at string, all []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = pointers(v[name], at+"/"+name, append(all, at+"/"+name))
		}
	case []any:
		for i, item := range v {
			next := at + "/" + strconv.Itoa(i)
			all = pointers(item, next, append(all, next))
		}
	}
	return all
}

func TestPresentedRecordsMayWithhold(t *testing.T) {
	v := validator(t)
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(examples, "condition-ev") {
		doc := example(t, name)
		for _, record := range passport.RecordTypes() {
			if member(doc, string(record)) == nil {
				continue
			}
			shown := any(member(doc, string(record)))
			for _, a := range cat.Disclosures(record) {
				if a.Elements {
					shown = edit(shown, passport.Pointer(a.Members...), []any{})
				} else if present(shown, a.Members) {
					shown = edit(shown, passport.Pointer(a.Members...), gone)
				}
			}
			subject := shown.(map[string]any)
			subject["id"], subject["type"] = "https://example.test/1", []any{"Battery"}
			if found := v.CheckPresented(record, subject); len(found) > 0 {
				t.Errorf("%s %s withheld: %v", name, record, found)
			}
			if found := v.CheckPresented(record, member(doc, string(record))); len(found) > 0 {
				t.Errorf("%s %s in full: %v", name, record, found)
			}
		}
	}
}

func present(v any, members []string) bool {
	for _, m := range members {
		object, ok := v.(map[string]any)
		if !ok {
			return false
		}
		if v, ok = object[m]; !ok {
			return false
		}
	}
	return true
}

func TestPresentedRecordsKeepWhatIsPublic(t *testing.T) {
	doc := with(t, "ev", "/model/performance/voltage/nominal", gone)
	found := validator(t).CheckPresented(passport.Model, member(doc, "model"))
	if diff := cmp.Diff([]string{"schema.required /performance/voltage/nominal"}, codes(found)); diff != "" {
		t.Error(diff)
	}
}

func TestSchemaAddressesAreBelowTheBase(t *testing.T) {
	got := schema.URL("https://passports.example", passport.Item, true)
	if got != "https://passports.example/schemas/1.0.0/passport.presented.schema.json" {
		t.Error(got)
	}
}
