package migrations_test

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/migrations"
)

// keyedByValue are the tables whose key is not the series. The first group is
// written together with a series' rows and so makes a registration span
// shards, which only uniqueness across series can justify; the second is small
// or belongs to one organisation.
var keyedByValue = map[string]string{
	"battery_claim": "one passport in force per battery, over all organisations",
	"natural_key":   "one series per model or batch name",
	"idempotency":   "one change per key, before its series is known",

	"instance":     "one row",
	"slot_counter": "one row",
	"organisation": "few, read whole",
	"signing_key":  "few, read whole",
	"member":       "few per organisation",
	"enrolment":    "few, found by secret",
	"access_grant": "few per organisation",
	"purpose_log":  "one chain per owner",
}

type dialect struct {
	forms []*regexp.Regexp // what a step may be
	types []string
}

var (
	sqlite = dialect{
		forms: forms(`CREATE TABLE IF NOT EXISTS \w+ \(.*\) STRICT(, WITHOUT ROWID)?`, `CREATE INDEX IF NOT EXISTS \w+ ON .*`),
		types: []string{"TEXT", "INTEGER", "BLOB"},
	}
	postgres = dialect{
		forms: forms(`CREATE TABLE IF NOT EXISTS \w+ \(.*\)`, `CREATE INDEX IF NOT EXISTS \w+ ON .*`,
			`ALTER TABLE \w+ ALTER COLUMN \w+ SET STORAGE \w+`, `ALTER TABLE \w+ (ENABLE|FORCE) ROW LEVEL SECURITY`,
			`DROP POLICY IF EXISTS \w+ ON \w+`, `CREATE POLICY \w+ ON .*`, `(GRANT|REVOKE) .*`),
		types: []string{`uuid`, `text COLLATE "C"`, `bigint`, `smallint`, `boolean`, `timestamptz`, `bytea`, `date`},
	}
)

func forms(patterns ...string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, p := range patterns {
		all = append(all, regexp.MustCompile(`(?s)^`+p+`$`))
	}
	return all
}

// banned is what some database we want to be able to run on does not have, or
// has for one node only. The forms above leave it no room as a statement; this
// finds it inside one.
var banned = regexp.MustCompile(`(?i)\b(TRIGGER|SEQUENCE|NEXTVAL|IDENTITY|AUTOINCREMENT|REFERENCES|FOREIGN|` +
	`SAVEPOINT|LOCK|DEFERRABLE|EXCLUDE|EXTENSION|TEMP|TEMPORARY|FUNCTION|PROCEDURE|NOTIFY|LISTEN|JSONB?|FLOAT\d*|DOUBLE|REAL|NUMERIC|DECIMAL|DEFAULT)\b`)

func TestMigrationsKeepTheSchemaRules(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		dialect
		set fs.FS
	}{"sqlite": {sqlite, migrations.SQLite()}, "postgres": {postgres, migrations.Postgres()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := tt.read(t, tt.set)
			for _, fault := range faults {
				t.Error(fault)
			}
		})
	}
}

