package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/passport"
)

func TestTreeHoldsWhatTheBodySays(t *testing.T) {
	got, err := Parse([]byte(`{"a":[1.50,-0,1e3],"ü":{"t":true,"f":false,"n":null,"s":"\"\\\/A\ud83d\udd0b"},"e":{},"x":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"a": []any{json.Number("1.50"), json.Number("-0"), json.Number("1e3")},
		"ü": map[string]any{"t": true, "f": false, "n": nil, "s": "\"\\/A🔋"},
		"e": map[string]any{},
		"x": []any{},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAllViolationsAreToldAtOnce(t *testing.T) {
	_, err := Parse([]byte(`{
		"model": {"massKg": 12.34567890123456789, "name": "Gru\u0308n", "na/me~": "a\u202eb"},
		"batch": {"origins": [{"massKg": 1e999999}, {"massKg": 1, "massKg": 2}]},
		"x\u0000": 1
	}`))
	var rejected *Rejected
	if !errors.As(err, &rejected) {
		t.Fatalf("error is %v", err)
	}
	want := []passport.Violation{{
		Pointer: "/model/massKg", Code: "number.digits", Severity: passport.Blocking,
		Expected: "at most 15 significant digits", Found: `"12.34567890123456789"`, Repair: "round it to what was measured",
	}, {
		Pointer: "/model/name", Code: "text.notNormalised", Severity: passport.Blocking,
		Expected: "a text in Unicode normalisation form C", Found: `"Gru\u0308n"`, Repair: `send "Gr\u00fcn"`,
	}, {
		Pointer: "/model/na~1me~0", Code: "text.bidi", Severity: passport.Blocking,
		Expected: "a text without bidirectional control characters", Found: "U+202E as character 2",
		Repair: "leave it out; the direction of Arabic and Hebrew shows by itself",
	}, {
		Pointer: "/batch/origins/0/massKg", Code: "number.magnitude", Severity: passport.Blocking,
		Expected: "zero, or a magnitude from 1e-12 to 1e15", Found: `"1e999999"`,
	}, {
		Pointer: "/batch/origins/1/massKg", Code: "json.duplicateMember", Severity: passport.Blocking,
		Expected: "each member once", Found: `"massKg" again`, Repair: "keep one of them; readers disagree on which one counts",
	}, {
		Pointer: "/x\x00", Code: "text.control", Severity: passport.Blocking,
		Expected: "a member name without control characters and line separators", Found: "U+0000 as character 2",
		Repair: "send one line; split longer texts into members or elements",
	}}
	if d := cmp.Diff(want, rejected.Violations); d != "" {
		t.Error(d)
	}
	if !strings.HasPrefix(err.Error(), `6 violations, the first at "/model/massKg": number.digits`) {
		t.Errorf("error says %q", err)
	}
}

func TestSyntaxErrorTellsThePlaceAndWhatWasExpected(t *testing.T) {
	for _, c := range []struct {
		body string
		want SyntaxError
	}{
		{"", SyntaxError{"json.syntax", 0, 1, 1, "a value", "the end of the text"}},
		{"{\n  \"a\": 1,\n}", SyntaxError{"json.syntax", 12, 3, 1, "a member name in double quotes", `"}"`}},
		{"{\n  \"ü製🔋\": 1 2}", SyntaxError{"json.syntax", 19, 2, 12, "',' or '}' after a member", `"2"`}},
		{`["a", 'b']`, SyntaxError{"json.syntax", 6, 1, 7, "a value", `"'"`}},
		{`[1, ü]`, SyntaxError{"json.syntax", 4, 1, 5, "a value", `"\u00fc"`}},
		{`["\ud800"]`, SyntaxError{"json.surrogate", 2, 1, 3, "two escapes that form a surrogate pair", `"\\"`}},
		{"[\"\xff\"]", SyntaxError{"json.utf8", 2, 1, 3, "UTF-8", `"\xff"`}},
		{"\ufeff[]", SyntaxError{"json.byteOrderMark", 0, 1, 1, "JSON without a byte order mark", `"\ufeff"`}},
		{"[\r\n\r\n01]", SyntaxError{"json.syntax", 6, 3, 2, "',' or ']' after an element", `"1"`}},
		{`{"a" 1}`, SyntaxError{"json.syntax", 5, 1, 6, "':' after the member name", `"1"`}},
		{`"\u00x0"`, SyntaxError{"json.syntax", 5, 1, 6, `four hexadecimal digits after \u`, `"x"`}},
		{`"\q"`, SyntaxError{"json.syntax", 2, 1, 3, `one of "\/bfnrtu after a backslash`, `"q"`}},
		{`"abc`, SyntaxError{"json.syntax", 4, 1, 5, `'"' at the end of the string`, "the end of the text"}},
		{`"\n`, SyntaxError{"json.syntax", 3, 1, 4, `'"' at the end of the string`, "the end of the text"}},
		{`[1.]`, SyntaxError{"json.syntax", 3, 1, 4, "a digit", `"]"`}},
		{`{} {}`, SyntaxError{"json.syntax", 3, 1, 4, "nothing after the value", `"{"`}},
	} {
		_, err := Parse([]byte(c.body))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q): %v", c.body, err)
			continue
		}
		if d := cmp.Diff(c.want, *syntax); d != "" {
			t.Errorf("Parse(%q): %s", c.body, d)
		}
	}
}

