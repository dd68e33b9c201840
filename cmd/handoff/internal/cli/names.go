package cli

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe/resolve"
)

// surveyPatience is how long the look at the senders' domains may take. It runs
// beside the probe and never holds it up for longer.
const (
	surveyPatience = 10 * time.Second
	surveyGrace    = 2 * time.Second // after the probe has ended
)

// names collects what the name service said in one run.
type names struct {
	client *resolve.Client
	mu     sync.Mutex
	asked  []resolve.Answer
}

// resolver is the client of the system's name servers, or of the one that is
// named.
func resolver(address string) (*resolve.Client, error) {
	if address == "" {
		return resolve.System(), nil
	}
	c, err := resolve.New(address)
	if err != nil {
		return nil, usage("--resolver does not take "+address, "write ADDRESS:PORT, as 192.0.2.53:53")
	}
	return c, nil
}

// newNames makes the run's questions visible in its report.
func newNames(c *resolve.Client) *names {
	n := &names{}
	own := *c
	own.Observe = n.heard
	n.client = &own
	return n
}

func (n *names) heard(a resolve.Answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, a)
}

// survey looks at the senders' domains, our own address and the relay's name.
func (n *names) survey(ctx context.Context, j *job) []analyze.Finding {
	ctx, cancel := context.WithTimeout(ctx, surveyPatience)
	defer cancel()
	subject := resolve.Subject{Relay: j.target.Host, RelayDomains: slices.Concat([]string{transcript.RelayDomain}, j.judge.RelayDomains), Own: ownAddresses()}
	for _, from := range j.plan.From {
		if _, domain, ok := strings.Cut(from, "@"); ok && !reserved(domain) && !strings.HasPrefix(domain, "[") {
			subject.Senders = append(subject.Senders, domain)
		}
	}
	s := n.client.Survey(ctx, subject)
	var out []analyze.Finding
	for _, f := range s.Findings {
		var evidence []analyze.Evidence
		for _, e := range f.Evidence {
			evidence = append(evidence, analyze.Evidence{Quote: e, Role: "named"})
		}
		x, _ := analyze.FindingOf(f.ID, evidence)
		x.Severity, x.Title = analyze.Severity(f.Severity), f.Title
		if f.Why != "" {
			x.Why = f.Why
		}
		out = append(out, x)
	}
	return out
}

// reserved tells names that exist in documentation only (RFC 2606, RFC 6761):
// nobody has to be asked about them.
func reserved(domain string) bool {
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return slices.Contains([]string{"example", "test", "invalid", "localhost"}, last) ||
		slices.Contains([]string{"example.com", "example.net", "example.org"}, domain)
}

// ownAddresses are this machine's addresses that others can see.
func ownAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}

// dns is what was asked and answered, in the report's form.
func (n *names) dns() *analyze.DNS {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.asked) == 0 {
		return nil
	}
	out := &analyze.DNS{}
	for _, a := range n.asked {
		q := analyze.Query{
			Name: a.Name, Type: a.Type.String(), Rcode: a.Rcode, CNAMEs: a.CNAMEs, TTL: int(a.TTL),
			TookMS: float64(a.Took.Microseconds()) / 1000,
		}
		for _, r := range a.Records {
			q.Answers = append(q.Answers, r.Text)
		}
		out.Queries = append(out.Queries, q)
	}
	slices.SortStableFunc(out.Queries, func(a, b analyze.Query) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Type, b.Type)
	})
	return out
}

// surveyed reports whether the run looks at names beside the relay's: not where
// every port is dialled elsewhere, as in a laboratory.
func (j *job) surveyed() bool {
	if j.names == nil || j.noSurvey {
		return false
	}
	return slices.ContainsFunc(j.target.Ports, func(port int) bool { return j.target.Connect[port] == "" })
}
