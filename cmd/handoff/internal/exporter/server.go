package exporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// Module is one way to probe, ready to be asked.
type Module struct {
	Name   string
	Hosts  []string // it may be asked to probe; none: any
	Limit  time.Duration
	Allows func(host string) bool
	// Probe probes the host within the context's deadline. The error is for what
	// is wrong with the request or the configuration, never for what a server
	// does.
	Probe func(ctx context.Context, host string) (*Result, error)
}

// Result is what a probe gives.
type Result struct {
	Report *analyze.Report
	// Debug gives what debug=true shows: the report, the dialogues, secrets masked,
	// and the lines of the report's evidence. It is called for debug=true only;
	// nil: the report alone.
	Debug func() (shown *analyze.Report, transcripts []string, lines report.Lines)
}

// Options of a server. MaxProbes and Limit must be above 0.
type Options struct {
	MaxProbes int           // at once; more get 503
	Limit     time.Duration // of a probe without a scrape timeout
	Loopback  bool          // it listens on loopback only, so a Host of another name is a trick
	Version   string
	Log       *slog.Logger
}

// Server answers scrapes.
type Server struct {
	o       Options
	modules atomic.Pointer[map[string]*Module]
	slots   chan struct{}
	own     *prometheus.Registry
	probes  *prometheus.CounterVec
	refused *prometheus.CounterVec
	took    prometheus.Histogram
	loaded  prometheus.Gauge
	loadAt  prometheus.Gauge
}

// headroom is what is kept of a scrape's time for the answer.
const headroom = 500 * time.Millisecond

// Limits on what a client can send.
const (
	maxQuery  = 4 << 10
	maxHeader = 16 << 10
)

// New returns a server without modules; see Load.
func New(o Options) *Server {
	s := &Server{
		o: o, slots: make(chan struct{}, o.MaxProbes), own: prometheus.NewRegistry(),
		probes:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "handoff_probes_total", Help: "Probes that were run, by module and status."}, []string{"module", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "handoff_probe_requests_refused_total", Help: "Requests for a probe that were turned down, by reason."}, []string{"reason"}),
		took:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "handoff_probe_seconds", Help: "How long probes took.", Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}),
		loaded:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "handoff_config_last_reload_successful", Help: "Whether the last reading of the configuration file succeeded."}),
		loadAt:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "handoff_config_last_reload_success_timestamp_seconds", Help: "When the configuration file was last read with success, in Unix time."}),
	}
	busy := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "handoff_probes_in_flight", Help: "Probes that run now."}, func() float64 { return float64(len(s.slots)) })
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "handoff_build_info", Help: "The version of handoff.", ConstLabels: prometheus.Labels{"version": o.Version}})
	build.Set(1)
	s.own.MustRegister(s.probes, s.refused, s.took, s.loaded, s.loadAt, busy, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	empty := map[string]*Module{}
	s.modules.Store(&empty)
	return s
}

// Load puts the modules in place of those before; probes under way end by the
// old ones.
func (s *Server) Load(modules []*Module, now time.Time) {
	m := make(map[string]*Module, len(modules))
	for _, x := range modules {
		m[x.Name] = x
	}
	s.modules.Store(&m)
	s.loaded.Set(1)
	s.loadAt.Set(float64(now.Unix()))
}

// LoadFailed notes that a new configuration was refused and the old one stays.
func (s *Server) LoadFailed() { s.loaded.Set(0) }

