package relay

import "time"

// Statements that several presets share.
var (
	on25 = []string{"client port 25", "client auth off"}
	// listed puts the client's address among the Sending Servers, live at once;
	// 127.0.0.1 stands in for it over TCP.
	listed = []string{"propagation set 0s", "sender add 203.0.113.9", "sender add 127.0.0.1", "propagation set 60m"}
	// inbound is an outsider's mail to one of the service's customers.
	inbound = []string{"client port 25", "client auth off", "client address 192.0.2.77", "client sender author@elsewhere.example", "client recipient alice@customer.example"}
)

func all(parts ...[]string) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func do(lines ...string) []string { return lines }

// spoofable is a session that is accepted and should not have been.
func spoofable(remedy string) Truth {
	t := ready
	t.Finding, t.Remedy = "shared-ip-spoofable", remedy
	return t
}

func slowly(remedy string) Truth {
	t := ready
	t.Finding, t.Remedy = "slow-server", remedy
	return t
}

// scenarios are the presets. Titles say what is wrong; remedies what helps, or
// which test separates the causes that fit.
var scenarios = []Scenario{
	{
		ID: "S01", Name: "name-typo", Title: "the relay's name is misspelt and does not exist",
		Setup: do("client host outbund-us1.ppe-hosted.com", "fault set name-typo"),
		Truth: road("unreachable", "resolve", "sender-system", "smarthost-typo", "use outbound-us1.ppe-hosted.com or outbound-eu1.ppe-hosted.com"),
	},
	{
		ID: "S02", Name: "port25-blocked", Title: "the provider drops port 25 outward",
		Setup: all(on25, do("fault set port25-blocked")),
		Truth: road("unreachable", "connect", "network", "port-25-blocked", "use AUTH on 587; does 587 open?"),
	},
	{
		ID: "S03", Name: "port587-blocked", Title: "a firewall drops port 587 outward",
		Setup: do("fault set port587-blocked"),
		Truth: road("unreachable", "connect", "network", "port-587-blocked", "open 587; 25 cannot carry AUTH"),
	},
	{
		ID: "S04", Name: "port-refused", Title: "the connection is refused at once",
		Setup: do("fault set port-refused"),
		Truth: road("unreachable", "connect", "network", "connection-refused", "check host, port and the local firewall"),
	},
	{
		ID: "S05", Name: "banner-silent", Title: "the connection opens and no greeting comes",
		Setup: do("fault set banner-silent"),
		Truth: road("handshake-failed", "greet", "network", "silent-server", "look for a middlebox; this is no answer of the policy"),
	},
	{
		ID: "S06", Name: "banner-drop", Title: "the connection opens and is closed before the greeting",
		Setup: do("fault set banner-drop"),
		Truth: road("handshake-failed", "greet", "network", "connection-dropped", "read the sending server's log"),
	},
	{
		ID: "S07", Name: "screening-busy", Title: "the screening service is full",
		Setup: all(on25, do("fault set screening-busy")),
		Truth: said("deferred", "greet", "relay-platform", "relay-busy", "K2", 421, "4.3.2", "it was reached; the queue tries again"),
	},
	{
		ID: "S08", Name: "auth-on-25", Title: "a client that logs in talks to port 25",
		Setup: do("client port 25"),
		Truth: Truth{
			Verdict: "refused", Stage: "envelope", Party: "relay-config", Who: "sender-system", Causes: first("wrong-port", deniedOn25),
			Rule: "P1", Code: 554, Enhanced: "5.7.1", Remedy: "set port 587 with STARTTLS",
		},
	},
	{
		ID: "S09", Name: "wrong-port-25-ip-unknown", Title: "port 25 from an address that is not listed",
		Setup: on25,
		Truth: denied25("sending-server-not-listed", "relay-config", "P1", "is AUTH intended? is the address listed? probe 587"),
	},
	{
		ID: "S10", Name: "ip-on-587", Title: "a listed address on 587, without a login",
		Setup: all(listed, do("client auth off")),
		Truth: Truth{
			Verdict: "refused", Stage: "envelope", Party: "relay-config", Who: "sender-system", Causes: []string{"auth-missing"},
			Rule: "N1", Code: 554, Enhanced: "5.7.1", Remedy: "switch authentication on; addresses do nothing on 587",
		},
	},
	{
		ID: "S11", Name: "same-name-user-missing", Title: "the sender is the login's own name, and no user is called so",
		Setup: do("propagation set 0s", "cred new printer --user printer@customer.example --password "+scenarioPassword, "propagation set 60m",
			"client user printer@customer.example", "client sender printer@customer.example"),
		Truth: denied587("credential-user-missing", "relay-config", "C4", "create a user or functional account of that name"),
	},
	{
		ID: "S12", Name: "functional-missing", Title: "the sender is a device's address that nobody registered",
		Setup: do("client sender scanner@customer.example"),
		Truth: denied587("sender-not-registered", "relay-config", "C4", "add a functional account"),
	},
	{
		ID: "S13", Name: "silent-user-ok", Title: "a silent user sends: all is well",
		Setup: do("propagation set 0s", "user add quiet@customer.example --kind silent_user", "propagation set 60m", "client sender quiet@customer.example"),
		Truth: ready,
	},
	{
		ID: "S14", Name: "alias-ok", Title: "an alias sends: all is well",
		Setup: do("client sender sales@customer.example"),
		Truth: ready,
	},
	{
		ID: "S15", Name: "user-not-live", Title: "the sender was registered a moment ago",
		Setup: do("user add new@customer.example --kind functional", "client sender new@customer.example"),
		Truth: healing(denied587("user-not-live", "relay-config", "C5", "when was it created? wait up to an hour"), time.Hour),
	},
	{
		ID: "S16", Name: "discovery-off", Title: "SMTP Discovery is off and the address is not registered",
		Setup: do("client sender reports@customer.example"),
		Truth: denied587("sender-not-registered", "relay-config", "C4", "register the address, or switch SMTP Discovery on"),
	},
	{
		ID: "S17", Name: "discovery-off-by-sync", Title: "directory sync has switched SMTP Discovery off",
		Setup: do("domain set customer.example discovery on", "sync on", "client sender reports@customer.example"),
		Truth: denied587("sender-not-registered", "relay-config", "C4", "directory sync switches SMTP Discovery off; register the address"),
	},
	{
		ID: "S18", Name: "domain-off", Title: "outbound relay of the domain is off",
		Setup: do("domain set customer.example outbound off"),
		Truth: denied587("outbound-relay-off", "relay-config", "C2", "switch both relays of the domain on"),
	},
	{
		ID: "S18", Name: "domain-inbound-off", Title: "inbound relay of the sender's domain is off",
		Setup: do("domain set customer.example inbound off"),
		Truth: denied587("sender-domain-inactive", "relay-config", "C2", "switch both relays of the domain on"),
	},
	{
		ID: "S18", Name: "domain-unverified", Title: "the sender's domain was never verified",
		Setup: do("domain set customer.example verified off"),
		Truth: denied587("sender-domain-inactive", "relay-config", "C2", "verify the domain"),
	},
	{
		ID: "S19", Name: "domain-not-live", Title: "the sender's domain was added a moment ago",
		Setup: do("propagation set 60m", "domain add new.example --inbound --outbound", "user add alerts@new.example --kind functional", "client sender alerts@new.example"),
		Truth: healing(denied587("domain-not-live", "relay-config", "C3", "wait 30 to 60 minutes"), time.Hour),
	},
	{
		ID: "S20", Name: "wrong-domain", Title: "our own machine sends with a From of a domain that is not registered",
		Setup: do("client sender alerts@other.example"),
		Truth: denied587("sender-domain-not-registered", "relay-config", "C1", "correct the From, or register the domain"),
	},
	{
		ID: "S21", Name: "forwarded", Title: "a mailbox rule forwards an outsider's mail to the outside",
		Setup: do("client sender author@elsewhere.example", "client forwards rule"),
		Truth: denied587("auto-forward", "sender-system", "C1", "by design; forward another way, or rewrite the sender"),
	},
	{
		ID: "S22", Name: "dl-external-member", Title: "a distribution group with outside members got an outsider's mail",
		Setup: do("client sender author@elsewhere.example", "client forwards group", "client recipients 2"),
		Truth: denied587("distribution-group-external", "sender-system", "C1", "by design; the report goes to the outside author"),
	},
	{
		ID: "S23", Name: "null-sender", Title: "a bounce or out-of-office leaves through the relay",
		Setup: do("client sender <>"),
		Truth: denied587("null-sender", "sender-system", "C6", "send such mail another way; the rule is assumed"),
	},
	{
		ID: "S24", Name: "nat-spoof-allowed", Title: "another machine behind the listed address sends as a known sender",
		Setup: all(listed, on25),
		Truth: spoofable("use AUTH only: force it, and empty Sending Servers"),
	},
	{
		ID: "S25", Name: "nat-spoof-closed", Title: "the same with no address listed: refused, as wished",
		Setup: on25,
		Truth: denied25("sending-server-not-listed", "relay-config", "P1", "nothing to mend: the spoofer is kept out"),
	},
	{
		ID: "S26", Name: "shared-range-spoof", Title: "another tenant of the provider whose range is listed sends as a known sender",
		Setup: all(do("propagation set 0s", "sender add o365", "sender add 127.0.0.1", "propagation set 60m", "client address 198.51.100.77"), on25),
		Truth: spoofable("use AUTH only: force it, and empty Sending Servers"),
	},
	{
		ID: "S27", Name: "force-auth", Title: "the address is listed and the domain forces SMTP AUTH",
		Setup: all(listed, on25, do("domain set customer.example force-auth on")),
		Truth: denied25("force-auth", "sender-system", "P2", "move to 587 with AUTH"),
	},
	{
		ID: "S28", Name: "cred-not-propagated", Title: "the credential was made a moment ago",
		Setup: do("cred new printer --user printer@customer.example --password "+scenarioPassword, "client user printer@customer.example"),
		Truth: healing(login535("credential-not-live", "relay-config", "U4", "wait up to 60 minutes before changing anything"), time.Hour),
	},
	{
		ID: "S29", Name: "wrong-password", Title: "the password does not fit",
		Setup: do("client password correct.horse"),
		Truth: login535("credential-wrong", "sender-system", "U2", "older than an hour: make a new credential"),
	},
	{
		ID: "S30", Name: "deleted-cred", Title: "the credential was deleted at the service",
		Setup: do("propagation set 0s", "cred rm alerts", "propagation set 60m"),
		Truth: login535("credential-deleted", "relay-config", "U3", "look at the list, make a new one"),
	},
	{
		ID: "S31", Name: "username-mismatch", Title: "the label is used in place of the generated user name",
		Setup: do("client user alerts"),
		Truth: login535("credential-unknown", "sender-system", "U1", "use the generated user name"),
	},
	{
		ID: "S32", Name: "auth-before-tls", Title: "the client logs in on 587 without STARTTLS",
		Setup: do("client starttls off"),
		Truth: said("refused", "tls", "sender-system", "starttls-missing", "T1", 530, "5.7.0", "switch STARTTLS on"),
	},
	{
		ID: "S33", Name: "implicit-tls-on-587", Title: "the client starts TLS at once on 587",
		Setup: do("client implicit-tls on"),
		Truth: road("handshake-failed", "tls", "sender-system", "implicit-tls-on-587", "choose STARTTLS, not SSL/TLS"),
	},
	{
		ID: "S34", Name: "starttls-stripped", Title: "something on the way takes STARTTLS out of EHLO",
		Setup: do("fault set starttls-stripped"),
		Truth: road("handshake-failed", "tls", "network", "starttls-stripped", "exempt the host from inspection, or use another way out"),
	},
	{
		ID: "S34", Name: "smtp-inspection", Title: "a firewall masks the dialogue: 220 ****, 250-XXXXXXXA",
		Setup: do("fault set banner-masked"),
		Truth: road("handshake-failed", "greet", "network", "smtp-inspection", "switch ESMTP inspection off for the relay"),
	},
	{
		ID: "S35", Name: "starttls-454", Title: "the relay cannot start TLS",
		Setup: do("fault set starttls-454"),
		Truth: said("deferred", "tls", "relay-platform", "starttls-unavailable", "T4", 454, "4.7.0", "try again, then report"),
	},
	{
		ID: "S36", Name: "tls-garbage", Title: "plaintext comes in place of the handshake",
		Setup: do("fault set tls-garbage"),
		Truth: road("handshake-failed", "tls", "network", "tls-interrupted", "look at the bytes that came"),
	},
	{
		ID: "S36", Name: "tls-close", Title: "the connection is closed in place of the handshake",
		Setup: do("fault set tls-close"),
		Truth: road("handshake-failed", "tls", "network", "tls-interrupted", "look for interception"),
	},
	{
		ID: "S36", Name: "tls-reset", Title: "the connection is reset in place of the handshake",
		Setup: do("fault set tls-reset"),
		Truth: road("handshake-failed", "tls", "network", "tls-interrupted", "look for interception"),
	},
	{
		ID: "S36", Name: "tls-hang", Title: "nothing comes in place of the handshake",
		Setup: do("fault set tls-hang"),
		Truth: road("handshake-failed", "tls", "network", "tls-interrupted", "look for interception or a packet size problem"),
	},
	{
		ID: "S37", Name: "cert-expired", Title: "the certificate is past its date",
		Setup: do("fault set cert-expired"),
		Truth: road("handshake-failed", "tls", "relay-platform", "certificate-expired", "check your own clock, then interception, then report"),
	},
	{
		ID: "S37", Name: "cert-not-yet", Title: "the certificate's date is still to come",
		Setup: do("fault set cert-not-yet"),
		Truth: road("handshake-failed", "tls", "sender-system", "certificate-not-yet-valid", "set the clock"),
	},
	{
		ID: "S37", Name: "cert-wrong-name", Title: "the certificate is for another name",
		Setup: do("fault set cert-wrong-name"),
		Truth: road("handshake-failed", "tls", "sender-system", "certificate-name-mismatch", "dial the published name"),
	},
	{
		ID: "S37", Name: "cert-unknown-ca", Title: "the chain ends in an unknown authority",
		Setup: do("fault set cert-unknown-ca"),
		Truth: road("handshake-failed", "tls", "network", "certificate-unknown-issuer", "remove the interception, or update the trusted authorities"),
	},
	{
		ID: "S35", Name: "tls-alert", Title: "the relay breaks the handshake off by an alert: its keys are unusable",
		Setup: do("fault set tls-alert"),
		Truth: road("handshake-failed", "tls", "relay-platform", "starttls-unavailable", "retry, then report it"),
	},
	{
		ID: "S38", Name: "tls10-only", Title: "the two sides share no version of TLS",
		Setup: do("fault set tls10-only"),
		Truth: road("handshake-failed", "tls", "sender-system", "tls-too-old", "TLS 1.2 or newer is needed"),
	},
	{
		ID: "S39", Name: "sasl-down", Title: "the authentication back end is down",
		Setup: do("fault set sasl-down"),
		Truth: said("deferred", "auth", "relay-platform", "sasl-unavailable", "U8", 454, "4.7.0", "try again; leave the password alone"),
	},
	{
		ID: "S40", Name: "mech-missing", Title: "no mechanism is offered that the client has",
		Setup: do("fault set mech-missing CRAM-MD5"),
		Truth: Truth{Verdict: "refused", Stage: "auth", Party: "sender-system", Causes: []string{"mechanism-missing"}, Remedy: "allow PLAIN or LOGIN in the client"},
	},
	{
		ID: "S40", Name: "mech-login-only", Title: "only LOGIN is offered: a client that has it gets through",
		Setup: do("fault set mech-missing LOGIN"),
		Truth: ready,
	},
	{
		ID: "S41", Name: "sender-invalid", Title: "the sender stands on the Marked invalid list",
		Setup: do("user invalid alerts@customer.example"),
		Truth: said("refused", "envelope", "relay-config", "sender-marked-invalid", "C0", 550, "5.7.1", "take it off the list, then create the user, and wait"),
	},
	{
		ID: "S41", Name: "rcpt-invalid", Title: "the recipient, a customer's user, stands on the Marked invalid list",
		Setup: all(do("user invalid alice@customer.example"), inbound),
		Truth: said("inbound-refused", "envelope", "recipient-system", "recipient-marked-invalid", "I2", 550, "5.7.1", "their admin takes it off the list"),
	},
	{
		ID: "S42", Name: "greylisted", Title: "the first try is put off",
		Setup: do("fault set greylisted 5m"),
		Truth: healing(said("deferred", "envelope", "sender-system", "greylisted", "I8", 450, "4.7.1", "try again later"), 5*time.Minute),
	},
	{
		ID: "S43", Name: "rate-limited", Title: "the sender is over the sending limit",
		Setup: do("fault set rate-limited"),
		Truth: said("refused", "envelope", "relay-platform", "rate-limited", "C7", 554, "5.5.0", "the code 5.5.0 tells; send slower, wait 1 to 24 hours"),
	},
	{
		ID: "S43", Name: "rate-limited-by-count", Title: "the fourth message where three in ten minutes are allowed", Deliver: true, Sessions: 4,
		Setup: do("limit set 10m 3"),
		Truth: healing(said("refused", "envelope", "relay-platform", "rate-limited", "C7", 554, "5.5.0", "the code 5.5.0 tells; send slower"), 10*time.Minute),
	},
	{
		ID: "S44", Name: "inbound-throttle", Title: "the recipient gets too much mail a minute",
		Setup: all(do("fault set inbound-throttle"), inbound),
		Truth: said("deferred", "envelope", "none", "inbound-throttled", "I6", 450, "4.7.1", "it is tried again by itself"),
	},
	{
		ID: "S45", Name: "too-large-declared", Title: "the client declares more than 100 MB",
		Setup: do("client size 104857601"),
		Truth: said("refused", "envelope", "sender-system", "message-too-big", "D1", 552, "5.3.4", "100 MB on the wire; base64 adds a third"),
	},
	{
		ID: "S45", Name: "too-large-data", Title: "the message, counted, is over the limit", Deliver: true,
		Setup: do("limit set size 64"),
		Truth: said("refused", "data", "sender-system", "message-too-big", "D1", 552, "5.3.4", "100 MB on the wire; base64 adds a third"),
	},
	{
		ID: "S46", Name: "too-many-rcpts", Title: "more recipients than one message may have", Deliver: true,
		Setup: do("limit set recipients 3", "client recipients 5"),
		Truth: said("mixed", "envelope", "sender-system", "too-many-recipients", "D2", 452, "4.5.3", "split the message"),
	},
	{
		ID: "S47", Name: "conn-limit", Title: "too many connections from one address",
		Setup: do("fault set conn-limit"),
		Truth: said("deferred", "greet", "sender-system", "too-many-connections", "K3", 421, "4.7.0", "open fewer at once"),
	},
	{
		ID: "S48", Name: "slow", Title: "every reply is late by twelve seconds",
		Setup: do("fault set slow 12s"),
		Truth: slowly("longer time-outs in the client"),
	},
	{
		ID: "S48", Name: "tarpit", Title: "every byte is late",
		Setup: do("fault set tarpit 100ms"),
		Truth: slowly("longer time-outs in the client"),
	},
	{
		ID: "S49", Name: "reset-at-ehlo", Title: "the connection is reset at EHLO",
		Setup: do("fault set reset-at EHLO"),
		Truth: road("handshake-failed", "ehlo", "network", "connection-dropped", "sending server's log; middlebox"),
	},
	{
		ID: "S49", Name: "reset-at-mail", Title: "the connection is reset at MAIL",
		Setup: do("fault set reset-at MAIL"),
		Truth: road("deferred", "envelope", "network", "connection-dropped", "sending server's log; middlebox"),
	},
	{
		ID: "S49", Name: "reset-at-rcpt", Title: "the connection is reset at RCPT",
		Setup: do("fault set reset-at RCPT"),
		Truth: road("deferred", "envelope", "network", "connection-dropped", "sending server's log; middlebox"),
	},
	{
		ID: "S49", Name: "drop-in-data", Title: "the connection is lost inside the message", Deliver: true,
		Setup: do("fault set drop-in-data"),
		Truth: road("deferred", "data", "network", "connection-dropped", "sending server's log; middlebox"),
	},
	{
		ID: "S49", Name: "drop-after-dot", Title: "the connection is lost between the final dot and its reply", Deliver: true,
		Setup: do("fault set drop-after-dot"),
		Truth: road("insufficient-evidence", "data", "network", "outcome-unknown", "look in the recipient's mailbox before sending again: risk of a duplicate"),
	},
	{
		ID: "S50", Name: "idle-timeout", Title: "the server's patience ends",
		Setup: do("fault set idle-timeout --sender alerts@customer.example"),
		Truth: said("deferred", "envelope", "sender-system", "idle-timeout", "K5", 421, "4.4.2", "a faster client"),
	},
	{
		ID: "S51", Name: "downstream-refuses", Title: "the relay takes the mail and the next server refuses it", Deliver: true,
		Setup: do("fault set downstream-refuses"),
		Truth: road("accepted-then-bounced", "accepted", "recipient-system", "downstream-refused", "read the inner reply; the relay worked"),
	},
	{
		ID: "S51", Name: "downstream-spf", Title: "the next server refuses the mail for the sender's SPF", Deliver: true,
		Setup: do("fault set downstream-refuses spf"),
		Truth: road("accepted-then-bounced", "accepted", "sender-system", "sender-spf-missing", "add the service to the SPF record"),
	},
	{
		ID: "S52", Name: "downstream-deferred", Title: "the next server puts the mail off; the relay keeps trying", Deliver: true,
		Setup: do("fault set downstream-deferred"),
		Truth: road("not-a-failure", "accepted", "recipient-system", "downstream-deferred", "wait"),
	},
	{
		ID: "S53", Name: "not-the-relay", Title: "another mail server answers under the relay's name",
		Setup: all(do("fault set not-the-relay"), on25),
		Truth: road("never-reached", "not-attempted", "sender-system", "wrong-host", "the answer came from mail.elsewhere.example"),
	},
	{
		ID: "S54", Name: "wrong-region", Title: "the account lives on the other region's host",
		Setup: do("account region eu1"),
		Truth: login535("wrong-region", "sender-system", "U1", "try the other host with the same pair"),
	},
	{
		ID: "S55", Name: "loop-to-self", Title: "the relay's name leads to the sender's own mail server",
		Setup: all(do("fault set loop-to-self"), on25),
		Truth: Truth{Verdict: "never-reached", Stage: "not-attempted", Party: "sender-system", Causes: []string{"wrong-host", "not-handed-off"}, Remedy: "the mail never left"},
	},
	{
		ID: "S56", Name: "ip-blocked", Title: "the source address has a bad reputation",
		Setup: do("fault set ip-blocked"),
		Truth: said("refused", "envelope", "sender-system", "ip-blocked", "K1", 550, "5.7.1", "clean up, then ask at ipcheck.proofpoint.com"),
	},
	{
		ID: "S57", Name: "relay-pool-ip", Title: "Exchange Online sent through its relay pool, whose addresses are not listed",
		Setup: all(do("propagation set 0s", "sender add o365", "propagation set 60m", "client address 192.0.2.140", "client system exchange-online", "client pool on"), on25),
		Truth: denied25("relay-pool-ip", "sender-system", "P1", "message trace: which outbound pool was it?"),
	},
	{
		ID: "S58", Name: "rcpt-unknown", Title: "the recipient is not registered and SMTP Discovery is off",
		Setup: all(inbound, do("client recipient nobody@customer.example")),
		Truth: said("inbound-refused", "envelope", "recipient-system", "recipient-unknown-at-relay", "I3", 550, "5.1.1", "register the user, or switch SMTP Discovery on"),
	},
	{
		ID: "S59", Name: "rcpt-callout", Title: "asked for the recipient, the customer's own server said no",
		Setup: all(do("fault set rcpt-callout"), inbound),
		Truth: said("inbound-refused", "envelope", "recipient-system", "recipient-callout-refused", "I4", 550, "5.1.1", "create the mailbox at the customer's server"),
	},
	{
		ID: "S59", Name: "rcpt-verify-pending", Title: "the recipient is still being verified",
		Setup: all(do("fault set rcpt-verify-pending"), inbound),
		Truth: said("deferred", "envelope", "none", "recipient-verification-pending", "I5", 421, "4.1.1", "it is tried again by itself"),
	},
	{
		ID: "S60", Name: "mx-left-behind", Title: "a domain has left the service and its MX has not",
		Setup: all(inbound, do("client recipient bob@left.example")),
		Truth: denied25("mx-left-behind", "recipient-system", "P1", "the MX still points to the relay"),
	},
	{
		ID: "S61", Name: "sender-nodomain", Title: "the sender's domain does not exist",
		Setup: all(do("fault set sender-nodomain"), inbound, do("client sender author@nowhere.invalid")),
		Truth: said("inbound-refused", "envelope", "sender-system", "sender-domain-unresolvable", "I7", 550, "5.1.8", "use an existing sender domain"),
	},
	{
		ID: "S61", Name: "sender-dmarc", Title: "the sender's own DMARC policy says reject", Deliver: true,
		Setup: all(do("fault set sender-dmarc"), inbound),
		Truth: said("inbound-refused", "data", "sender-system", "sender-dmarc", "I7", 550, "5.7.0", "align SPF or DKIM"),
	},
	{
		ID: "S62", Name: "dns-broken", Title: "the resolver fails for the right name too",
		Setup: do("fault set dns-broken servfail"),
		Truth: road("unreachable", "resolve", "network", "dns-failure", "repair the resolver"),
	},
	{
		ID: "S63", Name: "downstream-unreachable", Title: "the relay cannot connect to the next server", Deliver: true,
		Setup: do("fault set downstream-unreachable"),
		Truth: road("accepted-then-bounced", "accepted", "recipient-system", "downstream-unreachable", "their server or DNS"),
	},
	{
		ID: "S64", Name: "connector-bypassed", Title: "the mail went past the relay to the recipient's own server, which refused it",
		Setup: do("client route direct"),
		Truth: road("never-reached", "not-attempted", "sender-system", "not-handed-off", "the sending server's log"),
	},
	{
		ID: "S65", Name: "tester-rcpt-r", Title: "a test in openssl s_client broke itself with an upper-case R",
		Setup: do("client tester openssl"),
		Truth: road("insufficient-evidence", "unknown", "sender-system", "tester-artefact", "use -quiet -crlf, or the probe"),
	},
}
