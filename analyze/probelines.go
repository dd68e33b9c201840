package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// TranscriptLines is a session as the evidence of a probe counts its lines:
// line 1 is the first. "C: " stands before what the client sent, "S: " before
// what the server said, "*  " before what happened below or beside SMTP.
// The words of others are as they came: escape them before showing.
func TranscriptLines(s *transcript.Session) []string {
	lines, _ := transcriptLines(s, -1)
	return lines
}

// transcriptLines gives the lines and the number of the last line of exchange
// at: the end of its reply, or its fault.
func transcriptLines(s *transcript.Session, at int) (lines []string, number int) {
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if e.Command != "" && e.Skipped == "" {
			lines = append(lines, "C: "+e.Command)
		}
		for _, l := range e.Reply.Lines {
			lines = append(lines, "S: "+l)
		}
		switch {
		case e.Skipped != "":
			lines = append(lines, "*  "+stepName(e)+" not tried: "+e.Skipped)
		case e.Fault != transcript.FaultNone:
			l := "*  " + stepName(e) + " " + string(e.Fault)
			if e.Detail != "" {
				l += ": " + e.Detail
			}
			lines = append(lines, l)
		case e.Command == "" && len(e.Reply.Lines) == 0:
			lines = append(lines, "*  "+stepName(e)+" ok")
		}
		if i == at {
			number = len(lines)
		}
	}
	return lines, number
}

func stepName(e *transcript.Exchange) string {
	if v := transcript.Verb(e.Command); v != "" && v != "." {
		return v
	}
	return string(e.Stage)
}

// reply is the answer to exchange i as evidence: its last line, or the line
// that tells of the fault.
func (j *probeJudge) reply(s *transcript.Session, i int) []Evidence {
	lines, n := transcriptLines(s, i)
	if n == 0 {
		return []Evidence{}
	}
	quote := strings.TrimPrefix(strings.TrimPrefix(lines[n-1], "S: "), "*  ")
	if quote == "" {
		return []Evidence{}
	}
	return []Evidence{{Line: n, Column: 4, Quote: cutRunes(quote, maxQuote), Role: roleReply, Port: s.Port}}
}
