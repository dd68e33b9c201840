package transcript

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	pw       = "Xy7#kQ2&pL9!vB4@zR" // planted in every sample
	tokenPw  = "[secret-1]"
	userName = "alice@customer.example"
)

var (
	plainPw = b64("\x00" + userName + "\x00" + pw)
	loginPw = b64(pw)
	loginU  = b64(userName)
)

// leakSamples hold the secret of this file in the style of every program that
// people paste from. PLAIN, LOGINPW, LOGINU and PW stand for its forms.
var leakSamples = []struct{ name, text string }{
	{"bare telnet", "220 mx ESMTP\nehlo c.example\n250-mx\n250 AUTH PLAIN LOGIN\nauth plain PLAINX\n535 5.7.8 Error: authentication failed\n"},
	{"bare telnet, prompts", "AUTH LOGIN\n334 VXNlcm5hbWU6\nLOGINU\n334 UGFzc3dvcmQ6\nLOGINPW\n235 2.7.0 Authentication successful\nMAIL FROM:<alice@customer.example>\n250 2.1.0 Ok\n"},
	{"bare telnet, plain after prompt", "AUTH PLAIN\n334 \nPLAIN\n235 ok\n"},
	{"bare telnet, typed in clear", "AUTH LOGIN\n334 VXNlcm5hbWU6\nalice\n334 UGFzc3dvcmQ6\nPW\n535 no\n"},
	{"bare telnet, CRLF", "AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\nLOGINU\r\n334 UGFzc3dvcmQ6\r\nLOGINPW\r\n235 ok\r\n"},
	{"bare telnet, bare CR", "AUTH LOGIN\r334 VXNlcm5hbWU6\rLOGINU\r334 UGFzc3dvcmQ6\rLOGINPW\r235 ok\r"},
	{"telnet with backspaces", "AUTH PLAIN x\b\bPLAIN\n535 no\n"},
	{"C: S:", "S: 334 VXNlcm5hbWU6\nC: LOGINU\nS: 334 UGFzc3dvcmQ6\nC: LOGINPW\nS: 535 no\n"},
	{"swaks", "=== Trying h:587...\n=== Connected to h.\n<-  220 h\n -> EHLO c\n<-  250-AUTH LOGIN\n -> AUTH LOGIN\n<-  334 VXNlcm5hbWU6\n -> LOGINU\n<-  334 UGFzc3dvcmQ6\n -> LOGINPW\n<** 535 no\n*** No authentication type succeeded\n"},
	{"swaks under TLS", " ~> AUTH PLAIN PLAIN\n<~* 535 5.7.8 Error: authentication failed\n"},
	{"swaks quoted in a mail", "> <~  334 UGFzc3dvcmQ6\n>  ~> LOGINPW\n> <~* 535 no\n"},
	{"quoted bare", "> 334 UGFzc3dvcmQ6\n> LOGINPW\n> 535 no\n"},
	{"wrapped by a mail program", " ~> AUTH PLAIN " + plainPw[:40] + "\n" + plainPw[40:] + "\n<~* 535 no\n"},
	{"curl", "< 334 UGFzc3dvcmQ6\n> LOGINPW\n< 235 ok\n* Connected\n"},
	{"curl, initial response", "> AUTH PLAIN PLAIN\n< 535 no\n"},
	{"curl command", "curl -v --ssl-reqd smtp://outbound-us1.ppe-hosted.com:587 -u 'alice@customer.example:PW' --mail-from a@b.example"},
	{"curl --user", "curl --user alice@customer.example:PW smtp://h:587"},
	{"openssl s_client", "CONNECTED(00000003)\n---\n250 CHUNKING\nAUTH PLAIN PLAIN\n535 no\n"},
	{"smtplib", "send: 'AUTH PLAIN PLAIN\\r\\n'\nreply: b'535 5.7.8 no\\r\\n'\nreply: retcode (535); Msg: b'5.7.8 no'\n"},
	{"smtplib, prompts", "send: 'AUTH LOGIN\\r\\n'\nreply: b'334 UGFzc3dvcmQ6\\r\\n'\nreply: retcode (334); Msg: b'UGFzc3dvcmQ6'\nsend: 'LOGINPW\\r\\n'\nreply: b'535 no\\r\\n'\n"},
	{"smtplib, bytes", "send: b'AUTH PLAIN PLAIN\\r\\n'\n"},
	{"JavaMail", "DEBUG SMTP: AUTH LOGIN failed\nAUTH LOGIN\n334 VXNlcm5hbWU6\nLOGINU\n334 UGFzc3dvcmQ6\nLOGINPW\n535 no\n"},
	{"PHPMailer", "2026-11-24 09:12:44\tCLIENT -> SERVER: AUTH LOGIN\n2026-11-24 09:12:44\tSERVER -> CLIENT: 334 UGFzc3dvcmQ6\n2026-11-24 09:12:44\tCLIENT -> SERVER: LOGINPW\n2026-11-24 09:12:44\tSERVER -> CLIENT: 535 no\n"},
	{"nodemailer", "[2026-11-24 09:12:44] DEBUG [aBcD] S: 334 UGFzc3dvcmQ6\n[2026-11-24 09:12:44] DEBUG [aBcD] C: LOGINPW\n[2026-11-24 09:12:44] DEBUG [aBcD] S: 535 no\n"},
	{"Postfix smtpd", "Nov 24 09:12:44 mx postfix/smtpd[12]: < unknown[192.0.2.7]: AUTH PLAIN PLAIN\nNov 24 09:12:44 mx postfix/smtpd[12]: > unknown[192.0.2.7]: 535 5.7.8 no\n"},
	{"Postfix smtp, prompts", "Nov 24 09:12:44 mx postfix/smtp[12]: < h[192.0.2.1]:587: 334 UGFzc3dvcmQ6\nNov 24 09:12:44 mx postfix/smtp[12]: > h[192.0.2.1]:587: LOGINPW\n"},
	{"Exim -d", "09:12:44 12   SMTP>> AUTH PLAIN PLAIN\n09:12:44 12   SMTP<< 535 no\n"},
	{"Exim report", "    host h [192.0.2.1]\n    SMTP error from remote mail server after AUTH PLAIN PLAIN:\n    535 no\n"},
	{"sendmail -v", ">>> AUTH PLAIN PLAIN\n535 no\n"},
	{"sendmail log", "Nov 24 mx sm-mta[1]: x: <-- AUTH PLAIN PLAIN\nNov 24 mx sm-mta[1]: x: --- 535 no\n"},
	{"OpenSMTPD trace", "smtp: 0x7f8: >>> AUTH PLAIN PLAIN\nsmtp: 0x7f8: <<< 535 no\n"},
	{"msmtp -d", "<-- 334 UGFzc3dvcmQ6\n--> LOGINPW\n<-- 535 no\n"},
	{"Dovecot", "auth: Debug: client in: AUTH\t1\tPLAIN\tservice=smtp\tresp=PLAIN (previous base64 data may contain sensitive data)\n"},
	{"Exchange protocol log", "2026-11-24T09:12:44.1Z,To relay,08DA,5,192.0.2.5:1,192.0.2.1:587,>,AUTH LOGIN,\n2026-11-24T09:12:44.2Z,To relay,08DA,6,192.0.2.5:1,192.0.2.1:587,<,334 UGFzc3dvcmQ6,\n2026-11-24T09:12:44.2Z,To relay,08DB,1,192.0.2.5:1,192.0.2.1:587,<,220 other session,\n2026-11-24T09:12:44.3Z,To relay,08DA,7,192.0.2.5:1,192.0.2.1:587,>,LOGINPW,\n"},
	{"hMailServer, as a client", "\"SMTPC\"\t12\t7\t\"2026-11-24 09:12:44.1\"\t\"192.0.2.1\"\t\"SENT: AUTH LOGIN\"\n\"SMTPC\"\t12\t7\t\"2026-11-24 09:12:44.2\"\t\"192.0.2.1\"\t\"RECEIVED: 334 UGFzc3dvcmQ6\"\n\"SMTPC\"\t12\t8\t\"2026-11-24 09:12:44.2\"\t\"192.0.2.1\"\t\"RECEIVED: 220 other session\"\n\"SMTPC\"\t12\t7\t\"2026-11-24 09:12:44.3\"\t\"192.0.2.1\"\t\"SENT: LOGINPW\"\n"},
	{"hMailServer, as a server", "\"SMTPD\"\t12\t7\t\"2026-11-24 09:12:44.1\"\t\"10.0.0.4\"\t\"RECEIVED: AUTH PLAIN\"\n\"SMTPD\"\t12\t7\t\"2026-11-24 09:12:44.2\"\t\"10.0.0.4\"\t\"SENT: 334 \"\n\"SMTPD\"\t12\t7\t\"2026-11-24 09:12:44.3\"\t\"10.0.0.4\"\t\"RECEIVED: PW\"\n"},
	{"SmarterMail", "09:12:44.101 [88421] CMD: AUTH LOGIN\n09:12:44.201 [88421] RSP: 334 VXNlcm5hbWU6\n09:12:44.202 [88421] CMD: LOGINU\n09:12:44.301 [88421] RSP: 334 UGFzc3dvcmQ6\n09:12:44.302 [88421] CMD: LOGINPW\n09:12:44.401 [88421] RSP: 535 no\n"},
	{"IceWarp", "192.0.2.1  [0A11] 09:12:44 <<< AUTH LOGIN\n192.0.2.1  [0A11] 09:12:44 >>> 334 VXNlcm5hbWU6\n192.0.2.1  [0A11] 09:12:44 <<< LOGINU\n192.0.2.1  [0A11] 09:12:44 >>> 334 UGFzc3dvcmQ6\n192.0.2.1  [0A11] 09:12:45 <<< LOGINPW\n192.0.2.1  [0A11] 09:12:45 >>> 535 no\n"},
	{"Haraka", "[PROTOCOL] [F2A-1.1] [outbound] C: AUTH LOGIN\n[PROTOCOL] [F2A-1.1] [outbound] S: 334 UGFzc3dvcmQ6\n[PROTOCOL] [F2A-1.1] [outbound] C: LOGINPW\n"},
	{"Axigen", "11-24 09:12:45 +0100 08 mail SMTP-OUT:0A11: >> AUTH LOGIN\n11-24 09:12:45 +0100 08 mail SMTP-OUT:0A11: << 334 UGFzc3dvcmQ6\n11-24 09:12:45 +0100 08 mail SMTP-OUT:0A11: >> LOGINPW\n"},
	{"IIS", "2026-11-24 09:12:44 192.0.2.1 OutboundConnectionCommand SMTPSVC1 WEB01 - 25 AUTH - PLAIN+PLAINX 0 0 4 0 47 SMTP - - - -\n2026-11-24 09:12:44 192.0.2.1 OutboundConnectionResponse SMTPSVC1 WEB01 - 25 - - 334+UGFzc3dvcmQ6 0 0 18 0 62 SMTP - - - -\n2026-11-24 09:12:45 192.0.2.1 OutboundConnectionCommand SMTPSVC1 WEB01 - 25 LOGINPW - - 0 0 4 0 62 SMTP - - - -\n"},
	{"Stalwart", "2026-11-24T09:12:44Z TRACE Raw SMTP output sent (delivery.raw-output) queueId = 1, size = 60, contents = \"AUTH PLAIN PLAIN\\r\\n\"\n2026-11-24T09:12:44Z TRACE Raw SMTP input received (delivery.raw-input) queueId = 1, contents = \"334 UGFzc3dvcmQ6\\r\\n\"\n2026-11-24T09:12:44Z TRACE Raw SMTP output sent (delivery.raw-output) queueId = 1, contents = \"LOGINPW\\r\\n\"\n"},
	{"maddy", "[debug] smtp_downstream: AUTH PLAIN PLAIN\t{\"msg_id\":\"5b77\"}\n"},
	{"MailEnable", "11/24/26 09:12:44\tSMTP-OU\t7AF\t88\t192.0.2.1\tAUTH\tAUTH LOGIN\t334 VXNlcm5hbWU6\t12\t18\t\n11/24/26 09:12:44\tSMTP-OU\t7AF\t88\t192.0.2.1\tAUTH\tLOGINU\t334 UGFzc3dvcmQ6\t12\t18\t\n11/24/26 09:12:45\tSMTP-OU\t7B0\t88\t192.0.2.1\t \t \t220 other\t12\t18\t\n11/24/26 09:12:45\tSMTP-OU\t7AF\t88\t192.0.2.1\tAUTH\tLOGINPW\t535 5.7.8 no\t12\t66\t\n"},
	{"log with stamps", "2026-11-24 09:12:44.123 [SMTP] AUTH LOGIN\n2026-11-24 09:12:44.124 [SMTP] 334 UGFzc3dvcmQ6\n2026-11-24 09:12:44.125 [SMTP] LOGINPW\n2026-11-24 09:12:44.126 [SMTP] 535 no\n"},
	{"log with arrows", "09:12:44 << 334 UGFzc3dvcmQ6\n09:12:45 >> LOGINPW\n09:12:46 << 535 no\n"},
	{"relay's own", "user name  alice\npassword   PW\n"},
	{"JSON log", `{"dir":"out","data":"AUTH LOGIN"}` + "\n" + `{"dir":"in","data":"334 UGFzc3dvcmQ6\r\n"}` + "\n" + `{"dir":"out","data":"LOGINPW\r\n"}` + "\n"},
	{"JSON log, initial", `{"t":1,"msg":"C: AUTH PLAIN PLAIN\r\n"}`},
	{"MailKit", "C: AUTH PLAIN PLAIN\r\nS: 535 no\r\n"},
	{"XOAUTH2", "AUTH XOAUTH2 " + b64("user=a\x01auth=Bearer "+pw+"\x01\x01") + "\n334 x\n"},
	{"CRAM-MD5 of its own", "AUTH CRAM-MD5\n334 PDEyMz4=\n" + b64("alice "+strings.Repeat("0123456789abcdef", 2)) + "\n235 ok\nPASSWORD=PW"},
	{"base64 alone", "he sent PLAIN and got 535"},
	{"URL", "smtp://alice%40customer.example:PW@outbound-us1.ppe-hosted.com:587"},
	{"URL in quotes", `mailer_dsn: "smtps://alice:PW@h.example:465/?x=y"`},
	{"postgres URL", "DATABASE_URL=postgres://u:PW@db.example/x"},
	{"swaks command", "swaks -s h -p 587 -tls -au alice@customer.example -ap 'PW'"},
	{"swaks command, long", "swaks --auth-user alice --auth-password PW --to b@c.example"},
	{"sendEmail", "sendEmail -f a@b.example -s h:587 -xu alice -xp PW"},
	{"env", "SMTP_HOST=h\nSMTP_PASSWORD=PW\nSMTP_PORT=587\n"},
	{"export", "export MAIL_PASS='PW'\n"},
	{"docker", "docker run -e SMTP_PASS=PW -p 25:25 img"},
	{"sasl_passwd", "[outbound-us1.ppe-hosted.com]:587 alice@customer.example:PW\n"},
	{"sasl_passwd, echo", `echo "[outbound-us1.ppe-hosted.com]:587 alice@customer.example:PW" > /etc/postfix/sasl_passwd`},
	{"postconf static", "smtp_sasl_password_maps = static:alice@customer.example:PW\n"},
	{"OpenSMTPD secrets", "relay1 alice@customer.example:PW\n"},
	{"Exim passwd.client", "*.ppe-hosted.com:alice@customer.example:PW\n"},
	{"sendmail authinfo", `AuthInfo:outbound-us1.ppe-hosted.com "U:alice" "I:alice" "P:PW" "M:PLAIN"`},
	{"msmtprc", "account relay\nhost h\nuser alice\npassword PW\nauth on\n"},
	{"netrc", "machine h login alice password PW\n"},
	{"ssmtp", "AuthUser=alice\nAuthPass=PW\n"},
	{"mutt", `set smtp_pass = "PW"`},
	{"PHP", "$mail->Username = 'alice';\n$mail->Password = 'PW';\n"},
	{"PHP array", "'password' => 'PW',\n"},
	{"wp-config", "define( 'SMTP_PASS', 'PW' );"},
	{"PHP index", "$config['smtp_password'] = 'PW';"},
	{"Python dict", `{"user": "alice", "password": "PW"}`},
	{"Python login", `server.login("alice", "PW")`},
	{"Go", `auth := smtp.PlainAuth("", "alice", "PW", "h")`},
	{"Node", "auth: { user: 'alice', pass: 'PW' }"},
	{"YAML", "smtp:\n  username: alice\n  password: PW\n"},
	{"YAML in quotes", "password: \"PW\"  # new\n"},
	{"compose", "    environment:\n      - SMTP_PASSWORD=PW\n"},
	{"Kubernetes", "- name: SMTP_PASSWORD\n  value: PW\n"},
	{"XML element", "<smtp><password>PW</password></smtp>"},
	{"XML attribute", `<network host="h" userName="alice" password="PW" port="587" />`},
	{"XML add", `<add key="SmtpPassword" value="PW" />`},
	{"properties", "mail.smtp.password=PW\n"},
	{"INI", "smtp_pass = PW\n"},
	{"connection string", "Server=h;User Id=alice;Password=PW;Port=587"},
	{"PowerShell", `$cred = New-Object System.Net.NetworkCredential("alice", "PW")`},
	{"PowerShell secure string", `$p = ConvertTo-SecureString "PW" -AsPlainText -Force`},
	{"PowerShell secure string, named", `ConvertTo-SecureString -String 'PW' -AsPlainText -Force`},
	{"PowerShell assignment", `$Password = "PW"`},
	{"JSON inside JSON", `{"body":"{\"password\":\"PW\"}"}`},
	{"query", "GET /login?user=alice&password=PWQ&x=1 HTTP/1.1"},
	{"Basic", "Authorization: Basic " + b64(userName+":"+pw)},
	{"Basic in curl", `curl -H "Authorization: Basic ` + b64(userName+":"+pw) + `" https://x.example`},
	{"Bearer", "Authorization: Bearer PWTOKEN"},
	{"proxy", "Proxy-Authorization: Basic " + b64("a:"+pw)},
	{"chat", "the password is PW, please try"},
	{"chat 2", "user alice, password: PW"},
	{"chat 3", "Password: PW\n"},
	{"German", "Das Passwort ist PW.\nKennwort: PW\n"},
	{"label above", "Username:\nalice\nPassword:\nPW\n"},
	{"given password", "dovecot: auth: passwd-file(alice,192.0.2.7): Password mismatch (given password: PW)"},
	{"server echo", "AUTH PLAIN PLAIN\n535 5.7.8 PLAIN is wrong\n530 you said PW\n"},
	{"key first, echo later", "SMTP_PASSWORD=PW\n\n535 5.7.8 LOGINPW\n550 PW\n"},
	{"client_secret", `"client_secret": "PWTOKEN"`},
	{"devices", "Server: h\r\nPort: 587\r\nUser: alice\r\nPassword: PW\r\nResult: 535\r\n"},
}

