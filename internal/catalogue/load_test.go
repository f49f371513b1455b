package catalogue

import (
	"strings"
	"testing"
	"testing/fstest"
)

// row is a sound row; a test spoils one thing of it.
const row = `{"id":"ID","path":"PATH","section":"s","name":{"en":"n","de":"n"},"tier":"TIER","level":"model","jsonType":"string",
"dynamic":false,"requirement":"r","source":"registry","confidence":"own",
"need":{"ev":"voluntary","lmt":"voluntary","industrial":"voluntary","externalStorageOnly":"voluntary","stationaryBess":"NEED"},
"schema":{"type":"string"}}`

func sound(changes ...string) string {
	all := append(changes, "ID", "a", "PATH", "model.a", "TIER", "public", "NEED", "voluntary")
	return strings.NewReplacer(all...).Replace(row)
}

func TestACatalogueThatIsNotTotalDoesNotLoad(t *testing.T) {
	for _, tt := range []struct {
		claim, rows, want string
	}{
		{"a sound row loads", sound(), ""},
		{"a row needs a tier", sound("TIER", ""), `row a has the tier ""`},
		{"a tier must exist", sound("TIER", "secret"), `the tier "secret"`},
		{"ids are unique", sound() + "," + sound("PATH", "model.b"), "two rows have the id a"},
		{"paths are unique", sound() + "," + sound("ID", "b"), "rows a and b have the path model.a"},
		{"members share the tier of their container", sound() + "," + sound("ID", "b", "PATH", "model.a.b", "TIER", "point2"), "row b is point2 inside a, which is public"},
		{"every category has a need", sound("NEED", "perhaps"), `row a says "perhaps" for stationaryBess`},
		{"a later duty has a date", sound("NEED", "later"), "names no date"},
		{"names are in both languages", sound(`"de":"n"`, `"de":""`), "lacks a name"},
		{"only restricted arrays go by element", sound(`"dynamic"`, `"elements":true,"dynamic"`), "is public and cannot be disclosed by element"},
		{"members are known", sound(`"dynamic"`, `"dynamism":true,"dynamic"`), "unknown field"},
	} {
		_, err := load(fstest.MapFS{
			"catalogue/1.0.0.json":       {Data: []byte(`{"version":"1.0.0","attributes":[` + tt.rows + `]}`)},
			"catalogue/types-1.0.0.json": {Data: []byte(`{"version":"1.0.0","originStatement":[],"$defs":{}}`)},
		})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", tt.claim, err)
		}
	}
}

func TestASchemaNeedsATypeForEveryRow(t *testing.T) {
	for claim, rows := range map[string]string{
		"a type that does not exist":         sound(`{"type":"string"}`, `{"$ref":"#/$defs/Nothing"}`),
		"a row beneath a text":               sound() + "," + sound("ID", "b", "PATH", "model.a.b"),
		"a row with neither schema nor type": sound(`"schema"`, `"note":"x","schema"`, `{"type":"string"}`, `null`),
	} {
		cat, err := load(fstest.MapFS{
			"catalogue/1.0.0.json":       {Data: []byte(`{"version":"1.0.0","attributes":[` + rows + `]}`)},
			"catalogue/types-1.0.0.json": {Data: []byte(`{"version":"1.0.0","originStatement":[],"$defs":{}}`)},
		})
		if err != nil {
			t.Fatalf("%s: %v", claim, err)
		}
		if _, err := cat.Schemas(); err == nil {
			t.Errorf("%s makes a schema", claim)
		}
	}
}
