package strictjson

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/passport"
)

func TestMarshalIsCompactSortedAndVerbatim(t *testing.T) {
	got, err := Marshal(map[string]any{
		"b": []any{json.Number("1.50"), json.Number("-0"), json.Number("1E+3"), true, false, nil},
		"a": map[string]any{"ü": "<a&b>", "z": "\"\\\b\f\n\r\t\x01\x7f\u2028🔋"},
		"":  []any{},
		"c": map[string]any{},
	})
	want := `{"":[],"a":{"z":"\"\\\b\f\n\r\t\u0001` + "\x7f\u2028🔋" + `","ü":"<a&b>"},"b":[1.50,-0,1E+3,true,false,null],"c":{}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestWhatIsNoTreeIsNotWritten(t *testing.T) {
	for name, v := range map[string]any{
		"int":                 1,
		"float":               1.5,
		"bytes":               []byte("x"),
		"strings":             []string{"x"},
		"pointer":             new(string),
		"empty number":        json.Number(""),
		"number like text":    json.Number("1,\"x\":2"),
		"number out of range": json.Number("1e999"),
		"inexact number":      json.Number("9007199254740993"),
		"not UTF-8":           "\xff",
		"name not UTF-8":      map[string]any{"\xff": nil},
		"deep in an array":    []any{[]any{1}},
		"deep in an object":   map[string]any{"a": map[string]any{"b": 1}},
	} {
		for writer, write := range map[string]func(any) ([]byte, error){"Marshal": Marshal, "Canonical": Canonical} {
			if b, err := write(v); err == nil || b != nil {
				t.Errorf("%s writes %s as %s, %v", writer, name, b, err)
			}
		}
	}
}

// The cases are those of RFC 8785 as far as a passport can hold them: section
// 3.2.2 for texts and literals, 3.2.3 for the order of members.
func TestCanonicalAgreesWithRFC8785(t *testing.T) {
	for _, c := range []struct {
		name string
		tree any
		want string
	}{
		{
			"primitive types",
			map[string]any{
				"numbers":  []any{json.Number("4.50"), json.Number("2e-3")},
				"string":   "\u20ac$\u000f\nA'B\"\\\\\"/",
				"literals": []any{nil, true, false},
			},
			`{"literals":[null,true,false],"numbers":[4.5,0.002],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		}, {
			"members in the order of UTF-16",
			map[string]any{
				"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
				"\U0001f600": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis",
			},
			`{"\r":"Carriage Return","1":"One","` + "\u0080" + `":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign",` +
				"\"\U0001f600\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		}, {
			"nesting",
			[]any{json.Number("56"), map[string]any{"d": true, "10": nil, "1": []any{}}},
			`[56,{"1":[],"10":null,"d":true}]`,
		},
	} {
		got, err := Canonical(c.tree)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got  %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}

// Numbers are written as ECMAScript does (RFC 8785 section 3.2.2.3).
func TestCanonicalNumbersAreThoseOfECMAScript(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "-0.0": "0", "0e99": "0",
		"1.0": "1", "-1.50": "-1.5", "1e2": "100", "1E+2": "100", "12e-1": "1.2",
		"1e15": "1000000000000000", "-1e15": "-1000000000000000", "123456789012345": "123456789012345",
		"1e-6": "0.000001", "1e-7": "1e-7", "0.00000015": "1.5e-7", "1e-12": "1e-12", "-1e-12": "-1e-12",
		"0.1": "0.1", "0.3": "0.3", "4.35": "4.35", "0.000001234": "0.000001234",
		"999999999999999": "999999999999999", "99999999999999.9": "99999999999999.9", "0.999999999999999": "0.999999999999999",
	} {
		got, err := Canonical(json.Number(text))
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestCanonicalNeverChangesTheValueOfANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.Int64Range(-999_999_999_999_999, 999_999_999_999_999).Draw(t, "digits")
		text := strconv.FormatInt(digits, 10) + "e" + strconv.Itoa(rapid.IntRange(-26, 15).Draw(t, "exponent"))
		want, err := passport.ParseQuantity(text)
		if err != nil {
			return
		}
		got, err := Canonical(json.Number(text))
		if err != nil {
			t.Fatal(err)
		}
		value, err := passport.ParseQuantity(string(got))
		if err != nil || value.Cmp(want) != 0 {
			t.Fatalf("%s became %s, %v", text, got, err)
		}
		if again, err := Canonical(json.Number(got)); err != nil || string(again) != string(got) {
			t.Fatalf("%s became %s, then %s, %v", text, got, again, err)
		}
	})
}

func TestEqualValuesHaveOneCanonicalForm(t *testing.T) {
	forms := []string{
		`{"a":1.0,"b":["\u00fc",100]}`,
		"{\n \"b\" : [ \"ü\", 1e2 ],\n \"a\" : 1\n}",
		`{"\u0062":["\u00FC",100.00],"\u0061":10e-1}`,
	}
	for _, form := range forms {
		tree, err := Parse([]byte(form))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Canonical(tree)
		if err != nil || string(got) != `{"a":1,"b":["ü",100]}` {
			t.Errorf("%s became %s, %v", form, got, err)
		}
	}
}

// Any tree goes through both writers and back, and two trees have one
// canonical form only if their numbers are equal and all else is the same.
func TestEveryTreeComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := drawTree(t, 3)
		b, err := Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		checkParsed(t, b, tree)
		canonical, err := Canonical(tree)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(canonical)
		if err != nil {
			t.Fatalf("%s is refused: %v", canonical, err)
		}
		if !sameValue(tree, again) {
			t.Fatalf("%s became %s", b, canonical)
		}
	})
}

func drawTree(t *rapid.T, depth int) any {
	text := rapid.StringOfN(rapid.RuneFrom([]rune(`az09"\/<>&~é製🔋 `)), 0, 6, -1)
	kind := rapid.IntRange(0, 5)
	if depth == 0 {
		kind = rapid.IntRange(0, 3)
	}
	switch kind.Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return text.Draw(t, "text")
	case 3:
		n := rapid.SampledFrom([]string{"0", "-0", "1", "-1.50", "1e3", "0.001", "123456789012345", "1e-12", "1e15"})
		return json.Number(n.Draw(t, "number"))
	case 4:
		items := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			items = append(items, drawTree(t, depth-1))
		}
		return items
	default:
		members := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			members[text.Draw(t, "name")] = drawTree(t, depth-1)
		}
		return members
	}
}

// sameValue compares trees, numbers by their value.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		n, ok := b.(json.Number)
		x, _ := new(big.Rat).SetString(a.String())
		y, _ := new(big.Rat).SetString(n.String())
		return ok && x.Cmp(y) == 0
	case []any:
		items, ok := b.([]any)
		if !ok || len(a) != len(items) {
			return false
		}
		for i := range a {
			if !sameValue(a[i], items[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		members, ok := b.(map[string]any)
		if !ok || len(a) != len(members) {
			return false
		}
		for name := range a {
			other, there := members[name]
			if !there || !sameValue(a[name], other) {
				return false
			}
		}
		return true
	}
	return a == b
}

func TestCanonicalIsUTF8WithoutWhiteSpace(t *testing.T) {
	tree, err := Parse([]byte(" {\n\t\"a\" : [ 1 , 2 ] ,\r\n \"b\" : \"c d\" } "))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Canonical(tree)
	if err != nil || strings.ContainsAny(string(got), "\n\r\t") || string(got) != `{"a":[1,2],"b":"c d"}` {
		t.Errorf("got %s, %v", got, err)
	}
}
