package analyze

import (
	"bytes"
	"encoding/base64"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// maxWords is how many bytes of the fault's words are kept for causes that key
// on them.
const maxWords = 400

// observe reduces an item to what the inversion compares.
func (j *judge) observe(c *ndr.Case, it *ndr.Item, stage transcript.Stage, kind transcript.Kind) Observation {
	obs := Observation{
		Stage:     stage,
		Port:      servicePort(firstPort(it.Port, it.Refuser.Port, it.Target.Port)),
		Reply:     it.Reply,
		Kind:      kind,
		Fault:     it.Fault,
		Secure:    it.Secure,
		Implicit:  it.Implicit,
		LoggedIn:  it.Authenticated,
		Sender:    it.Sender,
		Recipient: it.Recipient,
		Via:       c.Format,
		Host:      name(j.dialled(it)),
		When:      it.When,
		Tester:    hasNote(c, noteTester),
	}
	obs.Online = strings.HasSuffix(it.Reporter.Host, ".prod.outlook.com") && transcript.HostIsUnder(obs.Host, transcript.RelayDomain)
	if obs.Reply.IsZero() {
		obs.Reply = it.LocalReply
	}
	if !it.FaultSpan.IsZero() && j.quote != nil {
		obs.Words = words(j.quote(it.FaultSpan))
	}
	if it.Session != nil {
		fromSession(&obs, it.Session)
		obs.Login = loginOf(it.Session)
	}
	return obs
}

// loginOf is the user name of a dialogue's last AUTH LOGIN: the client's answer
// to the first 334. Empty where there is none or it was hidden, as what stands
// behind the command itself is when it is read: in AUTH PLAIN that is the password
// too.
func loginOf(s *transcript.Session) string {
	name := ""
	for i := range s.Exchanges {
		if !strings.EqualFold(strings.TrimSpace(s.Exchanges[i].Command), "AUTH LOGIN") {
			continue
		}
		name = ""
		if s.Exchanges[i].Reply.Code != 334 || i+1 == len(s.Exchanges) {
			continue
		}
		if b, err := base64.StdEncoding.DecodeString(s.Exchanges[i+1].Command); err == nil && plainName(b) {
			name = string(b)
		}
	}
	return name
}

// plainName reports whether bytes can be a user name that somebody typed.
func plainName(b []byte) bool {
	return len(b) > 0 && len(b) <= 254 && !bytes.ContainsFunc(b, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// servicePort is a port that the service has, or 0: what the table says does not
// hang on another number that somebody entered.
func servicePort(port int) int {
	switch port {
	case 25, 465, 587:
		return port
	}
	return 0
}

// words is the text of a fault as causes compare it: lower case, one blank
// between words, bounded.
func words(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords]
	}
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= 0x80 || c == '\n' || c == '\r' || c == '\t' || (c == ' ' && i > 0 && s[i-1] == ' ') {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.ToLower(strings.Join(strings.Fields(s), " "))
}

// fromSession adds what a dialogue shows to an observation. Facts that are
// already known stay.
func fromSession(obs *Observation, s *transcript.Session) {
	if obs.Port == 0 {
		obs.Port = servicePort(s.Port)
	}
	obs.Implicit = fact(s.Implicit || tlsFirst(s))
	if obs.Host == "" {
		obs.Host = s.Server
		if obs.Host == "" {
			obs.Host = s.Address
		}
	}
	if s.TLS != nil && s.TLS.Problem != "" {
		obs.TLS = s.TLS.Problem
	}
	list := s.Before
	if s.After != nil {
		list = s.After
	}
	if askedEHLO(s) {
		obs.Offered = offers(list, "AUTH")
		obs.StartTLS = offers(s.Before, "STARTTLS")
	}
	if obs.Port != 587 && obs.StartTLS == transcript.No && obs.Stage != transcript.StageTLS {
		// TLS is optional on 25: what failed later did not fail for want of it.
		obs.StartTLS = transcript.Unknown
	}
	obs.Masked = masked(s)
	failure := s.FirstFailureIndex()
	tried := transcript.No
	loggedIn := transcript.No
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if failure >= 0 && i > failure {
			break
		}
		switch transcript.Verb(e.Command) {
		case "AUTH":
			if e.Skipped == "" {
				tried = transcript.Yes
			}
			if e.Reply.Code == 235 {
				loggedIn = transcript.Yes
			}
		case "MAIL":
			if obs.Sender == "" && e.Skipped == "" {
				obs.Sender, _, _ = transcript.Path(e.Command)
			}
		case "RCPT":
			if obs.Recipient == "" && e.Skipped == "" {
				obs.Recipient, _, _ = transcript.Path(e.Command)
			}
		default:
			// The answer to the last line of AUTH LOGIN stands beside a masked
			// line without a verb.
			if e.Stage == transcript.StageAuth && e.Reply.Code == 235 {
				loggedIn = transcript.Yes
			}
		}
	}
	if obs.AuthTried == transcript.Unknown {
		obs.AuthTried = tried
	}
	if obs.LoggedIn == transcript.Unknown {
		obs.LoggedIn = loggedIn
	}
	if obs.Secure == transcript.Unknown && failure >= 0 && (s.Exchanges[failure].Secure || fromTheStart(s)) {
		obs.Secure = fact(s.Exchanges[failure].Secure)
	}
	if obs.When.IsZero() && !s.Began.IsZero() {
		obs.When = s.Began
	}
}

// fromTheStart reports whether a session is there from its beginning, so that what it
// does not show was not done. A text may begin in mid-talk.
func fromTheStart(s *transcript.Session) bool {
	if s.Before != nil {
		return true
	}
	for i := range s.Exchanges {
		switch e := &s.Exchanges[i]; e.Stage {
		case transcript.StageResolve, transcript.StageConnect, transcript.StageGreet:
			return true
		case transcript.StageUnknown:
		default:
			return transcript.Verb(e.Command) == "EHLO" || transcript.Verb(e.Command) == "HELO"
		}
	}
	return false
}

// tlsFirst reports whether TLS was tried before anything was said: a dialogue
// that begins so was meant for a port that speaks TLS at once.
func tlsFirst(s *transcript.Session) bool {
	for i := range s.Exchanges {
		switch e := &s.Exchanges[i]; e.Stage {
		case transcript.StageResolve, transcript.StageConnect:
		case transcript.StageTLS:
			return e.Command == "" && e.Skipped == ""
		default:
			return false
		}
	}
	return false
}

// askedEHLO reports whether the client said EHLO: to a HELO no server lists what
// it offers.
func askedEHLO(s *transcript.Session) bool {
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; transcript.Verb(e.Command) == "EHLO" && e.Skipped == "" {
			return true
		}
	}
	return len(s.Before) > 0 || len(s.After) > 0
}

