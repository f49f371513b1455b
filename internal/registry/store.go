package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/tlog"
)

// Errors a Store returns, wrapped; callers branch with errors.Is or errors.As.
var (
	// ErrNotFound means nothing of that name exists, or the caller may not
	// know that it does.
	ErrNotFound = errors.New("not found")
	// ErrStale means the change was built on something that has moved since:
	// a version number or natural key taken meanwhile. Read again and retry.
	ErrStale = errors.New("built on a stale state")
	// ErrUnavailable means the database did not answer. The outcome of a
	// Commit that returns it is unknown: it may have been persisted.
	ErrUnavailable = errors.New("database unavailable")
	// ErrFull means the disk is full; nothing was persisted.
	ErrFull = errors.New("storage full")
)

// BatteryTaken is returned by Commit when the battery already has a passport
// in force that is not the one the change expected.
type BatteryTaken struct{ Passport passport.ID }

func (e *BatteryTaken) Error() string { return "battery already has passport " + e.Passport.String() }

// OnceMismatch is returned by Commit when the idempotency key was used for
// another body.
type OnceMismatch struct{}

func (e *OnceMismatch) Error() string { return "idempotency key was used with another request body" }

// Store keeps the registry's memory. Two implementations (packages sqlite and
// postgres) pass the same suite (storetest). It speaks of what happened, not of
// rows: everything that must happen together is one Change.
//
// Identifiers and keys compare bytewise. Times keep microseconds and come back
// in UTC. Text comes back byte for byte as it went in. Every error from a
// database that does not answer wraps ErrUnavailable, a full disk ErrFull.
//
// It has more methods than the six of a pure log would need because tenants,
// status and grants are read apart from content: content is immutable and
// cached for ever, they are not.
type Store interface {
	// Commit applies c entirely or not at all, and what it applied is durable
	// when it returns. It is safe to call concurrently; the store may group
	// several changes into one transaction, but one that fails never disturbs
	// another.
	//
	// If c.Once names a key that a change of the same tenant has used before:
	// with an equal Request nothing is applied and the receipt of the first is
	// returned with Repeated set; with another one, OnceMismatch.
	// A Claim whose battery is held by another passport than Base is
	// BatteryTaken. A Record whose (Series, Type, Version) exists, or whose
	// natural key (models and batches) belongs to another series, is ErrStale. A Redeem of a secret that is
	// unknown, used or expired (at ExpiresAt it is), or whose Member is of
	// another organisation, is ErrNotFound. A StatusChange whose passport is not
	// in state From, a Claim with a Base for a battery nobody holds, a second
	// Instance and an enrolment secret that exists are ErrStale. Of several
	// reasons to refuse, any one is named; a repetition goes before them all.
	//
	// An Admit of a known organisation leaves Country and AdmittedAt as they
	// are; the first RetiredAt and RevokedAt stand; the last Release counts.
	Commit(ctx context.Context, c Change) (Committed, error)

	// Earlier returns what was committed under the key of once by the tenant,
	// or ErrNotFound; OnceMismatch if that was another Request. Refs are not
	// looked at.
	Earlier(ctx context.Context, tenant passport.OrgID, once Once) (Committed, error)

	// Record returns one record version without its disclosures, or
	// ErrNotFound.
	Record(ctx context.Context, q Query) (Record, error)

	// Records yields the records that match, in ascending order of (Series,
	// Version), from one snapshot, without holding the whole set.
	Records(ctx context.Context, f Filter) iter.Seq2[Record, error]

	// Disclosures returns the disclosures of the given records that belong to
	// one of the tenants in as. Records of other tenants are simply absent:
	// the caller decides who may act as whom, the store is the second wall.
	Disclosures(ctx context.Context, as []passport.OrgID, ids []passport.ID) (map[passport.ID][]Disclosure, error)

	// Status returns the changes of state of a passport, model or batch series,
	// oldest first; a series without one is Active since its issue.
	Status(ctx context.Context, series passport.ID) ([]StatusChange, error)

	// StatusList returns, for the status list with this number, the current
	// state of every slot that is not Active, by slot % StatusListSize.
	StatusList(ctx context.Context, list int) (map[int]State, error)

	// ReserveSlots takes n consecutive status slots out of circulation for
	// this process and returns the first. Slots are never handed out twice;
	// unused ones stay holes.
	ReserveSlots(ctx context.Context, n int) (first int64, err error)

	// Instance returns what was fixed when the registry was initialised, or
	// ErrNotFound before that.
	Instance(ctx context.Context) (Instance, error)

	// Organisations returns every admitted organisation with all the keys it
	// ever published, in ascending order of ID.
	Organisations(ctx context.Context) ([]Organisation, error)

	// Members returns the members of an organisation, in ascending order of
	// Subject.
	Members(ctx context.Context, org passport.OrgID) ([]Member, error)

	// Grants returns the grants given by or to org, in ascending order of ID,
	// revoked and expired ones included.
	Grants(ctx context.Context, org passport.OrgID) ([]Grant, error)

	// Reads returns the restricted reads of org's data, the last recorded first,
	// at most limit.
	Reads(ctx context.Context, org passport.OrgID, limit int) ([]Read, error)

	// Release returns to whom the passport was released, or ErrNotFound.
	Release(ctx context.Context, id passport.ID) (Release, error)

	// PendingLeaves returns how many leaves wait for the log.
	PendingLeaves(ctx context.Context) (int64, error)

	// Ping answers whether the database can be read and written.
	Ping(ctx context.Context) error

	// Close waits for commits under way and releases the database.
	Close() error
}

