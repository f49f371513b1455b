package passport

import (
	"fmt"
	"slices"
	"strings"
)

// Level says what a Digital Link names.
type Level string

// The levels of EN 18219 (model, batch, item), and the individual asset that
// GS1 names without a model.
const (
	ModelLevel Level = "model" // (01), with or without (22)
	BatchLevel Level = "batch" // (01) and (10)
	ItemLevel  Level = "item"  // (01) and (21), with or without (10)
	AssetLevel Level = "asset" // (8004)
)

// DigitalLink is what a GS1 Digital Link URI identifies, without the host that
// happens to resolve it. Either GTIN or GIAI is set, and only what
// ParseDigitalLink could have returned is valid; the values are decoded.
type DigitalLink struct {
	GTIN    GTIN   // AI 01
	Variant string // AI 22, consumer product variant
	Lot     string // AI 10, batch or lot number
	Serial  string // AI 21
	GIAI    string // AI 8004, Global Individual Asset Identifier
}

const (
	maxLink      = 2048 // bytes of a URI that is looked up, its query included
	maxQualifier = 20   // characters of AI 22, 10 and 21
	maxGIAI      = 30   // characters of AI 8004
)

// qualifiers are the key qualifiers of AI 01 in the order in which the Digital
// Link standard wants them.
var qualifiers = []string{"22", "10", "21"}

// ParseDigitalLink reads a GS1 Digital Link: an http or https URI on any host
// with any path before the primary key, or its path alone, still
// percent-encoded.
//
//	/01/{GTIN-14}[/22/{variant}][/10/{lot}][/21/{serial}]
//	/8004/{GIAI}
//
// Query and fragment identify nothing and are ignored, a trailing slash is
// tolerated. The first 01 or 8004 that a fitting value follows is the primary
// key. Values are decoded once and must be of GS1's encodable character set 82.
func ParseDigitalLink(uriOrPath string) (DigitalLink, error) {
	_, link, err := splitDigitalLink(uriOrPath)
	return link, err
}

// splitDigitalLink parses a Digital Link and returns what stands before its
// primary key: scheme and host in normal form and the path prefix.
func splitDigitalLink(s string) (prefix string, link DigitalLink, err error) {
	if len(s) > maxLink {
		return "", DigitalLink{}, malformed("digitalLink.length", fmt.Sprintf("at most %d characters", maxLink), s)
	}
	path := s
	if !strings.HasPrefix(s, "/") {
		if prefix, path, err = splitOrigin(s); err != nil {
			return "", DigitalLink{}, err
		}
	}
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	at, _ := primaryKey(segments)
	if at < 0 {
		return "", DigitalLink{}, malformed("digitalLink.primaryKey", "a path with /01/{GTIN} or /8004/{GIAI}", path)
	}
	if link, err = parseElements(segments[at:]); err != nil {
		return "", DigitalLink{}, err
	}
	return prefix + strings.Join(segments[:at], "/"), link, nil
}

// primaryKey returns the index of the segment that is the primary key, or -1.
// It is sure when what follows can be meant as nothing else, so that a path
// like /2026/01/report is not taken for a Digital Link.
func primaryKey(segments []string) (at int, sure bool) {
	at = -1
	for i, s := range segments {
		if s != "01" && s != "8004" {
			continue
		}
		rest := segments[i+1:]
		if len(rest) > 0 && len(rest[0]) >= 4 && allDigits(rest[0][:4]) {
			return i, true
		}
		if s == "01" && len(rest) > 1 && slices.Contains(qualifiers, rest[1]) {
			return i, true
		}
		if at < 0 {
			at = i
		}
	}
	return at, false
}

// parseElements reads the segments from the primary key on.
func parseElements(segments []string) (DigitalLink, error) {
	key, rest := segments[0], segments[1:]
	if len(rest) == 0 {
		return DigitalLink{}, malformed("digitalLink.value", "a value after /"+key+"/", "the end of the path")
	}
	if key == "8004" {
		giai, err := parseGIAI(rest[0])
		if err != nil {
			return DigitalLink{}, err
		}
		if len(rest) > 1 {
			return DigitalLink{}, malformed("digitalLink.qualifier", "nothing after a GIAI", strings.Join(rest[1:], "/"))
		}
		return DigitalLink{GIAI: giai}, nil
	}
	gtin, err := parseLinkGTIN(rest[0])
	if err != nil {
		return DigitalLink{}, err
	}
	link := DigitalLink{GTIN: gtin}
	err = link.parseQualifiers(rest[1:])
	return link, err
}

// parseLinkGTIN reads the value of AI 01, which in a URI has 14 digits since
// Digital Link 1.4.0.
func parseLinkGTIN(segment string) (GTIN, error) {
	gtin, err := ParseGTIN(segment)
	if err != nil {
		return "", err
	}
	if len(segment) != 14 {
		return "", malformed("digitalLink.gtin14", "a GTIN of 14 digits", segment).
			repair("write it with leading zeros: " + string(gtin))
	}
	return gtin, nil
}

