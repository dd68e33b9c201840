package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// Fields of the probe form, in their order.
const (
	fieldRelay = iota
	fieldHost
	fieldPorts
	fieldHELO
	fieldUser
	fieldPassword
	fieldMade
	fieldFrom
	fieldTo
	fieldIntent
	fieldStop
)

var (
	portChoices   = []string{"25 and 587", "25", "587"}
	intentChoices = []analyze.Intent{analyze.IntentAuth, analyze.IntentServer, analyze.IntentBoth}
	stopChoices   = []transcript.Stage{transcript.StageTLS, transcript.StageAuth, transcript.StageEnvelope}
)

// probeScreen is the form, the running probe and its result.
type probeScreen struct {
	m      *model
	fields []*field
	focus  int
	undo   []string // values before the form was cleared
	run    *liveRun
	result *resultView
	serial int  // of the run; late messages of an earlier one are dropped
	intro  bool // what one sees here is told below the form
}

type doneMsg struct {
	serial int
	run    Run
	err    error
}

func newProbeScreen(m *model) *probeScreen {
	words := func(stages []transcript.Stage) (out []string) {
		for _, s := range stages {
			out = append(out, string(s))
		}
		return out
	}
	s := &probeScreen{m: m, intro: m.o.First, fields: []*field{
		fieldRelay:    {label: "Relay", options: []string{"bundled relay", "a host"}},
		fieldHost:     {label: "Relay host"},
		fieldPorts:    {label: "Ports", options: portChoices},
		fieldHELO:     {label: "HELO name"},
		fieldUser:     {label: "AUTH user", note: "empty: AUTH is not tried"},
		fieldPassword: {label: "Password", hidden: true, note: "never shown, never saved"},
		fieldMade:     {label: "Pair made", note: "ago, as 20m or 2h; empty: not known"},
		fieldFrom:     {label: "Mail from"},
		fieldTo:       {label: "Rcpt to"},
		fieldIntent:   {label: "Intent", options: []string{"auth: 587, 25 must refuse", "server: 25", "both"}},
		fieldStop:     {label: "Stop after", options: words(stopChoices), choice: 2},
	}}
	s.fill(m.o.Form)
	return s
}

// fill puts values into the form; an empty host means the bundled relay.
func (s *probeScreen) fill(f Form) {
	if f.Host != "" {
		s.fields[fieldRelay].choice = 1
	}
	if f.Bundled {
		s.fields[fieldRelay].choice = 0
	}
	for i, v := range map[int]string{fieldHost: f.Host, fieldHELO: f.HELO, fieldUser: f.User, fieldFrom: f.From, fieldTo: f.To} {
		if v != "" {
			s.fields[i].set(v)
		}
	}
	for i, in := range intentChoices {
		if in == f.Intent {
			s.fields[fieldIntent].choice = i
		}
	}
	switch {
	case f.Port25 && !f.Port587:
		s.fields[fieldPorts].choice = 1
	case f.Port587 && !f.Port25:
		s.fields[fieldPorts].choice = 2
	case f.Port25 && f.Port587:
		s.fields[fieldPorts].choice = 0
	}
}

func (s *probeScreen) form() Form {
	f := Form{
		Bundled: s.fields[fieldRelay].choice == 0,
		Host:    strings.TrimSpace(s.fields[fieldHost].String()),
		HELO:    strings.TrimSpace(s.fields[fieldHELO].String()),
		User:    s.fields[fieldUser].String(), Password: s.fields[fieldPassword].String(),
		From: strings.TrimSpace(s.fields[fieldFrom].String()), To: strings.TrimSpace(s.fields[fieldTo].String()),
		Intent:    intentChoices[s.fields[fieldIntent].choice],
		StopAfter: stopChoices[s.fields[fieldStop].choice],
		Port25:    s.fields[fieldPorts].choice != 2, Port587: s.fields[fieldPorts].choice != 1,
	}
	f.MadeAgo, _ = age(s.fields[fieldMade].String())
	if f.Bundled {
		f.Host, f.User, f.Password, f.From, f.To, f.MadeAgo = "", "", "", "", "", 0
	}
	return f
}

// age reads how long ago something was, "20m" or "2h"; a bare number is minutes.
func age(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, true
	}
	if strings.Trim(text, "0123456789") == "" {
		text += "m"
	}
	d, err := time.ParseDuration(text)
	return max(d, 0), err == nil && d > 0
}

