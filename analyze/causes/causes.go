// Package causes holds one page per way the service, or the road to it, can be
// set up wrong, and one page per finding: what it means, how it shows, who mends
// it and where, what it is confused with and on whose word that is said. The
// diagnosis runs the scenarios of these pages; "handoff explain" prints them.
//
// The package reads and checks pages. It knows nothing of replies and judges
// nothing: the statements of a scenario are carried out by package policy.
package causes

import (
	"embed"
	"io/fs"
	"sync"
)

//go:embed *.md findings/*.md
var embedded embed.FS

// Doc is one page.
type Doc struct {
	ID      string
	Finding bool // a side observation: it has no scenario and no rank
	Title   string
	Who     string // the contract's party whose side holds the fix
	// Base names the healthy worlds that the scenario starts from: "auth" (SMTP
	// AUTH on 587, no Sending Servers), "server" (a listed address on 25),
	// "inbound" (a stranger writes to a customer of the service).
	Base []string
	// Rank orders causes of the same reply: 1 is what the sources speak of most.
	// RankSource says which.
	Rank       int
	RankSource string
	Preset     string   // of the reference relay, as "handoff relay --scenario" knows it
	Sources    []string // article statements and pages
	Severity   string   // of a finding: error, warning, info
	// Scenarios are the ways to make it so, each as statements of the one
	// grammar of settings; the first is the plainest.
	Scenarios [][]string
	Means     string // paragraphs, separated by an empty line
	Shows     []string
	Fix       []Fix
	Confused  []Confusion
	Not       []string // what not to waste time on
	File      string   // where it was read from
}

// Fix says who does what.
type Fix struct {
	Who  string
	Text string
}

// Confusion is another cause that looks alike, and how to tell it apart.
type Confusion struct {
	ID   string
	Text string
}

var builtin = sync.OnceValues(func() ([]Doc, []Problem) { return Load(embedded) })

// Pages returns the causes, in the order of their ids. The slices inside are
// shared: do not write to them.
func Pages() []Doc { return only(all(), false) }

// Findings returns the pages of findings, in the order of their ids.
func Findings() []Doc { return only(all(), true) }

// Page returns the page of a cause or a finding; a cause comes before a finding
// of the same id.
func Page(id string) (Doc, bool) { return Find(all(), id) }

// Find is Page on a list of pages.
func Find(docs []Doc, id string) (Doc, bool) {
	for _, want := range []bool{false, true} {
		for i := range docs {
			if docs[i].ID == id && docs[i].Finding == want {
				return docs[i], true
			}
		}
	}
	return Doc{}, false
}

// All returns every page, causes first.
func All() []Doc { return append([]Doc(nil), all()...) }

func all() []Doc {
	docs, _ := builtin()
	return docs
}

func only(docs []Doc, finding bool) []Doc {
	var out []Doc
	for i := range docs {
		if docs[i].Finding == finding {
			out = append(out, docs[i])
		}
	}
	return out
}

// Overlay returns the pages with those of a folder added or put in place of
// theirs. Pages of the folder that cannot be read are problems and are left out.
func Overlay(docs []Doc, fsys fs.FS) ([]Doc, []Problem) {
	extra, problems := Load(fsys)
	out := append([]Doc(nil), docs...)
next:
	for _, d := range extra {
		for i := range out {
			if out[i].ID == d.ID && out[i].Finding == d.Finding {
				out[i] = d
				continue next
			}
		}
		out = append(out, d)
	}
	sortDocs(out)
	return out, problems
}
