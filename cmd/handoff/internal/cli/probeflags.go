package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/config"
	"github.com/smtp-handoff/handoff/probe"
)

// probeFlags say what to probe and how. 'handoff probe' and 'handoff check'
// share them, so that the same words do the same in both.
type probeFlags struct {
	host            string
	bundled         bool
	ports           []int
	intent          string
	helo            string
	user            string
	passwordFile    string
	passwordCommand string
	passwordStdin   bool
	mechanism       string
	loginInitial    bool
	from, to        []string
	ourDomains      []string
	relayDomains    []string
	stopAfter       string
	send            bool
	size            int64
	connect         []string
	ca              string
	insecureTLS     bool
	allowUntrusted  bool
	resolver        string
	timeout         time.Duration
	deadline        time.Duration
	only4, only6    bool
	source          string
	allAddresses    bool
	tlsScan         bool
	noPipelining    bool
	facts           []string
	noNames         bool
	retries         int
	retryWait       time.Duration
}

// register adds the flags. A monitoring plugin has a --timeout of its own, for
// the whole run.
func (f *probeFlags) register(s *pflag.FlagSet, plugin bool) {
	s.SortFlags = false
	s.IntSliceVar(&f.ports, "ports", []int{25, 587}, "`PORTS` to probe side by side; 465 speaks TLS at once")
	s.StringVar(&f.intent, "intent", "auth", "how the mail is meant to go: auth (587), server (25) or both")
	s.StringVar(&f.helo, "helo", "", "`NAME` said in EHLO (default: this machine's name, or an address literal)")
	s.StringVar(&f.user, "user", "", "SMTP AUTH user `NAME`")
	s.StringVar(&f.passwordFile, "password-file", "", "`FILE` whose first line is the password")
	s.StringVar(&f.passwordCommand, "password-command", "", "`COMMAND` that prints the password on its first line")
	s.BoolVar(&f.passwordStdin, "password-stdin", false, "read the password from the first line of standard input")
	s.StringVar(&f.mechanism, "auth-mechanism", "auto", "auto, plain, login, cram-md5 or xoauth2 (the password is the token then)")
	s.BoolVar(&f.loginInitial, "login-initial-response", false, "send the user name along with AUTH LOGIN")
	s.StringSliceVar(&f.from, "from", nil, "envelope sender `ADDRESS`; repeatable, '<>' is the null sender")
	s.StringSliceVar(&f.to, "to", nil, "envelope recipient `ADDRESS`; repeatable")
	s.StringSliceVar(&f.ourDomains, "our-domain", nil, "`DOMAIN` of ours, for the direction of the mail; repeatable")
	s.StringSliceVar(&f.relayDomains, "relay-domain", nil, "`DOMAIN` of a relay beside ppe-hosted.com; repeatable")
	s.StringVar(&f.stopAfter, "stop-after", "envelope", "last step: connect, greet, ehlo, tls, auth, envelope (nothing is delivered) or data (sends one message)")
	s.BoolVar(&f.send, "send", false, "deliver one test message, as --stop-after data")
	s.Int64Var(&f.size, "size", 0, "`BYTES` declared as SIZE in MAIL")
	s.StringArrayVar(&f.connect, "connect", nil, "`PORT=ADDRESS:PORT` dialled in place of that port of HOST; repeatable")
	s.StringVar(&f.ca, "ca", "", "`FILE` of authorities (PEM) to trust in place of the system's")
	s.BoolVar(&f.insecureTLS, "insecure-tls", false, "record a certificate fault and go on, without AUTH")
	s.BoolVar(&f.allowUntrusted, "allow-auth-over-untrusted", false, "with --insecure-tls: send the credential all the same (dangerous)")
	s.StringVar(&f.resolver, "resolver", "", "`HOST:PORT` of a name server to ask in place of the system's")
	if plugin {
		s.DurationVar(&f.timeout, "step-timeout", 30*time.Second, "patience with one step")
	} else {
		s.DurationVar(&f.timeout, "timeout", 30*time.Second, "patience with one step")
		s.DurationVar(&f.deadline, "deadline", 2*time.Minute, "patience with the whole run")
	}
	s.BoolVarP(&f.only4, "ipv4", "4", false, "IPv4 only")
	s.BoolVarP(&f.only6, "ipv6", "6", false, "IPv6 only")
	s.StringVar(&f.source, "source", "", "local `ADDRESS` to connect from")
	s.BoolVar(&f.allAddresses, "all-addresses", false, "probe every address of HOST, not only the first that answers")
	s.BoolVar(&f.tlsScan, "tls-scan", false, "ask which TLS versions are accepted, on connections of their own")
	s.BoolVar(&f.noPipelining, "no-pipelining", false, "one command at a time, for comparison")
	s.StringArrayVar(&f.facts, "fact", nil, "`NAME=VALUE` that you know: "+factForms()+"; repeatable")
	s.IntVar(&f.retries, "retries", 0, "`TIMES` to repeat a session that was put off (4xx)")
	s.BoolVar(&f.noNames, "no-names", false, "do not look at the sender's domain (SPF, DMARC, MX) and our own name")
	s.DurationVar(&f.retryWait, "retry-wait", time.Minute, "pause before each of the --retries")
	registerSecrets(s)
}

