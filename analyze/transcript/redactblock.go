package transcript

import (
	"encoding/base64"
	"strings"
)

// base64Block is a run of base64 lines that holds text: an attachment, or a
// body with that transfer encoding.
type base64Block struct {
	view
	start, end int
}

// base64Blocks finds the base64 bodies that decode to text.
func base64Blocks(text string) []base64Block {
	var out []base64Block
	for i := 0; i < len(text); {
		end := lineEnd(text, i)
		if end-i < 40 || !base64Line(text[i:end]) {
			i = nextLine(text, end)
			continue
		}
		// All lines but the last hold whole groups; in a redacted body they are
		// no longer equally long.
		lines := [][2]int{{i, end}}
		j := nextLine(text, end)
		for j < len(text) && len(lines) < maxView/64 {
			last := lines[len(lines)-1]
			e := lineEnd(text, j)
			if e == j || (last[1]-last[0])%4 != 0 || text[last[1]-1] == '=' || !base64Line(text[j:e]) {
				break
			}
			lines = append(lines, [2]int{j, e})
			j = nextLine(text, e)
		}
		if v, ok := decodeLines(text, lines); ok && (len(lines) > 2 || saidBase64(text[:i])) {
			out = append(out, base64Block{v, i, j})
		}
		i = j
	}
	return out
}

func base64Line(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if c := s[i]; !isBase64(c) || c == '=' || c == '-' || c == '_' {
			return false
		}
	}
	return s != ""
}

// saidBase64 reports whether the header right above says so.
func saidBase64(head string) bool {
	if len(head) > 2048 {
		head = head[len(head)-2048:]
	}
	// Not by strings.ToLower: it makes three bytes of an invalid one, and its
	// places are not those of head.
	for i := len(head) - 1; i >= 0; i-- {
		if hasFoldPrefix(head[i:], "content-transfer-encoding:") {
			return containsFold(head[i:lineEnd(head, i)], "base64")
		}
	}
	return false
}

// decodeLines decodes base64 lines and reports false when they hold no text.
func decodeLines(text string, lines [][2]int) (view, bool) {
	var v view
	var b strings.Builder
	for n, l := range lines {
		s := text[l[0]:l[1]]
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
		if err != nil || n < len(lines)-1 && len(s)%4 != 0 {
			return v, false
		}
		if n == 0 && !mostlyText(raw) {
			return v, false
		}
		b.Write(raw)
		for i := range raw {
			q := l[0] + i/3*4
			v.add(q, min(q+4, l[1]))
		}
	}
	v.text = b.String()
	return v, true
}

func mostlyText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			odd++
		}
	}
	return odd == 0 && len(b) > 0
}

// source are the hits of the decoded text in the encoded one: whole groups of
// four letters, which the token replaces in base64, so that what stands around
// it can still be decoded.
func (b *base64Block) source(hits []hit) []hit {
	var out []hit
	for i := 0; i < len(hits); i++ {
		h := hits[i]
		// Two hits in one group go together.
		for i+1 < len(hits) && b.from(hits[i+1].start) < b.to(h.end-1) {
			i++
			h.end = hits[i].end
		}
		// One piece per line of base64.
		for at := h.start; at < h.end; {
			first := at
			for at+1 < h.end && (b.from(at+1) == b.from(at) || b.from(at+1) == b.to(at)) {
				at++
			}
			// The bytes beside the hit in its first and last group stay.
			lo, hi := first, at+1
			for lo > 0 && b.from(lo-1) == b.from(first) {
				lo--
			}
			for hi < b.n && b.from(hi) == b.from(at) {
				hi++
			}
			m := h
			m.start, m.end = b.from(first), b.to(at)
			head, tail := b.text[lo:first], b.text[at+1:hi]
			m.fill = func(token string) string {
				s := head + token + tail
				for len(s)%3 != 0 {
					s += " "
				}
				return base64.StdEncoding.EncodeToString([]byte(s))
			}
			out = append(out, m)
			at++
		}
	}
	return out
}
