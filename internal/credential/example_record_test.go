package credential

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/schemas"
)

// examples returns the records of the worked examples, checked.
func examples(t testing.TB) (map[passport.RecordType]schema.Checked, *catalogue.Catalogue, *schema.Validator) {
	t.Helper()
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	validator, err := schema.New(cat)
	if err != nil {
		t.Fatal(err)
	}
	records := map[passport.RecordType]map[string]any{}
	for _, file := range []string{"examples/ev.json", "examples/condition-ev.json"} {
		text, err := schemas.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, record := range object(t, text) {
			records[passport.RecordType(name)] = record.(map[string]any)
		}
	}
	checked := map[passport.RecordType]schema.Checked{}
	for _, recordType := range passport.RecordTypes() {
		c, violations := validator.Check(recordType, records[recordType], schema.Context{Model: records[passport.Model], Batch: records[passport.Batch]})
		if c.IsZero() {
			t.Fatalf("the example %s does not register: %v", recordType, violations)
		}
		checked[recordType] = c
	}
	return checked, cat, validator
}

func exampleEnvelope(t testing.TB, recordType passport.RecordType) Envelope {
	t.Helper()
	env := batchEnvelope(t)
	env.Type, env.Pins = recordType, nil
	env.SubjectID = testBase + "/v1/" + string(recordType) + "/" + env.Series.String()
	if recordType == passport.Condition {
		env.Status = nil
	}
	return env
}

// TestEveryReaderOfTheExampleSeesTheirTiersAndNoMore compares presentations
// with the catalogue: an attribute stands in the processed record exactly when
// its tier is open to the reader.
func TestEveryReaderOfTheExampleSeesTheirTiersAndNoMore(t *testing.T) {
	records, cat, validator := examples(t)
	key := newKey(t)
	for _, recordType := range passport.RecordTypes() {
		rec := records[recordType]
		issued, err := Issue(rec, cat, exampleEnvelope(t, recordType), testKID, key, rand.Reader)
		if err != nil {
			t.Fatalf("%s: %v", recordType, err)
		}
		for tiers := range passport.AllTiers() + 1 {
			verified, got, err := open(Present(issued.JWS, issued.Disclosures, tiers), key)
			if err != nil {
				t.Fatalf("%s for %v: %v", recordType, tiers.List(), err)
			}
			for _, a := range cat.Of(recordType) {
				want, present := at(rec.Record(), a.Members)
				have, shown := at(got, a.Members)
				switch {
				case !tiers.Has(a.Tier) && shown && !a.Elements && have != nil:
					t.Errorf("%s shows %s to %v", recordType, a.ID, tiers.List())
				case tiers.Has(a.Tier) && present && a.Tier != passport.Public && !cmp.Equal(want, have):
					t.Errorf("%s for %v: %s is %v, want %v", recordType, tiers.List(), a.ID, have, want)
				}
			}
			subject, err := verified.Subject()
			if err != nil {
				t.Fatal(err)
			}
			if violations := validator.CheckPresented(recordType, subject); len(violations) > 0 {
				t.Errorf("%s for %v: %v", recordType, tiers.List(), violations)
			}
		}
		if _, got, err := open(Present(issued.JWS, issued.Disclosures, passport.AllTiers()), key); err != nil || !cmp.Equal(rec.Record(), got) {
			t.Errorf("the issuer does not get the %s back: %v", recordType, err)
		}
		for _, d := range issued.Disclosures {
			if a, known := cat.Attribute(d.Attribute); !known || a.Tier != d.Tier {
				t.Errorf("disclosure of %s in tier %s is not of the catalogue", d.Attribute, d.Tier)
			}
		}
	}
}

// at follows plain members; whatever lies in an array is left to the tests on
// arrays.
func at(record map[string]any, members []string) (any, bool) {
	var v any = record
	for _, m := range members {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = object[m]; !ok {
			return nil, false
		}
	}
	return v, true
}

