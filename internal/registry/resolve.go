package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
)

// Passport resolves one version of a passport (0: the newest) for a reader.
// A restricted read is recorded before it is answered; if it cannot be
// recorded it is not answered.
func (r *Registry) Passport(ctx context.Context, id passport.ID, version int, reader Reader) (View, error) {
	newest, item, err := r.versions(ctx, passport.Item, id, version)
	if err != nil {
		return View{}, err
	}
	standing, err := r.standing(ctx, newest)
	if err != nil {
		return View{}, err
	}
	v := View{
		PassportID: id, Version: item.Version, Latest: newest.Version, Environment: r.instance.Environment, Standing: standing,
	}
	var reads []Read
	if v.Item, v.Tiers, err = r.read(ctx, item, reader, &reads, item.Model); err != nil {
		return View{}, err
	}
	for pin, part := range map[passport.ID]**Part{item.Model: &v.Model, item.Batch: &v.Batch} {
		if *part, err = r.readPinned(ctx, pin, reader, &reads, id); err != nil {
			return View{}, err
		}
	}
	if v.Tiers.Has(passport.Point4) {
		if v.Condition, err = r.readCondition(ctx, item, reader, &reads); err != nil {
			return View{}, err
		}
	}
	battery, err := passport.ParseBatteryID(text(v.Item.Record, "batteryId"))
	if err != nil {
		return View{}, fmt.Errorf("stored battery id: %w", err)
	}
	v.BatteryID, v.DigitalLink = battery.String(), r.digitalLink(battery)
	return v, r.remember(ctx, reads)
}

// versions returns the newest version of a series and the one asked for.
func (r *Registry) versions(ctx context.Context, t passport.RecordType, series passport.ID, version int) (newest, asked Record, err error) {
	if newest, err = r.Store.Record(ctx, Query{Type: t, Series: series}); err != nil {
		return Record{}, Record{}, fmt.Errorf("%s %s: %w", t, series, err)
	}
	if version == 0 || version == newest.Version {
		return newest, newest, nil
	}
	if asked, err = r.Store.Record(ctx, Query{Type: t, Series: series, Version: version}); err != nil {
		return Record{}, Record{}, fmt.Errorf("%s %s version %d: %w", t, series, version, err)
	}
	return newest, asked, nil
}

// readPinned reads the record an item pins, within the item: a grant for the
// item's series reaches it.
func (r *Registry) readPinned(ctx context.Context, id passport.ID, reader Reader, reads *[]Read, item passport.ID) (*Part, error) {
	if id.IsZero() {
		return nil, nil
	}
	rec, err := r.record(ctx, id)
	if err != nil {
		return nil, err
	}
	part, _, err := r.read(ctx, rec, reader, reads, item)
	return &part, err
}

func (r *Registry) readCondition(ctx context.Context, item Record, reader Reader, reads *[]Read) (*Part, error) {
	rec, err := r.Store.Record(ctx, Query{Type: passport.Condition, Series: item.Series})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("condition of %s: %w", item.Series, err)
	}
	part, _, err := r.read(ctx, rec, reader, reads, item.Model)
	return &part, err
}

// read opens rec for the reader and notes what was disclosed.
func (r *Registry) read(ctx context.Context, rec Record, reader Reader, reads *[]Read, through ...passport.ID) (Part, passport.Tiers, error) {
	tiers, err := r.tiers(ctx, rec, reader, through...)
	if err != nil {
		return Part{}, 0, err
	}
	part, shown, err := r.part(ctx, rec, tiers)
	if err != nil {
		return Part{}, 0, err
	}
	if len(shown) > 0 {
		*reads = append(*reads, Read{
			Owner: rec.Org, Reader: reader.By.Org, Person: reader.By.Name, Purpose: reader.Purpose,
			Series: rec.Series, Version: rec.Version, Attributes: shown, At: r.Now().UTC(),
		})
	}
	return part, tiers, nil
}

// tiers decides what the reader may see of rec. Whoever may see nothing more
// than the public gets the public face; whoever may must say what for.
func (r *Registry) tiers(ctx context.Context, rec Record, reader Reader, through ...passport.ID) (passport.Tiers, error) {
	if reader.By.Anonymous() {
		return 0, nil
	}
	resource := access.Resource{
		Owner: rec.Org, Type: rec.Type, Series: append(through, rec.Series), HasPurpose: reader.Purpose != "", At: r.Now(),
	}
	grants, err := r.Store.Grants(ctx, rec.Org)
	if err != nil {
		return 0, fmt.Errorf("grants of %s: %w", rec.Org, err)
	}
	for _, g := range grants {
		resource.Grants = append(resource.Grants, g.forAccess())
	}
	decision := access.Allow(reader.By, access.ReadRestricted, resource)
	if decision.Reason == access.NoPurpose {
		return 0, ErrPurposeMissing
	}
	return decision.Tiers, nil
}

