package registry_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/internal/verify"
)

// signer is the key that a passport was signed with.
func (w *world) signer(r registry.Receipt) string {
	w.t.Helper()
	return need(credential.Parse(issued(r, passport.Item).Token))(w.t).KeyID()
}

// keysOf are the published keys of an organisation in the order of their first use.
func (w *world) keysOf(org passport.OrgID) []registry.Key {
	w.t.Helper()
	keys := slices.Clone(need(w.Organisation(w.ctx(), org))(w.t).Keys)
	slices.SortFunc(keys, func(a, b registry.Key) int { return a.NotBefore.Compare(b.NotBefore) })
	return keys
}

func TestKeysOverlapAndOldPassportsOutliveTheirs(t *testing.T) {
	everywhere(t, func(w *world) {
		old := w.keysOf(maker.Org)[0]
		before := w.register(pack(w.t, "A1"))
		from := w.clock.Now().Add(24 * time.Hour).Truncate(time.Second)
		next := need(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, from.Add(300*time.Millisecond)))(w.t)
		if !next.NotBefore.Equal(from) {
			w.t.Errorf("the new key is used from %s, want the whole second %s", next.NotBefore, from)
		}
		if got := w.signer(w.register(pack(w.t, "A2"))); got != old.ID { // published and not yet in use
			w.t.Errorf("before its time %s signs", got)
		}
		w.pass(from.Sub(w.clock.Now()))
		first := w.register(pack(w.t, "A3"))
		if got := w.signer(first); got != next.ID {
			w.t.Errorf("from its first second %s signs, want the new key", got)
		}
		w.pass(time.Hour)
		retired := need(w.RetireKey(w.ctx(), operator, maker.Org, old.ID))(w.t)
		w.pass(time.Hour)
		if again := need(w.RetireKey(w.ctx(), operator, maker.Org, old.ID))(w.t); !again.RetiredAt.Equal(retired.RetiredAt) {
			w.t.Errorf("retired at %s, again at %s", retired.RetiredAt, again.RetiredAt)
		}
		for _, r := range []registry.Receipt{before, first} {
			w.verdict(r.Passport, verify.Genuine)
		}
		if _, ok := w.trust().Issuers[0].Key(old.ID); !ok {
			w.t.Error("a stranger no longer learns of the retired key")
		}
		document := need(w.DIDDocument(w.ctx(), maker.Org))(w.t)
		if methods, _ := document["verificationMethod"].([]any); len(methods) != 2 {
			w.t.Errorf("%d keys in the DID document, want 2", len(methods))
		}
	})
}

func TestARetiredKeySignsNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.keysOf(maker.Org)[0]
	w.clash(second(w.RetireKey(w.ctx(), operator, maker.Org, key.ID)), registry.CodeLastKey)
	w.pass(time.Hour)
	next := need(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now().Add(-time.Hour)))(t) // not past: now
	if !next.NotBefore.Equal(w.clock.Now().Truncate(time.Second)) {
		t.Errorf("the new key is used from %s", next.NotBefore)
	}
	need(w.RetireKey(w.ctx(), operator, maker.Org, next.ID))(t)
	if got := w.signer(w.register(pack(t, "A1"))); got != key.ID {
		t.Errorf("%s signs, want the older key", got)
	}
	w.clash(second(w.RetireKey(w.ctx(), operator, maker.Org, key.ID)), registry.CodeLastKey)
	w.fsck()
}

func TestAKeyRetiredInTheDatabaseSignsNothingMoreWhateverTheKeyringSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.keysOf(maker.Org)[0]
	w.pass(time.Hour)
	next := need(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now()))(t)
	next.RetiredAt = w.clock.Now()
	w.must(second(w.truth.Commit(w.ctx(), registry.Change{Tenant: maker.Org, At: next.RetiredAt, Keys: []registry.Key{next}})))
	w.pass(time.Minute)
	if got := w.signer(w.register(pack(t, "A1"))); got != old.ID {
		t.Errorf("%s signs, want the older key", got)
	}
}

func TestAKeyThatWasNeverPublishedNeverSigns(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]storetest.Fault{"lost before it was published": storetest.Down, "full": storetest.Full} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, onSQLite, func(s registry.Store) registry.Store { return storetest.Faulty(s, storetest.Nth(1, fault)) })
			old := w.keysOf(maker.Org)[0]
			w.pass(time.Hour)
			if _, err := w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now()); err == nil {
				t.Fatal("the rotation succeeded")
			}
			for _, reg := range []*registry.Registry{w.Registry, w.open(w.truth)} { // also after a restart
				w.Registry = reg
				w.pass(time.Minute)
				if got := w.signer(w.register(pack(t, w.clock.Now().Format("150405")))); got != old.ID {
					t.Errorf("%s signs, want the published key", got)
				}
			}
			next := need(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now()))(t)
			if got := w.signer(w.register(pack(t, "A9"))); got != next.ID {
				t.Errorf("%s signs, want the key of the second try", got)
			}
			w.fsck()
		})
	}
}

func TestAnAdmissionThatFailedCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, onSQLite, func(s registry.Store) registry.Store { return storetest.Faulty(s, storetest.Nth(1, storetest.Down)) })
	org := registry.Organisation{ID: "neuland", Name: "Neuland AG", Country: "CH", Roles: []access.Role{access.Issuer}}
	w.is(second(w.Admit(w.ctx(), operator, org)), registry.ErrUnavailable)
	w.pass(10 * time.Millisecond) // within the same second
	need(w.Admit(w.ctx(), operator, org))(t)
	receipt := w.registerAs(as("neuland", access.Issuer), pack(t, "A1"))
	w.verdict(receipt.Passport, verify.Genuine)
	w.fsck()
}

func TestAnotherProcessSignsWithANewKeyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.open(w.truth)
	w.pass(time.Minute)
	must(t, second(other.Organisations(w.ctx()))) // it holds what it read now
	next := need(w.RotateKey(w.ctx(), operator, maker.Org, registry.ES256, w.clock.Now()))(t)
	w.Registry = other
	if got := w.signer(w.register(pack(t, "A1"))); got != next.ID {
		t.Errorf("%s signs, want the new key", got)
	}
	w.fsck()
}

func TestTheRegistryRotatesItsOwnKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(pack(t, "A1")).Passport
	for _, algorithm := range []string{registry.ES256, registry.Ed25519} {
		w.pass(time.Hour)
		need(w.RotateKey(w.ctx(), operator, passport.Operator, algorithm, w.clock.Now()))(t)
	}
	w.pass(time.Hour)
	w.trust() // verifies the bundle
	w.verdict(id, verify.Genuine)
	if keys, _ := need(w.JWKS(w.ctx()))(t)["keys"].([]any); len(keys) != 4 {
		t.Errorf("%d keys in the key set, want 4", len(keys))
	}
	w.fsck() // reads the lists with all published keys
}

func TestAnOrganisationAdmittedLaterIsTrustedFromThenOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early := w.trust()
	w.pass(24 * time.Hour)
	w.admit("neuland", access.Issuer)
	receipt := w.registerAs(as("neuland", access.Issuer), pack(t, "A1"))
	w.verdict(receipt.Passport, verify.Genuine)
	token := issued(receipt, passport.Item).Token
	if got := verify.Check(token, verify.Evidence{}, early, w.clock.Now()).Verdict; got != verify.CouldNotCheck {
		t.Errorf("to a list from before the admission it is %s", got)
	}
	late := w.trust()
	at := slices.IndexFunc(late.Issuers, func(i credential.Issuer) bool { return i.DID == w.DID("neuland") })
	late.Issuers[at].AdmittedAt = w.clock.Now().Add(time.Hour)
	if got := verify.Check(token, verify.Evidence{}, late, w.clock.Now()).Verdict; got != verify.NotGenuine {
		t.Errorf("signed before the admission it is %s", got)
	}
	w.fsck()
}

func TestKeysAreTheOperatorsBusiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.keysOf(maker.Org)[0]
	for _, who := range []access.Subject{maker, rival, recycler, customs, verifier, auditor} {
		w.is(second(w.RotateKey(w.ctx(), who, maker.Org, registry.ES256, w.clock.Now())), registry.ErrForbidden)
		w.is(second(w.RetireKey(w.ctx(), who, maker.Org, key.ID)), registry.ErrForbidden)
	}
	w.is(second(w.RotateKey(w.ctx(), nobody, maker.Org, registry.ES256, w.clock.Now())), registry.ErrUnauthenticated)
	w.is(second(w.RotateKey(w.ctx(), operator, "unknown", registry.ES256, w.clock.Now())), registry.ErrNotFound)
	w.is(second(w.RetireKey(w.ctx(), operator, "unknown", key.ID)), registry.ErrNotFound)
	w.is(second(w.RetireKey(w.ctx(), operator, rival.Org, key.ID)), registry.ErrNotFound) // not the rival's
	if _, err := w.RotateKey(w.ctx(), operator, maker.Org, "RS256", w.clock.Now()); err == nil {
		t.Error("a key of an algorithm that nobody checks")
	}
	w.is(second(w.DIDDocument(w.ctx(), "unknown")), registry.ErrNotFound)
	w.fsck()
}

func TestARegistryIsInitialisedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	again := registry.Instance{BaseURL: "https://other.example", Environment: "production", CreatedAt: w.clock.Now()}
	w.is(registry.Init(w.ctx(), w.truth, w.keys, again, "Other", "FR"), registry.ErrStale)
	if got := w.Instance(); got.BaseURL != base || got.Environment != "demo" {
		t.Errorf("instance: %+v", got)
	}
	empty := onSQLite(t)
	if _, err := registry.Open(w.ctx(), registry.Options{Store: empty, Keys: w.keys, Random: nil, Now: w.clock.Now}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("open before init: %v", err)
	}
	bad := registry.Instance{BaseURL: "ftp://x/", Environment: "demo", CreatedAt: start}
	if err := registry.Init(w.ctx(), empty, w.keys, bad, "Bad", "DE"); err == nil {
		t.Error("initialised at an address that is none")
	}
	if _, err := empty.Instance(w.ctx()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("after a failed init: %v", err)
	}
	w.fsck()
}
