package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postfix is a real Postfix on loopback, set up the way the service behaves:
// 25 refuses to relay, 587 wants STARTTLS and then AUTH.
type postfix struct {
	dir          string
	port25       int
	port587      int
	ca           string // file of the authority that issued its certificate
	user, secret string
}

// postfixSetup says how a Postfix departs from the healthy one.
type postfixSetup struct {
	host       string   // name in the certificate and in the greeting
	noTLS      bool     // STARTTLS is not offered
	expired    bool     // the certificate is past its date
	main       []string // further lines for main.cf
	submission []string // further -o settings of the 587 service
	relay      []string // further -o settings of the 25 service
	networks   string   // mynetworks of 25; empty: nobody
}

const (
	e2eUser   = "smtp-user@customer.example"
	e2eSecret = "Kx7-planted-Secret-94"
)

func startPostfix(t *testing.T, s postfixSetup) *postfix {
	t.Helper()
	need(t, "postfix", "saslpasswd2")
	if os.Geteuid() != 0 {
		t.Skip("end-to-end test: Postfix needs root to start")
	}
	if s.host == "" {
		s.host = "outbound-us1.ppe-hosted.com"
	}
	if s.networks == "" {
		s.networks = "198.51.100.7/32"
	}
	dir := t.TempDir()
	// Postfix's daemons run as user postfix: every folder above must be open.
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf, queue, data := filepath.Join(dir, "etc"), filepath.Join(dir, "spool"), filepath.Join(dir, "lib")
	for _, d := range []string{conf, queue, data, filepath.Join(conf, "sasl")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "chown", "postfix", data)

	ca := newAuthority(t)
	from, to := time.Now().Add(-48*time.Hour), time.Now().Add(12*time.Hour)
	if s.expired {
		to = time.Now().Add(-time.Hour)
	}
	certFile, keyFile := ca.issue(t, s.host, from, to)

	p := &postfix{
		dir: dir, ca: ca.file, user: e2eUser, secret: e2eSecret,
		port25: freePort(t, "127.0.0.1"), port587: freePort(t, "127.0.0.1"),
	}
	for p.port587 == p.port25 {
		p.port587 = freePort(t, "127.0.0.1")
	}
	db := filepath.Join(conf, "sasl", "sasldb2")
	write(t, filepath.Join(conf, "sasl", "smtpd.conf"), 0o644, strings.Join([]string{
		"pwcheck_method: auxprop", "auxprop_plugin: sasldb", "mech_list: PLAIN LOGIN", "sasldb_path: " + db, "",
	}, "\n"))
	user, realm, _ := strings.Cut(e2eUser, "@")
	add := exec.Command("saslpasswd2", "-p", "-c", "-f", db, "-u", realm, user)
	add.Stdin = strings.NewReader(e2eSecret)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("saslpasswd2: %v\n%s", err, out)
	}
	mustRun(t, "chown", "postfix", db)

	level25, level587 := "may", "encrypt"
	if s.noTLS {
		level25, level587 = "none", "none"
	}
	main := []string{
		"compatibility_level = 3.6",
		"queue_directory = " + queue, "data_directory = " + data,
		"maillog_file = " + filepath.Join(dir, "maillog"), "maillog_file_prefixes = " + filepath.Dir(dir),
		"mail_owner = postfix", "setgid_group = postdrop",
		"myhostname = " + s.host, "mydestination =", "mynetworks = " + s.networks,
		"inet_interfaces = 127.0.0.1", "inet_protocols = ipv4",
		"mail_name = PPE Hosted ESMTP Server", "smtpd_banner = $myhostname ESMTP $mail_name",
		"relay_domains = customer.example", "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
		"smtpd_recipient_restrictions =",
		"default_transport = discard:", "relay_transport = discard:", "local_transport = discard:",
		"message_size_limit = 104857600", "in_flow_delay = 0",
		"smtpd_tls_cert_file = " + certFile, "smtpd_tls_key_file = " + keyFile,
		"smtpd_tls_security_level = " + level25, "smtpd_tls_auth_only = yes",
		"smtpd_sasl_type = cyrus", "smtpd_sasl_path = smtpd", "cyrus_sasl_config_path = " + filepath.Join(conf, "sasl"),
		"smtpd_sasl_local_domain =", "broken_sasl_auth_clients = no",
		"unknown_local_recipient_reject_code = 550", "soft_bounce = no", "alias_maps =", "alias_database =",
	}
	main = append(main, s.main...)
	write(t, filepath.Join(conf, "main.cf"), 0o644, strings.Join(main, "\n")+"\n")

	master := []string{fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd", p.port25), "  -o smtpd_sasl_auth_enable=no"}
	for _, o := range s.relay {
		master = append(master, "  -o "+o)
	}
	master = append(master, fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd", p.port587),
		"  -o smtpd_sasl_auth_enable=yes", "  -o smtpd_tls_security_level="+level587,
		"  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject")
	if s.noTLS {
		master = append(master, "  -o smtpd_tls_auth_only=yes")
	}
	for _, o := range s.submission {
		master = append(master, "  -o "+o)
	}
	master = append(master,
		"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
		"rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
		"trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
		"proxymap unix - - n - - proxymap", "proxywrite unix - - n - 1 proxymap", "smtp unix - - n - - smtp",
		"relay unix - - n - - smtp", "error unix - - n - - error", "retry unix - - n - - error",
		"discard unix - - n - - discard", "local unix - n n - - local", "virtual unix - n n - - virtual",
		"anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "tlsmgr unix - - n 1000? 1 tlsmgr",
		"postlog unix-dgram n - n - 1 postlogd", "showq unix n - n - - showq", "lmtp unix - - n - - lmtp")
	write(t, filepath.Join(conf, "master.cf"), 0o644, strings.Join(master, "\n")+"\n")

	cmd := exec.Command("postfix", "-c", conf, "start-fg")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	logged := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = logged, logged
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("postfix", "-c", conf, "stop").Run()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "maillog"))
			t.Logf("postfix said:\n%s\n%s", logged, log)
		}
	})
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", p.port25))
	waitFor(t, fmt.Sprintf("127.0.0.1:%d", p.port587))
	return p
}

// connect are the flags that send the probe of a public name to this Postfix.
func (p *postfix) connect() []string {
	return []string{
		"--connect", fmt.Sprintf("25=127.0.0.1:%d", p.port25),
		"--connect", fmt.Sprintf("587=127.0.0.1:%d", p.port587), "--ca", p.ca,
	}
}

func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
