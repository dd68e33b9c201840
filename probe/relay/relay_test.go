package relay_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// A whole healthy session on 587, over TCP and in memory, each reply compared.
func TestHealthySession(t *testing.T) {
	run := func(t *testing.T, opts ...relay.Option) {
		d := relay.Start(t, opts...)
		c, banner := dial(t, d.Relay, 587)
		if banner != "220 mx1-us1.ppe-hosted.com ESMTP PPE Hosted ESMTP Server" {
			t.Errorf("banner %q", banner)
		}
		c.want("EHLO client.example", strings.Join([]string{
			"250-mx1-us1.ppe-hosted.com", "250-PIPELINING", "250-SIZE 104857600", "250-VRFY", "250-ETRN",
			"250-STARTTLS", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-DSN", "250-SMTPUTF8", "250 CHUNKING",
		}, "\n"))
		c.starttls(d.Relay)
		c.want("EHLO client.example", strings.Join([]string{
			"250-mx1-us1.ppe-hosted.com", "250-PIPELINING", "250-SIZE 104857600", "250-VRFY", "250-ETRN",
			"250-AUTH PLAIN LOGIN", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-DSN", "250-SMTPUTF8", "250 CHUNKING",
		}, "\n"))
		c.want("AUTH PLAIN "+plain(d.Credential.Username, d.Credential.Password), "235 2.7.0 Authentication successful")
		c.want("MAIL FROM:<"+d.From+"> SIZE=100", "250 2.1.0 Ok")
		c.want("RCPT TO:<bob@recipient.example>", "250 2.1.5 Ok")
		c.want("DATA", "354 End data with <CR><LF>.<CR><LF>")
		if got := c.say("Subject: hello\r\n\r\n..dot\r\n."); !strings.HasPrefix(got, "250 2.0.0 Ok: queued as ") {
			t.Errorf("final dot: %q", got)
		}
		c.want("QUIT", "221 2.0.0 Bye")
		if got := c.reply(); got != "[closed]" {
			t.Errorf("after QUIT: %q", got)
		}
		log := d.Log()
		if len(log) != 1 {
			t.Fatalf("%d sessions in the log", len(log))
		}
		rec := log[0]
		var rules []string
		for _, dec := range rec.Decisions {
			rules = append(rules, string(dec.Rule))
		}
		if got := strings.Join(rules, " "); got != "G1 E2 T2 T2 E2 U6 G3 C8 G4 D4 G7" {
			t.Errorf("rules %s", got)
		}
		if len(rec.Session.Exchanges) != len(rec.Decisions) {
			t.Errorf("%d exchanges, %d decisions", len(rec.Session.Exchanges), len(rec.Decisions))
		}
		if rec.Session.TLS == nil || rec.Session.TLS.Version != "TLS 1.3" {
			t.Errorf("TLS facts: %+v", rec.Session.TLS)
		}
		for _, x := range rec.Session.Exchanges {
			if strings.Contains(x.Command, plain(d.Credential.Username, d.Credential.Password)) {
				t.Error("the log holds the password")
			}
		}
		ms := d.Messages()
		if len(ms) != 1 || ms[0].Sender != d.From || ms[0].Header("subject") != "hello" || ms[0].Login != d.Credential.Username {
			t.Errorf("messages: %+v", ms)
		}
	}
	t.Run("tcp", func(t *testing.T) { run(t) })
	t.Run("memory", func(t *testing.T) { run(t, relay.InMemory()) })
}

// The wait of the article costs no time: refused at once and at +59 min,
// accepted at +60 min, and the idle time-out of five minutes is heard.
func TestPropagationUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := relay.Start(t, relay.InMemory())
		res, err := d.Apply("cred new printer --user scanner@customer.example --password pw1")
		if err != nil || res.Shown == nil {
			t.Fatalf("cred new: %v", err)
		}
		login := func() string {
			c, _ := dial(t, d.Relay, 587)
			defer c.conn.Close()
			c.say("EHLO c.example")
			c.starttls(d.Relay)
			c.say("EHLO c.example")
			return c.say("AUTH PLAIN " + plain("scanner@customer.example", "pw1"))
		}
		const no = "535 5.7.8 Error: authentication failed: authentication failure"
		if got := login(); got != no {
			t.Errorf("at once: %q", got)
		}
		time.Sleep(59 * time.Minute)
		if got := login(); got != no {
			t.Errorf("+59 min: %q", got)
		}
		time.Sleep(time.Minute)
		if got := login(); got != "235 2.7.0 Authentication successful" {
			t.Errorf("+60 min: %q", got)
		}
		c, _ := dial(t, d.Relay, 25)
		began := time.Now()
		if got := c.reply(); got != "421 4.4.2 mx1-us1.ppe-hosted.com Error: timeout exceeded" {
			t.Errorf("idle: %q", got)
		}
		if took := time.Since(began); took != 300*time.Second {
			t.Errorf("idle after %v", took)
		}
	})
}

