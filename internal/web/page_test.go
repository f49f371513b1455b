package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/internal/strictjson/hostile"
	"github.com/provolt/provolt/internal/verify"
)

func TestVerdictComesFirstAndBlocksKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	for lang, words := range map[string][]string{
		"en": {
			"TEST — not a real passport", "Genuine and in force", "These are the statements of the signer, Nordlicht Zellwerk GmbH, unchanged", "Signed by Nordlicht Zellwerk GmbH, recognised by the registry at localhost:8080.",
			"Checked at 14:02\u00a0UTC on 1 April 2027.", "Not yet in the public log.", "Is this the battery in front of you?", "AB4F", "7K29", "0000",
			"430\u00a0kg", "February 2027", "15 March 2027", `id="emergency"`, "Lithium-ion battery", "394\u00a0V", "75.1\u00a0kWh", "water (large volume)",
			"Acute Tox. 3 (H301)", "passport@nordlicht.example", "NMC811", "190.5\u00a0Ah", "0.058 <small>kg CO₂e/kWh</small>", "Recycled content", "Cobalt", "16%",
			"6 minerals", "Origin of minerals", "Congo - Kinshasa", "segregated", "verified by a third party", "All public data", "Identification",
			"Performance", "More for professionals", "History", "Passport issued", "Verify it yourself", "Holds", "Unknown", "provolt verify " + base + "/01/09506000134376/21/AB4F7K2900001",
		},
		"de": {
			"TEST — kein echter Batteriepass", "Echt und in Kraft", "Unterschrieben von Nordlicht Zellwerk GmbH", "Geprüft um 14:02\u00a0UTC am 1. April 2027.",
			"Noch nicht im öffentlichen Protokoll.", "Ist das die Batterie vor Ihnen?", "Februar 2027", "Notfallkarte", "75,1\u00a0kWh", "190,5\u00a0Ah",
			"0,058 <small>kg CO₂e/kWh</small>", "16\u00a0%", "Herkunft der Minerale", "Kongo-Kinshasa", "Alle öffentlichen Angaben", "Nennspannung", "Mehr für Fachleute", "Verlauf", "Selbst prüfen",
		},
	} {
		page := w.page("/p/" + id.String() + "?lang=" + lang)
		inOrder(t, page, words...)
		contains(t, page, `<html lang="`+lang+`">`)
	}
}

// secrets collects the long texts of the attributes a public reader may not
// see; short ones and those that public attributes hold too prove nothing.
func secrets(t *testing.T, doc map[string]any) []string {
	t.Helper()
	cat := load(t)
	public := string(need(strictjson.Marshal(doc))(t))
	var out []string
	for _, kind := range passport.RecordTypes() {
		for _, a := range cat.Disclosures(kind) {
			v, ok := dig(doc, append([]string{string(kind)}, a.Members...)...)
			if !ok {
				continue
			}
			public = strings.ReplaceAll(public, string(need(strictjson.Marshal(v))(t)), "")
			out = append(out, longTexts(v)...)
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return strings.Contains(public, s) })
}

func longTexts(v any) []string {
	switch v := v.(type) {
	case string:
		if len(v) >= 10 {
			return []string{v}
		}
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, longTexts(e)...)
		}
		return out
	case map[string]any:
		return longTexts(slices.Collect(maps.Values(v)))
	case []string:
		return v
	}
	return nil
}

func TestRestrictedValuesNeverReachThePage(t *testing.T) {
	w := newWorld(t)
	doc := example(t)
	hidden := secrets(t, doc)
	if len(hidden) < 50 {
		t.Fatalf("only %d restricted texts to look for", len(hidden))
	}
	id := w.register(doc)
	lacks(t, w.page("/p/"+id.String()), hidden...)

	// Nor when the view is of somebody who may see everything.
	reader := registry.Reader{By: maker, Purpose: "test"}
	view := need(w.Passport(context.Background(), id, 0, reader))(t)
	if _, ok := dig(view.Model.Record, "composition", "materials"); !ok {
		t.Fatal("the maker's own view lacks restricted data")
	}
	lacks(t, w.draw(facts{View: view, Result: good(), BaseURL: base, At: start}, "en"), hidden...)
}

