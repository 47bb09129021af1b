// Command gen writes what the manual says of failures and of the doctor's checks: the page
// azfilesauth-faults(7) and the table between the markers of README.md. Both come from the table in
// package fault and from the checks in package doctor, so that they cannot differ from what the
// programs say. Run it as "go generate ./internal/fault/gen" after a change there.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

//go:generate go run . ../../..

// Where the texts are in the repository, and what marks the table in README.md.
const (
	manual = "packaging/man/azfilesauth-faults.7"
	readme = "README.md"
	begin  = "<!-- faults begin -->\n"
	end    = "<!-- faults end -->\n"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gen REPOSITORY")
	}
	page := filepath.Join(args[0], manual)
	if err := os.WriteFile(page, []byte(manualPage()), 0o644); err != nil {
		return err
	}
	name := filepath.Join(args[0], readme)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if text, err = withTable(text); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// withTable puts the table between the markers of README.md.
func withTable(text []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return nil, fmt.Errorf("%s lacks the lines %q and %q", readme, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return bytes.Join([][]byte{before, []byte(begin), []byte(readmeTable()), []byte(end), after}, nil), nil
}

// readmeTable is what README.md says: of faults what happened and how to mend it, of checks what they
// prove.
func readmeTable() string {
	var b strings.Builder
	b.WriteString("| failure | what happened | fix |\n| --- | --- | --- |\n")
	for _, k := range fault.Table() {
		f := fault.New(k.ID, nil)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.ID, cell(f.What()), cell(f.Fix()))
	}
	b.WriteString("\n| check of `azfilesauth doctor` | holds when all is well |\n| --- | --- |\n")
	for _, c := range doctor.All() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.ID, cell(c.Proves))
	}
	return b.String()
}

// cell makes a text fit for a cell of a Markdown table: nothing in it may be taken for markup.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "`", "\\`").Replace(text)
}

// manualPage is azfilesauth-faults(7) in mdoc(7).
func manualPage() string {
	var b strings.Builder
	b.WriteString(`.\" Made by "go generate ./internal/fault/gen"; edit the tables there instead.
.Dd November 23, 2026
.Dt AZFILESAUTH-FAULTS 7
.Os azfilesauth
.Sh NAME
.Nm azfilesauth-faults
.Nd what can go wrong with an Azure Files mount, and how to mend it
.Sh DESCRIPTION
Every failure of
.Xr mount.azfiles 8 ,
.Xr azfiles.upcall 8 ,
.Xr azfilesauth 8
and the service has one of these names, in what is printed, in the logs and in JSON.
A name keeps its meaning.
.Dq azfilesauth explain NAME
tells the same as this page.
Words in <> stand for what the failure itself names.
.Sh FAILURES
.Bl -tag -width Ds
`)
	for _, k := range fault.Table() {
		f := fault.New(k.ID, nil)
		again := "Trying again does not help."
		if k.Retryable {
			again = "Trying again may help."
		}
		fmt.Fprintf(&b, ".It Sy %s\n%s.\nFix: %s.\nExit status %d.\n%s\n", k.ID, roff(f.What()), roff(f.Fix()), k.Exit, again)
	}
	b.WriteString(`.El
.Sh CHECKS
What
.Dq azfilesauth doctor
looks at, in the order of the chain.
.Bl -tag -width Ds
`)
	for _, c := range doctor.All() {
		fmt.Fprintf(&b, ".It Sy %s\n%s\n%s\n", c.ID, roff(c.Proves), roff(c.Why))
		if len(c.Needs) > 0 {
			fmt.Fprintf(&b, "Needs: %s.\n", needs(c))
		}
	}
	b.WriteString(`.El
.Sh EXIT STATUS
The exit statuses are those of
.Xr mount 8 :
1 incorrect invocation, 2 system error, 4 a mistake of azfilesauth, 8 interrupted, 32 the mount failed.
.Sh SEE ALSO
.Xr azfilesauth 8 ,
.Xr mount.azfiles 8
`)
	return b.String()
}

func needs(c doctor.Check) string {
	var ids []string
	for _, id := range c.Needs {
		ids = append(ids, string(id))
	}
	return strings.Join(ids, ", ")
}

// roff makes a text fit for lines of its own in mdoc(7): a backslash begins an escape, a dot or an
// apostrophe at the start of a line a request, and every sentence begins a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(strings.ReplaceAll(text, ". ", ".\n"), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
