package relay_test

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// With -postfix25 and -postfix587, the addresses of a real Postfix that is set
// up like the service, the golden replies are recorded from it; with
// -postfixlive they are compared with ours at once, as .ci/run does.
var (
	postfix25   = flag.String("postfix25", "", "address of a real Postfix for port 25: record its replies")
	postfix587  = flag.String("postfix587", "", "address of a real Postfix for port 587: record its replies")
	postfixLive = flag.Bool("postfixlive", false, "compare with the real Postfix and record nothing")
	postfixPass = flag.String("postfixsecret", "pw1", "password of that user")
	postfixUser = flag.String("postfixuser", "alerts@customer.example", "user that logs in there")
	postfixNo   = flag.String("postfixno", "", "address of a real Postfix that refuses clients at connect: record its replies")
)

const parityGolden = "testdata/postfix-3.7.golden"

// dialogues are what both servers are told. "TLS" shakes hands; CRLF inside a
// line makes a pipelined group whose replies are counted by its lines.
func dialogues() []dialogue {
	return []dialogue{
		{"the wrong port", 25, []string{
			"EHLO c.example", "AUTH PLAIN AGEAYg==", "AUTH LOGIN", "AUTH",
			"MAIL FROM:<alerts@customer.example>", "RCPT TO:<bob@recipient.example>", "DATA", "RSET", "QUIT",
		}},
		{"order", 25, []string{
			"RCPT TO:<bob@recipient.example>", "DATA", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>", "DATA",
			"RSET", "RSET now", "DATA now", "NOOP", "NOOP x", "VRFY", "VRFY alice@customer.example", "VRFY <alice@customer.example>", "VRFY bob@recipient.example", "VRFY nobody@customer.example", "VRFY bob", "HELO", "EHLO", "HELO c.example", "QUIT",
		}},
		{"syntax of MAIL", 25, []string{
			"EHLO c.example", "MAIL", "MAIL FROM", "MAIL FROM:", "MAIL TO:<a@b.example>", "MAIL FROM:<a b@c.example>", "MAIL FROM:<a@b.example",
			"MAIL FROM:<@>", "MAIL FROM:<a@>", "MAIL FROM:<a@b.example> FOO=1", "MAIL FROM:<a@b.example> FOO", "MAIL FROM:<a@b.example> SIZE=x",
			"MAIL FROM:<a@b.example> SIZE=", "MAIL FROM:<a@b.example> SIZE=99999999999", "MAIL FROM:<a@b.example> SIZE=104857601",
		}},
		{"syntax of MAIL, again", 25, []string{
			"EHLO c.example",
			"MAIL FROM:<a@b.example> BODY=9BIT", "MAIL FROM:<a@b.example> RET=SOME", "MAIL FROM:<a@b.example> ENVID=", "MAIL FROM:<a@b.example> AUTH=<>",
			"MAIL FROM:<a@b.example> BODY=8BITMIME SIZE=100 RET=HDRS ENVID=x SMTPUTF8", "RSET",
			"MAIL FROM: <a@b.example>", "RSET", "MAIL FROM:a@b.example", "RSET", "MAIL FROM:<>", "RSET", "mail from:<\"a b\"@c.example>", "RSET",
		}},
		{"syntax of RCPT", 25, []string{
			"EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT", "RCPT TO", "RCPT TO:", "RCPT TO:<>", "RCPT FROM:<a@b.example>", "RCPT TO:<a b@c.example>",
			"RCPT TO:<a@customer.example> FOO=1", "RCPT TO:<alice@customer.example> NOTIFY=X", "RCPT TO:<alice@customer.example> NOTIFY=NEVER",
			"RCPT TO:<alice@customer.example> ORCPT=", "RCPT TO:<alice@customer.example> ORCPT=rfc822;alice@customer.example",
		}},
		{"routes", 25, []string{
			"EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<a%b@customer.example>", "RCPT TO:<a@b@c.example>", "RCPT TO:<bob>", "RCPT TO:<@x.example:y@z.example>",
			"RCPT TO:<x!y@recipient.example>", "RCPT TO:<\"a@b\"@c.example>", "RCPT TO:<bob@[192.0.2.1]>", "RCPT TO:<Bob@Recipient.Example>", "RCPT TO: <bob@recipient.example>",
			"RCPT TO:bob@recipient.example", "RCPT TO:<nobody@customer.example>",
		}},
		{"inbound", 25, []string{
			"EHLO c.example", "MAIL FROM:<stranger@elsewhere.example>", "RCPT TO:<alice@customer.example>", "RCPT TO:<bob@recipient.example>",
			"RCPT TO:<nobody@customer.example>", "DATA", "Subject: x\r\n\r\nhello\r\n.",
		}},
		{"unknown verbs", 25, []string{
			"", "FOO", "FOO bar", "EXPN a", "HELP", "TURN", "SEND FROM:<a@b.example>", "ETRN", "ETRN customer.example", "ETRN elsewhere.example", "XCLIENT ADDR=192.0.2.1", "XFORWARD NAME=x", "MAI", "QUI",
		}},
		{"a web client", 25, []string{"GET / HTTP/1.1"}},
		{"a header", 25, []string{"Subject: hello"}},
		{"an error too many", 25, []string{
			"E", "E", "E", "E", "E", "E", "E", "E", "E", "E",
			"E", "E", "E", "E", "E", "E", "E", "E", "E", "E", "NOOP",
		}},
		{"STARTTLS on 25", 25, []string{
			"STARTTLS now", "STARTTLS", "TLS", "EHLO c.example", "STARTTLS", "AUTH PLAIN AGEAYg==", "MAIL FROM:<a@b.example>", "RCPT TO:<bob@recipient.example>", "QUIT",
		}},
		{"BDAT outside a transaction", 25, []string{"EHLO c.example", "BDAT 7\r\nhello\r\n", "BDAT 7 LAST\r\nhello\r\n", "BDAT 0 LAST", "NOOP"}},
		{"BDAT without recipients", 25, []string{"EHLO c.example", "MAIL FROM:<a@b.example>", "BDAT 7\r\nhello\r\n", "BDAT 7 LAST\r\nhello\r\n", "NOOP"}},
		{"BDAT without a count", 25, []string{"EHLO c.example", "BDAT", "NOOP"}},
		{"BDAT with a bad count", 25, []string{"EHLO c.example", "BDAT x", "NOOP"}},
		{"BDAT with a negative count", 25, []string{"EHLO c.example", "BDAT -1", "NOOP"}},
		{"BDAT with a bad word", 25, []string{"EHLO c.example", "BDAT 1 FIRST", "NOOP"}},
		{"BDAT with too much", 25, []string{"EHLO c.example", "BDAT 1 LAST more", "NOOP"}},
		{"BDAT of nothing", 25, []string{"EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<alice@customer.example>", "BDAT 0", "NOOP"}},
		{"BDAT", 25, []string{
			"EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<alice@customer.example>", "BDAT 7\r\nhello\r\n", "MAIL FROM:<a@b.example>", "RCPT TO:<alice@customer.example>",
			"DATA", "NOOP", "BDAT 0 LAST", "MAIL FROM:<a@b.example>", "RCPT TO:<alice@customer.example>", "BDAT 7 LAST\r\nhello\r\n",
			"MAIL FROM:<a@b.example>", "RCPT TO:<alice@customer.example>", "BDAT 7\r\nhello\r\n", "RSET", "DATA", "QUIT",
		}},
		{"refused at connect", 26, []string{
			"EHLO c.example", "HELO c.example", "STARTTLS", "AUTH PLAIN AGEAYg==", "MAIL FROM:<a@b.example>", "MAIL", "RCPT TO:<alice@customer.example>", "DATA", "NOOP", "RSET", "FOO", "", "QUIT",
		}},
		{"refused at connect, a web client", 26, []string{"GET / HTTP/1.1"}},
		{"a web client on 587", 587, []string{"POST / HTTP/1.1"}},
		{"587 before TLS", 587, []string{
			"MAIL FROM:<a@b.example>", "EHLO c.example", "AUTH PLAIN AGEAYg==", "AUTH", "AUTH LOGIN", "MAIL FROM:<a@b.example>", "MAIL", "RCPT TO:<a@b.example>", "DATA",
			"RSET", "VRFY a", "BDAT 0 LAST", "ETRN x", "NOOP", "HELP", "VRFY", "MAIL FROM:<a b>", "BDAT x", "STARTTLS x", "HELO c.example", "QUIT",
		}},
		{"587 before TLS, unknown verbs", 587, []string{"FOO", "MAI", "", "XCLIENT ADDR=192.0.2.1", "QUIT"}},
		{"587 without login", 587, []string{
			"EHLO c.example", "STARTTLS", "TLS", "EHLO c.example", "STARTTLS", "STARTTLS x", "MAIL FROM:<alerts@customer.example>", "RCPT TO:<bob@recipient.example>", "AUTH PLAIN AGEAYg==", "RSET",
		}},
		{"logins that fail", 587, []string{
			"EHLO c.example", "STARTTLS", "TLS", "AUTH PLAIN AGEAYg==", "EHLO c.example", "AUTH", "AUTH PLAIN AGEAYg== more", "AUTH GSSAPI", "AUTH PLAIN !!!", "AUTH PLAIN !!!!", "AUTH PLAIN b25lIHBhcnQ=",
			"AUTH PLAIN", "*", "AUTH PLAIN", "!!!", "AUTH PLAIN =", "AUTH PLAIN AGEAYg==", "AUTH LOGIN", "*", "AUTH LOGIN", "YQ==", "Yg==", "AUTH LOGIN YQ==", "Yg==",
		}},
		{"a login", 587, []string{
			"EHLO c.example", "STARTTLS", "TLS", "EHLO c.example",
			"AUTH PLAIN " + plain(*postfixUser, *postfixPass), "AUTH PLAIN " + plain(*postfixUser, *postfixPass),
			"MAIL FROM:<alerts@customer.example>", "AUTH LOGIN", "RCPT TO:<bob@recipient.example>", "DATA", "Subject: x\r\n\r\nhello\r\n.",
			"MAIL FROM:<alerts@customer.example>\r\nRCPT TO:<bob@recipient.example>\r\nDATA", ".", "QUIT",
		}},
		{"a login by LOGIN", 587, []string{
			"EHLO c.example", "STARTTLS", "TLS", "EHLO c.example", "AUTH LOGIN", b64(*postfixUser), b64(*postfixPass), "QUIT",
		}},
	}
}

