package schema_test

import (
	"testing"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/schema"
	"github.com/provolt/provolt/internal/strictjson"
)

// The two benchmarks of a record stand beside each other: what Check costs,
// and what reading the same bytes costs. Check includes the cross-field
// checks and the digest; it leaves out signing and storing.

func benchmarkCheck(b *testing.B, t passport.RecordType) {
	v, doc := validator(b), example(b, "ev")
	rec := member(doc, string(t))
	ctx := schema.Context{Prefix: "/" + string(t), Model: member(doc, "model"), Batch: member(doc, "batch")}
	b.ReportAllocs()
	for b.Loop() {
		if checked, found := v.Check(t, rec, ctx); checked.IsZero() {
			b.Fatal(found)
		}
	}
}

func benchmarkParse(b *testing.B, t passport.RecordType) {
	raw, err := strictjson.Marshal(member(example(b, "ev"), string(t)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := strictjson.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckItem(b *testing.B)  { benchmarkCheck(b, passport.Item) }
func BenchmarkParseItem(b *testing.B)  { benchmarkParse(b, passport.Item) }
func BenchmarkCheckModel(b *testing.B) { benchmarkCheck(b, passport.Model) }
func BenchmarkParseModel(b *testing.B) { benchmarkParse(b, passport.Model) }
func BenchmarkCheckBatch(b *testing.B) { benchmarkCheck(b, passport.Batch) }
func BenchmarkParseBatch(b *testing.B) { benchmarkParse(b, passport.Batch) }
