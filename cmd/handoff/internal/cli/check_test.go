package cli

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/probe"
)

// sample is a report of a probe with one session on 587.
func sample(v analyze.Verdict, s analyze.Status, findings ...analyze.Finding) *analyze.Report {
	return &analyze.Report{
		Kind: "probe", Verdict: analyze.Summary{Code: v, Status: s, Headline: "head|line\x1b[31m", Confidence: analyze.Certain},
		Findings: findings,
		Sessions: []analyze.Session{{
			Port: 587, Verdict: v, Stage: "auth", TLS: analyze.TLS{NotAfter: "2026-12-20T12:00:00Z"},
			Steps: []analyze.Step{
				{Stage: "connect", Status: "ok", TookMS: 1},
				{Stage: "auth", Status: "ok", SentMS: 1, TookMS: 6000, Reply: &analyze.Reply{Code: 235, Text: "a|b"}},
			},
		}},
	}
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestJudgeCheck(t *testing.T) {
	f := func(s analyze.Severity, expected bool) analyze.Finding {
		return analyze.Finding{ID: "x", Severity: s, Expected: expected, Title: "title"}
	}
	for _, c := range []struct {
		name  string
		rep   *analyze.Report
		flags checkFlags
		want  int
	}{
		{"ready", sample(analyze.Ready, analyze.OK), checkFlags{}, stateOK},
		{"expected refusal", sample(analyze.Ready, analyze.OK, f(analyze.Info, true)), checkFlags{}, stateOK},
		{"expected error", sample(analyze.Ready, analyze.OK, f(analyze.Error, true)), checkFlags{}, stateOK},
		{"warning", sample(analyze.Ready, analyze.OK, f(analyze.Warning, false)), checkFlags{}, stateWarning},
		{"ready with an error beside it", sample(analyze.Ready, analyze.OK, f(analyze.Error, false)), checkFlags{}, stateCritical},
		{"deferred", sample(analyze.Deferred, analyze.Problem), checkFlags{}, stateWarning},
		{"refused", sample(analyze.Refused, analyze.Problem), checkFlags{}, stateCritical},
		{"handshake", sample(analyze.HandshakeFailed, analyze.Problem), checkFlags{}, stateCritical},
		{"unreachable", sample(analyze.Unreachable, analyze.Problem), checkFlags{}, stateCritical},
		{"another host", sample(analyze.NeverReached, analyze.Problem), checkFlags{}, stateCritical},
		{"inconclusive", sample(analyze.InsufficientEvidence, analyze.Inconclusive), checkFlags{}, stateUnknown},
		{"inconclusive with a finding", sample(analyze.InsufficientEvidence, analyze.Inconclusive, f(analyze.Error, false)), checkFlags{}, stateUnknown},
		{"an unknown word", sample("brand-new", "brand-new"), checkFlags{}, stateCritical},
		{"slow", sample(analyze.Ready, analyze.OK), checkFlags{warning: "5", critical: "10"}, stateWarning},
		{"very slow", sample(analyze.Ready, analyze.OK), checkFlags{warning: "1", critical: "5"}, stateCritical},
		{"certificate soon", sample(analyze.Ready, analyze.OK), checkFlags{certWarning: "30:", certCritical: "7:"}, stateWarning},
		{"certificate very soon", sample(analyze.Ready, analyze.OK), checkFlags{certWarning: "60:", certCritical: "30:"}, stateCritical},
	} {
		c.flags.timeout = "30"
		l, err := c.flags.limits()
		if err != nil {
			t.Fatal(err)
		}
		r := judgeCheck(c.rep, &job{target: probe.Target{Host: "h"}, intent: analyze.IntentAuth}, l, noon)
		if r.state != c.want {
			t.Errorf("%s: %s, want %s (%s)", c.name, stateNames[r.state], stateNames[c.want], r.text)
		}
	}
}

// perfItem is one datum of the guidelines: label, value, unit, warn, crit, min, max.
var perfItem = regexp.MustCompile(`^'([^'=]+)'=(-?[0-9]+(\.[0-9]+)?)(s|%|B|c)?(;[@~:0-9.]*){0,2}(;[0-9.]*){0,2}$`)

// runCheck runs the command and takes its status line apart.
func runCheck(t *testing.T, args ...string) (code int, text string, perf map[string]float64, rest []string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), append([]string{"check"}, args...), strings.NewReader(""), &out, &errs)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	text, data, _ := strings.Cut(lines[0], " | ")
	perf = map[string]float64{}
	for _, item := range strings.Fields(data) {
		m := perfItem.FindStringSubmatch(item)
		if m == nil {
			t.Errorf("%v: %q is no perfdata", args, item)
			continue
		}
		perf[m[1]], _ = strconv.ParseFloat(m[2], 64)
	}
	for _, l := range lines[1:] {
		if strings.Contains(l, "|") {
			t.Errorf("%v: a bar in the long text would begin perfdata: %q", args, l)
		}
	}
	if !regexp.MustCompile(`^SMTP (OK|WARNING|CRITICAL|UNKNOWN) - `).MatchString(text) && code != 3 {
		t.Errorf("%v: status line %q", args, text)
	}
	return code, text, perf, lines[1:]
}

