package httpapi_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tests of this file follow the conformance statements of the
// GS1-Conformant Resolver standard 1.2.0, in its order.

const (
	gtin    = "/01/09506000134376"
	item    = gtin + "/21/A1"
	lotItem = gtin + "/10/NL2-2027W09/21/A1"
	lot     = gtin + "/10/NL2-2027W09"
	missing = gtin + "/21/NOBODY"
	voc     = "https://ref.gs1.org/voc/"
	chrome  = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// resolving is a world with one battery of the example model, and one that is
// named by a GIAI.
func resolving(t *testing.T) (w *world, passport, model, batch string) {
	t.Helper()
	w = newWorld(t)
	receipt := w.register("A1")
	id := func(kind string) string { return recordOf(receipt, kind)["id"].(string) }
	return w, base + "/v1/passports/" + id("passport"), base + "/v1/models/" + id("model"), base + "/v1/batches/" + id("batch")
}

// leads holds a link to where it redirects.
func (w *world) leads(path, want string, parts ...part) {
	w.t.Helper()
	if got := w.get(path, parts...).want(http.StatusTemporaryRedirect).header.Get("Location"); got != want {
		w.t.Errorf("%s leads to %s, want %s", path, got, want)
	}
}

func TestAMalformedLinkIs400WithTheReason(t *testing.T) {
	w, _, _, _ := resolving(t)
	for path, reason := range map[string]string{
		"/01/09506000134377":                             "checkDigit",
		"/01/9506000134376":                              "14 digits",
		"/01/036000291452":                               "14 digits",
		"/01/12345670":                                   "14 digits",
		"/01/0950600013437A":                             "gtin",
		"/01/":                                           "value",
		"/01//21/A1":                                     "gtin",
		"/01/09506000134376/21/":                         "value",
		"/01/09506000134376//21/A1":                      "qualifier",
		"/01/09506000134376/21/A1/10/B":                  "order",
		"/01/09506000134376/10/B/22/V":                   "order",
		"/01/09506000134376/21/A1/21/A2":                 "once",
		"/01/09506000134376/99/X":                        "qualifier",
		"/01/09506000134376/235/X":                       "qualifier",
		"/01/09506000134376/21/123456789012345678901":    "20 characters",
		"/01/09506000134376/21/A%20B":                    "characters",
		"/01/09506000134376/21/%F0%9F%94%8B":             "characters",
		"/01/09506000134376/21/%00":                      "control",
		"/01/09506000134376/21/..":                       "",
		"/01/x/01/09506000134376":                        "",
		"/01/2026/01/09506000134376/21/A1":               "",
		"/01/09506000134376/8004/9506000":                "qualifier",
		"/8004/95":                                       "prefix",
		"/8004/ABCDE":                                    "prefix",
		"/8004/9506000134376ABCDEFGHIJKLMNOPQRSTUVWXYZ1": "30 characters",
		"/8004/9506000/21/A1":                            "nothing after",
		"/8004/":                                         "value",
	} {
		a := w.get(path).refused(http.StatusBadRequest, "digitalLink.malformed")
		if !strings.Contains(a.text("detail"), reason) {
			t.Errorf("%s: detail %q does not speak of %q", path, a.text("detail"), reason)
		}
	}
}

func TestALinkLeadsToItsDefaultLink(t *testing.T) {
	w, passport, _, _ := resolving(t)
	page := strings.Replace(passport, "/v1/passports/", "/p/", 1)
	for _, accepted := range []string{"", "*/*", chrome, "image/png", "application/xml", "text/*"} {
		w.leads(item, page, accept(accepted))
		w.leads(lotItem, page, accept(accepted))
		w.leads(gtin, base+"/look-up?gtin=09506000134376", accept(accepted))
		w.leads(lot, base+"/look-up?gtin=09506000134376", accept(accepted))
		w.leads(missing, base+"/not-registered"+missing, accept(accepted))
	}
	w.leads(item+"/", page)
	w.leads(gtin+"/", base+"/look-up?gtin=09506000134376")
	w.leads(gtin+"/22/V1/21/A1", page)
	w.leads(gtin+"/10/UNKNOWN", base+"/look-up?gtin=09506000134376")
	w.leads(strings.Replace(item, "A1", "%41%31", 1), page)
	w.leads(item, page, header("Accept-Language", "de, en;q=0.5"))
	w.leads(item, page, header("Accept-Language", "tlh, *;q=0.1, ;;"))
	w.get("/01/00012345600012").refused(http.StatusNotFound, "notFound")
	w.get("/01/00012345600012/21/A1").refused(http.StatusNotFound, "notFound")
	w.get("/01/00012345600012?linkType=linkset").refused(http.StatusNotFound, "notFound")
	w.get("/8004/9506000UNKNOWN").refused(http.StatusNotFound, "notFound")
}

func TestAnAssetIsFoundByItsGIAI(t *testing.T) {
	w := newWorld(t)
	doc := example(t, "stationary.json")
	doc["passport"].(map[string]any)["batteryId"] = base + "/8004/9506000ASSET%2F7"
	receipt := w.post("/v1/passports", doc, as("nordlicht")).want(http.StatusCreated)
	if got := receipt.text("digitalLink"); got != base+"/8004/9506000ASSET%2F7" {
		t.Errorf("digital link = %s", got)
	}
	w.leads("/8004/9506000ASSET%2F7", base+"/p/"+receipt.text("passportId"))
	w.leads("/8004/9506000ASSET%2f7/", base+"/p/"+receipt.text("passportId"))
	w.get("/8004/9506000ASSET%2F7?linkType=gs1:none").refused(http.StatusNotFound, "linkType.notFound")
	set := w.get("/8004/9506000ASSET%2F7?linkType=linkset").want(http.StatusOK)
	tag := set.header.Get("Etag")
	w.get("/8004/9506000ASSET%2F7?linkType=linkset", header("If-None-Match", tag)).want(http.StatusNotModified)
	if levels := set.at("linkset").([]any); len(levels) != 1 {
		t.Errorf("an asset has %d levels", len(levels))
	}
}

func TestTheQueryIsPassedOn(t *testing.T) {
	w, passport, model, _ := resolving(t)
	page := strings.Replace(passport, "/v1/passports/", "/p/", 1)
	for _, query := range []string{"a=b", "a=b&c=d", "11=270218&17=280218", "lang=de", "x=%22%3Cscript%3E", "a=b&a=c", "a", "=", "%zz"} {
		w.leads(item+"?"+query, page+"?"+query)
		w.leads(gtin+"?"+query, base+"/look-up?gtin=09506000134376&"+query)
	}
	w.leads(item+"?linkType=gs1:dpp&x=1", page+"?linkType=gs1:dpp&x=1")
	w.leads(gtin+"?linkType=gs1:certificationInfo&x=1", model+"?as=token&linkType=gs1:certificationInfo&x=1")
	for _, query := range []string{"x=ü", "x=\r\nSet-Cookie:a=b"} { // as a careless client would send it
		target := url.URL{Path: item, RawQuery: query}
		a, err := w.exchange(http.MethodGet, strings.NewReplacer("\r", "", "\n", "").Replace(target.String()))
		w.must(err)
		location := a.want(http.StatusTemporaryRedirect).header.Get("Location")
		if strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r > '~' }) || a.header.Get("Set-Cookie") != "" {
			t.Errorf("query %q: Location %q", query, location)
		}
	}
}