func (g Grant) forAccess() access.Grant {
	return access.Grant{
		Owner: g.Owner, Grantee: g.Grantee, Points: g.Points, Passport: g.Scope.Passport, Model: g.Scope.Model,
		From: g.ValidFrom, Until: g.Until, RevokedAt: g.RevokedAt,
	}
}

// part processes a stored record for the given tiers, and names the restricted
// attributes it shows.
func (r *Registry) part(ctx context.Context, rec Record, tiers passport.Tiers) (Part, []string, error) {
	if tiers == 0 {
		part, err := r.publicPart(ctx, rec)
		return part, nil, err
	}
	stored, err := r.disclosures(ctx, rec)
	if err != nil {
		return Part{}, nil, err
	}
	part, err := r.present(ctx, rec, stored, tiers)
	var shown []string
	for _, d := range stored {
		if tiers.Has(d.Tier) && !slices.Contains(shown, d.Attribute) {
			shown = append(shown, d.Attribute)
		}
	}
	return part, shown, err
}

// present is what a verifier sees in the presentation for these tiers.
func (r *Registry) present(ctx context.Context, rec Record, stored []Disclosure, tiers passport.Tiers) (Part, error) {
	verified, err := r.open(ctx, credential.Present(rec.JWS, tokenForm(stored), tiers))
	if err != nil {
		return Part{}, fmt.Errorf("stored record %s: %w", rec.ID, err)
	}
	issuer, err := r.party(ctx, rec.Org)
	if err != nil {
		return Part{}, err
	}
	record := make(map[string]any, len(verified.subject))
	for name, value := range verified.subject {
		if name != "id" && name != "type" {
			record[name] = value
		}
	}
	return Part{
		RecordID: rec.ID, Series: rec.Series, Version: rec.Version, Issuer: issuer, IssuedAt: rec.IssuedAt, Record: record,
		Withheld: r.withheld(rec.Type, tiers), WithheldCount: verified.withheld, TokenDigest: rec.TokenDigest,
	}, nil
}

// withheld lists the restricted attributes a record of this type may hold and
// a reader of these tiers does not see.
func (r *Registry) withheld(t passport.RecordType, tiers passport.Tiers) []catalogue.Attribute {
	var out []catalogue.Attribute
	for _, a := range r.Catalogue.Disclosures(t) {
		if !tiers.Has(a.Tier) {
			out = append(out, a)
		}
	}
	return out
}

func (r *Registry) disclosures(ctx context.Context, rec Record) ([]Disclosure, error) {
	if len(rec.Disclosures) > 0 {
		return rec.Disclosures, nil
	}
	byID, err := r.Store.Disclosures(ctx, []passport.OrgID{rec.Org}, []passport.ID{rec.ID})
	if err != nil {
		return nil, fmt.Errorf("disclosures of %s: %w", rec.ID, err)
	}
	return byID[rec.ID], nil
}

// remember writes the purpose log.
func (r *Registry) remember(ctx context.Context, reads []Read) error {
	if len(reads) == 0 {
		return nil
	}
	_, err := r.Store.Commit(ctx, Change{Tenant: reads[0].Reader, At: r.Now().UTC(), Reads: reads})
	if err != nil {
		return fmt.Errorf("record the restricted read: %w", err)
	}
	return nil
}

