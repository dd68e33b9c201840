package policy

import "slices"

// Row is one line of the decision table: when it applies, what is answered and
// on whose word. Several rows share an id where the service has several replies
// for one rule (two ways to refuse STARTTLS, two counts of a size).
type Row struct {
	ID    RuleID
	Verbs []Verb // empty: every command
	Port  int    // 0: both ports
	// Says is the condition and what it means, in one line.
	Says string
	// Reply is a template: {rcpt} {sender} {host} {ip} {client} and the like
	// are filled from the session. Code 0: the TLS layer answers, not SMTP.
	Reply    Reply
	Variants []Variant // other texts, where the sources disagree; first match wins
	// Basis names what the row rests on: a statement of the article (A1–A20), a
	// page (OP-…, RP-…, SFM), "postfix" (measured), "postfix source", "headers"
	// (seen in real headers), or "assumed".
	Basis []string
	when  func(*view) bool
}

// Variant is another text of a row, chosen by a dialect or by a fault's argument.
type Variant struct {
	Name  string // dialect or argument that chooses it
	Reply Reply
	when  func(*view) bool
}

// Table returns a copy of the decision table in its order: the first row that
// matches decides.
func Table() []Row { return slices.Clone(table) }

// Rule returns the first row of that id; ok is false for an unknown id.
func Rule(id RuleID) (row Row, ok bool) {
	for i := range table {
		if table[i].ID == id {
			return table[i], true
		}
	}
	return Row{}, false
}

// Rules returns every row of that id, in table order.
func Rules(id RuleID) []Row {
	var rows []Row
	for i := range table {
		if table[i].ID == id {
			rows = append(rows, table[i])
		}
	}
	return rows
}

// relayDenied is the phrase that seventeen rules share.
var relayDenied = Reply{554, "5.7.1", "{rcpt}: Relay access denied"}

// authFailed is the one text of four rules, identical on purpose: a server does
// not tell a stranger which half of a login was wrong.
var authFailed = Reply{535, "5.7.8", "Error: authentication failed: {reason}"}

func fault(name string) func(*view) bool {
	return func(v *view) bool { return v.fires(name) != nil }
}

func faultArg(name, arg string) func(*view) bool {
	return func(v *view) bool { return v.faultIs(name, arg) }
}

func malformed(m Malformed) func(*view) bool {
	return func(v *view) bool { return v.c.Malformed == m }
}

// credentialIs matches a login whose user name exists, in that state.
func credentialIs(states ...CredentialState) func(*view) bool {
	return func(v *view) bool {
		cr := v.credential()
		return cr != nil && slices.Contains(states, cr.State(v.now))
	}
}

// inbound narrows a condition to mail for an own domain that the service takes.
func inbound(cond func(*view, *Domain) bool) func(*view) bool {
	return func(v *view) bool {
		d := v.ownRecipient()
		return d != nil && cond(v, d)
	}
}

// outbound narrows a condition to senders that got as far as the sender rules:
// a listed address on 25, a login on 587.
func outbound(cond func(*view) bool) func(*view) bool {
	return func(v *view) bool { return v.trusted() && cond(v) }
}

// ofDomain is outbound with the sender's own domain; senders without one are
// strangers (C1) and never match.
func ofDomain(cond func(*view, *Domain) bool) func(*view) bool {
	return outbound(func(v *view) bool {
		d := v.domain(v.s.Sender)
		return d != nil && cond(v, d)
	})
}

// greylisted reports whether the first try of this client, sender and
// recipient is too fresh. The argument is the wait, 5 minutes if not given.
func greylisted(v *view) bool {
	f := v.fires("greylisted")
	if f == nil {
		return false
	}
	return v.s.FirstTry.IsZero() || v.now.Before(v.s.FirstTry.Add(f.duration(defaultGreylisting)))
}

