package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

func TestDIDsFollowTheBaseURL(t *testing.T) {
	for _, row := range []struct {
		base string
		org  passport.OrgID
		want string
	}{
		{"http://localhost:8080", passport.Operator, "did:web:localhost%3A8080"},
		{"http://localhost:8080", "nordlicht", "did:web:localhost%3A8080:o:nordlicht"},
		{"https://registry.example", passport.Operator, "did:web:registry.example"},
		{"https://registry.example", "acme-2", "did:web:registry.example:o:acme-2"},
		{"https://example.org/batteries/eu", "acme", "did:web:example.org:batteries:eu:o:acme"},
		{"http://192.168.1.20:8443", passport.Operator, "did:web:192.168.1.20%3A8443"},
	} {
		if got, err := DID(row.base, row.org); err != nil || got != row.want {
			t.Errorf("%s, %s: %s, %v; want %s", row.base, row.org, got, err, row.want)
		}
	}
	for _, base := range []string{"", "registry.example", "https://registry.example/", "https://a.example?x=1", "ftp://a.example", "https://u:p@a.example", "http://[::1]:8080"} {
		if got, err := DID(base, passport.Operator); err == nil {
			t.Errorf("%q gives %s", base, got)
		}
	}
}

func TestRetiredKeysStayInTheDIDDocument(t *testing.T) {
	r := newRegistry(t)
	retired, err := publicKey(r.did+"#k-old", newKey(t).Public(), testTime.Add(-time.Hour), testTime)
	if err != nil {
		t.Fatal(err)
	}
	text, err := strictjson.Marshal(DIDDocument(r.did, append(r.keys, retired)))
	if err != nil {
		t.Fatal(err)
	}
	did, keys, err := ParseDIDDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	if did != r.did || len(keys) != 3 {
		t.Fatalf("%s has %d keys", did, len(keys))
	}
	for i, key := range append(r.keys, retired) {
		if keys[i].ID() != key.ID() || keys[i].Algorithm() != key.Algorithm() || !keys[i].RetiredAt().Equal(key.RetiredAt()) {
			t.Errorf("key %d came back as %s, %s, %v", i, keys[i].ID(), keys[i].Algorithm(), keys[i].RetiredAt())
		}
		if !sameKey(keys[i].Key(), key.Key()) {
			t.Errorf("key %d is another one", i)
		}
	}
	if keys[2].InUse(testTime) || !keys[2].InUse(testTime.Add(-time.Second)) {
		t.Error("the retired key does not end when it was retired")
	}
	if !bytes.Contains(text, []byte(`"expires":"2027-03-01T09:12:44Z"`)) {
		t.Error("the document does not say when the key was retired")
	}
}

func sameKey(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

func TestKeySetIsReadByASecondImplementation(t *testing.T) {
	r := newRegistry(t)
	text, err := json.Marshal(JWKS(r.keys))
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != len(r.keys) {
		t.Fatalf("%d keys, want %d", len(set.Keys), len(r.keys))
	}
	for i, key := range set.Keys {
		if !key.Valid() || key.KeyID != r.keys[i].ID() || !key.IsPublic() {
			t.Errorf("key %d is %v", i, key)
		}
		if diff := cmp.Diff(r.keys[i].Key(), key.Key, cmp.Comparer(func(a, b *ecdsa.PublicKey) bool { return a.Equal(b) })); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOnlyTheTwoKindsOfKeyArePublished(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"P-384": p384.Public(), "RSA": rsaKey.Public()} {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewPublicKey(testKID, der, testTime, time.Time{}); err == nil {
			t.Errorf("a key of kind %s is accepted", name)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(newKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	if key, err := NewPublicKey(testKID, der, testTime, time.Time{}); err != nil || key.Algorithm() != ES256 {
		t.Errorf("P-256: %v", err)
	}
	if _, err := NewPublicKey("k-1", der, testTime, time.Time{}); err == nil {
		t.Error("a key id without a DID is accepted")
	}
	if _, err := NewPublicKey(testKID, der[:20], testTime, time.Time{}); err == nil {
		t.Error("half a key is accepted")
	}
}

func TestDIDDocumentGivesNoKeyItDoesNotAssertWith(t *testing.T) {
	r := newRegistry(t)
	for name, change := range map[string]func(map[string]any){
		"no assertion method":       func(d map[string]any) { d["assertionMethod"] = []any{} },
		"another controller":        func(d map[string]any) { eachMethod(d, "controller", "did:web:evil.example") },
		"key ids of another DID":    func(d map[string]any) { eachMethod(d, "id", "did:web:evil.example#k") },
		"no verification method":    func(d map[string]any) { delete(d, "verificationMethod") },
		"methods that are no array": func(d map[string]any) { d["verificationMethod"] = "x" },
	} {
		document := DIDDocument(r.did, r.keys)
		change(document)
		text, err := strictjson.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if _, keys, err := ParseDIDDocument(text); err == nil && len(keys) > 0 {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
	for _, text := range []string{``, `[]`, `{"id":"did:key:z6Mk"}`, `{"id":1}`, `{"id":"did:web:a","id":"did:web:b"}`} {
		if _, _, err := ParseDIDDocument([]byte(text)); err == nil {
			t.Errorf("%s is a DID document", text)
		}
	}
}

func eachMethod(document map[string]any, name, value string) {
	for _, m := range document["verificationMethod"].([]any) {
		m.(map[string]any)[name] = value
	}
}

func TestMultibaseIsBase58(t *testing.T) {
	// The examples of draft-msporny-base58-03 section 5.
	for text, want := range map[string]string{
		"Hello World!": "z2NEpo7TZRRrLZSi2U",
		"The quick brown fox jumps over the lazy dog.": "zUSm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
		"\x00\x00\x28\x7f\xb4\xcd":                     "z11233QC4",
	} {
		if got := multibase([]byte(text)); got != want {
			t.Errorf("%q encodes to %s, want %s", text, got, want)
		}
		if got, err := parseMultibase(want); err != nil || string(got) != text {
			t.Errorf("%s decodes to %q, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "2NEpo7", "z0", "zl", "uAA", "z" + string(make([]byte, 200))} {
		if _, err := parseMultibase(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
