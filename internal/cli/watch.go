package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"
)

// WatchOptions are what azfilesauth watch hands to the daemon. Its paths are absolute.
type WatchOptions struct {
	Config    string // the configuration
	Mountinfo string // the mount table
	Socket    string // where status and refresh reach it
}

func (s *session) watchCommand() *cobra.Command {
	o := WatchOptions{Config: s.Config, Mountinfo: s.MountTable, Socket: s.Socket}
	cmd := s.command("watch [flags]", "Keep the tickets of mounted shares fresh", words(),
		func(context.Context, []string) error { return s.watch(o) })
	cmd.Long = "Keep the tickets of mounted shares fresh, in the foreground, until SIGTERM. SIGHUP reads the\n" +
		"configuration again. As a service it is azfilesrefresh: " + startDaemon
	cmd.Flags().StringVar(&o.Mountinfo, "mountinfo", o.Mountinfo, "the mount table to follow, such as /proc/1/mountinfo: a `PATH`")
	cmd.Flags().StringVar(&o.Socket, "socket", o.Socket, "where status and refresh reach it: a `PATH`")
	cmd.Flags().StringVar(&o.Config, "config", o.Config, "the configuration: a `PATH`")
	return cmd
}

// watch runs the daemon, which tells all that happens itself.
func (s *session) watch(o WatchOptions) error {
	for _, p := range []struct{ flag, path string }{{"--config", o.Config}, {"--mountinfo", o.Mountinfo}, {"--socket", o.Socket}} {
		if !filepath.IsAbs(p.path) {
			return usage("azfilesauth watch", "the path for "+p.flag+" must be absolute")
		}
	}
	if err := s.needRoot("watch"); err != nil {
		return err
	}
	s.exit = s.Watch(o)
	return nil
}
