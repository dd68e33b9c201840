package relay_test

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// Faults that no preset shows, as the client sees them.
func TestWireFaults(t *testing.T) {
	for _, c := range []struct {
		fault string
		want  string // stage, fault, reply
	}{
		{"client-refused", "greet  554 5.7.1 <unknown[203.0.113.9]>: Client host rejected: Access denied"},
		{"client-refused 521", "greet  521 5.3.2 Service currently unavailable"},
		{"client-refused 550", "greet  550 5.3.2 Service currently unavailable"},
		{"screening-busy resources", "greet  421 4.3.2 No system resources"},
		{"ip-blocked connect", "greet  550 5.7.1 Service unavailable; client [203.0.113.9] blocked using prs.proofpoint.com"},
		{"injection", "tls injection "},
		{"too-many-auth", "auth  450 4.7.1 Error: too many AUTH commands"},
		{"reset-at CONNECT", "greet reset "},
		{"reset-at STARTTLS", "tls reset "},
		{"reset-at AUTH", "auth reset "},
		{"reset-at DATA", "data reset "},
		{"reset-at .", "data reset "},
		{"tls-close", "tls closed "},
		{"cert-expired", "tls certificate "},
	} {
		t.Run(c.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := startWorld(t)
				if err := r.Set(c.fault); err != nil {
					t.Fatal(err)
				}
				x, _ := failure(r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: true, Patience: time.Minute}))
				if got := string(x.Stage) + " " + string(x.Fault) + " " + strings.Join(x.Reply.Lines, "|"); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// The greeting of the service's screening: two lines on 25, the second late; a
// client that waits for it hears both as one reply.
func TestTeaser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := relay.Start(t, relay.InMemory())
		if err := d.Set("teaser 20s"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, banner := dial(t, d.Relay, 25)
		if want := "220-mx1-us1.ppe-hosted.com - Please wait...\n220 mx1-us1.ppe-hosted.com - Welcome to PPE Hosted ESMTP Server"; banner != want {
			t.Errorf("banner %q", banner)
		}
		if waited := time.Since(began); waited != 20*time.Second {
			t.Errorf("waited %s", waited)
		}
		if _, banner := dial(t, d.Relay, 587); strings.Contains(banner, "220-") {
			t.Errorf("587: banner %q", banner)
		}
		if log := d.Log(); log[0].Decisions[0].Fault != "teaser" {
			t.Errorf("the log says %+v", log[0].Decisions[0])
		}
	})
}

// TLS that is switched off is neither offered nor given.
func TestTLSOff(t *testing.T) {
	d := relay.Start(t, relay.InMemory())
	if err := d.Set("tls-off"); err != nil {
		t.Fatal(err)
	}
	c, _ := dial(t, d.Relay, 587)
	if got := c.say("EHLO c.example"); strings.Contains(got, "STARTTLS") {
		t.Errorf("offered: %q", got)
	}
	c.want("STARTTLS", "502 5.5.1 Error: command not implemented")
}

// An inspecting firewall masks greeting and keywords, and STARTTLS is unknown.
func TestMaskedDialogue(t *testing.T) {
	d := relay.Start(t, relay.InMemory())
	if err := d.Set("smtp-inspection"); err != nil {
		t.Fatal(err)
	}
	c, banner := dial(t, d.Relay, 587)
	if !strings.HasPrefix(banner, "220 ***") || strings.ContainsAny(banner[4:], "abcdefghijklmnopqrstuvwxyzPE") {
		t.Errorf("banner %q", banner)
	}
	if got := c.say("EHLO c.example"); !strings.Contains(got, "250-XXXXXXXA") || strings.Contains(got, "STARTTLS") {
		t.Errorf("EHLO %q", got)
	}
	c.want("STARTTLS", "500 5.5.2 Error: command not recognized")
}

