// Package registry is the registry itself: callers need not know in which
// order a record is checked, signed, verified and stored, nor which rows
// change together. It is the only orchestrator; everything it decides on comes
// from the pure packages, everything it remembers goes through its Store.
//
// # Crashes
//
// A record is issued in one order only: strict JSON gate, schema and
// catalogue, signature, our own verifier on the result, one transaction. A
// crash at any point leaves either the whole record with its pending log entry
// or nothing. A key is made before it is published, so a crash between the two
// leaves a key that nobody can verify with: the registry signs with published
// keys alone and passes such a one over.
//
// # Replicas
//
// Any number of processes may serve one Store. Signed bytes and what they show
// to everybody never change; a process holds them for as long as it has room.
// The admitted organisations and the signed status lists do change: what this
// process changed shows at once, what another one changed two seconds later at
// most. Everything that has to count at once is asked of the store every time:
// which passport is in force, its state, grants, releases, idempotency keys.
package registry

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/keyring"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
)

// Keys holds the private keys of the organisations. The key files of package
// keyring are one way to keep them; a hardware module is another.
type Keys interface {
	// Create makes a key for owner that signs from notBefore on.
	Create(owner passport.OrgID, algorithm, did string, at, notBefore time.Time) (keyring.Public, error)
	// Signer returns the newest key of owner that may sign at this time, or
	// keyring.ErrNoKey.
	Signer(owner passport.OrgID, algorithm string, at time.Time) (kid string, key crypto.Signer, err error)
	// Retire keeps a key from signing from at on.
	Retire(kid string, at time.Time) error
	// Secret returns 32 random bytes that stay the same for a name.
	Secret(name string) ([]byte, error)
}

// Options are what a Registry works with. All members are required.
type Options struct {
	Store     Store
	Keys      Keys
	Catalogue *catalogue.Catalogue
	Validator *schema.Validator
	Now       func() time.Time
	Random    io.Reader // of cryptographic quality
	Log       *slog.Logger
}

// Registry issues, serves and checks passports. It is safe for concurrent use.
type Registry struct {
	store     Store
	keys      Keys
	catalogue *catalogue.Catalogue
	validator *schema.Validator
	clock     func() time.Time
	random    io.Reader
	log       *slog.Logger

	instance     Instance
	statusSecret []byte
	rehearsalKey crypto.Signer // signs what a dry run throws away
	slots        slots
	orgs         organisations
	lists        statusLists
	memory       *memory
	generations  [4096]atomic.Uint64
}

// statusSecret names the secret that turns status slots into public positions.
const statusSecret = "status-index"

// Signing algorithms of the registry's keys.
const (
	ES256   = "ES256"   // passports, status list tokens, trust bundle
	Ed25519 = "Ed25519" // Data Integrity proofs of the registry
)

// Init fixes base URL and environment and publishes the registry's own keys.
// A second Init fails with ErrStale.
func Init(ctx context.Context, store Store, keys Keys, instance Instance, name, country string) error {
	if _, err := store.Instance(ctx); err == nil {
		return fmt.Errorf("initialise: %w", ErrStale)
	} else if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("initialise: %w", err)
	}
	operator := Organisation{ID: passport.Operator, Name: name, Country: country, Roles: operatorRoles, AdmittedAt: instance.CreatedAt}
	if err := admissible(operator); err != nil {
		return err
	}
	did, err := credential.DID(instance.BaseURL, passport.Operator)
	if err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	change := Change{Tenant: passport.Operator, At: instance.CreatedAt, Instance: &instance, Admit: &operator}
	for _, algorithm := range []string{ES256, Ed25519} {
		key, err := keys.Create(passport.Operator, algorithm, did, instance.CreatedAt, wholeSecond(instance.CreatedAt))
		if err != nil {
			return fmt.Errorf("create the registry's %s key: %w", algorithm, err)
		}
		change.Keys = append(change.Keys, published(passport.Operator, key))
	}
	if change.Leaves, err = admissionLeaves(instance.BaseURL, *change.Admit, change.Keys); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	if _, err := store.Commit(ctx, change); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	return nil
}

// Open returns the registry kept in o.Store, or ErrNotFound if it was never
// initialised.
func Open(ctx context.Context, o Options) (*Registry, error) {
	r, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return r, nil
}

func open(ctx context.Context, o Options) (*Registry, error) {
	r := &Registry{
		store: o.Store, keys: o.Keys, catalogue: o.Catalogue, validator: o.Validator, clock: o.Now, random: o.Random, log: o.Log,
	}
	var err error
	if r.instance, err = o.Store.Instance(ctx); err != nil {
		return nil, err
	}
	if r.statusSecret, err = o.Keys.Secret(statusSecret); err != nil {
		return nil, err
	}
	if r.rehearsalKey, err = ecdsa.GenerateKey(elliptic.P256(), o.Random); err != nil {
		return nil, err
	}
	if r.memory, err = newMemory(); err != nil {
		return nil, err
	}
	_, err = r.refresh(ctx)
	return r, err
}

// Instance returns what was fixed at initialisation.
func (r *Registry) Instance() Instance { return r.instance }

// BaseURL is where the registry is reached, without a trailing slash.
func (r *Registry) BaseURL() string { return r.instance.BaseURL }

// Ready answers whether the registry can read and write.
func (r *Registry) Ready(ctx context.Context) error { return r.store.Ping(ctx) }

// Close waits for writes under way and closes the store.
func (r *Registry) Close() error { return r.store.Close() }

// PendingLeaves counts the entries that wait for the public log.
func (r *Registry) PendingLeaves(ctx context.Context) (int64, error) {
	return r.store.PendingLeaves(ctx)
}

// now is the present as a Store keeps it: in UTC, in whole microseconds.
func (r *Registry) now() time.Time { return r.clock().UTC().Truncate(time.Microsecond) }

// Generation changes whenever this process commits something about the
// series, so that rendered answers can be cached: one is current while the
// generation is the same and it is younger than the time in which another
// process may have written. Read it before you read what you render.
func (r *Registry) Generation(series passport.ID) uint64 { return r.generation(series).Load() }

func (r *Registry) generation(series passport.ID) *atomic.Uint64 {
	return &r.generations[(int(series[14])<<8|int(series[15]))%len(r.generations)]
}

// commit stores c and forgets what was cached about its series: also after an
// error, since the change may have been persisted.
func (r *Registry) commit(ctx context.Context, c Change) (Committed, error) {
	done, err := r.store.Commit(ctx, c)
	for i := range c.Records {
		r.generation(c.Records[i].Series).Add(1)
	}
	if c.Status != nil {
		r.generation(c.Status.Series).Add(1)
		r.lists.forget(int(c.Status.Slot / StatusListSize))
	}
	return done, err
}
