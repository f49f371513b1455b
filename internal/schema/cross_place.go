package schema

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// place is a spot in a document: what stands there and its JSON Pointer
// (RFC 6901). A spot where nothing stands has a pointer too, so that a
// violation can name what is missing; every step onward from it is empty as
// well. Reading a place never panics, whatever the shape of the document.
type place struct {
	value   any
	pointer string
	present bool
}

// rootOf returns the place of the whole record; a nil record is absent.
func rootOf(doc map[string]any) place {
	return place{value: doc, present: doc != nil}
}

// at steps down through the named members.
func (p place) at(names ...string) place {
	for _, name := range names {
		members, _ := p.value.(map[string]any)
		value, present := members[name]
		p = place{value: value, pointer: p.below(name), present: present}
	}
	return p
}

// below returns the pointer of a member or element. Hardly a name needs
// escaping, and this is called for every step of every check.
func (p place) below(token string) string {
	if strings.ContainsAny(token, "~/") {
		return p.pointer + passport.Pointer(token)
	}
	return p.pointer + "/" + token
}

// elements returns the elements of an array, or none.
func (p place) elements() []place {
	array, _ := p.value.([]any)
	out := make([]place, len(array))
	for i, value := range array {
		out[i] = place{value: value, pointer: p.below(strconv.Itoa(i)), present: true}
	}
	return out
}

// names returns the member names of an object in sorted order, or none.
func (p place) names() []string {
	members, _ := p.value.(map[string]any)
	return slices.Sorted(maps.Keys(members))
}

// text returns the string that stands here, or "".
func (p place) text() string {
	s, _ := p.value.(string)
	return s
}

// is reports whether this very string stands here.
func (p place) is(s string) bool { return p.present && p.value == s }

// truth returns the boolean that stands here and whether one does.
func (p place) truth() (value, known bool) {
	value, known = p.value.(bool)
	return value, known
}

// number returns the exact value of the number that stands here, or nil.
func (p place) number() *big.Rat {
	n, ok := p.value.(json.Number)
	if !ok {
		return nil
	}
	return exact(n)
}

// lastPlace returns one unit in the last decimal place the number is written
// with ("0.058" gives 0.001), the resolution its author chose; zero where no
// number stands.
func (p place) lastPlace() *big.Rat {
	n, ok := p.value.(json.Number)
	if !ok || exact(n) == nil {
		return new(big.Rat)
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	_, decimals, _ := strings.Cut(mantissa, ".")
	power, _ := strconv.Atoi(exponent)
	return powerOfTen(power - len(decimals))
}
