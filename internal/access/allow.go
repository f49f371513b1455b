package access

import (
	"slices"
	"time"

	"github.com/provolt/provolt/internal/passport"
)

// Action is what a caller wants to do to a resource.
type Action string

// The actions of the registry.
const (
	RegisterModel    Action = "registerModel"    // a model, or its next version
	RegisterBatch    Action = "registerBatch"    // a batch, or its next version
	RegisterPassport Action = "registerPassport" // the first passport of a battery
	Succeed          Action = "succeed"          // a passport that follows another one of the same battery
	Amend            Action = "amend"            // the next version of a passport
	RecordCondition  Action = "recordCondition"  // dynamic data of one pack
	ReleaseBattery   Action = "release"          // let another organisation succeed
	GiveGrant        Action = "grant"            // give or revoke a grant
	ReadGrants       Action = "readGrants"       // list the grants an organisation gave or holds
	ReadPublic       Action = "readPublic"       // Annex XIII point 1
	ReadRestricted   Action = "readRestricted"   // any other tier
	ReadPurposeLog   Action = "readPurposeLog"   // who read an organisation's restricted data, and for what
	Suspend          Action = "suspend"          // take a passport out of force for a time
	Unsuspend        Action = "unsuspend"        // put it back into force
	Administer       Action = "administer"       // admit organisations, keys, tokens; see the configuration
)

// Actions lists every action in a fixed order.
func Actions() []Action {
	return []Action{
		RegisterModel, RegisterBatch, RegisterPassport, Succeed, Amend, RecordCondition, ReleaseBattery,
		GiveGrant, ReadGrants, ReadPublic, ReadRestricted, ReadPurposeLog, Suspend, Unsuspend, Administer,
	}
}

// Roles lists every role in a fixed order.
func Roles() []Role {
	return []Role{Issuer, LegitimateInterest, Authority, ContractedVerifier, Auditor, OperatorAdmin}
}

// Grant is the part of a stored grant that a decision depends on. It opens
// Points of Owner's resources to Grantee from From (inclusive) to Until
// (exclusive). A grant without Until opens nothing: every grant ends.
type Grant struct {
	Owner   passport.OrgID
	Grantee passport.OrgID
	Points  passport.Tiers

	// Passport and Model narrow the grant to resources whose Series name
	// them; a zero one does not narrow.
	Passport passport.ID
	Model    passport.ID

	From, Until time.Time
	RevokedAt   time.Time // zero while it stands
}

// Resource is what an action is about.
type Resource struct {
	// Owner is whose it is: for a registration the organisation it is to
	// belong to, for Administer empty.
	Owner passport.OrgID

	// Type is the record type, empty where the resource is no record or the
	// action says it all. A type the action cannot be about is refused.
	Type passport.RecordType

	// Series names every series a grant's scope may name to reach the
	// resource: its own, for an item also its model's, and for a model or
	// batch also the item through which it is read.
	Series []passport.ID

	// ReleasedTo is the organisation the passport was released to, if any.
	ReleasedTo passport.OrgID

	Grants     []Grant   // those of Owner; others do no harm
	HasPurpose bool      // the caller said what the restricted data are for
	At         time.Time // when; decides which grants are in force
}

// Reason is a stable code that says what a decision rests on.
type Reason string

// The reasons. The first four allow, the others refuse.
const (
	ByAnyone  Reason = "public" // no one needs to sign in for it
	ByOwner   Reason = "own"    // it belongs to the caller's organisation
	ByGrant   Reason = "grant"  // its owner granted or released it
	ByRole    Reason = "role"   // the role reaches every organisation's
	NoSignIn  Reason = "signIn.required"
	NoRole    Reason = "role.missing"
	NoGrant   Reason = "grant.missing"
	NoPurpose Reason = "purpose.required"
	NoSense   Reason = "action.notApplicable" // such a resource knows no such action
)

// Decision is the answer of Allow. The zero Decision refuses.
type Decision struct {
	Allowed bool

	// Tiers are the restricted tiers that an allowed ReadRestricted opens;
	// empty for every other action.
	Tiers passport.Tiers

	Reason Reason

	// Hidden means the caller may not learn from a refusal that the resource
	// exists: answer exactly as for an unknown one.
	Hidden bool
}

// reach says whose resources a role reaches with an action. A greater reach
// includes the smaller ones only where the table says so; Allow takes the
// union over a caller's roles.
type reach uint8

const (
	nowhere    reach = iota
	own              // the caller's organisation
	granted          // what a grant in force names
	handedOver       // own, and what was released to the caller's organisation
	everywhere       // every organisation's
)

// table is the whole law of the registry. A pair that is not in it is refused.
var table = map[Action]map[Role]reach{
	RegisterModel:    {Issuer: own},
	RegisterBatch:    {Issuer: own},
	RegisterPassport: {Issuer: own},
	Succeed:          {Issuer: handedOver},
	Amend:            {Issuer: own},
	RecordCondition:  {Issuer: own},
	ReleaseBattery:   {Issuer: own, Authority: everywhere},
	GiveGrant:        {Issuer: own},
	ReadGrants:       {Issuer: own, LegitimateInterest: own, ContractedVerifier: own, Auditor: everywhere},
	ReadRestricted: {
		Issuer: own, LegitimateInterest: granted, ContractedVerifier: granted,
		Authority: everywhere, Auditor: everywhere,
	},
	ReadPurposeLog: {Issuer: own, Auditor: everywhere},
	Suspend:        {OperatorAdmin: everywhere},
	Unsuspend:      {OperatorAdmin: everywhere},
	Administer:     {OperatorAdmin: everywhere},
}

