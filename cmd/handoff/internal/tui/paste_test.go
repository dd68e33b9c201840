package tui

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

const (
	plantedUser     = "copier@customer.example"
	plantedPassword = "Zw3rg-Kuchen!41"
)

// base64Of writes SMTP's encoding of a secret.
func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// planted are dialogues that show a password only beside their neighbours.
var planted = []struct{ name, text string }{
	{"AUTH LOGIN", "EHLO copier.customer.example\n250-mx1-us1.ppe-hosted.com\n250 AUTH PLAIN LOGIN\nAUTH LOGIN\n334 VXNlcm5hbWU6\n" +
		base64Of(plantedUser) + "\n334 UGFzc3dvcmQ6\n" + base64Of(plantedPassword) + "\n535 5.7.8 Error: authentication failed: authentication failure\n"},
	{"AUTH LOGIN with marks", "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + base64Of(plantedUser) + "\nS: 334 UGFzc3dvcmQ6\nC: " + base64Of(plantedPassword) + "\nS: 535 5.7.8 Error: authentication failed\n"},
	{"AUTH PLAIN on a continuation line", "C: AUTH PLAIN\nS: 334 \nC: " + base64Of("\x00"+plantedUser+"\x00"+plantedPassword) + "\nS: 535 5.7.8 Error: authentication failed\n"},
	{"swaks", " ~> AUTH PLAIN " + base64Of("\x00"+plantedUser+"\x00"+plantedPassword) + "\n<~* 535 5.7.8 Error: authentication failed\n"},
}

// noSecret fails where a screen shows the planted password or most of it.
func noSecret(t *testing.T, m *model, where string) {
	t.Helper()
	got := squeezed(m.View().Content)
	message := base64Of("\x00" + plantedUser + "\x00" + plantedPassword)
	for _, bad := range []string{plantedPassword, plantedPassword[:8], base64Of(plantedPassword), base64Of(plantedPassword)[:8], message, message[len(message)-12:]} {
		if strings.Contains(got, squeezed(bad)) {
			t.Fatalf("%s: the planted password is on the screen (%q):\n%s", where, bad, seen(m))
		}
	}
}

// squeezed drops what a line that is cut or wrapped may put between the halves.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// No frame of the paste, of its result or of the history shows a password, at
// any size and however the text came.
func TestNoFrameShowsAPassword(t *testing.T) {
	for _, c := range planted {
		for _, size := range [][2]int{{80, 24}, {40, 12}, {120, 40}} {
			t.Run(fmt.Sprintf("%s %dx%d", c.name, size[0], size[1]), func(t *testing.T) {
				m, f := at(t, size[0], size[1])
				f.judge = analyzeAsTheProgramDoes
				frames := func(where string, keys ...string) {
					for _, k := range keys {
						press(m, k)
						noSecret(t, m, where+" "+k)
					}
				}
				press(m, "alt+2")
				typed := c.text
				if size[0] != 80 {
					typed = "" // the same keys again would tell no more
				}
				for _, r := range typed { // keys, as a terminal without bracketed paste sends it
					if r == '\n' {
						press(m, "enter")
					} else {
						press(m, string(r))
					}
					noSecret(t, m, "typed")
				}
				frames("typed", "up", "up", "pgup", "pgdown", "ctrl+l", "ctrl+z")
				press(m, "ctrl+l")
				m.Update(tea.PasteMsg{Content: strings.ReplaceAll(c.text, "\n", "\r")})
				noSecret(t, m, "pasted")
				for range len(typed) {
					press(m, "backspace")
					noSecret(t, m, "taken away")
				}
				press(m, "ctrl+l")
				m.Update(tea.PasteMsg{Content: c.text})
				frames("result", "ctrl+r", "down", "down", "pgdown", "t", "G", "g", "esc", "d", "esc")
				frames("history", "4", "enter", "down", "t", "esc")
			})
		}
	}
}

// analyzeAsTheProgramDoes judges a text with the real reader.
func analyzeAsTheProgramDoes(text []byte, source string) Run {
	clean, _ := transcript.Redact(text, transcript.Standard)
	return Run{Report: analyze.Analyze(text, analyze.Options{Source: source}), Text: string(clean), When: testNow}
}

// A long text is not looked at with each key: what is new waits unseen.
func TestKeysInALongPasteWaitUnseen(t *testing.T) {
	m, _ := at(t, 80, 24)
	var waits []tea.Msg
	m.after = func(_ time.Duration, msg tea.Msg) tea.Cmd {
		waits = append(waits, msg)
		return nil
	}
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: strings.Repeat("250 2.1.0 Ok\n", 2*atOnce/13) + "S: 334 UGFzc3dvcmQ6\nC: "})
	noSecret(t, m, "pasted")
	for _, r := range base64Of(plantedPassword) + "~S: 535 5.7.8 no" {
		if r == '~' {
			press(m, "enter")
		} else {
			press(m, string(r))
		}
		noSecret(t, m, "typed")
	}
	if len(waits) != 1 {
		t.Fatalf("%d waits were asked for, want one", len(waits))
	}
	if !strings.Contains(seen(m), "characters more") {
		t.Errorf("nothing says that more was typed:\n%s", seen(m))
	}
	m.Update(waits[0])
	noSecret(t, m, "caught up")
	if s := seen(m); !strings.Contains(s, "535 5.7.8 no") || strings.Contains(s, "characters more") {
		t.Errorf("the wait is over and the end is not on screen:\n%s", s)
	}
	press(m, "x")
	if len(waits) != 2 {
		t.Error("the next key asked for no look")
	}
}

