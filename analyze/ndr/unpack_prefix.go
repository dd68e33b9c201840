package ndr

import "bytes"

// prefix is what a collector puts before a line.
type prefix uint8

const (
	prefixNone    prefix = iota
	prefixStamp          // "2026-11-24T09:12:45.123456789Z ": docker logs -t, GitHub
	prefixStream         // "2026-11-24T09:12:45.123456789Z stderr F ": Kubernetes (CRI)
	prefixService        // "web-1  | ": docker compose, foreman, pm2
	prefixPod            // "[pod/web-7d9f/web] ": kubectl logs --prefix
	prefixProgram        // "Nov 24 10:00:00 host shop[811]: ": journal, syslog
)

// maxService is the width in bytes within which the bar behind a service stands.
const maxService = 64

// unprefix takes off what a collector put before each line. The head of a mail
// server's own log line is part of what it says and stays. It reports whether
// there was any.
func (d *Document) unprefix() bool {
	text := d.Text
	kind, name := prefixNone, []byte(nil)
	lines, marked, empty, set, heads := 0, 0, 0, 0, 0 // set: lines that are set in behind it
	for at := 0; at < len(text) && lines < 400; {
		end, next := d.lineFor(at)
		line := text[at:end]
		at = next
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		lines++
		k, n, own := prefixOf(line)
		if k == prefixNone {
			continue
		}
		if kind == prefixNone {
			kind, name = k, own
		}
		if k != kind {
			continue
		}
		marked++
		if name != nil && !bytes.Equal(name, own) {
			name = nil
		}
		switch rest := line[n:]; {
		case len(bytes.TrimSpace(rest)) == 0:
			empty++
		case rest[0] == ' ' || rest[0] == '\t':
			set++
		case isHeaderStart(rest):
			heads++
		}
	}
	if set == marked {
		set = 0 // two blanks behind the time
	}
	switch {
	case kind == prefixNone, marked < 2 && lines > 1:
		return false
	case kind == prefixStamp && (marked < 2 || marked*10 < lines*9 || empty+set == 0 && heads < 3):
		return false // a time of its own before each line
	case kind == prefixProgram && (marked*10 < lines*9 || name == nil || hasOwnLog(name)):
		return false // the log of many programs, or of one that is known
	case kind == prefixService && marked*2 < lines:
		return false
	}
	r := d.rewriter(text, len(text))
	at := 0
	for start := 0; start < len(text) && !r.full; {
		end, next := d.lineFor(start)
		line := text[start:end]
		k, n, _ := prefixOf(line)
		if k == kind && n > 0 {
			if kind == prefixService || kind == prefixPod || !ownHead(line, n) {
				r.copy(at, start)
				at = start + n
				if kind == prefixStream && line[n-2] == 'P' && next < len(text) {
					// Part of a line: the next one goes on with it.
					if k2, _, _ := prefixOf(text[next:]); k2 == kind {
						r.copy(at, end)
						at = next
					}
				}
			}
		}
		start = next
	}
	r.copy(at, len(text))
	if len(r.out) == len(text) {
		return false
	}
	d.apply(r)
	return true
}

// ownHead reports whether the head of a line is that of a mail server's log.
func ownHead(line []byte, n int) bool {
	r, ok := recordAt(line)
	return ok && (r.mta != mtaMsmtp || foldPrefix(line[n:], "host="))
}

// loggers are programs whose own logs have readers that know their heads.
var loggers = []string{"ssmtp", "sendemail", "amavis", "dovecot", "swaks", "msmtp"}

// hasOwnLog reports whether "name[pid]:" names one of the loggers.
func hasOwnLog(name []byte) bool {
	for _, l := range loggers {
		if foldPrefix(name, l) {
			return true
		}
	}
	return false
}

// prefixOf is the collector's mark that a line begins with, its length with one
// blank behind it, and the name of the program or service in it.
func prefixOf(line []byte) (kind prefix, n int, name []byte) {
	if len(line) < 4 {
		return prefixNone, 0, nil
	}
	i := 0
	if line[0] == '<' {
		// A syslog priority, and RFC 5424's version.
		end := bytes.IndexByte(line[:min(len(line), 6)], '>')
		if end < 2 || !isDigit(line[1]) {
			return prefixNone, 0, nil
		}
		i = end + 1
		if i+1 < len(line) && line[i] == '1' && line[i+1] == ' ' {
			i += 2
		}
		return programPrefix(line, i)
	}
	if line[0] == '[' {
		if !bytes.HasPrefix(line, []byte("[pod/")) {
			return prefixNone, 0, nil
		}
		end := bytes.IndexByte(line[:min(len(line), 300)], ']')
		if end < 0 {
			return prefixNone, 0, nil
		}
		return prefixPod, afterBlank(line, end+1), line[:end]
	}
	if k, n := servicePrefix(line); n > 0 {
		return prefixService, n, line[:k]
	}
	if isDigit(line[0]) || line[0] >= 'A' && line[0] <= 'W' {
		return programPrefix(line, 0)
	}
	return prefixNone, 0, nil
}

