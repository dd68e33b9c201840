package ndr

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// packings are what log collectors and terminals put around a text.
var packings = []struct {
	name string
	do   func(text string) string
}{
	{"Docker's records of JSON", func(s string) string {
		return eachOf(s, func(l string) string {
			return `{"log":` + asJSON(l+"\n") + `,"stream":"stdout","time":"2026-11-24T09:12:45.1Z"}`
		})
	}},
	{"records of JSON without line ends", func(s string) string {
		return eachOf(s, func(l string) string {
			return `{"@timestamp":"2026-11-24T09:12:45.1Z","message":` + asJSON(l) + `,"kubernetes":{"pod_name":"web-7d9f","labels":{"app":"web"}}}`
		})
	}},
	{"one record of JSON", func(s string) string {
		return "{\n  \"insertId\": \"1x\",\n  \"textPayload\": " + asJSON(s) + ",\n  \"severity\": \"ERROR\"\n}\n"
	}},
	{"events of CloudWatch", func(s string) string {
		return "{\n    \"events\": [\n" + strings.TrimSuffix(eachOf(s, func(l string) string {
			return "        {\n            \"timestamp\": 1795511565000,\n            \"message\": " + asJSON(l) + ",\n            \"ingestionTime\": 1795511566000\n        },"
		}), ",\n") + "\n    ],\n    \"nextForwardToken\": \"f/1\"\n}\n"
	}},
	{"a record in a record", func(s string) string {
		return `{"log":` + asJSON(`{"level":"error","msg":`+asJSON(s)+"}\n") + `,"stream":"stderr"}` + "\n"
	}},
	{"escapes", func(s string) string {
		j := asJSON(strings.TrimSuffix(s, "\n"))
		return j[1:len(j)-1] + "\n"
	}},
	{"docker compose", func(s string) string { return eachLine(s, "web-1  | ") }},
	{"Kubernetes", func(s string) string { return eachLine(s, "2026-11-24T09:12:45.123456789Z stdout F ") }},
	{"kubectl --prefix", func(s string) string { return eachLine(s, "[pod/web-7d9f5c-x2x/web] ") }},
	{"journal", func(s string) string { return eachLine(s, "Nov 24 10:00:00 web7 shop[811]: ") }},
	{"journal in ISO format", func(s string) string { return eachLine(s, "2026-11-24T09:12:45+0000 web7 shop[811]: ") }},
	{"RFC 5424", func(s string) string {
		return eachLine(s, "<22>1 2026-11-24T10:00:00.1Z web7 shop 811 - [x@1 a=\"b\"] ")
	}},
	{"a terminal of 80 columns", func(s string) string { return cutAt(s, 80) }},
	{"a terminal of 132 columns", func(s string) string { return cutAt(s, 132) }},
	{"Outlook's links", func(s string) string { return anAddress.ReplaceAllString(s, "<$1 [mailto:$1]>") }},
	{"Jira's links", func(s string) string { return anAddress.ReplaceAllString(s, "<[$1|mailto:$1]>") }},
	{"Slack's links", func(s string) string { return anAddress.ReplaceAllString(s, "<<mailto:$1|$1>>") }},
	{"cat -A", func(s string) string {
		return strings.NewReplacer("\t", "^I", "\u00e4", "M-CM-$", "\n", "$\n").Replace(s)
	}},
}

// cutAt breaks lines at a column, in words too.
func cutAt(s string, width int) string {
	return eachOf(s, func(l string) string {
		var b strings.Builder
		n := 0
		for _, c := range l {
			if n == width {
				b.WriteByte('\n')
				n = 0
			}
			b.WriteRune(c)
			n++
		}
		return b.String()
	})
}

// anAddress is an address in angle brackets.
var anAddress = regexp.MustCompile(`<([\w.+-]+@[\w-]+(?:\.[\w-]+)+)>`)

// eachOf makes a line of each line.
func eachOf(s string, do func(line string) string) string {
	var b strings.Builder
	for _, l := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		b.WriteString(do(l) + "\n")
	}
	return b.String()
}

// asJSON is a string of JSON as most programs write it.
func asJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string.Builder takes all
	return strings.TrimSuffix(b.String(), "\n")
}

