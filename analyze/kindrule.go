package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// kindRule is what the meaning of a reply decides beyond its code: whose side
// holds the fix as far as the words can tell, whether the words are said to
// mail for the relay's own customers, and what to do.
type kindRule struct {
	kind    transcript.Kind
	party   Party
	inbound bool
	do      string // for the headline, in a few words; may be empty
	next    string // what that party does, when no cause says it better
}

// kindRules: RAD and 535 are the customer's settings at the relay, 530 is the
// sender's, limits are the platform's, recipients are their own admin's. A
// cause's "who" is finer; this is the side as far as the reply alone tells.
var kindRules = [...]kindRule{
	{transcript.KindRelayDenied, RelayConfig, false, "use 587 with AUTH, or register the sender", "send on port 587 with STARTTLS and AUTH, and have the sender and its domain registered and active"},
	{transcript.KindInvalidRecipient, RelayConfig, false, "log in, or register the recipient", "log in before sending; if the client did, register the recipient"},
	{transcript.KindRecipientAccessDenied, RelayConfig, false, "log in on port 587 first", "switch authentication on in the client; a listed address does nothing on port 587"},
	{transcript.KindRateLimited, RelayPlatform, false, "over the sending limit, wait 1 to 24 hours", "send slower and wait 1 to 24 hours; the port is not the fault"},
	{transcript.KindThrottled, RelayPlatform, false, "over a limit, whose is not said", "let the queue retry and send slower; the reply does not say whether the sender sent too much or the recipient gets too much"},
	{transcript.KindRecipientThrottled, NoParty, true, "the recipient gets too much at once", "the recipient gets too much at once; a sending queue tries again by itself"},
	{transcript.KindSenderMarkedInvalid, RelayConfig, false, "take the sender off the invalid list", "take the sender off Marked invalid, then create the user and wait 30 to 40 minutes"},
	{transcript.KindSenderNotLoggedIn, RelayConfig, false, "log in before sending", "switch authentication on for this sender"},
	{transcript.KindSenderNotOwned, RelayConfig, false, "send as the address that logged in", "let the login send as this address, or change the sender"},
	{transcript.KindSenderRejected, RelayConfig, false, "register the sender", "have the sender registered and its domain active"},
	{transcript.KindSenderBlocked, SenderSystem, false, "the sender is blocked for what it sent", "stop what was sent, then ask the relay to lift the block"},
	{transcript.KindSenderDeferred, NoParty, true, "nothing to do, it is retried", "nothing to do, the sending queue retries; mostly the recipient gets too much at once"},
	{transcript.KindSenderDomainUnresolvable, SenderSystem, true, "use a sender domain that exists", "use a sender domain that exists in DNS"},
	{transcript.KindRecipientMarkedInvalid, RecipientSystem, true, "their admin takes it off the invalid list", "the recipient's admin takes the address off Marked invalid, creates the user and waits"},
	{transcript.KindUserUnknown, RecipientSystem, true, "their admin registers the address", "the recipient's admin registers the address or switches SMTP Discovery on"},
	{transcript.KindCalloutRefused, RecipientSystem, true, "the mailbox is missing behind the relay", "the recipient's admin creates the mailbox at the server named inside the reply"},
	{transcript.KindVerificationPending, NoParty, true, "nothing to do, it is retried", "the recipient is being verified; the sending queue retries"},
	{transcript.KindGreylisted, SenderSystem, true, "retry after some minutes", "retry later; a program without a queue must try again itself"},
	{transcript.KindRecipientRestricted, RecipientSystem, true, "the recipient takes mail from some senders only", "the recipient's admin allows this sender"},
	{transcript.KindRecipientRejected, RecipientSystem, true, "their admin registers the address", "the recipient's admin checks the address at the relay"},
	{transcript.KindRecipientDomainUnknown, SenderSystem, false, "check the recipient's domain", "check the spelling of the recipient's domain"},
	{transcript.KindMailboxFull, RecipientSystem, true, "the mailbox is full", "the recipient makes room"},
	{transcript.KindMailboxDisabled, RecipientSystem, true, "the mailbox is switched off", "the recipient's admin switches the mailbox on"},
	{transcript.KindMailboxUnavailable, RecipientSystem, true, "their admin checks the mailbox", "the recipient's admin checks the mailbox"},

	{transcript.KindAuthFailed, RelayConfig, false, "check age and spelling of the credential", "wait up to 60 minutes after making the credential, else retype it or make a new one"},
	{transcript.KindAuthUnavailable, RelayPlatform, false, "retry, leave the password alone", "retry later; the password is not the fault"},
	{transcript.KindAuthNotEnabled, SenderSystem, false, "AUTH works on 587 inside TLS only", "set port 587 with STARTTLS; AUTH is not served otherwise"},
	{transcript.KindAuthMechanism, SenderSystem, false, "allow PLAIN or LOGIN in the client", "allow AUTH PLAIN or LOGIN in the client"},
	{transcript.KindAuthPolicy, RelayConfig, false, "this kind of login is not allowed", "allow this kind of login, or use the generated credential"},
	{transcript.KindAuthAborted, SenderSystem, false, "the client broke the login off", "look at what the client sends; the password was not judged"},
	{transcript.KindAuthRequired, SenderSystem, false, "log in first", "switch STARTTLS and authentication on in the client"},
	{transcript.KindPasswordTransition, SenderSystem, false, "log in once with PLAIN", "log in once with PLAIN inside TLS"},
	{transcript.KindTooManyAuth, SenderSystem, false, "too many logins, wait", "stop the failing logins, wait, then try once"},
	{transcript.KindStartTLSRequired, SenderSystem, false, "switch STARTTLS on in the client", "switch STARTTLS on in the client"},
	{transcript.KindEncryptionRequired, SenderSystem, false, "switch STARTTLS on in the client", "switch STARTTLS on in the client"},
	{transcript.KindTLSUnavailable, RelayPlatform, false, "retry, then report it", "retry, then report that STARTTLS does not work"},
	{transcript.KindTLSActive, SenderSystem, false, "the client starts TLS twice", "let the client start TLS once"},

	{transcript.KindIPBlocked, SenderSystem, false, "the sending address is blocked", "clean up the sending address, then ask at ipcheck.proofpoint.com"},
	{transcript.KindClientRejected, SenderSystem, false, "the client is refused", "clean up the sending address, or send from another one"},
	{transcript.KindReverseDNS, SenderSystem, false, "give the sending address a proper name", "give the sending address a name in DNS that points back"},
	{transcript.KindHeloRejected, SenderSystem, false, "change the EHLO name of the client", "let the client say a full host name in EHLO"},
	{transcript.KindRelayBusy, RelayPlatform, false, "busy, let the queue retry", "let the queue retry; the relay was reached"},
	{transcript.KindTooManyConnections, SenderSystem, false, "open fewer connections at once", "lower the number of connections at once"},
	{transcript.KindTooManyErrors, SenderSystem, false, "the client made too many errors", "look at the commands before this reply"},
	{transcript.KindIdleTimeout, SenderSystem, false, "the client was too slow", "make the client answer faster"},
	{transcript.KindServiceUnavailable, RelayPlatform, false, "retry later", "let the queue retry, then report it"},
	{transcript.KindServerError, RelayPlatform, false, "retry later", "let the queue retry, then report it"},
	{transcript.KindInsufficientStorage, RelayPlatform, false, "retry later", "let the queue retry, then report it"},
	{transcript.KindMessageTooBig, SenderSystem, false, "make the message smaller", "at most 100 MB on the wire; base64 adds about a third"},
	{transcript.KindTooManyRecipients, SenderSystem, false, "split the recipients", "at most 1,000 recipients in one message"},

	{transcript.KindSPF, SenderSystem, true, "add the relay to the sender's SPF record", "add the relay to the SPF record of the sender's domain"},
	{transcript.KindDMARC, SenderSystem, true, "align SPF or DKIM of the sender", "align SPF or DKIM with the domain in From"},
	{transcript.KindUnauthenticatedMail, SenderSystem, true, "publish SPF and DKIM for the sender", "publish SPF and DKIM for the sender's domain"},
	{transcript.KindContent, SenderSystem, false, "look at what the message holds", "look at what the message holds"},
	{transcript.KindForwardingBlocked, SenderSystem, false, "forwarding is forbidden", "allow forwarding, or stop it"},
	{transcript.KindLoop, SenderSystem, false, "the mail goes in circles", "break the loop in the routing"},
	{transcript.KindCommandUnknown, SenderSystem, false, "look at what the client sends", "look at what the client sends"},
	{transcript.KindSyntax, SenderSystem, false, "look at what the client sends", "look at what the client sends"},
	{transcript.KindProtocol, SenderSystem, false, "look at what the client sends", "look at what the client sends"},
	{transcript.KindBadSequence, SenderSystem, false, "look at the reply before it", "look at the first refusal before this reply"},
	{transcript.KindNoValidRecipients, SenderSystem, false, "look at the reply before it", "look at the reply to RCPT before this one"},
}

