// Package access decides who may do and read what. It is one pure function
// over a table: no request, no store, no clock of its own.
package access

import "github.com/provolt/provolt/internal/passport"

// Role is what an organisation was admitted to do.
type Role string

// The roles of the registry. A person holds those of their organisation that
// their token names.
const (
	Issuer             Role = "issuer"             // issues passports; reads all of its own
	LegitimateInterest Role = "legitimateInterest" // points 2 and 4, for what it was granted (Art. 77(2)(c))
	Authority          Role = "authority"          // points 2 and 3, and origin (Art. 77(2)(b))
	ContractedVerifier Role = "contractedVerifier" // origin, granted by its owner
	Auditor            Role = "auditor"            // everything, read only
	OperatorAdmin      Role = "operatorAdmin"      // configuration and status, no restricted data
)

// Subject is the authenticated caller. The zero Subject is the anonymous
// public. Org comes from the token alone, never from a request.
type Subject struct {
	Org   passport.OrgID
	Name  string // the person or machine at the organisation, as its issuer names it
	Roles []Role
}

// Anonymous reports whether nobody is signed in.
func (s Subject) Anonymous() bool { return s.Org == "" }
