// Package config knows what an operator may set and which settings belong
// together, so that nobody who is handed a Config asks again whether a
// certificate has its key or whether passwords would cross a network in the
// clear. Reading flags and the environment is the command's affair.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// What is used where nothing is set.
const (
	DefaultListen  = "127.0.0.1:8080"
	DefaultBaseURL = "http://localhost:8080"
	DefaultDataDir = "./provolt-data"
	DemoDataDir    = "./provolt-demo"
	DemoLANDataDir = "./provolt-demo-lan"
)

// The environments. The word is inside everything that is signed, so that a
// demonstration can never be passed off as a production record.
const (
	Demo       = "demo"
	Production = "production"
)

// Config is everything an operator sets. Each field is named after its flag;
// the environment variable is PROVOLT_ and the flag in capitals with "_".
type Config struct {
	// DataDir holds the SQLite database, the keys and the high-water file.
	DataDir string

	// DatabaseURL is a postgres:// URL; empty: SQLite in DataDir. It may hold a
	// password and is never logged.
	DatabaseURL string

	// Listen is the address of the server, host:port.
	Listen string

	// BaseURL is what ids, DIDs and codes are built from, in the form
	// ParseBaseURL returns. It is fixed when the registry is initialised.
	BaseURL string

	// Environment is Demo or Production.
	Environment string

	// LAN lets a demonstration be reached by phones over plain HTTP.
	LAN bool

	// TLSCert and TLSKey are PEM files; both or neither.
	TLSCert, TLSKey string

	// BehindProxy says that a proxy in front ends TLS. Only then may plain
	// HTTP be served beyond loopback.
	BehindProxy bool

	// TrustedProxies are the networks whose Forwarded headers are believed;
	// empty: nobody's, the peer's address counts.
	TrustedProxies []netip.Prefix

	// OIDCIssuers are the providers whose access tokens are accepted; empty:
	// the registry's own token issuer serves.
	OIDCIssuers []OIDCIssuer

	// MetricsListen is the address of /metrics, host:port; empty: not served.
	// It has no sign-in: keep it where only the operator reaches it.
	MetricsListen string

	// PassphraseFile holds the passphrase of the key files, its last newline
	// ignored; empty: they are not encrypted, which only a demo allows.
	PassphraseFile string
}

// OIDCIssuer is an OpenID provider and the organisation whose people it names.
type OIDCIssuer struct {
	Issuer     string // iss, exactly
	Org        string // short name of the organisation
	KeySetURL  string // empty: found by discovery
	RolesClaim string // empty: "roles"
	LegacyType bool   // accept typ "JWT" as well as "at+jwt"
}

// WithDefaults returns c with every empty setting that has a default filled
// in.
func (c Config) WithDefaults() Config {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.Listen, DefaultListen)
	set(&c.BaseURL, DefaultBaseURL)
	set(&c.Environment, Production)
	switch {
	case c.Environment == Demo && c.LAN:
		set(&c.DataDir, DemoLANDataDir)
	case c.Environment == Demo:
		set(&c.DataDir, DemoDataDir)
	default:
		set(&c.DataDir, DefaultDataDir)
	}
	return c
}

// Validate reports every fault at once, each beginning with the flag that
// mends it. It opens no file and no connection.
func (c Config) Validate() error {
	var faults []error
	fault := func(flag, format string, args ...any) {
		faults = append(faults, fmt.Errorf("--%s: "+format, append([]any{flag}, args...)...))
	}
	if c.DataDir == "" {
		fault("data-dir", "is empty")
	}
	if c.DatabaseURL != "" && !isPostgres(c.DatabaseURL) {
		fault("database-url", "must be postgres://USER@HOST:PORT/DATABASE")
	}
	if !slices.Contains([]string{Demo, Production}, c.Environment) {
		fault("environment", "%q is neither %s nor %s", c.Environment, Demo, Production)
	}
	if c.LAN && c.Environment != Demo {
		fault("lan", "serves plain HTTP to a network, which only a demo may")
	}
	if c.Environment == Production && c.PassphraseFile == "" {
		fault("passphrase-file", "is needed: keys in production are encrypted")
	}
	c.validateBaseURL(fault)
	c.validateListeners(fault)
	c.validateProxies(fault)
	c.validateIssuers(fault)
	return errors.Join(faults...)
}

type faultFunc func(flag, format string, args ...any)

func (c Config) plainHTTPAllowed() bool { return c.LAN && c.Environment == Demo }

func (c Config) validateBaseURL(fault faultFunc) {
	normal, err := ParseBaseURL(c.BaseURL)
	switch {
	case err != nil:
		fault("base-url", "%v", err)
	case normal != c.BaseURL:
		fault("base-url", "%q must be written %q", c.BaseURL, normal)
	case strings.HasPrefix(normal, "http://") && !isLoopbackURL(normal) && !c.plainHTTPAllowed():
		fault("base-url", "%q must be https: whoever scans a code must not be answered in the clear", normal)
	}
}

