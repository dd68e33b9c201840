// Command checker holds a file against the schema of its format, as its makers
// publish it: "checker sarif FILE…" against the SARIF 2.1.0 schema of OASIS,
// "checker kubernetes FILE…" against the OpenAPI description of a Kubernetes API
// server. It prints what does not fit and exits 1; 2 is a failure of its own.
// "checker fetch" only sees to it that the schemas are there.
//
// The schemas are not copied into this project. They are read from the source of
// two modules that carry them, each pinned by version and sum: go-sarif (its
// validator is not used, because it only sees what its own types kept of a
// document) and kubectl-validate (its program is not built, because that takes
// minutes).
//
// It is a module of its own, so that nothing of it can become part of handoff.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/xeipuuv/gojsonschema"
)

func main() {
	checks := map[string]func(file string) ([]string, error){"sarif": sarif, "kubernetes": kubernetes}
	if len(os.Args) == 2 && os.Args[1] == "fetch" {
		_, err := sarifSchema()
		if err == nil {
			_, err = moduleDir(kubernetesModule, kubernetesSum)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "checker: %v\n", err)
			os.Exit(2)
		}
		return
	}
	if len(os.Args) < 3 || checks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: checker fetch | checker sarif|kubernetes FILE…")
		os.Exit(2)
	}
	code := 0
	for _, file := range os.Args[2:] {
		problems, err := checks[os.Args[1]](file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "checker: %s: %v\n", file, err)
			os.Exit(2)
		}
		for _, p := range problems {
			fmt.Printf("%s: %s\n", file, p)
			code = 1
		}
	}
	os.Exit(code)
}

// moduleDir is the folder of a module in the module cache, fetched when it is not
// there. The sum is that of go.sum: what does not have it is not used.
func moduleDir(module, sum string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside of any module: nothing there is to be changed
	out, err := cmd.Output()
	var m struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &m); m.Error != "" {
		return "", fmt.Errorf("module %s: %s", module, m.Error)
	} else if err = errors.Join(err, jsonErr); err != nil {
		return "", fmt.Errorf("module %s: %w", module, err)
	}
	if m.Sum != sum {
		return "", fmt.Errorf("module %s has the sum %s, expected %s", module, m.Sum, sum)
	}
	return m.Dir, nil
}

// problemsOf validates a JSON document.
func problemsOf(schema *gojsonschema.Schema, document []byte) ([]string, error) {
	// The library stops behind the first value; the format does not.
	dec := json.NewDecoder(strings.NewReader(string(document)))
	var value any
	if err := dec.Decode(&value); err != nil {
		return []string{err.Error()}, nil
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return []string{"something stands behind the document"}, nil
	}
	result, err := schema.Validate(gojsonschema.NewBytesLoader(document))
	if err != nil {
		return nil, err
	}
	if result.Valid() {
		return nil, nil
	}
	out := []string{"does not fit its schema:"}
	for _, e := range result.Errors() {
		if e.Type() == "number_all_of" {
			continue // says of each level above that something below it is wrong
		}
		out = append(out, e.String())
	}
	return out, nil
}
