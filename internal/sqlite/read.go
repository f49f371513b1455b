package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

const recordColumns = `series_id, type, version, record_id, org, natural_key, token_digest, content_digest, salt,
	issued_at, slot, gtin, lot, serial, model_record_id, batch_record_id, jws`

// reader is the pool for point reads, with its statements prepared once per
// connection: parsing one costs more than running it.
type reader struct {
	db *sql.DB

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

func (r *reader) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.RLock()
	stmt := r.stmts[query]
	r.mu.RUnlock()
	if stmt != nil {
		return stmt, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if stmt = r.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, failure(err)
	}
	if r.stmts == nil {
		r.stmts = make(map[string]*sql.Stmt)
	}
	r.stmts[query] = stmt
	return stmt, nil
}

// one reads the row of a query, or registry.ErrNotFound.
func (r *reader) one(ctx context.Context, f func(row) error, query string, args ...any) error {
	stmt, err := r.prepare(ctx, query)
	if err != nil {
		return err
	}
	err = f(stmt.QueryRowContext(ctx, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return registry.ErrNotFound
	}
	return failure(err)
}

// each calls f for every row of the query.
func (r *reader) each(ctx context.Context, f func(row) error, query string, args ...any) error {
	stmt, err := r.prepare(ctx, query)
	if err != nil {
		return err
	}
	return each(f, func() (*sql.Rows, error) { return stmt.QueryContext(ctx, args...) })
}

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(into ...any) error }

func scanRecord(from row) (registry.Record, error) {
	var r registry.Record
	var key []byte
	var issued int64
	err := from.Scan(fixed(r.Series[:]), &r.Type, &r.Version, fixed(r.ID[:]), &r.Org, &key,
		fixed(r.TokenDigest[:]), fixed(r.ContentDigest[:]), fixed(r.Salt[:]),
		&issued, &r.Slot, &r.GTIN, &r.Lot, &r.Serial, fixed(r.Model[:]), fixed(r.Batch[:]), &r.JWS)
	r.Key, r.IssuedAt = string(key), fromMicros(issued)
	return r, err
}

// Record implements registry.Store.
func (s *Store) Record(ctx context.Context, q registry.Query) (registry.Record, error) {
	query, args := recordQuery(q)
	var r registry.Record
	err := s.reader.one(ctx, func(from row) (err error) {
		r, err = scanRecord(from)
		return err
	}, query, args...)
	if err != nil {
		return registry.Record{}, fmt.Errorf("read record: %w", err)
	}
	return r, nil
}

// recordQuery asks for one row by whichever name the query has.
func recordQuery(q registry.Query) (string, []any) {
	query := `SELECT ` + recordColumns + ` FROM record WHERE `
	var args []any
	switch {
	case !q.ID.IsZero():
		return query + `record_id = ?`, []any{q.ID[:]}
	case q.Key == nil:
		query, args = query+`series_id = ? AND type = ?`, []any{q.Series[:], q.Type}
	case q.Key.Type == passport.Item:
		query += `series_id = (SELECT series_id FROM battery_claim WHERE battery_key = ?) AND type = ?`
		args = []any{batteryKey(*q.Key), q.Key.Type}
	default:
		query += `series_id = (SELECT series_id FROM natural_key WHERE key_hash = ?) AND type = ?`
		args = []any{nameHash(q.Key.Type, q.Key.Org, q.Key.Text), q.Key.Type}
	}
	if q.Version == 0 {
		return query + ` ORDER BY version DESC LIMIT 1`, args
	}
	return query + ` AND version = ?`, append(args, q.Version)
}

// batteryKey reads the key of a battery from its one spelling; any other names
// no battery.
func batteryKey(k registry.NaturalKey) []byte {
	battery, err := hex.DecodeString(k.Text)
	if err != nil || hex.EncodeToString(battery) != k.Text || k.Org != "" {
		return []byte{}
	}
	return battery
}

// Records implements registry.Store. One SELECT is one snapshot; stopping the
// loop ends it.
func (s *Store) Records(ctx context.Context, f registry.Filter) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		query, args := recordsQuery(f)
		err := each(func(from row) error {
			r, err := scanRecord(from)
			if err == nil && !yield(r, nil) {
				err = errStopped
			}
			return err
		}, func() (*sql.Rows, error) { return s.walks.QueryContext(ctx, query, args...) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(registry.Record{}, fmt.Errorf("read records: %w", err))
		}
	}
}

// errStopped ends a walk whose caller has seen enough.
var errStopped = errors.New("stopped")

