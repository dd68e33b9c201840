package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/probe"
)

// Every probe of the process but those of a relay inside it shares the spacing,
// the scrapes of 'handoff serve' and the targets of 'handoff check' among them.
func TestProbesOfAProcessAreSpaced(t *testing.T) {
	p := &program{stdin: nil, stdout: io.Discard, stderr: io.Discard, now: time.Now}
	for _, inProcess := range []bool{false, true} {
		j := &job{
			target: probe.Target{Host: "192.0.2.1", Ports: []int{25}}, intent: analyze.IntentAuth, noSurvey: true, inProcess: inProcess,
			options: probe.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody is there") }},
		}
		if _, _, err := p.runJob(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		if (j.options.Pacer == &p.pacer) == inProcess {
			t.Errorf("in process %v: spaced by %p, not %p", inProcess, j.options.Pacer, &p.pacer)
		}
	}
}

// The equal lines of other programs walk the same road, and none of them has or
// reads the password.
func TestAsCommand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{
			[]string{"outbound-us1.ppe-hosted.com", "--user", "u ser", "--password-file", "/nonexistent", "--from", "a@b.example", "--to", "c@d.example", "--to", "e@d.example"},
			[]string{
				"handoff probe outbound-us1.ppe-hosted.com --user 'u ser' --password-file ... --from a@b.example --to c@d.example --to e@d.example",
				"swaks --server outbound-us1.ppe-hosted.com --port 25 --tls-optional --tls-verify --from a@b.example --to c@d.example,e@d.example --pipeline --quit-after RCPT",
				"openssl s_client -starttls smtp -crlf -quiet -connect outbound-us1.ppe-hosted.com:25 -servername outbound-us1.ppe-hosted.com -verify_hostname outbound-us1.ppe-hosted.com",
				"swaks --server outbound-us1.ppe-hosted.com --port 587 --tls --tls-verify --auth PLAIN,LOGIN,CRAM-MD5 --auth-user 'u ser' --from a@b.example --to c@d.example,e@d.example --pipeline --quit-after RCPT",
				"openssl s_client -starttls smtp -crlf -quiet -connect outbound-us1.ppe-hosted.com:587 -servername outbound-us1.ppe-hosted.com -verify_hostname outbound-us1.ppe-hosted.com",
			},
		},
		{
			[]string{"relay.example", "--ports", "465", "--connect", "465=127.0.0.1:2465", "--ca", "ca.pem", "--helo", "c.example", "--no-pipelining", "--send", "--from", "a@b.example", "--to", "c@d.example"},
			[]string{
				"handoff probe relay.example --ports 465 --connect 465=127.0.0.1:2465 --ca ca.pem --helo c.example --no-pipelining --send --from a@b.example --to c@d.example",
				"swaks --server 127.0.0.1 --port 2465 --tls-on-connect --tls-verify --tls-ca-path ca.pem --ehlo c.example --from a@b.example --to c@d.example",
				"openssl s_client -crlf -quiet -connect 127.0.0.1:2465 -servername relay.example -verify_hostname relay.example -CAfile ca.pem",
			},
		},
		{
			[]string{"relay.example", "--ports", "587", "--user", "u", "--password-command", "print secret"},
			[]string{
				"handoff probe relay.example --ports 587 --user u --password-command ...",
				"swaks --server relay.example --port 587 --tls --tls-verify --auth PLAIN,LOGIN,CRAM-MD5 --auth-user u --pipeline --quit-after AUTH",
				"openssl s_client -starttls smtp -crlf -quiet -connect relay.example:587 -servername relay.example -verify_hostname relay.example",
			},
		},
	} {
		var out, errs bytes.Buffer
		code := Run(context.Background(), append([]string{"probe", "--as-command"}, c.args...), nil, &out, &errs)
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if code != exitOK || !slices.Equal(got, c.want) {
			t.Errorf("exit %d, %s\ngot  %s\nwant %s", code, errs.String(), strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}
