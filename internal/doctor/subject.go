package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// Options say what is looked at, and with what. What is nil is this machine's own; the zero Host is
// host.Real.
type Options struct {
	host.Host
	Endpoint string // what a person named: a host, a URL, a share or a mount point; "" is everything known
	Offline  bool   // files alone
	EUID     int    // the effective uid of this process
	Version  string // of this program
	Self     string // the binary of this program, as a path of this machine

	Lookup    Lookup
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	Transport http.RoundTripper // to Entra and the storage accounts
	IMDS      http.RoundTripper // to the machine's identity service
	Kernel    Kernel

	asLive bool // the root is this machine's own, wherever it is: for tests
}

// Lookup is the part of a net.Resolver that the checks use.
type Lookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// Kernel is what the checks ask the kernel that no file tells.
type Kernel interface {
	// AddKey adds a key of a type to the process's own keyring and takes it away again. The error is
	// the kernel's.
	AddKey(keyType, description string) error
	// Describe asks what a key is and whose.
	Describe(key keyring.Serial) (keyring.Description, error)
	// Log gives the kernel's messages, oldest first.
	Log() ([]LogLine, error)
}

// LogLine is a message of the kernel.
type LogLine struct {
	At   time.Duration // since the machine started
	Text string
}

// Subject is what is being looked at. The checks share it and change nothing in it.
type Subject struct {
	Options

	Config    *config.Config // the defaults when the file cannot be used
	ConfigErr error          // why it cannot, a fault

	Mounts    []mounts.Mount // of the endpoints that the configuration knows, whatever their sec=
	MountsErr error
	Fstab     []mounts.FstabLine // of all types
	Flaws     []mounts.FstabFlaw // lines of fstab that mount(8) ignores
	FstabErr  error

	Attempts    []lastfault.Attempt // mounts that failed, the newest last
	AttemptsErr error

	Targets []Target // the endpoints under test
	Target  *Target  // of a check per endpoint, nil otherwise

	place string   // the mount point that a user named; "" for a host and for nothing
	alone []Target // one without an Endpoint, see Check.Alone
	memo  *memo
}

// memo keeps what several checks need and is costly to get, each by its name.
type memo struct {
	mu    sync.Mutex
	cells map[string]any
}

// once gives what do gives to the first who asks for that name; the others wait for it.
func once[T any](s *Subject, name string, do func() T) T {
	s.memo.mu.Lock()
	cell, ok := s.memo.cells[name].(func() T)
	if !ok {
		if s.memo.cells == nil {
			s.memo.cells = map[string]any{}
		}
		cell = sync.OnceValue(do)
		s.memo.cells[name] = cell
	}
	s.memo.mu.Unlock()
	return cell()
}

// Target is an endpoint under test and where it comes from.
type Target struct {
	Endpoint endpoint.Endpoint
	From     []Origin
	Aside    []Origin // of its other uses, where a mount point was named: nothing in them is worse than a warning
}

// Origin is one place that names an endpoint. Exactly one of the pointers and the two Booleans is set.
type Origin struct {
	Attempt  *lastfault.Attempt
	Mount    *mounts.Mount
	Fstab    *mounts.FstabLine
	Config   bool   // an entry of endpoints
	Argument bool   // a person named it
	Host     string // as it is written there
}

// New reads what all checks need. The error is a fault: the endpoint that was named is none.
func New(o Options) (*Subject, error) {
	if o.Root == "" {
		o.Host = host.Real()
	}
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Kernel == nil {
		o.Kernel = kernel{}
	}
	s := &Subject{Options: o, alone: make([]Target, 1), memo: &memo{}}
	s.Config, s.ConfigErr = config.Read(s.Host)
	if s.ConfigErr != nil { // so that what does not depend on it is looked at all the same
		s.Config = config.Defaults(s.Host)
	}
	resolver := s.Config.Resolver
	s.Mounts, s.MountsErr = mounts.ListFrom(s.Path(o.Host.Mounts), resolver)
	var fstab *os.File
	if fstab, s.FstabErr = s.Open(o.Host.Fstab); s.FstabErr == nil {
		s.Fstab, s.Flaws, s.FstabErr = mounts.ParseFstab(fstab)
		_ = fstab.Close() // only read
	}
	s.Attempts, s.AttemptsErr = lastfault.Attempts(s.Host)
	var err error
	s.Targets, err = s.targets(resolver)
	return s, err
}

