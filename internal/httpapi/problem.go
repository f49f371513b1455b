package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/carrier"
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

var (
	errInternal   = &fault{http.StatusInternalServerError, "internal"}
	errMethod     = &fault{http.StatusMethodNotAllowed, "method.notAllowed"}
	errScheme     = &fault{http.StatusUnauthorized, "token.scheme"}
	errLimited    = &fault{http.StatusTooManyRequests, "rate.limited"}
	errMediaType  = &fault{http.StatusUnsupportedMediaType, "body.mediaType"}
	errTooLarge   = &fault{http.StatusRequestEntityTooLarge, "body.tooLarge"}
	errBody       = &fault{http.StatusBadRequest, "body.unreadable"}
	errAccept     = &fault{http.StatusNotAcceptable, "accept.none"}
	errQuery      = &fault{http.StatusBadRequest, "query.malformed"}
	errIdentifier = &fault{http.StatusBadRequest, "identifier.malformed"}
	errLinkType   = &fault{http.StatusNotFound, "linkType.notFound"}
	errKey        = &fault{http.StatusBadRequest, "idempotencyKey.malformed"}
)

// titles explain every code the API can answer with; the page of a problem
// type shows title and advice.
var titles = map[string]struct{ title, advice string }{
	"internal":                 {"Something failed in the registry", "Nothing was stored. Try again, and give the request id to the operator if it stays."},
	"notFound":                 {"There is nothing here", "Check the identifier. What you may not see looks the same as what does not exist."},
	"method.notAllowed":        {"This address knows no such method", "See the Allow header and /docs."},
	"signIn.required":          {"Sign in first", "Send an access token as Authorization: Bearer."},
	"token.scheme":             {"Only bearer tokens are understood", "Send Authorization: Bearer TOKEN."},
	"forbidden":                {"Your role does not allow this", "Ask your registry's operator for the role, or the owner for a grant."},
	"purpose.required":         {"A restricted read needs a purpose", "Add a Purpose header that says what the data are for, or leave out Authorization to get the public face. The purpose is recorded and the owner sees it."},
	"rate.limited":             {"Too many requests", "Wait as long as Retry-After says; RateLimit tells what is left."},
	"body.mediaType":           {"The body is not JSON", "Send Content-Type: application/json."},
	"body.tooLarge":            {"The body is too large", "JSON bodies are at most 1 MiB, photos at most 12 MiB."},
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
	"condition.notNewest":      {"There is a newer reading", "Conditions are chained; send readings in the order of recordedAt."},
	"state.changed":            {"The passport is not in that state", "Read its status again."},
	"state.unreachable":        {"No such change of state", "A passport can be suspended, or its suspension lifted."},
	"passport.revoked":         {"The passport is revoked", "It can no longer change."},
	"passport.superseded":      {"The passport has a successor", "Amend the successor."},
	"passport.ceased":          {"The passport has ceased", "Its battery was recycled."},
	"organisation.exists":      {"There is an organisation of this name", "Choose another short name."},
	"issuer.bound":             {"The identity provider speaks for another organisation", "One issuer speaks for one organisation."},
	"unavailable":              {"The database does not answer", "Nothing half done was stored. Try again after Retry-After; with an Idempotency-Key a repeat is safe."},
	"storage.full":             {"The registry's disk is full", "Nothing was stored. The operator has to make room."},
	"photo.format":             {"The photo is not a JPEG or PNG", "Send a JPEG or PNG of at most 12 MiB and 50 megapixels."},
	"photo.tooLarge":           {"The photo is too large", "Send a JPEG or PNG of at most 12 MiB and 50 megapixels."},
	"photo.noCode":             {"No code was found in the photo", "Hold the camera closer and straight, or type the number under the code."},
	"erased":                   {"The passport was erased", "Its log entry stays."},
	"enrolment.notFound":       {"The one-time secret is not good", "It may have been used or have run out; ask the operator for a new one."},
}

