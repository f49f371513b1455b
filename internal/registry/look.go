package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
)

// Versions lists the versions of a passport, oldest first.
func (r *Registry) Versions(ctx context.Context, id passport.ID) ([]Versioned, error) {
	var out []Versioned
	if id.IsZero() { // which would not restrict
		return nil, fmt.Errorf("versions of %s: %w", id, ErrNotFound)
	}
	for rec, err := range r.store.Records(ctx, Filter{Type: passport.Item, Series: id}) {
		if err != nil {
			return nil, fmt.Errorf("versions of %s: %w", id, err)
		}
		out = append(out, Versioned{Version: rec.Version, RecordID: rec.ID, IssuedAt: rec.IssuedAt, Digest: SRI(rec.TokenDigest)})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("versions of %s: %w", id, ErrNotFound)
	}
	return out, nil
}

// SRI writes a digest as Subresource Integrity metadata.
func SRI(digest [32]byte) string {
	return "sha256-" + base64.StdEncoding.EncodeToString(digest[:])
}

// InForce returns the passport in force for a battery, or ErrNotFound.
func (r *Registry) InForce(ctx context.Context, battery passport.BatteryID) (passport.ID, error) {
	id, err := r.holder(ctx, battery.Key())
	if err == nil && id.IsZero() {
		err = ErrNotFound
	}
	if err != nil {
		return passport.ID{}, fmt.Errorf("battery %s: %w", battery, err)
	}
	return id, nil
}

// holder is the passport in force for a battery; zero if there is none.
func (r *Registry) holder(ctx context.Context, battery passport.BatteryKey) (passport.ID, error) {
	rec, err := r.store.Record(ctx, Query{Key: batteryKey(battery)})
	if errors.Is(err, ErrNotFound) {
		return passport.ID{}, nil
	}
	return rec.Series, err
}

// Look answers what stands behind a Digital Link, as far as it is registered.
func (r *Registry) Look(ctx context.Context, link passport.DigitalLink) (Place, error) {
	place := Place{Link: link}
	var err error
	if battery, ok := link.Key(); ok {
		if place.Passport, err = r.holder(ctx, battery); err != nil {
			return Place{}, fmt.Errorf("look up %s: %w", link.ElementString(), err)
		}
	}
	if link.GTIN != "" {
		if place.Model, err = r.first(ctx, Filter{Type: passport.Model, GTIN: string(link.GTIN)}); err != nil {
			return Place{}, err
		}
	}
	if link.GTIN != "" && link.Lot != "" {
		if place.Batch, err = r.first(ctx, Filter{Type: passport.Batch, GTIN: string(link.GTIN), Lot: link.Lot}); err != nil {
			return Place{}, err
		}
	}
	place.Known = !place.Passport.IsZero() || !place.Model.IsZero()
	return place, nil
}

// first returns the oldest series that matches; zero if none does.
func (r *Registry) first(ctx context.Context, f Filter) (passport.ID, error) {
	f.Limit = 1
	for rec, err := range r.store.Records(ctx, f) {
		if err != nil {
			return passport.ID{}, fmt.Errorf("look up: %w", err)
		}
		return rec.Series, nil
	}
	return passport.ID{}, nil
}

// Own lists the caller's records of a type, the newest version of each series,
// behind the series after.
func (r *Registry) Own(ctx context.Context, by access.Subject, t passport.RecordType, after passport.ID, limit int) ([]Record, error) {
	if err := r.allow(by, access.ReadGrants, access.Resource{Owner: by.Org, At: r.now()}); err != nil {
		return nil, err
	}
	var out []Record
	for rec, err := range r.store.Records(ctx, Filter{Type: t, Org: by.Org, After: after, Limit: limit, Newest: true}) {
		if err != nil {
			return nil, fmt.Errorf("list %s records: %w", t, err)
		}
		out = append(out, rec)
	}
	return out, nil
}
