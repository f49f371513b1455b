package httpapi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// operation is one good call of an operation of the contract.
type operation struct {
	method, route string
	path          string
	body          any
	by            passport.OrgID // who calls; empty is anybody
	purpose       string
}

func (o operation) name() string { return o.method + " " + o.route }

// parts are what the call carries, and then more.
func (o operation) parts(t testing.TB, more ...part) []part {
	t.Helper()
	var out []part
	if o.body != nil {
		out = append(out, raw(marshal(t, o.body)))
	}
	if o.by != "" {
		out = append(out, as(o.by))
	}
	if o.purpose != "" {
		out = append(out, purpose(o.purpose))
	}
	return append(out, more...)
}

// furniture names what the calls are about.
type furniture struct {
	passport, model, batch, record, grant, serial string
	modelRecord                                   string // recordId
}

// unknown is furniture of which nothing exists.
var unknown = furniture{
	passport: "00000000-0000-7000-8000-000000000001", model: "00000000-0000-7000-8000-000000000002",
	batch: "00000000-0000-7000-8000-000000000003", record: "00000000-0000-7000-8000-000000000004",
	grant: "00000000-0000-7000-8000-000000000005", serial: "nobody", modelRecord: "00000000-0000-7000-8000-000000000006",
}

// furnished registers what the calls are about: all of nordlicht.
func (w *world) furnished() furniture {
	w.t.Helper()
	receipt := w.register("A1")
	grant := w.post("/v1/grants", map[string]any{
		"organisation": "kreislauf", "points": []string{"point2"}, "validUntil": "2027-12-31T00:00:00Z",
	}, as("nordlicht")).want(http.StatusCreated)
	id := func(kind, name string) string { return recordOf(receipt, kind)[name].(string) }
	return furniture{
		passport: id("passport", "id"), model: id("model", "id"), batch: id("batch", "id"), record: id("passport", "recordId"),
		grant: grant.text("id"), serial: "A1", modelRecord: id("model", "recordId"),
	}
}

