// Package credential turns a checked record into signed bytes and back, so
// that callers need not know SD-JWT, JOSE, verifiable credentials, status lists
// or DIDs. One signature covers a record for every reader: restricted
// attributes are salted digests in it, and a presentation is a choice of the
// disclosures that belong to them.
//
// The signed bytes are made once and never rebuilt. What is read is distrusted
// until Verify: a Token lets nobody see its claims, only a Verified does.
//
// Sources: RFC 9901 (SD-JWT), W3C Verifiable Credentials Data Model 2.0,
// Securing Verifiable Credentials using JOSE and COSE, Bitstring Status List
// 1.0, Controlled Identifiers 1.0, Data Integrity EdDSA Cryptosuites 1.0, the
// IETF token status list.
package credential

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/strictjson"
)

// Envelope is everything a credential says around its record.
type Envelope struct {
	BaseURL     string              // of the registry, without trailing slash
	Environment string              // "demo" or "production"
	RecordID    passport.ID         // of this record version
	Series      passport.ID         // shared by its versions; for an item and its conditions, the passportId
	Type        passport.RecordType // of the record
	Version     int                 // from 1
	SubjectID   string              // URI of what the record describes: the battery, or BaseURL/v1/models/SERIES and so on
	Issuer      Party               // who declares and signs
	ValidFrom   time.Time           // when it was issued, whole seconds
	Pins        []Pin               // records this one rests on
	Status      *Position           // nil: no status of its own
	Previous    *[sha256.Size]byte  // condition: TokenDigest of the one before; nil for the first
	SchemaURL   string              // of the presented form; empty when issuing means the current one
}

// Party is an issuer of credentials.
type Party struct {
	DID  string `json:"did"`
	Name string `json:"name"`
}

// Pin ties a record to another one by the digest of its signed bytes (VC Data
// Model 2.0 section 5.3, relatedResource).
type Pin struct {
	Type        passport.RecordType
	RecordID    passport.ID
	TokenDigest [sha256.Size]byte // SHA-256 of JWS + "~", what RecordURL serves
}

// Issued is a signed record. JWS and the disclosures are kept and served as
// they are, for ever.
type Issued struct {
	JWS         []byte
	TokenDigest [sha256.Size]byte // SHA-256 of JWS + "~"
	Disclosures []Disclosure
}

// RecordURL is where the bare JWS~ of a record version is served, unnegotiated
// and for ever. Pins name it.
func RecordURL(base string, id passport.ID) string {
	return base + "/v1/records/" + id.String() + ".sd-jwt"
}

// ContextURL is where the JSON-LD context of every credential is served.
func ContextURL(base string) string { return base + "/contexts/provolt/v1" }

// Issue signs a record with an ES256 key that kid names. Salts are drawn from
// random. It refuses rather than hand out a token that its own Parse, Verify
// or processing would not take back whole. Errors about the input are Faults.
func Issue(rec schema.Checked, cat *catalogue.Catalogue, env Envelope, kid string, key crypto.Signer, random io.Reader) (Issued, error) {
	if rec.IsZero() || rec.Type() != env.Type {
		return Issued{}, faultf("record.unchecked", "the record is not a checked %s", env.Type)
	}
	return issue(rec.Record(), restrictions(cat, env.Type), env, kid, key, random)
}

func issue(record map[string]any, hidden []restriction, env Envelope, kid string, key crypto.Signer, random io.Reader) (Issued, error) {
	subject, err := subjectOf(record, env)
	if err != nil {
		return Issued{}, err
	}
	open, disclosures, err := conceal(subject, hidden, random)
	if err != nil {
		return Issued{}, err
	}
	claims, err := env.claims(open)
	if err != nil {
		return Issued{}, err
	}
	payload, err := strictjson.Marshal(claims)
	if err != nil {
		return Issued{}, fmt.Errorf("encode claims: %w", err)
	}
	jws, err := sign(recordType, kid, payload, key, random)
	if err != nil {
		return Issued{}, err
	}
	issued := Issued{JWS: jws, TokenDigest: tokenDigest(jws), Disclosures: disclosures}
	if err := issued.check(subject, env); err != nil {
		return Issued{}, fmt.Errorf("check the token for record %s: %w", env.RecordID, err)
	}
	return issued, nil
}

// check takes the fullest presentation apart again: it must parse and yield
// the subject and the envelope it was made from. The signature was checked
// when it was made.
func (i Issued) check(subject map[string]any, env Envelope) error {
	token, err := Parse(Present(i.JWS, i.Disclosures, passport.AllTiers()))
	if err != nil {
		return err
	}
	verified := token.processed()
	got, err := verified.Subject()
	if err != nil {
		return err
	}
	if !equal(subject, got) || verified.Withheld() != 0 || verified.Envelope().RecordID != env.RecordID {
		return faultf("record.roundTrip", "the presentation does not give the record back")
	}
	return nil
}

// restrictions reads from the catalogue what a record of this type hides.
func restrictions(cat *catalogue.Catalogue, t passport.RecordType) []restriction {
	attributes := cat.Disclosures(t)
	out := make([]restriction, len(attributes))
	for i, a := range attributes {
		out[i] = restriction{attribute: a.ID, tier: a.Tier, path: a.Members, elements: a.Elements}
	}
	return out
}

