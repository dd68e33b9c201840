package probe_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

// row is one hostile or odd server: what it does, and what must come of it.
type row struct {
	name    string
	script  string
	stage   transcript.Stage // of the first failing exchange, or of the last one when nothing failed
	fault   transcript.Fault
	verdict string
	problem string // of TLS; empty: not compared
	port    int    // 0: 587
	change  func(*probe.Target, *probe.Plan, *probe.Options)
}

// place is a point of the dialogue where a server can fail: the road to it and
// how a good reply there begins.
type place struct {
	name   string
	before string // script up to and including the command
	good   string // the good reply's line
	stage  transcript.Stage
	change func(*probe.Target, *probe.Plan, *probe.Options)
}

func places() []place {
	h := healthy
	tls := h.greet + h.ehlo + h.starttls
	oneByOne := func(_ *probe.Target, _ *probe.Plan, o *probe.Options) { o.NoPipelining = true }
	withData := func(_ *probe.Target, p *probe.Plan, o *probe.Options) {
		o.NoPipelining = true
		p.StopAfter = transcript.StageData
	}
	in := tls + h.ehlo2 + h.auth
	mail := in + "> MAIL\n< 250 2.1.0 Ok\n"
	rcpt := mail + "> RCPT\n< 250 2.1.5 Ok\n"
	return []place{
		{"greeting", "", "220 relay.example ESMTP", transcript.StageGreet, nil},
		{"ehlo", h.greet + "> EHLO\n", "250 relay.example", transcript.StageEHLO, nil},
		{"starttls", h.greet + h.ehlo + "> STARTTLS\n", "220 2.0.0 Ready", transcript.StageTLS, nil},
		{"ehlo-in-tls", tls + "> EHLO\n", "250 relay.example", transcript.StageTLS, nil},
		{"auth", tls + h.ehlo2 + "> AUTH\n", "235 2.7.0 Authentication successful", transcript.StageAuth, nil},
		{"mail", in + "> MAIL\n", "250 2.1.0 Ok", transcript.StageEnvelope, oneByOne},
		{"rcpt", mail + "> RCPT\n", "250 2.1.5 Ok", transcript.StageEnvelope, oneByOne},
		{"rcpt-grouped", in + "> MAIL\n< 250 2.1.0 Ok\n> RCPT\n", "250 2.1.5 Ok", transcript.StageEnvelope, nil},
		{"data", rcpt + "> DATA\n", "354 End data with <CR><LF>.<CR><LF>", transcript.StageData, withData},
		{"dot", rcpt + "> DATA\n< 354 go on\ndata\n", "250 2.0.0 Ok: queued as 1", transcript.StageData, withData},
	}
}

