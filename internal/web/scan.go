package web

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/verify"
)

// facts is everything a passport page is made from. The page is a pure
// function of it: no request, no store, no clock.
type facts struct {
	View     registry.View
	Result   verify.Result        // of this version, with its model and batch
	Versions []registry.Versioned // oldest first
	BaseURL  string
	At       time.Time // when Result was made
}

// scan makes the page of a passport in one language.
type scan struct {
	l    *locale
	cat  *catalogue.Catalogue
	f    facts
	link func(path string) string // to another page of ours, in the language chosen
}

// passportPage is the model of a passport page; its members are its blocks, in
// the order in which they appear.
type passportPage struct {
	frame
	Verdict   verdict
	Battery   battery
	Emergency emergency
	Tiles     tiles
	Origin    *origin
	Sections  []section
	Withheld  []withheldGroup
	HeldBack  int
	History   []event
	Proof     proof
}

// page builds every block.
func (s scan) page(fr frame) passportPage {
	p := passportPage{
		frame: fr, Verdict: s.verdict(), Battery: s.battery(), Emergency: s.emergency(), Origin: s.origin(),
		Sections: s.sections(), Withheld: s.withheld(), HeldBack: s.heldBack(), History: s.history(), Proof: s.proof(),
	}
	p.Tiles = s.tiles(p.Emergency)
	p.Title = p.Verdict.Word + ": " + strings.TrimSpace(p.Battery.Maker+" "+p.Battery.Model)
	return p
}

func (s scan) values() values { return values{l: s.l, cat: s.cat} }

// model returns the model record; nil if the passport pins none.
func (s scan) model() map[string]any {
	if s.f.View.Model == nil {
		return nil
	}
	return s.f.View.Model.Record
}

func (s scan) item() map[string]any { return s.f.View.Item.Record }

// fact is a named text.
type fact struct{ Name, Text string }

// battery is what a person compares with the thing in their hands: a copied
// code is the main attack on a passport.
type battery struct {
	Maker   string
	Model   string
	Serial  []string // in groups of four
	Facts   []fact
	Sketch  *sketch
	ID      string
	Contact []value
}

func (s scan) battery() battery {
	m, item := s.model(), s.item()
	b := battery{
		Maker: digText(m, "identification", "manufacturer", "name"), Model: digText(m, "identification", "modelId"),
		Serial: grouped(textOf(item["serialNumber"])), Sketch: s.sketch(), ID: s.f.View.BatteryID, Contact: s.contact(),
	}
	add := func(key, text string) {
		if text != "" {
			b.Facts = append(b.Facts, fact{s.l.t(key), text})
		}
	}
	if category := digText(m, "identification", "batteryCategory"); category != "" {
		add("battery.category", s.l.either("word.batteryCategory."+category, category))
	}
	if kg, ok := digNumber(m, "identification", "batteryMassKg"); ok {
		add("battery.mass", s.l.quantity(kg, "kg"))
	}
	add("battery.manufactured", s.l.date(textOf(item["manufacturingDate"])))
	add("battery.placedOnMarket", s.l.date(textOf(item["placedOnMarketOn"])))
	add("battery.batch", textOf(item["batchId"]))
	if place, ok := dig(m, "identification", "manufacturingPlace", "address"); ok {
		if address, ok := place.(map[string]any); ok {
			add("battery.place", strings.Trim(textOf(address["city"])+", "+s.l.country(textOf(address["country"])), ", "))
		}
	}
	if trade := digText(m, "identification", "manufacturer", "tradeName"); trade != b.Maker {
		add("battery.tradeName", trade)
	}
	if len(s.f.Versions) > 0 {
		add("battery.firstIssued", s.l.day(s.f.Versions[0].IssuedAt.UTC()))
	}
	return b
}

// contact is how to reach the maker.
func (s scan) contact() []value {
	maker, _ := dig(s.model(), "identification", "manufacturer")
	var out []value
	for _, name := range []string{"phone", "email", "website"} {
		if text := digText(maker, name); text != "" {
			out = append(out, s.values().of(name, "", text, 0))
		}
	}
	return out
}

