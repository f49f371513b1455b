package httpapi_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

func TestWhoHoldsTheCurrentCopyGets304(t *testing.T) {
	w := newWorld(t)
	for _, o := range operations(t, w.furnished()) {
		if !documents(o, http.StatusNotModified) || o.route == "/8004/{path}" {
			continue
		}
		if o.route == "/01/{path}" {
			o.path += "?linkType=linkset"
		}
		tag := w.do(o.method, o.path, o.parts(t)...).want(http.StatusOK).header.Get("Etag")
		for _, held := range []string{tag, "*", "W/" + strings.TrimPrefix(tag, "W/"), `"other", ` + tag, `"a","b" ,` + tag + " "} {
			a := w.do(o.method, o.path, o.parts(t, header("If-None-Match", held))...).want(http.StatusNotModified)
			if a.header.Get("Etag") != tag || len(a.body) > 0 {
				t.Errorf("%s: 304 with tag %s and %d bytes", o.name(), a.header.Get("Etag"), len(a.body))
			}
		}
		for _, held := range []string{`"other"`, strings.Trim(tag, `W/"`), `"` + strings.Trim(tag, `W/"`) + `x"`, "", `""`, "W/*"} {
			w.do(o.method, o.path, o.parts(t, header("If-None-Match", held))...).want(http.StatusOK)
		}
	}
}

func TestTagsDifferByVersionPresentationAndState(t *testing.T) {
	w := newWorld(t)
	receipt := w.exposed()
	path := "/v1/passports/" + receipt.text("passportId")
	seen := map[string]string{}
	note := func(what string, a *answer) {
		t.Helper()
		tag := a.want(http.StatusOK).header.Get("Etag")
		if before, ok := seen[tag]; ok {
			t.Errorf("%s and %s share the tag %s", before, what, tag)
		}
		seen[tag] = what
	}
	note("public JSON", w.get(path))
	note("public token", w.get(path+"?as=token"))
	note("authority's JSON", w.get(path, as("hafenzoll"), purpose("x")))
	note("dismantler's JSON", w.get(path, as("kreislauf"), purpose("x")))
	note("owner's token", w.get(path+"?as=token", as("nordlicht"), purpose("x")))
	id, err := passport.ParseID(receipt.text("passportId"))
	w.must(err)
	_, err = w.SetState(t.Context(), operator, id, registry.Suspended, "dataDisputed")
	w.must(err)
	note("public JSON when suspended", w.get(path))
}

func TestWhatWasShownToACallerIsNotKept(t *testing.T) {
	w := newWorld(t)
	receipt := w.exposed()
	for _, path := range []string{
		"/v1/passports/" + receipt.text("passportId"), "/v1/passports/" + receipt.text("passportId") + "?as=token",
		"/v1/models/" + recordOf(receipt, "model")["id"].(string), "/v1/models/" + recordOf(receipt, "model")["id"].(string) + "?as=token",
	} {
		public, own := w.get(path), w.get(path, as("nordlicht"), purpose("x"))
		if got := public.header.Get("Cache-Control"); !strings.HasPrefix(got, "public, max-age=") {
			t.Errorf("%s: Cache-Control %q for the public", path, got)
		}
		if got := own.header.Get("Cache-Control"); got != "private, no-store" {
			t.Errorf("%s: Cache-Control %q for a caller", path, got)
		}
		for _, a := range []*answer{public, own} {
			if got := a.header.Get("Vary"); got != "Accept, Authorization, Purpose" {
				t.Errorf("%s: Vary %q", path, got)
			}
		}
	}
	record := w.get("/v1/records/" + recordOf(receipt, "model")["recordId"].(string) + ".sd-jwt").want(http.StatusOK)
	if got := record.header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("a record version: Cache-Control %q", got)
	}
	digest := strings.TrimPrefix(recordOf(receipt, "model")["digestSRI"].(string), "sha256-")
	if got := record.header.Get("Content-Digest"); got != "sha-256=:"+digest+":" {
		t.Errorf("Content-Digest = %s, the receipt says %s", got, digest)
	}
	if got := w.get("/v1/passports/" + unknown.passport).header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a problem: Cache-Control %q", got)
	}
}