// StatusListSize is how many slots one status list holds: slot / StatusListSize
// is its number.
const StatusListSize = 1 << 17

// Change is what happened, all of it in one transaction.
type Change struct {
	Tenant passport.OrgID // who acts; every tenant row written belongs to it unless the part names another
	At     time.Time

	Once     *Once         // makes the change repeatable
	Instance *Instance     // only on init
	Admit    *Organisation // a new organisation, or new Name, PartyIDs, Roles or OIDC binding of a known one
	Keys     []Key         // keys published, or retired when RetiredAt is set
	Member   *Member       // a person bound to an organisation
	Enrol    *Enrolment    // a one-time secret handed out
	Redeem   *Redeem       // a one-time secret used
	Records  []Record      // new record versions, with their disclosures
	Claim    *Claim        // the battery's passport in force
	Status   *StatusChange
	Grant    *Grant   // given, or revoked when RevokedAt is set
	Release  *Release // a battery released to another organisation
	Reads    []Read   // restricted reads
	Leaves   []Leaf   // pending entries of the public log
}

// Committed is the outcome of a Change.
type Committed struct {
	Repeated bool          // the change had been committed before under the same key
	Refs     []passport.ID // the Once.Refs of the change that was committed first
	At       time.Time     // the At of that change
}

// Once makes a change happen at most once (the Idempotency-Key header).
// Scope: tenant, Operation and Key. Kept for at least 30 days.
type Once struct {
	Operation string            // route pattern: "POST /v1/passports"
	Key       string            // as the client sent it
	Request   [sha256.Size]byte // digest of the request body
	Refs      []passport.ID     // what the answer is rendered from
}

// Query names one record version. Exactly one of ID, Series and Key is set.
type Query struct {
	ID      passport.ID         // one record version
	Type    passport.RecordType // with Series: a condition shares the series of its passport
	Series  passport.ID
	Key     *NaturalKey
	Version int // with Series or Key: 0 is the newest
}

// NaturalKey is what an operator calls a model or batch, or whose battery a
// passport is for.
type NaturalKey struct {
	Type passport.RecordType
	Org  passport.OrgID // empty for a battery: its key is global
	Text string         // model: modelId + "\x00" + plant; batch: batchId; passport: the BatteryKey in hex
}

// Filter selects records; zero members do not restrict. Every filter is
// answered from an index.
type Filter struct {
	Type   passport.RecordType
	Org    passport.OrgID
	Series passport.ID // all versions of one series
	GTIN   string      // 14 digits
	Lot    string      // with GTIN: the batch of that name
	After  passport.ID // series to start behind
	Limit  int         // of records, 0 is no limit; with After, page only with Newest
	Newest bool        // only the newest version of each series
}

// Record is one signed record version.
type Record struct {
	ID            passport.ID // of this version
	Series        passport.ID // shared by its versions; for an item, the passportId
	Type          passport.RecordType
	Version       int                 // from 1
	Org           passport.OrgID      // who declared and signed it
	Key           string              // NaturalKey.Text; for a condition, recordedAt
	JWS           []byte              // the signed bytes, without "~" and disclosures; served as they are, for ever
	TokenDigest   [sha256.Size]byte   // SHA-256 of JWS + "~"
	ContentDigest [sha256.Size]byte   // SHA-256 of the RFC 8785 form of the record; never published
	Salt          [tlog.SaltSize]byte // of the log commitment; given out with the passport
	IssuedAt      time.Time
	Slot          int64        // status slot, shared by the versions of a series; -1 for a condition
	GTIN          string       // 14 digits or empty
	Lot, Serial   string       // batch or lot id; serial number
	Model, Batch  passport.ID  // records (not series) that an item or batch pins; zero if none
	Disclosures   []Disclosure // only on the way in
}

