package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A waiting process asks again at intervals of a quarter of what it has waited, from firstWait to maxWait: nobody waits
// much longer than another holds the lock, and 200 mounts of a boot that wait for seconds do not use the processor up by asking.
// To block in the kernel instead could not be ended by a context.
const (
	firstWait = time.Millisecond
	maxWait   = 100 * time.Millisecond
)

// NoWait is a context for a Lock that is tried once.
func NoWait() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Sole is the byte of a lock file whose holder signs the file.
const Sole int64 = 0

// The bytes of SoleIn begin here.
const scopes int64 = 1 << 62

// SoleIn is Sole for one of several scopes that do not exclude each other, such as mount namespaces.
func SoleIn(scope uint64) int64 { return scopes | int64(scope&uint64(scopes-1)) }

// MountNamespace names the mount namespace of this process (namespaces(7)); 0 is not known.
func MountNamespace() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/mnt", &st) != nil {
		return 0
	}
	return st.Ino
}

// What is kept of who holds the bytes of a lock file.
const (
	maxHolder  = 256 // bytes of one
	maxHolders = 16
)

// Holder is who holds a lock. A process id means something only in its own pid namespace, which is why
// the machine's name, in a container the container's, stands beside it.
type Holder struct {
	PID     int
	Machine string
	Start   uint64 // when the process started, in clock ticks since boot (proc_pid_stat(5)); 0 is not known
}

// String is the holder in words.
func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	text := fmt.Sprintf("process %d on %s", h.PID, h.Machine)
	if h.stopped() {
		text += fmt.Sprintf(", which is stopped (kill -CONT %d lets it continue),", h.PID)
	}
	return text
}

// stopped reports whether the process is one of this machine that a signal or a debugger has stopped, and not another
// one that got its id.
func (h Holder) stopped() bool {
	machine, err := os.Hostname()
	state, start := processState(h.PID)
	return err == nil && machine == h.Machine && h.Start != 0 && start == h.Start && (state == "T" || state == "t")
}

// ProcessStat gives the fields of proc_pid_stat(5) of a process from the third one, its state, on; none when it is gone or
// not ours to see. The second one, its name in parentheses, can hold anything.
func ProcessStat(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// processState gives the state and the start of a process, fields 3 and 22.
func processState(pid int) (state string, start uint64) {
	fields := ProcessStat(pid)
	if len(fields) < 20 {
		return "", 0
	}
	start, _ = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], start
}

// Locked says that another process, or goroutine, holds a lock.
type Locked struct {
	Path   string // of the lock file
	Holder Holder // of the byte Sole or of one of SoleIn; zero when that is not known
	Err    error  // of the context that ended
}

func (e *Locked) Error() string {
	if e.Holder.PID == 0 {
		return e.Err.Error()
	}
	return e.Holder.String() + " has it: " + e.Err.Error()
}

func (e *Locked) Unwrap() error { return e.Err }

// Lock takes one byte of a lock file in the directory. It waits for whoever holds it until ctx ends, which
// gives a *Locked; it tries once in any case, so that a context that has ended already never waits. The
// lock ends with unlock or with the process.
//
// The bytes are only names for locks (fcntl(2), "Open file description locks") and need not exist. The
// file is opened again each time, and made when it is missing: these locks belong to the open file, so
// goroutines exclude each other as processes do. Who holds the lock may remove the file: who waited for it then takes the
// lock of the file that is there. Only its owner can open it, since who can read it can hold a lock.
func (d *Dir) Lock(ctx context.Context, name string, at int64) (unlock func(), err error) {
	path := filepath.Join(d.Name, name)
	file, err := d.openLock(name, path)
	if err != nil {
		return nil, fmt.Errorf("open the lock %s: %w", path, err)
	}
	err = wait(ctx, file, at)
	if err == nil && removed(file) {
		_ = file.Close()
		return d.Lock(ctx, name, at)
	}
	if err != nil && errors.Is(err, ctx.Err()) {
		locked := &Locked{Path: path, Err: err}
		locked.Holder = readHolder(file, at)
		_ = file.Close()
		return nil, locked
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if at == Sole || at >= scopes {
		sign(file, at)
	}
	return func() { // unlocks first: a child that is just being started has a copy of the descriptor
		_ = setLock(file, unix.F_UNLCK, at)
		_ = file.Close()
	}, nil
}

// removed reports whether a file has no name any more.
func removed(file *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(file.Fd()), &st) == nil && st.Nlink == 0
}

func wait(ctx context.Context, file *os.File, at int64) error {
	for waited := time.Duration(0); ; {
		err := setLock(file, unix.F_WRLCK, at)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return err
		}
		pause := min(max(waited/4, firstWait), maxWait)
		waited += pause
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func setLock(file *os.File, kind int16, at int64) error {
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: at, Len: 1})
}

func (d *Dir) openLock(name, path string) (*os.File, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || !d.host.Trusts(st.Uid)) {
		err = fmt.Errorf("it is not a regular file of root's (owner uid %d, mode %04o)", st.Uid, st.Mode&0o7777)
	}
	if err == nil && st.Mode&0o777 != 0o600 {
		err = unix.Fchmod(fd, 0o600)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// sign leaves in the file who holds the byte, in a line beside those of others. A full disk must not stop the holder, and
// of two who sign at once one may be lost: it is for people.
func sign(file *os.File, at int64) {
	machine, _ := os.Hostname() // for people, who can do without
	_, start := processState(os.Getpid())
	lines := fmt.Sprintf("%d %s %d\n", os.Getpid(), machine, start)
	if at != Sole {
		lines = fmt.Sprintf("%d %s %d %d\n", os.Getpid(), machine, start, at)
		for i, l := range readHolders(file) {
			if _, byteOf := holderOf(l); byteOf >= scopes && byteOf != at && i < maxHolders {
				lines += l + "\n"
			}
		}
	}
	if file.Truncate(0) == nil {
		_, _ = file.WriteString(lines) // nothing has moved the offset
	}
}

// readHolders are the lines of a lock file, the newest first.
func readHolders(file *os.File) []string {
	text, _ := io.ReadAll(io.NewSectionReader(file, 0, maxHolder*maxHolders))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// holderOf reads a line of a lock file; the zero Holder is nobody.
func holderOf(line string) (h Holder, at int64) {
	if n, _ := fmt.Sscan(line, &h.PID, &h.Machine, &h.Start, &at); n < 2 || h.PID < 0 { // older versions left no start
		return Holder{}, 0
	}
	h.Machine = strings.ToValidUTF8(h.Machine, "?")
	return h, at
}

// readHolder gives what the file says of a byte; the zero Holder when that is nothing.
func readHolder(file *os.File, at int64) Holder {
	if at != Sole && at < scopes {
		return Holder{}
	}
	for _, l := range readHolders(file) {
		if h, of := holderOf(l); of == at {
			return h
		}
	}
	return Holder{}
}