// kinds are the columns of the matrix.
var kinds = []struct {
	name  string
	do    func(good string) string
	fault transcript.Fault
	is421 bool
}{
	{"silence", func(string) string { return "stall\n" }, transcript.FaultTimeout, false},
	{"fin", func(string) string { return "close\n" }, transcript.FaultClosed, false},
	{"half-close", func(string) string { return "half\nstall\n" }, transcript.FaultClosed, false},
	{"rst", func(string) string { return "reset\n" }, transcript.FaultReset, false},
	{"half line then fin", func(g string) string { return fmt.Sprintf("raw %q\nclose\n", g[:len(g)-2]) }, transcript.FaultClosed, false},
	{"whole words, no line end, then fin", func(g string) string { return fmt.Sprintf("raw %q\nclose\n", g) }, transcript.FaultClosed, false},
	{"half line then silence", func(g string) string { return fmt.Sprintf("raw %q\nstall\n", g[:7]) }, transcript.FaultTimeout, false},
	{"half line then rst", func(g string) string { return fmt.Sprintf("raw %q\nwait 1s\nreset\n", g[:7]) }, transcript.FaultReset, false},
	{"a byte a second", func(g string) string { return fmt.Sprintf("raw %q\ndrip 1s forever \"x\"\n", g[:4]) }, transcript.FaultTimeout, false},
	{"a line a second", func(g string) string { return fmt.Sprintf("lines 1s 0 %q\n", g[:3]+"-more\r\n") }, transcript.FaultTimeout, false},
	{"a reply without end", func(g string) string { return fmt.Sprintf("repeat 0 %q\n", g[:3]+"-more and more\r\n") }, transcript.FaultLimit, false},
	{"a line without end", func(g string) string {
		return fmt.Sprintf("raw %q\nrepeat 0 %q\n", g[:4], strings.Repeat("x", 1000))
	}, transcript.FaultLimit, false},
	{"binary", func(string) string { return `raw "\x00\x01\xfe\xff\x7f\r\nmore\r\n"` + "\nstall\n" }, transcript.FaultProtocol, false},
	{"nul in the reply", func(g string) string { return fmt.Sprintf("raw %q\nstall\n", g+"\x00\r\n") }, transcript.FaultProtocol, false},
	{"421", func(string) string { return "< 421 4.3.2 shutting down\nclose\n" }, "", true},
	{"421 then rst", func(string) string { return "< 421 4.3.2 shutting down\nreset\n" }, "", true},
	{"two codes in one reply", func(g string) string { return fmt.Sprintf("raw %q\nstall\n", g[:3]+"-yes\r\n554 no\r\n") }, transcript.FaultProtocol, false},
	{"two codes, back to the first", func(g string) string {
		return fmt.Sprintf("raw %q\nstall\n", g[:3]+"-yes\r\n554-no\r\n"+g[:3]+" yes\r\n")
	}, transcript.FaultProtocol, false},
	{"1xx", func(string) string { return "< 150 wait\nstall\n" }, transcript.FaultProtocol, false},
	{"600", func(string) string { return "< 600 more than enough\nstall\n" }, transcript.FaultProtocol, false},
	{"another success code", func(g string) string {
		other := "299 well"
		if g[:3] == "354" {
			other = "250 ok"
		}
		return "< " + other + "\nstall\n"
	}, transcript.FaultProtocol, false},
}

func matrix() []row {
	var rows []row
	for _, p := range places() {
		for _, k := range kinds {
			v := "deferred"
			if !k.is421 {
				switch p.stage {
				case transcript.StageGreet, transcript.StageEHLO, transcript.StageTLS:
					v = "handshake-failed"
				}
				if p.name == "dot" {
					v = "insufficient-evidence"
				}
			}
			rows = append(rows, row{
				name: p.name + "/" + k.name, script: p.before + k.do(p.good),
				stage: p.stage, fault: k.fault, verdict: v + "/" + string(p.stage), change: p.change,
			})
		}
		rows = append(rows, row{
			name: p.name + "/554", script: p.before + "< 554 5.7.1 no\n> QUIT\n< 221 bye\n",
			stage: p.stage, verdict: "refused/" + string(p.stage), change: p.change,
		}, row{
			name: p.name + "/450", script: p.before + "< 450 4.7.1 later\n> QUIT\n< 221 bye\n",
			stage: p.stage, verdict: "deferred/" + string(p.stage), change: p.change,
		})
		if p.name == "greeting" || p.name == "rcpt-grouped" {
			continue
		}
		rows = append(rows, row{
			name:   p.name + "/an unasked reply behind it",
			script: p.before + fmt.Sprintf("raw %q\n> \n> \n< 221 bye\nstall\n", p.good+"\r\n250 2.0.0 and more\r\n"),
			stage:  p.stage, verdict: "*", change: p.change,
		})
	}
	return rows
}

// verdictOf is what the judge says of a session: verdict and stage.
func verdictOf(s transcript.Session, p probe.Plan, partial bool) string {
	r := analyze.JudgeProbe(analyze.Probe{
		Target: host, Intent: analyze.IntentBoth, Sessions: []transcript.Session{s}, Partial: partial,
		Planned: analyze.Planned{Credential: p.Credential != nil, From: p.From, To: p.To, StopAfter: p.StopAfter},
	}, analyze.Options{RelayDomains: []string{"example"}})
	return string(r.Sessions[0].Verdict) + "/" + r.Sessions[0].Stage
}

