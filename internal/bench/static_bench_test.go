//go:build bench

package bench_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// staticBody names the environment variable that makes this test binary a
// server of one file instead.
const staticBody = "BENCH_STATIC_BODY"

// memory is the collector's setting of the registry's program, so that the
// baseline does not pay for collecting more often.
const memory = 400

// serveStatic is the baseline of every GET: Gin with nothing but a route,
// serving the bytes of a file. It prints its address and serves until its
// standard input ends.
func serveStatic(file string) {
	debug.SetGCPercent(memory)
	body, err := os.ReadFile(file)
	if err != nil {
		fail(err)
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/v1/passports/:id", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", body) })
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the parent
		os.Exit(0)
	}()
	fail(http.Serve(listener, engine))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// static starts the baseline in a process of its own and returns its address
// and process id.
func static(t *testing.T, body []byte) (address string, pid int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0]) // ends with its standard input
	cmd.Env = append(os.Environ(), staticBody+"="+file)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid
}
