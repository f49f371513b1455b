package verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/strictjson"
	"github.com/provolt/provolt/schemas"
)

const (
	base        = "https://registry.example"
	registryDID = "did:web:registry.example"
	issuerDID   = "did:web:registry.example:o:nordlicht"
)

var (
	admitted = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	issuedAt = time.Date(2027, 3, 1, 9, 12, 44, 0, time.UTC)
	checkAt  = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
)

// world is a registry with one issuer and one issued battery, real in every
// part but the transport.
type world struct {
	t        *testing.T
	issuer   *ecdsa.PrivateKey
	signer   *ecdsa.PrivateKey  // the registry's, ES256
	prover   ed25519.PrivateKey // the registry's, Ed25519
	trust    Trust
	evidence Evidence
	issued   map[passport.RecordType]credential.Issued
	status   map[int]credential.Status
	position credential.Position
}

const (
	issuerKey = issuerDID + "#k-1"
	signerKey = registryDID + "#k-es256"
	proverKey = registryDID + "#k-ed25519"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, issuer: p256(t), signer: p256(t), issued: map[passport.RecordType]credential.Issued{},
		status: map[int]credential.Status{}, position: credential.Position{List: 2, Index: 4711},
	}
	_, prover, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.prover = prover
	w.trust = Trust{
		BaseURL: base, Environment: "demo",
		Registry: credential.Issuer{
			Party: credential.Party{DID: registryDID, Name: "Example Registry"}, AdmittedAt: admitted,
			Keys: []credential.PublicKey{
				w.public(signerKey, w.signer.Public(), admitted, time.Time{}),
				w.public(proverKey, prover.Public(), admitted, time.Time{}),
			},
		},
		Issuers: []credential.Issuer{{
			Party: credential.Party{DID: issuerDID, Name: "Nordlicht Zellwerk"}, AdmittedAt: admitted,
			Keys: []credential.PublicKey{w.public(issuerKey, w.issuer.Public(), admitted, time.Time{})},
		}},
	}
	w.issueExample()
	w.publish(checkAt)
	return w
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) public(id string, key any, notBefore, retiredAt time.Time) credential.PublicKey {
	w.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	public, err := credential.NewPublicKey(id, der, notBefore, retiredAt)
	if err != nil {
		w.t.Fatal(err)
	}
	return public
}

// issueExample issues the worked example of an EV battery: model, batch, item
// and condition.
func (w *world) issueExample() {
	w.t.Helper()
	cat, err := catalogue.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	validator, err := validator()
	if err != nil {
		w.t.Fatal(err)
	}
	records := map[passport.RecordType]map[string]any{}
	for _, name := range []string{"examples/ev.json", "examples/condition-ev.json"} {
		text, err := schemas.FS.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		for recordType, record := range parse(w.t, text) {
			records[passport.RecordType(recordType)] = record.(map[string]any)
		}
	}
	w.evidence.Records = map[string][]byte{}
	var pins []credential.Pin
	for _, recordType := range passport.RecordTypes() {
		checked, violations := validator.Check(recordType, records[recordType], schema.Context{Model: records[passport.Model], Batch: records[passport.Batch]})
		if checked.IsZero() {
			w.t.Fatal(violations)
		}
		env := w.envelope(recordType)
		env.Pins = pins
		issued, err := credential.Issue(checked, cat, env, issuerKey, w.issuer, rand.Reader)
		if err != nil {
			w.t.Fatal(err)
		}
		w.issued[recordType] = issued
		if recordType == passport.Model || recordType == passport.Batch {
			pins = append(pins, credential.Pin{Type: recordType, RecordID: env.RecordID, TokenDigest: issued.TokenDigest})
			w.evidence.Records[credential.RecordURL(base, env.RecordID)] = credential.Present(issued.JWS, nil, 0)
		} else {
			pins = nil
		}
	}
}

func (w *world) envelope(recordType passport.RecordType) credential.Envelope {
	env := credential.Envelope{
		BaseURL: base, Environment: "demo", RecordID: w.id(), Series: w.id(), Type: recordType, Version: 1,
		SubjectID: "https://id.example/01/09506000134376/21/" + string(recordType),
		Issuer:    credential.Party{DID: issuerDID, Name: "as the token says"}, ValidFrom: issuedAt, Status: &w.position,
	}
	if recordType == passport.Condition {
		env.Status = nil
	}
	return env
}

