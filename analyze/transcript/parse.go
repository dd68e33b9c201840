package transcript

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads the text form that Format writes; several sessions may follow one
// another. Line ends may be LF, CRLF or bare CR. Each exchange and reply gets
// its span in the text. What is before the first "=== Session:" line and lines
// that are none of the form's are left over: their spans are returned, and
// nothing else is harmed by them.
//
// It is not the reader for transcripts of other programs, swaks included:
// those need guesses, which package ndr makes.
func Parse(text []byte) (sessions []Session, left []Span) {
	r := reader{}
	line, offset := 1, 0
	for len(text) > 0 {
		end := bytes.IndexAny(text, "\r\n")
		next := end + 1
		if end < 0 {
			end, next = len(text), len(text)
		} else if text[end] == '\r' && next < len(text) && text[next] == '\n' {
			next++
		}
		span := Span{Offset: offset, End: offset + end, Line: line, Column: 1}
		if s := string(text[:end]); !r.line(s, span) && strings.TrimSpace(s) != "" {
			left = append(left, span)
		}
		text = text[next:]
		offset += next
		line++
	}
	return r.sessions, left
}

// reader takes the lines of the text form one by one.
type reader struct {
	sessions []Session
	timed    bool          // the session has a time column
	attach   bool          // a reply line belongs to the last exchange
	start    time.Duration // of a step that was told to begin; noTime: none was
	clock    time.Duration // the last time in the column
	stage    Stage         // of the step that was told to begin
}

func (r *reader) session() *Session { return &r.sessions[len(r.sessions)-1] }

// count is the number of exchanges of the last session.
func (r *reader) count() int { return len(r.session().Exchanges) }

func (r *reader) last() *Exchange {
	s := r.session()
	return &s.Exchanges[len(s.Exchanges)-1]
}

// wouldStart is the time at which a step without a command is taken to begin if
// nothing more is said: that of the last line.
func (r *reader) wouldStart(*Exchange) time.Duration {
	if !r.timed {
		return noTime
	}
	return r.clock
}

func (r *reader) line(s string, span Span) bool {
	at := noTime
	if r.timed && !strings.HasPrefix(s, "=== Session:") {
		if len(s) < timeColumn || s[timeColumn-1] != ' ' {
			return false
		}
		if field := strings.TrimLeft(s[:timeColumn-1], " "); field != "" {
			t, ok := parseMS(field)
			if !ok {
				return false
			}
			at = t
		}
		s = s[timeColumn:]
		span.Offset += timeColumn
		span.Column += timeColumn
	}
	if len(s) < 3 {
		return false
	}
	mark, body := s[:3], strings.TrimPrefix(s[3:], " ")
	if len(s) > 3 && s[3] != ' ' {
		return false
	}
	if len(r.sessions) == 0 {
		if mark != "===" || !strings.HasPrefix(body, "Session:") {
			return false
		}
	}
	inner := span
	inner.Offset += min(len(s), 4)
	inner.Column += min(utf8.RuneCountInString(s), 4)
	switch mark {
	case "===":
		return r.tell(body, at, inner)
	case "***":
		r.fault(unescapeBytes(body), at, inner)
	case " ->", "**>":
		r.sent(body, false, at, inner)
	case " ~>", "*~>":
		r.sent(body, true, at, inner)
	case "<- ", "<**", "<-*":
		r.received(body, false, at, inner)
	case "<~ ", "<~*":
		r.received(body, true, at, inner)
	default:
		return false
	}
	if at != noTime {
		r.clock = at
	}
	return true
}

// begin starts an exchange.
func (r *reader) begin(e Exchange, at time.Duration) *Exchange {
	s := r.session()
	switch {
	case at != noTime:
		e.Sent = at
	case r.start != noTime:
		e.Sent = r.start
	case r.timed:
		e.Sent = r.clock
	}
	if r.stage != "" && e.Stage == "" {
		e.Stage = r.stage
	}
	r.start, r.stage = noTime, ""
	s.Exchanges = append(s.Exchanges, e)
	return &s.Exchanges[len(s.Exchanges)-1]
}

func (r *reader) sent(body string, secure bool, at time.Duration, span Span) {
	c := unescapeBytes(body)
	r.stage = ""
	e := Exchange{Stage: StageOf(c), Command: c, Secure: secure, Span: span}
	if e.Stage == StageEHLO && secure && !r.session().Implicit {
		e.Stage = StageTLS // the EHLO that STARTTLS asks for (RFC 3207 §4.2)
	}
	r.begin(e, at)
	r.attach = true
}

