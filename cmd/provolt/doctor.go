package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/provolt/provolt/internal/client"
	"github.com/provolt/provolt/internal/config"
	"github.com/provolt/provolt/internal/registry"
)

type doctorCommand struct {
	place
	Server string `help:"Also ask the running server at this address." env:"PROVOLT_DOCTOR_SERVER" placeholder:"URL"`
	Quick  bool   `help:"Ask the running server and nothing else; for health checks." env:"PROVOLT_DOCTOR_QUICK"`
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
	findings := c.look(env)
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

// look gathers the findings: of the place, unless it is to be quick, and of the
// server, if there is one to ask.
func (c *doctorCommand) look(env environment) []finding {
	var findings []finding
	if !c.Quick {
		findings = append(findings, c.directory())
		h, err := c.open(env, quiet())
		findings = append(findings, judge("registry", "initialised, database at this release's version, keys readable", err))
		if err == nil {
			findings = append(findings, c.examine(env, h)...)
			findings = append(findings, judge("close", "database closed cleanly", h.Close()))
		}
	}
	if c.Server != "" || c.Quick {
		findings = append(findings, c.ask(env))
	}
	return findings
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
	if info.Mode()&othersMay != 0 {
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
	return append(out, c.clock(env, h))
}

// clock compares this machine's with the last time an organisation was
// admitted. A clock that lags behind would back-date what it signs.
func (c *doctorCommand) clock(env environment, h *house) finding {
	orgs, err := h.Organisations(env.ctx)
	if err != nil {
		return judge("clock", "", err)
	}
	last := h.Instance().CreatedAt
	for _, org := range orgs {
		if org.AdmittedAt.After(last) {
			last = org.AdmittedAt
		}
	}
	if now := env.now().UTC(); last.After(now.Add(time.Minute)) {
		return finding{"clock", false, fmt.Sprintf("this machine says %s, but an organisation was admitted at %s", now.Format(time.RFC3339), last.Format(time.RFC3339))}
	}
	return finding{"clock", true, "not behind what the registry recorded"}
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

// ask calls the readiness of a running server.
func (c *doctorCommand) ask(env environment) finding {
	ctx, cancel := context.WithTimeout(env.ctx, 5*time.Second)
	defer cancel()
	server := cmp.Or(c.Server, config.DefaultBaseURL)
	_, err := client.New(server).Get(ctx, server+"/readyz", "application/json")
	return judge("server", server+" is ready", err)
}