func sample(s string) string {
	return strings.NewReplacer("PLAIN PLAIN", "PLAIN "+plainPw, "=PLAIN ", "="+plainPw+" ", "PLAINX", plainPw, "LOGINPW", loginPw, "LOGINU", loginU, "PWTOKEN", "Xy7KQ2pL9vB4zR8mN1tW6sD3", "PWQ", "Xy7%23kQ2%26pL9%21vB4%40zR", "\nPLAIN\n", "\n"+plainPw+"\n", "\bPLAIN", "\b"+plainPw, "sent PLAIN and", "sent "+plainPw+" and", "8 PLAIN is", "8 "+plainPw+" is", "PW", pw).Replace(s)
}

// leakOf says which part of the planted secret stands in a text.
func leakOf(text string) string {
	for _, s := range []string{pw, "Xy7KQ2pL9vB4zR8mN1tW6sD3", "Xy7%23kQ2%26pL9", plainPw[32:], loginPw} {
		for i := 0; i+6 <= len(s); i++ {
			if strings.Contains(text, s[i:i+6]) && s[i:i+6] != "user=a" {
				return s[i : i+6]
			}
		}
	}
	return leaks(text, pw)
}

// lf is a text with LF at the end of each line.
func lf(s string) string { return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s) }

// wrappers put a text into the dress in which it is pasted.
var wrappers = []struct {
	name string
	wrap func(string) string
}{
	{"as it is", func(s string) string { return s }},
	{"CRLF", func(s string) string {
		return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
	}},
	{"HTML", func(s string) string {
		s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;").Replace(lf(s))
		return "<html><body><p>" + strings.ReplaceAll(s, "\n", "<br>\n") + "</p></body></html>\n"
	}},
	{"HTML without line ends", func(s string) string {
		s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(lf(s))
		return "<div>" + strings.ReplaceAll(s, "\n", "</div><div>") + "</div>"
	}},
	{"quoted-printable", func(s string) string {
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + b.String()
	}},
	{"base64", func(s string) string {
		e := b64("A log as it came from somebody, with some lines above it.\n" + s + "\nand a line below\n")
		var b strings.Builder
		b.WriteString("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n")
		for len(e) > 76 {
			b.WriteString(e[:76] + "\n")
			e = e[76:]
		}
		return b.String() + e + "\n"
	}},
	{"UTF-16", func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}},
	{"UTF-16 big end first, no mark", func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u>>8), byte(u))
		}
		return string(b)
	}},
	{"hexdump -C", func(s string) string {
		return hex.Dump([]byte(s))
	}},
	{"tcpdump -X", func(s string) string {
		var b strings.Builder
		for i := 0; i < len(s); i += 16 {
			line := s[i:min(len(s), i+16)]
			fmt.Fprintf(&b, "\t0x%04x:  ", i)
			for j := range 8 {
				switch {
				case 2*j+1 < len(line):
					fmt.Fprintf(&b, "%02x%02x ", line[2*j], line[2*j+1])
				case 2*j < len(line):
					fmt.Fprintf(&b, "%02x   ", line[2*j])
				default:
					b.WriteString("     ")
				}
			}
			b.WriteString(" ")
			for j := range len(line) {
				c := line[j]
				if c < ' ' || c >= 0x7f {
					c = '.'
				}
				b.WriteByte(c)
			}
			b.WriteString("\n")
		}
		return b.String()
	}},
}

