package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
)

// reading is one request of a reader. What they may see is decided record by
// record, since a passport, its model and its batch may have different owners;
// what they are shown is written into each owner's log before they see it, all
// of it in one transaction or none.
type reading struct {
	*Registry
	reader Reader
	grants []access.Grant // given by or to the reader's organisation
	asked  bool           // for the grants
	shown  []Read
}

func (r *Registry) read(reader Reader) *reading { return &reading{Registry: r, reader: reader} }

// scopes lists the series through which a grant reaches the record: its own and
// that of the model it rests on.
func (r *Registry) scopes(ctx context.Context, rec Record) ([]passport.ID, error) {
	if rec.Model.IsZero() {
		return []passport.ID{rec.Series}, nil
	}
	model, err := r.record(ctx, rec.Model)
	return []passport.ID{rec.Series, model.Series}, err
}

// part opens a record for the reader. Through names the series of what it is
// read within.
func (s *reading) part(ctx context.Context, rec Record, through ...passport.ID) (Part, passport.Tiers, error) {
	tiers, open, err := s.open(ctx, rec, through...)
	if err != nil {
		return Part{}, 0, err
	}
	var shown face
	if tiers == 0 {
		shown, err = s.face(ctx, rec)
	} else {
		shown, err = s.process(ctx, rec, open, tiers)
	}
	if err != nil {
		return Part{}, 0, err
	}
	issuer, err := s.party(ctx, rec.Org)
	return Part{
		RecordID: rec.ID, Series: rec.Series, Version: rec.Version, Issuer: issuer, IssuedAt: rec.IssuedAt, Record: shown.record,
		Withheld: s.withheld(rec.Type, tiers), WithheldCount: shown.withheld, TokenDigest: rec.TokenDigest,
	}, tiers, err
}

// open returns the disclosures of a record that the reader may see, and notes
// that they see them.
func (s *reading) open(ctx context.Context, rec Record, through ...passport.ID) (passport.Tiers, []Disclosure, error) {
	tiers, err := s.tiers(ctx, rec, through)
	if err != nil || tiers == 0 {
		return 0, nil, err
	}
	stored, err := s.disclosures(ctx, rec)
	if err != nil {
		return 0, nil, err
	}
	var open []Disclosure
	var attributes []string
	for _, d := range stored {
		if !tiers.Has(d.Tier) {
			continue
		}
		open = append(open, d)
		if !slices.Contains(attributes, d.Attribute) {
			attributes = append(attributes, d.Attribute)
		}
	}
	if len(open) > 0 {
		s.shown = append(s.shown, Read{
			Owner: rec.Org, Reader: s.reader.By.Org, Person: s.reader.By.Name, Purpose: s.reader.Purpose,
			Series: rec.Series, Version: rec.Version, Attributes: attributes, At: s.now(),
		})
	}
	return tiers, open, nil
}

// tiers decides what the reader may see of rec. Whoever may see nothing more
// than the public gets the public face; whoever may must say what for.
func (s *reading) tiers(ctx context.Context, rec Record, through []passport.ID) (passport.Tiers, error) {
	if s.reader.By.Anonymous() {
		return 0, nil
	}
	resource := access.Resource{
		Owner: rec.Org, Type: rec.Type, Series: append(slices.Clone(through), rec.Series), HasPurpose: s.reader.Purpose != "", At: s.now(),
	}
	// A grant never takes anything away, so it need not be looked for where the
	// role opens everything.
	decision := access.Allow(s.reader.By, access.ReadRestricted, resource)
	if decision.Tiers != passport.AllTiers() && decision.Reason != access.NoPurpose {
		var err error
		if resource.Grants, err = s.held(ctx); err != nil {
			return 0, err
		}
		decision = access.Allow(s.reader.By, access.ReadRestricted, resource)
	}
	if decision.Reason == access.NoPurpose {
		return 0, ErrPurposeMissing
	}
	return decision.Tiers, nil
}

// held returns the grants of the reader's organisation, asked for once in a
// request and never longer kept: a revocation counts at the next one.
func (s *reading) held(ctx context.Context) ([]access.Grant, error) {
	if s.asked {
		return s.grants, nil
	}
	grants, err := s.store.Grants(ctx, s.reader.By.Org)
	if err != nil {
		return nil, fmt.Errorf("grants of %s: %w", s.reader.By.Org, err)
	}
	for _, g := range grants {
		s.grants = append(s.grants, access.Grant{
			Owner: g.Owner, Grantee: g.Grantee, Points: g.Points, Passport: g.Scope.Passport, Model: g.Scope.Model,
			From: g.ValidFrom, Until: g.Until, RevokedAt: g.RevokedAt,
		})
	}
	s.asked = true
	return s.grants, nil
}

// withheld lists the restricted attributes a record of this type may hold and
// a reader of these tiers does not see.
func (r *Registry) withheld(t passport.RecordType, tiers passport.Tiers) []catalogue.Attribute {
	var out []catalogue.Attribute
	for _, a := range r.catalogue.Disclosures(t) {
		if !tiers.Has(a.Tier) {
			out = append(out, a)
		}
	}
	return out
}

// remember writes down what the reader is about to see. After an error they must
// not see it.
func (s *reading) remember(ctx context.Context) error {
	if len(s.shown) == 0 {
		return nil
	}
	if _, err := s.commit(ctx, Change{Tenant: s.reader.By.Org, At: s.now(), Reads: s.shown}); err != nil {
		return fmt.Errorf("record the restricted read: %w", err)
	}
	return nil
}

