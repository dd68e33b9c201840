package ndr

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// host is a host as a text names it.
type host struct {
	name    string // lower case, A-labels, no root dot; empty when only an address stands there
	address string // IP address; empty: not stated
	port    int    // 0: not stated
	masked  bool   // an address stood there that somebody hid
}

// hostAt reads the host that s begins with and gives the length of what it
// read; 0 if there is none. It knows the forms
//
//	H  H.  H:25  H[192.0.2.1]  H[192.0.2.1]:25  H [192.0.2.1]  H (192.0.2.1)
//	H (192.0.2.1, words)  H (TCP|src|port|dst|port) (banner)  [192.0.2.1]
//	[H]  <H>  192.0.2.1:25  dns; H  dns;H  smtp;H
//
// where H is a name, lone labels included. A bare address names nobody.
func hostAt(s []byte) (h host, n int) {
	i := skipBlanks(s, 0)
	if n := nameType(s[i:]); n > 0 {
		if j := skipBlanks(s, i+n); j < len(s) && s[j] == ';' {
			i = skipBlanks(s, j+1)
		}
	}
	if i >= len(s) {
		return host{}, 0
	}
	if close := closingOf(s[i]); close != 0 && s[i] != '(' {
		end := bytes.IndexByte(s[i:], close)
		if end < 0 || end > 260 {
			return host{}, 0
		}
		inner := bytes.TrimSpace(s[i+1 : i+end])
		inner = trimFoldPrefix(inner, "ipv6:")
		i += end + 1
		if a, ok := parseAddress(inner); ok {
			h.address = a
		} else {
			k, m := hostAt(inner)
			if m == 0 {
				return host{}, 0
			}
			h = k
		}
		h.port, i = portAt(s, i, h.port)
		return h, i
	}
	end := nameEnd(s, i)
	if end == i {
		return host{}, 0
	}
	word := s[i:end]
	i = end
	if a, ok := parseAddress(word); ok {
		h.address = a
	} else if a, port, ok := addressPort(word); ok {
		h.address, h.port = a, port
	} else {
		if c := bytes.IndexByte(word, ':'); c >= 0 {
			i -= len(word) - c
			word = word[:c]
		}
		if isMasked(word) {
			return beside(s, i)
		}
		word = bytes.TrimRight(word, ".-_")
		if len(word) == 0 || !hasLetter(word) {
			return host{}, 0
		}
		h.name = hostName(word)
		if h.name == "" {
			return host{}, 0
		}
	}
	h.port, i = portAt(s, i, h.port)
	// The address beside the name.
	j := skipBlanks(s, i)
	if j < len(s) && (s[j] == '[' || s[j] == '(') {
		end := bytes.IndexByte(s[j:], closingOf(s[j]))
		if end < 0 && len(s)-j < 300 && !bytes.ContainsAny(s[j:], "\n") {
			end = len(s) - j - 1 // the line was cut or wrapped before it closed
		}
		if end > 0 && end < 300 {
			inner := s[j+1 : min(j+end, len(s))]
			if j+end == len(s)-1 && s[j+end] != closingOf(s[j]) {
				inner = s[j+1:]
			}
			if a, port, ok := addressIn(inner); ok {
				if h.address == "" {
					h.address = a
				}
				if port != 0 {
					h.port = port
				}
				i = j + end + 1
				h.port, i = portAt(s, i, h.port)
			} else if isMasked(inner) {
				h.masked = true
				h.port, i = portAt(s, j+end+1, h.port)
			}
		}
	}
	return h, i
}

// maskWords are what people put in place of an address, in lower case.
var maskWords = []string{"redacted", "removed", "masked", "hidden", "omitted", "snip", "ip", "ip address", "our ip", "ip-address", "...", "…"}

// isMasked reports whether somebody hid the address that stood here: x.x.x.x,
// 192.0.2.xxx, ***, redacted.
func isMasked(b []byte) bool {
	b = bytes.Trim(b, " <>[]")
	if len(b) < 2 || len(b) > 40 {
		return false
	}
	marks, dots := 0, 0
	for _, c := range b {
		switch {
		case c == 'x' || c == 'X' || c == '*' || c == '#' || c == '?':
			marks++
		case c == '.' || c == ':':
			dots++
		case !isDigit(c):
			return slices.Contains(maskWords, lowerString(b))
		}
	}
	return marks > 0 && (dots >= 3 || marks == len(b))
}

