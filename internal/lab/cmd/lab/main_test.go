package main

import (
	"flag"
	"io"
	"slices"
	"testing"
)

func TestSwitchesStandAnywhere(t *testing.T) {
	for _, args := range [][]string{{"-keep", "-v", "native/mount"}, {"native/mount", "-v", "--keep"}, {"-v", "native/mount", "-keep"}} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		keep := flags.Bool("keep", false, "")
		flags.Bool("v", true, "")
		if names, err := parse(flags, args); err != nil || !*keep || !slices.Equal(names, []string{"native/mount"}) {
			t.Errorf("%q: %q, %v, %v", args, names, *keep, err)
		}
		if _, err := parse(flags, append(args, "-nosuch")); err == nil {
			t.Errorf("%q with a switch that is not there is taken", args)
		}
	}
}
