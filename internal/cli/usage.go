package cli

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/nearest"
)

// usage is the fault of a wrong command line of a command, such as "azfilesauth set".
func usage(command, problem string) *fault.Fault {
	return fault.Usage.New(problem, command)
}

// flagError tells what is wrong with a flag, without its value.
func flagError(cmd *cobra.Command, err error) error {
	problem := "it holds a flag that cannot be read"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		problem = "there is no flag" + legible.Name(" ", addDashes(unknown.GetSpecifiedName()))
	} else if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		problem = addDashes(bare.GetSpecifiedName()) + " needs a value"
	} else if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		must := map[string]string{"duration": "a time with its unit, such as 5s", "bool": "true or false"}[wrong.GetFlag().Value.Type()]
		problem = "the value of --" + wrong.GetFlag().Name + " must be " + cmp.Or(must, "a number")
	}
	return usage(cmd.CommandPath(), problem)
}

func addDashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// unknownCommand is what cobra says without a type when the first word is no command.
func unknownCommand(root *cobra.Command, args []string) *fault.Fault {
	for _, word := range args {
		if strings.HasPrefix(word, "-") {
			continue
		}
		return usage(root.CommandPath(), noCommand(root, word))
	}
	return usage(root.CommandPath(), "there is no such command")
}

func noCommand(group *cobra.Command, word string) string {
	problem := "there is no command" + legible.Name(" ", word)
	if word == "umount" {
		return problem + "; shares are unmounted by umount <directory>"
	}
	if strings.HasPrefix(word, "mount") {
		return problem + "; shares are mounted by mount -t azfiles //<account>.file.core.windows.net/<share> <directory>, see mount.azfiles(8)"
	}
	if word == "login" {
		return problem + "; a mount logs in by itself as its identity=, and azfilesauth set <endpoint> gets a ticket"
	}
	group.SuggestionsMinimumDistance = 2
	meant := group.SuggestionsFor(word)
	if len(meant) == 0 {
		return problem
	}
	begun := max(0, slices.IndexFunc(meant, func(name string) bool { return strings.HasPrefix(name, word) }))
	return problem + nearest.Hint(meant[begun])
}

// wantsJSON reports whether --json is on a command line that could not be read to its end.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "--json", "--json=true":
			return true
		}
	}
	return false
}
