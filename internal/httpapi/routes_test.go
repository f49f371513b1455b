package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
)

var ginParameter = regexp.MustCompile(`[:*](\w+)`)

// routes are the routes of an engine in the writing of openapi.yaml.
func routes(engine http.Handler) []string {
	var all []string
	for _, r := range engine.(*gin.Engine).Routes() {
		all = append(all, r.Method+" "+ginParameter.ReplaceAllString(r.Path, "{$1}"))
	}
	slices.Sort(all)
	return all
}

func TestTheContractAndTheRoutesAreTheSameSet(t *testing.T) {
	var documented []string
	for path, item := range contract().doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(documented)
	if diff := cmp.Diff(documented, routes(newWorld(t).engine)); diff != "" {
		t.Errorf("-openapi.yaml +routes:\n%s", diff)
	}
}

func TestEveryOperationHasANameOfItsOwnAndATagThatIsExplained(t *testing.T) {
	doc := contract().doc
	names := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if method == http.MethodHead {
				continue
			}
			at := method + " " + path
			if o.OperationID == "" || names[o.OperationID] != "" {
				t.Errorf("%s is called %q, as is %s", at, o.OperationID, names[o.OperationID])
			}
			names[o.OperationID] = at
			if len(o.Tags) != 1 || doc.Tags.Get(o.Tags[0]) == nil {
				t.Errorf("%s has the tags %v", at, o.Tags)
			}
		}
	}
}
