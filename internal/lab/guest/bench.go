package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// benchRounds is how often each of the two is measured.
const benchRounds = 20

const (
	benchSource = "//acct.file.core.windows.net/share"
	benchTarget = "/mnt/share"
	// benchOptions are what the helper gives to mount.cifs.
	benchOptions = "sec=krb5,cruid=0,username=root"
)

// runBench mounts and unmounts in turn with the helper, whose ticket is cached, and with mount.cifs
// alone and the same options, and prints the medians and their ratio.
func runBench(*machine) error {
	if err := os.MkdirAll(benchTarget, 0o755); err != nil {
		return err
	}
	// The first mount fetches the ticket.
	if _, err := timeMount("azfiles", "identity=system"); err != nil {
		return err
	}
	var plain, ours []time.Duration
	for range benchRounds {
		d, err := timeMount("azfiles", "identity=system")
		if err != nil {
			return err
		}
		ours = append(ours, d)
		if d, err = timeMount("cifs", benchOptions); err != nil {
			return err
		}
		plain = append(plain, d)
	}
	fmt.Printf("mount -t azfiles, ticket cached: median %s ms\n", ms(median(ours)))
	fmt.Printf("mount -t cifs, the same ticket:  median %s ms\n", ms(median(plain)))
	fmt.Printf("ratio %.2f (%d each, in turn, Linux %s, emulated)\n",
		float64(median(ours))/float64(median(plain)), benchRounds, kernelRelease())
	return nil
}

// timeMount mounts, measures that, and unmounts.
func timeMount(fstype, options string) (time.Duration, error) {
	start := time.Now()
	if err := syncRun("mount", "-t", fstype, benchSource, benchTarget, "-o", options); err != nil {
		return 0, err
	}
	d := time.Since(start)
	return d, syncRun("umount", benchTarget)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

func ms(d time.Duration) string {
	return strings.TrimSpace(fmt.Sprintf("%7.1f", float64(d.Microseconds())/1000))
}