// visible lists the fields that matter for the chosen relay: the bundled one
// brings its own name, credential and sender.
func (s *probeScreen) visible() []int {
	var out []int
	for i := range s.fields {
		if s.fields[fieldRelay].choice == 0 {
			switch i {
			case fieldHost, fieldUser, fieldPassword, fieldMade, fieldFrom, fieldTo:
				continue
			}
		}
		out = append(out, i)
	}
	return out
}

func (s *probeScreen) name() string { return "Probe" }

func (s *probeScreen) state() string {
	switch {
	case s.run != nil:
		return "running " + seconds(s.run.now.Sub(s.run.began))
	case s.result != nil:
		return "done in " + seconds(s.result.run.Took)
	}
	return s.m.o.Version
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func (s *probeScreen) bindings() []binding {
	switch {
	case s.run != nil:
		return []binding{
			{keys: []string{"esc"}, short: "cancel (keeps what is known)", long: "cancel the run and keep what is known so far", run: s.cancel},
		}
	case s.result != nil:
		bs := s.result.bindings()
		if s.result.within() {
			return bs
		}
		return append(bs,
			binding{keys: []string{"ctrl+r"}, short: "re-run", long: "run the same probe again", run: s.start},
			binding{keys: []string{"esc"}, short: "form", long: "back to the form; its values are kept", run: s.toForm})
	}
	bs := []binding{
		{keys: []string{"ctrl+r"}, short: "run", long: "run the probe", run: s.start},
		{keys: []string{"tab", "down"}, short: "next", long: "next field", run: func() tea.Cmd { return s.move(1) }},
		{keys: []string{"shift+tab", "up"}, long: "field before", run: func() tea.Cmd { return s.move(-1) }},
		{keys: []string{"enter"}, long: "next field; on the last one, run the probe", run: s.enter},
		{keys: []string{"ctrl+y"}, short: "copy command", long: "copy the equal command lines, without the password", run: s.copyCommand},
		{keys: []string{"ctrl+l"}, short: "clear", long: "clear the form", run: s.clear},
	}
	if s.undo != nil {
		bs = append(bs, binding{keys: []string{"ctrl+z"}, short: "undo clear", long: "bring the cleared form back", run: s.unclear})
	}
	if s.intro {
		bs = append(bs, binding{keys: []string{"esc"}, short: "hide this", long: "hide what you see here", run: func() tea.Cmd { s.intro = false; return nil }})
	}
	if s.text() {
		bs = append(bs, fieldKeys)
	} else {
		f := s.fields[s.focus]
		bs = append(bs,
			binding{keys: []string{"right", "l", "space"}, long: "next choice", run: func() tea.Cmd { return f.choose(1) }},
			binding{keys: []string{"left", "h"}, long: "choice before", run: func() tea.Cmd { return f.choose(-1) }},
			binding{keys: []string{"j"}, long: "next field", run: func() tea.Cmd { return s.move(1) }},
			binding{keys: []string{"k"}, long: "field before", run: func() tea.Cmd { return s.move(-1) }})
	}
	return bs
}

func (s *probeScreen) text() bool {
	if s.run != nil {
		return false
	}
	if s.result != nil {
		return s.result.text()
	}
	return s.fields[s.focus].isText()
}

func (s *probeScreen) typed(k tea.KeyPressMsg) tea.Cmd {
	if s.result != nil {
		return s.result.typed(k)
	}
	s.fields[s.focus].edit(k)
	return nil
}

func (s *probeScreen) pasted(p paste) tea.Cmd {
	if s.result != nil { // a search in a text
		return s.result.pasted(p)
	}
	f := s.fields[s.focus]
	first, more, _ := strings.Cut(strings.TrimRight(strings.ReplaceAll(p.text, "\r", "\n"), "\n"), "\n")
	switch {
	case p.more: // its first line is in the field
		if s.m.offered != "" {
			return s.m.offer(p)
		}
		return nil
	case f.insert(first):
		return toast("the paste was longer than a field: cut after %d characters", maxField)
	case strings.TrimSpace(more) == "":
		return nil
	case f.hidden:
		return toast("only the first line of the paste went into %s", f.label)
	}
	s.m.offered = ""
	_ = s.m.offer(p)
	return toast("only the first line went into %s; alt+a analyzes the whole paste", f.label)
}

func (s *probeScreen) move(by int) tea.Cmd {
	vis := s.visible()
	at := 0
	for i, v := range vis {
		if v == s.focus {
			at = i
		}
	}
	s.focus = vis[(at+by+len(vis))%len(vis)]
	return nil
}

func (s *probeScreen) enter() tea.Cmd {
	vis := s.visible()
	if s.focus == vis[len(vis)-1] {
		return s.start()
	}
	return s.move(1)
}

func (s *probeScreen) clear() tea.Cmd {
	s.undo = nil
	for _, f := range s.fields {
		if f.isText() {
			s.undo = append(s.undo, f.String())
			f.set("")
		}
	}
	return toast("the form is cleared; ctrl+z brings it back")
}

func (s *probeScreen) unclear() tea.Cmd {
	i := 0
	for _, f := range s.fields {
		if f.isText() {
			f.set(s.undo[i])
			i++
		}
	}
	s.undo = nil
	return nil
}

func (s *probeScreen) copyCommand() tea.Cmd {
	return s.m.copyText("the commands", strings.Join(s.m.o.Backend.Commands(s.form()), "\n"))
}

func (s *probeScreen) toForm() tea.Cmd {
	s.result = nil
	return nil
}

// start checks the form and runs the probe in the background.
func (s *probeScreen) start() tea.Cmd {
	f := s.form()
	switch {
	case !f.Bundled && f.Host == "":
		s.focus = fieldHost
		s.result = nil
		return toast("which host? fill in the relay host, or choose the bundled relay")
	case !f.Bundled && f.User != "" && f.Password == "":
		s.focus = fieldPassword
		s.result = nil
		return toast("a user without a password cannot log in: fill in the password, or empty the user")
	case !f.Bundled && f.To != "" && f.From == "":
		s.focus = fieldFrom
		s.result = nil
		return toast("a recipient needs a sender: fill in mail from")
	}
	if _, ok := age(s.fields[fieldMade].String()); !ok && !f.Bundled {
		s.focus = fieldMade
		s.result = nil
		return toast("how long ago was the pair made? write 20m or 2h, or leave it empty")
	}
	s.result, s.intro = nil, false
	s.serial = s.m.nextRun()
	ctx, cancel := context.WithCancel(s.m.ctx)
	now := s.m.o.Now()
	s.run = &liveRun{serial: s.serial, form: f, cancel: cancel, began: now, now: now, ports: map[int][]liveStep{}}
	serial, send := s.serial, s.m.send
	return tea.Batch(func() tea.Msg {
		r, err := s.m.o.Backend.Probe(ctx, f, func(e probe.Event) {
			if send != nil {
				send(stepMsg{serial, e})
			}
		})
		cancel()
		return doneMsg{serial, r, err}
	}, s.tick())
}

func (s *probeScreen) counting() bool { return s.result != nil && s.result.counting() }

func (s *probeScreen) tick() tea.Cmd {
	return s.m.after(time.Second, tickMsg{s.serial})
}

func (s *probeScreen) cancel() tea.Cmd {
	s.run.cancel()
	return toast("cancelling; what is known is kept")
}

func (s *probeScreen) cancelRun() {
	if s.run != nil {
		s.run.cancel()
	}
}

func (s *probeScreen) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case stepMsg:
		if s.run != nil && msg.serial == s.run.serial {
			s.run.take(msg.event, s.m.o.Now())
		}
	case tickMsg:
		if s.run != nil && msg.serial == s.run.serial {
			s.run.now = s.m.o.Now()
			return s.tick()
		}
	case doneMsg:
		if s.run == nil || msg.serial != s.run.serial {
			return nil
		}
		s.run = nil
		if msg.err != nil {
			return toast("the probe could not start: %v", msg.err)
		}
		before := s.m.runBefore(msg.run)
		s.m.remember(msg.run)
		s.result = newResultView(s.m, msg.run).since(before)
		if msg.run.Report != nil && msg.run.Report.Partial {
			return toast("ended early; what is known by then is kept")
		}
	}
	return nil
}

