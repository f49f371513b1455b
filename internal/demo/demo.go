// Package demo furnishes a registry with invented organisations and batteries,
// so that a newcomer sees every state of a passport without typing one.
// Companies and facilities are fictional; the GTINs are from GS1's range for
// examples.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/schemas"
)

// Showcase is what a demo registry has to show.
type Showcase struct {
	BaseURL   string            `json:"baseUrl"`
	Passports []Exhibit         `json:"passports"`
	Persons   []Person          `json:"persons"`
	Links     map[string]string `json:"links"`
}

// Exhibit is a passport, or the lack of one, and what it shows.
type Exhibit struct {
	Shows       string            `json:"shows"` // "genuine", "suspended", "unregistered", …
	Description string            `json:"description"`
	PassportID  string            `json:"passportId,omitempty"`
	DigitalLink string            `json:"digitalLink"`
	Links       map[string]string `json:"links,omitempty"`
}

// Person is somebody who can sign in to the demo.
type Person struct {
	Organisation passport.OrgID `json:"organisation"`
	Name         string         `json:"name"`
	Roles        []access.Role  `json:"roles"`
	Token        string         `json:"token,omitempty"` // made anew at every start, good for an hour
}

// The organisations of the demo. Two of the authorities and operators belong
// to different organisations, for what needs a second person from elsewhere.
var organisations = []registry.Organisation{
	{ID: "nordlicht", Name: "Nordlicht Zellwerk GmbH", Country: "DE", Roles: []access.Role{access.Issuer}},
	{ID: "rodavela", Name: "Rodavela Mobilidade Lda", Country: "PT", Roles: []access.Role{access.Issuer}},
	{ID: "inntal", Name: "Inntal Flow Energie GmbH", Country: "AT", Roles: []access.Role{access.Issuer}},
	{ID: "nordlicht-speicher", Name: "Nordlicht Speicher Vertrieb GmbH", Country: "DE", Roles: []access.Role{access.Issuer}},
	{ID: "hafenzoll", Name: "Zollamt Musterhafen", Country: "DE", Roles: []access.Role{access.Authority}},
	{ID: "marktaufsicht", Name: "Marktaufsicht Musterland", Country: "AT", Roles: []access.Role{access.Authority}},
	{ID: "kreislauf", Name: "Kreislauf Recycling Oy", Country: "FI", Roles: []access.Role{access.LegitimateInterest}},
	{ID: "pruefhaus", Name: "Prüfhaus Lieferkette GmbH", Country: "DE", Roles: []access.Role{access.ContractedVerifier}},
	{ID: "rechnungshof", Name: "Rechnungshof Musterland", Country: "AT", Roles: []access.Role{access.Auditor}},
	{ID: "treuhand", Name: "Treuhand Registerbetrieb eG", Country: "DE", Roles: []access.Role{access.OperatorAdmin}},
}

var people = []Person{
	{Organisation: "nordlicht", Name: "maker", Roles: []access.Role{access.Issuer}},
	{Organisation: "kreislauf", Name: "dismantler", Roles: []access.Role{access.LegitimateInterest}},
	{Organisation: "hafenzoll", Name: "customs-officer", Roles: []access.Role{access.Authority}},
	{Organisation: "marktaufsicht", Name: "market-surveillance", Roles: []access.Role{access.Authority}},
	{Organisation: "pruefhaus", Name: "verifier", Roles: []access.Role{access.ContractedVerifier}},
	{Organisation: "rechnungshof", Name: "auditor", Roles: []access.Role{access.Auditor}},
	{Organisation: passport.Operator, Name: "operator", Roles: []access.Role{access.OperatorAdmin}},
	{Organisation: "treuhand", Name: "second-operator", Roles: []access.Role{access.OperatorAdmin}},
}

// exhibit is a passport to be made from a shipped example.
type exhibit struct {
	shows, description string
	maker              passport.OrgID
	example, serial    string // an empty serial keeps the example's
	suspend            string // reason code; empty leaves it in force
}

var exhibits = []exhibit{
	{"genuine", "Electric car pack, in force", "nordlicht", "ev.json", "", ""},
	{"suspended", "Electric car pack, suspended while its data are disputed", "nordlicht", "ev.json", "AB4F7K2900002", "dataDisputed"},
	{"genuine-lmt", "E-bike pack, in force", "rodavela", "lmt.json", "", ""},
	{"genuine-industrial", "Flow battery, in force", "inntal", "industrial.json", "", ""},
	{"genuine-stationary", "Stationary storage, in force, signed by its importer", "nordlicht-speicher", "stationary.json", "", ""},
}

