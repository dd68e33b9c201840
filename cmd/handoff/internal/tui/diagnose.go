package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// diagnoseScreen is the guided way to one cause: it begins with a result or with
// what somebody saw, proposes the test that splits the remaining causes best for
// its cost, takes what it showed, and goes on until one cause is left or no test
// tells the rest apart.
type diagnoseScreen struct {
	m      *model
	told   []Told
	guide  Guide
	undo   []Told // what was told before it was started again
	sel    int
	top    int // first answer in sight
	scroll int // of the causes
	back   int // screen that led here; -1: none did
	run    *liveRun
	serial int
	rows   map[int]int // body row → choice, for the mouse
	page   int
}

type triedMsg struct {
	serial int
	told   Told
	err    error
}

func newDiagnoseScreen(m *model) *diagnoseScreen { return &diagnoseScreen{m: m, back: -1} }

func (s *diagnoseScreen) name() string { return "Diagnose" }

func (s *diagnoseScreen) state() string {
	switch {
	case s.run != nil:
		return "running " + seconds(s.run.now.Sub(s.run.began))
	case len(s.told) > 0:
		return counted(len(s.guide.Causes), "cause")
	}
	return ""
}

func (s *diagnoseScreen) text() bool                    { return false }
func (s *diagnoseScreen) typed(tea.KeyPressMsg) tea.Cmd { return nil }
func (s *diagnoseScreen) pasted(paste) tea.Cmd          { return nil }
func (s *diagnoseScreen) cursor() (x, y int, ok bool)   { return 0, 0, false }

// from begins with a result; what was told before comes back with ctrl+z.
func (s *diagnoseScreen) from(r Run) tea.Cmd {
	if s.run != nil {
		return toast("a test is still running on screen 5: wait for it, or cancel it there")
	}
	told := []Told{{Run: &r}}
	if r.Report == nil || r.Report.Verdict.Status == analyze.OK || len(s.m.o.Backend.Diagnose(told).Causes) == 0 {
		return toast("there is nothing to explain here")
	}
	s.back = s.m.at
	if slices.ContainsFunc(s.told, func(t Told) bool { return t.Test == "" && t.Run != nil && t.Run.Report == r.Report }) {
		return s.m.open(atDiagnose) // it is part of it
	}
	_ = s.again()
	s.tell(told...)
	return s.m.open(atDiagnose)
}

// tell takes more in.
func (s *diagnoseScreen) tell(more ...Told) {
	s.set(append(slices.Clone(s.told), more...))
}

func (s *diagnoseScreen) set(told []Told) {
	s.told = told
	s.guide = Guide{}
	if len(told) > 0 {
		s.guide = s.m.o.Backend.Diagnose(told)
	}
	s.sel, s.top, s.scroll = 0, 0, 0
}

// again forgets what was told, for as long as nothing new is.
func (s *diagnoseScreen) again() tea.Cmd {
	if len(s.told) > 0 {
		s.undo = s.told
	}
	s.set(nil)
	return toast("started again; ctrl+z brings the answers back")
}

// choice is a row that one can choose.
type choice struct {
	text, of string // in words, and what would be left
	in       style
	run      func() tea.Cmd
}

// hand are the runs that can be taken in: the last ones, newest first.
func (s *diagnoseScreen) hand() []Run {
	var out []Run
	for _, r := range s.m.recent {
		taken := func(t Told) bool { return t.Run != nil && t.Run.Report == r.Report }
		if r.Report != nil && r.Report.Verdict.Status != analyze.OK && !slices.ContainsFunc(s.told, taken) {
			out = append(out, r)
		}
	}
	return out
}

// what names a run in a row.
func what(r Run) string {
	switch rep := r.Report; {
	case r.Form.Bundled:
		return "the probe of the bundled relay at " + r.When.Format("15:04")
	case rep.Kind == "probe":
		return "the probe of " + rep.Target + " at " + r.When.Format("15:04")
	case rep.Input != nil:
		return "what was read from " + rep.Input.Source + " at " + r.When.Format("15:04")
	}
	return "the result of " + r.When.Format("15:04")
}

