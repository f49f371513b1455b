package storetest

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/provolt/provolt/internal/registry"
)

// Fault is what goes wrong with one Commit.
type Fault int

// The faults. Lost is the one that tells careful callers from careless ones:
// the change is durable and the caller hears that the database is away.
const (
	NoFault Fault = iota
	Down          // not persisted; the caller sees registry.ErrUnavailable
	Lost          // persisted; the caller sees registry.ErrUnavailable
	Full          // not persisted; the caller sees registry.ErrFull
)

// Plan decides the fate of the n-th Commit, counted from 1.
type Plan func(n int, c registry.Change) Fault

// Nth plans one fault, for the n-th Commit.
func Nth(n int, f Fault) Plan {
	return func(i int, _ registry.Change) Fault {
		if i == n {
			return f
		}
		return NoFault
	}
}

// Faulty returns s with the faults of the plan. Whatever a fault hits, the
// store behind it stays consistent: a caller who looks again, or repeats under
// the same idempotency key, must find the truth.
func Faulty(s registry.Store, plan Plan) registry.Store { return &faulty{Store: s, plan: plan} }

type faulty struct {
	registry.Store
	plan    Plan
	commits atomic.Int64
}

func (f *faulty) Commit(ctx context.Context, c registry.Change) (registry.Committed, error) {
	n := int(f.commits.Add(1))
	switch fault := f.plan(n, c); fault {
	case Down:
		return registry.Committed{}, fmt.Errorf("commit %d: %w: planned before persisting", n, registry.ErrUnavailable)
	case Full:
		return registry.Committed{}, fmt.Errorf("commit %d: %w: planned", n, registry.ErrFull)
	case Lost:
		if _, err := f.Store.Commit(ctx, c); err != nil {
			return registry.Committed{}, err
		}
		return registry.Committed{}, fmt.Errorf("commit %d: %w: planned after persisting", n, registry.ErrUnavailable)
	case NoFault:
	}
	return f.Store.Commit(ctx, c)
}