func (r *reader) received(body string, secure bool, at time.Duration, span Span) {
	if !r.attach {
		e := Exchange{Stage: r.stage, Secure: secure, Span: span}
		if e.Stage == "" {
			e.Stage = StageUnknown
			if r.count() == 0 || r.last().Command == "" && r.last().Stage.Order() < StageGreet.Order() {
				e.Stage = StageGreet
			}
		}
		r.begin(e, noTime)
		r.attach = true
	}
	e := r.last()
	if e.Skipped != "" {
		e.Secure = secure // the mark knows
	}
	first := len(e.Reply.Lines) == 0
	e.Reply.Lines = append(e.Reply.Lines, unescapeBytes(body))
	if first {
		if p, ok := ParseReply(e.Reply.Lines[0]); ok {
			e.Reply.Code, e.Reply.Enhanced = p.Code, p.Enhanced
		}
		e.Reply.Span = span
	}
	if !span.IsZero() {
		e.Reply.Span.End = span.End
	}
	if at != noTime && (first || e.Reply.At != nil) {
		e.Reply.At = append(e.Reply.At, at)
		e.Took = at - e.Sent
	} else {
		e.Reply.At, e.Took = nil, 0
	}
	if e.Reply.Code == 250 && !first && Verb(e.Command) == "EHLO" && e.Skipped == "" {
		list := &r.session().Before
		if e.Secure {
			list = &r.session().After
		}
		if len(e.Reply.Lines) == 2 {
			*list = nil
		}
		*list = append(*list, Reply{Code: 250}.words(e.Reply.Lines[len(e.Reply.Lines)-1]))
	}
}

func (r *reader) fault(text string, at time.Duration, span Span) {
	words, detail := text, ""
	if i := strings.Index(text, " ("); i >= 0 && strings.HasSuffix(text, ")") {
		words, detail = text[:i], text[i+2:len(text)-1]
	}
	var e *Exchange
	for _, s := range stageFaults {
		if rest, ok := strings.CutPrefix(words, s.words); ok {
			r.stage = ""
			e = r.begin(Exchange{Stage: s.stage, Span: span}, r.begunAt(at))
			words = rest
			break
		}
	}
	if e == nil {
		if rest, ok := strings.CutPrefix(words, "Error: "); ok || !r.attach || r.last().Fault != FaultNone {
			stage := r.stage
			if stage == "" {
				stage = StageUnknown
			}
			e = r.begin(Exchange{Stage: stage, Span: span}, r.begunAt(at))
			words = rest
		} else {
			e = r.last()
		}
	}
	e.Detail = detail
	e.Fault = Fault(words)
	if e.Reply.Span.IsZero() {
		e.Reply.Span = span
	}
	for _, w := range faultWords {
		if w.words == words {
			e.Fault = w.fault
		}
	}
	if at != noTime && len(e.Reply.At) == 0 {
		e.Took = at - e.Sent
	}
	r.attach = false
}

// begunAt is when a step began whose end is told by this line: noTime leaves it
// to begin.
func (r *reader) begunAt(at time.Duration) time.Duration {
	if !r.timed || at == noTime {
		return at
	}
	return noTime
}

// tell takes a line behind "===".
func (r *reader) tell(body string, at time.Duration, span Span) bool {
	if rest, ok := strings.CutPrefix(body, "Session:"); ok {
		*r = reader{sessions: append(r.sessions, Session{Source: unescapeBytes(strings.TrimPrefix(rest, " ")), Span: span}), start: noTime}
		return true
	}
	s := r.session()
	if !span.IsZero() {
		s.Span.End = span.End
	}
	if key, list, ok := strings.Cut(body, ": "); ok {
		switch key {
		case "Times":
			r.timed = true
			eachKey(list, func(k, v string) {
				if k == "began" {
					s.Began, _ = time.Parse(time.RFC3339Nano, v)
				}
			})
			return true
		case "Server":
			eachKey(list, func(k, v string) { serverKey(s, k, v) })
			return true
		case "Plan":
			if s.Plan == nil {
				s.Plan = new(Plan)
			}
			eachKey(list, s.Plan.set)
			return true
		case "Offered":
			r.offered(list)
			return true
		case "Note":
			if r.count() == 0 {
				return false
			}
			r.last().Detail = unescapeBytes(list)
			return true
		case "Also":
			if r.count() == 0 {
				return false
			}
			e := r.last()
			eachKey(list, func(k, v string) { alsoKey(e, k, v) })
			return true
		case "TLS layer", "TLS peer", "TLS chain", "TLS valid", "TLS checked", "TLS versions":
			if s.TLS == nil {
				s.TLS = new(TLS)
			}
			eachKey(list, func(k, v string) { tlsKey(s.TLS, k, v) })
			return true
		}
	}
	for _, x := range [...]struct {
		words string
		stage Stage
		ends  bool
	}{
		{"Looking up ", StageResolve, false},
		{"Trying ", StageConnect, false},
		{"Waiting for the greeting...", StageGreet, false},
		{"Starting TLS...", StageTLS, false},
		{"The server went on:", "", false},
		{"Resolved ", StageResolve, true},
		{"Connected to ", StageConnect, true},
		{"TLS started", StageTLS, true},
		{"Step.", StageUnknown, true},
	} {
		if !strings.HasPrefix(body, x.words) {
			continue
		}
		r.attach = false
		if x.ends {
			r.stage = ""
			e := r.begin(Exchange{Stage: x.stage, Secure: x.stage == StageTLS, Span: span}, r.begunAt(at))
			if at != noTime {
				e.Took = at - e.Sent
			}
		} else {
			r.start, r.stage = at, x.stage
		}
		if at != noTime {
			r.clock = at
		}
		return true
	}
	label, reason, ok := strings.Cut(body, " not tried: ")
	if ok {
		label = unescapeBytes(label)
		e := Exchange{Stage: StageOf(label), Command: label, Skipped: unescapeBytes(reason), Span: span}
		switch {
		case Stage(label).Order() >= 0:
			e.Stage, e.Command = Stage(label), ""
		case label == "step":
			e.Command = ""
		case Verb(label) == "":
			return false
		}
		r.stage = ""
		if r.count() > 0 {
			e.Secure = r.last().Secure
		}
		r.begin(e, at)
		r.attach = true
		if at != noTime {
			r.clock = at
		}
		return true
	}
	return false
}

