// Package storetest is the contract of registry.Store as tests, so that a
// store need not be believed: whoever writes one runs TestStore and
// TestDifferential on it and is done when they pass.
//
// It also holds what tests of the registry need of a store: changes to commit
// (Samples), and a store that fails where it is told to (Faulty).
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// TestStore holds a store to every sentence of its contract. Open returns an
// empty store that is closed when its test ends; it is called once per claim,
// from parallel tests.
func TestStore(t *testing.T, open func(testing.TB) registry.Store) {
	t.Helper()
	for _, claims := range []map[string]func(*story){
		committing, idempotency, uniqueness, enrolling, content, reading, tenancy, status, lifecycle,
	} {
		for name, claim := range claims {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // against stores that wait for ever
				defer cancel()
				claim(&story{T: t, Samples: NewSamples(1), ctx: ctx, store: open(t)})
			})
		}
	}
}

// story is one claim about one store.
type story struct {
	*testing.T
	*Samples
	ctx   context.Context
	store registry.Store
}

const (
	alpha passport.OrgID = "alpha"
	beta  passport.OrgID = "beta-works"
	gamma passport.OrgID = "gamma3"
)

// commit applies the change, which must not be a repetition.
func (s *story) commit(c registry.Change) registry.Committed {
	s.Helper()
	done, err := s.store.Commit(s.ctx, c)
	if err != nil {
		s.Fatalf("commit: %v", err)
	}
	if done.Repeated {
		s.Fatal("commit: a new change is called repeated")
	}
	return done
}

// refused commits a change that must fail with want.
func (s *story) refused(c registry.Change, want error) {
	s.Helper()
	done, err := s.store.Commit(s.ctx, c)
	if !errors.Is(err, want) {
		s.Fatalf("commit: got %+v, %v; want error %v", done, err, want)
	}
}

// taken commits a change that must meet a battery of another passport.
func (s *story) taken(c registry.Change, by passport.ID) {
	s.Helper()
	_, err := s.store.Commit(s.ctx, c)
	taken, ok := errors.AsType[*registry.BatteryTaken](err)
	if !ok {
		s.Fatalf("commit: got error %v, want BatteryTaken", err)
	}
	if taken.Passport != by {
		s.Fatalf("battery taken by %s, want %s", taken.Passport, by)
	}
}

// mismatched commits a change whose idempotency key has another body.
func (s *story) mismatched(c registry.Change) {
	s.Helper()
	_, err := s.store.Commit(s.ctx, c)
	if _, ok := errors.AsType[*registry.OnceMismatch](err); !ok {
		s.Fatalf("commit: got error %v, want OnceMismatch", err)
	}
}

// record reads what must be there.
func (s *story) record(q registry.Query) registry.Record {
	s.Helper()
	r, err := s.store.Record(s.ctx, q)
	if err != nil {
		s.Fatalf("record %+v: %v", q, err)
	}
	return r
}

// missing reads what must not be there.
func (s *story) missing(q registry.Query) {
	s.Helper()
	r, err := s.store.Record(s.ctx, q)
	if !errors.Is(err, registry.ErrNotFound) {
		s.Errorf("record %+v: got %+v, error %v; want ErrNotFound", q, r.ID, err)
	}
}

// records reads all that match.
func (s *story) records(f registry.Filter) []registry.Record {
	s.Helper()
	var all []registry.Record
	for r, err := range s.store.Records(s.ctx, f) {
		if err != nil {
			s.Fatalf("records %+v: %v", f, err)
		}
		all = append(all, r)
	}
	return all
}

// disclosures reads those of the records as the tenants.
func (s *story) disclosures(as []passport.OrgID, ids ...passport.ID) map[passport.ID][]registry.Disclosure {
	s.Helper()
	return of(s, "disclosures", func() (map[passport.ID][]registry.Disclosure, error) { return s.store.Disclosures(s.ctx, as, ids) })
}

func (s *story) leaves() int64 {
	s.Helper()
	return of(s, "pending leaves", func() (int64, error) { return s.store.PendingLeaves(s.ctx) })
}

// of reads what can only fail if the store does.
func of[T any](s *story, what string, read func() (T, error)) T {
	s.Helper()
	value, err := read()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
	return value
}

func (s *story) repeat(c registry.Change) registry.Committed {
	s.Helper()
	return of(s, "commit", func() (registry.Committed, error) { return s.store.Commit(s.ctx, c) })
}

func (s *story) earlier(tenant passport.OrgID, once registry.Once) registry.Committed {
	s.Helper()
	return of(s, "earlier", func() (registry.Committed, error) { return s.store.Earlier(s.ctx, tenant, once) })
}

func (s *story) instance() registry.Instance {
	s.Helper()
	return of(s, "instance", func() (registry.Instance, error) { return s.store.Instance(s.ctx) })
}

func (s *story) organisations() []registry.Organisation {
	s.Helper()
	return of(s, "organisations", func() ([]registry.Organisation, error) { return s.store.Organisations(s.ctx) })
}

func (s *story) members(org passport.OrgID) []registry.Member {
	s.Helper()
	return of(s, "members", func() ([]registry.Member, error) { return s.store.Members(s.ctx, org) })
}

func (s *story) history(series passport.ID) []registry.StatusChange {
	s.Helper()
	return of(s, "status", func() ([]registry.StatusChange, error) { return s.store.Status(s.ctx, series) })
}

func (s *story) list(number int) map[int]registry.State {
	s.Helper()
	return of(s, "status list", func() (map[int]registry.State, error) { return s.store.StatusList(s.ctx, number) })
}

func (s *story) grants(org passport.OrgID) []registry.Grant {
	s.Helper()
	return of(s, "grants", func() ([]registry.Grant, error) { return s.store.Grants(s.ctx, org) })
}

func (s *story) reads(org passport.OrgID, limit int) []registry.Read {
	s.Helper()
	return of(s, "reads", func() ([]registry.Read, error) { return s.store.Reads(s.ctx, org, limit) })
}

func (s *story) release(id passport.ID) registry.Release {
	s.Helper()
	return of(s, "release", func() (registry.Release, error) { return s.store.Release(s.ctx, id) })
}

// same compares what came back with what went in: nil and empty lists are one,
// times are equal only to the same instant in UTC.
func (s *story) same(what string, got, want any) {
	s.Helper()
	if diff := difference(got, want); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func difference(got, want any) string {
	inUTC := gocmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() })
	digests := gocmp.Comparer(func(a, b [sha256.Size]byte) bool { return a == b })
	return gocmp.Diff(want, got, gocmp.FilterValues(nonEmpty, gocmp.Comparer(bytes.Equal)), digests, cmpopts.EquateEmpty(), inUTC)
}

// nonEmpty leaves empty bytes to EquateEmpty: no two options may apply.
func nonEmpty(a, b []byte) bool { return len(a)+len(b) > 0 }

// asRead is how records come back: without disclosures, in the order of
// Records.
func asRead(records ...registry.Record) []registry.Record {
	out := slices.Clone(records)
	for i := range out {
		out[i] = bare(out[i])
		out[i].IssuedAt = stored(out[i].IssuedAt)
	}
	slices.SortStableFunc(out, func(a, b registry.Record) int {
		if c := slices.Compare(a.Series[:], b.Series[:]); c != 0 {
			return c
		}
		return a.Version - b.Version
	})
	return out
}

func ids(records []registry.Record) []passport.ID {
	out := make([]passport.ID, len(records))
	for i := range records {
		out[i] = records[i].ID
	}
	return out
}

// together calls f for 0 to n-1 at once and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
