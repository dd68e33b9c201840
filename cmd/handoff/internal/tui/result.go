package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// resultView shows a finished run, of a probe or of an analysis: what
// happened, why, what to do, who. The full text or transcript is one key away.
type resultView struct {
	m       *model
	run     Run
	entries []entry
	sel     int
	top     int // first entry in sight
	scroll  int // of the detail, or of the sheet
	lines   *textView
	opened  bool        // it was read once: the place in it is kept
	offsets map[int]int // of a probe: first row of each port's transcript
	rows    []int       // body row of each entry in sight, for the mouse
	listTop int

	before    *Run     // the run before, of the same target; nil: none is known
	changes   []string // since then
	sheet     sheet    // a view inside the result is open
	hopsFound []Hop
	hopsRead  bool
}

// sheet is a page inside the result that is only read.
type sheet int

const (
	noSheet sheet = iota
	pictureSheet
	changesSheet
)

// entry is a row of the result: an outcome, a finding or a cause.
type entry struct {
	row    line
	detail func(w int) []line
	part   analyze.Report // of the report: what the row is about, for a copy of it
	what   string         // its name in words
}

func newResultView(m *model, r Run) *resultView {
	v := &resultView{m: m, run: r}
	if r.Report == nil {
		return v
	}
	rep := r.Report
	for i := range rep.Outcomes {
		v.entries = append(v.entries, v.outcomeEntry(&rep.Outcomes[i]))
		v.entries[len(v.entries)-1].part.Outcomes = rep.Outcomes[i : i+1]
	}
	if len(rep.Outcomes) == 0 {
		for i := range rep.Causes {
			v.entries = append(v.entries, causeEntry(&rep.Causes[i]))
			v.entries[len(v.entries)-1].part.Causes = rep.Causes[i : i+1]
		}
	}
	for i := range rep.Findings {
		v.entries = append(v.entries, v.findingEntry(i))
		v.entries[len(v.entries)-1].part.Findings = rep.Findings[i : i+1]
	}
	for i := range rep.NextTests {
		v.entries = append(v.entries, testEntry(&rep.NextTests[i]))
		v.entries[len(v.entries)-1].part.NextTests = rep.NextTests[i : i+1]
	}
	return v
}

func (v *resultView) outcomeEntry(o *analyze.Outcome) entry {
	who := o.Recipient
	if who == "" {
		who = "recipient not stated"
	}
	l := line{}.put(statusStyle(string(o.Verdict)), string(o.Verdict)).pad(22).quote(plain, who)
	if o.Reply.Code > 0 {
		l = l.put(plain, fmt.Sprintf("  %d %s", o.Reply.Code, o.Reply.Enhanced))
	}
	return entry{row: l, what: "one outcome", detail: func(w int) []line {
		out := labelled("what", title, "stage "+o.Stage+" | "+string(o.Direction)+" | to act: "+string(o.Party), w)
		for _, host := range []struct{ did, name string }{
			{"refused by", o.RefusedBy}, {"tried", o.Target}, {"reported by", o.ReportedBy},
		} {
			if host.name == "" || host.did == "tried" && host.name == o.RefusedBy {
				continue
			}
			out = append(out, labelled("", plain, host.did+" "+host.name, w)...)
		}
		if o.Reply.Text != "" {
			out = append(out, labelled("said", title, o.Reply.Text, w)...)
		}
		if n := len(o.Causes); n > 1 {
			out = append(out, labelled("why", title, fmt.Sprintf("%d causes fit: %s, %s%s; d finds the one", n, o.Causes[0].ID, o.Causes[1].ID, map[bool]string{true: ", ..."}[n > 2]), w)...)
		}
		out = append(out, v.quotes(o.Evidence, w)...)
		for _, c := range o.Causes {
			out = append(out, causeLines(&c, w)...)
		}
		return out
	}}
}

func causeEntry(c *analyze.Cause) entry {
	return entry{
		row: line{}.put(plain, "cause").pad(9).put(title, c.ID), what: "one cause",
		detail: func(w int) []line { return causeLines(c, w) },
	}
}

func causeLines(c *analyze.Cause, w int) []line {
	out := labelled("cause", title, c.ID+" | to act: "+string(c.Who), w)
	if c.Fits != "" {
		out = append(out, labelled("fits", dim, c.Fits, w)...)
	}
	out = append(out, labelled("fix", good, c.Fix, w)...)
	return append(out, labelled("src", dim, c.Source, w)...)
}

func testEntry(t *analyze.NextTest) entry {
	return entry{
		row: line{}.put(plain, "test").pad(9).put(title, t.ID), what: "one test",
		detail: func(w int) []line {
			out := labelled("do", title, t.Do, w)
			if t.Who != "" {
				out = append(out, labelled("who", dim, t.Who, w)...)
			}
			if len(t.Separates) > 0 {
				out = append(out, labelled("tells", dim, "apart: "+strings.Join(t.Separates, ", "), w)...)
			}
			return out
		},
	}
}

func (v *resultView) findingEntry(i int) entry {
	f := &v.run.Report.Findings[i]
	l := line{}.put(statusStyle(string(f.Severity)), string(f.Severity)).pad(9).put(title, f.ID).pad(36)
	if f.Expected {
		l = l.put(expected, "expected").put(plain, "  ")
	}
	l = l.quote(plain, f.Title)
	return entry{row: l, what: "one finding", detail: func(w int) []line {
		out := []line{line{}.put(title, " "+f.ID).put(plain, "   ").quote(plain, f.Title)}
		out = append(out, v.quotes(f.Evidence, w)...)
		if f.Why != "" {
			out = append(out, labelled("why", title, f.Why, w)...)
		}
		for _, x := range f.Fix {
			out = append(out, labelled("fix", good, string(x.Who)+": "+x.Text, w)...)
			if x.Command != "" {
				out = append(out, labelled("", plain, x.Command, w)...)
			}
		}
		for _, n := range f.Not {
			out = append(out, labelled("not", warn, n, w)...)
		}
		if f.Source != "" {
			out = append(out, labelled("src", dim, f.Source, w)...)
		}
		return out
	}}
}

// quotes shows evidence: the line as it stands in the input, marked, or for a
// probe the quoted words of the transcript.
func (v *resultView) quotes(es []analyze.Evidence, w int) []line {
	var out []line
	v.read()
	for _, e := range es {
		head := fmt.Sprintf("%5d | ", e.Line)
		if e.Port != 0 {
			head = fmt.Sprintf("%7s | ", fmt.Sprintf("%d:%d", e.Port, e.Line))
		}
		full := ""
		if i := v.lineOf(e); i >= 0 {
			full = v.lines.text.line(i)
		}
		before, quote := "", firstLine(e.Quote)
		if r := []rune(full); full != "" && e.Column > 0 && e.Column-1 <= len(r) {
			before = string(r[:e.Column-1])
		}
		if room := w - len(head) - len([]rune(quote)); len([]rune(before)) > max(room, 0) { // keep the mark in sight
			r := []rune(before)
			before = "~" + string(r[len(r)-max(room-1, 0):])
			if room < 1 {
				before = ""
			}
		}
		l := line{{head, dim}}.quote(plain, before).quote(evidence, quote)
		if r := []rune(full); full != "" && e.Column > 0 {
			if at := e.Column - 1 + len([]rune(quote)); at <= len(r) {
				l = l.quote(plain, string(r[at:]))
			}
		}
		if e.Role != "" && l.width()+len(e.Role)+4 < w {
			l = l.put(dim, "  <- "+e.Role)
		}
		out = append(out, l)
	}
	return out
}

func firstLine(s string) string {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}

// read cuts the text that evidence points into: the input of an analysis, or
// the transcripts of a probe one under the other.
func (v *resultView) read() {
	if v.lines != nil {
		return
	}
	text := v.run.Text
	v.offsets = map[int]int{}
	if len(v.run.Sessions) > 0 {
		var b strings.Builder
		n := 0
		for i := range v.run.Sessions {
			s := &v.run.Sessions[i]
			if _, twice := v.offsets[s.Port]; !twice {
				v.offsets[s.Port] = n
			}
			for _, l := range analyze.TranscriptLines(s) {
				b.WriteString(transcript.Escape(l) + "\n")
				n++
			}
			b.WriteString("\n")
			n++
		}
		text = b.String()
	}
	v.lines = newTextView(text)
	v.lines.hidden = true
	for _, e := range evidenceOf(v.run.Report) {
		if i := v.lineOf(e); i >= 0 {
			v.lines.mark(i, e)
		}
	}
}

// lineOf is the row of the text that evidence points at, -1 for none.
func (v *resultView) lineOf(e analyze.Evidence) int {
	i := e.Line - 1
	if e.Port != 0 {
		from, ok := v.offsets[e.Port]
		if !ok {
			return -1
		}
		i += from
	} else if len(v.run.Sessions) > 0 {
		return -1
	}
	if i < 0 || i >= v.lines.text.n() || v.lines.text.s == "" {
		return -1
	}
	return i
}

// evidenceOf collects the marks for the full text.
func evidenceOf(rep *analyze.Report) []analyze.Evidence {
	var out []analyze.Evidence
	for _, o := range rep.Outcomes {
		out = append(out, o.Evidence...)
	}
	for _, f := range rep.Findings {
		out = append(out, f.Evidence...)
	}
	return out
}

