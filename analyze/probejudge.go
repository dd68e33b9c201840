package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Probe is what a probe recorded and what it was asked to try.
type Probe struct {
	Target   string // the relay's name as given
	Intent   Intent // empty: auth
	Sessions []transcript.Session
	DNS      *DNS
	Planned  Planned
	// Partial says that the run ended (deadline, Ctrl-C) before it was done.
	Partial bool
	// Findings are made elsewhere, such as those about names; they join the
	// judge's own.
	Findings []Finding
}

// JudgeProbe judges a probe. Each session gets its own verdict, by where it
// broke and with which reply; the headline is that of the session which the
// intent needs: port 587 for auth, 25 for server, the worse of both for both.
func JudgeProbe(p Probe, o Options) *Report {
	if p.Intent == "" {
		p.Intent = o.Facts.Intent
	}
	if p.Intent == "" {
		p.Intent = IntentAuth
	}
	o.Facts.Intent = p.Intent
	return newProbeJudge(&p, &o).worded()
}

// worded is the report in the words that fit the relay and the user's pages.
func (j *probeJudge) worded() *Report {
	r := j.report()
	if j.other() {
		r.sayOther()
	}
	j.o.Explainer.reword(r)
	return r
}

// probeJudge holds one run while it is judged.
type probeJudge struct {
	p       *Probe
	o       *Options
	domains []string
	ours    bool // the target is under a known relay domain
	// cite quotes the text that the sessions were read from; nil where there is
	// none, and the evidence has the lines of their text form.
	cite func(transcript.Span, string) (Evidence, bool)
	all  []sessionJudgement
}

// sessionJudgement is the verdict of one session and how it was reached.
type sessionJudgement struct {
	s          *transcript.Session
	verdict    Verdict
	stage      transcript.Stage
	party      Party
	confidence Confidence
	direction  Direction
	kind       transcript.Kind
	failure    int // index of the deciding exchange, -1 when nothing failed
	expected   bool
	notTried   []transcript.Stage // stages the plan left out, in the order of the road
	noRCPT     bool               // the plan had a sender and no recipient
	why        string             // id of a finding that explains a failure without a reply
	obs        Observation
}

func newProbeJudge(p *Probe, o *Options) *probeJudge {
	j := &probeJudge{p: p, o: o, domains: relayDomains(o)}
	j.ours = transcript.HostIsUnderAny(p.Target, j.domains)
	for i := range p.Sessions {
		j.all = append(j.all, j.session(&p.Sessions[i]))
	}
	return j
}

// submission reports whether the port is one that AUTH is served on.
func submission(port int) bool { return port != 25 }

// session judges one session: the first failing exchange is the cause, what
// follows are consequences, courtesies (RSET, NOOP, QUIT) never decide.
func (j *probeJudge) session(s *transcript.Session) sessionJudgement {
	g := sessionJudgement{s: s, failure: -1, direction: Outbound, confidence: Certain, party: NoParty}
	reached := transcript.StageNotAttempted
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if e.Skipped != "" || courtesy(e) || j.unplanned(s, e) {
			continue
		}
		place := placeOf(s, e)
		if i < len(s.Exchanges)-1 && continuesAuth(s, i) {
			if cancelled(s, i+1) {
				reached = transcript.StageAuth
			}
			continue
		}
		if accepted(e, place) {
			if place.Order() > reached.Order() {
				reached = place
			}
			if e.Stage == transcript.StageData && transcript.Verb(e.Command) == "." {
				reached = transcript.StageAccepted
			}
			continue
		}
		if mended(s, i) {
			continue
		}
		g.failure = i
		j.failed(&g, e, place)
		break
	}
	if g.failure < 0 {
		j.complete(&g, reached)
	}
	j.wrongHost(&g)
	g.obs = Observation{
		Verdict: g.verdict, Stage: g.stage, Port: s.Port, Kind: g.kind, Via: "probe",
		Inbound: inboundFact(g.direction), Host: j.p.Target,
	}
	if g.failure >= 0 {
		e := &s.Exchanges[g.failure]
		g.obs.Reply, g.obs.Fault, g.obs.Words = e.Reply, e.Fault, words(e.Detail)
		if notAnswered(e) {
			g.obs.Fault = transcript.FaultNone // no cause of ours explains it
		}
		if e.Command != "" && transcript.Verb(e.Command) == "RCPT" {
			g.obs.Recipient, _, _ = transcript.Path(e.Command)
		}
		g.obs.Sender = senderBefore(s, g.failure)
	}
	fromSession(&g.obs, s)
	if from := j.p.Planned.From; len(from) > 0 && g.obs.AuthTried == transcript.Yes && strings.EqualFold(g.obs.Sender, from[0]) {
		switch j.p.Planned.LoginSender {
		case "yes":
			g.obs.LoginSender = transcript.Yes
		case "no":
			g.obs.LoginSender = transcript.No
		}
	}
	g.expected = j.expects(&g)
	return g
}