// problem answers with what err means. Detail about the inside goes to the log
// alone.
func (a *API) problem(c *gin.Context, err error) {
	p := a.describe(c, err)
	p.Type = a.Registry.BaseURL() + "/problems/" + p.Code
	p.Title = titles[p.Code].title
	p.RequestID = c.GetString(requestIDKey)
	if p.Status >= http.StatusInternalServerError {
		a.Log.ErrorContext(c, "failed", slog.String("requestId", p.RequestID), slog.String("code", p.Code), slog.Any("error", err))
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
		h.Set("WWW-Authenticate", `Bearer realm="provolt", error=`+strconv.Quote(p.Code))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	if a.Page != nil && wantsPage(c) {
		a.Page(c, p.Status, p.Code)
		return
	}
	body, _ := json.Marshal(p) // a Problem holds nothing that cannot be marshalled
	c.Data(p.Status, "application/problem+json", body)
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
		link     *malformedLink
	)
	switch {
	case errors.As(err, &known):
		return Problem{Status: known.status, Code: known.code}
	case errors.As(err, &large):
		return Problem{Status: http.StatusRequestEntityTooLarge, Code: "body.tooLarge"}
	case errors.As(err, &link):
		return Problem{Status: http.StatusBadRequest, Code: "digitalLink.malformed", Detail: link.Error()}
	case errors.As(err, &invalid):
		return Problem{Status: http.StatusUnprocessableEntity, Code: "record.invalid", Errors: invalid.Violations}
	case errors.As(err, &rejected):
		return Problem{Status: http.StatusUnprocessableEntity, Code: "record.invalid", Errors: rejected.Violations}
	case errors.As(err, &syntax):
		return Problem{Status: http.StatusBadRequest, Code: "json.syntax", Detail: syntax.Error()}
	case errors.As(err, &clash):
		return a.describeConflict(clash)
	default:
		return describeSentinel(c, err)
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
		return Problem{Status: http.StatusUnauthorized, Code: "signIn.required", Detail: string(refused.Reason)}
	case errors.Is(err, registry.ErrUnauthenticated):
		return Problem{Status: http.StatusUnauthorized, Code: "signIn.required"}
	case errors.Is(err, registry.ErrForbidden):
		return Problem{Status: http.StatusForbidden, Code: "forbidden", Detail: err.Error()}
	case errors.Is(err, registry.ErrPurposeMissing):
		return Problem{Status: http.StatusBadRequest, Code: "purpose.required"}
	case errors.Is(err, registry.ErrNotFound):
		return Problem{Status: http.StatusNotFound, Code: "notFound"}
	case errors.Is(err, registry.ErrGone):
		return Problem{Status: http.StatusGone, Code: "erased"}
	case errors.Is(err, passport.ErrMalformed):
		return Problem{Status: http.StatusBadRequest, Code: "identifier.malformed", Detail: err.Error()}
	case errors.Is(err, registry.ErrFull):
		return Problem{Status: http.StatusInsufficientStorage, Code: "storage.full"}
	case errors.Is(err, registry.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return Problem{Status: http.StatusServiceUnavailable, Code: "unavailable"}
	}
	return describePhoto(err)
}

func describePhoto(err error) Problem {
	switch {
	case errors.Is(err, carrier.ErrTooLarge), errors.Is(err, carrier.ErrTooManyPixels):
		return Problem{Status: http.StatusRequestEntityTooLarge, Code: "photo.tooLarge"}
	case errors.Is(err, carrier.ErrFormat):
		return Problem{Status: http.StatusUnsupportedMediaType, Code: "photo.format"}
	case errors.Is(err, carrier.ErrNoCode):
		return Problem{Status: http.StatusUnprocessableEntity, Code: "photo.noCode"}
	}
	return Problem{Status: http.StatusInternalServerError, Code: "internal"}
}

// wantsPage reports whether a person's browser asks for a page of the public
// part: Accept names text/html and the address is not of the API.
func wantsPage(c *gin.Context) bool {
	return strings.Contains(c.GetHeader("Accept"), "text/html") && !strings.HasPrefix(c.Request.URL.Path, "/v1/")
}
