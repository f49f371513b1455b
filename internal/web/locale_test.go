package web

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var placeholder = regexp.MustCompile(`\{[a-zA-Z]+\}`)

func TestEveryLanguageSaysTheSame(t *testing.T) {
	locales := need(loadLocales())(t)
	english := locales[0]
	for _, l := range locales[1:] {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(english.texts)), slices.Sorted(maps.Keys(l.texts))); diff != "" {
			t.Errorf("%s: keys differ: %s", l.tag, diff)
		}
		for key, text := range english.texts {
			want, got := placeholder.FindAllString(text, -1), placeholder.FindAllString(l.texts[key], -1)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s: placeholders differ: %s", l.tag, key, diff)
			}
			if (text == "") != (l.texts[key] == "") {
				t.Errorf("%s: %s is empty in one language", l.tag, key)
			}
		}
	}
}

// families are keys that the code puts together: the rest of the key comes
// from a record, the catalogue or the verifier.
var families = []string{
	"month.", "duration.", "unit.", "verdict.", "reason.", "chemistry.", "carbon.", "custody.", "evidence.", "mineral.", "section.", "word.", "member.", "withheld.",
	"history.to.", "record.", "outcome.", "check.", "problem.", "stage.", "lookUp.wrong.", "origin.minerals.", "origin.countries.", "language.",
}

func TestEveryTextIsUsedAndEveryTextUsedExists(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		for _, name := range need(fs.Glob(os.DirFS("."), pattern))(t) {
			if !strings.HasSuffix(name, "_test.go") {
				source.Write(need(os.ReadFile(name))(t))
			}
		}
	}
	code := source.String()
	l := need(loadLocales())(t)[0]
	for key := range l.texts {
		inFamily := slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(key, f) })
		if !inFamily && !strings.Contains(code, `"`+key+`"`) && !strings.Contains(code, `"`+strings.TrimSuffix(key, ".text")+`"`) {
			t.Errorf("text %s is never used", key)
		}
	}
	for _, m := range regexp.MustCompile(`(?:\bt |l\.t\(|add\()"([a-zA-Z]+(?:\.[a-zA-Z0-9]+)+)"`).FindAllStringSubmatch(code, -1) {
		if _, ok := l.texts[m[1]]; !ok {
			t.Errorf("text %s is used and not there", m[1])
		}
	}
}

func TestEveryWordOfTheCatalogueThatAPageShowsHasAName(t *testing.T) {
	cat := load(t)
	for _, l := range need(loadLocales())(t) {
		for _, section := range cat.Sections() {
			if _, ok := l.texts["section."+section]; !ok {
				t.Errorf("%s: no name of section %s", l.tag, section)
			}
		}
		for _, w := range words {
			if l.texts[w] == "" || l.texts[w+".note"] == "" {
				t.Errorf("%s: %s is not explained", l.tag, w)
			}
		}
		codes, _ := cat.Attribute("chemistryCode")
		for _, code := range codes.Enum {
			class := chemistryClass(code)
			if _, ok := l.texts["chemistry."+class]; !ok || (class == "unclassified") != (code == "other") {
				t.Errorf("%s: chemistry %s is of class %s", l.tag, code, class)
			}
		}
	}
}

func TestNumbersKeepEveryDigitInTheLanguagesOwnHand(t *testing.T) {
	locales := need(loadLocales())(t)
	for _, c := range []struct{ in, en, de string }{
		{"0", "0", "0"},
		{"430.0", "430", "430"},
		{"0.058", "0.058", "0,058"},
		{"2027", "2027", "2027"},
		{"96000", "96,000", "96.000"},
		{"1234567.891", "1,234,567.891", "1.234.567,891"},
		{"-30", "\u221230", "\u221230"},
		{"-0.5", "\u22120.5", "\u22120,5"},
		{"1e3", "1000", "1000"},
		{"6.1E-4", "0.00061", "0,00061"},
		{"1e-12", "0.000000000001", "0,000000000001"},
		{"123456789012345", "123,456,789,012,345", "123.456.789.012.345"},
		{"0.10000000000000001", "0.10000000000000001", "0,10000000000000001"},
		{"1e999999999", "1e999999999", "1e999999999"},
	} {
		if got := locales[0].number(json.Number(c.in)); got != c.en {
			t.Errorf("en %s: %s, want %s", c.in, got, c.en)
		}
		if got := locales[1].number(json.Number(c.in)); got != c.de {
			t.Errorf("de %s: %s, want %s", c.in, got, c.de)
		}
	}
}

