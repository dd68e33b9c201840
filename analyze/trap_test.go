package analyze

import (
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze/ndr"
	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// The traps: what a text that names the relay's domain, or does not, seems to
// say, and what it says. Each row is a case as the readers give it.

func host(role ndr.Role, name string) ndr.Mention {
	return ndr.Mention{Host: name, Role: role}
}

func reply(t *testing.T, s string) transcript.Reply {
	t.Helper()
	r, ok := transcript.ParseReply(s)
	if !ok {
		t.Fatalf("%q is no reply", s)
	}
	return r
}

const (
	smartHost = "outbound-us1.ppe-hosted.com"
	mxHost    = "mx1-us1.ppe-hosted.com"
	exchange  = "srv9.firma.example"
	exo       = "am0pr00mb0007.eurprd00.prod.outlook.com"
	farMX     = "mx.partner.example"
)

func TestTraps(t *testing.T) {
	fromRelay := []ndr.Hop{{From: host(ndr.Received, mxHost), By: host(ndr.Received, exchange)}}
	byRelay := []ndr.Hop{{From: host(ndr.Received, "mail.firma.example"), By: host(ndr.Received, mxHost)}}
	session := func(exchanges ...transcript.Exchange) *transcript.Session {
		return &transcript.Session{Server: smartHost, Exchanges: exchanges}
	}
	tests := []struct {
		name      string
		c         ndr.Case
		item      ndr.Item
		words     string // what stands at the item's FaultSpan
		o         Options
		verdict   Verdict
		stage     transcript.Stage
		party     Party
		direction Direction
		refusedBy string
	}{
		{
			name:    "Exchange refuses by itself, the headers show that it came from the relay",
			c:       ndr.Case{Nature: ndr.NatureReport, Hops: fromRelay},
			item:    ndr.Item{Reporter: host(ndr.Reporter, exchange), LocalReply: reply(t, "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found")},
			verdict: AcceptedThenBounced, stage: transcript.StageAccepted, party: RecipientSystem, direction: Inbound, refusedBy: exchange,
		},
		{
			name:    "Microsoft refuses by itself, no relay anywhere",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{Reporter: host(ndr.Reporter, exo), LocalReply: reply(t, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup")},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound, refusedBy: exo,
		},
		{
			name: "the relay only inside the SPF text of another host",
			c:    ndr.Case{Nature: ndr.NatureReport, Mentions: []ndr.Mention{host(ndr.Named, "dispatch-us.ppe-hosted.com")}},
			item: ndr.Item{
				Reporter: host(ndr.Reporter, exo), Refuser: host(ndr.Refuser, farMX),
				Reply: reply(t, "550 5.7.1 SPF fail - see v=spf1 a:dispatch-us.ppe-hosted.com -all"),
			},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound, refusedBy: farMX,
		},
		{
			name:    "another MX refused, the relay only in a link",
			c:       ndr.Case{Nature: ndr.NatureReport, Mentions: []ndr.Mention{host(ndr.Named, smartHost)}},
			item:    ndr.Item{FromReport: true, Refuser: host(ndr.Refuser, farMX), Reply: reply(t, "550 5.1.1 User unknown")},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound, refusedBy: farMX,
		},
		{
			name:    "smart host printed, its name was not found",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Reporter: host(ndr.Reporter, "mail.firma.example"), Target: host(ndr.Target, "outbound-us7.ppe-hosted.com"), Fault: transcript.FaultDNS, Stage: transcript.StageResolve},
			verdict: Unreachable, stage: transcript.StageResolve, party: SenderSystem, direction: Outbound,
		},
		{
			name:    "smart host printed, the connection was refused",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Reporter: host(ndr.Reporter, exo), Target: host(ndr.Target, smartHost), Fault: transcript.FaultRefused},
			verdict: Unreachable, stage: transcript.StageConnect, party: Network, direction: Outbound,
		},
		{
			name:    "cannot connect, yet the relay answered 421",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Expired: true, Reporter: host(ndr.Reporter, exo), Refuser: host(ndr.Refuser, smartHost), Reply: reply(t, "421 4.3.2 All server ports are busy")},
			verdict: Deferred, stage: transcript.StageGreet, party: RelayPlatform, direction: Outbound, refusedBy: smartHost,
		},
		{
			name:    "TLS negotiation failed at the last server tried",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Target: host(ndr.Target, smartHost), Stage: transcript.StageTLS, Fault: transcript.FaultTLS},
			verdict: HandshakeFailed, stage: transcript.StageTLS, party: Network, direction: Outbound,
		},
		{
			name:    "TLS required, not offered",
			c:       ndr.Case{Nature: ndr.NatureLog},
			item:    ndr.Item{Target: host(ndr.Target, smartHost), Stage: transcript.StageTLS, Fault: transcript.FaultTLS, Deferred: true},
			verdict: HandshakeFailed, stage: transcript.StageTLS, party: Network, direction: Outbound,
		},
		{
			name:    "connection lost while receiving the greeting",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Target: host(ndr.Target, smartHost), Stage: transcript.StageGreet, Fault: transcript.FaultClosed},
			verdict: HandshakeFailed, stage: transcript.StageGreet, party: Network, direction: Outbound,
		},
		{
			name: "the relay reported, another host refused",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Reporter: host(ndr.Reporter, "dispatch1-us1.ppe-hosted.com"), Refuser: host(ndr.Refuser, farMX),
				Reply: reply(t, "550 5.1.1 User unknown"),
			},
			verdict: AcceptedThenBounced, stage: transcript.StageAccepted, party: RecipientSystem, direction: Outbound, refusedBy: farMX,
		},
		{
			name: "the relay reported, another host refused for SPF",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Reporter: host(ndr.Reporter, "dispatch1-us1.ppe-hosted.com"), Refuser: host(ndr.Refuser, farMX),
				Reply: reply(t, "550 5.7.1 Message rejected per sender's SPF policy"),
			},
			verdict: AcceptedThenBounced, stage: transcript.StageAccepted, party: SenderSystem, direction: Outbound, refusedBy: farMX,
		},
		{
			name: "the relay reported, another host did not answer",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Reporter: host(ndr.Reporter, "dispatch1-us1.ppe-hosted.com"), Target: host(ndr.Target, farMX),
				Fault: transcript.FaultTimeout, Stage: transcript.StageConnect,
			},
			verdict: AcceptedThenBounced, stage: transcript.StageAccepted, party: RecipientSystem, direction: Outbound,
		},
		{
			name: "the relay's delay warning",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Action: ndr.ActionDelayed, Reporter: host(ndr.Reporter, "dispatch1-us1.ppe-hosted.com"), Refuser: host(ndr.Refuser, farMX),
				Reply: reply(t, "450 4.2.0 try later"),
			},
			verdict: NotAFailure, stage: transcript.StageAccepted, party: RecipientSystem, direction: Outbound, refusedBy: farMX,
		},
		{
			name: "a success report",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Action: ndr.ActionRelayed, Reporter: host(ndr.Reporter, "mail.firma.example"), Carrier: host(ndr.Refuser, smartHost),
				Reply: reply(t, "250 2.0.0 Ok: queued as 9F2"),
			},
			verdict: NotAFailure, stage: transcript.StageAccepted, party: NoParty, direction: Outbound,
		},
		{
			name: "a 535 that the sender's queue made a 4.7.8 of",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Status: "4.7.8", Expired: true, Refuser: host(ndr.Refuser, smartHost),
				Reply: reply(t, "535 5.7.8 Error: authentication failed: authentication failure"),
			},
			verdict: Refused, stage: transcript.StageAuth, party: RelayConfig, direction: Outbound, refusedBy: smartHost,
		},
		{
			name: "the recipient is the service's customer: marked invalid",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Recipient: "carol@kunde.example", Refuser: host(ndr.Refuser, mxHost), Stage: transcript.StageEnvelope,
				Reply: reply(t, "550 5.7.1 <carol@kunde.example>: Recipient address rejected: User email address is marked as invalid."),
			},
			verdict: InboundRefused, stage: transcript.StageEnvelope, party: RecipientSystem, direction: Inbound, refusedBy: mxHost,
		},
		{
			name: "a nested reply: the outermost host answered",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Refuser: host(ndr.Refuser, mxHost), Stage: transcript.StageEnvelope,
				Reply: reply(t, "550 5.1.1 <carol@kunde.example>: Recipient address rejected: undeliverable address: host srv.kunde.example[192.0.2.7] said: 550 5.1.1 unknown"),
			},
			verdict: InboundRefused, stage: transcript.StageEnvelope, party: RecipientSystem, direction: Inbound, refusedBy: mxHost,
		},
		{
			name: "Microsoft's 5.7.64 with the relay's words",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				Reporter: host(ndr.Reporter, "mail.firma.example"), Refuser: host(ndr.Refuser, "firma-example.mail.protection.outlook.com"),
				Reply: reply(t, "550 5.7.64 TenantAttribution; Relay Access Denied SMTP"),
			},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound,
			refusedBy: "firma-example.mail.protection.outlook.com",
		},
		{
			name: "Microsoft's wrapper around the relay's 554",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				Reporter: host(ndr.Reporter, exo), Refuser: host(ndr.Refuser, mxHost),
				Reply: reply(t, "554 5.7.1 <desk@partner.example>: Relay access denied"), LocalReply: reply(t, "550 5.7.367 Remote server returned not permitted to relay"),
			},
			verdict: Refused, stage: transcript.StageEnvelope, party: RelayConfig, direction: Outbound, refusedBy: mxHost,
		},
		{
			name: "the sending limit in the same words",
			c:    ndr.Case{Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Refuser: host(ndr.Refuser, smartHost), Reply: reply(t, "554 5.5.0 <desk@partner.example>: Relay Access denied"),
			},
			verdict: Refused, stage: transcript.StageEnvelope, party: RelayPlatform, direction: Outbound, refusedBy: smartHost,
		},
		{
			name:    "a program's exception without a host",
			c:       ndr.Case{Nature: ndr.NatureError},
			item:    ndr.Item{Reply: reply(t, "535 5.7.8 Error: authentication failed: authentication failure")},
			verdict: InsufficientEvidence, stage: transcript.StageAuth, party: UnknownParty, direction: Outbound,
		},
		{
			name:    "a human part without a host",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Recipient: "desk@partner.example", Reply: reply(t, "550 5.1.1 No such user")},
			verdict: InsufficientEvidence, stage: transcript.StageEnvelope, party: UnknownParty, direction: UnknownDirection,
		},
		{
			name: "pipelining: the 554 came after DATA was sent",
			c:    ndr.Case{Nature: ndr.NatureDialogue},
			item: ndr.Item{
				Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageEnvelope, Reply: reply(t, "554 5.7.1 <desk@partner.example>: Relay access denied"), Port: 25,
			},
			verdict: Refused, stage: transcript.StageEnvelope, party: RelayConfig, direction: Outbound, refusedBy: smartHost,
		},
		{
			name: "AUTH hidden before TLS, no 5xx at all",
			c:    ndr.Case{Nature: ndr.NatureDialogue},
			item: ndr.Item{Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageTLS, Session: &transcript.Session{
				Server: smartHost, Before: []string{"STARTTLS", "DSN"},
			}},
			verdict: Refused, stage: transcript.StageTLS, party: SenderSystem, direction: Outbound, refusedBy: smartHost,
		},
		{
			name: "no AUTH inside TLS either",
			c:    ndr.Case{Nature: ndr.NatureDialogue},
			item: ndr.Item{Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageAuth, Secure: transcript.Yes, Session: &transcript.Session{
				Server: smartHost, Before: []string{"STARTTLS"}, After: []string{"DSN"},
			}},
			verdict: Refused, stage: transcript.StageAuth, party: SenderSystem, direction: Outbound, refusedBy: smartHost,
		},
		{
			name: "Gmail sends as: the customer's relay, unnamed, hid AUTH",
			c:    ndr.Case{Format: "gmail", Nature: ndr.NatureReport},
			item: ndr.Item{
				FromReport: true, Reporter: host(ndr.Reporter, "googlemail.com"), Stage: transcript.StageTLS, Fault: transcript.FaultProtocol,
			},
			words:   "Unspecified Error (SENT_SECOND_EHLO): Smtp server does not advertise AUTH capability",
			verdict: Refused, stage: transcript.StageTLS, party: SenderSystem, direction: Outbound,
		},
		{
			name:    "a program says that AUTH is not supported, and names no host",
			c:       ndr.Case{Format: "python", Nature: ndr.NatureError},
			item:    ndr.Item{Stage: transcript.StageTLS, Fault: transcript.FaultProtocol},
			words:   "SMTP AUTH extension not supported by server.",
			verdict: InsufficientEvidence, stage: transcript.StageTLS, party: UnknownParty, direction: Outbound,
		},
		{
			name:    "530 in the log, the last line says could not connect",
			c:       ndr.Case{Nature: ndr.NatureDialogue},
			item:    ndr.Item{Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageEnvelope, Reply: reply(t, "530 5.7.0 Must issue a STARTTLS command first")},
			verdict: Refused, stage: transcript.StageTLS, party: SenderSystem, direction: Outbound, refusedBy: smartHost,
		},
		{
			name:    "the tester broke off",
			c:       ndr.Case{Nature: ndr.NatureDialogue, Notes: []ndr.Note{{ID: "tester-artefact"}}},
			item:    ndr.Item{Stage: transcript.StageUnknown, Session: session(transcript.Exchange{Stage: transcript.StageEnvelope, Command: "MAIL FROM:<a@firma.example>"})},
			verdict: InsufficientEvidence, stage: transcript.StageUnknown, party: SenderSystem, direction: Outbound,
		},
		{
			name:    "an Enterprise host looks alike",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Refuser: host(ndr.Refuser, "mx0a-00bb.pphosted.com"), Reply: reply(t, "550 5.7.0 Local Policy Violation")},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound, refusedBy: "mx0a-00bb.pphosted.com",
		},
		{
			name:    "a foreign ending behind the relay's name",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Refuser: host(ndr.Refuser, "x.ppe-hosted.com.evil.test"), Reply: reply(t, "554 5.7.1 Relay access denied")},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound, refusedBy: "x.ppe-hosted.com.evil.test",
		},
		{
			name:    ".NET drops the three digits",
			c:       ndr.Case{Nature: ndr.NatureError},
			item:    ndr.Item{Refuser: host(ndr.Refuser, smartHost), Reply: reply(t, "5.7.1 <desk@partner.example>: Relay access denied"), Port: 25},
			verdict: Refused, stage: transcript.StageEnvelope, party: RelayConfig, direction: Outbound, refusedBy: smartHost,
		},
		{
			name:    "mx1-… named in an outbound refusal, the sender is ours",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Sender: "a@firma.example", Recipient: "b@partner.example", Refuser: host(ndr.Refuser, mxHost), Reply: reply(t, "450 4.7.1 try later")},
			o:       Options{Facts: Facts{OurDomains: []string{"firma.example"}}},
			verdict: Deferred, stage: transcript.StageUnknown, party: RelayPlatform, direction: Outbound, refusedBy: mxHost,
		},
		{
			name:    "the recipient is ours and the sender is not",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Sender: "x@stranger.example", Recipient: "b@firma.example", Refuser: host(ndr.Refuser, smartHost), Reply: reply(t, "450 4.7.1 try later")},
			o:       Options{Facts: Facts{OurDomains: []string{"firma.example"}}},
			verdict: Deferred, stage: transcript.StageUnknown, party: RelayPlatform, direction: Inbound, refusedBy: smartHost,
		},
		{
			name:    "Exim: retry timeout exceeded",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Reporter: host(ndr.Reporter, "mail.firma.example"), LocalOnlyExpiry: true, Expired: true},
			verdict: InsufficientEvidence, stage: transcript.StageUnknown, party: UnknownParty, direction: Outbound,
		},
		{
			name: "an expiry in a reply's shape, the relay had carried the mail",
			c:    ndr.Case{Nature: ndr.NatureReport, Hops: byRelay},
			item: ndr.Item{
				FromReport: true, Reporter: host(ndr.Reporter, farMX), LocalOnlyExpiry: true, LocalReply: reply(t, "550 4.4.7 QUEUE.Expired; message expired"),
			},
			verdict: AcceptedThenBounced, stage: transcript.StageAccepted, party: RecipientSystem, direction: Outbound,
		},
		{
			name:    "the connection broke in mid-dialogue",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Target: host(ndr.Target, smartHost), Stage: transcript.StageEnvelope, Fault: transcript.FaultClosed},
			verdict: Deferred, stage: transcript.StageEnvelope, party: Network, direction: Outbound,
		},
		{
			name: "the connection broke after the final dot",
			c:    ndr.Case{Nature: ndr.NatureDialogue},
			item: ndr.Item{
				Target: host(ndr.Target, smartHost), Stage: transcript.StageData, Fault: transcript.FaultClosed,
				Session: session(
					transcript.Exchange{Stage: transcript.StageData, Command: "DATA", Reply: reply(t, "354 go on")},
					transcript.Exchange{Stage: transcript.StageData, Command: ".", Fault: transcript.FaultClosed}),
			},
			verdict: InsufficientEvidence, stage: transcript.StageData, party: Network, direction: Outbound,
		},
		{
			name:    "the relay's own log: it refused its client",
			c:       ndr.Case{Nature: ndr.NatureLog},
			item:    ndr.Item{Reporter: host(ndr.Reporter, mxHost), Refuser: host(ndr.Refuser, mxHost), Reply: reply(t, "554 5.7.1 <desk@partner.example>: Relay access denied")},
			verdict: Refused, stage: transcript.StageEnvelope, party: RelayConfig, direction: Outbound, refusedBy: mxHost,
		},
		{
			name:    "a log line with a 4xx is a deferral",
			c:       ndr.Case{Nature: ndr.NatureLog},
			item:    ndr.Item{Action: ndr.ActionDelayed, Deferred: true, Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageGreet, Reply: reply(t, "421 4.3.2 All screening ports are busy")},
			verdict: Deferred, stage: transcript.StageGreet, party: RelayPlatform, direction: Outbound, refusedBy: smartHost,
		},
		{
			name:    "an automatic reply",
			c:       ndr.Case{Nature: ndr.NatureAutoreply},
			item:    ndr.Item{Recipient: "desk@partner.example"},
			verdict: NotAFailure, stage: transcript.StageUnknown, party: NoParty, direction: UnknownDirection,
		},
		{
			name:    "STARTTLS taken out on the way: 502 to it",
			c:       ndr.Case{Nature: ndr.NatureDialogue},
			item:    ndr.Item{Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageTLS, Reply: reply(t, "502 5.5.1 Error: command not implemented")},
			verdict: HandshakeFailed, stage: transcript.StageTLS, party: Network, direction: Outbound, refusedBy: smartHost,
		},
		{
			name:    "a dialogue that its client broke off",
			c:       ndr.Case{Nature: ndr.NatureDialogue},
			item:    ndr.Item{Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageEHLO, Reply: reply(t, "250 DSN"), Session: session(transcript.Exchange{Stage: transcript.StageEHLO, Command: "EHLO pc", Reply: reply(t, "250 DSN")})},
			verdict: InsufficientEvidence, stage: transcript.StageEHLO, party: UnknownParty, direction: Outbound,
		},
		{
			name: "another server greets under the relay's name and refuses",
			c:    ndr.Case{Nature: ndr.NatureDialogue},
			item: ndr.Item{Refuser: host(ndr.Refuser, smartHost), Stage: transcript.StageEnvelope, Reply: reply(t, "554 5.7.1 <desk@partner.example>: Relay access denied"), Session: session(
				transcript.Exchange{Stage: transcript.StageGreet, Reply: reply(t, "220 mail.firma.example ESMTP Postfix")},
				transcript.Exchange{Stage: transcript.StageEnvelope, Command: "RCPT TO:<desk@partner.example>", Reply: reply(t, "554 5.7.1 <desk@partner.example>: Relay access denied")})},
			verdict: NeverReached, stage: transcript.StageNotAttempted, party: SenderSystem, direction: Outbound, refusedBy: "mail.firma.example",
		},
		{
			name:    "a bare address names nobody",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Reporter: host(ndr.Reporter, "mail.firma.example"), Refuser: ndr.Mention{Address: "192.0.2.10", Role: ndr.Refuser}, Reply: reply(t, "554 5.7.1 Relay access denied")},
			verdict: InsufficientEvidence, stage: transcript.StageEnvelope, party: UnknownParty, direction: Outbound, refusedBy: "192.0.2.10",
		},
		{
			name:    "a relay of another name, told by the user",
			c:       ndr.Case{Nature: ndr.NatureReport},
			item:    ndr.Item{FromReport: true, Refuser: host(ndr.Refuser, "smtp.other-relay.example"), Stage: transcript.StageEnvelope, Reply: reply(t, "550 5.7.1 Unable to relay")},
			o:       Options{RelayDomains: []string{"other-relay.example"}},
			verdict: Refused, stage: transcript.StageEnvelope, party: RelayConfig, direction: Outbound, refusedBy: "smtp.other-relay.example",
		},
		{
			name:    "inbound mail put off by the relay",
			c:       ndr.Case{Nature: ndr.NatureLog},
			item:    ndr.Item{Deferred: true, Refuser: host(ndr.Refuser, mxHost), Stage: transcript.StageEnvelope, Reply: reply(t, "450 4.1.1 <carol@kunde.example>: Recipient address rejected: unverified address: Address verification in progress")},
			verdict: Deferred, stage: transcript.StageEnvelope, party: NoParty, direction: Inbound, refusedBy: mxHost,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.c
			var text []byte
			if tt.words != "" {
				text = []byte(tt.words)
				tt.item.FaultSpan = transcript.Span{End: len(text), Line: 1, Column: 1}
			}
			c.Items = []ndr.Item{tt.item}
			r := JudgeCases([]ndr.Case{c}, text, tt.o)
			if len(r.Outcomes) != 1 {
				t.Fatalf("%d outcomes, want 1", len(r.Outcomes))
			}
			got := r.Outcomes[0]
			if got.Verdict != tt.verdict || got.Stage != string(tt.stage) || got.Party != tt.party || got.Direction != tt.direction || got.RefusedBy != tt.refusedBy {
				t.Errorf("got  %s/%s %s %s refused by %q\nwant %s/%s %s %s refused by %q\nheadline: %s",
					got.Verdict, got.Stage, got.Party, got.Direction, got.RefusedBy,
					tt.verdict, tt.stage, tt.party, tt.direction, tt.refusedBy, r.Verdict.Headline)
			}
			checkReport(t, r)
		})
	}
}

