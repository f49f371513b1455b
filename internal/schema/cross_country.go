package schema

import (
	"slices"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// economicArea is the European Economic Area, where Regulation (EU)
// 2023/1542 counts as the Union market (text with EEA relevance).
var economicArea = strings.Fields(`AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK`)

// countryMembers are the members that hold a country wherever they stand.
var countryMembers = []string{"country", "seat", "coveredGovernment"}

// countries checks every country code of a record against ISO 3166-1 and
// every region against its country (ISO 3166-2 codes begin with it).
func countries(r *crossReport, p place) {
	for _, element := range p.elements() {
		countries(r, element)
	}
	for _, name := range p.names() {
		member := p.at(name)
		if slices.Contains(countryMembers, name) {
			country(r, member, member.text())
		}
		countries(r, member)
		if name == "region" {
			region(r, member, p.at("country").text())
		}
	}
}

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

func region(r *crossReport, at place, country string) {
	if country == "" || at.text() == "" {
		return
	}
	if before, _, ok := strings.Cut(at.text(), "-"); !ok || before != country {
		r.fault(regionCountry, at, "an ISO 3166-2 code that begins with "+country+"-", passport.Quote(at.text()))
	}
}
