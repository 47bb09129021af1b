// Command gen writes what the manual says of failures, of the doctor's checks, of the keys of the
// configuration and of default mount options: the page azfilesauth-faults(7), the lists between the markers of
// azfilesauth-doctor(8), azfilesauth.yaml(5) and mount.azfiles(8), and the table between those of docs/faults.md. They
// come from the tables in the packages fault, doctor, config and mounts, so that they cannot differ from what the programs say. Run it as
// "go generate ./internal/fault/gen" after a change there.
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

// Where the page is that is written whole.
const manual = "packaging/man/azfilesauth-faults.7"

// section is what is written between two lines of a text that people write.
type section struct {
	file       string // in the repository
	begin, end string // the lines
	content    func() string
}

func sections() []section {
	return []section{
		{"packaging/man/azfilesauth-doctor.8", ".\\\" checks begin\n", ".\\\" checks end\n", checkList},
		{"packaging/man/azfilesauth.yaml.5", ".\\\" keys begin\n", ".\\\" keys end\n", keyList},
		{"packaging/man/azfilesauth.yaml.5", ".\\\" keys of an entry begin\n", ".\\\" keys of an entry end\n", entryList},
		{"packaging/man/mount.azfiles.8", ".\\\" defaults begin\n", ".\\\" defaults end\n", defaultList},
		{"docs/faults.md", "<!-- faults begin -->\n", "<!-- faults end -->\n", docsTable},
	}
}

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
	for _, s := range sections() {
		name := filepath.Join(args[0], s.file)
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if text, err = s.renew(text); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// renew puts the content between the markers.
func (s section) renew(text []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(text, []byte(s.begin))
	_, after, closed := bytes.Cut(rest, []byte(s.end))
	if !found || !closed {
		return nil, fmt.Errorf("%s lacks the lines %q and %q", s.file, strings.TrimSpace(s.begin), strings.TrimSpace(s.end))
	}
	return bytes.Join([][]byte{before, []byte(s.begin), []byte(s.content()), []byte(s.end), after}, nil), nil
}

// docsTable is what docs/faults.md says: of faults what happened and how to fix it, of checks what they
// prove.
func docsTable() string {
	var b strings.Builder
	b.WriteString("| failure | what happened | fix |\n| --- | --- | --- |\n")
	for _, k := range fault.Table() {
		f := k.Blank()
		name := fmt.Sprintf("[`%s`](#%s)", k.ID, strings.ToLower(string(k.ID)))
		if _, found := fault.Details(k.ID); !found { // then the row is all, and where links lead
			name = fmt.Sprintf("<a id=\"%s\"></a>`%s`", strings.ToLower(string(k.ID)), k.ID)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, cell(f.What()), cell(f.Fix()))
	}
	b.WriteString("\n## Checks\n\n| check of `azfilesauth doctor` | holds when all is well |\n| --- | --- |\n")
	for _, c := range doctor.All() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.ID, cell(c.Proves))
	}
	b.WriteString("\n## Causes\n\nOf each failure, the most likely cause first, and how to recognise it.\n")
	for _, k := range fault.Table() {
		if d, found := fault.Details(k.ID); found {
			writeDetail(&b, k, d)
		}
	}
	return b.String()
}

// writeDetail writes the section of a failure, to which explain links.
func writeDetail(b *strings.Builder, k *fault.Kind, d fault.Detail) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n\n", k.ID, sentence(k.Blank().What()))
	for i, c := range d.Causes {
		fmt.Fprintf(b, "%d. %s. How to tell: %s.\n", i+1, sentence(c.What), cell(c.Tell))
	}
	if d.Example != "" {
		fmt.Fprintf(b, "\nExample:\n\n    %s\n", strings.ReplaceAll(d.Example, "\n", "\n    "))
	}
}

// sentence is a text as the beginning of one, without markup. The name of a program, file or option stays as it is.
func sentence(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if strings.ContainsAny(first, "<=.-_:") || first == "az" || first == "kdestroy" {
		return cell(text)
	}
	return cell(strings.ToUpper(text[:1]) + text[1:])
}

// checkList is what azfilesauth-doctor(8) says: the checks by group, in the order of the report.
func checkList() string {
	var b strings.Builder
	var group doctor.Group
	for _, c := range doctor.All() {
		if c.Group != group {
			if group != "" {
				b.WriteString(".El\n")
			}
			group = c.Group
			fmt.Fprintf(&b, ".Ss Group: %s\n.Bl -tag -width 20n -compact\n", group)
		}
		fmt.Fprintf(&b, ".It Sy %s\n%s\n", c.ID, roff(c.Title))
	}
	return b.String() + ".El\n"
}

// cell makes a text fit for a cell of a Markdown table: nothing in it may be taken for markup.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "`", "\\`").Replace(text)
}

// manualPage is azfilesauth-faults(7) in mdoc(7).
func manualPage() string {
	var b strings.Builder
	b.WriteString(`.\" Made by "go generate ./internal/fault/gen"; edit the tables there instead.
.Dd November 24, 2026
.Dt AZFILESAUTH-FAULTS 7
.Os azfilesauth
.Sh NAME
.Nm azfilesauth-faults
.Nd what can go wrong with an Azure Files mount, and how to fix it
.Sh DESCRIPTION
Every failure of
.Xr mount.azfiles 8 ,
.Xr azfiles.upcall 8 ,
.Xr azfilesauth 8
and the service has one of these names, in what is printed, in the logs and
in JSON.
A name keeps its meaning.
.Dq azfilesauth explain NAME
tells the same as this page, and the causes of the failure, how to tell them
apart and an example.
Words in <> stand for what the failure itself names.
.Sh FAILURES
.Bl -tag -width Ds
`)
	for _, k := range fault.Table() {
		f := k.Blank()
		again := "Trying again does not help."
		if k.Retryable {
			again = "Trying again may help."
		}
		fmt.Fprintf(&b, ".It Sy %s\n%s\n%s\nExit status %d.\n%s\n", k.ID, roff(f.What()+"."), roff("Fix: "+f.Fix()+"."), k.Exit, again)
	}
	b.WriteString(`.El
.Sh CHECKS
What
.Xr azfilesauth-doctor 8
looks at, in the order of the chain.
.Bl -tag -width Ds
`)
	for _, c := range doctor.All() {
		fmt.Fprintf(&b, ".It Sy %s\n%s\n%s\n", c.ID, roff(c.Proves), roff(c.Why))
		if len(c.Needs) > 0 {
			b.WriteString(roff("Needs: "+needs(c)+".") + "\n")
		}
	}
	b.WriteString(`.El
.Sh EXIT STATUS
The exit statuses are those of
.Xr mount 8 :
1 incorrect invocation, 2 system error, 4 a mistake of azfilesauth,
8 interrupted, 32 the mount failed.
.Sh SEE ALSO
.Xr azfilesauth 8 ,
.Xr azfilesauth-doctor 8 ,
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

// width is how long a line of a manual page may be before mandoc(1) complains, in bytes.
const width = 78

// roff makes a text fit for lines of its own in mdoc(7): a backslash begins an escape, a dot or an
// apostrophe at the start of a line a request, and every sentence begins a line.
func roff(text string) string {
	var lines []string
	for sentence := range strings.SplitSeq(strings.ReplaceAll(text, ". ", ".\n"), "\n") {
		line := ""
		for word := range strings.FieldsSeq(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(sentence)) {
			if line != "" && len(line)+1+len(word) > width {
				lines, line = append(lines, line), word
			} else if line != "" {
				line += " " + word
			} else {
				line = word
			}
		}
		lines = append(lines, line)
	}
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
