package transcript

// Order is the place of a stage on the road, for "furthest": not-attempted is
// 0, accepted 9. StageUnknown and anything else are -1: before every stage that
// is known.
func (s Stage) Order() int {
	switch s {
	case StageNotAttempted:
		return 0
	case StageResolve:
		return 1
	case StageConnect:
		return 2
	case StageGreet:
		return 3
	case StageEHLO:
		return 4
	case StageTLS:
		return 5
	case StageAuth:
		return 6
	case StageEnvelope:
		return 7
	case StageData:
		return 8
	case StageAccepted:
		return 9
	}
	return -1
}

// Failed reports whether the exchange went wrong: a fault, or a reply of class
// 4 or 5. A step that was skipped did not fail.
func (e Exchange) Failed() bool {
	return e.Skipped == "" && (e.Fault != FaultNone || e.Reply.Class() >= 4)
}

// FirstFailure is the first failing exchange of the session: the cause; what
// follows are consequences. It reports false when nothing failed. RSET, NOOP,
// VRFY, EXPN, HELP and QUIT are courtesies and never fail a session, and an
// EHLO refusal that a later EHLO or HELO mended is passed over (RFC 5321
// §3.2).
func (s *Session) FirstFailure() (Exchange, bool) {
	if i := s.FirstFailureIndex(); i >= 0 {
		return s.Exchanges[i], true
	}
	return Exchange{}, false
}

// FirstFailureIndex is the index of FirstFailure in Exchanges, or -1.
func (s *Session) FirstFailureIndex() int {
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		if !e.Failed() {
			continue
		}
		switch Verb(e.Command) {
		case "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT":
			continue
		case "EHLO":
			if e.Fault == FaultNone && e.Reply.Class() == 5 && s.greetedAfter(i) {
				continue
			}
		}
		return i
	}
	return -1
}

// greetedAfter reports whether the next EHLO or HELO after exchange i went well.
func (s *Session) greetedAfter(i int) bool {
	for _, e := range s.Exchanges[i+1:] {
		switch Verb(e.Command) {
		case "EHLO", "HELO":
			return !e.Failed()
		}
	}
	return false
}

// Furthest is the furthest stage that was tried, StageNotAttempted when none
// was.
func (s *Session) Furthest() Stage {
	far := StageNotAttempted
	for i := range s.Exchanges {
		if e := &s.Exchanges[i]; e.Skipped == "" && e.Stage.Order() > far.Order() {
			far = e.Stage
		}
	}
	return far
}
