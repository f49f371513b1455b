package passport

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestNewIDIsSortedByTimeAndCanonical(t *testing.T) {
	at := time.Date(2027, 2, 18, 9, 30, 0, 0, time.UTC)
	random := bytes.NewReader(bytes.Repeat([]byte{0xff}, 20))
	first, err := NewID(at, random)
	if err != nil {
		t.Fatal(err)
	}
	if got := first.String(); got != "01a3c7c6-edc0-7fff-bfff-ffffffffffff" {
		t.Errorf("id is %s", got)
	}
	second, err := NewID(at.Add(time.Millisecond), random)
	if err != nil || second.String() <= first.String() {
		t.Errorf("%s after %s, %v", second, first, err)
	}
	if _, err := NewID(at, random); err == nil {
		t.Error("an id is made without randomness")
	}
	if back, err := ParseID(first.URN()); err != nil || back != first {
		t.Errorf("%s came back as %s, %v", first.URN(), back, err)
	}
	var back ID
	b, err := json.Marshal(first)
	if err != nil || json.Unmarshal(b, &back) != nil || back != first {
		t.Errorf("%s came back as %s, %v", b, back, err)
	}
}

func TestOneIDHasOneText(t *testing.T) {
	for _, text := range []string{
		"", "0192f5a0", "0192F5A0-7C31-7B62-9D1E-5A1B6D0F7A11", "{0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11}", "0192f5a07c317b629d1e5a1b6d0f7a11",
		"0192f5a0-7c31-4b62-9d1e-5a1b6d0f7a11", "0192f5a0-7c31-7b62-1d1e-5a1b6d0f7a11", "URN:UUID:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11",
		"00000000-0000-0000-0000-000000000000", " 0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11", "urn:uuid:urn:uuid:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11",
	} {
		if id, err := ParseID(text); !errors.Is(err, ErrMalformed) || !id.IsZero() {
			t.Errorf("ParseID(%q) = %s, %v", text, id, err)
		}
	}
}

func TestOrganisationNamesFitIntoURLs(t *testing.T) {
	for _, text := range []string{"a", "nordlicht", "cell-7", "1a", strings.Repeat("a", 40)} {
		if org, err := ParseOrgID(text); err != nil || string(org) != text {
			t.Errorf("ParseOrgID(%q) = %s, %v", text, org, err)
		}
	}
	for _, text := range []string{"", "-a", "a-", "A", "a_b", "a.b", "a/b", "a:b", "ä", strings.Repeat("a", 41), "a\n"} {
		if _, err := ParseOrgID(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseOrgID(%q): %v", text, err)
		}
	}
}

func TestTiersAreSetsNotLevels(t *testing.T) {
	authority := TiersOf(Point2, Point3, Origin)
	if authority.Has(Point4) || !authority.Has(Point3) || !authority.Has(Public) || !Tiers(0).Has(Public) || Tiers(0).Has(Point2) {
		t.Errorf("authority reads %v", authority.List())
	}
	interest := TiersOf(Point2, Point4, "nonsense", Public)
	if got := authority.Intersect(interest); got != TiersOf(Point2) {
		t.Errorf("both read %v", got.List())
	}
	if got := authority.Union(interest); got != AllTiers() || len(got.List()) != len(Restricted()) {
		t.Errorf("together they read %v", got.List())
	}
}

func TestWarningsDoNotBlock(t *testing.T) {
	if Blocks(nil) || Blocks([]Violation{{Severity: Warning}}) || !Blocks([]Violation{{Severity: Warning}, {Severity: Blocking}}) {
		t.Error("only a blocking violation blocks")
	}
}
