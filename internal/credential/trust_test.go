package credential

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newTrust(t testing.TB, r registry) Trust {
	t.Helper()
	index := int64(7)
	key, err := publicKey(testKID, newKey(t).Public(), testTime.Add(-time.Minute), testTime.Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return Trust{
		BaseURL: testBase, Environment: "demo", IssuedAt: testTime, LogKey: "registry.example+1234+AAAA",
		Registry: Issuer{Party: Party{DID: r.did, Name: "Example Registry"}, AdmittedAt: testTime.Add(-time.Hour), Keys: r.keys},
		Issuers: []Issuer{{
			Party: Party{DID: testDID, Name: "Nordlicht <&> Söhne"}, AdmittedAt: testTime.Add(-time.Hour), LogIndex: &index, Keys: []PublicKey{key},
		}},
	}
}

func TestTrustBundleReadsBack(t *testing.T) {
	r := newRegistry(t)
	trust := newTrust(t, r)
	bundle, err := trust.Bundle(r.signerID(), r.signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBundle(bundle, r.keys)
	if err != nil {
		t.Fatal(err)
	}
	keys := cmp.Comparer(func(a, b PublicKey) bool {
		return a.id == b.id && a.Algorithm() == b.Algorithm() && a.notBefore.Equal(b.notBefore) && a.retiredAt.Equal(b.retiredAt) && sameKey(a.key, b.key)
	})
	trust.ExpiresAt = testTime.Truncate(time.Second).Add(24 * time.Hour).UTC()
	if diff := cmp.Diff(trust, got, keys); diff != "" {
		t.Error(diff)
	}
	if again, err := trust.Bundle(r.signerID(), r.signer); err != nil || !bytes.Equal(again, bundle) {
		t.Error("the same trust makes two bundles")
	}
	if issuer, ok := got.Issuer(testDID); !ok || issuer.Name != "Nordlicht <&> Söhne" {
		t.Errorf("issuer %v", issuer)
	}
	if _, ok := got.Issuer(""); ok {
		t.Error("nobody is an issuer")
	}
}

func TestForeignTrustBundlesAreRefused(t *testing.T) {
	r, stranger := newRegistry(t), newRegistry(t)
	trust := newTrust(t, r)
	bundle, err := trust.Bundle(r.signerID(), r.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseBundle(bundle, stranger.keys); code(err) != "signature.invalid" {
		t.Errorf("by a stranger: %v", err)
	}
	if _, err := ParseBundle(bundle, nil); code(err) != "signature.unknownKey" {
		t.Errorf("without keys: %v", err)
	}
	early := trust
	early.IssuedAt = testTime.Add(-2 * time.Hour)
	if bundle, err = early.Bundle(r.signerID(), r.signer); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseBundle(bundle, r.keys); code(err) != "signature.keyNotInUse" {
		t.Errorf("from before the key's time: %v", err)
	}
	if _, err := trust.Bundle(testKID, r.signer); code(err) != "trust.key" {
		t.Errorf("with a key the registry does not publish: %v", err)
	}
	for name, change := range map[string]func(map[string]any){
		"another registry":         func(c map[string]any) { c["registry"].(map[string]any)["did"] = "did:web:other.example" },
		"a key of somebody else":   func(c map[string]any) { firstKey(c)["kid"] = "did:web:evil.example#k" },
		"a key that is none":       func(c map[string]any) { firstKey(c)["publicKeyJwk"] = map[string]any{"kty": "RSA"} },
		"a point off the curve":    func(c map[string]any) { jwk := firstKey(c)["publicKeyJwk"].(map[string]any); jwk["x"] = jwk["y"] },
		"no begin":                 func(c map[string]any) { delete(firstKey(c), "notBefore") },
		"a time that is none":      func(c map[string]any) { firstKey(c)["retiredAt"] = "soon" },
		"issuers that are no list": func(c map[string]any) { c["issuers"] = "all" },
	} {
		claims := payloadOf(t, bundle)
		claims["iat"] = number(testTime.Unix())
		change(claims)
		forged := signClaims(t, map[string]any{"alg": "ES256", "typ": "provolt-trust+jwt", "kid": r.signerID()}, claims, r.signer)
		if _, err := ParseBundle(forged, r.keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	issued, _ := issueBatch(t, r.signer)
	for _, other := range []string{"", "a.b.c", string(issued.JWS), strings.Repeat("a", MaxBundle+1)} {
		if _, err := ParseBundle([]byte(other), r.keys); err == nil {
			t.Errorf("%.20q passes for a trust bundle", other)
		}
	}
}

func TestATrustBundleHoldsTenThousandOrganisations(t *testing.T) {
	r := newRegistry(t)
	trust := newTrust(t, r)
	for i := range 10_000 {
		did := fmt.Sprintf("did:web:registry.example:o:maker-%05d", i)
		key := trust.Issuers[0].Keys[0]
		key.id = did + "#k-20270301-0011223344556677"
		trust.Issuers = append(trust.Issuers, Issuer{Party: Party{DID: did, Name: "Maker"}, AdmittedAt: testTime, Keys: []PublicKey{key}})
	}
	bundle, err := trust.Bundle(r.signerID(), r.signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBundle(bundle, r.keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Issuer("did:web:registry.example:o:maker-09999"); !ok || len(got.Issuers) != 10_001 {
		t.Errorf("%d organisations came back", len(got.Issuers))
	}
}

func TestNoBundleIsMadeThatNobodyWouldRead(t *testing.T) {
	r := newRegistry(t)
	trust := newTrust(t, r)
	trust.Registry.Name = strings.Repeat("a", MaxBundle)
	if _, err := trust.Bundle(r.signerID(), r.signer); code(err) != "trust.size" {
		t.Error(err)
	}
}

func TestABundleHasOneMeaning(t *testing.T) {
	for _, payload := range []string{
		"", "[]", "1", `{"iat":1}{}`, `{"iat":1,"iat":2}`, `{"registry":{"did":"a","did":"b"}}`, `{"issuers":[{"did":"a","did":"b"}]}`,
		`{"issuers":{}}`, `{"iat":1,}`, `{"iat":1e400}`,
	} {
		if got, err := decodeBundle(encodeSegment([]byte(payload))); err == nil {
			t.Errorf("%s is read as %v", payload, got)
		}
	}
}

func firstKey(claims map[string]any) map[string]any {
	return claims["issuers"].([]any)[0].(map[string]any)["keys"].([]any)[0].(map[string]any)
}
