package sqlite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// Commit implements registry.Store.
func (s *Store) Commit(ctx context.Context, c registry.Change) (registry.Committed, error) {
	var done registry.Committed
	err := s.write(ctx, func(w *writer) (err error) {
		done, err = w.apply(c)
		return err
	})
	if err != nil {
		return registry.Committed{}, fmt.Errorf("commit: %w", err)
	}
	return done, nil
}

// apply checks the whole change before it writes any of it. The transaction
// holds the write lock, so what was checked still holds when it is written,
// and a refused change leaves nothing that would have to be undone.
func (w *writer) apply(c registry.Change) (registry.Committed, error) {
	first, repeated, err := w.once(c)
	if repeated || err != nil {
		return first, err
	}
	for _, check := range []func(registry.Change) error{
		w.checkInstance, w.checkEnrolment, w.checkRecords, w.checkClaim, w.checkStatus, w.checkGrant,
	} {
		if err := check(c); err != nil {
			return registry.Committed{}, err
		}
	}
	for _, write := range []func(registry.Change) error{
		w.writeOnce, w.writeOrganisation, w.writeEnrolment, w.writeRecords, w.writeStatus,
		w.writeGrant, w.writeRelease, w.writeReads, w.writeLeaves,
	} {
		if err := write(c); err != nil {
			return registry.Committed{}, err
		}
	}
	done := registry.Committed{At: fromMicros(micros(c.At))}
	if c.Once != nil {
		done.Refs = c.Once.Refs
	}
	return done, nil
}

// ---- what refuses a change ----

const selectOnce = `SELECT request, refs, committed_at FROM idempotency WHERE key_hash = ?`

func onceHash(tenant passport.OrgID, once registry.Once) []byte {
	return keyHash(string(tenant), once.Operation, once.Key)
}

// once finds the change that used the idempotency key before.
func (w *writer) once(c registry.Change) (first registry.Committed, repeated bool, err error) {
	if c.Once == nil {
		return registry.Committed{}, false, nil
	}
	var used usedKey
	found, err := w.lookup(selectOnce, []any{onceHash(c.Tenant, *c.Once)}, used.columns()...)
	if err != nil {
		return registry.Committed{}, false, fmt.Errorf("look for idempotency key: %w", err)
	}
	if !found {
		return registry.Committed{}, false, nil
	}
	if first, err = used.receipt(*c.Once); err != nil {
		return registry.Committed{}, false, refusal{err}
	}
	return first, true, nil
}

// usedKey is a row of idempotency.
type usedKey struct {
	request [sha256.Size]byte
	refs    []byte
	at      int64
}

func (u *usedKey) columns() []any { return []any{fixed(u.request[:]), &u.refs, &u.at} }

func (u *usedKey) receipt(once registry.Once) (registry.Committed, error) {
	if u.request != once.Request {
		return registry.Committed{}, &registry.OnceMismatch{}
	}
	return registry.Committed{Repeated: true, Refs: unpackRefs(u.refs), At: fromMicros(u.at)}, nil
}

// Earlier implements registry.Store.
func (s *Store) Earlier(ctx context.Context, tenant passport.OrgID, once registry.Once) (registry.Committed, error) {
	var used usedKey
	err := s.reader.one(ctx, func(from row) error { return from.Scan(used.columns()...) }, selectOnce, onceHash(tenant, once))
	if err != nil {
		return registry.Committed{}, fmt.Errorf("read idempotency key: %w", err)
	}
	return used.receipt(once)
}

func stale(format string, args ...any) error {
	return refusal{fmt.Errorf("%w: "+format, append([]any{registry.ErrStale}, args...)...)}
}

func (w *writer) checkInstance(c registry.Change) error {
	if c.Instance == nil {
		return nil
	}
	found, err := w.lookup(`SELECT id FROM instance WHERE id = 1`, nil, new(int64))
	if err != nil {
		return fmt.Errorf("look for instance: %w", err)
	}
	if found {
		return stale("registry is initialised")
	}
	return nil
}

