package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
)

// Standing returns the status of a passport and who follows it.
func (r *Registry) Standing(ctx context.Context, id passport.ID) (Standing, error) {
	rec, err := r.store.Record(ctx, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Standing{}, fmt.Errorf("passport %s: %w", id, err)
	}
	return r.standing(ctx, rec)
}

// standing is the replay of a passport's history. What follows a superseded
// one is whoever holds its battery now, however many came in between.
func (r *Registry) standing(ctx context.Context, item Record) (Standing, error) {
	history, err := r.store.Status(ctx, item.Series)
	if err != nil {
		return Standing{}, fmt.Errorf("status of %s: %w", item.Series, err)
	}
	if len(history) == 0 {
		return Standing{State: Active, Since: begun(item.Series)}, nil
	}
	last := history[len(history)-1]
	s := Standing{State: last.To, Since: last.At, Reason: last.Reason, History: history}
	if last.To == Superseded {
		present, err := r.store.Record(ctx, Query{Key: &NaturalKey{Type: passport.Item, Text: item.Key}})
		if err != nil {
			return Standing{}, fmt.Errorf("successor of %s: %w", item.Series, err)
		}
		s.Successor = present.Series
	}
	return s, nil
}

// begun is when a series was issued first: the time in its UUIDv7.
func begun(series passport.ID) time.Time {
	var ms int64
	for _, b := range series[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// SuspensionReasons are the codes a suspension can give. They are the reasons
// for which Art. 79 to 84 of Regulation (EU) 2023/1542 or the registry's own
// integrity ask for an inquiry; the case process adds its own.
func SuspensionReasons() []string {
	return []string{"safetyInquiry", "formalNonCompliance", "dataDisputed", "cloneSuspected", "keyCompromise", "operatorRequest"}
}

// SetState suspends an active passport or lifts its suspension, with an entry
// for the public log. A passport in any other state is a Conflict, so that of
// two callers at once one learns that the other was faster.
func (r *Registry) SetState(ctx context.Context, by access.Subject, id passport.ID, to State, reason string) (Standing, error) {
	action, kind, from := access.Suspend, tlog.Suspend, Active
	if to == Active {
		action, kind, from = access.Unsuspend, tlog.Unsuspend, Suspended
	}
	item, err := r.passport(ctx, by, action, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Standing{}, err
	}
	if err := checkReason(to, reason); err != nil {
		return Standing{}, err
	}
	change := StatusChange{Series: id, Slot: item.Slot, From: from, To: to, Reason: reason, Actor: by.Org, At: r.now()}
	leaf, err := r.statusLeaf(ctx, kind, change)
	if err != nil {
		return Standing{}, err
	}
	_, err = r.commit(ctx, Change{Tenant: by.Org, At: change.At, Status: &change, Leaves: []Leaf{leaf}})
	if errors.Is(err, ErrStale) {
		return Standing{}, &Conflict{Code: CodeStateChanged, Existing: id}
	} else if err != nil {
		return Standing{}, fmt.Errorf("set state of %s: %w", id, err)
	}
	return r.standing(ctx, item)
}

// LiftReasons are the codes for lifting a suspension. The history is public and
// part of the log: it holds codes and no text about persons.
func LiftReasons() []string { return []string{"resolved", "issuedInError", "operatorRequest"} }

func checkReason(to State, reason string) error {
	var known []string
	switch to {
	case Suspended:
		known = SuspensionReasons()
	case Active:
		known = LiftReasons()
	case Superseded, Revoked, Ceased:
		return &Conflict{Code: CodeStateUnreachable}
	default:
		return &Conflict{Code: CodeStateUnreachable}
	}
	if slices.Contains(known, reason) {
		return nil
	}
	expected := fmt.Sprintf("one of %v", known)
	return blocking(passport.Violation{
		Pointer: "/reason", Code: "reason.unknown", Found: passport.Quote(reason), Expected: expected, Repair: "give " + expected,
	})
}

// statusLeaf names its target by the commitment of the passport's first
// issuance leaf, which the log turns into an index; the actor by DID.
func (r *Registry) statusLeaf(ctx context.Context, kind tlog.Kind, c StatusChange) (Leaf, error) {
	first, err := r.store.Record(ctx, Query{Type: passport.Item, Series: c.Series, Version: 1})
	if err != nil {
		return Leaf{}, fmt.Errorf("passport %s: %w", c.Series, err)
	}
	target := commitment(first)
	data, err := tlog.PublicLeaf(kind, map[string]string{
		"target": base64.RawURLEncoding.EncodeToString(target[:]), "actor": r.DID(c.Actor),
		"reason": c.Reason, "at": c.At.Format(time.RFC3339Nano),
	})
	return Leaf{Kind: kind, Series: c.Series, Data: data}, err
}
