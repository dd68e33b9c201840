//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	compose "github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// exim is Debian's Exim. Its package cannot be installed beside Postfix, so
// .ci/run unpacks it and says where it is.
func exim(t *testing.T) string {
	t.Helper()
	need(t)
	path := os.Getenv("HANDOFF_EXIM")
	if path == "" {
		found, err := exec.LookPath("exim4")
		if err != nil {
			t.Skip("end-to-end test: no Exim here: unpack Debian's exim4-daemon-light and name its exim4 in HANDOFF_EXIM (done by .ci/run)")
		}
		path = found
	}
	if err := exec.Command(path, "-bV", "-C", "/dev/null").Run(); err != nil {
		t.Skipf("end-to-end test: %s does not run: %v", path, err)
	}
	return path
}

// eximUser is compiled into Debian's Exim.
const eximUser = "Debian-exim"

// eximInstance is an Exim with a folder, a configuration and a spool of its own.
type eximInstance struct {
	dir, path string
	uid, gid  int
}

// newExim makes the folder of an Exim; configure has to follow.
func newExim(t *testing.T, path string) *eximInstance {
	t.Helper()
	who, err := user.Lookup(eximUser)
	if err != nil {
		t.Skipf("end-to-end test: Exim wants the user %s: %v", eximUser, err)
	}
	x := &eximInstance{dir: openDir(t)}
	if x.uid, err = strconv.Atoi(who.Uid); err != nil {
		t.Fatal(err)
	}
	if x.gid, err = strconv.Atoi(who.Gid); err != nil {
		t.Fatal(err)
	}
	// The checkout may lie where Exim's user cannot go.
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x.path = write(t, filepath.Join(x.dir, "exim4"), 0o755, string(binary))
	for _, d := range []string{"spool", "log", "box"} {
		if err := os.Mkdir(filepath.Join(x.dir, d), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(x.dir, d), x.uid, x.gid); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// configure writes the configuration: settings that keep Exim inside its folder,
// then these lines.
func (x *eximInstance) configure(t *testing.T, lines []string) {
	t.Helper()
	own := []string{
		"exim_path = " + x.path, "spool_directory = " + filepath.Join(x.dir, "spool"), "log_file_path = " + filepath.Join(x.dir, "log", "%slog"),
		"exim_user = " + eximUser, "exim_group = " + strconv.Itoa(x.gid), "never_users =", "trusted_users = " + eximUser,
		"local_interfaces = 127.0.0.1", "disable_ipv6", "keep_environment =", "message_logs = false", "check_spool_space = 0",
	}
	write(t, filepath.Join(x.dir, "exim.conf"), 0o644, strings.Join(append(own, lines...), "\n")+"\n")
}

// asUser are the arguments of setpriv that run Exim as its own user.
func (x *eximInstance) asUser(args ...string) []string {
	return append([]string{
		"--reuid=" + strconv.Itoa(x.uid), "--regid=" + strconv.Itoa(x.gid), "--clear-groups", x.path, "-C", filepath.Join(x.dir, "exim.conf"),
	}, args...)
}

// secret writes a file that only Exim's user may read.
func (x *eximInstance) secret(t *testing.T, name, text string) string {
	t.Helper()
	file := write(t, filepath.Join(x.dir, name), 0o600, text)
	if err := os.Chown(file, x.uid, x.gid); err != nil {
		t.Fatal(err)
	}
	return file
}

type eximSetup struct {
	host      string // as an administrator writes it: name or name::port
	transport []string
	password  string // empty: no AUTH
	stranger  bool   // trusts another authority than the relay's
}

// newEximSender makes an Exim that submits to a relay and keeps its bounces.
func newEximSender(t *testing.T, path string, s eximSetup, a announcement) *eximInstance {
	t.Helper()
	x := newExim(t, path)
	if s.stranger {
		a.CAFile = newAuthority(t).file
	}
	authority, err := os.ReadFile(a.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := write(t, filepath.Join(x.dir, "ca.pem"), 0o644, string(authority))
	conf := []string{
		"primary_hostname = mail.customer.example", "qualify_domain = customer.example",
		"log_selector = +smtp_confirmation +outgoing_port", "deliver_drop_privilege", "bounce_return_size_limit = 20K",
		"begin routers",
		"own:", "  driver = accept", "  domains = customer.example", "  transport = box",
		"smarthost:", "  driver = manualroute", "  transport = relay", "  route_list = * " + s.host + " byname", "  self = send", "  host_find_failed = fail",
		"begin transports",
		"box:", "  driver = appendfile", "  directory = " + filepath.Join(x.dir, "box"), "  maildir_format", "  create_directory",
		"relay:", "  driver = smtp", "  connect_timeout = 5s", "  command_timeout = 10s", "  tls_verify_certificates = " + trusted, "  dnssec_request_domains =",
	}
	for _, l := range s.transport {
		conf = append(conf, "  "+l)
	}
	conf = append(conf, "begin retry", "* * F,1s,1s")
	if s.password != "" {
		// A caret is a zero byte here, two are one caret.
		secret := x.secret(t, "secret", strings.ReplaceAll(s.password, "^", "^^"))
		conf = append(conf, "begin authenticators", "plain:", "  driver = plaintext", "  public_name = PLAIN",
			"  client_send = ^"+a.Credential.Username+"^${readfile{"+secret+"}{}}")
	}
	x.configure(t, conf)
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"mainlog", "paniclog"} {
				text, _ := os.ReadFile(filepath.Join(x.dir, "log", name))
				t.Logf("%s of Exim:\n%s", name, text)
			}
		}
	})
	return x
}

// run runs Exim inside ns as its own user.
func (x *eximInstance) run(t *testing.T, ns *namespace, stdin string, args ...string) result {
	t.Helper()
	return ns.run(t, stdin, "setpriv", x.asUser(args...)...)
}

func (x *eximInstance) log() string {
	text, _ := os.ReadFile(filepath.Join(x.dir, "log", "mainlog"))
	return string(text)
}

// send submits a message and waits for its fate: the bounce, and the log of
// the message as an administrator would copy it.
func (x *eximInstance) send(t *testing.T, ns *namespace, from string) (bounce, log string) {
	t.Helper()
	said := x.run(t, ns, "From: "+from+"\nTo: "+stranger+"\nSubject: a test\n\nhello\n", "-odf", "-oi", "-f", from, stranger)
	for range 100 {
		log = x.log()
		found, _ := filepath.Glob(filepath.Join(x.dir, "box", "new", "*"))
		if len(found) > 0 {
			text, err := os.ReadFile(found[0])
			if err != nil {
				t.Fatal(err)
			}
			bounce = string(text)
		}
		if strings.Contains(log, " Completed") && (bounce != "" || strings.Contains(log, " => "+stranger)) {
			return bounce, log
		}
		// What is put off is tried again, past the end of its retry time.
		x.run(t, ns, "", "-qff")
		time.Sleep(400 * time.Millisecond)
	}
	t.Fatalf("no fate: %s\n%s", said, log)
	return "", ""
}

// eximBlocks are the paragraphs of the recipients and the groups of status fields
// of an Exim bounce: what our composed ones have to equal byte for byte. Above
// the paragraphs stand words that are free.
func eximBlocks(report string) string {
	var out []string
	for _, begin := range []string{"\n  " + stranger, "\nAction: "} {
		if i := strings.Index(report, begin); i >= 0 {
			block, _, _ := strings.Cut(report[i:], "\n\n--")
			out = append(out, strings.TrimRight(block, "\n"))
		}
	}
	return strings.Join(out, "\n")
}

// ownView is a session as only the client saw it: the relay's record shows no
// failure there, or there is none.
func ownView(stage transcript.Stage, fault transcript.Fault) *transcript.Session {
	return &transcript.Session{
		Server: serviceName, Address: serviceIP, Port: 587,
		Exchanges: []transcript.Exchange{{Stage: stage, Fault: fault}},
	}
}

// composed is the bounce that we would compose about what the sender met: about
// the relay's own record of its last session, unless the client alone saw it.
func composed(t *testing.T, a announcement, format string, own *transcript.Session) string {
	t.Helper()
	if own != nil {
		report, err := compose.Compose(compose.Exim, *own, compose.Options{Recipient: stranger, Sender: registered, Expired: true})
		if err != nil {
			t.Fatal(err)
		}
		return string(report)
	}
	said := run(t, "", program, "relay", "log", "--control", a.Control)
	all := sessionHead.FindAllStringSubmatch(said.stdout, -1)
	if len(all) == 0 {
		t.Fatalf("no session in the relay's log: %s", said)
	}
	r := run(t, "", program, "relay", "ndr", all[len(all)-1][1], "--format", format, "--control", a.Control)
	if r.code != 0 {
		t.Fatalf("ndr: %s", r)
	}
	return strings.ReplaceAll(r.stdout, "bob@recipient.example", stranger) // where no RCPT named one
}

var sessionHead = regexp.MustCompile(`(?m)^session (\d+) `)

// reason is what a bounce that holds no reason must not hold. Whole words
// only: the boundary and the ids are digits and letters by chance.
var reason = regexp.MustCompile(`(?m)(?:^|\s)535[ -]|\bTLS\b|\brefused\b`)