func (w *writer) checkEnrolment(c registry.Change) error {
	if c.Enrol != nil {
		found, err := w.lookup(`SELECT 1 FROM enrolment WHERE secret = ?`, []any{c.Enrol.Secret[:]}, new(int64))
		if err != nil {
			return fmt.Errorf("look for enrolment: %w", err)
		}
		if found {
			return stale("enrolment secret is taken")
		}
	}
	if c.Redeem == nil {
		return nil
	}
	var org passport.OrgID
	if c.Member != nil {
		org = c.Member.Org
	}
	found, err := w.lookup(`SELECT 1 FROM enrolment WHERE secret = ? AND org = ? AND redeemed_at IS NULL AND expires_at > ?`,
		[]any{c.Redeem.Secret[:], org, micros(c.At)}, new(int64))
	if err != nil {
		return fmt.Errorf("look for enrolment: %w", err)
	}
	if !found {
		return refusal{fmt.Errorf("redeem enrolment: %w", registry.ErrNotFound)}
	}
	return nil
}

// named reports whether records of the type have a name of their own that one
// series owns. A battery's is claimed by Claim, a condition has none.
func named(t passport.RecordType) bool { return t == passport.Model || t == passport.Batch }

func nameHash(t passport.RecordType, org passport.OrgID, text string) []byte {
	return keyHash(string(t), string(org), text)
}

type place struct {
	series  passport.ID
	kind    passport.RecordType
	version int
}

