package passport

import (
	"fmt"
	"strings"
)

// GTIN is a Global Trade Item Number in its 14-digit form, with a check digit
// that holds (GS1 General Specifications section 7.9).
type GTIN string

// ParseGTIN reads a GTIN-8, -12, -13 or -14 and pads it with zeros to 14
// digits. A wrong check digit is told together with the right one.
func ParseGTIN(s string) (GTIN, error) {
	if !allDigits(s) {
		return "", malformed("gtin.digits", "8, 12, 13 or 14 digits", s).
			repair("write the digits alone, without spaces or hyphens")
	}
	switch len(s) {
	case 8, 12, 13, 14:
	default:
		return "", malformed("gtin.length", "8, 12, 13 or 14 digits", s).repair(fmt.Sprintf("it has %d digits", len(s)))
	}
	if strings.Trim(s, "0") == "" {
		return "", malformed("gtin.zero", "a GTIN that GS1 allocated", s)
	}
	if err := checkMod10("gtin.checkDigit", s); err != nil {
		return "", err
	}
	return GTIN(strings.Repeat("0", 14-len(s)) + s), nil
}

// String returns the 14 digits.
func (g GTIN) String() string { return string(g) }

// checkMod10 checks the last of digits against the ones before it, as GS1
// does for GTIN and GLN.
func checkMod10(code, digits string) error {
	body := digits[:len(digits)-1]
	want := mod10(body)
	if digits[len(body)] == want {
		return nil
	}
	return malformed(code, fmt.Sprintf("check digit %c after %s", want, body), digits).
		repair("compare every digit with the original; if all are right, the last is " + string(want))
}

// mod10 returns the GS1 check digit of body: weights 3 and 1 from the right.
func mod10(body string) byte {
	sum := 0
	for i := range len(body) {
		weight := 1
		if (len(body)-i)%2 == 1 {
			weight = 3
		}
		sum += weight * int(body[i]-'0')
	}
	return byte('0' + (10-sum%10)%10)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
