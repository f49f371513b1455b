package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

func TestStoreOutlivesACrashOfTheServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	s := open(t, server.Database(t), postgres.Options{})
	samples := storetest.NewSamples(1)
	first := samples.Register(alpha)
	commit(t, s, samples.Organisation(alpha), first)

	// Eight clients register until the server dies under them.
	var mu sync.Mutex
	var acknowledged []passport.ID
	var clients sync.WaitGroup
	warm := make(chan struct{})
	for range 8 {
		clients.Go(func() {
			for {
				c := samples.RegisterItem(first.Records[0], first.Records[1])
				if _, err := s.Commit(t.Context(), c); err != nil {
					if !errors.Is(err, registry.ErrUnavailable) {
						t.Errorf("commit into a crash: %v", err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, c.Records[0].ID)
				if len(acknowledged) == 50 {
					close(warm)
				}
				mu.Unlock()
			}
		})
	}
	<-warm
	server.Crash(t)
	clients.Wait()
	if _, err := s.Record(t.Context(), registry.Query{ID: first.Records[0].ID}); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("read without a server: %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("ping without a server: %v", err)
	}

	server.Restart(t)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatalf("first call after the restart: %v", err)
	}
	for _, id := range acknowledged {
		if _, err := s.Record(t.Context(), registry.Query{ID: id}); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
		}
	}
	commit(t, s, samples.RegisterItem(first.Records[0], first.Records[1]))
	everyIssueIsWhole(t, s)
}

// everyIssueIsWhole checks that what a registration writes is there together.
func everyIssueIsWhole(t *testing.T, s *postgres.Store) {
	t.Helper()
	var issued int64
	for r, err := range s.Records(t.Context(), registry.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		issued++
		ds, err := s.Disclosures(t.Context(), []passport.OrgID{r.Org}, []passport.ID{r.ID})
		if err != nil || len(ds[r.ID]) == 0 {
			t.Errorf("record %s has no disclosures: %v", r.ID, err)
		}
		if r.Type != passport.Item {
			continue
		}
		held, err := s.Record(t.Context(), registry.Query{Key: &registry.NaturalKey{Type: passport.Item, Text: r.Key}})
		if err != nil || held.ID != r.ID {
			t.Errorf("battery of %s is claimed by %s: %v", r.ID, held.ID, err)
		}
	}
	leaves, err := s.PendingLeaves(t.Context())
	if err != nil || leaves != issued+1 { // one for the organisation
		t.Errorf("%d leaves for %d records: %v", leaves, issued, err)
	}
}

func TestStoreGoesOnAfterAnAdministratorEndedItsConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, postgres.Options{})
	samples := storetest.NewSamples(1)
	commit(t, s, samples.Register(alpha))
	execute(t, connect(t, url), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	c := samples.Register(alpha)
	done, err := s.Commit(t.Context(), c)
	if err != nil || done.Repeated {
		t.Errorf("commit: %+v, %v", done, err)
	}
}

// wire stands between a store and its server and can lose an answer: the
// server gets the commit and the client never hears of it.
type wire struct {
	lose atomic.Bool // the answer to the next COMMIT, and the connection with it
	lost atomic.Int64
}

// between returns the url of the wire to the database.
func between(t *testing.T, database string) (*wire, string) {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), network, address)
			if err != nil {
				_ = client.Close()
				continue
			}
			open.Go(func() { w.carry(client, server) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	there := url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password),
		Host: listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable",
	}
	return w, there.String()
}

// carry passes bytes both ways until one side ends.
func (w *wire) carry(client, server net.Conn) {
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			break
		}
		// "C", length, "COMMIT": the tag of a transaction that is durable.
		if strings.Contains(string(buffer[:n]), "COMMIT\x00") && w.lose.CompareAndSwap(true, false) {
			w.lost.Add(1)
			break
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			break
		}
	}
	_, _ = client.Close(), server.Close()
	there.Wait()
}

