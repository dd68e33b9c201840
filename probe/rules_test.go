package probe_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

// inMemory serves scripts in memory for the ports of a target.
func inMemory(t *testing.T, ports []int, scripts ...string) (*fault.Server, probe.Target, probe.Options) {
	t.Helper()
	parsed := make([]fault.Script, len(scripts))
	for i, s := range scripts {
		parsed[i] = fault.MustParse(s)
	}
	srv := fault.New(host, parsed...)
	roots, err := srv.RootCAs()
	if err != nil {
		t.Fatal(err)
	}
	target := probe.Target{Host: host, Ports: ports, Connect: map[int]string{}}
	for _, p := range ports {
		target.Connect[p] = fmt.Sprintf("127.0.0.1:%d", p)
	}
	return srv, target, probe.Options{RootCAs: roots, Dial: srv.Dial}
}

func TestARefusedCredentialIsNotTriedAgain(t *testing.T) {
	refuse := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + "> AUTH\nwait 5s\n< 535 5.7.8 Error: authentication failed\n> QUIT\n< 221 bye\n"
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587, 2587, 588}, refuse)
		defer srv.Close()
		res := run(t, target, plan(), o)
		tries, refused := 0, 0
		for _, c := range srv.Conns() {
			tries += strings.Count(c.Inside(), "AUTH ")
		}
		for _, s := range res.Sessions {
			for _, e := range s.Exchanges {
				if e.Stage == transcript.StageAuth && e.Skipped == probe.SkipAuthRefused {
					refused++
				}
			}
		}
		if tries != 1 || refused != 2 {
			t.Errorf("%d AUTH commands, %d steps say why not\n%s%s%s", tries, refused, story(res.Sessions[0]), story(res.Sessions[1]), story(res.Sessions[2]))
		}
	})
}

func TestAnAcceptedCredentialIsUsedOnEachPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587, 2587}, submission())
		defer srv.Close()
		for _, s := range run(t, target, plan(), o).Sessions {
			if got := verdictOf(s, plan(), false); got != "ready/envelope" {
				t.Errorf("%d: %s\n%s", s.Port, got, story(s))
			}
		}
	})
}

func TestTheCredentialStaysOffPort25(t *testing.T) {
	both := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2
	for _, c := range []struct {
		ports []int
		want  string
	}{
		{[]int{25, 587}, probe.SkipAuthPort},
		{[]int{25}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, target, o := inMemory(t, c.ports, both+"> \n< 235 2.7.0 ok\nstall\n")
			defer srv.Close()
			p := plan()
			p.From, p.To = nil, nil
			res := run(t, target, p, o)
			e := res.Sessions[0].Exchanges[6]
			if e.Stage != transcript.StageAuth || e.Skipped != c.want {
				t.Errorf("%v: %+v", c.ports, e)
			}
		})
	}
}

func TestRoundTripsByGrouping(t *testing.T) {
	for _, c := range []struct {
		name     string
		off      bool
		from, to []string
		segments string // what the server reads in one piece, "|" between pieces
	}{
		{"one", false, []string{"a@x.example"}, []string{"b@y.example"}, "MAIL RCPT QUIT"},
		{"not pipelined", true, []string{"a@x.example"}, []string{"b@y.example"}, "MAIL|RCPT|QUIT"},
		{"null sender", false, []string{"<>"}, []string{"b@y.example"}, "MAIL RCPT QUIT"},
		{"two by two", false, []string{"a@x.example", "c@x.example"}, []string{"b@y.example", "d@y.example"}, "MAIL RCPT RCPT RSET MAIL RCPT RCPT QUIT"},
		{"sender only", false, []string{"a@x.example"}, nil, "MAIL QUIT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var pieces []string
				client, server := fault.Pipe()
				go func() {
					defer server.Close()
					_, _ = server.Write([]byte("220 relay.example\r\n"))
					buf := make([]byte, 4096)
					for {
						n, err := server.Read(buf)
						if err != nil {
							return
						}
						var verbs []string
						for _, l := range strings.Split(strings.TrimSuffix(string(buf[:n]), "\r\n"), "\r\n") {
							verb, _, _ := strings.Cut(l, " ")
							verbs = append(verbs, verb)
							answer := "250 2.0.0 Ok\r\n"
							switch verb {
							case "EHLO":
								answer = "250-relay.example\r\n250 PIPELINING\r\n"
							case "QUIT":
								answer = "221 bye\r\n"
							}
							_, _ = server.Write([]byte(answer))
						}
						mu.Lock()
						pieces = append(pieces, strings.Join(verbs, " "))
						mu.Unlock()
					}
				}()
				o := probe.Options{NoPipelining: c.off, Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
				res := run(t, probe.Target{Host: "192.0.2.1", Ports: []int{25}}, probe.Plan{HELO: "c.example", From: c.from, To: c.to}, o)
				if _, failed := res.Sessions[0].FirstFailure(); failed {
					t.Errorf("record:\n%s", story(res.Sessions[0]))
				}
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				if got := strings.Join(pieces, "|"); got != "EHLO|"+c.segments {
					t.Errorf("pieces %s, want EHLO|%s", got, c.segments)
				}
			})
		})
	}
}