func TestBodyThatIsNoJSONIsNotReproachedForItsNumbers(t *testing.T) {
	_, err := Parse([]byte(`{"a":1e999,"a":2,`))
	if _, ok := errors.AsType[*SyntaxError](err); !ok {
		t.Errorf("error is %v", err)
	}
}

func TestLimitsHoldToTheByte(t *testing.T) {
	text := func(n int) string { return `"` + strings.Repeat("a", n-2) + `"` }
	list := func(n int) string { return "[" + strings.Repeat("0,", n-3) + "0]" }
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ name, body, want string }{
		{"greatest body", text(MaxBytes), "accept"},
		{"a byte more", text(MaxBytes + 1), "tooLarge"},
		{"a byte more, and no JSON", strings.Repeat("x", MaxBytes+1), "tooLarge"},
		{"most tokens", list(MaxTokens), "accept"},
		{"a token more", list(MaxTokens + 1), "json.tokens"},
		{"brackets, names and values count", "[" + strings.Repeat(`{"a":0},`, MaxTokens/4) + "0]", "json.tokens"},
		{"deepest", nested(MaxDepth), "accept"},
		{"one deeper", nested(MaxDepth + 1), "json.depth"},
		{"very deep", nested(MaxBytes / 2), "json.depth"},
		{"deep beside deep", "[" + nested(MaxDepth-1) + "," + nested(MaxDepth-1) + "]", "accept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.body))
			if got := verdict(err); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestTooLargeBodyTellsItsSize(t *testing.T) {
	_, err := Parse(make([]byte, MaxBytes+5))
	if !errors.Is(err, ErrTooLarge) || err.Error() != "body of 1048581 bytes is longer than 1048576" {
		t.Errorf("error is %v", err)
	}
}

func TestLimitIsToldAfterTheViolationsBeforeIt(t *testing.T) {
	_, err := Parse([]byte(`{"a":1e99,"deep":` + strings.Repeat("[", 40)))
	if got := verdict(err); got != "number.magnitude json.depth" {
		t.Errorf("verdict is %s", got)
	}
	_, err = Parse([]byte(`[` + strings.Repeat("1e99,", maxViolations+7) + strings.Repeat("[", 40)))
	var rejected *Rejected
	if !errors.As(err, &rejected) || len(rejected.Violations) != maxViolations || rejected.Violations[maxViolations-1].Code != "json.depth" {
		t.Errorf("error is %v", err)
	}
}

func TestBodyThatIsWrongAllOverGetsAShortAnswer(t *testing.T) {
	name := strings.Repeat("n", 400_000)
	body := []byte(`{"` + name + `":[` + strings.Repeat("1e99,", 100_000) + `0]}`)
	_, err := Parse(body)
	var rejected *Rejected
	if !errors.As(err, &rejected) || len(rejected.Violations) != maxViolations {
		t.Fatalf("error is %v", err)
	}
	if last := rejected.Violations[maxViolations-1].Code; last != "json.violations" {
		t.Errorf("the last violation is %s", last)
	}
	size := 0
	for _, v := range rejected.Violations {
		size += len(v.Pointer) + len(v.Found) + len(v.Repair)
	}
	if size > 100_000 {
		t.Errorf("the violations of a body of %d bytes have %d", len(body), size)
	}
}

// Each of these has made some JSON reader hang or run out of memory.
func TestCostlyBodiesAreRefusedCheaply(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"exponents", "[" + strings.Repeat("1e999999999,", 80_000) + "1]", "number.magnitude"},
		{"digits", strings.Repeat("9", MaxBytes), "number.length"},
		{"brackets", strings.Repeat("[", MaxBytes), "json.depth"},
		{"objects", strings.Repeat(`{"a":`, MaxBytes/5), "json.depth"},
		{"escapes", `"` + strings.Repeat(`\u0000`, MaxBytes/6-1) + `"`, "text.control"},
		{"combining marks", `"a` + strings.Repeat("\u0301\u0323", MaxBytes/4-4) + `"`, "text.notNormalised"},
		{"one name again and again", "{" + strings.Repeat(`"a":0,`, 60_000) + `"a":0}`, "json.duplicateMember"},
		{"string without end", `"` + strings.Repeat("a", MaxBytes-1), "json.syntax"},
		{"white space", strings.Repeat("\n", MaxBytes), "json.syntax"},
		{"backslashes", `"` + strings.Repeat(`\\`, MaxBytes/2-1) + `"`, "accept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.body))
			if got, _, _ := strings.Cut(verdict(err), " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