// TestPlugin is the conformance with the Monitoring Plugins guidelines.
func TestPlugin(t *testing.T) {
	// The limits are those of a machine with much else to do.
	bundled := func(more ...string) (int, string, map[string]float64, []string) {
		t.Helper()
		return runCheck(t, append([]string{"--bundled", "-t", "3600", "--step-timeout", "30m"}, more...)...)
	}
	code, text, perf, _ := bundled("-w", "1000", "-c", "2000")
	if code != 0 || !strings.HasPrefix(text, "SMTP OK - ") {
		t.Errorf("a healthy relay gives %d %q", code, text)
	}
	for _, want := range []string{"p25_total", "p587_total", "p587_connect", "p587_greet", "p587_ehlo", "p587_tls", "p587_auth", "p587_envelope", "cert_days"} {
		if _, ok := perf[want]; !ok {
			t.Errorf("no perfdata %s", want)
		}
	}
	if code, text, _, _ = bundled("--intent", "server"); code != 2 {
		t.Errorf("under intent server the refusal on 25 gives %d %q", code, text)
	}
	if code, text, _, _ = bundled("--scenario", "sasl-down"); code != 1 || !strings.Contains(text, "454") {
		t.Errorf("a deferral gives %d %q", code, text)
	}
	if code, text, _, _ = bundled("--scenario", "starttls-stripped"); code != 2 {
		t.Errorf("STARTTLS stripped gives %d %q", code, text)
	}
	if _, _, _, rest := bundled("-vv"); !strings.Contains(strings.Join(rest, "\n"), ", 220 mx1-us1.ppe-hosted.com ESMTP") || !strings.Contains(strings.Join(rest, "\n"), ", 235 2.7.0 Authentication successful") {
		t.Errorf("-vv shows no replies, or not as they were: %q", rest)
	}
	if _, _, _, rest := bundled("-vvv"); !strings.Contains(strings.Join(rest, "\n"), "<~  235 2.7.0") {
		t.Errorf("-vvv shows no dialogue: %q", rest)
	}
	for _, args := range [][]string{
		{},
		{"-H"},
		{"-H", "h", "more"},
		{"--nope"},
		{"-H", "h", "-w", "x"},
		{"-H", "h", "-t", "0"},
		{"-H", "h", "-t", "inf"},
		{"-H", "h", "-t", "nan"},
		{"-H", "h", "-t", "1e9"},
		{"-H", "h", "-w", "1e3"},
		{"--help"},
		{"-h"},
		{"--version"},
		{"-V"},
		{"-H", "h:25"},
		{"-H", "h", "--stop-after", "data", "--from", "a@b.example", "--to", "a@b.example"},
		{"--config", "none.yaml"},
		{"-H", "h", "--user", "u"},
		{"-H", "h", "--password", "planted"},
		{"--since", "f"},
	} {
		if code, text, _, _ := runCheck(t, args...); code != 3 || strings.Contains(text, "planted") {
			t.Errorf("check %v ends with %d, want 3 (%q)", args, code, text)
		}
	}
}

