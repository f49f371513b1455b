package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/provolt/provolt/internal/registry"
)

// SQLSTATEs this package tells apart (PostgreSQL documentation, appendix A).
// Nothing else of an error is looked at: constraint names differ between a
// plain table and the shard of a distributed one.
const (
	connectionClass      = "08" // connection exceptions
	resourcesClass       = "53" // insufficient resources
	uniqueViolation      = "23505"
	divisionByZero       = "22012" // raised on purpose, see guarded
	readOnlyTransaction  = "25006" // a standby, or one being promoted
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	duplicateObject      = "42710"
	diskFull             = "53100"
	queryCanceled        = "57014" // statement_timeout
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	cannotConnectNow     = "57P03" // starting up
)

// sqlState returns the SQLSTATE the server answered with, or "" if err did
// not come from the server.
func sqlState(err error) string {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code
	}
	return ""
}

// classify wraps err with the registry's error that callers branch on.
func classify(err error) error {
	switch {
	case err == nil || errors.Is(err, registry.ErrUnavailable):
		return err
	case sqlState(err) == diskFull:
		return fmt.Errorf("%w: %w", registry.ErrFull, err)
	case unanswered(err):
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	default:
		return err
	}
}

// unanswered reports whether the database did not answer, or answered that it
// cannot at present.
func unanswered(err error) bool {
	switch code := sqlState(err); code {
	case "":
		return disconnected(err)
	case readOnlyTransaction, serializationFailure, deadlockDetected, queryCanceled, adminShutdown, crashShutdown, cannotConnectNow:
		return true
	default:
		return strings.HasPrefix(code, connectionClass) || strings.HasPrefix(code, resourcesClass)
	}
}

// disconnected reports whether err is the network's or the caller's patience
// running out: the server may or may not have done what it was asked.
func disconnected(err error) bool {
	_, refused := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return refused || network || errors.Is(err, errAgain) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// undone reports whether what was asked is known not to have happened and is
// worth another try: the server said that it rolled back, or nothing was sent.
// A server that cannot be reached is not asked again: the caller shall know.
func undone(err error) bool {
	switch code := sqlState(err); code {
	case "":
		return errors.Is(err, errAgain) || pgconn.SafeToRetry(err) && !errors.Is(err, registry.ErrUnavailable)
	case serializationFailure, deadlockDetected, adminShutdown, crashShutdown:
		return !errors.Is(err, registry.ErrUnavailable)
	default:
		return strings.HasPrefix(code, connectionClass) && !errors.Is(err, registry.ErrUnavailable)
	}
}

// cutOff reports whether the connection broke while the server was at work, so
// that its answer is unknown.
func cutOff(err error) bool {
	return sqlState(err) == "" && disconnected(err) && !errors.Is(err, registry.ErrUnavailable) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// repeatable reports whether a query that changes nothing is worth another try.
func repeatable(err error) bool { return undone(err) || cutOff(err) }
