package registry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// submission is the body of a write, taken apart: which records it carries,
// which it pins by id, and which version number it asks for.
type submission struct {
	records map[passport.RecordType]map[string]any
	pins    map[passport.RecordType]passport.ID
	version int // 0: none asked for
}

// parseSubmission reads a body of the form {"passport": {…}, "model": {…} or
// {"recordId": …}, …}. required names the members that must be there,
// optional those that may. Every fault of the frame is reported at once.
func parseSubmission(body []byte, required, optional []passport.RecordType, versioned bool) (submission, error) {
	tree, err := strictjson.Parse(body)
	if err != nil {
		return submission{}, err
	}
	top, ok := tree.(map[string]any)
	if !ok {
		return submission{}, &Invalid{[]passport.Violation{{
			Code: "body.type", Severity: passport.Blocking, Expected: "a JSON object", Found: kind(tree),
			Repair: "send an object whose members are the records",
		}}}
	}
	s := submission{records: map[passport.RecordType]map[string]any{}, pins: map[passport.RecordType]passport.ID{}}
	faults := s.readMembers(top, slices.Concat(required, optional), versioned)
	for _, t := range required {
		if _, ok := top[string(t)]; !ok {
			faults = append(faults, passport.Violation{
				Pointer: passport.Pointer(string(t)), Code: "member.missing", Severity: passport.Blocking,
				Expected: "the " + string(t) + " record", Repair: "add the member " + string(t),
			})
		}
	}
	if len(faults) > 0 {
		return submission{}, &Invalid{faults}
	}
	return s, nil
}

func (s *submission) readMembers(top map[string]any, known []passport.RecordType, versioned bool) []passport.Violation {
	var faults []passport.Violation
	for _, name := range slices.Sorted(maps.Keys(top)) {
		t := passport.RecordType(name)
		switch {
		case slices.Contains(known, t):
			faults = append(faults, s.readRecord(t, top[name])...)
		case name == "version" && versioned:
			n, ok := wholeNumber(top[name])
			if !ok || n < 1 {
				faults = append(faults, passport.Violation{
					Pointer: "/version", Code: "version.form", Severity: passport.Blocking,
					Expected: "a whole number from 1", Found: kind(top[name]), Repair: "leave version out to get the next one",
				})
			}
			s.version = n
		default:
			faults = append(faults, passport.Violation{
				Pointer: passport.Pointer(name), Code: "member.unknown", Severity: passport.Blocking,
				Expected: fmt.Sprintf("only %v", known), Found: name, Repair: "remove the member, or put it inside its record",
			})
		}
	}
	return faults
}

// readRecord takes a member that is either a whole record or a pin.
func (s *submission) readRecord(t passport.RecordType, member any) []passport.Violation {
	record, ok := member.(map[string]any)
	if !ok {
		return []passport.Violation{{
			Pointer: passport.Pointer(string(t)), Code: "member.type", Severity: passport.Blocking,
			Expected: "an object", Found: kind(member), Repair: "send the " + string(t) + " record as an object",
		}}
	}
	ref, pinned := record["recordId"]
	if !pinned || t == passport.Item || t == passport.Condition {
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
		return fmt.Sprintf("the text %.60q", v)
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
	n, ok := v.(interface{ Int64() (int64, error) })
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil && i < 1<<31
}
