package registry

import (
	"errors"
	"fmt"

	"github.com/provolt/provolt/internal/passport"
)

// Errors of the registry beside those of its Store. The edge that answers
// turns each into its problem; anything else is an internal fault.
var (
	// ErrUnauthenticated means the call needs a signed-in caller.
	ErrUnauthenticated = errors.New("sign in first")
	// ErrForbidden means the caller is known and may not do this.
	ErrForbidden = errors.New("not allowed")
	// ErrPurposeMissing means a restricted read came without a Purpose.
	ErrPurposeMissing = errors.New("a restricted read needs a purpose")
	// ErrGone means a passport of this id was erased.
	ErrGone = errors.New("erased")
)

// Invalid carries every violation of a body; at least one of them blocks.
type Invalid struct{ Violations []passport.Violation }

func (e *Invalid) Error() string {
	return fmt.Sprintf("%d violations, first at %q: %s", len(e.Violations), e.Violations[0].Pointer, e.Violations[0].Code)
}

// Conflict means the write collides with what is registered.
type Conflict struct {
	Code     string       // "battery.registered", "version.taken", "idempotencyKey.reused", "state.changed"
	Existing passport.ID  // the passport, or the record version, in the way; zero if the caller may not know it
	Diff     []Difference // for version.taken: where the contents differ
}

func (e *Conflict) Error() string { return "conflict: " + e.Code }

// Difference is one member in which two records differ.
type Difference struct {
	Pointer string `json:"pointer"`
	Have    string `json:"registered,omitempty"` // shortened JSON text; empty if absent
	Want    string `json:"sent,omitempty"`
}