// beside reads the host whose name stands in parentheses behind a hidden address
// at s[i:].
func beside(s []byte, i int) (host, int) {
	i = skipBlanks(s, i)
	if i >= len(s) || s[i] != '(' {
		return host{}, 0
	}
	end := bytes.IndexByte(s[i:], ')')
	if end < 2 || end > 260 {
		return host{}, 0
	}
	h, n := hostAt(s[i+1 : i+end])
	if n == 0 || !looksLikeHost([]byte(h.name)) {
		return host{}, 0
	}
	return h, i + end + 1
}

// nameType is the length of the type of an MTA's name (RFC 3464 §2.1.2) that s
// begins with, 0 if it begins with none.
func nameType(s []byte) int {
	if len(s) < 3 {
		return 0
	}
	types := []string(nil)
	switch s[0] | 0x20 {
	case 'd':
		types = typesD
	case 's':
		types = typesS
	case 'x':
		types = typesX
	}
	for _, t := range types {
		if foldPrefix(s, t) {
			return len(t)
		}
	}
	return 0
}

// The types of names, by their first letter.
var (
	typesD = []string{"dns", "dsn"}
	typesS = []string{"smtp"}
	typesX = []string{"x-local-hostname", "x400"}
)

// addressIn finds the address in what stands in brackets behind a name: alone,
// before a comma or blank, or as the far end of MessagingServer's
// TCP|src|port|dst|port.
func addressIn(inner []byte) (address string, port int, ok bool) {
	inner = bytes.TrimSpace(inner)
	if foldPrefix(inner, "tcp|") {
		fields := bytes.Split(inner, []byte{'|'})
		if len(fields) >= 5 {
			if a, ok := parseAddress(bytes.TrimSpace(fields[3])); ok {
				return a, number(fields[4]), true
			}
		}
		return "", 0, false
	}
	word := inner
	if n := bytes.IndexAny(word, ", \t;|"); n >= 0 {
		word = word[:n]
	}
	word = trimFoldPrefix(word, "ipv6:")
	word = bytes.Trim(word, "[]")
	if a, ok := parseAddress(word); ok {
		return a, 0, true
	}
	return addressPort(word)
}

// addressPort reads "192.0.2.1:25".
func addressPort(word []byte) (address string, port int, ok bool) {
	c := bytes.LastIndexByte(word, ':')
	if c < 0 {
		return "", 0, false
	}
	port = number(word[c+1:])
	a, ok := parseAddress(bytes.Trim(word[:c], "[]"))
	if !ok || port == 0 {
		return "", 0, false
	}
	return a, port, true
}

// portAt reads ":25" at s[i:].
func portAt(s []byte, i, port int) (int, int) {
	if i >= len(s) || s[i] != ':' {
		return port, i
	}
	j := i + 1
	for j < len(s) && isDigit(s[j]) && j-i < 7 {
		j++
	}
	if j == i+1 || j < len(s) && (isWordByte(s[j]) || s[j] == '.') {
		return port, i
	}
	p := number(s[i+1 : j])
	if p == 0 || p > 65535 {
		return port, i
	}
	return p, j
}

// nameEnd is the end of the word of name characters at s[i:]; colons of an IPv6
// address and a port belong to it.
func nameEnd(s []byte, i int) int {
	for i < len(s) {
		c := s[i]
		if !isHostByte(c) && c != ':' && c < 0x80 {
			break
		}
		if c == ':' && (i+1 >= len(s) || !isWordByte(s[i+1]) && s[i+1] != ':') {
			break
		}
		i++
	}
	return i
}

