package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "print the completion script of bash, zsh, fish or powershell",
		ValidArgs: shells,
		Example: `  handoff completion bash > /etc/bash_completion.d/handoff
  handoff completion zsh > "${fpath[1]}/_handoff"
  handoff completion fish > ~/.config/fish/completions/handoff.fish`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usage("completion needs the name of one shell", "it is one of "+strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: p.command(func(cmd *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			switch root := cmd.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			}
			if err != nil {
				return fmt.Errorf("making the completion script: %w", err)
			}
			if _, err := p.stdout.Write(b.Bytes()); err != nil {
				return cannotWrite(err)
			}
			return nil
		}),
	}
}