// checkReport holds for every report.
func checkReport(t *testing.T, r *Report) {
	t.Helper()
	if n := len([]rune(r.Verdict.Headline)); n == 0 || n > maxHeadline {
		t.Errorf("headline has %d characters: %q", n, r.Verdict.Headline)
	}
	if r.Verdict.Next == "" {
		t.Error("nobody is told what to do next")
	}
	for _, f := range r.Findings {
		if f.ID == "" || f.Title == "" || len(f.Title) > maxTitle || f.Source == "" {
			t.Errorf("finding %+v is not whole", f)
		}
	}
	if r.Verdict.Code == InsufficientEvidence && len(r.NextTests) == 0 {
		t.Error("inconclusive, and no text is asked for")
	}
}

func TestAskNamesTheTimeWindow(t *testing.T) {
	when := time.Date(2026, 11, 23, 10, 40, 12, 0, time.FixedZone("", 3600))
	c := ndr.Case{Nature: ndr.NatureReport, Items: []ndr.Item{{
		FromReport: true, Reporter: host(ndr.Reporter, "mail.firma.example"), LocalOnlyExpiry: true, When: when,
	}}}
	r := JudgeCases([]ndr.Case{c}, nil, Options{})
	want := "send the SMTP log of the sending server mail.firma.example from 10:39 to 10:41 on 2026-11-23 (+0100)"
	if len(r.NextTests) != 1 || r.NextTests[0].Do != want {
		t.Errorf("next tests %+v, want %q", r.NextTests, want)
	}
	if r.Verdict.Next != "sender-system: "+want {
		t.Errorf("next is %q", r.Verdict.Next)
	}
}

