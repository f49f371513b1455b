package identity_test

import (
	"crypto/elliptic"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/identity"
)

func oneProvider(t *testing.T) (*provider, *identity.Authenticator) {
	t.Helper()
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	return p, authenticator(t, identity.Options{External: []identity.External{{Issuer: p.URL, Org: "acme"}}})
}

func withKid(t *testing.T, p *provider, kid string) string {
	t.Helper()
	return p.token(t, p.claims(), func(h map[string]any) { h["kid"] = kid })
}

func TestAFloodOfUnknownKeysCausesNoFloodOfCalls(t *testing.T) {
	p, a := oneProvider(t)
	good := p.token(t, p.claims())
	flood := make([]string, 2000)
	for i := range flood {
		flood[i] = withKid(t, p, fmt.Sprintf("random-%d", i))
	}
	var crowd sync.WaitGroup
	for worker := range 8 {
		crowd.Go(func() {
			for i := worker; i < len(flood); i += 8 {
				refused(t, a, flood[i], identity.KeyUnknown)
				if _, err := a.Authenticate(t.Context(), good, noon); err != nil {
					t.Errorf("a good token in the flood: %v", err)
				}
			}
		})
	}
	crowd.Wait()
	if n := p.calls.Load(); n > 2 {
		t.Errorf("%d calls of the key set, want at most 2", n)
	}
}

func TestANewKeyIsFoundWhenTheWindowOpens(t *testing.T) {
	p, a := oneProvider(t)
	if _, err := a.Authenticate(t.Context(), p.token(t, p.claims()), noon); err != nil {
		t.Fatal(err)
	}
	next := ec(t, elliptic.P256())
	p.keys = append(p.keys, jwk(t, "acme-2", next.Public()))
	p.key, p.kid = next, "acme-2"
	token := p.token(t, p.claims())
	refused(t, a, token, identity.KeyUnknown) // the window is closed at noon
	if _, err := a.Authenticate(t.Context(), token, noon.Add(time.Minute)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	if n := p.calls.Load(); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

func TestAnUnknownKeyIsRememberedAsUnknown(t *testing.T) {
	p, a := oneProvider(t)
	token := withKid(t, p, "ghost")
	for minute := range 5 {
		if _, err := a.Authenticate(t.Context(), token, noon.Add(time.Duration(minute)*time.Minute)); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := p.calls.Load(); n != 1 {
		t.Errorf("%d calls for one unknown key in five minutes, want 1", n)
	}
}

func TestAWithdrawnKeyStopsWorking(t *testing.T) {
	p, a := oneProvider(t)
	claims := p.claims()
	claims["exp"] = noon.Add(time.Hour).Unix()
	token := p.token(t, claims)
	if _, err := a.Authenticate(t.Context(), token, noon); err != nil {
		t.Fatal(err)
	}
	p.keys = nil
	if _, err := a.Authenticate(t.Context(), token, noon.Add(14*time.Minute)); err != nil {
		t.Errorf("within a quarter of an hour the set counts as fresh: %v", err)
	}
	if _, err := a.Authenticate(t.Context(), token, noon.Add(15*time.Minute)); err == nil {
		t.Error("accepted with a key that its owner withdrew")
	}
}

func TestAProviderThatIsDownDelaysNobodyWhoseKeyIsKnown(t *testing.T) {
	p, a := oneProvider(t)
	if _, err := a.Authenticate(t.Context(), p.token(t, p.claims()), noon); err != nil {
		t.Fatal(err)
	}
	p.down.Store(true)
	for _, hours := range []int{1, 12, 23} {
		at := noon.Add(time.Duration(hours) * time.Hour)
		claims := p.claims()
		claims["iat"], claims["nbf"], claims["exp"] = at.Unix(), at.Unix(), at.Add(time.Minute).Unix()
		if _, err := a.Authenticate(t.Context(), p.token(t, claims), at); err != nil {
			t.Errorf("after %d hours: %v", hours, err)
		}
	}
	at := noon.Add(24 * time.Hour)
	claims := p.claims()
	claims["iat"], claims["nbf"], claims["exp"] = at.Unix(), at.Unix(), at.Add(time.Minute).Unix()
	_, err := a.Authenticate(t.Context(), p.token(t, claims), at)
	if err == nil || err.Error() != "unauthenticated: "+string(identity.KeysUnavailable) {
		t.Errorf("after a day without the provider: %v", err)
	}
}

func TestAProviderThatWasDownAtStartIsAskedAgain(t *testing.T) {
	p, a := oneProvider(t)
	p.down.Store(true)
	token := p.token(t, p.claims())
	refused(t, a, token, identity.KeysUnavailable)
	p.down.Store(false)
	refused(t, a, token, identity.KeysUnavailable) // the window is closed
	if _, err := a.Authenticate(t.Context(), token, noon.Add(time.Minute)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestKeySetsComeFromNowhereElse(t *testing.T) {
	spied, touched := listener(t)
	p := newProvider(t, "acme", ec(t, elliptic.P256()))
	answers := map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, spied, http.StatusFound) },
		"a discovery document of another issuer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"issuer":"https://other.example","jwks_uri":%q}`, spied)
		},
		"a key set over plain HTTP outside this machine": func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"issuer":"http://%s","jwks_uri":"http://192.0.2.1/keys"}`, r.Host)
		},
		"no JSON":       func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
		"endless bytes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 600<<10)) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(answer)
			defer srv.Close()
			a := authenticator(t, identity.Options{External: []identity.External{{Issuer: srv.URL, Org: "acme"}}})
			claims := p.claims()
			claims["iss"] = srv.URL
			refused(t, a, p.token(t, claims), identity.KeysUnavailable)
		})
	}
	if n := touched(); n != 0 {
		t.Errorf("%d connections elsewhere", n)
	}
}
