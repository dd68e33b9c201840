package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// partyOf is whose side holds the fix of a session that broke at exchange e.
func (j *probeJudge) partyOf(g *sessionJudgement, e *transcript.Exchange) Party {
	if class := e.Reply.Class(); class == 4 || class == 5 {
		if g.verdict == HandshakeFailed {
			return Network
		}
		if r := ruleOf(g.kind); r.party != "" {
			return r.party
		}
		return partyOfStage(g.stage, class)
	}
	switch g.stage {
	case transcript.StageResolve:
		if e.Fault == transcript.FaultDNS && !containsAny(words(e.Detail), transientDNS) {
			return SenderSystem
		}
		return Network
	case transcript.StageTLS:
		if g.s.TLS != nil && g.s.TLS.Problem != "" {
			if g.s.Implicit && g.s.TLS.Problem == problemNotTLS {
				return SenderSystem // it chose TLS from the first byte where STARTTLS is served
			}
			return partyOfTLS(g.s.TLS.Problem)
		}
	case transcript.StageConnect:
		if e.Fault == transcript.FaultDNS || notAnswered(e) && strings.HasPrefix(e.Detail, transcript.NoteThisMachine) {
			return SenderSystem
		}
	}
	return Network
}

// report puts the judged sessions together.
func (j *probeJudge) report() *Report {
	p := j.p
	r := &Report{
		SchemaVersion: SchemaVersion, Kind: "probe", Target: p.Target, Intent: p.Intent, Partial: p.Partial,
		Planned: &p.Planned, DNS: p.DNS, NextTests: []NextTest{},
	}
	chosen := j.chosen()
	r.Findings = j.findings(chosen)
	decisive := j.decisive(chosen)
	for i := range j.all {
		g := &j.all[i]
		s := reportSession(g.s)
		s.Verdict, s.Stage, s.Party, s.Expected = g.verdict, string(g.stage), g.party, g.expected
		r.Sessions = append(r.Sessions, s)
	}
	if decisive != nil && decisive.verdict != InsufficientEvidence {
		if _, ok := decisive.cutShort(); ok {
			r.addTest(decisive.waitLonger())
		}
	}
	j.explain(r, chosen, decisive)
	if decisive == nil || decisive.verdict == InsufficientEvidence {
		r.addTest(askAgain(decisive))
	}
	r.Verdict = j.summary(r, chosen, decisive)
	return r
}

// askAgain is the test that settles a probe that ended too early.
func askAgain(g *sessionJudgement) NextTest {
	if g != nil && g.stage == transcript.StageData && g.failure >= 0 {
		return NextTest{
			ID: "recipient-mailbox", Who: string(SenderSystem), Cost: "a minute", Separates: []string{},
			Do: "look into the recipient's mailbox before sending again: the message may have been delivered",
		}
	}
	return NextTest{ID: "repeat-probe", Who: string(SenderSystem), Cost: "minutes", Separates: []string{}, Do: "repeat the probe with a longer --deadline"}
}

// chosen is the session that stands for each port: the first that got an SMTP
// answer, since a client goes on to the next address when one cannot be
// reached; else the one that got furthest.
func (j *probeJudge) chosen() []*sessionJudgement {
	var out []*sessionJudgement
	for i := range j.all {
		g := &j.all[i]
		k := 0
		for k < len(out) && out[k].s.Port != g.s.Port {
			k++
		}
		if k == len(out) {
			out = append(out, g)
			continue
		}
		if c := out[k]; !spokeSMTP(c) && (spokeSMTP(g) || g.stage.Order() > c.stage.Order()) {
			out[k] = g
		}
	}
	return out
}

func spokeSMTP(g *sessionJudgement) bool {
	switch g.verdict {
	case Unreachable, HandshakeFailed, InsufficientEvidence:
		return false
	}
	return true
}

// decisive is the session whose verdict is the headline's: what the intent
// needs, the worse of both for both. Nil when nothing was probed.
func (j *probeJudge) decisive(chosen []*sessionJudgement) *sessionJudgement {
	var auth, server *sessionJudgement
	for _, g := range chosen {
		if submission(g.s.Port) {
			// 587 is the service's port; another submission port stands in for it.
			if auth == nil || (g.s.Port == 587 && auth.s.Port != 587) {
				auth = g
			}
		} else {
			server = g
		}
	}
	first, second := auth, server
	if j.p.Intent == IntentServer {
		first, second = server, auth
	}
	switch {
	case first == nil:
		return second
	case second == nil || j.p.Intent != IntentBoth:
		return first
	case badness(second.verdict) > badness(first.verdict):
		return second
	}
	return first
}