// Furnish admits the organisations and issues the passports.
func Furnish(ctx context.Context, reg *registry.Registry, operator access.Subject) (Showcase, error) {
	for _, org := range organisations {
		if _, err := reg.Admit(ctx, operator, org); err != nil {
			return Showcase{}, fmt.Errorf("admit %s: %w", org.ID, err)
		}
	}
	show := Showcase{BaseURL: reg.BaseURL(), Persons: people, Links: map[string]string{"docs": reg.BaseURL() + "/docs", "lookUp": reg.BaseURL() + "/"}}
	for _, e := range exhibits {
		made, err := e.issue(ctx, reg, operator)
		if err != nil {
			return Showcase{}, fmt.Errorf("issue the %s passport: %w", e.shows, err)
		}
		show.Passports = append(show.Passports, made)
	}
	if err := grant(ctx, reg); err != nil {
		return Showcase{}, err
	}
	unknown := strings.Replace(show.Passports[0].DigitalLink, "/21/", "/21/NOT-", 1)
	show.Passports = append(show.Passports, Exhibit{
		Shows: "unregistered", Description: "A serial of a known model that nobody registered", DigitalLink: unknown,
	})
	return show, nil
}

// grant lets the dismantler read points 2 and 4, and the contracted verifier the
// origins, of the first maker's batteries for a year.
func grant(ctx context.Context, reg *registry.Registry) error {
	until := reg.Instance().CreatedAt.AddDate(1, 0, 0).UTC().Format(time.RFC3339)
	for to, points := range map[string]string{"kreislauf": `"point2","point4"`, "pruefhaus": `"origin"`} {
		body := fmt.Sprintf(`{"organisation":%q,"points":[%s],"validUntil":%q}`, to, points, until)
		if _, err := reg.GiveGrant(ctx, registry.Write{By: issuer("nordlicht"), Body: []byte(body)}); err != nil {
			return fmt.Errorf("grant to %s: %w", to, describe(err))
		}
	}
	return nil
}

func issuer(org passport.OrgID) access.Subject {
	return access.Subject{Org: org, Name: "demo", Roles: []access.Role{access.Issuer}}
}

func (e exhibit) issue(ctx context.Context, reg *registry.Registry, operator access.Subject) (Exhibit, error) {
	body, err := e.document(reg.BaseURL())
	if err != nil {
		return Exhibit{}, err
	}
	receipt, err := reg.RegisterPassport(ctx, registry.Write{By: issuer(e.maker), Body: body})
	if err != nil {
		return Exhibit{}, describe(err)
	}
	if e.suspend != "" {
		if _, err := reg.SetState(ctx, operator, receipt.Passport, registry.Suspended, e.suspend); err != nil {
			return Exhibit{}, err
		}
	}
	id := receipt.Passport.String()
	return Exhibit{
		Shows: e.shows, Description: e.description, PassportID: id, DigitalLink: receipt.DigitalLink,
		Links: map[string]string{
			"page": reg.BaseURL() + "/p/" + id, "passport": reg.BaseURL() + "/v1/passports/" + id,
			"qrSvg": reg.BaseURL() + "/v1/passports/" + id + "/qr.svg",
		},
	}, nil
}

// exampleBase is the host in the shipped examples.
const exampleBase = "http://localhost:8080"

// document is the example with the registry's host and the exhibit's serial,
// made a year earlier, so that a demo of 2026 shows no battery of the future.
func (e exhibit) document(base string) ([]byte, error) {
	raw, err := fs.ReadFile(schemas.FS, "examples/"+e.example)
	if err != nil {
		return nil, fmt.Errorf("read example: %w", err)
	}
	var doc struct {
		Passport json.RawMessage            `json:"passport"`
		Model    json.RawMessage            `json:"model"`
		Batch    map[string]json.RawMessage `json:"batch"`
	}
	var item struct{ SerialNumber string }
	if err := errors.Join(json.Unmarshal(raw, &doc), json.Unmarshal(doc.Passport, &item)); err != nil {
		return nil, fmt.Errorf("read example %s: %w", e.example, err)
	}
	if e.serial == "" {
		e.serial = item.SerialNumber
	}
	own := strings.NewReplacer(exampleBase, base, item.SerialNumber, e.serial, `"2027-`, `"2026-`)
	doc.Passport = json.RawMessage(own.Replace(string(doc.Passport)))
	doc.Batch["productionPeriod"] = json.RawMessage(own.Replace(string(doc.Batch["productionPeriod"])))
	return json.Marshal(doc)
}

// describe puts the violations into the text of a refusal.
func describe(err error) error {
	var invalid *registry.Invalid
	if !errors.As(err, &invalid) {
		return err
	}
	text, _ := json.Marshal(invalid.Violations)
	return fmt.Errorf("%w: %s", err, text)
}
