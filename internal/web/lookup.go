package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/provolt/provolt/internal/carrier"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

const (
	maxForm = carrier.MaxPhotoBytes + 64<<10 // bytes of the photo form
	maxCode = 2048                           // characters of a scanned or pasted code

	uploadTime = 60 * time.Second // for a photo to arrive: 12 MB at 1.6 Mbit/s
	answerTime = 30 * time.Second // from then on to decode it and answer
)

// lookUpPage is the start page: three ways to name a battery.
type lookUpPage struct {
	frame
	Action             string // of the photo form
	GTIN, Serial, Link string // as typed, to be mended
	Wrong              string // the field the notice is about
	Notice             *notice
}

// notice tells what became of a look-up.
type notice struct {
	Kind     string // "wrong", "found", "unknown"
	Title    string
	Text     string
	Detail   string // untrusted: the host or the text that was read
	Href     string
	LinkText string
}

// sought is what a code names. Codes are untrusted: nothing is followed, and
// the host of a link only says where it would have led.
type sought struct {
	Passport passport.ID          // a passport, by its id
	Link     passport.DigitalLink // a battery, model or batch in GS1 terms
	Battery  passport.BatteryID   // a battery in any other scheme
	Host     string               // where a link leads; empty for anything else
}

var errNoCode = errors.New("neither a battery code nor a passport id")

// readCode understands what a person scanned or pasted: a passport id, the
// address of a page of ours (at base), a GS1 Digital Link on any host, its
// element string "(01)…(21)…", or a battery identifier in another scheme.
func readCode(text, base string) (sought, error) {
	text = strings.TrimSpace(text)
	if link, ok := readElements(text); ok {
		return sought{Link: link}, nil
	}
	if text == "" || len(text) > maxCode || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return sought{}, errNoCode
	}
	if id, err := passport.ParseID(text); err == nil {
		return sought{Passport: id}, nil
	}
	if path, ok := strings.CutPrefix(text, base+"/p/"); ok {
		path, _, _ = strings.Cut(path, "?")
		if id, err := passport.ParseID(path); err == nil {
			return sought{Passport: id}, nil
		}
	}
	s := sought{Host: host(text)}
	var err error
	if s.Host != "" {
		if s.Link, err = passport.ParseDigitalLink(text); err == nil {
			return s, nil
		}
	}
	battery, other := passport.ParseBatteryID(text)
	if other != nil {
		return sought{}, errors.Join(errNoCode, err, other)
	}
	s.Battery = battery
	return s, nil
}

// readElements reads a GS1 element string: as it stands below a bar code,
// "(01)09506000134352(21)A1", or as a scanner reports it, without brackets and
// with a group separator after values of variable length.
func readElements(text string) (passport.DigitalLink, bool) {
	values := map[string]string{}
	if plain := rawElements.FindStringSubmatch(text); plain != nil {
		values["01"] = plain[1]
		for part := range strings.SplitSeq(strings.Trim(plain[2], groupSeparator), groupSeparator) {
			if len(part) > 2 {
				values[part[:2]] = part[2:]
			}
		}
	}
	if strings.HasPrefix(text, "(") {
		for _, e := range bracketed.FindAllStringSubmatch(text, -1) {
			values[e[1]] = strings.TrimSpace(e[2])
		}
	}
	var path strings.Builder
	for _, code := range []string{"01", "8004", "22", "10", "21"} {
		if v := values[code]; v != "" {
			path.WriteString("/" + code + "/" + url.PathEscape(v))
		}
	}
	link, err := passport.ParseDigitalLink(path.String())
	return link, err == nil
}

const groupSeparator = "\x1d"

var (
	bracketed   = regexp.MustCompile(`\((\d{2,4})\)([^(]+)`)
	rawElements = regexp.MustCompile(`^(?:\][A-Za-z][0-9])?\x1d?01([0-9]{14})(.*)$`)
)

// start shows the empty form.
func (p *Pages) start(r request) error {
	return p.form(r, http.StatusOK, lookUpPage{})
}

// form renders the look-up page.
func (p *Pages) form(r request, status int, page lookUpPage) error {
	page.frame = p.frame(r, r.l.t("lookUp.title"))
	page.Action = r.link("/look-up")
	return p.render(r, status, "lookup", page)
}

