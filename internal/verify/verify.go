// Package verify judges a battery passport offline, with nothing but the bytes
// it is given: no store, no network, no clock. Callers need not know what makes
// a credential trustworthy; they fetch evidence, ask Check and render the
// answer. Command, page and API give the same verdict because this package is
// the only place where it is made.
//
// # Verdict
//
// A failure of form, signature, issuer, environment, schema, pins or
// disclosures is "notGenuine". Otherwise the status decides: "revoked",
// "suspended", or "couldNotCheck" when no current status list could be read,
// when nobody is trusted at all, or when the trusted list is older than the
// record and does not know its key. What remains is "genuine": signed by an
// admitted organisation with a key in use at that time, and in force. The log
// check changes no verdict, and neither does a pinned record that was not
// supplied, nor a schema version that this build does not carry: the signature
// holds whatever shape the record has, but nobody checked that shape. All three
// answer unknown and say so; Result.Remarks names the last two, so that
// "genuine" is never shown without them. A trusted list past its expiry changes
// no verdict either; the issuer check says so.
package verify

import (
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
)

// Trust is whom the verifier believes. See credential.ParseBundle for how to
// read it from a registry's trust bundle.
type Trust = credential.Trust

// Evidence is what was fetched beside the token. Every part may be missing.
type Evidence struct {
	Lists     map[string][]byte // status lists by URL, in any of the three forms
	Records   map[string][]byte // pinned records by URL, the bare JWS~
	FetchedAt time.Time         // when the lists were fetched; zero means just now
}

// Verdict is the answer in one word.
type Verdict string

// The verdicts.
const (
	Genuine       Verdict = "genuine"       // and in force
	NotGenuine    Verdict = "notGenuine"    // do not believe it
	Revoked       Verdict = "revoked"       // genuine, withdrawn for good
	Suspended     Verdict = "suspended"     // genuine, withdrawn for now
	CouldNotCheck Verdict = "couldNotCheck" // no evidence for or against
)

// ExitCode is what a command ends with: 0 genuine and in force, 1 not genuine,
// 2 revoked or suspended, 3 could not check.
func (v Verdict) ExitCode() int {
	switch v {
	case Genuine:
		return 0
	case NotGenuine:
		return 1
	case Revoked, Suspended:
		return 2
	case CouldNotCheck:
		return 3
	}
	return 3
}

// Outcome of one check.
type Outcome string

// The outcomes. Unknown is never a pass.
const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail"
	Unknown Outcome = "unknown"
)

// Name of a check.
type Name string

// The checks, in the order in which they are made and listed.
const (
	Form        Name = "form"        // the bytes are a record credential of this registry software
	Signature   Name = "signature"   // the named key made the signature
	Issuer      Name = "issuer"      // the key's owner was admitted and the key in use when it signed
	Environment Name = "environment" // demo data is not taken for real, nor the reverse
	Schema      Name = "schema"      // the record has the shape its schema says
	Pins        Name = "pins"        // the model and batch supplied are the ones it was signed with
	Status      Name = "status"      // revoked or suspended
	Log         Name = "log"         // the public log has an entry for it
	Disclosures Name = "disclosures" // restricted attributes shown are the signed ones
)

// CheckResult is the outcome of one check. Code is stable and dotted, for programs;
// Detail is a sentence for people.
type CheckResult struct {
	Name    Name    `json:"name"`
	Outcome Outcome `json:"outcome"`
	Code    string  `json:"code"`
	Detail  string  `json:"detail"`
}

// Fact is a public statement of a genuine envelope, for rendering.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Result is what Check found. What was signed is only there if the signature
// holds and its key is trusted.
type Result struct {
	Verdict   Verdict              `json:"verdict"`
	CheckedAt time.Time            `json:"checkedAt"`
	Checks    []CheckResult        `json:"checks"`            // always all, in the order above
	Remarks   []Name               `json:"remarks,omitempty"` // of a genuine record: the checks without answer, other than log
	Digest    string               `json:"digest,omitempty"`  // SHA-256 of JWS + "~" in hex; empty if the form fails
	Issuer    credential.Party     `json:"issuer,omitzero"`   // with the name the trust bundle gives, not the token
	Facts     []Fact               `json:"facts,omitempty"`
	Withheld  int                  `json:"withheld"` // restricted attributes not shown
	Envelope  *credential.Envelope `json:"-"`        // nil unless trusted
	Subject   map[string]any       `json:"-"`        // processed credentialSubject; nil unless trusted
}

// Of returns the check of that name.
func (r Result) Of(name Name) CheckResult {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return CheckResult{Name: name, Outcome: Unknown}
}

// tolerance is how far clocks may differ: a token or list from the future by
// more is refused.
const tolerance = 5 * time.Minute

