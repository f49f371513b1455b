package httpapi_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/provolt/provolt/internal/access"
	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson/hostile"
)

// texts visits every text of a document with its path, in a fixed order, and
// puts what visit returns in its place.
func texts(v any, at string, visit func(at, text string) string) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			v[name] = texts(v[name], at+"/"+name, visit)
		}
	case []any:
		for i := range v {
			v[i] = texts(v[i], fmt.Sprintf("%s/%d", at, i), visit)
		}
	case string:
		return visit(at, v)
	}
	return v
}

// unharmed holds an answer to a hostile document: it may be accepted or
// refused, and is never a fault. That it is valid JSON with nosniff the
// contract check has seen to.
func unharmed(t *testing.T, what string, a *answer) {
	t.Helper()
	if a.status >= http.StatusInternalServerError {
		t.Errorf("%s: %d %s", what, a.status, a)
	}
}

// oneOfEach is the first text of every kind.
func oneOfEach() []string {
	var out []string
	kinds := hostile.Kinds()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, kinds[kind][0])
	}
	return out
}

func TestHostileTextInEveryFieldAtOnceIsNoFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signed := as("nordlicht")
	for name, list := range map[string][]string{"industrial.json": hostile.Strings(), "ev.json": oneOfEach()} {
		for _, s := range list {
			doc := example(t, name)
			texts(doc, "", func(string, string) string { return s })
			a := w.post("/v1/passports", doc, signed)
			unharmed(t, fmt.Sprintf("%.40q everywhere", s), a)
			if a.status < http.StatusBadRequest {
				t.Errorf("%.40q everywhere is accepted", s)
			}
		}
	}
}

var indices = regexp.MustCompile(`/\d+`)

func TestHostileTextInEachFieldAloneIsNoFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.pass(400 * 24 * time.Hour) // after the reading of the example
	signed := as("nordlicht")
	all := hostile.Strings()
	readings := "/v1/passports/" + w.register("A1").text("passportId") + "/conditions?dryRun=true"
	for name, path := range map[string]string{"ev.json": "/v1/passports?dryRun=true", "condition-ev.json": readings} {
		fields := map[string]string{} // one of each array's elements will do
		texts(example(t, name), "", func(at, text string) string {
			fields[indices.ReplaceAllString(at, "/[]")] = at
			return text
		})
		for i, shape := range slices.Sorted(maps.Keys(fields)) {
			s := all[i*7%len(all)]
			doc := example(t, name)
			texts(doc, "", func(at, text string) string {
				if at == fields[shape] {
					return s
				}
				return text
			})
			unharmed(t, fmt.Sprintf("%.40q in %s", s, fields[shape]), w.post(path, doc, signed))
		}
	}
}

// TestHostileTextThatIsAcceptedComesBackUnchanged registers each text where
// any text may stand: what gets in has to be in every answer as it was sent.
func TestHostileTextThatIsAcceptedComesBackUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register("A0")
	accepted := 0
	for i, s := range hostile.Strings() {
		doc := pinned(t, first, fmt.Sprintf("H%d", i))
		if w.comesBack(doc, s, [][]string{{"passport", "economicOperator", "name"}}) {
			accepted++
		}
	}
	if accepted < 200 {
		t.Errorf("only %d texts are accepted: the list or the gate has changed", accepted)
	}
	for i, s := range oneOfEach() {
		doc := battery(example(t, "lmt.json"), fmt.Sprintf("M%d", i))
		set(doc, fmt.Sprintf("MODEL-%d", i), "model", "identification", "modelId")
		w.comesBack(doc, s, [][]string{
			{"model", "identification", "manufacturer", "name"},
			{"model", "identification", "manufacturer", "tradeName"},
			{"model", "identification", "manufacturer", "address", "street"},
		})
	}
}

// comesBack registers a document with s in the fields and reports whether it
// was accepted; then it has to be read as it was sent.
func (w *world) comesBack(doc map[string]any, s string, fields [][]string) bool {
	w.t.Helper()
	for _, field := range fields {
		last := len(field) - 1
		dig(doc, field[:last]...).(map[string]any)[field[last]] = s
	}
	a := w.post("/v1/passports", doc, as("nordlicht"))
	if a.status != http.StatusCreated {
		a.refused(http.StatusUnprocessableEntity, "record.invalid")
		return false
	}
	view := w.get("/v1/passports/" + a.text("passportId")).want(http.StatusOK)
	for _, field := range fields {
		if got := view.text(field...); got != s {
			w.t.Errorf("%v: sent %.80q, read %.80q", field, s, got)
		}
	}
	return true
}

func TestHostileTextInAddressesAndHeadersIsNoFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := operations(t, w.furnished())
	signed := as("nordlicht")
	for i, s := range hostile.Strings() {
		if len(s) > 4000 {
			s = s[:4000]
		}
		for k := range 4 {
			o := calls[(4*i+k)%len(calls)]
			segments := strings.Split(o.path, "/")
			segments[len(segments)-1-k%2] = url.PathEscape(s)
			path := strings.Join(segments, "/")
			if !strings.HasPrefix(path, "/") {
				path = "/" + path
			}
			query := "?" + url.Values{"version": {s}, "linkType": {s}, "cursor": {s}, "as": {s}, "dryRun": {s}, s: {s}}.Encode()
			var parts []part
			if o.by != "" {
				parts = append(parts, signed)
			}
			if !strings.ContainsAny(s, "\r\n\x00") {
				for _, name := range []string{"Accept", "Accept-Language", "If-None-Match", "Purpose", "Idempotency-Key", "X-Forwarded-For", "Origin"} {
					parts = append(parts, header(name, s))
				}
			}
			for _, target := range []string{path, o.path + query, path + query} {
				o.body = nil
				a, err := w.exchange(o.method, target, parts...)
				w.must(err)
				unharmed(t, fmt.Sprintf("%s %.80q", o.method, target), a)
			}
		}
	}
}

func TestHostileTextInSmallBodiesIsNoFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.furnished()
	signed := as("nordlicht")
	for i, s := range oneOfEach() {
		org := passport.OrgID(fmt.Sprintf("new-%d", i))
		w.admit(org, access.Issuer)
		body := map[string]any{"organisation": org, "subject": s, "secret": w.secrets[org]}
		unharmed(t, fmt.Sprintf("enrol %.40q", s), w.post("/v1/enrolments", body))
	}
	for _, s := range hostile.Strings() {
		unharmed(t, "enrol", w.post("/v1/enrolments", map[string]any{"organisation": s, "subject": s, "secret": s}))
		unharmed(t, "grant", w.post("/v1/grants", map[string]any{"organisation": s, "points": []any{s}, "validUntil": s, "scope": map[string]any{"passport": s}, s: s}, signed))
		unharmed(t, "release", w.post("/v1/passports/"+f.passport+"/release", map[string]any{"to": s}, signed))
		unharmed(t, "verify", w.post("/v1/verify", map[string]any{"token": s}))
		unharmed(t, "verify as text", w.do(http.MethodPost, "/v1/verify", raw([]byte(s)), contentType("text/plain")))
	}
}

func TestABodyThatBreaksOffIs400(t *testing.T) {
	w := newWorld(t)
	broken := func(_ *world, c *call) {
		c.header.Set("Content-Type", "application/json")
		c.stream = iotest.ErrReader(errors.New("connection reset"))
	}
	w.do(http.MethodPost, "/v1/passports", as("nordlicht"), broken).refused(http.StatusBadRequest, "body.unreadable")
}
