package verify

import (
	"fmt"
	"time"

	"github.com/provolt/provolt/internal/credential"
)

// statusCheck reads the registry's status lists. Any list that says revoked
// decides, however old, because revocation is final. "In force" needs current
// answers to both questions: the two Bitstring lists, or the one token list.
func (r *run) statusCheck() CheckResult {
	position := r.envelope.Status
	if position == nil {
		return ok("status.none", "This record has no status of its own.")
	}
	base := r.envelope.BaseURL
	bitstrings := []string{
		credential.StatusURL(base, credential.Revocation, position.List),
		credential.StatusURL(base, credential.Suspension, position.List),
	}
	both := r.read(credential.TokenStatusURL(base, position.List), position.Index)
	revocation, suspension := r.read(bitstrings[0], position.Index), r.read(bitstrings[1], position.Index)
	for _, answer := range []answer{both, revocation} {
		if answer.signed && answer.status == credential.Revoked {
			r.status = credential.Revoked
			return CheckResult{Outcome: Fail, Code: "status.revoked", Detail: "It has been revoked, for good."}
		}
	}
	for _, answer := range []answer{both, suspension} {
		if answer.current && answer.status == credential.Suspended {
			r.status = credential.Suspended
			return CheckResult{Outcome: Fail, Code: "status.suspended", Detail: "It is suspended for now."}
		}
	}
	if both.current || (revocation.current && suspension.current) {
		return ok("status.ok", fmt.Sprintf("Neither revoked nor suspended as of %s.", later(both, revocation).issued.Format(time.RFC3339)))
	}
	for _, answer := range []answer{both, revocation, suspension} {
		if answer.code != "" && answer.code != "status.absent" {
			return unknown(answer.code, answer.detail)
		}
	}
	return unknown("status.absent", "The registry's status lists were not at hand.")
}

// answer is what one list says of one entry.
type answer struct {
	status  credential.Status
	signed  bool // by the registry, for this list
	current bool // and young enough to rely on
	issued  time.Time
	code    string // why not
	detail  string
}

func (r *run) read(address string, index int) answer {
	list, present := r.evidence.Lists[address]
	if !present {
		return answer{code: "status.absent"}
	}
	read, err := credential.ParseList(list, r.trust.Registry.DID, r.trust.Registry.Keys)
	if err != nil {
		fault := failed("status.unreadable", err)
		return answer{code: fault.Code, detail: "A status list cannot be used. " + fault.Detail}
	}
	if read.URL != address {
		return answer{code: "status.otherList", detail: "A status list is not the one the record names."}
	}
	status, err := read.At(index)
	if err != nil {
		return answer{code: "status.index", detail: "The status list has no such entry."}
	}
	out := answer{status: status, signed: true, issued: read.IssuedAt}
	fetched := r.evidence.FetchedAt
	switch {
	case read.IssuedAt.After(r.at.Add(tolerance)):
		out.code, out.detail = "status.future", "A status list is dated in the future."
	case !r.at.Before(read.ExpiresAt):
		out.code, out.detail = "status.stale", "The status list at hand expired on "+read.ExpiresAt.Format(time.RFC3339)+"."
	case !fetched.IsZero() && r.at.Sub(fetched) > read.TTL:
		out.code, out.detail = "status.stale", "The status list at hand was fetched too long ago."
	default:
		out.current = true
	}
	return out
}

// later returns the answer that was made last.
func later(a, b answer) answer {
	if b.issued.After(a.issued) {
		return b
	}
	return a
}