var kindRuleByKind = func() map[transcript.Kind]*kindRule {
	m := make(map[transcript.Kind]*kindRule, len(kindRules))
	for i := range kindRules {
		m[kindRules[i].kind] = &kindRules[i]
	}
	return m
}()

var noRule kindRule

// ruleOf is the row of a kind; the empty row when the words decide nothing.
func ruleOf(k transcript.Kind) *kindRule {
	if k == transcript.KindUnknown {
		return &noRule
	}
	if r := kindRuleByKind[k]; r != nil {
		return r
	}
	return &noRule
}

// partyOfStage is the side that most likely holds the fix of a refusal whose
// words decide nothing.
func partyOfStage(stage transcript.Stage, class int) Party {
	if class == 4 {
		return RelayPlatform
	}
	switch stage {
	case transcript.StageGreet:
		return RelayPlatform
	case transcript.StageEHLO, transcript.StageTLS, transcript.StageData:
		return SenderSystem
	case transcript.StageAuth, transcript.StageEnvelope:
		return RelayConfig
	}
	return UnknownParty
}

// tlsParty is whose side holds the fix of a handshake or certificate problem,
// by transcript.TLS.Problem.
var tlsParty = [...]struct {
	problem string
	party   Party
}{
	{"certificate-expired", RelayPlatform},
	{"certificate-not-yet-valid", SenderSystem},
	{"certificate-name-mismatch", SenderSystem},
	{"certificate-unknown-issuer", Network},
	{"protocol-version", SenderSystem},
	{problemNotTLS, Network},
	{"alert", RelayPlatform},
	{"internal-error", RelayPlatform},
	{"interrupted", Network},
}

