package ndr

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/transcript"
)

// traceSeeds are the samples whose folder has one of the prefixes.
func traceSeeds(f *testing.F, prefixes ...string) {
	f.Helper()
	for _, base := range traceFiles(f) {
		for _, p := range prefixes {
			if !strings.Contains(base, p) {
				continue
			}
			b, err := os.ReadFile(base + ".txt")
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
			break
		}
	}
}

// fuzzTrace gives the whole input to one reader, whatever its sniffer says.
func fuzzTrace(f *testing.F, sniff func(*Block) int, read func(*Block) []Case) {
	f.Helper()
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 64<<10 {
			return
		}
		doc := Prepare(input)
		if doc.NumLines() == 0 {
			return
		}
		one := func() []Case {
			b := &Block{Doc: doc, Last: doc.NumLines()}
			if sure := sniff(b); sure < 0 || sure > 100 {
				t.Fatalf("sure %d", sure)
			}
			return read(b)
		}
		cases := one()
		for i := range cases {
			for k := range cases[i].Items {
				it := &cases[i].Items[k]
				if !it.Refuser.IsZero() && it.Refuser.Role != Refuser || !it.Target.IsZero() && it.Target.Role != Target {
					t.Fatalf("roles: %+v %+v", it.Refuser, it.Target)
				}
				if !it.Reply.IsZero() && it.Fault != transcript.FaultNone {
					t.Fatalf("a reply and a fault: %+v", it)
				}
				if it.FromReport {
					t.Fatal("no report")
				}
			}
		}
		checkSpans(t, input, cases)
		if again := one(); indented(t, traced(cases)) != indented(t, traced(again)) {
			t.Fatal("the same input was read in two ways")
		}
	})
}

// FuzzDialogue: the reader of dialogues.
func FuzzDialogue(f *testing.F) {
	traceSeeds(f, "transcripts/swaks", "transcripts/openssl", "transcripts/telnet", "transcripts/curl", "transcripts/msmtp", "transcripts/smtplib", "transcripts/nodemailer",
		"transcripts/phpmailer", "transcripts/javamail", "transcripts/letters", "transcripts/other", "transcripts/sendmail", "transcripts/exchange", "transcripts/handoff")
	f.Add([]byte("openssl s_client -starttls smtp -connect outbound-us1.ppe-hosted.com:587\nCONNECTED(00000003)\n---\nVerify return code: "))
	f.Add([]byte("$ openssl s_client -starttls smtp -connect outbound-us1.ppe-hosted.com:587\nCONNECTED(00000003)\n---\n250 CHUNKING\n---\nPost-Handshake New Session Ticket arrived:\nSSL-Session:\n    Protocol  : TLSv"))
	fuzzTrace(f, sniffDialogue, readDialogue)
}

// FuzzLog: the readers of logs and of queue listings.
func FuzzLog(f *testing.F) {
	traceSeeds(f, "logs/")
	f.Add([]byte(`{"log":"Nov 24 07:40:47 mail postfix/smtp[2]: BBBB222222: to=\u003cb@partner.example\u003e, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:25, delay=1, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 M\u00fcller \ud83d\udce7 \ud83d (in reply to RCPT TO command))\n","stream":"stdout"}` + "\n"))
	fuzzTrace(f, func(b *Block) int { return max(sniffLog(b), sniffQueue(b)) }, func(b *Block) []Case { return append(readLog(b), readQueue(b)...) })
}

// FuzzError: the reader of errors and of device logs.
func FuzzError(f *testing.F) {
	traceSeeds(f, "transcripts/error", "transcripts/device")
	f.Add([]byte("e: Mailbox unavailable. The server response was:\f 5"))
	for _, n := range []int{4096, 16 << 10, maxLine} {
		f.Add([]byte("Got bad greeting from SMTP host: outbound-us1.ppe-hosted.com, port: 25, response: 554 5.7.1 <" + strings.Repeat("\x98", n)))
	}
	fuzzTrace(f, sniffError, readError)
}

