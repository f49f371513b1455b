package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

const alpha passport.OrgID = "alpha"

// hold keeps the writer busy until the returned function is called, so that
// what is committed meanwhile becomes one group.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	picked, gate := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() {
		err := s.write(t.Context(), func(*writer) error {
			close(picked)
			<-gate
			return nil
		})
		if err != nil {
			t.Errorf("hold: %v", err)
		}
	})
	<-picked
	return func() { close(gate); held.Wait() }
}

// queued waits until n jobs stand behind the one that is held.
func queued(s *Store, n int) {
	for len(s.queue) < n {
		time.Sleep(50 * time.Microsecond)
	}
}

func TestWhatQueuedUpIsOneTransaction(t *testing.T) {
	t.Parallel()
	s := openAt(t, file(t), Options{})
	release := hold(t, s)
	groups := make(map[*job]int) // by the first job, as the writer makes them
	var all sync.WaitGroup
	for range groupSize + 10 {
		all.Go(func() {
			if _, err := s.ReserveSlots(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, groupSize+10)
	for len(s.queue) > 0 {
		first := <-s.queue
		group := gather(first, s.queue)
		groups[first] = len(group)
		all.Go(func() {
			for _, j := range group {
				j.done <- nil
			}
		})
	}
	release()
	all.Wait()
	if len(groups) != 2 {
		t.Errorf("%d changes became groups of %v, want one of %d and one of 10", groupSize+10, groups, groupSize)
	}
}

func TestAFaultOfOneIsNotTheFaultOfItsGroup(t *testing.T) {
	t.Parallel()
	s := openAt(t, file(t), Options{})
	samples := storetest.NewSamples(1)
	winner, loser := samples.Register(alpha), samples.Register(alpha)
	loser.Claim.Battery = winner.Claim.Battery
	broken := errors.New("broken")

	release := hold(t, s)
	var all sync.WaitGroup
	outcome := make(map[string]error)
	var mu sync.Mutex
	submit := func(name string, write func() error) {
		before := len(s.queue)
		all.Go(func() {
			err := write()
			mu.Lock()
			defer mu.Unlock()
			outcome[name] = err
		})
		queued(s, before+1) // so they stand in this order
	}
	submit("winner", func() error { _, err := s.Commit(t.Context(), winner); return err })
	submit("loser", func() error { _, err := s.Commit(t.Context(), loser); return err })
	submit("broken", func() error {
		return s.write(t.Context(), func(w *writer) error {
			if err := w.exec(`INSERT INTO instance (id, base_url, environment, created_at) VALUES (1, 'http://x', 'demo', 0)`); err != nil {
				return err
			}
			return broken // after it wrote, so everything of the group is undone
		})
	})
	submit("after", func() error { _, err := s.Commit(t.Context(), samples.Register(alpha)); return err })
	release()
	all.Wait()

	taken, ok := errors.AsType[*registry.BatteryTaken](outcome["loser"])
	if outcome["winner"] != nil || outcome["after"] != nil || !ok || taken.Passport != winner.Claim.Passport || !errors.Is(outcome["broken"], broken) {
		t.Errorf("outcomes: %v", outcome)
	}
	if _, err := s.Instance(t.Context()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("what the broken one wrote is there: %v", err)
	}
	if n, err := s.PendingLeaves(t.Context()); n != 6 || err != nil {
		t.Errorf("%d leaves, error %v; want 6", n, err)
	}
}

func TestAChangeTakenBackInTimeDoesNotHappen(t *testing.T) {
	t.Parallel()
	s := openAt(t, file(t), Options{})
	c := storetest.NewSamples(1).Register(alpha)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error)
	go func() {
		_, err := s.Commit(ctx, c)
		outcome <- err
	}()
	queued(s, 1)
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) { // answered while the writer is still busy
		t.Errorf("commit: got %v, want context.Canceled", err)
	}
	release()
	if _, err := s.Record(t.Context(), registry.Query{ID: c.Records[0].ID}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("record: got %v, want ErrNotFound", err)
	}
}

func TestAChangeThatWasPickedTellsItsOutcome(t *testing.T) {
	t.Parallel()
	s := openAt(t, file(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	c := storetest.NewSamples(1).Register(alpha)
	err := s.write(ctx, func(w *writer) error {
		cancel() // the caller goes while the writer is at it
		_, err := w.apply(c)
		return err
	})
	if err != nil {
		t.Errorf("commit: %v", err)
	}
	if _, err := s.Record(t.Context(), registry.Query{ID: c.Records[0].ID}); err != nil {
		t.Errorf("record: %v", err)
	}
}

// The copy is what a machine finds that lost power right after Commit
// returned: the file and its write-ahead log, nothing folded, nothing closed.
func TestWhatCommitReturnedIsInTheFiles(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openAt(t, path, Options{})
	c := storetest.NewSamples(1).Register(alpha)
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		duplicate(t, path+suffix, copied+suffix)
	}
	after := openAt(t, copied, Options{})
	for _, r := range c.Records {
		if _, err := after.Record(t.Context(), registry.Query{ID: r.ID}); err != nil {
			t.Errorf("%s: %v", r.Type, err)
		}
	}
	intact(t, copied)
}

func duplicate(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
}

func intact(t *testing.T, path string) {
	t.Helper()
	if verdict := text(t, raw(t, path), `PRAGMA integrity_check`); verdict != "ok" {
		t.Errorf("integrity check: %s", verdict)
	}
}

func TestCommitsAreFlushedBeforeTheyReturn(t *testing.T) {
	t.Parallel()
	s := openAt(t, file(t), Options{})
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1"} {
		var got string
		err := s.write(t.Context(), func(w *writer) error {
			_, err := w.lookup(`PRAGMA `+pragma, nil, &got)
			return err
		})
		if err != nil || got != want {
			t.Errorf("%s is %q (error %v), want %q", pragma, got, err, want)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := openAt(t, file(t), Options{})
	if _, err := s.reader.db.ExecContext(t.Context(), `DELETE FROM record`); err == nil {
		t.Error("a connection for point reads deletes")
	}
	if _, err := s.walks.ExecContext(t.Context(), `DELETE FROM record`); err == nil {
		t.Error("a connection for walks deletes")
	}
}

func TestAFullDiskRefusesRecoversAndCorruptsNothing(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openAt(t, path, Options{maxPages: 150})
	samples := storetest.NewSamples(1)
	var stored []registry.Change
	var refused registry.Change
	for {
		c := samples.Register(alpha)
		c.Records[0].JWS = make([]byte, 20_000)
		if _, err := s.Commit(t.Context(), c); err != nil {
			if !errors.Is(err, registry.ErrFull) {
				t.Fatalf("commit %d: got %v, want ErrFull", len(stored), err)
			}
			refused = c
			break
		}
		stored = append(stored, c)
	}
	crowd(t, s, samples)
	holds(t, s, stored, refused)

	run := func(statement string) error {
		return s.write(t.Context(), func(w *writer) error { return w.exec(statement) })
	}
	if err := run(`PRAGMA max_page_count = 100000`); err != nil { // somebody made room
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), refused); err != nil {
		t.Errorf("commit once there is room: %v", err)
	}
	holds(t, s, append(stored, refused), samples.Register(alpha))
	intact(t, path)
}

// crowd commits many at once on a full disk: each hears of it, none waits.
func crowd(t *testing.T, s *Store, samples *storetest.Samples) {
	t.Helper()
	var all sync.WaitGroup
	for range 20 {
		c := samples.Register(alpha)
		c.Records[0].JWS = make([]byte, 20_000)
		all.Go(func() {
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, registry.ErrFull) {
				t.Errorf("commit in a crowd: got %v, want ErrFull", err)
			}
		})
	}
	all.Wait()
}

// holds checks that the stored changes are there and the refused one is not.
func holds(t *testing.T, s *Store, stored []registry.Change, refused registry.Change) {
	t.Helper()
	for i, c := range stored {
		for _, r := range c.Records {
			if _, err := s.Record(t.Context(), registry.Query{ID: r.ID}); err != nil {
				t.Errorf("change %d, %s: %v", i, r.Type, err)
			}
		}
	}
	for _, r := range refused.Records {
		if _, err := s.Record(t.Context(), registry.Query{ID: r.ID}); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("refused %s: got %v, want ErrNotFound", r.Type, err)
		}
	}
	if n, err := s.PendingLeaves(t.Context()); err != nil || n != int64(3*len(stored)) {
		t.Errorf("%d leaves, error %v; want %d", n, err, 3*len(stored))
	}
}

