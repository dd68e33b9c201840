package analyze

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// FactKind is a fact that can be told: "--fact credential-age=20m".
type FactKind struct {
	Name   string
	Values string // what stands behind the equal sign
	Says   string
	set    func(*Facts, string) error
}

// FactKinds lists the facts that can be told, in a fixed order.
func FactKinds() []FactKind { return slices.Clone(factKinds) }

var factKinds = []FactKind{
	{"intent", "auth|server|both", "how the customer means to send: with SMTP AUTH, or by its address", func(f *Facts, v string) error {
		switch Intent(v) {
		case IntentAuth, IntentServer, IntentBoth:
			f.Intent = Intent(v)
			return nil
		}
		return fmt.Errorf("%q is none of auth, server, both", v)
	}},
	{"credential-age", "DURATION", "how long ago the credential was made", ageFact(func(f *Facts) *time.Duration { return &f.CredentialAge })},
	{"user-age", "DURATION", "how long ago the sender was registered", ageFact(func(f *Facts) *time.Duration { return &f.UserAge })},
	{"domain-age", "DURATION", "how long ago the sender's domain was changed", ageFact(func(f *Facts) *time.Duration { return &f.DomainAge })},
	{"forwarded", "yes|no", "the message was forwarded, or passed on to members of a group", yesNoFact(func(f *Facts) *transcript.Fact { return &f.Forwarded })},
	{"listed", "yes|no", "the public address of the sending system is listed under Sending Servers", yesNoFact(func(f *Facts) *transcript.Fact { return &f.Listed })},
	{"registered", "yes|no", "the sender's address is registered as a user", yesNoFact(func(f *Facts) *transcript.Fact { return &f.Registered })},
	{"our-domain", "DOMAIN", "a domain of the customer; may be told several times", func(f *Facts, v string) error {
		if !strings.Contains(v, ".") || strings.ContainsAny(v, " @") {
			return fmt.Errorf("%q is no domain", v)
		}
		f.OurDomains = append(f.OurDomains, strings.ToLower(strings.TrimSuffix(v, ".")))
		return nil
	}},
}

func ageFact(field func(*Facts) *time.Duration) func(*Facts, string) error {
	return func(f *Facts, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is no age; write 20m or 48h", v)
		}
		*field(f) = d
		return nil
	}
}

func yesNoFact(field func(*Facts) *transcript.Fact) func(*Facts, string) error {
	return func(f *Facts, v string) error {
		switch strings.ToLower(v) {
		case "yes", "true", "on":
			*field(f) = transcript.Yes
		case "no", "false", "off":
			*field(f) = transcript.No
		case "unknown":
			*field(f) = transcript.Unknown
		default:
			return fmt.Errorf("%q is neither yes nor no", v)
		}
		return nil
	}
}

// Set takes a fact in the form "name=value". An unknown name or value is an
// error with a hint, and the facts are as they were.
func (f *Facts) Set(fact string) error {
	name, value, ok := strings.Cut(fact, "=")
	var names []string
	for _, k := range factKinds {
		names = append(names, k.Name)
		if k.Name != strings.TrimSpace(name) {
			continue
		}
		if !ok {
			return fmt.Errorf("fact %s needs a value: %s=%s", name, name, k.Values)
		}
		if err := k.set(f, strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("fact %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("no fact %q; one of %s", name, strings.Join(names, ", "))
}
