package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// collect returns what scan makes of every row of the query, run for the
// tenants in as, in one round trip. A query that the server did not answer is
// sent again: what this package asks through it can be asked twice.
func collect[T any](ctx context.Context, s *Store, as []passport.OrgID, sql string, args []any, scan func(pgx.Row) (T, error)) ([]T, error) {
	for try := 0; ; try++ {
		found, err := collectOnce(ctx, s, as, sql, args, scan)
		if err == nil {
			return found, nil
		}
		if !repeatable(err) || !pause(ctx, try) {
			return nil, classify(err)
		}
	}
}

func collectOnce[T any](ctx context.Context, s *Store, as []passport.OrgID, sql string, args []any, scan func(pgx.Row) (T, error)) ([]T, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	var found []T
	if as == nil {
		found, err = gather(ctx, conn, sql, args, scan)
	} else {
		found, err = gatherAs(ctx, conn, as, sql, args, scan)
	}
	if err != nil {
		s.mend(ctx, conn)
	}
	return found, err
}

// gather runs the query for nobody: it sees what is published.
func gather[T any](ctx context.Context, conn *pgxpool.Conn, sql string, args []any, scan func(pgx.Row) (T, error)) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return drain(rows, scan)
}

// gatherAs runs the query for the tenants.
func gatherAs[T any](ctx context.Context, conn *pgxpool.Conn, as []passport.OrgID, sql string, args []any, scan func(pgx.Row) (T, error)) ([]T, error) {
	batch := &pgx.Batch{}
	batch.Queue(`BEGIN READ ONLY`)
	batch.Queue(setTenants, words(as))
	batch.Queue(sql, args...)
	batch.Queue(`COMMIT`)
	results := conn.SendBatch(ctx, batch)
	defer results.Close() // below for its error; again it does nothing
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return nil, err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	found, err := drain(rows, scan)
	return found, errors.Join(err, results.Close())
}

func drain[T any](rows pgx.Rows, scan func(pgx.Row) (T, error)) ([]T, error) {
	defer rows.Close()
	var found []T
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, item)
	}
	return found, rows.Err()
}

// row scans the one row of a query for nobody; none is registry.ErrNotFound.
func (s *Store) row(ctx context.Context, sql string, args []any, into ...any) error {
	found, err := collect(ctx, s, nil, sql, args, func(row pgx.Row) (struct{}, error) { return struct{}{}, row.Scan(into...) })
	if err == nil && len(found) == 0 {
		return registry.ErrNotFound
	}
	return err
}

// Record implements registry.Store.
func (s *Store) Record(ctx context.Context, q registry.Query) (registry.Record, error) {
	sql, args := recordQuery(q)
	found, err := collect(ctx, s, nil, sql, args, scanRecord)
	if err == nil && len(found) == 0 {
		err = registry.ErrNotFound
	}
	if err != nil {
		return registry.Record{}, fmt.Errorf("read record: %w", err)
	}
	return found[0], nil
}

func scanRecord(row pgx.Row) (registry.Record, error) {
	var r registry.Record
	var key []byte
	var model, batch pgtype.UUID
	err := row.Scan((*[16]byte)(&r.Series), (*string)(&r.Type), &r.Version, (*[16]byte)(&r.ID), (*string)(&r.Org), &key,
		fixed(r.TokenDigest[:]), fixed(r.ContentDigest[:]), fixed(r.Salt[:]),
		&r.IssuedAt, &r.Slot, &r.GTIN, &r.Lot, &r.Serial, &model, &batch, &r.JWS)
	r.Key, r.IssuedAt = string(key), r.IssuedAt.UTC()
	r.Model, r.Batch = passport.ID(model.Bytes), passport.ID(batch.Bytes)
	return r, err
}

// recordQuery asks for one row by whichever name the query has.
func recordQuery(q registry.Query) (sql string, args []any) {
	const (
		from    = `SELECT ` + recordColumns + ` FROM record WHERE `
		version = ` AND type = $2 AND ($3 = 0 OR version = $3) ORDER BY version DESC LIMIT 1`
	)
	switch {
	case !q.ID.IsZero():
		return from + `record_id = $1`, []any{uuid(q.ID)}
	case q.Key == nil:
		return from + `series_id = $1` + version, []any{uuid(q.Series), string(q.Type), q.Version}
	case q.Key.Type == passport.Item:
		return from + `series_id = (SELECT series_id FROM battery_claim WHERE battery_key = $1)` + version,
			[]any{batteryKey(q.Key), string(q.Key.Type), q.Version}
	}
	return from + `series_id = (SELECT series_id FROM natural_key WHERE key_hash = $1)` + version,
		[]any{nameHash(q.Key.Type, q.Key.Org, q.Key.Text), string(q.Key.Type), q.Version}
}

