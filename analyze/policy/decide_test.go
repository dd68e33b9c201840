package policy

import (
	"net/netip"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)

// testAccount is a customer whose settings have long been live at t0.
func testAccount(t testing.TB, extra ...string) *Account {
	t.Helper()
	acc := NewAccount("customer")
	lines := []string{
		"cred rounds 1",
		"domain add customer.example --inbound --outbound",
		"domain add second.example --inbound --outbound",
		"user add alice@customer.example --kind end_user --alias sales@customer.example",
		"user add scanner@customer.example --kind functional",
		"user add bot@customer.example --kind silent_user",
		"user add bob@second.example",
		"cred new printer --user scanner@customer.example --password pw1",
		"sender add 192.0.2.10",
	}
	if _, err := ApplyAll(acc, lines, t0.Add(-48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := ApplyAll(acc, extra, t0.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	return acc
}

// talk plays a whole dialogue and returns the last reply and its rule.
func talk(acc *Account, port int, client string, now time.Time, cs ...Command) (Reply, RuleID) {
	s := &Session{Port: port, Client: netip.MustParseAddr(client)}
	var r Reply
	var id RuleID
	for _, c := range cs {
		r, id = Step(acc, s, c, now)
	}
	return r, id
}

func login(user, password string) []Command {
	return []Command{{Verb: EHLO, Arg: "c.example"}, {Verb: StartTLS}, {Verb: EHLO, Arg: "c.example"}, {Verb: Auth, Mechanism: "PLAIN", Username: user, Password: password}}
}

func mail(from, to string) []Command {
	return []Command{{Verb: Mail, Address: from}, {Verb: Rcpt, Address: to}}
}

const outside = "bob@recipient.example"

func TestRulesOfTheTable(t *testing.T) {
	tls := []Command{{Verb: EHLO, Arg: "c.example"}, {Verb: StartTLS}, {Verb: EHLO, Arg: "c.example"}}
	clear := []Command{{Verb: EHLO, Arg: "c.example"}}
	in := login("scanner@customer.example", "pw1")
	rad := Reply{554, "5.7.1", "<bob@recipient.example>: Relay access denied"}
	bad := Reply{535, "5.7.8", "Error: authentication failed: authentication failure"}
	for _, tt := range []struct {
		name  string
		extra []string
		late  []string // applied ten minutes before now
		port  int
		from  string
		say   [][]Command
		rule  RuleID
		reply Reply
	}{
		{"greeting", nil, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}}}, "G1", Reply{220, "", "mx1-us1.ppe-hosted.com ESMTP PPE Hosted ESMTP Server"}},
		{"reputation at connect", []string{"fault set ip-blocked connect"}, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}}}, "K1", Reply{550, "5.7.1", "Service unavailable; client [203.0.113.9] blocked using prs.proofpoint.com"}},
		{"reputation at RCPT", []string{"fault set ip-blocked"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("a@b.example", outside)}, "K1", Reply{550, "5.7.1", "Service unavailable; client [203.0.113.9] blocked using prs.proofpoint.com"}},
		{"screening busy", []string{"fault set screening-busy"}, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}}}, "K2", Reply{421, "4.3.2", "All screening ports are busy"}},
		{"server ports busy", []string{"fault set screening-busy server-ports"}, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}}}, "K2", Reply{421, "4.3.2", "All server ports are busy"}},
		{"too many connections", []string{"fault set conn-limit"}, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}}}, "K3", Reply{421, "4.7.0", "mx1-us1.ppe-hosted.com Error: too many connections from 203.0.113.9"}},
		{"client refused", []string{"fault set client-refused"}, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}}}, "K4", Reply{554, "5.7.1", "<unknown[203.0.113.9]>: Client host rejected: Access denied"}},
		{"client refused, next verb", []string{"fault set client-refused"}, nil, 25, "203.0.113.9", [][]Command{{{Verb: Connect}, {Verb: EHLO, Arg: "x"}}}, "K4", Reply{503, "5.7.0", "Error: access denied for unknown[203.0.113.9]"}},
		{"silence", nil, nil, 25, "203.0.113.9", [][]Command{{{Verb: Idle}}}, "K5", Reply{421, "4.4.2", "mx1-us1.ppe-hosted.com Error: timeout exceeded"}},

		{"587, AUTH before TLS", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: Auth, Mechanism: "PLAIN", Username: "scanner@customer.example", Password: "pw1"}}}, "T1", Reply{530, "5.7.0", "Must issue a STARTTLS command first"}},
		{"587, MAIL before TLS", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: Mail, Address: "a@b.example"}}}, "T1", Reply{530, "5.7.0", "Must issue a STARTTLS command first"}},
		{"587, RSET before TLS", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: Rset}}}, "T1", Reply{530, "5.7.0", "Must issue a STARTTLS command first"}},
		{"587, NOOP before TLS", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: Noop}}}, "G5", Reply{250, "2.0.0", "Ok"}},
		{"STARTTLS", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: StartTLS}}}, "T2", Reply{220, "2.0.0", "Ready to start TLS"}},
		{"STARTTLS with an argument", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: StartTLS, Arg: "now"}}}, "T3", Reply{501, "5.5.4", "Syntax: STARTTLS"}},
		{"STARTTLS twice", nil, nil, 587, "192.0.2.10", [][]Command{tls, {{Verb: StartTLS}}}, "T3", Reply{554, "5.5.1", "Error: TLS already active"}},
		{"STARTTLS, no keys", []string{"fault set starttls-454"}, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: StartTLS}}}, "T4", Reply{454, "4.7.0", "TLS not available due to local problem"}},
		{"STARTTLS, off", []string{"fault set tls-off"}, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: StartTLS}}}, "T4", Reply{502, "5.5.1", "Error: command not implemented"}},
		{"TLS 1.1", nil, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: Handshake, Arg: "1.1"}}}, "T5", Reply{0, "", "protocol_version"}},

		{"AUTH on 25", nil, nil, 25, "192.0.2.10", [][]Command{in}, "U0", Reply{503, "5.5.1", "Error: authentication not enabled"}},
		{"AUTH on 25 without TLS", nil, nil, 25, "192.0.2.10", [][]Command{clear, in[3:]}, "U0", Reply{503, "5.5.1", "Error: authentication not enabled"}},
		{"login", nil, nil, 587, "203.0.113.9", [][]Command{in}, "U6", Reply{235, "2.7.0", "Authentication successful"}},
		{"unknown user name", nil, nil, 587, "203.0.113.9", [][]Command{login("printer", "pw1")}, "U1", bad},
		{"wrong password", nil, nil, 587, "203.0.113.9", [][]Command{login("scanner@customer.example", "pw2")}, "U2", bad},
		{"deleted", []string{"cred rm c1"}, nil, 587, "203.0.113.9", [][]Command{in}, "U3", bad},
		{"deleted a moment ago", nil, []string{"cred rm c1"}, 587, "203.0.113.9", [][]Command{in}, "U6", Reply{235, "2.7.0", "Authentication successful"}},
		{"not active yet", nil, []string{"cred new fresh --user f@customer.example --password p"}, 587, "203.0.113.9", [][]Command{login("f@customer.example", "p")}, "U4", bad},
		{"wrong and not active yet", nil, []string{"cred new fresh --user f@customer.example --password p"}, 587, "203.0.113.9", [][]Command{login("f@customer.example", "q")}, "U2", bad},
		{"no such mechanism", nil, nil, 587, "203.0.113.9", [][]Command{tls, {{Verb: Auth, Mechanism: "CRAM-MD5"}}}, "U5", Reply{535, "5.7.8", "Error: authentication failed: Invalid authentication mechanism"}},
		{"AUTH alone", nil, nil, 587, "203.0.113.9", [][]Command{tls, {{Verb: Auth, Malformed: NoArgument}}}, "U5", Reply{501, "5.5.4", "Syntax: AUTH mechanism"}},
		{"AUTH taken back", nil, nil, 587, "203.0.113.9", [][]Command{tls, {{Verb: Auth, Mechanism: "PLAIN", Malformed: Cancelled}}}, "U5", Reply{501, "5.7.0", "Authentication aborted"}},
		{"AUTH twice", nil, nil, 587, "203.0.113.9", [][]Command{in, in[3:]}, "U7", Reply{503, "5.5.1", "Error: already authenticated"}},
		{"AUTH in a transaction", nil, nil, 587, "203.0.113.9", [][]Command{tls, {{Verb: Mail, Address: "a@customer.example"}}, in[3:]}, "U7", Reply{503, "5.5.1", "Error: MAIL transaction in progress"}},
		{"back end down", []string{"fault set sasl-down"}, nil, 587, "203.0.113.9", [][]Command{in}, "U8", Reply{454, "4.7.0", "Temporary authentication failure: generic failure"}},
		{"other region", []string{"account region eu1"}, nil, 587, "203.0.113.9", [][]Command{in}, "U6", Reply{235, "2.7.0", "Authentication successful"}},

		{"587 without a login, listed address", nil, nil, 587, "192.0.2.10", [][]Command{tls, mail("alice@customer.example", outside)}, "N1", rad},
		{"587 without a login, own recipient", nil, nil, 587, "192.0.2.10", [][]Command{tls, mail("x@y.example", "alice@customer.example")}, "N1", Reply{554, "5.7.1", "<alice@customer.example>: Relay access denied"}},
		{"dialect submission-stock", []string{"dialect set submission-stock"}, nil, 587, "192.0.2.10", [][]Command{tls, mail("alice@customer.example", outside)}, "N1", Reply{554, "5.7.1", "<bob@recipient.example>: Recipient address rejected: Access denied"}},
		{"dialect hide-auth, MAIL", []string{"dialect set hide-auth"}, nil, 587, "192.0.2.10", [][]Command{clear, {{Verb: Mail, Address: "a@b.example"}}}, "G3", Reply{250, "2.1.0", "Ok"}},
		{"dialect hide-auth, AUTH", []string{"dialect set hide-auth"}, nil, 587, "192.0.2.10", [][]Command{clear, in[3:]}, "U0", Reply{503, "5.5.1", "Error: authentication not enabled"}},
		{"dialect hide-auth, RCPT", []string{"dialect set hide-auth"}, nil, 587, "192.0.2.10", [][]Command{clear, mail("alice@customer.example", outside)}, "N1", rad},

		{"inbound", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I1", Reply{250, "2.1.5", "Ok"}},
		{"inbound, null sender", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("", "alice@customer.example")}, "I1", Reply{250, "2.1.5", "Ok"}},
		{"inbound, after a refused AUTH", nil, nil, 25, "203.0.113.9", [][]Command{in, mail("x@y.example", "alice@customer.example")}, "I1", Reply{250, "2.1.5", "Ok"}},
		{"inbound, invalid", []string{"user invalid alice@customer.example"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I2", Reply{550, "5.7.1", "<alice@customer.example>: Recipient address rejected: User email address is marked as invalid."}},
		{"inbound, unknown", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "nobody@customer.example")}, "I3", Reply{550, "5.1.1", "<nobody@customer.example>: Recipient address rejected: User unknown in relay recipient table"}},
		{"inbound, unknown, Discovery on", []string{"domain set customer.example discovery on"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "nobody@customer.example")}, "I1", Reply{250, "2.1.5", "Ok"}},
		{"inbound, callout", []string{"fault set rcpt-callout"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I4", Reply{550, "5.1.1", "<alice@customer.example>: Recipient address rejected: undeliverable address: host mail.customer.example[192.0.2.80] said: 550 5.1.1 User unknown"}},
		{"inbound, verification", []string{"fault set rcpt-verify-pending"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I5", Reply{421, "4.1.1", "<alice@customer.example>: Recipient address rejected: unverified address: Address verification in progress"}},
		{"inbound, throttled", []string{"fault set inbound-throttle"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I6", Reply{450, "4.7.1", "<x@y.example>: Sender address rejected: too many messages for this recipient"}},
		{"inbound, sender without a domain", []string{"fault set sender-nodomain"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I7", Reply{550, "5.1.8", "<x@y.example>: Sender address rejected: Domain not found"}},
		{"inbound, DMARC", []string{"fault set sender-dmarc"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example"), {{Verb: Data}, {Verb: EndData}}}, "I7", Reply{550, "5.7.0", "Email rejected per sender's DMARC policy"}},
		{"greylisted", []string{"fault set greylisted"}, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "alice@customer.example")}, "I8", Reply{450, "4.7.1", "<alice@customer.example>: Recipient address rejected: Greylisted"}},
		{"a source route is not local", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "bob%recipient.example@customer.example")}, "P1", Reply{554, "5.7.1", "<bob%recipient.example@customer.example>: Relay access denied"}},
		{"a route is cut from the echo", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("x@y.example", "@x.example:bob@recipient.example")}, "P1", rad},

		{"25, not listed", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("alice@customer.example", outside)}, "P1", rad},
		{"25, listed", nil, nil, 25, "192.0.2.10", [][]Command{clear, mail("alice@customer.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"25, listed a moment ago", nil, []string{"sender add 203.0.113.0/24"}, 25, "203.0.113.9", [][]Command{clear, mail("alice@customer.example", outside)}, "P1", rad},
		{"25, forced", []string{"domain set customer.example force-auth on"}, nil, 25, "192.0.2.10", [][]Command{clear, mail("alice@customer.example", outside)}, "P2", rad},
		{"25, another domain is forced", []string{"domain set second.example force-auth on"}, nil, 25, "192.0.2.10", [][]Command{clear, mail("alice@customer.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"587, forced", []string{"domain set customer.example force-auth on"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},

		{"invalid sender", []string{"user invalid alice@customer.example"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C0", Reply{550, "5.7.1", "<alice@customer.example>: Sender address rejected: User email address is marked as invalid"}},
		{"invalid sender, RAD", []string{"user invalid alice@customer.example", "dialect set invalid-as-rad"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C0", rad},
		{"foreign sender", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("x@y.example", outside)}, "C1", rad},
		{"foreign sender, listed", nil, nil, 25, "192.0.2.10", [][]Command{clear, mail("x@y.example", outside)}, "C1", rad},
		{"outbound off", []string{"domain set customer.example outbound off"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C2", rad},
		{"inbound off", []string{"domain set customer.example inbound off"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C2", rad},
		{"not verified", []string{"domain set customer.example verified off"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C2", rad},
		{"switched on a moment ago", []string{"domain set customer.example outbound off"}, []string{"domain set customer.example outbound on"}, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C3", rad},
		{"unregistered", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("nobody@customer.example", outside)}, "C4", rad},
		{"unregistered, Discovery", []string{"domain set customer.example discovery on"}, nil, 587, "203.0.113.9", [][]Command{in, mail("nobody@customer.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"unregistered, Discovery, directory sync", []string{"domain set customer.example discovery on", "sync on"}, nil, 587, "203.0.113.9", [][]Command{in, mail("nobody@customer.example", outside)}, "C4", rad},
		{"removed, Discovery", []string{"domain set customer.example discovery on", "user rm alice@customer.example"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C4", rad},
		{"alias", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("sales@customer.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"upper case", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("Alice@CUSTOMER.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"registered a moment ago", nil, []string{"user add new@customer.example --kind functional"}, 587, "203.0.113.9", [][]Command{in, mail("new@customer.example", outside)}, "C5", rad},
		{"registered a moment ago, Discovery", []string{"domain set customer.example discovery on"}, []string{"user add new@customer.example --kind functional"}, 587, "203.0.113.9", [][]Command{in, mail("new@customer.example", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"null sender", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("", outside)}, "C6", rad},
		{"null sender, accepted", []string{"dialect set null-sender-ok"}, nil, 587, "203.0.113.9", [][]Command{in, mail("", outside)}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"over the limit", []string{"fault set rate-limited"}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C7", Reply{554, "5.5.0", "Relay Access denied"}},
		{"over the limit, with a prefix", []string{"fault set rate-limited", `dialect set quota-prefix "<a>: "`}, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", outside)}, "C7", Reply{554, "5.5.0", "<a>: Relay Access denied"}},
		{"own recipient after a login", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("alice@customer.example", "bob@second.example")}, "C8", Reply{250, "2.1.5", "Ok"}},
		{"own recipient, foreign sender", nil, nil, 587, "203.0.113.9", [][]Command{in, mail("x@y.example", "bob@second.example")}, "C1", Reply{554, "5.7.1", "<bob@second.example>: Relay access denied"}},

		{"declared too big", nil, nil, 25, "192.0.2.10", [][]Command{clear, {{Verb: Mail, Address: "alice@customer.example", Size: 104857601}}}, "D1", Reply{552, "5.3.4", "Message size exceeds fixed limit"}},
		{"recipient too many", []string{"limit set recipients 1"}, nil, 25, "192.0.2.10", [][]Command{clear, mail("alice@customer.example", outside), {{Verb: Rcpt, Address: "c@recipient.example"}}}, "D2", Reply{452, "4.5.3", "Error: too many recipients"}},
		{"DATA alone", nil, nil, 25, "192.0.2.10", [][]Command{clear, {{Verb: Data}}}, "D3", Reply{503, "5.5.1", "Error: need RCPT command"}},
		{"DATA, all refused", nil, nil, 25, "203.0.113.9", [][]Command{clear, mail("alice@customer.example", outside), {{Verb: Data}}}, "D3", Reply{554, "5.5.1", "Error: no valid recipients"}},
		{"taken", nil, nil, 25, "192.0.2.10", [][]Command{clear, mail("alice@customer.example", outside), {{Verb: Data}, {Verb: EndData}}}, "D4", Reply{250, "2.0.0", "Ok: queued"}},
		{"nested MAIL", nil, nil, 25, "192.0.2.10", [][]Command{clear, {{Verb: Mail, Address: "a@b.example"}, {Verb: Mail, Address: "a@b.example"}}}, "O3", Reply{503, "5.5.1", "Error: nested MAIL command"}},
		{"RCPT alone", nil, nil, 25, "192.0.2.10", [][]Command{clear, {{Verb: Rcpt, Address: outside}}}, "O6", Reply{503, "5.5.1", "Error: need MAIL command"}},
		{"unknown verb", nil, nil, 25, "192.0.2.10", [][]Command{clear, {{Verb: "FOO"}}}, "O1", Reply{500, "5.5.2", "Error: command not recognized"}},
		{"web client", nil, nil, 587, "192.0.2.10", [][]Command{{{Verb: "GET"}}}, "O7", Reply{221, "2.7.0", "Error: I can break rules, too. Goodbye."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acc := testAccount(t, tt.extra...)
			if _, err := ApplyAll(acc, tt.late, t0.Add(-10*time.Minute)); err != nil {
				t.Fatal(err)
			}
			var say []Command
			for _, s := range tt.say {
				say = append(say, s...)
			}
			reply, rule := talk(acc, tt.port, tt.from, t0, say...)
			if rule != tt.rule || reply != tt.reply {
				t.Errorf("got %s %+v, want %s %+v", rule, reply, tt.rule, tt.reply)
			}
		})
	}
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }
