package passport

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// maxBatteryID is the longest battery identifier in bytes: what a QR code of
// the size of a label still carries, with room to spare.
const maxBatteryID = 512

// BatteryID is the unique identifier of one battery (Art. 77(3) and Annex XIII
// of Regulation (EU) 2023/1542) in its normal form. Compare BatteryIDs by Key:
// two Digital Links on different hosts can name the same battery.
type BatteryID struct {
	text string
	link DigitalLink // zero unless the identifier is a Digital Link
}

// ParseBatteryID reads a battery identifier of at most 512 ASCII characters:
//
//   - a GS1 Digital Link (http or https) that names one battery: 01 with 21, or 8004
//   - any other https URI, issued by the operator itself
//   - a URN, for example urn:uuid:
//   - a DID
//
// It comes back in the normal form of RFC 3986 section 6.2. What would give
// one battery two keys is refused: a fragment, user names, the query of a
// Digital Link, the urn:epc: form of a GS1 key.
func ParseBatteryID(s string) (BatteryID, error) {
	if s == "" || len(s) > maxBatteryID {
		return BatteryID{}, malformed("batteryId.length", fmt.Sprintf("1 to %d characters", maxBatteryID), s)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return BatteryID{}, malformed("batteryId.ascii", "ASCII without spaces", s).
				repair("percent-encode other characters; write an international host in its xn-- form")
		}
	}
	if strings.Contains(s, "#") {
		return BatteryID{}, malformed("batteryId.fragment", "no fragment", s).repair("leave out # and what follows")
	}
	scheme, _, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "http", "https":
		return parseWebID(s)
	case "urn":
		text, err := normalURN(s)
		return BatteryID{text: text}, err
	case "did":
		text, err := normalDID(s)
		return BatteryID{text: text}, err
	}
	return BatteryID{}, malformed("batteryId.scheme", "a GS1 Digital Link, an https URI, a URN or a DID", s)
}

// parseWebID reads a Digital Link or a self-issued https URI.
func parseWebID(s string) (BatteryID, error) {
	origin, rest, err := splitOrigin(s)
	if err != nil {
		return BatteryID{}, err
	}
	path, query, asked := strings.Cut(rest, "?")
	if path, err = normalPath(path); err != nil {
		return BatteryID{}, err
	}
	if _, sure := primaryKey(strings.Split(strings.TrimSuffix(path, "/"), "/")); sure {
		return parseLinkID(origin+path, asked)
	}
	if query, err = normalPercent(query, "/:@?"); err != nil {
		return BatteryID{}, err
	}
	switch {
	case strings.HasPrefix(origin, "http:"):
		return BatteryID{}, malformed("batteryId.https", "https, as the URI is no GS1 Digital Link", s)
	case asked && query == "":
		return BatteryID{}, malformed("batteryId.query", "something after ?", s)
	case path == "/" && !asked:
		return BatteryID{}, malformed("batteryId.path", "a path or query that tells the battery", s)
	case asked:
		path += "?" + query
	}
	return shortEnough(BatteryID{text: origin + path})
}

// parseLinkID reads a Digital Link whose path is normal. Its path is written
// anew, so that one battery has one identifier per host.
func parseLinkID(uri string, asked bool) (BatteryID, error) {
	prefix, link, err := splitDigitalLink(uri)
	if err != nil {
		return BatteryID{}, err
	}
	text := prefix + link.Path()
	if asked {
		return BatteryID{}, malformed("batteryId.query", "a Digital Link without a query", uri+"?...").repair("send " + text)
	}
	if level := link.Level(); level != ItemLevel && level != AssetLevel {
		return BatteryID{}, malformed("batteryId.level", "the serial number (21) of one battery", text).
			repair("it names a " + string(level))
	}
	return shortEnough(BatteryID{text: text, link: link})
}

// shortEnough refuses an identifier that grew too long in its normal form.
func shortEnough(id BatteryID) (BatteryID, error) {
	if len(id.text) > maxBatteryID {
		return BatteryID{}, malformed("batteryId.length",
			fmt.Sprintf("1 to %d characters in normal form", maxBatteryID), id.text)
	}
	return id, nil
}

