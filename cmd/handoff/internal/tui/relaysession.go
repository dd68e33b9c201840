package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// sessionRow is one session of the log: how it ended, and the rule that
// decided.
func sessionRow(e *RelayEntry) line {
	l := say(fmt.Sprintf("%-5s %-4d ", e.ID, e.Port))
	switch {
	case e.Decided >= 0:
		x := &e.Session.Exchanges[e.Decided]
		status, note := stepStatus(*x)
		l = l.put(statusStyle(status), status).put(plain, " "+string(x.Stage)+" ").quote(plain, note)
		if rule := e.Rules[e.Decided]; rule != "" {
			l = l.put(plain, "  rule ").put(title, rule).put(plain, " ").quote(dim, e.Cites[e.Decided])
		}
	case e.Open:
		l = l.put(running, "running")
	default:
		l = l.put(good, "ok").put(plain, " every reply a yes")
	}
	if e.Login != "" {
		l = l.put(dim, "  login ").quote(dim, e.Login)
	}
	return l
}

func (s *relayScreen) openSession() tea.Cmd {
	if i := len(s.now.Log) - 1 - s.sel[tabSessions]; i >= 0 && i < len(s.now.Log) {
		s.open, s.scroll = s.now.Log[i].ID, 0
	}
	return nil
}

// drawSession shows one dialogue: what was said, the rule that decided and the
// statement of the article behind it.
func (s *relayScreen) drawSession(w, h int) []line {
	var e *RelayEntry
	for i := range s.now.Log {
		if s.now.Log[i].ID == s.open {
			e = &s.now.Log[i]
		}
	}
	if e == nil {
		return []line{say(" this session is no longer in the log; esc goes back")}
	}
	out := []line{line{}.put(title, " SESSION "+e.ID).put(plain, fmt.Sprintf("   port %d from ", e.Port)).quote(plain, e.Client)}
	if e.Open {
		out[0] = out[0].put(running, "  running")
	}
	for k, x := range e.Session.Exchanges {
		if x.Command != "" {
			out = append(out, say("   C: ").quote(plain, x.Command))
		}
		for _, r := range x.Reply.Lines {
			st := plain
			if x.Reply.Code >= 400 {
				st = bad
			}
			out = append(out, say("   S: ").quote(st, r))
		}
		if x.Fault != transcript.FaultNone {
			out = append(out, say("   *  ").put(bad, string(x.Fault)).put(plain, " ").quote(plain, x.Detail))
		}
		if k < len(e.Rules) && e.Rules[k] != "" {
			text := "rule " + e.Rules[k]
			if e.Cites[k] != "" {
				text += ": " + e.Cites[k]
			}
			in := dim
			if k == e.Decided {
				in, text = warn, "decided by "+text
			}
			for _, t := range wrap(transcript.Escape(text), w-10, 0) {
				out = append(out, line{}.put(in, "      "+t))
			}
		}
	}
	s.scroll = min(s.scroll, max(len(out)-h, 0))
	return out[s.scroll:]
}
