package transcript

import (
	"encoding/base64"
	"encoding/hex"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
)

// Secrets are secrets that we hold, with every form in which a server, a
// program or a person may write them: as they are, reversed, spaced out,
// wrapped over lines, in base64 and URL-safe base64 at each alignment (and so
// inside every SASL message), in hexadecimal, as UTF-16, percent-encoded,
// quoted-printable, with HTML or JSON escapes. Any run of eight characters of a
// form counts, so that a part of the secret is as hidden as the whole.
//
// A secret under eight characters, or one made of the words of this trade
// ("Relay access denied", "password"), is not searched for: it would eat the
// diagnosis. It is masked where the grammar of a dialogue says so, see Masker
// and Redactor.
//
// The zero value holds no secret. A Secrets is safe for concurrent use as long
// as nobody adds to it.
type Secrets struct {
	values  []string
	first   int // number of the first token, less one
	windows map[uint64]window
	filter  [1 << 10]uint64 // bits of the windows' hashes: most bytes of a text end here
}

type window struct {
	secret int  // index in values
	blob   bool // base64 or hexadecimal: the whole run around it goes
}

const windowLen = 8

// Known holds the given secrets; empty ones are passed over. The first is shown
// as [secret-1].
func Known(secrets ...string) *Secrets {
	s := new(Secrets)
	for _, v := range secrets {
		s.Add(v)
	}
	return s
}

// Add takes one more secret and returns its token. The same secret has the same
// token; an empty one has none.
func (s *Secrets) Add(secret string) string {
	if secret == "" {
		return ""
	}
	n := s.register(secret)
	s.addForms(n, secret)
	return s.token(n)
}

// register gives a secret its number without searching for its forms.
func (s *Secrets) register(secret string) int {
	for i, v := range s.values {
		if v == secret {
			return i
		}
	}
	s.values = append(s.values, secret)
	return len(s.values) - 1
}

// maxSecret bounds the work for one secret, in bytes: access tokens stay below.
const maxSecret = 16 << 10

func (s *Secrets) token(i int) string { return secretToken(s.first + i + 1) }

func secretToken(n int) string { return "[secret-" + strconv.Itoa(n) + "]" }

func (s *Secrets) addForms(n int, secret string) {
	if len(secret) < 3 || len(secret) > maxSecret {
		return
	}
	raw := []byte(secret)
	s.addForm(n, raw, false)
	s.addForm(n, reversed(raw), false)
	wide := utf16LE(secret)
	for _, b := range [][]byte{raw, wide} {
		for shift := range 3 {
			s.addForm(n, base64Inside(b, shift), true)
		}
	}
	h := hex.EncodeToString(raw)
	s.addForm(n, []byte(h), true)
	s.addForm(n, []byte(strings.ToUpper(h)), true)
}

// addForm adds the windows of one form, in the normal form of a scanner.
func (s *Secrets) addForm(n int, form []byte, blob bool) {
	packed := form[:0:0]
	for _, c := range form {
		if c := squeeze[c]; c != 0 {
			packed = append(packed, c)
		}
	}
	for i := 0; i+windowLen <= len(packed); i++ {
		w := packed[i : i+windowLen]
		if tradeWords(w) {
			continue
		}
		key := windowKey(w)
		if s.windows == nil {
			s.windows = make(map[uint64]window)
		}
		if _, ok := s.windows[key]; ok {
			continue
		}
		s.windows[key] = window{n, blob}
		h := windowHash(key)
		s.filter[h>>6] |= 1 << (h & 63)
	}
}

func windowKey(w []byte) (key uint64) {
	for _, c := range w {
		key = key<<8 | uint64(c)
	}
	return key
}

func windowHash(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> 48 }

// squeeze is the normal form of a byte in a scan: white space and NUL vanish,
// the URL-safe letters of base64 are those of plain base64.
var squeeze = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for _, c := range " \t\r\n\x00" {
		t[c] = 0
	}
	t['-'], t['_'] = '+', '/'
	return t
}()

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i, c := range b {
		r[len(b)-1-i] = c
	}
	return r
}

