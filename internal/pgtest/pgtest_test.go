package pgtest_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/provolt/provolt/internal/pgtest"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := pgtest.Database(t), pgtest.Database(t)
	if one == other {
		t.Fatal("the same database twice")
	}
	for _, url := range []string{one, other} {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		var rows int
		err = conn.QueryRow(t.Context(), `WITH added AS (INSERT INTO instance VALUES (1, '', '', now()) RETURNING 1) SELECT count(*) FROM added`).Scan(&rows)
		if err != nil || rows != 1 {
			t.Errorf("%d rows: %v", rows, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// child, in the environment, makes this test binary start a server, print its
// directory and wait to be killed.
const child = "PGTEST_CHILD"

func TestServerEndsWithATestBinaryThatWasKilled(t *testing.T) {
	if os.Getenv(child) != "" {
		if _, err := os.Stdout.WriteString("\nserver " + pgtest.Start(t, pgtest.Options{}).Dir() + "\n"); err != nil {
			t.Fatal(err)
		}
		<-t.Context().Done() // never: the parent kills
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "server ")
		if !strings.HasPrefix(dir, "/") {
			dir = ""
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); err != nil {
		t.Fatalf("no server to leave behind: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "killed"
	// The directory goes last, so once it is gone the server is.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
}
