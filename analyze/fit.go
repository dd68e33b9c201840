package analyze

import (
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// fields are circumstances, as a set: those in which an ending differs from a
// question.
type fields uint32

const (
	fieldPort fields = 1 << iota
	fieldImplicit
	fieldSecure
	fieldStartTLS
	fieldOffered
	fieldTried
	fieldLoggedIn
	fieldMasked
	fieldInbound
	fieldNullSender
	fieldOwnSender
	fieldLoginSender
	fieldRightHost
	fieldExchange
	fieldForwards
	fieldListed
	fieldRegistered
	fieldAge
	fieldIntent
)

// fits reports whether the ending is what was seen: the same answer under the
// same circumstances, as far as either is known.
func (e *ending) fits(q *question) bool { return e.answers(q) && e.differs(q) == 0 }

// answers compares the answer alone: who, where, with which reply or fault.
func (e *ending) answers(q *question) bool {
	return (q.ready || e.shownIn(q)) && e.couldAnswer(q)
}

// shownIn reports whether the kind of text that was seen can show the ending.
func (e *ending) shownIn(q *question) bool {
	switch e.dialogue {
	case sessionOnly:
		return q.session
	case reportOnly:
		return !q.session
	}
	return true
}

// couldAnswer compares the answer in whatever kind of text it is shown.
func (e *ending) couldAnswer(q *question) bool {
	if q.ready {
		// A login that is asked for inside TLS is a failure of TLS by its code and
		// stands behind the handshake.
		behind := e.stage.Order() > q.stage.Order() || e.stage == q.stage && e.code == 530 && e.secure == transcript.Yes
		return e.success || e.place == placeRelay && q.stage != "" && behind
	}
	if e.success || e.place != q.place || e.dot != q.dot {
		return false
	}
	switch q.place {
	case placeOther, placeOwn, placeTest:
		return true // whatever it said, it was not the relay
	case placeLater:
		return e.answersLater(q)
	}
	if q.stage != "" && e.stage != q.stage && !e.sameGate(q) {
		return false
	}
	if e.code != 0 {
		return e.sameReply(q)
	}
	return e.sameFault(q)
}

// sameGate: that AUTH is not offered is a failure of TLS on 587 before STARTTLS
// and one of AUTH on 25; a text without a port cannot tell the two apart.
func (e *ending) sameGate(q *question) bool {
	if q.symptom == symptomNoSign {
		return e.stage == transcript.StageConnect && e.fault == transcript.FaultTimeout
	}
	gate := e.symptom == symptomNoAuth || e.symptom == symptomNoMechanism && q.symptom == symptomNoLogin
	return gate && (q.stage == transcript.StageTLS || q.stage == transcript.StageAuth) && !q.said()
}

// answersLater compares what came after the relay took the mail.
func (e *ending) answersLater(q *question) bool {
	warning := q.verdict == NotAFailure
	if warning != (e.code/100 == 4 || e.code == 0 && e.why == says("downstream-deferred")) {
		return false
	}
	switch {
	case e.foreign:
		return q.said() && (q.class == 0 || q.class == e.code/100)
	case e.code != 0:
		return q.said() && q.kind == e.kind
	}
	return !q.said() && e.fault == q.fault
}

// sameReply compares the relay's reply. Words decide where there are any: the
// same meaning in another code of the same class is another dialect. Without
// words the codes must be the same.
func (e *ending) sameReply(q *question) bool {
	if !q.said() {
		switch q.symptom {
		case symptomNoAuth, symptomNoLogin, symptomNoMechanism:
			return false // the client missed what it wants and stopped by itself
		}
		// Refused, and the text says nothing of the reply.
		return q.fault == transcript.FaultNone && (q.verdict == Refused || q.verdict == InboundRefused) == (e.code/100 == 5) &&
			(q.verdict == Refused || q.verdict == InboundRefused || q.verdict == Deferred)
	}
	if q.class != 0 && q.class != e.code/100 && !isLimit(q.kind) {
		return false
	}
	if q.kind != "" && e.kind != "" || q.words {
		return q.kind == e.kind || e.foreseen(q.kind)
	}
	if q.code != 0 && q.code != e.code {
		return false
	}
	return q.enhanced == "" || q.enhanced == e.enhanced()
}

// senderWords are replies about the sender that Postfix has and that were not
// seen from the service, which says "Relay access denied" instead; each with the
// rules of the policy that decide what they speak of. Limits it says in its own
// words, too: other programs say them for good or for now.
var senderWords = []struct {
	kind  transcript.Kind
	rules []policy.RuleID
}{
	{transcript.KindSenderRejected, []policy.RuleID{"C0", "C1", "C2", "C3", "C4", "C5"}}, // the sender, for a reason not named
	{transcript.KindSenderNotOwned, []policy.RuleID{"C4", "C5"}},                         // the address is not one that the login may use
	{transcript.KindSenderNotLoggedIn, []policy.RuleID{"N1", "P2"}},
	{transcript.KindSenderDeferred, []policy.RuleID{"I6"}}, // put off, for a reason not named
	{transcript.KindThrottled, []policy.RuleID{"C7", "I6"}},
}

// foreseen reports whether the kind is another wording for what the ending's rule
// decides.
func (e *ending) foreseen(kind transcript.Kind) bool {
	for i := range senderWords {
		if senderWords[i].kind == kind {
			return slices.Contains(senderWords[i].rules, e.rule)
		}
	}
	return false
}

// sameFault compares what went wrong without a reply.
func (e *ending) sameFault(q *question) bool {
	if q.said() {
		return false
	}
	if q.fault != transcript.FaultNone && e.fault != transcript.FaultNone && q.fault != e.fault && !(isTLSFault(q.fault) && isTLSFault(e.fault)) {
		return false
	}
	if q.fault == transcript.FaultCertificate && e.fault != transcript.FaultCertificate && !strings.HasPrefix(e.tls, "certificate-") {
		return false // a certificate came, so TLS spoke
	}
	if e.fault == transcript.FaultNone && q.fault != transcript.FaultNone && (q.symptom == symptomNone || q.symptom != e.symptom) {
		return false
	}
	if e.fault != transcript.FaultNone && q.fault == transcript.FaultNone && q.session && (q.probe || q.stage != transcript.StageConnect) && (e.tls == "" || q.tls == "") {
		return false // a dialogue would have shown the fault, but for some clients that tell nothing of a failed connection
	}
	if e.fault != transcript.FaultNone && (q.verdict == Refused || q.verdict == InboundRefused) {
		return false // the server said something; what, is not told
	}
	if q.symptom == symptomNoLogin {
		return e.symptom == symptomNoAuth || e.symptom == symptomNoMechanism
	}
	if q.symptom != symptomNone && q.symptom != symptomNoSign && q.symptom != e.symptom {
		return false
	}
	if q.tls == "" {
		return !q.probe || e.tls == "" || q.stage != transcript.StageTLS
	}
	return q.tls == e.tls || q.tls == "alert" && (e.tls == "protocol-version" || e.tls == "internal-error")
}

func isTLSFault(f transcript.Fault) bool {
	return f == transcript.FaultTLS || f == transcript.FaultCertificate
}

// enhanced is the enhanced code of the ending's reply.
func (e *ending) enhanced() string {
	if len(e.text) > 9 && e.text[5] == '.' && e.text[7] == '.' {
		return e.text[4:9]
	}
	return ""
}

// differs returns the circumstances in which the two are known to differ. What
// was not reached does not count.
func (e *ending) differs(q *question) fields {
	var off fields
	differ := func(f fields, e, q transcript.Fact) {
		// What could not be seen at this ending was not seen: "no" fits it.
		if q == transcript.Yes && e != transcript.Yes || q == transcript.No && e == transcript.Yes {
			off |= f
		}
	}
	switch {
	case q.intent == "" || q.intent == IntentBoth || e.intent == q.intent:
	case e.intent != "", q.intent == IntentAuth && q.inbound != transcript.Yes:
		off |= fieldIntent // strangers' mail is no SMTP AUTH
	}
	if q.exchange == transcript.No && e.exchange == transcript.Yes {
		off |= fieldExchange
	}
	if q.forwards == transcript.No && e.forwards == transcript.Yes {
		off |= fieldForwards
	}
	if q.credYoung == transcript.No && e.credYoung == transcript.Yes ||
		q.userYoung == transcript.No && e.userYoung == transcript.Yes ||
		q.domainYoung == transcript.No && e.domainYoung == transcript.Yes {
		off |= fieldAge
	}
	if e.place != placeRelay {
		return off
	}
	if e.stage == transcript.StageResolve {
		differ(fieldRightHost, e.rightHost, q.rightHost)
		return off
	}
	if q.port != 0 && q.port != e.port && !(q.port == 465 && e.port == 587) {
		off |= fieldPort
	}
	if e.stage == transcript.StageConnect || q.ready && !e.success {
		return off // a road that was not walked further shows no more
	}
	differ(fieldImplicit, e.implicit, q.implicit)
	differ(fieldMasked, e.masked, q.masked)
	differ(fieldStartTLS, e.startTLS, q.startTLS)
	differ(fieldOffered, e.offered, q.offered)
	differ(fieldTried, e.tried, q.tried)
	differ(fieldLoggedIn, e.loggedIn, q.loggedIn)
	if e.stage != transcript.StageTLS && e.stage != transcript.StageEHLO && e.port != 25 { // TLS on 25 changes no decision, EHLO is said before and inside it
		differ(fieldSecure, e.secure, q.secure)
	}
	if e.stage.Order() < transcript.StageEnvelope.Order() {
		return off
	}
	differ(fieldNullSender, e.nullSender, q.nullSender)
	differ(fieldOwnSender, e.ownSender, q.ownSender)
	differ(fieldLoginSender, e.loginSender, q.loginSender)
	differ(fieldInbound, e.inbound, q.inbound)
	differ(fieldRegistered, e.registered, q.registered)
	if q.forwards == transcript.Yes && e.forwards != transcript.Yes {
		off |= fieldForwards
	}
	if e.port == 25 {
		differ(fieldListed, e.listed, q.listed)
	}
	return off
}

// affirmed reports whether a fact that was told speaks for the ending.
func (e *ending) affirmed(q *question) bool {
	both := func(a, b transcript.Fact) bool { return a == transcript.Yes && b == transcript.Yes }
	return both(e.credYoung, q.credYoung) || both(e.userYoung, q.userYoung) || both(e.domainYoung, q.domainYoung) ||
		both(e.forwards, q.forwards) || both(e.exchange, q.pooled) ||
		e.registered == transcript.No && q.registered == transcript.No || e.listed == transcript.No && q.listed == transcript.No && e.port == 25
}