// job is a probe ready to run.
type job struct {
	target  probe.Target
	plan    probe.Plan
	options probe.Options
	intent  analyze.Intent
	judge   analyze.Options
	odd     []config.Oddity
	names   *names
	// noSurvey: only the relay's own name is asked for.
	noSurvey bool
	// inProcess: the relay is one of this process.
	inProcess bool
	note      string   // where the probe really goes, when that is not plain
	known     []string // senders that are registered at the bundled relay
}

// job checks the flags and reads what they name. Nothing is sent before all of
// it is right.
func (p *program) job(ctx context.Context, f *probeFlags) (*job, error) {
	j := &job{intent: analyze.Intent(f.intent)}
	if !slices.Contains([]string{"auth", "server", "both"}, f.intent) {
		return nil, usage(fmt.Sprintf("--intent does not take %q", f.intent), "it is auth (SMTP AUTH on 587), server (by address on 25) or both")
	}
	if f.send {
		f.stopAfter = "data"
	}
	stops := []string{"connect", "greet", "ehlo", "tls", "auth", "envelope", "data"}
	if !slices.Contains(stops, f.stopAfter) {
		return nil, usage(fmt.Sprintf("--stop-after does not take %q", f.stopAfter), "it is one of "+strings.Join(stops, ", "))
	}
	if f.stopAfter == "data" && (len(f.from) == 0 || len(f.to) == 0) {
		return nil, usage("a message needs a sender and a recipient", "give --from ADDRESS and --to ADDRESS")
	}
	if len(f.to) > 0 && len(f.from) == 0 {
		return nil, usage("--to needs --from", "the relay judges sender and recipient together")
	}
	if f.timeout <= 0 || f.deadline <= 0 || f.retries < 0 || f.retryWait < 0 || f.size < 0 {
		return nil, usage("--timeout and --deadline are above 0; --retries, --retry-wait and --size are not negative")
	}
	if f.only4 && f.only6 {
		return nil, usage("-4 and -6 exclude each other")
	}
	connect, err := parseConnect(f.connect)
	if err != nil {
		return nil, err
	}
	j.target = probe.Target{Host: f.host, Ports: f.ports, Connect: connect}
	j.plan = probe.Plan{
		HELO: f.helo, Mechanism: f.mechanism, From: f.from, To: f.to, Size: f.size, StopAfter: transcript.Stage(f.stopAfter),
	}
	j.options = probe.Options{
		Timeout: f.timeout, Deadline: f.deadline, InsecureTLS: f.insecureTLS, AllowAuthOverUntrusted: f.allowUntrusted,
		Only4: f.only4, Only6: f.only6, NoPipelining: f.noPipelining, LoginInitial: f.loginInitial,
		AllAddresses: f.allAddresses, TLSScan: f.tlsScan, Retries: f.retries, RetryWait: f.retryWait,
	}
	if f.allowUntrusted && !f.insecureTLS {
		return nil, usage("--allow-auth-over-untrusted does nothing without --insecure-tls")
	}
	if f.source != "" {
		if j.options.Source, err = netip.ParseAddr(f.source); err != nil {
			return nil, usage(fmt.Sprintf("--source does not take %q", f.source), "it is an address of this machine, as 192.0.2.7")
		}
		l, err := net.Listen("tcp", net.JoinHostPort(f.source, "0"))
		if err != nil {
			return nil, usage(fmt.Sprintf("--source %s is no address of this machine", f.source))
		}
		_ = l.Close()
	}
	if f.ca != "" {
		if j.options.RootCAs, err = readCA(f.ca); err != nil {
			return nil, err
		}
	}
	client, err := resolver(f.resolver)
	if err != nil {
		return nil, err
	}
	j.names = newNames(client)
	j.options.Resolver = j.names.client
	j.noSurvey = f.noNames
	j.judge = analyze.Options{RelayDomains: f.relayDomains, Facts: analyze.Facts{Intent: j.intent, OurDomains: f.ourDomains}}
	if err := parseFacts(f.facts, &j.judge.Facts); err != nil {
		return nil, err
	}
	if j.judge.Explainer, err = p.explainer(); err != nil {
		return nil, err
	}
	return j, p.credential(ctx, f, j)
}