func (v *resultView) text() bool { return v.reading() && v.lines.searching }

// within reports whether a view inside the result is open, with its own way
// back.
func (v *resultView) within() bool { return v.sheet != noSheet || v.reading() }

func (v *resultView) reading() bool { return v.lines != nil && !v.lines.hidden }

func (v *resultView) typed(k tea.KeyPressMsg) tea.Cmd {
	v.lines.typed(k)
	return nil
}

// pasted takes a paste into the search of the text that is open.
func (v *resultView) pasted(p paste) tea.Cmd {
	if !p.more {
		v.lines.query += firstLine(p.text)
	}
	return nil
}

func (v *resultView) bindings() []binding {
	if v.sheet != noSheet {
		return scrollKeys(&v.scroll, binding{keys: []string{"esc"}, short: "result", long: "back to the result", run: func() tea.Cmd { return v.open(noSheet) }})
	}
	if v.reading() {
		return v.lines.bindings(func() tea.Cmd {
			v.lines.hidden = true
			return nil
		})
	}
	return []binding{
		{keys: []string{"j", "down"}, short: "move", long: "next row", run: func() tea.Cmd { return v.move(1) }},
		{keys: []string{"k", "up"}, long: "row before", run: func() tea.Cmd { return v.move(-1) }},
		{keys: []string{"pgdown", "ctrl+d"}, long: "scroll the details down", run: func() tea.Cmd { v.scroll += 5; return nil }},
		{keys: []string{"pgup", "ctrl+u"}, long: "scroll the details up", run: func() tea.Cmd { v.scroll = max(v.scroll-5, 0); return nil }},
		{keys: []string{"t"}, short: "text", long: "the full transcript or text, with the evidence marked", run: v.transcript},
		{keys: []string{"v"}, short: "picture", long: "the picture: timeline of both ports, path of the mail, countdown", run: func() tea.Cmd { return v.open(pictureSheet) }},
		{keys: []string{"c"}, long: "what changed since the run before, of the same relay", run: v.compare},
		{keys: []string{"d"}, short: "diagnose", long: "the guided way to one cause, on screen 5: tests, and what they showed", run: v.diagnose},
		{keys: []string{"y"}, short: "copy", long: "copy this row as Markdown", run: func() tea.Cmd { return v.copy(false) }},
		{keys: []string{"Y"}, long: "copy the whole ticket as Markdown, personal data replaced", run: func() tea.Cmd { return v.copy(true) }},
		{keys: []string{"e"}, short: "export", long: "write the report to a file", run: v.export},
	}
}

func (v *resultView) open(s sheet) tea.Cmd {
	v.sheet, v.scroll = s, 0
	return nil
}

func (v *resultView) compare() tea.Cmd {
	if v.before == nil {
		return toast("no run before this one is known for it; History compares any two")
	}
	return v.open(changesSheet)
}

// since tells the result which run came before it, of the same target.
func (v *resultView) since(before *Run) *resultView {
	if before != nil {
		v.before, v.changes = before, compareRuns(*before, v.run)
	}
	return v
}

func (v *resultView) diagnose() tea.Cmd {
	return v.m.screens[atDiagnose].(*diagnoseScreen).from(v.run)
}

func (v *resultView) move(by int) tea.Cmd {
	if n := len(v.entries); n > 0 {
		v.sel = min(max(v.sel+by, 0), n-1)
		v.scroll = 0
	}
	return nil
}

func (v *resultView) transcript() tea.Cmd {
	v.read()
	if v.lines.text.s == "" {
		return toast("there is no transcript here: History keeps reports without their texts")
	}
	v.lines.hidden = false
	if !v.opened {
		v.opened = true
		return v.lines.firstMark(v.legend())
	}
	return nil
}

// legend says how the transcript of a probe is written; the text of an analysis
// is somebody else's.
func (v *resultView) legend() string {
	if len(v.run.Sessions) == 0 {
		return ""
	}
	return "-> sent  <- answered  ~ in TLS  * refused"
}

// copy copies the row one is on, or the whole ticket without personal data.
func (v *resultView) copy(whole bool) tea.Cmd {
	if whole || v.sel >= len(v.entries) {
		return v.m.copyText("the ticket", v.m.o.Backend.Markdown(v.run, whole))
	}
	e := &v.entries[v.sel]
	run, part := v.run, *v.run.Report
	part.Outcomes, part.Findings, part.Causes, part.NextTests, part.Sessions = e.part.Outcomes, e.part.Findings, e.part.Causes, e.part.NextTests, nil
	run.Report = &part
	return v.m.copyText(e.what, v.m.o.Backend.Markdown(run, false))
}

