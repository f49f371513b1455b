package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/carrier"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// write is the shape of every call that registers something new.
func (a *API) write(register func(context.Context, registry.Write) (registry.Receipt, error)) handler {
	return func(c *gin.Context) error {
		w, err := writeOf(c)
		if err != nil {
			return err
		}
		receipt, err := register(c.Request.Context(), w)
		if err != nil {
			return err
		}
		return a.sendReceipt(c, receipt)
	}
}

// writeAbout is the shape of every call that adds to a passport.
func (a *API) writeAbout(add func(context.Context, passport.ID, registry.Write) (registry.Receipt, error)) handler {
	return func(c *gin.Context) error {
		id, err := idOf(c)
		if err != nil {
			return err
		}
		return a.write(func(ctx context.Context, w registry.Write) (registry.Receipt, error) { return add(ctx, id, w) })(c)
	}
}

// getPassport answers JSON, the token, or sends a browser to the page.
func (a *API) getPassport(c *gin.Context) error {
	id, version, err := seriesOf(c)
	if err != nil {
		return err
	}
	reader, err := readerOf(c)
	if err != nil {
		return err
	}
	c.Writer.Header()["Vary"] = varyReader
	chosen, err := chosenType(c, typeJSON, typeToken, typeHTML)
	switch {
	case err != nil:
		return err
	case chosen == typeToken:
		return a.sendToken(c, passport.Item, id, version, reader)
	case chosen == typeHTML:
		redirect(c, http.StatusSeeOther, withQuery(a.Registry.BaseURL()+"/p/"+id.String(), c.Request.URL.RawQuery))
		return nil
	}
	return a.sendPassport(c, id, version, reader)
}

// sendPassport answers the public from memory while nothing has changed.
func (a *API) sendPassport(c *gin.Context, id passport.ID, version int, reader registry.Reader) error {
	render := func() (answer, error) {
		view, err := a.Registry.Passport(c.Request.Context(), id, version, reader)
		if err != nil {
			return answer{}, err
		}
		return a.render(view)
	}
	var made answer
	var err error
	if reader.By.Anonymous() {
		made, err = a.answers.of(answerKey{id, version}, a.Registry.Generation(id), a.Now(), render)
	} else {
		made, err = render()
	}
	if err != nil {
		return err
	}
	cacheFor(c)
	conditional(c, made.etag, typeJSON, made.body)
	return nil
}

func (a *API) getVersions(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	versions, err := a.Registry.Versions(c.Request.Context(), id)
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	return send(c, http.StatusOK, gin.H{"passportId": id, "versions": versions})
}

// listPassports pages through the caller's own passports, newest version each.
func (a *API) listPassports(c *gin.Context) error {
	limit, err := limitOf(c, 50, 200)
	if err != nil {
		return err
	}
	after, err := cursorOf(c)
	if err != nil {
		return err
	}
	recs, err := a.Registry.Own(c.Request.Context(), subjectOf(c), passport.Item, after, limit+1)
	if err != nil {
		return err
	}
	out := gin.H{}
	if len(recs) > limit {
		recs = recs[:limit]
		cursor := encodeCursor(recs[limit-1].Series)
		out["nextCursor"] = cursor
		c.Header("Link", "<"+a.Registry.BaseURL()+"/v1/passports?limit="+strconv.Itoa(limit)+"&cursor="+cursor+`>; rel="next"`)
	}
	list := make([]gin.H, len(recs))
	for i, rec := range recs {
		list[i] = gin.H{
			"passportId": rec.Series, "version": rec.Version, "serialNumber": rec.Serial, "gtin": rec.GTIN, "batchId": rec.Lot,
			"issuedAt": rec.IssuedAt, "links": a.links(rec.Series),
		}
	}
	out["passports"] = list
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, out)
}

// getQR draws the code of a battery: what it says is the battery's own id.
func (a *API) getQR(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	view, err := a.Registry.Passport(c.Request.Context(), id, 0, registry.Reader{})
	if err != nil {
		return err
	}
	text := a.codeText(view)
	code, err := carrier.QR(text, carrier.Quartile)
	if err != nil {
		return err
	}
	cacheControl(c, cacheDay)
	if strings.HasSuffix(c.FullPath(), ".png") {
		conditional(c, digestTag("png", []byte(text)), "image/png", code.PNG(codeModule))
		return nil
	}
	conditional(c, digestTag("svg", []byte(text)), "image/svg+xml", code.SVG(carrier.SVGOptions{Title: text}))
	return nil
}

const codeModule = 12 // pixels: about 1 mm at 300 dpi

// codeText is what the code on a battery says: its id where that is a link,
// else the address of its page.
func (a *API) codeText(v registry.View) string {
	if strings.HasPrefix(v.BatteryID, "http://") || strings.HasPrefix(v.BatteryID, "https://") {
		return v.BatteryID
	}
	return a.Registry.BaseURL() + "/p/" + v.PassportID.String()
}
