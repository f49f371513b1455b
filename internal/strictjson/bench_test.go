package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParse compares with the decoder of the standard library into the
// same kind of tree, which checks neither duplicates nor bounds nor texts.
func BenchmarkParse(b *testing.B) {
	body := passportLike(40_000)
	b.Run("strictjson", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			d := json.NewDecoder(bytes.NewReader(body))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	body := passportLike(40_000)
	v, err := Parse(body)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Canonical(v); err != nil {
			b.Fatal(err)
		}
	}
}

// passportLike makes a body of about size bytes with the mixture of a
// passport: nested objects, short texts in several scripts, decimals.
func passportLike(size int) []byte {
	var origins []string
	for n, i := 0, 0; n < size; i++ {
		origin := fmt.Sprintf(`{"material":"lithium","massKg":%d.%03d,"certified":%t,"facility":{"name":"Grube Süd %d",`+
			`"id":{"scheme":"rmiCid","value":"CID%06d"},"country":"DE","note":"製錬所 \"Ost\""},"shares":[0.25,0.5,1e-3,null]}`,
			i, i%1000, i%2 == 0, i, i)
		origins = append(origins, origin)
		n += len(origin)
	}
	return []byte(`{"batch":{"origins":[` + strings.Join(origins, ",\n ") + `]}}`)
}
