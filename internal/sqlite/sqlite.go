// Package sqlite keeps a registry's memory in one file, so that callers need
// not know that a database is there: no server, no account, no tuning. It is
// the store of a small maker, of the demo and of every test.
//
// One goroutine, owned by the Store, does all the writing. It takes the
// changes that have queued up while the last transaction went to disk and
// commits them together: under load the cost of making data durable is shared
// by up to 64 changes, and a single change never waits for company. Readers
// run beside it on their own connections and see the last commit.
//
// On a crash the file is as the last commit left it: the write-ahead log is
// flushed to disk (synchronous=FULL) before any Commit returns.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // registers the "sqlite" driver

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/migrations"
)

// Options tune a Store; the zero Options are right for a registry.
type Options struct {
	Readers     int           // connections for point reads, and as many for Records; 0 is 8
	BusyTimeout time.Duration // how long to wait for another process that writes; 0 is 10 s

	maxPages int64 // most pages the file may have; tests fill the disk with it
}

// Store is a registry.Store in one SQLite file.
type Store struct {
	writer *writer

	// Two pools, so that a caller who reads inside a loop over Records never
	// waits for a connection that the loop itself holds.
	reader *reader
	walks  *sql.DB

	queue   chan *job
	written sync.WaitGroup // the writer goroutine

	mu     sync.RWMutex // held for reading while a job enters the queue
	closed bool
}

var _ registry.Store = (*Store)(nil)

// Open opens a database that Migrate has brought to this release's version.
// Any other is refused with migrations.ErrNotMigrated or
// migrations.ErrNewerSchema; a missing file is not made.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", path, migrations.ErrNotMigrated)
	}
	s, err := connect(path, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	version, err := schemaVersion(ctx, s.reader.db)
	if err == nil {
		err = migrations.Check(version, migrations.SQLite())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), s.release())
	}
	s.written.Go(func() { s.writer.run(s.queue) })
	return s, nil
}

func connect(path string, o Options) (*Store, error) {
	readers := o.Readers
	if readers == 0 {
		readers = 8
	}
	read, err := dsn(path, o, "journal_mode(WAL)", "query_only(1)", "cache_size(-8000)")
	if err != nil {
		return nil, err
	}
	write, err := dsn(path, o, "journal_mode(WAL)", "cache_size(-32000)")
	if err != nil {
		return nil, err
	}
	points, err := pool(read, readers)
	if err != nil {
		return nil, err
	}
	walks, err := pool(read, readers)
	if err != nil {
		return nil, err
	}
	one, err := pool(write, 1)
	if err != nil {
		return nil, err
	}
	return &Store{
		writer: &writer{db: one}, reader: &reader{db: points}, walks: walks,
		queue: make(chan *job, 4*groupSize),
	}, nil
}

func pool(dsn string, size int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// dsn names the file with the settings that every connection has.
func dsn(path string, o Options, pragmas ...string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	busy := o.BusyTimeout
	if busy == 0 {
		busy = 10 * time.Second
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(" + strconv.FormatInt(busy.Milliseconds(), 10) + ")", // first: the others may have to wait
		"synchronous(FULL)",
		"fullfsync(1)", // where fsync alone does not reach the disk (macOS)
		"foreign_keys(1)",
		"trusted_schema(0)",
		"journal_size_limit(67108864)", // give back what a long read made the log grow
	}}
	if o.maxPages > 0 {
		q.Add("_pragma", "max_page_count("+strconv.FormatInt(o.maxPages, 10)+")")
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}
	return u.String(), nil
}

// Ping implements registry.Store: it reads, and it takes and gives back the
// write lock.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := schemaVersion(ctx, s.reader.db); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if err := s.write(ctx, func(*writer) error { return nil }); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// Close implements registry.Store. Changes already queued are committed;
// closing again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.queue)
	s.mu.Unlock()

	s.written.Wait()
	return s.release()
}

// release closes the writer last: the last connection folds the write-ahead
// log into the file, and a reader may not write.
func (s *Store) release() error {
	return errors.Join(s.walks.Close(), s.reader.db.Close(), s.writer.close())
}
