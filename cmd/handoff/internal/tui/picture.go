package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The pictures of a result: when each step of each port was, the road of the
// mail with the place where it stopped, and how long to wait. Everything they
// show stands in words beside them.

// words is the shortest picture: the stages of each port in a row, or the road
// of the first outcome.
func (v *resultView) words(w int) []line {
	rep := v.run.Report
	var out []line
	for _, s := range rep.Sessions {
		l := line{}.put(title, fmt.Sprintf(" %-4d", s.Port))
		for i, st := range s.Steps {
			verb, _, _ := strings.Cut(st.Command, " ")
			switch {
			case st.Stage == "resolve" && st.Status == "ok", courtesy(&st):
				continue // as it should be
			case st.Status != "refused" && st.Status != "failed" && i+1 < len(s.Steps) && s.Steps[i+1].Stage == st.Stage && s.Steps[i+1].Status == st.Status && st.Stage != "envelope":
				continue // one word for a stage of several steps
			}
			word := st.Stage
			if st.Stage == "envelope" && verb != "" {
				word = strings.ToLower(verb)
			}
			l = l.put(plain, " "+word+" ").put(statusStyle(st.Status), st.Status)
		}
		out = append(out, wrapLine(l, w, 6)...)
	}
	if len(rep.Outcomes) > 0 {
		l := line{}.put(title, " PATH  ")
		for i, n := range v.road() {
			switch {
			case n.stop && n.said != "":
				l = l.put(bad, " --"+n.said+"--X ")
			case n.stop:
				l = l.put(bad, " --X ")
			case n.beyond:
				l = l.put(dim, " .. ")
			case i > 0:
				l = l.put(plain, " -> ")
			}
			in := plain
			if n.beyond {
				in = dim
			}
			l = l.quote(in, n.host)
		}
		out = append(out, wrapLine(l, w, 7)...)
	}
	return out
}

// courtesy tells the steps that end a session, which no reader looks for.
func courtesy(st *analyze.Step) bool {
	verb, _, _ := strings.Cut(st.Command, " ")
	return strings.EqualFold(verb, "QUIT") || strings.EqualFold(verb, "RSET")
}

// timeline draws the steps of all ports as bars on one scale.
func timeline(sessions []analyze.Session, w int) []line {
	const left, right = 14, 22 // name before the bar; time and status behind it
	room := w - left - right
	var end float64
	for i := range sessions {
		for _, st := range sessions[i].Steps {
			if !courtesy(&st) {
				end = max(end, st.SentMS+st.TookMS)
			}
		}
	}
	if room < 8 || end <= 0 {
		return nil
	}
	var out []line
	for i := range sessions {
		s := &sessions[i]
		head := line{}.put(title, fmt.Sprintf(" PORT %d", s.Port))
		if s.Address != "" {
			head = head.put(plain, "  ").quote(plain, s.Address)
		}
		out = append(out, head.put(dim, fmt.Sprintf("   one # is %s", span(end/float64(room)))))
		for _, b := range barsOf(s) {
			l := say("  " + b.name).pad(left)
			if b.status == "skipped" {
				out = append(out, l.put(dim, strings.Repeat(" ", room+10)+"skipped"))
				continue
			}
			from := min(int(b.from/end*float64(room)), room-1)
			n := min(max(int((b.to-b.from)/end*float64(room)+0.5), 1), room-from)
			l = l.put(plain, strings.Repeat(" ", from)).put(statusStyle(b.status), strings.Repeat("#", n)+strings.Repeat(" ", room-from-n))
			l = l.put(plain, fmt.Sprintf("%9s ", span(b.to-b.from))).put(statusStyle(b.status), b.status)
			if b.code > 0 && b.status != "ok" {
				l = l.put(plain, fmt.Sprintf(" %d", b.code))
			}
			out = append(out, l)
		}
	}
	return out
}

// bar is a row of the timeline: a stage, or a command of the envelope.
type bar struct {
	name, status string
	code         int
	from, to     float64 // milliseconds
}