// unwrapAll reads a text in every way in which a reader might.
func unwrapAll(s string) []string {
	out := []string{s}
	if len(s) > 2 && (strings.Count(s, "\x00") > len(s)/4) {
		out = append(out, strings.ReplaceAll(s, "\x00", ""))
	}
	if v, _ := quotedPrintable(s); len(v) > 0 && strings.Contains(s, "quoted-printable") {
		out = append(out, qpView(s, 0, len(s)).text)
	}
	if looksHTML(s) {
		out = append(out, htmlView(s, 0, len(s)).text)
	}
	if strings.Contains(s, "Encoding: base64") {
		_, body, _ := strings.Cut(s, "\n\n")
		for _, l := range []string{strings.ReplaceAll(body, "\n", "")} {
			raw, _ := base64.StdEncoding.DecodeString(l)
			out = append(out, string(raw))
		}
		for _, l := range strings.Split(body, "\n") {
			raw, _ := decodeBase64(l)
			out = append(out, string(raw))
		}
	}
	dumps, _ := hexViews(s)
	for _, v := range dumps {
		out = append(out, v.text)
	}
	return out
}

func TestRedactLeaks(t *testing.T) {
	for _, w := range wrappers {
		for _, tt := range leakSamples {
			t.Run(w.name+"/"+tt.name, func(t *testing.T) {
				in := w.wrap(sample(tt.text))
				out, masked := Redact([]byte(in), Standard)
				for _, view := range unwrapAll(string(out)) {
					if l := leakOf(view); l != "" {
						t.Fatalf("%q is left\nin\n%s\nout\n%s", l, in, out)
					}
				}
				if len(masked) == 0 {
					t.Fatalf("nothing was masked in\n%s", in)
				}
				checkRedacted(t, in, string(out), masked)
			})
		}
	}
}