// badness orders verdicts for "the worse of both".
func badness(v Verdict) int {
	for i, b := range [...]Verdict{Ready, NotAFailure, InsufficientEvidence, Deferred, AcceptedThenBounced, InboundRefused, Refused, HandshakeFailed, NeverReached, Unreachable} {
		if v == b {
			return i
		}
	}
	return 0
}

// summary is the headline of a probe.
func (j *probeJudge) summary(r *Report, chosen []*sessionJudgement, d *sessionJudgement) Summary {
	if d == nil {
		return Summary{
			Code: InsufficientEvidence, Status: Inconclusive, Confidence: Possible,
			Headline: "nothing was probed", Next: tell(SenderSystem, "repeat the probe with more time"),
		}
	}
	s := Summary{Code: d.verdict, Status: statusOf(d.verdict), Confidence: d.confidence}
	s.Headline = j.headline(r, chosen, d)
	s.Next = j.next(r, d)
	for i := range r.Findings {
		if f := &r.Findings[i]; f.ID == findingOpenRelay && !f.Expected {
			s.Status = Problem
			s.Headline = fit("alarm: port 25 takes mail to outside recipients without AUTH; "+portWord(d)+" "+standsWord(d), "alarm: port 25 takes mail to outside recipients without AUTH")
			s.Next = string(f.Fix[0].Who) + ": " + f.Fix[0].Text
		}
	}
	return s
}

func portWord(g *sessionJudgement) string { return itoa(g.s.Port) }

// headline says what is so on the decisive port, what the other port does and
// what was not tried.
func (j *probeJudge) headline(r *Report, chosen []*sessionJudgement, d *sessionJudgement) string {
	what, do := j.sessionWords(d)
	if d.verdict == Refused || d.verdict == Unreachable {
		do = orDo(agreed(r.Causes), do)
	}
	if d.verdict != Ready {
		host := hostName(j.p.Target, "the relay")
		long := strings.Replace(what, "the relay", host, 1)
		other := ""
		if d.expected {
			what, do = portWord(d)+" refuses to relay, as documented", "the port that the intent needs was not probed"
			return fit(what+": "+do, what)
		}
		for _, g := range chosen {
			if g != d && g.verdict == Ready {
				other = "; " + portWord(g) + " " + readyWord(g)
			}
		}
		if do == "" {
			return fit(long+other, what+other, what)
		}
		return fit(long+other+": "+do, what+other+": "+do, long+": "+do, what+": "+do, what)
	}
	rest := ""
	for _, g := range chosen {
		if g != d {
			rest += "; " + j.otherWords(g)
		}
	}
	not := notTriedWords(d)
	return fit(what+rest+not, what+not, what)
}

// readyWord is what a port that is ready does: one where nobody logged in and
// nothing was asked of senders and recipients only answers.
func readyWord(g *sessionJudgement) string {
	if g.stage.Order() < transcript.StageAuth.Order() || g.noRCPT && !submission(g.s.Port) {
		return "answers"
	}
	return "works"
}

// standsWord is how a port stands beside an alarm.
func standsWord(g *sessionJudgement) string {
	if g.verdict == Ready {
		return readyWord(g)
	}
	return "is " + string(g.verdict)
}

// notTriedWords names what the plan left out.
func notTriedWords(g *sessionJudgement) string {
	var names []string
	for _, st := range g.notTried {
		switch st {
		case transcript.StageAuth:
			names = append(names, "AUTH")
		case transcript.StageEnvelope:
			if len(names) == 0 || names[len(names)-1] != "MAIL and RCPT" {
				names = append(names, "MAIL and RCPT")
			}
		}
	}
	if g.noRCPT {
		names = append(names, "RCPT")
	}
	if len(names) == 0 {
		return ""
	}
	return "; not tried: " + strings.Join(names, ", ")
}

// otherWords say what the port that does not decide did.
func (j *probeJudge) otherWords(g *sessionJudgement) string {
	p := "port " + portWord(g)
	switch {
	case g.expected:
		return p + " refuses relay, as documented"
	case g.verdict == Ready && g.stage.Order() >= transcript.StageEnvelope.Order() && !g.noRCPT:
		return p + " accepts too"
	case g.verdict == Ready:
		return p + " answers"
	case g.verdict == Unreachable:
		return p + " cannot be reached"
	}
	return p + " " + string(g.verdict) + " at " + string(g.stage)
}

