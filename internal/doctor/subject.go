package doctor

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// modeCIFS is the upcall.mode in which the cifs.upcall of cifs-utils answers the kernel.
const modeCIFS = "cifs"

// Options say what is looked at, and with what. What is nil or empty is this machine's own.
type Options struct {
	Root       string // the folder under which the machine's files are; "" is /
	ConfigPath string // beneath the root; "" is config.DefaultPath
	Endpoint   string // what a person named: a host, a URL, a share or a mount point; "" is everything known
	Offline    bool   // files alone
	EUID       int    // the effective uid of this process
	Version    string // of this program
	Self       string // the binary of this program, as a path of this machine

	Now       func() time.Time
	Lookup    Lookup
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	Transport http.RoundTripper // to Entra and the storage accounts
	IMDS      http.RoundTripper // to the machine's identity service
	Command   Command
	Kernel    Kernel

	asLive bool // the root is this machine's own, wherever it is: for tests
}

// Lookup is the part of a net.Resolver that the checks use.
type Lookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// Command runs a program by its absolute path without a shell, with an empty standard input and a
// fixed environment, and gives what it printed on both outputs, at most 64 KiB. The error is that of
// os/exec.
type Command func(ctx context.Context, path string, args ...string) (output string, err error)

// Kernel is what the checks ask the kernel that no file tells.
type Kernel interface {
	// AddKey adds a key of a type to the process's own keyring and takes it away again. The error is
	// the kernel's.
	AddKey(keyType, description string) error
	// MountOption asks whether a file system knows an option, without mounting anything. The error is
	// the kernel's: unix.EINVAL for an option that it does not know.
	MountOption(fsType, option, value string) error
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
	FstabErr  error

	Targets []Target // the endpoints under test
	Target  *Target  // of a check per endpoint, nil otherwise

	memo *memo
}

// Target is an endpoint under test and where it comes from.
type Target struct {
	Endpoint endpoint.Endpoint
	From     []Origin
}

// Origin is one place that names an endpoint. Exactly one of Mount, Fstab and the two Booleans is set.
type Origin struct {
	Mount    *mounts.Mount
	Fstab    *mounts.FstabLine
	Config   bool   // an entry of endpoints
	Argument bool   // a person named it
	Host     string // as it is written there
}

// New reads what all checks need. The error is a fault: the endpoint that was named is none.
func New(o Options) (*Subject, error) {
	o = o.complete()
	s := &Subject{Options: o, memo: &memo{}}
	s.Config, s.ConfigErr = config.LoadFor(s.Path(o.ConfigPath), s.Path("/etc/passwd"))
	if s.ConfigErr != nil { // so that what does not depend on it is looked at all the same
		s.Config, _ = config.LoadFor("", s.Path("/etc/passwd")) // there is no such file, so these are the defaults
	}
	resolver := s.Config.Resolver()
	s.Mounts, s.MountsErr = mounts.ListFrom(s.mountTable(), resolver)
	s.Fstab, s.FstabErr = s.readFstab()
	var err error
	s.Targets, err = s.targets(resolver)
	return s, err
}

// complete fills in what was left out with this machine's own.
func (o Options) complete() Options {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.ConfigPath == "" {
		o.ConfigPath = config.DefaultPath
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Command == nil {
		o.Command = run
	}
	if o.Kernel == nil {
		o.Kernel = kernel{}
	}
	return o
}

// Live reports whether programs, the network and the kernel may be asked.
func (s *Subject) Live() bool { return !s.Offline && (filepath.Clean(s.Root) == "/" || s.asLive) }

// Mode is upcall.mode: who builds the answer to the kernel.
func (s *Subject) Mode() string { return s.Config.UpcallMode() }

// mountTable is the path of the mount table: with another root, what its first process sees.
func (s *Subject) mountTable() string {
	if filepath.Clean(s.Root) == "/" {
		return "/proc/self/mountinfo"
	}
	return s.Path("/proc/1/mountinfo")
}

func (s *Subject) readFstab() ([]mounts.FstabLine, error) {
	f, err := s.Open("/etc/fstab")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return mounts.ParseFstab(f)
}

// each gives the subject once for every endpoint under test if the check is of endpoints.
func (s *Subject) each(c Check) []*Subject {
	if !c.PerEndpoint {
		return []*Subject{s}
	}
	var all []*Subject
	for i := range s.Targets {
		one := *s
		one.Target = &s.Targets[i]
		all = append(all, &one)
	}
	return all
}
