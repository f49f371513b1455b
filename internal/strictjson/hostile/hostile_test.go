package hostile

import (
	"slices"
	"testing"
	"unicode/utf8"
)

func TestStringsAreManyDifferentAndUTF8(t *testing.T) {
	all := Strings()
	if len(all) < 150 || !slices.Equal(all, Strings()) {
		t.Errorf("%d strings", len(all))
	}
	for kind, texts := range Kinds() {
		if len(texts) < 10 {
			t.Errorf("%d strings of kind %s", len(texts), kind)
		}
		for i, s := range texts {
			if s == "" || !utf8.ValidString(s) || slices.Contains(texts[:i], s) {
				t.Errorf("%s: %q is empty, not UTF-8 or there twice", kind, s)
			}
		}
	}
}
