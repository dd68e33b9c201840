package analyze

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Tally counts the outcomes of many reports: by verdict, by the host that
// refused, by what the reply means, by cause and by day. The zero value is
// empty. Equal reports in any order give the same tally.
type Tally struct {
	Reports  int // inputs
	Outcomes int
	// Unreadable counts the inputs that hold no text, Partial those of which only
	// a part was read.
	Unreadable, Partial int

	verdicts, refusers, kinds, causes, days map[string]int
}

// maxTallied bounds the distinct hosts, causes and days that are told apart;
// what comes later is counted as "other".
const maxTallied = 10_000

const (
	tallyOther    = "other"
	tallyUnstated = "not stated"
)

// Add counts the outcomes of one report.
func (t *Tally) Add(r *Report) {
	if t.verdicts == nil {
		t.verdicts, t.refusers, t.kinds, t.causes, t.days = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	}
	t.Reports++
	if in := r.Input; in != nil {
		switch {
		case in.Format == formatUnreadable:
			t.Unreadable++
		case in.Truncated:
			t.Partial++
		}
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		t.Outcomes++
		count(t.verdicts, string(o.Verdict))
		if o.Verdict == NotAFailure || o.Verdict == Ready {
			continue // what follows is counted of failures
		}
		refuser := hostName(o.RefusedBy, "")
		if refuser == "" {
			refuser = tallyUnstated
		}
		count(t.refusers, refuser)
		count(t.kinds, replyKind(o))
		if len(o.Causes) == 0 {
			count(t.causes, tallyUnstated)
		} else {
			count(t.causes, o.Causes[0].ID)
		}
		day := tallyUnstated
		if len(o.When) >= len("2006-01-02") {
			day = o.When[:len("2006-01-02")]
		}
		count(t.days, day)
	}
}

// replyKind is what the reply of an outcome means, in a word: its kind, else
// its codes.
func replyKind(o *Outcome) string {
	if o.replyless() {
		return "no reply"
	}
	r := transcript.Reply{Code: o.Reply.Code, Enhanced: o.Reply.Enhanced}
	for _, l := range strings.Split(o.Reply.Text, "\n") {
		r.Lines = append(r.Lines, l)
	}
	if k := transcript.KindOf(r); k != transcript.KindUnknown {
		return string(k)
	}
	return strings.TrimSpace(strconv.Itoa(o.Reply.Code) + " " + o.Reply.Enhanced)
}

func count(m map[string]int, key string) {
	if _, ok := m[key]; !ok && len(m) >= maxTallied {
		key = tallyOther
	}
	m[key]++
}

// Count is one row of a tally.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// TallySection is a table of a tally: its rows, the most frequent first, days
// in their order.
type TallySection struct {
	Title string  `json:"title"`
	Rows  []Count `json:"rows"`
}

// Sections are the tables of the tally, in a fixed order.
func (t *Tally) Sections() []TallySection {
	byDay := func(a, b Count) int { return cmp.Compare(a.Name, b.Name) }
	byCount := func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) }
	return []TallySection{
		{"verdict", rows(t.verdicts, byCount)},
		{"refused by", rows(t.refusers, byCount)},
		{"reply", rows(t.kinds, byCount)},
		{"first cause", rows(t.causes, byCount)},
		{"day", rows(t.days, byDay)},
	}
}

func rows(m map[string]int, order func(a, b Count) int) []Count {
	out := make([]Count, 0, len(m))
	for name, n := range m {
		out = append(out, Count{name, n})
	}
	slices.SortFunc(out, order)
	return out
}

// AppendText appends the tally as a table for people: sections one under the
// other, counts right-aligned, at most most rows of each (0: all). Names come
// from texts of others and are escaped.
func (t *Tally) AppendText(dst []byte, most int) []byte {
	dst = strconv.AppendInt(dst, int64(t.Reports), 10)
	dst = append(dst, " inputs, "...)
	dst = strconv.AppendInt(dst, int64(t.Outcomes), 10)
	dst = append(dst, " outcomes"...)
	for _, x := range []struct {
		n    int
		what string
	}{{t.Unreadable, " unreadable"}, {t.Partial, " read in part"}} {
		if x.n > 0 {
			dst = append(dst, ", "...)
			dst = strconv.AppendInt(dst, int64(x.n), 10)
			dst = append(dst, x.what...)
		}
	}
	dst = append(dst, '\n')
	for _, s := range t.Sections() {
		if len(s.Rows) == 0 {
			continue
		}
		dst = append(dst, '\n')
		dst = append(dst, s.Title...)
		dst = append(dst, '\n')
		shown := s.Rows
		if most > 0 && len(shown) > most {
			shown = shown[:most]
		}
		width := 0
		for _, r := range shown {
			width = max(width, len(strconv.Itoa(r.Count)))
		}
		for _, r := range shown {
			n := strconv.Itoa(r.Count)
			dst = append(dst, strings.Repeat(" ", 2+width-len(n))...)
			dst = append(dst, n...)
			dst = append(dst, "  "...)
			dst = append(dst, transcript.Escape(r.Name)...)
			dst = append(dst, '\n')
		}
		if left := len(s.Rows) - len(shown); left > 0 {
			dst = append(dst, strings.Repeat(" ", 4+width)...)
			dst = append(dst, "and "...)
			dst = strconv.AppendInt(dst, int64(left), 10)
			dst = append(dst, " more\n"...)
		}
	}
	return dst
}

// AppendJSON appends the tally as one JSON object, kind "summary", without a
// line end.
func (t *Tally) AppendJSON(dst []byte) []byte {
	w := jsonWriter{b: dst}
	w.open('{')
	w.str("schema_version", SchemaVersion)
	w.str("kind", "summary")
	w.integer("inputs", int64(t.Reports))
	w.integer("outcomes", int64(t.Outcomes))
	w.integer("unreadable", int64(t.Unreadable))
	w.integer("partial", int64(t.Partial))
	for k, s := range t.Sections() {
		w.key([...]string{"verdicts", "refused_by", "replies", "causes", "days"}[k])
		w.open('[')
		for _, r := range s.Rows {
			w.item()
			w.open('{')
			w.str("name", r.Name)
			w.integer("count", int64(r.Count))
			w.shut('}')
		}
		w.shut(']')
	}
	w.shut('}')
	return w.b
}
