package web

import (
	"encoding/json"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/provolt/provolt/internal/catalogue"
)

// value is one declared thing as a page shows it: a text, a link, a list or
// named fields. All text in it is untrusted and escaped by the template.
type value struct {
	Kind    string // "text", "link", "list", "table", "fields", "unknown", "notApplicable", "missing"
	Text    string
	Lang    string // language of Text where it is not the page's
	Href    string // https:, http: or mailto: only
	Note    string // beside a link: host, media type, language
	Digest  string // SHA-256 of the linked document, hexadecimal
	Items   []value
	Columns []string
	Rows    [][]string
	Fields  []field
}

// field is a named value within another.
type field struct {
	Name  string
	Value value
}

// maxDepth bounds how deep a page follows a value. The schema allows far less.
const maxDepth = 8

// values renders declared values in one language.
type values struct {
	l   *locale
	cat *catalogue.Catalogue
}

// of renders v, the value of the member name, which the catalogue gives this
// unit (or none).
func (r values) of(name, unit string, v any, depth int) value {
	if depth > maxDepth {
		return value{Kind: "text", Text: "…"}
	}
	switch v := v.(type) {
	case nil:
		return r.unknown("")
	case bool:
		return r.yesNo(v)
	case json.Number:
		return value{Kind: "text", Text: r.l.quantity(v, unitOf(name, unit))}
	case string:
		return r.text(name, v)
	case []any:
		return r.list(name, unit, v, depth)
	case map[string]any:
		return r.object(unit, v, depth)
	}
	return r.unknown("")
}

func (r values) unknown(reason string) value {
	return value{Kind: "unknown", Text: r.l.t("state.unknown"), Note: reason}
}

func (r values) yesNo(b bool) value {
	if b {
		return value{Kind: "text", Text: r.l.t("yes")}
	}
	return value{Kind: "text", Text: r.l.t("no")}
}

// text renders a string by what its member says it is: a word of a
// vocabulary, a country, a date, an address on the web, or free text.
func (r values) text(name, s string) value {
	plain := value{Kind: "text", Text: s}
	if word, ok := r.l.lookUp("word." + name + "." + s); ok {
		plain.Text = word
		return plain
	}
	lower := strings.ToLower(name)
	switch {
	case lower == "country" || lower == "seat":
		plain.Text = r.l.country(s)
	case lower == "mineral" || lower == "material" || lower == "subject":
		plain.Text = r.l.either("mineral."+s, s)
	case lower == "warrantyperiod":
		plain.Text = r.l.duration(s)
	case lower == "email":
		return mailLink(s)
	case lower == "website" || strings.HasSuffix(lower, "url"):
		return webLink(s)
	case namesDate(lower):
		plain.Text = r.l.date(s)
	}
	return plain
}

// namesDate reports whether a member of this lower-case name holds a date.
func namesDate(lower string) bool {
	return slices.ContainsFunc([]string{"date", "on", "until", "at", "from", "to", "since", "service"},
		func(end string) bool { return strings.HasSuffix(lower, end) })
}

// mailLink links an e-mail address if it can be nothing else.
func mailLink(s string) value {
	name, host, ok := strings.Cut(s, "@")
	if !ok || name == "" || host == "" || strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(`?&#%"<>,;:\/`, c)
	}) {
		return value{Kind: "text", Text: s}
	}
	return value{Kind: "link", Text: s, Href: "mailto:" + s}
}

// webLink links an address on the web and shows the host it leads to. Anything
// but an absolute http or https address stays text.
func webLink(s string) value {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return value{Kind: "text", Text: s}
	}
	return value{Kind: "link", Text: shortAddress(u), Href: s}
}

// shortAddress shows the host, which says whom one visits, and the last part
// of the path, which tells documents apart.
func shortAddress(u *url.URL) string {
	const most = 40 // characters
	path := strings.Trim(u.EscapedPath(), "/")
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case last == "" || len(last) > most:
		return u.Host
	case last == path:
		return u.Host + "/" + last
	}
	return u.Host + "/…/" + last
}