func (r *reader) offered(list string) {
	s := r.session()
	first := map[string]bool{}
	eachKey(list, func(k, v string) {
		name, kind, _ := strings.Cut(k, "-")
		l := &s.Before
		if name == "after" {
			l = &s.After
		}
		switch {
		case kind == "unseen":
			*l = nil
			return
		case !first[name]:
			first[name] = true
			*l = []string{}
		}
		if kind == "" {
			*l = append(*l, v)
		}
	})
}

func serverKey(s *Session, key, value string) {
	switch key {
	case "host":
		s.Server = value
	case "address":
		s.Address = value
	case "port":
		s.Port = number(value)
	case "implicit":
		s.Implicit = value == "true"
	case "client":
		s.Client = value
	}
}

func alsoKey(e *Exchange, key, value string) {
	switch key {
	case "stage":
		e.Stage = Stage(value)
	case "command":
		e.Command = value
	case "code":
		e.Reply.Code = number(value)
	case "enhanced":
		e.Reply.Enhanced = value
	case "fault":
		e.Fault = Fault(value)
	case "detail":
		e.Detail = value
	case "skipped":
		e.Skipped = value
	case "secure":
		e.Secure = value == "true"
	case "grouped":
		e.Grouped = value == "true"
	case "sent":
		e.Sent, _ = parseMS(value)
	case "took":
		e.Took, _ = parseMS(value)
	}
}

func tlsKey(t *TLS, key, value string) {
	at := func() time.Time {
		v, _ := time.Parse(time.RFC3339Nano, value)
		return v
	}
	switch key {
	case "version":
		t.Version = value
	case "cipher":
		t.Cipher = value
	case "curve":
		t.Curve = value
	case "subject":
		t.Subject = value
	case "issuer":
		t.Issuer = value
	case "names":
		t.Names = append(t.Names, value)
	case "names-none":
		t.Names = []string{}
	case "from":
		t.NotBefore = at()
	case "to":
		t.NotAfter = at()
	case "earliest":
		t.Earliest = at()
	case "verified":
		t.Verified = parseFact(value)
	case "stapled":
		t.Stapled = parseFact(value)
	case "problem":
		t.Problem = value
	case "detail":
		t.Detail = value
	case "alert":
		t.Alert = value
	case "chain":
		t.Chain = append(t.Chain, value)
	case "asked":
		t.Versions = append(t.Versions, TLSVersion{Version: value})
	}
	if n := len(t.Versions); n > 0 {
		switch last := &t.Versions[n-1]; key {
		case "accepted":
			last.Accepted = parseFact(value)
		case "answer":
			last.Alert = value
		}
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// eachKey calls f with each pair of "key=value, key=value".
func eachKey(list string, f func(key, value string)) {
	for list != "" {
		key, rest, ok := strings.Cut(list, "=")
		if !ok {
			return
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && rest[end] != '"' {
				if rest[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(rest))
			value = unescapeBytes(rest[1:end])
			rest = strings.TrimPrefix(rest[end:], `"`)
		} else {
			value = rest
			if i := strings.IndexByte(rest, ','); i >= 0 {
				value = rest[:i]
			}
			rest = rest[len(value):]
		}
		f(key, value)
		list = strings.TrimPrefix(strings.TrimPrefix(rest, ","), " ")
	}
}
