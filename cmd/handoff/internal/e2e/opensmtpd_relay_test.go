//go:build unix

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// opensmtpd is the root of an unpacked Debian package. Its paths and users are
// compiled in, and it cannot be installed beside Postfix: .ci/run unpacks it and
// says where it is, the test mounts it where it wants to be.
func opensmtpd(t *testing.T) string {
	t.Helper()
	need(t, "unshare", "mount", "openssl")
	root := os.Getenv("HANDOFF_OPENSMTPD")
	if root == "" {
		t.Skip("end-to-end test: no OpenSMTPD here: unpack Debian's opensmtpd and name the folder in HANDOFF_OPENSMTPD (done by .ci/run)")
	}
	if out, err := exec.Command("unshare", "--mount", "--propagation", "private", "mount", "--bind", root, root).CombinedOutput(); err != nil {
		t.Skipf("end-to-end test: OpenSMTPD needs a mount namespace: %v: %s", err, out)
	}
	return root
}

// opensmtpdSetup says how an OpenSMTPD departs from one set up like the service.
type opensmtpdSetup struct {
	noTLS   bool     // STARTTLS is not offered
	options string   // further options of the listener on 587
	rules   []string // in place of the rule that lets authenticated senders relay
}

// opensmtpdStart mounts what OpenSMTPD needs at its compiled-in paths, in a mount
// namespace that ends with it.
const opensmtpdStart = `set -e
for m in etc/passwd:/etc/passwd etc/group:/etc/group run:/run lib:/var/lib spool:/var/spool; do
	mount --bind "$1/${m%%:*}" "${m#*:}"
done
mount --bind "$2/usr/libexec" /usr/libexec
exec "$2/usr/sbin/smtpd" -d -f "$1/etc/smtpd.conf"
`

func startOpenSMTPD(t *testing.T, root string, s opensmtpdSetup) *server {
	t.Helper()
	dir := openDir(t, "etc", "run", "lib/opensmtpd/empty", "spool")
	p := newServer(t)
	certFile, keyFile := p.certify(t, serviceName, false)
	hash, err := exec.Command("openssl", "passwd", "-6", e2eSecret).Output()
	if err != nil {
		t.Fatal(err)
	}
	creds := write(t, filepath.Join(dir, "etc", "creds"), 0o644, e2eUser+" "+string(hash))
	for _, file := range []string{"passwd", "group"} {
		text, err := os.ReadFile("/etc/" + file)
		if err != nil {
			t.Fatal(err)
		}
		more := "opensmtpd:x:64801:\nopensmtpq:x:64802:\n"
		if file == "passwd" {
			more = "opensmtpd:x:64801:64801::/var/lib/opensmtpd/empty:/bin/false\nopensmtpq:x:64802:64802::/var/lib/opensmtpd/empty:/bin/false\n"
		}
		write(t, filepath.Join(dir, "etc", file), 0o644, strings.TrimRight(string(text), "\n")+"\n"+more)
	}
	tls := " tls-require pki service auth <creds>"
	if s.noTLS {
		tls = ""
	}
	if s.rules == nil {
		s.rules = []string{"match auth from any for any action out"}
	}
	conf := append([]string{
		"table creds file:" + creds, "pki service cert \"" + certFile + "\"", "pki service key \"" + keyFile + "\"",
		fmt.Sprintf("listen on 127.0.0.1 port %d hostname %s", p.port25, serviceName),
		fmt.Sprintf("listen on 127.0.0.1 port %d hostname %s%s%s", p.port587, serviceName, tls, s.options),
		"action out relay",
	}, s.rules...)
	write(t, filepath.Join(dir, "etc", "smtpd.conf"), 0o644, strings.Join(conf, "\n")+"\n")
	serve(t, exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", opensmtpdStart, "sh", dir, root), nil)
	p.waitFor(t)
	return &p
}

// A real OpenSMTPD as the service. Debian 12's ends each handshake with the alert
// internal_error (OpenSMTPD/OpenSMTPD #1171): a fault of the server, with a
// certificate in good order.
func TestProbeRealOpenSMTPD(t *testing.T) {
	root := opensmtpd(t)
	for _, c := range []struct {
		name  string
		setup opensmtpdSetup
		probed
	}{
		{name: "handshake fails", probed: probed{verdict: "handshake-failed", stage: "tls", cause: "starttls-unavailable", exit: 1}},
		{name: "no STARTTLS offered", setup: opensmtpdSetup{noTLS: true}, probed: probed{verdict: "handshake-failed", stage: "tls", cause: "starttls-stripped", exit: 1}},
		{
			// "550 Invalid recipient" means that relaying is denied, and looks like a
			// bad address.
			name:   "relay denied on 25",
			probed: probed{flags: []string{"--ports", "25", "--intent", "server"}, port: 25, verdict: "refused", stage: "envelope", exit: 1},
		},
		{
			name: "25 takes mail for everybody", setup: opensmtpdSetup{rules: []string{"match from any for any action out"}},
			probed: probed{flags: []string{"--ports", "25"}, port: 25, verdict: "ready", stage: "envelope", finding: "open-relay", exit: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.check(t, startOpenSMTPD(t, root, c.setup))
		})
	}
}
