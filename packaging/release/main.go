// Command release tells what a built program is made of, for packages and releases.
//
//	release third-party PROGRAM...    names, versions, licences and notices of what is linked in, as text
//	release sbom VERSION PROGRAM...   the same as a CycloneDX 1.6 bill of materials of that version, as JSON
//
// The list of modules is the one that the Go linker left in the programs, the licences are read from the
// modules' own folders; a module whose licence is not recognised is an error, not a gap. The output
// depends on the programs and $SOURCE_DATE_EPOCH alone.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, args []string) error {
	switch {
	case len(args) > 1 && args[0] == "third-party":
		c, err := contents(args[1:])
		if err != nil {
			return err
		}
		return writeThirdParty(w, c)
	case len(args) > 2 && args[0] == "sbom":
		c, err := contents(args[2:])
		if err != nil {
			return err
		}
		return writeSBOM(w, c, args[1], os.Getenv("SOURCE_DATE_EPOCH"))
	}
	return errors.New("usage: release third-party PROGRAMS, or release sbom VERSION PROGRAMS")
}
