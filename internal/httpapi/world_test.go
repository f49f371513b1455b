package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
	"github.com/provolt/provolt/schemas"
)

// base is the address the registry of every world believes to be at.
const base = "http://localhost:8080"

// start is after the production period of the examples.
var start = time.Date(2027, 4, 1, 9, 0, 0, 0, time.UTC)

// members are the organisations of every world with the one role of each.
var members = map[passport.OrgID]access.Role{
	"nordlicht": access.Issuer, "veloplus": access.Issuer, "kreislauf": access.LegitimateInterest, "hafenzoll": access.Authority,
	"pruefhaus": access.ContractedVerifier, "rechnungshof": access.Auditor, "treuhand": access.OperatorAdmin,
}

var operator = access.Subject{Org: passport.Operator, Name: "root", Roles: []access.Role{access.OperatorAdmin}}

// world is the API over a registry on SQLite in a temporary directory, with
// real keys and tokens and a clock the test sets. Every exchange passes the
// contract check.
type world struct {
	*registry.Registry
	t       testing.TB
	engine  http.Handler
	store   registry.Store
	issuer  *identity.Issuer
	clock   *clock
	logged  *lockedBuffer
	limited bool
	secrets map[passport.OrgID]string // one-time secrets of the first administrators
}

// clock is what every part of a world takes for the time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// furnish changes what a world is made of before it is made.
type furnish func(*plan)

type plan struct {
	wrap    func(registry.Store) registry.Store
	options func(*httpapi.Options)
}

// onStore puts something between the registry and its store.
func onStore(wrap func(registry.Store) registry.Store) furnish {
	return func(p *plan) { p.wrap = wrap }
}

// with changes what the API is served with.
func with(options func(*httpapi.Options)) furnish {
	return func(p *plan) { p.options = options }
}

// rules are loaded once: they are data and never change.
var rules = sync.OnceValues(func() (*catalogue.Catalogue, *schema.Validator) {
	cat, err := catalogue.Load()
	if err != nil {
		panic(err)
	}
	validator, err := schema.New(cat)
	if err != nil {
		panic(err)
	}
	return cat, validator
})

func newWorld(t testing.TB, changes ...furnish) *world {
	t.Helper()
	p := plan{wrap: func(s registry.Store) registry.Store { return s }, options: func(*httpapi.Options) {}}
	for _, change := range changes {
		change(&p)
	}
	w := &world{t: t, clock: &clock{now: start}, logged: &lockedBuffer{}, secrets: map[passport.OrgID]string{}}
	log := slog.New(slog.NewJSONHandler(w.logged, nil))
	keys := w.open(p.wrap, log)
	w.admitMembers()
	w.serve(keys, log, p.options)
	return w
}

// open makes the registry.
func (w *world) open(wrap func(registry.Store) registry.Store, log *slog.Logger) *keyring.Keyring {
	w.t.Helper()
	ctx, dir := context.Background(), w.t.TempDir()
	path := filepath.Join(dir, "provolt.db")
	keys, err := keyring.Open(filepath.Join(dir, "keys"), keyring.Options{})
	w.must(err)
	w.must(sqlite.Migrate(ctx, path, sqlite.Options{}))
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	w.must(err)
	w.t.Cleanup(func() { _ = store.Close() })
	w.store = wrap(store)
	instance := registry.Instance{BaseURL: base, Environment: "demo", CreatedAt: start}
	w.must(registry.Init(ctx, store, keys, instance, "Test registry", "DE"))
	cat, validator := rules()
	w.Registry, err = registry.Open(ctx, registry.Options{
		Store: w.store, Keys: keys, Catalogue: cat, Validator: validator, Random: rand.Reader, Now: w.clock.Now, Log: log,
	})
	w.must(err)
	return keys
}

func (w *world) admitMembers() {
	w.t.Helper()
	for id, role := range members {
		w.admit(id, role)
	}
}

func (w *world) admit(id passport.OrgID, roles ...access.Role) {
	w.t.Helper()
	org := registry.Organisation{ID: id, Name: string(id) + " GmbH", Country: "DE", Roles: roles}
	secret, err := w.Admit(context.Background(), operator, org)
	w.must(err)
	w.secrets[id] = secret
}

