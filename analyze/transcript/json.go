package transcript

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The JSON form of a session. Field names are stable and only added to; unknown
// fields are passed over on reading. Times within a session are milliseconds
// since it began, exact to the nanosecond. Before and After are null when the
// lists were not seen. Strings that are no UTF-8 are kept without loss: then
// all strings of that object stand with a backslash doubled and each odd byte
// as \xNN, and "escaped" says so.
type (
	sessionJSON struct {
		Source    string         `json:"source,omitempty"`
		Client    string         `json:"client,omitempty"`
		Server    string         `json:"server,omitempty"`
		Address   string         `json:"address,omitempty"`
		Port      int            `json:"port,omitempty"`
		Implicit  bool           `json:"implicit,omitempty"`
		Plan      *planJSON      `json:"plan,omitempty"`
		Began     time.Time      `json:"began,omitzero"`
		TLS       *tlsJSON       `json:"tls,omitempty"`
		Before    []string       `json:"before_tls"`
		After     []string       `json:"after_tls"`
		Exchanges []exchangeJSON `json:"exchanges"`
		Span      spanJSON       `json:"span,omitzero"`
		Escaped   bool           `json:"escaped,omitempty"`
	}
	planJSON struct {
		Intent      string   `json:"intent,omitempty"`
		Credential  bool     `json:"credential,omitempty"`
		StopAfter   Stage    `json:"stop_after,omitempty"`
		LoginSender string   `json:"login_sender,omitempty"`
		From        []string `json:"from,omitempty"`
		To          []string `json:"to,omitempty"`
		Partial     bool     `json:"partial,omitempty"`
		Escaped     bool     `json:"escaped,omitempty"`
	}
	tlsJSON struct {
		Version   string           `json:"version,omitempty"`
		Cipher    string           `json:"cipher,omitempty"`
		Curve     string           `json:"curve,omitempty"`
		Names     []string         `json:"names,omitempty"`
		Subject   string           `json:"subject,omitempty"`
		Issuer    string           `json:"issuer,omitempty"`
		NotBefore time.Time        `json:"not_before,omitzero"`
		NotAfter  time.Time        `json:"not_after,omitzero"`
		Earliest  time.Time        `json:"earliest_not_after,omitzero"`
		Stapled   string           `json:"stapled,omitempty"`
		Verified  string           `json:"verified,omitempty"`
		Problem   string           `json:"problem,omitempty"`
		Detail    string           `json:"detail,omitempty"`
		Alert     string           `json:"alert,omitempty"`
		Chain     []string         `json:"chain,omitempty"`
		Versions  []tlsVersionJSON `json:"versions,omitempty"`
		Escaped   bool             `json:"escaped,omitempty"`
	}
	tlsVersionJSON struct {
		Version  string `json:"version"`
		Accepted string `json:"accepted,omitempty"`
		Alert    string `json:"alert,omitempty"`
		Escaped  bool   `json:"escaped,omitempty"`
	}
	exchangeJSON struct {
		Stage   string    `json:"stage"`
		Command string    `json:"command,omitempty"`
		Reply   replyJSON `json:"reply,omitzero"`
		Fault   string    `json:"fault,omitempty"`
		Detail  string    `json:"detail,omitempty"`
		Skipped string    `json:"skipped,omitempty"`
		Secure  bool      `json:"secure,omitempty"`
		Grouped bool      `json:"grouped,omitempty"`
		Sent    millis    `json:"sent_ms,omitempty"`
		Took    millis    `json:"took_ms,omitempty"`
		Span    spanJSON  `json:"span,omitzero"`
		Escaped bool      `json:"escaped,omitempty"`
	}
	replyJSON struct {
		Code     int      `json:"code,omitempty"`
		Enhanced string   `json:"enhanced,omitempty"`
		Lines    []string `json:"lines,omitempty"`
		At       []millis `json:"at_ms,omitempty"`
		Span     spanJSON `json:"span,omitzero"`
	}
	spanJSON struct {
		Offset int `json:"offset"`
		End    int `json:"end"`
		Line   int `json:"line"`
		Column int `json:"column"`
	}
	// millis is a duration as a JSON number of milliseconds.
	millis time.Duration
)

// IsZero is for omitzero: slices keep the struct from being compared.
func (r replyJSON) IsZero() bool {
	return r.Code == 0 && r.Enhanced == "" && len(r.Lines) == 0 && len(r.At) == 0 && r.Span == spanJSON{}
}

