package credential

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/strictjson"
)

// ListSize is the number of entries of every status list: the least that
// Bitstring Status List 1.0 section 3.4 allows, for the privacy of the herd.
const ListSize = 1 << listBits

const listBits = 17

// Purpose is what an entry of a Bitstring status list means.
type Purpose string

// Revocation is final, suspension can be lifted.
const (
	Revocation Purpose = "revocation"
	Suspension Purpose = "suspension"
)

// Position is where a series stands in the status lists. It is public: a
// permutation keeps it from telling the order of issue. See StatusIndex.
type Position struct {
	List  int // number of the list, from 0
	Index int // entry, 0 to ListSize-1
}

// StatusIndex gives the public position of a slot. A slot is a private counter:
// list = slot / ListSize, and the index is a permutation of slot % ListSize under
// the secret, different for each list (a Feistel network of four rounds over
// 9 and 8 bits with HMAC-SHA-256). Two slots never share a position. A
// negative slot has none and gives -1, -1.
func StatusIndex(secret []byte, slot int64) (list int, index int) {
	if slot < 0 {
		return -1, -1
	}
	list = int(slot / ListSize)
	const low, lowMask, highMask = 8, 1<<8 - 1, 1<<9 - 1
	offset := uint32(slot % ListSize)
	high, rest := offset>>low, offset&lowMask
	for round := range byte(4) {
		if round%2 == 0 {
			high ^= roundKey(secret, list, round, rest) & highMask
		} else {
			rest ^= roundKey(secret, list, round, high) & lowMask
		}
	}
	return list, int(high<<low | rest)
}

func roundKey(secret []byte, list int, round byte, half uint32) uint32 {
	var message [13]byte
	binary.BigEndian.PutUint64(message[:], uint64(list)) //nolint:gosec // never negative
	message[8] = round
	binary.BigEndian.PutUint32(message[9:], half)
	mac := hmac.New(sha256.New, secret)
	mac.Write(message[:])
	return binary.BigEndian.Uint32(mac.Sum(nil))
}

// StatusURL is where the Bitstring status list of a purpose is served.
func StatusURL(base string, p Purpose, list int) string {
	return base + "/status/" + string(p) + "/" + strconv.Itoa(list)
}

// TokenStatusURL is where the IETF token status list is served.
func TokenStatusURL(base string, list int) string {
	return base + "/status/tokens/" + strconv.Itoa(list)
}

// addTo writes the three entries of a position into the claims.
func (p Position) addTo(claims map[string]any, base string) {
	entries := make([]any, 0, 2)
	for _, purpose := range []Purpose{Revocation, Suspension} {
		address := StatusURL(base, purpose, p.List)
		entries = append(entries, map[string]any{
			"id":                   address + "#" + strconv.Itoa(p.Index),
			"type":                 "BitstringStatusListEntry",
			"statusPurpose":        string(purpose),
			"statusListIndex":      strconv.Itoa(p.Index),
			"statusListCredential": address,
		})
	}
	claims["credentialStatus"] = entries
	claims["status"] = map[string]any{"status_list": map[string]any{
		"idx": number(int64(p.Index)), "uri": TokenStatusURL(base, p.List),
	}}
}

// readPosition is the inverse of addTo; a status it cannot read gives a
// position that addTo would not have written.
func readPosition(payload map[string]any, base string) *Position {
	status, _ := payload["status"].(map[string]any)
	entry, _ := status["status_list"].(map[string]any)
	uri, _ := entry["uri"].(string)
	number, _ := strings.CutPrefix(uri, base+"/status/tokens/")
	list, err := strconv.Atoi(number)
	index := readInteger(entry["idx"])
	if err != nil || list < 0 || index < 0 || index >= ListSize {
		return &Position{List: -1, Index: -1}
	}
	return &Position{List: list, Index: int(index)}
}

// Status is what the registry's lists say of a position.
type Status uint8

// The statuses, with the values of the IETF token status list.
const (
	Valid     Status = 0
	Revoked   Status = 1
	Suspended Status = 2
)

// StatusList is the state of one list at one time. The lists made from equal
// values are equal byte for byte.
type StatusList struct {
	BaseURL   string
	Issuer    Party // the registry
	List      int
	Statuses  map[int]Status // by index; an index that is absent is Valid
	IssuedAt  time.Time      // whole seconds
	ExpiresAt time.Time      // when a copy is too old to answer from
	TTL       time.Duration  // how long a copy may be kept before asking again, whole seconds
}

// JWT returns the Bitstring status list credential of a purpose as a vc+jwt,
// signed ES256 with the registry's key.
func (l StatusList) JWT(p Purpose, kid string, key crypto.Signer) ([]byte, error) {
	document, err := l.document(p)
	if err != nil {
		return nil, err
	}
	document["iss"] = l.Issuer.DID
	document["iat"] = number(l.IssuedAt.Unix())
	return signTree(listType, kid, document, key)
}

