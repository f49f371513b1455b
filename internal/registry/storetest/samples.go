package storetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/tlog"
)

// Samples makes changes that a registry could have made, all different and
// the same on every run. What a test is not about is filled in: digests are
// right for the bytes they stand beside, though the bytes are no credentials.
// It is safe for concurrent use.
type Samples struct {
	mu sync.Mutex
	n  uint64
}

// NewSamples returns a source of samples. Two sources with different numbers
// share no id, battery, secret or name.
func NewSamples(number uint32) *Samples { return &Samples{n: uint64(number) << 32} }

// epoch is when the first sample happened: odd in every digit that a store
// keeps.
var epoch = time.Date(2027, time.February, 18, 7, 31, 59, 123457000, time.UTC)

// next returns a number nobody else got.
func (s *Samples) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.n
}

// unique returns bytes nobody else got.
func (s *Samples) unique() [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, s.next()))
}

// Time returns an instant later than all before it, in whole microseconds.
func (s *Samples) Time() time.Time {
	return epoch.Add(time.Duration(s.next()&0xffffffff) * 1001 * time.Microsecond)
}

// ID returns an id greater than all before it.
func (s *Samples) ID() passport.ID {
	n := s.next()
	bits := binary.BigEndian.AppendUint64(nil, n)
	id, err := passport.NewID(epoch.Add(time.Duration(n&0xffffffff)*time.Millisecond), strings.NewReader(string(bits)+"\x5a\xa5"))
	if err != nil {
		panic(err) // the reader is long enough
	}
	return id
}

// Battery returns the key of a battery that nobody has seen.
func (s *Samples) Battery() passport.BatteryKey { return s.unique() }

// Organisation admits an organisation with one key.
func (s *Samples) Organisation(org passport.OrgID) registry.Change {
	at := s.Time()
	return registry.Change{
		Tenant: passport.Operator, At: at,
		Admit: &registry.Organisation{
			ID: org, Name: "Fahrradwerk Zürich – " + string(org), Country: "CH",
			PartyIDs: []passport.PartyID{{Scheme: "lei", Value: "5299000J2N45DDNE4Y28"}},
			Roles:    []access.Role{access.Issuer}, AdmittedAt: at,
		},
		Keys:   []registry.Key{s.Key(org)},
		Leaves: []registry.Leaf{{Kind: tlog.Organisation, Data: []byte(`{"org":"` + string(org) + `","t":"organisation","v":1}`)}},
	}
}

// Key returns a new key of the organisation.
func (s *Samples) Key(org passport.OrgID) registry.Key {
	name := s.unique()
	return registry.Key{
		Org: org, ID: fmt.Sprintf("did:web:localhost%%3A8080:o:%s#%x", org, name[:8]),
		Algorithm: "ES256", PublicKey: name[:], NotBefore: s.Time(),
	}
}

// Model is version 1 of a new model, with two disclosures.
func (s *Samples) Model(org passport.OrgID) registry.Record {
	r := s.record(passport.Model, org)
	r.Key = fmt.Sprintf("LFP-%d\x00plant 1", s.next())
	r.GTIN = "09506000134352"
	r.Disclosures = s.disclosures("model.cathode.chemistry", passport.Point2, "model.dismantling.sequence", passport.Point4)
	return r
}

// Batch is version 1 of a new batch of the model.
func (s *Samples) Batch(model registry.Record) registry.Record {
	r := s.record(passport.Batch, model.Org)
	r.Key = fmt.Sprintf("B-%d", s.next())
	r.GTIN, r.Lot, r.Model = model.GTIN, r.Key, model.ID
	r.Disclosures = s.disclosures("batch.origins", passport.Origin, "batch.origins", passport.Origin, "batch.entities", passport.Origin)
	return r
}

// Item is version 1 of a new passport that pins the model and the batch.
func (s *Samples) Item(model, batch registry.Record, battery passport.BatteryKey) registry.Record {
	r := s.record(passport.Item, model.Org)
	r.Key = hex.EncodeToString(battery[:])
	r.GTIN, r.Lot, r.Serial = model.GTIN, batch.Lot, fmt.Sprintf("SN%d", s.next())
	r.Model, r.Batch = model.ID, batch.ID
	r.Disclosures = s.disclosures("passport.expectedLifetimeYears", passport.Point4, "passport.useHistory", passport.Point2, "passport.tests", passport.Point3)
	return r
}

// Condition is the version-th condition of the passport.
func (s *Samples) Condition(item registry.Record, version int) registry.Record {
	r := s.record(passport.Condition, item.Org)
	r.Series, r.Version, r.Slot = item.Series, version, -1
	r.Key = r.IssuedAt.Format(time.RFC3339Nano)
	return r
}

// Next is the version that follows r.
func (s *Samples) Next(r registry.Record) registry.Record {
	next := s.record(r.Type, r.Org)
	next.Series, next.Version, next.Slot = r.Series, r.Version+1, r.Slot
	next.Key, next.GTIN, next.Lot, next.Serial, next.Model, next.Batch = r.Key, r.GTIN, r.Lot, r.Serial, r.Model, r.Batch
	return next
}

