package postgres

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/provolt/provolt/internal/registry"
)

// page is how many records Records holds at most.
const page = 256

// Records implements registry.Store. What fits a page is one query. More is
// read page by page from one snapshot, so that neither the server nor this
// process holds more than a page however slowly the caller goes; the loop then
// keeps a connection until it ends.
func (s *Store) Records(ctx context.Context, f registry.Filter) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		limit := page + 1
		if f.Limit > 0 {
			limit = min(limit, f.Limit)
		}
		sql, args := recordsQuery(f, nil, limit)
		found, err := collect(ctx, s, nil, sql, args, scanRecord)
		switch {
		case err != nil:
		case len(found) <= page:
			each(found, yield)
		default:
			err = s.walk(ctx, f, yield)
		}
		if err != nil {
			yield(registry.Record{}, fmt.Errorf("read records: %w", classify(err)))
		}
	}
}

// each yields the records; false if the caller has enough.
func each(records []registry.Record, yield func(registry.Record, error) bool) bool {
	for _, r := range records {
		if !yield(r, nil) {
			return false
		}
	}
	return true
}

// walk yields the records of one snapshot.
func (s *Store) walk(ctx context.Context, f registry.Filter, yield func(registry.Record, error) bool) error {
	select {
	case s.walks <- struct{}{}:
		defer func() { <-s.walks }()
	case <-ctx.Done():
		return ctx.Err()
	}
	conn, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	defer s.end(ctx, conn)
	var last *registry.Record
	for left := f.Limit; ; left -= page {
		limit := page
		if f.Limit > 0 {
			limit = min(limit, left)
		}
		found, err := s.turn(ctx, conn, f, last, limit)
		if err != nil || !each(found, yield) || len(found) < page || left == page {
			return err
		}
		last = &found[page-1]
	}
}

// turn reads the page behind last.
func (s *Store) turn(ctx context.Context, conn *pgxpool.Conn, f registry.Filter, last *registry.Record, limit int) ([]registry.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	sql, args := recordsQuery(f, last, limit)
	return gather(ctx, conn, sql, args, scanRecord)
}

// snapshot returns a connection that sees the database as it is now.
func (s *Store) snapshot(ctx context.Context) (*pgxpool.Conn, error) {
	for try := 0; ; try++ {
		conn, err := s.acquire(ctx)
		if err != nil {
			return nil, err
		}
		if _, err = conn.Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`); err == nil {
			return conn, nil
		}
		s.mend(ctx, conn)
		conn.Release()
		if !repeatable(err) || !pause(ctx, try) {
			return nil, err
		}
	}
}

// end gives the snapshot back, also when the caller's patience has ended.
func (s *Store) end(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
	defer cancel()
	s.mend(ctx, conn)
}

// recordsQuery selects at most limit records behind last, if there is one.
func recordsQuery(f registry.Filter, last *registry.Record, limit int) (string, []any) {
	var sql strings.Builder
	var args []any
	joint := ` WHERE `
	// add appends a condition; each "?" in it becomes the number of a value.
	add := func(condition string, values ...any) {
		sql.WriteString(joint)
		joint = ` AND `
		for _, value := range values {
			before, after, _ := strings.Cut(condition, "?")
			args = append(args, value)
			sql.WriteString(before + "$" + strconv.Itoa(len(args)))
			condition = after
		}
		sql.WriteString(condition)
	}
	sql.WriteString(`SELECT ` + recordColumns + ` FROM record`)
	if f.Type != "" {
		add(`type = ?`, string(f.Type))
	}
	if f.Org != "" {
		add(`org = ?`, string(f.Org))
	}
	if !f.Series.IsZero() {
		add(`series_id = ?`, uuid(f.Series))
	}
	if f.GTIN != "" {
		add(`gtin = ? AND gtin <> ''`, f.GTIN) // the second names the partial index
	}
	if f.Lot != "" {
		add(`lot = ? AND lot <> ''`, f.Lot)
	}
	if !f.After.IsZero() {
		add(`series_id > ?`, uuid(f.After))
	}
	if f.Newest {
		add(`NOT EXISTS (SELECT FROM record AS newer
			WHERE newer.series_id = record.series_id AND newer.type = record.type AND newer.version > record.version)`)
	}
	if last != nil {
		add(`(series_id, version, type) > (?, ?, ?)`, uuid(last.Series), last.Version, string(last.Type))
	}
	args = append(args, limit)
	sql.WriteString(` ORDER BY series_id, version, type LIMIT $` + strconv.Itoa(len(args)))
	return sql.String(), args
}