// FuzzDialogueSecret: what goes by within AUTH is nowhere in the session, in
// whatever dialect the dialogue is written.
func FuzzDialogueSecret(f *testing.F) {
	f.Add("pw-Neunzwanzig", uint8(0))
	f.Add("x y z 12345678", uint8(3))
	f.Fuzz(func(t *testing.T, secret string, which uint8) {
		if len(secret) < 8 || len(secret) > 60 || !isPlainASCII(secret) || strings.ContainsAny(secret, "\r\n\t\\'\"") || strings.TrimSpace(secret) != secret || isReplyText([]byte(secret)) || transcript.Verb(secret) != "" {
			return
		}
		forms := [][2]string{{"<- ", " -> "}, {"< ", "> "}, {"<-- ", "--> "}, {"S: ", "C: "}, {"<<< ", ">>> "}, {"SERVER -> CLIENT: ", "CLIENT -> SERVER: "}}
		m := forms[int(which)%len(forms)]
		token := strings.ReplaceAll(secret, " ", "_")
		lines := []string{
			m[0] + "220 mx1-us1.ppe-hosted.com ESMTP", m[1] + "EHLO c", m[0] + "250 AUTH LOGIN PLAIN",
			m[1] + "AUTH LOGIN", m[0] + "334 VXNlcm5hbWU6", m[1] + "dXNlcg==", m[0] + "334 UGFzc3dvcmQ6", m[1] + token, m[0] + "535 5.7.8 no",
			m[1] + "AUTH PLAIN " + token, m[0] + "535 5.7.8 no",
		}
		for _, c := range Read([]byte(strings.Join(lines, "\n") + "\n")) {
			for _, it := range c.Items {
				if it.Session == nil {
					t.Fatal("no session")
				}
				for _, e := range it.Session.Exchanges {
					if strings.Contains(e.Command, token) || strings.Contains(e.Reply.Text(), token) {
						t.Fatalf("%q shows in %q -> %q", token, e.Command, e.Reply.Text())
					}
				}
			}
		}
	})
}

// joinedSamples is every sample of the folders with the word, one below the
// other, several times.
func joinedSamples(b *testing.B, word string, times int) []byte {
	var text bytes.Buffer
	for range times {
		for _, base := range traceFiles(b) {
			if strings.Contains(base, word) {
				raw, err := os.ReadFile(base + ".txt")
				if err != nil {
					b.Fatal(err)
				}
				text.Write(raw)
			}
		}
	}
	return text.Bytes()
}

func benchmarkTrace(b *testing.B, word string, times int) {
	text := joinedSamples(b, word, times)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if len(Read(text)) == 0 {
			b.Fatal("nothing was read")
		}
	}
}

func BenchmarkPostfixLog(b *testing.B)    { benchmarkTrace(b, "logs/postfix/relay", 200) }
func BenchmarkEximLog(b *testing.B)       { benchmarkTrace(b, "logs/exim/main", 200) }
func BenchmarkSwaks(b *testing.B)         { benchmarkTrace(b, "swaks/relay-denied", 200) }
func BenchmarkProtocolLog(b *testing.B)   { benchmarkTrace(b, "exchange-protocol-log/tls", 200) }
func BenchmarkProgramErrors(b *testing.B) { benchmarkTrace(b, "error-", 1) }

// BenchmarkSniffers measures what the sniffers of traces cost on ordinary
// reports, which they do not read.
func BenchmarkSniffers(b *testing.B) {
	var blocks []*Block
	size := 0
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "reports", "*", "*.[te]*"))
	if err != nil || len(files) == 0 {
		b.Fatal("no reports", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		doc := Prepare(raw)
		blocks = append(blocks, doc.blocks(Options{})...)
		size += len(raw)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, block := range blocks {
			for i := range traceFamilies {
				traceFamilies[i].sniff(block)
			}
		}
	}
	b.ReportMetric(float64(len(blocks)*b.N)/b.Elapsed().Seconds(), "blocks/s")
}
