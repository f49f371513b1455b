package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/client"
	"github.com/provolt/provolt/internal/config"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/verify"
)

type verifyCommand struct {
	Target   string `arg:"" help:"A file with a token (- for standard input), or a link to a passport." placeholder:"FILE|URL"`
	Registry string `help:"The registry whose word counts. For a link the default is the registry it leads to; for a file, the demo." env:"PROVOLT_REGISTRY" placeholder:"URL"`
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
	if err := c.print(env, base, trust, result); err != nil {
		return err
	}
	if code := result.Verdict.ExitCode(); code != 0 {
		return exit{code}
	}
	return nil
}

// errNoToken means that there is nothing to judge: no evidence for or against.
var errNoToken = errors.New("holds no token")

// fetch gets the token, and the registry whose word counts.
func (c *verifyCommand) fetch(env environment) (base string, token []byte, err error) {
	base = strings.TrimSuffix(c.Registry, "/")
	link, isLink := linkOf(c.Target)
	if !isLink {
		token, err = readInput(env, c.Target)
		base = cmp.Or(base, config.DefaultBaseURL)
	} else {
		base = cmp.Or(base, link.Scheme+"://"+link.Host)
		token, err = client.New(link.Scheme+"://"+link.Host).Get(env.ctx, link.String(), tokenType)
	}
	token = bytes.TrimSpace(token)
	if err == nil && bytes.Count(token, []byte(".")) < 2 {
		err = fmt.Errorf("%s %w", c.Target, errNoToken)
	}
	return base, token, err
}

const tokenType = "application/vc+sd-jwt"

// linkOf reads a link as a scanner gives it, capitals and trailing slash
// included, and turns the address of a page into that of its passport.
func linkOf(target string) (*url.URL, bool) {
	link, err := url.Parse(target)
	if err != nil || link.Host == "" || link.Scheme != "http" && link.Scheme != "https" {
		return nil, false
	}
	link.Host = strings.ToLower(link.Host)
	link.Path = strings.TrimSuffix(link.Path, "/")
	if id, ok := strings.CutPrefix(link.Path, "/p/"); ok {
		link.Path = "/v1/passports/" + id
	}
	link.RawPath = ""
	return link, true
}

const maxInput = 2 << 20

func readInput(env environment, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(env.in, maxInput))
	}
	f, err := os.Open(name) //nolint:gosec // the file the user names
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

// print leads with the verdict. It never lets a demo pass for the real thing,
// and always names the registry that vouches.
func (c *verifyCommand) print(env environment, base string, trust verify.Trust, r verify.Result) error {
	headline := headlines[r.Verdict]
	if len(r.Remarks) > 0 {
		headline += fmt.Sprintf(", with remarks: could not check %v", r.Remarks)
	}
	if trust.Environment == config.Demo {
		headline = "TEST, not a real passport · " + headline
	}
	rows := [][]string{{headline}}
	vouched := fmt.Sprintf("recognised by %s, checked %s", base, r.CheckedAt.Format(time.RFC3339))
	if r.Issuer.Name != "" {
		vouched = fmt.Sprintf("signed by %s, ", r.Issuer.Name) + vouched
	}
	rows = append(rows, []string{vouched})
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
