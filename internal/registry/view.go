package registry

import (
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
)

// Reader is who reads, and for what. The zero Reader is the anonymous public.
type Reader struct {
	By      access.Subject
	Purpose string // the Purpose header: needed for every restricted read, and recorded
}

// Party is a signer as the registry admitted it.
type Party struct {
	Org  passport.OrgID `json:"organisation"`
	DID  string         `json:"id"`
	Name string         `json:"name"`
}

// View is a passport as one reader sees it: the item with the model and batch
// it pins, processed for the reader's tiers, and what the registry serves
// beside them.
type View struct {
	PassportID  passport.ID
	Version     int    // of the item
	Latest      int    // newest version of the item
	BatteryID   string // as declared
	DigitalLink string // at this registry's base URL; empty if the battery id is no Digital Link
	Environment string // "demo" or "production"
	Standing    Standing
	Item        Part
	Model       *Part
	Batch       *Part
	Condition   *Part          // the newest, for readers of point 4
	Tiers       passport.Tiers // what was opened for this reader in the item
}

// Standing is the registry status of a passport and where it leads.
type Standing struct {
	State     State          `json:"state"`
	Since     time.Time      `json:"since"`
	Reason    string         `json:"reason,omitempty"`
	Successor passport.ID    `json:"successor,omitzero"` // the passport in force for the battery, when it is another one
	History   []StatusChange `json:"history,omitempty"`
}

// Part is one record version within a View.
type Part struct {
	RecordID      passport.ID
	Series        passport.ID
	Version       int
	Issuer        Party
	IssuedAt      time.Time
	Record        map[string]any        // processed: public members and those the reader may see; shared, not to be changed
	Withheld      []catalogue.Attribute // restricted attributes the record may hold and this reader does not see
	WithheldCount int                   // how many disclosures the signed bytes hold back
	TokenDigest   [32]byte
}

// Place is what stands behind a Digital Link.
type Place struct {
	Link     passport.DigitalLink
	Known    bool        // a model of this GTIN (or the asset) is registered
	Model    passport.ID // series of the model that was registered first with this GTIN: nobody takes over another's
	Batch    passport.ID // series of the batch registered first with that lot; zero unless the link names one
	Passport passport.ID // in force for the battery; zero if not registered
}

// Versioned is one line of a passport's list of versions.
type Versioned struct {
	Version  int         `json:"version"`
	RecordID passport.ID `json:"recordId"`
	IssuedAt time.Time   `json:"issuedAt"`
	Digest   string      `json:"digestSRI"` // "sha256-…" of the bare token
}

// Write is one request to register or amend something.
type Write struct {
	By     access.Subject
	Body   []byte // as sent; passes the strict JSON gate first
	DryRun bool   // pass every gate, issue nothing, store nothing
	Key    string // Idempotency-Key, or empty
}

// Receipt answers a write.
type Receipt struct {
	Repeated    bool // the answer to an earlier request with the same Idempotency-Key
	DryRun      bool
	Unchanged   bool        // equal records were there already; none was written
	Records     []Issued    // in the order model, batch, passport; the last is what the call is about
	Passport    passport.ID // zero for models and batches, and for a first passport in a dry run
	BatteryID   string
	DigitalLink string
	Warnings    []passport.Violation
}

// Issued is one record version of a receipt.
type Issued struct {
	Type     passport.RecordType
	RecordID passport.ID
	Series   passport.ID
	Version  int
	Reused   bool   // an equal version existed and is used
	Token    []byte // with all disclosures, as its owner sees it; only of what was issued and what the call is about
	Digest   [32]byte
	IssuedAt time.Time
}
