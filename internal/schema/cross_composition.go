package schema

import (
	"math/big"
	"slices"
	"strings"
)

// A battery's composition names its materials in words, formulas and CAS
// numbers. From them this file derives how much of each mineral the battery
// holds: not a figure but a range, because an alloy or a mixture tells only
// between what bounds its content lies. A statement is contradicted only
// where it lies outside the range.

// span is a range of a quantity, both ends included.
type span struct{ low, high *big.Rat }

func exactly(r *big.Rat) span { return span{r, r} }

func (s span) plus(o span) span { return span{sum(s.low, o.low), sum(s.high, o.high)} }

func (s span) times(mass *big.Rat) span { return span{product(s.low, mass), product(s.high, mass)} }

// grain is what contents are kept to: a microgram.
var grain = decimal("0.000000001")

// coarse widens the range to whole grains. Without it the denominators of
// atomic weights pile up, and a long list of odd formulas takes hours to add.
func (s span) coarse() span {
	low, high := ratio(s.low, grain), ratio(s.high, grain)
	down := new(big.Int).Div(low.Num(), low.Denom())
	up := new(big.Int).Neg(new(big.Int).Div(new(big.Int).Neg(high.Num()), high.Denom()))
	return span{product(new(big.Rat).SetInt(down), grain), product(new(big.Rat).SetInt(up), grain)}
}

// substance is a material that the words of a name tell: a compound by its
// formula, graphite, or something of which only bounds are known.
type substance struct {
	phrase  string
	formula formula         // nil where the content is given as bounds
	kind    string          // of graphite: natural, synthetic or unspecified
	bounds  map[string]span // by element symbol, share of mass
}

// lexiconEntry is one row of the dictionary of material names.
type lexiconEntry struct {
	phrases []string // normalised beginnings of words, in the languages data sheets come in
	formula string
	bounds  map[string][2]string
}

// lexicon is searched in order, and a phrase that was found is not searched
// again: compounds stand before the metals their names contain. The bounds
// are wide on purpose; they only have to hold. An entry without formula and
// bounds is known to hold no mineral in quantity.
var lexicon = []lexiconEntry{
	{phrases: []string{"nmc111", "nmc 111", "nmc333"}, formula: "LiNi1/3Mn1/3Co1/3O2"},
	{phrases: []string{"nmc532", "nmc 532"}, formula: "LiNi0.5Mn0.3Co0.2O2"},
	{phrases: []string{"nmc622", "nmc 622"}, formula: "LiNi0.6Mn0.2Co0.2O2"},
	{phrases: []string{"nmc811", "nmc 811"}, formula: "LiNi0.8Mn0.1Co0.1O2"},
	{phrases: []string{"lithium iron phosphate", "lithium ferrophosphate", "lithiumeisenphosphat", "lfp"}, formula: "LiFePO4"},
	{phrases: []string{"lithium nickel manganese oxide", "lithium manganese nickel oxide"}, formula: "LiNi0.5Mn1.5O4"},
	{phrases: []string{"lithium cobalt oxide", "lithium cobaltate", "lithiumcobaltoxid"}, formula: "LiCoO2"},
	{phrases: []string{"lithium manganese oxide", "lithium manganate"}, formula: "LiMn2O4"},
	{phrases: []string{"lithium titanate", "lithium titanium oxide", "lithiumtitanat"}, formula: "Li4Ti5O12"},
	{phrases: []string{"lithium hexafluorophosphate", "lithiumhexafluorophosphat"}, formula: "LiPF6"},
	{
		phrases: []string{"lithium nickel manganese cobalt", "lithium nickel cobalt manganese", "lithiumnickelmangancobalt", "nmc", "ncm"},
		bounds:  map[string][2]string{"Li": {"0.05", "0.11"}, "Ni": {"0.1", "0.6"}, "Mn": {"0", "0.4"}, "Co": {"0", "0.4"}},
	},
	{phrases: []string{"lithium nickel cobalt alumin", "nca"}, bounds: map[string][2]string{"Li": {"0.05", "0.11"}, "Ni": {"0.4", "0.6"}, "Co": {"0", "0.2"}, "Al": {"0", "0.05"}}},
	{phrases: []string{"lithium nickel", "lithium mixed"}, bounds: map[string][2]string{"Li": {"0.03", "0.11"}, "Ni": {"0", "0.61"}, "Mn": {"0", "0.61"}, "Co": {"0", "0.61"}}},
	{phrases: []string{"silicon suboxide", "silicon monoxide", "silicon oxide", "siox"}, formula: "SiO"},
	{phrases: []string{"silicone", "silikon"}},
	{phrases: []string{"silicon", "silizium"}, formula: "Si"},
	{phrases: []string{"stainless steel", "edelstahl"}, bounds: map[string][2]string{"Fe": {"0.5", "0.9"}, "Ni": {"0", "0.25"}, "Mn": {"0", "0.1"}}},
	{phrases: []string{"steel", "stahl", "acier", "acero", "acciaio"}, bounds: map[string][2]string{"Fe": {"0.9", "1"}, "Ni": {"0", "0.02"}, "Mn": {"0", "0.02"}}},
	{phrases: []string{"brass", "messing", "bronze"}, bounds: map[string][2]string{"Cu": {"0.5", "0.97"}, "Zn": {"0", "0.45"}, "Sn": {"0", "0.15"}}},
	{phrases: []string{"copper", "kupfer", "cuivre", "cobre"}, formula: "Cu"},
	{phrases: []string{"aluminium", "aluminum", "aluminio", "alluminio"}, formula: "Al"},
	{phrases: []string{"nickel"}, formula: "Ni"},
	{phrases: []string{"iron", "eisen"}, formula: "Fe"},
	{phrases: []string{"lithium metal", "lithium foil"}, formula: "Li"},
	{phrases: []string{"ceramic", "keramik", "thermal interface", "gap filler", "potting"}, bounds: map[string][2]string{"Al": {"0", "0.4"}, "Si": {"0", "0.4"}}},
	{
		phrases: []string{"electronic", "elektronik", "bms", "circuit", "pcb", "wiring", "harness", "cable", "kabel", "sensor", "relay", "contactor", "fuse"},
		bounds:  map[string][2]string{"Cu": {"0", "0.6"}, "Al": {"0", "0.3"}, "Ni": {"0", "0.05"}, "Fe": {"0", "0.5"}, "Sn": {"0", "0.1"}, "Si": {"0", "0.2"}},
	},
	{phrases: []string{
		"plastic", "kunststoff", "polymer", "polypropylene", "polyethylene", "polyamide", "rubber", "foam", "glass", "mica", "paper", "wood",
		"binder", "pvdf", "cmc", "sbr", "carbon black", "conductive carbon", "conductive additive", "separator", "coolant", "thermal", "adhesive", "glue",
		"sealant", "tape", "water", "solvent", "glycol", "other", "paint", "coating", "label",
	}},
}

