package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

const hostile = "\x1b[31m\"} evil{x=\"1\"} 1\n# HELP probe_success <script>"

// report is a probe with a hostile text wherever a server can put one.
func probeReport(status analyze.Status) *analyze.Report {
	reply := func(code int) *analyze.Reply { return &analyze.Reply{Code: code, Enhanced: hostile, Text: hostile} }
	return &analyze.Report{
		Kind: "probe", Target: hostile, Verdict: analyze.Summary{Code: analyze.Refused, Status: status, Headline: hostile},
		Findings: []analyze.Finding{
			{ID: "relay-access-denied", Severity: analyze.Info, Expected: true, Title: hostile},
			{ID: "relay-access-denied", Severity: analyze.Info, Expected: true, Title: "the same on another port"},
			{ID: hostile, Severity: analyze.Severity(hostile)},
		},
		Sessions: []analyze.Session{
			{
				Port: 25, Verdict: analyze.Refused, Stage: "envelope", Address: hostile,
				Steps: []analyze.Step{
					{Stage: "connect", Status: "ok", TookMS: 10},
					{Stage: "envelope", Status: "ok", SentMS: 10, TookMS: 5, Command: "MAIL FROM:<>", Reply: reply(250)},
					{Stage: "envelope", Status: "refused", SentMS: 15, TookMS: 5, Command: "RCPT TO:<x>", Reply: reply(554)},
					{Stage: "envelope", Status: "ok", SentMS: 20, TookMS: 5, Command: "QUIT", Reply: reply(221)},
				},
				TLS: analyze.TLS{NotAfter: "2027-01-01T00:00:00Z", Earliest: "2026-12-01T00:00:00Z"},
			},
			{
				Port: 587, Verdict: analyze.Verdict(hostile), Stage: hostile,
				Steps: []analyze.Step{{Stage: "auth", Status: "skipped", Note: hostile}, {Stage: "tls", Status: "failed", TookMS: 7, Fault: hostile}},
				TLS:   analyze.TLS{NotAfter: "2027-02-01T00:00:00Z"},
			},
			{Port: 587, Verdict: analyze.Unreachable, Stage: "connect"}, // a further address
		},
	}
}

