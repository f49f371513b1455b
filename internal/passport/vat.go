package passport

import (
	"regexp"
	"slices"
	"strings"
)

// vatRule is the form of one country's VAT numbers, after the two letters of
// the country, and the check of their check digits. Without a check the form
// alone decides.
type vatRule struct {
	form   string // regular expression, anchored by compileVAT
	says   string
	check  func(number string) bool
	syntax *regexp.Regexp
}

// vatRules are the member states of the EU and XI, Northern Ireland, as the
// VAT Information Exchange System spells them (Greece is EL).
var vatRules = compileVAT(map[string]vatRule{
	"AT": {form: `U\d{8}`, says: "U and 8 digits", check: vatAT},
	"BE": {form: `[01]\d{9}`, says: "10 digits, the first 0 or 1", check: vatBE},
	"BG": {form: `\d{9,10}`, says: "9 or 10 digits"},
	"CY": {form: `\d{8}[A-Z]`, says: "8 digits and a letter"},
	"CZ": {form: `\d{8,10}`, says: "8 to 10 digits"},
	"DE": {form: `[1-9]\d{8}`, says: "9 digits", check: vatDE},
	"DK": {form: `\d{8}`, says: "8 digits"},
	"EE": {form: `\d{9}`, says: "9 digits"},
	"EL": {form: `\d{9}`, says: "9 digits"},
	"ES": {form: `[0-9A-Z]\d{7}[0-9A-Z]`, says: "9 characters, the first or last a letter", check: vatES},
	"FI": {form: `\d{8}`, says: "8 digits", check: vatFI},
	"FR": {form: `[0-9A-HJ-NP-Z]{2}\d{9}`, says: "a key of two characters and 9 digits", check: vatFR},
	"HR": {form: `\d{11}`, says: "11 digits"},
	"HU": {form: `\d{8}`, says: "8 digits"},
	"IE": {form: `\d[0-9A-Z+*]\d{5}[A-W][A-IW]?`, says: "7 digits and one or two letters"},
	"IT": {form: `\d{11}`, says: "11 digits", check: luhn},
	"LT": {form: `\d{9}|\d{12}`, says: "9 or 12 digits"},
	"LU": {form: `\d{8}`, says: "8 digits"},
	"LV": {form: `\d{11}`, says: "11 digits"},
	"MT": {form: `\d{8}`, says: "8 digits"},
	"NL": {form: `\d{9}B\d{2}`, says: "9 digits, B and 2 digits", check: vatNL},
	"PL": {form: `\d{10}`, says: "10 digits", check: vatPL},
	"PT": {form: `\d{9}`, says: "9 digits"},
	"RO": {form: `\d{2,10}`, says: "2 to 10 digits"},
	"SE": {form: `\d{12}`, says: "12 digits", check: vatSE},
	"SI": {form: `\d{8}`, says: "8 digits"},
	"SK": {form: `\d{10}`, says: "10 digits"},
	"XI": {form: `\d{9}|\d{12}|(?:GD|HA)\d{3}`, says: "9 or 12 digits"},
})

func compileVAT(rules map[string]vatRule) map[string]vatRule {
	for country, r := range rules {
		r.syntax = regexp.MustCompile(`^(?:` + r.form + `)$`)
		rules[country] = r
	}
	return rules
}

// checkVAT checks a VAT number with its country prefix.
func checkVAT(value string) error {
	country, rest := value[:min(2, len(value))], value[min(2, len(value)):]
	rule, known := vatRules[country]
	if !known {
		return malformed("vat.country", "the prefix of an EU member state (Greece: EL) or XI", value).
			repair("for other countries use the scheme taxId")
	}
	if !rule.syntax.MatchString(rest) {
		return malformed("vat.syntax", country+" and "+rule.says, value).
			repair("write it without spaces, dots and hyphens")
	}
	if rule.check != nil && !rule.check(rest) {
		return malformed("vat.checkDigits", "check digits that hold", value).
			repair("compare every character with the registration")
	}
	return nil
}

