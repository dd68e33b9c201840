package tui

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// copyText puts text on the clipboard: by OSC 52 through the terminal, inside
// tmux by its own buffer (a default tmux drops OSC 52 without a word), else
// into a file. The toast says which way it went, and how much it was.
func (m *model) copyText(what, text string) tea.Cmd {
	if text == "" {
		return toast("nothing to copy here")
	}
	n := len([]rune(text))
	if m.env("TMUX") != "" {
		return func() tea.Msg {
			if err := tmuxCopy(m.ctx, text); err == nil {
				return toastMsg(fmt.Sprintf("copied %s (%d characters) to the tmux buffer and the clipboard", what, n))
			}
			return m.copyFile(what, text, n)
		}
	}
	if t := m.env("TERM"); t == "dumb" || t == "linux" { // consoles without a clipboard
		return func() tea.Msg { return m.copyFile(what, text, n) }
	}
	return tea.Batch(tea.SetClipboard(text),
		toast("copied %s (%d characters) to the clipboard by OSC 52; e writes a file instead", what, n))
}

func (m *model) copyFile(what, text string, n int) tea.Msg {
	path, err := m.o.Backend.SaveCopy(text)
	if err != nil {
		return toastMsg(fmt.Sprintf("no clipboard here, and no file either: %v", err))
	}
	return writtenMsg{path, fmt.Sprintf("no clipboard here: %s (%d characters) is in %s", what, n, path)}
}

// exportRun writes the report of a run to files.
func (m *model) exportRun(run Run) tea.Cmd {
	return func() tea.Msg {
		path, err := m.o.Backend.Export(run)
		if err != nil {
			return toastMsg(fmt.Sprintf("no report was written: %v", err))
		}
		return writtenMsg{path, "the report is in " + path}
	}
}

// writtenMsg says that a file was written, and what to tell of it.
type writtenMsg struct{ path, toast string }

func (m *model) env(name string) string {
	if m.o.Environment == nil {
		return os.Getenv(name)
	}
	for _, kv := range m.o.Environment {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v
		}
	}
	return ""
}

// tmuxCopy loads the text into tmux's paste buffer; -w also hands it to the
// outer terminal's clipboard.
func tmuxCopy(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tmux", "load-buffer", "-w", "-")
	cmd.Stdin = strings.NewReader(text)
	return cmd.Run()
}