// Present puts the signed bytes and the disclosures of the allowed tiers
// together: JWS~d1~d2~. The order of the disclosures is kept. The public tier
// alone gives JWS~.
func Present(jws []byte, disclosures []Disclosure, allowed passport.Tiers) []byte {
	size := len(jws) + 1
	for _, d := range disclosures {
		size += len(d.Encoded) + 1
	}
	out := make([]byte, 0, size)
	out = append(append(out, jws...), '~')
	for _, d := range disclosures {
		if allowed.Has(d.Tier) {
			out = append(append(out, d.Encoded...), '~')
		}
	}
	return out
}

// tokenDigest identifies a signed record: SHA-256 of JWS + "~", which is what
// every reader can hash whatever they may see.
func tokenDigest(jws []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(jws)
	h.Write([]byte{'~'})
	return [sha256.Size]byte(h.Sum(nil))
}

// Token is a presentation that has the right form and that nobody has
// verified. It tells enough to look for the key, and nothing else.
type Token struct {
	jws         compact
	text        string // header.payload.signature
	disclosures []string
	envelope    Envelope
}

// Parse reads a presentation JWS~d1~…~ strictly: size, header, the members of
// every claim. The code of the Fault it returns begins with "form.". Nothing
// is to be trusted yet.
func Parse(token []byte) (*Token, error) {
	if len(token) > MaxToken {
		return nil, faultf("form.size", "the token has %d bytes, at most %d are read", len(token), MaxToken)
	}
	parts := strings.Split(string(token), "~")
	last := len(parts) - 1
	if last < 1 {
		return nil, faultf("form.tilde", "the token does not end with a tilde")
	}
	if parts[last] != "" {
		return nil, faultf("form.keyBinding", "the token does not end with a tilde; key binding is not used here")
	}
	disclosures := parts[1:last]
	if len(disclosures) > MaxDisclosures {
		return nil, faultf("form.size", "the token has %d disclosures, at most %d are read", len(disclosures), MaxDisclosures)
	}
	jws, err := parseCompact(parts[0], recordType)
	if err != nil {
		return nil, err
	}
	envelope, err := parseEnvelope(jws.payload, jws.keyID())
	if err != nil {
		return nil, err
	}
	return &Token{jws: jws, text: parts[0], disclosures: disclosures, envelope: envelope}, nil
}

// KeyID is the DID URL of the key that the token says it is signed with.
func (t *Token) KeyID() string { return t.jws.keyID() }

// Issuer is the DID the token says it comes from; the key belongs to it.
func (t *Token) Issuer() string { return t.envelope.Issuer.DID }

// RecordType is what the token says it holds.
func (t *Token) RecordType() passport.RecordType { return t.envelope.Type }

// RecordID is the record version the token says it holds.
func (t *Token) RecordID() passport.ID { return t.envelope.RecordID }

// IssuedAt is when the token says it was issued.
func (t *Token) IssuedAt() time.Time { return t.envelope.ValidFrom }

// JWS returns the signed bytes without disclosures.
func (t *Token) JWS() []byte { return []byte(t.text) }

// Digest is the SHA-256 of JWS + "~", whatever was disclosed.
func (t *Token) Digest() [sha256.Size]byte { return tokenDigest([]byte(t.text)) }

// Verify checks the signature with the key of KeyID, which the caller looks up
// in a source they trust, and gives access to what was signed. Its Faults have
// codes that begin with "signature.".
func (t *Token) Verify(key crypto.PublicKey) (*Verified, error) {
	if err := t.jws.verify(key); err != nil {
		return nil, err
	}
	return t.processed(), nil
}

func (t *Token) processed() *Verified {
	v := &Verified{token: t}
	v.claims, v.withheld, v.err = process(t.jws.payload, t.disclosures)
	return v
}

// Verified is a presentation whose signature holds.
type Verified struct {
	token    *Token
	claims   map[string]any
	withheld int
	err      error
}

// Envelope is what the issuer says around the record.
func (v *Verified) Envelope() Envelope { return v.token.envelope }

// Claims returns the processed payload: every claim with the presented
// disclosures in place (RFC 9901 section 7.1). A set of disclosures that does
// not belong to the signed bytes is a Fault with a code that begins with
// "disclosures.".
func (v *Verified) Claims() (map[string]any, error) { return v.claims, v.err }

// Subject returns the processed credentialSubject: the record with the
// members id and type.
func (v *Verified) Subject() (map[string]any, error) {
	if v.err != nil {
		return nil, v.err
	}
	subject, _ := v.claims["credentialSubject"].(map[string]any)
	return subject, nil
}

// Record returns the processed record as its operator declared it, without id
// and type.
func (v *Verified) Record() (map[string]any, error) {
	subject, err := v.Subject()
	if err != nil {
		return nil, err
	}
	record := make(map[string]any, len(subject))
	for name, member := range subject {
		if name != "id" && name != "type" {
			record[name] = member
		}
	}
	return record, nil
}

// Withheld is the number of signed digests for which no disclosure was
// presented.
func (v *Verified) Withheld() int { return v.withheld }
