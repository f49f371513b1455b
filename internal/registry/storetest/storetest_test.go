package storetest_test

import (
	"errors"
	"testing"

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/registry/storetest"
)

// The model must keep the contract itself before anything is compared with it.
func TestModelKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.TestStore(t, func(testing.TB) registry.Store { return storetest.Model() })
}

func TestFaultsHappenWhereTheyArePlanned(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault     storetest.Fault
		want      error
		persisted bool
	}{
		"down": {storetest.Down, registry.ErrUnavailable, false},
		"lost": {storetest.Lost, registry.ErrUnavailable, true},
		"full": {storetest.Full, registry.ErrFull, false},
		"none": {storetest.NoFault, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			samples := storetest.NewSamples(1)
			s := storetest.Faulty(storetest.Model(), storetest.Nth(2, tt.fault))
			if _, err := s.Commit(t.Context(), samples.Register("alpha")); err != nil {
				t.Fatalf("first commit: %v", err)
			}
			c := samples.Register("alpha")
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, tt.want) {
				t.Errorf("second commit: got %v, want %v", err, tt.want)
			}
			_, err := s.Record(t.Context(), registry.Query{ID: c.Records[0].ID})
			if persisted := err == nil; persisted != tt.persisted {
				t.Errorf("persisted is %v, want %v", persisted, tt.persisted)
			}
			again, err := s.Commit(t.Context(), c)
			if err != nil || again.Repeated != tt.persisted {
				t.Errorf("repeating it: got %+v, %v; want Repeated %v", again, err, tt.persisted)
			}
		})
	}
}