func recordsQuery(f registry.Filter) (string, []any) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.Type != "" {
		add(`type = ?`, f.Type)
	}
	if f.Org != "" {
		add(`org = ?`, f.Org)
	}
	if !f.Series.IsZero() {
		add(`series_id = ?`, f.Series[:])
	}
	if f.GTIN != "" {
		add(`gtin = ? AND gtin <> ''`, f.GTIN) // the second names the partial index
	}
	if f.Lot != "" {
		add(`lot = ? AND lot <> ''`, f.Lot)
	}
	if !f.After.IsZero() {
		add(`series_id > ?`, f.After[:])
	}
	if f.Newest {
		add(`NOT EXISTS (SELECT 1 FROM record AS newer
			WHERE newer.series_id = record.series_id AND newer.type = record.type AND newer.version > record.version)`)
	}
	query := `SELECT ` + recordColumns + ` FROM record`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	query += ` ORDER BY series_id, version, type`
	if f.Limit > 0 {
		query += ` LIMIT ?`
		args = append(args, f.Limit)
	}
	return query, args
}

// Disclosures implements registry.Store.
func (s *Store) Disclosures(ctx context.Context, as []passport.OrgID, ids []passport.ID) (map[passport.ID][]registry.Disclosure, error) {
	found := make(map[passport.ID][]registry.Disclosure)
	tenants, err := list(as)
	if err != nil {
		return nil, fmt.Errorf("read disclosures: %w", err)
	}
	wanted := make([]string, len(ids))
	for i, id := range ids {
		wanted[i] = hex.EncodeToString(id[:])
	}
	records, err := list(wanted)
	if err != nil {
		return nil, fmt.Errorf("read disclosures: %w", err)
	}
	// Arrays as JSON: one statement whatever their length.
	err = s.reader.each(ctx, func(from row) error {
		var id passport.ID
		var packed []byte
		if err := from.Scan(fixed(id[:]), &packed); err != nil {
			return err
		}
		found[id], err = unpackDisclosures(packed)
		return err
	}, `SELECT disclosure.record_id, disclosure.packed FROM json_each(?) AS wanted
		CROSS JOIN record ON record.record_id = unhex(wanted.value)
		JOIN disclosure ON disclosure.series_id = record.series_id AND disclosure.record_id = record.record_id
		WHERE disclosure.org IN (SELECT value FROM json_each(?))`, records, tenants)
	if err != nil {
		return nil, fmt.Errorf("read disclosures: %w", err)
	}
	return found, nil
}

func each(f func(row) error, query func() (*sql.Rows, error)) error {
	rows, err := query()
	if err != nil {
		return failure(err)
	}
	defer func() { _ = rows.Close() }() // what it could say, rows.Err said
	for rows.Next() {
		if err := f(rows); err != nil {
			return err // not the database's: it has answered
		}
	}
	return failure(rows.Err())
}

// Status implements registry.Store.
func (s *Store) Status(ctx context.Context, series passport.ID) ([]registry.StatusChange, error) {
	var history []registry.StatusChange
	err := s.reader.each(ctx, func(from row) error {
		c := registry.StatusChange{Series: series}
		var at int64
		err := from.Scan(&c.Slot, &c.From, &c.To, &c.Reason, &c.Actor, &at)
		c.At = fromMicros(at)
		history = append(history, c)
		return err
	}, `SELECT slot, from_state, to_state, reason, actor, changed_at FROM passport_status WHERE series_id = ? ORDER BY seq`, series[:])
	if err != nil {
		return nil, fmt.Errorf("read status of %s: %w", series, err)
	}
	return history, nil
}

// StatusList implements registry.Store. The keys are slots counted from the
// list's first.
func (s *Store) StatusList(ctx context.Context, list int) (map[int]registry.State, error) {
	states := make(map[int]registry.State)
	first := int64(list) * registry.StatusListSize
	err := s.reader.each(ctx, func(from row) error {
		var slot int64
		var state registry.State
		err := from.Scan(&slot, &state)
		states[int(slot-first)] = state
		return err
	}, `SELECT slot, to_state FROM passport_status AS now
		WHERE slot >= ? AND slot < ? AND to_state <> 'active' AND NOT EXISTS
			(SELECT 1 FROM passport_status AS later WHERE later.series_id = now.series_id AND later.seq = now.seq + 1)`,
		first, first+registry.StatusListSize)
	if err != nil {
		return nil, fmt.Errorf("read status list %d: %w", list, err)
	}
	return states, nil
}

// Instance implements registry.Store.
func (s *Store) Instance(ctx context.Context) (registry.Instance, error) {
	var i registry.Instance
	var created int64
	err := s.reader.one(ctx, func(from row) error { return from.Scan(&i.BaseURL, &i.Environment, &created) },
		`SELECT base_url, environment, created_at FROM instance WHERE id = 1`)
	if err != nil {
		return registry.Instance{}, fmt.Errorf("read instance: %w", err)
	}
	i.CreatedAt = fromMicros(created)
	return i, nil
}