func TestAcceptDecidesTheRepresentation(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	const json, token, page = "application/json", "application/vc+sd-jwt", "303"
	browser := "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	for _, c := range []struct{ path, accept, want string }{
		{"/v1/passports/" + f.passport, "", json},
		{"/v1/passports/" + f.passport, "*/*", json},
		{"/v1/passports/" + f.passport, "application/*", json},
		{"/v1/passports/" + f.passport, "application/json", json},
		{"/v1/passports/" + f.passport, "APPLICATION/JSON ; charset=utf-8", json},
		{"/v1/passports/" + f.passport, token, token},
		{"/v1/passports/" + f.passport, "application/json;q=0.5, application/vc+sd-jwt;q=0.6", token},
		{"/v1/passports/" + f.passport, "application/vc+sd-jwt;q=0.5, */*;q=0.1", token},
		{"/v1/passports/" + f.passport, "application/json;q=0, */*;q=0.1", token},
		{"/v1/passports/" + f.passport, "application/vc+sd-jwt, application/json", json},
		{"/v1/passports/" + f.passport, browser, page},
		{"/v1/passports/" + f.passport, "text/*", page},
		{"/v1/passports/" + f.passport, "text/html;q=0.1, application/json;q=0.2", json},
		{"/v1/passports/" + f.passport, "image/png", "406"},
		{"/v1/passports/" + f.passport, "application/json;q=0", "406"},
		{"/v1/passports/" + f.passport, "application/json;q=nan", "406"},
		{"/v1/passports/" + f.passport, "application/json;q=1.001", "406"},
		{"/v1/passports/" + f.passport, "application/json;q=0.0001", "406"},
		{"/v1/passports/" + f.passport, "application/json;q=-1", "406"},
		{"/v1/passports/" + f.passport, ",;,=;q", "406"},
		{"/v1/models/" + f.model, browser, json},
		{"/v1/models/" + f.model, token, token},
		{"/v1/models/" + f.model, "text/html", "406"},
		{"/v1/batches/" + f.batch, token, token},
		{"/v1/batches/" + f.batch, "text/html", "406"},
		{"/v1/trust", "", json},
		{"/v1/trust", "application/jwt", "application/jwt"},
		{"/v1/trust", "application/xml", "406"},
		{"/status/revocation/0", "", json},
		{"/status/suspension/0", "application/vc", "application/vc"},
		{"/status/revocation/0", "application/vc+jwt", "application/vc+jwt"},
		{"/status/tokens/0", "*/*", "application/statuslist+jwt"},
		{"/status/tokens/0", "application/json", "406"},
	} {
		a := w.get(c.path, accept(c.accept))
		got := a.header.Get("Content-Type")
		if a.status != http.StatusOK {
			got = fmt.Sprint(a.status)
		}
		if got != c.want {
			t.Errorf("%s, Accept %q: %s, want %s", c.path, c.accept, got, c.want)
		}
		if a.header.Get("Vary") == "" {
			t.Errorf("%s, Accept %q: no Vary", c.path, c.accept)
		}
	}
	page303 := w.get("/v1/passports/"+f.passport+"?version=1&x=%22%3E", accept(browser)).want(http.StatusSeeOther)
	if got, want := page303.header.Get("Location"), base+"/p/"+f.passport+"?version=1&x=%22%3E"; got != want {
		t.Errorf("a browser is sent to %s, want %s", got, want)
	}
	for as, want := range map[string]string{"json": json, "token": token} {
		if got := w.get("/v1/passports/"+f.passport+"?as="+as, accept(browser)).want(http.StatusOK).header.Get("Content-Type"); got != want {
			t.Errorf("?as=%s is %s", as, got)
		}
	}
}

