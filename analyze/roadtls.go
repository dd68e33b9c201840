package analyze

import (
	"time"

	"github.com/smtp-handoff/handoff/analyze/policy"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// encrypt is STARTTLS and the handshake. A client that logs in insists on both
// and on a certificate that proves the relay; one that does not takes them when
// it is not careful.
func (r *road) encrypt() bool {
	acc, c := r.w.Account, r.c
	if !c.StartTLS {
		return true
	}
	insists := c.Auth || r.style == careful
	if r.e.startTLS != transcript.Yes {
		f := acc.Has("starttls-stripped")
		switch {
		case insists && r.style == careful:
			r.stopped(transcript.StageTLS, symptomNoStartTLS, "STARTTLS was not offered")
			return false
		case insists && f != nil && r.style != lenient:
			code := 502
			if len(f.Args) > 0 && f.Args[0] == "500" {
				code = 500
			}
			r.unknownStartTLS(code, says("starttls-stripped"))
			return false
		case insists && f != nil:
			r.e.dialogue = sessionOnly // what it then meets is told apart by the list alone
		}
		return true
	}
	if !r.ask(policy.Command{Verb: policy.StartTLS}, transcript.StageTLS) {
		return false
	}
	return r.handshake(insists) && r.hello(transcript.StageTLS)
}

// unknownStartTLS ends the road at a STARTTLS that something on the way took out:
// the server then does not know the command.
func (r *road) unknownStartTLS(code int, why string) {
	reply := policy.Reply{Code: code, Enhanced: "5.5.1", Text: "Error: command not implemented"}
	if code == 500 {
		reply = policy.Reply{Code: code, Enhanced: "5.5.2", Text: "Error: command not recognized"}
	}
	r.e.stage, r.e.code, r.e.text, r.e.why = transcript.StageTLS, code, replyText(reply), why
	r.e.kind = transcript.KindOf(transcript.Reply{Code: code, Enhanced: reply.Enhanced, Lines: []string{reply.Text}})
	r.end()
}

// interruptions are the ways the line breaks between 220 and a handshake.
var interruptions = []struct {
	fault  string
	tls    string
	faults []transcript.Fault
}{
	{"tls-garbage", "not-tls", []transcript.Fault{transcript.FaultTLS, transcript.FaultProtocol, transcript.FaultInjection}},
	{"injection", "", []transcript.Fault{transcript.FaultInjection}},
	{"tls-close", "interrupted", []transcript.Fault{transcript.FaultTLS, transcript.FaultClosed}},
	{"tls-reset", "interrupted", []transcript.Fault{transcript.FaultTLS, transcript.FaultReset}},
	// Who waits longer than the server sees it close.
	{"tls-hang", "interrupted", []transcript.Fault{transcript.FaultTLS, transcript.FaultTimeout, transcript.FaultClosed}},
}

// certificateFaults are faults of the chain and the problem each shows.
var certificateFaults = []struct{ fault, problem string }{
	{"cert-expired", "certificate-expired"},
	{"cert-not-yet", "certificate-not-yet-valid"},
	{"cert-wrong-name", "certificate-name-mismatch"},
	{"cert-unknown-ca", "certificate-unknown-issuer"},
}

// The certificate of the simulated relay was made a month ago and holds two.
const (
	certificateAge  = 30 * 24 * time.Hour
	certificateLeft = 60 * 24 * time.Hour
)

func (r *road) handshake(verify bool) bool {
	acc, c := r.w.Account, r.c
	r.e.secure = transcript.No
	for _, i := range interruptions {
		if acc.Has(i.fault) == nil {
			continue
		}
		if i.tls == "not-tls" {
			r.e.symptom = symptomPlainBytes
		}
		r.e.tls = i.tls
		for _, f := range i.faults {
			r.failed(transcript.StageTLS, f, says(i.fault))
		}
		return false
	}
	if acc.Has("tls-alert") != nil {
		r.e.tls = "internal-error"
		r.failed(transcript.StageTLS, transcript.FaultTLS, says("tls-alert"))
		return false
	}
	hello := policy.Command{Verb: policy.Handshake, Arg: c.MaxTLS}
	if acc.Has("tls10-only") != nil {
		hello.Arg = "1.0"
	}
	if reply, rule := policy.Decide(acc, &r.s, hello, worldTime); reply.Code == 0 {
		r.e.tls, r.e.rule = "protocol-version", rule
		row, _ := policy.Rule(rule)
		r.failed(transcript.StageTLS, transcript.FaultTLS, row.Says)
		return false
	}
	if !verify {
		return true
	}
	problem, why := "", ""
	for _, f := range certificateFaults {
		if acc.Has(f.fault) != nil {
			problem, why = f.problem, says(f.fault)
		}
	}
	switch {
	case c.Clock > certificateLeft:
		problem, why = "certificate-expired", "by the client's own clock the certificate is past its date"
	case c.Clock < -certificateAge:
		problem, why = "certificate-not-yet-valid", "by the client's own clock the certificate's date is still to come"
	}
	if problem == "" {
		return true
	}
	r.e.tls = problem
	for _, f := range []transcript.Fault{transcript.FaultCertificate, transcript.FaultTLS} {
		r.failed(transcript.StageTLS, f, why)
	}
	return false
}
