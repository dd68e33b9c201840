package analyze

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// verdictOf is the contract's verdict for a simulated ending.
func verdictOf(e *ending) Verdict {
	switch {
	case e.success:
		return Ready
	case e.place == placeOther, e.place == placeOwn:
		return NeverReached
	case e.place == placeTest:
		return InsufficientEvidence
	case e.place == placeLater && (e.code/100 == 4 || e.code == 0 && e.why == says("downstream-deferred")):
		return NotAFailure
	case e.place == placeLater:
		return AcceptedThenBounced
	case e.dot:
		return InsufficientEvidence
	case e.code/100 == 4:
		return Deferred
	case e.code/100 == 5 && (e.rule == "I2" || e.rule == "I3" || e.rule == "I4" || e.rule == "I7"):
		return InboundRefused
	case e.code/100 == 5:
		return Refused
	}
	switch e.stage {
	case transcript.StageResolve, transcript.StageConnect:
		return Unreachable
	case transcript.StageGreet, transcript.StageEHLO:
		return HandshakeFailed
	case transcript.StageTLS:
		if e.symptom == symptomNoAuth {
			return Refused
		}
		return HandshakeFailed
	case transcript.StageAuth:
		if e.fault == transcript.FaultNone {
			return Refused
		}
	}
	return Deferred
}

// seen is what a careful recorder would have noted of an ending: everything, as
// a probe or a whole dialogue shows it.
func seen(e *ending, w *policy.World) Observation {
	o := Observation{
		Verdict: verdictOf(e), Stage: e.stage, Port: e.port, Kind: e.kind, Fault: e.fault, TLS: e.tls,
		Inbound: e.inbound, Secure: e.secure, Offered: e.offered, StartTLS: e.startTLS, AuthTried: e.tried, LoggedIn: e.loggedIn,
		Masked: e.masked == transcript.Yes, Implicit: e.implicit, Tester: e.place == placeTest, Host: w.Client.Host, Via: "swaks",
	}
	if e.exchange == transcript.Yes {
		o.Via = "m365-classic"
	}
	if o.AuthTried == transcript.Unknown && e.dialogue != reportOnly {
		o.AuthTried, o.LoggedIn = transcript.No, transcript.No
	}
	if e.code != 0 {
		text := e.text
		if text == "" {
			text = fmt.Sprintf("%d 5.7.1 no", e.code)
			if e.kind == transcript.KindSPF {
				text = "550 5.7.1 Message rejected per sender's SPF policy"
			}
		}
		o.Reply, _ = transcript.ParseReply(text)
		o.Kind = transcript.KindOf(o.Reply)
	}
	switch e.symptom {
	case symptomNXDomain:
		o.Words = "host not found"
	case symptomNoAnswer:
		o.Words = "host not found, try again"
	}
	if e.stage.Order() >= transcript.StageEnvelope.Order() {
		o.Sender, o.Recipient = w.Client.Sender, w.Client.Recipient
		if o.Sender == "" {
			o.Sender = "<>"
		}
	}
	if e.tried == transcript.Yes {
		o.Login = w.Client.Username
	}
	if e.place == placeLater {
		o.Host = "mx.recipient.example"
	}
	if e.place == placeOther || e.place == placeOwn {
		o.Host = "mx.elsewhere.example"
		if e.place == placeOwn {
			o.Host = "mail.customer.example"
		}
		o.Sender = w.Client.Sender
		o.Stage = transcript.StageNotAttempted
		o.Reply, _ = transcript.ParseReply("550 5.7.1 no")
	}
	return o
}

// reported is what a bounce shows of an ending: the answer, the host, the two
// addresses, and nothing of the dialogue before it.
func reported(e *ending, w *policy.World) Observation {
	o := seen(e, w)
	o.Secure, o.Offered, o.StartTLS, o.AuthTried, o.LoggedIn, o.Implicit = 0, 0, 0, 0, 0, 0
	o.Login, o.Port, o.Inbound, o.Masked = "", 0, 0, false
	o.Via = "postfix-dsn"
	if e.exchange == transcript.Yes {
		o.Via = "m365-classic"
	}
	return o
}

// TestEveryCauseIsFoundAgain simulates each scenario of each cause and looks for
// the cause in the answer, from a full dialogue and from a bare report.
func TestEveryCauseIsFoundAgain(t *testing.T) {
	for _, c := range builtinExplainer().causes {
		for _, s := range c.scenes {
			for k := range s.endings {
				e := &s.endings[k]
				if e.success && !s.succeeds() {
					continue // a client that got through
				}
				for _, o := range []Observation{seen(e, s.world), reported(e, s.world)} {
					if o.Via != "swaks" && e.dialogue == sessionOnly || o.Via == "swaks" && e.dialogue == reportOnly {
						continue
					}
					if o.AuthTried == transcript.Unknown && e.masked == transcript.Yes && e.stage != transcript.StageTLS {
						continue // a report that says nothing of the masks
					}
					if o.AuthTried == transcript.Unknown && e.fault == transcript.FaultNone && e.code == 0 && e.place == placeRelay {
						continue // a client that stopped by itself is in no report
					}
					got := Explain([]Observation{o}, Facts{OurDomains: []string{"customer.example", "second.example"}})
					if !slices.Contains(got.IDs(), c.doc.ID) {
						t.Errorf("%s on %s (%s) ends in %s %s %q, seen by %s: found only %v", c.doc.ID, s.base.name, strings.Join(c.doc.Scenarios[0], ", "), e.stage, e.fault, e.text, o.Via, got.IDs())
					}
				}
			}
		}
	}
}

