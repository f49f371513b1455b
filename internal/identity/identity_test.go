package identity_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/passport"
)

func TestOwnTokenNamesThePersonAndOnlyAdmittedRoles(t *testing.T) {
	i := ownIssuer(t)
	a := authenticator(t, identity.Options{Issuer: i})
	token, err := i.Token("erp", "acme", []access.Role{access.Issuer, access.Auditor}, time.Hour, noon)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Authenticate(t.Context(), token, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := access.Subject{Org: "acme", Name: "erp", Roles: []access.Role{access.Issuer}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subject (-want +got):\n%s", diff)
	}
	header, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"typ":"at+jwt"`) || !strings.Contains(string(text), `"alg":"ES256"`) {
		t.Errorf("header %s", text)
	}
}

func TestOwnTokensOutliveARestart(t *testing.T) {
	token, err := ownIssuer(t).Token("erp", "acme", nil, time.Minute, noon)
	if err != nil {
		t.Fatal(err)
	}
	restarted := authenticator(t, identity.Options{Issuer: ownIssuer(t)})
	if _, err := restarted.Authenticate(t.Context(), token, noon); err != nil {
		t.Errorf("same secret, other process: %v", err)
	}
	other, err := identity.NewIssuer(audience, audience, bytes.Repeat([]byte{8}, 32), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, authenticator(t, identity.Options{Issuer: other}), token, identity.KeyUnknown)
}

func TestOwnIssuerSignsNothingThatWouldBeRefused(t *testing.T) {
	i := ownIssuer(t)
	tests := map[string]struct {
		sub   string
		org   passport.OrgID
		roles []access.Role
		ttl   time.Duration
	}{
		"no subject":          {"", "acme", nil, time.Minute},
		"a subject of lines":  {"a\nb", "acme", nil, time.Minute},
		"no organisation":     {"erp", "", nil, time.Minute},
		"a bad organisation":  {"erp", "Acme Inc", nil, time.Minute},
		"an unknown role":     {"erp", "acme", []access.Role{"root"}, time.Minute},
		"no lifetime":         {"erp", "acme", nil, 0},
		"a negative lifetime": {"erp", "acme", nil, -time.Minute},
		"too long a lifetime": {"erp", "acme", nil, time.Hour + 1},
	}
	for name, tt := range tests {
		if token, err := i.Token(tt.sub, tt.org, tt.roles, tt.ttl, noon); err == nil {
			t.Errorf("%s: signed %s", name, token)
		}
	}
	for name, secret := range map[string][]byte{"no secret": nil, "a short secret": make([]byte, 31)} {
		if _, err := identity.NewIssuer(audience, audience, secret, rand.Reader); err == nil {
			t.Errorf("%s: made an issuer", name)
		}
	}
}

// TestBadTokensAreRefusedForTheRightReason is the corpus: each row changes one
// thing of a good token, and the reason shows that this one thing was seen.
func TestBadTokensAreRefusedForTheRightReason(t *testing.T) {
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	rs := rsaKey(t, 2048)
	weak := rsaKey(t, 1024)
	p384 := ec(t, elliptic.P384())
	edKey := ed(t)
	p.keys = append(
		p.keys, jwk(t, "rsa", rs.Public()), jwk(t, "weak", weak.Public()), jwk(t, "p384", p384.Public()), jwk(t, "ed", edKey.Public()),
		map[string]any{"kty": "oct", "kid": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte("a secret that is shared by all"))},
		map[string]any{"kty": "EC", "kid": "odd", "crv": "P-999", "x": "AA", "y": "AA"},
	)
	enc := jwk(t, "enc", p.key.Public())
	enc["use"] = "enc"
	alg := jwk(t, "alg", p.key.Public())
	alg["alg"] = "ES384"
	p.keys = append(p.keys, enc, alg)

	spied, touched := listener(t)
	a := authenticator(t, identity.Options{
		Issuer:   ownIssuer(t),
		External: []identity.External{{Issuer: p.URL, Org: "acme"}},
	})
	good := p.token(t, p.claims())
	if _, err := a.Authenticate(t.Context(), good, noon); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	parts := strings.Split(good, ".")

	header := func(name string, v any) string {
		return p.token(t, p.claims(), func(h map[string]any) { h[name] = v })
	}
	without := func(name string) string {
		return p.token(t, p.claims(), func(h map[string]any) { delete(h, name) })
	}
	claim := func(name string, v any) string {
		c := p.claims()
		c[name] = v
		return p.token(t, c)
	}
	lacking := func(name string) string {
		c := p.claims()
		delete(c, name)
		return p.token(t, c)
	}
	by := func(m jwt.SigningMethod, key any, kid string) string {
		tok := jwt.NewWithClaims(m, p.claims())
		tok.Header["typ"], tok.Header["kid"] = "at+jwt", kid
		signed, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	raw := func(header, claims string) string {
		b64 := base64.RawURLEncoding.EncodeToString
		text := b64([]byte(header)) + "." + b64([]byte(claims))
		sig, err := jwt.SigningMethodES256.Sign(text, p.key)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(sig)
	}
	okHeader := `{"alg":"ES256","kid":"acme-1","typ":"at+jwt"}`
	okClaims := func(extra string) string {
		text, err := json.Marshal(p.claims())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(text), "}") + extra + "}"
	}
	own := func(change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{"iss": audience, "org": "acme"}
		change(c)
		return p.token(t, c)
	}

	corpus := []struct {
		name  string
		token string
		want  identity.Reason
	}{
		// The compact form.
		{"nothing", "", identity.TokenMissing},
		{"8 KB and a byte", strings.Repeat("a", identity.MaxToken+1), identity.TokenTooLarge},
		{"10 MB", strings.Repeat("a.", 5<<20), identity.TokenTooLarge},
		{"a word", "token", identity.TokenMalformed},
		{"a space in front", " " + good, identity.TokenMalformed},
		{"a newline at the end", good + "\n", identity.TokenMalformed},
		{"a newline inside", good[:40] + "\n" + good[40:], identity.TokenMalformed},
		{"two segments", parts[0] + "." + parts[1], identity.TokenMalformed},
		{"four segments", good + ".e30", identity.TokenMalformed},
		{"five segments, a JWE", good + ".e30.e30", identity.TokenMalformed},
		{"no signature", parts[0] + "." + parts[1] + ".", identity.TokenMalformed},
		{"padded base64", parts[0] + "=." + parts[1] + "." + parts[2], identity.TokenMalformed},
		{"standard base64", parts[0] + "." + parts[1] + ".ab+/", identity.TokenMalformed},
		{"header is no base64 length", "a." + parts[1] + "." + parts[2], identity.TokenMalformed},
		{"header is no JSON", "bm8." + parts[1] + "." + parts[2], identity.TokenMalformed},
		{"header is an array", raw(`[]`, okClaims("")), identity.TokenMalformed},
		{"header is null", raw(`null`, okClaims("")), identity.TokenMalformed},
		{"header member twice", raw(`{"alg":"ES256","alg":"none","kid":"acme-1","typ":"at+jwt"}`, okClaims("")), identity.TokenMalformed},
		{"header with bytes behind", raw(okHeader+`{}`, okClaims("")), identity.TokenMalformed},
		{"header is not UTF-8", raw("{\"alg\":\"ES256\",\"kid\":\"acme-1\",\"typ\":\"at+jwt\",\"x\":\"\xff\"}", okClaims("")), identity.TokenMalformed},
		{"claims are a string", raw(okHeader, `"sub"`), identity.TokenMalformed},
		{"claims are cut off", raw(okHeader, `{"iss":"`+p.URL+`"`), identity.TokenMalformed},
		{"claim twice", raw(okHeader, okClaims(`,"sub":"admin"`)), identity.TokenMalformed},
		{"claim twice, spelt by escape", raw(okHeader, okClaims(`,"\u0073ub":"admin"`)), identity.TokenMalformed},
		{"claims nested 1000 deep", raw(okHeader, okClaims(`,"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000))), identity.TokenMalformed},
		// How a token would choose its own check.
		{"alg none, unsigned", unsigned(t, p.claims(), "none"), identity.AlgorithmRefused},
		{"alg None", unsigned(t, p.claims(), "None"), identity.AlgorithmRefused},
		{"alg NONE", unsigned(t, p.claims(), "NONE"), identity.AlgorithmRefused},
		{"alg missing", raw(`{"kid":"acme-1","typ":"at+jwt"}`, okClaims("")), identity.AlgorithmRefused},
		{"alg is a number", raw(`{"alg":256,"kid":"acme-1","typ":"at+jwt"}`, okClaims("")), identity.AlgorithmRefused},
		{"alg in lower case", header("alg", "es256"), identity.AlgorithmRefused},
		{"HS256 with the public key as secret", by(jwt.SigningMethodHS256, publicPEM(t, p.key.Public()), p.kid), identity.AlgorithmRefused},
		{"HS256 with a published symmetric key", by(jwt.SigningMethodHS256, []byte("a secret that is shared by all"), "oct"), identity.AlgorithmRefused},
		{"HS384", by(jwt.SigningMethodHS384, []byte("secret"), p.kid), identity.AlgorithmRefused},
		{"HS512", by(jwt.SigningMethodHS512, []byte("secret"), p.kid), identity.AlgorithmRefused},
		{"RS512, not on the list", by(jwt.SigningMethodRS512, rs, "rsa"), identity.AlgorithmRefused},
		{"ES256 with a published symmetric key", header("kid", "oct"), identity.KeyUnknown},
		{"ES256 said, P-384 key", by(jwt.SigningMethodES256, p.key, "p384"), identity.KeyUnfit},
		{"ES256 said, RSA key", by(jwt.SigningMethodES256, p.key, "rsa"), identity.KeyUnfit},
		{"ES256 said, Ed25519 key", by(jwt.SigningMethodES256, p.key, "ed"), identity.KeyUnfit},
		{"EdDSA said, P-256 key", by(jwt.SigningMethodEdDSA, edKey, p.kid), identity.KeyUnfit},
		{"RS256 with 1024 bits", by(jwt.SigningMethodRS256, weak, "weak"), identity.KeyUnfit},
		{"a key for another algorithm", header("kid", "alg"), identity.KeyUnfit},
		{"a key for encryption", header("kid", "enc"), identity.KeyUnfit},
		{"crit exp", header("crit", []string{"exp"}), identity.HeaderRefused},
		{"crit empty", header("crit", []string{}), identity.HeaderRefused},
		{"b64 false", header("b64", false), identity.HeaderRefused},
		{"jwk with its own key", header("jwk", jwk(t, "x", p.key.Public())), identity.HeaderRefused},
		{"jku elsewhere", header("jku", spied+"/jku"), identity.HeaderRefused},
		{"x5u elsewhere", header("x5u", spied+"/x5u"), identity.HeaderRefused},
		{"x5c", header("x5c", []string{"MIIB"}), identity.HeaderRefused},
		{"jku null", header("jku", nil), identity.HeaderRefused},
		// kid.
		{"kid missing", without("kid"), identity.KeyIDRefused},
		{"kid empty", header("kid", ""), identity.KeyIDRefused},
		{"kid a number", header("kid", 1), identity.KeyIDRefused},
		{"kid a path", header("kid", "../../etc/passwd"), identity.KeyIDRefused},
		{"kid of SQL", header("kid", "' OR 1=1 --"), identity.KeyIDRefused},
		{"kid with a NUL", header("kid", "acme-1\x00"), identity.KeyIDRefused},
		{"kid of 129 characters", header("kid", strings.Repeat("k", 129)), identity.KeyIDRefused},
		{"kid a URL", header("kid", spied), identity.KeyIDRefused},
		{"kid unknown", header("kid", "acme-2"), identity.KeyUnknown},
		{"kid of a key nobody can use", header("kid", "odd"), identity.KeyUnknown},
		// typ.
		{"typ missing", without("typ"), identity.TypeRefused},
		{"typ JWT, an ID token", header("typ", "JWT"), identity.TypeRefused},
		{"typ of a passport", header("typ", "vc+sd-jwt"), identity.TypeRefused},
		{"typ in capitals", header("typ", "AT+JWT"), identity.TypeRefused},
		{"typ a list", header("typ", []string{"at+jwt"}), identity.TypeRefused},
		{"typ of a logout token", header("typ", "logout+jwt"), identity.TypeRefused},
		// Signature.
		{"signed by another key", stranger(t, p), identity.SignatureInvalid},
		{"claims swapped", parts[0] + "." + strings.Split(claim("roles", []string{"auditor"}), ".")[1] + "." + parts[2], identity.SignatureInvalid},
		{"signature cut", parts[0] + "." + parts[1] + "." + parts[2][:64], identity.SignatureInvalid},
		{"signature in DER", parts[0] + "." + parts[1] + "." + derSignature(t, p.key, parts[0]+"."+parts[1]), identity.SignatureInvalid},
		{"signature all zero", parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), identity.SignatureInvalid},
		// Issuer and audience.
		{"iss missing", lacking("iss"), identity.IssuerUnknown},
		{"iss a list", claim("iss", []string{p.URL}), identity.IssuerUnknown},
		{"iss with a slash more", claim("iss", p.URL+"/"), identity.IssuerUnknown},
		{"iss in capitals", claim("iss", strings.ToUpper(p.URL)), identity.IssuerUnknown},
		{"iss of a stranger", claim("iss", "https://login.example"), identity.IssuerUnknown},
		{"iss of our own issuer, foreign key", own(func(jwt.MapClaims) {}), identity.ClaimsMalformed},
		{"aud missing", lacking("aud"), identity.AudienceRefused},
		{"aud empty", claim("aud", ""), identity.AudienceRefused},
		{"aud no list entry", claim("aud", []string{}), identity.AudienceRefused},
		{"aud of another service", claim("aud", "https://shop.example"), identity.AudienceRefused},
		{"aud with a slash more", claim("aud", audience+"/"), identity.AudienceRefused},
		{"aud a number", claim("aud", 1), identity.ClaimsMalformed},
		{"aud a list with a number", claim("aud", []any{audience, 1}), identity.ClaimsMalformed},
		// Times.
		{"exp missing", lacking("exp"), identity.ClaimsMalformed},
		{"exp text", claim("exp", "1803902400"), identity.ClaimsMalformed},
		{"exp zero", claim("exp", 0), identity.ClaimsMalformed},
		{"exp negative", claim("exp", -1), identity.ClaimsMalformed},
		{"exp 1e300", claim("exp", json.Number("1e300")), identity.ClaimsMalformed},
		{"exp past every calendar", claim("exp", json.Number("99999999999999999999")), identity.ClaimsMalformed},
		{"exp null", claim("exp", nil), identity.ClaimsMalformed},
		{"expired", claim("exp", noon.Add(-identity.Leeway).Unix()), identity.TokenExpired},
		{"nbf missing", lacking("nbf"), identity.ClaimsMalformed},
		{"nbf text", claim("nbf", "now"), identity.ClaimsMalformed},
		{"nbf ahead", claim("nbf", noon.Add(identity.Leeway+time.Second).Unix()), identity.TokenNotYetValid},
		{"iat ahead", claim("iat", noon.Add(identity.Leeway+time.Second).Unix()), identity.TokenNotYetValid},
		{"iat text", claim("iat", "now"), identity.ClaimsMalformed},
		{"valid for an hour and a second", claim("exp", noon.Add(time.Hour+time.Second).Unix()), identity.LifetimeTooLong},
		{"valid since long", claim("nbf", noon.Add(-24*time.Hour).Unix()), identity.LifetimeTooLong},
		{"issued long ago", claim("iat", noon.Add(-24*time.Hour).Unix()), identity.LifetimeTooLong},
		{"valid for ever", claim("exp", 99999999999), identity.LifetimeTooLong},
		// Person.
		{"sub missing", lacking("sub"), identity.SubjectMissing},
		{"sub empty", claim("sub", ""), identity.SubjectMissing},
		{"sub a number", claim("sub", 7), identity.SubjectMissing},
		{"sub with a newline", claim("sub", "a\nb"), identity.SubjectMissing},
		{"sub with a right-to-left override", claim("sub", "a\u202eb"), identity.SubjectMissing},
		{"sub of 256 bytes", claim("sub", strings.Repeat("s", 256)), identity.SubjectMissing},
		{"roles are text", claim("roles", "issuer"), identity.ClaimsMalformed},
		{"roles hold a number", claim("roles", []any{"issuer", 1}), identity.ClaimsMalformed},
		{"bound to a key by cnf", claim("cnf", map[string]any{"jkt": "x"}), identity.TokenBound},
	}
	if len(corpus) < 60 {
		t.Fatalf("corpus of %d tokens", len(corpus))
	}
	for _, tt := range corpus {
		t.Run(tt.name, func(t *testing.T) { refused(t, a, tt.token, tt.want) })
	}
	if n := touched(); n != 0 {
		t.Errorf("%d connections to where a header pointed", n)
	}
}

