package credential

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
)

// VCContext is the first context of every credential (VC Data Model 2.0
// section 4.3).
const VCContext = "https://www.w3.org/ns/credentials/v2"

// mediaType of a record at RecordURL.
const mediaType = "application/vc+sd-jwt"

const maxText = 2048 // characters of a URI or name in the envelope

// kind is how a record type is named in the credential.
type kind struct {
	credential string // second type of the credential
	subject    string // type of the credentialSubject
	series     string // claim that holds Envelope.Series
}

func kindOf(t passport.RecordType) (kind, bool) {
	switch t {
	case passport.Model:
		return kind{"BatteryModelCredential", "BatteryModel", "seriesId"}, true
	case passport.Batch:
		return kind{"BatteryBatchCredential", "BatteryBatch", "seriesId"}, true
	case passport.Item:
		return kind{"BatteryPassportCredential", "Battery", "passportId"}, true
	case passport.Condition:
		return kind{"BatteryConditionCredential", "BatteryCondition", "passportId"}, true
	}
	return kind{}, false
}

// subjectOf is the record with the id and type that JSON-LD wants.
func subjectOf(record map[string]any, env Envelope) (map[string]any, error) {
	k, ok := kindOf(env.Type)
	if !ok {
		return nil, faultf("envelope.type", "%.40q is no record type", env.Type)
	}
	for _, name := range []string{"id", "type"} {
		if _, taken := record[name]; taken {
			return nil, faultf("record.reservedMember", "the record has a member %q of its own", name)
		}
	}
	subject := maps.Clone(record)
	if subject == nil {
		subject = map[string]any{}
	}
	subject["id"], subject["type"] = env.SubjectID, k.subject
	return subject, nil
}