func partyOfTLS(problem string) Party {
	for _, t := range tlsParty {
		if t.problem == problem {
			return t.party
		}
	}
	return Network
}

// tlsWords are further words for handshake faults, beside those that the causes
// key on (faultPhrases): what OpenSSL, Java and device makers say. Lower case,
// the first match counts.
var tlsWords = [...]struct{ words, problem string }{
	{"not yet valid", "certificate-not-yet-valid"},
	{"expired", "certificate-expired"},
	{"doesn't match", "certificate-name-mismatch"},
	{"unknown ca", "certificate-unknown-issuer"},
	{"unable to get issuer", "certificate-unknown-issuer"},
	{"wrong_version_number", problemImplicit},
	{"unknown protocol", problemImplicit},
	{"unsupported_protocol", "protocol-version"},
	{"version too low", "protocol-version"},
	{"tls 1.0", "protocol-version"},
	{"tls1.0", "protocol-version"},
	{"tlsv1.0", "protocol-version"},
	{"no shared cipher", "protocol-version"},
	{"alert internal error", "internal-error"},
	{"alert internal_error", "internal-error"},
	{"remote error: tls: internal error", "internal-error"},
	{"alert handshake failure", "alert"},
	{"handshake_failure", "alert"},
}

// problemImplicit stands for TLS from the first byte on a port that wants
// STARTTLS: the plain greeting is what TLS choked on.
const problemImplicit = "implicit"

// problemNotTLS says that what came in place of the handshake was no TLS.
const problemNotTLS = "not-tls"

// tlsFault names the handshake fault that the words of a text speak of, or "".
func tlsFault(words string) string {
	sy, problem := phraseOf(words, transcript.StageTLS)
	switch {
	case sy == symptomPlainBytes:
		return problemImplicit
	case problem != "":
		return problem
	}
	for _, t := range tlsWords {
		if strings.Contains(words, t.words) {
			return t.problem
		}
	}
	return ""
}

// noDANE are the words for a name that DNS knows, but without the record that a
// sender set to DANE wants (RFC 7672).
var noDANE = []string{"tlsa", "non dnssec destination"}

// transientDNS are the words for a resolver that failed, as against a name that
// does not exist.
var transientDNS = []string{
	"servfail", "server failure", "try again", "eai_again", "temporary failure", "temporarily", "temporary lookup",
	"timed out", "timeout", "etimeout", "could not contact dns", "misbehaving", "did not complete", "no nameserver", "connection refused", "refused",
	"errorretry", "errornodns", "serverfailure", // Exchange's names for the states of a query
}