// sessionWords are the two halves of a headline about one session.
func (j *probeJudge) sessionWords(g *sessionJudgement) (what, do string) {
	p := portWord(g)
	var reply transcript.Reply
	var fault transcript.Fault
	if g.failure >= 0 {
		reply, fault = g.s.Exchanges[g.failure].Reply, g.s.Exchanges[g.failure].Fault
	}
	codes := ""
	if reply.Class() >= 4 {
		codes = " (" + strings.TrimSpace(itoa(reply.Code)+" "+reply.Enhanced) + ")"
	}
	rule := ruleOf(g.kind)
	switch g.verdict {
	case Ready:
		switch {
		case g.stage == transcript.StageAccepted:
			return p + " took the test message", ""
		case g.noRCPT && submission(g.s.Port):
			return p + " accepts the credential and the sender", ""
		case g.noRCPT:
			return p + " takes the sender", "" // mail systems judge there
		case g.stage.Order() >= transcript.StageEnvelope.Order() && submission(g.s.Port):
			return p + " accepts with AUTH", ""
		case g.stage.Order() >= transcript.StageEnvelope.Order():
			return p + " accepts without AUTH", ""
		case g.stage == transcript.StageAuth:
			return p + " accepts the credential", ""
		}
		return p + " answers up to " + string(g.stage), ""
	case Refused:
		switch g.why {
		case findingAuthVanished:
			return "the relay offers no AUTH inside TLS on " + p, "check host and port"
		case findingMechanism:
			return "no AUTH mechanism in common on " + p, "allow PLAIN or LOGIN"
		}
		return "the relay refused " + refusedWhat(g.stage) + " on " + p + codes, orDo(replyDo(&g.obs), doAt(g.stage))
	case InboundRefused:
		return "the relay refused the recipient on " + p + codes, orDo(rule.do, "their admin checks the address")
	case Deferred:
		if reply.Class() == 4 {
			return "the relay put it off on " + p + " at " + string(g.stage) + codes, orDo(replyDo(&g.obs), "retry later")
		}
		if fault == transcript.FaultTimeout {
			do := "send the times to who runs the relay"
			if _, ok := g.cutShort(); ok {
				do = "repeat it with more time"
			}
			return "the relay gave no answer to " + stepWord(&g.s.Exchanges[g.failure]) + " on " + p + g.within(), do
		}
		return "the connection to the relay on " + p + " broke at " + stepWord(&g.s.Exchanges[g.failure]), "look for a firewall in between"
	case NeverReached:
		return "another mail server answers on " + p + " in place of the relay", "check the host and the way to it"
	case HandshakeFailed:
		return j.handshakeWords(g, fault)
	case Unreachable:
		if g.stage == transcript.StageResolve || fault == transcript.FaultDNS {
			if g.party == Network {
				return "the resolver gave no answer for the relay", "repair the resolver"
			}
			if _, ok := region(j.p.Target); ok {
				return "the published name of the relay was not found", "repair the resolver"
			}
			return "the name of the relay was not found", "correct the name"
		}
		if g.failure >= 0 && notAnswered(&g.s.Exchanges[g.failure]) {
			if g.party == SenderSystem {
				return "this machine has no way to the relay on " + p, "check its network, or choose -4, -6 or --source"
			}
			return "the network has no way to the relay on " + p, "ask who runs the network"
		}
		if fault == transcript.FaultRefused {
			return "the relay refused the connection on " + p, "check host, port and the local firewall"
		}
		if g.s.Port == 25 {
			return "port 25 of the relay cannot be reached", "use AUTH on 587, or have port 25 opened"
		}
		return "port " + p + " of the relay cannot be reached", "have port " + p + " opened outward"
	}
	if g.stage == transcript.StageData && g.failure >= 0 {
		if fault == transcript.FaultTimeout {
			return "no answer to the final dot on " + p + g.within() + ", it may be delivered", "look in the mailbox first"
		}
		return "the connection on " + p + " broke after the final dot, it may be delivered", "look in the mailbox first"
	}
	if e := interruptedAt(g.s); e != nil {
		step := stepWord(e)
		switch e.Stage {
		case transcript.StageGreet:
			step = "the greeting"
		case transcript.StageResolve:
			step = "the name service"
		case transcript.StageConnect:
			step = "the connection"
		}
		return "the run ended on " + p + " while it waited for " + step, "repeat it with more time"
	}
	return "the run ended on " + p + " at " + string(g.stage) + " before an answer that settles it", "repeat it with more time"
}

