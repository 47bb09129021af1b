package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mountRounds is how often each row is measured with each line; the least counts.
const mountRounds = 2

// The directory of the share that the rows work in, as the server and as the client have it.
var (
	serverFolder = "/srv/share/bench"
	clientFolder = benchTarget + "/bench"
)

// line is a way to mount the share.
type line struct{ name, fstype, options string }

// lines are compared with each other, on the same server. The last one is beside the point, it shows what several
// connections do where data is moved.
var lines = []line{
	{"mount.cifs alone", "cifs", benchOptions},
	{"Microsoft's line", "cifs", benchOptions + ",dir_mode=0777,file_mode=0777,serverino,nosharesock,mfsymlinks,actimeo=30"},
	{"azfiles", "azfiles", "identity=system"},
	{"azfiles, 4 channels", "azfiles", "identity=system,multichannel,max_channels=4"},
}

// channels is the line of several connections.
const channels = 3

// taken is what a row took with a line.
type taken struct {
	time     time.Duration
	requests int
}

// runBenchMount measures what applications feel of mount options: each row of workloads with each line in turn, with
// nothing cached, and prints a table for docs/performance.md. With words it measures the rows that have one of them in their names.
func runBenchMount(m *machine, words []string) error {
	err := errors.Join(os.MkdirAll(benchTarget, 0o755), os.MkdirAll(serverFolder, 0o777), os.Chmod(serverFolder, 0o777),
		m.server.startRelay(`interfaces = "10.99.0.1;speed=1000000000,capability=RSS"`, "log level = 0"))
	if err != nil {
		return err
	}
	if _, err := timeMount("azfiles", "identity=system"); err != nil { // which leaves the ticket for all
		return err
	}
	if err := prepareWorkloads(); err != nil {
		return err
	}
	fmt.Printf("Linux %s; the least of %d rounds in turn, in ms, and the requests that went to the server\n\n", kernelRelease(), mountRounds)
	fmt.Printf("| | %s | %s | %s | ratio to the better one | %s |\n| --- | --- | --- | --- | --- | --- |\n", lines[0].name, lines[1].name, lines[2].name, lines[3].name)
	for _, w := range workloads {
		if len(words) > 0 && !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(w.name, word) }) {
			continue
		}
		row, err := w.measure()
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Println(row)
	}
	return nil
}

// prepareWorkloads has the server make what the rows work on.
func prepareWorkloads() error {
	for _, w := range workloads {
		if w.prepare == nil {
			continue
		}
		if err := w.prepare(); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// measure gives the row of a workload.
func (w workload) measure() (string, error) {
	times := make([][]time.Duration, len(lines))
	requests := make([]int, len(lines))
	for range mountRounds {
		for i, l := range lines {
			if i == channels && !w.moves {
				continue
			}
			got, err := w.with(l)
			if err != nil {
				return "", fmt.Errorf("%s: %w", l.name, err)
			}
			times[i] = append(times[i], got.time)
			requests[i] = got.requests
		}
	}
	cell := func(i int) string {
		if len(times[i]) == 0 {
			return ""
		}
		return fmt.Sprintf("%s, %d", ms(slices.Min(times[i])), requests[i])
	}
	best := min(slices.Min(times[0]), slices.Min(times[1]))
	fewest := min(requests[0], requests[1])
	return fmt.Sprintf("| %s | %s | %s | %s | %.2f, %.2f | %s |", w.name, cell(0), cell(1), cell(2),
		float64(slices.Min(times[2]))/float64(best), float64(requests[2])/float64(max(1, fewest)), cell(3)), nil
}

// with measures a workload once, on a mount of its own.
func (w workload) with(l line) (taken, error) {
	if err := syncRun("mount", "-t", l.fstype, benchSource, benchTarget, "-o", l.options); err != nil {
		return taken{}, err
	}
	got, err := w.once()
	return got, errors.Join(err, syncRun("umount", benchTarget))
}

func (w workload) once() (taken, error) {
	if w.before != nil {
		if err := w.before(); err != nil {
			return taken{}, err
		}
	}
	before, err := requestsSent()
	if err != nil {
		return taken{}, err
	}
	start := time.Now()
	err = w.do()
	took := time.Since(start)
	after, statsErr := requestsSent()
	return taken{took, after - before}, cmp.Or(err, statsErr)
}

// sent is a line of /proc/fs/cifs/Stats, such as "Creates: 4 total 0 failed" (smb2_print_stats in fs/smb/client/smb2ops.c).
var sent = regexp.MustCompile(`(?m)^[A-Z][A-Za-z]+: (\d+) total \d+ failed`)

// requestsSent counts the requests of all mounts. Those that go out together are one round trip and count each.
func requestsSent() (n int, err error) {
	text, err := os.ReadFile("/proc/fs/cifs/Stats")
	if err != nil {
		return 0, err
	}
	for _, m := range sent.FindAllStringSubmatch(string(text), -1) {
		count, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		n += count
	}
	if n == 0 && strings.Contains(string(text), "share") {
		return 0, errors.New("no counters in /proc/fs/cifs/Stats")
	}
	return n, nil
}