func TestPagesOfAListShowEverythingOnceAndNothingOfOthers(t *testing.T) {
	w := newWorld(t)
	first := w.register("C00")
	want := []string{"C00"}
	for i := 1; i < 12; i++ {
		serial := fmt.Sprintf("C%02d", i)
		w.clock.pass(time.Millisecond)
		receipt := w.post("/v1/passports", pinned(t, first, serial), as("nordlicht")).want(http.StatusCreated)
		if want = append(want, serial); i%3 == 0 { // more versions, to be listed once
			item := pinned(t, first, serial)["passport"].(map[string]any)
			item["placedOnMarketOn"] = "2027-03-17"
			w.post("/v1/passports/"+receipt.text("passportId")+"/versions", map[string]any{"passport": item}, as("nordlicht")).want(http.StatusCreated)
		}
	}
	w.post("/v1/passports", pinned(t, first, "FOREIGN"), as("veloplus")).want(http.StatusCreated)
	for _, limit := range []int{1, 5, 6, 12, 200} {
		var got []string
		next := fmt.Sprintf("/v1/passports?limit=%d", limit)
		for pages := 0; next != ""; pages++ {
			page := w.get(next, as("nordlicht")).want(http.StatusOK)
			list := page.at("passports").([]any)
			if len(list) > limit || pages > len(want) {
				t.Fatalf("%s: %d entries on page %d", next, len(list), pages)
			}
			for _, p := range list {
				got = append(got, dig(p, "serialNumber").(string))
				if serial := dig(p, "serialNumber"); (serial == "C03") != (dig(p, "version") == number("2")) && slices.Contains([]any{"C03", "C04"}, serial) {
					t.Errorf("%s is listed in version %v", serial, dig(p, "version"))
				}
			}
			next = ""
			if cursor := page.text("nextCursor"); cursor != "" {
				next = fmt.Sprintf("/v1/passports?limit=%d&cursor=%s", limit, cursor)
				if link := page.header.Get("Link"); link != "<"+base+next+`>; rel="next"` {
					t.Errorf("Link = %s", link)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d: -want +got:\n%s", limit, diff)
		}
	}
}

func TestAnotherOriginMayAskEverything(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	for _, o := range operations(t, f) {
		a := w.do(http.MethodOptions, o.path, header("Origin", "https://shop.example"), header("Access-Control-Request-Method", o.method)).want(http.StatusNoContent)
		for _, name := range []string{"Allow", "Access-Control-Allow-Methods"} {
			for _, method := range []string{o.method, http.MethodOptions} {
				if !slices.Contains(strings.Split(a.header.Get(name), ", "), method) {
					t.Errorf("OPTIONS %s: %s is %q", o.route, name, a.header.Get(name))
				}
			}
		}
		for _, name := range []string{"Authorization", "Purpose", "Idempotency-Key", "If-None-Match", "Content-Type", "Accept"} {
			if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("OPTIONS %s does not allow %s", o.route, name)
			}
		}
	}
	if got := w.do(http.MethodOptions, "/01/09506000134376").header.Get("Allow"); got != "GET, HEAD, OPTIONS" {
		t.Errorf("a resolver's address allows %q", got)
	}
	exposed := w.get("/v1/trust").header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"ETag", "Link", "Location", "Request-Id", "RateLimit", "Retry-After", "Idempotent-Replayed"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%s is not exposed", name)
		}
	}
	w.do(http.MethodOptions, "/nothing/here").refused(http.StatusNotFound, "notFound")
}

