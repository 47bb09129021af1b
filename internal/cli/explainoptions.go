package cli

import (
	"cmp"
	"fmt"
	"io"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// optionsWord is what explain takes beside the ids.
const optionsWord = "options"

// explainedOptions is the result of explain options.
type explainedOptions struct {
	Kernel  string            `json:"kernel"`  // its release, "" when that is not known
	Used    string            `json:"used"`    // what a line without options of its own gets, as it follows -o
	Options []explainedOption `json:"options"` // the table of the program
	Site    []string          `json:"site"`    // mount_options of the configuration
}

// explainedOption is a row of the table.
type explainedOption struct {
	Option string `json:"option"`
	Used   bool   `json:"used"`            // this kernel's mounts get it, when neither line nor site says something of the same
	Since  string `json:"since,omitempty"` // the kernel from which on
	Why    string `json:"why"`
	Figure string `json:"figure"` // what it changes
	Source string `json:"source"` // of the figure or of the option
}

// explainOptions tells which options mounts get by default on this machine, and why.
func (s *session) explainOptions() error {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	e := explainedOptions{Kernel: s.KernelRelease(), Site: append([]string{}, cfg.MountOptionsOf("")...)}
	given, err := mounts.Login{}.Given(cfg, endpoint.Endpoint{}, e.Kernel)
	if err != nil {
		return err
	}
	e.Used = given.String()
	for _, d := range mounts.Defaults() {
		e.Options = append(e.Options, explainedOption{d.Option, d.Usable(e.Kernel), d.Since, d.Why, d.Figure, d.Source})
	}
	return s.result(e, e.write)
}

func (e explainedOptions) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "kernel          %s\na mount gets    %s\n", cmp.Or(e.Kernel, "unknown"), cmp.Or(e.Used, "nothing by default"))
	for _, site := range e.Site {
		_, _ = fmt.Fprintf(w, "mount_options   %s\n", site)
	}
	for _, o := range e.Options {
		here := "yes"
		if !o.Used {
			here = "no"
		}
		if o.Since != "" {
			here += ", from kernel " + o.Since
		}
		_, _ = fmt.Fprintf(w, "\n%s\n  used    %s\n  why     %s\n  figure  %s\n  source  %s\n", o.Option, here, o.Why, o.Figure, o.Source)
	}
}
