package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/xeipuuv/gojsonschema"
)

const (
	sarifModule = "github.com/owenrumney/go-sarif/v3@v3.3.1"
	sarifSum    = "h1:bKY8YnWcY8zYTiGVObC5wZLlfEvMkCxK9XMGXBbzEtQ="
)

func sarif(file string) ([]string, error) {
	schema, err := sarifSchema()
	if err != nil {
		return nil, err
	}
	document, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return problemsOf(schema, document)
}

// sarifSchema takes the schema out of the constant that go-sarif keeps it in.
var sarifSchema = sync.OnceValues(func() (*gojsonschema.Schema, error) {
	dir, err := moduleDir(sarifModule, sarifSum)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "pkg", "report", "v210", "sarif", "schema.go")
	tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		return nil, err
	}
	text := ""
	ast.Inspect(tree, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "schema" && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	if err != nil || text == "" {
		return nil, fmt.Errorf("%s holds no schema: %v", name, err)
	}
	return gojsonschema.NewSchema(gojsonschema.NewStringLoader(text))
})
