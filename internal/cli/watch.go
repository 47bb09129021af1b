package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// WatchOptions are what azfilesauth watch hands to the daemon. Its paths are absolute.
type WatchOptions struct {
	Config    string // the configuration
	Mountinfo string // the mount table
	Socket    string // where status and refresh reach it
}

func watchFlags(f *pflag.FlagSet, s *session) {
	s.watch = WatchOptions{Config: s.Config, Mountinfo: s.Mounts, Socket: s.Socket}
	f.StringVar(&s.watch.Mountinfo, "mountinfo", s.Mounts, "the mount table to follow, such as /proc/1/mountinfo: a `PATH`")
	f.StringVar(&s.watch.Socket, "socket", s.Socket, "where status and refresh reach it: a `PATH`")
	f.StringVar(&s.watch.Config, "config", s.Config, "the configuration: a `PATH`")
}

// relativePath tells of a path of the daemon that depends on where it is started.
func relativePath(s *session, _ []string) string {
	for _, p := range []struct{ flag, path string }{{"--config", s.watch.Config}, {"--mountinfo", s.watch.Mountinfo}, {"--socket", s.watch.Socket}} {
		if !filepath.IsAbs(p.path) {
			return "the path for " + p.flag + " must be absolute"
		}
	}
	return ""
}

// watchMounts runs the daemon, which tells all that happens itself.
func (s *session) watchMounts(*cobra.Command, []string) error {
	s.exit = s.Watch(s.watch)
	return nil
}