func TestSharesRoundHalfUpAndNeverToNothing(t *testing.T) {
	l := need(loadLocales())(t)[1]
	for _, c := range []struct {
		num, den int64
		want     string
	}{
		{0, 1, "0\u00a0%"}, {1, 1, "100\u00a0%"}, {55, 100, "55\u00a0%"}, {1, 3, "33,3\u00a0%"}, {2, 3, "66,7\u00a0%"}, {1, 8, "12,5\u00a0%"}, {1, 2000, "0,1\u00a0%"}, {1, 2001, "< 0,1\u00a0%"}, {9995, 10000, "100\u00a0%"}, {-1, 8, "\u221212,5\u00a0%"},
	} {
		if got := l.percentOf(big.NewRat(c.num, c.den)); got != c.want {
			t.Errorf("%d/%d: %q, want %q", c.num, c.den, got, c.want)
		}
	}
}

func TestDatesAndPeriodsReadAsProse(t *testing.T) {
	locales := need(loadLocales())(t)
	for _, c := range []struct{ in, en, de string }{
		{"2027-02", "February 2027", "Februar 2027"},
		{"2027-03-05", "5 March 2027", "5. März 2027"},
		{"2027-03-01T09:12:44Z", "1 March 2027, 09:12\u00a0UTC", "1. März 2027, 09:12\u00a0UTC"},
		{"2027-03-01T00:12:44+02:00", "28 February 2027, 22:12\u00a0UTC", "28. Februar 2027, 22:12\u00a0UTC"},
		{"soon", "soon", "soon"},
		{"", "", ""},
	} {
		if got := locales[0].date(c.in); got != c.en {
			t.Errorf("en %s: %s", c.in, got)
		}
		if got := locales[1].date(c.in); got != c.de {
			t.Errorf("de %s: %s", c.in, got)
		}
	}
	for in, want := range map[string]string{"P8Y": "8 years", "P1Y6M": "1 year and 6 months", "P1Y2M3D": "1 year, 2 months and 3 days", "P2W": "2 weeks", "PT5H": "PT5H", "P": "P", "x": "x", "P-1Y": "P-1Y"} {
		if got := locales[0].duration(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := locales[1].clock(time.Date(2027, 4, 1, 16, 2, 0, 0, time.FixedZone("", 7200))); got != "14:02\u00a0UTC" {
		t.Errorf("clock: %s", got)
	}
}

func TestCountriesHaveNamesInThePageLanguage(t *testing.T) {
	locales := need(loadLocales())(t)
	for code, want := range map[string][2]string{"CD": {"Congo - Kinshasa", "Kongo-Kinshasa"}, "DE": {"Germany", "Deutschland"}, "XK": {"Kosovo", "Kosovo"}, "150": {"150", "150"}, "<b>": {"<b>", "<b>"}, "": {"", ""}} {
		if got := [2]string{locales[0].country(code), locales[1].country(code)}; got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}

func TestSerialNumbersAreCutIntoFours(t *testing.T) {
	for in, want := range map[string][]string{"": nil, "A": {"A"}, "ABCD": {"ABCD"}, "ABCDE": {"ABCD", "E"}, "äöüßé": {"äöüß", "é"}} {
		if diff := cmp.Diff(want, grouped(in)); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}
