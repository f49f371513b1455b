package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/migrations"
)

const (
	alpha passport.OrgID = "alpha"
	beta  passport.OrgID = "beta-works"
)

// open opens a store that is closed when the test ends.
func open(t testing.TB, url string, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fresh opens a store in a database of its own.
func fresh(t testing.TB) registry.Store {
	t.Helper()
	return open(t, pgtest.Database(t), postgres.Options{})
}

// commit applies changes that nothing refuses.
func commit(t testing.TB, s registry.Store, changes ...registry.Change) {
	t.Helper()
	for _, c := range changes {
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// connect opens a connection past the store, as the login of the url.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func execute(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func count(t testing.TB, conn *pgx.Conn, query string) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// sqlState is what the server said of a statement it refused.
func sqlState(err error) string {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code
	}
	return ""
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.TestStore(t, fresh)
}

func TestStoreAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	storetest.TestDifferential(t, fresh)
}

// role makes a role that lives as long as the test; roles belong to the whole
// server, so its name holds the database's.
func role(t testing.TB, admin *pgx.Conn, kind, attributes string) string {
	t.Helper()
	name := kind + "_" + admin.Config().Database
	execute(t, admin, "CREATE ROLE "+name+" "+attributes)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.ConnectConfig(ctx, admin.Config())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP OWNED BY "+name+"; DROP ROLE "+name); err != nil {
			t.Error(err)
		}
	})
	return name
}

func TestOpenRefusesARoleThatThePoliciesDoNotBind(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	admin := connect(t, url)
	var super string
	if err := admin.QueryRow(t.Context(), `SELECT current_user`).Scan(&super); err != nil {
		t.Fatal(err)
	}
	bypasser := role(t, admin, "bypasser", "BYPASSRLS")
	owner := role(t, admin, "owner", "")
	friend := role(t, admin, "friend", "IN ROLE "+owner)
	execute(t, admin, "ALTER TABLE disclosure OWNER TO "+owner)

	for _, tt := range []struct{ role, because string }{
		{super, "is a superuser"},
		{bypasser, "has BYPASSRLS"},
		{owner, "owns the tables"},
		{friend, "owns the tables"},
	} {
		s, err := postgres.Open(t.Context(), url, postgres.Options{Role: tt.role})
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, postgres.ErrUnsafeRole) || !strings.Contains(err.Error(), tt.because) {
			t.Errorf("role that %s: %v", tt.because, err)
		}
	}
}

func TestOpenRefusesTablesOfAnotherRelease(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	admin := connect(t, url)
	for _, tt := range []struct {
		name, statement string
		want            error
	}{
		{"older", `UPDATE goose_db_version SET is_applied = false WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`, migrations.ErrNotMigrated},
		{"newer", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`, migrations.ErrNewerSchema},
	} {
		execute(t, admin, tt.statement)
		if s, err := postgres.Open(t.Context(), url, postgres.Options{}); !errors.Is(err, tt.want) {
			t.Errorf("%s tables: %v", tt.name, err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
}

func TestOpenRefusesADatabaseThatWouldForget(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	admin := connect(t, url)
	execute(t, admin, "ALTER DATABASE "+admin.Config().Database+" SET synchronous_commit = off")
	if s, err := postgres.Open(t.Context(), url, postgres.Options{}); err == nil {
		_ = s.Close()
		t.Error("opened with synchronous_commit off")
	}
}

func TestOpenSaysThatThereAreNoTables(t *testing.T) {
	t.Parallel()
	pgtest.Database(t) // for the role, which is the server's
	_, err := postgres.Open(t.Context(), pgtest.Empty(t), postgres.Options{})
	if !errors.Is(err, migrations.ErrNotMigrated) {
		t.Error(err)
	}
}

func TestOpenSaysThatThereIsNoServer(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), "postgres:///none?host="+t.TempDir(), postgres.Options{})
	if !errors.Is(err, registry.ErrUnavailable) {
		t.Error(err)
	}
}
