package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// announcement is the line of --json (contract §4).
type announcement struct {
	Kind       string            `json:"kind"`
	Addresses  map[string]string `json:"addresses"`
	CAFile     string            `json:"ca_file"`
	ServerName string            `json:"server_name"`
	Credential announcedLogin    `json:"credential"`
	From       string            `json:"from"`
	OwnDomain  string            `json:"own_domain"`
	Control    string            `json:"control"`
	PID        int               `json:"pid"`
	Resolver   string            `json:"resolver"` // name server that knows the relay's names
}

type announcedLogin struct {
	Label    string `json:"label"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// sendingSystem is the client that the presets need to show.
type sendingSystem struct {
	policy.Client
	deliver bool     // it goes on to DATA
	differs []string // in what it is not the healthy one, in the words of the grammar
}

// setScenarios sets presets and faults by name and says what the sending system
// has to do for them to show.
func setScenarios(d *relay.Demo, names []string) (*sendingSystem, error) {
	w := &policy.World{Account: policy.NewAccount("")}
	w.Client = policy.Client{
		Host: d.ServerName(), Port: relay.PortAuth, StartTLS: true, Auth: true,
		Username: d.Credential.Username, Password: d.Credential.Password, Sender: d.From, Recipient: d.To,
	}
	s := &sendingSystem{}
	for _, n := range names {
		preset, ok := findScenario(n)
		if ok {
			n = preset.Name
			s.deliver = s.deliver || preset.Deliver
		}
		if err := d.Set(n); err != nil {
			return nil, noScenario(n)
		}
		for _, line := range preset.Client() {
			if _, err := w.Apply("client "+line, d.Clock().Now()); err != nil {
				return nil, err
			}
			s.differs = append(s.differs, line)
		}
	}
	s.Client = w.Client
	return s, nil
}

func (p *program) announceRelay(d *relay.Demo, f *relayFlags, s *sendingSystem, caFile, control string) error {
	a := announcement{
		Kind: "relay", Addresses: map[string]string{"25": d.Addr(relay.PortServer), "587": d.Addr(relay.PortAuth)},
		CAFile: caFile, ServerName: d.ServerName(), From: d.From, OwnDomain: d.OwnDomain, Control: control, PID: os.Getpid(),
		Credential: announcedLogin{d.Credential.Label, d.Credential.Username, d.Credential.Password},
		Resolver:   d.NameserverAddr(),
	}
	if f.announce || p.flags.format == "json" || p.flags.format == "jsonl" {
		raw, err := report.Marshal(a, "")
		if err != nil {
			return err
		}
		if _, err := p.stdout.Write(raw); err != nil {
			return cannotWrite(err)
		}
		return nil
	}
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w("reference relay, a stand-in for the service; it delivers nothing")
	w("  port 25     %s   by address: refuses to relay for those not listed", a.Addresses["25"])
	w("  port 587    %s   STARTTLS, then SMTP AUTH", a.Addresses["587"])
	w("  names       %s   a name server that knows %s", a.Resolver, a.ServerName)
	w("  CA file     %s", a.CAFile)
	switch {
	case a.Credential.Password != "":
		w("  credential  %s, user %s, password %s   (shown this once)", a.Credential.Label, a.Credential.Username, a.Credential.Password)
	case a.Credential.Username != "":
		w("  credential  %s, user %s; its password was shown when it was made", a.Credential.Label, a.Credential.Username)
	}
	w("  sender      %s   own domain %s", orNone(a.From), orNone(a.OwnDomain))
	if len(f.scenarios) > 0 {
		w("  scenario    %s", strings.Join(f.scenarios, ", "))
	}
	for _, line := range s.differs {
		w("              it shows to a sending system with: %s", line)
	}
	w("try it:")
	w("  %s", s.swaks(&a))
	_, err := d.LookupNetIP(context.Background(), "ip", a.ServerName)
	w("  %s", s.probe(&a, err != nil || s.Host != a.ServerName))
	w("  handoff relay account cred list      handoff relay log      handoff relay why 1")
	if _, err := io.WriteString(p.stdout, b.String()); err != nil {
		return cannotWrite(err)
	}
	return nil
}

// swaks is the command line of swaks that meets what is set.
func (s *sendingSystem) swaks(a *announcement) string {
	host, port, _ := net.SplitHostPort(a.Addresses[fmt.Sprint(s.Port)])
	args := []string{"swaks", "--server", host, "--port", port}
	switch {
	case s.Implicit:
		args = append(args, "--tls-on-connect")
	case s.StartTLS && s.Port == relay.PortAuth:
		args = append(args, "--tls")
	}
	if s.Implicit || s.StartTLS && s.Port == relay.PortAuth {
		args = append(args, "--tls-ca-path", shellQuote(a.CAFile))
	}
	if s.Auth {
		args = append(args, "--auth", "PLAIN", "--auth-user", shellQuote(s.Username), "--auth-password", shellQuote(orElse(s.Password, "PASSWORD")))
	}
	args = append(args, "--from", shellQuote(orElse(s.Sender, "<>")), "--to", shellQuote(s.Recipient))
	if !s.deliver {
		args = append(args, "--quit-after", "RCPT")
	}
	return strings.Join(args, " ")
}

// probe is the command line of a probe that meets what is set: by name where the
// name is what does not work.
func (s *sendingSystem) probe(a *announcement, byName bool) string {
	args := []string{"handoff", "probe", shellQuote(s.Host)}
	if byName {
		args = append(args, "--resolver", a.Resolver)
	}
	for _, port := range []string{"25", "587"} {
		address := a.Addresses[port]
		if _, n, err := net.SplitHostPort(address); byName && err == nil {
			address = net.JoinHostPort(s.Host, n)
		}
		args = append(args, "--connect", port+"="+shellQuote(address))
	}
	args = append(args, "--ca", shellQuote(a.CAFile))
	if s.Auth {
		args = append(args, "--user", shellQuote(s.Username), "--password-file", "FILE")
	} else if s.Port == relay.PortServer {
		args = append(args, "--intent", "server")
	}
	args = append(args, "--from", shellQuote(orElse(s.Sender, "<>")), "--to", shellQuote(s.Recipient))
	if s.deliver {
		args = append(args, "--stop-after", "data")
	}
	return strings.Join(args, " ")
}
