//go:build bench

package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/provolt/provolt/internal/bench/binary"
	"github.com/provolt/provolt/internal/passport"
)

// workload is a running registry with one model and batch, and requests for
// it.
type workload struct {
	*binary.Server
	registry *binary.Registry
	token    string
	first    string // id of the passport that came with the model and batch
	item     []byte // body of a registration; its serial number is placeholder
	serials  atomic.Int64
}

// placeholder is as long as every serial number.
const placeholder = "@@@@@@@@@@@@@"

// start serves a fresh registry, in SQLite unless there is a database.
func start(t *testing.T, program binary.Program, database string, flags ...string) *workload {
	t.Helper()
	w := &workload{registry: program.Init(t, database)}
	w.registry.Admit(t, "nordlicht")
	w.token = w.registry.Token(t, "nordlicht")
	w.Server = w.registry.Serve(t, flags...)
	return w
}

// furnish registers the example whole; all further items pin its model and
// batch.
func (r *run) furnish(w *workload) {
	r.Helper()
	document := r.example()
	body, err := json.Marshal(document)
	if err != nil {
		r.Fatal(err)
	}
	var answer struct {
		PassportID string
		Records    []struct {
			Type     passport.RecordType
			RecordID string
		}
	}
	if err := json.Unmarshal(r.ask(w, "POST", "/v1/passports", body, http.StatusCreated), &answer); err != nil {
		r.Fatal(err)
	}
	w.first = answer.PassportID
	for _, record := range answer.Records {
		if record.Type != passport.Item {
			document[record.Type] = json.RawMessage(`{"recordId":"` + record.RecordID + `"}`)
		}
	}
	var item struct{ SerialNumber string }
	if err := json.Unmarshal(document[passport.Item], &item); err != nil || len(item.SerialNumber) != len(placeholder) {
		r.Fatalf("the example's serial number %q: %v", item.SerialNumber, err)
	}
	if body, err = json.Marshal(document); err != nil {
		r.Fatal(err)
	}
	w.item = bytes.ReplaceAll(body, []byte(item.SerialNumber), []byte(placeholder))
}

// ask sends one request outside every measurement.
func (r *run) ask(w *workload, method, path string, body []byte, want int, header ...string) []byte {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), method, w.URL+path, bytes.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+w.token)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		r.Fatalf("%s %s: %s, %v: %s", method, path, response.Status, err, said)
	}
	return said
}

// entityTag is that of the passport as everybody sees it.
func (r *run) entityTag(w *workload, path string) string {
	response, err := http.Get(w.URL + path) //nolint:noctx // the test's own time limit
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.Header.Get("ETag")
}

func (w *workload) address() string { return strings.TrimPrefix(w.URL, "http://") }

// registrations is a load of new items, each with a serial number and an
// idempotency key of its own.
func (w *workload) registrations() load {
	request := fmt.Sprintf("POST /v1/passports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s", w.token, placeholder, len(w.item), w.item)
	return load{address: w.address(), want: http.StatusCreated, each: func(int) func() []byte {
		mine := []byte(request)
		var at []int
		for from := 0; ; {
			i := bytes.Index(mine[from:], []byte(placeholder))
			if i < 0 {
				break
			}
			at, from = append(at, from+i), from+i+len(placeholder)
		}
		return func() []byte {
			serial := fmt.Sprintf("L%0*d", len(placeholder)-1, w.serials.Add(1))
			for _, i := range at {
				copy(mine[i:], serial)
			}
			return mine
		}
	}}
}

// fill registers n items.
func (r *run) fill(w *workload, n int) {
	r.Helper()
	if err := w.registrations().send(int64(n)); err != nil {
		r.Fatalf("register items: %v", err)
	}
}

// jsonOf is the request for a passport's JSON.
func jsonOf(id string, header ...string) []byte {
	return get("/v1/passports/"+id, append([]string{"Accept: application/json"}, header...)...)
}
