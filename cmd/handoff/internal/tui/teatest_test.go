package tui

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/teatest/v2"
)

// patience is how long a whole-screen run may take to show a state: far longer
// than it ever needs.
const patience = 60 * time.Second

// whole runs the program in memory on a terminal of w by h cells.
func whole(t *testing.T, w, h int) (*teatest.TestModel, *fake) {
	t.Helper()
	f := &fake{report: sample(), probes: sampleProbe(), relay: healthy()}
	m := newModel(t.Context(), Options{Backend: f, Version: "v0", Now: func() time.Time { return testNow }, Environment: []string{"TERM=xterm"}})
	tm := teatest.NewTestModel(t, m, teatest.WithInitialTermSize(w, h),
		teatest.WithProgramOptions(tea.WithEnvironment([]string{"TERM=xterm"})))
	m.send = tm.Send
	t.Cleanup(func() { _ = tm.Quit() })
	return tm, f
}

// shows waits until the screen holds the words, colours and blanks aside. The
// renderer writes only what changed, so the whole is asked for until it does.
func shows(t *testing.T, tm *teatest.TestModel, words string) {
	t.Helper()
	teatest.WaitFor(t, tm.Output(), func(out []byte) bool {
		if strings.Contains(squeezed(ansi.Strip(string(out))), squeezed(words)) {
			return true
		}
		tm.Send(tea.ClearScreen())
		return false
	}, teatest.WithDuration(patience), teatest.WithCheckInterval(20*time.Millisecond))
}

// The whole program: its loop, its input and its renderer, from the first
// screen over a probe and a paste to its end.
func TestWholeProgram(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 12}} {
		tm, f := whole(t, size[0], size[1])
		shows(t, tm, "bundled relay")
		tm.Send(keyMsg("ctrl+r"))
		shows(t, tm, "refused the login")
		tm.Send(keyMsg("2"))
		shows(t, tm, "PASTE")
		tm.Send(tea.PasteMsg{Content: pasteText})
		shows(t, tm, "pasted 3 lines")
		tm.Send(keyMsg("ctrl+r"))
		shows(t, tm, "outbound-us1.ppe-hosted.com refused")
		tm.Send(keyMsg("?"))
		shows(t, tm, "HELP")
		tm.Send(tea.WindowSizeMsg{Width: 100, Height: 30})
		tm.Send(keyMsg("esc"))
		shows(t, tm, "outbound-us1.ppe-hosted.com refused")
		tm.Send(keyMsg("q")) // to the paste
		tm.Send(keyMsg("ctrl+c"))
		end, ok := tm.FinalModel(t, teatest.WithFinalTimeout(patience)).(*model)
		if !ok || end.last == nil || end.last.Report.Verdict.Code != "refused" {
			t.Fatalf("%v: the last verdict is lost", size)
		}
		if len(f.probed) != 1 || !f.probed[0].Bundled || len(f.analyzed) != 1 {
			t.Errorf("%v: probed %d times, analyzed %d", size, len(f.probed), len(f.analyzed))
		}
		if rest, err := io.ReadAll(tm.FinalOutput(t)); err != nil || !bytes.Contains(rest, []byte("\x1b[?1049l")) {
			t.Errorf("%v: the normal screen does not come back (%v): %q", size, err, rest)
		}
	}
}

// Keys that come faster than frames are drawn lose nothing.
func TestWholeProgramTypedFast(t *testing.T) {
	tm, f := whole(t, 80, 24)
	tm.Send(keyMsg("alt+2"))
	shows(t, tm, "PASTE")
	text := bytes.Repeat([]byte("250 2.1.0 Ok "), 200)
	tm.Type(string(text))
	tm.Send(keyMsg("ctrl+r"))
	shows(t, tm, "VERDICT")
	tm.Send(keyMsg("ctrl+c"))
	tm.WaitFinished(t, teatest.WithFinalTimeout(patience))
	if len(f.analyzed) != 1 || f.analyzed[0] != string(text) {
		t.Errorf("analyzed %q", f.analyzed)
	}
}
