package passport

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

// Malformed says what is wrong with one value, in the words a Violation needs:
// a parser knows the value, its caller knows where the value stood. Every
// parser and check of this package returns one, and it wraps ErrMalformed.
type Malformed struct {
	Code     string // stable, dotted: "gtin.checkDigit"
	Expected string
	Found    string // quoted and cut short, safe to print
	Repair   string // empty when Expected says it all
}

// Error says code, expectation, finding and repair in one line of ASCII.
func (m *Malformed) Error() string {
	text := m.Code + ": expected " + m.Expected + ", found " + m.Found
	if m.Repair != "" {
		text += "; " + m.Repair
	}
	return text
}

// Unwrap makes errors.Is(err, ErrMalformed) true.
func (m *Malformed) Unwrap() error { return ErrMalformed }

// ViolationAt turns the error of a parser into the blocking violation of the
// member at pointer (RFC 6901). An error that is no *Malformed has no code of
// its own and becomes "value.malformed".
func ViolationAt(pointer string, err error) Violation {
	var m *Malformed
	if !errors.As(err, &m) {
		return Violation{Pointer: pointer, Code: "value.malformed", Severity: Blocking, Expected: err.Error()}
	}
	return Violation{
		Pointer: pointer, Code: m.Code, Severity: Blocking,
		Expected: m.Expected, Found: m.Found, Repair: m.Repair,
	}
}

// malformed makes a Malformed about the text found.
func malformed(code, expected, found string) *Malformed {
	return &Malformed{Code: code, Expected: expected, Found: Quote(found)}
}

// repair adds a hint to m.
func (m *Malformed) repair(hint string) *Malformed {
	m.Repair = hint
	return m
}

// Quote writes untrusted text so that it can be shown anywhere: in double
// quotes, with everything but printable ASCII escaped, and cut after 64
// characters.
func Quote(text string) string {
	const most = 64
	end := 0
	for range most {
		if end == len(text) {
			return strconv.QuoteToASCII(text)
		}
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	if end == len(text) {
		return strconv.QuoteToASCII(text)
	}
	return strconv.QuoteToASCII(text[:end]) + "..."
}
