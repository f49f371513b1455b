package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// gs1Voc is the namespace of the link types (GS1 Web Vocabulary 1.16).
const gs1Voc = "https://ref.gs1.org/voc/"

// link is one target of an identifier (RFC 9264 section 4.2).
type link struct {
	Href     string   `json:"href"`
	Title    string   `json:"title"`
	Type     string   `json:"type,omitempty"`
	Language []string `json:"hreflang,omitempty"`
	relation string   // name within gs1Voc
}

// level is one anchor of a linkset with its links.
type level struct {
	anchor, description string
	links               []link
}

var pageLanguages = []string{"en", "de"}

// resolve answers a GS1 Digital Link as the GS1-Conformant Resolver standard
// 1.2.0 asks: 400 for a malformed one, a redirect to one link, or the linkset.
func (a *API) resolve(c *gin.Context) error {
	dl, err := passport.ParseDigitalLink(c.Request.URL.EscapedPath())
	if err != nil {
		return &malformedLink{err}
	}
	place, err := a.Registry.Look(c, dl)
	if err != nil {
		return err
	}
	if !place.Known {
		return registry.ErrNotFound
	}
	levels := a.levels(place)
	self := a.Registry.BaseURL() + dl.Path()
	h := c.Writer.Header()
	h["Link"] = []string{
		"<" + self + `?linkType=linkset>; rel="linkset"; type="application/linkset+json"; title="Every link of this identifier"`,
		"<" + a.Registry.BaseURL() + `/contexts/linkset/v1>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`,
	}
	h["Vary"] = []string{"Accept, Accept-Language"}
	return a.follow(c, levels)
}

// malformedLink keeps the parser's words for the answer.
type malformedLink struct{ err error }

func (e *malformedLink) Error() string { return e.err.Error() }

// follow answers with the linkset, the link asked for, or the default link.
func (a *API) follow(c *gin.Context, levels []level) error {
	asked := relationOf(c.Query("linkType"))
	accept := c.GetHeader("Accept")
	if asked == "linkset" || asked == "all" || asked == "" && strings.Contains(accept, typeLinkset) {
		return sendLinkset(c, levels)
	}
	target, ok := choose(levels, asked, accept)
	if !ok {
		return errLinkType
	}
	cacheControl(c, cacheBriefly)
	c.Redirect(http.StatusTemporaryRedirect, withQuery(target.Href, c.Request.URL.RawQuery))
	return nil
}

// relationOf reads a linkType: a curie, a URI of either GS1 namespace, or a
// bare word.
func relationOf(linkType string) string {
	for _, prefix := range []string{"gs1:", gs1Voc, "https://gs1.org/voc/", "http://gs1.org/voc/", "https://www.gs1.org/voc/"} {
		if name, ok := strings.CutPrefix(linkType, prefix); ok {
			return name
		}
	}
	return linkType
}

// choose picks a link: of the type asked for, else one whose media type the
// client prefers, else the default. Links nearer to the item come first.
func choose(levels []level, asked, accept string) (link, bool) {
	var all []link
	for _, l := range levels {
		all = append(all, l.links...)
	}
	named := func(relation string) []link {
		return slices.DeleteFunc(slices.Clone(all), func(l link) bool { return l.relation != relation })
	}
	if asked != "" && asked != "defaultLink" {
		return preferred(named(asked), accept)
	}
	if asked == "" && !strings.Contains(accept, typeHTML) {
		if found, ok := exact(levels[0].links, accept); ok {
			return found, true
		}
	}
	defaults := named("defaultLink")
	return defaults[0], true
}

// preferred picks among links of one type by Accept; the first if it says nothing.
func preferred(links []link, accept string) (link, bool) {
	if len(links) == 0 {
		return link{}, false
	}
	if found, ok := exact(links, accept); ok {
		return found, true
	}
	return links[0], true
}

