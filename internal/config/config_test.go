package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/config"
)

func TestTheDefaultsOfADemoAreSound(t *testing.T) {
	c := config.Config{Environment: config.Demo}.WithDefaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.DataDir != config.DemoDataDir {
		t.Errorf("a demo keeps its data in %s", c.DataDir)
	}
}

func TestADemoForPhonesKeepsItsDataApart(t *testing.T) {
	c := config.Config{
		Environment: config.Demo, LAN: true, Listen: "0.0.0.0:8080", BaseURL: "http://192.168.1.7:8080",
	}.WithDefaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.DataDir != config.DemoLANDataDir {
		t.Errorf("data in %s", c.DataDir)
	}
}

// sound is a production registry that lacks nothing.
func sound() config.Config {
	return config.Config{
		BaseURL: "https://passports.example.org", Environment: config.Production, PassphraseFile: "/run/secrets/passphrase",
		Listen: "0.0.0.0:443", TLSCert: "cert.pem", TLSKey: "key.pem",
	}.WithDefaults()
}

func TestEachFaultNamesTheFlagThatMendsIt(t *testing.T) {
	if err := sound().Validate(); err != nil {
		t.Fatalf("the sound one: %v", err)
	}
	tests := []struct {
		name   string
		change func(*config.Config)
		want   string // begins one line of the error; empty: no fault
	}{
		{"loopback needs no TLS", func(c *config.Config) { c.Listen, c.TLSCert, c.TLSKey = "[::1]:8080", "", "" }, ""},
		{"a proxy may end TLS", func(c *config.Config) { c.TLSCert, c.TLSKey, c.BehindProxy = "", "", true }, ""},
		{"a trusted proxy", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, ""},
		{"plain HTTP to the world", func(c *config.Config) { c.TLSCert, c.TLSKey = "", "" }, "--listen"},
		{"plain HTTP on every interface", func(c *config.Config) { c.TLSCert, c.TLSKey, c.Listen = "", "", ":8080" }, "--listen"},
		{"plain HTTP to a LAN in production", func(c *config.Config) { c.LAN = true }, "--lan"},
		{"a certificate without its key", func(c *config.Config) { c.TLSKey = "" }, "--tls-cert"},
		{"a key without its certificate", func(c *config.Config) { c.TLSCert = "" }, "--tls-cert"},
		{"no port", func(c *config.Config) { c.Listen = "localhost" }, "--listen"},
		{"a port by name", func(c *config.Config) { c.Listen = "localhost:http" }, "--listen"},
		{"a base URL in the clear", func(c *config.Config) { c.BaseURL = "http://passports.example.org" }, "--base-url"},
		{"a base URL in another spelling", func(c *config.Config) { c.BaseURL = "https://Passports.example.org/" }, "--base-url"},
		{"no base URL", func(c *config.Config) { c.BaseURL = "" }, "--base-url"},
		{"keys in the clear", func(c *config.Config) { c.PassphraseFile = "" }, "--passphrase-file"},
		{"an unknown environment", func(c *config.Config) { c.Environment = "staging" }, "--environment"},
		{"another database", func(c *config.Config) { c.DatabaseURL = "mysql://u:hunter2@db/x" }, "--database-url"},
		{"no data directory", func(c *config.Config) { c.DataDir = "" }, "--data-dir"},
		{"metrics on the server's own address", func(c *config.Config) { c.MetricsListen = c.Listen }, "--metrics-listen"},
		{"metrics nowhere", func(c *config.Config) { c.MetricsListen = "9090" }, "--metrics-listen"},
		{"trusted proxies without a proxy", func(c *config.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, "--trusted-proxy"},
		{"trusting everybody", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		}, "--trusted-proxy"},
		{"trusting half the world", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/7")}
		}, "--trusted-proxy"},
		{"trusting every network of IPv6", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("2000::/15")}
		}, "--trusted-proxy"},
		{"trusting all of IPv4 in the form of IPv6", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("::ffff:0.0.0.0/96")}
		}, "--trusted-proxy"},
		{"trusting no network", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{{}}
		}, "--trusted-proxy"},
		{"networks of proxies", func(c *config.Config) {
			c.BehindProxy, c.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("2001::/16"), netip.MustParsePrefix("10.1.2.3/32")}
		}, ""},
		{"a provider with a password", func(c *config.Config) {
			c.OIDCIssuers = []config.OIDCIssuer{{Issuer: "https://u:hunter2@login.example", Org: "", KeySetURL: "https://u:hunter2@login.example/keys"}}
		}, "--oidc-issuer"},
		{"a provider in the clear", func(c *config.Config) {
			c.OIDCIssuers = []config.OIDCIssuer{{Issuer: "http://login.example", Org: "acme"}}
		}, "--oidc-issuer"},
		{"a provider of nobody", func(c *config.Config) { c.OIDCIssuers = []config.OIDCIssuer{{Issuer: "https://login.example"}} }, "--oidc-issuer"},
		{"a provider of two", func(c *config.Config) {
			c.OIDCIssuers = []config.OIDCIssuer{{Issuer: "https://login.example", Org: "acme"}, {Issuer: "https://login.example", Org: "bolt"}}
		}, "--oidc-issuer"},
		{"keys of a provider in the clear", func(c *config.Config) {
			c.OIDCIssuers = []config.OIDCIssuer{{Issuer: "https://login.example", Org: "acme", KeySetURL: "http://login.example/keys"}}
		}, "--oidc-issuer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sound()
			tt.change(&c)
			err := c.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && err == nil:
				t.Errorf("accepted")
			case tt.want != "" && !strings.HasPrefix(err.Error(), tt.want+": "):
				t.Errorf("fault %q, want one of %s", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the fault tells a password: %v", err)
			}
		})
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	err := config.Config{Listen: "x", TLSCert: "c", BaseURL: "ftp://x", MetricsListen: "y"}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	var flags []string
	for line := range strings.Lines(err.Error()) {
		flag, _, _ := strings.Cut(line, ":")
		flags = append(flags, flag)
	}
	want := []string{"--data-dir", "--environment", "--base-url", "--tls-cert", "--listen", "--metrics-listen"}
	if diff := cmp.Diff(want, flags); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

