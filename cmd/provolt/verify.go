package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/client"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/verify"
)

type verifyCommand struct {
	Target   string `arg:"" help:"A file with a token (- for standard input), or a link to a passport." placeholder:"FILE|URL"`
	Registry string `help:"The registry to trust for a file; a link is checked against the registry it leads to." env:"PROVOLT_REGISTRY" default:"http://localhost:8080" placeholder:"URL"`
	Output   string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// Run checks a passport. Exit codes: 0 genuine and in force, 1 not genuine,
// 2 revoked or suspended, 3 could not check.
func (c *verifyCommand) Run(env environment) error {
	base, token, err := c.fetch(env)
	if err != nil {
		env.note("provolt: %v", err)
		return exit{verify.CouldNotCheck.ExitCode()}
	}
	at := env.now().UTC()
	peer := client.New(base)
	trust, err := peer.Trust(env.ctx)
	if err != nil {
		env.note("provolt: cannot learn whom %s admits: %v", base, err)
		return exit{verify.CouldNotCheck.ExitCode()}
	}
	result := verify.Check(token, peer.Evidence(env.ctx, token, trust, at), trust, at)
	if err := c.print(env, base, result); err != nil {
		return err
	}
	if code := result.Verdict.ExitCode(); code != 0 {
		return exit{code}
	}
	return nil
}

// fetch gets the token, and the registry whose word counts.
func (c *verifyCommand) fetch(env environment) (base string, token []byte, err error) {
	if !strings.HasPrefix(c.Target, "http://") && !strings.HasPrefix(c.Target, "https://") {
		token, err = readInput(env, c.Target)
		return strings.TrimSuffix(c.Registry, "/"), bytes.TrimSpace(token), err
	}
	if base, err = client.BaseOf(c.Target); err != nil {
		return "", nil, err
	}
	link := c.Target
	if id, ok := strings.CutPrefix(link, base+"/p/"); ok {
		link = base + "/v1/passports/" + id
	}
	token, err = client.New(base).Get(env.ctx, link, "application/vc+sd-jwt")
	return base, bytes.TrimSpace(token), err
}

const maxInput = 2 << 20

func readInput(env environment, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(env.in, maxInput))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxInput))
}

// headlines are the verdicts in words.
var headlines = map[verify.Verdict]string{
	verify.Genuine:       "GENUINE · in force",
	verify.NotGenuine:    "NOT GENUINE · do not rely on it",
	verify.Revoked:       "REVOKED · genuine, but withdrawn for good",
	verify.Suspended:     "SUSPENDED · genuine, but withdrawn for now",
	verify.CouldNotCheck: "COULD NOT CHECK",
}

var marks = map[verify.Outcome]string{verify.OK: "ok", verify.Fail: "FAIL", verify.Unknown: "unknown"}

func (c *verifyCommand) print(env environment, base string, r verify.Result) error {
	rows := [][]string{{headlines[r.Verdict]}}
	if r.Issuer.Name != "" {
		rows = append(rows, []string{fmt.Sprintf("signed by %s, recognised by %s, checked %s", r.Issuer.Name, base, r.CheckedAt.Format(time.RFC3339))})
	}
	for _, check := range r.Checks {
		rows = append(rows, []string{"  " + string(check.Name), marks[check.Outcome], check.Detail})
	}
	for _, fact := range r.Facts {
		rows = append(rows, []string{"  " + fact.Name, "", fact.Value})
	}
	return env.show(c.Output, rows, r)
}

type registerCommand struct {
	File      string `arg:"" help:"A whole passport document, JSON; - for standard input."`
	Registry  string `help:"The registry to send it to." env:"PROVOLT_REGISTRY" default:"http://localhost:8080" placeholder:"URL"`
	TokenFile string `help:"File with an access token." env:"PROVOLT_TOKEN_FILE" required:"" placeholder:"FILE"`
	Key       string `help:"Idempotency-Key: a repeat with the same key and body is safe."`
	DryRun    bool   `help:"Check it without issuing."`
}

// Run sends the document and prints the answer.
func (c *registerCommand) Run(env environment) error {
	body, err := readInput(env, c.File)
	if err != nil {
		return err
	}
	token, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	peer := client.New(c.Registry)
	peer.Token = strings.TrimSpace(string(token))
	path := "/v1/passports"
	if c.DryRun {
		path += "?dryRun=true"
	}
	status, answer, err := peer.Post(env.ctx, path, body, c.Key)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, answer, "", "  ") != nil {
		pretty.Write(answer)
	}
	if status >= 300 {
		env.note("%s", pretty.String())
		return fmt.Errorf("the registry answered %d", status)
	}
	env.say("%s", pretty.String())
	return nil
}

// reasoned adds every fault to the text of a refusal.
func reasoned(err error) error {
	var invalid *registry.Invalid
	if !errors.As(err, &invalid) {
		return err
	}
	var lines []string
	for _, v := range invalid.Violations {
		lines = append(lines, fmt.Sprintf("%s: %s, expected %s, found %s", v.Pointer, v.Code, v.Expected, v.Found))
	}
	return errors.New(strings.Join(lines, "\n"))
}
