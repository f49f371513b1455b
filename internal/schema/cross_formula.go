package schema

import (
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"
)

// atomicWeight holds the abridged standard atomic weights of the elements
// that battery materials are made of. Source: IUPAC Commission on Isotopic
// Abundances and Atomic Weights, Standard Atomic Weights 2021 (Pure Appl.
// Chem. 94, 573-600, 2022, doi 10.1515/pac-2019-0603), table 2.
var atomicWeight = weights(`
H 1.008    Li 6.94    B 10.81    C 12.011   N 14.007   O 15.999   F 18.998   Na 22.990  Mg 24.305  Al 26.982
Si 28.085  P 30.974   S 32.06    Cl 35.45   K 39.098   Ca 40.078  Ti 47.867  V 50.942   Cr 51.996  Mn 54.938
Fe 55.845  Co 58.933  Ni 58.693  Cu 63.546  Zn 65.38   Ga 69.723  Ge 72.630  Br 79.904  Sr 87.62   Y 88.906
Zr 91.224  Nb 92.906  Mo 95.95   Ag 107.87  Cd 112.41  In 114.82  Sn 118.71  Sb 121.76  I 126.90   Ba 137.33
La 138.91  Ce 140.12  Pr 140.91  Nd 144.24  Sm 150.36  Ta 180.95  W 183.84   Au 196.97  Pb 207.2   Bi 208.98`)

func weights(table string) map[string]*big.Rat {
	fields := strings.Fields(table)
	out := map[string]*big.Rat{}
	for i := 0; i < len(fields); i += 2 {
		out[fields[i]] = decimal(fields[i+1])
	}
	return out
}

// formula counts the atoms of one formula unit, by element symbol.
type formula map[string]*big.Rat

// atoms returns how many atoms of the element a formula unit holds.
func (f formula) atoms(element string) *big.Rat {
	if n, ok := f[element]; ok {
		return n
	}
	return new(big.Rat)
}

// total adds the atoms of the elements.
func (f formula) total(elements ...string) *big.Rat {
	n := new(big.Rat)
	for _, e := range elements {
		n.Add(n, f.atoms(e))
	}
	return n
}

// massFraction returns the share of an element in the mass of the compound,
// between 0 and 1.
func (f formula) massFraction(element string) *big.Rat {
	mass := new(big.Rat)
	for e, n := range f {
		mass.Add(mass, product(n, atomicWeight[e]))
	}
	return ratio(product(f.atoms(element), atomicWeight[element]), mass)
}

// hasNonmetal tells a compound, whose figures count atoms, from an alloy
// designation such as AlSi10Mg or CuZn37, whose figures are percentages.
func (f formula) hasNonmetal() bool {
	return f.total("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I").Sign() > 0
}

const (
	maxFormula      = 80 // bytes
	maxFormulaDepth = 4
)

var (
	elementToken = regexp.MustCompile(`^[A-Z][a-z]?`)
	countToken   = regexp.MustCompile(`^\d{1,5}(?:\.\d{1,6})?(?:/\d{1,3})?`)
	hydrateTail  = regexp.MustCompile(`^(.+)[.·•*](\d{0,2})H2O$`)
	decimalComma = regexp.MustCompile(`(\d),(\d)`)
)

// parseFormula reads a chemical formula: element symbols with decimal or
// fractional counts, round and square brackets, and water of crystallisation
// after a dot. A formula with variables (LiNixMnyO2, SiOx) or charges is not
// read.
func parseFormula(text string) (formula, bool) {
	if len(text) > maxFormula {
		return nil, false
	}
	out := formula{}
	if m := hydrateTail.FindStringSubmatch(text); m != nil {
		water, ok := parseFormula("(H2O)" + m[2])
		if !ok {
			return nil, false
		}
		out.add(water, big.NewRat(1, 1))
		text = m[1]
	}
	rest, ok := readGroup(text, out, big.NewRat(1, 1), 0)
	return out, ok && rest == "" && len(out) > 0
}

func (f formula) add(other formula, times *big.Rat) {
	for e, n := range other {
		f[e] = sum(f.atoms(e), product(n, times))
	}
}

// readGroup reads symbols and groups until the text or the bracket ends and
// returns what is left.
func readGroup(text string, into formula, times *big.Rat, depth int) (string, bool) {
	for text != "" && text[0] != ')' && text[0] != ']' {
		var (
			unit formula
			ok   bool
		)
		if unit, text, ok = readUnit(text, depth); !ok {
			return text, false
		}
		count := big.NewRat(1, 1)
		if digits := countToken.FindString(text); digits != "" {
			if count, ok = new(big.Rat).SetString(fractional(digits)); !ok {
				return text, false
			}
			text = text[len(digits):]
		}
		if count.Sign() <= 0 {
			return text, false
		}
		into.add(unit, product(count, times))
	}
	return text, true
}