// about names the record types an action can be about; an action without an
// entry is about any, or about no record.
var about = map[Action][]passport.RecordType{
	RegisterModel:    {passport.Model},
	RegisterBatch:    {passport.Batch},
	RegisterPassport: {passport.Item},
	Succeed:          {passport.Item},
	Amend:            {passport.Item},
	RecordCondition:  {passport.Item, passport.Condition},
	ReleaseBattery:   {passport.Item},
	Suspend:          {passport.Item, passport.Model, passport.Batch},
	Unsuspend:        {passport.Item, passport.Model, passport.Batch},
}

// readable are the restricted tiers a role can ever open, after Art. 77(2) of
// Regulation (EU) 2023/1542.
var readable = map[Role]passport.Tiers{
	Issuer:             passport.AllTiers(),
	LegitimateInterest: passport.TiersOf(passport.Point2, passport.Point4),
	Authority:          passport.TiersOf(passport.Point2, passport.Point3, passport.Origin),
	ContractedVerifier: passport.TiersOf(passport.Origin),
	Auditor:            passport.AllTiers(),
}

// Allow decides whether the subject may do the action to the resource. It is
// total: an action, role or type it does not know is refused. Another role
// never takes anything away, and what one caller may do depends on nothing
// but the arguments.
//
// A refused ReadRestricted still leaves the public face of the resource to
// everyone: ask again with ReadPublic.
func Allow(s Subject, a Action, r Resource) Decision {
	if a == ReadPublic {
		return Decision{Allowed: true, Reason: ByAnyone}
	}
	foreign := r.Owner != "" && r.Owner != s.Org
	if s.Anonymous() {
		return Decision{Reason: NoSignIn}
	}
	if only, ok := about[a]; ok && r.Type != "" && !slices.Contains(only, r.Type) {
		return Decision{Reason: NoSense, Hidden: foreign}
	}
	best := Decision{Reason: NoRole}
	for _, role := range Roles() {
		if slices.Contains(s.Roles, role) {
			best = merge(best, decide(s.Org, role, a, r))
		}
	}
	if a == ReadRestricted && best.Allowed && !r.HasPurpose {
		return Decision{Reason: NoPurpose}
	}
	best.Hidden = !best.Allowed && foreign
	return best
}

// decide answers for one role alone, before the purpose is looked at.
func decide(org passport.OrgID, role Role, a Action, r Resource) Decision {
	isOwn := r.Owner != "" && r.Owner == org
	switch table[a][role] {
	case own:
		if isOwn {
			return allowed(role, a, ByOwner)
		}
		return Decision{Reason: NoGrant}
	case handedOver:
		if isOwn {
			return allowed(role, a, ByOwner)
		}
		if r.ReleasedTo != "" && r.ReleasedTo == org {
			return allowed(role, a, ByGrant)
		}
		return Decision{Reason: NoGrant}
	case granted:
		tiers := opened(org, r).Intersect(readable[role])
		if tiers == 0 {
			return Decision{Reason: NoGrant}
		}
		return Decision{Allowed: true, Tiers: tiers, Reason: ByGrant}
	case everywhere:
		return allowed(role, a, ByRole)
	case nowhere:
	}
	return Decision{Reason: NoRole}
}

func allowed(role Role, a Action, why Reason) Decision {
	d := Decision{Allowed: true, Reason: why}
	if a == ReadRestricted {
		d.Tiers = readable[role]
	}
	return d
}

// merge keeps what either decision allows. Of two that allow, the first gives
// the reason; of two that refuse, the one that came closer.
func merge(x, y Decision) Decision {
	switch {
	case x.Allowed && y.Allowed:
		x.Tiers = x.Tiers.Union(y.Tiers)
		return x
	case y.Allowed, !x.Allowed && x.Reason == NoRole:
		return y
	default:
		return x
	}
}

// opened is the union of the tiers that the owner's grants in force give the
// organisation for this resource.
func opened(org passport.OrgID, r Resource) passport.Tiers {
	var tiers passport.Tiers
	for _, g := range r.Grants {
		if g.Grantee == org && g.Owner == r.Owner && r.Owner != "" && g.inForce(r.At) && g.covers(r.Series) {
			tiers = tiers.Union(g.Points)
		}
	}
	return tiers
}

func (g Grant) inForce(at time.Time) bool {
	return !at.Before(g.From) && at.Before(g.Until) && (g.RevokedAt.IsZero() || at.Before(g.RevokedAt))
}

func (g Grant) covers(series []passport.ID) bool {
	return (g.Passport.IsZero() || slices.Contains(series, g.Passport)) &&
		(g.Model.IsZero() || slices.Contains(series, g.Model))
}
