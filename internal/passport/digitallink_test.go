package passport

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const g14 = "09506000134352"

func TestDigitalLinkSaysWhatItNames(t *testing.T) {
	for _, c := range []struct {
		text, path, elements string
		link                 DigitalLink
		level                Level
	}{
		{
			"/01/" + g14, "/01/" + g14, "(01)" + g14,
			DigitalLink{GTIN: g14},
			ModelLevel,
		}, {
			"/01/" + g14 + "/22/2B", "/01/" + g14 + "/22/2B", "(01)" + g14 + "(22)2B",
			DigitalLink{GTIN: g14, Variant: "2B"},
			ModelLevel,
		}, {
			"/01/" + g14 + "/10/L-7", "/01/" + g14 + "/10/L-7", "(01)" + g14 + "(10)L-7",
			DigitalLink{GTIN: g14, Lot: "L-7"},
			BatchLevel,
		}, {
			"/01/" + g14 + "/21/A1", "/01/" + g14 + "/21/A1", "(01)" + g14 + "(21)A1",
			DigitalLink{GTIN: g14, Serial: "A1"},
			ItemLevel,
		}, {
			"/01/" + g14 + "/10/L-7/21/A1", "/01/" + g14 + "/10/L-7/21/A1", "(01)" + g14 + "(10)L-7(21)A1",
			DigitalLink{GTIN: g14, Lot: "L-7", Serial: "A1"},
			ItemLevel,
		}, {
			"/01/" + g14 + "/22/2B/10/L-7/21/A1", "/01/" + g14 + "/22/2B/10/L-7/21/A1", "(01)" + g14 + "(22)2B(10)L-7(21)A1",
			DigitalLink{GTIN: g14, Variant: "2B", Lot: "L-7", Serial: "A1"},
			ItemLevel,
		}, {
			"/8004/95060001BAT-1", "/8004/95060001BAT-1", "(8004)95060001BAT-1",
			DigitalLink{GIAI: "95060001BAT-1"},
			AssetLevel,
		},
	} {
		link, err := ParseDigitalLink(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if d := cmp.Diff(c.link, link); d != "" {
			t.Errorf("%s: %s", c.text, d)
		}
		if link.Path() != c.path || link.ElementString() != c.elements || link.Level() != c.level {
			t.Errorf("%s: path %s, elements %s, level %s", c.text, link.Path(), link.ElementString(), link.Level())
		}
	}
}

func TestOneItemHasManySpellingsAndOnePath(t *testing.T) {
	const want = "/01/" + g14 + "/21/A-1"
	for _, text := range []string{
		want,
		want + "/",
		want + "?linkType=gs1:dpp",
		want + "/?linkType=linkset&11=270218#top",
		"https://id.example.com" + want,
		"HTTPS://ID.Example.COM:443" + want,
		"http://localhost:8080" + want,
		"http://127.0.0.1:8080" + want,
		"http://[::1]:8080" + want,
		"https://example.com/dpp/v2" + want,
		"https://example.com/2026/01/01/" + g14 + "/21/A-1",
		"https://example.com/a%20b/~x" + want,
		"/prefix" + want,
		"/01/" + g14 + "/21/%41-1",
		"/01/" + g14 + "/21/A%2d1",
	} {
		link, err := ParseDigitalLink(text)
		if err != nil || link.Path() != want {
			t.Errorf("%s: path %s, %v", text, link.Path(), err)
		}
	}
}

func TestEveryCharacterOfSet82GoesThroughAPath(t *testing.T) {
	for c := range byte(0x80) {
		link := DigitalLink{GTIN: g14, Serial: "s" + string(c)}
		got, err := ParseDigitalLink(link.Path())
		if !inCharacterSet82(c) {
			if err == nil {
				t.Errorf("serial with %q is accepted", c)
			}
			continue
		}
		if err != nil || got != link {
			t.Errorf("%q went through %s as %+v, %v", c, link.Path(), got, err)
		}
	}
}

func TestPercentEncodingIsDecodedOnce(t *testing.T) {
	link, err := ParseDigitalLink("/01/" + g14 + "/21/%2541")
	if err != nil || link.Serial != "%41" {
		t.Fatalf("serial is %q, %v", link.Serial, err)
	}
	if got := link.Path(); got != "/01/"+g14+"/21/%2541" {
		t.Errorf("path is %s", got)
	}
	link, err = ParseDigitalLink("/01/" + g14 + "/10/A%2F21%2FB")
	if err != nil || link.Lot != "A/21/B" || link.Serial != "" {
		t.Errorf("an encoded slash ends a lot: %+v, %v", link, err)
	}
}

func TestBadDigitalLinkIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct{ text, code, says string }{
		{"", "uri.scheme", "https://"},
		{"01/" + g14, "uri.scheme", "https://"},
		{"ftp://example.com/01/" + g14, "uri.scheme", "https://"},
		{"javascript:alert(1)//01/" + g14, "uri.scheme", "https://"},
		{"https:///01/" + g14, "uri.host", "host name"},
		{"https://exa_mple.com/01/" + g14, "uri.host", "host name"},
		{"https://example..com/01/" + g14, "uri.host", "host name"},
		{"https://bücher.example/01/" + g14, "uri.host", "xn--"},
		{"https://[::1/01/" + g14, "uri.host", ""},
		{"https://[fe80::1%25eth0]/01/" + g14, "uri.host", "IPv6"},
		{"https://[127.0.0.1]/01/" + g14, "uri.host", "IPv6"},
		{"https://user:pw@example.com/01/" + g14, "uri.userinfo", "user name"},
		{"https://example.com:0/01/" + g14, "uri.port", "65535"},
		{"https://example.com:65536/01/" + g14, "uri.port", "65535"},
		{"https://example.com:+80/01/" + g14, "uri.port", "65535"},
		{"https://example.com:99999999999999999999/01/" + g14, "uri.port", "65535"},
		{"https://example.com", "digitalLink.primaryKey", "/01/{GTIN}"},
		{"https://example.com?x=/01/" + g14, "digitalLink.primaryKey", "/01/{GTIN}"},
		{"/", "digitalLink.primaryKey", "/8004/{GIAI}"},
		{"/gtin/" + g14, "digitalLink.primaryKey", "/01/{GTIN}"},
		{"/414/9506000140445", "digitalLink.primaryKey", "/01/{GTIN}"},
		{"/8003/009506000134352S", "digitalLink.primaryKey", "/01/{GTIN}"},
		{"/01", "digitalLink.value", "a value after /01/"},
		{"/01/", "digitalLink.value", "a value after /01/"},
		{"/8004/", "digitalLink.value", "a value after /8004/"},
		{"/01/9506000134352", "digitalLink.gtin14", "leading zeros: 09506000134352"},
		{"/01/614141000036/21/A1", "digitalLink.gtin14", "leading zeros: 00614141000036"},
		{"/01/09506000134353/21/A1", "gtin.checkDigit", "check digit 2"},
		{"/01/x/21/A1", "gtin.digits", "digits"},
		{"/01/%30" + g14[1:], "gtin.digits", "digits"},
		{"/01/" + g14 + "/21", "digitalLink.value", "a value after /21/"},
		{"/01/" + g14 + "/21/", "digitalLink.value", "a value after /21/"},
		{"/01/" + g14 + "//21/A1", "digitalLink.qualifier", "22, 10 or 21"},
		{"/01/" + g14 + "/21/A1//", "digitalLink.qualifier", "22, 10 or 21"},
		{"/01/" + g14 + "/21//10/L", "digitalLink.value", "1 to 20"},
		{"/01/" + g14 + "/21/A1/10/L", "digitalLink.order", "10 after 21"},
		{"/01/" + g14 + "/10/L/22/V", "digitalLink.order", "22 after 10"},
		{"/01/" + g14 + "/21/A1/21/A2", "digitalLink.qualifier", "each qualifier once"},
		{"/01/" + g14 + "/235/TPX", "digitalLink.qualifier", "third-party serial"},
		{"/01/" + g14 + "/11/270218", "digitalLink.qualifier", "22, 10 or 21"},
		{"/01/" + g14 + "/ser/A1", "digitalLink.qualifier", "22, 10 or 21"},
		{"/01/" + g14 + "/21/" + strings.Repeat("A", 21), "digitalLink.value", "1 to 20"},
		{"/01/" + g14 + "/21/.", "digitalLink.value", "other than . and .."},
		{"/01/" + g14 + "/21/%2E%2e", "digitalLink.value", "other than . and .."},
		{"/01/" + g14 + "/21/A%", "uri.percent", "%25"},
		{"/01/" + g14 + "/21/A%4", "uri.percent", "%25"},
		{"/01/" + g14 + "/21/A%zz", "uri.percent", "%25"},
		{"/01/" + g14 + "/21/A%00", "uri.control", "control"},
		{"/01/" + g14 + "/21/A%0A", "uri.control", "control"},
		{"/01/" + g14 + "/21/A B", "uri.character", "percent-encoding"},
		{"/01/" + g14 + "/21/<b>", "uri.character", "percent-encoding"},
		{"/01/" + g14 + "/21/Ä", "uri.character", "percent-encoding"},
		{"/01/" + g14 + "/21/%C3%84", "digitalLink.characters", "character set 82"},
		{"/01/" + g14 + "/21/A%20B", "digitalLink.characters", "character set 82"},
		{"/01/" + g14 + "/21/A@B", "digitalLink.characters", "character set 82"},
		{"/01/" + g14 + "/21/A~B", "digitalLink.characters", "character set 82"},
		{"/8004/BAT1", "digitalLink.giai", "company prefix"},
		{"/8004/9506", "digitalLink.giai", "reference"},
		{"/8004/" + strings.Repeat("9", 31), "digitalLink.value", "1 to 30"},
		{"/8004/95060001BAT/7040/1", "digitalLink.qualifier", "nothing after a GIAI"},
		{"/01/" + g14 + "/21/" + strings.Repeat("A", 4000), "digitalLink.length", "2048"},
	} {
		t.Run(c.text[:min(len(c.text), 60)], func(t *testing.T) {
			link, err := ParseDigitalLink(c.text)
			refused(t, err, c.code, c.says)
			if link != (DigitalLink{}) {
				t.Errorf("a refused link says %+v", link)
			}
		})
	}
}

