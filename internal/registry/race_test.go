package registry_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/provolt/provolt/internal/registry"
)

// interrupted is a store at which something else happens first, once: what a
// race would do now and then happens every time.
type interrupted struct {
	registry.Store
	commit, list atomic.Pointer[func()]
}

func (s *interrupted) Commit(ctx context.Context, c registry.Change) (registry.Committed, error) {
	happen(&s.commit)
	return s.Store.Commit(ctx, c)
}

// StatusList answers with what was true before the interruption.
func (s *interrupted) StatusList(ctx context.Context, list int) (map[int]registry.State, error) {
	states, err := s.Store.StatusList(ctx, list)
	happen(&s.list)
	return states, err
}

func happen(what *atomic.Pointer[func()]) {
	if f := what.Swap(nil); f != nil {
		(*f)()
	}
}

// newRacingWorld is a world in which a test can get in between.
func newRacingWorld(t testing.TB) (*world, *interrupted) {
	t.Helper()
	var s *interrupted
	w := newWorldOn(t, onSQLite, func(truth registry.Store) registry.Store {
		s = &interrupted{Store: truth}
		return s
	})
	return w, s
}

// beforeCommit makes f happen when the registry has planned its next write and
// is about to commit it.
func (s *interrupted) beforeCommit(f func()) { s.commit.Store(&f) }

// whileListing makes f happen between reading and signing the next status list.
func (s *interrupted) whileListing(f func()) { s.list.Store(&f) }
