package schema

import (
	"slices"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// economicArea is the European Economic Area, where Regulation (EU)
// 2023/1542 counts as the Union market (text with EEA relevance).
var economicArea = strings.Fields(`AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK`)

// country checks one code; none at all is an unknown country, which is no
// fault.
func country(r *crossReport, at place, code string) {
	if code == "" {
		return
	}
	if _, err := passport.ParseCountry(code); err != nil {
		r.malformed(at, err, "")
	}
}

// countryMembers are the members that hold a country wherever they stand.
var countryMembers = []string{"country", "seat", "coveredGovernment"}

// countries checks a member against ISO 3166-1, or a region against the
// country beside it (ISO 3166-2 codes begin with it).
func countries(r *crossReport, beside map[string]any, at trail, text string) {
	if slices.Contains(countryMembers, at.token) {
		country(r, at.place(text), text)
	}
	if of, _ := beside["country"].(string); at.token == "region" && of != "" {
		if before, _, ok := strings.Cut(text, "-"); !ok || before != of {
			r.fault(regionCountry, at.place(text), "an ISO 3166-2 code that begins with "+of+"-", passport.Quote(text))
		}
	}
}