func TestParentsLeadFromTheItemToItsModel(t *testing.T) {
	link, err := ParseDigitalLink("/01/" + g14 + "/22/2B/10/L/21/A1")
	if err != nil {
		t.Fatal(err)
	}
	var walk []string
	for more := true; more; link, more = link.Parent() {
		walk = append(walk, link.ElementString())
	}
	want := []string{
		"(01)" + g14 + "(22)2B(10)L(21)A1", "(01)" + g14 + "(22)2B(10)L", "(01)" + g14 + "(22)2B", "(01)" + g14,
	}
	if d := cmp.Diff(want, walk); d != "" {
		t.Error(d)
	}
	if parent, ok := (DigitalLink{GIAI: "95060001B"}).Parent(); ok {
		t.Errorf("an asset has the parent %v", parent)
	}
}

func TestOnlyBatteriesHaveAKey(t *testing.T) {
	for _, link := range []DigitalLink{{}, {GTIN: g14}, {GTIN: g14, Variant: "V"}, {GTIN: g14, Lot: "L"}} {
		if _, ok := link.Key(); ok {
			t.Errorf("%+v has a battery key", link)
		}
	}
	if level := (DigitalLink{}).Level(); level != "" {
		t.Errorf("nothing is at level %s", level)
	}
}

func FuzzDigitalLink(f *testing.F) {
	for _, s := range []string{
		"/01/" + g14, "/01/" + g14 + "/10/L/21/A1", "/8004/95060001BAT", "https://example.com/x/01/" + g14 + "/21/%2541?a=b#c",
		"http://[::1]:8080/01/" + g14 + "/22/V/10/L/21/..", "/2026/01/01/" + g14, "https://a:b@c/01/" + g14, "/01/01/8004/01/", "%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		link, err := ParseDigitalLink(s)
		if err != nil {
			return
		}
		if link.Level() == "" {
			t.Fatalf("%q names nothing", s)
		}
		for _, text := range []string{link.Path(), "https://example.com" + link.Path() + "/?q"} {
			if again, err := ParseDigitalLink(text); err != nil || again != link {
				t.Errorf("%q: %+v became %+v, %v", s, link, again, err)
			}
		}
		key, isBattery := link.Key()
		id, err := ParseBatteryID("https://example.com" + link.Path())
		if isBattery != (err == nil) {
			t.Fatalf("%q: a battery: %v, battery id: %v", s, isBattery, err)
		}
		if isBattery && id.Key() != key {
			t.Errorf("%q: link and battery id have two keys", s)
		}
	})
}