func TestALinkTypeIsFollowedOrIs404(t *testing.T) {
	w, passport, model, batch := resolving(t)
	page := strings.Replace(passport, "/v1/passports/", "/p/", 1)
	for _, c := range []struct{ path, linkType, want string }{
		{item, "gs1:dpp", page},
		{item, voc + "dpp", page},
		{item, "https://gs1.org/voc/dpp", page},
		{item, "dpp", page},
		{item, "gs1:verificationService", passport + "/verification"},
		{item, "gs1:registryEntry", passport + "/versions"},
		{item, "gs1:masterData", model},
		{lotItem, "gs1:masterData", batch},
		{lot, "gs1:masterData", batch},
		{gtin, "gs1:masterData", model},
		{gtin, "gs1:certificationInfo", model + "?as=token"},
		{item, "gs1:defaultLink", page},
		{item, "", page},
		{missing, "gs1:verificationService", base + "/not-registered" + missing},
		{missing, "gs1:masterData", model},
	} {
		separator := "?"
		if strings.Contains(c.want, "?") {
			separator = "&"
		}
		query := "linkType=" + url.QueryEscape(c.linkType)
		w.leads(c.path+"?"+query, c.want+separator+query)
	}
	for _, c := range []struct{ path, linkType string }{
		{item, "gs1:pip"},
		{item, "gs1:defaultLinkMulti"},
		{item, "https://example.org/voc/dpp"},
		{item, "gs1:DPP"},
		{item, "gs1:"},
		{item, "schema:dpp"},
		{gtin, "gs1:dpp"},
		{missing, "gs1:dpp"},
		{item, "linkSet"},
		{item, "gs1:linkset"},
	} {
		w.get(c.path+"?linkType="+url.QueryEscape(c.linkType)).refused(http.StatusNotFound, "linkType.notFound")
	}
}

