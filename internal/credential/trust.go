package credential

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/strictjson"
)

// Trust is whom a verifier believes: the organisations one registry admits,
// with every key they ever published. A registry signs it as its trust bundle.
type Trust struct {
	BaseURL     string
	Environment string    // "demo" or "production"
	IssuedAt    time.Time // of the bundle; zero if it was not read from one
	ExpiresAt   time.Time // of the bundle it was read from, zero if that names none; Bundle sets its own
	Registry    Issuer    // signs status lists and the bundle itself
	Issuers     []Issuer  // sign records
	LogKey      string    // note verifier key of the public log; empty until there is one
}

// Issuer is an organisation whose signature counts, from its admission on.
type Issuer struct {
	Party
	AdmittedAt time.Time
	LogIndex   *int64 // entry of the public log that admitted it; nil until the log runs
	Keys       []PublicKey
}

// Issuer returns the admitted organisation with this DID.
func (t Trust) Issuer(did string) (Issuer, bool) {
	if did == "" {
		return Issuer{}, false
	}
	if t.Registry.DID == did {
		return t.Registry, true
	}
	at := slices.IndexFunc(t.Issuers, func(i Issuer) bool { return i.DID == did })
	if at < 0 {
		return Issuer{}, false
	}
	return t.Issuers[at], true
}

// Key returns the issuer's key with this id.
func (i Issuer) Key(id string) (PublicKey, bool) {
	at := slices.IndexFunc(i.Keys, func(k PublicKey) bool { return k.id == id })
	if at < 0 {
		return PublicKey{}, false
	}
	return i.Keys[at], true
}

// The members of the bundle's payload.
type (
	bundleClaims struct {
		Issuer      string         `json:"iss"`
		IssuedAt    int64          `json:"iat"`
		ExpiresAt   int64          `json:"exp,omitempty"`
		BaseURL     string         `json:"baseUrl"`
		Environment string         `json:"environment"`
		Registry    bundleIssuer   `json:"registry"`
		Issuers     []bundleIssuer `json:"issuers"`
		LogKey      string         `json:"logKey,omitempty"`
	}
	bundleIssuer struct {
		DID        string      `json:"did"`
		Name       string      `json:"name"`
		AdmittedAt string      `json:"admittedAt"`
		LogIndex   *int64      `json:"logIndex,omitempty"`
		Keys       []bundleKey `json:"keys"`
	}
	bundleKey struct {
		ID        string         `json:"kid"`
		NotBefore string         `json:"notBefore"`
		RetiredAt string         `json:"retiredAt,omitempty"`
		JWK       map[string]any `json:"publicKeyJwk"`
	}
)

// bundleLifetime is how long a bundle is meant to be used before a newer one is
// fetched.
const bundleLifetime = 24 * time.Hour

// Bundle signs the trust as a JWS of type provolt-trust+jwt with a key of the
// registry, which must be among its published ones. It expires a day after
// IssuedAt. A bundle that no reader would take (MaxBundle) is not made.
func (t Trust) Bundle(kid string, key crypto.Signer) ([]byte, error) {
	if _, ok := t.Registry.Key(kid); !ok {
		return nil, faultf("trust.key", "the key %.80q is not published by the registry", kid)
	}
	claims := bundleClaims{
		Issuer: t.Registry.DID, IssuedAt: t.IssuedAt.Unix(), ExpiresAt: t.IssuedAt.Add(bundleLifetime).Unix(),
		BaseURL: t.BaseURL, Environment: t.Environment,
		Registry: t.Registry.bundle(), Issuers: make([]bundleIssuer, len(t.Issuers)), LogKey: t.LogKey,
	}
	for i, issuer := range t.Issuers {
		claims.Issuers[i] = issuer.bundle()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("encode trust bundle: %w", err)
	}
	bundle, err := sign(trustType, kid, payload, key, deterministic(key))
	if err != nil {
		return nil, err
	}
	if err := checkBundleSize(bundle); err != nil {
		return nil, err
	}
	return bundle, nil
}

func checkBundleSize(bundle []byte) error {
	if len(bundle) > MaxBundle {
		return faultf("trust.size", "the trust bundle has %d bytes, at most %d are read", len(bundle), MaxBundle)
	}
	return nil
}

func (i Issuer) bundle() bundleIssuer {
	out := bundleIssuer{DID: i.DID, Name: i.Name, AdmittedAt: formatTime(i.AdmittedAt), LogIndex: i.LogIndex, Keys: make([]bundleKey, len(i.Keys))}
	for n, k := range i.Keys {
		out.Keys[n] = bundleKey{ID: k.id, NotBefore: formatTime(k.notBefore), JWK: k.jwk()}
		if !k.retiredAt.IsZero() {
			out.Keys[n].RetiredAt = formatTime(k.retiredAt)
		}
	}
	return out
}

