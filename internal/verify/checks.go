package verify

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/schema"
)

func (r *run) form(token []byte) CheckResult {
	parsed, err := credential.Parse(token)
	if err != nil {
		return failed("form.token", err)
	}
	r.token, r.digest = parsed, digestText(parsed.Digest())
	return ok("form.ok", fmt.Sprintf("This is a signed %s record.", parsed.RecordType()))
}

// signature needs a key from the trusted list; the token itself is never asked
// for one.
func (r *run) signature() CheckResult {
	if r.token == nil {
		return unknown("signature.notReached", "Not looked at, because the form is wrong.")
	}
	issuer, known := r.trust.Issuer(r.token.Issuer())
	if !known {
		return unknown("signature.noKey", "The key cannot be looked up, because the issuer is not in the trusted list.")
	}
	key, known := issuer.Key(r.token.KeyID())
	switch {
	case !known && r.trustIsOlder():
		return unknown("signature.staleTrust", "The signing key is not in the trusted list, which is older than the record.")
	case !known:
		return CheckResult{Outcome: Fail, Code: "signature.unknownKey", Detail: "The signing key is not one the issuer published."}
	}
	verified, err := r.token.Verify(key.Key())
	if err != nil {
		return failed("signature.invalid", err)
	}
	r.verified, r.issuer = verified, issuer.Party
	return ok("signature.ok", "The content is unchanged since it was signed.")
}

// admitted checks that the issuer counted when it signed. What it says about
// the time of signing can only be held against the public log, once there is
// one: a retired key could date itself back.
func (r *run) admitted() CheckResult {
	switch {
	case r.token == nil:
		return unknown("issuer.notReached", "Not looked at, because the form is wrong.")
	case len(r.trust.Issuers) == 0:
		return unknown("issuer.noTrust", "There is no list of trusted issuers to look in.")
	}
	issuer, known := r.trust.Issuer(r.token.Issuer())
	switch {
	case !known && r.trustIsOlder():
		return unknown("issuer.staleTrust", "The issuer is not in the trusted list, which is older than the record.")
	case !known:
		return CheckResult{Outcome: Fail, Code: "issuer.unknown", Detail: "The issuer is not admitted by the registry."}
	}
	if r.verified == nil {
		return unknown("issuer.unproven", "Whoever signed this is not the issuer it names.")
	}
	signed := r.verified.Envelope().ValidFrom
	key, _ := issuer.Key(r.token.KeyID())
	switch {
	case signed.After(r.at.Add(tolerance)):
		return CheckResult{Outcome: Fail, Code: "issuer.future", Detail: "It is dated in the future: " + day(signed) + "."}
	case signed.Before(issuer.AdmittedAt.Truncate(time.Second)):
		return CheckResult{Outcome: Fail, Code: "issuer.notYetAdmitted", Detail: "The issuer was not yet admitted on " + day(signed) + "."}
	case !key.InUse(signed):
		return CheckResult{Outcome: Fail, Code: "issuer.keyNotInUse", Detail: "The signing key was not in use on " + day(signed) + "."}
	}
	return ok("issuer.ok", fmt.Sprintf("Signed by %s, admitted by the registry, on %s.", issuer.Name, day(signed)))
}

// dated adds to what the trusted list said that the list has expired.
func (r *run) dated(c CheckResult) CheckResult {
	if expires := r.trust.ExpiresAt; r.token != nil && !expires.IsZero() && r.at.After(expires) {
		c.Detail += " The trusted list expired on " + day(expires) + "; a newer one may say otherwise."
	}
	return c
}

// trustIsOlder reports whether the trusted list was made before the record says
// it was issued. Such a list cannot know a new issuer or key.
func (r *run) trustIsOlder() bool {
	return !r.trust.IssuedAt.IsZero() && r.trust.IssuedAt.Before(r.token.IssuedAt())
}

// open makes what was signed available to the remaining checks and the caller.
func (r *run) open() {
	if r.hasFailed(Signature) {
		return
	}
	envelope := r.verified.Envelope()
	r.envelope = &envelope
	r.withheld = r.verified.Withheld()
	if subject, err := r.verified.Subject(); err == nil {
		r.subject = subject
	}
}

func (r *run) environment() CheckResult {
	if r.envelope.Environment != r.trust.Environment {
		return CheckResult{Outcome: Fail, Code: "environment.mismatch", Detail: fmt.Sprintf(
			"It was issued for the environment %q, and the trusted list is for %q.", r.envelope.Environment, r.trust.Environment)}
	}
	return ok("environment.ok", fmt.Sprintf("Issued for the environment %q.", r.envelope.Environment))
}

// schema checks the shape of what is shown. A record of a schema version this
// build does not carry is unknown, not wrong.
func (r *run) schema() CheckResult {
	if r.subject == nil {
		return unknown("schema.notReached", "Not looked at, because the disclosures do not belong to the record.")
	}
	e := r.envelope
	if e.SchemaURL != schema.URL(e.BaseURL, e.Type, true) {
		return unknown("schema.otherVersion", "It was issued under another schema version than this verifier carries.")
	}
	v, err := validator()
	if err != nil {
		return unknown("schema.unavailable", "The schemas of this verifier cannot be read.")
	}
	record, err := r.verified.Record()
	if err != nil {
		return failed("schema.record", err)
	}
	violations := v.CheckPresented(e.Type, record)
	if len(violations) > 0 {
		first := violations[0]
		return CheckResult{Outcome: Fail, Code: "schema.violation", Detail: fmt.Sprintf(
			"%d faults against the schema, the first at %s (%s).", len(violations), first.Pointer, first.Code)}
	}
	return ok("schema.ok", "The record has the shape its schema demands.")
}

// pins compares the records that were supplied with the digests that were
// signed.
func (r *run) pins() CheckResult {
	if len(r.envelope.Pins) == 0 {
		return ok("pins.none", "It rests on no other record.")
	}
	missing := 0
	for _, pin := range r.envelope.Pins {
		supplied, present := r.evidence.Records[credential.RecordURL(r.envelope.BaseURL, pin.RecordID)]
		if !present {
			missing++
			continue
		}
		record, err := credential.Parse(supplied)
		if err != nil || record.Digest() != pin.TokenDigest || record.RecordID() != pin.RecordID || record.RecordType() != pin.Type {
			return CheckResult{Outcome: Fail, Code: "pins.mismatch", Detail: fmt.Sprintf(
				"The %s record beside it is not the one it was signed with.", pin.Type)}
		}
	}
	if missing > 0 {
		return unknown("pins.missing", fmt.Sprintf("%d of the %d records it rests on were not supplied.", missing, len(r.envelope.Pins)))
	}
	return ok("pins.ok", "The records it rests on are the ones it was signed with.")
}

func (r *run) disclosures() CheckResult {
	if _, err := r.verified.Claims(); err != nil {
		return failed("disclosures.invalid", err)
	}
	if r.withheld == 0 {
		return ok("disclosures.complete", "Nothing is withheld.")
	}
	return ok("disclosures.withheld", fmt.Sprintf("%d restricted attributes are withheld from you.", r.withheld))
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// sentence makes a clause into a sentence.
func sentence(clause string) string {
	first, size := utf8.DecodeRuneInString(clause)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(clause[size:], ".") + "."
}
