package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/carrier"
	"github.com/provolt/provolt/internal/config"
	"github.com/provolt/provolt/internal/demo"
	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/telemetry"
)

type demoCommand struct {
	DataDir string `help:"Directory of the demo." env:"PROVOLT_DEMO_DIR" placeholder:"DIR"`
	Listen  string `help:"Address to listen on." env:"PROVOLT_LISTEN" placeholder:"HOST:PORT"`
	LAN     bool   `name:"lan" help:"Let phones in the local network in, over plain HTTP."`
	Reset   bool   `help:"Start over with fresh data."`
	Verbose bool   `help:"Log every request."`
}

// demoFile holds what scripts need, so that none has to read a terminal.
const demoFile = "demo.json"

// Run furnishes the demo if it is not there yet and serves it.
func (d *demoCommand) Run(env environment) error {
	serve, baseURL, err := d.settings()
	if err != nil {
		return err
	}
	if d.Reset {
		if err := d.reset(env, serve.place); err != nil {
			return err
		}
	}
	log := quiet()
	if d.Verbose {
		log = telemetry.NewLogger(env.err, false, slog.LevelInfo)
	}
	h, show, err := d.furnish(env, serve, baseURL)
	if err != nil {
		return err
	}
	stop := func() {}
	ready := func() error {
		if err := d.announce(env, h, serve.DataDir, show); err != nil {
			return err
		}
		stop = d.renew(env, h, serve.DataDir, show)
		return nil
	}
	served := serve.serve(env, h, log, ready)
	stop()
	return errors.Join(served, h.Close())
}

// renewTokens is how often demo.json gets fresh tokens, before the old ones end.
const renewTokens = identity.MaxLifetime / 2