// Live reports whether programs, the network and the kernel may be asked.
func (s *Subject) Live() bool { return !s.Offline && (s.Host.Live() || s.asLive) }

// Mode is upcall.mode: who builds the answer to the kernel.
func (s *Subject) Mode() string { return s.Config.Upcall.Mode }

// each gives the subject once for every endpoint under test if the check is of endpoints.
func (s *Subject) each(c Check) []*Subject {
	if !c.PerEndpoint {
		return []*Subject{s}
	}
	targets := s.Targets
	if len(targets) == 0 && c.Alone {
		targets = s.alone
	}
	var all []*Subject
	for i := range targets {
		one := *s
		one.Target = &targets[i]
		all = append(all, &one)
	}
	return all
}

// maxFile bounds a file that is read, in bytes.
const maxFile = 4 << 20

// Open opens a regular file of the machine for reading, whoever it belongs to.
func (s *Subject) Open(path string) (*os.File, error) {
	f, _, err := s.Host.Open(path, 0)
	return f, err
}

// ReadFile reads a regular file of the machine, of at most 4 MiB.
func (s *Subject) ReadFile(path string) ([]byte, error) {
	content, _, err := s.Host.ReadFile(path, maxFile, 0)
	return content, err
}

// ReadEnd reads the end of a regular file of the machine, of at most so many bytes. Without the file there is none of it, and
// beside another error what could be read.
func (s *Subject) ReadEnd(path string, most int64) ([]byte, error) {
	f, err := s.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd) // else from the start, as far as the bound
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// text is a file whose absence means the same as that it is empty, without the spaces around it.
func (s *Subject) text(path string) string {
	content, _ := s.ReadFile(path)
	return strings.TrimSpace(string(content))
}

// Stat examines what is at a path of the machine, links followed.
func (s *Subject) Stat(path string) (fs.FileInfo, error) { return os.Stat(s.Path(path)) }

// Lstat examines what is at a path of the machine, the last link not followed.
func (s *Subject) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(s.Entry(path)) }

// ReadDir lists a directory of the machine, sorted.
func (s *Subject) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(s.Path(path)) }

// FirstOf gives the first path at which there is something, or may be something that this process
// cannot look at; "" for none.
func (s *Subject) FirstOf(paths ...string) string {
	for _, p := range paths {
		if _, err := s.Stat(p); err == nil || errors.Is(err, fs.ErrPermission) {
			return p
		}
	}
	return ""
}

// resolveLinks gives the path of the machine at which a file is, all links followed; the path itself where
// they lead nowhere.
func (s *Subject) resolveLinks(path string) string {
	found := s.Path(path)
	if real, err := filepath.EvalSymlinks(found); err == nil && s.Root == "/" {
		return real
	}
	return s.pathOnMachine(found)
}

// pathOnMachine gives the path of the machine of a path in this process.
func (s *Subject) pathOnMachine(path string) string {
	return filepath.Join("/", strings.TrimPrefix(path, s.Root))
}

// CannotSee is the result of a check that could not read path.
func (s *Subject) CannotSee(path string, err error) Result {
	if errors.Is(err, fs.ErrPermission) && s.EUID != 0 {
		return NotChecked("%s can be read by root only: run it again as root, for example with sudo", path)
	}
	return NotChecked("%s cannot be read: %v", path, host.WithoutPath(err))
}

// secured is the finding that others than root can change what is at a path.
func secured(path, format string, a ...any) Result {
	word := fault.Word("file", path)
	return Warned("chown root:root "+word+" && chmod go-w "+word, format, a...)
}

// fileLine is how a line of a file is named.
func fileLine(path string, line int) string { return fmt.Sprintf("%s:%d", path, line) }

// lineOf gives the number of the first line that matches, 0 for none.
func lineOf(text string, matches func(string) bool) int {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if matches(strings.TrimRight(line, "\n")) {
			return n
		}
	}
	return 0
}
