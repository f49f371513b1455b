package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/config"
	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/telemetry"
	"github.com/provolt/provolt/internal/web"
)

type serveCommand struct {
	place
	Listen        string         `help:"Address to listen on." env:"PROVOLT_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	TLSCert       string         `name:"tls-cert" help:"Certificate chain, PEM." env:"PROVOLT_TLS_CERT" placeholder:"FILE"`
	TLSKey        string         `name:"tls-key" help:"Private key of the certificate, PEM." env:"PROVOLT_TLS_KEY" placeholder:"FILE"`
	BehindProxy   bool           `help:"A proxy in front ends TLS." env:"PROVOLT_BEHIND_PROXY"`
	TrustedProxy  []netip.Prefix `help:"Network whose X-Forwarded-For is believed." env:"PROVOLT_TRUSTED_PROXY" placeholder:"CIDR"`
	OIDCIssuer    []string       `name:"oidc-issuer" help:"Identity provider: ISSUER,org=ORG[,jwks=URL][,roles=CLAIM][,legacy]. Without one the built-in token issuer serves." env:"PROVOLT_OIDC_ISSUER" sep:"none" placeholder:"SPEC"`
	MetricsListen string         `help:"Address of /metrics." env:"PROVOLT_METRICS_LISTEN" placeholder:"HOST:PORT"`
	LookUpRate    float64        `help:"Anonymous requests per second and address; 0 does not limit." env:"PROVOLT_LOOK_UP_RATE" default:"20"`
	RequestRate   float64        `help:"Signed-in requests per second and organisation; 0 does not limit." env:"PROVOLT_REQUEST_RATE" default:"60"`
	LogText       bool           `help:"Log text instead of JSON." env:"PROVOLT_LOG_TEXT"`
	lan, demo     bool
}

// Run serves until it is told to stop.
func (s *serveCommand) Run(env environment) error {
	lines := telemetry.NewBuffer(env.err, logEvery)
	log := telemetry.NewLogger(lines, !s.LogText, slog.LevelInfo)
	h, err := s.open(env, log)
	if err != nil {
		return errors.Join(err, lines.Close())
	}
	return errors.Join(s.serve(env, h, log, nil), h.Close(), lines.Close())
}

// logEvery is how long a log line may wait for others.
const logEvery = 200 * time.Millisecond

// config turns the flags into what package config validates as a whole.
func (s *serveCommand) config(instance registry.Instance) (config.Config, error) {
	c := config.Config{
		DataDir: s.DataDir, DatabaseURL: s.DatabaseURL, Listen: s.Listen, BaseURL: instance.BaseURL, Environment: instance.Environment,
		LAN: s.lan, TLSCert: s.TLSCert, TLSKey: s.TLSKey, BehindProxy: s.BehindProxy, TrustedProxies: s.TrustedProxy,
		MetricsListen: s.MetricsListen, PassphraseFile: s.PassphraseFile,
	}
	for _, spec := range s.OIDCIssuer {
		issuer, err := config.ParseOIDCIssuer(spec)
		if err != nil {
			return config.Config{}, fmt.Errorf("--oidc-issuer: %w", err)
		}
		c.OIDCIssuers = append(c.OIDCIssuers, issuer)
	}
	if instance.Environment == config.Demo && !s.demo {
		return config.Config{}, errors.New("this directory holds a demo: its keys are throw-away and it can only be served by provolt demo")
	}
	return c, c.Validate()
}

// serve listens and answers until the context ends. ready, if given, is told
// when the listener is open.
func (s *serveCommand) serve(env environment, h *house, log *slog.Logger, ready func() error) error {
	c, err := s.config(h.Instance())
	if err != nil {
		return err
	}
	metrics := telemetry.NewMetrics(version, revision())
	engine, err := s.engine(env, h, c, log, metrics)
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(env.ctx, "tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	servers := []*http.Server{s.server(engine)}
	failed := make(chan error, 2)
	go func() { failed <- s.accept(servers[0], listener) }()
	if s.MetricsListen != "" {
		own := &http.Server{Addr: s.MetricsListen, Handler: metrics.Handler(), ReadHeaderTimeout: headerTimeout}
		servers = append(servers, own)
		go func() { failed <- own.ListenAndServe() }()
	}
	if ready != nil {
		if err := ready(); err != nil {
			return errors.Join(err, s.stop(servers, failed))
		}
	}
	log.InfoContext(env.ctx, "serving", slog.String("listen", listener.Addr().String()), slog.String("baseUrl", c.BaseURL), slog.String("environment", c.Environment))
	select {
	case err := <-failed:
		failed <- nil
		return errors.Join(err, s.stop(servers, failed))
	case <-env.ctx.Done():
		log.Info("stopping") //nolint:sloglint // the context has ended
		return s.stop(servers, failed)
	}
}

// stopWithin is how long requests under way may take to finish.
const stopWithin = 20 * time.Second

// stop lets requests under way finish, and waits for every server.
func (s *serveCommand) stop(servers []*http.Server, failed <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Shutdown(ctx))
	}
	for range servers {
		if err := <-failed; err != nil && !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *serveCommand) accept(server *http.Server, l net.Listener) error {
	if s.TLSCert != "" {
		return server.ServeTLS(l, s.TLSCert, s.TLSKey)
	}
	return server.Serve(l)
}

// Server timeouts: a slow client costs a connection, not the service.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 16 << 10
)

func (s *serveCommand) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
}

// engine wires API, pages and identity.
func (s *serveCommand) engine(env environment, h *house, c config.Config, log *slog.Logger, metrics *telemetry.Metrics) (*gin.Engine, error) {
	pages, err := web.New(h.Registry, web.Options{Catalogue: h.cat, Now: env.now, Log: log})
	if err != nil {
		return nil, err
	}
	issuer, auth, err := h.identity(env, c, log)
	if err != nil {
		return nil, err
	}
	o := httpapi.Options{
		Registry: h.Registry, Authenticate: auth.Authenticate, Page: pages.Problem, Observe: metrics.Request,
		Now: env.now, Log: log, TrustedProxies: c.TrustedProxies,
		Limits: httpapi.Limits{
			LookUps: s.LookUpRate, LookUpsBurst: int(3 * s.LookUpRate), Requests: s.RequestRate, RequestsBurst: int(4 * s.RequestRate),
		},
	}
	o.Providers = map[passport.OrgID]string{}
	for _, i := range c.OIDCIssuers {
		o.Providers[passport.OrgID(i.Org)] = i.Issuer
	}
	if issuer != nil {
		o.BuiltInIssuer = c.BaseURL
		o.Enrol = func(m registry.Member, at time.Time) (string, error) {
			return issuer.Token(m.Subject, m.Org, m.Roles, identity.MaxLifetime, at)
		}
	}
	engine, err := httpapi.New(o)
	if err != nil {
		return nil, err
	}
	pages.Mount(engine)
	return engine, nil
}

// tokenSecret names the secret from which the built-in issuer's key is made.
const tokenSecret = "access-tokens"

func (h *house) tokenIssuer(env environment) (*identity.Issuer, error) {
	secret, err := h.keys.Secret(tokenSecret)
	if err != nil {
		return nil, err
	}
	return identity.NewIssuer(h.BaseURL(), h.BaseURL(), secret, env.random)
}

// identity sets up who is believed: the built-in issuer unless outside ones
// are configured, and the providers that organisations were bound to.
func (h *house) identity(env environment, c config.Config, log *slog.Logger) (*identity.Issuer, *identity.Authenticator, error) {
	o := identity.Options{Audience: h.BaseURL(), Admitted: h.roles, Bound: h.bound, Member: h.memberRoles, Log: log}
	if len(c.OIDCIssuers) == 0 {
		issuer, err := h.tokenIssuer(env)
		if err != nil {
			return nil, nil, err
		}
		o.Issuer = issuer
	}
	for _, i := range c.OIDCIssuers {
		o.External = append(o.External, identity.External{
			Issuer: i.Issuer, Org: passport.OrgID(i.Org), KeySetURL: i.KeySetURL, RolesClaim: i.RolesClaim, LegacyType: i.LegacyType,
		})
	}
	auth, err := identity.New(o)
	return o.Issuer, auth, err
}

func (h *house) roles(ctx context.Context, id passport.OrgID) ([]access.Role, error) {
	org, err := h.Organisation(ctx, id)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, identity.ErrNotAdmitted
	}
	return org.Roles, err
}

func (h *house) bound(ctx context.Context, issuer string) (identity.External, bool, error) {
	orgs, err := h.Organisations(ctx)
	if err != nil {
		return identity.External{}, false, err
	}
	for _, org := range orgs {
		if org.OIDCIssuer == issuer {
			return identity.External{Issuer: issuer, Org: org.ID}, true, nil
		}
	}
	return identity.External{}, false, nil
}

func (h *house) memberRoles(ctx context.Context, org passport.OrgID, issuer, subject string) ([]access.Role, error) {
	return h.MemberRoles(ctx, org, issuer, subject)
}
