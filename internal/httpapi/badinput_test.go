package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type jsonNumber = json.Number

// wrongDocument is one way to spoil the shipped EV document.
type wrongDocument struct {
	name  string
	spoil func(doc map[string]any)
	want  map[string]string // codes by pointer: these at least, and nothing that is no consequence
}

// set changes the member at a path of objects and array indices.
func set(doc any, value any, path ...any) {
	for i, step := range path {
		last := i == len(path)-1
		switch at := step.(type) {
		case string:
			if last {
				doc.(map[string]any)[at] = value
				return
			}
			doc = doc.(map[string]any)[at]
		case int:
			if last {
				doc.([]any)[at] = value
				return
			}
			doc = doc.([]any)[at]
		}
	}
}

func setting(value any, path ...any) func(map[string]any) {
	return func(doc map[string]any) { set(doc, value, path...) }
}

// wrongDocuments are the bad inputs that the first issue names, and more.
var wrongDocuments = []wrongDocument{
	{"a wrong unit", setting("lbCO2e/kWh", "model", "carbonFootprint", "unit"), map[string]string{"/model/carbonFootprint/unit": "schema.const"}},
	{"shares that do not add up", setting(jsonNumber("0.65"), "batch", "origins", 0, "massShare"), map[string]string{"/batch/origins": "lot.shareSum", "/batch/origins/0/massShare": "lot.shareMass"}},
	{"a wrong check digit of the GTIN", setting("09506000134377", "model", "identification", "gtin"), map[string]string{"/model/identification/gtin": "gtin.checkDigit"}},
	{"a wrong check digit of the battery id", setting(base+"/01/09506000134377/21/A2", "passport", "batteryId"), map[string]string{"/passport/batteryId": "gtin.checkDigit"}},
	{"a wrong check digit of an LEI", setting("529900EXAMPLE0000N71", "passport", "economicOperator", "ids", 0, "value"), map[string]string{"/passport/economicOperator/ids/0": "lei.checkDigits"}},
	{"an unknown field", setting("red", "passport", "colour"), map[string]string{"/passport/colour": "schema.additionalProperties"}},
	{"an unknown member beside the records", setting(map[string]any{}, "lot"), map[string]string{"/lot": "member.unknown"}},
	{"a pin that does not exist", setting(map[string]any{"recordId": unknown.modelRecord}, "model"), map[string]string{"/model/recordId": "pin.notFound"}},
	{"a pin that is no id", setting(map[string]any{"recordId": "x"}, "model"), map[string]string{"/model/recordId": "pin.form"}},
	{"a pin with more", setting(map[string]any{"recordId": unknown.modelRecord, "x": "y"}, "batch"), map[string]string{"/batch/recordId": "pin.form"}},
	{"a chemistry code that contradicts its formula", setting("LFP", "model", "materials", "chemistry", "code"), map[string]string{"/model/materials/chemistry/cathode": "chemistry.formula", "/model/composition/materials/0/name": "chemistry.formula"}},
	{"a composition off by more than 5 %", setting(jsonNumber("212"), "model", "composition", "materials", 0, "massKg"), map[string]string{"/model/composition/materials": "composition.exceedsMass"}},
	{"a serial number that is not that of the battery id", setting("OTHER", "passport", "serialNumber"), map[string]string{"/passport/serialNumber": "batteryId.serial"}},
	{"a number as text", setting("430", "model", "identification", "batteryMassKg"), map[string]string{"/model/identification/batteryMassKg": "schema.type"}},
	{"a negative mass", setting(jsonNumber("-430"), "model", "identification", "batteryMassKg"), map[string]string{"/model/identification/batteryMassKg": "schema.exclusiveMinimum"}},
	{"a number beyond bounds", setting(jsonNumber("1e999999"), "model", "identification", "batteryMassKg"), map[string]string{"/model/identification/batteryMassKg": "number.magnitude"}},
	{"a number with 16 digits", setting(jsonNumber("430.0000000000001"), "model", "identification", "batteryMassKg"), map[string]string{"/model/identification/batteryMassKg": "number.digits"}},
	{"a date that is none", setting("2027-02-30", "passport", "placedOnMarketOn"), map[string]string{"/passport/placedOnMarketOn": "date.malformed"}},
	{"a country that is none", setting("XX", "passport", "economicOperator", "country"), map[string]string{"/passport/economicOperator/country": "country.unknown"}},
	{"null for a record", setting(nil, "passport"), map[string]string{"/passport": "member.type"}},
	{"a record that is a list", setting([]any{}, "model"), map[string]string{"/model": "member.type"}},
	{"no passport", func(doc map[string]any) { delete(doc, "passport") }, map[string]string{"/passport": "member.missing"}},
	{"no model", func(doc map[string]any) { delete(doc, "model") }, map[string]string{"/model": "member.missing"}},
	{"a mandatory attribute that is missing", func(doc map[string]any) { delete(dig(doc, "model", "performance").(map[string]any), "ratedCapacityAh") }, map[string]string{"/model/performance/ratedCapacityAh": "attribute.missing"}},
	{"many faults at once", func(doc map[string]any) {
		set(doc, "red", "passport", "colour")
		set(doc, "09506000134377", "model", "identification", "gtin")
		set(doc, jsonNumber("0.65"), "batch", "origins", 0, "massShare")
		set(doc, "XX", "passport", "economicOperator", "country")
	}, map[string]string{
		"/passport/colour": "schema.additionalProperties", "/model/identification/gtin": "gtin.checkDigit", "/batch/origins": "lot.shareSum",
		"/passport/economicOperator/country": "country.unknown",
	}},
}

// consequences are the codes of checks that compare one member with others: a
// wrong mass or share disagrees with all that was computed from it.
var consequences = []string{"originSummary.", "lot.", "criticalRawMaterial.", "hazardousSubstance."}

