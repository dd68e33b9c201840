package analyze

import (
	"cmp"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The decision, per recipient: the first rung that holds gives the verdict.
//
//  1. a report of delay or success, or no report at all   not-a-failure
//  2. the relay answered with a refusal                   refused, inbound-refused, deferred
//  3. the relay hid what was needed                       refused, stage tls
//  4. the relay opened TCP, then greeting, EHLO or TLS
//     failed without a reply                              handshake-failed
//     … the connection broke between EHLO and final dot   deferred
//     … it broke after the final dot                      insufficient-evidence, stage data
//  5. the relay was the target, its name or TCP failed    unreachable
//  6. the relay reported, or had taken the mail           accepted-then-bounced
//  7. another host refused or was tried, or the reporter
//     refused by itself                                   never-reached
//  8. no host in any of these roles                       insufficient-evidence
//
// Only the roles refuser, reporter and target decide, and a Received line of
// the returned message proves a hop; a name that merely occurs proves nothing.

// judge holds what is the same for every item of one input.
type judge struct {
	o       *Options
	domains []string // the relay's: ppe-hosted.com and Options.RelayDomains
	quote   func(transcript.Span) string
}

// judgement is an outcome and what later steps (merging, causes, headline)
// want to know of its making.
type judgement struct {
	out   Outcome
	obs   Observation
	item  *ndr.Item
	cs    *ndr.Case
	rung  int
	delay bool // a delay report: a later bounce of the same recipient replaces it
	// gap says what is missing when the verdict is insufficient-evidence.
	gap   gap
	lacks *shortfall // what the server did not declare; nil: nothing that is known
	tests []NextTest // what tells the causes apart
	// program wrote the text; nil where it is not known or does not matter.
	program *program
}

// gap is the kind of evidence an inconclusive text lacks; it chooses the text
// to ask for.
type gap string

const (
	gapNone    gap = ""
	gapLog     gap = "log"       // the sending server's SMTP log
	gapHost    gap = "host"      // a client's error that names no host: its dialogue or settings
	gapPeer    gap = "peer"      // a dialogue whose server is not named
	gapDetails gap = "details"   // the technical part of a report
	gapDialog  gap = "dialogue"  // the rest of a dialogue that ends too early
	gapDot     gap = "final-dot" // whether the message arrived after all
	gapTester  gap = "tester"    // the test itself failed: repeat it in another way
	gapAny     gap = "any"       // a report or a log, since there is none in the text
)

func newJudge(o *Options, quote func(transcript.Span) string) *judge {
	j := &judge{o: o, quote: quote, domains: relayDomains(o)}
	return j
}

var defaultDomains = []string{transcript.RelayDomain}

func relayDomains(o *Options) []string {
	if len(o.RelayDomains) == 0 {
		return defaultDomains
	}
	return append([]string{transcript.RelayDomain}, o.RelayDomains...)
}

// relay reports whether the mention names a host of the relay.
func (j *judge) relay(m *ndr.Mention) bool {
	return m.Host != "" && transcript.HostIsUnderAny(m.Host, j.domains)
}

// other reports whether the mention names a host that is not the relay's. A
// bare address names nobody.
func (j *judge) other(m *ndr.Mention) bool { return m.Host != "" && !j.relay(m) }

// judgeItem gives the outcome of one item.
func (j *judge) judgeItem(c *ndr.Case, it *ndr.Item) judgement {
	g := judgement{item: it, cs: c}
	o := &g.out
	o.Recipient = it.Recipient
	if o.Recipient == "" {
		o.Recipient = it.Original
	}
	o.Sender = it.Sender
	o.Status = it.Status
	o.Port = firstPort(it.Port, it.Refuser.Port, it.Target.Port)
	o.ReportedBy = name(&it.Reporter)
	if !it.When.IsZero() {
		o.When = formatTime(it.When)
	}
	reply := it.Reply
	if reply.IsZero() {
		reply = it.LocalReply
	}
	kind := transcript.KindOf(reply)
	o.Reply = replyOf(reply)
	stage := itemStage(it, kind)
	hop, byRelay := j.carried(c, it)

	g.obs = j.observe(c, it, stage, kind)
	if kind == transcript.KindThrottled || kind == transcript.KindSenderDeferred {
		kind = whoseLimit(kind, j.came(c, it, &g.obs))
		g.obs.Kind = kind
	}
	local := it.Reply.IsZero() && !it.LocalReply.IsZero()
	var broke transcript.Stage // where the dialogue broke first, when that is not where it failed

	switch {
	case j.harmless(c, it):
		g.rung = 1
		g.delay = it.Action == ndr.ActionDelayed
		o.Verdict, o.Confidence = NotAFailure, Certain
		stage = harmlessStage(c, it, stage)
		if g.delay {
			// Who keeps it waiting: with a reply, or without one.
			if it.Reply.Class() >= 4 {
				o.RefusedBy = name(&it.Refuser)
			}
			o.Target = name(&it.Target)
		}

	case j.relay(&it.Refuser) && it.Reply.Class() >= 4 && j.greetedBy(it) != "":
		// The dialled name is the relay's, the greeting is not.
		g.rung = 7
		o.Verdict, o.Confidence, o.RefusedBy = NeverReached, Likely, j.greetedBy(it)
		stage = transcript.StageNotAttempted

	case j.relay(&it.Refuser) && it.Reply.Class() >= 4:
		g.rung = 2
		o.Verdict, o.Confidence = refusal(&it.Reply, kind, stage), Certain
		if it.Reply.Code == 0 {
			o.Confidence = Likely // the client dropped the three digits
		}
		if it.Session != nil && it.Reply.Code == 530 && g.obs.StartTLS == transcript.No {
			// It wants STARTTLS and does not offer it: something on the way took it out.
			o.Verdict = HandshakeFailed
		}
		broke = brokeAt(it, o.Verdict)
		o.RefusedBy = it.Refuser.Host

	case j.hidAuth(c, it, stage, g.obs.Words):
		g.rung = 3
		o.Verdict, o.Confidence = Refused, Likely
		if g.obs.Port == 25 {
			stage = transcript.StageAuth // TLS would not bring it there
		}
		if j.relay(j.answered(it)) {
			o.RefusedBy = name(j.answered(it))
		}

	case it.Reply.IsZero() && it.Session == nil && undeclared(g.obs.Words) != nil && j.relay(j.answered(it)):
		// What the server's EHLO reply declared is less than the message needs.
		g.rung = 3
		o.Verdict, o.Confidence = Refused, Likely // nobody said so in a reply
		o.RefusedBy = name(j.answered(it))
		stage = transcript.StageEnvelope
		g.lacks = undeclared(g.obs.Words)
		g.obs.Kind = g.lacks.kind
		o.Reply, g.obs.Reply = Reply{}, transcript.Reply{}

	case refusedUntold(c, it, stage) && j.relay(&it.Refuser):
		g.rung = 2
		o.Verdict, o.Confidence = Refused, Likely
		o.RefusedBy = it.Refuser.Host

	case it.Reply.IsZero() && afterDot(it, g.obs.Words) && (j.relay(&it.Target) || j.relay(&it.Refuser)):
		g.rung = 4
		o.Verdict, o.Confidence = InsufficientEvidence, Possible
		stage = transcript.StageData
		g.gap = gapDot
		o.Target = name(j.answered(it))

	case it.Reply.IsZero() && (j.relay(&it.Target) || j.relay(&it.Refuser)) && j.failedBelow(it, stage):
		g.rung = 4
		o.Verdict, stage = belowSMTP(it, stage)
		if o.Verdict == Unreachable {
			g.rung = 5
		}
		broke = brokeAt(it, o.Verdict)
		o.Confidence = Certain
		if symptomOf(g.obs.Words, stage) == symptomNoSign {
			o.Confidence = Likely // with TCP Fast Open a lost SYN looks the same
		}
		if containsAny(g.obs.Words, manyFaults) {
			o.Confidence = Likely
		}
		o.Target = name(j.answered(it))

	case brokenOff(it):
		g.rung = 8
		o.Verdict, o.Confidence = InsufficientEvidence, Possible
		o.Target = name(j.dialled(it))
		g.gap = gapDialog
		if hasNote(c, noteTester) {
			g.gap = gapTester
		}

	case j.relay(&it.Reporter) || j.relay(&it.Carrier) || byRelay:
		g.rung = 6
		o.Verdict, o.Confidence = AcceptedThenBounced, Certain
		if !j.relay(&it.Reporter) && !j.relay(&it.Carrier) {
			o.Confidence = hop
		}
		stage = transcript.StageAccepted
		o.RefusedBy = laterRefuser(j, it, local)
		o.Target = name(&it.Target)

	case (j.other(&it.Refuser) && spoke(it)) || j.other(&it.Target) || (local && !it.LocalOnlyExpiry && j.other(&it.Reporter)):
		g.rung = 7
		o.Verdict, o.Confidence = NeverReached, Certain
		switch {
		case j.other(&it.Refuser):
			o.RefusedBy = it.Refuser.Host
		case j.other(&it.Target) && it.Fault != transcript.FaultNone:
			// Nobody refused: the reporter gave up on a server that gave no reply.
		case local && !it.LocalOnlyExpiry:
			o.RefusedBy = it.Reporter.Host
			o.Confidence = Likely // another report of the same mail may show the relay
		}
		o.Target = name(&it.Target)
		stage = transcript.StageNotAttempted

	default:
		g.rung = 8
		o.Verdict, o.Confidence = InsufficientEvidence, Possible
		o.RefusedBy = name(&it.Refuser)
		o.Target = name(&it.Target)
		g.gap = missing(c, it)
	}
	if c.Partial && o.Confidence == Certain {
		o.Confidence = Likely
	}
	if local && (g.rung == 4 || g.rung == 5) {
		// The reporter's words for a server that gave no reply.
		o.Reply = Reply{}
		if o.Status == "" {
			o.Status = it.LocalReply.Enhanced
		}
		g.obs.Reply, g.obs.Kind = transcript.Reply{}, transcript.KindUnknown
		if g.obs.Words == "" {
			g.obs.Words = words(it.LocalReply.Text())
		}
	}
	if local && it.LocalReply.Code == 0 && !j.harmless(c, it) {
		// The sending system's own account of it: nobody replied.
		o.Reply = Reply{}
		if o.Status == "" {
			o.Status = it.LocalReply.Enhanced
		}
	}
	o.Stage = string(cmp.Or(broke, stage))
	g.obs.Verdict, g.obs.Stage = o.Verdict, stage
	o.Direction = j.direction(c, it, &g, kind)
	g.obs.Inbound = inboundFact(o.Direction)
	if kind == transcript.KindRelayDenied && g.rung == 2 && len(j.o.Facts.OurDomains) == 0 {
		// "Relay access denied" is also what an outsider gets whose recipient's domain
		// has left the service: whose customer the recipient is was not said.
		g.obs.Inbound = transcript.Unknown
	}
	if g.rung == 2 && o.Direction == Outbound && ruleOf(kind).inbound {
		// The relay takes the recipient for its customer's, whoever that is to us.
		g.obs.Inbound = transcript.Unknown
	}
	o.Party = j.party(c, it, &g, kind)
	o.Evidence = j.evidence(c, it, &g)
	return g
}

// greetedBy is the host that greeted, when a dialogue shows that it is not the
// relay; its refusal is not the relay's.
func (j *judge) greetedBy(it *ndr.Item) string {
	if it.Session == nil {
		return ""
	}
	return foreignBanner(it.Session, j.domains)
}

// brokeAt is the greeting, when something masked it on the way: it is none any
// more, and what fails later comes of it. The comparison with causes keeps the
// stage that failed.
func brokeAt(it *ndr.Item, v Verdict) transcript.Stage {
	if v == HandshakeFailed && it.Session != nil && starred(it.Session) {
		return transcript.StageGreet
	}
	return ""
}

// harmless is rung 1: a report of delay or success, or a text that reports
// nothing.
func (j *judge) harmless(c *ndr.Case, it *ndr.Item) bool {
	switch it.Action {
	case ndr.ActionDelivered, ndr.ActionRelayed, ndr.ActionExpanded:
		return true
	case ndr.ActionDelayed:
		if it.FromReport {
			return true
		}
	}
	if notReport(c.Nature) {
		return true
	}
	if it.Action == ndr.ActionUnstated && !it.Reply.IsZero() {
		// An accepting reply to the last command, and nothing after it.
		return it.Fault == transcript.FaultNone && it.Reply.Class() == 2 && it.LocalReply.IsZero() && acceptedStage(it.Stage)
	}
	return false
}

// acceptedStage says whether a 2xx at this stage settles something for the
// recipient. A greeting or an EHLO that went well settles nothing.
func acceptedStage(s transcript.Stage) bool {
	switch s {
	case transcript.StageEnvelope, transcript.StageData, transcript.StageAccepted, "":
		return true
	}
	return false
}

// notReport reports whether the nature is that of a mail that reports nothing.
func notReport(n ndr.Nature) bool {
	switch n {
	case ndr.NatureAutoreply, ndr.NatureComplaint, ndr.NatureReceipt, ndr.NatureCalendar, ndr.NatureOther:
		return true
	}
	return false
}

// harmlessStage: reports of success and delay speak of mail that some host
// holds or passed on; a dialogue keeps how far it got.
func harmlessStage(c *ndr.Case, it *ndr.Item, stage transcript.Stage) transcript.Stage {
	switch {
	case it.Action != ndr.ActionUnstated:
		return transcript.StageAccepted
	case notReport(c.Nature):
		return transcript.StageUnknown
	case stage == transcript.StageData, stage == transcript.StageUnknown:
		return transcript.StageAccepted // 250 to the final dot
	}
	return stage
}

// refusal is the verdict of a refusing reply of the relay.
func refusal(r *transcript.Reply, kind transcript.Kind, stage transcript.Stage) Verdict {
	if r.Class() == 4 {
		return Deferred
	}
	if stage == transcript.StageTLS && (r.Code == 500 || r.Code == 502) {
		return HandshakeFailed // STARTTLS is not known there: it was taken out on the way
	}
	if ruleOf(kind).inbound {
		return InboundRefused
	}
	return Refused
}

// hidAuth is rung 3: the relay answered, offered no AUTH before STARTTLS or none
// that the client knows, and the client stopped. Gmail's "send mail as" reports it of the customer's own
// relay, which it does not name.
func (j *judge) hidAuth(c *ndr.Case, it *ndr.Item, stage transcript.Stage, words string) bool {
	if it.Reply.Class() >= 4 || (stage != transcript.StageTLS && stage != transcript.StageAuth) {
		return false
	}
	if s := it.Session; s != nil {
		// A reader names the server of a dialogue as the one that refused, without
		// a reply, when it hid what the client wanted.
		if it.Fault == transcript.FaultNone && it.Reply.IsZero() && j.relay(&it.Refuser) {
			return stage == transcript.StageAuth || (offers(s.Before, "AUTH") != transcript.Yes && s.After == nil && !started(s))
		}
	}
	sy := symptomOf(words, stage)
	if stage == transcript.StageAuth && it.Reply.IsZero() && sy == symptomNoMechanism {
		return j.relay(&it.Refuser) || j.relay(&it.Target)
	}
	said := sy == symptomNoAuth || sy == symptomNoLogin
	if !said && (it.Fault != transcript.FaultNone || stage != transcript.StageTLS || it.Session != nil) {
		return false
	}
	if said && c.Format == formatGmail && it.Refuser.IsZero() && it.Target.IsZero() {
		return true
	}
	return j.relay(&it.Refuser) || j.relay(&it.Target)
}

// refusedUntold reports whether a program says that the server refused and does
// not say how: "Login denied".
func refusedUntold(c *ndr.Case, it *ndr.Item, stage transcript.Stage) bool {
	if c.Nature == ndr.NatureReport && stage != transcript.StageAuth {
		return false
	}
	return (c.Nature == ndr.NatureError || c.Nature == ndr.NatureReport) && it.Session == nil && it.Fault == transcript.FaultNone && !it.Refuser.IsZero() &&
		it.Reply.IsZero() && it.LocalReply.IsZero() &&
		(stage == transcript.StageAuth || stage == transcript.StageEnvelope || stage == transcript.StageData)
}

// formatGmail is Case.Format of Gmail's reports.
const formatGmail = "gmail"

// shortfall is something that a message needs and the server's EHLO reply does not
// declare, as a program says that kept the message for it.
type shortfall struct {
	words    []string
	kind     transcript.Kind
	says, do string // the halves of the headline
}

// shortfalls: a size (RFC 1870) in the words of Postfix and OpenSMTPD, addresses
// beyond ASCII (RFC 6531) in those of Postfix, Exim and Sendmail.
var shortfalls = [...]shortfall{
	{
		[]string{"exceeds size limit", "too large for peer"},
		transcript.KindMessageTooBig,
		" takes no message of this size", "make the message smaller",
	},
	{
		[]string{"smtputf8 is required", "utf8 support required"},
		transcript.KindSyntax,
		" takes no addresses beyond ASCII (SMTPUTF8)", "write the address in ASCII",
	},
}

// undeclared is the shortfall that the words tell of; nil where they tell of none.
func undeclared(words string) *shortfall {
	if words == "" {
		return nil
	}
	for i := range shortfalls {
		if containsAny(words, shortfalls[i].words) {
			return &shortfalls[i]
		}
	}
	return nil
}

// started reports whether STARTTLS was accepted.
func started(s *transcript.Session) bool {
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if transcript.Verb(e.Command) == "STARTTLS" && e.Reply.Class() == 2 {
			return true
		}
	}
	return false
}