// forms are those in which the password may stand on the wire.
func forms() []string {
	b := base64.StdEncoding.EncodeToString
	return []string{password, b([]byte(password)), b([]byte("\x00" + user + "\x00" + password))}
}

func leaked(text string) bool {
	for _, f := range forms() {
		if strings.Contains(text, f) {
			return true
		}
	}
	return false
}

func check(t *testing.T, r row) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		script, err := fault.Parse(r.script)
		if err != nil {
			t.Fatal(err)
		}
		srv := fault.New(host, script)
		defer srv.Close()
		roots, err := srv.RootCAs()
		if err != nil {
			t.Fatal(err)
		}
		port := r.port
		if port == 0 {
			port = 587
		}
		target := probe.Target{Host: host, Ports: []int{port}, Connect: map[int]string{port: "127.0.0.1:1"}}
		o := probe.Options{RootCAs: roots, Dial: srv.Dial}
		p := plan()
		if r.change != nil {
			r.change(&target, &p, &o)
		}
		began := time.Now()
		res, err := probe.Run(context.Background(), target, p, o)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Minute+time.Second {
			t.Errorf("took %s", took)
		}
		s := res.Sessions[0]
		checkRecord(t, s)
		got := verdictOf(s, p, res.Partial)
		if r.verdict == "*" {
			if strings.HasPrefix(got, "ready") {
				t.Errorf("false ready")
			}
		} else {
			if got != r.verdict {
				t.Errorf("verdict %s, want %s", got, r.verdict)
			}
			e, failed := s.FirstFailure()
			switch {
			case failed && (e.Stage != r.stage || e.Fault != r.fault):
				t.Errorf("stage %s fault %q, want %s %q", e.Stage, e.Fault, r.stage, r.fault)
			case !failed && r.fault != "":
				t.Errorf("no fault, want %s", r.fault)
			}
		}
		if r.problem != "" && (s.TLS == nil || s.TLS.Problem != r.problem || s.TLS.Detail == "") {
			t.Errorf("TLS %+v, want problem %s", s.TLS, r.problem)
		}
		for _, c := range srv.Conns() {
			bad := c.Certificate() != "good" && c.Certificate() != "rsa" && !o.AllowAuthOverUntrusted
			if leaked(c.Plain()) || leaked(c.Wire()) || bad && leaked(c.Inside()) {
				t.Errorf("the credential was sent in clear or over a bad certificate (%q)", c.Certificate())
			}
		}
		time.Sleep(time.Minute) // of the bubble's clock: dripping servers notice
		synctest.Wait()
		if n := srv.Open(); n > 0 && !strings.Contains(r.script, "deaf") {
			t.Errorf("%d connections are still open", n)
		}
		if t.Failed() {
			t.Logf("record:\n%s", story(s))
		}
	})
}

// checkRecord checks what holds for every record.
func checkRecord(t *testing.T, s transcript.Session) {
	t.Helper()
	size := 0
	for _, e := range s.Exchanges {
		if leaked(e.Command) || leaked(e.Detail) || leaked(strings.Join(e.Reply.Lines, "\n")) {
			t.Errorf("the secret stands in the record of %q", e.Command)
		}
		for _, l := range e.Reply.Lines {
			size += len(l)
			if len(l) > 16<<10 {
				t.Errorf("a line of %d bytes", len(l))
			}
		}
		if len(e.Reply.At) != len(e.Reply.Lines) {
			t.Errorf("%d times for %d lines", len(e.Reply.At), len(e.Reply.Lines))
		}
		if e.Fault != "" && e.Detail == "" {
			t.Errorf("fault %s of %q has no detail", e.Fault, e.Command)
		}
	}
	if size > 1<<20 {
		t.Errorf("%d bytes of replies", size)
	}
}

func TestHostileMatrix(t *testing.T) {
	rows := matrix()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) { check(t, r) })
	}
	t.Logf("%d rows", len(rows))
}
