package postgres

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"slices"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// refusal is what it means when a statement of a change finds its key taken or
// no row to change.
type refusal int

const (
	fault    refusal = iota // it cannot; a bug
	repeated                // the idempotency key was used
	stale                   // built on a state that has moved
	taken                   // the battery has a passport
	missing                 // no such secret or grant
	collided                // somebody else was faster; the same again will do
)

// step is one statement of a change. All steps of a change are sent before the
// answer to any is known, so each must either do its work or fail, and a
// failure undoes them all.
type step struct {
	sql  string
	args []any
	on   refusal
}

// plan is a change as statements, in the order in which a refusal counts.
type plan struct {
	change registry.Change
	steps  []step
	err    error
}

// guarded makes a statement that returns a row per row it touched fail with
// division by zero if it touched none.
func guarded(statement string) string {
	return `WITH touched AS (` + statement + `) SELECT 1 / count(*) FROM touched`
}

func newPlan(c registry.Change) (*plan, error) {
	p := &plan{change: c}
	p.add(fault, setTenants, words(tenants(c)))
	for _, part := range []func(registry.Change){
		p.once, p.instance, p.enrolment, p.records, p.claim, p.status, p.grant,
		p.organisation, p.release, p.reads, p.leaves,
	} {
		part(c)
	}
	return p, p.err
}

func (p *plan) add(on refusal, sql string, args ...any) {
	p.steps = append(p.steps, step{sql, args, on})
}

// note keeps the first error of encoding a value.
func (p *plan) note(err error) {
	p.err = cmp.Or(p.err, err)
}

// setTenants says for whom the rest of the transaction acts; see
// migrations/postgres/0008_tenancy.sql.
const setTenants = `SELECT set_config('provolt.tenants', $1::text[]::text, true)`

// tenants returns who acts and everybody whom a part of the change names as
// the one its row belongs to.
func tenants(c registry.Change) []passport.OrgID {
	orgs := []passport.OrgID{c.Tenant}
	if c.Admit != nil {
		orgs = append(orgs, c.Admit.ID)
	}
	for i := range c.Keys {
		orgs = append(orgs, c.Keys[i].Org)
	}
	if c.Member != nil {
		orgs = append(orgs, c.Member.Org)
	}
	if c.Enrol != nil {
		orgs = append(orgs, c.Enrol.Org)
	}
	for i := range c.Records {
		orgs = append(orgs, c.Records[i].Org)
	}
	if c.Status != nil {
		orgs = append(orgs, c.Status.Actor)
	}
	if c.Grant != nil {
		orgs = append(orgs, c.Grant.Owner)
	}
	if c.Release != nil {
		orgs = append(orgs, c.Release.Owner)
	}
	for i := range c.Reads {
		orgs = append(orgs, c.Reads[i].Owner)
	}
	slices.Sort(orgs)
	return slices.Compact(orgs)
}

func onceHash(tenant passport.OrgID, once *registry.Once) []byte {
	return keyHash(string(tenant), once.Operation, once.Key)
}

// once comes first: a second change under the same key waits here until the
// first has ended, before it holds anything the first may want.
func (p *plan) once(c registry.Change) {
	if c.Once == nil {
		return
	}
	p.add(repeated, `INSERT INTO idempotency (key_hash, org, request, refs, committed_at) VALUES ($1, $2, $3, $4, $5)`,
		onceHash(c.Tenant, c.Once), string(c.Tenant), c.Once.Request[:], packRefs(c.Once.Refs), micros(c.At))
}

func (p *plan) instance(c registry.Change) {
	if i := c.Instance; i != nil {
		p.add(stale, `INSERT INTO instance (id, base_url, environment, created_at) VALUES (1, $1, $2, $3)`,
			i.BaseURL, i.Environment, micros(i.CreatedAt))
	}
}

func (p *plan) enrolment(c registry.Change) {
	if e := c.Enrol; e != nil {
		roles, err := list(e.Roles)
		p.note(err)
		p.add(stale, `INSERT INTO enrolment (secret, org, roles, expires_at) VALUES ($1, $2, $3, $4)`,
			e.Secret[:], string(e.Org), roles, micros(e.ExpiresAt))
	}
	if r := c.Redeem; r != nil {
		var org passport.OrgID
		if c.Member != nil {
			org = c.Member.Org
		}
		p.add(missing, guarded(`UPDATE enrolment SET redeemed_at = $3
			WHERE secret = $1 AND org = $2 AND redeemed_at IS NULL AND expires_at > $3 RETURNING 1`),
			r.Secret[:], string(org), micros(c.At))
	}
}