func TestWithheldAttributesAreNamedWithWhoMaySeeThem(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	en, de := w.page("/p/"+id.String()), w.page("/p/"+id.String()+"?lang=de")
	for _, attribute := range []string{"detailedComposition", "testReports", "expectedLifetimeYears", "batteryStatus", "stateOfCharge", "entities"} {
		a, ok := w.pages.Catalogue.Attribute(attribute)
		if !ok {
			t.Fatalf("no attribute %s", attribute)
		}
		contains(t, en, "<li>"+escaped(a.Name["en"])+"</li>")
		contains(t, de, "<li>"+escaped(a.Name["de"])+"</li>")
	}
	contains(t, en, "Annex XIII point 4")
	view := need(w.Passport(context.Background(), id, 0, registry.Reader{}))(t)
	item, model, batch := view.Item.WithheldCount, view.Model.WithheldCount, view.Batch.WithheldCount
	contains(t, en, fmt.Sprintf("%d values are withheld on this page: %d in the passport, %d in its model and %d in its batch.", item+model+batch, item, model, batch))
	contains(t, de, fmt.Sprintf("%d Werte sind auf dieser Seite zurückgehalten: %d im Pass, %d in seinem Modell und %d in seinem Los.", item+model+batch, item, model, batch))
	lacks(t, en, "Energy throughput</li>") // no EV owes it
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func TestUnknownShareIsDrawnAndNeverDropped(t *testing.T) {
	w := newWorld(t)
	id := w.register(unknownOrigins(t, base))
	page := w.page("/p/" + id.String())
	inOrder(t, page, "2 minerals", "Nickel, Extraction: 30% unknown", "Graphite, Extraction: 30% unknown", "Graphite, Refining: 30% unknown")
	inOrder(t, page, "<h3>Nickel",
		`<rect class="c1" x="0%" width="45%"`, ">FI</text>", `<rect class="c2" x="45%" width="15%"`, ">ID</text>",
		`<rect class="recycled" x="60%" width="10%"`, `<rect class="unknown" fill="url(#hatch)" x="70%" width="30%"`, ">?</text>",
		"Unknown <b>30%</b>", "Chain of custody:", "segregated <b>60%</b>", "no chain of custody <b>25%</b>", "Evidence:", "documented <b>75%</b>",
		"<h3>Graphite", "Chain of custody:", "not stated", "Evidence:", "not stated",
		"<td>Nickel</td><td>Extraction</td><td>Unknown</td><td class=\"n\">30%</td><td class=\"n\">16.218\u00a0kg</td>",
	)
}

func TestUnknownNotApplicableMissingAndNotProvidedReadDifferently(t *testing.T) {
	w := newWorld(t)
	doc := example(t)
	set(doc, map[string]any{"carbonFootprintPerformanceClass": "no delegated act defines the classes"}, "model", "notApplicableReason")
	page := w.page("/p/" + w.register(doc).String())
	inOrder(t, page, "Carbon footprint performance class", `<em class="notApplicable">not applicable</em>`, "no delegated act defines the classes")
	contains(t, page, "Voluntary and not provided:")

	raw := need(strictjson.Marshal(example(t)["model"]))(t)
	model := need(strictjson.Parse(raw))(t).(map[string]any)
	delete(model, "notApplicableReason")
	set(model, nil, "carbonFootprint", "performanceClass")
	set(model, "lmt", "identification", "batteryCategory")
	delete(model["identification"].(map[string]any), "warrantyPeriod")
	delete(model["performance"].(map[string]any), "capacityThresholdForExhaustionPct")
	delete(model["materials"].(map[string]any), "hazardousSubstances")
	model["circularity"].(map[string]any)["recycledContent"].([]any)[0].(map[string]any)["preConsumerPct"] = nil
	view := registry.View{Model: &registry.Part{Record: model}, Standing: registry.Standing{State: registry.Active}}
	page = w.draw(facts{View: view, Result: good(), BaseURL: base, At: start}, "en")
	inOrder(t, page, "<h3>Hazardous substances</h3>", "missing: the law asks for it", "Nickel <em class=\"unknown\">unknown</em>", "<dt>Warranty period", `<em class="missing">missing: the law asks for it</em>`,
		"<dt>Carbon footprint performance class", `<em class="unknown">unknown</em>`, "Does not apply to this kind of battery:", "Capacity threshold for exhaustion")
}

// good is the result of a check in which all is well.
func good() verify.Result {
	r := verify.Result{Verdict: verify.Genuine}
	for _, name := range []verify.Name{
		verify.Form, verify.Signature, verify.Issuer, verify.Environment, verify.Schema, verify.Pins, verify.Status, verify.Disclosures,
	} {
		r.Checks = append(r.Checks, verify.CheckResult{Name: name, Outcome: verify.OK, Code: string(name) + ".ok"})
	}
	r.Checks = append(r.Checks, verify.CheckResult{Name: verify.Log, Outcome: verify.Unknown, Code: "log.none"})
	return r
}

// with changes the outcome of one check.
func with(r verify.Result, name verify.Name, o verify.Outcome) verify.Result {
	r.Checks = slices.Clone(r.Checks)
	for i := range r.Checks {
		if r.Checks[i].Name == name {
			r.Checks[i] = verify.CheckResult{Name: name, Outcome: o, Code: string(name) + ".test", Detail: "A detail."}
		}
	}
	return r
}

func TestVerdictIsTheWorstOfSignatureAndStatus(t *testing.T) {
	locales := need(loadLocales())(t)
	said := func(v verify.Verdict, r verify.Result) verify.Result { r.Verdict = v; return r }
	for _, c := range []struct {
		name    string
		result  verify.Result
		state   registry.State
		version int
		want    string
	}{
		{"all is well", good(), registry.Active, 2, "genuine"},
		{"an old version", good(), registry.Active, 1, "remarks"},
		{"the pinned records were not at hand", with(good(), verify.Pins, verify.Unknown), registry.Active, 2, "remarks"},
		{"the schema is of another version", with(good(), verify.Schema, verify.Unknown), registry.Active, 2, "remarks"},
		{"only the signature could be checked", with(good(), verify.Status, verify.Unknown), registry.Active, 2, "couldNotCheck"},
		{"the issuer could not be checked", with(good(), verify.Issuer, verify.Unknown), registry.Active, 2, "couldNotCheck"},
		{"nothing could be checked", verify.Result{Verdict: verify.CouldNotCheck}, registry.Active, 2, "couldNotCheck"},
		{"no result at all", verify.Result{}, registry.Active, 2, "couldNotCheck"},
		{"the registry knows no such state", good(), "odd", 2, "couldNotCheck"},
		{"the signature fails", said(verify.NotGenuine, with(good(), verify.Signature, verify.Fail)), registry.Active, 2, "notGenuine"},
		{"the signature of a revoked one fails", said(verify.NotGenuine, good()), registry.Revoked, 2, "notGenuine"},
		{"suspended by the registry alone", good(), registry.Suspended, 2, "suspended"},
		{"suspended by the list alone", said(verify.Suspended, good()), registry.Active, 2, "suspended"},
		{"revoked by the list alone", said(verify.Revoked, good()), registry.Active, 2, "revoked"},
		{"revoked while nothing could be checked", said(verify.CouldNotCheck, good()), registry.Revoked, 2, "revoked"},
		{"superseded", good(), registry.Superseded, 2, "superseded"},
		{"recycled", good(), registry.Ceased, 2, "ceased"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scan{l: locales[0], link: func(p string) string { return p }, f: facts{
				View: named("Nordlicht", "Nordlicht", ""), Result: c.result, BaseURL: base, At: start,
			}}
			s.f.View.Version, s.f.View.Latest, s.f.View.Standing = c.version, 2, registry.Standing{State: c.state}
			v := s.verdict()
			if diff := cmp.Diff(c.want, v.Kind); diff != "" {
				t.Error(diff)
			}
			if v.Word == "" || v.Meaning == "" || v.Basis == "" {
				t.Errorf("incomplete: %+v", v)
			}
		})
	}
}

