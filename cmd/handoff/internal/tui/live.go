package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// liveRun is a probe under way: each port's steps as they begin and end, how
// long the one that runs may still wait, and the last lines of the dialogue.
type liveRun struct {
	serial int
	form   Form
	test   string // of a diagnosis; empty: it is the form's own probe
	cancel context.CancelFunc
	began  time.Time
	now    time.Time // of the last second, or the last step
	ports  map[int][]liveStep
	said   []string // last lines of all ports
}

// liveStep is a row of a running probe.
type liveStep struct {
	what, status, note string
	verb               string // of the command; empty: there is none
	stage              transcript.Stage
	took               time.Duration
	since              time.Time
}

type stepMsg struct {
	serial int
	event  probe.Event
}

type tickMsg struct{ serial int }

// maxSaid bounds the lines of the dialogue that are kept while it runs.
const maxSaid = 40

// take adds a step that began or ended to the live picture.
func (r *liveRun) take(e probe.Event, now time.Time) {
	if now.After(r.now) {
		r.now = now
	}
	steps := r.ports[e.Port]
	verb, _, _ := strings.Cut(e.Exchange.Command, " ")
	st := liveStep{stage: e.Exchange.Stage, what: stepName(e.Exchange), verb: strings.ToUpper(verb), status: "running", since: now}
	if st.what == "ehlo" && slices.ContainsFunc(steps, func(x liveStep) bool { return x.what == "tls" && x.status == "ok" }) {
		st.what = "ehlo in TLS" // a step that begins does not say that it is inside
	}
	if e.Done {
		st.status, st.note = stepStatus(e.Exchange)
		st.took = e.Exchange.Took
		st.since = now.Add(-st.took)
		r.say(e)
	}
	if n := len(steps); n > 0 && steps[n-1].status == "running" && (steps[n-1].what == st.what || e.Done) {
		if st.status != "skipped" {
			st.since = steps[n-1].since
		}
		steps[n-1] = st
	} else {
		steps = append(steps, st)
	}
	r.ports[e.Port] = steps
}

// say keeps the last lines of the dialogue.
func (r *liveRun) say(e probe.Event) {
	add := func(who, text string) {
		r.said = append(r.said, fmt.Sprintf("%4d | %s: %s", e.Port, who, text))
	}
	if c := e.Exchange.Command; c != "" && e.Exchange.Skipped == "" {
		add("C", c)
	}
	for _, l := range e.Exchange.Reply.Lines[:min(len(e.Exchange.Reply.Lines), maxSaid)] {
		add("S", l)
	}
	r.said = r.said[max(len(r.said)-maxSaid, 0):]
}

// stepName is what a row of a running probe is called.
func stepName(x transcript.Exchange) string {
	verb, _, _ := strings.Cut(x.Command, " ")
	switch upper := strings.ToUpper(verb); {
	case upper == "QUIT", upper == "RSET":
		return strings.ToLower(upper)
	case x.Stage == transcript.StageEnvelope && verb != "":
		return "envelope " + upper
	case x.Stage == transcript.StageEHLO && x.Secure:
		return "ehlo in TLS"
	case x.Stage == transcript.StageTLS && upper == "STARTTLS":
		return "starttls"
	case x.Stage == transcript.StageTLS && (upper == "EHLO" || upper == "HELO"):
		return "ehlo in TLS"
	}
	return string(x.Stage)
}

// stepStatus is the word for an ended step, and a short note.
func stepStatus(x transcript.Exchange) (status, note string) {
	switch {
	case x.Skipped != "":
		return "skipped", x.Skipped
	case x.Fault != transcript.FaultNone:
		return "failed", x.Detail
	case x.Reply.Code >= 500:
		status = "refused"
	case x.Reply.Code >= 400:
		status = "deferred"
	default:
		status = "ok"
	}
	if x.Reply.Code > 0 {
		note = strings.TrimSpace(fmt.Sprintf("%d %s", x.Reply.Code, x.Reply.Enhanced))
	}
	return status, note
}

// waitsFor names what a step waits for, in words.
func (st *liveStep) waitsFor() string {
	switch st.stage {
	case transcript.StageResolve:
		return "the name server"
	case transcript.StageConnect:
		return "the connection"
	case transcript.StageGreet:
		return "the greeting"
	case transcript.StageAuth:
		return "the answer to the login"
	case transcript.StageTLS:
		if st.verb == "" {
			return "the TLS handshake"
		}
	}
	if st.verb != "" {
		return "the answer to " + st.verb
	}
	return st.what
}

// planned are the steps of a whole session, in their order.
var planned = []string{"connect", "greet", "ehlo", "starttls", "tls", "ehlo in TLS", "auth", "envelope MAIL", "envelope RCPT"}

// waiting are the steps that have not begun. A session that failed, or that
// takes its leave, has none.
func (r *liveRun) waiting(port int) []string {
	last := 0
	for _, st := range r.ports[port] {
		if st.status == "failed" || st.what == "quit" || st.what == "rset" {
			return nil
		}
		if i := slices.Index(planned, st.what); i >= 0 {
			last = max(last, i+1)
		}
	}
	end := len(planned)
	switch f := &r.form; {
	case f.StopAfter == transcript.StageTLS:
		end = slices.Index(planned, "auth")
	case f.StopAfter == transcript.StageAuth, !f.Bundled && (f.From == "" || f.To == ""):
		end = slices.Index(planned, "envelope MAIL")
	}
	if r.test != "" {
		return nil // a try ends where it has shown what was asked
	}
	return planned[min(last, end):end]
}

