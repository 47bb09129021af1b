package ccache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxHolder bounds what is read of who holds the lock, in bytes.
const maxHolder = 256

// Holder is who keeps the tickets of a cache fresh. A process id means something only in its own pid
// namespace, which is why the machine's name, in a container the container's, stands beside it.
type Holder struct {
	PID     int
	Machine string
}

// String is the holder in words.
func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d on %s", h.PID, h.Machine)
}

// LockWatcher makes this process the one that keeps the cache's tickets fresh. It does not wait: when
// another one is it, holder says who and unlock is nil. The lock is on a file of its own beside the
// lock file, which names its holder, and ends with unlock or with the process. Errors are of the kinds
// fault.CCacheFolder and CCacheIO.
func (s *Store) LockWatcher() (unlock func(), holder Holder, err error) {
	f, err := s.folder()
	if err != nil {
		return nil, Holder{}, err
	}
	defer f.close()
	file, err := s.openLock(f, ".watcher")
	if err != nil {
		return nil, Holder{}, err
	}
	switch err := setLock(file, unix.F_WRLCK, 0); {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		defer func() { _ = file.Close() }()
		return nil, readHolder(file), nil
	case err != nil:
		_ = file.Close()
		return nil, Holder{}, s.ioFault("lock "+file.Name(), err)
	}
	machine, _ := os.Hostname() // for people, who can do without
	if err := file.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(file, "%d %s\n", os.Getpid(), machine) // a full disk must not stop the watcher
	}
	return func() { release(file, 0) }, Holder{}, nil
}

// readHolder gives what the file says; the zero Holder when that is nothing.
func readHolder(file *os.File) Holder {
	text, _ := io.ReadAll(io.LimitReader(file, maxHolder))
	var h Holder
	if _, err := fmt.Sscanf(string(text), "%d %s", &h.PID, &h.Machine); err != nil || h.PID < 0 {
		return Holder{}
	}
	h.Machine = strings.ToValidUTF8(h.Machine, "?")
	return h
}
