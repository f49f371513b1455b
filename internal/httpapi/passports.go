package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/carrier"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// idOf parses the id in the path.
func idOf(c *gin.Context) (passport.ID, error) { return passport.ParseID(c.Param("id")) }

// versionOf parses ?version=; 0 is the newest.
func versionOf(c *gin.Context) (int, error) {
	text, given := c.GetQuery("version")
	if !given {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || strconv.Itoa(n) != text {
		return 0, errQuery
	}
	return n, nil
}

// writeOf gathers what every write carries.
func writeOf(c *gin.Context) (registry.Write, error) {
	body, err := bodyOf(c)
	if err != nil {
		return registry.Write{}, err
	}
	key := strings.Trim(c.GetHeader("Idempotency-Key"), `"`)
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return registry.Write{}, errKey
	}
	dry := c.Query("dryRun")
	if dry != "" && dry != "true" && dry != "false" {
		return registry.Write{}, errQuery
	}
	return registry.Write{By: subjectOf(c), Body: body, DryRun: dry == "true", Key: key}, nil
}

// write is the shape of every call that registers something.
func (a *API) write(register func(*gin.Context, registry.Write) (registry.Receipt, error)) handler {
	return func(c *gin.Context) error {
		w, err := writeOf(c)
		if err != nil {
			return err
		}
		receipt, err := register(c, w)
		if err != nil {
			return err
		}
		return a.sendReceipt(c, receipt)
	}
}

func (a *API) postModel(c *gin.Context, w registry.Write) (registry.Receipt, error) {
	return a.Registry.RegisterModel(c, w)
}

func (a *API) postBatch(c *gin.Context, w registry.Write) (registry.Receipt, error) {
	return a.Registry.RegisterBatch(c, w)
}

func (a *API) postPassport(c *gin.Context, w registry.Write) (registry.Receipt, error) {
	return a.Registry.RegisterPassport(c, w)
}

func (a *API) postVersion(c *gin.Context, w registry.Write) (registry.Receipt, error) {
	id, err := idOf(c)
	if err != nil {
		return registry.Receipt{}, err
	}
	return a.Registry.Amend(c, id, w)
}

func (a *API) postCondition(c *gin.Context, w registry.Write) (registry.Receipt, error) {
	id, err := idOf(c)
	if err != nil {
		return registry.Receipt{}, err
	}
	return a.Registry.RecordCondition(c, id, w)
}

// getPassport answers JSON, the token, or sends a browser to the page.
func (a *API) getPassport(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	version, err := versionOf(c)
	if err != nil {
		return err
	}
	c.Writer.Header()["Vary"] = varyAccept
	chosen, err := chosenType(c, typeJSON, typeToken, typeHTML)
	if err != nil {
		return err
	}
	switch chosen {
	case typeJSON:
		return a.sendPassport(c, id, version)
	case typeToken:
		return a.sendToken(c, passport.Item, id, version)
	case typeHTML:
		c.Redirect(http.StatusSeeOther, a.Registry.BaseURL()+"/p/"+id.String()+query(c))
		return nil
	}
	return errAccept
}

// chosenType is what ?as= says, for links that cannot set a header, else what
// Accept says.
func chosenType(c *gin.Context, offers ...string) (string, error) {
	switch c.Query("as") {
	case "":
		return negotiate(c.GetHeader("Accept"), offers...), nil
	case "json":
		return typeJSON, nil
	case "token":
		return typeToken, nil
	}
	return "", errQuery
}

var varyAccept = []string{"Accept, Authorization, Purpose"}

func query(c *gin.Context) string {
	if c.Request.URL.RawQuery == "" {
		return ""
	}
	return "?" + c.Request.URL.RawQuery
}

// sendPassport answers the public from memory while nothing has changed.
func (a *API) sendPassport(c *gin.Context, id passport.ID, version int) error {
	reader := readerOf(c)
	if !reader.By.Anonymous() {
		view, err := a.Registry.Passport(c, id, version, reader)
		if err != nil {
			return err
		}
		return a.sendView(c, view)
	}
	held, err := a.answers.of(answerKey{id, version}, a.Registry.Generation(id), a.Now(), func() (answer, error) {
		view, err := a.Registry.Passport(c, id, version, reader)
		if err != nil {
			return answer{}, err
		}
		return a.render(view)
	})
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	conditional(c, held.etag, typeJSON, held.body)
	return nil
}

func (a *API) sendView(c *gin.Context, view registry.View) error {
	rendered, err := a.render(view)
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	conditional(c, rendered.etag, typeJSON, rendered.body)
	return nil
}

func (a *API) sendToken(c *gin.Context, t passport.RecordType, series passport.ID, version int) error {
	token, rec, err := a.Registry.Token(c, t, series, version, readerOf(c))
	if err != nil {
		return err
	}
	if subjectOf(c).Anonymous() {
		cacheControl(c, cacheBriefly)
	} else {
		cacheControl(c, cacheNever)
	}
	conditional(c, tokenTag(rec, token), typeToken, token)
	return nil
}

func (a *API) getVersions(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	versions, err := a.Registry.Versions(c, id)
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	return send(c, http.StatusOK, gin.H{"passportId": id, "versions": versions})
}

func (a *API) getVerification(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	version, err := versionOf(c)
	if err != nil {
		return err
	}
	result, err := a.Registry.Verification(c, id, version)
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	return send(c, http.StatusOK, result)
}

// postVerify checks any token against this registry's trust. The body is the
// token as text, or {"token": "…"}.
func (a *API) postVerify(c *gin.Context) error {
	token, err := tokenOf(c)
	if err != nil {
		return err
	}
	result, err := a.Registry.Verify(c, token)
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, result)
}

// getQR draws the code of a battery: what it says is the battery's own id.
func (a *API) getQR(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	view, err := a.Registry.Passport(c, id, 0, registry.Reader{})
	if err != nil {
		return err
	}
	text := a.QRText(view)
	code, err := carrier.QR(text, carrier.Quartile)
	if err != nil {
		return err
	}
	cacheControl(c, "public, max-age=86400")
	etag := digestTag("qr", []byte(c.FullPath()+text))
	if strings.HasSuffix(c.FullPath(), ".png") {
		conditional(c, etag, "image/png", code.PNG(qrModule))
		return nil
	}
	conditional(c, etag, "image/svg+xml", code.SVG(carrier.SVGOptions{Title: text}))
	return nil
}

const qrModule = 12 // pixels: about 1 mm at 300 dpi

// QRText is what the code on a battery says: its id where that is a link, else
// the address of its page.
func (a *API) QRText(v registry.View) string {
	if strings.HasPrefix(v.BatteryID, "http://") || strings.HasPrefix(v.BatteryID, "https://") {
		return v.BatteryID
	}
	return a.Registry.BaseURL() + "/p/" + v.PassportID.String()
}
