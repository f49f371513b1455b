package schema

import (
	"slices"
	"strings"
	"unicode"

	"github.com/provolt/provolt/internal/passport"
)

// soleMembers are the members that say which maker or thing a record is about,
// wherever they stand.
var soleMembers = []string{"tradeName", "modelId", "batchId", "serialNumber"}

// partyMembers are the members that hold a party or facility, whose name says
// who or where. Names of other things (substances, parts, documents) may mix
// scripts for good reason.
var partyMembers = []string{
	"manufacturer", "manufacturingPlace", "party", "facility", "supplier", "economicOperator", "importer", "entities", "owners",
}

// scripts warns of a word that mixes alphabets whose letters look alike: a
// name that readers take for another one.
func scripts(r *crossReport, at trail, text string) {
	if !slices.Contains(soleMembers, at.token) && !(at.token == "name" && at.ofParty()) {
		return
	}
	if word, both := mixedWord(text); word != "" {
		r.fault(mixedScripts, at.place(text), "words of one script each", "the word "+passport.Quote(word)+", which mixes "+both)
	}
}

// ofParty reports whether the member stands in a party or facility, or in an
// element of a list of them.
func (t trail) ofParty() bool {
	holder := t.up
	if holder.element {
		holder = holder.up
	}
	return slices.Contains(partyMembers, holder.token)
}

// lookAlikes are the scripts that share letter shapes.
var lookAlikes = []struct {
	name  string
	table *unicode.RangeTable
}{{"Latin", unicode.Latin}, {"Cyrillic", unicode.Cyrillic}, {"Greek", unicode.Greek}}

// mixedWord returns the first word of the text with letters of two of the
// scripts, and the names of these; a word is letters, marks and digits without
// anything between.
func mixedWord(text string) (word, both string) {
	if isASCII(text) {
		return "", ""
	}
	inWord := func(c rune) bool { return unicode.In(c, unicode.Letter, unicode.Mark, unicode.Number) }
	for word := range strings.FieldsFuncSeq(text, func(c rune) bool { return !inWord(c) }) {
		var found []string
		for _, script := range lookAlikes {
			if strings.ContainsFunc(word, func(c rune) bool { return unicode.Is(script.table, c) }) {
				found = append(found, script.name)
			}
		}
		if len(found) > 1 {
			return word, strings.Join(found, " and ")
		}
	}
	return "", ""
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII })
}
