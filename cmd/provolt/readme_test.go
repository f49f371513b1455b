package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var fenced = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestReadmeCommandsWork runs every command of the README, in order, in an
// empty directory that holds what a clone holds. The ports are free ones.
// "make demo" stands for the command it runs, and "make test" is running now:
// that both are so is checked against the Makefile.
func TestReadmeCommandsWork(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	readme, makefile := read(t, filepath.Join(root, "README.md")), read(t, filepath.Join(root, "Makefile"))
	for _, want := range []string{"$(BIN)/provolt demo\n", "go test -timeout 20m ./...\n"} {
		if !strings.Contains(makefile, want) {
			t.Errorf("the Makefile does not run %q", want)
		}
	}
	c := clone(t, root)
	blocks := fenced.FindAllStringSubmatch(c.ports.Replace(readme), -1)
	if len(blocks) < 5 {
		t.Fatalf("found %d command blocks in the README", len(blocks))
	}
	for _, block := range blocks {
		c.run(strings.TrimSpace(block[1]))
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// checkout is a directory like a clone of the repository, with the binary built.
type checkout struct {
	t     *testing.T
	dir   string
	demo  string // address of the demo
	ports *strings.Replacer
}

func clone(t *testing.T, root string) *checkout {
	t.Helper()
	c := &checkout{t: t, dir: t.TempDir()}
	if err := os.Symlink(filepath.Join(root, "schemas"), filepath.Join(c.dir, "schemas")); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(c.dir, ".bin", "provolt"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	demo, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	own, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c.demo = "localhost:" + demo
	c.ports = strings.NewReplacer(":8080", ":"+demo, ":8090", ":"+own)
	return c
}

// run runs one block: servers in the background until the test ends, the rest
// in one shell that stops at the first failure.
func (c *checkout) run(block string) {
	c.t.Helper()
	var script []string
	for line := range strings.Lines(block) {
		switch line = strings.TrimSpace(line); {
		case line == "make test":
		case line == "make demo":
			c.start(".bin/provolt demo --listen "+strings.Replace(c.demo, "localhost", "127.0.0.1", 1), "http://"+c.demo+"/readyz")
		case strings.HasPrefix(line, ".bin/provolt serve"):
			c.shell(script)
			script = nil
			address := line[strings.LastIndex(line, " ")+1:]
			c.start(line, "http://"+address+"/readyz")
		default:
			script = append(script, c.addressed(line))
		}
	}
	c.shell(script)
}

// addressed tells commands that use the default registry where the demo is.
func (c *checkout) addressed(line string) string {
	return strings.Replace(line, ".bin/provolt register", "PROVOLT_REGISTRY=http://"+c.demo+" .bin/provolt register", 1)
}

func (c *checkout) shell(script []string) {
	c.t.Helper()
	if len(script) == 0 {
		return
	}
	cmd := exec.CommandContext(c.t.Context(), "bash", "-euo", "pipefail", "-c", strings.Join(script, "\n"))
	cmd.Dir, cmd.Env = c.dir, bareEnvironment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s\n%v\n%s", strings.Join(script, "\n"), err, out)
	}
	if strings.Contains(script[0], "provolt verify") && !bytes.Contains(out, []byte("GENUINE · in force")) {
		c.t.Errorf("%s\ndid not find the passport genuine:\n%s", script[0], out)
	}
	if bytes.Contains(out, []byte("/problems/")) {
		c.t.Errorf("%s\nanswered a problem:\n%s", strings.Join(script, "\n"), out)
	}
}

// bareEnvironment is this process's without what would point a registry
// elsewhere.
func bareEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PROVOLT_") })
}

// start runs a server in the background and waits until it answers.
func (c *checkout) start(line, ready string) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	words := strings.Fields(line)
	cmd := exec.CommandContext(ctx, filepath.Join(c.dir, words[0]), words[1:]...)
	cmd.Dir, cmd.Env = c.dir, bareEnvironment()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // ends by the interrupt it was sent
	})
	if err := answers(ready); err != nil {
		c.t.Fatalf("%s: %v\n%s", line, err, said.String())
	}
}
