package cli

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/smtp-handoff/handoff/analyze"
	"github.com/smtp-handoff/handoff/cmd/handoff/internal/tui"
)

// maxHistory is how many runs are kept.
const maxHistory = 50

// keptRun is a run in the history file: without text, without secrets.
type keptRun struct {
	When    time.Time       `json:"when"`
	Took    time.Duration   `json:"took"`
	Bundled bool            `json:"bundled,omitempty"` // a probe of the bundled relay
	Report  *analyze.Report `json:"report"`
}

// History implements tui.Backend.
func (b *backend) History() []tui.Run {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load()
	return slices.Clone(b.runs)
}

func (b *backend) load() {
	if b.loaded {
		return
	}
	b.loaded = true
	if dir, err := b.p.stateFolder("history"); err == nil {
		b.runs = readHistory(dir)
	}
}

// readHistory reads what is kept; a file that cannot be read holds nothing.
func readHistory(dir string) (runs []tui.Run) {
	f, err := os.Open(filepath.Join(dir, "runs.json"))
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []keptRun
	if json.NewDecoder(io.LimitReader(f, 64<<20)).Decode(&all) != nil {
		return nil
	}
	for _, r := range all[:min(len(all), maxHistory)] {
		if r.Report != nil {
			runs = append(runs, tui.Run{When: r.When, Took: r.Took, Report: r.Report, Form: tui.Form{Bundled: r.Bundled}})
		}
	}
	return runs
}

// withOthers adds the runs that another handoff has kept in the meantime, newest
// first.
func withOthers(runs, kept []tui.Run) []tui.Run {
	out := slices.Clone(runs)
	for _, k := range kept {
		same := func(r tui.Run) bool {
			return r.When.Equal(k.When) && r.Took == k.Took && r.Report.Verdict.Headline == k.Report.Verdict.Headline
		}
		if !slices.ContainsFunc(runs, same) {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b tui.Run) int { return b.When.Compare(a.When) })
	return out[:min(len(out), maxHistory)]
}

// Remember implements tui.Backend. A history that cannot be written is no
// reason to stop: the run is still on the screen.
func (b *backend) Remember(r tui.Run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load()
	b.runs = append([]tui.Run{r}, b.runs...)
	b.runs = b.runs[:min(len(b.runs), maxHistory)]
	dir, err := b.p.stateFolder("history")
	if err != nil {
		return
	}
	// Two of us at once: each keeps what the other has written.
	defer lockFile(filepath.Join(dir, "lock"))()
	b.runs = withOthers(b.runs, readHistory(dir))
	all := make([]keptRun, 0, len(b.runs))
	for _, run := range b.runs {
		all = append(all, keptRun{run.When, run.Took, run.Form.Bundled, run.Report})
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(dir, "runs-*.tmp") // 0600
	if err != nil {
		return
	}
	defer os.Remove(tmp.Name())
	_, werr := tmp.Write(raw)
	if cerr := tmp.Close(); werr == nil && cerr == nil {
		_ = os.Rename(tmp.Name(), filepath.Join(dir, "runs.json"))
	}
}
