package transcript

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FormatOptions shape the text form. The zero value is usable.
type FormatOptions struct {
	// Times puts a column of milliseconds since the session began before each
	// line, and the beginning into the head.
	Times bool
}

// Format writes a session as text in the marks of swaks, which people in mail
// know: "===" tells, "***" is an error, " -> " was sent, "<-  " received, "<**"
// received and a refusal; inside TLS the hyphen is a tilde. It reads like
//
//	=== Session: probe
//	=== Server: host=outbound-us1.ppe-hosted.com, address=192.0.2.10, port=587
//	=== Plan: intent=auth, credential=true, stop-after=envelope
//	=== Trying outbound-us1.ppe-hosted.com:587...
//	=== Connected to outbound-us1.ppe-hosted.com.
//	<-  220 mx1-us1.ppe-hosted.com ESMTP PPE Hosted ESMTP Server
//	 -> EHLO c.example
//	<-  250-mx1-us1.ppe-hosted.com
//	<-  250 STARTTLS
//	 -> STARTTLS
//	<-  220 2.0.0 Ready to start TLS
//	=== TLS started with cipher TLS 1.3:TLS_AES_128_GCM_SHA256
//	 ~> AUTH PLAIN [secret-1]
//	<~* 535 5.7.8 Error: authentication failed: authentication failure
//	=== MAIL not tried: the server refused AUTH
//
// A backslash in what was said is doubled, and what Escape would escape stands
// as \xNN for each byte, so that Parse gets the very bytes back and a terminal
// gets nothing that steers it. Whatever the marks do not tell stands in a line
// "=== Also: key=value".
//
// The text carries everything but spans; times only with FormatOptions.Times,
// in microseconds, where the time of the last reply line stands for Took.
func Format(w io.Writer, s *Session, opts FormatOptions) error {
	_, err := w.Write(AppendFormat(nil, s, opts))
	return err
}

// AppendFormat is Format into a slice.
func AppendFormat(dst []byte, s *Session, opts FormatOptions) []byte {
	f := formatter{out: dst, s: s, times: opts.Times}
	f.head()
	for i := range s.Exchanges {
		f.exchange(&s.Exchanges[i])
	}
	f.foot()
	return f.out
}

// formatter writes lines and lets the reader of Parse follow each of them, so
// that it knows what a reader makes of them and can add what is missing.
type formatter struct {
	out   []byte
	s     *Session
	times bool
	r     reader
	told  bool // the TLS facts are written
}

// noTime stands for "no time in the column".
const noTime = time.Duration(-1 << 63)

func (f *formatter) line(mark, text string, at time.Duration) {
	start := len(f.out)
	if f.r.timed {
		ms := ""
		if at != noTime {
			ms = formatMS(at)
		}
		if len(ms) >= timeColumn {
			ms = "" // over a day: no session lasts so long
		}
		f.out = fmt.Appendf(f.out, "%*s ", timeColumn-1, ms)
	}
	f.out = append(f.out, mark...)
	if text != "" || mark[0] == '<' {
		f.out = append(f.out, ' ')
		f.out = append(f.out, text...)
	}
	f.r.line(string(f.out[start:]), Span{})
	f.out = append(f.out, '\n')
}

const timeColumn = 13 // bytes of the column, its blank included

// formatMS writes a duration in milliseconds with three digits after the point.
func formatMS(d time.Duration) string {
	us := d.Round(time.Microsecond).Microseconds()
	sign := ""
	if us < 0 {
		sign, us = "-", -us
	}
	return fmt.Sprintf("%s%d.%03d", sign, us/1000, us%1000)
}

func parseMS(s string) (time.Duration, bool) {
	whole, frac, ok := strings.Cut(s, ".")
	if !ok || len(frac) != 3 {
		return 0, false
	}
	ms, err := strconv.ParseInt(whole, 10, 48)
	us, err2 := strconv.ParseUint(frac, 10, 16)
	if err != nil || err2 != nil {
		return 0, false
	}
	d := time.Duration(us) * time.Microsecond
	if strings.HasPrefix(whole, "-") {
		d = -d
	}
	return time.Duration(ms)*time.Millisecond + d, true
}

