package telemetry

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what the registry does, in a Prometheus registry of its own.
// It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	storeOps *prometheus.CounterVec
	storeDur *prometheus.HistogramVec
}

// NewMetrics returns metrics for a build: its version and source revision.
func NewMetrics(version, revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provolt_http_requests_total", Help: "HTTP requests answered, by route pattern and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "provolt_http_request_duration_seconds", Help: "Time to answer an HTTP request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
		storeOps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "provolt_store_operations_total", Help: "Operations of the store, by outcome.",
		}, []string{"operation", "outcome"}),
		storeDur: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "provolt_store_operation_duration_seconds", Help: "Time of one operation of the store.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}, []string{"operation"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "provolt_build_info", Help: "1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.duration, m.storeOps, m.storeDur, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Register adds the collectors of another part of the program.
func (m *Metrics) Register(more ...prometheus.Collector) error {
	for _, c := range more {
		if err := m.registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Request counts one answered request. route is the pattern that matched
// ("/v1/passports/:id"), never the path, and empty if none did: what a client
// sends must not become a label, or anybody could fill the memory.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	if !slices.Contains(methods, method) {
		method = "other"
	}
	if route == "" {
		route = "unmatched"
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(method, route).Observe(took.Seconds())
}

// StoreOperation counts one operation of the store, by the name of its method.
func (m *Metrics) StoreOperation(operation string, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.storeOps.WithLabelValues(operation, outcome).Inc()
	m.storeDur.WithLabelValues(operation).Observe(took.Seconds())
}

// Handler serves the metrics in the formats Prometheus understands.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4})
}
