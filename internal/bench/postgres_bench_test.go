//go:build bench

package bench_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the "pgx" driver

	"github.com/provolt/provolt/internal/bench"
	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
)

// served is a registry in PostgreSQL beside another database of the same
// server in which pgbench does the same.
type served struct {
	*workload
	database, other string // connection strings
	db              *sql.DB
	processes       meter
}

// onPostgreSQL measures what a registry on a database server costs beyond the
// server's own work.
func (r *run) onPostgreSQL() {
	cluster := pgtest.Start(r.T, pgtest.Options{Durable: true})
	s := &served{database: cluster.Database(r.T), other: cluster.Database(r.T)}
	s.processes = family("database", postmaster(r.T, s.database))
	db, err := sql.Open("pgx", s.database)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s.db = db
	s.workload = start(r.T, r.program(), s.database)
	r.furnish(s.workload)
	r.settings(db)
	r.servedSize(s)
	r.coldReads(s)
	r.commits(s)
	r.registers(s)
}

// settings notes what makes a database server fast or safe.
func (r *run) settings(db *sql.DB) {
	var all []string
	for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "autovacuum"} {
		var value string
		if err := db.QueryRowContext(r.Context(), `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			r.Fatal(err)
		}
		all = append(all, name+" "+value)
	}
	r.report.Machine = append(r.report.Machine, bench.Fact{Name: "PostgreSQL", Value: strings.Join(all, ", ") + "; over a Unix socket"})
}

// servedSize fills the registry and asks the server what it keeps. The planner
// learns of the first items at once, as it does within a minute from
// autovacuum, which pgtest leaves off.
func (r *run) servedSize(s *served) {
	before := r.weigh(s.db, relations)
	first := min(r.items/2, 1000)
	r.fill(s.workload, first)
	if _, err := s.db.ExecContext(r.Context(), `ANALYZE`); err != nil {
		r.Fatal(err)
	}
	r.fill(s.workload, r.items-first)
	r.perItem("one item in PostgreSQL", before, r.weigh(s.db, relations), "tables, indexes and TOAST without the server's write-ahead log; model and batch are shared and not counted.")
}

// relations are tables and indexes; what is kept out of line counts to its
// table.
const relations = `SELECT relname, CASE relkind WHEN 'i' THEN pg_relation_size(oid) ELSE pg_table_size(oid) END
	FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')`

// coldReads compares reading passports that no cache holds with selecting
// their rows.
func (r *run) coldReads(s *served) {
	ids := r.shuffled(s.db, r.items)
	requests := make([][]byte, len(ids))
	for i, id := range ids {
		requests[i] = jsonOf(id)
	}
	var scripts []string
	for _, id := range ids[:min(rows, len(ids))] {
		scripts = append(scripts, `SELECT series_id, type, version, record_id, org, natural_key, token_digest, content_digest, salt,
			issued_at, slot, gtin, lot, serial, model_record_id, batch_record_id, jws FROM record
			WHERE series_id = '`+id+`' AND type = 'passport' ORDER BY version DESC LIMIT 1;`)
	}
	// The baseline reads the registry's own database.
	baseline := r.pgbench(s.database, clients, scripts...)
	baseline.meters = append(baseline.meters, s.processes)
	r.compare(bench.Figure{
		Name: "GET a passport from PostgreSQL", Baseline: "pgbench selecting the same rows", Goal: 0.25, Missed: coldMissed,
		LeftOut: fmt.Sprintf("the disk: the rows are in the server's memory on both sides. %d passports are asked for in turn, so that a rendered answer has gone stale (2 s) and its record been driven out of the caches (4,096 parts) before it is asked for again; "+
			"model and batch stay cached. Ours asks for record and status, checks the signature and renders; the baseline fetches the one row.", len(ids)),
	}, r.slice, side{load{address: s.address(), want: http.StatusOK, each: inTurn(requests)}.run, []meter{server(s.PID), s.processes}}, baseline)
}

// rows is how many different rows pgbench selects, each prepared by each
// client.
const rows = 25

// shuffled returns ids of n passports in no order of time.
func (r *run) shuffled(db *sql.DB, n int) []string {
	rows, err := db.QueryContext(r.Context(), `SELECT series_id FROM record WHERE type = 'passport' ORDER BY md5(series_id::text) LIMIT $1`, n)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			r.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		r.Fatal(err)
	}
	return ids
}

// commits compares the store with pgbench sending the same statements.
func (r *run) commits(s *served) {
	store, err := postgres.Open(r.Context(), s.other, postgres.Options{MaxConns: clients})
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	commit := func(ctx context.Context, c registry.Change) error {
		_, err := store.Commit(ctx, c)
		return err
	}
	next := r.changes(3, store)
	baseline := r.pgbench(s.other, clients, registration(next()))
	baseline.meters = append(baseline.meters, s.processes)
	r.compare(bench.Figure{
		Name: "commit an item to PostgreSQL", Baseline: "pgbench, same statements in one pipeline", Goal: 0.6, Missed: commitMissed,
		LeftOut: "HTTP, validation and signing. Both send BEGIN, the tenant, five inserts (idempotency key, record, disclosures, claim, leaf) and COMMIT in one round trip, as the serving role under row level security. " +
			"The baseline's keys are made by the server with a few functions, which costs it a little.",
	}, r.slice, committing(clients, commit, next, s.processes), baseline)
}

// registration is the statements of an item's commit with values of the same
// sizes; keys that follow time do so here too.
func registration(c registry.Change) string {
	i := c.Records[0]
	packed := strings.Repeat("d", packedLength(i))
	literal := func(b []byte) string { return `'\x` + hex.EncodeToString(b) + `'` }
	const (
		series = `(lpad(to_hex((extract(epoch FROM now()) * 1000000)::bigint), 16, '0') || lpad(to_hex((:n)::bigint), 16, '0'))::uuid`
		hash   = `sha256(int8send((:n)::bigint))`
	)
	return `\set n random(1, 9000000000000000000)
\startpipeline
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT set_config('provolt.tenants', ('{nordlicht}'::text[])::text, true);
INSERT INTO idempotency (key_hash, org, request, refs, committed_at) VALUES (` + hash + `, 'nordlicht', ` + literal(c.Once.Request[:]) + `, uuid_send(` + series + `), now());
INSERT INTO record (series_id, type, version, record_id, org, natural_key, token_digest, content_digest, salt,
 issued_at, slot, gtin, lot, serial, model_record_id, batch_record_id, jws)
 VALUES (` + series + `, 'passport', 1, ` + series + `, 'nordlicht', convert_to(encode(` + hash + `, 'hex'), 'UTF8'), ` + literal(i.TokenDigest[:]) + `, ` + literal(i.ContentDigest[:]) + `, ` + literal(i.Salt[:]) + `,
 now(), (:n)::bigint, '` + i.GTIN + `', '` + i.Lot + `', '` + i.Serial + `', '` + i.Model.String() + `', '` + i.Batch.String() + `', convert_to('` + string(i.JWS) + `', 'UTF8'));
INSERT INTO disclosure (series_id, record_id, org, packed) VALUES (` + series + `, ` + series + `, 'nordlicht', convert_to('` + packed + `', 'UTF8'));
INSERT INTO battery_claim (battery_key, series_id, claimed_at) VALUES (` + hash + `, ` + series + `, now());
INSERT INTO log_pending (series_id, leaf_id, kind, data, pending_since) VALUES (` + series + `, ` + series + `, 'issue', convert_to('` + string(c.Leaves[0].Data) + `', 'UTF8'), now());
COMMIT;
\endpipeline
`
}

// packedLength is what an item's disclosures take in their row.
func packedLength(i registry.Record) int {
	n := len("[]")
	for _, d := range i.Disclosures {
		n += len(`["","",""],`) + len(d.Attribute) + len(d.Tier) + len(d.Encoded)
	}
	return n
}

// registers compares the whole way of an item with a bare insert of what the
// client sent.
func (r *run) registers(s *served) {
	other, err := sql.Open("pgx", s.other)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	for _, statement := range []string{
		`CREATE TABLE document (id uuid PRIMARY KEY, body bytea NOT NULL)`,
		`ALTER TABLE document ALTER COLUMN body SET STORAGE EXTERNAL`,
		`GRANT INSERT ON document TO ` + postgres.ServingRole,
	} {
		if _, err := other.ExecContext(r.Context(), statement); err != nil {
			r.Fatal(err)
		}
	}
	body := strings.ReplaceAll(string(s.item), "'", "''")
	baseline := r.pgbench(s.other, clients, `INSERT INTO document (id, body) VALUES (gen_random_uuid(), convert_to('`+body+`', 'UTF8'));`)
	baseline.meters = append(baseline.meters, s.processes)
	r.report.Method = append(r.report.Method, bench.Fact{Name: "the item registered", Value: fmt.Sprintf("%d bytes of JSON that pin model and batch", len(s.item))})
	r.compare(bench.Figure{
		Name: "register an item on PostgreSQL", Baseline: "pgbench inserting the same bytes", Goal: 0.2, Aim: 0.35, Missed: registerMissed,
		LeftOut: "TLS and the network. Ours is the whole of `POST /v1/passports`: access token, strict JSON, schema and cross-field checks against model and batch, signature, self-check, and the durable commit with claim, idempotency key, disclosures and leaf. " +
			"The baseline puts the bytes that were sent into one table, one durable transaction each.",
	}, r.slice, side{s.registrations().run, []meter{server(s.PID), s.processes}}, baseline)
}

// pgbench is a side that runs the scripts, one of them at random each time, as
// the serving role.
func (r *run) pgbench(database string, n int, scripts ...string) side {
	dir := r.TempDir()
	args := []string{"-n", "-M", "prepared", "-c", strconv.Itoa(n), "-j", "2"}
	for i, script := range scripts {
		file := filepath.Join(dir, strconv.Itoa(i)+".sql")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			r.Fatal(err)
		}
		args = append(args, "-f", file)
	}
	program := r.pgbenchPath()
	return side{meters: []meter{usage("pgbench", syscall.RUSAGE_CHILDREN)}, run: func(d time.Duration) (bench.Slice, error) {
		seconds := strconv.Itoa(int(math.Ceil(d.Seconds())))
		cmd := exec.CommandContext(r.Context(), program, append(args, "-T", seconds, database)...)
		cmd.Env = append(os.Environ(), "PGOPTIONS=-c role="+postgres.ServingRole, "LC_ALL=C")
		said, err := cmd.CombinedOutput()
		if err != nil {
			return bench.Slice{}, fmt.Errorf("pgbench: %w\n%s", err, said)
		}
		return readPgbench(string(said))
	}}
}

