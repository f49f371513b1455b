package httpapi

import (
	"errors"
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

// defaultLink is the relation of the link that a client gets who asks for
// nothing in particular.
const defaultLink = "defaultLink"

var pageLanguages = []string{"en", "de"}

// resolve answers a GS1 Digital Link as the GS1-Conformant Resolver standard
// 1.2.0 asks: 400 for a malformed one, a redirect to one link, or the linkset.
func (a *API) resolve(c *gin.Context) error {
	dl, err := digitalLinkOf(c.Request.URL.EscapedPath())
	if err != nil {
		return &malformed{"digitalLink.malformed", err}
	}
	place, err := a.Registry.Look(c.Request.Context(), dl)
	if err != nil {
		return err
	}
	if !place.Known {
		return registry.ErrNotFound
	}
	h := c.Writer.Header()
	h["Link"] = []string{
		"<" + a.Registry.BaseURL() + dl.Path() + `?linkType=linkset>; rel="linkset"; type="application/linkset+json"; title="Every link of this identifier"`,
		"<" + a.Registry.BaseURL() + `/contexts/linkset/v1>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`,
	}
	h["Vary"] = []string{"Accept, Accept-Language"}
	return a.follow(c, a.levels(place))
}

// digitalLinkOf parses a path that is a Digital Link from its first segment on:
// passport.ParseDigitalLink tolerates what other resolvers put before it.
func digitalLinkOf(path string) (passport.DigitalLink, error) {
	dl, err := passport.ParseDigitalLink(path)
	if err == nil && strings.Count(dl.Path(), "/") != strings.Count(strings.TrimSuffix(path, "/"), "/") {
		err = errors.New("expected nothing before the GTIN or GIAI")
	}
	return dl, err
}

// follow answers with the linkset, the link asked for, or the default link.
func (a *API) follow(c *gin.Context, levels []level) error {
	accept := c.GetHeader("Accept")
	var target link
	found := true
	switch asked := c.Query("linkType"); {
	case asked == "linkset", asked == "all":
		return sendLinkset(c, levels)
	case asked != "":
		target, found = ofType(levels, relationOf(asked), accept)
	case prefers(accept, typeLinkset, levels[0]):
		return sendLinkset(c, levels)
	default:
		target = byDefault(levels[0], accept)
	}
	if !found {
		return errLinkType
	}
	cacheControl(c, cacheBriefly)
	redirect(c, http.StatusTemporaryRedirect, withQuery(target.Href, c.Request.URL.RawQuery))
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

// mediaTypes are what the links of a level lead to; the page comes first.
func mediaTypes(links []link) []string {
	types := []string{typeHTML}
	for _, l := range links {
		if l.Type != "" && !slices.Contains(types, l.Type) {
			types = append(types, l.Type)
		}
	}
	return types
}

// prefers reports whether a client names mediaType and likes nothing else that
// the level has better.
func prefers(accept, mediaType string, l level) bool {
	if _, rank := quality(accept, mediaType); rank < exactly {
		return false
	}
	return negotiate(accept, slices.Insert(mediaTypes(l.links), 1, mediaType)...) == mediaType
}

// byDefault is the default link of the level, unless the client likes another
// representation of the same better.
func byDefault(l level, accept string) link {
	if chosen := negotiate(accept, mediaTypes(l.links)...); chosen != typeHTML && chosen != "" {
		return l.links[slices.IndexFunc(l.links, func(x link) bool { return x.Type == chosen })]
	}
	return l.links[0]
}

// ofType picks a link by its relation, on the nearest level that has one, and
// among several the one whose media type the client likes best.
func ofType(levels []level, relation, accept string) (link, bool) {
	for _, l := range levels {
		var found []link
		var types []string
		for _, x := range l.links {
			if x.relation == relation {
				found, types = append(found, x), append(types, x.Type)
			}
		}
		if len(found) > 0 {
			return found[max(0, slices.Index(types, negotiate(accept, types...)))], true
		}
	}
	return link{}, false
}

func withQuery(target, raw string) string {
	switch {
	case raw == "":
		return target
	case strings.Contains(target, "?"):
		return target + "&" + raw
	}
	return target + "?" + raw
}

// levels walks up the tree: the battery, its lot, its model. The first link of
// each is its default.
func (a *API) levels(p registry.Place) []level {
	base := a.Registry.BaseURL()
	var out []level
	if p.Link.Serial != "" || p.Link.GIAI != "" {
		out = append(out, itemLevel(base, p))
	}
	if !p.Batch.IsZero() {
		lot := passport.DigitalLink{GTIN: p.Link.GTIN, Lot: p.Link.Lot}
		out = append(out, sharedLevel(base, lot, "Batch "+lot.Lot, "/v1/batches/"+p.Batch.String()))
	}
	if !p.Model.IsZero() {
		model := passport.DigitalLink{GTIN: p.Link.GTIN}
		out = append(out, sharedLevel(base, model, "Battery model, GTIN "+string(model.GTIN), "/v1/models/"+p.Model.String()))
	}
	return out
}

func itemLevel(base string, p registry.Place) level {
	l := level{anchor: base + p.Link.Path(), description: "Battery " + p.Link.ElementString()}
	if p.Passport.IsZero() {
		page := base + "/not-registered" + p.Link.Path()
		l.links = []link{
			{page, "Not registered", "", nil, defaultLink},
			{page, "Not registered", typeHTML, pageLanguages, "verificationService"},
		}
		return l
	}
	page, record := base+"/p/"+p.Passport.String(), base+"/v1/passports/"+p.Passport.String()
	l.links = []link{
		{page, "Battery passport", "", nil, defaultLink},
		{page, "Battery passport", typeHTML, pageLanguages, "dpp"},
		{record, "Battery passport as JSON", typeJSON, nil, "dpp"},
		{record + "?as=token", "Battery passport, signed", typeToken, nil, "dpp"},
		{record + "/verification", "The registry's check of the passport", typeJSON, nil, "verificationService"},
		{record + "/versions", "Versions of the passport", typeJSON, nil, "registryEntry"},
	}
	return l
}

// sharedLevel is a model or a batch. A person who scans its code holds a
// battery, and the code does not say which: the default link asks for the
// serial number. Programs get the record.
func sharedLevel(base string, dl passport.DigitalLink, description, record string) level {
	page := base + "/look-up?gtin=" + string(dl.GTIN)
	return level{base + dl.Path(), description, []link{
		{page, "Look up a battery of this model", "", nil, defaultLink},
		{page, "Look up a battery of this model", typeHTML, pageLanguages, "verificationService"},
		{base + record, description, typeJSON, nil, "masterData"},
		{base + record + "?as=token", description + ", signed", typeToken, nil, "certificationInfo"},
	}}
}

// sendLinkset answers with every link of every level (RFC 9264).
func sendLinkset(c *gin.Context, levels []level) error {
	set := make([]map[string]any, len(levels))
	for i, l := range levels {
		set[i] = map[string]any{"anchor": l.anchor, "itemDescription": l.description}
		for _, x := range l.links {
			list, _ := set[i][gs1Voc+x.relation].([]link)
			set[i][gs1Voc+x.relation] = append(list, x)
		}
	}
	body, err := encode(gin.H{"linkset": set})
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	conditional(c, digestTag("linkset", body), typeLinkset, body)
	return nil
}
