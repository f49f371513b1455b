package httpapi

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
)

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
	orgs, err := a.Registry.Organisations(c.Request.Context())
	if err != nil {
		return err
	}
	out := make([]organisationShape, len(orgs))
	for i, o := range orgs {
		out[i] = a.shapeOrganisation(o)
	}
	cacheControl(c, cacheMinute)
	return send(c, http.StatusOK, gin.H{"organisations": out})
}

func (a *API) getOrganisation(c *gin.Context) error {
	id, err := orgOf(c)
	if err != nil {
		return err
	}
	org, err := a.Registry.Organisation(c.Request.Context(), id)
	if err != nil {
		return err
	}
	cacheControl(c, cacheMinute)
	return send(c, http.StatusOK, a.shapeOrganisation(org))
}

// postEnrolment uses up a one-time secret. Whoever is signed in at their
// organisation's own provider becomes a member by that identity; anybody else
// becomes one of the built-in issuer and gets their first access token.
func (a *API) postEnrolment(c *gin.Context) error {
	body, err := bodyOf(c)
	if err != nil {
		return err
	}
	request, err := parseEnrolment(body)
	if err != nil {
		return err
	}
	issuer, err := a.issuerOf(c, &request)
	if err != nil {
		return err
	}
	m, err := a.Registry.Redeem(c.Request.Context(), request.org, request.secret, issuer, request.subject)
	if errors.Is(err, registry.ErrNotFound) {
		return errEnrolment
	} else if err != nil {
		return err
	}
	answer := gin.H{"organisation": m.Org, "subject": m.Subject, "roles": m.Roles}
	if issuer == a.BuiltInIssuer {
		if answer["accessToken"], err = a.Enrol(m, a.Now()); err != nil {
			return err
		}
		answer["tokenType"] = "Bearer"
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusCreated, answer)
}

// issuerOf says under whose name the person is known. A signed-in caller is
// taken as who their token says, whatever the body names.
func (a *API) issuerOf(c *gin.Context, request *enrolment) (string, error) {
	caller := subjectOf(c)
	if caller.Anonymous() {
		if a.Enrol == nil {
			return "", errEnrolment
		}
		return a.BuiltInIssuer, nil
	}
	if caller.Org != request.org {
		return "", errEnrolment
	}
	org, err := a.Registry.Organisation(c.Request.Context(), request.org)
	if err != nil {
		return "", err
	}
	request.subject = caller.Name
	return cmp.Or(a.Providers[request.org], org.OIDCIssuer, a.BuiltInIssuer), nil
}

type enrolment struct {
	org             passport.OrgID
	secret, subject string
}

// enrolmentMembers are the members of the body, each a text, with what they
// are for.
var enrolmentMembers = map[string]string{
	"organisation": "the organisation's short name", "secret": "the one-time secret", "subject": "a name for the administrator",
}

const maxEnrolmentText = 200 // characters of each member

func parseEnrolment(body []byte) (enrolment, error) {
	tree, err := strictjson.Parse(body)
	if err != nil {
		return enrolment{}, err
	}
	object, _ := tree.(map[string]any)
	var faults []passport.Violation
	fault := func(name, code, expected, repair string) {
		faults = append(faults, passport.Violation{
			Pointer: passport.Pointer(name), Code: code, Severity: passport.Blocking, Expected: expected, Repair: repair,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(enrolmentMembers)) {
		text, _ := object[name].(string)
		if n := len([]rune(text)); n == 0 || n > maxEnrolmentText || strings.ContainsFunc(text, unprintable) {
			fault(name, "member.missing", enrolmentMembers[name]+": 1 to 200 characters that print on one line", "add "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, known := enrolmentMembers[name]; !known {
			fault(name, "member.unknown", "organisation, secret and subject", "remove the member")
		}
	}
	if len(faults) > 0 {
		return enrolment{}, &registry.Invalid{Violations: faults}
	}
	org, err := passport.ParseOrgID(object["organisation"].(string))
	if err != nil {
		return enrolment{}, &registry.Invalid{Violations: []passport.Violation{passport.ViolationAt("/organisation", err)}}
	}
	return enrolment{org, object["secret"].(string), object["subject"].(string)}, nil
}