func TestAcceptChoosesAmongTheLinks(t *testing.T) {
	w, passport, model, batch := resolving(t)
	page := strings.Replace(passport, "/v1/passports/", "/p/", 1)
	for _, c := range []struct{ path, accept, want string }{
		{item, "application/json", passport},
		{item, "application/vc+sd-jwt", passport + "?as=token"},
		{item, "application/json;q=0.2, text/html;q=0.1", passport},
		{item, "application/json;q=0.1, text/html", page},
		{item, "application/json, */*;q=0.1", passport},
		{item, "application/json;q=0", page},
		{item, "application/linkset+json;q=0, text/html", page},
		{item, "text/html, application/linkset+json;q=0.9", page},
		{gtin, "application/json", model},
		{gtin, "application/vc+sd-jwt", model + "?as=token"},
		{lot, "application/json", batch},
		{missing, "application/json", base + "/not-registered" + missing},
		{item + "?linkType=gs1:dpp", "application/json", passport + "?linkType=gs1:dpp"},
		{item + "?linkType=gs1:dpp", "application/vc+sd-jwt", passport + "?as=token&linkType=gs1:dpp"},
		{item + "?linkType=gs1:dpp", "image/png", page + "?linkType=gs1:dpp"},
		{item + "?linkType=gs1:dpp", "application/linkset+json", page + "?linkType=gs1:dpp"},
	} {
		w.leads(c.path, c.want, accept(c.accept))
	}
}

func TestTheLinksetIsAskedForByTypeOrAccept(t *testing.T) {
	w, _, _, _ := resolving(t)
	want := string(w.get(item + "?linkType=linkset").want(http.StatusOK).body)
	for _, parts := range [][]part{
		{accept("application/linkset+json")}, {accept("application/linkset+json, */*;q=0.1")}, {accept("application/linkset+json, application/json")},
	} {
		a := w.get(item, parts...).want(http.StatusOK)
		if string(a.body) != want || a.header.Get("Content-Type") != "application/linkset+json" {
			t.Errorf("another linkset by Accept: %s", a)
		}
	}
	if got := string(w.get(item + "?linkType=all").want(http.StatusOK).body); got != want {
		t.Errorf("another linkset by linkType=all: %s", got)
	}
	for _, path := range []string{item, gtin, lot, lotItem, missing} {
		w.get(path + "?linkType=linkset&x=1").want(http.StatusOK)
	}
}

func TestTheLinksetHasEveryLevelUpToTheModel(t *testing.T) {
	w, _, _, _ := resolving(t)
	for path, want := range map[string][]string{
		item: {item, gtin}, lotItem: {lotItem, lot, gtin}, lot: {lot, gtin}, gtin: {gtin}, missing: {missing, gtin},
		gtin + "/10/UNKNOWN": {gtin}, gtin + "/22/V/10/NL2-2027W09/21/A1/": {gtin + "/22/V/10/NL2-2027W09/21/A1", lot, gtin},
	} {
		var got []string
		for _, level := range w.get(path + "?linkType=linkset").want(http.StatusOK).at("linkset").([]any) {
			got = append(got, strings.TrimPrefix(dig(level, "anchor").(string), base))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", path, diff)
		}
	}
}

// registered are the media types of our links, all in IANA's register.
var registered = []string{"text/html", "application/json", "application/vc+sd-jwt"}

// linkTypes are the ones we use, of the GS1 Web Vocabulary 1.16.
var linkTypes = []string{"defaultLink", "dpp", "verificationService", "registryEntry", "masterData", "certificationInfo"}

var (
	absoluteURL = regexp.MustCompile(`^https?://[a-zA-Z0-9./]+`)
	language    = regexp.MustCompile(`^\w{2}(-\w{2})?$`)
)

// TestEveryLinksetIsOneByTheSchemaOfGS1 holds linksets to what the JSON Schema
// of the standard says, and to what its text says beyond it.
func TestEveryLinksetIsOneByTheSchemaOfGS1(t *testing.T) {
	w, _, _, _ := resolving(t)
	for _, path := range []string{item, lotItem, lot, gtin, missing} {
		set := w.get(path + "?linkType=linkset").want(http.StatusOK)
		if len(set.json()) != 1 {
			t.Errorf("%s: members beside linkset: %s", path, set)
		}
		for i, level := range set.at("linkset").([]any) {
			holdLevel(t, path, i, level.(map[string]any))
		}
	}
}