// serve puts the API over the registry, with the built-in token issuer.
func (w *world) serve(keys *keyring.Keyring, log *slog.Logger, change func(*httpapi.Options)) {
	w.t.Helper()
	secret, err := keys.Secret("access-tokens")
	w.must(err)
	w.issuer, err = identity.NewIssuer(base, base, secret, rand.Reader)
	w.must(err)
	auth, err := identity.New(identity.Options{Audience: base, Issuer: w.issuer, Admitted: w.admitted})
	w.must(err)
	o := httpapi.Options{
		Registry: w.Registry, Authenticate: auth.Authenticate, BuiltInIssuer: base, Now: w.clock.Now, Log: log,
		Enrol: func(m registry.Member, at time.Time) (string, error) {
			return w.issuer.Token(m.Subject, m.Org, m.Roles, identity.MaxLifetime, at)
		},
	}
	change(&o)
	w.limited = o.Limits != httpapi.Limits{}
	engine, err := httpapi.New(o)
	w.must(err)
	w.engine = engine
}

func (w *world) admitted(ctx context.Context, id passport.OrgID) ([]access.Role, error) {
	org, err := w.Organisation(ctx, id)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, identity.ErrNotAdmitted
	}
	return org.Roles, err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// token is an access token of a person of the organisation.
func (w *world) token(org passport.OrgID, roles ...access.Role) string {
	w.t.Helper()
	if len(roles) == 0 {
		roles = []access.Role{members[org]}
	}
	token, err := w.issuer.Token("clerk", org, roles, identity.MaxLifetime, w.clock.Now())
	w.must(err)
	return token
}

// call is one request being made.
type call struct {
	method, path string
	header       http.Header
	body         []byte
	stream       io.Reader // instead of body
	from         string    // remote address
}

// part is something a request carries beside method and path.
type part func(*world, *call)

// as signs the request of the one role of an organisation, or of other roles.
func as(org passport.OrgID, roles ...access.Role) part {
	return func(w *world, c *call) { c.header.Set("Authorization", "Bearer "+w.token(org, roles...)) }
}

func header(name, value string) part {
	return func(_ *world, c *call) { c.header.Add(name, value) }
}

func purpose(text string) part { return header("Purpose", text) }
func accept(text string) part  { return header("Accept", text) }
func key(text string) part     { return header("Idempotency-Key", text) }

func from(address string) part {
	return func(_ *world, c *call) { c.from = address }
}

// raw is a JSON body as it is; any other content type has to be set after it.
func raw(body []byte) part {
	return func(_ *world, c *call) {
		c.body = body
		c.header.Set("Content-Type", "application/json")
	}
}

func contentType(text string) part {
	return func(_ *world, c *call) { c.header.Set("Content-Type", text) }
}

func (w *world) get(path string, parts ...part) *answer {
	w.t.Helper()
	return w.do(http.MethodGet, path, parts...)
}

// post sends v as JSON.
func (w *world) post(path string, v any, parts ...part) *answer {
	w.t.Helper()
	return w.do(http.MethodPost, path, append([]part{raw(marshal(w.t, v))}, parts...)...)
}

// do makes one exchange, which has to keep the contract. A GET that leaves no
// trace is made again as HEAD, which has to answer the same without the body.
func (w *world) do(method, path string, parts ...part) *answer {
	w.t.Helper()
	a, err := w.exchange(method, path, parts...)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", method, path, err, a)
	}
	if method == http.MethodGet && !w.limited && a.request.header.Get("Purpose") == "" {
		head, err := w.exchange(http.MethodHead, path, parts...)
		if err != nil {
			w.t.Fatalf("HEAD %s: %v\n%s", path, err, head)
		}
		sameHead(w.t, a, head)
	}
	return a
}

// exchange makes one request and checks the answer against the contract.
func (w *world) exchange(method, path string, parts ...part) (*answer, error) {
	c := call{method: method, path: path, header: http.Header{}, from: "192.0.2.1:4711"}
	for _, p := range parts {
		p(w, &c)
	}
	if c.stream == nil {
		c.stream = bytes.NewReader(c.body)
	}
	req := httptest.NewRequestWithContext(w.t.Context(), method, base+"/", io.NopCloser(c.stream))
	target, err := url.ParseRequestURI(path)
	if err != nil {
		return &answer{t: w.t}, err
	}
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery = target.Path, target.RawPath, target.RawQuery
	req.RequestURI, req.ContentLength, req.RemoteAddr = path, int64(len(c.body)), c.from
	maps.Copy(req.Header, c.header)
	rec := httptest.NewRecorder()
	w.engine.ServeHTTP(rec, req)
	a := &answer{t: w.t, request: c, status: rec.Code, header: rec.Result().Header, body: rec.Body.Bytes()}
	return a, contract().check(req, c.body, a)
}