func (w *world) id() passport.ID {
	w.t.Helper()
	id, err := passport.NewID(issuedAt, rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// publish makes the status lists of a time and takes them as evidence.
func (w *world) publish(at time.Time) {
	w.t.Helper()
	w.evidence.Lists = map[string][]byte{}
	l := w.list(at)
	for _, purpose := range []credential.Purpose{credential.Revocation, credential.Suspension} {
		jwt, err := l.JWT(purpose, signerKey, w.signer)
		if err != nil {
			w.t.Fatal(err)
		}
		w.evidence.Lists[credential.StatusURL(base, purpose, l.List)] = jwt
	}
	token, err := l.TokenJWT(signerKey, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	w.evidence.Lists[credential.TokenStatusURL(base, l.List)] = token
	w.evidence.FetchedAt = at
}

func (w *world) list(at time.Time) credential.StatusList {
	return credential.StatusList{
		BaseURL: base, Issuer: w.trust.Registry.Party, List: w.position.List, Statuses: w.status,
		IssuedAt: at, ExpiresAt: at.Add(24 * time.Hour), TTL: 5 * time.Minute,
	}
}

func (w *world) set(s credential.Status) {
	w.status[w.position.Index] = s
	w.publish(checkAt)
}

// present gives the item's presentation for the tiers.
func (w *world) present(tiers passport.Tiers) []byte {
	item := w.issued[passport.Item]
	return credential.Present(item.JWS, item.Disclosures, tiers)
}

// check judges the public presentation of the item and holds the result
// against what must always be so.
func (w *world) check() Result {
	w.t.Helper()
	return w.judge(w.present(0), checkAt)
}

func (w *world) judge(token []byte, at time.Time) Result {
	w.t.Helper()
	r := Check(token, w.evidence, w.trust, at)
	var names []Name
	var remarks []Name
	for _, c := range r.Checks {
		names = append(names, c.Name)
		if r.Verdict == Genuine && c.Outcome == Unknown && c.Name != Log {
			remarks = append(remarks, c.Name)
		}
		if c.Code == "" || c.Detail == "" || !strings.HasSuffix(c.Detail, ".") {
			w.t.Errorf("check %s has no code or sentence: %+v", c.Name, c)
		}
	}
	if diff := cmp.Diff([]Name{Form, Signature, Issuer, Environment, Schema, Pins, Status, Log, Disclosures}, names); diff != "" {
		w.t.Errorf("checks: %s", diff)
	}
	if diff := cmp.Diff(remarks, r.Remarks); diff != "" {
		w.t.Errorf("remarks: %s", diff)
	}
	if r.Verdict != Genuine && r.Verdict != Revoked && r.Verdict != Suspended && r.Verdict != CouldNotCheck && r.Verdict != NotGenuine {
		w.t.Errorf("verdict %q", r.Verdict)
	}
	return r
}

func (w *world) want(r Result, verdict Verdict, name Name, outcome Outcome, code string) {
	w.t.Helper()
	c := r.Of(name)
	if r.Verdict != verdict || c.Outcome != outcome || c.Code != code {
		w.t.Errorf("verdict %s, %s %s %s; want %s, %s %s", r.Verdict, name, c.Outcome, c.Code, verdict, outcome, code)
	}
}

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	tree, err := strictjson.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tree.(map[string]any)
}

func TestEveryPresentationOfEveryRecordIsGenuine(t *testing.T) {
	w := newWorld(t)
	for recordType, issued := range w.issued {
		for tiers := range passport.AllTiers() + 1 {
			r := w.judge(credential.Present(issued.JWS, issued.Disclosures, tiers), checkAt)
			if r.Verdict != Genuine {
				t.Fatalf("%s for %v: %s, %+v", recordType, tiers.List(), r.Verdict, r.Checks)
			}
			for _, c := range r.Checks {
				if want := map[bool]Outcome{true: Unknown, false: OK}[c.Name == Log]; c.Outcome != want {
					t.Errorf("%s for %v: %+v", recordType, tiers.List(), c)
				}
			}
			shown := 0
			for _, d := range issued.Disclosures {
				if tiers.Has(d.Tier) {
					shown++
				}
			}
			if r.Withheld != len(issued.Disclosures)-shown || r.Digest != hex.EncodeToString(issued.TokenDigest[:]) {
				t.Errorf("%s for %v: %d withheld, digest %s", recordType, tiers.List(), r.Withheld, r.Digest)
			}
			if r.Subject == nil || r.Envelope == nil || r.Issuer.Name != "Nordlicht Zellwerk" {
				t.Errorf("%s: issuer %v, subject %v", recordType, r.Issuer, r.Subject)
			}
		}
	}
}

func TestVerdictsHaveTheirExitCodes(t *testing.T) {
	for verdict, code := range map[Verdict]int{Genuine: 0, NotGenuine: 1, Revoked: 2, Suspended: 2, CouldNotCheck: 3, "": 3} {
		if got := verdict.ExitCode(); got != code {
			t.Errorf("%q exits with %d, want %d", verdict, got, code)
		}
	}
}

func TestStatusDecidesOverAGenuinePassport(t *testing.T) {
	w := newWorld(t)
	w.set(credential.Revoked)
	w.want(w.check(), Revoked, Status, Fail, "status.revoked")
	w.set(credential.Suspended)
	w.want(w.check(), Suspended, Status, Fail, "status.suspended")
	w.set(credential.Valid)
	w.want(w.check(), Genuine, Status, OK, "status.ok")
}

func TestOneFormOfTheStatusListIsEnough(t *testing.T) {
	w := newWorld(t)
	token := credential.TokenStatusURL(base, w.position.List)
	revocation := credential.StatusURL(base, credential.Revocation, w.position.List)
	suspension := credential.StatusURL(base, credential.Suspension, w.position.List)

	delete(w.evidence.Lists, token)
	w.want(w.check(), Genuine, Status, OK, "status.ok")
	for purpose, address := range map[credential.Purpose]string{credential.Revocation: revocation, credential.Suspension: suspension} {
		plain, err := w.list(checkAt).JSON(purpose, proverKey, w.prover)
		if err != nil {
			t.Fatal(err)
		}
		w.evidence.Lists[address] = plain
	}
	w.want(w.check(), Genuine, Status, OK, "status.ok")
	delete(w.evidence.Lists, suspension)
	w.want(w.check(), CouldNotCheck, Status, Unknown, "status.absent")

	w.publish(checkAt)
	delete(w.evidence.Lists, revocation)
	delete(w.evidence.Lists, suspension)
	w.want(w.check(), Genuine, Status, OK, "status.ok")
}

func TestWithoutCurrentStatusNothingIsGenuine(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(*world)
		code  string
	}{
		"no lists":         {func(w *world) { w.evidence.Lists = nil }, "status.absent"},
		"lists of yore":    {func(w *world) { w.publish(checkAt.Add(-25 * time.Hour)); w.evidence.FetchedAt = checkAt }, "status.stale"},
		"fetched long ago": {func(w *world) { w.evidence.FetchedAt = checkAt.Add(-time.Hour) }, "status.stale"},
		"lists to come":    {func(w *world) { w.publish(checkAt.Add(time.Hour)) }, "status.future"},
		"garbage": {func(w *world) {
			for address := range w.evidence.Lists {
				w.evidence.Lists[address] = []byte("{}")
			}
		}, "status.form"},
		"lists by a stranger": {func(w *world) { w.signer = p256(w.t); w.publish(checkAt) }, "signature.invalid"},
		"lists swapped": {func(w *world) {
			lists := w.evidence.Lists
			a, b := credential.StatusURL(base, credential.Revocation, 2), credential.StatusURL(base, credential.Suspension, 2)
			lists[a], lists[b] = lists[b], lists[a]
			delete(lists, credential.TokenStatusURL(base, 2))
		}, "status.otherList"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			row.spoil(w)
			w.want(w.check(), CouldNotCheck, Status, Unknown, row.code)
		})
	}
}