type dialogue struct {
	name  string
	port  int
	lines []string
}

// parityDiffers are the replies that differ on purpose.
var parityDiffers = []struct {
	command, postfix, why string
}{
	{"VRFY alice@customer.example", "252 2.0.0 alice@customer.example", vrfy},
	{"VRFY bob@recipient.example", "554 5.7.1 <bob@recipient.example>: Relay access denied", vrfy},
	{"VRFY nobody@customer.example", "550 5.1.1 <nobody@customer.example>: Recipient address rejected: User unknown in relay recipient table", vrfy},
	{"VRFY bob", "554 5.7.1 <bob>: Relay access denied", vrfy},
	{"AUTH GSSAPI", "535 5.7.8 Error: authentication failed: no mechanism available", "the table has the words of a Dovecot back end (U5, assumed)"},
}

const vrfy = "the table makes no oracle of VRFY (G6)"

// converse says the lines to a server and returns the dialogue.
func converse(t *testing.T, address string, config *tls.Config, lines []string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	out := []string{"< " + c.reply()}
	for _, line := range lines {
		if line == "TLS" {
			tc := tls.Client(conn, config)
			if err := tc.Handshake(); err != nil {
				t.Fatal(err)
			}
			c.conn, c.r = tc, bufio.NewReader(tc)
			out = append(out, "> TLS")
			continue
		}
		n := 1
		if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "EHLO") {
			n += strings.Count(line, "\r\n")
		}
		if !strings.HasPrefix(line, "BDAT") || !strings.Contains(line, "\r\n") {
			line += "\r\n"
		}
		_, _ = c.conn.Write([]byte(line))
		line = strings.TrimSuffix(line, "\r\n")
		out = append(out, "> "+strings.ReplaceAll(line, "\r\n", "|"))
		for range n {
			reply := queued.ReplaceAllString(c.reply(), "queued as ID")
			out = append(out, "< "+strings.ReplaceAll(reply, "\n", "\n  "))
			if strings.HasSuffix(reply, "[closed]") || strings.HasSuffix(reply, "[broken]") {
				return out
			}
		}
	}
	return out
}