func TestEveryFaultOfADocumentIsNamedAndNothingIsStored(t *testing.T) {
	w := newWorld(t)
	before := w.leaves()
	for _, c := range wrongDocuments {
		doc := battery(example(t, "ev.json"), "A2")
		c.spoil(doc)
		a := w.post("/v1/passports", doc, as("nordlicht")).refused(http.StatusUnprocessableEntity, "record.invalid")
		got := map[string]string{}
		for _, v := range a.at("errors").([]any) {
			if dig(v, "severity") == "blocking" {
				got[dig(v, "pointer").(string)] = dig(v, "code").(string)
			}
		}
		for pointer, code := range got {
			if _, wanted := c.want[pointer]; !wanted && slices.ContainsFunc(consequences, func(s string) bool { return strings.HasPrefix(code, s) }) {
				delete(got, pointer)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
	if w.leaves() != before {
		t.Error("something was stored")
	}
	if list := w.get("/v1/passports", as("nordlicht")).at("passports").([]any); len(list) != 0 {
		t.Errorf("stored: %v", list)
	}
	w.get(gtin).refused(http.StatusNotFound, "notFound")
}

func TestAModelThatExistsInThisVersionShowsWhereItDiffers(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	doc := example(t, "ev.json")
	set(doc, "P9Y", "model", "identification", "warrantyPeriod")
	clash := w.post("/v1/models", map[string]any{"model": doc["model"], "version": 1}, as("nordlicht")).refused(http.StatusConflict, "version.taken")
	want := []any{map[string]any{"pointer": "/identification/warrantyPeriod", "registered": `"P8Y"`, "sent": `"P9Y"`}}
	if diff := cmp.Diff(want, clash.at("diff")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := clash.text("existing"); got != base+"/v1/records/"+f.modelRecord+".sd-jwt" {
		t.Errorf("led to %s", got)
	}
	w.post("/v1/models", map[string]any{"model": doc["model"], "version": 3}, as("nordlicht")).refused(http.StatusConflict, "version.notNext")
	w.post("/v1/models", map[string]any{"model": doc["model"], "version": 2}, as("nordlicht")).want(http.StatusCreated)
	batch := map[string]any{"batch": doc["batch"], "model": map[string]any{"recordId": f.modelRecord}, "version": 9}
	w.post("/v1/batches", batch, as("nordlicht")).refused(http.StatusConflict, "version.notNext")
	batch["version"] = 1
	w.post("/v1/batches", batch, as("nordlicht")).want(http.StatusOK)
	for _, version := range []any{0, -1, 1.5, "1", nil, jsonNumber("2147483648"), jsonNumber("1e3")} {
		batch["version"] = version
		a := w.post("/v1/batches", batch, as("nordlicht")).refused(http.StatusUnprocessableEntity, "record.invalid")
		if a.violations()["/version"] != "version.form" {
			t.Errorf("version %v: %s", version, a)
		}
	}
}

func TestAGrantOrReleaseThatMakesNoSenseIsRefused(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	good := func() map[string]any {
		return map[string]any{"organisation": "kreislauf", "points": []any{"point2"}, "validUntil": "2027-12-31T00:00:00Z"}
	}
	for _, c := range []struct {
		name    string
		value   any
		pointer string
		code    string
	}{
		{"organisation", "nobody", "/organisation", "organisation.unknown"},
		{"organisation", 7, "/organisation", "organisation.unknown"},
		{"points", []any{}, "/points", "points.form"},
		{"points", []any{"public"}, "/points", "points.form"},
		{"points", []any{"point2", "point2"}, "/points", "points.form"},
		{"points", "point2", "/points", "points.form"},
		{"validUntil", "2027-12-31", "/validUntil", "instant.form"},
		{"validUntil", "2027-04-01T09:00:00Z", "/validUntil", "grant.period"},
		{"validUntil", "2040-01-01T00:00:00Z", "/validUntil", "grant.period"},
		{"scope", map[string]any{}, "/scope", "scope.form"},
		{"scope", map[string]any{"passport": f.passport, "model": f.model}, "/scope", "scope.form"},
		{"scope", map[string]any{"passport": unknown.passport}, "/scope", "scope.notFound"},
		{"scope", nil, "/scope", "scope.form"},
		{"forever", true, "/forever", "member.unknown"},
	} {
		body := good()
		body[c.name] = c.value
		a := w.post("/v1/grants", body, as("nordlicht")).refused(http.StatusUnprocessableEntity, "record.invalid")
		if got := a.violations()[c.pointer]; got != c.code && (c.code != "scope.notFound" || got != "scope.form") {
			t.Errorf("%s %v: %q, want %q", c.name, c.value, got, c.code)
		}
	}
	body := good()
	body["scope"] = map[string]any{"passport": f.passport}
	w.post("/v1/grants", body, as("veloplus")).refused(http.StatusUnprocessableEntity, "record.invalid")
	for _, to := range []any{"", nil, 1, "nobody", "Not A Name"} {
		w.post("/v1/passports/"+f.passport+"/release", map[string]any{"to": to}, as("nordlicht")).refused(http.StatusUnprocessableEntity, "record.invalid")
	}
	for name, value := range map[string]any{"organisation": "", "subject": strings.Repeat("x", 201), "secret": nil, "more": "x"} {
		body := map[string]any{"organisation": "veloplus", "subject": "anna", "secret": "x"}
		body[name] = value
		a := w.post("/v1/enrolments", body).refused(http.StatusUnprocessableEntity, "record.invalid")
		if a.violations()["/"+name] == "" {
			t.Errorf("enrolment with %s %v: %s", name, value, a)
		}
	}
}
