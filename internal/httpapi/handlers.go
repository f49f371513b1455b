package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
)

func (a *API) getShared(t passport.RecordType) handler {
	return func(c *gin.Context) error {
		id, err := idOf(c)
		if err != nil {
			return err
		}
		version, err := versionOf(c)
		if err != nil {
			return err
		}
		c.Writer.Header()["Vary"] = varyAccept
		chosen, err := chosenType(c, typeJSON, typeToken)
		if err != nil {
			return err
		}
		switch chosen {
		case typeToken:
			return a.sendToken(c, t, id, version)
		case typeJSON:
			return a.sendShared(c, t, id, version)
		}
		return errAccept
	}
}

func (a *API) sendShared(c *gin.Context, t passport.RecordType, id passport.ID, version int) error {
	part, err := a.Registry.Shared(c, t, id, version, readerOf(c))
	if err != nil {
		return err
	}
	withheld := []withheldShape{}
	if part.WithheldCount > 0 {
		for _, w := range part.Withheld {
			withheld = append(withheld, withheldShape{w.ID, t, w.Tier, w.Name})
		}
	}
	body, err := encode(gin.H{"id": id, "version": part.Version, string(t): part.Record, "record": a.recordShape(&part), "withheld": withheld})
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	if !subjectOf(c).Anonymous() {
		cacheControl(c, cacheNever)
	}
	conditional(c, digestTag("json", body), typeJSON, body)
	return nil
}

// getRecord serves the bytes that pins digest: never negotiated, never
// different, for ever.
func (a *API) getRecord(c *gin.Context) error {
	name, ok := strings.CutSuffix(c.Param("file"), ".sd-jwt")
	if !ok {
		return registry.ErrNotFound
	}
	id, err := passport.ParseID(name)
	if err != nil {
		return err
	}
	token, rec, err := a.Registry.Bare(c, id)
	if err != nil {
		return err
	}
	cacheControl(c, cacheForever)
	c.Header("Content-Digest", "sha-256=:"+strings.TrimPrefix(registry.SRI(rec.TokenDigest), "sha256-")+":")
	conditional(c, tokenTag(rec, token), typeToken, token)
	return nil
}

// tokenOf reads a token from a text body or from {"token": "…"}.
func tokenOf(c *gin.Context) ([]byte, error) {
	body, err := readAll(http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody), c.Request.ContentLength)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, errors.Join(errBody, err)
	}
	switch c.ContentType() {
	case typeToken, "application/sd-jwt", "application/jwt", "text/plain":
		return []byte(strings.TrimSpace(string(body))), nil
	case typeJSON:
	default:
		return nil, errMediaType
	}
	tree, err := strictjson.Parse(body)
	if err != nil {
		return nil, err
	}
	object, _ := tree.(map[string]any)
	token, ok := object["token"].(string)
	if !ok || len(object) != 1 {
		return nil, &registry.Invalid{Violations: []passport.Violation{{
			Pointer: "/token", Code: "member.missing", Severity: passport.Blocking,
			Expected: `{"token": "<SD-JWT>"}`, Repair: "send the token as text, or as the one member token",
		}}}
	}
	return []byte(strings.TrimSpace(token)), nil
}

// getTrust answers whom this registry admits: JSON for people and programs,
// application/jwt signed by the registry for verifiers.
func (a *API) getTrust(c *gin.Context) error {
	bundle, err := a.Registry.SignedTrust(c)
	if err != nil {
		return err
	}
	c.Writer.Header()["Vary"] = varyAccept
	cacheControl(c, "public, max-age=60")
	switch negotiate(c.GetHeader("Accept"), typeJSON, "application/jwt") {
	case "application/jwt":
		conditional(c, digestTag("jwt", bundle), "application/jwt", bundle)
		return nil
	case typeJSON:
		_, payload, _ := strings.Cut(string(bundle), ".")
		payload, _, _ = strings.Cut(payload, ".")
		claims, err := decodeSegment(payload)
		if err != nil {
			return err
		}
		body, err := encode(gin.H{"trust": json.RawMessage(claims), "signed": string(bundle)})
		if err != nil {
			return err
		}
		conditional(c, digestTag("json", body), typeJSON, body)
		return nil
	}
	return errAccept
}