func TestRetriesAfterA4xx(t *testing.T) {
	grey := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + healthy.auth + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 450 4.7.1 Greylisted\n< 221 bye\n"
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587}, grey, grey, submission())
		defer srv.Close()
		var waited []time.Duration
		o.Retries, o.RetryWait = 3, 5*time.Minute
		o.Deadline = time.Hour
		o.Wait = func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
		res := run(t, target, plan(), o)
		if len(res.Sessions) != 1 || len(res.Retried) != 2 || len(waited) != 2 || waited[0] != 5*time.Minute {
			t.Fatalf("%d sessions, %d superseded, waits %v", len(res.Sessions), len(res.Retried), waited)
		}
		if got := verdictOf(res.Sessions[0], plan(), false); got != "ready/envelope" {
			t.Errorf("verdict %s", got)
		}
		if got := verdictOf(res.Retried[0], plan(), false); got != "deferred/envelope" {
			t.Errorf("the first verdict %s", got)
		}
	})
}

func TestNoRetryAfterA5xx(t *testing.T) {
	refuse := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + "> AUTH\n< 535 5.7.8 no\n> QUIT\n< 221 bye\n"
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587}, refuse)
		defer srv.Close()
		o.Retries = 3
		if res := run(t, target, plan(), o); len(srv.Conns()) != 1 || len(res.Retried) != 0 {
			t.Errorf("%d connections", len(srv.Conns()))
		}
	})
}

func TestTLSScan(t *testing.T) {
	first := submission()
	scan := func(args string) string {
		return healthy.greet + healthy.ehlo + "> STARTTLS\n< 220 go\ntls " + args + "\n> QUIT\n< 221 bye\n"
	}
	for _, c := range []struct{ args, want string }{
		{"max=1.2 min=1.0", "TLS 1.0 yes, TLS 1.1 yes, TLS 1.2 yes, TLS 1.3 no protocol_version"},
		{"min=1.3", "TLS 1.0 no protocol_version, TLS 1.1 no protocol_version, TLS 1.2 no protocol_version, TLS 1.3 yes"},
		{"", "TLS 1.0 no protocol_version, TLS 1.1 no protocol_version, TLS 1.2 yes, TLS 1.3 yes"},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, target, o := inMemory(t, []int{587}, first, scan(c.args))
			defer srv.Close()
			o.TLSScan = true
			res := run(t, target, plan(), o)
			var got []string
			for _, v := range res.Sessions[0].TLS.Versions {
				s := v.Version + map[transcript.Fact]string{transcript.Yes: " yes", transcript.No: " no", transcript.Unknown: " unknown"}[v.Accepted]
				if v.Alert != "" {
					s += " " + v.Alert
				}
				got = append(got, s)
			}
			if g := strings.Join(got, ", "); g != c.want {
				t.Errorf("%q: %s, want %s", c.args, g, c.want)
			}
			for _, conn := range srv.Conns()[1:] {
				if leaked(conn.Plain() + conn.Inside()) {
					t.Error("a credential went along with the scan")
				}
			}
		})
	}
}