var queued = regexp.MustCompile(`queued as \S+`)

// Every reply of these dialogues, code, enhanced code and text, is the one that
// Postfix 3.7 gave to the same lines, but for the differences that are listed.
func TestParityWithPostfix(t *testing.T) {
	real := *postfix25 != "" && *postfix587 != ""
	record := real && !*postfixLive
	d, refusing := parityRelay(t), parityRelay(t)
	if _, err := refusing.Apply("fault set client-refused"); err != nil {
		t.Fatal(err)
	}
	var golden strings.Builder
	theirs := readParity(t)
	same, differ, refusals := 0, 0, 0
	there := map[int]string{25: *postfix25, 26: *postfixNo, 587: *postfix587}
	for _, dia := range dialogues() {
		if real {
			theirs[dia.name] = converse(t, there[dia.port], &tls.Config{InsecureSkipVerify: true}, dia.lines)
		}
		if record {
			fmt.Fprintf(&golden, "-- %d %s --\n%s\n", dia.port, dia.name, strings.Join(theirs[dia.name], "\n"))
			continue
		}
		address := d.Addr(dia.port)
		if dia.port == 26 {
			address = refusing.Addr(25)
		}
		ours := converse(t, address, tlsClient(d), dia.lines)
		want := theirs[dia.name]
		if len(want) == 0 {
			t.Errorf("%s: nothing recorded", dia.name)
			continue
		}
		command := ""
		for i := range max(len(ours), len(want)) {
			get := func(l []string) string {
				if i < len(l) {
					return l[i]
				}
				return "(nothing)"
			}
			o, w := get(ours), get(want)
			if strings.HasPrefix(w, "> ") && o == w {
				command = w
				continue
			}
			if w >= "< 4" && w != "(nothing)" {
				refusals++
			}
			if o == w || gone(o) && gone(w) {
				same++
				continue
			}
			known := false
			for _, k := range parityDiffers {
				known = known || "> "+k.command == command && "< "+k.postfix == w
			}
			if !known {
				t.Errorf("%s, after %s\n   ours %s\nPostfix %s", dia.name, command, o, w)
			}
			differ++
		}
	}
	if record {
		if err := os.WriteFile(parityGolden, []byte(golden.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Logf("%d replies equal Postfix's, %d differ; %d of all are refusals", same, differ, refusals)
	if differ != len(parityDiffers) {
		t.Errorf("%d replies differ, %d are listed", differ, len(parityDiffers))
	}
}

// gone says that the connection was closed; by FIN or by RST is a race of the
// kernel's when there are commands that nobody read.
func gone(s string) bool { return s == "< [closed]" || s == "< [broken]" }

// parityRelay is set up like the recorded Postfix.
func parityRelay(t *testing.T) *relay.Relay {
	t.Helper()
	a := policy.NewAccount("parity")
	a.Propagation = 0
	now := relay.System.Now()
	if _, err := policy.ApplyAll(a, []string{
		"domain add customer.example --inbound --outbound",
		"user add alice@customer.example --kind end_user",
		"user add alerts@customer.example --kind functional",
		"cred new x --user " + *postfixUser + " --password " + policy.Quote(*postfixPass),
	}, now); err != nil {
		t.Fatal(err)
	}
	r := relay.New(a, relay.WithLimits(relay.Limits{BadAuth: 100}))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func readParity(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(parityGolden)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	name := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "-- "); ok {
			_, name, _ = strings.Cut(strings.TrimSuffix(rest, " --"), " ")
			continue
		}
		if strings.HasPrefix(line, "  ") {
			out[name][len(out[name])-1] += "\n" + line
			continue
		}
		out[name] = append(out[name], line)
	}
	return out
}
