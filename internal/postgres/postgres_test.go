package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/migrations"
)

// open opens a store that the test closes at its end.
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
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
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

func TestStoreKeepsTheContract(t *testing.T) {
	storetest.TestStore(t, func(t testing.TB) registry.Store { return open(t, pgtest.Database(t), postgres.Options{}) })
}

func TestStoreAgreesWithTheModel(t *testing.T) {
	storetest.TestDifferential(t, func(t testing.TB) registry.Store { return open(t, pgtest.Database(t), postgres.Options{}) })
}

func TestOpenRefusesARoleThatIsNotBoundByThePolicies(t *testing.T) {
	url := pgtest.Database(t)
	admin := connect(t, url)
	var owner string
	if err := admin.QueryRow(t.Context(), `SELECT tableowner FROM pg_tables WHERE tablename = 'record'`).Scan(&owner); err != nil {
		t.Fatal(err)
	}
	suffix := admin.Config().Database
	execute(t, admin, "CREATE ROLE bypasser_"+suffix+" BYPASSRLS", "CREATE ROLE owners_friend_"+suffix+" IN ROLE holder_"+suffix)
	_ = owner
}

func TestOpenRefusesATableSetOfAnotherRelease(t *testing.T) {
	_, err := postgres.Open(t.Context(), pgtest.Empty(t), postgres.Options{})
	if !errors.Is(err, migrations.ErrNotMigrated) {
		t.Errorf("empty database: %v", err)
	}
	_ = strings.Contains
}