// TestAskNamesTheMessage: the id and the time that the returned headers give are
// what to look for in the log of the server that reports.
func TestAskNamesTheMessage(t *testing.T) {
	taken := time.Date(2026, 11, 24, 10, 48, 38, 0, time.UTC)
	hops := []ndr.Hop{
		{By: host(ndr.Received, "other.firma.example"), When: taken.Add(-time.Hour), ID: "not-this"},
		{By: host(ndr.Received, "mail.firma.example"), When: taken, ID: "1xVo4k-00000e-2O"},
	}
	for _, tt := range []struct {
		format  string
		queueID string
		hops    []ndr.Hop
		written time.Time
		want    string
	}{
		{"exim-dsn", "", hops, taken.Add(3 * time.Second), "send the Exim main log of mail.firma.example, message 1xVo4k-00000e-2O, from 10:47 to 10:49 on 2026-11-24 UTC"},
		{"exim-dsn", "", hops, taken.Add(4 * 24 * time.Hour), "send the Exim main log of mail.firma.example, message 1xVo4k-00000e-2O, from 10:47 on 2026-11-24 to 10:49 on 2026-11-28 UTC"},
		{"postfix-dsn", "4XYZ1234", hops, time.Time{}, "send the Postfix log of mail.firma.example, queue ID 4XYZ1234, since 10:47 on 2026-11-24 UTC"},
		{"postfix-dsn", "4XYZ1234", nil, taken, "send the Postfix log of mail.firma.example, queue ID 4XYZ1234, from 10:47 to 10:49 on 2026-11-24 UTC"},
		{"postfix-dsn", "4XYZ1234", nil, time.Time{}, "send the Postfix log of mail.firma.example, queue ID 4XYZ1234"},
		{"postfix-dsn", "$(reboot)", nil, taken, "send the Postfix log of mail.firma.example from 10:47 to 10:49 on 2026-11-24 UTC"},
		{"generic-dsn", "", hops[:1], taken, "send the SMTP log of the sending server mail.firma.example from 10:47 to 10:49 on 2026-11-24 UTC"},
	} {
		c := ndr.Case{Nature: ndr.NatureReport, Format: tt.format, Hops: tt.hops, Written: tt.written, Items: []ndr.Item{{
			FromReport: true, Reporter: host(ndr.Reporter, "mail.firma.example"), LocalOnlyExpiry: true, QueueID: tt.queueID,
		}}}
		r := JudgeCases([]ndr.Case{c}, nil, Options{})
		if len(r.NextTests) != 1 || r.NextTests[0].Do != tt.want {
			t.Errorf("next tests %+v, want %q", r.NextTests, tt.want)
		}
		if r.Verdict.Next != "sender-system: "+tt.want {
			t.Errorf("next is %q", r.Verdict.Next)
		}
	}
}

