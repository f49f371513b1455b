package passport

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ErrMalformed is wrapped by every parse error of this package.
var ErrMalformed = errors.New("malformed identifier")

// ID is a UUIDv7 (RFC 9562 section 5.7): of one record version, or of the
// series its versions share. The zero ID means "none".
type ID uuid.UUID

// ParseID reads the canonical form of a UUIDv7, with or without the urn:uuid:
// prefix. Any other spelling (upper case, braces, another UUID version) is
// refused, so that one id has one text.
func ParseID(s string) (ID, error) {
	text := strings.TrimPrefix(s, "urn:uuid:")
	u, err := uuid.Parse(text)
	if err != nil || u.String() != text || u.Version() != 7 || u.Variant() != uuid.RFC4122 {
		return ID{}, fmt.Errorf("%w: %.64q is no UUIDv7 in canonical form", ErrMalformed, s)
	}
	return ID(u), nil
}

// NewID makes a UUIDv7 for the instant at with 74 bits from random.
func NewID(at time.Time, random io.Reader) (ID, error) {
	var u uuid.UUID
	if _, err := io.ReadFull(random, u[6:]); err != nil {
		return ID{}, fmt.Errorf("make id: %w", err)
	}
	ms := at.UnixMilli()
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // eight bits at a time
	}
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return ID(u), nil
}

// String returns the canonical lower-case form.
func (id ID) String() string { return uuid.UUID(id).String() }

// URN returns the urn:uuid: form, the passport identifier of DIN DKE SPEC
// 99100 clause 6.1.2.1.
func (id ID) URN() string { return "urn:uuid:" + id.String() }

// IsZero reports whether id is "none".
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// OrgID is the short name of an organisation. It is the last segment of its
// DID (did:web:HOST:o:ORG) and stands in URLs.
type OrgID string

// Operator is the organisation that runs the registry; its DID is the
// registry's own (did:web:HOST).
const Operator OrgID = "registry"

var orgPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

// ParseOrgID reads an organisation's short name: 1 to 40 of a-z, 0-9 and "-",
// not beginning or ending with "-".
func ParseOrgID(s string) (OrgID, error) {
	if !orgPattern.MatchString(s) {
		return "", fmt.Errorf("%w: organisation %.64q is not 1 to 40 of a-z, 0-9 and -", ErrMalformed, s)
	}
	return OrgID(s), nil
}

// BatteryKey identifies a battery across organisations: the SHA-256 of its
// normalised identifier (see BatteryID.Key).
type BatteryKey [32]byte
