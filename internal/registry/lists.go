package registry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
)

// The kinds of status lists: Bitstring lists by purpose, and the IETF token
// status list, which holds both.
const (
	RevocationList = string(credential.Revocation)
	SuspensionList = string(credential.Suspension)
	TokenList      = "tokens"
)

// listFresh is how long another process's suspension may stay unseen in a
// served list.
const listFresh = 2 * time.Second

// A copy of a list may be kept for listTTL, and answers nothing after listLife.
const (
	listTTL  = 5 * time.Minute
	listLife = 24 * time.Hour
)

// statusLists keeps signed lists for a moment: rendering one costs a scan of
// its slots and a signature.
type statusLists struct {
	mu      sync.Mutex
	signed  map[listKey]signedList
	changes uint64 // how often a list was forgotten
}

type listKey struct {
	number       int
	kind, format string
}

type signedList struct {
	body []byte
	at   time.Time
}

// maxLists is how many lists are held: whoever asks for the others one after
// the other fills no memory.
const maxLists = 64

// find returns a held list, and the count of changes to give to keep.
func (l *statusLists) find(key listKey, now time.Time) (body []byte, changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held, ok := l.signed[key]; ok && fresh(held.at, now, listFresh) {
		body = held.body
	}
	return body, l.changes
}

// keep holds a list unless a status was changed since the count was taken: the
// list may have been read before.
func (l *statusLists) keep(key listKey, list signedList, changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if changes != l.changes {
		return
	}
	if l.signed == nil || len(l.signed) >= maxLists {
		l.signed = map[listKey]signedList{}
	}
	l.signed[key] = list
}

// forget drops the lists with this number.
func (l *statusLists) forget(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	for key := range l.signed {
		if key.number == number {
			delete(l.signed, key)
		}
	}
}

// StatusList returns a signed status list: kind is RevocationList,
// SuspensionList or TokenList; format "jwt", or "json" for the first two (plain
// JSON with an eddsa-jcs-2022 proof). A list whose slots are not in use yet says
// that none is revoked or suspended.
func (r *Registry) StatusList(ctx context.Context, kind string, number int, format string) ([]byte, error) {
	key := listKey{number, kind, format}
	now := r.now()
	body, changes := r.lists.find(key, now)
	if body != nil {
		return body, nil
	}
	body, err := r.signList(ctx, key, now.Truncate(time.Second))
	if err != nil {
		return nil, fmt.Errorf("status list %s %d: %w", kind, number, err)
	}
	r.lists.keep(key, signedList{body, now}, changes)
	return body, nil
}

// signList renders one list from the stored states.
func (r *Registry) signList(ctx context.Context, key listKey, now time.Time) ([]byte, error) {
	states, err := r.store.StatusList(ctx, key.number)
	if err != nil {
		return nil, err
	}
	algorithm := ES256
	if key.format == "json" {
		algorithm = Ed25519
	}
	signer, err := r.pen(ctx, passport.Operator, algorithm, r.now())
	if err != nil {
		return nil, err
	}
	list := credential.StatusList{
		BaseURL: r.BaseURL(), Issuer: credential.Party{DID: signer.DID, Name: signer.Name}, List: key.number,
		IssuedAt: now, ExpiresAt: now.Add(listLife), TTL: listTTL, Statuses: map[int]credential.Status{},
	}
	for offset, state := range states {
		position := r.position(int64(key.number)*StatusListSize + int64(offset))
		list.Statuses[position.Index] = statusOf(state)
	}
	purpose := credential.Purpose(key.kind)
	switch {
	case key.kind == TokenList:
		return list.TokenJWT(signer.kid, signer.key)
	case key.format == "json":
		return list.JSON(purpose, signer.kid, signer.key)
	default:
		return list.JWT(purpose, signer.kid, signer.key)
	}
}

// statusOf is how a state shows in the lists. Superseded and ceased are no
// judgement on the record: the signed lists leave them valid, and the page and
// /v1/passports/{id} say what they are.
func statusOf(s State) credential.Status {
	switch s {
	case Suspended:
		return credential.Suspended
	case Revoked:
		return credential.Revoked
	case Active, Superseded, Ceased:
	}
	return credential.Valid
}
