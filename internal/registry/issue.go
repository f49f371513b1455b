package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
	"github.com/provolt/provolt/internal/verify"
)

// issue signs the planned records, checks them as a stranger would, and commits
// them with their pending log entries. A plan that writes nothing is committed
// too where a key has to be remembered with its outcome.
func (r *Registry) issue(ctx context.Context, p *plan, d draft, key *Once) (Committed, error) {
	now := r.now()
	p.change.Tenant, p.change.At, p.change.Once = d.by.Org, now, key
	if len(p.change.Records) == 0 && key == nil {
		return Committed{At: now}, nil
	}
	if len(p.change.Records) > 0 {
		signer, err := r.pen(ctx, d.by.Org, ES256, now)
		if err != nil {
			return Committed{}, noKey(err)
		}
		if err := r.sign(ctx, p, d, signer, now); err != nil {
			return Committed{}, err
		}
		if err := r.consequences(ctx, p, d, now); err != nil {
			return Committed{}, err
		}
	}
	if key != nil {
		key.Refs = p.refs()
	}
	return r.commit(ctx, p.change)
}

// rehearse does what issue does up to the commit, with a key that nobody
// trusts, and throws the result away: a dry run passes exactly the gates that
// issuing passes.
func (r *Registry) rehearse(ctx context.Context, p plan, d draft) (Receipt, error) {
	signed := p
	signed.used, signed.change.Records = maps.Clone(p.used), slices.Clone(p.change.Records)
	if len(p.change.Records) > 0 {
		now := r.now()
		signer, err := r.pen(ctx, d.by.Org, ES256, now)
		if err != nil {
			return Receipt{}, noKey(err)
		}
		signer.key, signer.rehearsal = r.rehearsalKey, true
		if err := r.sign(ctx, &signed, d, signer, now); err != nil {
			return Receipt{}, err
		}
	}
	receipt, err := r.receipt(ctx, p, d)
	receipt.DryRun = true
	return receipt, err
}

// sign turns every planned record into a signed one, in the order in which they
// build on each other.
func (r *Registry) sign(ctx context.Context, p *plan, d draft, with pen, now time.Time) error {
	for i := range p.change.Records {
		rec := &p.change.Records[i]
		if err := r.identify(ctx, rec, p, with, now); err != nil {
			return err
		}
		rec.describe(d, p)
		if err := r.signRecord(ctx, rec, p, d, with); err != nil {
			return err
		}
		p.used[rec.Type] = *rec
	}
	return nil
}

// identify gives a record its ids, salt and slot, and the pins that were given
// theirs before it.
func (r *Registry) identify(ctx context.Context, rec *Record, p *plan, with pen, now time.Time) (err error) {
	rec.IssuedAt = now
	if rec.ID, err = passport.NewID(now, r.random); err != nil {
		return err
	}
	if _, err = io.ReadFull(r.random, rec.Salt[:]); err != nil {
		return fmt.Errorf("salt: %w", err)
	}
	for _, pin := range pinsOf(rec.Type, p) {
		switch pin.Type {
		case passport.Model:
			rec.Model = pin.ID
		case passport.Batch:
			rec.Batch = pin.ID
		case passport.Item, passport.Condition:
		}
	}
	if !rec.Series.IsZero() {
		return nil
	}
	if rec.Series, err = passport.NewID(now, r.random); err != nil || with.rehearsal {
		return err
	}
	rec.Slot, err = r.slots.take(ctx, r.store)
	return err
}

// pinsOf lists what a record builds on: a batch its model, an item both.
func pinsOf(t passport.RecordType, p *plan) []Record {
	var on []passport.RecordType
	switch t {
	case passport.Batch:
		on = []passport.RecordType{passport.Model}
	case passport.Item:
		on = []passport.RecordType{passport.Model, passport.Batch}
	case passport.Model, passport.Condition:
	}
	var out []Record
	for _, t := range on {
		if rec, ok := p.used[t]; ok {
			out = append(out, rec)
		}
	}
	return out
}

// describe sets the columns a record is found by.
func (rec *Record) describe(d draft, p *plan) {
	switch rec.Type {
	case passport.Model:
		if gtin, err := passport.ParseGTIN(text(d.checked[rec.Type].Record(), "identification", "gtin")); err == nil {
			rec.GTIN = string(gtin)
		}
	case passport.Batch:
		rec.GTIN, rec.Lot = p.used[passport.Model].GTIN, rec.Key
	case passport.Item:
		rec.Lot = p.used[passport.Batch].Lot
		if link, ok := d.battery.DigitalLink(); ok {
			rec.GTIN = string(link.GTIN)
		}
	case passport.Condition:
	}
}