// roads are the ports on show.
func (r *liveRun) roads() []int {
	var out []int
	if r.test == "" {
		if r.form.Port25 {
			out = append(out, 25)
		}
		if r.form.Port587 {
			out = append(out, 587)
		}
	}
	var more []int
	for p := range r.ports {
		if !slices.Contains(out, p) {
			more = append(more, p)
		}
	}
	slices.Sort(more)
	return append(out, more...)
}

// draw shows, from the top: who is asked, what each port waits for and for how
// long it may, the steps, and the last lines of the dialogue.
func (r *liveRun) draw(w, h int) []line {
	who := r.form.Host
	if r.form.Bundled {
		who = "the bundled relay"
	}
	head := " " + who + "   intent " + string(r.form.Intent)
	if r.test != "" {
		head = " " + r.test + "   at " + who
	}
	out := []line{line{}.quote(plain, head)}
	ports := r.roads()
	for _, p := range ports {
		out = append(out, r.drawNow(p, w))
	}
	if h >= 14 {
		out = append(out, line{})
	}
	var cols [][]line
	side := len(ports) == 2 && w >= 72
	width := w - 1
	if side {
		width = w/2 - 1
	}
	for _, p := range ports {
		cols = append(cols, r.drawSteps(p, width))
	}
	room := max(h-len(out), 0)
	var steps []line
	tall := 0
	for _, c := range cols {
		tall += len(c)
	}
	if !side && tall > room { // what has not begun is known without being shown
		for i, p := range ports {
			cols[i] = cols[i][:len(cols[i])-len(r.waiting(p))]
		}
	}
	if side {
		steps = beside(cols[0], cols[1], w)
	} else {
		for _, c := range cols {
			for _, l := range c {
				steps = append(steps, append(say(" "), l...))
			}
		}
	}
	if len(steps) > room { // the newest steps matter
		return append(out, steps[len(steps)-room:]...)
	}
	out = append(out, steps...)
	if room = h - len(out) - 2; room >= 3 && len(r.said) > 0 {
		out = append(out, line{}, line{}.put(dim, " the last lines, port and speaker"))
		for _, l := range r.said[max(len(r.said)-room, 0):] {
			out = append(out, say(" ").quote(dim, l))
		}
	}
	return out
}

// drawNow says what a port waits for, or how far it came.
func (r *liveRun) drawNow(port, w int) line {
	l := line{}.put(title, fmt.Sprintf(" %-4d ", port))
	steps := r.ports[port]
	if len(steps) == 0 {
		return l.put(dim, "waits for its turn")
	}
	st := &steps[len(steps)-1]
	if st.status != "running" {
		for i := range steps { // what was said first outweighs the leave
			if steps[i].status != "ok" && steps[i].status != "skipped" {
				st = &steps[i]
				break
			}
		}
		return l.put(statusStyle(st.status), st.status).put(plain, " at "+st.what+" ").quote(plain, st.note)
	}
	limit := r.limit()
	so := max(r.now.Sub(st.since), 0)
	words := fmt.Sprintf("waits for %s, %d s of %d s", st.waitsFor(), int(so.Seconds()), int(limit.Seconds()))
	if w < 60 {
		words = fmt.Sprintf("%s, %d s of %d s", st.what, int(so.Seconds()), int(limit.Seconds()))
	}
	l = l.put(running, words)
	if room := w - max(l.width()+2, min(56, w/2+12)) - 2; room >= 8 {
		l = l.pad(max(l.width()+2, min(56, w/2+12))).put(plain, progress(min(room-2, 40), so, limit))
	}
	return l
}

func (r *liveRun) limit() time.Duration {
	if r.form.Timeout > 0 {
		return r.form.Timeout
	}
	return StepLimit
}

// drawSteps is the column of a port: each step with its time and, where there is
// room, a bar on the scale of the whole run.
func (r *liveRun) drawSteps(port, w int) []line {
	const left, right = 23, 17 // status and name before the bar; time and note behind it
	head := fmt.Sprintf("PORT %d", port)
	switch {
	case port == 25 && r.form.Intent == analyze.IntentAuth && r.test == "":
		head += " relay, must refuse"
	case port == 587:
		head += " submission"
	}
	out := []line{line{}.put(title, head)}
	room := w - left - right
	whole := max(r.now.Sub(r.began), time.Millisecond)
	for _, st := range r.ports[port] {
		l := line{}.put(statusStyle(st.status), st.status).pad(9).put(plain, st.what).pad(left)
		took := st.took
		if st.status == "running" {
			took = max(r.now.Sub(st.since), 0)
		}
		if room >= 8 {
			l = l.put(statusStyle(st.status), r.bar(&st, took, whole, room)).pad(left + room + 1)
		}
		clock := span(float64(took) / float64(time.Millisecond))
		if st.status == "skipped" {
			clock = ""
		}
		l = l.put(plain, fmt.Sprintf("%6s ", clock))
		out = append(out, l.quote(plain, st.note))
	}
	for _, name := range r.waiting(port) {
		out = append(out, line{}.put(dim, "waiting").pad(9).put(dim, name))
	}
	return out
}

// bar is the time of a step on the scale of the whole run.
func (r *liveRun) bar(st *liveStep, took, whole time.Duration, room int) string {
	if st.status == "skipped" {
		return ""
	}
	cell := func(d time.Duration) int { return int(float64(max(d, 0)) / float64(whole) * float64(room)) }
	from := min(cell(st.since.Sub(r.began)), room-1)
	n := min(max(cell(took), 1), room-from)
	return strings.Repeat(" ", from) + strings.Repeat("#", n)
}