// brokenOff reports whether the text shows a dialogue that its client ended
// before any answer that settles something.
func brokenOff(it *ndr.Item) bool {
	return it.Session != nil && it.Action == ndr.ActionUnstated && it.Fault == transcript.FaultNone &&
		it.Reply.Class() < 4 && it.LocalReply.IsZero()
}

// spoke reports whether a host that is named as refuser really refused: not
// with an accepting reply.
func spoke(it *ndr.Item) bool {
	c := it.Reply.Class()
	return c == 0 || c >= 4
}

// answered is the relay's host that was spoken to or tried.
func (j *judge) answered(it *ndr.Item) *ndr.Mention {
	if j.relay(&it.Refuser) {
		return &it.Refuser
	}
	return &it.Target
}

// dialled is the host of a dialogue, whoever it is.
func (j *judge) dialled(it *ndr.Item) *ndr.Mention {
	if !it.Refuser.IsZero() {
		return &it.Refuser
	}
	return &it.Target
}

// failedBelow reports whether the try at the relay failed below SMTP: a fault,
// or at least a stage where it ended.
func (j *judge) failedBelow(it *ndr.Item, stage transcript.Stage) bool {
	if it.Fault != transcript.FaultNone {
		return true
	}
	switch stage {
	case transcript.StageResolve, transcript.StageConnect, transcript.StageGreet:
		return true
	case transcript.StageEHLO, transcript.StageTLS, transcript.StageAuth, transcript.StageEnvelope, transcript.StageData:
		// A dialogue that merely stops there was broken off by the client, and a
		// reporter with words of its own stopped the mail itself.
		return it.Session == nil && it.LocalReply.IsZero()
	}
	return false
}

