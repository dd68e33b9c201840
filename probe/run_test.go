package probe_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay/fault"
)

const (
	host     = "relay.example"
	user     = "scanner@customer.example"
	password = "Tr0ub4dor&3-xyzzy"
	sender   = "alice@customer.example"
	outside  = "bob@recipient.example"
)

// healthy is a submission port in good order, cut into its stages.
var healthy = struct{ greet, ehlo, starttls, ehlo2, auth, envelope string }{
	greet:    "< 220 relay.example ESMTP\n",
	ehlo:     "> EHLO\n< 250-relay.example\n< 250-PIPELINING\n< 250-SIZE 104857600\n< 250 STARTTLS\n",
	starttls: "> STARTTLS\n< 220 2.0.0 Ready to start TLS\ntls\n",
	ehlo2:    "> EHLO\n< 250-relay.example\n< 250-PIPELINING\n< 250-SIZE 104857600\n< 250 AUTH PLAIN LOGIN\n",
	auth:     "> AUTH PLAIN\n< 235 2.7.0 Authentication successful\n",
	envelope: "> MAIL\n> RCPT\n> QUIT\n< 250 2.1.0 Ok\n< 250 2.1.5 Ok\n< 221 2.0.0 Bye\n",
}

func submission() string {
	return healthy.greet + healthy.ehlo + healthy.starttls + healthy.ehlo2 + healthy.auth + healthy.envelope
}

// start serves scripts on loopback and returns a target whose port is dialled there.
func start(t *testing.T, port int, scripts ...string) (*fault.Server, probe.Target, probe.Options) {
	t.Helper()
	parsed := make([]fault.Script, len(scripts))
	for i, s := range scripts {
		var err error
		if parsed[i], err = fault.Parse(s); err != nil {
			t.Fatal(err)
		}
	}
	srv := fault.New(host, parsed...)
	t.Cleanup(srv.Close)
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := srv.RootCAs()
	if err != nil {
		t.Fatal(err)
	}
	target := probe.Target{Host: host, Ports: []int{port}, Connect: map[int]string{port: addr.String()}}
	return srv, target, probe.Options{Timeout: time.Minute, Deadline: 5 * time.Minute, RootCAs: roots}
}

func plan() probe.Plan {
	return probe.Plan{
		HELO: "client.customer.example", Credential: probe.NewCredential(host, user, password),
		From: []string{sender}, To: []string{outside},
	}
}

func run(t *testing.T, target probe.Target, p probe.Plan, o probe.Options) probe.Result {
	t.Helper()
	res, err := probe.Run(context.Background(), target, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// story is a session in one line per exchange, without times.
func story(s transcript.Session) string {
	var b strings.Builder
	for _, e := range s.Exchanges {
		fmt.Fprintf(&b, "%s %q", e.Stage, e.Command)
		if e.Secure {
			b.WriteString(" secure")
		}
		if e.Grouped {
			b.WriteString(" grouped")
		}
		if e.Reply.Code != 0 {
			fmt.Fprintf(&b, " %d", e.Reply.Code)
		}
		if e.Fault != "" {
			fmt.Fprintf(&b, " fault=%s (%s)", e.Fault, e.Detail)
		} else if e.Detail != "" {
			fmt.Fprintf(&b, " (%s)", e.Detail)
		}
		if e.Skipped != "" {
			fmt.Fprintf(&b, " skipped=%s", e.Skipped)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestHealthySubmission(t *testing.T) {
	srv, target, o := start(t, 587, submission())
	res := run(t, target, plan(), o)
	got := story(res.Sessions[0])
	want := `connect ""
greet "" 220
ehlo "EHLO client.customer.example" 250
tls "STARTTLS" 220
tls "" secure
tls "EHLO client.customer.example" secure 250
auth "AUTH PLAIN [secret-1]" secure 235
envelope "MAIL FROM:<alice@customer.example>" secure 250
envelope "RCPT TO:<bob@recipient.example>" secure grouped 250
envelope "QUIT" secure grouped 221
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s := res.Sessions[0]
	if s.TLS == nil || s.TLS.Verified != transcript.Yes || s.TLS.Version != "TLS 1.3" || len(s.TLS.Names) != 1 {
		t.Errorf("TLS %+v", s.TLS)
	}
	if len(s.Before) != 3 || len(s.After) != 3 {
		t.Errorf("before %q after %q", s.Before, s.After)
	}
	if n := srv.Conns()[0].Notes(); len(n) > 0 {
		t.Errorf("the server notes %q", n)
	}
}
