package passport

import (
	"fmt"
	"math/big"
	"strings"
)

// The bounds of a quantity. Within them every JSON parser reads the same
// value: a float64 keeps 15 significant digits, and RFC 8785 writes it back.
const (
	maxSignificant = 15
	minExponent    = -12 // magnitude at least 1e-12
	maxExponent    = 15  // magnitude at most 1e15
	maxNumberText  = 64  // characters
)

// CheckQuantity reports whether text, a JSON number (RFC 8259 section 6), is a
// quantity the registry keeps exactly: at most 15 significant digits and,
// unless zero, a magnitude from 1e-12 to 1e15. It works on the text and
// allocates nothing when it agrees, however large the exponent.
func CheckQuantity(text string) error {
	if len(text) > maxNumberText {
		return malformed("number.length", fmt.Sprintf("at most %d characters", maxNumberText), text)
	}
	d, ok := scanDecimal(text)
	if !ok {
		return malformed("number.syntax", "a JSON number such as -12.5", text)
	}
	switch {
	case d.significant == 0:
		return nil
	case d.significant > maxSignificant:
		return malformed("number.digits", fmt.Sprintf("at most %d significant digits", maxSignificant), text).
			repair("round it to what was measured")
	case d.magnitude < minExponent, d.magnitude > maxExponent, d.magnitude == maxExponent && !d.power:
		return malformed("number.magnitude", "zero, or a magnitude from 1e-12 to 1e15", text)
	}
	return nil
}

// ParseQuantity returns the exact value of a JSON number that CheckQuantity
// accepts.
func ParseQuantity(text string) (*big.Rat, error) {
	if err := CheckQuantity(text); err != nil {
		return nil, err
	}
	if d, _ := scanDecimal(text); d.significant == 0 {
		return new(big.Rat), nil // without expanding 0e99999
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, malformed("number.syntax", "a JSON number such as -12.5", text)
	}
	return value, nil
}

// decimal is what the bounds need to know of a number.
type decimal struct {
	significant int  // digits from the first to the last that is not 0; 0 for zero
	magnitude   int  // exponent of the first significant digit: 2 for 345
	power       bool // the value is a power of ten
}

// scanDecimal reads a JSON number in one pass; false if text is none.
func scanDecimal(text string) (decimal, bool) {
	mantissa, exponent, hasExponent := cutAny(strings.TrimPrefix(text, "-"), "eE")
	whole, fraction, hasFraction := strings.Cut(mantissa, ".")
	if !allDigits(whole) || len(whole) > 1 && whole[0] == '0' || hasFraction && !allDigits(fraction) {
		return decimal{}, false
	}
	shift := 0
	if hasExponent {
		var ok bool
		if shift, ok = scanExponent(exponent); !ok {
			return decimal{}, false
		}
	}
	var d decimal
	first, last := -1, -1 // positions among the digits, the point left out
	for i := range len(whole) + len(fraction) {
		if digitAt(whole, fraction, i) == '0' {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
	}
	if first < 0 {
		return d, true
	}
	d.significant = last - first + 1
	d.magnitude = len(whole) - 1 - first + shift
	d.power = d.significant == 1 && digitAt(whole, fraction, first) == '1'
	return d, true
}

func digitAt(whole, fraction string, i int) byte {
	if i < len(whole) {
		return whole[i]
	}
	return fraction[i-len(whole)]
}

// scanExponent reads what follows e or E. Beyond a million it stops counting:
// the text of a number is too short to make up for so much.
func scanExponent(text string) (int, bool) {
	digits := strings.TrimLeft(text, "+-")
	if !allDigits(digits) || len(text)-len(digits) > 1 {
		return 0, false
	}
	n := 0
	for i := range len(digits) {
		n = min(10*n+int(digits[i]-'0'), 1_000_000)
	}
	if text[0] == '-' {
		return -n, true
	}
	return n, true
}

// cutAny is strings.Cut at the first of several characters.
func cutAny(s, chars string) (before, after string, found bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
