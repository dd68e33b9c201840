//go:build unix

package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/probe/relay"
)

// blackbox is the program of Debian's prometheus-blackbox-exporter.
const blackbox = "prometheus-blackbox-exporter"

// blackboxModule is a module that speaks SMTP with STARTTLS: the dialogue of the
// exporter's own example smtp_starttls, its name and authority added. More
// commands, as a login, follow the second EHLO, and the last answer that is
// expected of them.
func blackboxModule(name, ca, server, greeting, more, answer string, auth bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    prober: tcp\n    timeout: 5s\n    tcp:\n      tls_config: {ca_file: %q, server_name: %q}\n      query_response:\n", name, ca, server)
	fmt.Fprintf(&b, "      - {expect: %q}\n      - {send: \"EHLO prober\\r\"}\n      - {expect: \"^250[- ]STARTTLS\"}\n      - {expect: \"^250 \"}\n      - {send: \"STARTTLS\\r\"}\n      - {expect: \"^220\"}\n      - {starttls: true}\n", greeting)
	b.WriteString("      - {send: \"EHLO prober\\r\"}\n")
	if auth {
		b.WriteString("      - {expect: \"^250[- ]AUTH\"}\n")
	}
	b.WriteString("      - {expect: \"^250 \"}\n")
	if more != "" {
		fmt.Fprintf(&b, "      - {send: %q}\n      - {expect: %q}\n", more+"\r", answer)
	}
	b.WriteString("      - {send: \"QUIT\\r\"}\n")
	return b.String()
}

// startBlackbox starts one with these modules.
func startBlackbox(t testing.TB, dir string, modules ...string) (string, *daemon) {
	t.Helper()
	file := write(t, filepath.Join(dir, "blackbox.yml"), 0o600, "modules:\n"+strings.Join(modules, ""))
	return startWeb(t, dir, "/-/healthy", func(address string) []string {
		return []string{blackbox, "--config.file=" + file, "--web.listen-address=" + address, "--log.level=error"}
	})
}

// exampleModule is smtp_starttls of the exporter's own example.yml, word for
// word, with the relay's name and authority added.
func exampleModule(ca, server string) string {
	return fmt.Sprintf(`  smtp_starttls:
    prober: tcp
    timeout: 5s
    tcp:
      tls_config: {ca_file: %q, server_name: %q}
      query_response:
      - expect: "^220 ([^ ]+) ESMTP (.+)$"
      - send: "EHLO prober\r"
      - expect: "^250-STARTTLS"
      - send: "STARTTLS\r"
      - expect: "^220"
      - starttls: true
      - send: "EHLO prober\r"
      - expect: "^250-AUTH"
      - send: "QUIT\r"
`, ca, server)
}

// plainly edits the first line of a server: ESMTP becomes SMTP, which RFC 5321
// allows. It returns the address to dial in place of the server's.
func plainly(t *testing.T, server string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				s, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer s.Close()
				wg.Go(func() {
					_, _ = io.Copy(s, client)
					s.Close()
				})
				r := bufio.NewReader(s)
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				_, _ = io.WriteString(client, strings.ReplaceAll(line, "ESMTP", "SMTP"))
				_, _ = io.Copy(client, r)
			})
		}
	})
	return l.Addr().String()
}

// besideRow is one state of the relay, and what is right to say of it: whether
// mail flows from a customer that uses SMTP AUTH, and whether somebody has to act.
type besideRow struct {
	name  string
	right string // the state of a monitoring plugin that is right
	set   string // a fault of the relay
	wrong bool   // another password
	ends  time.Duration
	open  bool // 25 takes mail of everybody here
	plain bool // greets without ESMTP
	port  int  // that the row is about
}

var besideRows = []besideRow{
	{name: "healthy", right: "OK", port: 587},
	{name: "AUTH refused (535)", right: "CRITICAL", wrong: true, port: 587},
	{name: "greeting without \"ESMTP\"", right: "OK", plain: true, port: 587},
	{name: "certificate ends in 10 days", right: "WARNING", ends: 10 * 24 * time.Hour, port: 587},
	{name: "STARTTLS stripped", right: "CRITICAL", set: "starttls-stripped", port: 587},
	{name: "25 refuses to relay, as it should", right: "OK", port: 25},
	{name: "25 relays for strangers", right: "CRITICAL", open: true, port: 25},
}

