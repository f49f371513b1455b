package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// DID is the did:web of an organisation at the registry with this base URL:
// did:web:HOST:o:ORG, and did:web:HOST for the registry itself. A port is
// percent-encoded and path segments become colons, as did:web says.
func DID(base string, org passport.OrgID) (string, error) {
	if err := CheckBaseURL(base); err != nil {
		return "", err
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("read base URL: %w", err)
	}
	did := "did:web:" + strings.ReplaceAll(u.Host, ":", "%3A") + strings.ReplaceAll(u.EscapedPath(), "/", ":")
	if org != passport.Operator {
		did += ":o:" + string(org)
	}
	if !isDID(did) {
		return "", faultf("envelope.baseUrl", "the base URL %.80q makes no did:web", base)
	}
	return did, nil
}

var didPattern = regexp.MustCompile(`^did:web:[A-Za-z0-9._%:-]+$`)

func isDID(s string) bool { return len(s) <= maxKeyID && didPattern.MatchString(s) }

// PublicKey is a published key and the time in which it signs. It is valid by
// construction; the zero value belongs to nobody.
type PublicKey struct {
	id        string
	key       crypto.PublicKey // *ecdsa.PublicKey on P-256, or ed25519.PublicKey
	notBefore time.Time
	retiredAt time.Time
}

// NewPublicKey reads a key in PKIX, ASN.1 DER. A zero retiredAt means that it
// is in use.
func NewPublicKey(id string, der []byte, notBefore, retiredAt time.Time) (PublicKey, error) {
	if err := checkKeyID(id); err != nil {
		return PublicKey{}, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return PublicKey{}, fmt.Errorf("read public key %s: %w", id, err)
	}
	return publicKey(id, key, notBefore, retiredAt)
}

func publicKey(id string, key crypto.PublicKey, notBefore, retiredAt time.Time) (PublicKey, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return PublicKey{}, faultf("key.algorithm", "the key %s is not on P-256", id)
		}
	case ed25519.PublicKey:
	default:
		return PublicKey{}, faultf("key.algorithm", "the key %s is neither P-256 nor Ed25519", id)
	}
	return PublicKey{id: id, key: key, notBefore: notBefore, retiredAt: retiredAt}, nil
}

// ID is the DID URL of the key.
func (k PublicKey) ID() string { return k.id }

// Key is the *ecdsa.PublicKey or ed25519.PublicKey.
func (k PublicKey) Key() crypto.PublicKey { return k.key }

// Algorithm is ES256 or Ed25519.
func (k PublicKey) Algorithm() string {
	if _, ok := k.key.(ed25519.PublicKey); ok {
		return Ed25519
	}
	return ES256
}

// NotBefore is the first moment the key signs; it is published earlier.
func (k PublicKey) NotBefore() time.Time { return k.notBefore }

// RetiredAt is when it ceased to sign; zero while in use.
func (k PublicKey) RetiredAt() time.Time { return k.retiredAt }

// InUse reports whether what the key signed at that time counts. Signed times
// are whole seconds, so that a key is in use from the second it begins in.
func (k PublicKey) InUse(at time.Time) bool {
	return !at.Before(k.notBefore.Truncate(time.Second)) && (k.retiredAt.IsZero() || at.Before(k.retiredAt))
}

// keyInUse finds a key by its id among trusted ones.
func keyInUse(keys []PublicKey, id string, at time.Time) (PublicKey, error) {
	i := slices.IndexFunc(keys, func(k PublicKey) bool { return k.id == id })
	if i < 0 {
		return PublicKey{}, faultf("signature.unknownKey", "the key %.80q is not a published one", id)
	}
	if !keys[i].InUse(at) {
		return PublicKey{}, faultf("signature.keyNotInUse", "the key %.80q was not in use at %s", id, at.Format(time.RFC3339))
	}
	return keys[i], nil
}

// DIDDocument is the DID document of a DID with all keys it ever had: ES256
// keys as JsonWebKey, Ed25519 keys as Multikey (Controlled Identifiers 1.0
// section 2.2). Retired keys stay, because passports outlive them, and carry
// "expires".
func DIDDocument(did string, keys []PublicKey) map[string]any {
	methods, assertion := []any{}, []any{}
	for _, k := range keys {
		methods = append(methods, k.method(did))
		assertion = append(assertion, k.id)
	}
	return map[string]any{
		"@context": []any{
			"https://www.w3.org/ns/did/v1",
			"https://w3id.org/security/jwk/v1",
			"https://w3id.org/security/multikey/v1",
		},
		"id":                 did,
		"verificationMethod": methods,
		"assertionMethod":    assertion,
	}
}

// ed25519Code is the multicodec of an Ed25519 public key, as a varint.
var ed25519Code = []byte{0xed, 0x01}

