package passport

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func TestBatteryIDComesBackInNormalForm(t *testing.T) {
	for text, want := range map[string]string{
		"https://id.example.com/01/" + g14 + "/21/A1":              "https://id.example.com/01/" + g14 + "/21/A1",
		"HTTP://ID.Example.com:80/01/" + g14 + "/21/A1/":           "http://id.example.com/01/" + g14 + "/21/A1",
		"https://example.com/p/./q/../01/" + g14 + "/21/A%2b1":     "https://example.com/p/01/" + g14 + "/21/A%2B1",
		"https://example.com/01/" + g14 + "/10/L/21/A+1":           "https://example.com/01/" + g14 + "/10/L/21/A%2B1",
		"https://example.com:443/8004/95060001BAT":                 "https://example.com/8004/95060001BAT",
		"https://example.com:8443/8004/95060001BAT":                "https://example.com:8443/8004/95060001BAT",
		"https://Example.com/b/%7euser/%41%2f%e2%82%ac":            "https://example.com/b/~user/A%2F%E2%82%AC",
		"https://example.com:/b/1":                                 "https://example.com/b/1",
		"https://example.com/b/../../c/./1/..":                     "https://example.com/c/",
		"https://example.com?pn=1&sn=%61":                          "https://example.com/?pn=1&sn=a",
		"https://example.com/2026/01/report":                       "https://example.com/2026/01/report",
		"https://[2001:DB8:0:0::1]/b/1":                            "https://[2001:db8::1]/b/1",
		"URN:UUID:0192F5A0-7C31-7B62-9D1E-5A1B6D0F7A11":            "urn:uuid:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11",
		"urn:Example:Batt/7%c3%a9":                                 "urn:example:Batt/7%C3%A9",
		"did:web:ID.Example.com%3a8080:b:A1":                       "did:web:id.example.com%3A8080:b:A1",
		"DID:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
	} {
		id, err := ParseBatteryID(text)
		if err != nil || id.String() != want {
			t.Errorf("%s became %s, %v; want %s", text, id, err, want)
			continue
		}
		if again, err := ParseBatteryID(want); err != nil || again != id {
			t.Errorf("the normal form %s became %s, %v", want, again, err)
		}
	}
}

func TestBadBatteryIDIsRefusedWithTheReason(t *testing.T) {
	item := "https://example.com/01/" + g14 + "/21/A1"
	for _, c := range []struct{ text, code, says string }{
		{"", "batteryId.length", "512"},
		{"https://example.com/" + strings.Repeat("a", 500), "batteryId.length", "512"},
		{"https://example.com/" + strings.Repeat("a", 440) + "/01/" + g14 + "/21/" + strings.Repeat("+", 20), "batteryId.length", "normal form"},
		{"https://example.com:99999/b/1", "uri.port", "65535"},
		{"https://example.com/b?x=%0", "uri.percent", "%25"},
		{"https://example.com/01/" + g14 + "/21/А1", "batteryId.ascii", "ASCII"}, // Cyrillic А
		{" " + item, "batteryId.ascii", "spaces"},
		{item + "\n", "batteryId.ascii", "spaces"},
		{item + "#x", "batteryId.fragment", "leave out #"},
		{item + "?linkType=gs1:dpp", "batteryId.query", "send " + item},
		{"https://u@example.com/b/1", "uri.userinfo", "user name"},
		{"https://example.com/01/" + g14, "batteryId.level", "names a model"},
		{"https://example.com/01/" + g14 + "/21/..", "batteryId.level", "names a model"},
		{"https://example.com/01/" + g14 + "/10/L", "batteryId.level", "names a batch"},
		{"https://example.com/01/9506000134352/21/A1", "digitalLink.gtin14", g14},
		{"https://example.com/01/O9506000134352/21/A1", "gtin.digits", "digits"},
		{"https://example.com/01/" + g14 + "/21/A1/10/L", "digitalLink.order", "order"},
		{"http://example.com/battery/1", "batteryId.https", "https"},
		{"https://example.com", "batteryId.path", "tells the battery"},
		{"https://example.com/./", "batteryId.path", "tells the battery"},
		{"https://example.com/b/1?", "batteryId.query", "after ?"},
		{"https://example.com/b/%zz", "uri.percent", "%25"},
		{"https://example.com/b/{1}", "uri.character", "percent-encoding"},
		{"https://example.com/b/%0d%0aSet-Cookie:x", "uri.control", "control"},
		{"https://example.com\\@evil.example/b/1", "uri.userinfo", "user name"},
		{"/01/" + g14 + "/21/A1", "batteryId.scheme", "Digital Link"},
		{"(01)" + g14 + "(21)A1", "batteryId.scheme", "Digital Link"},
		{"javascript:alert(1)", "batteryId.scheme", "URN"},
		{"file:///etc/passwd", "batteryId.scheme", "DID"},
		{"urn:x:1", "urn.syntax", "RFC 8141"},
		{"urn:example:", "urn.syntax", "RFC 8141"},
		{"urn:example:a?+b", "uri.character", "percent-encoding"},
		{"urn:example:%41", "urn.percent", "send urn:example:A"},
		{"urn:epc:id:sgtin:9506000.013435.A1", "urn.epc", "/01/{GTIN}"},
		{"urn:uuid:0192f5a07c317b629d1e5a1b6d0f7a11", "urn.uuid", "UUID such as"},
		{"urn:uuid:{0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11}", "uri.character", ""},
		{"urn:uuid:urn:uuid:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11", "urn.uuid", "UUID"},
		{"urn:uuid:00000000-0000-0000-0000-000000000000", "urn.uuid", "UUID"},
		{"urn:uuid:ffffffff-ffff-ffff-ffff-ffffffffffff", "urn.uuid", "UUID"},
		{"did:web", "did.syntax", "did:method:name"},
		{"did:Web:example.com", "did.syntax", "did:method:name"},
		{"did:web:example.com:", "did.syntax", "did:method:name"},
		{"did:web:example.com/path", "did.syntax", "did:method:name"},
		{"did:web:example.com?x", "did.syntax", "did:method:name"},
		{"did:example:%0a", "uri.control", "control"},
		{"did:example:%41", "did.percent", "send did:example:A"},
	} {
		t.Run(c.text[:min(len(c.text), 60)], func(t *testing.T) {
			id, err := ParseBatteryID(c.text)
			refused(t, err, c.code, c.says)
			if !id.IsZero() {
				t.Errorf("a refused identifier is %v", id)
			}
		})
	}
}