// A real Exim sends through the bundled relay under the name of the service.
// Its bounce often names no host; its main log does.
func TestBouncesOfRealExim(t *testing.T) {
	path := exim(t)
	const (
		encrypt = "hosts_require_tls = *"
		login   = "hosts_require_auth = *"
	)
	// Of these the bounce says "retry timeout exceeded", with or without the
	// host, or nothing at all.
	dumb := expectation{verdict: "insufficient-evidence", stage: "unknown", ask: true}
	for _, c := range []struct {
		name   string
		relay  []string // flags of handoff relay
		setup  eximSetup
		from   string
		bounce expectation
		log    expectation
		sent   bool
		own    *transcript.Session // the session, where the relay's record does not show what failed
		differ string              // why the composed bounce is another
	}{
		{
			name: "relay denied on 25", setup: eximSetup{host: serviceName + "::25", transport: []string{"hosts_avoid_tls = *"}},
			bounce: expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
			log:    expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
		},
		{
			name: "587 without TLS", setup: eximSetup{host: serviceName + "::587", transport: []string{"hosts_avoid_tls = *"}},
			bounce: expectation{verdict: "refused", stage: "tls", refusedBy: serviceName},
			log:    expectation{verdict: "refused", stage: "tls", refusedBy: serviceName},
		},
		{
			name: "587 without AUTH", setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt}},
			bounce: expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
			log:    expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
		},
		{
			name: "wrong password", setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt, login}, password: wrongSecret},
			bounce: dumb,
			log:    expectation{verdict: "refused", stage: "auth"},
		},
		{
			name: "accepted", setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt, login}, password: "right"}, sent: true,
			log: expectation{verdict: "not-a-failure", stage: "accepted"},
		},
		{
			name: "sender not registered", from: unregistered, setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt, login}, password: "right"},
			bounce: expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
			log:    expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
		},
		{
			name: "name mistyped", differ: "the test's router fails at once and without a word where a host is not found", setup: eximSetup{host: "outbound-us9.ppe-hosted.com::25"},
			bounce: dumb,
			log:    expectation{verdict: "unreachable", stage: "resolve"},
		},
		{
			name: "connection refused", own: ownView(transcript.StageConnect, transcript.FaultRefused), setup: eximSetup{host: serviceName + "::2599"},
			bounce: dumb,
			log:    expectation{verdict: "unreachable", stage: "connect"},
		},
		{
			name: "screening busy", relay: []string{"--scenario", "screening-busy"}, setup: eximSetup{host: serviceName + "::25", transport: []string{"hosts_avoid_tls = *"}},
			bounce: expectation{verdict: "deferred", stage: "greet"},
			log:    expectation{verdict: "deferred", stage: "greet"},
		},
		{
			name: "wrong password, AUTH not insisted on", setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt, "hosts_try_auth = *"}, password: wrongSecret},
			bounce: expectation{verdict: "refused", stage: "envelope", refusedBy: serviceName},
			// Exim goes on without AUTH: the bounce knows the end, the log the beginning.
			log: expectation{verdict: "refused", stage: "auth", refusedBy: serviceName},
		},
		{
			name: "certificate not trusted", own: ownView(transcript.StageTLS, transcript.FaultCertificate), setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt, "tls_verify_hosts = *"}, stranger: true},
			bounce: dumb,
			log:    expectation{verdict: "handshake-failed", stage: "tls"},
		},
		{
			name: "STARTTLS stripped", own: ownView(transcript.StageTLS, transcript.FaultTLS), relay: []string{"--scenario", "starttls-stripped"}, setup: eximSetup{host: serviceName + "::587", transport: []string{encrypt, login}, password: "right"},
			bounce: dumb,
			log:    expectation{verdict: "handshake-failed", stage: "tls"},
		},
		{
			name: "closed before the greeting", relay: []string{"--scenario", "banner-drop"}, setup: eximSetup{host: serviceName + "::25"},
			bounce: dumb,
			log:    expectation{verdict: "handshake-failed", stage: "greet"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, "setpriv")
			ns := newNamespace(t, map[string]string{serviceName: serviceIP})
			a := ns.bundledRelay(t, c.relay...)
			s := c.setup
			if s.password == "right" {
				s.password = a.Credential.Password
			}
			from := c.from
			if from == "" {
				from = registered
			}
			report, log := newEximSender(t, path, s, a).send(t, ns, from)
			if c.sent != (report == "") {
				t.Errorf("sent: %v, bounce:\n%s", c.sent, report)
			}
			if c.bounce == dumb && !c.sent && reason.MatchString(report) {
				t.Errorf("this bounce says more than was thought:\n%s", report)
			}
			if report != "" {
				c.bounce.check(t, "bounce", report)
			}
			if report != "" && c.differ == "" {
				if got, want := eximBlocks(composed(t, a, "exim", c.own)), eximBlocks(report); got != want {
					t.Errorf("ours%s\nExim's%s", got, want)
				}
			}
			c.log.check(t, "log", log)
		})
	}
}
