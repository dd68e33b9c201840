package tui

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/transcript"
	"github.com/smtp-handoff/handoff/probe"
)

// poisonText is what a server or a paste may send to steer a terminal; the last
// ones are sequences that look like ours and are not.
const poisonText = "x\x1b]0;owned\x07\x1b[2J\u202e\u200b\u009b2J\x00\r\x7f\xff\tvisible\x1b[8mhidden"

// poison puts it into every string that a value holds. What is no string keeps its
// value; an empty list becomes one of one element. keep names fields that stay.
func poison(v reflect.Value, keep ...string) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && !slices.Contains(keep, v.Type().Field(i).Name) {
				poison(f, keep...)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		poison(v.Elem(), keep...)
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), max(v.Len(), 1), max(v.Len(), 1))
		reflect.Copy(list, v) // what the samples share stays as it is
		v.Set(list)
		for i := range v.Len() {
			poison(v.Index(i), keep...)
		}
	case reflect.String:
		v.SetString(poisonText)
	}
}

// poisoned is a backend that answers with nothing but such text.
type poisoned struct{ *fake }

func (p poisoned) Probe(_ context.Context, form Form, observe func(probe.Event)) (Run, error) {
	var e probe.Event
	poison(reflect.ValueOf(&e).Elem(), "Stage")
	e.Port, e.Exchange.Stage = 587, transcript.StageGreet
	observe(e)
	return p.run(p.probes, form), nil
}

func (p poisoned) run(r *analyze.Report, form Form) Run {
	run := Run{Report: r, When: testNow, Form: form, Text: poisonText, Sessions: slices.Clone(sampleSessions)}
	for i := range run.Sessions {
		poison(reflect.ValueOf(&run.Sessions[i]).Elem(), "Stage")
	}
	return run
}

func (p poisoned) Analyze(context.Context, []byte, string) (Run, error) {
	return p.run(p.report, Form{}), nil
}

func (p poisoned) AnalyzePath(_ context.Context, _ string, each func(Run)) error {
	for range 3 {
		each(p.run(p.report, Form{}))
	}
	return nil
}

func (p poisoned) Hops(string) []Hop {
	hops := make([]Hop, 3)
	for i := range hops {
		poison(reflect.ValueOf(&hops[i]).Elem())
	}
	return hops
}

func (p poisoned) Commands(Form) []string          { return []string{poisonText} }
func (p poisoned) Export(Run) (string, error)      { return poisonText, nil }
func (p poisoned) SaveCopy(string) (string, error) { return poisonText, nil }
func (p poisoned) RelayState() Relay {
	r := healthy()
	poison(reflect.ValueOf(&r).Elem())
	return r
}

func (p poisoned) RelayScenarios() []Scenario {
	all := make([]Scenario, 3)
	for i := range all {
		poison(reflect.ValueOf(&all[i]).Elem())
	}
	return all
}

func (p poisoned) Symptoms() []Symptom {
	all := make([]Symptom, 3)
	poison(reflect.ValueOf(&all).Elem())
	return all
}

func (p poisoned) Diagnose(told []Told) Guide {
	g := p.fake.Diagnose(told)
	if g.Test != nil { // the fake's own stays as it is
		t := *g.Test
		if t.Probe != nil {
			probe := *t.Probe
			t.Probe = &probe
		}
		g.Test = &t
	}
	poison(reflect.ValueOf(&g).Elem())
	return g
}

func (p poisoned) Try(_ context.Context, _ []Told, form Form, observe func(probe.Event)) (Told, error) {
	var t Told
	poison(reflect.ValueOf(&t).Elem())
	run := p.run(p.probes, form)
	t.Run = &run
	return t, nil
}

func (p poisoned) RelayAsk(string) (string, error) { return poisonText, nil }
func (p poisoned) History() []Run {
	return []Run{p.run(p.probes, Form{Host: poisonText}), p.run(p.report, Form{})}
}

// TestHostileInEveryField: on no screen does a byte of a report, a session, a step,
// a relay's account or the history steer the terminal, whatever field it is in.
func TestHostileInEveryField(t *testing.T) {
	sgr := regexp.MustCompile("\x1b\\[[0-9;]*m")
	more := [][]string{
		{"ctrl+r", "down", "enter"},
		{"ctrl+r", "y"},
		{"ctrl+r", "Y"},
		{"ctrl+r", "e"},
		{"ctrl+y"},
		{"ctrl+r", "v", "v"},
		{"alt+2", "x", "ctrl+r", "down", "down", "enter"},
		{"alt+2", "x", "ctrl+r", "p"},
		{"3", "down", "enter"},
		{"3", "enter"},
		{"4", "enter"},
		{"4", "down", "d"},
		{"4", "d", "down", "d"},
		{"ctrl+r", "d", "enter", "ctrl+r", "y"},
		{"5", "enter", "enter", "x", "u"},
		{"ctrl+r", "5", "down", "down", "enter", "i"},
	}
	for _, keep := range [][]string{{"Kind"}, {"Kind", "Code", "Status", "Severity", "Stage", "Verdict", "ID", "Expected", "Party", "Who"}} {
		for _, visit := range append(slices.Clone(visits), more...) {
			for _, size := range [][2]int{{120, 40}, {40, 12}} {
				f := &fake{report: sample(), probes: sampleProbe(), relay: healthy()}
				poison(reflect.ValueOf(f.report).Elem(), keep...)
				poison(reflect.ValueOf(f.probes).Elem(), keep...)
				m, _ := at(t, size[0], size[1])
				m.o.Backend = poisoned{f}
				m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				for n := range visit {
					press(m, visit[n])
					content := m.View().Content
					where := fmt.Sprintf("%v of %v at %v", visit[:n+1], visit, size)
					// Ours is SGR, without conceal; all else is a stranger's.
					text := sgr.ReplaceAllStringFunc(content, func(s string) string {
						if s == "\x1b[8m" {
							return s
						}
						return ""
					})
					for i, r := range text {
						if r != '\n' && transcript.Forbidden(r) {
							t.Errorf("%s: %U reaches the terminal: %q", where, r, text[max(0, i-40):min(len(text), i+20)])
							break
						}
					}
				}
			}
		}
	}
}
