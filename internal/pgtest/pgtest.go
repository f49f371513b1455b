// Package pgtest gives each test a PostgreSQL database of its own, so that
// tests need not know where a server comes from, who may run it or how it ends.
//
// Unless PROVOLT_TEST_DATABASE_URL names a server, the first call starts one
// from the PostgreSQL programs of the machine, as another user if this one is
// root. It belongs to the test binary and ends with it, however that ends.
// Without PostgreSQL tests fail and say how to install it.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/provolt/provolt/internal/postgres"
)

// environment names the connection string of a server to use instead of one of
// our own; its role must be allowed to create databases and roles.
const environment = "PROVOLT_TEST_DATABASE_URL"

// Database returns the connection string of a fresh database with the
// registry's tables. It is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	if external := os.Getenv(environment); external != "" {
		// No template here: nothing would ever drop it.
		fresh := Empty(t)
		migrate(t, fresh)
		return fresh
	}
	return shared(t).Database(t)
}

// Empty returns the connection string of a fresh database without tables. It
// is dropped when the test ends.
func Empty(t testing.TB) string {
	t.Helper()
	external := os.Getenv(environment)
	if external == "" {
		return shared(t).Empty(t)
	}
	u, err := url.Parse(external)
	if err != nil {
		t.Fatalf("%s: %v", environment, err)
	}
	u.Path = "/" + create(t, external, "template0")
	return u.String()
}

// Database returns the connection string of a fresh database with the
// registry's tables on this server. It is dropped when the test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.URL(create(t, s.URL(maintenance), s.template(t)))
}

// Empty returns the connection string of a fresh database without tables on
// this server. It is dropped when the test ends.
func (s *Server) Empty(t testing.TB) string {
	t.Helper()
	return s.URL(create(t, s.URL(maintenance), "template0"))
}

// maintenance is the database from which others are created and dropped.
const maintenance = "postgres"

// template returns a database with the registry's tables that is only copied.
func (s *Server) template(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templated == "" {
		const name = "migrated"
		execute(t, s.URL(maintenance), "CREATE DATABASE "+name)
		migrate(t, s.URL(name))
		s.templated = name
	}
	return s.templated
}

var ours = sync.OnceValues(func() (*Server, error) { return start(context.Background(), Options{}) })

func shared(t testing.TB) *Server {
	t.Helper()
	s, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t testing.TB, server, template string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:16])
	// Copying files is two to three times faster than logging their pages.
	execute(t, server, "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy")
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	return name
}

func migrate(t testing.TB, database string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := postgres.Migrate(ctx, database); err != nil {
		t.Fatal(err)
	}
}

// execute runs a statement made of names that this package chose.
func execute(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience) // also at the test's end
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(fmt.Errorf("connect to the test server: %w", err))
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", statement, err))
	}
}
