package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/provolt/provolt/internal/passport"
)

// FuzzRequest sends anything to any route: whatever comes, the answer keeps
// the contract and is no fault. Every caller is an issuer, so that bodies get
// as deep as they can.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	calls := operations(f, w.furnished())
	token := header("Authorization", "Bearer "+w.token("nordlicht"))
	for i, o := range calls {
		var body []byte
		if o.body != nil {
			body = marshal(f, o.body)
		}
		f.Add(uint8(i), "", "dryRun=true", "*/*", "k", body)
	}
	f.Add(uint8(2), "?version=1", "as=token", "text/html;q=0.5", "\x80", []byte(nil))
	f.Add(uint8(24), "/..%2f", "linkType=linkset", "application/linkset+json", "", []byte(nil))
	f.Add(uint8(1), "", "dryRun=1", "", "", []byte(`{"passport":{"batteryId":1e400},"model":[`))
	f.Fuzz(func(t *testing.T, route uint8, suffix, query, accepted, text string, body []byte) {
		w.t = t
		o := calls[int(route)%len(calls)]
		path := o.path + suffix
		if query != "" {
			path += "?" + query
		}
		if _, err := url.ParseRequestURI(path); err != nil || strings.ContainsAny(path+accepted+text, "\r\n\x00 #") {
			return // no server would hear of it
		}
		parts := []part{accept(accepted), header("If-None-Match", text), header("Purpose", text), header("Idempotency-Key", text)}
		if o.method == http.MethodPost {
			parts = append(parts, raw(body))
		}
		if o.by != passport.OrgID("") {
			parts = append(parts, token)
		}
		a, err := w.exchange(o.method, path, parts...)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", o.method, path, err, a)
		}
		if a.status >= http.StatusInternalServerError {
			t.Fatalf("%s %s: %d %s", o.method, path, a.status, a)
		}
	})
}
