package doctor

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func lastFaultCheck() Check {
	return Check{
		ID: "last-fault", Group: Surroundings, Title: "failures of the kernel's upcall", Severity: Latent, Offline: true,
		Proves: "The last answer to the kernel's request for a login was one, for every endpoint.",
		Why:    "The kernel passes on a number only; the reason is kept until the next success.",
		Run:    checkLastFault,
	}
}

func checkLastFault(_ context.Context, s *Subject) Result {
	entries, err := s.ReadDir(fault.LastFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return Good("there was none")
	} else if err != nil {
		return s.CannotSee(fault.LastFolder, err)
	}
	var f several
	for _, entry := range entries {
		last, ok := fault.LoadLast(s.Path(fault.LastFolder), entry.Name())
		if !ok || s.Endpoint != "" && !s.tests(entry.Name()) {
			continue
		}
		r := Warned(last.Fix, "%s at %s: %s: %s", entry.Name(), s.left(last.At), last.ID, last.Text)
		r.Fault = last.ID
		f.add(r)
	}
	return f.result(Good("there was none"))
}

// tests reports whether a host is one of the endpoints under test.
func (s *Subject) tests(host string) bool {
	return slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Endpoint.Host() == host })
}
