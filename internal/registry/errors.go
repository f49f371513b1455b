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
	// ErrSelfCheck means that our own verifier refused what we were about to
	// store. Nothing was stored; it is a fault of the registry.
	ErrSelfCheck = errors.New("own verifier refuses the record")
)

// Invalid carries every violation of a body; at least one of them blocks.
type Invalid struct{ Violations []passport.Violation }

func (e *Invalid) Error() string {
	return fmt.Sprintf("%d violations, first at %q: %s", len(e.Violations), e.Violations[0].Pointer, e.Violations[0].Code)
}

// Conflict means the write collides with what is registered.
type Conflict struct {
	Code     string       // one of the codes below
	Existing passport.ID  // the passport, or the record version, in the way; zero if there is none to show
	Diff     []Difference // for CodeVersionTaken: where the contents differ
}

func (e *Conflict) Error() string { return "conflict: " + e.Code }

// The codes of a Conflict. They are stable: programs branch on them.
const (
	CodeBatteryRegistered  = "battery.registered"    // it has a passport in force, Existing, that the record does not name as predecessor
	CodeBatteryNotReleased = "battery.notReleased"   // that passport is another organisation's, and it was not released to the caller
	CodeVersionTaken       = "version.taken"         // another writer was faster, or the version asked for has other content
	CodeVersionNotNext     = "version.notNext"       // the version asked for would leave a gap
	CodeConditionNotNewest = "condition.notNewest"   // a later reading, Existing, is recorded
	CodeKeyReused          = "idempotencyKey.reused" // for another body
	CodeNoKey              = "organisation.noKey"    // the organisation has no signing key in use
	CodeLastKey            = "key.last"              // the owner would have no key left that signs
	CodeOrganisationExists = "organisation.exists"   // that short name is taken
	CodeIssuerBound        = "issuer.bound"          // the identity provider speaks for another organisation
	CodeStateChanged       = "state.changed"         // the passport is not in the state that was to be changed
	CodeStateUnreachable   = "state.unreachable"     // no such change of state exists
	CodeSuspended          = "passport.suspended"    // a suspended passport can be amended and not succeeded
	CodeRevoked            = "passport.revoked"      // it can no longer change
	CodeSuperseded         = "passport.superseded"   // Existing is its successor
	CodeCeased             = "passport.ceased"       // its battery is no more
)

// Difference is one member in which two records differ.
type Difference struct {
	Pointer string `json:"pointer"`
	Have    string `json:"registered,omitempty"` // shortened JSON text; empty if absent
	Want    string `json:"sent,omitempty"`
}

// conflict names the store's refusals in the registry's terms.
func conflict(err error) error {
	taken, isTaken := errors.AsType[*BatteryTaken](err)
	_, mismatch := errors.AsType[*OnceMismatch](err)
	switch {
	case isTaken:
		return &Conflict{Code: CodeBatteryRegistered, Existing: taken.Passport}
	case mismatch:
		return &Conflict{Code: CodeKeyReused}
	case errors.Is(err, ErrStale):
		return &Conflict{Code: CodeVersionTaken}
	}
	return err
}

// refused reports whether the error is an answer to the request, and not a
// failure to look at it.
func refused(err error) bool {
	_, invalid := errors.AsType[*Invalid](err)
	_, clash := errors.AsType[*Conflict](err)
	return invalid || clash
}

// blocking is the refusal of one violation.
func blocking(v passport.Violation) error {
	v.Severity = passport.Blocking
	return &Invalid{[]passport.Violation{v}}
}