func TestRevocationIsBelievedHoweverOld(t *testing.T) {
	w := newWorld(t)
	w.status[w.position.Index] = credential.Revoked
	w.publish(checkAt.Add(-20 * 24 * time.Hour))
	w.want(w.check(), Revoked, Status, Fail, "status.revoked")

	w.status[w.position.Index] = credential.Suspended // may have been lifted since
	w.publish(checkAt.Add(-20 * 24 * time.Hour))
	w.want(w.check(), CouldNotCheck, Status, Unknown, "status.stale")
}

func TestIssuerMustHaveCountedWhenItSigned(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(*world)
		verdict Verdict
		outcome Outcome
		code    string
	}{
		"admitted later":              {func(w *world) { w.trust.Issuers[0].AdmittedAt = issuedAt.Add(time.Second) }, NotGenuine, Fail, "issuer.notYetAdmitted"},
		"admitted in the same second": {func(w *world) { w.trust.Issuers[0].AdmittedAt = issuedAt.Add(time.Millisecond) }, Genuine, OK, "issuer.ok"},
		"not admitted":                {func(w *world) { w.trust.Issuers[0].DID = "did:web:other.example" }, NotGenuine, Fail, "issuer.unknown"},
		"nobody trusted":              {func(w *world) { w.trust = Trust{Environment: "demo"} }, CouldNotCheck, Unknown, "issuer.noTrust"},
		"key retired before": {func(w *world) {
			w.trust.Issuers[0].Keys[0] = w.public(issuerKey, w.issuer.Public(), admitted, issuedAt)
		}, NotGenuine, Fail, "issuer.keyNotInUse"},
		"key retired since": {func(w *world) {
			w.trust.Issuers[0].Keys[0] = w.public(issuerKey, w.issuer.Public(), admitted, issuedAt.Add(time.Second))
		}, Genuine, OK, "issuer.ok"},
		"key not yet in use": {func(w *world) {
			w.trust.Issuers[0].Keys[0] = w.public(issuerKey, w.issuer.Public(), issuedAt.Add(time.Second), time.Time{})
		}, NotGenuine, Fail, "issuer.keyNotInUse"},
		"another key of that name": {func(w *world) {
			w.trust.Issuers[0].Keys[0] = w.public(issuerKey, p256(w.t).Public(), admitted, time.Time{})
		}, NotGenuine, Unknown, "issuer.unproven"},
		"no key of that name": {func(w *world) { w.trust.Issuers[0].Keys = nil }, NotGenuine, Unknown, "issuer.unproven"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			row.change(w)
			r := w.check()
			w.want(r, row.verdict, Issuer, row.outcome, row.code)
			if r.Verdict != Genuine && (r.Subject != nil || r.Envelope != nil || r.Facts != nil) {
				t.Error("what nobody trusted vouches for is shown")
			}
		})
	}
	w := newWorld(t)
	w.trust.Issuers[0].Keys[0] = w.public(issuerKey, w.issuer.Public(), issuedAt.Add(900*time.Millisecond), time.Time{})
	w.want(w.check(), Genuine, Issuer, OK, "issuer.ok")
	w.want(w.judge(w.present(0), issuedAt.Add(-time.Hour)), NotGenuine, Issuer, Fail, "issuer.future")
}

