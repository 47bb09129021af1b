package cli

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// row is a command as its help shows it. Its texts and functions are data that the linker lays out: a
// face that has no commands pays nothing for them.
type row struct {
	use, short, long, example string

	rootOnly bool
	hidden   bool                                   // it is for packages, not for people
	words    []string                               // what its arguments are called; all but [those] are needed, and of those... can be more
	wrong    func(s *session, args []string) string // what else is wrong with the command line, "" is nothing
	flags    func(f *pflag.FlagSet, s *session)     // declares its flags, which go to s.options
	propose  func(s *session) completer             // for its arguments; nil proposes nothing
	do       func(s *session, c *cobra.Command, args []string) error
	below    []row // its own commands; without do, it shows its help
}

// options are what the flags say. A command has those of its row.
type options struct {
	choice                config.Choice
	cruid, file, root     string
	level                 string
	stdin, force, verbose bool
	all, live, tokens     bool
	keepCache             bool
	offline, fix          bool
	dryRun, undo          bool
	krb5, stockHandler    bool
	node, stay            bool
	layers                string
}

// commands are all commands in the order of the help.
var commands = []row{
	{
		use: "set ENDPOINT [flags]", short: "Get a new ticket for an endpoint", words: []string{"endpoint"}, rootOnly: true,
		long: "Get a new ticket for an endpoint, whatever the credential cache holds. ENDPOINT is the host of a\n" +
			"storage account, its https URL, a share or a mount point. Without flags, the\n" +
			"configuration says who logs in.",
		example: "  azfilesauth set acct.file.core.windows.net --identity system\n" +
			"  azfilesauth set acct.file.core.windows.net --client-id 00000000-0000-0000-0000-000000000000\n" +
			"  az account get-access-token --resource https://storage.azure.com --query accessToken -o tsv |\n" +
			"    azfilesauth set acct.file.core.windows.net --token-stdin",
		wrong: func(_ *session, args []string) string { // of those who come from azfilesauthmanager
			if len(args) == 2 {
				return "there are too many arguments; give an access token on standard input with --token-stdin, where no other user sees it"
			}
			return ""
		},
		flags: setFlags, propose: (*session).placeFirst, do: (*session).set,
	},
	{
		use: "list [flags]", short: "Show the tickets of a credential cache",
		long: "Show the tickets of a credential cache. Other names under which the same ticket is stored are not\n" +
			"shown; --json has them as aliases. The identity of a ticket is not known when another program\n" +
			"stored it, and not certain when others than root can write the cache.",
		flags: cruidFlag, do: (*session).list,
	},
	{
		use: "clear ENDPOINT | --all | --tokens", short: "Delete tickets", words: []string{"[endpoint]"}, rootOnly: true,
		long: "Erase the ticket of an endpoint, or all tickets of a credential cache. A mount that is live keeps\n" +
			"its connection, and needs a new ticket at the next login. With --tokens, forget the access tokens that are\n" +
			"kept, of all identities, so that the next ticket is asked for with a new one; tickets stay.",
		wrong: func(s *session, args []string) string {
			if s.tokens && (s.all || s.cruid != "" || len(args) > 0) {
				return "--tokens excludes an endpoint, --all and --cruid"
			}
			if s.tokens {
				return ""
			}
			if s.all && len(args) > 0 {
				return "--all and an endpoint exclude each other"
			}
			return requireArgument(s.all, args, "endpoint (or --all, or --tokens)")
		},
		flags: func(f *pflag.FlagSet, s *session) {
			f.BoolVar(&s.all, "all", false, "erase all tickets")
			f.BoolVar(&s.tokens, "tokens", false, "forget the access tokens that are kept")
			cruidFlag(f, s)
		},
		propose: (*session).placeFirst, do: (*session).clear,
	},
	{
		use: "status [flags]", short: "Show mounted shares and their tickets",
		long: "Show the endpoints whose shares are mounted: who logs in there, how long the ticket lasts, when it\n" +
			"will be replaced and what came of the last attempt. The daemon reports this; without it, what the credential\n" +
			"caches and the mount table hold is shown.\n\n" +
			"With --watch, a terminal shows it again each second, and elsewhere there is a line for each change,\n" +
			"until SIGINT.\n\n" +
			"With --check, it asks the daemon alone, for 2 seconds at most, and gives the result as exit status.",
		wrong: wrongCheck,
		flags: func(f *pflag.FlagSet, s *session) {
			f.BoolVarP(&s.live, "watch", "w", false, "repeat until interrupted")
			checkFlag(f, s)
			socketFlag(f, s)
		},
		do: (*session).status,
	},
	{
		use: "refresh [ENDPOINT] [flags]", short: "Get new tickets for mounted shares now", words: []string{"[endpoint]"}, rootOnly: true,
		long: "Get new tickets now, for all endpoints whose shares are mounted or for one. The daemon does it, or\n" +
			"this command itself when it is not running. Each ticket is fetched with the identity of the one that\n" +
			"it replaces; to choose another one, see set.",
		flags: func(f *pflag.FlagSet, s *session) {
			timeoutFlag(f, refreshTimeout)
			socketFlag(f, s)
			f.BoolVarP(&s.verbose, "verbose", "v", false, "show each step")
		},
		propose: (*session).placeFirst, do: (*session).refresh,
	},
	{
		use: "doctor [ENDPOINT|MOUNTPOINT] [flags]", short: "Find out why a share cannot be mounted, and how to fix it",
		words: []string{"[endpoint]"},
		long: "Find out why a share cannot be mounted, and how to fix it: for one endpoint, given by its host, a URL,\n" +
			"a share or a mount point, or for every one that is mounted, in fstab or in the configuration.\n" +
			"Nothing is changed, unless --fix is given.\n\n" +
			"The exit status is 0 when all is well, 1 when mounts work but something should be fixed, and 2 when a\n" +
			"mount would fail now. The last line names the first broken link of the chain and its fix.",
		wrong: func(_ *session, args []string) string {
			if len(args) > 1 {
				return "there is more than one ENDPOINT or MOUNTPOINT"
			}
			return ""
		},
		flags: func(f *pflag.FlagSet, s *session) {
			f.StringVar(&s.root, "root", "", "look at the machine whose files are in this `DIR`, such as an image; ask nothing else")
			offlineFlag(f, s)
			f.BoolVar(&s.fix, "fix", false, "fix what setup can fix, as root, and check again; setup --undo reverts it")
		},
		propose: (*session).placeFirst, do: (*session).doctor,
		below: []row{{use: "config", short: "Look at the files of this machine alone", below: []row{{
			use: "check [flags]", short: "Look at the files alone: configuration, krb5.conf, request-key",
			flags: func(f *pflag.FlagSet, s *session) {
				f.StringVar(&s.root, "root", "", "look at the machine whose files are in this `DIR`")
			},
			do: (*session).doctorOffline,
		}}}},
	},
	{
		use: "config", short: "Check or show the configuration",
		below: []row{
			{
				use: "check [flags]", short: "Look for mistakes in the configuration",
				long: "Look for mistakes in the configuration and show all of them. An unknown key is an error here; other\n" +
					"commands only warn of it.",
				wrong: func(_ *session, args []string) string {
					if len(args) == 1 {
						return "there are too many arguments; did you mean --file " + args[0] + "?"
					}
					return ""
				},
				flags: func(f *pflag.FlagSet, s *session) {
					f.StringVar(&s.file, "file", "", "check this `FILE`, or - for standard input, instead of "+s.Config+", whoever owns it")
				},
				do: (*session).check,
			},
			{
				use: "show [flags]", short: "Show the values in effect and where each comes from",
				long: "Show the values in effect and where each comes from. What can be a secret, such as a value under\n" +
					"ENVIRONMENT: or the login in proxy:, is REDACTED.",
				do: (*session).show,
			},
		},
	},
	{use: "version [flags]", short: "Show the version", do: (*session).showVersion},
	{
		use: "completion bash|zsh|fish", short: "Print the completion script of a shell", words: []string{"name of a shell"},
		long: "Print the completions for a shell. To have them in this shell:\n\n" +
			"  bash:  source <(azfilesauth completion bash)\n" +
			"  zsh:   source <(azfilesauth completion zsh)\n" +
			"  fish:  azfilesauth completion fish | source",
		wrong: func(_ *session, args []string) string {
			if len(args) == 1 && !slices.Contains(shells, args[0]) {
				return "there are completions for bash, zsh and fish"
			}
			return ""
		},
		propose: (*session).shellFirst, do: (*session).completions,
		below: []row{{
			use: "words -- WORD...", short: "Print the words that can follow on a command line", words: []string{"word..."}, hidden: true,
			long: "Print the words that can follow WORD... on a command line of azfilesauth, for the completion scripts: the\n" +
				"last WORD is the one being typed, and can be empty.",
			do: (*session).completionWords,
		}},
	},
	{
		use: "watch [flags]", short: "Keep the tickets of mounted shares fresh", rootOnly: true,
		long: "Keep the tickets of mounted shares fresh, in the foreground, until SIGTERM. SIGHUP reads the\n" +
			"configuration again. As a service it is azfilesrefresh: " + control.StartUnit,
		flags: watchFlags, wrong: relativePath, do: (*session).watchMounts,
	},
	{
		use: "setup [flags]", short: "Prepare this machine for mounts, or revert that", rootOnly: true,
		long: "Prepare this machine for mounts: directories, configuration, the rule for the kernel's requests, the\n" +
			"program's names, the system user where the configuration needs one, and the service. What is already\n" +
			"correct is not changed. Every change is shown before any is made, and --undo reverts all of them: bytes,\n" +
			"owner and mode. No file of another package is changed, except those that a flag asks for:\n\n" +
			"--edit-krb5-conf gives /etc/krb5.conf a default_realm if it has none. azfiles.upcall does not need it.\n" +
			"Where a stock cifs.upcall answers, it makes every failed login wait for a search for that realm's\n" +
			"servers, unless dns_lookup_kdc is false.\n\n" +
			"--stock-handler tells a stock cifs.upcall the realm of Azure Files, in /etc/krb5.conf.d/azfilesauth.conf.\n" +
			"It is needed where domain_realm maps core.windows.net to another realm.\n\n" +
			"--node is for a pod that sees the files of its node in --root: it gives the node this very program, its\n" +
			"names, the rule, and the layers of the configuration in --layers. It replaces only what it gave in an\n" +
			"older version; --node --undo reverts that.",
		wrong: func(s *session, _ []string) string {
			if s.node && (s.root == "" || s.dryRun || s.krb5 || s.stockHandler || s.undo && s.layers != "" || s.stay && !s.undo) {
				return "--node takes --root, and either --layers or --undo"
			}
			if !s.node && (s.layers != "" || s.stay) {
				return "--layers and --stay are for --node"
			}
			if s.undo && (s.dryRun || s.krb5 || s.stockHandler) {
				return "--undo takes no other flag than --root"
			}
			return ""
		},
		flags: func(f *pflag.FlagSet, s *session) {
			f.BoolVar(&s.dryRun, "dry-run", false, "show the changes and make none")
			f.BoolVar(&s.undo, "undo", false, "revert what setup and doctor --fix did")
			f.BoolVar(&s.krb5, "edit-krb5-conf", false, "also set default_realm in /etc/krb5.conf and keep a copy")
			f.BoolVar(&s.stockHandler, "stock-handler", false, "also tell a stock cifs.upcall the realm of Azure Files")
			f.StringVar(&s.root, "root", "", "prepare the machine whose files are in this `DIR`, such as an image; start nothing")
			f.BoolVar(&s.node, "node", false, "in a pod: give the node in --root this program, its names and the rule")
			f.StringVar(&s.layers, "layers", "", "with --node, the directory `DIR` of layers for the node's config.d")
			f.BoolVar(&s.stay, "stay", false, "with --node --undo, wait for a signal afterwards: a pod may not end")
		},
		do: (*session).setup,
	},
	{
		use: "bundle [flags]", short: "Collect a support bundle (no secrets)", rootOnly: true,
		long: "Collect a support bundle, a tar.gz with mode 0600: what the doctor finds,\n" +
			"versions, configuration, mounts, rules, krb5.conf, the service, logs, and what tickets there are.\n" +
			"Tokens, keys, tickets and passwords are left out; names of accounts, hosts and identities are not.",
		flags: func(f *pflag.FlagSet, s *session) {
			f.StringVarP(&s.file, "output", "o", "", "write to `FILE`, - is stdout (default azfilesauth-bundle-TIME.tar.gz)")
			f.StringVar(&s.root, "root", "", "look at the machine whose files are in this `DIR`; ask nothing else")
			offlineFlag(f, s)
		},
		do: (*session).bundle,
	},
	{
		use: "explain ID | options | --list", short: "Explain a failure or a check of the doctor", words: []string{"[id]"},
		long: "Explain a failure, such as AZF-ROLE-MISSING, or a check of the doctor, such as request-key-rule:\n" +
			"its meaning and how to fix it. Words in <> stand for what the failure itself names.\n" +
			"The word options explains the default mount options on this machine.",
		wrong: func(s *session, args []string) string {
			if s.all && len(args) > 0 {
				return "there are too many arguments"
			}
			return requireArgument(s.all, args, "id (or --list)")
		},
		flags: func(f *pflag.FlagSet, s *session) {
			f.BoolVar(&s.all, "list", false, "list all of them, in one line each")
		},
		propose: func(*session) completer { return completeExplained }, do: (*session).explain,
	},
	{
		use: "upgraded", short: "Keep the mounts of Azure/AzFilesAuthenticator at work", rootOnly: true, hidden: true,
		flags: func(f *pflag.FlagSet, s *session) {
			f.BoolVar(&s.keepCache, "keep-cache", false, "its tickets stay where they are")
		},
		do: (*session).upgraded,
	},
}

