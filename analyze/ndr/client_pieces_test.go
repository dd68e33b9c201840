package ndr

import (
	"slices"
	"strings"
	"testing"
)

// Failures as clients tell them, each of another host.
const (
	swaksName = `=== Trying relay-a.example:587...
*** Error connecting to relay-a.example:587:
*** 	IO::Socket::INET: Bad hostname 'relay-a.example'
`
	swaksBusy = `=== Trying relay-b.example:25...
=== Connected to relay-b.example.
<** 421 4.3.2 All screening ports are busy
 -> QUIT
*** Remote host closed connection unexpectedly.
`
	curlName = `* Could not resolve host: relay-c.example
* Closing connection 0
curl: (6) Could not resolve host: relay-c.example
`
	curlBusy = `*   Trying 192.0.2.4:25...
* Connected to relay-d.example (192.0.2.4) port 25 (#0)
< 421 4.3.2 Service busy
* Closing connection 0
curl: (8) Got unexpected smtp-server response: 421
`
	debugName = `connect: to ('relay-e.example', 587) None
Traceback (most recent call last):
  File "/srv/app/send.py", line 14, in <module>
    s.connect(host, port)
socket.gaierror: [Errno -2] Name or service not known
`
	debugBusy = `connect: to ('relay-f.example', 25) None
reply: b'421 4.3.2 All screening ports are busy\r\n'
reply: retcode (421); Msg: b'4.3.2 All screening ports are busy'
connect: b'4.3.2 All screening ports are busy'
`
	postfixBelow = `This is the mail system at host mail.customer.example.

<desk@partner.example>: host relay-g.example[192.0.2.7] said: 554 5.7.1
    <desk@partner.example>: Relay access denied (in reply to RCPT TO command)
`
	msmtpRefused = `msmtp: recipient address desk@partner.example not accepted by the server
msmtp: server message: 554 5.7.1 <desk@partner.example>: Relay access denied
msmtp: could not send mail
`
	msmtpName = `msmtp: cannot locate host relay-h.example: Name or service not known
msmtp: could not send mail
`
	goName    = "2026/05/04 10:47:03 send mail: dial tcp: lookup relay-i.example on 192.0.2.53:53: no such host\n"
	goRefused = "2026/05/04 10:48:08 send mail: 502 \"5.5.1 Error: command not implemented\"\n"
)

// TestClientPieces pastes two failures one below the other: each is read as if
// it stood alone, so no host gets the reply of the other.
func TestClientPieces(t *testing.T) {
	for _, tt := range []struct{ name, above, below string }{
		{"swaks twice", swaksName + "\n", swaksBusy},
		{"swaks twice, turned", swaksBusy + "\n", swaksName},
		{"curl twice", curlName + "\n", curlBusy},
		{"curl twice, turned", curlBusy + "\n", curlName},
		{"smtplib twice", debugName + "\n", debugBusy},
		{"smtplib, swaks", debugName + "\n\n", swaksBusy},
		{"swaks, curl", swaksName + "\n", curlBusy},
		{"msmtp twice", msmtpRefused, msmtpName},
		{"msmtp twice, turned", msmtpName, msmtpRefused},
		{"msmtp twice, apart", msmtpRefused + "\n", msmtpName},
		{"Go twice", goName, goRefused},
		{"Go twice, turned", goRefused, goName},
		{"Postfix, swaks", postfixBelow + "\n", swaksBusy},
		{"Postfix, smtplib", postfixBelow + "\n", debugName},
		{"curl, Postfix", curlName + "\n", postfixBelow},
		{"swaks, Postfix", swaksBusy + "\n", postfixBelow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			above, below := Read([]byte(tt.above)), Read([]byte(tt.below))
			if sortedCore(above) == "" || sortedCore(below) == "" {
				t.Fatalf("a part says nothing by itself: %q, %q", sortedCore(above), sortedCore(below))
			}
			want := sortedCore(append(slices.Clip(above), below...))
			if got := sortedCore(Read([]byte(tt.above + tt.below))); got != want {
				t.Errorf("read\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestClientWhole leaves one failure whole, whatever stands between its lines.
func TestClientWhole(t *testing.T) {
	for name, text := range map[string]string{
		"chained tracebacks": `Traceback (most recent call last):
  File "/srv/app/send.py", line 3, in open
    sock = create_connection(("relay-a.example", 587))
ConnectionRefusedError: [Errno 111] Connection refused

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app/send.py", line 9, in main
    raise MailError("cannot send")
MailError: cannot send
`,
		"two addresses":      "*   Trying 192.0.2.1:25...\n* connect to 192.0.2.1 port 25 failed: Connection refused\n*   Trying 192.0.2.2:25...\n* Connected to relay-b.example (192.0.2.2) port 25 (#0)\n< 421 4.3.2 busy\n* Closing connection 0\ncurl: (8) Got unexpected smtp-server response: 421\n",
		"Go log of one send": "2026/05/04 10:47:03 connecting: relay-a.example:587\n2026/05/04 10:47:04 send mail: 535 5.7.8 authentication failed\n",
		"swaks with a gap":   strings.Replace(swaksBusy, " -> QUIT", "\n -> QUIT", 1),
	} {
		doc := Prepare([]byte(text))
		if n := len(doc.blocks(Options{})); n != 1 {
			t.Errorf("%s: cut into %d", name, n)
		}
	}
}
