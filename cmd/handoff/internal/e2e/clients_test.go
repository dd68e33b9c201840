//go:build unix

package e2e

import (
	"encoding/base64"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Reply texts of the service, as its users quote them.
const (
	relayDenied  = "554 5.7.1 <desk@partner.example>: Relay access denied"
	authFailed   = "535 5.7.8 Error: authentication failed: authentication failure"
	needStartTLS = "530 5.7.0 Must issue a STARTTLS command first"
	authDisabled = "503 5.5.1 Error: authentication not enabled"
)

const (
	registered   = "alerts@customer.example"
	unregistered = "nobody@customer.example"
	stranger     = "desk@partner.example"
	wrongSecret  = "Wr0ng-Pa55word-of-the-test"
)

// attempt is one way of submitting a message.
type attempt struct {
	host   string // name or address; the certificate is for the service's name
	port   string
	tls    bool
	auth   string // mechanism; empty: no AUTH
	secret string
	from   string
}

// talker is a client program and its command line for an attempt.
type talker struct {
	name    string
	command func(t *testing.T, a announcement, x attempt) []string
	// hidden: the client keeps the secret out of its own debug output.
	hidden bool
}

func message(t *testing.T) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "message"), 0o644,
		"From: "+registered+"\r\nTo: "+stranger+"\r\nSubject: a test\r\n\r\nhello\r\n")
}

func swaksTalker() talker {
	return talker{name: "swaks", command: func(_ *testing.T, a announcement, x attempt) []string {
		args := []string{"swaks", "--server", x.host, "--port", x.port, "--helo", "mail.customer.example", "--from", x.from, "--to", stranger, "--timeout", "60s"}
		if x.tls {
			args = append(args, "--tls")
		}
		if x.auth != "" {
			args = append(args, "--auth", strings.ToUpper(x.auth), "--auth-user", a.Credential.Username, "--auth-password", x.secret)
		}
		return args
	}}
}

func msmtpTalker() talker {
	return talker{name: "msmtp", command: func(t *testing.T, a announcement, x attempt) []string {
		secret := write(t, filepath.Join(t.TempDir(), "secret"), 0o600, x.secret+"\n")
		args := []string{
			"sh", "-c", `message=$1; shift; exec msmtp "$@" < "$message"`, "sh", message(t),
			"--debug", "--file=/dev/null", "--host=" + x.host, "--port=" + x.port, "--domain=mail.customer.example", "--timeout=60", "--from=" + x.from,
		}
		if x.tls {
			args = append(args, "--tls=on", "--tls-trust-file="+a.CAFile, "--tls-host-override="+a.ServerName)
		}
		if x.auth != "" {
			args = append(args, "--auth="+x.auth, "--user="+a.Credential.Username, "--passwordeval=cat "+secret)
		}
		return append(args, stranger)
	}}
}

func curlTalker() talker {
	// What curl -v prints of AUTH is masked from version 8 on.
	return talker{name: "curl", hidden: true, command: func(t *testing.T, a announcement, x attempt) []string {
		args := []string{
			"curl", "-sS", "-v", "--max-time", "60", "--cacert", a.CAFile, "--connect-to", "::" + x.host + ":",
			"--mail-from", x.from, "--mail-rcpt", stranger, "--upload-file", message(t), "smtp://" + a.ServerName + ":" + x.port + "/mail.customer.example",
		}
		if x.tls {
			args = append(args, "--ssl-reqd")
		}
		if x.auth != "" {
			args = append(args, "--user", a.Credential.Username+":"+x.secret, "--login-options", "AUTH="+strings.ToUpper(x.auth))
		}
		return args
	}}
}

// smtplibScript submits with Python's own library, its debug output on.
const smtplibScript = `
import smtplib, ssl, sys
host, port, ca, name, tls, auth, user, secret, sender = sys.argv[1:10]
s = smtplib.SMTP(local_hostname="mail.customer.example", timeout=60)
s.set_debuglevel(1)
s.connect(host, int(port))
s._host = name
if tls == "yes":
    s.starttls(context=ssl.create_default_context(cafile=ca))
if auth == "unasked":
    s.ehlo_or_helo_if_needed()
    s.docmd("AUTH", "PLAIN")
elif auth:
    s.login(user, secret)
s.sendmail(sender, ["desk@partner.example"], "Subject: a test\r\n\r\nhello\r\n")
s.quit()
`

// python is an interpreter whose smtplib works; the test skips without one.
func python(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import smtplib, ssl").Run() == nil {
			return p
		}
	}
	t.Skip("end-to-end test: no working python3")
	return ""
}

func smtplibTalker() talker {
	return talker{name: "smtplib", command: func(t *testing.T, a announcement, x attempt) []string {
		tls := "no"
		if x.tls {
			tls = "yes"
		}
		return []string{python(t), "-c", smtplibScript, x.host, x.port, a.CAFile, a.ServerName, tls, x.auth, a.Credential.Username, x.secret, x.from}
	}}
}

// nodemailerScript submits with Debian's nodemailer, its log on.
const nodemailerScript = `
// It looks up no name on a machine that has loopback only, as ours here.
require("os").networkInterfaces = () => ({eth0: [{family: "IPv4", internal: false}]});
const [host, port, ca, name, tls, auth, user, secret, sender] = process.argv.slice(1);
const options = {
	host, port: Number(port), name: "mail.customer.example", secure: false, logger: true, debug: true,
	requireTLS: tls === "yes", ignoreTLS: tls !== "yes", connectionTimeout: 20000, greetingTimeout: 20000, socketTimeout: 20000,
	tls: {ca: require("fs").readFileSync(ca), servername: name},
};
if (auth) options.auth = {user, pass: secret};
if (auth) options.authMethod = auth.toUpperCase();
require("nodemailer").createTransport(options)
	.sendMail({from: sender, to: "desk@partner.example", subject: "a test", text: "hello"})
	.then(info => console.log(info.response), error => { console.error(error); process.exitCode = 1; });
`

// nodemailerPath is where Debian keeps libraries of Node.js.
const nodemailerPath = "/usr/share/nodejs"

func nodemailerTalker() talker {
	return talker{name: "nodemailer", hidden: true, command: func(t *testing.T, a announcement, x attempt) []string {
		need(t, "node", "env")
		if exec.Command("env", "NODE_PATH="+nodemailerPath, "node", "-e", "require('nodemailer')").Run() != nil {
			t.Skip("end-to-end test: no nodemailer: Debian has it as node-nodemailer")
		}
		tls := "no"
		if x.tls {
			tls = "yes"
		}
		return []string{"env", "NODE_PATH=" + nodemailerPath, "node", "-e", nodemailerScript, x.host, x.port, a.CAFile, a.ServerName, tls, x.auth, a.Credential.Username, x.secret, x.from}
	}}
}

// Five client programs submit to the bundled relay on free ports.
func TestClientsOfRelay(t *testing.T) {
	need(t)
	a := startRelay(t, exec.Command(program, "relay", "--json", "--for", "30m", "--listen", "127.0.0.1:0", "--control", filepath.Join(t.TempDir(), "control")))
	port := map[string]string{}
	for _, p := range []string{"25", "587"} {
		_, own, err := net.SplitHostPort(a.Addresses[p])
		if err != nil {
			t.Fatal(err)
		}
		port[p] = own
	}
	testClients(t, a, "127.0.0.1", port, run)
}

// They submit under the name and on the ports of the service, where the port
// tells the causes apart.
func TestClientsOfService(t *testing.T) {
	ns := newNamespace(t, map[string]string{serviceName: serviceIP})
	a := ns.bundledRelay(t)
	testClients(t, a, serviceName, map[string]string{"25": "25", "587": "587"}, ns.run)
}