// formatTime keeps fractions of a second: a key's first use is compared with
// them.
func formatTime(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// ParseBundle reads a trust bundle and verifies it with a key the caller
// trusts to be the registry's: from its DID document, or pinned. An expired
// bundle is read all the same: it is still true of the time it speaks of, and
// package verify says that it is old.
func ParseBundle(bundle []byte, registry []PublicKey) (Trust, error) {
	if err := checkBundleSize(bundle); err != nil {
		return Trust{}, err
	}
	jws, err := parseJWS(strings.TrimSpace(string(bundle)), trustType, decodeBundle)
	if err != nil {
		return Trust{}, err
	}
	at := time.Unix(readInteger(jws.payload["iat"]), 0).UTC()
	if err := verifyAt(jws, registry, at); err != nil {
		return Trust{}, err
	}
	// The payload passed the strict parser, so decoding it again is safe.
	payload, err := strictjson.Marshal(jws.payload)
	if err != nil {
		return Trust{}, fmt.Errorf("read trust bundle: %w", err)
	}
	var claims bundleClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return Trust{}, faultf("trust.form", "the trust bundle is not of the expected form: %v", err)
	}
	if did, _, _ := strings.Cut(jws.keyID(), "#"); did != claims.Issuer || did != claims.Registry.DID {
		return Trust{}, faultf("trust.issuer", "the trust bundle is not signed by the registry it speaks of")
	}
	return claims.trust()
}

// decodeBundle decodes the payload's segment member by member, and issuers one
// by one, each through the strict parser: a bundle is longer than that parser
// reads at once.
func decodeBundle(segment string) (map[string]any, error) {
	text, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	members, err := uniqueMembers(text)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(members))
	for name, member := range members {
		if name == "issuers" {
			out[name], err = strictElements(member)
		} else {
			out[name], err = strictjson.Parse(member)
		}
		if err != nil {
			return nil, fmt.Errorf("member %.40q: %w", name, err)
		}
	}
	return out, nil
}

// uniqueMembers takes one JSON object apart and refuses a member that is there
// twice.
func uniqueMembers(text []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(text) { // one value, and nothing behind it
		return nil, faultf("form.object", "not a JSON text")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, faultf("form.object", "not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read member: %w", err)
		}
		name, _ := token.(string) // the decoder allows no other token here
		if _, twice := members[name]; twice {
			return nil, faultf("form.object", "the member %.40q is there twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("read member %.40q: %w", name, err)
		}
		members[name] = value
	}
	return members, nil
}

// strictElements reads an array, each element through the strict parser.
func strictElements(text []byte) ([]any, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(text, &elements); err != nil {
		return nil, fmt.Errorf("read array: %w", err)
	}
	out := make([]any, len(elements))
	for i, element := range elements {
		var err error
		if out[i], err = strictjson.Parse(element); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

func (c bundleClaims) trust() (Trust, error) {
	out := Trust{BaseURL: c.BaseURL, Environment: c.Environment, IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), LogKey: c.LogKey}
	if c.ExpiresAt != 0 {
		out.ExpiresAt = time.Unix(c.ExpiresAt, 0).UTC()
	}
	registry, err := c.Registry.issuer()
	if err != nil {
		return Trust{}, err
	}
	out.Registry = registry
	for _, i := range c.Issuers {
		issuer, err := i.issuer()
		if err != nil {
			return Trust{}, err
		}
		out.Issuers = append(out.Issuers, issuer)
	}
	return out, nil
}

func (b bundleIssuer) issuer() (Issuer, error) {
	admitted, err := readTime(b.AdmittedAt)
	if err != nil {
		return Issuer{}, err
	}
	out := Issuer{Party: Party{DID: b.DID, Name: b.Name}, AdmittedAt: admitted, LogIndex: b.LogIndex}
	for _, k := range b.Keys {
		if !strings.HasPrefix(k.ID, b.DID+"#") || checkKeyID(k.ID) != nil {
			return Issuer{}, faultf("trust.key", "the key %.80q does not belong to %.80q", k.ID, b.DID)
		}
		key, err := k.publicKey()
		if err != nil {
			return Issuer{}, err
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}

func (b bundleKey) publicKey() (PublicKey, error) {
	notBefore, err := readTime(b.NotBefore)
	if err != nil {
		return PublicKey{}, err
	}
	var retired time.Time
	if b.RetiredAt != "" {
		if retired, err = readTime(b.RetiredAt); err != nil {
			return PublicKey{}, err
		}
	}
	key, err := parseJWK(b.JWK)
	if err != nil {
		return PublicKey{}, err
	}
	return publicKey(b.ID, key, notBefore, retired)
}
