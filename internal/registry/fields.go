package registry

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// fields reads a small request body member by member and gathers its faults.
type fields struct {
	values map[string]any
	faults []passport.Violation
}

func parseFields(body []byte, known ...string) (*fields, error) {
	values, err := object(body, fmt.Sprintf("an object of %v", known))
	if err != nil {
		return nil, err
	}
	f := &fields{values: values}
	for name := range values {
		if !slices.Contains(known, name) {
			f.fault(name, "member.unknown", fmt.Sprintf("only %v", known))
		}
	}
	return f, nil
}

// fault notes what is wrong with a member.
func (f *fields) fault(name, code, expected string) {
	v := passport.Violation{
		Pointer: passport.Pointer(name), Code: code, Severity: passport.Blocking,
		Expected: expected, Found: "nothing", Repair: "send " + expected,
	}
	if value, sent := f.values[name]; sent {
		v.Found = kind(value)
	}
	f.faults = append(f.faults, v)
}

// err is nil if there were no faults.
func (f *fields) err() error {
	if len(f.faults) == 0 {
		return nil
	}
	slices.SortFunc(f.faults, func(a, b passport.Violation) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Code, b.Code))
	})
	return &Invalid{f.faults}
}

func (f *fields) text(name string) string { return text(f.values, name) }

// instant reads an RFC 3339 instant, in microseconds as a Store keeps it.
func (f *fields) instant(name string) time.Time {
	at, err := time.Parse(time.RFC3339, f.text(name))
	if err != nil {
		f.fault(name, "instant.form", `an RFC 3339 instant such as "2027-02-18T00:00:00Z"`)
	}
	return at.UTC().Truncate(time.Microsecond)
}

// points reads a list of restricted tiers, each named once.
func (f *fields) points(name string) passport.Tiers {
	list, _ := f.values[name].([]any)
	var tiers []passport.Tier
	for _, v := range list {
		s, _ := v.(string)
		tiers = append(tiers, passport.Tier(s))
	}
	set := passport.TiersOf(tiers...)
	if len(tiers) == 0 || len(set.List()) != len(tiers) {
		f.fault(name, "points.form", fmt.Sprintf("one or more of %v, each once", passport.Restricted()))
	}
	return set
}
