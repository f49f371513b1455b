package identity

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provolt/provolt/internal/access"
)

// token is a compact JWS taken apart. Until verify has returned nil, nothing in
// it is more than a claim; only iss and kid are used before, to pick a key.
type token struct {
	raw            string
	header, claims map[string]any
}

var (
	compact  = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)
	kidRange = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)
	seconds  = regexp.MustCompile(`^[1-9][0-9]{0,10}(\.[0-9]{1,9})?$`)
)

// read takes the bearer apart and applies the rules that need no key and no
// issuer. golang-jwt leaves them all to its caller: it ignores crit and typ,
// takes the last of two equal members, and its base64 decoder skips newlines.
func read(bearer string) (*token, error) {
	switch {
	case bearer == "":
		return nil, refuse(TokenMissing)
	case len(bearer) > MaxToken:
		return nil, refuse(TokenTooLarge)
	case !compact.MatchString(bearer):
		return nil, refuse(TokenMalformed)
	}
	parts := strings.Split(bearer, ".")
	header, err := object(parts[0])
	if err != nil {
		return nil, refuse(TokenMalformed)
	}
	claims, err := object(parts[1])
	if err != nil {
		return nil, refuse(TokenMalformed)
	}
	t := &token{raw: bearer, header: header, claims: claims}
	return t, t.checkHeader()
}

// checkHeader refuses every header member by which a token could choose how,
// or with which key, it is checked (RFC 8725 sections 3.1, 3.10).
func (t *token) checkHeader() error {
	for _, name := range []string{"crit", "b64", "jwk", "jku", "x5u", "x5c"} {
		if _, present := t.header[name]; present {
			return refuse(HeaderRefused)
		}
	}
	if kid, ok := t.header["kid"].(string); !ok || !kidRange.MatchString(kid) {
		return refuse(KeyIDRefused)
	}
	return nil
}

func (t *token) issuer() string {
	iss, _ := t.claims["iss"].(string)
	return iss
}

// verify checks the token against the issuer it names: type, algorithm,
// signature, audience and times.
func (t *token) verify(ctx context.Context, iss *issuer, audience string, at time.Time) error {
	if !iss.admitsType(t.header["typ"]) {
		return refuse(TypeRefused)
	}
	if alg, ok := t.header["alg"].(string); !ok || !slices.Contains(iss.algorithms, alg) {
		return refuse(AlgorithmRefused)
	}
	if err := t.checkClaims(); err != nil {
		return err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods(iss.algorithms), jwt.WithStrictDecoding(), jwt.WithJSONNumber(),
		jwt.WithIssuer(iss.name), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(Leeway), jwt.WithTimeFunc(func() time.Time { return at }),
	)
	_, err := parser.Parse(t.raw, func(parsed *jwt.Token) (any, error) { return iss.key(ctx, parsed, at) })
	if err != nil {
		return refusalOf(err)
	}
	return t.checkLifetime()
}

// checkClaims refuses claims of the wrong shape before a library reads them:
// dates that overflow, audiences that are no text.
func (t *token) checkClaims() error {
	for _, name := range []string{"exp", "nbf"} {
		if _, ok := t.date(name); !ok {
			return refuse(ClaimsMalformed)
		}
	}
	if _, present := t.claims["iat"]; present {
		if _, ok := t.date("iat"); !ok {
			return refuse(ClaimsMalformed)
		}
	}
	if _, bound := t.claims["cnf"]; bound {
		return refuse(TokenBound)
	}
	switch aud := t.claims["aud"].(type) {
	case nil:
		return refuse(AudienceRefused)
	case string:
	case []any:
		if slices.ContainsFunc(aud, func(v any) bool { _, text := v.(string); return !text }) {
			return refuse(ClaimsMalformed)
		}
	default:
		return refuse(ClaimsMalformed)
	}
	return nil
}

// date reads a NumericDate (RFC 7519 section 2), whole seconds.
func (t *token) date(claim string) (time.Time, bool) {
	n, ok := t.claims[claim].(json.Number)
	if !ok || !seconds.MatchString(n.String()) {
		return time.Time{}, false
	}
	whole, _, _ := strings.Cut(n.String(), ".")
	s, err := strconv.ParseInt(whole, 10, 64)
	return time.Unix(s, 0), err == nil
}

func (t *token) checkLifetime() error {
	exp, _ := t.date("exp")
	start, _ := t.date("nbf")
	if iat, ok := t.date("iat"); ok && iat.Before(start) {
		start = iat
	}
	if exp.Sub(start) > MaxLifetime {
		return refuse(LifetimeTooLong)
	}
	return nil
}

// refusalOf translates an error of golang-jwt. What it does not know is an
// invalid signature: never anything milder.
func refusalOf(err error) error {
	var own *Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse(TokenMalformed)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return refuse(SignatureInvalid)
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		// Every other required claim has been seen by checkClaims.
		return refuse(AudienceRefused)
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse(TokenExpired)
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse(TokenNotYetValid)
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return refuse(ClaimsMalformed)
	}
	return refuse(SignatureInvalid)
}

// roles reads the roles the token claims; names the registry does not know
// are kept and matter to nobody. A missing claim is no roles.
func (t *token) roles(claim string) ([]access.Role, error) {
	switch list := t.claims[claim].(type) {
	case nil:
		return nil, nil
	case []any:
		roles := make([]access.Role, 0, len(list))
		for _, v := range list {
			name, ok := v.(string)
			if !ok {
				return nil, refuse(ClaimsMalformed)
			}
			roles = append(roles, access.Role(name))
		}
		return roles, nil
	}
	return nil, refuse(ClaimsMalformed)
}

// object decodes one segment: a JSON object whose members, at every depth, have
// unique names, and nothing behind it.
func object(segment string) (map[string]any, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, fmt.Errorf("decode segment: %w", err)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("segment is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes behind the JSON object")
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("segment is no JSON object")
	}
	return members, nil
}

// value decodes one JSON value token by token, because json.Unmarshal accepts
// a member twice.
func value(d *json.Decoder, depth int) (any, error) {
	if depth > 16 {
		return nil, errors.New("JSON nested too deep")
	}
	tok, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	switch tok {
	case json.Delim('{'):
		return members(d, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return tok, nil
}

func members(d *json.Decoder, depth int) (map[string]any, error) {
	m := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("decode JSON: %w", err)
		}
		key, _ := name.(string) // the decoder allows no other token here
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("member %q twice", key)
		}
		if m[key], err = value(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return m, err
}

// plain reports whether s is 1 to limit characters that all print on one line.
func plain(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
