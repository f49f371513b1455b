package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/provolt/provolt/internal/passport"
)

// mostFaults bounds what one answer lists of one document's shape; nobody
// mends more in one go.
const mostFaults = 200

// explainer turns the library's errors into violations that their reader can
// act on without knowing JSON Schema.
type explainer struct {
	doc   any
	files map[string]any
	faults
}

// walk visits the leaves: the errors without causes are those that say what
// is wrong, the others only say where they were met.
func (e *explainer) walk(err *jsonschema.ValidationError) {
	if len(err.Causes) == 0 {
		e.leaf(err)
		return
	}
	for _, cause := range err.Causes {
		e.walk(cause)
	}
}

func (e *explainer) leaf(err *jsonschema.ValidationError) {
	if len(e.shape) >= mostFaults {
		return
	}
	pointer, unescapeErr := url.PathUnescape(err.InstanceLocation)
	if unescapeErr != nil {
		pointer = err.InstanceLocation
	}
	file, location, _ := strings.Cut(err.AbsoluteKeywordLocation, "#")
	location, unescapeErr = url.PathUnescape(location)
	if unescapeErr != nil {
		location = ""
	}
	slash := strings.LastIndexByte(location, '/')
	if slash < 0 {
		e.add(pointer, "schema.not", "no such value", e.found(pointer), "")
		return
	}
	keyword := location[slash+1:]
	parent, _ := at(e.files[file], location[:slash])
	schema, _ := parent.(map[string]any)
	if strings.Contains(err.KeywordLocation, "/propertyNames/") {
		e.name(pointer, schema)
		return
	}
	e.keyword(pointer, keyword, schema)
}

func (e *explainer) add(pointer, code, expected, found, repair string) {
	e.shape = append(e.shape, passport.Violation{
		Pointer: pointer, Code: code, Severity: passport.Blocking, Expected: expected, Found: found, Repair: repair,
	})
}

// keyword explains one keyword that refused the value at pointer.
func (e *explainer) keyword(pointer, keyword string, schema map[string]any) {
	limit := fmt.Sprint(schema[keyword])
	code, found := "schema."+keyword, e.found(pointer)
	switch keyword {
	case "required":
		e.required(pointer, schema)
	case "additionalProperties":
		e.unknown(pointer, schema)
	case "format":
		e.format(pointer, fmt.Sprint(schema["format"]))
	case "type":
		e.add(pointer, code, described(schema, "JSON type "+types(schema["type"])), found, "")
	case "enum":
		e.enumerated(pointer, schema)
	case "const":
		e.add(pointer, code, limit, found, "")
	case "pattern":
		e.add(pointer, code, described(schema, "a text that matches "+limit), found, "")
	case "minimum":
		e.add(pointer, code, bound(schema, "at least "+limit), found, "")
	case "maximum":
		e.add(pointer, code, bound(schema, "at most "+limit), found, "")
	case "exclusiveMinimum":
		e.add(pointer, code, bound(schema, "more than "+limit), found, "")
	case "minLength", "maxLength":
		e.add(pointer, code, limits(keyword, limit)+" characters", found, "")
	case "minItems", "maxItems":
		e.add(pointer, code, limits(keyword, limit)+" elements", found, "")
	case "minProperties", "maxProperties":
		e.add(pointer, code, limits(keyword, limit)+" members", found, "")
	case "uniqueItems":
		e.add(pointer, code, "elements that differ", found, "remove the repeated element")
	default:
		e.add(pointer, code, described(schema, "a value that the schema allows"), found, "")
	}
}

func limits(keyword, limit string) string {
	if strings.HasPrefix(keyword, "min") {
		return "at least " + limit
	}
	return "at most " + limit
}

// bound adds what the type says about itself: "at most 100 (per cent, 0 to 100)".
func bound(schema map[string]any, text string) string {
	if d, ok := schema["description"].(string); ok {
		return text + " (" + d + ")"
	}
	return text
}

// described prefers the type's own words.
func described(schema map[string]any, otherwise string) string {
	if d, ok := schema["description"].(string); ok {
		return d
	}
	return otherwise
}

