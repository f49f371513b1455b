// Package binary runs the provolt program as its operator does, so that a test
// that kills, stops or measures it need not know how it is built, initialised
// or told where to listen. A server never outlives the test that started it.
package binary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is the path of a provolt executable.
type Program string

// Build compiles the program of this module; it is gone when the test ends.
func Build(t testing.TB) Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "provolt")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "github.com/provolt/provolt/cmd/provolt")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build provolt: %v\n%s", err, said)
	}
	return Program(path)
}

// Registry is an initialised production registry: its keys are encrypted, its
// base URL is BaseURL wherever it listens.
type Registry struct {
	program Program
	place   []string // the flags that say where it is kept
	Dir     string   // data directory; holds provolt.db unless it is kept in PostgreSQL
}

// BaseURL is the base URL of every Registry, that of the shipped examples.
const BaseURL = "http://localhost:8080"

// Init makes a registry in a directory that is removed when the test ends. An
// empty databaseURL keeps it in SQLite.
func (p Program) Init(t testing.TB, databaseURL string) *Registry {
	t.Helper()
	dir := t.TempDir()
	passphrase := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &Registry{program: p, Dir: filepath.Join(dir, "data")}
	r.place = []string{"--data-dir", r.Dir, "--passphrase-file", passphrase}
	if databaseURL != "" {
		r.place = append(r.place, "--database-url", databaseURL)
	}
	r.Run(t, "init", "--base-url", BaseURL, "--name", "Registerbetrieb", "--country", "DE")
	return r
}

// Run runs a command of the program on the registry to its end and returns
// what it printed.
func (r *Registry) Run(t testing.TB, args ...string) string {
	t.Helper()
	cmd := r.command(t.Context(), args)
	said, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = append(said, exit.Stderr...)
		}
		t.Fatalf("provolt %s: %v\n%s", args[0], err, said)
	}
	return strings.TrimSpace(string(said))
}

// Admit admits an organisation as an issuer.
func (r *Registry) Admit(t testing.TB, org string) {
	t.Helper()
	r.Run(t, "org", "add", org, "--name", org+" GmbH", "--country", "DE", "--role", "issuer")
}

// Token returns an access token of a machine of the organisation, good for an
// hour.
func (r *Registry) Token(t testing.TB, org string) string {
	t.Helper()
	return r.Run(t, "token", "--org", org, "--role", "issuer", "--subject", "line-1")
}

// command is provolt with args on this registry. What the environment says
// about another one does not count.
func (r *Registry) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, string(r.program), append(args, r.place...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PROVOLT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = withParent()
	return cmd
}

// Server is a running provolt serve.
type Server struct {
	URL string // where it listens, on loopback; not its base URL
	PID int

	cmd  *exec.Cmd
	log  string
	gone chan struct{} // closed when it has ended
}

// Serve starts the registry on a free port, with rate limits off, and returns
// when it accepts connections. Its log, one line per request, goes to a file.
func (r *Registry) Serve(t testing.TB, flags ...string) *Server {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--look-up-rate", "0", "--request-rate", "0"}, flags...)
	s := &Server{cmd: r.command(context.WithoutCancel(t.Context()), args), log: log.Name(), gone: make(chan struct{})}
	s.cmd.Stderr = log
	if err := errors.Join(s.cmd.Start(), log.Close()); err != nil {
		t.Fatalf("start provolt: %v", err)
	}
	s.PID = s.cmd.Process.Pid
	go func() {
		_ = s.cmd.Wait() // the state stays in cmd
		close(s.gone)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.gone
	})
	if err := s.listening(t.Context()); err != nil {
		t.Fatalf("provolt serve: %v\n%s", err, s.Log())
	}
	return s
}

// patience is how long a server may take to start on a busy machine.
const patience = time.Minute

// listening waits until the log says where the server listens.
func (s *Server) listening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		for line := range strings.Lines(s.Log()) {
			var said struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
				s.URL = "http://" + said.Listen
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("does not listen: %w", ctx.Err())
		case <-s.gone:
			return fmt.Errorf("ended: %s", s.cmd.ProcessState)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Log is what the server logged so far.
func (s *Server) Log() string {
	said, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(said)
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill provolt: %v", err)
	}
	<-s.gone
}

// Stop asks the server to stop, as kill does, and returns its exit code, or an
// error if it takes longer than within.
func (s *Server) Stop(within time.Duration) (code int, err error) {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop provolt: %w", err)
	}
	select {
	case <-s.gone:
		return s.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		return 0, fmt.Errorf("provolt still runs after %v", within)
	}
}