// sameHead holds HEAD to RFC 9110 section 9.3.2: the header section of GET.
func sameHead(t testing.TB, get, head *answer) {
	t.Helper()
	if head.status != get.status {
		t.Fatalf("HEAD %s: status %d, GET %d", get.request.path, head.status, get.status)
	}
	one, other := get.header.Clone(), head.header.Clone()
	one.Del("Request-Id")
	other.Del("Request-Id")
	for name := range one {
		if one.Get(name) != other.Get(name) {
			t.Fatalf("HEAD %s: %s is %q, GET %q", get.request.path, name, other.Get(name), one.Get(name))
		}
	}
	if len(one) != len(other) {
		t.Fatalf("HEAD %s: headers %v, GET %v", get.request.path, other, one)
	}
}

// answer is one response.
type answer struct {
	t       testing.TB
	request call
	status  int
	header  http.Header
	body    []byte
}

func (a *answer) String() string {
	return http.StatusText(a.status) + " " + string(a.body[:min(len(a.body), 4000)])
}

// want holds the answer to a status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s %s: status %d, want %d\n%s", a.request.method, a.request.path, a.status, status, a)
	}
	return a
}

// refused holds the answer to a problem with this status and code.
func (a *answer) refused(status int, code string) *answer {
	a.t.Helper()
	a.want(status)
	if got := a.text("code"); got != code {
		a.t.Fatalf("%s %s: problem %q, want %q\n%s", a.request.method, a.request.path, got, code, a)
	}
	return a
}

// json is the body as a tree.
func (a *answer) json() map[string]any {
	a.t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		a.t.Fatalf("%s %s: %v\n%s", a.request.method, a.request.path, err, a)
	}
	return v
}

// at walks into the body; nil where the path ends early.
func (a *answer) at(path ...string) any {
	a.t.Helper()
	return dig(a.json(), path...)
}

// text is a text in the body; empty where there is none.
func (a *answer) text(path ...string) string {
	a.t.Helper()
	s, _ := a.at(path...).(string)
	return s
}

// violations are the codes of a refusal by pointer.
func (a *answer) violations() map[string]string {
	a.t.Helper()
	found := map[string]string{}
	list, _ := a.at("errors").([]any)
	for _, v := range list {
		pointer, _ := dig(v, "pointer").(string)
		code, _ := dig(v, "code").(string)
		found[pointer] = code
	}
	return found
}

func dig(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// example is one of the shipped documents, anew for each caller.
func example(t testing.TB, name string) map[string]any {
	t.Helper()
	body, err := schemas.FS.ReadFile("examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// battery gives a document another serial number.
func battery(doc map[string]any, serial string) map[string]any {
	item := doc["passport"].(map[string]any)
	id, old := item["batteryId"].(string), item["serialNumber"].(string)
	item["batteryId"], item["serialNumber"] = strings.Replace(id, old, serial, 1), serial
	return doc
}

// register issues the passport of the EV example for another battery.
func (w *world) register(serial string) *answer {
	w.t.Helper()
	return w.post("/v1/passports", battery(example(w.t, "ev.json"), serial), as("nordlicht")).want(http.StatusCreated)
}

// pinned is a document for another battery of the model and batch of a
// registered passport.
func pinned(t testing.TB, first *answer, serial string) map[string]any {
	t.Helper()
	doc := battery(example(t, "ev.json"), serial)
	for _, rec := range first.at("records").([]any) {
		if kind := dig(rec, "type").(string); kind != "passport" {
			doc[kind] = map[string]any{"recordId": dig(rec, "recordId")}
		}
	}
	return doc
}

// recordOf is the entry of a receipt about one type of record.
func recordOf(a *answer, kind string) map[string]any {
	a.t.Helper()
	for _, rec := range a.at("records").([]any) {
		if dig(rec, "type") == kind {
			return rec.(map[string]any)
		}
	}
	a.t.Fatalf("no %s in %s", kind, a)
	return nil
}

var _ http.Handler = (*gin.Engine)(nil)
