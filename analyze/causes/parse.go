package causes

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is something wrong with a page, with its place.
type Problem struct {
	File string
	Line int // 1-based; 0: the whole file
	Text string
}

// String is the problem as compilers write it: file:line: text.
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// maxPage bounds a page; the longest of ours has under 4 kB.
const maxPage = 64 << 10

// Load reads the pages of a folder: *.md are causes, findings/*.md findings. A
// page with a problem is left out.
func Load(fsys fs.FS) ([]Doc, []Problem) {
	var docs []Doc
	var problems []Problem
	for _, dir := range []string{".", "findings"} {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			if dir == "." {
				problems = append(problems, Problem{File: ".", Text: "the folder cannot be read"})
			}
			continue
		}
		for _, e := range entries {
			if e.IsDir() || path.Ext(e.Name()) != ".md" {
				continue
			}
			name := path.Join(dir, e.Name())
			text, err := readBounded(fsys, name)
			if err != nil {
				problems = append(problems, Problem{File: name, Text: err.Error()})
				continue
			}
			doc, wrong := Parse(name, text)
			if len(wrong) > 0 {
				problems = append(problems, wrong...)
				continue
			}
			docs = append(docs, doc)
		}
	}
	sortDocs(docs)
	return docs, problems
}

func readBounded(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the page cannot be opened")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the page cannot be read")
	case len(text) > maxPage:
		return nil, fmt.Errorf("the page has more than %d bytes", maxPage)
	case !utf8.Valid(text):
		return nil, fmt.Errorf("the page is not UTF-8")
	}
	return text, nil
}

