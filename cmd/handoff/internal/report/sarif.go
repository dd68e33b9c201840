package report

import (
	"cmp"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smtp-handoff/handoff/analyze"
)

// maxSARIF is how many results of a run code scanning takes.
const maxSARIF = 25000

// sarifWriter writes SARIF 2.1.0: a run per document, a result per finding,
// failed outcome and failed session, the worst first, since readers show only
// the first of many. An inconclusive verdict makes the run not successful.
type sarifWriter struct {
	w       io.Writer
	o       Options
	results []sarifResult
	rules   map[string]string
	open    []string // headlines of inconclusive verdicts
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID    string    `json:"id"`
	Short sarifText `json:"shortDescription"`
	Help  sarifText `json:"help"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

type sarifRegion struct {
	Line    int       `json:"startLine"`
	Column  int       `json:"startColumn,omitempty"`
	Snippet sarifText `json:"snippet"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

func (s *sarifWriter) Write(r *analyze.Report, _ Lines) error {
	if s.rules == nil {
		s.rules = map[string]string{}
	}
	if r.Verdict.Status == analyze.Inconclusive {
		s.open = append(s.open, show(subjectOf(r)+headlineOf(r)))
	}
	add := func(id, title, level, text string, evidence []analyze.Evidence) {
		s.rules[id] = cmp.Or(s.rules[id], title)
		res := sarifResult{RuleID: id, Level: level, Message: sarifText{text}}
		res.Locations = locations(r, evidence)
		s.results = append(s.results, res)
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if o.Verdict == analyze.NotAFailure || o.Verdict == analyze.Ready || o.Verdict == analyze.InsufficientEvidence {
			continue
		}
		id := "verdict-" + show(string(o.Verdict))
		text := strings.TrimSpace(orUnstated(o.Recipient, "a recipient that is not stated") + ": " + show(string(o.Verdict)) + " at stage " + show(o.Stage) + " " + replyLine(o.Reply))
		add(id, "the mail was "+show(string(o.Verdict)), "error", strings.Join(nonEmpty(text, causeText(o.Causes)), "\n"), o.Evidence)
	}
	for i := range r.Sessions {
		x := &r.Sessions[i]
		if x.Verdict == analyze.Ready || x.Expected || x.Verdict == analyze.InsufficientEvidence {
			continue
		}
		text := show(string(x.Verdict)) + " at stage " + show(x.Stage)
		add("verdict-"+show(string(x.Verdict)), "the session ended "+show(string(x.Verdict)), "error", strings.Join(nonEmpty(text, causeText(x.Causes)), "\n"), []analyze.Evidence{{Port: x.Port}})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		level := "note"
		switch {
		case f.Expected:
		case f.Severity == analyze.Error:
			level = "error"
		case f.Severity == analyze.Warning:
			level = "warning"
		}
		add(show(f.ID), show(f.Title), level, strings.Join(nonEmpty(show(f.Title), show(f.Why), fixText(f)), "\n"), f.Evidence)
	}
	return nil
}

// locations names the input file, or the session of a probe, which is no file.
func locations(r *analyze.Report, evidence []analyze.Evidence) []sarifLocation {
	var out []sarifLocation
	for _, e := range evidence {
		l := sarifLocation{}
		if r.Kind == "probe" || e.Port != 0 {
			name := show(r.Target)
			if e.Port != 0 {
				name = strings.TrimSuffix(place(mark{port: e.Port, line: e.Line}), ", line 0") + " of " + name
			}
			l.Logical = []sarifLogical{{name}}
		} else if r.Input != nil && r.Input.Source != "" && r.Input.Source != "-" {
			p := &sarifPhysical{}
			u := url.URL{Path: filepath.ToSlash(strings.ToValidUTF8(r.Input.Source, "\ufffd"))}
			p.Artifact.URI = strings.TrimPrefix(u.EscapedPath(), "./")
			if e.Line > 0 {
				p.Region = &sarifRegion{Line: e.Line, Column: e.Column, Snippet: sarifText{marked(e.Quote)}}
			}
			l.Physical = p
		} else {
			l.Logical = []sarifLogical{{place(mark{line: e.Line, from: e.Column - 1}) + " of standard input"}}
		}
		out = append(out, l)
		if len(out) == 10 {
			break
		}
	}
	return out
}

// Close writes the document.
func (s *sarifWriter) Close() error {
	rank := map[string]int{"error": 0, "warning": 1, "note": 2}
	slices.SortStableFunc(s.results, func(a, b sarifResult) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
	inv := sarifInvocation{Successful: len(s.open) == 0}
	for i, h := range s.open {
		if i == 100 {
			break
		}
		inv.Notifications = append(inv.Notifications, sarifNotification{"warning", sarifText{h}})
	}
	if len(s.results) > maxSARIF {
		s.results = s.results[:maxSARIF]
		inv.Notifications = append(inv.Notifications, sarifNotification{"warning", sarifText{"more than 25,000 results: the rest is left out"}})
	}
	run := sarifRun{Invocations: []sarifInvocation{inv}, Results: s.results, ColumnKind: "unicodeCodePoints"}
	if run.Results == nil {
		run.Results = []sarifResult{}
	}
	run.Tool.Driver = sarifDriver{Name: "handoff", Version: s.o.Version, Rules: []sarifRule{}}
	ids := make([]string, 0, len(s.rules))
	for id := range s.rules {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: id, Short: sarifText{s.rules[id]}, Help: sarifText{"handoff explain " + id}})
	}
	raw, err := Marshal(sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	}, " ")
	if err != nil {
		return err
	}
	_, err = s.w.Write(raw)
	return err
}
