package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/config"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/postgres"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/sqlite"
)

// place is where a registry is kept. Every command that opens one takes it.
type place struct {
	DataDir        string `help:"Directory of the SQLite database and the keys." env:"PROVOLT_DATA_DIR" default:"./provolt-data" placeholder:"DIR"`
	DatabaseURL    string `help:"PostgreSQL instead of SQLite." env:"PROVOLT_DATABASE_URL" placeholder:"URL"`
	PassphraseFile string `help:"File with the passphrase of the keys." env:"PROVOLT_PASSPHRASE_FILE" placeholder:"FILE"`
}

func (p place) databasePath() string { return filepath.Join(p.DataDir, "provolt.db") }

// passphrase is nil without a file.
func (p place) passphrase() ([]byte, error) {
	if p.PassphraseFile == "" {
		return nil, nil
	}
	info, err := os.Stat(p.PassphraseFile)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	if info.Mode()&othersMay != 0 {
		return nil, fmt.Errorf("%s has mode %04o: it opens every key, so its owner alone may read it; chmod 600", p.PassphraseFile, info.Mode().Perm())
	}
	raw, err := os.ReadFile(p.PassphraseFile)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	passphrase := bytes.TrimRight(raw, "\r\n")
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("the passphrase in %s has %d bytes, at least %d are needed", p.PassphraseFile, len(passphrase), minPassphrase)
	}
	return passphrase, nil
}

const (
	minPassphrase = 12

	// othersMay are the permissions nobody but the owner of a secret may have.
	othersMay os.FileMode = 0o077
)

func (p place) migrate(ctx context.Context) error {
	if p.DatabaseURL != "" {
		return postgres.Migrate(ctx, p.DatabaseURL)
	}
	if err := os.MkdirAll(p.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	return sqlite.Migrate(ctx, p.databasePath(), sqlite.Options{})
}

func (p place) store(ctx context.Context) (registry.Store, error) {
	if p.DatabaseURL != "" {
		return postgres.Open(ctx, p.DatabaseURL, postgres.Options{})
	}
	return sqlite.Open(ctx, p.databasePath(), sqlite.Options{})
}

func (p place) keys(production bool) (*keyring.Keyring, error) {
	passphrase, err := p.passphrase()
	if err != nil {
		return nil, err
	}
	return keyring.Open(p.DataDir, keyring.Options{Passphrase: passphrase, Production: production})
}

// house is an open registry with the keys it signs with.
type house struct {
	*registry.Registry
	keys *keyring.Keyring
	cat  *catalogue.Catalogue
}

// open opens an initialised registry.
func (p place) open(env environment, log *slog.Logger) (*house, error) {
	store, err := p.store(env.ctx)
	if err != nil {
		return nil, err
	}
	h, err := p.furnish(env, store, log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return h, nil
}

func (p place) furnish(env environment, store registry.Store, log *slog.Logger) (*house, error) {
	instance, err := store.Instance(env.ctx)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, fmt.Errorf("%s holds no registry: run provolt init, or provolt demo to try it", p.DataDir)
	} else if err != nil {
		return nil, err
	}
	keys, err := p.keys(instance.Environment == config.Production)
	if err != nil {
		return nil, err
	}
	cat, err := catalogue.Load()
	if err != nil {
		return nil, err
	}
	validator, err := schema.New(cat)
	if err != nil {
		return nil, err
	}
	reg, err := registry.Open(env.ctx, registry.Options{
		Store: store, Keys: keys, Catalogue: cat, Validator: validator, Now: env.now, Random: env.random, Log: log,
	})
	return &house{reg, keys, cat}, err
}

// quiet is the log of a command that talks to a terminal.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// root is who acts in the operator's own commands: whoever can read the key
// directory is the operator.
var root = access.Subject{Org: passport.Operator, Name: "operator", Roles: []access.Role{access.OperatorAdmin}}

// with opens the registry for one command.
func (p place) with(env environment, do func(*house) error) error {
	h, err := p.open(env, quiet())
	if err != nil {
		return err
	}
	return errors.Join(do(h), h.Close())
}
