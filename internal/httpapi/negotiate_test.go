package httpapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/provolt/provolt/internal/passport"
)

func FuzzNegotiate(f *testing.F) {
	for _, accept := range []string{
		"", " ", "*/*", "text/html", "application/json;q=0", "application/*;q=0.5, */*;q=0.1", "text/html;level=1;q=0.3", ",;=,q",
		"application/json;q=1.000", "application/json;q=1.001", "a/b;q=0.9999", "TEXT/HTML;Q=0.7", "application/json;q=\"1\"", "*/*;q=,*/json",
	} {
		f.Add(accept, "text/plain;q=0.4")
	}
	offers := []string{typeJSON, typeToken, typeHTML}
	f.Fuzz(func(t *testing.T, accept, more string) {
		chosen := negotiate(accept, offers...)
		if chosen == "" {
			if negotiate(accept+",*/*", offers...) == "" && !strings.Contains(accept, "q") && !strings.Contains(accept, "Q") {
				t.Errorf("%q refuses everything even with */*", accept)
			}
		} else if !slices.Contains(offers, chosen) {
			t.Fatalf("%q chose %q, which was not offered", accept, chosen)
		}
		if strings.TrimSpace(accept) == "" {
			if chosen != offers[0] {
				t.Errorf("%q chose %q, not the first", accept, chosen)
			}
			return
		}
		best, _ := quality(accept, chosen)
		for _, offer := range offers {
			q, rank := quality(accept, offer)
			if q < 0 || q > fullWeight || rank < 0 || rank > exactly {
				t.Errorf("%q gives %s the weight %d of rank %d", accept, offer, q, rank)
			}
			if q > best {
				t.Errorf("%q prefers %s to the chosen %s", accept, offer, chosen)
			}
		}
		if again := negotiate(accept, offers...); again != chosen {
			t.Errorf("%q chose %q, then %q", accept, chosen, again)
		}
		_ = negotiate(accept+","+more, offers...)
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("AAAAAAAAcACAAAAAAAAAAQ")
	f.Add(encodeCursor(passport.ID{1, 2, 3}))
	f.Add("AAAAAAAAcACAAAAAAAAAAR")
	f.Add("AAAAAAAAcACA\nAAAAAAAAAQ")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := decodeCursor(text)
		if err == nil && encodeCursor(id) != text {
			t.Errorf("%q and %q are the same cursor", text, encodeCursor(id))
		}
	})
}

func TestACursorComesBackAsItWas(t *testing.T) {
	for _, id := range []passport.ID{{}, {15: 1}, {0: 0xff, 15: 0xff}} {
		if got, err := decodeCursor(encodeCursor(id)); err != nil || got != id {
			t.Errorf("%v came back as %v, %v", id, got, err)
		}
	}
}