// number returns the decimal value of digits short enough for an int.
func number(digits string) int {
	n := 0
	for i := range len(digits) {
		n = 10*n + digit(digits, i)
	}
	return n
}

func digit(s string, i int) int { return int(s[i] - '0') }

// weighted returns the sum of the first digits, each times its weight.
func weighted(digits string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * digit(digits, i)
	}
	return sum
}

// luhnSum is the sum of ISO/IEC 7812-1 Annex B: every second digit from the
// right, beginning with the last when double is set, counts twice.
func luhnSum(digits string, double bool) int {
	sum := 0
	for i := len(digits) - 1; i >= 0; i-- {
		d := digit(digits, i)
		if double {
			d = d/5 + 2*d%10
		}
		sum += d
		double = !double
	}
	return sum
}

// luhn reports whether the last digit is the check digit of the others.
func luhn(digits string) bool { return luhnSum(digits, false)%10 == 0 }

// vatDE is ISO/IEC 7064 MOD 11,10.
func vatDE(n string) bool {
	product := 10
	for i := range 8 {
		sum := (digit(n, i) + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = 2 * sum % 11
	}
	return (11-product)%10 == digit(n, 8)
}

// vatFR: the key is 12 + 3·SIREN mod 97. Keys with a letter have their own sum.
func vatFR(n string) bool {
	key, siren := n[:2], number(n[2:])
	if allDigits(key) {
		return (12+3*(siren%97))%97 == number(key)
	}
	const alphabet = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	first, second := strings.IndexByte(alphabet, key[0]), strings.IndexByte(alphabet, key[1])
	sum := 34*first + second - 100
	if first < 10 {
		sum = 24*first + second - 10
	}
	return (siren+1+sum/11)%11 == sum%11
}

// vatNL: either the nine digits pass the eleven test, as they did until 2019,
// or the whole number with its country passes MOD 97-10.
func vatNL(n string) bool {
	return weighted(n, 9, 8, 7, 6, 5, 4, 3, 2)%11 == digit(n, 8) || mod97("NL"+n) == 1
}

// vatES: natural persons have a letter by 23, legal persons a control digit or
// letter that depends on their kind.
func vatES(n string) bool {
	const personal, entity = "TRWAGMYFPDXBNJZSQVHLCKE", "JABCDEFGHI"
	body, control := n[1:8], n[8]
	switch first := n[0]; {
	case first >= '0' && first <= '9':
		return control == personal[number(n[:8])%23]
	case strings.IndexByte("XYZ", first) >= 0:
		return control == personal[number(string('0'+first-'X')+body)%23]
	case strings.IndexByte("KLM", first) >= 0:
		return control == personal[number(body)%23]
	case strings.IndexByte("ABEH", first) >= 0:
		return int(control-'0') == (10-luhnSum(body, true)%10)%10
	case strings.IndexByte("NPQRSW", first) >= 0:
		return control == entity[(10-luhnSum(body, true)%10)%10]
	case strings.IndexByte("CDFGJUV", first) >= 0:
		want := (10 - luhnSum(body, true)%10) % 10
		return control == entity[want] || int(control-'0') == want
	}
	return false
}

// vatBE: the last two digits are 97 less the rest of the others.
func vatBE(n string) bool { return 97-number(n[:8])%97 == number(n[8:]) }

// vatAT: a Luhn sum over seven digits and a constant 4.
func vatAT(n string) bool { return (10-(luhnSum(n[1:8], false)+4)%10)%10 == digit(n, 8) }

// vatPL: a weighted sum modulo 11; 10 is never given out.
func vatPL(n string) bool { return weighted(n, 6, 5, 7, 2, 3, 4, 5, 6, 7)%11 == digit(n, 9) }

// vatSE: the organisation number with its Luhn digit, and a running number
// that is not 00.
func vatSE(n string) bool { return luhn(n[:10]) && n[10:] != "00" }

// vatFI: a weighted sum modulo 11; a rest of 1 is never given out.
func vatFI(n string) bool {
	return slices.Contains([]int{0, 11}, weighted(n, 7, 9, 10, 5, 8, 4, 2)%11+digit(n, 7))
}
