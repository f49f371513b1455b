package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/provolt/provolt/internal/telemetry"
)

const canary = "canary4711"

type secretive struct{ Password string }

type valuer struct{ token string }

func (v valuer) LogValue() slog.Value { return slog.GroupValue(slog.String("token", v.token)) }

// TestNoSecretReachesTheLog plants the same canary in every shape a secret
// takes, and greps the output.
func TestNoSecretReachesTheLog(t *testing.T) {
	jws := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI" + canary + ".c2ln" + canary
	pem := "-----BEGIN PRIVATE KEY-----\n" + canary + "\n-----END PRIVATE KEY-----"
	shapes := []func(*slog.Logger){
		func(l *slog.Logger) { l.InfoContext(t.Context(), "got "+jws) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.String("header", "Bearer "+canary)) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.String("Authorization", canary)) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.String("access_token", canary)) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.String("X-Api-Key", canary)) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.Any("cookies", []string{canary})) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.String("body", jws+"~WyJ"+canary+"~")) },
		func(l *slog.Logger) {
			l.InfoContext(t.Context(), "m", slog.String("one", "WyJzYWx0c2FsdHNhbHQ"+canary))
		},
		func(l *slog.Logger) {
			l.InfoContext(t.Context(), "m", slog.Any("error", fmt.Errorf("open: %w", errors.New("postgres://u:"+canary+"@db/x"))))
		},
		func(l *slog.Logger) {
			l.InfoContext(t.Context(), "m", slog.String("url", "host=db password="+canary+" user=u"))
		},
		func(l *slog.Logger) {
			l.InfoContext(t.Context(), "m", slog.String("key", "AGE-SECRET-KEY-1"+strings.ToUpper(canary)))
		},
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.String("key", pem)) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.Any("key", []byte(canary))) },
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.Any("who", valuer{canary})) },
		func(l *slog.Logger) {
			l.InfoContext(t.Context(), "m", slog.Group("a", slog.Group("b", slog.String("secret", canary))))
		},
		func(l *slog.Logger) { l.With(slog.String("passphrase", canary)).InfoContext(t.Context(), "m") },
		func(l *slog.Logger) { l.WithGroup("g").With(slog.String("x", jws)).InfoContext(t.Context(), "m") },
		func(l *slog.Logger) {
			l.InfoContext(t.Context(), "m", slog.Any("header", http.Header{"X": {"Bearer " + canary}}))
		},
		func(l *slog.Logger) { l.InfoContext(t.Context(), "m", slog.Any("password", secretive{canary})) },
	}
	for i, write := range shapes {
		for _, asJSON := range []bool{true, false} {
			var out bytes.Buffer
			write(telemetry.NewLogger(&out, asJSON, slog.LevelInfo))
			if out.Len() == 0 || strings.Contains(strings.ToLower(out.String()), canary) {
				t.Errorf("shape %d, JSON %t: %s", i, asJSON, out.String())
			}
		}
	}
}

func TestWhatIsNoSecretStaysReadable(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.NewLogger(&out, true, slog.LevelInfo)
	log.DebugContext(t.Context(), "below the level")
	log.InfoContext(
		t.Context(), "request", slog.String("route", "/v1/passports/:id"), slog.Int("status", 200), slog.Bool("tls", true),
		slog.Duration("took", time.Millisecond), slog.Any("error", errors.New("resolve: not found")),
		slog.Group("caller", slog.String("org", "acme")), slog.String("key", "did:web:localhost%3A8080:o:acme#k1"),
	)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	for name, want := range map[string]any{
		"msg": "request", "route": "/v1/passports/:id", "status": 200.0, "tls": true, "error": "resolve: not found",
		"key": "did:web:localhost%3A8080:o:acme#k1",
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	if caller, ok := got["caller"].(map[string]any); !ok || caller["org"] != "acme" {
		t.Errorf("caller: %v", got["caller"])
	}
}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

func TestMetricsCountByRouteAndNeverByPath(t *testing.T) {
	m := telemetry.NewMetrics("1.2.3", "abc")
	m.Request(http.MethodGet, "/v1/passports/:id", 200, 3*time.Millisecond)
	m.Request(http.MethodGet, "", 404, time.Millisecond)
	m.Request("BREW", "", 405, time.Millisecond)
	m.StoreOperation("Commit", time.Millisecond, nil)
	m.StoreOperation("Commit", time.Millisecond, errors.New("full"))
	page := scrape(t, m)
	for _, want := range []string{
		`provolt_http_requests_total{method="GET",route="/v1/passports/:id",status="200"} 1`,
		`provolt_http_requests_total{method="GET",route="unmatched",status="404"} 1`,
		`provolt_http_requests_total{method="other",route="unmatched",status="405"} 1`,
		`provolt_http_request_duration_seconds_bucket{method="GET",route="/v1/passports/:id",le="0.005"} 1`,
		`provolt_store_operations_total{operation="Commit",outcome="error"} 1`,
		`provolt_build_info{goversion="go`, "go_goroutines",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestTwoRegistriesInOneProcessDoNotMeet(t *testing.T) {
	a, b := telemetry.NewMetrics("1", ""), telemetry.NewMetrics("2", "")
	a.Request(http.MethodGet, "/only-a", 200, 0)
	if strings.Contains(scrape(t, b), "/only-a") {
		t.Error("b counts what a did")
	}
}

func TestAPartMayAddItsOwnMetricsOnce(t *testing.T) {
	m := telemetry.NewMetrics("1", "")
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "provolt_log_leaves_total", Help: "Leaves."})
	if err := m.Register(c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(scrape(t, m), "provolt_log_leaves_total 0") {
		t.Error("not served")
	}
	if err := m.Register(c); err == nil {
		t.Error("registered twice")
	}
}