func TestOtherMethodsAndAddressesAreProblemsToo(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	for _, o := range operations(t, f) {
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodTrace, "BREW"} {
			a := w.do(method, o.path).refused(http.StatusMethodNotAllowed, "method.notAllowed")
			if !strings.Contains(a.header.Get("Allow"), o.method) {
				t.Errorf("%s %s: Allow %q", method, o.path, a.header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{
		"/v1", "/v1/", "/v2/passports", "/v1/passports/", "/v1/passports/" + f.passport + "/", "/v1//passports", "/V1/passports", "/docs/",
		"/contexts/provolt", "/schemas/1.0.0", "/status/revocation", "/01", "/8004", "/.well-known/", "/.git/config", "/admin",
		"/v1/passports/" + f.passport + "/bundle", "/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%00",
	} {
		w.get(path).refused(http.StatusNotFound, "notFound")
	}
	for _, path := range []string{
		"/contexts/provolt/v2", "/contexts/..%2f1.0.0/model", "/contexts/provolt/v1%2f..", "/schemas/1.0.0/none.schema.json",
		"/schemas/catalogue/1.0.0.json", "/schemas/..%2fexamples/ev.schema.json", "/schemas/examples/ev.json", "/schemas/1.0.0/.schema.json",
		"/status/revocation/x", "/status/revocation/-1", "/status/revocation/01", "/status/revocation/1048577", "/status/other/0",
		"/status/revocation/99999999999999999999", "/o/nobody/did.json", "/v1/organisations/nobody", "/v1/records/" + f.record,
		"/v1/records/" + f.record + ".jwt",
	} {
		w.get(path).refused(http.StatusNotFound, "notFound")
	}
	for _, path := range []string{
		"/v1/passports/" + unknown.passport, "/v1/passports/" + unknown.passport + "/versions", "/v1/passports/" + unknown.passport + "/verification",
		"/v1/passports/" + unknown.passport + "/qr.svg", "/v1/passports/" + unknown.passport + "/qr.png", "/v1/models/" + f.batch,
		"/v1/batches/" + f.model, "/v1/records/" + unknown.record + ".sd-jwt",
	} {
		w.get(path).refused(http.StatusNotFound, "notFound")
	}
	w.get("/v1/passports/urn:uuid:" + f.passport).want(http.StatusOK)
	for _, path := range []string{"/contexts/provolt/v1", "/contexts/linkset/v1"} {
		if got := w.get(path).want(http.StatusOK).header.Get("Content-Type"); got != "application/ld+json" {
			t.Errorf("%s is %s", path, got)
		}
	}
}

func TestABrowserGetsAPageOutsideTheAPI(t *testing.T) {
	w := newWorld(t, with(func(o *httpapi.Options) {
		o.Page = func(c *gin.Context, status int, code string) {
			c.Header("Content-Type", "text/html; charset=utf-8")
			c.Status(status)
			c.Writer.WriteHeaderNow()
			if c.Request.Method != http.MethodHead {
				_, _ = c.Writer.WriteString("<h1>" + code + "</h1>")
			}
		}
	}))
	browser := accept("text/html,*/*;q=0.8")
	for path, want := range map[string]string{
		"/01/09506000134377": "digitalLink.malformed", "/01/00000000000017": "notFound", "/nothing": "notFound",
		"/contexts/provolt/v9": "notFound", "/problems/none": "notFound",
	} {
		a := w.get(path, browser)
		if a.header.Get("Content-Type") != "text/html; charset=utf-8" || string(a.body) != "<h1>"+want+"</h1>" {
			t.Errorf("%s: %s %s", path, a.header.Get("Content-Type"), a)
		}
		w.get(path, accept("application/json")).refused(a.status, want)
	}
	w.get("/v1/models/"+unknown.model, browser).refused(http.StatusNotFound, "notFound")
	w.get("/v1/passports/"+unknown.passport, browser).want(http.StatusSeeOther) // the page says it
}

func limited(l httpapi.Limits, proxies ...netip.Prefix) furnish {
	return with(func(o *httpapi.Options) { o.Limits, o.TrustedProxies = l, proxies })
}

func TestABucketEmptiesAndFillsAgain(t *testing.T) {
	w := newWorld(t, limited(httpapi.Limits{LookUps: 2, LookUpsBurst: 3, Requests: 1, RequestsBurst: 2}))
	for left := 2; left >= 0; left-- {
		a := w.get("/v1/trust").want(http.StatusOK)
		if got, want := a.header.Get("RateLimit"), fmt.Sprintf(`"lookups";r=%d;t=%d`, left, (4-left)/2); got != want {
			t.Errorf("RateLimit = %s, want %s", got, want)
		}
		if got := a.header.Get("RateLimit-Policy"); got != `"lookups";q=3;w=2` {
			t.Errorf("RateLimit-Policy = %s", got)
		}
	}
	w.get("/v1/trust").refused(http.StatusTooManyRequests, "rate.limited")
	w.get("/livez").want(http.StatusOK)
	w.get("/readyz").want(http.StatusOK)
	w.clock.pass(500 * time.Millisecond)
	w.get("/v1/trust").want(http.StatusOK)
	w.get("/v1/trust").want(http.StatusTooManyRequests)
	w.get("/v1/trust", from("192.0.2.2:1")).want(http.StatusOK)

	// An organisation has its own bucket, wherever its people are.
	w.get("/v1/trust", as("nordlicht")).want(http.StatusOK)
	w.get("/v1/trust", as("nordlicht"), from("192.0.2.3:1")).want(http.StatusOK)
	a := w.get("/v1/trust", as("nordlicht"), from("192.0.2.4:1")).refused(http.StatusTooManyRequests, "rate.limited")
	if got := a.header.Get("RateLimit"); !strings.HasPrefix(got, `"requests";r=0`) {
		t.Errorf("RateLimit = %s", got)
	}
	w.get("/v1/trust", as("veloplus")).want(http.StatusOK)
}

func TestAForgedHeaderBuysNoBucket(t *testing.T) {
	one := httpapi.Limits{LookUps: 1, LookUpsBurst: 1, Requests: 1, RequestsBurst: 1}
	w := newWorld(t, limited(one))
	w.get("/docs.css").want(http.StatusOK)
	for i, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Cf-Connecting-Ip", "True-Client-Ip", "X-Appengine-Remote-Addr"} {
		w.get("/docs.css", header(name, fmt.Sprintf("198.51.100.%d", i))).refused(http.StatusTooManyRequests, "rate.limited")
	}
	for _, token := range []string{"Bearer rubbish", "Bearer a.b.c"} { // a refused token counts as nobody's request
		w.get("/v1/trust", header("Authorization", token)).refused(http.StatusTooManyRequests, "rate.limited")
		w.get("/docs.css", header("Authorization", token)).refused(http.StatusTooManyRequests, "rate.limited")
		w.get("/v1/nothing", header("Authorization", token)).refused(http.StatusTooManyRequests, "rate.limited")
	}
	w.get("/docs.css", from("[2001:db8:1:2::1]:1")).want(http.StatusOK)
	w.get("/docs.css", from("[2001:db8:1:2:ffff::9]:1")).want(http.StatusTooManyRequests)
	w.get("/docs.css", from("[2001:db8:1:3::1]:1")).want(http.StatusOK)

	behind := newWorld(t, limited(one, netip.MustParsePrefix("192.0.2.0/24")))
	behind.get("/docs.css", header("X-Forwarded-For", "198.51.100.1")).want(http.StatusOK)
	behind.get("/docs.css", header("X-Forwarded-For", "198.51.100.2")).want(http.StatusOK)
	behind.get("/docs.css", header("X-Forwarded-For", "203.0.113.7, 198.51.100.2")).want(http.StatusTooManyRequests)
	behind.get("/docs.css", from("203.0.113.9:1"), header("X-Forwarded-For", "198.51.100.3")).want(http.StatusOK)
	behind.get("/docs.css", from("203.0.113.9:1"), header("X-Forwarded-For", "198.51.100.4")).want(http.StatusTooManyRequests)
}

func TestDefaultLimitsLetAPersonWork(t *testing.T) {
	l := httpapi.DefaultLimits()
	if l.LookUps < 5 || l.LookUpsBurst < 20 || l.Requests < l.LookUps || l.RequestsBurst < l.LookUpsBurst {
		t.Errorf("limits: %+v", l)
	}
}
