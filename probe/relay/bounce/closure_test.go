package bounce_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// saysCommand are the families that also say which command was answered; from
// the others the stage is the reply's own.
var saysCommand = []bounce.Family{bounce.Postfix, bounce.Exim, bounce.Sendmail}

var microsoft = []bounce.Family{bounce.Exchange, bounce.ExchangeOnline, bounce.ExchangeModern, bounce.ExchangeExpire, bounce.Outlook}

// blind are the texts that cannot tell the truth whoever reads them: the format
// has one word for different things, or the world looks the same from there.
var blind = []struct {
	presets  []string
	families []bounce.Family // nil: all
	why      string
}{
	{[]string{"not-the-relay", "loop-to-self"}, nil, "the report names the relay as the host it dialled; that another server answered, only a dialogue with its banner shows"},
	{[]string{"relay-pool-ip"}, []bounce.Family{
		bounce.Postfix, bounce.Exim, bounce.Gmail, bounce.Sendmail, bounce.Exchange, bounce.Outlook, bounce.Swaks, bounce.MSMTP, bounce.Smtplib, bounce.DotNet, bounce.Curl,
	}, "only Exchange Online has a relay pool"},
	{[]string{"banner-silent", "banner-drop", "reset-at-ehlo", "reset-at-mail", "reset-at-rcpt", "drop-in-data", "drop-after-dot"}, []bounce.Family{bounce.Gmail}, "Google writes \"did not accept our requests to connect\" wherever a connection ends"},
	{[]string{"banner-silent"}, []bounce.Family{bounce.Sendmail, bounce.Outlook, bounce.ExchangeOnline, bounce.ExchangeModern, bounce.ExchangeExpire}, "a connect that timed out and a greeting that never came have the same words"},
	{[]string{"reset-at-mail", "reset-at-rcpt", "drop-in-data", "drop-after-dot"}, microsoft, "Exchange and Outlook write that the connection was dropped, wherever it broke"},
}

func isBlind(preset string, family bounce.Family) bool {
	return slices.ContainsFunc(blind, func(b struct {
		presets  []string
		families []bounce.Family
		why      string
	},
	) bool {
		return slices.Contains(b.presets, preset) && (b.families == nil || slices.Contains(b.families, family))
	})
}

// The loop is closed over reports: the preset's session, the text that each
// family would show of it, the verdict and the causes of the preset's truth. A
// text that names no host at all leaves the verdict open and asks for more; the
// causes that it allows hold the truth all the same.
func TestReportsTellTheTruth(t *testing.T) {
	told, open, exact := 0, 0, 0
	for _, s := range relay.Scenarios() {
		session := sessionOf(t, s, netip.Addr{})
		for _, info := range bounce.Families() {
			o, ok := optionsFor(info.Family, s.Name)
			if !ok {
				continue
			}
			report, err := bounce.Compose(info.Family, session, o)
			if err != nil || isBlind(s.Name, info.Family) {
				continue // TestEveryFamily says which it has to compose
			}
			if checkText(t, s, info, report) {
				told++
			} else {
				open++
			}
			if len(s.Truth.Causes) == 1 {
				exact++
			}
		}
	}
	t.Logf("%d texts say the truth, %d name no relay and leave it open; %d have one cause only", told, open, exact)
	if told < 550 || open > 380 {
		t.Errorf("%d texts say the truth, %d leave it open", told, open)
	}
}

// checkText reports whether the text says the verdict.
func checkText(t *testing.T, s relay.Scenario, info bounce.Info, text []byte) (says bool) {
	t.Helper()
	rep := analyze.Analyze(text, analyze.Options{})
	i := slices.IndexFunc(rep.Outcomes, func(o analyze.Outcome) bool { return o.Verdict != analyze.NotAFailure })
	if i < 0 {
		i = 0
	}
	if len(rep.Outcomes) == 0 {
		t.Errorf("%s, %s: no outcome\n%s", s.Name, info.Family, text)
		return false
	}
	got, truth := rep.Outcomes[i], s.Truth
	if truth.Verdict == "mixed" {
		truth.Verdict = "deferred" // the recipients that were not taken
	}
	ids := causeIDs(&got)
	cause := truth.Causes[0]
	if string(got.Verdict) == "insufficient-evidence" && (truth.Verdict != "insufficient-evidence" || len(ids) == 0) {
		switch {
		case namesRelay(text) && info.Family != bounce.Exim && info.Family != bounce.Sendmail:
			// Those two name a host beside words that do not tell what happened there.
			t.Errorf("%s, %s names the relay and is left open\n%s", s.Name, info.Family, text)
		case len(rep.NextTests) == 0:
			t.Errorf("%s, %s is left open, and nothing is asked for\n%s", s.Name, info.Family, text)
		case len(ids) > 0 && !slices.Contains(ids, cause):
			t.Errorf("%s, %s: the causes %v do not hold %s\n%s", s.Name, info.Family, ids, cause, text)
		}
		return false
	}
	if string(got.Verdict) != truth.Verdict {
		t.Errorf("%s, %s: %s; the truth is %s\n%s", s.Name, info.Family, got.Verdict, truth.Verdict, text)
	}
	if !slices.Contains(ids, cause) {
		t.Errorf("%s, %s: the causes %v do not hold %s\n%s", s.Name, info.Family, ids, cause, text)
	}
	if info.Report && slices.Contains(saysCommand, info.Family) && got.RefusedBy != "" && got.Stage != truth.Stage && truth.Verdict != "never-reached" {
		t.Errorf("%s, %s: stage %s, the truth is %s\n%s", s.Name, info.Family, got.Stage, truth.Stage, text)
	}
	return true
}

func causeIDs(o *analyze.Outcome) []string {
	var ids []string
	for _, c := range o.Causes {
		ids = append(ids, c.ID)
	}
	return ids
}

// namesRelay says whether the text names the relay before the message that it
// returns.
func namesRelay(text []byte) bool {
	head, _, _ := strings.Cut(string(text), "\nContent-type: message/rfc822")
	return strings.Contains(strings.ToLower(head), "outbound-us1.ppe-hosted.com")
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
			o, _ := optionsFor(family, name)
			report, err := bounce.Compose(family, session, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range bounce.Mutators() {
				if m.Name == "html" && family != bounce.ExchangeOnline {
					continue // open: the reader takes every <p> of such a mail for a paragraph
				}
				t.Run(name+" "+string(family)+" "+m.Name, func(t *testing.T) {
					info, _ := bounce.Find(string(family))
					checkText(t, s, info, m.Do(report))
				})
			}
		}
	}
}