func (k PublicKey) method(did string) map[string]any {
	method := map[string]any{"id": k.id, "controller": did}
	if pub, ok := k.key.(ed25519.PublicKey); ok {
		method["type"] = "Multikey"
		method["publicKeyMultibase"] = multibase(slices.Concat(ed25519Code, pub))
	} else {
		method["type"] = "JsonWebKey"
		method["publicKeyJwk"] = k.jwk()
	}
	if !k.retiredAt.IsZero() {
		method["expires"] = k.retiredAt.UTC().Format(time.RFC3339)
	}
	return method
}

// JWKS is the JSON Web Key Set (RFC 7517) of the keys.
func JWKS(keys []PublicKey) map[string]any {
	set := make([]any, len(keys))
	for i, k := range keys {
		set[i] = k.jwk()
	}
	return map[string]any{"keys": set}
}

func (k PublicKey) jwk() map[string]any {
	if pub, ok := k.key.(ed25519.PublicKey); ok {
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encodeSegment(pub), "kid": k.id, "use": "sig"}
	}
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "kid": k.id, "alg": ES256, "use": "sig"}
	if pub, ok := k.key.(*ecdsa.PublicKey); ok {
		const width = 32
		if point, err := pub.Bytes(); err == nil {
			jwk["x"], jwk["y"] = encodeSegment(point[1:1+width]), encodeSegment(point[1+width:])
		}
	}
	return jwk
}

// ParseDIDDocument returns the keys of a DID document that may assert, as far
// as they are of a kind this registry uses. The times at which a key began to
// sign are not in a DID document; its end is.
func ParseDIDDocument(document []byte) (did string, keys []PublicKey, err error) {
	if len(document) > maxListToken {
		return "", nil, faultf("did.size", "the DID document has %d bytes, at most %d are read", len(document), maxListToken)
	}
	tree, err := parseObject(document)
	if err != nil {
		return "", nil, faultf("did.form", "the DID document is not acceptable: %v", err)
	}
	did, _ = tree["id"].(string)
	if !isDID(did) {
		return "", nil, faultf("did.form", "the DID document is not of a did:web")
	}
	assertion, _ := tree["assertionMethod"].([]any)
	methods, _ := tree["verificationMethod"].([]any)
	for _, m := range methods {
		method, _ := m.(map[string]any)
		id, _ := method["id"].(string)
		if !slices.Contains(assertion, any(id)) || method["controller"] != did || !strings.HasPrefix(id, did+"#") || checkKeyID(id) != nil {
			continue
		}
		key, err := parseMethod(method)
		if err != nil {
			return "", nil, err
		}
		keys = append(keys, key)
	}
	return did, keys, nil
}

func parseMethod(method map[string]any) (PublicKey, error) {
	id, _ := method["id"].(string)
	var retired time.Time
	for _, end := range []string{"expires", "revoked"} {
		if _, present := method[end]; !present {
			continue
		}
		at, err := readTime(method[end])
		if err != nil {
			return PublicKey{}, err
		}
		if retired.IsZero() || at.Before(retired) {
			retired = at
		}
	}
	if text, ok := method["publicKeyMultibase"].(string); ok {
		b, err := parseMultibase(text)
		if err != nil || len(b) != len(ed25519Code)+ed25519.PublicKeySize || !slices.Equal(b[:len(ed25519Code)], ed25519Code) {
			return PublicKey{}, faultf("did.key", "the key %s is no Ed25519 Multikey", id)
		}
		return publicKey(id, ed25519.PublicKey(b[len(ed25519Code):]), time.Time{}, retired)
	}
	jwk, _ := method["publicKeyJwk"].(map[string]any)
	key, err := parseJWK(jwk)
	if err != nil {
		return PublicKey{}, faultf("did.key", "the key %s is not acceptable: %v", id, err)
	}
	return publicKey(id, key, time.Time{}, retired)
}

// parseJWK reads a public P-256 or Ed25519 key (RFC 7518 section 6.2, RFC
// 8037).
func parseJWK(jwk map[string]any) (crypto.PublicKey, error) {
	coordinate := func(name string) []byte {
		text, _ := jwk[name].(string)
		b, err := decodeSegment(text)
		if err != nil || len(b) != 32 {
			return nil
		}
		return b
	}
	x, y := coordinate("x"), coordinate("y")
	switch {
	case jwk["kty"] == "OKP" && jwk["crv"] == "Ed25519" && x != nil:
		return ed25519.PublicKey(x), nil
	case jwk["kty"] == "EC" && jwk["crv"] == "P-256" && x != nil && y != nil:
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	}
	return nil, faultf("did.key", "neither a P-256 nor an Ed25519 key")
}