func (r values) list(name, unit string, list []any, depth int) value {
	if len(list) == 0 {
		return value{Kind: "text", Text: r.l.t("value.none")}
	}
	if text, ok := r.multilingual(list); ok {
		return text
	}
	out := value{Kind: "list"}
	for _, v := range list {
		out.Items = append(out.Items, r.of(name, unit, v, depth+1))
	}
	if line, ok := oneLine(out.Items); ok {
		return value{Kind: "text", Text: line}
	}
	if t, ok := table(out.Items); ok {
		return t
	}
	return out
}

// table lines up objects of a few short members each: shares, power points.
func table(items []value) (value, bool) {
	const most = 3 // columns a phone has room for
	t := value{Kind: "table"}
	for _, v := range items {
		for _, f := range v.Fields {
			if f.Value.Kind != "text" || len(f.Value.Text) > 30 {
				return value{}, false
			}
			if !slices.Contains(t.Columns, f.Name) {
				t.Columns = append(t.Columns, f.Name)
			}
		}
	}
	if len(items) < 2 || len(t.Columns) < 2 || len(t.Columns) > most {
		return value{}, false
	}
	for _, v := range items {
		cells := make([]string, len(t.Columns))
		for _, f := range v.Fields {
			cells[slices.Index(t.Columns, f.Name)] = f.Value.Text
		}
		t.Rows = append(t.Rows, cells)
	}
	return t, true
}

// oneLine joins short texts: fire classes, identifiers, tools.
func oneLine(items []value) (string, bool) {
	var words []string
	length := 0
	for _, v := range items {
		length += len(v.Text)
		if v.Kind != "text" || v.Lang != "" || length > 90 {
			return "", false
		}
		words = append(words, v.Text)
	}
	return strings.Join(words, ", "), true
}

// multilingual picks from [{lang, value}] the text in the page's language,
// else the first.
func (r values) multilingual(list []any) (value, bool) {
	var best value
	for _, v := range list {
		m, ok := v.(map[string]any)
		lang, isText := m["lang"].(string)
		text, isToo := m["value"].(string)
		if !ok || !isText || !isToo {
			return value{}, false
		}
		if best.Kind == "" || lang == r.l.code() {
			best = value{Kind: "text", Text: text, Lang: r.foreign(lang)}
		}
	}
	return best, true
}

// foreign returns lang if it is a language tag other than the page's.
func (r values) foreign(lang string) string {
	if lang == r.l.code() || len(lang) > 12 || strings.ContainsFunc(lang, func(c rune) bool {
		return c != '-' && !unicode.IsLetter(c) || c > unicode.MaxASCII
	}) {
		return ""
	}
	return lang
}

func (r values) object(unit string, m map[string]any, depth int) value {
	switch {
	case has(m, "url") && (has(m, "sha256") || has(m, "mediaType")):
		return r.document(m)
	case has(m, "country") && (has(m, "city") || has(m, "street") || has(m, "postalCode")):
		return value{Kind: "text", Text: r.address(m)}
	case has(m, "scheme") && has(m, "value") && len(m) == 2:
		return value{Kind: "text", Text: strings.ToUpper(textOf(m["scheme"])) + noBreak + textOf(m["value"])}
	case has(m, "min") && has(m, "max") && len(m) == 2:
		return r.interval(unit, m)
	case has(m, "from") && has(m, "to") && len(m) == 2:
		return value{Kind: "text", Text: r.l.t("value.range", "from", r.l.date(textOf(m["from"])), "to", r.l.date(textOf(m["to"])))}
	case has(m, "present") && len(m) == 1:
		present, _ := m["present"].(bool)
		return r.yesNo(present)
	}
	out := value{Kind: "fields"}
	for _, name := range memberNames(m) {
		out.Fields = append(out.Fields, field{Name: r.member(name), Value: r.of(name, unit, m[name], depth+1)})
	}
	return out
}

func (r values) interval(unit string, m map[string]any) value {
	low, lowOK := m["min"].(json.Number)
	high, highOK := m["max"].(json.Number)
	if !lowOK || !highOK {
		return r.unknown("")
	}
	return value{Kind: "text", Text: r.l.t("value.range", "from", r.l.quantity(low, unit), "to", r.l.quantity(high, unit))}
}

