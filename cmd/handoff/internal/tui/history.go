package tui

import (
	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// historyScreen shows earlier runs, opens them and compares two by meaning.
type historyScreen struct {
	m      *model
	runs   []Run
	sel    int
	top    int
	first  int // index of the run that is to be compared, -1: none
	result *resultView
	diff   []string
}

func newHistoryScreen(m *model) *historyScreen { return &historyScreen{m: m, first: -1} }

func (s *historyScreen) name() string { return "History" }

func (s *historyScreen) state() string { return "" }

func (s *historyScreen) bindings() []binding {
	back := binding{keys: []string{"esc"}, short: "back", long: "back to the list", run: func() tea.Cmd {
		s.result, s.diff = nil, nil
		return nil
	}}
	switch {
	case s.result != nil && s.result.within():
		return s.result.bindings()
	case s.result != nil:
		return append(s.result.bindings(), back)
	case s.diff != nil:
		return []binding{back}
	}
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			s.sel = min(max(s.sel+by, 0), max(len(s.runs)-1, 0))
			return nil
		}
	}
	return []binding{
		{keys: []string{"j", "down"}, short: "move", long: "next run", run: move(1)},
		{keys: []string{"k", "up"}, long: "run before", run: move(-1)},
		{keys: []string{"enter"}, short: "open", long: "open this run", run: s.openRun},
		{keys: []string{"d"}, short: "compare", long: "compare: mark a run with d, go to another, d again", run: s.compare},
	}
}

func (s *historyScreen) openRun() tea.Cmd {
	if s.sel < len(s.runs) {
		s.result = newResultView(s.m, s.runs[s.sel])
	}
	return nil
}

func (s *historyScreen) compare() tea.Cmd {
	switch {
	case s.sel >= len(s.runs):
		return nil
	case s.first < 0 || s.first >= len(s.runs):
		s.first = s.sel
		return toast("marked; go to the other run and press d again")
	case s.first == s.sel:
		s.first = -1
		return toast("the mark is taken away")
	}
	older, newer := s.runs[max(s.first, s.sel)], s.runs[min(s.first, s.sel)] // newest first in the list
	s.diff = compareRuns(older, newer)
	s.first = -1
	return nil
}

func (s *historyScreen) text() bool { return s.result != nil && s.result.text() }

func (s *historyScreen) typed(k tea.KeyPressMsg) tea.Cmd { return s.result.typed(k) }

func (s *historyScreen) pasted(p paste) tea.Cmd { return s.result.pasted(p) }

func (s *historyScreen) update(msg tea.Msg) tea.Cmd {
	if _, ok := msg.(shownMsg); ok {
		s.runs = s.m.o.Backend.History()
		s.sel = min(s.sel, max(len(s.runs)-1, 0))
	}
	return nil
}

func (s *historyScreen) cursor() (x, y int, ok bool) { return 0, 0, false }

func (s *historyScreen) clicked(_, y int) tea.Cmd {
	if s.result != nil {
		return s.result.clicked(y)
	}
	if i := y - 2 + s.top; s.diff == nil && y >= 2 && i < len(s.runs) {
		s.sel = i
	}
	return nil
}

func (s *historyScreen) draw(w, h int) []line {
	switch {
	case s.result != nil:
		return s.result.draw(w, h)
	case s.diff != nil:
		return drawChanges(s.diff, w)
	}
	out := []line{line{}.put(title, " HISTORY").put(plain, "   the last runs, newest first; without secrets"), {}}
	if len(s.runs) == 0 {
		return append(out, prose(" Nothing yet. Runs of screens 1 and 2 come here.", w)...)
	}
	rows := max(h-len(out), 1)
	s.top = window(len(s.runs), rows, s.sel, s.top)
	for i := s.top; i < min(s.top+rows, len(s.runs)); i++ {
		mark := " "
		if i == s.first {
			mark = "d"
		}
		if i == s.sel {
			mark = ">"
		}
		out = append(out, append(line{{mark, title}}, runLine(s.runs[i])...))
	}
	return out
}

// drawChanges lists what changed between two runs.
func drawChanges(changes []string, w int) []line {
	out := []line{line{}.put(title, " WHAT CHANGED"), {}}
	for _, d := range changes {
		for _, t := range wrap(transcript.Escape(d), w-4, 2) {
			out = append(out, say("   "+t))
		}
	}
	return out
}
