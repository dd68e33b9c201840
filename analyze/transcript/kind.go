package transcript

import "strings"

// Kind is what the words of a reply mean: relay-denied, auth-failed,
// starttls-required, … Where the words are silent it is what the codes mean.
// The empty Kind says that neither is known to the table in kindtable.go.
//
// A kind is no verdict: code, enhanced code and words are three facts, and only
// the code makes a success or a refusal (RFC 5321 §4.2).
type Kind string

// KindUnknown: words and codes say nothing that the table knows.
const KindUnknown Kind = ""

// The relay and its checks of sender and recipient.
const (
	// KindRelayDenied: the server will not pass mail on for this client, sender
	// and recipient. Each program has its own words for it (article A13).
	KindRelayDenied Kind = "relay-denied"
	// KindRateLimited: a sending limit was passed. The service says it in the
	// words of KindRelayDenied, with the enhanced code 5.5.0.
	KindRateLimited Kind = "rate-limited"
	// KindThrottled: a limit on messages was passed, and the words do not say
	// whether the sender sent too many or the recipient gets too many.
	KindThrottled Kind = "throttled"
	// KindInvalidRecipient: "Invalid recipient: <r>", with which OpenSMTPD
	// refuses to relay and refuses an unknown address alike.
	KindInvalidRecipient Kind = "invalid-recipient"
	// KindMicrosoftAttribution: Exchange Online found no tenant or inbound
	// connector for the client; its words "Relay Access Denied" are its own.
	KindMicrosoftAttribution Kind = "microsoft-tenant-attribution"
	// KindMicrosoftRelayDenied: Exchange Online's "5.4.1 Relay Access Denied":
	// the recipient's domain is no accepted domain there.
	KindMicrosoftRelayDenied Kind = "microsoft-relay-denied"
	// KindExchangeRelayDenied: Exchange's "5.7.54 Unable to relay recipient in
	// non-accepted domain".
	KindExchangeRelayDenied Kind = "exchange-relay-denied"
	// KindSenderMarkedInvalid: the sender stands on the service's invalid list.
	KindSenderMarkedInvalid Kind = "sender-marked-invalid"
	// KindRecipientMarkedInvalid: the recipient stands on it.
	KindRecipientMarkedInvalid Kind = "recipient-marked-invalid"
	// KindSenderNotLoggedIn: the sender address belongs to a login, and the
	// client has not logged in.
	KindSenderNotLoggedIn Kind = "sender-not-logged-in"
	// KindSenderNotOwned: the sender address belongs to another login.
	KindSenderNotOwned Kind = "sender-not-owned"
	// KindSenderDomainUnresolvable: DNS does not know the sender's domain.
	KindSenderDomainUnresolvable Kind = "sender-domain-unresolvable"
	// KindRecipientThrottled: the recipient gets too much mail at once.
	KindRecipientThrottled Kind = "recipient-throttled"
	// KindSenderDeferred: the sender is put off for now, for a reason not named;
	// the service does so when a recipient gets too much mail.
	KindSenderDeferred Kind = "sender-deferred"
	// KindSenderBlocked: the sender or its tenant is blocked for what it sent.
	KindSenderBlocked Kind = "sender-blocked"
	// KindSenderRejected: the sender address is refused for a reason not named.
	KindSenderRejected Kind = "sender-rejected"
	// KindRecipientAccessDenied: "Recipient address rejected: Access denied",
	// stock Postfix submission's answer to a client that has not logged in.
	KindRecipientAccessDenied Kind = "recipient-access-denied"
	// KindUserUnknown: there is no such recipient.
	KindUserUnknown Kind = "user-unknown"
	// KindCalloutRefused: the server asked the recipient's own server, which
	// said no.
	KindCalloutRefused Kind = "recipient-callout-refused"
	// KindVerificationPending: it asked and has no answer yet.
	KindVerificationPending Kind = "recipient-verification-pending"
	// KindGreylisted: first try put off on purpose; a retry passes.
	KindGreylisted Kind = "greylisted"
	// KindRecipientRestricted: the recipient takes mail from some senders only.
	KindRecipientRestricted Kind = "recipient-restricted"
	// KindRecipientDomainUnknown: the recipient's domain is unknown or cannot
	// be routed.
	KindRecipientDomainUnknown Kind = "recipient-domain-unknown"
	// KindRecipientRejected: the recipient is refused for a reason not named.
	KindRecipientRejected Kind = "recipient-rejected"
	// KindMailboxFull: no room in the recipient's mailbox.
	KindMailboxFull Kind = "mailbox-full"
	// KindMailboxDisabled: the recipient exists and is switched off.
	KindMailboxDisabled Kind = "mailbox-disabled"
	// KindMailboxUnavailable: "mailbox unavailable" (RFC 5321's own words for
	// 450 and 550), which says no more than that.
	KindMailboxUnavailable Kind = "mailbox-unavailable"
)