// compounds are the substances known by their CAS registry number.
var compounds = map[string]string{
	"7440-50-8":   "Cu",
	"7429-90-5":   "Al",
	"7440-02-0":   "Ni",
	"7439-89-6":   "Fe",
	"7439-92-1":   "Pb",
	"7439-93-2":   "Li",
	"7440-66-6":   "Zn",
	"7440-31-5":   "Sn",
	"7440-21-3":   "Si",
	"113443-18-8": "SiO",
	"10097-28-6":  "SiO",
	"21324-40-3":  "LiPF6",
	"15365-14-7":  "LiFePO4",
	"12190-79-3":  "LiCoO2",
	"12057-17-9":  "LiMn2O4",
	"12031-65-1":  "LiNiO2",
	"12031-95-2":  "Li4Ti5O12",
	"1309-60-0":   "PbO2",
}

const graphiteCAS = "7782-42-5"

// normalised lowers a name and turns everything but letters and digits into
// single spaces, with one at each end.
func normalised(name string) string {
	var b strings.Builder
	for _, field := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r < 0x80
	}) {
		b.WriteString(" " + field)
	}
	return b.String() + " "
}

// substancesIn finds the materials that the words of a name tell.
func substancesIn(name string) []substance {
	if len(name) > maxName {
		return nil
	}
	var (
		text = normalised(name)
		out  []substance
	)
	if strings.Contains(text, " graphit") || strings.Contains(text, "graphite ") {
		out = append(out, substance{phrase: "graphite", formula: graphiteFormula, kind: graphiteKind(text)})
	}
	for _, entry := range lexicon {
		for _, phrase := range entry.phrases {
			if strings.Contains(text, " "+phrase) {
				text = strings.ReplaceAll(text, " "+phrase, " ")
				out = append(out, entry.substance(phrase))
				break
			}
		}
	}
	return out
}

func graphiteKind(text string) string {
	switch {
	case strings.Contains(text, "synthe"), strings.Contains(text, "artificial"):
		return synthetic
	case strings.Contains(text, "natural"), strings.Contains(text, "natur"), strings.Contains(text, "flake"):
		return natural
	default:
		return unspecified
	}
}

func (e lexiconEntry) substance(phrase string) substance {
	s := substance{phrase: phrase}
	if e.formula != "" {
		s.formula, _ = parseFormula(e.formula)
		return s
	}
	s.bounds = map[string]span{}
	for element, b := range e.bounds {
		s.bounds[element] = span{decimal(b[0]), decimal(b[1])}
	}
	return s
}