// Disclosure is one restricted attribute of a record in its SD-JWT form
// (RFC 9901 section 4.2), kept apart from the signed bytes so that it can be
// erased.
type Disclosure struct {
	Attribute string        // catalogue id
	Tier      passport.Tier // who may see it
	Encoded   string        // base64url, exactly as hashed
}

// Claim makes Passport the one in force for the battery, if the battery's
// present one is Base (zero: none).
type Claim struct {
	Battery  passport.BatteryKey
	Passport passport.ID
	Base     passport.ID
}

// State is the registry status of a series. It is served beside a record and
// never written into it.
type State string

// The states. Superseded and Ceased are final, as is Revoked.
const (
	Active     State = "active"
	Suspended  State = "suspended"
	Superseded State = "superseded"
	Revoked    State = "revoked"
	Ceased     State = "ceased"
)

// StatusChange moves a series from one state to another.
type StatusChange struct {
	Series passport.ID    `json:"-"`
	Slot   int64          `json:"-"`
	From   State          `json:"from"`
	To     State          `json:"to"`
	Reason string         `json:"reason"` // code
	Actor  passport.OrgID `json:"actor"`  // the organisation; persons stay out of public data
	At     time.Time      `json:"at"`
}

// Instance is fixed when the registry is initialised.
type Instance struct {
	BaseURL     string // no trailing slash
	Environment string // "demo" or "production"
	CreatedAt   time.Time
}

// Organisation is one the registry admitted.
type Organisation struct {
	ID         passport.OrgID
	Name       string
	Country    string // ISO 3166-1 alpha-2
	PartyIDs   []passport.PartyID
	Roles      []access.Role // what it was admitted to do
	OIDCIssuer string        // "iss" of its own identity provider, or empty
	AdmittedAt time.Time
	Keys       []Key // on the way out only
}

// Key is a published signing key. It stays published for ever.
type Key struct {
	Org       passport.OrgID
	ID        string    // DID URL: "did:web:HOST:o:ORG#FRAGMENT"
	Algorithm string    // "ES256", or "Ed25519" for the registry's Data Integrity proofs
	PublicKey []byte    // PKIX, ASN.1 DER
	NotBefore time.Time // first use; published earlier
	RetiredAt time.Time // zero while in use; it verifies what it signed before
}

// Member binds a person, as an identity provider names them, to roles.
type Member struct {
	Org     passport.OrgID
	Issuer  string // "iss" of their tokens
	Subject string // "sub"
	Roles   []access.Role
	At      time.Time
}

// Enrolment is a one-time secret for the first administrator of an
// organisation. Only its hash is kept.
type Enrolment struct {
	Org       passport.OrgID
	Secret    [sha256.Size]byte
	Roles     []access.Role
	ExpiresAt time.Time
}

// Redeem uses up the enrolment with this hash; the change's Member must be of
// the same organisation.
type Redeem struct{ Secret [sha256.Size]byte }

// Grant lets another organisation read restricted tiers of the owner's
// records.
type Grant struct {
	ID        passport.ID
	Owner     passport.OrgID // who gives
	Grantee   passport.OrgID // who may read
	Points    passport.Tiers
	Scope     Scope
	ValidFrom time.Time
	Until     time.Time
	RevokedAt time.Time // zero while it stands
}

// Scope limits a grant; the zero Scope covers every record of the owner.
type Scope struct {
	Passport passport.ID // one passport, with the model and batch it pins
	Model    passport.ID // series of one model, with every passport that pins it
}

// Read is one restricted read: who saw what of whose data, and for what.
type Read struct {
	Owner      passport.OrgID // whose data
	Reader     passport.OrgID
	Person     string // subject of the reader's token
	Purpose    string
	Series     passport.ID
	Version    int
	Attributes []string // catalogue ids that were disclosed
	At         time.Time
}

// Release lets another organisation issue the successor of a passport.
type Release struct {
	Passport passport.ID
	Owner    passport.OrgID
	To       passport.OrgID
	At       time.Time
}

// Leaf waits for the public log. Its bytes are final.
type Leaf struct {
	Kind   tlog.Kind
	Series passport.ID // what it is about; zero for organisations and keys
	Data   []byte
}