func TestExposition(t *testing.T) {
	text, err := Exposition(probeReport(analyze.Problem), 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for _, want := range []string{
		"probe_success 0\n", "probe_duration_seconds 1.5\n", "probe_ssl_earliest_cert_expiry 1.7960832e+09\n",
		`probe_smtp_phase_duration_seconds{phase="connect",port="25"} 0.01` + "\n",
		`probe_smtp_reply_code{phase="envelope",port="25"} 554` + "\n",
		`probe_smtp_verdict_info{port="25",stage="envelope",verdict="refused"} 1` + "\n",
		`probe_smtp_verdict_info{port="587",stage="other",verdict="other"} 1` + "\n",
		`probe_smtp_phase_duration_seconds{phase="tls",port="587"} 0.007` + "\n",
		`probe_smtp_finding_info{expected="true",id="relay-access-denied",severity="info"} 1` + "\n",
		`probe_smtp_finding_info{expected="false",id="other",severity="other"} 1` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "evil") || strings.Contains(got, `phase="auth"`) || strings.Contains(got, `stage="connect"`) {
		t.Errorf("server text, a skipped stage or a second address got into\n%s", got)
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	ok, err := Exposition(probeReport(analyze.OK), time.Second)
	if err != nil || !strings.Contains(string(ok), "probe_success 1\n") {
		t.Errorf("status ok is no success: %v\n%s", err, ok)
	}
	unclear, _ := Exposition(probeReport(analyze.Inconclusive), time.Second)
	if !strings.Contains(string(unclear), "probe_success 0\n") {
		t.Error("an inconclusive run is a success")
	}
}

func TestWriterHoldsOne(t *testing.T) {
	w := NewWriter(func([]byte) error { return nil })
	if err := w.Write(probeReport(analyze.OK), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(probeReport(analyze.OK), nil); !errors.Is(err, ErrNotOne) {
		t.Errorf("a second report: %v", err)
	}
}

func newServer(t *testing.T, o Options, modules ...*Module) *httptest.Server {
	t.Helper()
	if o.MaxProbes == 0 {
		o.MaxProbes = 4
	}
	o.Limit, o.Log = time.Minute, slog.New(slog.NewTextHandler(io.Discard, nil))
	s := New(o)
	s.Load(modules, time.Unix(0, 0))
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h
}

func get(t *testing.T, url string, head ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		if head[i] == "Host" {
			req.Host = head[i+1]
		}
		req.Header.Set(head[i], head[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func module(name string, hosts ...string) *Module {
	return &Module{
		Name: name, Hosts: hosts,
		Allows: func(h string) bool { return len(hosts) == 0 || strings.Join(hosts, " ") == h },
		Probe: func(context.Context, string) (*Result, error) {
			return &Result{Report: probeReport(analyze.OK), Debug: func() (*analyze.Report, []string, report.Lines) {
				return probeReport(analyze.OK), []string{"<-  220 x\n -> AUTH PLAIN [secret-1]\n<~* 554 " + hostile + "\n"}, nil
			}}, nil
		},
	}
}

func TestRequests(t *testing.T) {
	broken := module("broken")
	broken.Probe = func(context.Context, string) (*Result, error) { return nil, errors.New("planted: " + hostile) }
	panics := module("panics")
	panics.Probe = func(context.Context, string) (*Result, error) { panic("planted") }
	h := newServer(t, Options{}, module("open"), module("bound", "relay.example"), broken, panics)
	for _, c := range []struct {
		path string
		want int
	}{
		{"/probe?target=h.example&module=open", 200},
		{"/probe?target=2001:db8::1&module=open", 200},
		{"/probe?target=relay.example&module=bound", 200},
		{"/probe?target=evil.example&module=bound", 400},
		{"/probe?target=h.example&module=nope", 400},
		{"/probe?target=h.example", 400},
		{"/probe?module=open", 400},
		{"/probe", 400},
		{"/probe?target=&module=open", 400},
		{"/probe?target=a&target=b&module=open", 400},
		{"/probe?target=h.example&module=open&password=x", 400},
		{"/probe?target=h.example:25&module=open", 400},
		{"/probe?target=http://h.example/&module=open", 400},
		{"/probe?target=u%3Ap%40h.example&module=open", 400},
		{"/probe?target=h%00.example&module=open", 400},
		{"/probe?target=%zz&module=open", 400},
		{"/probe?target=" + strings.Repeat("a", 300) + "&module=open", 400},
		{"/probe?target=" + strings.Repeat("a", 5000) + "&module=open", 414},
		{"/probe?target=h.example&module=broken", 500},
		{"/probe?target=h.example&module=panics", 500},
		{"/metrics", 200},
		{"/-/healthy", 200},
		{"/-/ready", 200},
		{"/", 200},
		{"/debug/pprof/", 404},
		{"/-/reload", 404},
	} {
		code, body, head := get(t, h.URL+c.path)
		if code != c.want {
			t.Errorf("%.80s: %d, want %d", c.path, code, c.want)
		}
		if strings.ContainsRune(body, 0x1b) || strings.Contains(body, "planted") {
			t.Errorf("%.80s: a control character or an inner error in the answer: %q", c.path, body)
		}
		if head.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%.80s: a browser may guess its type", c.path)
		}
	}
	res, err := http.Post(h.URL+"/probe?target=h.example&module=open", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", res.StatusCode)
	}
	_, metrics, _ := get(t, h.URL+"/metrics")
	for _, want := range []string{`handoff_probes_total{module="open",status="ok"} 2`, `handoff_probe_requests_refused_total{reason="not-allowed"} 1`, "handoff_config_last_reload_successful 1", "go_goroutines"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint on /metrics: %v %v", problems, err)
	}
}

func TestDebug(t *testing.T) {
	h := newServer(t, Options{}, module("open"))
	code, body, head := get(t, h.URL+"/probe?target=h.example&module=open&debug=true")
	if code != 200 || head.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %s", code, head.Get("Content-Type"))
	}
	for _, want := range []string{"VERDICT", "| <-  220 x", "AUTH PLAIN [secret-1]", "probe_success 1"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if strings.ContainsRune(body, 0x1b) {
		t.Error("a raw escape in the debug text")
	}
}

func TestNotReadyWithoutModules(t *testing.T) {
	h := newServer(t, Options{})
	if code, _, _ := get(t, h.URL+"/-/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("ready without a module: %d", code)
	}
}

// TestHost: a page of somebody else whose name resolves to loopback gets nothing.
func TestHost(t *testing.T) {
	h := newServer(t, Options{Loopback: true}, module("open"))
	for host, want := range map[string]int{"localhost:9788": 200, "127.0.0.1": 200, "[::1]:1": 200, "LOCALHOST.": 200, "evil.example": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example:9788": 403} {
		if code, _, _ := get(t, h.URL+"/probe?target=h&module=open", "Host", host); code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
	}
}

// TestBusy: beyond the cap the answer is 503 at once, and the slots come back.
func TestBusy(t *testing.T) {
	begun, release := make(chan struct{}, 2), make(chan struct{})
	slow := module("slow")
	slow.Probe = func(context.Context, string) (*Result, error) {
		begun <- struct{}{}
		<-release
		return &Result{Report: probeReport(analyze.OK)}, nil
	}
	h := newServer(t, Options{MaxProbes: 2}, slow)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if code, _, _ := get(t, h.URL+"/probe?target=h&module=slow"); code != 200 {
				t.Errorf("a probe within the cap: %d", code)
			}
		})
	}
	<-begun
	<-begun
	if code, _, _ := get(t, h.URL+"/probe?target=h&module=slow"); code != http.StatusServiceUnavailable {
		t.Errorf("a third probe: %d", code)
	}
	close(release)
	wg.Wait()
	if code, _, _ := get(t, h.URL+"/probe?target=h&module=slow"); code != 200 {
		t.Errorf("after the others have ended: %d", code)
	}
}

func TestScrapeTimeout(t *testing.T) {
	var got time.Duration
	m := module("open")
	m.Limit = 20 * time.Second
	m.Probe = func(ctx context.Context, _ string) (*Result, error) {
		d, _ := ctx.Deadline()
		got = time.Until(d)
		return &Result{Report: probeReport(analyze.OK)}, nil
	}
	h := newServer(t, Options{}, m)
	for header, want := range map[string]time.Duration{"10": 9500 * time.Millisecond, "60": 20 * time.Second, "": 20 * time.Second, "0.8": 400 * time.Millisecond, "-1": 20 * time.Second, "nan": 20 * time.Second} {
		get(t, h.URL+"/probe?target=h&module=open", "X-Prometheus-Scrape-Timeout-Seconds", header)
		if got > want || got < want-time.Second {
			t.Errorf("header %q: the probe has %s, want %s", header, got, want)
		}
	}
}

func TestForbidden(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.8.9.1", "::1", "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "255.255.255.255",
	} {
		if !Forbidden(netip.MustParseAddr(a)) {
			t.Errorf("%s may be probed", a)
		}
	}
	for _, a := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1", "64:ff9b::c000:201", "8.8.8.8"} {
		if Forbidden(netip.MustParseAddr(a)) {
			t.Errorf("%s may not be probed", a)
		}
	}
	if !Forbidden(netip.Addr{}) {
		t.Error("no address at all may be probed")
	}
}

// TestGuard: whatever the spelling, a dialer with the guard opens nothing here.
func TestGuard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d := net.Dialer{Control: Guard}
	for _, host := range []string{"127.0.0.1", "localhost", "0", "::ffff:127.0.0.1", "0.0.0.0", "127.1"} {
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			c.Close()
			t.Errorf("%s was dialled", host)
		}
	}
}

// TestServeStops: a stop lets the scrape under way finish.
func TestServeStops(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	m := module("open")
	m.Probe = func(context.Context, string) (*Result, error) {
		close(begun)
		<-release
		return &Result{Report: probeReport(analyze.OK)}, nil
	}
	s := New(Options{MaxProbes: 1, Limit: time.Minute, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	s.Load([]*Module{m}, time.Unix(0, 0))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, "") }()
	scraped := make(chan string, 1)
	go func() {
		code, body, _ := get(t, fmt.Sprintf("http://%s/probe?target=h&module=open", l.Addr()))
		scraped <- fmt.Sprint(code, regexp.MustCompile(`probe_success \d`).FindString(body))
	}()
	<-begun
	stop()
	close(release)
	if got := <-scraped; got != "200probe_success 1" {
		t.Errorf("the scrape under way got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
