package httpapi

import (
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// getShared answers a model or a batch as JSON or as its token.
func (a *API) getShared(t passport.RecordType) handler {
	return func(c *gin.Context) error {
		id, version, err := seriesOf(c)
		if err != nil {
			return err
		}
		reader, err := readerOf(c)
		if err != nil {
			return err
		}
		c.Writer.Header()["Vary"] = varyReader
		chosen, err := chosenType(c, typeJSON, typeToken)
		switch {
		case err != nil:
			return err
		case chosen == typeToken:
			return a.sendToken(c, t, id, version, reader)
		}
		return a.sendShared(c, t, id, version, reader)
	}
}

func (a *API) sendShared(c *gin.Context, t passport.RecordType, id passport.ID, version int, reader registry.Reader) error {
	part, err := a.Registry.Shared(c.Request.Context(), t, id, version, reader)
	if err != nil {
		return err
	}
	body, err := encode(gin.H{
		"id": id, "version": part.Version, string(t): part.Record, "record": a.recordShape(&part), "withheld": withheldFrom(t, &part),
	})
	if err != nil {
		return err
	}
	cacheFor(c)
	conditional(c, digestTag("json", body), typeJSON, body)
	return nil
}

func (a *API) sendToken(c *gin.Context, t passport.RecordType, series passport.ID, version int, reader registry.Reader) error {
	token, rec, err := a.Registry.Token(c.Request.Context(), t, series, version, reader)
	if err != nil {
		return err
	}
	cacheFor(c)
	conditional(c, tokenTag(rec, token), typeToken, token)
	return nil
}

// getRecord serves the bytes that pins digest: never negotiated, never
// different, for ever.
func (a *API) getRecord(c *gin.Context) error {
	name, ok := strings.CutSuffix(c.Param("file"), ".sd-jwt")
	if !ok {
		return registry.ErrNotFound
	}
	id, err := named(passport.ParseID, name)
	if err != nil {
		return err
	}
	token, rec, err := a.Registry.Bare(c.Request.Context(), id)
	if err != nil {
		return err
	}
	cacheControl(c, cacheForever)
	c.Header("Content-Digest", "sha-256=:"+strings.TrimPrefix(registry.SRI(rec.TokenDigest), "sha256-")+":")
	conditional(c, tokenTag(rec, token), typeToken, token)
	return nil
}
