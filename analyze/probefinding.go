package analyze

import (
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// slowStep is how long one step may take before it is worth a finding.
const slowStep = 5 * time.Second

// soon is how long before its end a certificate is worth a finding.
const soon = 14 * 24 * time.Hour

// findings are what is worth telling beside the verdict of a probe, the worst
// first within each session, with the transcript lines they stand on.
func (j *probeJudge) findings(chosen []*sessionJudgement) []Finding {
	f := probeFindings{j: j, out: []Finding{}}
	for _, g := range chosen {
		f.session(g)
	}
	f.addresses(chosen)
	if j.p.Partial {
		f.add(findingPartial, nil)
	}
	for i := range j.p.Findings {
		if len(f.out) < maxFindings {
			x := j.p.Findings[i]
			if x.Evidence == nil {
				x.Evidence = []Evidence{}
			}
			f.out = append(f.out, x)
		}
	}
	return f.out
}

type probeFindings struct {
	j   *probeJudge
	out []Finding
}

// add puts a finding in, as its page has it; the same id about another port
// joins its evidence.
func (f *probeFindings) add(id string, evidence []Evidence) *Finding {
	return f.addAs(id, "", false, evidence)
}

// addAs is add for a finding that is worth less here than its page says, or that
// is expected. It never joins one that is worth more.
func (f *probeFindings) addAs(id string, severity Severity, expected bool, evidence []Evidence) *Finding {
	x := finding(id, evidence)
	if severity != "" {
		x.Severity = severity
	}
	x.Expected = x.Expected || expected
	for i := range f.out {
		if o := &f.out[i]; o.ID == id && o.Severity == x.Severity && o.Expected == x.Expected {
			o.Evidence = append(o.Evidence, evidence...)
			return o
		}
	}
	if len(f.out) == maxFindings {
		return &Finding{}
	}
	f.out = append(f.out, x)
	return &f.out[len(f.out)-1]
}

func (f *probeFindings) session(g *sessionJudgement) {
	j, s := f.j, g.s
	if g.why != "" {
		f.add(g.why, j.around(g))
	}
	if i, ok := j.tookOutsider(g); ok {
		switch j.p.Intent {
		case IntentAuth:
			f.add(findingOpenRelay, j.reply(s, i))
		default:
			f.add(findingSharedIP, j.reply(s, i))
		}
	}
	if g.verdict == Refused && g.kind == transcript.KindRelayDenied && g.failure >= 0 {
		if !g.expected {
			x := f.add(findingRelayDenied, j.reply(s, g.failure))
			x.Fix = deniedFixes(x.Fix, s.Port, g.obs.AuthTried, g.obs.LoggedIn)
		} else {
			x := f.addAs(findingRelayDenied, Info, true, j.reply(s, g.failure))
			x.Title = "the relay refuses to relay on port " + itoa(s.Port)
			if s.Port == 25 {
				x.Why = "SMTP AUTH is served on port 587 only; port 25 accepts registered sending servers"
				x.Fix = []Fix{{NoParty, "nothing to do while the mail server uses 587", ""}}
			} else {
				x.Why = "port 587 belongs to SMTP AUTH; a listed sending server does nothing there"
				x.Fix = []Fix{{NoParty, "nothing to do while the mail server uses 25 from a listed address", ""}}
			}
		}
	}
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		switch {
		case e.Skipped != "":
			continue
		case e.Fault == transcript.FaultInjection:
			f.add(findingInjection, j.reply(s, i))
		case e.Fault == transcript.FaultLimit:
			f.add(findingLimit, j.reply(s, i))
		case e.Fault == transcript.FaultProtocol && g.why != findingProtocol:
			f.add(findingProtocol, j.reply(s, i))
		}
		if e.Stage == transcript.StageAuth && e.Reply.Code == 235 && e.Fault == transcript.FaultNone {
			f.add(findingAuthAccepted, j.reply(s, i))
		}
		if e.Took >= slowStep && e.Fault != transcript.FaultTimeout && e.Stage.Order() >= transcript.StageConnect.Order() {
			x := f.add(findingSlow, j.reply(s, i))
			x.Why = addTime(x.Why, e, s.Port)
			if strings.HasPrefix(e.Detail, transcript.NoteTarpit) {
				x.Title = "the relay sends its replies bit by bit: a tarpit"
			}
		}
		if greeting(e) && mended(s, i) {
			f.add(findingHELOOnly, j.reply(s, i))
		}
	}
	if masked(s) && g.why != findingInspection {
		f.add(findingInspection, j.around(g))
	}
	if s.Before != nil && !s.Implicit && offers(s.Before, "STARTTLS") == transcript.No && g.why != findingNoStartTLS && g.why != findingInspection {
		if submission(s.Port) {
			f.add(findingNoStartTLS, j.ehlo(s, false))
		} else {
			f.addAs(findingNoStartTLS, Warning, false, j.ehlo(s, false))
		}
	}
	if submission(s.Port) && !s.Implicit && offers(s.Before, "AUTH") == transcript.Yes {
		f.add(findingAuthInClear, j.ehlo(s, false))
	}
	if submission(s.Port) && s.After != nil && offers(s.After, "AUTH") == transcript.No && g.why != findingAuthVanished {
		f.add(findingAuthVanished, j.ehlo(s, true))
	}
	f.tls(g)
	if b := bannerHost(s); b != "" && g.why != findingWrongHost && j.foreignBanner(b) {
		f.add(findingBanner, j.banner(s))
	}
	if g.verdict == Unreachable && s.Port == 25 && j.p.Intent == IntentAuth && g.stage == transcript.StageConnect {
		f.add(findingPort25Closed, j.around(g))
	}
}

