package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/provolt/provolt/internal/passport"
)

// Parse reads one JSON text into a tree of map[string]any, []any, string,
// json.Number, bool and nil. Numbers keep their text; member names are told
// apart by every character. The error is *TooLarge, *SyntaxError or *Rejected,
// in this order of precedence.
//
// Beyond RFC 8259 a body must keep to MaxBytes, MaxDepth, MaxTokens and
// MaxName, name each member of an object once (RFC 7493 section 2.3), hold
// numbers that passport.CheckQuantity accepts, and texts, names included, that
// are in NFC and show every character they hold.
func Parse(b []byte) (any, error) {
	if len(b) > MaxBytes {
		return nil, &TooLarge{Bytes: len(b)}
	}
	p := parser{text: b}
	if err := p.encoding(); err != nil {
		return nil, err
	}
	v, err := p.document()
	if err != nil && !errors.Is(err, errLimit) {
		return nil, err
	}
	if len(p.violations) > 0 {
		return nil, &Rejected{Violations: p.violations}
	}
	return v, nil
}

// errLimit ends the reading of a body that is too deep or has too many tokens;
// the violation that says so is in the parser.
var errLimit = errors.New("limit exceeded")

// parser reads one body in one pass. Its methods begin at text[at] and leave
// at behind what they read.
type parser struct {
	text       []byte
	at         int
	tokens     int
	path       []step // from the document to the value being read
	violations []passport.Violation
}

// step is one token of a JSON Pointer, written out only when something is
// wrong there.
type step struct {
	name  string
	index int
	array bool
}

// encoding checks that the text is UTF-8 without byte order mark, so that the
// methods after it need not.
func (p *parser) encoding() error {
	if bytes.HasPrefix(p.text, []byte("\ufeff")) {
		return p.faultAt(0, "json.byteOrderMark", "JSON without a byte order mark")
	}
	if utf8.Valid(p.text) {
		return nil
	}
	bad := 0
	for {
		r, size := utf8.DecodeRune(p.text[bad:])
		if r == utf8.RuneError && size == 1 {
			return p.faultAt(bad, "json.utf8", "UTF-8")
		}
		bad += size
	}
}

func (p *parser) document() (any, error) {
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.text) {
		return nil, p.fault("nothing after the value")
	}
	return v, nil
}

// value reads a value that stands within depth arrays and objects.
func (p *parser) value(depth int) (any, error) {
	if err := p.token(); err != nil {
		return nil, err
	}
	switch c := p.peek(); c {
	case '{':
		return p.object(depth + 1)
	case '[':
		return p.array(depth + 1)
	case '"':
		s, shown, err := p.string()
		if err == nil && !shown {
			p.checkText("text", s)
		}
		return s, err
	case 't':
		return true, p.literal("true")
	case 'f':
		return false, p.literal("false")
	case 'n':
		return nil, p.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.number()
	}
	return nil, p.fault("a value")
}

func (p *parser) object(depth int) (any, error) {
	if err := p.enter(depth); err != nil {
		return nil, err
	}
	members := map[string]any{}
	if p.peek() == '}' {
		return members, p.leave()
	}
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		if _, twice := members[name]; twice {
			p.add(passport.Violation{
				Code: "json.duplicateMember", Expected: "each member once", Found: passport.Quote(name) + " again",
				Repair: "keep one of them; readers disagree on which one counts",
			})
		}
		members[name] = v
		switch p.space(); p.peek() {
		case ',':
			p.at++
			p.space()
		case '}':
			return members, p.leave()
		default:
			return nil, p.fault("',' or '}' after a member")
		}
	}
}

// name reads a member name with the colon after it and puts it on the path.
func (p *parser) name() (string, error) {
	if p.peek() != '"' {
		return "", p.fault("a member name in double quotes")
	}
	if err := p.token(); err != nil {
		return "", err
	}
	name, shown, err := p.string()
	if err != nil {
		return "", err
	}
	p.path[len(p.path)-1] = step{name: name}
	if len(name) > MaxName {
		p.path[len(p.path)-1].name = cutName(name)
		p.add(passport.Violation{
			Code: "json.nameLength", Expected: fmt.Sprintf("a member name of at most %d bytes", MaxName),
			Found: fmt.Sprintf("%d bytes", len(name)),
		})
	}
	if !shown {
		p.checkText("member name", name)
	}
	p.space()
	if p.peek() != ':' {
		return "", p.fault("':' after the member name")
	}
	p.at++
	p.space()
	return name, nil
}

// cutName shortens a name for pointers, which every violation below repeats.
func cutName(name string) string {
	end := 0
	for i := range name {
		if i > 32 {
			break
		}
		end = i
	}
	return name[:end] + "..."
}

func (p *parser) array(depth int) (any, error) {
	if err := p.enter(depth); err != nil {
		return nil, err
	}
	items := []any{}
	if p.peek() == ']' {
		return items, p.leave()
	}
	for {
		p.path[len(p.path)-1] = step{index: len(items), array: true}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		switch p.space(); p.peek() {
		case ',':
			p.at++
			p.space()
		case ']':
			return items, p.leave()
		default:
			return nil, p.fault("',' or ']' after an element")
		}
	}
}

// enter steps over the bracket that opens an array or object.
func (p *parser) enter(depth int) error {
	if depth > MaxDepth {
		return p.stop("json.depth", fmt.Sprintf("at most %d arrays and objects within each other", MaxDepth))
	}
	p.path = append(p.path, step{})
	p.at++
	p.space()
	return nil
}

// leave steps over the bracket that closes an array or object.
func (p *parser) leave() error {
	p.path = p.path[:len(p.path)-1]
	p.at++
	return p.token()
}