// choices are the rows of the question on show.
func (s *diagnoseScreen) choices() []choice {
	if len(s.told) == 0 {
		return s.beginnings()
	}
	t := s.guide.Test
	if t == nil {
		return nil
	}
	var out []choice
	for _, x := range t.Shows {
		out = append(out, choice{text: x.Show, of: strings.Join(x.Causes, ", "), run: s.answer(Told{Test: t.ID, Shown: x.Show})})
	}
	return append(out, choice{text: "nobody knows, or it cannot be done: another test", in: dim, run: s.answer(Told{Test: t.ID})})
}

func (s *diagnoseScreen) answer(a Told) func() tea.Cmd {
	return func() tea.Cmd {
		s.tell(a)
		if last := s.guide.Steps[len(s.guide.Steps)-1]; last.Note != "" {
			return toast("%s", last.Note)
		}
		return nil
	}
}

// beginnings are what a diagnosis can begin with: what is at hand in this run,
// what somebody saw, or the way to get something.
func (s *diagnoseScreen) beginnings() []choice {
	var out []choice
	for _, r := range s.hand() {
		out = append(out, choice{text: what(r), of: string(r.Report.Verdict.Code), run: func() tea.Cmd { return s.takeIn(r) }})
	}
	for _, x := range s.m.o.Backend.Symptoms() {
		out = append(out, choice{text: x.Words, run: s.answer(Told{Symptom: x.ID})})
	}
	return append(out,
		choice{text: "there is a bounce, a log or a transcript: paste it, then d", of: "screen 2", run: func() tea.Cmd { return s.m.open(atAnalyze) }},
		choice{text: "nobody knows: probe the relay and see, then d", of: "screen 1", run: func() tea.Cmd { return s.m.open(atProbe) }})
}

// takeIn takes a result of this run beside what was told.
func (s *diagnoseScreen) takeIn(r Run) tea.Cmd {
	more := Told{Run: &r}
	first := len(s.told) == 0
	s.tell(more)
	if first && len(s.guide.Causes) == 0 {
		s.set(nil)
		return toast("there is nothing to explain in it")
	}
	step := s.guide.Steps[len(s.guide.Steps)-1]
	if step.Note != "" {
		return toast("taken in: %s", step.Note)
	}
	return toast("taken in: %s", step.Words)
}

func (s *diagnoseScreen) bindings() []binding {
	if s.run != nil {
		return []binding{{keys: []string{"esc"}, short: "cancel", long: "cancel the test; nothing of it is taken in", run: s.cancel}}
	}
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			s.sel = min(max(s.sel+by, 0), max(len(s.choices())-1, 0))
			return nil
		}
	}
	scroll := func(by int) func() tea.Cmd {
		return func() tea.Cmd { s.scroll = max(s.scroll+by, 0); return nil }
	}
	var bs []binding
	if len(s.choices()) > 0 {
		short := "take it"
		if len(s.told) > 0 {
			short = "it showed this"
		}
		bs = append(bs,
			binding{keys: []string{"j", "down"}, short: "move", long: "next answer", run: move(1)},
			binding{keys: []string{"k", "up"}, long: "answer before", run: move(-1)},
			binding{keys: []string{"enter", "right"}, short: short, long: "take this answer and go on", run: s.choose},
			binding{keys: []string{"g", "home"}, long: "to the first answer", run: move(-1 << 30)},
			binding{keys: []string{"G", "end"}, long: "to the last answer: nobody knows", run: move(1 << 30)})
	}
	if t := s.guide.Test; t != nil {
		if makeable(t) {
			bs = append(bs, binding{keys: []string{"ctrl+r"}, short: "test it from here", long: "make this test from here, against the relay of the form on screen 1; nothing is delivered", run: s.start})
		}
		bs = append(bs, binding{keys: []string{"x"}, short: "not known", long: "nobody knows what this test shows: propose another", run: s.answer(Told{Test: t.ID})})
	}
	if len(s.told) > 0 {
		bs = append(bs, binding{keys: []string{"u", "left", "backspace"}, short: "step back", long: "take the last answer back", run: s.stepBack})
		if len(s.hand()) > 0 {
			bs = append(bs, binding{keys: []string{"i"}, short: "take in", long: "take in the last probe or text of this run, beside what was told", run: func() tea.Cmd { return s.takeIn(s.hand()[0]) }})
		}
		bs = append(bs,
			binding{keys: []string{"pgdown", "ctrl+d", "space"}, long: "scroll the causes down", run: scroll(5)},
			binding{keys: []string{"pgup", "ctrl+u", "b"}, long: "scroll the causes up", run: scroll(-5)},
			binding{keys: []string{"p"}, long: "to the probe form, with host, sender and recipient of what was read", run: s.toProbe},
			binding{keys: []string{"y"}, short: "copy", long: "copy the ticket: what is left, and what each test showed", run: func() tea.Cmd { return s.copy(false) }},
			binding{keys: []string{"Y"}, long: "copy the ticket, personal data replaced", run: func() tea.Cmd { return s.copy(true) }},
			binding{keys: []string{"e"}, short: "export", long: "write the ticket and its JSON to files", run: s.export},
			binding{keys: []string{"ctrl+l"}, short: "start again", long: "forget what was told and start again", run: s.again})
	} else if s.undo != nil {
		bs = append(bs, binding{keys: []string{"ctrl+z"}, short: "undo", long: "bring back what was told", run: s.unclear})
	}
	if s.back >= 0 {
		bs = append(bs, binding{keys: []string{"esc"}, short: "back", long: "back to where this began; the answers stay", run: s.leave})
	} else if len(s.told) > 0 {
		bs = append(bs, binding{keys: []string{"esc"}, long: "start again; ctrl+z brings the answers back", run: s.again})
	}
	return bs
}

