package relay_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// clientFaults are presets whose fault is the sending system's own: a probe does
// right what that system does wrong, and is accepted. So it proves whose fault it
// is; what the fault is shows in that system's own session with the relay.
var clientFaults = []string{"ip-on-587", "auth-before-tls", "implicit-tls-on-587", "connector-bypassed", "tester-rcpt-r"}

// The loop is closed: a preset is set up, the probe walks the road of its
// client, and the judge says what the preset's truth says. There is no preset
// without a way to it.
func TestProbeFindsTheTruth(t *testing.T) {
	found := 0
	for _, s := range relay.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rep, r := probeScenario(t, s)
				if len(rep.Sessions) != 1 {
					t.Fatalf("%d sessions", len(rep.Sessions))
				}
				got, truth := rep.Sessions[0], s.Truth
				switch {
				case slices.Contains(clientFaults, s.Name):
					if got.Verdict != "ready" {
						t.Errorf("the probe does what the client does wrong: %s/%s", got.Verdict, got.Stage)
					}
					clientTellsTheTruth(t, s)
					return
				case s.Name == "relay-pool-ip":
					// The refusal is that of any address that is not listed; that it was
					// Exchange Online's pool only a report of its own tells.
					if ids := causeIDs(got.Causes); string(got.Verdict) != truth.Verdict || !slices.Contains(ids, "sending-server-not-listed") {
						t.Errorf("%s/%s %v", got.Verdict, got.Stage, ids)
					}
					clientTellsTheTruth(t, s)
					return
				case strings.HasPrefix(s.Name, "downstream-"):
					if got.Verdict != "ready" || got.Stage != "accepted" {
						t.Errorf("the relay took the message: %s/%s", got.Verdict, got.Stage)
					}
					laterHopTellsTheTruth(t, s, r)
					return
				}
				stage := truth.Stage
				if truth.Verdict == "ready" && s.Deliver {
					stage = "accepted"
				}
				verdict := truth.Verdict
				if verdict == "mixed" {
					verdict = "deferred" // only a headline is mixed; a session has the verdict of its worst recipient
				}
				if string(got.Verdict) != verdict || got.Stage != stage || string(got.Party) != truth.Party {
					t.Errorf("%s/%s, %s; the truth is %s/%s, %s", got.Verdict, got.Stage, got.Party, truth.Verdict, stage, truth.Party)
				}
				causes := got.Causes
				if got.Expected {
					causes = rep.Causes // a refusal that the intent expects has no cause in its session, only in the headline
				}
				holdsTruth(t, s, causeIDs(causes))
				if truth.Finding != "" && !slices.ContainsFunc(rep.Findings, func(f analyze.Finding) bool { return f.ID == truth.Finding }) {
					t.Errorf("no finding %s", truth.Finding)
				}
			})
			if !t.Failed() {
				found++
			}
		})
	}
	if all := len(relay.Scenarios()); found != all {
		t.Errorf("%d presets found of %d", found, all)
	}
}

func causeIDs(causes []analyze.Cause) []string {
	var ids []string
	for _, c := range causes {
		ids = append(ids, c.ID)
	}
	return ids
}

// holdsTruth wants the true cause among the causes and none that does not fit
// what was seen; where the truth is not ambiguous, exactly it.
func holdsTruth(t *testing.T, s relay.Scenario, ids []string) {
	t.Helper()
	if s.Truth.Finding != "" || len(s.Truth.Causes) == 0 {
		return
	}
	if !slices.Contains(ids, s.Truth.Causes[0]) {
		t.Errorf("the causes %v do not hold %s", ids, s.Truth.Causes[0])
	}
	for _, id := range ids {
		if !slices.Contains(s.Truth.Causes, id) {
			t.Errorf("the cause %s does not fit what was seen", id)
		}
	}
}

// artefact is a test in openssl s_client that broke itself: a line that begins
// with an upper-case R is its own command.
const artefact = `$ openssl s_client -starttls smtp -connect outbound-us1.ppe-hosted.com:587
CONNECTED(00000003)
250 CHUNKING
EHLO mail.customer.example
250-mx1-us1.ppe-hosted.com
250 CHUNKING
MAIL FROM:<alerts@customer.example>
250 2.1.0 Ok
RCPT TO:<bob@recipient.example>
RENEGOTIATING
140338112517440:error:14094153:SSL routines:ssl3_read_bytes:no renegotiation
`