// batteryKey reads the key of a battery; a text that is none names no battery.
func batteryKey(k *registry.NaturalKey) []byte {
	key, err := hex.DecodeString(k.Text)
	if err != nil || strings.ToLower(k.Text) != k.Text || k.Org != "" {
		return []byte{}
	}
	return key
}

// Disclosures implements registry.Store.
func (s *Store) Disclosures(ctx context.Context, as []passport.OrgID, ids []passport.ID) (map[passport.ID][]registry.Disclosure, error) {
	wanted := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		wanted[i] = uuid(id)
	}
	type packed struct {
		id  passport.ID
		all []byte
	}
	rows, err := collect(ctx, s, tenantsOrNone(as), `SELECT disclosure.record_id, disclosure.packed
		FROM record JOIN disclosure ON disclosure.series_id = record.series_id AND disclosure.record_id = record.record_id
		WHERE record.record_id = ANY ($1) AND disclosure.org = ANY ($2)`,
		[]any{wanted, words(as)}, func(row pgx.Row) (p packed, err error) {
			err = row.Scan((*[16]byte)(&p.id), &p.all)
			return p, err
		})
	if err != nil {
		return nil, fmt.Errorf("read disclosures: %w", err)
	}
	found := make(map[passport.ID][]registry.Disclosure, len(rows))
	for _, row := range rows {
		if found[row.id], err = unpackDisclosures(row.all); err != nil {
			return nil, fmt.Errorf("read disclosures of %s: %w", row.id, err)
		}
	}
	return found, nil
}

// tenantsOrNone keeps "for no tenant" from meaning "for nobody in particular".
func tenantsOrNone(as []passport.OrgID) []passport.OrgID {
	if as == nil {
		return []passport.OrgID{}
	}
	return as
}

// Status implements registry.Store.
func (s *Store) Status(ctx context.Context, series passport.ID) ([]registry.StatusChange, error) {
	history, err := collect(ctx, s, nil, `SELECT slot, from_state, to_state, reason, actor, changed_at
		FROM passport_status WHERE series_id = $1 ORDER BY seq`, []any{uuid(series)},
		func(row pgx.Row) (registry.StatusChange, error) {
			c := registry.StatusChange{Series: series}
			err := row.Scan(&c.Slot, (*string)(&c.From), (*string)(&c.To), &c.Reason, (*string)(&c.Actor), &c.At)
			c.At = c.At.UTC()
			return c, err
		})
	if err != nil {
		return nil, fmt.Errorf("read status of %s: %w", series, err)
	}
	return history, nil
}

// StatusList implements registry.Store; slots count from the first of the list.
func (s *Store) StatusList(ctx context.Context, list int) (map[int]registry.State, error) {
	type entry struct {
		slot  int64
		state registry.State
	}
	first := int64(list) * registry.StatusListSize
	entries, err := collect(ctx, s, nil, `SELECT slot, to_state FROM passport_status AS now
		WHERE slot >= $1 AND slot < $2 AND to_state <> 'active' AND NOT EXISTS
			(SELECT FROM passport_status AS later WHERE later.series_id = now.series_id AND later.seq = now.seq + 1)`,
		[]any{first, first + registry.StatusListSize}, func(row pgx.Row) (e entry, err error) {
			err = row.Scan(&e.slot, (*string)(&e.state))
			return e, err
		})
	if err != nil {
		return nil, fmt.Errorf("read status list %d: %w", list, err)
	}
	states := make(map[int]registry.State, len(entries))
	for _, e := range entries {
		states[int(e.slot-first)] = e.state
	}
	return states, nil
}

// Instance implements registry.Store.
func (s *Store) Instance(ctx context.Context) (registry.Instance, error) {
	var i registry.Instance
	err := s.row(ctx, `SELECT base_url, environment, created_at FROM instance WHERE id = 1`, nil,
		&i.BaseURL, &i.Environment, &i.CreatedAt)
	if err != nil {
		return registry.Instance{}, fmt.Errorf("read instance: %w", err)
	}
	i.CreatedAt = i.CreatedAt.UTC()
	return i, nil
}

// Organisations implements registry.Store.
func (s *Store) Organisations(ctx context.Context) ([]registry.Organisation, error) {
	// One row per key, or one without: organisations and keys of one moment.
	rows, err := collect(ctx, s, nil, `SELECT org, name, country, party_ids, roles, oidc_issuer, admitted_at,
			key_id, algorithm, public_key, not_before, retired_at
		FROM organisation LEFT JOIN signing_key USING (org) ORDER BY org, key_id`, nil, scanOrganisation)
	if err != nil {
		return nil, fmt.Errorf("read organisations: %w", err)
	}
	var orgs []registry.Organisation
	for _, row := range rows {
		if last := len(orgs) - 1; last >= 0 && orgs[last].ID == row.ID {
			orgs[last].Keys = append(orgs[last].Keys, row.Keys...)
			continue
		}
		orgs = append(orgs, row)
	}
	return orgs, nil
}

