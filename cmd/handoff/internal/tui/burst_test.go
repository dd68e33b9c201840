package tui

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// readings are what a terminal hands out in one read each, and when.
type reading struct {
	after time.Duration // since the read before
	bytes string
}

// bursts reads through a burstReader with a clock of its own.
func bursts(t *testing.T, all ...reading) string {
	t.Helper()
	now := testNow
	i := 0
	b := &burstReader{now: func() time.Time { return now }}
	b.src = readerFunc(func(p []byte) (int, error) {
		if i == len(all) {
			return 0, io.EOF
		}
		now = now.Add(all[i].after)
		i++
		return copy(p, all[i-1].bytes), nil
	})
	var out []byte
	for p := make([]byte, 4096); ; {
		n, err := b.Read(p)
		out = append(out, p[:n]...)
		if err == io.EOF {
			return string(out)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A read that no hand typed gets the brackets that are missing; what a hand
// does, and what a terminal says, stays as it is.
func TestBurstsAreBracketed(t *testing.T) {
	const ms = time.Millisecond
	in := func(s string) string { return pasteStart + s + pasteEnd }
	rest := func(s string) string { return pasteStart + goesOn + s + pasteEnd }
	long := strings.Repeat("250 2.1.0 Ok\r", 30)
	for _, c := range []struct {
		name string
		in   []reading
		want string
	}{
		{"keys one by one", []reading{{0, "q"}, {5 * ms, "\r"}, {5 * ms, "2"}}, "q\r2"},
		{"a few keys ahead of a slow line", []reading{{0, "2jjj\r/x"}}, "2jjj\r/x"},
		{"a key held down", []reading{{0, strings.Repeat("j", 80)}}, strings.Repeat("j", 80)},
		{"two keys held down in turn", []reading{{0, strings.Repeat("jk", 40)}}, strings.Repeat("jk", 40)},
		{"arrows", []reading{{0, strings.Repeat("\x1b[A\x1bOB", 40)}}, strings.Repeat("\x1b[A\x1bOB", 40)},
		{"the mouse", []reading{{0, strings.Repeat("\x1b[<35;61;14M", 40)}}, strings.Repeat("\x1b[<35;61;14M", 40)},
		{"the terminal's answers", []reading{{0, "\x1b]11;rgb:1e1e/2a2b/3c3d\x1b\\\x1bP>|XTerm(370)\x1b\\\x1b[?2026;2$y"}}, "\x1b]11;rgb:1e1e/2a2b/3c3d\x1b\\\x1bP>|XTerm(370)\x1b\\\x1b[?2026;2$y"},
		{"an answer in two reads", []reading{{0, "\x1bP>|XTe"}, {ms, "rm(370) of 2026\x1b\\"}}, "\x1bP>|XTerm(370) of 2026\x1b\\"},
		{"a line", []reading{{0, "554 5.7.1 Relay access denied\r"}}, in("554 5.7.1 Relay access denied\r")},
		{"a line in a language of its own", []reading{{0, "Übermittlung fehlgeschlagen\r"}}, in("Übermittlung fehlgeschlagen\r")},
		{"escapes in it", []reading{{0, "554 \x1b[31m5.7.1 Relay\x1b[201~ access\x1bq denied"}}, in("554 5.7.1 Relay access denied")},
		{"a string that never ends", []reading{{0, "\x1b]0;" + long}}, in("0;" + long)},
		{"escape, and later a paste that goes on like a sequence", []reading{{0, "\x1b"}, {time.Second, "Postfix said: 554 5.7.1"}}, "\x1b" + in("Postfix said: 554 5.7.1")},
		{"a long one in parts", []reading{{0, long}, {80 * ms, "q\r"}}, in(long) + rest("q\r")},
		{"CRLF cut between two reads", []reading{{0, long}, {ms, "\n354 go ahead"}}, in(long) + rest("354 go ahead")},
		{"a character cut between two reads", []reading{{0, long + "\xc3"}, {ms, "\xbcber"}}, in(long) + rest("über")},
		{"a key after a short paste", []reading{{0, "outbound-us1.ppe-hosted.com"}, {80 * ms, "\t"}}, in("outbound-us1.ppe-hosted.com") + "\t"},
		{"ctrl+r behind a long paste", []reading{{0, long}, {ms, "\x12"}}, in(long) + "\x12"},
		{"a key some time after a long paste", []reading{{0, long}, {time.Second, "a"}}, in(long) + "a"},
		{"the terminal's own brackets", []reading{{0, in(long)}, {ms, "q"}}, in(long) + "q"},
		{"they are open over several reads", []reading{{0, pasteStart + long}, {ms, long + pasteEnd[:3]}, {ms, pasteEnd[3:] + "q"}}, in(long+long) + "q"},
		{"the opening one is cut", []reading{{0, pasteStart[:4]}, {ms, pasteStart[4:] + long}, {ms, pasteEnd}}, in(long)},
		{"what stands behind a bracket in the paste", []reading{{0, in("one") + "quit the program, 1 2 3\r"}}, in("one") + in("quit the program, 1 2 3\r")},
	} {
		if got := bursts(t, c.in...); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// A read never hands out more than fits, and loses nothing, whatever the size.
func TestBurstReaderFits(t *testing.T) {
	text := strings.Repeat("554 5.7.1 Relay access denied\r", 40)
	for _, size := range []int{1, 7, 60, 512, 4096} {
		b := &burstReader{src: strings.NewReader(text), now: func() time.Time { return testNow }}
		var out []byte
		for p := make([]byte, size); ; {
			n, err := b.Read(p)
			out = append(out, p[:n]...)
			if err != nil {
				break
			}
		}
		for _, mark := range []string{pasteStart, goesOn, pasteEnd} {
			out = bytes.ReplaceAll(out, []byte(mark), nil)
		}
		if string(out) != text {
			t.Errorf("reads of %d bytes: %q", size, out)
		}
	}
	if err := iotest.TestReader(&burstReader{src: strings.NewReader("q"), now: func() time.Time { return testNow }}, []byte("q")); err != nil {
		t.Error(err)
	}
}

// FuzzBurstReader: keys that are not a dozen letters pass as they are, a burst
// is in brackets to its end, and no input grows without bound.
func FuzzBurstReader(f *testing.F) {
	f.Add([]byte("554 5.7.1 Relay access denied\r"), 7)
	f.Add([]byte("\x1b[200~one\x1b[201~q\r1"), 3)
	f.Add([]byte("\x1b]11;rgb:0/0/0\x07\xc3"), 1)
	f.Add([]byte("00000000000127000000\xdc\xdc\xdc\xdc\xdc\xdc\xdc000012"), 11)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		size = max(size%512, 1)
		var all []reading
		for rest := in; len(rest) > 0; {
			n := min(size, len(rest))
			all = append(all, reading{0, string(rest[:n])})
			rest = rest[n:]
		}
		got := bursts(t, all...)
		if len(got) > len(in)+len(all)*brackets {
			t.Errorf("%d bytes became %d", len(in), len(got))
		}
		// What a read left of a character stands before the next one.
		if size+utf8.UTFMax <= burstLetters && len(in) < largeBurst && got != string(in) {
			t.Errorf("keys are changed: %q to %q", in, got)
		}
	})
}

// A paste where no text field is acts on nothing, on no screen: it is offered
// to Analyze, and one key takes it there.
func TestPasteIsOffered(t *testing.T) {
	text := strings.Repeat(pasteText, 2) + "q\r1\r2\ra?"
	for _, visit := range visits {
		m, f := at(t, 100, 30)
		press(m, visit...)
		if m.current().text() || m.at == atAnalyze {
			continue
		}
		m.toast = ""
		before, probed, analyzed := seen(m), len(f.probed), len(f.analyzed)
		_, cmd := m.Update(tea.PasteMsg{Content: text})
		settle(m, cmd)
		_, cmd = m.Update(tea.PasteMsg{Content: goesOn + "q"})
		settle(m, cmd)
		s := seen(m)
		if !strings.Contains(s, "that looks like pasted text (10 lines): press a to analyze it") || !strings.Contains(s, "a analyze the paste") {
			t.Fatalf("%v: nothing is offered:\n%s", visit, s)
		}
		if len(f.probed) != probed || len(f.analyzed) != analyzed {
			t.Fatalf("%v: the paste acted", visit)
		}
		said, offered := m.toast, m.offered
		m.toast, m.offered = "", ""
		if s := seen(m); s != before {
			t.Errorf("%v: the paste changed the screen:\n%s\n-- before\n%s", visit, s, before)
		}
		m.toast, m.offered = said, offered
		press(m, "a")
		if want := strings.ReplaceAll(text+"q", "\r", "\n"); len(f.analyzed) != analyzed+1 || f.analyzed[analyzed] != want || m.at != atAnalyze {
			t.Errorf("%v: a analyzed %q on screen %d", visit, f.analyzed[analyzed:], m.at)
		}
	}
}

// An offer ends with the next key, and a is no key without one.
func TestOfferEnds(t *testing.T) {
	m, f := at(t, 80, 24)
	m.Update(tea.PasteMsg{Content: pasteText})
	press(m, "tab", "a")
	if len(f.analyzed) != 0 || m.at != atProbe || strings.Contains(seen(m), "analyze the paste") {
		t.Errorf("the offer stands after a key:\n%s", seen(m))
	}
	m.Update(tea.PasteMsg{Content: " \r \r"})
	if m.offered != "" {
		t.Error("blanks are offered")
	}
	_, cmd := m.Update(tea.PasteMsg{Content: strings.Repeat("x", maxPaste+1)})
	settle(m, cmd)
	if s := seen(m); m.offered != "" || !strings.Contains(s, "too much for a paste") {
		t.Errorf("a paste without end is kept:\n%s", s)
	}
}

// What was pasted on the Analyze screen before comes back with ctrl+z.
func TestOfferKeepsThePasteBefore(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "alt+2", "x", "alt+1")
	m.Update(tea.PasteMsg{Content: pasteText})
	press(m, "a", "esc", "ctrl+z", "ctrl+r")
	if len(f.analyzed) != 2 || f.analyzed[1] != "x" {
		t.Errorf("analyzed %q", f.analyzed)
	}
}

// A text field takes one line of a paste, whatever parts it comes in; the whole
// is offered, but never what went into a password.
func TestFieldTakesOneLine(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "right", "tab")
	m.Update(tea.PasteMsg{Content: "mx.example.org\r"})
	if s := seen(m); !strings.Contains(s, "[mx.example.org ") || m.offered != "" {
		t.Errorf("one line:\n%s", s)
	}
	press(m, "ctrl+u")
	for _, part := range []string{"mx.example.net\r554 5.7.1", goesOn + " Relay access denied\r", goesOn + "q"} {
		_, cmd := m.Update(tea.PasteMsg{Content: part})
		settle(m, cmd)
	}
	if s := seen(m); !strings.Contains(s, "[mx.example.net ") || !strings.Contains(s, "press alt+a to analyze it") || len(f.probed) != 0 {
		t.Errorf("several lines:\n%s", s)
	}
	press(m, "alt+a")
	if len(f.analyzed) != 1 || f.analyzed[0] != "mx.example.net\n554 5.7.1 Relay access denied\nq" {
		t.Errorf("analyzed %q", f.analyzed)
	}
	press(m, "1", "tab", "tab", "tab", "tab") // password
	m.Update(tea.PasteMsg{Content: plantedPassword + "\rmore"})
	m.Update(tea.PasteMsg{Content: goesOn + "and more"})
	if m.offered != "" || m.screens[atProbe].(*probeScreen).fields[fieldPassword].String() != plantedPassword {
		t.Errorf("offered %q", m.offered)
	}
	noSecret(t, m, "a password pasted")
}
