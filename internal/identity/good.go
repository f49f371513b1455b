package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

// goodTokens remembers for a minute which tokens were verified, so that a
// machine that registers a thousand packs with one token costs one signature
// check. Who the person is and what they may do is looked up every time; a key
// that its provider withdraws counts for at most that minute longer.
type goodTokens struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

const (
	goodFor  = time.Minute
	goodMost = 10_000 // tokens; beyond, all are forgotten and verified anew
)

// holds reports whether the token was verified lately and is not over.
func (g *goodTokens) holds(bearer string, at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.until[sha256.Sum256([]byte(bearer))]
	return ok && at.Before(until)
}

func (g *goodTokens) add(bearer string, t *token, at time.Time) {
	until := at.Add(goodFor)
	if exp, ok := t.date("exp"); ok && exp.Before(until) {
		until = exp
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil || len(g.until) >= goodMost {
		g.until = map[[sha256.Size]byte]time.Time{}
	}
	g.until[sha256.Sum256([]byte(bearer))] = until
}