func sortDocs(docs []Doc) {
	slices.SortStableFunc(docs, func(a, b Doc) int {
		if a.Finding != b.Finding {
			if b.Finding {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// page is a page while it is read.
type page struct {
	doc      Doc
	problems []Problem
	seen     map[string]int // header keys and sections, with their lines
}

func (p *page) problem(line int, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: p.doc.File, Line: line, Text: fmt.Sprintf(format, args...)})
}

// The sections of a page, in their order. Scenario is of causes only.
var sections = []string{"Scenario", "Means", "Shows", "Fix", "Confused with", "Not"}

// Parse reads one page: a header of "key: value" lines between two lines of
// three hyphens, then sections. The id is the file's name.
//
//	---
//	title: The client talks to port 25
//	who: sender-system
//	base: auth
//	rank: 1
//	rank-source: A13
//	preset: auth-on-25
//	source: A12, A13
//	---
//
//	## Scenario
//
//	    client port 25
//
//	## Means
//
//	…
//
// Indented lines are code: statements in Scenario (blocks apart are different
// ways to make it so), replies in Shows. Fix has "- who: text" items, Confused
// with "- cause-id: text" items, Not plain items.
func Parse(name string, text []byte) (Doc, []Problem) {
	p := &page{seen: map[string]int{}}
	p.doc.File = name
	p.doc.ID = strings.TrimSuffix(path.Base(name), ".md")
	p.doc.Finding = path.Base(path.Dir(name)) == "findings"
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	lines := strings.Split(string(text), "\n")
	i := p.header(lines)
	section := ""
	var block []string
	flush := func() {
		if len(block) == 0 {
			return
		}
		switch section {
		case "Scenario":
			p.doc.Scenarios = append(p.doc.Scenarios, block)
		case "Shows":
			p.doc.Shows = append(p.doc.Shows, block...)
		}
		block = nil
	}
	for ; i < len(lines); i++ {
		line, n := strings.TrimRight(lines[i], " \t"), i+1
		if title, ok := strings.CutPrefix(line, "## "); ok {
			flush()
			section = title
			if !slices.Contains(sections, title) {
				p.problem(n, "unknown section %q; one of %s", title, strings.Join(sections, ", "))
			}
			if p.seen["## "+title] > 0 {
				p.problem(n, "section %q twice", title)
			}
			p.seen["## "+title] = n
			continue
		}
		if code, ok := strings.CutPrefix(line, "    "); ok && (section == "Scenario" || section == "Shows") {
			block = append(block, code)
			continue
		}
		flush()
		p.text(section, line, n)
	}
	flush()
	p.doc.Means = strings.TrimSpace(p.doc.Means)
	p.complete()
	return p.doc, p.problems
}

// header reads the lines between the hyphens and returns the index behind them.
func (p *page) header(lines []string) int {
	if len(lines) == 0 || strings.TrimSpace(lines[0]) != "---" {
		p.problem(1, "the page does not begin with a header between two lines of ---")
		return 0
	}
	for i := 1; i < len(lines); i++ {
		line, n := strings.TrimSpace(lines[i]), i+1
		if line == "---" {
			return i + 1
		}
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || value == "" {
			p.problem(n, "a header line is \"key: value\"")
			continue
		}
		if p.seen[key] > 0 {
			p.problem(n, "%q twice", key)
		}
		p.seen[key] = n
		p.key(key, value, n)
	}
	p.problem(len(lines), "the header does not end")
	return len(lines)
}

func (p *page) key(key, value string, n int) {
	d := &p.doc
	switch key {
	case "title":
		d.Title = value
	case "who":
		d.Who = value
		if !slices.Contains(parties, value) {
			p.problem(n, "%q is no party; one of %s", value, strings.Join(parties, ", "))
		}
	case "base":
		d.Base = list(value)
		for _, b := range d.Base {
			if !slices.Contains(bases, b) {
				p.problem(n, "%q is no base; one of %s", b, strings.Join(bases, ", "))
			}
		}
	case "rank":
		r, err := strconv.Atoi(value)
		if err != nil || r < 1 {
			p.problem(n, "the rank is a number from 1")
		}
		d.Rank = r
	case "rank-source":
		d.RankSource = value
	case "preset":
		d.Preset = value
	case "source":
		d.Sources = list(value)
	case "severity":
		d.Severity = value
		if !slices.Contains(severities, value) {
			p.problem(n, "%q is no severity; one of %s", value, strings.Join(severities, ", "))
		}
	default:
		p.problem(n, "unknown key %q", key)
	}
}

var (
	parties    = []string{"sender-system", "network", "relay-config", "relay-platform", "recipient-system", "none"}
	bases      = []string{"auth", "server", "inbound"}
	severities = []string{"error", "warning", "info"}
)

func list(value string) []string {
	var out []string
	for _, w := range strings.Split(value, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// text reads a line of prose or an item of a list.
func (p *page) text(section, line string, n int) {
	item, isItem := strings.CutPrefix(line, "- ")
	cont, isCont := strings.CutPrefix(line, "  ")
	d := &p.doc
	switch section {
	case "":
		if strings.TrimSpace(line) != "" {
			p.problem(n, "text before the first section")
		}
	case "Means":
		switch {
		case line == "":
			d.Means = strings.TrimRight(d.Means, " ") + "\n\n"
		default:
			d.Means += strings.TrimSpace(line) + " "
		}
	case "Fix", "Confused with", "Not":
		switch {
		case line == "":
		case isItem:
			p.item(section, item, n)
		case isCont:
			p.continued(section, strings.TrimSpace(cont), n)
		default:
			p.problem(n, "%s is a list of items that begin with \"- \"", section)
		}
	}
}

func (p *page) item(section, item string, n int) {
	d := &p.doc
	head, rest, ok := strings.Cut(item, ": ")
	rest = strings.TrimSpace(rest)
	switch section {
	case "Fix":
		if !ok || !slices.Contains(parties, head) {
			p.problem(n, "an item of Fix is \"- who: text\", who one of %s", strings.Join(parties, ", "))
			return
		}
		d.Fix = append(d.Fix, Fix{Who: head, Text: rest})
	case "Confused with":
		if !ok {
			p.problem(n, "an item of Confused with is \"- cause-id: text\"")
			return
		}
		d.Confused = append(d.Confused, Confusion{ID: head, Text: rest})
		p.seen["confused "+head] = n
	case "Not":
		d.Not = append(d.Not, strings.TrimSpace(item))
	}
}

// continued adds a wrapped line to the item before it.
func (p *page) continued(section, text string, n int) {
	d := &p.doc
	switch {
	case section == "Fix" && len(d.Fix) > 0:
		d.Fix[len(d.Fix)-1].Text += " " + text
	case section == "Confused with" && len(d.Confused) > 0:
		d.Confused[len(d.Confused)-1].Text += " " + text
	case section == "Not" && len(d.Not) > 0:
		d.Not[len(d.Not)-1] += " " + text
	default:
		p.problem(n, "a continued line without an item")
	}
}

// complete says what is missing.
func (p *page) complete() {
	d := &p.doc
	want := func(ok bool, what string) {
		if !ok {
			p.problem(1, "the page has no %s", what)
		}
	}
	want(d.Title != "", "title")
	want(len(d.Sources) > 0, "source")
	want(d.Means != "", "section Means")
	want(len(d.Fix) > 0 || d.Severity == "info", "section Fix")
	if d.Finding {
		want(d.Severity != "", "severity")
		if len(d.Scenarios) > 0 {
			p.problem(p.seen["## Scenario"], "a finding has no scenario")
		}
		return
	}
	want(d.Who != "", "who")
	want(len(d.Base) > 0, "base")
	want(d.Rank > 0, "rank")
	want(d.RankSource != "", "rank-source")
	want(len(d.Scenarios) > 0, "scenario: indented statements in section Scenario")
	want(len(d.Shows) > 0, "section Shows with an indented reply")
	want(len(d.Confused) > 0, "section Confused with")
	want(len(d.Not) > 0, "section Not")
}
