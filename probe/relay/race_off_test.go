//go:build !race

package relay_test

const racing = false
