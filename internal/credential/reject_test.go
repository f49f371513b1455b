package credential

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

func TestTokensOfAnotherFormAreRefused(t *testing.T) {
	key := newKey(t)
	issued, _ := issueBatch(t, key)
	good := payloadOf(t, issued.JWS)
	claims := func(change func(map[string]any)) []byte {
		changed := clone(good).(map[string]any)
		change(changed)
		return append(signClaims(t, recordHeader(), changed, key), '~')
	}
	header := func(name string, value any) []byte {
		changed := recordHeader()
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
		return append(signClaims(t, changed, good, key), '~')
	}
	raw := func(payload string) []byte { return append(signRaw(t, recordHeader(), []byte(payload), key), '~') }
	parts := strings.Split(string(issued.JWS), ".")
	rows := []struct {
		name  string
		token []byte
		code  string
	}{
		{"nothing", nil, "form.tilde"},
		{"no tilde", issued.JWS, "form.tilde"},
		{"a key binding token", append(Present(issued.JWS, nil, 0), issued.JWS...), "form.keyBinding"},
		{"two parts", []byte(parts[0] + "." + parts[1] + "~"), "form.jws"},
		{"too large", bytes.Repeat([]byte("a"), MaxToken+1), "form.size"},
		{"too many disclosures", append(bytes.Clone(issued.JWS), bytes.Repeat([]byte("~x"), MaxDisclosures+1)...), "form.keyBinding"},
		{"disclosures beyond the limit", append(append(bytes.Clone(issued.JWS), bytes.Repeat([]byte("~x"), MaxDisclosures+1)...), '~'), "form.size"},
		{"padding", []byte(parts[0] + "=." + parts[1] + "." + parts[2] + "~"), "form.header"},
		{"a line break in the signature", []byte(parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:] + "~"), "form.signature"},
		{"alg none", header("alg", "none"), "form.header.alg"},
		{"alg HS256", header("alg", "HS256"), "form.header.alg"},
		{"alg ES384", header("alg", "ES384"), "form.header.alg"},
		{"no alg", header("alg", nil), "form.header.alg"},
		{"typ of a status list", header("typ", "vc+jwt"), "form.header.typ"},
		{"typ of an access token", header("typ", "at+jwt"), "form.header.typ"},
		{"typ with application/", header("typ", "application/vc+sd-jwt"), "form.header.typ"},
		{"typ in capitals", header("typ", "VC+SD-JWT"), "form.header.typ"},
		{"no typ", header("typ", nil), "form.header.typ"},
		{"no cty", header("cty", nil), "form.header.cty"},
		{"no kid", header("kid", nil), "form.header.kid"},
		{"a kid that is a path", header("kid", "../../keys/ca.pem"), "form.header.kid"},
		{"a kid that is SQL", header("kid", "did:web:x'; drop table key;--#1"), "form.header.kid"},
		{"a kid of ten kilobytes", header("kid", "did:web:"+strings.Repeat("a", 10_000)+"#k"), "form.header.kid"},
		{"a kid that is a number", header("kid", json.Number("7")), "form.header.kid"},
		{"a kid of another DID method", header("kid", "did:key:z6Mk#z6Mk"), "form.header.kid"},
		{"a kid of another issuer", header("kid", "did:web:evil.example#k-1"), "form.issuer"},
		{"a key in the header", header("jwk", map[string]any{"kty": "EC"}), "form.header.member"},
		{"a key set URL", header("jku", "https://evil.example/jwks.json"), "form.header.member"},
		{"a certificate URL", header("x5u", "https://evil.example/c.pem"), "form.header.member"},
		{"a certificate", header("x5c", []any{"MII"}), "form.header.member"},
		{"critical extensions", header("crit", []any{"b64"}), "form.header.member"},
		{"an unencoded payload", header("b64", false), "form.header.member"},
		{"the vc wrapper", claims(func(c map[string]any) { c["vc"] = map[string]any{} }), "form.claim.unknown"},
		{"the vp wrapper", claims(func(c map[string]any) { c["vp"] = map[string]any{} }), "form.claim.unknown"},
		{"an undefined claim", claims(func(c map[string]any) { c["grade"] = "A" }), "form.claim.unknown"},
		{"an expiry", claims(func(c map[string]any) { c["exp"] = json.Number("1") }), "form.claim.unknown"},
		{"a concealed claim", claims(func(c map[string]any) { c["_sd"] = []any{} }), "form.claim.unknown"},
		{"no environment", claims(func(c map[string]any) { delete(c, "environment") }), "form.claim.missing"},
		{"another environment", claims(func(c map[string]any) { c["environment"] = "test" }), "form.claim.value"},
		{"no hash", claims(func(c map[string]any) { delete(c, "_sd_alg") }), "form.claim.missing"},
		{"a weak hash", claims(func(c map[string]any) { c["_sd_alg"] = "sha-1" }), "form.claim.value"},
		{"a date for iat", claims(func(c map[string]any) { c["iat"] = "2027-03-01" }), "form.claim.value"},
		{"iat and validFrom apart", claims(func(c map[string]any) { c["validFrom"] = "2027-03-01T09:12:45Z" }), "form.claim.value"},
		{"iat with a fraction", claims(func(c map[string]any) { c["iat"] = json.Number("1803892364.0") }), "form.claim.value"},
		{"another iss", claims(func(c map[string]any) { c["iss"] = "did:web:evil.example" }), "form.claim.value"},
		{"another issuer.id", claims(func(c map[string]any) { c["issuer"].(map[string]any)["id"] = "did:web:evil.example" }), "form.issuer"},
		{"no issuer", claims(func(c map[string]any) { c["issuer"] = nil }), "form.issuer"},
		{"a further issuer member", claims(func(c map[string]any) { c["issuer"].(map[string]any)["logo"] = "x" }), "form.claim.value"},
		{"a further context", claims(func(c map[string]any) { c["@context"] = append(c["@context"].([]any), "https://evil.example/v1") }), "form.claim.value"},
		{"contexts in another order", claims(func(c map[string]any) { l := c["@context"].([]any); l[0], l[1] = l[1], l[0] }), "form.claim.value"},
		{"another type", claims(func(c map[string]any) { c["type"] = []any{"VerifiableCredential", "Diploma"} }), "form.claim.type"},
		{"type of a passport", claims(func(c map[string]any) { c["type"] = []any{"VerifiableCredential", "BatteryPassportCredential"} }), "form.claim.subject"},
		{"another subject type", claims(func(c map[string]any) { c["credentialSubject"].(map[string]any)["type"] = "Battery" }), "form.claim.subject"},
		{"two subjects", claims(func(c map[string]any) { c["credentialSubject"] = []any{c["credentialSubject"]} }), "form.claim.subject"},
		{"another schema", claims(func(c map[string]any) { c["credentialSchema"].(map[string]any)["id"] = "https://evil.example/s.json" }), "form.claim.value"},
		{"a schema path that climbs", claims(func(c map[string]any) {
			c["credentialSchema"].(map[string]any)["id"] = testBase + "/schemas/1.0.0/../x"
		}), "form.claim.value"},
		{"an integer statusListIndex", claims(func(c map[string]any) {
			c["credentialStatus"].([]any)[0].(map[string]any)["statusListIndex"] = json.Number("94567")
		}), "form.claim.value"},
		{"another status list", claims(func(c map[string]any) {
			c["credentialStatus"].([]any)[0].(map[string]any)["statusListCredential"] = "https://evil.example/1"
		}), "form.claim.value"},
		{"two status indices", claims(func(c map[string]any) {
			c["status"].(map[string]any)["status_list"].(map[string]any)["idx"] = json.Number("1")
		}), "form.claim.value"},
		{"only the Bitstring status", claims(func(c map[string]any) { delete(c, "status") }), "form.claim.unknown"},
		{"only the token status", claims(func(c map[string]any) { delete(c, "credentialStatus") }), "form.claim.value"},
		{"a passportId on a batch", claims(func(c map[string]any) { c["passportId"] = c["seriesId"] }), "form.claim.unknown"},
		{"a recordId in capitals", claims(func(c map[string]any) { c["recordId"] = strings.ToUpper(c["recordId"].(string)) }), "form.claim.value"},
		{"version zero", claims(func(c map[string]any) { c["version"] = json.Number("0") }), "form.claim.value"},
		{"a version with a sign", claims(func(c map[string]any) { c["version"] = json.Number("2e0") }), "form.claim.value"},
		{"a pin without a digest", claims(func(c map[string]any) { delete(c["relatedResource"].([]any)[0].(map[string]any), "digestSRI") }), "form.claim.value"},
		{"no pins in a list", claims(func(c map[string]any) { c["relatedResource"] = []any{} }), "form.claim.unknown"},
		{"a previous batch", claims(func(c map[string]any) { c["previous"] = digestSRI([32]byte{1}) }), "form.claim.value"},
		{"a member twice", raw(`{"iss":"a","iss":"b"}`), "form.payload"},
		{"broken UTF-8", raw("{\"iss\":\"\xff\"}"), "form.payload"},
		{"a lone surrogate", raw(`{"iss":"\ud800"}`), "form.payload"},
		{"an array", raw(`[]`), "form.payload"},
		{"no JSON", raw(`{`), "form.payload"},
		{"deep nesting", raw(`{"iss":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), "form.payload"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := Parse(row.token)
			if err == nil {
				t.Fatal("accepted")
			}
			if code(err) != row.code {
				t.Errorf("code %q (%v), want %q", code(err), err, row.code)
			}
		})
	}
}

func TestHeaderMemberTwiceIsRefused(t *testing.T) {
	key := newKey(t)
	issued, _ := issueBatch(t, key)
	parts := strings.Split(string(issued.JWS), ".")
	head := fmt.Sprintf(`{"alg":"none","alg":"ES256","cty":"vc","kid":%q,"typ":"vc+sd-jwt"}`, testKID)
	if _, err := Parse([]byte(encodeSegment([]byte(head)) + "." + parts[1] + "." + parts[2] + "~")); code(err) != "form.header" {
		t.Errorf("got %v", err)
	}
}

func TestClaimsCannotBeHadWithoutTheRightKey(t *testing.T) {
	issued, _ := issueBatch(t, newKey(t))
	token, err := Parse(Present(issued.JWS, issued.Disclosures, passport.AllTiers()))
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"another key": newKey(t).Public(), "no key": nil, "a secret": []byte("secret")} {
		if verified, err := token.Verify(key); err == nil || verified != nil {
			t.Errorf("%s: verified", name)
		}
	}
}

// encodeDisclosure encodes any JSON as a disclosure.
func encodeDisclosure(text string) string { return encodeSegment([]byte(text)) }

func TestDisclosuresThatBreakTheRulesAreRefused(t *testing.T) {
	const salt = `"_26bc4LT-ac6q2KI6cBW5es"`
	plain := encodeDisclosure(`[` + salt + `,"a",1]`)
	element := encodeDisclosure(`[` + salt + `,"element"]`)
	withDigest := func(disclosures ...string) string {
		quoted := make([]string, len(disclosures))
		for i, d := range disclosures {
			quoted[i] = `"` + digestOf(d) + `"`
		}
		return `{"_sd":[` + strings.Join(quoted, ",") + `],"_sd_alg":"sha-256"}`
	}
	one := func(text string) (string, []string) {
		d := encodeDisclosure(text)
		return withDigest(d), []string{d}
	}
	nested := plain
	for range maxNesting + 2 {
		nested = encodeDisclosure(`[` + salt + `,"n",{"_sd":["` + digestOf(nested) + `"]}]`)
	}
	type row struct {
		name, payload string
		disclosures   []string
		code          string
	}
	rows := []row{
		{"one that no digest refers to", `{"b":1}`, []string{plain}, "disclosures.unreferenced"},
		{"one of another record", withDigest(element), []string{plain}, "disclosures.unreferenced"},
		{"the same twice", withDigest(plain), []string{plain, plain}, "disclosures.repeated"},
		{"a digest twice in one object", withDigest(plain, plain), nil, "disclosures.digestRepeated"},
		{"a digest twice in two objects", `{"x":` + withDigestOnly(plain) + `,"y":` + withDigestOnly(plain) + `}`, []string{plain}, "disclosures.digestRepeated"},
		{"a name that stands there already", `{"a":0,"_sd":["` + digestOf(plain) + `"]}`, []string{plain}, "disclosures.nameTaken"},
		{"a member where an element belongs", `{"l":[{"...":"` + digestOf(plain) + `"}]}`, []string{plain}, "disclosures.shape"},
		{"an element where a member belongs", withDigest(element), []string{element}, "disclosures.shape"},
		{"a concealed element with other members", `{"l":[{"...":"` + digestOf(element) + `","x":1}]}`, []string{element}, "disclosures.reservedName"},
		{"an ellipsis outside an array", `{"o":{"...":"` + digestOf(element) + `"}}`, []string{element}, "disclosures.reservedName"},
		{"_sd that is no array", `{"_sd":"x"}`, nil, "disclosures.digests"},
		{"a digest that is no string", `{"_sd":[1]}`, nil, "disclosures.digests"},
		{"an element digest that is no string", `{"l":[{"...":1}]}`, nil, "disclosures.digests"},
		{"another hash", `{"_sd_alg":"sha-512"}`, nil, "disclosures.hash"},
		{"a hash named further down", `{"o":{"_sd_alg":"sha-256"}}`, nil, "disclosures.reservedName"},
		{"padding", withDigest(plain + "="), []string{plain + "="}, "disclosures.encoding"},
		{"another alphabet", withDigest("WyJ+"), []string{"WyJ+"}, "disclosures.encoding"},
		{"nothing", withDigest(""), []string{""}, "disclosures.json"},
		{"disclosures within disclosures without end", withDigest(nested), nil, ""},
	}
	for name, text := range map[string]string{
		"an object":                   `{"a":1}`,
		"one part":                    `[` + salt + `]`,
		"four parts":                  `[` + salt + `,"a",1,2]`,
		"a salt that is a number":     `[1,"a",1]`,
		"a name that is a number":     `[` + salt + `,1,1]`,
		"a name that is null":         `[` + salt + `,null,1]`,
		"the name _sd":                `[` + salt + `,"_sd",["x"]]`,
		"the name of three dots":      `[` + salt + `,"...","x"]`,
		"the name _sd_alg":            `[` + salt + `,"_sd_alg","x"]`,
		"a member twice":              `[` + salt + `,"a",{"x":1,"x":2}]`,
		"broken UTF-8":                "[" + salt + ",\"a\",\"\xff\"]",
		"a lone surrogate":            `[` + salt + `,"a","\udc00"]`,
		"a concealed hash in a value": `[` + salt + `,"a",{"_sd_alg":"sha-256"}]`,
	} {
		payload, disclosures := one(text)
		rows = append(rows, row{name: name, payload: payload, disclosures: disclosures, code: "disclosures."})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			claims, _, err := process(object(t, []byte(r.payload)), r.disclosures)
			if r.code == "" {
				return
			}
			if err == nil {
				t.Fatalf("gave %v", claims)
			}
			if !strings.HasPrefix(code(err), r.code) {
				t.Errorf("code %q (%v), want %q", code(err), err, r.code)
			}
			if claims != nil {
				t.Error("claims came with the refusal")
			}
		})
	}
}

func withDigestOnly(d string) string { return `{"_sd":["` + digestOf(d) + `"]}` }

func TestNestingOfDisclosuresIsBounded(t *testing.T) {
	chain := func(n int) (string, []string) {
		d := encodeDisclosure(`["salt-salt-salt-salt","n",1]`)
		all := []string{d}
		for range n {
			d = encodeDisclosure(`["salt-salt-salt-salt","n",{"_sd":["` + digestOf(d) + `"]}]`)
			all = append(all, d)
		}
		return withDigestOnly(d), all
	}
	payload, disclosures := chain(10)
	if _, _, err := process(object(t, []byte(payload)), disclosures); err != nil {
		t.Errorf("ten levels: %v", err)
	}
	payload, disclosures = chain(maxNesting + 1)
	if _, _, err := process(object(t, []byte(payload)), disclosures); code(err) != "disclosures.depth" {
		t.Errorf("too many levels: %v", err)
	}
}

func TestDisclosureOfAnotherRecordIsRefused(t *testing.T) {
	key := newKey(t)
	mine, _ := issueBatch(t, key)
	other, _ := issueBatch(t, key)
	for i := range mine.Disclosures {
		swapped := append([]Disclosure{}, mine.Disclosures...)
		swapped[i] = other.Disclosures[i]
		if _, record, err := open(Present(mine.JWS, swapped, passport.AllTiers()), key); code(err) != "disclosures.unreferenced" {
			t.Errorf("%s: %v, %v", swapped[i].Attribute, record, err)
		}
	}
}

// TestPresentationShowsExactlyTheAllowed issues random records with random
// restrictions and checks every claim of section 4 of the design at once:
// whatever the tiers, the same signed bytes, and exactly the allowed
// attributes.
func TestPresentationShowsExactlyTheAllowed(t *testing.T) {
	key := newKey(t)
	env := batchEnvelope(t)
	names := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(rt *rapid.T) {
		record := map[string]any{}
		var hidden []restriction
		for _, section := range names {
			if !rapid.Bool().Draw(rt, "has section") {
				continue
			}
			object := map[string]any{}
			for _, name := range names {
				if !rapid.Bool().Draw(rt, "has member") {
					continue
				}
				object[name] = randomValue(rt, 0)
				if tier := rapid.SampledFrom(append(passport.Restricted(), passport.Public)).Draw(rt, "tier"); tier != passport.Public {
					list, isArray := object[name].([]any)
					hidden = append(hidden, restriction{
						attribute: section + "." + name, tier: tier, path: []string{section, name}, elements: isArray && len(list) > 0,
					})
				}
			}
			record[section] = object
		}
		issued, err := issue(record, hidden, env, testKID, key, rand.Reader)
		if err != nil {
			rt.Fatal(err)
		}
		tiers := passport.Tiers(rapid.IntRange(0, int(passport.AllTiers())).Draw(rt, "tiers"))
		token := Present(issued.JWS, issued.Disclosures, tiers)
		verified, got, err := open(token, key)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(visible(record, hidden, tiers), got); diff != "" {
			rt.Fatal(diff)
		}
		if !bytes.HasPrefix(token, issued.JWS) || verified.token.Digest() != issued.TokenDigest {
			rt.Fatal("the signed bytes depend on who reads them")
		}
		withheld := 0
		for _, d := range issued.Disclosures {
			if !tiers.Has(d.Tier) {
				withheld++
			}
		}
		if verified.Withheld() != withheld {
			rt.Fatalf("%d withheld, want %d", verified.Withheld(), withheld)
		}
	})
}

// visible is the obvious projection: take away what the tiers do not open.
func visible(record map[string]any, hidden []restriction, tiers passport.Tiers) map[string]any {
	out := clone(record).(map[string]any)
	for _, h := range hidden {
		if tiers.Has(h.tier) {
			continue
		}
		parent := out[h.path[0]].(map[string]any)
		if h.elements {
			parent[h.path[1]] = []any{}
		} else {
			delete(parent, h.path[1])
		}
	}
	return out
}

func randomValue(rt *rapid.T, depth int) any {
	kinds := 6
	if depth > 2 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds-1).Draw(rt, "kind") {
	case 0:
		return rapid.SampledFrom([]any{nil, true, false}).Draw(rt, "literal")
	case 1:
		return json.Number(fmt.Sprintf("%d.%d", rapid.IntRange(-1000, 1000).Draw(rt, "units"), rapid.IntRange(0, 999).Draw(rt, "fraction")))
	case 2, 3:
		return rapid.StringMatching(`[a-zA-Z0-9 <>&"\\/äöü漢-]{0,20}`).Draw(rt, "text")
	case 4:
		list := make([]any, rapid.IntRange(0, 4).Draw(rt, "length"))
		for i := range list {
			list[i] = randomValue(rt, depth+1)
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(rt, "members") {
		object[rapid.StringMatching(`[a-z]{1,8}`).Draw(rt, "name")] = randomValue(rt, depth+1)
	}
	return object
}

func FuzzParse(f *testing.F) {
	key := newKey(f)
	issued, _ := issueBatch(f, key)
	f.Add(Present(issued.JWS, issued.Disclosures, passport.AllTiers()))
	f.Add(Present(issued.JWS, nil, 0))
	for _, vector := range readVectors(f).Tokens {
		f.Add([]byte(vector.Token))
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		parsed, err := Parse(token)
		if err != nil {
			if parsed != nil || code(err) == "" {
				t.Fatalf("refused with %v, %v", parsed, err)
			}
			return
		}
		if !bytes.HasPrefix(token, append(parsed.JWS(), '~')) {
			t.Fatal("JWS is not what was sent")
		}
		verified, err := parsed.Verify(key.Public())
		if err == nil && !bytes.Equal(parsed.JWS(), issued.JWS) {
			t.Fatalf("verified bytes that were never signed: %v", verified.Envelope())
		}
	})
}

func FuzzProcess(f *testing.F) {
	v := readVectors(f)
	f.Add([]byte(v.Recursive.Payload), strings.Join(v.Recursive.Disclosures, "~"))
	for _, vector := range v.Tokens {
		jws, disclosures, _ := strings.Cut(vector.Token, "~")
		payload, err := decodeSegment(strings.Split(jws, ".")[1])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload, strings.TrimSuffix(disclosures, "~"))
	}
	f.Add([]byte(`{"_sd":["x"],"l":[{"...":"y"},[{"...":"z"}]]}`), "")
	f.Fuzz(func(t *testing.T, payload []byte, joined string) {
		tree, err := strictjson.Parse(payload)
		if err != nil {
			return
		}
		claims, ok := tree.(map[string]any)
		if !ok {
			return
		}
		before := clone(claims)
		var disclosures []string
		if joined != "" {
			disclosures = strings.Split(joined, "~")
		}
		got, withheld, err := process(claims, disclosures)
		if !equal(before, claims) {
			t.Fatal("the signed claims were changed")
		}
		if err != nil {
			return
		}
		if at := reservedMember(got); at != "" || withheld < 0 {
			t.Fatalf("%q is left over, %d withheld", at, withheld)
		}
		if len(disclosures) == 0 && len(maps.Clone(got)) > len(claims) {
			t.Fatal("members came out of nothing")
		}
	})
}