func (f *formatter) head() {
	s := f.s
	f.line("===", "Session: "+escapeBytes(s.Source), noTime)
	if f.times {
		var k keys
		k.time("began", s.Began)
		f.line("===", "Times: "+k.with("in", "ms"), noTime)
	}
	var k keys
	k.text("host", s.Server)
	k.text("address", s.Address)
	k.number("port", s.Port)
	k.flag("implicit", s.Implicit)
	k.text("client", s.Client)
	if len(k.b) > 0 {
		f.line("===", "Server: "+k.String(), noTime)
	}
	if s.Plan != nil {
		f.line("===", "Plan: "+s.Plan.keys().String(), noTime)
	}
}

func (f *formatter) foot() {
	f.tls()
	got := &f.r.sessions[len(f.r.sessions)-1]
	for _, x := range []struct {
		name      string
		want, got []string
	}{{"before", f.s.Before, got.Before}, {"after", f.s.After, got.After}} {
		if slices.Equal(x.want, x.got) && (x.want == nil) == (x.got == nil) {
			continue
		}
		var k keys
		k.list(x.name, x.want)
		f.line("===", "Offered: "+k.String(), noTime)
	}
}

// exchange writes one exchange: what started it, what was answered, how it
// broke; and then what a reader cannot see from that.
func (f *formatter) exchange(e *Exchange) {
	before := f.r.count()
	sent, end := noTime, noTime
	if f.times {
		sent, end = e.Sent, e.Sent+e.Took
	}
	dash := "-"
	if e.Secure {
		dash = "~"
	}
	if f.r.attach && (e.Command == "" && e.Skipped == "" && !e.Reply.IsZero()) {
		f.line("===", "The server went on:", noTime)
	}
	switch {
	case e.Skipped != "":
		label := e.Command
		switch {
		case Verb(label) != "":
		case e.Stage.Order() >= 0:
			label = string(e.Stage)
		default:
			label = "step"
		}
		f.line("===", escapeBytes(label)+" not tried: "+escapeBytes(e.Skipped), sent)
	case e.Command != "":
		f.line(" "+dash+">", escapeBytes(e.Command), sent)
	case f.r.wouldStart(e) != sent && f.times || e.Stage == StageConnect:
		if start := f.starting(e.Stage); start != "" {
			f.line("===", start, sent)
		}
	}
	hasAt := f.times && len(e.Reply.At) == len(e.Reply.Lines)
	mark := "<" + dash + " "
	switch {
	case e.Reply.Class() >= 4 && e.Secure:
		mark = "<~*"
	case e.Reply.Class() >= 4:
		mark = "<**"
	}
	for i, l := range e.Reply.Lines {
		at := noTime
		if hasAt {
			at = e.Reply.At[i]
		}
		f.line(mark, escapeBytes(l), at)
	}
	alone := e.Command == "" && e.Skipped == "" && len(e.Reply.Lines) == 0
	switch {
	case e.Fault != FaultNone:
		f.fault(e, alone, end)
	case alone:
		f.done(e, end)
	}
	if f.r.count() == before {
		// Nothing of the above began an exchange, as for a stage of no name.
		f.line("===", "Step.", end)
	}
	if e.Fault == FaultNone && e.Detail != "" {
		f.line("===", "Note: "+escapeBytes(e.Detail), noTime)
	}
	f.also(e)
	if alone && e.Stage == StageTLS {
		f.tls()
	}
}

func (f *formatter) target() string {
	if f.s.Server != "" {
		return escapeBytes(f.s.Server)
	}
	return escapeBytes(f.s.Address)
}

// starting is what is told when a step without a command begins.
func (f *formatter) starting(stage Stage) string {
	switch stage {
	case StageResolve:
		return "Looking up " + f.target() + "..."
	case StageConnect:
		if f.s.Port == 0 {
			return "Trying " + f.target() + "..."
		}
		return "Trying " + f.target() + ":" + strconv.Itoa(f.s.Port) + "..."
	case StageGreet:
		return "Waiting for the greeting..."
	case StageTLS:
		return "Starting TLS..."
	}
	return ""
}

