package watcher

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// dropin is the name by which units, containers and people know the daemon.
const dropin = "azfilesrefresh"

const defaultMountinfo = "/proc/self/mountinfo"

// help is what --help prints.
const help = `usage: azfilesrefresh [--mountinfo PATH] [--socket PATH] [--config PATH]
       azfilesrefresh --provision [--config PATH]

Keeps the Kerberos tickets of mounted Azure Files shares fresh, in the foreground, until SIGTERM.
SIGHUP reads the configuration again and reopens the log file.

  --provision       get the tickets of the shares in /etc/fstab that want this service, and end
  --mountinfo PATH  the mount table to follow (` + defaultMountinfo + `)
  --socket PATH     where azfilesauth status and refresh reach it (` + control.DefaultPath + `)
  --config PATH     the configuration (` + config.DefaultPath + `)
  -V, --version     print the version
  -h, --help        print this
`

// arguments are a command line of azfilesrefresh.
type arguments struct {
	Provision, Version, Help  bool
	Mountinfo, Socket, Config string // absolute paths, the defaults filled in
}

// parseArgs reads a command line without the program's name. Its errors are of the kind fault.Usage.
func parseArgs(args []string) (arguments, error) {
	a := arguments{Mountinfo: defaultMountinfo, Socket: control.DefaultPath, Config: config.DefaultPath}
	switches := map[string]*bool{
		"--provision": &a.Provision, "--version": &a.Version, "-V": &a.Version, "--help": &a.Help, "-h": &a.Help,
	}
	paths := map[string]*string{"--mountinfo": &a.Mountinfo, "--socket": &a.Socket, "--config": &a.Config}
	for len(args) > 0 {
		name, value, valued := strings.Cut(args[0], "=")
		args = args[1:]
		on, path := switches[name], paths[name]
		if on != nil && valued {
			return a, wrongArgs(name + " takes no value")
		}
		if on != nil {
			*on = true
			continue
		}
		if path == nil {
			return a, wrongArgs("there is no argument " + name)
		}
		if !valued && len(args) == 0 {
			return a, wrongArgs(name + " needs a path")
		}
		if !valued {
			value, args = args[0], args[1:]
		}
		if !filepath.IsAbs(value) {
			return a, wrongArgs("the path for " + name + " must be absolute")
		}
		*path = filepath.Clean(value)
	}
	return a, nil
}

func wrongArgs(problem string) error {
	return fault.Usage.New(problem, dropin)
}

// The variables that azfilesrefresh takes into account; all others come from the configuration.
const (
	sleepVariable  = "AZFILES_REFRESH_SLEEP_SECONDS"
	beforeVariable = "AZFILES_REFRESH_BEFORE_EXPIRY_SECONDS"
)

// The bounds of the variables, in seconds.
const (
	minSleep = 5
	maxSleep = 24 * 60 * 60
)

// tunables are what the variables set; 0 is not set.
type tunables struct {
	// Look is the longest time between two looks when nothing happens. The program before this one
	// looked only as often; here events come first, and this is for what no event tells.
	Look time.Duration
	// BeforeExpiry takes the place of refresh: before_expiry in the configuration, see Policy.Before.
	BeforeExpiry time.Duration
}

// readTunables reads the variables. A value that cannot be used is not set, and told in problems.
func readTunables(getenv func(string) string) (t tunables, problems []string) {
	for _, v := range []struct {
		name  string
		least int
		to    *time.Duration
	}{{sleepVariable, minSleep, &t.Look}, {beforeVariable, 1, &t.BeforeExpiry}} {
		text := strings.TrimSpace(getenv(v.name))
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < v.least || n > maxSleep {
			problems = append(problems, fmt.Sprintf("%s must be a number of seconds from %d to %d; the default is used", v.name, v.least, maxSleep))
			continue
		}
		*v.to = time.Duration(n) * time.Second
	}
	return t, problems
}