// checkRedacted holds what must be true of every redaction.
func checkRedacted(t *testing.T, in, out string, masked []Masked) {
	t.Helper()
	if a, b := strings.Count(in, "\n"), strings.Count(out, "\n"); a != b && !strings.HasPrefix(in, "\xff\xfe") && strings.Count(in, "\x00") == 0 {
		t.Errorf("%d lines became %d\n%s\n%s", a, b, in, out)
	}
	last := 0
	for _, m := range masked {
		if m.Span.Offset < last || m.Span.End <= m.Span.Offset || m.Span.End > len(in) {
			t.Fatalf("span %+v after %d of %d", m.Span, last, len(in))
		}
		last = m.Span.End
		if m.Span.Line < 1 || m.Span.Column < 1 {
			t.Errorf("place %+v", m.Span)
		}
	}
	if len(masked) > 0 && in[:masked[0].Span.Offset] != out[:masked[0].Span.Offset] {
		t.Errorf("what stands before the first mask changed")
	}
	again, more := Redact([]byte(out), Standard)
	if string(again) != out || len(more) > 0 {
		t.Errorf("redacted twice:\n%s\nthen\n%s", out, again)
	}
}

// Private keys and web tokens go whole, however they are written.
func TestRedactKeyFiles(t *testing.T) {
	body := []string{strings.Repeat("MIIEvQIBADANBgkq", 4), strings.Repeat("hkiG9w0BAQEFAASC", 4), "BKcwggSjAgEAAoIB=="}
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	tests := []struct{ in, want string }{
		{"-----BEGIN PRIVATE KEY-----\n" + strings.Join(body, "\n") + "\n-----END PRIVATE KEY-----\nafter\n", "-----BEGIN PRIVATE KEY-----\n[secret-1]\n[secret-2]\n[secret-3]\n-----END PRIVATE KEY-----\nafter\n"},
		{"> -----BEGIN RSA PRIVATE KEY-----\r\n> " + strings.Join(body, "\r\n> ") + "\r\n> -----END RSA PRIVATE KEY-----\r\n", "> -----BEGIN RSA PRIVATE KEY-----\r\n> [secret-1]\r\n> [secret-2]\r\n> [secret-3]\r\n> -----END RSA PRIVATE KEY-----\r\n"},
		{`"key": "-----BEGIN PRIVATE KEY-----\n` + strings.Join(body, `\n`) + `\n-----END PRIVATE KEY-----\n"`, `"key": "-----BEGIN PRIVATE KEY-----\n[secret-1]\n-----END PRIVATE KEY-----\n"`},
		{"-----BEGIN EC PRIVATE KEY-----\n" + body[0] + "\nthe rest was cut off", "-----BEGIN EC PRIVATE KEY-----\n[secret-1]\nthe rest was cut off"},
		{"-----BEGIN CERTIFICATE-----\n" + body[0] + "\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n" + body[0] + "\n-----END CERTIFICATE-----\n"},
		{"token=" + jwt + " x", "token=[secret-1] x"},
		{"got " + jwt + ".", "got [secret-1]."},
		{"Authorization: Bearer " + jwt + "\n", "Authorization: Bearer [secret-1]\n"},
		{"-H 'Authorization: Bearer ya29.A0ARrdaM9' x", "-H 'Authorization: Bearer [secret-1]' x"},
	}
	for _, tt := range tests {
		out, _ := Redact([]byte(tt.in), Standard)
		if string(out) != tt.want {
			t.Errorf("got\n%q\nwant\n%q", out, tt.want)
		}
		if again, more := Redact(out, Standard); string(again) != string(out) || len(more) > 0 {
			t.Errorf("twice: %q", again)
		}
	}
}