func (s *probeScreen) cursor() (x, y int, ok bool) {
	if s.run != nil || s.result != nil || !s.text() {
		return 0, 0, false
	}
	y = 2
	for _, i := range s.visible() {
		if i == s.focus {
			_, x := s.fields[i].draw(true, labelWidth, s.m.w)
			return x, y, true
		}
		y++
	}
	return 0, 0, false
}

const labelWidth = 12

func (s *probeScreen) clicked(_, y int) tea.Cmd {
	if s.run != nil {
		return nil
	}
	if s.result != nil {
		return s.result.clicked(y)
	}
	if vis := s.visible(); y >= 2 && y-2 < len(vis) {
		s.focus = vis[y-2]
	}
	return nil
}

func (s *probeScreen) draw(w, h int) []line {
	switch {
	case s.run != nil:
		return s.run.draw(w, h)
	case s.result != nil:
		return s.result.draw(w, h)
	}
	out := []line{line{}.put(title, " PROBE").put(plain, "   test a relay the way your mail server uses it"), {}}
	for _, i := range s.visible() {
		l, _ := s.fields[i].draw(i == s.focus, labelWidth, w)
		out = append(out, l)
	}
	out = append(out, line{})
	if s.fields[fieldRelay].choice == 0 {
		out = append(out, prose(" The bundled relay behaves like the service and runs in this program: it brings a credential, a registered sender and an outside recipient, and delivers nothing. ctrl+r shows what a healthy account looks like.", w)...)
	} else {
		out = append(out, prose(" Nothing is delivered: the session ends with RSET and QUIT after RCPT TO. The password goes to this host only, and only inside verified TLS.", w)...)
	}
	if s.intro {
		told := welcome(w)
		if len(out)+len(told) > h {
			told = told[1:] // without its blank row
		}
		if len(out)+len(told) <= h {
			out = append(out, told...)
		}
	}
	if recent := s.m.o.Backend.History(); len(recent) > 0 && len(out)+3 < h {
		out = append(out, line{}, line{}.put(title, " RECENT"))
		for _, r := range recent {
			out = append(out, runLine(r))
		}
	}
	return out
}

