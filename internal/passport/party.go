package passport

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PartyID is an identifier of an economic operator, facility or other party in
// a named scheme. The values are in the spelling of their register: capitals,
// no spaces.
type PartyID struct {
	Scheme string `json:"scheme"` // one of PartySchemes
	Value  string `json:"value"`
}

// partySchemes are the schemes with the check of each.
var partySchemes = []struct {
	name  string
	check func(value string) error
}{
	{"lei", checkLEI},
	{"eori", checkEORI},
	{"gln", checkGLN},
	{"vat", checkVAT},
	{"duns", pattern("duns.syntax", `^[0-9]{9}$`, "nine digits, without hyphens")},
	{"bpn", pattern("bpn.syntax", `^BPN[LSA][0-9A-Z]{12}$`, "BPNL, BPNS or BPNA and 12 capitals or digits")},
	{"did", checkDID},
	{"rmiCid", pattern("rmiCid.syntax", `^CID[0-9]{6}$`, "CID and six digits")},
	{"oshub", pattern("oshub.syntax", `^[A-Z]{2}[0-9]{7}[0-9A-Z]{6}$`, "an OS ID such as CN2021250D1DTN7: country, seven digits, six capitals or digits")},
	{"oecdId", checkText},
	{"taxId", checkText},
	{"internal", checkText},
	{"other", checkText},
}

// PartySchemes lists the schemes that Check knows:
//
//	lei       Legal Entity Identifier, ISO 17442-1
//	eori      Economic Operators Registration and Identification number
//	gln       Global Location Number of GS1
//	vat       VAT number of an EU member state or Northern Ireland, with its prefix
//	duns      D-U-N-S number
//	bpn       Business Partner Number of Catena-X: legal entity, site or address
//	did       W3C decentralised identifier
//	rmiCid    smelter number of the Responsible Minerals Initiative
//	oshub     Open Supply Hub's facility number
//	oecdId    number in a register after the OECD guidance
//	taxId     tax number anywhere else
//	internal  the declaring party's own number
//	other     any other
func PartySchemes() []string {
	names := make([]string, len(partySchemes))
	for i, s := range partySchemes {
		names[i] = s.name
	}
	return names
}

// Check reports what is wrong with the identifier: an unknown scheme, a value
// not of the scheme's form, or check digits that do not hold.
func (p PartyID) Check() error {
	for _, s := range partySchemes {
		if s.name == p.Scheme {
			return s.check(p.Value)
		}
	}
	return malformed("party.scheme", "one of "+strings.Join(PartySchemes(), ", "), p.Scheme)
}

// pattern makes a check by regular expression.
func pattern(code, expression, expected string) func(string) error {
	compiled := regexp.MustCompile(expression)
	return func(value string) error {
		if !compiled.MatchString(value) {
			return malformed(code, expected, value)
		}
		return nil
	}
}

var leiSyntax = pattern("lei.syntax", `^[0-9A-Z]{18}[0-9]{2}$`, "18 capitals or digits and two check digits")

// checkLEI is ISO 17442-1 with the check digits of ISO/IEC 7064 MOD 97-10.
func checkLEI(value string) error {
	if err := leiSyntax(value); err != nil {
		return err
	}
	body := value[:18]
	want := fmt.Sprintf("%02d", 98-mod97(body+"00"))
	if value[18:] != want {
		return malformed("lei.checkDigits", "check digits "+want+" after "+body, value)
	}
	return nil
}

// mod97 takes letters for the numbers 10 to 35 and returns the remainder of
// the resulting decimal number.
func mod97(s string) int64 {
	var digits strings.Builder
	for i := range len(s) {
		n, _ := strconv.ParseInt(s[i:i+1], 36, 64) // callers pass digits and capitals only
		digits.WriteString(strconv.FormatInt(n, 10))
	}
	n, _ := new(big.Int).SetString(digits.String(), 10)
	return n.Mod(n, big.NewInt(97)).Int64()
}

var eoriSyntax = pattern("eori.syntax", `^[A-Z]{2}[0-9A-Z]{1,15}$`, "a country code and up to 15 capitals or digits")

// checkEORI is Annex 12-01 of Delegated Regulation (EU) 2015/2446: country and
// a number unique in it. XI stands for Northern Ireland.
func checkEORI(value string) error {
	if err := eoriSyntax(value); err != nil {
		return err
	}
	if c := value[:2]; c != "XI" && !Country(c).IsISO() {
		return malformed("eori.country", "an ISO 3166-1 country code or XI first", value)
	}
	return nil
}

var glnSyntax = pattern("gln.syntax", `^[0-9]{13}$`, "13 digits")

func checkGLN(value string) error {
	if err := glnSyntax(value); err != nil {
		return err
	}
	return checkMod10("gln.checkDigit", value)
}

// checkDID accepts a DID in its normal form alone, so that it can be compared.
func checkDID(value string) error {
	normal, err := normalDID(value)
	if err == nil && normal != value {
		return malformed("did.normal", "the normal form", value).repair("send " + normal)
	}
	return err
}

// checkText accepts what a register of its own may hold: one line of up to 64
// printable characters.
func checkText(value string) error {
	switch {
	case value == "" || utf8.RuneCountInString(value) > 64:
		return malformed("party.length", "1 to 64 characters", value)
	case strings.TrimSpace(value) != value || !utf8.ValidString(value) || strings.ContainsFunc(value, notPrintable):
		return malformed("party.text", "printable characters, no space at either end", value)
	}
	return nil
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }
