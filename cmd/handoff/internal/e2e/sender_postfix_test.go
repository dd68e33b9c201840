//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// expectation is what an analysis has to say of a text.
type expectation struct {
	verdict, stage string
	refusedBy      string // empty: not asked
	cause          string // must be among the causes; empty: not asked
	ask            bool   // the report must say which text to ask for
}

func (e expectation) check(t *testing.T, what, text string) {
	t.Helper()
	rep, r := report(t, text, "analyze", "--our-domain", "customer.example", "-")
	if string(rep.Verdict.Code) != e.verdict {
		t.Errorf("%s: verdict %s, want %s\n%s\n--- the text\n%s", what, rep.Verdict.Code, e.verdict, r.stdout, text)
		return
	}
	for _, o := range rep.Outcomes {
		if o.Stage != e.stage {
			t.Errorf("%s: stage %s, want %s\n%s", what, o.Stage, e.stage, text)
		}
		if e.refusedBy != "" && o.RefusedBy != e.refusedBy {
			t.Errorf("%s: refused by %q, want %q\n%s", what, o.RefusedBy, e.refusedBy, text)
		}
	}
	if e.cause != "" && !slices.Contains(causes(rep), e.cause) {
		t.Errorf("%s: causes %v lack %s\n%s", what, causes(rep), e.cause, text)
	}
	if e.ask && len(rep.NextTests) == 0 {
		t.Errorf("%s: the report does not say what to ask for", what)
	}
}

// A real Postfix sends through the bundled relay, which has the name of the
// service in a namespace of the test's own. Its bounce and its log are read.
func TestBouncesOfRealPostfix(t *testing.T) {
	const (
		plain25  = "relayhost = [" + serviceName + "]:25"
		auth587  = "relayhost = [" + serviceName + "]:587"
		saslOn   = "smtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\nsmtp_sasl_tls_security_options = noanonymous"
		useTLS   = "smtp_tls_security_level = encrypt"
		register = "alerts@customer.example"
	)
	for _, c := range []struct {
		name     string
		relay    []string // flags of handoff relay
		main     []string
		password string // for SASL; "right" is the relay's own
		from     string
		bounce   expectation
		log      expectation
		noBounce bool
		same     bool // the relay's record tells it all: our composed bounce is the same
	}{
		{
			name: "relay denied on 25", main: []string{plain25}, same: true,
			bounce: expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName, cause: "sending-server-not-listed"},
			log:    expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName, cause: "sending-server-not-listed"},
		},
		{
			name: "587 without TLS", main: []string{auth587}, same: true,
			bounce: expectation{verdict: "refused", stage: "tls", cause: "starttls-missing"},
			log:    expectation{verdict: "refused", stage: "tls", cause: "starttls-missing"},
		},
		{
			name: "587 with TLS, no AUTH", main: []string{auth587, useTLS}, same: true,
			bounce: expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
			log:    expectation{verdict: "refused", stage: "envelope", cause: "auth-missing"},
		},
		{
			name: "wrong password", main: []string{auth587, useTLS, saslOn}, password: "wrong", same: true,
			bounce: expectation{verdict: "refused", stage: "auth", refusedBy: serviceName, cause: "credential-wrong"},
			log:    expectation{verdict: "refused", stage: "auth", refusedBy: serviceName, cause: "credential-wrong"},
		},
		{
			name: "no mechanism in common", main: []string{auth587, useTLS, saslOn, "smtp_sasl_mechanism_filter = cram-md5"}, password: "right",
			bounce: expectation{verdict: "refused", stage: "auth", refusedBy: serviceName, cause: "mechanism-missing"},
			log:    expectation{verdict: "refused", stage: "auth", refusedBy: serviceName, cause: "mechanism-missing"},
		},
		{
			name: "sender not registered", main: []string{auth587, useTLS, saslOn}, password: "right", from: "nobody@customer.example", same: true,
			bounce: expectation{verdict: "refused", stage: "envelope", cause: "sender-not-registered"},
			log:    expectation{verdict: "refused", stage: "envelope", cause: "sender-not-registered"},
		},
		{
			name: "accepted", main: []string{auth587, useTLS, saslOn}, password: "right", noBounce: true,
			log: expectation{verdict: "not-a-failure", stage: "accepted"},
		},
		{
			name: "port closed", main: []string{"relayhost = [" + serviceName + "]:2599"},
			bounce: expectation{verdict: "unreachable", stage: "connect", cause: "connection-refused"},
			log:    expectation{verdict: "unreachable", stage: "connect", cause: "connection-refused"},
		},
		{
			name: "name mistyped", main: []string{"relayhost = [outbound-us9.ppe-hosted.com]:25"},
			bounce: expectation{verdict: "unreachable", stage: "resolve", cause: "smarthost-typo"},
			log:    expectation{verdict: "unreachable", stage: "resolve", cause: "smarthost-typo"},
		},
		{
			name: "screening busy", main: []string{plain25}, relay: []string{"--scenario", "screening-busy"}, same: true,
			bounce: expectation{verdict: "deferred", stage: "greet", refusedBy: serviceName, cause: "relay-busy"},
			log:    expectation{verdict: "deferred", stage: "greet", refusedBy: serviceName, cause: "relay-busy"},
		},
		{
			name: "STARTTLS stripped", main: []string{auth587, useTLS, saslOn}, password: "right", relay: []string{"--scenario", "starttls-stripped"},
			bounce: expectation{verdict: "handshake-failed", stage: "tls", cause: "starttls-stripped"},
			log:    expectation{verdict: "handshake-failed", stage: "tls", cause: "starttls-stripped"},
		},
		{
			name: "certificate not trusted", main: []string{auth587, "smtp_tls_security_level = verify", saslOn}, password: "right",
			bounce: expectation{verdict: "insufficient-evidence", stage: "tls", ask: true},
			log:    expectation{verdict: "handshake-failed", stage: "tls"},
		},
		{
			name: "no greeting", main: []string{plain25, "smtp_helo_timeout = 3s"}, relay: []string{"--scenario", "banner-silent"},
			bounce: expectation{verdict: "handshake-failed", stage: "greet", cause: "silent-server"},
			log:    expectation{verdict: "handshake-failed", stage: "greet", cause: "silent-server"},
		},
		{
			name: "closed before the greeting", main: []string{plain25}, relay: []string{"--scenario", "banner-drop"},
			bounce: expectation{verdict: "handshake-failed", stage: "greet", cause: "connection-dropped"},
			log:    expectation{verdict: "handshake-failed", stage: "greet", cause: "connection-dropped"},
		},
		{
			name: "not handed off: another host refuses", main: []string{"relayhost = [mail.other.example]:25"},
			bounce: expectation{verdict: "never-reached", stage: "not-attempted", cause: "not-handed-off"},
			log:    expectation{verdict: "never-reached", stage: "not-attempted", cause: "not-handed-off"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of the time a Postfix starts or stops
			need(t, "postfix", "swaks")
			ns := newNamespace(t, map[string]string{serviceName: serviceIP, "mail.other.example": "127.0.0.3"})
			a := ns.bundledRelay(t, c.relay...)
			secret := c.password
			if secret == "right" {
				secret = a.Credential.Password
			}
			p := startSender(t, ns, c.main, a.Credential.Username, secret)
			from := c.from
			if from == "" {
				from = register
			}
			sent := ns.run(t, "", "swaks", "--server", "127.0.0.1", "--port", "10025", "--from", from, "--to", "desk@partner.example",
				"--header", "Subject: a test")
			if sent.code != 0 {
				t.Fatalf("the sender took no mail: %s", sent)
			}
			log := p.waitLog(t, c.noBounce)
			if !c.noBounce {
				bounce := p.bounce(t)
				c.bounce.check(t, "bounce", bounce)
				if c.same {
					if got, want := postfixBlocks(composed(t, a, "postfix", nil)), postfixBlocks(bounce); got != want || want == "" {
						t.Errorf("ours\n%s\nPostfix's\n%s", got, want)
					}
				}
			}
			c.log.check(t, "log", log)
		})
	}
}

// postfixBlocks are the paragraph of the recipient and the group of its status
// fields in a Postfix bounce: what our composed ones have to equal byte for
// byte.
func postfixBlocks(report string) string {
	var out []string
	for _, begin := range []string{"\n<" + stranger + ">: ", "\nFinal-Recipient: "} {
		if i := strings.Index(report, begin); i >= 0 {
			block, _, _ := strings.Cut(report[i+1:], "\n\n")
			out = append(out, strings.TrimRight(block, "\n"))
		}
	}
	return strings.Join(out, "\n")
}

// sender is a Postfix that submits to a relay and keeps its bounces.
type sender struct{ dir string }

// startSender starts a Postfix inside ns that gives up at the first deferral.
func startSender(t *testing.T, ns *namespace, lines []string, user, secret string) *sender {
	t.Helper()
	dir := openDir(t, "etc", "spool", "lib", "mail")
	conf, queue, data, mail := filepath.Join(dir, "etc"), filepath.Join(dir, "spool"), filepath.Join(dir, "lib"), filepath.Join(dir, "mail")
	mustRun(t, "chown", "postfix", data, mail)
	main := []string{
		"compatibility_level = 3.6", "queue_directory = " + queue, "data_directory = " + data,
		"maillog_file = " + filepath.Join(dir, "maillog"), "maillog_file_prefixes = " + filepath.Dir(dir),
		"mail_owner = postfix", "setgid_group = postdrop", "myhostname = mail.customer.example", "mydestination =",
		"mynetworks = 127.0.0.0/8", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "smtp_host_lookup = native",
		"smtp_bind_address = 127.0.0.1", "alias_maps =", "alias_database =",
		"virtual_mailbox_domains = customer.example", "virtual_mailbox_base = " + mail,
		"virtual_mailbox_maps = static:box/", "virtual_uid_maps = static:" + idOf(t, "postfix", "-u"), "virtual_gid_maps = static:" + idOf(t, "postfix", "-g"), "virtual_minimum_uid = 1",
		"maximal_queue_lifetime = 0", "bounce_queue_lifetime = 0", "smtp_connect_timeout = 5s",
		"smtp_sasl_password_maps = inline:{ { [" + serviceName + "]:587 = " + user + ":" + secret + " } }",
	}
	main = append(main, lines...)
	write(t, filepath.Join(conf, "main.cf"), 0o644, strings.Join(main, "\n")+"\n")
	write(t, filepath.Join(conf, "master.cf"), 0o644, strings.Join(append([]string{"127.0.0.1:10025 inet n - n - - smtpd"}, postfixServices...), "\n")+"\n")
	serve(t, ns.command("postfix", "-c", conf, "start-fg"), exec.Command("postfix", "-c", conf, "stop"), filepath.Join(dir, "maillog"))
	s := &sender{dir}
	for range 300 {
		if r := ns.run(t, "", "swaks", "--server", "127.0.0.1", "--port", "10025", "--quit-after", "CONNECT"); r.code == 0 {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the sending Postfix does not answer")
	return nil
}

func idOf(t *testing.T, user, flag string) string {
	t.Helper()
	out, err := exec.Command("id", flag, user).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (s *sender) log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "maillog"))
	return string(b)
}

// waitLog waits for the fate of the message and returns the lines about its
// delivery, as an administrator would copy them.
func (s *sender) waitLog(t *testing.T, sent bool) string {
	t.Helper()
	want := "status=bounced"
	if sent {
		want = "status=sent"
	}
	for range 900 {
		log := s.log()
		done := strings.Contains(log, want) || (!sent && strings.Contains(log, "status=expired"))
		if done && (sent || s.find() != "") {
			var keep []string
			for _, l := range strings.Split(log, "\n") {
				if strings.Contains(l, "postfix/smtp[") || strings.Contains(l, "postfix/qmgr[") || strings.Contains(l, "postfix/bounce[") || strings.Contains(l, "postfix/error[") {
					keep = append(keep, l)
				}
			}
			return strings.Join(keep, "\n") + "\n"
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("no fate in the log:\n%s", s.log())
	return ""
}

func (s *sender) find() string {
	found, _ := filepath.Glob(filepath.Join(s.dir, "mail", "box", "new", "*"))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

func (s *sender) bounce(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(s.find())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