// named is a passport in force of which only the names of those who stand
// behind it are known. An empty name is not in it.
func named(signer, manufacturer, operator string) registry.View {
	model, item := map[string]any{}, map[string]any{}
	if manufacturer != "" {
		model["identification"] = map[string]any{"manufacturer": map[string]any{"name": manufacturer}}
	}
	if operator != "" {
		item["economicOperator"] = map[string]any{"name": operator}
	}
	return registry.View{
		Standing: registry.Standing{State: registry.Active},
		Item:     registry.Part{Record: item, Issuer: registry.Party{Name: signer}}, Model: &registry.Part{Record: model},
	}
}

func TestASignerWhoIsNotTheNamedMakerIsRemarkedOn(t *testing.T) {
	l := need(loadLocales())(t)[0]
	const other = "Signed by Nordlicht GmbH, which is not the maker named in it (Hanbit)."
	for _, c := range []struct {
		name, manufacturer, operator string
		want                         []string
	}{
		{"the manufacturer signed", "Nordlicht GmbH", "", nil},
		{"written in another hand", "  NORDLICHT gmbh ", "", nil},
		{"the importer signed", "Hanbit", "Nordlicht GmbH", nil},
		{"another signed", "Hanbit", "", []string{other}},
		{"another signed, beside an operator", "Hanbit", "Vertrieb AG", []string{other}},
		{"a name that only begins alike", "Nordlicht GmbH & Co", "", []string{"Signed by Nordlicht GmbH, which is not the maker named in it (Nordlicht GmbH & Co)."}},
		{"only another operator is named", "", "Hanbit", []string{other}},
		{"nobody is named", "", "", []string{"Signed by Nordlicht GmbH. It names no maker."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scan{l: l, link: func(p string) string { return p }, f: facts{View: named("Nordlicht GmbH", c.manufacturer, c.operator), Result: good(), BaseURL: base, At: start}}
			v := s.verdict()
			if diff := cmp.Diff(c.want, v.Remarks); diff != "" {
				t.Error(diff)
			}
			if green := v.Kind == "genuine"; green != (c.want == nil) {
				t.Errorf("verdict %s", v.Kind)
			}
		})
	}
	s := scan{l: l, link: func(p string) string { return p }, f: facts{View: named("", "", ""), Result: good(), At: start}}
	if kind := s.verdict().Kind; kind != "remarks" {
		t.Errorf("without any name: %s", kind)
	}
}

