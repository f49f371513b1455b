// Package catalogue knows every attribute of a battery passport, so that no
// caller needs a list of its own: who may read an attribute, which battery owes
// it since when and under which clause, what it is called, and which JSON
// Schema follows from it. The catalogue is data (schemas/catalogue/1.0.0.json);
// this package only reads it.
//
// # Rulings
//
// The attribute set follows Annex XIII of Regulation (EU) 2023/1542. Where the
// law leaves the start of a duty open, the catalogue decides as follows; all of
// it is data and can be read in the file.
//
//   - A duty with a fixed date (dutyFrom) binds batteries placed on the market
//     on or after that date. A model is sent before anyone knows when its
//     batteries are placed on the market: there the absence is a warning. An
//     item knows its date and is refused when its model lacks what is owed on
//     that day.
//   - The dates of Art. 7 and 8 float ("or so many months after the act,
//     whichever is later"). The fixed part is taken as the date.
//   - A duty whose act fixes the vocabulary and is not adopted (awaitsAct: the
//     carbon footprint performance class) never refuses a record. Its absence
//     is a warning; null is an answer, with a reason beside it.
//   - A row whose duty or date nobody could confirm in the law (confidence
//     "unconfirmed") never refuses a record either: its absence is a warning
//     that says so, also after the date.
//   - Carbon footprint: owed now by EV and industrial batteries, by LMT from
//     2028-08-18, by batteries with exclusively external storage from 2030-08-18.
//   - Recycled content: from 2028-08-18, LMT from 2033-08-18, never for exclusively
//     external storage. Due diligence report: from 2027-08-18.
//   - Point 4 data that a battery earns in use live in condition records. An
//     item registers without one; what a condition must hold is judged when one
//     is sent. What LMT and stationary batteries owe under Annex VII is owed
//     only with a battery management system.
//   - The date of putting into service is owed by LMT and stationary batteries
//     but lies ahead when they are registered: null says "not yet".
//   - A stationary battery with exclusively external storage takes the column
//     of external storage where that differs from other industrial batteries,
//     and the column of stationary systems everywhere else.
//   - A serial number is always owed: the registry keeps passports of single
//     batteries.
//   - A conditional attribute whose condition is no trigger of the catalogue is
//     not demanded here; the cross-record checks of package schema demand it
//     where they can tell.
package catalogue

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/schemas"
)

// Version is the version of the catalogue this build carries, and of the
// schemas made from it.
const Version = "1.0.0"

// Category is a column of applicability. Ev, lmt and industrial are values of
// batteryCategory; the other two are industrial batteries with a trigger set.
type Category string

// The categories.
const (
	EV                  Category = "ev"
	LMT                 Category = "lmt"
	Industrial          Category = "industrial" // more than 2 kWh, neither of the two below
	ExternalStorageOnly Category = "externalStorageOnly"
	StationaryBESS      Category = "stationaryBess"
)

// Categories lists every category in column order.
func Categories() []Category {
	return []Category{EV, LMT, Industrial, ExternalStorageOnly, StationaryBESS}
}

// Need says what a battery of a category owes.
type Need string

// The needs. Later is mandatory from a date (Attribute.DutyFrom) or from an
// act not yet adopted (Attribute.AwaitsAct), and voluntary until then.
const (
	Mandatory     Need = "mandatory"
	Voluntary     Need = "voluntary"
	Conditional   Need = "conditional"
	NotApplicable Need = "notApplicable"
	Later         Need = "later"
)

// Refinement changes what is owed when every one of its triggers has the given
// value: {"when": {"rechargeable": false}, "need": "notApplicable"}. The first
// whose triggers hold decides.
type Refinement struct {
	When       map[string]bool `json:"when"`
	Need       Need            `json:"need"`
	Categories []Category      `json:"categories,omitempty"` // empty: all
}

