package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// diagnoseView is the guided way from a result to one cause: it proposes the
// test that splits the remaining causes best for its cost, takes what it
// showed, and goes on until one cause is left or no test tells the rest apart.
type diagnoseView struct {
	begin   func() *analyze.Diagnosis // the same start again, for undo
	d       *analyze.Diagnosis
	answers []answer
	sel     int
	scroll  int
}

// answer is what was told of a test; shown is empty for a test that was
// skipped.
type answer struct{ test, shown string }

// newDiagnoseView begins with what a report says; nil where it has nothing to
// explain.
func newDiagnoseView(b Backend, rep *analyze.Report) *diagnoseView {
	begin := func() *analyze.Diagnosis { return b.Diagnosis(rep) }
	v := &diagnoseView{begin: begin, d: begin()}
	if e := v.d.Explanation(); e.Empty() {
		return nil
	}
	return v
}

func (v *diagnoseView) bindings(leave func() tea.Cmd) []binding {
	move := func(by int) func() tea.Cmd {
		return func() tea.Cmd {
			v.sel = min(max(v.sel+by, 0), max(v.choices()-1, 0))
			return nil
		}
	}
	bs := []binding{
		{keys: []string{"j", "down"}, short: "move", long: "next answer", run: move(1)},
		{keys: []string{"k", "up"}, long: "answer before", run: move(-1)},
		{keys: []string{"enter"}, short: "this is what it showed", long: "take this answer and go on", run: v.take},
		{keys: []string{"pgdown", "ctrl+d"}, long: "scroll the causes down", run: func() tea.Cmd { v.scroll += 5; return nil }},
		{keys: []string{"pgup", "ctrl+u"}, long: "scroll the causes up", run: func() tea.Cmd { v.scroll = max(v.scroll-5, 0); return nil }},
	}
	if len(v.answers) > 0 {
		bs = append(bs, binding{keys: []string{"u"}, short: "undo", long: "take the last answer back", run: v.undo})
	}
	return append(bs, binding{keys: []string{"esc"}, short: "result", long: "back to the result", run: leave})
}

// choices counts the rows one can choose: what the test can show, and that it
// is not known.
func (v *diagnoseView) choices() int {
	t, ok := v.d.Next()
	if !ok {
		return 0
	}
	return len(t.Shows) + 1
}

func (v *diagnoseView) take() tea.Cmd {
	t, ok := v.d.Next()
	if !ok {
		return toast("there is no test left that tells these apart; esc goes back")
	}
	a := answer{test: t.ID}
	if v.sel < len(t.Shows) {
		a.shown = t.Shows[v.sel].Show
	}
	if err := v.tell(a); err != nil {
		return toast("not taken: %v", err)
	}
	v.answers = append(v.answers, a)
	v.sel, v.scroll = 0, 0
	return nil
}

func (v *diagnoseView) tell(a answer) error {
	if a.shown == "" {
		return v.d.Skip(a.test)
	}
	return v.d.Answer(a.test, a.shown)
}

func (v *diagnoseView) undo() tea.Cmd {
	v.answers = v.answers[:len(v.answers)-1]
	v.d = v.begin()
	for _, a := range v.answers {
		if err := v.tell(a); err != nil {
			return toast("not taken back: %v", err)
		}
	}
	v.sel, v.scroll = 0, 0
	return nil
}

func (v *diagnoseView) causes() []analyze.Cause {
	e := v.d.Explanation()
	return e.Causes()
}

func (v *diagnoseView) draw(w, h int) []line {
	causes := v.causes()
	out := []line{line{}.put(title, " DIAGNOSE").put(plain, fmt.Sprintf("   %d causes fit what was seen and told", len(causes)))}
	if len(causes) == 1 {
		out[0] = line{}.put(title, " DIAGNOSE").put(good, "   one cause is left")
	}
	for _, a := range v.answers {
		told := a.shown
		if told == "" {
			told = "not known"
		}
		out = append(out, line{}.put(dim, "   told: ").quote(plain, a.test+": "+told))
	}
	at, end := 0, 0 // rows of the chosen answer
	if t, ok := v.d.Next(); ok {
		out = append(out, rule(w))
		out = append(out, labelled("test", title, t.Do, w)...)
		if by := strings.Join(nonEmpty(t.Who, t.Cost), ", "); by != "" {
			out = append(out, labelled("by", dim, by, w)...)
		}
		out = append(out, say("  What did it show?"))
		for i := range len(t.Shows) + 1 {
			text, of := "not known, or not done: another test", ""
			if i < len(t.Shows) {
				text, of = t.Shows[i].Show, "  -> "+strings.Join(t.Shows[i].Causes, ", ")
				if h < 14 { // the words of the question matter more
					of = fmt.Sprintf("  -> %d causes", len(t.Shows[i].Causes))
				}
			}
			if i != v.sel {
				out = append(out, say("   ").quote(plain, text).quote(dim, of))
				continue
			}
			at = len(out)
			for k, part := range wrap(transcript.Escape(text+of), w-3, 2) { // the chosen one in full
				mark := "   "
				if k == 0 {
					mark = " > "
				}
				out = append(out, line{{mark, title}}.put(plain, part))
			}
			end = len(out)
		}
	} else if len(causes) > 1 {
		out = append(out, prose(" No test of the catalogue tells these apart any more: this is the smallest honest set. Ask the first who has to act.", w)...)
	}
	if len(out) >= h && end > 0 { // a small window: the chosen answer stays in sight
		from := max(min(at, end-(h-1)), 2)
		return append(out[:1:1], out[from:]...)
	}
	out = append(out, rule(w))
	var detail []line
	for i := range causes {
		detail = append(detail, causeLines(&causes[i], w)...)
	}
	room := max(h-len(out), 0)
	v.scroll = min(v.scroll, max(len(detail)-room, 0))
	return append(out, detail[v.scroll:min(v.scroll+room, len(detail))]...)
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
