// Package httpapi is the registry over HTTP: callers need not know how errors
// become problems, how an answer is negotiated, cached or limited. Handlers
// parse, call the registry and render; they return errors, and one function
// turns those into RFC 9457 problems.
package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// Options are what the API is served with.
type Options struct {
	Registry *registry.Registry

	// Authenticate turns a bearer token into a caller, or refuses it.
	Authenticate func(ctx context.Context, bearer string, at time.Time) (access.Subject, error)

	// Enrol answers the redemption of a one-time secret with an access token
	// of the built-in issuer; nil where only outside issuers are trusted.
	Enrol func(m registry.Member, at time.Time) (token string, err error)

	// BuiltInIssuer is the "iss" of tokens that Enrol makes.
	BuiltInIssuer string

	// Providers are the "iss" of the providers that the configuration names, by
	// the organisation they speak for.
	Providers map[passport.OrgID]string

	// Page answers a browser's request with a page instead of a problem; nil
	// where no pages are served.
	Page func(c *gin.Context, status int, code string)

	// Observe is told of every answer: the route pattern, never the path.
	Observe func(method, route string, status int, took time.Duration)

	Now    func() time.Time
	Log    *slog.Logger
	Limits Limits

	// TrustedProxies may set X-Forwarded-For; empty trusts nobody.
	TrustedProxies []netip.Prefix
}

// Limits bound what one client may ask. A zero rate does not limit.
type Limits struct {
	LookUps       float64 // anonymous requests per second and address
	LookUpsBurst  int
	Requests      float64 // signed-in requests per second and organisation
	RequestsBurst int
}

// DefaultLimits suit a public instance.
func DefaultLimits() Limits {
	return Limits{LookUps: 20, LookUpsBurst: 60, Requests: 60, RequestsBurst: 240}
}

// API serves the registry.
type API struct {
	Options
	answers *answers
	limiter *limiter
}

// New returns the engine with every route of the API and the middleware that
// pages mounted later share.
func New(o Options) (*gin.Engine, error) {
	held, err := newAnswers()
	if err != nil {
		return nil, err
	}
	a := &API{Options: o, answers: held, limiter: newLimiter(o.Limits)}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.UseRawPath = true
	engine.UnescapePathValues = false
	proxies := make([]string, len(o.TrustedProxies))
	for i, p := range o.TrustedProxies {
		proxies[i] = p.String()
	}
	if err := engine.SetTrustedProxies(proxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	engine.Use(a.outermost, a.limit)
	engine.NoRoute(a.handle(func(*gin.Context) error { return registry.ErrNotFound }))
	engine.NoMethod(a.handle(otherMethod))
	a.routes(engine)
	return engine, nil
}

// handler is a handler that returns its error instead of writing it.
type handler func(c *gin.Context) error

// handle renders the error of h as a problem.
func (a *API) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			a.problem(c, err)
		}
	}
}

const (
	requestIDKey = "request-id"
	subjectKey   = "subject"
)

// outermost gives every request an id, safe headers, one log line and one
// observation, and turns a panic into a 500 without a word about it.
func (a *API) outermost(c *gin.Context) {
	began := a.Now()
	id := requestID()
	c.Set(requestIDKey, id)
	h := c.Writer.Header()
	h["Request-Id"] = []string{id}
	h["X-Content-Type-Options"] = noSniff
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposed
	defer func() {
		if fault := recover(); fault != nil {
			a.Log.ErrorContext(c.Request.Context(), "panic",
				slog.String("requestId", id), slog.Any("fault", fault), slog.String("stack", string(debug.Stack())))
			a.problem(c, errInternal)
		}
		a.finish(c, id, began)
	}()
	c.Next()
}

var (
	noSniff   = []string{"nosniff"}
	anyOrigin = []string{"*"}
	exposed   = []string{"ETag, Link, Location, Request-Id, RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed"}
)

func (a *API) finish(c *gin.Context, id string, began time.Time) {
	took := a.Now().Sub(began)
	route := c.FullPath()
	if route == "" {
		route = "unmatched"
	}
	if a.Observe != nil {
		a.Observe(c.Request.Method, route, c.Writer.Status(), took)
	}
	a.Log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request",
		slog.String("requestId", id), slog.String("method", c.Request.Method), slog.String("route", route),
		slog.Int("status", c.Writer.Status()), slog.Int("bytes", c.Writer.Size()), slog.Duration("took", took))
}

func requestID() string {
	var raw [12]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand aborts the process instead
	return "req_" + hex.EncodeToString(raw[:])
}

// limit counts requests by address. Health checks are free, and requests of
// the API that bring a token are counted where it is read.
func (a *API) limit(c *gin.Context) {
	route := c.FullPath()
	if route == "/livez" || route == "/readyz" || strings.HasPrefix(route, "/v1/") && c.GetHeader("Authorization") != "" {
		return
	}
	if !a.limiter.allowAddress(c, a.Now()) {
		a.problem(c, errLimited)
	}
}

// authenticate reads the bearer token, if there is one. A token that is there
// must be good, even where none is needed: whoever shows a bad one should
// learn it, and it counts as a request of nobody.
func (a *API) authenticate(c *gin.Context) {
	header := c.GetHeader("Authorization")
	if header == "" {
		return
	}
	subject, err := a.subject(c, header)
	switch {
	case err != nil && !a.limiter.allowAddress(c, a.Now()), err == nil && !a.limiter.allowOrg(c, subject.Org, a.Now()):
		a.problem(c, errLimited)
	case err != nil:
		a.problem(c, err)
	default:
		c.Set(subjectKey, subject)
	}
}

func (a *API) subject(c *gin.Context, header string) (access.Subject, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return access.Subject{}, errScheme
	}
	return a.Authenticate(c.Request.Context(), strings.TrimSpace(token), a.Now())
}

func subjectOf(c *gin.Context) access.Subject {
	s, _ := c.Value(subjectKey).(access.Subject)
	return s
}

// otherMethod answers a method that an address does not know, for which gin
// has set Allow: OPTIONS with what may be asked from another origin, any other
// with a problem.
func otherMethod(c *gin.Context) error {
	h := c.Writer.Header()
	allowed := h.Get("Allow") + ", OPTIONS"
	h.Set("Allow", allowed)
	if c.Request.Method != http.MethodOptions {
		return errMethod
	}
	h.Set("Access-Control-Allow-Methods", allowed)
	h.Set("Access-Control-Allow-Headers", "Accept, Accept-Language, Authorization, Content-Type, Idempotency-Key, If-None-Match, Purpose")
	h.Set("Access-Control-Max-Age", "86400")
	noContent(c)
	return nil
}
