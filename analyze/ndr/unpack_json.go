package ndr

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// recordText are the keys under which collectors keep the text itself: Docker and
// Kubernetes, journald, Elastic and Fluentd, Loki, CloudWatch, Google Cloud,
// Splunk, Graylog, OpenTelemetry, and the loggers of programs.
var recordText = []string{
	"log", "message", "MESSAGE", "msg", "line", "textPayload", "@message", "_raw", "full_message", "short_message",
	"body", "stringValue", "text", "event", "stack", "stacktrace", "stack_trace", "stackTrace", "exception", "exc_info", "traceback",
	"stderr", "stdout", "output", "raw", "content", "data", "Message", "Exception", "@m", "@x", "rawLog",
}

// foreignJSON are keys of the JSON that has a reader of its own, and of records
// that are no text of a log.
var foreignJSON = []string{
	`"notificationType"`, `"eventType"`, `"delivery-status"`, `"event-data"`, `"queue_name"`, `"schema_version"`, `"TopicArn"`,
	`"sg_event_id"`, `"sg_message_id"`, `"RecordType"`, `"msys"`, `"policies"`, `"organization-name"`,
}

// tellingKeys are keys of a structured record that say more about a mail than the
// record's text: such a record is kept whole.
var tellingKeys = []string{
	"port", "response", "responseCode", "response_code", "smtp_code", "smtpCode", "reply", "command", "recipient", "recipients", "rcpt", "to", "from", "sender", "relay", "status_code", "enhanced_code", "rejected", "reason",
	"err", "error", "errors", "code", "errno", "syscall", "dsn", "bounce", "smtp-id", "recipient_status", "queue_id",
}

// jsonField is a string or number of a record.
type jsonField struct {
	key      []byte
	from, to int // of the value in the text, without its quotes
	text     bool
	word     bool  // of "event": the name of an event, no text
	obj, in  int32 // numbers of its object and of the object around that
}

// jsonRecord is a top-level object or array of a text.
type jsonRecord struct {
	start, end int
	fields     []jsonField
	codes      bool // a text is given as a list of byte values
	keys       bool // it has fields by name
}

const (
	maxJSONFields = 20_000
	maxJSONDepth  = 40
	dockerSplit   = 16 << 10 // Docker cuts longer lines, and ends a piece without a line end
)

// unrecord takes texts out of records of JSON, of which each may hold a line or
// many. What stands between the records stays. It reports whether it did.
func (d *Document) unrecord() bool {
	text := d.Text
	at := recordStart(text[:min(len(text), 32*headBytes)], 0)
	if at < 0 {
		return false
	}
	for _, key := range foreignJSON {
		if bytes.Contains(text[:min(len(text), 64<<10)], []byte(key)) {
			return false
		}
	}
	var r *rewriter
	done, changed := 0, false
	var rec jsonRecord
	for at >= 0 && !(r != nil && r.full) {
		rec.read(text, at)
		if rec.end == 0 {
			_, next := d.lineFor(at)
			at = recordStart(text, next)
			continue
		}
		if rec.tells() >= 0 {
			if r == nil {
				r = d.rewriter(text, len(text)+64)
			}
			r.copy(done, rec.start)
			if !rec.write(r, text) {
				done = rec.start
				at = recordStart(text, rec.end)
				continue
			}
			changed = true
			done = rec.end
			for done < len(text) && (text[done] == ',' || text[done] == ' ' || text[done] == '\r') {
				done++ // between the records of a list that was not copied whole
			}
			if done < len(text) && text[done] == '\n' {
				done++
			}
		}
		at = recordStart(text, max(done, rec.end))
	}
	if !changed {
		return false
	}
	r.copy(done, len(text))
	d.apply(r)
	return true
}

// recordStart is the first line at or behind the offset that begins with a record;
// negative if there is none. A line may have a blank or a label before it.
func recordStart(text []byte, at int) int {
	for at < len(text) {
		if at == 0 || text[at-1] == '\n' || text[at-1] == '\r' {
			i := skipBlanks(text, at)
			if opensRecord(text[i:]) {
				return i
			}
			at = i
		}
		_, at = nextLine(text, at, len(text))
	}
	return -1
}

// opensRecord reports whether t begins with an object of JSON that has a key, or
// a list of such.
func opensRecord(t []byte) bool {
	if len(t) < 8 || t[0] != '{' && t[0] != '[' {
		return false
	}
	for i := 0; i < len(t) && i < 200; i++ {
		switch t[i] {
		case '[', '{', ' ', '\n', '\r', '\t':
		case '"':
			return bytes.IndexByte(t[:i], '{') >= 0
		default:
			return false
		}
	}
	return false
}