func TestUncheckedRecordIsNotIssued(t *testing.T) {
	records, cat, _ := examples(t)
	if _, err := Issue(schema.Checked{}, cat, exampleEnvelope(t, passport.Batch), testKID, newKey(t), rand.Reader); code(err) != "record.unchecked" {
		t.Errorf("nothing: %v", err)
	}
	if _, err := Issue(records[passport.Model], cat, exampleEnvelope(t, passport.Batch), testKID, newKey(t), rand.Reader); code(err) != "record.unchecked" {
		t.Errorf("a model as a batch: %v", err)
	}
}

// TestNoPresentationHoldsACanaryOfAClosedTier plants a mark in every
// restricted attribute of the catalogue and looks for it in the raw bytes.
func TestNoPresentationHoldsACanaryOfAClosedTier(t *testing.T) {
	_, cat, _ := examples(t)
	key := newKey(t)
	for _, recordType := range passport.RecordTypes() {
		record := map[string]any{"batchId": "B"}
		for _, a := range cat.Disclosures(recordType) {
			plant(record, a)
		}
		issued, err := issue(record, restrictions(cat, recordType), exampleEnvelope(t, recordType), testKID, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for tiers := range passport.AllTiers() + 1 {
			text := decodeAll(t, Present(issued.JWS, issued.Disclosures, tiers))
			for _, a := range cat.Disclosures(recordType) {
				if shown := bytes.Contains(text, canary(a)); shown != tiers.Has(a.Tier) {
					t.Errorf("%s for %v: %s shown: %v", recordType, tiers.List(), a.ID, shown)
				}
			}
		}
	}
}

func canary(a catalogue.Attribute) []byte { return []byte(`"CANARY ` + a.ID + `"`) }

func plant(record map[string]any, a catalogue.Attribute) {
	last := len(a.Members) - 1
	for _, m := range a.Members[:last] {
		inner, ok := record[m].(map[string]any)
		if !ok {
			inner = map[string]any{}
			record[m] = inner
		}
		record = inner
	}
	record[a.Members[last]] = "CANARY " + a.ID
	if a.Elements {
		record[a.Members[last]] = []any{map[string]any{"lotId": "CANARY " + a.ID}}
	}
}

// decodeAll undoes base64url wherever a presentation has it.
func decodeAll(t testing.TB, token []byte) []byte {
	t.Helper()
	var out []byte
	for part := range bytes.FieldsFuncSeq(token, func(r rune) bool { return r == '.' || r == '~' }) {
		text, err := base64.RawURLEncoding.DecodeString(string(part))
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, text...), '\n')
	}
	return out
}

// BenchmarkIssue signs the example model; BenchmarkBareSignature is the
// baseline: the same signature over the same bytes and nothing else. The
// difference is salting, hashing, encoding, and taking the token apart again.
func BenchmarkIssue(b *testing.B) {
	records, cat, _ := examples(b)
	key, env := newKey(b), exampleEnvelope(b, passport.Model)
	for b.Loop() {
		if _, err := Issue(records[passport.Model], cat, env, testKID, key, rand.Reader); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareSignature(b *testing.B) {
	records, cat, _ := examples(b)
	key := newKey(b)
	issued, err := Issue(records[passport.Model], cat, exampleEnvelope(b, passport.Model), testKID, key, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	signed := issued.JWS[:bytes.LastIndexByte(issued.JWS, '.')]
	for b.Loop() {
		digest := sha256.Sum256(signed)
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify takes the fullest presentation of the example model apart;
// BenchmarkBareVerification is its baseline.
func BenchmarkVerify(b *testing.B) {
	records, cat, _ := examples(b)
	key := newKey(b)
	issued, err := Issue(records[passport.Model], cat, exampleEnvelope(b, passport.Model), testKID, key, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	token := Present(issued.JWS, issued.Disclosures, passport.AllTiers())
	for b.Loop() {
		if _, _, err := open(token, key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareVerification(b *testing.B) {
	key := newKey(b)
	message := make([]byte, 10<<10)
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		digest := sha256.Sum256(message)
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			b.Fatal("does not verify")
		}
	}
}