// TestPackings reads every sample out of what collectors make of it.
func TestPackings(t *testing.T) {
	files := packedSamples(t)
	for _, p := range packings {
		t.Run(p.name, func(t *testing.T) {
			for name, text := range files {
				if raceDetector && len(text)%5 != 0 {
					continue
				}
				if p.name == "cat -A" && strings.Count(text, "\n") < 2 {
					continue // a single "$" may be anything
				}
				if strings.HasPrefix(p.name, "a terminal") && staysCut(name) {
					continue
				}
				if p.name == "Kubernetes" && name == "logs/postfix/containers.txt" {
					continue // lines of all kinds of containers
				}
				outcomesOf := outcomesOf
				if p.name == "Kubernetes" && strings.HasPrefix(name, "logs/") || strings.HasPrefix(name, "reports/several/") {
					outcomesOf = coreOf // its time has a year, which the log's own lacks
				}
				want := outcomesOf(t, Read([]byte(text)))
				input := []byte(p.do(text))
				cases := Read(input)
				checkCases(t, input, cases)
				if got := outcomesOf(t, cases); got != want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
				}
			}
		})
	}
}

// staysCut names the samples whose lines stay cut: JSON and rows of tables, whose
// readers go by lines, and texts in which one cut line tells nothing certain.
func staysCut(file string) bool {
	switch file {
	case "reports/sendgrid/one-line.txt", "reports/several/error-above-a-bounce.txt", "reports/m365-trace/whole-row.txt",
		"transcripts/error-others/php-parts.txt", "transcripts/error-others/connectivity-log.txt", "transcripts/nodemailer/error-before-its-log.txt",
		"transcripts/error-others/git-no-greeting.txt", "transcripts/error-others/git-greeting-busy.txt", "transcripts/error-others/git-not-initialised.txt",
		"logs/fortimail/sent.txt", "logs/postfix/containers.txt", "logs/queue/postqueue-json.txt",
		"logs/queue/get-queue-table.txt", "logs/portal-rows/row.txt", "logs/powermta/without-head.txt":
		return true
	}
	return strings.HasPrefix(file, "reports/ses/") || strings.HasPrefix(file, "logs/hmailserver/") || strings.HasPrefix(file, "logs/sendgrid-events/")
}

// packedSamples are the samples by their names: texts of lines, no JSON.
func packedSamples(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := filepath.Join("..", "..", "testdata")
	for _, dir := range []string{"reports", "logs", "transcripts"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".txt") && !strings.HasSuffix(path, ".eml") && !strings.HasSuffix(path, ".log") {
				return err
			}
			text, err := os.ReadFile(path)
			name, _ := filepath.Rel(root, path)
			files[filepath.ToSlash(name)] = strings.ReplaceAll(string(text), "\r\n", "\n")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 300 {
		t.Fatalf("%d samples", len(files))
	}
	return files
}

