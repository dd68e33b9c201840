package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// screen is one of the places one can be in.
type screen interface {
	name() string                    // in the header
	state() string                   // at the right of the header
	bindings() []binding             // the commands valid now, in the order of the footer
	text() bool                      // a text field has the focus
	typed(k tea.KeyPressMsg) tea.Cmd // a key that is no command, while text() holds
	pasted(p paste) tea.Cmd          // while text() holds, or it takes pastes always
	update(msg tea.Msg) tea.Cmd      // everything else
	draw(w, h int) []line            // the body, at most h lines
	clicked(x, y int) tea.Cmd        // in coordinates of the body
	cursor() (x, y int, ok bool)     // of the text field, in coordinates of the body
}

// Places of the screens, which are also their digits minus one.
const (
	atProbe = iota
	atAnalyze
	atRelay
	atHistory
	atDiagnose
)

// model is the root: it owns the size, the screens, the toast and the help.
type model struct {
	ctx     context.Context
	o       Options
	w, h    int
	screens []screen
	at      int
	toast   string
	help    *helpView
	offered string // a paste that no text field took
	// counting says that a secondMsg is under way.
	counting bool
	mouse    bool // clicks are ours; false: the terminal's, to select text
	send     func(tea.Msg)
	last     *Run
	recent   []Run // of this run of the program: the last probe and the last text, newest first
	runs     int   // that were begun, tries of a diagnosis among them
	written  string
	zones    []zone       // of the footer, for the mouse
	top      int          // first row of the body
	lost     func() int64 // bytes of the input that were no UTF-8; nil: nobody counts
	told     int64        // of them, those that lostSince told
	// after sends a message when a time has passed; tests put their own here.
	after func(time.Duration, tea.Msg) tea.Cmd
}

type zone struct {
	from, to int
	run      func() tea.Cmd
}

// toastMsg shows a sentence above the footer until the next key.
type toastMsg string

func toast(format string, args ...any) tea.Cmd {
	s := fmt.Sprintf(format, args...)
	return func() tea.Msg { return toastMsg(s) }
}

func newModel(ctx context.Context, o Options) *model {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &model{ctx: ctx, o: o, w: 80, h: 24, mouse: true}
	m.after = func(d time.Duration, msg tea.Msg) tea.Cmd {
		return tea.Tick(d, func(time.Time) tea.Msg { return msg })
	}
	m.screens = []screen{newProbeScreen(m), newAnalyzeScreen(m), newRelayScreen(m), newHistoryScreen(m), newDiagnoseScreen(m)}
	return m
}

// stop ends what runs in the background when the program quits.
func (m *model) stop() {
	m.screens[atProbe].(*probeScreen).cancelRun()
	m.screens[atAnalyze].(*analyzeScreen).cancelRun()
	m.screens[atDiagnose].(*diagnoseScreen).cancelRun()
}

// remember keeps a finished run for the normal screen and for History.
func (m *model) remember(r Run) {
	m.last = &r
	kept := []Run{r}
	for _, old := range m.recent {
		if old.Report != nil && r.Report != nil && old.Report.Kind != r.Report.Kind {
			kept = append(kept, old)
		}
	}
	m.recent = kept
	m.o.Backend.Remember(r)
}

// nextRun numbers what runs in the background, so that late messages of an
// earlier run are known as such.
func (m *model) nextRun() int {
	m.runs++
	return m.runs
}

// lostSince is how many bytes of the input were lost since it was asked last.
func (m *model) lostSince() int {
	if m.lost == nil {
		return 0
	}
	before := m.told
	m.told = m.lost()
	return int(m.told - before)
}

// runBefore is the last probe of the same target in the history.
func (m *model) runBefore(r Run) *Run {
	if r.Report == nil {
		return nil
	}
	for _, old := range m.o.Backend.History() {
		if old.Report != nil && old.Report.Kind == r.Report.Kind && old.Report.Target == r.Report.Target && old.Form.Bundled == r.Form.Bundled {
			return &old
		}
	}
	return nil
}

func (m *model) Init() tea.Cmd { return nil }

func (m *model) current() screen { return m.screens[m.at] }

// global are the commands that work on every screen.
func (m *model) global() []binding {
	bs := []binding{
		{keys: []string{"?", "f1"}, short: "help", long: "help for this screen; type to search in it", run: m.openHelp},
		{keys: []string{"q"}, long: "back, and from the first view of a screen: quit", run: m.back},
		{keys: []string{"ctrl+c"}, long: "quit, from anywhere", run: func() tea.Cmd { return tea.Quit }},
		{keys: []string{"m"}, long: "free the mouse to select text, or take it back", run: m.toggleMouse},
	}
	if m.offered != "" {
		bs = append([]binding{m.offerKey()}, bs...)
	}
	for i, s := range m.screens {
		bs = append(bs, binding{
			keys: []string{fmt.Sprint(i + 1), fmt.Sprintf("alt+%d", i+1)},
			long: "go to " + s.name(),
			run:  func() tea.Cmd { return m.open(i) },
		})
	}
	return bs
}