// claims is the payload: the envelope around a subject whose restricted
// attributes are digests already. parseEnvelope is its inverse.
func (e Envelope) claims(subject map[string]any) (map[string]any, error) {
	if e.SchemaURL == "" {
		e.SchemaURL = schema.URL(e.BaseURL, e.Type, true)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	k, _ := kindOf(e.Type)
	at := e.ValidFrom.UTC().Truncate(time.Second)
	claims := map[string]any{
		"@context":  []any{VCContext, ContextURL(e.BaseURL)},
		"id":        e.BaseURL + "/v1/records/" + e.RecordID.String(),
		"type":      []any{"VerifiableCredential", k.credential},
		"issuer":    map[string]any{"id": e.Issuer.DID, "name": e.Issuer.Name},
		"iss":       e.Issuer.DID,
		"iat":       number(at.Unix()),
		"validFrom": at.Format(time.RFC3339),
		"credentialSchema": map[string]any{
			"id": e.SchemaURL, "type": "JsonSchema",
		},
		"environment":       e.Environment,
		"recordId":          e.RecordID.String(),
		k.series:            e.Series.String(),
		"version":           number(int64(e.Version)),
		"credentialSubject": subject,
		algorithmMember:     hashName,
	}
	if e.Status != nil {
		e.Status.addTo(claims, e.BaseURL)
	}
	if len(e.Pins) > 0 {
		claims["relatedResource"] = e.pinClaims()
	}
	if e.Previous != nil {
		claims["previous"] = digestSRI(*e.Previous)
	}
	return claims, nil
}

func (e Envelope) pinClaims() []any {
	out := make([]any, len(e.Pins))
	for i, p := range e.Pins {
		out[i] = map[string]any{
			"id":         RecordURL(e.BaseURL, p.RecordID),
			"digestSRI":  digestSRI(p.TokenDigest),
			"mediaType":  mediaType,
			"recordType": string(p.Type),
		}
	}
	return out
}

// check refuses an envelope that could not be read back.
func (e Envelope) check() error {
	switch {
	case CheckBaseURL(e.BaseURL) != nil:
		return CheckBaseURL(e.BaseURL)
	case e.Environment != "demo" && e.Environment != "production":
		return faultf("envelope.environment", "the environment is %.40q, expected demo or production", e.Environment)
	case e.RecordID.IsZero() || e.Series.IsZero():
		return faultf("envelope.id", "the record has no id or no series")
	case e.Version < 1:
		return faultf("envelope.version", "the version is %d, the first is 1", e.Version)
	case !isURI(e.SubjectID):
		return faultf("envelope.subject", "the subject %.80q is no URI", e.SubjectID)
	case !isDID(e.Issuer.DID):
		return faultf("envelope.issuer", "the issuer %.80q is no did:web DID", e.Issuer.DID)
	case e.Issuer.Name == "" || len(e.Issuer.Name) > maxText:
		return faultf("envelope.issuer", "the issuer has no name, or one longer than %d bytes", maxText)
	case e.ValidFrom.Unix() < 1:
		return faultf("envelope.validFrom", "the time of issue is missing")
	case !isSchemaURL(e.SchemaURL, e.BaseURL, e.Type):
		return faultf("envelope.schema", "the schema %.80q is no published one", e.SchemaURL)
	case e.Previous != nil && e.Type != passport.Condition:
		return faultf("envelope.previous", "only a condition has a previous one")
	}
	return e.checkPins()
}

func (e Envelope) checkPins() error {
	seen := map[passport.ID]bool{}
	for _, p := range e.Pins {
		if _, ok := kindOf(p.Type); !ok || p.RecordID.IsZero() || seen[p.RecordID] {
			return faultf("envelope.pins", "a pin has no known type or no id of its own")
		}
		seen[p.RecordID] = true
	}
	return nil
}

// topLevel lists the claims every record credential has; optional the others
// it may have. A claim in neither is refused, whatever the contexts define;
// so are the "vc" and "vp" wrappers of VC Data Model 1.1.
var (
	required = []string{
		"@context", "id", "type", "issuer", "iss", "iat", "validFrom", "credentialSchema",
		"environment", "recordId", "version", "credentialSubject", algorithmMember,
	}
	optional = []string{"credentialStatus", "status", "relatedResource", "previous", "passportId", "seriesId"}
)

// parseEnvelope reads the envelope back. Because there is exactly one way to
// write an envelope, it builds the claims again and compares: whatever claims
// does not write is refused.
func parseEnvelope(payload map[string]any, kid string) (Envelope, error) {
	for name := range payload {
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return Envelope{}, faultf("form.claim.unknown", "the claim %.40q is not one of a record credential", name)
		}
	}
	for _, name := range required {
		if _, present := payload[name]; !present {
			return Envelope{}, faultf("form.claim.missing", "the claim %q is missing", name)
		}
	}
	env, err := readEnvelope(payload)
	if err != nil {
		return Envelope{}, err
	}
	if did, _, _ := strings.Cut(kid, "#"); did != env.Issuer.DID {
		return Envelope{}, faultf("form.issuer", "the key is not one of the issuer %.80q", env.Issuer.DID)
	}
	subject, _ := payload["credentialSubject"].(map[string]any)
	again, err := env.claims(subject)
	if err != nil {
		return Envelope{}, &Fault{Code: "form.claim.value", Detail: err.Error()}
	}
	for name, want := range again {
		if name != "credentialSubject" && !equal(payload[name], want) {
			return Envelope{}, faultf("form.claim.value", "the claim %q is not of the form this registry writes", name)
		}
	}
	if len(again) != len(payload) {
		return Envelope{}, faultf("form.claim.unknown", "there is a claim that does not go with a %s", env.Type)
	}
	return env, nil
}

