// Command release tells what a built program is made of, for packages and releases.
//
//	release third-party PROGRAM...   names, versions, licences and notices of what is linked in, as text
//	release sbom PROGRAM...          the same as a CycloneDX 1.6 bill of materials, as JSON
//
// The list of modules is the one that the Go linker left in the programs, the licences are read from the
// modules' own folders; a module whose licence is not recognised is an error, not a gap. The output
// depends on the programs and $SOURCE_DATE_EPOCH alone.
package main

import (
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
	if len(args) < 2 {
		return fmt.Errorf("usage: release third-party|sbom PROGRAM...")
	}
	c, err := contents(args[1:])
	if err != nil {
		return err
	}
	switch args[0] {
	case "third-party":
		return writeThirdParty(w, c)
	case "sbom":
		return writeSBOM(w, c, os.Getenv("SOURCE_DATE_EPOCH"))
	}
	return fmt.Errorf("unknown command %q", args[0])
}
