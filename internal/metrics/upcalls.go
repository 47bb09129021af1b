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
	"time"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// Answered is the result of an upcall that gave the kernel a ticket; any other result is the id of
// a fault.
const Answered = "answered"

const (
	// counters is the file, in the run directory, where upcalls are counted: each is a process of its
	// own, and gone before anybody could ask it. Its lines are "<result> <number>", then the microseconds that they
	// took together, and how many kept each of upcallBounds and none of the shorter ones, the last none at all.
	counters     = "upcalls"
	countersMode = 0o600
	// maxCounters bounds the file in bytes. There are not so many faults.
	maxCounters = 16 << 10
)

// upcallBounds are in seconds: a cached ticket takes milliseconds, an exchange tenths of a second, and the kernel's
// request fails after upcall.deadline, 5 s unless it is configured.
var upcallBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Upcall is what was counted of the upcalls with one result.
type Upcall struct {
	Count uint64
	took  histogram
}

// CountUpcall adds an upcall with its result, which took d, to the counters of the machine h, waiting for others that do
// the same, which takes microseconds. They end with the machine's run. A file that cannot be understood is
// begun again.
func CountUpcall(ctx context.Context, h host.Host, result string, took time.Duration) error {
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
	u, known := counts[result]
	if !known {
		u.took = newHistogram(upcallBounds)
	}
	u.Count++
	u.took.add(upcallBounds, took)
	counts[result] = u
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		counts[name].line(&b, name)
	}
	return d.Replace(counters, h.Own(countersMode), host.Content(b.Bytes()))
}

// Upcalls gives the counters of the machine h by result; none when nothing was counted.
func Upcalls(h host.Host) map[string]Upcall {
	d, err := h.OpenDir(h.Run)
	if err != nil {
		return nil
	}
	defer d.Close()
	counts, _ := read(d)
	return counts
}

// read reads the counters, of a file that is too large those at its beginning.
func read(d *host.Dir) (map[string]Upcall, error) {
	content, err := d.Read(counters, maxCounters)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, host.ErrTooLarge) {
		return nil, err
	}
	counts := map[string]Upcall{}
	for line := range strings.Lines(string(content)) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if u, ok := parseUpcall(text); ok && isResult(name) {
			counts[name] = u
		}
	}
	return counts, nil
}

// isResult reports whether a result looks like one of ours.
func isResult(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-abcdefghijklmnopqrstuvwxyz") == ""
}

// line writes a line of the file.
func (u Upcall) line(b *bytes.Buffer, name string) {
	fmt.Fprintf(b, "%s %d %d", name, u.Count, u.took.sum.Microseconds())
	for _, n := range u.took.within {
		fmt.Fprintf(b, " %d", n)
	}
	b.WriteByte('\n')
}

// parseUpcall reads what line writes behind the name. The number alone is a line from before the times were counted.
func parseUpcall(text string) (u Upcall, ok bool) {
	var all []uint64
	for word := range strings.SplitSeq(text, " ") {
		n, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			return u, false
		}
		all = append(all, n)
	}
	u = Upcall{Count: all[0], took: newHistogram(upcallBounds)}
	if len(all) == 1 {
		return u, true
	}
	if len(all) != 2+len(u.took.within) {
		return u, false
	}
	u.took.sum = time.Duration(all[1]) * time.Microsecond //nolint:gosec // of 63 bits; too large a number makes one that is wrong, no harm
	copy(u.took.within, all[2:])
	return u, true
}
