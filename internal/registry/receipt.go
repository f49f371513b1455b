package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
)

// receipt answers a write from what was planned and committed.
func (r *Registry) receipt(ctx context.Context, p plan, d draft) (Receipt, error) {
	out := Receipt{Warnings: d.warnings, Unchanged: len(p.change.Records) == 0}
	for _, t := range passport.RecordTypes() {
		rec, ok := p.used[t]
		if !ok {
			continue
		}
		issued, err := r.issued(ctx, rec, p.reused[t], t == d.about)
		if err != nil {
			return Receipt{}, err
		}
		out.Records = append(out.Records, issued)
	}
	if d.about == passport.Item || d.about == passport.Condition {
		out.Passport, out.BatteryID, out.DigitalLink = p.used[d.about].Series, d.battery.String(), r.digitalLink(d.battery)
	}
	return out, nil
}

// repeat answers a write that was committed before from the stored records. The
// warnings follow from the body, which is the same.
func (r *Registry) repeat(ctx context.Context, done Committed, warnings []passport.Violation) (Receipt, error) {
	records, reused, err := r.referred(ctx, done.Refs)
	if err != nil {
		return Receipt{}, err
	}
	out := Receipt{Repeated: true, Warnings: warnings, Unchanged: len(reused) == len(records)}
	for i, rec := range records {
		issued, err := r.issued(ctx, rec, reused[rec.ID], i == len(records)-1)
		if err != nil {
			return Receipt{}, err
		}
		out.Records = append(out.Records, issued)
	}
	about := records[len(records)-1]
	if about.Type == passport.Model || about.Type == passport.Batch {
		return out, nil
	}
	battery, err := r.batteryOfSeries(ctx, about)
	out.Passport, out.BatteryID, out.DigitalLink = about.Series, battery.String(), r.digitalLink(battery)
	return out, err
}

// referred reads the records of a commit, in the order in which they depend on
// each other, and tells which were there before. See plan.refs.
func (r *Registry) referred(ctx context.Context, refs []passport.ID) (records []Record, reused map[passport.ID]bool, err error) {
	used := slices.Index(refs, passport.ID{})
	reused = map[passport.ID]bool{}
	for i, id := range refs {
		if i == used {
			continue
		}
		rec, err := r.record(ctx, id)
		if err != nil {
			return nil, nil, fmt.Errorf("repeat answer: %w", err)
		}
		if records = append(records, rec); i < used {
			reused[id] = true
		}
	}
	order := passport.RecordTypes()
	slices.SortFunc(records, func(a, b Record) int { return slices.Index(order, a.Type) - slices.Index(order, b.Type) })
	return records, reused, nil
}

// batteryOfSeries is the battery of a passport, given one of its records.
func (r *Registry) batteryOfSeries(ctx context.Context, rec Record) (passport.BatteryID, error) {
	if rec.Type == passport.Condition {
		item, err := r.store.Record(ctx, Query{Type: passport.Item, Series: rec.Series, Version: 1})
		if err != nil {
			return passport.BatteryID{}, fmt.Errorf("passport %s: %w", rec.Series, err)
		}
		rec = item
	}
	return r.batteryOf(ctx, rec)
}

// issued is a record in a receipt. What was issued, and what the write is
// about, is the caller's own and comes as a whole token; a record that was
// merely used may be another organisation's and comes without.
func (r *Registry) issued(ctx context.Context, rec Record, reused, about bool) (Issued, error) {
	out := Issued{
		Type: rec.Type, RecordID: rec.ID, Series: rec.Series, Version: rec.Version, Reused: reused,
		Digest: rec.TokenDigest, IssuedAt: rec.IssuedAt,
	}
	if len(rec.JWS) == 0 || reused && !about {
		return out, nil
	}
	disclosures, err := r.disclosures(ctx, rec)
	out.Token = credential.Present(rec.JWS, tokenForm(disclosures), passport.AllTiers())
	return out, err
}

func tokenForm(ds []Disclosure) []credential.Disclosure {
	out := make([]credential.Disclosure, len(ds))
	for i, d := range ds {
		out[i] = credential.Disclosure(d)
	}
	return out
}
