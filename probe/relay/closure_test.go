package relay_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// noProbe are the presets whose client the probe is not, or whose truth shows
// elsewhere.
var noProbe = map[string]string{
	"ip-on-587":              "the probe has nothing to try after TLS without a credential",
	"auth-before-tls":        "the probe uses STARTTLS",
	"implicit-tls-on-587":    "the probe uses STARTTLS",
	"too-many-rcpts":         "a session has one verdict; only a headline is mixed",
	"downstream-refuses":     "a later hop's answer comes as a report",
	"downstream-spf":         "a later hop's answer comes as a report",
	"downstream-deferred":    "a later hop's answer comes as a report",
	"downstream-unreachable": "a later hop's answer comes as a report",
	"connector-bypassed":     "the sending system's own road",
	"tester-rcpt-r":          "another tester's fault",
	"relay-pool-ip":          "the probe does not come from Exchange Online",
	"drop-in-data":           "open: the record does not tell a message cut short from a reply that was lost",
}

// The loop is closed: a preset is set up, the probe walks the road of its
// client, and the judge says what the preset's truth says.
func TestProbeFindsTheTruth(t *testing.T) {
	found := 0
	for _, s := range relay.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			if why := noProbe[s.Name]; why != "" {
				t.Skip(why)
			}
			synctest.Test(t, func(t *testing.T) {
				rep := probeScenario(t, s)
				if len(rep.Sessions) != 1 {
					t.Fatalf("%d sessions", len(rep.Sessions))
				}
				got, truth := rep.Sessions[0], s.Truth
				stage := truth.Stage
				if truth.Verdict == "ready" && s.Deliver {
					stage = "accepted"
				}
				if string(got.Verdict) != truth.Verdict || got.Stage != stage || string(got.Party) != truth.Party {
					t.Errorf("%s/%s, %s; the truth is %s/%s, %s", got.Verdict, got.Stage, got.Party, truth.Verdict, stage, truth.Party)
				}
				if len(truth.Causes) > 0 && len(got.Causes) > 0 {
					var ids []string
					for _, c := range got.Causes {
						ids = append(ids, c.ID)
					}
					if !slices.Contains(ids, truth.Causes[0]) {
						t.Errorf("the causes %v do not hold %s", ids, truth.Causes[0])
					}
					for _, id := range ids {
						if !slices.Contains(truth.Causes, id) {
							t.Errorf("the cause %s does not fit what was seen", id)
						}
					}
				}
				if truth.Finding != "" && !slices.ContainsFunc(rep.Findings, func(f analyze.Finding) bool { return f.ID == truth.Finding }) {
					t.Errorf("no finding %s", truth.Finding)
				}
			})
			if !t.Failed() {
				found++
			}
		})
	}
	if found < 60 {
		t.Errorf("%d presets found", found)
	}
}

// probeScenario sets a preset up and probes it as its client would.
func probeScenario(t *testing.T, s relay.Scenario) *analyze.Report {
	t.Helper()
	r, w := startWorld(t, s)
	c := w.Client
	plan := probe.Plan{HELO: "mail.customer.example", From: []string{c.Sender}, To: recipientsOf(c), Size: c.Size}
	if c.Sender == "" {
		plan.From = []string{"<>"}
	}
	if c.Auth {
		plan.Credential = probe.NewCredential(c.Host, c.Username, c.Password)
		if s.Name == "mech-missing" { // a client that knows fewer mechanisms than the probe
			plan.Mechanism = strings.ToLower(c.Mechanisms[0])
		}
	}
	if s.Deliver {
		plan.StopAfter = "data"
		if plan.Size == 0 {
			plan.Size = 1 // a client that declares less than it sends
		}
		plan.Message = []byte("Subject: x\r\n\r\nA message of a scenario, long enough to be over a small limit.\r\n")
	}
	intent := analyze.IntentAuth
	if !c.Auth {
		intent = analyze.IntentServer
	}
	var rep *analyze.Report
	for range max(s.Sessions, 1) {
		res, err := probe.Run(context.Background(), probe.Target{Host: c.Host, Ports: []int{c.Port}}, plan, probe.Options{
			RootCAs: r.RootCAs(), Resolver: r, Now: time.Now, Timeout: 40 * time.Second, Deadline: 20 * time.Minute,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return r.DialFrom(ctx, c.Address, c.Port) },
		})
		if err != nil {
			t.Fatal(err)
		}
		rep = analyze.JudgeProbe(analyze.Probe{
			Target: c.Host, Intent: intent, Sessions: res.Sessions, Partial: res.Partial,
			Planned: analyze.Planned{Credential: plan.Credential != nil, From: plan.From, To: plan.To, StopAfter: plan.StopAfter},
		}, analyze.Options{})
	}
	return rep
}

func recipientsOf(c policy.Client) []string {
	local, domain, _ := strings.Cut(c.Recipient, "@")
	out := []string{c.Recipient}
	for i := 2; i <= c.Recipients; i++ {
		out = append(out, local+"-"+string(rune('0'+i))+"@"+domain)
	}
	return out
}
