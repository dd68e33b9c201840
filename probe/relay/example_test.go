package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/relay"
	"github.com/smtp-handoff/handoff/probe/relay/bounce"
)

// Test a sender of your own: here net/smtp of the standard library, which sends
// with a From that nobody registered.
func Example() {
	d, err := relay.NewDemo()
	if err != nil {
		panic(err)
	}
	if err := d.Start(); err != nil {
		panic(err)
	}
	defer d.Close()

	conn, err := net.Dial("tcp", d.Addr(587))
	if err != nil {
		panic(err)
	}
	c, err := smtp.NewClient(conn, d.ServerName())
	if err != nil {
		panic(err)
	}
	if err := c.StartTLS(&tls.Config{RootCAs: d.RootCAs(), ServerName: d.ServerName()}); err != nil {
		panic(err)
	}
	if err := c.Auth(smtp.PlainAuth("", d.Credential.Username, d.Credential.Password, d.ServerName())); err != nil {
		panic(err)
	}
	if err := c.Mail("scanner@customer.example"); err != nil {
		panic(err)
	}
	var refused *textproto.Error
	if errors.As(c.Rcpt("bob@recipient.example"), &refused) {
		fmt.Println("the sender sees:", refused.Code)
	}

	session := d.Log()[0]
	decided, _ := session.Decided()
	fmt.Println("the relay knows:", decided.Rule, decided.Basis)
	// Output:
	// the sender sees: 554
	// the relay knows: C4 A16
}

// A relay for the length of a test, with a clock in a bubble: the hour that a
// new credential takes costs no time.
func ExampleStart() {
	test := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := relay.Start(t, relay.InMemory())
			if _, err := d.Apply("cred new copier --user copier@customer.example --password secret"); err != nil {
				t.Fatal(err)
			}
			// Use d.DialContext and d.LookupNetIP in the sender; refused by now.
			time.Sleep(time.Hour)
			// Accepted from now on.
		})
	}
	_ = test
}

// Settings are changed in the service's own words, and faults too; a preset
// changes several at once.
func ExampleRelay_Apply() {
	clock := relay.NewManual(time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC))
	d, err := relay.NewDemo(relay.InMemory(), relay.WithClock(clock))
	if err != nil {
		panic(err)
	}
	for _, statement := range []string{
		"user add scanner@customer.example --kind functional",
		"domain set customer.example force-auth on",
		"fault set slow 2s --first 3",
		"clock +60m",
		"user list",
	} {
		res, err := d.Apply(statement)
		if err != nil {
			panic(err)
		}
		for _, line := range res.Lines {
			fmt.Println(line)
		}
	}
	// Output:
	// alerts@customer.example  functional  live
	// alice@customer.example  end_user  live  aliases sales@customer.example
	// scanner@customer.example  functional  live
}

// A scenario file says what is set up, what is said and what is true.
func ExampleParseFile() {
	f, err := relay.ParseFile("force-auth.txt", []byte(`
-- setup --
healthy
scenario force-auth
-- dialog 25 from 203.0.113.9 --
> EHLO c.example
< 250
> MAIL FROM:<alerts@customer.example>
< 250
> RCPT TO:<bob@recipient.example>
< 554 5.7.1
rule P2
-- truth --
verdict refused stage envelope party relay-config
causes force-auth
rule P2 cite A10
`))
	if err != nil {
		panic(err)
	}
	res, err := f.Run(context.Background(), relay.RunOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println("holds:", res.OK())
	// Output:
	// holds: true
}

// A session that somebody's report tells of can be met again.
func ExampleReplay() {
	reported := transcript.Session{
		Server: "outbound-us1.ppe-hosted.com", Port: 587,
		Exchanges: []transcript.Exchange{{
			Stage: transcript.StageAuth, Command: "AUTH PLAIN [secret-1]",
			Reply: transcript.Reply{Code: 535, Enhanced: "5.7.8", Lines: []string{"535 5.7.8 Error: authentication failed: authentication failure"}},
		}},
	}
	p := relay.Replay(reported)
	if err := p.Start(); err != nil {
		panic(err)
	}
	defer p.Close()
	w, err := relay.World(time.Now())
	if err != nil {
		panic(err)
	}
	session := relay.TryAt(context.Background(), p, relay.Attempt{Client: w.Client})
	x, _ := session.FirstFailure()
	fmt.Println(x.Stage, x.Reply.Lines[0])
	// Output:
	// auth 535 5.7.8 Error: authentication failed: authentication failure
}

// A sender that takes a dialler needs no network and no name service.
func ExampleRelay_DialContext() {
	d, err := relay.NewDemo(relay.InMemory())
	if err != nil {
		panic(err)
	}
	if err := d.Start(); err != nil {
		panic(err)
	}
	defer d.Close()

	conn, err := d.DialContext(context.Background(), "tcp", "outbound-us1.ppe-hosted.com:587")
	if err != nil {
		panic(err)
	}
	c, err := smtp.NewClient(conn, d.ServerName())
	if err != nil {
		panic(err)
	}
	before, _ := c.Extension("AUTH")
	if err := c.StartTLS(&tls.Config{RootCAs: d.RootCAs(), ServerName: d.ServerName()}); err != nil {
		panic(err)
	}
	after, mechanisms := c.Extension("AUTH")
	if err := c.Quit(); err != nil {
		panic(err)
	}
	fmt.Println("AUTH before TLS:", before)
	fmt.Println("AUTH after TLS:", after, mechanisms)
	fmt.Println("sessions in the log:", len(d.Log()))
	// Output:
	// AUTH before TLS: false
	// AUTH after TLS: true PLAIN LOGIN
	// sessions in the log: 1
}

// What would Exim have written about a scenario?
func Example_report() {
	s, _ := relay.FindScenario("functional-missing")
	now := time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)
	w, err := relay.World(now, s)
	if err != nil {
		panic(err)
	}
	r := relay.New(w.Account, relay.InMemory(), relay.WithClock(relay.NewManual(now)))
	if err := r.Start(); err != nil {
		panic(err)
	}
	defer r.Close()
	session := r.Try(context.Background(), relay.Attempt{Client: w.Client})
	report, err := bounce.Compose(bounce.Exim, session, bounce.Options{})
	if err != nil {
		panic(err)
	}
	text, err := bounce.Mutate(report, "text-only")
	if err != nil {
		panic(err)
	}
	fmt.Print(string(text))
	// Output:
	// This message was created automatically by mail delivery software.
	//
	// The message that you sent failed for good for one or more recipients.
	// The addresses and what was said:
	//
	//   bob@recipient.example
	//     host outbound-us1.ppe-hosted.com [192.0.2.25]
	//     SMTP error from remote mail server after RCPT TO:<bob@recipient.example>:
	//     554 5.7.1 <bob@recipient.example>: Relay access denied
}
