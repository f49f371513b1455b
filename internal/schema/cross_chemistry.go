package schema

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// chemistry says what an electrode formula must look like to be called by a
// code: the shares of elements among a group, and elements it must or must
// not hold. Shares are decimal strings, both ends included.
type chemistry struct {
	group   []string // elements among which shares are counted
	shares  map[string][2]string
	needs   []string
	forbids []string
}

var transition = []string{"Ni", "Mn", "Co"}

// nmc is a layered oxide whose three digits are tenths of nickel, manganese
// and cobalt. A product within 0.05 of each is still sold under the code:
// "811" is also the name of Ni 0.83, Mn 0.06, Co 0.11.
func nmc(shares map[string][2]string) chemistry {
	return chemistry{group: transition, shares: shares, needs: transition, forbids: []string{"P", "Na"}}
}

// chemistries holds the codes of data model section 2.3 whose electrode can
// be told from a formula: the cathode, for LTO the anode.
var chemistries = map[string]chemistry{
	"NMC111": nmc(map[string][2]string{"Ni": {"0.283", "0.384"}, "Mn": {"0.283", "0.384"}, "Co": {"0.283", "0.384"}}),
	"NMC532": nmc(map[string][2]string{"Ni": {"0.45", "0.55"}, "Mn": {"0.25", "0.35"}, "Co": {"0.15", "0.25"}}),
	"NMC622": nmc(map[string][2]string{"Ni": {"0.55", "0.65"}, "Mn": {"0.15", "0.25"}, "Co": {"0.15", "0.25"}}),
	"NMC811": nmc(map[string][2]string{"Ni": {"0.75", "0.85"}, "Mn": {"0.05", "0.15"}, "Co": {"0.05", "0.15"}}),
	"NMC9xx": nmc(map[string][2]string{"Ni": {"0.86", "0.98"}}),
	"NCA": {
		group: []string{"Ni", "Co", "Al"}, shares: map[string][2]string{"Ni": {"0.7", "0.97"}},
		needs: []string{"Ni", "Co", "Al"}, forbids: []string{"Mn", "P", "Na"},
	},
	"NMCA": {
		group: []string{"Ni", "Mn", "Co", "Al"}, shares: map[string][2]string{"Ni": {"0.7", "0.97"}},
		needs: []string{"Ni", "Mn", "Co", "Al"}, forbids: []string{"P", "Na"},
	},
	"LNO": {group: transition, shares: map[string][2]string{"Ni": {"0.95", "1"}}, forbids: []string{"P", "Na"}},
	"LFP": {
		group: []string{"Fe", "Mn"}, shares: map[string][2]string{"Fe": {"0.95", "1"}},
		needs: []string{"Fe", "P"}, forbids: []string{"Ni", "Co", "Na"},
	},
	"LMFP": {
		group: []string{"Fe", "Mn"}, shares: map[string][2]string{"Mn": {"0.05", "0.95"}},
		needs: []string{"Mn", "Fe", "P"}, forbids: []string{"Ni", "Co", "Na"},
	},
	"LMO": {group: transition, shares: map[string][2]string{"Mn": {"0.9", "1"}}, forbids: []string{"P", "Na"}},
	"LNMO": {
		group:  transition,
		shares: map[string][2]string{"Ni": {"0.2", "0.3"}, "Mn": {"0.7", "0.8"}}, forbids: []string{"P", "Na"},
	},
	"LMR":            {group: transition, shares: map[string][2]string{"Mn": {"0.4", "0.9"}}, forbids: []string{"P", "Na"}},
	"LCO":            {group: transition, shares: map[string][2]string{"Co": {"0.95", "1"}}, forbids: []string{"P", "Na"}},
	"LTO":            {needs: []string{"Li", "Ti"}},
	"NaIonLayered":   {needs: []string{"Na", "O"}, forbids: []string{"Li", "P"}},
	"NaIonPBA":       {needs: []string{"Na", "Fe", "C", "N"}, forbids: []string{"Li"}},
	"NaIonPolyanion": {needs: []string{"Na", "O"}, forbids: []string{"Li"}},
	"NiMH":           {needs: []string{"Ni"}, forbids: []string{"Li", "Cd"}},
	"NiCd":           {needs: []string{"Ni"}, forbids: []string{"Li"}},
	"PbA":            {needs: []string{"Pb"}, forbids: []string{"Li"}},
}