func TestAnotherProcessThatKeepsTheLockMakesUsUnavailable(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openAt(t, path, Options{BusyTimeout: 20 * time.Millisecond})
	other := raw(t, path)
	run(t, other, `BEGIN IMMEDIATE`)
	c := storetest.NewSamples(1).Register(alpha)
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("commit: got %v, want ErrUnavailable", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("ping: got %v, want ErrUnavailable", err)
	}
	if _, err := s.Instance(t.Context()); !errors.Is(err, registry.ErrNotFound) { // reading goes on
		t.Errorf("instance: got %v, want ErrNotFound", err)
	}
	run(t, other, `ROLLBACK`)
	if done, err := s.Commit(t.Context(), c); err != nil || done.Repeated {
		t.Errorf("commit once it is gone: %+v, %v", done, err)
	}
}

func TestTwoProcessesShareAFile(t *testing.T) {
	t.Parallel()
	path := file(t)
	stores := []*Store{openAt(t, path, Options{}), openAt(t, path, Options{})}
	samples := storetest.NewSamples(1)
	battery := samples.Battery()
	var all sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		c := samples.Register(alpha)
		c.Claim.Battery = battery
		all.Go(func() { _, errs[i] = stores[i%2].Commit(t.Context(), c) })
	}
	all.Wait()
	won := 0
	for i, err := range errs {
		_, taken := errors.AsType[*registry.BatteryTaken](err)
		switch {
		case err == nil:
			won++
		case !taken:
			t.Errorf("change %d: %v", i, err)
		}
	}
	if won != 1 {
		t.Errorf("%d passports got the battery", won)
	}
}

