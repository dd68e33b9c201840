package ndr

import (
	"bytes"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// maxJoins bounds the work of joinHosts: a sentence that ends in a letter and a
// dot looks like a wrapped name at first.
const maxJoins = 400

// joinHosts joins a host name that a mail program wrapped at a hyphen or a dot.
// It does so only when the result ends in a relay domain or stands in the text
// in one piece, too: a name is never completed by guess.
// It reports whether it joined any.
func (d *Document) joinHosts(relays []string) bool {
	text := d.Text
	var r *rewriter
	at, tries := 0, 0
	for k := 1; k < len(d.starts); k++ {
		i := int(d.starts[k])
		cut := i - 1 // behind the last byte of the line that is no blank
		for cut > 0 && (text[cut-1] == ' ' || text[cut-1] == '\t') {
			cut--
		}
		if cut < 2 || text[cut-1] != '-' && text[cut-1] != '.' || !isWordByte(text[cut-2]) {
			continue
		}
		next := i
		for next < len(text) && (text[next] == ' ' || text[next] == '\t') {
			next++
		}
		if next >= len(text) || !isWordByte(text[next]) {
			continue
		}
		head := cut
		for head > 0 && cut-head < 255 && isHostByte(text[head-1]) {
			head--
		}
		tail := next
		for tail < len(text) && tail-next < 255 && isHostByte(text[tail]) {
			tail++
		}
		if isReplyText(text[next:]) {
			continue // "Connected to H." and the greeting below it
		}
		if text[cut-1] == '.' && underRelay(text[next:tail], relays) {
			continue // a sentence ends here, and a name of the relay begins the next one
		}
		name := make([]byte, 0, 128)
		name = append(name, text[head:cut]...)
		name = append(name, bytes.TrimRight(text[next:tail], ".-")...)
		if bytes.Count(name, dot) < 2 {
			continue
		}
		if !transcript.HostIsUnderAny(string(name), relays) {
			if tries++; tries > maxJoins || text[cut-1] == '.' && bytes.IndexByte(text[next:tail], '.') < 0 && !bytes.Contains(name[:cut-head-1], dot) {
				continue
			}
			// Elsewhere in one piece: before or after, within a bounded stretch.
			if !bytes.Contains(text[max(0, head-16<<10):head], name) && !bytes.Contains(text[tail:min(len(text), tail+16<<10)], name) {
				continue
			}
		}
		if r == nil {
			r = d.rewriter(text, len(text)+16)
		}
		r.copy(at, cut)
		at = next
		d.noteOnce("split-host", "A host name was wrapped over a line end; it was put together again.")
	}
	if r == nil {
		return false
	}
	r.copy(at, len(text))
	d.move(r)
	d.apply(r)
	return true
}

// underRelay reports whether the name is that of a host of a relay, not only its
// domain.
func underRelay(name []byte, relays []string) bool {
	name = bytes.TrimRight(name, ".-")
	n := bytes.IndexByte(name, '.')
	return n > 0 && transcript.HostIsUnderAny(string(name), relays) && transcript.HostIsUnderAny(string(name[n+1:]), relays)
}

var dot = []byte{'.'}

// isHostByte reports whether c may stand in a host name.
func isHostByte(c byte) bool { return isWordByte(c) || c == '-' || c == '.' || c == '_' }
