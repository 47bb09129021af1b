package cli

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/nearest"
)

// explained is the result of explain. A fault has no why, needs and severity; a check has no exit.
type explained struct {
	ID        string   `json:"id"`
	Kind      string   `json:"kind"` // fault or check
	What      string   `json:"what"` // of a fault: what happened; of a check: what holds when all is well
	Why       string   `json:"why,omitempty"`
	Fix       string   `json:"fix,omitempty"`
	Severity  string   `json:"severity,omitempty"`
	Needs     []string `json:"needs,omitempty"`
	Exit      int      `json:"exit,omitempty"`    // exit status of a mount that ends so
	Retryable bool     `json:"retryable"`         // trying again may help
	Causes    []cause  `json:"causes,omitempty"`  // of a fault, the most likely first
	Example   string   `json:"example,omitempty"` // lines of a file, or a command
	Docs      string   `json:"docs"`              // a URL

	former []string // ids that are told by this one today
}

// cause is one reason for a fault.
type cause struct {
	What string `json:"what"`
	Tell string `json:"tell"` // how to recognise it
}

// catalogue is the result of explain --list.
type catalogue struct {
	Explanations []explained `json:"explanations"`
}

// runsAzure reports whether a text has a command of the Azure CLI.
func runsAzure(text string) bool {
	return slices.ContainsFunc([]string{"\naz ", "; az ", ": az ", "(az "}, func(begin string) bool { return strings.Contains("\n"+text, begin) })
}

// explanations are all faults, then all checks.
func explanations() []explained {
	var all []explained
	for _, k := range fault.Table() {
		f := k.Blank()
		e := explained{ID: string(k.ID), Kind: "fault", What: f.What(), Fix: f.Fix(), Exit: int(k.Exit), Retryable: k.Retryable, Docs: k.ID.Page()}
		detail, _ := fault.Details(k.ID)
		for _, c := range detail.Causes {
			e.Causes = append(e.Causes, cause(c))
		}
		e.Example = detail.Example
		all = append(all, e)
	}
	for _, c := range doctor.All() {
		e := explained{ID: string(c.ID), Kind: "check", What: c.Proves, Why: c.Why, Fix: c.Fix, Severity: string(c.Severity), Docs: fault.Docs + "#checks"}
		for _, id := range c.Needs {
			e.Needs = append(e.Needs, string(id))
		}
		for _, id := range c.Former {
			e.former = append(e.former, string(id))
		}
		all = append(all, e)
	}
	return all
}

// explain tells about the id in args, or about all without one.
func (s *session) explain(_ *cobra.Command, args []string) error {
	if len(args) > 0 && strings.EqualFold(args[0], optionsWord) {
		return s.explainOptions()
	}
	all := explanations()
	if len(args) == 0 {
		return s.result(catalogue{all}, func(w io.Writer) {
			rows := [][]string{{"ID", "MEANING"}}
			for _, e := range all {
				rows = append(rows, []string{e.ID, e.What})
			}
			table(w, rows)
		})
	}
	word := strings.ToLower(args[0])
	i := slices.IndexFunc(all, func(e explained) bool {
		id := strings.ToLower(e.ID)
		return id == word || id == "azf-"+word || slices.Contains(e.former, word)
	})
	if errno, ok := mountError(word); i < 0 && ok {
		id := fault.OfMountError(errno).String()
		i = slices.IndexFunc(all, func(e explained) bool { return e.ID == id })
		return s.result(all[i], func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "mount error(%d), %s, is\n\n", int(errno), strings.ToLower(errno.Error()))
			all[i].write(w)
		})
	}
	if i < 0 {
		problem := "there is no failure and no check of that name" + nearest.Hint(nearestID(word, all))
		return usage(program+" explain", problem).Advise(program + " explain --list shows all names")
	}
	return s.result(all[i], all[i].write)
}

func (e explained) write(w io.Writer) {
	line := func(name, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(w, "  %-9s %s\n", name, text)
		}
	}
	_, _ = fmt.Fprintln(w, e.ID)
	if e.Kind == "check" {
		line("proves", e.What)
		line("why", e.Why)
		line("fix", e.Fix)
		line("severity", severity(doctor.Severity(e.Severity)))
		line("needs", strings.Join(e.Needs, ", "))
		line("look", program+" doctor, which names the command for what it finds")
		line("docs", e.Docs)
		return
	}
	line("what", e.What)
	line("fix", e.Fix)
	line("again", e.again())
	line("exit", fmt.Sprintf("%d, of a mount that fails so", e.Exit))
	e.writeCauses(w)
	line("docs", e.Docs)
}

// writeCauses writes what a line of the failure has no room for.
func (e explained) writeCauses(w io.Writer) {
	if len(e.Causes) == 0 && e.Example == "" {
		return
	}
	if len(e.Causes) > 0 {
		_, _ = fmt.Fprintln(w, "\n  causes, the most likely first:")
	}
	for i, c := range e.Causes {
		_, _ = fmt.Fprintf(w, "  %3d. %s\n       how to tell: %s\n", i+1, c.What, c.Tell)
	}
	if e.Example != "" {
		_, _ = fmt.Fprintf(w, "\n  example:\n    %s\n", strings.ReplaceAll(e.Example, "\n", "\n    "))
	}
	if runsAzure(e.Fix + "\n" + e.Example) {
		_, _ = fmt.Fprintln(w, "\n  az is the Azure CLI: run it where you are logged in to Azure, such as in the Cloud Shell")
	}
	_, _ = fmt.Fprintln(w)
}

func severity(s doctor.Severity) string {
	switch s {
	case doctor.Fails:
		return "a mount fails, at worst"
	case doctor.CIFSMode:
		return "a mount fails with upcall.mode: cifs, at worst"
	case doctor.Latent:
		return "it works, and will fail later or is unsafe"
	}
	return "good to know"
}

func (e explained) again() string {
	if e.Retryable {
		return "may help"
	}
	if _, minutes, found := strings.Cut(e.Fix, "takes up to "); found {
		return "helps after the fix, and within " + minutes[:strings.IndexAny(minutes+";", ");")]
	}
	return "helps after the fix"
}

// nearestID is the id, or the other word, that a word was probably meant to be, "" for none.
func nearestID(word string, all []explained) string {
	names := map[string]string{optionsWord: optionsWord}
	for _, e := range all {
		name := strings.ToLower(e.ID)
		names[name], names[strings.TrimPrefix(name, "azf-")] = e.ID, e.ID
	}
	return names[nearest.Word(word, slices.Sorted(maps.Keys(names)))]
}

// mountErrors are the forms of the number of a failed mount, as mount.cifs and people write it.
const mountErrors = `^(?:mount )?(?:error|errno)? ?\(?([1-9][0-9]{0,2})\)?$`

// mountError reads the number of a failed mount.
func mountError(word string) (syscall.Errno, bool) {
	m := regexp.MustCompile(mountErrors).FindStringSubmatch(strings.TrimSpace(word))
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return syscall.Errno(n), err == nil
}
