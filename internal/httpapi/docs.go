package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"go.yaml.in/yaml/v3"

	"github.com/provolt/provolt"
	"github.com/provolt/provolt/internal/registry"
)

//go:embed pages/docs.html
var docsTemplate string

//go:embed pages/problem.html
var problemTemplate string

//go:embed pages/docs.css
var docsStyle []byte

// contract is the part of openapi.yaml that the page shows.
type contract struct {
	Info struct {
		Title, Version, Summary, Description string
	}
	Tags  []struct{ Name, Description string }
	Paths map[string]map[string]yaml.Node
}

// operation is one call as the page shows it.
type operation struct {
	Method, Path, ID     string
	Tags                 []string
	Summary, Description string
	Security             []map[string][]string
	Parameters           []map[string]any
	RequestBody          any `yaml:"requestBody"`
	Responses            map[string]any
}

// SignIn reports whether the call needs a token.
func (o operation) SignIn() bool { return len(o.Security) == 1 && len(o.Security[0]) == 1 }

// Statuses lists the answers in ascending order.
func (o operation) Statuses() []string { return slices.Sorted(maps.Keys(o.Responses)) }

// Named lists the parameters by name.
func (o operation) Named() []string {
	var names []string
	for _, p := range o.Parameters {
		if name, ok := p["name"].(string); ok {
			names = append(names, name)
		} else if ref, ok := p["$ref"].(string); ok {
			names = append(names, parameterName(ref))
		}
	}
	return names
}

// parameterName turns a reference into the name a caller writes.
func parameterName(ref string) string {
	name := ref[strings.LastIndex(ref, "/")+1:]
	if header := map[string]string{"IdempotencyKey": "Idempotency-Key", "IfNoneMatch": "If-None-Match", "Purpose": "Purpose", "DryRun": "dryRun"}[name]; header != "" {
		return header
	}
	return strings.ToLower(name)
}

// chapter is the calls of one tag.
type chapter struct {
	Name, Description string
	Operations        []operation
}

// docsPage renders the contract once: it is part of the binary.
var docsPage = sync.OnceValues(func() ([]byte, error) {
	var c contract
	if err := yaml.Unmarshal(provolt.OpenAPI, &c); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	chapters, err := c.chapters()
	if err != nil {
		return nil, err
	}
	page, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("parse docs page: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, gin.H{"Info": c.Info, "Chapters": chapters, "Problems": problemList()})
	return out.Bytes(), err
})

var shownMethods = []string{"get", "post", "delete"}

func (c contract) chapters() ([]chapter, error) {
	byTag := map[string][]operation{}
	for _, path := range slices.Sorted(maps.Keys(c.Paths)) {
		for _, method := range shownMethods {
			node, ok := c.Paths[path][method]
			if !ok {
				continue
			}
			o := operation{Method: strings.ToUpper(method), Path: path, ID: method + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)}
			if err := node.Decode(&o); err != nil {
				return nil, fmt.Errorf("read %s %s: %w", method, path, err)
			}
			byTag[o.Tags[0]] = append(byTag[o.Tags[0]], o)
		}
	}
	var out []chapter
	for _, tag := range c.Tags {
		out = append(out, chapter{tag.Name, tag.Description, byTag[tag.Name]})
	}
	return out, nil
}

type explained struct{ Code, Title, Advice string }

func problemList() []explained {
	var out []explained
	for _, code := range slices.Sorted(maps.Keys(titles)) {
		out = append(out, explained{code, titles[code].title, titles[code].advice})
	}
	return out
}

// pagePolicy lets a page load its style sheet and nothing else.
const pagePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"

func sendPage(c *gin.Context, body []byte) error {
	c.Header("Content-Security-Policy", pagePolicy)
	c.Header("Referrer-Policy", "no-referrer")
	cacheControl(c, "public, max-age=300")
	conditional(c, digestTag("html", body), "text/html; charset=utf-8", body)
	return nil
}

func (a *API) getDocs(c *gin.Context) error {
	page, err := docsPage()
	if err != nil {
		return err
	}
	return sendPage(c, page)
}

func (a *API) getDocsStyle(c *gin.Context) error {
	cacheControl(c, "public, max-age=300")
	conditional(c, digestTag("css", docsStyle), "text/css; charset=utf-8", docsStyle)
	return nil
}

// getProblemPage explains the type of a problem.
func (a *API) getProblemPage(c *gin.Context) error {
	code := c.Param("code")
	known, ok := titles[code]
	if !ok {
		return registry.ErrNotFound
	}
	page, err := template.New("problem").Parse(problemTemplate)
	if err != nil {
		return fmt.Errorf("parse problem page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, explained{code, known.title, known.advice}); err != nil {
		return fmt.Errorf("render problem page: %w", err)
	}
	return sendPage(c, out.Bytes())
}

func (a *API) getOpenAPI(c *gin.Context) error {
	cacheControl(c, "public, max-age=300")
	conditional(c, digestTag("yaml", provolt.OpenAPI), "application/yaml", provolt.OpenAPI)
	return nil
}
