package identity_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/passport"
)

const audience = "https://registry.example"

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// provider is an OpenID provider on loopback that publishes real keys.
type provider struct {
	*httptest.Server
	name  string
	kid   string
	key   crypto.Signer
	keys  []map[string]any // what it publishes
	calls atomic.Int64     // of its key set
	down  atomic.Bool
}

func newProvider(tb testing.TB, name string, key crypto.Signer) *provider {
	tb.Helper()
	p := &provider{name: name, kid: name + "-1", key: key}
	p.keys = []map[string]any{jwk(tb, p.kid, key.Public())}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.calls.Add(1)
		if p.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
	})
	p.Server = httptest.NewServer(mux)
	tb.Cleanup(p.Close)
	return p
}

// claims are those of a good token of p at noon.
func (p *provider) claims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": p.URL, "aud": audience, "sub": p.name + "-person", "client_id": "erp", "jti": "1",
		"iat": noon.Unix(), "nbf": noon.Unix(), "exp": noon.Add(10 * time.Minute).Unix(),
		"roles": []string{"issuer"},
	}
}

// token signs claims as p does, after change had its way with the header.
func (p *provider) token(tb testing.TB, claims jwt.MapClaims, change ...func(h map[string]any)) string {
	tb.Helper()
	t := jwt.NewWithClaims(method(p.key), claims)
	t.Header["typ"], t.Header["kid"] = "at+jwt", p.kid
	for _, f := range change {
		f(t.Header)
	}
	signed, err := t.SignedString(p.key)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func method(key crypto.Signer) jwt.SigningMethod {
	switch k := key.Public().(type) {
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA
	case *rsa.PublicKey:
		return jwt.SigningMethodPS256
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			return jwt.SigningMethodES384
		}
	}
	return jwt.SigningMethodES256
}

func jwk(tb testing.TB, kid string, key crypto.PublicKey) map[string]any {
	tb.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	out := map[string]any{"kid": kid, "use": "sig"}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			tb.Fatal(err)
		}
		half := (len(point) - 1) / 2
		maps.Copy(out, map[string]any{"kty": "EC", "crv": k.Curve.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])})
	case ed25519.PublicKey:
		maps.Copy(out, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(k)})
	case *rsa.PublicKey:
		maps.Copy(out, map[string]any{"kty": "RSA", "n": b64(k.N.Bytes()), "e": "AQAB"})
	default:
		tb.Fatalf("no JWK of %T", key)
	}
	return out
}

func ec(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func rsaKey(tb testing.TB, bits int) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func ed(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// admitted is what the registry knows: three makers, a verifier and nobody
// else; the operator may do everything.
func admitted(_ context.Context, org passport.OrgID) ([]access.Role, error) {
	roles, ok := map[passport.OrgID][]access.Role{
		"acme": {access.Issuer, access.LegitimateInterest}, "bolt": {access.Issuer}, "cell": {access.Issuer},
		"watch": {access.Authority}, passport.Operator: access.Roles(),
	}[org]
	if !ok {
		return nil, identity.ErrNotAdmitted
	}
	return roles, nil
}

func ownIssuer(tb testing.TB) *identity.Issuer {
	tb.Helper()
	i, err := identity.NewIssuer(audience, audience, bytes.Repeat([]byte{7}, 32), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func authenticator(tb testing.TB, o identity.Options) *identity.Authenticator {
	tb.Helper()
	o.Audience = audience
	if o.Admitted == nil {
		o.Admitted = admitted
	}
	a, err := identity.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// refused checks that the token is refused for that reason, with an error that
// gives away no part of the token.
func refused(tb testing.TB, a *identity.Authenticator, token string, want identity.Reason) {
	tb.Helper()
	s, err := a.Authenticate(tb.Context(), token, noon)
	var r *identity.Refusal
	switch {
	case err == nil:
		tb.Errorf("accepted as %+v, want %s", s, want)
	case !errors.As(err, &r) || !errors.Is(err, identity.ErrUnauthenticated):
		tb.Errorf("error %v is no refusal, want %s", err, want)
	case r.Reason != want:
		tb.Errorf("refused for %s, want %s", r.Reason, want)
	case err.Error() != "unauthenticated: "+string(want):
		tb.Errorf("error says %q", err)
	case s.Org != "" || s.Name != "" || s.Roles != nil:
		tb.Errorf("refused, yet a subject came back: %+v", s)
	}
}

func publicPEM(tb testing.TB, key crypto.PublicKey) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