// hostName is the key under which names are compared: lower case, A-labels, no
// root dot. It is empty for what is no name.
func hostName(word []byte) string {
	if len(word) > 255 {
		return ""
	}
	lower, ascii := true, true
	for _, c := range word {
		if c >= 0x80 {
			ascii = false
		}
		if c >= 'A' && c <= 'Z' {
			lower = false
		}
	}
	if ascii && lower {
		return string(word)
	}
	if ascii {
		return lowerString(word)
	}
	name := string(word)
	// Letters are never mapped: a name with a look-alike letter keeps it, as an
	// A-label, and is somebody else's.
	a, err := idna.Punycode.ToASCII(strings.ToLower(name))
	if err != nil {
		return ""
	}
	return a
}

// lowerString is a text in lower case.
func lowerString(b []byte) string {
	var few [256]byte
	if len(b) > len(few) {
		return strings.ToLower(string(b))
	}
	low := few[:len(b)]
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return strings.ToLower(string(b))
		}
		low[i] = lowerASCII(c)
	}
	return string(low)
}

// looksLikeHost reports whether a word is a host name by itself: two labels at
// least, the last one with a letter in it.
func looksLikeHost(word []byte) bool {
	word = bytes.TrimSuffix(word, dot)
	i := bytes.LastIndexByte(word, '.')
	if i <= 0 || i == len(word)-1 || len(word) > 255 {
		return false
	}
	for _, c := range word {
		if !isHostByte(c) && c < 0x80 {
			return false
		}
	}
	top := word[i+1:]
	if len(top) < 2 || !hasLetter(top) {
		return false
	}
	return isWordByte(word[0]) || word[0] >= 0x80 || word[0] == '_'
}

// tokenAt is the length of the token of redaction that s begins with, as
// "[addr-12]" (transcript.Redactor). It is 0 if s begins with none.
func tokenAt(s []byte, kind string) int {
	if len(s) < len(kind)+2 || string(s[:len(kind)]) != kind {
		return 0
	}
	n := len(kind)
	for n < len(s) && n < len(kind)+9 && isDigit(s[n]) {
		n++
	}
	if n == len(kind) || n >= len(s) || s[n] != ']' {
		return 0
	}
	return n + 1
}

func hasLetter(b []byte) bool {
	for _, c := range b {
		if isLetter(c) || c >= 0x80 {
			return true
		}
	}
	return false
}

// parseAddress reads an IP address, in its canonical form.
func parseAddress(word []byte) (string, bool) {
	if len(word) < 2 || len(word) > 60 || !isDigit(word[0]) && unhex(word[0]) < 0 && word[0] != ':' {
		return "", false
	}
	if bytes.IndexByte(word, '.') < 0 && bytes.IndexByte(word, ':') < 0 {
		return "", false
	}
	if bytes.IndexByte(word, ':') < 0 {
		if !isIPv4(word) {
			return "", false
		}
		return string(word), true
	}
	if z := bytes.IndexByte(word, '%'); z >= 0 {
		word = word[:z]
	}
	s := string(word)
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", false
	}
	if a.Is4() {
		return s, true
	}
	return a.String(), true
}

// isIPv4 reports whether the word is an IPv4 address: four numbers up to 255
// without leading zeros.
func isIPv4(word []byte) bool {
	dots, value, digits := 0, 0, 0
	for _, c := range word {
		switch {
		case isDigit(c):
			if digits > 0 && value == 0 {
				return false
			}
			value = value*10 + int(c-'0')
			if digits++; value > 255 {
				return false
			}
		case c == '.' && digits > 0:
			dots, value, digits = dots+1, 0, 0
		default:
			return false
		}
	}
	return dots == 3 && digits > 0
}

func closingOf(c byte) byte {
	switch c {
	case '[':
		return ']'
	case '(':
		return ')'
	case '<':
		return '>'
	}
	return 0
}

func skipBlanks(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n') {
		i++
	}
	return i
}

func trimFoldPrefix(s []byte, prefix string) []byte {
	if foldPrefix(s, prefix) {
		return s[len(prefix):]
	}
	return s
}

