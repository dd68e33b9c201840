package probe

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// mechanism is the client's side of one SASL mechanism. Challenges are counted:
// servers word their prompts as they like.
type mechanism struct {
	name    string
	initial string // sent along with AUTH (RFC 4954 §4); empty: none
	// answer gives the response to challenge n, counted from 0, and whether
	// there is one. The text of the challenge is still in base64.
	answer func(n int, challenge string) (string, bool)
	// needs is how many answers the server must have had before its 235 says
	// anything about the password.
	needs int
}

// maxInitial is the longest AUTH line that a server must take (RFC 4954 §4).
const maxInitial = 12288

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func plain(c *Credential) mechanism {
	blob := b64("\x00" + c.username + "\x00" + c.password)
	m := mechanism{
		name: "PLAIN", initial: blob,
		// A server that does not take the initial response asks for it.
		answer: func(n int, _ string) (string, bool) { return blob, n == 0 },
	}
	if len(blob)+len("AUTH PLAIN \r\n") > maxInitial {
		m.initial, m.needs = "", 1
	}
	return m
}

func login(c *Credential, initial bool) mechanism {
	answers := []string{b64(c.username), b64(c.password)}
	if !initial {
		return mechanism{name: "LOGIN", needs: 2, answer: func(n int, _ string) (string, bool) {
			if n >= len(answers) {
				return "", false
			}
			return answers[n], true
		}}
	}
	again := 0 // 1 when the server asks for the user name all the same
	return mechanism{name: "LOGIN", initial: answers[0], needs: 1, answer: func(n int, challenge string) (string, bool) {
		if prompt, err := base64.StdEncoding.DecodeString(challenge); n == 0 && err == nil &&
			strings.HasPrefix(strings.ToLower(string(prompt)), "user") {
			again = 1
			return answers[0], true
		}
		return answers[1], n == again
	}}
}

func cramMD5(c *Credential) mechanism {
	return mechanism{name: "CRAM-MD5", needs: 1, answer: func(n int, challenge string) (string, bool) {
		text, err := base64.StdEncoding.DecodeString(challenge)
		if n > 0 || err != nil || len(text) == 0 {
			return "", false
		}
		mac := hmac.New(md5.New, []byte(c.password))
		mac.Write(text)
		return b64(c.username + " " + hex.EncodeToString(mac.Sum(nil))), true
	}}
}

func xoauth2(c *Credential) mechanism {
	return mechanism{
		name:    "XOAUTH2",
		initial: b64("user=" + c.username + "\x01auth=Bearer " + c.password + "\x01\x01"),
		// A challenge holds the reason of the refusal; the empty answer asks for
		// the final reply.
		answer: func(n int, _ string) (string, bool) { return "", n == 0 },
	}
}

// mechanismNames are the values of Plan.Mechanism beside "auto", which takes
// the first of PLAIN, LOGIN and CRAM-MD5 that is offered.
var mechanismNames = []string{"plain", "login", "cram-md5", "xoauth2"}

func (s *session) choose(offered []string) (mechanism, bool) {
	c := s.run.plan.Credential
	try := []string{"plain", "login", "cram-md5"}
	if m := strings.ToLower(s.run.plan.Mechanism); m != "" && m != "auto" {
		try = []string{m}
	}
	for _, name := range try {
		if !slices.Contains(offered, strings.ToUpper(name)) {
			continue
		}
		switch name {
		case "plain":
			return plain(c), true
		case "login":
			return login(c, s.run.opts.LoginInitial), true
		case "cram-md5":
			return cramMD5(c), true
		case "xoauth2":
			return xoauth2(c), true
		}
	}
	return mechanism{}, false
}

// gate lets one session of a run use the credential at a time, and none after
// it was refused: a second wrong try wakes lock-outs.
type gate struct {
	once   sync.Once
	key    chan struct{}
	closed bool // guarded by key
}

func (g *gate) enter(ctx context.Context) (open bool, err error) {
	g.once.Do(func() { g.key = make(chan struct{}, 1) })
	select {
	case g.key <- struct{}{}:
		if g.closed {
			<-g.key
			return false, nil
		}
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// leave opens the gate to the next session, unless the try may count as a wrong
// one: everything but success and a 4xx.
func (g *gate) leave(shut bool) {
	g.closed = g.closed || shut
	<-g.key
}

// auth logs in where that is planned, allowed and possible. It reports whether
// the dialogue goes on.
func (s *session) auth() bool {
	if !s.plans(transcript.StageAuth) {
		return true
	}
	skip := func(reason string, goOn bool) bool {
		s.skip(transcript.StageAuth, "AUTH", reason)
		if !goOn {
			s.ended, s.polite = reason, true
		}
		return goOn
	}
	on25 := s.port == 25
	if s.rec.TLS == nil || !s.secure() {
		return skip(SkipNoStartTLS, on25)
	}
	if s.rec.TLS.Verified != transcript.Yes && !s.run.opts.AllowAuthOverUntrusted {
		return skip(SkipUntrusted, on25)
	}
	if on25 && s.run.submission {
		return skip(SkipAuthPort, true)
	}
	offered := mechanismsOf(s.rec.After)
	if len(offered) == 0 {
		return skip(SkipNoAuth, on25)
	}
	m, ok := s.choose(offered)
	if !ok {
		return skip(SkipNoMechanism, on25)
	}
	open, err := s.run.gate.enter(s.ctx)
	if err != nil {
		s.interrupt(transcript.StageAuth, "AUTH")
		return false
	}
	if !open {
		return skip(SkipAuthRefused, false)
	}
	result, reply := s.sasl(m)
	s.run.gate.leave(result != done && reply.Class() != 4)
	switch result {
	case done:
		return true
	case refused:
		s.ended, s.polite = SkipFailed, true
	}
	return false
}

func (s *session) sasl(m mechanism) (outcome, transcript.Reply) {
	patience := max(s.run.timeout, authPatience)
	c := command{stage: transcript.StageAuth, line: "AUTH " + m.name, ok: []int{235, 334}}
	if m.initial != "" {
		c.line += " " + m.initial
	}
	for n := 0; ; n++ {
		reply, result := s.ask(c, patience)
		if result != done {
			return result, reply
		}
		if reply.Code == 235 {
			if n < m.needs {
				s.fault(transcript.FaultProtocol, "the server said 235 before it had the password: that is no log-in")
				return broken, reply
			}
			return done, reply
		}
		answer, has := m.answer(n, challengeOf(reply))
		if !has || n+1 >= maxChallenges {
			return s.cancelAuth()
		}
		c = command{stage: transcript.StageAuth, line: answer, ok: []int{235, 334}}
	}
}

// challengeOf is the text of a 334; a server that sends several lines gets the
// first one read.
func challengeOf(r transcript.Reply) string {
	line := r.Lines[0]
	return strings.TrimSpace(line[min(4, len(line)):])
}

// cancelAuth says "*" (RFC 4954 §4) and does not mind the answer: what the
// server would have decided is not known.
func (s *session) cancelAuth() (outcome, transcript.Reply) {
	reply, _ := s.ask(command{stage: transcript.StageAuth, line: "*", any: true}, min(s.run.timeout, courtesy))
	last := &s.rec.Exchanges[len(s.rec.Exchanges)-1]
	last.Skipped, last.Fault = SkipAuthCancelled, transcript.FaultNone
	s.ended = SkipAuthCancelled
	return broken, reply
}

// SkipAuthCancelled stands on the "*" by which we ended an AUTH whose server
// kept asking.
const SkipAuthCancelled = "interrupted: AUTH was cancelled, the server asks for more than the mechanism has"
