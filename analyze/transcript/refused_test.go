package transcript

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Who types a login by hand goes on when AUTH was refused at once: name and
// password stand in the text, as commands that nobody knows.
func TestRedactBehindARefusedAUTH(t *testing.T) {
	const password = "pa55-Word_of.test"
	name, secret := base64.StdEncoding.EncodeToString([]byte("alerts")), base64.StdEncoding.EncodeToString([]byte(password))
	const unknown = "500 5.5.2 Error: command not recognized"
	for _, refusal := range []string{"503 5.5.1 Error: authentication not enabled", "530 5.7.0 Must issue a STARTTLS command first", "502 5.5.1 Error: command not implemented", "454 4.7.0 Temporary authentication failure"} {
		lines := []string{"AUTH LOGIN", refusal, name, unknown, secret, unknown, "MAIL FROM:<alerts@firma.example>", "530 5.7.0 Must issue a STARTTLS command first"}
		var marked []string
		for i, l := range lines {
			marked = append(marked, []string{"C: ", "S: "}[i%2]+l)
		}
		for _, text := range []string{strings.Join(lines, "\n"), strings.Join(marked, "\n")} {
			hidden, _ := Redact([]byte(text), Standard)
			got := string(hidden)
			if strings.Contains(got, secret) || strings.Contains(got, password) {
				t.Errorf("the password stands in\n%s", got)
			}
			if !strings.Contains(got, "MAIL FROM:<alerts@firma.example>") || !strings.Contains(got, refusal) {
				t.Errorf("more than the login was hidden:\n%s", got)
			}
		}
	}
	// Words below a refused AUTH are words.
	text := "AUTH LOGIN\n503 5.5.1 Error: authentication not enabled\nso what do I do now\nThanks\n"
	if got, _ := Redact([]byte(text), Standard); string(got) != text {
		t.Errorf("got\n%s", got)
	}
	var m Masker
	for _, l := range []struct {
		who  Speaker
		text string
	}{{Client, "AUTH LOGIN"}, {Server, "503 5.5.1 Error: authentication not enabled"}, {Client, name}, {Server, unknown}} {
		m.Line(l.who, l.text)
	}
	if got := m.Line(Client, secret); strings.Contains(got, secret) {
		t.Errorf("Masker: %s", got)
	}
}