// Attribute is one row of the catalogue.
type Attribute struct {
	ID      string              `json:"id"`   // stable; names the attribute in grants, logs of reads and disclosures
	Path    string              `json:"path"` // "model.performance.voltage.min", "batch.origins[].lotId"; "served." and "derived." are no record members
	Record  passport.RecordType `json:"-"`    // empty for served and derived rows
	Members []string            `json:"-"`    // Path below the record: "performance", "voltage", "min"; an array element is "[]" or, by its key, "[nickel]"

	// Elements marks an array that is disclosed one element at a time.
	Elements bool `json:"elements,omitempty"`
	// Key is the member that tells the elements of an array apart: material
	// in recycledContent[nickel]. The row of the array names it; the rows
	// beneath inherit it.
	Key string `json:"key,omitempty"`

	Section        string            `json:"section"`
	Name           map[string]string `json:"name"` // by language: "en", "de"
	Tier           passport.Tier     `json:"tier"`
	Level          string            `json:"level"`              // model, batch, item
	JSONType       string            `json:"jsonType"`           // "number", "object(Party)"
	Unit           string            `json:"unit,omitempty"`     // as people write it: "Ah", "kgCO2e/kWh"
	Enum           []string          `json:"enum,omitempty"`     // known values
	OpenEnum       bool              `json:"openEnum,omitempty"` // other values are allowed
	Dynamic        bool              `json:"dynamic"`
	UpdateRule     string            `json:"updateRule,omitempty"` // "onEvent", "onStatusChange", "upToDate"
	LegalReference string            `json:"legalReference,omitempty"`
	Requirement    string            `json:"requirement"`
	DINClause      string            `json:"dinClause,omitempty"` // of DIN DKE SPEC 99100:2025-02
	LonglistNo     string            `json:"longlistNo,omitempty"`
	Source         string            `json:"source"`     // longlist, din, regulation, registry
	Confidence     string            `json:"confidence"` // seen in the law, unconfirmed, or own to this registry
	Note           string            `json:"note,omitempty"`

	Need      map[Category]Need   `json:"need"`
	Refine    []Refinement        `json:"refine,omitempty"`
	DutyFrom  map[Category]string `json:"dutyFrom,omitempty"` // ISO date
	AwaitsAct bool                `json:"awaitsAct,omitempty"`
	Trigger   bool                `json:"trigger,omitempty"`  // decides what other attributes are owed
	Nullable  bool                `json:"nullable,omitempty"` // null is an answer

	// Schema is the JSON Schema of the value. A row beneath another row has
	// none of its own: the shared type of the row above describes it.
	Schema map[string]any `json:"schema,omitempty"`
}

// Restricted reports whether reading the attribute needs a grant.
func (a Attribute) Restricted() bool { return a.Tier != passport.Public }

// Unconfirmed reports whether the duty or its date was recalled and not seen in
// the law. Nothing may be refused for want of such an attribute.
func (a Attribute) Unconfirmed() bool { return a.Confidence == "unconfirmed" }

// Served reports whether the row is no member of a record: the registry
// serves it beside the record or derives it.
func (a Attribute) Served() bool { return a.Record == "" }

// In reports whether a lies below b in the same record.
func (a Attribute) In(b Attribute) bool {
	return a.Record == b.Record && len(a.Members) > len(b.Members) && under(a.Members, b.Members)
}

// under reports whether path begins with prefix, where any element selector
// matches any other: [nickel] lies under [].
func under(path, prefix []string) bool {
	for i, m := range prefix {
		if path[i] != m && (!selector(path[i]) || !selector(m)) {
			return false
		}
	}
	return true
}

func selector(member string) bool { return strings.HasPrefix(member, "[") }

// Catalogue is the attribute catalogue. It is read-only after Load and safe
// for concurrent use.
type Catalogue struct {
	attributes  []Attribute
	byID        map[string]int
	byRecord    map[passport.RecordType][]Attribute
	disclosures map[passport.RecordType][]Attribute
	types       map[string]any // $defs shared by the schemas
	origin      []string       // names of the types that make up an origin statement
}

// document is the form of schemas/catalogue/1.0.0.json.
type document struct {
	Version    string      `json:"version"`
	Attributes []Attribute `json:"attributes"`
}

// typesDocument is the form of schemas/catalogue/types-1.0.0.json.
type typesDocument struct {
	Version         string         `json:"version"`
	OriginStatement []string       `json:"originStatement"`
	Defs            map[string]any `json:"$defs"`
}

// Load reads the catalogue this build carries. An error means the build is
// broken: a row without a tier, two rows for one path, a restricted member in
// a public container.
func Load() (*Catalogue, error) { return load(schemas.FS) }

func load(files fs.FS) (*Catalogue, error) {
	var doc document
	if err := read(files, "catalogue/"+Version+".json", &doc); err != nil {
		return nil, err
	}
	var types typesDocument
	if err := read(files, "catalogue/types-"+Version+".json", &types); err != nil {
		return nil, err
	}
	c := &Catalogue{
		attributes: doc.Attributes, byID: map[string]int{},
		byRecord: map[passport.RecordType][]Attribute{}, disclosures: map[passport.RecordType][]Attribute{},
		types: types.Defs, origin: types.OriginStatement,
	}
	if err := c.index(); err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", Version, err)
	}
	return c, nil
}

