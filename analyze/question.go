package analyze

import (
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// question is an observation with the facts beside it, reduced to what an
// ending is compared with. Unknown fields are wild cards. It is comparable, so
// that equal questions of a bulk run are answered once.
type question struct {
	ready    bool
	verdict  Verdict
	place    place
	stage    transcript.Stage // empty: not known
	fault    transcript.Fault
	code     int
	class    int
	enhanced string
	kind     transcript.Kind
	words    bool // the reply had words; a kind that is unknown then means other words
	symptom  symptom
	tls      string
	dot      bool
	session  bool            // a dialogue was seen, so what it does not show was not there
	seen     int             // a port that does not go with the answer; 0: none
	upgraded bool            // the words speak of STARTTLS: TLS hardly came first
	probe    bool            // the client was ours: port and AUTH were chosen, not found
	pooled   transcript.Fact // Microsoft's wrapper for mail of its relay pool (MS-pool)
	unlike   difference      // of a probe: in what it may differ from the try that failed
	circumstances
}

// elsewhere is the question without the circumstances in which the relay would
// not have answered so.
func (q question) elsewhere() question {
	q.seen, q.port = q.port, 0
	q.secure, q.startTLS, q.offered, q.implicit = transcript.Unknown, transcript.Unknown, transcript.Unknown, transcript.Unknown
	return q
}

// said reports whether the server answered.
func (q *question) said() bool { return q.class != 0 || q.kind != "" }

// propagation is how young a setting is that need not be live yet.
const propagation = policy.DefaultPropagation

// ask reduces an observation.
func newQuestion(o *Observation, f *Facts) question {
	q := question{
		verdict: o.Verdict, stage: o.Stage, fault: o.Fault, tls: o.TLS,
		code: o.Reply.Code, class: o.Reply.Class(), enhanced: o.Reply.Enhanced, kind: o.Kind,
		ready: o.Verdict == Ready,
		// A dialogue says of AUTH that it was tried or not; other texts do not.
		session: o.AuthTried != transcript.Unknown,
		probe:   o.Via == "probe",
		circumstances: circumstances{
			intent: f.Intent, port: o.Port, implicit: o.Implicit, secure: o.Secure, startTLS: o.StartTLS,
			offered: o.Offered, tried: o.AuthTried, loggedIn: o.LoggedIn, inbound: o.Inbound,
			forwards: f.Forwarded, listed: f.Listed, registered: f.Registered,
			credYoung: young(f.CredentialAge), userYoung: young(f.UserAge), domainYoung: young(f.DomainAge),
		},
	}
	if q.stage == transcript.StageUnknown {
		q.stage = ""
	}
	if q.kind == "" && !o.Reply.IsZero() {
		q.kind = transcript.KindOf(o.Reply)
	}
	q.words = hasWords(&o.Reply)
	if !q.words && o.Reply.Code != 0 {
		q.kind = "" // without words the codes themselves are compared
	}
	q.symptom = symptomOf(o.Words, q.stage)
	if q.tls == "" {
		q.tls = tlsOfWords(o.Words, q.stage)
	}
	q.upgraded = containsAny(o.Words, startTLSWords)
	if (q.kind == transcript.KindDMARC || q.kind == transcript.KindIdleTimeout) && !q.session {
		q.stage = "" // said at several places; a report without its command cannot tell
	}
	if q.stage == transcript.StageConnect && containsAny(o.Words, noConnection) && !containsAny(o.Words, howItFailed) {
		q.fault = transcript.FaultNone // refused or silence: the words fit both
	}
	if q.stage == transcript.StageTLS && containsAny(o.Words, []string{"connection encryption type", "0x800ccc1a"}) {
		q.fault = transcript.FaultNone // Outlook: not offered, or offered and failed
	}
	if o.Masked {
		q.masked = transcript.Yes
	} else if q.session {
		q.masked = transcript.No
	}
	q.senders(o, f)
	if q.probe && (q.inbound == transcript.No || q.loggedIn == transcript.Yes) {
		// A probe takes its mail for outbound; whose customer the recipient is it
		// knows only when told. Who logs in sends for the account, to whomever.
		q.inbound = transcript.Unknown
		if _, domain, ok := strings.Cut(o.Recipient, "@"); ok && len(f.OurDomains) > 0 {
			q.inbound = fact(isOurs(domain, f.OurDomains))
		}
	}
	if fromExchange(o) {
		q.exchange = transcript.Yes
		q.pooled = fact(wrapped(&o.Reply, "5.7.367"))
	} else if o.Via != "" {
		q.exchange = transcript.No
	}
	if transcript.HostIsUnder(o.Host, transcript.RelayDomain) {
		_, right := region(o.Host)
		q.rightHost = fact(right)
	}
	q.where(o, f)
	q.local()
	return q
}

// fromExchange reports whether Exchange Online wrote the text.
func fromExchange(o *Observation) bool {
	return strings.HasPrefix(o.Via, "m365") || strings.HasPrefix(o.Via, "exchange-online")
}

// noConnection are words for a connection that did not come about, howItFailed
// those that say how.
var (
	noConnection = []string{"unable to connect", "couldn't connect", "could not connect", "no connection could be made", "cannot connect"}
	howItFailed  = []string{"refused", "timed out", "timeout", "time-out", "10060", "10061", "10051", "10065", "unreachable", "no route"}
)

// wrapped reports whether the code of a reporter's wrapper stands in a reply.
func wrapped(r *transcript.Reply, code string) bool {
	for _, l := range r.Lines {
		if strings.Contains(l, code) {
			return true
		}
	}
	return r.Enhanced == code
}

// hasWords reports whether a reply says more than its codes.
func hasWords(r *transcript.Reply) bool {
	for _, l := range r.Lines {
		if strings.ContainsFunc(l, func(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }) {
			return true
		}
	}
	return false
}

func young(age time.Duration) transcript.Fact {
	if age <= 0 {
		return transcript.Unknown
	}
	return fact(age < propagation)
}

// senders compares the envelope sender with what is known of the customer.
func (q *question) senders(o *Observation, f *Facts) {
	if o.Sender != "" {
		q.nullSender = fact(o.Sender == "<>")
		_, domain, _ := strings.Cut(o.Sender, "@")
		if len(f.OurDomains) > 0 && o.Sender != "<>" && !ruleOf(o.Kind).inbound { // what is said to strangers is said to our senders, too
			q.ownSender = fact(isOurs(domain, f.OurDomains))
		}
		q.loginSender = o.LoginSender
		if o.Login != "" {
			q.loginSender = fact(strings.EqualFold(o.Sender, o.Login))
		}
	}
	if f.Forwarded == transcript.Yes && q.ownSender == transcript.Unknown {
		q.ownSender = transcript.No
	}
}

func isOurs(domain string, ours []string) bool {
	for _, d := range ours {
		if strings.EqualFold(strings.TrimSuffix(d, "."), domain) {
			return true
		}
	}
	return false
}

// where finds out who answered.
func (q *question) where(o *Observation, f *Facts) {
	switch o.Verdict {
	case NeverReached:
		q.place = placeOther
		_, domain, _ := strings.Cut(o.Sender, "@")
		for _, d := range append([]string{domain}, f.OurDomains...) {
			if d != "" && transcript.HostIsUnder(o.Host, d) {
				q.place = placeOwn
			}
		}
	case AcceptedThenBounced:
		q.place, q.stage = placeLater, transcript.StageAccepted
	case NotAFailure:
		q.place = placeRelay
		if q.stage != transcript.StageAccepted {
			break
		}
		// A delay report: about the relay's own answer, or about what came later.
		if transcript.HostIsUnder(o.Host, transcript.RelayDomain) && (q.class >= 4 || q.fault != transcript.FaultNone) {
			q.stage = o.Reply.Stage()
			if q.stage == transcript.StageUnknown {
				q.stage = ""
			}
			break
		}
		q.place = placeLater
	case InsufficientEvidence:
		q.place = placeRelay
		q.dot = q.stage == transcript.StageData && o.Reply.IsZero()
		if o.Tester || q.symptom == symptomRenegotiate {
			q.place, q.stage = placeTest, ""
		}
	default:
		q.place = placeRelay
	}
}

// local takes a reporter's own words for a server's silence: "450 4.4.316
// connection refused" is the sender speaking, not the relay.
func (q *question) local() {
	if q.place != placeRelay && q.place != placeLater {
		return
	}
	fault, ok := localKinds[q.kind]
	if !ok && q.verdict != Unreachable {
		return
	}
	if q.fault == transcript.FaultNone {
		q.fault = fault
	}
	q.code, q.class, q.enhanced, q.kind, q.words = 0, 0, "", "", false
}

// localKinds are words in the shape of a reply that no server said, and the
// fault they speak of; none where they do not tell.
var localKinds = map[transcript.Kind]transcript.Fault{
	transcript.KindDNSFailed:      transcript.FaultDNS,
	transcript.KindConnectTimeout: transcript.FaultTimeout,
	transcript.KindConnectRefused: transcript.FaultRefused,
	transcript.KindConnectFailed:  transcript.FaultNone,
	transcript.KindConnectionLost: transcript.FaultClosed,
	transcript.KindTLSFailed:      transcript.FaultNone,
	transcript.KindExpired:        transcript.FaultNone,
}

// phrases that tell what went wrong below SMTP, in the words of resolvers,
// libraries and mail programs. First match wins; a stage limits where it counts.
var faultPhrases = []struct {
	stage   transcript.Stage
	words   string
	symptom symptom
	tls     string
}{
	{transcript.StageResolve, "try again", symptomNoAnswer, ""},
	{transcript.StageResolve, "servfail", symptomNoAnswer, ""},
	{transcript.StageResolve, "server failure", symptomNoAnswer, ""},
	{transcript.StageResolve, "eai_again", symptomNoAnswer, ""},
	{transcript.StageResolve, "temporary failure", symptomNoAnswer, ""},
	{transcript.StageResolve, "timed out", symptomNoAnswer, ""},
	{transcript.StageResolve, "misbehaving", symptomNoAnswer, ""},
	{transcript.StageResolve, "did not complete", symptomNoAnswer, ""},
	{transcript.StageResolve, "timeout", symptomNoAnswer, ""},
	{transcript.StageResolve, "time-out", symptomNoAnswer, ""},
	{transcript.StageResolve, "nxdomain", symptomNXDomain, ""},
	{transcript.StageResolve, "enotfound", symptomNXDomain, ""},
	{transcript.StageResolve, "not found", symptomNXDomain, ""},
	{transcript.StageResolve, "no such host", symptomNXDomain, ""},
	{transcript.StageResolve, "not known", symptomNXDomain, ""},
	{transcript.StageResolve, "unknown host", symptomNXDomain, ""},
	{transcript.StageResolve, "does not exist", symptomNXDomain, ""},
	{transcript.StageResolve, "doesnotexist", symptomNXDomain, ""},
	{"", "renegotiating", symptomRenegotiate, ""},
	{transcript.StageGreet, "timeout after initial connection", symptomNoSign, ""},
	{"", "certificate has expired or is not yet valid", symptomNone, ""}, // the next words decide
	{"", "protocol version", symptomNone, "protocol-version"},
	{"", "protocol_version", symptomNone, "protocol-version"},
	{"", "unsupported protocol", symptomNone, "protocol-version"},
	{"", "no protocols available", symptomNone, "protocol-version"},
	{"", "legacy sigalg", symptomNone, "protocol-version"},
	{"", "tls/ssl connection has been closed", symptomNone, "interrupted"},
	{"", "wrong version number", symptomPlainBytes, "not-tls"},
	{"", "cannot determine the frame size", symptomPlainBytes, "not-tls"}, // .NET
	{"", "unexpected tls packet", symptomPlainBytes, "not-tls"},
	{"", "look like a tls handshake", symptomPlainBytes, "not-tls"},
	{"", "record too long", symptomPlainBytes, "not-tls"},
	{"", "unrecognized ssl message", symptomPlainBytes, "not-tls"},
	{"", "unknown authority", symptomNone, "certificate-unknown-issuer"},
	{"", "self-signed", symptomNone, "certificate-unknown-issuer"},
	{"", "self signed", symptomNone, "certificate-unknown-issuer"},
	{"", "local issuer", symptomNone, "certificate-unknown-issuer"},
	{"", "untrusted", symptomNone, "certificate-unknown-issuer"},
	{"", "subjectmismatch", symptomNone, "certificate-name-mismatch"},
	{"", "certificateexpired", symptomNone, ""}, // Microsoft says it of a date to come, too
	{"", "hostname mismatch", symptomNone, "certificate-name-mismatch"},
	{"", "name mismatch", symptomNone, "certificate-name-mismatch"},
	{"", "certificate is valid for", symptomNone, "certificate-name-mismatch"},
	{"", "does not match", symptomNone, "certificate-name-mismatch"},
	{"", "altnames", symptomNone, "certificate-name-mismatch"},
	{"", "subject name matches", symptomNone, "certificate-name-mismatch"},
	{"", "certificate subject name", symptomNone, "certificate-name-mismatch"},
	{"", "certificate is not valid for", symptomNone, "certificate-name-mismatch"},
	{"", "no subject alternative", symptomNone, "certificate-name-mismatch"},
	{"", "subjectaltname did not match", symptomNone, "certificate-name-mismatch"},
	{"", "did not match expected name", symptomNone, "certificate-name-mismatch"},
	{"", "did not match expected cn", symptomNone, "certificate-name-mismatch"},
	{"", "doesn't match certificate", symptomNone, "certificate-name-mismatch"},
	{"", "subject did not match", symptomNone, "certificate-name-mismatch"},
	{"", "first certificate", symptomNone, "certificate-unknown-issuer"},
	{"", "issuer is unknown", symptomNone, "certificate-unknown-issuer"},
	{"", "issuer certificate", symptomNone, "certificate-unknown-issuer"},
	{"", "path building failed", symptomNone, "certificate-unknown-issuer"},
	{"", "valid certification path", symptomNone, "certificate-unknown-issuer"},
	{"", "partialchain", symptomNone, "certificate-unknown-issuer"},
	{"", "unknown ca", symptomNone, "certificate-unknown-issuer"},
	{"", "certificateexpired", symptomNone, "certificate-expired"},
	{"", "certificate is expired", symptomNone, "certificate-expired"},
	{"", "certificatenotyetvalid", symptomNone, "certificate-not-yet-valid"},
	{"", "is not yet valid", symptomNone, "certificate-not-yet-valid"},
	{"", "certificate has expired", symptomNone, "certificate-expired"},
	{"", "cert has expired", symptomNone, "certificate-expired"},
	{"", "has expired", symptomNone, "certificate-expired"},
	{"", "uses expired certificate", symptomNone, "certificate-expired"},             // GnuTLS
	{"", "uses not yet valid certificate", symptomNone, "certificate-not-yet-valid"}, // GnuTLS
	{"", "but was not offered", symptomNoStartTLS, ""},
	{"", "did not offer tls", symptomNoStartTLS, ""},
	{"", "did not offer starttls", symptomNoStartTLS, ""},
	{"", "not advertise starttls", symptomNoStartTLS, ""},
	{"", "not advertise the starttls", symptomNoStartTLS, ""},
	{"", "didn't find starttls", symptomNoStartTLS, ""},
	{"", "since it doesn't advertise", symptomNoStartTLS, ""},
	{"", "doesn't advertise that feature", symptomNoStartTLS, ""},
	{"", "starttls is not supported", symptomNoStartTLS, ""},
	{"", "starttls is required but host does not support", symptomNoStartTLS, ""},
	{"", "starttls is unavailable", symptomNoStartTLS, ""},
	{"", "starttls not available", symptomNoStartTLS, ""},
	{"", "not support secure connections", symptomNoStartTLS, ""},
	{"", "not support the starttls extension", symptomNoStartTLS, ""},
	{"", "tls is not available", symptomNoStartTLS, ""},
	{"", "starttls not supported", symptomNoStartTLS, ""},
	{"", "starttls extension not supported", symptomNoStartTLS, ""},
	{"", "not support tls via the starttls", symptomNoStartTLS, ""},
	{"", "does not support starttls", symptomNoStartTLS, ""},
	{"", "doesn't support starttls", symptomNoStartTLS, ""},
	{"", "starttls is not offered", symptomNoStartTLS, ""},
	{"", "starttls is required to send mail", symptomNoStartTLS, ""},
	{"", "tls required but not supported", symptomNoStartTLS, ""},
	{"", "did not advertise starttls", symptomNoStartTLS, ""},
	// That AUTH was not offered, in the words of Gmail, smtplib, msmtp, swaks and
	// PHPMailer. The reader of errors knows them too (programPhrases): there they
	// say which line is the failure and at which stage, here what they mean.
	{"", "auth extension not supported", symptomNoAuth, ""},
	{"", "not support authentication", symptomNoAuth, ""},
	{"", "not advertise auth", symptomNoAuth, ""},
	{"", "auth not supported", symptomNoAuth, ""},
	{"", "auth not advertised", symptomNoAuth, ""},
	{"", "not offer authentication", symptomNoAuth, ""},
	{"", "authentication is not allowed before encryption", symptomNoAuth, ""},
	{"", "not advertise any supported authentication", symptomNoLogin, ""}, // nullmailer, of either
	{"", "support the selected authentication method", symptomNoLogin, ""},
	{"", "support the authentication method", symptomNoLogin, ""},
	{"", "authentifizierungsmethode", symptomNoLogin, ""},
	{"", "authentification sélectionnée", symptomNoLogin, ""},
	{"", "no supported auth method", symptomNoMechanism, ""},
	{"", "do not fulfill requirements", symptomNoMechanism, ""},
	{"", "no common mechanisms", symptomNoMechanism, ""},
	{"", "support authentication method", symptomNoMechanism, ""},
	{"", "no worthy mech", symptomNoMechanism, ""},
	{"", "no mechanism available", symptomNoMechanism, ""},
	{"", "no suitable authentication", symptomNoMechanism, ""},
	{"", "no compatible authentication", symptomNoMechanism, ""},
	{"", "no authentication mechanisms supported by both", symptomNoMechanism, ""},
	{"", "auth not attempted", symptomNoMechanism, ""},
	{"", "no supported authentication", symptomNoMechanism, ""},
}

// startTLSWords are how programs say that TLS was begun by the command, after
// a greeting and an EHLO in plain text. Postfix says it in wrapper mode, too.
var startTLSWords = []string{"starttls", "start tls"}

func symptomOf(words string, stage transcript.Stage) symptom {
	sy, _ := phraseOf(words, stage)
	return sy
}

func tlsOfWords(words string, stage transcript.Stage) string {
	_, tls := phraseOf(words, stage)
	return tls
}

func phraseOf(words string, stage transcript.Stage) (symptom, string) {
	if words == "" {
		return symptomNone, ""
	}
	for _, p := range faultPhrases {
		if (p.stage != "" && p.stage != stage) || !strings.Contains(words, p.words) {
			continue
		}
		if p.words == "certificate has expired or is not yet valid" {
			// Go says both and then the time: "… is after …", "… is before …".
			if strings.Contains(words, " is before ") {
				return symptomNone, "certificate-not-yet-valid"
			}
			if strings.Contains(words, " is after ") {
				return symptomNone, "certificate-expired"
			}
			return symptomNone, ""
		}
		return p.symptom, p.tls
	}
	return symptomNone, ""
}
