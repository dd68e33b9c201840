package cli

import (
	"io/fs"
	"os"

	"github.com/spf13/pflag"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/analyze/causes"
)

// causesFlag adds --causes to the flags of a command that explains.
func (p *program) causesFlag(fs *pflag.FlagSet) {
	fs.StringVar(&p.causes, "causes", "", "lay the pages of causes and findings in `DIR` over those of the program")
}

// explainer is the one of the pages in --causes; nil: that of the program's own.
// What is wrong with a page is told, and the page is left out.
func (p *program) explainer() (*analyze.Explainer, error) {
	if p.causes == "" {
		return nil, nil
	}
	fsys, err := folder(p.causes)
	if err != nil {
		return nil, err
	}
	x, problems := analyze.WithCauses(fsys)
	for _, problem := range problems {
		p.warn("--causes: %s", problem)
	}
	return x, nil
}

// pages are the pages of the program with those in --causes laid over them.
func (p *program) pages() ([]causes.Doc, error) {
	docs := causes.All()
	if p.causes == "" {
		return docs, nil
	}
	fsys, err := folder(p.causes)
	if err != nil {
		return nil, err
	}
	docs, problems := causes.Overlay(docs, fsys)
	for _, problem := range problems {
		p.warn("--causes: %s", problem)
	}
	return docs, nil
}

func folder(name string) (fs.FS, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, fail(exitNoInput, "no folder "+name)
	}
	if !st.IsDir() {
		return nil, usage(name + " is no folder")
	}
	return os.DirFS(name), nil
}
