//go:build race

package relay_test

// The race detector's own memory would hide what is measured.
const racing = true