func TestASignerNobodyConfirmedIsNotSaidToHaveSigned(t *testing.T) {
	l := need(loadLocales())(t)[0]
	for _, name := range []verify.Name{verify.Signature, verify.Issuer} {
		s := scan{l: l, f: facts{View: named("Nordlicht", "Hanbit", ""), Result: with(good(), name, verify.Fail)}}
		lacks(t, strings.Join(s.remarks(), " "), "Signed by")
	}
}

func TestTheLawIsSaidToAskOnlyWhereAConfirmedClauseDoes(t *testing.T) {
	s := scan{l: need(loadLocales())(t)[0]}
	for want, rows := range map[string][]catalogue.Attribute{
		"missing: the law asks for it":       {{LegalReference: "Annex XIII 1(a)", Confidence: "seen"}},
		"missing: this registry asks for it": {{Confidence: "own"}, {Confidence: "seen"}, {LegalReference: "Annex XIII 1(e)", Confidence: "unconfirmed"}},
	} {
		for _, a := range rows {
			if got := s.missing(a).Text; got != want {
				t.Errorf("%+v: %s", a, got)
			}
		}
	}
	// The emergency card says that the law asks for these without looking.
	for _, id := range []string{"extinguishingAgents", "hazardousSubstances"} {
		a, ok := load(t).Attribute(id)
		if !ok || s.missing(a).Text != "missing: the law asks for it" {
			t.Errorf("%s: %s", id, s.missing(a).Text)
		}
	}
}

