package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
)

// Issuer is the registry's own token issuer, for registries without an OpenID
// provider. Its key signs nothing but access tokens.
type Issuer struct {
	url, audience string
	kid           string
	key           *ecdsa.PrivateKey
	random        io.Reader
}

// NewIssuer makes the registry's own issuer. url becomes iss and audience aud
// of its tokens, both the base URL as a rule. The ES256 key is derived from
// secret (32 random bytes, kept by the keyring): the same secret always gives
// the same key, so tokens outlive a restart.
func NewIssuer(url, audience string, secret []byte, random io.Reader) (*Issuer, error) {
	if url == "" || audience == "" || len(secret) < 32 || random == nil {
		return nil, errors.New("set up token issuer: needs a URL, an audience, 32 secret bytes and a source of randomness")
	}
	key, err := deriveKey(secret)
	if err != nil {
		return nil, fmt.Errorf("set up token issuer: %w", err)
	}
	kid, err := thumbprint(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("set up token issuer: %w", err)
	}
	return &Issuer{url: url, audience: audience, kid: kid, key: key, random: random}, nil
}

// deriveKey expands the secret (HKDF, RFC 5869) until it hits a valid P-256
// scalar, which all but one in 2^32 attempts do.
func deriveKey(secret []byte) (*ecdsa.PrivateKey, error) {
	for attempt := range 8 {
		scalar, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("provolt/token-key/v1/%d", attempt), 32)
		if err != nil {
			return nil, fmt.Errorf("derive key: %w", err)
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("derive key: no valid scalar")
}

// thumbprint is the RFC 7638 thumbprint of a P-256 key.
func thumbprint(pub *ecdsa.PublicKey) (string, error) {
	point, err := pub.Bytes()
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:])))
	return b64(sum[:]), nil
}

// Token signs an access token for sub, a person or machine of org, valid from
// at for ttl (more than zero, at most MaxLifetime). Roles beyond those of the
// organisation are harmless: Authenticate drops them.
func (i *Issuer) Token(sub string, org passport.OrgID, roles []access.Role, ttl time.Duration, at time.Time) (string, error) {
	if !plain(sub, maxSubject) {
		return "", fmt.Errorf("sign token: subject must be 1 to %d printable characters", maxSubject)
	}
	if _, err := passport.ParseOrgID(string(org)); err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	if ttl <= 0 || ttl > MaxLifetime {
		return "", fmt.Errorf("sign token: lifetime %s is not within %s", ttl, MaxLifetime)
	}
	for _, r := range roles {
		if !slices.Contains(access.Roles(), r) {
			return "", fmt.Errorf("sign token: unknown role %q", r)
		}
	}
	id, err := passport.NewID(at, i.random)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": i.url, "aud": i.audience, "sub": sub, "client_id": "provolt", "jti": id.String(),
		"iat": at.Unix(), "nbf": at.Unix(), "exp": at.Add(ttl).Unix(),
		"org": string(org), "roles": roles,
	})
	t.Header["typ"], t.Header["kid"] = "at+jwt", i.kid
	signed, err := t.SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// issuer is who may sign tokens, and what they can say.
type issuer struct {
	name       string // iss
	external   bool
	org        passport.OrgID // of an external one; the registry's own says it in the token
	algorithms []string
	legacyType bool
	rolesClaim string
	keys       keySource
}

// keySource finds the public key of a token at a time. The registry's own
// issuer knows one key; an external one publishes a set that changes.
type keySource interface {
	key(ctx context.Context, t *jwt.Token, at time.Time) (crypto.PublicKey, error)
}

// organisation returns whom the token may speak for: an external issuer is
// bound to one organisation and never asked.
func (i *issuer) organisation(t *token) (passport.OrgID, error) {
	if i.external {
		return i.org, nil
	}
	claim, _ := t.claims["org"].(string)
	org, err := passport.ParseOrgID(claim)
	if err != nil {
		return "", refuse(OrgRefused)
	}
	return org, nil
}

func (i *issuer) admitsType(typ any) bool {
	if typ == "at+jwt" {
		return true
	}
	return i.legacyType && (typ == nil || typ == "JWT")
}

func (i *issuer) key(ctx context.Context, t *jwt.Token, at time.Time) (crypto.PublicKey, error) {
	key, err := i.keys.key(ctx, t, at)
	if err != nil {
		return nil, err
	}
	if !fits(t.Method.Alg(), key) {
		return nil, refuse(KeyUnfit)
	}
	return key, nil
}

// fits reports whether the key is of the kind and strength that the algorithm
// needs (RFC 7518 sections 3.1 and 3.3, RFC 8037 section 3.1). golang-jwt looks
// neither at the curve nor at the modulus.
func fits(alg string, key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256() || alg == "ES384" && k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return alg == "EdDSA"
	case *rsa.PublicKey:
		return (alg == "PS256" || alg == "RS256") && k.N.BitLen() >= 2048
	}
	return false
}

