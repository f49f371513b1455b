package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
	"github.com/provolt/provolt/schemas"
)

// base is the address the registry of every world believes to be at.
const base = "http://localhost:8080"

// start is after the production period of the examples.
var start = time.Date(2027, 4, 1, 9, 0, 0, 250_000_000, time.UTC)

// The people of every world.
var (
	operator = as(passport.Operator, access.OperatorAdmin)
	maker    = as("nordlicht", access.Issuer)
	rival    = as("veloplus", access.Issuer)
	recycler = as("kreislauf", access.LegitimateInterest)
	customs  = as("hafenzoll", access.Authority)
	verifier = as("pruefhaus", access.ContractedVerifier)
	auditor  = as("rechnungshof", access.Auditor)
	nobody   = access.Subject{}
)

func as(org passport.OrgID, roles ...access.Role) access.Subject {
	return access.Subject{Org: org, Name: "clerk", Roles: roles}
}

// world is a registry with real keys, a clock the test sets, and a ledger of
// what was committed.
type world struct {
	*registry.Registry
	t      testing.TB
	truth  *ledger        // the database, whatever stands between it and the registry
	store  registry.Store // what the registry sees
	keys   *keyring.Keyring
	dir    string
	clock  *clock
	secret map[passport.OrgID]string // one-time secrets of the first administrators
}

// clock is what a registry takes for the time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	w.clock.now = w.clock.now.Add(d)
}

// ledger is a database that remembers the log entries it was given: no Store
// has a way to read them before there is a log.
type ledger struct {
	registry.Store
	mu      sync.Mutex
	leaves  []registry.Leaf
	commits int
}

func (l *ledger) Commit(ctx context.Context, c registry.Change) (registry.Committed, error) {
	done, err := l.Store.Commit(ctx, c)
	if err == nil && !done.Repeated {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leaves = append(l.leaves, c.Leaves...)
		l.commits++
	}
	return done, err
}

// written is how many changes were committed so far.
func (l *ledger) written() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits
}

// database opens an empty store that is closed when the test ends.
type database func(testing.TB) registry.Store

func onSQLite(t testing.TB) registry.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "provolt.db")
	must(t, sqlite.Migrate(context.Background(), path, sqlite.Options{}))
	return closing(t)(sqlite.Open(context.Background(), path, sqlite.Options{}))
}

func onPostgres(t testing.TB) registry.Store {
	t.Helper()
	return closing(t)(postgres.Open(context.Background(), pgtest.Database(t), postgres.Options{Timeout: time.Minute}))
}

func closing(t testing.TB) func(registry.Store, error) registry.Store {
	return func(s registry.Store, err error) registry.Store {
		t.Helper()
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

// everywhere runs a story on every database.
func everywhere(t *testing.T, story func(*world)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]database{"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, open, nil)
			story(w)
			w.fsck()
		})
	}
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

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, onSQLite, nil)
}

// newWorldOn lets a test choose the database, and put something between it and
// the registry once its people are admitted.
func newWorldOn(t testing.TB, open database, wrap func(registry.Store) registry.Store) *world {
	t.Helper()
	w := &world{
		t: t, truth: &ledger{Store: open(t)}, dir: t.TempDir(), clock: &clock{now: start}, secret: map[passport.OrgID]string{},
	}
	var err error
	w.keys, err = keyring.Open(w.dir, keyring.Options{})
	w.must(err)
	instance := registry.Instance{BaseURL: base, Environment: "demo", CreatedAt: start}
	w.must(registry.Init(context.Background(), w.truth, w.keys, instance, "Test registry", "DE"))
	w.Registry = w.open(w.truth)
	for _, person := range []access.Subject{maker, rival, recycler, customs, verifier, auditor} {
		w.admit(person.Org, person.Roles...)
	}
	if w.store = w.truth; wrap != nil {
		w.store = wrap(w.truth)
		w.Registry = w.open(w.store)
	}
	return w
}