// The kinds of graphite. They are told apart because lots are: synthetic
// graphite has no mine.
const (
	natural     = "graphite.natural"
	synthetic   = "graphite.synthetic"
	unspecified = "graphite.unspecified"
)

// shares returns what a unit of mass of the substance holds of each mineral.
func (s substance) shares() map[string]span {
	switch {
	case s.kind != "":
		return map[string]span{s.kind: exactly(big.NewRat(1, 1))}
	case s.formula == nil:
		return s.bounds
	case !s.formula.hasNonmetal() && len(s.formula) > 1: // an alloy designation
		return loosened(formulaShares(s.formula, big.NewRat(1, 1)))
	default:
		return formulaShares(s.formula, nil)
	}
}

// formulaShares returns the mass fractions of the minerals of a compound, or
// the same given share for each of them.
func formulaShares(f formula, given *big.Rat) map[string]span {
	out := map[string]span{}
	for _, e := range minerals {
		switch {
		case f.atoms(e).Sign() == 0:
		case given != nil:
			out[e] = exactly(given)
		default:
			out[e] = exactly(f.massFraction(e))
		}
	}
	return out
}

// loosened lowers the lower bounds to nothing: of a mixture only the upper
// bounds hold.
func loosened(shares map[string]span) map[string]span {
	out := map[string]span{}
	for key, s := range shares {
		out[key] = span{new(big.Rat), s.high}
	}
	return out
}

// contents is what a battery holds by its composition, in kilograms.
type contents struct {
	minerals map[string]span // by element symbol or kind of graphite
	opaque   *big.Rat        // mass whose content nothing tells: unknown names, and what the list leaves out
}

// of returns the range for a mineral; known is false where no named material
// holds any of it.
func (c contents) of(keys ...string) (s span, known bool) {
	s = exactly(new(big.Rat))
	for _, key := range keys {
		if part, ok := c.minerals[key]; ok {
			s = s.plus(part)
		}
	}
	return s, s.high.Sign() > 0
}

// electrolyteBounds is what a liquid electrolyte holds at most: 2 mol of a
// lithium salt in a litre of 1.2 to 1.3 kg, as LiPF6 (151.9 g/mol) for
// phosphorus and as LiBF4 (93.7 g/mol) for lithium.
var electrolyteBounds = map[string]span{
	"Li": {new(big.Rat), decimal("0.02")},
	"P":  {new(big.Rat), decimal("0.06")},
}

const conductingSalt = "LiPF6"

// composed derives what the battery holds from composition.materials[], with
// the masses of materials.hazardousSubstances[] for the salt in a mixture.
func composed(model place) contents {
	c := contents{minerals: map[string]span{}, opaque: new(big.Rat)}
	total := new(big.Rat)
	cathode := electrodeFormulas(model.at("materials", "chemistry", "cathode").text())
	salt := declaredSalt(model)
	for _, m := range model.at("composition", "materials").elements() {
		mass := m.at("massKg").number()
		if !positive(mass) {
			continue
		}
		total.Add(total, mass)
		shares, recognised := materialShares(m, cathode, salt != nil)
		if !recognised {
			c.opaque.Add(c.opaque, mass)
		}
		c.add(shares, mass)
	}
	if salt != nil && total.Sign() > 0 {
		salted, _ := parseFormula(conductingSalt)
		c.add(formulaShares(salted, nil), salt)
	}
	if battery := model.at("identification", "batteryMassKg").number(); positive(battery) && battery.Cmp(total) > 0 {
		c.opaque.Add(c.opaque, difference(battery, total))
	}
	return c
}

func (c contents) add(shares map[string]span, mass *big.Rat) {
	for key, share := range shares {
		held, ok := c.minerals[key]
		if !ok {
			held = exactly(new(big.Rat))
		}
		c.minerals[key] = held.plus(share.times(mass).coarse())
	}
}

// declaredSalt returns the mass of the conducting salt by the list of
// hazardous substances, unless the composition lists the salt itself.
func declaredSalt(model place) *big.Rat {
	for _, m := range model.at("composition", "materials").elements() {
		itself := strings.Contains(m.at("name").text(), conductingSalt) && !isElectrolyte(m)
		if itself || compounds[m.at("cas").text()] == conductingSalt {
			return nil
		}
	}
	for _, h := range model.at("materials", "hazardousSubstances").elements() {
		named := strings.Contains(normalised(h.at("name").text()), " lithium hexafluorophosphate")
		if mass := h.at("massKg").number(); positive(mass) && (named || compounds[h.at("cas").text()] == conductingSalt) {
			return mass
		}
	}
	return nil
}

func isElectrolyte(material place) bool {
	return material.at("component").is("electrolyte") || strings.Contains(normalised(material.at("name").text()), " electrolyte")
}