// readEnvelope takes the members out of the claims; what is missing or of
// another type stays zero and is found by the comparison afterwards.
func readEnvelope(payload map[string]any) (Envelope, error) {
	var env Envelope
	t, ok := typeOf(payload)
	if !ok {
		return Envelope{}, faultf("form.claim.type", "the credential is of no type this registry issues")
	}
	k, _ := kindOf(t)
	env.Type = t
	env.Environment, _ = payload["environment"].(string)
	env.RecordID = readID(payload["recordId"])
	env.Series = readID(payload[k.series])
	env.Version = int(readInteger(payload["version"]))
	issuer, _ := payload["issuer"].(map[string]any)
	env.Issuer.DID, _ = issuer["id"].(string)
	env.Issuer.Name, _ = issuer["name"].(string)
	id, _ := payload["id"].(string)
	env.BaseURL, _, _ = strings.Cut(id, "/v1/records/")
	env.ValidFrom = time.Unix(readInteger(payload["iat"]), 0).UTC()
	subject, _ := payload["credentialSubject"].(map[string]any)
	if subject["type"] != k.subject {
		return Envelope{}, faultf("form.claim.subject", "the subject is no %s", k.subject)
	}
	env.SubjectID, _ = subject["id"].(string)
	credentialSchema, _ := payload["credentialSchema"].(map[string]any)
	if env.SchemaURL, _ = credentialSchema["id"].(string); env.SchemaURL == "" {
		return Envelope{}, faultf("form.claim.schema", "the credential names no schema")
	}
	if _, present := payload["status"]; present {
		env.Status = readPosition(payload, env.BaseURL)
	}
	if pins, present := payload["relatedResource"]; present {
		env.Pins = readPins(pins, env.BaseURL)
	}
	if previous, present := payload["previous"]; present {
		digest := readDigest(previous)
		env.Previous = &digest
	}
	return env, nil
}

func typeOf(payload map[string]any) (passport.RecordType, bool) {
	types, _ := payload["type"].([]any)
	if len(types) != 2 {
		return "", false
	}
	for _, t := range passport.RecordTypes() {
		if k, _ := kindOf(t); types[1] == k.credential {
			return t, true
		}
	}
	return "", false
}

func readPins(v any, base string) []Pin {
	list, _ := v.([]any)
	pins := make([]Pin, len(list))
	for i, element := range list {
		member, _ := element.(map[string]any)
		address, _ := member["id"].(string)
		name, _ := strings.CutPrefix(address, base+"/v1/records/")
		t, _ := member["recordType"].(string)
		pins[i] = Pin{
			Type:        passport.RecordType(t),
			RecordID:    readID(strings.TrimSuffix(name, ".sd-jwt")),
			TokenDigest: readDigest(member["digestSRI"]),
		}
	}
	return pins
}

func readID(v any) passport.ID {
	text, _ := v.(string)
	id, err := passport.ParseID(text)
	if err != nil {
		return passport.ID{}
	}
	return id
}

func readInteger(v any) int64 {
	n, _ := v.(json.Number)
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return 0
	}
	return i
}

// digestSRI writes a digest as Subresource Integrity does.
func digestSRI(digest [sha256.Size]byte) string {
	return "sha256-" + base64.StdEncoding.EncodeToString(digest[:])
}

func readDigest(v any) (digest [sha256.Size]byte) {
	text, _ := v.(string)
	encoded, _ := strings.CutPrefix(text, "sha256-")
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) != len(digest) {
		return digest
	}
	return [sha256.Size]byte(b)
}

func number(i int64) json.Number { return json.Number(strconv.FormatInt(i, 10)) }

// equal compares JSON trees by value; a number equals only the same text.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(a) != len(other) {
			return false
		}
		for name, member := range a {
			if match, present := other[name]; !present || !equal(member, match) {
				return false
			}
		}
		return true
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, equal)
	}
	return a == b
}

// CheckBaseURL accepts the base URL of a registry: http or https, a host, no
// trailing slash, query or fragment.
func CheckBaseURL(base string) error {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(base, "/") || u.String() != base || len(base) > maxText {
		return faultf("envelope.baseUrl", "the base URL %.80q is not of the form http(s)://host[:port][/path]", base)
	}
	return nil
}

var schemaVersion = regexp.MustCompile(`/schemas/[0-9]+\.[0-9]+\.[0-9]+/`)

// isSchemaURL accepts the presented schema of the record type in any version:
// credentials outlive the schema version they were issued under.
func isSchemaURL(address, base string, t passport.RecordType) bool {
	current := schemaVersion.FindString(schema.URL("", t, true))
	if len(address) > maxText || !strings.HasPrefix(address, base) {
		return false
	}
	version := schemaVersion.FindString(address[len(base):])
	return version != "" && address == base+strings.Replace(schema.URL("", t, true), current, version, 1)
}

// isURI reports whether s is an absolute URI without white space.
func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && len(s) <= maxText && !strings.ContainsAny(s, " \t\r\n") && s != fmt.Sprintf("%s:", u.Scheme)
}