func utf16LE(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// base64Inside is what every base64 text shows that has b at the given place
// modulo three: the letters that depend on b alone.
func base64Inside(b []byte, shift int) []byte {
	if len(b) < 3 {
		return nil
	}
	padded := append(make([]byte, shift, shift+len(b)), b...)
	e := []byte(base64.RawStdEncoding.EncodeToString(padded))
	head := [3]int{0, 2, 3}[shift] // letters that hold bits of what stands before
	if len(padded)%3 != 0 {
		e = e[:len(e)-1] // the last letter holds bits of what comes after
	}
	return e[head:]
}

// tradeWords reports whether eight characters are words of this trade, or one
// character over and over: they stand in every transcript.
func tradeWords(w []byte) bool {
	same := true
	for _, c := range w {
		if c != w[0] {
			same = false
			break
		}
	}
	if same {
		return true
	}
	var key uint64
	for _, c := range w {
		key = key<<8 | uint64(lower(c))
	}
	_, ok := tradeWindows()[key]
	return ok
}

// tradeWindows is every run of eight letters of the replies in the table of
// phrases and of the long words of mail, lower case, without white space. Built
// at the first use, never changed.
var tradeWindows = sync.OnceValue(func() map[uint64]struct{} {
	set := make(map[uint64]struct{}, 1<<15)
	add := func(s string) {
		var key uint64
		n := 0
		for i := range len(s) {
			c := squeeze[lower(s[i])]
			if c == 0 {
				continue
			}
			key = key<<8 | uint64(c)
			if n++; n >= windowLen {
				set[key] = struct{}{}
			}
		}
	}
	for i := range phrases {
		for _, s := range phrases[i].seen {
			add(s)
		}
		for _, w := range phrases[i].words {
			add(w)
		}
	}
	for _, s := range tradeWordList {
		add(s)
	}
	return set
})

var tradeWordList = [...]string{
	"username password passwords passwort username: password: userpassword emailpassword smtppassword mailpassword",
	"VXNlcm5hbWU6 UGFzc3dvcmQ6", // the prompts of AUTH LOGIN
	"authentication authenticated authenticate authenticator authorization unauthenticated",
	"outbound-us1.ppe-hosted.com outbound-eu1.ppe-hosted.com mx1-us1.ppe-hosted.com mx1-eu1.ppe-hosted.com dispatch1-us1.ppe-hosted.com",
	"proofpoint essentials proofpoint.com pphosted.com", "outlook.com protection.outlook.com prod.outlook.com office365 smtp.office365.com microsoft",
	"smtp.gmail.com googlemail.com", "localhost localdomain customer customer.example recipient recipient.example partner partner.example example.com example.org example.net",
	"sender sendername recipients administrator administration postmaster mailer-daemon", "accepted rejected refused deferred delivered delivery deliveries undelivered undeliverable",
	"connection connected connecting connections disconnect disconnected", "certificate certificates encryption encrypted handshake verification verified unverified verify",
	"transaction transactions transcript transmission transport", "starttls pipelining 8bitmime smtputf8 chunking enhancedstatuscodes size 104857600 xforward requiretls",
	"content-type content-transfer-encoding quoted-printable multipart/report multipart/alternative multipart/mixed text/plain text/html charset boundary",
	"message-id mime-version received return-path reporting-mta remote-mta final-recipient original-recipient diagnostic-code arrival-date last-attempt-date",
	"temporary temporarily permanent permanently unavailable available unknown", "mailserver mailbox mailboxes smarthost smart host relayhost", "spamfilter reputation blacklist blocklist",
	"january february september november december wednesday thursday saturday", "credential credentials propagation registered", "plaintext base64 challenge response mechanism mechanisms",
	"submission submissions submitted", "ready to start tls", "end data with <CR><LF>.<CR><LF>", "queued as", "please wait", "welcome to", "command completed",
}

// Mask replaces the secrets in text by their tokens. Line ends stay.
func (s *Secrets) Mask(text string) string {
	if s == nil || len(s.windows) == 0 {
		return text
	}
	spans := s.find(nil, text)
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	done := 0
	for _, f := range spans {
		b.WriteString(text[done:f.start])
		writeMasked(&b, text[f.start:f.end], s.token(f.secret))
		done = f.end
	}
	b.WriteString(text[done:])
	return b.String()
}

// writeMasked writes the token in place of each line of what is masked.
func writeMasked(b *strings.Builder, masked, token string) {
	for masked != "" {
		i := strings.IndexAny(masked, "\r\n")
		if i != 0 {
			b.WriteString(token)
		}
		if i < 0 {
			return
		}
		b.WriteByte(masked[i])
		masked = masked[i+1:]
	}
}

// found is a place where a known secret stands.
type found struct {
	start, end int
	secret     int
}

// find appends the places of the secrets in text, in order, not overlapping.
func (s *Secrets) find(spans []found, text string) []found {
	if s == nil || len(s.windows) == 0 {
		return spans
	}
	at := len(spans)
	spans = s.scan(spans, text, false)
	if strings.IndexByte(text, '%') >= 0 || strings.IndexByte(text, '&') >= 0 ||
		strings.IndexByte(text, '\\') >= 0 || strings.IndexByte(text, '=') >= 0 {
		spans = s.scan(spans, text, true)
	}
	return append(spans[:at], mergeFound(spans[at:])...)
}

func mergeFound(f []found) []found {
	if len(f) < 2 {
		return f
	}
	sort.SliceStable(f, func(i, j int) bool { return f[i].start < f[j].start })
	out := f[:1]
	for _, x := range f[1:] {
		last := &out[len(out)-1]
		if x.start < last.end {
			last.end = max(last.end, x.end)
			continue
		}
		out = append(out, x)
	}
	return out
}

// scan walks over text in its normal form, with escapes undone if decode is
// set, and looks each run of eight characters up.
func (s *Secrets) scan(spans []found, text string, decode bool) []found {
	var (
		key    uint64
		starts [windowLen]int // where each of the last eight characters began
		n      int
	)
	for i := 0; i < len(text); {
		c, size := text[i], 1
		if c == '[' {
			if t := tokenLen(text[i:]); t > 0 {
				i += t // a mask ends what stands before it
				n = 0
				continue
			}
		}
		if decode {
			c, size = unescapeAt(text, i)
		}
		at := i
		i += size
		c = squeeze[c]
		if c == 0 {
			continue
		}
		if at > 0 && text[at-1] == '\n' && (c == '>' || c == '|') {
			continue // a quote mark before a wrapped line
		}
		key = key<<8 | uint64(c)
		starts[n%windowLen] = at
		if n++; n < windowLen {
			continue
		}
		h := windowHash(key)
		if s.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		w, ok := s.windows[key]
		if !ok {
			continue
		}
		start, end := starts[n%windowLen], i
		if last := len(spans) - 1; last >= 0 && spans[last].secret == w.secret && start >= spans[last].start && end <= spans[last].end {
			continue // inside the run of the last one
		}
		if w.blob {
			for start > 0 && isBase64(text[start-1]) {
				start--
			}
			for end < len(text) && isBase64(text[end]) {
				end++
			}
		}
		if last := len(spans) - 1; last >= 0 && spans[last].secret == w.secret && start <= spans[last].end && start >= spans[last].start {
			spans[last].end = max(spans[last].end, end)
		} else {
			spans = append(spans, found{start, end, w.secret})
		}
	}
	return spans
}

// isBase64 reports whether c is a letter of base64, plain or URL-safe, or its
// padding.
func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}

