//go:build bench

package bench_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // registers the "sqlite" driver

	"github.com/provolt/provolt/internal/bench"
	"github.com/provolt/provolt/internal/bench/binary"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
	"github.com/provolt/provolt/internal/sqlite"
)

// onSQLite measures what does not depend on the store, and the embedded one.
func (r *run) onSQLite() {
	w := start(r.T, r.program(), "")
	r.furnish(w)
	r.reads(w)
	r.page(w)
	r.embeddedSize(w)
	r.embeddedCommits()
}

func (r *run) program() binary.Program { return binary.Build(r.T) }

// reads compares reading one passport again and again with static bytes.
func (r *run) reads(w *workload) {
	body := r.ask(w, "GET", "/v1/passports/"+w.first, nil, http.StatusOK, "Accept: application/json")
	tag := r.entityTag(w, "/v1/passports/"+w.first)
	address, pid := static(r.T, body)
	baseline := side{load{address: address, want: http.StatusOK, each: always(jsonOf(w.first))}.run, []meter{server(pid)}}
	meters := []meter{server(w.PID)}
	r.report.Method = append(r.report.Method, bench.Fact{Name: "the passport read", Value: "the shipped electric car example with model and batch, " + strconv.Itoa(len(body)) + " bytes of JSON"})
	r.compare(bench.Figure{
		Name: "GET a passport, cached", Baseline: "Gin serving the same bytes", Goal: 0.75, Aim: 0.9, Missed: cachedMissed,
		LeftOut: "TLS, compression and the network. One passport is asked for anonymously; ours looks it up, checks that it is fresh, sets its headers and writes the access log, the baseline has neither log nor look-up.",
	}, r.slice, side{load{address: w.address(), want: http.StatusOK, each: always(jsonOf(w.first))}.run, meters}, baseline)
	r.compare(bench.Figure{
		Name: "GET a passport the client holds (304)", Baseline: "Gin serving the whole bytes", Goal: 1.2, Missed: heldMissed,
		LeftOut: "the same as above. Ours answers `If-None-Match` without a body; the baseline sends the body, as a client without conditional requests would have it.",
	}, r.slice, side{load{address: w.address(), want: http.StatusNotModified, each: always(jsonOf(w.first, "If-None-Match: "+tag))}.run, meters}, baseline)
}

var stylesheet = regexp.MustCompile(`<link[^>]+rel="?stylesheet"?[^>]*>`)

var href = regexp.MustCompile(`href="([^"]+)"`)

// page weighs the scan page as a phone gets it.
func (r *run) page(w *workload) {
	html := r.ask(w, "GET", "/p/"+w.first, nil, http.StatusOK, "Accept: text/html", "Accept-Language: de")
	size := bench.Size{Name: "scan page of the electric car example, gzip", Limit: 30_000, Note: "German page with its style sheets, no cookie, no script, no image beside it."}
	add := func(name string, raw []byte) {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, err := z.Write(raw)
		if err := errors.Join(err, z.Close()); err != nil {
			r.Fatal(err)
		}
		size.Bytes += int64(out.Len())
		size.Of = append(size.Of, bench.Share{Name: name, Bytes: int64(out.Len())})
	}
	add("page", html)
	for _, link := range stylesheet.FindAll(html, -1) {
		at, err := url.Parse(string(href.FindSubmatch(link)[1]))
		if err != nil {
			r.Fatal(err)
		}
		add("style sheet", r.ask(w, "GET", at.RequestURI(), nil, http.StatusOK))
	}
	r.report.Sizes = append(r.report.Sizes, size)
}

// perItem is what a store takes for one item.
const perItemLimit = 5000

// embeddedSize fills the registry and counts the pages of its file.
func (r *run) embeddedSize(w *workload) {
	before := r.pages(w)
	r.fill(w, r.items)
	after := r.pages(w)
	r.perItem("one item in SQLite", before, after, "file without its write-ahead log, pages half empty included; model and batch are shared and not counted.")
}

// perItem is the difference of two weighings, by object.
func (r *run) perItem(name string, before, after map[string]int64, note string) {
	size := bench.Size{Name: name, Limit: perItemLimit, Note: "after " + strconv.Itoa(r.items) + " items: " + note}
	for object, bytes := range after {
		if each := (bytes - before[object]) / int64(r.items); each > 0 {
			size.Bytes += each
			size.Of = append(size.Of, bench.Share{Name: object, Bytes: each})
		}
	}
	slices.SortFunc(size.Of, func(a, b bench.Share) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	r.Logf("%-50s %d bytes %v", name, size.Bytes, size.Of)
	r.report.Sizes = append(r.report.Sizes, size)
}

// pages is the space each table and index takes.
func (r *run) pages(w *workload) map[string]int64 {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.registry.Dir, "provolt.db")+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	return r.weigh(db, `SELECT name, sum(pgsize) FROM dbstat GROUP BY name`)
}

// weigh reads names and their bytes.
func (r *run) weigh(db *sql.DB, query string) map[string]int64 {
	rows, err := db.QueryContext(r.Context(), query)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]int64{}
	for rows.Next() {
		var name string
		var bytes int64
		if err := rows.Scan(&name, &bytes); err != nil {
			r.Fatal(err)
		}
		out[name] = bytes
	}
	if err := rows.Err(); err != nil {
		r.Fatal(err)
	}
	return out
}