func (w *writer) checkRecords(c registry.Change) error {
	places := make(map[place]bool, len(c.Records))
	names := make(map[string]passport.ID, len(c.Records))
	for i := range c.Records {
		r := &c.Records[i]
		at := place{r.Series, r.Type, r.Version}
		found, err := w.lookup(`SELECT 1 FROM record WHERE series_id = ? AND type = ? AND version = ?`,
			[]any{r.Series[:], r.Type, r.Version}, new(int64))
		if err != nil {
			return fmt.Errorf("look for record: %w", err)
		}
		if found || places[at] {
			return stale("%s %s has a version %d", r.Type, r.Series, r.Version)
		}
		places[at] = true
		if err := w.checkName(r, names); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses a name that another series holds, in the database or among
// the names of this change so far.
func (w *writer) checkName(r *registry.Record, names map[string]passport.ID) error {
	if !named(r.Type) {
		return nil
	}
	hash := nameHash(r.Type, r.Org, r.Key)
	holder, held := names[string(hash)]
	if !held {
		var err error
		if held, err = w.lookup(`SELECT series_id FROM natural_key WHERE key_hash = ?`, []any{hash}, fixed(holder[:])); err != nil {
			return fmt.Errorf("look for natural key: %w", err)
		}
	}
	if held && holder != r.Series {
		return stale("%s %q of %s is series %s", r.Type, r.Key, r.Org, holder)
	}
	names[string(hash)] = r.Series
	return nil
}

func (w *writer) checkClaim(c registry.Change) error {
	if c.Claim == nil {
		return nil
	}
	var holder passport.ID
	_, err := w.lookup(`SELECT series_id FROM battery_claim WHERE battery_key = ?`, []any{c.Claim.Battery[:]}, fixed(holder[:]))
	switch {
	case err != nil:
		return fmt.Errorf("look for battery: %w", err)
	case holder == c.Claim.Base:
		return nil
	case holder.IsZero():
		return stale("battery has no passport, expected %s", c.Claim.Base)
	}
	return refusal{&registry.BatteryTaken{Passport: holder}}
}

// standing returns the newest entry of a series' history.
func (w *writer) standing(series passport.ID) (state registry.State, seq int64, err error) {
	state = registry.Active
	_, err = w.lookup(`SELECT to_state, seq FROM passport_status WHERE series_id = ? ORDER BY seq DESC LIMIT 1`,
		[]any{series[:]}, &state, &seq)
	return state, seq, err
}

func (w *writer) checkStatus(c registry.Change) error {
	if c.Status == nil {
		return nil
	}
	state, _, err := w.standing(c.Status.Series)
	if err != nil {
		return fmt.Errorf("look for status: %w", err)
	}
	if state != c.Status.From {
		return stale("%s is %s, not %s", c.Status.Series, state, c.Status.From)
	}
	return nil
}

func (w *writer) checkGrant(c registry.Change) error {
	if c.Grant == nil {
		return nil
	}
	var owner passport.OrgID
	found, err := w.lookup(`SELECT owner FROM access_grant WHERE grant_id = ?`, []any{c.Grant.ID[:]}, &owner)
	if err != nil {
		return fmt.Errorf("look for grant: %w", err)
	}
	if found && owner != c.Grant.Owner {
		return refusal{fmt.Errorf("grant %s: %w", c.Grant.ID, registry.ErrNotFound)}
	}
	return nil
}

// ---- what a change writes ----

func (w *writer) writeOnce(c registry.Change) error {
	if c.Once == nil {
		return nil
	}
	return w.exec(`INSERT INTO idempotency (key_hash, org, request, refs, committed_at) VALUES (?, ?, ?, ?, ?)`,
		onceHash(c.Tenant, *c.Once), c.Tenant, c.Once.Request[:], packRefs(c.Once.Refs), micros(c.At))
}

func (w *writer) writeOrganisation(c registry.Change) error {
	if i := c.Instance; i != nil {
		if err := w.exec(`INSERT INTO instance (id, base_url, environment, created_at) VALUES (1, ?, ?, ?)`,
			i.BaseURL, i.Environment, micros(i.CreatedAt)); err != nil {
			return err
		}
	}
	if o := c.Admit; o != nil {
		if err := w.admit(o); err != nil {
			return err
		}
	}
	for _, k := range c.Keys {
		if err := w.exec(`INSERT INTO signing_key (org, key_id, algorithm, public_key, not_before, retired_at)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (org, key_id) DO UPDATE SET retired_at = coalesce(signing_key.retired_at, excluded.retired_at)`,
			k.Org, k.ID, k.Algorithm, k.PublicKey, micros(k.NotBefore), optional(k.RetiredAt)); err != nil {
			return err
		}
	}
	return nil
}

// admit writes an organisation; where it is known, its country and the time of
// its admission stay.
func (w *writer) admit(o *registry.Organisation) error {
	parties, err := list(o.PartyIDs)
	if err != nil {
		return err
	}
	roles, err := list(o.Roles)
	if err != nil {
		return err
	}
	return w.exec(`INSERT INTO organisation (org, name, country, party_ids, roles, oidc_issuer, admitted_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (org) DO UPDATE SET name = excluded.name, party_ids = excluded.party_ids,
			roles = excluded.roles, oidc_issuer = excluded.oidc_issuer`,
		o.ID, o.Name, o.Country, parties, roles, o.OIDCIssuer, micros(o.AdmittedAt))
}

func (w *writer) writeEnrolment(c registry.Change) error {
	if e := c.Enrol; e != nil {
		roles, err := list(e.Roles)
		if err != nil {
			return err
		}
		if err := w.exec(`INSERT INTO enrolment (secret, org, roles, expires_at) VALUES (?, ?, ?, ?)`,
			e.Secret[:], e.Org, roles, micros(e.ExpiresAt)); err != nil {
			return err
		}
	}
	if r := c.Redeem; r != nil {
		if err := w.exec(`UPDATE enrolment SET redeemed_at = ? WHERE secret = ?`, micros(c.At), r.Secret[:]); err != nil {
			return err
		}
	}
	if m := c.Member; m != nil {
		roles, err := list(m.Roles)
		if err != nil {
			return err
		}
		return w.exec(`INSERT INTO member (org, issuer, subject, roles, bound_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (org, issuer, subject) DO UPDATE SET roles = excluded.roles, bound_at = excluded.bound_at`,
			m.Org, m.Issuer, m.Subject, roles, micros(m.At))
	}
	return nil
}

func (w *writer) writeRecords(c registry.Change) error {
	for i := range c.Records {
		if err := w.writeRecord(&c.Records[i]); err != nil {
			return err
		}
	}
	if c.Claim == nil {
		return nil
	}
	return w.exec(`INSERT INTO battery_claim (battery_key, series_id, claimed_at) VALUES (?, ?, ?)
		ON CONFLICT (battery_key) DO UPDATE SET series_id = excluded.series_id, claimed_at = excluded.claimed_at`,
		c.Claim.Battery[:], c.Claim.Passport[:], micros(c.At))
}

func (w *writer) writeRecord(r *registry.Record) error {
	err := w.exec(`INSERT INTO record (`+recordColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Series[:], r.Type, r.Version, r.ID[:], r.Org, []byte(r.Key), r.TokenDigest[:], r.ContentDigest[:], r.Salt[:],
		micros(r.IssuedAt), r.Slot, r.GTIN, r.Lot, r.Serial, reference(r.Model), reference(r.Batch), bytes(r.JWS))
	if err != nil {
		return err
	}
	if named(r.Type) {
		if err := w.exec(`INSERT INTO natural_key (key_hash, org, series_id) VALUES (?, ?, ?) ON CONFLICT (key_hash) DO NOTHING`,
			nameHash(r.Type, r.Org, r.Key), r.Org, r.Series[:]); err != nil {
			return err
		}
	}
	if len(r.Disclosures) == 0 {
		return nil
	}
	packed, err := packDisclosures(r.Disclosures)
	if err != nil {
		return err
	}
	return w.exec(`INSERT INTO disclosure (series_id, record_id, org, packed) VALUES (?, ?, ?, ?)`,
		r.Series[:], r.ID[:], r.Org, packed)
}

// bytes keeps nil from becoming NULL.
func bytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (w *writer) writeStatus(c registry.Change) error {
	s := c.Status
	if s == nil {
		return nil
	}
	_, seq, err := w.standing(s.Series)
	if err != nil {
		return err
	}
	return w.exec(`INSERT INTO passport_status (series_id, seq, slot, from_state, to_state, reason, actor, changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		s.Series[:], seq+1, s.Slot, s.From, s.To, s.Reason, s.Actor, micros(s.At))
}

// writeGrant gives a grant, or revokes one: the first revocation stands.
func (w *writer) writeGrant(c registry.Change) error {
	g := c.Grant
	if g == nil {
		return nil
	}
	return w.exec(`INSERT INTO access_grant
		(grant_id, owner, grantee, points, scope_passport, scope_model, valid_from, valid_until, revoked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (grant_id) DO UPDATE SET revoked_at = coalesce(access_grant.revoked_at, excluded.revoked_at)`,
		g.ID[:], g.Owner, g.Grantee, g.Points, reference(g.Scope.Passport), reference(g.Scope.Model),
		micros(g.ValidFrom), micros(g.Until), optional(g.RevokedAt))
}

func (w *writer) writeRelease(c registry.Change) error {
	r := c.Release
	if r == nil {
		return nil
	}
	return w.exec(`INSERT INTO passport_release (series_id, owner, recipient, released_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (series_id) DO UPDATE SET owner = excluded.owner, recipient = excluded.recipient, released_at = excluded.released_at`,
		r.Passport[:], r.Owner, r.To, micros(r.At))
}

func (w *writer) writeReads(c registry.Change) error {
	for _, r := range c.Reads {
		var seq int64
		var last [sha256.Size]byte
		if _, err := w.lookup(`SELECT seq, chain FROM purpose_log WHERE owner = ? ORDER BY seq DESC LIMIT 1`,
			[]any{r.Owner}, &seq, fixed(last[:])); err != nil {
			return err
		}
		next, err := link(last, r)
		if err != nil {
			return err
		}
		attributes, err := list(r.Attributes)
		if err != nil {
			return err
		}
		if err := w.exec(`INSERT INTO purpose_log
			(owner, seq, reader, person, purpose, series_id, version, attributes, read_at, chain)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.Owner, seq+1, r.Reader, r.Person, r.Purpose, r.Series[:], r.Version, attributes, micros(r.At), next[:]); err != nil {
			return err
		}
	}
	return nil
}

// link is the chain of a read: SHA-256 of the chain before it and the read as
// encoding/json writes what the store would give back.
func link(before [sha256.Size]byte, r registry.Read) ([sha256.Size]byte, error) {
	r.At = fromMicros(micros(r.At))
	if len(r.Attributes) == 0 {
		r.Attributes = nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return before, err
	}
	return sha256.Sum256(append(before[:], text...)), nil
}

func (w *writer) writeLeaves(c registry.Change) error {
	for _, l := range c.Leaves {
		id, err := passport.NewID(c.At, rand.Reader)
		if err != nil {
			return err
		}
		if err := w.exec(`INSERT INTO log_pending (series_id, leaf_id, kind, data, pending_since) VALUES (?, ?, ?, ?, ?)`,
			l.Series[:], id[:], l.Kind, bytes(l.Data), micros(c.At)); err != nil {
			return err
		}
	}
	return nil
}

// ReserveSlots implements registry.Store.
func (s *Store) ReserveSlots(ctx context.Context, n int) (int64, error) {
	if n < 1 {
		return 0, fmt.Errorf("reserve %d slots: at least one", n)
	}
	var next int64
	err := s.write(ctx, func(w *writer) error {
		_, err := w.lookup(`INSERT INTO slot_counter (name, next_slot) VALUES ('status', ?1)
			ON CONFLICT (name) DO UPDATE SET next_slot = slot_counter.next_slot + ?1 RETURNING next_slot`, []any{n}, &next)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reserve %d slots: %w", n, err)
	}
	return next - int64(n), nil
}
