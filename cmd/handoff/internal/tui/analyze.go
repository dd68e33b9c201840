package tui

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
)

// analyzeScreen takes a paste, a file or a folder and shows what it says.
type analyzeScreen struct {
	m       *model
	buf     *pasteBuffer
	undo    *pasteBuffer
	entered bool   // the last key was Enter: a line feed behind it belongs to it
	path    *field // the file field is open
	result  *resultView
	list    *listView // many reports, of a folder
	working string
	cancel  context.CancelFunc
	serial  int
	top     int
	follow  bool // the end of the paste is kept in sight
	before  int  // lines before the last paste
}

type analyzedMsg struct {
	serial int
	run    Run
	err    error
}

type listedMsg struct {
	serial int
	runs   []Run
	done   bool
	err    error
}

func newAnalyzeScreen(m *model) *analyzeScreen { return &analyzeScreen{m: m, buf: &pasteBuffer{}} }

func (s *analyzeScreen) name() string { return "Analyze" }

func (s *analyzeScreen) state() string {
	switch {
	case s.working != "":
		return s.working
	case s.result != nil && s.result.run.Report.Input != nil:
		return s.result.run.Report.Input.Format + " | " + fmt.Sprintf("%d ms", s.result.run.Took.Milliseconds())
	case s.list != nil:
		return fmt.Sprintf("%d reports", len(s.list.runs))
	}
	return fmt.Sprintf("%d lines | %s", s.buf.lines(), size(len(s.buf.text)))
}

func size(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

func (s *analyzeScreen) bindings() []binding {
	switch {
	case s.path != nil:
		return []binding{
			{keys: []string{"enter"}, short: "open", long: "open the file or folder", run: s.openPath},
			fieldKeys,
			{keys: []string{"esc"}, short: "back", long: "back to the paste", run: func() tea.Cmd { s.path = nil; return nil }},
		}
	case s.working != "":
		return []binding{{keys: []string{"esc"}, short: "stop (keeps what is read)", long: "stop reading and keep what is read", run: func() tea.Cmd { s.cancelRun(); return nil }}}
	case s.result != nil && s.result.within():
		return s.result.bindings()
	case s.result != nil:
		return append(s.result.bindings(),
			binding{keys: []string{"p"}, short: "probe", long: "carry host, port, sender and recipient into the probe form", run: s.toProbe},
			binding{keys: []string{"esc"}, short: "back", long: "back to the paste, or to the list", run: s.leave})
	case s.list != nil && s.list.summary:
		return s.list.bindings()
	case s.list != nil:
		return append(s.list.bindings(),
			binding{keys: []string{"enter"}, short: "open", long: "open this report", run: s.openEntry},
			binding{keys: []string{"esc"}, short: "back", long: "back to the paste", run: func() tea.Cmd { s.list = nil; return nil }})
	}
	bs := []binding{
		{keys: []string{"ctrl+r"}, short: "analyze", long: "analyze what is pasted; Enter never does", run: s.analyze},
		{keys: []string{"ctrl+o"}, short: "file", long: "open a file, mbox, Maildir or folder instead", run: s.askPath},
		{keys: []string{"ctrl+l"}, short: "clear", long: "clear the paste", run: s.clear},
		editKeys("write: a line end, a tab, the last character away", "enter", "ctrl+j", "tab", "backspace"),
		{keys: []string{"up"}, long: "scroll up", run: s.scroll(-1)},
		{keys: []string{"down"}, long: "scroll down", run: s.scroll(1)},
		{keys: []string{"pgup"}, long: "page up", run: s.scroll(-10)},
		{keys: []string{"pgdown"}, long: "page down", run: s.scroll(10)},
	}
	if s.undo != nil {
		bs = append(bs, binding{keys: []string{"ctrl+z"}, short: "undo clear", long: "bring the cleared paste back", run: func() tea.Cmd {
			s.buf, s.undo = s.undo, nil
			return nil
		}})
	}
	return bs
}

func (s *analyzeScreen) scroll(by int) func() tea.Cmd {
	return func() tea.Cmd {
		s.top, s.follow = s.top+by, false
		return nil
	}
}

func (s *analyzeScreen) text() bool {
	switch {
	case s.path != nil:
		return true
	case s.working != "":
		return false
	case s.result != nil:
		return s.result.text()
	case s.list != nil:
		return s.list.searching
	}
	return true
}

func (s *analyzeScreen) typed(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case s.path != nil:
		s.path.edit(k)
		return nil
	case s.result != nil:
		return s.result.typed(k)
	case s.list != nil:
		s.list.typed(k)
		return nil
	}
	key, entered := k.String(), s.entered
	s.entered = key == "enter"
	switch key {
	case "enter": // a line of the text, never a start: pastes hold Enter, too
		return s.add("\n", false)
	case "ctrl+j": // the line feed of a paste without brackets
		if !entered {
			return s.add("\n", false)
		}
	case "tab":
		return s.add("\t", false)
	case "backspace":
		s.buf.backspace()
		return s.buf.settle(s.m, false)
	default:
		if k.Text != "" {
			return s.add(k.Text, false)
		}
	}
	return nil
}

