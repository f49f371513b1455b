package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// written turns a formula into text that shows every count exactly.
func written(f formula) map[string]string {
	out := map[string]string{}
	for element, n := range f {
		out[element] = n.RatString()
	}
	return out
}

func TestFormulasAreCountedExactly(t *testing.T) {
	for _, row := range []struct {
		formula string
		want    map[string]string
	}{
		{"LiNi0.8Mn0.1Co0.1O2", map[string]string{"Li": "1", "Ni": "4/5", "Mn": "1/10", "Co": "1/10", "O": "2"}},
		{"LiNi1/3Mn1/3Co1/3O2", map[string]string{"Li": "1", "Ni": "1/3", "Mn": "1/3", "Co": "1/3", "O": "2"}},
		{"Li[Ni0.8Co0.15Al0.05]O2", map[string]string{"Li": "1", "Ni": "4/5", "Co": "3/20", "Al": "1/20", "O": "2"}},
		{"Na2Fe(CN)6", map[string]string{"Na": "2", "Fe": "1", "C": "6", "N": "6"}},
		{"Li4Ti5O12", map[string]string{"Li": "4", "Ti": "5", "O": "12"}},
		{"LiOH.H2O", map[string]string{"Li": "1", "O": "2", "H": "3"}},
		{"NiSO4·6H2O", map[string]string{"Ni": "1", "S": "1", "O": "10", "H": "12"}},
		{"CoSO4.7H2O", map[string]string{"Co": "1", "S": "1", "O": "11", "H": "14"}},
	} {
		f, ok := parseFormula(row.formula)
		if diff := cmp.Diff(row.want, written(f)); !ok || diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.formula, diff)
		}
	}
}

func TestWhatIsNoFormulaIsNotRead(t *testing.T) {
	for _, text := range []string{
		"", "LiNixMnyCozO2", "SiOx", "steel", "Li(", "Li)", "()", "(Li]2", "Li2(", "Xx2", "Li0", strings.Repeat("(", 60),
		strings.Repeat("Li", 60), "2Li", "Li+", "li2",
	} {
		if f, ok := parseFormula(text); ok {
			t.Errorf("%q is read as %v", text, written(f))
		}
	}
}

