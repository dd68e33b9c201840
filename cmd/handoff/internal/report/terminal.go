package report

import (
	"os"

	"github.com/mattn/go-isatty"
)

// IsTerminal reports whether a stream is a terminal. Anything that is not a
// file is none.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && f != nil && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// ColorFor decides for one stream: the flag, then NO_COLOR set and not empty,
// then TERM=dumb, then whether that stream is a terminal.
func ColorFor(stream any, mode string, getenv func(string) string) bool {
	switch {
	case mode == "always":
		return true
	case mode == "never", getenv("NO_COLOR") != "", getenv("TERM") == "dumb":
		return false
	}
	return IsTerminal(stream)
}