func TestSameBatteryOnAnotherHostHasTheSameKey(t *testing.T) {
	const first = "https://id.example.com/01/" + g14 + "/21/A1"
	want := batteryID(t, first).Key()
	for _, text := range []string{
		"http://other.example:8080/01/" + g14 + "/21/A1",
		"https://example.com/dpp/01/" + g14 + "/21/%41%31/",
		"https://example.com/01/" + g14 + "/10/LOT/21/A1", // the lot is no part of the key
		"https://example.com/01/" + g14 + "/22/V/21/A1",
	} {
		if batteryID(t, text).Key() != want {
			t.Errorf("%s and %s have two keys", first, text)
		}
	}
}

func TestDifferentBatteriesHaveDifferentKeys(t *testing.T) {
	seen := map[BatteryKey]string{}
	for _, text := range []string{
		"https://example.com/01/" + g14 + "/21/A1",
		"https://example.com/01/" + g14 + "/21/a1",
		"https://example.com/01/" + g14 + "/21/A1%2541",
		"https://example.com/01/" + g14 + "/21/A1(10)L",
		"https://example.com/01/09506000134369/21/A1",
		"https://example.com/8004/95060001A1",
		"https://example.com/8004/01" + g14 + "21A1",
		"https://example.com/b/A1",
		"https://example.com/b/a1",
		"https://example.org/b/A1",
		"https://example.com/b/A1/",
		"https://example.com/b?sn=A1",
		"urn:example:A1",
		"urn:example:(01)" + g14 + "(21)A1", // only the word before the hash tells it apart
		"did:example:A1",
	} {
		key := batteryID(t, text).Key()
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s have one key", other, text)
		}
		seen[key] = text
	}
}

// The keys are stored: a change of how they are made would orphan every
// passport.
func TestBatteryKeysNeverChange(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.com/01/" + g14 + "/21/A1":      "4e129fab3161a3e603102039fb6f8d98726596c25f0f9a9fed0cf90c91dbdc8f",
		"https://example.com/8004/95060001BAT":          "fbc12d4bb182b672d191c7ee054ceca309e5be0a3ecf40400a3f05ca0dcf72bf",
		"urn:uuid:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11": "80246c5d129a747f7717fb11562a7b5d535079113abb06a94890c58c3a58ee68",
	} {
		key := batteryID(t, text).Key()
		if got := hex.EncodeToString(key[:]); got != want {
			t.Errorf("key of %s is %s, want %s", text, got, want)
		}
	}
}

func TestBatteryIDTravelsAsText(t *testing.T) {
	id := batteryID(t, "https://example.com/01/"+g14+"/21/A1")
	b, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back BatteryID
	if err := json.Unmarshal(b, &back); err != nil || back != id {
		t.Errorf("%s came back as %v, %v", b, back, err)
	}
	if err := json.Unmarshal([]byte(`"nothing"`), &back); err == nil {
		t.Error("a malformed identifier is read")
	}
	link, ok := id.DigitalLink()
	if !ok || link != (DigitalLink{GTIN: g14, Serial: "A1"}) {
		t.Errorf("the link is %+v, %v", link, ok)
	}
	if _, ok := batteryID(t, "urn:example:A1").DigitalLink(); ok {
		t.Error("a URN is taken for a Digital Link")
	}
}

func batteryID(t *testing.T, text string) BatteryID {
	t.Helper()
	id, err := ParseBatteryID(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return id
}

func FuzzBatteryID(f *testing.F) {
	for _, s := range []string{
		"https://id.example.com/01/" + g14 + "/10/L/21/A1", "http://x:80/p/../8004/95060001B%2fC/", "https://e.com/a?b=%7e", "urn:uuid:0192F5A0-7C31-7B62-9D1E-5A1B6D0F7A11",
		"urn:x1:a/b:c", "did:web:EXAMPLE.com%3A1:o:x", "https://[::FFFF:1.2.3.4]:443/b", "https://e.com/%2e%2e/%2E/a", "https://e.com//01//" + g14,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseBatteryID(s)
		if err != nil {
			return
		}
		again, err := ParseBatteryID(id.String())
		if err != nil || again != id || again.Key() != id.Key() {
			t.Errorf("%q became %q, then %q, %v", s, id, again, err)
		}
		if len(id.String()) > maxBatteryID {
			t.Errorf("%q has %d characters", id, len(id.String()))
		}
	})
}
