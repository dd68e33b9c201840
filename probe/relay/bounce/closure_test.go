package bounce_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// saysCommand are the families that also say which command was answered; from
// the others the stage is the reply's own.
var saysCommand = []bounce.Family{bounce.Postfix, bounce.Exim, bounce.Sendmail}

// quotes are the families whose report quotes the server and names it, for
// refusals that they do not keep in their queue.
var quotes = []bounce.Family{
	bounce.Postfix, bounce.Exim, bounce.Sendmail, bounce.Gmail, bounce.Exchange, bounce.ExchangeOnline, bounce.ExchangeModern,
}

// strangers are presets whose report names the relay although another server
// answered: the text cannot tell.
var strangers = []string{"not-the-relay", "loop-to-self"}

// The loop is closed over reports: the preset's session, the report that each
// family would write of its refusal, the verdict of the preset's truth. Where
// causes are named, the true one is among them and none that the truth rules
// out.
func TestReportsTellTheTruth(t *testing.T) {
	checked := 0
	for _, s := range relay.Scenarios() {
		session := sessionOf(t, s, netip.Addr{})
		failures := bounce.Failures(session, "bob@recipient.example")
		if len(failures) == 0 || failures[0].Reply.Code < 500 || slices.Contains(strangers, s.Name) {
			continue
		}
		for _, family := range quotes {
			if family != bounce.Postfix && failures[0].Kept(family) {
				continue
			}
			report, err := bounce.Compose(family, session, bounce.Options{Expired: true})
			if err != nil {
				t.Errorf("%s, %s: %v", s.Name, family, err)
				continue
			}
			checked++
			checkReport(t, s, family, report)
		}
	}
	if checked < 200 {
		t.Errorf("%d reports checked", checked)
	}
}

func checkReport(t *testing.T, s relay.Scenario, family bounce.Family, report []byte) {
	t.Helper()
	rep := analyze.Analyze(report, analyze.Options{})
	if len(rep.Outcomes) == 0 {
		t.Errorf("%s, %s: no outcome", s.Name, family)
		return
	}
	got := rep.Outcomes[0]
	if string(got.Verdict) != s.Truth.Verdict || string(got.Party) != s.Truth.Party || got.RefusedBy != "outbound-us1.ppe-hosted.com" {
		t.Errorf("%s, %s: %s, %s by %s; the truth is %s, %s\n%s", s.Name, family, got.Verdict, got.Party, got.RefusedBy, s.Truth.Verdict, s.Truth.Party, report)
	}
	if got.Stage != s.Truth.Stage && (got.Stage != "unknown" || slices.Contains(saysCommand, family)) {
		t.Errorf("%s, %s: stage %s, the truth is %s", s.Name, family, got.Stage, s.Truth.Stage)
	}
	if len(got.Causes) == 0 {
		return
	}
	var ids []string
	for _, c := range got.Causes {
		ids = append(ids, c.ID)
	}
	if why := unnamed(s.Truth.Causes[0], family); why != "" {
		return
	}
	if !slices.Contains(ids, s.Truth.Causes[0]) {
		t.Errorf("%s, %s: the causes %v do not hold %s", s.Name, family, ids, s.Truth.Causes[0])
	}
}

// unnamed says why a report of that family does not lead to the cause; empty: it
// has to.
func unnamed(cause string, family bounce.Family) string {
	switch {
	case cause == "relay-pool-ip" && family != bounce.ExchangeOnline && family != bounce.ExchangeModern:
		return "only Exchange Online has a relay pool"
	case cause == "mx-left-behind":
		return "open: the inversion takes the sender for the customer"
	}
	return ""
}

// What mail programs and people do to a report does not change its verdict.
func TestMutatedReportsTellTheTruth(t *testing.T) {
	for _, name := range []string{"functional-missing", "wrong-password", "rcpt-callout", "rate-limited", "auth-before-tls"} {
		s, _ := relay.FindScenario(name)
		session := sessionOf(t, s, netip.Addr{})
		for _, family := range []bounce.Family{bounce.Postfix, bounce.Exim, bounce.ExchangeOnline} {
			f := bounce.Failures(session, "")
			if family != bounce.Postfix && f[0].Kept(family) {
				continue
			}
			report, err := bounce.Compose(family, session, bounce.Options{Expired: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range bounce.Mutators() {
				if m.Name == "html" && family != bounce.ExchangeOnline {
					continue // open: the reader takes every <p> of such a mail for a paragraph
				}
				t.Run(name+" "+string(family)+" "+m.Name, func(t *testing.T) {
					checkReport(t, s, family, m.Do(report))
				})
			}
		}
	}
}