// lookUp answers ?gtin=&serial= and ?link=.
func (p *Pages) lookUp(r request) error {
	page := lookUpPage{GTIN: clip(r.Query("gtin")), Serial: clip(r.Query("serial")), Link: clip(r.Query("link"))}
	switch {
	case page.Link != "":
		s, err := readCode(page.Link, p.reg.BaseURL())
		if err != nil {
			page.Wrong = "link"
			return p.wrong(r, page, "lookUp.wrong.link")
		}
		return p.find(r, page, s)
	case page.GTIN == "" && page.Serial == "":
		return p.start(r)
	}
	return p.typed(r, page)
}

// typed looks up GTIN and serial number as they were typed, without the
// spaces that labels set between groups.
func (p *Pages) typed(r request, page lookUpPage) error {
	gtin, err := passport.ParseGTIN(compact(page.GTIN))
	if err != nil {
		page.Wrong = "gtin"
		var fault *passport.Malformed
		if errors.As(err, &fault) && fault.Code == "gtin.checkDigit" {
			return p.wrong(r, page, "lookUp.wrong.checkDigit")
		}
		return p.wrong(r, page, "lookUp.wrong.gtin")
	}
	serial := compact(page.Serial)
	if serial == "" {
		return p.askSerial(r, page, gtin)
	}
	link, err := passport.ParseDigitalLink("/01/" + string(gtin) + "/21/" + url.PathEscape(serial))
	if err != nil {
		page.Wrong = "serial"
		return p.wrong(r, page, "lookUp.wrong.serial")
	}
	return p.find(r, page, sought{Link: link})
}

// compact takes out what a label sets between groups of characters.
func compact(s string) string { return strings.Join(strings.Fields(s), "") }

// clip bounds what is echoed back into the form.
func clip(s string) string {
	if len(s) > maxCode {
		return ""
	}
	return strings.ToValidUTF8(s, "")
}

// wrong shows the form again, filled as it was, with what to mend.
func (p *Pages) wrong(r request, page lookUpPage, key string) error {
	page.Notice = &notice{Kind: "wrong", Title: r.l.t(key), Text: r.l.t(key + ".text")}
	return p.form(r, http.StatusUnprocessableEntity, page)
}

// askSerial answers for a model: it says whether the model is known and asks
// for the serial number of the battery.
func (p *Pages) askSerial(r request, page lookUpPage, gtin passport.GTIN) error {
	place, err := p.reg.Look(r.Request.Context(), passport.DigitalLink{GTIN: gtin})
	if err != nil {
		return fmt.Errorf("look up model %s: %w", gtin, err)
	}
	page.Wrong, page.GTIN = "serial", string(gtin)
	if !place.Known {
		page.Wrong = "gtin"
		page.Notice = &notice{Kind: "unknown", Title: r.l.t("lookUp.unknownModel"), Text: r.l.t("lookUp.unknownModel.text")}
		return p.form(r, http.StatusNotFound, page)
	}
	page.Notice = &notice{Kind: "wrong", Title: r.l.t("lookUp.needSerial"), Text: r.l.t("lookUp.needSerial.text")}
	return p.form(r, http.StatusOK, page)
}

// find answers with the passport in force, or says that there is none. A code
// that leads elsewhere is answered by what it names, and the reader is told
// where it would have led.
func (p *Pages) find(r request, page lookUpPage, s sought) error {
	ctx := r.Request.Context()
	if s.Link.Level() == passport.ModelLevel || s.Link.Level() == passport.BatchLevel {
		return p.askSerial(r, page, s.Link.GTIN)
	}
	id, known, err := p.resolve(ctx, s)
	if err != nil {
		return fmt.Errorf("look up: %w", err)
	}
	foreign := s.Host != "" && s.Host != host(p.reg.BaseURL())
	switch {
	case !id.IsZero() && foreign:
		page.Notice = &notice{
			Kind: "found", Title: r.l.t("lookUp.found"), Text: r.l.t("lookUp.foreign"), Detail: s.Host,
			Href: r.link("/p/" + id.String()), LinkText: r.l.t("lookUp.open"),
		}
		return p.form(r, http.StatusOK, page)
	case !id.IsZero():
		r.Redirect(http.StatusSeeOther, r.link("/p/"+id.String()))
		return nil
	case known && !foreign && s.Link.Level() == passport.ItemLevel:
		r.Redirect(http.StatusSeeOther, r.link("/not-registered"+s.Link.Path()))
		return nil
	}
	page.Notice = &notice{Kind: "unknown", Title: r.l.t("lookUp.unknown"), Text: r.l.t("lookUp.unknown.text")}
	if foreign {
		page.Notice.Text, page.Notice.Detail = r.l.t("lookUp.unknown.foreign"), s.Host
	}
	return p.form(r, http.StatusNotFound, page)
}