func fact(b bool) transcript.Fact {
	if b {
		return transcript.Yes
	}
	return transcript.No
}

// offers says whether an EHLO list holds a keyword; Unknown for a list that was
// not seen.
func offers(list []string, keyword string) transcript.Fact {
	if list == nil {
		return transcript.Unknown
	}
	for _, l := range list {
		if len(l) >= len(keyword) && strings.EqualFold(l[:len(keyword)], keyword) &&
			(len(l) == len(keyword) || l[len(keyword)] == ' ' || l[len(keyword)] == '=' || l[len(keyword)] == '\t') {
			return transcript.Yes
		}
	}
	return transcript.No
}

// masked reports whether a middlebox overwrote the banner with stars or
// capabilities with X (firewalls that "fix up" SMTP).
func masked(s *transcript.Session) bool {
	for _, l := range s.Before {
		if maskedWord(l) {
			return true
		}
	}
	return starred(s)
}

// starred reports whether the greeting is overwritten with stars.
func starred(s *transcript.Session) bool {
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; e.Stage == transcript.StageGreet {
			t := e.Reply.Text()
			return strings.Count(t, "*") >= 4 && strings.Count(t, "*")*2 >= len(t)
		}
	}
	return false
}

// maskedWord reports whether a capability is a run of X of at least four
// letters, at most the last differing: XXXXXXXA, XXXX.
func maskedWord(s string) bool {
	if len(s) < 4 {
		return false
	}
	for i := 0; i < len(s)-1; i++ {
		if s[i] != 'X' {
			return false
		}
	}
	return true
}

func inboundFact(d Direction) transcript.Fact {
	switch d {
	case Inbound:
		return transcript.Yes
	case Outbound:
		return transcript.No
	}
	return transcript.Unknown
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func formatTime(t time.Time) string { return t.Format(time.RFC3339) }
