package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/verify"
)

// passport shows one version of a passport to the public. What the reader may
// see beyond that is for the API: a page asks for no restricted attribute, so
// none can be on it.
func (p *Pages) passport(r request) error {
	id, err := passport.ParseID(r.Param("id"))
	if err != nil {
		return fmt.Errorf("passport page: %w", err)
	}
	version, err := versionOf(r.Query("version"))
	if err != nil {
		return fmt.Errorf("passport page: %w", err)
	}
	f, err := p.facts(r, id, version)
	if err != nil {
		return fmt.Errorf("passport page %s: %w", id, err)
	}
	s := scan{l: r.l, cat: p.Catalogue, chapters: p.chapters, f: f, link: r.link}
	fr := p.frame(r, "")
	fr.Demo = f.View.Environment != "production"
	return p.render(r, http.StatusOK, "passport", s.page(fr))
}

// slashed sends the reader of /p/{id}/ to the page. The address is made from
// the parsed id, so it leads nowhere else.
func (p *Pages) slashed(r request) error {
	id, err := passport.ParseID(r.Param("id"))
	if err != nil {
		return fmt.Errorf("passport page: %w", err)
	}
	to := url.URL{Path: "/p/" + id.String(), RawQuery: r.Request.URL.RawQuery}
	r.Redirect(http.StatusMovedPermanently, to.String())
	return nil
}

// versionOf reads ?version=; absent is 0, the newest.
func versionOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("%w: version", passport.ErrMalformed)
	}
	return n, nil
}

// facts collects what a page is made from. A verification that cannot be made
// is an answer: could not check.
func (p *Pages) facts(r request, id passport.ID, version int) (facts, error) {
	ctx := r.Request.Context()
	view, err := p.reg.Passport(ctx, id, version, registry.Reader{})
	if err != nil {
		return facts{}, err
	}
	versions, err := p.reg.Versions(ctx, id)
	if err != nil {
		return facts{}, err
	}
	at := p.Now()
	result, err := p.reg.Verification(ctx, id, view.Version)
	if err != nil {
		p.Log.WarnContext(ctx, "passport not verified", slog.String("passport", id.String()), slog.Any("error", err))
		result = verify.Result{Verdict: verify.CouldNotCheck, CheckedAt: at}
	}
	return facts{View: view, Result: result, Versions: versions, BaseURL: p.reg.BaseURL(), At: at}, nil
}

// notRegisteredPage says that nobody registered the battery a code names.
type notRegisteredPage struct {
	frame
	Verdict verdict
	Asked   []fact
	Serial  []string
	Maker   string
	Model   string
	Contact []value
	Again   string
}

// notRegistered answers for a Digital Link whose battery has no passport here.
// If it has one by now, the reader is sent there.
func (p *Pages) notRegistered(r request) error {
	escaped := strings.TrimPrefix(r.Request.URL.EscapedPath(), "/not-registered")
	link, err := passport.ParseDigitalLink(escaped)
	if err != nil {
		return fmt.Errorf("not registered: %w", err)
	}
	ctx := r.Request.Context()
	place, err := p.reg.Look(ctx, link)
	if err != nil {
		return fmt.Errorf("not registered %s: %w", link.ElementString(), err)
	}
	if !place.Passport.IsZero() {
		r.Redirect(http.StatusSeeOther, r.link("/p/"+place.Passport.String()))
		return nil
	}
	var model map[string]any
	if !place.Model.IsZero() {
		part, err := p.reg.Shared(ctx, passport.Model, place.Model, 0, registry.Reader{})
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return fmt.Errorf("not registered %s: %w", link.ElementString(), err)
		}
		model = part.Record
	}
	return p.render(r, http.StatusNotFound, "notRegistered", p.unregistered(r, link, model))
}

// unregistered makes the page. model is nil if the model is not known either.
func (p *Pages) unregistered(r request, link passport.DigitalLink, model map[string]any) notRegisteredPage {
	meaning := "verdict.notRegistered.meaning"
	if model == nil {
		meaning = "verdict.notRegistered.unknownModel"
	}
	page := notRegisteredPage{
		frame: p.frame(r, r.l.t("verdict.notRegistered")), Serial: grouped(link.Serial),
		Verdict: verdict{
			Kind: "notRegistered", Word: r.l.t("verdict.notRegistered"), Meaning: r.l.t(meaning),
			Basis: r.l.t("verdict.notRegistered.basis", "time", r.l.clock(p.Now()), "day", r.l.day(p.Now().UTC())),
		},
		Maker: digText(model, "identification", "manufacturer", "name"), Model: digText(model, "identification", "modelId"),
		Again: r.link("/look-up?gtin=" + string(link.GTIN)),
	}
	for _, f := range []fact{{"GTIN", string(link.GTIN)}, {r.l.t("battery.batch"), link.Lot}, {"GIAI", link.GIAI}} {
		if f.Text != "" {
			page.Asked = append(page.Asked, f)
		}
	}
	s := scan{l: r.l, cat: p.Catalogue, f: facts{View: registry.View{Model: &registry.Part{Record: model}}}}
	page.Contact = s.contact()
	return page
}

// asset serves the style sheet under the name of its content, for ever.
func (p *Pages) asset(r request) error {
	if r.Request.URL.Path != p.css.path {
		return fmt.Errorf("asset: %w", registry.ErrNotFound)
	}
	r.Header("Cache-Control", "public, max-age=31536000, immutable")
	return send(r, http.StatusOK, "text/css; charset=utf-8", p.css.plain, p.css.gzip)
}
