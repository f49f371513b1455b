package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

func TestASmallMakerSendsOneDocumentAndGetsEverythingBack(t *testing.T) {
	w := newWorld(t)
	receipt := w.register("A1")
	id := receipt.text("passportId")
	for name, want := range map[string]string{
		"digitalLink": base + "/01/09506000134376/21/A1", "batteryId": base + "/01/09506000134376/21/A1",
	} {
		if got := receipt.text(name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if got, want := receipt.header.Get("Location"), base+"/v1/passports/"+id; got != want {
		t.Errorf("Location = %s, want %s", got, want)
	}
	var types []string
	for _, rec := range receipt.at("records").([]any) {
		types = append(types, dig(rec, "type").(string))
	}
	if diff := cmp.Diff([]string{"model", "batch", "passport"}, types); diff != "" {
		t.Errorf("records:\n%s", diff)
	}
	w.genuine(id)
	if verdict := w.verdict(receipt.text("token")); verdict != "genuine" {
		t.Errorf("the token of the receipt is %s", verdict)
	}
	for name, want := range map[string]string{"qrSvg": "image/svg+xml", "qrPng": "image/png", "passport": "application/json"} {
		link := strings.TrimPrefix(receipt.text("links", name), base)
		if got := w.get(link).want(http.StatusOK).header.Get("Content-Type"); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// genuine holds a passport to the registry's own check.
func (w *world) genuine(id string) {
	w.t.Helper()
	check := w.get("/v1/passports/" + id + "/verification").want(http.StatusOK)
	if check.text("verdict") != "genuine" {
		w.t.Fatalf("passport %s: %s", id, check)
	}
}

// verdict is what POST /v1/verify says of a token.
func (w *world) verdict(token string) string {
	w.t.Helper()
	return w.post("/v1/verify", map[string]any{"token": token}).want(http.StatusOK).text("verdict")
}

func TestEveryShippedExampleRegisters(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"ev.json", "lmt.json", "industrial.json", "stationary.json"} {
		receipt := w.post("/v1/passports", example(t, name), as("nordlicht")).want(http.StatusCreated)
		w.genuine(receipt.text("passportId"))
	}
}

func TestAnOEMRegistersModelAndBatchOnceAndThenItems(t *testing.T) {
	w := newWorld(t)
	doc := example(t, "ev.json")
	model := w.post("/v1/models", map[string]any{"model": doc["model"]}, as("nordlicht")).want(http.StatusCreated)
	modelID := recordOf(model, "model")["recordId"]
	if got, want := model.header.Get("Location"), base+"/v1/models/"+recordOf(model, "model")["id"].(string); got != want {
		t.Errorf("Location = %s, want %s", got, want)
	}
	batch := w.post("/v1/batches", map[string]any{
		"batch": doc["batch"], "model": map[string]any{"recordId": modelID},
	}, as("nordlicht")).want(http.StatusCreated)
	for i := range 3 {
		item := battery(example(t, "ev.json"), fmt.Sprintf("B%d", i))
		item["model"], item["batch"] = map[string]any{"recordId": modelID}, map[string]any{"recordId": recordOf(batch, "batch")["recordId"]}
		receipt := w.post("/v1/passports", item, as("nordlicht")).want(http.StatusCreated)
		if recordOf(receipt, "model")["reused"] != true || recordOf(receipt, "batch")["reused"] != true {
			t.Errorf("item %d wrote more than itself: %v", i, receipt.at("records"))
		}
		w.genuine(receipt.text("passportId"))
	}
	again := w.post("/v1/models", map[string]any{"model": doc["model"]}, as("nordlicht")).want(http.StatusOK)
	if again.at("unchanged") != true || recordOf(again, "model")["recordId"] != modelID {
		t.Errorf("the same model again: %s", again)
	}
	for _, path := range []string{
		"/v1/models/" + recordOf(model, "model")["id"].(string), "/v1/batches/" + recordOf(batch, "batch")["id"].(string),
	} {
		w.get(path).want(http.StatusOK)
		w.get(path+"?as=token&version=1", accept("image/png")).want(http.StatusOK)
		w.get(path + "?version=2").want(http.StatusNotFound)
	}
}

func TestAModelOfAnotherOrganisationMayBePinnedAndKeepsItsSigner(t *testing.T) {
	w := newWorld(t)
	first := w.register("A1")
	receipt := w.post("/v1/passports", pinned(t, first, "V1"), as("veloplus")).want(http.StatusCreated)
	view := w.get("/v1/passports/" + receipt.text("passportId")).want(http.StatusOK)
	if view.text("issuer", "organisation") != "veloplus" || view.text("records", "model", "issuer", "organisation") != "nordlicht" {
		t.Errorf("signers: %v and %v", view.at("issuer"), view.at("records", "model", "issuer"))
	}
	w.genuine(receipt.text("passportId"))
}

func TestADryRunHasTheSameGatesAsIssuingAndStoresNothing(t *testing.T) {
	w := newWorld(t)
	before := w.get("/readyz").want(http.StatusOK).at("pendingLeaves")
	good := battery(example(t, "ev.json"), "A1")
	dry := w.post("/v1/passports?dryRun=true", good, as("nordlicht")).want(http.StatusOK)
	if dry.at("dryRun") != true || dry.at("token") != nil || dry.at("passportId") != nil {
		t.Errorf("dry run answers %s", dry)
	}
	for _, c := range wrongDocuments {
		doc := battery(example(t, "ev.json"), "A2")
		c.spoil(doc)
		issue, check := w.post("/v1/passports", doc, as("nordlicht")), w.post("/v1/passports?dryRun=true", doc, as("nordlicht"))
		issue.want(http.StatusUnprocessableEntity)
		if diff := cmp.Diff(issue.at("errors"), check.at("errors")); diff != "" {
			t.Errorf("%s: -issuing +dry run:\n%s", c.name, diff)
		}
	}
	for path, body := range map[string]any{
		"/v1/models?dryRun=true": map[string]any{"model": good["model"]},
		"/v1/grants?dryRun=true": map[string]any{"organisation": "kreislauf", "points": []string{"point2"}, "validUntil": "2027-12-31T00:00:00Z"},
	} {
		w.post(path, body, as("nordlicht")).want(http.StatusOK)
	}
	if after := w.get("/readyz").at("pendingLeaves"); after != before {
		t.Errorf("pending leaves %v, before %v", after, before)
	}
	w.get("/01/09506000134376/21/A1").want(http.StatusNotFound)
	if grants := w.get("/v1/grants", as("nordlicht")).at("grants").([]any); len(grants) != 0 {
		t.Errorf("grants after a dry run: %v", grants)
	}
	receipt := w.post("/v1/passports", good, as("nordlicht")).want(http.StatusCreated)
	id := receipt.text("passportId")
	amended := map[string]any{"passport": good["passport"]}
	amended["passport"].(map[string]any)["placedOnMarketOn"] = "2027-03-16"
	w.post("/v1/passports/"+id+"/versions?dryRun=true", amended, as("nordlicht")).want(http.StatusOK)
	w.clock.pass(400 * 24 * time.Hour)
	w.post("/v1/passports/"+id+"/conditions?dryRun=true", example(t, "condition-ev.json"), as("nordlicht")).want(http.StatusOK)
	w.post("/v1/passports/"+id+"/release?dryRun=true", map[string]any{"to": "veloplus"}, as("nordlicht")).want(http.StatusOK)
	if latest := w.get("/v1/passports/" + id).at("latestVersion").(interface{ String() string }).String(); latest != "1" {
		t.Errorf("latest version after dry runs = %s", latest)
	}
	w.clock.pass(time.Minute)
	w.post("/v1/passports", succeeding(t, receipt), as("veloplus")).refused(http.StatusConflict, "battery.notReleased")
}

func TestTheSameBatteryTwiceLeadsToTheFirst(t *testing.T) {
	w := newWorld(t)
	first := w.register("A1")
	for _, org := range []passport.OrgID{"nordlicht", "veloplus"} {
		doc := pinned(t, first, "A1")
		again := w.post("/v1/passports", doc, as(org)).refused(http.StatusConflict, "battery.registered")
		if got, want := again.text("existing"), base+"/v1/passports/"+first.text("passportId"); got != want {
			t.Errorf("%s is led to %s, want %s", org, got, want)
		}
	}
}

func TestAnAmendmentIsTheNextVersionOfTheSamePassport(t *testing.T) {
	w := newWorld(t)
	first := w.register("A1")
	id := first.text("passportId")
	item := example(t, "ev.json")["passport"].(map[string]any)
	battery(map[string]any{"passport": item}, "A1")
	item["placedOnMarketOn"] = "2027-03-20"
	w.clock.pass(time.Hour)
	amend := w.post("/v1/passports/"+id+"/versions", map[string]any{"passport": item}, as("nordlicht")).want(http.StatusCreated)
	if recordOf(amend, "passport")["version"] != number("2") || amend.text("passportId") != id {
		t.Errorf("amended: %s", amend)
	}
	w.post("/v1/passports/"+id+"/versions", map[string]any{"passport": item}, as("nordlicht")).want(http.StatusOK)
	for version, want := range map[string]string{"?version=1": "2027-03-15", "?version=2": "2027-03-20", "": "2027-03-20"} {
		if got := w.get("/v1/passports/"+id+version).want(http.StatusOK).text("passport", "placedOnMarketOn"); got != want {
			t.Errorf("%q shows %s, want %s", version, got, want)
		}
	}
	w.get("/v1/passports/" + id + "?version=3").want(http.StatusNotFound)
	versions := w.get("/v1/passports/" + id + "/versions").want(http.StatusOK).at("versions").([]any)
	if len(versions) != 2 || dig(versions[0], "version") != number("1") || dig(versions[1], "version") != number("2") {
		t.Errorf("versions: %v", versions)
	}
	other := battery(map[string]any{"passport": item}, "A2")
	changed := w.post("/v1/passports/"+id+"/versions", other, as("nordlicht")).refused(http.StatusUnprocessableEntity, "record.invalid")
	if changed.violations()["/passport/batteryId"] != "batteryId.changed" {
		t.Errorf("another battery: %s", changed)
	}
	w.post("/v1/passports/"+id+"/versions", map[string]any{"passport": item}, as("veloplus")).refused(http.StatusNotFound, "notFound")
	w.post("/v1/passports/"+id+"/versions", map[string]any{"passport": item}, as("nordlicht", access.Auditor)).refused(http.StatusForbidden, "forbidden")
}

// number is a JSON number as answers hold it.
func number(s string) any { return jsonNumber(s) }

func TestReadingsAreChainedInTheOrderOfTheirTime(t *testing.T) {
	w := newWorld(t)
	id := w.register("A1").text("passportId")
	path := "/v1/passports/" + id + "/conditions"
	reading := func(at string) map[string]any {
		doc := example(t, "condition-ev.json")
		doc["condition"].(map[string]any)["recordedAt"] = at
		return doc
	}
	w.clock.pass(400 * 24 * time.Hour)
	first := w.post(path, reading("2027-03-20T04:00:00Z"), as("nordlicht")).want(http.StatusCreated)
	second := w.post(path, reading("2027-03-21T04:00:00Z"), as("nordlicht")).want(http.StatusCreated)
	if recordOf(second, "condition")["version"] != number("2") {
		t.Errorf("second reading: %v", recordOf(second, "condition"))
	}
	w.post(path, reading("2027-03-21T04:00:00Z"), as("nordlicht")).want(http.StatusOK)
	early := w.post(path, reading("2027-03-19T04:00:00Z"), as("nordlicht")).refused(http.StatusConflict, "condition.notNewest")
	if got, want := early.text("existing"), recordOf(second, "condition")["token"]; got != want {
		t.Errorf("led to %s, want %s", got, want)
	}
	for _, a := range []*answer{first, second} {
		if verdict := w.verdict(a.text("token")); verdict != "genuine" {
			t.Errorf("a reading is %s", verdict)
		}
	}
	public := w.get("/v1/passports/" + id).want(http.StatusOK)
	if public.at("condition") != nil {
		t.Error("the public sees point 4 data")
	}
	owner := w.get("/v1/passports/"+id, as("nordlicht"), purpose("service")).want(http.StatusOK)
	if owner.text("condition", "recordedAt") != "2027-03-21T04:00:00Z" {
		t.Errorf("the owner sees the reading %v", owner.at("condition"))
	}
	w.post(path, reading("2027-03-22T04:00:00Z"), as("veloplus")).refused(http.StatusNotFound, "notFound")
}

// succeeding is a document of another maker for the battery of a passport.
func succeeding(t *testing.T, first *answer) map[string]any {
	t.Helper()
	doc := pinned(t, first, "A1")
	item := doc["passport"].(map[string]any)
	item["predecessors"] = []any{map[string]any{"uri": base + "/v1/passports/" + first.text("passportId")}}
	return doc
}

func TestAnotherOrganisationSucceedsOnlyAfterARelease(t *testing.T) {
	w := newWorld(t)
	first := w.register("A1")
	id := first.text("passportId")
	doc := succeeding(t, first)
	refusal := w.post("/v1/passports", doc, as("veloplus")).refused(http.StatusConflict, "battery.notReleased")
	if refusal.text("existing") != base+"/v1/passports/"+id {
		t.Errorf("led to %s", refusal.text("existing"))
	}
	w.post("/v1/passports/"+id+"/release", map[string]any{"to": "veloplus"}, as("veloplus")).refused(http.StatusNotFound, "notFound")
	w.post("/v1/passports/"+id+"/release", map[string]any{"to": "nobody"}, as("nordlicht")).refused(http.StatusUnprocessableEntity, "record.invalid")
	w.post("/v1/passports/"+id+"/release", map[string]any{"to": "veloplus"}, as("nordlicht")).want(http.StatusCreated)
	second := w.post("/v1/passports", doc, as("veloplus")).want(http.StatusCreated)
	old := w.get("/v1/passports/" + id).want(http.StatusOK)
	if old.text("status", "state") != "superseded" || old.text("status", "successor") != base+"/v1/passports/"+second.text("passportId") {
		t.Errorf("the first is %v", old.at("status"))
	}
	w.genuine(second.text("passportId"))
	if got := w.get("/01/09506000134376/21/A1").want(http.StatusTemporaryRedirect).header.Get("Location"); got != base+"/p/"+second.text("passportId") {
		t.Errorf("the code leads to %s", got)
	}
	item := battery(map[string]any{"passport": example(t, "ev.json")["passport"]}, "A1")
	w.post("/v1/passports/"+id+"/versions", item, as("nordlicht")).refused(http.StatusConflict, "passport.superseded")
	w.clock.pass(500 * 24 * time.Hour)
	w.post("/v1/passports/"+id+"/conditions", example(t, "condition-ev.json"), as("nordlicht")).refused(http.StatusConflict, "passport.superseded")
}

func TestAnAuthorityReleasesABatteryItDoesNotOwn(t *testing.T) {
	w := newWorld(t)
	first := w.register("A1")
	w.post("/v1/passports/"+first.text("passportId")+"/release", map[string]any{"to": "veloplus"}, as("hafenzoll")).want(http.StatusCreated)
	w.post("/v1/passports", succeeding(t, first), as("veloplus")).want(http.StatusCreated)
}

func TestAGrantOpensWhatItNamesUntilItEnds(t *testing.T) {
	w := newWorld(t)
	one, two := w.register("A1").text("passportId"), w.register("A2").text("passportId")
	sees := func(id string) bool {
		a := w.get("/v1/passports/"+id, as("kreislauf"), purpose("dismantling")).want(http.StatusOK)
		return len(a.at("withheld").([]any)) < withheldFromAll(w, id)
	}
	if sees(one) {
		t.Fatal("sees restricted data without a grant")
	}
	give := func(until string, scope any, points ...string) *answer {
		body := map[string]any{"organisation": "kreislauf", "points": points, "validUntil": until}
		if scope != nil {
			body["scope"] = scope
		}
		return w.post("/v1/grants", body, as("nordlicht")).want(http.StatusCreated)
	}
	grant := give("2027-06-01T00:00:00Z", map[string]any{"passport": one}, "point2", "point4")
	if !sees(one) || sees(two) {
		t.Errorf("a grant for one passport: sees it %v, another %v", sees(one), sees(two))
	}
	for _, org := range []passport.OrgID{"nordlicht", "kreislauf"} {
		grants := w.get("/v1/grants", as(org)).want(http.StatusOK).at("grants").([]any)
		if len(grants) != 1 || dig(grants[0], "id") != grant.at("id") {
			t.Errorf("%s sees the grants %v", org, grants)
		}
	}
	path := "/v1/grants/" + grant.text("id")
	w.do(http.MethodDelete, path, as("veloplus")).refused(http.StatusNotFound, "notFound")
	w.do(http.MethodDelete, path, as("kreislauf")).refused(http.StatusNotFound, "notFound")
	w.do(http.MethodDelete, path, as("nordlicht")).want(http.StatusNoContent)
	w.do(http.MethodDelete, path, as("nordlicht")).want(http.StatusNoContent)
	if sees(one) {
		t.Error("sees restricted data after the grant was revoked")
	}
	give("2027-04-02T00:00:00Z", nil, "point2")
	if !sees(one) || !sees(two) {
		t.Error("a grant without scope does not cover every passport")
	}
	w.clock.pass(48 * time.Hour)
	if sees(one) {
		t.Error("sees restricted data after the grant ended")
	}
}

// withheldFromAll is how many attributes the public does not see.
func withheldFromAll(w *world, id string) int {
	return len(w.get("/v1/passports/" + id).at("withheld").([]any))
}

func TestTheOwnerSeesWhoReadWhatAndWhy(t *testing.T) {
	w := newWorld(t)
	receipt := w.register("A1")
	id, model := receipt.text("passportId"), recordOf(receipt, "model")["id"].(string)
	w.get("/v1/passports/"+id, as("hafenzoll")).refused(http.StatusBadRequest, "purpose.required")
	if reads := w.get("/v1/reads", as("nordlicht")).want(http.StatusOK).at("reads").([]any); len(reads) != 0 {
		t.Fatalf("reads before anybody read: %v", reads)
	}
	w.get("/v1/passports/"+id, as("hafenzoll"), purpose("import check 4711")).want(http.StatusOK)
	reads := w.get("/v1/reads", as("nordlicht")).want(http.StatusOK).at("reads").([]any)
	var attributes []string
	for _, r := range reads {
		for name, want := range map[string]string{"reader": "hafenzoll", "person": "clerk", "purpose": "import check 4711"} {
			if dig(r, name) != want {
				t.Errorf("%s = %v, want %s", name, dig(r, name), want)
			}
		}
		for _, a := range dig(r, "attributes").([]any) {
			attributes = append(attributes, a.(string))
		}
	}
	cat, _ := rules()
	for _, name := range attributes {
		if a, ok := cat.Attribute(name); !ok || !slices.Contains([]passport.Tier{"point2", "point3", "origin"}, a.Tier) {
			t.Errorf("an authority was shown %s of tier %s", name, a.Tier)
		}
	}
	if len(attributes) == 0 {
		t.Error("the log names no attribute")
	}
	w.get("/v1/models/"+model+"?as=token", as("hafenzoll"), purpose("again, as a token")).want(http.StatusOK)
	if now := w.get("/v1/reads?limit=1", as("nordlicht")).at("reads").([]any); len(now) != 1 || dig(now[0], "purpose") != "again, as a token" {
		t.Errorf("the newest read is %v", now)
	}
	w.get("/v1/reads", as("hafenzoll")).refused(http.StatusForbidden, "forbidden")
	if foreign := w.get("/v1/reads", as("veloplus")).want(http.StatusOK).at("reads").([]any); len(foreign) != 0 {
		t.Errorf("another maker sees the reads %v", foreign)
	}
}

func TestASuspendedPassportSaysSoAtOnce(t *testing.T) {
	w := newWorld(t)
	receipt := w.register("A1")
	id := receipt.text("passportId")
	before := w.get("/v1/passports/" + id).want(http.StatusOK)
	pid, err := passport.ParseID(id)
	w.must(err)
	_, err = w.SetState(t.Context(), operator, pid, registry.Suspended, "dataDisputed")
	w.must(err)
	after := w.get("/v1/passports/"+id, header("If-None-Match", before.header.Get("Etag"))).want(http.StatusOK)
	if after.text("status", "state") != "suspended" || after.text("status", "reason") != "dataDisputed" {
		t.Errorf("status = %v", after.at("status"))
	}
	if verdict := w.verdict(receipt.text("token")); verdict != "suspended" {
		t.Errorf("the token is %s", verdict)
	}
	_, err = w.SetState(t.Context(), operator, pid, registry.Active, "resolved")
	w.must(err)
	w.genuine(id)
}

func TestTheFirstAdministratorRedeemsTheSecretOnce(t *testing.T) {
	w := newWorld(t)
	w.admit("neuland", access.Issuer)
	body := map[string]any{"organisation": "neuland", "subject": "Änne 电池", "secret": w.secrets["neuland"]}
	enrolled := w.post("/v1/enrolments", body).want(http.StatusCreated)
	token := "Bearer " + enrolled.text("accessToken")
	w.post("/v1/passports", battery(example(t, "ev.json"), "N1"), header("Authorization", token)).want(http.StatusCreated)
	w.post("/v1/enrolments", body).refused(http.StatusNotFound, "enrolment.notFound")
	for _, unknown := range []map[string]any{
		{"organisation": "nobody", "subject": "x", "secret": w.secrets["veloplus"]},
		{"organisation": "veloplus", "subject": "x", "secret": w.secrets["kreislauf"]},
		{"organisation": "veloplus", "subject": "x", "secret": "pv_enrol_wrong"},
	} {
		w.post("/v1/enrolments", unknown).refused(http.StatusNotFound, "enrolment.notFound")
	}
	w.clock.pass(registry.EnrolmentLife + time.Second)
	late := map[string]any{"organisation": "veloplus", "subject": "x", "secret": w.secrets["veloplus"]}
	w.post("/v1/enrolments", late).refused(http.StatusNotFound, "enrolment.notFound")
}

func TestSignedInAtTheirOwnProviderAnAdministratorIsBoundByThatIdentity(t *testing.T) {
	const provider = "https://id.veloplus.example"
	w := newWorld(t, with(func(o *httpapi.Options) {
		o.Providers = map[passport.OrgID]string{"veloplus": provider}
	}))
	body := map[string]any{"organisation": "veloplus", "subject": "whoever", "secret": w.secrets["veloplus"]}
	w.post("/v1/enrolments", body, as("nordlicht")).refused(http.StatusNotFound, "enrolment.notFound")
	enrolled := w.post("/v1/enrolments", body, as("veloplus")).want(http.StatusCreated)
	if enrolled.at("accessToken") != nil {
		t.Error("a person of another provider got a token of ours")
	}
	roles, err := w.MemberRoles(t.Context(), "veloplus", provider, enrolled.text("subject"))
	w.must(err)
	if !slices.Contains(roles, access.Issuer) {
		t.Errorf("roles of %s at %s = %v", enrolled.text("subject"), provider, roles)
	}
}

func TestARevokedOrCeasedPassportCannotChange(t *testing.T) {
	for _, state := range []registry.State{registry.Revoked, registry.Ceased} {
		w := newWorld(t)
		receipt := w.register("A1")
		id := receipt.text("passportId")
		series, err := passport.ParseID(id)
		w.must(err)
		rec, err := w.store.Record(t.Context(), registry.Query{Type: passport.Item, Series: series})
		w.must(err)
		change := registry.StatusChange{Series: series, Slot: rec.Slot, From: registry.Active, To: state, Reason: "test", Actor: passport.Operator, At: start}
		_, err = w.store.Commit(t.Context(), registry.Change{Tenant: "nordlicht", At: start, Status: &change})
		w.must(err)
		w.clock.pass(500 * 24 * time.Hour)
		item := battery(map[string]any{"passport": example(t, "ev.json")["passport"]}, "A1")
		w.post("/v1/passports/"+id+"/versions", item, as("nordlicht")).refused(http.StatusConflict, "passport."+string(state))
		w.post("/v1/passports/"+id+"/conditions", example(t, "condition-ev.json"), as("nordlicht")).refused(http.StatusConflict, "passport."+string(state))
		if got := w.get("/v1/passports/"+id).text("status", "state"); got != string(state) {
			t.Errorf("state = %s, want %s", got, state)
		}
		if verdict := w.verdict(receipt.text("token")); (verdict == "revoked") != (state == registry.Revoked) {
			t.Errorf("a %s passport is %s", state, verdict)
		}
	}
}

func TestASuspendedPassportHasNoSuccessor(t *testing.T) {
	w := newWorld(t)
	first := w.register("A1")
	id, err := passport.ParseID(first.text("passportId"))
	w.must(err)
	w.post("/v1/passports/"+id.String()+"/release", map[string]any{"to": "veloplus"}, as("nordlicht")).want(http.StatusCreated)
	_, err = w.SetState(t.Context(), operator, id, registry.Suspended, "cloneSuspected")
	w.must(err)
	w.post("/v1/passports", succeeding(t, first), as("veloplus")).refused(http.StatusConflict, "passport.suspended")
	_, err = w.SetState(t.Context(), operator, id, registry.Active, "resolved")
	w.must(err)
	w.post("/v1/passports", succeeding(t, first), as("veloplus")).want(http.StatusCreated)
}

func TestNobodySignsBeforeTheirKeyIsInUse(t *testing.T) {
	w := newWorld(t)
	w.clock.pass(-24 * time.Hour) // a clock that was set back
	w.post("/v1/passports", example(t, "ev.json"), as("nordlicht")).refused(http.StatusConflict, "organisation.noKey")
}
