// Package hostile has the texts that break programs, so that tests need not
// collect them again: whatever takes text from outside must store, compare and
// render each of them unharmed or refuse it. Tests alone import it.
package hostile

import (
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

//go:embed strings.json
var file []byte

// Strings returns all texts of all kinds, in a fixed order.
func Strings() []string {
	kinds := Kinds()
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		all = append(all, kinds[kind]...)
	}
	return all
}

// Kinds returns the texts by what they attack: markup, sql, spreadsheet, path,
// template, format, header; what is mistaken for something else: nullLike,
// numberLike, confusable; what strictjson refuses: bidi, invisible, control,
// unassigned, notNormalised; and what must simply work: emoji, writing, long.
func Kinds() map[string][]string {
	kinds := map[string][]string{}
	if err := json.Unmarshal(file, &kinds); err != nil {
		panic("hostile: " + err.Error()) // the file is compiled in
	}
	kinds["long"] = []string{
		strings.Repeat("A", 10_000),
		strings.Repeat("ü", 5_000),
		strings.Repeat("🔋", 2_500),
		strings.Repeat("word ", 2_000) + "end",
		strings.Repeat("<", 3_000),
		strings.Repeat("\\", 3_000),
		strings.Repeat("\"", 3_000),
		strings.Repeat("'", 3_000),
		strings.Repeat("%s", 3_000),
		strings.Repeat("(", 3_000),
	}
	return kinds
}
