package analyze

import (
	"strings"
	"time"
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
	do := t.Do
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
