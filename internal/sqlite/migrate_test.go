package sqlite

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/migrations"
)

// raw opens the file as anybody with the sqlite3 tool could.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func text(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var value string
	if err := db.QueryRowContext(t.Context(), query).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

func TestMigrateMakesADatabaseForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with space, ?question & 100%.db")
	if err := Migrate(t.Context(), path, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := openAt(t, path, Options{}).Commit(t.Context(), storetest.NewSamples(1).Register("alpha")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(name), info.Mode())
		}
	}
}

func TestMigratingAgainChangesNothingAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openAt(t, path, Options{})
	c := storetest.NewSamples(1).Register("alpha")
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), path, Options{}); err != nil {
		t.Errorf("migrate beside an open store: %v", err)
	}
	if again, err := s.Commit(t.Context(), c); err != nil || !again.Repeated {
		t.Errorf("commit afterwards: %+v, %v", again, err)
	}
}

func TestMigrationsThatStartAtOnceFollowEachOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "provolt.db")
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if err := Migrate(t.Context(), path, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	openAt(t, path, Options{})
}

func TestMigrationGoesOnAfterACrashBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := raw(t, path)
	want := text(t, db, `SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'goose%' ORDER BY name)`)
	// As if it died amid 0003: half of its tables made, the number not noted.
	run(t, db, `DELETE FROM goose_db_version WHERE version_id >= 3`)
	run(t, db, `DROP TABLE battery_claim`)
	run(t, db, `DROP TABLE passport_status`)
	if err := Migrate(t.Context(), path, Options{}); err != nil {
		t.Fatal(err)
	}
	got := text(t, db, `SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'goose%' ORDER BY name)`)
	if got != want {
		t.Errorf("schema differs:\n%s\nwant\n%s", got, want)
	}
	openAt(t, path, Options{})
}

func TestAnUnmigratedDatabaseIsNotOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing, empty, behind := filepath.Join(dir, "missing.db"), filepath.Join(dir, "empty.db"), file(t)
	if err := create(empty); err != nil {
		t.Fatal(err)
	}
	run(t, raw(t, behind), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	for _, path := range []string{missing, empty, behind} {
		s, err := Open(t.Context(), path, Options{})
		if !errors.Is(err, migrations.ErrNotMigrated) || s != nil {
			t.Errorf("open %s: got %v, want ErrNotMigrated", filepath.Base(path), err)
		}
		if err != nil && !strings.Contains(err.Error(), "provolt migrate") {
			t.Errorf("open %s: %q does not say what to do", filepath.Base(path), err)
		}
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Error("opening a missing database made one")
	}
}

func TestADatabaseOfANewerReleaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := file(t)
	run(t, raw(t, path), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, migrations.ErrNewerSchema) {
		t.Errorf("open: got %v, want ErrNewerSchema", err)
	}
	if err := Migrate(t.Context(), path, Options{}); !errors.Is(err, migrations.ErrNewerSchema) {
		t.Errorf("migrate: got %v, want ErrNewerSchema", err)
	}
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); err == nil {
		t.Error("open: no error")
	}
	if err := Migrate(t.Context(), path, Options{}); err == nil {
		t.Error("migrate: no error")
	}
}
