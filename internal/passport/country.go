package passport

import "strings"

// Country is an ISO 3166-1 alpha-2 code, or XK.
type Country string

// officiallyAssigned are the 249 codes that ISO 3166-1 assigned as of 2026, by
// first letter.
const officiallyAssigned = `
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ
BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ
DE DJ DK DM DO DZ
EC EE EG EH ER ES ET
FI FJ FK FM FO FR
GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY
HK HM HN HR HT HU
ID IE IL IM IN IO IQ IR IS IT
JE JM JO JP
KE KG KH KI KM KN KP KR KW KY KZ
LA LB LC LI LK LR LS LT LU LV LY
MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
NA NC NE NF NG NI NL NO NP NR NU NZ
OM
PA PE PF PG PH PK PL PM PN PR PS PT PW PY
QA
RE RO RS RU RW
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ
TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ
UA UG UM US UY UZ
VA VC VE VG VI VN VU
WF WS
YE YT
ZA ZM ZW`

// kosovo is a user-assigned code that ISO 3166-1 leaves to agreement; the EU's
// customs and statistics use it, and nickel is mined there.
const kosovo Country = "XK"

var countries = func() map[Country]bool {
	set := map[Country]bool{}
	for code := range strings.FieldsSeq(officiallyAssigned) {
		set[Country(code)] = true
	}
	return set
}()

// otherCodes are what people write instead, with what ISO 3166-1 says.
var otherCodes = map[string]string{
	"UK": "the code of the United Kingdom is GB",
	"EL": "the code of Greece is GR; EL is for VAT numbers alone",
	"EU": "name the member state",
	"AN": "the Netherlands Antilles are BQ, CW or SX now",
	"CS": "Serbia and Montenegro are RS and ME now",
	"SU": "the Soviet Union has no code any more",
	"TP": "the code of Timor-Leste is TL",
	"ZR": "the code of the Democratic Republic of the Congo is CD",
}

// ParseCountry reads an officially assigned ISO 3166-1 alpha-2 code, in
// capitals. XK is accepted as well; IsISO tells it apart.
func ParseCountry(s string) (Country, error) {
	if c := Country(s); countries[c] || c == kosovo {
		return c, nil
	}
	m := malformed("country.unknown", "an ISO 3166-1 alpha-2 code such as DE", s)
	switch upper := strings.ToUpper(s); {
	case otherCodes[upper] != "":
		return "", m.repair(otherCodes[upper])
	case countries[Country(upper)]:
		return "", m.repair("write it in capitals: " + upper)
	}
	return "", m
}

// IsISO reports whether ISO 3166-1 assigned the code; XK is user-assigned.
func (c Country) IsISO() bool { return countries[c] }
