package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/provolt/provolt/internal/client"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

type doctorCommand struct {
	place
	Server string `help:"Also ask the running server at this address." env:"PROVOLT_DOCTOR_SERVER" placeholder:"URL"`
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// finding is one thing the doctor looked at.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Run looks at everything, and fails if anything is wrong.
func (c *doctorCommand) Run(env environment) error {
	findings := []finding{c.directory()}
	h, err := c.open(env, quiet())
	findings = append(findings, judge("registry", "initialised, database at this release's version, keys readable", err))
	if err == nil {
		findings = append(findings, c.examine(env, h)...)
		findings = append(findings, judge("close", "database closed cleanly", h.Close()))
	}
	if c.Server != "" {
		findings = append(findings, c.ask(env))
	}
	rows := [][]string{{"CHECK", "", "DETAIL"}}
	sick := false
	for _, f := range findings {
		mark := "ok"
		if !f.OK {
			mark, sick = "FAIL", true
		}
		rows = append(rows, []string{f.Check, mark, f.Detail})
	}
	if err := env.show(c.Output, rows, findings); err != nil {
		return err
	}
	if sick {
		return exit{1}
	}
	return nil
}

func judge(check, healthy string, err error) finding {
	if err != nil {
		return finding{check, false, err.Error()}
	}
	return finding{check, true, healthy}
}

// directory looks at who else can read the keys.
func (c *doctorCommand) directory() finding {
	info, err := os.Stat(c.DataDir)
	if err != nil {
		return finding{"data directory", false, err.Error()}
	}
	if info.Mode()&dataDirMode != 0 {
		return finding{"data directory", false, fmt.Sprintf("%s has mode %04o: others may read it; chmod 700", c.DataDir, info.Mode().Perm())}
	}
	return finding{"data directory", true, c.DataDir + " is readable by its owner only"}
}

// examine looks into an open registry.
func (c *doctorCommand) examine(env environment, h *house) []finding {
	out := []finding{judge("database", "reads and writes", h.Ready(env.ctx))}
	out = append(out, c.keyFindings(env, h)...)
	pending, err := h.PendingLeaves(env.ctx)
	out = append(out, judge("public log", fmt.Sprintf("%d entries wait for the log", pending), err))
	newest, err := newestRecord(env.ctx, h)
	clock := judge("clock", "not behind the newest record", err)
	if err == nil && newest.After(env.now().Add(time.Minute)) {
		clock = finding{"clock", false, fmt.Sprintf("this machine says %s, but a record was issued at %s", env.now().UTC().Format(time.RFC3339), newest.Format(time.RFC3339))}
	}
	return append(out, clock)
}

// keyFindings asks whether every organisation that signs has a key in use.
func (c *doctorCommand) keyFindings(env environment, h *house) []finding {
	orgs, err := h.Organisations(env.ctx)
	if err != nil {
		return []finding{judge("keys", "", err)}
	}
	var out []finding
	for _, org := range orgs {
		if len(org.Keys) == 0 {
			continue
		}
		kid, _, err := h.keys.Signer(org.ID, registry.ES256, env.now())
		out = append(out, judge("key of "+string(org.ID), kid+" signs", err))
	}
	return out
}

func newestRecord(ctx context.Context, h *house) (time.Time, error) {
	var newest time.Time
	for rec, err := range h.store.Records(ctx, registry.Filter{Type: passport.Model}) {
		if err != nil {
			return time.Time{}, err
		}
		if rec.IssuedAt.After(newest) {
			newest = rec.IssuedAt
		}
	}
	return newest, nil
}

// ask calls the readiness of a running server.
func (c *doctorCommand) ask(env environment) finding {
	ctx, cancel := context.WithTimeout(env.ctx, 5*time.Second)
	defer cancel()
	_, err := client.New(c.Server).Get(ctx, c.Server+"/readyz", "application/json")
	return judge("server", c.Server+" is ready", err)
}