// Versions lists the versions of a passport, oldest first.
func (r *Registry) Versions(ctx context.Context, id passport.ID) ([]Versioned, error) {
	var out []Versioned
	for rec, err := range r.Store.Records(ctx, Filter{Type: passport.Item, Series: id}) {
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

// Token returns the SD-JWT presentation of one version of a series (0: the
// newest) that the reader's tiers allow; the public one is "JWS~".
func (r *Registry) Token(ctx context.Context, t passport.RecordType, series passport.ID, version int, reader Reader) ([]byte, Record, error) {
	_, rec, err := r.versions(ctx, t, series, version)
	if err != nil {
		return nil, Record{}, err
	}
	tiers, err := r.tiers(ctx, rec, reader, rec.Model)
	if err != nil || tiers == 0 {
		return credential.Present(rec.JWS, nil, 0), rec, err
	}
	var reads []Read
	if _, _, err := r.read(ctx, rec, reader, &reads, rec.Model); err != nil {
		return nil, Record{}, err
	}
	stored, err := r.disclosures(ctx, rec)
	if err != nil {
		return nil, Record{}, err
	}
	return credential.Present(rec.JWS, tokenForm(stored), tiers), rec, r.remember(ctx, reads)
}

// Bare returns exactly the bytes "JWS~" that pins digest.
func (r *Registry) Bare(ctx context.Context, id passport.ID) ([]byte, Record, error) {
	rec, err := r.record(ctx, id)
	if err != nil {
		return nil, Record{}, err
	}
	return credential.Present(rec.JWS, nil, 0), rec, nil
}

// Shared resolves one version (0: the newest) of a model or batch.
func (r *Registry) Shared(ctx context.Context, t passport.RecordType, series passport.ID, version int, reader Reader) (Part, error) {
	_, rec, err := r.versions(ctx, t, series, version)
	if err != nil {
		return Part{}, err
	}
	var reads []Read
	part, _, err := r.read(ctx, rec, reader, &reads)
	if err != nil {
		return Part{}, err
	}
	return part, r.remember(ctx, reads)
}

// Standing returns the status of a passport and who follows it.
func (r *Registry) Standing(ctx context.Context, id passport.ID) (Standing, error) {
	rec, err := r.Store.Record(ctx, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Standing{}, fmt.Errorf("passport %s: %w", id, err)
	}
	return r.standing(ctx, rec)
}

func (r *Registry) standing(ctx context.Context, rec Record) (Standing, error) {
	history, err := r.Store.Status(ctx, rec.Series)
	if err != nil {
		return Standing{}, fmt.Errorf("status of %s: %w", rec.Series, err)
	}
	if len(history) == 0 {
		return Standing{State: Active, Since: rec.SeriesSince()}, nil
	}
	last := history[len(history)-1]
	s := Standing{State: last.To, Since: last.At, Reason: last.Reason, History: history}
	if last.To == Superseded {
		present, err := r.Store.Record(ctx, Query{Key: &NaturalKey{Type: passport.Item, Text: rec.Key}})
		if err != nil {
			return Standing{}, fmt.Errorf("successor of %s: %w", rec.Series, err)
		}
		s.Successor = present.Series
	}
	return s, nil
}

// SeriesSince is when the series was issued first: the time in its UUIDv7.
func (rec Record) SeriesSince() time.Time {
	var ms int64
	for _, b := range rec.Series[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// InForce returns the passport in force for a battery.
func (r *Registry) InForce(ctx context.Context, battery passport.BatteryID) (passport.ID, error) {
	rec, err := r.Store.Record(ctx, Query{Key: batteryKey(battery.Key())})
	if err != nil {
		return passport.ID{}, fmt.Errorf("battery %s: %w", battery, err)
	}
	return rec.Series, nil
}

// Look answers what stands behind a Digital Link, as far as it is registered.
func (r *Registry) Look(ctx context.Context, link passport.DigitalLink) (Place, error) {
	place := Place{Link: link}
	if link.Serial != "" || link.GIAI != "" {
		id, err := r.inForceAt(ctx, link)
		if err != nil {
			return Place{}, err
		}
		place.Passport, place.Known = id, !id.IsZero()
	}
	if link.GTIN == "" {
		return place, nil
	}
	model, err := r.first(ctx, Filter{Type: passport.Model, GTIN: string(link.GTIN), Limit: 1})
	if err != nil {
		return Place{}, err
	}
	place.Model, place.Known = model, place.Known || !model.IsZero()
	if link.Lot != "" {
		place.Batch, err = r.first(ctx, Filter{Type: passport.Batch, GTIN: string(link.GTIN), Lot: link.Lot, Limit: 1})
	}
	return place, err
}

func (r *Registry) inForceAt(ctx context.Context, link passport.DigitalLink) (passport.ID, error) {
	battery, ok := link.Key()
	if !ok {
		return passport.ID{}, nil
	}
	rec, err := r.Store.Record(ctx, Query{Key: batteryKey(battery)})
	if errors.Is(err, ErrNotFound) {
		return passport.ID{}, nil
	} else if err != nil {
		return passport.ID{}, fmt.Errorf("battery %s: %w", link.ElementString(), err)
	}
	return rec.Series, nil
}

func (r *Registry) first(ctx context.Context, f Filter) (passport.ID, error) {
	for rec, err := range r.Store.Records(ctx, f) {
		if err != nil {
			return passport.ID{}, fmt.Errorf("look up: %w", err)
		}
		return rec.Series, nil
	}
	return passport.ID{}, nil
}

// batteryOf reads the battery id out of a stored item.
func (r *Registry) batteryOf(ctx context.Context, item Record) (passport.BatteryID, error) {
	part, err := r.publicPart(ctx, item)
	if err != nil {
		return passport.BatteryID{}, err
	}
	return passport.ParseBatteryID(text(part.Record, "batteryId"))
}
