package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provolt/provolt/internal/strictjson"
)

// The algorithms of the registry: ES256 signs credentials and lists, Ed25519
// the Data Integrity proofs of status lists.
const (
	ES256   = "ES256"
	Ed25519 = "Ed25519"
)

// The values of the JWS header "typ". Each kind of token has its own, so that
// none can stand in for another (RFC 8725 section 3.11).
const (
	recordType    = "vc+sd-jwt"
	listType      = "vc+jwt"
	statusJWTType = "statuslist+jwt"
	trustType     = "provolt-trust+jwt"
)

// Limits on what is read. Larger tokens are refused before they are decoded.
const (
	MaxToken       = 256 << 10 // bytes of a presentation, disclosures included
	MaxDisclosures = 2000
	maxKeyID       = 256
	MaxBundle      = 16 << 20 // bytes of a trust bundle: some 25,000 organisations
	maxListToken   = 1 << 20  // bytes of a status list or DID document
)

// Fault is why something was refused: a stable dotted code and a sentence in
// plain English. Every refusal of this package is a *Fault or wraps one.
type Fault struct{ Code, Detail string }

func (f *Fault) Error() string { return f.Detail }

func faultf(code, format string, args ...any) error {
	return &Fault{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// compact is a JWS in compact form that nobody has verified yet.
type compact struct {
	signed    string // header and payload as they were signed
	header    map[string]any
	payload   map[string]any
	signature []byte
}

// sign makes a compact JWS over the bytes of payload as they are. With a nil
// random source the same key, header and payload give the same bytes
// (RFC 6979); that needs a key in memory.
func sign(typ string, kid string, payload []byte, key crypto.Signer, random io.Reader) ([]byte, error) {
	if err := checkKeyID(kid); err != nil {
		return nil, err
	}
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, faultf("key.algorithm", "the key %s is no P-256 key", kid)
	}
	head := map[string]any{"alg": ES256, "typ": typ, "kid": kid}
	if typ == recordType || typ == listType {
		head["cty"] = "vc"
	}
	header, err := strictjson.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	signed := encodeSegment(header) + "." + encodeSegment(payload)
	signature, err := signES256(signed, key, random)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", kid, err)
	}
	if err := jwt.SigningMethodES256.Verify(signed, signature, pub); err != nil {
		return nil, fmt.Errorf("check own signature by %s: %w", kid, err)
	}
	return []byte(signed + "." + encodeSegment(signature)), nil
}

// signES256 returns r and s at fixed width (RFC 7518 section 3.4). A key in
// memory goes through golang-jwt; any other signer, and deterministic
// signing, answers in ASN.1 and is converted.
func signES256(signed string, key crypto.Signer, random io.Reader) ([]byte, error) {
	if private, ok := key.(*ecdsa.PrivateKey); ok && random != nil {
		return jwt.SigningMethodES256.Sign(signed, private)
	}
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(random, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &rs)
	if err != nil {
		return nil, fmt.Errorf("read signature: %w", err)
	}
	const limit = 256
	if len(rest) > 0 || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > limit || rs.S.BitLen() > limit {
		return nil, faultf("key.signature", "the signer returned no ES256 signature")
	}
	out := make([]byte, 64)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

// parseCompact reads a compact JWS of the given type. The code of any fault
// begins with "form.".
func parseCompact(text, typ string) (compact, error) { return parseJWS(text, typ, decodeObject) }

// parseJWS is parseCompact with a reader of the payload's segment.
func parseJWS(text, typ string, readPayload func(segment string) (map[string]any, error)) (compact, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return compact{}, faultf("form.jws", "a compact JWS has three parts, this one %d", len(parts))
	}
	header, err := decodeObject(parts[0])
	if err != nil {
		return compact{}, faultf("form.header", "the header is not acceptable: %v", err)
	}
	if err := checkHeader(header, typ); err != nil {
		return compact{}, err
	}
	payload, err := readPayload(parts[1])
	if err != nil {
		return compact{}, faultf("form.payload", "the payload is not acceptable: %v", err)
	}
	signature, err := decodeSegment(parts[2])
	if err != nil || len(signature) != 64 {
		return compact{}, faultf("form.signature", "the signature is not 64 bytes of base64url")
	}
	return compact{signed: text[:len(text)-len(parts[2])-1], header: header, payload: payload, signature: signature}, nil
}

// checkHeader accepts exactly the header this registry writes. Key material
// (jwk, jku, x5u, x5c), critical extensions and anything else is refused.
func checkHeader(header map[string]any, typ string) error {
	want := map[string]string{"alg": ES256, "typ": typ}
	if typ == recordType || typ == listType {
		want["cty"] = "vc"
	}
	for name, value := range want {
		if header[name] != value {
			return faultf("form.header."+name, "the header says %s %.40q, expected %q", name, header[name], value)
		}
	}
	kid, ok := header["kid"].(string)
	if !ok {
		return faultf("form.header.kid", "the header names no key")
	}
	if err := checkKeyID(kid); err != nil {
		return err
	}
	for name := range header {
		if _, known := want[name]; !known && name != "kid" {
			return faultf("form.header.member", "the header member %.40q is not allowed", name)
		}
	}
	return nil
}

// keyIDPattern is a did:web DID URL with a fragment and nothing else. A key id
// is a key of a map, never a path or an address.
var keyIDPattern = regexp.MustCompile(`^did:web:[A-Za-z0-9._%:-]+#[A-Za-z0-9._~-]+$`)

func checkKeyID(kid string) error {
	if len(kid) > maxKeyID || !keyIDPattern.MatchString(kid) {
		return faultf("form.header.kid", "the key id %.40q is no did:web DID URL of at most %d characters", kid, maxKeyID)
	}
	return nil
}

func (c compact) keyID() string {
	kid, _ := c.header["kid"].(string)
	return kid
}

// verify reports whether key made the signature.
func (c compact) verify(key crypto.PublicKey) error {
	pub, ok := key.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return faultf("signature.key", "the key is no P-256 key")
	}
	if err := jwt.SigningMethodES256.Verify(c.signed, c.signature, pub); err != nil {
		return faultf("signature.invalid", "the signature does not hold")
	}
	return nil
}

func encodeSegment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

var strictBase64 = base64.RawURLEncoding.Strict()

// decodeSegment decodes base64url without padding. Each byte sequence has one
// text: stray line breaks, which the standard library skips, and set trailing
// bits are refused.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	return strictBase64.DecodeString(s)
}

// decodeObject decodes a segment that holds one JSON object.
func decodeObject(segment string) (map[string]any, error) {
	text, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	return parseObject(text)
}

func parseObject(text []byte) (map[string]any, error) {
	tree, err := strictjson.Parse(text)
	if err != nil {
		return nil, err
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, faultf("form.object", "not a JSON object")
	}
	return object, nil
}