// courtesy reports whether an exchange can never decide: the verdict stands by
// then.
func courtesy(e *transcript.Exchange) bool {
	switch transcript.Verb(e.Command) {
	case "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP":
		return true
	}
	return false
}

// placeOf is the row of the verdict table an exchange belongs to. EHLO inside
// TLS belongs to TLS, unless TLS was there from the first byte.
func placeOf(s *transcript.Session, e *transcript.Exchange) transcript.Stage {
	if e.Stage == transcript.StageEHLO && e.Secure && !s.Implicit {
		return transcript.StageTLS
	}
	return e.Stage
}

// continuesAuth reports whether exchange i is a 334 that the client answered.
func continuesAuth(s *transcript.Session, i int) bool {
	e := &s.Exchanges[i]
	if e.Stage != transcript.StageAuth || e.Reply.Code != 334 || e.Fault != transcript.FaultNone {
		return false
	}
	return s.Exchanges[i+1].Stage == transcript.StageAuth
}

// cancelled reports whether exchange i ended AUTH from our side, without an
// answer that settles it.
func cancelled(s *transcript.Session, i int) bool {
	return strings.HasPrefix(s.Exchanges[i].Skipped, interruptedMark)
}

// interruptedMark begins Exchange.Skipped where our own deadline, an interrupt
// or a cancelled AUTH ended a step that was under way.
const interruptedMark = "interrupted"

// unplanned reports whether an exchange lies beyond what a probe judges: a
// submission port answers nothing about senders and recipients before AUTH.
func (j *probeJudge) unplanned(s *transcript.Session, e *transcript.Exchange) bool {
	return submission(s.Port) && !j.p.Planned.Credential && e.Stage.Order() >= transcript.StageEnvelope.Order()
}

// accepted reports whether an exchange went as it must for the road to go on.
// Codes are exact (RFC 5321 §4.3.2, RFC 4954 §4); words never make a success.
func accepted(e *transcript.Exchange, place transcript.Stage) bool {
	if e.Fault != transcript.FaultNone {
		return false
	}
	code := e.Reply.Code
	verb := transcript.Verb(e.Command)
	switch e.Stage {
	case transcript.StageResolve, transcript.StageConnect:
		return code < 400
	case transcript.StageGreet:
		return code == 220
	case transcript.StageEHLO:
		return code == 250
	case transcript.StageTLS:
		switch verb {
		case "STARTTLS":
			return code == 220
		case "EHLO", "HELO":
			return code == 250
		}
		return code == 0 || code == 220 // the handshake itself has no reply
	case transcript.StageAuth:
		return code == 235
	case transcript.StageEnvelope:
		if verb == "RCPT" {
			return code >= 250 && code <= 252
		}
		return code == 250
	case transcript.StageData:
		if verb == "DATA" {
			return code == 354
		}
		return code == 250
	case transcript.StageAccepted:
		return code < 400
	}
	return code < 400 && place != ""
}