func types(v any) string {
	if list, ok := v.([]any); ok {
		return join(list)
	}
	return fmt.Sprint(v)
}

func join(list []any) string {
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = "null"
		if item != nil {
			words[i] = fmt.Sprint(item)
		}
	}
	return strings.Join(words, ", ")
}

// required reports each required member that the object lacks.
func (e *explainer) required(pointer string, schema map[string]any) {
	object, _ := at(e.doc, pointer)
	members, _ := object.(map[string]any)
	names, _ := schema["required"].([]any)
	for _, name := range names {
		name, _ := name.(string)
		if _, ok := members[name]; !ok {
			e.add(pointer+passport.Pointer(name), "schema.required", "the member "+name, "nothing", "add "+name)
		}
	}
}

// unknown reports each member that the object may not have, and what its
// author may have meant.
func (e *explainer) unknown(pointer string, schema map[string]any) {
	object, _ := at(e.doc, pointer)
	members, _ := object.(map[string]any)
	known, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if _, ok := known[name]; ok {
			continue
		}
		e.add(pointer+passport.Pointer(name), "schema.additionalProperties",
			"a member the schema knows", "the member "+passport.Quote(name), repairUnknown(pointer, name, known))
	}
}

// frame are members of the credential around a record, and what is served
// beside it: people who read a passport and send it back include them.
var frame = []string{
	"recordType", "schemaVersion", "passportId", "recordId", "version", "issuer", "issuedAt", "status", "environment", "supersedes",
	"modelRecord", "batchRecord", "modelRecordId", "euRegistry", "registrationId", "id", "type", "$schema",
}

func repairUnknown(pointer, name string, known map[string]any) string {
	if pointer == "" && slices.Contains(frame, name) {
		return "leave it out: the registry states it around the record"
	}
	if meant, ok := closest(name, slices.Sorted(maps.Keys(known))); ok {
		return "did you mean " + meant + "?"
	}
	return "leave it out, or put it below extensions under a reverse domain name"
}

func (e *explainer) enumerated(pointer string, schema map[string]any) {
	values, _ := schema["enum"].([]any)
	repair := ""
	value, _ := at(e.doc, pointer)
	if text, ok := value.(string); ok {
		var names []string
		for _, v := range values {
			if name, ok := v.(string); ok {
				names = append(names, name)
			}
		}
		if meant, ok := closest(text, names); ok {
			repair = "did you mean " + meant + "?"
		}
	}
	e.add(pointer, "schema.enum", "one of "+join(values), e.found(pointer), repair)
}

// name explains a member whose name is refused. The pointer leads to the
// member.
func (e *explainer) name(pointer string, schema map[string]any) {
	name := unescape.Replace(pointer[strings.LastIndexByte(pointer, '/')+1:])
	e.add(pointer, "schema.propertyNames", described(schema, "another member name"), "the member "+passport.Quote(name), "")
}

// format asks the check behind a format again, for its words.
func (e *explainer) format(pointer, name string) {
	value, _ := at(e.doc, pointer)
	check, ok := formats[name]
	if !ok {
		return
	}
	if err := check(value); err != nil {
		e.values = append(e.values, passport.ViolationAt(pointer, err))
	}
}

// found shows the value at pointer, briefly.
func (e *explainer) found(pointer string) string {
	value, ok := at(e.doc, pointer)
	if !ok {
		return "nothing"
	}
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return passport.Quote(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "an array of " + strconv.Itoa(len(v))
	case map[string]any:
		return "an object of " + strconv.Itoa(len(v))
	}
	return "a value"
}

// closest returns the candidate that differs least from word, if a slip of
// the hand explains the difference: letter case, or at most a third of its
// letters.
func closest(word string, candidates []string) (string, bool) {
	const longest = 64 // nobody mistypes more, and the distance is quadratic
	if len(word) > longest {
		return "", false
	}
	best, distance := "", len(word)/3+1
	for _, candidate := range candidates {
		if strings.EqualFold(word, candidate) {
			return candidate, true
		}
		if d := edits(strings.ToLower(word), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	return best, best != ""
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
