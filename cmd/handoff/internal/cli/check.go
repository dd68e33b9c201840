package cli

// unknown is the state UNKNOWN of a monitoring plugin.
const unknown = 3

// concludeCheck ends 'handoff check', which has exit codes of its own.
func (p *program) concludeCheck(err error) int {
	return conclude(err, p.started, "handoff check", p.stderr)
}
