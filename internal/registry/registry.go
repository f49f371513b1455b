// Package registry is the registry itself: callers need not know in which
// order a record is checked, signed, verified and stored, nor which rows
// change together. It is the only orchestrator; everything it decides on comes
// from the pure packages, everything it remembers goes through its Store.
//
// A record is issued in one order only: strict JSON gate, schema and
// catalogue, signature, our own verifier on the result, one transaction. A
// crash at any point leaves either the whole record with its pending log entry
// or nothing.
package registry

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
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
	// Signer returns the newest key of owner that may sign at this time.
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
	Options
	instance     Instance
	statusSecret []byte
	slots        slots
	orgs         organisations
	lists        statusLists
	parts        *parts
	generations  [4096]atomic.Uint64
}

// Names of the secrets the registry keeps in its key store.
const (
	statusSecret = "status-index"
)

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
	change := Change{
		Tenant: passport.Operator, At: instance.CreatedAt, Instance: &instance,
		Admit: &Organisation{ID: passport.Operator, Name: name, Country: country, Roles: operatorRoles, AdmittedAt: instance.CreatedAt},
	}
	did, err := credential.DID(instance.BaseURL, passport.Operator)
	if err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	for _, algorithm := range []string{ES256, Ed25519} {
		key, err := keys.Create(passport.Operator, algorithm, did, instance.CreatedAt, instance.CreatedAt)
		if err != nil {
			return fmt.Errorf("create the registry's %s key: %w", algorithm, err)
		}
		change.Keys = append(change.Keys, published(passport.Operator, key))
	}
	leaves, err := admissionLeaves(instance.BaseURL, *change.Admit, change.Keys)
	if err != nil {
		return err
	}
	change.Leaves = leaves
	if _, err := store.Commit(ctx, change); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	return nil
}

// Open returns the registry kept in o.Store, or ErrNotFound if it was never
// initialised.
func Open(ctx context.Context, o Options) (*Registry, error) {
	instance, err := o.Store.Instance(ctx)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	secret, err := o.Keys.Secret(statusSecret)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	r := &Registry{Options: o, instance: instance, statusSecret: secret}
	if r.parts, err = newParts(); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	if _, err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	return r, nil
}

// Instance returns what was fixed at initialisation.
func (r *Registry) Instance() Instance { return r.instance }

// BaseURL is where the registry is reached, without a trailing slash.
func (r *Registry) BaseURL() string { return r.instance.BaseURL }

// Ready answers whether the registry can read and write.
func (r *Registry) Ready(ctx context.Context) error { return r.Store.Ping(ctx) }

// Close waits for writes under way and closes the store.
func (r *Registry) Close() error { return r.Store.Close() }

// PendingLeaves counts the entries that wait for the public log.
func (r *Registry) PendingLeaves(ctx context.Context) (int64, error) {
	return r.Store.PendingLeaves(ctx)
}

// Generation changes whenever this process commits something about the
// series, so that rendered answers can be cached: one is current while the
// generation is the same and it is younger than the time in which another
// process may have written.
func (r *Registry) Generation(series passport.ID) uint64 { return r.generation(series).Load() }

func (r *Registry) generation(series passport.ID) *atomic.Uint64 {
	return &r.generations[(int(series[14])<<8|int(series[15]))%len(r.generations)]
}

// commit stores c and forgets what was cached about its series.
func (r *Registry) commit(ctx context.Context, c Change) (Committed, error) {
	done, err := r.Store.Commit(ctx, c)
	for _, rec := range c.Records {
		r.generation(rec.Series).Add(1)
	}
	if c.Status != nil {
		r.generation(c.Status.Series).Add(1)
		r.lists.forget(int(c.Status.Slot / StatusListSize))
	}
	return done, err
}

// slots hands out status slots from blocks, so that the store is asked once in
// a block's length. What is left of a block at a stop stays a hole.
type slots struct {
	mu         sync.Mutex
	next, left int64
}

const slotBlock = 512

func (s *slots) take(ctx context.Context, store Store) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		first, err := store.ReserveSlots(ctx, slotBlock)
		if err != nil {
			return 0, fmt.Errorf("reserve status slots: %w", err)
		}
		s.next, s.left = first, slotBlock
	}
	slot := s.next
	s.next, s.left = s.next+1, s.left-1
	return slot, nil
}
