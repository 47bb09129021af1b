package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func watchFlags(f *pflag.FlagSet, s *session) {
	f.StringVar(&s.Mounts, "mountinfo", s.Mounts, "the mount table to follow, such as /proc/1/mountinfo: a `PATH`")
	f.StringVar(&s.Socket, "socket", s.Socket, "where status and refresh reach it: a `PATH`")
	f.StringVar(&s.Config, "config", s.Config, "the configuration: a `PATH`")
}

// relativePath tells of a path of the daemon that depends on where it is started.
func relativePath(s *session, _ []string) string {
	for _, p := range []struct{ flag, path string }{{"--config", s.Config}, {"--mountinfo", s.Mounts}, {"--socket", s.Socket}} {
		if !filepath.IsAbs(p.path) {
			return "the path for " + p.flag + " must be absolute"
		}
	}
	return ""
}

// watchMounts runs the daemon, which tells all that happens itself.
func (s *session) watchMounts(*cobra.Command, []string) error {
	s.exit = s.Watch(s.Host, s.Socket)
	return nil
}
