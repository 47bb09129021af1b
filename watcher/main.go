package watcher

import (
	"context"
	"fmt"
	"os"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
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
	h := a.on(host.Real())
	h.Ignored = ignored
	out := log.Dropin(h, log.DaemonFile, os.Stderr, logSettings(h), log.StderrIsJournal())
	defer out.Flush(log.Patience)
	if a.Provision {
		provision(context.Background(), h, out.Logger)
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

// on is the machine h with the configuration and the mount table of the command line.
func (a arguments) on(h host.Host) host.Host {
	h.Config, h.Mounts = a.Config, a.Mountinfo
	return h
}

// Watch is azfilesauth watch on this machine. It fills in what o leaves open and gives the exit status.
func Watch(o Options) int {
	confine.HideMemory()
	if o.Name == "" {
		o.Name = "azfilesauth watch"
	}
	out := log.Foreground(o.Host, os.Stderr, logSettings(o.Host), log.StderrIsJournal())
	defer out.Flush(log.Patience)
	o.Log, o.Reopen = out.Logger, out.Reopen
	o.Access = tickets.RealAccess()
	return Run(context.Background(), o)
}

// logSettings are what the configuration says of the log; one that cannot be read is told of later.
func logSettings(h host.Host) log.Settings {
	cfg, err := config.Read(h)
	if err != nil {
		cfg = config.Defaults(h)
	}
	return cfg.Log
}
