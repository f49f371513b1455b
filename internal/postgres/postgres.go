// Package postgres keeps a registry's memory in PostgreSQL, so that callers
// need not know how a change becomes durable in one round trip, who else is
// writing, or that the server was restarted meanwhile. Any number of processes
// may serve from one database.
//
// Two walls stand between tenants: each query names the tenants it is for, and
// row level security in the database lets a transaction touch no rows of
// others. The second holds because the registry serves as a role that owns
// nothing and can bypass nothing; Open refuses any other.
//
// On a crash of the server or of this process every change is there entirely
// or not at all, and one that Commit answered for is there.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/migrations"
)

// Options tune a Store; the zero Options are right for a registry.
type Options struct {
	MaxConns int           // connections to the server at most, at least 2; 0 is 16
	Timeout  time.Duration // what one statement may take; 0 is 5 s
	Role     string        // whom to serve as; empty is ServingRole
}

const (
	defaultConns   = 16
	defaultTimeout = 5 * time.Second
	// connectTimeout bounds how long a dead server holds up a request.
	connectTimeout = 3 * time.Second
	// abandoned is how long a transaction may wait for its process, which can
	// only be one that hangs inside a loop over Records.
	abandoned = time.Minute
)

// Store is a registry.Store in a PostgreSQL database.
type Store struct {
	pool     *pgxpool.Pool
	patience time.Duration // for one round trip, waiting for a connection included

	// walks bounds the loops over Records that hold a connection each, so that
	// the last one is always left for what is called inside such a loop.
	walks chan struct{}
}

var _ registry.Store = (*Store)(nil)

// ErrUnsafeRole means the role that would serve could read or change rows past
// the row policies.
var ErrUnsafeRole = errors.New("role is not bound by row level security")

// Open connects to a database that Migrate has brought to this release's
// version; url is a PostgreSQL connection string. Its login must be a member
// of Options.Role, which every connection assumes. A role that is a superuser,
// may bypass row level security or belongs to the owner of the tables is
// ErrUnsafeRole; a database of another version is migrations.ErrNotMigrated or
// migrations.ErrNewerSchema. A pooler in between must pass on the settings of
// a connection's first message.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	config, err := configure(url, o)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{
		pool:     pool,
		patience: timeout(o) + time.Second, // the server gives up first and says so
		walks:    make(chan struct{}, config.MaxConns-1),
	}
	if err := s.check(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}

func timeout(o Options) time.Duration {
	if o.Timeout == 0 {
		return defaultTimeout
	}
	return o.Timeout
}

func configure(url string, o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultConns
	}
	if o.MaxConns < 2 || o.MaxConns > 10_000 {
		return nil, fmt.Errorf("%d connections: at least 2, at most 10000", o.MaxConns)
	}
	config.MaxConns = int32(o.MaxConns)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if o.Role == "" {
		o.Role = ServingRole
	}
	// Settings of the connection's first message: no connection exists that
	// lacks one of them, and RESET ROLE does not get back to the login.
	maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
		"role":                                o.Role,
		"application_name":                    "provolt",
		"statement_timeout":                   milliseconds(timeout(o)),
		"idle_in_transaction_session_timeout": milliseconds(abandoned),
	})
	return config, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// check refuses to serve past the second wall, from a database whose tables
// this release does not know, or from one that would not keep what it took.
func (s *Store) check(ctx context.Context) error {
	if err := s.checkRole(ctx); err != nil {
		return err
	}
	var version int64
	if err := s.row(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`, nil, &version); err != nil {
		return fmt.Errorf("read database version: %w", err)
	}
	if err := migrations.Check(version, migrations.Postgres()); err != nil {
		return err
	}
	var synchronous, encoding string
	err := s.row(ctx, `SELECT current_setting('synchronous_commit'), current_setting('server_encoding')`, nil, &synchronous, &encoding)
	switch {
	case err != nil:
		return fmt.Errorf("read database settings: %w", err)
	case synchronous == "off":
		return errors.New("synchronous_commit is off: a commit would not be durable")
	case encoding != "UTF8":
		return fmt.Errorf("database has encoding %s, needs UTF8", encoding)
	}
	return nil
}

func (s *Store) checkRole(ctx context.Context) error {
	var role string
	var super, bypass, migrated, owner bool
	err := s.row(ctx, `SELECT rolname, rolsuper, rolbypassrls,
			to_regclass('goose_db_version') IS NOT NULL,
			EXISTS (SELECT FROM pg_class WHERE (oid = to_regclass('goose_db_version') OR relrowsecurity)
				AND pg_has_role(current_user, relowner, 'MEMBER'))
		FROM pg_roles WHERE rolname = current_user`, nil, &role, &super, &bypass, &migrated, &owner)
	switch {
	case err != nil:
		return fmt.Errorf("read serving role: %w", err)
	case super:
		return fmt.Errorf("%w: %s is a superuser", ErrUnsafeRole, role)
	case bypass:
		return fmt.Errorf("%w: %s has BYPASSRLS", ErrUnsafeRole, role)
	case owner:
		return fmt.Errorf("%w: %s owns the tables", ErrUnsafeRole, role)
	case !migrated:
		return migrations.ErrNotMigrated
	}
	return nil
}

// Ping implements registry.Store: it writes a row anew, which a standby or a
// full disk refuses.
func (s *Store) Ping(ctx context.Context) error {
	_, err := collect(ctx, s, nil, `UPDATE slot_counter SET next_slot = next_slot WHERE name = 'status'`, nil,
		func(pgx.Row) (struct{}, error) { return struct{}{}, nil })
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// Close implements registry.Store. Connections in use are waited for; closing
// again does nothing.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}
