package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// strangers are the packages whose errors quote what a peer has sent, raw.
var strangers = []string{"crypto/tls", "crypto/x509", "net", "net/http", "net/smtp", "net/textproto", "github.com/miekg/dns", "github.com/emersion/go-smtp", "github.com/emersion/go-sasl"}

// errorTexts are the functions where the text of an error is taken, of packages
// that import one of the strangers, with what the error can be. Neither package
// probe nor probe/resolve has one: what they say of a fault comes from fields and
// kinds. Not looked at are the commands and their configuration, which read
// addresses and certificates' files only and whose every message is escaped.
var errorTexts = map[string]string{
	"cmd/handoff/internal/exporter probe": "a mistake in a module, by package probe; escaped",
	"probe/relay Set":                     "a mistake in a scenario's set-up, by package policy",
	"probe/relay Start":                   "an address that cannot be listened on",
	"probe/relay World":                   "a mistake in a preset's set-up, by package policy",
	"probe/relay portable":                "a mistake in a line of a scenario file, by package policy",
	"probe/relay publish":                 "an address that cannot be listened on",
	"probe/relay start":                   "why a test cannot start its relay",
	"probe/relay/fault Parse":             "a mistake in a script",
	"probe/resolve/zone parse":            "a mistake in a zone that a test or a preset wrote",
}

var errorsEscaped = []string{"cmd/handoff/internal/cli", "cmd/handoff/internal/config"}

// TestErrorTexts: a new place where the text of an error is taken is a decision,
// and is written down above.
func TestErrorTexts(t *testing.T) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles, Imports        []string
	}
	exports := map[string]string{}
	var ours []listed
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if own, ok := strings.CutPrefix(p.ImportPath, module); ok && !slices.Contains(errorsEscaped, own) && slices.ContainsFunc(p.Imports, func(i string) bool { return slices.Contains(strangers, i) }) {
			ours = append(ours, p)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	fault := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	found := map[string]int{}
	for _, p := range ours {
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
		if _, err := (&types.Config{Importer: imports}).Check(p.ImportPath, fset, files, info); err != nil {
			t.Fatal(err)
		}
		// foreign says that an expression is an error which may be a stranger's: of
		// the interface, or of a type of another module.
		foreign := func(e ast.Expr) bool {
			typ := info.TypeOf(e)
			if typ == nil || !types.Implements(typ, fault) {
				return false
			}
			of := typ
			if ptr, ok := of.(*types.Pointer); ok {
				of = ptr.Elem()
			}
			named, ok := of.(*types.Named)
			return !ok || named.Obj().Pkg() == nil || !strings.HasPrefix(named.Obj().Pkg().Path(), module)
		}
		for _, f := range files {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				where := strings.TrimPrefix(p.ImportPath, module) + " " + fn.Name.Name
				ast.Inspect(fn, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					sel, ok := call.Fun.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					if sel.Sel.Name == "Error" && len(call.Args) == 0 && foreign(sel.X) {
						found[where]++
					}
					if obj := info.Uses[sel.Sel]; obj != nil && obj.Pkg() != nil && slices.Contains([]string{"fmt", "log", "log/slog"}, obj.Pkg().Path()) {
						for _, a := range call.Args {
							if foreign(a) {
								found[where]++
							}
						}
					}
					return true
				})
			}
		}
	}
	if len(ours) < 5 {
		t.Fatalf("only %d packages were looked at", len(ours))
	}
	for _, where := range slices.Sorted(maps.Keys(found)) {
		if errorTexts[where] == "" {
			t.Errorf("%s takes the text of an error, %d times: take what it is from its fields or kind, or say here what it can be", where, found[where])
		}
	}
	for where := range errorTexts {
		if found[where] == 0 {
			t.Errorf("%s takes the text of no error any more", where)
		}
	}
}
