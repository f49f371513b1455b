package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
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
	Tags       []struct{ Name, Description string }
	Paths      map[string]pathItem
	Components struct {
		Schemas       map[string]*shape
		Parameters    map[string]parameter
		Responses     map[string]response
		RequestBodies map[string]requestBody `yaml:"requestBodies"`
	}
}

// pathItem leaves HEAD out: it answers as GET does.
type pathItem struct {
	Parameters        []parameter
	Get, Post, Delete *operation
}

// operation is one call as the page shows it.
type operation struct {
	Method, Path         string
	OperationID          string `yaml:"operationId"`
	Tags                 []string
	Summary, Description string
	Security             []map[string][]string
	Parameters           []parameter
	RequestBody          *requestBody `yaml:"requestBody"`
	Responses            map[string]response
}

// SignIn reports whether the call needs a token.
func (o operation) SignIn() bool { return len(o.Security) == 1 && len(o.Security[0]) == 1 }

// Command is the call for a shell; $PROVOLT is the registry's address.
func (o operation) Command() string {
	var b strings.Builder
	b.WriteString("curl")
	if o.Method == http.MethodDelete {
		b.WriteString(" -X DELETE")
	}
	if o.SignIn() {
		b.WriteString(` -H "Authorization: Bearer $TOKEN"`)
	}
	if o.RequestBody != nil {
		b.WriteString(" -H 'Content-Type: application/json' -d @body.json")
	}
	return b.String() + ` "$PROVOLT` + o.Path + `"`
}

// Answers lists the responses by ascending status.
func (o operation) Answers() []answered {
	var out []answered
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		out = append(out, answered{status, o.Responses[status]})
	}
	return out
}

type answered struct {
	Status string
	response
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Schema      *shape
}

type requestBody struct {
	Ref     string `yaml:"$ref"`
	Content content
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Content     content
}

// content is what a body is in each media type.
type content map[string]struct{ Schema *shape }

// Said are the kinds of an answer that are worth a line: that errors are
// problems is said once.
func (r response) Said() []kind {
	return slices.DeleteFunc(r.Content.Kinds(), func(k kind) bool { return r.Content[typeProblem].Schema != nil })
}

// Kinds lists the media types with what they hold.
func (c content) Kinds() []kind {
	var out []kind
	for _, mediaType := range slices.Sorted(maps.Keys(c)) {
		out = append(out, kind{mediaType, c[mediaType].Schema})
	}
	return out
}

type kind struct {
	MediaType string
	Shape     *shape
}

// shape is a schema as the page shows it.
type shape struct {
	Ref                 string `yaml:"$ref"`
	Type                any
	Format, Description string
	Const               any
	Enum                []string
	Minimum, Maximum    *int
	Required            []string
	Properties          map[string]*shape
	Items               *shape
	AnyOf               []*shape `yaml:"anyOf"`
}

// Members lists the members of an object by name.
func (s *shape) Members() []member {
	var out []member
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		out = append(out, member{name, s.Properties[name], slices.Contains(s.Required, name)})
	}
	return out
}

type member struct {
	Name     string
	Shape    *shape
	Required bool
}

// Shown is the shape that a link leads to: its own, or that of its elements.
func (s *shape) Shown() string {
	if s == nil {
		return ""
	}
	if s.Items != nil {
		return s.Items.Shown()
	}
	return strings.TrimPrefix(s.Ref, "#/components/schemas/")
}

// Words say what a value is.
func (s *shape) Words() string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Shown()
	case s.Items != nil:
		return "list of " + s.Items.Words()
	case len(s.AnyOf) > 0:
		words := make([]string, len(s.AnyOf))
		for i, one := range s.AnyOf {
			words[i] = one.Words()
		}
		return strings.Join(words, " or ")
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, " · ")
	case s.Const != nil:
		return fmt.Sprint(s.Const)
	case s.Format != "":
		return s.Format
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("%v, %d to %d", s.Type, *s.Minimum, *s.Maximum)
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Type), " ", " or "), "[]")
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
	page, err := template.New("docs").Funcs(template.FuncMap{"sentence": sentence}).Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("parse docs page: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, gin.H{
		"Info": c.Info, "Chapters": c.chapters(), "Shapes": c.shapes(), "Problems": problemList(),
		"Description": strings.Split(strings.TrimSpace(c.Info.Description), "\n\n"),
	})
	return out.Bytes(), err
})

// sentence ends a text with a full stop; nothing stays nothing.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.TrimSuffix(text, ".") + ". "
}

func (c contract) chapters() []chapter {
	byTag := map[string][]operation{}
	for _, path := range slices.Sorted(maps.Keys(c.Paths)) {
		item := c.Paths[path]
		for _, call := range []struct {
			method string
			*operation
		}{{http.MethodGet, item.Get}, {http.MethodPost, item.Post}, {http.MethodDelete, item.Delete}} {
			if call.operation != nil {
				o := c.resolve(call.method, path, item, *call.operation)
				byTag[o.Tags[0]] = append(byTag[o.Tags[0]], o)
			}
		}
	}
	var out []chapter
	for _, tag := range c.Tags {
		out = append(out, chapter{tag.Name, tag.Description, byTag[tag.Name]})
	}
	return out
}

// resolve follows the references of an operation.
func (c contract) resolve(method, path string, item pathItem, o operation) operation {
	o.Method, o.Path = method, path
	o.Parameters = slices.Concat(item.Parameters, o.Parameters)
	for i, p := range o.Parameters {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			o.Parameters[i] = c.Components.Parameters[name]
		}
	}
	if o.RequestBody != nil && o.RequestBody.Ref != "" {
		body := c.Components.RequestBodies[strings.TrimPrefix(o.RequestBody.Ref, "#/components/requestBodies/")]
		o.RequestBody = &body
	}
	responses := make(map[string]response, len(o.Responses))
	for status, r := range o.Responses {
		if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
			r = c.Components.Responses[name]
		}
		responses[status] = r
	}
	o.Responses = responses
	return o
}

// shapes lists the named schemas.
func (c contract) shapes() []member {
	var out []member
	for _, name := range slices.Sorted(maps.Keys(c.Components.Schemas)) {
		out = append(out, member{Name: name, Shape: c.Components.Schemas[name]})
	}
	return out
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
	h := c.Writer.Header()
	h["Content-Security-Policy"] = []string{pagePolicy}
	h["Referrer-Policy"] = []string{"no-referrer"}
	cacheControl(c, cacheMinutes)
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
	cacheControl(c, cacheMinutes)
	conditional(c, digestTag("css", docsStyle), "text/css; charset=utf-8", docsStyle)
	return nil
}

var problemPage = template.Must(template.New("problem").Parse(problemTemplate))

// getProblemPage explains the type of a problem.
func (a *API) getProblemPage(c *gin.Context) error {
	code := c.Param("code")
	known, ok := titles[code]
	if !ok {
		return registry.ErrNotFound
	}
	var out bytes.Buffer
	if err := problemPage.Execute(&out, explained{code, known.title, known.advice}); err != nil {
		return fmt.Errorf("render problem page: %w", err)
	}
	return sendPage(c, out.Bytes())
}

func (a *API) getOpenAPI(c *gin.Context) error {
	cacheControl(c, cacheMinutes)
	conditional(c, digestTag("yaml", provolt.OpenAPI), "application/yaml", provolt.OpenAPI)
	return nil
}
