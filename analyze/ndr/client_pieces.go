package ndr

import (
	"bytes"
	"slices"
)

// People paste what a client told twice, one below the other: two runs of swaks,
// two errors of a program. Each is a case of its own; read as one, the host of
// the first would get the reply of the second.

// clientOpeners are the words that a client begins with, at the beginning of a
// line or behind its stamp.
var clientOpeners = [...]struct {
	first byte // of the line: a stamp begins with a digit ('2') or '['
	words string
	alone bool // no report has these words: they begin a case below one too
}{
	{'=', "=== Trying ", true},
	{'*', "*   Trying ", true},
	{'*', "* Trying ", true},
	{'*', "* Could not resolve host", false},
	{'c', "connect: to ('", true},
	{'T', "Traceback (most recent call last):", false},
	{'[', "DEBUG Creating transport: nodemailer", true},
	{'2', "SMTP ERROR: Failed to connect to server", false},
	{'2', "Connection: opening to ", false},
	{'2', "SERVER -> CLIENT: 220", false},
	{'2', "SERVER -> CLIENT: 421", false},
}

// clientEnds are the words that a client ends a failure with.
var clientEnds = [...]struct {
	first byte
	words string
}{
	{'=', "=== Connection closed"},
	{'*', "*** Error connecting"},
	{'*', "*** Remote host closed"},
	{'*', "*** Failed"},
	{'c', "curl: ("},
	{'s', "smtplib.SMTP"},
	{'s', "socket.gaierror:"},
	{'s', "ssl.SSL"},
	{'s', "socket.timeout"},
	{'C', "ConnectionRefusedError:"},
	{'C', "ConnectionResetError:"},
	{'T', "TimeoutError:"},
	{'O', "OSError:"},
	{'a', "aiosmtplib.errors."},
	{'M', "Message could not be sent. Mailer Error:"},
	{'M', "Mailer Error:"},
	{'[', "Connection closed"},
}

// chained are the sentences of Python between the tracebacks of one failure.
var chained = [...]string{"During handling of the above exception", "The above exception was the direct cause"}

// cutClients adds cuts where a client begins again behind an empty line, and the
// failure above it was told to its end.
func (b *Block) cutClients(cuts []int) []int {
	if b.mail != nil && (b.mail.report != reportNone || len(b.returned) > 0) {
		return cuts
	}
	more := b.cutStamped()
	var ended byte // first byte of the words that ended a failure; 0: none did
	blank, report, mark, paragraph := false, false, 0, b.First
	var last []byte // line with something on it
	for i := b.First; i < b.Last; i++ {
		l := b.Doc.Line(i)
		if len(bytes.TrimSpace(l)) == 0 {
			blank = true
			continue
		}
		if blank {
			paragraph = i
		}
		if _, ok := slices.BinarySearch(cuts, i); ok {
			ended = 0
		}
		opens := false // the words of a report
		above := report
		for ; mark < len(b.marks) && int(b.marks[mark].line) <= i; mark++ {
			o := openerOf(b.marks[mark].sign)
			report = report || o != nil
			opens = opens || o != nil && o.rank == 1 && int(b.marks[mark].line) == i
		}
		switch {
		case ended != 0 && opens && !above && paragraph > b.First:
			more = append(more, paragraph)
			ended = 0
		case blank && report && opensClient(l, true):
			more = append(more, i)
			ended = 0
		case ended != 0 && (blank && opensClient(l, false) && (l[0] != 'T' || ended != '[' && ended != '=' && !isChained(last)) || l[0] == 'm' && bytes.HasPrefix(l, []byte("msmtp: ")) && isMsmtpEnd(last)):
			more = append(more, i)
			ended = 0
		}
		if endsClient(l) || isMsmtpEnd(l) {
			ended = l[0]
		}
		blank, last = false, l
	}
	if len(more) == 0 {
		return cuts
	}
	cuts = append(cuts, more...)
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

// isMsmtpEnd reports whether msmtp says its last word.
func isMsmtpEnd(l []byte) bool { return bytes.HasPrefix(l, []byte("msmtp: could not send mail")) }

func isChained(l []byte) bool {
	for _, words := range chained {
		if bytes.HasPrefix(l, []byte(words)) {
			return true
		}
	}
	return false
}

func opensClient(l []byte, alone bool) bool {
	for i := range clientOpeners {
		if o := &clientOpeners[i]; (o.alone || !alone) && l[0] == o.first && hasClientWords(l, o.words) {
			return true
		}
	}
	return false
}

func endsClient(l []byte) bool {
	for i := range clientEnds {
		if e := &clientEnds[i]; l[0] == e.first && hasClientWords(l, e.words) {
			return true
		}
	}
	return false
}

// maxClientStamp is where the words behind a stamp begin at the latest.
const maxClientStamp = 64

func hasClientWords(l []byte, words string) bool {
	if l[0] == '[' || l[0] == '2' {
		return bytes.Contains(l[:min(len(l), maxClientStamp+len(words))], []byte(words))
	}
	return bytes.HasPrefix(l, []byte(words))
}

// goStamp is the length of the stamp of Go's log: 2026/05/04 10:11:12, and a
// space.
const goStamp = len("2026/05/04 10:11:12 ")

// stampedWords are the words behind such a stamp up to the first colon: what the
// program says before each error.
func stampedWords(l []byte) []byte {
	if len(l) <= goStamp || l[4] != '/' || l[7] != '/' || l[10] != ' ' || l[13] != ':' || l[16] != ':' || l[19] != ' ' {
		return nil
	}
	words, _, ok := bytes.Cut(l[goStamp:], []byte(": "))
	if !ok {
		return nil
	}
	return words
}

// cutStamped cuts a text of nothing but Go's log lines that all begin with the
// same words: one error each.
func (b *Block) cutStamped() []int {
	const most = 200 // lines: more are the log of a program
	var same []byte
	var cuts []int
	for i := b.First; i < b.Last; i++ {
		l := b.Doc.Line(i)
		if len(bytes.TrimSpace(l)) == 0 {
			continue
		}
		words := stampedWords(l)
		switch {
		case words == nil, same != nil && !bytes.Equal(words, same), len(cuts) == most:
			return nil
		case same != nil:
			cuts = append(cuts, i)
		}
		same = words
	}
	return cuts
}
