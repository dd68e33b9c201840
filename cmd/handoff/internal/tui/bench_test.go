package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
)

// BenchmarkScroll200000Lines is a frame of a long transcript, with marks.
func BenchmarkScroll200000Lines(b *testing.B) {
	m := newModel(b.Context(), Options{Backend: &fake{}})
	rep := sample()
	for i := range 200 {
		rep.Outcomes[0].Evidence = append(rep.Outcomes[0].Evidence, analyze.Evidence{Line: 1000*i + 1, Column: 8, Quote: "10:39:58", Role: "reply"})
	}
	text := strings.Repeat("Nov 24 10:39:58 mail postfix/smtp[23603]: C9E939E673A: to=<desk@partner.example>\n", 200_000)
	s := m.screens[atAnalyze].(*analyzeScreen)
	m.at, s.result = atAnalyze, newResultView(m, Run{Report: rep, Text: text})
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	m.Update(keyMsg("t"))
	b.ResetTimer()
	for i := range b.N {
		s.result.lines.top = i * 31 % 190_000
		m.Update(keyMsg("pgdown"))
		m.View()
	}
}

// many is a list of n reports of a folder.
func many(n int) *listView {
	v := &listView{}
	for i := range n {
		rep := *sample()
		rep.Verdict.Code = []analyze.Verdict{analyze.Refused, analyze.NeverReached, analyze.Deferred}[i%3]
		rep.Input = &analyze.Input{Source: fmt.Sprintf("bounces/%05d.eml", i), Format: "postfix-dsn"}
		v.runs = append(v.runs, Run{Report: &rep, When: testNow})
	}
	return v
}

// BenchmarkList10000 is what a key costs in a list of 10,000 reports: a move,
// a letter of the filter, the summary.
func BenchmarkList10000(b *testing.B) {
	for _, c := range []struct {
		name string
		do   func(v *listView, i int)
	}{
		{"move", func(v *listView, i int) { v.sel = i % len(v.visible()) }},
		{"filter", func(v *listView, i int) {
			v.filter = []string{"verdict:refused", "host:outbound", "wrong-port 0042"}[i%3]
		}},
		{"summary", func(v *listView, _ int) { v.summary = true }},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := many(10_000)
			for i := range b.N {
				c.do(v, i)
				for _, l := range v.draw(120, 36) {
					_ = l.render(120)
				}
			}
		})
	}
}
