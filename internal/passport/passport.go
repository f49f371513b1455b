// Package passport knows what the nouns of a battery passport are: records,
// identifiers, parties, tiers and violations. Callers never check an
// identifier again: a value of a type in this package is valid by
// construction.
package passport

import "slices"

// RecordType names one of the immutable record types of the registry.
type RecordType string

// The record types. An item passport is called "passport" everywhere.
const (
	Model     RecordType = "model"     // all that is equal for every pack of a model, per plant
	Batch     RecordType = "batch"     // origins of one production period
	Item      RecordType = "passport"  // one battery; pins its model and batch
	Condition RecordType = "condition" // dynamic data of one battery
)

// RecordTypes lists every record type in the order in which records depend
// on each other.
func RecordTypes() []RecordType { return []RecordType{Model, Batch, Item, Condition} }

// Tier is the group of readers an attribute is meant for, after Annex XIII
// of Regulation (EU) 2023/1542. Tiers are not nested: a grant names the set
// of tiers it opens.
type Tier string

// The tiers. Point2 to Point4 are the points of Annex XIII; Origin is the
// registry's own tier for mineral provenance (Art. 52(2) confidentiality).
const (
	Public Tier = "public"
	Point2 Tier = "point2"
	Point3 Tier = "point3"
	Point4 Tier = "point4"
	Origin Tier = "origin"
)

// Restricted lists the tiers that need a grant, in a fixed order.
func Restricted() []Tier { return []Tier{Point2, Point3, Point4, Origin} }

// Tiers is a set of restricted tiers. The public tier is always readable and
// never a member. The zero value is the public reader.
type Tiers uint8

// TiersOf returns the set of the given tiers; unknown ones are ignored.
func TiersOf(tiers ...Tier) Tiers {
	var set Tiers
	for _, t := range tiers {
		if i := slices.Index(Restricted(), t); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// AllTiers is every restricted tier.
func AllTiers() Tiers { return TiersOf(Restricted()...) }

// Has reports whether the set opens the tier. Public is always open.
func (s Tiers) Has(t Tier) bool { return t == Public || s&TiersOf(t) != 0 }

// Union returns the tiers in s or o.
func (s Tiers) Union(o Tiers) Tiers { return s | o }

// Intersect returns the tiers in both s and o.
func (s Tiers) Intersect(o Tiers) Tiers { return s & o }

// List returns the members in the order of Restricted.
func (s Tiers) List() []Tier {
	var out []Tier
	for _, t := range Restricted() {
		if s.Has(t) {
			out = append(out, t)
		}
	}
	return out
}

// Severity says whether a violation keeps a record from being issued.
type Severity string

// Blocking violations refuse the record; warnings travel with the receipt.
const (
	Blocking Severity = "blocking"
	Warning  Severity = "warning"
)

// Violation is one fault of a document, complete enough for its author to
// mend it without asking: where it is, what was expected, what was found and
// how to repair it.
type Violation struct {
	Pointer        string   `json:"pointer"` // RFC 6901, into the body that was sent
	Code           string   `json:"code"`    // stable, dotted: "attribute.missing", "gtin.checkDigit"
	Severity       Severity `json:"severity"`
	Expected       string   `json:"expected,omitempty"`
	Found          string   `json:"found,omitempty"`
	Repair         string   `json:"repair,omitempty"`
	LegalReference string   `json:"legalReference,omitempty"`
}

// Blocks reports whether any of the violations refuses the record.
func Blocks(violations []Violation) bool {
	return slices.ContainsFunc(violations, func(v Violation) bool { return v.Severity == Blocking })
}
