package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/provolt/provolt"
	"github.com/provolt/provolt/internal/httpapi"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// TestMain fails a whole run that left a part of the contract untried: a
// status of openapi.yaml that no test has seen is a promise nobody checked.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && wholeRun() {
		for _, missing := range contract().untried() {
			_, _ = fmt.Fprintln(os.Stderr, "documented, and no test has seen it:", missing)
			code = 1
		}
	}
	os.Exit(code)
}

// wholeRun reports whether every test ran.
func wholeRun() bool {
	for name, usual := range map[string]string{"test.run": "", "test.skip": "", "test.list": "", "test.fuzz": "", "test.fuzzworker": "false"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != usual {
			return false
		}
	}
	return true
}

// agreement is openapi.yaml as the tests hold exchanges to it.
type agreement struct {
	doc   *openapi3.T
	paths []templated
	mu    sync.Mutex
	seen  map[string]bool // "GET /v1/trust 200"
	codes map[string]bool // of problems
	known map[string]bool // refusals that were validated, without the id of the request
}

// templated is a path of the contract as a pattern.
type templated struct {
	path    string
	pattern *regexp.Regexp
	names   []string
}

// contract is the one shared by all tests.
var contract = sync.OnceValue(func() *agreement {
	a, err := newAgreement(provolt.OpenAPI)
	if err != nil {
		panic(err)
	}
	return a
})

func newAgreement(text []byte) (*agreement, error) {
	openapi3.DefineStringFormatValidator("uri", openapi3.NewRegexpFormatValidator(`^https?://[!#-;=?-\[\]_a-z~]+$`)) // RFC 3986, absolute
	openapi3filter.RegisterBodyDecoder("*/*", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/vc", openapi3filter.JSONBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	a := &agreement{doc: doc, seen: map[string]bool{}, codes: map[string]bool{}, known: map[string]bool{}}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		a.paths = append(a.paths, newTemplated(path))
	}
	return a, nil
}

var parameter = regexp.MustCompile(`\\\{(\w+)\\\}`)

// newTemplated makes a pattern: a parameter is one segment, {path} the rest.
func newTemplated(path string) templated {
	t := templated{path: path}
	text := parameter.ReplaceAllStringFunc(regexp.QuoteMeta(path), func(p string) string {
		name := strings.Trim(p, `\{}`)
		t.names = append(t.names, name)
		if name == "path" {
			return "(.*)"
		}
		return "([^/]*)"
	})
	t.pattern = regexp.MustCompile("^" + text + "$")
	return t
}

// operation finds the operation of a request; nil if the contract has none.
func (a *agreement) operation(r *http.Request) (*routers.Route, map[string]string) {
	for _, t := range a.paths {
		values := t.pattern.FindStringSubmatch(r.URL.EscapedPath())
		if values == nil {
			continue
		}
		item := a.doc.Paths.Value(t.path)
		operation := item.GetOperation(r.Method)
		if operation == nil {
			return nil, nil
		}
		params := map[string]string{}
		for i, name := range t.names {
			params[name] = values[i+1]
		}
		return &routers.Route{Spec: a.doc, Path: t.path, PathItem: item, Method: r.Method, Operation: operation}, params
	}
	return nil, nil
}

// check holds one exchange to the contract, in both directions: the answer is
// documented, and a request that is answered well is one the contract allows.
func (a *agreement) check(r *http.Request, sent []byte, got *answer) error {
	if err := commonHeaders(got.header); err != nil {
		return err
	}
	route, params := a.operation(r)
	if route == nil {
		return a.checkOutside(r, got)
	}
	documented := a.documented(route, got.status)
	if documented == nil {
		return fmt.Errorf("status %d of %s %s is not in openapi.yaml", got.status, route.Method, route.Path)
	}
	if err := requiredHeaders(documented, got.header); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		if len(got.body) > 0 {
			return fmt.Errorf("HEAD has a body of %d bytes", len(got.body))
		}
		return nil
	}
	if len(documented.Content) == 0 && len(got.body) > 0 {
		return fmt.Errorf("a body of %d bytes where openapi.yaml has none", len(got.body))
	}
	if a.validated(route, got) {
		return nil
	}
	input := &openapi3filter.RequestValidationInput{
		Request: withBody(r, sent), PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, RejectWhenRequestBodyNotSpecified: true,
			AuthenticationFunc: bearerPresent,
		},
	}
	if err := a.checkAnswer(r.Context(), input, got); err != nil {
		return err
	}
	if got.status < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
			return fmt.Errorf("answered with %d what openapi.yaml does not allow to ask: %w", got.status, err)
		}
	}
	return checkRecords(route.Operation.OperationID, got)
}

// documented is the response of a status, and counts it as seen.
func (a *agreement) documented(route *routers.Route, status int) *openapi3.Response {
	name := strconv.Itoa(status)
	ref := route.Operation.Responses.Status(status)
	if ref == nil {
		name, ref = "default", route.Operation.Responses.Default()
	}
	if ref == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[route.Method+" "+route.Path+" "+name] = true
	return ref.Value
}

// validated reports whether the same refusal was seen before: validating one
// compiles its schema anew, and a thousand may be equal.
func (a *agreement) validated(route *routers.Route, got *answer) bool {
	if got.status < http.StatusBadRequest {
		return false
	}
	body := bytes.ReplaceAll(got.body, []byte(got.header.Get("Request-Id")), nil)
	key := fmt.Sprint(route.Method, route.Path, got.status, got.header.Get("Content-Type"), string(body))
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.known[key]
	a.known[key] = true
	return before
}