func (a *API) postRelease(c *gin.Context) error {
	id, err := idOf(c)
	if err != nil {
		return err
	}
	w, err := writeOf(c)
	if err != nil {
		return err
	}
	release, err := a.Registry.ReleaseBattery(c, id, w)
	if err != nil {
		return err
	}
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
	grant, err := a.Registry.GiveGrant(c, w)
	if err != nil {
		return err
	}
	if w.DryRun {
		return send(c, http.StatusOK, gin.H{"dryRun": true})
	}
	c.Header("Location", a.Registry.BaseURL()+"/v1/grants/"+grant.ID.String())
	return send(c, http.StatusCreated, shapeGrant(grant))
}

func (a *API) listGrants(c *gin.Context) error {
	grants, err := a.Registry.Grants(c, subjectOf(c))
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
	if err := a.Registry.RevokeGrant(c, subjectOf(c), id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}

const maxReads = 1000

func (a *API) listReads(c *gin.Context) error {
	limit, err := limitOf(c, 100, maxReads)
	if err != nil {
		return err
	}
	reads, err := a.Registry.PurposeLog(c, subjectOf(c), limit)
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

func limitOf(c *gin.Context, usual, most int) (int, error) {
	text, given := c.GetQuery("limit")
	if !given {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, errQuery
	}
	return n, nil
}

// postEnrolment uses up a one-time secret. Without a token the person becomes
// a member under the built-in issuer and gets their first access token; with
// a token of the organisation's own provider, that identity is bound.
func (a *API) postEnrolment(c *gin.Context) error {
	body, err := bodyOf(c)
	if err != nil {
		return err
	}
	request, err := parseEnrolment(body)
	if err != nil {
		return err
	}
	if a.Enrol == nil {
		return &fault{http.StatusNotFound, "enrolment.notFound"}
	}
	m, err := a.Registry.Redeem(c, request.org, request.secret, a.BuiltInIssuer, request.subject)
	if errors.Is(err, registry.ErrNotFound) {
		return &fault{http.StatusNotFound, "enrolment.notFound"}
	} else if err != nil {
		return err
	}
	token, err := a.Enrol(m, a.Now())
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusCreated, gin.H{
		"organisation": m.Org, "subject": m.Subject, "roles": m.Roles, "accessToken": token, "tokenType": "Bearer",
	})
}

type enrolment struct {
	org             passport.OrgID
	secret, subject string
}

func parseEnrolment(body []byte) (enrolment, error) {
	tree, err := strictjson.Parse(body)
	if err != nil {
		return enrolment{}, err
	}
	object, _ := tree.(map[string]any)
	var faults []passport.Violation
	text := func(name, expected string) string {
		s, _ := object[name].(string)
		if s == "" || len(s) > 200 {
			faults = append(faults, passport.Violation{
				Pointer: passport.Pointer(name), Code: "member.missing", Severity: passport.Blocking, Expected: expected, Repair: "add " + name,
			})
		}
		return s
	}
	e := enrolment{secret: text("secret", "the one-time secret"), subject: text("subject", "a name for the administrator")}
	if e.org, err = passport.ParseOrgID(text("organisation", "the organisation's short name")); err != nil && len(faults) == 0 {
		return enrolment{}, err
	}
	if len(faults) > 0 {
		return enrolment{}, &registry.Invalid{Violations: faults}
	}
	return e, nil
}

type organisationShape struct {
	ID         passport.OrgID     `json:"id"`
	DID        string             `json:"did"`
	Name       string             `json:"name"`
	Country    string             `json:"country"`
	PartyIDs   []passport.PartyID `json:"partyIds"`
	Roles      []access.Role      `json:"roles"`
	AdmittedAt time.Time          `json:"admittedAt"`
}

func (a *API) shapeOrganisation(o registry.Organisation) organisationShape {
	out := organisationShape{o.ID, a.Registry.DID(o.ID), o.Name, o.Country, o.PartyIDs, o.Roles, o.AdmittedAt}
	if out.PartyIDs == nil {
		out.PartyIDs = []passport.PartyID{}
	}
	return out
}

func (a *API) listOrganisations(c *gin.Context) error {
	orgs, err := a.Registry.Organisations(c)
	if err != nil {
		return err
	}
	out := make([]organisationShape, len(orgs))
	for i, o := range orgs {
		out[i] = a.shapeOrganisation(o)
	}
	cacheControl(c, "public, max-age=60")
	return send(c, http.StatusOK, gin.H{"organisations": out})
}

func (a *API) getOrganisation(c *gin.Context) error {
	id, err := passport.ParseOrgID(c.Param("org"))
	if err != nil {
		return err
	}
	org, err := a.Registry.Organisation(c, id)
	if err != nil {
		return err
	}
	cacheControl(c, "public, max-age=60")
	return send(c, http.StatusOK, a.shapeOrganisation(org))
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
	recs, err := a.Registry.Own(c, subjectOf(c), passport.Item, after, limit+1)
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

func (a *API) getStatusList(c *gin.Context) error {
	number, err := strconv.Atoi(c.Param("list"))
	kind := c.Param("kind")
	if err != nil || number < 0 || number > maxList || strconv.Itoa(number) != c.Param("list") {
		return registry.ErrNotFound
	}
	offers := []string{typeJSON, "application/vc", "application/vc+jwt"}
	if kind == registry.TokenList {
		offers = []string{"application/statuslist+jwt"}
	} else if kind != registry.RevocationList && kind != registry.SuspensionList {
		return registry.ErrNotFound
	}
	chosen := negotiate(c.GetHeader("Accept"), offers...)
	if chosen == "" {
		return errAccept
	}
	format := "jwt"
	if chosen == typeJSON || chosen == "application/vc" {
		format = "json"
	}
	body, err := a.Registry.StatusList(c, kind, number, format)
	if err != nil {
		return err
	}
	c.Writer.Header()["Vary"] = varyAccept
	cacheControl(c, cacheBriefly)
	conditional(c, digestTag("list", body), chosen, body)
	return nil
}

const maxList = 1 << 20

func (a *API) getOrganisationDID(c *gin.Context) error {
	id, err := passport.ParseOrgID(c.Param("org"))
	if err != nil {
		return err
	}
	return a.sendDID(c, id)
}

func (a *API) getRegistryDID(c *gin.Context) error { return a.sendDID(c, passport.Operator) }

func (a *API) sendDID(c *gin.Context, id passport.OrgID) error {
	document, err := a.Registry.DIDDocument(c, id)
	if err != nil {
		return err
	}
	cacheControl(c, "public, max-age=60")
	body, err := encode(document)
	if err != nil {
		return err
	}
	conditional(c, digestTag("did", body), "application/did+json", body)
	return nil
}

func (a *API) getJWKS(c *gin.Context) error {
	keys, err := a.Registry.JWKS(c)
	if err != nil {
		return err
	}
	cacheControl(c, "public, max-age=60")
	body, err := encode(keys)
	if err != nil {
		return err
	}
	conditional(c, digestTag("jwks", body), "application/jwk-set+json", body)
	return nil
}

func (a *API) getLive(c *gin.Context) error {
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, gin.H{"status": "alive"})
}

func (a *API) getReady(c *gin.Context) error {
	if err := a.Registry.Ready(c); err != nil {
		return err
	}
	pending, err := a.Registry.PendingLeaves(c)
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, gin.H{"status": "ready", "pendingLeaves": pending})
}
