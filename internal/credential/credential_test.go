package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

func TestEveryTierSeesItsPartOfTheSameSignedBytes(t *testing.T) {
	key := newKey(t)
	issued, _ := issueBatch(t, key)
	public := `{"batchId":"NL2-2027W09","quantity":1850,
		"originSummary":[{"mineral":"lithium","massKg":8.251,"extraction":{"AU":0.55,"CL":0.39}}],
		"origins":ORIGINS,"entities":[],"quality":{"grade":"A <&> ü","inner":{"open":true NOTE} YIELD}}`
	origins := `[{"lotId":"Li-1","mineral":"lithium","massShare":0.55,"stages":[{"stage":"extraction","country":"AU"}]},
		{"lotId":"Li-2","mineral":"lithium","massShare":0.39,"stages":[]},
		{"lotId":"Li-3","mineral":"lithium","massShare":0.06,"stages":[{"country":null}]}]`
	for _, row := range []struct {
		name                 string
		tiers                passport.Tiers
		origins, yield, note string
		withheld             int
	}{
		{"public", 0, `[]`, ``, ``, 5},
		{"legitimate interest", passport.TiersOf(passport.Point2, passport.Point4), `[]`, `,"secretYield":98.20`, ``, 4},
		{"contracted verifier", passport.TiersOf(passport.Origin), origins, ``, ``, 2},
		{"issuer", passport.AllTiers(), origins, `,"secretYield":98.20`, `,"secretNote":null`, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			token := Present(issued.JWS, issued.Disclosures, row.tiers)
			verified, record, err := open(token, key)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("ORIGINS", row.origins, "YIELD", row.yield, "NOTE", row.note).Replace(public)
			if diff := cmp.Diff(object(t, []byte(want)), record); diff != "" {
				t.Error(diff)
			}
			if verified.Withheld() != row.withheld {
				t.Errorf("%d withheld, want %d", verified.Withheld(), row.withheld)
			}
			if !bytes.HasPrefix(token, append(bytes.Clone(issued.JWS), '~')) || token[len(token)-1] != '~' {
				t.Error("the presentation does not begin with the signed bytes and end with a tilde")
			}
		})
	}
}

