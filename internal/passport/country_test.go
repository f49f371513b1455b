package passport

import (
	"slices"
	"strings"
	"testing"
)

func TestISOAssigns249Codes(t *testing.T) {
	codes := strings.Fields(officiallyAssigned)
	if len(codes) != 249 || len(countries) != 249 || !slices.IsSorted(codes) {
		t.Fatalf("%d codes, %d of them different, sorted: %v", len(codes), len(countries), slices.IsSorted(codes))
	}
	for _, code := range codes {
		if c, err := ParseCountry(code); err != nil || !c.IsISO() || string(c) != code {
			t.Errorf("%s is %s, %v", code, c, err)
		}
	}
}

func TestKosovoIsAcceptedAndToldApart(t *testing.T) {
	if c, err := ParseCountry("XK"); err != nil || c.IsISO() {
		t.Errorf("XK is %s, ISO %v, %v", c, c.IsISO(), err)
	}
}

func TestOtherCountryCodesAreRefusedWithTheReason(t *testing.T) {
	for text, says := range map[string]string{
		"": "such as DE", "D": "such as DE", "DEU": "such as DE", "de": "in capitals: DE", "UK": "GB", "uk": "GB", "EL": "GR", "EU": "member state",
		"ZR": "CD", "AA": "such as DE", "XX": "such as DE", "ZZ": "such as DE", "QM": "such as DE", "xk": "such as DE", "ＤＥ": "such as DE", "D\u0415": "such as DE",
		" DE": "such as DE", "Germany": "such as DE",
	} {
		_, err := ParseCountry(text)
		refused(t, err, "country.unknown", says)
	}
}