// emergency is the card for who must act within a minute.
type emergency struct {
	Class      string // of chemistry: "Lithium-ion"
	Code       string
	Chemistry  string
	Voltage    string
	HighDC     bool // above 60 V direct current: dangerous to touch (UN ECE R100, high voltage)
	Energy     string
	Mass       string
	Agents     []agent
	Substances []substance
	Warnings   []string
	Documents  []value
	Contact    []value
	Maker      string
}

// agent is an extinguishing agent with the fire classes it is for (EN 2).
type agent struct{ Name, Classes string }

// substance is a hazardous substance with its CLP classes.
type substance struct{ Name, Where, Classes string }

func (s scan) emergency() emergency {
	m := s.model()
	e := emergency{
		Code: digText(m, "materials", "chemistry", "code"), Chemistry: digText(m, "materials", "chemistry", "name"),
		Contact: s.contact(), Maker: digText(m, "identification", "manufacturer", "name"),
	}
	e.Class = s.l.t("chemistry." + chemistryClass(e.Code))
	if volts, ok := digNumber(m, "performance", "voltage", "nominal"); ok {
		e.Voltage = s.l.quantity(volts, "V")
	}
	if most, ok := digRat(m, "performance", "voltage", "max"); ok {
		e.HighDC = most.Cmp(big.NewRat(60, 1)) > 0
	}
	if kwh, ok := digNumber(m, "performance", "nominalEnergyKwh"); ok {
		e.Energy = s.l.quantity(kwh, "kWh")
	}
	if kg, ok := digNumber(m, "identification", "batteryMassKg"); ok {
		e.Mass = s.l.quantity(kg, "kg")
	}
	for _, v := range digList(m, "labels", "extinguishingAgents") {
		e.Agents = append(e.Agents, agent{Name: digText(v, "agent"), Classes: texts(digList(v, "fireClasses"))})
	}
	for _, v := range digList(m, "materials", "hazardousSubstances") {
		e.Substances = append(e.Substances, substance{
			Name: digText(v, "name"), Where: digText(v, "location"), Classes: texts(digList(v, "clp")),
		})
	}
	for _, v := range digList(m, "materials", "substanceImpacts") {
		if warning, ok := v.(map[string]any); ok {
			e.Warnings = append(e.Warnings, s.impact(warning))
		}
	}
	for _, v := range digList(m, "circularity", "endUserInfo", "safeHandling") {
		sheet := s.values().of("safeHandling", "", v, 0)
		sheet.Digest = "" // stands beside the document among all public data
		e.Documents = append(e.Documents, sheet)
	}
	return e
}

// impact writes a hazard or precautionary statement: "H314: Causes …".
func (s scan) impact(m map[string]any) string {
	text := textOf(m["text"])
	for _, v := range digList(m, "translations") {
		if digText(v, "lang") == s.l.code() {
			text = digText(v, "value")
		}
	}
	return strings.Trim(textOf(m["statement"])+": "+text, ": ")
}

