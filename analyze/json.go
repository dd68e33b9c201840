package analyze

import (
	"io"
	"strconv"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// AppendJSON appends the JSON form of the report (contract §4) to dst and
// returns the extended slice: one line, no line end, fields in the order of the
// structs. Absent lists are [] and never null. Control bytes, bidi and
// zero-width characters stand as \u escapes, so the line can go to a terminal.
// The same report gives the same bytes.
//
// It is written by hand since a mail archive makes tens of thousands of
// reports a second; a test compares it with encoding/json field by field.
func (r *Report) AppendJSON(dst []byte) []byte {
	w := jsonWriter{b: dst}
	r.json(&w)
	return w.b
}

// spillBytes is how much of a report is held before it is written.
const spillBytes = 64 << 10

// StreamJSON is AppendJSON for reports of any size: the JSON form of a log with
// a hundred thousand recipients is many times the log. What exceeds 64 KB is
// written to to on the way; the rest is returned, in dst or what it grew to, for
// the caller to end and to write. The error is that of to.
func (r *Report) StreamJSON(dst []byte, to io.Writer) (rest []byte, err error) {
	w := jsonWriter{b: dst, to: to}
	r.json(&w)
	return w.b, w.err
}

func (r *Report) json(w *jsonWriter) {
	w.open('{')
	w.str("schema_version", r.SchemaVersion)
	w.str("kind", r.Kind)
	if r.Input != nil {
		w.key("input")
		w.input(r.Input)
	}
	w.optional("target", r.Target)
	w.optional("intent", string(r.Intent))
	if r.Partial {
		w.boolean("partial", true)
	}
	if p := r.Planned; p != nil {
		w.key("planned")
		w.open('{')
		w.boolean("credential", p.Credential)
		w.list("from", p.From)
		w.list("to", p.To)
		w.str("stop_after", string(p.StopAfter))
		w.optional("login_sender", p.LoginSender)
		w.shut('}')
	}
	w.key("verdict")
	w.summary(&r.Verdict)
	if len(r.Outcomes) > 0 || r.Kind == "analysis" {
		w.key("outcomes")
		w.open('[')
		for i := range r.Outcomes {
			w.item()
			w.outcome(&r.Outcomes[i])
			w.spill()
		}
		w.shut(']')
	}
	w.key("findings")
	w.open('[')
	for i := range r.Findings {
		w.item()
		w.finding(&r.Findings[i])
	}
	w.shut(']')
	if len(r.Causes) > 0 {
		w.causes(r.Causes)
	}
	w.key("next_tests")
	w.open('[')
	for i := range r.NextTests {
		w.item()
		w.nextTest(&r.NextTests[i])
	}
	w.shut(']')
	if r.Diagnosis != nil {
		w.key("diagnosis")
		w.narrowing(r.Diagnosis)
	}
	if len(r.Sessions) > 0 {
		w.key("sessions")
		w.open('[')
		for i := range r.Sessions {
			w.item()
			w.session(&r.Sessions[i])
		}
		w.shut(']')
	}
	if r.DNS != nil {
		w.key("dns")
		w.dns(r.DNS)
	}
	w.shut('}')
}

// MarshalJSON implements json.Marshaler with AppendJSON.
func (r *Report) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// jsonWriter appends members and elements and puts the commas.
type jsonWriter struct {
	b   []byte
	to  io.Writer // where spill writes; nil: nowhere
	err error     // of to
}

// spill writes what there is but its last byte, which item looks at.
func (w *jsonWriter) spill() {
	if w.to == nil || len(w.b) < spillBytes {
		return
	}
	last := len(w.b) - 1
	if w.err == nil {
		_, w.err = w.to.Write(w.b[:last])
	}
	w.b = append(w.b[:0], w.b[last])
}

func (w *jsonWriter) open(c byte) { w.b = append(w.b, c) }
func (w *jsonWriter) shut(c byte) { w.b = append(w.b, c) }

// item puts the comma before an element unless it is the first.
func (w *jsonWriter) item() {
	switch w.b[len(w.b)-1] {
	case '{', '[':
	default:
		w.b = append(w.b, ',')
	}
}

// key puts a member's name; names are our own and need no escape.
func (w *jsonWriter) key(name string) {
	w.item()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *jsonWriter) str(name, value string) {
	w.key(name)
	w.b = transcript.AppendJSONString(w.b, value)
}

func (w *jsonWriter) optional(name, value string) {
	if value != "" {
		w.str(name, value)
	}
}

func (w *jsonWriter) integer(name string, value int64) {
	w.key(name)
	w.b = appendInt(w.b, value)
}

func (w *jsonWriter) float(name string, value float64) {
	w.key(name)
	w.b = strconv.AppendFloat(w.b, value, 'f', -1, 64)
}

func (w *jsonWriter) boolean(name string, value bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, value)
}

