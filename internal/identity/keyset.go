package identity

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// How a published key set is followed.
const (
	// window is the least time between two fetches, however many unknown keys
	// are asked for (threat: a flood of random kids becomes a flood of calls).
	window = time.Minute
	// freshFor is after how long a set is fetched again although every key was
	// found in it, so that a key its owner withdrew stops working.
	freshFor = 15 * time.Minute
	// unknownFor is how long a kid that a fresh set did not have causes no
	// fetch of its own.
	unknownFor = 5 * time.Minute
	// keptFor is how long a set is believed while it cannot be fetched.
	keptFor = 24 * time.Hour
	// fetchTimeout limits one fetch; waitFor how long others wait for it.
	fetchTimeout = 4 * time.Second
	waitFor      = time.Second
	maxKeySet    = 512 << 10 // bytes of a key set or discovery document
	maxKeys      = 256       // in one set, and unknown kids remembered
)

// newClient fetches key sets: no redirect (it could lead inside), no endless
// body, no endless wait.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// keySet follows the JWK Set of one external issuer. A found key costs no
// lock that a fetch holds: tokens with good keys pass while a fetch hangs.
type keySet struct {
	issuer, url string // url is found by discovery when empty
	client      *http.Client
	log         *slog.Logger

	mu      sync.Mutex
	keys    jwkset.Storage       // the last set that could be fetched; nil before
	fetched time.Time            // when that was
	tried   time.Time            // when a fetch began last
	busy    chan struct{}        // closed when the fetch under way ends; nil if none
	unknown map[string]time.Time // kids that the last set did not have, until when
}

func newKeySet(issuer, url string, client *http.Client, log *slog.Logger) *keySet {
	return &keySet{issuer: issuer, url: url, client: client, log: log, unknown: map[string]time.Time{}}
}

// key returns the published key of the token's kid. It fetches the set when
// it is stale or does not have the kid, but at most once per window.
func (s *keySet) key(ctx context.Context, t *jwt.Token, at time.Time) (crypto.PublicKey, error) {
	kid, _ := t.Header["kid"].(string)
	found, err := s.find(ctx, kid, at)
	if err != nil {
		return nil, err
	}
	k, err := keyfunc.New(keyfunc.Options{
		Ctx: ctx, Storage: found, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""},
	})
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	key, err := k.KeyfuncCtx(ctx)(t) // also compares the key's alg and use
	if err != nil {
		return nil, refuse(KeyUnfit)
	}
	return key, nil
}

// find returns a set that has the kid.
func (s *keySet) find(ctx context.Context, kid string, at time.Time) (jwkset.Storage, error) {
	known, next := s.look(ctx, kid, at)
	switch next {
	case fetchNow:
		s.fetch(ctx, at)
	case waitForFetch:
		s.wait(ctx)
	case enough:
		if known != nil {
			return known, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.with(ctx, kid, at); known != nil {
		return known, nil
	}
	if s.expired(at) {
		return nil, refuse(KeysUnavailable)
	}
	if next != enough && s.fetched.Equal(s.tried) && len(s.unknown) < maxKeys {
		s.unknown[kid] = at.Add(unknownFor)
	}
	return nil, refuse(KeyUnknown)
}

// next is what a look at the set calls for.
type next int

const (
	enough next = iota
	fetchNow
	waitForFetch
)

// look returns the present set if it has the kid, and whether to fetch a newer
// one. Who is told fetchNow must call fetch: the window is taken.
func (s *keySet) look(ctx context.Context, kid string, at time.Time) (jwkset.Storage, next) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.with(ctx, kid, at)
	stale := at.Sub(s.fetched) >= freshFor
	switch {
	case known != nil && !stale:
		return known, enough
	case s.busy != nil && known != nil:
		return known, enough
	case s.busy != nil:
		return nil, waitForFetch
	case known == nil && at.Before(s.unknown[kid]):
		return nil, enough
	case !s.tried.IsZero() && at.Sub(s.tried) < window:
		return known, enough
	}
	s.tried, s.busy = at, make(chan struct{})
	return known, fetchNow
}

// with returns the present set if it may still be believed and has the kid,
// else nil. The caller holds mu.
func (s *keySet) with(ctx context.Context, kid string, at time.Time) jwkset.Storage {
	if s.expired(at) {
		return nil
	}
	if _, err := s.keys.KeyRead(ctx, kid); err != nil {
		return nil
	}
	return s.keys
}

func (s *keySet) expired(at time.Time) bool {
	return s.keys == nil || at.Sub(s.fetched) >= keptFor
}

// wait waits for the fetch under way, but not for long.
func (s *keySet) wait(ctx context.Context) {
	s.mu.Lock()
	busy := s.busy
	s.mu.Unlock()
	if busy == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	select {
	case <-busy:
	case <-ctx.Done():
	}
}

// fetch replaces the set. It goes on when the caller that began it hangs up:
// else anybody could spend the window for nothing.
func (s *keySet) fetch(ctx context.Context, at time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, err := s.download(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "key set not fetched", slog.String("issuer", s.issuer), slog.Any("error", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.keys, s.fetched = keys, at
		clear(s.unknown)
	}
	close(s.busy)
	s.busy = nil
}

func (s *keySet) download(ctx context.Context) (jwkset.Storage, error) {
	url, err := s.locate(ctx)
	if err != nil {
		return nil, err
	}
	var set jwkset.JWKSMarshal
	if err := s.get(ctx, url, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("key set of %d keys, at most %d", len(set.Keys), maxKeys)
	}
	keys := jwkset.NewMemoryStorage()
	for _, m := range set.Keys {
		// A key we cannot use (symmetric, an unknown curve) must not keep the
		// others from being used.
		jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			s.log.WarnContext(ctx, "published key ignored", slog.String("issuer", s.issuer), slog.Any("error", err))
			continue
		}
		if err := keys.KeyWrite(ctx, jwk); err != nil {
			return nil, fmt.Errorf("keep key: %w", err)
		}
	}
	return keys, nil
}

// locate returns where the key set is, by discovery if need be.
func (s *keySet) locate(ctx context.Context) (string, error) {
	if s.url != "" {
		return s.url, nil
	}
	var found struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration", &found); err != nil {
		return "", err
	}
	if found.Issuer != s.issuer {
		return "", errors.New("discovery document is of another issuer")
	}
	if !fetchable(found.JWKS) {
		return "", fmt.Errorf("jwks_uri %q must be an https URL, or http on loopback", found.JWKS)
	}
	return found.JWKS, nil
}

func (s *keySet) get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: status %d", url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	if len(body) > maxKeySet {
		return fmt.Errorf("fetch %s: more than %d bytes", url, maxKeySet)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	return nil
}
