package report

import "github.com/fatih/color"

// palette is the sixteen ANSI names on the terminal's own colours; the
// background is never asked for. Healthy is cyan, never green against red, and
// each colour only repeats what a word beside it says.
type palette struct {
	ok, expected, warning, bad, deferred, skipped *color.Color
	mark, second, strong, dim                     *color.Color
}

// newPalette makes colours that are on or off for one writer. The package's
// own global switch looks at stdout only and is left alone.
func newPalette(on bool) palette {
	p := palette{
		ok:       color.New(color.FgCyan),
		expected: color.New(color.FgMagenta),
		warning:  color.New(color.FgYellow, color.Bold),
		bad:      color.New(color.FgRed, color.Bold, color.ReverseVideo),
		deferred: color.New(color.FgYellow),
		skipped:  color.New(color.Faint),
		mark:     color.New(color.ReverseVideo),
		second:   color.New(color.Underline),
		strong:   color.New(color.Bold),
		dim:      color.New(color.Faint),
	}
	for _, c := range []*color.Color{p.ok, p.expected, p.warning, p.bad, p.deferred, p.skipped, p.mark, p.second, p.strong, p.dim} {
		if on {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
	}
	return p
}

// status colours a step's or a report's word.
func (p palette) status(word string, expected bool) *color.Color {
	switch {
	case expected:
		return p.expected
	case word == "ok", word == "ready", word == "not-a-failure":
		return p.ok
	case word == "deferred", word == "inconclusive", word == "insufficient-evidence", word == "mixed":
		return p.deferred
	case word == "skipped", word == "not tried":
		return p.skipped
	}
	return p.bad
}

// severity colours a finding's word.
func (p palette) severity(word string, expected bool) *color.Color {
	switch {
	case expected:
		return p.expected
	case word == "error":
		return p.bad
	case word == "warning":
		return p.warning
	}
	return p.ok
}