// operations are one call of each operation, good where f exists.
func operations(t testing.TB, f furniture) []operation {
	t.Helper()
	doc, shared := battery(example(t, "ev.json"), "F1"), example(t, "ev.json")
	item := battery(example(t, "ev.json"), f.serial)["passport"].(map[string]any)
	item["placedOnMarketOn"] = "2027-03-16"
	reading := example(t, "condition-ev.json")
	reading["condition"].(map[string]any)["recordedAt"] = "2027-03-31T04:00:00Z"
	passports, maker := "/v1/passports/{id}", passport.OrgID("nordlicht")
	about := func(suffix string) string { return "/v1/passports/" + f.passport + suffix }
	return []operation{
		{"GET", "/v1/passports", "/v1/passports", nil, maker, ""},
		{"POST", "/v1/passports", "/v1/passports", doc, maker, ""},
		{"GET", passports, about(""), nil, maker, "walk"},
		{"GET", passports + "/versions", about("/versions"), nil, "", ""},
		{"POST", passports + "/versions", about("/versions"), map[string]any{"passport": item}, maker, ""},
		{"POST", passports + "/conditions", about("/conditions"), reading, maker, ""},
		{"POST", passports + "/release", about("/release"), map[string]any{"to": "veloplus"}, maker, ""},
		{"GET", passports + "/verification", about("/verification"), nil, "", ""},
		{"GET", passports + "/qr.svg", about("/qr.svg"), nil, "", ""},
		{"GET", passports + "/qr.png", about("/qr.png"), nil, "", ""},
		{"POST", "/v1/models", "/v1/models", map[string]any{"model": changed(shared["model"], "warrantyPeriod", "P9Y")}, maker, ""},
		{"GET", "/v1/models/{id}", "/v1/models/" + f.model, nil, maker, "walk"},
		{"POST", "/v1/batches", "/v1/batches", map[string]any{
			"batch": changed(shared["batch"], "quantity", 1851), "model": map[string]any{"recordId": f.modelRecord},
		}, maker, ""},
		{"GET", "/v1/batches/{id}", "/v1/batches/" + f.batch, nil, maker, "walk"},
		{"GET", "/v1/records/{file}", "/v1/records/" + f.record + ".sd-jwt", nil, "", ""},
		{"POST", "/v1/verify", "/v1/verify", map[string]any{"token": "x~"}, "", ""},
		{"GET", "/v1/trust", "/v1/trust", nil, "", ""},
		{"GET", "/v1/grants", "/v1/grants", nil, maker, ""},
		{"POST", "/v1/grants", "/v1/grants", map[string]any{
			"organisation": "kreislauf", "points": []string{"point4"}, "validUntil": "2027-12-31T00:00:00Z",
		}, maker, ""},
		{"DELETE", "/v1/grants/{id}", "/v1/grants/" + f.grant, nil, maker, ""},
		{"GET", "/v1/reads", "/v1/reads", nil, maker, ""},
		{"POST", "/v1/enrolments", "/v1/enrolments", map[string]any{"organisation": "veloplus", "subject": "anna", "secret": "wrong"}, "", ""},
		{"GET", "/v1/organisations", "/v1/organisations", nil, "", ""},
		{"GET", "/v1/organisations/{org}", "/v1/organisations/nordlicht", nil, "", ""},
		{"GET", "/01/{path}", "/01/09506000134376/21/" + f.serial, nil, "", ""},
		{"GET", "/8004/{path}", "/8004/9506000" + f.serial, nil, "", ""},
		{"GET", "/status/{kind}/{list}", "/status/revocation/0", nil, "", ""},
		{"GET", "/o/{org}/did.json", "/o/nordlicht/did.json", nil, "", ""},
		{"GET", "/.well-known/did.json", "/.well-known/did.json", nil, "", ""},
		{"GET", "/.well-known/jwks.json", "/.well-known/jwks.json", nil, "", ""},
		{"GET", "/.well-known/gs1resolver", "/.well-known/gs1resolver", nil, "", ""},
		{"GET", "/.well-known/security.txt", "/.well-known/security.txt", nil, "", ""},
		{"GET", "/contexts/{name}/{version}", "/contexts/provolt/v1", nil, "", ""},
		{"GET", "/schemas/{version}/{name}", "/schemas/1.0.0/model.schema.json", nil, "", ""},
		{"GET", "/openapi.yaml", "/openapi.yaml", nil, "", ""},
		{"GET", "/docs", "/docs", nil, "", ""},
		{"GET", "/docs.css", "/docs.css", nil, "", ""},
		{"GET", "/problems/{code}", "/problems/notFound", nil, "", ""},
		{"GET", "/livez", "/livez", nil, "", ""},
		{"GET", "/readyz", "/readyz", nil, "", ""},
	}
}

// changed is a record with another value of a member; of a model, a member of
// its identification.
func changed(record any, name string, value any) any {
	object := record.(map[string]any)
	if inner, ok := object["identification"].(map[string]any); ok {
		object = inner
	}
	object[name] = value
	return record
}

// documents reports whether the contract has a status for an operation.
func documents(o operation, status int) bool {
	return contract().doc.Paths.Value(o.route).GetOperation(o.method).Responses.Status(status) != nil
}

func TestTheWalkKnowsEveryOperation(t *testing.T) {
	var walked []string
	for _, o := range operations(t, unknown) {
		walked = append(walked, o.name())
	}
	slices.Sort(walked)
	all := slices.DeleteFunc(routes(newWorld(t).engine), func(r string) bool { return strings.HasPrefix(r, "HEAD ") })
	if diff := cmp.Diff(all, walked); diff != "" {
		t.Errorf("-routes +walk:\n%s", diff)
	}
}

func TestEveryOperationAnswersAGoodCallWell(t *testing.T) {
	w := newWorld(t)
	for _, o := range operations(t, w.furnished()) {
		switch a := w.do(o.method, o.path, o.parts(t)...); {
		case o.route == "/v1/enrolments", o.route == "/8004/{path}": // the secret and the asset do not exist
			a.want(http.StatusNotFound)
		case a.status >= http.StatusBadRequest:
			t.Errorf("%s: %d %s", o.name(), a.status, a)
		}
	}
}

