package bounce_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// With -postfix a real Postfix sends to the relay, and its reports are compared
// with ours. It needs root and Postfix's programs, and takes a minute.
var withPostfix = flag.Bool("postfix", false, "record the reports of a real Postfix (root)")

const (
	postfix587 = "127.0.0.1:29587"
	postfix25  = "127.0.0.1:29025"
)

// startPostfix runs a Postfix of its own that relays to the two addresses.
func startPostfix(t *testing.T) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Postfix needs root")
	}
	dir, err := os.MkdirTemp("/tmp", "handoff-postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"conf", "queue", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "chown", "postfix", filepath.Join(dir, "data"))
	run(t, "chown", "nobody", filepath.Join(dir, "mail"))
	mainCF := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.customer.example
myorigin = customer.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
maillog_file = %[1]s/log
maillog_file_prefixes = /tmp
max_use = 1
maximal_queue_lifetime = 0
bounce_queue_lifetime = 0
smtp_host_lookup = native
smtp_connect_timeout = 1s
smtp_helo_timeout = 1s
smtp_starttls_timeout = 1s
smtp_mail_timeout = 2s
smtp_rcpt_timeout = 2s
smtp_data_init_timeout = 2s
smtp_data_done_timeout = 2s
smtp_tls_CAfile = %[1]s/ca.pem
smtp_sasl_password_maps = texthash:%[1]s/passwords
smtp_sasl_security_options = noanonymous
virtual_mailbox_domains = texthash:%[1]s/domains
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = virtual
transport_maps = texthash:%[1]s/transport
`, dir)
	write(t, filepath.Join(dir, "conf", "main.cf"), mainCF)
	write(t, filepath.Join(dir, "transport"), "")
	write(t, filepath.Join(dir, "domains"), "")
	write(t, filepath.Join(dir, "passwords"), "")
	write(t, filepath.Join(dir, "ca.pem"), "")
	write(t, filepath.Join(dir, "conf", "master.cf"), `submit unix - - n - - smtp
  -o smtp_tls_security_level=verify
  -o smtp_tls_verify_cert_match=hostname
  -o smtp_sasl_auth_enable=yes
plain unix - - n - - smtp
notls unix - - n - - smtp
  -o smtp_sasl_auth_enable=yes
wrapper unix - - n - - smtp
  -o smtp_tls_security_level=encrypt
  -o smtp_tls_wrappermode=yes
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
scache unix - - n - 1 scache
`)
	run(t, "postfix", "-c", filepath.Join(dir, "conf"), "start")
	t.Cleanup(func() {
		_ = exec.Command("postfix", "-c", filepath.Join(dir, "conf"), "stop").Run()
	})
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// postfixReport has Postfix send a message in a scenario and returns its report.
func postfixReport(t *testing.T, dir string, s relay.Scenario) []byte {
	t.Helper()
	w, err := relay.World(relay.System.Now(), s)
	if err != nil {
		t.Fatal(err)
	}
	r := relay.New(w.Account, relay.Listen(25, postfix25), relay.Listen(587, postfix587), relay.Names("localhost", "127.0.0.1"))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	write(t, filepath.Join(dir, "ca.pem"), string(r.CAPEM()))
	c := w.Client
	service, next := "submit", "[localhost]:29587"
	switch {
	case c.Port == 25 && !c.Auth:
		service, next = "plain", "[localhost]:29025"
	case c.Port == 25:
		service, next = "notls", "[localhost]:29025"
	case c.Implicit:
		service = "wrapper"
	case !c.StartTLS:
		service = "notls"
	case !c.Auth:
		service = "submit"
	}
	if s.Name == "name-typo" {
		next = "[outbund-us1.ppe-hosted.invalid]:29587"
	}
	_, domain, _ := strings.Cut(c.Recipient, "@")
	write(t, filepath.Join(dir, "transport"), domain+" "+service+":"+next+"\n")
	write(t, filepath.Join(dir, "passwords"), next+" "+c.Username+":"+c.Password+"\n")
	if !c.Auth {
		write(t, filepath.Join(dir, "passwords"), "")
	}
	_, own, _ := strings.Cut(c.Sender, "@")
	write(t, filepath.Join(dir, "domains"), own+" x\n")
	run(t, "postfix", "-c", filepath.Join(dir, "conf"), "reload")
	time.Sleep(300 * time.Millisecond) // the daemons leave at their own pace; this test is for -postfix only
	box := filepath.Join(dir, "mail", "box", "new")
	os.RemoveAll(filepath.Join(dir, "mail", "box"))
	args := []string{"-C", filepath.Join(dir, "conf"), "-f", c.Sender}
	for i := 1; i <= c.Recipients; i++ {
		rcpt := c.Recipient
		if i > 1 {
			local, d, _ := strings.Cut(c.Recipient, "@")
			rcpt = fmt.Sprintf("%s-%d@%s", local, i, d)
		}
		args = append(args, rcpt)
	}
	cmd := exec.Command("sendmail", args...)
	body := "hello\n"
	if s.Name == "too-large-declared" || s.Name == "too-large-data" {
		body = strings.Repeat("x", 70) + "\n"
	}
	cmd.Stdin = strings.NewReader("From: <" + c.Sender + ">\nTo: <" + c.Recipient + ">\nSubject: a test message\n\n" + body)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	for range 80 {
		if names, _ := filepath.Glob(filepath.Join(box, "*")); len(names) > 0 {
			raw, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		time.Sleep(100 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	t.Logf("%s: no report came\n%s", s.Name, tail(log, 1500))
	return nil
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

const golden = "testdata/postfix-3.7.golden"

// differs are the presets whose real report is another by the nature of the
// test, and why.
var differs = map[string]string{
	"mech-missing":   "this Postfix has CRAM-MD5 and tries it",
	"name-typo":      "this Postfix asks the system's resolver and not the DNS",
	"slow":           "this Postfix is impatient: one second",
	"too-large-data": "this Postfix compares the size that EHLO offers first",
	"too-many-rcpts": "this Postfix sends the recipients that were put off once more",
	"drop-in-data":   "this Postfix has sent the small message whole before it looks",
}

// Paragraphs and status fields are those that a real Postfix wrote about the
// same preset, byte for byte.
func TestAgainstPostfix(t *testing.T) {
	if *withPostfix {
		recordPostfix(t)
		return
	}
	want := readGolden(t)
	same := 0
	for _, s := range relay.Scenarios() {
		blocks, ok := want[s.Name]
		if !ok {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			if why := differs[s.Name]; why != "" {
				t.Skip(why)
			}
			session := sessionOf(t, s, loopback)
			session.Server, session.Address = "localhost", "127.0.0.1"
			session.Port = map[int]int{25: 29025, 587: 29587}[session.Port]
			o, _ := optionsFor(bounce.Postfix, s.Name)
			report, err := bounce.Compose(bounce.Postfix, session, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := blocksOf(string(report)); !slices.Equal(got, blocks) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(blocks, "\n"))
			}
			same++
		})
	}
	if same < 45 {
		t.Errorf("%d reports compared", same)
	}
	t.Logf("%d reports are Postfix's to the byte in paragraphs and fields", same)
}

// blocksOf cuts the recipients' paragraphs and the groups of status fields out
// of a report, sorted: Postfix's order of recipients is its own.
func blocksOf(report string) []string {
	var out []string
	if _, rest, ok := strings.Cut(report, "The mail system\n\n"); ok {
		text, _, _ := strings.Cut(rest, "\n--")
		out = append(out, strings.Split(strings.TrimSpace(text), "\n\n")...)
	}
	if i := strings.Index(report, "\nFinal-Recipient:"); i >= 0 {
		text, _, _ := strings.Cut(report[i+1:], "\n--")
		out = append(out, strings.Split(strings.TrimSpace(text), "\n\n")...)
	}
	slices.Sort(out)
	return out
}

func readGolden(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for part := range strings.SplitSeq("\n"+string(b), "\n-- ") {
		name, text, ok := strings.Cut(part, " --\n")
		if !ok {
			continue
		}
		blocks := strings.Split(strings.TrimSpace(text), "\n\n")
		slices.Sort(blocks)
		out[name] = blocks
	}
	return out
}

func recordPostfix(t *testing.T) {
	dir := startPostfix(t)
	var b strings.Builder
	b.WriteString("# What Postfix 3.7.11 wrote about its sessions with the reference relay, per\n# preset: the recipients' paragraphs and their status fields. Recorded with\n# go test ./probe/relay/bounce -run TestAgainstPostfix -postfix (root).\n")
	for _, s := range relay.Scenarios() {
		raw := postfixReport(t, dir, s)
		if raw == nil {
			continue
		}
		fmt.Fprintf(&b, "-- %s --\n%s\n", s.Name, strings.Join(blocksOf(string(raw)), "\n\n"))
	}
	write(t, golden, b.String())
}
