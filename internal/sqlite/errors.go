package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/provolt/provolt/internal/registry"
)

// refusal is an error that a change earned before it wrote anything: the
// transaction it shares with others goes on.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// failure names a database error in the words of registry.Store.
func failure(err error) error {
	var coded *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // the caller's, not the database's
	case !errors.As(err, &coded):
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err) // closed, or the connection is gone
	case full(coded.Code()):
		return fmt.Errorf("%w: %w", registry.ErrFull, err)
	case ours(coded.Code()):
		return err
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}

// full reports whether there was no room. SQLite turns ENOSPC into the first
// code, and into the second where it grows the index of the write-ahead log;
// both come before the frame that would commit.
func full(code int) bool {
	return code&0xff == codes.SQLITE_FULL || code == codes.SQLITE_IOERR_SHMSIZE
}

// ours reports whether the code blames the statement rather than the database:
// a fault of this package.
func ours(code int) bool {
	switch code & 0xff {
	case codes.SQLITE_ERROR, codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH,
		codes.SQLITE_MISUSE, codes.SQLITE_RANGE, codes.SQLITE_TOOBIG:
		return true
	}
	return false
}
