package transcript

import (
	"encoding/json"
	"strings"
	"testing"
)

// shippings are what containers, journals and collectors make of a text.
var shippings = map[string]func(string) string{
	"Kubernetes": func(s string) string {
		return headed(s, "2026-11-24T09:12:45.123456789Z stderr F ")
	},
	"docker compose": func(s string) string { return headed(s, "web-1  | ") },
	"journal":        func(s string) string { return headed(s, "2026-11-24T09:12:45+00:00 web7 shop[811]: ") },
	"syslog":         func(s string) string { return headed(s, "<22>1 2026-11-24T09:12:45Z web7 shop[811]: ") },
	"one string":     func(s string) string { return `{"log":` + inJSON(s) + `,"stream":"stderr"}` + "\n" },
	"a string per line": func(s string) string {
		var b strings.Builder
		for _, l := range strings.SplitAfter(s, "\n") {
			b.WriteString(`{"log":` + inJSON(l) + `,"stream":"stderr"}` + "\n")
		}
		return b.String()
	},
	"indented JSON": func(s string) string {
		var records []map[string]any
		for _, l := range strings.Split(s, "\n") {
			records = append(records, map[string]any{"at": 17, "message": l, "ok": true})
		}
		j, err := json.MarshalIndent(records, "", "  ")
		if err != nil {
			panic(err)
		}
		return string(j) + "\n"
	},
	"an unknown key": func(s string) string { return `{"zeile":` + inJSON(s) + "}\n" },
	"bare escapes":   func(s string) string { return strings.Trim(inJSON(s), `"`) + "\n" },
}

func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func headed(s, head string) string {
	return head + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n"+head) + "\n"
}

// TestShippedSecrets hides the secrets of dialogues in every form in which
// something ships them, and nothing of the rest.
func TestShippedSecrets(t *testing.T) {
	dialogues := []string{
		"=== Connected to relay.example.\n -> AUTH LOGIN\n<-  334 VXNlcm5hbWU6\n -> dXNlckBjb3JwLmV4YW1wbGU=\n<-  334 UGFzc3dvcmQ6\n -> aHVudGVyMi1zZWNyZXQ=\n<** 535 5.7.8 Error: authentication failed\n",
		"220 relay.example ESMTP\nAUTH LOGIN\n334 VXNlcm5hbWU6\ndXNlckBjb3JwLmV4YW1wbGU=\n334 UGFzc3dvcmQ6\naHVudGVyMi1zZWNyZXQ=\n535 5.7.8 Error: authentication failed\n",
		"C: EHLO box\nS: 250 relay.example\nC: AUTH PLAIN AHVzZXIAaHVudGVyMi1zZWNyZXQ=\nS: 535 5.7.8 Error: authentication failed\n",
		"send: 'AUTH PLAIN AHVzZXIAaHVudGVyMi1zZWNyZXQ=\\r\\n'\nreply: b'535 5.7.8 Error: authentication failed\\r\\n'\n",
		"swaks --server relay.example --auth-password hunter2-secret\n535 5.7.8 Error: authentication failed\n",
	}
	for name, ship := range shippings {
		for i, d := range dialogues {
			text := ship(d)
			out, masked := Redact([]byte(text), Standard)
			got := string(out)
			for _, secret := range []string{"aHVudGVy", "AHVzZXIA", "hunter2"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s, %d: %s is there\n%s", name, i, secret, got)
				}
			}
			if len(masked) == 0 || !strings.Contains(got, "535 5.7.8 Error: authentication failed") {
				t.Errorf("%s, %d: hidden %d times\n%s", name, i, len(masked), got)
			}
			if again, more := Redact(out, Standard); string(again) != got || len(more) > 0 {
				t.Errorf("%s, %d: hidden once more\n%s", name, i, again)
			}
		}
	}
}

func TestCollectorStrings(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{`{"log":"one\n","stream":"stdout"}` + "\n" + `{"log":"two\n"}`, []string{`one\n`, "stdout", `two\n`}},
		{`{"hits":[{"_source":{"message":"a \"b\" c","n":1.5e3,"ok":true,"x":null}}]}`, []string{`a \"b\" c`}},
		{`[{"textPayload": "x"}, {"other": "y"}]`, []string{"x", "y"}},
		{`{"message":"cut`, nil},
		{`{"message":"one"} and words`, nil},
		{`550 5.1.1 {"message":"x"}`, nil},
		{`"message":"x"`, []string{"x"}},
		{`{}`, nil},
	} {
		var got []string
		for _, v := range collectorStrings(tt.text) {
			got = append(got, tt.text[v[0]:v[1]])
		}
		if strings.Join(got, "|") != strings.Join(tt.want, "|") {
			t.Errorf("%s: %q", tt.text, got)
		}
	}
}

func TestEscaped(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		n          int
	}{
		{`\n`, "\n", 2},
		{`\r\n`, "\n", 4},
		{`\t`, "\t", 2},
		{`\"x`, `"`, 2},
		{`\u003e`, ">", 6},
		{`\u00e9`, "é", 6},
		{`\ud83d\ude00`, "😀", 12},
		{`\u001b[31m`, "", 0},
		{`\u00`, "", 0},
		{`\x`, "", 0},
		{`n`, "", 0},
		{`\`, "", 0},
	} {
		got, n := Escaped([]byte(tt.text))
		if string(got) != tt.want || n != tt.n {
			t.Errorf("%s: %q, %d", tt.text, got, n)
		}
	}
}
