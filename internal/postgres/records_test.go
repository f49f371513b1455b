package postgres_test

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// many issues a passport and n conditions of it.
func many(t *testing.T, s registry.Store, samples *storetest.Samples, n int) registry.Record {
	t.Helper()
	issued := samples.Register(alpha)
	item := issued.Records[2]
	conditions := make([]registry.Record, n)
	for i := range conditions {
		conditions[i] = samples.Condition(item, i+1)
	}
	commit(t, s, issued, registry.Change{Tenant: alpha, At: samples.Time(), Records: conditions})
	return item
}

func TestRecordsCrossPagesInOrder(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), postgres.Options{MaxConns: 2})
	const total = 600
	item := many(t, s, storetest.NewSamples(1), total)
	for _, tt := range []struct{ limit, want int }{
		{0, total}, {1, 1}, {255, 255}, {256, 256}, {257, 257}, {512, 512}, {513, 513}, {total, total}, {total + 1, total},
	} {
		version := 0
		for r, err := range s.Records(t.Context(), registry.Filter{Type: passport.Condition, Series: item.Series, Limit: tt.limit}) {
			if err != nil {
				t.Fatal(err)
			}
			if version++; r.Version != version {
				t.Fatalf("limit %d: version %d after %d", tt.limit, r.Version, version-1)
			}
		}
		if version != tt.want {
			t.Errorf("limit %d: %d records, want %d", tt.limit, version, tt.want)
		}
	}
}

func TestRecordsShowOneMoment(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), postgres.Options{MaxConns: 2})
	samples := storetest.NewSamples(1)
	const total = 300
	item := many(t, s, samples, total)
	seen := 0
	for _, err := range s.Records(t.Context(), registry.Filter{Type: passport.Condition, Series: item.Series}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1 { // while the loop stands at its first page
			commit(t, s, registry.Change{Tenant: alpha, At: samples.Time(), Records: []registry.Record{samples.Condition(item, total+1)}})
		}
	}
	if seen != total {
		t.Errorf("saw %d records of %d", seen, total)
	}
}

func TestLoopsOverRecordsLeaveAConnectionForWhatIsCalledInside(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), postgres.Options{MaxConns: 3})
	item := many(t, s, storetest.NewSamples(1), 300)
	filter := registry.Filter{Type: passport.Condition, Series: item.Series}
	var loops sync.WaitGroup
	for range 6 { // twice as many as connections
		loops.Go(func() {
			for _, err := range s.Records(t.Context(), filter) {
				if err == nil {
					_, err = s.Record(t.Context(), registry.Query{ID: item.ID})
				}
				if err != nil {
					t.Error(err)
				}
				return // early: the connection must come back
			}
		})
	}
	loops.Wait()
	for range 6 {
		for _, err := range s.Records(t.Context(), filter) {
			if err != nil {
				t.Error(err)
			}
			break
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRestrictedReadsFormAChain(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, postgres.Options{})
	samples := storetest.NewSamples(1)
	issued := samples.Register(alpha) // alpha is not admitted: readers have no row to queue at
	commit(t, s, issued)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 5 {
				read := samples.Read(issued.Records[2], beta)
				if _, err := s.Commit(t.Context(), registry.Change{Tenant: beta, At: read.At, Reads: []registry.Read{read, read}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()

	conn := connect(t, url)
	rows, err := conn.Query(t.Context(), `SELECT seq, chain FROM purpose_log WHERE owner = $1 ORDER BY seq`, alpha)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Seq   int
		Chain []byte
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		t.Fatal(err)
	}
	reads, err := s.Reads(t.Context(), alpha, 100)
	if err != nil || len(reads) != 40 || len(entries) != 40 {
		t.Fatalf("%d reads, %d entries: %v", len(reads), len(entries), err)
	}
	var chain [sha256.Size]byte
	for i, e := range entries {
		text, err := json.Marshal(reads[len(reads)-1-i])
		if err != nil {
			t.Fatal(err)
		}
		chain = sha256.Sum256(append(chain[:], text...))
		if e.Seq != i+1 || string(e.Chain) != string(chain[:]) {
			t.Fatalf("entry %d has seq %d and breaks the chain", i+1, e.Seq)
		}
	}
}
