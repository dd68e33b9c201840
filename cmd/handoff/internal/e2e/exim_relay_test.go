//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// eximRelay says how an Exim that plays the service departs from the healthy
// one.
type eximRelay struct {
	host      string   // name in the certificate; empty: the service's
	noTLS     bool     // STARTTLS is not offered
	expired   bool     // the certificate is past its date
	main      []string // further lines of the main section
	connect   []string // statements of the ACL at connect
	rcpt      []string // statements of the ACL at RCPT, before the others
	mechanism string   // offered in place of PLAIN
	condition string   // of the login, in place of the comparison with the right password
}

// startEximRelay starts a real Exim on loopback as user Debian-exim.
func startEximRelay(t *testing.T, path string, s eximRelay) *server {
	t.Helper()
	need(t, "setpriv")
	if os.Geteuid() != 0 {
		t.Skip("end-to-end test: Exim's user is taken on by root")
	}
	x := newExim(t, path)
	p := newServer(t)
	if s.host == "" {
		s.host = serviceName
	}
	certFile, keyFile := p.certify(t, s.host, s.expired)
	own := func(name, from string) string {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		return x.secret(t, name, string(text))
	}
	certFile, keyFile = own("cert.pem", certFile), own("key.pem", keyFile)
	advertise := "*"
	if s.noTLS {
		advertise = ""
	}
	if s.mechanism == "" {
		s.mechanism = "PLAIN"
	}
	if s.condition == "" {
		s.condition = "${if and{{eq{$auth2}{" + e2eUser + "}}{eq{$auth3}{${readfile{" + x.secret(t, "secret", e2eSecret) + "}{}}}}}}"
	}
	conf := []string{
		"primary_hostname = " + serviceName, "daemon_smtp_ports = " + strconv.Itoa(p.port25) + " : " + strconv.Itoa(p.port587),
		"pid_file_path = " + filepath.Join(x.dir, "exim.pid"), "smtp_banner = $primary_hostname ESMTP $version_number", "rfc1413_query_timeout = 0s", "host_lookup =",
		"tls_advertise_hosts = " + advertise, "tls_certificate = " + certFile, "tls_privatekey = " + keyFile, "queue_only",
		"acl_smtp_connect = at_connect", "acl_smtp_rcpt = at_rcpt",
	}
	conf = append(conf, s.main...)
	conf = append(conf, "begin acl", "at_connect:")
	conf = append(conf, s.connect...)
	conf = append(conf, "  accept", "at_rcpt:")
	conf = append(conf, s.rcpt...)
	conf = append(conf, "  accept authenticated = *", "  accept domains = customer.example", "  deny message = relay not permitted",
		"begin authenticators", "login:", "  driver = plaintext", "  public_name = "+s.mechanism, "  server_prompts = :", "  server_set_id = $auth2",
		"  server_condition = "+s.condition,
		"  server_advertise_condition = ${if and{{def:tls_in_cipher}{eq{$received_port}{"+strconv.Itoa(p.port587)+"}}}}")
	x.configure(t, conf)
	cmd := exec.Command("setpriv", x.asUser("-bdf")...)
	serve(t, cmd, nil, filepath.Join(x.dir, "log", "mainlog"), filepath.Join(x.dir, "log", "paniclog"))
	p.waitFor(t)
	return &p
}

// A real Exim as the service: it words its refusals in its own way, without
// enhanced codes.
func TestProbeRealExim(t *testing.T) {
	path := exim(t)
	for _, c := range []struct {
		name  string
		setup eximRelay
		hold  bool // a connection to 587 is held open beside the probe
		probed
	}{
		{name: "right credential", probed: probed{verdict: "ready", stage: "envelope", finding: "relay-access-denied"}},
		{name: "wrong password", probed: probed{secret: "not-the-password", verdict: "refused", stage: "auth", cause: "credential-wrong", exit: 1}},
		{name: "no STARTTLS offered", setup: eximRelay{noTLS: true}, probed: probed{verdict: "handshake-failed", stage: "tls", cause: "starttls-stripped", exit: 1}},
		{name: "expired certificate", setup: eximRelay{expired: true}, probed: probed{verdict: "handshake-failed", stage: "tls", cause: "certificate-expired", exit: 1}},
		{
			name: "certificate for another name", setup: eximRelay{host: "mail.other.example"},
			probed: probed{verdict: "handshake-failed", stage: "tls", cause: "certificate-name-mismatch", exit: 1},
		},
		{name: "unknown authority", probed: probed{noCA: true, verdict: "handshake-failed", stage: "tls", cause: "certificate-unknown-issuer", exit: 1}},
		{
			name: "TLS 1.0 only", setup: eximRelay{main: []string{"tls_require_ciphers = NORMAL:-VERS-ALL:+VERS-TLS1.0"}},
			probed: probed{verdict: "handshake-failed", stage: "tls", cause: "tls-too-old", exit: 1},
		},
		{
			name: "no mechanism in common", setup: eximRelay{mechanism: "X-OWN"},
			probed: probed{verdict: "refused", stage: "auth", cause: "mechanism-missing", exit: 1},
		},
		{
			name: "back end of AUTH down", setup: eximRelay{condition: "${lookup{$auth2}lsearch{/nonexistent}{yes}{no}}"},
			probed: probed{verdict: "deferred", stage: "auth", cause: "sasl-unavailable", exit: 1},
		},
		{
			name: "relay denied after AUTH, as for an unregistered sender", setup: eximRelay{rcpt: []string{"  deny authenticated = *", "       message = relay not permitted"}},
			probed: probed{verdict: "refused", stage: "envelope", cause: "sender-not-registered", exit: 1},
		},
		{
			name: "greylisted", setup: eximRelay{rcpt: []string{"  defer authenticated = *", "        message = Greylisted, please try again later"}},
			probed: probed{verdict: "deferred", stage: "envelope", cause: "greylisted", exit: 1},
		},
		{
			name: "message too big", setup: eximRelay{main: []string{"message_size_limit = 100K"}},
			probed: probed{flags: []string{"--size", "2000000"}, verdict: "refused", stage: "envelope", cause: "message-too-big", exit: 1},
		},
		{
			name: "busy", setup: eximRelay{connect: []string{"  defer message = too busy, try again later"}},
			probed: probed{verdict: "deferred", stage: "greet", exit: 1},
		},
		{
			name: "too many connections", setup: eximRelay{main: []string{"smtp_accept_max = 20", "smtp_accept_max_per_host = 1"}}, hold: true,
			probed: probed{verdict: "deferred", stage: "greet", cause: "too-many-connections", exit: 1},
		},
		{
			name: "client refused in the greeting", setup: eximRelay{connect: []string{"  deny message = you are not welcome"}},
			probed: probed{verdict: "refused", stage: "greet", exit: 1},
		},
		{
			name: "25 takes mail for everybody", setup: eximRelay{rcpt: []string{"  accept hosts = 127.0.0.1"}},
			probed: probed{verdict: "ready", stage: "envelope", finding: "open-relay", exit: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startEximRelay(t, path, c.setup)
			if c.hold {
				holdOpen(t, s.port587)
			}
			c.check(t, s)
		})
	}
}