// AUTH and TLS.
const (
	// KindAuthFailed: user name or password did not do. The words are the same
	// for a wrong, a deleted and a new pair: never guess between them.
	KindAuthFailed Kind = "auth-failed"
	// KindAuthUnavailable: the server could not check it now (454 4.7.0).
	KindAuthUnavailable Kind = "auth-unavailable"
	// KindAuthNotEnabled: no AUTH here, or not for this account.
	KindAuthNotEnabled Kind = "auth-not-enabled"
	// KindAuthMechanism: the mechanism is unknown, invalid or too weak (534).
	KindAuthMechanism Kind = "auth-mechanism"
	// KindAuthPolicy: the pair may be right, but this kind of login is not
	// allowed (application password, web login first).
	KindAuthPolicy Kind = "auth-policy"
	// KindAuthAborted: the dialogue broke off: cancelled or not base64 (501).
	KindAuthAborted Kind = "auth-aborted"
	// KindAuthRequired: log in first.
	KindAuthRequired Kind = "auth-required"
	// KindAlreadyAuthenticated: a second AUTH.
	KindAlreadyAuthenticated Kind = "already-authenticated"
	// KindPasswordTransition: log in once with PLAIN first (432).
	KindPasswordTransition Kind = "password-transition"
	// KindTooManyAuth: too many AUTH commands or failures.
	KindTooManyAuth Kind = "too-many-auth"
	// KindStartTLSRequired: STARTTLS comes first (530, article A18).
	KindStartTLSRequired Kind = "starttls-required"
	// KindEncryptionRequired: this mechanism needs TLS (538, 504).
	KindEncryptionRequired Kind = "encryption-required"
	// KindTLSUnavailable: STARTTLS does not work now (454).
	KindTLSUnavailable Kind = "tls-unavailable"
	// KindTLSActive: STARTTLS inside TLS.
	KindTLSActive Kind = "tls-active"
	// KindTLSFailed: a reporter's words for a handshake or certificate that
	// failed.
	KindTLSFailed Kind = "tls-failed"
)

// The client, the server's state, limits.
const (
	// KindIPBlocked: the client's address has a bad reputation or is listed.
	KindIPBlocked Kind = "ip-blocked"
	// KindClientRejected: the client is refused by the server's own rules.
	KindClientRejected Kind = "client-rejected"
	// KindReverseDNS: the client's address has no proper name.
	KindReverseDNS Kind = "reverse-dns"
	// KindHeloRejected: the EHLO argument is refused.
	KindHeloRejected Kind = "helo-rejected"
	// KindRelayBusy: all ports of the screening service are busy (421 4.3.2).
	KindRelayBusy Kind = "relay-busy"
	// KindTooManyConnections: from one client at once, or too fast.
	KindTooManyConnections Kind = "too-many-connections"
	// KindTooManyErrors: the client made too many errors.
	KindTooManyErrors Kind = "too-many-errors"
	// KindIdleTimeout: the client was silent for too long.
	KindIdleTimeout Kind = "idle-timeout"
	// KindServiceUnavailable: the server is closed or closing.
	KindServiceUnavailable Kind = "service-unavailable"
	// KindServerError: a fault of the server's own.
	KindServerError Kind = "server-error"
	// KindInsufficientStorage: no room or no resources at the server.
	KindInsufficientStorage Kind = "insufficient-storage"
	// KindMessageTooBig: the message, or its declared SIZE, is over the limit.
	KindMessageTooBig Kind = "message-too-big"
	// KindTooManyRecipients: in one message.
	KindTooManyRecipients Kind = "too-many-recipients"
)

// The message.
const (
	// KindSPF: the sender's SPF policy.
	KindSPF Kind = "spf"
	// KindDMARC: the sender's DMARC policy.
	KindDMARC Kind = "dmarc"
	// KindUnauthenticatedMail: neither SPF nor DKIM passed.
	KindUnauthenticatedMail Kind = "unauthenticated-mail"
	// KindContent: spam, virus or forbidden content.
	KindContent Kind = "content-rejected"
	// KindPolicy: a policy that is not named, or access denied without more.
	KindPolicy Kind = "policy"
	// KindForwardingBlocked: the sending organisation forbids to forward.
	KindForwardingBlocked Kind = "forwarding-blocked"
	// KindLoop: the mail goes in circles.
	KindLoop Kind = "loop"
)

// The dialogue itself.
const (
	// KindNoValidRecipients: DATA without an accepted recipient: an echo of an
	// earlier RCPT.
	KindNoValidRecipients Kind = "no-valid-recipients"
	// KindBadSequence: commands out of order: mostly an echo of what failed
	// before.
	KindBadSequence Kind = "bad-sequence"
	// KindCommandUnknown: not recognised or not implemented (500, 502).
	KindCommandUnknown Kind = "command-unknown"
	// KindSyntax: a malformed argument or an unknown parameter (501, 555).
	KindSyntax Kind = "syntax"
	// KindProtocol: the client broke a rule of the protocol.
	KindProtocol Kind = "protocol"
)