func TestCommitWhoseAnswerIsLostHappensOnce(t *testing.T) {
	t.Parallel()
	w, url := between(t, pgtest.Database(t))
	s := open(t, url, postgres.Options{})
	samples := storetest.NewSamples(1)
	commit(t, s, samples.Register(alpha))

	keyed := samples.Register(alpha)
	w.lose.Store(true)
	done, err := s.Commit(t.Context(), keyed)
	if err != nil || done.Repeated || len(done.Refs) != 3 {
		t.Errorf("a change with a key is its caller's, not a repetition: %+v, %v", done, err)
	}
	if again, err := s.Commit(t.Context(), keyed); err != nil || !again.Repeated {
		t.Errorf("the caller's own repetition is one: %+v, %v", again, err)
	}

	bare := samples.Register(alpha)
	bare.Once = nil
	w.lose.Store(true)
	if _, err := s.Commit(t.Context(), bare); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a change without a key has an unknown outcome: %v", err)
	}
	if _, err := s.Record(t.Context(), registry.Query{ID: bare.Records[0].ID}); err != nil {
		t.Errorf("it was durable: %v", err)
	}
	if n := w.lost.Load(); n != 2 {
		t.Errorf("lost %d answers, planned 2", n)
	}
}

func TestCommitGivesUpWaitingForALock(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, postgres.Options{Timeout: 200 * time.Millisecond})
	samples := storetest.NewSamples(1)
	c := samples.Register(alpha)
	holder := connect(t, url)
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE battery_claim`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("commit behind a lock: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.PendingLeaves(t.Context()); err != nil || n != 0 {
		t.Errorf("it left %d leaves: %v", n, err)
	}
	if done, err := s.Commit(t.Context(), c); err != nil || done.Repeated {
		t.Errorf("same change afterwards: %+v, %v", done, err)
	}
}

// TestServerErrorsHaveTheirMeaning makes the last statement of a change fail
// with each error a server can raise, for the first few tries.
func TestServerErrorsHaveTheirMeaning(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, postgres.Options{})
	admin := connect(t, url)
	samples := storetest.NewSamples(1)
	execute(t, admin, `CREATE SEQUENCE tries`, `GRANT USAGE ON SEQUENCE tries TO `+postgres.ServingRole,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') <= TG_ARGV[1]::bigint THEN RAISE EXCEPTION 'planned' USING ERRCODE = TG_ARGV[0]; END IF;
			RETURN NEW; END $$`)
	for _, tt := range []struct {
		name, code, times string
		want              error
	}{
		{"a full disk", "53100", "1", registry.ErrFull},
		{"no memory", "53200", "1", registry.ErrUnavailable},
		{"a statement that took too long", "57014", "1", registry.ErrUnavailable},
		{"a standby", "25006", "1", registry.ErrUnavailable},
		{"one serialization failure", "40001", "1", nil},
		{"three deadlocks", "40P01", "3", nil},
		{"nothing but deadlocks", "40P01", "1000", registry.ErrUnavailable},
	} {
		execute(t, admin, `CREATE TRIGGER planned BEFORE INSERT ON log_pending FOR EACH ROW EXECUTE FUNCTION fail('`+tt.code+`', '`+tt.times+`')`)
		c := samples.Register(alpha)
		_, err := s.Commit(t.Context(), c)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		_, found := s.Record(t.Context(), registry.Query{ID: c.Records[0].ID})
		if applied := found == nil; applied != (tt.want == nil) {
			t.Errorf("%s: change applied: %v", tt.name, applied)
		}
		execute(t, admin, `DROP TRIGGER planned ON log_pending`, `ALTER SEQUENCE tries RESTART`)
	}
	// Any other error is a fault of ours, and nobody's invitation to retry.
	execute(t, admin, `CREATE TRIGGER planned BEFORE INSERT ON log_pending FOR EACH ROW EXECUTE FUNCTION fail('XX000', '1000')`)
	_, err := s.Commit(t.Context(), samples.Register(alpha))
	for _, known := range []error{nil, registry.ErrUnavailable, registry.ErrFull, registry.ErrStale, registry.ErrNotFound} {
		if errors.Is(err, known) {
			t.Errorf("internal error of the server: %v", err)
		}
	}
}
