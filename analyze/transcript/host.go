package transcript

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// RelayDomain is the domain of the service: a host is the relay's when its last
// labels are exactly these (contract §3, article A6).
const RelayDomain = "ppe-hosted.com"

// HostIsUnder reports whether the last labels of host are exactly domain, case
// folded, with or without the root dot. The domain itself is under itself. A
// name with anything but letters, digits, hyphens, underscores and dots is
// nobody's: non-ASCII names are compared as A-labels, which the caller makes,
// and an escaped dot (`mx1\.ppe-hosted.com`) is part of a label.
func HostIsUnder(host, domain string) bool {
	host = strings.TrimSuffix(host, ".")
	domain = strings.TrimSuffix(strings.TrimPrefix(domain, "."), ".")
	if domain == "" || len(host) < len(domain) || len(host) > maxHost {
		return false
	}
	cut := len(host) - len(domain)
	if !equalFoldASCII(host[cut:], domain) {
		return false
	}
	if cut == 0 {
		return plainHost(host)
	}
	return cut > 1 && host[cut-1] == '.' && plainHost(host)
}

// HostIsUnderAny is HostIsUnder for several domains.
func HostIsUnderAny(host string, domains []string) bool {
	for _, d := range domains {
		if HostIsUnder(host, d) {
			return true
		}
	}
	return false
}

const maxHost = 1024 // bytes; RFC 1035 allows 255, dialled names with search suffixes stay far below this

func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func plainHost(host string) bool {
	prev := byte('.')
	for i := 0; i < len(host); i++ {
		c := host[i]
		switch {
		case c == '.':
			if prev == '.' {
				return false
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c), c == '-', c == '_':
		default:
			return false
		}
		prev = c
	}
	return prev != '.'
}

// Lookalike reports whether host is none of the domains but looks like one:
// another ending or a prefix ("ppe-hosted.com.corp.test", "notppe-hosted.com",
// "ppe-hosted.net"), a letter or two off ("pphosted.com", "ppe-h0sted.com"), or
// letters of other scripts, as written or as an A-label.
func Lookalike(host string, domains []string) bool {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > maxHost || HostIsUnderAny(host, domains) {
		return false
	}
	if len(host) > 4 && host[3] == '-' && strings.Trim(host[:3], "0123456789") == "" && HostIsUnderAny(host[4:], domains) {
		return false // the code of a reply of several lines stands before it: 250-smtp.example.net
	}
	h := skeleton(host)
	for _, d := range domains {
		d = strings.ToLower(strings.Trim(d, "."))
		if len(d) < 6 || strings.Count(d, ".") == 0 {
			continue
		}
		if looksLike(h, skeleton(d)) {
			return true
		}
	}
	return false
}

func looksLike(h, d string) bool {
	// The whole domain stands somewhere in the name, or is its end when the
	// letters of other scripts are mapped.
	if strings.Contains(h, d) {
		return true
	}
	want, top, _ := strings.Cut(d, ".")
	if strings.IndexByte(top, '.') >= 0 {
		// Below somebody's own domain "mail" and "mail2" are just neighbours.
		return false
	}
	if len(want) >= 6 {
		for label, rest, more := "", h, true; more; {
			if label, rest, more = strings.Cut(rest, "."); label == want && (more || strings.ContainsRune(want, '-')) {
				return true // another ending; in the last place it is a top-level domain, unless no such can be
			}
		}
	}
	last := strings.LastIndexByte(h, '.')
	if last < 0 {
		return false
	}
	end := h[strings.LastIndexByte(h[:last], '.')+1:] // its last two labels
	near := 0
	switch {
	case len(d) >= 12:
		near = 2
	case len(d) >= 9:
		near = 1
	}
	return near > 0 && Distance(end, d, near) <= near
}

