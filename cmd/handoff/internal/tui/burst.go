package tui

import (
	"bytes"
	"io"
	"time"
	"unicode/utf8"
)

// burstReader tells a paste from keys where the terminal does not. A terminal
// without bracketed paste sends what was copied as if it were typed, and each
// letter of it would be a command. No hand types a dozen characters into one
// read: such a read gets the brackets that the terminal left out, and so is a
// paste for everything behind it.
//
// What a person can do is left alone: keys as they come, a key that is held
// down on a slow line, arrows, the mouse, the terminal's own answers and its own
// brackets.
type burstReader struct {
	src io.Reader
	now func() time.Time

	out    []byte    // made, and not yet taken
	err    error     // of src, behind out
	held   []byte    // the beginning of a character or of a closing bracket
	inside bool      // the terminal's own brackets are open
	cut    []byte    // the sequence in which the read before ended
	cutAt  time.Time // when that was
	large  time.Time // when the last large burst came; zero: none did
	cr     bool      // which ended in a CR
}

const (
	pasteStart = "\x1b[200~"
	pasteEnd   = "\x1b[201~"

	// goesOn begins a paste that is the rest of the one before. A paste of the
	// terminal's own that begins so is taken for a rest, which is no harm.
	goesOn = "\x00\x17\x00"

	// burstLetters in one read, with burstKinds different ones among them, are
	// no typing; what is typed ahead of a slow line is one key many times.
	burstLetters = 12
	burstKinds   = 4

	// largeBurst is a read that may be a part: lines and packets are cut there or
	// later. What comes within burstGap of it is the rest, however short.
	largeBurst = 256
	burstGap   = 250 * time.Millisecond

	// sequenceGap is how long the reader of keys waits for the end of a sequence,
	// and longestAnswer what a terminal says about itself in one.
	sequenceGap   = 50 * time.Millisecond
	longestAnswer = 64

	// brackets are the bytes that a read may grow by.
	brackets = len(pasteStart) + len(goesOn) + len(pasteEnd) + utf8.UTFMax + len(pasteEnd)
)

// Read reads from the source once at most: who waits for input with a poll
// would wait in vain for what was read ahead.
func (b *burstReader) Read(p []byte) (int, error) {
	if len(b.out) == 0 && b.err == nil {
		in := make([]byte, max(len(p)-brackets, 1))
		n, err := b.src.Read(in)
		b.err = err
		b.take(append(b.held, in[:n]...), err != nil)
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	if len(b.out) > 0 || b.err == nil {
		return n, nil
	}
	return n, b.err
}

// take puts brackets into what was read, where they are missing.
func (b *burstReader) take(in []byte, whole bool) {
	b.held = nil
	if !whole {
		n := unfinished(in)
		if b.inside {
			n = max(n, begun(in, pasteEnd))
		}
		b.held = bytes.Clone(in[len(in)-n:])
		in = in[:len(in)-n]
	}
	now := b.now()
	if len(b.cut) > 0 && now.Sub(b.cutAt) <= sequenceGap { // the rest of a sequence
		n, done := sequence(append(bytes.Clone(b.cut), in...))
		n = min(max(n-len(b.cut), 0), len(in))
		b.inside = b.inside || done && string(append(b.cut, in[:n]...)) == pasteStart
		b.out = append(b.out, in[:n]...)
		in = in[n:]
	}
	b.cut = nil
	for len(in) > 0 {
		if b.inside {
			i := bytes.Index(in, []byte(pasteEnd))
			if i < 0 {
				b.out = append(b.out, in...)
				return
			}
			i += len(pasteEnd)
			b.out, in, b.inside = append(b.out, in[:i]...), in[i:], false
			continue
		}
		i := bytes.Index(in, []byte(pasteStart))
		if i < 0 {
			i = len(in)
		}
		b.keys(in[:i], now)
		if in = in[i:]; len(in) > 0 {
			b.out, in, b.inside = append(b.out, pasteStart...), in[len(pasteStart):], true
		}
	}
}

// keys takes bytes that came without brackets.
func (b *burstReader) keys(in []byte, now time.Time) {
	if len(in) == 0 {
		return
	}
	var text []byte
	letters, kinds := 0, map[rune]bool{}
	cut := -1
	for i := 0; i < len(in); {
		if in[i] == 0x1b {
			n, done := sequence(in[i:])
			if n <= longestAnswer {
				if !done {
					cut = i
				}
				i += n
				continue
			}
			i += 2 // no answer of a terminal: its words are text
			continue
		}
		r, n := utf8.DecodeRune(in[i:])
		if r > ' ' && r != 0x7f {
			letters++
			if len(kinds) < burstKinds {
				kinds[r] = true
			}
		}
		text = append(text, in[i:i+n]...)
		i += n
	}
	// One control character alone is a key: ctrl+r behind a paste analyzes it.
	rest := !b.large.IsZero() && now.Sub(b.large) <= burstGap && len(text) > 0 && (len(text) > 1 || letters == 1 || text[0] == '\r' || text[0] == '\n')
	if !rest && (letters < burstLetters || len(kinds) < burstKinds) {
		b.out = append(b.out, in...)
		if cut >= 0 {
			b.cut, b.cutAt = bytes.Clone(in[cut:]), now
		}
		return
	}
	b.out = append(b.out, pasteStart...)
	if rest {
		if b.cr && text[0] == '\n' {
			text = text[1:]
		}
		b.out = append(b.out, goesOn...)
	}
	b.out = append(append(b.out, text...), pasteEnd...)
	b.cr = bytes.HasSuffix(text, []byte("\r"))
	b.large = time.Time{}
	if len(text) >= largeBurst {
		b.large = now
	}
}

// sequence is the length of the escape sequence that b begins with; done is
// false where its end is missing.
func sequence(b []byte) (n int, done bool) {
	if len(b) < 2 {
		return len(b), false
	}
	switch b[1] {
	case '[': // CSI: parameters, then one final byte
		for i := 2; i < len(b); i++ {
			switch {
			case b[i] >= 0x40 && b[i] <= 0x7e:
				return i + 1, true
			case b[i] < 0x20 || b[i] > 0x7e:
				return i, true
			}
		}
		return len(b), false
	case 'O': // SS3: one byte
		return min(3, len(b)), len(b) >= 3
	case 'P', ']', '_', '^', 'X': // a string, up to BEL or ST
		for i := 2; i < len(b); i++ {
			switch {
			case b[i] == 0x07:
				return i + 1, true
			case b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\':
				return i + 2, true
			}
		}
		return len(b), false
	case 0x1b:
		return 1, true
	}
	_, size := utf8.DecodeRune(b[1:])
	return 1 + size, true
}

// unfinished is how many bytes at the end of b begin a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if tail[0] >= utf8.RuneSelf && !utf8.FullRune(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}

// begun is how many bytes at the end of b begin the mark.
func begun(b []byte, mark string) int {
	for n := min(len(mark)-1, len(b)); n > 0; n-- {
		if string(b[len(b)-n:]) == mark[:n] {
			return n
		}
	}
	return 0
}
