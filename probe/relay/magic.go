package relay

import (
	"strconv"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// MagicDomain is the domain whose recipients ask for the reply they get, for
// demonstrations and for tests of senders. The names are reserved (RFC 6761),
// so no real mail is ever meant. They are judged after the policy: a sender
// that may not relay is told so first.
//
//	CODE@fault.test            answered at RCPT: 554@fault.test, 421@fault.test
//	CODE.X.Y.Z@fault.test      the same with an enhanced code
//	data-CODE@fault.test       taken at RCPT, answered so after the final dot
//	bounce-CODE@fault.test     taken, and a report is made about it
const MagicDomain = "fault.test"

// magicReply is what a magic recipient asks for.
type magicReply struct {
	at       policy.Verb // Rcpt or EndData; Quit: a report afterwards
	code     int
	enhanced string
	address  string
}

// magic reads a magic recipient; nil for any other.
func magic(address string) *magicReply {
	local, domain, ok := strings.Cut(strings.ToLower(address), "@")
	if !ok || domain != MagicDomain {
		return nil
	}
	m := &magicReply{at: policy.Rcpt, address: address}
	if rest, ok := strings.CutPrefix(local, "data-"); ok {
		m.at, local = policy.EndData, rest
	} else if rest, ok := strings.CutPrefix(local, "bounce-"); ok {
		m.at, local = policy.Quit, rest
	}
	code, enhanced, has := strings.Cut(local, ".")
	n, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || n < 400 || n > 599 {
		return nil
	}
	m.code = n
	if has {
		f := strings.Split(enhanced, ".")
		if len(f) != 3 || f[0] != code[:1] || !digits(f[1]) || !digits(f[2]) {
			return nil
		}
		m.enhanced = enhanced
	} else {
		m.enhanced = code[:1] + ".0.0"
	}
	return m
}

func digits(s string) bool {
	_, ok := decimal(s)
	return ok && len(s) <= 3
}

// magicOf returns the first magic recipient that asks for a reply at the end of
// the message or for a report.
func magicOf(rcpts []string) *magicReply {
	for _, r := range rcpts {
		if m := magic(r); m != nil && m.at != policy.Rcpt {
			return m
		}
	}
	return nil
}

func (m *magicReply) reply() *decidedReply {
	return &decidedReply{
		Reply:    policy.Reply{Code: m.code, Enhanced: m.enhanced, Text: "<" + printable(m.address) + ">: the recipient asked for this reply"},
		Decision: Decision{Fault: "magic recipient", Note: "a recipient at " + MagicDomain + " asks for its own reply"},
	}
}