// exact finds the link whose media type Accept names, rather than merely
// tolerates with a wildcard.
func exact(links []link, accept string) (link, bool) {
	var types []string
	for _, l := range links {
		if l.Type != "" && strings.Contains(accept, l.Type) {
			types = append(types, l.Type)
		}
	}
	if len(types) == 0 {
		return link{}, false
	}
	chosen := negotiate(accept, types...)
	at := slices.IndexFunc(links, func(l link) bool { return l.Type == chosen })
	if at < 0 {
		return link{}, false
	}
	return links[at], true
}

func withQuery(target, raw string) string {
	if raw == "" {
		return target
	}
	if strings.Contains(target, "?") {
		return target + "&" + raw
	}
	return target + "?" + raw
}

// levels walks up the tree: the battery, its lot, its model. The first level
// has a default link, so that every request has one.
func (a *API) levels(p registry.Place) []level {
	base := a.Registry.BaseURL()
	var out []level
	if p.Link.Serial != "" || p.Link.GIAI != "" {
		out = append(out, a.itemLevel(base, p))
	}
	if p.Link.Lot != "" {
		out = append(out, level{base + lotOf(p.Link).Path(), "Batch " + p.Link.Lot, recordLinks(base+"/v1/batches/", p.Batch, "Batch record")})
	}
	if p.Link.GTIN != "" {
		model := passport.DigitalLink{GTIN: p.Link.GTIN}
		out = append(out, level{base + model.Path(), "Battery model, GTIN " + string(p.Link.GTIN), recordLinks(base+"/v1/models/", p.Model, "Model record")})
	}
	return slices.DeleteFunc(out, func(l level) bool { return len(l.links) == 0 })
}

func lotOf(l passport.DigitalLink) passport.DigitalLink {
	return passport.DigitalLink{GTIN: l.GTIN, Lot: l.Lot}
}

func (a *API) itemLevel(base string, p registry.Place) level {
	l := level{anchor: base + p.Link.Path(), description: "Battery " + p.Link.ElementString()}
	if p.Passport.IsZero() {
		page := base + "/not-registered" + p.Link.Path()
		l.links = []link{
			{page, "Not registered", "", nil, "defaultLink"},
			{page, "Not registered", typeHTML, pageLanguages, "verificationService"},
		}
		return l
	}
	id := p.Passport.String()
	l.links = []link{
		{base + "/p/" + id, "Battery passport", "", nil, "defaultLink"},
		{base + "/p/" + id, "Battery passport", typeHTML, pageLanguages, "dpp"},
		{base + "/v1/passports/" + id, "Battery passport as JSON", typeJSON, nil, "dpp"},
		{base + "/v1/passports/" + id + "?as=token", "Battery passport, signed", typeToken, nil, "dpp"},
		{base + "/v1/passports/" + id + "/verification", "The registry's check of the passport", typeJSON, nil, "verificationService"},
		{base + "/v1/passports/" + id + "/versions", "Versions of the passport", typeJSON, nil, "registryEntry"},
	}
	return l
}

func recordLinks(path string, series passport.ID, title string) []link {
	if series.IsZero() {
		return nil
	}
	target := path + series.String()
	return []link{
		{target, title, "", nil, "defaultLink"},
		{target, title, typeJSON, nil, "masterData"},
		{target + "?as=token", title + ", signed", typeToken, nil, "certificationInfo"},
	}
}

// sendLinkset answers with every link of every level (RFC 9264).
func sendLinkset(c *gin.Context, levels []level) error {
	set := make([]map[string]any, len(levels))
	for i, l := range levels {
		entry := map[string]any{"anchor": l.anchor, "itemDescription": l.description}
		for _, x := range l.links {
			list, _ := entry[gs1Voc+x.relation].([]link)
			entry[gs1Voc+x.relation] = append(list, x)
		}
		set[i] = entry
	}
	body, err := encode(gin.H{"linkset": set})
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	conditional(c, digestTag("linkset", body), typeLinkset, body)
	return nil
}

func preflight(c *gin.Context) error {
	h := c.Writer.Header()
	h.Set("Allow", "GET, HEAD, OPTIONS, POST, DELETE")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Accept, Accept-Language, Authorization, Content-Type, Idempotency-Key, If-None-Match, Purpose")
	h.Set("Access-Control-Max-Age", "86400")
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}
