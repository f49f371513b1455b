package httpapi

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/schemas"
)

// getResolverDescription serves the resolver description file of the
// GS1-Conformant Resolver standard 1.2.0.
func (a *API) getResolverDescription(c *gin.Context) error {
	cacheControl(c, "public, max-age=3600")
	return send(c, http.StatusOK, gin.H{
		"name":                           "Provolt battery passport registry",
		"resolverRoot":                   a.Registry.BaseURL(),
		"supportedPrimaryKeys":           []string{"01", "8004"},
		"supportedLinkType":              []gin.H{{"namespace": gs1Voc, "prefix": "gs1:"}},
		"linkTypeDefaultCanBeLinkset":    false,
		"linksetContext":                 a.Registry.BaseURL() + "/contexts/linkset/v1",
		"supportsLanguageVariants":       true,
		"supportsSemanticInterpretation": false,
		"validatesAIcombinations":        true,
		"contact":                        gin.H{"fn": "The operator of this registry", "hasURL": a.Registry.BaseURL()},
	})
}

// getSecurityText serves RFC 9116. It expires a year after it is asked for:
// the operator's organisation record is the contact.
func (a *API) getSecurityText(c *gin.Context) error {
	expires := a.Now().UTC().AddDate(1, 0, 0).Format(time.RFC3339)
	text := "Contact: " + a.Registry.BaseURL() + "/v1/organisations/" + string(passport.Operator) +
		"\nExpires: " + expires + "\nPreferred-Languages: en, de\nCanonical: " + a.Registry.BaseURL() + "/.well-known/security.txt\n"
	cacheControl(c, "public, max-age=86400")
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(text))
	return nil
}

// getContext serves an immutable JSON-LD context.
func (a *API) getContext(c *gin.Context) error {
	return a.sendFile(c, "contexts/"+c.Param("name")+"-"+c.Param("version")+".jsonld", "application/ld+json")
}

// getSchema serves an immutable JSON Schema.
func (a *API) getSchema(c *gin.Context) error {
	if !strings.HasSuffix(c.Param("name"), ".schema.json") {
		return registry.ErrNotFound
	}
	return a.sendFile(c, c.Param("version")+"/"+c.Param("name"), "application/schema+json")
}

func (a *API) sendFile(c *gin.Context, name, mediaType string) error {
	if path.Clean(name) != name || !fs.ValidPath(name) {
		return registry.ErrNotFound
	}
	body, err := fs.ReadFile(schemas.FS, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return registry.ErrNotFound
	} else if err != nil {
		return err
	}
	cacheControl(c, cacheForever)
	conditional(c, digestTag("file", body), mediaType, body)
	return nil
}

// cursorOf reads an opaque page cursor: the series to go on behind.
func cursorOf(c *gin.Context) (passport.ID, error) {
	text, given := c.GetQuery("cursor")
	if !given {
		return passport.ID{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != len(passport.ID{}) {
		return passport.ID{}, errQuery
	}
	return passport.ID(raw), nil
}

func encodeCursor(after passport.ID) string { return base64.RawURLEncoding.EncodeToString(after[:]) }

func decodeSegment(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
