package passport

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestQuantityKeepsItsExactValue(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "0.000": "0", "0e99999": "0", "0E-5": "0",
		"1": "1", "-12.5": "-25/2", "0.1": "1/10", "75.40": "377/5",
		"1e3": "1000", "1E+3": "1000", "12.5e-1": "5/4", "100e-2": "1",
		"123456789012345":           "123456789012345",
		"0.123456789012345":         "24691357802469/200000000000000",
		"1.500000000000000000000":   "3/2",
		"1e-12":                     "1/1000000000000",
		"0.000000000001":            "1/1000000000000",
		"1e15":                      "1000000000000000",
		"1000000000000000":          "1000000000000000",
		"1000000000000000.0":        "1000000000000000",
		"0.001e18":                  "1000000000000000",
		"1000000000000000000000e-6": "1000000000000000",
		"999999999999999":           "999999999999999",
	} {
		got, err := ParseQuantity(text)
		if err != nil || got.RatString() != want {
			t.Errorf("%s is %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestBadQuantityIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct{ text, code, says string }{
		{"", "number.syntax", "-12.5"},
		{"-", "number.syntax", ""},
		{"+1", "number.syntax", ""},
		{"01", "number.syntax", ""},
		{"-01", "number.syntax", ""},
		{"1.", "number.syntax", ""},
		{".5", "number.syntax", ""},
		{"1e", "number.syntax", ""},
		{"1e+", "number.syntax", ""},
		{"1e+-1", "number.syntax", ""},
		{"1e1.5", "number.syntax", ""},
		{"--1", "number.syntax", ""},
		{"1/3", "number.syntax", ""},
		{"0x10", "number.syntax", ""},
		{"1_000", "number.syntax", ""},
		{"NaN", "number.syntax", ""},
		{"Infinity", "number.syntax", ""},
		{"1,5", "number.syntax", ""},
		{" 1", "number.syntax", ""},
		{"1 ", "number.syntax", ""},
		{"１", "number.syntax", ""},
		{"1e5e5", "number.syntax", ""},
		{"1.2.3", "number.syntax", ""},
		{"1234567890123456", "number.digits", "15 significant digits"},
		{"0.1234567890123456", "number.digits", "15"},
		{"1000000000000001", "number.digits", "15"},
		{"9007199254740993", "number.digits", "15"},
		{"1e16", "number.magnitude", "1e15"},
		{"1.1e15", "number.magnitude", "1e15"},
		{"2e15", "number.magnitude", "1e15"},
		{"-1000000000000010e0", "number.magnitude", "1e15"},
		{"9.9e-13", "number.magnitude", "1e-12"},
		{"0.0000000000009", "number.magnitude", "1e-12"},
		{"1e999999", "number.magnitude", "1e15"},
		{"1e-999999", "number.magnitude", "1e-12"},
		{"1e99999999999999999999999999999999999999999", "number.magnitude", "1e15"},
		{"-1e-9999999999999999999999999999999999999999", "number.magnitude", "1e-12"},
		{"1" + strings.Repeat("0", 64), "number.length", "64"},
		{"0." + strings.Repeat("0", 100_000), "number.length", "64"},
	} {
		_, err := ParseQuantity(c.text)
		refused(t, err, c.code, c.says)
	}
}

func TestQuantitySurvivesEveryFloat64Parser(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := strconv.FormatInt(rapid.Int64Range(1, 999_999_999_999_999).Draw(t, "digits"), 10)
		text := digits + "e" + strconv.Itoa(rapid.IntRange(-30, 20).Draw(t, "exponent"))
		want, err := ParseQuantity(text)
		if err != nil {
			magnitude, _ := strconv.ParseFloat(text, 64)
			if magnitude >= 1.000001e-12 && magnitude <= 0.999999e15 {
				t.Fatalf("%s is refused: %v", text, err)
			}
			return
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) {
			t.Fatalf("%s is no float64: %v", text, err)
		}
		// 15 digits of the float give the text's value back
		back, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'e', 14, 64))
		if back.Cmp(want) != 0 {
			t.Fatalf("%s became %s through a float64", text, back)
		}
	})
}

func TestQuantityCheckAllocatesNothingForAnyExponent(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { _ = CheckQuantity("123.456e-7") }); n != 0 {
		t.Errorf("%v allocations for an accepted number", n)
	}
}
