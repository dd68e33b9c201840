//go:build race

package analyze

// raceDetector tells that the tests run under the race detector, ten times
// slower: what only counts is then left to the plain run.
const raceDetector = true