// mended reports whether a refused EHLO was followed by a HELO or EHLO that
// went well (RFC 5321 §3.2).
func mended(s *transcript.Session, i int) bool {
	e := &s.Exchanges[i]
	if !greeting(e) || e.Fault != transcript.FaultNone || e.Reply.Class() != 5 {
		return false
	}
	for k := i + 1; k < len(s.Exchanges); k++ {
		n := &s.Exchanges[k]
		if greeting(n) && n.Skipped == "" {
			return n.Reply.Code == 250 && n.Fault == transcript.FaultNone
		}
	}
	return false
}

// greeting reports whether an exchange is an EHLO or HELO.
func greeting(e *transcript.Exchange) bool {
	v := transcript.Verb(e.Command)
	return v == "EHLO" || v == "HELO"
}

// failed fills in the verdict of a session that broke at exchange e: the table
// place × (no whole valid reply, 4xx, 5xx).
func (j *probeJudge) failed(g *sessionJudgement, e *transcript.Exchange, place transcript.Stage) {
	g.kind = whoseLimit(transcript.KindOf(e.Reply), g.came())
	g.stage = place
	class := e.Reply.Class()
	if class == 4 || class == 5 {
		if e.Reply.Code == 530 {
			g.stage = transcript.StageTLS // wherever it was said
		}
		if e.Fault == transcript.FaultProtocol || e.Fault == transcript.FaultLimit {
			g.confidence = Likely
		}
		if class == 4 {
			g.verdict = Deferred
		} else {
			g.verdict = refusedAt(g, e)
		}
		if ruleOf(g.kind).inbound {
			g.direction = Inbound
		}
		g.party = j.partyOf(g, e)
		return
	}
	// No whole, valid reply. A code that does not fit the place is one too.
	if e.Fault == transcript.FaultNone || e.Fault == transcript.FaultProtocol || e.Fault == transcript.FaultLimit {
		g.confidence = Likely
		if e.Fault == transcript.FaultNone {
			g.why = findingProtocol
		}
	}
	switch place {
	case transcript.StageResolve, transcript.StageConnect:
		g.verdict = Unreachable
	case transcript.StageGreet, transcript.StageEHLO, transcript.StageTLS:
		g.verdict = HandshakeFailed
		if _, ok := cutShort(e); ok {
			g.confidence = Likely // it had more time than it was given
		}
	case transcript.StageData:
		g.verdict = Deferred
		if transcript.Verb(e.Command) == "." {
			g.verdict = InsufficientEvidence // it may have been delivered
			g.confidence = Possible
		}
	default:
		g.verdict = Deferred
	}
	g.party = j.partyOf(g, e)
}

// refusedAt is the verdict of a 5xx.
func refusedAt(g *sessionJudgement, e *transcript.Exchange) Verdict {
	if g.stage == transcript.StageTLS && (e.Reply.Code == 500 || e.Reply.Code == 502) && transcript.Verb(e.Command) == "STARTTLS" {
		return HandshakeFailed // something on the way took STARTTLS out
	}
	if ruleOf(g.kind).inbound {
		return InboundRefused
	}
	return Refused
}

// notAnswered reports whether a connection was not opened for a reason on this
// side, so that nobody refused it.
func notAnswered(e *transcript.Exchange) bool {
	return e.Fault == transcript.FaultRefused &&
		(strings.HasPrefix(e.Detail, transcript.NoteThisMachine) || strings.HasPrefix(e.Detail, transcript.NoteNetworkSays))
}