// credential reads the password. It is the last thing that can go wrong before
// the probe starts.
func (p *program) credential(ctx context.Context, f *probeFlags, j *job) error {
	ways := 0
	for _, given := range []bool{f.passwordFile != "", f.passwordCommand != "", f.passwordStdin} {
		if given {
			ways++
		}
	}
	switch {
	case f.user == "" && ways > 0:
		return usage("a password without --user")
	case f.user == "":
		return nil
	case ways != 1:
		return usage("--user needs exactly one way to the password",
			"--password-file FILE, --password-command COMMAND or --password-stdin", "there is no flag for the password itself: others could read it")
	}
	if strings.ContainsAny(f.user, "\x00\r\n") {
		return usage("--user must not have a line end in it")
	}
	var password string
	var err error
	if f.passwordStdin {
		if err := p.useStdin("--password-stdin"); err != nil {
			return err
		}
		password, err = config.FirstLine(p.stdin)
		if err == nil && password == "" {
			err = fmt.Errorf("is empty")
		}
		if err != nil {
			return fail(exitConfig, "the password on standard input "+err.Error(), "its first line is the password: 'handoff probe … --password-stdin < FILE'")
		}
		j.odd = config.Oddities(password)
	} else {
		s := config.Secret{File: f.passwordFile, Command: f.passwordCommand}
		if f.passwordFile != "" {
			if _, err := os.Stat(f.passwordFile); os.IsNotExist(err) {
				return fail(exitNoInput, "no password file "+f.passwordFile)
			}
		}
		if password, j.odd, err = s.Read(ctx); err != nil {
			return fail(exitConfig, err.Error())
		}
	}
	for _, o := range j.odd {
		if o == config.FileReadable {
			p.warn("others may read %s: 'chmod 600 %s'", f.passwordFile, f.passwordFile)
		}
	}
	if f.allowUntrusted {
		p.warn("--allow-auth-over-untrusted: the credential may go to whoever answers; change it afterwards")
	}
	j.plan.Credential = probe.NewCredential(j.target.Host, f.user, password)
	return nil
}

// useStdin gives standard input to one reader.
func (p *program) useStdin(who string) error {
	if p.stdinUsed != "" {
		return usage(fmt.Sprintf("%s and %s both want standard input", p.stdinUsed, who))
	}
	p.stdinUsed = who
	return nil
}

func parseConnect(all []string) (map[int]string, error) {
	out := map[int]string{}
	for _, s := range all {
		port, address, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(port)
		host, dial, splitErr := net.SplitHostPort(address)
		d, dialErr := strconv.Atoi(dial)
		if !ok || err != nil || n < 1 || n > 65535 || splitErr != nil || host == "" || dialErr != nil || d < 1 || d > 65535 {
			return nil, usage(fmt.Sprintf("--connect does not take %q", s), "write PORT=ADDRESS:PORT, as --connect 25=127.0.0.1:2525")
		}
		if _, twice := out[n]; twice {
			return nil, usage(fmt.Sprintf("--connect names port %d twice", n))
		}
		out[n] = address
	}
	return out, nil
}

// maxCA bounds a file of authorities.
const maxCA = 8 << 20

func readCA(name string) (*x509.CertPool, error) {
	f, err := os.Open(name)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, fail(exitNoInput, "no file of authorities "+name)
		}
		return nil, fail(exitConfig, "the file of authorities "+name+" cannot be opened")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxCA))
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(raw) {
		return nil, fail(exitConfig, "no certificate in "+name, "it is a PEM file: -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

// checkPorts tells --ports and --connect that contradict each other.
func (f *probeFlags) checkPorts(cmd *cobra.Command) error {
	for i, port := range f.ports {
		if port < 1 || port > 65535 {
			return usage(fmt.Sprintf("--ports does not take %d", port), "a port is 1 to 65535; the service has 25 and 587")
		}
		if slices.Contains(f.ports[:i], port) {
			return usage(fmt.Sprintf("--ports names %d twice", port))
		}
	}
	connect, err := parseConnect(f.connect)
	if err != nil {
		return err
	}
	ports := make([]int, 0, len(connect))
	for port := range connect {
		ports = append(ports, port)
	}
	slices.SortFunc(ports, cmp.Compare[int])
	for _, port := range ports {
		if slices.Contains(f.ports, port) {
			continue
		}
		if cmd.Flags().Changed("ports") {
			return usage(fmt.Sprintf("--connect names port %d, which is not among --ports", port))
		}
		f.ports = append(f.ports, port)
	}
	return nil
}

// checkHost refuses what cannot be a host, before a name server is asked.
func checkHost(host string) error {
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(bare); err == nil {
		return nil
	}
	if h, port, err := net.SplitHostPort(host); err == nil && h != "" && port != "" && strings.Trim(port, "0123456789") == "" {
		return usage(fmt.Sprintf("%q is a host and a port", host), fmt.Sprintf("write 'handoff probe %s --ports %s'", h, port))
	}
	if strings.Contains(host, "://") || strings.ContainsAny(host, "/@ \t\r\n\x00<>'\"") || host == "" || len(host) > 253 {
		return usage(fmt.Sprintf("%q is no host name", host), "it is a name such as outbound-us1.ppe-hosted.com, without a scheme, a path or a user")
	}
	return nil
}
