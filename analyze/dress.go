package analyze

import (
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// A test of the catalogue says what to do with any mail. Here it gets the host,
// the addresses and the times of the mail at hand.

// placeholders stand in the tests of the catalogue for what the mail says.
const (
	placeHost      = "probe HOST"
	placeSender    = "--from S"
	placeRecipient = "--to R"
	placeMinutes   = "of these minutes"
)

// dress puts what is known of the mail into the words of a test.
func dress(t *NextTest, obs []Observation, f *Facts) string {
	do := unasked(t, obs, f)
	if strings.Contains(do, placeHost) {
		host, sender, recipient := mailOf(obs)
		for _, x := range []struct{ hole, word, value string }{
			{placeHost, "probe ", host}, {placeSender, "--from ", sender}, {placeRecipient, "--to ", recipient},
		} {
			if x.value != "" {
				do = strings.Replace(do, x.hole, x.word+x.value, 1)
			}
		}
	}
	if at := lastTry(obs); !at.IsZero() && strings.Contains(do, placeMinutes) {
		do = strings.Replace(do, placeMinutes, strings.TrimPrefix(timeWindow(at), " "), 1)
	}
	if ct, err := find(t.ID); err == nil {
		do += when(ct, obs, f)
	}
	return do
}

// mailOf are the relay's host, the sender and the recipient, as far as all
// observations that name one agree, and as far as they can stand in a command
// line: a text of unknown origin must not get a word into somebody's shell.
func mailOf(obs []Observation) (host, sender, recipient string) {
	agree := func(field func(*Observation) string) string {
		found := ""
		for i := range obs {
			switch v := field(&obs[i]); {
			case v == "" || v == found:
			case found == "":
				found = v
			default:
				return ""
			}
		}
		if !commandWord(found) {
			return ""
		}
		return found
	}
	host = agree(func(o *Observation) string {
		if _, ok := region(o.Host); ok {
			return strings.ToLower(strings.TrimSuffix(o.Host, "."))
		}
		return ""
	})
	// A host that calls itself mx… may have been dialled by its outbound name.
	if !strings.HasPrefix(host, "outbound-") {
		host = ""
	}
	return host, agree(func(o *Observation) string { return o.Sender }), agree(func(o *Observation) string { return o.Recipient })
}

// commandWord reports whether a word can stand in a command line as it is.
func commandWord(s string) bool {
	if s == "" || len(s) > 254 || s[0] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@+_-") == ""
}

// lastTry is the time of the last try that is known.
func lastTry(obs []Observation) time.Time {
	var at time.Time
	for i := range obs {
		if obs[i].When.After(at) {
			at = obs[i].When
		}
	}
	return at
}

// when is the clock time from which a repetition is worth trying.
func when(t *catalogueTest, obs []Observation, f *Facts) string {
	if t.probe == nil || t.probe.After == 0 {
		return ""
	}
	at := lastTry(obs)
	if at.IsZero() {
		return ""
	}
	wait := t.probe.After
	for _, age := range []time.Duration{f.CredentialAge, f.UserAge, f.DomainAge} {
		if age > 0 && age < propagation {
			wait = min(wait, propagation-age)
		}
	}
	return ", from " + at.Add(wait).Format("15:04 on 2006-01-02") + " on"
}

// told are questions that a fact has answered: what is left of them is asked. The
// first row of a test that holds counts.
var told = []struct {
	test     string
	known    func(*Facts) bool
	old, new string // in the words of the test
}{
	{"look-credentials", func(f *Facts) bool { return f.CredentialAge > 0 }, andSince, ""},
	{"look-users", func(f *Facts) bool { return f.Registered == transcript.Yes && f.UserAge > 0 }, "whether the sender's address is there, and since when", "whether the sender's address is marked invalid"},
	{"look-users", func(f *Facts) bool { return f.Registered == transcript.Yes }, "whether the sender's address is there, and since when", "since when the sender's address is there"},
	{"look-users", func(f *Facts) bool { return f.UserAge > 0 }, andSince, ""},
	{"look-domain", func(f *Facts) bool { return f.DomainAge > 0 }, andSince, ""},
	{
		"look-sending-servers", func(f *Facts) bool { return f.Listed == transcript.Yes },
		"whether the public address of the sending system is listed under Sending Servers, and since when", "under Sending Servers since when the public address of the sending system is listed",
	},
	{
		"ask-forwarding", func(f *Facts) bool { return f.Forwarded == transcript.Yes },
		"ask who wrote the message first: was it forwarded by a mailbox rule, or sent to a group with outside members?", "ask what passed the message on: a mailbox rule, or a group with outside members?",
	},
}

const andSince = ", and since when"

// unasked is what a test says to do without what the facts answer already.
func unasked(t *NextTest, obs []Observation, f *Facts) string {
	do := t.Do
	for i := range told {
		if r := &told[i]; r.test == t.ID && r.known(f) && strings.Contains(do, r.old) {
			do = strings.Replace(do, r.old, r.new, 1)
			break
		}
	}
	if t.ID == "compare-sender" && len(f.OurDomains) > 0 && len(obs) > 0 && !slices.ContainsFunc(obs, func(o Observation) bool { return o.Sender == "" }) {
		do = strings.Replace(do, " and with the domains of the account", "", 1)
	}
	return do
}