// skeleton lowers a name, decodes its A-labels, drops what cannot be seen and
// maps the letters that are commonly mistaken for ASCII ones.
func skeleton(host string) string {
	if isSkeleton(host) {
		return host
	}
	var b strings.Builder
	for i, label := range strings.Split(strings.ToLower(host), ".") {
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.HasPrefix(label, "xn--") {
			if u, ok := punycode(label[4:]); ok {
				label = u
			}
		}
		for _, r := range label {
			if r < utf8.RuneSelf {
				switch r {
				case '0':
					r = 'o'
				case '1':
					r = 'l'
				}
				b.WriteByte(byte(r))
				continue
			}
			b.WriteRune(unmask(r))
		}
	}
	return b.String()
}

// isSkeleton reports whether a name is its own skeleton, as most are.
func isSkeleton(host string) bool {
	for i := 0; i < len(host); i++ {
		if c := host[i]; c >= utf8.RuneSelf || c == '0' || c == '1' || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return !strings.Contains(host, "xn--")
}

// unmask maps a letter of another script to the ASCII letter it looks like.
func unmask(r rune) rune {
	r = unicode.ToLower(r)
	for _, m := range [...]struct {
		letter byte
		like   string
	}{
		{'a', "аαàáâãäåāɑ"},
		{'c', "сϲçć"},
		{'d', "ԁđɗ"},
		{'e', "еεèéêëēёҽ"},
		{'h', "һħհ"},
		{'i', "іιìíîïıɩ"},
		{'j', "јϳ"},
		{'m', "мṃ"},
		{'n', "ոñńη"},
		{'o', "оοօòóôõöøō"},
		{'p', "рρϱþ"},
		{'s', "ѕśşšꜱ"},
		{'t', "тτťţ"},
		{'x', "хχ"},
		{'y', "уγýÿ"},
		{'-', "‐‑‒–—―−﹘﹣－ー"},
	} {
		if strings.ContainsRune(m.like, r) {
			return rune(m.letter)
		}
	}
	return r
}

// punycode decodes the part of an A-label after "xn--" (RFC 3492 §6.2).
func punycode(s string) (string, bool) {
	const base, tmin, tmax, skew, damp = 36, 1, 26, 38, 700
	if len(s) > 63 {
		return "", false
	}
	var out []rune
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		out = []rune(s[:i])
		s = s[i+1:]
	}
	n, i, bias := rune(128), 0, 72
	for pos := 0; pos < len(s); {
		old, w := i, 1
		for k := base; ; k += base {
			if pos >= len(s) {
				return "", false
			}
			var digit int
			switch c := s[pos]; {
			case c >= 'a' && c <= 'z':
				digit = int(c - 'a')
			case isDigit(c):
				digit = int(c-'0') + 26
			default:
				return "", false
			}
			pos++
			i += digit * w
			if i > 1<<26 {
				return "", false
			}
			t := min(max(k-bias, tmin), tmax)
			if digit < t {
				break
			}
			if w *= base - t; w > 1<<26 {
				return "", false
			}
		}
		size := len(out) + 1
		delta := (i - old) / 2
		if old == 0 {
			delta = (i - old) / damp
		}
		delta += delta / size
		k := 0
		for ; delta > (base-tmin)*tmax/2; k += base {
			delta /= base - tmin
		}
		bias = k + (base-tmin+1)*delta/(delta+skew)
		n += rune(i / size)
		i %= size
		if n > unicode.MaxRune {
			return "", false
		}
		out = append(out, 0)
		copy(out[i+1:], out[i:])
		out[i] = n
		i++
	}
	return string(out), true
}

// Distance is the Levenshtein distance of two strings in bytes, 0 to limit, or
// limit+1 when it is greater: then it is not computed to the end.
func Distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	var few [64]int
	row := few[:]
	if len(b) >= len(few) {
		row = make([]int, len(b)+1)
	}
	row = row[:len(b)+1]
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		best := i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
			best = min(best, row[j])
		}
		if best > limit {
			return limit + 1
		}
	}
	return row[len(b)]
}
