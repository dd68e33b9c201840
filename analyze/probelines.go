package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TranscriptLines is a session as the evidence of a probe counts its lines: the
// lines of its text form, transcript.Format without times. Line 1 is the first.
func TranscriptLines(s *transcript.Session) []string {
	text := string(transcript.AppendFormat(nil, s, transcript.FormatOptions{}))
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// Marks of the text form: what the server said, and what went wrong. Text
// begins in the fifth column.
const (
	markSaid  = "<"
	markFault = "***"
	markWidth = 4
)

// reply is the answer to exchange i as evidence: the last line of its reply, or
// the line that tells of its fault.
func (j *probeJudge) reply(s *transcript.Session, i int) []Evidence {
	if j.cite != nil {
		if e, ok := j.cite(s.Exchanges[i].Reply.Span, roleReply); ok {
			return []Evidence{e}
		}
		return []Evidence{}
	}
	// Every line of a reply and every fault has one line of its own, so the
	// line is found by counting.
	mark, n := markSaid, 0
	if len(s.Exchanges[i].Reply.Lines) == 0 {
		mark = markFault
	}
	for k := 0; k <= i; k++ {
		switch e := &s.Exchanges[k]; {
		case mark == markSaid:
			n += len(e.Reply.Lines)
		case e.Fault != transcript.FaultNone:
			n++
		}
	}
	if mark == markFault && s.Exchanges[i].Fault == transcript.FaultNone {
		return []Evidence{} // nothing was said and nothing failed
	}
	for at, line := range TranscriptLines(s) {
		if !strings.HasPrefix(line, mark) {
			continue
		}
		if n--; n > 0 {
			continue
		}
		if len(line) <= markWidth {
			break
		}
		return []Evidence{{Line: at + 1, Column: markWidth + 1, Quote: cutRunes(line[markWidth:], maxQuote), Role: roleReply, Port: s.Port}}
	}
	return []Evidence{}
}