// addTime adds a slow step to the reason, once the general sentence stands.
func addTime(why string, e *transcript.Exchange, port int) string {
	if len(why) > 300 {
		return why
	}
	return strings.TrimSuffix(why, ".") + "; " + string(e.Stage) + " on " + itoa(port) + " took " + e.Took.Round(100*time.Millisecond).String()
}

func (f *probeFindings) tls(g *sessionJudgement) {
	t := g.s.TLS
	if t == nil {
		return
	}
	if strings.HasPrefix(t.Problem, "certificate-") {
		x := f.add(findingCertProblem, f.j.around(g))
		if t.Detail != "" {
			x.Why = t.Detail
		}
		return
	}
	end := t.Earliest
	if end.IsZero() {
		end = t.NotAfter
	}
	now := f.j.o.Now
	if now.IsZero() {
		now = g.s.Began
	}
	if !end.IsZero() && !now.IsZero() && end.Sub(now) < soon && end.After(now) {
		x := f.add(findingCertSoon, nil)
		x.Why = "it ends on " + end.UTC().Format("2006-01-02 15:04") + " UTC; clients that check certificates stop sending then"
	}
}

// foreignBanner reports whether a greeting names a host that has nothing to do
// with the target.
func (j *probeJudge) foreignBanner(banner string) bool {
	target := strings.ToLower(strings.TrimSuffix(j.p.Target, "."))
	if j.ours {
		return !transcript.HostIsUnderAny(banner, j.domains)
	}
	if banner == target || strings.Trim(target, "0123456789.:[]abcdef") == "" || !strings.Contains(target, ".") {
		return false
	}
	_, parent, _ := strings.Cut(target, ".")
	return !transcript.HostIsUnder(banner, parent) && !transcript.HostIsUnder(target, banner)
}

// tookOutsider finds the RCPT by which port 25 took mail for an outside
// recipient without AUTH. A recipient in one of the own domains, or in the
// sender's, is inbound mail and no alarm.
func (j *probeJudge) tookOutsider(g *sessionJudgement) (int, bool) {
	s := g.s
	if submission(s.Port) && j.p.Planned.Credential {
		return 0, false
	}
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if e.Stage == transcript.StageAuth && e.Reply.Code == 235 {
			return 0, false
		}
		if transcript.Verb(e.Command) != "RCPT" || e.Skipped != "" || !accepted(e, e.Stage) {
			continue
		}
		to, _, _ := transcript.Path(e.Command)
		domain := domainOf(to)
		if domain == "" || domain == domainOf(senderBefore(s, i)) || transcript.HostIsUnderAny(domain, j.o.Facts.OurDomains) {
			continue
		}
		return i, true
	}
	return 0, false
}

func domainOf(address string) string {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return strings.ToLower(strings.TrimRight(address[i+1:], ". >"))
	}
	return ""
}

// addresses tells of addresses of one port that behave unlike the chosen one.
func (f *probeFindings) addresses(chosen []*sessionJudgement) {
	for i := range f.j.all {
		g := &f.j.all[i]
		for _, c := range chosen {
			if c != g && c.s.Port == g.s.Port && g.s.Address != c.s.Address && (c.verdict != g.verdict || c.stage != g.stage) {
				x := f.add(findingAddresses, nil)
				if len(x.Why) < 400 {
					x.Why += "; port " + itoa(g.s.Port) + ": " + c.s.Address + " is " + string(c.verdict) + ", " + g.s.Address + " is " + string(g.verdict) + " at " + string(g.stage)
				}
			}
		}
	}
}

// around is the evidence of what decided a session.
func (j *probeJudge) around(g *sessionJudgement) []Evidence {
	if g.failure >= 0 {
		return j.reply(g.s, g.failure)
	}
	if g.why == findingWrongHost {
		return j.banner(g.s)
	}
	return j.ehlo(g.s, g.s.After != nil)
}

// banner is the greeting as evidence.
func (j *probeJudge) banner(s *transcript.Session) []Evidence {
	for i := range s.Exchanges {
		if s.Exchanges[i].Stage == transcript.StageGreet {
			return j.reply(s, i)
		}
	}
	return []Evidence{}
}

// ehlo is the answer to EHLO as evidence, before or inside TLS.
func (j *probeJudge) ehlo(s *transcript.Session, secure bool) []Evidence {
	for i := len(s.Exchanges) - 1; i >= 0; i-- {
		if e := &s.Exchanges[i]; greeting(e) && e.Secure == secure && e.Skipped == "" {
			return j.reply(s, i)
		}
	}
	return []Evidence{}
}
