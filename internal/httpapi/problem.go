package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/identity"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
)

// Problem is an RFC 9457 problem. Type opens a page that explains the code.
type Problem struct {
	Type      string                `json:"type"`
	Title     string                `json:"title"`
	Status    int                   `json:"status"`
	Code      string                `json:"code"`
	Detail    string                `json:"detail,omitempty"`
	RequestID string                `json:"requestId"`
	Errors    []passport.Violation  `json:"errors,omitempty"`
	Existing  string                `json:"existing,omitempty"` // link to what is in the way
	Diff      []registry.Difference `json:"diff,omitempty"`
}

// fault is an error of this edge that knows its problem.
type fault struct {
	status int
	code   string
}

func (f *fault) Error() string { return f.code }

// malformed means that an identifier in the address is not one. The same
// parsers read what is stored: there their errors are faults of ours.
type malformed struct {
	code string
	err  error // the parser's words, for the answer
}

func (e *malformed) Error() string { return e.err.Error() }

var (
	errInternal  = &fault{http.StatusInternalServerError, "internal"}
	errMethod    = &fault{http.StatusMethodNotAllowed, "method.notAllowed"}
	errScheme    = &fault{http.StatusUnauthorized, "token.scheme"}
	errLimited   = &fault{http.StatusTooManyRequests, "rate.limited"}
	errCoding    = &fault{http.StatusUnsupportedMediaType, "body.coding"}
	errMediaType = &fault{http.StatusUnsupportedMediaType, "body.mediaType"}
	errTooLarge  = &fault{http.StatusRequestEntityTooLarge, "body.tooLarge"}
	errBody      = &fault{http.StatusBadRequest, "body.unreadable"}
	errAccept    = &fault{http.StatusNotAcceptable, "accept.none"}
	errQuery     = &fault{http.StatusBadRequest, "query.malformed"}
	errPurpose   = &fault{http.StatusBadRequest, "purpose.malformed"}
	errEnrolment = &fault{http.StatusNotFound, "enrolment.notFound"}
	errLinkType  = &fault{http.StatusNotFound, "linkType.notFound"}
	errKey       = &fault{http.StatusBadRequest, "idempotencyKey.malformed"}
)

// titles explain every code the API can answer with; the page of a problem
// type shows title and advice.
var titles = map[string]struct{ title, advice string }{
	"internal":                 {"Something failed in the registry", "Nothing was stored. Try again, and give the request id to the operator if it stays."},
	"notFound":                 {"There is nothing here", "Check the identifier. What you may not see looks the same as what does not exist."},
	"method.notAllowed":        {"This address knows no such method", "See the Allow header and /docs."},
	"signIn.required":          {"Sign in first", "Send an access token as Authorization: Bearer."},
	"token.refused":            {"The access token is not good", "Get a new one; detail says what was wrong with this one."},
	"token.scheme":             {"Only bearer tokens are understood", "Send Authorization: Bearer TOKEN."},
	"forbidden":                {"Your role does not allow this", "Ask your registry's operator for the role, or the owner for a grant."},
	"purpose.required":         {"A restricted read needs a purpose", "Add a Purpose header that says what the data are for, or leave out Authorization to get the public face. The purpose is recorded and the owner sees it."},
	"purpose.malformed":        {"The Purpose is malformed", "Send up to 500 bytes of printable UTF-8 on one line."},
	"rate.limited":             {"Too many requests", "Wait as long as Retry-After says; RateLimit tells what is left."},
	"body.mediaType":           {"The body is of another media type", "Send Content-Type: application/json; for a token, see /docs."},
	"body.coding":              {"The body is compressed", "Send it as it is, without Content-Encoding."},
	"body.tooLarge":            {"The body is too large", "JSON bodies and tokens are at most 1 MiB."},
	"body.unreadable":          {"The body could not be read", "Send it again."},
	"json.syntax":              {"The body is not JSON", "Mend the text at the line and column given."},
	"record.invalid":           {"The record has faults", "Every fault is listed with its place, what was expected and how to mend it. Nothing was stored."},
	"accept.none":              {"None of the accepted media types is offered", "Accept application/json, application/vc+sd-jwt or text/html."},
	"query.malformed":          {"A query parameter is malformed", "See /docs for the parameters of this call."},
	"identifier.malformed":     {"An identifier in the address is malformed", "Ids are UUIDv7 in lower case; GTINs have 14 digits with a check digit."},
	"digitalLink.malformed":    {"This is no GS1 Digital Link", "Mend the identifier as the detail says."},
	"linkType.notFound":        {"There is no link of this type", "Ask for linkType=linkset to see what there is."},
	"idempotencyKey.malformed": {"The Idempotency-Key is malformed", "Send 1 to 255 printable ASCII characters."},
	"idempotencyKey.reused":    {"The Idempotency-Key was used for another body", "Use a new key for a new request; repeat a request with its own key and body."},
	"battery.registered":       {"The battery has a passport", "Follow the link to it. A correction is a version of it; a successor names it among its predecessors."},
	"battery.notReleased":      {"The battery was not released to you", "Its operator or an authority has to release it first."},
	"version.taken":            {"The version exists with other content", "Leave version out to register the next one; diff shows where the contents differ."},
	"version.notNext":          {"The version is not the next one", "Versions are counted without gaps; leave version out."},
	"organisation.noKey":       {"The organisation has no signing key in use", "Ask the registry's operator to publish one."},
	"condition.notNewest":      {"There is a newer reading", "Conditions are chained; send readings in the order of recordedAt."},
	"passport.suspended":       {"The passport is suspended", "It can be amended. A successor has to wait until the suspension is lifted."},
	"passport.revoked":         {"The passport is revoked", "It can no longer change."},
	"passport.superseded":      {"The passport has a successor", "Amend the successor."},
	"passport.ceased":          {"The passport has ceased", "Its battery was recycled."},
	"unavailable":              {"The database does not answer", "Nothing half done was stored. Try again after Retry-After; with an Idempotency-Key a repeat is safe."},
	"storage.full":             {"The registry's disk is full", "Nothing was stored. The operator has to make room."},
	"enrolment.notFound":       {"The one-time secret is not good", "It may have been used or have run out; ask the operator for a new one."},
}

