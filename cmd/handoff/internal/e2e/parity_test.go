//go:build unix

package e2e

import (
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The relay's replies beside those of a real Postfix, to the same lines at the
// same time: package relay holds the dialogues and the list of the differences.
func TestRepliesOfRealPostfix(t *testing.T) {
	need(t, "go")
	setup := postfixSetup{
		host:       "mx1-us1.ppe-hosted.com",
		main:       []string{"relay_recipient_maps = inline:{ alice@customer.example=x, alerts@customer.example=x }", "smtpd_error_sleep_time = 0"},
		submission: []string{"smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination"},
	}
	p := startPostfix(t, setup)
	setup.relay = []string{"smtpd_client_restrictions=reject", "smtpd_delay_reject=no", "smtpd_peername_lookup=no"}
	refusing := startPostfix(t, setup)
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	out, err := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestParityWithPostfix$", "github.com/smtp-handoff/handoff/probe/relay",
		"-postfixlive", "-postfix25="+at(p.port25), "-postfix587="+at(p.port587), "-postfixno="+at(refusing.port25), "-postfixuser="+e2eUser, "-postfixsecret="+e2eSecret).CombinedOutput()
	text := strings.ReplaceAll(string(out), e2eSecret, "[secret]")
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	t.Log(text)
}