func (w *jsonWriter) list(name string, values []string) {
	w.key(name)
	w.open('[')
	for _, v := range values {
		w.item()
		w.b = transcript.AppendJSONString(w.b, v)
	}
	w.shut(']')
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func (w *jsonWriter) input(in *Input) {
	w.open('{')
	w.str("source", in.Source)
	w.str("format", in.Format)
	w.integer("bytes", in.Bytes)
	w.str("sha256", in.SHA256)
	w.boolean("truncated", in.Truncated)
	if in.Message != 0 {
		w.integer("message", int64(in.Message))
	}
	w.shut('}')
}

func (w *jsonWriter) summary(s *Summary) {
	w.open('{')
	w.str("code", string(s.Code))
	w.str("status", string(s.Status))
	w.str("headline", s.Headline)
	w.str("confidence", string(s.Confidence))
	w.str("next", s.Next)
	w.shut('}')
}

func (w *jsonWriter) reply(r *Reply) {
	w.open('{')
	w.integer("code", int64(r.Code))
	w.str("enhanced", r.Enhanced)
	w.str("text", r.Text)
	w.shut('}')
}

func (w *jsonWriter) evidence(list []Evidence) {
	w.key("evidence")
	w.open('[')
	for i := range list {
		e := &list[i]
		w.item()
		w.open('{')
		w.integer("line", int64(e.Line))
		w.integer("column", int64(e.Column))
		w.str("quote", e.Quote)
		w.str("role", e.Role)
		if e.Port != 0 {
			w.integer("port", int64(e.Port))
		}
		w.shut('}')
	}
	w.shut(']')
}

func (w *jsonWriter) causes(list []Cause) {
	w.key("causes")
	w.open('[')
	for i := range list {
		c := &list[i]
		w.item()
		w.open('{')
		w.str("id", c.ID)
		w.str("fits", c.Fits)
		w.str("fix", c.Fix)
		w.str("who", string(c.Who))
		w.str("source", c.Source)
		w.shut('}')
	}
	w.shut(']')
}

func (w *jsonWriter) outcome(o *Outcome) {
	w.open('{')
	w.str("recipient", o.Recipient)
	w.str("verdict", string(o.Verdict))
	w.str("stage", o.Stage)
	w.str("party", string(o.Party))
	w.str("direction", string(o.Direction))
	w.key("reply")
	w.reply(&o.Reply)
	w.str("status", o.Status)
	w.str("refused_by", o.RefusedBy)
	w.str("reported_by", o.ReportedBy)
	w.str("target", o.Target)
	w.integer("port", int64(o.Port))
	w.str("confidence", string(o.Confidence))
	w.optional("sender", o.Sender)
	w.optional("when", o.When)
	w.evidence(o.Evidence)
	w.causes(o.Causes)
	w.shut('}')
}

func (w *jsonWriter) finding(f *Finding) {
	w.open('{')
	w.str("id", f.ID)
	w.str("severity", string(f.Severity))
	w.boolean("expected", f.Expected)
	w.str("title", f.Title)
	w.optional("why", f.Why)
	w.evidence(f.Evidence)
	w.key("fix")
	w.open('[')
	for i := range f.Fix {
		x := &f.Fix[i]
		w.item()
		w.open('{')
		w.str("who", string(x.Who))
		w.str("text", x.Text)
		w.optional("command", x.Command)
		w.shut('}')
	}
	w.shut(']')
	if len(f.Not) > 0 {
		w.list("not", f.Not)
	}
	w.str("source", f.Source)
	w.shut('}')
}

func (w *jsonWriter) narrowing(n *Narrowing) {
	w.open('{')
	w.key("tried")
	w.open('[')
	for i := range n.Tried {
		t := &n.Tried[i]
		w.item()
		w.open('{')
		w.str("test", t.Test)
		w.str("do", t.Do)
		w.str("by", t.By)
		w.str("shown", t.Shown)
		w.integer("before", int64(t.Before))
		w.integer("after", int64(t.After))
		w.shut('}')
	}
	w.shut(']')
	if n.Aside > 0 {
		w.integer("aside", int64(n.Aside))
	}
	w.shut('}')
}

func (w *jsonWriter) nextTest(t *NextTest) {
	w.open('{')
	w.str("id", t.ID)
	w.str("do", t.Do)
	w.optional("who", t.Who)
	w.optional("cost", t.Cost)
	w.list("separates", t.Separates)
	if len(t.Shows) > 0 {
		w.key("shows")
		w.open('[')
		for i := range t.Shows {
			w.item()
			w.open('{')
			w.str("show", t.Shows[i].Show)
			w.list("causes", t.Shows[i].Causes)
			w.shut('}')
		}
		w.shut(']')
	}
	w.shut('}')
}

func (w *jsonWriter) session(s *Session) {
	w.open('{')
	w.integer("port", int64(s.Port))
	w.str("address", s.Address)
	w.str("verdict", string(s.Verdict))
	w.str("stage", s.Stage)
	w.optional("party", string(s.Party))
	if s.Expected {
		w.boolean("expected", true)
	}
	w.key("steps")
	w.open('[')
	for i := range s.Steps {
		w.item()
		w.step(&s.Steps[i])
	}
	w.shut(']')
	w.key("capabilities")
	w.open('{')
	w.list("before_tls", s.Capabilities.BeforeTLS)
	w.list("after_tls", s.Capabilities.AfterTLS)
	w.shut('}')
	w.key("tls")
	w.tls(&s.TLS)
	if len(s.Causes) > 0 {
		w.causes(s.Causes)
	}
	w.shut('}')
}

func (w *jsonWriter) step(s *Step) {
	w.open('{')
	w.str("stage", s.Stage)
	w.str("command", s.Command)
	w.str("status", s.Status)
	w.str("fault", s.Fault)
	if s.Reply != nil {
		w.key("reply")
		w.reply(s.Reply)
	}
	w.float("took_ms", s.TookMS)
	w.float("sent_ms", s.SentMS)
	w.boolean("secure", s.Secure)
	if s.Grouped {
		w.boolean("grouped", true)
	}
	w.str("note", s.Note)
	w.shut('}')
}

func (w *jsonWriter) tls(t *TLS) {
	w.open('{')
	w.str("version", t.Version)
	w.str("cipher", t.Cipher)
	w.optional("curve", t.Curve)
	w.list("names", t.Names)
	w.optional("subject", t.Subject)
	w.optional("issuer", t.Issuer)
	w.str("not_after", t.NotAfter)
	w.optional("earliest_not_after", t.Earliest)
	w.boolean("verified", t.Verified)
	w.str("problem", t.Problem)
	w.optional("detail", t.Detail)
	w.optional("alert", t.Alert)
	w.optional("not_before", t.NotBefore)
	if len(t.Chain) > 0 {
		w.list("chain", t.Chain)
	}
	w.optional("ocsp_stapled", t.Stapled)
	if len(t.Versions) > 0 {
		w.key("versions")
		w.open('[')
		for i := range t.Versions {
			v := &t.Versions[i]
			w.item()
			w.open('{')
			w.str("version", v.Version)
			w.str("accepted", v.Accepted)
			w.optional("alert", v.Alert)
			w.shut('}')
		}
		w.shut(']')
	}
	w.shut('}')
}

func (w *jsonWriter) dns(d *DNS) {
	w.open('{')
	if len(d.Queries) > 0 {
		w.key("queries")
		w.open('[')
		for i := range d.Queries {
			q := &d.Queries[i]
			w.item()
			w.open('{')
			w.str("name", q.Name)
			w.str("type", q.Type)
			w.str("rcode", q.Rcode)
			if len(q.Answers) > 0 {
				w.list("answers", q.Answers)
			}
			if len(q.CNAMEs) > 0 {
				w.list("cnames", q.CNAMEs)
			}
			if q.TTL != 0 {
				w.integer("ttl", int64(q.TTL))
			}
			if q.TookMS != 0 {
				w.float("took_ms", q.TookMS)
			}
			w.shut('}')
		}
		w.shut(']')
	}
	w.shut('}')
}
