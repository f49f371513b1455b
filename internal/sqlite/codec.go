package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// micros is how a time is stored. The zero time has a value of its own, so it
// comes back as zero.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// optional stores the zero time as NULL, for columns that ask "has it happened".
func optional(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: micros(t), Valid: !t.IsZero()}
}

func fromOptional(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return fromMicros(us.Int64)
}

// reference stores the zero id as NULL.
func reference(id passport.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
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

// fixed scans a blob of known length, and NULL as zeros.
type fixed []byte

func (f fixed) Scan(value any) error {
	switch b := value.(type) {
	case nil:
		clear(f)
		return nil
	case []byte:
		if len(b) == len(f) {
			copy(f, b)
			return nil
		}
	}
	return errors.New("column does not hold the bytes it should")
}
