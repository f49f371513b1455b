package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/provolt/provolt"
	"github.com/provolt/provolt/internal/passport"
)

// plant is one drift between the code and openapi.yaml, made on purpose in an
// exchange that is as it should be.
type plant struct {
	keyword string                    // what has to notice it
	of      string                    // name of the exchange
	answer  func(body map[string]any) // drift of the answer's body
	whole   func(*answer)             // drift of anything else of the answer
	request func(body map[string]any) // drift of the request's body
}

var plants = []plant{
	{keyword: "additionalProperties", of: "passport", answer: func(b map[string]any) { b["colour"] = "red" }},
	{keyword: "additionalProperties", of: "passport", answer: func(b map[string]any) { dig(b, "status").(map[string]any)["mood"] = "good" }},
	{keyword: "additionalProperties", of: "linkset", answer: func(b map[string]any) { b["linkset"].([]any)[0].(map[string]any)["note"] = "a text" }},
	{keyword: "required", of: "passport", answer: func(b map[string]any) { delete(b, "withheld") }},
	{keyword: "required", of: "problem", answer: func(b map[string]any) { delete(b, "requestId") }},
	{keyword: "type", of: "passport", answer: func(b map[string]any) { b["version"] = "1" }},
	{keyword: "type", of: "passport", answer: func(b map[string]any) { b["model"] = "none" }},
	{keyword: "type", of: "passport", answer: func(b map[string]any) { b["digitalLink"] = json.Number("7") }},
	{keyword: "enum", of: "passport", answer: func(b map[string]any) { dig(b, "status").(map[string]any)["state"] = "asleep" }},
	{keyword: "enum", of: "verification", answer: func(b map[string]any) { b["verdict"] = "probably" }},
	{keyword: "const", of: "dry run", answer: func(b map[string]any) { b["dryRun"] = false }},
	{keyword: "pattern", of: "passport", answer: func(b map[string]any) { b["passportId"] = "AB4F7K2900001" }},
	{keyword: "format", of: "passport", answer: func(b map[string]any) { b["issuedAt"] = "yesterday" }},
	{keyword: "format", of: "passport", answer: func(b map[string]any) { dig(b, "links").(map[string]any)["page"] = "/p/1" }},
	{keyword: "minimum", of: "passport", answer: func(b map[string]any) { b["version"] = json.Number("0") }},
	{keyword: "maximum", of: "passport", answer: func(b map[string]any) { b["latestVersion"] = json.Number("2147483648") }},
	{keyword: "items", of: "passport", answer: func(b map[string]any) { b["withheld"] = []any{"a text"} }},
	{keyword: "properties", of: "passport", answer: func(b map[string]any) { dig(b, "issuer").(map[string]any)["organisation"] = "Not a name" }},
	{keyword: "$ref", of: "receipt", answer: func(b map[string]any) { b["records"].([]any)[0].(map[string]any)["digestSRI"] = "sha256-short=" }},
	{keyword: "minItems", of: "linkset", answer: func(b map[string]any) { b["linkset"] = []any{} }},
	{keyword: "minProperties", of: "grant", answer: func(b map[string]any) { b["scope"] = map[string]any{} }},
	{keyword: "maxProperties", of: "grant", answer: func(b map[string]any) {
		b["scope"] = map[string]any{"passport": b["id"], "model": b["id"]}
	}},

	// What the requests that are answered well may hold.
	{keyword: "additionalProperties", of: "receipt", request: func(b map[string]any) { b["comment"] = "hello" }},
	{keyword: "required", of: "grant", request: func(b map[string]any) { delete(b, "validUntil") }},
	{keyword: "minItems", of: "grant", request: func(b map[string]any) { b["points"] = []any{} }},
	{keyword: "anyOf", of: "receipt", request: func(b map[string]any) { b["model"] = "the usual" }},
	{keyword: "maxLength", of: "enrolment", request: func(b map[string]any) { b["subject"] = strings.Repeat("x", 201) }},
	{keyword: "minLength", of: "receipt", whole: func(a *answer) { a.request.header["Idempotency-Key"] = []string{""} }},

	// What kin-openapi looks at beside schemas, and what it does not.
	{keyword: "status", of: "passport", whole: func(a *answer) { a.status = http.StatusTeapot }},
	{keyword: "status", of: "redirect", whole: func(a *answer) { a.status = http.StatusPermanentRedirect }},
	{keyword: "media type", of: "passport", whole: func(a *answer) { a.header.Set("Content-Type", "text/xml") }},
	{keyword: "header", of: "passport", whole: func(a *answer) { a.header.Del("Etag") }},
	{keyword: "header", of: "redirect", whole: func(a *answer) { a.header.Del("Link") }},
	{keyword: "header", of: "receipt", whole: func(a *answer) { a.header.Set("Idempotent-Replayed", "perhaps") }},
	{keyword: "common header", of: "passport", whole: func(a *answer) { a.header.Del("X-Content-Type-Options") }},
	{keyword: "body", of: "redirect", whole: func(a *answer) { a.body = []byte("moved") }},
	{keyword: "sign-in", of: "receipt", whole: func(a *answer) { a.request.header.Del("Authorization") }},
	{keyword: "strict JSON", of: "passport", whole: func(a *answer) {
		a.body = []byte(strings.Replace(string(a.body), `"version":1`, `"version":1,"version":1`, 1))
	}},
	{keyword: "record schema", of: "passport", answer: func(b map[string]any) { dig(b, "model").(map[string]any)["colour"] = "red" }},
	{keyword: "record schema", of: "model", answer: func(b map[string]any) { delete(b["model"].(map[string]any), "identification") }},
	{keyword: "problem type", of: "problem", answer: func(b map[string]any) { b["type"] = base + "/problems/other" }},
	{keyword: "problem status", of: "problem", answer: func(b map[string]any) { b["status"] = json.Number("400") }},
}

