package transcript

import "strings"

// columns are the places of one byte in the two columns of a hex dump.
type columns struct{ hex, hexEnd, char uint32 }

// hexViews read hex dumps ("0000  41 55 54 48 …  AUTH", tcpdump -X, xxd,
// hexdump -C): the bytes of neighbouring lines as one text.
func hexViews(text string) (views []*view, covered [][2]int) {
	var v *view
	var b strings.Builder
	start := 0
	flush := func(end int) {
		if v != nil && len(v.columns) >= 16 {
			v.text = b.String()
			views = append(views, v)
			covered = append(covered, [2]int{start, end})
		}
		v = nil
		b.Reset()
	}
	for i := 0; i < len(text); {
		end := lineEnd(text, i)
		if c := text[i]; (end-i > 20 || v != nil && end-i > 6) && end-i < 160 && (isDigit(c) || unhex(c) >= 0 || c == ' ' || c == '\t' || c == '>') {
			if bytes, cols := hexLine(text, i, end); len(bytes) > 3 || v != nil && bytes != "" {
				if v == nil {
					v = new(view)
					start = i
				}
				b.WriteString(bytes)
				for k := range len(bytes) {
					v.add(int(cols[k].hex), int(cols[k].hexEnd))
				}
				v.columns = append(v.columns, cols...)
				i = nextLine(text, end)
				continue
			}
		}
		flush(i)
		i = nextLine(text, end)
	}
	flush(len(text))
	return views, covered
}

// hexLine reads one line of a hex dump: an offset, groups of hexadecimal
// digits, and, maybe, the same bytes as characters.
func hexLine(text string, from, to int) (string, []columns) {
	if strings.Contains(text[from:to], "[secret-") {
		return "", nil // what is left of a masked line says nothing
	}
	i := from
	for i < to && (text[i] == ' ' || text[i] == '\t' || text[i] == '>') {
		i++
	}
	if strings.HasPrefix(text[i:to], "0x") {
		i += 2
	}
	start := i
	for i < to && unhex(text[i]) >= 0 {
		i++
	}
	if i-start < 4 || i-start > 8 {
		return "", nil
	}
	if i < to && text[i] == ':' {
		i++
	}
	if i >= to || text[i] != ' ' && text[i] != '\t' {
		return "", nil
	}
	var b []byte
	var cols []columns
	for i < to && len(b) < 32 {
		blanks := 0
		for i < to && (text[i] == ' ' || text[i] == '\t') {
			i++
			blanks++
		}
		if blanks == 0 || blanks > 2 && len(b) > 0 {
			i -= blanks
			break
		}
		j := i
		for j < to && unhex(text[j]) >= 0 {
			j++
		}
		n := j - i
		if n == 0 || n%2 != 0 || n > 8 || j < to && text[j] != ' ' && text[j] != '\t' {
			i -= blanks
			break
		}
		// The column of characters may begin with what looks like digits, two
		// blanks behind the groups.
		if blanks == 2 && len(b) > 0 && len(b)%8 != 0 {
			i -= blanks
			break
		}
		for ; i < j; i += 2 {
			c, _ := hexByte(text, i)
			b = append(b, c)
			cols = append(cols, columns{hex: uint32(i), hexEnd: uint32(i + 2)})
		}
	}
	if len(b) == 0 {
		return "", nil
	}
	i = skipBlanks(text, i)
	if i < to && text[i] == '|' {
		i++
	} else {
		for _, c := range b {
			if c != ' ' || text[i-1] != ' ' {
				break
			}
			i-- // a blank among the characters
		}
	}
	// The characters must agree with the bytes where these are printable.
	if to-i >= len(b) {
		agree := true
		for k, c := range b {
			if c > ' ' && c < 0x7f && text[i+k] != c {
				agree = false
				break
			}
		}
		if agree {
			for k := range cols {
				cols[k].char = uint32(i + k)
			}
		}
	}
	return string(b), cols
}