// A rule nobody can break is no rule: each line here must be found.
func TestTheRulesFindWhatTheyForbid(t *testing.T) {
	t.Parallel()
	const head = "-- +goose NO TRANSACTION\n-- +goose Up\n"
	for name, tt := range map[string]struct{ file, sql, fault string }{
		"trigger":              {"0001_a.sql", head + `CREATE TRIGGER t AFTER INSERT ON record BEGIN SELECT 1; END;`, "no step"},
		"identity":             {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS instance (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);`, "IDENTITY"},
		"serial":               {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS instance (id bigserial NOT NULL PRIMARY KEY);`, "type bigserial"},
		"sequence":             {"0001_a.sql", head + `CREATE SEQUENCE s;`, "no step"},
		"foreign key":          {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS instance (id bigint NOT NULL PRIMARY KEY, org text COLLATE "C" NOT NULL REFERENCES organisation (org));`, "REFERENCES"},
		"savepoint":            {"0001_a.sql", head + `SAVEPOINT s;`, "no step"},
		"table lock":           {"0001_a.sql", head + `LOCK TABLE record;`, "no step"},
		"deferrable":           {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL PRIMARY KEY DEFERRABLE);`, "DEFERRABLE"},
		"float":                {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL PRIMARY KEY, mass double precision);`, "double"},
		"jsonb":                {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL PRIMARY KEY, doc jsonb);`, "jsonb"},
		"locale":               {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL PRIMARY KEY, name text NOT NULL);`, "type"},
		"unique elsewhere":     {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL, n bigint NOT NULL, PRIMARY KEY (series_id), UNIQUE (n));`, "does not hold series_id"},
		"unique column":        {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL PRIMARY KEY, n bigint NOT NULL UNIQUE);`, "UNIQUE"},
		"unique index":         {"0001_a.sql", head + `CREATE UNIQUE INDEX IF NOT EXISTS i ON record (record_id);`, "no step"},
		"another key":          {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (record_id uuid NOT NULL PRIMARY KEY);`, "begins with record_id"},
		"no key":               {"0001_a.sql", head + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL);`, "no primary key"},
		"data":                 {"0001_a.sql", head + `INSERT INTO instance VALUES (1);`, "no step"},
		"cannot run again":     {"0001_a.sql", head + `CREATE TABLE a (series_id uuid NOT NULL PRIMARY KEY);`, "no step"},
		"several in one":       {"0001_a.sql", "-- +goose Up\n" + `CREATE TABLE IF NOT EXISTS a (series_id uuid NOT NULL PRIMARY KEY);`, "NO TRANSACTION"},
		"a way back":           {"0001_a.sql", head + "-- +goose Down\n", "Down"},
		"a gap":                {"0002_a.sql", head, "number"},
		"a name out of line":   {"1.sql", head, "named"},
		"a block goose splits": {"0001_a.sql", head + "-- +goose StatementBegin\n", "StatementBegin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := postgres.read(t, fstest.MapFS{tt.file: {Data: []byte(tt.sql)}})
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, tt.fault) }) {
				t.Errorf("faults %q, want one about %q", faults, tt.fault)
			}
		})
	}
}

// table is what both dialects must agree on.
type table struct {
	Key     []string
	Columns []string // "name" or "name?" if it may be NULL
}

func TestDialectsHaveEqualNumbersTablesAndColumns(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(files(t, migrations.SQLite()), files(t, migrations.Postgres())); diff != "" {
		t.Errorf("files (-sqlite +postgres):\n%s", diff)
	}
	one, _ := sqlite.read(t, migrations.SQLite())
	two, _ := postgres.read(t, migrations.Postgres())
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("tables (-sqlite +postgres):\n%s", diff)
	}
}

func TestEveryExceptionIsUsed(t *testing.T) {
	t.Parallel()
	tables, _ := sqlite.read(t, migrations.SQLite())
	for name := range keyedByValue {
		if _, ok := tables[name]; !ok {
			t.Errorf("table %s has leave to be keyed otherwise, but does not exist", name)
		}
	}
}

func files(t *testing.T, set fs.FS) []string {
	t.Helper()
	names, err := fs.Glob(set, "*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// read takes the files apart and returns the tables with every fault found.
func (d dialect) read(t *testing.T, set fs.FS) (tables map[string]table, faults []string) {
	t.Helper()
	tables = make(map[string]table)
	for i, name := range files(t, set) {
		text, err := fs.ReadFile(set, name)
		if err != nil {
			t.Fatal(err)
		}
		fault := func(format string, args ...any) {
			faults = append(faults, name+": "+fmt.Sprintf(format, args...))
		}
		if number, err := migrations.Number(name); err != nil {
			fault("%v", err)
		} else if number != int64(i+1) {
			fault("number %d, want %d", number, i+1)
		}
		directives(string(text), fault)
		for _, statement := range statements(string(text)) {
			d.check(statement, tables, fault)
		}
	}
	return tables, faults
}

// directives wants each statement to be a step of its own, and no way back: a
// release that has to be undone is followed by another.
func directives(text string, fault func(string, ...any)) {
	if !strings.Contains(text, "-- +goose NO TRANSACTION\n-- +goose Up\n") {
		fault("lacks NO TRANSACTION, so its statements would be one step")
	}
	for _, no := range []string{"Down", "StatementBegin", "ENVSUB"} {
		if strings.Contains(text, "-- +goose "+no) {
			fault("has %s", no)
		}
	}
}

var (
	comment = regexp.MustCompile(`--[^\n]*`)
	space   = regexp.MustCompile(`\s+`)
)

func statements(text string) []string {
	var all []string
	for s := range strings.SplitSeq(comment.ReplaceAllString(text, ""), ";") {
		if s = strings.TrimSpace(space.ReplaceAllString(s, " ")); s != "" {
			all = append(all, s)
		}
	}
	return all
}

var created = regexp.MustCompile(`^CREATE TABLE IF NOT EXISTS (\w+) \((.*)\)[^)]*$`)

func (d dialect) check(statement string, tables map[string]table, fault func(string, ...any)) {
	if !slices.ContainsFunc(d.forms, func(f *regexp.Regexp) bool { return f.MatchString(statement) }) {
		fault("no step of a permitted form: %.60s", statement)
	}
	if word := banned.FindString(statement); word != "" {
		fault("%s in: %.60s", word, statement)
	}
	if m := created.FindStringSubmatch(statement); m != nil {
		tables[m[1]] = d.table(m[1], m[2], fault)
	}
}

// table reads the body of a CREATE TABLE.
func (d dialect) table(name, body string, fault func(string, ...any)) table {
	var made table
	var unique [][]string
	for _, part := range parts(body) {
		switch {
		case strings.HasPrefix(part, "PRIMARY KEY"):
			made.Key = names(part)
		case strings.HasPrefix(part, "UNIQUE"):
			unique = append(unique, names(part))
		default:
			column, rest, _ := strings.Cut(part, " ")
			if !slices.ContainsFunc(d.types, func(t string) bool { return rest == t || strings.HasPrefix(rest, t+" ") }) {
				fault("%s.%s: type %s is not one of %v", name, column, rest, d.types)
			}
			if strings.Contains(rest, "UNIQUE") {
				fault("%s.%s: UNIQUE on one column", name, column)
			}
			if strings.Contains(rest, "PRIMARY KEY") {
				made.Key = []string{column}
			}
			if !strings.Contains(rest, "NOT NULL") {
				column += "?"
			}
			made.Columns = append(made.Columns, column)
		}
	}
	checkKey(name, made.Key, unique, fault)
	return made
}

func checkKey(name string, key []string, unique [][]string, fault func(string, ...any)) {
	if len(key) == 0 {
		fault("%s: no primary key", name)
		return
	}
	if keyedByValue[name] == "" && key[0] != "series_id" {
		fault("%s: primary key begins with %s, not series_id", name, key[0])
	}
	for _, columns := range unique {
		if !slices.Contains(columns, key[0]) {
			fault("%s: unique %v does not hold %s", name, columns, key[0])
		}
	}
}

// parts splits at the commas outside parentheses.
func parts(body string) []string {
	var all []string
	depth, from := 0, 0
	for i, c := range body + "," {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			all = append(all, strings.TrimSpace(body[from:i]))
			from = i + 1
		}
	}
	return all
}

// names lists what stands in the parentheses.
func names(part string) []string {
	_, inner, _ := strings.Cut(part, "(")
	inner, _, _ = strings.Cut(inner, ")")
	return strings.Split(strings.ReplaceAll(inner, " ", ""), ",")
}

func TestVersionsAreCompared(t *testing.T) {
	t.Parallel()
	set := fstest.MapFS{"0001_a.sql": {}, "0012_b.sql": {}}
	for version, want := range map[int64]error{0: migrations.ErrNotMigrated, 11: migrations.ErrNotMigrated, 12: nil, 13: migrations.ErrNewerSchema} {
		if err := migrations.Check(version, set); !errors.Is(err, want) {
			t.Errorf("version %d: got %v, want %v", version, err, want)
		}
	}
	if err := migrations.Check(1, fstest.MapFS{"first.sql": {}}); err == nil {
		t.Error("a file without a number is passed over")
	}
}
