package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"

	"github.com/provolt/provolt/internal/passport"
)

// Marshal writes a tree as Parse makes them: compact, members sorted by their
// bytes, numbers as they were written, no character escaped that need not be.
// Any other Go type, text that is not UTF-8 and a number beyond the bounds are
// errors.
func Marshal(v any) ([]byte, error) { return appendValue(nil, v) }

// Canonical writes a tree in the JSON Canonicalization Scheme (RFC 8785). Equal
// values give equal bytes, and no number changes its value, as all have at most
// 15 significant digits. Errors are those of Marshal.
func Canonical(v any) ([]byte, error) {
	b, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	canonical, err := jcs.Transform(b)
	if err != nil {
		return nil, fmt.Errorf("canonicalise: %w", err)
	}
	return canonical, nil
}

var errNotUTF8 = errors.New("write JSON: text is not UTF-8")

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v)
	case json.Number:
		if err := passport.CheckQuantity(string(v)); err != nil {
			return nil, fmt.Errorf("write JSON: %w", err)
		}
		return append(b, v...), nil
	case []any:
		return appendArray(b, v)
	case map[string]any:
		return appendObject(b, v)
	}
	return nil, fmt.Errorf("write JSON: a tree holds no %T", v)
}

func appendArray(b []byte, items []any) ([]byte, error) {
	b = append(b, '[')
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, item); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, members map[string]any) ([]byte, error) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendString(b, name); err != nil {
			return nil, err
		}
		if b, err = appendValue(append(b, ':'), members[name]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendString escapes what RFC 8785 section 3.2.2.2 escapes.
func appendString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, errNotUTF8
	}
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			b = appendEscape(b, c)
			continue
		}
		b = append(b, s[i])
	}
	return append(b, '"'), nil
}

func appendEscape(b []byte, c byte) []byte {
	const characters, letters = "\"\\\b\f\n\r\t", `"\bfnrt`
	if at := strings.IndexByte(characters, c); at >= 0 {
		return append(b, '\\', letters[at])
	}
	return fmt.Appendf(b, `\u%04x`, c)
}