func TestAlteringARestrictedReadBreaksItsChain(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := openAt(t, path, Options{})
	samples := storetest.NewSamples(1)
	r := samples.Register(alpha).Records[1]
	for range 5 {
		read := samples.Read(r, "beta")
		if _, err := s.Commit(t.Context(), registry.Change{Tenant: "beta", At: read.At, Reads: []registry.Read{read}}); err != nil {
			t.Fatal(err)
		}
	}
	if at := brokenLink(t, s, path); at != 0 {
		t.Errorf("untouched chain breaks at %d", at)
	}
	for _, crime := range []string{
		`UPDATE purpose_log SET person = 'somebody else' WHERE seq = 3`,
		`UPDATE purpose_log SET read_at = read_at + 1 WHERE seq = 2`,
		`DELETE FROM purpose_log WHERE seq = 1`,
	} {
		run(t, raw(t, path), crime)
		if at := brokenLink(t, s, path); at == 0 {
			t.Errorf("%s: nobody notices", crime)
		}
	}
}

// brokenLink recomputes the chain of alpha and returns the first link, counted
// from 1, that does not hold.
func brokenLink(t *testing.T, s *Store, path string) int {
	t.Helper()
	reads, err := s.Reads(t.Context(), alpha, 100)
	if err != nil {
		t.Fatal(err)
	}
	chains := strings.Fields(text(t, raw(t, path), `SELECT group_concat(hex(chain), ' ') FROM (SELECT chain FROM purpose_log ORDER BY seq)`))
	var last [sha256.Size]byte
	for i, want := range chains {
		if last, err = link(last, reads[len(reads)-1-i]); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%X", last); got != want {
			return i + 1
		}
	}
	return 0
}

func TestEveryFilterIsAnsweredFromAnIndex(t *testing.T) {
	t.Parallel()
	path := file(t)
	db := raw(t, path)
	samples := storetest.NewSamples(1)
	id := samples.ID()
	for _, tt := range []struct {
		filter registry.Filter
		index  string
		sorted bool // by the index itself
	}{
		{registry.Filter{}, "autoindex_record_1", true},
		{registry.Filter{Newest: true, After: id}, "autoindex_record_1", true},
		{registry.Filter{Series: id}, "autoindex_record_1", true},
		{registry.Filter{Series: id, Type: passport.Item}, "record_by_type", true},
		{registry.Filter{Type: passport.Model}, "record_by_type", true},
		{registry.Filter{Type: passport.Model, After: id, Newest: true}, "record_by_type", true},
		{registry.Filter{Org: alpha, Type: passport.Model, After: id, Newest: true, Limit: 50}, "record_by_org", true},
		{registry.Filter{Org: alpha}, "record_by_org", false},
		{registry.Filter{GTIN: "09506000134352"}, "record_by_gtin", false},
		{registry.Filter{GTIN: "09506000134352", Type: passport.Model, Limit: 1}, "record_by_gtin", true},
		{registry.Filter{GTIN: "09506000134352", Lot: "B-1", Type: passport.Batch, Limit: 1}, "record_by_lot", true},
		{registry.Filter{GTIN: "09506000134352", Lot: "B-1"}, "record_by_lot", false},
	} {
		query, args := recordsQuery(tt.filter)
		var plan []string
		if err := each(func(from row) error {
			var id, parent, unused int
			var detail string
			err := from.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}, func() (*sql.Rows, error) { return db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...) }); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(plan, "; ")
		if !strings.Contains(got, tt.index) || tt.sorted && strings.Contains(got, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%+v: plan %q, want index %s, in its order: %v", tt.filter, got, tt.index, tt.sorted)
		}
	}
}
