// Package tlog fixes the bytes that enter the public log, so that callers need
// not know how an entry is hashed or hidden. The log itself (tiles,
// checkpoints, proofs) joins this package with the sequencer; until then a
// leaf waits in the store's log_pending rows.
package tlog

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// MaxLeaf is the largest entry that tlog-tiles allows, in bytes.
const MaxLeaf = 65535

// SaltSize is the length of the salt of a commitment in bytes.
const SaltSize = 16

// Kind says what an entry records. Record kinds hide their content behind a
// salted commitment; governance kinds are public JSON.
type Kind string

// The kinds written so far.
const (
	Issue        Kind = "issue"        // a record version was issued; commitment
	Suspend      Kind = "suspend"      // a passport was suspended; public
	Unsuspend    Kind = "unsuspend"    // the suspension was lifted; public
	Supersede    Kind = "supersede"    // another passport of the same battery follows it; public
	Organisation Kind = "organisation" // an organisation was admitted; public
	Key          Kind = "key"          // an issuing key was published or retired; public
)

// commitment domain: bytes that no other hash of this registry begins with.
const domain = "provolt/leaf/v1\x00"

// Commitment hides a record behind a salt: SHA-256 over the domain, the
// record type, the salt, the record digest and the token digest, each of
// fixed length or closed by a zero byte. Whoever holds the salt and the token
// can recompute it; the log alone tells nobody which record it is.
func Commitment(recordType string, salt [SaltSize]byte, record, token [sha256.Size]byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write([]byte(recordType))
	h.Write([]byte{0})
	h.Write(salt[:])
	h.Write(record[:])
	h.Write(token[:])
	return [sha256.Size]byte(h.Sum(nil))
}

// IssueLeaf returns the entry for an issued record version:
// {"c":"<base64url commitment>","t":"issue","v":1}.
func IssueLeaf(commitment [sha256.Size]byte) []byte {
	return fmt.Appendf(nil, `{"c":%q,"t":%q,"v":1}`, base64.RawURLEncoding.EncodeToString(commitment[:]), Issue)
}

// PublicLeaf returns a governance entry: the members of body with "t" and "v"
// added, keys sorted. Body must hold no personal name, no raw battery id and no
// restricted value; its marshalled form is at most MaxLeaf bytes.
func PublicLeaf(kind Kind, body map[string]string) ([]byte, error) {
	entry := make(map[string]any, len(body)+2)
	for k, v := range body {
		entry[k] = v
	}
	entry["t"], entry["v"] = kind, 1
	leaf, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("encode %s leaf: %w", kind, err)
	}
	if len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("encode %s leaf: %d bytes, at most %d", kind, len(leaf), MaxLeaf)
	}
	return leaf, nil
}
