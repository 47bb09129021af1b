package fault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A failure of the kernel's upcall has nobody to tell it to: the kernel passes on a number. So the
// last one of each host is left in a file, which is removed by the next success: the time in
// RFC 3339 form, the id, the sentence and the fix, one on each line.

// LastFolder is where the upcall leaves its failures.
const LastFolder = "/run/azfilesauth/last-fault"

const (
	lastRunMode = 0o711 // users pass through it to their credential caches
	lastMode    = 0o700
	lastLines   = 4
	maxLast     = 8 << 10 // bytes of a file that are looked at
	maxHostName = 253     // bytes (RFC 1035, 2.3.4)
)

// Last is the last failure of a host.
type Last struct {
	At   time.Time
	ID   ID
	Text string // the sentence and, in parentheses, the cause
	Fix  string
}

// SaveLast leaves f as the last failure of host in the folder dir, which is made when it is missing,
// with its parent. The file is replaced in one step. It must be called as root.
func SaveLast(dir, host string, f *Fault) error {
	if !fileName(host) {
		return errHost
	}
	if err := makeLast(dir); err != nil {
		return err
	}
	text := f.What()
	if cause := f.Cause(); cause != "" {
		text += " (" + cause + ")"
	}
	content := fmt.Sprintf("%s\n%s\n%s\n%s\n", time.Now().UTC().Format(time.RFC3339Nano), f.ID(), text, f.Fix())
	temp, err := os.CreateTemp(dir, ".tmp-") // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.WriteString(content)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, host))
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err
}

// LoadLast gives the last failure of host; ok is false when there is none, or none that can be read.
func LoadLast(dir, host string) (last Last, ok bool) {
	if !fileName(host) || safeFolder(dir) != nil {
		return Last{}, false
	}
	f, err := os.OpenFile(filepath.Join(dir, host), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Last{}, false
	}
	defer func() { _ = f.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(f, maxLast))
	if err != nil {
		return Last{}, false
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(lines) != lastLines {
		return Last{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, lines[0])
	if err != nil {
		return Last{}, false
	}
	return Last{At: at, ID: ID(line(lines[1])), Text: line(lines[2]), Fix: line(lines[3])}, true
}

// ClearLast removes the last failure of host and reports whether there was one.
func ClearLast(dir, host string) bool {
	return fileName(host) && safeFolder(dir) == nil && os.Remove(filepath.Join(dir, host)) == nil
}

var errHost = errors.New("not a host name")

// fileName reports whether a host can be the name of a file: a name of the DNS in lower case, which
// begins with no dot and holds no slash.
func fileName(host string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	return host != "" && len(host) <= maxHostName && host[0] != '.' && strings.Trim(host, letters) == ""
}

// makeLast makes the folder and its parent, and refuses those that others than root can change.
func makeLast(dir string) error {
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{{filepath.Dir(dir), lastRunMode}, {dir, lastMode}} {
		err := os.Mkdir(d.path, d.mode)
		if err == nil {
			err = os.Chmod(d.path, d.mode) // whatever the umask
		} else if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return safeFolder(dir)
}

func safeFolder(dir string) error {
	var st unix.Stat_t
	err := unix.Lstat(dir, &st)
	switch {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o022 != 0:
		return fmt.Errorf("%s is not a folder of root's alone", dir)
	}
	return nil
}