// MarshalJSON implements json.Marshaler.
func (m millis) MarshalJSON() ([]byte, error) {
	d := int64(m)
	sign := ""
	u := uint64(d)
	if d < 0 {
		sign, u = "-", uint64(-d)
	}
	s := fmt.Sprintf("%s%d.%06d", sign, u/1e6, u%1e6)
	return []byte(strings.TrimSuffix(strings.TrimRight(s, "0"), ".")), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *millis) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, _ := strings.Cut(digits, ".")
	n, err := strconv.ParseUint(whole, 10, 43)
	if err != nil || len(frac) > 6 || strings.ContainsAny(frac, "eE+-") {
		// Not a number of ours (an exponent, too many digits): near enough.
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f > 9e12 || f < -9e12 {
			return fmt.Errorf("%.40q is not a number of milliseconds", s)
		}
		*m = millis(f * 1e6)
		return nil
	}
	f, err := strconv.ParseUint((frac + "000000")[:6], 10, 32)
	if err != nil {
		return fmt.Errorf("%.40q is not a number of milliseconds", s)
	}
	*m = millis(n*1e6 + f)
	if negative {
		*m = -*m
	}
	return nil
}

// MarshalJSON implements json.Marshaler. Nothing in the document needs further
// escaping to be shown, see EscapeJSON.
func (s Session) MarshalJSON() ([]byte, error) {
	j := sessionJSON{
		Source: s.Source, Client: s.Client, Server: s.Server, Address: s.Address, Port: s.Port,
		Implicit: s.Implicit, Began: s.Began, Before: s.Before, After: s.After, Span: spanJSON(s.Span),
		Exchanges: make([]exchangeJSON, len(s.Exchanges)),
	}
	j.Escaped = escapeAll(&j.Before, &j.After, &j.Source, &j.Client, &j.Server, &j.Address)
	if p := s.Plan; p != nil {
		j.Plan = &planJSON{
			Intent: p.Intent, Credential: p.Credential, StopAfter: p.StopAfter, LoginSender: p.LoginSender,
			From: p.From, To: p.To, Partial: p.Partial,
		}
		x := j.Plan
		stop := string(x.StopAfter)
		x.Escaped = escapeAll(&x.From, &x.To, &x.Intent, &stop, &x.LoginSender)
		x.StopAfter = Stage(stop)
	}
	if t := s.TLS; t != nil {
		j.TLS = &tlsJSON{
			Version: t.Version, Cipher: t.Cipher, Curve: t.Curve, Names: t.Names, Subject: t.Subject, Issuer: t.Issuer,
			NotBefore: t.NotBefore, NotAfter: t.NotAfter, Earliest: t.Earliest, Stapled: t.Stapled.String(),
			Verified: t.Verified.String(), Problem: t.Problem, Detail: t.Detail, Alert: t.Alert, Chain: t.Chain,
		}
		x := j.TLS
		for _, v := range t.Versions {
			o := tlsVersionJSON{Version: v.Version, Accepted: v.Accepted.String(), Alert: v.Alert}
			o.Escaped = escapeAll(nil, nil, &o.Version, &o.Alert)
			x.Versions = append(x.Versions, o)
		}
		x.Escaped = escapeAll(&x.Names, &x.Chain, &x.Version, &x.Cipher, &x.Curve, &x.Subject, &x.Issuer, &x.Problem, &x.Detail, &x.Alert)
	}
	for i := range s.Exchanges {
		e, x := &s.Exchanges[i], &j.Exchanges[i]
		*x = exchangeJSON{
			Stage: string(e.Stage), Command: e.Command, Fault: string(e.Fault), Detail: e.Detail, Skipped: e.Skipped,
			Secure: e.Secure, Grouped: e.Grouped, Sent: millis(e.Sent), Took: millis(e.Took), Span: spanJSON(e.Span),
			Reply: replyJSON{Code: e.Reply.Code, Enhanced: e.Reply.Enhanced, Lines: e.Reply.Lines, Span: spanJSON(e.Reply.Span)},
		}
		for _, at := range e.Reply.At {
			x.Reply.At = append(x.Reply.At, millis(at))
		}
		x.Escaped = escapeAll(&x.Reply.Lines, nil, &x.Stage, &x.Command, &x.Fault, &x.Detail, &x.Skipped, &x.Reply.Enhanced)
	}
	b, err := json.Marshal(j)
	return EscapeJSON(b), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Session) UnmarshalJSON(b []byte) error {
	var j sessionJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.Escaped {
		unescapeAll(j.Before, &j.Source, &j.Client, &j.Server, &j.Address)
		unescapeAll(j.After)
	}
	*s = Session{
		Source: j.Source, Client: j.Client, Server: j.Server, Address: j.Address, Port: j.Port,
		Implicit: j.Implicit, Began: j.Began, Before: j.Before, After: j.After, Span: Span(j.Span),
	}
	if p := j.Plan; p != nil {
		if p.Escaped {
			stop := string(p.StopAfter)
			unescapeAll(p.To)
			unescapeAll(p.From, &p.Intent, &stop, &p.LoginSender)
			p.StopAfter = Stage(stop)
		}
		s.Plan = &Plan{
			Intent: p.Intent, Credential: p.Credential, StopAfter: p.StopAfter, LoginSender: p.LoginSender,
			From: p.From, To: p.To, Partial: p.Partial,
		}
	}
	if t := j.TLS; t != nil {
		if t.Escaped {
			unescapeAll(t.Chain)
			unescapeAll(t.Names, &t.Version, &t.Cipher, &t.Curve, &t.Subject, &t.Issuer, &t.Problem, &t.Detail, &t.Alert)
		}
		s.TLS = &TLS{
			Version: t.Version, Cipher: t.Cipher, Curve: t.Curve, Names: t.Names, Subject: t.Subject, Issuer: t.Issuer,
			NotBefore: t.NotBefore, NotAfter: t.NotAfter, Earliest: t.Earliest, Stapled: parseFact(t.Stapled),
			Verified: parseFact(t.Verified), Problem: t.Problem, Detail: t.Detail, Alert: t.Alert, Chain: t.Chain,
		}
		for i := range t.Versions {
			v := &t.Versions[i]
			if v.Escaped {
				unescapeAll(nil, &v.Version, &v.Alert)
			}
			s.TLS.Versions = append(s.TLS.Versions, TLSVersion{v.Version, parseFact(v.Accepted), v.Alert})
		}
	}
	for i := range j.Exchanges {
		x := &j.Exchanges[i]
		if x.Escaped {
			unescapeAll(x.Reply.Lines, &x.Stage, &x.Command, &x.Fault, &x.Detail, &x.Skipped, &x.Reply.Enhanced)
		}
		e := Exchange{
			Stage: Stage(x.Stage), Command: x.Command, Fault: Fault(x.Fault), Detail: x.Detail, Skipped: x.Skipped,
			Secure: x.Secure, Grouped: x.Grouped, Sent: time.Duration(x.Sent), Took: time.Duration(x.Took), Span: Span(x.Span),
			Reply: Reply{Code: x.Reply.Code, Enhanced: x.Reply.Enhanced, Lines: x.Reply.Lines, Span: Span(x.Reply.Span)},
		}
		for _, at := range x.Reply.At {
			e.Reply.At = append(e.Reply.At, time.Duration(at))
		}
		s.Exchanges = append(s.Exchanges, e)
	}
	return nil
}

