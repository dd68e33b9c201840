package exporter

import (
	"bytes"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smtp-handoff/handoff/analyze"
)

// Exposition is a report in the Prometheus text format.
func Exposition(r *analyze.Report, took time.Duration) ([]byte, error) {
	reg, err := registry(r, took)
	if err != nil {
		return nil, err
	}
	var w memoryResponse
	request, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		return nil, err
	}
	serveMetrics(reg, &w, request)
	return w.body.Bytes(), nil
}

// serveMetrics answers with the metrics of a registry. The answers are small, so
// that compressing them would cost more than it saves.
func serveMetrics(reg *prometheus.Registry, w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{DisableCompression: true, ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, r)
}

// memoryResponse keeps an answer.
type memoryResponse struct {
	head http.Header
	body bytes.Buffer
}

// Header implements http.ResponseWriter.
func (m *memoryResponse) Header() http.Header {
	if m.head == nil {
		m.head = http.Header{}
	}
	return m.head
}

// Write implements http.ResponseWriter.
func (m *memoryResponse) Write(b []byte) (int, error) { return m.body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (m *memoryResponse) WriteHeader(int) {}
