package schema

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestReferencesOutsideTheBinaryDoNotCompile(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener that must never be called
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan struct{})
	go func() { // ends when the listener closes below
		defer close(called)
		if conn, err := listener.Accept(); err == nil {
			_ = conn.Close()
			t.Error("a schema was asked for over the network")
		}
	}()
	local := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(local, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"http://" + listener.Addr().String() + "/x.json", "https://" + listener.Addr().String() + "/x.json", "file://" + local, "missing.schema.json"} {
		set, err := loadSchemas(fstest.MapFS{
			"9.9.9/model.schema.json": {Data: []byte(`{"$id":"/schemas/9.9.9/model.schema.json","properties":{"a":{"$ref":"` + ref + `"}}}`)},
		}, "9.9.9")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.compile("model.schema.json"); !errors.Is(err, errOutside) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	<-called
}

func TestAFormatThatNobodyChecksIsRefused(t *testing.T) {
	_, err := loadSchemas(fstest.MapFS{"9.9.9/model.schema.json": {Data: []byte(`{"items":[{"format":"shoe-size"}]}`)}}, "9.9.9")
	if err == nil || !strings.Contains(err.Error(), "shoe-size") {
		t.Error(err)
	}
}

func TestALongListOfFaultsIsCut(t *testing.T) {
	set, err := loadSchemas(fstest.MapFS{
		"9.9.9/model.schema.json": {Data: []byte(`{"properties":{"a":{"items":{"type":"string"}}}}`)},
	}, "9.9.9")
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := set.compile("model.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if found := compiled.validate(map[string]any{"a": make([]any, 10*mostFaults)}); len(found.shape) != mostFaults {
		t.Errorf("%d faults", len(found.shape))
	}
}

func TestASlipOfTheHandIsRecognised(t *testing.T) {
	known := []string{"batteryMassKg", "batteryCategory", "gtin", "warrantyPeriod"}
	for word, want := range map[string]string{
		"batteryMass": "batteryMassKg", "warrentyPeriod": "warrantyPeriod", "GTIN": "gtin", "colour": "", "": "",
		strings.Repeat("x", 1000): "",
	} {
		if got, _ := closest(word, known); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
}