// The same with a standing clock that is advanced by hand.
func TestManualClock(t *testing.T) {
	clock := relay.NewManual(time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC))
	d := relay.Start(t, relay.InMemory(), relay.WithClock(clock))
	if _, err := d.Apply("user add new@customer.example --kind functional"); err != nil {
		t.Fatal(err)
	}
	c, _ := dial(t, d.Relay, 587)
	c.say("EHLO c.example")
	c.starttls(d.Relay)
	c.say("EHLO c.example")
	c.say("AUTH PLAIN " + plain(d.Credential.Username, d.Credential.Password))
	c.want("MAIL FROM:<new@customer.example>", "250 2.1.0 Ok")
	c.want("RCPT TO:<bob@recipient.example>", "554 5.7.1 <bob@recipient.example>: Relay access denied")
	if _, err := d.Apply("clock +60m"); err != nil {
		t.Fatal(err)
	}
	// An hour of silence has passed on this session too.
	if got := c.reply(); got != "421 4.4.2 mx1-us1.ppe-hosted.com Error: timeout exceeded" {
		t.Errorf("after the clock moved: %q", got)
	}
	rec := d.Log()[0]
	dec, i := rec.Decided()
	if i < 0 || dec.Rule != "C5" || dec.Basis != "A20" {
		t.Errorf("decided %+v at %d", dec, i)
	}
}

// Every refusal of a client on the wrong port and of one that forgets TLS or
// AUTH, in Postfix's words.
func TestRefusals(t *testing.T) {
	d := relay.Start(t)
	t.Run("25", func(t *testing.T) {
		c, _ := dial(t, d.Relay, 25)
		c.want("MAIL FROM:<alerts@customer.example>", "250 2.1.0 Ok") // before EHLO, as Postfix allows
		c.want("RSET", "250 2.0.0 Ok")
		if got := c.say("EHLO c.example"); strings.Contains(got, "AUTH") || !strings.Contains(got, "STARTTLS") {
			t.Errorf("EHLO on 25: %q", got)
		}
		c.want("AUTH PLAIN AGEAYg==", "503 5.5.1 Error: authentication not enabled")
		c.want("RCPT TO:<bob@recipient.example>", "503 5.5.1 Error: need MAIL command")
		c.want("DATA", "503 5.5.1 Error: need RCPT command")
		c.want("MAIL FROM:<alerts@customer.example>", "250 2.1.0 Ok")
		c.want("MAIL FROM:<alerts@customer.example>", "503 5.5.1 Error: nested MAIL command")
		c.want("RCPT TO:<bob@recipient.example>", "554 5.7.1 <bob@recipient.example>: Relay access denied")
		c.want("RCPT TO:<@relay.example:bob@recipient.example>", "554 5.7.1 <bob@recipient.example>: Relay access denied")
		c.want("DATA", "554 5.5.1 Error: no valid recipients")
		c.want("RCPT TO:<alice@customer.example>", "250 2.1.5 Ok")
		c.want("NOOP", "250 2.0.0 Ok")
		c.want("VERB", "500 5.5.2 Error: command not recognized")
		c.want("STARTTLS now", "501 5.5.4 Syntax: STARTTLS")
		c.want("MAIL", "503 5.5.1 Error: nested MAIL command")
		c.want("QUIT", "221 2.0.0 Bye")
	})
	t.Run("587 before TLS", func(t *testing.T) {
		c, _ := dial(t, d.Relay, 587)
		if got := c.say("EHLO c.example"); strings.Contains(got, "AUTH") {
			t.Errorf("AUTH offered before TLS: %q", got)
		}
		for _, line := range []string{"AUTH PLAIN AGEAYg==", "MAIL FROM:<a@b.example>", "RCPT TO:<a@b.example>", "DATA", "RSET", "VRFY a"} {
			c.want(line, "530 5.7.0 Must issue a STARTTLS command first")
		}
		c.want("NOOP", "250 2.0.0 Ok")
	})
	t.Run("587 inside TLS", func(t *testing.T) {
		c, _ := dial(t, d.Relay, 587)
		c.say("EHLO c.example")
		c.starttls(d.Relay)
		c.say("EHLO c.example")
		c.want("STARTTLS", "554 5.5.1 Error: TLS already active")
		c.want("MAIL FROM:<alerts@customer.example>", "250 2.1.0 Ok")
		c.want("RCPT TO:<alice@customer.example>", "554 5.7.1 <alice@customer.example>: Relay access denied")
		c.want("AUTH PLAIN AGEAYg==", "503 5.5.1 Error: MAIL transaction in progress")
		c.want("RSET", "250 2.0.0 Ok")
		c.want("AUTH", "501 5.5.4 Syntax: AUTH mechanism")
		c.want("AUTH GSSAPI", "535 5.7.8 Error: authentication failed: Invalid authentication mechanism")
		c.want("AUTH PLAIN !!!!", "535 5.7.8 Error: authentication failed: bad protocol / cancel")
		c.want("AUTH PLAIN", "334 ")
		c.want("*", "501 5.7.0 Authentication aborted")
		c.want("AUTH LOGIN", "334 VXNlcm5hbWU6")
		c.want("not base64!!", "535 5.7.8 Error: authentication failed: bad protocol / cancel")
		c.want("AUTH PLAIN "+b64("one part"), "535 5.7.8 Error: authentication failed: bad protocol / cancel")
		c.want("AUTH LOGIN", "334 VXNlcm5hbWU6")
		c.want(b64(d.Credential.Username), "334 UGFzc3dvcmQ6")
		c.want(b64("wrong"), "535 5.7.8 Error: authentication failed: authentication failure")
		c.want("AUTH LOGIN "+b64(d.Credential.Username), "334 UGFzc3dvcmQ6")
		c.want(b64(d.Credential.Password), "235 2.7.0 Authentication successful")
		c.want("AUTH PLAIN AGEAYg==", "503 5.5.1 Error: already authenticated")
	})
}

