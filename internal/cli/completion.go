package cli

import (
	"bytes"
	"context"
	"slices"

	"github.com/spf13/cobra"
)

func (s *session) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	var cmd *cobra.Command
	cmd = s.command("completion bash|zsh|fish", "Print the completions for a shell", nil,
		func(_ context.Context, args []string) error { return s.completions(cmd.Root(), args[0]) })
	cmd.Long = "Print the completions for a shell. To have them in this shell:\n\n" +
		"  bash:  source <(azfilesauth completion bash)\n" +
		"  zsh:   source <(azfilesauth completion zsh)\n" +
		"  fish:  azfilesauth completion fish | source"
	cmd.ValidArgs, cmd.ValidArgsFunction = shells, nil
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := words("name of a shell")(cmd, args); err != nil {
			return err
		}
		if !slices.Contains(shells, args[0]) {
			return usage(cmd.CommandPath(), "there are completions for bash, zsh and fish")
		}
		return nil
	}
	return cmd
}

// completions prints a script of cobra's, which asks this program at each use.
func (s *session) completions(root *cobra.Command, shell string) error {
	var b bytes.Buffer
	generate := map[string]func() error{
		"bash": func() error { return root.GenBashCompletionV2(&b, true) },
		"zsh":  func() error { return root.GenZshCompletion(&b) },
		"fish": func() error { return root.GenFishCompletion(&b, true) },
	}[shell]
	if err := generate(); err != nil {
		return err
	}
	return s.print(b.Bytes())
}

// completeEndpoint proposes the hosts that are mounted, have a ticket or are in the configuration. What cannot be
// read is not proposed: nobody wants to see an error while typing.
func (s *session) completeEndpoint(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	cfg, err := s.load()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var hosts []string
	for name := range cfg.Resolver().Custom {
		if e, err := cfg.Resolver().Resolve(name); err == nil {
			hosts = append(hosts, e.Host())
		}
	}
	mounted, _ := s.mounted(cfg)
	for _, a := range mounted {
		hosts = append(hosts, a.Host())
	}
	if m, err := s.manager(cfg, nil); err == nil {
		listing, _ := m.List(cfg.CredentialUID())
		for _, t := range listing.Tickets {
			hosts = append(hosts, host(t))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), cobra.ShellCompDirectiveNoFileComp
}
