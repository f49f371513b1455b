package registry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/internal/verify"
)

// envelope is what was signed around the newest version of a passport.
func (w *world) envelope(id passport.ID) credential.Envelope {
	w.t.Helper()
	result := need(w.Verification(w.ctx(), id, 0))(w.t)
	if result.Envelope == nil {
		w.t.Fatalf("passport %s: %+v", id, result.Checks)
	}
	return *result.Envelope
}

func TestASuspensionShowsInEveryListAtOnceAndNowhereElse(t *testing.T) {
	everywhere(t, func(w *world) {
		one, two := w.register(pack(w.t, "A1")).Passport, w.register(pack(w.t, "A2")).Passport
		shows := func(when string, want credential.Status) {
			w.t.Helper()
			at := *w.envelope(one).Status
			for kind, formats := range map[string][]string{registry.TokenList: {"jwt"}, registry.SuspensionList: {"jwt", "json"}, registry.RevocationList: {"jwt", "json"}} {
				for _, format := range formats {
					expected := want
					if kind == registry.RevocationList {
						expected = credential.Valid
					}
					if got := w.status(kind, format, at); got != expected {
						w.t.Errorf("%s: the %s list as %s says %d, want %d", when, kind, format, got, expected)
					}
					if got := w.status(kind, format, *w.envelope(two).Status); got != credential.Valid {
						w.t.Errorf("%s: the %s list as %s says %d of another passport", when, kind, format, got)
					}
				}
			}
		}
		shows("in force", credential.Valid)
		standing := need(w.SetState(w.ctx(), operator, one, registry.Suspended, "safetyInquiry"))(w.t)
		if standing.State != registry.Suspended || standing.Reason != "safetyInquiry" || len(standing.History) != 1 || standing.History[0].Actor != passport.Operator {
			w.t.Errorf("suspended, it stands as %+v", standing)
		}
		shows("suspended", credential.Suspended)
		w.verdict(one, verify.Suspended)
		w.verdict(two, verify.Genuine)
		need(w.SetState(w.ctx(), operator, one, registry.Active, "resolved"))(w.t)
		shows("lifted", credential.Valid)
		w.verdict(one, verify.Genuine)
	})
}

func TestAListReadBeforeASuspensionIsNotServedAfterIt(t *testing.T) {
	t.Parallel()
	w, race := newRacingWorld(t)
	id := w.register(pack(t, "A1")).Passport
	at := *w.envelope(id).Status
	w.pass(60e9) // what was held so far is no longer fresh
	race.whileListing(func() { need(w.SetState(w.ctx(), operator, id, registry.Suspended, "cloneSuspected"))(t) })
	need(w.StatusList(w.ctx(), registry.TokenList, at.List, "jwt"))(t)
	if got := w.status(registry.TokenList, "jwt", at); got != credential.Suspended {
		t.Errorf("the list says %d", got)
	}
	w.fsck()
}

func TestAnotherProcessShowsASuspensionAfterTwoSeconds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(pack(t, "A1")).Passport
	at := *w.envelope(id).Status
	w.status(registry.TokenList, "jwt", at)
	need(w.open(w.truth).SetState(w.ctx(), operator, id, registry.Suspended, "cloneSuspected"))(t)
	if got := w.standing(id).State; got != registry.Suspended { // the state itself is never held
		t.Errorf("it stands as %s", got)
	}
	w.pass(2e9)
	if got := w.status(registry.TokenList, "jwt", at); got != credential.Suspended {
		t.Errorf("after two seconds the list says %d", got)
	}
	w.fsck()
}

func TestListsNobodyUsesYetSayThatAllIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for number := range 100 { // more than are held
		need(w.StatusList(w.ctx(), registry.TokenList, 1000+number, "jwt"))(t)
	}
	if got := w.status(registry.SuspensionList, "json", credential.Position{List: 7, Index: 4711}); got != credential.Valid {
		t.Errorf("says %d", got)
	}
}

func TestOfTwoSuspensionsAtOnceOneCountsAndOneIsAConflict(t *testing.T) {
	everywhere(t, func(w *world) {
		id := w.register(pack(w.t, "A1")).Passport
		faults := make([]error, 20)
		together(len(faults), func(i int) {
			faults[i] = second(w.SetState(w.ctx(), operator, id, registry.Suspended, "dataDisputed"))
		})
		won := 0
		for _, err := range faults {
			if err == nil {
				won++
			} else if c := w.clash(err, registry.CodeStateChanged); c.Existing != id {
				w.t.Errorf("led to %s", c.Existing)
			}
		}
		if won != 1 || len(w.standing(id).History) != 1 {
			w.t.Errorf("%d suspensions counted, history %+v", won, w.standing(id).History)
		}
	})
}

func TestWhoSuspendsAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(pack(t, "A1")).Passport
	suspend := func(by access.Subject, to registry.State, reason string) error {
		return second(w.SetState(w.ctx(), by, id, to, reason))
	}
	w.is(suspend(nobody, registry.Suspended, "dataDisputed"), registry.ErrUnauthenticated)
	w.is(suspend(maker, registry.Suspended, "dataDisputed"), registry.ErrForbidden)
	for _, who := range []access.Subject{rival, recycler, customs, verifier, auditor} {
		w.is(suspend(who, registry.Suspended, "dataDisputed"), registry.ErrNotFound)
	}
	w.invalid(suspend(operator, registry.Suspended, "because"), "/reason", "reason.unknown")
	w.invalid(suspend(operator, registry.Active, "Frau Muster hat angerufen"), "/reason", "reason.unknown")
	for _, state := range []registry.State{registry.Superseded, registry.Revoked, registry.Ceased, "lost"} {
		w.clash(suspend(operator, state, "dataDisputed"), registry.CodeStateUnreachable)
	}
	w.clash(suspend(operator, registry.Active, "resolved"), registry.CodeStateChanged)
	for _, reason := range registry.SuspensionReasons() {
		w.must(suspend(operator, registry.Suspended, reason))
		w.clash(suspend(operator, registry.Suspended, reason), registry.CodeStateChanged)
		w.must(suspend(operator, registry.Active, "resolved"))
	}
	unknown := need(passport.ParseID("01890000-0000-7000-8000-000000000000"))(t)
	w.is(second(w.SetState(w.ctx(), operator, unknown, registry.Suspended, "dataDisputed")), registry.ErrNotFound)
	w.fsck()
}

func TestTheEnvironmentStandsInTheSignedBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	receipt := w.register(pack(t, "A1"))
	trust := w.trust()
	token := issued(receipt, passport.Item).Token
	if got := verify.Check(token, verify.Evidence{}, trust, w.clock.Now()).Of(verify.Environment).Outcome; got != verify.OK {
		t.Errorf("environment: %s", got)
	}
	trust.Environment = "production"
	if got := verify.Check(token, verify.Evidence{}, trust, w.clock.Now()).Verdict; got != verify.NotGenuine {
		t.Errorf("a demo passport is %s in production", got)
	}
	for _, rec := range receipt.Records {
		bare, _, err := w.Bare(w.ctx(), rec.RecordID)
		w.must(err)
		verified := need(need(credential.Parse(bare))(t).Verify(w.key(bare).Key()))(t)
		if got := need(verified.Claims())(t)["environment"]; got != "demo" {
			t.Errorf("the %s says environment %v", rec.Type, got)
		}
	}
	w.fsck()
}

// trust is whom the registry says it admits, read as a stranger would.
func (w *world) trust() verify.Trust {
	w.t.Helper()
	document := need(w.DIDDocument(w.ctx(), passport.Operator))(w.t)
	_, keys, err := credential.ParseDIDDocument(need(strictjson.Marshal(document))(w.t))
	w.must(err)
	return need(credential.ParseBundle(need(w.SignedTrust(w.ctx()))(w.t), keys))(w.t)
}

// key is the trusted key that a token names.
func (w *world) key(token []byte) credential.PublicKey {
	w.t.Helper()
	parsed := need(credential.Parse(token))(w.t)
	issuer, _ := w.trust().Issuer(parsed.Issuer())
	key, ok := issuer.Key(parsed.KeyID())
	if !ok {
		w.t.Fatalf("key %s is not trusted", parsed.KeyID())
	}
	return key
}

func TestAnyTokenCanBeChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	receipt := w.register(pack(t, "A1"))
	check := func(token []byte) verify.Verdict { return need(w.Verify(w.ctx(), token))(t).Verdict }
	for _, rec := range receipt.Records {
		if got := check(rec.Token); got != verify.Genuine {
			t.Errorf("the %s with all it discloses is %s", rec.Type, got)
		}
	}
	token := issued(receipt, passport.Item).Token
	spoilt := append([]byte{}, token...)
	spoilt[len(spoilt)/3] ^= 1
	for name, token := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "spoilt": spoilt, "without its tilde": token[:len(token)-1]} {
		if got := check(token); got == verify.Genuine {
			t.Errorf("%s is %s", name, got)
		}
	}
	stranger := newWorld(t) // another registry at the same address, with keys of its own
	if got := need(stranger.Verify(stranger.ctx(), token))(t); got.Verdict != verify.NotGenuine {
		t.Errorf("a token of an unknown signer is %s: %+v", got.Verdict, got.Checks)
	}
	w.is(second(w.Verification(w.ctx(), receipt.Passport, 2)), registry.ErrNotFound)
	if diff := cmp.Diff(need(w.Versions(w.ctx(), receipt.Passport))(t)[0].Digest, registry.SRI(issued(receipt, passport.Item).Digest)); diff != "" {
		t.Errorf("digest:\n%s", diff)
	}
	w.fsck()
}
