package causes

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Checks are what a page is checked against beyond its shape. A nil check
// passes.
type Checks struct {
	// Scenario says what is wrong with the statements of a scenario on a base;
	// index is that of the statement, -1 for the whole.
	Scenario func(base string, statements []string) (index int, problem string)
	// Source reports whether a key names a source.
	Source func(key string) bool
	// Known reports whether a cause or finding of that id exists elsewhere, for
	// folders that are laid over the pages of the program.
	Known func(id string) bool
}

// MaxTitle is the length of a title in characters; reports cut there.
const MaxTitle = 72

// maxSentence is how many words a sentence of a page may have: pages are read
// aloud on the telephone.
const maxSentence = 32

// Lint reads every page of a folder and says what is wrong with it, in the
// order of files and lines.
func Lint(fsys fs.FS, c Checks) []Problem {
	docs, problems := Load(fsys)
	for _, d := range docs {
		text, err := readBounded(fsys, d.File)
		if err != nil {
			continue
		}
		problems = append(problems, lintDoc(d, strings.Split(string(text), "\n"), docs, c)...)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if x := strings.Compare(path.Dir(a.File), path.Dir(b.File)); x != 0 {
			return x
		}
		if x := strings.Compare(a.File, b.File); x != 0 {
			return x
		}
		return a.Line - b.Line
	})
	return problems
}

func lintDoc(d Doc, lines []string, docs []Doc, c Checks) []Problem {
	var out []Problem
	add := func(line int, text string) { out = append(out, Problem{File: d.File, Line: line, Text: text}) }
	at := func(part string) int {
		for i, l := range lines {
			if strings.Contains(l, part) {
				return i + 1
			}
		}
		return 1
	}
	if n := utf8.RuneCountInString(d.Title); n > MaxTitle {
		add(at("title:"), "the title is longer than 72 characters")
	}
	if !slugOK(d.ID) {
		add(1, "the file's name is not lower-case words with hyphens")
	}
	for _, s := range append(slices.Clone(d.Sources), list(d.RankSource)...) {
		if c.Source != nil && !c.Source(s) {
			add(at(s), "no source is called \""+s+"\"")
		}
	}
	for _, x := range d.Confused {
		_, here := Find(docs, x.ID)
		switch {
		case x.ID == d.ID:
			add(at("- "+x.ID), "a page is not confused with itself")
		case !here && (c.Known == nil || !c.Known(x.ID)):
			add(at("- "+x.ID), "no page is called \""+x.ID+"\"")
		}
	}
	if c.Scenario != nil {
		for _, statements := range d.Scenarios {
			// A scenario has to work on one of the bases at least.
			first, works := Problem{}, false
			for _, base := range d.Base {
				i, problem := c.Scenario(base, statements)
				if works = works || problem == ""; works {
					break
				}
				if first.Text == "" {
					first = Problem{Line: at("## Scenario"), Text: problem}
					if i >= 0 {
						first.Line = at("    " + statements[i])
					}
				}
			}
			if !works {
				add(first.Line, first.Text)
			}
		}
	}
	prose := []string{d.Means}
	for _, f := range d.Fix {
		prose = append(prose, f.Text)
	}
	for _, x := range d.Confused {
		prose = append(prose, x.Text)
	}
	prose = append(prose, d.Not...)
	for _, text := range prose {
		for _, s := range sentences(text) {
			if n := len(strings.Fields(s)); n > maxSentence {
				first := strings.Join(strings.Fields(s)[:3], " ")
				add(at(first), "a sentence has more than 32 words: \""+first+" …\"")
			}
		}
	}
	for i, l := range lines {
		if strings.ContainsFunc(l, func(r rune) bool { return r < 0x20 && r != '\t' && r != '\r' || r == 0x7f }) {
			add(i+1, "a control character")
		}
	}
	return out
}

// slugOK reports whether an id is kebab case.
func slugOK(id string) bool {
	if id == "" || id[0] == '-' || id[len(id)-1] == '-' {
		return false
	}
	return strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// sentences cuts prose after a full stop, colon, question mark or semicolon
// that is followed by a blank.
func sentences(text string) []string {
	var out []string
	start := 0
	for i := 0; i < len(text); i++ {
		end := i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\n'
		if end && strings.IndexByte(".?!:;", text[i]) >= 0 || strings.HasPrefix(text[i:], "\n\n") {
			out = append(out, text[start:i+1])
			start = i + 1
		}
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}
