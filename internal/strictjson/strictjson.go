// Package strictjson is the gate every JSON body passes before anything else
// looks at it. What leaves it has one meaning for every parser: no member
// appears twice, every number survives a float64, every text shows what it
// holds, and nothing is deep or long enough to hurt.
package strictjson

import (
	"errors"
	"fmt"

	"github.com/provolt/provolt/internal/passport"
)

// The limits of a body. A pack's whole passport with all its origins is about
// 40 kB, so that they leave room.
const (
	MaxBytes  = 1 << 20 // bytes of a body
	MaxDepth  = 32      // arrays and objects within each other
	MaxTokens = 200_000 // brackets, member names and values
	MaxName   = 256     // bytes of a member name
)

// maxViolations bounds the answer to a body that is wrong all over.
const maxViolations = 500

// ErrTooLarge is wrapped by every *TooLarge.
var ErrTooLarge = errors.New("body too large")

// TooLarge means the body exceeds MaxBytes; it was not read (HTTP 413).
type TooLarge struct{ Bytes int }

func (e *TooLarge) Error() string {
	return fmt.Sprintf("body of %d bytes is longer than %d", e.Bytes, MaxBytes)
}

// Unwrap makes errors.Is(err, ErrTooLarge) true.
func (e *TooLarge) Unwrap() error { return ErrTooLarge }

// SyntaxError means the body is no JSON text as RFC 8259 defines it (HTTP
// 400). The first fault ends the reading: what follows it has no structure to
// point into.
type SyntaxError struct {
	Code     string // json.syntax, json.byteOrderMark, json.utf8 or json.surrogate
	Offset   int    // bytes before the fault
	Line     int    // from 1
	Column   int    // in characters, from 1
	Expected string
	Found    string // quoted
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: expected %s, found %s", e.Line, e.Column, e.Expected, e.Found)
}

// Rejected means the body is JSON but not acceptable (HTTP 422). It lists every
// violation, at most 500; only a body that is too deep or has too many tokens
// is not read to its end.
type Rejected struct{ Violations []passport.Violation }

func (e *Rejected) Error() string {
	first := e.Violations[0]
	return fmt.Sprintf("%d violations, the first at %s: %s: expected %s, found %s",
		len(e.Violations), passport.Quote(first.Pointer), first.Code, first.Expected, first.Found)
}
