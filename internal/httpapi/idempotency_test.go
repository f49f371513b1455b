package httpapi_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/registry/storetest"
)

func TestARepeatWithTheSameKeyAnswersTheSame(t *testing.T) {
	w := newWorld(t)
	f := w.furnished()
	for _, o := range operations(t, f) {
		if o.method != http.MethodPost || o.by == "" {
			continue
		}
		t.Run(o.name(), func(t *testing.T) {
			w.clock.pass(time.Second)
			first := w.do(o.method, o.path, o.parts(t, key("k1"))...).want(http.StatusCreated)
			w.clock.pass(time.Hour)
			again := w.do(o.method, o.path, o.parts(t, key(`"k1"`))...).want(http.StatusCreated)
			if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
				t.Errorf("-first +again:\n%s", diff)
			}
			other := map[string]any{"organisation": "pruefhaus", "points": []string{"origin"}, "validUntil": "2027-12-31T00:00:00Z"}
			if o.route != "/v1/grants" {
				other = maps.Clone(o.body.(map[string]any))
				spoilHarmlessly(other)
			}
			o.body = other
			w.do(o.method, o.path, o.parts(t, key("k1"))...).refused(http.StatusUnprocessableEntity, "idempotencyKey.reused")
		})
	}
}

// spoilHarmlessly makes another body that passes every gate.
func spoilHarmlessly(body map[string]any) {
	for _, name := range []string{"passport", "model", "batch", "condition"} {
		if record, ok := body[name].(map[string]any); ok && record["recordId"] == nil {
			body[name] = maps.Clone(record)
			body[name].(map[string]any)["extensions"] = map[string]any{"com.example.note": map[string]any{"text": "another"}}
		}
	}
	if _, ok := body["to"]; ok {
		body["to"] = "nordlicht"
	}
}

func TestAReplaySaysSo(t *testing.T) {
	w := newWorld(t)
	doc := battery(example(t, "ev.json"), "A1")
	first := w.post("/v1/passports", doc, as("nordlicht"), key("k")).want(http.StatusCreated)
	if first.header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer says it is a repeat")
	}
	again := w.post("/v1/passports", doc, as("nordlicht"), key("k")).want(http.StatusCreated)
	if again.header.Get("Idempotent-Replayed") != "true" {
		t.Error("the repeat does not say so")
	}
	// A key belongs to one organisation and one operation.
	w.post("/v1/models", map[string]any{"model": doc["model"]}, as("nordlicht"), key("k")).want(http.StatusOK)
	w.post("/v1/passports", pinned(t, first, "V1"), as("veloplus"), key("k")).want(http.StatusCreated)
	// A dry run and a refusal use up no key.
	w.post("/v1/passports?dryRun=true", battery(doc, "A2"), as("nordlicht"), key("k2")).want(http.StatusOK)
	w.post("/v1/passports", map[string]any{}, as("nordlicht"), key("k2")).want(http.StatusUnprocessableEntity)
	w.post("/v1/passports", battery(doc, "A2"), as("nordlicht"), key("k2")).want(http.StatusCreated)
}

// together makes n calls at once and returns the answers.
func (w *world) together(n int, call func(i int) (path string, body any, parts []part)) []*answer {
	w.t.Helper()
	answers, faults := make([]*answer, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			path, body, parts := call(i)
			answers[i], faults[i] = w.exchange(http.MethodPost, path, append([]part{raw(marshal(w.t, body))}, parts...)...)
		})
	}
	wg.Wait()
	for i, err := range faults {
		if err != nil {
			w.t.Fatalf("call %d: %v\n%s", i, err, answers[i])
		}
	}
	return answers
}

func TestFiftyAtOnceWithOneKeyMakeOnePassport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc := battery(example(t, "ev.json"), "A1")
	signed := as("nordlicht")
	answers := w.together(50, func(int) (string, any, []part) { return "/v1/passports", doc, []part{signed, key("once")} })
	replays := 0
	for _, a := range answers {
		a.want(http.StatusCreated)
		if diff := cmp.Diff(string(answers[0].body), string(a.body)); diff != "" {
			t.Fatalf("answers differ:\n%s", diff)
		}
		if a.header.Get("Idempotent-Replayed") == "true" {
			replays++
		}
	}
	if replays != 49 {
		t.Errorf("%d replays, want 49", replays)
	}
	if list := w.get("/v1/passports", as("nordlicht")).at("passports").([]any); len(list) != 1 {
		t.Errorf("%d passports", len(list))
	}
}

