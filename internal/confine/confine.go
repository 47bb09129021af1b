// Package confine runs a program of a user's as that user, with nothing that is root's within its reach, and takes from
// this process what it does not need (Contain).
//
// What a child of root's inherits is more than its user id: the terminal, into which it can type
// (TIOCSTI), the session keyring, the authority to answer a request of the kernel, open files, and after
// its end whatever it has left running. None of it can be given up by os/exec between fork and exec. So
// this program starts itself again, under another name: the keeper, which gives all of that up, starts
// the program as its user, and waits until it and everything that it has started are gone.
//
// Invariants: the program has a session and a session keyring of its own, no controlling terminal, no
// authority over a key, no way to more privileges (no_new_privs) and no descriptors but the three
// standard ones, of which the first is empty. The keeper belongs to the caller's user and cannot be
// traced. What descends from the program ends with it, and with the caller: also what made itself a
// session of its own.
package confine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is what to run. Its environment is Env and nothing else, its directory is /.
type Program struct {
	Path string
	Args []string // without the program's name
	Env  []string
	User *syscall.Credential // nil is the caller's
}

const (
	keeperName = "azfilesauth-keeper"
	nobodyElse = "-" // the keeper's word for the caller's user

	// endTime bounds the keeper's work of ending what is left.
	endTime = 5 * time.Second
)

// Run runs the program and gives its outputs to the writers. When ctx ends so does the program. The errors
// are those of os/exec; what keeps the program from being started is told on stderr.
func (p Program) Run(ctx context.Context, stdout, stderr io.Writer) error {
	user := nobodyElse
	if c := p.User; c != nil {
		words := []string{strconv.Itoa(int(c.Uid)), strconv.Itoa(int(c.Gid))}
		for _, g := range c.Groups {
			words = append(words, strconv.Itoa(int(g)))
		}
		user = strings.Join(words, ",")
	}
	cmd := exec.CommandContext(ctx, self(), append([]string{user, p.Path}, p.Args...)...)
	cmd.Args[0] = keeperName
	cmd.Env, cmd.Dir = append([]string{}, p.Env...), "/"
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// The keeper ends everything when its standard input does: also when this process is killed.
	held, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel = held.Close
	cmd.WaitDelay = 2 * endTime
	return cmd.Run()
}

// HideMemory keeps what passes through this process's memory, tokens, keys and tickets, from core dumps and from other
// processes of its user.
func HideMemory() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) } // fails only for an argument that is wrong

// Isolate cuts the process off from where it was started: it hides its memory, and the environment goes, because there
// is none at boot and at the kernel's request: what a mount by hand takes from it would be missing there.
func Isolate() {
	HideMemory()
	os.Clearenv()
}

// IsSetUID reports whether this process has the rights of another user than the one who started it, as mount.cifs has
// with its set-user-id bit. Nothing here is safe then: that user chooses the face, by its name, and its arguments.
func IsSetUID() bool { return os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() }

// self is this program; where it is a library of another one, the program that came with it.
func self() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-buildmode" && s.Value == "c-shared" {
				return "/usr/bin/azfilesauth"
			}
		}
	}
	return "/proc/self/exe"
}

// init is the keeper where this program was started as one: before anything else is done, and in every
// program that runs others, tests included, but not in one that has borrowed another user's rights.
func init() {
	if len(os.Args) > 2 && os.Args[0] == keeperName && !IsSetUID() {
		os.Exit(keep(os.Args[1], os.Args[2:]))
	}
}

// credential reads the keeper's first argument, nil for the caller's user.
func credential(text string) (*syscall.Credential, error) {
	if text == nobodyElse {
		return nil, nil
	}
	var ids []uint32
	for word := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, err
		}
		ids = append(ids, uint32(id))
	}
	if len(ids) < 2 {
		return nil, fmt.Errorf("%q is not a user and group", text)
	}
	return &syscall.Credential{Uid: ids[0], Gid: ids[1], Groups: ids[2:]}, nil
}
