package cli

import (
	"cmp"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/report"
)

// repeatCommand is the command that repeats a probe. It names no password and
// no command that prints one.
func repeatCommand(cmd *cobra.Command, host string) string {
	words := []string{"handoff", cmd.Name()}
	if cmd.Name() == "handoff" {
		words = []string{"handoff"}
	}
	if host != "" {
		words = append(words, shellQuote(host))
	}
	skip := map[string]bool{"format": true, "output": true, "color": true, "redact": true, "from-report": true, "transcript": true, "as-command": true, "quiet": true, "verbose": true}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if skip[f.Name] || f.Hidden {
			return
		}
		switch {
		case f.Value.Type() == "bool":
			words = append(words, "--"+f.Name)
		case f.Name == "password-file", f.Name == "password-command":
			words = append(words, "--"+f.Name, "...")
		default:
			values := []string{f.Value.String()}
			if s, ok := f.Value.(pflag.SliceValue); ok {
				values = s.GetSlice()
				if f.Value.Type() == "intSlice" {
					values = []string{strings.Join(values, ",")}
				}
			}
			for _, v := range values {
				words = append(words, "--"+f.Name, shellQuote(v))
			}
		}
	})
	return strings.Join(words, " ")
}

func shellQuote(s string) string {
	plain := s != ""
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:@%+=_/[]-", r) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// writeCommands prints the command lines that are equal to a probe: its own, and
// for each port those of swaks and openssl. None has a password in it: swaks and
// handoff ask for it, or read it from where the flags say.
func (p *program) writeCommands(f *probeFlags, own string) error {
	connect, err := parseConnect(f.connect)
	if err != nil {
		return err
	}
	lines := []string{own}
	for _, port := range f.ports {
		lines = append(lines, f.swaks(port, connect[port]), f.openssl(port, connect[port]))
	}
	for i := range lines {
		lines[i] = report.Show(lines[i]) + "\n"
	}
	if _, err := io.WriteString(p.stdout, strings.Join(lines, "")); err != nil {
		return cannotWrite(err)
	}
	return nil
}

// swaksStops are the steps behind which swaks is to quit; it has none behind
// the connection itself.
var swaksStops = []struct{ stage, verb string }{
	{"connect", "CONNECT"}, {"greet", "BANNER"}, {"ehlo", "FIRST-EHLO"}, {"tls", "TLS"}, {"auth", "AUTH"}, {"envelope", "RCPT"},
}

// swaks is the line of swaks that walks the same road on one port; dialled is
// the address:port that is dialled in its place, or empty.
func (f *probeFlags) swaks(port int, dialled string) string {
	host, at := f.host, strconv.Itoa(port)
	if h, p, err := net.SplitHostPort(dialled); err == nil {
		host, at = h, p
	}
	words := []string{"swaks", "--server", shellQuote(host), "--port", at}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, shellQuote(value))
		}
	}
	switch port {
	case 25:
		words = append(words, "--tls-optional")
	case 465:
		words = append(words, "--tls-on-connect")
	default:
		words = append(words, "--tls")
	}
	if !f.insecureTLS {
		words = append(words, "--tls-verify")
	}
	add("--tls-ca-path", f.ca)
	add("--ehlo", f.helo)
	add("--local-interface", f.source)
	if f.user != "" && port != 25 {
		mechanism := strings.ToUpper(f.mechanism)
		if mechanism == "AUTO" || mechanism == "" {
			mechanism = "PLAIN,LOGIN,CRAM-MD5"
		}
		words = append(words, "--auth", mechanism, "--auth-user", shellQuote(f.user))
	}
	if len(f.from) > 0 {
		add("--from", f.from[0])
	}
	add("--to", strings.Join(f.to, ","))
	if !f.noPipelining {
		words = append(words, "--pipeline")
	}
	stop := f.stopAfter
	if f.send {
		stop = "data"
	}
	if stop == "envelope" && len(f.to) == 0 {
		stop = "auth"
	}
	if stop == "auth" && (f.user == "" || port == 25) {
		stop = "tls"
	}
	for _, s := range swaksStops {
		if s.stage == stop {
			words = append(words, "--quit-after", s.verb)
		}
	}
	return strings.Join(words, " ")
}

// openssl is the line of openssl that opens TLS on the port and leaves the rest
// to the keyboard.
func (f *probeFlags) openssl(port int, dialled string) string {
	words := []string{"openssl", "s_client"}
	if port != 465 {
		words = append(words, "-starttls", "smtp")
	}
	words = append(words, "-crlf", "-quiet", "-connect", shellQuote(cmp.Or(dialled, net.JoinHostPort(f.host, strconv.Itoa(port)))),
		"-servername", shellQuote(f.host), "-verify_hostname", shellQuote(f.host))
	if f.ca != "" {
		words = append(words, "-CAfile", shellQuote(f.ca))
	}
	if f.helo != "" && port != 465 {
		words = append(words, "-name", shellQuote(f.helo))
	}
	return strings.Join(words, " ")
}
