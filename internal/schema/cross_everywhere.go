package schema

import (
	"strconv"

	"github.com/provolt/provolt/internal/passport"
)

// everywhere applies the checks of single texts that hold wherever in a record
// a member of that name stands.
func everywhere(r *crossReport, p place) {
	walk(r, p.value, &trail{})
}

// trail is the way to a value: the member or element names from the top. The
// pointer is written only for what is at fault; nearly nothing is.
type trail struct {
	up    *trail // nil at the record
	token string // member name; of an element, empty
	index int    // of an element

	element bool
}

func walk(r *crossReport, value any, at *trail) {
	next := trail{up: at}
	switch value := value.(type) {
	case []any:
		next.element = true
		for i, element := range value {
			next.index = i
			walk(r, element, &next)
		}
	case map[string]any:
		for name, member := range value {
			next.token = name
			if text, ok := member.(string); ok && text != "" {
				countries(r, value, next, text)
				scripts(r, next, text)
				continue
			}
			walk(r, member, &next)
		}
	}
}

// pointer writes the trail as a JSON Pointer (RFC 6901).
func (t trail) pointer() string {
	switch {
	case t.up == nil:
		return ""
	case t.element:
		return t.up.pointer() + "/" + strconv.Itoa(t.index)
	default:
		return t.up.pointer() + passport.Pointer(t.token)
	}
}

// place returns the place of the text at the end of the trail.
func (t trail) place(text string) place {
	return place{value: text, pointer: t.pointer(), present: true}
}
