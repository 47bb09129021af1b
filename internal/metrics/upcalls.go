package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// Answered is the result of an upcall that gave the kernel a ticket; any other result is the id of
// a fault.
const Answered = "answered"

const (
	// counters is the file, in the run directory, where upcalls are counted: each is a process of its
	// own, and gone before anybody could ask it. Its lines are "<result> <number>".
	counters     = "upcalls"
	countersMode = 0o600
	// maxCounters bounds the file in bytes. There are not so many faults.
	maxCounters = 16 << 10
)

// CountUpcall adds an upcall with its result to the counters of the machine h, waiting for others that do
// the same, which takes microseconds. They end with the machine's run. A file that cannot be understood is
// begun anew.
func CountUpcall(ctx context.Context, h host.Host, result string) error {
	d, err := h.OpenDir(h.Run)
	if err != nil {
		return err
	}
	defer d.Close()
	unlock, err := d.Lock(ctx, "."+counters+".lock", host.Sole)
	if err != nil {
		return err
	}
	defer unlock()
	counts, err := read(d)
	if err != nil {
		return err
	}
	counts[result]++
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%s %d\n", name, counts[name])
	}
	return d.Replace(counters, h.Own(countersMode), host.Content(b.Bytes()))
}

// Upcalls gives the counters of the machine h by result; none when nothing was counted.
func Upcalls(h host.Host) map[string]uint64 {
	d, err := h.OpenDir(h.Run)
	if err != nil {
		return nil
	}
	defer d.Close()
	counts, _ := read(d)
	return counts
}

// read reads the counters, of a file that is too large those at its beginning.
func read(d *host.Dir) (map[string]uint64, error) {
	content, err := d.Read(counters, maxCounters)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, host.ErrTooLarge) {
		return nil, err
	}
	counts := map[string]uint64{}
	for line := range strings.Lines(string(content)) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && isResult(name) {
			counts[name] = n
		}
	}
	return counts, nil
}

// isResult reports whether a result looks like one of ours.
func isResult(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-abcdefghijklmnopqrstuvwxyz") == ""
}
