package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// Commit implements registry.Store. The statements of the change travel
// together, BEGIN and COMMIT included: one round trip, and nothing is half done
// because any refusal undoes the whole. Why it was refused is found out
// afterwards; that is rare.
//
// A caller who gives up before the statements are sent stops them; afterwards
// the truth is worth waiting for.
func (s *Store) Commit(ctx context.Context, c registry.Change) (registry.Committed, error) {
	p, err := newPlan(c)
	if err != nil {
		return registry.Committed{}, fmt.Errorf("commit: %w", err)
	}
	done, err := s.settle(ctx, p)
	if err != nil {
		return registry.Committed{}, fmt.Errorf("commit: %w", classify(err))
	}
	return done, nil
}

// refused is the failure of a statement that says something about its change.
// The transaction was undone.
type refused struct {
	as    refusal
	cause error
}

func (r *refused) Error() string { return r.cause.Error() }
func (r *refused) Unwrap() error { return r.cause }

// errAgain means a change was refused for a reason that is gone by now.
var errAgain = errors.New("refused for a reason that has passed")

// settle applies the change until it is done or refused. It goes again only
// where that cannot apply the change twice: the server undid it, or its
// idempotency key makes a second time a repetition.
func (s *Store) settle(ctx context.Context, p *plan) (registry.Committed, error) {
	doubtful := false // an earlier try may have succeeded unheard
	for try := 0; ; try++ {
		err := s.apply(ctx, p)
		if err == nil {
			return p.receipt(), nil
		}
		if because, ok := errors.AsType[*refused](err); ok {
			var done registry.Committed
			done, err = s.explain(ctx, p, because)
			done.Repeated = done.Repeated && !(doubtful && p.made(done))
			if !errors.Is(err, errAgain) {
				return done, err
			}
		}
		unheard := cutOff(err) && p.change.Once != nil
		doubtful = doubtful || unheard
		if !unheard && !undone(err) || !pause(ctx, try) {
			return registry.Committed{}, err
		}
	}
}

// tries bounds how often a change or a query goes again.
const tries = 10

// pause waits before the next try, longer each time; false if there is none.
func pause(ctx context.Context, try int) bool {
	if try == tries {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(min(time.Millisecond<<try, 50*time.Millisecond)):
		return true
	}
}

// receipt is the outcome of the plan when it was applied.
func (p *plan) receipt() registry.Committed {
	done := registry.Committed{At: micros(p.change.At)}
	if p.change.Once != nil {
		done.Refs = p.change.Once.Refs
	}
	return done
}

// made reports whether the outcome is that of this very plan.
func (p *plan) made(done registry.Committed) bool {
	mine := p.receipt()
	return mine.At.Equal(done.At) && slices.Equal(mine.Refs, done.Refs)
}

var (
	begin  = step{sql: `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`}
	commit = step{sql: `COMMIT`}
)

// apply runs the plan as one transaction in one round trip. Several plans in
// one transaction were measured and not faster: the server itself makes the
// commits that arrive together durable together.
func (s *Store) apply(ctx context.Context, p *plan) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
	defer cancel()
	err = run(ctx, conn, slices.Concat([]step{begin}, p.steps, []step{commit}))
	if err != nil {
		s.mend(ctx, conn)
	}
	return err
}

func run(ctx context.Context, conn *pgxpool.Conn, steps []step) error {
	batch := &pgx.Batch{}
	for _, st := range steps {
		batch.Queue(st.sql, st.args...)
	}
	results := conn.SendBatch(ctx, batch)
	for _, st := range steps {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // repeats err
			return st.failure(err)
		}
	}
	return results.Close()
}

// failure tells a refusal of the change from every other error.
func (st step) failure(err error) error {
	code := sqlState(err)
	if st.on != fault && (code == uniqueViolation || code == divisionByZero) {
		return &refused{st.on, err}
	}
	return err
}

// acquire takes a connection from the pool. An error means that nothing was
// sent, and that trying at once again would help nobody.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return conn, nil
}