// changes makes commits of items as the registry would, the signed bytes and
// disclosures being real ones.
func (r *run) changes(number uint32, store registry.Store) func() registry.Change {
	s := r.sample()
	issued, err := s.issue(r.envelope())
	if err != nil {
		r.Fatal(err)
	}
	var disclosures []registry.Disclosure
	for _, d := range issued.Disclosures {
		disclosures = append(disclosures, registry.Disclosure(d))
	}
	samples := storetest.NewSamples(number)
	first := samples.Register("nordlicht")
	for _, c := range []registry.Change{samples.Organisation("nordlicht"), first} {
		if _, err := store.Commit(r.Context(), c); err != nil {
			r.Fatal(err)
		}
	}
	return func() registry.Change {
		c := samples.RegisterItem(first.Records[0], first.Records[1])
		c.Records[0].JWS, c.Records[0].Disclosures = issued.JWS, disclosures
		return c
	}
}

// committing is a side of n clients that each commit one change after the
// other.
func committing(n int, commit func(context.Context, registry.Change) error, next func() registry.Change, meters ...meter) side {
	return side{meters: append([]meter{usage("store", syscall.RUSAGE_SELF)}, meters...), run: func(d time.Duration) (bench.Slice, error) {
		var ops atomic.Int64
		faults := make([]error, n)
		var all sync.WaitGroup
		began := time.Now()
		for i := range n {
			all.Go(func() {
				for time.Since(began) < d && faults[i] == nil {
					faults[i] = commit(context.Background(), next())
					ops.Add(1)
				}
			})
		}
		all.Wait()
		return bench.Slice{Ops: ops.Load(), Rate: float64(ops.Load()) / time.Since(began).Seconds()}, errors.Join(faults...)
	}}
}

// embeddedCommits compares the embedded store with the same rows inserted by
// hand.
func (r *run) embeddedCommits() {
	open := func() (*sqlite.Store, string) {
		path := filepath.Join(r.TempDir(), "provolt.db")
		if err := sqlite.Migrate(r.Context(), path, sqlite.Options{}); err != nil {
			r.Fatal(err)
		}
		store, err := sqlite.Open(r.Context(), path, sqlite.Options{})
		if err != nil {
			r.Fatal(err)
		}
		return store, path
	}
	ours, _ := open()
	defer func() { _ = ours.Close() }()
	commit := func(ctx context.Context, c registry.Change) error {
		_, err := ours.Commit(ctx, c)
		return err
	}
	other, path := open()
	changes := r.changes(2, other)
	if err := other.Close(); err != nil {
		r.Fatal(err)
	}
	bare := newBare(r, path)
	defer func() { _ = bare.db.Close() }()
	next := r.changes(1, ours)
	for _, n := range []int{1, clients} {
		r.compare(bench.Figure{
			Name: "commit an item to SQLite, " + strconv.Itoa(n) + " at once", Baseline: "modernc inserting the same rows, 1 connection", Goal: 0.8, Missed: sqliteMissed,
			LeftOut: "HTTP, validation and signing. Both write a record with its disclosures, claim, idempotency key and leaf in one durable transaction (synchronous FULL); ours also asks whether each may be written. " +
				"SQLite has one writer, so the baseline is one connection in either figure.",
		}, r.slice, committing(n, commit, next), committing(1, bare.insert, changes))
	}
}

// bare is the least that keeps an item in SQLite: the statements alone.
type bare struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newBare(r *run, path string) *bare {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-32000)")
	if err != nil {
		r.Fatal(err)
	}
	conn, err := db.Conn(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return &bare{db, conn, map[string]*sql.Stmt{}}
}

func (b *bare) exec(ctx context.Context, statement string, args ...any) error {
	stmt := b.stmts[statement]
	if stmt == nil {
		var err error
		if stmt, err = b.conn.PrepareContext(ctx, statement); err != nil {
			return err
		}
		b.stmts[statement] = stmt
	}
	_, err := stmt.ExecContext(ctx, args...)
	return err
}

// insert writes the rows of one item, without a question asked.
func (b *bare) insert(ctx context.Context, c registry.Change) error {
	i, at := c.Records[0], c.At.UnixMicro()
	packed, err := json.Marshal(i.Disclosures)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{`BEGIN IMMEDIATE`, nil},
		{
			`INSERT INTO idempotency (key_hash, org, request, refs, committed_at) VALUES (?, ?, ?, ?, ?)`,
			[]any{randomBytes(32), string(i.Org), c.Once.Request[:], i.ID[:], at},
		},
		{
			`INSERT INTO record (series_id, type, version, record_id, org, natural_key, token_digest, content_digest, salt,
				issued_at, slot, gtin, lot, serial, model_record_id, batch_record_id, jws) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			[]any{
				i.Series[:], string(i.Type), i.Version, i.ID[:], string(i.Org), []byte(i.Key), i.TokenDigest[:], i.ContentDigest[:], i.Salt[:],
				at, i.Slot, i.GTIN, i.Lot, i.Serial, i.Model[:], i.Batch[:], i.JWS,
			},
		},
		{`INSERT INTO disclosure (series_id, record_id, org, packed) VALUES (?, ?, ?, ?)`, []any{i.Series[:], i.ID[:], string(i.Org), packed}},
		{`INSERT INTO battery_claim (battery_key, series_id, claimed_at) VALUES (?, ?, ?)`, []any{c.Claim.Battery[:], i.Series[:], at}},
		{
			`INSERT INTO log_pending (series_id, leaf_id, kind, data, pending_since) VALUES (?, ?, ?, ?, ?)`,
			[]any{i.Series[:], i.ID[:], string(c.Leaves[0].Kind), c.Leaves[0].Data, at},
		},
		{`COMMIT`, nil},
	} {
		if err := b.exec(ctx, s.sql, s.args...); err != nil {
			return err
		}
	}
	return nil
}

func randomBytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out) // never fails: crypto/rand aborts the process instead
	return out
}