// untried lists the documented pairs of operation and status, and the codes of
// problems, that no exchange had.
func (a *agreement) untried() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var missing []string
	for path, item := range a.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if pair := method + " " + path + " " + status; !a.seen[pair] {
					missing = append(missing, pair)
				}
			}
		}
	}
	for code := range httpapi.Titles() {
		if !a.codes[code] {
			missing = append(missing, "problem "+code)
		}
	}
	slices.Sort(missing)
	return missing
}

// checkAnswer validates status, media type, headers and body.
func (a *agreement) checkAnswer(ctx context.Context, input *openapi3filter.RequestValidationInput, got *answer) error {
	err := openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: got.status, Header: got.header,
		Body: io.NopCloser(bytes.NewReader(got.body)), Options: input.Options,
	})
	if err != nil {
		return err
	}
	return a.checkJSON(got)
}

// checkJSON holds a JSON body to what we ask of others' bodies, and notes the
// code of a problem.
func (a *agreement) checkJSON(got *answer) error {
	mediaType, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	if mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
		return nil
	}
	tree, err := parseAnswer(got.body)
	if err != nil {
		return fmt.Errorf("our own gate refuses the answer: %w", err)
	}
	if mediaType != "application/problem+json" {
		return nil
	}
	code, _ := dig(tree, "code").(string)
	if want := base + "/problems/" + code; dig(tree, "type") != want {
		return fmt.Errorf("problem type is %v, want %s", dig(tree, "type"), want)
	}
	if dig(tree, "title") == "" {
		return fmt.Errorf("problem %s has no title", code)
	}
	if fmt.Sprint(dig(tree, "status")) != strconv.Itoa(got.status) {
		return fmt.Errorf("problem says status %v, the answer %d", dig(tree, "status"), got.status)
	}
	if dig(tree, "requestId") != got.header.Get("Request-Id") {
		return fmt.Errorf("problem names request %v, the answer %s", dig(tree, "requestId"), got.header.Get("Request-Id"))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.codes[code] = true
	return nil
}

// parseAnswer passes JSON of ours through the gate for others' JSON. Only a
// pointer may hold odd characters: it has to name the member that does.
func parseAnswer(body []byte) (any, error) {
	tree, err := strictjson.Parse(body)
	var rejected *strictjson.Rejected
	if !errors.As(err, &rejected) {
		return tree, err
	}
	for _, v := range rejected.Violations {
		if !strings.HasPrefix(v.Code, "text.") || !strings.HasPrefix(v.Pointer, "/errors/") || !strings.HasSuffix(v.Pointer, "/pointer") {
			return nil, err
		}
	}
	return tree, json.Unmarshal(body, &tree)
}

// checkOutside is about addresses and methods the contract does not have: they
// answer with problems all the same.
func (a *agreement) checkOutside(r *http.Request, got *answer) error {
	switch {
	case got.status == http.StatusNoContent && r.Method == http.MethodOptions:
		return nil
	case got.status == http.StatusNotFound, got.status == http.StatusMethodNotAllowed, got.status == http.StatusTooManyRequests:
	default:
		return fmt.Errorf("%s %s is not in openapi.yaml and answers %d", r.Method, r.URL.Path, got.status)
	}
	if r.Method == http.MethodHead || strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		return nil
	}
	return a.checkProblem(got)
}

// checkProblem validates a body against the Problem of the contract.
func (a *agreement) checkProblem(got *answer) error {
	tree, err := parseAnswer(got.body)
	if err != nil {
		return err
	}
	if err := a.doc.Components.Schemas["Problem"].Value.VisitJSON(tree, openapi3.EnableJSONSchema2020()); err != nil {
		return err
	}
	return a.checkJSON(got)
}

var requestID = regexp.MustCompile(`^req_[0-9a-f]{24}$`)

// commonHeaders are those that every answer carries.
func commonHeaders(h http.Header) error {
	if !requestID.MatchString(h.Get("Request-Id")) {
		return fmt.Errorf("Request-Id is %q", h.Get("Request-Id"))
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*"} {
		if h.Get(name) != want {
			return fmt.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	return nil
}

// requiredHeaders looks also at the statuses that kin-openapi passes over.
func requiredHeaders(r *openapi3.Response, h http.Header) error {
	for name, ref := range r.Headers {
		if ref.Value.Required && h.Get(name) == "" {
			return fmt.Errorf("the answer has no %s", name)
		}
	}
	return nil
}

func bearerPresent(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if strings.HasPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ") {
		return nil
	}
	return errors.New("no access token")
}

func withBody(r *http.Request, body []byte) *http.Request {
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if len(body) == 0 {
		again.Body = http.NoBody
	}
	return again
}

// recordMembers are the members of answers that hold records.
var recordMembers = map[string][]passport.RecordType{
	"readPassport": passport.RecordTypes(), "readModel": {passport.Model}, "readBatch": {passport.Batch},
}

// checkRecords holds the records of an answer to the published schema, which
// kin-openapi cannot: it drops what stands behind a reference to another file.
func checkRecords(operation string, got *answer) error {
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		return nil
	}
	_, validator := rules()
	for _, t := range recordMembers[operation] {
		tree, err := strictjson.Parse(got.body)
		if err != nil {
			return err
		}
		record, ok := dig(tree, string(t)).(map[string]any)
		if !ok {
			continue
		}
		if found := validator.CheckPresented(t, record); passport.Blocks(found) {
			return fmt.Errorf("%s does not fit its published schema: %+v", t, found)
		}
	}
	return nil
}