var (
	processed = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	failed    = regexp.MustCompile(`number of failed transactions: (\d+)`)
	tps       = regexp.MustCompile(`tps = ([0-9.]+) \(without initial connection time\)`)
)

func readPgbench(said string) (bench.Slice, error) {
	n, rate := processed.FindStringSubmatch(said), tps.FindStringSubmatch(said)
	if n == nil || rate == nil {
		return bench.Slice{}, fmt.Errorf("pgbench said:\n%s", said)
	}
	if f := failed.FindStringSubmatch(said); f != nil && f[1] != "0" {
		return bench.Slice{}, fmt.Errorf("%s transactions of pgbench failed:\n%s", f[1], said)
	}
	var s bench.Slice
	var err error
	if s.Ops, err = strconv.ParseInt(n[1], 10, 64); err != nil {
		return s, fmt.Errorf("pgbench: %w", err)
	}
	if s.Rate, err = strconv.ParseFloat(rate[1], 64); err != nil {
		return s, fmt.Errorf("pgbench: %w", err)
	}
	return s, nil
}

// pgbenchPath is the pgbench of the newest PostgreSQL installed, that of
// pgtest's server.
func (r *run) pgbenchPath() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil {
		r.Fatal(err)
	}
	best, version := "pgbench", 0
	for _, path := range found {
		if v, err := strconv.Atoi(strings.Split(path, "/")[4]); err == nil && v > version {
			best, version = path, v
		}
	}
	return best
}