// problem answers with what err means. Detail about the inside goes to the log
// alone.
func (a *API) problem(c *gin.Context, err error) {
	p := a.describe(c, err)
	p.Type = a.Registry.BaseURL() + "/problems/" + p.Code
	p.Title = titles[p.Code].title
	p.RequestID = c.GetString(requestIDKey)
	if ctx := c.Request.Context(); p.Status >= http.StatusInternalServerError && ctx.Err() == nil {
		a.Log.ErrorContext(ctx, "failed", slog.String("requestId", p.RequestID), slog.String("code", p.Code), slog.Any("error", err))
	}
	c.Abort()
	if c.Writer.Written() {
		return
	}
	h := c.Writer.Header()
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(p))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	if a.Page != nil && !errors.Is(err, errInternal) && wantsPage(c) {
		a.Page(c, p.Status, p.Code)
		return
	}
	body, _ := encode(p) // a Problem holds nothing that cannot be encoded
	write(c, p.Status, typeProblem, body)
}

// challenge asks for a token (RFC 6750 section 3): whoever sent none is told
// no error.
func challenge(p Problem) string {
	if p.Code == "signIn.required" {
		return `Bearer realm="provolt"`
	}
	return `Bearer realm="provolt", error="invalid_token", error_description=` + strconv.Quote(cmp.Or(p.Detail, p.Code))
}

// describe maps err to status and code. What it does not know is a 500.
func (a *API) describe(c *gin.Context, err error) Problem {
	var (
		known    *fault
		invalid  *registry.Invalid
		rejected *strictjson.Rejected
		syntax   *strictjson.SyntaxError
		large    *strictjson.TooLarge
		clash    *registry.Conflict
		address  *malformed
	)
	switch {
	case errors.As(err, &known):
		return Problem{Status: known.status, Code: known.code}
	case errors.As(err, &large):
		return Problem{Status: http.StatusRequestEntityTooLarge, Code: "body.tooLarge"}
	case errors.As(err, &address):
		return Problem{Status: http.StatusBadRequest, Code: address.code, Detail: ascii(address.Error())}
	case errors.As(err, &invalid):
		return Problem{Status: http.StatusUnprocessableEntity, Code: "record.invalid", Errors: invalid.Violations}
	case errors.As(err, &rejected):
		return Problem{Status: http.StatusUnprocessableEntity, Code: "record.invalid", Errors: rejected.Violations}
	case errors.As(err, &syntax):
		return Problem{Status: http.StatusBadRequest, Code: "json.syntax", Detail: syntax.Error()}
	case errors.As(err, &clash):
		return a.describeConflict(clash)
	default:
		return describeSentinel(c.Request.Context(), err)
	}
}

func (a *API) describeConflict(clash *registry.Conflict) Problem {
	p := Problem{Status: http.StatusConflict, Code: clash.Code, Diff: clash.Diff}
	if clash.Code == "idempotencyKey.reused" {
		p.Status = http.StatusUnprocessableEntity
	}
	if !clash.Existing.IsZero() {
		p.Existing = a.Registry.BaseURL() + "/v1/passports/" + clash.Existing.String()
		if strings.HasPrefix(clash.Code, "version.") || strings.HasPrefix(clash.Code, "condition.") {
			p.Existing = a.Registry.BaseURL() + "/v1/records/" + clash.Existing.String() + ".sd-jwt"
		}
	}
	return p
}

func describeSentinel(ctx context.Context, err error) Problem {
	var refused *identity.Refusal
	switch {
	case errors.As(err, &refused):
		return Problem{Status: http.StatusUnauthorized, Code: "token.refused", Detail: string(refused.Reason)}
	case errors.Is(err, registry.ErrUnauthenticated):
		return Problem{Status: http.StatusUnauthorized, Code: "signIn.required"}
	case errors.Is(err, registry.ErrForbidden):
		return Problem{Status: http.StatusForbidden, Code: "forbidden", Detail: err.Error()}
	case errors.Is(err, registry.ErrPurposeMissing):
		return Problem{Status: http.StatusBadRequest, Code: "purpose.required"}
	case errors.Is(err, registry.ErrNotFound):
		return Problem{Status: http.StatusNotFound, Code: "notFound"}
	case errors.Is(err, registry.ErrFull):
		return Problem{Status: http.StatusInsufficientStorage, Code: "storage.full"}
	case errors.Is(err, registry.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return Problem{Status: http.StatusServiceUnavailable, Code: "unavailable"}
	}
	return Problem{Status: http.StatusInternalServerError, Code: "internal"}
}

// ascii escapes what the text quotes of an address: nothing in a problem may
// look like something else.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < ' ' || r > '~' {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// wantsPage reports whether a person's browser asks for a page of the public
// part: Accept names text/html and the address is not of the API.
func wantsPage(c *gin.Context) bool {
	return strings.Contains(c.GetHeader("Accept"), "text/html") && !strings.HasPrefix(c.Request.URL.Path, "/v1/")
}