// unescapeAt is the byte that an escape at text[i] stands for, and the length
// of the escape; the byte itself and 1 where there is none. It knows %41, =41
// and the soft line break (RFC 2045 §6.7), \x41, \u0041, \" and HTML's
// references. A zero byte means "nothing".
func unescapeAt(text string, i int) (byte, int) {
	rest := text[i:]
	switch rest[0] {
	case '%':
		if b, ok := hexByte(rest, 1); ok {
			return b, 3
		}
	case '=':
		if b, ok := hexByte(rest, 1); ok {
			return b, 3
		}
		if strings.HasPrefix(rest, "=\n") {
			return 0, 2
		}
		if strings.HasPrefix(rest, "=\r\n") {
			return 0, 3
		}
	case '\\':
		if len(rest) < 2 {
			break
		}
		switch rest[1] {
		case '"', '\'', '\\', '/':
			return rest[1], 2
		case 'n', 'r', 't':
			return 0, 2
		case 'x':
			if b, ok := hexByte(rest, 2); ok {
				return b, 4
			}
		case 'u':
			if strings.HasPrefix(rest, `\u00`) {
				if b, ok := hexByte(rest, 4); ok {
					return b, 6
				}
			}
		}
	case '&':
		return unescapeHTML(rest)
	}
	return rest[0], 1
}

func unescapeHTML(rest string) (byte, int) {
	for _, e := range [...]struct {
		name string
		c    byte
	}{
		{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&nbsp;", 0}, {"&shy;", 0},
	} {
		if strings.HasPrefix(rest, e.name) {
			return e.c, len(e.name)
		}
	}
	if len(rest) < 4 || rest[1] != '#' {
		return rest[0], 1
	}
	base, i := 10, 2
	if rest[2] == 'x' || rest[2] == 'X' {
		base, i = 16, 3
	}
	v := 0
	for start := i; i < len(rest) && i-start < 7; i++ {
		d := unhex(rest[i])
		if d < 0 || d >= base {
			break
		}
		v = v*base + d
	}
	if v == 0 || v > 0xff || i >= len(rest) || rest[i] != ';' {
		return rest[0], 1
	}
	return byte(v), i + 1
}

func hexByte(s string, i int) (byte, bool) {
	if i+2 > len(s) {
		return 0, false
	}
	h, l := unhex(s[i]), unhex(s[i+1])
	if h < 0 || l < 0 {
		return 0, false
	}
	return byte(h<<4 | l), true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