// makeable reports whether a test is one that a program can make.
func makeable(t *analyze.CatalogueTest) bool { return t.Probe != nil || t.ID == "look-mx" }

func (s *diagnoseScreen) leave() tea.Cmd {
	to := s.back
	s.back = -1
	return s.m.open(to)
}

func (s *diagnoseScreen) choose() tea.Cmd {
	if all := s.choices(); s.sel < len(all) {
		return all[s.sel].run()
	}
	return nil
}

func (s *diagnoseScreen) stepBack() tea.Cmd {
	last := len(s.told) - 1
	if last == 0 {
		return s.again()
	}
	s.set(slices.Clone(s.told[:last]))
	return nil
}

func (s *diagnoseScreen) unclear() tea.Cmd {
	told := s.undo
	s.undo = nil
	s.set(told)
	return nil
}

// seenRun is the first thing that was read or probed; nil: nothing was.
func (s *diagnoseScreen) seenRun() *Run {
	for i := range s.told {
		if s.told[i].Run != nil && s.told[i].Test == "" {
			return s.told[i].Run
		}
	}
	return nil
}

func (s *diagnoseScreen) toProbe() tea.Cmd {
	form := s.m.screens[atProbe].(*probeScreen)
	if form.run != nil {
		return toast("a probe is still running on screen 1")
	}
	form.result = nil
	if r := s.seenRun(); r != nil && r.Report.Kind != "probe" {
		form.fill(formOf(r.Report))
	}
	return s.m.open(atProbe)
}

func (s *diagnoseScreen) copy(strict bool) tea.Cmd {
	return s.m.copyText("the ticket", s.m.o.Backend.Markdown(s.guide.Run, strict))
}

func (s *diagnoseScreen) export() tea.Cmd { return s.m.exportRun(s.guide.Run) }

// start makes the proposed test in the background.
func (s *diagnoseScreen) start() tea.Cmd {
	form := s.m.screens[atProbe].(*probeScreen).form()
	if r := s.seenRun(); !form.Bundled && form.Host == "" || form.Bundled && (r == nil || !r.Form.Bundled) {
		return tea.Batch(s.toProbe(), toast("which relay? choose a host and fill it in, then 5 and ctrl+r"))
	}
	s.serial = s.m.nextRun()
	ctx, cancel := context.WithCancel(s.m.ctx)
	now := s.m.o.Now()
	s.run = &liveRun{serial: s.serial, form: form, cancel: cancel, began: now, now: now, ports: map[int][]liveStep{}, test: s.guide.Test.ID}
	serial, send, told := s.serial, s.m.send, s.told
	return tea.Batch(func() tea.Msg {
		t, err := s.m.o.Backend.Try(ctx, told, form, func(e probe.Event) {
			if send != nil {
				send(stepMsg{serial, e})
			}
		})
		cancel()
		return triedMsg{serial, t, err}
	}, s.tick())
}