// mend makes the connection of a failed transaction fit for the next one. A
// connection that is gone takes the idle ones with it: the server they lead to
// was stopped, and each of them would fail a request of its own.
func (s *Store) mend(ctx context.Context, conn *pgxpool.Conn) {
	switch {
	case conn.Conn().PgConn().TxStatus() != 'I' && !conn.Conn().IsClosed():
		_, _ = conn.Exec(ctx, `ROLLBACK`) // if it fails the pool throws the connection away
	case conn.Conn().IsClosed() && ctx.Err() == nil:
		s.pool.Reset()
	}
}

// explain finds out why the change was refused: with its outcome if it was
// committed before, else with an error.
func (s *Store) explain(ctx context.Context, p *plan, because *refused) (registry.Committed, error) {
	switch because.as {
	case repeated:
		done, err := s.Earlier(ctx, p.change.Tenant, *p.change.Once)
		if errors.Is(err, registry.ErrNotFound) { // forgotten meanwhile
			err = errAgain
		}
		return done, err
	case taken:
		return registry.Committed{}, s.holder(ctx, p.change.Claim)
	case missing:
		return registry.Committed{}, fmt.Errorf("secret or grant: %w", registry.ErrNotFound)
	case stale:
		return registry.Committed{}, fmt.Errorf("%w: %w", registry.ErrStale, because.cause)
	case collided, fault:
	}
	return registry.Committed{}, errAgain
}

// Earlier implements registry.Store.
func (s *Store) Earlier(ctx context.Context, tenant passport.OrgID, once registry.Once) (registry.Committed, error) {
	type entry struct {
		request, refs []byte
		at            time.Time
	}
	found, err := collect(ctx, s, []passport.OrgID{tenant}, `SELECT request, refs, committed_at FROM idempotency WHERE key_hash = $1`,
		[]any{onceHash(tenant, &once)}, func(row pgx.Row) (e entry, err error) {
			err = row.Scan(&e.request, &e.refs, &e.at)
			return e, err
		})
	switch {
	case err != nil:
		return registry.Committed{}, fmt.Errorf("look for idempotency key: %w", err)
	case len(found) == 0:
		return registry.Committed{}, fmt.Errorf("look for idempotency key: %w", registry.ErrNotFound)
	case !slices.Equal(found[0].request, once.Request[:]):
		return registry.Committed{}, &registry.OnceMismatch{}
	}
	return registry.Committed{Repeated: true, Refs: unpackRefs(found[0].refs), At: found[0].at.UTC()}, nil
}

// holder says which passport is in the way of the claim.
func (s *Store) holder(ctx context.Context, c *registry.Claim) error {
	held, err := collect(ctx, s, nil, `SELECT series_id FROM battery_claim WHERE battery_key = $1`, []any{c.Battery[:]},
		func(row pgx.Row) (id passport.ID, err error) {
			err = row.Scan((*[16]byte)(&id))
			return id, err
		})
	switch {
	case err != nil:
		return fmt.Errorf("look for battery: %w", err)
	case len(held) == 0 && !c.Base.IsZero():
		return fmt.Errorf("%w: battery has no passport, expected %s", registry.ErrStale, c.Base)
	case len(held) == 0 || held[0] == c.Base:
		return errAgain
	}
	return &registry.BatteryTaken{Passport: held[0]}
}

// ReserveSlots implements registry.Store. An answer that got lost leaves a hole.
func (s *Store) ReserveSlots(ctx context.Context, n int) (int64, error) {
	if n < 1 {
		return 0, fmt.Errorf("reserve %d slots: at least one", n)
	}
	var next int64
	err := s.row(ctx, `INSERT INTO slot_counter (name, next_slot) VALUES ('status', $1)
		ON CONFLICT (name) DO UPDATE SET next_slot = slot_counter.next_slot + $1 RETURNING next_slot`, []any{n}, &next)
	if err != nil {
		return 0, fmt.Errorf("reserve %d slots: %w", n, err)
	}
	return next - int64(n), nil
}
