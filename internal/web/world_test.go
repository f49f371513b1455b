package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/carrier"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
	"github.com/provolt/provolt/internal/strictjson"
)

// world is a demo registry on SQLite with real keys and a clock the test sets,
// and its pages.
type world struct {
	*registry.Registry
	t     testing.TB
	pages *Pages
	http  http.Handler
	now   time.Time
}

// start is after the production period of the example.
var start = time.Date(2027, 4, 1, 14, 2, 0, 0, time.UTC)

const base = "http://localhost:8080"

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, base)
}

func newWorldAt(t testing.TB, baseURL string) *world {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "provolt.db")
	must(t, sqlite.Migrate(ctx, path, sqlite.Options{}))
	store := need(sqlite.Open(ctx, path, sqlite.Options{}))(t)
	keys := need(keyring.Open(filepath.Join(dir, "keys"), keyring.Options{}))(t)
	w := &world{t: t, now: start}
	instance := registry.Instance{BaseURL: baseURL, Environment: "demo", CreatedAt: start}
	must(t, registry.Init(ctx, store, keys, instance, "Test registry", "DE"))
	cat := load(t)
	w.Registry = need(registry.Open(ctx, registry.Options{
		Store: store, Keys: keys, Catalogue: cat, Validator: need(schema.New(cat))(t), Random: rand.Reader,
		Now: w.clock, Log: slog.New(slog.DiscardHandler),
	}))(t)
	t.Cleanup(func() { must(t, w.Close()) })
	need(w.Admit(ctx, operator, registry.Organisation{
		ID: "nordlicht", Name: "Nordlicht Zellwerk GmbH", Country: "DE", Roles: []access.Role{access.Issuer},
	}))(t)
	w.pages = need(New(w.Registry, Options{Catalogue: cat, Now: w.clock, Log: slog.New(slog.DiscardHandler)}))(t)
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	w.pages.Mount(router)
	w.http = router
	return w
}

// later returns the later of two times. A clock that sets the deadlines of
// real connections must not lie in the past.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (w *world) clock() time.Time { return w.now }

var (
	operator = access.Subject{Org: passport.Operator, Name: "root", Roles: []access.Role{access.OperatorAdmin}}
	maker    = access.Subject{Org: "nordlicht", Name: "clerk", Roles: []access.Role{access.Issuer}}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(explain(err))
	}
}

// need unwraps a call that must succeed: need(f())(t).
func need[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func explain(err error) string {
	raw, _ := json.MarshalIndent(err, "", " ")
	return err.Error() + "\n" + string(raw)
}

func load(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	return need(catalogue.Load())(t)
}

// example reads the shipped EV passport.
func example(t testing.TB) map[string]any {
	t.Helper()
	raw := need(os.ReadFile(filepath.Join("..", "..", "schemas", "examples", "ev.json")))(t)
	return need(strictjson.Parse(raw))(t).(map[string]any)
}

// set changes the member at a path of object members.
func set(doc map[string]any, v any, path ...string) {
	for _, name := range path[:len(path)-1] {
		doc = doc[name].(map[string]any)
	}
	doc[path[len(path)-1]] = v
}

// register issues a passport and returns its id.
func (w *world) register(doc map[string]any) passport.ID {
	w.t.Helper()
	body := need(strictjson.Marshal(doc))(w.t)
	receipt := need(w.RegisterPassport(context.Background(), registry.Write{By: maker, Body: body}))(w.t)
	return receipt.Passport
}

// answer is what came back for a request.
type answer struct {
	*httptest.ResponseRecorder
	body string
}

func (w *world) do(method, target string, body io.Reader, header ...string) answer {
	w.t.Helper()
	req := httptest.NewRequestWithContext(context.Background(), method, target, body)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.http.ServeHTTP(rec, req)
	return answer{rec, rec.Body.String()}
}

func (w *world) get(target string, header ...string) answer {
	w.t.Helper()
	return w.do(http.MethodGet, target, nil, header...)
}

// page fetches a page that must be there.
func (w *world) page(target string) string {
	w.t.Helper()
	a := w.get(target)
	if a.Code != http.StatusOK {
		w.t.Fatalf("GET %s: status %d: %s", target, a.Code, a.body)
	}
	return a.body
}

func contains(t testing.TB, page string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func lacks(t testing.TB, page string, unwanted ...string) {
	t.Helper()
	for _, not := range unwanted {
		if strings.Contains(page, not) {
			t.Errorf("page contains %q", not)
		}
	}
}

// inOrder checks that the texts follow each other on the page.
func inOrder(t testing.TB, page string, texts ...string) {
	t.Helper()
	at := 0
	for _, text := range texts {
		i := strings.Index(page[at:], text)
		if i < 0 {
			t.Fatalf("%q does not follow in the order of blocks", text)
		}
		at += i + len(text)
	}
}

// unknownOrigins is another battery of the example's maker whose origins are
// only partly known and whose lots nobody disclosed.
func unknownOrigins(t testing.TB, baseURL string) map[string]any {
	t.Helper()
	doc := example(t)
	set(doc, baseURL+"/01/09506000134376/21/BK9T2M0000417", "passport", "batteryId")
	set(doc, "BK9T2M0000417", "passport", "serialNumber")
	set(doc, "NL2-2027W10", "passport", "batchId")
	batch := doc["batch"].(map[string]any)
	set(batch, "NL2-2027W10", "batchId")
	delete(batch, "origins")
	delete(batch, "entities")
	delete(batch, "midstream")
	set(batch, need(strictjson.Parse([]byte(`[
		{"mineral": "nickel", "massKg": 54.06, "extraction": {"FI": 0.45, "ID": 0.15}, "refining": {"FI": 0.45, "KR": 0.3, "NO": 0.15},
		 "recycled": {"DE": 0.1}, "byCustodyModel": {"segregated": 0.6, "massBalance": 0.15, "none": 0.25}, "byVerification": {"documented": 0.75, "unknown": 0.25}},
		{"mineral": "graphite", "massKg": 28.8, "extraction": {"MZ": 0.7}, "refining": {"unknown": 0.3, "US": 0.7}}
	]`)))(t), "originSummary")
	return doc
}

func (w *world) suspend(id passport.ID, reason string) {
	w.t.Helper()
	need(w.SetState(context.Background(), operator, id, registry.Suspended, reason))(w.t)
}

// photoOf draws a QR code of the text as a phone would see it: with a margin,
// on a grey table.
func photoOf(t testing.TB, text string) []byte {
	t.Helper()
	code := need(carrier.QR(text, carrier.Quartile))(t)
	return code.PNG(8)
}

// inLang asks for a page in one language.
func inLang(path, lang string) string {
	if strings.Contains(path, "?") {
		return path + "&lang=" + lang
	}
	return path + "?lang=" + lang
}