// open opens the registry in the store: another process, if one is open.
func (w *world) open(store registry.Store) *registry.Registry {
	w.t.Helper()
	cat, validator := rules()
	reg, err := registry.Open(context.Background(), registry.Options{
		Store: store, Keys: w.keys, Catalogue: cat, Validator: validator, Random: rand.Reader,
		Now: w.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	return reg
}

func (w *world) admit(id passport.OrgID, roles ...access.Role) {
	w.t.Helper()
	secret, err := w.Admit(w.ctx(), operator, registry.Organisation{ID: id, Name: string(id) + " GmbH", Country: "DE", Roles: roles})
	w.must(err)
	w.secret[id] = secret
}

func (w *world) ctx() context.Context { return context.Background() }

func (w *world) must(err error) {
	w.t.Helper()
	must(w.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(explain(err))
	}
}

// explain adds every violation of a refusal to its text.
func explain(err error) string {
	if invalid, ok := errors.AsType[*registry.Invalid](err); ok {
		raw, _ := json.MarshalIndent(invalid.Violations, "", " ")
		return err.Error() + "\n" + string(raw)
	}
	return err.Error()
}

// need is what cannot fail unless the world is broken.
func need[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// document is the body of a write.
type document map[string]any

// example is one of the shipped documents, anew for each caller.
func example(t testing.TB, name string) document {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(need(schemas.FS.ReadFile("examples/" + name))(t)))
	d.UseNumber()
	var doc document
	must(t, d.Decode(&doc))
	return doc
}

// pack is the electric car pack of the examples under another serial number.
func pack(t testing.TB, serial string) document {
	t.Helper()
	return example(t, "ev.json").serial(serial)
}

// serial gives the document another battery.
func (d document) serial(serial string) document {
	item := d["passport"].(map[string]any)
	id, old := item["batteryId"].(string), item["serialNumber"].(string)
	item["batteryId"], item["serialNumber"] = strings.Replace(id, old, serial, 1), serial
	return d
}

// set puts a value at a path, making objects on the way.
func (d document) set(value any, path ...string) document {
	at := map[string]any(d)
	for _, name := range path[:len(path)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	if at[path[len(path)-1]] = value; value == nil {
		delete(at, path[len(path)-1])
	}
	return d
}

// at reads a value at a path.
func (d document) at(path ...string) any {
	var v any = map[string]any(d)
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// only keeps some of the members.
func (d document) only(names ...string) document {
	out := document{}
	for _, name := range names {
		out[name] = d[name]
	}
	return out
}

// pin names registered records of a receipt instead of sending them whole.
func (d document) pin(r registry.Receipt, types ...passport.RecordType) document {
	for _, t := range types {
		d[string(t)] = map[string]any{"recordId": issued(r, t).RecordID.String()}
	}
	return d
}

// after names a passport as the predecessor.
func (d document) after(id passport.ID) document {
	return d.set([]any{map[string]any{"uri": id.URN()}}, "passport", "predecessors")
}

func (d document) body(t testing.TB) []byte {
	t.Helper()
	return need(json.Marshal(d))(t)
}

// issued is the record of a type in a receipt.
func issued(r registry.Receipt, t passport.RecordType) registry.Issued {
	at := slices.IndexFunc(r.Records, func(i registry.Issued) bool { return i.Type == t })
	if at < 0 {
		return registry.Issued{}
	}
	return r.Records[at]
}

// by is a write of the document.
func (d document) by(t testing.TB, who access.Subject) registry.Write {
	t.Helper()
	return registry.Write{By: who, Body: d.body(t)}
}

// keyed is the same write under an Idempotency-Key.
func keyed(w registry.Write, key string) registry.Write {
	w.Key = key
	return w
}

// dry is the same write as a dry run.
func dry(w registry.Write) registry.Write {
	w.DryRun = true
	return w
}

// register issues the passport of a document of the maker, which must pass.
func (w *world) register(doc document) registry.Receipt {
	w.t.Helper()
	return w.registerAs(maker, doc)
}

func (w *world) registerAs(who access.Subject, doc document) registry.Receipt {
	w.t.Helper()
	return need(w.RegisterPassport(w.ctx(), doc.by(w.t, who)))(w.t)
}

// clash holds an error to a conflict with this code.
func (w *world) clash(err error, code string) *registry.Conflict {
	w.t.Helper()
	c, ok := errors.AsType[*registry.Conflict](err)
	if !ok || c.Code != code {
		if err == nil {
			err = errors.New("no error")
		}
		w.t.Fatalf("got %v, want the conflict %s", explain(err), code)
	}
	return c
}

// invalid holds an error to a refusal with this violation.
func (w *world) invalid(err error, pointer, code string) {
	w.t.Helper()
	i, ok := errors.AsType[*registry.Invalid](err)
	if !ok {
		w.t.Fatalf("got %v, want the violation %s at %s", err, code, pointer)
	}
	if !slices.ContainsFunc(i.Violations, func(v passport.Violation) bool {
		return v.Pointer == pointer && v.Code == code && v.Severity == passport.Blocking && v.Expected != "" && v.Found != "" && v.Repair != ""
	}) {
		w.t.Fatalf("want the violation %s at %q, complete; got %v", code, pointer, explain(err))
	}
}

// is holds an error to a sentinel.
func (w *world) is(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("got %v, want %v", err, want)
	}
}

// view is a passport as a reader with a purpose sees it.
func (w *world) view(id passport.ID, who access.Subject) registry.View {
	w.t.Helper()
	return need(w.Passport(w.ctx(), id, 0, reader(who)))(w.t)
}

func reader(who access.Subject) registry.Reader {
	return registry.Reader{By: who, Purpose: "market surveillance, case 12/2027"}
}

// together calls f for 0 to n-1 at once and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
