package registry

import (
	"context"
	"fmt"
	"sync"

	"github.com/provolt/provolt/internal/credential"
)

// slots hands out status slots from blocks, so that the store is asked once in
// a block's length. What is left of a block at a stop stays a hole, and so does
// a slot whose record was not committed.
type slots struct {
	mu         sync.Mutex
	next, left int64
}

const slotBlock = 512

func (s *slots) take(ctx context.Context, store Store) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		first, err := store.ReserveSlots(ctx, slotBlock)
		if err != nil {
			return 0, fmt.Errorf("reserve status slots: %w", err)
		}
		s.next, s.left = first, slotBlock
	}
	slot := s.next
	s.next, s.left = s.next+1, s.left-1
	return slot, nil
}

// position is where a slot stands in the status lists; nil for a condition,
// which has none.
func (r *Registry) position(slot int64) *credential.Position {
	if slot < 0 {
		return nil
	}
	list, index := credential.StatusIndex(r.statusSecret, slot)
	return &credential.Position{List: list, Index: index}
}