// Independent clients: go-smtp's own.
func TestGoSMTPClient(t *testing.T) {
	d := relay.Start(t)
	for _, client := range []sasl.Client{
		sasl.NewPlainClient("", d.Credential.Username, d.Credential.Password),
		sasl.NewLoginClient(d.Credential.Username, d.Credential.Password),
	} {
		conn, err := net.Dial("tcp", d.Addr(587))
		if err != nil {
			t.Fatal(err)
		}
		c, err := smtp.NewClientStartTLS(conn, tlsClient(d.Relay))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Auth(client); err != nil {
			t.Fatal(err)
		}
		if err := c.SendMail(d.From, []string{d.To}, strings.NewReader("Subject: x\r\n\r\ny\r\n")); err != nil {
			t.Fatal(err)
		}
		err = c.SendMail("stranger@elsewhere.example", []string{d.To}, strings.NewReader("x\r\n"))
		var se *smtp.SMTPError
		if !errors.As(err, &se) || se.Code != 554 {
			t.Errorf("foreign sender: %v", err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
	}
}

// The authority that is handed out signs the certificate that is shown, and
// the file form is the same one.
func TestAuthority(t *testing.T) {
	d := relay.Start(t)
	block, _ := pem.Decode(d.CAPEM())
	if block == nil {
		t.Fatal("no PEM")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !ca.IsCA {
		t.Fatalf("authority: %v", err)
	}
	c, _ := dial(t, d.Relay, 25)
	c.say("EHLO c.example")
	c.starttls(d.Relay)
	c.want("NOOP", "250 2.0.0 Ok")
}

// Nothing listens beyond loopback unless allowed.
func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		r := relay.New(policy.NewAccount("x"), relay.Listen(25, address))
		if err := r.Start(); !errors.Is(err, relay.ErrRemote) {
			t.Errorf("%s: %v", address, err)
		}
		r.Close()
	}
}

// A half-finished line is never executed, and the log says how it ended.
func TestCutLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := relay.Start(t, relay.InMemory())
		c, _ := dial(t, d.Relay, 25)
		c.say("EHLO c.example")
		if _, err := c.conn.Write([]byte("MAIL FROM:<alerts@customer.example>")); err != nil {
			t.Fatal(err)
		}
		c.conn.Close()
		synctest.Wait()
		rec := d.Log()[0]
		last := rec.Session.Exchanges[len(rec.Session.Exchanges)-1]
		if last.Fault != transcript.FaultClosed || strings.HasPrefix(last.Command, "MAIL") || rec.Open {
			t.Errorf("last exchange: %+v", last)
		}
	})
}

// A pipelined group is answered in order and in one go, and the log says so.
func TestPipelining(t *testing.T) {
	d := relay.Start(t, relay.InMemory())
	c, _ := dial(t, d.Relay, 25)
	c.say("EHLO c.example")
	send(c, "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@recipient.example>\r\nRCPT TO:<alice@customer.example>\r\nDATA\r\n")
	for _, want := range []string{
		"250 2.1.0 Ok", "554 5.7.1 <bob@recipient.example>: Relay access denied", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>",
	} {
		if got := c.reply(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var grouped []bool
	for _, x := range d.Log()[0].Session.Exchanges {
		grouped = append(grouped, x.Grouped)
	}
	if want := []bool{false, false, false, true, true, true}; !slices.Equal(grouped, want) {
		t.Errorf("grouped %v, want %v", grouped, want)
	}
}