// TestAskReadsTheReturnedHeaders: the id and the times come out of a whole mail,
// and what Exchange writes behind "id" is its version.
func TestAskReadsTheReturnedHeaders(t *testing.T) {
	const mail = `From: Mail Delivery System <Mailer-Daemon@firma.example>
To: alerts@firma.example
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender
Date: Tue, 24 Nov 2026 11:51:02 +0100

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  desk@partner.example
    retry timeout exceeded

Reporting-MTA: dns; mail.firma.example

Action: failed
Final-Recipient: rfc822;desk@partner.example
Status: 5.0.0

Return-path: <alerts@firma.example>
Received: from scanner.firma.example by mail.firma.example with esmtp ID
	for desk@partner.example;
	Tue, 24 Nov 2026 11:48:38 +0100
From: alerts@firma.example
To: desk@partner.example
Subject: Nightly report
`
	for _, tt := range []struct{ id, want string }{
		{"(Exim 4.96) id 1xVo4k-00000e-2O", ", message 1xVo4k-00000e-2O, from 10:47 to 10:52 on 2026-11-24 UTC"},
		{"id <b>1</b>", " from 10:47 to 10:52 on 2026-11-24 UTC"},
		{"(Microsoft SMTP Server) id 15.20.1.2", " from 10:47 to 10:52 on 2026-11-24 UTC"},
	} {
		r := Analyze([]byte(strings.Replace(mail, "ID", tt.id, 1)), Options{})
		want := "send the Exim main log of mail.firma.example" + tt.want
		if len(r.NextTests) != 1 || r.NextTests[0].Do != want {
			t.Errorf("%s: next tests %+v, want %q", tt.id, r.NextTests, want)
		}
	}
}

