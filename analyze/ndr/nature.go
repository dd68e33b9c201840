package ndr

import (
	"bytes"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// nothing is the case of a document that holds no report and no trace.
func (d *Document) nothing() Case {
	c := Case{Span: d.Span(0, len(d.Text))}
	if len(d.mails) > 0 {
		c.Nature = NatureOther
	}
	if len(d.Text) > 0 && !isText(d.Text[:min(len(d.Text), 8192)]) {
		c.Notes = append(c.Notes, Note{ID: "unreadable", Text: "The input is not text."})
	}
	return c
}

// mailNature says what a mail without a report in it is.
func mailNature(b *Block) Nature {
	if b.mail == nil {
		return NatureUnknown
	}
	m := b.mail
	switch m.report {
	case reportFeedback:
		return NatureComplaint
	case reportDisposition:
		return NatureReceipt
	}
	if m.kind == partCalendar || b.hasPart(partCalendar) {
		return NatureCalendar
	}
	if b.hasPart(partFeedback) {
		return NatureComplaint
	}
	if b.hasPart(partDisposition) {
		return NatureReceipt
	}
	if a := b.Header("auto-submitted"); len(a) > 0 && !foldPrefix(a, "no") {
		return NatureAutoreply
	}
	if b.Header("x-autoreply") != nil || b.Header("x-autorespond") != nil || b.Header("x-auto-response-suppress") != nil && foldPrefix(b.Header("x-auto-response-suppress"), "all") && autoreplySubject(b) {
		return NatureAutoreply
	}
	if p := b.Header("precedence"); foldPrefix(p, "auto_reply") || foldPrefix(p, "auto-reply") {
		return NatureAutoreply
	}
	if autoreplySubject(b) {
		return NatureAutoreply
	}
	if foldPrefix(b.Header("content-type"), "text/calendar") {
		return NatureCalendar
	}
	return NatureOther
}

// autoreplyWords are beginnings of the subjects of autoreplies, in lower case.
var autoreplyWords = []string{
	"auto:", "automatic reply", "automatische antwort", "automatische abwesenheits", "abwesenheitsnotiz", "abwesend:",
	"out of office", "out-of-office", "réponse automatique", "absence du bureau", "respuesta automática", "risposta automatica",
	"fuori sede", "automatisch antwoord", "afwezig:", "resposta automática", "autosvar", "auto-reply", "autoreply", "auto reply", "vacation",
	"自動応答", "自动答复",
}

func autoreplySubject(b *Block) bool {
	s := b.Header("subject")
	if len(s) == 0 {
		return false
	}
	s = []byte(strings.ToLower(string(decodeWords(s))))
	for _, w := range autoreplyWords {
		if bytes.HasPrefix(s, []byte(w)) {
			return true
		}
	}
	return false
}

// hasPart reports whether the block's mail has a part of the kind.
func (b *Block) hasPart(kind partKind) bool {
	if b.mail == nil {
		return false
	}
	for i := range b.Doc.parts {
		p := &b.Doc.parts[i]
		if p.kind == kind && p.start >= b.mail.start && p.end <= b.mail.end {
			return true
		}
	}
	return false
}

// mailCase is the case of a mail in which no family found anything.
func mailCase(b *Block) []Case {
	n := mailNature(b)
	switch n {
	case NatureUnknown:
		return nil
	case NatureOther, NatureAutoreply:
		if n == NatureAutoreply && autoreplySubject(b) {
			break
		}
		if c := cutReport(b); c != nil {
			return c
		}
		if b.headerOnly() && (n == NatureOther || b.mail.report == reportStatus) {
			return []Case{{Nature: NatureReport, Format: "mail", Items: []Item{{FromReport: true}}}}
		}
	}
	return []Case{{Nature: n, Format: "mail"}}
}

// dedupe drops a case that says the same as an earlier one: the text and the
// HTML of one mail, a report quoted twice.
func dedupe(cases []Case) []Case {
	if len(cases) < 2 {
		return cases
	}
	kept := cases[:0]
	for i := range cases {
		c := &cases[i]
		same := false
		for k := max(0, len(kept)-20); k < len(kept) && !same; k++ {
			same = sameCase(&kept[k], c)
		}
		if !same {
			kept = append(kept, *c)
		}
	}
	// Mails that report nothing say nothing beside those that do.
	reports := 0
	for i := range kept {
		if len(kept[i].Items) > 0 {
			reports++
		}
	}
	if reports == 0 || reports == len(kept) {
		return kept
	}
	out := kept[:0]
	for i := range kept {
		if len(kept[i].Items) > 0 || kept[i].Nature != NatureOther && kept[i].Nature != NatureUnknown {
			out = append(out, kept[i])
		}
	}
	return out
}

func sameCase(a, b *Case) bool {
	if a.Nature != NatureReport || b.Nature != NatureReport || len(a.Items) != len(b.Items) || len(a.Items) == 0 {
		return false
	}
	for i := range a.Items {
		x, y := &a.Items[i], &b.Items[i]
		if x.Recipient != y.Recipient || x.Recipient == "" || x.Refuser.Host != y.Refuser.Host || x.Reply.Code != y.Reply.Code || x.Target.Host != y.Target.Host || x.Reporter.Host != y.Reporter.Host || x.Action != y.Action {
			return false
		}
	}
	return true
}

// addMentions collects the mentions of a case: those with a role, the hops, and
// relay names that stand there without one. Look-alikes among those with a role
// get a note. named says whether the names without a role are wanted.
func (b *Block) addMentions(c *Case, relays []string, named bool) {
	all := c.Mentions
	if all == nil {
		all = b.Doc.roomForMentions()
	}
	for i := range c.Items {
		all = append(all, c.Items[i].Evidence...)
	}
	for i := range c.Hops {
		for _, m := range [...]*Mention{&c.Hops[i].From, &c.Hops[i].By} {
			if !m.IsZero() {
				all = append(all, *m)
			}
		}
	}
	if named {
		all = b.namedRelays(all, relays)
	}
	sortMentions(all)
	all = slices.CompactFunc(all, func(x, y Mention) bool { return x.Span.Offset == y.Span.Offset && x.Host == y.Host && x.Role == y.Role })
	c.Mentions = append([]Mention{}, all...)
	noted := map[string]bool(nil)
	for i := range all {
		m := &all[i]
		if m.Host == "" || !maybeLookalike(m.Host, relays) || noted[m.Host] {
			continue
		}
		if transcript.Lookalike(m.Host, relays) {
			if noted == nil {
				noted = make(map[string]bool)
			}
			noted[m.Host] = true
			c.Notes = append(c.Notes, Note{ID: "lookalike-host", Text: "The host " + m.Host + " looks like the relay and is another one.", Span: m.Span})
		}
	}
}

// namedRelays adds the relay names of the block that have no role: in an
// address, a link, an SPF text, prose.
func (b *Block) namedRelays(all []Mention, relays []string) []Mention {
	text := b.Text()
	start := b.Start()
	for _, d := range relays {
		upper := strings.ToUpper(d)
		if indexAnchored(text, upper) < 0 {
			upper = "" // looked for once, not behind every find
		}
		for at, n := 0, 0; n < 50; n++ {
			k := indexFoldDomain(text[at:], d, upper)
			if k < 0 {
				break
			}
			from, to := at+k, at+k+len(d)
			at = to
			if to < len(text) && (isWordByte(text[to]) || text[to] == '-' || text[to] == '.' && to+1 < len(text) && isWordByte(text[to+1])) {
				for to < len(text) && isHostByte(text[to]) {
					to++
				}
				at = to
			}
			for from > 0 && isHostByte(text[from-1]) {
				from--
			}
			name := bytes.Trim(text[from:to], ".")
			if !looksLikeHost(name) {
				continue
			}
			span := b.span(start+from, start+to)
			known := false
			for i := range all {
				if m := &all[i]; m.Span.Offset <= span.Offset && m.Span.End >= span.Offset {
					known = true
					break
				}
			}
			if !known {
				all = append(all, Mention{Host: hostName(name), Role: Named, Span: span})
			}
		}
	}
	return all
}

// indexFoldDomain finds a domain as written, in lower or in upper case.
func indexFoldDomain(text []byte, domain, upper string) int {
	k := indexAnchored(text, domain)
	if upper == "" {
		return k
	}
	if u := indexAnchored(text, upper); u >= 0 && (k < 0 || u < k) {
		return u
	}
	return k
}

// maybeLookalike is a cheap test that lets most names pass by: a name that
// looks like a domain keeps at least one of three pieces of it, or has letters
// that stand for others.
func maybeLookalike(host string, relays []string) bool {
	for _, d := range relays {
		if transcript.HostIsUnder(host, d) {
			return false
		}
		label, _, _ := strings.Cut(d, ".")
		if len(label) < 6 {
			return true
		}
		third := len(label) / 3
		if strings.Contains(host, label[:third]) || strings.Contains(host, label[third:2*third]) || strings.Contains(host, label[2*third:]) {
			return true
		}
	}
	if strings.Contains(host, "xn--") {
		return true
	}
	end := host
	if i := strings.LastIndexByte(host, '.'); i > 0 {
		end = host[strings.LastIndexByte(host[:i], '.')+1:]
	}
	return strings.ContainsAny(end, "01")
}

// decodeWords decodes the encoded words of a header value (RFC 2047).
func decodeWords(v []byte) []byte {
	if !bytes.Contains(v, []byte("=?")) {
		return v
	}
	s, err := wordDecoder.DecodeHeader(string(v))
	if err != nil {
		return v
	}
	return []byte(s)
}
