package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// superuser is the bootstrap role of a server that this package starts.
const superuser = "postgres"

// Server is a PostgreSQL of our own: data directory and Unix socket in one
// temporary directory, no TCP. It outlives no test binary, see guard.
type Server struct {
	dir  string // holds data, log and socket
	bin  string // directory of initdb and pg_ctl
	cred *syscall.Credential
	// hold is the write end of the guard's pipe. The kernel closes it when
	// this process ends, however it ends.
	hold *os.File

	mu        sync.Mutex
	templated string
}

// Options of a server.
type Options struct {
	// Durable leaves fsync on. Tests do not need it; benchmarks that claim
	// durable commits do.
	Durable bool
}

// Start runs a server for one test or benchmark alone, to be crashed and
// restarted at will. It is gone when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.hold.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// URL returns the connection string of a database of this server, for its
// superuser.
func (s *Server) URL(database string) string {
	return s.URLFor(superuser, database)
}

// URLFor returns the connection string of a database of this server for
// another login role; the socket trusts everybody.
func (s *Server) URLFor(role, database string) string {
	q := url.Values{"host": {s.dir}, "user": {role}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Dir returns the directory that holds everything of the server; it is gone
// when the server is.
func (s *Server) Dir() string { return s.dir }

// Crash ends the server at once, without a checkpoint, as a power cut would
// end it; clients are cut off.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if err := s.control(t.Context(), "stop", "-m", "immediate", "-w"); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a crashed server again and returns when it accepts
// connections.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.control(t.Context(), "start", "-w"); err != nil {
		t.Fatal(err)
	}
}

func start(ctx context.Context, o Options) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	cred, err := credential()
	if err != nil {
		return nil, err
	}
	// The socket path may have at most about 100 bytes, so not t.TempDir.
	dir, err := os.MkdirTemp("/tmp", "pgtest")
	if err != nil {
		return nil, fmt.Errorf("make server directory: %w", err)
	}
	s := &Server{dir: dir, bin: bin, cred: cred}
	if err := s.boot(ctx, o); err != nil {
		if s.hold == nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return nil, errors.Join(err, s.hold.Close())
	}
	return s, nil
}

func (s *Server) boot(ctx context.Context, o Options) error {
	if s.cred != nil {
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return fmt.Errorf("give server directory away: %w", err)
		}
	}
	if err := s.guard(); err != nil {
		return err
	}
	err := s.run(ctx, "initdb", "--pgdata", s.data(), "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("configure server: %w", err)
	}
	_, err = fmt.Fprintf(f, "listen_addresses = ''\nunix_socket_directories = '%s'\nmax_connections = 200\n"+
		"fsync = %v\nautovacuum = off\nmax_wal_size = 4GB\nlog_min_messages = log\n", s.dir, o.Durable)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("configure server: %w", err)
	}
	return s.control(ctx, "start", "-w")
}

// guard starts the process that stops the server and removes its directory
// when the pipe on its standard input closes: at the end of the test, or when
// the kernel closes it because the test binary exited, panicked, ran into its
// time limit or was killed. It names the server by its data directory, so it
// can never end another one.
func (s *Server) guard() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make guard pipe: %w", err)
	}
	const script = `cat >/dev/null; "$1/pg_ctl" stop -s -m immediate -w -D "$2/data"; rm -rf -- "$2"`
	//nolint:gosec,noctx // our own constant script, which must outlive every context
	cmd := exec.Command("/bin/sh", "-c", script, "guard", s.bin, s.dir)
	cmd.Stdin = r
	cmd.Dir = "/"
	// A group of its own: the interrupt of a terminal must not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	err = cmd.Start()
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("start guard: %w", errors.Join(err, w.Close()))
	}
	s.hold = w
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) control(ctx context.Context, verb string, args ...string) error {
	return s.run(ctx, "pg_ctl", append([]string{verb, "-s", "-D", s.data(), "-l", filepath.Join(s.dir, "log")}, args...)...)
}

// run executes a program of PostgreSQL as the user who owns the server. Its
// output goes to a file: the server inherits it and would keep a pipe open.
func (s *Server) run(ctx context.Context, program string, args ...string) error {
	out, err := os.CreateTemp(s.dir, "out")
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...) //nolint:gosec // a program of PostgreSQL, arguments ours
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	err = errors.Join(cmd.Run(), out.Close())
	if err == nil {
		return nil
	}
	said, _ := os.ReadFile(out.Name())
	logged, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("run %s: %w\n%s%s", program, err, said, logged)
}

// binaries returns the directory of the newest PostgreSQL installed.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL: %w", err)
	}
	slices.SortFunc(found, func(a, b string) int { return major(b) - major(a) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	install := "apt-get install -y postgresql"
	if runtime.GOOS == "darwin" {
		install = "brew install postgresql"
	}
	return "", fmt.Errorf("tests need PostgreSQL (initdb is neither in /usr/lib/postgresql/*/bin nor in PATH): %s", install)
}

func major(initdb string) int {
	n, _ := strconv.Atoi(strings.Split(initdb, "/")[4]) // /usr/lib/postgresql/15/bin/initdb
	return n
}

// credential returns whom to run PostgreSQL as: nil for the present user,
// somebody else if that is root, whom initdb refuses.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("read user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

// patience is how long one statement of this package may take.
const patience = 30 * time.Second