func (m *model) open(i int) tea.Cmd {
	m.at = i
	return m.current().update(shownMsg{})
}

// shownMsg tells a screen that it is the one on show.
type shownMsg struct{}

func (m *model) openHelp() tea.Cmd {
	m.help = &helpView{}
	return nil
}

func (m *model) toggleMouse() tea.Cmd {
	m.mouse = !m.mouse
	if m.mouse {
		return toast("the mouse is ours again: click keys and rows")
	}
	return toast("the mouse is free: select text with it; m takes it back")
}

// back leaves the view one is in; where there is nothing to leave, it quits.
func (m *model) back() tea.Cmd {
	if b := find(m.current().bindings(), "esc", false); b != nil {
		return b.run()
	}
	return tea.Quit
}

// paste is what was pasted: the terminal's brackets around it, or none and so
// many characters at once that nobody typed them.
type paste struct {
	text string
	more bool // the rest of the one before
}

// paste gives a paste to the text field one is in. Where there is none it acts
// on nothing: it is offered to Analyze.
func (m *model) paste(content string) tea.Cmd {
	p := paste{text: content}
	p.text, p.more = strings.CutPrefix(content, goesOn)
	if s := m.current(); s.text() || s == m.screens[atAnalyze] && m.screens[atAnalyze].(*analyzeScreen).working == "" {
		return s.pasted(p)
	}
	return m.offer(p)
}

// offer keeps a paste until the next key.
func (m *model) offer(p paste) tea.Cmd {
	switch {
	case len(m.offered)+len(p.text) > maxPaste:
		m.offered = ""
		return toast("too much for a paste (%s at most): ctrl+o on screen 2 reads the file itself", size(maxPaste))
	case strings.TrimSpace(m.offered+p.text) == "":
		return nil
	case p.more || m.offered != "": // no key came between: it is still the same
		m.offered += p.text
	default:
		m.offered = p.text
	}
	key := "a"
	if m.current().text() {
		key = "alt+a"
	}
	return toast("that looks like pasted text (%s): press %s to analyze it", counted(newTextLines(m.offered).n(), "line"), key)
}

// counted writes a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (m *model) offerKey() binding {
	return binding{keys: []string{"a", "alt+a"}, short: "analyze the paste", long: "take what was pasted to the Analyze screen and analyze it", run: m.takeOffer}
}

// takeOffer analyzes what was offered, in place of what was pasted there before.
func (m *model) takeOffer() tea.Cmd {
	s := m.screens[atAnalyze].(*analyzeScreen)
	text := m.offered
	m.offered = ""
	if s.working != "" {
		return toast("screen 2 is still reading: wait for it, then paste again")
	}
	return tea.Batch(m.open(atAnalyze), s.analyzeText(text))
}

// secondMsg redraws a countdown.
type secondMsg struct{}

// Update takes one message. While a countdown is on show it asks for the next
// second; else nothing runs that nobody asked for.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, ok := msg.(secondMsg); ok {
		m.counting = false
		msg = nil
	}
	var cmd tea.Cmd
	if msg != nil {
		cmd = m.take(msg)
	}
	if s, ok := m.current().(interface{ counting() bool }); ok && !m.counting && s.counting() {
		m.counting = true
		cmd = tea.Batch(cmd, m.after(time.Second, secondMsg{}))
	}
	return m, cmd
}

func (m *model) take(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 1), max(msg.Height, 1)
		return nil
	case toastMsg:
		m.toast = string(msg)
		return nil
	case writtenMsg:
		m.toast, m.written = msg.toast, msg.path
		return nil
	case tea.KeyPressMsg:
		m.toast = ""
		before := m.offered
		cmd := m.key(msg)
		if m.offered == before {
			m.offered = "" // it stands until the next key
		}
		return cmd
	case tea.PasteMsg:
		m.toast, m.help = "", nil
		return m.paste(msg.Content)
	case tea.MouseClickMsg:
		return m.click(msg)
	case tea.MouseWheelMsg:
		key := tea.KeyPressMsg{Code: tea.KeyDown}
		if msg.Button == tea.MouseWheelUp {
			key.Code = tea.KeyUp
		}
		return m.key(key)
	}
	var cmds []tea.Cmd
	for _, s := range m.screens { // results arrive whichever screen is on show
		cmds = append(cmds, s.update(msg))
	}
	return tea.Batch(cmds...)
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	switch key {
	case "ctrl+c":
		return tea.Quit
	case "alt+esc": // esc twice in a hurry looks like that
		k = tea.KeyPressMsg{Code: tea.KeyEscape}
		key = k.String()
	}
	if m.help != nil {
		if m.help.key(k, m) {
			m.help = nil
		}
		return nil
	}
	s := m.current()
	text := s.text()
	if b := find(s.bindings(), key, text); b != nil {
		return b.run()
	}
	if text {
		if b := find(m.global(), key, true); b != nil {
			return b.run()
		}
		return s.typed(k)
	}
	if b := find(m.global(), key, false); b != nil {
		return b.run()
	}
	return nil
}