func replied(text string) transcript.Reply {
	r, ok := transcript.ParseReply(text)
	if !ok {
		panic("no reply: " + text)
	}
	return r
}

const rad = "554 5.7.1 <bob@recipient.example>: Relay access denied"

// dialogue returns an observation with everything a dialogue on 587 shows after
// a login.
func loggedIn(text string) Observation {
	return Observation{
		Verdict: Refused, Stage: "envelope", Port: 587, Reply: replied(text), Secure: transcript.Yes, Offered: transcript.Yes, StartTLS: transcript.Yes,
		AuthTried: transcript.Yes, LoggedIn: transcript.Yes, Login: "scanner@customer.example", Sender: "alice@customer.example", Via: "probe",
	}
}

func (o Observation) with(change func(*Observation)) Observation {
	change(&o)
	return o
}

// The causes of "Relay access denied" behind a login, and on 25.
var (
	denied587 = strings.Fields("sender-not-registered user-not-live sender-domain-not-registered outbound-relay-off sender-domain-inactive domain-not-live auto-forward distribution-group-external")
	failed535 = strings.Fields("credential-not-live credential-wrong credential-unknown credential-deleted wrong-region")
)

// TestScenarios holds the sets of the scenarios S01–S65 by what a probe, a
// dialogue or a report of each shows. "exact" sets must come out as they are;
// the others must contain these, the first of them the true one.
func TestScenarios(t *testing.T) {
	at25 := Observation{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad), AuthTried: transcript.No, LoggedIn: transcript.No, StartTLS: transcript.Yes, Offered: transcript.No, Secure: transcript.Yes, Sender: "alice@customer.example", Via: "probe"}
	tls := Observation{Verdict: HandshakeFailed, Stage: "tls", Port: 587, Fault: transcript.FaultTLS, StartTLS: transcript.Yes, Offered: transcript.No, AuthTried: transcript.No, LoggedIn: transcript.No, Via: "probe"}
	auth := Observation{Verdict: Refused, Stage: "auth", Port: 587, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure"), Secure: transcript.Yes, Offered: transcript.Yes, StartTLS: transcript.Yes, AuthTried: transcript.Yes, LoggedIn: transcript.No, Via: "probe"}
	inbound := Observation{Verdict: InboundRefused, Stage: "envelope", Port: 25, Inbound: transcript.Yes, Via: "postfix-dsn"}
	later := Observation{Verdict: AcceptedThenBounced, Stage: "accepted", Via: "ppe-dsn", Host: "mx.recipient.example"}
	for _, tt := range []struct {
		id    string
		obs   Observation
		facts Facts
		exact bool
		want  []string
	}{
		{"S01", Observation{Verdict: Unreachable, Stage: "resolve", Fault: transcript.FaultDNS, Words: "host or domain name not found. name service error for name=outbound-us9.ppe-hosted.com type=a: host not found", Host: "outbound-us9.ppe-hosted.com"}, Facts{}, true, []string{"smarthost-typo"}},
		{"S02", Observation{Verdict: Unreachable, Stage: "connect", Port: 25, Fault: transcript.FaultTimeout}, Facts{}, true, []string{"port-25-blocked"}},
		{"S03", Observation{Verdict: Unreachable, Stage: "connect", Port: 587, Fault: transcript.FaultTimeout}, Facts{}, true, []string{"port-587-blocked"}},
		{"S04", Observation{Verdict: Unreachable, Stage: "connect", Port: 587, Fault: transcript.FaultRefused}, Facts{}, true, []string{"connection-refused"}},
		{"S05", Observation{Verdict: HandshakeFailed, Stage: "greet", Port: 25, Fault: transcript.FaultTimeout}, Facts{}, true, []string{"silent-server"}},
		{"S06", Observation{Verdict: HandshakeFailed, Stage: "greet", Port: 25, Fault: transcript.FaultClosed}, Facts{}, true, []string{"connection-dropped"}},
		{"S07", Observation{Verdict: Deferred, Stage: "greet", Port: 25, Reply: replied("421 4.3.2 All screening ports are busy")}, Facts{}, true, []string{"relay-busy"}},
		{"S08 AUTH tried", at25.with(func(o *Observation) { o.AuthTried = transcript.Yes }), Facts{}, true, []string{"wrong-port"}},
		{"S08 503", at25.with(func(o *Observation) {
			o.AuthTried, o.Stage, o.Reply = transcript.Yes, "auth", replied("503 5.5.1 Error: authentication not enabled")
		}), Facts{}, true, []string{"wrong-port"}},
		{"S08 AUTH meant", at25, Facts{Intent: IntentAuth}, true, []string{"wrong-port"}},
		{"S09", at25, Facts{}, false, []string{"sending-server-not-listed", "wrong-port", "force-auth"}},
		{"S09 without TLS", at25.with(func(o *Observation) { o.Secure = transcript.No }), Facts{}, false, []string{"sending-server-not-listed", "wrong-port", "force-auth"}},
		{"S10", loggedIn(rad).with(func(o *Observation) { o.AuthTried, o.LoggedIn, o.Login = transcript.No, transcript.No, "" }), Facts{}, true, []string{"auth-missing"}},
		{"S11", loggedIn(rad).with(func(o *Observation) { o.Sender = o.Login }), Facts{}, false, []string{"credential-user-missing", "user-not-live"}},
		{"S12", loggedIn(rad).with(func(o *Observation) { o.Sender = "copier@customer.example" }), Facts{}, false, denied587},
		{"S15", loggedIn(rad), Facts{UserAge: 10 * time.Minute}, false, []string{"user-not-live", "sender-not-registered"}},
		{"S16, S17", loggedIn(rad), Facts{}, false, denied587},
		{"S18", loggedIn(rad), Facts{OurDomains: []string{"customer.example"}}, false, []string{"outbound-relay-off", "sender-domain-inactive"}},
		{"S19", loggedIn(rad), Facts{DomainAge: 20 * time.Minute}, false, []string{"domain-not-live"}},
		{"S20", loggedIn(rad).with(func(o *Observation) { o.Sender = "alerts@other.example" }), Facts{OurDomains: []string{"customer.example"}}, false, []string{"sender-domain-not-registered"}},
		{"S21", loggedIn(rad).with(func(o *Observation) { o.Sender = "x@stranger.example" }), Facts{Forwarded: transcript.Yes}, false, []string{"auto-forward", "distribution-group-external"}},
		{"S22", at25.with(func(o *Observation) { o.Sender = "x@stranger.example" }), Facts{Forwarded: transcript.Yes}, false, []string{"auto-forward", "distribution-group-external"}},
		{"S23", loggedIn(rad).with(func(o *Observation) { o.Sender = "<>" }), Facts{}, true, []string{"null-sender"}},
		{"S24, S26", at25.with(func(o *Observation) { o.Verdict, o.Reply, o.Stage = Ready, transcript.Reply{}, "envelope" }), Facts{Intent: IntentAuth}, true, []string{"shared-ip-spoofable"}},
		{"S27", at25, Facts{Intent: IntentServer, Listed: transcript.Yes}, false, []string{"force-auth"}},
		{"S28", auth, Facts{}, true, failed535},
		{"S29–S31, S54", auth, Facts{}, true, failed535},
		{"S32", tls.with(func(o *Observation) {
			o.Verdict, o.Fault, o.Reply = Refused, "", replied("530 5.7.0 Must issue a STARTTLS command first")
		}), Facts{}, true, []string{"starttls-missing"}},
		{"S32 without a reply", tls.with(func(o *Observation) { o.Verdict, o.Fault = Refused, "" }), Facts{}, true, []string{"starttls-missing"}},
		{"S33", Observation{Verdict: HandshakeFailed, Stage: "tls", Port: 587, Fault: transcript.FaultTLS, TLS: "not-tls", Implicit: transcript.Yes, AuthTried: transcript.No, LoggedIn: transcript.No}, Facts{}, true, []string{"implicit-tls-on-587"}},
		{"S34 stripped", tls.with(func(o *Observation) { o.Fault, o.StartTLS = "", transcript.No }), Facts{}, true, []string{"starttls-stripped"}},
		{"S34 502", tls.with(func(o *Observation) {
			o.Fault, o.StartTLS, o.Reply = "", transcript.No, replied("502 5.5.1 Error: command not implemented")
		}), Facts{}, true, []string{"starttls-stripped"}},
		{"S34 masked", tls.with(func(o *Observation) { o.Fault, o.StartTLS, o.Masked = "", transcript.No, true }), Facts{}, true, []string{"smtp-inspection"}},
		{"S35", tls.with(func(o *Observation) {
			o.Verdict, o.Fault, o.Reply = Deferred, "", replied("454 4.7.0 TLS not available due to local problem")
		}), Facts{}, true, []string{"starttls-unavailable"}},
		{"S36 garbage", tls.with(func(o *Observation) { o.TLS = "not-tls" }), Facts{}, true, []string{"tls-interrupted"}},
		{"S36 close", tls.with(func(o *Observation) { o.TLS, o.Fault = "interrupted", transcript.FaultClosed }), Facts{}, true, []string{"tls-interrupted"}},
		{"S36 hang", tls.with(func(o *Observation) { o.TLS, o.Fault = "interrupted", transcript.FaultTimeout }), Facts{}, true, []string{"tls-interrupted"}},
		{"S37 expired", tls.with(func(o *Observation) { o.TLS, o.Fault = "certificate-expired", transcript.FaultCertificate }), Facts{}, true, []string{"certificate-expired"}},
		{"S37 not yet", tls.with(func(o *Observation) {
			o.TLS, o.Fault = "certificate-not-yet-valid", transcript.FaultCertificate
		}), Facts{}, true, []string{"certificate-not-yet-valid"}},
		{"S37 name", tls.with(func(o *Observation) {
			o.TLS, o.Fault = "certificate-name-mismatch", transcript.FaultCertificate
		}), Facts{}, true, []string{"certificate-name-mismatch"}},
		{"S37 issuer", tls.with(func(o *Observation) {
			o.TLS, o.Fault = "certificate-unknown-issuer", transcript.FaultCertificate
		}), Facts{}, true, []string{"certificate-unknown-issuer"}},
		{"S38", tls.with(func(o *Observation) { o.TLS = "protocol-version" }), Facts{}, true, []string{"tls-too-old"}},
		{"S39", auth.with(func(o *Observation) {
			o.Verdict, o.Reply = Deferred, replied("454 4.7.0 Temporary authentication failure: generic failure")
		}), Facts{}, true, []string{"sasl-unavailable"}},
		{"S40 none offered", auth.with(func(o *Observation) { o.Reply, o.AuthTried = transcript.Reply{}, transcript.No }), Facts{}, true, []string{"mechanism-missing"}},
		{"S40 refused", auth.with(func(o *Observation) {
			o.Reply = replied("535 5.7.8 Error: authentication failed: Invalid authentication mechanism")
		}), Facts{}, true, []string{"mechanism-missing"}},
		{"S41 sender", loggedIn("550 5.7.1 <alice@customer.example>: Sender address rejected: User email address is marked as invalid"), Facts{}, true, []string{"sender-marked-invalid"}},
		{"S41 recipient", inbound.with(func(o *Observation) {
			o.Reply = replied("550 5.7.1 <carol@customer.example>: Recipient address rejected: User email address is marked as invalid.")
		}), Facts{}, true, []string{"recipient-marked-invalid"}},
		{"S42", Observation{Verdict: Deferred, Stage: "envelope", Reply: replied("450 4.7.1 <bob@recipient.example>: Recipient address rejected: Greylisted")}, Facts{}, true, []string{"greylisted"}},
		{"S43", loggedIn("554 5.5.0 Relay Access denied"), Facts{}, true, []string{"rate-limited"}},
		{"S44", inbound.with(func(o *Observation) {
			o.Verdict, o.Reply = Deferred, replied("450 4.7.1 <news@sender.example>: Sender address rejected: try again later")
		}), Facts{}, true, []string{"inbound-throttled"}},
		{"S45 declared", loggedIn("552 5.3.4 Message size exceeds fixed limit"), Facts{}, true, []string{"message-too-big"}},
		{"S45 counted", loggedIn("552 5.3.4 Error: message file too big").with(func(o *Observation) { o.Stage = "data" }), Facts{}, true, []string{"message-too-big"}},
		{"S46", loggedIn("452 4.5.3 Error: too many recipients").with(func(o *Observation) { o.Verdict = Deferred }), Facts{}, true, []string{"too-many-recipients"}},
		{"S47", Observation{Verdict: Deferred, Stage: "greet", Port: 25, Reply: replied("421 4.7.0 mx1-us1.ppe-hosted.com Error: too many connections from 192.0.2.7")}, Facts{}, true, []string{"too-many-connections"}},
		{"S48", loggedIn(rad).with(func(o *Observation) {
			o.Verdict, o.Reply, o.Fault = Deferred, transcript.Reply{}, transcript.FaultTimeout
		}), Facts{}, true, []string{"slow-server"}},
		{"S49 before the dot", Observation{Verdict: Deferred, Stage: "data", Fault: transcript.FaultReset}, Facts{}, true, []string{"connection-dropped"}},
		{"S49 after the dot", Observation{Verdict: InsufficientEvidence, Stage: "data", Fault: transcript.FaultClosed}, Facts{}, true, []string{"outcome-unknown"}},
		{"S50", Observation{Verdict: Deferred, Stage: "envelope", Reply: replied("421 4.4.2 mx1-us1.ppe-hosted.com Error: timeout exceeded")}, Facts{}, true, []string{"idle-timeout"}},
		{"S51", later.with(func(o *Observation) { o.Reply = replied("550 5.1.1 User unknown") }), Facts{}, true, []string{"downstream-refused"}},
		{"S51 SPF", later.with(func(o *Observation) { o.Reply = replied("550 5.7.1 Message rejected per sender's SPF policy") }), Facts{}, true, []string{"sender-spf-missing"}},
		{"S52", later.with(func(o *Observation) { o.Verdict, o.Reply = NotAFailure, replied("451 4.7.1 try again later") }), Facts{}, true, []string{"downstream-deferred"}},
		{"S53", Observation{Verdict: NeverReached, Stage: "not-attempted", Host: "mail.other.example", Reply: replied(rad), AuthTried: transcript.No, Via: "probe", Sender: "alice@customer.example"}, Facts{}, true, []string{"wrong-host"}},
		{"S55", Observation{Verdict: NeverReached, Stage: "not-attempted", Host: "mail.customer.example", Reply: replied(rad), AuthTried: transcript.No, Via: "probe", Sender: "alice@customer.example"}, Facts{}, true, []string{"not-handed-off", "wrong-host"}},
		{"S56", at25.with(func(o *Observation) {
			o.Reply = replied("550 5.7.1 Service unavailable; client [192.0.2.7] blocked using prs.proofpoint.com")
		}), Facts{}, true, []string{"ip-blocked"}},
		{"S57", Observation{Verdict: Refused, Stage: "envelope", Reply: replied("550 5.7.367 Remote server returned not permitted to relay -> " + rad), Via: "m365-classic"}, Facts{Intent: IntentServer}, false, []string{"relay-pool-ip", "sending-server-not-listed"}},
		{"S58", inbound.with(func(o *Observation) {
			o.Reply = replied("550 5.1.1 <carol@customer.example>: Recipient address rejected: User unknown in relay recipient table")
		}), Facts{}, true, []string{"recipient-unknown-at-relay"}},
		{"S59 callout", inbound.with(func(o *Observation) {
			o.Reply = replied("550 5.1.1 <carol@customer.example>: Recipient address rejected: undeliverable address: host mail.customer.example[192.0.2.80] said: 550 5.1.1 no such user (in reply to RCPT TO command)")
		}), Facts{}, true, []string{"recipient-callout-refused"}},
		{"S59 pending", inbound.with(func(o *Observation) {
			o.Verdict, o.Reply = Deferred, replied("421 4.1.1 <carol@customer.example>: Recipient address rejected: unverified address: Address verification in progress")
		}), Facts{}, true, []string{"recipient-verification-pending"}},
		{"S60", at25.with(func(o *Observation) { o.Sender = "author@elsewhere.example" }), Facts{}, false, []string{"mx-left-behind", "sending-server-not-listed"}},
		{"S61 domain", inbound.with(func(o *Observation) {
			o.Reply = replied("550 5.1.8 <a@nodomain.example>: Sender address rejected: Domain not found")
		}), Facts{}, true, []string{"sender-domain-unresolvable"}},
		{"S61 DMARC", inbound.with(func(o *Observation) {
			o.Stage, o.Reply = "data", replied("550 5.7.0 Email rejected per sender's DMARC policy")
		}), Facts{}, true, []string{"sender-dmarc"}},
		{"another login's address", Observation{Verdict: Refused, Stage: "envelope", Reply: replied("553 5.7.1 <a@customer.example>: Sender address rejected: not owned by user bob@customer.example")}, Facts{}, true, []string{"sender-not-registered", "credential-user-missing", "user-not-live"}},
		{"a sender, no reason named", Observation{Verdict: Refused, Stage: "envelope", Reply: replied("554 5.7.1 <a@customer.example>: Sender address rejected: Access denied")}, Facts{}, false, []string{"sender-not-registered", "sender-domain-not-registered", "sender-marked-invalid", "user-not-live"}},
		{"an address that wants a login", Observation{Verdict: Refused, Stage: "envelope", Reply: replied("553 5.7.1 <a@customer.example>: Sender address rejected: not logged in")}, Facts{}, false, []string{"auth-missing"}},
		{"S62", Observation{Verdict: Unreachable, Stage: "resolve", Fault: transcript.FaultDNS, Words: "host not found, try again", Host: "outbound-us1.ppe-hosted.com"}, Facts{}, true, []string{"dns-failure"}},
		{"S63", later.with(func(o *Observation) { o.Fault = transcript.FaultTimeout }), Facts{}, true, []string{"downstream-unreachable"}},
		{"S64", Observation{Verdict: NeverReached, Stage: "not-attempted", Host: "mx.recipient.example", Reply: replied("550 5.7.23 SPF validation failed"), Via: "m365-classic"}, Facts{}, true, []string{"not-handed-off"}},
		{"S65", Observation{Verdict: InsufficientEvidence, Stage: "unknown", Tester: true}, Facts{}, true, []string{"tester-artefact"}},
	} {
		e := Explain([]Observation{tt.obs}, tt.facts)
		got := e.IDs()
		if tt.exact {
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want exactly %v", tt.id, e.IDs(), tt.want)
			}
			continue
		}
		for _, id := range tt.want {
			if !slices.Contains(got, id) {
				t.Errorf("%s: %v lacks %s", tt.id, got, id)
			}
		}
	}
}

