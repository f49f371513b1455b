package registry

import (
	"context"
	"fmt"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
)

// receipt answers a write from what was planned and committed.
func (r *Registry) receipt(p plan, d draft, dry bool) Receipt {
	out := Receipt{DryRun: dry, Warnings: d.warnings, Unchanged: len(p.change.Records) == 0}
	for _, t := range passport.RecordTypes() {
		rec, ok := p.used[t]
		if !ok {
			continue
		}
		out.Records = append(out.Records, issuedOf(rec, p.reused[t], rec.Disclosures))
		if t == passport.Item {
			out.Passport, out.BatteryID, out.DigitalLink = rec.Series, d.battery.String(), r.digitalLink(d.battery)
		}
	}
	return out
}

func issuedOf(rec Record, reused bool, disclosures []Disclosure) Issued {
	out := Issued{
		Type: rec.Type, RecordID: rec.ID, Series: rec.Series, Version: rec.Version, Reused: reused,
		Digest: rec.TokenDigest, IssuedAt: rec.IssuedAt,
	}
	if len(rec.JWS) > 0 {
		out.Token = credential.Present(rec.JWS, tokenForm(disclosures), passport.AllTiers())
	}
	return out
}

// repeat answers a write that was committed before, from the stored records.
func (r *Registry) repeat(ctx context.Context, done Committed) (Receipt, error) {
	out := Receipt{Repeated: true}
	for _, id := range done.Refs {
		rec, err := r.Store.Record(ctx, Query{ID: id})
		if err != nil {
			return Receipt{}, fmt.Errorf("repeat answer: %w", err)
		}
		disclosures, err := r.disclosures(ctx, rec)
		if err != nil {
			return Receipt{}, err
		}
		out.Records = append(out.Records, issuedOf(rec, rec.IssuedAt.Before(done.At), disclosures))
		if rec.Type != passport.Item {
			continue
		}
		battery, err := r.batteryOf(ctx, rec)
		if err != nil {
			return Receipt{}, err
		}
		out.Passport, out.BatteryID, out.DigitalLink = rec.Series, battery.String(), r.digitalLink(battery)
	}
	return out, nil
}

func tokenForm(ds []Disclosure) []credential.Disclosure {
	out := make([]credential.Disclosure, len(ds))
	for i, d := range ds {
		out[i] = credential.Disclosure(d)
	}
	return out
}
