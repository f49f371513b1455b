package provolt_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/provolt/provolt"

// mayImport is the plan of the house: which of our packages each package may
// import. A package without a row fails the build, so that adding one is a
// decision and not an accident. Directories are relative to the module root.
var mayImport = map[string][]string{
	".":          {},
	"schemas":    {},
	"migrations": {},

	// The pure core: functions of their arguments, no side effects.
	"internal/passport":   {},
	"internal/tlog":       {},
	"internal/strictjson": {"internal/passport"},
	"internal/access":     {"internal/passport"},
	"internal/catalogue":  {"internal/passport", "schemas"},
	"internal/schema":     {"internal/passport", "internal/catalogue", "internal/strictjson", "schemas"},
	"internal/credential": {"internal/passport", "internal/catalogue", "internal/schema", "internal/strictjson"},
	"internal/verify": {
		"internal/passport", "internal/catalogue", "internal/credential", "internal/schema", "internal/strictjson", "internal/tlog",
	},

	// The orchestrator: the only place where the order of steps matters.
	"internal/registry": {
		"internal/passport", "internal/strictjson", "internal/catalogue", "internal/schema", "internal/credential", "internal/verify",
		"internal/access", "internal/tlog", "internal/keyring",
	},

	// The edges: they know the core and never each other.
	"internal/sqlite":   {"internal/registry", "internal/passport", "internal/access", "internal/tlog", "migrations"},
	"internal/postgres": {"internal/registry", "internal/passport", "internal/access", "internal/tlog", "migrations"},
	"internal/keyring":  {"internal/passport"},
	"internal/identity": {"internal/passport", "internal/access"},
	"internal/carrier":  {"internal/passport"},
	"internal/httpapi": {
		".", "internal/registry", "internal/verify", "internal/passport", "internal/access", "internal/identity", "internal/strictjson",
		"internal/catalogue", "internal/carrier", "schemas",
	},
	"internal/web": {
		"internal/registry", "internal/verify", "internal/passport", "internal/access", "internal/catalogue", "internal/carrier",
	},
	"internal/client":    {"internal/registry", "internal/verify", "internal/credential", "internal/passport"},
	"internal/config":    {},
	"internal/telemetry": {},
	"internal/demo": {
		"internal/registry", "internal/passport", "internal/access", "internal/catalogue", "internal/strictjson", "schemas",
	},

	// Test-only packages; see testOnly.
	"internal/registry/storetest": {
		"internal/registry", "internal/passport", "internal/access", "internal/tlog", "internal/pgtest", "internal/strictjson/hostile",
	},
	"internal/bench":              {},
	"internal/bench/binary":       {},
	"internal/pgtest":             {"internal/postgres"},
	"internal/strictjson/hostile": {},

	// The wiring: knows everything, holds no logic.
	"cmd/provolt": {everything},
}

// everything in a row of mayImport stands for all packages but the test-only
// ones.
const everything = "*"

// testOnly packages import testing or exist for tests. Only test files and
// each other may import them, so they are never linked into the binary.
var testOnly = []string{
	"internal/registry/storetest", "internal/pgtest", "internal/strictjson/hostile", "internal/bench", "internal/bench/binary",
}

// core packages have no side effects: what they answer depends on nothing but
// their arguments, so that any past decision can be replayed.
var core = []string{
	".", "schemas", "internal/passport", "internal/tlog", "internal/strictjson", "internal/access", "internal/catalogue",
	"internal/schema", "internal/credential", "internal/verify", "internal/provenance", "internal/rules",
}

// sideEffects are packages of the standard library that reach outside the
// process, or bring in chance. "net" means that package alone: net/url and
// net/netip only parse. A trailing "/" means everything below.
var sideEffects = []string{
	"net", "net/http", "net/http/", "net/rpc", "net/smtp", "database/sql", "database/sql/", "os", "os/", "syscall", "plugin", "log",
	"log/syslog", "io/ioutil", "crypto/rand", "math/rand", "math/rand/v2", "unsafe",
}

// needed are the side effects that a package of the core cannot do without.
var needed = map[string][]string{
	// A crypto.Signer asks for chance; what is signed does not depend on it.
	"internal/credential": {"crypto/rand"},
}

