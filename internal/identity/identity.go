// Package identity turns a bearer token into a person at an organisation.
// Callers need not know who issued the token, where its keys are published or
// which of its claims may be believed: what Authenticate returns is proved, and
// the organisation in it never comes from the request.
//
// A token is a JWT access token (RFC 9068) of one of the issuers this registry
// knows: its own (Issuer), or the OpenID provider of one organisation
// (External). An issuer speaks for the organisations bound to it and for no
// other, whatever its tokens claim.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
)

// Limits of a token.
const (
	MaxToken    = 8 << 10          // bytes of the compact form
	MaxLifetime = time.Hour        // from nbf, or iat where that is earlier, to exp
	Leeway      = 30 * time.Second // by which the issuer's clock may differ
	maxSubject  = 255              // bytes of sub
)

// ErrUnauthenticated is wrapped by every refusal of a token. Errors of
// Authenticate that do not wrap it mean that the registry could not look up
// what it needed, and say nothing about the caller.
var ErrUnauthenticated = errors.New("unauthenticated")

// Reason is the stable public code of a refusal. It tells an honest client
// what to mend, and nobody anything about keys.
type Reason string

// The reasons.
const (
	TokenMissing     Reason = "token.missing"
	TokenTooLarge    Reason = "token.tooLarge"
	TokenMalformed   Reason = "token.malformed"      // no compact JWS of two JSON objects with unique members
	TypeRefused      Reason = "token.type"           // typ is not at+jwt: an ID token, for instance
	AlgorithmRefused Reason = "token.algorithm"      // not one of the issuer's asymmetric algorithms
	HeaderRefused    Reason = "token.header"         // crit, b64, jwk, jku, x5u or x5c
	KeyIDRefused     Reason = "token.keyId"          // kid is missing, too long or holds odd characters
	IssuerUnknown    Reason = "issuer.unknown"       // no or another iss, or one whose keys may not be fetched
	KeyUnknown       Reason = "key.unknown"          // the issuer publishes no such key
	KeyUnfit         Reason = "key.unfit"            // the key does not go with the algorithm, or is weak
	KeysUnavailable  Reason = "key.unavailable"      // the issuer's keys could not be fetched
	SignatureInvalid Reason = "signature.invalid"    // the bytes are not what was signed
	AudienceRefused  Reason = "audience.refused"     // meant for another service
	ClaimsMalformed  Reason = "claims.malformed"     // a claim is missing or has the wrong type
	TokenExpired     Reason = "token.expired"        // exp has passed
	TokenNotYetValid Reason = "token.notYetValid"    // nbf or iat lies ahead
	LifetimeTooLong  Reason = "token.lifetime"       // valid for longer than MaxLifetime
	TokenBound       Reason = "token.bound"          // cnf: bound to a key this service does not check
	SubjectMissing   Reason = "subject.missing"      // no usable sub
	OrgRefused       Reason = "organisation.refused" // none, malformed, or not admitted
)

// Refusal says why a token was not accepted.
type Refusal struct{ Reason Reason }

func (r *Refusal) Error() string { return "unauthenticated: " + string(r.Reason) }

// Unwrap makes errors.Is(err, ErrUnauthenticated) hold.
func (r *Refusal) Unwrap() error { return ErrUnauthenticated }

func refuse(why Reason) error { return &Refusal{Reason: why} }

// ErrNotAdmitted is what Options.Admitted returns for an organisation that the
// registry does not know.
var ErrNotAdmitted = errors.New("organisation not admitted")

// External is an OpenID provider outside the registry and the one organisation
// it speaks for.
type External struct {
	Issuer string         // iss, exactly as in its tokens; an https URL, http on loopback only
	Org    passport.OrgID // whose people it names

	// KeySetURL is where its JWK Set is; empty: the jwks_uri of
	// Issuer + "/.well-known/openid-configuration" (OpenID Connect Discovery
	// section 4). https, http on loopback only.
	KeySetURL string

	// Algorithms it may sign with; empty: EdDSA, ES256, ES384, PS256, RS256.
	Algorithms []string

	// LegacyType also accepts typ "JWT" and no typ, for providers that do not
	// speak RFC 9068. Their ID tokens are then kept out by the audience alone.
	LegacyType bool

	// RolesClaim is the member that lists the roles; empty: "roles".
	RolesClaim string
}