func (r values) document(m map[string]any) value {
	out := webLink(textOf(m["url"]))
	var notes []string
	if id := textOf(m["id"]); id != "" {
		notes = append(notes, id)
	}
	if kind := textOf(m["mediaType"]); kind != "" {
		_, short, _ := strings.Cut(kind, "/")
		notes = append(notes, strings.ToUpper(short))
	}
	if lang := textOf(m["language"]); lang != "" {
		notes = append(notes, r.l.either("language."+lang, lang))
	}
	out.Note = strings.Join(notes, ", ")
	if digest := textOf(m["sha256"]); len(digest) == 64 {
		out.Digest = digest
	}
	return out
}

// address writes a postal address on one line.
func (r values) address(m map[string]any) string {
	town := strings.TrimSpace(textOf(m["postalCode"]) + " " + textOf(m["city"]))
	parts := []string{textOf(m["street"]), town, textOf(m["region"]), r.l.country(textOf(m["country"]))}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// member returns the name of a member of an object. Reasons stand under the
// ids of attributes.
func (r values) member(name string) string {
	if text, ok := r.l.lookUp("member." + name); ok {
		return text
	}
	if a, ok := r.cat.Attribute(name); ok {
		return a.Label(r.l.code())
	}
	return spaced(name)
}

// spaced turns a camelCase name into words, for members of which no
// translation is known.
func spaced(name string) string {
	var b strings.Builder
	for i, c := range name {
		if unicode.IsUpper(c) && i > 0 {
			b.WriteByte(' ')
			c = unicode.ToLower(c)
		}
		if i == 0 {
			c = unicode.ToUpper(c)
		}
		b.WriteRune(c)
	}
	return b.String()
}

// leading are the members that come first in an object, in this order. The
// others follow by name.
var leading = []string{
	"name", "tradeName", "role", "material", "mineral", "code", "symbol", "agent", "statement", "scheme", "type", "party",
	"facility", "text", "cathode", "anode", "electrolyte", "cellFormat", "cas", "ec", "clp", "svhc", "massKg", "wtPct", "socPct", "watts",
	"charge", "discharge", "address", "ids", "id", "email", "phone", "website",
}

func memberNames(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	rank := func(name string) int {
		if i := slices.Index(leading, name); i >= 0 {
			return i
		}
		return len(leading)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// unitOf reads the unit from a member's name, where the data model puts it;
// otherwise it is the one the catalogue gives the attribute around it. Years
// and counts have none.
func unitOf(name, around string) string {
	if strings.HasSuffix(name, "absoluteKg") {
		return around // of CO2 equivalent, which the name does not say
	}
	for _, u := range []struct{ end, unit string }{
		{"Pct", "%"},
		{"Kg", "kg"},
		{"Kwh", "kWh"},
		{"Ah", "Ah"},
		{"Ohm", "ohm"},
		{"Mm", "mm"},
		{"tempC", "degC"},
		{"watts", "W"},
		{"year", ""},
		{"Year", ""},
		{"count", ""},
	} {
		if strings.HasSuffix(name, u.end) {
			return u.unit
		}
	}
	return around
}

func has(m map[string]any, name string) bool {
	_, ok := m[name]
	return ok
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

// dig follows a path of member names from v. ok is false if something on the
// way is absent; a present null is (nil, true).
func dig(v any, path ...string) (any, bool) {
	for _, name := range path {
		m, isObject := v.(map[string]any)
		if !isObject {
			return nil, false
		}
		if v, isObject = m[name]; !isObject {
			return nil, false
		}
	}
	return v, true
}

func digText(v any, path ...string) string {
	found, _ := dig(v, path...)
	return textOf(found)
}

func digNumber(v any, path ...string) (json.Number, bool) {
	found, _ := dig(v, path...)
	n, ok := found.(json.Number)
	return n, ok
}

func digRat(v any, path ...string) (*big.Rat, bool) {
	found, _ := dig(v, path...)
	return ratOf(found)
}

func digList(v any, path ...string) []any {
	found, _ := dig(v, path...)
	list, _ := found.([]any)
	return list
}
