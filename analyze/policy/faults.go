package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Layer says where a fault lives: in the table itself, on the wire in front of
// it, in TLS, or in the names.
type Layer string

// The layers.
const (
	LayerPolicy Layer = "policy" // Decide answers with it
	LayerWire   Layer = "wire"   // a listener or a scripted server does it
	LayerTLS    Layer = "tls"    // certificates and handshake
	LayerDNS    Layer = "dns"
)

// FaultKind is a fault that "fault set" knows.
type FaultKind struct {
	Name  string
	Layer Layer
	Rule  RuleID // the row it fires; empty for what is no row
	Args  string // what its arguments mean, in brackets when they may be left out; empty: none
	Says  string
}

// FaultKinds are the faults of the service and of the road to it, in the order
// of the road.
func FaultKinds() []FaultKind { return slices.Clone(faultKinds) }

var faultKinds = []FaultKind{
	{"name-typo", LayerDNS, "", "", "the name does not exist (NXDOMAIN)"},
	{"dns-broken", LayerDNS, "", "[servfail|timeout]", "the resolver fails or is silent"},
	{"not-the-relay", LayerDNS, "", "", "another mail server answers under the name"},
	{"loop-to-self", LayerDNS, "", "", "the name leads to the sender's own mail server"},
	{"port25-blocked", LayerWire, "", "", "connections to 25 hang"},
	{"port587-blocked", LayerWire, "", "", "connections to 587 hang"},
	{"port-refused", LayerWire, "", "[25|587]", "connections are refused at once"},
	{"banner-silent", LayerWire, "", "", "the connection opens and no byte comes"},
	{"banner-drop", LayerWire, "", "", "the connection opens and is closed before the greeting"},
	{"screening-busy", LayerPolicy, "K2", "[server-ports|resources]", "421 in the greeting"},
	{"conn-limit", LayerPolicy, "K3", "[N]", "421 in the greeting: too many connections from one address"},
	{"client-refused", LayerPolicy, "K4", "[521|550]", "the client is refused at connect"},
	{"teaser", LayerWire, "", "[DURATION]", "on 25 the greeting comes in two lines, the second this much later"},
	{"slow", LayerWire, "", "DURATION", "every reply is late"},
	{"tarpit", LayerWire, "", "DURATION", "every byte is late"},
	{"reset-at", LayerWire, "", "VERB", "the connection is reset when this verb comes"},
	{"drop-in-data", LayerWire, "", "", "the connection is lost inside the message"},
	{"drop-after-dot", LayerWire, "", "", "the connection is lost between the final dot and its reply"},
	{"idle-timeout", LayerPolicy, "K5", "", "the server's patience ends"},
	{"banner-masked", LayerWire, "", "", "a firewall masks the dialogue: 220 ****, 250-XXXXXXXA"},
	{"starttls-stripped", LayerWire, "", "[502|500]", "something on the way takes STARTTLS out of EHLO"},
	{"starttls-454", LayerPolicy, "T4", "", "the relay's keys are unusable"},
	{"tls-off", LayerPolicy, "T4", "", "TLS is switched off at the relay"},
	{"tls-garbage", LayerTLS, "", "", "plaintext comes in place of the handshake"},
	{"tls-close", LayerTLS, "", "", "the connection is closed in place of the handshake"},
	{"tls-reset", LayerTLS, "", "", "the connection is reset in place of the handshake"},
	{"tls-hang", LayerTLS, "", "", "nothing comes in place of the handshake"},
	{"tls-alert", LayerTLS, "T4", "", "the relay breaks the handshake off: alert internal_error"},
	{"tls10-only", LayerTLS, "T5", "", "the two sides share no version of TLS"},
	{"cert-expired", LayerTLS, "T2", "", "the certificate is past its date"},
	{"cert-not-yet", LayerTLS, "T2", "", "the certificate's date is still to come"},
	{"cert-wrong-name", LayerTLS, "T2", "", "the certificate is for another name"},
	{"cert-unknown-ca", LayerTLS, "T2", "", "the chain ends in an unknown authority"},
	{"injection", LayerTLS, "", "", "plaintext stands behind the 220 to STARTTLS"},
	{"mech-missing", LayerPolicy, "U5", "[MECHANISM…]", "only these mechanisms are offered; CRAM-MD5 if none is named"},
	{"sasl-down", LayerPolicy, "U8", "", "the authentication back end is down"},
	{"too-many-auth", LayerPolicy, "U8", "", "too many AUTH commands from one address"},
	{"ip-blocked", LayerPolicy, "K1", "[connect]", "the source address has a bad reputation; at RCPT unless at connect"},
	{"rate-limited", LayerPolicy, "C7", "", "over the sending limit"},
	{"greylisted", LayerPolicy, "I8", "[DURATION]", "the first try is put off for this long"},
	{"inbound-throttle", LayerPolicy, "I6", "", "the recipient gets too much mail a minute"},
	{"rcpt-callout", LayerPolicy, "I4", "[TEXT…]", "the customer's own server refuses the recipient"},
	{"rcpt-verify-pending", LayerPolicy, "I5", "", "the recipient is still being verified"},
	{"sender-nodomain", LayerPolicy, "I7", "", "the sender's domain is not in DNS"},
	{"sender-dmarc", LayerPolicy, "I7", "", "the sender's DMARC policy says reject"},
	{"downstream-refuses", LayerWire, "", "[spf]", "the relay takes the mail, the next server refuses it"},
	{"downstream-deferred", LayerWire, "", "", "the relay takes the mail, the next server puts it off"},
	{"downstream-unreachable", LayerWire, "", "", "the relay takes the mail and cannot reach the next server"},
}

