package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/provolt/provolt"
)

var (
	hrefs = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)
	ids   = regexp.MustCompile(` id="([^"]*)"`)
)

func all(re *regexp.Regexp, text string) []string {
	var out []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestTheDocsNameEveryOperationShapeAndProblem(t *testing.T) {
	w := newWorld(t)
	page := string(w.get("/docs").want(http.StatusOK).body)
	anchors := all(ids, page)
	for path, item := range contract().doc.Paths.Map() {
		for method, o := range item.Operations() {
			if method != http.MethodHead && !slices.Contains(anchors, o.OperationID) {
				t.Errorf("%s %s is not in the docs", method, path)
			}
		}
	}
	for name := range contract().doc.Components.Schemas {
		if !slices.Contains(anchors, "shape-"+name) {
			t.Errorf("the shape %s is not in the docs", name)
		}
	}
	if sorted := slices.Sorted(slices.Values(anchors)); len(slices.Compact(sorted)) != len(anchors) {
		t.Error("an id stands twice")
	}
}

func TestThePagesAskNobodyForAnythingAndEveryLinkHolds(t *testing.T) {
	w := newWorld(t)
	paths := []string{"/docs", "/problems/notFound", "/problems/record.invalid"}
	for _, path := range paths {
		a := w.get(path).want(http.StatusOK)
		page := string(a.body)
		if got := a.header.Get("Content-Security-Policy"); got != "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'" {
			t.Errorf("%s: policy %q", path, got)
		}
		for _, forbidden := range []string{"<script", "style=", "<style", "onclick", "javascript:", "http://", "https://", "<form", "<iframe"} {
			if strings.Contains(page, forbidden) {
				t.Errorf("%s has %s", path, forbidden)
			}
		}
		for _, href := range all(hrefs, page) {
			target, fragment, _ := strings.Cut(href, "#")
			switch {
			case target == "/":
				continue // the look-up page of package web
			case target == "" && !slices.Contains(all(ids, page), fragment):
				t.Errorf("%s: no %s", path, href)
			case target != "":
				w.get(target).want(http.StatusOK)
			}
		}
		for _, must := range []string{`<html lang="en">`, `name="viewport"`, "<title>", "<main", "<h1>"} {
			if !strings.Contains(page, must) {
				t.Errorf("%s has no %s", path, must)
			}
		}
	}
}

func TestTheServedContractIsTheOneOfTheBinary(t *testing.T) {
	w := newWorld(t)
	if got := string(w.get("/openapi.yaml").want(http.StatusOK).body); got != string(provolt.OpenAPI) {
		t.Error("/openapi.yaml is another document")
	}
}

func TestTheContractRefersOnlyToSchemasThatAreServed(t *testing.T) {
	w := newWorld(t)
	for _, path := range all(regexp.MustCompile(`See (/schemas/[^}\s]+)`), string(provolt.OpenAPI)) {
		w.get(path).want(http.StatusOK)
	}
}