// complete judges a session in which nothing that was tried failed: ready when
// the plan was walked to its end, else by what was missing.
func (j *probeJudge) complete(g *sessionJudgement, reached transcript.Stage) {
	s := g.s
	stop := j.p.Planned.StopAfter
	if stop == "" {
		stop = transcript.StageEnvelope
	}
	g.stage = reached
	limit := func(st transcript.Stage) bool { return st.Order() <= stop.Order() }

	sub := submission(s.Port)
	needTLS := sub && limit(transcript.StageTLS)
	needAuth := sub && j.p.Planned.Credential && limit(transcript.StageAuth)
	envelope := len(j.p.Planned.From) > 0 && limit(transcript.StageEnvelope) && (needAuth || !sub)
	tls := secured(s)

	switch {
	case s.Exchanges == nil || reached == transcript.StageNotAttempted:
		g.verdict, g.confidence, g.party = InsufficientEvidence, Possible, UnknownParty
		return
	case needTLS && !tls && greeted(s):
		if offers(s.Before, "STARTTLS") != transcript.Yes && !j.interrupted(s) {
			// The relay requires STARTTLS before AUTH (article A18): where it is
			// not offered, something on the way took it out.
			g.verdict, g.stage, g.party = HandshakeFailed, transcript.StageTLS, Network
			g.why = findingNoStartTLS
			if masked(s) {
				g.why = findingInspection
				if starred(s) { // what answered was no relay from the first line on
					g.stage = transcript.StageGreet
				}
			}
			return
		}
		g.verdict, g.confidence, g.party = InsufficientEvidence, Possible, UnknownParty
		return
	case needAuth && reached.Order() < transcript.StageAuth.Order():
		switch {
		case s.TLS != nil && s.TLS.Problem != "":
			g.verdict, g.stage = HandshakeFailed, transcript.StageTLS
			g.party = partyOfTLS(s.TLS.Problem)
		case s.After != nil && offers(s.After, "AUTH") == transcript.No && !j.interrupted(s):
			g.verdict, g.stage, g.party = Refused, transcript.StageAuth, SenderSystem
			g.confidence = Likely
			g.why = findingAuthVanished
		case authSkipped(s) && !j.interrupted(s) && reached != transcript.StageAuth:
			g.verdict, g.stage, g.party = Refused, transcript.StageAuth, SenderSystem
			g.confidence = Likely
			g.why = findingMechanism
		default:
			g.verdict, g.confidence, g.party = InsufficientEvidence, Possible, UnknownParty
		}
		return
	case envelope && reached.Order() < transcript.StageEnvelope.Order(),
		stop == transcript.StageData && dataTried(s) && reached != transcript.StageAccepted,
		j.interrupted(s),
		reached.Order() < min(stop.Order(), transcript.StageEHLO.Order()) && !s.Implicit:
		g.verdict, g.confidence, g.party = InsufficientEvidence, Possible, UnknownParty
		return
	}
	g.verdict = Ready
	if !j.p.Planned.Credential && sub && limit(transcript.StageAuth) {
		g.notTried = append(g.notTried, transcript.StageAuth)
	}
	g.noRCPT = envelope && len(j.p.Planned.To) == 0
	if !envelope && limit(transcript.StageEnvelope) {
		g.notTried = append(g.notTried, transcript.StageEnvelope)
	}
	if stop.Order() < transcript.StageEnvelope.Order() {
		g.notTried = append(g.notTried, transcript.StageEnvelope)
	}
}

// interrupted reports whether the run ended before this session was done. A
// QUIT that was not said is no loss.
func (j *probeJudge) interrupted(s *transcript.Session) bool {
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; cancelled(s, i) && !courtesy(e) && !j.unplanned(s, e) {
			return true
		}
	}
	return false
}

// interruptedAt is the step during which the run ended, nil if it did not.
func interruptedAt(s *transcript.Session) *transcript.Exchange {
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; cancelled(s, i) && !courtesy(e) {
			return e
		}
	}
	return nil
}

