package registry_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
)

// world is a registry on SQLite in a temporary directory, with real keys and a
// clock the test sets.
type world struct {
	*registry.Registry
	t     *testing.T
	store registry.Store
	now   time.Time
}

// start is after the production period of the example.
var start = time.Date(2027, 4, 1, 9, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	return newWorldOn(t, func(s registry.Store) registry.Store { return s })
}

// newWorldOn lets a test put something between the registry and its store.
func newWorldOn(t *testing.T, wrap func(registry.Store) registry.Store) *world {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	path := filepath.Join(dir, "provolt.db")
	if err := sqlite.Migrate(ctx, path, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.Open(filepath.Join(dir, "keys"), keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: wrap(store), now: start}
	instance := registry.Instance{BaseURL: "http://localhost:8080", Environment: "demo", CreatedAt: start}
	if err := registry.Init(ctx, store, keys, instance, "Test registry", "DE"); err != nil {
		t.Fatal(err)
	}
	w.Registry = w.open(ctx, w.store, keys)
	w.admit("nordlicht", access.Issuer)
	return w
}

func (w *world) open(ctx context.Context, store registry.Store, keys *keyring.Keyring) *registry.Registry {
	w.t.Helper()
	cat, err := catalogue.Load()
	if err != nil {
		w.t.Fatal(err)
	}
	validator, err := schema.New(cat)
	if err != nil {
		w.t.Fatal(err)
	}
	reg, err := registry.Open(ctx, registry.Options{
		Store: store, Keys: keys, Catalogue: cat, Validator: validator, Random: rand.Reader,
		Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return reg
}

var operator = access.Subject{Org: passport.Operator, Name: "root", Roles: []access.Role{access.OperatorAdmin}}

func (w *world) admit(id passport.OrgID, roles ...access.Role) {
	w.t.Helper()
	if _, err := w.Admit(w.t.Context(), operator, registry.Organisation{ID: id, Name: string(id) + " GmbH", Country: "DE", Roles: roles}); err != nil {
		w.t.Fatal(err)
	}
}

func as(org passport.OrgID, roles ...access.Role) access.Subject {
	return access.Subject{Org: org, Name: "clerk", Roles: roles}
}

var maker = as("nordlicht", access.Issuer)

// document reads one of the shipped examples.
func document(t *testing.T, name string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "schemas", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func body(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// register issues the passport of an example, which must pass.
func (w *world) register(doc map[string]any) registry.Receipt {
	w.t.Helper()
	receipt, err := w.RegisterPassport(w.t.Context(), registry.Write{By: maker, Body: body(w.t, doc)})
	if err != nil {
		w.t.Fatalf("register: %v", explain(err))
	}
	return receipt
}

// explain shows every violation of a refusal.
func explain(err error) string {
	raw, _ := json.MarshalIndent(err, "", " ")
	return err.Error() + "\n" + string(raw)
}
