package postgres_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/migrations"
)

func migrate(t testing.TB, url string) {
	t.Helper()
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
}

func TestReplicasThatMigrateAtOnceAllSucceed(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	failures := make([]error, 4)
	var replicas sync.WaitGroup
	for i := range failures {
		replicas.Go(func() { failures[i] = postgres.Migrate(t.Context(), url) })
	}
	replicas.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	commit(t, open(t, url, postgres.Options{}), storetest.NewSamples(1).Register(alpha))
}

func TestMigrateLeavesANewerDatabaseAlone(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	admin := connect(t, url)
	execute(t, admin, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	before := tables(t, admin)
	if err := postgres.Migrate(t.Context(), url); !errors.Is(err, migrations.ErrNewerSchema) {
		t.Error(err)
	}
	if diff := cmp.Diff(before, tables(t, admin)); diff != "" {
		t.Errorf("it changed tables (-before +after):\n%s", diff)
	}
}

func TestMigrationBrokenOffAnywhereIsMendedByAnother(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	admin := connect(t, url)
	before := tables(t, admin)
	// Every step was done, and none was noted: the worst a crash can leave.
	execute(t, admin, `DELETE FROM goose_db_version WHERE version_id > 0`)
	migrate(t, url)
	if diff := cmp.Diff(before, tables(t, admin)); diff != "" {
		t.Errorf("migrating again made other tables (-once +again):\n%s", diff)
	}
	commit(t, open(t, url, postgres.Options{}), storetest.NewSamples(1).Register(alpha))
}

func TestRegistryNeedsNoSuperuser(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	url := server.Empty(t)
	admin := connect(t, url)
	execute(t, admin, "CREATE ROLE plain LOGIN CREATEROLE", "ALTER DATABASE "+admin.Config().Database+" OWNER TO plain")
	login := server.URLFor("plain", admin.Config().Database)
	migrate(t, login)
	s := open(t, login, postgres.Options{})
	samples := storetest.NewSamples(1)
	commit(t, s, samples.Organisation(alpha), samples.Register(alpha))

	// The owner of the tables is bound by the policies as well.
	if n := count(t, connect(t, login), `SELECT count(*) FROM disclosure`); n != 0 {
		t.Errorf("owner sees %d disclosures of alpha without acting for it", n)
	}
}

// tables lists every column, policy and privilege of the database.
func tables(t testing.TB, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable)
			FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT concat_ws(' ', tablename, policyname, cmd, qual, with_check) FROM pg_policies
		UNION ALL SELECT concat_ws(' ', table_name, column_name, grantee, privilege_type)
			FROM information_schema.column_privileges WHERE table_schema = 'public'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}