// anodeNamed are the codes that name the anode; the cathode is then free.
var anodeNamed = map[string]bool{"LTO": true}

// contradiction says why no material of the formula is called by the code,
// or "" where it may be.
func (c chemistry) contradiction(f formula) string {
	for _, e := range c.needs {
		if f.atoms(e).Sign() == 0 {
			return "no " + e
		}
	}
	for _, e := range c.forbids {
		if f.atoms(e).Sign() > 0 {
			return "holds " + e
		}
	}
	whole := f.total(c.group...)
	if len(c.shares) > 0 && whole.Sign() == 0 {
		return "none of " + strings.Join(c.group, ", ")
	}
	for _, e := range slices.Sorted(maps.Keys(c.shares)) {
		share := ratio(f.atoms(e), whole)
		if low, high := decimal(c.shares[e][0]), decimal(c.shares[e][1]); share.Cmp(low) < 0 || share.Cmp(high) > 0 {
			return fmt.Sprintf("%s is %s of %s", e, shown(share), strings.Join(c.group, "+"))
		}
	}
	return ""
}

// expectation says in words what the code stands for.
func (c chemistry) expectation() string {
	var parts []string
	for _, e := range slices.Sorted(maps.Keys(c.shares)) {
		parts = append(parts, fmt.Sprintf("%s %s to %s of %s", e, c.shares[e][0], c.shares[e][1], strings.Join(c.group, "+")))
	}
	if len(c.needs) > 0 {
		parts = append(parts, "with "+strings.Join(c.needs, ", "))
	}
	if len(c.forbids) > 0 {
		parts = append(parts, "without "+strings.Join(c.forbids, ", "))
	}
	return strings.Join(parts, "; ")
}

// electrodeFormulas returns the formulas that a description of an electrode
// names, by formula, by chemistry code or in words. None means that the
// description tells no composition.
func electrodeFormulas(text string) []spelled {
	if found := formulasIn(text); len(found) > 0 {
		return found
	}
	var out []spelled
	for _, s := range substancesIn(text) {
		if s.formula != nil {
			out = append(out, spelled{s.phrase, s.formula})
		}
	}
	return out
}

// chemistryAgrees checks the chemistry code against the named electrode and
// against the composition's own active material. A blend is contradicted
// only when none of its parts fits the code.
func chemistryAgrees(r *crossReport, model place) {
	chem := model.at("materials", "chemistry")
	code := chem.at("code").text()
	rule, ok := chemistries[code]
	if !ok {
		return
	}
	electrode := "cathode"
	if anodeNamed[code] {
		electrode = "anode"
	}
	electrodeAgrees(r, chem.at(electrode), code, rule)
	for _, m := range model.at("composition", "materials").elements() {
		if m.at("component").is(electrode) {
			electrodeAgrees(r, m.at("name"), code, rule)
		}
	}
}

func electrodeAgrees(r *crossReport, at place, code string, rule chemistry) {
	reasons := []string{}
	for _, f := range electrodeFormulas(at.text()) {
		if !active(f.formula) {
			continue
		}
		reason := rule.contradiction(f.formula)
		if reason == "" {
			return
		}
		reasons = append(reasons, f.text+": "+reason)
	}
	if len(reasons) > 0 {
		r.fault(chemistryFormula, at, code+": "+rule.expectation(), strings.Join(reasons, "; "))
	}
}

// active tells an electrode's active material from its coatings and
// additives: it holds lithium, sodium or lead, is an oxide or hydroxide of
// nickel, or is a carbon.
func active(f formula) bool {
	return f.total("Li", "Na", "Pb", "C").Sign() > 0 || f.atoms("Ni").Sign() > 0 && f.atoms("O").Sign() > 0
}

// graphiteFormula is carbon; graphite is a material of its own in this data.
var graphiteFormula = formula{"C": big.NewRat(1, 1)}
