package relay_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/resolve"
)

// The presets whose fault lies in a name are met by a probe that asks the
// relay's name server, as they are in process.
func TestNameFaultsOverDNS(t *testing.T) {
	for _, c := range []struct {
		setup, verdict, stage, cause string
		timeout                      time.Duration
	}{
		{"", "ready", "tls", "", 30 * time.Second},
		{"name-typo", "unreachable", "resolve", "smarthost-typo", 30 * time.Second},
		{"dns-broken servfail", "unreachable", "resolve", "dns-failure", 30 * time.Second},
		{"dns-broken timeout", "unreachable", "resolve", "dns-failure", 200 * time.Millisecond},
	} {
		t.Run(c.setup, func(t *testing.T) {
			d := relay.Start(t, relay.Nameserver("127.0.0.1:0"))
			if c.setup != "" {
				if _, err := d.Apply("fault set " + c.setup); err != nil {
					t.Fatal(err)
				}
			}
			host := d.ServerName()
			if s, ok := relay.FindScenario(c.setup); ok {
				host = strings.TrimPrefix(s.Client()[0], "host ") // as the sending system misspells it
			}
			rep := probeByName(t, d, host, c.timeout)
			got := rep.Sessions[0]
			if string(got.Verdict) != c.verdict || got.Stage != c.stage {
				t.Errorf("%s/%s", got.Verdict, got.Stage)
			}
			if c.cause != "" && (len(got.Causes) != 1 || got.Causes[0].ID != c.cause) {
				t.Errorf("causes %+v", got.Causes)
			}
			if c.setup == "" {
				return
			}
			if _, err := d.Apply("fault clear"); err != nil {
				t.Fatal(err)
			}
			if got := probeByName(t, d, d.ServerName(), 30*time.Second).Sessions[0]; string(got.Verdict) != "ready" {
				t.Errorf("without the fault: %s/%s", got.Verdict, got.Stage)
			}
		})
	}
}

func probeByName(t *testing.T, d *relay.Demo, host string, timeout time.Duration) *analyze.Report {
	t.Helper()
	names, err := resolve.New(d.NameserverAddr())
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(d.Addr(relay.PortAuth))
	if err != nil {
		t.Fatal(err)
	}
	target := probe.Target{
		Host: host, Ports: []int{relay.PortAuth},
		Connect: map[int]string{relay.PortAuth: net.JoinHostPort(host, port)},
	}
	res, err := probe.Run(context.Background(), target, probe.Plan{HELO: "mail.customer.example", StopAfter: "tls"}, probe.Options{
		RootCAs: d.RootCAs(), Resolver: names, Timeout: timeout, Deadline: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return analyze.JudgeProbe(analyze.Probe{
		Target: host, Intent: analyze.IntentAuth, Sessions: res.Sessions, Planned: analyze.Planned{StopAfter: "tls"},
	}, analyze.Options{})
}

// The name server knows the relay and the account's domains as the service's
// customers publish them, follows the account, and knows nothing else.
func TestNameserverKnows(t *testing.T) {
	d := relay.Start(t, relay.Nameserver("127.0.0.1:0"))
	names, err := resolve.New(d.NameserverAddr())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string, kind resolve.Type) string {
		a := names.Query(context.Background(), name, kind)
		var out []string
		for _, r := range a.Records {
			out = append(out, r.Text)
		}
		return a.Rcode + " " + strings.Join(out, " | ")
	}
	if got := ask("outbound-us1.ppe-hosted.com", resolve.A); !strings.HasSuffix(got, "127.0.0.1") {
		t.Error(got)
	}
	if got := ask("customer.example", resolve.MX); !strings.Contains(got, "mx1-us1.ppe-hosted.com") {
		t.Error(got)
	}
	if got := ask("customer.example", resolve.TXT); !strings.Contains(got, "include:_spf-us.ppe-hosted.com") {
		t.Error(got)
	}
	if got := ask("new.example", resolve.MX); got != "NXDOMAIN " {
		t.Error(got)
	}
	if _, err := d.Apply("domain add new.example --inbound --outbound"); err != nil {
		t.Fatal(err)
	}
	if got := ask("new.example", resolve.MX); !strings.Contains(got, "mx1-us1.ppe-hosted.com") {
		t.Error(got)
	}
}

// It is for this machine only.
func TestNameserverStaysOnLoopback(t *testing.T) {
	d, err := relay.NewDemo(relay.AllowRemote(), relay.Nameserver("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); !errors.Is(err, relay.ErrRemote) {
		t.Errorf("%v", err)
	}
	d.Close()
	if d.NameserverAddr() != "" {
		t.Error("it listens")
	}
}

// Where the address is taken the next one serves; none of them may be beyond
// loopback.
func TestNameserverElsewhere(t *testing.T) {
	first := relay.Start(t, relay.Nameserver("127.0.0.1:0"))
	second := relay.Start(t, relay.Nameserver(first.NameserverAddr(), "127.0.0.1:0"))
	if a := second.NameserverAddr(); a == "" || a == first.NameserverAddr() {
		t.Errorf("the second serves names at %q, the first at %q", a, first.NameserverAddr())
	}
	for _, instead := range [][]string{nil, {"0.0.0.0:0"}} {
		d, err := relay.NewDemo(relay.Nameserver(first.NameserverAddr(), instead...))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(); err == nil {
			t.Errorf("%q: it listens at %s", instead, d.NameserverAddr())
		}
		d.Close()
	}
}