// belowSMTP is the verdict and the stage of a try that ended without a reply.
func belowSMTP(it *ndr.Item, stage transcript.Stage) (Verdict, transcript.Stage) {
	switch stage {
	case transcript.StageResolve, transcript.StageConnect:
		return Unreachable, stage
	case transcript.StageGreet, transcript.StageEHLO, transcript.StageTLS:
		return HandshakeFailed, stage
	case transcript.StageAuth, transcript.StageEnvelope, transcript.StageData:
		return Deferred, stage
	}
	switch it.Fault {
	case transcript.FaultDNS:
		return Unreachable, transcript.StageResolve
	case transcript.FaultTLS, transcript.FaultCertificate, transcript.FaultInjection:
		return HandshakeFailed, transcript.StageTLS
	case transcript.FaultReset, transcript.FaultClosed, transcript.FaultProtocol, transcript.FaultLimit:
		return HandshakeFailed, transcript.StageGreet
	}
	return Unreachable, transcript.StageConnect
}

// manyFaults are words that a device has for several faults: Canon's for a
// time-out and for an error of the server; and of Perl for a name that is not
// found, a port that is shut and a greeting that did not come.
var manyFaults = []string{"#801", "unable to initialize smtp properly", "unable to establish smtp connection"}

// afterDot reports whether the connection broke between the final dot and its
// reply: the message may have been delivered.
func afterDot(it *ndr.Item, words string) bool {
	if s := it.Session; s != nil && it.Fault != transcript.FaultNone {
		if i := s.FirstFailureIndex(); i >= 0 {
			return transcript.Verb(s.Exchanges[i].Command) == "."
		}
	}
	if it.Fault == transcript.FaultNone || (it.Stage != transcript.StageData && it.Stage != transcript.StageUnknown && it.Stage != "") {
		return false
	}
	return containsAny(words, afterDotWords)
}