// requireArgument tells that an argument is missing which a flag could stand for.
func requireArgument(flag bool, args []string, name string) string {
	if !flag && len(args) == 0 {
		return "the " + name + " is missing"
	}
	return ""
}

func setFlags(f *pflag.FlagSet, s *session) {
	f.SortFlags = false
	f.StringVar(&s.choice.Name, "identity", "", "a `NAME` under identities: in the configuration, or a kind: system,\nuser-assigned, workload, service-principal, cli, arc, token")
	f.StringVar(&s.choice.ClientID, "client-id", "", "the client `ID` of a managed identity or an application")
	f.StringVar(&s.choice.ObjectID, "object-id", "", "the object `ID` of a managed identity")
	f.StringVar(&s.choice.ResourceID, "resource-id", "", "the resource `ID` of a managed identity")
	f.StringVar(&s.choice.TenantID, "tenant-id", "", "the `ID` of the tenant of an application")
	f.StringVar(&s.choice.TokenFile, "token-file", "", "a `FILE` with an access token, or with --tenant-id a federated one")
	f.BoolVar(&s.stdin, "token-stdin", false, "read an access token from stdin")
	f.StringVar(&s.choice.SecretFile, "secret-file", "", "a `FILE` with the secret of an application")
	f.StringVar(&s.choice.CertificateFile, "certificate-file", "", "a `FILE` with the certificate and key of an application")
	f.StringVar(&s.choice.User, "user", "", "the `USER` of this machine who is logged in to the Azure CLI")
	f.StringVar(&s.choice.Authority, "authority-host", "", "the `URL` where Entra issues tokens")
	f.StringVar(&s.choice.Resource, "resource", "", "the `URL` that tokens are for")
	cruidFlag(f, s)
	f.BoolVar(&s.force, "force", false, "replace another identity even while its mount is live")
	timeoutFlag(f, defaultTimeout)
	f.BoolVarP(&s.verbose, "verbose", "v", false, "show each step")
}