func TestFormulasAreFoundInSentences(t *testing.T) {
	for text, want := range map[string]string{
		"LiNi0.8Mn0.1Co0.1O2":                 "LiNi0.8Mn0.1Co0.1O2",
		"LiNi₀.₈Mn₀.₁Co₀.₁O₂":                 "LiNi0.8Mn0.1Co0.1O2",
		"LiNi0,5Mn0,3Co0,2O2":                 "LiNi0.5Mn0.3Co0.2O2",
		"LiNi1/3Mn1/3Co1/3O2":                 "LiNi1/3Mn1/3Co1/3O2",
		"electrolyte (EC/EMC/DMC + LiPF6)":    "LiPF6",
		"cathode (LiFePO4), carbon coated":    "LiFePO4",
		"LiFePO4/C":                           "LiFePO4",
		"blend LiMn2O4 + LiNi0.5Mn0.3Co0.2O2": "LiMn2O4 LiNi0.5Mn0.3Co0.2O2",
		"PC, PP, PVC, PA66 and PE/PP":         "",
		"Co-polymer for BMS housing":          "",
		"graphite/SiOx":                       "",
	} {
		var found []string
		for _, f := range formulasIn(text) {
			found = append(found, f.text)
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
}

// The arithmetic of data model section 5: 112 kg of NMC811 hold this much.
func TestElementMassesOfNMC811(t *testing.T) {
	f, _ := parseFormula("LiNi0.8Mn0.1Co0.1O2")
	for element, want := range map[string]string{"Ni": "54.06", "Co": "6.79", "Mn": "6.33", "Li": "7.99"} {
		if got := product(f.massFraction(element), decimal("112")).FloatString(2); got != want {
			t.Errorf("%s: %s kg, want %s kg", element, got, want)
		}
	}
}

func TestMassFractionsSumToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(Li|Ni|Co|Mn|O|P|Fe|\(PO4\)|\[NiO2\]){1,8}[1-9]?`).Draw(t, "formula")
		f, ok := parseFormula(text)
		if !ok {
			t.Fatalf("%s is not read", text)
		}
		whole := new(big.Rat)
		for element := range f {
			whole.Add(whole, f.massFraction(element))
		}
		if whole.Cmp(one) != 0 {
			t.Fatalf("fractions of %s sum to %s", text, whole.RatString())
		}
	})
}

func TestChemistryCodesAndFormulas(t *testing.T) {
	for _, row := range []struct {
		code, electrode string
		fits            bool
	}{
		{"NMC111", "LiNi1/3Mn1/3Co1/3O2", true},
		{"NMC111", "LiNi0.33Mn0.33Co0.33O2", true},
		{"NMC532", "LiNi0.5Mn0.3Co0.2O2", true},
		{"NMC532", "LiNi0.6Mn0.2Co0.2O2", false},
		{"NMC811", "LiNi0.83Mn0.06Co0.11O2", true},
		{"NMC811", "LiNi0.8Co0.15Al0.05O2", false},
		{"NMC9xx", "LiNi0.9Mn0.05Co0.05O2", true},
		{"NMC9xx", "LiNi0.8Mn0.1Co0.1O2", false},
		{"NCA", "LiNi0.8Co0.15Al0.05O2", true},
		{"NCA", "LiNi0.8Mn0.1Co0.1O2", false},
		{"NMCA", "LiNi0.88Mn0.05Co0.05Al0.02O2", true},
		{"LFP", "LiFePO4", true},
		{"LFP", "lithium iron phosphate", true},
		{"LFP", "LiMn0.6Fe0.4PO4", false},
		{"LFP", "NMC811", false},
		{"LMFP", "LiMn0.6Fe0.4PO4", true},
		{"LMFP", "LiFePO4", false},
		{"LMO", "LiMn2O4", true},
		{"LMO", "LiMn2O4 + LiNi0.5Mn0.3Co0.2O2", true},
		{"LMO", "LiCoO2", false},
		{"LCO", "LiCoO2", true},
		{"LNMO", "LiNi0.5Mn1.5O4", true},
		{"LNMO", "LiMn2O4", false},
		{"LNO", "LiNiO2", true},
		{"LMR", "Li1.2Ni0.13Mn0.54Co0.13O2", true},
		{"LTO", "Li4Ti5O12", true},
		{"LTO", "lithium titanate", true},
		{"LTO", "graphite", false},
		{"NaIonLayered", "NaNi0.4Fe0.2Mn0.4O2", true},
		{"NaIonLayered", "LiNi0.8Mn0.1Co0.1O2", false},
		{"NaIonPBA", "Na2Fe(CN)6", true},
		{"PbA", "PbO2", true},
		{"PbA", "LiFePO4", false},
		{"NiMH", "NiOOH", true},
		{"other", "LiFePO4", true},
		{"NMC811", "proprietary", true},
	} {
		electrode := "cathode"
		if anodeNamed[row.code] {
			electrode = "anode"
		}
		model := map[string]any{"materials": map[string]any{"chemistry": map[string]any{"code": row.code, electrode: row.electrode}}}
		found := crossModel(model)
		if fits := len(found) == 0; fits != row.fits {
			t.Errorf("%s with %s: fits %t, want %t: %+v", row.code, row.electrode, fits, row.fits, found)
		}
	}
}

func TestTheDictionaryCanBeRead(t *testing.T) {
	for _, entry := range lexicon {
		if entry.formula == "" {
			continue
		}
		if _, ok := parseFormula(entry.formula); !ok {
			t.Errorf("%v: %s is no formula", entry.phrases, entry.formula)
		}
	}
	for cas, text := range compounds {
		if _, ok := parseFormula(text); !ok {
			t.Errorf("CAS %s: %s is no formula", cas, text)
		}
	}
}

// Every row is a composition of 100 kg of one material, so that the ranges
// read as per cent.
func TestWhatAMaterialHolds(t *testing.T) {
	for _, row := range []struct{ name, cas, component, key, want string }{
		{"copper foil", "", "", "Cu", "100 kg"},
		{"Kupferfolie", "", "", "Cu", "100 kg"},
		{"Folie", "7440-50-8", "", "Cu", "100 kg"},
		{"copper busbars and harness", "", "", "Cu", "0 to 100 kg"},
		{"stainless steel", "", "", "Ni", "0 to 25 kg"},
		{"CuZn37", "", "", "Cu", "0 to 100 kg"},
		{"LiFePO4/C", "", "cathode", "Fe", "35.399829 kg"},
		{"cathode active material", "", "cathode", "Ni", "48.267518 kg"},
		{"graphite, natural", "", "", natural, "100 kg"},
		{"artificial graphite", "7782-42-5", "", synthetic, "100 kg"},
		{"graphite/SiOx", "", "", unspecified, "0 to 100 kg"},
		{"1 M LiPF6 in EC/DMC", "", "electrolyte", "Li", "0 to 2 kg"},
		{"Li6PS5Cl", "", "electrolyte", "Li", "15.516239 kg"},
		{"silicone gasket", "", "", "Si", "0 kg"},
		{"subassembly B", "", "", "Cu", "0 kg"},
	} {
		model := parsed(t, `{"materials": {"chemistry": {"cathode": "LiNi0.8Mn0.1Co0.1O2"}},
			"composition": {"materials": [{"name": "", "cas": "", "component": "", "massKg": 100}]}}`).(map[string]any)
		for member, value := range map[string]string{"name": row.name, "cas": row.cas, "component": row.component} {
			if msg := put(model, []string{"composition", "materials", "0", member}, value, false); msg != "" {
				t.Fatal(msg)
			}
		}
		held, _ := composed(rootOf(model)).of(row.key)
		if got := held.String(); got != row.want {
			t.Errorf("%q %s %s: %s of %s, want %s", row.name, row.cas, row.component, got, row.key, row.want)
		}
	}
}

// Exact fractions of thousands of odd formulas must not pile up denominators
// until adding them takes for ever.
func TestALongListOfOddFormulasIsAdded(t *testing.T) {
	materials := make([]any, 1500)
	for i := range materials {
		name := fmt.Sprintf("LiNi0.%05dMn0.%05dCo0.1O2", i+1, 7*i+3)
		materials[i] = map[string]any{"name": name, "massKg": json.Number("0.1")}
	}
	held, _ := composed(rootOf(map[string]any{"composition": map[string]any{"materials": materials}})).of("Li")
	if held.low.Cmp(decimal("10")) < 0 || held.high.Cmp(decimal("25")) > 0 {
		t.Errorf("%s of lithium in 150 kg", held)
	}
	if width := difference(held.high, held.low); width.Cmp(decimal("0.00001")) > 0 {
		t.Errorf("the range is %s kg wide", width.RatString())
	}
}

func FuzzFormulasIn(f *testing.F) {
	for _, seed := range []string{"LiNi0.8Mn0.1Co0.1O2", "NiSO4.6H2O", "electrolyte (EC/EMC/DMC + LiPF6)", "((Li", "Ni1/0", "₀₈"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range formulasIn(text) {
			for element := range found.formula {
				if share := found.formula.massFraction(element); share.Sign() <= 0 || share.Cmp(one) > 0 {
					t.Errorf("%s: %s of %s", found.text, share.RatString(), element)
				}
			}
		}
		substancesIn(text)
	})
}