// escapeAll escapes all strings of an object when one of them is no UTF-8, and
// says whether it did. Lists are replaced, not written to.
func escapeAll(list, other *[]string, fields ...*string) bool {
	odd := false
	for _, f := range fields {
		odd = odd || !utf8.ValidString(*f)
	}
	for _, l := range []*[]string{list, other} {
		if l == nil {
			continue
		}
		for _, s := range *l {
			odd = odd || !utf8.ValidString(s)
		}
	}
	if !odd {
		return false
	}
	for _, f := range fields {
		*f = escapeBytes(*f)
	}
	for _, l := range []*[]string{list, other} {
		if l == nil || *l == nil {
			continue
		}
		escaped := make([]string, len(*l))
		for i, s := range *l {
			escaped[i] = escapeBytes(s)
		}
		*l = escaped
	}
	return true
}

func unescapeAll(list []string, fields ...*string) {
	for _, f := range fields {
		*f = unescapeBytes(*f)
	}
	for i := range list {
		list[i] = unescapeBytes(list[i])
	}
}

// MarshalJSON implements json.Marshaler: null, false or true.
func (f Fact) MarshalJSON() ([]byte, error) {
	switch f {
	case No:
		return []byte("false"), nil
	case Yes:
		return []byte("true"), nil
	}
	return []byte("null"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Fact) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*f = Yes
	case "false":
		*f = No
	case "null":
		*f = Unknown
	default:
		return fmt.Errorf("%.40q is neither null, false nor true", b)
	}
	return nil
}
