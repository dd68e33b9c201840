package analyze

import (
	"strings"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// maxHeadline is the length of a headline in characters (contract §4).
const maxHeadline = 100

// statusOf sums a verdict up.
func statusOf(v Verdict) Status {
	switch v {
	case Ready, NotAFailure:
		return OK
	case InsufficientEvidence:
		return Inconclusive
	}
	return Problem
}

// ExitCode is the exit code of a report (contract §2): 0 nothing wrong, 1 a
// problem was found, 3 inconclusive. Several inputs give the worst one's code,
// see WorseExit.
func ExitCode(r *Report) int {
	switch r.Verdict.Status {
	case OK:
		return 0
	case Inconclusive:
		return 3
	}
	return 1
}

// WorseExit is the exit code of two reports together: 1 before 3 before 0.
func WorseExit(a, b int) int {
	rank := func(c int) int {
		switch c {
		case 1:
			return 2
		case 3:
			return 1
		}
		return 0
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// headline sums up all outcomes of an analysis.
func headline(all []judgement) Summary {
	if len(all) == 0 {
		return Summary{
			Code: InsufficientEvidence, Status: Inconclusive, Confidence: Possible,
			Headline: "nothing to read: paste the bounce, or the sending server's SMTP log",
			Next:     tell(SenderSystem, "send the whole bounce, or the sending server's SMTP log"),
		}
	}
	first := &all[0]
	s := Summary{Code: first.out.Verdict, Confidence: first.out.Confidence}
	s.Status = statusOf(s.Code)
	for i := range all[1:] {
		g := &all[i+1]
		if g.out.Verdict != s.Code {
			s.Code = Mixed
		}
		if weaker(g.out.Confidence, s.Confidence) {
			s.Confidence = g.out.Confidence
		}
		s.Status = worseStatus(s.Status, statusOf(g.out.Verdict))
	}
	if s.Code == Mixed {
		s.Headline = mixedHeadline(all)
		s.Next = mixedNext(all)
		return s
	}
	s.Headline = say(first, also(all))
	s.Next = first.next()
	return s
}

func worseStatus(a, b Status) Status {
	switch {
	case a == Problem || b == Problem:
		return Problem
	case a == Inconclusive || b == Inconclusive:
		return Inconclusive
	}
	return OK
}

func weaker(a, b Confidence) bool { return confidenceRank(a) < confidenceRank(b) }

func confidenceRank(c Confidence) int {
	switch c {
	case Certain:
		return 2
	case Likely:
		return 1
	}
	return 0
}

// mixedHeadline counts the verdicts, in the order of their first occurrence.
func mixedHeadline(all []judgement) string {
	type count struct {
		v Verdict
		n int
	}
	var counts []count
next:
	for i := range all {
		for k := range counts {
			if counts[k].v == all[i].out.Verdict {
				counts[k].n++
				continue next
			}
		}
		counts = append(counts, count{all[i].out.Verdict, 1})
	}
	var b strings.Builder
	b.WriteString(itoa(len(all)))
	b.WriteString(" outcomes: ")
	for i, c := range counts {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(itoa(c.n))
		b.WriteByte(' ')
		b.WriteString(string(c.v))
	}
	return fit(b.String()+"; see each recipient", b.String(), itoa(len(all))+" outcomes that differ: see each recipient")
}

// mixedNext is what to do about the first problem.
func mixedNext(all []judgement) string {
	for _, want := range []Status{Problem, Inconclusive, OK} {
		for i := range all {
			if statusOf(all[i].out.Verdict) == want {
				return all[i].next()
			}
		}
	}
	return ""
}

// fit is the first of the texts that is short enough; the last one is cut.
func fit(texts ...string) string {
	for _, t := range texts {
		if utf8.RuneCountInString(t) <= maxHeadline {
			return t
		}
	}
	last := texts[len(texts)-1]
	n := 0
	for i := range last {
		if n == maxHeadline-3 {
			return last[:i] + "..."
		}
		n++
	}
	return last
}

// say is the headline of one outcome. It names the host when that fits, else
// speaks of the relay.
func say(g *judgement, tail string) string {
	what, do := g.words(hostName(g.subject(), g.standIn()))
	full := clause(what, do)
	if tail != "" {
		if t := full + tail; utf8.RuneCountInString(t) <= maxHeadline {
			return t
		}
	}
	if utf8.RuneCountInString(full) <= maxHeadline {
		return full
	}
	short, _ := g.words(g.standIn())
	return fit(clause(short, do), what, short)
}

// also tells that the headline of the first outcome stands for more of them: for
// recipients that met the same, or for others that did not.
func also(all []judgement) string {
	if len(all) < 2 {
		return ""
	}
	a := &all[0].out
	for i := range all[1:] {
		b := &all[i+1].out
		if a.Stage != b.Stage || a.Reply.Code != b.Reply.Code || a.RefusedBy != b.RefusedBy || a.Target != b.Target {
			return "; and " + itoa(len(all)-1) + " more"
		}
	}
	return " (" + itoa(len(all)) + " recipients)"
}

// clause joins what is so and what to do.
func clause(what, do string) string {
	if do == "" {
		return what
	}
	return what + ": " + do
}

// standIn is what a host is called whose name is not known or does not fit.
func (g *judgement) standIn() string {
	switch g.out.Verdict {
	case NeverReached:
		if g.item != nil && g.item.Refuser.IsZero() && g.out.RefusedBy != "" {
			return "the sending system"
		}
		return "another host"
	case AcceptedThenBounced:
		return "a later host"
	}
	return "the relay"
}

// hostName is a host as a headline names it: lower case, or a stand-in when
// there is none or when it holds what no host name holds.
func hostName(h, none string) string {
	if h == "" {
		return none
	}
	for i := 0; i < len(h); i++ {
		c := h[i]
		if c <= ' ' || c >= 0x7f {
			return none
		}
	}
	return strings.ToLower(h)
}

// subject is the host the headline speaks of.
func (g *judgement) subject() string {
	o := &g.out
	switch o.Verdict {
	case Refused, InboundRefused, Deferred:
		if o.RefusedBy != "" {
			return o.RefusedBy
		}
		return o.Target
	case HandshakeFailed, Unreachable:
		if o.Target != "" {
			return o.Target
		}
		return o.RefusedBy
	case NeverReached, AcceptedThenBounced:
		if o.RefusedBy != "" {
			return o.RefusedBy
		}
		return o.Target
	}
	return ""
}

// codes is the reply in the shortest form: "554 5.7.1".
func (g *judgement) codes() string {
	r := &g.out.Reply
	switch {
	case r.Code == 0:
		return r.Enhanced
	case r.Enhanced == "":
		return itoa(r.Code)
	}
	return itoa(r.Code) + " " + r.Enhanced
}

func (g *judgement) inBrackets() string {
	if c := g.codes(); c != "" {
		return " (" + c + ")"
	}
	return ""
}

// words are the two halves of the headline: what is so, and what to do.
func (g *judgement) words(host string) (what, do string) {
	what, do = g.found(host)
	switch g.out.Verdict {
	case Refused, Deferred, HandshakeFailed, Unreachable:
		if containsAny(g.obs.Words, noDANE) {
			break // no cause of ours
		}
		if d := agreed(g.out.Causes); d != "" {
			return what, d
		}
	}
	return what, do
}

// found is what was found, and what it suggests to do, whatever causes fit.
func (g *judgement) found(host string) (what, do string) {
	o := &g.out
	rule := ruleOf(g.obs.Kind)
	switch o.Verdict {
	case Refused:
		if g.lacks != nil {
			return host + g.lacks.says, g.lacks.do
		}
		if g.rung == 3 && symptomOf(g.obs.Words, g.obs.Stage) == symptomNoMechanism {
			return host + " offers no AUTH that the client has", "allow PLAIN or LOGIN in the client"
		}
		if g.rung == 3 && symptomOf(g.obs.Words, g.obs.Stage) == symptomNoLogin {
			return host + " offers no AUTH that the client has", "switch STARTTLS on, allow PLAIN or LOGIN"
		}
		if g.rung == 3 && g.obs.Port == 25 {
			return host + " offers no AUTH on port 25", "use port 587 with STARTTLS"
		}
		if g.rung == 3 && g.obs.Stage == transcript.StageAuth {
			return host + " offers no AUTH", "use port 587, then look for a proxy on the way"
		}
		if g.rung == 3 {
			return host + " offers AUTH only inside TLS", "switch STARTTLS on in the client"
		}
		return host + " refused " + refusedWhat(g.obs.Stage) + g.inBrackets(), orDo(replyDo(&g.obs), doAbout(&g.obs))
	case InboundRefused:
		return host + " refused mail to its own customer" + g.inBrackets(), orDo(rule.do, "their admin checks the address")
	case Deferred:
		if o.Reply.Code == 0 && o.Reply.Enhanced == "" {
			return "the connection to " + host + " broke at " + o.Stage, "look for a firewall in between"
		}
		if g.item != nil && g.item.Expired {
			do := replyDo(&g.obs)
			if g.givenUp() {
				do = "send it again"
			}
			return host + " put the mail off" + g.inBrackets() + " until the sender gave up", do
		}
		return host + " put the mail off" + g.inBrackets(), orDo(replyDo(&g.obs), "let the queue retry")
	case HandshakeFailed:
		return g.handshakeWords(host)
	case Unreachable:
		return g.unreachableWords(host)
	case NeverReached:
		return g.neverWords(host)
	case AcceptedThenBounced:
		switch {
		case o.RefusedBy != "":
			return "the relay took the mail, " + host + " refused it" + g.inBrackets(), g.laterDo()
		case o.Target != "":
			return "the relay took the mail, " + host + " did not answer", "the recipient's server has to be repaired"
		}
		return "the relay took the mail, a later host did not", "read the relay's report"
	case NotAFailure:
		return g.harmlessWords()
	}
	return g.missingWords()
}

// orDo is what a reply's words ask for, else what its place suggests.
func orDo(do, otherwise string) string {
	if do != "" {
		return do
	}
	return otherwise
}

// doAbout is what to look at when no kind of reply is known: without words, that
// a permanent refusal mostly is about the envelope.
func doAbout(obs *Observation) string {
	if obs.Reply.Class() == 5 && !hasWords(&obs.Reply) && (obs.Stage == transcript.StageUnknown || obs.Stage == "") {
		return doAt(transcript.StageEnvelope)
	}
	return doAt(obs.Stage)
}

// doAt is what to look at when the words of a refusal say nothing: where it was
// said does.
func doAt(stage transcript.Stage) string {
	switch stage {
	case transcript.StageGreet, transcript.StageEHLO:
		return "read the reply, then try later"
	case transcript.StageTLS:
		return "switch STARTTLS on in the client"
	case transcript.StageAuth:
		return "check mechanism and credential"
	case transcript.StageEnvelope:
		return "check port, AUTH and sender"
	case transcript.StageData:
		return "look at what the message holds"
	}
	return "read the reply"
}

func refusedWhat(stage transcript.Stage) string {
	switch stage {
	case transcript.StageAuth:
		return "the login"
	case transcript.StageGreet, transcript.StageEHLO:
		return "the connection"
	case transcript.StageTLS:
		return "to go on without TLS"
	case transcript.StageData:
		return "the message"
	}
	return "the mail"
}

func (g *judgement) laterDo() string {
	switch g.obs.Kind {
	case transcript.KindSPF, transcript.KindDMARC, transcript.KindUnauthenticatedMail:
		return ruleOf(g.obs.Kind).do
	}
	return "nothing to change at the relay"
}

func (g *judgement) handshakeWords(host string) (what, do string) {
	switch g.obs.Stage {
	case transcript.StageTLS:
		if g.out.Reply.Code == 530 {
			return host + " wants STARTTLS and does not offer it" + g.inBrackets(), "exempt it from SMTP inspection on the way"
		}
		if g.out.Reply.Code/100 == 5 {
			return "STARTTLS is not known at " + host + g.inBrackets(), "exempt it from SMTP inspection on the way"
		}
		p := g.tlsProblem()
		for _, t := range tlsHeadlines {
			if t.problem == p {
				return t.what + host, t.do
			}
		}
		if g.obs.Fault == transcript.FaultNone && g.obs.StartTLS == transcript.No || containsAny(g.obs.Words, notOffered) {
			return "STARTTLS is not offered by " + host, "exempt it from SMTP inspection on the way"
		}
		if len(g.out.Causes) > 2 {
			return "TLS to " + host + " failed", "read in the log how it failed" // all of them fit so far
		}
		return "TLS to " + host + " failed", "look for interception on the way"
	case transcript.StageEHLO:
		return host + " greeted, then the connection broke at EHLO", "look for a firewall in between"
	}
	if symptomOf(g.obs.Words, g.obs.Stage) == symptomNoSign {
		return host + " gave no sign: no connection, or no greeting", "look for a firewall in between"
	}
	return host + " opened the connection but sent no greeting", "look for a firewall in between"
}

// notOffered are the words for a STARTTLS that the server did not offer.
var notOffered = []string{"not offered", "did not offer", "doesn't offer", "not support", "not advertise", "not available"}

// tlsHeadlines: what is so about a handshake, and what to do, by problem.
var tlsHeadlines = [...]struct{ problem, what, do string }{
	{"certificate-expired", "the certificate has expired at ", "check the own clock, then report it"},
	{"certificate-not-yet-valid", "the certificate is not yet valid at ", "set the own clock"},
	{"certificate-name-mismatch", "the certificate is for other names than ", "dial the published name"},
	{"certificate-unknown-issuer", "an unknown authority signed for ", "remove interception on the way"},
	{"protocol-version", "the client's TLS version is too old for ", "update the client to TLS 1.2"},
	{"internal-error", "a fault of its own ended TLS at ", "retry, then report it"},
	{"certificate-weak-key", "the certificate's key is too weak at ", "report it"},
	{"implicit-tls", "TLS is spoken from the first byte at ", "check the port: 587 wants STARTTLS, 465 TLS at once"},
	{"not-tls", "what came behind STARTTLS is no TLS at ", "look for interception on the way"},
	{problemImplicit, "the client started TLS at once on ", "choose STARTTLS, not SSL/TLS"},
}

func (g *judgement) unreachableWords(host string) (what, do string) {
	if g.obs.Stage == transcript.StageResolve {
		if containsAny(g.obs.Words, transientDNS) {
			return "the resolver gave no answer for " + host, "repair the resolver"
		}
		if containsAny(g.obs.Words, noDANE) {
			return "DNS has no DANE record for " + host + ", which the sender asks for", "ask for the level secure or encrypt instead"
		}
		if _, ok := region(host); ok {
			return "the published name " + host + " was not found", "repair the resolver"
		}
		return "the name " + host + " was not found", "correct the name of the smart host"
	}
	port := ""
	if g.obs.Port != 0 {
		port = " port " + itoa(g.obs.Port)
	}
	if g.obs.Fault == transcript.FaultRefused {
		return host + port + " refused the connection", "check host, port and the local firewall"
	}
	switch g.obs.Port {
	case 25:
		return "no connection to " + host + port, "use AUTH on 587, or have port 25 opened"
	case 587:
		return "no connection to " + host + port, "have port 587 opened outward"
	}
	return "no connection to " + host + port, "look for a firewall, try port 587"
}

func (g *judgement) neverWords(host string) (what, do string) {
	switch {
	case g.out.RefusedBy != "" && g.item != nil && g.item.Refuser.IsZero() && g.out.Target != "":
		do = ruleOf(g.obs.Kind).do
		if do == "" {
			do = "read its own words"
		}
		return host + " stopped the mail itself" + g.inBrackets() + " before it was handed over", do
	case g.out.RefusedBy != "" && g.item != nil && g.item.Refuser.IsZero():
		do = "the relay was not asked, check the routing"
		if x := g.stoppedFor(); x != nil {
			do = x.do
		}
		return host + " stopped the mail itself" + g.inBrackets(), do
	case g.out.RefusedBy != "":
		if x := g.stoppedFor(); x != nil {
			return host + " stopped the mail itself" + g.inBrackets(), x.do
		}
		return host + " refused the mail" + g.inBrackets(), "it never went to the relay, route it there"
	}
	return "the mail went to " + host + ", not to the relay", "route it through the relay"
}

func (g *judgement) harmlessWords() (what, do string) {
	if g.item == nil || g.cs == nil {
		return "no failure is reported", ""
	}
	for _, n := range natureHeadlines {
		if n.nature == g.cs.Nature {
			return n.what, ""
		}
	}
	switch g.item.Action {
	case ndr.ActionDelayed:
		do = "wait, the sender keeps trying"
		if g.lasts() {
			do = orDo(orDo(agreed(g.out.Causes), replyDo(&g.obs)), "mend it before the sender gives up")
		}
		return "a delay notice, not a failure" + g.inBrackets(), do
	case ndr.ActionDelivered, ndr.ActionRelayed, ndr.ActionExpanded:
		return "the mail was accepted" + g.inBrackets(), "nothing to do"
	}
	if g.obs.Stage == transcript.StageAccepted {
		return "the mail was accepted" + g.inBrackets(), "nothing to do"
	}
	return "nothing was refused as far as the text goes", ""
}

var natureHeadlines = [...]struct {
	nature ndr.Nature
	what   string
}{
	{ndr.NatureAutoreply, "an automatic reply, it reports no failure"},
	{ndr.NatureComplaint, "a spam complaint, it reports no failure of delivery"},
	{ndr.NatureReceipt, "a receipt, it reports no failure"},
	{ndr.NatureCalendar, "a calendar answer, it reports no failure"},
	{ndr.NatureOther, "a mail that reports no failure"},
}