func TestAThousandAtOnceForOneBatteryMakeOnePassport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register("A0")
	before := w.leaves()
	doc := pinned(t, first, "A1")
	signed := as("nordlicht")
	answers := w.together(1000, func(int) (string, any, []part) { return "/v1/passports", doc, []part{signed} })
	count := map[int]int{}
	existing := map[string]bool{}
	for _, a := range answers {
		count[a.status]++
		if a.status == http.StatusConflict {
			existing[a.refused(http.StatusConflict, "battery.registered").text("existing")] = true
		}
	}
	if diff := cmp.Diff(map[int]int{http.StatusCreated: 1, http.StatusConflict: 999}, count); diff != "" {
		t.Errorf("answers by status:\n%s", diff)
	}
	if len(existing) != 1 {
		t.Errorf("the losers are led to %v", existing)
	}
	if got := w.leaves() - before; got != 1 {
		t.Errorf("%d new leaves, want 1", got)
	}
	if list := w.get("/v1/passports", as("nordlicht")).at("passports").([]any); len(list) != 2 {
		t.Errorf("%d passports, want the one that lent its model and the new one", len(list))
	}
}

func (w *world) leaves() int64 {
	w.t.Helper()
	n, err := w.PendingLeaves(context.Background())
	w.must(err)
	return n
}

func TestAnEqualModelFromManyAtOnceIsOneModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signed := as("nordlicht")
	answers := w.together(20, func(i int) (string, any, []part) {
		return "/v1/passports", battery(example(t, "ev.json"), fmt.Sprintf("M%d", i)), []part{signed}
	})
	models := map[any]bool{}
	for _, a := range answers {
		a.want(http.StatusCreated)
		models[recordOf(a, "model")["recordId"]] = true
	}
	if len(models) != 1 {
		t.Errorf("%d model records", len(models))
	}
}

func TestAnOutageLeavesNothingHalfDoneAndARetryIsSafe(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"before it was stored": storetest.Down, "after it was stored": storetest.Lost} {
		t.Run(name, func(t *testing.T) {
			away, broken := breakable(fault)
			w := newWorld(t, away)
			f := w.furnished()
			for _, o := range operations(t, f) {
				if o.method != http.MethodPost || o.by == "" {
					continue
				}
				w.clock.pass(time.Second)
				broken.Store(true)
				a := w.do(o.method, o.path, o.parts(t, key("k"))...).refused(http.StatusServiceUnavailable, "unavailable")
				if a.header.Get("Retry-After") == "" {
					t.Errorf("%s does not say when to try again", o.name())
				}
				broken.Store(false)
				before := w.leaves()
				w.do(o.method, o.path, o.parts(t, key("k"))...).want(http.StatusCreated)
				if fault == storetest.Lost && w.leaves() != before {
					t.Errorf("%s was done twice", o.name())
				}
				w.do(o.method, o.path, o.parts(t, key("k"))...).want(http.StatusCreated)
			}
		})
	}
}

// TestARetryStormMakesNoDuplicate sends every request three times over real
// connections that are cut at random moments, then once more to the end.
func TestARetryStormMakesNoDuplicate(t *testing.T) {
	w := newWorld(t)
	first := w.register("A0")
	server := httptest.NewServer(w.engine)
	defer server.Close()
	const batteries = 20
	token := w.token("nordlicht")
	var wg sync.WaitGroup
	send := func(ctx context.Context, i int) int {
		body := string(marshal(t, pinned(t, first, fmt.Sprintf("S%d", i))))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/passports", strings.NewReader(body))
		if err != nil {
			return 0
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Idempotency-Key", fmt.Sprintf("storm-%d", i))
		resp, err := server.Client().Do(req)
		if err != nil {
			return 0
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	for i := range batteries {
		for try := range 3 {
			wg.Go(func() {
				ctx, cut := context.WithTimeout(context.Background(), time.Duration(1+(7*i+13*try)%40)*time.Millisecond)
				defer cut()
				send(ctx, i)
			})
		}
	}
	wg.Wait()
	for i := range batteries {
		if status := send(context.Background(), i); status != http.StatusCreated {
			t.Errorf("battery %d: %d", i, status)
		}
	}
	var serials []string
	for _, p := range w.get("/v1/passports?limit=200", as("nordlicht")).at("passports").([]any) {
		serials = append(serials, dig(p, "serialNumber").(string))
	}
	slices.Sort(serials)
	if len(serials) != batteries+1 || len(slices.Compact(serials)) != batteries+1 {
		t.Errorf("registered: %v", serials)
	}
}