// Passport resolves one version of a passport (0: the newest) for a reader.
// A restricted read is recorded before it is answered; if it cannot be
// recorded it is not answered.
func (r *Registry) Passport(ctx context.Context, id passport.ID, version int, reader Reader) (View, error) {
	newest, item, err := r.versions(ctx, passport.Item, id, version)
	if err != nil {
		return View{}, err
	}
	v := View{PassportID: id, Version: item.Version, Latest: newest.Version, Environment: r.instance.Environment}
	if v.Standing, err = r.standing(ctx, newest); err != nil {
		return View{}, err
	}
	s := r.read(reader)
	if err := s.parts(ctx, item, &v); err != nil {
		return View{}, err
	}
	battery, err := passport.ParseBatteryID(text(v.Item.Record, "batteryId"))
	if err != nil {
		return View{}, fmt.Errorf("stored battery id: %w", err)
	}
	v.BatteryID, v.DigitalLink = battery.String(), r.digitalLink(battery)
	if err := s.remember(ctx); err != nil {
		return View{}, err
	}
	return v, nil
}

// parts opens the item and what belongs to it. Everything is read within the
// passport and its model, so that a grant for either reaches it.
func (s *reading) parts(ctx context.Context, item Record, v *View) error {
	through, err := s.scopes(ctx, item)
	if err != nil {
		return err
	}
	if v.Item, v.Tiers, err = s.part(ctx, item, through...); err != nil {
		return err
	}
	if v.Model, err = s.pinnedPart(ctx, item.Model, through); err != nil {
		return err
	}
	if v.Batch, err = s.pinnedPart(ctx, item.Batch, through); err != nil {
		return err
	}
	if !v.Tiers.Has(passport.Point4) {
		return nil
	}
	v.Condition, err = s.condition(ctx, item, through)
	return err
}

func (s *reading) pinnedPart(ctx context.Context, id passport.ID, through []passport.ID) (*Part, error) {
	if id.IsZero() {
		return nil, nil
	}
	rec, err := s.record(ctx, id)
	if err != nil {
		return nil, err
	}
	part, _, err := s.part(ctx, rec, through...)
	return &part, err
}

func (s *reading) condition(ctx context.Context, item Record, through []passport.ID) (*Part, error) {
	rec, err := s.store.Record(ctx, Query{Type: passport.Condition, Series: item.Series})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("condition of %s: %w", item.Series, err)
	}
	part, _, err := s.part(ctx, rec, through...)
	return &part, err
}

// versions returns the newest version of a series and the one asked for.
func (r *Registry) versions(ctx context.Context, t passport.RecordType, series passport.ID, version int) (newest, asked Record, err error) {
	if newest, err = r.store.Record(ctx, Query{Type: t, Series: series}); err != nil {
		return Record{}, Record{}, fmt.Errorf("%s %s: %w", t, series, err)
	}
	if version == 0 || version == newest.Version {
		return newest, newest, nil
	}
	if asked, err = r.store.Record(ctx, Query{Type: t, Series: series, Version: version}); err != nil {
		return Record{}, Record{}, fmt.Errorf("%s %s version %d: %w", t, series, version, err)
	}
	return newest, asked, nil
}

// Shared resolves one version (0: the newest) of a model or batch.
func (r *Registry) Shared(ctx context.Context, t passport.RecordType, series passport.ID, version int, reader Reader) (Part, error) {
	rec, through, err := r.asked(ctx, t, series, version)
	if err != nil {
		return Part{}, err
	}
	s := r.read(reader)
	part, _, err := s.part(ctx, rec, through...)
	if err != nil {
		return Part{}, err
	}
	if err := s.remember(ctx); err != nil {
		return Part{}, err
	}
	return part, nil
}

// Token returns the SD-JWT presentation of one version of a series (0: the
// newest) that the reader's tiers allow; the public one is "JWS~".
func (r *Registry) Token(ctx context.Context, t passport.RecordType, series passport.ID, version int, reader Reader) ([]byte, Record, error) {
	rec, through, err := r.asked(ctx, t, series, version)
	if err != nil {
		return nil, Record{}, err
	}
	s := r.read(reader)
	tiers, open, err := s.open(ctx, rec, through...)
	if err != nil {
		return nil, Record{}, err
	}
	if err := s.remember(ctx); err != nil {
		return nil, Record{}, err
	}
	return credential.Present(rec.JWS, tokenForm(open), tiers), rec, nil
}

// asked returns the version asked for and the series that grants name it by.
func (r *Registry) asked(ctx context.Context, t passport.RecordType, series passport.ID, version int) (Record, []passport.ID, error) {
	rec, err := r.store.Record(ctx, Query{Type: t, Series: series, Version: version})
	if err != nil {
		return Record{}, nil, fmt.Errorf("%s %s version %d: %w", t, series, version, err)
	}
	through, err := r.scopes(ctx, rec)
	return rec, through, err
}

// Bare returns exactly the bytes "JWS~" that pins digest.
func (r *Registry) Bare(ctx context.Context, id passport.ID) ([]byte, Record, error) {
	rec, err := r.record(ctx, id)
	if err != nil {
		return nil, Record{}, err
	}
	return credential.Present(rec.JWS, nil, 0), rec, nil
}
