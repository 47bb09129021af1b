package cli

import (
	"bytes"
	"cmp"
	"io"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// help is "azfilesauth help COMMAND". Cobra's own ends well for a command that is not there.
var help = row{
	use: "help [COMMAND]", short: "Show the help of a command", words: []string{"[command]", "[command]", "[command]"},
	propose: func(*session) completer { return completeCommand },
	do: func(_ *session, c *cobra.Command, args []string) error {
		about, rest, err := c.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return usage(c.Root().CommandPath(), noCommand(about, cmp.Or(append(rest, args...)...)))
		}
		about.InitDefaultHelpFlag()
		return about.Help()
	},
}

// shownHelp is the result of help, and of a command line that asks for help.
type shownHelp struct {
	Help string `json:"help"` // lines of text
}

// optionalValue is how pflag shows a flag whose value can be left out, with the value that it has then.
const optionalValue = ` ([A-Z]+)\[="[^"]*"\]`

// showHelp makes cobra's help a result, in which a flag whose value can be left out stands as the manual has it.
func (s *session) showHelp(show func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(c *cobra.Command, args []string) {
		var b bytes.Buffer
		root := c.Root()
		root.SetOut(&b)
		show(c, args)
		root.SetOut(s.Stdout)
		text := regexp.MustCompile(optionalValue).ReplaceAllString(b.String(), "[=$1]    ") // as wide
		s.path = program + " help"
		if err := s.result(shownHelp{text}, func(w io.Writer) { _, _ = io.WriteString(w, text) }); err != nil {
			f := fault.From(err)
			s.exit = int(f.Exit())
			s.fail(f, s.exit)
		}
	}
}
