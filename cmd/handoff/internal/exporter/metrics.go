// Package exporter shows probes as Prometheus metrics: a multi-target exporter
// in the manner of its kind, where a scrape starts a probe, and the exposition
// of a single report.
//
// It runs no probe itself and judges nothing: it is given a function that
// probes, and turns the report into metrics. No text of a server ever becomes a
// label; labels hold the words of the contract only.
package exporter

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// The metrics of a probe (contract §6). The first three are named as in the
// common multi-target exporter, so that its dashboards work.
var (
	descSuccess  = prometheus.NewDesc("probe_success", "Whether the probe ended as the intent wants: 1 only for status ok.", nil, nil)
	descDuration = prometheus.NewDesc("probe_duration_seconds", "How long the whole probe took.", nil, nil)
	descExpiry   = prometheus.NewDesc("probe_ssl_earliest_cert_expiry", "When the first certificate of the presented chains runs out, in Unix time.", nil, nil)
	descPhase    = prometheus.NewDesc("probe_smtp_phase_duration_seconds", "How long a stage of a session took.", []string{"port", "phase"}, nil)
	descReply    = prometheus.NewDesc("probe_smtp_reply_code", "The last reply code of a stage.", []string{"port", "phase"}, nil)
	descVerdict  = prometheus.NewDesc("probe_smtp_verdict_info", "The verdict of a session and the furthest stage.", []string{"port", "verdict", "stage"}, nil)
	descFinding  = prometheus.NewDesc("probe_smtp_finding_info", "A finding of the probe.", []string{"id", "severity", "expected"}, nil)
)

// collector turns one report into metrics.
type collector struct {
	r    *analyze.Report
	took time.Duration
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSuccess, descDuration, descExpiry, descPhase, descReply, descVerdict, descFinding} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	success := 0.0
	if c.r.Verdict.Status == analyze.OK {
		success = 1
	}
	gauge(descSuccess, success)
	gauge(descDuration, c.took.Seconds())
	seen := map[string]bool{}
	once := func(key string) bool {
		was := seen[key]
		seen[key] = true
		return !was
	}
	var expiry time.Time
	for i := range c.r.Sessions {
		s := &c.r.Sessions[i]
		if t, err := time.Parse(time.RFC3339, cmp.Or(s.TLS.Earliest, s.TLS.NotAfter)); err == nil && (expiry.IsZero() || t.Before(expiry)) {
			expiry = t
		}
		port := strconv.Itoa(s.Port)
		if !once("port " + port) {
			continue // a further address of the same port
		}
		gauge(descVerdict, 1, port, word(string(s.Verdict)), word(s.Stage))
		for _, cell := range report.Cells(s) {
			if cell.Status == "skipped" || cell.Step == nil {
				continue
			}
			gauge(descPhase, cell.TookMS/1000, port, word(cell.Stage))
			if code := lastCode(s, cell.Stage); code != 0 {
				gauge(descReply, float64(code), port, word(cell.Stage))
			}
		}
	}
	if !expiry.IsZero() {
		gauge(descExpiry, float64(expiry.Unix()))
	}
	for i := range c.r.Findings {
		f := &c.r.Findings[i]
		id, severity, expected := word(f.ID), word(string(f.Severity)), strconv.FormatBool(f.Expected)
		if once("finding " + id + severity + expected) {
			gauge(descFinding, 1, id, severity, expected)
		}
	}
}

// lastCode is the last reply code of a stage; courtesies (RSET, QUIT) do not
// count.
func lastCode(s *analyze.Session, stage string) int {
	code := 0
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.Stage == stage && st.Status != "skipped" && st.Reply != nil && st.Reply.Code != 0 && !report.Courtesy(st) {
			code = st.Reply.Code
		}
	}
	return code
}

// word lets only words of ours into a label: lower-case letters, digits and
// hyphens, as all ids and stages are. Anything else is "other".
func word(s string) string {
	if s == "" || len(s) > 64 {
		return "other"
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "other"
		}
	}
	return s
}

// registry holds the metrics of one report and nothing else.
func registry(r *analyze.Report, took time.Duration) (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	if err := reg.Register(collector{r, took}); err != nil {
		return nil, err
	}
	return reg, nil
}

// Writer is a report.Writer of the text exposition, for one probe.
type Writer struct {
	write func([]byte) error
	n     int
}

// NewWriter returns a writer that hands the document to write.
func NewWriter(write func([]byte) error) *Writer { return &Writer{write: write} }

// ErrNotOne says that the exposition holds exactly one probe: several would
// have the same series.
var ErrNotOne = errors.New("the Prometheus exposition holds one probe; several need 'handoff serve'")

// Write implements report.Writer.
func (w *Writer) Write(r *analyze.Report, _ report.Lines) error {
	if w.n++; w.n > 1 {
		return ErrNotOne
	}
	text, err := Exposition(r, span(r))
	if err != nil {
		return err
	}
	return w.write(text)
}

// Close implements report.Writer.
func (w *Writer) Close() error { return nil }

// span is how long a report's sessions took, from the first command to the last
// reply; they run side by side.
func span(r *analyze.Report) time.Duration {
	var ms float64
	for i := range r.Sessions {
		for _, st := range r.Sessions[i].Steps {
			ms = max(ms, st.SentMS+st.TookMS)
		}
	}
	return time.Duration(ms * float64(time.Millisecond))
}