// exchanges are one good one of each kind that is drifted from.
func exchanges(t *testing.T) map[string]*answer {
	t.Helper()
	w := newWorld(t)
	receipt := w.register("A1")
	id := receipt.text("passportId")
	model := recordOf(receipt, "model")["id"].(string)
	return map[string]*answer{
		"receipt":      receipt,
		"passport":     w.get("/v1/passports/" + id).want(http.StatusOK),
		"model":        w.get("/v1/models/" + model).want(http.StatusOK),
		"verification": w.get("/v1/passports/" + id + "/verification").want(http.StatusOK),
		"dry run":      w.post("/v1/passports?dryRun=true", battery(example(t, "ev.json"), "A2"), as("nordlicht")).want(http.StatusOK),
		"redirect":     w.get("/01/09506000134376/21/A1").want(http.StatusTemporaryRedirect),
		"linkset":      w.get("/01/09506000134376/21/A1?linkType=linkset").want(http.StatusOK),
		"problem":      w.get("/v1/passports/00000000-0000-7000-8000-000000000000").want(http.StatusNotFound),
		"grant": w.post("/v1/grants", map[string]any{
			"organisation": "kreislauf", "points": []string{"point2"}, "scope": map[string]any{"passport": id}, "validUntil": "2027-12-31T00:00:00Z",
		}, as("nordlicht")).want(http.StatusCreated),
		"enrolment": w.post("/v1/enrolments", map[string]any{
			"organisation": "nordlicht", "subject": "anna", "secret": w.secrets["nordlicht"],
		}).want(http.StatusCreated),
	}
}

func TestTheContractCheckNoticesEveryKindOfDrift(t *testing.T) {
	good := exchanges(t)
	strict, err := newAgreement(provolt.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range good {
		if err := strict.recheck(a); err != nil {
			t.Fatalf("%s without a drift: %v", name, err)
		}
	}
	for _, p := range plants {
		t.Run(p.keyword+" of "+p.of, func(t *testing.T) {
			drifted := p.drift(t, good[p.of])
			if err := strict.recheck(drifted); err == nil {
				t.Errorf("not noticed:\n%s %s %v\n%s", drifted.request.method, drifted.request.path, drifted.request.header, drifted)
			}
		})
	}
}

// recheck checks an exchange that was made before.
func (a *agreement) recheck(x *answer) error {
	req := httptest.NewRequestWithContext(x.t.Context(), x.request.method, x.request.path, http.NoBody)
	maps.Copy(req.Header, x.request.header)
	return a.check(req, x.request.body, x)
}

// drift returns a copy of a with the plant in it.
func (p plant) drift(t *testing.T, a *answer) *answer {
	t.Helper()
	b := *a
	b.header, b.request.header = a.header.Clone(), a.request.header.Clone()
	if p.answer != nil {
		body := a.json()
		p.answer(body)
		b.body = marshal(t, body)
	}
	if p.request != nil {
		var body map[string]any
		if err := json.Unmarshal(a.request.body, &body); err != nil {
			t.Fatal(err)
		}
		p.request(body)
		b.request.body = marshal(t, body)
	}
	if p.whole != nil {
		p.whole(&b)
	}
	return &b
}

// annotations are the keywords that assert nothing.
var annotations = []string{"description", "contentMediaType", "schema"}

func TestEveryKeywordOfTheContractHasAPlantedDrift(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal(provolt.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, s := range dig(doc, "components", "schemas").(map[string]any) {
		keywords(s, used)
	}
	inlineSchemas(doc, used)
	for _, p := range plants {
		delete(used, p.keyword)
	}
	for _, name := range annotations {
		delete(used, name)
	}
	if len(used) > 0 {
		t.Errorf("keywords without a planted drift: %v", slices.Sorted(maps.Keys(used)))
	}
}

// keywords collects the keywords of a schema and of those within it.
func keywords(schema any, used map[string]bool) {
	object, _ := schema.(map[string]any)
	for name, value := range object {
		used[name] = true
		switch name {
		case "properties":
			for _, s := range value.(map[string]any) {
				keywords(s, used)
			}
		case "anyOf":
			for _, s := range value.([]any) {
				keywords(s, used)
			}
		case "items", "additionalProperties":
			keywords(value, used)
		}
	}
}

// inlineSchemas finds the schemas that stand outside the components.
func inlineSchemas(v any, used map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name == "schema" {
				keywords(value, used)
			} else {
				inlineSchemas(value, used)
			}
		}
	case []any:
		for _, value := range v {
			inlineSchemas(value, used)
		}
	}
}

func TestTheContractNamesTheVocabularyOfTheCode(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal(provolt.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	enum := func(path ...string) []string {
		var out []string
		for _, v := range dig(doc, append([]string{"components", "schemas"}, path...)...).([]any) {
			out = append(out, v.(string))
		}
		return out
	}
	tiers := []string{}
	for _, tier := range passport.Restricted() {
		tiers = append(tiers, string(tier))
	}
	if diff := cmp.Diff(tiers, enum("Tier", "enum")); diff != "" {
		t.Errorf("tiers:\n%s", diff)
	}
	types := []string{}
	for _, kind := range passport.RecordTypes() {
		types = append(types, string(kind))
	}
	if diff := cmp.Diff(types, enum("Withheld", "properties", "record", "enum")); diff != "" {
		t.Errorf("record types:\n%s", diff)
	}
}
