package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// migrated holds the bytes of an empty, migrated database: migrating costs as
// much as a hundred commits, and every test needs one.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "provolt-sqlite")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	if err := Migrate(context.Background(), path, Options{}); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// file puts an empty, migrated database into a directory of the test.
func file(tb testing.TB) string {
	tb.Helper()
	empty, err := migrated()
	if err != nil {
		tb.Fatalf("make template: %v", err)
	}
	path := filepath.Join(tb.TempDir(), "provolt.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func openAt(tb testing.TB, path string, o Options) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

func fresh(tb testing.TB) registry.Store {
	tb.Helper()
	return openAt(tb, file(tb), Options{})
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.TestStore(t, fresh)
}

func TestStoreAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	storetest.TestDifferential(t, fresh)
}
