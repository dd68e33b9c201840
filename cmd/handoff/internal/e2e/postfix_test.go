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

// postfixSetup says how a Postfix departs from the healthy one.
type postfixSetup struct {
	host       string   // name in the certificate and in the greeting
	noTLS      bool     // STARTTLS is not offered
	expired    bool     // the certificate is past its date
	sasl       string   // first lines of smtpd.conf of Cyrus SASL, which count; empty: the mechanisms
	main       []string // further lines for main.cf
	submission []string // further -o settings of the 587 service
	relay      []string // further -o settings of the 25 service
	networks   string   // mynetworks of 25; empty: nobody
}

// startPostfix starts a real Postfix on loopback, set up the way the service
// behaves.
func startPostfix(t *testing.T, s postfixSetup) *server {
	t.Helper()
	need(t, "postfix", "saslpasswd2")
	if os.Geteuid() != 0 {
		t.Skip("end-to-end test: Postfix needs root to start")
	}
	if s.host == "" {
		s.host = serviceName
	}
	if s.networks == "" {
		s.networks = "198.51.100.7/32"
	}
	if s.sasl == "" {
		s.sasl = "mech_list: PLAIN LOGIN"
	}
	dir := openDir(t, "etc/sasl", "spool", "lib")
	conf, queue, data := filepath.Join(dir, "etc"), filepath.Join(dir, "spool"), filepath.Join(dir, "lib")
	mustRun(t, "chown", "postfix", data)

	p := newServer(t)
	certFile, keyFile := p.certify(t, s.host, s.expired)
	db := filepath.Join(conf, "sasl", "sasldb2")
	write(t, filepath.Join(conf, "sasl", "smtpd.conf"), 0o644, strings.Join([]string{
		s.sasl, "pwcheck_method: auxprop", "auxprop_plugin: sasldb", "sasldb_path: " + db, "",
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
	write(t, filepath.Join(conf, "main.cf"), 0o644, strings.Join(append(main, s.main...), "\n")+"\n")

	master := []string{fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd", p.port25), "  -o smtpd_sasl_auth_enable=no"}
	for _, o := range s.relay {
		master = append(master, "  -o "+o)
	}
	master = append(master, fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd", p.port587),
		"  -o smtpd_sasl_auth_enable=yes", "  -o smtpd_tls_security_level="+level587,
		"  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject")
	for _, o := range s.submission {
		master = append(master, "  -o "+o)
	}
	write(t, filepath.Join(conf, "master.cf"), 0o644, strings.Join(append(master, postfixServices...), "\n")+"\n")

	serve(t, exec.Command("postfix", "-c", conf, "start-fg"), exec.Command("postfix", "-c", conf, "stop"), filepath.Join(dir, "maillog"))
	p.waitFor(t)
	return &p
}