// Words of reporters about a server that did not answer, in the shape of a
// reply.
const (
	// KindExpired: given up after a time; never the cause.
	KindExpired Kind = "expired"
	// KindDNSFailed: the target's name was not found.
	KindDNSFailed Kind = "dns-failed"
	// KindConnectTimeout: no answer to a connect, or silence later.
	KindConnectTimeout Kind = "connect-timeout"
	// KindConnectRefused: the connection was refused.
	KindConnectRefused Kind = "connect-refused"
	// KindConnectFailed: no connection, for a reason not named.
	KindConnectFailed Kind = "connect-failed"
	// KindConnectionLost: the connection was closed in mid-dialogue.
	KindConnectionLost Kind = "connection-lost"
)

// Replies of class 2.
const (
	// KindQueued: the server took the message.
	KindQueued Kind = "queued"
	// KindAuthOK: 235, the only success of AUTH (RFC 4954 §6).
	KindAuthOK Kind = "auth-ok"
	// KindTLSReady: 220 to STARTTLS.
	KindTLSReady Kind = "tls-ready"
)

// Stage is the stage that the words imply when no command stands beside the
// reply; StageUnknown when they imply none.
func (k Kind) Stage() Stage {
	switch k {
	case KindRelayDenied, KindRateLimited, KindThrottled, KindRecipientThrottled, KindInvalidRecipient, KindMicrosoftAttribution,
		KindMicrosoftRelayDenied, KindExchangeRelayDenied, KindSenderMarkedInvalid,
		KindRecipientMarkedInvalid, KindSenderNotLoggedIn, KindSenderNotOwned,
		KindSenderDomainUnresolvable, KindSenderDeferred, KindSenderRejected,
		KindRecipientAccessDenied, KindUserUnknown, KindCalloutRefused, KindVerificationPending,
		KindGreylisted, KindRecipientRestricted, KindRecipientDomainUnknown, KindRecipientRejected,
		KindMailboxFull, KindMailboxDisabled, KindMailboxUnavailable, KindTooManyRecipients,
		KindNoValidRecipients:
		return StageEnvelope
	case KindAuthFailed, KindAuthUnavailable, KindAuthNotEnabled, KindAuthMechanism, KindAuthPolicy,
		KindAuthAborted, KindAlreadyAuthenticated, KindPasswordTransition, KindTooManyAuth,
		KindEncryptionRequired, KindAuthOK:
		return StageAuth
	case KindStartTLSRequired, KindTLSUnavailable, KindTLSActive, KindTLSFailed, KindTLSReady:
		return StageTLS
	case KindRelayBusy, KindTooManyConnections, KindServiceUnavailable:
		return StageGreet
	case KindDNSFailed:
		return StageResolve
	case KindConnectTimeout, KindConnectRefused, KindConnectFailed:
		return StageConnect
	case KindQueued:
		return StageAccepted
	}
	return StageUnknown
}

// Echo reports whether the reply only repeats an earlier failure: the first
// failing exchange is the cause, not this one.
func (k Kind) Echo() bool { return k == KindNoValidRecipients || k == KindBadSequence }

// Stage is the stage of a reply that stands alone, without its command
// (formats of reports quote many such): 530 is tls wherever it was said; an
// address before the words, words about an address, or a code 5.1.x mean
// envelope; a busy or closed server answered in its greeting.
func (r Reply) Stage() Stage { return r.StageOf(KindUnknown) }

// StageOf is Stage for a reply whose kind is known already; KindUnknown: it is
// not.
func (r Reply) StageOf(k Kind) Stage {
	switch r.Code {
	case 530:
		return StageTLS
	case 432, 534, 535, 538:
		return StageAuth
	case 354:
		return StageData
	}
	if k == KindUnknown {
		k = KindOf(r)
	}
	if s := k.Stage(); s != StageUnknown && s != StageGreet {
		return s
	}
	if r.namesAddress() {
		if r.namesData() {
			return StageData
		}
		return StageEnvelope
	}
	if len(r.Enhanced) > 3 && r.Class() >= 4 && r.Enhanced[1:4] == ".1." {
		return StageEnvelope
	}
	switch {
	case k == KindIdleTimeout, k == KindTooManyErrors:
		return StageUnknown // in mid-talk; where, the words do not say
	case r.Code == 421 || r.Code == 521 || k.Stage() == StageGreet:
		return StageGreet
	case k == KindIPBlocked && r.Code == 550:
		return StageEnvelope // Postfix and its screening service refuse at RCPT
	case r.Code == 554 && (k == KindIPBlocked || k == KindClientRejected):
		return StageGreet
	}
	return StageUnknown
}

// namesData reports whether what stands in the angle brackets is a command, as
// Postfix puts it for refusals of DATA and of the final dot.
func (r Reply) namesData() bool {
	t := r.words(r.Lines[0])
	return strings.HasPrefix(t, "<DATA>:") || strings.HasPrefix(t, "<END-OF-MESSAGE>:")
}

// namesAddress reports whether the words begin with an address in angle
// brackets, as Postfix and Sendmail put it: "<r>: …", "<r>... …".
func (r Reply) namesAddress() bool {
	if len(r.Lines) == 0 {
		return false
	}
	t := r.words(r.Lines[0])
	if t == "" || t[0] != '<' {
		return false
	}
	rest := t[closingAngle(t):]
	return len(rest) > 1 && (rest[1] == ':' || rest[1] == '.')
}