func TestOldTrustListCannotTellOfNewIssuersAndKeys(t *testing.T) {
	w := newWorld(t)
	w.trust.IssuedAt = issuedAt.Add(-time.Hour)
	w.trust.Issuers[0].Keys = nil
	w.want(w.check(), CouldNotCheck, Signature, Unknown, "signature.staleTrust")
	w.trust.Issuers[0].DID = "did:web:other.example"
	w.want(w.check(), CouldNotCheck, Issuer, Unknown, "issuer.staleTrust")
	w.trust.IssuedAt = issuedAt
	w.want(w.check(), NotGenuine, Issuer, Fail, "issuer.unknown")
}

func TestDemoIsNeverTakenForReal(t *testing.T) {
	w := newWorld(t)
	w.trust.Environment = "production"
	w.want(w.check(), NotGenuine, Environment, Fail, "environment.mismatch")
}

func TestPinsBindTheModelAndBatch(t *testing.T) {
	w := newWorld(t)
	var addresses []string
	for address := range w.evidence.Records {
		addresses = append(addresses, address)
	}
	records := w.evidence.Records
	records[addresses[0]], records[addresses[1]] = records[addresses[1]], records[addresses[0]]
	w.want(w.check(), NotGenuine, Pins, Fail, "pins.mismatch")

	delete(records, addresses[0])
	records[addresses[1]] = []byte("not a record")
	w.want(w.check(), NotGenuine, Pins, Fail, "pins.mismatch")

	delete(records, addresses[1])
	w.want(w.check(), Genuine, Pins, Unknown, "pins.missing")
}

func TestGenuineSaysWhatWasNotChecked(t *testing.T) {
	w := newWorld(t)
	if r := w.check(); r.Remarks != nil {
		t.Errorf("all evidence is there: %v", r.Remarks)
	}
	w.evidence.Records = nil
	text, err := json.Marshal(w.check())
	if err != nil || !bytes.Contains(text, []byte(`"remarks":["pins"]`)) {
		t.Errorf("%s, %v", text, err)
	}
	w.set(credential.Revoked)
	if r := w.check(); r.Verdict != Revoked || r.Remarks != nil {
		t.Errorf("%s with remarks %v", r.Verdict, r.Remarks)
	}
}

func TestAnExpiredTrustedListIsSaidAndChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.trust.ExpiresAt = checkAt
	if r := w.check(); strings.Contains(r.Of(Issuer).Detail, "expired") {
		t.Error(r.Of(Issuer).Detail)
	}
	w.trust.ExpiresAt = checkAt.Add(-time.Second)
	r := w.check()
	w.want(r, Genuine, Issuer, OK, "issuer.ok")
	if !strings.Contains(r.Of(Issuer).Detail, "The trusted list expired on "+checkAt.Add(-time.Second).Format(time.DateOnly)) {
		t.Error(r.Of(Issuer).Detail)
	}
}

