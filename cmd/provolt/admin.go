package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/config"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

type initCommand struct {
	place
	BaseURL string `help:"Where the registry will be reached. Fixed for ever: it is in every id." env:"PROVOLT_BASE_URL" required:"" placeholder:"URL"`
	Name    string `help:"Name of the operator." required:""`
	Country string `help:"Country of the operator, ISO 3166-1 alpha-2." required:"" placeholder:"CC"`
}

// Run makes database and keys.
func (c *initCommand) Run(env environment) error {
	base, err := config.ParseBaseURL(c.BaseURL)
	if err != nil {
		return fmt.Errorf("--base-url: %w", err)
	}
	settings := config.Config{
		DataDir: c.DataDir, DatabaseURL: c.DatabaseURL, BaseURL: base, Environment: config.Production, PassphraseFile: c.PassphraseFile,
	}.WithDefaults()
	if err := settings.Validate(); err != nil {
		return err
	}
	instance := registry.Instance{BaseURL: base, Environment: config.Production, CreatedAt: env.now().UTC()}
	if err := c.initialise(env, instance, c.Name, c.Country); err != nil {
		return err
	}
	env.say("Registry %s initialised. Next: provolt org add, provolt serve.", base)
	return nil
}

func (p place) initialise(env environment, instance registry.Instance, name, country string) error {
	keys, err := p.keys(instance.Environment == config.Production)
	if err != nil {
		return err
	}
	if err := p.migrate(env.ctx); err != nil {
		return err
	}
	store, err := p.store(env.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if known, err := store.Instance(env.ctx); err == nil {
		return fmt.Errorf("there is a registry here already, for %s: its base URL is fixed", known.BaseURL)
	}
	return registry.Init(env.ctx, store, keys, instance, name, country)
}

type migrateCommand struct{ place }

// Run brings the database to this release's version.
func (c *migrateCommand) Run(env environment) error {
	if err := c.migrate(env.ctx); err != nil {
		return err
	}
	env.say("The database is at this release's version.")
	return nil
}

type orgCommands struct {
	Add  orgAddCommand  `cmd:"" help:"Admit an organisation; prints the one-time secret of its first administrator."`
	List orgListCommand `cmd:"" help:"List the admitted organisations."`
	Bind orgBindCommand `cmd:"" help:"Bind an organisation's OIDC issuer."`
}

type orgAddCommand struct {
	place
	Org     string   `arg:"" help:"Short name: a-z, 0-9 and -."`
	Name    string   `help:"Registered name." required:""`
	Country string   `help:"ISO 3166-1 alpha-2." required:"" placeholder:"CC"`
	Role    []string `help:"What it is admitted to: issuer, legitimateInterest, authority, contractedVerifier, auditor, operatorAdmin." default:"issuer"`
	ID      []string `name:"id" help:"Identifier such as lei=529900T8BM49AURSDO55." placeholder:"SCHEME=VALUE"`
}

// Run admits the organisation.
func (c *orgAddCommand) Run(env environment) error {
	org := registry.Organisation{ID: passport.OrgID(c.Org), Name: c.Name, Country: c.Country}
	for _, r := range c.Role {
		org.Roles = append(org.Roles, access.Role(r))
	}
	for _, id := range c.ID {
		scheme, value, _ := strings.Cut(id, "=")
		org.PartyIDs = append(org.PartyIDs, passport.PartyID{Scheme: scheme, Value: value})
	}
	return c.with(env, func(h *house) error {
		secret, err := h.Admit(env.ctx, root, org)
		if err != nil {
			return reasoned(err)
		}
		env.say("%s admitted as %s\n", c.Org, h.DID(org.ID))
		env.say("One-time secret of its first administrator, good for %s:\n  %s\n", registry.EnrolmentLife, secret)
		env.say("They redeem it with:\n  curl -X POST %s/v1/enrolments -H 'Content-Type: application/json' \\\n    -d '{\"organisation\":%q,\"subject\":\"NAME\",\"secret\":\"%s\"}'", h.BaseURL(), c.Org, secret)
		return nil
	})
}

type orgListCommand struct {
	place
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// Run lists the organisations.
func (c *orgListCommand) Run(env environment) error {
	return c.with(env, func(h *house) error {
		orgs, err := h.Organisations(env.ctx)
		if err != nil {
			return err
		}
		rows := [][]string{{"ORGANISATION", "NAME", "COUNTRY", "ROLES", "ISSUER", "ADMITTED"}}
		for _, o := range orgs {
			rows = append(rows, []string{string(o.ID), o.Name, o.Country, fmt.Sprint(o.Roles), o.OIDCIssuer, o.AdmittedAt.Format(time.RFC3339)})
		}
		return env.show(c.Output, rows, orgs)
	})
}

// show prints rows as a table, or the values as JSON.
func (e environment) show(output string, rows [][]string, values any) error {
	if output == "json" {
		raw, err := json.MarshalIndent(values, "", "  ")
		if err != nil {
			return fmt.Errorf("print: %w", err)
		}
		e.say("%s", raw)
		return nil
	}
	table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return table.Flush()
}

type orgBindCommand struct {
	place
	Org    string `arg:"" help:"Short name of the organisation."`
	Issuer string `arg:"" help:"The iss of its tokens, an https URL; empty removes it."`
}

// Run binds the issuer.
func (c *orgBindCommand) Run(env environment) error {
	if c.Issuer != "" {
		if err := config.CheckIssuerURL(c.Issuer); err != nil {
			return err
		}
	}
	return c.with(env, func(h *house) error {
		if err := h.BindIssuer(env.ctx, root, passport.OrgID(c.Org), c.Issuer); err != nil {
			return reasoned(err)
		}
		if c.Issuer == "" {
			env.say("No identity provider speaks for %s any more.", c.Org)
		} else {
			env.say("Tokens of %s now speak for %s.", c.Issuer, c.Org)
		}
		return nil
	})
}

type keysCommands struct {
	List   keysListCommand   `cmd:"" help:"List every published key."`
	Rotate keysRotateCommand `cmd:"" help:"Publish a new key that comes into use later."`
	Retire keysRetireCommand `cmd:"" help:"End the use of a key. It stays published."`
}

type keysListCommand struct {
	place
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// Run lists the keys.
func (c *keysListCommand) Run(env environment) error {
	return c.with(env, func(h *house) error {
		orgs, err := h.Organisations(env.ctx)
		if err != nil {
			return err
		}
		rows := [][]string{{"KEY", "ALGORITHM", "FROM", "RETIRED"}}
		var keys []registry.Key
		for _, o := range orgs {
			for _, k := range o.Keys {
				retired := ""
				if !k.RetiredAt.IsZero() {
					retired = k.RetiredAt.Format(time.RFC3339)
				}
				rows = append(rows, []string{k.ID, k.Algorithm, k.NotBefore.Format(time.RFC3339), retired})
				keys = append(keys, k)
			}
		}
		return env.show(c.Output, rows, keys)
	})
}

type keysRotateCommand struct {
	place
	Org       string        `arg:"" help:"Short name of the organisation; registry for the registry's own."`
	In        time.Duration `help:"How long it is published before it signs, 0 to 90 days." default:"168h"`
	Algorithm string        `enum:"ES256,Ed25519" default:"ES256" help:"ES256, or Ed25519 for the registry's proofs."`
}

// Run rotates the key.
func (c *keysRotateCommand) Run(env environment) error {
	return c.with(env, func(h *house) error {
		key, err := h.RotateKey(env.ctx, root, passport.OrgID(c.Org), c.Algorithm, env.now().Add(c.In))
		if err != nil {
			return reasoned(err)
		}
		env.say("%s signs from %s.", key.ID, key.NotBefore.Format(time.RFC3339))
		return nil
	})
}

type keysRetireCommand struct {
	place
	Key string `arg:"" help:"Id of the key, did:web:…#…"`
}

// Run retires the key.
func (c *keysRetireCommand) Run(env environment) error {
	return c.with(env, func(h *house) error {
		orgs, err := h.Organisations(env.ctx)
		if err != nil {
			return err
		}
		for _, o := range orgs {
			if !slices.ContainsFunc(o.Keys, func(k registry.Key) bool { return k.ID == c.Key }) {
				continue
			}
			key, err := h.RetireKey(env.ctx, root, o.ID, c.Key)
			if err != nil {
				return reasoned(err)
			}
			env.say("%s retired at %s.", key.ID, key.RetiredAt.Format(time.RFC3339))
			return nil
		}
		return fmt.Errorf("no key %s: see provolt keys list", c.Key)
	})
}

type tokenCommand struct {
	place
	Org     string        `help:"Short name of the organisation." required:""`
	Role    []string      `help:"Role; may be given several times." required:""`
	Subject string        `help:"Name of the person or machine." required:""`
	Life    time.Duration `help:"How long it is good for, at most an hour." default:"1h"`
}

// Run prints a token and nothing else.
func (c *tokenCommand) Run(env environment) error {
	return c.with(env, func(h *house) error {
		org, err := h.Organisation(env.ctx, passport.OrgID(c.Org))
		if err != nil {
			return err
		}
		var roles []access.Role
		for _, r := range c.Role {
			if !slices.Contains(org.Roles, access.Role(r)) {
				return fmt.Errorf("%s was admitted as %v, not as %s", c.Org, org.Roles, r)
			}
			roles = append(roles, access.Role(r))
		}
		issuer, err := h.tokenIssuer(env)
		if err != nil {
			return err
		}
		token, err := issuer.Token(c.Subject, org.ID, roles, c.Life, env.now())
		if err != nil {
			return err
		}
		env.say("%s", token)
		return nil
	})
}

type suspendCommand struct {
	place
	Passport string `arg:"" help:"Id of the passport."`
	Reason   string `help:"Reason code: safetyInquiry, formalNonCompliance, dataDisputed, cloneSuspected, keyCompromise or operatorRequest." required:"" placeholder:"CODE"`
}

// Run suspends the passport.
func (c *suspendCommand) Run(env environment) error {
	return c.setState(env, c.Passport, registry.Suspended, c.Reason)
}

type unsuspendCommand struct {
	place
	Passport string `arg:"" help:"Id of the passport."`
	Reason   string `help:"Why it is lifted: resolved, issuedInError or operatorRequest." default:"resolved" placeholder:"CODE"`
}

// Run lifts the suspension.
func (c *unsuspendCommand) Run(env environment) error {
	return c.setState(env, c.Passport, registry.Active, c.Reason)
}

func (p place) setState(env environment, text string, to registry.State, reason string) error {
	id, err := passport.ParseID(text)
	if err != nil {
		return err
	}
	return p.with(env, func(h *house) error {
		standing, err := h.SetState(env.ctx, root, id, to, reason)
		if err != nil {
			return reasoned(err)
		}
		env.say("%s is %s since %s.", id, standing.State, standing.Since.Format(time.RFC3339))
		return nil
	})
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(env environment) error { //nolint:unparam // every command may fail
	env.say("provolt %s %s", version, revision())
	return nil
}