// materialShares returns what a unit of mass of one material of the
// composition holds, and whether its name, CAS number or component says what
// it is at all.
func materialShares(m place, cathode []spelled, saltDeclared bool) (map[string]span, bool) {
	name, cas := m.at("name").text(), m.at("cas").text()
	switch {
	case liquidElectrolyte(m) && saltDeclared:
		return nil, true
	case liquidElectrolyte(m):
		return electrolyteBounds, true
	case cas == graphiteCAS:
		return substance{kind: graphiteKind(normalised(name))}.shares(), true
	case compounds[cas] != "":
		f, _ := parseFormula(compounds[cas])
		return substance{formula: f}.shares(), true
	}
	if m.at("component").is("cathode") && namesActiveMaterial(name) && len(formulasIn(name)) == 0 && len(cathode) == 1 {
		return formulaShares(cathode[0].formula, nil), true
	}
	found := substancesNamed(name)
	shares := map[string]span{}
	for _, s := range found {
		for key, share := range s.shares() {
			shares[key] = widest(shares, key, share)
		}
	}
	if len(found) > 1 || mixture(name) {
		shares = loosened(shares)
	}
	return shares, len(found) > 0
}

// substancesNamed prefers the formulas of a name to its words.
func substancesNamed(name string) []substance {
	formulas := formulasIn(strings.TrimSuffix(name, "/C")) // carbon-coated LiFePO4/C
	if len(formulas) == 0 {
		return substancesIn(name)
	}
	var out []substance
	for _, f := range formulas {
		out = append(out, substance{phrase: f.text, formula: f.formula})
	}
	if words := substancesIn(name); slices.ContainsFunc(words, func(s substance) bool { return s.kind != "" }) {
		return append(out, words...)
	}
	return out
}

func widest(shares map[string]span, key string, s span) span {
	if held, ok := shares[key]; ok {
		return span{smaller(held.low, s.low), larger(held.high, s.high)}
	}
	return s
}

// liquidElectrolyte tells a solution, whose salt is bounded or declared as a
// hazardous substance, from a solid electrolyte named by its formula.
func liquidElectrolyte(m place) bool {
	if !isElectrolyte(m) || compounds[m.at("cas").text()] != "" {
		return false
	}
	found := formulasIn(m.at("name").text())
	return len(found) != 1 || found[0].text == conductingSalt || mixture(m.at("name").text())
}

// namesActiveMaterial reports whether the words mean the cathode's active
// material without saying its composition.
func namesActiveMaterial(name string) bool {
	text := normalised(name)
	for _, phrase := range []string{" active material", " cathode material", " cam ", " nmc", " nca", " lithium nickel", " lithium mixed", " kathodenmaterial"} {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

// mixture reports whether the name speaks of more than one material.
func mixture(name string) bool {
	text := normalised(name)
	for _, word := range []string{" and ", " with ", " und ", " mit ", " mixture", " blend", " composite", " laminate", " alloy"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return strings.ContainsAny(name, "+&") || strings.Contains(strings.TrimSuffix(name, "/C"), "/") && len(formulasIn(name)) == 0
}

// elementsOf maps the mineral ids of origins[] and of critical raw materials
// to what the composition holds of them.
var elementsOf = map[string][]string{
	"lithium":    {"Li"},
	"nickel":     {"Ni"},
	"cobalt":     {"Co"},
	"manganese":  {"Mn"},
	"copper":     {"Cu"},
	"aluminium":  {"Al"},
	"iron":       {"Fe"},
	"phosphorus": {"P"},
	"silicon":    {"Si"},
	"lead":       {"Pb"},
	"vanadium":   {"V"},
	"zinc":       {"Zn"},
	"tin":        {"Sn"},
	"sodium":     {"Na"},
	"titanium":   {"Ti"},
	"graphite":   {natural, synthetic, unspecified},
}

// contentTolerance is how far a stated mass may lie outside what the
// composition allows (data model section 5).
var contentTolerance = decimal("0.05")

// outside compares a stated mass with a range, widened by the tolerance and
// by slack (the rounding of the statement). More than what is surely there
// is outside, too, but not for certain while alloys, mixtures or material
// whose content nothing tells could hold the rest.
func (c contents) outside(stated *big.Rat, s span, slack *big.Rat) (out, certain bool) {
	less, more := difference(one, contentTolerance), sum(one, contentTolerance)
	sure := s.low
	if sure.Sign() == 0 {
		sure = s.high
	}
	if stated.Cmp(difference(product(s.low, less), slack)) < 0 {
		return true, true
	}
	most := sum(product(s.high, more), slack, c.opaque)
	return stated.Cmp(sum(product(sure, more), slack)) > 0, stated.Cmp(most) > 0
}

func (s span) String() string { return s.plain() + " kg" }