func TestABadTokenIsRefusedWhereverTokensAreRead(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	for _, bad := range []string{"Bearer rubbish", "Bearer", "Basic YTpi", "Bearer " + w.token("nordlicht") + "x"} {
		for _, o := range operations(t, f) {
			o.by = ""
			a := w.do(o.method, o.path, o.parts(t, header("Authorization", bad))...)
			if !strings.HasPrefix(o.route, "/v1/") {
				if a.status == http.StatusUnauthorized {
					t.Errorf("%s reads tokens", o.name())
				}
				continue
			}
			a.want(http.StatusUnauthorized)
			if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("%s: challenge %q", o.name(), a.header.Get("WWW-Authenticate"))
			}
		}
	}
	w.clock.pass(2 * time.Hour)
	expired := "Bearer " + newWorld(t).token("nordlicht")
	a := w.get("/v1/trust", header("Authorization", expired)).refused(http.StatusUnauthorized, "token.refused")
	if a.text("detail") == "" {
		t.Error("a refused token is not told why")
	}
	a = w.get("/v1/grants").refused(http.StatusUnauthorized, "signIn.required")
	if got := a.header.Get("WWW-Authenticate"); got != `Bearer realm="provolt"` {
		t.Errorf("challenge without a token: %q", got)
	}
}

func TestWhoMaySignInAndMayNotDoItIsForbidden(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	for _, o := range operations(t, f) {
		if !documents(o, http.StatusForbidden) {
			continue
		}
		o.by = ""
		w.do(o.method, o.path, o.parts(t, as("nordlicht", "auditor"))...).refused(http.StatusForbidden, "forbidden")
	}
}

func TestEveryLimitedOperationSaysWhenToComeBack(t *testing.T) {
	w := newWorld(t, with(func(o *httpapi.Options) {
		o.Limits = httpapi.Limits{LookUps: 0.5, LookUpsBurst: 1, Requests: 0.5, RequestsBurst: 1}
	}))
	w.get("/docs.css").want(http.StatusOK)
	w.get("/v1/trust", as("nordlicht")).want(http.StatusOK)
	for _, o := range operations(t, unknown) {
		a := w.do(o.method, o.path, o.parts(t)...)
		if !documents(o, http.StatusTooManyRequests) {
			if a.status == http.StatusTooManyRequests {
				t.Errorf("%s is limited", o.name())
			}
			continue
		}
		a.refused(http.StatusTooManyRequests, "rate.limited")
		if got := a.header.Get("Retry-After"); got != "2" {
			t.Errorf("%s: Retry-After %q, want 2", o.name(), got)
		}
	}
}

func TestADatabaseThatIsGoneIs503AndNothingElse(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Minute} { // with what is remembered, and without
		w := newWorld(t)
		f := w.furnished()
		calls := operations(t, f)
		for i := range calls {
			if calls[i].by != "" {
				w.token(calls[i].by) // made while it can be
			}
		}
		w.must(w.store.Close())
		w.clock.pass(wait)
		for _, o := range calls {
			if o.route == "/v1/records/{file}" {
				o.path = "/v1/records/" + unknown.record + ".sd-jwt" // records are remembered for ever
			}
			a := w.do(o.method, o.path, o.parts(t)...)
			switch {
			case !documents(o, http.StatusServiceUnavailable):
				if a.status >= http.StatusInternalServerError {
					t.Errorf("%s needs the database: %s", o.name(), a)
				}
			case wait > 0:
				a.refused(http.StatusServiceUnavailable, "unavailable")
			case a.status >= http.StatusInternalServerError:
				a.refused(http.StatusServiceUnavailable, "unavailable")
			}
		}
	}
}

// breakable lets a test decide when every commit fails.
func breakable(fault storetest.Fault) (furnish, *atomic.Bool) {
	var broken atomic.Bool
	plan := func(int, registry.Change) storetest.Fault {
		if broken.Load() {
			return fault
		}
		return storetest.NoFault
	}
	return onStore(func(s registry.Store) registry.Store { return storetest.Faulty(s, plan) }), &broken
}

func TestAFullDiskIs507AndStoresNothing(t *testing.T) {
	full, broken := breakable(storetest.Full)
	w := newWorld(t, full)
	f := w.furnished()
	before := w.get("/readyz").at("pendingLeaves")
	broken.Store(true)
	for _, o := range operations(t, f) {
		a := w.do(o.method, o.path, o.parts(t)...)
		switch {
		case documents(o, http.StatusInsufficientStorage):
			a.refused(http.StatusInsufficientStorage, "storage.full")
		case a.status >= http.StatusInternalServerError:
			t.Errorf("%s writes: %s", o.name(), a)
		}
	}
	broken.Store(false)
	if after := w.get("/readyz").at("pendingLeaves"); after != before {
		t.Errorf("pending leaves %v, before %v", after, before)
	}
	for _, o := range operations(t, f) {
		if a := w.do(o.method, o.path, o.parts(t)...); a.status >= http.StatusInternalServerError {
			t.Errorf("%s after room was made: %s", o.name(), a)
		}
	}
}