func (s *Samples) record(kind passport.RecordType, org passport.OrgID) registry.Record {
	series, id, filling := s.ID(), s.ID(), s.unique()
	jws := []byte(fmt.Sprintf("eyJhbGciOiJFUzI1NiJ9.%x.%x", id[:], filling[:]))
	return registry.Record{
		ID: id, Series: series, Type: kind, Version: 1, Org: org,
		JWS: jws, TokenDigest: sha256.Sum256(append(slices.Clip(jws), '~')), ContentDigest: sha256.Sum256(filling[:]),
		Salt: [tlog.SaltSize]byte(filling[:tlog.SaltSize]), IssuedAt: s.Time(), Slot: int64(s.next() & 0xffffffff),
	}
}

// disclosures takes pairs of catalogue id and tier.
func (s *Samples) disclosures(first string, tier passport.Tier, more ...any) []registry.Disclosure {
	ds := []registry.Disclosure{s.disclosure(first, tier)}
	for i := 0; i+1 < len(more); i += 2 {
		attribute, _ := more[i].(string)
		tier, _ := more[i+1].(passport.Tier)
		ds = append(ds, s.disclosure(attribute, tier))
	}
	return ds
}

func (s *Samples) disclosure(attribute string, tier passport.Tier) registry.Disclosure {
	salt := s.unique()
	return registry.Disclosure{Attribute: attribute, Tier: tier, Encoded: fmt.Sprintf("WyI%x_-", salt[:])}
}

// Issue is the change that issues the records, as their organisation, with one
// leaf each.
func (s *Samples) Issue(records ...registry.Record) registry.Change {
	c := registry.Change{At: s.Time(), Records: records}
	for _, r := range records {
		c.Tenant = r.Org
		c.Leaves = append(c.Leaves, registry.Leaf{
			Kind: tlog.Issue, Series: r.Series,
			Data: tlog.IssueLeaf(tlog.Commitment(string(r.Type), r.Salt, r.ContentDigest, r.TokenDigest)),
		})
	}
	return c
}

// Register is the change of "POST /v1/passports" for a whole new document:
// model, batch and item, the claim of a new battery, leaves and an idempotency
// key. Its records stand in that order.
func (s *Samples) Register(org passport.OrgID) registry.Change {
	model := s.Model(org)
	batch := s.Batch(model)
	battery := s.Battery()
	item := s.Item(model, batch, battery)
	c := s.Issue(model, batch, item)
	c.Claim = &registry.Claim{Battery: battery, Passport: item.Series}
	c.Once = s.Once(model.ID, batch.ID, item.ID)
	return c
}

// RegisterItem is the change of one more item of a model and batch.
func (s *Samples) RegisterItem(model, batch registry.Record) registry.Change {
	battery := s.Battery()
	item := s.Item(model, batch, battery)
	c := s.Issue(item)
	c.Claim = &registry.Claim{Battery: battery, Passport: item.Series}
	c.Once = s.Once(item.ID)
	return c
}

// Once is a fresh idempotency key.
func (s *Samples) Once(refs ...passport.ID) *registry.Once {
	return &registry.Once{
		Operation: "POST /v1/passports", Key: fmt.Sprintf("key-%d", s.next()), Request: s.unique(), Refs: refs,
	}
}

// Move is the change of a record's status by the operator.
func (s *Samples) Move(r registry.Record, from, to registry.State) registry.Change {
	at := s.Time()
	return registry.Change{
		Tenant: passport.Operator, At: at,
		Status: &registry.StatusChange{
			Series: r.Series, Slot: r.Slot, From: from, To: to, Reason: "recall", Actor: passport.Operator, At: at,
		},
		Leaves: []registry.Leaf{{Kind: tlog.Suspend, Series: r.Series, Data: []byte(`{"t":"suspend","v":1}`)}},
	}
}

// Enrol is the change that hands out a one-time secret, good for an hour.
func (s *Samples) Enrol(org passport.OrgID) registry.Change {
	at := s.Time()
	return registry.Change{Tenant: passport.Operator, At: at, Enrol: &registry.Enrolment{
		Org: org, Secret: s.unique(), Roles: []access.Role{access.Issuer, access.OperatorAdmin}, ExpiresAt: at.Add(time.Hour),
	}}
}

// Redeem is the change that uses it, for a member of the name.
func (s *Samples) Redeem(enrolled registry.Change, subject string) registry.Change {
	e, at := enrolled.Enrol, s.Time()
	return registry.Change{
		Tenant: e.Org, At: at,
		Redeem: &registry.Redeem{Secret: e.Secret},
		Member: &registry.Member{Org: e.Org, Issuer: "https://login.example", Subject: subject, Roles: e.Roles, At: at},
	}
}

// Grant is the change that lets grantee read the owner's points 2 and origin.
func (s *Samples) Grant(owner, grantee passport.OrgID) registry.Change {
	at := s.Time()
	return registry.Change{Tenant: owner, At: at, Grant: &registry.Grant{
		ID: s.ID(), Owner: owner, Grantee: grantee, Points: passport.TiersOf(passport.Point2, passport.Origin),
		ValidFrom: at, Until: at.Add(24 * time.Hour),
	}}
}

// Read is one restricted read of the record.
func (s *Samples) Read(r registry.Record, reader passport.OrgID) registry.Read {
	return registry.Read{
		Owner: r.Org, Reader: reader, Person: "officer-7", Purpose: "market surveillance, case 12/2027",
		Series: r.Series, Version: r.Version, Attributes: []string{"batch.origins", "passport.tests"}, At: s.Time(),
	}
}