func TestPinnedRecordMayShowMore(t *testing.T) {
	w := newWorld(t)
	for address := range w.evidence.Records {
		for _, recordType := range []passport.RecordType{passport.Model, passport.Batch} {
			issued := w.issued[recordType]
			if bytes.HasPrefix(w.evidence.Records[address], issued.JWS) {
				w.evidence.Records[address] = credential.Present(issued.JWS, issued.Disclosures, passport.AllTiers())
			}
		}
	}
	w.want(w.check(), Genuine, Pins, OK, "pins.ok")
}

func TestDisclosureOfAnotherRecordIsNotGenuine(t *testing.T) {
	w := newWorld(t)
	foreign := w.issued[passport.Model].Disclosures[0]
	token := append(w.present(0), foreign.Encoded+"~"...)
	r := w.judge(token, checkAt)
	w.want(r, NotGenuine, Disclosures, Fail, "disclosures.unreferenced")
	if r.Subject != nil {
		t.Error("the subject is shown")
	}
}

func TestWrongFormIsNotGenuine(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{"", "~", "a.b.c~", strings.Repeat("x", credential.MaxToken+1), string(w.evidence.Lists[credential.TokenStatusURL(base, 2)])} {
		r := w.judge([]byte(token), checkAt)
		if r.Verdict != NotGenuine || r.Of(Form).Outcome != Fail || !strings.HasPrefix(r.Of(Form).Code, "form.") {
			t.Errorf("%.20q: %s, %+v", token, r.Verdict, r.Of(Form))
		}
	}
}

// TestNoChangedByteIsGenuine flips every bit of the header, the signature and
// the disclosures, and one bit of every byte of the payload, in turn.
func TestNoChangedByteIsGenuine(t *testing.T) {
	w := newWorld(t)
	condition := w.issued[passport.Condition]
	token := credential.Present(condition.JWS, condition.Disclosures, passport.AllTiers())
	if r := w.judge(token, checkAt); r.Verdict != Genuine {
		t.Fatalf("%+v", r)
	}
	payload, signature := bytes.IndexByte(token, '.'), bytes.LastIndexByte(token, '.')
	for i := range token {
		for bit := range 8 {
			if i > payload && i < signature && bit != i%8 {
				continue
			}
			token[i] ^= 1 << bit
			if r := Check(token, w.evidence, w.trust, checkAt); r.Verdict != NotGenuine {
				t.Fatalf("byte %d, bit %d: %s", i, bit, r.Verdict)
			}
			token[i] ^= 1 << bit
		}
	}
	for _, length := range []int{0, 1, 100, len(condition.JWS), len(token) - 1} {
		if r := Check(token[:length], w.evidence, w.trust, checkAt); r.Verdict == Genuine {
			t.Errorf("the first %d bytes are genuine", length)
		}
	}
}

func TestRestrictedTextReachesNoResultOfAPublicToken(t *testing.T) {
	w := newWorld(t)
	for _, issued := range w.issued {
		r := w.judge(credential.Present(issued.JWS, nil, 0), checkAt)
		text, err := json.Marshal(struct {
			Result  Result
			Subject map[string]any
		}{r, r.Subject})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range issued.Disclosures {
			if bytes.Contains(text, []byte(d.Encoded)) {
				t.Errorf("%s is shown", d.Attribute)
			}
		}
	}
}

func TestFactsComeFromTheTrustedEnvelope(t *testing.T) {
	w := newWorld(t)
	facts := map[string]string{}
	for _, f := range w.check().Facts {
		facts[f.Name] = f.Value
	}
	for name, want := range map[string]string{
		"recordType": "passport", "issuer": issuerDID, "issuerName": "Nordlicht Zellwerk", "issuedAt": "2027-03-01T09:12:44Z",
		"environment": "demo", "version": "1", "subject": "https://id.example/01/09506000134376/21/passport",
	} {
		if facts[name] != want {
			t.Errorf("%s is %q, want %q", name, facts[name], want)
		}
	}
	if facts["passportId"] == "" || facts["seriesId"] != "" {
		t.Errorf("facts: %v", facts)
	}
}

func TestTrustFromItsBundleJudgesAlike(t *testing.T) {
	w := newWorld(t)
	w.trust.IssuedAt = checkAt
	bundle, err := w.trust.Bundle(signerKey, w.signer)
	if err != nil {
		t.Fatal(err)
	}
	read, err := credential.ParseBundle(bundle, w.trust.Registry.Keys)
	if err != nil {
		t.Fatal(err)
	}
	w.trust = read
	w.want(w.check(), Genuine, Issuer, OK, "issuer.ok")
}