// clientTellsTheTruth has the preset's own client talk to the relay and reads
// what it would paste: its dialogue, or the report it got.
func clientTellsTheTruth(t *testing.T, s relay.Scenario) {
	t.Helper()
	r, w := startWorld(t, s)
	session := r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: s.Deliver, Patience: time.Minute})
	var text bytes.Buffer
	switch s.Name {
	case "tester-rcpt-r":
		text.WriteString(artefact)
	case "connector-bypassed":
		compose(t, &text, bounce.ExchangeOnline, transcript.Session{
			Server: "mx.recipient.example", Address: "192.0.2.90", Port: 25, Began: session.Began,
			Exchanges: []transcript.Exchange{
				{Stage: transcript.StageEnvelope, Command: "MAIL FROM:<" + w.Client.Sender + ">", Reply: reply("250 2.1.0 Ok")},
				{
					Stage: transcript.StageEnvelope, Command: "RCPT TO:<" + w.Client.Recipient + ">",
					Reply: reply("550 5.7.23 The message was rejected because of the SPF policy of " + relay.DefaultDomain + ": v=spf1 include:_spf-us.ppe-hosted.com -all"),
				},
			},
		}, bounce.Options{})
	case "relay-pool-ip":
		compose(t, &text, bounce.ExchangeOnline, session, bounce.Options{})
	default:
		if err := transcript.Format(&text, &session, transcript.FormatOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	tells(t, s, text.Bytes())
}

// laterHopTellsTheTruth has the relay report what the next server did to the
// message that it took.
func laterHopTellsTheTruth(t *testing.T, s relay.Scenario, r *relay.Relay) {
	t.Helper()
	messages := r.Messages()
	if len(messages) != 1 || messages[0].Fate == nil {
		t.Fatalf("messages %+v", messages)
	}
	record, _ := r.Session(messages[0].Session)
	fate := messages[0].Fate
	var text bytes.Buffer
	compose(t, &text, bounce.Service, record.Session, bounce.Options{Next: &bounce.Next{Host: fate.Host, Address: fate.Address, Reply: fate.Reply, Delayed: fate.Delayed}})
	tells(t, s, text.Bytes())
}

func compose(t *testing.T, to *bytes.Buffer, family bounce.Family, session transcript.Session, o bounce.Options) {
	t.Helper()
	report, err := bounce.Compose(family, session, o)
	if err != nil {
		t.Fatal(err)
	}
	to.Write(report)
}

func reply(line string) transcript.Reply {
	r, _ := transcript.ParseReply(line)
	return r
}

// tells wants the analysis of a text to say the truth.
func tells(t *testing.T, s relay.Scenario, text []byte) {
	t.Helper()
	rep := analyze.Analyze(text, analyze.Options{})
	if len(rep.Outcomes) != 1 {
		t.Fatalf("%d outcomes:\n%s", len(rep.Outcomes), text)
	}
	got := rep.Outcomes[0]
	if string(got.Verdict) != s.Truth.Verdict || got.Stage != s.Truth.Stage && s.Name != "relay-pool-ip" || string(got.Party) != s.Truth.Party {
		t.Errorf("%s/%s, %s; the truth is %s/%s, %s\n%s", got.Verdict, got.Stage, got.Party, s.Truth.Verdict, s.Truth.Stage, s.Truth.Party, text)
	}
	ids := causeIDs(got.Causes)
	if s.Name == "relay-pool-ip" { // a report without a port fits causes on 587, too
		ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(s.Truth.Causes, id) })
	}
	holdsTruth(t, s, ids)
}

// A client that speaks TLS at once to 587 can be probed too: as port 465.
func TestImplicitTLSIsFoundByAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := relay.FindScenario("implicit-tls-on-587")
		r, w := startWorld(t, s)
		res, err := probe.Run(context.Background(), probe.Target{Host: w.Client.Host, Ports: []int{465}}, probe.Plan{}, probe.Options{
			RootCAs: r.RootCAs(), Resolver: r, Now: time.Now,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return r.DialFrom(ctx, w.Client.Address, relay.PortAuth)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		rep := analyze.JudgeProbe(analyze.Probe{Target: w.Client.Host, Intent: analyze.IntentAuth, Sessions: res.Sessions}, analyze.Options{})
		if got := rep.Sessions[0]; string(got.Verdict) != s.Truth.Verdict || got.Stage != s.Truth.Stage || string(got.Party) != s.Truth.Party {
			t.Errorf("%s/%s, %s", got.Verdict, got.Stage, got.Party)
		}
		holdsTruth(t, s, causeIDs(rep.Sessions[0].Causes))
	})
}

// A message that was on its way whole when the connection broke may have been
// delivered, whatever the server says: the short one leaves that open, the long
// one does not, since its end was never sent.
func TestShortMessageLeavesItOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := relay.FindScenario("drop-in-data")
		s.Truth.Verdict, s.Truth.Causes = "insufficient-evidence", []string{"outcome-unknown"}
		rep, _ := probeScenario(t, s, shortMessage)
		if got := rep.Sessions[0]; string(got.Verdict) != s.Truth.Verdict {
			t.Errorf("%s/%s", got.Verdict, got.Stage)
		}
		holdsTruth(t, s, causeIDs(rep.Sessions[0].Causes))
	})
}

const shortMessage = "Subject: x\r\n\r\nA message of a scenario, long enough to be over a small limit.\r\n"

// probeScenario sets a preset up and probes it as its client would. message is
// what is sent where the preset goes so far; the default is longer than what a
// connection holds.
func probeScenario(t *testing.T, s relay.Scenario, message ...string) (*analyze.Report, *relay.Relay) {
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
		plan.Message = []byte(shortMessage + strings.Repeat("and longer than what is under way on a connection\r\n", 6000))
		if len(message) > 0 {
			plan.Message = []byte(message[0])
		}
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
	return rep, r
}

func recipientsOf(c policy.Client) []string {
	local, domain, _ := strings.Cut(c.Recipient, "@")
	out := []string{c.Recipient}
	for i := 2; i <= c.Recipients; i++ {
		out = append(out, local+"-"+string(rune('0'+i))+"@"+domain)
	}
	return out
}
