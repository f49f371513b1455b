package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson/hostile"
)

// fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkParsed fails the test unless Parse and encoding/json read the same tree.
func checkParsed(t fataler, body []byte, want any) {
	t.Helper()
	got, err := Parse(body)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("Parse(%q) = %#v, %v; want %#v", body, got, err, want)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var standard any
	if err := d.Decode(&standard); err != nil || d.More() || !reflect.DeepEqual(got, standard) {
		t.Fatalf("encoding/json reads %q as %#v, %v; we as %#v", body, standard, err, got)
	}
}

// checkAgainstStandardLibrary holds Parse to the promise that what it accepts
// has the same meaning for every reader, and that what it calls no JSON is none.
func checkAgainstStandardLibrary(t fataler, body []byte) {
	t.Helper()
	tree, err := Parse(body)
	var syntax *SyntaxError
	var rejected *Rejected
	var large *TooLarge
	switch {
	case err == nil:
		checkParsed(t, body, tree)
	case errors.As(err, &syntax):
		lenient := syntax.Code == "json.utf8" || syntax.Code == "json.surrogate" // encoding/json puts U+FFFD there
		if !lenient && json.Valid(body) {
			t.Fatalf("%q is JSON for encoding/json, for us: %v", body, err)
		}
		if syntax.Offset < 0 || syntax.Offset > len(body) || syntax.Line < 1 || syntax.Column < 1 {
			t.Fatalf("%q: no place for %v", body, err)
		}
	case errors.As(err, &rejected):
		notToTheEnd := slices.ContainsFunc(rejected.Violations, func(v passport.Violation) bool {
			return v.Code == "json.depth" || v.Code == "json.tokens"
		})
		if !notToTheEnd && !json.Valid(body) {
			t.Fatalf("%q is no JSON for encoding/json, for us: %v", body, err)
		}
	case errors.As(err, &large) && len(body) > MaxBytes:
	default:
		t.Fatalf("Parse(%q): %v", body, err)
	}
}

func TestCorpusAgreesWithTheStandardLibrary(t *testing.T) {
	for _, c := range corpus(t) {
		checkAgainstStandardLibrary(t, c.body)
	}
}

// Whatever single byte is changed, removed or doubled in a body, we never
// accept what encoding/json refuses, nor read something else.
func TestEveryDamageOfABodyIsJudgedAsByTheStandardLibrary(t *testing.T) {
	body := []byte(`{"a":[1.5e-3,-0,"\u00fc\ud83d\udd0b"],"ü":{"t":true,"n":null}, "s":"x\\"}`)
	for i := range body {
		for c := range 256 {
			changed := slices.Clone(body)
			changed[i] = byte(c)
			checkAgainstStandardLibrary(t, changed)
		}
		checkAgainstStandardLibrary(t, slices.Delete(slices.Clone(body), i, i+1))
		checkAgainstStandardLibrary(t, slices.Insert(slices.Clone(body), i, body[i]))
		checkAgainstStandardLibrary(t, body[:i])
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range corpus(f) {
		f.Add(c.body)
	}
	for _, s := range hostile.Strings() {
		f.Add([]byte(`{"` + s + `":"` + s + `"}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkAgainstStandardLibrary(t, body) })
}

func FuzzCanonical(f *testing.F) {
	for _, c := range corpus(f) {
		if c.verdict == "accept" {
			f.Add(c.body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tree, err := Parse(body)
		if err != nil {
			return
		}
		compact, err := Marshal(tree)
		if err != nil {
			t.Fatalf("Marshal of %q: %v", body, err)
		}
		checkParsed(t, compact, tree)
		canonical, err := Canonical(tree)
		if err != nil {
			t.Fatalf("Canonical of %q: %v", body, err)
		}
		again, err := Parse(canonical)
		if err != nil || !sameValue(tree, again) {
			t.Fatalf("%q became %q, which is %v, %v", body, canonical, again, err)
		}
		if twice, err := Canonical(again); err != nil || !bytes.Equal(twice, canonical) {
			t.Fatalf("%q became %q, then %q, %v", body, canonical, twice, err)
		}
	})
}
