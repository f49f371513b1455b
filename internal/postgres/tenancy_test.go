package postgres_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// confidential are the tables whose rows only their tenants may see.
var confidential = []string{"disclosure", "idempotency", "member", "enrolment", "purpose_log", "access_grant"}

// shared are the tables that hold no organisation's rows.
var shared = []string{"instance", "battery_claim", "slot_counter", "log_pending", "goose_db_version"}

// populated returns a database in which every tenant's table has rows of
// alpha, and a connection past the store, as the role that serves.
func populated(t *testing.T) *pgx.Conn {
	t.Helper()
	url := pgtest.Database(t)
	s := open(t, url, postgres.Options{})
	samples := storetest.NewSamples(1)
	issued, enrolled := samples.Register(alpha), samples.Enrol(alpha)
	item := issued.Records[2]
	read := samples.Read(item, beta)
	commit(t, s, samples.Organisation(alpha), issued, enrolled, samples.Redeem(enrolled, "ada"),
		samples.Move(item, registry.Active, registry.Suspended), samples.Grant(alpha, "gamma3"),
		registry.Change{Tenant: alpha, At: samples.Time(), Release: &registry.Release{Passport: item.Series, Owner: alpha, To: beta, At: samples.Time()}},
		registry.Change{Tenant: beta, At: samples.Time(), Reads: []registry.Read{read}})
	conn := connect(t, url)
	execute(t, conn, "SET ROLE "+postgres.ServingRole)
	return conn
}

// as acts for the tenants in a transaction that is undone.
func as(t *testing.T, conn *pgx.Conn, tenants []passport.OrgID, do func(pgx.Tx)) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `SELECT set_config('provolt.tenants', $1::text[]::text, true)`, tenants); err != nil {
		t.Fatal(err)
	}
	do(tx)
}

func TestQueryThatActsForNobodySeesNoConfidentialRow(t *testing.T) {
	t.Parallel()
	conn := populated(t)
	for _, table := range confidential {
		if n := count(t, conn, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%s shows %d rows to nobody", table, n)
		}
	}
	if n := count(t, conn, `SELECT count(*) FROM record`); n != 3 {
		t.Errorf("%d records are published, want 3", n)
	}
}

func TestTenantSeesItsOwnRowsAndNoOthers(t *testing.T) {
	t.Parallel()
	conn := populated(t)
	for _, tt := range []struct {
		tenants []passport.OrgID
		rows    bool
	}{
		{[]passport.OrgID{alpha}, true},
		{[]passport.OrgID{beta, alpha}, true},
		{[]passport.OrgID{beta}, false},
		{[]passport.OrgID{"alph", "alpha ", "ALPHA", "{alpha}", `alpha","x`}, false},
		{[]passport.OrgID{""}, false},
		{[]passport.OrgID{}, false},
	} {
		as(t, conn, tt.tenants, func(tx pgx.Tx) {
			for _, table := range confidential {
				if n := count(t, tx.Conn(), `SELECT count(*) FROM `+table); n > 0 != tt.rows {
					t.Errorf("%s shows %d rows to %q", table, n, tt.tenants)
				}
			}
		})
	}
}

func TestTenantsOfATransactionEndWithIt(t *testing.T) {
	t.Parallel()
	conn := populated(t)
	as(t, conn, []passport.OrgID{alpha}, func(pgx.Tx) {})
	if n := count(t, conn, `SELECT count(*) FROM disclosure`); n != 0 {
		t.Errorf("%d disclosures of the tenant before", n)
	}
}

func TestGranteeSeesTheGrantAndCannotRevokeIt(t *testing.T) {
	t.Parallel()
	conn := populated(t)
	as(t, conn, []passport.OrgID{"gamma3"}, func(tx pgx.Tx) {
		if n := count(t, tx.Conn(), `SELECT count(*) FROM access_grant`); n != 1 {
			t.Errorf("grantee sees %d grants", n)
		}
		tag, err := tx.Exec(t.Context(), `UPDATE access_grant SET revoked_at = now()`)
		if err != nil || tag.RowsAffected() != 0 {
			t.Errorf("grantee revoked %d grants: %v", tag.RowsAffected(), err)
		}
	})
}