// TestControlsNeedNoCause: S13, S14 and S25 are as wished.
func TestControlsNeedNoCause(t *testing.T) {
	ready := loggedIn(rad).with(func(o *Observation) { o.Verdict, o.Reply = Ready, transcript.Reply{} })
	if got := Explain([]Observation{ready}, Facts{}); !got.Empty() {
		t.Errorf("a session that is ready is explained by %v", got.IDs())
	}
}

// TestQuestionsOfTheArticle asks each question of the article's FAQ as a case.
func TestQuestionsOfTheArticle(t *testing.T) {
	yes, no := transcript.Yes, transcript.No
	for _, tt := range []struct {
		name  string
		obs   Observation
		facts Facts
		first string
		all   []string // empty: not compared
		fix   string   // part of the first fix
	}{
		{
			"the same sending server address is configured, on 587 (A14)",
			loggedIn(rad).with(func(o *Observation) { o.AuthTried, o.LoggedIn, o.Login = no, no, "" }),
			Facts{Listed: yes},
			"auth-missing",
			[]string{"auth-missing"},
			"Switch authentication on",
		},
		{
			"Force SMTP AUTH, Sending Servers empty, the server still on 25 (A10, A13)",
			Observation{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad)},
			Facts{Intent: IntentAuth, Listed: no},
			"wrong-port",
			[]string{"wrong-port"},
			"587",
		},
		{"the sender domain is not active (A15)", loggedIn(rad), Facts{Registered: yes, UserAge: 48 * time.Hour, OurDomains: []string{"customer.example"}}, "outbound-relay-off", []string{"outbound-relay-off", "sender-domain-inactive", "domain-not-live"}, "Switch outbound relay on"},
		{"the address is not registered, Discovery off (A16)", loggedIn(rad), Facts{Registered: no, OurDomains: []string{"customer.example"}}, "sender-not-registered", []string{"sender-not-registered"}, "Add the address as end user, silent user, alias or functional account"},
		{"forwarded to an outside address (A17)", loggedIn(rad).with(func(o *Observation) { o.Sender = "x@stranger.example" }), Facts{Forwarded: yes}, "auto-forward", []string{"auto-forward", "distribution-group-external"}, "forwarding leave by another way"},
		{
			"the credential is 20 minutes old (A4)",
			Observation{Verdict: Refused, Stage: "auth", Port: 587, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure")},
			Facts{CredentialAge: 20 * time.Minute},
			"credential-not-live", nil, "Wait up to 60 minutes",
		},
		{
			"the credential is old and lost (A5)",
			Observation{Verdict: Refused, Stage: "auth", Port: 587, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure")},
			Facts{CredentialAge: 48 * time.Hour},
			"credential-wrong",
			[]string{"credential-wrong", "credential-unknown", "credential-deleted", "wrong-region"},
			"Enter the password again",
		},
		{
			"AUTH over port 25 (A12, A13)",
			Observation{Verdict: Refused, Stage: "auth", Port: 25, Reply: replied("503 5.5.1 Error: authentication not enabled")},
			Facts{},
			"wrong-port",
			[]string{"wrong-port"},
			"port 587 with STARTTLS",
		},
		{
			"TLS is missing (A18)",
			Observation{Verdict: Refused, Stage: "tls", Port: 587, Reply: replied("530 5.7.0 Must issue a STARTTLS command first")},
			Facts{},
			"starttls-missing",
			[]string{"starttls-missing"},
			"Switch STARTTLS on",
		},
		{
			"the credential's own name is no user (A19)",
			loggedIn(rad).with(func(o *Observation) { o.Sender = o.Login }),
			Facts{Registered: no},
			"credential-user-missing",
			[]string{"credential-user-missing"},
			"Create a user or functional account",
		},
		{
			"a user that was made 20 minutes ago (A20)",
			loggedIn(rad),
			Facts{UserAge: 20 * time.Minute},
			"user-not-live", nil, "Wait up to an hour",
		},
	} {
		e := Explain([]Observation{tt.obs}, tt.facts)
		if e.Empty() {
			t.Errorf("%s: no explanation", tt.name)
			continue
		}
		c := e.Causes()[0]
		if c.ID != tt.first || !strings.Contains(c.Fix, tt.fix) {
			t.Errorf("%s: first %s with fix %q, want %s with %q", tt.name, c.ID, c.Fix, tt.first, tt.fix)
		}
		if tt.all != nil {
			got := slices.Sorted(slices.Values(e.IDs()))
			if !slices.Equal(got, slices.Sorted(slices.Values(tt.all))) {
				t.Errorf("%s: %v, want %v", tt.name, e.IDs(), tt.all)
			}
		}
	}
}

// TestSessionsTogether explains several observations of one road.
func TestSessionsTogether(t *testing.T) {
	p25 := Observation{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad), AuthTried: transcript.No, LoggedIn: transcript.No, Sender: "alice@customer.example", Via: "probe"}
	ready587 := loggedIn(rad).with(func(o *Observation) { o.Verdict, o.Reply = Ready, transcript.Reply{} })
	blocked25 := Observation{Verdict: Unreachable, Stage: "connect", Port: 25, Fault: transcript.FaultTimeout, Via: "probe"}
	auth := Observation{Verdict: Refused, Stage: "auth", Port: 587, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure"), AuthTried: transcript.Yes, LoggedIn: transcript.No, Via: "probe"}
	bounce := Observation{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Via: "postfix-dsn", Sender: "alice@customer.example"}
	for _, tt := range []struct {
		name  string
		obs   []Observation
		facts Facts
		want  []string // in the set
		not   []string
		size  int // causes per explanation
	}{
		{"25 refuses, 587 works", []Observation{p25, ready587}, Facts{Intent: IntentAuth}, []string{"wrong-port"}, []string{"sender-not-registered", "outbound-relay-off", "auth-missing"}, 1},
		{"25 refuses as it should, 587 refuses the login", []Observation{p25, auth}, Facts{Intent: IntentAuth}, failed535, []string{"wrong-port"}, 1},
		{"25 refuses, 587 refuses the sender", []Observation{p25, loggedIn(rad)}, Facts{Intent: IntentAuth}, denied587, []string{"wrong-port", "auth-missing"}, 1},
		{"the bounce of a sender who is refused on 587 too", []Observation{bounce, loggedIn(rad)}, Facts{}, []string{"sender-not-registered", "outbound-relay-off"}, []string{"wrong-port", "auth-missing", "sending-server-not-listed"}, 1},
		{"the bounce of a sender who passes on 587", []Observation{bounce, ready587}, Facts{}, []string{"wrong-port", "sending-server-not-listed", "auth-missing", "force-auth"}, []string{"sender-not-registered", "outbound-relay-off"}, 1},
		{"25 hangs, 587 refuses the login: two faults", []Observation{blocked25, auth}, Facts{}, append([]string{"port-25-blocked"}, failed535...), nil, 2},
		{"25 hangs, 587 works", []Observation{blocked25, ready587}, Facts{}, []string{"port-25-blocked"}, []string{"wrong-port"}, 1},
	} {
		e := Explain(tt.obs, tt.facts)
		got := e.IDs()
		for _, id := range tt.want {
			if !slices.Contains(got, id) {
				t.Errorf("%s: %v lacks %s", tt.name, got, id)
			}
		}
		for _, id := range tt.not {
			if slices.Contains(got, id) {
				t.Errorf("%s: %v holds %s", tt.name, got, id)
			}
		}
		for _, c := range e.Causes() {
			if strings.Contains(c.Fits, "only together with ") != (tt.size == 2) {
				t.Errorf("%s: %s fits: %q", tt.name, c.ID, c.Fits)
			}
		}
		for _, s := range e.Sets {
			if len(s.Causes) != tt.size {
				t.Errorf("%s: an explanation of %d causes, want %d: %s", tt.name, len(s.Causes), tt.size, s.name())
			}
		}
	}
}

// TestExchangeOnlineSendsByAddress: its customers are told of addresses before
// ports, and of the relay pool first when Microsoft's own wrapper says so.
func TestExchangeOnlineSendsByAddress(t *testing.T) {
	for _, tt := range []struct{ text, first string }{
		{rad, "sending-server-not-listed"},
		{"550 5.7.367 Remote server returned not permitted to relay -> " + rad, "relay-pool-ip"},
	} {
		e := Explain([]Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(tt.text), Via: "m365-classic"}}, Facts{})
		ids := e.IDs()
		if len(ids) == 0 || ids[0] != tt.first || !slices.Contains(ids, "wrong-port") {
			t.Errorf("%q: %v, want %s first and wrong-port among them", tt.text, ids, tt.first)
		}
	}
}

