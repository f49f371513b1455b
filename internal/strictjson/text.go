package strictjson

import (
	"fmt"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/provolt/provolt/internal/passport"
)

// checkText notes what is wrong with a text, a member name or a value: each
// kind of flaw once, with the first character that has it. More than thirty
// marks on one letter are no normal form either (UAX #15 section 13).
func (p *parser) checkText(noun, s string) {
	noted := map[string]bool{}
	var before rune
	position := 0
	for _, r := range s {
		position++
		f := judge(r, before)
		before = r
		if f.code == "" || noted[f.code] {
			continue
		}
		noted[f.code] = true
		p.add(passport.Violation{
			Code: f.code, Expected: "a " + noun + " without " + f.kind,
			Found: fmt.Sprintf("%U as character %d", r, position), Repair: f.repair,
		})
	}
	if len(noted) == 0 && !norm.NFC.IsNormalString(s) {
		p.add(passport.Violation{
			Code: "text.notNormalised", Expected: "a " + noun + " in Unicode normalisation form C",
			Found: passport.Quote(s), Repair: "send " + passport.Quote(norm.NFC.String(s)),
		})
	}
}

// flaw is a reason not to accept a character; the zero flaw is none.
type flaw struct{ code, kind, repair string }

var (
	control     = flaw{"text.control", "control characters and line separators", "send one line; split longer texts into members or elements"}
	bidi        = flaw{"text.bidi", "bidirectional control characters", "leave it out; the direction of Arabic and Hebrew shows by itself"}
	invisible   = flaw{"text.invisible", "invisible characters", "leave it out"}
	privateUse  = flaw{"text.privateUse", "private use characters", "use a character that has the same meaning for everyone"}
	unassigned  = flaw{"text.unassigned", "characters that Unicode 15 does not define", "use a character that Unicode defines"}
	replacement = flaw{"text.replacement", "replacement characters", "restore the character that was lost in a conversion"}
)

// judge tells what is wrong with r, which stands after before (0 at the start).
//
// Everything with a shape of its own, or that combines with one, is accepted;
// what has none only where it does its work. The zero-width joiners decide how
// Arabic and Indic letters and emoji join: after others they hide something,
// as does a variation selector after another.
func judge(r, before rune) flaw {
	switch {
	case r >= ' ' && r <= '~': // most of every text
		return flaw{}
	case r == unicode.ReplacementChar:
		return replacement
	case hasNoShape(r):
		return invisible
	case unicode.Is(unicode.Variation_Selector, r):
		if before <= ' ' || unicode.Is(unicode.Variation_Selector, before) {
			return invisible
		}
		return flaw{}
	case unicode.IsGraphic(r), joins(r, before), unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return flaw{}
	case unicode.Is(unicode.Bidi_Control, r):
		return bidi
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return control
	case unicode.Is(unicode.Cf, r):
		return invisible
	case unicode.Is(unicode.Co, r):
		return privateUse
	}
	return unassigned
}

// hasNoShape tells the letters and marks that Unicode ignores by default, yet
// counts as graphic: the grapheme joiner, Hangul fillers and two Khmer vowels.
func hasNoShape(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x3164, 0xffa0:
		return true
	}
	return false
}

// joins reports whether r is a zero-width joiner (U+200D) or non-joiner
// (U+200C) after a character that can join.
func joins(r, before rune) bool {
	const nonJoiner, joiner, firstCombining = 0x200c, 0x200d, 0x300
	return (r == nonJoiner || r == joiner) && before >= firstCombining && before != nonJoiner && before != joiner
}
