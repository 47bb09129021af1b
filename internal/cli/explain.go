package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

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
	Exit      int      `json:"exit,omitempty"` // exit status of a mount that ends so
	Retryable bool     `json:"retryable"`      // trying again may help

	former []string // ids that are told by this one today
}

// catalogue is the result of explain --list.
type catalogue struct {
	Explanations []explained `json:"explanations"`
}

// explanations are all faults, then all checks.
func explanations() []explained {
	var all []explained
	for _, k := range fault.Table() {
		f := k.Blank()
		all = append(all, explained{ID: string(k.ID), Kind: "fault", What: f.What(), Fix: f.Fix(), Exit: int(k.Exit), Retryable: k.Retryable})
	}
	for _, c := range doctor.All() {
		e := explained{ID: string(c.ID), Kind: "check", What: c.Proves, Why: c.Why, Severity: string(c.Severity)}
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
	if i < 0 {
		return usage(program+" explain", "there is no failure and no check of that name; did you mean "+nearestID(word, all)+"?")
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
		line("severity", severity(doctor.Severity(e.Severity)))
		line("needs", strings.Join(e.Needs, ", "))
		line("look", program+" doctor")
		return
	}
	line("what", e.What)
	line("fix", e.Fix)
	again := "no"
	if e.Retryable {
		again = "may help"
	}
	line("again", again)
	line("exit", fmt.Sprint(e.Exit))
}

func severity(s doctor.Severity) string {
	switch s {
	case doctor.Fails:
		return "a mount fails"
	case doctor.CIFSMode:
		return "a mount fails with upcall.mode: cifs"
	case doctor.Latent:
		return "it works, and will fail later or is unsafe"
	}
	return "good to know"
}

// nearestID is the id that looks most like a word.
func nearestID(word string, all []explained) string {
	best, id := -1, ""
	for _, e := range all {
		name := strings.ToLower(e.ID)
		d := min(nearest.Distance(word, name), nearest.Distance(word, strings.TrimPrefix(name, "azf-")))
		if best < 0 || d < best {
			best, id = d, e.ID
		}
	}
	return id
}