// resolve finds the passport in force. known is whether at least the model is
// registered here.
func (p *Pages) resolve(ctx context.Context, s sought) (id passport.ID, known bool, err error) {
	switch {
	case !s.Passport.IsZero():
		_, err = p.reg.Standing(ctx, s.Passport)
		id = s.Passport
	case s.Link.Level() != "":
		place, err := p.reg.Look(ctx, s.Link)
		return place.Passport, place.Known, err
	default:
		id, err = p.reg.InForce(ctx, s.Battery)
	}
	if errors.Is(err, registry.ErrNotFound) {
		return passport.ID{}, false, nil
	}
	return id, err == nil, err
}

// photo reads the code on a photo. The photo is decoded in memory and
// forgotten.
func (p *Pages) photo(r request) error {
	select {
	case p.uploads <- struct{}{}:
		defer func() { <-p.uploads }()
	default:
		p.Problem(r.Context, http.StatusServiceUnavailable, "photos.busy")
		return nil
	}
	if err := p.patience(r); err != nil {
		return fmt.Errorf("read photo: %w", err)
	}
	image, err := uploaded(r)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return p.wrong(r, lookUpPage{}, "lookUp.wrong.large")
	case err != nil:
		return p.wrong(r, lookUpPage{}, "lookUp.wrong.upload")
	}
	select {
	case p.decoding <- struct{}{}:
		defer func() { <-p.decoding }()
	case <-r.Request.Context().Done():
		return fmt.Errorf("wait for a decoder: %w", r.Request.Context().Err())
	}
	text, err := carrier.Read(image)
	if err != nil {
		return p.wrong(r, lookUpPage{}, photoFault(err))
	}
	page := lookUpPage{Link: clip(text)}
	s, err := readCode(text, p.reg.BaseURL())
	if err != nil {
		page.Wrong = "link"
		return p.wrong(r, page, "lookUp.wrong.code")
	}
	return p.find(r, page, s)
}

// patience gives a photo the time a weak connection needs: the server's own
// limits are for small requests and begin with the request, so both are moved.
// It comes after a place among the uploads is taken: at most maxUploads
// connections are this slow. A writer that knows no deadlines keeps its own.
func (p *Pages) patience(r request) error {
	c, now := http.NewResponseController(r.Writer), p.Now()
	err := errors.Join(c.SetReadDeadline(now.Add(uploadTime)), c.SetWriteDeadline(now.Add(uploadTime+answerTime)))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// photoFault chooses what to tell the person who took the photo.
func photoFault(err error) string {
	switch {
	case errors.Is(err, carrier.ErrTooLarge), errors.Is(err, carrier.ErrTooManyPixels):
		return "lookUp.wrong.large"
	case errors.Is(err, carrier.ErrFormat):
		return "lookUp.wrong.format"
	}
	return "lookUp.wrong.photo"
}

// uploaded reads the one file of the photo form without touching the disk.
func uploaded(r request) ([]byte, error) {
	r.Request.Body = http.MaxBytesReader(r.Writer, r.Request.Body, maxForm)
	form, err := r.Request.MultipartReader()
	if err != nil {
		return nil, fmt.Errorf("read photo form: %w", err)
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, fmt.Errorf("read photo form: %w", err)
		}
		if part.FormName() != "photo" {
			continue
		}
		image, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("read photo: %w", err)
		}
		if len(image) == 0 {
			return nil, errors.New("read photo: empty")
		}
		return image, nil
	}
}
