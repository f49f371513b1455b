package web

import (
	"slices"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// section is one section of the catalogue with what the passport says in it.
type section struct {
	ID            string
	Name          string
	Rows          []row
	NotProvided   []string // voluntary attributes the maker left out
	NotApplicable []string // attributes this kind of battery does not have
}

// row is one public attribute.
type row struct {
	Name  string
	Value value
}

// elsewhere are attributes that say nothing beside another block or row.
var elsewhere = []string{"originSummary", "batch.batchId", "carbonFootprintUnit"}

// chapter is a section of the catalogue with the public rows a page lists.
type chapter struct {
	name string
	rows []catalogue.Attribute
}

// chapters sorts the public rows by section, in catalogue order. Rows beneath
// another public row are part of its value. Restricted rows never appear,
// whatever a view holds: the page is public.
func chapters(cat *catalogue.Catalogue) []chapter {
	var out []chapter
	for _, name := range cat.Sections() {
		c := chapter{name: name}
		for _, a := range cat.Attributes() {
			if a.Section == name && a.Tier == passport.Public && !a.Served() && !slices.Contains(elsewhere, a.ID) && !nested(cat, a) {
				c.rows = append(c.rows, a)
			}
		}
		if len(c.rows) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func nested(cat *catalogue.Catalogue, a catalogue.Attribute) bool {
	return slices.ContainsFunc(cat.Of(a.Record), func(b catalogue.Attribute) bool {
		return b.Tier == passport.Public && a.In(b)
	})
}

// sections lists every public attribute by section.
func (s scan) sections() []section {
	triggers := catalogue.TriggersOf(s.model())
	placed := digText(s.item(), "placedOnMarketOn")
	var out []section
	for _, c := range s.chapters {
		sec := section{ID: c.name, Name: s.l.t("section." + c.name)}
		for _, a := range c.rows {
			sec.add(s, a, a.On(a.Duty(triggers), placed))
		}
		out = append(out, sec)
	}
	return out
}

// add files one attribute: stated, declared unknown, missing although owed,
// not provided, or not applicable.
func (sec *section) add(s scan, a catalogue.Attribute, need catalogue.Need) {
	name := a.Label(s.l.code())
	v, stated := s.declared(a)
	switch {
	case stated:
		sec.Rows = append(sec.Rows, row{Name: name, Value: v})
	case need == catalogue.NotApplicable:
		sec.NotApplicable = append(sec.NotApplicable, name)
	case need == catalogue.Mandatory:
		sec.Rows = append(sec.Rows, row{Name: name, Value: s.missing(a)})
	default:
		sec.NotProvided = append(sec.NotProvided, name)
	}
}

// missing says who asks for a mandatory attribute that is not there. The law
// is named only where the catalogue cites it and has confirmed the citation.
func (s scan) missing(a catalogue.Attribute) value {
	key := "state.missingHere"
	if a.LegalReference != "" && !a.Unconfirmed() {
		key = "state.missing"
	}
	return value{Kind: "missing", Text: s.l.t(key)}
}

// declared returns what the records say of a, if they mention it. A null is
// declared unknown, or not applicable if the model gives a reason for it.
func (s scan) declared(a catalogue.Attribute) (value, bool) {
	v, ok := s.find(a)
	if !ok {
		return value{}, false
	}
	if v == nil {
		if reason := digText(s.model(), "notApplicableReason", a.ID); reason != "" {
			return value{Kind: "notApplicable", Text: s.l.t("state.notApplicable"), Note: reason}, true
		}
	}
	return s.values().of(a.Members[len(a.Members)-1], a.Unit, v, 0), true
}

// find follows an attribute's members through its record.
func (s scan) find(a catalogue.Attribute) (any, bool) {
	record := s.part(a.Record)
	if record == nil {
		return nil, false
	}
	return dig(record.Record, a.Members...)
}

// element returns the object of a list whose member key has the value want.
func element(list any, key, want string) (any, bool) {
	items, _ := list.([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok && textOf(m[key]) == want {
			return m, true
		}
	}
	return nil, false
}

// part returns the record of a type as the view holds it, or nil.
func (s scan) part(t passport.RecordType) *registry.Part {
	switch t {
	case passport.Model:
		return s.f.View.Model
	case passport.Batch:
		return s.f.View.Batch
	case passport.Item:
		return &s.f.View.Item
	case passport.Condition:
		return s.f.View.Condition
	}
	return nil
}

// withheldGroup names what one kind of reader may see beyond the public.
type withheldGroup struct {
	Title string // what it is about
	Who   string // who these readers are, and under which point of Annex XIII
	Names []string
}

// withheld names the restricted attributes of every record by tier, never
// their values. Attributes this kind of battery does not have are left out.
func (s scan) withheld() []withheldGroup {
	triggers := catalogue.TriggersOf(s.model())
	var out []withheldGroup
	for _, tier := range passport.Restricted() {
		g := withheldGroup{Title: s.l.t("withheld." + string(tier)), Who: s.l.t("withheld." + string(tier) + ".who")}
		for _, a := range s.restricted() {
			if a.Tier == tier && a.Duty(triggers).Need != catalogue.NotApplicable {
				g.Names = append(g.Names, a.Label(s.l.code()))
			}
		}
		if len(g.Names) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// restricted lists what the records may hold and the view does not show. A
// view without a condition withholds all of it.
func (s scan) restricted() []catalogue.Attribute {
	var out []catalogue.Attribute
	for _, t := range []passport.RecordType{passport.Item, passport.Model, passport.Batch} {
		if p := s.part(t); p != nil {
			out = append(out, p.Withheld...)
		}
	}
	if s.f.View.Condition == nil {
		out = append(out, s.cat.Disclosures(passport.Condition)...)
	}
	return out
}

// heldBack says how many values the signed records hold and the page does not
// show, record by record: a check of the passport alone counts only its own.
func (s scan) heldBack() string {
	total := 0
	var where []string
	for _, t := range []passport.RecordType{passport.Item, passport.Model, passport.Batch} {
		if p := s.part(t); p != nil {
			total += p.WithheldCount
			where = append(where, s.l.t("withheld.in."+string(t), "n", s.l.integer(p.WithheldCount)))
		}
	}
	return s.l.count("withheld.count", total, "where", s.l.join(where))
}