// read reads the value of JSON at the offset. End is zero where it is none.
func (j *jsonRecord) read(text []byte, at int) {
	*j = jsonRecord{start: at, fields: j.fields[:0]}
	var closers [maxJSONDepth]byte
	var objects [maxJSONDepth + 2]int32 // numbers of the open objects; an array has its object's
	last := int32(0)
	depth := 0
	var key []byte
	wantKey := false
	for i := at; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			if c == ',' && depth > 0 && closers[depth-1] == '}' {
				wantKey = true
			}
			i++
		case '{', '[':
			if depth == maxJSONDepth {
				return
			}
			if c == '{' {
				closers[depth], wantKey = '}', true
			} else {
				closers[depth], wantKey = ']', false
			}
			depth++
			objects[depth+1] = objects[depth]
			if c == '{' {
				last++
				objects[depth+1] = last
			}
			i++
			if c == '[' {
				if n := byteList(text[i:]); n > 0 {
					if slices.Contains(recordText, string(key)) && j.add(jsonField{key: key, from: i, to: i + n, obj: objects[depth+1], in: outerOf(objects[:depth+1], objects[depth+1])}) {
						j.codes = true
					}
					i += n
				}
			}
		case '}', ']':
			if depth == 0 || closers[depth-1] != c {
				return
			}
			depth--
			i++
			wantKey = false
			if depth == 0 {
				j.end = i
				return
			}
		case '"':
			end := stringEnd(text, i+1)
			cut := end < 0
			if cut {
				end = len(text)
			}
			if wantKey && !cut {
				key, wantKey, j.keys = text[i+1:end], false, true
			} else if !j.add(jsonField{key: key, from: i + 1, to: end, text: true, word: string(key) == "event" && bytes.IndexByte(text[i+1:end], ' ') < 0, obj: objects[depth+1], in: outerOf(objects[:depth+1], objects[depth+1])}) {
				return
			}
			if cut {
				j.end = len(text) // a paste that ends in the middle of a record
				return
			}
			i = end + 1
		default:
			from := i
			for i < len(text) && (isWordByte(text[i]) || text[i] == '-' || text[i] == '+' || text[i] == '.') {
				i++
			}
			if i == from || i-from > 40 || wantKey || !j.add(jsonField{key: key, from: from, to: i, obj: objects[depth+1]}) {
				return
			}
		}
	}
	if depth > 0 && j.keys {
		j.end = len(text)
	}
}

// outerOf is the number of the object around one.
func outerOf(open []int32, obj int32) int32 {
	for i := len(open) - 1; i >= 0; i-- {
		if open[i] != obj {
			return open[i]
		}
	}
	return 0
}

func (j *jsonRecord) add(f jsonField) bool {
	if len(j.fields) >= maxJSONFields {
		return false
	}
	j.fields = append(j.fields, f)
	return true
}

// stringEnd is the place of the quote that ends a string; negative where none does
// before the line ends.
func stringEnd(text []byte, at int) int {
	for at < len(text) {
		n := bytes.IndexByte(text[at:], '"')
		if n < 0 {
			return -1
		}
		at += n
		back := at
		for back > 0 && text[back-1] == '\\' {
			back--
		}
		if (at-back)%2 == 0 {
			return at
		}
		at++
	}
	return -1
}

// byteList is the length of a list of byte values, as journald gives a text that
// is no UTF-8; 0 if t begins with none. A short list may be anything.
func byteList(t []byte) int {
	values, n := 0, 0
	for n < len(t) {
		switch c := t[n]; {
		case isDigit(c):
			v, end := digitsAt(t, n, 4)
			if v > 255 || end-n > 3 {
				return 0
			}
			values++
			n = end
		case c == ',' || c == ' ' || c == '\n':
			n++
		case c == ']' && values >= 8:
			return n
		default:
			return 0
		}
	}
	return 0
}

// isText reports whether a field holds the text of its record.
func (j *jsonRecord) isText(f *jsonField) bool {
	return (f.text || j.codes && f.to-f.from > 16) && !f.word && slices.Contains(recordText, string(f.key))
}

// tells gives the first text of the record; negative without one.
func (j *jsonRecord) tells() int {
	for i := range j.fields {
		if j.isText(&j.fields[i]) {
			return i
		}
	}
	return -1
}

// structured reports whether fields beside the text say something about a mail.
func (j *jsonRecord) structured(text []byte) bool {
	if first := j.tells(); j.value(first, hostKeys) != nil && j.value(first, identKeys) != nil {
		return false // the record of a journal
	}
	for i := range j.fields {
		f := &j.fields[i]
		if j.isText(f) {
			continue
		}
		if slices.Contains(tellingKeys, string(f.key)) && f.to > f.from {
			return true
		}
		if v := text[f.from:f.to]; f.text && (bytes.IndexByte(v, '@') > 0 || isReplyText(v)) {
			return true
		}
	}
	return false
}

// write writes what the record says; false: it is to be kept as it is.
func (j *jsonRecord) write(r *rewriter, text []byte) bool {
	if j.structured(text) {
		return j.writeWhole(r, text)
	}
	main := j.fields[j.tells()].key
	for i := range j.fields {
		f := &j.fields[i]
		if !j.isText(f) || f.to == f.from && !bytes.Equal(f.key, main) || j.repeated(text, i) {
			continue
		}
		j.writeHead(r, text, i)
		ends := false
		if f.text {
			unescapeText(r, text, f.from, f.to, &ends)
		} else {
			writeBytes(r, text, f.from, f.to)
		}
		if !ends && !(f.to-f.from >= dockerSplit && string(f.key) == "log") {
			r.put(lf, f.to, min(f.to+1, len(text)), segAtom)
		}
	}
	return true
}