func TestFitsNamesTheWildCards(t *testing.T) {
	e := Explain([]Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(rad)}}, Facts{})
	for id, want := range map[string]string{
		"wrong-port":              "port 25",
		"auth-missing":            "port 587",
		"credential-user-missing": "the login's own name as sender",
		"null-sender":             "an empty sender",
		"relay-pool-ip":           "Exchange Online as sender",
		"starttls-missing":        "a dialect of the service that nobody has confirmed",
	} {
		i := slices.IndexFunc(e.Causes(), func(c Cause) bool { return c.ID == id })
		if i < 0 {
			t.Errorf("%s is not in the set", id)
			continue
		}
		if c := e.Causes()[i]; !strings.Contains(c.Fits, "not stated and assumed: ") || !strings.Contains(c.Fits, want) {
			t.Errorf("%s: %q names no %q", id, c.Fits, want)
		}
	}
	known := Explain([]Observation{loggedIn(rad)}, Facts{})
	for _, c := range known.Causes() {
		if strings.Contains(c.Fits, "port 587") {
			t.Errorf("%s: %q takes for granted what was stated", c.ID, c.Fits)
		}
	}
}

// TestNothingIsExplainedThatNobodyKnows: words of a server that the service
// never says have no cause of ours.
func TestNothingIsExplainedThatNobodyKnows(t *testing.T) {
	for _, text := range []string{"554 5.7.1 Message rejected: contains a virus", "452 4.2.2 Mailbox full", "550 5.7.1 Blocked for phishing"} {
		e := Explain([]Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(text), AuthTried: transcript.Yes, LoggedIn: transcript.Yes, Port: 587}}, Facts{})
		if !e.Empty() {
			t.Errorf("%q is explained by %v", text, e.IDs())
		}
	}
	if e := Explain(nil, Facts{}); !e.Empty() || len(e.Causes()) != 0 {
		t.Error("nothing seen is explained")
	}
}