func (s *analyzeScreen) add(text string, whole bool) tea.Cmd {
	if !s.buf.add(text) {
		return toast("too much for a paste (%s at most): ctrl+o reads the file itself", size(maxPaste))
	}
	s.follow = true
	s.buf.lost += s.m.lostSince()
	return s.buf.settle(s.m, whole)
}

func (s *analyzeScreen) pasted(p paste) tea.Cmd {
	if s.path != nil {
		if !p.more {
			s.path.insert(firstLine(p.text))
		}
		return nil
	}
	switch {
	case s.result != nil && s.result.text():
		return s.result.pasted(p)
	case s.list != nil && s.list.searching:
		if !p.more {
			s.list.filter += firstLine(p.text)
		}
		return nil
	}
	s.result, s.list = nil, nil
	if !p.more {
		s.before = s.buf.lines()
	}
	if c := s.add(p.text, true); c != nil {
		return c
	}
	return toast("pasted %d lines; ctrl+r analyzes them, Enter types a new line", s.buf.lines()-s.before)
}

// analyzeText analyzes a text that was pasted elsewhere; the paste that was here
// comes back with ctrl+z.
func (s *analyzeScreen) analyzeText(text string) tea.Cmd {
	s.path, s.result, s.list = nil, nil, nil
	if len(s.buf.text) > 0 {
		s.undo, s.buf = s.buf, &pasteBuffer{}
	}
	if c := s.add(text, true); c != nil {
		return c
	}
	return s.analyze()
}

func (s *analyzeScreen) clear() tea.Cmd {
	if len(s.buf.text) == 0 {
		return toast("there is nothing to clear")
	}
	s.undo, s.buf = s.buf, &pasteBuffer{}
	return toast("cleared; ctrl+z brings it back")
}

func (s *analyzeScreen) analyze() tea.Cmd {
	if len(bytes.TrimSpace(s.buf.text)) == 0 {
		return toast("paste a bounce, log or transcript first, or open a file with ctrl+o")
	}
	ctx := s.begin("reading")
	text, serial := bytes.Clone(s.buf.text), s.serial
	return func() tea.Msg {
		r, err := s.m.o.Backend.Analyze(ctx, text, "(paste)")
		return analyzedMsg{serial, r, err}
	}
}

func (s *analyzeScreen) begin(what string) context.Context {
	s.serial++
	ctx, cancel := context.WithCancel(s.m.ctx)
	s.working, s.cancel = what, cancel
	return ctx
}

func (s *analyzeScreen) cancelRun() {
	if s.cancel != nil {
		s.cancel()
	}
}

func (s *analyzeScreen) askPath() tea.Cmd {
	s.path = &field{label: "File or folder"}
	return nil
}

func (s *analyzeScreen) openPath() tea.Cmd {
	path := strings.Trim(strings.TrimSpace(s.path.String()), `"'`)
	if path == "" {
		return toast("which file? a path, or esc")
	}
	s.path = nil
	ctx := s.begin("reading " + filepath.Base(path))
	serial, send := s.serial, s.m.send
	return func() tea.Msg {
		var batch []Run
		last := time.Now()
		err := s.m.o.Backend.AnalyzePath(ctx, path, func(r Run) {
			batch = append(batch, r)
			if send != nil && len(batch) > 1 && time.Since(last) > 200*time.Millisecond {
				send(listedMsg{serial: serial, runs: batch})
				batch, last = nil, time.Now()
			}
		})
		return listedMsg{serial: serial, runs: batch, done: true, err: err}
	}
}

func (s *analyzeScreen) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case shownMsg:
		if s.m.current() == screen(s) {
			s.m.lostSince() // what was lost elsewhere is no loss of the paste
		}
	case catchUpMsg:
		msg.buf.caughtUp()
	case analyzedMsg:
		if msg.serial != s.serial {
			return nil
		}
		s.working = ""
		if msg.err != nil {
			return toast("not read: %v", msg.err)
		}
		s.show(msg.run)
	case listedMsg:
		if msg.serial != s.serial {
			return nil
		}
		if s.list == nil || s.list.serial != msg.serial {
			s.list = &listView{serial: msg.serial}
		}
		s.list.runs = append(s.list.runs, msg.runs...)
		if !msg.done {
			return nil
		}
		s.working = ""
		if msg.err != nil && len(s.list.runs) == 0 {
			s.list = nil
			return toast("not read: %v", msg.err)
		}
		if len(s.list.runs) == 1 {
			r := s.list.runs[0]
			s.list = nil
			s.show(r)
			return nil
		}
		return toast("%d reports read; / filters them, enter opens one", len(s.list.runs))
	}
	return nil
}