func holdLevel(t *testing.T, path string, i int, level map[string]any) {
	t.Helper()
	if anchor, _ := level["anchor"].(string); !absoluteURL.MatchString(anchor) {
		t.Errorf("%s: anchor %v", path, level["anchor"])
	}
	if text, _ := level["itemDescription"].(string); text == "" {
		t.Errorf("%s: no itemDescription", path)
	}
	described := map[string]bool{}
	for relation, links := range level {
		if relation == "anchor" || relation == "itemDescription" {
			continue
		}
		name, ok := strings.CutPrefix(relation, voc)
		if !ok || !slices.Contains(linkTypes, name) {
			t.Errorf("%s: link type %s", path, relation)
		}
		for _, l := range links.([]any) {
			holdLink(t, path+" "+name, l.(map[string]any))
			described[dig(l, "href").(string)] = described[dig(l, "href").(string)] || name != "defaultLink"
		}
	}
	defaults, _ := level[voc+"defaultLink"].([]any)
	if len(defaults) > 1 || i == 0 && len(defaults) != 1 {
		t.Fatalf("%s: %d default links", path, len(defaults))
	}
	for _, l := range defaults {
		if len(l.(map[string]any)) != 2 {
			t.Errorf("%s: the default link has optional attributes: %v", path, l)
		}
		if !described[dig(l, "href").(string)] {
			t.Errorf("%s: no descriptive type repeats the default link", path)
		}
	}
}

func holdLink(t *testing.T, at string, l map[string]any) {
	t.Helper()
	for name, value := range l {
		text, _ := value.(string)
		switch name {
		case "href":
			if !absoluteURL.MatchString(text) {
				t.Errorf("%s: href %v", at, value)
			}
		case "title":
			if text == "" {
				t.Errorf("%s: title %v", at, value)
			}
		case "type":
			if !slices.Contains(registered, text) {
				t.Errorf("%s: type %v", at, value)
			}
		case "hreflang":
			for _, tag := range value.([]any) {
				if !language.MatchString(tag.(string)) {
					t.Errorf("%s: language %v", at, tag)
				}
			}
		default:
			t.Errorf("%s: attribute %s", at, name)
		}
	}
	if l["href"] == nil || l["title"] == nil {
		t.Errorf("%s: href or title is missing: %v", at, l)
	}
}

func TestEveryLinkOfALinksetLeadsSomewhere(t *testing.T) {
	w, _, _, _ := resolving(t)
	for _, level := range w.get(lotItem + "?linkType=linkset").at("linkset").([]any) {
		for relation, links := range level.(map[string]any) {
			list, _ := links.([]any)
			for _, l := range list {
				href, mediaType := strings.TrimPrefix(dig(l, "href").(string), base), dig(l, "type")
				if mediaType == nil || mediaType == "text/html" {
					continue // pages are mounted by package web
				}
				if got := w.get(href).want(http.StatusOK).header.Get("Content-Type"); got != mediaType {
					t.Errorf("%s: %s is %s, the linkset says %s", relation, href, got, mediaType)
				}
			}
		}
	}
}

func TestRedirectAndLinksetNameLinksetAndContext(t *testing.T) {
	w, _, _, _ := resolving(t)
	for _, path := range []string{item, item + "?linkType=linkset", gtin, missing, item + "?linkType=gs1:none"} {
		links := w.get(path).header.Values("Link")
		anchor, _, _ := strings.Cut(path, "?")
		want := []string{
			"<" + base + anchor + `?linkType=linkset>; rel="linkset"; type="application/linkset+json"; title="Every link of this identifier"`,
			"<" + base + `/contexts/linkset/v1>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`,
		}
		if diff := cmp.Diff(want, links); diff != "" {
			t.Errorf("%s: -want +got:\n%s", path, diff)
		}
	}
	w.get("/contexts/linkset/v1").want(http.StatusOK)
}

func TestTheResolverDescribesItself(t *testing.T) {
	w := newWorld(t)
	about := w.get("/.well-known/gs1resolver").want(http.StatusOK)
	if about.text("resolverRoot") != base || about.text("linksetContext") != base+"/contexts/linkset/v1" {
		t.Errorf("description: %s", about)
	}
	if diff := cmp.Diff([]any{"01", "8004"}, about.at("supportedPrimaryKeys")); diff != "" {
		t.Errorf("primary keys:\n%s", diff)
	}
}
