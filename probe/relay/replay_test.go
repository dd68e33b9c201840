package relay_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// Played again, every preset's session shows its client the same failure: stage,
// fault, reply and what is wrong with TLS.
func TestReplayPresets(t *testing.T) {
	for _, s := range relay.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := startWorld(t, s)
				session := r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: s.Deliver, Patience: time.Minute})
				p := relay.Replay(session, relay.InMemory())
				err := p.Start()
				if x, failed := failure(session); failed && (x.Stage == transcript.StageResolve || x.Stage == transcript.StageConnect) {
					if !errors.Is(err, relay.ErrNeverReached) {
						t.Errorf("a session that reached nobody: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				again := relay.TryAt(context.Background(), p, relay.Attempt{Client: w.Client, Deliver: s.Deliver, Patience: time.Minute})
				was, failedWas := failure(session)
				is, failedIs := failure(again)
				if failedWas != failedIs || was.Stage != is.Stage || was.Fault != is.Fault || was.Reply.Text() != is.Reply.Text() || was.Reply.Code != is.Reply.Code {
					t.Errorf("was %+v\n is %+v", was, is)
				}
				if session.TLS != nil && again.TLS != nil && session.TLS.Problem != again.TLS.Problem {
					t.Errorf("TLS was %q, is %q", session.TLS.Problem, again.TLS.Problem)
				}
			})
		})
	}
}

// A report shows one refusal; the rest of the session is healthy.
func TestReplayReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := relay.Replay(transcript.Session{
			Source: "postfix-dsn", Server: "outbound-eu1.ppe-hosted.com", Port: 587,
			Exchanges: []transcript.Exchange{{
				Stage: transcript.StageEnvelope, Command: "RCPT TO:<desk@partner.example>",
				Reply: transcript.Reply{Code: 554, Enhanced: "5.7.1", Lines: []string{"554 5.7.1 <desk@partner.example>: Relay access denied"}},
			}},
		}, relay.InMemory())
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		client := policy.Client{
			Host: "outbound-eu1.ppe-hosted.com", Port: 587, StartTLS: true, Auth: true, Username: "u", Password: "p", Mechanisms: []string{"LOGIN"},
			Sender: "a@b.example", Recipient: "desk@partner.example", Recipients: 1, Address: netip.MustParseAddr("127.0.0.1"),
		}
		session := relay.TryAt(context.Background(), p, relay.Attempt{Client: client})
		x, _ := failure(session)
		if x.Reply.Text() != "<desk@partner.example>: Relay access denied" || !x.Secure {
			t.Errorf("%+v", session.Exchanges)
		}
		if heard := p.Heard(); len(heard) != 9 {
			t.Errorf("heard %q", heard)
		}
		// Without its code, as .NET prints it, it is still a refusal.
		q := relay.Replay(transcript.Session{Exchanges: []transcript.Exchange{{
			Stage: transcript.StageAuth, Command: "AUTH PLAIN [secret-1]", Reply: transcript.Reply{Enhanced: "5.7.8", Lines: []string{"5.7.8 Error: authentication failed"}},
		}}}, relay.InMemory())
		if err := q.Start(); err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		client.Host = q.ServerName()
		x, _ = failure(relay.TryAt(context.Background(), q, relay.Attempt{Client: client}))
		if x.Stage != transcript.StageAuth || x.Reply.Code != 550 {
			t.Errorf("%+v", x)
		}
	})
}