// unsigned builds a token with any alg and a signature that says nothing.
func unsigned(t *testing.T, claims jwt.MapClaims, alg string) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return b64(fmt.Appendf(nil, `{"alg":%q,"kid":"acme-1","typ":"at+jwt"}`, alg)) + "." + b64(text) + ".AA"
}

// stranger signs as p would, with a key that p does not have.
func stranger(t *testing.T, p *provider) string {
	t.Helper()
	thief := &provider{Server: p.Server, name: p.name, kid: p.kid, key: ec(t, elliptic.P256())}
	return thief.token(t, p.claims())
}

func derSignature(t *testing.T, key crypto.Signer, text string) string {
	t.Helper()
	h := crypto.SHA256.New()
	h.Write([]byte(text))
	sig, err := key.Sign(rand.Reader, h.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sig)
}

// listener counts every connection made to it.
func listener(t *testing.T) (url string, touched func() int) {
	t.Helper()
	var (
		mu sync.Mutex
		n  int
	)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			defer mu.Unlock()
			n++
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func TestEveryAdmittedAlgorithmWorks(t *testing.T) {
	keys := map[string]crypto.Signer{
		"ES256": ec(t, elliptic.P256()), "ES384": ec(t, elliptic.P384()), "EdDSA": ed(t), "PS256": rsaKey(t, 2048),
	}
	for name, key := range keys {
		p := newProvider(t, "acme", key)
		a := authenticator(t, identity.Options{External: []identity.External{{Issuer: p.URL, Org: "acme"}}})
		if _, err := a.Authenticate(t.Context(), p.token(t, p.claims()), noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		only := authenticator(t, identity.Options{External: []identity.External{
			{Issuer: p.URL, Org: "acme", Algorithms: []string{"RS256"}},
		}})
		refused(t, only, p.token(t, p.claims()), identity.AlgorithmRefused)
	}
}

// TestAnIssuerSpeaksForItsOwnOrganisationOnly crosses three providers with
// three organisations: whoever signs, and whatever org, iss or kid a token
// claims, only the provider bound to an organisation yields its people.
func TestAnIssuerSpeaksForItsOwnOrganisationOnly(t *testing.T) {
	orgs := []passport.OrgID{"acme", "bolt", "cell"}
	var (
		providers []*provider
		external  []identity.External
	)
	for _, org := range orgs {
		p := newProvider(t, string(org), ec(t, elliptic.P256()))
		providers = append(providers, p)
		external = append(external, identity.External{Issuer: p.URL, Org: org})
	}
	i := ownIssuer(t)
	a := authenticator(t, identity.Options{Issuer: i, External: external})
	for s, signer := range providers {
		for c, claimed := range providers {
			t.Run(signer.name+" claims "+claimed.name, func(t *testing.T) {
				claims := signer.claims()
				claims["org"], claims["tenant"], claims["azp"] = orgs[c], orgs[c], orgs[c]
				got, err := a.Authenticate(t.Context(), signer.token(t, claims), noon)
				if err != nil || got.Org != orgs[s] {
					t.Errorf("org claim: %+v, %v; want a person of %s", got, err, orgs[s])
				}
				if s == c {
					return
				}
				claims["iss"] = claimed.URL
				refused(t, a, signer.token(t, claims), identity.KeyUnknown)
				asOther := signer.token(t, claims, func(h map[string]any) { h["kid"] = claimed.kid })
				refused(t, a, asOther, identity.SignatureInvalid)
				claims["iss"], claims["org"] = audience, claimed.name
				refused(t, a, signer.token(t, claims), identity.KeyUnknown)
			})
		}
		own, err := i.Token("erp", orgs[s], []access.Role{access.Issuer}, time.Minute, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Authenticate(t.Context(), own, noon); err != nil || got.Org != orgs[s] {
			t.Errorf("own issuer for %s: %+v, %v", orgs[s], got, err)
		}
	}
}

func TestAnOrganisationThatIsNotAdmittedHasNoPeople(t *testing.T) {
	i := ownIssuer(t)
	a := authenticator(t, identity.Options{Issuer: i})
	token, err := i.Token("erp", "nobody", nil, time.Minute, noon)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, a, token, identity.OrgRefused)
}

func TestALookupThatFailsIsNoRefusal(t *testing.T) {
	i := ownIssuer(t)
	broken := errors.New("database away")
	a := authenticator(t, identity.Options{
		Issuer:   i,
		Admitted: func(context.Context, passport.OrgID) ([]access.Role, error) { return nil, broken },
	})
	token, err := i.Token("erp", "acme", nil, time.Minute, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = a.Authenticate(t.Context(), token, noon); !errors.Is(err, broken) || errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

func TestRecordedMembersGetTheirRoles(t *testing.T) {
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	a := authenticator(t, identity.Options{
		External: []identity.External{{Issuer: p.URL, Org: "acme"}},
		Member: func(_ context.Context, org passport.OrgID, issuer, subject string) ([]access.Role, error) {
			if org == "acme" && issuer == p.URL && subject == "acme-person" {
				return []access.Role{access.LegitimateInterest, access.OperatorAdmin}, nil
			}
			return nil, nil
		},
	})
	got, err := a.Authenticate(t.Context(), p.token(t, p.claims()), noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]access.Role{access.Issuer, access.LegitimateInterest}, got.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

func TestLegacyTypeIsOptedInPerIssuer(t *testing.T) {
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	legacy := authenticator(t, identity.Options{External: []identity.External{{Issuer: p.URL, Org: "acme", LegacyType: true}}})
	for _, typ := range []any{"JWT", "at+jwt", nil} {
		token := p.token(t, p.claims(), func(h map[string]any) {
			if h["typ"] = typ; typ == nil {
				delete(h, "typ")
			}
		})
		if _, err := legacy.Authenticate(t.Context(), token, noon); err != nil {
			t.Errorf("typ %v: %v", typ, err)
		}
	}
	refused(t, legacy, p.token(t, p.claims(), func(h map[string]any) { h["typ"] = "vc+sd-jwt" }), identity.TypeRefused)
}

func TestRolesMayStandInAnotherClaim(t *testing.T) {
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	a := authenticator(t, identity.Options{External: []identity.External{{Issuer: p.URL, Org: "acme", RolesClaim: "groups"}}})
	claims := p.claims()
	claims["groups"], claims["roles"] = []string{"legitimateInterest", "canteen"}, []string{"issuer"}
	got, err := a.Authenticate(t.Context(), p.token(t, claims), noon)
	if err != nil || !slices.Equal(got.Roles, []access.Role{access.LegitimateInterest}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRegisteredProvidersAreFoundAndFollowTheirBinding(t *testing.T) {
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	bound := identity.External{Issuer: p.URL, Org: "acme"}
	known := true
	a := authenticator(t, identity.Options{Bound: func(_ context.Context, issuer string) (identity.External, bool, error) {
		return bound, known && issuer == p.URL, nil
	}})
	token := p.token(t, p.claims())
	if got, err := a.Authenticate(t.Context(), token, noon); err != nil || got.Org != "acme" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := a.Authenticate(t.Context(), token, noon); err != nil || p.calls.Load() != 1 {
		t.Errorf("second token: %v after %d calls", err, p.calls.Load())
	}
	bound.Org = "bolt"
	if got, err := a.Authenticate(t.Context(), token, noon); err != nil || got.Org != "bolt" {
		t.Errorf("after the binding moved: %+v, %v", got, err)
	}
	known = false
	refused(t, a, token, identity.IssuerUnknown)
}

func TestABindingThatCannotBeUsedIsARefusal(t *testing.T) {
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	for name, bound := range map[string]identity.External{
		"keys in the clear":   {Issuer: "http://login.example", Org: "acme"},
		"keys from inside":    {Issuer: "https://login.example", Org: "acme", KeySetURL: "http://169.254.169.254/keys"},
		"no URL":              {Issuer: "acme", Org: "acme"},
		"no organisation":     {Issuer: "https://login.example", Org: "Not An Org"},
		"a shared secret key": {Issuer: "https://login.example", Org: "acme", Algorithms: []string{"HS256"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := authenticator(t, identity.Options{Bound: func(context.Context, string) (identity.External, bool, error) { return bound, true, nil }})
			claims := p.claims()
			claims["iss"] = bound.Issuer
			refused(t, a, p.token(t, claims), identity.IssuerUnknown)
		})
	}
}

func TestFaultyOptionsAreReportedAllAtOnce(t *testing.T) {
	_, err := identity.New(identity.Options{External: []identity.External{
		{Issuer: "http://login.example", Org: "acme"},
		{Issuer: "https://login.example", Org: "Not An Org", Algorithms: []string{"HS256"}},
		{Issuer: "https://a.example", Org: "acme", KeySetURL: "http://169.254.169.254/keys"},
		{Issuer: "https://b.example", Org: "acme"},
		{Issuer: "https://b.example", Org: "bolt"},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"audience is empty", "no lookup", `"http://login.example"`, "Not An Org", "HS256", "169.254.169.254", "named twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %q in:\n%v", want, err)
		}
	}
}

// zeros makes the ids of tokens the same in every fuzzing process.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// FuzzBearer: nothing panics, every refusal is one, and what passes says word
// for word what was signed. (Two signatures of the same text may differ.)
func FuzzBearer(f *testing.F) {
	i, err := identity.NewIssuer(audience, audience, bytes.Repeat([]byte{7}, 32), zeros{})
	if err != nil {
		f.Fatal(err)
	}
	good, err := i.Token("erp", "acme", []access.Role{access.Issuer}, time.Hour, noon)
	if err != nil {
		f.Fatal(err)
	}
	signed := good[:strings.LastIndex(good, ".")+1]
	f.Add(good)
	f.Add("")
	f.Add("e30.e30.e30")
	f.Add("eyJhbGciOiJub25lIiwia2lkIjoiLi4vLi4iLCJ0eXAiOiJhdCtqd3QifQ.e30.")
	f.Add(strings.Replace(good, ".", ".\n", 1))
	a := authenticator(f, identity.Options{Issuer: i})
	f.Fuzz(func(t *testing.T, bearer string) {
		s, err := a.Authenticate(t.Context(), bearer, noon)
		if err == nil && !strings.HasPrefix(bearer, signed) {
			t.Fatalf("%q was never signed and passes as %+v", bearer, s)
		}
		if err != nil && !errors.Is(err, identity.ErrUnauthenticated) {
			t.Fatalf("%q: %v is no refusal", bearer, err)
		}
	})
}
