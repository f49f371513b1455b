package credential

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/schemas"
)

// contextFile is served under ContextURL. It is immutable once released: a
// member name that it does not define needs provolt-v2.jsonld beside it.
const contextFile = "../../schemas/contexts/provolt-v1.jsonld"

// vocabulary is where the terms of the context lead.
const vocabulary = "https://github.com/provolt/provolt/ns/v1#"

var updateContext = flag.Bool("update-context", false, "write the JSON-LD context from the schemas; only before its release")

// foreignTerms are defined by https://www.w3.org/ns/credentials/v2 and must
// not be defined again, because they are protected there.
var foreignTerms = []string{
	"id", "type", "name", "description", "mediaType", "digestSRI", "iss", "iat", "_sd", "_sd_alg", "...",
	"@context", "issuer", "validFrom", "credentialSchema", "credentialStatus", "credentialSubject", "relatedResource",
	"statusPurpose", "statusListIndex", "statusListCredential",
}

// opaqueTerms hold names chosen by data (country codes) or by others
// (extensions, the IETF status claim): JSON literals, not linked data.
var opaqueTerms = []string{"extraction", "refining", "recycled", "extensions", "status"}

// orderedTerms are arrays whose order carries meaning.
var orderedTerms = map[passport.RecordType][]string{
	passport.Batch:     {"stages"},
	passport.Condition: {"binsFrom", "minutes"},
}

// envelopeTerms are the claims this registry adds to VC Data Model 2.0.
var envelopeTerms = []string{"environment", "passportId", "previous", "recordId", "recordType", "seriesId", "status", "version"}

func TestContextDefinesEveryMember(t *testing.T) {
	want := buildContext(t)
	if *updateContext {
		if err := os.WriteFile(contextFile, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(contextFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s does not fit the schemas; before its release, run this test with -update-context", contextFile)
	}
}

// TestEveryClaimHasAMeaning takes issued credentials, not the schemas, and
// looks every member name up.
func TestEveryClaimHasAMeaning(t *testing.T) {
	text, err := os.ReadFile(contextFile)
	if err != nil {
		t.Fatal(err)
	}
	defined := object(t, text)["@context"].(map[string]any)
	key := newKey(t)
	records, cat, _ := examples(t)
	previous := [32]byte{1}
	for _, recordType := range passport.RecordTypes() {
		env := batchEnvelope(t)
		env.Type = recordType
		if recordType == passport.Condition {
			env.Previous = &previous
		}
		issued, err := Issue(records[recordType], cat, env, testKID, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		verified, _, err := open(Present(issued.JWS, issued.Disclosures, passport.AllTiers()), key)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := verified.Claims()
		if err != nil {
			t.Fatal(err)
		}
		k, _ := kindOf(recordType)
		subject := defined[k.subject].(map[string]any)["@context"].(map[string]any)
		eachName(claims["credentialSubject"], subject, func(name string) {
			if subject[name] == nil && !slices.Contains(foreignTerms[:6], name) {
				t.Errorf("%s: the member %s has no meaning", recordType, name)
			}
		})
		delete(claims, "credentialSubject")
		eachName(claims, defined, func(name string) {
			if defined[name] == nil && !slices.Contains(foreignTerms, name) {
				t.Errorf("%s: the claim %s has no meaning", recordType, name)
			}
		})
		if defined[k.credential] == nil {
			t.Errorf("the type %s has no meaning", k.credential)
		}
	}
}

// eachName visits member names, but not beneath JSON literals.
func eachName(v any, defined map[string]any, see func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			see(name)
			if term, ok := defined[name].(map[string]any); !ok || term["@type"] != "@json" {
				eachName(member, defined, see)
			}
		}
	case []any:
		for _, element := range v {
			eachName(element, defined, see)
		}
	}
}

// buildContext makes the context from the schemas. Each subject type has terms
// of its own, valid only within a subject of that type, so that a member such
// as "issuer" of a certificate is not taken for the issuer of the credential.
// Below a record's top level, "id" and "type" are ordinary members of the law's
// data and not those of JSON-LD.
func buildContext(t *testing.T) []byte {
	t.Helper()
	context := map[string]any{"@version": json.Number("1.1"), "@protected": true}
	for _, term := range envelopeTerms {
		context[term] = definition(term, "")
	}
	for _, recordType := range passport.RecordTypes() {
		k, _ := kindOf(recordType)
		context[k.credential] = vocabulary + k.credential
		context[k.subject] = map[string]any{"@id": vocabulary + k.subject, "@context": subjectContext(t, recordType)}
	}
	text, err := json.MarshalIndent(map[string]any{"@context": context}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func subjectContext(t *testing.T, recordType passport.RecordType) map[string]any {
	t.Helper()
	file := catalogue.SchemaFile(recordType, false)
	schema := readSchema(t, file)
	names := map[string]bool{}
	memberNames(t, file, schema, names, map[string]bool{})
	context := map[string]any{"@protected": true, "@propagate": true}
	for name := range names {
		if !slices.Contains(foreignTerms[:6], name) {
			context[name] = definition(name, recordType)
		}
	}
	for name, section := range schema["properties"].(map[string]any) {
		below := map[string]bool{}
		memberNames(t, file, section, below, map[string]bool{})
		if slices.Contains(opaqueTerms, name) || !below["id"] && !below["type"] {
			continue
		}
		context[name] = map[string]any{
			"@id":      vocabulary + name,
			"@context": map[string]any{"id": vocabulary + "identifier", "type": vocabulary + "kind"},
		}
	}
	return context
}

func readSchema(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := schemas.FS.ReadFile("1.0.0/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return object(t, text)
}

// memberNames collects the names of every "properties" in a schema and in the
// schemas it refers to.
func memberNames(t *testing.T, file string, v any, names, seen map[string]bool) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			other, fragment, _ := strings.Cut(ref, "#/$defs/")
			if other = other[strings.LastIndex(other, "/")+1:]; other == "" {
				other = file
			}
			if at := other + "#" + fragment; !seen[at] {
				seen[at] = true
				var target any = readSchema(t, other)
				if fragment != "" {
					target = target.(map[string]any)["$defs"].(map[string]any)[fragment]
				}
				memberNames(t, other, target, names, seen)
			}
		}
		if properties, ok := v["properties"].(map[string]any); ok {
			for name := range maps.Keys(properties) {
				names[name] = true
			}
		}
		for name, member := range v {
			if name != "$defs" {
				memberNames(t, file, member, names, seen)
			}
		}
	case []any:
		for _, element := range v {
			memberNames(t, file, element, names, seen)
		}
	}
}

func definition(term string, recordType passport.RecordType) any {
	id := vocabulary + term
	switch {
	case slices.Contains(opaqueTerms, term):
		return map[string]any{"@id": id, "@type": "@json"}
	case slices.Contains(orderedTerms[recordType], term):
		return map[string]any{"@id": id, "@container": "@list"}
	}
	return id
}

func TestContextDefinesNothingOfOthers(t *testing.T) {
	text, err := os.ReadFile(contextFile)
	if err != nil {
		t.Fatal(err)
	}
	defined := object(t, text)["@context"].(map[string]any)
	for _, term := range foreignTerms {
		if defined[term] != nil {
			t.Errorf("%s is defined again", term)
		}
	}
	for name, term := range defined {
		if strings.HasPrefix(name, "@") {
			continue
		}
		id, _ := term.(string)
		if object, ok := term.(map[string]any); ok {
			id, _ = object["@id"].(string)
		}
		if !strings.HasPrefix(id, vocabulary) {
			t.Errorf("%s leads to %q", name, id)
		}
	}
}