// Options are what an Authenticator is made of.
type Options struct {
	// Audience must be among the aud of every token; the base URL.
	Audience string

	// Issuer is the registry's own; nil: there is none.
	Issuer *Issuer

	// External are the providers known from the configuration.
	External []External

	// Bound finds a provider that an organisation registered; nil: there are
	// none. It returns false for one it does not know, and for one that
	// several organisations claim. It is asked only for issuers that are
	// neither Issuer nor in External, on every token of theirs: cache it.
	Bound func(ctx context.Context, issuer string) (External, bool, error)

	// Admitted returns the roles an organisation was admitted to, or
	// ErrNotAdmitted. A person never has a role beyond these.
	Admitted func(ctx context.Context, org passport.OrgID) ([]access.Role, error)

	// Member returns the roles the registry itself recorded for a person of an
	// external provider, added to those in the token; nil: none.
	Member func(ctx context.Context, org passport.OrgID, issuer, subject string) ([]access.Role, error)

	// Client fetches key sets; nil: one with time and size limits that
	// follows no redirect.
	Client *http.Client

	// Log hears of key sets that could not be fetched and of bindings that
	// cannot be used; nil: nobody does.
	Log *slog.Logger
}

// Authenticator accepts tokens. It is safe for concurrent use.
type Authenticator struct {
	o       Options
	issuers *issuers
	good    goodTokens
}

// New makes an Authenticator. It reports every fault of the options at once
// and fetches nothing: keys are fetched when the first token needs them, so a
// provider that is down does not keep the registry from starting.
func New(o Options) (*Authenticator, error) {
	var faults []error
	if o.Audience == "" {
		faults = append(faults, errors.New("audience is empty"))
	}
	if o.Admitted == nil {
		faults = append(faults, errors.New("no lookup of admitted organisations"))
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	known, err := newIssuers(o)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, fmt.Errorf("set up authentication: %w", err)
	}
	return &Authenticator{o: o, issuers: known}, nil
}

// Authenticate returns who the bearer is at the given time, with the roles
// that are both claimed for them and admitted for their organisation. bearer
// is the credential of the Authorization header without its scheme.
//
// A refused token yields a *Refusal, which wraps ErrUnauthenticated. Any other
// error comes from Options.Bound, Admitted or Member.
func (a *Authenticator) Authenticate(ctx context.Context, bearer string, at time.Time) (access.Subject, error) {
	t, err := read(bearer)
	if err != nil {
		return access.Subject{}, err
	}
	iss, err := a.issuers.find(ctx, t.issuer())
	if err != nil {
		return access.Subject{}, err
	}
	if !a.good.holds(bearer, at) {
		if err := t.verify(ctx, iss, a.o.Audience, at); err != nil {
			return access.Subject{}, err
		}
		a.good.add(bearer, t, at)
	}
	return a.subject(ctx, t, iss)
}

// subject reads the person from a token that was verified.
func (a *Authenticator) subject(ctx context.Context, t *token, iss *issuer) (access.Subject, error) {
	name, ok := t.claims["sub"].(string)
	if !ok || !plain(name, maxSubject) {
		return access.Subject{}, refuse(SubjectMissing)
	}
	org, err := iss.organisation(t)
	if err != nil {
		return access.Subject{}, err
	}
	admitted, err := a.o.Admitted(ctx, org)
	if errors.Is(err, ErrNotAdmitted) {
		return access.Subject{}, refuse(OrgRefused)
	}
	if err != nil {
		return access.Subject{}, fmt.Errorf("look up organisation %s: %w", org, err)
	}
	claimed, err := t.roles(iss.rolesClaim)
	if err != nil {
		return access.Subject{}, err
	}
	if a.o.Member != nil && iss.external {
		recorded, err := a.o.Member(ctx, org, iss.name, name)
		if err != nil {
			return access.Subject{}, fmt.Errorf("look up a member of %s: %w", org, err)
		}
		claimed = append(claimed, recorded...)
	}
	return access.Subject{Org: org, Name: name, Roles: common(claimed, admitted)}, nil
}

// common returns the known roles in both lists, in the order of access.Roles.
func common(claimed, admitted []access.Role) []access.Role {
	var both []access.Role
	for _, r := range access.Roles() {
		if slices.Contains(claimed, r) && slices.Contains(admitted, r) {
			both = append(both, r)
		}
	}
	return both
}