func (m *model) click(c tea.MouseClickMsg) tea.Cmd {
	if m.help != nil {
		m.help = nil
		return nil
	}
	if c.Y == m.h-1 {
		for _, z := range m.zones {
			if c.X >= z.from && c.X < z.to {
				return z.run()
			}
		}
		return nil
	}
	if c.Y == 0 {
		for i := range m.screens {
			if from, to := m.tab(i); c.X >= from && c.X < to {
				return m.open(i)
			}
		}
		return nil
	}
	return m.current().clicked(c.X, c.Y-m.top)
}

// tabs are the names of the screens as the header has room for them: in full two
// blanks apart, one blank apart, or the digits of those that are not on show.
func (m *model) tabs() (out []string, gap string) {
	full := 0
	for i, s := range m.screens {
		name := fmt.Sprintf("%d %s", i+1, s.name())
		if i == m.at {
			name = "[" + name + "]"
		}
		out = append(out, name)
		full += len(name)
	}
	room := m.w - len(brand)
	switch n := len(out) - 1; {
	case full+2*n+1+cells(m.current().state()) <= room, full+n+1+cells(m.current().state()) > room && full+2*n <= room:
		return out, "  "
	case full+n <= room:
		return out, " "
	}
	for i := range out {
		if i != m.at {
			out[i] = fmt.Sprint(i + 1)
		}
	}
	return out, " "
}

const brand = "handoff   "

// tab is where the name of screen i stands in the header.
func (m *model) tab(i int) (from, to int) {
	names, gap := m.tabs()
	x := len(brand)
	for j := range i {
		x += len(names[j]) + len(gap)
	}
	return x, x + len(names[i])
}

func (m *model) header() line {
	l := line{{brand, title}}
	names, gap := m.tabs()
	for i, tab := range names {
		in := plain
		if i == m.at {
			in = selected
		}
		l = l.put(in, tab)
		if i+1 < len(names) {
			l = l.put(plain, gap)
		}
	}
	right := m.current().state()
	if room := m.w - l.width(); cells(right) < room {
		l = l.put(plain, strings.Repeat(" ", room-cells(right))).put(plain, right)
	}
	return l
}

func (m *model) footer() line {
	m.zones = nil
	var l line
	if m.help != nil {
		return say("type to search  up/down scroll  esc close")
	}
	text := m.current().text()
	bs := append(m.current().bindings(), m.global()...)
	if m.offered != "" {
		bs = append([]binding{m.offerKey()}, m.current().bindings()...)
	}
	if m.w < 60 { // shrink, never refuse
		bs = m.global()
	}
	words := func(b binding) (key, word string) {
		if key = b.shown(text); key == "" || b.short == "" {
			return "", ""
		}
		return keyName(key), " " + b.short
	}
	// The help stands last, and always: what has no room here stands there.
	var help binding
	for _, b := range bs {
		if b.short == "help" {
			help = b
		}
	}
	put := func(b binding, room int) (fits bool) {
		key, word := words(b)
		if key == "" {
			return true // it is in the help only
		}
		gap := ""
		if l.width() > 0 {
			gap = "  "
		}
		if l.width()+len(gap)+len(key)+len(word) > room {
			return false
		}
		l = l.put(plain, gap)
		from := l.width()
		l = l.put(title, key).put(plain, word)
		m.zones = append(m.zones, zone{from, l.width(), b.run})
		return true
	}
	key, word := words(help)
	for _, b := range bs {
		if b.short != "help" && !put(b, m.w-len(key)-len(word)-2) {
			break
		}
	}
	put(help, m.w)
	return l
}

// keyName is how the footer and the help write a key.
func keyName(key string) string {
	switch key {
	case "f1":
		return "F1"
	case "pgdown":
		return "PgDn"
	case "pgup":
		return "PgUp"
	}
	return key
}

// View draws the whole screen.
func (m *model) View() tea.View {
	var rows []line
	rules := m.h >= 16
	rows = append(rows, m.header())
	if rules {
		rows = append(rows, rule(m.w))
	}
	m.top = len(rows)
	tail := 2 // toast and footer
	if rules {
		tail = 3
	}
	body := max(m.h-m.top-tail, 0)
	var drawn []line
	if m.help != nil {
		drawn = m.help.draw(m, m.w, body)
	} else {
		drawn = m.current().draw(m.w, body)
	}
	if len(drawn) > body {
		drawn = drawn[:body]
	}
	rows = append(rows, drawn...)
	for len(rows) < m.h-tail {
		rows = append(rows, line{})
	}
	if rules {
		rows = append(rows, rule(m.w))
	}
	rows = append(rows, line(nil).put(title, m.toast), m.footer())
	if len(rows) > m.h {
		rows = rows[len(rows)-m.h:]
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.render(m.w)
	}
	v := tea.NewView(strings.Join(out, "\n"))
	v.AltScreen = true
	v.WindowTitle = "handoff"
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if x, y, ok := m.current().cursor(); ok && m.help == nil && m.top+y < m.h-tail && x < m.w {
		v.Cursor = tea.NewCursor(x, m.top+y)
	}
	return v
}
