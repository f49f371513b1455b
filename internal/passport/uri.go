package passport

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The normal form of RFC 3986 section 6.2.2 and 6.2.3, written here because
// net/url repairs what it should refuse and keeps apart what is equal.

var hostPattern = regexp.MustCompile(
	`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$`)

// splitOrigin takes scheme and authority off an http or https URI. The origin
// comes back in normal form; rest is what follows, as it was: empty, or
// beginning with "/", "?" or "#".
func splitOrigin(s string) (origin, rest string, err error) {
	scheme, after, found := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return "", "", malformed("uri.scheme", "a URI that begins with https:// or http://", s)
	}
	authority := after
	if end := strings.IndexAny(after, "/?#"); end >= 0 {
		authority, rest = after[:end], after[end:]
	}
	if strings.Contains(authority, "@") {
		return "", "", malformed("uri.userinfo", "no user name or password before the host", authority)
	}
	host, port, err := splitPort(authority)
	if err != nil {
		return "", "", err
	}
	if port == 0 || port == 80 && scheme == "http" || port == 443 && scheme == "https" {
		return scheme + "://" + host, rest, nil
	}
	return fmt.Sprintf("%s://%s:%d", scheme, host, port), rest, nil
}

// splitPort parses host[:port]; port is 0 when there is none.
func splitPort(authority string) (host string, port int, err error) {
	host = strings.ToLower(authority)
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		text := host[at+1:]
		host = host[:at]
		if text != "" {
			port, err = strconv.Atoi(text)
			if err != nil || !allDigits(text) || port < 1 || port > 65535 {
				return "", 0, malformed("uri.port", "a port from 1 to 65535", text)
			}
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		ip, err := netip.ParseAddr(host[1 : len(host)-1])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", 0, malformed("uri.host", "an IPv6 address in brackets", host)
		}
		return "[" + ip.String() + "]", port, nil
	}
	if len(host) > 253 || !hostPattern.MatchString(host) {
		return "", 0, malformed("uri.host", "a host name of letters, digits, hyphens and dots", host).
			repair("write an international name in its xn-- form")
	}
	return host, port, nil
}

// normalPath returns an absolute path with its percent-encoding in normal form
// and its dot segments removed; the empty path is "/".
func normalPath(path string) (string, error) {
	path, err := normalPercent(path, "/:@")
	if err != nil {
		return "", err
	}
	return removeDotSegments(path), nil
}

// normalPercent upper-cases the hexadecimal digits of percent-encoding and
// decodes what need not be encoded (RFC 3986 section 6.2.2). Besides
// unreserved characters and sub-delims only those in also may stand bare.
func normalPercent(s, also string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' {
			if !isUnreserved(c) && strings.IndexByte("!$&'()*+,;="+also, c) < 0 {
				return "", malformed("uri.character", "percent-encoding in place of "+Quote(string(c)), s)
			}
			b.WriteByte(c)
			continue
		}
		decoded, err := decodeTriplet(s[i:])
		if err != nil {
			return "", err
		}
		i += 2
		if isUnreserved(decoded) {
			b.WriteByte(decoded)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", decoded)
	}
	return b.String(), nil
}

// decodeTriplet decodes the %XX that s begins with. Control characters have no
// place in an identifier, encoded or not.
func decodeTriplet(s string) (byte, error) {
	if len(s) >= 3 {
		c, err := strconv.ParseUint(s[1:3], 16, 8)
		switch {
		case err == nil && (c < 0x20 || c == 0x7f):
			return 0, malformed("uri.control", "no control character", s[:3])
		case err == nil:
			return byte(c), nil
		}
	}
	return 0, malformed("uri.percent", "two hexadecimal digits after %", s).repair("write a literal % as %25")
}

// decodeSegment decodes one path segment, exactly once.
func decodeSegment(segment string) (string, error) {
	normal, err := normalPercent(segment, ":@")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i := 0; i < len(normal); i++ {
		if normal[i] != '%' {
			b.WriteByte(normal[i])
			continue
		}
		c, err := decodeTriplet(normal[i:])
		if err != nil {
			return "", err
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String(), nil
}

// encodeSegment writes value with everything percent-encoded that is not
// unreserved.
func encodeSegment(b *strings.Builder, value string) {
	for i := range len(value) {
		if isUnreserved(value[i]) {
			b.WriteByte(value[i])
			continue
		}
		fmt.Fprintf(b, "%%%02X", value[i])
	}
}

// removeDotSegments is RFC 3986 section 5.2.4 for a path that is empty or
// absolute.
func removeDotSegments(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var kept []string
	for i, s := range segments {
		if s != "." && s != ".." {
			kept = append(kept, s)
			continue
		}
		if s == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// isUnreserved is RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
