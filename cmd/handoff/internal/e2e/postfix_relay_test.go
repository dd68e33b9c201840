package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A real Postfix, set up like the service, in the set-ups that customers meet:
// the verdict, stage and causes of a probe.
func TestProbeRealPostfix(t *testing.T) {
	for _, c := range []struct {
		name    string
		setup   postfixSetup
		secret  string // password given; empty: the right one
		noAuth  bool   // no credential given
		flags   []string
		verdict string
		stage   string
		cause   string // must be among the causes; empty: none at all
		exit    int
	}{
		{name: "right credential", verdict: "ready", stage: "envelope"},
		{name: "wrong password", secret: "not-the-password", verdict: "refused", stage: "auth", cause: "credential-wrong", exit: 1},
		{name: "no STARTTLS offered", setup: postfixSetup{noTLS: true}, verdict: "handshake-failed", stage: "tls", cause: "starttls-stripped", exit: 1},
		{name: "expired certificate", setup: postfixSetup{expired: true}, verdict: "handshake-failed", stage: "tls", cause: "certificate-expired", exit: 1},
		{
			name: "certificate for another name", setup: postfixSetup{host: "mail.other.example"},
			verdict: "handshake-failed", stage: "tls", cause: "certificate-name-mismatch", exit: 1,
		},
		{
			name:    "sender refused",
			setup:   postfixSetup{submission: []string{"smtpd_sender_restrictions=check_sender_access,inline:{alerts@customer.example=REJECT}"}},
			verdict: "refused", stage: "envelope", exit: 1,
		},
		{
			name:    "relay denied after AUTH, as for an unregistered sender",
			setup:   postfixSetup{submission: []string{"smtpd_relay_restrictions=reject_unauth_destination"}},
			verdict: "refused", stage: "envelope", cause: "sender-not-registered", exit: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startPostfix(t, c.setup)
			secret := c.secret
			if secret == "" {
				secret = p.secret
			}
			file := write(t, filepath.Join(t.TempDir(), "password"), 0o600, secret)
			args := append([]string{
				"probe", "outbound-us1.ppe-hosted.com", "--user", p.user, "--password-file", file,
				"--from", "alerts@customer.example", "--to", "desk@partner.example", "--helo", "mail.customer.example",
			}, p.connect()...)
			rep, r := report(t, "", append(args, c.flags...)...)
			if string(rep.Verdict.Code) != c.verdict || r.code != c.exit {
				t.Errorf("verdict %s, exit %d; want %s, %d\n%s", rep.Verdict.Code, r.code, c.verdict, c.exit, r)
			}
			stage := ""
			for _, s := range rep.Sessions {
				if s.Port == 587 {
					stage = s.Stage
				}
			}
			if stage != c.stage {
				t.Errorf("stage on 587 is %q, want %q\n%s", stage, c.stage, r)
			}
			if got := causes(rep); c.cause != "" && !slices.Contains(got, c.cause) {
				t.Errorf("causes %v lack %s", got, c.cause)
			}
			if strings.Contains(r.stdout+r.stderr, secret) {
				t.Error("the password is in the output")
			}
			again, _ := report(t, r.stdout, "analyze", "-")
			if again.Verdict.Code != rep.Verdict.Code {
				t.Errorf("probe says %s, analyze of its record says %s", rep.Verdict.Code, again.Verdict.Code)
			}
			if a, b := causes(rep), causes(again); !slices.Equal(unique(a), unique(b)) {
				t.Errorf("causes of the probe %v, of its record %v", a, b)
			}
		})
	}
}

func unique(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}
