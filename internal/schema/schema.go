// Package schema decides whether a record may be issued, so that no caller
// needs to know JSON Schema, the attribute catalogue or the law's arithmetic.
// What leaves Check is complete for its battery category, of the published
// shape, and consistent in itself and with the records it pins.
//
// The library that reads JSON Schema stays behind this package. The schemas are
// compiled once from the binary; a reference to a file or an address outside
// it does not compile, so validation never opens a file or a connection.
package schema

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/schemas"
)

// Version is the version of the schemas this build validates with.
const Version = catalogue.Version

// URL returns the address of a record type's published schema on a registry
// with this base URL (no trailing slash).
func URL(base string, t passport.RecordType, presented bool) string {
	return base + "/schemas/" + Version + "/" + catalogue.SchemaFile(t, presented)
}

// Validator judges records. It is safe for concurrent use.
type Validator struct {
	catalogue *catalogue.Catalogue
	issuing   map[passport.RecordType]*compiled
	presented map[passport.RecordType]*compiled
}

// New compiles the schemas this build carries. An error means the build is
// broken.
func New(cat *catalogue.Catalogue) (*Validator, error) {
	set, err := loadSchemas(schemas.FS, Version)
	if err != nil {
		return nil, fmt.Errorf("schemas %s: %w", Version, err)
	}
	v := &Validator{
		catalogue: cat,
		issuing:   map[passport.RecordType]*compiled{}, presented: map[passport.RecordType]*compiled{},
	}
	for _, t := range passport.RecordTypes() {
		if v.issuing[t], err = set.compile(catalogue.SchemaFile(t, false)); err != nil {
			return nil, err
		}
		if v.presented[t], err = set.compile(catalogue.SchemaFile(t, true)); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Context is what a record is judged with.
type Context struct {
	// Prefix is the JSON Pointer of the record in the body that was sent:
	// "/passport". It is put before every pointer.
	Prefix string
	// Model and Batch are the records that this one pins or is sent with; nil
	// when there is none. An item and a condition are judged by the triggers
	// of their model; without one, what depends on them is undecidable.
	Model, Batch map[string]any
	// At is when the record is judged; zero: nothing is judged by the clock.
	At time.Time
}

// Checked is a record that passed Check. The zero Checked is none.
type Checked struct {
	recordType passport.RecordType
	record     map[string]any
	digest     [sha256.Size]byte
}

// Type returns the type of the record.
func (c Checked) Type() passport.RecordType { return c.recordType }

// Record returns the record as it is to be signed: what was sent, with the day
// dropped from a manufacturing date. It is shared; callers must not change it.
func (c Checked) Record() map[string]any { return c.record }

// Digest is the SHA-256 of the record's RFC 8785 form. It tells equal content
// apart inside the registry and is never published: whoever guesses withheld
// values could confirm the guess.
func (c Checked) Digest() [sha256.Size]byte { return c.digest }

// IsZero reports whether c is none.
func (c Checked) IsZero() bool { return c.recordType == "" }

// Check judges a record that is to be issued: its shape (codes schema.*), the
// values of identifiers, dates and codes, what its category owes (attribute.*)
// and what must hold between members and records. It returns all violations at
// once, ordered by pointer; any that blocks leaves Checked zero.
//
// The document is a tree from strictjson.Parse, whose bounds on size and
// numbers it relies on. It is not changed, and Checked shares it.
//
// The codes of duties: attribute.missing (blocks, with the legal reference;
// warns where the catalogue has not confirmed the duty or its date),
// attribute.dueLater and attribute.awaitsAct (owed from a date, or once an act
// exists), attribute.undecidable (a trigger that decides is absent),
// attribute.notApplicable (given, but not for this battery),
// attribute.unexplained (null without a reason), attribute.unknownValue (not
// in an open list).
func (v *Validator) Check(t passport.RecordType, doc map[string]any, ctx Context) (Checked, []passport.Violation) {
	shape, ok := v.issuing[t]
	if !ok {
		return Checked{}, []passport.Violation{{
			Pointer: ctx.Prefix, Code: "record.unknownType", Severity: passport.Blocking,
			Expected: "model, batch, passport or condition", Found: passport.Quote(string(t)),
		}}
	}
	found := merge(shape.validate(doc), v.duties(t, doc, ctx), cross(t, doc, ctx))
	for i := range found {
		found[i].Pointer = ctx.Prefix + found[i].Pointer
	}
	if passport.Blocks(found) {
		return Checked{}, found
	}
	record := normal(t, doc)
	canonical, err := strictjson.Canonical(record)
	if err != nil {
		return Checked{}, append(found, passport.ViolationAt(ctx.Prefix, err))
	}
	return Checked{recordType: t, record: record, digest: sha256.Sum256(canonical)}, found
}

// CheckPresented judges the shape of a record as a reader sees it, with
// restricted members withheld or not, and with the id and type of a credential
// subject. It says nothing about duties: those were judged when it was issued.
func (v *Validator) CheckPresented(t passport.RecordType, doc map[string]any) []passport.Violation {
	shape, ok := v.presented[t]
	if !ok {
		return []passport.Violation{{
			Code: "record.unknownType", Severity: passport.Blocking,
			Expected: "model, batch, passport or condition", Found: passport.Quote(string(t)),
		}}
	}
	return merge(shape.validate(doc), nil, nil)
}

// cross calls the checks between members and between records.
func cross(t passport.RecordType, doc map[string]any, ctx Context) []passport.Violation {
	switch t {
	case passport.Model:
		return crossModel(doc)
	case passport.Batch:
		return crossBatch(doc, ctx.Model, ctx.At)
	case passport.Item:
		return crossItem(doc, ctx.Model, ctx.Batch, ctx.At)
	case passport.Condition:
		return crossCondition(doc, ctx.Model, ctx.At)
	}
	return nil
}

// normal returns the record to sign. The law asks for month and year of
// manufacture (Annex VI A(4)); a day would say more than it has to.
func normal(t passport.RecordType, doc map[string]any) map[string]any {
	const month = len("2027-02")
	made, _ := doc["manufacturingDate"].(string)
	if t != passport.Item || len(made) <= month {
		return doc
	}
	out := maps.Clone(doc)
	out["manufacturingDate"] = made[:month]
	return out
}

// merge joins what the judges found. Where several speak of one fault, the one
// that says most remains: the catalogue, with the legal reference, over a
// required member of the schema; the cross-field checks over the check of a
// single value, and that over a pattern.
func merge(f faults, duties, crossed []passport.Violation) []passport.Violation {
	owed := map[string]bool{} // pointers of what is missing, and of the containers around it
	for _, d := range duties {
		if d.Code != codeMissing || d.Severity != passport.Blocking {
			continue // a warning stands in for no fault of the shape
		}
		for at := d.Pointer; at != "" && !owed[at]; at = at[:strings.LastIndexByte(at, '/')] {
			owed[at] = true
		}
	}
	spoken := map[string]bool{}
	for _, c := range crossed {
		spoken[c.Pointer] = spoken[c.Pointer] || c.Severity == passport.Blocking
	}
	var out []passport.Violation
	for _, v := range f.values {
		if !spoken[v.Pointer] {
			out = append(out, v)
		}
	}
	for _, v := range f.values {
		spoken[v.Pointer] = true
	}
	for _, s := range f.shape {
		if s.Code == "schema.required" && owed[s.Pointer] || s.Code == "schema.pattern" && spoken[s.Pointer] {
			continue
		}
		out = append(out, s)
	}
	out = append(append(out, duties...), crossed...)
	slices.SortStableFunc(out, func(a, b passport.Violation) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Code, b.Code))
	})
	return out
}
