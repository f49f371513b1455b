package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/provolt/provolt/migrations"
)

// Migrate brings the database to this release's version and makes it if there
// is none. The file is readable by its owner only.
//
// Two that start at once follow each other. If the version is right already it
// changes nothing and disturbs nobody. A database of a newer release is refused
// with migrations.ErrNewerSchema.
func Migrate(ctx context.Context, path string, o Options) error {
	if err := migrate(ctx, path, o); err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	return nil
}

func migrate(ctx context.Context, path string, o Options) error {
	if err := create(path); err != nil {
		return err
	}
	err := checkFile(ctx, path, o)
	if !errors.Is(err, migrations.ErrNotMigrated) {
		return err
	}
	return locked(ctx, path, o, func() error { return upgrade(ctx, path, o) })
}

// create makes an empty file that only its owner may read; SQLite gives the
// files it puts beside it the same permissions.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's own choice
	if err != nil {
		return err
	}
	return f.Close()
}

// locked runs f while this process alone holds the migration lock: SQLite's
// lock on an empty database beside the real one. The system gives it back if
// the process dies; the empty file stays, since taking it away would let two
// processes lock two files of one name.
func locked(ctx context.Context, path string, o Options, f func() error) error {
	db, err := open(path+".migrating", o)
	if err != nil {
		return err
	}
	if _, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return errors.Join(failure(err), db.Close())
	}
	return errors.Join(f(), db.Close())
}

func checkFile(ctx context.Context, path string, o Options) error {
	db, err := open(path, o, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	if err == nil {
		err = migrations.Check(version, migrations.SQLite())
	}
	return errors.Join(err, db.Close())
}

// upgrade applies what is missing, after it has compared the versions once
// more behind the lock.
func upgrade(ctx context.Context, path string, o Options) error {
	if err := checkFile(ctx, path, o); !errors.Is(err, migrations.ErrNotMigrated) {
		return err
	}
	db, err := open(path, o, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	steps, err := goose.NewProvider(database.DialectSQLite3, db, migrations.SQLite(), goose.WithDisableGlobalRegistry(true))
	if err == nil {
		_, err = steps.Up(ctx)
	}
	return errors.Join(failure(err), db.Close())
}

// open opens one connection to a file with the given settings.
func open(path string, o Options, pragmas ...string) (*sql.DB, error) {
	source, err := dsn(path, o, pragmas...)
	if err != nil {
		return nil, err
	}
	return pool(source, 1)
}

// schemaVersion returns the highest migration that was applied, 0 for an empty
// file.
func schemaVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var there bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'goose_db_version')`).Scan(&there)
	if err != nil || !there {
		return 0, failure(err)
	}
	var version int64
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if err != nil {
		return 0, failure(err)
	}
	return version, nil
}