func TestTheMessageIsSentOnce(t *testing.T) {
	with := healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + healthy.auth +
		"> MAIL\n> RCPT\n< 250 ok\n< 250 ok\n> DATA\n< 354 go\ndata\n< 250 2.0.0 queued\n> QUIT\n< 221 bye\n"
	without := submission()
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587, 2587}, with, with)
		defer srv.Close()
		other := fault.New(host, fault.MustParse(without))
		defer other.Close()
		roots, err := srv.RootCAs()
		if err != nil {
			t.Fatal(err)
		}
		o.RootCAs = roots
		p := plan()
		p.StopAfter = transcript.StageData
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "127.0.0.1:587" {
				return srv.Dial(ctx, network, address)
			}
			return other.Dial(ctx, network, address)
		}
		o.InsecureTLS, o.AllowAuthOverUntrusted = true, true // the other server has an authority of its own
		res := run(t, target, p, o)
		text := srv.Conns()[0].Inside()
		if res.MessageID == "" || !strings.Contains(text, "Message-ID: "+res.MessageID) || strings.Contains(other.Conns()[0].Inside(), "DATA") {
			t.Errorf("id %q, said %q and %q", res.MessageID, text, other.Conns()[0].Inside())
		}
		if e := res.Sessions[1].Exchanges; e[len(e)-2].Stage != transcript.StageData && e[len(e)-1].Stage != transcript.StageData {
			t.Errorf("record:\n%s", story(res.Sessions[1]))
		}
	})
}

func TestAddressesBeyondASCII(t *testing.T) {
	list := func(more string) string {
		return healthy.greet + "> EHLO\n< 250-relay.example\n< 250-SIZE 1000\n" + more + "< 250 8BITMIME\n"
	}
	p := probe.Plan{HELO: "client.example", From: []string{"jürgen@customer.example"}, To: []string{outside}, Size: 500}
	for _, c := range []struct{ script, said, last string }{
		{list("< 250-SMTPUTF8\n") + "> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> QUIT\n< 221 bye\n", "MAIL FROM:<jürgen@customer.example> SIZE=500 SMTPUTF8\r\n", ""},
		{list("") + "> QUIT\n< 221 bye\n", "", probe.SkipNoUTF8},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, target, o := inMemory(t, []int{25}, c.script)
			defer srv.Close()
			s := run(t, target, p, o).Sessions[0]
			text := srv.Conns()[0].Plain()
			if !strings.Contains(text, c.said) || (c.said == "" && strings.Contains(text, "MAIL")) || s.Exchanges[len(s.Exchanges)-1].Skipped != c.last {
				t.Errorf("said %q\n%s", text, story(s))
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	good := probe.Target{Host: host}
	for _, c := range []struct {
		name string
		t    probe.Target
		p    probe.Plan
		o    probe.Options
	}{
		{"no host", probe.Target{}, probe.Plan{}, probe.Options{}},
		{"host with a line end", probe.Target{Host: "a\r\nb"}, probe.Plan{}, probe.Options{}},
		{"host and port", probe.Target{Host: "relay.example:25"}, probe.Plan{}, probe.Options{}},
		{"port 0", probe.Target{Host: host, Ports: []int{0}}, probe.Plan{}, probe.Options{}},
		{"port twice", probe.Target{Host: host, Ports: []int{25, 25}}, probe.Plan{}, probe.Options{}},
		{"connect without port", probe.Target{Host: host, Connect: map[int]string{25: "127.0.0.1"}}, probe.Plan{}, probe.Options{}},
		{"connect for a port not probed", probe.Target{Host: host, Connect: map[int]string{26: "127.0.0.1:1"}}, probe.Plan{}, probe.Options{}},
		{"HELO with a line end", good, probe.Plan{HELO: "a\r\nMAIL"}, probe.Options{}},
		{"sender with a line end", good, probe.Plan{From: []string{"a@b\r\nRCPT TO:<x>"}}, probe.Options{}},
		{"sender with a bracket", good, probe.Plan{From: []string{"a@b> SIZE=1"}}, probe.Options{}},
		{"recipient alone", good, probe.Plan{To: []string{"a@b"}}, probe.Options{}},
		{"null recipient", good, probe.Plan{From: []string{"a@b"}, To: []string{"<>"}}, probe.Options{}},
		{"unknown mechanism", good, probe.Plan{Mechanism: "ntlm"}, probe.Options{}},
		{"unknown stage", good, probe.Plan{StopAfter: "quit"}, probe.Options{}},
		{"message to nobody", good, probe.Plan{StopAfter: transcript.StageData}, probe.Options{}},
		{"credential of another host", good, probe.Plan{Credential: probe.NewCredential("other.example", user, password)}, probe.Options{}},
		{"credential with a NUL", good, probe.Plan{Credential: probe.NewCredential(host, user, "a\x00b")}, probe.Options{}},
		{"both families", good, probe.Plan{}, probe.Options{Only4: true, Only6: true}},
		{"untrusted without insecure", good, probe.Plan{}, probe.Options{AllowAuthOverUntrusted: true}},
	} {
		dial := func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: something was dialled", c.name)
			return nil, context.Canceled
		}
		c.o.Dial = dial
		if _, err := probe.Run(context.Background(), c.t, c.p, c.o); err == nil {
			t.Errorf("%s: no error", c.name)
		} else if leaked(err.Error()) {
			t.Errorf("%s: the error shows the secret", c.name)
		}
	}
}

func TestObserveTellsTheSameStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, target, o := inMemory(t, []int{587}, submission())
		defer srv.Close()
		var mu sync.Mutex
		var begun, done []transcript.Exchange
		o.Observe = func(e probe.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Done {
				done = append(done, e.Exchange)
			} else {
				begun = append(begun, e.Exchange)
			}
		}
		s := run(t, target, plan(), o).Sessions[0]
		if len(done) != len(s.Exchanges) || len(begun) != len(done) {
			t.Fatalf("%d begun, %d done, %d recorded", len(begun), len(done), len(s.Exchanges))
		}
		for i, e := range s.Exchanges {
			if done[i].Stage != e.Stage || done[i].Command != e.Command || leaked(begun[i].Command) {
				t.Errorf("event %d: %+v, recorded %+v", i, done[i], e)
			}
		}
	})
}

