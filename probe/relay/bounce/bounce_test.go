package bounce_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// sessionOf runs a preset and returns the session as its client saw it; from
// replaces the client's address, if it is valid.
func sessionOf(t *testing.T, s relay.Scenario, from netip.Addr) transcript.Session {
	t.Helper()
	var session transcript.Session
	synctest.Test(t, func(t *testing.T) {
		w, err := relay.World(relay.System.Now(), s)
		if err != nil {
			t.Fatal(err)
		}
		r := relay.New(w.Account, relay.InMemory())
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if from.IsValid() {
			w.Client.Address = from
		}
		body := 0
		if s.Name == "drop-in-data" {
			body = 300 << 10 // longer than what is under way on a connection
		}
		for range max(s.Sessions, 1) {
			session = r.Try(context.Background(), relay.Attempt{Client: w.Client, Deliver: s.Deliver, Body: body, Patience: time.Minute})
		}
	})
	return session
}

// nextOf is what the hop behind the relay did in the presets that have one.
func nextOf(name string) *bounce.Next {
	next := bounce.Next{Host: "mx.recipient.example", Address: "192.0.2.90"}
	switch name {
	case "downstream-refuses":
		next.Reply = "550 5.1.1 <bob@recipient.example>: no such mailbox"
	case "downstream-spf":
		next.Reply = "550 5.7.1 Message rejected per sender's SPF policy"
	case "downstream-deferred":
		next.Reply, next.Delayed = "452 4.3.1 Insufficient system storage", true
	case "downstream-unreachable":
	default:
		return nil
	}
	return &next
}

// optionsFor are those of a whole report: the queue has given up, and the
// service's own report tells of the hop behind it. It reports false for a preset
// that has none.
func optionsFor(family bounce.Family, preset string) (o bounce.Options, ok bool) {
	o.Expired = true
	if family == bounce.Service {
		o.Next = nextOf(preset)
		return o, o.Next != nil
	}
	return o, true
}

// notOfFamily says what a family has no text for: a refusal for good does not
// wait for the queue to expire, and Exchange Online's connectors cannot log in.
func notOfFamily(family bounce.Family, f *bounce.Failure) bool {
	switch family {
	case bounce.ExchangeExpire:
		return !f.Kept(bounce.ExchangeOnline) || f.Kind == bounce.NoMech
	case bounce.Exchange, bounce.ExchangeOnline, bounce.ExchangeModern, bounce.Gmail, bounce.Outlook:
		return f.Kind == bounce.NoMech
	}
	return false
}

// Every family reports about every failing preset, or says why it does not; the
// same session gives the same bytes; what a family is said to name it names.
func TestEveryFamily(t *testing.T) {
	composed := 0
	for _, s := range relay.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			session := sessionOf(t, s, netip.Addr{})
			failures := bounce.Failures(session, "bob@recipient.example")
			for _, info := range bounce.Families() {
				o, ok := optionsFor(info.Family, s.Name)
				if !ok {
					continue
				}
				report, err := bounce.Compose(info.Family, session, o)
				if len(failures) == 0 && o.Next == nil {
					if !errors.Is(err, bounce.ErrNothingFailed) {
						t.Errorf("%s: %v, nothing failed", info.Family, err)
					}
					continue
				}
				if errors.Is(err, bounce.ErrFamily) && notOfFamily(info.Family, &failures[0]) {
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", info.Family, err)
					continue
				}
				composed++
				again, _ := bounce.Compose(info.Family, session, o)
				if !bytes.Equal(report, again) {
					t.Errorf("%s: not the same twice", info.Family)
				}
				text := string(report)
				if strings.Contains(text, "%!") || strings.Contains(text, "\r") {
					t.Errorf("%s: %s", info.Family, text)
				}
				if info.NamesHost && len(failures) > 0 && failures[0].Reply.Code >= 500 && !failures[0].Kept(info.Family) &&
					!strings.Contains(text, failures[0].Host) {
					t.Errorf("%s does not name %s:\n%s", info.Family, failures[0].Host, text)
				}
				for _, m := range bounce.Mutators() {
					if len(m.Do(report)) == 0 {
						t.Errorf("%s: nothing left after %s", info.Family, m.Name)
					}
				}
			}
		})
	}
	if composed < 800 {
		t.Errorf("%d reports composed", composed)
	}
}

// A system keeps what is temporary in its queue until that expires.
func TestKept(t *testing.T) {
	s, _ := relay.FindScenario("wrong-password")
	session := sessionOf(t, s, netip.Addr{})
	if _, err := bounce.Compose(bounce.Postfix, session, bounce.Options{}); !errors.Is(err, bounce.ErrKept) {
		t.Errorf("Postfix and a 535: %v", err)
	}
	if _, err := bounce.Compose(bounce.Sendmail, session, bounce.Options{}); err != nil {
		t.Errorf("Sendmail and a 535: %v", err)
	}
	if _, err := bounce.Compose("no-such", session, bounce.Options{}); err == nil {
		t.Error("an unknown family was composed")
	}
	if _, err := bounce.Compose(bounce.Service, session, bounce.Options{}); !errors.Is(err, bounce.ErrFamily) {
		t.Errorf("the service without a later hop: %v", err)
	}
	delay, err := bounce.Compose(bounce.Postfix, session, bounce.Options{Delay: true})
	if err != nil || !strings.Contains(string(delay), "Action: delayed") || !strings.Contains(string(delay), "THIS IS A WARNING ONLY") {
		t.Errorf("delay warning: %v\n%s", err, delay)
	}
}

// The visible part of a mail is its first part.
func TestVisible(t *testing.T) {
	s, _ := relay.FindScenario("functional-missing")
	session := sessionOf(t, s, netip.Addr{})
	report, err := bounce.Compose(bounce.Postfix, session, bounce.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]func(string) bool{
		"text-only": func(s string) bool {
			return strings.HasPrefix(s, "This is the mail system at host") && !strings.Contains(s, "Reporting-MTA")
		},
		"quoted": func(s string) bool { return strings.HasPrefix(s, "> This is the mail") && strings.Count(s, "\n> ") > 4 },
		"no-status": func(s string) bool {
			return !strings.Contains(s, "Reporting-MTA") && strings.Contains(s, "message/rfc822")
		},
		"unindented": func(s string) bool { return !strings.Contains(s, "\n ") && strings.Contains(s, "Relay access denied") },
		"zero-width": func(s string) bool { return !strings.Contains(s, "ppe-hosted.com") },
		"html":       func(s string) bool { return strings.Contains(s, "ppe&#45;hosted") },
		"crlf":       func(s string) bool { return strings.Count(s, "\r\n") == strings.Count(s, "\n") },
		"base64":     func(s string) bool { return !strings.Contains(s, "denied") },
		"upper-host": func(s string) bool { return strings.Contains(s, "OUTBOUND-US1.PPE-HOSTED.COM.[") },
	} {
		out, err := bounce.Mutate(report, name)
		if err != nil || !check(string(out)) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if _, err := bounce.Mutate(report, "no-such"); err == nil {
		t.Error("an unknown mutator was applied")
	}
}
