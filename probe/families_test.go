package probe_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

type (
	target  = probe.Target
	thePlan = probe.Plan
	options = probe.Options
)

func withoutCredential(_ *target, p *thePlan, _ *options) { p.Credential = nil }

func withData(_ *target, p *thePlan, o *options) {
	o.NoPipelining = true
	p.StopAfter = transcript.StageData
}

func mechanism(name string) func(*target, *thePlan, *options) {
	return func(_ *target, p *thePlan, _ *options) { p.Mechanism = name }
}

// families are the servers of the hostile families beside the matrix.
func families() []row {
	h := healthy
	const (
		none    = transcript.FaultNone
		proto   = transcript.FaultProtocol
		limit   = transcript.FaultLimit
		timeout = transcript.FaultTimeout
		tlsF    = transcript.FaultTLS
		certF   = transcript.FaultCertificate
		inject  = transcript.FaultInjection
		closed  = transcript.FaultClosed
		reset   = transcript.FaultReset
		greet   = transcript.StageGreet
		ehlo    = transcript.StageEHLO
		tls     = transcript.StageTLS
		auth    = transcript.StageAuth
		env     = transcript.StageEnvelope
		data    = transcript.StageData
	)
	toTLS := h.greet + h.ehlo
	in := h.greet + h.ehlo + h.starttls
	toAuth := in + h.ehlo2
	toEnv := toAuth + h.auth
	ok := "ready/envelope"
	ehlo2 := func(lines ...string) string {
		s := in + "> EHLO\n< 250-relay.example\n"
		for _, l := range lines {
			s += "< 250-" + l + "\n"
		}
		return s + "< 250 HELP\n"
	}
	oneByOne := "> MAIL\n< 250 2.1.0 Ok\n> RCPT\n< 250 2.1.5 Ok\n> QUIT\n< 221 bye\n"
	plain25 := h.greet + "> EHLO\n< 250-relay.example\n< 250 PIPELINING\n"
	rows := []row{
		// Slow but legal.
		{name: "postscreen's two-part greeting", script: "< 220-relay.example - Please wait...\nwait 6s\n< 220 relay.example - Welcome\n" + h.ehlo + h.starttls + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "greeting after 25 s", script: "wait 25s\n" + submission(), verdict: ok},
		{name: "greeting byte by byte", script: `drip 100ms "220 relay.example ESMTP\r\n"` + "\n" + h.ehlo + h.starttls + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "all replies 21 s late end at the deadline", script: late("21s"), verdict: "insufficient-evidence/auth"},
		{name: "AUTH answered after 15 s though steps have 5 s", script: toAuth + "> AUTH\nwait 15s\n< 235 2.7.0 ok\n" + h.envelope, verdict: ok, change: func(_ *target, _ *thePlan, o *options) { o.Timeout = 5e9 }},
		{name: "a server that does not read", script: "deaf\n", stage: greet, fault: timeout, verdict: "handshake-failed/greet"},

		// The greeting's form.
		{name: "sign before the code", script: "< +220 hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "four digits", script: "< 2200 hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "foreign digits", script: "< ２２０ hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "199", script: "< 199 hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "250 as greeting", script: "< 250 hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "354 as greeting", script: "< 354 hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "235 as greeting", script: "< 235 2.7.0 Authentication successful\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "blank line first", script: "< \n< 220 hello\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "UTF-16", script: `raw "2\x002\x000\x00 \x00h\x00i\x00\r\x00\n\x00"` + "\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "bare LF everywhere", script: `raw "220 relay.example\n"` + "\n> EHLO\n" + `raw "250-relay.example\n250 STARTTLS\n"` + "\n" + h.starttls + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "bare CR ends no line", script: `raw "220 relay.example\r250 and more\r"` + "\nstall\n", stage: greet, fault: timeout, verdict: "handshake-failed/greet"},
		{name: "code and tab", script: `raw "220\trelay.example\r\n"` + "\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "code alone", script: "< 220\n" + h.ehlo + h.starttls + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "second line without code", script: "< 220-relay.example\n< welcome\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},

		// The greeting's refusal.
		{name: "421 and reset", script: "< 421 4.3.2 All screening ports are busy\nreset\n", stage: greet, verdict: "deferred/greet"},
		{name: "450 greeting", script: "< 450 4.7.1 later\n> QUIT\n< 221 bye\n", stage: greet, verdict: "deferred/greet"},
		{name: "521 greeting", script: "< 521 relay.example does not accept mail\n> QUIT\n< 221 bye\n", stage: greet, verdict: "refused/greet"},
		{name: "554 greeting and no QUIT taken", script: "< 554 5.7.1 no\nclose\n", stage: greet, verdict: "refused/greet"},
		{name: "554 greeting then 220", script: "< 554-no\n< 220 yes\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},

		// Another protocol.
		{name: "SSH", script: "< SSH-2.0-OpenSSH_9.2\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "IMAP", script: "< * OK IMAP4rev1 ready\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "POP3", script: "< +OK ready\nstall\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "HTTP that speaks first", script: "< HTTP/1.1 400 Bad Request\n< \nclose\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "HTTP that waits", script: "stall\n", stage: greet, fault: timeout, verdict: "handshake-failed/greet"},
		{name: "FTP", script: "< 220 FTP server ready\n> EHLO\n< 530 Please login with USER and PASS\n> QUIT\n< 221 Goodbye\n", stage: ehlo, verdict: "refused/tls"},
		{name: "LMTP", script: "< 220 lmtp\n> EHLO\n< 500 5.5.1 use LHLO\n> HELO\n< 500 5.5.1 use LHLO\n> QUIT\n< 221 bye\n", stage: ehlo, verdict: "refused/ehlo"},
		{name: "an echo", script: "< 220 echo\n> EHLO\n< EHLO client.customer.example\nstall\n", stage: ehlo, fault: proto, verdict: "handshake-failed/ehlo"},
		{name: "endless printable bytes", script: `repeat 0 "!\"#$%&'()*+,-./0123456789"` + "\n", stage: greet, fault: limit, verdict: "handshake-failed/greet"},
		{name: "endless short lines", script: `repeat 0 "x\r\n"` + "\n", stage: greet, fault: proto, verdict: "handshake-failed/greet"},
		{name: "telnet options", script: `raw "\xff\xfb\x01\xff\xfb\x03login: "` + "\nstall\n", stage: greet, fault: timeout, verdict: "handshake-failed/greet"},

		// TLS mode mixed up.
		{name: "TLS from the first byte on 587", script: "tls\n< 220 relay.example\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "TLS alert as greeting", script: `raw "\x15\x03\x01\x00\x02\x02\x0a\r\n"` + "\nclose\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "plain text on 465", script: "< 220 relay.example\nstall\n", port: 465, stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "465 in good order", script: "tls\n" + h.greet + "> EHLO\n< 250-relay.example\n< 250-PIPELINING\n< 250 AUTH PLAIN\n" + h.auth + h.envelope, port: 465, verdict: ok},
		{name: "465 silent", script: "stall\n", port: 465, stage: tls, fault: timeout, verdict: "handshake-failed/tls"},
		{name: "465 with an expired certificate", script: "tls cert=expired\nstall\n", port: 465, stage: tls, fault: certF, verdict: "handshake-failed/tls"},
		{name: "465 that closes", script: "> \nclose\n", port: 465, stage: tls, fault: closed, verdict: "handshake-failed/tls"},

		// A middlebox that rewrites.
		{name: "greeting of stars", script: "< 220 ****************************\n> EHLO\n< 502 5.5.2 no\n> HELO\n< 250 relay.example\n> QUIT\n< 221 bye\n", verdict: "handshake-failed/greet"},
		{name: "XXXXXXXA", script: h.greet + "> EHLO\n< 250-relay.example\n< 250-SIZE 1\n< 250 XXXXXXXA\n> QUIT\n< 221 bye\n", verdict: "handshake-failed/tls"},
		{name: "STARTTLS removed", script: h.greet + "> EHLO\n< 250-relay.example\n< 250 SIZE 1\n> QUIT\n< 221 bye\n", verdict: "handshake-failed/tls"},
		{name: "STARTTLS removed, AUTH offered in clear", script: h.greet + "> EHLO\n< 250-relay.example\n< 250 AUTH PLAIN LOGIN\n> QUIT\n< 221 bye\n", verdict: "handshake-failed/tls"},
		{name: "STARTTLS removed on 25, no credential", script: plain25 + h.envelope, port: 25, verdict: ok, change: withoutCredential},
		{name: "STARTTLS removed on 25, with the credential", script: plain25 + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 554 5.7.1 Relay access denied\n< 221 bye\n", port: 25, stage: env, verdict: "refused/envelope"},

		// The EHLO list.
		{name: "lower case, tabs, duplicates", script: h.greet + "> EHLO\n< 250-relay.example\n< 250-size\t1\n< 250-SIZE 99999999999999999999\n< 250-starttls \n< 250 StartTLS\n" + h.starttls + ehlo2("auth=plain", "Auth login plain")[len(in):] + "> AUTH PLAIN\n< 235 ok\n" + oneByOne, verdict: ok},
		{name: "AUTH= only", script: ehlo2("AUTH=LOGIN PLAIN") + "> AUTH PLAIN\n< 235 ok\n" + oneByOne, verdict: ok},
		{name: "markup in a keyword", script: ehlo2("<script>alert(1)</script>", "AUTH PLAIN") + "> AUTH PLAIN\n< 235 ok\n" + oneByOne, verdict: ok},
		{name: "a million lines", script: h.greet + "> EHLO\n" + `repeat 1000000 "250-X\r\n"` + "\n< 250 STARTTLS\nstall\n", stage: ehlo, fault: limit, verdict: "handshake-failed/ehlo"},
		{name: "999 lines", script: h.greet + "> EHLO\n" + `repeat 999 "250-X\r\n"` + "\n< 250 STARTTLS\n" + h.starttls + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "large lines", script: h.greet + "> EHLO\n" + fmt.Sprintf("repeat 40 %q", "250-"+strings.Repeat("x", 8000)+"\r\n") + "\n< 250 STARTTLS\nstall\n", stage: ehlo, fault: limit, verdict: "handshake-failed/ehlo"},
		{name: "EHLO 220", script: h.greet + "> EHLO\n< 220 relay.example\nstall\n", stage: ehlo, fault: proto, verdict: "handshake-failed/ehlo"},
		{name: "EHLO 221", script: h.greet + "> EHLO\n< 221 bye\nclose\n", stage: ehlo, fault: proto, verdict: "handshake-failed/ehlo"},
		{name: "EHLO 354", script: h.greet + "> EHLO\n< 354 go\nstall\n", stage: ehlo, fault: proto, verdict: "handshake-failed/ehlo"},
		{name: "EHLO 550", script: h.greet + "> EHLO\n< 550 5.7.1 your name is wrong\n> QUIT\n< 221 bye\n", stage: ehlo, verdict: "refused/ehlo"},
		{name: "EHLO 501", script: h.greet + "> EHLO\n< 501 Syntax: EHLO hostname\n> QUIT\n< 221 bye\n", stage: ehlo, verdict: "refused/ehlo"},
		{name: "EHLO 502, HELO works", script: h.greet + "> EHLO\n< 502 5.5.2 no\n> HELO\n< 250 relay.example\n> QUIT\n< 221 bye\n", verdict: "handshake-failed/tls"},
		{name: "EHLO 500, HELO works, 25 without credential", script: h.greet + "> EHLO\n< 500 no\n> HELO\n< 250 relay.example\n" + oneByOne, port: 25, verdict: ok, change: withoutCredential},
		{name: "EHLO answered twice", script: h.greet + "> EHLO\n" + `raw "250-relay.example\r\n250 STARTTLS\r\n250-relay.example\r\n250 STARTTLS\r\n"` + "\nstall\n", stage: tls, fault: proto, verdict: "handshake-failed/tls"},
		{name: "EHLO 250 then unasked 421", script: h.greet + "> EHLO\n" + `raw "250 STARTTLS\r\n421 4.3.0 bye\r\n"` + "\nclose\n", verdict: "handshake-failed/tls"},

		// The answer to STARTTLS.
		{name: "STARTTLS 250", script: toTLS + "> STARTTLS\n< 250 ok\ntls\nstall\n", stage: tls, fault: proto, verdict: "handshake-failed/tls"},
		{name: "STARTTLS 334", script: toTLS + "> STARTTLS\n< 334 go\nstall\n", stage: tls, fault: proto, verdict: "handshake-failed/tls"},
		{name: "STARTTLS 454", script: toTLS + "> STARTTLS\n< 454 4.7.0 TLS not available due to local problem\n> QUIT\n< 221 bye\n", stage: tls, verdict: "deferred/tls"},
		{name: "STARTTLS 454 and TLS anyway", script: toTLS + "> STARTTLS\n< 454 4.7.0 no\ntls\nstall\n", stage: tls, verdict: "deferred/tls"},
		{name: "STARTTLS 502", script: toTLS + "> STARTTLS\n< 502 5.5.1 no\n> QUIT\n< 221 bye\n", stage: tls, verdict: "handshake-failed/tls"},
		{name: "STARTTLS 500", script: toTLS + "> STARTTLS\n< 500 5.5.1 no\n> QUIT\n< 221 bye\n", stage: tls, verdict: "handshake-failed/tls"},
		{name: "STARTTLS 554", script: toTLS + "> STARTTLS\n< 554 5.5.1 no\n> QUIT\n< 221 bye\n", stage: tls, verdict: "refused/tls"},
		{name: "one reply behind 220", script: toTLS + "> STARTTLS\n" + `raw "220 go\r\n250-relay.example\r\n250 AUTH PLAIN\r\n"` + "\ntls\nstall\n", stage: tls, fault: inject, verdict: "handshake-failed/tls"},
		{name: "a whole forged dialogue behind 220", script: toTLS + "> STARTTLS\n" + `raw "220 go\r\n250 AUTH PLAIN\r\n235 2.7.0 ok\r\n250 ok\r\n250 ok\r\n221 bye\r\n"` + "\ntls\nstall\n", stage: tls, fault: inject, verdict: "handshake-failed/tls"},
		{name: "a fragment behind 220", script: toTLS + "> STARTTLS\n" + `raw "220 go\r\n250-AU"` + "\ntls\nstall\n", stage: tls, fault: inject, verdict: "handshake-failed/tls"},
		{name: "one byte behind 220", script: toTLS + "> STARTTLS\n" + `raw "220 go\r\n2"` + "\ntls\nstall\n", stage: tls, fault: inject, verdict: "handshake-failed/tls"},
		{name: "a late segment behind 220", script: toTLS + "> STARTTLS\n< 220 go\nwait 50ms\n< 250 AUTH PLAIN\ntls\nstall\n", stage: tls, fault: inject, verdict: "handshake-failed/tls"},
		{name: "a late fragment behind 220", script: toTLS + "> STARTTLS\n< 220 go\nwait 50ms\n" + `raw "250-"` + "\ntls\nstall\n", stage: tls, fault: inject, verdict: "handshake-failed/tls"},

		// TLS.
		{name: "no answer to the hello", script: toTLS + "> STARTTLS\n< 220 go\nstall\n", stage: tls, fault: timeout, verdict: "handshake-failed/tls"},
		{name: "hello, then FIN", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\"\nclose\n", stage: tls, fault: closed, verdict: "handshake-failed/tls"},
		{name: "hello, then RST", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\"\nreset\n", stage: tls, fault: reset, verdict: "handshake-failed/tls"},
		{name: "220, then FIN", script: toTLS + "> STARTTLS\n< 220 go\nhalf\nstall\n", stage: tls, fault: closed, verdict: "handshake-failed/tls"},
		{name: "220, then RST", script: toTLS + "> STARTTLS\n< 220 go\nwait 1ms\nreset\n", stage: tls, fault: reset, verdict: "handshake-failed/tls"},
		{name: "plaintext in place of TLS", script: toTLS + "> STARTTLS\n< 220 go\nhello \"454 4.7.0 no TLS today\\r\\n\"\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "HTTP in place of TLS", script: toTLS + "> STARTTLS\n< 220 go\nhello \"HTTP/1.1 400 Bad Request\\r\\n\\r\\n\"\nclose\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "garbage in place of TLS", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x00\\xff\\x12\\x99\\x07\\x00\\x00\\x00\"\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "SSLv2", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x80\\x2e\\x04\\x00\\x01\\x00\\x02\\x00\"\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "alert handshake_failure", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x15\\x03\\x03\\x00\\x02\\x02\\x28\"\nclose\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "alert protocol_version", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x15\\x03\\x01\\x00\\x02\\x02\\x46\"\nclose\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "alert internal_error", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x15\\x03\\x03\\x00\\x02\\x02\\x50\"\nclose\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "a flood of warnings", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\"\n" + `repeat 0 "\x15\x03\x03\x00\x02\x01\x70"` + "\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "a flood of empty records", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\"\n" + `repeat 0 "\x16\x03\x03\x00\x00"` + "\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "an over-long record", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x16\\x03\\x03\\xff\\xff\"\n" + `repeat 0 "xxxxxxxxxxxxxxxx"` + "\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "a record a byte a second", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x16\\x03\\x03\\x40\\x00\"\n" + `drip 1s forever "x"` + "\n", stage: tls, fault: timeout, verdict: "handshake-failed/tls"},
		{name: "half a record, then FIN", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x16\\x03\\x03\\x00\\x50abc\"\nclose\n", stage: tls, fault: closed, verdict: "handshake-failed/tls"},
		{name: "TLS 1.0 only", script: toTLS + "> STARTTLS\n< 220 go\ntls max=1.0\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "TLS 1.1 only", script: toTLS + "> STARTTLS\n< 220 go\ntls max=1.1\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "TLS 1.2 only", script: toTLS + "> STARTTLS\n< 220 go\ntls max=1.2\n" + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "a client certificate wanted", script: toTLS + "> STARTTLS\n< 220 go\ntls client=yes\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "a client certificate wanted, TLS 1.2", script: toTLS + "> STARTTLS\n< 220 go\ntls client=yes max=1.2\nstall\n", stage: tls, fault: tlsF, verdict: "handshake-failed/tls"},
		{name: "a second 220 inside TLS", script: in + "< 220 relay.example again\n> EHLO\n" + h.ehlo2[7:] + "stall\n", stage: tls, fault: proto, verdict: "handshake-failed/tls"},
		{name: "STARTTLS offered again inside TLS", script: ehlo2("STARTTLS", "AUTH PLAIN") + "> AUTH PLAIN\n< 235 ok\n" + oneByOne, verdict: ok},

		// Certificates.
		{name: "rsa", script: toTLS + "> STARTTLS\n< 220 go\ntls cert=rsa\n" + h.ehlo2 + h.auth + h.envelope, verdict: ok},
		{name: "the server's own fault", script: toTLS + "> STARTTLS\n< 220 go\nhello \"\\x15\\x03\\x03\\x00\\x02\\x02\\x50\"\nclose\n", stage: tls, fault: transcript.FaultTLS, verdict: "handshake-failed/tls", problem: "internal-error"},
		{name: "a certificate without end", script: toTLS + "> STARTTLS\n< 220 go\ntls cert=too-large\nstall\n", stage: tls, fault: transcript.FaultLimit, verdict: "handshake-failed/tls", problem: "interrupted"},
		{name: "long chain", script: toTLS + "> STARTTLS\n< 220 go\ntls cert=long-chain\nstall\n", verdict: "*"},
		{name: "insecure: goes on without AUTH", script: toTLS + "> STARTTLS\n< 220 go\ntls cert=self-signed\n" + h.ehlo2 + "> QUIT\n< 221 bye\n", stage: tls, fault: certF, verdict: "handshake-failed/tls", change: func(_ *target, _ *thePlan, o *options) { o.InsecureTLS = true }},
		{name: "allowed over untrusted", script: toTLS + "> STARTTLS\n< 220 go\ntls cert=self-signed\n" + h.ehlo2 + h.auth + h.envelope, stage: tls, fault: certF, verdict: "handshake-failed/tls", change: func(_ *target, _ *thePlan, o *options) { o.InsecureTLS, o.AllowAuthOverUntrusted = true, true }},

		// Replies to AUTH.
		{name: "AUTH 200", script: toAuth + "> AUTH\n< 200 ok\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth"},
		{name: "AUTH 250", script: toAuth + "> AUTH\n< 250 2.7.0 Authentication successful\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth"},
		{name: "AUTH 354", script: toAuth + "> AUTH\n< 354 go\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth"},
		{name: "AUTH 535 bare", script: toAuth + "> AUTH\n< 535\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth"},
		{name: "AUTH 535 with enhanced 2.7.0", script: toAuth + "> AUTH\n< 535 2.7.0 Authentication successful\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth"},
		{name: "AUTH 454", script: toAuth + "> AUTH\n< 454 4.7.0 Temporary authentication failure\n> QUIT\n< 221 bye\n", stage: auth, verdict: "deferred/auth"},
		{name: "AUTH 432", script: toAuth + "> AUTH\n< 432 4.7.12 password transition\n> QUIT\n< 221 bye\n", stage: auth, verdict: "deferred/auth"},
		{name: "AUTH 530", script: toAuth + "> AUTH\n< 530 5.7.0 Must issue a STARTTLS command first\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/tls"},
		{name: "AUTH 504", script: toAuth + "> AUTH\n< 504 5.5.4 no such mechanism\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth"},
		{name: "AUTH 534", script: toAuth + "> AUTH\n< 534 5.7.9 too weak\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth"},
		{name: "AUTH 538", script: toAuth + "> AUTH\n< 538 5.7.11 encryption required\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth"},
		{name: "AUTH a megabyte of reason", script: toAuth + "> AUTH\n" + fmt.Sprintf("repeat 2000 %q", "535-"+strings.Repeat("because ", 64)+"\r\n") + "\n< 535 no\nstall\n", stage: auth, fault: limit, verdict: "deferred/auth"},
		{name: "AUTH the secret quoted back", script: toAuth + "> AUTH\n< 535 5.7.8 wrong: " + forms()[2] + " that is " + password + "\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth"},
		{name: "the secret quoted back later", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 hello " + password + "\n< 554 5.7.1 " + forms()[1] + "\n< 221 bye " + password + "\n", stage: env, verdict: "refused/envelope"},
		{name: "the secret in a stray line", script: toAuth + "> AUTH\n< 235 ok\n" + "raw " + fmt.Sprintf("%q", password+"\r\n") + "\nstall\n", stage: env, fault: proto, verdict: "deferred/envelope"},

		// The AUTH dialogue.
		{name: "LOGIN", script: toAuth + "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> \n< 334 UGFzc3dvcmQ6\n> \n< 235 ok\n" + h.envelope, verdict: ok, change: mechanism("login")},
		{name: "LOGIN, prompts in other words", script: toAuth + "> AUTH LOGIN\n< 334 d2hvPw==\n> \n< 334 \n> \n< 235 ok\n" + h.envelope, verdict: ok, change: mechanism("login")},
		{name: "LOGIN, prompts no base64", script: toAuth + "> AUTH LOGIN\n< 334 Username:\n> \n< 334 Password:\n> \n< 235 ok\n" + h.envelope, verdict: ok, change: mechanism("login")},
		{name: "LOGIN, a third prompt", script: toAuth + "> AUTH LOGIN\n< 334 a\n> \n< 334 b\n> \n< 334 c\n> *\n< 501 5.7.0 aborted\n", stage: auth, verdict: "insufficient-evidence/auth", change: mechanism("login")},
		{name: "LOGIN, 235 before the password", script: toAuth + "> AUTH LOGIN\n< 235 ok\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth", change: mechanism("login")},
		{name: "LOGIN, 235 after the user name", script: toAuth + "> AUTH LOGIN\n< 334 a\n> \n< 235 ok\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth", change: mechanism("login")},
		{name: "LOGIN with the user name at once", script: toAuth + "> AUTH LOGIN c2Nhbm5lckBjdXN0b21lci5leGFtcGxl\n< 334 UGFzc3dvcmQ6\n> \n< 235 ok\n" + h.envelope, verdict: ok, change: func(_ *target, p *thePlan, o *options) { p.Mechanism, o.LoginInitial = "login", true }},
		{name: "LOGIN with the user name at once, asked again", script: toAuth + "> AUTH LOGIN c2Nhbm5lckBjdXN0b21lci5leGFtcGxl\n< 334 VXNlcm5hbWU6\n> c2Nhbm5lckBjdXN0b21lci5leGFtcGxl\n< 334 UGFzc3dvcmQ6\n> \n< 235 ok\n" + h.envelope, verdict: ok, change: func(_ *target, p *thePlan, o *options) { p.Mechanism, o.LoginInitial = "login", true }},
		{name: "LOGIN refused at the name", script: toAuth + "> AUTH LOGIN\n< 334 a\n> \n< 535 5.7.8 no\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth", change: mechanism("login")},
		{name: "PLAIN asked for the response again", script: toAuth + "> AUTH PLAIN\n< 334 \n> \n< 235 ok\n" + h.envelope, verdict: ok},
		{name: "PLAIN, 334 without end", script: toAuth + "> AUTH PLAIN\n< 334 \n> \n< 334 \n> *\n< 334 \nstall\n", stage: auth, verdict: "insufficient-evidence/auth"},
		{name: "334 huge but legal", script: toAuth + "> AUTH LOGIN\n" + fmt.Sprintf("raw %q", "334 "+strings.Repeat("A", 12000)+"\r\n") + "\n> \n< 334 b\n> \n< 235 ok\n" + h.envelope, verdict: ok, change: mechanism("login")},
		{name: "334 over the limit", script: toAuth + "> AUTH LOGIN\n" + fmt.Sprintf("raw %q", "334 "+strings.Repeat("A", 20000)+"\r\n") + "\nstall\n", stage: auth, fault: limit, verdict: "deferred/auth", change: mechanism("login")},
		{name: "334 of several lines", script: toAuth + "> AUTH LOGIN\n< 334-VXNlcm5hbWU6\n< 334 more\n> \n< 334 b\n> \n< 235 ok\n" + h.envelope, verdict: ok, change: mechanism("login")},
		{name: "CRAM-MD5", script: ehlo2("AUTH CRAM-MD5") + "> AUTH CRAM-MD5\n< 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n> \n< 235 ok\n" + oneByOne, verdict: ok},
		{name: "CRAM-MD5, no base64", script: ehlo2("AUTH CRAM-MD5") + "> AUTH CRAM-MD5\n< 334 !!!\n> *\n< 501 aborted\n", stage: auth, verdict: "insufficient-evidence/auth"},
		{name: "CRAM-MD5, 235 at once", script: ehlo2("AUTH CRAM-MD5") + "> AUTH CRAM-MD5\n< 235 ok\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth"},
		{name: "XOAUTH2", script: ehlo2("AUTH XOAUTH2") + "> AUTH XOAUTH2\n< 235 ok\n" + oneByOne, verdict: ok, change: mechanism("xoauth2")},
		{name: "XOAUTH2 refused with a reason", script: ehlo2("AUTH XOAUTH2") + "> AUTH XOAUTH2\n< 334 eyJzdGF0dXMiOiI0MDEifQ==\n> \n< 535 5.7.8 no\n> QUIT\n< 221 bye\n", stage: auth, verdict: "refused/auth", change: mechanism("xoauth2")},
		{name: "only unknown mechanisms", script: ehlo2("AUTH GSSAPI NTLM") + "> QUIT\n< 221 bye\n", verdict: "refused/auth"},
		{name: "no AUTH inside TLS", script: ehlo2("SIZE 1") + "> QUIT\n< 221 bye\n", verdict: "refused/auth"},
		{name: "XOAUTH2 offered only, password at hand", script: ehlo2("AUTH XOAUTH2") + "> QUIT\n< 221 bye\n", verdict: "refused/auth"},

		// Contradictions.
		{name: "235, then 530", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 530 5.7.0 Authentication required\n< 503 5.5.1 need MAIL\n< 221 bye\n", stage: env, verdict: "refused/tls"},
		{name: "235, then relay denied", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 554 5.7.1 <bob@recipient.example>: Relay access denied\n< 221 bye\n", stage: env, verdict: "refused/envelope"},
		{name: "AUTH gone after TLS", script: h.greet + "> EHLO\n< 250-relay.example\n< 250-AUTH PLAIN\n< 250 STARTTLS\n" + h.starttls + "> EHLO\n< 250 relay.example\n> QUIT\n< 221 bye\n", verdict: "refused/auth"},

		// Envelope.
		{name: "relay denied as 4xx", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 454 4.7.1 Relay access denied\n< 221 bye\n", stage: env, verdict: "deferred/envelope"},
		{name: "relay denied in a 250", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 Relay access denied\n< 221 bye\n", verdict: ok},
		{name: "251", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 251 will forward\n< 221 bye\n", verdict: ok},
		{name: "252", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 252 will try\n< 221 bye\n", verdict: ok},
		{name: "551", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 551 try <bob@elsewhere.example>\n< 221 bye\n", stage: env, verdict: "refused/envelope"},
		{name: "354 to RCPT", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 354 go ahead\n< 221 bye\n", stage: env, fault: proto, verdict: "deferred/envelope"},
		{name: "MAIL 251", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 251 ok\n< 250 ok\n< 221 bye\n", stage: env, fault: proto, verdict: "deferred/envelope"},
		{name: "greylisted", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 450 4.7.1 Greylisted\n< 221 bye\n", stage: env, verdict: "deferred/envelope"},
		{name: "552 at MAIL", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 552 5.3.4 Message size exceeds fixed limit\n< 503 5.5.1 need MAIL\n< 221 bye\n", stage: env, verdict: "refused/envelope"},
		{name: "escapes in a refusal", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n" + `raw "554 5.7.1 \x1b]0;owned\x07\x1b[31mRelay access denied\xe2\x80\xae\r\n"` + "\n< 221 bye\n", stage: env, verdict: "refused/envelope"},

		// Order.
		{name: "a whole session sent with the greeting", script: `raw "220 hi\r\n250 STARTTLS\r\n220 go\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n221 bye\r\n"` + "\nstall\n", stage: ehlo, fault: proto, verdict: "handshake-failed/ehlo"},
		{name: "one reply too many to MAIL", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 ok\n< 554 5.7.1 no\n< 221 bye\n", stage: env, fault: proto, verdict: "deferred/envelope"},
		{name: "one reply too many to RCPT", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 ok\n< 250 ok\n< 221 bye\n", stage: env, fault: proto, verdict: "deferred/envelope"},
		{name: "one reply too few", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 221 bye\n", stage: env, fault: proto, verdict: "deferred/envelope"},
		{name: "QUIT answered with 250", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 ok\n< 250 bye\n", verdict: ok},
		{name: "421 in place of the answer to QUIT", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 ok\n< 421 bye\n", verdict: ok},
		{name: "QUIT not answered", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 ok\nstall\n", verdict: ok},
		{name: "QUIT reset", script: toEnv + "> MAIL\n> RCPT\n> QUIT\n< 250 ok\n< 250 ok\nwait 1ms\nreset\n", verdict: ok},
		{name: "unasked reply before AUTH", script: in + "> EHLO\n" + `raw "250-relay.example\r\n250 AUTH PLAIN\r\n235 2.7.0 ok\r\n"` + "\nstall\n", stage: auth, fault: proto, verdict: "deferred/auth"},
		{name: "unasked 421 before AUTH", script: in + "> EHLO\n" + `raw "250-relay.example\r\n250 AUTH PLAIN\r\n421 4.4.2 timeout exceeded\r\n"` + "\nclose\n", stage: auth, verdict: "deferred/auth"},

		// Data.
		{name: "data accepted", script: toEnv + "> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> DATA\n< 354 go\ndata\n< 250 2.0.0 queued\n> QUIT\n< 221 bye\n", verdict: "ready/accepted", change: withData},
		{name: "data refused after the dot", script: toEnv + "> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> DATA\n< 354 go\ndata\n< 552 5.3.4 too big\n> QUIT\n< 221 bye\n", stage: data, verdict: "refused/data", change: withData},
		{name: "data 354 stray before", script: toEnv + "> MAIL\n< 250 ok\n> RCPT\n< 354 go\nstall\n", stage: env, fault: proto, verdict: "deferred/envelope", change: withData},
		{name: "the server leaves in the data", script: toEnv + "> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> DATA\n< 354 go\n> \nreset\n", stage: data, fault: reset, verdict: "insufficient-evidence/data", change: withData},
		{name: "RSET answered with 500", script: toEnv + "> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> RSET\n< 500 what\n> MAIL\n< 250 ok\n> RCPT\n< 250 ok\n> QUIT\n< 221 bye\n", verdict: ok, change: func(_ *target, p *thePlan, o *options) {
			o.NoPipelining = true
			p.From = append(p.From, "carol@customer.example")
		}},
	}
	for _, cert := range []struct{ name, problem string }{
		{"expired", "certificate-expired"},
		{"not-yet", "certificate-not-yet-valid"},
		{"wrong-name", "certificate-name-mismatch"},
		{"look-alike", "certificate-name-mismatch"},
		{"wildcard-deep", ""},
		{"name-in-cn", "certificate-name-mismatch"},
		{"many-names", "certificate-name-mismatch"},
		{"escape-name", "certificate-name-mismatch"},
		{"client-only", "certificate-unknown-issuer"},
		{"unknown-ca", "certificate-unknown-issuer"},
		{"self-signed", "certificate-unknown-issuer"},
		{"expired-ca", "certificate-expired"},
		{"leaf-signs", "certificate-unknown-issuer"},
		{"rsa-1024", "certificate-weak-key"},
	} {
		if cert.problem == "" {
			continue
		}
		rows = append(rows, row{
			name:   "certificate " + cert.name,
			script: toTLS + "> STARTTLS\n< 220 go\ntls cert=" + cert.name + "\nstall\n",
			stage:  tls, fault: certF, verdict: "handshake-failed/tls", problem: cert.problem,
		})
	}
	return rows
}

// late is a healthy server whose every reply comes after a pause.
func late(pause string) string {
	var b strings.Builder
	b.WriteString("wait " + pause + "\n")
	for _, line := range strings.SplitAfter(submission(), "\n") {
		b.WriteString(line)
		if strings.HasPrefix(line, "> ") {
			b.WriteString("wait " + pause + "\n")
		}
	}
	return b.String()
}

func TestHostileFamilies(t *testing.T) {
	rows := families()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) { check(t, r) })
	}
	t.Logf("%d rows", len(rows))
}
