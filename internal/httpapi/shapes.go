package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
)

// The shapes below are those of openapi.yaml.

type passportAnswer struct {
	PassportID  passport.ID            `json:"passportId"`
	Version     int                    `json:"version"`
	Latest      int                    `json:"latestVersion"`
	Status      statusAnswer           `json:"status"`
	Environment string                 `json:"environment"`
	BatteryID   string                 `json:"batteryId"`
	DigitalLink *string                `json:"digitalLink"`
	Issuer      registry.Party         `json:"issuer"`
	IssuedAt    time.Time              `json:"issuedAt"`
	Passport    map[string]any         `json:"passport"`
	Model       map[string]any         `json:"model"`
	Batch       map[string]any         `json:"batch"`
	Condition   map[string]any         `json:"condition,omitempty"`
	Records     map[string]recordShape `json:"records"`
	Withheld    []withheldShape        `json:"withheld"`
	EURegistry  *string                `json:"euRegistrationId"` // null until the EU registry takes batteries
	Links       map[string]string      `json:"links"`
}

type statusAnswer struct {
	State     registry.State          `json:"state"`
	Since     time.Time               `json:"since"`
	Reason    string                  `json:"reason,omitempty"`
	Successor string                  `json:"successor,omitempty"`
	History   []registry.StatusChange `json:"history"`
}

type recordShape struct {
	RecordID passport.ID    `json:"recordId"`
	Series   passport.ID    `json:"seriesId"`
	Version  int            `json:"version"`
	Issuer   registry.Party `json:"issuer"`
	IssuedAt time.Time      `json:"issuedAt"`
	Digest   string         `json:"digestSRI"`
	Token    string         `json:"token"` // link to the bare token
	Withheld int            `json:"withheldDisclosures"`
}

type withheldShape struct {
	Attribute string              `json:"attribute"`
	Record    passport.RecordType `json:"record"`
	Tier      passport.Tier       `json:"tier"`
	Name      map[string]string   `json:"name"`
}

func (a *API) passportAnswer(v registry.View) passportAnswer {
	out := passportAnswer{
		PassportID: v.PassportID, Version: v.Version, Latest: v.Latest, Environment: v.Environment, BatteryID: v.BatteryID,
		Status: statusOf(a.Registry.BaseURL(), v.Standing), Issuer: v.Item.Issuer, IssuedAt: v.Item.IssuedAt, Passport: v.Item.Record,
		Records: map[string]recordShape{}, Withheld: []withheldShape{}, Links: a.links(v.PassportID),
	}
	if v.DigitalLink != "" {
		out.DigitalLink = &v.DigitalLink
	}
	a.addPart(&out, passport.Item, &v.Item)
	if v.Model != nil {
		out.Model = v.Model.Record
		a.addPart(&out, passport.Model, v.Model)
	}
	if v.Batch != nil {
		out.Batch = v.Batch.Record
		a.addPart(&out, passport.Batch, v.Batch)
	}
	if v.Condition != nil {
		out.Condition = v.Condition.Record
		a.addPart(&out, passport.Condition, v.Condition)
	}
	return out
}

func (a *API) addPart(out *passportAnswer, t passport.RecordType, p *registry.Part) {
	out.Records[string(t)] = a.recordShape(p)
	out.Withheld = append(out.Withheld, withheldFrom(t, p)...)
}

// withheldFrom names what a record may hold and this reader does not see;
// nothing where the signed bytes hold nothing back.
func withheldFrom(t passport.RecordType, p *registry.Part) []withheldShape {
	out := []withheldShape{}
	if p.WithheldCount == 0 {
		return out
	}
	for _, w := range p.Withheld {
		out = append(out, withheldShape{w.ID, t, w.Tier, w.Name})
	}
	return out
}

func (a *API) recordShape(p *registry.Part) recordShape {
	return recordShape{
		RecordID: p.RecordID, Series: p.Series, Version: p.Version, Issuer: p.Issuer, IssuedAt: p.IssuedAt,
		Digest: registry.SRI(p.TokenDigest), Token: a.Registry.BaseURL() + "/v1/records/" + p.RecordID.String() + ".sd-jwt",
		Withheld: p.WithheldCount,
	}
}

func statusOf(base string, s registry.Standing) statusAnswer {
	out := statusAnswer{State: s.State, Since: s.Since, Reason: s.Reason, History: s.History}
	if out.History == nil {
		out.History = []registry.StatusChange{}
	}
	if !s.Successor.IsZero() {
		out.Successor = base + "/v1/passports/" + s.Successor.String()
	}
	return out
}

