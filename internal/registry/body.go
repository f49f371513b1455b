package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// frame says what the body of an operation holds: {"passport": {…}, "model":
// {…} or {"recordId": …}, …}.
type frame struct {
	about     passport.RecordType   // comes whole
	required  []passport.RecordType // come whole or as pins
	optional  []passport.RecordType // may come whole or as pins
	versioned bool                  // may ask for a version number
}

// submission is the body of a write, taken apart: which records it carries,
// which it pins by id, and which version number it asks for.
type submission struct {
	records map[passport.RecordType]map[string]any
	pins    map[passport.RecordType]passport.ID
	version int // of the record it is about; 0: none asked for
}

// parse reads a body. Every fault of the frame is reported at once; those of
// the records themselves are for the schema.
func (f frame) parse(body []byte) (submission, error) {
	top, err := object(body, "an object whose members are the records")
	if err != nil {
		return submission{}, err
	}
	s := submission{records: map[passport.RecordType]map[string]any{}, pins: map[passport.RecordType]passport.ID{}}
	var faults []passport.Violation
	for _, name := range slices.Sorted(maps.Keys(top)) {
		faults = append(faults, s.readMember(f, name, top[name])...)
	}
	for _, t := range append([]passport.RecordType{f.about}, f.required...) {
		if _, ok := top[string(t)]; !ok {
			faults = append(faults, passport.Violation{
				Pointer: passport.Pointer(string(t)), Code: "member.missing", Severity: passport.Blocking,
				Expected: "the " + string(t) + " record", Found: "nothing", Repair: "add the member " + string(t),
			})
		}
	}
	if len(faults) > 0 {
		return submission{}, &Invalid{faults}
	}
	return s, nil
}

// object takes a body through the strict JSON gate; anything but an object is
// refused.
func object(body []byte, expected string) (map[string]any, error) {
	tree, err := strictjson.Parse(body)
	if err != nil {
		return nil, err
	}
	top, ok := tree.(map[string]any)
	if !ok {
		return nil, blocking(passport.Violation{Code: "body.type", Expected: expected, Found: kind(tree), Repair: "send " + expected})
	}
	return top, nil
}

func (s *submission) readMember(f frame, name string, member any) []passport.Violation {
	t := passport.RecordType(name)
	switch {
	case t == f.about:
		return s.readRecord(t, member, false)
	case slices.Contains(f.required, t) || slices.Contains(f.optional, t):
		return s.readRecord(t, member, true)
	case name == "version" && f.versioned:
		return s.readVersion(member)
	}
	return []passport.Violation{{
		Pointer: passport.Pointer(name), Code: "member.unknown", Severity: passport.Blocking,
		Expected: fmt.Sprintf("only %v", slices.Concat([]passport.RecordType{f.about}, f.required, f.optional)), Found: kind(member),
		Repair: "remove the member, or put it inside its record",
	}}
}

func (s *submission) readVersion(member any) []passport.Violation {
	n, ok := wholeNumber(member)
	if !ok || n < 1 {
		return []passport.Violation{{
			Pointer: "/version", Code: "version.form", Severity: passport.Blocking,
			Expected: "a whole number from 1", Found: kind(member), Repair: "leave version out to get the next one",
		}}
	}
	s.version = n
	return nil
}

// readRecord takes a member that is a whole record or, where that is allowed, a
// pin.
func (s *submission) readRecord(t passport.RecordType, member any, pinnable bool) []passport.Violation {
	record, ok := member.(map[string]any)
	if !ok {
		return []passport.Violation{{
			Pointer: passport.Pointer(string(t)), Code: "member.type", Severity: passport.Blocking,
			Expected: "an object", Found: kind(member), Repair: "send the " + string(t) + " record as an object",
		}}
	}
	ref, pinned := record["recordId"]
	if !pinned || !pinnable {
		s.records[t] = record
		return nil
	}
	text, _ := ref.(string)
	id, err := passport.ParseID(text)
	if err != nil || len(record) != 1 {
		return []passport.Violation{{
			Pointer: passport.Pointer(string(t), "recordId"), Code: "pin.form", Severity: passport.Blocking,
			Expected: "recordId alone, a UUIDv7", Found: kind(ref),
			Repair: "send either the whole " + string(t) + " record, or only the recordId of a registered one",
		}}
	}
	s.pins[t] = id
	return nil
}

// kind says what a JSON value is, for the "found" of a violation.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "the text " + passport.Quote(v)
	case bool:
		return fmt.Sprint(v)
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("the number %v", v)
	}
}

func wholeNumber(v any) (int, bool) {
	n, _ := v.(json.Number)
	i, err := n.Int64()
	return int(i), err == nil && i < 1<<31
}
