package analyze

import (
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Ids of the findings that the judge makes. Others come with a probe (names)
// or from the readers' notes.
const (
	findingRelayDenied   = "relay-access-denied"
	findingForeignDenied = "foreign-relay-denied"
	findingOpenRelay     = "open-relay"
	findingSharedIP      = "shared-ip-spoofable"
	findingAuthAccepted  = "auth-accepted"
	findingAuthVanished  = "auth-vanished"
	findingMechanism     = "mechanism-missing"
	findingAuthInClear   = "auth-before-tls"
	findingNoStartTLS    = "starttls-not-offered"
	findingInjection     = "starttls-injection"
	findingInspection    = "smtp-inspection"
	findingCertSoon      = "certificate-expires-soon"
	findingCertProblem   = "certificate-not-trusted"
	findingSlow          = "slow-server"
	findingBanner        = "banner-mismatch"
	findingWrongHost     = "wrong-host"
	findingHELOOnly      = "helo-only"
	findingProtocol      = "protocol-violation"
	findingLimit         = "limit-reached"
	findingAddresses     = "addresses-differ"
	findingPort25Closed  = "port-25-closed"
	findingPartial       = "run-not-finished"
	findingLookalike     = "lookalike-host"
	findingQueueExpired  = "queue-expired"
	findingSecretMasked  = "secret-masked"
	findingCharset       = "charset-unknown"
	findingUnreadable    = "unreadable-input"
)

// judgeFindings are the findings that the judge itself makes. Most have a page
// among the findings; those that are causes too have theirs there, and their
// severity here.
var judgeFindings = [...]struct {
	id       string
	severity Severity // of a page that states none
	expected bool
}{
	{findingRelayDenied, Error, false},
	{findingForeignDenied, Warning, false},
	{findingOpenRelay, Error, false},
	{findingSharedIP, Warning, false},
	{findingAuthAccepted, Info, false},
	{findingAuthVanished, Error, false},
	{findingMechanism, Error, false},
	{findingAuthInClear, Warning, false},
	{findingNoStartTLS, Error, false},
	{findingInjection, Error, false},
	{findingInspection, Error, false},
	{findingCertSoon, Warning, false},
	{findingCertProblem, Error, false},
	{findingSlow, Warning, false},
	{findingBanner, Info, false},
	{findingWrongHost, Error, false},
	{findingHELOOnly, Warning, false},
	{findingProtocol, Warning, false},
	{findingLimit, Warning, false},
	{findingAddresses, Warning, false},
	{findingPort25Closed, Info, true},
	{findingPartial, Warning, false},
	{findingLookalike, Warning, false},
	{findingQueueExpired, Info, false},
	{findingSecretMasked, Info, false},
	{findingCharset, Info, false},
	{findingUnreadable, Warning, false},
}

// findingPages are the findings with the words of their pages, by id: a page is
// written once and read by reports and by "handoff explain".
var findingPages = sync.OnceValue(func() map[string]Finding {
	m := map[string]Finding{}
	for _, d := range causes.Findings() {
		m[d.ID] = fromPage(&d)
	}
	for _, j := range judgeFindings {
		f, ok := m[j.id]
		if !ok {
			d, _ := causes.Page(j.id)
			f = fromPage(&d)
			f.ID = j.id
		}
		if f.Severity == "" {
			f.Severity = j.severity
		}
		f.Expected = j.expected
		m[j.id] = f
	}
	return m
})

func fromPage(d *causes.Doc) Finding {
	f := Finding{ID: d.ID, Severity: Severity(d.Severity), Title: d.Title, Not: d.Not, Source: sourceText(d.Sources), Fix: []Fix{}}
	first, _, _ := strings.Cut(d.Means, "\n\n")
	f.Why = strings.Join(strings.Fields(first), " ")
	for _, x := range d.Fix {
		f.Fix = append(f.Fix, Fix{Who: Party(x.Who), Text: x.Text})
	}
	return f
}

// FindingOf is the finding of an id with the words of its page, for those who
// make findings of their own (names, passwords). It reports false when no page
// has that id; the finding then has nothing but the id.
func FindingOf(id string, evidence []Evidence) (Finding, bool) {
	f, ok := findingPages()[id]
	if !ok {
		f = Finding{ID: id, Severity: Info, Title: cutTitle(id), Fix: []Fix{}, Source: "handoff"}
	}
	if evidence == nil {
		evidence = []Evidence{}
	}
	f.Evidence = evidence
	return f, ok
}

func finding(id string, evidence []Evidence) Finding {
	f, _ := FindingOf(id, evidence)
	return f
}

// known reports whether the judge makes this finding itself.
func known(id string) bool {
	for i := range judgeFindings {
		if judgeFindings[i].id == id {
			return true
		}
	}
	return false
}

// maxTitle is the length of a finding's title.
const maxTitle = 72

// maxFindings bounds the findings of one report.
const maxFindings = 50

// findings are what is worth telling beside the verdicts of an analysis.
func (j *judge) findings(all []judgement, cases []ndr.Case) []Finding {
	out := []Finding{}
	seen := map[string]bool{}
	add := func(f Finding) {
		if len(out) < maxFindings {
			out = append(out, f)
		}
	}
	for i := range all {
		g := &all[i]
		for _, id := range [...]string{outcomeFinding(g), dialogueFinding(g)} {
			if id == "" || seen[id] {
				continue
			}
			seen[id] = true
			f := finding(id, firstEvidence(g.out.Evidence))
			if id == findingRelayDenied {
				f.Fix = deniedFixes(f.Fix, g.obs.Port, g.obs.AuthTried, g.obs.LoggedIn)
				if g.obs.Online {
					f.Fix = slices.DeleteFunc(slices.Clone(f.Fix), func(f Fix) bool { return f.Who == SenderSystem })
					f.Fix = append([]Fix{{Who: RelayConfig, Text: "List Office 365 among the Sending Servers. Exchange Online cannot log in on port 587."}}, f.Fix...)
				}
			}
			add(f)
		}
	}
	for i := range cases {
		for k := range cases[i].Notes {
			n := &cases[i].Notes[k]
			if n.ID == noteTester || n.ID == "" {
				continue
			}
			id := noteFinding(n.ID)
			var ev []Evidence
			if id != findingSecretMasked {
				if e, ok := j.cite(n.Span, string(ndr.Named)); ok {
					ev = []Evidence{e}
				}
			}
			if seen[id] && id != findingLimit {
				out = joinEvidence(out, id, ev)
				continue
			}
			f, page := FindingOf(id, ev)
			if n.Text != "" {
				f.Why = n.Text
				if !page {
					f.Title = cutTitle(n.Text)
				}
			}
			seen[id] = true
			add(f)
		}
	}
	if !seen[findingLookalike] {
		if ev := j.lookalikes(cases); len(ev) > 0 {
			add(finding(findingLookalike, ev))
		}
	}
	return out
}

// joinEvidence adds evidence to the finding of that id.
func joinEvidence(list []Finding, id string, ev []Evidence) []Finding {
	for i := range list {
		if f := &list[i]; f.ID == id && len(f.Evidence)+len(ev) <= maxEvidence {
			f.Evidence = append(f.Evidence, ev...)
		}
	}
	return list
}

// noteFinding is the finding that a reader's note stands for.
func noteFinding(id string) string {
	switch id {
	case "unknown-charset":
		return findingCharset
	case "unreadable":
		return findingUnreadable
	}
	return id
}

func firstEvidence(e []Evidence) []Evidence {
	if len(e) > 2 {
		e = e[:2]
	}
	return append([]Evidence(nil), e...)
}

// outcomeFinding is the finding that an outcome stands for, or "".
func outcomeFinding(g *judgement) string {
	switch {
	case g.out.Verdict == Refused && g.obs.Kind == transcript.KindRelayDenied:
		return findingRelayDenied
	case g.out.Verdict == NeverReached && g.item != nil && !g.item.Reply.IsZero() && deniedWords(&g.obs):
		return findingForeignDenied
	case g.item != nil && g.item.Expired && (g.out.Verdict == Deferred || g.out.Verdict == Refused) && !g.item.Reply.IsZero():
		return findingQueueExpired
	}
	return ""
}

// dialogueFinding is what the way of a dialogue shows beside its outcome, or "".
func dialogueFinding(g *judgement) string {
	switch {
	case g.item == nil || g.item.Session == nil:
	case g.obs.Masked:
		return findingInspection
	case g.out.Verdict == HandshakeFailed && g.obs.Stage == transcript.StageTLS && g.obs.StartTLS == transcript.No:
		return findingNoStartTLS
	}
	return ""
}

// deniedWords reports whether a reply has the words for a denial of relaying. The
// service's limit has them, other limits do not.
func deniedWords(obs *Observation) bool {
	switch obs.Kind {
	case transcript.KindRelayDenied, transcript.KindMicrosoftAttribution, transcript.KindMicrosoftRelayDenied, transcript.KindExchangeRelayDenied:
		return true
	case transcript.KindRateLimited:
		return obs.Reply.Enhanced == "5.5.0"
	}
	return false
}

// maxLookedAt bounds the names that are compared with the relay's letter by
// letter.
const maxLookedAt = 64

// lookalikes are the hosts of the text that look like the relay's and are not.
func (j *judge) lookalikes(cases []ndr.Case) []Evidence {
	var out []Evidence
	var looked []string
	for k := range cases {
	next:
		for i := range cases[k].Mentions {
			m := &cases[k].Mentions[i]
			if m.Host == "" || m.Span.IsZero() || !j.maybeLike(m.Host) || transcript.HostIsUnderAny(m.Host, j.o.Facts.OurDomains) {
				continue
			}
			for _, h := range looked {
				if h == m.Host {
					continue next
				}
			}
			if len(looked) == maxLookedAt || len(out) == maxEvidence {
				return out
			}
			looked = append(looked, m.Host)
			if e, ok := j.cite(m.Span, string(m.Role)); ok && transcript.Lookalike(m.Host, j.domains) {
				out = append(out, e)
			}
		}
	}
	return out
}

// maybeLike is a cheap look before the dear one. Every name that looks like
// ppe-hosted.com has letters of other scripts, holds "sted", or has an ending
// of about its length.
func (j *judge) maybeLike(h string) bool {
	if len(j.domains) > 1 {
		return true // the user's own relays: names of any kind
	}
	dots := 0
	end := len(h)
	for i := len(h) - 1; i >= 0; i-- {
		switch c := h[i]; {
		case c >= 0x80:
			return true
		case c == '.' && i < len(h)-1:
			if dots++; dots == 2 {
				end = len(h) - i - 1
			}
		}
	}
	const most = 2 // letters that Lookalike lets differ
	d := end - len(transcript.RelayDomain)
	return (d >= -most && d <= most) || strings.Contains(h, "sted") || strings.Contains(h, "xn--")
}