// usedBy says which packages may use a module from outside, tests apart. Each
// module hides behind one package as far as it can, so that replacing it is a
// change of that package; one without a row is in nobody's plan.
var usedBy = map[string][]string{
	"filippo.io/age":                           {"internal/keyring"},
	"github.com/MicahParks/jwkset":             {"internal/identity"},
	"github.com/MicahParks/keyfunc/v3":         {"internal/identity"},
	"github.com/alecthomas/kong":               {"cmd/provolt"},
	"github.com/boombuler/barcode":             {"internal/carrier"},
	"github.com/gin-gonic/gin":                 {"internal/httpapi", "internal/web", "cmd/provolt"},
	"github.com/golang-jwt/jwt/v5":             {"internal/credential", "internal/identity"},
	"github.com/google/uuid":                   {"internal/passport"},
	"github.com/gowebpki/jcs":                  {"internal/strictjson"},
	"github.com/jackc/pgx/v5":                  {"internal/postgres", "internal/pgtest"},
	"github.com/makiuchi-d/gozxing":            {"internal/carrier"},
	"github.com/maypok86/otter/v2":             {"internal/registry", "internal/httpapi"},
	"github.com/pressly/goose/v3":              {"internal/sqlite", "internal/postgres"},
	"github.com/prometheus/client_golang":      {"internal/telemetry", "cmd/provolt"},
	"github.com/santhosh-tekuri/jsonschema/v5": {"internal/schema"},
	"go.yaml.in/yaml/v3":                       {"internal/httpapi"},
	"golang.org/x/image":                       {"internal/carrier"},
	"golang.org/x/text":                        {"internal/passport", "internal/strictjson", "internal/web"},
	"golang.org/x/time":                        {"internal/httpapi"},
	"modernc.org/sqlite":                       {"internal/sqlite"},
	"rsc.io/qr":                                {"internal/carrier"},
	"github.com/google/go-cmp":                 {"internal/registry/storetest"},
	"pgregory.net/rapid":                       {"internal/registry/storetest"},
	"golang.org/x/mod":                         {"internal/tlog", "internal/verify"},
}

// forTests are modules that only tests use, so that they are never linked into
// the binary.
var forTests = []string{
	"github.com/chromedp/cdproto", "github.com/chromedp/chromedp", "github.com/getkin/kin-openapi", "github.com/go-jose/go-jose/v4", "github.com/rogpeppe/go-internal",
}

// maxModules is how many modules go.mod may name itself.
const maxModules = 35

// source is one Go file of the module.
type source struct {
	dir, name string // "internal/passport", "id.go"
	test      bool
	file      *ast.File
	set       *token.FileSet
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", path.Join(s.dir, s.name), s.set.Position(n.Pos()).Line)
}

func (s source) imports() map[string]ast.Node {
	all := map[string]ast.Node{}
	for _, i := range s.file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			all[p] = i
		}
	}
	return all
}

// sources parses every Go file of the module, whatever its build tags. It reads
// the files itself: a child process (go list) would read them behind the back
// of the test cache, and a stale "ok" would come back.
func sources(t *testing.T, mode parser.Mode) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"testdata", "node_modules", "tools"}, d.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, p, nil, mode)
		if err != nil {
			return fmt.Errorf("parse %s: %w", p, err)
		}
		all = append(all, source{
			dir: filepath.ToSlash(filepath.Dir(p)), name: d.Name(), test: strings.HasSuffix(p, "_test.go"), file: file, set: set,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// own returns the directory of an import path of ours.
func own(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func TestEveryPackageHasARowInThePlan(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if _, ok := mayImport[s.dir]; !ok {
			t.Errorf("%s: package has no row in mayImport", path.Join(s.dir, s.name))
		}
	}
}

func TestPackagesImportOnlyWhatThePlanAllows(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if s.test {
			continue // tests build worlds: the SQLite store is everybody's fake
		}
		for p, n := range s.imports() {
			dir, ours := own(p)
			row := mayImport[s.dir]
			if ours && !slices.Contains(row, dir) && !slices.Contains(row, everything) {
				t.Errorf("%s: %s may not import %s", s.at(n), s.dir, dir)
			}
		}
	}
}

func TestNothingImportsTheCommand(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		for p, n := range s.imports() {
			if dir, ours := own(p); ours && strings.HasPrefix(dir, "cmd/") {
				t.Errorf("%s imports %s", s.at(n), dir)
			}
		}
	}
}

func TestThePlanHasNoCycleAndNoGhost(t *testing.T) {
	for dir, row := range mayImport {
		for _, to := range row {
			if _, ok := mayImport[to]; !ok && to != everything {
				t.Errorf("%s may import %s, which has no row", dir, to)
			}
			if slices.Contains(mayImport[to], dir) {
				t.Errorf("%s and %s may import each other", dir, to)
			}
		}
	}
}

