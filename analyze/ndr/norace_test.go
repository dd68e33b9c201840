//go:build !race

package ndr

const raceDetector = false