func TestBodiesThatCannotBeReadAreRefusedBeforeAnythingElse(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	huge := append(bytes.Repeat([]byte(" "), httpapi.MaxBody), '1')
	for _, o := range operations(t, f) {
		if o.method != http.MethodPost {
			continue
		}
		for name, c := range map[string]struct {
			parts  []part
			status int
			code   string
		}{
			"no JSON":            {[]part{raw([]byte(`{"passport": {,}}`))}, http.StatusBadRequest, "json.syntax"},
			"nothing":            {[]part{raw(nil)}, http.StatusBadRequest, "json.syntax"},
			"no object":          {[]part{raw([]byte(`[]`))}, http.StatusUnprocessableEntity, "record.invalid"},
			"member twice":       {[]part{raw([]byte(`{"token":"a","token":"b"}`))}, http.StatusUnprocessableEntity, "record.invalid"},
			"too large":          {[]part{raw(huge)}, http.StatusRequestEntityTooLarge, "body.tooLarge"},
			"another media type": {[]part{raw([]byte(`<a/>`)), contentType("text/xml")}, http.StatusUnsupportedMediaType, "body.mediaType"},
			"no media type":      {[]part{raw([]byte(`{}`)), contentType("")}, http.StatusUnsupportedMediaType, "body.mediaType"},
			"compressed":         {[]part{raw([]byte("\x1f\x8b")), header("Content-Encoding", "gzip")}, http.StatusUnsupportedMediaType, "body.coding"},
		} {
			o.body = nil
			a := w.do(o.method, o.path, o.parts(t, c.parts...)...).refused(c.status, c.code)
			if c.code == "json.syntax" && !strings.Contains(a.text("detail"), "line 1, column ") {
				t.Errorf("%s, %s: detail %q names no place", o.name(), name, a.text("detail"))
			}
		}
	}
}

func TestMalformedIdentifiersAndQueriesAre400(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	for _, o := range operations(t, f) {
		if !strings.Contains(o.route, "{id}") && !strings.Contains(o.route, "{file}") && !strings.Contains(o.route, "{org}") ||
			!documents(o, http.StatusBadRequest) {
			continue
		}
		segments := strings.Split(o.path, "/")
		at := slices.IndexFunc(strings.Split(o.route, "/"), func(s string) bool { return strings.HasPrefix(s, "{") })
		for _, wrong := range []string{"A_1", strings.ToUpper(f.passport), "%00", "..%2f..", "%e2%80%ae", strings.Repeat("9", 3000)} {
			if strings.Contains(o.route, "{file}") {
				wrong += ".sd-jwt"
			}
			segments[at] = wrong
			w.do(o.method, strings.Join(segments, "/"), o.parts(t)...).refused(http.StatusBadRequest, "identifier.malformed")
		}
	}
	for _, path := range []string{
		"/v1/passports/" + f.passport + "?version=0", "/v1/passports/" + f.passport + "?version=", "/v1/passports/" + f.passport + "?version=01",
		"/v1/passports/" + f.passport + "?version=-1", "/v1/passports/" + f.passport + "?version=2147483648",
		"/v1/passports/" + f.passport + "?version=99999999999999999999", "/v1/passports/" + f.passport + "?as=xml",
		"/v1/passports/" + f.passport + "?as=", "/v1/models/" + f.model + "?version=x", "/v1/batches/" + f.batch + "?as=html",
		"/v1/passports/" + f.passport + "/verification?version=x",
	} {
		w.get(path).refused(http.StatusBadRequest, "query.malformed")
	}
	for _, path := range []string{
		"/v1/passports?limit=0", "/v1/passports?limit=201", "/v1/passports?limit=x", "/v1/passports?cursor=", "/v1/passports?cursor=!",
		"/v1/passports?cursor=AAAA", "/v1/reads?limit=1001",
	} {
		w.get(path, as("nordlicht")).refused(http.StatusBadRequest, "query.malformed")
	}
	for _, text := range []string{strings.Repeat("x", 501), "a\x80b", "two\tlines", "\u202eabc"} {
		w.get("/v1/passports/"+f.passport, as("nordlicht"), purpose(text)).refused(http.StatusBadRequest, "purpose.malformed")
		w.get("/v1/models/"+f.model, as("nordlicht"), purpose(text)).refused(http.StatusBadRequest, "purpose.malformed")
	}
}