var urnPattern = regexp.MustCompile(`^[uU][rR][nN]:([A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]):([^/?].*)$`)

// normalURN is RFC 8141: scheme and namespace in lower case. Its equivalence
// keeps %41 apart from A, ours would not, so needless encoding is refused.
func normalURN(s string) (string, error) {
	parts := urnPattern.FindStringSubmatch(s)
	if parts == nil {
		return "", malformed("urn.syntax", "urn:NAMESPACE:NAME (RFC 8141)", s)
	}
	namespace := strings.ToLower(parts[1])
	name, err := normalPercent(parts[2], "/:@")
	switch {
	case err != nil:
		return "", err
	case len(name) != len(parts[2]):
		return "", malformed("urn.percent", "no percent-encoding of characters that need none", s).
			repair("send urn:" + namespace + ":" + name)
	case namespace == "epc":
		return "", malformed("urn.epc", "a GS1 Digital Link for a GS1 key", s).
			repair("send https://HOST/01/{GTIN}/21/{serial} or https://HOST/8004/{GIAI}")
	case namespace == "uuid":
		return normalUUID(name)
	}
	return "urn:" + namespace + ":" + name, nil
}

// normalUUID is the lower-case form of RFC 9562 section 4.
func normalUUID(text string) (string, error) {
	u, err := uuid.Parse(text)
	if err != nil || u.String() != strings.ToLower(text) || u == uuid.Nil || u == uuid.Max {
		return "", malformed("urn.uuid", "a UUID such as 0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11", text)
	}
	return u.URN(), nil
}

var didPattern = regexp.MustCompile(`^[dD][iI][dD]:([a-z0-9]+):((?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})+)$`)

// normalDID is DID Core 1.0 section 3.1, without path, query and fragment,
// which make it a DID URL. The host of did:web is in lower case.
func normalDID(s string) (string, error) {
	parts := didPattern.FindStringSubmatch(s)
	if parts == nil || strings.HasSuffix(s, ":") {
		return "", malformed("did.syntax", "did:method:name (W3C DID Core)", s)
	}
	method, name := parts[1], parts[2]
	if method == "web" {
		host, _, _ := strings.Cut(name, ":")
		name = strings.ToLower(host) + name[len(host):]
	}
	normal, err := normalPercent(name, ":")
	switch {
	case err != nil:
		return "", err
	case len(normal) != len(name):
		return "", malformed("did.percent", "no percent-encoding of characters that need none", s).
			repair("send did:" + method + ":" + normal)
	}
	return "did:" + method + ":" + normal, nil
}

// String returns the normal form.
func (id BatteryID) String() string { return id.text }

// IsZero reports whether id is the zero value, which names nothing.
func (id BatteryID) IsZero() bool { return id == BatteryID{} }

// DigitalLink returns what the identifier says in GS1 terms, if it is a
// Digital Link.
func (id BatteryID) DigitalLink() (DigitalLink, bool) { return id.link, id.link != DigitalLink{} }

// Key returns what tells the battery from every other: SHA-256 over the (01)
// and (21), or the (8004), of a Digital Link on whatever host, else over the
// normal form. A word before it keeps the two kinds apart.
func (id BatteryID) Key() BatteryKey {
	if key, ok := id.link.Key(); ok {
		return key
	}
	return batteryKey("uri", id.text)
}

// batteryKey hashes an identifier of a kind. The zero byte ends the kind, and
// no identifier contains one.
func batteryKey(kind, identifier string) BatteryKey {
	return sha256.Sum256([]byte("provolt battery " + kind + "\x00" + identifier))
}

// MarshalText implements encoding.TextMarshaler.
func (id BatteryID) MarshalText() ([]byte, error) { return []byte(id.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *BatteryID) UnmarshalText(b []byte) error {
	parsed, err := ParseBatteryID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
