package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// Media types the API answers with.
const (
	typeJSON    = "application/json"
	typeToken   = "application/vc+sd-jwt"
	typeHTML    = "text/html"
	typeLinkset = "application/linkset+json"
	typeJWT     = "application/jwt"
	typeProblem = "application/problem+json"
)

// encode is JSON as it goes over the wire: no HTML escaping, json.Number
// verbatim.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// send renders v as JSON.
func send(c *gin.Context, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	write(c, status, typeJSON, body)
	return nil
}

// Headers are set under their canonical names, which the map of net/http wants
// ("Etag", "Ratelimit"); case means nothing in HTTP.

// write answers with a body of known length. HEAD gets the headers alone.
func write(c *gin.Context, status int, mediaType string, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = []string{mediaType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Writer.WriteHeader(status)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	_, _ = c.Writer.Write(body) // a client who has gone is no fault of ours
}

// noContent answers that all is well and there is nothing to say.
func noContent(c *gin.Context) {
	c.Writer.WriteHeader(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}

// redirect sends the client on, without a body.
func redirect(c *gin.Context, status int, target string) {
	c.Writer.Header()["Content-Type"] = nil // keeps net/http from writing a page
	http.Redirect(c.Writer, c.Request, target, status)
	c.Writer.WriteHeaderNow()
}

// conditional answers 304 when the client holds this entity tag already
// (RFC 9110 section 13.1.2), else the body.
func conditional(c *gin.Context, etag, mediaType string, body []byte) {
	c.Writer.Header()["Etag"] = []string{etag}
	if held := c.GetHeader("If-None-Match"); held != "" && matches(held, etag) {
		c.Writer.WriteHeader(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	write(c, http.StatusOK, mediaType, body)
}

// matches compares an If-None-Match list weakly with an entity tag.
func matches(list, etag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	etag = strings.TrimPrefix(etag, "W/")
	for tag := range strings.SplitSeq(list, ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == etag {
			return true
		}
	}
	return false
}

// Cache-Control values.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheDay     = "public, max-age=86400"
	cacheHour    = "public, max-age=3600"
	cacheMinutes = "public, max-age=300"
	cacheMinute  = "public, max-age=60"
	cacheBriefly = "public, max-age=5"
	cacheNever   = "private, no-store"
)

func cacheControl(c *gin.Context, value string) { c.Writer.Header()["Cache-Control"] = []string{value} }

// cacheFor lets anybody keep what is public, and nobody what was shown to a
// caller.
func cacheFor(c *gin.Context) {
	if subjectOf(c).Anonymous() {
		cacheControl(c, cacheBriefly)
		return
	}
	cacheControl(c, cacheNever)
}

var varyReader = []string{"Accept, Authorization, Purpose"}
