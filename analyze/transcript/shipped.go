package transcript

import (
	"strings"
	"unicode/utf8"
)

// collectorStrings are the strings of a text that is JSON and nothing else, as a
// collector of logs keeps what programs wrote (Docker's files, Elastic, Loki,
// CloudWatch, a cloud's export), without their quotes, as offsets.
func collectorStrings[T string | []byte](text T) [][2]int {
	var values [][2]int
	if t := strings.TrimLeft(string(text[:min(len(text), 256)]), " \t\r\n"); t == "" || t[0] != '{' && t[0] != '[' && t[0] != '"' {
		return nil
	}
	key := [2]int{-1, 0} // the last string, as long as it may be a key
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == ',' || c == '{' || c == '}' || c == '[' || c == ']':
			key[0] = -1
			i++
		case c == ':':
			if key[0] < 0 {
				return nil
			}
			key[0] = -1
			for i++; i < len(text) && (text[i] == ' ' || text[i] == '\t'); {
				i++
			}
			if i >= len(text) || text[i] != '"' {
				continue
			}
			end := stringEnd(text, i)
			if end < 0 {
				return nil
			}
			values = append(values, [2]int{i + 1, end - 1})
			i = end
		case c == '"':
			end := stringEnd(text, i)
			if end < 0 {
				return nil
			}
			key = [2]int{i + 1, end - 1}
			i = end
		case isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E':
			i++
		case c == 't' && string(text[i:min(i+4, len(text))]) == "true", c == 'n' && string(text[i:min(i+4, len(text))]) == "null":
			i += 4
		case c == 'f' && string(text[i:min(i+5, len(text))]) == "false":
			i += 5
		default:
			return nil
		}
	}
	return values
}

// stringEnd is the offset behind the string that begins at text[i]; -1 if it
// does not end in its line.
func stringEnd[T string | []byte](text T, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\n':
			return -1
		}
	}
	return -1
}

// Escaped reads the escape that s, the inside of a string, begins with (RFC 8259
// §7, and \'): what it stands for, and its length; 0 if s begins with none.
// CR and CRLF stand for LF. Control characters stay escaped.
func Escaped(s []byte) (stands []byte, n int) { return escaped(s) }

func escaped[T string | []byte](s T) (stands []byte, n int) {
	if len(s) < 2 || s[0] != '\\' {
		return nil, 0
	}
	switch s[1] {
	case 'n':
		return []byte{'\n'}, 2
	case 'r':
		if len(s) > 3 && s[2] == '\\' && s[3] == 'n' {
			return []byte{'\n'}, 4
		}
		return []byte{'\n'}, 2
	case 't':
		return []byte{'\t'}, 2
	case '"', '\\', '/', '\'':
		return []byte{s[1]}, 2
	case 'u':
		c := escapedUnit(s, 2)
		if c < 0 || c < ' ' && c != '\t' && c != '\n' {
			return nil, 0
		}
		if c >= 0xd800 && c < 0xdc00 && len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
			if low := escapedUnit(s, 8); low >= 0xdc00 && low < 0xe000 {
				return utf8.AppendRune(nil, 0x10000+(c-0xd800)<<10+(low-0xdc00)), 12
			}
		}
		return utf8.AppendRune(nil, c), 6
	}
	return nil, 0
}

// escapedUnit reads four hexadecimal digits at s[i:]; -1 if they are none.
func escapedUnit[T string | []byte](s T, i int) rune {
	if i+4 > len(s) {
		return -1
	}
	c := rune(0)
	for _, d := range []byte(s[i : i+4]) {
		switch {
		case isDigit(d):
			c = c<<4 | rune(d-'0')
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			c = c<<4 | rune(d|0x20-'a'+10)
		default:
			return -1
		}
	}
	return c
}

// shippedViews gives look the readings of a text that something shipped: the
// strings of a collector, a string with its escapes, lines with the head of a
// container or a journal. What is covered are strings of several lines: words run
// on from one to the next there, unless the escapes are undone.
func shippedViews(text string, look func(*view)) (covered [][2]int) {
	if strings.Contains(text, `\n`) || strings.Contains(text, `":`) {
		each(text, 0, len(text), func(from, to int) {
			part := text[from:to]
			values := collectorStrings(part)
			if len(values) == 0 && strings.Contains(part, `\n`) {
				values = [][2]int{{0, len(part)}}
			}
			if len(values) > 0 {
				look(stringsView(text, from, values))
			}
			if len(values) == 1 && values[0][1] == len(part) && strings.Count(part, "\n") > 1 {
				return // lines that show strings
			}
			for _, v := range values {
				if t := part[v[0]:v[1]]; strings.Contains(t, `\n`) && !strings.Contains(t, "-----BEGIN") { // a key is one secret
					covered = append(covered, [2]int{from + v[0], from + v[1]})
				}
			}
		})
	}
	if strings.Contains(text, "| ") || strings.Contains(text, "]: ") || strings.Contains(text, "std") {
		each(text, 0, len(text), func(from, to int) {
			if v := headsView(text, from, to); v != nil {
				look(v)
			}
		})
	}
	return covered
}

// stringsView is the text of strings, one below the other, without their
// escapes. The offsets count from base.
func stringsView(text string, base int, values [][2]int) *view {
	v := new(view)
	var b strings.Builder
	for _, s := range values {
		from, to := base+s[0], base+s[1]
		for i := from; i < to; {
			if text[i] == '\\' {
				if stands, n := escaped(text[i:to]); n > 0 {
					b.Write(stands)
					for range stands {
						v.add(i, i+n)
					}
					i += n
					continue
				}
			}
			b.WriteByte(text[i])
			v.add(i, i+1)
			i++
		}
		if to < len(text) && to > from {
			b.WriteByte('\n')
			v.add(to, to+1)
		}
	}
	v.text = b.String()
	return v
}

// shippedHead is the length of what a container or a journal put before the text
// of a line; 0 if nothing.
func shippedHead(line string) int {
	head := line[:min(len(line), 120)]
	for _, w := range [...]string{" stdout F ", " stderr F ", " stdout P ", " stderr P ", "]: ", "| "} {
		if n := strings.Index(head, w); n > 0 {
			return n + len(w)
		}
	}
	return 0
}

// headsView is text[from:to] without the heads of its lines; nil where fewer than
// two lines have one.
func headsView(text string, from, to int) *view {
	v := new(view)
	var b strings.Builder
	heads := 0
	for i := from; i < to; {
		end := min(lineEnd(text, i), to)
		next := min(nextLine(text, end), to)
		n := shippedHead(text[i:end])
		if n > 0 {
			heads++
		}
		b.WriteString(text[i+n : next])
		for k := i + n; k < next; k++ {
			v.add(k, k+1)
		}
		i = max(next, i+1)
	}
	if heads < 2 {
		return nil
	}
	v.text = b.String()
	return v
}
