package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/xeipuuv/gojsonschema"
	"go.yaml.in/yaml/v3"
)

// kubernetesVersion is the newest API that the module describes. What the shipped
// files use is in every version since 1.21 (CronJob in batch/v1).
const (
	kubernetesVersion = "1.30"
	kubernetesModule  = "sigs.k8s.io/kubectl-validate@v0.0.4"
	kubernetesSum     = "h1:tGKuv0awYHn11Cb6KPsZKxUmHgavF46K3NvVH0Nse9U="
)

// kubernetes checks each object of a YAML stream against its kind.
func kubernetes(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []string
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for n := 1; ; n++ {
		var object map[string]any
		err := dec.Decode(&object)
		if errors.Is(err, io.EOF) {
			if n == 1 {
				out = append(out, "there is no object in it")
			}
			return out, nil
		}
		if err != nil {
			return append(out, err.Error()), nil
		}
		version, _ := object["apiVersion"].(string)
		kind, _ := object["kind"].(string)
		schema, err := kubernetesSchema(version, kind)
		if err != nil {
			return nil, err
		}
		if schema == nil {
			out = append(out, fmt.Sprintf("object %d: Kubernetes %s has no %s in %s", n, kubernetesVersion, kind, version))
			continue
		}
		document, err := json.Marshal(object)
		if err != nil {
			return append(out, fmt.Sprintf("object %d: %v", n, err)), nil
		}
		problems, err := problemsOf(schema, document)
		if err != nil {
			return nil, err
		}
		for _, p := range problems {
			out = append(out, fmt.Sprintf("object %d, %s: %s", n, kind, p))
		}
	}
}

// kubernetesSchema gives the schema of a kind, nil if there is none.
func kubernetesSchema(apiVersion, kind string) (*gojsonschema.Schema, error) {
	group, version, named := strings.Cut(apiVersion, "/")
	if !named {
		group, version = "", apiVersion
	}
	if kind == "" || !filepath.IsLocal(version) || named && !filepath.IsLocal(group) {
		return nil, nil
	}
	dir, err := moduleDir(kubernetesModule, kubernetesSum)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "pkg", "openapiclient", "builtins", kubernetesVersion)
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	where := filepath.Join(dir, "api", version+".json")
	if named {
		where = filepath.Join(dir, "apis", group, version+".json")
	}
	raw, err := os.ReadFile(where)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	components, _ := document["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	root := ""
	for name, s := range schemas {
		object, _ := s.(map[string]any)
		kinds, _ := object["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			if k, _ := k.(map[string]any); k["group"] == group && k["version"] == version && k["kind"] == kind && len(kinds) == 1 {
				root = name
			}
		}
	}
	if root == "" {
		return nil, nil
	}
	strict(schemas)
	return gojsonschema.NewSchema(gojsonschema.NewGoLoader(map[string]any{
		"$ref": "#/components/schemas/" + root, "components": components,
	}))
}

// strict closes each object whose fields are listed, as "kubectl apply
// --validate=strict" does: an unknown field is a mistake, not an extension.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if fields, ok := v["properties"].(map[string]any); ok && len(fields) > 0 && v["additionalProperties"] == nil && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, x := range v {
			strict(x)
		}
	case []any:
		for _, x := range v {
			strict(x)
		}
	}
}
