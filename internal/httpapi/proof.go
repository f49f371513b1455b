package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/strictjson"
)

func (a *API) getVerification(c *gin.Context) error {
	id, version, err := seriesOf(c)
	if err != nil {
		return err
	}
	result, err := a.Registry.Verification(c.Request.Context(), id, version)
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	return send(c, http.StatusOK, result)
}

// postVerify checks any token against this registry's trust. The body is the
// token as text, or {"token": "…"}.
func (a *API) postVerify(c *gin.Context) error {
	token, err := tokenOf(c)
	if err != nil {
		return err
	}
	result, err := a.Registry.Verify(c.Request.Context(), token)
	if err != nil {
		return err
	}
	cacheControl(c, cacheNever)
	return send(c, http.StatusOK, result)
}

// tokenOf reads a token from a text body or from {"token": "…"}.
func tokenOf(c *gin.Context) ([]byte, error) {
	mediaType := c.ContentType()
	switch mediaType {
	case typeJSON, typeToken, typeJWT, "application/sd-jwt", "text/plain":
	default:
		return nil, errMediaType
	}
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	if mediaType != typeJSON {
		return []byte(strings.TrimSpace(string(body))), nil
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
// application/jwt signed by the registry for verifiers. A signature differs
// each time it is made, so that the tag is a weak one over what was signed.
func (a *API) getTrust(c *gin.Context) error {
	c.Writer.Header()["Vary"] = []string{"Accept"}
	chosen := negotiate(c.GetHeader("Accept"), typeJSON, typeJWT)
	if chosen == "" {
		return errAccept
	}
	body, err := a.Registry.SignedTrust(c.Request.Context())
	if err != nil {
		return err
	}
	signed := body[:bytes.LastIndexByte(body, '.')+1]
	if chosen == typeJSON {
		if body, err = openBundle(string(body)); err != nil {
			return err
		}
	}
	cacheControl(c, cacheMinute)
	conditional(c, "W/"+digestTag("trust", append([]byte(chosen), signed...)), chosen, body)
	return nil
}

// openBundle shows the claims of a signed bundle beside it.
func openBundle(bundle string) ([]byte, error) {
	_, payload, _ := strings.Cut(bundle, ".")
	payload, _, _ = strings.Cut(payload, ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, err
	}
	return encode(gin.H{"trust": json.RawMessage(claims), "signed": bundle})
}

// bitstring are the forms in which revocation and suspension lists are served.
var bitstring = []string{typeJSON, "application/vc", "application/vc+jwt"}

// listForms are the media types of each kind of status list.
var listForms = map[string][]string{"revocation": bitstring, "suspension": bitstring, "tokens": {"application/statuslist+jwt"}}

// maxList bounds the numbers of status lists: 2^37 records.
const maxList = 1 << 20

func (a *API) getStatusList(c *gin.Context) error {
	kind, text := c.Param("kind"), c.Param("list")
	number, err := strconv.Atoi(text)
	forms, known := listForms[kind]
	if err != nil || !known || number < 0 || number > maxList || strconv.Itoa(number) != text {
		return registry.ErrNotFound
	}
	c.Writer.Header()["Vary"] = []string{"Accept"}
	chosen := negotiate(c.GetHeader("Accept"), forms...)
	if chosen == "" {
		return errAccept
	}
	format := "json"
	if strings.HasSuffix(chosen, "+jwt") {
		format = "jwt"
	}
	body, err := a.Registry.StatusList(c.Request.Context(), kind, number, format)
	if err != nil {
		return err
	}
	cacheControl(c, cacheBriefly)
	conditional(c, digestTag("list", body), chosen, body)
	return nil
}

func (a *API) getOrganisationDID(c *gin.Context) error {
	id, err := orgOf(c)
	if err != nil {
		return err
	}
	return a.sendDID(c, id)
}

func (a *API) getRegistryDID(c *gin.Context) error { return a.sendDID(c, passport.Operator) }

func (a *API) sendDID(c *gin.Context, id passport.OrgID) error {
	document, err := a.Registry.DIDDocument(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return sendKeys(c, "application/did+json", document)
}

func (a *API) getJWKS(c *gin.Context) error {
	keys, err := a.Registry.JWKS(c.Request.Context())
	if err != nil {
		return err
	}
	return sendKeys(c, "application/jwk-set+json", keys)
}

func sendKeys(c *gin.Context, mediaType string, document map[string]any) error {
	body, err := encode(document)
	if err != nil {
		return err
	}
	cacheControl(c, cacheMinute)
	conditional(c, digestTag("keys", body), mediaType, body)
	return nil
}
