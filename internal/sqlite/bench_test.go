package sqlite

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// The cost of registering one more item of a known model and batch: signed
// bytes of 2.5 KB, three disclosures, leaf, claim and idempotency key, flushed
// to disk before Commit returns. It leaves out validating, signing and HTTP.
func BenchmarkCommitItem(b *testing.B) {
	for name, callers := range map[string]int{"1 caller": 1, "16 callers": 16} {
		b.Run(name, func(b *testing.B) {
			s, changes := items(b, b.N)
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for i := next.Add(1) - 1; i < int64(len(changes)); i = next.Add(1) - 1 {
						if _, err := s.Commit(b.Context(), changes[i]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

func commit(b *testing.B, s *Store, c registry.Change) {
	b.Helper()
	if _, err := s.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
}

// items prepares n registrations.
func items(b *testing.B, n int) (*Store, []registry.Change) {
	b.Helper()
	s := openAt(b, file(b), Options{})
	samples := storetest.NewSamples(1)
	model := samples.Model(alpha)
	batch := samples.Batch(model)
	commit(b, s, samples.Issue(model, batch))
	changes := make([]registry.Change, n)
	for i := range changes {
		changes[i] = samples.RegisterItem(model, batch)
		changes[i].Records[0].JWS = make([]byte, 2500)
		if _, err := rand.Read(changes[i].Records[0].JWS); err != nil {
			b.Fatal(err)
		}
	}
	return s, changes
}

// The cost of reading one record by id, of 1,000: what a cache miss costs.
func BenchmarkReadRecord(b *testing.B) {
	s, changes := items(b, 1000)
	for _, c := range changes {
		commit(b, s, c)
	}
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := changes[next.Add(1)%int64(len(changes))]
			if _, err := s.Record(b.Context(), registry.Query{ID: c.Records[0].ID}); err != nil {
				b.Error(err)
			}
		}
	})
}
