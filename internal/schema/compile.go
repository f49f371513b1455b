package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/provolt/provolt/internal/passport"
)

// base is where the schemas live while they are compiled. No loader knows it:
// what is not in the set cannot be loaded.
const base = "embed://schemas"

// schemaSet is every schema file of one version, ready to compile.
type schemaSet struct {
	version  string
	compiler *jsonschema.Compiler
	files    map[string]any // address to the parsed file, to explain a fault from
}

// compiled is one record type's schema.
type compiled struct {
	schema *jsonschema.Schema
	files  map[string]any
}

// errOutside is the only answer to a reference that leaves the set.
var errOutside = errors.New("reference leaves the schemas of this version")

// loadSchemas reads every file of a version directory.
func loadSchemas(files fs.FS, version string) (*schemaSet, error) {
	set := &schemaSet{version: version, compiler: jsonschema.NewCompiler(), files: map[string]any{}}
	set.compiler.Draft = jsonschema.Draft2020
	set.compiler.AssertFormat = true
	set.compiler.LoadURL = func(url string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%w: %s", errOutside, url)
	}
	for name, check := range formats {
		set.compiler.Formats[name] = func(v any) bool { return check(v) == nil }
	}
	entries, err := fs.ReadDir(files, version)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	for _, entry := range entries {
		raw, err := fs.ReadFile(files, version+"/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		if err := set.add(entry.Name(), raw); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (s *schemaSet) address(name string) string { return base + "/schemas/" + s.version + "/" + name }

func (s *schemaSet) add(name string, raw []byte) error {
	if err := s.compiler.AddResource(s.address(name), bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var parsed any
	if err := dec.Decode(&parsed); err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	if err := knownFormats(parsed); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	s.files[s.address(name)] = parsed
	return nil
}

// knownFormats refuses a format nobody checks: it would look like a check.
func knownFormats(v any) error {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["format"].(string); ok && formats[name] == nil {
			return fmt.Errorf("format %q has no check", name)
		}
		for _, member := range v {
			if err := knownFormats(member); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := knownFormats(item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *schemaSet) compile(name string) (*compiled, error) {
	sch, err := s.compiler.Compile(s.address(name))
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	return &compiled{schema: sch, files: s.files}, nil
}

// faults are what one schema finds in a document.
type faults struct {
	shape  []passport.Violation // codes schema.KEYWORD
	values []passport.Violation // codes of the parser that refused the value
}

// validate judges the document. Numbers are compared as exact rationals read
// from their text.
func (c *compiled) validate(doc map[string]any) faults {
	err := c.schema.Validate(doc)
	if err == nil {
		return faults{}
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		// the tree holds a Go type that no JSON text makes
		return faults{shape: []passport.Violation{{
			Code: "schema.type", Severity: passport.Blocking, Expected: "a JSON document", Found: err.Error(),
		}}}
	}
	e := explainer{doc: doc, files: c.files}
	e.walk(invalid)
	return e.faults
}

// at finds a value in a parsed JSON document by its JSON Pointer.
func at(doc any, pointer string) (any, bool) {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			return doc, true
		}
		token = unescape.Replace(token)
		switch v := doc.(type) {
		case map[string]any:
			member, ok := v[token]
			if !ok {
				return nil, false
			}
			doc = member
		case []any:
			i, ok := index(token)
			if !ok || i >= len(v) {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// index reads an array index: decimal digits.
func index(token string) (int, bool) {
	n := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' || n > 1<<24 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, token != ""
}
