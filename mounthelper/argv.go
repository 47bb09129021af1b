package mounthelper

import (
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// invocation is a command line as mount(8) gives it to a helper.
type invocation struct {
	spec, dir string
	options   string // what followed every -o, in order, joined with commas

	fake, noMtab, sloppy, verbose bool
	help, version                 bool
}

// parseArgs reads SPEC DIR [-sfnv] [-o options] [-t type.subtype] [-N namespace], see "EXTERNAL
// HELPERS" in mount(8). mount(8) puts SPEC and DIR first, people put them last: any order will do.
// What follows -t and -N says nothing that a helper for one type in one namespace could use.
func parseArgs(args []string) (invocation, error) {
	var inv invocation
	var words, options []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			words = append(words, args...)
			break
		}
		if arg == "--help" {
			inv.help = true
		} else if arg == "--version" {
			inv.version = true
		} else if strings.HasPrefix(arg, "--") {
			return inv, usage("there is no switch " + arg)
		} else if len(arg) > 1 && arg[0] == '-' {
			rest, err := inv.switches(arg[1:], args, &options)
			if err != nil {
				return inv, err
			}
			args = rest
		} else {
			words = append(words, arg)
		}
	}
	inv.options = strings.Join(options, ",")
	return inv, inv.place(words)
}

// switches reads the letters of one argument, and the next argument when a letter needs a value.
func (inv *invocation) switches(letters string, next []string, options *[]string) (rest []string, err error) {
	for i, c := range letters {
		switch c {
		case 'f':
			inv.fake = true
		case 'n':
			inv.noMtab = true
		case 's':
			inv.sloppy = true
		case 'v':
			inv.verbose = true
		case 'h':
			inv.help = true
		case 'V':
			inv.version = true
		case 'o', 't', 'N':
			value := letters[i+1:]
			if value == "" {
				if len(next) == 0 {
					return nil, usage("-" + string(c) + " needs a value")
				}
				value, next = next[0], next[1:]
			}
			if c == 'o' {
				*options = append(*options, value)
			}
			return next, nil
		default:
			return nil, usage("there is no switch -" + string(c))
		}
	}
	return next, nil
}

// place takes the words that belong to no switch.
func (inv *invocation) place(words []string) error {
	if inv.help || inv.version {
		return nil
	}
	if len(words) < 2 {
		return usage("the source or the mount point is missing")
	}
	if len(words) > 2 {
		return usage("there are too many arguments: " + words[2])
	}
	if inv.spec, inv.dir = words[0], words[1]; inv.dir == "" { // of a script, which would get its working directory covered
		return usage("the mount point is empty")
	}
	return nil
}

func usage(problem string) error {
	return fault.Usage.New(problem, program)
}