func TestAWriteWhoseQueryIsNotUnderstoodIssuesNothing(t *testing.T) {
	w := newWorld(t)
	doc := battery(example(t, "ev.json"), "A1")
	for _, query := range []string{"dryRun", "dryRun=", "dryRun=1", "dryRun=TRUE", "dryrun=true", "dryRun=true&dryRun=false", "dryRun=%zz", "dryRun=true;x", "x=1"} {
		w.post("/v1/passports?"+query, doc, as("nordlicht")).refused(http.StatusBadRequest, "query.malformed")
	}
	for _, text := range []string{"", `""`, strings.Repeat("k", 256), "k\x80", "ü"} {
		w.post("/v1/passports", doc, as("nordlicht"), key(text)).refused(http.StatusBadRequest, "idempotencyKey.malformed")
	}
	w.post("/v1/passports", doc, as("nordlicht"), key("a"), key("b")).refused(http.StatusBadRequest, "idempotencyKey.malformed")
	if list := w.get("/v1/passports", as("nordlicht")).at("passports").([]any); len(list) != 0 {
		t.Errorf("issued all the same: %v", list)
	}
}

func TestAPanicIsA500WithoutAWordAboutIt(t *testing.T) {
	w := newWorld(t, with(func(o *httpapi.Options) {
		o.Enrol = func(registry.Member, time.Time) (string, error) { panic("secret detail") }
	}))
	body := map[string]any{"organisation": "veloplus", "subject": "anna", "secret": w.secrets["veloplus"]}
	a, err := w.exchange(http.MethodPost, "/v1/enrolments", raw(marshal(t, body)))
	if err == nil {
		t.Error("openapi.yaml documents a 500")
	}
	a.refused(http.StatusInternalServerError, "internal")
	if err := contract().checkProblem(a); err != nil {
		t.Error(err)
	}
	if strings.Contains(string(a.body), "secret detail") || a.text("detail") != "" {
		t.Errorf("the answer tells of the inside: %s", a)
	}
	if log := w.logged.String(); !strings.Contains(log, "secret detail") || !strings.Contains(log, a.text("requestId")) {
		t.Error("the log does not hold the fault with the id of the request")
	}
	w.get("/livez").want(http.StatusOK)
}

func TestEveryProblemHasAPageThatExplainsIt(t *testing.T) {
	w := newWorld(t)
	for code := range httpapi.Titles() {
		page := string(w.get("/problems/" + code).want(http.StatusOK).body)
		if !strings.Contains(page, code) {
			t.Errorf("the page of %s does not name it", code)
		}
	}
	w.get("/problems/unheardOf").refused(http.StatusNotFound, "notFound")
}

func TestOneLogLinePerRequestAndNoSecretInIt(t *testing.T) {
	w := newWorld(t)
	token := w.token("nordlicht")
	before := strings.Count(w.logged.String(), `"msg":"request"`)
	w.post("/v1/passports", battery(example(t, "ev.json"), "CANARY1"), header("Authorization", "Bearer "+token), key("canary-key")).want(http.StatusCreated)
	w.post("/v1/enrolments", map[string]any{"organisation": "veloplus", "subject": "x", "secret": "pv_enrol_canary"}).want(http.StatusNotFound)
	log := w.logged.String()
	if lines := strings.Count(log, `"msg":"request"`) - before; lines != 2 {
		t.Errorf("%d log lines for 2 requests", lines)
	}
	for _, secret := range []string{token, "canary", "CANARY1"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %.40s", secret)
		}
	}
	for _, want := range []string{`"route":"/v1/passports"`, `"status":201`, `"requestId":"req_`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s", want)
		}
	}
}

func TestObserveIsToldTheRouteNeverTheAddress(t *testing.T) {
	var told []string
	w := newWorld(t, with(func(o *httpapi.Options) {
		o.Observe = func(method, route string, status int, _ time.Duration) {
			told = append(told, fmt.Sprint(method, " ", route, " ", status))
		}
	}))
	w.get("/v1/passports/" + unknown.passport)
	w.get("/nothing/here")
	want := []string{
		"GET /v1/passports/:id 404", "HEAD /v1/passports/:id 404", "GET unmatched 404", "HEAD unmatched 404",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
