package catalogue_test

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/schemas"
)

var update = flag.Bool("update", false, "write the schema files instead of comparing them")

const schemaDir = "../../schemas"

func load(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// released maps the files that are fixed for ever to their digests, as
// sha256sum writes them. The list grows with each release of the registry.
func released(t *testing.T) map[string]string {
	t.Helper()
	raw, err := schemas.FS.ReadFile("RELEASED.sha256")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		digest, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			t.Fatalf("RELEASED.sha256 has the line %q", line)
		}
		files[name] = digest
	}
	return files
}

func TestReleasedFilesNeverChange(t *testing.T) {
	for name, want := range released(t) {
		content, err := schemas.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(content)); got != want {
			t.Errorf("%s was released with SHA-256 %s and has %s: make a new version beside it", name, want, got)
		}
	}
}

func TestPublishedSchemasAreWhatTheCatalogueMakes(t *testing.T) {
	files, err := load(t).Schemas()
	if err != nil {
		t.Fatal(err)
	}
	fixed := released(t)
	for name, want := range files {
		path := catalogue.Version + "/" + name
		if *update && fixed[path] == "" {
			if err := os.WriteFile(filepath.Join(schemaDir, path), want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := schemas.FS.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the catalogue makes (go test ./internal/catalogue -update, unless it was released): %s", path, diff)
		}
	}
	published, err := schemas.FS.ReadDir(catalogue.Version)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range published {
		if files[file.Name()] == nil {
			t.Errorf("%s/%s comes from nowhere", catalogue.Version, file.Name())
		}
	}
}

func TestPresentedSchemasRequireOnlyWhatEverybodySees(t *testing.T) {
	cat := load(t)
	files, err := cat.Schemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range passport.RecordTypes() {
		var schema map[string]any
		if err := json.Unmarshal(files[catalogue.SchemaFile(record, true)], &schema); err != nil {
			t.Fatal(err)
		}
		requiredMembers(schema, nil, func(members []string) {
			if tier, ok := cat.TierAt(record, members...); ok && tier != passport.Public {
				t.Errorf("%s requires %s of tier %s", catalogue.SchemaFile(record, true), strings.Join(members, "."), tier)
			}
		})
	}
}

// requiredMembers visits what the containers of a record require; the insides
// of a value are withheld or shown with it.
func requiredMembers(schema map[string]any, members []string, visit func([]string)) {
	if schema["x-attribute"] != nil {
		return
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		visit(append(slices.Clone(members), name.(string)))
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		requiredMembers(property.(map[string]any), append(slices.Clone(members), name), visit)
	}
}