// repeated reports whether another text of the record has the words of this one:
// a message that its stack begins with.
func (j *jsonRecord) repeated(text []byte, i int) bool {
	g := &j.fields[i]
	v := text[g.from:g.to]
	if len(v) > 4096 || len(v) == 0 {
		return false
	}
	for k := max(0, i-nearFields); k < min(len(j.fields), i+nearFields); k++ {
		f := &j.fields[k]
		if k == i || !f.text || f.obj != g.obj && f.obj != g.in && f.in != g.obj || bytes.Equal(f.key, g.key) || !j.isText(f) {
			continue
		}
		if w := text[f.from:f.to]; len(w) > len(v) && bytes.Contains(w[:min(len(w), 8192)], v) || len(w) == len(v) && k < i && bytes.Equal(w, v) {
			return true
		}
	}
	return false
}

// nearFields is how far apart, in fields, the parts of one record stand at most.
const nearFields = 60

// writeWhole copies the record; a text of several lines in it stands by itself.
// False: there is none.
func (j *jsonRecord) writeWhole(r *rewriter, text []byte) bool {
	at := j.start
	for i := range j.fields {
		f := &j.fields[i]
		if !f.text || bytes.Count(text[f.from:f.to], []byte(`\n`)) < 2 {
			continue
		}
		r.copy(at, f.from)
		r.put(lf, f.from, f.from, segAtom)
		ends := false
		unescapeText(r, text, f.from, f.to, &ends)
		if !ends {
			r.put(lf, f.to, f.to, segAtom)
		}
		at = f.to
	}
	if at == j.start {
		return false
	}
	r.copy(at, j.end)
	r.put(lf, j.end, j.end, segAtom)
	return true
}

// writeBytes writes the bytes of a list of values.
func writeBytes(r *rewriter, text []byte, from, to int) {
	for i := from; i < to && !r.full; {
		if !isDigit(text[i]) {
			i++
			continue
		}
		v, end := digitsAt(text, i, 3)
		r.put([]byte{byte(v)}, i, end, segAtom)
		i = end
	}
}

// The keys under which journals and syslog servers keep the head of a line.
var (
	hostKeys  = []string{"_HOSTNAME", "hostname", "HOSTNAME", "host", "fromhost", "source"}
	identKeys = []string{"SYSLOG_IDENTIFIER", "programname", "program", "ident", "appname", "app_name", "app-name", "syslog-tag", "syslogtag", "tag", "process"}
	pidKeys   = []string{"SYSLOG_PID", "_PID", "pid", "procid"}
	timeKeys  = []string{"__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "@timestamp", "timestamp", "time", "timereported", "ts"}
)

// value is the first field of one of the keys in the object of field i; nil without
// one.
func (j *jsonRecord) value(i int, keys []string) *jsonField {
	for _, key := range keys {
		for k := max(0, i-nearFields); k < min(len(j.fields), i+nearFields); k++ {
			if f := &j.fields[k]; f.obj == j.fields[i].obj && string(f.key) == key && f.to > f.from && f.to-f.from < 256 {
				return f
			}
		}
	}
	return nil
}

// writeHead writes what the line of a mail server's log begins with, where the
// record keeps it in fields of its own: time, host and program.
func (j *jsonRecord) writeHead(r *rewriter, text []byte, i int) {
	ident := j.value(i, identKeys)
	if ident == nil {
		return
	}
	var p record
	if !p.daemonOf(append(bytes.TrimRight(text[ident.from:ident.to:ident.to], ":"), ':')) || p.mta == mtaNone {
		return
	}
	host, when := j.value(i, hostKeys), j.value(i, timeKeys)
	if when != nil {
		stamp := text[when.from:when.to]
		if us, err := strconv.ParseInt(string(stamp), 10, 64); err == nil {
			// Seconds, milliseconds or microseconds since 1970, by their size.
			for us < 1e14 && us > 0 {
				us *= 1000
			}
			stamp = time.UnixMicro(us).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z")
		}
		if _, n := stampAt(stamp); n == 0 {
			return
		}
		r.put(append(bytes.Clone(stamp), ' '), when.from, when.to, segAtom)
		if host != nil && host.text {
			r.copy(host.from, host.to)
		} else {
			r.put([]byte("-"), ident.from, ident.from, segAtom)
		}
		r.put([]byte(" "), when.to, when.to, segAtom)
		r.m.jumps = true
	}
	r.copy(ident.from, ident.to)
	if p.pid == "" {
		if pid := j.value(i, pidKeys); pid != nil {
			r.put([]byte("["), ident.to, ident.to, segAtom)
			r.copy(pid.from, pid.to)
			r.put([]byte("]"), ident.to, ident.to, segAtom)
			r.m.jumps = true
		}
	}
	if text[ident.to-1] != ':' {
		r.put([]byte(":"), ident.to, ident.to, segAtom)
	}
	r.put([]byte(" "), ident.to, ident.to, segAtom)
	r.m.jumps = true
}