// scanOrganisation reads an organisation with at most one of its keys.
func scanOrganisation(row pgx.Row) (registry.Organisation, error) {
	var o registry.Organisation
	var parties, roles string
	var id, algorithm *string
	var notBefore, retired *time.Time
	var k registry.Key
	err := row.Scan((*string)(&o.ID), &o.Name, &o.Country, &parties, &roles, &o.OIDCIssuer, &o.AdmittedAt,
		&id, &algorithm, &k.PublicKey, &notBefore, &retired)
	if err != nil {
		return o, err
	}
	o.AdmittedAt = o.AdmittedAt.UTC()
	if id != nil {
		k.Org, k.ID, k.Algorithm = o.ID, *id, *algorithm
		k.NotBefore, k.RetiredAt = fromOptional(notBefore), fromOptional(retired)
		o.Keys = []registry.Key{k}
	}
	return o, errors.Join(unlist(parties, &o.PartyIDs), unlist(roles, &o.Roles))
}

// Members implements registry.Store.
func (s *Store) Members(ctx context.Context, org passport.OrgID) ([]registry.Member, error) {
	members, err := collect(ctx, s, []passport.OrgID{org}, `SELECT issuer, subject, roles, bound_at
		FROM member WHERE org = $1 ORDER BY subject, issuer`, []any{string(org)},
		func(row pgx.Row) (registry.Member, error) {
			m := registry.Member{Org: org}
			var roles string
			if err := row.Scan(&m.Issuer, &m.Subject, &roles, &m.At); err != nil {
				return m, err
			}
			m.At = m.At.UTC()
			return m, unlist(roles, &m.Roles)
		})
	if err != nil {
		return nil, fmt.Errorf("read members of %s: %w", org, err)
	}
	return members, nil
}

// Grants implements registry.Store.
func (s *Store) Grants(ctx context.Context, org passport.OrgID) ([]registry.Grant, error) {
	grants, err := collect(ctx, s, []passport.OrgID{org}, `SELECT grant_id, owner, grantee, points,
			scope_passport, scope_model, valid_from, valid_until, revoked_at
		FROM access_grant WHERE owner = $1 OR grantee = $1 ORDER BY grant_id`, []any{string(org)},
		func(row pgx.Row) (registry.Grant, error) {
			var g registry.Grant
			var item, model pgtype.UUID
			var revoked *time.Time
			err := row.Scan((*[16]byte)(&g.ID), (*string)(&g.Owner), (*string)(&g.Grantee), (*uint8)(&g.Points),
				&item, &model, &g.ValidFrom, &g.Until, &revoked)
			g.Scope = registry.Scope{Passport: passport.ID(item.Bytes), Model: passport.ID(model.Bytes)}
			g.ValidFrom, g.Until, g.RevokedAt = g.ValidFrom.UTC(), g.Until.UTC(), fromOptional(revoked)
			return g, err
		})
	if err != nil {
		return nil, fmt.Errorf("read grants of %s: %w", org, err)
	}
	return grants, nil
}

// Reads implements registry.Store.
func (s *Store) Reads(ctx context.Context, org passport.OrgID, limit int) ([]registry.Read, error) {
	reads, err := collect(ctx, s, []passport.OrgID{org}, `SELECT reader, person, purpose, series_id, version, attributes, read_at
		FROM purpose_log WHERE owner = $1 ORDER BY seq DESC LIMIT $2`, []any{string(org), max(limit, 0)},
		func(row pgx.Row) (registry.Read, error) {
			r := registry.Read{Owner: org}
			var attributes string
			err := row.Scan((*string)(&r.Reader), &r.Person, &r.Purpose, (*[16]byte)(&r.Series), &r.Version, &attributes, &r.At)
			if err != nil {
				return r, err
			}
			r.At = r.At.UTC()
			return r, unlist(attributes, &r.Attributes)
		})
	if err != nil {
		return nil, fmt.Errorf("read restricted reads of %s: %w", org, err)
	}
	return reads, nil
}

// Release implements registry.Store.
func (s *Store) Release(ctx context.Context, id passport.ID) (registry.Release, error) {
	r := registry.Release{Passport: id}
	err := s.row(ctx, `SELECT owner, recipient, released_at FROM passport_release WHERE series_id = $1`, []any{uuid(id)},
		(*string)(&r.Owner), (*string)(&r.To), &r.At)
	if err != nil {
		return registry.Release{}, fmt.Errorf("read release of %s: %w", id, err)
	}
	r.At = r.At.UTC()
	return r, nil
}

// PendingLeaves implements registry.Store.
func (s *Store) PendingLeaves(ctx context.Context) (int64, error) {
	var n int64
	if err := s.row(ctx, `SELECT count(*) FROM log_pending`, nil, &n); err != nil {
		return 0, fmt.Errorf("count pending leaves: %w", err)
	}
	return n, nil
}
