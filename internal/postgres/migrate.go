package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/provolt/provolt/migrations"
)

// ServingRole is the database role that the registry serves as. Migrate
// creates it; it owns nothing, cannot log in and is bound by every row policy.
const ServingRole = "provolt_serving"

// migrationLock is the advisory lock that two starting replicas contend for.
// It is the one such lock of the registry: without it both would create the
// same table and one would fail.
const migrationLock int64 = 0x70726f766f6c74 // "provolt"

// Migrate brings the tables of the database at url, a PostgreSQL connection
// string, to the version this package needs and creates ServingRole. Its login
// becomes the owner of the tables and must be allowed to create roles unless
// the role exists. Several processes may call it at once: one migrates, the
// others wait and find nothing to do. A database of a newer release is left
// alone and is migrations.ErrNewerSchema.
//
// Connect directly, not through a pooler: the lock belongs to the session.
func Migrate(ctx context.Context, url string) error {
	config, err := pgxpool.ParseConfig(url) // which also knows the settings of Open's pool
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate database: %w", classify(err))
	}
	// Closing the session gives the lock back, whatever happened before.
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return fmt.Errorf("lock database for migration: %w", classify(err))
	}
	if err := createRole(ctx, conn); err != nil {
		return err
	}
	return up(ctx, db)
}

func up(ctx context.Context, db *sql.DB) error {
	steps, err := newProvider(db)
	if err != nil {
		return err
	}
	// Goose passes silently over a version it has no file for.
	current, _, err := steps.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read database version: %w", classify(err))
	}
	if err := migrations.Check(current, migrations.Postgres()); !errors.Is(err, migrations.ErrNotMigrated) {
		return err
	}
	if _, err := steps.Up(ctx); err != nil {
		return fmt.Errorf("migrate database from version %d: %w", current, classify(err))
	}
	return nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	steps, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Postgres(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return steps, nil
}

// createRole makes ServingRole and lets the present login assume it. Roles
// belong to the whole server, so another database's migration may have made
// it, perhaps this very moment.
func createRole(ctx context.Context, conn *sql.Conn) error {
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ServingRole).Scan(&exists); err != nil {
		return fmt.Errorf("look up role %s: %w", ServingRole, classify(err))
	}
	if !exists {
		_, err := conn.ExecContext(ctx, "CREATE ROLE "+ServingRole+" NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")
		if code := sqlState(err); err != nil && code != duplicateObject && code != uniqueViolation {
			return fmt.Errorf("create role %s (or let an administrator create it): %w", ServingRole, classify(err))
		}
	}
	if _, err := conn.ExecContext(ctx, "SET ROLE "+ServingRole); err == nil {
		_, err = conn.ExecContext(ctx, "RESET ROLE")
		return classify(err)
	}
	if _, err := conn.ExecContext(ctx, "GRANT "+ServingRole+" TO CURRENT_USER"); err != nil {
		return fmt.Errorf("become a member of role %s (or let an administrator grant it): %w", ServingRole, classify(err))
	}
	return nil
}