func texts(list []any) string {
	var out []string
	for _, v := range list {
		if text := textOf(v); text != "" {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// chemistryClasses maps the beginning of a chemistry code to the class a fire
// brigade thinks in.
var chemistryClasses = []struct{ code, class string }{
	{"NaIon", "sodiumIon"}, {"NaNiCl2", "sodiumNickelChloride"}, {"ZEBRA", "sodiumNickelChloride"},
	{"NiMH", "nickelMetalHydride"}, {"NiCd", "nickelCadmium"}, {"PbA", "leadAcid"}, {"VRFB", "redoxFlow"}, {"ZnBr", "redoxFlow"},
	{"LiS", "lithiumSulfur"}, {"NMC", "lithiumIon"}, {"NCA", "lithiumIon"}, {"NMCA", "lithiumIon"}, {"LNO", "lithiumIon"},
	{"LFP", "lithiumIon"}, {"LMFP", "lithiumIon"}, {"LMO", "lithiumIon"}, {"LNMO", "lithiumIon"}, {"LMR", "lithiumIon"},
	{"LCO", "lithiumIon"}, {"LTO", "lithiumIon"},
}

func chemistryClass(code string) string {
	for _, c := range chemistryClasses {
		if strings.HasPrefix(code, c.code) {
			return c.class
		}
	}
	return "unclassified"
}

// tiles are the five answers most readers came for.
type tiles struct {
	Class, Code, Chemistry, Format string
	Capacity, Energy, Voltage      string
	Carbon                         *carbon
	Recycled                       []recycled
}

// carbon is the carbon footprint per functional unit with its life-cycle
// stages.
type carbon struct {
	PerUnit  string
	Absolute string
	Class    string
	Stages   []segment
}

// recycled is the recycled share of one material of Art. 8(1).
type recycled struct {
	Name, Total     string
	Pre, Post       string // widths in percent of the bar
	PreText, PostOf string
}

func (s scan) tiles(e emergency) tiles {
	m := s.model()
	t := tiles{
		Class: e.Class, Code: e.Code, Chemistry: e.Chemistry, Energy: e.Energy, Voltage: e.Voltage,
		Carbon: s.carbon(), Recycled: s.recycled(),
	}
	if format := digText(m, "materials", "chemistry", "cellFormat"); format != "" {
		t.Format = s.l.either("word.cellFormat."+format, format)
	}
	if ah, ok := digNumber(m, "performance", "ratedCapacityAh"); ok {
		t.Capacity = s.l.quantity(ah, "Ah")
	}
	return t
}

// carbonStages are the life-cycle stages of Annex II(4), in order.
var carbonStages = []string{"rawMaterialAcquisition", "mainProduction", "distribution", "endOfLifeAndRecycling"}

func (s scan) carbon() *carbon {
	footprint, _ := dig(s.model(), "carbonFootprint")
	perUnit, ok := digNumber(footprint, "perFunctionalUnit")
	if !ok {
		return nil
	}
	c := &carbon{PerUnit: s.l.quantity(perUnit, "kgCO2e/kWh"), Class: digText(footprint, "performanceClass")}
	if kg, ok := digNumber(footprint, "absoluteKg"); ok {
		c.Absolute = s.l.quantity(kg, "kgCO2e")
	}
	whole := new(big.Rat)
	for _, id := range carbonStages {
		if share, ok := digRat(footprint, "stages", id); ok && share.Sign() > 0 {
			whole.Add(whole, share)
		}
	}
	if whole.Sign() == 0 {
		return c
	}
	b := bar{s: s, whole: one}
	for i, id := range carbonStages {
		amount, ok := digRat(footprint, "stages", id)
		switch {
		case ok && amount.Sign() > 0:
			b.add("c"+strconv.Itoa(i+1), s.l.t("carbon."+id), "", new(big.Rat).Quo(amount, whole))
		case ok && amount.Sign() < 0: // a credit takes no room in the bar
			n, _ := digNumber(footprint, "stages", id)
			b.segments = append(b.segments, segment{Class: "credit", X: "0%", Width: "0%", Label: s.l.t("carbon." + id), Share: s.l.quantity(n, "kgCO2e/kWh")})
		}
	}
	c.Stages = b.segments
	return c
}

// recycledMaterials are those of Art. 8(1).
var recycledMaterials = []string{"cobalt", "lithium", "nickel", "lead"}

func (s scan) recycled() []recycled {
	list, _ := dig(s.model(), "circularity", "recycledContent")
	var out []recycled
	for _, id := range recycledMaterials {
		entry, ok := element(list, "material", id)
		pre, preOK := digRat(entry, "preConsumerPct")
		post, postOK := digRat(entry, "postConsumerPct")
		if !ok || !preOK || !postOK {
			continue
		}
		pre.Quo(pre, big.NewRat(100, 1))
		post.Quo(post, big.NewRat(100, 1))
		out = append(out, recycled{
			Name: s.l.t("mineral." + id), Total: s.l.percentOf(new(big.Rat).Add(pre, post)),
			Pre: percentText(pre), Post: percentText(post), PreText: s.l.percentOf(pre), PostOf: s.l.percentOf(post),
		})
	}
	return out
}

// event is one line of the passport's history.
type event struct {
	At   time.Time
	When string
	Text string
	Href string
	Link string
}

// history tells what happened to the passport, newest first.
func (s scan) history() []event {
	var out []event
	add := func(at time.Time, text, href, link string) {
		out = append(out, event{At: at, When: s.l.instant(at), Text: text, Href: href, Link: link})
	}
	for _, v := range s.f.Versions {
		n := strconv.Itoa(v.Version)
		key, href, link := "history.amended", s.link(s.path()+"?version="+n), s.l.t("history.show")
		if v.Version == 1 {
			key = "history.issued"
		}
		if v.Version == s.f.View.Version {
			href, link = "", s.l.t("history.shown")
		}
		add(v.IssuedAt, s.l.t(key, "version", n), href, link)
	}
	for _, c := range s.f.View.Standing.History {
		text := s.l.t("history.to."+string(c.To), "by", string(c.Actor))
		if c.Reason != "" {
			text += " " + s.l.t("history.reason", "reason", s.reason(c.Reason))
		}
		add(c.At, text, "", "")
	}
	slices.Reverse(out) // of two at the same instant, the later one first
	slices.SortStableFunc(out, func(a, b event) int { return b.At.Compare(a.At) })
	if id := s.f.View.Standing.Successor; !id.IsZero() {
		next := event{Text: s.l.t("history.successor"), Href: s.link("/p/" + id.String()), Link: id.String()}
		out = slices.Insert(out, 0, next)
	}
	return append(out, s.predecessors()...)
}

// predecessors links the passports that came before this one (Art. 77(7)).
func (s scan) predecessors() []event {
	var out []event
	for _, v := range digList(s.item(), "predecessors") {
		ref := digText(v, "uri")
		e := event{Text: s.l.t("history.predecessor"), Link: ref}
		if id, err := passport.ParseID(ref[strings.LastIndex(ref, "/")+1:]); err == nil {
			e.Href = s.link("/p/" + id.String())
		}
		out = append(out, e)
	}
	return out
}

// reason words a reason code.
func (s scan) reason(code string) string { return s.l.either("reason."+code, code) }

func (s scan) path() string { return "/p/" + s.f.View.PassportID.String() }

// proof is what a reader needs to check without us.
type proof struct {
	Checks  []check
	Records []signed
	Links   []value
	Command string
	Token   string // path of the bare signed passport
	Trust   string
	QR      string
}

// signed is one signed record behind the page.
type signed struct {
	Name, Signer, When, Version string
	Token                       string // path of the bare token
	Keys                        string // path of the signer's DID document
	Digest                      string // SHA-256 of the token, hexadecimal
}

func (s scan) proof() proof {
	id := s.f.View.PassportID.String()
	at := "/v1/passports/" + id
	target := s.f.View.DigitalLink
	if target == "" {
		target = s.f.BaseURL + s.path()
	}
	p := proof{Checks: s.checks(), Command: "provolt verify " + target, QR: at + "/qr.svg"}
	for _, r := range []struct {
		name string
		part *registry.Part
	}{{"record.passport", &s.f.View.Item}, {"record.model", s.f.View.Model}, {"record.batch", s.f.View.Batch}} {
		if r.part != nil {
			p.Records = append(p.Records, s.signed(r.name, r.part))
		}
	}
	version := "?version=" + strconv.Itoa(s.f.View.Version)
	p.Links = []value{
		{Kind: "link", Text: s.l.t("proof.json"), Href: at + version},
		{Kind: "link", Text: s.l.t("proof.verification"), Href: at + "/verification" + version},
		{Kind: "link", Text: s.l.t("proof.trust"), Href: "/v1/trust"},
		{Kind: "link", Text: s.l.t("proof.qr"), Href: p.QR},
	}
	return p
}

func (s scan) signed(name string, p *registry.Part) signed {
	return signed{
		Name: s.l.t(name), Signer: p.Issuer.Name, When: s.l.instant(p.IssuedAt), Version: strconv.Itoa(p.Version),
		Token: "/v1/records/" + p.RecordID.String() + ".sd-jwt", Keys: "/o/" + url.PathEscape(string(p.Issuer.Org)) + "/did.json",
		Digest: fmt.Sprintf("%x", p.TokenDigest),
	}
}

// sketch is the outline of the pack, drawn to scale from its declared
// dimensions, in the view from above one corner.
type sketch struct {
	Width, Height      int    // of the drawing
	Top, Left, Right   string // faces, as SVG points
	Length, Deep, Tall string // labels
	LX, LY             int    // middle of the edge each label belongs to
	DX, DY             int
	TX, TY             int
	Text               string // for who does not see it
}

// sketch draws in whole units of a tenth of a thousandth of the longest side,
// so that no figure is ever a float.
func (s scan) sketch() *sketch {
	size, _ := dig(s.model(), "identification", "dimensionsMm")
	var mm [3]int64
	var text [3]string
	for i, name := range []string{"length", "width", "height"} {
		n, ok := digNumber(size, name)
		r, exactly := exact(n.String())
		if !ok || !exactly || r.Sign() <= 0 || r.Cmp(big.NewRat(100_000, 1)) > 0 {
			return nil
		}
		mm[i], text[i] = max(1, roundHalfUp(r)), s.l.number(json.Number(n.String()))
	}
	return isometric(mm, text, s.l.t("battery.sketch", "length", text[0], "width", text[1], "height", text[2]))
}

// isometric projects a box: x' = (l-w)·cos 30°, y' = (l+w)·sin 30° - h.
func isometric(mm [3]int64, text [3]string, alt string) *sketch {
	const drawn, pad = 260, 14
	length, wide, tall := mm[0], mm[1], mm[2]
	extent := (length + wide) * 866 / 1000
	extent = max(extent, (length+wide)/2+tall, 1)
	px := func(l, w, h int64) (int, int) {
		x := (l + wide - w) * 866 * drawn / 1000 / extent
		y := ((l+w)*500/1000 + tall - h) * drawn / extent
		return int(x) + pad, int(y) + pad
	}
	points := func(corners ...[3]int64) string {
		var b strings.Builder
		for _, c := range corners {
			x, y := px(c[0], c[1], c[2])
			fmt.Fprintf(&b, "%d,%d ", x, y)
		}
		return strings.TrimSpace(b.String())
	}
	mid := func(a, b [3]int64) (int, int) {
		x1, y1 := px(a[0], a[1], a[2])
		x2, y2 := px(b[0], b[1], b[2])
		return (x1 + x2) / 2, (y1 + y2) / 2
	}
	far := [3]int64{length, 0, 0}
	near := [3]int64{length, wide, 0}
	side := [3]int64{0, wide, 0}
	sk := &sketch{
		Top:    points([3]int64{0, 0, tall}, [3]int64{length, 0, tall}, [3]int64{length, wide, tall}, [3]int64{0, wide, tall}),
		Left:   points([3]int64{0, wide, tall}, [3]int64{length, wide, tall}, near, side),
		Right:  points([3]int64{length, wide, tall}, [3]int64{length, 0, tall}, far, near),
		Length: text[0], Deep: text[1], Tall: text[2] + noBreak + "mm", Text: alt,
	}
	sk.LX, sk.LY = mid(side, near)
	sk.DX, sk.DY = mid(near, far)
	sk.TX, sk.TY = mid(far, [3]int64{length, 0, tall})
	right, _ := px(length, 0, 0)
	_, low := px(length, wide, 0)
	sk.Width, sk.Height = right+pad+60, low+pad+10
	return sk
}