// read decodes strictly and keeps numbers as text: bounds in schemas are never
// a float64.
func read(files fs.FS, name string, into any) error {
	f, err := files.Open(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	dec := json.NewDecoder(f)
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// index reads the paths, fills the look-ups and refuses rows that are wrong.
func (c *Catalogue) index() error {
	paths := map[string]string{}
	for i := range c.attributes {
		a := &c.attributes[i]
		a.Record, a.Members = splitPath(a.Path)
		if err := a.check(); err != nil {
			return err
		}
		if _, dup := c.byID[a.ID]; dup {
			return fmt.Errorf("two rows have the id %s", a.ID)
		}
		if other, dup := paths[a.Path]; dup && !a.Served() {
			return fmt.Errorf("rows %s and %s have the path %s", other, a.ID, a.Path)
		}
		c.byID[a.ID], paths[a.Path] = i, a.ID
	}
	for i := range c.attributes {
		a := &c.attributes[i]
		if parent, ok := nearest(c.attributes, *a); ok && a.Key == "" {
			a.Key = parent.Key
		}
		if !a.Served() {
			c.byRecord[a.Record] = append(c.byRecord[a.Record], *a)
		}
	}
	return c.tiers()
}

// tiers finds the disclosures and refuses a container whose members belong to
// other readers than itself.
func (c *Catalogue) tiers() error {
	for t, rows := range c.byRecord {
		for _, a := range rows {
			parent, nested := nearest(rows, a)
			if nested && parent.Tier != a.Tier {
				return fmt.Errorf("row %s is %s inside %s, which is %s", a.ID, a.Tier, parent.ID, parent.Tier)
			}
			if a.Restricted() && !nested {
				c.disclosures[t] = append(c.disclosures[t], a)
			}
		}
	}
	return nil
}

func (a *Attribute) check() error {
	tiers := append(passport.Restricted(), passport.Public)
	switch {
	case a.ID == "" || a.Path == "":
		return fmt.Errorf("row %q has no id or path", a.ID+a.Path)
	case !slices.Contains(tiers, a.Tier):
		return fmt.Errorf("row %s has the tier %q", a.ID, a.Tier)
	case a.Name["en"] == "" || a.Name["de"] == "":
		return fmt.Errorf("row %s lacks a name in English or German", a.ID)
	case a.Elements && !a.Restricted():
		return fmt.Errorf("row %s is public and cannot be disclosed by element", a.ID)
	}
	for _, category := range Categories() {
		switch a.Need[category] {
		case Mandatory, Voluntary, Conditional, NotApplicable:
		case Later:
			if a.DutyFrom[category] == "" {
				return fmt.Errorf("row %s is due later for %s but names no date", a.ID, category)
			}
		default:
			return fmt.Errorf("row %s says %q for %s", a.ID, a.Need[category], category)
		}
	}
	return nil
}

// splitPath takes "batch.origins[].stages[].country" apart.
func splitPath(path string) (passport.RecordType, []string) {
	record, rest, _ := strings.Cut(path, ".")
	t := passport.RecordType(record)
	if !slices.Contains(passport.RecordTypes(), t) {
		return "", nil
	}
	var members []string
	for part := range strings.SplitSeq(rest, ".") {
		name, sel, array := strings.Cut(part, "[")
		members = append(members, name)
		if array {
			members = append(members, "["+sel)
		}
	}
	return t, members
}

// nearest returns the row closest above a.
func nearest(rows []Attribute, a Attribute) (Attribute, bool) {
	var parent Attribute
	found := false
	for _, b := range rows {
		if a.In(b) && (!found || len(b.Members) > len(parent.Members)) {
			parent, found = b, true
		}
	}
	return parent, found
}

// Attributes returns every row in catalogue order.
func (c *Catalogue) Attributes() []Attribute { return slices.Clone(c.attributes) }

// Of returns the rows that are members of a record type, in catalogue order.
func (c *Catalogue) Of(t passport.RecordType) []Attribute { return slices.Clone(c.byRecord[t]) }

// Attribute returns the row with this id.
func (c *Catalogue) Attribute(id string) (Attribute, bool) {
	i, ok := c.byID[id]
	if !ok {
		return Attribute{}, false
	}
	return c.attributes[i], true
}

// Disclosures returns the restricted rows of a record type that are one SD-JWT
// disclosure each (or, with Elements, one for each element of the array), in
// catalogue order. Their Members are plain member names; restricted rows
// beneath them share the tier and are no disclosures of their own.
func (c *Catalogue) Disclosures(t passport.RecordType) []Attribute {
	return slices.Clone(c.disclosures[t])
}

// TierAt returns who may read the value at members (array elements as "[]")
// of a record: the tier of the row there or of the nearest row above. A
// container without a row of its own, such as performance, has no tier; its
// members have.
func (c *Catalogue) TierAt(t passport.RecordType, members ...string) (passport.Tier, bool) {
	at := Attribute{Record: t, Members: members}
	for _, a := range c.byRecord[t] {
		if len(a.Members) == len(members) && under(members, a.Members) {
			return a.Tier, true
		}
	}
	parent, ok := nearest(c.byRecord[t], at)
	return parent.Tier, ok
}

// Sections returns the section names in the order in which the catalogue
// first uses them.
func (c *Catalogue) Sections() []string {
	var out []string
	seen := map[string]bool{}
	for _, a := range c.attributes {
		if !seen[a.Section] {
			seen[a.Section] = true
			out = append(out, a.Section)
		}
	}
	return out
}

// Label returns the attribute's name in the language, or in English.
func (a Attribute) Label(lang string) string {
	if name := a.Name[lang]; name != "" {
		return name
	}
	return a.Name["en"]
}

// Languages lists the languages every row is named in.
func (c *Catalogue) Languages() []string {
	return slices.Sorted(maps.Keys(c.attributes[0].Name))
}

// Each calls visit for every row of a record type, in catalogue order.
func (c *Catalogue) Each(t passport.RecordType, visit func(Attribute)) {
	for _, a := range c.byRecord[t] {
		visit(a)
	}
}
