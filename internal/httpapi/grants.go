package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
)

func (a *API) postRelease(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	w, err := writeOf(c)
	if err != nil {
		return err
	}
	release, err := a.Registry.ReleaseBattery(c.Request.Context(), id, w)
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	status := http.StatusCreated
	if w.DryRun {
		status = http.StatusOK
	}
	return send(c, status, gin.H{"passportId": id, "to": release.To, "at": release.At})
}

func (a *API) postGrant(c *gin.Context) error {
	w, err := writeOf(c)
	if err != nil {
		return err
	}
	grant, err := a.Registry.GiveGrant(c.Request.Context(), w)
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	if w.DryRun {
		return send(c, http.StatusOK, gin.H{"dryRun": true})
	}
	c.Header("Location", a.Registry.BaseURL()+"/v1/grants/"+grant.ID.String())
	return send(c, http.StatusCreated, shapeGrant(grant))
}

func (a *API) listGrants(c *gin.Context) error {
	grants, err := a.Registry.Grants(c.Request.Context(), subjectOf(c))
	if err != nil {
		return err
	}
	out := make([]grantShape, len(grants))
	for i, g := range grants {
		out[i] = shapeGrant(g)
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, gin.H{"grants": out})
}

func (a *API) deleteGrant(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	if err := a.Registry.RevokeGrant(c.Request.Context(), subjectOf(c), id); err != nil {
		return err
	}
	noContent(c)
	return nil
}

const maxReads = 1000

func (a *API) listReads(c *gin.Context) error {
	limit, err := limitOf(c, 100, maxReads)
	if err != nil {
		return err
	}
	reads, err := a.Registry.PurposeLog(c.Request.Context(), subjectOf(c), limit)
	if err != nil {
		return err
	}
	type shape struct {
		Reader     passport.OrgID `json:"reader"`
		Person     string         `json:"person"`
		Purpose    string         `json:"purpose"`
		Series     passport.ID    `json:"seriesId"`
		Version    int            `json:"version"`
		Attributes []string       `json:"attributes"`
		At         time.Time      `json:"at"`
	}
	out := make([]shape, len(reads))
	for i, r := range reads {
		out[i] = shape{r.Reader, r.Person, r.Purpose, r.Series, r.Version, r.Attributes, r.At}
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, gin.H{"reads": out})
}
