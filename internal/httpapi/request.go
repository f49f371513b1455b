package httpapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// idOf parses the id in the path.
func idOf(c *gin.Context) (passport.ID, error) { return named(passport.ParseID, c.Param("id")) }

// orgOf parses the organisation in the path.
func orgOf(c *gin.Context) (passport.OrgID, error) { return named(passport.ParseOrgID, c.Param("org")) }

// named parses an identifier of the address.
func named[T any](parse func(string) (T, error), text string) (T, error) {
	id, err := parse(text)
	if err != nil {
		return id, &malformed{"identifier.malformed", err}
	}
	return id, nil
}

// versionOf parses ?version=; 0 is the newest.
func versionOf(c *gin.Context) (int, error) { return numberOf(c, "version", 0, math.MaxInt32) }

// limitOf parses ?limit=, how many entries a list answers at most.
func limitOf(c *gin.Context, usual, most int) (int, error) { return numberOf(c, "limit", usual, most) }

// numberOf parses a whole number from 1 to most without sign or leading zeros.
func numberOf(c *gin.Context, name string, absent, most int) (int, error) {
	text, given := c.GetQuery(name)
	if !given {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most || strconv.Itoa(n) != text {
		return 0, errQuery
	}
	return n, nil
}

// cursorOf reads an opaque page cursor: the series to go on behind.
func cursorOf(c *gin.Context) (passport.ID, error) {
	text, given := c.GetQuery("cursor")
	if !given {
		return passport.ID{}, nil
	}
	return decodeCursor(text)
}

func decodeCursor(text string) (passport.ID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(passport.ID{}) || encodeCursor(passport.ID(raw)) != text {
		return passport.ID{}, errQuery
	}
	return passport.ID(raw), nil
}

func encodeCursor(after passport.ID) string { return base64.RawURLEncoding.EncodeToString(after[:]) }

// maxPurpose is the longest Purpose, in bytes.
const maxPurpose = 500

// readerOf is who reads and what for. The purpose is shown to the owner of the
// data, so that it has to be text that prints on one line.
func readerOf(c *gin.Context) (registry.Reader, error) {
	purpose := strings.TrimSpace(c.GetHeader("Purpose"))
	if len(purpose) > maxPurpose || !utf8.ValidString(purpose) || strings.ContainsFunc(purpose, unprintable) {
		return registry.Reader{}, errPurpose
	}
	return registry.Reader{By: subjectOf(c), Purpose: purpose}, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// MaxBody is the largest JSON body, in bytes.
const MaxBody = 1 << 20

// bodyOf reads a JSON body.
func bodyOf(c *gin.Context) ([]byte, error) {
	if c.ContentType() != typeJSON {
		return nil, errMediaType
	}
	return readBody(c)
}

// readBody reads a body of at most MaxBody bytes. A compressed one is refused:
// nothing is unpacked before it is known to be small.
func readBody(c *gin.Context) ([]byte, error) {
	if coding := c.GetHeader("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, errCoding
	}
	body, err := readAll(http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody), c.Request.ContentLength)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, errors.Join(errBody, err)
	}
	return body, nil
}

// readAll reads a body of known or unknown length without growing twice.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var out bytes.Buffer
	if length > 0 && length <= MaxBody {
		out.Grow(int(length) + bytes.MinRead)
	}
	_, err := out.ReadFrom(r)
	return out.Bytes(), err
}

// writeOf gathers what every write carries. A query that is not understood is
// refused: what was meant as a dry run must never be issued.
func writeOf(c *gin.Context) (registry.Write, error) {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return registry.Write{}, errQuery
	}
	for name, values := range query {
		if name != "dryRun" || len(values) != 1 || values[0] != "true" && values[0] != "false" {
			return registry.Write{}, errQuery
		}
	}
	key, err := idempotencyKeyOf(c)
	if err != nil {
		return registry.Write{}, err
	}
	body, err := bodyOf(c)
	if err != nil {
		return registry.Write{}, err
	}
	return registry.Write{By: subjectOf(c), Body: body, DryRun: query.Get("dryRun") == "true", Key: key}, nil
}

// maxKey is the longest idempotency key, in bytes.
const maxKey = 255

// idempotencyKeyOf reads the Idempotency-Key, with or without the quotes that
// draft-ietf-httpapi-idempotency-key-header asks for; "" if there is none.
func idempotencyKeyOf(c *gin.Context) (string, error) {
	values := c.Request.Header["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(key) >= 2 && strings.HasPrefix(key, `"`) && strings.HasSuffix(key, `"`) {
		key = key[1 : len(key)-1]
	}
	outside := func(r rune) bool { return r < 0x20 || r > 0x7e }
	if len(values) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, outside) {
		return "", errKey
	}
	return key, nil
}

// chosenType is what ?as= says, for links that cannot set a header, else what
// Accept says.
func chosenType(c *gin.Context, offers ...string) (string, error) {
	as, given := c.GetQuery("as")
	switch {
	case !given:
		if chosen := negotiate(c.GetHeader("Accept"), offers...); chosen != "" {
			return chosen, nil
		}
		return "", errAccept
	case as == "json":
		return typeJSON, nil
	case as == "token":
		return typeToken, nil
	}
	return "", errQuery
}

// seriesOf parses the id in the path and the version asked for.
func seriesOf(c *gin.Context) (passport.ID, int, error) {
	id, err := idOf(c)
	if err != nil {
		return passport.ID{}, 0, err
	}
	version, err := versionOf(c)
	return id, version, err
}