// Over TCP a port can refuse and hang, and comes back at the same address.
func TestClosedPorts(t *testing.T) {
	d := relay.Start(t)
	address := d.Addr(587)
	if err := d.Set("port-refused"); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused port: %v", err)
	}
	if _, err := d.Apply("fault clear"); err != nil {
		t.Fatal(err)
	}
	c, banner := dial(t, d.Relay, 587)
	if !strings.HasPrefix(banner, "220 ") || d.Addr(587) != address {
		t.Errorf("after it was mended: %q at %s", banner, d.Addr(587))
	}
	c.want("NOOP", "250 2.0.0 Ok")
	if runtime.GOOS != "linux" {
		return
	}
	if err := d.Set("port587-blocked"); err != nil {
		t.Fatal(err)
	}
	// The kernel accepts no third connection; a short patience shows that.
	dialer := net.Dialer{Timeout: 100 * time.Millisecond}
	_, err := dialer.Dial("tcp", address)
	if !errors.Is(err, os.ErrDeadlineExceeded) && !isTimeout(err) {
		t.Errorf("held port: %v", err)
	}
	if c, err := net.Dial("tcp", d.Addr(25)); err != nil {
		t.Errorf("the other port: %v", err)
	} else {
		c.Close()
	}
	if _, err := d.Apply("fault clear port587-blocked"); err != nil {
		t.Fatal(err)
	}
	c, _ = dial(t, d.Relay, 587)
	c.want("NOOP", "250 2.0.0 Ok")
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// What the relay writes down about a fault is what its client met.
func TestFaultInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := startWorld(t)
		if err := r.Set("drop-after-dot"); err != nil {
			t.Fatal(err)
		}
		r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: true})
		synctest.Wait()
		rec := r.Log()[0]
		d, i := rec.Decided()
		if i < 0 || d.Fault != "drop-after-dot" || rec.Session.Exchanges[i].Fault != transcript.FaultClosed || rec.Session.Exchanges[i].Command != "." {
			t.Errorf("%+v at %d: %+v", d, i, rec.Session.Exchanges)
		}
		if len(r.Messages()) != 0 {
			t.Error("the message counts as taken")
		}
	})
}

// The relay's own record is good for a report: its address, what its client
// found wrong with TLS, and what a later hop did.
func TestRecordForReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, problem := range map[string]string{
			"cert-expired": "certificate-expired", "cert-wrong-name": "certificate-name-mismatch", "tls10-only": "protocol-version",
		} {
			s, _ := relay.FindScenario(name)
			r, w := startWorld(t, s)
			r.Try(context.Background(), relay.Attempt{Client: w.Client})
			synctest.Wait()
			rec := r.Log()[0]
			if rec.Session.TLS == nil || rec.Session.TLS.Problem != problem || rec.Client != "203.0.113.9" || rec.Session.Address != "192.0.2.25" {
				t.Errorf("%s: %+v from %s to %s", name, rec.Session.TLS, rec.Client, rec.Session.Address)
			}
		}
		for name, want := range map[string]relay.Fate{
			"downstream-refuses":     {Host: "mx.recipient.example", Address: "192.0.2.90", Reply: "550 5.1.1 <bob@recipient.example>: no such mailbox"},
			"downstream-spf":         {Host: "mx.recipient.example", Address: "192.0.2.90", Reply: "550 5.7.1 Message rejected per sender's SPF policy"},
			"downstream-deferred":    {Host: "mx.recipient.example", Address: "192.0.2.90", Reply: "452 4.3.1 Insufficient system storage", Delayed: true},
			"downstream-unreachable": {Host: "mx.recipient.example", Address: "192.0.2.90"},
		} {
			s, _ := relay.FindScenario(name)
			r, w := startWorld(t, s)
			r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: true})
			synctest.Wait()
			if ms := r.Messages(); len(ms) != 1 || ms[0].Fate == nil || *ms[0].Fate != want {
				t.Errorf("%s: %+v", name, ms)
			}
		}
		r, w := startWorld(t)
		w.Client.Recipient = "bounce-550.5.2.2@fault.test"
		r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: true})
		synctest.Wait()
		if ms := r.Messages(); len(ms) != 1 || ms[0].Fate == nil || !strings.HasPrefix(ms[0].Fate.Reply, "550 5.2.2 ") {
			t.Errorf("bounce-: %+v", ms)
		}
	})
}