// validator returns the schemas of this build, compiled once.
var validator = sync.OnceValues(func() (*schema.Validator, error) {
	cat, err := catalogue.Load()
	if err != nil {
		return nil, err
	}
	return schema.New(cat)
})

// Check judges the presentation token at the time at. It never fails: whatever
// is wrong is in the result.
func Check(token []byte, ev Evidence, t Trust, at time.Time) Result {
	run := run{evidence: ev, trust: t, at: at}
	run.all(token)
	verdict := run.verdict()
	return Result{
		Verdict: verdict, CheckedAt: at.UTC(), Checks: run.checks, Remarks: run.remarks(verdict), Digest: run.digest, Issuer: run.issuer,
		Facts: run.facts(), Withheld: run.withheld, Envelope: run.envelope, Subject: run.subject,
	}
}

// run is one judgement under way.
type run struct {
	evidence Evidence
	trust    Trust
	at       time.Time

	token    *credential.Token
	verified *credential.Verified
	digest   string
	issuer   credential.Party
	envelope *credential.Envelope // set once signature and issuer are good
	subject  map[string]any
	withheld int
	status   credential.Status
	checks   []CheckResult
}

// all makes the checks in order. The disclosures are put together before the
// schema is checked, which needs them, and reported at the end.
func (r *run) all(token []byte) {
	r.add(Form, r.form(token))
	r.add(Signature, r.signature())
	r.add(Issuer, r.dated(r.admitted()))
	if r.verified == nil || r.hasFailed(Issuer) {
		for _, name := range []Name{Environment, Schema, Pins, Status, Log, Disclosures} {
			r.add(name, unknown(string(name)+".notReached", "Not looked at, because nobody trusted vouches for the content."))
		}
		return
	}
	r.open()
	r.add(Environment, r.environment())
	r.add(Schema, r.schema())
	r.add(Pins, r.pins())
	r.add(Status, r.statusCheck())
	r.add(Log, unknown("log.none", "This registry keeps no public log yet. The verdict does not rest on it."))
	r.add(Disclosures, r.disclosures())
}

func (r *run) add(name Name, c CheckResult) {
	c.Name = name
	r.checks = append(r.checks, c)
}

// hasFailed reports whether a check made so far failed.
func (r *run) hasFailed(name Name) bool {
	for _, c := range r.checks {
		if c.Name == name {
			return c.Outcome == Fail
		}
	}
	return false
}

func (r *run) verdict() Verdict {
	for _, c := range r.checks {
		if c.Outcome == Fail && c.Name != Status {
			return NotGenuine
		}
	}
	switch {
	case r.envelope == nil:
		return CouldNotCheck
	case r.status == credential.Revoked:
		return Revoked
	case r.status == credential.Suspended:
		return Suspended
	}
	for _, c := range r.checks {
		if c.Outcome == Unknown && c.Name != Log && c.Name != Pins && c.Name != Schema {
			return CouldNotCheck
		}
	}
	return Genuine
}

// remarks names what a genuine record was not checked for. The log is left out:
// no registry keeps one yet, so the remark would stand at every record.
func (r *run) remarks(v Verdict) []Name {
	if v != Genuine {
		return nil
	}
	var out []Name
	for _, c := range r.checks {
		if c.Outcome == Unknown && c.Name != Log {
			out = append(out, c.Name)
		}
	}
	return out
}

func ok(code, detail string) CheckResult { return CheckResult{Outcome: OK, Code: code, Detail: detail} }

func unknown(code, detail string) CheckResult {
	return CheckResult{Outcome: Unknown, Code: code, Detail: detail}
}

// failed renders an error; the code of a Fault is kept.
func failed(fallback string, err error) CheckResult {
	if fault, ok := errors.AsType[*credential.Fault](err); ok {
		return CheckResult{Outcome: Fail, Code: fault.Code, Detail: sentence(fault.Detail)}
	}
	return CheckResult{Outcome: Fail, Code: fallback, Detail: sentence(err.Error())}
}

// facts states the envelope once it can be believed.
func (r *run) facts() []Fact {
	if r.envelope == nil {
		return nil
	}
	e := r.envelope
	series := "seriesId"
	if e.Type == passport.Item || e.Type == passport.Condition {
		series = "passportId"
	}
	return []Fact{
		{"recordType", string(e.Type)},
		{"subject", e.SubjectID},
		{series, e.Series.String()},
		{"recordId", e.RecordID.String()},
		{"version", strconv.Itoa(e.Version)},
		{"issuer", r.issuer.DID},
		{"issuerName", r.issuer.Name},
		{"issuedAt", e.ValidFrom.Format(time.RFC3339)},
		{"environment", e.Environment},
		{"digest", r.digest},
	}
}

func digestText(digest [32]byte) string { return hex.EncodeToString(digest[:]) }