func TestTheCoreReachesNothingOutside(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if s.test || !slices.Contains(core, s.dir) {
			continue
		}
		for p, n := range s.imports() {
			banned := slices.ContainsFunc(sideEffects, func(b string) bool {
				return p == b || strings.HasSuffix(b, "/") && strings.HasPrefix(p, b)
			})
			if banned && !slices.Contains(needed[s.dir], p) {
				t.Errorf("%s: the core may not import %s", s.at(n), p)
			}
		}
	}
}

func TestEachOutsideModuleHidesBehindItsPackage(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if s.test {
			continue
		}
		for p, n := range s.imports() {
			if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
				continue // standard library
			}
			if _, ours := own(p); ours {
				continue
			}
			if !slices.Contains(users(p), s.dir) {
				t.Errorf("%s: %s may not use %s", s.at(n), s.dir, p)
			}
		}
	}
}

// users returns the packages that may import the path.
func users(importPath string) []string {
	for mod, packages := range usedBy {
		if importPath == mod || strings.HasPrefix(importPath, mod+"/") {
			return packages
		}
	}
	return nil
}

func TestTheBinaryLinksNoTestCode(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if s.test || slices.Contains(testOnly, s.dir) {
			continue
		}
		for p, n := range s.imports() {
			dir, ours := own(p)
			if p == "testing" || strings.HasPrefix(p, "testing/") || ours && slices.Contains(testOnly, dir) {
				t.Errorf("%s imports %s outside a test", s.at(n), p)
			}
		}
	}
}

// TestOnlyTheCommandLooksAtTheClock: everywhere else the time is an argument,
// or comes from a clock that was handed in.
func TestOnlyTheCommandLooksAtTheClock(t *testing.T) {
	for _, s := range sources(t, parser.SkipObjectResolution) {
		if s.test || strings.HasPrefix(s.dir, "cmd/") || slices.Contains(testOnly, s.dir) {
			continue
		}
		name := importedAs(s.file, "time")
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if ok && name != "" && x.Name == name && slices.Contains([]string{"Now", "Since", "Until"}, sel.Sel.Name) {
				t.Errorf("%s: time.%s", s.at(n), sel.Sel.Name)
			}
			return true
		})
	}
}

// importedAs returns the name a file uses for a package, or "".
func importedAs(f *ast.File, importPath string) string {
	for _, i := range f.Imports {
		if i.Path.Value != strconv.Quote(importPath) {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// TestNoTestSkips: a skip is a hole that a green run hides. What a test needs
// is installed by the Makefile, or the test fails and says what is missing.
func TestNoTestSkips(t *testing.T) {
	for _, s := range sources(t, parser.SkipObjectResolution) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(testingNames(s.file), x.Name) {
				t.Errorf("%s: %s.%s", s.at(n), x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// testingNames returns the parameters of a type of package testing in a file.
// A generator that rejects a draw (rapid.T) skips no test.
func testingNames(f *ast.File) []string {
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		typ := field.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		if sel, ok := typ.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "testing" {
				for _, name := range field.Names {
					names = append(names, name.Name)
				}
			}
		}
		return true
	})
	return names
}

// TestTheExactCoreKnowsNoFloats: masses, shares and thresholds are exact.
func TestTheExactCoreKnowsNoFloats(t *testing.T) {
	exact := []string{"internal/passport", "internal/strictjson", "internal/schema", "internal/provenance", "internal/rules"}
	for _, s := range sources(t, parser.SkipObjectResolution) {
		if s.test || !slices.Contains(exact, s.dir) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && (id.Name == "float64" || id.Name == "float32") {
				t.Errorf("%s: %s", s.at(n), id.Name)
			}
			return true
		})
	}
}

func TestGoModNamesFewModulesAndEachHasItsPlace(t *testing.T) {
	f, err := os.Open("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var direct []string
	inBlock := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "require (":
			inBlock = true
		case line == ")":
			inBlock = false
		case strings.HasSuffix(line, "// indirect"):
		case inBlock && line != "":
			name, _, _ := strings.Cut(line, " ")
			direct = append(direct, name)
		case strings.HasPrefix(line, "require "):
			direct = append(direct, strings.Fields(line)[1])
		case strings.HasPrefix(line, "replace "), strings.HasPrefix(line, "exclude "):
			t.Errorf("go.mod: %q: a plain clone must build as any other", line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for _, name := range direct {
		if usedBy[name] == nil && !slices.Contains(forTests, name) {
			t.Errorf("go.mod: nobody is to use %s", name)
		}
	}
	if len(direct) == 0 || len(direct) > maxModules {
		t.Errorf("go.mod names %d modules, want 1 to %d", len(direct), maxModules)
	}
}
