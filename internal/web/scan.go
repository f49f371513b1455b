package web

import (
	"fmt"
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
	l        *locale
	cat      *catalogue.Catalogue
	chapters []chapter
	f        facts
	link     func(path string) string // to another page of ours, in the language chosen
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
	HeldBack  string
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
	p := proof{Checks: s.checks(), Command: "provolt verify " + target}
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
		{Kind: "link", Text: s.l.t("proof.qr"), Href: at + "/qr.svg"},
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