func TestTheCarbonTileSaysOfTheClassWhatTheTableSays(t *testing.T) {
	w := newWorld(t)
	view := need(w.Passport(context.Background(), w.register(example(t)), 0, registry.Reader{}))(t)
	for want, change := range map[string]func(model map[string]any){
		`Performance class: <em class="notApplicable">not applicable</em> <small>No act under`: func(map[string]any) {},
		`Performance class: <em class="unknown">unknown</em></p>`:                              func(m map[string]any) { delete(m, "notApplicableReason") },
		`Performance class: B</p>`: func(m map[string]any) { set(m, "B", "carbonFootprint", "performanceClass") },
		`Performance class: <em class="unknown">not stated</em></p>`: func(m map[string]any) {
			delete(m["carbonFootprint"].(map[string]any), "performanceClass")
		},
	} {
		raw := need(strictjson.Marshal(view.Model.Record))(t)
		model := *view.Model
		model.Record = need(strictjson.Parse(raw))(t).(map[string]any)
		change(model.Record)
		v := view
		v.Model = &model
		contains(t, w.draw(facts{View: v, Result: good(), BaseURL: base, At: start}, "en"), want)
	}
}

func TestOriginSaysWhereCellsAndBatteryWereMade(t *testing.T) {
	w := newWorld(t)
	doc := example(t)
	id := w.register(doc).String()
	inOrder(t, w.page("/p/"+id), "<h2 id=\"origin-title\">", "Cells made by Nordlicht Zellwerk GmbH in Germany. Battery made in Germany.", `<div class="minerals">`)
	contains(t, w.page("/p/"+id+"?lang=de"), "Zellen hergestellt von Nordlicht Zellwerk GmbH, Land: Deutschland. Batterie hergestellt in: Deutschland.")

	view := need(w.Passport(context.Background(), need(passport.ParseID(id))(t), 0, registry.Reader{}))(t)
	for want, cells := range map[string]any{
		"Cells made by Sekisho.": map[string]any{"party": map[string]any{"name": "Sekisho", "address": map[string]any{"country": "JP"}}}, // its seat, not its plant
		"":                       nil,
	} {
		s := scan{l: w.pages.languages.locales[0], f: facts{View: view}}
		s.f.View.Model = &registry.Part{Record: map[string]any{"identification": map[string]any{"cellManufacturer": cells}}}
		if got := s.steps(); got != want {
			t.Errorf("%v: %q, want %q", cells, got, want)
		}
	}
}

func TestAPassportAddressWithASlashAtItsEndLeadsToThePage(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t)).String()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := w.do(method, "/p/"+id+"/?version=1&lang=de", nil)
		if a.Code != http.StatusMovedPermanently || a.Header().Get("Location") != "/p/"+id+"?version=1&lang=de" {
			t.Errorf("%s: status %d, Location %q", method, a.Code, a.Header().Get("Location"))
		}
	}
	if a := w.get("/p/evil.example/"); a.Code != http.StatusNotFound {
		t.Errorf("no id: status %d", a.Code)
	}
}

func TestSuspendedPassportSaysSoWithItsReason(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	w.now = start.Add(time.Hour)
	w.suspend(id, "cloneSuspected")
	page := w.page("/p/" + id.String())
	inOrder(t, page, `class="verdict suspended"`, "Suspended — copied code suspected", "Do not rely on this passport", "Suspended by registry.", "Passport issued", "Fails")
	lacks(t, page, "Genuine and in force")
}

func TestAnOlderVersionIsShownWithARemarkAndALinkToTheNewest(t *testing.T) {
	w := newWorld(t)
	doc := example(t)
	id := w.register(doc)
	item := doc["passport"].(map[string]any)
	set(item, "2027-03-16", "placedOnMarketOn")
	body := need(strictjson.Marshal(map[string]any{"passport": item}))(t)
	need(w.Amend(context.Background(), id, registry.Write{By: maker, Body: body}))(t)
	old := w.page("/p/" + id.String() + "?version=1&lang=de")
	inOrder(t, old, `class="verdict remarks"`, "Sie lesen Fassung 1. Inzwischen gilt Fassung 2.", "/p/"+id.String()+"?lang=de", "Geändert: Fassung 2", "version=2&amp;lang=de")
	inOrder(t, w.page("/p/"+id.String()), `class="verdict genuine"`, "16 March 2027", "Amended: version 2")
	if a := w.get("/p/" + id.String() + "?version=3"); a.Code != http.StatusNotFound {
		t.Errorf("version 3: status %d", a.Code)
	}
}

