package passport

import "strings"

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// Pointer makes the JSON Pointer (RFC 6901 section 3) of the member reached by
// tokens: member names and, in decimal, array indices. No token at all is the
// whole document, the empty pointer.
func Pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		_, _ = pointerEscape.WriteString(&b, t) // a strings.Builder never fails
	}
	return b.String()
}