// renew keeps the tokens in demo.json good for as long as the demo runs. The
// function it returns waits until nothing is written any more.
func (d *demoCommand) renew(env environment, h *house, dir string, show demo.Showcase) (stop func()) {
	ctx, cancel := context.WithCancel(env.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(renewTokens)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := writeShowcase(env, h, dir, &show); err != nil {
					env.note("provolt: %v", err)
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// settings picks directory, address and base URL: on loopback, or on the
// address other machines of the network see.
func (d *demoCommand) settings() (*serveCommand, string, error) {
	serve := &serveCommand{place: place{DataDir: d.DataDir}, Listen: d.Listen, LogText: true, demo: true, lan: d.LAN}
	c := config.Config{DataDir: d.DataDir, Listen: d.Listen, Environment: config.Demo, LAN: d.LAN}
	if d.LAN {
		address, err := lanAddress()
		if err != nil {
			return nil, "", err
		}
		_, port, _ := net.SplitHostPort(c.WithDefaults().Listen)
		c.Listen, c.BaseURL = net.JoinHostPort("0.0.0.0", port), "http://"+net.JoinHostPort(address, port)
	} else if d.Listen != "" {
		_, port, err := net.SplitHostPort(d.Listen)
		if err != nil {
			return nil, "", fmt.Errorf("--listen: %w", err)
		}
		c.BaseURL = "http://localhost:" + port
	}
	c = c.WithDefaults()
	serve.DataDir, serve.Listen = c.DataDir, c.Listen
	return serve, c.BaseURL, nil
}

// lanAddress is the first private IPv4 address of this machine.
func lanAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("find this machine's address: %w", err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsPrivate() && n.IP.To4() != nil {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address in a local network")
}

// reset removes what a demo made in its directory: never anything else, and
// nothing at all unless its database says that it is a demo's.
func (d *demoCommand) reset(env environment, at place) error {
	if _, err := os.Stat(filepath.Join(at.DataDir, demoFile)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	store, err := at.store(env.ctx)
	if err != nil {
		return fmt.Errorf("--reset: %s holds no demo: %w", at.DataDir, err)
	}
	instance, err := store.Instance(env.ctx)
	if err = errors.Join(err, store.Close()); err != nil || instance.Environment != config.Demo {
		return fmt.Errorf("--reset: %s holds no demo", at.DataDir)
	}
	for _, name := range []string{demoFile, "keys", "provolt.db", "provolt.db-wal", "provolt.db-shm", "provolt.db.migrating"} {
		if err := os.RemoveAll(filepath.Join(at.DataDir, name)); err != nil {
			return fmt.Errorf("--reset: %w", err)
		}
	}
	if err := os.Remove(at.DataDir); err != nil {
		return fmt.Errorf("--reset: the directory holds more than a demo: %w", err)
	}
	return nil
}

// furnish opens the demo registry, making and filling it on the first run.
func (d *demoCommand) furnish(env environment, s *serveCommand, baseURL string) (*house, demo.Showcase, error) {
	var show demo.Showcase
	raw, err := os.ReadFile(filepath.Join(s.DataDir, demoFile))
	if errors.Is(err, os.ErrNotExist) {
		if err = d.make(env, s.place, baseURL); err == nil {
			raw, err = os.ReadFile(filepath.Join(s.DataDir, demoFile))
		}
	}
	if err != nil {
		return nil, show, err
	}
	if err := json.Unmarshal(raw, &show); err != nil {
		return nil, show, fmt.Errorf("read %s (try --reset): %w", demoFile, err)
	}
	h, err := s.open(env, quiet())
	if err == nil && h.BaseURL() != baseURL {
		return nil, show, errors.Join(fmt.Errorf("this demo was made for %s: use that port, another --data-dir, or --reset", h.BaseURL()), h.Close())
	}
	return h, show, err
}

// make fills a directory beside the one asked for and renames it when it is
// whole, so that an interrupted first run leaves nothing in the way.
func (d *demoCommand) make(env environment, at place, baseURL string) error {
	if _, err := os.Stat(at.DataDir); err == nil {
		return fmt.Errorf("%s exists and holds no demo: choose another --data-dir", at.DataDir)
	}
	env.say("Making demo data in %s …", at.DataDir)
	unfinished := place{DataDir: at.DataDir + ".unfinished"}
	if err := os.RemoveAll(unfinished.DataDir); err != nil {
		return fmt.Errorf("make the demo: %w", err)
	}
	instance := registry.Instance{BaseURL: baseURL, Environment: config.Demo, CreatedAt: env.now().UTC()}
	if err := unfinished.initialise(env, instance, "Provolt demo registry", "DE"); err != nil {
		return err
	}
	err := unfinished.with(env, func(h *house) error {
		show, err := demo.Furnish(env.ctx, h.Registry, root)
		if err != nil {
			return err
		}
		return writeShowcase(env, h, unfinished.DataDir, &show)
	})
	if err != nil {
		return err
	}
	if err := os.Rename(unfinished.DataDir, at.DataDir); err != nil {
		return fmt.Errorf("make the demo: %w", err)
	}
	return nil
}

// announce writes demo.json with fresh tokens and tells where to look.
func (d *demoCommand) announce(env environment, h *house, dir string, show demo.Showcase) error {
	if err := writeShowcase(env, h, dir, &show); err != nil {
		return err
	}
	d.print(env, show, filepath.Join(dir, demoFile))
	return nil
}

// writeShowcase signs a token for every person and replaces demo.json.
func writeShowcase(env environment, h *house, dir string, show *demo.Showcase) error {
	issuer, err := h.tokenIssuer(env)
	if err != nil {
		return err
	}
	for i, p := range show.Persons {
		if show.Persons[i].Token, err = issuer.Token(p.Name, p.Organisation, p.Roles, identity.MaxLifetime, env.now()); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(show, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", demoFile, err)
	}
	unfinished := filepath.Join(dir, demoFile+".new")
	if err := os.WriteFile(unfinished, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", demoFile, err)
	}
	if err := os.Rename(unfinished, filepath.Join(dir, demoFile)); err != nil {
		return fmt.Errorf("write %s: %w", demoFile, err)
	}
	return nil
}

func (d *demoCommand) print(env environment, show demo.Showcase, path string) {
	env.say("provolt %s · battery passport registry · demo data, keys are throw-away\n", version)
	for _, p := range show.Passports {
		env.say("  %-20s %s\n  %-20s %s", p.Shows, p.DigitalLink, "", p.Description)
	}
	env.say("\n  %-20s %s\n  %-20s %s", "look up", show.Links["lookUp"], "API docs", show.Links["docs"])
	env.say("\nAccess tokens, good for an hour (also in %s):", path)
	for _, p := range show.Persons {
		var roles []string
		for _, r := range p.Roles {
			roles = append(roles, string(r))
		}
		env.say("\n  %s: %s of %s\n  %s", strings.Join(roles, ", "), p.Name, p.Organisation, p.Token)
	}
	if code, err := carrier.QR(show.Passports[0].DigitalLink, carrier.Medium); err == nil {
		env.say("\n%s", code.Terminal())
	}
	env.say("Scan it, or open %s\n%s verify %s\nCtrl-C stops; %s demo --reset starts over.",
		show.Passports[0].DigitalLink, env.name, show.Passports[0].DigitalLink, env.name)
}
