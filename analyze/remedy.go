package analyze

import (
	"strings"
	"unicode/utf8"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The headline says in a few words what to do, the next step says it in full. The
// reply's words or the fault suggest it; where the causes that fit agree on
// something else, they are nearer to it. So the two never pull in different
// directions.

// causeDo is what a cause asks for in a headline. Causes that one reply alone
// stands for are not here: its words say it.
var causeDo = []struct{ id, do string }{
	{"wrong-port", "use port 587 with STARTTLS and AUTH"},
	{"auth-missing", "switch AUTH on"},
	{"starttls-missing", "switch STARTTLS on in the client"},
	{"sending-server-not-listed", "list its address, or use 587 with AUTH"},
	{"relay-pool-ip", "find why Microsoft pooled the mail"},
	{"force-auth", "use port 587 with STARTTLS and AUTH"},
	{"sender-not-registered", "register the sender"},
	{"credential-user-missing", "create a user of the login's name"},
	{"user-not-live", "wait up to an hour, then repeat"},
	{"domain-not-live", "wait up to an hour, then repeat"},
	{"sender-domain-not-registered", "register the sender's domain"},
	{"sender-domain-inactive", "verify the domain, switch inbound relay on"},
	{"outbound-relay-off", "switch the domain's outbound relay on"},
	{"auto-forward", "forwarded mail is not relayed, by design"},
	{"distribution-group-external", "a group's mail to outsiders is not relayed"},
	{"null-sender", "send such answers by another way"},
	{"mx-left-behind", "the domain's MX still points to the relay"},
	{"credential-not-live", "wait up to 60 minutes, then repeat"},
	{"credential-wrong", "retype the password, or make a new pair"},
	{"credential-unknown", "use the generated user name"},
	{"credential-deleted", "make a new credential"},
	{"wrong-region", "try the host of the other region"},
	{"starttls-stripped", "exempt it from SMTP inspection on the way"},
	{"smtp-inspection", "exempt it from SMTP inspection on the way"},
	{"implicit-tls-on-587", "choose STARTTLS, not SSL/TLS"},
	{"slow-server", "report how long its answers take"},
	{"dns-failure", "repair the resolver"},
	{"smarthost-typo", "correct the name of the smart host"},
}

// agreed is what all causes of an outcome ask for; empty where they differ or the
// reply's own words are as near.
func agreed(causes []Cause) string {
	do := ""
	for i := range causes {
		d := doOf(causes[i].ID)
		if d == "" || do != "" && d != do {
			return ""
		}
		do = d
	}
	return do
}

func doOf(id string) string {
	for i := range causeDo {
		if causeDo[i].id == id {
			return causeDo[i].do
		}
	}
	return ""
}

// givenUp reports whether the sending server tried until its time was over and
// what it met passes by itself: the mail is not on its way any more, so there is
// nothing to wait for.
func (g *judgement) givenUp() bool {
	if g.out.Verdict != Deferred || g.item == nil || !g.item.Expired || g.out.replyless() {
		return false
	}
	switch p := ruleOf(g.obs.Kind).party; p {
	case NoParty, RelayPlatform, "":
		return g.obs.Kind != transcript.KindRateLimited && g.obs.Kind != transcript.KindThrottled
	}
	return g.obs.Kind == transcript.KindGreylisted
}

// sendAgain is the next step then.
const sendAgain = "send the message again, the sending server has given up on it; if it is put off again for long, report the reply to the relay"

// delayed is the next step after a notice of delay: what heals by itself is waited
// for. What does not is mended before the queue gives up.
func (g *judgement) delayed() string {
	const wait = "wait, the sending queue retries"
	o := &g.out
	switch {
	case len(o.Causes) == 1 && g.lasts():
		return tell(o.Causes[0].Who, o.Causes[0].Fix)
	case g.lasts() && replyNext(&g.obs) != "" && !o.replyless():
		return tell(o.Party, replyNext(&g.obs))
	case len(o.Causes) > 1 && len(g.tests) > 0:
		return tell(o.Party, wait+"; if it stays, "+g.tests[0].Do)
	case len(o.Causes) == 1 && o.replyless() && o.Causes[0].Who != RecipientSystem && o.Causes[0].Fix != "":
		return tell(o.Party, wait+"; if it stays: "+lowerFirst(o.Causes[0].Fix))
	}
	return tell(o.Party, wait)
}

// lasts reports whether what a delay notice tells of stays until somebody mends
// it: a refusal for good that the sender keeps trying (Postfix's soft_bounce, a
// failed login), or a name that does not exist.
func (g *judgement) lasts() bool {
	if g.out.Reply.Code/100 == 5 {
		return true
	}
	return len(g.out.Causes) == 1 && g.out.Causes[0].ID == "smarthost-typo"
}

// lowerFirst is a sentence as the second half of another.
func lowerFirst(s string) string {
	if r, n := utf8.DecodeRuneInString(s); n == 1 && len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(string(r)) + s[1:]
	}
	return s
}
