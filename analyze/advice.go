package analyze

import (
	"slices"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The relay denies with the same words whatever the try lacked: the port, the
// login or the sender. What is done already, as far as the text shows it, is not
// asked for again.

// denied is what a relay denial asks for after a try of one sort.
type denied struct {
	do   string // for the headline
	next string // what the party of the outcome does
	fix  string // what the sending system does; empty: nothing
}

// wantsLogin reports whether a stated port takes mail from those who log in and
// from nobody else.
func wantsLogin(port int) bool { return port == 587 || port == 465 }

// deniedAfter reports false where the try says nothing of port and login: the
// words of the rule and of the page stand then.
func deniedAfter(port int, tried, loggedIn transcript.Fact) (denied, bool) {
	const register = "have the sender and its domain registered and active"
	switch {
	case loggedIn == transcript.Yes:
		return denied{do: "register the sender and its domain", next: register}, true
	case wantsLogin(port) && tried == transcript.No:
		return denied{
			do: "switch AUTH on", next: "switch authentication on in the client, then " + register,
			fix: "Switch authentication on: port " + itoa(port) + " takes nothing without a login.",
		}, true
	case wantsLogin(port):
		return denied{
			do: "check the login, or register the sender", next: "look whether the client logs in; if it does, " + register,
			fix: "Look whether the client logs in, and switch authentication on if it does not: port " + itoa(port) + " takes nothing without a login.",
		}, true
	}
	return denied{}, false
}

// deniedOnline is what a denial asks for of a customer whose mail Exchange Online
// sends: to be told to log in would lead nowhere.
var deniedOnline = denied{
	do:   "list Office 365, or register the sender",
	next: "list Office 365 among the Sending Servers (Exchange Online cannot log in), and have the sender and its domain registered and active",
}

// denial is what a relay denial asks for, if the try tells it.
func denial(obs *Observation) (denied, bool) {
	if obs.Online && obs.LoggedIn != transcript.Yes && !wantsLogin(obs.Port) {
		return deniedOnline, true
	}
	return deniedAfter(obs.Port, obs.AuthTried, obs.LoggedIn)
}

// replyDo is what the words of a reply ask for in a headline, given what is known
// of the try.
func replyDo(obs *Observation) string {
	if obs.Kind == transcript.KindRelayDenied {
		if d, ok := denial(obs); ok {
			return d.do
		}
	}
	if obs.Reply.Class() == 4 {
		switch obs.Kind { // a queue tries again by itself
		case transcript.KindRateLimited:
			return "over the sending limit, send slower"
		case transcript.KindRecipientRejected:
			return "retry later, then ask their admin"
		}
	}
	return ruleOf(obs.Kind).do
}

// replyNext is what they ask for in full.
func replyNext(obs *Observation) string {
	if obs.Kind == transcript.KindRelayDenied {
		if d, ok := denial(obs); ok {
			return d.next
		}
	}
	if obs.Reply.Class() == 4 {
		switch obs.Kind {
		case transcript.KindRateLimited:
			return "send slower and let the queue retry; the port is not the fault"
		case transcript.KindRecipientRejected:
			return "let the queue retry; if it stays, the recipient's admin checks the address at the relay"
		}
	}
	return ruleOf(obs.Kind).next
}

// deniedFixes are the fixes of a relay denial without those that are done
// already: a client that logged in on 587 need not be told to.
func deniedFixes(fixes []Fix, port int, tried, loggedIn transcript.Fact) []Fix {
	d, ok := deniedAfter(port, tried, loggedIn)
	if !ok {
		return fixes
	}
	out := slices.DeleteFunc(slices.Clone(fixes), func(f Fix) bool { return f.Who == SenderSystem })
	if d.fix != "" {
		out = append([]Fix{{Who: SenderSystem, Text: d.fix}}, out...)
	}
	return out
}