// token counts a bracket, a name or a value.
func (p *parser) token() error {
	if p.tokens++; p.tokens > MaxTokens {
		return p.stop("json.tokens", fmt.Sprintf("at most %d brackets, names and values", MaxTokens))
	}
	return nil
}

func (p *parser) literal(word string) error {
	if !bytes.HasPrefix(p.text[p.at:], []byte(word)) {
		return p.fault("a value")
	}
	p.at += len(word)
	return nil
}

func (p *parser) number() (any, error) {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if err := p.digits(); err != nil {
		return nil, err
	}
	if p.peek() == '.' {
		p.at++
		if err := p.digits(); err != nil {
			return nil, err
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if err := p.digits(); err != nil {
			return nil, err
		}
	}
	text := string(p.text[start:p.at])
	if err := passport.CheckQuantity(text); err != nil {
		p.add(passport.ViolationAt("", err))
	}
	return json.Number(text), nil
}

// digits reads one digit or more.
func (p *parser) digits() error {
	start := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	if p.at == start {
		return p.fault("a digit")
	}
	return nil
}

// string reads a string. It is shown when it holds printable ASCII alone, so
// that nothing more is to check.
func (p *parser) string() (s string, shown bool, err error) {
	p.at++
	start := p.at
	shown = true
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			s = string(p.text[start:p.at])
			p.at++
			return s, shown, nil
		case c == '\\':
			s, err = p.escaped(start)
			return s, false, err
		case c < ' ':
			return "", false, p.fault(`an escape such as \n in place of a control character`)
		case c >= 0x7f:
			shown = false
		}
	}
	return "", false, p.fault(`'"' at the end of the string`)
}

// escaped reads on in a string that began at start, from its first backslash.
func (p *parser) escaped(start int) (string, error) {
	decoded := append([]byte(nil), p.text[start:p.at]...)
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return string(decoded), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			decoded = utf8.AppendRune(decoded, r)
		case c < ' ':
			return "", p.fault(`an escape such as \n in place of a control character`)
		default:
			decoded = append(decoded, c)
			p.at++
		}
	}
	return "", p.fault(`'"' at the end of the string`)
}

// escape reads one escape sequence, or the two that make a surrogate pair.
func (p *parser) escape() (rune, error) {
	start := p.at
	p.at++
	c := p.peek()
	if c != 'u' {
		at := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if at < 0 {
			return 0, p.fault(`one of "\/bfnrtu after a backslash`)
		}
		p.at++
		return rune("\"\\/\b\f\n\r\t"[at]), nil
	}
	p.at++
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if r < 0xdc00 && bytes.HasPrefix(p.text[p.at:], []byte(`\u`)) {
		p.at += 2
		low, err := p.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, p.faultAt(start, "json.surrogate", "two escapes that form a surrogate pair")
}

func (p *parser) hex4() (rune, error) {
	for i := range 4 {
		if !isHex(p.peekAt(i)) {
			p.at += i
			return 0, p.fault(`four hexadecimal digits after \u`)
		}
	}
	n, err := strconv.ParseUint(string(p.text[p.at:p.at+4]), 16, 16)
	p.at += 4
	return rune(n), err
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// space skips the four characters that JSON calls white space.
func (p *parser) space() {
	for {
		switch p.peek() {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end; 0 is nowhere valid.
func (p *parser) peek() byte { return p.peekAt(0) }

func (p *parser) peekAt(i int) byte {
	if p.at+i < len(p.text) {
		return p.text[p.at+i]
	}
	return 0
}

// add notes a violation of the value, or name, that is being read.
func (p *parser) add(v passport.Violation) {
	switch {
	case len(p.violations) >= maxViolations:
		return
	case len(p.violations) == maxViolations-1:
		v = passport.Violation{
			Code: "json.violations", Expected: fmt.Sprintf("fewer than %d violations", maxViolations),
			Found: "more", Repair: "mend those listed and send the body again",
		}
	default:
		v.Pointer = p.pointer()
	}
	v.Severity = passport.Blocking
	p.violations = append(p.violations, v)
}

// stop notes the limit that is exceeded and ends the reading. Its violation
// takes the place of the last when the list is full.
func (p *parser) stop(code, expected string) error {
	if len(p.violations) == maxViolations {
		p.violations = p.violations[:maxViolations-1]
	}
	p.violations = append(p.violations, passport.Violation{
		Pointer: p.pointer(), Code: code, Severity: passport.Blocking, Expected: expected, Found: "more",
	})
	return errLimit
}

func (p *parser) pointer() string {
	tokens := make([]string, len(p.path))
	for i, s := range p.path {
		tokens[i] = s.name
		if s.array {
			tokens[i] = strconv.Itoa(s.index)
		}
	}
	return passport.Pointer(tokens...)
}

// fault makes the SyntaxError of something unexpected at the current place.
func (p *parser) fault(expected string) error { return p.faultAt(p.at, "json.syntax", expected) }

func (p *parser) faultAt(offset int, code, expected string) error {
	before := p.text[:offset]
	lineStart := bytes.LastIndexByte(before, '\n') + 1
	found := "the end of the text"
	if offset < len(p.text) {
		_, size := utf8.DecodeRune(p.text[offset:])
		found = passport.Quote(string(p.text[offset : offset+size]))
	}
	return &SyntaxError{
		Code: code, Offset: offset, Expected: expected, Found: found,
		Line:   bytes.Count(before, []byte{'\n'}) + 1,
		Column: utf8.RuneCount(before[lineStart:]) + 1,
	}
}
