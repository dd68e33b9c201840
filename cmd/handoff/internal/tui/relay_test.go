package tui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
)

func TestRelayScenarios(t *testing.T) {
	m, f := at(t, 80, 24)
	press(m, "3", "s")
	if s := seen(m); !strings.Contains(s, "127.0.0.1:2525") || !strings.Contains(s, "shown-once") {
		t.Errorf("started:\n%s", s)
	}
	press(m, "down", "space")
	if !cmp.Equal(f.relay.Presets, []string{"starttls-stripped"}) || !strings.Contains(seen(m), "[x] starttls-stripped") {
		t.Errorf("scenarios set: %v\n%s", f.relay.Presets, seen(m))
	}
	press(m, "up", "space")
	if !cmp.Equal(f.relay.Presets, []string{"wrong-password", "starttls-stripped"}) {
		t.Errorf("scenarios set: %v", f.relay.Presets)
	}
	press(m, "x")
	if len(f.relay.Presets) != 0 {
		t.Errorf("scenarios left: %v", f.relay.Presets)
	}
	press(m, "p")
	if len(f.probed) != 1 || !f.probed[0].Bundled {
		t.Errorf("p probed %+v", f.probed)
	}
}

// A session names the rule that decided and the article's words, in the list
// and in full.
func TestRelaySessions(t *testing.T) {
	m, _ := at(t, 120, 30)
	press(m, "3", "tab")
	if s := seen(m); !strings.Contains(s, "refused envelope 554 5.7.1  rule P1 A13: Over port 25") || !strings.Contains(s, "running  login alerts@") {
		t.Errorf("the list:\n%s", s)
	}
	press(m, "end", "enter")
	if s := seen(m); !strings.Contains(s, "decided by rule P1: A13: Over port 25") || !strings.Contains(s, "S: 554 5.7.1") {
		t.Errorf("the session:\n%s", s)
	}
}

// A selected session stays selected when others come in front of it.
func TestSelectedSessionStays(t *testing.T) {
	m, f := at(t, 120, 30)
	press(m, "3", "s", "tab", "down")
	f.relay.Log = append(f.relay.Log, RelayEntry{ID: "3", Port: 25, Decided: -1})
	m.Update(relayTickMsg{})
	if s := seen(m); !strings.Contains(s, " > 1 ") {
		t.Errorf("the selection moved:\n%s", s)
	}
}

// New Credential as the article has it: label, Generate Password, the pair
// shown once, Save, then pending with a countdown.
func TestNewCredential(t *testing.T) {
	m, f := at(t, 100, 30)
	press(m, "3", "tab", "tab", "n", "enter")
	if s := seen(m); !strings.Contains(s, "needs a label") || !strings.Contains(s, "NEW CREDENTIAL") {
		t.Fatalf("without a label:\n%s", s)
	}
	typeText(m, "copier")
	press(m, "enter")
	if s := seen(m); !strings.Contains(s, "smtp-wxyz6789@customer.example") || !strings.Contains(s, plantedPassword) {
		t.Fatalf("the pair is not shown:\n%s", s)
	}
	press(m, "esc")
	noSecret(t, m, "discarded")
	if len(f.saved) != 0 {
		t.Fatal("it was saved without Save")
	}
	press(m, "n")
	typeText(m, "copier")
	press(m, "enter", "y", "enter")
	noSecret(t, m, "saved")
	if !cmp.Equal(f.saved, []string{"copier", plantedPassword}) {
		t.Errorf("saved %v", f.saved)
	}
	if s := seen(m); !strings.Contains(s, " > pending 1:00:00  c3   copier") || !strings.Contains(s, "credential c2 works in 59:12 [....................] and 2 more") {
		t.Errorf("no countdown:\n%s", s)
	}
	for _, keys := range [][]string{{"up"}, {"?"}, {"esc", "1"}, {"3"}, {"tab"}, {"shift+tab"}} {
		press(m, keys...)
		noSecret(t, m, strings.Join(keys, " "))
	}
}

// The countdown goes down, and an hour on the relay's clock ends it.
func TestPropagationCountdown(t *testing.T) {
	m, f := at(t, 100, 30)
	var ticks int
	m.after = func(d time.Duration, msg tea.Msg) tea.Cmd {
		if _, ok := msg.(relayTickMsg); ok && d == time.Second {
			ticks++
		}
		return nil
	}
	press(m, "3", "tab", "tab")
	if ticks != 1 {
		t.Fatalf("%d ticks were asked for, want one", ticks)
	}
	f.relay.Now = f.relay.Now.Add(30 * time.Minute)
	m.Update(relayTickMsg{})
	if s := seen(m); !strings.Contains(s, "works in 29:12 [##########..........]") || !strings.Contains(s, "pending 29:12") || ticks != 2 {
		t.Errorf("half an hour later, %d ticks:\n%s", ticks, s)
	}
	f.relay.Account.Credentials[1].State = "active" // as the relay tells it later
	press(m, "w")
	if s := seen(m); strings.Contains(s, "works in") || !strings.Contains(s, "its clock was moved on by 1:00:00") {
		t.Errorf("an hour later:\n%s", s)
	}
}

func TestRelayAccount(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string
		want string // the change, as words of the grammar; empty: none
	}{
		{"delete asks", []string{"tab", "tab", "x", "enter"}, ""},
		{"delete a credential", []string{"tab", "tab", "down", "x", "right", "enter"}, "cred rm c2"},
		{"add a user", []string{"tab", "tab", "tab", "n", "a", "@", "b", ".", "c", "enter", "right", "right", "enter", "z", "enter"}, "user add a@b.c --kind=functional --alias=z"},
		{"mark invalid", []string{"tab", "tab", "tab", "i"}, "user invalid alerts@customer.example on"},
		{"take off the list", []string{"tab", "tab", "tab", "end", "i"}, "user invalid old@customer.example off"},
		{"delete a user", []string{"tab", "tab", "tab", "delete", "space", "enter"}, "user rm alerts@customer.example"},
		{"force SMTP AUTH", []string{"tab", "tab", "tab", "tab", "end", "space"}, "domain set customer.example force-auth on"},
		{"outbound off", []string{"tab", "tab", "tab", "tab", "down", "down", "enter"}, "domain set customer.example outbound off"},
		{"add a domain", []string{"tab", "tab", "tab", "tab", "n", "d", ".", "e", "enter"}, "domain add d.e --inbound --outbound"},
		{"add a server", []string{"shift+tab", "n", "o", "3", "6", "5", "enter"}, "sender add o365"},
		{"delete a server", []string{"shift+tab", "x", "l", "enter"}, "sender rm 198.51.100.0/24"},
		{"statement", []string{"c", "l", "o", "g", "enter"}, "log"},
	} {
		m, f := at(t, 80, 24)
		press(m, append([]string{"3"}, c.keys...)...)
		if got := strings.Join(f.said, "; "); got != c.want {
			t.Errorf("%s: said %q, want %q\n%s", c.name, got, c.want, seen(m))
		}
	}
}

// A change that the account refuses leaves the form as it was typed.
func TestRefusedChangeKeepsTheForm(t *testing.T) {
	m, _ := at(t, 80, 24)
	press(m, "3", "tab", "tab", "tab", "n")
	typeText(m, "nonsense")
	press(m, "enter", "enter", "enter")
	if s := seen(m); !strings.Contains(s, "not done: nonsense is no address") || !strings.Contains(s, "[nonsense") {
		t.Errorf("the form is gone:\n%s", s)
	}
}
