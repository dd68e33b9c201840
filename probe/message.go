package probe

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// TestMessage composes the message that a probe delivers when it is asked to:
// plain text that says what it is, with an id of its own in Message-ID and
// Subject, so that it can be looked for. The addresses are envelope addresses,
// "<>" the null sender; helo is the domain of the Message-ID.
func TestMessage(from string, to []string, helo string, now time.Time) (message []byte, messageID string) {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	id := hex.EncodeToString(b[:])
	domain := strings.Trim(helo, "[]")
	if domain == "" || strings.ContainsAny(domain, " :<>@") {
		domain = "handoff.invalid"
	}
	if from == "<>" || from == "" {
		from = "postmaster@" + domain
	}
	messageID = "<" + id + "@" + domain + ">"
	var m bytes.Buffer
	fmt.Fprintf(&m, "From: <%s>\r\nTo: ", from)
	for i, r := range to {
		if i > 0 {
			m.WriteString(",\r\n ")
		}
		fmt.Fprintf(&m, "<%s>", r)
	}
	fmt.Fprintf(&m, "\r\nSubject: handoff test message %s\r\nDate: %s\r\nMessage-ID: %s\r\n", id, now.Format(time.RFC1123Z), messageID)
	m.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nAuto-Submitted: auto-generated\r\n\r\n")
	fmt.Fprintf(&m, "This is a test message of handoff, a probe of SMTP relays.\r\nIt shows that the relay took a message from <%s>.\r\n\r\nId: %s\r\n", from, id)
	return m.Bytes(), messageID
}

// messageIDOf reads the Message-ID of a message that the caller gave.
func messageIDOf(message []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(message[:min(len(message), 64<<10)]))
	if err != nil {
		return ""
	}
	return m.Header.Get("Message-ID")
}

// dotted makes a message ready for the wire: CRLF line ends whatever it had,
// and a dot before each line that begins with one (RFC 5321 §4.5.2). The final
// dot is not part of it.
func dotted(message []byte) []byte {
	out := make([]byte, 0, len(message)+len(message)/40+2)
	for len(message) > 0 {
		line := message
		if i := bytes.IndexAny(message, "\r\n"); i >= 0 {
			line = message[:i]
			n := 1
			if message[i] == '\r' && i+1 < len(message) && message[i+1] == '\n' {
				n = 2
			}
			message = message[i+n:]
		} else {
			message = nil
		}
		if len(line) > 0 && line[0] == '.' {
			out = append(out, '.')
		}
		out = append(out, line...)
		out = append(out, '\r', '\n')
	}
	return out
}