// fractional keeps "1/3" as it is; big.Rat refuses a decimal numerator.
func fractional(digits string) string {
	if strings.Contains(digits, ".") {
		digits, _, _ = strings.Cut(digits, "/")
	}
	return digits
}

func readUnit(text string, depth int) (formula, string, bool) {
	if text[0] != '(' && text[0] != '[' {
		return readElement(text)
	}
	closing := map[byte]byte{'(': ')', '[': ']'}[text[0]]
	if depth == maxFormulaDepth {
		return nil, text, false
	}
	unit := formula{}
	rest, ok := readGroup(text[1:], unit, big.NewRat(1, 1), depth+1)
	if !ok || rest == "" || rest[0] != closing || len(unit) == 0 {
		return nil, text, false
	}
	return unit, rest[1:], true
}

func readElement(text string) (formula, string, bool) {
	symbol := elementToken.FindString(text)
	if len(symbol) == 2 && atomicWeight[symbol] == nil {
		symbol = symbol[:1]
	}
	if symbol == "" || atomicWeight[symbol] == nil {
		return nil, text, false
	}
	return formula{symbol: big.NewRat(1, 1)}, text[len(symbol):], true
}

// subscripts turns typographic subscripts and the decimal comma between
// digits into the plain spelling.
var subscripts = strings.NewReplacer(
	"₀", "0", "₁", "1", "₂", "2", "₃", "3", "₄", "4", "₅", "5", "₆", "6", "₇", "7", "₈", "8", "₉", "9")

// spelled is a formula as it was found in a text.
type spelled struct {
	text    string
	formula formula
}

// maxName bounds how much of a free text is searched for formulas.
const maxName = 300

// formulasIn finds the chemical formulas in a free text such as "electrolyte
// (EC/EMC/DMC + LiPF6)" or "LiNi1/3Mn1/3Co1/3O2". Abbreviations that happen
// to consist of symbols (PC, PVC) are no formulas.
func formulasIn(text string) []spelled {
	if len(text) > maxName || !utf8.ValidString(text) {
		return nil
	}
	text = decimalComma.ReplaceAllString(subscripts.Replace(text), "$1.$2")
	var out []spelled
	for _, token := range formulaTokens(text) {
		if f, ok := parseFormula(token); ok && plausible(token, f) {
			out = append(out, spelled{token, f})
		}
	}
	return out
}

var separators = regexp.MustCompile(`[\s,;:+&|]+`)

func formulaTokens(text string) []string {
	var out []string
	for _, token := range separators.Split(text, -1) {
		for _, part := range splitAlternatives(token) {
			out = append(out, balanced(part))
		}
	}
	return out
}

// splitAlternatives splits "graphite/SiO2" at the slash, but not "Ni1/3".
func splitAlternatives(token string) []string {
	var out []string
	start := 0
	for i := 1; i+1 < len(token); i++ {
		if token[i] == '/' && (!digit(token[i-1]) || !digit(token[i+1])) {
			out = append(out, token[start:i])
			start = i + 1
		}
	}
	return append(out, token[start:])
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// balanced drops brackets that a sentence put around a formula.
func balanced(token string) string {
	for strings.Count(token, "(") > strings.Count(token, ")") && strings.HasPrefix(token, "(") {
		token = token[1:]
	}
	for strings.Count(token, ")") > strings.Count(token, "(") && strings.HasSuffix(token, ")") {
		token = token[:len(token)-1]
	}
	if strings.HasPrefix(token, "(") && strings.HasSuffix(token, ")") && strings.Count(token, "(") == 1 {
		token = token[1 : len(token)-1]
	}
	return token
}

// minerals are the elements whose mass or ratio a check looks at.
var minerals = []string{"Li", "Ni", "Co", "Mn", "Cu", "Al", "Fe", "P", "Si", "Pb", "V", "Zn", "Sn", "Na", "Ti", "Cd", "S"}

func plausible(token string, f formula) bool {
	if len(f) == 1 {
		return f.total("Li", "Ni", "Co", "Mn", "Cu", "Al", "Fe", "Pb", "Zn", "Sn", "Si").Sign() > 0
	}
	return f.total(minerals...).Sign() > 0 && strings.ContainsAny(token, "0123456789abcdefghijklmnopqrstuvwxyz")
}
