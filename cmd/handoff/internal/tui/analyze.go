package tui

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// analyzeScreen takes a paste, a file or a folder and shows what it says.
type analyzeScreen struct {
	m        *model
	buf      pasteBuffer
	undo     *pasteBuffer
	path     *field // the file field is open
	result   *resultView
	list     *listView // many reports, of a folder
	fromList bool
	working  string
	cancel   context.CancelFunc
	serial   int
	top      int
}

// pasteBuffer is what was pasted or typed, kept raw. It is drawn by slicing
// lines, since a text area cuts at 10,000 lines and slows down.
type pasteBuffer struct {
	text  strings.Builder
	lines *textLines // of the text; nil: not yet cut
	lost  bool       // the terminal dropped bytes that were no UTF-8
}

// maxPaste is where a paste is better given as a file: terminals drop bytes,
// and some stall.
const maxPaste = 8 << 20

func (b *pasteBuffer) add(s string) (fits bool) {
	// Terminals send CR for a line end; CRLF and LF occur too.
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if b.text.Len()+len(s) > maxPaste {
		return false
	}
	b.text.WriteString(s)
	b.lost = b.lost || strings.ContainsRune(s, '\uFFFD')
	b.lines = nil
	return true
}

func (b *pasteBuffer) backspace() {
	s := b.text.String()
	if r := []rune(s[max(len(s)-4, 0):]); len(r) > 0 {
		s = s[:len(s)-len(string(r[len(r)-1]))]
	}
	b.text.Reset()
	b.text.WriteString(s)
	b.lines = nil
}

func (b *pasteBuffer) cut() *textLines {
	if b.lines == nil {
		b.lines = newTextLines(b.text.String())
	}
	return b.lines
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

func newAnalyzeScreen(m *model) *analyzeScreen { return &analyzeScreen{m: m} }

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
	return fmt.Sprintf("%d lines | %s", s.lineCount(), size(s.buf.text.Len()))
}

func (s *analyzeScreen) lineCount() int {
	if s.buf.text.Len() == 0 {
		return 0
	}
	return s.buf.cut().n()
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
	case s.list != nil:
		return append(s.list.bindings(),
			binding{keys: []string{"enter"}, short: "open", long: "open this report", run: s.openEntry},
			binding{keys: []string{"esc"}, short: "back", long: "back to the paste", run: func() tea.Cmd { s.list = nil; return nil }})
	}
	bs := []binding{
		{keys: []string{"ctrl+r"}, short: "analyze", long: "analyze what is pasted; Enter never does", run: s.analyze},
		{keys: []string{"ctrl+o"}, short: "file", long: "open a file, mbox, Maildir or folder instead", run: s.askPath},
		{keys: []string{"ctrl+l"}, short: "clear", long: "clear the paste", run: s.clear},
		{keys: []string{"up"}, long: "scroll up", run: func() tea.Cmd { s.top--; return nil }},
		{keys: []string{"down"}, long: "scroll down", run: func() tea.Cmd { s.top++; return nil }},
		{keys: []string{"pgup"}, long: "page up", run: func() tea.Cmd { s.top -= 10; return nil }},
		{keys: []string{"pgdown"}, long: "page down", run: func() tea.Cmd { s.top += 10; return nil }},
	}
	if s.undo != nil {
		bs = append(bs, binding{keys: []string{"ctrl+z"}, short: "undo clear", long: "bring the cleared paste back", run: func() tea.Cmd {
			s.buf, s.undo = *s.undo, nil
			return nil
		}})
	}
	return bs
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
	switch k.String() {
	case "enter": // a line of the text, never a start: pastes hold Enter, too
		s.add("\n")
	case "tab":
		s.add("\t")
	case "backspace":
		s.buf.backspace()
	default:
		if k.Text != "" {
			return s.add(k.Text)
		}
	}
	return nil
}