// CR, LF and CRLF end a line once, bracketed or as keys.
func TestLineEndsOfAPaste(t *testing.T) {
	for _, end := range []string{"\r", "\n", "\r\n"} {
		for _, bracketed := range []bool{true, false} {
			m, f := at(t, 80, 24)
			press(m, "alt+2")
			text := "one" + end + end + "two" + end
			if bracketed {
				m.Update(tea.PasteMsg{Content: text})
			} else {
				for _, r := range text {
					switch r {
					case '\r':
						press(m, "enter")
					case '\n':
						press(m, "ctrl+j")
					default:
						press(m, string(r))
					}
				}
			}
			if s := m.screens[atAnalyze].state(); !strings.HasPrefix(s, "3 lines") {
				t.Errorf("%q, bracketed %v: %s, want 3 lines", end, bracketed, s)
			}
			press(m, "ctrl+r")
			if len(f.analyzed) != 1 || f.analyzed[0] != "one\n\ntwo\n" {
				t.Errorf("%q, bracketed %v: analyzed %q", end, bracketed, f.analyzed)
			}
		}
	}
}

// A cleared paste that came back takes further keys.
func TestTypingAfterUndo(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: "one"})
	press(m, "ctrl+l", "x", "ctrl+z", "y", "ctrl+r")
	if len(f.analyzed) != 1 || f.analyzed[0] != "oney" {
		t.Errorf("analyzed %q", f.analyzed)
	}
}

func BenchmarkPaste5MB(b *testing.B) {
	text := strings.Repeat(pasteText, 5<<20/len(pasteText))
	m := newModel(b.Context(), Options{Backend: &fake{report: sample()}})
	m.at = atAnalyze
	s := m.current().(*analyzeScreen)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.buf = &pasteBuffer{}
		m.Update(tea.PasteMsg{Content: text})
		m.View()
	}
}

func BenchmarkKeyIn5MB(b *testing.B) {
	m := newModel(b.Context(), Options{Backend: &fake{report: sample()}})
	m.at = atAnalyze
	m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
	m.Update(tea.PasteMsg{Content: strings.Repeat(pasteText, 5<<20/len(pasteText))})
	for b.Loop() {
		m.Update(keyMsg("x"))
		m.View()
	}
}

// A paste without brackets is a key for each character.
func BenchmarkKeysOfAPaste(b *testing.B) {
	keys := make([]tea.KeyPressMsg, 0, len(pasteText))
	for _, r := range pasteText {
		if r == '\r' {
			keys = append(keys, keyMsg("enter"))
		} else {
			keys = append(keys, keyMsg(string(r)))
		}
	}
	m := newModel(b.Context(), Options{Backend: &fake{report: sample()}})
	m.at = atAnalyze
	m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
	for i := 0; b.Loop(); i++ {
		m.Update(keys[i%len(keys)])
		m.View()
	}
}