func TestEnvelopeComesBackWhole(t *testing.T) {
	key := newKey(t)
	previous := sha256.Sum256([]byte("the condition before"))
	for _, change := range []func(*Envelope){
		func(*Envelope) {},
		func(e *Envelope) { e.Status, e.Pins = nil, nil },
		func(e *Envelope) { e.Type, e.Status, e.Previous = passport.Condition, nil, &previous },
		func(e *Envelope) { e.Type, e.SubjectID = passport.Item, "urn:gs1:9506000134376.AB4F7K2900001" },
		func(e *Envelope) { e.Type, e.BaseURL, e.Issuer.DID = passport.Model, "http://localhost:8080", testDID },
	} {
		env := batchEnvelope(t)
		change(&env)
		issued, err := issue(object(t, []byte(batchRecord)), batchRestrictions, env, testKID, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		verified, _, err := open(Present(issued.JWS, nil, 0), key)
		if err != nil {
			t.Fatal(err)
		}
		got := verified.Envelope()
		if !strings.HasPrefix(got.SchemaURL, env.BaseURL+"/schemas/") {
			t.Errorf("schema %q", got.SchemaURL)
		}
		env.SchemaURL = got.SchemaURL
		if diff := cmp.Diff(env, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCredentialIsAsTheStandardsWantIt(t *testing.T) {
	key := newKey(t)
	issued, env := issueBatch(t, key)
	claims := payloadOf(t, issued.JWS)
	pin := env.Pins[0]
	want := map[string]any{
		"@context":  []any{"https://www.w3.org/ns/credentials/v2", "https://registry.example/contexts/provolt/v1"},
		"id":        "https://registry.example/v1/records/" + env.RecordID.String(),
		"type":      []any{"VerifiableCredential", "BatteryBatchCredential"},
		"issuer":    map[string]any{"id": testDID, "name": "Nordlicht Zellwerk GmbH"},
		"iss":       testDID,
		"iat":       json.Number("1803892364"),
		"validFrom": "2027-03-01T09:12:44Z",
		"credentialSchema": map[string]any{
			"id": "https://registry.example/schemas/1.0.0/batch.presented.schema.json", "type": "JsonSchema",
		},
		"credentialStatus": []any{
			map[string]any{
				"id": "https://registry.example/status/revocation/3#94567", "type": "BitstringStatusListEntry", "statusPurpose": "revocation",
				"statusListIndex": "94567", "statusListCredential": "https://registry.example/status/revocation/3",
			},
			map[string]any{
				"id": "https://registry.example/status/suspension/3#94567", "type": "BitstringStatusListEntry", "statusPurpose": "suspension",
				"statusListIndex": "94567", "statusListCredential": "https://registry.example/status/suspension/3",
			},
		},
		"status": map[string]any{"status_list": map[string]any{"idx": json.Number("94567"), "uri": "https://registry.example/status/tokens/3"}},
		"relatedResource": []any{map[string]any{
			"id":         "https://registry.example/v1/records/" + pin.RecordID.String() + ".sd-jwt",
			"digestSRI":  "sha256-" + base64.StdEncoding.EncodeToString(pin.TokenDigest[:]),
			"mediaType":  "application/vc+sd-jwt",
			"recordType": "model",
		}},
		"environment": "demo",
		"recordId":    env.RecordID.String(),
		"seriesId":    env.Series.String(),
		"version":     json.Number("2"),
		"_sd_alg":     "sha-256",
	}
	subject := claims["credentialSubject"].(map[string]any)
	delete(claims, "credentialSubject")
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	if subject["id"] != env.SubjectID || subject["type"] != "BatteryBatch" {
		t.Errorf("subject is %v, %v", subject["id"], subject["type"])
	}
	header, err := decodeObject(strings.Split(string(issued.JWS), ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recordHeader(), header); diff != "" {
		t.Error(diff)
	}
	if issued.TokenDigest != sha256.Sum256(append(bytes.Clone(issued.JWS), '~')) {
		t.Error("TokenDigest is not SHA-256 of JWS + ~")
	}
}

func TestSaltsAreFreshAndDigestsSorted(t *testing.T) {
	key := newKey(t)
	first, _ := issueBatch(t, key)
	second, _ := issueBatch(t, key)
	seen := map[string]bool{}
	for _, d := range append(first.Disclosures, second.Disclosures...) {
		text, err := decodeSegment(d.Encoded)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := strictjson.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		salt := tree.([]any)[0].(string)
		if raw, err := decodeSegment(salt); err != nil || len(raw) != saltSize || seen[salt] {
			t.Errorf("salt %q is not 128 fresh bits", salt)
		}
		seen[salt] = true
	}
	hidden := []restriction{
		{attribute: "a", tier: passport.Point2, path: []string{"a"}},
		{attribute: "b", tier: passport.Point2, path: []string{"b"}},
		{attribute: "c", tier: passport.Point2, path: []string{"c"}},
		{attribute: "d", tier: passport.Point2, path: []string{"d"}},
	}
	for range 20 {
		open, _, err := conceal(object(t, []byte(`{"a":1,"b":2,"c":3,"d":4}`)), hidden, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		digests := open["_sd"].([]any)
		for i := 1; i < len(digests); i++ {
			if digests[i-1].(string) >= digests[i].(string) {
				t.Fatalf("_sd is not sorted: %v", digests)
			}
		}
	}
}

func TestIssuingDoesNotChangeTheRecord(t *testing.T) {
	record := object(t, []byte(batchRecord))
	if _, err := issue(record, batchRestrictions, batchEnvelope(t), testKID, newKey(t), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(t, []byte(batchRecord)), record); diff != "" {
		t.Error(diff)
	}
}

// opaque hides that a key is in memory, as a key in a device would be.
type opaque struct{ crypto.Signer }

// broken signs something else than it is asked to.
type broken struct{ *ecdsa.PrivateKey }

func (b broken) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	digest = bytes.Clone(digest)
	digest[0] ^= 1
	return b.PrivateKey.Sign(random, digest, opts)
}

func TestAnySignerWillDo(t *testing.T) {
	key := newKey(t)
	for range 50 { // r and s are sometimes short
		issued, err := issue(object(t, []byte(`{"batchId":"B"}`)), nil, batchEnvelope(t), testKID, opaque{key}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := open(Present(issued.JWS, nil, 0), key); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIssueRefusesWhatCouldNotBeVerified(t *testing.T) {
	key := newKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		record string
		env    func(*Envelope)
		kid    string
		key    crypto.Signer
	}{
		{name: "a signer that signs something else", key: broken{key}},
		{name: "a key on another curve", key: p384},
		{name: "a key id that is a path", kid: "../../etc/passwd"},
		{name: "a key of another organisation", kid: "did:web:registry.example:o:other#k-1"},
		{name: "a record with an id of its own", record: `{"id":"x"}`},
		{name: "a record with SD-JWT members", record: `{"quality":{"_sd":["x"]}}`},
		{name: "a record with a concealed element", record: `{"list":[{"...":"x"}]}`},
		{name: "an array that is none", record: `{"origins":"none"}`},
		{name: "no environment", env: func(e *Envelope) { e.Environment = "" }},
		{name: "version zero", env: func(e *Envelope) { e.Version = 0 }},
		{name: "no record id", env: func(e *Envelope) { e.RecordID = passport.ID{} }},
		{name: "a base URL with a slash at its end", env: func(e *Envelope) { e.BaseURL += "/" }},
		{name: "a subject that is no URI", env: func(e *Envelope) { e.SubjectID = "battery one" }},
		{name: "no time", env: func(e *Envelope) { e.ValidFrom = time.Time{} }},
		{name: "an issuer without a name", env: func(e *Envelope) { e.Issuer.Name = "" }},
		{name: "a previous batch", env: func(e *Envelope) { e.Previous = &[32]byte{1} }},
		{name: "the same pin twice", env: func(e *Envelope) { e.Pins = append(e.Pins, e.Pins[0]) }},
		{name: "a status entry beyond the list", env: func(e *Envelope) { e.Status = &Position{List: 0, Index: ListSize} }},
		{name: "an unknown type", env: func(e *Envelope) { e.Type = "lot" }},
		{name: "a record too large to be read back", record: `{"batchId":"` + strings.Repeat("x", MaxToken) + `"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			env := batchEnvelope(t)
			if row.env != nil {
				row.env(&env)
			}
			if row.record == "" {
				row.record = batchRecord
			}
			if row.kid == "" {
				row.kid = testKID
			}
			if row.key == nil {
				row.key = key
			}
			issued, err := issue(object(t, []byte(row.record)), batchRestrictions, env, row.kid, row.key, rand.Reader)
			if err == nil {
				t.Fatalf("issued %s", issued.JWS)
			}
			if issued.JWS != nil || issued.Disclosures != nil {
				t.Error("a refusal came with a token")
			}
		})
	}
}

func TestSecondImplementationVerifiesTheSignature(t *testing.T) {
	key := newKey(t)
	issued, _ := issueBatch(t, key)
	parsed, err := jose.ParseSignedCompact(string(issued.JWS), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := parsed.Verify(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Signatures[0].Header.KeyID != testKID {
		t.Errorf("key id %q", parsed.Signatures[0].Header.KeyID)
	}
	if diff := cmp.Diff(payloadOf(t, issued.JWS), object(t, payload)); diff != "" {
		t.Error(diff)
	}
	if _, err := parsed.Verify(newKey(t).Public()); err == nil {
		t.Error("another key verifies it too")
	}
}

func TestPublicPresentationHoldsNoRestrictedText(t *testing.T) {
	key := newKey(t)
	record := object(t, []byte(`{"batchId":"B","origins":[{"lotId":"CANARY-1"}],"quality":{"secretYield":"CANARY-2","inner":{"secretNote":"CANARY-3"}}}`))
	issued, err := issue(record, batchRestrictions, batchEnvelope(t), testKID, key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(Present(issued.JWS, issued.Disclosures, 0)), ".") {
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "~"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("CANARY")) || bytes.Contains(text, []byte("secret")) {
			t.Errorf("the public bytes hold a restricted name or value: %s", text)
		}
	}
}
