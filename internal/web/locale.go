package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

//go:embed locales/*.json
var localeFiles embed.FS

// supported lists the page languages; the first answers a reader none of
// whose languages is there.
var supported = []language.Tag{language.English, language.German}

// locale speaks one language: the texts of locales/LANG.json, and the names of
// countries from CLDR.
type locale struct {
	tag     language.Tag
	texts   map[string]string
	regions display.Namer
}

// loadLocales reads every supported language.
func loadLocales() ([]*locale, error) {
	var out []*locale
	for _, tag := range supported {
		raw, err := localeFiles.ReadFile(path.Join("locales", tag.String()+".json"))
		if err != nil {
			return nil, fmt.Errorf("read texts of %s: %w", tag, err)
		}
		l := &locale{tag: tag, regions: display.Regions(tag)}
		if err := json.Unmarshal(raw, &l.texts); err != nil {
			return nil, fmt.Errorf("read texts of %s: %w", tag, err)
		}
		out = append(out, l)
	}
	return out, nil
}

// code returns the language as HTML and HTTP write it.
func (l *locale) code() string { return l.tag.String() }

// t returns the text of key with each {name} replaced; pairs are name, value,
// name, value. A key without a text shows as itself between brackets, which a
// test looks for on every page.
func (l *locale) t(key string, pairs ...string) string {
	text, ok := l.texts[key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	if len(pairs) == 0 {
		return text
	}
	old := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		old = append(old, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(old...).Replace(text)
}

// lookUp returns the text of key, if there is one.
func (l *locale) lookUp(key string) (string, bool) {
	text, ok := l.texts[key]
	return text, ok
}

// either returns the text of key, or otherwise the given text: for words of
// vocabularies that are open.
func (l *locale) either(key, otherwise string) string {
	if text, ok := l.texts[key]; ok {
		return text
	}
	return otherwise
}

// count returns the text of key for n things: KEY.one or KEY.other, with {n}
// and the pairs replaced.
func (l *locale) count(key string, n int, pairs ...string) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return l.t(key+form, append([]string{"n", l.integer(n)}, pairs...)...)
}

// country returns the name of an ISO 3166-1 alpha-2 code, or the code if it
// has none.
func (l *locale) country(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return code
	}
	if name := l.regions.Name(region); name != "" {
		return name
	}
	return code
}

// join lists words as prose does: "a, b and c".
func (l *locale) join(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + l.t("list.and") + " " + words[last]
}

// languages chooses the page language of a request.
type languages struct {
	locales []*locale
	matcher language.Matcher
}

func newLanguages(locales []*locale) languages {
	return languages{locales: locales, matcher: language.NewMatcher(supported)}
}

// of returns the language of a request: ?lang= if it names a supported one,
// else the best of Accept-Language. chosen tells that it was ?lang=, which
// links then carry on.
func (ls languages) of(r *http.Request) (l *locale, chosen bool) {
	asked := r.URL.Query().Get("lang")
	if i := slices.IndexFunc(ls.locales, func(l *locale) bool { return l.code() == asked }); i >= 0 {
		return ls.locales[i], true
	}
	header := r.Header.Get("Accept-Language")
	if len(header) > 256 {
		return ls.locales[0], false
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return ls.locales[0], false
	}
	_, i, _ := ls.matcher.Match(tags...)
	return ls.locales[i], false
}