func (s *diagnoseScreen) tick() tea.Cmd { return s.m.after(time.Second, tickMsg{s.serial}) }

func (s *diagnoseScreen) cancel() tea.Cmd {
	s.run.cancel()
	return toast("cancelling")
}

func (s *diagnoseScreen) cancelRun() {
	if s.run != nil {
		s.run.cancel()
	}
}

func (s *diagnoseScreen) update(msg tea.Msg) tea.Cmd {
	if s.run == nil {
		return nil
	}
	switch msg := msg.(type) {
	case stepMsg:
		if msg.serial == s.run.serial {
			s.run.take(msg.event, s.m.o.Now())
		}
	case tickMsg:
		if msg.serial == s.run.serial {
			s.run.now = s.m.o.Now()
			return s.tick()
		}
	case triedMsg:
		if msg.serial != s.run.serial {
			return nil
		}
		s.run = nil
		if msg.err != nil {
			return toast("%v", msg.err)
		}
		if msg.told.Run != nil {
			s.m.o.Backend.Remember(*msg.told.Run)
		}
		return s.answer(msg.told)()
	}
	return nil
}

func (s *diagnoseScreen) clicked(_, y int) tea.Cmd {
	i, ok := s.rows[y]
	switch {
	case !ok || s.run != nil:
		return nil
	case i == s.sel:
		return s.choose()
	}
	s.sel = i
	return nil
}

func (s *diagnoseScreen) draw(w, h int) []line {
	s.rows = map[int]int{}
	if s.run != nil {
		return s.run.draw(w, h)
	}
	if len(s.told) == 0 {
		out := []line{line{}.put(title, " DIAGNOSE").put(plain, cut("   from what is seen to the one cause, question by question", max(w-9, 0)))}
		if h >= 14 {
			out = append(out, prose(" Nothing is needed to begin: say what is seen, and each question after it rules causes out. What nobody knows can be left open.", w)...)
			out = append(out, line{})
		}
		out = append(out, say("  What is there to begin with?"))
		return s.drawChoices(out, w, h, h)
	}
	out := s.drawHead(w, h)
	t := s.guide.Test
	switch {
	case t != nil:
		if h >= 16 {
			out = append(out, rule(w))
		}
		ask := labelled("test", title, t.Do, w)
		if most := max(h/4, 1); len(ask) > most { // a small window: the answers matter more
			ask = ask[:most]
			ask[most-1] = ask[most-1].put(dim, " ..")
		}
		out = append(out, ask...)
		if by := strings.Join(nonEmpty(t.Who, t.Cost), ", "); by != "" && h >= 12 {
			out = append(out, labelled("by", dim, by, w)...)
		}
		out = append(out, say("  What did it show?"))
		if room := h - 3; len(out) > room { // a small window: the answers matter most
			out = append(out[:1:1], out[len(out)-max(room-1, 0):]...)
		}
		out = s.drawChoices(out, w, h, max(h/2, 3))
	case len(s.guide.Causes) == 0:
		out = append(out, prose(" No cause that is known explains this. Ask for the sending server's SMTP log of these minutes, and read it on screen 2; u takes the last answer back.", w)...)
	case len(s.guide.Causes) == 1:
		out = append(out, prose(" That is it: y copies the ticket, e writes it to a file.", w)...)
	default:
		out = append(out, prose(" No test of the catalogue tells these apart any more: this is the smallest honest set. Ask the first who has to act.", w)...)
	}
	if h-len(out) < 2 {
		return out
	}
	out = append(out, rule(w))
	var detail []line
	if n := len(s.guide.Causes); 4*n > h-len(out) { // all their names first: they get fewer from question to question
		var ids []string
		for i := range s.guide.Causes {
			ids = append(ids, s.guide.Causes[i].ID)
		}
		detail = labelled("left", title, strings.Join(ids, ", "), w)
	}
	for i := range s.guide.Causes {
		detail = append(detail, causeLines(&s.guide.Causes[i], w)...)
	}
	room := max(h-len(out), 0)
	s.scroll = min(s.scroll, max(len(detail)-room, 0))
	end := min(s.scroll+room, len(detail))
	shown := slices.Clone(detail[s.scroll:end])
	if end < len(detail) && len(shown) > 1 {
		shown[len(shown)-1] = line{}.put(dim, fmt.Sprintf("  (%s: PgDn)", counted(len(detail)-end+1, "more line")))
	}
	return append(out, shown...)
}

