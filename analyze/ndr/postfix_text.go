package ndr

import "bytes"

// postfixText reads Postfix's report: "<r>: reason" or "<r> (expanded from
// <o>): reason", wrapped at 79 columns with a continuation indent of 4.
func postfixText(r *report) {
	for i := range r.marks {
		m := &r.marks[i]
		if m.sign == signPostfix || m.sign == signPostfixOld {
			r.reporter = r.hostBehind(m, Reporter)
			break
		}
	}
	for i := r.b.First; i < min(r.last, r.body); i++ {
		l, at := r.line(i)
		if len(l) < 5 || l[0] != '<' {
			continue
		}
		end := i
		for end+1 < r.last {
			m, _ := r.line(end + 1)
			if len(m) == 0 || m[0] == '<' && !r.goesOnWithAddress(end) {
				break
			}
			end++
		}
		f := r.doc.flow(at, r.doc.LineEnd(end))
		t := f.text
		a, n := mailboxAt(t)
		word := ""
		if n == 0 {
			// A local user without a domain.
			if c := bytes.IndexByte(t, '>'); c > 1 && c < 65 && bytes.IndexByte(t[1:c], ' ') < 0 {
				word, n = string(bytes.ToLower(t[1:c])), c+1
			} else {
				continue
			}
		}
		o := n
		original := ""
		if rest := t[o:]; bytes.HasPrefix(rest, []byte(" (expanded from ")) {
			p := o + len(" (expanded from ")
			if e, _ := mailboxAt(t[p:]); e != "" {
				original = e
			}
			if c := bytes.Index(t[p:], []byte("):")); c >= 0 {
				o = p + c + 1
			}
		}
		if o >= len(t) || t[o] != ':' {
			continue
		}
		o++
		for o < len(t) && t[o] == ' ' {
			o++
		}
		it := r.item(firstOf(a, word))
		var more Item
		postfixReason(&f, o, len(t), &more)
		combine(it, &more)
		if original != it.Recipient {
			it.Original = original
		}
		i = end
	}
	if r.status.ppe {
		r.format = "ppe-dsn"
	}
}

// goesOnWithAddress reports whether line i ends in the middle of a reply, so
// that an address at the start of the next line belongs to it and opens no
// paragraph: the indent of continuations gets lost.
func (r *report) goesOnWithAddress(i int) bool {
	l, _ := r.line(i)
	if bytes.HasSuffix(l, []byte("said:")) || bytes.HasSuffix(l, []byte("talk to me:")) || bytes.HasSuffix(l, []byte("(expanded from")) {
		return true
	}
	word := l[bytes.LastIndexByte(l, ' ')+1:]
	if len(word) == 3 && number(word) >= 200 {
		return true
	}
	return statusCode(word) == string(word) && len(word) >= 5
}

// postfixOpeners are the first words of what Postfix says about a recipient
// when it talked, or tried to talk, to another host. They give the paragraph
// away where people paste it without the introduction.
var postfixOpeners = []string{
	"host ", "connect to ", "lost connection with ", "conversation with ", "Host or domain name not found",
	"unable to look up host ", "delivery temporarily suspended: ", "TLS is required, but ", "Cannot start TLS: ",
	"SASL authentication failed", "Server certificate not ", "delivery via ", "mail for ", "unknown mail transport error",
}

// postfixItem reports whether a line begins a paragraph of Postfix about one
// recipient: "<r>: WORDS" or "<r> (expanded from", with words of its own.
func postfixItem(line []byte) bool {
	_, n := mailboxAt(line)
	if n == 0 {
		return false
	}
	rest := line[n:]
	if bytes.HasPrefix(rest, []byte(" (expanded from ")) {
		return true
	}
	if !bytes.HasPrefix(rest, []byte(": ")) {
		return false
	}
	for _, w := range postfixOpeners {
		if bytes.HasPrefix(rest[2:], []byte(w)) || len(rest) > 5 && len(rest) < len(w)+2 && w[len(rest)-2] == ' ' && string(rest[2:]) == w[:len(rest)-2] {
			return true
		}
	}
	return false
}
