package registry

import (
	"context"
	"fmt"

	"github.com/maypok86/otter/v2"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
)

// memory keeps what can never change: record versions without disclosures,
// what everybody sees of them, and the whole records that their owner builds
// on. The last are for checking alone and never served. Entries are weighed by
// the length of their signed bytes; a tree takes up to four times as much, so
// that all of it stays below some 100 MB.
type memory struct {
	records *otter.Cache[passport.ID, Record]
	faces   *otter.Cache[passport.ID, face]
	wholes  *otter.Cache[passport.ID, whole]
}

// How much each part of the memory holds, in bytes as they are weighed.
const (
	recordsHeld = 32 << 20
	facesHeld   = 12 << 20
	wholesHeld  = 4 << 20
	recordRow   = 512 // what an entry takes beside its signed bytes
)

func newMemory() (*memory, error) {
	m := &memory{}
	var err error
	if m.records, err = cache(recordsHeld, func(r Record) int { return len(r.JWS) }); err != nil {
		return nil, err
	}
	if m.faces, err = cache(facesHeld, func(f face) int { return f.size }); err != nil {
		return nil, err
	}
	m.wholes, err = cache(wholesHeld, func(w whole) int { return w.size })
	return m, err
}

func cache[V any](held uint64, size func(V) int) (*otter.Cache[passport.ID, V], error) {
	c, err := otter.New(&otter.Options[passport.ID, V]{
		MaximumWeight: held,
		Weigher: func(_ passport.ID, v V) uint32 {
			return uint32(size(v) + recordRow) //nolint:gosec // a token has at most credential.MaxToken bytes
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	return c, nil
}

// remembered returns what the cache holds under the id, or builds it: once,
// however many ask for it at the same moment, and to the end, even if the one
// who asked first gives up.
func remembered[V any](ctx context.Context, c *otter.Cache[passport.ID, V], id passport.ID, build func(context.Context) (V, error)) (V, error) {
	return c.Get(ctx, id, otter.LoaderFunc[passport.ID, V](func(ctx context.Context, _ passport.ID) (V, error) {
		return build(context.WithoutCancel(ctx))
	}))
}

// record returns one record version by its id.
func (r *Registry) record(ctx context.Context, id passport.ID) (Record, error) {
	return remembered(ctx, r.memory.records, id, func(ctx context.Context) (Record, error) {
		rec, err := r.store.Record(ctx, Query{ID: id})
		if err != nil {
			return Record{}, fmt.Errorf("record %s: %w", id, err)
		}
		return rec, nil
	})
}

// face is what everybody sees of a record.
type face struct {
	record   map[string]any
	withheld int // how many disclosures the signed bytes hold back
	size     int
}

func (r *Registry) face(ctx context.Context, rec Record) (face, error) {
	return remembered(ctx, r.memory.faces, rec.ID, func(ctx context.Context) (face, error) { return r.process(ctx, rec, nil, 0) })
}

// whole is a record as its owner declared it.
type whole struct {
	record map[string]any
	size   int
}

func (r *Registry) whole(ctx context.Context, rec Record) (map[string]any, error) {
	w, err := remembered(ctx, r.memory.wholes, rec.ID, func(ctx context.Context) (whole, error) {
		stored, err := r.disclosures(ctx, rec)
		if err != nil {
			return whole{}, err
		}
		f, err := r.process(ctx, rec, stored, passport.AllTiers())
		return whole{f.record, f.size}, err
	})
	return w.record, err
}

// process verifies a stored record and puts the disclosures of the tiers into
// their places.
func (r *Registry) process(ctx context.Context, rec Record, stored []Disclosure, tiers passport.Tiers) (face, error) {
	now, err := r.admitted(ctx)
	if err != nil {
		return face{}, err
	}
	presentation := credential.Present(rec.JWS, tokenForm(stored), tiers)
	verified, err := now.verified(presentation)
	if err != nil {
		return face{}, fmt.Errorf("stored record %s: %w", rec.ID, err)
	}
	record, err := verified.Record()
	if err != nil {
		return face{}, fmt.Errorf("stored record %s: %w", rec.ID, err)
	}
	return face{record, verified.Withheld(), len(presentation)}, nil
}

// disclosures returns all disclosures of a record: for its owner, or to choose
// from.
func (r *Registry) disclosures(ctx context.Context, rec Record) ([]Disclosure, error) {
	if len(rec.Disclosures) > 0 {
		return rec.Disclosures, nil
	}
	byID, err := r.store.Disclosures(ctx, []passport.OrgID{rec.Org}, []passport.ID{rec.ID})
	if err != nil {
		return nil, fmt.Errorf("disclosures of %s: %w", rec.ID, err)
	}
	return byID[rec.ID], nil
}