func (c Config) validateListeners(fault faultFunc) {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		fault("tls-cert", "and --tls-key go together")
	}
	host, err := splitAddress(c.Listen)
	switch {
	case err != nil:
		fault("listen", "%v", err)
	case c.TLSCert == "" && !isLoopback(host) && !c.BehindProxy && !c.plainHTTPAllowed():
		fault("listen", "%q is reached from outside over plain HTTP: set --tls-cert and --tls-key, or --behind-proxy if a proxy ends TLS", c.Listen)
	}
	if c.MetricsListen == "" {
		return
	}
	if _, err := splitAddress(c.MetricsListen); err != nil {
		fault("metrics-listen", "%v", err)
	} else if c.MetricsListen == c.Listen {
		fault("metrics-listen", "%q is the address of the server itself", c.MetricsListen)
	}
}

func (c Config) validateProxies(fault faultFunc) {
	if len(c.TrustedProxies) > 0 && !c.BehindProxy {
		fault("trusted-proxy", "means nothing without --behind-proxy")
	}
	for _, p := range c.TrustedProxies {
		if tooWide(p) {
			fault("trusted-proxy", "%s is no network of proxies: whoever is in it may name any address as their own; at widest /%d (IPv4) or /%d (IPv6)",
				p, widestIPv4, widestIPv6)
		}
	}
}

// The widest networks whose headers are believed: 10.0.0.0/8 is the widest
// private network of IPv4 (RFC 1918), a /16 of IPv6 wider than any operator's.
const (
	widestIPv4 = 8
	widestIPv6 = 16
)

func tooWide(p netip.Prefix) bool {
	const mapped = 96 // bits before the address in ::ffff:0:0/96
	switch {
	case p.Addr().Is4():
		return p.Bits() < widestIPv4
	case p.Addr().Is4In6():
		return p.Bits() < mapped+widestIPv4
	default: // the zero prefix, too, has -1 bits
		return p.Bits() < widestIPv6
	}
}

func (c Config) validateIssuers(fault faultFunc) {
	seen := map[string]bool{}
	for _, i := range c.OIDCIssuers {
		if err := CheckIssuerURL(i.Issuer); err != nil {
			fault("oidc-issuer", "%v", err)
		}
		if err := CheckIssuerURL(i.KeySetURL); i.KeySetURL != "" && err != nil {
			fault("oidc-issuer", "%s: jwks=%v", quoteURL(i.Issuer), err)
		}
		if i.Org == "" {
			fault("oidc-issuer", "%s: org= is missing", quoteURL(i.Issuer))
		}
		if seen[i.Issuer] {
			fault("oidc-issuer", "%s twice: an issuer speaks for one organisation", quoteURL(i.Issuer))
		}
		seen[i.Issuer] = true
	}
}

// CheckIssuerURL reports what is wrong with the address of a token issuer or of
// its keys: it must be an absolute https URL, or http on loopback, without user
// and fragment. The error names no password.
func CheckIssuerURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return fmt.Errorf("%s must be an https URL, or http on loopback", quoteURL(s))
	case u.User != nil || strings.Contains(s, "#"):
		return fmt.Errorf("%s must have neither user nor fragment", quoteURL(s))
	}
	return nil
}

// quoteURL writes a URL for a message, without the password it may hold.
func quoteURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err == nil && u.User != nil:
		s = u.Redacted()
	case err != nil && strings.Contains(s, "@"):
		return "the URL"
	}
	return fmt.Sprintf("%.200q", s)
}

// ParseBaseURL returns the one spelling of a base URL: scheme and host in lower
// case, no default port, no trailing slash. It has no path, query, fragment
// or user, because did:web and the codes on batteries are built from its host.
func ParseBaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%.200q is no URL", s)
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && scheme != "http" {
		return "", fmt.Errorf("%.200q must begin with https://", s)
	}
	if u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return "", fmt.Errorf("%.200q must be a scheme and a host, as in https://passports.example.org", s)
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := u.Port()
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%.200q: no port %s", s, port)
	}
	return scheme + "://" + host + ":" + port, nil
}

// ParseOIDCIssuer reads the value of --oidc-issuer:
// URL,org=ORG[,jwks=URL][,roles=CLAIM][,legacy].
func ParseOIDCIssuer(s string) (OIDCIssuer, error) {
	parts := strings.Split(s, ",")
	i := OIDCIssuer{Issuer: parts[0]}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case name == "org" && value != "":
			i.Org = value
		case name == "jwks" && value != "":
			i.KeySetURL = value
		case name == "roles" && value != "":
			i.RolesClaim = value
		case part == "legacy":
			i.LegacyType = true
		default:
			return OIDCIssuer{}, fmt.Errorf("%q is none of org=ORG, jwks=URL, roles=CLAIM, legacy", part)
		}
	}
	return i, nil
}

// splitAddress returns the host of host:port.
func splitAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q: no port %q", address, port)
	}
	return host, nil
}

// isLoopback reports whether only this machine reaches the host. An empty host
// is every interface.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func isLoopbackURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && isLoopback(u.Hostname())
}

func isPostgres(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql")
}
