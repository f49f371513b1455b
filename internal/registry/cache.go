package registry

import (
	"context"
	"fmt"

	"github.com/maypok86/otter/v2"

	"github.com/provolt/provolt/internal/passport"
)

// parts keeps what can never change: record versions and their public face.
// The bound is a count of entries: a model and its parsed form take about
// 60 KB, an item 8 KB, so that the cache stays below some 100 MB.
type parts struct {
	records *otter.Cache[passport.ID, Record]
	public  *otter.Cache[passport.ID, Part]
}

const (
	cachedRecords = 8192
	cachedParts   = 4096
)

func newParts() (*parts, error) {
	records, err := otter.New(&otter.Options[passport.ID, Record]{MaximumSize: cachedRecords})
	if err != nil {
		return nil, fmt.Errorf("record cache: %w", err)
	}
	public, err := otter.New(&otter.Options[passport.ID, Part]{MaximumSize: cachedParts})
	if err != nil {
		return nil, fmt.Errorf("part cache: %w", err)
	}
	return &parts{records: records, public: public}, nil
}

// record returns one record version by its id.
func (r *Registry) record(ctx context.Context, id passport.ID) (Record, error) {
	if rec, ok := r.parts.records.GetIfPresent(id); ok {
		return rec, nil
	}
	rec, err := r.Store.Record(ctx, Query{ID: id})
	if err != nil {
		return Record{}, fmt.Errorf("record %s: %w", id, err)
	}
	r.parts.records.Set(id, rec)
	return rec, nil
}

// publicPart is what everybody sees of a record.
func (r *Registry) publicPart(ctx context.Context, rec Record) (Part, error) {
	if part, ok := r.parts.public.GetIfPresent(rec.ID); ok {
		return part, nil
	}
	part, err := r.present(ctx, rec, nil, 0)
	if err != nil {
		return Part{}, err
	}
	r.parts.public.Set(rec.ID, part)
	return part, nil
}