func TestABaseURLHasOneSpelling(t *testing.T) {
	good := map[string]string{
		"https://passports.example.org":      "https://passports.example.org",
		"HTTPS://Passports.Example.org/":     "https://passports.example.org",
		"https://passports.example.org:443":  "https://passports.example.org",
		"http://localhost:80/":               "http://localhost",
		"http://localhost:8080":              "http://localhost:8080",
		"http://[::1]:8080/":                 "http://[::1]:8080",
		"https://passports.example.org:8443": "https://passports.example.org:8443",
	}
	for in, want := range good {
		got, err := config.ParseBaseURL(in)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
		if again, err := config.ParseBaseURL(got); err != nil || again != got {
			t.Errorf("%s is not stable: %q, %v", got, again, err)
		}
	}
	for _, in := range []string{
		"", "passports.example.org", "//passports.example.org", "ftp://x", "https://", "https://u:p@x", "https://x/registry",
		"https://x?", "https://x?a=b", "https://x#", "https://x#f", "https://x:0", "https://x:70000", "https://x y", "http://:8080",
	} {
		if got, err := config.ParseBaseURL(in); err == nil {
			t.Errorf("%q accepted as %q", in, got)
		}
	}
}

func TestAnIssuerIsFetchedOverTLSOrFromThisMachine(t *testing.T) {
	for _, good := range []string{"https://login.example", "https://login.example/realms/acme?p=1", "http://localhost:8080/x", "http://127.0.0.1", "http://[::1]:1"} {
		if err := config.CheckIssuerURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "login.example", "/realms/acme", "//login.example", "https:login.example", "https://", "https://:443", "http://login.example", "http://10.0.0.1",
		"ftp://login.example", "https://login.example#", "https://login.example/#x", "https://u@login.example", "https://u:hunter2@login.example", "https://u:hunter2@x y",
	} {
		if err := config.CheckIssuerURL(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAnOIDCIssuerIsReadFromOneFlag(t *testing.T) {
	got, err := config.ParseOIDCIssuer("https://login.example/realms/acme,org=acme,jwks=https://login.example/keys,roles=groups,legacy")
	if err != nil {
		t.Fatal(err)
	}
	want := config.OIDCIssuer{
		Issuer: "https://login.example/realms/acme", Org: "acme", KeySetURL: "https://login.example/keys", RolesClaim: "groups", LegacyType: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("issuer (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"https://x,acme", "https://x,org=", "https://x,legacy=no"} {
		if got, err := config.ParseOIDCIssuer(bad); err == nil {
			t.Errorf("%q accepted as %+v", bad, got)
		}
	}
}