func (v *resultView) export() tea.Cmd { return v.m.exportRun(v.run) }

func (v *resultView) clicked(y int) tea.Cmd {
	if v.within() {
		return nil
	}
	if i := y - v.listTop + v.top; y >= v.listTop && i < len(v.entries) && y < v.listTop+len(v.rows) {
		v.sel, v.scroll = i, 0
	}
	return nil
}

func (v *resultView) draw(w, h int) []line {
	rep := v.run.Report
	if rep == nil {
		return []line{say(" no report")}
	}
	if v.reading() {
		return v.lines.draw(w, h)
	}
	if v.sheet != noSheet {
		var out []line
		if v.sheet == pictureSheet {
			out = v.drawPicture(w)
		} else {
			out = drawChanges(v.changes, w)
		}
		if len(out) == 0 {
			out = []line{say(" there is nothing to draw here")}
		}
		v.scroll = min(v.scroll, max(len(out)-max(h, 1), 0))
		return out[v.scroll:]
	}
	code := string(rep.Verdict.Code)
	var out []line
	if compact := w < 60 || h < 13; compact {
		out = append(out, line{}.put(title, " VERDICT ").put(statusStyle(code), code))
		said := wrap(transcript.Escape(rep.Verdict.Headline), w-1, 0)
		for _, s := range said[:min(len(said), max(h/4, 1))] {
			out = append(out, say(" "+s))
		}
	} else {
		for i, s := range wrap(transcript.Escape(rep.Verdict.Headline), w-10-len(code)-2, 0) {
			l := line{}
			if i == 0 {
				l = l.put(title, " VERDICT  ").put(statusStyle(code), code)
			}
			out = append(out, l.pad(10+len(code)+2).put(plain, s))
		}
		sum := fmt.Sprintf("status %s | confidence %s", rep.Verdict.Status, rep.Verdict.Confidence)
		if rep.Verdict.Next != "" {
			sum += " | next: " + rep.Verdict.Next
		}
		for _, s := range wrap(transcript.Escape(sum), w-10, 0) {
			out = append(out, say("          "+s))
		}
	}
	if h >= 9 {
		out = append(out, v.drawWaiting(w)...)
	}
	if h >= 16 {
		out = append(out, v.words(w)...)
	}
	if h >= 24 && len(v.changes) > 1 {
		for i, c := range v.changes[1:min(len(v.changes), 4)] {
			l := line{}
			if i == 0 {
				l = l.put(title, " SINCE")
			}
			out = append(out, l.pad(10).quote(plain, c))
		}
	}
	if h >= 30 {
		wide := timeline(rep.Sessions, w)
		if len(wide) == 0 && len(rep.Outcomes) > 0 {
			wide = v.drawRoad(w)
		}
		if len(out)+len(wide)+10 <= h {
			out = append(append(out, rule(w)), wide...)
		}
	}
	if h >= 16 {
		out = append(out, rule(w))
	}
	v.listTop = len(out)
	rows := min(len(v.entries), max(min(6, (h-len(out))/3), 1))
	v.top = window(len(v.entries), rows, v.sel, v.top)
	v.rows = v.rows[:0]
	for i := v.top; i < min(v.top+rows, len(v.entries)); i++ {
		mark := "   "
		if i == v.sel {
			mark = " > "
		}
		l := append(line{{mark, title}}, v.entries[i].row...)
		out = append(out, l)
		v.rows = append(v.rows, i)
	}
	if more := len(v.entries) - v.top - rows; more > 0 {
		out = append(out, line{}.put(dim, fmt.Sprintf("   (%s below)", counted(more, "more row"))))
	}
	if h >= 13 {
		out = append(out, rule(w))
	}
	if v.sel < len(v.entries) {
		d := v.entries[v.sel].detail(w)
		room := max(h-len(out), 0)
		v.scroll = min(v.scroll, max(len(d)-room, 0))
		end := min(v.scroll+room, len(d))
		shown := d[v.scroll:end]
		if end < len(d) && len(shown) > 1 {
			shown = append(shown[:len(shown)-1:len(shown)-1], line{}.put(dim, fmt.Sprintf("  (%s: PgDn)", counted(len(d)-end+1, "more line"))))
		}
		out = append(out, shown...)
	}
	return out
}

// wrapLine breaks a styled line between pieces.
func wrapLine(l line, w, indent int) []line {
	var out []line
	cur := line{}
	for _, p := range l {
		if cur.width()+len(p.text) > w && len(cur) > 0 {
			out = append(out, cur)
			cur = say(strings.Repeat(" ", indent))
		}
		cur = append(cur, p)
	}
	return append(out, cur)
}
