package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"provolt": main})
}

// TestScripts runs the command as its users do: testdata/script says what they
// type and what they see.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "await-exit": awaitExit, "value": value, "mode": mode},
	})
}

// setUp gives a script a free port, the examples, and nothing of the
// environment that a registry would listen to.
func setUp(env *testscript.Env) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	env.Setenv("PORT", port)
	env.Setenv("EXAMPLES", filepath.Join(root, "schemas", "examples"))
	for _, name := range []string{"PROVOLT_REGISTRY", "PROVOLT_DATA_DIR", "PROVOLT_DEMO_DIR", "PROVOLT_LISTEN"} {
		env.Setenv(name, "")
	}
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's own listener
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// await URL waits until a server that a script started answers.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if err := answers(args[0]); err != nil {
		ts.Fatalf("%v", err)
	}
}

func answers(url string) error {
	for range 300 {
		resp, err := http.Get(url) //nolint:noctx // a test's own server
		if err == nil {
			_ = resp.Body.Close()
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer", url)
}

// await-exit CODE COMMAND … repeats a command until it ends with the code: what
// one process writes, another may see two seconds later.
func awaitExit(ts *testscript.TestScript, _ bool, args []string) {
	last := ""
	for range 50 {
		err := ts.Exec(args[1], args[2:]...)
		last = "0"
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			last = strconv.Itoa(failed.ExitCode())
		}
		if last == args[0] {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("%v ended with %s, want %s", args[1:], last, args[0])
}

// value NAME PREFIX puts the first word of stdout or a file that begins with
// PREFIX into an environment variable.
func value(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile("stdout")
	if len(args) > 2 {
		text = ts.ReadFile(args[2])
	}
	for word := range strings.FieldsSeq(text) {
		if word = strings.Trim(word, `",'`); strings.HasPrefix(word, args[1]) {
			ts.Setenv(args[0], word)
			return
		}
	}
	ts.Fatalf("no word begins with %q", args[1])
}

// mode FILE OCTAL demands the permissions of a file.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}