func (s *analyzeScreen) add(text string) tea.Cmd {
	if !s.buf.add(text) {
		return toast("too much for a paste (%s at most): ctrl+o reads the file itself", size(maxPaste))
	}
	s.top = 1 << 30 // keep the end in sight
	return nil
}

func (s *analyzeScreen) pasted(content string) tea.Cmd {
	if s.path != nil {
		s.path.insert(content)
		return nil
	}
	if s.working != "" {
		return nil
	}
	s.result, s.list = nil, nil
	before := s.lineCount()
	if c := s.add(content); c != nil {
		return c
	}
	return toast("pasted %d lines; ctrl+r analyzes them, Enter types a new line", s.lineCount()-before)
}

func (s *analyzeScreen) clear() tea.Cmd {
	if s.buf.text.Len() == 0 {
		return toast("there is nothing to clear")
	}
	old := pasteBuffer{lost: s.buf.lost}
	old.text.WriteString(s.buf.text.String())
	s.undo, s.buf = &old, pasteBuffer{}
	return toast("cleared; ctrl+z brings it back")
}

func (s *analyzeScreen) analyze() tea.Cmd {
	if strings.TrimSpace(s.buf.text.String()) == "" {
		return toast("paste a bounce, log or transcript first, or open a file with ctrl+o")
	}
	ctx := s.begin("reading")
	text, serial := s.buf.text.String(), s.serial
	return func() tea.Msg {
		r, err := s.m.o.Backend.Analyze(ctx, []byte(text), "(paste)")
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
	s.result, s.fromList = newResultView(s.m, r), false
}

func (s *analyzeScreen) openEntry() tea.Cmd {
	if r, ok := s.list.current(); ok {
		s.result, s.fromList = newResultView(s.m, r), true
	}
	return nil
}

func (s *analyzeScreen) leave() tea.Cmd {
	s.result = nil
	return nil
}

// toProbe fills the probe form from the report: the host that refused or was
// tried, its port, the sender and the recipient.
func (s *analyzeScreen) toProbe() tea.Cmd {
	var f Form
	for _, o := range s.result.run.Report.Outcomes {
		if f.Host == "" {
			f.Host = o.RefusedBy
		}
		if f.Host == "" {
			f.Host = o.Target
		}
		if f.From == "" && strings.Contains(o.Sender, "@") {
			f.From = o.Sender
		}
		if f.To == "" {
			f.To = o.Recipient
		}
	}
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
	if s.buf.text.Len() == 0 {
		return append(out, append([]line{{}},
			prose(" Paste here: the whole bounce if you can, with the part for administrators and the headers below it. Enter types a new line and never starts anything; ctrl+r analyzes. ctrl+o reads a file, which keeps every byte.", w)...)...)
	}
	lines := s.buf.cut()
	notes := s.notes(w)
	rows := max(h-len(out)-len(notes), 1)
	s.top = min(max(s.top, 0), max(lines.n()-rows, 0))
	for i := s.top; i < min(s.top+rows, lines.n()); i++ {
		text := lines.line(i)
		if len(text) > 4*w { // of a huge line only the columns in sight are looked at
			text = strings.ToValidUTF8(text[:4*w], "")
		}
		out = append(out, line{{fmt.Sprintf("%5d | ", i+1), dim}}.quote(plain, s.hide(text)))
	}
	return append(out, notes...)
}

// hide replaces secrets before a line of the paste is drawn.
func (s *analyzeScreen) hide(text string) string {
	out, _ := transcript.Redact([]byte(text), transcript.Standard)
	return string(out)
}

func (s *analyzeScreen) notes(w int) []line {
	var out []line
	if s.buf.lost {
		out = append(out, labelled("note", warn, "bytes that were not UTF-8 were lost on the way through the terminal; ctrl+o, or 'handoff analyze FILE', reads the exact original", w)...)
	}
	if s.buf.text.Len() > 1<<20 {
		out = append(out, labelled("note", warn, "this is much for a paste; ctrl+o reads the file itself", w)...)
	}
	return out
}
