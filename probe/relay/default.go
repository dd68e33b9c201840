package relay

import (
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
)

// The healthy account of Default.
const (
	DefaultDomain = "customer.example"
	DefaultSender = "alerts@" + DefaultDomain
)

// Credential is the user name and password of a ready account, shown once. It
// prints as a token; Password is for the one place that has to show or use it.
type Credential struct {
	Label    string
	Username string
	Password string
}

// String never shows the password.
func (Credential) String() string { return "[credential]" }

// GoString never shows the password, under %#v either.
func (Credential) GoString() string { return "[credential]" }

// Default returns a healthy account as it is a day after it was set up: domain
// customer.example with both relays on, the registered sender
// alerts@customer.example, a live credential of that name and the article's 60
// minutes of propagation for whatever is changed next. No sending server is
// listed, so port 25 answers "Relay access denied" to outside recipients, as
// the article says of SMTP AUTH customers (A13).
func Default(now time.Time) (*policy.Account, Credential, error) {
	made := now.Add(-24 * time.Hour)
	a := policy.NewAccount("Customer Example")
	lines := []string{
		"domain add " + DefaultDomain + " --inbound --outbound",
		"user add " + DefaultSender + " --kind functional",
		"user add alice@" + DefaultDomain + " --kind end_user --alias sales@" + DefaultDomain,
	}
	if _, err := policy.ApplyAll(a, lines, made); err != nil {
		return nil, Credential{}, err
	}
	d := a.NewCredential("alerts")
	d.SetUsername(DefaultSender)
	shown, err := d.Generate()
	if err != nil {
		return nil, Credential{}, err
	}
	c, err := d.Save(made)
	if err != nil {
		return nil, Credential{}, err
	}
	return a, Credential{Label: c.Label, Username: shown.Username, Password: shown.Password}, nil
}

// Demo is a relay with the account of Default and everything that a first try
// needs.
type Demo struct {
	*Relay
	Credential Credential
	From       string // a registered sender
	To         string // an outside recipient, of a reserved domain
	OwnDomain  string
}

// NewDemo returns a relay, not started yet, that serves the account of Default.
func NewDemo(opts ...Option) (*Demo, error) {
	r := New(policy.NewAccount(""), opts...)
	a, c, err := Default(r.clock.Now())
	if err != nil {
		return nil, err
	}
	r.account = a
	return &Demo{Relay: r, Credential: c, From: DefaultSender, To: "bob@recipient.example", OwnDomain: DefaultDomain}, nil
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start runs a Demo until the test ends. With InMemory it also runs inside a
// testing/synctest bubble, where t is the bubble's own.
func Start(t TB, opts ...Option) *Demo {
	t.Helper()
	d, err := NewDemo(opts...)
	if err == nil {
		err = d.Relay.Start()
	}
	if err != nil {
		t.Fatalf("reference relay: %v", err)
		return nil
	}
	t.Cleanup(d.Close)
	return d
}