func TestClientName(t *testing.T) {
	for _, c := range []struct{ helo, prefix string }{{"client.example", "EHLO client.example"}, {"[192.0.2.9]", "EHLO [192.0.2.9]"}} {
		srv, target, o := start(t, 25, healthy.greet+"> EHLO\n< 250 ok\n> QUIT\n< 221 bye\n")
		run(t, target, probe.Plan{HELO: c.helo, StopAfter: transcript.StageEHLO}, o)
		if got := srv.Conns()[0].Plain(); !strings.HasPrefix(got, c.prefix) {
			t.Errorf("said %q", got)
		}
	}
	srv, target, o := start(t, 25, healthy.greet+"> EHLO\n< 250 ok\n> QUIT\n< 221 bye\n")
	run(t, target, probe.Plan{StopAfter: transcript.StageEHLO}, o)
	if got := srv.Conns()[0].Plain(); strings.Contains(strings.ToLower(got), "localhost") || !strings.HasPrefix(got, "EHLO ") {
		t.Errorf("said %q", got)
	}
}

func TestIPv6Loopback(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6 loopback")
	}
	defer l.Close()
	srv := fault.New(host, fault.MustParse(submission()))
	defer srv.Close()
	roots, err := srv.RootCAs()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			srv.Serve(c)
		}
	}()
	target := probe.Target{Host: host, Ports: []int{587}, Connect: map[int]string{587: l.Addr().String()}}
	s := run(t, target, plan(), probe.Options{RootCAs: roots, Timeout: time.Minute}).Sessions[0]
	if s.Address != "::1" || verdictOf(s, plan(), false) != "ready/envelope" {
		t.Errorf("%s\n%s", s.Address, story(s))
	}
}

// TestOnLoopback plays the hostile servers over TCP, where the kernel buffers
// and resets in its own ways: the verdicts are the same.
func TestOnLoopback(t *testing.T) {
	for _, r := range append(matrix(), families()...) {
		if r.fault == transcript.FaultTimeout || r.change != nil || r.port != 0 || r.verdict == "*" ||
			strings.Contains(r.script, "wait") || strings.Contains(r.script, "drip") || strings.Contains(r.script, "lines ") ||
			strings.Contains(r.script, "deaf") || strings.Contains(r.name, "QUIT") || strings.Contains(r.name, "from the first byte") {
			continue
		}
		if strings.Contains(r.script, "reset") && !strings.Contains(r.script, ">") {
			continue // the reset may overtake connect(2) itself, and the kernel then drops what was said
		}
		t.Run(r.name, func(t *testing.T) {
			srv, target, o := start(t, 587, r.script)
			s := run(t, target, plan(), o).Sessions[0]
			if got := verdictOf(s, plan(), false); got != r.verdict {
				t.Errorf("verdict %s, want %s\n%s", got, r.verdict, story(s))
			}
			checkRecord(t, s)
			for _, c := range srv.Conns() {
				if leaked(c.Plain()) || leaked(c.Wire()) {
					t.Error("the credential was sent in clear")
				}
			}
		})
	}
}

