package requestkey

import "strings"

// Macros are what a rule's arguments can stand for.
type Macros struct {
	Request
	Key      string // the serial, in decimal
	UID, GID string // of who asked
}

// Argv is the command with its macros expanded, as request-key gives it to execv(2): Command[0] is
// the program, Argv[0] its last component. Pipe tells that the program is to read the callout
// information and to print the payload ("|program"). The keyrings of who asked (%T, %P and %S) are known
// to request-key alone: they are 0, which keyctl(1) takes for no keyring, so that a rule such as
// "keyctl negate %k 30 %S" answers the key and only links it nowhere. The contents of other keys
// (%{type:description}) are an *Error like macros that it does not know.
func (r Rule) Argv(m Macros) (program string, argv []string, pipe bool, err error) {
	program, pipe = strings.CutPrefix(r.Command[0], "|")
	slash := strings.LastIndexByte(program, '/')
	if slash < 0 {
		return "", nil, false, r.problem("the program is not a path")
	}
	if len(r.Command) > maxArgs {
		return "", nil, false, r.problem("it has too many arguments")
	}
	argv = []string{program[slash+1:]}
	for _, arg := range r.Command[1:] {
		text, problem := m.expand(arg)
		if problem != "" {
			return "", nil, false, r.problem(problem)
		}
		argv = append(argv, text)
	}
	return program, argv, pipe, nil
}

func (r Rule) problem(text string) error { return &Error{r.Path, r.Line, text} }

// expand replaces an argument that is a macro as a whole: % and one letter.
func (m Macros) expand(arg string) (text, problem string) {
	if arg[0] != '%' {
		return arg, ""
	}
	if arg == "%" {
		return "", "a macro has no name"
	}
	if arg[1] == '%' {
		return arg[1:], ""
	}
	if arg[1] == '{' {
		return "", arg + " is the content of another key"
	}
	if len(arg) > 2 {
		return arg, ""
	}
	values := map[byte]string{
		'o': m.Op, 'k': m.Key, 't': m.Type, 'd': m.Description, 'c': m.Callout, 'u': m.UID, 'g': m.GID,
		'T': "0", 'P': "0", 'S': "0",
	}
	text, known := values[arg[1]]
	if !known {
		return "", "the macro " + arg + " is not known here"
	}
	return text, ""
}