func (s *analyzeScreen) show(r Run) {
	s.m.remember(r)
	s.result = newResultView(s.m, r)
}

func (s *analyzeScreen) counting() bool { return s.result != nil && s.result.counting() }

func (s *analyzeScreen) openEntry() tea.Cmd {
	if r, ok := s.list.current(); ok {
		s.result = newResultView(s.m, r)
	}
	return nil
}

func (s *analyzeScreen) leave() tea.Cmd {
	s.result = nil
	return nil
}

// formOf is what a report tells of the probe that would show the same.
func formOf(rep *analyze.Report) (f Form) {
	for _, o := range rep.Outcomes {
		f.Host = cmp.Or(f.Host, o.RefusedBy, o.Target)
		if f.From == "" && strings.Contains(o.Sender, "@") {
			f.From = o.Sender
		}
		f.To = cmp.Or(f.To, o.Recipient)
	}
	return f
}

// toProbe fills the probe form from the report: the host that refused or was
// tried, its port, the sender and the recipient.
func (s *analyzeScreen) toProbe() tea.Cmd {
	f := formOf(s.result.run.Report)
	if f.Host == "" {
		return toast("the text names no host that could be probed")
	}
	p := s.m.screens[atProbe].(*probeScreen)
	if p.run != nil {
		return toast("a probe is running on screen 1: wait for it, or cancel it there")
	}
	p.result = nil
	p.fill(f)
	return tea.Batch(s.m.open(atProbe), toast("host, sender and recipient come from the report; add user and password, then ctrl+r"))
}

func (s *analyzeScreen) cursor() (x, y int, ok bool) {
	if s.path != nil {
		_, x := s.path.draw(true, labelWidth+3, s.m.w)
		return x, 2, true
	}
	return 0, 0, false
}

func (s *analyzeScreen) clicked(_, y int) tea.Cmd {
	switch {
	case s.result != nil:
		return s.result.clicked(y)
	case s.list != nil:
		return s.list.clicked(y)
	}
	return nil
}

func (s *analyzeScreen) draw(w, h int) []line {
	switch {
	case s.path != nil:
		l, _ := s.path.draw(true, labelWidth+3, w)
		out := []line{line{}.put(title, " OPEN").put(plain, "   a file, mbox, Maildir or folder of bounces"), {}, l, {}}
		return append(out, prose(" A file keeps every byte; a terminal drops those that are not UTF-8. .eml, .txt, .msg saved as text, mbox, gzip and mail logs are read.", w)...)
	case s.result != nil:
		return s.result.draw(w, h)
	case s.list != nil:
		return s.list.draw(w, h)
	}
	out := []line{line{}.put(title, " PASTE").put(plain, "   bounce message (NDR), mail log or SMTP transcript")}
	if s.working != "" {
		out = append(out, say(" "+s.working+" ..."))
	}
	if len(s.buf.text) == 0 {
		return append(out, append([]line{{}},
			prose(" Paste here: the whole bounce if you can, with the part for administrators and the headers below it. Enter types a new line and never starts anything; ctrl+r analyzes. ctrl+o reads a file, which keeps every byte.", w)...)...)
	}
	lines, behind := s.buf.view()
	notes := s.notes(w)
	if behind > 0 {
		notes = append([]line{line{}.put(dim, fmt.Sprintf("   ... | %d characters more", behind))}, notes...)
	}
	rows := max(h-len(out)-len(notes), 1)
	last := max(lines.n()-rows, 0)
	if s.top = min(max(s.top, 0), last); s.follow {
		s.top = last
	}
	for i := s.top; i < min(s.top+rows, lines.n()); i++ {
		text := lines.line(i)
		if len(text) > 4*w { // of a huge line only the columns in sight are looked at
			text = strings.ToValidUTF8(text[:4*w], "")
		}
		out = append(out, line{{fmt.Sprintf("%5d | ", i+1), dim}}.quote(plain, text))
	}
	return append(out, notes...)
}

func (s *analyzeScreen) notes(w int) []line {
	var out []line
	if n := s.buf.hidden; n > 0 {
		out = append(out, labelled("note", warn, fmt.Sprintf("secrets found: %d, hidden on the screen, in copies and in exports", n), w)...)
	}
	if n := s.buf.lost; n > 0 {
		out = append(out, labelled("note", warn, fmt.Sprintf("%d bytes that were not UTF-8 were lost", n)+" on the way through the terminal; ctrl+o, or 'handoff analyze FILE', reads the exact original", w)...)
	}
	if len(s.buf.text) > 1<<20 {
		out = append(out, labelled("note", warn, "this is much for a paste; ctrl+o reads the file itself", w)...)
	}
	return out
}
