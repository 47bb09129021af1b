package watcher

import (
	"context"
	"fmt"
	"os"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// Main is azfilesrefresh on this machine. It takes os.Args and what was taken out of the environment, and gives the exit
// status.
func Main(args []string, version string, ignored map[string]string) int {
	confine.HideMemory()
	a, err := parseArgs(args[1:])
	if err != nil {
		return failed(dropin, err)
	}
	if a.Help {
		fmt.Print(help)
		return 0
	}
	if a.Version {
		fmt.Printf("%s from azfilesauth %s\n", dropin, version)
		return 0
	}
	if os.Geteuid() != 0 {
		return failed(dropin, fault.NotRoot.New(dropin))
	}
	h := host.Real()
	h.Config, h.Mounts, h.Ignored = a.Config, a.Mountinfo, ignored
	out := log.Dropin(h, log.DaemonFile, os.Stderr, logSettings(h), log.StderrIsJournal())
	defer out.Flush(log.Patience)
	if a.Provision {
		provisioner{host: h, log: out.Logger, Access: tickets.Access{OpenRing: keyring.OpenRing}}.run(context.Background())
		return 0
	}
	tuned, problems := readTunables(os.Getenv)
	for _, problem := range problems {
		out.Warn(problem)
	}
	return Run(context.Background(), Options{
		Host: h, Name: dropin, Version: version, Socket: a.Socket,
		Log: out.Logger, Reopen: out.Reopen, Look: tuned.Look, BeforeExpiry: tuned.BeforeExpiry,
		Access: tickets.RealAccess(),
	})
}

// Watch is azfilesauth watch on the machine h, which others reach at socket. It gives the exit status.
func Watch(h host.Host, version, socket string) int {
	confine.HideMemory()
	out := log.Foreground(h, os.Stderr, logSettings(h), log.StderrIsJournal())
	defer out.Flush(log.Patience)
	return Run(context.Background(), Options{
		Host: h, Name: "azfilesauth watch", Version: version, Socket: socket,
		Log: out.Logger, Reopen: out.Reopen, Access: tickets.RealAccess(),
	})
}

// logSettings are what the configuration says of the log; one that cannot be read is told of later.
func logSettings(h host.Host) log.Settings {
	cfg, err := config.Read(h)
	if err != nil {
		cfg = config.Defaults(h)
	}
	return cfg.Log
}