// afterBlank is the offset behind one blank, or the offset.
func afterBlank(line []byte, i int) int {
	if i < len(line) && line[i] == ' ' {
		return i + 1
	}
	return i
}

// servicePrefix reads "web-1  | ", "10:12:45 web.1 | " or "0|shop  | ": the end of
// the name and the length with the bar.
func servicePrefix(line []byte) (name, n int) {
	i := 0
	if isDigit(line[0]) {
		if _, k := clockAt(line, 0); k > 0 && k < len(line) && line[k] == ' ' {
			i = k + 1
		}
	}
	from := i
	for i < len(line) && i < maxService && (isWordByte(line[i]) || line[i] == '-' || line[i] == '.' || line[i] == '|' && i+1 < len(line) && isWordByte(line[i+1])) {
		i++
	}
	name = i
	for i < len(line) && line[i] == ' ' {
		i++
	}
	if name == from || i >= len(line) || i > maxService || line[i] != '|' || i == name && line[i] != '|' || bytes.IndexByte(line[from:name], '.') > 0 && from == 0 {
		return 0, 0
	}
	if i+1 < len(line) && line[i+1] != ' ' {
		return 0, 0
	}
	if !isLetter(line[from]) && bytes.IndexByte(line[from:name], '|') < 0 {
		return 0, 0 // the number of a line
	}
	return name, afterBlank(line, i+1)
}

// programPrefix reads a time and what may stand behind it: a stream, or host and
// program.
func programPrefix(line []byte, i int) (kind prefix, n int, name []byte) {
	_, k := stampAt(line[i:])
	if k < 8 || i+k >= len(line) || line[i+k] != ' ' {
		if k >= 15 && i+k == len(line) && i == 0 {
			return prefixStamp, k, nil // an empty line
		}
		return prefixNone, 0, nil
	}
	at := i + k
	behind := afterBlank(line, at)
	rest := line[behind:]
	for _, s := range [...]string{"stdout ", "stderr "} {
		if bytes.HasPrefix(rest, []byte(s)) && len(rest) > len(s) && (rest[len(s)] == 'F' || rest[len(s)] == 'P') {
			return prefixStream, afterBlank(line, behind+len(s)+1), nil
		}
	}
	if i > 2 && line[i-1] == ' ' {
		return modernPrefix(line, behind)
	}
	// Host and program, or the program alone.
	word := behind
	for range 2 {
		end := word
		for end < len(line) && line[end] != ' ' {
			end++
		}
		token := line[word:end]
		if size := len(token); size > 3 && token[size-1] == ':' && token[size-2] == ']' {
			open := bytes.IndexByte(token, '[')
			if open > 0 && isDigit(token[open+1]) {
				return prefixProgram, afterBlank(line, end), token
			}
		} else if size > 1 && token[size-1] == ']' && end < len(line) && line[end] != ' ' {
			break
		}
		if end == len(line) || word != behind {
			break
		}
		word = end + 1
	}
	if i > 0 || k < 15 {
		return prefixNone, 0, nil
	}
	return prefixStamp, behind, nil
}

// modernPrefix reads on in the head of RFC 5424: host, program, process, message
// id and structured data.
func modernPrefix(line []byte, at int) (kind prefix, n int, name []byte) {
	for word := range 4 {
		k := bytes.IndexByte(line[at:], ' ')
		if k <= 0 {
			return prefixNone, 0, nil
		}
		if word == 1 {
			name = line[at : at+k]
		}
		at += k + 1
	}
	switch {
	case at < len(line) && line[at] == '-':
		at++
	default:
		for at < len(line) && line[at] == '[' {
			k := bytes.IndexByte(line[at:], ']')
			if k < 0 {
				return prefixNone, 0, nil
			}
			at += k + 1
		}
	}
	at = afterBlank(line, at)
	if bytes.HasPrefix(line[at:], []byte("\ufeff")) {
		at += len("\ufeff")
	}
	return prefixProgram, at, name
}