// welcome is what somebody reads who starts the program for the first time.
func welcome(w int) []line {
	out := []line{{}, line{}.put(title, " WHAT YOU SEE HERE").put(plain, "   esc hides it")}
	for _, x := range [][2]string{
		{"ctrl+r", "runs this probe now: both ports, step by step; nothing is delivered"},
		{"1 Probe", "asks a relay what it accepts, the way your mail server would"},
		{"2 Analyze", "reads a bounce, a log or a transcript: paste it, or open a file"},
		{"3 Relay", "is the bundled relay: faults to switch on, an account to practise"},
		{"4 History", "has earlier runs, to open and to compare"},
		{"5 Diagnose", "leads to the one cause by questions, also with nothing in hand"},
		{"last row", "has the keys that work now; F1, or ?, explains a screen"},
	} {
		out = append(out, say("   ").put(title, x[0]).pad(14).put(plain, cut(x[1], max(w-14, 0))))
	}
	return out
}

// prose wraps a paragraph of ours; its first blank is the indent.
func prose(text string, w int) []line {
	var out []line
	for _, s := range wrap(strings.TrimSpace(text), w-2, 0) {
		out = append(out, say(" "+s))
	}
	return out
}

// runLine is one run in a list.
func runLine(r Run) line {
	l := say("   " + r.When.Format("15:04") + "  ")
	if r.Report == nil {
		return l
	}
	code := string(r.Report.Verdict.Code)
	l = l.put(statusStyle(code), code).pad(32)
	return l.quote(plain, r.Report.Verdict.Headline)
}

// beside puts two columns next to each other.
func beside(a, b []line, w int) []line {
	half := w / 2
	var out []line
	for i := range max(len(a), len(b)) {
		l := say(" ")
		if i < len(a) {
			l = append(l, fitted(a[i], half-1)...)
		}
		l = l.pad(half + 1)
		if i < len(b) {
			l = append(l, b[i]...)
		}
		out = append(out, l)
	}
	return out
}

// fitted cuts a line to n cells, keeping its styles.
func fitted(l line, n int) line {
	var out line
	for _, p := range l {
		room := n - out.width()
		if room <= 0 {
			break
		}
		out = append(out, piece{cut(p.text, room), p.in})
	}
	return out
}
