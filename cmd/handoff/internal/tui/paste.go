package tui

import (
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// pasteBuffer is what was pasted or typed, kept raw. It is drawn by slicing
// lines, since a text area cuts at 10,000 lines and slows down.
//
// What is drawn are the lines of the text after its secrets were replaced. That
// is done with the whole text at a time, never with a line: a password on the
// line after "334 UGFzc3dvcmQ6" or on the continuation of an AUTH line shows
// what it is only beside its neighbours.
type pasteBuffer struct {
	text   []byte
	breaks int // line ends in text
	lost   int // bytes that were no UTF-8, which the terminal dropped or replaced

	shown   *textLines // of the first known bytes of text, secrets replaced
	known   int        // bytes of text that shown was made from
	hidden  int        // secrets replaced in shown
	stale   bool       // text is no longer what shown was made from
	pending bool       // a catchUpMsg is under way
}

// maxPaste is where a paste is better given as a file: terminals drop bytes,
// and some stall.
const maxPaste = 8 << 20

// atOnce is the text whose secrets are looked for with each key: some 2 ms at
// the worst. In a longer one, new keys are drawn when the look at the whole
// has caught up: a paste without brackets comes as a key for each character.
const atOnce = 16 << 10

// catchUp is how long keys gather before the whole of a long text is looked at
// again.
const catchUp = 150 * time.Millisecond

// catchUpMsg asks for that look.
type catchUpMsg struct{ buf *pasteBuffer }

// add appends text in whatever line ends it has; false: it would be too much,
// and nothing was added.
func (b *pasteBuffer) add(s string) (fits bool) {
	if len(b.text)+len(s) > maxPaste {
		return false
	}
	for i := 0; i < len(s); i++ { // terminals send CR for a line end; CRLF and LF occur, too
		c := s[i]
		if c == '\r' {
			c = '\n'
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
		}
		if c == '\n' {
			b.breaks++
		}
		b.text = append(b.text, c)
	}
	b.lost += strings.Count(s, string(utf8.RuneError))
	b.stale = true
	return true
}

func (b *pasteBuffer) backspace() {
	if len(b.text) == 0 {
		return
	}
	_, n := utf8.DecodeLastRune(b.text)
	if b.text[len(b.text)-1] == '\n' {
		b.breaks--
	}
	b.text = b.text[:len(b.text)-n]
	b.stale = true
}

// lines counts the lines of the text.
func (b *pasteBuffer) lines() int {
	if n := len(b.text); n > 0 && b.text[n-1] != '\n' {
		return b.breaks + 1
	}
	return b.breaks
}

// look replaces the secrets of the whole text and cuts it into lines.
func (b *pasteBuffer) look() {
	clean, masked := transcript.Redact(b.text, transcript.Standard)
	b.shown, b.hidden = newTextLines(string(clean)), len(masked)
	b.known, b.stale = len(b.text), false
}

// view returns the lines to draw, and how many bytes at the end of the text are
// not in them yet.
func (b *pasteBuffer) view() (lines *textLines, behind int) {
	if b.shown == nil || b.stale && len(b.text) <= atOnce {
		b.look()
	}
	return b.shown, max(len(b.text)-b.known, 0)
}

// settle sees to it that a text too long for a look with each key gets one
// soon. After a whole paste it gets it at once.
func (b *pasteBuffer) settle(m *model, whole bool) tea.Cmd {
	switch {
	case !b.stale || len(b.text) <= atOnce:
		return nil
	case whole || b.shown == nil:
		b.look()
		return nil
	case b.pending:
		return nil
	}
	b.pending = true
	return m.after(catchUp, catchUpMsg{b})
}

// caughtUp is the end of the wait that settle asked for.
func (b *pasteBuffer) caughtUp() {
	b.pending = false
	if b.stale {
		b.look()
	}
}