// table is the service, first match wins. The phrase of seventeen rules is "Relay access
// denied"; 25 is for listed addresses and for mail to own domains, 587 is for
// logins only.
var table = []Row{
	// Connection.
	{
		ID: "K5", Verbs: []Verb{Idle}, Says: "the client was silent for 300 s (10 s under stress)",
		Reply: Reply{421, "4.4.2", "{host} Error: timeout exceeded"}, Basis: []string{"postfix"},
	},
	{
		ID: "K5", Says: "the client made 20 errors; this is the end",
		Reply: Reply{421, "4.7.0", "{host} Error: too many errors"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.Errors >= 20 },
	},
	{
		ID: "K5", Says: "the server's patience ended in mid-session",
		Reply: Reply{421, "4.4.2", "{host} Error: timeout exceeded"}, Basis: []string{"postfix"},
		when: fault("idle-timeout"),
	},
	{
		ID: "G7", Verbs: []Verb{Quit}, Says: "the client says good-bye",
		Reply: Reply{221, "2.0.0", "Bye"}, Basis: []string{"postfix"},
	},
	{
		ID: "O7", Verbs: []Verb{"GET", "POST"}, Says: "a web client",
		Reply: Reply{221, "2.7.0", "Error: I can break rules, too. Goodbye."}, Basis: []string{"postfix"},
	},
	{
		ID: "K4", Says: "each verb of a client that was refused at connect",
		Reply: Reply{503, "5.7.0", "Error: access denied for {client}"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.Denied },
	},
	{
		ID: "K1", Verbs: []Verb{Connect}, Says: "the source address has a bad reputation, refused at connect",
		Reply: Reply{550, "5.7.1", "Service unavailable; client [{ip}] blocked using prs.proofpoint.com"},
		Basis: []string{"headers", "SFM"}, when: faultArg("ip-blocked", "connect"),
	},
	{
		ID: "K2", Verbs: []Verb{Connect}, Says: "the screening service in front of the relay is full",
		Reply: Reply{421, "4.3.2", "All screening ports are busy"},
		Variants: []Variant{
			{Name: "server-ports", Reply: Reply{421, "4.3.2", "All server ports are busy"}, when: faultArg("screening-busy", "server-ports")},
			{Name: "resources", Reply: Reply{421, "4.3.2", "No system resources"}, when: faultArg("screening-busy", "resources")},
		},
		Basis: []string{"headers", "postfix source"}, when: fault("screening-busy"),
	},
	{
		ID: "K3", Verbs: []Verb{Connect}, Says: "one address opened too many connections at once",
		Reply: Reply{421, "4.7.0", "{host} Error: too many connections from {ip}"},
		Basis: []string{"postfix", "assumed"}, when: fault("conn-limit"),
	},
	{
		ID: "K4", Verbs: []Verb{Connect}, Says: "the client is refused at connect",
		Reply: Reply{554, "5.7.1", "<{client}>: Client host rejected: Access denied"},
		Variants: []Variant{
			{Name: "521", Reply: Reply{521, "5.3.2", "Service currently unavailable"}, when: faultArg("client-refused", "521")},
			{Name: "550", Reply: Reply{550, "5.3.2", "Service currently unavailable"}, when: faultArg("client-refused", "550")},
		},
		Basis: []string{"postfix", "postfix source"}, when: fault("client-refused"),
	},
	{
		ID: "G1", Verbs: []Verb{Connect}, Says: "the greeting",
		Reply: Reply{220, "", "{host} ESMTP PPE Hosted ESMTP Server"}, Basis: []string{"headers", "assumed"},
	},
	{
		ID: "G5", Verbs: []Verb{Noop}, Says: "nothing to do",
		Reply: Reply{250, "2.0.0", "Ok"}, Basis: []string{"postfix"},
	},

	// EHLO: which keywords are offered is in Keywords.
	{
		ID: "O2", Verbs: []Verb{EHLO}, Says: "EHLO without a name",
		Reply: Reply{501, "", "Syntax: EHLO hostname"}, Basis: []string{"postfix"}, when: malformed(NoArgument),
	},
	{
		ID: "O2", Verbs: []Verb{HELO}, Says: "HELO without a name",
		Reply: Reply{501, "", "Syntax: HELO hostname"}, Basis: []string{"postfix"}, when: malformed(NoArgument),
	},
	{
		ID: "E1", Verbs: []Verb{EHLO}, Port: 25, Says: "on 25 AUTH is never offered, before or inside TLS",
		Reply: Reply{250, "", "{host}"}, Basis: []string{"A12"},
	},
	{
		ID: "E2", Verbs: []Verb{EHLO}, Port: 587, Says: "on 587 STARTTLS and no AUTH before TLS, AUTH and no STARTTLS inside",
		Reply: Reply{250, "", "{host}"}, Basis: []string{"A18", "postfix"},
	},
	{
		ID: "G2", Verbs: []Verb{HELO}, Says: "HELO is answered and offers nothing",
		Reply: Reply{250, "", "{host}"}, Basis: []string{"postfix"},
	},

	// STARTTLS and TLS.
	{
		ID: "T3", Verbs: []Verb{StartTLS}, Says: "STARTTLS with an argument",
		Reply: Reply{501, "5.5.4", "Syntax: STARTTLS"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.c.Arg != "" },
	},
	{
		ID: "T3", Verbs: []Verb{StartTLS}, Says: "STARTTLS inside TLS",
		Reply: Reply{554, "5.5.1", "Error: TLS already active"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.Secure },
	},
	{
		ID: "T4", Verbs: []Verb{StartTLS}, Says: "TLS is switched off at the server",
		Reply: Reply{502, "5.5.1", "Error: command not implemented"}, Basis: []string{"postfix source"}, when: fault("tls-off"),
	},
	{
		ID: "T4", Verbs: []Verb{StartTLS}, Says: "the server's keys are unusable",
		Reply: Reply{454, "4.7.0", "TLS not available due to local problem"}, Basis: []string{"postfix"}, when: fault("starttls-454"),
	},
	{
		ID: "T2", Verbs: []Verb{StartTLS}, Says: "the handshake may begin",
		Reply: Reply{220, "2.0.0", "Ready to start TLS"}, Basis: []string{"A18", "postfix"},
	},
	{
		ID: "T5", Verbs: []Verb{Handshake}, Says: "the client offers less than TLS 1.2: an alert, no SMTP reply",
		Reply: Reply{0, "", "protocol_version"}, Basis: []string{"OP-tls", "RP-tls"},
		when: func(v *view) bool { return v.c.Arg == "1.0" || v.c.Arg == "1.1" },
	},
	{
		ID: "T6", Verbs: []Verb{Handshake}, Port: 25, Says: "TLS on 25 is optional and changes no decision",
		Reply: Reply{220, "", ""}, Basis: []string{"postfix", "assumed"},
	},
	{
		ID: "T2", Verbs: []Verb{Handshake}, Says: "the handshake succeeds",
		Reply: Reply{220, "", ""}, Basis: []string{"A18", "postfix"},
	},
	{
		ID: "T1", Port: 587, Says: "on 587 nothing but EHLO, HELO, NOOP, QUIT and STARTTLS before TLS",
		Reply: Reply{530, "5.7.0", "Must issue a STARTTLS command first"}, Basis: []string{"A18", "postfix"},
		when: func(v *view) bool { return !v.s.Secure && !v.acc.Dialect.HideAuth },
	},
	{
		ID: "G5", Verbs: []Verb{Rset}, Says: "the transaction is forgotten",
		Reply: Reply{250, "2.0.0", "Ok"}, Basis: []string{"postfix"},
	},
	{
		ID: "G6", Verbs: []Verb{Vrfy}, Says: "VRFY tells nothing",
		Reply: Reply{252, "2.0.0", "{rcpt}"}, Basis: []string{"postfix"},
	},

	// AUTH.
	{
		ID: "U0", Verbs: []Verb{Auth}, Port: 25, Says: "AUTH on 25, with or without TLS: SMTP AUTH works on 587 only",
		Reply: Reply{503, "5.5.1", "Error: authentication not enabled"}, Basis: []string{"A12", "postfix"},
	},
	{
		ID: "U0", Verbs: []Verb{Auth}, Port: 587, Says: "dialect hide-auth: AUTH is hidden before TLS",
		Reply: Reply{503, "5.5.1", "Error: authentication not enabled"}, Basis: []string{"A18", "assumed"},
		when: func(v *view) bool { return !v.s.Secure },
	},
	{
		ID: "U5", Verbs: []Verb{Auth}, Says: "AUTH without a mechanism",
		Reply: Reply{501, "5.5.4", "Syntax: AUTH mechanism"}, Basis: []string{"postfix"}, when: malformed(NoArgument),
	},
	{ // Postfix looks at the transaction first, also where somebody is logged in.
		ID: "U7", Verbs: []Verb{Auth}, Says: "AUTH inside a transaction",
		Reply: Reply{503, "5.5.1", "Error: MAIL transaction in progress"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.InMail },
	},
	{
		ID: "U7", Verbs: []Verb{Auth}, Says: "a second AUTH",
		Reply: Reply{503, "5.5.1", "Error: already authenticated"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.loggedIn() },
	},
	{
		ID: "U8", Verbs: []Verb{Auth}, Says: "too many AUTH commands from one address",
		Reply: Reply{450, "4.7.1", "Error: too many AUTH commands"}, Basis: []string{"postfix source"}, when: fault("too-many-auth"),
	},
	{
		ID: "U5", Verbs: []Verb{Auth}, Says: "a mechanism the service does not offer",
		Reply: Reply{535, "5.7.8", "Error: authentication failed: Invalid authentication mechanism"}, Basis: []string{"assumed"},
		when: func(v *view) bool {
			return !slices.ContainsFunc(v.mechanisms(), func(m string) bool { return sameAddress(m, v.c.Mechanism) })
		},
	},
	{
		ID: "U5", Verbs: []Verb{Auth}, Says: "the client took the login back",
		Reply: Reply{501, "5.7.0", "Authentication aborted"}, Basis: []string{"postfix"}, when: malformed(Cancelled),
	},
	{
		ID: "U5", Verbs: []Verb{Auth}, Says: "an AUTH line that is no base64",
		Reply: Reply{535, "5.7.8", "Error: authentication failed: bad protocol / cancel"}, Basis: []string{"postfix"}, when: malformed(BadBase64),
	},
	{
		ID: "U8", Verbs: []Verb{Auth}, Says: "the authentication back end is down",
		Reply: Reply{454, "4.7.0", "Temporary authentication failure: generic failure"}, Basis: []string{"postfix"}, when: fault("sasl-down"),
	},
	{
		ID: "U1", Verbs: []Verb{Auth}, Says: "no credential has this user name",
		Reply: authFailed, Basis: []string{"A5", "A3", "postfix"},
		when: func(v *view) bool { return v.credential() == nil },
	},
	{
		ID: "U3", Verbs: []Verb{Auth}, Says: "the credential was deleted",
		Reply: authFailed, Basis: []string{"A5", "postfix"}, when: credentialIs(CredentialDeleted),
	},
	{
		ID: "U2", Verbs: []Verb{Auth}, Says: "the password does not fit",
		Reply: authFailed, Basis: []string{"A5", "postfix"},
		when: func(v *view) bool { return !v.credential().Matches(v.c.Password) },
	},
	{
		ID: "U4", Verbs: []Verb{Auth}, Says: "the credential is right and not active yet: up to 60 minutes",
		Reply: authFailed, Basis: []string{"A4", "postfix"}, when: credentialIs(CredentialPending),
	},
	{
		ID: "U6", Verbs: []Verb{Auth}, Says: "the credential is right and live",
		Reply: Reply{235, "2.7.0", "Authentication successful"}, Basis: []string{"A1", "postfix"},
	},

	// MAIL. Sender faults are reported at RCPT, as Postfix does by default.
	{
		ID: "O3", Verbs: []Verb{Mail}, Says: "MAIL inside a transaction",
		Reply: Reply{503, "5.5.1", "Error: nested MAIL command"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.InMail },
	},
	{
		ID: "O4", Verbs: []Verb{Mail}, Says: "a sender that is no address",
		Reply: Reply{501, "5.1.7", "Bad sender address syntax"}, Basis: []string{"postfix"}, when: malformed(BadSender),
	},
	{
		ID: "O5", Verbs: []Verb{Mail, Rcpt}, Says: "an option the server does not know",
		Reply: Reply{555, "5.5.4", "Unsupported option: {option}"}, Basis: []string{"postfix"}, when: malformed(BadOption),
	},
	{
		ID: "D1", Verbs: []Verb{Mail}, Says: "the declared SIZE is over the limit",
		Reply: Reply{552, "5.3.4", "Message size exceeds fixed limit"}, Basis: []string{"RP-limits", "postfix"},
		when: func(v *view) bool { return tooBig(v, v.c.Size) },
	},
	{
		ID: "G3", Verbs: []Verb{Mail}, Says: "the sender is taken note of; it is judged at RCPT",
		Reply: Reply{250, "2.1.0", "Ok"}, Basis: []string{"postfix", "assumed"},
	},

	// RCPT: order and counts.
	{
		ID: "O6", Verbs: []Verb{Rcpt}, Says: "RCPT without MAIL",
		Reply: Reply{503, "5.5.1", "Error: need MAIL command"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return !v.s.InMail },
	},
	{
		ID: "O4", Verbs: []Verb{Rcpt}, Says: "a recipient that is no address",
		Reply: Reply{501, "5.1.3", "Bad recipient address syntax"}, Basis: []string{"postfix"}, when: malformed(BadRecipient),
	},
	{
		ID: "D2", Verbs: []Verb{Rcpt}, Says: "recipient 1,001 of one message",
		Reply: Reply{452, "4.5.3", "Error: too many recipients"},
		Variants: []Variant{{
			Name: "recipients-451", Reply: Reply{451, "4.5.3", "Too many recipients"},
			when: func(v *view) bool { return v.acc.Dialect.Recipients451 },
		}},
		Basis: []string{"postfix", "RP-limits"},
		when:  func(v *view) bool { return over(v.s.Accepted, v.acc.Limits.withDefaults().Recipients) },
	},
	{
		ID: "K1", Verbs: []Verb{Rcpt}, Says: "the source address has a bad reputation",
		Reply: Reply{550, "5.7.1", "Service unavailable; client [{ip}] blocked using prs.proofpoint.com"},
		Basis: []string{"headers", "SFM"}, when: fault("ip-blocked"),
	},

	// RCPT on 587 without a login.
	{
		ID: "N1", Verbs: []Verb{Rcpt}, Port: 587, Says: "not logged in on 587: whatever the recipient, whatever the source address",
		Reply: relayDenied,
		Variants: []Variant{{
			Name: "submission-stock", Reply: Reply{554, "5.7.1", "{rcpt}: Recipient address rejected: Access denied"},
			when: func(v *view) bool { return v.acc.Dialect.SubmissionStock },
		}},
		Basis: []string{"A14", "A9", "assumed"}, when: func(v *view) bool { return !v.loggedIn() },
	},

	// RCPT on 25 to an own domain: inbound mail, whatever the source or an AUTH
	// attempt.
	{
		ID: "I7", Verbs: []Verb{Rcpt}, Port: 25, Says: "the sender's domain is not in DNS",
		Reply: Reply{550, "5.1.8", "{sender}: Sender address rejected: Domain not found"}, Basis: []string{"headers", "SFM"},
		when: inbound(func(v *view, _ *Domain) bool { return v.fires("sender-nodomain") != nil }),
	},
	{
		ID: "I6", Verbs: []Verb{Rcpt}, Port: 25, Says: "the recipient gets over 200 messages a minute",
		Reply: Reply{450, "4.7.1", "{sender}: Sender address rejected: too many messages for this recipient"}, Basis: []string{"RP-limits"},
		when: inbound(func(v *view, _ *Domain) bool {
			return v.fires("inbound-throttle") != nil || over(v.s.InboundMin, v.acc.Limits.withDefaults().InboundPerMin)
		}),
	},
	{
		ID: "I2", Verbs: []Verb{Rcpt}, Port: 25, Says: "the recipient stands on the Marked invalid list",
		Reply: Reply{550, "5.7.1", "{rcpt}: Recipient address rejected: User email address is marked as invalid."}, Basis: []string{"OP-invalid", "headers"},
		when: inbound(func(v *view, _ *Domain) bool { return v.invalid(withoutRoute(v.c.Address)) }),
	},
	{
		ID: "I3", Verbs: []Verb{Rcpt}, Port: 25, Says: "the recipient is unknown and Discovery is off",
		Reply: Reply{550, "5.1.1", "{rcpt}: Recipient address rejected: User unknown in relay recipient table"}, Basis: []string{"postfix", "assumed"},
		when: inbound(func(v *view, d *Domain) bool { return !v.mayPass(withoutRoute(v.c.Address), d) }),
	},
	{
		ID: "I4", Verbs: []Verb{Rcpt}, Port: 25, Says: "asked for this recipient, the customer's own server said no",
		Reply: Reply{550, "5.1.1", "{rcpt}: Recipient address rejected: undeliverable address: {detail}"}, Basis: []string{"headers", "SFM"},
		when: inbound(func(v *view, _ *Domain) bool { return v.fires("rcpt-callout") != nil }),
	},
	{
		ID: "I5", Verbs: []Verb{Rcpt}, Port: 25, Says: "the recipient is still being verified",
		Reply: Reply{421, "4.1.1", "{rcpt}: Recipient address rejected: unverified address: Address verification in progress"}, Basis: []string{"headers", "SFM"},
		when: inbound(func(v *view, _ *Domain) bool { return v.fires("rcpt-verify-pending") != nil }),
	},
	{
		ID: "I8", Verbs: []Verb{Rcpt}, Port: 25, Says: "the first try of this client, sender and recipient is put off",
		Reply: Reply{450, "4.7.1", "{rcpt}: Recipient address rejected: Greylisted"}, Basis: []string{"postfix", "assumed"}, when: inbound(func(v *view, _ *Domain) bool { return greylisted(v) }),
	},
	{
		ID: "I1", Verbs: []Verb{Rcpt}, Port: 25, Says: "mail for an own, live, inbound domain is taken in, whatever the source",
		Reply: Reply{250, "2.1.5", "Ok"}, Basis: []string{"OP-disc"},
		when: inbound(func(*view, *Domain) bool { return true }),
	},

	// RCPT on 25 to the outside.
	{
		ID: "P1", Verbs: []Verb{Rcpt}, Port: 25, Says: "outside recipient, and the source address is not among the Sending Servers",
		Reply: relayDenied, Basis: []string{"A13", "OP-relay"}, when: func(v *view) bool { return !v.listed() },
	},
	{
		ID: "P2", Verbs: []Verb{Rcpt}, Port: 25, Says: "the address is listed, and the sender's domain forces SMTP AUTH",
		Reply: relayDenied, Basis: []string{"A10", "assumed"},
		when: ofDomain(func(_ *view, d *Domain) bool { return d.ForceAuth }),
	},

	// The sender rules: a listed address on 25 or a login on 587.
	{
		ID: "C6", Verbs: []Verb{Rcpt}, Says: "the null sender <> (bounces, out-of-office)",
		Reply: relayDenied, Basis: []string{"assumed"},
		when: outbound(func(v *view) bool { return v.nullSender() && !v.acc.Dialect.NullSenderOK }),
	},
	{
		ID: "C1", Verbs: []Verb{Rcpt}, Says: "the sender's domain is not the organisation's: a foreign From, a forward, a list expansion",
		Reply: relayDenied, Basis: []string{"A15", "A17", "OP-fwd"},
		when: outbound(func(v *view) bool { return !v.nullSender() && v.domain(v.s.Sender) == nil }),
	},
	{
		ID: "C2", Verbs: []Verb{Rcpt}, Says: "the sender's domain has inbound or outbound relay off, or is not verified",
		Reply: relayDenied, Basis: []string{"A15", "OP-relay"},
		when: ofDomain(func(_ *view, d *Domain) bool { return !d.Inbound || !d.Outbound || !d.Verified }),
	},
	{
		ID: "C3", Verbs: []Verb{Rcpt}, Says: "the sender's domain, or a switch of it, is not live yet",
		Reply: relayDenied, Basis: []string{"OP-relay"},
		when: ofDomain(func(v *view, d *Domain) bool { return v.now.Before(d.LiveAt) }),
	},
	{
		ID: "C0", Verbs: []Verb{Rcpt}, Says: "the sender stands on the Marked invalid list",
		Reply: Reply{550, "5.7.1", "{sender}: Sender address rejected: User email address is marked as invalid"},
		Variants: []Variant{{
			Name: "invalid-as-rad", Reply: relayDenied,
			when: func(v *view) bool { return v.acc.Dialect.InvalidAsRAD },
		}},
		Basis: []string{"OP-invalid"},
		when:  ofDomain(func(v *view, _ *Domain) bool { return v.invalid(v.s.Sender) }),
	},
	{
		ID: "C5", Verbs: []Verb{Rcpt}, Says: "the sender is registered, not live yet, and Discovery is off: up to an hour",
		Reply: relayDenied, Basis: []string{"A20", "OP-relay"},
		when: ofDomain(func(v *view, d *Domain) bool {
			known, live := v.known(v.s.Sender)
			return known && !live && !v.mayPass(v.s.Sender, d)
		}),
	},
	{
		ID: "C4", Verbs: []Verb{Rcpt}, Says: "the sender's address is not registered and Discovery is off",
		Reply: relayDenied, Basis: []string{"A16", "A19", "OP-relay"},
		when: ofDomain(func(v *view, d *Domain) bool { return !v.mayPass(v.s.Sender, d) }),
	},
	{
		ID: "C7", Verbs: []Verb{Rcpt}, Says: "over the sending limit",
		Reply: Reply{554, "5.5.0", "{quota}Relay Access denied"}, Basis: []string{"RP-limits", "OP-limits"},
		when: outbound(func(v *view) bool { return v.fires("rate-limited") != nil || v.overLimit() }),
	},
	{
		ID: "I8", Verbs: []Verb{Rcpt}, Says: "the first try of this client, sender and recipient is put off, on the way out too",
		Reply: Reply{450, "4.7.1", "{rcpt}: Recipient address rejected: Greylisted"}, Basis: []string{"postfix", "assumed"}, when: outbound(greylisted),
	},
	{
		ID: "C8", Verbs: []Verb{Rcpt}, Says: "the sender is known, an alias, or Discovery is on",
		Reply: Reply{250, "2.1.5", "Ok"}, Basis: []string{"A16", "A9", "A11", "A19"},
	},

	// DATA.
	{
		ID: "D3", Verbs: []Verb{Data, EndData}, Says: "DATA with no recipient accepted",
		Reply: Reply{554, "5.5.1", "Error: no valid recipients"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.InMail && v.s.Accepted == 0 },
	},
	{
		ID: "D3", Verbs: []Verb{Data, EndData}, Says: "DATA outside a transaction",
		Reply: Reply{503, "5.5.1", "Error: need RCPT command"}, Basis: []string{"postfix"},
		when: func(v *view) bool { return v.s.Accepted == 0 },
	},
	{
		ID: "G4", Verbs: []Verb{Data}, Says: "the message may come",
		Reply: Reply{354, "", "End data with <CR><LF>.<CR><LF>"}, Basis: []string{"postfix"},
	},
	{
		ID: "D1", Verbs: []Verb{EndData}, Says: "the message, counted, is over the limit",
		Reply: Reply{552, "5.3.4", "Error: message file too big"}, Basis: []string{"RP-limits", "postfix"},
		when: func(v *view) bool { return tooBig(v, v.s.DataBytes) },
	},
	{
		ID: "I7", Verbs: []Verb{EndData}, Port: 25, Says: "the sender's own DMARC policy says reject",
		Reply: Reply{550, "5.7.0", "Email rejected per sender's DMARC policy"}, Basis: []string{"headers", "SFM"}, when: fault("sender-dmarc"),
	},
	{
		ID: "D4", Verbs: []Verb{EndData}, Says: "the relay has the message and answers for it",
		Reply: Reply{250, "2.0.0", "Ok: queued as {id}"},
		Variants: []Variant{{
			Name: "unnamed", Reply: Reply{250, "2.0.0", "Ok: queued"}, when: func(v *view) bool { return v.s.QueueID == "" },
		}},
		Basis: []string{"postfix"},
	},

	// Everything else.
	{
		ID: "O1", Says: "a verb the server does not know",
		Reply: Reply{500, "5.5.2", "Error: command not recognized"}, Basis: []string{"postfix"},
	},
}

func tooBig(v *view, n int64) bool {
	limit := v.acc.Limits.withDefaults().MessageBytes
	return limit > 0 && n > limit
}
