package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/client"
	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
	"github.com/provolt/provolt/internal/verify"
	"github.com/provolt/provolt/schemas"
)

// start is after the production period of the examples.
var start = time.Date(2027, 4, 1, 9, 0, 0, 0, time.UTC)

var operator = access.Subject{Org: passport.Operator, Name: "root", Roles: []access.Role{access.OperatorAdmin}}

// world is a registry that answers over HTTP on this machine, and a client of
// it.
type world struct {
	*registry.Registry
	t      *testing.T
	server *httptest.Server
	peer   *client.Client
	token  string // access token of the maker
}

// newWorld serves a registry whose base URL is where it listens, or another.
func newWorld(t *testing.T, base string) *world {
	t.Helper()
	w := &world{t: t}
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	w.must(err)
	here := "http://" + listener.Addr().String()
	if base == "" {
		base = here
	}
	w.serve(listener, w.open(base))
	w.peer = client.New(here + "/")
	return w
}

// open makes the registry with one maker and returns its keys.
func (w *world) open(base string) *keyring.Keyring {
	w.t.Helper()
	ctx, dir := context.Background(), w.t.TempDir()
	path := filepath.Join(dir, "provolt.db")
	w.must(sqlite.Migrate(ctx, path, sqlite.Options{}))
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	w.must(err)
	w.t.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.Open(dir, keyring.Options{})
	w.must(err)
	w.must(registry.Init(ctx, store, keys, registry.Instance{BaseURL: base, Environment: "demo", CreatedAt: start}, "Test registry", "DE"))
	cat, err := catalogue.Load()
	w.must(err)
	validator, err := schema.New(cat)
	w.must(err)
	w.Registry, err = registry.Open(ctx, registry.Options{
		Store: store, Keys: keys, Catalogue: cat, Validator: validator, Random: rand.Reader,
		Now: func() time.Time { return start }, Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	_, err = w.Admit(ctx, operator, registry.Organisation{ID: "nordlicht", Name: "Nordlicht Zellwerk GmbH", Country: "DE", Roles: []access.Role{access.Issuer}})
	w.must(err)
	return keys
}

// serve answers at the listener.
func (w *world) serve(l net.Listener, keys *keyring.Keyring) {
	w.t.Helper()
	secret, err := keys.Secret("access-tokens")
	w.must(err)
	issuer, err := identity.NewIssuer(w.BaseURL(), w.BaseURL(), secret, rand.Reader)
	w.must(err)
	auth, err := identity.New(identity.Options{Audience: w.BaseURL(), Issuer: issuer, Admitted: func(ctx context.Context, id passport.OrgID) ([]access.Role, error) {
		org, err := w.Organisation(ctx, id)
		return org.Roles, err
	}})
	w.must(err)
	engine, err := httpapi.New(httpapi.Options{
		Registry: w.Registry, Authenticate: auth.Authenticate, Now: func() time.Time { return start }, Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	w.token, err = issuer.Token("clerk", "nordlicht", []access.Role{access.Issuer}, time.Hour, start)
	w.must(err)
	w.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: engine, ReadHeaderTimeout: 5 * time.Second}}
	w.server.Start()
	w.t.Cleanup(w.server.Close)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// document is the shipped example with its code at this registry.
func (w *world) document() []byte {
	w.t.Helper()
	raw, err := schemas.FS.ReadFile("examples/ev.json")
	w.must(err)
	return []byte(strings.ReplaceAll(string(raw), "http://localhost:8080", w.BaseURL()))
}

// register issues the example's passport and returns its public token.
func (w *world) register() (passport.ID, []byte) {
	w.t.Helper()
	maker := access.Subject{Org: "nordlicht", Name: "clerk", Roles: []access.Role{access.Issuer}}
	receipt, err := w.RegisterPassport(context.Background(), registry.Write{By: maker, Body: w.document()})
	w.must(err)
	token, _, err := w.Token(context.Background(), passport.Item, receipt.Passport, 0, registry.Reader{})
	w.must(err)
	return receipt.Passport, token
}

// check fetches whom to trust and what to hold the token against, and judges.
func (w *world) check(token []byte) verify.Result {
	w.t.Helper()
	trust, err := w.peer.Trust(w.t.Context())
	w.must(err)
	return verify.Check(token, w.peer.Evidence(w.t.Context(), token, trust, start), trust, start)
}

func TestATokenIsCheckedAgainstTheRegistrysOwnWord(t *testing.T) {
	t.Parallel()
	for name, base := range map[string]string{"at its own address": "", "through another address": "http://localhost:8080"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, base)
			id, token := w.register()
			result := w.check(token)
			for _, check := range result.Checks {
				if check.Outcome != verify.OK && check.Name != verify.Log {
					t.Errorf("%s: %s %s", check.Name, check.Outcome, check.Detail)
				}
			}
			if result.Verdict != verify.Genuine {
				t.Errorf("verdict %s", result.Verdict)
			}
			_, err := w.SetState(t.Context(), operator, id, registry.Suspended, "dataDisputed")
			w.must(err)
			if got := w.check(token).Verdict; got != verify.Suspended {
				t.Errorf("suspended, the verdict is %s", got)
			}
		})
	}
}

func TestEvidenceThatCannotBeFetchedIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	_, token := w.register()
	trust, err := w.peer.Trust(t.Context())
	w.must(err)
	w.server.Close()
	evidence := w.peer.Evidence(t.Context(), token, trust, start)
	if len(evidence.Lists) != 0 || len(evidence.Records) != 0 {
		t.Errorf("evidence from a registry that is gone: %v", evidence)
	}
	if got := verify.Check(token, evidence, trust, start).Verdict; got != verify.CouldNotCheck {
		t.Errorf("verdict %s", got)
	}
	if _, err := w.peer.Trust(t.Context()); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("trust: %v", err)
	}
	if _, err := w.peer.Get(t.Context(), w.peer.Base+"/livez", "*/*"); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("get: %v", err)
	}
}

// TestATokenHasNoSayInWhoIsAsked gives a token of another registry to one that
// does not know it: nobody is asked for evidence, least of all whom it names.
func TestATokenHasNoSayInWhoIsAsked(t *testing.T) {
	t.Parallel()
	elsewhere, here := newWorld(t, ""), newWorld(t, "")
	_, token := elsewhere.register()
	trust, err := here.peer.Trust(t.Context())
	here.must(err)
	elsewhere.server.Close()
	var asked atomic.Int64
	here.peer.HTTP.Transport = counting{&asked}
	evidence := here.peer.Evidence(t.Context(), token, trust, start)
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests for a token of nobody trusted", n)
	}
	if got := verify.Check(token, evidence, trust, start).Verdict; got != verify.NotGenuine {
		t.Errorf("verdict %s", got)
	}
	here.peer.Evidence(t.Context(), []byte("no token"), trust, start)
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests for what is no token", n)
	}
}

type counting struct{ asked *atomic.Int64 }

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

func TestTheClientStaysAtTheHostItAsked(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Error("the access token was given away")
		}
	}))
	t.Cleanup(stranger.Close)
	hops := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /away", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, stranger.URL+"/x", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("POST /away", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, stranger.URL+"/x", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("GET /round", func(rw http.ResponseWriter, r *http.Request) {
		hops++
		http.Redirect(rw, r, "/round", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("GET /near", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "/here", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("GET /here", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "here") })
	mux.HandleFunc("GET /page", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "<!DOCTYPE html><title>Sign in</title>")
	})
	mux.HandleFunc("GET /long", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		_, _ = rw.Write(make([]byte, 32<<20))
	})
	registry := httptest.NewServer(mux)
	t.Cleanup(registry.Close)
	peer := client.New(registry.URL)
	peer.Token = "secret"
	for _, path := range []string{"/away", "/round", "/long", "/page", "/nowhere"} {
		if body, err := peer.Get(t.Context(), registry.URL+path, "text/plain"); !errors.Is(err, client.ErrUnreachable) || body != nil {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
	}
	if _, _, err := peer.Post(t.Context(), "/away", []byte(`{}`), "k"); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("post: %v", err)
	}
	if body, err := peer.Get(t.Context(), registry.URL+"/near", "text/plain"); err != nil || string(body) != "here" {
		t.Errorf("within the host: %s, %v", body, err)
	}
	if visits.Load() != 0 || hops > 10 {
		t.Errorf("%d visits elsewhere, %d hops in a circle", visits.Load(), hops)
	}
}

func TestTheClientNeverLeavesHTTPS(t *testing.T) {
	t.Parallel()
	plain := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked without TLS") }))
	t.Cleanup(plain.Close)
	var secure *httptest.Server
	secure = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, strings.Replace(secure.URL, "https:", "http:", 1)+"/x", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(secure.Close)
	peer := client.New(secure.URL)
	peer.HTTP.Transport = secure.Client().Transport
	_, err := peer.Get(t.Context(), secure.URL+"/p/1", "*/*")
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "redirected to http://") {
		t.Errorf("got %v", err)
	}
}

func TestATrustBundleOfSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	honest, liar := newWorld(t, "http://localhost:8080"), newWorld(t, "http://localhost:8080")
	// The liar's list is served where the honest registry's keys are.
	mixed := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		from := honest
		if r.URL.Path == "/v1/trust" {
			from = liar
		}
		body, err := from.peer.Get(r.Context(), from.peer.Base+r.URL.Path, r.Header.Get("Accept"))
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		rw.Header().Set("Content-Type", r.Header.Get("Accept"))
		_, _ = rw.Write(body)
	}))
	t.Cleanup(mixed.Close)
	if trust, err := client.New(mixed.URL).Trust(t.Context()); err == nil {
		t.Errorf("believed %+v", trust)
	}
	if _, err := honest.peer.Trust(t.Context()); err != nil {
		t.Errorf("honest: %v", err)
	}
}

func TestADocumentIsSentWithItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	post := func() (int, string) {
		status, answer, err := w.peer.Post(t.Context(), "/v1/passports", w.document(), "k")
		w.must(err)
		return status, string(answer)
	}
	if status, answer := post(); status != http.StatusUnauthorized {
		t.Errorf("anonymous: %d %s", status, answer)
	}
	w.peer.Token = w.token
	status, first := post()
	again, second := post()
	if status != http.StatusCreated || again != http.StatusCreated {
		t.Fatalf("statuses %d and %d: %s", status, again, first)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the repetition is answered differently:\n%s", diff)
	}
}
