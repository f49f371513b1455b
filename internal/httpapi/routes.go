package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/provolt/provolt/internal/passport"
)

// routes is the whole surface of the API; openapi.yaml documents the same set.
func (a *API) routes(e *gin.Engine) {
	get := func(path string, h handler) {
		e.GET(path, a.handle(h))
		e.HEAD(path, a.handle(h))
	}
	post := func(path string, h handler) { e.POST(path, a.handle(h)) }

	post("/v1/models", a.write(a.postModel))
	post("/v1/batches", a.write(a.postBatch))
	post("/v1/passports", a.write(a.postPassport))
	post("/v1/passports/:id/versions", a.write(a.postVersion))
	post("/v1/passports/:id/conditions", a.write(a.postCondition))
	post("/v1/passports/:id/release", a.postRelease)
	get("/v1/passports", a.listPassports)
	get("/v1/passports/:id", a.getPassport)
	get("/v1/passports/:id/versions", a.getVersions)
	get("/v1/passports/:id/verification", a.getVerification)
	get("/v1/passports/:id/qr.svg", a.getQR)
	get("/v1/passports/:id/qr.png", a.getQR)
	get("/v1/models/:id", a.getShared(passport.Model))
	get("/v1/batches/:id", a.getShared(passport.Batch))
	get("/v1/records/:file", a.getRecord)
	post("/v1/verify", a.postVerify)
	get("/v1/trust", a.getTrust)

	post("/v1/grants", a.postGrant)
	get("/v1/grants", a.listGrants)
	e.DELETE("/v1/grants/:id", a.handle(a.deleteGrant))
	get("/v1/reads", a.listReads)
	post("/v1/enrolments", a.postEnrolment)
	get("/v1/organisations", a.listOrganisations)
	get("/v1/organisations/:org", a.getOrganisation)

	get("/01/*path", a.resolve)
	get("/8004/*path", a.resolve)
	e.OPTIONS("/01/*path", a.handle(preflight))
	e.OPTIONS("/8004/*path", a.handle(preflight))
	e.OPTIONS("/v1/*path", a.handle(preflight))

	get("/status/:kind/:list", a.getStatusList)
	get("/o/:org/did.json", a.getOrganisationDID)
	get("/.well-known/did.json", a.getRegistryDID)
	get("/.well-known/jwks.json", a.getJWKS)
	get("/.well-known/gs1resolver", a.getResolverDescription)
	get("/.well-known/security.txt", a.getSecurityText)
	get("/contexts/:name/:version", a.getContext)
	get("/schemas/:version/:name", a.getSchema)
	get("/openapi.yaml", a.getOpenAPI)
	get("/docs", a.getDocs)
	get("/docs.css", a.getDocsStyle)
	get("/problems/:code", a.getProblemPage)
	get("/livez", a.getLive)
	get("/readyz", a.getReady)
}
