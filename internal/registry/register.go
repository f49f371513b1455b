package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
)

// RegisterModel registers a model record, or its next version. Equal content
// under the same key is not written again: the receipt says Unchanged.
func (r *Registry) RegisterModel(ctx context.Context, w Write) (Receipt, error) {
	return r.register(ctx, w, access.RegisterModel, "POST /v1/models", frame{about: passport.Model, versioned: true})
}

// RegisterBatch registers a batch record of a model, or its next version. All
// versions of a batch are of versions of one model.
func (r *Registry) RegisterBatch(ctx context.Context, w Write) (Receipt, error) {
	return r.register(ctx, w, access.RegisterBatch, "POST /v1/batches", frame{
		about: passport.Batch, required: []passport.RecordType{passport.Model}, versioned: true,
	})
}

// RegisterPassport issues the passport of one battery. Model and batch come
// whole, and are registered with it unless equal ones are there already, or by
// the recordId of a registered version, which may be another organisation's.
//
// A battery that has a passport in force gets another one only if the record
// names that passport among its predecessors, it is active, and it is the
// caller's or was released to the caller. It is superseded in the same
// transaction.
func (r *Registry) RegisterPassport(ctx context.Context, w Write) (Receipt, error) {
	return r.register(ctx, w, access.RegisterPassport, "POST /v1/passports", frame{
		about: passport.Item, required: []passport.RecordType{passport.Model}, optional: []passport.RecordType{passport.Batch},
	})
}

func (r *Registry) register(ctx context.Context, w Write, action access.Action, operation string, f frame) (Receipt, error) {
	if err := r.allow(w.By, action, access.Resource{Owner: w.By.Org, Type: f.about, At: r.now()}); err != nil {
		return Receipt{}, err
	}
	return r.write(ctx, w, operation, f, nil)
}

// Amend issues the next version of a passport. Pins that the body leaves out
// stay as they are. The battery cannot change. A suspended passport can be
// amended, since that is how disputed data are put right; it stays suspended.
// Of two amendments at the same moment one is a Conflict.
func (r *Registry) Amend(ctx context.Context, id passport.ID, w Write) (Receipt, error) {
	item, err := r.passport(ctx, w.By, access.Amend, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Receipt{}, err
	}
	return r.write(ctx, w, "POST /v1/passports/"+id.String()+"/versions", frame{
		about: passport.Item, optional: []passport.RecordType{passport.Model, passport.Batch},
	}, &item)
}

// RecordCondition adds dynamic data of one battery. Conditions are signed and
// chained by digest in the order of recordedAt; they have no status and no log
// entry. The newest one sent again is Unchanged.
func (r *Registry) RecordCondition(ctx context.Context, id passport.ID, w Write) (Receipt, error) {
	item, err := r.passport(ctx, w.By, access.RecordCondition, Query{Type: passport.Item, Series: id})
	if err != nil {
		return Receipt{}, err
	}
	return r.write(ctx, w, "POST /v1/passports/"+id.String()+"/conditions", frame{about: passport.Condition}, &item)
}

// passport returns a version of a passport that the caller may do the action
// to. One that the caller may not touch looks like one that does not exist.
func (r *Registry) passport(ctx context.Context, by access.Subject, action access.Action, q Query) (Record, error) {
	if by.Anonymous() {
		return Record{}, ErrUnauthenticated
	}
	rec, err := r.store.Record(ctx, q)
	if err != nil {
		return Record{}, fmt.Errorf("passport %s: %w", q.Series, err)
	}
	return rec, r.allow(by, action, access.Resource{Owner: rec.Org, Type: passport.Item, Series: []passport.ID{q.Series}, At: r.now()})
}

// attempts is how often a write is planned anew when somebody else registered
// an equal model or batch, or the state of a predecessor changed, at the same
// moment.
const attempts = 8

// write takes a body through all gates and commits what it asks for, once per
// Idempotency-Key. item is the passport that the record amends or is a
// condition of.
func (r *Registry) write(ctx context.Context, w Write, operation string, f frame, item *Record) (Receipt, error) {
	var d draft
	return once(ctx, r, w, operation, func(key *Once) (Receipt, Committed, error) {
		s, err := f.parse(w.Body)
		if err != nil {
			return Receipt{}, Committed{}, err
		}
		if d, err = r.check(ctx, w.By, f, s, item); err != nil {
			return Receipt{}, Committed{}, err
		}
		return r.settle(ctx, d, key, w.DryRun)
	}, func(done Committed) (Receipt, error) {
		return r.repeat(ctx, done, d.warnings)
	})
}

// settle plans and commits until the plan holds.
func (r *Registry) settle(ctx context.Context, d draft, key *Once, dry bool) (Receipt, Committed, error) {
	for range attempts {
		p, err := r.plan(ctx, d)
		if err != nil {
			return Receipt{}, Committed{}, err
		}
		if dry {
			receipt, err := r.rehearse(ctx, p, d)
			return receipt, Committed{}, err
		}
		done, err := r.issue(ctx, &p, d, key)
		switch {
		case err == nil && done.Repeated:
			return Receipt{}, done, nil
		case err == nil:
			receipt, err := r.receipt(ctx, p, d)
			return receipt, done, err
		case !errors.Is(err, ErrStale) || d.amends():
			return Receipt{}, Committed{}, d.conflict(err)
		}
	}
	return Receipt{}, Committed{}, fmt.Errorf("register: %w after %d attempts", ErrUnavailable, attempts)
}

// once makes a write happen at most once under its Idempotency-Key; again
// renders the answer to one that was committed before. A dry run has no key.
//
// A repetition that reaches its commit is recognised there, without another
// question to the store. One that is refused before may be refused for what
// the first request itself did, or for what happened since: then the store is
// asked. Refusals are not kept; the key of a refused request is still good.
func once[T any](
	ctx context.Context, r *Registry, w Write, operation string,
	do func(key *Once) (T, Committed, error), again func(Committed) (T, error),
) (T, error) {
	var key *Once
	if w.Key != "" && !w.DryRun {
		key = &Once{Operation: operation, Key: w.Key, Request: sha256.Sum256(w.Body)}
	}
	answer, done, err := do(key)
	if key != nil && refused(err) {
		earlier, lookErr := r.store.Earlier(ctx, w.By.Org, *key)
		switch {
		case lookErr == nil:
			done, err = earlier, nil
		case !errors.Is(lookErr, ErrNotFound):
			return answer, conflict(lookErr)
		}
	}
	if err != nil || !done.Repeated {
		return answer, err
	}
	return again(done)
}