func TestHistoryLinksPredecessorAndSuccessor(t *testing.T) {
	w := newWorld(t)
	view := need(w.Passport(context.Background(), w.register(example(t)), 0, registry.Reader{}))(t)
	const before, after = "01a4a10b-0bc0-7ab6-ae14-553caf884afc", "01a4a10b-0bc0-7ab6-ae14-553caf884afd"
	set(view.Item.Record, []any{map[string]any{"uri": "urn:uuid:" + before}}, "predecessors")
	view.Standing = registry.Standing{State: registry.Superseded, Successor: need(passport.ParseID(after))(t)}
	page := w.draw(facts{View: view, Result: good(), BaseURL: base, At: start}, "en")
	inOrder(t, page, `class="verdict superseded"`, `href="/p/`+after+`"`, "Passport in force:", `href="/p/`+after+`"`, "Earlier passport:", `href="/p/`+before+`"`)
}

// draw renders a page without a request for its data.
func (w *world) draw(f facts, lang string) string {
	w.t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/p/x?lang="+lang, nil)
	r := w.pages.request(c)
	s := scan{l: r.l, cat: w.pages.Catalogue, chapters: w.pages.chapters, f: f, link: func(p string) string { return p }}
	var out bytes.Buffer
	must(w.t, w.pages.templates[lang].ExecuteTemplate(&out, "passport", s.page(w.pages.frame(r, ""))))
	return out.String()
}

// elements are all the markup our pages consist of.
var elements = strings.Fields(`html head meta title link body a header p strong span div b nav main section h1 h2 h3 h4 svg rect path polygon text
	ul ol li dl dt dd br small em code pre details summary defs pattern table thead tbody tr th td footer i form label input button`)

// sound parses a page strictly as XML, which ours are, and checks that every
// element, attribute and link is one we wrote.
func sound(t *testing.T, page string) {
	t.Helper()
	page = strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' || c == 0xfffe || c == 0xffff {
			return -1 // XML has no place for them, HTML has
		}
		return c
	}, strings.TrimPrefix(page, "<!doctype html>"))
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("markup is broken: %v", err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(elements, e.Name.Local) {
			t.Fatalf("element %s is none of ours", e.Name.Local)
		}
		for _, a := range e.Attr {
			name := strings.ToLower(a.Name.Local)
			if strings.HasPrefix(name, "on") || name == "style" || name == "srcdoc" {
				t.Fatalf("attribute %s=%q", name, a.Value)
			}
			if name == "href" && !regexp.MustCompile(`^(https?://|mailto:|/|#|data:image/svg\+xml,%3Csvg )`).MatchString(a.Value) {
				t.Fatalf("link to %q", a.Value)
			}
		}
	}
}

// attacks are the texts that break programs, and some that aim at what a page
// makes of a text: links, languages, placeholders.
var attacks = append(hostile.Strings(),
	`javascript:alert(1)`, `JaVaScRiPt:alert(1)`, `data:text/html,<script>alert(1)</script>`, `https://evil.example/"><script>`, `https://user@evil.example/`,
	`//evil.example`, `mailto:x@y?bcc=z`, `x@y.example?bcc=z`, `{n}{signer}`, `en" onload="x`, `</title><script>alert(1)</script>`,
)

