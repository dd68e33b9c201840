package report

import (
	"fmt"
	"strings"
	"unicode"
)

// show is the one door for text that somebody else wrote: every control byte,
// bidirectional mark and invisible character comes out visible.
func show(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r >= 0x80 && !unicode.IsGraphic(r), unicode.In(r, unicode.Cf):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