// secured reports whether TLS stood.
func secured(s *transcript.Session) bool {
	if s.Implicit {
		return s.TLS != nil && s.TLS.Version != ""
	}
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if e.Stage == transcript.StageTLS && e.Skipped == "" && e.Fault == transcript.FaultNone && transcript.Verb(e.Command) != "STARTTLS" && e.Reply.Class() < 4 {
			return true
		}
		if e.Secure && e.Skipped == "" {
			return true
		}
	}
	// A record without a step of its own for the handshake.
	return started(s) && s.TLS != nil && s.TLS.Version != ""
}

// greeted reports whether an EHLO or HELO went well.
func greeted(s *transcript.Session) bool {
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if e.Stage == transcript.StageEHLO && e.Reply.Code == 250 && e.Fault == transcript.FaultNone {
			return true
		}
	}
	return false
}

func authSkipped(s *transcript.Session) bool {
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; e.Stage == transcript.StageAuth && e.Skipped != "" {
			return true
		}
	}
	return false
}

func dataTried(s *transcript.Session) bool {
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; e.Stage == transcript.StageData && e.Skipped == "" {
			return true
		}
	}
	return false
}

// senderBefore is the envelope sender of the transaction that exchange i
// belongs to.
func senderBefore(s *transcript.Session, i int) string {
	for ; i >= 0; i-- {
		if e := &s.Exchanges[i]; transcript.Verb(e.Command) == "MAIL" {
			a, _, _ := transcript.Path(e.Command)
			return a
		}
	}
	return ""
}

// wrongHost turns the verdict of a session in which another mail server spoke
// under the relay's name. A name in a banner is a claim, so a certificate that
// verified for the relay's name overrules it, and only a known relay can be
// told from somebody else.
func (j *probeJudge) wrongHost(g *sessionJudgement) {
	if !j.ours {
		return
	}
	switch g.verdict {
	case Refused, InboundRefused, Deferred, Ready:
	default:
		return
	}
	if g.verdict == Ready && g.stage.Order() < transcript.StageEnvelope.Order() {
		return
	}
	if g.failure >= 0 && g.s.Exchanges[g.failure].Reply.IsZero() {
		return
	}
	if foreignBanner(g.s, j.domains) == "" {
		return
	}
	g.verdict, g.stage, g.party, g.confidence = NeverReached, transcript.StageNotAttempted, SenderSystem, Likely
	g.why = findingWrongHost
}

// foreignBanner is the name by which somebody else greets who answers under the
// name of the relay; empty when the greeting names the relay or nobody, or when
// a certificate proved the relay.
func foreignBanner(s *transcript.Session, domains []string) string {
	if s.TLS != nil && s.TLS.Verified == transcript.Yes {
		return ""
	}
	b := bannerHost(s)
	if b == "" || transcript.HostIsUnderAny(b, domains) {
		return ""
	}
	return b
}

// bannerHost is the name by which a server greeted; empty when it gave none
// that is a full host name.
func bannerHost(s *transcript.Session) string {
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if e.Stage != transcript.StageGreet || e.Reply.Code != 220 {
			continue
		}
		word := e.Reply.Text()
		if k := strings.IndexAny(word, " \t\r\n"); k >= 0 {
			word = word[:k]
		}
		word = strings.ToLower(strings.TrimSuffix(word, "."))
		if len(word) > 253 || !strings.Contains(word, ".") || strings.ContainsAny(word, "*/:@,;()<>[]\"'") || strings.Trim(word, "0123456789.") == "" {
			return ""
		}
		return word
	}
	return ""
}

// expects reports whether the service documents this verdict for the intent: a
// refusal to relay on 25 when AUTH is used (article A13), and on 587 for those
// who send by address (A14).
func (j *probeJudge) expects(g *sessionJudgement) bool {
	if g.verdict != Refused || g.kind != transcript.KindRelayDenied {
		return false
	}
	switch j.p.Intent {
	case IntentAuth:
		return g.s.Port == 25
	case IntentServer:
		return submission(g.s.Port)
	}
	return false
}
