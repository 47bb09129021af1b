package metrics

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Answered is the result of an upcall that gave the kernel a ticket; any other result is the id of
// a fault.
const Answered = "answered"

// counters is the file, in /run/azfilesauth, where upcalls are counted: each is a process of its
// own, and gone before anybody could ask it. Its lines are "<result> <number>".
const counters = "upcalls"

// maxCounters bounds the file in bytes. There are not so many faults.
const maxCounters = 16 << 10

// CountUpcall adds an upcall with its result to the counters in the folder dir. They end with the
// machine's run. A folder that is missing is not made. A file that cannot be understood, which
// nobody but root can have written, is begun anew.
func CountUpcall(dir, result string) error {
	f, err := openCounters(dir, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // which unlocks
	if err := lock(f, unix.F_WRLCK); err != nil {
		return err
	}
	counts := read(f)
	counts[result]++
	text := render(counts)
	if _, err := f.WriteAt(text, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(text)))
}

// Upcalls gives the counters in the folder dir by result; none when nothing was counted.
func Upcalls(dir string) map[string]uint64 {
	f, err := openCounters(dir, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if lock(f, unix.F_RDLCK) != nil {
		return nil
	}
	return read(f)
}

func openCounters(dir string, flags int) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, counters), flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
}

// lock waits for another upcall, which holds it for microseconds.
func lock(f *os.File, kind int16) error {
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &unix.Flock_t{Type: kind})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func read(f io.Reader) map[string]uint64 {
	counts := map[string]uint64{}
	lines := bufio.NewScanner(io.LimitReader(f, maxCounters))
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && sound(name) {
			counts[name] = n
		}
	}
	return counts
}

// sound reports whether a result looks like one of ours.
func sound(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-abcdefghijklmnopqrstuvwxyz") == ""
}

func render(counts map[string]uint64) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%s %d\n", name, counts[name])
	}
	return b.Bytes()
}