func TestExplainIsSafeAndSteady(t *testing.T) {
	obs := []Observation{
		{Verdict: Refused, Stage: "envelope", Reply: replied(rad)},
		loggedIn(rad),
		{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad), Sender: "<>", AuthTried: transcript.Yes},
	}
	x, problems := NewExplainer(causes.Pages())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var want [3][]Cause
	for i := range obs {
		e := builtinExplainer().Explain(obs[i:i+1], Facts{})
		want[i] = e.Causes()
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 200 {
				i := n % len(obs)
				e := x.Explain(obs[i:i+1], Facts{})
				NextTests(e, obs[i:i+1], Facts{})
				if !slices.Equal(e.Causes(), want[i]) {
					t.Errorf("another answer to question %d", i)
				}
			}
		})
	}
	wg.Wait()
	// Different questions do not fill the memory.
	for n := range 3 * maxKnown {
		x.Explain([]Observation{{Verdict: Refused, Stage: "envelope", Reply: transcript.Reply{Code: 200 + n%400}, Port: n}}, Facts{})
	}
	if len(x.known) > maxKnown {
		t.Errorf("%d answers are kept, at most %d may be", len(x.known), maxKnown)
	}
}

// FuzzExplain asks odd questions: no crash, every explanation has a cause with
// all its words, and the next tests are of the catalogue.
func FuzzExplain(f *testing.F) {
	f.Add("refused", "envelope", rad, "", 25, "alice@customer.example", "m365-classic", uint32(0))
	f.Add("never-reached", "not-attempted", "", "dns", 0, "<>", "probe", uint32(0x5a5a))
	f.Add("ready", "envelope", "", "", 587, "", "probe", uint32(1))
	f.Add("accepted-then-bounced", "accepted", "550 5.7.1 SPF", "timeout", 25, "", "", uint32(0xffff))
	f.Fuzz(func(t *testing.T, verdict, stage, text, fault string, port int, sender, via string, bits uint32) {
		fact := func(n int) transcript.Fact { return transcript.Fact(bits >> (2 * n) & 3 % 3) }
		o := Observation{
			Verdict: Verdict(verdict), Stage: transcript.Stage(stage), Port: port, Fault: transcript.Fault(fault), Sender: sender, Via: via,
			Inbound: fact(0), Secure: fact(1), Offered: fact(2), StartTLS: fact(3), AuthTried: fact(4), LoggedIn: fact(5), Implicit: fact(6), Masked: bits&(1<<14) != 0,
			Words: strings.ToLower(text), Host: sender,
		}
		o.Reply, _ = transcript.ParseReply(text)
		obs := []Observation{o}
		if bits&(1<<15) != 0 {
			obs = append(obs, loggedIn(rad))
		}
		e := Explain(obs, Facts{Forwarded: fact(8), Listed: fact(9), Registered: fact(10), OurDomains: []string{"customer.example"}})
		for _, c := range e.Causes() {
			if c.ID == "" || c.Fits == "" || c.Fix == "" || c.Who == "" || c.Source == "" {
				t.Errorf("a cause lacks something: %+v", c)
			}
		}
		for _, n := range NextTests(e, obs, Facts{}) {
			if _, err := find(n.ID); err != nil {
				t.Error(err)
			}
		}
	})
}

