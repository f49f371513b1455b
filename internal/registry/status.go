package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
)

// SuspensionReasons are the codes a suspension can give. They are the reasons
// for which Art. 79 to 84 of Regulation (EU) 2023/1542 or the registry's own
// integrity ask for an inquiry; the case process adds its own.
func SuspensionReasons() []string {
	return []string{"safetyInquiry", "formalNonCompliance", "dataDisputed", "cloneSuspected", "keyCompromise", "operatorRequest"}
}

// SetState suspends an active passport or lifts its suspension.
func (r *Registry) SetState(ctx context.Context, by access.Subject, id passport.ID, to State, reason string) (Standing, error) {
	action, kind := access.Suspend, tlog.Suspend
	from := Active
	if to == Active {
		action, kind, from = access.Unsuspend, tlog.Unsuspend, Suspended
	}
	rec, err := r.Store.Record(ctx, Query{Type: passport.Item, Series: id, Version: 1})
	if err != nil {
		return Standing{}, fmt.Errorf("passport %s: %w", id, err)
	}
	if err := r.allow(by, action, access.Resource{Owner: rec.Org, Type: passport.Item, Series: []passport.ID{id}, At: r.Now()}); err != nil {
		return Standing{}, err
	}
	if err := checkReason(to, reason); err != nil {
		return Standing{}, err
	}
	change := StatusChange{Series: id, Slot: rec.Slot, From: from, To: to, Reason: reason, Actor: by.Org, At: r.Now().UTC().Truncate(time.Microsecond)}
	leaf, err := r.statusLeaf(kind, rec, change)
	if err != nil {
		return Standing{}, err
	}
	_, err = r.commit(ctx, Change{Tenant: rec.Org, At: change.At, Status: &change, Leaves: []Leaf{leaf}})
	if errors.Is(err, ErrStale) {
		return Standing{}, &Conflict{Code: "state.changed", Existing: id}
	} else if err != nil {
		return Standing{}, fmt.Errorf("set state of %s: %w", id, err)
	}
	return r.Standing(ctx, id)
}

func checkReason(to State, reason string) error {
	if to != Suspended && to != Active {
		return &Conflict{Code: "state.unreachable"}
	}
	if to == Suspended && !slices.Contains(SuspensionReasons(), reason) {
		return &Invalid{[]passport.Violation{{
			Pointer: "/reason", Code: "reason.unknown", Severity: passport.Blocking, Found: strconv.Quote(reason),
			Expected: fmt.Sprintf("one of %v", SuspensionReasons()), Repair: "give one of the reason codes",
		}}}
	}
	return nil
}

// statusLeaf names its target by the commitment of the issuance leaf, which
// the log turns into an index; the actor by DID.
func (r *Registry) statusLeaf(kind tlog.Kind, rec Record, c StatusChange) (Leaf, error) {
	target := tlog.Commitment(string(rec.Type), rec.Salt, rec.ContentDigest, rec.TokenDigest)
	data, err := tlog.PublicLeaf(kind, map[string]string{
		"target": base64.RawURLEncoding.EncodeToString(target[:]), "actor": r.DID(c.Actor),
		"reason": c.Reason, "at": c.At.Format(time.RFC3339Nano),
	})
	return Leaf{Kind: kind, Series: rec.Series, Data: data}, err
}

// The kinds of status lists: Bitstring lists by purpose, and the IETF token
// status list, which holds both.
const (
	RevocationList = string(credential.Revocation)
	SuspensionList = string(credential.Suspension)
	TokenList      = "tokens"
)

// statusLists keeps the signed lists for a few seconds: rendering one costs a
// scan of its slots and a signature.
type statusLists struct {
	mu    sync.Mutex
	lists map[listKey]signedList
}

type listKey struct {
	number       int
	kind, format string
}

type signedList struct {
	body []byte
	at   time.Time
}

// listFresh is how long another process's suspension may stay unseen in a
// served list.
const listFresh = 2 * time.Second

// A copy of a list may be kept for listTTL, and answers nothing after listLife.
const (
	listTTL  = 5 * time.Minute
	listLife = 24 * time.Hour
)

// forget drops the lists with this number.
func (l *statusLists) forget(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.lists {
		if key.number == number {
			delete(l.lists, key)
		}
	}
}

// StatusList returns a signed status list: kind is RevocationList,
// SuspensionList or TokenList; format "jwt", or "json" for the first two (plain JSON with an
// eddsa-jcs-2022 proof).
func (r *Registry) StatusList(ctx context.Context, kind string, number int, format string) ([]byte, error) {
	key := listKey{number, kind, format}
	now := r.Now().UTC().Truncate(time.Second)
	r.lists.mu.Lock()
	held, ok := r.lists.lists[key]
	r.lists.mu.Unlock()
	if ok && now.Sub(held.at) < listFresh {
		return held.body, nil
	}
	body, err := r.signList(ctx, key, now)
	if err != nil {
		return nil, err
	}
	r.lists.mu.Lock()
	defer r.lists.mu.Unlock()
	if r.lists.lists == nil {
		r.lists.lists = map[listKey]signedList{}
	}
	r.lists.lists[key] = signedList{body, now}
	return body, nil
}

// signList renders one list from the stored states.
func (r *Registry) signList(ctx context.Context, key listKey, now time.Time) ([]byte, error) {
	states, err := r.Store.StatusList(ctx, key.number)
	if err != nil {
		return nil, fmt.Errorf("status list %d: %w", key.number, err)
	}
	list := credential.StatusList{
		BaseURL: r.BaseURL(), List: key.number, IssuedAt: now, ExpiresAt: now.Add(listLife), TTL: listTTL,
		Statuses: map[int]credential.Status{},
	}
	operator, err := r.party(ctx, passport.Operator)
	if err != nil {
		return nil, err
	}
	list.Issuer = credential.Party{DID: operator.DID, Name: operator.Name}
	for offset, state := range states {
		_, index := credential.StatusIndex(r.statusSecret, int64(key.number)*StatusListSize+int64(offset))
		list.Statuses[index] = statusOf(state)
	}
	algorithm := ES256
	if key.format == "json" {
		algorithm = Ed25519
	}
	kid, signer, err := r.Keys.Signer(passport.Operator, algorithm, r.Now())
	if err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	purpose := credential.Purpose(key.kind)
	switch {
	case key.kind == TokenList:
		return list.TokenJWT(kid, signer)
	case key.format == "json":
		return list.JSON(purpose, kid, signer)
	default:
		return list.JWT(purpose, kid, signer)
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