// TestAnAddressThatWasTriedIsNamed: an error that gives an address and no name
// says what came of it, and asks for the name.
func TestAnAddressThatWasTriedIsNamed(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"dial tcp 198.51.100.10:587: connect: connection timed out\n", "198.51.100.10 port 587 did not answer; the text does not say which host that is: tell its name"},
		{"dial tcp 198.51.100.10:587: connect: connection refused\n", "198.51.100.10 port 587 refused the connection; the text does not say which host that is"},
	} {
		r := Analyze([]byte("2026/11/24 10:49:46 send mail: "+tt.text), Options{})
		if r.Verdict.Headline != tt.want {
			t.Errorf("headline %q, want %q", r.Verdict.Headline, tt.want)
		}
	}
}

// TestUnsaid: what a report says for itself is no server's reply; a refusal whose
// host is not named is one.
func TestUnsaid(t *testing.T) {
	for _, tt := range []struct {
		o    Outcome
		want bool
	}{
		{Outcome{Reply: Reply{Text: "retry timeout exceeded"}}, true},
		{Outcome{Reply: Reply{554, "5.7.1", "<bob@recipient.example>: Relay access denied"}}, false},
		{Outcome{Reply: Reply{Text: "Relay access denied"}, RefusedBy: "outbound-us1.ppe-hosted.com"}, false},
		{Outcome{}, false},
	} {
		if got := tt.o.Unsaid(); got != tt.want {
			t.Errorf("%+v: %v", tt.o.Reply, got)
		}
	}
}
