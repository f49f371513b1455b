package postgres_test

import (
	"crypto/rand"
	"runtime"
	"testing"

	"github.com/provolt/provolt/internal/pgtest"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// BenchmarkCommitItem registers one battery after the other from 16 clients on
// a server that writes durably: the idempotency key, an item of 2 KB, its
// disclosures, the claim and the leaf. It leaves out HTTP, validation and
// signing.
func BenchmarkCommitItem(b *testing.B) {
	const clients = 16
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	s := open(b, server.Database(b), postgres.Options{MaxConns: clients})
	samples := storetest.NewSamples(1)
	first := samples.Register("acme")
	commit(b, s, samples.Organisation("acme"), first)
	jws := make([]byte, 2048)
	if _, err := rand.Read(jws); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism((clients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := samples.RegisterItem(first.Records[0], first.Records[1])
			c.Records[0].JWS = jws
			if _, err := s.Commit(b.Context(), c); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