func TestHostileTextInAnyFieldStaysText(t *testing.T) {
	w := newWorld(t)
	view := need(w.Passport(context.Background(), w.register(example(t)), 0, registry.Reader{}))(t)
	for i, text := range attacks {
		text = text[:min(len(text), 1000)]
		v := view
		v.Item.Record = poison(view.Item.Record, text).(map[string]any)
		model, batch := *view.Model, *view.Batch
		model.Record, batch.Record = poison(model.Record, text).(map[string]any), poison(batch.Record, text).(map[string]any)
		model.Issuer.Name = text
		v.Model, v.Batch, v.BatteryID, v.DigitalLink = &model, &batch, text, text
		v.Item.Issuer = registry.Party{Org: passport.OrgID(text), DID: text, Name: text}
		v.Standing = registry.Standing{State: registry.State(text), Reason: text, History: []registry.StatusChange{{To: registry.State(text), Reason: text, Actor: passport.OrgID(text)}}}
		result := with(good(), verify.Pins, verify.Unknown)
		result.Checks = append(result.Checks, verify.CheckResult{Name: verify.Name(text), Outcome: verify.Unknown, Code: text, Detail: text})
		page := w.draw(facts{View: v, Result: result, BaseURL: base, At: start}, []string{"en", "de"}[i%2])
		sound(t, page)
		lacks(t, page, "<script", "ZgotmplZ")
	}
}

// poison replaces every text of a record, and adds a member named by it.
func poison(v any, text string) any {
	switch v := v.(type) {
	case string:
		return text
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = poison(v[i], text)
		}
		return out
	case map[string]any:
		out := map[string]any{text: text}
		for name, member := range v {
			out[name] = poison(member, text)
		}
		return out
	}
	return v
}

func TestEveryPageIsSoundMarkupInEveryLanguageWithEveryTextThere(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	for _, path := range []string{
		"/", "/p/" + id.String(), "/p/nothing", "/look-up?gtin=1&serial=2", "/look-up?gtin=09506000134376", "/look-up?link=ftp:x", "/look-up?link=urn:uuid:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11",
		"/look-up?link=https://other.example/01/09506000134376/21/AB4F7K2900001", "/not-registered/01/09506000134376/21/NONE", "/not-registered/8004/09506000134",
	} {
		for _, lang := range []string{"en", "de"} {
			a := w.get(inLang(path, lang))
			sound(t, a.body)
			lacks(t, a.body, "⟦", "ZgotmplZ", "<no value>")
			if a.Header().Get("Content-Language") != lang {
				t.Errorf("%s: Content-Language %q", path, a.Header().Get("Content-Language"))
			}
		}
	}
}

func TestPassportPageWeighsLessThanThirtyKilobytes(t *testing.T) {
	w := newWorld(t)
	a := w.get("/p/"+w.register(example(t)).String()+"?lang=de", "Accept-Encoding", "gzip")
	css := w.get(w.pages.css.path, "Accept-Encoding", "gzip")
	if total := len(a.body) + len(css.body); total > 30_000 {
		t.Errorf("page %d + style %d = %d bytes", len(a.body), len(css.body), total)
	}
}

func TestAnswersCarryTheHeadersOfAPageThatAsksNothingOfAnybody(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	for _, path := range []string{"/", "/p/" + id.String(), "/p/nothing", w.pages.css.path} {
		a := w.get(path)
		got := map[string]string{}
		for _, name := range []string{"Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"} {
			got[name] = a.Header().Get(name)
		}
		want := map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"Referrer-Policy":         "no-referrer", "X-Content-Type-Options": "nosniff",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		if a.Header().Get("Permissions-Policy") == "" || a.Header().Get("Set-Cookie") != "" ||
			slices.Contains(a.Header().Values("Vary"), "Accept-Language") != (path != w.pages.css.path) {
			t.Errorf("%s: headers %v", path, a.Header())
		}
	}
}

func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	for _, path := range []string{"/", "/p/" + id.String(), "/look-up", "/not-registered/01/09506000134376/21/NONE", w.pages.css.path} {
		get, head := w.get(path), w.do(http.MethodHead, path, nil)
		if head.Code != get.Code || head.body != "" || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
			t.Errorf("%s: HEAD %d with %d bytes, Content-Length %s; GET %d, %s", path, head.Code, len(head.body),
				head.Header().Get("Content-Length"), get.Code, get.Header().Get("Content-Length"))
		}
	}
}

