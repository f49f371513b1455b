// Package migrations holds the tables of the registry as numbered SQL files,
// one set per dialect, so that no one needs them beside the binary. Equal
// numbers mean equal tables and column names in both dialects.
package migrations

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed */*.sql
var files embed.FS

var (
	// ErrNewerSchema means the database was migrated by a newer release; this
	// one neither migrates nor opens it.
	ErrNewerSchema = errors.New("database was migrated by a newer release of provolt")
	// ErrNotMigrated means the database lacks tables that this release needs.
	ErrNotMigrated = errors.New("database is not migrated: run \"provolt migrate\"")
)

// SQLite is the set for SQLite: files named NNNN_topic.sql at its root.
func SQLite() fs.FS { return dialect("sqlite") }

// Postgres is the set for PostgreSQL and Citus.
func Postgres() fs.FS { return dialect("postgres") }

func dialect(dir string) fs.FS {
	set, err := fs.Sub(files, dir)
	if err != nil { // only if dir is no valid path
		panic(err)
	}
	return set
}

// Check compares the version of a database with a set: nil if they are equal,
// else ErrNewerSchema or ErrNotMigrated.
func Check(version int64, set fs.FS) error {
	latest, err := Latest(set)
	switch {
	case err != nil:
		return err
	case version > latest:
		return fmt.Errorf("%w: its version is %d, this release knows %d", ErrNewerSchema, version, latest)
	case version < latest:
		return fmt.Errorf("%w (its version is %d, this release needs %d)", ErrNotMigrated, version, latest)
	}
	return nil
}

// Latest returns the highest number in a set. A database with a higher one
// was written by a newer release, and this one must not touch it: goose itself
// passes over such a number in silence.
func Latest(set fs.FS) (int64, error) {
	names, err := fs.Glob(set, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	var latest int64
	for _, name := range names {
		number, err := Number(name)
		if err != nil {
			return 0, err
		}
		latest = max(latest, number)
	}
	return latest, nil
}

// Number reads the number of a migration file: 3 of "0003_record.sql".
func Number(name string) (int64, error) {
	digits, _, found := strings.Cut(path.Base(name), "_")
	number, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || number < 1 {
		return 0, fmt.Errorf("migration %q is not named NNNN_topic.sql", name)
	}
	return number, nil
}
