package registry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// maxDifferences is how many differences a conflict shows.
const maxDifferences = 100

// difference lists the members in which two records differ, in the order of
// their pointers.
func difference(have, want map[string]any) []Difference {
	var out []Difference
	walkDifference("", have, want, &out)
	return out[:min(len(out), maxDifferences)]
}

func walkDifference(at string, have, want map[string]any, out *[]Difference) {
	names := maps.Clone(have)
	maps.Copy(names, want)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		pointer := at + passport.Pointer(name)
		h, isObject := have[name].(map[string]any)
		w, both := want[name].(map[string]any)
		if isObject && both {
			walkDifference(pointer, h, w, out)
			continue
		}
		if a, b := shown(have, name), shown(want, name); a != b {
			*out = append(*out, Difference{Pointer: pointer, Have: clip(a), Want: clip(b)})
		}
	}
}

// shown is the JSON text of a member; empty if there is none, which null is not.
func shown(in map[string]any, name string) string {
	v, present := in[name]
	if !present {
		return ""
	}
	b, err := strictjson.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func clip(s string) string {
	const most = 200
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