// TestCheckPanics: a fault of our own is UNKNOWN, never CRITICAL.
func TestCheckPanics(t *testing.T) {
	var out, errs bytes.Buffer
	p := &program{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" },
		now: func() time.Time { panic("planted fault") },
	}
	if code := p.main(t.Context(), []string{"check", "--bundled"}); code != 3 || !strings.HasPrefix(out.String(), "SMTP UNKNOWN - ") {
		t.Errorf("a panic in check ends with %d and %q", code, out.String())
	}
	out.Reset()
	if code := p.main(t.Context(), []string{"probe", "--bundled"}); code != exitBug || strings.Contains(out.String(), "VERDICT") {
		t.Errorf("a panic in probe ends with %d and %q", code, out.String())
	}
}

// TestCheckEnds: whatever holds a check up, its answer comes.
func TestCheckEnds(t *testing.T) {
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"a password that does not come", "^SMTP UNKNOWN - (the password command has not ended after |no answer within 0.3 s)", []string{"-H", "relay.example", "--user", "u", "--password-command", "sleep 60", "-t", "0.3"}},
	} {
		code, text, _, _ := runCheck(t, c.args...)
		if code != 3 || !regexp.MustCompile(c.want).MatchString(text) {
			t.Errorf("%s: %d %q", c.name, code, text)
		}
	}
	// A machine with much to do gets that far only with more time.
	for _, limit := range []string{"0.5", "4", "30"} {
		code, text, _, _ := runCheck(t, "--bundled", "--scenario", "banner-silent", "-t", limit)
		if code == 3 && strings.HasPrefix(text, "SMTP UNKNOWN - no answer within "+limit+" s, at stage greet of port 587") {
			break
		}
		if code != 3 || limit == "30" {
			t.Errorf("a silent server, -t %s: %d %q", limit, code, text)
		}
	}
	var out bytes.Buffer
	p := &program{stdout: &out}
	stuck := make(chan struct{})
	err := p.within(t.Context(), time.Millisecond, func(context.Context) (string, int, error) { <-stuck; return "late", 0, nil })
	if err == nil || !strings.Contains(err.Error(), "no answer within 0.001 s") {
		t.Errorf("a check that does not end: %v", err)
	}
	close(stuck)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.within(ctx, time.Hour, func(context.Context) (string, int, error) { select {} }); err == nil || err.Error() != "interrupted" {
		t.Errorf("a check that is interrupted and does not end: %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("a check that was left behind has written %q", out.String())
	}
}

// TestConnectPatience: a connection without an answer is given up before the run
// is.
func TestConnectPatience(t *testing.T) {
	for _, c := range []struct{ step, run, want time.Duration }{{30, 30, 24}, {5, 30, 5}, {30, 10, 8}} {
		if got := connectPatience(c.step*time.Second, c.run*time.Second); got != c.want*time.Second {
			t.Errorf("%d of %d: %s, want %d s", c.step, c.run, got, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	was := &remembered{State: "CRITICAL", Verdict: "refused", Steps: map[string]string{"587 auth": "refused 535", "587 envelope": "skipped"}, Findings: []string{"a", "b"}, Expires: "2026-12-01"}
	is := &remembered{State: "OK", Verdict: "ready", Steps: map[string]string{"587 auth": "ok 235", "587 envelope": "ok 250"}, Findings: []string{"b", "c"}, Expires: "2027-03-01"}
	got := strings.Join(compare(was, is), "; ")
	if want := "CRITICAL to OK; refused to ready; 587 auth refused 535 to ok 235; new finding c; no longer a; another certificate, until 2027-03-01"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c := compare(is, is); len(c) != 0 {
		t.Errorf("nothing changed, but %v", c)
	}
}
