// Package e2e runs the built program against real mail servers, clients and
// terminals: Postfix, Exim and OpenSMTPD as relays and as senders, swaks, curl
// and msmtp as clients, tmux as the terminal.
//
// It holds tests only. They need programs that a fresh machine does not have,
// so they skip unless HANDOFF_E2E is set; .ci/run sets it and installs what is
// missing. Everything listens on 127.0.0.0/8 or in network namespaces of the
// run's own, keeps its files in the test's temporary folder and is ended by its
// own pid.
package e2e