// HTTP is the server's HTTP side, with limits on slow and large requests. Probes
// end when ctx does.
func (s *Server) HTTP(ctx context.Context) *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
		return
	}
	if len(r.URL.RawQuery) > maxQuery {
		http.Error(w, "the query is too long", http.StatusRequestURITooLong)
		return
	}
	if s.o.Loopback && !localHost(r.Host) {
		http.Error(w, "this exporter listens on loopback and answers to localhost only", http.StatusForbidden)
		return
	}
	switch r.URL.Path {
	case "/probe":
		s.probe(w, r)
	case "/metrics":
		serveMetrics(s.own, w, r)
	case "/-/healthy":
		fmt.Fprintln(w, "healthy")
	case "/-/ready":
		if len(*s.modules.Load()) == 0 {
			http.Error(w, "no module is loaded", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	case "/":
		s.landing(w)
	default:
		http.NotFound(w, r)
	}
}

// localHost tells a Host header that a browser sends for this machine, from the
// name of somebody else's page that resolves to loopback.
func localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(strings.TrimSuffix(strings.ToLower(name), "."), "[]")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

func (s *Server) refuse(w http.ResponseWriter, reason string, status int, text string) {
	s.refused.WithLabelValues(reason).Inc()
	http.Error(w, text, status)
}

// probe is GET /probe?target=HOST&module=NAME[&debug=true].
func (s *Server) probe(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.refuse(w, "query", http.StatusBadRequest, "the query cannot be read")
		return
	}
	for key, values := range q {
		if !slices.Contains([]string{"target", "module", "debug"}, key) || len(values) != 1 {
			s.refuse(w, "query", http.StatusBadRequest, "the parameters are target, module and debug, once each")
			return
		}
	}
	modules := *s.modules.Load()
	m := modules[q.Get("module")]
	if m == nil {
		s.refuse(w, "module", http.StatusBadRequest, "unknown module")
		return
	}
	target := q.Get("target")
	if !plausible(target) {
		s.refuse(w, "target", http.StatusBadRequest, "target is missing or no host")
		return
	}
	if !m.Allows(target) {
		s.refuse(w, "not-allowed", http.StatusBadRequest, "this module may not be asked to probe that target")
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.refuse(w, "busy", http.StatusServiceUnavailable, "too many probes at once")
		return
	}
	limit := m.Limit
	if limit <= 0 {
		limit = s.o.Limit
	}
	if t := scrapeTimeout(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds")); t > 0 {
		limit = min(limit, t)
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	began := time.Now()
	res, err := s.run(ctx, m, target)
	took := time.Since(began)
	if err != nil {
		s.o.Log.Error("probe cannot run", "module", m.Name, "error", report.Show(err.Error()))
		s.refuse(w, "fault", http.StatusInternalServerError, "the probe cannot run; the exporter's log says why")
		return
	}
	s.took.Observe(took.Seconds())
	s.probes.WithLabelValues(m.Name, word(string(res.Report.Verdict.Status))).Inc()
	reg, err := registry(res.Report, took)
	if err != nil {
		s.refuse(w, "fault", http.StatusInternalServerError, "the metrics cannot be made")
		return
	}
	if debug, _ := strconv.ParseBool(q.Get("debug")); debug {
		s.debug(w, res, took)
		return
	}
	serveMetrics(reg, w, r)
}

// errPanic stands for a fault of our own in a probe.
var errPanic = errors.New("internal fault")

func (s *Server) run(ctx context.Context, m *Module, target string) (res *Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			res, err = nil, errPanic
		}
	}()
	return m.Probe(ctx, target)
}

// scrapeTimeout is the time of the scrape less what the answer needs.
func scrapeTimeout(header string) time.Duration {
	v, err := strconv.ParseFloat(header, 64)
	if err != nil || v <= 0 || v > 3600 {
		return 0
	}
	t := time.Duration(v * float64(time.Second))
	if t > 2*headroom {
		return t - headroom
	}
	return t / 2
}

// plausible refuses what cannot be a host. It makes no host valid: the module
// decides which it probes.
func plausible(target string) bool {
	if target == "" || len(target) > 253 {
		return false
	}
	for _, r := range target {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("/@\"'<>()|;&$`\\,%?#", r) {
			return false
		}
	}
	if h, port, err := net.SplitHostPort(target); err == nil && h != "" && port != "" {
		return false // ports belong to the module
	}
	return true
}

// debug answers with the report, the dialogue and the metrics as text.
func (s *Server) debug(w http.ResponseWriter, res *Result, took time.Duration) {
	shown := res.Report
	var transcripts []string
	var lines report.Lines
	if res.Debug != nil {
		shown, transcripts, lines = res.Debug()
	}
	var b bytes.Buffer
	rw, err := report.New(&b, report.Text, report.Options{Verbose: true})
	if err == nil {
		err = rw.Write(shown, lines)
	}
	if err != nil {
		http.Error(w, "the report cannot be shown", http.StatusInternalServerError)
		return
	}
	for i, t := range transcripts {
		fmt.Fprintf(&b, "\n--- transcript %d, secrets masked\n", i+1)
		for line := range strings.Lines(t) {
			b.WriteString("| " + report.Show(strings.TrimRight(line, "\r\n")) + "\n")
		}
	}
	text, err := Exposition(res.Report, took)
	if err == nil {
		fmt.Fprintf(&b, "\n--- metrics\n%s", text)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>handoff exporter</title></head>
<body>
<h1>handoff exporter</h1>
<p>version {{.Version}}: a scrape of /probe starts a probe of an SMTP relay</p>
<form action="/probe" method="get">
<p><label>target <input name="target" size="40" placeholder="outbound-us1.ppe-hosted.com" required></label></p>
<p><label>module <select name="module">{{range .Modules}}<option>{{.Name}}</option>{{end}}</select></label></p>
<p><label><input type="checkbox" name="debug" value="true"> with the dialogue</label> <button>probe</button></p>
</form>
<ul>{{range .Modules}}
<li>{{.Name}}: {{if .Hosts}}only {{range $i, $h := .Hosts}}{{if $i}}, {{end}}{{$h}}{{end}}{{else}}any host{{end}}</li>{{end}}
</ul>
<p><a href="/metrics">metrics of the exporter</a></p>
</body></html>
`))

func (s *Server) landing(w http.ResponseWriter) {
	modules := *s.modules.Load()
	names := make([]string, 0, len(modules))
	for n := range modules {
		names = append(names, n)
	}
	slices.Sort(names)
	data := struct {
		Version string
		Modules []*Module
	}{Version: s.o.Version}
	for _, n := range names {
		data.Modules = append(data.Modules, modules[n])
	}
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
	_, _ = w.Write(b.Bytes())
}