// JSON returns the Bitstring status list credential of a purpose as plain
// JSON with an eddsa-jcs-2022 proof by the registry's Ed25519 key.
func (l StatusList) JSON(p Purpose, kid string, key crypto.Signer) ([]byte, error) {
	document, err := l.document(p)
	if err != nil {
		return nil, err
	}
	secured, err := addProof(document, kid, key, l.IssuedAt)
	if err != nil {
		return nil, err
	}
	return strictjson.Marshal(secured)
}

// TokenJWT returns the IETF token status list (two bits an entry: 0 valid, 1
// invalid, 2 suspended) as a statuslist+jwt.
func (l StatusList) TokenJWT(kid string, key crypto.Signer) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	bits := make([]byte, ListSize/4)
	for index, status := range l.Statuses {
		bits[index/4] |= byte(status) << (index % 4 * 2)
	}
	packed, err := pack(bits, func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriterLevel(w, zlib.BestCompression) })
	if err != nil {
		return nil, err
	}
	return signTree(statusJWTType, kid, map[string]any{
		"iss": l.Issuer.DID,
		"sub": TokenStatusURL(l.BaseURL, l.List),
		"iat": number(l.IssuedAt.Unix()),
		"exp": number(l.ExpiresAt.Unix()),
		"ttl": number(int64(l.TTL / time.Second)),
		"status_list": map[string]any{
			"bits": number(2),
			"lst":  encodeSegment(packed),
		},
	}, key)
}

// signTree signs deterministically where the key is in memory, so that every
// replica serves the same bytes.
func signTree(typ, kid string, tree map[string]any, key crypto.Signer) ([]byte, error) {
	payload, err := strictjson.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return sign(typ, kid, payload, key, deterministic(key))
}

// document is the unsecured Bitstring status list credential.
func (l StatusList) document(p Purpose) (map[string]any, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	want := Revoked
	if p == Suspension {
		want = Suspended
	}
	bits := make([]byte, ListSize/8)
	for index, status := range l.Statuses {
		if status == want {
			bits[index/8] |= 0x80 >> (index % 8)
		}
	}
	packed, err := pack(bits, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestCompression) })
	if err != nil {
		return nil, err
	}
	address := StatusURL(l.BaseURL, p, l.List)
	return map[string]any{
		"@context":   []any{VCContext},
		"id":         address,
		"type":       []any{"VerifiableCredential", "BitstringStatusListCredential"},
		"issuer":     map[string]any{"id": l.Issuer.DID, "name": l.Issuer.Name},
		"validFrom":  l.IssuedAt.UTC().Format(time.RFC3339),
		"validUntil": l.ExpiresAt.UTC().Format(time.RFC3339),
		"credentialSubject": map[string]any{
			"id":            address + "#list",
			"type":          "BitstringStatusList",
			"statusPurpose": string(p),
			"encodedList":   "u" + encodeSegment(packed),
			"ttl":           number(l.TTL.Milliseconds()),
		},
	}, nil
}

func (l StatusList) check() error {
	if err := CheckBaseURL(l.BaseURL); err != nil {
		return err
	}
	if l.List < 0 || !l.IssuedAt.Before(l.ExpiresAt) || l.TTL < time.Second {
		return faultf("status.list", "status list %d needs a number, a time to live and an end after its begin", l.List)
	}
	for index, status := range l.Statuses {
		if index < 0 || index >= ListSize || status > Suspended {
			return faultf("status.list", "status list %d has no entry %d with status %d", l.List, index, status)
		}
	}
	return nil
}

func pack(bits []byte, writer func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var out bytes.Buffer
	w, err := writer(&out)
	if err != nil {
		return nil, fmt.Errorf("compress status list: %w", err)
	}
	if _, err := w.Write(bits); err != nil {
		return nil, fmt.Errorf("compress status list: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress status list: %w", err)
	}
	return out.Bytes(), nil
}

// ReadList is a status list whose signature holds.
type ReadList struct {
	URL       string
	Purpose   Purpose // empty for a token status list, which knows both
	IssuedAt  time.Time
	ExpiresAt time.Time
	TTL       time.Duration
	bits      []byte
}

// At returns the status of an entry as far as this list knows it: a
// revocation list knows Valid and Revoked, a suspension list Valid and
// Suspended.
func (r ReadList) At(index int) (Status, error) {
	switch {
	case index < 0 || index >= ListSize:
		return Valid, faultf("status.index", "there is no entry %d", index)
	case r.Purpose == "":
		return Status(r.bits[index/4] >> (index % 4 * 2) & 3), nil
	case r.bits[index/8]&(0x80>>(index%8)) == 0:
		return Valid, nil
	case r.Purpose == Revocation:
		return Revoked, nil
	}
	return Suspended, nil
}