func cruidFlag(f *pflag.FlagSet, s *session) {
	f.StringVar(&s.cruid, "cruid", "", "the `UID` whose credential cache it is (default USER_UID)")
}

func socketFlag(f *pflag.FlagSet, s *session) {
	f.StringVar(&s.Socket, "socket", s.Socket, "where the daemon listens: a `PATH`")
}

func offlineFlag(f *pflag.FlagSet, s *session) {
	f.BoolVar(&s.offline, "offline", false, "look at files alone: run no program, ask neither the network nor the kernel")
}

// timeoutFlag is read by bounded: its default differs from command to command.
func timeoutFlag(f *pflag.FlagSet, usual time.Duration) {
	f.Duration("timeout", usual, "bound on all of it, a `TIME` such as 90s")
}

func (s *session) tree() *cobra.Command {
	root := &cobra.Command{
		Use: program, Short: "Kerberos tickets for Azure Files with an Entra identity", Version: s.Version,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(s.Stdin)
	root.SetOut(s.Stdout)
	root.SetErr(s.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(s.command(help))
	root.SetHelpFunc(s.showHelp(root.HelpFunc()))
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().BoolVar(&s.json, "json", false, "print one JSON object, for programs")
	for _, r := range commands {
		if !strings.HasPrefix(r.use, "watch ") || s.Watch != nil {
			root.AddCommand(s.command(r))
		}
	}
	return root
}

// command describes a row to cobra. What do returns becomes a fault.
func (s *session) command(r row) *cobra.Command {
	c := &cobra.Command{
		Use: r.use, Short: r.short, Long: r.long, Example: r.example, Hidden: r.hidden,
		DisableFlagsInUseLine: r.do != nil, ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(c *cobra.Command, args []string) error { return s.arguments(c, r, args) },
		RunE: func(c *cobra.Command, args []string) error { return s.perform(c, r, args) },
	}
	if r.propose != nil {
		c.ValidArgsFunction = r.propose(s)
	}
	if r.flags != nil {
		r.flags(c.Flags(), s)
		s.completeFlags(c)
	}
	for _, b := range r.below {
		c.AddCommand(s.command(b))
	}
	return c
}

// arguments tells what is wrong with the command line of a command.
func (s *session) arguments(c *cobra.Command, r row, args []string) error {
	problem := ""
	if r.wrong != nil {
		problem = r.wrong(s, args)
	}
	if problem == "" && r.do == nil && len(args) > 0 {
		problem = noCommand(c, args[0])
	}
	if problem == "" {
		problem = emptyValue(c, r, args)
	}
	if problem == "" && len(args) < len(r.words) && !strings.HasPrefix(r.words[len(args)], "[") {
		problem = "the " + r.words[len(args)] + " is missing"
	}
	if problem == "" && len(args) > len(r.words) && (len(r.words) == 0 || !strings.HasSuffix(r.words[len(r.words)-1], "...")) {
		problem = "there are too many arguments"
	}
	if problem != "" {
		return usage(c.CommandPath(), problem)
	}
	return nil
}

// emptyValue tells of a value or an argument that is empty, as of a script whose variable is not set: setup --root "" is not
// meant for this machine, nor set --client-id "" for another identity.
func emptyValue(c *cobra.Command, r row, args []string) (problem string) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			problem = "--" + f.Name + " needs a value"
		}
	})
	for i, word := range r.words {
		if i < len(args) && args[i] == "" && !strings.HasSuffix(word, "...") {
			return "the " + strings.Trim(word, "[]") + " is empty"
		}
	}
	return problem
}

// bounded is the context of a command that has timeoutFlag.
func bounded(c *cobra.Command) (context.Context, context.CancelFunc, error) {
	timeout, _ := c.Flags().GetDuration("timeout")
	if timeout <= 0 || timeout > maxTimeout {
		return nil, nil, usage(c.CommandPath(), "--timeout must be more than 0 and at most 1h, such as 30s")
	}
	ctx, cancel := fault.WithTimeout(c.Context(), timeout, fault.BoundFlag)
	return ctx, cancel, nil
}

func (s *session) perform(c *cobra.Command, r row, args []string) error {
	if r.do == nil {
		return c.Help()
	}
	if r.rootOnly && s.EUID != 0 {
		return fault.NotRoot.New(c.CommandPath())
	}
	s.path = c.CommandPath()
	err := r.do(s, c, args)
	if s.EUID != 0 && errors.Is(err, fs.ErrPermission) {
		return fault.NotRoot.New(c.CommandPath())
	}
	if err != nil {
		return fault.From(err)
	}
	return nil
}