// Benchmarks. A new question is one that was not asked before; a known one comes
// from memory, as in a bulk run.
func BenchmarkExplainNewQuestion(b *testing.B) {
	x := builtinExplainer()
	o := []Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(rad)}}
	b.ReportAllocs()
	for b.Loop() {
		clear(x.known)
		x.Explain(o, Facts{})
	}
}

func BenchmarkExplainKnownQuestion(b *testing.B) {
	x := builtinExplainer()
	o := []Observation{{Verdict: Refused, Stage: "envelope", Reply: replied(rad), Kind: transcript.KindRelayDenied}}
	b.ReportAllocs()
	for b.Loop() {
		x.Explain(o, Facts{})
	}
}

// BenchmarkExplainPair explains a single observation that takes two faults, with
// nothing remembered.
func BenchmarkExplainPair(b *testing.B) {
	x := builtinExplainer()
	o := []Observation{{Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad), Sender: "<>", AuthTried: transcript.Yes}}
	for b.Loop() {
		clear(x.known)
		clear(x.scenes)
		if e := x.Explain(o, Facts{}); len(e.Sets) == 0 || len(e.Sets[0].Causes) != 2 {
			b.Fatalf("found %v", e.IDs())
		}
	}
}

// BenchmarkExplainTwoSessions explains a probe of both ports with two faults.
func BenchmarkExplainTwoSessions(b *testing.B) {
	x := builtinExplainer()
	o := []Observation{
		{Verdict: Unreachable, Stage: "connect", Port: 25, Fault: transcript.FaultTimeout, Via: "probe"},
		{Verdict: Refused, Stage: "auth", Port: 587, Reply: replied("535 5.7.8 Error: authentication failed: authentication failure"), AuthTried: transcript.Yes, LoggedIn: transcript.No, Via: "probe"},
	}
	for b.Loop() {
		clear(x.scenes)
		if e := x.Explain(o, Facts{}); len(e.Sets) == 0 {
			b.Fatal("nothing found")
		}
	}
}

// BenchmarkExplainPairNeitherAlone explains an answer that neither of the two
// faults gives alone, with nothing remembered: the longest search.
func BenchmarkExplainPairNeitherAlone(b *testing.B) {
	x := builtinExplainer()
	o := []Observation{{
		Verdict: Refused, Stage: "envelope", Port: 25, Reply: replied(rad), Via: "swaks", Sender: "alice@customer.example",
		AuthTried: transcript.No, LoggedIn: transcript.No, Offered: transcript.No, Inbound: transcript.Yes, Secure: transcript.Yes, StartTLS: transcript.Yes,
	}}
	for b.Loop() {
		clear(x.known)
		clear(x.scenes)
		for _, c := range x.causes {
			for _, s := range c.scenes {
				clear(s.forced)
			}
		}
		if e := x.Explain(o, customer); len(e.Sets) == 0 || len(e.Sets[0].Causes) != 2 {
			b.Fatalf("found %v", e.IDs())
		}
	}
}

// BenchmarkBuildExplainer is what the first question costs beside its answer.
func BenchmarkBuildExplainer(b *testing.B) {
	for b.Loop() {
		if _, problems := NewExplainer(causes.Pages()); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
