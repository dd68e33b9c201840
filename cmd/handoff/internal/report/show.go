package report

import "github.com/smtp-handoff/handoff/analyze/transcript"

// Show is show for the messages of the commands.
func Show(s string) string { return show(s) }

// show is the one door for text that somebody else wrote: every control byte,
// bidirectional mark and invisible character comes out visible, line ends too.
func show(s string) string { return transcript.Escape(s) }