// FaultKindOf finds a fault by its name, as "fault set" takes it.
func FaultKindOf(name string) (FaultKind, bool) {
	for _, k := range faultKinds {
		if k.Name == name {
			return k, true
		}
	}
	return FaultKind{}, false
}

const defaultGreylisting = 5 * time.Minute

// duration is the fault's first argument as a duration, or the fallback. The
// grammar has checked it.
func (f *Fault) duration(fallback time.Duration) time.Duration {
	if len(f.Args) == 0 {
		return fallback
	}
	d, err := time.ParseDuration(f.Args[0])
	if err != nil {
		return fallback
	}
	return d
}

// Has returns the account's first fault of that name, nil if it is not set.
func (a *Account) Has(name string) *Fault {
	for i := range a.Faults {
		if a.Faults[i].Name == name {
			return &a.Faults[i]
		}
	}
	return nil
}

// checkArgs refuses arguments that the fault does not take.
func (k FaultKind) checkArgs(args []string) error {
	want, optional := strings.CutPrefix(strings.TrimSuffix(k.Args, "]"), "[")
	switch {
	case want == "" && len(args) > 0:
		return fmt.Errorf("%s takes no argument", k.Name)
	case len(args) == 0 && want != "" && !optional:
		return fmt.Errorf("%s needs %s", k.Name, want)
	case len(args) == 0 || strings.HasSuffix(want, "…"):
		return nil
	case len(args) > 1:
		return fmt.Errorf("%s takes one argument: %s", k.Name, want)
	}
	switch want {
	case "DURATION":
		if d, err := time.ParseDuration(args[0]); err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration; write 2s or 5m", args[0])
		}
	case "N":
		if _, err := number(args[0]); err != nil {
			return err
		}
	case "VERB":
		if !slices.Contains(verbs, Verb(strings.ToUpper(args[0]))) {
			return fmt.Errorf("%q is no verb; one of %s", args[0], joinWords(verbs))
		}
	default:
		if !slices.Contains(strings.Split(want, "|"), args[0]) {
			return fmt.Errorf("%s takes %s, not %q", k.Name, strings.ReplaceAll(want, "|", " or "), args[0])
		}
	}
	return nil
}

// verbs are where "reset-at" can strike.
var verbs = []Verb{Connect, EHLO, HELO, StartTLS, Auth, Mail, Rcpt, Data, EndData, Rset, Noop, Vrfy, Quit}
