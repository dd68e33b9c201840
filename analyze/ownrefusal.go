package analyze

import (
	"strings"

	"github.com/smtp-handoff/handoff/analyze/ndr"
)

// ownRefusal is a reason for which a sending system stops a mail by itself: the
// route to the relay is not what has to be mended then.
type ownRefusal struct {
	enhanced string // of the reply; empty: any
	words    string // in the reply, in lower case; empty: any
	do       string // for the headline
	next     string // in full
}

// ownRefusals are the reasons, the first that fits wins. Codes of Exchange
// Online: learn.microsoft.com, "Email non-delivery reports and SMTP errors in
// Exchange Online".
var ownRefusals = []ownRefusal{
	{"5.1.8", "outbound sender", "unblock the account there", "secure the account, then take it off the restricted entities of Microsoft 365 (Defender portal) and send again"},
	{"5.7.705", "", "have the tenant's block lifted", "find what sent too much, then have Microsoft lift the block of the tenant"},
	{"5.7.708", "", "have the tenant's block lifted", "have Microsoft support accept traffic from the tenant's addresses"},
	{"5.7.750", "", "register the sender's domain there", "add the sender's domain to the tenant as an accepted domain, or give the connector a certificate of it"},
	{"5.7.520", "", "allow forwarding there, or stop it", "the outbound spam policy forbids automatic forwarding outside: allow it for this mailbox, or remove the forwarding rule"},
	{"5.7.703", "", "take the recipient off the block list there", "take the recipient off the tenant allow/block list"},
	{"", "resolver.adr", "check the recipient in its directory", "the sending system looks for this recipient in its own directory: correct the address; if the mailbox is elsewhere, make the domain an internal relay domain"},
	{"", "recipient not found by smtp address lookup", "check the recipient in its directory", "the sending system looks for this recipient in its own directory: correct the address; if the mailbox is elsewhere, make the domain an internal relay domain"},
	{"", "recipientnotfound", "check the recipient in its directory", "the sending system looks for this recipient in its own directory: correct the address; if the mailbox is elsewhere, make the domain an internal relay domain"},
	{"", "unknown user", "check the recipient's name", "the sending system takes the recipient for one of its own users: correct the address, or take the domain out of its local domains"},
	{"", "unable to relay", "let the client send there", "allow this client to relay at the sending system, or let it log in"},
	{"5.4.14", "", "break the loop in its routing", "break the loop between connectors, accepted domains and forwards of the sending system"},
	{"5.4.6", "", "break the loop in its routing", "break the loop between connectors, accepted domains and forwards of the sending system"},
	{"", "loops back to myself", "correct its list of own domains", "the sending system is the MX of this domain and does not know it as its own: set a route or list the domain"},
	{"5.3.4", "", "send a smaller message", "send a smaller message, or raise the size limit of the sending system"},
	{"5.2.3", "", "send a smaller message", "send a smaller message, or raise the size limit of the sending system"},
	{"", "content filter", "look at its spam filter", "release the mail in the content filter of the sending system, or allow this sender there"},
	{"", "spam", "look at its spam filter", "release the mail in the spam filter of the sending system, or allow this sender there"},
	{"", "virus", "look at its virus scanner", "look at the attachment and the virus scanner of the sending system"},
}

// ownLimit is what a sending system's own limit on messages asks for, whatever its
// words are.
var ownLimit = ownRefusal{
	do:   "wait, or have its limit raised",
	next: "the sending system's own limit on messages is reached: wait, send slower, or have its administrator raise it",
}

// stoppedFor is why the sending system stopped the mail itself, nil where its
// words do not say or another host refused.
func (g *judgement) stoppedFor() *ownRefusal {
	if g.out.Verdict != NeverReached || g.item == nil || !g.item.Refuser.IsZero() && g.item.Refuser.Host != g.item.Reporter.Host || g.item.Reporter == (ndr.Mention{}) {
		return nil
	}
	if g.item.LocalReply.IsZero() && g.item.Reply.IsZero() || !g.item.Target.IsZero() {
		return nil
	}
	text := strings.ToLower(g.out.Reply.Text)
	for i := range ownRefusals {
		x := &ownRefusals[i]
		if (x.enhanced == "" || x.enhanced == g.out.Reply.Enhanced) && strings.Contains(text, x.words) {
			return x
		}
	}
	if isLimit(g.obs.Kind) {
		return &ownLimit
	}
	return nil
}
