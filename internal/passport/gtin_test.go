package passport

import (
	"strings"
	"testing"
)

func TestGTINOfEveryLengthBecomesFourteenDigits(t *testing.T) {
	for text, want := range map[string]GTIN{
		"09506000134352": "09506000134352",
		"9506000134352":  "09506000134352",
		"19506000134359": "19506000134359", // a case of the same product has its own check digit
		"614141000036":   "00614141000036",
		"95060347":       "00000095060347",
		"10000007":       "00000010000007",
	} {
		got, err := ParseGTIN(text)
		if err != nil || got != want {
			t.Errorf("ParseGTIN(%s) = %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestBadGTINIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct{ text, code, says string }{
		{"", "gtin.digits", "8, 12, 13 or 14 digits"},
		{"0950600013435X", "gtin.digits", "without spaces"},
		{"0950 6000 1343 52", "gtin.digits", "without spaces"},
		{"٠٩٥٠٦٠٠٠١٣٤٣٥٢", "gtin.digits", "digits"},
		{"-9506000134352", "gtin.digits", "digits"},
		{"950600013435", "gtin.checkDigit", "check digit 9 after 95060001343"},
		{"9506000", "gtin.length", "it has 7 digits"},
		{"95060001343", "gtin.length", "it has 11 digits"},
		{"009506000134352", "gtin.length", "it has 15 digits"},
		{"09506000134353", "gtin.checkDigit", "check digit 2 after 0950600013435"},
		{"09506000143352", "gtin.checkDigit", "check digit"}, // 3 and 4 swapped
		{"00000000", "gtin.zero", "allocated"},
		{"00000000000000", "gtin.zero", "allocated"},
	} {
		_, err := ParseGTIN(c.text)
		refused(t, err, c.code, c.says)
	}
}

func TestCheckDigitFindsEverySingleWrongDigit(t *testing.T) {
	const right = "09506000134352"
	for i := range right {
		for d := '0'; d <= '9'; d++ {
			text := right[:i] + string(d) + right[i+1:]
			if _, err := ParseGTIN(text); (err == nil) != (text == right) {
				t.Errorf("ParseGTIN(%s): %v", text, err)
			}
		}
	}
}

func FuzzGTIN(f *testing.F) {
	for _, s := range []string{"09506000134352", "9506000134352", "614141000036", "95060347", "0", "", "00000000", "x9506000134352", "950600013435２"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ParseGTIN(s)
		if err != nil {
			return
		}
		if len(g) != 14 || !strings.HasSuffix(string(g), s) || mod10(string(g[:13])) != g[13] {
			t.Errorf("ParseGTIN(%q) = %s", s, g)
		}
		if again, err := ParseGTIN(g.String()); err != nil || again != g {
			t.Errorf("ParseGTIN(%s) = %s, %v", g, again, err)
		}
	})
}
