package cli

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// shells are those that there are completions for.
var shells = []string{"bash", "zsh", "fish"}

func (s *session) shellFirst() completer {
	return cobra.FixedCompletions(shells, cobra.ShellCompDirectiveDefault)
}

const (
	// hiddenWords is the command by which cobra's scripts ask a program for words.
	hiddenWords = "__complete"

	// publicWords is ours, which the scripts call in its place and the manual describes.
	publicWords = "completion words --"
)

// bashAlone has a bash without the package bash-completion do what the script of cobra calls it for.
const bashAlone = `
if ! declare -F _get_comp_words_by_ref _init_completion >/dev/null; then
  _get_comp_words_by_ref() {
    local line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    case $line in *[[:blank:]]) words+=('') ;; esac
    cword=$((${#words[@]} - 1)) cur=${words[-1]} prev=${words[-2]-}
  }
fi
if ! declare -F _filedir >/dev/null; then
  _filedir() { COMPREPLY=($(compgen "${1:--f}" -- "$cur")); }
fi
`

// completions prints a script of cobra's, which asks this program at each use.
func (s *session) completions(c *cobra.Command, args []string) error {
	var b bytes.Buffer
	generate := map[string]func() error{
		"bash": func() error { b.WriteString(bashAlone); return c.Root().GenBashCompletionV2(&b, true) },
		"zsh":  func() error { return c.Root().GenZshCompletion(&b) },
		"fish": func() error { return c.Root().GenFishCompletion(&b, true) },
	}[args[0]]
	if err := generate(); err != nil {
		return err
	}
	script := strings.ReplaceAll(b.String(), " "+hiddenWords+" ", " "+publicWords+" ")
	script = addManager(script, args[0])
	return s.result(completionScript{script}, func(w io.Writer) { _, _ = io.WriteString(w, script) })
}

// completionScript is the result of completion.
type completionScript struct {
	Script string `json:"script"`
}

// completionWords prints the words that can follow on a command line, as cobra gives them to its scripts: each with a
// tab and what it means, then a colon and the sum of the directives (cobra's ShellCompDirective). Back-quotes are the
// marks of a flag's value, and no text.
func (s *session) completionWords(c *cobra.Command, args []string) error {
	var b bytes.Buffer
	root := c.Root()
	root.SetOut(&b)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{hiddenWords}, args...))
	if err := root.Execute(); err != nil {
		return err
	}
	return s.print(bytes.ReplaceAll(b.Bytes(), []byte("`"), nil))
}

// completer proposes words for an argument or for the value of a flag. What cannot be read is not
// proposed: nobody wants to see an error while typing.
type completer = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// placeFirst proposes endpoints and mount points, for the first argument.
func (s *session) placeFirst() completer {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return s.fromConfig(s.endpointsAndMountpoints)
	}
}

func (s *session) fromConfig(list func(*config.Config) []string) ([]string, cobra.ShellCompDirective) {
	cfg, err := s.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	words := list(cfg)
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}

// endpoints are the hosts that are mounted, have a ticket or are in the configuration.
func (s *session) endpoints(cfg *config.Config) []string {
	var hosts []string
	names := slices.Collect(maps.Keys(cfg.Resolver.Custom))
	if m, err := s.manager(cfg, nil); err == nil {
		listing, _ := m.List(cfg.CredentialUID)
		for _, t := range listing.Tickets { // whose names are the word of who owns the cache
			names = append(names, t.Host())
		}
	}
	for _, name := range names {
		if e, err := cfg.Resolver.Resolve(name); err == nil {
			hosts = append(hosts, e.Host())
		}
	}
	mounted, _ := s.mounted(cfg)
	for _, a := range mounted {
		hosts = append(hosts, a.Host())
	}
	return hosts
}

// endpointsAndMountpoints adds where shares are mounted, and where fstab wants them.
func (s *session) endpointsAndMountpoints(cfg *config.Config) []string {
	words := s.endpoints(cfg)
	mounted, _ := s.mounted(cfg)
	for _, a := range mounted {
		for _, m := range a.mounts {
			words = append(words, m.Target)
		}
	}
	lines, _ := mounts.Fstab(s.Host)
	for _, l := range lines {
		if e, err := mounts.Named(l.Spec, cfg.Resolver); err == nil {
			words = append(words, e.Host(), l.Target)
		}
	}
	return words
}

// completeIdentity proposes the kinds of identities, and the names that the configuration gives.
func (s *session) completeIdentity(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return s.fromConfig((*config.Config).IdentityNames)
}

// completeCommand proposes the commands, and the commands of a command.
func completeCommand(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	group, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, c := range group.Commands() {
		if !c.Hidden {
			words = append(words, c.Name()+"\t"+c.Short)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeExplained proposes what can be explained, with a few words on each.
func completeExplained(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	if len(args) == 0 {
		words = append(words, optionsWord+"\tthe mount options that are used by default here, and why")
		for _, e := range explanations() {
			words = append(words, e.ID+"\t"+e.What)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeFlags says what the values of flags are: a shell proposes files for those that are not named here.
func (s *session) completeFlags(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		var take completer
		switch kind, _ := pflag.UnquoteUsage(f); kind {
		case "FILE", "PATH", "": // the last takes no value
			return
		case "DIR":
			take = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
		case "NAME":
			take = s.completeIdentity
		default:
			take = cobra.NoFileCompletions
		}
		_ = c.RegisterFlagCompletionFunc(f.Name, take) // fails for a flag that is not there
	})
}
