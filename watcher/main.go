package watcher

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/log"
)

// Main is azfilesrefresh on this machine. It takes os.Args and gives the exit status.
func Main(args []string, version string) int {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // tickets pass through its memory; fails only for a wrong argument
	a, err := parseArgs(args[1:])
	if err != nil {
		return failed(err)
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
		return failed(fault.NotRoot.New(dropin))
	}
	h := a.on(host.Real())
	out, reopen := openLog(h, dropinLog, os.Stderr)
	if a.Provision {
		provision(context.Background(), h, out)
		return 0
	}
	tuned, problems := readTunables(os.Getenv)
	for _, problem := range problems {
		out.Warn(problem)
	}
	return Run(context.Background(), Options{
		Host: h, Name: dropin, Version: version, Socket: a.Socket,
		Log: out, Reopen: reopen, Look: tuned.Look, BeforeExpiry: tuned.BeforeExpiry,
		OpenRing: keyring.OpenRing, ForgetFailures: keyring.ForgetFailures,
	})
}

// on is the machine h with the configuration and the mount table of the command line.
func (a arguments) on(h host.Host) host.Host {
	h.Config, h.Mounts = a.Config, a.Mountinfo
	return h
}

// Watch is azfilesauth watch on this machine. It fills in what o leaves open and gives the exit status.
func Watch(o Options) int {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // as in Main
	if o.Name == "" {
		o.Name = "azfilesauth watch"
	}
	if o.Log == nil {
		o.Log = foregroundLog(o.Host)
	}
	o.OpenRing, o.ForgetFailures = keyring.OpenRing, keyring.ForgetFailures
	return Run(context.Background(), o)
}

// foregroundLog is stderr, and where the configuration wants logs. Under systemd stderr is the journal
// already (systemd.exec(5), JOURNAL_STREAM), which adds the time itself.
func foregroundLog(h host.Host) *slog.Logger {
	journal := os.Getenv("JOURNAL_STREAM") != ""
	stderr := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if journal && len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	cfg, err := config.Read(h)
	if err != nil {
		return slog.New(stderr) // which will say so
	}
	destination, file := cfg.Log()
	if journal && destination != log.File {
		return slog.New(stderr)
	}
	return slog.New(slog.NewMultiHandler(stderr, log.Open(h, destination, file, "azfilesauth").Handler()))
}