// ParseList reads a status list in any of the three forms (vc+jwt, plain JSON
// with proof, statuslist+jwt) and verifies it with the registry's keys, of
// which the one it names must have been in use when the list was made.
func ParseList(list []byte, registry string, keys []PublicKey) (ReadList, error) {
	if len(list) > maxListToken {
		return ReadList{}, faultf("status.size", "the status list has %d bytes, at most %d are read", len(list), maxListToken)
	}
	text := strings.TrimSpace(string(list))
	if strings.HasPrefix(text, "{") {
		document, err := parseObject([]byte(text))
		if err != nil {
			return ReadList{}, faultf("status.form", "the status list is not acceptable: %v", err)
		}
		return readSecuredList(document, registry, keys)
	}
	if jws, err := parseCompact(text, statusJWTType); err == nil {
		return readTokenList(jws, registry, keys)
	}
	jws, err := parseCompact(text, listType)
	if err != nil {
		return ReadList{}, err
	}
	if jws.payload["iss"] != registry {
		return ReadList{}, faultf("status.issuer", "the status list is not from %s", registry)
	}
	read, err := readListDocument(jws.payload, registry)
	if err != nil {
		return ReadList{}, err
	}
	return read, verifyAt(jws, keys, read.IssuedAt)
}

func readSecuredList(document map[string]any, registry string, keys []PublicKey) (ReadList, error) {
	read, err := readListDocument(document, registry)
	if err != nil {
		return ReadList{}, err
	}
	return read, checkProof(document, keys, read.IssuedAt)
}

// verifyAt checks the signature with the named key, if it was in use at that
// time.
func verifyAt(jws compact, keys []PublicKey, at time.Time) error {
	key, err := keyInUse(keys, jws.keyID(), at)
	if err != nil {
		return err
	}
	return jws.verify(key.Key())
}

func readTokenList(jws compact, registry string, keys []PublicKey) (ReadList, error) {
	list, _ := jws.payload["status_list"].(map[string]any)
	lst, _ := list["lst"].(string)
	packed, err := decodeSegment(lst)
	if err != nil || readInteger(list["bits"]) != 2 || jws.payload["iss"] != registry {
		return ReadList{}, faultf("status.form", "the token status list is not one of this registry")
	}
	reader, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return ReadList{}, faultf("status.compression", "the token status list is not compressed with zlib")
	}
	bits, err := unpack(reader, ListSize/4)
	if err != nil {
		return ReadList{}, err
	}
	read := ReadList{
		IssuedAt:  time.Unix(readInteger(jws.payload["iat"]), 0).UTC(),
		ExpiresAt: time.Unix(readInteger(jws.payload["exp"]), 0).UTC(),
		TTL:       time.Duration(readInteger(jws.payload["ttl"])) * time.Second,
		bits:      bits,
	}
	read.URL, _ = jws.payload["sub"].(string)
	return read, verifyAt(jws, keys, read.IssuedAt)
}

func readListDocument(document map[string]any, registry string) (ReadList, error) {
	types, _ := document["type"].([]any)
	contexts, _ := document["@context"].([]any)
	issuer, _ := document["issuer"].(map[string]any)
	subject, _ := document["credentialSubject"].(map[string]any)
	if len(types) != 2 || types[1] != "BitstringStatusListCredential" || len(contexts) == 0 || contexts[0] != VCContext ||
		subject["type"] != "BitstringStatusList" {
		return ReadList{}, faultf("status.form", "this is no Bitstring status list credential")
	}
	if issuer["id"] != registry {
		return ReadList{}, faultf("status.issuer", "the status list is not from %s", registry)
	}
	purpose, _ := subject["statusPurpose"].(string)
	if Purpose(purpose) != Revocation && Purpose(purpose) != Suspension {
		return ReadList{}, faultf("status.purpose", "the status list is for %.40q, not for revocation or suspension", purpose)
	}
	encoded, _ := subject["encodedList"].(string)
	packed, err := decodeSegment(strings.TrimPrefix(encoded, "u"))
	if err != nil || !strings.HasPrefix(encoded, "u") {
		return ReadList{}, faultf("status.encoding", "the list is not multibase base64url")
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return ReadList{}, faultf("status.compression", "the list is not compressed with gzip")
	}
	bits, err := unpack(reader, ListSize/8)
	if err != nil {
		return ReadList{}, err
	}
	read := ReadList{Purpose: Purpose(purpose), TTL: time.Duration(readInteger(subject["ttl"])) * time.Millisecond, bits: bits}
	read.URL, _ = document["id"].(string)
	from, errFrom := readTime(document["validFrom"])
	until, errUntil := readTime(document["validUntil"])
	read.IssuedAt, read.ExpiresAt = from, until
	return read, errors.Join(errFrom, errUntil)
}

// unpack reads exactly size bytes; a list that unpacks to more is refused
// without unpacking it.
func unpack(r io.Reader, size int64) ([]byte, error) {
	bits, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil || int64(len(bits)) != size {
		return nil, faultf("status.length", "the list does not hold %d entries", ListSize)
	}
	return bits, nil
}

func readTime(v any) (time.Time, error) {
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, faultf("status.time", "%.40q is no RFC 3339 time", text)
	}
	return at.UTC(), nil
}