func TestTenantCannotWriteRowsOfAnother(t *testing.T) {
	t.Parallel()
	conn := populated(t)
	const denied = "42501" // insufficient_privilege
	for _, insert := range []string{
		`INSERT INTO record SELECT gen_random_uuid(), type, version, record_id, org, natural_key, token_digest, content_digest,
			salt, issued_at, slot, gtin, lot, serial, model_record_id, batch_record_id, jws FROM record`,
		`INSERT INTO disclosure VALUES (gen_random_uuid(), gen_random_uuid(), 'alpha', '[]')`,
		`INSERT INTO natural_key VALUES ('\x00', 'alpha', gen_random_uuid())`,
		`INSERT INTO idempotency VALUES ('\x00', 'alpha', '', '', now())`,
		`INSERT INTO member VALUES ('alpha', 'https://login.example', 'mallory', '["operatorAdmin"]', now())`,
		`INSERT INTO enrolment VALUES ('\x00', 'alpha', '[]', now())`,
		`INSERT INTO signing_key VALUES ('alpha', 'did:web:example#mallory', 'ES256', '', now())`,
		`INSERT INTO organisation VALUES ('alpha2', '', '', '[]', '[]', '', now())`,
		`INSERT INTO passport_status VALUES (gen_random_uuid(), 1, 1, 'active', 'revoked', '', 'alpha', now())`,
		`INSERT INTO passport_release VALUES (gen_random_uuid(), 'alpha', 'beta-works', now())`,
		`INSERT INTO access_grant VALUES (gen_random_uuid(), 'alpha', 'beta-works', 15, NULL, NULL, now(), now())`,
		`INSERT INTO purpose_log VALUES ('alpha', 99, 'beta-works', '', '', gen_random_uuid(), 1, '[]', now(), '')`,
	} {
		for _, tenants := range [][]passport.OrgID{nil, {beta}} {
			as(t, conn, tenants, func(tx pgx.Tx) {
				if _, err := tx.Exec(t.Context(), insert); sqlState(err) != denied {
					t.Errorf("for %q: %s: %v", tenants, insert, err)
				}
			})
		}
	}
	as(t, conn, []passport.OrgID{beta}, func(tx pgx.Tx) {
		for _, update := range []string{
			`UPDATE organisation SET name = 'mallory'`,
			`UPDATE signing_key SET retired_at = now()`,
			`UPDATE member SET roles = '[]'`,
			`UPDATE enrolment SET redeemed_at = NULL`,
		} {
			if tag, err := tx.Exec(t.Context(), update); err != nil || tag.RowsAffected() != 0 {
				t.Errorf("%s touched %d rows of alpha: %v", update, tag.RowsAffected(), err)
			}
		}
	})
}

func TestWhatIsWrittenStays(t *testing.T) {
	t.Parallel()
	conn := populated(t)
	const denied = "42501"
	var statements []string
	for _, table := range []string{"record", "disclosure", "natural_key", "passport_status", "purpose_log", "idempotency", "log_pending", "instance"} {
		statements = append(statements, `DELETE FROM `+table, `TRUNCATE `+table)
	}
	statements = append(statements,
		`UPDATE record SET jws = ''`, `UPDATE disclosure SET packed = ''`, `UPDATE natural_key SET series_id = gen_random_uuid()`,
		`UPDATE passport_status SET to_state = 'active'`, `UPDATE purpose_log SET purpose = ''`, `UPDATE idempotency SET request = ''`,
		`UPDATE log_pending SET data = ''`, `UPDATE instance SET environment = 'production'`,
		`UPDATE signing_key SET public_key = ''`, `UPDATE access_grant SET points = 15`, `UPDATE enrolment SET expires_at = now()`,
		`DELETE FROM organisation`, `DELETE FROM signing_key`, `DELETE FROM battery_claim`, `DELETE FROM access_grant`,
		`DROP TABLE record`, `ALTER TABLE record DISABLE ROW LEVEL SECURITY`, `CREATE TABLE mine (x bigint)`)
	for _, statement := range statements {
		as(t, conn, []passport.OrgID{alpha}, func(tx pgx.Tx) {
			if _, err := tx.Exec(t.Context(), statement); sqlState(err) != denied {
				t.Errorf("%s: %v", statement, err)
			}
		})
	}
}

func TestEveryTenantTableIsBehindTheWall(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Database(t))
	rows, err := conn.Query(t.Context(), `SELECT relname::text, relrowsecurity AND relforcerowsecurity
		FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	var table string
	var walled bool
	if _, err := pgx.ForEachRow(rows, []any{&table, &walled}, func() error {
		if walled == slices.Contains(shared, table) {
			t.Errorf("table %s: forced row level security is %v", table, walled)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestEveryConnectionOfTheStoreServesAsTheBoundRole(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, postgres.Options{})
	commit(t, s, storetest.NewSamples(1).Register(alpha))
	conn := connect(t, url)
	execute(t, conn, "SET ROLE "+postgres.ServingRole)
	// The test's own login may act as the role; RESET on a serving connection
	// leads back to the role, because it came with the first message.
	config := conn.Config().Copy()
	config.RuntimeParams["role"] = postgres.ServingRole
	serving, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer serving.Close(t.Context())
	execute(t, serving, "RESET ROLE")
	if n := count(t, serving, `SELECT count(*) FROM disclosure`); n != 0 {
		t.Errorf("%d disclosures after RESET ROLE", n)
	}
}
