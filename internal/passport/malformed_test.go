package passport

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refused fails the test unless err is a *Malformed with the code that says
// each of the texts, and can be printed.
func refused(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	var m *Malformed
	if !errors.As(err, &m) || !errors.Is(err, ErrMalformed) {
		t.Fatalf("error is %v, want a *Malformed with code %s", err, code)
	}
	if m.Code != code {
		t.Errorf("code is %s, want %s (%v)", m.Code, code, err)
	}
	if m.Expected == "" || m.Found == "" {
		t.Errorf("%v says not what was expected and found", err)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
	for _, r := range err.Error() {
		if r < ' ' || r > '~' {
			t.Errorf("error %q holds %U", err, r)
		}
	}
}

func TestParseErrorBecomesTheViolationOfItsMember(t *testing.T) {
	_, err := ParseGTIN("09506000134353")
	got := ViolationAt("/model/gtin", err)
	want := Violation{
		Pointer: "/model/gtin", Code: "gtin.checkDigit", Severity: Blocking,
		Expected: "check digit 2 after 0950600013435", Found: `"09506000134353"`,
		Repair: "compare every digit with the original; if all are right, the last is 2",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestErrorWithoutCodeStillBlocks(t *testing.T) {
	_, err := ParseID("x")
	if v := ViolationAt("/passportId", err); v.Code != "value.malformed" || !Blocks([]Violation{v}) {
		t.Errorf("violation is %+v", v)
	}
}

func TestQuoteCutsAndEscapes(t *testing.T) {
	for text, want := range map[string]string{
		"":                      `""`,
		"A1":                    `"A1"`,
		"a\"b\n":                `"a\"b\n"`,
		"\u202egpj":             `"\u202egpj"`,
		"\xff":                  `"\xff"`,
		strings.Repeat("x", 64): `"` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("ü", 65): `"` + strings.Repeat(`\u00fc`, 64) + `"...`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestPointerEscapesTildeAndSlash(t *testing.T) {
	for want, tokens := range map[string][]string{
		"":                     nil,
		"/":                    {""},
		"/batch/origins/3":     {"batch", "origins", "3"},
		"/a~1b/m~0n/~01/ /%25": {"a/b", "m~n", "~1", " ", "%25"},
	} {
		if got := Pointer(tokens...); got != want {
			t.Errorf("Pointer(%q) = %q, want %q", tokens, got, want)
		}
	}
}
