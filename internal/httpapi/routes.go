package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
)

// routes is the whole surface of the API; openapi.yaml documents the same set.
// Tokens are read under /v1 alone: what lies elsewhere is the same for
// everybody, and answers even when nobody can be asked who the caller is.
func (a *API) routes(e *gin.Engine) {
	v1 := e.Group("/v1", a.authenticate)
	get := func(r gin.IRoutes, path string, h handler) {
		r.GET(path, a.handle(h))
		r.HEAD(path, a.handle(h))
	}
	post := func(path string, h handler) { v1.POST(path, a.handle(h)) }

	post("/models", a.write(a.Registry.RegisterModel))
	post("/batches", a.write(a.Registry.RegisterBatch))
	post("/passports", a.write(a.Registry.RegisterPassport))
	post("/passports/:id/versions", a.writeAbout(a.Registry.Amend))
	post("/passports/:id/conditions", a.writeAbout(a.Registry.RecordCondition))
	post("/passports/:id/release", a.postRelease)
	get(v1, "/passports", a.listPassports)
	get(v1, "/passports/:id", a.getPassport)
	get(v1, "/passports/:id/versions", a.getVersions)
	get(v1, "/passports/:id/verification", a.getVerification)
	get(v1, "/passports/:id/qr.svg", a.getQR)
	get(v1, "/passports/:id/qr.png", a.getQR)
	get(v1, "/models/:id", a.getShared(passport.Model))
	get(v1, "/batches/:id", a.getShared(passport.Batch))
	get(v1, "/records/:file", a.getRecord)
	post("/verify", a.postVerify)
	get(v1, "/trust", a.getTrust)

	post("/grants", a.postGrant)
	get(v1, "/grants", a.listGrants)
	v1.DELETE("/grants/:id", a.handle(a.deleteGrant))
	get(v1, "/reads", a.listReads)
	post("/enrolments", a.postEnrolment)
	get(v1, "/organisations", a.listOrganisations)
	get(v1, "/organisations/:org", a.getOrganisation)

	get(e, "/01/*path", a.resolve)
	get(e, "/8004/*path", a.resolve)
	get(e, "/status/:kind/:list", a.getStatusList)
	get(e, "/o/:org/did.json", a.getOrganisationDID)
	get(e, "/.well-known/did.json", a.getRegistryDID)
	get(e, "/.well-known/jwks.json", a.getJWKS)
	get(e, "/.well-known/gs1resolver", a.getResolverDescription)
	get(e, "/.well-known/security.txt", a.getSecurityText)
	get(e, "/contexts/:name/:version", a.getContext)
	get(e, "/schemas/:version/:name", a.getSchema)
	get(e, "/openapi.yaml", a.getOpenAPI)
	get(e, "/docs", a.getDocs)
	get(e, "/docs.css", a.getDocsStyle)
	get(e, "/problems/:code", a.getProblemPage)
	get(e, "/livez", a.getLive)
	get(e, "/readyz", a.getReady)
}
