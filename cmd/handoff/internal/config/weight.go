package config

import "go.yaml.in/yaml/v3"

// weight is what decoding a node costs, its aliases followed. The library that
// reads YAML compares the keys of a mapping pair by pair, each time an alias
// leads there again, and words an error for each pair that is equal and for each
// key that is unknown: half a megabyte of one key takes minutes and gigabytes.
type weight struct {
	nodes, pairs int
	open         bool // the walk is inside it
}

// The limits: a mapping of 5,000 keys has 12.5 million pairs and takes 50 ms.
const (
	maxNodes = 400_000
	maxPairs = 25_000_000
)

func (w weight) over() bool { return w.nodes > maxNodes || w.pairs > maxPairs }

// weigh adds up a node; known holds what aliases have led to. A node that
// contains itself has no end.
func weigh(n *yaml.Node, known map[*yaml.Node]*weight) weight {
	if n.Kind == yaml.AliasNode {
		return weigh(n.Alias, known)
	}
	if n.Anchor != "" {
		if w := known[n]; w != nil {
			if w.open {
				return weight{nodes: maxNodes + 1}
			}
			return *w
		}
		known[n] = &weight{open: true}
	}
	sum := weight{nodes: 1}
	if n.Kind == yaml.MappingNode {
		keys := len(n.Content) / 2
		sum.pairs = keys * keys / 2
	}
	for _, c := range n.Content {
		if sum.over() {
			break // enough is known, and the sums stay small
		}
		w := weigh(c, known)
		sum.nodes += w.nodes
		sum.pairs += w.pairs
	}
	if n.Anchor != "" {
		known[n] = &sum
	}
	return sum
}
