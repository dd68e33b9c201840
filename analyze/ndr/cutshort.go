package ndr

import (
	"bytes"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A text that was copied up to the edge of a window ends in the middle of a line.
// What its last words seem to say may be another thing: "host outbound-us1.pp" is
// no host of that name, and "TLS is required, but was not offe" no decision of the
// reporter's own.

// cutShort takes back what the last, cut words of the text were taken for.
func (d *Document) cutShort(cases []Case) {
	end := len(d.input)
	if end == 0 || d.input[end-1] == '\n' || d.input[end-1] == '\r' {
		return
	}
	end = d.base + len(bytes.TrimRight(d.input, " \t"))
	for i := range cases {
		for k := range cases[i].Items {
			it := &cases[i].Items[k]
			for _, m := range [...]*Mention{&it.Refuser, &it.Target, &it.Carrier} {
				if m.Span.End == end && isCutName(m.Host, relayDomains(nil)) {
					it.Evidence = withoutMention(it.Evidence, m)
					*m = Mention{}
				}
			}
			if r := &it.LocalReply; r.Span.End == end && r.Code == 0 && it.Reply.IsZero() && it.Fault == transcript.FaultNone && isCutReason(r.Text()) {
				it.LocalOnlyExpiry = true
			}
		}
	}
}

// isCutName reports whether a name may go on: it has no dot, or its end is the
// beginning of a relay's domain.
func isCutName(name string, relays []string) bool {
	if name == "" || transcript.HostIsUnderAny(name, relays) {
		return false
	}
	dot := strings.IndexByte(name, '.')
	if dot < 0 {
		return true
	}
	for dot >= 0 {
		rest := name[dot+1:]
		for _, d := range relays {
			if len(rest) < len(d) && strings.HasPrefix(d, rest) {
				return true
			}
		}
		next := strings.IndexByte(rest, '.')
		if next < 0 {
			break
		}
		dot += 1 + next
	}
	return false
}

// remoteReasons are beginnings of reasons that speak of another server, of
// Postfix, Sendmail and Exim.
var remoteReasons = []string{
	"host ", "connect to ", "connection ", "conversation with ", "lost connection with ", "timed out while ", "delivery temporarily suspended: ",
	"TLS is required, but ", "SASL authentication failed", "Server certificate not ", "Cannot start TLS", "Host or domain name not found", "Name service error for ",
	"Deferred: ", "Service unavailable", "SMTP error from remote mail server after ", "retry timeout exceeded", "Connection timed out", "Connection refused",
	"unable to look up host ", "unable to connect to ",
}

// isCutReason reports whether words may be the beginning of such a reason.
func isCutReason(words string) bool {
	for _, r := range remoteReasons {
		if len(words) < len(r) && strings.HasPrefix(r, words) || strings.HasPrefix(words, r) {
			return true
		}
	}
	return false
}

func withoutMention(all []Mention, m *Mention) []Mention {
	var kept []Mention
	for i := range all {
		if all[i].Span != m.Span {
			kept = append(kept, all[i])
		}
	}
	return kept
}

// headerOnly reports whether only the header of the block's mail is there: what
// the mail says is not known.
func (b *Block) headerOnly() bool {
	return b.mail != nil && !b.Doc.dropped && len(bytes.TrimSpace(b.Doc.Text[min(b.mail.body, len(b.Doc.Text)):min(max(b.mail.end, b.mail.body), len(b.Doc.Text))])) == 0
}

// daemonNames are how mail systems call themselves in From, in lower case.
var daemonNames = []string{"mailer-daemon", "mail delivery s", "message delivery subsystem", "mail delivery agent"}

// cutReport is the case of a report of which only the beginning is there: its
// header says that a mail system wrote it. It says nothing about any mail yet.
func cutReport(b *Block) []Case {
	from := b.Header("from")
	for _, w := range daemonNames {
		if foldIndexIn(from, w) >= 0 && len(bytes.TrimSpace(b.Text())) < maxCutReport {
			return []Case{{Nature: NatureReport, Format: "ndr", Items: []Item{{FromReport: true}}}}
		}
	}
	return nil
}

// maxCutReport is the length in bytes of a report's words up to which they are
// taken for a part of them.
const maxCutReport = 400
