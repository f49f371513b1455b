package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// policy allows a page nothing but our own style sheet, images and forms.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// permissions switches off every device function; the file input that takes a
// photo needs none.
const permissions = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()"

// request is one request with the language of its answer.
type request struct {
	*gin.Context
	l      *locale
	chosen bool // by ?lang=, so that links carry it on
}

// handler parses, calls and renders.
type handler func(r request) error

// handle turns the error of a handler into a page.
func (p *Pages) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		r := p.request(c)
		if err := h(r); err != nil {
			p.fail(r, err)
		}
	}
}

func (p *Pages) request(c *gin.Context) request {
	l, chosen := p.languages.of(c.Request)
	return request{Context: c, l: l, chosen: chosen}
}

// link leads to another page of ours in the language chosen.
func (r request) link(path string) string {
	if !r.chosen {
		return path
	}
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	return path + mark + "lang=" + r.l.code()
}

// frame is what every page has around its content.
type frame struct {
	Lang      string
	Title     string
	CSS       string
	Home      string
	Demo      bool
	Chosen    bool
	Languages []pageLanguage
}

// pageLanguage links the same page in one language.
type pageLanguage struct {
	Lang, Name, Href string
	Here             bool
}

func (p *Pages) frame(r request, title string) frame {
	f := frame{Lang: r.l.code(), Title: title, CSS: p.css.path, Home: r.link("/"), Chosen: r.chosen, Demo: p.reg.Instance().Environment != "production"}
	for _, l := range p.languages.locales {
		f.Languages = append(f.Languages, pageLanguage{
			Lang: l.code(), Name: l.t("language.own"), Href: inLanguage(r.Request, l), Here: l == r.l,
		})
	}
	return f
}

// inLanguage returns the address of the page in another language.
func inLanguage(r *http.Request, l *locale) string {
	query := r.URL.Query()
	query.Set("lang", l.code())
	path := r.URL.EscapedPath()
	if r.Method == http.MethodPost || strings.HasPrefix(path, "//") {
		path = "/"
	}
	return path + "?" + query.Encode()
}

// render writes a page. Nothing is written if the template fails.
func (p *Pages) render(r request, status int, name string, model any) error {
	var page bytes.Buffer
	if err := p.templates[r.l.code()].ExecuteTemplate(&page, name, model); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	h := r.Writer.Header()
	h.Set("Content-Language", r.l.code())
	h.Set("Cache-Control", "no-cache")
	h.Add("Vary", "Accept-Language")
	return send(r, status, "text/html; charset=utf-8", page.Bytes(), nil)
}

// send writes a body with the headers every answer of this package has.
// packed is the body compressed, if it is at hand.
func send(r request, status int, contentType string, plain, packed []byte) error {
	h := r.Writer.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", permissions)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", contentType)
	h.Add("Vary", "Accept-Encoding")
	body := plain
	if acceptsGzip(r.Request) {
		if packed == nil {
			var err error
			if packed, err = compress(plain); err != nil {
				return err
			}
		}
		h.Set("Content-Encoding", "gzip")
		body = packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	r.Writer.WriteHeader(status)
	r.Writer.WriteHeaderNow()
	if r.Request.Method == http.MethodHead {
		return nil
	}
	_, _ = r.Writer.Write(body) // a reader who has gone is no fault of the page
	return nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if coding = strings.ToLower(strings.TrimSpace(coding)); coding != "gzip" && coding != "x-gzip" {
			continue
		}
		weight = strings.TrimSpace(weight)
		return weight == "" || strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != ""
	}
	return false
}

func compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}

// problemPage is an error as a person meets it.
type problemPage struct {
	frame
	Status    int
	Heading   string
	Text      string
	Code      string
	RequestID string
}

// Problem answers a request whose reader wants HTML with an error page. code
// is the stable code of the problem, or empty.
func (p *Pages) Problem(c *gin.Context, status int, code string) {
	r := p.request(c)
	kind := problemKind(status)
	heading := r.l.t("problem." + kind)
	model := problemPage{
		frame: p.frame(r, heading), Status: status, Heading: heading, Text: r.l.t("problem." + kind + ".text"), Code: code,
		RequestID: c.Writer.Header().Get("Request-Id"),
	}
	if status == http.StatusServiceUnavailable && c.Writer.Header().Get("Retry-After") == "" {
		c.Header("Retry-After", "10")
	}
	if err := p.render(r, status, "problem", model); err != nil {
		p.Log.ErrorContext(c.Request.Context(), "render problem page", slog.Any("error", err))
		c.Status(http.StatusInternalServerError)
	}
}

// problemKind groups the statuses that read the same.
func problemKind(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "malformed"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return "notFound"
	case http.StatusGone:
		return "gone"
	case http.StatusRequestEntityTooLarge:
		return "tooLarge"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return "busy"
	}
	return "fault"
}

// fail is the one place where errors become pages.
func (p *Pages) fail(r request, err error) {
	ctx := r.Request.Context()
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return // nobody waits for the answer
	case errors.Is(err, registry.ErrNotFound):
		p.Problem(r.Context, http.StatusNotFound, "passport.unknown")
	case errors.Is(err, registry.ErrGone):
		p.Problem(r.Context, http.StatusGone, "passport.erased")
	case errors.Is(err, passport.ErrMalformed):
		p.Problem(r.Context, http.StatusNotFound, "address.malformed")
	case errors.Is(err, registry.ErrUnavailable):
		p.Log.WarnContext(ctx, "page not served", slog.String("path", r.Request.URL.Path), slog.Any("error", err))
		p.Problem(r.Context, http.StatusServiceUnavailable, "registry.unavailable")
	default:
		p.Log.ErrorContext(ctx, "page failed", slog.String("path", r.Request.URL.Path), slog.Any("error", err))
		p.Problem(r.Context, http.StatusInternalServerError, "")
	}
}
