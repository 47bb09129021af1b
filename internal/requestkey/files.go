// Package requestkey is the only reader of the rules of request-key(8), the program by which the
// kernel asks user space for a key (request-key.conf(5)). It tells which rule wins for a request and
// what that rule runs, and what is wrong with a file of rules.
//
// Invariants: what request-key 1.6 does counts, not what its manual says; the tests ask the real
// one. A file that cannot be followed is an error with its place, never another rule.
package requestkey

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files of this machine.
const (
	Directory = "/etc/request-key.d"
	LastFile  = "/etc/request-key.conf"
	OurFile   = Directory + "/" + ourName            // that of this product
	StockFile = Directory + "/" + "cifs.spnego.conf" // that of cifs-utils
)

const (
	ourName    = "azfiles.conf"
	ourHandler = "azfiles.upcall"
)

// Files are the configuration of request-key.
type Files struct {
	Directory string // its regular files *.conf are read first, in the order in which the directory lists them
	Last      string // the file that is read last
}

// System gives the files that the kernel's requests go by.
func System() Files { return Files{Directory: Directory, Last: LastFile} }

// Node gives the files that count for the kernel's requests when this process is in a container: request-key runs where
// the machine's first process is. Without a container they are System's. Programs are beneath root. There are none where that
// process cannot be seen, as in a pod without hostPID: it may have our rule, which says nothing of the node.
func Node() (f Files, root string) {
	space, _ := os.Readlink("/proc/self/ns/pid") // without it, it is not known where this is
	return nodeOf(space)
}

// firstPIDs is the PID namespace of the machine's first process (PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h).
const firstPIDs = "pid:[4026531836]"

func nodeOf(space string) (f Files, root string) {
	if space != firstPIDs {
		return Files{}, ""
	}
	const first = "/proc/1/root"
	return Files{Directory: first + Directory, Last: first + LastFile}, first
}

// Login is what the kernel asks for at a login to a host (cifs_get_spnego_key in
// fs/smb/client/cifs_spnego.c).
func Login(host string) Request {
	return Request{Op: "create", Type: "cifs.spnego", Description: fmt.Sprintf(
		"ver=0x2;host=%s;ip4=192.0.2.1;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=0x1000;upcall_target=mount", host)}
}

// AnswersOurs reports whether azfiles.upcall answers the kernel's logins at a host: its rule wins and the program is
// there, beneath root. Whatever cannot be read means that it does not.
func (f Files) AnswersOurs(host, root string) bool {
	rule, err := f.Winner(Login(host), nil)
	if err != nil || !rule.RunsOurs(func(string) bool { return false }) {
		return false
	}
	_, err = os.Lstat(filepath.Join(root, rule.Handler())) // a link of a container's root leads elsewhere from here
	return err == nil
}

// Ours is the path of the file with our own rule.
func (f Files) Ours() string { return filepath.Join(f.Directory, ourName) }

// ErrNoRule means that no rule matches.
var ErrNoRule = errors.New("no rule of request-key matches")

// Error is a line that makes request-key give up, for every key that the line's columns match as far
// as they go.
type Error struct {
	Path    string
	Line    int // counted from 1
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Problem) }

// Winner finds the rule that request-key runs: of all that match the least wild, of equals the one
// that was read first. Rules that skip reports are taken as absent; nil skips none. Errors are
// ErrNoRule, an *Error, or those of reading the files.
func (f Files) Winner(r Request, skip func(Rule) bool) (Rule, error) {
	all, err := f.Matching(r)
	if err != nil {
		return Rule{}, err
	}
	if skip != nil {
		all = slices.DeleteFunc(all, skip)
	}
	if len(all) == 0 {
		return Rule{}, ErrNoRule
	}
	return slices.MinFunc(all, func(a, b Rule) int { return slices.Compare(a.Wild[:], b.Wild[:]) }), nil
}

// Matching gives every rule that matches, in the order in which they are read.
func (f Files) Matching(r Request) ([]Rule, error) {
	paths, err := f.Paths()
	if err != nil {
		return nil, err
	}
	var all []Rule
	for _, path := range paths {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all, err = matching(file, path, r, all)
		_ = file.Close() // only read
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Paths are the files in the order in which request-key reads them; the last may be missing. That
// order is the directory's own, so os.ReadDir, which sorts, is not used.
func (f Files) Paths() ([]string, error) {
	dir, err := os.Open(f.Directory)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{f.Last}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // only read
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && name[0] != '.' && len(name) >= 5 && strings.HasSuffix(name, ".conf") {
			paths = append(paths, filepath.Join(f.Directory, name))
		}
	}
	return append(paths, f.Last), nil
}

// matching appends the rules of one file to all.
func matching(in io.Reader, path string, r Request, all []Rule) ([]Rule, error) {
	lines := bufio.NewReaderSize(in, maxLine)
	for n := 1; ; n++ {
		text, err := lines.ReadSlice('\n')
		if len(text) == 0 && errors.Is(err, io.EOF) {
			return all, nil
		}
		if len(text) >= maxLine {
			return all, &Error{path, n, "the line is too long"}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return all, err
		}
		l, ok := parse(string(text))
		if !ok {
			continue
		}
		rule, ok, problem := l.match(r)
		if problem != "" {
			return all, &Error{path, n, problem}
		}
		if ok {
			rule.Path, rule.Line = path, n
			all = append(all, rule)
		}
	}
}
