package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// Media types the API answers with.
const (
	typeJSON    = "application/json"
	typeToken   = "application/vc+sd-jwt"
	typeHTML    = "text/html"
	typeLinkset = "application/linkset+json"
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
	c.Data(status, typeJSON, body)
	return nil
}

// conditional answers 304 when the client holds this entity tag already
// (RFC 9110 section 13.1.2), else the body. HEAD gets the headers alone.
func conditional(c *gin.Context, etag, mediaType string, body []byte) {
	h := c.Writer.Header()
	h["ETag"] = []string{etag}
	if held := c.GetHeader("If-None-Match"); held != "" && matches(held, etag) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Data(http.StatusOK, mediaType, body)
}

// matches compares an If-None-Match list weakly with an entity tag.
func matches(list, etag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
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
	cacheBriefly = "public, max-age=5"
	cacheNever   = "private, no-store"
)

func cacheControl(c *gin.Context, value string) { c.Writer.Header()["Cache-Control"] = []string{value} }

// readAll reads a body of known or unknown length without growing twice.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var out bytes.Buffer
	if length > 0 && length <= MaxBody {
		out.Grow(int(length) + bytes.MinRead)
	}
	_, err := out.ReadFrom(r)
	return out.Bytes(), err
}
