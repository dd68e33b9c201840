package ndr

import "bytes"

// replyCodes are the codes that servers really use; three digits of a device or
// a program that are none of these are its own.
var replyCodes = func() (t [600]bool) {
	for _, c := range []int{
		421, 431, 432, 441, 442, 446, 447, 449, 450, 451, 452, 453, 454, 455, 458, 459, 471,
		500, 501, 502, 503, 504, 510, 511, 512, 513, 515, 517, 521, 523, 525, 530, 531, 533, 534, 535, 538, 541,
		550, 551, 552, 553, 554, 555, 556, 557, 558, 559, 560, 570, 571, 572, 573,
	} {
		t[c] = true
	}
	return t
}()

// isReplyCode reports whether three digits are one of them.
func isReplyCode(digits []byte) bool {
	n := number(digits)
	return n < len(replyCodes) && replyCodes[n]
}

// codeCues are words before a reply code that stands alone, in lower case.
var codeCues = []string{
	"code", "error", "status", "reply", "response", "answer", "failed", "refused", "rejected", "returned", "said", "message", "exception", "result",
	"fehler", "antwort", "abgelehnt", "verweigert", "meldung", "erreur", "réponse", "refusé", "rejeté", "retour", "esito", "errore", "smtp", "server", "serveur",
	"got", "denied", "nak", "ng",
}

// findReply finds the reply that the words quote: a reply code with text behind
// it, else a code that a word announces. end is the end of its text. It gives -1
// when there is none. A port, a time, a part of a number is no reply.
func findReply(words []byte) (start, end int) {
	alone := -1
	for i := 0; i+3 <= len(words); i++ {
		if words[i] != '4' && words[i] != '5' || !isDigit(words[i+1]) || !isDigit(words[i+2]) {
			continue
		}
		if i+3 < len(words) && isDigit(words[i+3]) || !isReplyCode(words[i:i+3]) {
			i += 2
			continue
		}
		if i > 0 {
			switch c := words[i-1]; {
			case isWordByte(c), c == '.' && i > 1 && isDigit(words[i-2]), c == ':' && i > 1 && (isDigit(words[i-2]) || isLetter(words[i-2])) && !announced(words[:i-1]),
				c == '-' && i > 1 && isWordByte(words[i-2]), c == '/' && i > 1 && isWordByte(words[i-2]), c == ',' && i > 1 && isDigit(words[i-2]), c == '+', c == '$', c == '%':
				continue
			}
		}
		if n := bytes.TrimRight(words[max(0, i-8):i], " :=\t\"'(#"); len(n) >= 4 && foldEqual(n[len(n)-4:], "port") {
			continue
		}
		if i > 0 && words[i-1] == '(' && foldIndex(words[:i], "tls alert, ") >= 0 {
			continue // curl's number of the record: "TLS alert, unknown CA (560)"
		}
		rest := words[i+3:]
		if len(rest) == 0 {
			if announced(words[:i]) {
				return i, i + 3
			}
			continue
		}
		switch rest[0] {
		case '.', ',', ':', ')', '"', '\'', ']', ';', '}':
			if rest[0] == '.' && len(rest) > 1 && isDigit(rest[1]) || rest[0] == ':' && len(rest) > 1 && isDigit(rest[1]) || rest[0] == ',' && len(rest) > 1 && isDigit(rest[1]) {
				continue
			}
			// `(554, b'5.7.1 …')`, `554 "5.7.1 …"`, `554: words`.
			if alone < 0 && (announced(words[:i]) || i > 0 && (words[i-1] == '(' || words[i-1] == '[')) {
				alone = i
			}
			continue
		case ' ', '-', '\t':
			t := bytes.TrimLeft(rest, " -\t\"")
			if isHTTP(t) {
				continue
			}
			if statusCode(t) != "" || len(t) > 0 && t[0] == '#' {
				return i, replyEnd(words, i)
			}
			if len(t) > 2 && (isLetter(t[0]) || t[0] == '<' || t[0] == '\'') && !isUnit(t) && (i == 0 || announced(words[:i]) || words[i-1] == '"' || words[i-1] == '\'' || words[i-1] == '(' || words[i-1] == '[') {
				return i, replyEnd(words, i)
			}
			if alone < 0 && announced(words[:i]) {
				alone = i
			}
		}
	}
	if alone >= 0 {
		return alone, alone + 3
	}
	return -1, -1
}

// httpReasons are the words behind the codes of HTTP that are codes of SMTP, too
// (RFC 9110 §15, RFC 6585).
var httpReasons = []string{
	"internal server error", "not implemented", "bad gateway", "service unavailable", "gateway timeout", "gateway time-out", "http version not supported",
	"variant also negotiates", "network authentication required", "request header fields too large", "unavailable for legal reasons",
}

// isHTTP reports whether the words behind a code are those of a web server.
func isHTTP(t []byte) bool {
	for _, r := range httpReasons {
		if foldPrefix(t, r) {
			return true
		}
	}
	return false
}

