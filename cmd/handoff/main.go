// Command handoff finds out why mail does not get through an authenticated SMTP
// relay. Everything is in package cli.
package main

import (
	"context"
	"os"

	"github.com/smtp-handoff/handoff/cmd/handoff/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