// done tells that a step without command and reply went well.
func (f *formatter) done(e *Exchange, end time.Duration) {
	switch e.Stage {
	case StageResolve:
		f.line("===", "Resolved "+f.target()+".", end)
	case StageConnect:
		f.line("===", "Connected to "+f.target()+".", end)
	case StageTLS:
		text := "TLS started."
		if t := f.s.TLS; t != nil && t.Cipher != "" {
			text = "TLS started with cipher " + escapeBytes(t.Version) + ":" + escapeBytes(t.Cipher)
		}
		f.line("===", text, end)
	}
}

// faultWords are the fixed words of the faults.
var faultWords = [...]struct {
	fault Fault
	words string
}{
	{FaultDNS, "name lookup failed"},
	{FaultRefused, "connection refused"},
	{FaultTimeout, "timed out"},
	{FaultReset, "connection reset"},
	{FaultClosed, "connection closed"},
	{FaultTLS, "handshake failed"},
	{FaultCertificate, "certificate not verified"},
	{FaultInjection, "plaintext behind STARTTLS"},
	{FaultProtocol, "protocol broken"},
	{FaultLimit, "limit reached"},
}

// Words are the fixed words of the fault, as the text form and the screens say
// them: "connection refused". Empty for FaultNone.
func (f Fault) Words() string {
	for _, w := range faultWords {
		if w.fault == f {
			return w.words
		}
	}
	return string(f)
}

// stageFaults are the words before the fault when nothing was sent or received.
var stageFaults = [...]struct {
	stage Stage
	words string
}{
	{StageResolve, "Error resolving the name: "},
	{StageConnect, "Error connecting: "},
	{StageGreet, "No greeting: "},
	{StageTLS, "TLS startup failed: "},
}

func (f *formatter) fault(e *Exchange, alone bool, at time.Duration) {
	text := escapeBytes(e.Fault.Words())
	if e.Detail != "" {
		text += " (" + escapeBytes(e.Detail) + ")"
	}
	if alone {
		prefix := "Error: "
		for _, s := range stageFaults {
			if s.stage == e.Stage {
				prefix = s.words
			}
		}
		text = prefix + text
	}
	f.line("***", text, at)
}

// also adds what a reader of the lines so far would get wrong.
func (f *formatter) also(e *Exchange) {
	got := f.r.last()
	var k keys
	if got.Stage != e.Stage {
		k.always("stage", string(e.Stage))
	}
	if got.Command != e.Command {
		k.always("command", e.Command)
	}
	if got.Reply.Code != e.Reply.Code {
		k.always("code", strconv.Itoa(e.Reply.Code))
	}
	if got.Reply.Enhanced != e.Reply.Enhanced {
		k.always("enhanced", e.Reply.Enhanced)
	}
	if got.Fault != e.Fault {
		k.always("fault", string(e.Fault))
	}
	if got.Detail != e.Detail {
		k.always("detail", e.Detail)
	}
	if got.Skipped != e.Skipped {
		k.always("skipped", e.Skipped)
	}
	if got.Secure != e.Secure {
		k.always("secure", strconv.FormatBool(e.Secure))
	}
	k.flag("grouped", e.Grouped)
	if f.times {
		if got.Sent != e.Sent.Round(time.Microsecond) {
			k.always("sent", formatMS(e.Sent))
		}
		if len(got.Reply.At) == 0 && got.Took != e.Took.Round(time.Microsecond) {
			k.always("took", formatMS(e.Took))
		}
	}
	if len(k.b) > 0 {
		f.line("===", "Also: "+k.String(), noTime)
	}
}

