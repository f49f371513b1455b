package credential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

const (
	testBase = "https://registry.example"
	testDID  = "did:web:registry.example:o:nordlicht"
	testKID  = testDID + "#k-20270301-0123456789abcdef"
)

var testTime = time.Date(2027, 3, 1, 9, 12, 44, 0, time.UTC)

// batchRecord has every way in which a record can hide something: whole
// members at two depths, and arrays disclosed one element at a time.
const batchRecord = `{
	"batchId": "NL2-2027W09",
	"quantity": 1850,
	"originSummary": [{"mineral": "lithium", "massKg": 8.251, "extraction": {"AU": 0.55, "CL": 0.39}}],
	"origins": [
		{"lotId": "Li-1", "mineral": "lithium", "massShare": 0.55, "stages": [{"stage": "extraction", "country": "AU"}]},
		{"lotId": "Li-2", "mineral": "lithium", "massShare": 0.39, "stages": []},
		{"lotId": "Li-3", "mineral": "lithium", "massShare": 0.06, "stages": [{"country": null}]}
	],
	"entities": [],
	"quality": {"grade": "A <&> ü", "secretYield": 98.20, "inner": {"secretNote": null, "open": true}}
}`

var batchRestrictions = []restriction{
	{attribute: "origins", tier: passport.Origin, path: []string{"origins"}, elements: true},
	{attribute: "entities", tier: passport.Origin, path: []string{"entities"}, elements: true},
	{attribute: "midstream", tier: passport.Origin, path: []string{"midstream"}, elements: true},
	{attribute: "yield", tier: passport.Point2, path: []string{"quality", "secretYield"}},
	{attribute: "note", tier: passport.Point3, path: []string{"quality", "inner", "secretNote"}},
	{attribute: "absent", tier: passport.Point4, path: []string{"nowhere", "at", "all"}},
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newID(t testing.TB) passport.ID {
	t.Helper()
	id, err := passport.NewID(testTime, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// batchEnvelope uses every member an envelope of a batch can have.
func batchEnvelope(t testing.TB) Envelope {
	t.Helper()
	return Envelope{
		BaseURL: testBase, Environment: "demo", RecordID: newID(t), Series: newID(t), Type: passport.Batch, Version: 2,
		SubjectID: testBase + "/v1/batches/NL2", Issuer: Party{DID: testDID, Name: "Nordlicht Zellwerk GmbH"}, ValidFrom: testTime,
		Pins:   []Pin{{Type: passport.Model, RecordID: newID(t), TokenDigest: sha256.Sum256([]byte("model"))}},
		Status: &Position{List: 3, Index: 94567},
	}
}

func issueBatch(t testing.TB, key *ecdsa.PrivateKey) (Issued, Envelope) {
	t.Helper()
	env := batchEnvelope(t)
	issued, err := issue(object(t, []byte(batchRecord)), batchRestrictions, env, testKID, key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issued, env
}

// open parses, verifies and processes.
func open(token []byte, key *ecdsa.PrivateKey) (*Verified, map[string]any, error) {
	parsed, err := Parse(token)
	if err != nil {
		return nil, nil, err
	}
	verified, err := parsed.Verify(key.Public())
	if err != nil {
		return nil, nil, err
	}
	record, err := verified.Record()
	return verified, record, err
}

// code returns the code of a Fault, or "".
func code(err error) string {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault.Code
	}
	return ""
}

// payloadOf decodes the signed payload.
func payloadOf(t testing.TB, jws []byte) map[string]any {
	t.Helper()
	payload, err := decodeObject(strings.Split(string(jws), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// signClaims signs any claims, as a careless or hostile issuer could.
func signClaims(t testing.TB, header map[string]any, claims any, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	payload, err := strictjson.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return signRaw(t, header, payload, key)
}

func signRaw(t testing.TB, header map[string]any, payload []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	head, err := strictjson.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	signed := encodeSegment(head) + "." + encodeSegment(payload)
	signature, err := signES256(signed, key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(signed + "." + encodeSegment(signature))
}

func recordHeader() map[string]any {
	return map[string]any{"alg": "ES256", "typ": "vc+sd-jwt", "cty": "vc", "kid": testKID}
}