// ownKey is the one key of the registry's own issuer.
type ownKey struct{ issuer *Issuer }

func (o ownKey) key(_ context.Context, t *jwt.Token, _ time.Time) (crypto.PublicKey, error) {
	if t.Header["kid"] != o.issuer.kid {
		return nil, refuse(KeyUnknown)
	}
	return &o.issuer.key.PublicKey, nil
}

func algorithms() []string { return []string{"EdDSA", "ES256", "ES384", "PS256", "RS256"} }

// issuers knows every issuer by its iss. Those of the options are fixed; those
// that organisations registered come and go, their key sets are kept here.
type issuers struct {
	o     Options
	fixed map[string]*issuer

	mu    sync.Mutex
	bound map[string]boundIssuer
}

type boundIssuer struct {
	from External
	made *issuer
}

// maxBound limits how many registered providers keep their key sets; more are
// fetched again when they are needed.
const maxBound = 1024

func newIssuers(o Options) (*issuers, error) {
	known := &issuers{o: o, fixed: map[string]*issuer{}, bound: map[string]boundIssuer{}}
	var faults []error
	if o.Issuer != nil {
		known.fixed[o.Issuer.url] = &issuer{
			name: o.Issuer.url, algorithms: []string{"ES256"}, rolesClaim: "roles", keys: ownKey{o.Issuer},
		}
	}
	for _, e := range o.External {
		made, err := newExternal(e, o)
		if _, twice := known.fixed[e.Issuer]; err == nil && twice {
			err = errors.New("named twice: an issuer speaks for one organisation")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("issuer %q: %w", e.Issuer, err))
			continue
		}
		known.fixed[e.Issuer] = made
	}
	return known, errors.Join(faults...)
}

func newExternal(e External, o Options) (*issuer, error) {
	var faults []error
	if !fetchable(e.Issuer) {
		faults = append(faults, errors.New("must be an https URL, or http on loopback"))
	}
	if e.KeySetURL != "" && !fetchable(e.KeySetURL) {
		faults = append(faults, fmt.Errorf("key set %q must be an https URL, or http on loopback", e.KeySetURL))
	}
	if _, err := passport.ParseOrgID(string(e.Org)); err != nil {
		faults = append(faults, err)
	}
	if len(e.Algorithms) == 0 {
		e.Algorithms = algorithms()
	}
	for _, alg := range e.Algorithms {
		if !slices.Contains(algorithms(), alg) {
			faults = append(faults, fmt.Errorf("algorithm %q is not one of %s", alg, strings.Join(algorithms(), ", ")))
		}
	}
	if e.RolesClaim == "" {
		e.RolesClaim = "roles"
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &issuer{
		name: e.Issuer, external: true, org: e.Org, algorithms: e.Algorithms, legacyType: e.LegacyType,
		rolesClaim: e.RolesClaim, keys: newKeySet(e.Issuer, e.KeySetURL, o.Client, o.Log),
	}, nil
}

// find returns the issuer of that name, or the refusal IssuerUnknown.
func (s *issuers) find(ctx context.Context, name string) (*issuer, error) {
	if known, ok := s.fixed[name]; ok {
		return known, nil
	}
	if name == "" || s.o.Bound == nil {
		return nil, refuse(IssuerUnknown)
	}
	e, ok, err := s.o.Bound(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look up token issuer: %w", err)
	}
	if !ok || e.Issuer != name {
		return nil, refuse(IssuerUnknown)
	}
	return s.keep(ctx, e)
}

// keep returns the issuer made for e, remaking it when its binding changed. A
// binding that no issuer can be made of (its keys may not be fetched from
// there) is logged and leaves the issuer unknown: the registry lacks nothing.
func (s *issuers) keep(ctx context.Context, e External) (*issuer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.bound[e.Issuer]; ok && same(b.from, e) {
		return b.made, nil
	}
	made, err := newExternal(e, s.o)
	if err != nil {
		s.o.Log.WarnContext(ctx, "registered token issuer refused", slog.String("issuer", e.Issuer), slog.Any("error", err))
		return nil, refuse(IssuerUnknown)
	}
	if len(s.bound) >= maxBound {
		clear(s.bound)
	}
	s.bound[e.Issuer] = boundIssuer{from: e, made: made}
	return made, nil
}

func same(a, b External) bool {
	return a.Issuer == b.Issuer && a.Org == b.Org && a.KeySetURL == b.KeySetURL && a.LegacyType == b.LegacyType &&
		a.RolesClaim == b.RolesClaim && slices.Equal(a.Algorithms, b.Algorithms)
}

// fetchable reports whether keys may be fetched from there: over TLS, or
// without it from this machine alone.
func fetchable(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