func (j *probeJudge) handshakeWords(g *sessionJudgement, fault transcript.Fault) (what, do string) {
	p := portWord(g)
	switch g.why {
	case findingNoStartTLS:
		return "STARTTLS is not offered on " + p, "exempt the relay from SMTP inspection on the way"
	case findingInspection:
		return "a firewall rewrites SMTP on " + p, "switch SMTP inspection off for the relay"
	}
	if fault == transcript.FaultInjection {
		return "bytes in clear came behind STARTTLS on " + p, "find out who stands in between"
	}
	if g.stage == transcript.StageTLS {
		if t := g.s.TLS; t != nil && t.Problem != "" {
			for _, h := range tlsHeadlines {
				if h.problem == t.Problem {
					return h.what + "the relay on " + p, h.do
				}
			}
		}
		if w := g.tlsEnd(fault); w != "" {
			return w, "look for interception on the way"
		}
		return "TLS to the relay on " + p + " failed", "look for interception on the way"
	}
	if masked(g.s) {
		return "a firewall rewrites SMTP on " + p, "switch SMTP inspection off for the relay"
	}
	if g.stage == transcript.StageEHLO {
		return "the relay greeted on " + p + ", then " + brokeOff(fault), "look for a firewall in between"
	}
	if fault == transcript.FaultProtocol || fault == transcript.FaultNone {
		return "what answers on " + p + " does not greet like a mail server", "check host and port"
	}
	if g.failure >= 0 && begun(&g.s.Exchanges[g.failure]) {
		return "the relay began a greeting on " + p + " and did not end it" + g.within(), "give it more time, then look for a firewall"
	}
	switch fault {
	case transcript.FaultClosed, transcript.FaultReset:
		return "the relay sent no greeting on " + p + ", the connection was " + strings.TrimPrefix(fault.Words(), "connection "), "look for a firewall in between"
	}
	if _, ok := g.cutShort(); ok {
		return "the relay sent no greeting on " + p + g.within(), "wait 5 minutes, then look for a firewall"
	}
	return "the relay sent no greeting on " + p, "look for a firewall in between"
}

// brokeOff is how EHLO ended that got no reply.
func brokeOff(fault transcript.Fault) string {
	switch fault {
	case transcript.FaultTimeout:
		return "gave no answer to EHLO"
	case transcript.FaultClosed, transcript.FaultReset:
		return "the " + strings.Replace(fault.Words(), "connection", "connection was", 1) + " at EHLO"
	}
	return "EHLO failed"
}

// tlsEnd tells how a handshake ended that nothing came of; empty where the
// headline has nothing better than that it failed.
func (g *sessionJudgement) tlsEnd(fault transcript.Fault) string {
	if g.failure < 0 || !g.s.Exchanges[g.failure].Reply.IsZero() {
		return ""
	}
	step := "the TLS handshake"
	if v := transcript.Verb(g.s.Exchanges[g.failure].Command); v != "" {
		step = v
		if v == "EHLO" || v == "HELO" {
			step += " inside TLS"
		}
	}
	switch fault {
	case transcript.FaultTimeout:
		return "the relay gave no answer to " + step + " on " + portWord(g)
	case transcript.FaultClosed, transcript.FaultReset:
		return "the connection to the relay on " + portWord(g) + " was " + strings.TrimPrefix(fault.Words(), "connection ") + " at " + step
	}
	return ""
}

// next is who does what after a probe.
func (j *probeJudge) next(r *Report, d *sessionJudgement) string {
	switch {
	case d.verdict == Ready:
		if n := tryNext(d); n != "" {
			return "none: " + n
		}
		if submission(d.s.Port) {
			return "none: keep port " + portWord(d)
		}
		return "none: nothing to do"
	case d.expected:
		return "none: probe port 587, which SMTP AUTH uses"
	case len(r.NextTests) > 0 && r.NextTests[0].ID == waitLongerID:
		return whoDoes(&r.NextTests[0], d.party)
	case d.verdict == InsufficientEvidence:
		again := askAgain(d)
		return whoDoes(&again, d.party)
	case len(r.Causes) == 1:
		return string(r.Causes[0].Who) + ": " + r.Causes[0].Fix
	case len(r.Causes) > 1 && len(r.NextTests) > 0:
		return whoDoes(&r.NextTests[0], d.party)
	}
	if rule := ruleOf(d.kind); rule.next != "" && d.failure >= 0 && d.verdict != NeverReached {
		return string(d.party) + ": " + rule.next
	}
	if _, do := j.sessionWords(d); do != "" {
		return string(d.party) + ": " + do
	}
	return string(d.party) + ": read the reply"
}

// tryNext is what to add so that more is tried.
func tryNext(g *sessionJudgement) string {
	var auth, envelope bool
	for _, st := range g.notTried {
		auth = auth || st == transcript.StageAuth
		envelope = envelope || st == transcript.StageEnvelope
	}
	switch {
	case auth:
		return "give a credential, a sender and a recipient to try the rest"
	case envelope:
		return "give a sender and a recipient to try the rest"
	case g.noRCPT:
		return "give a recipient to try the rest"
	}
	return ""
}