// TestUnpack holds what comes out of packed texts, and what is no packing.
func TestUnpack(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"the journal of a mail server",
			`{"_HOSTNAME":"mx","SYSLOG_IDENTIFIER":"postfix/smtp","MESSAGE":"4AB: to=<r@partner.example>, status=sent (250 ok)","_PID":"77","__REALTIME_TIMESTAMP":"1795511565000000"}` + "\n",
			"2026-11-24T09:12:45.000000Z mx postfix/smtp[77]: 4AB: to=<r@partner.example>, status=sent (250 ok)\n",
		},
		{
			"a message in bytes",
			`{"MESSAGE":[53,51,53,32,110,101,105,110,32,195,164],"PRIORITY":"3"}` + "\n",
			"535 nein \u00e4\n",
		},
		{
			"a line that Docker cut",
			`{"log":"` + strings.Repeat("a", dockerSplit) + `","stream":"stdout"}` + "\n" + `{"log":"b\n","stream":"stdout"}` + "\n",
			strings.Repeat("a", dockerSplit) + "b\n",
		},
		{
			"a line that Kubernetes cut",
			"2026-11-24T09:12:45.1Z stdout P msmtp: server mess\n2026-11-24T09:12:45.1Z stdout F age: 535 5.7.8 no\n2026-11-24T09:12:45.1Z stdout F msmtp: could not send mail\n",
			"msmtp: server message: 535 5.7.8 no\nmsmtp: could not send mail\n",
		},
		{
			"a message and its stack",
			`{"level":50,"msg":"Invalid login","stack":"Error: Invalid login\n    at x"}` + "\n",
			"Error: Invalid login\n    at x\n",
		},
		{
			"a record with more to say",
			`{"msg":"a\nb\nc","response":"535 5.7.8 no"}` + "\n",
			"{\"msg\":\"\na\nb\nc\n\",\"response\":\"535 5.7.8 no\"}\n",
		},
		{
			"half a record",
			`{"log":"msmtp: one\nmsmtp: two`,
			"msmtp: one\nmsmtp: two\n",
		},
		{
			"empty lines of a container",
			"web-1  | a\nweb-1  |\nweb-1  |   b\n",
			"a\n\n  b\n",
		},
		{"colours in a string", `{"message":"\u001b[31merror\u001b[0m: 535 no"}` + "\n", "error: 535 no\n"},
		{"the colour of a container", "\x1b[36mweb-1  |\x1b[0m a\n\x1b[36mweb-1  |\x1b[0m b\n", "a\nb\n"},
		{"words above", "See here:\n\nweb-1  | a\nweb-1  | b\nweb-1  | c\nweb-1  | d\n", "See here:\n\na\nb\nc\nd\n"},
		{"a string in two lines", `To: x@y.example\nwas not sent`, "To: x@y.example\nwas not sent"},
		{"cat -A", "a^Ib M-CM-$^M$\nc$\n", "a\tb \u00e4\nc\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := unpack([]byte(test.in))
			if d == nil {
				t.Fatal("not unpacked")
			}
			if got := string(d.Text); got != test.want {
				t.Errorf("got\n%.400q\nwant\n%.400q", got, test.want)
			}
		})
	}
	for _, in := range []string{
		`Login of FIRMA\nadja failed: 535 5.7.8 Error`,
		`Cannot open C:\new\noreply.txt: 550 5.1.1 no`,
		`aiosmtplib.errors.SMTPDataError: (554, '5.7.1 Rejected\n5.7.1 Relay access denied\n5.7.1 Bye')`,
		`{"notificationType":"Bounce","message":"a\nb"}`,
		`{"event":"failed","recipient":"a@b.example","message":"550 no"}`,
		`{"queue_name":"deferred","message":"a b"}`,
		"2026-11-24 07:40:01 send: 535 no\n2026-11-24 07:40:02 send: 535 no\n2026-11-24 07:40:03 send: 535 no\n",
		"Nov 24 10:00:00 a shop[1]: x\nNov 24 10:00:00 a other[2]: y\nNov 24 10:00:01 a shop[1]: z\n",
		"Nov 24 10:00:00 a sSMTP[1]: x\nNov 24 10:00:01 a sSMTP[1]: z\n",
	} {
		if d := unpack([]byte(in)); d != nil {
			t.Errorf("%q became %q", in, d.Text)
		}
	}
}

// TestUnpackedPlaces holds that a fact out of a packed text is quoted as the input
// has it, with its line and column.
func TestUnpackedPlaces(t *testing.T) {
	in := `{"log":"` + "Nov 24 10:00:00 mx postfix/smtp[77]: 4AB12C: to=<desk@partner.example>, relay=outbound-us1.ppe-hosted.com[192.0.2.10]:587, delay=1, delays=0/0/1/0, dsn=5.7.1, status=bounced (host outbound-us1.ppe-hosted.com[192.0.2.10] said: 554 5.7.1 <desk@partner.example>: Relay access denied (in reply to RCPT TO command))" + `\n","stream":"stdout"}` + "\n"
	in = `{"log":"\u00e4 first\n","stream":"stdout"}` + "\n" + in
	cases := Read([]byte(in))
	if len(cases) != 1 || len(cases[0].Items) != 1 {
		t.Fatalf("%+v", cases)
	}
	it := cases[0].Items[0]
	s := it.Reply.Span
	if quote := in[s.Offset:s.End]; !strings.HasPrefix(quote, "554 5.7.1 <desk@partner.example>: Relay") {
		t.Errorf("quote %q", quote)
	}
	if want := 1 + strings.Index(in[strings.IndexByte(in, '\n')+1:], "554 5.7.1"); s.Line != 2 || s.Column != want {
		t.Errorf("line %d column %d, want line 2 column %d", s.Line, s.Column, want)
	}
}