// number reads decimal digits; 0 for anything else and for what is too long.
func number(s []byte) int {
	n := 0
	if len(s) == 0 || len(s) > 9 {
		return 0
	}
	for _, c := range s {
		if !isDigit(c) {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// mailboxAt reads the mail address that s begins with, with or without angle
// brackets, and gives the length of what it read; 0 if there is none. The
// address is lower case. Quoted local parts and UTF-8 are allowed; a lone local
// part is not an address.
func mailboxAt(s []byte) (address string, n int) {
	i := 0
	bracket := i < len(s) && s[i] == '<'
	if bracket {
		i++
		i = skipBlanks(s, i)
	}
	start := i
	if n := tokenAt(s[i:], "[addr-"); n > 0 {
		// What redaction left of an address.
		address, i = string(s[i:i+n]), i+n
		if bracket && i < len(s) && s[i] == '>' {
			i++
		}
		return address, i
	}
	if i < len(s) && s[i] == '"' {
		end := bytes.IndexByte(s[i+1:], '"')
		if end < 0 || end > 64 {
			return "", 0
		}
		i += end + 2
		if i >= len(s) || s[i] != '@' {
			return "", 0
		}
	} else {
		for i < len(s) && isLocalByte(s[i]) && i-start < 320 {
			i++
		}
	}
	if i == start || i >= len(s) || s[i] != '@' {
		return "", 0
	}
	i++
	domain := i
	if i < len(s) && s[i] == '[' {
		end := bytes.IndexByte(s[i:], ']')
		if end < 0 || end > 60 {
			return "", 0
		}
		i += end + 1
	} else {
		for i < len(s) && isHostByte(s[i]) && i-domain < 256 {
			i++
		}
		// Letters of other scripts belong to the name only if labels follow:
		// else they are the next word of a language without blanks.
		if j := i; j < len(s) && s[j] >= 0x80 {
			for j < len(s) && (isHostByte(s[j]) || s[j] >= 0x80) && j-domain < 256 {
				j++
			}
			if bytes.IndexByte(s[i:j], '.') > 0 && bytes.IndexByte(s[i:j], '.') < j-i-1 || i > domain && s[i-1] == '.' {
				i = j
			}
		}
		for i > domain && (s[i-1] == '.' || s[i-1] == '-' || s[i-1] == '_') {
			i--
		}
	}
	if i == domain {
		return "", 0
	}
	address = lowerString(s[start:i])
	if bracket {
		j := skipBlanks(s, i)
		if j < len(s) && s[j] == '>' {
			return address, j + 1
		}
	}
	return address, i
}

// isLocalByte reports whether c may stand in the local part of an address
// without quotes (RFC 5322 atext and dot, and UTF-8).
func isLocalByte(c byte) bool {
	if isWordByte(c) || c >= 0x80 {
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~', '.':
		return true
	}
	return false
}

// findMailbox finds the first mail address in s. Addresses inside a URL
// parameter or a mailto link count like any other.
func findMailbox(s []byte) (address string, from, to int) {
	for at := 0; at < len(s); {
		n := bytes.IndexByte(s[at:], '@')
		if n < 0 {
			break
		}
		i := at + n
		at = i + 1
		start := i
		for start > 0 && isLocalByte(s[start-1]) && i-start < 320 {
			start--
		}
		if start == i && start > 1 && s[start-1] == '"' {
			if q := bytes.LastIndexByte(s[:start-1], '"'); q >= 0 && start-q < 66 {
				start = q
			}
		}
		for start < i && (s[start] == '\'' || s[start] == '.' || s[start] == '*' || s[start] == '`' || s[start] == '=') {
			start++
		}
		if start == i {
			continue
		}
		if a, n := mailboxAt(s[start:]); n > 0 {
			if start > 0 && s[start-1] == '<' && start+n < len(s) && s[start+n] == '>' {
				return a, start - 1, start + n + 1
			}
			return a, start, start + n
		}
	}
	for at := 0; ; {
		n := bytes.IndexByte(s[at:], '[')
		if n < 0 {
			break
		}
		at += n
		if k := tokenAt(s[at:], "[addr-"); k > 0 {
			return string(s[at : at+k]), at, at + k
		}
		at++
	}
	return "", -1, -1
}