// What only looks like a secret stays: over-masking costs the diagnosis.
var keepSamples = []string{
	"250-AUTH PLAIN LOGIN\n250 AUTH=PLAIN LOGIN\n",
	"535 5.7.8 Error: authentication failed: authentication failure\n",
	"535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6\n",
	"530 5.7.0 Must issue a STARTTLS command first\n",
	"AUTH LOGIN failed: 535\nAUTH PLAIN is not offered before STARTTLS\nAUTH LOGIN PLAIN CRAM-MD5\n",
	"Authentication-Results: mx.example; spf=pass smtp.mailfrom=a@b.example; dkim=pass header.i=@b.example header.b=Xy7kQ2pL; dmarc=pass; arc=pass (i=1)\n",
	"Received-SPF: pass (mx.example: domain of a@b.example designates 192.0.2.1 as permitted sender)\n",
	"DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=sel;\n b=dGhpcyBpcyBub3QgYSBzZWNyZXQgYnV0IGEgc2lnbmF0dXJlIHRoYXQgaXMgbG9uZyBlbm91\n ZGhpcyBpcw==; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
	"ARC-Seal: i=1; a=rsa-sha256; t=1700000000; cv=none; b=QWxhZGRpbjpvcGVuIHNlc2FtZVF1aWNrQnJvd25Gb3g9PQ==\n",
	"Message-ID: <CAF7kQ2pL9vB4zR8mN1tW6sD3Xy7+kQ@mail.example.com>\n",
	"Content-Type: multipart/mixed; boundary=\"=_AAECAwQFBgcICQoLDA0ODw==\"\n",
	"Content-Transfer-Encoding: base64\n\nJVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\nY29kZT4+CnN0cmVhbQp4nD2OywoCMQxF9/mKu3YRk7bptDAIDuh+oOAP+AAXgrPx9220M5B7\n",
	"554 5.7.1 <bob@recipient.example>: Relay access denied\n",
	"host outbound-us1.ppe-hosted.com[192.0.2.10] said: 535 5.7.8 Error: authentication failed: authentication failure (in reply to AUTH PLAIN command)\n",
	"SASL authentication failed; server h[192.0.2.1] said: 535 5.7.8 Error\n",
	"    SMTP error from remote mail server after AUTH PLAIN ****:\n    535 Incorrect authentication data\n",
	"334 VXNlcm5hbWU6\n\nAnd here it hangs. What can we do?\n\nRegards\nAlice\n",
	"S: 334 UGFzc3dvcmQ6\nC: *\nS: 501 5.7.0 Authentication aborted\n",
	"CLIENT -> SERVER: [credentials hidden]\nCLIENT -> SERVER: <credentials hidden>\n",
	"C: AUTH PLAIN /* secret */\nS: 235 ok\n",
	"2026-11-24T09:12:44.2Z,c,08DA,6,192.0.2.5:1,192.0.2.1:587,<,334 <authentication response>,\n2026-11-24T09:12:44.3Z,c,08DA,7,192.0.2.5:1,192.0.2.1:587,>,<authentication information>,\n",
	"AUTH PLAIN [secret-1]\n535 no\nC: [secret-1]\npassword: [secret-2]\n",
	"The password is wrong.\nPassword incorrect\nyour password has expired\npassword authentication failed\nInvalid username or password\n",
	"SMTP_PASSWORD=${SMTP_PASSWORD}\nSMTP_PASSWORD=$(pass show smtp)\npassword = os.environ[\"PW\"]\nPASSWORD=********\npassword: <password>\n",
	"PWD=/home/alice\nOLDPWD=/root\n",
	"passwordeval \"pass show smtp\"\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n--password-file /run/secrets/smtp --password-command 'pass show x'\n",
	"smtp_tls_policy_maps = hash:/etc/postfix/tls_policy\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\n",
	"https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.7\nhttp://host.example:8080/path@x\nmailto:a@b.example\n",
	"compass: north\nbypass=true\npassenger: bob\npassport: x1y2z3w4\n",
	"connect to outbound-us1.ppe-hosted.com[192.0.2.10]:587: Connection timed out\n",
	"relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=0.3, delays=0.1/0/0.2/0, dsn=5.7.1, status=bounced\n",
	"cipher TLS_AES_128_GCM_SHA256 (128/128 bits) key-exchange X25519MLKEM768\n",
	"queued as 4F3c2k1ZzqXyP\nMessage accepted for delivery 1a2b3c-000abc-4d\n",
	"MAIL FROM:<alice@customer.example> SIZE=2210\nRCPT TO:<bob@recipient.example>\n",
	"curl: (67) Login denied\ncurl -v smtp://h:587 --mail-from a@b.example -u alice\n",
	"*** Host did not advertise authentication\n=== TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256\n",
	"[outbound-us1.ppe-hosted.com]:587\nrelayhost = [outbound-us1.ppe-hosted.com]:587\nconnect 192.0.2.1:25\n",
	"token: unexpected TLS packet\nerror token in line 3\nthe access token expired\n",
	"Authorization required\nauthorization failed for user\n",
	"CONNECTED(00000003)\ndepth=0 CN = outbound-us1.ppe-hosted.com\nverify return:1\n---\n250 CHUNKING\nrcpt to:<b@c.example>\n554 5.7.1 <b@c.example>: Relay access denied\n",
	"Dear customer,\nplease pass this on to your admin: the relay said 554.\nThe pass is valid until Friday, no secret about it.\n",
	"Login: alice@customer.example\nPort: 587\nSTARTTLS: yes\n",
	"Cookie policy: see our site\nsecret: none\n",
	"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUXy7kQ2pL9vB4zR8mN1tW6sD3AAAwCgYIKoZIzj0EAwIw\n-----END CERTIFICATE-----\n",
	"AUTH works on 587 only\nfail: \"AUTH was not offered\" and 'AUTH is hidden until STARTTLS'\nhow they send: auth on 587, server on 25, or both\n",
	"for my $i (@G::recipients_crit) { push(@G::sort, 1) }\nnode:dns:122:26 [as oncomplete] (node:dns:122:26)\ndate -u +%H:%M:%S\n",
	"the password is generated and shown once; the password is another\n",
	"RCPT TO:<@x.example:y@z.example>\n554 5.7.1 <y@z.example>: Relay access denied\n",
	"it creates a username and password pair in Essentials. Username and Password information\nand accepts only the prompt `Password:`, so it fails\nusage: cred new LABEL [--user U] [--password P]\n",
	"handshake: pass; greeting: pass; ehlo: pass\n",
	"DKIM pass: customer.example\nSPF: pass: 192.0.2.1\n",
	"X-MDID: 1700000000-abcdefghij\nX-PPE-TRUSTED: V=1;DIR=OUT;\nX-MDID-O: us5;at1;1700000000;abcdefghij;\n",
	"Your password does not meet the policy; password length: 12; password policy: strict\n",
}

func TestRedactKeeps(t *testing.T) {
	for _, w := range wrappers {
		for _, in := range keepSamples {
			in := w.wrap(in)
			out, masked := Redact([]byte(in), Standard)
			if string(out) != in || len(masked) > 0 {
				t.Errorf("%s: masked too much\n%s\n%s", w.name, in, out)
			}
		}
	}
}
