// Command provolt is the battery passport registry: server, demo and every
// tool of its operator in one binary.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// exitUsage is the code for a command line that cannot be understood (EX_USAGE).
const exitUsage = 64

// tuneMemory lets the heap grow before it is collected: validation makes much
// short-lived garbage, and a registry has memory to spare.
const tuneMemory = 400

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(tuneMemory)
	}
	env := environment{ctx: ctx, in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now, random: rand.Reader, name: os.Args[0]}
	os.Exit(run(env, os.Args[1:])) //nolint:gocritic // stop has nothing left to do
}

// environment is what a command may touch of the outside.
type environment struct {
	ctx    context.Context //nolint:containedctx // it lives as long as the process
	in     io.Reader
	out    io.Writer
	err    io.Writer
	now    func() time.Time
	random io.Reader
	name   string // how this program was called
}

// say writes a line to standard output. A closed pipe ends nothing.
func (e environment) say(format string, args ...any) { _, _ = fmt.Fprintf(e.out, format+"\n", args...) }

// note writes a line to standard error.
func (e environment) note(format string, args ...any) {
	_, _ = fmt.Fprintf(e.err, format+"\n", args...)
}

// exit is an error that carries the exit code of a command.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit %d", e.code) }

// run parses the command line, runs the command and returns the exit code.
func run(env environment, args []string) int {
	var cli commands
	done := -1
	parser, err := kong.New(&cli, kong.Name("provolt"), kong.Description("The battery passport registry."),
		kong.UsageOnError(), kong.Writers(env.out, env.err), kong.Exit(func(code int) { done = code }), kong.Bind(env))
	if err != nil {
		env.note("provolt: %v", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if done >= 0 { // --help
		return done
	}
	if err != nil {
		env.note("provolt: %v\nSee provolt --help.", err)
		return exitUsage
	}
	err = command.Run(env)
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return code.code
	}
	env.note("provolt: %v", err)
	return 1
}

// commands is the command table.
type commands struct {
	Serve     serveCommand     `cmd:"" help:"Serve the registry."`
	Demo      demoCommand      `cmd:"" help:"Serve a registry with demo data on this machine."`
	Init      initCommand      `cmd:"" help:"Initialise a registry: fix its base URL and make its keys."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the database to this release's version."`
	Org       orgCommands      `cmd:"" help:"Admit organisations and bind their identity providers."`
	Keys      keysCommands     `cmd:"" help:"List, rotate and retire signing keys."`
	Token     tokenCommand     `cmd:"" help:"Print an access token of the built-in issuer."`
	Register  registerCommand  `cmd:"" help:"Send a whole passport document to a registry."`
	Verify    verifyCommand    `cmd:"" help:"Check a passport: a token in a file, or a link."`
	Suspend   suspendCommand   `cmd:"" help:"Suspend a passport."`
	Unsuspend unsuspendCommand `cmd:"" help:"Lift the suspension of a passport."`
	Doctor    doctorCommand    `cmd:"" help:"Look for what keeps a registry from working."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}