func (p *plan) records(c registry.Change) {
	for i := range c.Records {
		p.record(&c.Records[i])
	}
}

// named reports whether records of the type have a name of their own that one
// series owns. A battery's is claimed by Claim, a condition has none.
func named(t passport.RecordType) bool { return t == passport.Model || t == passport.Batch }

const recordColumns = `series_id, type, version, record_id, org, natural_key, token_digest, content_digest, salt,
	issued_at, slot, gtin, lot, serial, model_record_id, batch_record_id, jws`

func (p *plan) record(r *registry.Record) {
	p.add(stale, `INSERT INTO record (`+recordColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		uuid(r.Series), string(r.Type), r.Version, uuid(r.ID), string(r.Org), []byte(r.Key),
		r.TokenDigest[:], r.ContentDigest[:], r.Salt[:], micros(r.IssuedAt), r.Slot,
		r.GTIN, r.Lot, r.Serial, reference(r.Model), reference(r.Batch), bytes(r.JWS))
	if named(r.Type) {
		hash := nameHash(r.Type, r.Org, r.Key)
		p.add(fault, `INSERT INTO natural_key (key_hash, org, series_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			hash, string(r.Org), uuid(r.Series))
		p.add(stale, guarded(`SELECT FROM natural_key WHERE key_hash = $1 AND series_id = $2`), hash, uuid(r.Series))
	}
	if len(r.Disclosures) > 0 {
		packed, err := packDisclosures(r.Disclosures)
		p.note(err)
		p.add(fault, `INSERT INTO disclosure (series_id, record_id, org, packed) VALUES ($1, $2, $3, $4)`,
			uuid(r.Series), uuid(r.ID), string(r.Org), packed)
	}
}

func (p *plan) claim(c registry.Change) {
	switch {
	case c.Claim == nil:
	case c.Claim.Base.IsZero():
		p.add(taken, `INSERT INTO battery_claim (battery_key, series_id, claimed_at) VALUES ($1, $2, $3)`,
			c.Claim.Battery[:], uuid(c.Claim.Passport), micros(c.At))
	default:
		p.add(taken, guarded(`UPDATE battery_claim SET series_id = $2, claimed_at = $3
			WHERE battery_key = $1 AND series_id = $4 RETURNING 1`),
			c.Claim.Battery[:], uuid(c.Claim.Passport), micros(c.At), uuid(c.Claim.Base))
	}
}

func (p *plan) status(c registry.Change) {
	s := c.Status
	if s == nil {
		return
	}
	p.add(stale, `WITH
		last AS (SELECT seq, to_state FROM passport_status WHERE series_id = $1 ORDER BY seq DESC LIMIT 1),
		added AS (INSERT INTO passport_status (series_id, seq, slot, from_state, to_state, reason, actor, changed_at)
			SELECT $1, coalesce((SELECT seq FROM last), 0) + 1, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::timestamptz
			WHERE coalesce((SELECT to_state FROM last), 'active') = $3 RETURNING 1)
		SELECT 1 / count(*) FROM added`,
		uuid(s.Series), s.Slot, string(s.From), string(s.To), s.Reason, string(s.Actor), micros(s.At))
}

// grant gives a grant, or revokes one: the first revocation stands. The row of
// another owner is out of sight and so is no row to change.
func (p *plan) grant(c registry.Change) {
	g := c.Grant
	if g == nil {
		return
	}
	p.add(fault, `INSERT INTO access_grant
		(grant_id, owner, grantee, points, scope_passport, scope_model, valid_from, valid_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		uuid(g.ID), string(g.Owner), string(g.Grantee), int16(g.Points), reference(g.Scope.Passport), reference(g.Scope.Model),
		micros(g.ValidFrom), micros(g.Until))
	p.add(missing, guarded(`UPDATE access_grant SET revoked_at = coalesce(revoked_at, $3)
		WHERE grant_id = $1 AND owner = $2 RETURNING 1`),
		uuid(g.ID), string(g.Owner), optional(g.RevokedAt))
}

func (p *plan) organisation(c registry.Change) {
	if o := c.Admit; o != nil {
		p.admit(o)
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		p.add(fault, `INSERT INTO signing_key (org, key_id, algorithm, public_key, not_before, retired_at)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (org, key_id) DO UPDATE SET retired_at = coalesce(signing_key.retired_at, excluded.retired_at)`,
			string(k.Org), k.ID, k.Algorithm, bytes(k.PublicKey), micros(k.NotBefore), optional(k.RetiredAt))
	}
	if m := c.Member; m != nil {
		roles, err := list(m.Roles)
		p.note(err)
		p.add(fault, `INSERT INTO member (org, issuer, subject, roles, bound_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org, issuer, subject) DO UPDATE SET roles = excluded.roles, bound_at = excluded.bound_at`,
			string(m.Org), m.Issuer, m.Subject, roles, micros(m.At))
	}
}

// admit writes an organisation; where it is known, its country and the time of
// its admission stay.
func (p *plan) admit(o *registry.Organisation) {
	parties, err := list(o.PartyIDs)
	p.note(err)
	roles, err := list(o.Roles)
	p.note(err)
	p.add(fault, `INSERT INTO organisation (org, name, country, party_ids, roles, oidc_issuer, admitted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (org) DO UPDATE SET name = excluded.name, party_ids = excluded.party_ids,
			roles = excluded.roles, oidc_issuer = excluded.oidc_issuer`,
		string(o.ID), o.Name, o.Country, parties, roles, o.OIDCIssuer, micros(o.AdmittedAt))
}

func (p *plan) release(c registry.Change) {
	if r := c.Release; r != nil {
		p.add(fault, `INSERT INTO passport_release (series_id, owner, recipient, released_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (series_id) DO UPDATE
			SET owner = excluded.owner, recipient = excluded.recipient, released_at = excluded.released_at`,
			uuid(r.Passport), string(r.Owner), string(r.To), micros(r.At))
	}
}

// reads links each read to the owner's chain. Readers of one owner's data queue
// at the row of that organisation; where there is none, they race for the next
// seq and the slower one goes again. Owners come in one order, so that two
// changes never wait for each other.
func (p *plan) reads(c registry.Change) {
	byOwner := slices.Clone(c.Reads)
	slices.SortStableFunc(byOwner, func(a, b registry.Read) int { return cmp.Compare(a.Owner, b.Owner) })
	for i, r := range byOwner {
		if i == 0 || byOwner[i-1].Owner != r.Owner {
			p.add(fault, `SELECT FROM organisation WHERE org = $1 FOR NO KEY UPDATE`, string(r.Owner))
		}
		p.read(r)
	}
}

func (p *plan) read(r registry.Read) {
	r.At = micros(r.At)
	if len(r.Attributes) == 0 {
		r.Attributes = nil
	}
	text, err := json.Marshal(r)
	p.note(err)
	attributes, err := list(r.Attributes)
	p.note(err)
	p.add(collided, `WITH last AS (SELECT seq, chain FROM purpose_log WHERE owner = $1 ORDER BY seq DESC LIMIT 1)
		INSERT INTO purpose_log (owner, seq, reader, person, purpose, series_id, version, attributes, read_at, chain)
		SELECT $1, coalesce((SELECT seq FROM last), 0) + 1, $2::text, $3::text, $4::text, $5::uuid, $6::bigint, $7::text,
			$8::timestamptz, sha256(coalesce((SELECT chain FROM last), $9::bytea) || $10::bytea)`,
		string(r.Owner), string(r.Reader), r.Person, r.Purpose, uuid(r.Series), r.Version, attributes, r.At,
		make([]byte, 32), text)
}

func (p *plan) leaves(c registry.Change) {
	for _, l := range c.Leaves {
		id, err := passport.NewID(c.At, rand.Reader)
		p.note(err)
		p.add(fault, `INSERT INTO log_pending (series_id, leaf_id, kind, data, pending_since) VALUES ($1, $2, $3, $4, $5)`,
			uuid(l.Series), uuid(id), string(l.Kind), bytes(l.Data), micros(c.At))
	}
}
