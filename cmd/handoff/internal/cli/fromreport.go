package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// maxReport bounds a report that is read back.
const maxReport = 64 << 20

// fromReport fills the flags that were not given from the first report in a
// file: host, port, sender and recipient of the first outcome that names a host,
// or the target of a probe.
func (p *program) fromReport(cmd *cobra.Command, f *probeFlags, name string) error {
	var in io.Reader = p.stdin
	if name == "-" {
		if err := p.useStdin("--from-report -"); err != nil {
			return err
		}
		if f.passwordStdin {
			return usage("--from-report - and --password-stdin both want standard input")
		}
	} else {
		file, err := os.Open(name)
		if err != nil {
			return fail(exitNoInput, "no report "+name)
		}
		defer file.Close()
		in = file
	}
	dec := json.NewDecoder(io.LimitReader(in, maxReport))
	var first json.RawMessage
	if err := dec.Decode(&first); err != nil {
		return fail(exitData, "the report is no JSON", "make it with 'handoff analyze -o json'")
	}
	var all []analyze.Report
	if err := json.Unmarshal(first, &all); err != nil {
		var one analyze.Report
		if err := json.Unmarshal(first, &one); err != nil {
			return fail(exitData, "the JSON is no report of handoff", "make it with 'handoff analyze -o json'")
		}
		all = []analyze.Report{one}
	}
	set := cmd.Flags().Changed
	for i := range all {
		r := &all[i]
		if r.Target != "" {
			fillFrom(f, r.Target, nil, "", "", set)
			break
		}
		o := namedOutcome(r, f.relayDomains)
		if o == nil {
			continue
		}
		var ports []int
		if o.Port != 0 {
			ports = []int{25, 587}
			if !slices.Contains(ports, o.Port) {
				ports = []int{o.Port}
			}
		}
		fillFrom(f, orElse(o.RefusedBy, o.Target), ports, o.Sender, o.Recipient, set)
		if len(f.from) == 0 && o.Recipient != "" {
			p.say("the report states no sender, so the envelope is not tried; --from ADDRESS adds it")
		}
		break
	}
	if f.host == "" {
		return fail(exitData, "the report names no host to probe", "name it: 'handoff probe HOST --from-report …'")
	}
	// What a stranger's text names must not get a credential.
	domains := append([]string{transcript.RelayDomain}, f.relayDomains...)
	if f.user != "" && !set("bundled") && cmd.Flags().NArg() == 0 && !transcript.HostIsUnderAny(f.host, domains) {
		return usage(fmt.Sprintf("the report names %q, which is not under a known relay domain, so no credential goes there", f.host),
			"name the host yourself, or its domain with --relay-domain")
	}
	return nil
}

// namedOutcome is the outcome whose host is best worth a probe: the relay's
// before others.
func namedOutcome(r *analyze.Report, relayDomains []string) *analyze.Outcome {
	domains := append([]string{transcript.RelayDomain}, relayDomains...)
	var other *analyze.Outcome
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		host := orElse(o.RefusedBy, o.Target)
		if host == "" {
			continue
		}
		if transcript.HostIsUnderAny(host, domains) {
			return o
		}
		if other == nil {
			other = o
		}
	}
	return other
}

func fillFrom(f *probeFlags, host string, ports []int, sender, recipient string, set func(string) bool) {
	if f.host == "" && !f.bundled {
		f.host = host
	}
	if len(ports) > 0 && !set("ports") {
		f.ports = ports
	}
	if sender != "" && !set("from") {
		f.from = []string{sender}
	}
	if recipient != "" && !set("to") && len(f.from) > 0 {
		f.to = []string{recipient}
	}
}