// isUnit reports whether the word behind a number counts something.
func isUnit(t []byte) bool {
	for _, u := range []string{"bytes", "byte", "kb", "mb", "ms", "sec", "seconds", "millis", "milliseconds", "min", "pages", "seiten", "octets", "x ", "times", "insertion", "deletion", "file", "kib", "mib", "line"} {
		if foldPrefix(t, u) {
			return true
		}
	}
	return false
}

// announced reports whether a word before a code says that it is one.
func announced(before []byte) bool {
	before = bytes.TrimRight(before, " \t:=\"'([{#-")
	if len(before) > 40 {
		before = before[len(before)-40:]
	}
	n := 0
	for end := len(before); end > 0 && n < 3; n++ {
		start := end
		for start > 0 && (isWordByte(before[start-1]) || before[start-1] >= 0x80) {
			start--
		}
		word := before[start:end]
		for _, c := range codeCues {
			if len(word) >= len(c) && foldIndex(word, c) >= 0 {
				return true
			}
		}
		end = start
		for end > 0 && !isWordByte(before[end-1]) && before[end-1] < 0x80 {
			end--
		}
	}
	return false
}

// replyEnd is where the text of a reply ends: at the quote or bracket that was
// opened before it, else at the end of the line.
func replyEnd(words []byte, start int) int {
	end := len(words)
	if start > 0 {
		if c := words[start-1]; c == '\'' || c == '"' || c == '(' || c == '[' {
			if n := closingOfReply(words, start, c); n > 0 {
				end = n
			}
		}
	}
	for end > start && (words[end-1] == ' ' || words[end-1] == '\t' || words[end-1] == ',' || words[end-1] == ';') {
		end--
	}
	return end
}

func closingOfReply(words []byte, start int, open byte) int {
	want := open
	switch open {
	case '(':
		want = ')'
	case '[':
		want = ']'
	}
	depth := 0
	for i := start; i < len(words); i++ {
		switch words[i] {
		case want:
			if depth > 0 {
				depth--
				continue
			}
			if (open == '\'' || open == '"') && i+1 < len(words) && isWordByte(words[i+1]) {
				continue // an apostrophe
			}
			return i
		case open:
			if open != want {
				depth++
			}
		}
	}
	return -1
}

// inProse reports whether what stands before a code is a sentence that somebody
// wrote: words, and no colon or quote that would set the reply apart.
func inProse(before []byte) bool {
	before = bytes.TrimRight(before, " \t")
	if len(before) == 0 {
		return false
	}
	switch before[len(before)-1] {
	case ':', '=', '"', '\'', '(', '[', '-', '>', '|':
		return false
	}
	words := 0
	for _, w := range bytes.Fields(before) {
		plain := true
		for _, c := range w {
			if !isLetter(c) && c < 0x80 && c != '\'' && c != ',' && c != '.' {
				plain = false
				break
			}
		}
		if plain {
			words++
		}
	}
	if words < 2 {
		return false
	}
	last := before[bytes.LastIndexByte(before, ' ')+1:]
	for _, c := range codeCues {
		if c != "got" && foldPrefix(last, c) {
			return false // "SMTP error 554 …" is a program's sentence
		}
	}
	return true
}

// proseJoints are words that go on with a sentence behind the reply it quotes.
var proseJoints = []string{
	"when", "if", "but", "and", "what", "why", "since", "after", "although", "every", "whenever", "please",
	"wenn", "aber", "und", "was", "warum", "obwohl", "seit", "beim", "bitte", "als",
	"quand", "mais", "et", "lorsque", "pourquoi", "depuis", "pero", "cuando", "porque", "desde", "quando", "perché", "maar", "wanneer",
}

// proseEnd is where the reply that words begin with gives way to the sentence
// around it: at a mark of punctuation that words follow, or at a word that goes on
// with the sentence. It leaves the code and two words at least.
func proseEnd(words []byte) int {
	n := 0
	for i := 3; i < len(words); i++ {
		c := words[i]
		if c != ' ' {
			continue
		}
		n++
		if n > 2 && bytes.IndexByte([]byte(",.!?;"), words[i-1]) >= 0 {
			return i - 1
		}
		if n < 3 {
			continue
		}
		next := words[i+1:]
		if k := bytes.IndexByte(next, ' '); k > 0 {
			next = next[:k]
		}
		for _, j := range proseJoints {
			if foldEqual(next, j) {
				return i
			}
		}
		if foldEqual(next, "from") || foldEqual(next, "by") || foldEqual(next, "von") || foldEqual(next, "de") || foldEqual(next, "at") {
			if h, k := hostAt(bytes.TrimLeft(words[i+1+len(next):], " ")); k > 0 && (h.address != "" || looksLikeHost([]byte(h.name))) {
				return i // "we get 535 … from H"
			}
		}
	}
	for n := len(words); n > 3; n-- {
		if c := words[n-1]; c != '?' && c != '!' && c != '.' && c != ',' {
			return n
		}
	}
	return len(words)
}