// signRecord puts the credential around a record and has our own verifier look
// at it.
func (r *Registry) signRecord(ctx context.Context, rec *Record, p *plan, d draft, with pen) error {
	env := credential.Envelope{
		BaseURL: r.BaseURL(), Environment: r.instance.Environment,
		RecordID: rec.ID, Series: rec.Series, Type: rec.Type, Version: rec.Version, SubjectID: r.subjectID(*rec, d),
		Issuer: credential.Party{DID: with.DID, Name: with.Name}, ValidFrom: rec.IssuedAt,
		Status: r.position(rec.Slot), Previous: p.previous,
	}
	for _, pin := range pinsOf(rec.Type, p) {
		env.Pins = append(env.Pins, credential.Pin{Type: pin.Type, RecordID: pin.ID, TokenDigest: pin.TokenDigest})
	}
	issued, err := credential.Issue(d.checked[rec.Type], r.catalogue, env, with.kid, with.key, r.random)
	if err != nil {
		return tooLarge(rec.Type, err)
	}
	rec.JWS, rec.TokenDigest = issued.JWS, issued.TokenDigest
	for _, x := range issued.Disclosures {
		rec.Disclosures = append(rec.Disclosures, Disclosure(x))
	}
	if with.rehearsal {
		return nil // nobody trusts the key of a rehearsal
	}
	return r.selfCheck(ctx, *rec)
}

// tooLarge turns the one fault that a checked record can still have, that its
// signed form is larger than anybody reads, into a violation. Any other is ours.
func tooLarge(t passport.RecordType, err error) error {
	fault, ok := errors.AsType[*credential.Fault](err)
	if !ok || fault.Code != "form.size" {
		return fmt.Errorf("sign %s: %w", t, err)
	}
	return blocking(passport.Violation{
		Pointer: passport.Pointer(string(t)), Code: "record.tooLarge", Found: fault.Detail,
		Expected: fmt.Sprintf("a record of at most %d KiB in its signed form, with at most %d restricted attributes and array elements",
			credential.MaxToken>>10, credential.MaxDisclosures),
		Repair: "shorten texts, or divide the batch",
	})
}

// subjectID is the URI a record is about: for an item and its conditions the
// battery, else the series at this registry.
func (r *Registry) subjectID(rec Record, d draft) string {
	switch rec.Type {
	case passport.Model:
		return r.BaseURL() + "/v1/models/" + rec.Series.String()
	case passport.Batch:
		return r.BaseURL() + "/v1/batches/" + rec.Series.String()
	case passport.Item, passport.Condition:
	}
	return d.battery.String()
}

// selfCheck runs our public verifier over a record before it is stored. The
// slot is fresh or its series in force, so that there is no list to ask yet.
func (r *Registry) selfCheck(ctx context.Context, rec Record) error {
	now, err := r.admitted(ctx)
	if err != nil {
		return err
	}
	full := credential.Present(rec.JWS, tokenForm(rec.Disclosures), passport.AllTiers())
	for _, c := range verify.Check(full, verify.Evidence{}, now.trust, rec.IssuedAt).Checks {
		if c.Outcome == verify.Fail {
			return fmt.Errorf("%w: %s: %s", ErrSelfCheck, c.Code, c.Detail)
		}
	}
	return nil
}

// consequences completes the change around the signed records: the entries for
// the public log, the battery, and the end of the passport that is followed.
func (r *Registry) consequences(ctx context.Context, p *plan, d draft, now time.Time) error {
	for _, rec := range p.change.Records {
		if rec.Type != passport.Condition {
			p.change.Leaves = append(p.change.Leaves, Leaf{Kind: tlog.Issue, Series: rec.Series, Data: tlog.IssueLeaf(commitment(rec))})
		}
	}
	if p.change.Claim != nil {
		p.change.Claim.Passport = p.used[passport.Item].Series
	}
	if p.follows == nil {
		return nil
	}
	change := StatusChange{
		Series: p.follows.Series, Slot: p.follows.Slot, From: Active, To: Superseded, Reason: "successorIssued", Actor: d.by.Org, At: now,
	}
	leaf, err := r.statusLeaf(ctx, tlog.Supersede, change)
	p.change.Status, p.change.Leaves = &change, append(p.change.Leaves, leaf)
	return err
}

// commitment is how the public log names the issuance of a record.
func commitment(rec Record) [32]byte {
	return tlog.Commitment(string(rec.Type), rec.Salt, rec.ContentDigest, rec.TokenDigest)
}

// refs are the record ids from which an answer is rendered again: of what was
// used, then none, then of what was written.
func (p *plan) refs() []passport.ID {
	used, written := []passport.ID{}, []passport.ID{{}}
	for _, t := range passport.RecordTypes() {
		switch rec, ok := p.used[t]; {
		case ok && p.reused[t]:
			used = append(used, rec.ID)
		case ok:
			written = append(written, rec.ID)
		}
	}
	return append(used, written...)
}