// parseGIAI reads the value of AI 8004: a GS1 company prefix, so at least four
// digits, and the owner's own reference.
func parseGIAI(segment string) (string, error) {
	giai, err := parseValue("8004", segment, maxGIAI)
	if err != nil {
		return "", err
	}
	if len(giai) < 5 || !allDigits(giai[:4]) {
		return "", malformed("digitalLink.giai", "a GS1 company prefix (digits) and a reference", giai)
	}
	return giai, nil
}

// parseQualifiers reads code and value in turn into l.
func (l *DigitalLink) parseQualifiers(rest []string) error {
	seen := -1
	for ; len(rest) > 0; rest = rest[min(2, len(rest)):] {
		code := rest[0]
		at := slices.Index(qualifiers, code)
		switch {
		case code == "235":
			return malformed("digitalLink.qualifier", "22, 10 or 21", code).
				repair("a third-party serial (235) names no battery here; use the maker's serial (21)")
		case at < 0:
			return malformed("digitalLink.qualifier", "22, 10 or 21 after the GTIN and its qualifiers", code)
		case at == seen:
			return malformed("digitalLink.qualifier", "each qualifier once", code+" again")
		case at < seen:
			return malformed("digitalLink.order", "the qualifiers in the order 22, 10, 21", code+" after "+qualifiers[seen])
		case len(rest) == 1:
			return malformed("digitalLink.value", "a value after /"+code+"/", "the end of the path")
		}
		value, err := parseValue(code, rest[1], maxQualifier)
		if err != nil {
			return err
		}
		*l.qualifier(code) = value
		seen = at
	}
	return nil
}

// qualifier returns the member of l that holds the value of an application
// identifier.
func (l *DigitalLink) qualifier(code string) *string {
	switch code {
	case "22":
		return &l.Variant
	case "10":
		return &l.Lot
	default:
		return &l.Serial
	}
}

// parseValue decodes one path segment and checks what GS1 asks of the value of
// an application identifier. "." and ".." are of the character set, but every
// client takes them out of a URI, even when they are encoded.
func parseValue(code, segment string, most int) (string, error) {
	value, err := decodeSegment(segment)
	if err != nil {
		return "", err
	}
	if value == "" || len(value) > most || value == "." || value == ".." {
		return "", malformed("digitalLink.value",
			fmt.Sprintf("1 to %d characters, other than . and .., after /%s/", most, code), value)
	}
	for i := range len(value) {
		if !inCharacterSet82(value[i]) {
			return "", malformed("digitalLink.characters",
				`letters, digits and !"%&'()*+,-./:;<=>?_ (GS1 character set 82) after /`+code+"/", value)
		}
	}
	return value, nil
}

// inCharacterSet82 is figure 7.11-1 of the GS1 General Specifications.
func inCharacterSet82(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte(`!"%&'()*+,-./:;<=>?_`, c) >= 0
}

// Level says what l names. The zero DigitalLink names nothing: "".
func (l DigitalLink) Level() Level {
	switch {
	case l.GIAI != "":
		return AssetLevel
	case l.GTIN == "":
		return ""
	case l.Serial != "":
		return ItemLevel
	case l.Lot != "":
		return BatchLevel
	default:
		return ModelLevel
	}
}

// Path returns the one canonical spelling of l: a path from the primary key
// on, with everything percent-encoded that RFC 3986 does not call unreserved.
func (l DigitalLink) Path() string {
	var b strings.Builder
	for _, e := range l.elements() {
		b.WriteByte('/')
		b.WriteString(e.code)
		b.WriteByte('/')
		encodeSegment(&b, e.value)
	}
	return b.String()
}

// ElementString returns l as people read it below a bar code:
// "(01)09506000134352(21)A1". All elements stand in it, in Path's order.
func (l DigitalLink) ElementString() string {
	var b strings.Builder
	for _, e := range l.elements() {
		b.WriteString("(" + e.code + ")" + e.value)
	}
	return b.String()
}

// element is one application identifier with its value.
type element struct{ code, value string }

// elements returns what is set in l, in the order of the standard.
func (l DigitalLink) elements() []element {
	all := []element{{"01", string(l.GTIN)}, {"22", l.Variant}, {"10", l.Lot}, {"21", l.Serial}, {"8004", l.GIAI}}
	return slices.DeleteFunc(all, func(e element) bool { return e.value == "" })
}

// Parent returns what l is a part of: the item's batch if the link names it,
// else its model; the variant's model. A model and an asset have no parent.
func (l DigitalLink) Parent() (DigitalLink, bool) {
	switch {
	case l.Serial != "":
		l.Serial = ""
	case l.Lot != "":
		l.Lot = ""
	case l.Variant != "":
		l.Variant = ""
	default:
		return DigitalLink{}, false
	}
	return l, true
}

// Key returns the key of the battery that l names; false if it names a whole
// model or batch. Host, lot and variant are no part of it: (01) and (21), or
// (8004), are unique by themselves.
func (l DigitalLink) Key() (BatteryKey, bool) {
	switch l.Level() {
	case ItemLevel:
		return batteryKey("gs1", DigitalLink{GTIN: l.GTIN, Serial: l.Serial}.ElementString()), true
	case AssetLevel:
		return batteryKey("gs1", l.ElementString()), true
	case ModelLevel, BatchLevel:
	}
	return BatteryKey{}, false
}
