//go:build race

package ndr

// raceDetector tells that the tests run under the race detector, ten times
// slower: large inputs and counts are then left to the plain run.
const raceDetector = true