// drawHead says how far it is: how many causes fitted after each thing told.
func (s *diagnoseScreen) drawHead(w, h int) []line {
	var chain []string
	for i, st := range s.guide.Steps {
		if i == 0 || st.After != st.Before {
			chain = append(chain, fmt.Sprint(st.After))
		}
	}
	head := line{}.put(title, " DIAGNOSE   ")
	switch n := len(s.guide.Causes); {
	case n == 1 && s.guide.Sets == 1:
		head = head.put(plain, strings.Join(chain, " > ")).put(good, " cause is left: "+s.guide.Causes[0].ID)
	case n == s.guide.Sets:
		head = head.put(plain, strings.Join(chain, " > ")+" causes fit")
	default: // some explain it together only
		head = head.put(plain, fmt.Sprintf("%s explanations fit, of %s", strings.Join(chain, " > "), counted(n, "cause")))
	}
	out := []line{head}
	room := max(min(len(s.guide.Steps), (h-8)/3), 0)
	if room == 0 && h >= 10 {
		room = 1
	}
	steps := s.guide.Steps[max(len(s.guide.Steps)-room, 0):]
	for i, st := range steps {
		word := "told"
		if t := s.told[len(s.told)-len(steps)+i]; t.Run != nil || t.By != "" {
			word = "seen"
		}
		became := fmt.Sprintf("%d > %d", st.Before, st.After)
		switch {
		case st.Note != "":
			became = "left out"
		case st.Before == st.After:
			became = fmt.Sprintf("still %d", st.After)
		case st.Before == 0:
			became = fmt.Sprintf("%d fit", st.After)
		}
		const col = 8
		text := transcript.Escape(st.Words)
		out = append(out, line{}.put(dim, "  "+word).pad(col).put(plain, cut(text, max(w-col-10, 8))).pad(max(w-9, 10)).put(dim, became))
	}
	if hand := s.hand(); len(hand) > 0 && h >= 16 {
		out = append(out, line{}.put(dim, "  hand").pad(8).put(plain, cut(transcript.Escape(what(hand[0])), max(w-8-19, 8))).put(dim, "   i takes it in"))
	}
	return out
}

// drawChoices draws the rows of the question into at most so many rows, the one
// that is chosen in full and in sight.
func (s *diagnoseScreen) drawChoices(out []line, w, h, most int) []line {
	all := s.choices()
	s.sel = min(s.sel, max(len(all)-1, 0))
	var full []string
	if s.sel < len(all) {
		c := all[s.sel]
		text := transcript.Escape(c.text)
		if c.of != "" {
			text += "  -> " + transcript.Escape(c.of)
		}
		full = wrap(text, w-3, 2)
		if limit := max(min(h/6, 4), 2); len(full) > limit {
			full = append(full[:limit-1:limit-1], cut(full[limit-1]+" ..", w-3))
		}
	}
	room := max(min(most, h-len(out))-max(len(full)-1, 0), 1)
	more := len(all) > room
	if more && room > 1 {
		room--
	}
	s.page = room
	s.top = window(len(all), room, s.sel, s.top)
	for i := s.top; i < min(s.top+room, len(all)); i++ {
		if i != s.sel {
			c := all[i]
			s.rows[len(out)] = i
			l := say("   ").quote(c.in, c.text)
			if n := strings.Count(c.of, ",") + 1; c.of != "" && l.width()+len(c.of)+5 > w && n > 1 {
				l = l.put(dim, fmt.Sprintf("  -> %d causes", n))
			} else if c.of != "" {
				l = l.put(dim, "  -> "+c.of)
			}
			out = append(out, l)
			continue
		}
		for k, part := range full {
			mark := "   "
			if k == 0 {
				mark = " > "
			}
			s.rows[len(out)] = i
			out = append(out, line{{mark, title}}.put(plain, part))
		}
	}
	if more && room > 1 {
		out = append(out, line{}.put(dim, fmt.Sprintf("   (%d of %d; G is the last: nobody knows)", s.sel+1, len(all))))
	}
	return out
}

func nonEmpty(all ...string) []string {
	var out []string
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
