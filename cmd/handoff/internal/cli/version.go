package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what the build says about itself; "(devel)" when it says nothing.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version and what it was built with",
		Args:  noArguments,
		RunE: p.command(func(*cobra.Command, []string) error {
			fmt.Fprintf(p.stdout, "handoff %s\n%s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		}),
	}
}

// noArguments refuses positional arguments without repeating them.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Sprintf("'%s' takes no arguments, but there are %d", cmd.CommandPath(), len(args)))
	}
	return nil
}
