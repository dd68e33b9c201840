package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"sync"

	"github.com/smtp-handoff/handoff/analyze"
)

//go:embed report.html.tmpl
var page string

// pages holds three templates: head, report and foot. html/template escapes by
// context, and everything foreign has gone through show before.
// They are parsed when the first page is asked for: a start takes milliseconds.
var pages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"show":       show,
		"word":       func(v any) string { return show(fmt.Sprint(v)) },
		"shownFirst": shownFirst,
		"narrowed":   func(x analyze.TriedTest) string { return narrowed(&x) },
		"showList":   showList,
		"took":       took,
		"cells":      Cells,
		"reply":      replyLine,
		"unstated":   func(s string) string { return orUnstated(s, "not stated") },
		"hasReply":   func(r analyze.Reply) bool { return r.Code != 0 || r.Enhanced != "" || r.Text != "" },
		"evidence":   func(e []analyze.Evidence, l Lines) []snippet { s, _ := snippets(e, l); return s },
		"left":       func(e []analyze.Evidence, l Lines) int { _, n := snippets(e, l); return n },
		"stages":     func() []string { return stages[:7] },
		"versions":   func(s analyze.Session) string { return tlsVersions(&s) },
		"seven":      func(c []Cell) []Cell { return c[:7] },
		"quote":      func(e []analyze.Evidence, l Lines) quoteList { return quoteList{e, l} },
	}).Parse(page))
})

type quoteList struct {
	Evidence []analyze.Evidence
	Lines    Lines
}

// htmlWriter writes one page with one article per report: no script, nothing
// loaded, a content security policy that forbids both.
type htmlWriter struct {
	w io.Writer
	o Options
	n int
}

func (h *htmlWriter) Write(r *analyze.Report, lines Lines) error {
	var b bytes.Buffer
	data := struct {
		R       *analyze.Report
		Lines   Lines
		Subject string
		Title   string
		Command string
		Masked  string
		Shown   []analyze.Outcome
		Left    int
	}{R: r, Lines: lines, Subject: subjectOf(r), Title: show(string(r.Verdict.Code)), Command: h.o.Command, Masked: h.o.masked(), Shown: r.Outcomes}
	if len(r.Outcomes) > maxOutcomes {
		data.Shown, data.Left = r.Outcomes[:maxOutcomes], len(r.Outcomes)-maxOutcomes
	}
	if h.n == 0 {
		if err := pages().ExecuteTemplate(&b, "head", data); err != nil {
			return err
		}
	}
	h.n++
	if err := pages().ExecuteTemplate(&b, "report", data); err != nil {
		return err
	}
	_, err := h.w.Write(b.Bytes())
	return err
}

func (h *htmlWriter) Close() error {
	var b bytes.Buffer
	if h.n == 0 {
		data := struct{ Title, Subject string }{"nothing to report", ""}
		if err := pages().ExecuteTemplate(&b, "head", data); err != nil {
			return err
		}
	}
	if err := pages().ExecuteTemplate(&b, "foot", nil); err != nil {
		return err
	}
	_, err := h.w.Write(b.Bytes())
	return err
}
