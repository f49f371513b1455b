package postgres

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// micros is the precision of timestamptz.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// optional stores the zero time as NULL, for columns that ask "has it happened".
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = micros(t)
	return &t
}

func fromOptional(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// uuid is how an id travels; reference stores the zero id as NULL.
func uuid(id passport.ID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func reference(id passport.ID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: !id.IsZero()} }

// bytes keeps nil from becoming NULL.
func bytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// fixed scans bytea of known length into an array.
type fixed []byte

// ScanBytes implements pgtype.BytesScanner.
func (f fixed) ScanBytes(b []byte) error {
	if len(b) != len(f) {
		return errors.New("column does not hold the bytes it should")
	}
	copy(f, b)
	return nil
}

// keyHash is SHA-256 of the parts with a zero byte between them. Only the last
// may hold one itself.
func keyHash(parts ...string) []byte {
	h := sha256.New()
	for i, part := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

func nameHash(t passport.RecordType, org passport.OrgID, text string) []byte {
	return keyHash(string(t), string(org), text)
}

// list stores a slice nobody searches as a JSON array; nil and empty are the
// same.
func list[T any](items []T) (string, error) {
	if len(items) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(items)
	return string(text), err
}

func unlist[T any](text string, into *[]T) error {
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

func packRefs(refs []passport.ID) []byte {
	packed := make([]byte, 0, len(refs)*len(passport.ID{}))
	for _, ref := range refs {
		packed = append(packed, ref[:]...)
	}
	return packed
}

func unpackRefs(packed []byte) []passport.ID {
	var refs []passport.ID
	for ; len(packed) >= len(passport.ID{}); packed = packed[len(passport.ID{}):] {
		refs = append(refs, passport.ID(packed[:len(passport.ID{})]))
	}
	return refs
}

// packDisclosures writes the disclosures of one record as one value:
// [["attribute","tier","encoded"]].
func packDisclosures(ds []registry.Disclosure) ([]byte, error) {
	rows := make([][3]string, len(ds))
	for i, d := range ds {
		rows[i] = [3]string{d.Attribute, string(d.Tier), d.Encoded}
	}
	return json.Marshal(rows)
}

func unpackDisclosures(packed []byte) ([]registry.Disclosure, error) {
	var rows [][3]string
	if err := json.Unmarshal(packed, &rows); err != nil {
		return nil, fmt.Errorf("unpack disclosures: %w", err)
	}
	ds := make([]registry.Disclosure, len(rows))
	for i, row := range rows {
		ds[i] = registry.Disclosure{Attribute: row[0], Tier: passport.Tier(row[1]), Encoded: row[2]}
	}
	return ds, nil
}

// words stores organisations as a text array.
func words(orgs []passport.OrgID) []string {
	out := make([]string, len(orgs))
	for i, org := range orgs {
		out[i] = string(org)
	}
	return out
}
