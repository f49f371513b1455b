package strictjson

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/strictjson/hostile"
)

// refusedKinds are the kinds of hostile texts that no record may hold, with
// the codes that say so; texts of all other kinds pass unless they hold a
// control character besides.
var refusedKinds = map[string][]string{
	"bidi":          {"text.bidi"},
	"invisible":     {"text.invisible"},
	"control":       {"text.control"},
	"unassigned":    {"text.unassigned", "text.privateUse", "text.replacement"},
	"notNormalised": {"text.notNormalised"},
}

func TestHostileTextPassesUnharmedOrIsRefused(t *testing.T) {
	for kind, texts := range hostile.Kinds() {
		for _, text := range texts {
			body, err := json.Marshal(map[string]any{"name": text})
			if err != nil {
				t.Fatal(err)
			}
			tree, err := Parse(body)
			if err == nil {
				if refusedKinds[kind] != nil {
					t.Errorf("%s: %+q is accepted", kind, text)
				}
				checkRoundTrip(t, tree, text)
				continue
			}
			want := refusedKinds[kind]
			if want == nil && strings.ContainsAny(text, "\x00\t\r\n") {
				want = []string{"text.control"}
			}
			var rejected *Rejected
			if !errors.As(err, &rejected) {
				t.Errorf("%s: %+q: %v", kind, text, err)
				continue
			}
			if v := rejected.Violations[0]; v.Pointer != "/name" || !slices.Contains(want, v.Code) {
				t.Errorf("%s: %+q is refused at %s as %s, want %v", kind, text, v.Pointer, v.Code, want)
			}
			checkMessages(t, err)
		}
	}
}

// checkRoundTrip fails the test unless the text comes back byte for byte from
// everything this package writes.
func checkRoundTrip(t *testing.T, tree any, text string) {
	t.Helper()
	want := map[string]any{"name": text}
	if d := cmp.Diff(want, tree); d != "" {
		t.Errorf("%+q became %s", text, d)
	}
	for name, write := range map[string]func(any) ([]byte, error){"Marshal": Marshal, "Canonical": Canonical} {
		b, err := write(tree)
		if err != nil {
			t.Errorf("%s(%+q): %v", name, text, err)
			continue
		}
		if again, err := Parse(b); err != nil || !cmp.Equal(want, again) {
			t.Errorf("%s(%+q) = %s, which is %v, %v", name, text, b, again, err)
		}
	}
}

func TestHostileTextIsJudgedAlikeAsAName(t *testing.T) {
	for _, text := range hostile.Strings() {
		if len(text) > MaxName {
			continue
		}
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		_, asValue := Parse(value)
		_, asName := Parse([]byte("{" + string(value) + ":0}"))
		if verdict(asValue) != verdict(asName) {
			t.Errorf("%+q: as a value %s, as a name %s", text, verdict(asValue), verdict(asName))
		}
	}
}