// barsOf joins the steps of a stage: the upgrade, the handshake and the EHLO
// inside are all tls. The first of them that failed says how it ended.
func barsOf(s *analyze.Session) []bar {
	var out []bar
	for i := range s.Steps {
		st := &s.Steps[i]
		if courtesy(st) {
			continue
		}
		name := st.Stage
		if verb, _, _ := strings.Cut(st.Command, " "); name == "envelope" && verb != "" {
			name = strings.ToUpper(verb)
		}
		b := bar{name: name, status: st.Status, from: st.SentMS, to: st.SentMS + st.TookMS}
		if st.Reply != nil {
			b.code = st.Reply.Code
		}
		n := len(out)
		switch {
		case n == 0 || out[n-1].name != name:
			out = append(out, b)
		case st.Status == "skipped":
		default:
			out[n-1].to = max(out[n-1].to, b.to)
			if out[n-1].status == "ok" {
				out[n-1].status, out[n-1].code = b.status, b.code
			}
		}
	}
	return out
}

// span writes milliseconds shortly.
func span(ms float64) string {
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.0f s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 0.1:
		return "<0.1 ms"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// Hop is a Received line of a returned message: By took the mail from From.
type Hop struct{ From, By string }

// station is a host on the road of a mail.
type station struct {
	host, is string // its part in words
	stop     bool   // the mail stopped on the way into this host
	said     string // with these words
	beyond   bool   // the mail never came here
}

// road is the way of the first outcome: the hops of the returned headers, the
// reporting server, the place where the mail stopped, and what lies beyond.
func (v *resultView) road() []station {
	if len(v.run.Report.Outcomes) == 0 {
		return nil
	}
	o := &v.run.Report.Outcomes[0]
	var out []station
	add := func(host, is string) {
		if host == "" {
			return
		}
		if n := len(out); n > 0 && strings.EqualFold(out[n-1].host, host) {
			out[n-1].is += ", " + is
			return
		}
		out = append(out, station{host: host, is: is})
	}
	relay := func(host string) bool { return transcript.HostIsUnder(host, transcript.RelayDomain) }
	hops := v.hops()
	for _, h := range slices.Backward(hops) { // the text has the newest first
		add(h.From, "on the way, by the returned headers")
		add(h.By, "took the mail, by the returned headers")
	}
	reporter := "reported it"
	if relay(o.ReportedBy) {
		reporter = "the relay; took the mail and reported it"
	}
	add(o.ReportedBy, reporter)
	if len(out) == 0 {
		add("sending system", "not named in the text")
	}
	stopper, is := o.RefusedBy, "refused it"
	if stopper == "" {
		stopper, is = o.Target, "was tried and not reached"
	}
	said := ""
	if o.Reply.Code > 0 {
		said = strings.TrimSpace(fmt.Sprintf("%d %s", o.Reply.Code, o.Reply.Enhanced))
	}
	switch o.Verdict {
	case analyze.NotAFailure, analyze.Ready:
		is = "answered"
	case analyze.Deferred:
		is = "put it off"
	case analyze.HandshakeFailed:
		is = "took the connection; the handshake failed"
	}
	if relay(stopper) {
		is = "the relay; " + is
	}
	failed := o.Verdict != analyze.NotAFailure && o.Verdict != analyze.Ready
	switch {
	case stopper == "" && failed:
		out = append(out, station{host: "(not stated)", is: "the text does not say where", stop: true, said: said})
	case stopper != "" && strings.EqualFold(out[len(out)-1].host, stopper):
		out[len(out)-1].is = is + ", and reported it"
		out[len(out)-1].stop, out[len(out)-1].said = failed, said
	case stopper != "":
		out = append(out, station{host: stopper, is: is, stop: failed, said: said})
	}
	if !failed {
		return out
	}
	if o.Verdict == analyze.NeverReached {
		out = append(out, station{host: "the relay", is: "never handed to it", beyond: true})
	}
	if o.Recipient != "" {
		out = append(out, station{host: o.Recipient, is: "not delivered", beyond: true})
	}
	return out
}

// hops reads the returned headers of an analysis, once.
func (v *resultView) hops() []Hop {
	if !v.hopsRead && v.run.Text != "" {
		v.hopsRead, v.hopsFound = true, v.m.o.Backend.Hops(v.run.Text)
	}
	return v.hopsFound
}

// drawRoad draws the road downwards, a station a row.
func (v *resultView) drawRoad(w int) []line {
	var out []line
	width := 0
	all := v.road()
	for _, n := range all {
		width = max(width, cells(transcript.Escape(n.host)))
	}
	width = min(width, max(w/2, 12))
	for i, n := range all {
		switch {
		case n.stop:
			l := line{}.put(bad, "     X")
			if n.said != "" {
				l = l.put(bad, "  "+n.said)
			}
			out = append(out, l.put(plain, "  here it stopped"))
		case n.beyond:
			out = append(out, line{}.put(dim, "     ."))
		case i > 0:
			out = append(out, say("     |"))
		}
		in := title
		if n.beyond {
			in = dim
		}
		part := wrap(transcript.Escape(n.is), w-(3+width+2), 0)
		if w < 60 { // the road in one look is worth more than its last words
			part = []string{n.is}
		}
		for k, is := range part {
			l := line{}
			if k == 0 {
				l = say("   ").quote(in, cut(transcript.Escape(n.host), width))
			}
			out = append(out, l.pad(3+width+2).put(dim, is))
		}
	}
	return out
}

// drawPicture is the picture in full, as its own view.
func (v *resultView) drawPicture(w int) []line {
	rep := v.run.Report
	var out []line
	if len(rep.Sessions) > 0 {
		out = append(append(out, line{}.put(title, " TIMELINE").put(plain, "   when each step of each port was, on one scale")), timeline(rep.Sessions, w)...)
	}
	if len(rep.Outcomes) > 0 {
		out = append(append(out, line{}.put(title, " PATH OF THE MAIL").quote(plain, "   to "+orNone(rep.Outcomes[0].Recipient)), line{}), v.drawRoad(w)...)
	}
	if len(v.waiting()) > 0 {
		out = append(append(out, line{}), v.drawWaiting(w)...)
	}
	return out
}

// propagation is how long a change at the service takes to be live, at most
// (article A4, A20).
const propagation = time.Hour

// young are the causes that waiting mends.
var young = []string{"credential-not-live", "user-not-live", "domain-not-live"}

// waiting lists the causes of the result that waiting may mend.
func (v *resultView) waiting() []string {
	var ids []string
	add := func(cs []analyze.Cause) {
		for _, c := range cs {
			if slices.Contains(young, c.ID) && !slices.Contains(ids, c.ID) {
				ids = append(ids, c.ID)
			}
		}
	}
	rep := v.run.Report
	if rep == nil || rep.Verdict.Status == analyze.OK {
		return nil
	}
	add(rep.Causes)
	for i := range rep.Outcomes {
		add(rep.Outcomes[i].Causes)
	}
	for i := range rep.Sessions {
		add(rep.Sessions[i].Causes)
	}
	return ids
}

// worthAgain is when trying again is worth it: known says that the age of the
// setting is known; else it is the latest moment. Zero: nothing to wait for, or
// nobody knows when it was tried.
func (v *resultView) worthAgain() (at time.Time, known bool) {
	if !v.run.LiveAt.IsZero() {
		return v.run.LiveAt, true
	}
	if len(v.waiting()) == 0 {
		return time.Time{}, false
	}
	if age := v.run.Form.MadeAgo; age > 0 {
		return v.run.When.Add(propagation - age), true
	}
	if v.run.Report.Kind == "probe" {
		return v.run.When.Add(propagation), false
	}
	for i := range v.run.Report.Outcomes {
		if t, err := time.Parse(time.RFC3339, v.run.Report.Outcomes[i].When); err == nil {
			return t.Add(propagation), false
		}
	}
	return time.Time{}, false
}

// counting reports whether the countdown still runs.
func (v *resultView) counting() bool {
	at, _ := v.worthAgain()
	return at.After(v.m.o.Now())
}

// drawWaiting is the countdown: when trying again is worth it.
func (v *resultView) drawWaiting(w int) []line {
	at, known := v.worthAgain()
	if at.IsZero() {
		return nil
	}
	left := at.Sub(v.m.o.Now())
	clock := at.In(v.m.o.Now().Location()).Format("15:04:05")
	var short, long string
	in := warn
	switch {
	case left <= 0:
		in, short = good, "over: try again"
		if long = "; it is live now"; !known {
			long = "; after an hour nothing is too young any more"
		}
	case known:
		short, long = "live in "+clockTime(left), " "+progress(20, propagation-left, propagation)+" at "+clock+"; then try again"
	default:
		short, long = "at most "+clockTime(left)+", if too young", " "+progress(12, propagation-left, propagation)+" until "+clock
	}
	l := line{}.put(title, " WAIT     ").put(in, short)
	if l.width()+len(long) <= w {
		l = l.put(plain, long)
	}
	return []line{l}
}