func (a *API) links(id passport.ID) map[string]string {
	passports := a.Registry.BaseURL() + "/v1/passports/" + id.String()
	return map[string]string{
		"page": a.Registry.BaseURL() + "/p/" + id.String(), "passport": passports, "versions": passports + "/versions",
		"verification": passports + "/verification", "qrSvg": passports + "/qr.svg", "qrPng": passports + "/qr.png",
	}
}

type receiptAnswer struct {
	PassportID  *passport.ID         `json:"passportId,omitempty"`
	Version     int                  `json:"version"`
	BatteryID   string               `json:"batteryId,omitempty"`
	DigitalLink string               `json:"digitalLink,omitempty"`
	DryRun      bool                 `json:"dryRun,omitempty"`
	Unchanged   bool                 `json:"unchanged,omitempty"`
	Records     []issuedShape        `json:"records"`
	Token       string               `json:"token,omitempty"`
	Warnings    []passport.Violation `json:"warnings"`
	Log         *logShape            `json:"log,omitempty"`
	Links       map[string]string    `json:"links,omitempty"`
}

type issuedShape struct {
	Type     passport.RecordType `json:"type"`
	ID       *passport.ID        `json:"id,omitempty"` // of the series
	RecordID *passport.ID        `json:"recordId,omitempty"`
	Version  int                 `json:"version"`
	Reused   bool                `json:"reused"`
	Digest   string              `json:"digestSRI,omitempty"`
	Token    string              `json:"token,omitempty"` // link to the bare token
}

// logShape says that the entry waits: nothing is promised that is not so.
type logShape struct {
	State string `json:"state"` // "pending"
}

// sendReceipt answers a write: 201 when something was stored, also when an
// earlier request stored it; 200 for a dry run or when nothing had to be.
func (a *API) sendReceipt(c *gin.Context, r registry.Receipt) error {
	out := receiptAnswer{
		BatteryID: r.BatteryID, DigitalLink: r.DigitalLink, DryRun: r.DryRun, Unchanged: r.Unchanged && !r.DryRun, Warnings: r.Warnings,
	}
	if out.Warnings == nil {
		out.Warnings = []passport.Violation{}
	}
	for _, rec := range r.Records {
		out.Records = append(out.Records, a.issuedShape(rec))
		out.Version, out.Token = rec.Version, string(rec.Token) // the last record is what the call was about
	}
	status := http.StatusCreated
	if r.DryRun || r.Unchanged {
		status = http.StatusOK
	}
	if !r.DryRun {
		a.locate(c, r, &out)
	}
	if r.Repeated {
		c.Header("Idempotent-Replayed", "true")
	}
	cacheControl(c, cacheNever)
	return send(c, status, out)
}

func (a *API) locate(c *gin.Context, r registry.Receipt, out *receiptAnswer) {
	out.Log = &logShape{"pending"}
	last := r.Records[len(r.Records)-1]
	location := map[passport.RecordType]string{passport.Model: "/v1/models/", passport.Batch: "/v1/batches/"}[last.Type] + last.Series.String()
	if last.Type == passport.Item || last.Type == passport.Condition {
		out.PassportID, out.Links = &last.Series, a.links(last.Series)
		location = "/v1/passports/" + last.Series.String()
	}
	c.Header("Location", a.Registry.BaseURL()+location)
}

func (a *API) issuedShape(rec registry.Issued) issuedShape {
	out := issuedShape{Type: rec.Type, Version: rec.Version, Reused: rec.Reused}
	if rec.RecordID.IsZero() {
		return out // a dry run gives no ids
	}
	out.ID, out.RecordID, out.Digest = &rec.Series, &rec.RecordID, registry.SRI(rec.Digest)
	out.Token = a.Registry.BaseURL() + "/v1/records/" + rec.RecordID.String() + ".sd-jwt"
	return out
}

type grantShape struct {
	ID           passport.ID       `json:"id"`
	Owner        passport.OrgID    `json:"owner"`
	Organisation passport.OrgID    `json:"organisation"`
	Points       []passport.Tier   `json:"points"`
	Scope        map[string]string `json:"scope,omitempty"`
	ValidFrom    time.Time         `json:"validFrom"`
	ValidUntil   time.Time         `json:"validUntil"`
	RevokedAt    *time.Time        `json:"revokedAt,omitempty"`
}

func shapeGrant(g registry.Grant) grantShape {
	out := grantShape{
		ID: g.ID, Owner: g.Owner, Organisation: g.Grantee, Points: g.Points.List(), ValidFrom: g.ValidFrom, ValidUntil: g.Until,
	}
	if !g.Scope.Passport.IsZero() {
		out.Scope = map[string]string{"passport": g.Scope.Passport.String()}
	}
	if !g.Scope.Model.IsZero() {
		out.Scope = map[string]string{"model": g.Scope.Model.String()}
	}
	if !g.RevokedAt.IsZero() {
		out.RevokedAt = &g.RevokedAt
	}
	return out
}
