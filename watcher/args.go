package watcher

import (
	"path/filepath"
	"strings"

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
SIGHUP reads the configuration again and opens the log file anew.

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
		switch {
		case on != nil && !valued:
			*on = true
			continue
		case on != nil:
			return a, wrongArgs(name + " takes no value")
		case path == nil:
			return a, wrongArgs("there is no argument " + name)
		case !valued && len(args) == 0:
			return a, wrongArgs(name + " needs a path")
		case !valued:
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