// testClients submits rightly and wrongly. Each client has to show the reply
// that the service is known for, and its debug output must be read as what it
// was, without a secret in any report about it.
func testClients(t *testing.T, a announcement, host string, port map[string]string, client func(t *testing.T, stdin, name string, args ...string) result) {
	for _, c := range []struct {
		name           string
		attempt        attempt
		reply          string // in the client's output; empty: not asked
		verdict, stage string
		cause          string   // must be among the causes; empty: not asked
		anyPort        bool     // tried on free ports, too
		only           []string // names of the clients this is for; nil: all
		not            []string // names of the clients that this is not for
	}{
		{
			name: "right", attempt: attempt{port: "587", tls: true, auth: "plain", secret: "right", from: registered},
			reply: "250 2.0.0 Ok: queued as", verdict: "not-a-failure", stage: "accepted",
		},
		{
			name: "right by LOGIN", anyPort: true, attempt: attempt{port: "587", tls: true, auth: "login", secret: "right", from: registered},
			reply: "235 2.7.0 Authentication successful", verdict: "not-a-failure", stage: "accepted",
		},
		{
			name: "wrong password", anyPort: true, attempt: attempt{port: "587", tls: true, auth: "plain", secret: wrongSecret, from: registered},
			reply: authFailed, verdict: "refused", stage: "auth", cause: "credential-wrong",
		},
		{
			name: "wrong password by LOGIN", attempt: attempt{port: "587", tls: true, auth: "login", secret: wrongSecret, from: registered},
			reply: authFailed, verdict: "refused", stage: "auth", cause: "credential-wrong",
		},
		// No AUTH is offered on 25: most clients stop there by themselves.
		{
			name: "AUTH on 25", attempt: attempt{port: "25", tls: true, auth: "plain", secret: "right", from: registered},
			verdict: "refused", stage: "auth", cause: "wrong-port", not: []string{"curl", "nodemailer"},
		},
		// curl and nodemailer go on without AUTH and meet the refusal.
		{
			name: "AUTH on 25", attempt: attempt{port: "25", tls: true, auth: "plain", secret: "right", from: registered},
			reply: relayDenied, verdict: "refused", stage: "envelope", only: []string{"curl", "nodemailer"},
		},
		{
			name: "AUTH on 25 all the same", attempt: attempt{port: "25", tls: true, auth: "unasked", secret: "right", from: registered},
			reply: authDisabled, verdict: "refused", stage: "auth", cause: "wrong-port", only: []string{"smtplib"},
		},
		{
			name: "25 without AUTH", anyPort: true, attempt: attempt{port: "25", from: registered},
			reply: relayDenied, verdict: "refused", stage: "envelope", cause: "sending-server-not-listed",
		},
		{
			name: "587 without TLS", anyPort: true, attempt: attempt{port: "587", from: registered},
			reply: needStartTLS, verdict: "refused", stage: "tls", cause: "starttls-missing",
		},
		{
			name: "587 without AUTH", attempt: attempt{port: "587", tls: true, from: registered},
			reply: relayDenied, verdict: "refused", stage: "envelope", cause: "auth-missing",
		},
		{
			name: "sender not registered", attempt: attempt{port: "587", tls: true, auth: "plain", secret: "right", from: unregistered},
			reply: relayDenied, verdict: "refused", stage: "envelope", cause: "sender-not-registered",
		},
	} {
		for _, tool := range []talker{swaksTalker(), msmtpTalker(), curlTalker(), smtplibTalker(), nodemailerTalker()} {
			if port["587"] != "587" && !c.anyPort {
				continue
			}
			if c.only != nil && !slices.Contains(c.only, tool.name) || slices.Contains(c.not, tool.name) {
				continue
			}
			t.Run(tool.name+"/"+c.name, func(t *testing.T) {
				if tool.name != "smtplib" && tool.name != "nodemailer" {
					need(t, tool.name)
				}
				x := c.attempt
				x.host, x.port = host, port[x.port]
				if x.secret == "right" {
					x.secret = a.Credential.Password
				}
				args := tool.command(t, a, x)
				r := client(t, "", args[0], args[1:]...)
				said := r.stdout + r.stderr
				if (r.code == 0) != (c.verdict == "not-a-failure") {
					t.Errorf("%s ended with %s", tool.name, r)
				}
				if !strings.Contains(said, c.reply) {
					t.Errorf("%s does not show %q:\n%s", tool.name, c.reply, said)
				}
				secrets := secretForms(a.Credential.Username, x.secret)
				if strings.Contains(said, "235 2.7.0") && !tool.hidden && !containsAny(said, secrets) {
					t.Errorf("%s shows no secret: nothing is tried here", tool.name)
				}
				rep, _ := report(t, said, "analyze", "-")
				if got := string(rep.Verdict.Code); got != c.verdict {
					t.Errorf("analyze says %s, want %s:\n%s", got, c.verdict, said)
				}
				for _, o := range rep.Outcomes {
					if o.Stage != c.stage {
						t.Errorf("analyze says stage %s, want %s:\n%s", o.Stage, c.stage, said)
					}
					if c.verdict == "refused" && !strings.HasSuffix(o.RefusedBy, ".ppe-hosted.com") {
						t.Errorf("analyze says refused by %q:\n%s", o.RefusedBy, said)
					}
					if got := replyOf(o.Reply.Code, o.Reply.Enhanced, o.Reply.Text); c.verdict == "refused" && c.reply != "" && got != c.reply {
						t.Errorf("analyze says the reply was %q, want %q", got, c.reply)
					}
				}
				if c.cause != "" && port["587"] == "587" && !slices.Contains(causes(rep), c.cause) {
					t.Errorf("analyze finds the causes %v, not %s:\n%s", causes(rep), c.cause, said)
				}
				if x.secret == "" {
					return
				}
				for _, format := range []string{"text", "json", "markdown", "html", "junit", "sarif"} {
					if out := run(t, said, program, "analyze", "-o", format, "-"); out.code > 1 || out.stdout == "" || containsAny(out.stdout+out.stderr, secrets) {
						t.Errorf("analyze -o %s shows the secret, or nothing:\n%s", format, out)
					}
				}
				if out := run(t, said, program, "redact", "-"); out.stdout == "" || containsAny(out.stdout+out.stderr, secrets) {
					t.Errorf("redact leaves the secret:\n%s", out)
				}
			})
		}
	}
}

// secretForms are the ways in which a password can stand in a dialogue.
func secretForms(user, secret string) []string {
	if secret == "" {
		return nil
	}
	b64 := base64.StdEncoding.EncodeToString
	return []string{secret, b64([]byte(secret)), b64([]byte("\x00" + user + "\x00" + secret)), b64([]byte(user + "\x00" + user + "\x00" + secret))}
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// replyOf writes a reply as the server sent it.
func replyOf(code int, enhanced, text string) string {
	words := []string{strconv.Itoa(code)}
	if enhanced != "" {
		words = append(words, enhanced)
	}
	return strings.Join(append(words, text), " ")
}
