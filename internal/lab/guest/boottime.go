package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// took TITLE GLOB prints how many units match and how long systemd needed for them: from the start of the
// first to the end of the last. It demands that each is active.
func took(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: took TITLE GLOB")
	}
	out, err := exec.Command("systemctl", "show", "--property=Id,ActiveState,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic", args[1]).Output()
	ts.Check(err)
	units := strings.Split(strings.TrimSpace(string(out)), "\n\n")
	var first, last time.Duration
	for _, unit := range units {
		properties := make(map[string]string)
		for line := range strings.Lines(unit) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			properties[name] = value
		}
		if properties["ActiveState"] != "active" {
			ts.Fatalf("%s is %s", properties["Id"], properties["ActiveState"])
		}
		start := microseconds(ts, properties["InactiveExitTimestampMonotonic"])
		if first == 0 || start < first {
			first = start
		}
		last = max(last, microseconds(ts, properties["ActiveEnterTimestampMonotonic"]))
	}
	fmt.Printf("%s: %d units in %.1f s\n", args[0], len(units), (last - first).Seconds())
}

// microseconds reads a time as systemd prints it.
func microseconds(ts *testscript.TestScript, text string) time.Duration {
	n, err := strconv.ParseInt(text, 10, 64)
	ts.Check(err)
	return time.Duration(n) * time.Microsecond
}
