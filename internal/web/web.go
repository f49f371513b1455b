// Package web is the face of the registry for people: callers need not know
// HTML, languages or what a phone can do. A page is a pure function of what
// the registry and the verifier answer; handlers parse, call and render.
//
// Pages work without JavaScript, set no cookie and load nothing from anywhere
// else (EN 18246: no external components, no analytics). Whatever a record
// says is untrusted text; html/template escapes it, and links lead only to
// http, https and mailto addresses.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/catalogue"
	"github.com/provolt/provolt/internal/registry"
)

// Options are what Pages work with. All members are required.
type Options struct {
	Catalogue *catalogue.Catalogue
	Now       func() time.Time // real time where a network is: the deadlines of photos are set from it
	Log       *slog.Logger
}

// Pages serves the public pages of a registry. It is safe for concurrent use.
type Pages struct {
	Options
	reg       *registry.Registry
	languages languages
	chapters  []chapter
	templates map[string]*template.Template // by language
	css       asset
	uploads   chan struct{} // one token for each photo in memory
	decoding  chan struct{} // one token for each photo being decoded
}

// asset is a file that never changes under its name.
type asset struct {
	path  string // "/assets/provolt-0a1b2c3d.css"
	plain []byte
	gzip  []byte
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/provolt.css
var styleSheet []byte

// Bounds on the photos of strangers: how many are in memory at once (12 MB
// each), and how many are decoded at once (up to 300 MB and some seconds of one
// core each). The first one too many is told to come again.
const (
	maxUploads  = 8
	maxDecoding = 2
)

// New returns the pages of a registry. An error means the build is broken.
func New(reg *registry.Registry, o Options) (*Pages, error) {
	if reg == nil || o.Catalogue == nil || o.Now == nil || o.Log == nil {
		return nil, errors.New("web: registry, catalogue, clock and log are required")
	}
	locales, err := loadLocales()
	if err != nil {
		return nil, err
	}
	p := &Pages{
		Options: o, reg: reg, languages: newLanguages(locales), chapters: chapters(o.Catalogue), templates: map[string]*template.Template{},
		uploads: make(chan struct{}, maxUploads), decoding: make(chan struct{}, maxDecoding),
	}
	for _, l := range locales {
		if p.templates[l.code()], err = parseTemplates(l); err != nil {
			return nil, err
		}
	}
	p.css, err = newAsset("provolt", "css", styleSheet)
	return p, err
}

// words are the custody models and verification levels a page explains.
var words = []string{
	"custody.identityPreserved", "custody.segregated", "custody.controlledBlending", "custody.massBalance", "custody.bookAndClaim",
	"custody.none", "evidence.cryptographicallyAttested", "evidence.thirdPartyVerified", "evidence.documented", "evidence.selfDeclared",
	"evidence.unknown",
}

// parseTemplates binds the templates to one language.
func parseTemplates(l *locale) (*template.Template, error) {
	set, err := template.New("pages").Funcs(template.FuncMap{
		"t": l.t, "tn": l.count, "words": func() []string { return words },
		"join": func(names []string) string { return strings.Join(names, " · ") },
	}).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return set, nil
}

// newAsset names a file by its content.
func newAsset(name, ext string, content []byte) (asset, error) {
	digest := sha256.Sum256(content)
	packed, err := compress(content)
	return asset{
		path: "/assets/" + name + "-" + hex.EncodeToString(digest[:4]) + "." + ext, plain: content, gzip: packed,
	}, err
}

// Mount adds the pages to a router. GET and HEAD answer the same.
//
//	/                              look up a battery
//	/look-up                       the same with ?gtin=&serial= or ?link=; POST takes a photo
//	/p/{passportId}                a passport, ?version=; with a slash at the end: a redirect
//	/not-registered/{digital link} 404: this registry does not know the battery
//	/assets/{name}                 style sheet, immutable
//
// Every page takes ?lang=.
func (p *Pages) Mount(r gin.IRouter) {
	for path, h := range map[string]handler{
		"/": p.start, "/look-up": p.lookUp, "/p/:id": p.passport, "/p/:id/": p.slashed, "/not-registered/*link": p.notRegistered, "/assets/:name": p.asset,
	} {
		r.GET(path, p.handle(h))
		r.HEAD(path, p.handle(h))
	}
	r.POST("/look-up", p.handle(p.photo))
}
