package tui

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Bytes that are no UTF-8 are counted, however a character is cut by reads.
func TestLostBytesAreCounted(t *testing.T) {
	const text = "caf\xe9 \u00fc\u6f22\U0001f4e7 \x80\xff end"
	for size := 1; size <= len(text); size++ {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		in := newWatchedInput(r, func() time.Time { return testNow })
		var got []byte
		for buf := make([]byte, size); ; {
			n, err := in.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		if string(got) != text {
			t.Fatalf("reads of %d bytes: %q came through", size, got)
		}
		if n := in.lost.Load(); n != 3 {
			t.Errorf("reads of %d bytes: %d lost, want 3", size, n)
		}
	}
}

// The paste screen tells what was lost in this paste, and how to do better.
func TestLostBytesAreTold(t *testing.T) {
	m, _ := at(t, 80, 24)
	lost := int64(5) // before, on another screen
	m.lost = func() int64 { return lost }
	press(m, "alt+2")
	m.Update(tea.PasteMsg{Content: "caf\r"})
	if s := seen(m); strings.Contains(s, "were lost") {
		t.Errorf("nothing was lost here, and yet:\n%s", s)
	}
	lost += 2
	m.Update(tea.PasteMsg{Content: "caf\ufffd\r"})
	if s := seen(m); !strings.Contains(s, "3 bytes that were not UTF-8 were lost") || !strings.Contains(s, "ctrl+o") {
		t.Errorf("nothing tells of the loss:\n%s", s)
	}
}
