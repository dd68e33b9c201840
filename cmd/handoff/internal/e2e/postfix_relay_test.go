//go:build unix

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A real Postfix, set up like the service, in the set-ups that customers meet:
// the verdict, stage and cause of a probe.
func TestProbeRealPostfix(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup postfixSetup
		hold  bool // a connection to 587 is held open beside the probe
		probed
	}{
		{name: "right credential", probed: probed{verdict: "ready", stage: "envelope", finding: "relay-access-denied"}},
		{name: "wrong password", probed: probed{secret: "not-the-password", verdict: "refused", stage: "auth", cause: "credential-wrong", preset: "wrong-password", exit: 1}},
		{name: "no STARTTLS offered", setup: postfixSetup{noTLS: true}, probed: probed{verdict: "handshake-failed", stage: "tls", cause: "starttls-stripped", preset: "starttls-stripped", exit: 1}},
		{
			name: "no keys", setup: postfixSetup{main: []string{"smtpd_tls_key_file = /nonexistent"}},
			probed: probed{verdict: "deferred", stage: "tls", cause: "starttls-unavailable", preset: "starttls-454", exit: 1},
		},
		{name: "expired certificate", setup: postfixSetup{expired: true}, probed: probed{verdict: "handshake-failed", stage: "tls", cause: "certificate-expired", preset: "cert-expired", exit: 1}},
		{
			name: "certificate for another name", setup: postfixSetup{host: "mail.other.example"},
			probed: probed{verdict: "handshake-failed", stage: "tls", cause: "certificate-name-mismatch", preset: "cert-wrong-name", exit: 1},
		},
		{name: "unknown authority", probed: probed{noCA: true, verdict: "handshake-failed", stage: "tls", cause: "certificate-unknown-issuer", preset: "cert-unknown-ca", exit: 1}},
		{
			name: "no mechanism in common", setup: postfixSetup{sasl: "mech_list: DIGEST-MD5"},
			probed: probed{verdict: "refused", stage: "auth", cause: "mechanism-missing", preset: "mech-missing DIGEST-MD5", exit: 1},
		},
		{
			name: "back end of AUTH down", setup: postfixSetup{sasl: "mech_list: PLAIN\npwcheck_method: saslauthd\nsaslauthd_path: /nonexistent/mux"},
			probed: probed{verdict: "deferred", stage: "auth", cause: "sasl-unavailable", preset: "sasl-down", exit: 1},
		},
		{
			name:   "sender refused",
			setup:  postfixSetup{submission: []string{"smtpd_sender_restrictions=check_sender_access,inline:{alerts@customer.example=REJECT}"}},
			probed: probed{verdict: "refused", stage: "envelope", cause: "sender-not-registered", exit: 1},
		},
		{
			name:   "relay denied after AUTH, as for an unregistered sender",
			setup:  postfixSetup{submission: []string{"smtpd_relay_restrictions=reject_unauth_destination"}},
			probed: probed{verdict: "refused", stage: "envelope", cause: "sender-not-registered", preset: "functional-missing", exit: 1},
		},
		{
			name:   "greylisted",
			setup:  postfixSetup{main: []string{"smtpd_recipient_restrictions = check_recipient_access inline:{ { desk@partner.example = 450 4.7.1 Greylisted } }"}},
			probed: probed{verdict: "deferred", stage: "envelope", cause: "greylisted", preset: "greylisted", exit: 1},
		},
		{
			name: "message too big", setup: postfixSetup{main: []string{"message_size_limit = 100000"}},
			probed: probed{flags: []string{"--size", "2000000"}, verdict: "refused", stage: "envelope", cause: "message-too-big", exit: 1},
		},
		{
			name: "too many connections", setup: postfixSetup{submission: []string{"smtpd_client_connection_count_limit=1"}}, hold: true,
			probed: probed{verdict: "deferred", stage: "greet", cause: "too-many-connections", preset: "conn-limit", exit: 1},
		},
		{
			name: "client refused in the greeting", setup: postfixSetup{submission: []string{"smtpd_delay_reject=no", "smtpd_client_restrictions=reject"}},
			probed: probed{verdict: "refused", stage: "greet", cause: "ip-blocked", preset: "client-refused", exit: 1},
		},
		{
			name: "25 takes mail for everybody", setup: postfixSetup{networks: "127.0.0.0/8"},
			probed: probed{verdict: "ready", stage: "envelope", finding: "open-relay", exit: 1},
		},
		{
			name: "the address is listed", setup: postfixSetup{networks: "127.0.0.0/8"},
			probed: probed{flags: []string{"--intent", "server"}, verdict: "ready", stage: "envelope", finding: "shared-ip-spoofable"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of the time a Postfix starts or stops
			p := startPostfix(t, c.setup)
			if c.hold {
				holdOpen(t, p.port587)
			}
			c.check(t, p)
		})
	}
}

// holdOpen keeps a connection to a server until the test ends, once it has been
// greeted. The server may still count one that was closed a moment ago.
func holdOpen(t *testing.T, port int) {
	t.Helper()
	var line string
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(50 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if line, err = bufio.NewReader(conn).ReadString('\n'); err == nil && strings.HasPrefix(line, "220") {
			t.Cleanup(func() { conn.Close() })
			return
		}
		conn.Close()
	}
	t.Fatalf("greeted with %q", line)
}
