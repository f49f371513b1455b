package web

import (
	"net/url"
	"strings"

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/verify"
)

// verdict is the band at the head of a page: icon, word and what it rests on.
type verdict struct {
	Kind     string // genuine, remarks, suspended, revoked, superseded, ceased, notGenuine, couldNotCheck, notRegistered
	Word     string
	Meaning  string   // what to do about it
	Basis    string   // who signed, who recognises the signer, when it was checked
	Remarks  []string // everything that keeps the verdict from being better, and what was not checked
	Href     string   // where to go instead
	LinkText string
}

// verdict puts the check of the signed bytes and the registry status into one
// word: the worst of them. It is "genuine" only if everything but the log,
// which is not open yet, could be checked and holds.
func (s scan) verdict() verdict {
	v := verdict{Kind: s.kind()}
	v.Word, v.Meaning, v.Basis = s.l.t("verdict."+v.Kind), s.l.t("verdict."+v.Kind+".meaning", "signer", s.signer()), s.basis(v.Kind)
	v.Remarks = s.remarks()
	if reason := s.f.View.Standing.Reason; reason != "" && v.Kind != "genuine" {
		v.Word += " — " + s.reason(reason)
	}
	switch next := s.f.View.Standing.Successor; {
	case !next.IsZero():
		v.Href, v.LinkText = s.link("/p/"+next.String()), s.l.t("verdict.toSuccessor")
	case s.old():
		v.Href, v.LinkText = s.link(s.path()), s.l.t("verdict.toLatest")
	}
	return v
}

// kind ranks the findings, worst first.
func (s scan) kind() string {
	state, result := s.f.View.Standing.State, s.f.Result.Verdict
	switch {
	case result == verify.NotGenuine:
		return "notGenuine"
	case state == registry.Revoked || result == verify.Revoked:
		return "revoked"
	case state == registry.Suspended || result == verify.Suspended:
		return "suspended"
	case result != verify.Genuine:
		return "couldNotCheck"
	case state == registry.Superseded:
		return "superseded"
	case state == registry.Ceased:
		return "ceased"
	case state != registry.Active || s.blind():
		return "couldNotCheck"
	case len(s.remarks()) > 0:
		return "remarks"
	}
	return "genuine"
}

// blind reports whether a check without which nothing is known has no answer:
// a good signature alone never makes a page green.
func (s scan) blind() bool {
	for _, name := range []verify.Name{verify.Form, verify.Signature, verify.Issuer, verify.Environment, verify.Status} {
		if s.f.Result.Of(name).Outcome != verify.OK {
			return true
		}
	}
	return false
}

// old reports whether the page shows a version that has been amended since.
func (s scan) old() bool { return s.f.View.Version < s.f.View.Latest }

// basis says who vouches and what was looked at.
func (s scan) basis(kind string) string {
	key := "verdict.signedBy"
	switch kind {
	case "notGenuine":
		key = "verdict.claimedBy"
	case "couldNotCheck":
		key = "verdict.signerUnchecked"
	}
	return s.l.t(key, "signer", s.signer(), "registry", host(s.f.BaseURL)) + " " +
		s.l.t("verdict.checkedAt", "time", s.l.clock(s.f.At), "day", s.l.day(s.f.At.UTC())) + " " + s.logged()
}

// signer is the organisation as the trusted list names it, if it was checked,
// else as the registry admitted it.
func (s scan) signer() string {
	if name := s.f.Result.Issuer.Name; name != "" {
		return name
	}
	return s.f.View.Item.Issuer.Name
}

// logged says whether the public log holds the passport.
func (s scan) logged() string {
	return s.l.t("verdict.log." + string(s.f.Result.Of(verify.Log).Outcome))
}

// remarks lists what a reader must know although the passport is in force.
func (s scan) remarks() []string {
	var out []string
	if s.old() {
		out = append(out, s.l.t("remark.oldVersion", "version", s.l.integer(s.f.View.Version), "latest", s.l.integer(s.f.View.Latest)))
	}
	if text := s.otherSigner(); text != "" {
		out = append(out, text)
	}
	if names := s.unchecked(); len(names) > 0 {
		out = append(out, s.l.t("remark.unchecked", "checks", s.l.join(names)))
	}
	for _, c := range s.f.Result.Checks {
		if c.Outcome == verify.Fail && c.Name != verify.Status {
			out = append(out, s.checkText(c).Text)
		}
	}
	return out
}

// otherSigner remarks that the signer is not who the passport says made the
// battery: the registry admits signers, it does not know who may speak for
// which maker. An economic operator (an importer) may sign in its own name.
// Of a signer who is not confirmed nothing can be said, and the page is not
// green anyway.
func (s scan) otherSigner() string {
	r := s.f.Result
	if r.Of(verify.Signature).Outcome != verify.OK || r.Of(verify.Issuer).Outcome != verify.OK {
		return ""
	}
	signer := s.f.View.Item.Issuer.Name
	maker := digText(s.model(), "identification", "manufacturer", "name")
	operator := digText(s.item(), "economicOperator", "name")
	switch {
	case sameName(signer, maker), sameName(signer, operator):
		return ""
	case strings.TrimSpace(maker+operator) == "":
		return s.l.t("remark.noMaker", "signer", signer)
	case strings.TrimSpace(maker) == "":
		maker = operator
	}
	return s.l.t("remark.otherSigner", "signer", signer, "maker", maker)
}

// sameName reports whether two names are written alike. No name is nobody's.
func sameName(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	return a != "" && strings.EqualFold(a, b)
}

// unchecked names the checks whose outcome is unknown. The log is not among
// them: until it opens, no passport is in it, and the basis says so.
func (s scan) unchecked() []string {
	var out []string
	for _, c := range s.f.Result.Checks {
		if c.Outcome == verify.Unknown && c.Name != verify.Log {
			out = append(out, s.l.either("check."+string(c.Name), string(c.Name)))
		}
	}
	return out
}

// check is one named check with its outcome.
type check struct {
	Outcome string // ok, fail, unknown
	Word    string
	Name    string
	Text    value
}

func (s scan) checks() []check {
	var out []check
	for _, c := range s.f.Result.Checks {
		out = append(out, check{
			Outcome: string(c.Outcome), Word: s.l.t("outcome." + string(c.Outcome)),
			Name: s.l.either("check."+string(c.Name), string(c.Name)), Text: s.checkText(c),
		})
	}
	return out
}

// checkText says what the outcome of a check means: in the page's language for
// the codes it knows, else in the checker's English.
func (s scan) checkText(c verify.CheckResult) value {
	if text, ok := s.l.lookUp("check." + c.Code); ok {
		return value{Kind: "text", Text: text}
	}
	return value{Kind: "text", Text: c.Detail, Lang: s.values().foreign("en")}
}

// host returns the host of a URL, with its port.
func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
