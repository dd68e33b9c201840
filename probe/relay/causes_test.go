package relay_test

import (
	"slices"
	"testing"

	"github.com/smtp-handoff/handoff/analyze/causes"
	"github.com/smtp-handoff/handoff/probe/relay"
)

// Every cause has a preset that shows it, every cause that a preset allows has a
// page, and both say the same about who mends it.
func TestCausesAndPresets(t *testing.T) {
	pages := map[string]causes.Doc{}
	shown := map[string]bool{}
	for _, p := range causes.Pages() {
		pages[p.ID] = p
	}
	if len(pages) < 50 {
		t.Fatalf("%d pages of causes", len(pages))
	}
	for _, s := range relay.Scenarios() {
		for i, c := range s.Truth.Causes {
			p, ok := pages[c]
			if !ok {
				t.Errorf("%s: no page for the cause %s", s.Name, c)
				continue
			}
			if i > 0 {
				continue
			}
			shown[c] = true
			who := s.Truth.Who
			if who == "" {
				who = s.Truth.Party
			}
			if p.Who != who {
				t.Errorf("%s: the preset says %s mends it, the page says %s", s.Name, who, p.Who)
			}
		}
		if s.Truth.Finding != "" && !slices.ContainsFunc(causes.All(), func(d causes.Doc) bool { return d.ID == s.Truth.Finding }) {
			t.Errorf("%s: no page for the finding %s", s.Name, s.Truth.Finding)
		}
	}
	for id, p := range pages {
		s, ok := relay.FindScenario(p.Preset)
		switch {
		case !ok:
			t.Errorf("%s: no preset %q", id, p.Preset)
		case !slices.Contains(s.Truth.Causes, id) && s.Truth.Finding != id:
			t.Errorf("%s: the preset %s is about %v", id, p.Preset, s.Truth.Causes)
		case !shown[id] && s.Truth.Finding != id:
			t.Errorf("%s is no preset's true cause", id)
		}
	}
}