// Organisations implements registry.Store.
func (s *Store) Organisations(ctx context.Context) ([]registry.Organisation, error) {
	// One statement, so that organisations and keys are of one moment.
	var orgs []registry.Organisation
	err := s.reader.each(ctx, func(from row) error {
		o, key, err := scanOrganisation(from)
		if err != nil {
			return err
		}
		if len(orgs) == 0 || orgs[len(orgs)-1].ID != o.ID {
			orgs = append(orgs, o)
		}
		if last := &orgs[len(orgs)-1]; key.ID != "" {
			last.Keys = append(last.Keys, key)
		}
		return nil
	}, `SELECT organisation.org, name, country, party_ids, roles, oidc_issuer, admitted_at,
			coalesce(key_id, ''), coalesce(algorithm, ''), public_key, coalesce(not_before, 0), retired_at
		FROM organisation LEFT JOIN signing_key ON signing_key.org = organisation.org
		ORDER BY organisation.org, key_id`)
	if err != nil {
		return nil, fmt.Errorf("read organisations: %w", err)
	}
	return orgs, nil
}

// scanOrganisation reads an organisation and one of its keys; the key has no
// ID if there is none.
func scanOrganisation(from row) (o registry.Organisation, k registry.Key, err error) {
	var parties, roles string
	var admitted, notBefore int64
	var retired sql.NullInt64
	if err := from.Scan(&o.ID, &o.Name, &o.Country, &parties, &roles, &o.OIDCIssuer, &admitted,
		&k.ID, &k.Algorithm, &k.PublicKey, &notBefore, &retired); err != nil {
		return o, k, err
	}
	o.AdmittedAt = fromMicros(admitted)
	k.Org, k.NotBefore, k.RetiredAt = o.ID, fromMicros(notBefore), fromOptional(retired)
	return o, k, errors.Join(unlist(parties, &o.PartyIDs), unlist(roles, &o.Roles))
}

// Members implements registry.Store.
func (s *Store) Members(ctx context.Context, org passport.OrgID) ([]registry.Member, error) {
	var members []registry.Member
	err := s.reader.each(ctx, func(from row) error {
		m := registry.Member{Org: org}
		var roles string
		var bound int64
		if err := from.Scan(&m.Issuer, &m.Subject, &roles, &bound); err != nil {
			return err
		}
		m.At = fromMicros(bound)
		err := unlist(roles, &m.Roles)
		members = append(members, m)
		return err
	}, `SELECT issuer, subject, roles, bound_at FROM member WHERE org = ? ORDER BY subject, issuer`, org)
	if err != nil {
		return nil, fmt.Errorf("read members of %s: %w", org, err)
	}
	return members, nil
}

// Grants implements registry.Store.
func (s *Store) Grants(ctx context.Context, org passport.OrgID) ([]registry.Grant, error) {
	var grants []registry.Grant
	err := s.reader.each(ctx, func(from row) error {
		var g registry.Grant
		var validFrom, until int64
		var revoked sql.NullInt64
		err := from.Scan(fixed(g.ID[:]), &g.Owner, &g.Grantee, &g.Points, fixed(g.Scope.Passport[:]), fixed(g.Scope.Model[:]),
			&validFrom, &until, &revoked)
		g.ValidFrom, g.Until, g.RevokedAt = fromMicros(validFrom), fromMicros(until), fromOptional(revoked)
		grants = append(grants, g)
		return err
	}, `SELECT grant_id, owner, grantee, points, scope_passport, scope_model, valid_from, valid_until, revoked_at
		FROM access_grant WHERE owner = ?1 OR grantee = ?1 ORDER BY grant_id`, org)
	if err != nil {
		return nil, fmt.Errorf("read grants of %s: %w", org, err)
	}
	return grants, nil
}

// Reads implements registry.Store.
func (s *Store) Reads(ctx context.Context, org passport.OrgID, limit int) ([]registry.Read, error) {
	var reads []registry.Read
	err := s.reader.each(ctx, func(from row) error {
		r := registry.Read{Owner: org}
		var attributes string
		var at int64
		if err := from.Scan(&r.Reader, &r.Person, &r.Purpose, fixed(r.Series[:]), &r.Version, &attributes, &at); err != nil {
			return err
		}
		r.At = fromMicros(at)
		err := unlist(attributes, &r.Attributes)
		reads = append(reads, r)
		return err
	}, `SELECT reader, person, purpose, series_id, version, attributes, read_at
		FROM purpose_log WHERE owner = ? ORDER BY seq DESC LIMIT ?`, org, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("read restricted reads of %s: %w", org, err)
	}
	return reads, nil
}

// Release implements registry.Store.
func (s *Store) Release(ctx context.Context, id passport.ID) (registry.Release, error) {
	r := registry.Release{Passport: id}
	var at int64
	err := s.reader.one(ctx, func(from row) error { return from.Scan(&r.Owner, &r.To, &at) },
		`SELECT owner, recipient, released_at FROM passport_release WHERE series_id = ?`, id[:])
	if err != nil {
		return registry.Release{}, fmt.Errorf("read release of %s: %w", id, err)
	}
	r.At = fromMicros(at)
	return r, nil
}

// PendingLeaves implements registry.Store.
func (s *Store) PendingLeaves(ctx context.Context) (int64, error) {
	var n int64
	if err := s.reader.one(ctx, func(from row) error { return from.Scan(&n) }, `SELECT count(*) FROM log_pending`); err != nil {
		return 0, fmt.Errorf("count pending leaves: %w", err)
	}
	return n, nil
}
