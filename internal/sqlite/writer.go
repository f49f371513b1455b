package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/provolt/provolt/internal/registry"
)

// groupSize is how many changes share one transaction at most. It bounds how
// long the first of them waits for the last.
const groupSize = 64

// A job is one piece of writing that is applied entirely or not at all. Its
// run is called again if the transaction it shared came to nothing, so it
// keeps no state from the first call.
type job struct {
	run  func(*writer) error // refusal: wrote nothing; any other error undoes the transaction
	done chan error          // buffered: the writer never waits for a caller
	err  error               // the outcome once the transaction is durable
	held atomic.Bool         // by the writer, or by the caller who took it back
}

// write hands run to the writer and returns its outcome. A caller who gives up
// before the writer has picked the job takes it back, and nothing happens;
// afterwards the truth is worth waiting for.
func (s *Store) write(ctx context.Context, run func(*writer) error) error {
	j := &job{run: run, done: make(chan error, 1)}
	if err := s.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.held.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-j.done
	}
}

func (s *Store) enqueue(ctx context.Context, j *job) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("%w: store is closed", registry.ErrUnavailable)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writer owns the one connection that writes. Only its goroutine touches it.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // prepared on conn, by their text
}

// run commits what arrives until the queue is closed and drained.
func (w *writer) run(queue <-chan *job) {
	for first := range queue {
		w.settle(gather(first, queue))
	}
}

// gather takes what is queued, without waiting for more.
func gather(first *job, queue <-chan *job) []*job {
	var group []*job
	for j := first; ; {
		if j.held.CompareAndSwap(false, true) {
			group = append(group, j)
		}
		if len(group) == groupSize {
			return group
		}
		var open bool
		select {
		case j, open = <-queue:
			if !open {
				return group
			}
		default:
			return group
		}
	}
}

// settle commits the group and answers everyone in it.
func (w *writer) settle(group []*job) {
	if len(group) == 0 {
		return
	}
	err := w.transact(group)
	if err != nil && len(group) > 1 && !errors.Is(err, registry.ErrUnavailable) {
		// Nothing was persisted, and one of them is to blame: each for itself.
		for _, j := range group {
			w.settle([]*job{j})
		}
		return
	}
	for _, j := range group {
		if err != nil {
			j.err = err
		}
		j.done <- j.err
	}
}

// transact runs the jobs in one transaction and leaves each one's outcome in
// its err. An error means no outcome counts: a refusal may rest on what
// another job wrote and now did not happen.
func (w *writer) transact(group []*job) error {
	// The transaction belongs to all of them, so to no caller's context.
	ctx := context.Background()
	if err := w.ready(ctx); err != nil {
		return err
	}
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return w.abandon(err)
	}
	for _, j := range group {
		j.err = j.run(w)
		if refused, ok := errors.AsType[refusal](j.err); ok {
			j.err = refused.error
		} else if j.err != nil {
			return w.abandon(j.err)
		}
	}
	if err := w.exec("COMMIT"); err != nil {
		return w.abandon(err)
	}
	return nil
}

// abandon undoes the transaction. A connection that cannot do even that, or
// whose database did not answer, is replaced by a new one at the next write.
func (w *writer) abandon(cause error) error {
	if err := w.exec("ROLLBACK"); err != nil || errors.Is(cause, registry.ErrUnavailable) {
		w.discard()
	}
	return cause
}

func (w *writer) ready(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return failure(err)
	}
	w.conn, w.stmts = conn, make(map[string]*sql.Stmt)
	return nil
}

// discard closes the connection for good; ErrBadConn keeps the pool from
// handing it out again. Whatever it still has to say changes nothing.
func (w *writer) discard() {
	if w.conn == nil {
		return
	}
	w.closeStatements()
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	w.conn = nil
}

func (w *writer) closeStatements() {
	for _, s := range w.stmts {
		_ = s.Close()
	}
	w.stmts = nil
}

func (w *writer) close() error {
	if w.conn == nil {
		return w.db.Close()
	}
	w.closeStatements()
	return errors.Join(w.conn.Close(), w.db.Close())
}

// exec runs a statement of the transaction, prepared once per connection.
func (w *writer) exec(query string, args ...any) error {
	ctx := context.Background()
	stmt, err := w.prepare(ctx, query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, args...)
	return failure(err)
}

// lookup reads one row of the transaction; found is false if there is none.
func (w *writer) lookup(query string, args []any, into ...any) (found bool, err error) {
	ctx := context.Background()
	stmt, err := w.prepare(ctx, query)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, failure(err)
}

func (w *writer) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := w.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, failure(err)
	}
	w.stmts[query] = stmt
	return stmt, nil
}
