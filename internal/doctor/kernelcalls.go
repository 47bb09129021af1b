package doctor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is the Kernel of this machine.
type kernel struct{}

// AddKey adds a key to the process's keyring, add_key(2), and unlinks it.
func (kernel) AddKey(keyType, description string) error {
	key, err := unix.AddKey(keyType, description, []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
	if err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, key, unix.KEY_SPEC_PROCESS_KEYRING, 0, 0)
	return err
}

// MountOption begins a mount with fsopen(2) and sets the option, and leaves it at that.
func (kernel) MountOption(fsType, option, value string) error {
	fd, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was made of it
	return unix.FsconfigSetString(fd, option, value)
}

// Log reads /dev/kmsg to its end, one record for each read (the kernel's
// Documentation/ABI/testing/dev-kmsg: "level,sequence,time,flags;text" and lines of properties).
func (kernel) Log() ([]LogLine, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/kmsg", Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // only read
	const most = 20_000
	var lines []LogLine
	record := make([]byte, 16<<10)
	for range most {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EPIPE): // records were overwritten meanwhile
			continue
		case errors.Is(err, unix.EAGAIN) || err == nil && n == 0:
			return lines, nil
		case err != nil:
			return lines, err
		}
		lines = append(lines, parseRecord(string(record[:n])))
	}
	return lines, nil
}

// parseRecord reads one record; the time is in microseconds.
func parseRecord(record string) LogLine {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	fields := strings.SplitN(head, ",", 4)
	var at int64
	if len(fields) > 2 {
		at, _ = strconv.ParseInt(fields[2], 10, 64) // 0 for what is no number: long ago
	}
	return LogLine{At: time.Duration(at) * time.Microsecond, Text: text}
}
