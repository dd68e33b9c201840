package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// Mail programs wrap long lines at a blank, without a mark, when they send or
// show a text. The readers of traces go by lines, so they read such a block with
// its lines joined again.

// widest is the width up to which lines may have been wrapped by a program; a
// block with longer ones was not.
const widest = 100

// unwrapped is the block with its wrapped lines joined; the block itself where
// nothing was wrapped.
func (b *Block) unwrapped() *Block {
	if b.straight == nil {
		b.straight = b.unwrap()
		b.straight.straight = b.straight
	}
	return b.straight
}

func (b *Block) unwrap() *Block {
	d := b.Doc
	if d.wrapped != nil || b.Last-b.First < 2 || b.End()-b.Start() > 1<<20 || b.mail != nil && !b.speaksOfMail() {
		return b
	}
	width := 0
	for i := b.First; i < b.Last; i++ {
		n := d.LineEnd(i) - d.LineStart(i)
		if n <= width {
			continue
		}
		if n > widest {
			if bytes.IndexByte(bytes.TrimSpace(d.Line(i)), ' ') > 0 {
				return b
			}
			continue // a word that could not be wrapped
		}
		width = n
	}
	if width < 38 {
		return b
	}
	var text []byte
	logs := false // the line that is being joined is a log line
	for i := b.First; i+1 < b.Last; i++ {
		line, next := d.Line(i), d.Line(i+1)
		if text == nil || text[d.LineStart(i)-1] == '\n' || i == b.First {
			_, logs = recordAt(line)
		}
		if len(line) == 0 || len(next) == 0 {
			continue
		}
		word := bytes.IndexByte(next, ' ')
		if word < 0 {
			word = len(next)
		}
		if len(line)+1+word <= width || !joins(line, next, logs) {
			continue
		}
		if text == nil {
			text = bytes.Clone(d.Text)
		}
		text[d.LineEnd(i)] = ' '
	}
	if text == nil {
		return b
	}
	view := *d
	view.Text, view.wrapped = text, d
	view.starts, view.heads, view.indexed = nil, nil, 0 // of the wrapped text
	view.index()
	part := *b
	part.Doc = &view
	part.First = view.LineAt(b.Start())
	part.Last = view.lineFrom(b.End())
	return &part
}

// joins reports whether the next line may be the rest of this one: it begins
// nothing of its own.
func joins(line, next []byte, logs bool) bool {
	switch c := next[0]; c {
	case ' ', '\t', '=', '*', '{', '}', '~', '#', '|', '+', '@':
		return false
	case '-':
		if len(next) > 1 && (next[1] == '-' || next[1] == '>' || next[1] == ' ' || next[1] == 'Q') {
			return false
		}
	}
	if _, ok := recordAt(next); ok {
		return false
	}
	if !logs {
		if endsInSetting(line) {
			return false
		}
		if isReplyText(next) && !opens(line) || isCommandText(next) {
			return false
		}
		if s := sayingAt(next); s.mark != nil && (s.strong || s.mark.dialect != dialectLetters && s.mark.dialect != dialectArrow && s.mark.dialect != dialectDouble) {
			return false
		}
		if isDigit(next[0]) || next[0] == '[' || monthAt(next) != 0 {
			if jobStart(append([]byte(nil), next...)) && len(next) > 6 {
				return false
			}
		}
		if clientAt(next) != nil || noteOf(next) != 0 && isConnectionLine(next) || noteOf(next) == noteConfig || isStackLine(next) || isNodeLine(next) || isDigit(next[0]) && isProtocolRow(next) {
			return false
		}
		for _, w := range []string{"debug", "caused by", "traceback", "during handling", "raise ", "at ", "depth=", "verify ", "subject=", "issuer=", "new, ", "connected(", "ssmtp: "} {
			if foldPrefix(next, w) && !(w == "at " && !bytes.HasPrefix(next, []byte("At "))) {
				return false
			}
		}
		if p := pairs(next); len(p) > 0 && p[0].kind != labelNone && p[0].from > 0 && bytes.HasPrefix(bytes.ToLower(next), []byte(p[0].label)) {
			// A label of its own, unless the sentence goes on with it.
			return endsOpen(line)
		}
	}
	return true
}

// endsInSetting reports whether the line ends in a setting that is whole, as in
// the settings of a device: "SMTP Server: H", "Port: 25", "SSL: OFF". What stands
// in the next line does not go on with it.
func endsInSetting(line []byte) bool {
	list := pairs(line)
	if len(list) == 0 {
		return false
	}
	p := list[len(list)-1]
	value := line[p.from:p.to]
	switch p.kind {
	case labelServer:
		h, n := hostAt(value)
		return n > 0 && n == len(value) && nameOfServer(h)
	case labelPort:
		return len(value) > 0 && len(value) < 6 && len(leadingDigits(value)) == len(value)
	case labelSecurity, labelAuth:
		return len(value) < 24 && switchValue(value) != transcript.Unknown
	}
	return false
}

// opens reports whether the line ends in a word that a reply follows.
func opens(line []byte) bool {
	l := bytes.TrimRight(line, " \t\"'(")
	if len(l) == 0 || l[len(l)-1] == '.' || l[len(l)-1] == '!' {
		return false // nothing, or a sentence of its own
	}
	return l[len(l)-1] == ':' || announced(line)
}

// endsOpen reports whether a sentence goes on behind the line: it ends in a
// comma, a semicolon or a small word.
func endsOpen(line []byte) bool {
	l := bytes.TrimRight(line, " \t")
	if len(l) == 0 {
		return false
	}
	switch l[len(l)-1] {
	case ',', ';', '(', ':', '=':
		return true
	}
	for _, w := range []string{" the", " to", " from", " of", " with", " by", " smtp", " mail", " -"} {
		if len(l) > len(w) && foldEqual(l[len(l)-len(w):], w) {
			return true
		}
	}
	return false
}

// speaksOfMail reports whether a letter is worth a look for the errors of mail
// programs.
func (b *Block) speaksOfMail() bool {
	t := b.Text()
	t = t[:min(len(t), 256<<10)]
	if foldIndex(t, "smtp") >= 0 || bytes.Contains(t, []byte("postfix/")) || bytes.Contains(t, []byte("ausgangsserver")) {
		return true
	}
	return bytes.Contains(t, []byte(" H=")) && bytes.Contains(t, []byte(" R=")) || bytes.Contains(t, []byte(", relay=")) || bytes.Contains(t, []byte("relay=\""))
}
