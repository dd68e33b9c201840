package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/tui"
	"github.com/smtp-handoff/handoff/probe"
)

// behind is what works behind the screens, with a state folder of its own.
func behind(t *testing.T) (*backend, string) {
	t.Helper()
	state := t.TempDir()
	b := &backend{p: &program{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, now: time.Now,
		getenv: func(name string) string {
			if name == "XDG_STATE_HOME" {
				return state
			}
			return ""
		},
	}}
	t.Cleanup(b.close)
	return b, state
}

func probeBundled(t *testing.T, b *backend) tui.Run {
	t.Helper()
	r, err := b.Probe(t.Context(), tui.Form{Bundled: true, Port25: true, Port587: true, Intent: analyze.IntentAuth, StopAfter: "envelope"}, func(probe.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hasCause(r *analyze.Report, id string) bool {
	return slices.ContainsFunc(r.Causes, func(c analyze.Cause) bool { return c.ID == id })
}

// The article's way through: a new credential is refused until it is live, then
// needs a user of its name, and its age is counted down.
func TestNewCredentialOnTheBundledRelay(t *testing.T) {
	b, _ := behind(t)
	login, err := b.RelayGenerate("copier, second floor")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.RelayState().Account.Credentials); n != 1 {
		t.Fatalf("%d credentials before Save, want 1", n)
	}
	if err := b.RelaySave("copier, second floor", login); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(login.String()+login.GoString(), login.Password) {
		t.Error("the login prints its password")
	}
	s := b.RelayState()
	if c := s.Account.Credentials[1]; c.State != "pending" || c.Label != "copier, second floor" || c.Until.Sub(s.Now) <= 59*time.Minute {
		t.Errorf("the new credential: %+v", c)
	}
	r := probeBundled(t, b)
	if r.Report.Verdict.Code != analyze.Refused || !hasCause(r.Report, "credential-not-live") {
		t.Fatalf("a pending credential: %s", r.Report.Verdict.Headline)
	}
	if left := time.Until(r.LiveAt); left <= 50*time.Minute || left > time.Hour {
		t.Errorf("worth trying again in %v, want an hour", left)
	}
	for _, rec := range b.RelayState().Log {
		if rec.Port == 587 && (rec.Decided < 0 || rec.Rules[rec.Decided] != "U4" || !strings.HasPrefix(rec.Cites[rec.Decided], "A4: Wait up to 60 minutes")) {
			t.Errorf("the log does not name rule and statement: %+v", rec)
		}
	}
	if err := b.RelayDo("clock", "+60m"); err != nil {
		t.Fatal(err)
	}
	if r := probeBundled(t, b); r.Report.Verdict.Code != analyze.Ready || !r.LiveAt.IsZero() {
		t.Errorf("an hour later: %s, live at %v", r.Report.Verdict.Headline, r.LiveAt)
	}
	if err := b.RelayDo("cred", "rm", "c2"); err != nil {
		t.Fatal(err)
	}
	if c := b.RelayState().Account.Credentials[1]; c.State != "leaving" {
		t.Errorf("deleted: %+v", c)
	}
}

// Opening the relay to other programs and closing it keeps account and clock;
// a scenario makes them anew.
func TestRelayKeepsItsAccount(t *testing.T) {
	b, _ := behind(t)
	for _, words := range [][]string{{"user", "add", "scans@customer.example", "--kind=functional"}, {"clock", "+10m"}} {
		if err := b.RelayDo(words...); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(when string, want bool) {
		t.Helper()
		s := b.RelayState()
		has := slices.ContainsFunc(s.Account.Users, func(u tui.RelayUser) bool { return u.Address == "scans@customer.example" })
		if has != want || (s.Ahead >= 10*time.Minute) != want {
			t.Errorf("%s: user there %v, clock ahead %v, want %v", when, has, s.Ahead, want)
		}
	}
	kept("before", true)
	if err := b.RelayStart(); err != nil {
		t.Fatal(err)
	}
	kept("listening", true)
	if s := b.RelayState(); !s.Running || s.Addresses[25] == "" || s.Addresses[587] == "" {
		t.Errorf("it does not listen: %+v", s.Addresses)
	}
	if err := b.RelayStop(); err != nil {
		t.Fatal(err)
	}
	kept("closed again", true)
	if err := b.RelaySet([]string{"wrong-password"}); err != nil {
		t.Fatal(err)
	}
	kept("another scenario", false)
	if r := probeBundled(t, b); r.Report.Verdict.Code != analyze.Refused || !hasCause(r.Report, "credential-wrong") {
		t.Errorf("the scenario does not change the next probe: %s", r.Report.Verdict.Headline)
	}
	if err := b.RelaySet([]string{"no-such-scenario"}); err == nil || !slices.Equal(b.RelayState().Presets, []string{"wrong-password"}) {
		t.Errorf("an unknown scenario: %v, on are %v", err, b.RelayState().Presets)
	}
}

// Whatever is kept on disk, exported or copied holds no password of a paste.
func TestNothingKeptHoldsAPassword(t *testing.T) {
	const user, password = "copier@customer.example", "Zw3rg-Kuchen!41"
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	plain := b64("\x00" + user + "\x00" + password)
	b, state := behind(t)
	for _, text := range []string{
		"S: 220 mx1-us1.ppe-hosted.com ESMTP\nC: EHLO c\nS: 250 AUTH PLAIN LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64(user) + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64(password) + "\nS: 535 5.7.8 Error: authentication failed\n",
		"S: 220 mx1-us1.ppe-hosted.com ESMTP\nC: AUTH PLAIN\nS: 334 \nC: " + plain + "\nS: 535 5.7.8 Error: authentication failed\n",
		"220 outbound-us1.ppe-hosted.com ESMTP\nAUTH PLAIN " + plain + "\n535 5.7.8 Error: authentication failed for " + password + "\n",
		"relay = smtp://" + user + ":" + password + "@outbound-us1.ppe-hosted.com:587\n",
	} {
		r, err := b.Analyze(context.Background(), []byte(text), "(paste)")
		if err != nil {
			t.Fatal(err)
		}
		b.Remember(r)
		if _, err := b.Export(r); err != nil {
			t.Fatal(err)
		}
		for _, strictly := range []bool{false, true} {
			if _, err := b.SaveCopy(b.Markdown(r, strictly)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(b.History()); n != 4 {
		t.Fatalf("%d runs in the history, want 4", n)
	}
	files := 0
	err := filepath.WalkDir(state, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, bad := range []string{password, b64(password), plain, b64(password)[:12], plain[len(plain)-12:]} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s holds %q", filepath.Base(path), bad)
			}
		}
		if info, e := d.Info(); e != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s may be read by others: %v", filepath.Base(path), info.Mode())
		}
		return err
	})
	if err != nil || files < 3 {
		t.Fatalf("%d files were kept: %v", files, err)
	}
	again := &backend{p: b.p}
	if n := len(again.History()); n != 4 {
		t.Errorf("%d runs are read back, want 4", n)
	}
}

// Two programs that run at once: neither forgets what the other has kept.
func TestHistoryIsShared(t *testing.T) {
	first, _ := behind(t)
	second := &backend{p: first.p}
	first.History() // both have read it
	second.History()
	run := func(b *backend, minute int, headline string) {
		r, err := b.Analyze(context.Background(), []byte("450 4.2.0 "+headline), "(paste)")
		if err != nil {
			t.Fatal(err)
		}
		r.When = time.Date(2026, 11, 24, 10, minute, 0, 0, time.UTC)
		r.Report.Verdict.Headline = headline
		b.Remember(r)
	}
	run(first, 1, "one")
	run(second, 3, "three")
	run(first, 2, "two")
	run(second, 4, "four")
	for name, b := range map[string]*backend{"the second": second, "a third": {p: first.p}} {
		var got []string
		for _, r := range b.History() {
			got = append(got, r.Report.Verdict.Headline)
		}
		if want := []string{"four", "three", "two", "one"}; !slices.Equal(got, want) {
			t.Errorf("%s sees %q, want %q", name, got, want)
		}
	}
	for i := range maxHistory + 3 {
		run(first, 5, fmt.Sprint("more ", i))
	}
	if n := len((&backend{p: first.p}).History()); n != maxHistory {
		t.Errorf("%d runs are kept, want %d", n, maxHistory)
	}
}

// The pages of --causes take part in the guided way, too.
func TestDiagnosisOfTheScreensKnowsOnesOwnPages(t *testing.T) {
	b, _ := behind(t)
	b.p.causes = t.TempDir()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "analyze", "causes", "port-587-blocked.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.p.causes, "our-firewall.md"), page, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := b.Analyze(t.Context(), []byte("<bob@recipient.example>: connect to outbound-us1.ppe-hosted.com[192.0.2.25]:587: Connection timed out\n"), "timeout")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range b.Diagnose([]tui.Told{{Run: &r}}).Causes {
		ids = append(ids, c.ID)
	}
	for _, want := range []string{"our-firewall", "port-587-blocked"} {
		if !slices.Contains(ids, want) {
			t.Errorf("%s is not among %v", want, ids)
		}
	}
}