// TestBeside runs 'handoff check', check_smtp and blackbox_exporter against the
// same relay in the same states and prints what each said.
func TestBeside(t *testing.T) {
	const plugin = "/usr/lib/nagios/plugins/check_smtp"
	need(t, plugin, blackbox)
	columns := []string{"handoff check", "check_smtp", "blackbox_exporter, its example", "blackbox_exporter, AUTH or RCPT written out"}
	said := make([][]string, len(besideRows))
	t.Run("relay", func(t *testing.T) {
		for i, row := range besideRows {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				said[i] = row.ask(t, plugin)
			})
		}
	})
	var table strings.Builder
	fmt.Fprintf(&table, "| the relay | right is | %s |\n|---|---|---|---|---|---|\n", strings.Join(columns, " | "))
	for i, row := range besideRows {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", row.name, row.right, strings.ReplaceAll(strings.Join(said[i], " | "), "<", `\<`))
	}
	t.Logf("what each said:\n%s", table.String())
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range strings.Split(strings.TrimSpace(table.String()), "\n")[2:] {
		if !slices.ContainsFunc(strings.Split(string(readme), "\n"), func(l string) bool { return states(l) == states(row) }) {
			t.Errorf("the README's table has no row with the states of this one:\n%s", row)
		}
	}
}

// states is a row of the table with the first words of each cell.
func states(row string) string {
	cells := strings.Split(row, " | ")
	for i, c := range cells[1:] {
		c = strings.TrimPrefix(c, "probe_success ")
		if f := strings.FieldsFunc(c, func(r rune) bool { return r == ' ' || r == ',' || r == '|' }); len(f) > 0 {
			cells[i+1] = f[0]
		}
	}
	return strings.Join(cells, " | ")
}

// ask sets a relay up and gives the words of each check about it.
func (row besideRow) ask(t *testing.T, plugin string) []string {
	dir := t.TempDir()
	var opts []relay.Option
	if row.ends > 0 {
		// A certificate is made for 90 days; this clock stands when it was made.
		opts = append(opts, relay.WithClock(relay.NewManual(time.Now().Add(row.ends-90*24*time.Hour+time.Hour))))
	}
	clock := relay.NewOffset()
	if row.open {
		opts = append(opts, relay.WithClock(clock))
	}
	d := relay.Start(t, opts...)
	if row.set != "" {
		if err := d.Set(row.set); err != nil {
			t.Fatal(err)
		}
	}
	if row.open {
		if _, err := d.Apply("sender add 127.0.0.0/8"); err != nil {
			t.Fatal(err)
		}
		clock.Advance(61 * time.Minute) // the article's propagation
	}
	p25, p587 := d.Addr(relay.PortServer), d.Addr(relay.PortAuth)
	if row.plain {
		p25, p587 = plainly(t, p25), plainly(t, p587)
	}
	password := d.Credential.Password
	if row.wrong {
		password = "not-the-password"
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := d.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	pw := write(t, filepath.Join(dir, "pw"), 0o600, password+"\n")

	var said []string
	r := run(t, "", program, "check", "-H", d.ServerName(), "--connect", "25="+p25, "--connect", "587="+p587, "--ca", ca,
		"--user", d.Credential.Username, "--password-file", pw, "--from", d.From, "--to", d.To)
	ours := statusLine(r)
	said = append(said, ours)
	if state, _, _ := strings.Cut(ours, " "); state != row.right {
		t.Errorf("%s: handoff check says %q, right is %s", row.name, ours, row.right)
	}

	address := p587
	args := []string{"-S", "-D", "14,7"}
	login, answer := "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+d.Credential.Username+"\x00"+password)), "^235"
	if row.port == 25 {
		address = p25
		args = []string{"-S", "-f", d.From, "-C", "RCPT TO:<" + d.To + ">", "-R", "250"}
		login, answer = "MAIL FROM:<"+d.From+">\r\nRCPT TO:<"+d.To+">", "^250 2.1.5"
	} else if row.ends == 0 {
		args = []string{"-S", "-A", "LOGIN", "-U", d.Credential.Username, "-P", password}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	said = append(said, statusLine(run(t, "", plugin, append([]string{"-H", host, "-p", port, "-F", "mail.customer.example"}, args...)...)))

	web, _ := startBlackbox(t, dir, exampleModule(ca, d.ServerName()), blackboxModule("more", ca, d.ServerName(), "^220", login, answer, row.port == 587))
	for _, m := range []string{"smtp_starttls", "more"} {
		text := string(fetch(t, "http://"+web+"/probe?module="+m+"&target="+address))
		_, value, _ := strings.Cut(text, "\nprobe_success ")
		word := "probe_success " + value[:1]
		if row.ends > 0 && strings.Contains(text, "\nprobe_ssl_earliest_cert_expiry ") {
			word += ", the date for a rule"
		}
		said = append(said, word)
	}
	return said
}

// changing is what differs from run to run: dates and times.
var changing = regexp.MustCompile(`,? (- )?[0-9.]+ sec\. response time| \([A-Z][a-z]{2} [A-Z][a-z]{2} .*\)\.$`)

// statusLine is the first line of a plugin without the service's name, times and
// perfdata.
func statusLine(r result) string {
	line, _, _ := strings.Cut(r.stdout, "\n")
	line, _, _ = strings.Cut(line, "|")
	line = strings.TrimPrefix(strings.TrimSpace(line), "SMTP ")
	line = changing.ReplaceAllString(line, "")
	return strings.Replace(line, " - ", " ", 1)
}