// How a reply came is told: a tarpit's bytes, the two steps of postscreen, a
// slow server that is neither.
func TestTheMannerOfAReply(t *testing.T) {
	rest := "> EHLO\n< 250 ok\n> QUIT\n< 221 bye\n"
	for _, c := range []struct{ name, script, detail, title string }{
		{"tarpit", `drip 300ms "220 relay.example ESMTP\r\n"` + "\n" + rest, transcript.NoteTarpit + "the reply came bit by bit over 7.2s", "the relay sends its replies bit by bit: a tarpit"},
		{"lines of a tarpit", "< 220 relay.example\n> EHLO\n" + `lines 1s 7 "250-X\r\n"` + "\n< 250 ok\n> QUIT\n< 221 bye\n", transcript.NoteTarpit + "the reply came bit by bit over", "the relay sends its replies bit by bit: a tarpit"},
		{"postscreen", "raw \"220-relay.example\\r\\n\"\nwait 6s\n< 220 relay.example ESMTP\n" + rest, "the greeting came in two steps, 6s apart", "the relay answers slower than the client waits"},
		{"slow", "wait 8s\n< 220 relay.example ESMTP\n" + rest, "", "the relay answers slower than the client waits"},
		{"drips, but fast", `drip 100ms "220 relay.example ESMTP\r\n"` + "\n" + rest, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, target, o := inMemory(t, []int{25}, c.script)
				defer srv.Close()
				s := run(t, target, probe.Plan{HELO: "c.example", StopAfter: transcript.StageEHLO}, o).Sessions[0]
				detail := ""
				for _, e := range s.Exchanges {
					detail += e.Detail
				}
				if !strings.HasPrefix(detail, c.detail) || (detail == "") != (c.detail == "") {
					t.Errorf("detail %q, want %q\n%s", detail, c.detail, story(s))
				}
				title := ""
				for _, f := range analyze.JudgeProbe(analyze.Probe{Target: host, Sessions: []transcript.Session{s}}, analyze.Options{}).Findings {
					if f.ID == "slow-server" {
						title = f.Title
					}
				}
				if title != c.title {
					t.Errorf("title %q, want %q", title, c.title)
				}
			})
		})
	}
}

// What this machine or the network cannot do is not the relay's refusal.
func TestNoRoadIsNoRefusal(t *testing.T) {
	for _, c := range []struct {
		name            string
		err             error
		o               probe.Options
		headline, party string
		causes          bool
	}{
		{"no IPv6 here", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, probe.Options{}, "this machine has no way to 2001:db8::1", "sender-system", false},
		{"no such source", &net.OpError{Op: "dial", Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}, probe.Options{}, "this machine has no way to 2001:db8::1", "sender-system", false},
		{"family left out", nil, probe.Options{Only4: true}, "this machine has no way to 2001:db8::1", "sender-system", false},
		{"a router says so", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, probe.Options{}, "the network has no way to 2001:db8::1", "network", false},
		{"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, probe.Options{}, "refused the connection", "network", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.err }
			res := run(t, probe.Target{Host: "2001:db8::1", Ports: []int{587}}, probe.Plan{}, c.o)
			r := analyze.JudgeProbe(analyze.Probe{Target: "2001:db8::1", Sessions: res.Sessions}, analyze.Options{})
			s := r.Sessions[0]
			if s.Verdict != analyze.Unreachable || s.Stage != "connect" || string(s.Party) != c.party || !strings.Contains(r.Verdict.Headline, c.headline) || (len(r.Causes) > 0) != c.causes {
				t.Errorf("%s/%s, %s: %s, causes %v\n%s", s.Verdict, s.Stage, s.Party, r.Verdict.Headline, r.Causes, story(res.Sessions[0]))
			}
		})
	}
}

// A greeting that began is no silence.
func TestAGreetingThatDoesNotEnd(t *testing.T) {
	for script, headline := range map[string]string{
		"raw \"220 rel\"\nstall\n": "began a greeting on 25", "< 220-relay.example\nstall\n": "began a greeting on 25", "stall\n": "sent no greeting on 25",
		"raw \"220 rel\"\nclose\n": "began a greeting on 25", "close\n": "sent no greeting on 25",
	} {
		synctest.Test(t, func(t *testing.T) {
			srv, target, o := inMemory(t, []int{25}, script)
			defer srv.Close()
			res := run(t, target, probe.Plan{}, o)
			r := analyze.JudgeProbe(analyze.Probe{Target: host, Intent: analyze.IntentServer, Sessions: res.Sessions}, analyze.Options{})
			if r.Sessions[0].Verdict != analyze.HandshakeFailed || !strings.Contains(r.Verdict.Headline, headline) {
				t.Errorf("%q: %s, want %s", script, r.Verdict.Headline, headline)
			}
		})
	}
}
