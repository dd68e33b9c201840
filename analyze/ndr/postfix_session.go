package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// postfixSession reads the transcript that Postfix mails to its postmaster:
// " Out: " is what G said, " In:  " what its client sent. G is the server: it
// refused its own client.
func postfixSession(b *Block) []Case {
	r := newReport(b)
	s := transcript.Session{Source: "postfix-notice"}
	var recipients []string
	var command []byte
	commandAt := 0
	stage := transcript.StageGreet
	fail := transcript.Reply{}
	failStage := transcript.Stage("")
	sender := ""
	for i := b.First; i < r.last; i++ {
		l, at := r.line(i)
		switch {
		case bytes.HasPrefix(l, []byte("In:")):
			command = append(command[:0], bytes.TrimSpace(l[3:])...)
			commandAt = at
			// Wrapped commands are indented deeper.
			for i+1 < r.last {
				m, _ := r.line(i + 1)
				if len(m) == 0 || bytes.HasPrefix(m, []byte("In:")) || bytes.HasPrefix(m, []byte("Out:")) {
					break
				}
				command = append(append(command, ' '), m...)
				i++
			}
			stage = transcript.StageOf(string(command))
			if address, _, ok := transcript.Path(string(command)); ok {
				if transcript.Verb(string(command)) == "RCPT" {
					if len(recipients) < maxItems {
						recipients = append(recipients, string(bytes.ToLower([]byte(address))))
					}
				} else {
					sender = address
				}
			}
		case bytes.HasPrefix(l, []byte("Out:")):
			end := i
			text := append([]byte(nil), bytes.TrimSpace(l[4:])...)
			for len(text) > 3 && end+1 < r.last {
				m, _ := r.line(end + 1)
				if bytes.HasPrefix(m, []byte("Out:")) {
					rest := bytes.TrimSpace(m[4:])
					prev, _ := r.line(end)
					if p := bytes.TrimSpace(prev[min(4, len(prev)):]); len(p) < 4 || p[3] != '-' {
						break
					}
					text = append(append(text, '\n'), rest...)
				} else if len(m) == 0 || bytes.HasPrefix(m, []byte("In:")) {
					break
				} else {
					text = append(append(text, ' '), m...)
				}
				end++
			}
			rep, ok := transcript.ParseReply(string(text))
			if !ok {
				continue
			}
			rep.Span = b.span(at+4, r.doc.LineEnd(end))
			if len(s.Exchanges) == 0 && len(command) == 0 {
				// The banner names G.
				if h, n := hostAt(bytes.TrimSpace(l[4:])[min(4, len(bytes.TrimSpace(l[4:]))):]); n > 0 {
					o := bytes.Index(l, []byte(h.name))
					if o < 0 {
						o = 4
					}
					r.reporter = b.mention(Reporter, h, at+o, at+o+n)
				}
			}
			s.Exchanges = append(s.Exchanges, transcript.Exchange{Stage: stage, Command: string(command), Reply: rep, Span: b.span(commandAt, commandAt+1)})
			if rep.Code >= 400 && fail.IsZero() {
				fail, failStage = rep, stage
			}
			i = end
			if len(s.Exchanges) > 5000 {
				r.limited = true
				i = r.last
			}
		}
	}
	if fail.IsZero() {
		return nil
	}
	s.Server = r.reporter.Host
	if len(recipients) == 0 {
		recipients = append(recipients, "")
	}
	refuser := r.reporter
	refuser.Role = Refuser
	c := Case{Nature: NatureReport, Partial: r.limited}
	for _, a := range recipients {
		it := Item{Recipient: a, FromReport: true, Action: ActionFailed, Reply: fail, Stage: failStage, Refuser: refuser, Reporter: r.reporter, Sender: sender, Session: &s}
		r.finishItem(&it)
		c.Items = append(c.Items, it)
	}
	return []Case{c}
}

// isPostfixSession reports whether the block has Postfix's own marks of a
// session.
var transcriptSigns = signsOf(signSendmailTranscript)

func isPostfixSession(b *Block) int {
	if !b.has(transcriptSigns) {
		return 0
	}
	out := []byte("Out: ")
	for t := b.Text(); ; {
		n := bytes.Index(t, out)
		if n < 0 || n+len(out) == len(t) {
			return 0
		}
		if code := t[n+len(out)]; n > 0 && t[n-1] == ' ' && (code == '2' || code == '4' || code == '5') {
			return 95
		}
		t = t[n+len(out):]
	}
}
