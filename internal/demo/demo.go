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
	{ID: "veloplus", Name: "Veloplus Antriebe B.V.", Country: "NL", Roles: []access.Role{access.Issuer}},
	{ID: "strommeer", Name: "Strommeer Speicher AG", Country: "AT", Roles: []access.Role{access.Issuer}},
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
	{"genuine-lmt", "E-bike pack, in force", "veloplus", "lmt.json", "", ""},
	{"genuine-industrial", "Industrial battery, in force", "strommeer", "industrial.json", "", ""},
	{"genuine-stationary", "Stationary storage, in force", "strommeer", "stationary.json", "", ""},
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
	unknown := strings.Replace(show.Passports[0].DigitalLink, "/21/", "/21/NOT-", 1)
	show.Passports = append(show.Passports, Exhibit{
		Shows: "unregistered", Description: "A serial of a known model that nobody registered", DigitalLink: unknown,
	})
	return show, nil
}

func (e exhibit) issue(ctx context.Context, reg *registry.Registry, operator access.Subject) (Exhibit, error) {
	body, err := e.document(reg.BaseURL())
	if err != nil {
		return Exhibit{}, err
	}
	maker := access.Subject{Org: e.maker, Name: "demo", Roles: []access.Role{access.Issuer}}
	receipt, err := reg.RegisterPassport(ctx, registry.Write{By: maker, Body: body})
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

// document is the example with the registry's host and the exhibit's serial.
func (e exhibit) document(base string) ([]byte, error) {
	raw, err := fs.ReadFile(schemas.FS, "examples/"+e.example)
	if err != nil {
		return nil, fmt.Errorf("read example: %w", err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("read example %s: %w", e.example, err)
	}
	item := string(doc["passport"])
	var of struct{ SerialNumber string }
	if err := json.Unmarshal(doc["passport"], &of); err != nil {
		return nil, fmt.Errorf("read example %s: %w", e.example, err)
	}
	item = strings.ReplaceAll(item, exampleBase, base)
	if e.serial != "" {
		item = strings.ReplaceAll(item, of.SerialNumber, e.serial)
	}
	doc["passport"] = json.RawMessage(item)
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