// afterDotWords are how programs say that the final dot was sent: Postfix,
// qmail, Exim, msmtp.
var afterDotWords = []string{"end of data", "message may be sent more than once", "after i sent the message", "final dot", "final data"}

// carried reports whether the returned headers prove that the relay had taken
// the mail, and how sure that is: "by" the relay proves it, "from" the relay is
// what the next hop wrote down.
func (j *judge) carried(c *ndr.Case, it *ndr.Item) (Confidence, bool) {
	sure, found := Likely, false
	for i := range c.Hops {
		h := &c.Hops[i]
		if j.relay(&h.By) {
			return Certain, true
		}
		if j.relay(&h.From) {
			found = true
		}
	}
	return sure, found
}

// laterRefuser is the host behind the relay that refused.
func laterRefuser(j *judge, it *ndr.Item, local bool) string {
	switch {
	case !it.Refuser.IsZero():
		return name(&it.Refuser)
	case local && !it.LocalOnlyExpiry && !j.relay(&it.Reporter):
		return name(&it.Reporter)
	}
	return ""
}

// itemStage is the furthest stage of the try: what the text says, else what
// the reply's words say, else what the fault says.
func itemStage(it *ndr.Item, kind transcript.Kind) transcript.Stage {
	if it.Reply.Code == 530 || kind == transcript.KindStartTLSRequired {
		return transcript.StageTLS // wherever it was said
	}
	if it.Stage == transcript.StageGreet && it.Reply.Class() >= 4 && !isLimit(kind) {
		// An excerpt that begins with a reply: what the words are about comes later.
		if s := kind.Stage(); s.Order() > it.Stage.Order() {
			return s
		}
	}
	if it.Stage != "" && it.Stage != transcript.StageUnknown {
		return it.Stage
	}
	if !it.Reply.IsZero() || !it.LocalReply.IsZero() {
		if it.Reply.IsZero() {
			return it.LocalReply.StageOf(kind)
		}
		return it.Reply.StageOf(kind)
	}
	switch it.Fault {
	case transcript.FaultDNS:
		return transcript.StageResolve
	case transcript.FaultRefused, transcript.FaultTimeout:
		return transcript.StageConnect
	case transcript.FaultTLS, transcript.FaultCertificate, transcript.FaultInjection:
		return transcript.StageTLS
	case transcript.FaultClosed, transcript.FaultReset:
		return transcript.StageGreet
	}
	return transcript.StageUnknown
}

func firstPort(ports ...int) int {
	for _, p := range ports {
		if p != 0 {
			return p
		}
	}
	return 0
}

// name is the host of a mention, or its address when no name is known.
func name(m *ndr.Mention) string {
	if m.Host != "" {
		return m.Host
	}
	return m.Address
}

func replyOf(r transcript.Reply) Reply {
	if r.IsZero() {
		return Reply{}
	}
	return Reply{Code: r.Code, Enhanced: r.Enhanced, Text: r.Text()}
}
