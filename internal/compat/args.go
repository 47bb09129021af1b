package compat

import (
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/nearest"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// The commands.
const (
	cmdSet   = "set"
	cmdClear = "clear"
	cmdList  = "list"
)

// invocation is a command line.
type invocation struct {
	command string
	uri     string
	token   secret.Value // the word that is an access token
	stdin   bool         // the token comes from there
	flags   flags
	values  map[string]string // of the switches that take one, by name

	help, version bool

	hidden []string // the words that may be secrets, as they came
}

// flags are the switches without a value that were given.
type flags struct{ system, workload, force, verbose, json, refresh bool }

// of finds the place of a switch.
func (f *flags) of(name string) *bool {
	return map[string]*bool{
		"--system":            &f.system,
		"--workload-identity": &f.workload,
		"--force":             &f.force,
		"--verbose":           &f.verbose,
		"-v":                  &f.verbose,
		"--json":              &f.json,
		"--refresh":           &f.refresh,
	}[name]
}

// valued are the switches that take a value.
var valued = [...]string{
	"--imds-client-id", "--imds-object-id", "--imds-resource-id",
	"--tenant-id", "--client-id", "--token-file", "--authority-host", "--resource", "--identity-endpoint",
}

// optional are those of which an empty value is none to AzFilesAuthenticator: the cloud's own is used.
var optional = [...]string{"--authority-host", "--resource"}

// parseArgs reads a command line without the program's name; switches and words may come in any
// order. It reads to the end even when something is wrong, because hidden must be complete: whatever
// is neither a command, a switch, a switch's value nor a URI may be a token, and no error repeats it.
func parseArgs(args []string) (invocation, error) {
	inv := invocation{values: map[string]string{}}
	var words []string
	var wrong error
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if len(arg) < 2 || arg[0] != '-' {
			words = append(words, arg)
			continue
		}
		rest, err := inv.readSwitch(arg, args)
		if wrong == nil {
			wrong = err
		}
		args = rest
	}
	err := inv.place(words)
	if wrong == nil {
		wrong = err
	}
	if wrong == nil {
		wrong = inv.check()
	}
	return inv, wrong
}

// readSwitch reads one switch, and the next argument when it needs a value.
func (inv *invocation) readSwitch(arg string, next []string) (rest []string, err error) {
	name, value, inside := strings.Cut(arg, "=")
	if flag := inv.flags.of(name); flag != nil && !inside {
		*flag = true
		return next, nil
	}
	if name == "--help" || name == "-h" {
		inv.help = true
		return next, nil
	}
	if name == "--version" {
		inv.version = true
		return next, nil
	}
	if !slices.Contains(valued[:], name) {
		inv.hidden = append(inv.hidden, arg)
		return next, usage("there is a switch that is not known" + legible.Name(": ", name) + didYouMean(name))
	}
	given := inside
	if !inside && len(next) > 0 && !strings.HasPrefix(next[0], "-") {
		value, next, given = next[0], next[1:], true
	}
	if value == "" && given && name == "--imds-client-id" { // a script's variable that is not set
		inv.flags.system = true
		return next, nil
	}
	if value == "" && given && slices.Contains(optional[:], name) { // the same
		return next, nil
	}
	if value == "" {
		return next, usage(name + " needs a value")
	}
	if inv.values[name] != "" {
		return next, usage(name + " is there twice")
	}
	inv.values[name] = value
	return next, nil
}

// didYouMean proposes the switch that was probably meant, "" for none.
func didYouMean(name string) string {
	known := append(valued[:len(valued):len(valued)], "--system", "--workload-identity", "--force", "--verbose", "--json", "--refresh", "--help", "--version")
	return nearest.Hint(nearest.Word(name, known))
}

// place takes the words that belong to no switch: the command, its URI and a token.
func (inv *invocation) place(words []string) error {
	if len(words) > 0 && slices.Contains([]string{cmdSet, cmdClear, cmdList}, words[0]) {
		inv.command, words = words[0], words[1:]
	}
	for n, word := range words {
		if n > 0 || !strings.Contains(word, "://") {
			inv.hidden = append(inv.hidden, word)
		}
	}
	if inv.command == "" {
		return usage("the first word must be set, clear or list")
	}
	most := map[string]int{cmdSet: 2, cmdClear: 1, cmdList: 0}[inv.command]
	if len(words) > most {
		return usage("there are too many words")
	}
	if len(words) == 0 && most > 0 {
		return usage("the endpoint's URI is missing")
	}
	if len(words) > 0 {
		inv.uri = strings.Clone(words[0]) // the word may be wiped
	}
	if len(words) > 1 {
		return inv.takeToken(words[1])
	}
	return nil
}

func (inv *invocation) takeToken(word string) error {
	switch word {
	case "":
		return usage("the access token is empty")
	case "-":
		inv.stdin = true
	default:
		inv.token = secret.FromString(word)
	}
	return nil
}

func usage(problem string) error {
	return fault.Usage.New(problem, program)
}