func (f *formatter) tls() {
	t := f.s.TLS
	if t == nil || f.told {
		return
	}
	f.told = true
	var layer, peer, valid, checked, chain, asked keys
	layer.text("version", t.Version)
	layer.text("cipher", t.Cipher)
	layer.text("curve", t.Curve)
	peer.text("subject", t.Subject)
	peer.text("issuer", t.Issuer)
	if t.Names != nil {
		peer.list("names", t.Names)
	}
	valid.time("from", t.NotBefore)
	valid.time("to", t.NotAfter)
	valid.time("earliest", t.Earliest)
	checked.text("verified", t.Verified.String())
	checked.text("stapled", t.Stapled.String())
	checked.text("problem", t.Problem)
	checked.text("detail", t.Detail)
	checked.text("alert", t.Alert)
	for _, s := range t.Chain {
		chain.always("chain", s)
	}
	for _, v := range t.Versions {
		asked.always("asked", v.Version)
		asked.text("accepted", v.Accepted.String())
		asked.text("answer", v.Alert)
	}
	f.line("===", "TLS layer: "+layer.String(), noTime)
	for _, x := range []struct {
		name string
		k    keys
	}{{"peer", peer}, {"chain", chain}, {"valid", valid}, {"checked", checked}, {"versions", asked}} {
		if len(x.k.b) > 0 {
			f.line("===", "TLS "+x.name+": "+x.k.String(), noTime)
		}
	}
}

// String is "no" or "yes", and empty for Unknown.
func (f Fact) String() string {
	switch f {
	case No:
		return "no"
	case Yes:
		return "yes"
	}
	return ""
}

// parseFact reads what String wrote; everything else is Unknown.
func parseFact(s string) Fact {
	switch s {
	case "no":
		return No
	case "yes":
		return Yes
	}
	return Unknown
}

// keys collects "key=value, key=value". A value is bare where it may be.
type keys struct{ b []byte }

func (k *keys) always(name, value string) {
	if len(k.b) > 0 {
		k.b = append(k.b, ", "...)
	}
	k.b = append(k.b, name...)
	k.b = append(k.b, '=')
	k.b = append(k.b, quoteValue(value)...)
}

func (k *keys) String() string { return string(k.b) }

func (k *keys) text(name, value string) {
	if value != "" {
		k.always(name, value)
	}
}

func (k *keys) with(name, value string) string {
	k.always(name, value)
	return k.String()
}

func (k *keys) number(name string, n int) {
	if n != 0 {
		k.always(name, strconv.Itoa(n))
	}
}

func (k *keys) flag(name string, yes bool) {
	if yes {
		k.always(name, "true")
	}
}

func (k *keys) time(name string, t time.Time) {
	if !t.IsZero() {
		k.always(name, t.UTC().Format(time.RFC3339Nano))
	}
}

// list writes one key per member: none for an empty list but the bare name
// with "none", and "unseen" for nil.
func (k *keys) list(name string, list []string) {
	switch {
	case list == nil:
		k.always(name+"-unseen", "true")
	case len(list) == 0:
		k.always(name+"-none", "true")
	}
	for _, v := range list {
		k.always(name, v)
	}
}

func quoteValue(v string) string {
	bare := v != ""
	for i := 0; i < len(v) && bare; i++ {
		c := v[i]
		bare = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._:@<>+/-[]", c) >= 0
	}
	if bare {
		return v
	}
	return `"` + strings.ReplaceAll(escapeBytes(v), `"`, `\"`) + `"`
}

// escapeBytes is the reversible form of Escape: a backslash is doubled, each
// byte of what must not be shown is \xNN.
func escapeBytes(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= 0x20 && s[i] < 0x7f && s[i] != '\\'
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == 0xfffd && !strings.HasPrefix(s[i:], "\ufffd"):
			writeByte(&b, s[i])
		case Forbidden(r):
			for j := range len(string(r)) {
				writeByte(&b, s[i+j])
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unescapeBytes undoes escapeBytes; a backslash before anything else stays.
func unescapeBytes(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if s[i+1] == '\\' || s[i+1] == '"' {
				i++
				b = append(b, s[i])
				continue
			}
			if s[i+1] == 'x' {
				if c, ok := hexByte(s, i+2); ok {
					b = append(b, c)
					i += 3
					continue
				}
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
