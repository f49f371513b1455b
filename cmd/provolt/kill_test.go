package main_test

import (
	"database/sql"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the "pgx" driver
	_ "modernc.org/sqlite"             // registers the "sqlite" driver

	"github.com/provolt/provolt/internal/bench/binary"
	"github.com/provolt/provolt/internal/pgtest"
)

// kills is how often each store's registry is killed; with both, 20 times.
const kills = 10

// TestServerEndsUnderLoad runs the real program on each store while a maker's
// lines register batteries, and ends it: roughly, again and again, then as an
// operator does. What was acknowledged is there and genuine, nothing is half
// there, and who got no answer asks again under the same key.
func TestServerEndsUnderLoad(t *testing.T) {
	t.Parallel()
	program := binary.Build(t)
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		registry := program.Init(t, "")
		file := "file:" + filepath.Join(registry.Dir, "provolt.db") + "?_pragma=busy_timeout(10000)"
		endUnderLoad(t, newMaker(t, registry, open(t, "sqlite", file)))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url := pgtest.Database(t)
		endUnderLoad(t, newMaker(t, program.Init(t, url), open(t, "pgx", url)))
	})
}

// open connects to the database behind the registry's back.
func open(t *testing.T, driver, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func endUnderLoad(t *testing.T, m *maker) {
	t.Helper()
	t.Run("killed, it loses nothing", m.survivesKills)
	t.Run("the check sees what is half there", m.seesHalves)
	t.Run("stopped, it finishes what it began", m.survivesStop)
}

// survivesKills kills the server at random moments. Each time everything is
// checked as the crash left it, and who got no answer asks again.
func (m *maker) survivesKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("the moments are those of seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	server := m.registry.Serve(t)
	m.registerModel(t, server)
	var doubtful, stored int
	var slowest time.Duration
	for range kills {
		load := m.work(t, server)
		time.Sleep(time.Duration(5+moments.IntN(400)) * time.Millisecond)
		server.Kill(t)
		load.Wait()

		began := time.Now()
		server = m.registry.Serve(t)
		slowest = max(slowest, time.Since(began))
		m.check(t, server)
		doubtful += len(m.doubtful)
		stored += m.settle(t, server)
	}
	m.check(t, server)
	m.checkNothingElse(t)
	t.Logf("killed %d times: %d registrations acknowledged, %d without an answer, of which %d had been stored; back after at most %v",
		kills, len(m.acknowledged), doubtful, stored, slowest.Round(time.Millisecond))
	server.Kill(t)
}

// stopWithin is how long a stop may take.
const stopWithin = 20 * time.Second

// survivesStop asks the server to stop under load: it ends well, and it
// answered for everything it stored.
func (m *maker) survivesStop(t *testing.T) {
	server := m.registry.Serve(t)
	load := m.work(t, server)
	time.Sleep(200 * time.Millisecond)
	code, err := server.Stop(stopWithin)
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 {
		t.Errorf("exit code %d\n%s", code, server.Log())
	}
	load.Wait()
	m.checkNothingElse(t)
	m.check(t, m.registry.Serve(t))
}
