package httpapi

import (
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
	cacheControl(c, cacheHour)
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
	cacheControl(c, cacheDay)
	write(c, http.StatusOK, "text/plain; charset=utf-8", []byte(text))
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

func (a *API) getLive(c *gin.Context) error {
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, gin.H{"status": "alive"})
}

func (a *API) getReady(c *gin.Context) error {
	if err := a.Registry.Ready(c.Request.Context()); err != nil {
		return err
	}
	pending, err := a.Registry.PendingLeaves(c.Request.Context())
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, gin.H{"status": "ready", "pendingLeaves": pending})
}