func TestGzipIsServedOnlyToThoseWhoTakeIt(t *testing.T) {
	w := newWorld(t)
	plain := w.page("/")
	for accept, want := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "gzip; q=0.001": true, "": false, "identity": false, "gzip;q=0": false, "gzip;q=0.000": false, "xgzip": false,
	} {
		a := w.get("/", "Accept-Encoding", accept)
		if got := a.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip %v", accept, got)
			continue
		}
		if want {
			unpacked := need(io.ReadAll(need(gzip.NewReader(strings.NewReader(a.body)))(t)))(t)
			if string(unpacked) != plain {
				t.Errorf("Accept-Encoding %q: other page", accept)
			}
		}
	}
}

func TestStyleSheetIsImmutableUnderTheNameOfItsContent(t *testing.T) {
	w := newWorld(t)
	a := w.get(w.pages.css.path)
	if a.Code != http.StatusOK || a.body != string(styleSheet) || !strings.Contains(a.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("status %d, %s", a.Code, a.Header().Get("Cache-Control"))
	}
	if a := w.get("/assets/provolt-00000000.css"); a.Code != http.StatusNotFound {
		t.Errorf("other name: status %d", a.Code)
	}
	lacks(t, string(styleSheet), "@import", "http", "url(")
}

func TestLanguageIsTheOneAskedForElseTheReadersOwn(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ query, accept, want string }{
		{"", "", "en"},
		{"", "de", "de"},
		{"", "de-AT,de;q=0.9,en;q=0.1", "de"},
		{"", "fr, de;q=0.4, en;q=0.2", "de"},
		{"", "mt", "en"},
		{"?lang=en", "de", "en"},
		{"?lang=de", "en", "de"},
		{"?lang=xx", "de", "de"},
		{"", ";;;,=", "en"},
		{"", strings.Repeat("de,", 500), "en"},
	} {
		if got := w.get("/"+c.query, "Accept-Language", c.accept).Header().Get("Content-Language"); got != c.want {
			t.Errorf("%q with Accept-Language %.40q: %s, want %s", c.query, c.accept, got, c.want)
		}
	}
	contains(t, w.page("/?lang=de"), `action="/look-up?lang=de"`, `name="lang" value="de"`, `href="/?lang=en"`)
}

func TestProblemsAreCalmPages(t *testing.T) {
	w := newWorld(t)
	gone := w.get("/p/01a4a10b-0bc0-7ab6-ae14-553caf884afc")
	if gone.Code != http.StatusNotFound {
		t.Errorf("status %d", gone.Code)
	}
	contains(t, gone.body, "Nothing here", "That says nothing about any battery", "passport.unknown")
	for status, words := range map[int]string{
		400: "This address does not work", 403: "Not open to everybody", 404: "Nothing here", 410: "Erased", 413: "Too large", 500: "Something went wrong on our side", 503: "Please try again in a moment",
	} {
		rec := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(rec)
		c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
		c.Header("Request-Id", "req-1")
		w.pages.Problem(c, status, "code.of.it")
		if rec.Code != status {
			t.Errorf("status %d, want %d", rec.Code, status)
		}
		contains(t, rec.Body.String(), words, "code.of.it", "req-1")
		if (status == 503) != (rec.Header().Get("Retry-After") != "") {
			t.Errorf("status %d: Retry-After %q", status, rec.Header().Get("Retry-After"))
		}
	}
}

func TestADatabaseThatDoesNotAnswerIsAProblemOfOurs(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t))
	must(t, w.Close())
	a := w.get("/p/" + id.String())
	if a.Code != http.StatusServiceUnavailable && a.Code != http.StatusInternalServerError {
		t.Errorf("status %d", a.Code)
	}
	sound(t, a.body)
	lacks(t, a.body, "sql", "database")
}

func TestPagesNeedAllTheirOptions(t *testing.T) {
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New took nothing")
	}
}

func TestStyleSheetStaysSmall(t *testing.T) {
	if n := len(need(os.ReadFile("assets/provolt.css"))(t)); n > 12_000 {
		t.Errorf("%d bytes", n)
	}
}

func BenchmarkPassportPage(b *testing.B) {
	w := newWorld(b)
	path := "/p/" + w.register(example(b)).String()
	for b.Loop() {
		w.page(path)
	}
}
