package watcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// events are those that come from our own goroutines.
type events struct {
	calls   chan func()   // to be run by run
	results chan result   // of the jobs
	changed chan struct{} // a cache has
	ended   chan struct{} // run has

	quiet    *time.Timer // runs for merge after a look
	quieting bool
	again    bool // something happened meanwhile
}

// The causes.
const (
	network       cause = iota // the default route, or what resolves names
	configuration              // a file of it
)

// cause is something beside mounts and caches whose change can repair what failed.
type cause int

// configQuiet is how long the files of the configuration are left alone before they are read: some who write
// them make them empty first.
const configQuiet = time.Second

// surroundings tells of changes that can repair something, each as often as it happens. The error says of what
// nothing will be told; the rest is.
func surroundings(ctx context.Context, h host.Host) (<-chan cause, error) {
	out := make(chan cause)
	return out, errors.Join(watchRoutes(ctx, out), watchFiles(ctx, h, out))
}

func send(ctx context.Context, out chan<- cause, c cause) {
	select {
	case out <- c:
	case <-ctx.Done():
	}
}

// watchRoutes follows the default routes (rtnetlink(7)).
func watchRoutes(ctx context.Context, out chan<- cause) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("following the routes: %w", err)
	}
	routes := os.NewFile(uintptr(fd), "rtnetlink")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE}); err != nil {
		return errors.Join(fmt.Errorf("following the routes: %w", err), routes.Close())
	}
	context.AfterFunc(ctx, func() { _ = routes.Close() })
	go func() {
		b := make([]byte, 32<<10)
		for {
			n, err := routes.Read(b)
			if err != nil && !errors.Is(err, unix.ENOBUFS) { // some were lost: one of them may be ours
				return
			}
			if err != nil || isDefaultRoute(b[:n]) {
				send(ctx, out, network)
			}
		}
	}()
	return nil
}

// isDefaultRoute reports whether messages of rtnetlink tell of a route whose destination has no bits.
func isDefaultRoute(b []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return false
	}
	for _, m := range messages {
		route := m.Header.Type == unix.RTM_NEWROUTE || m.Header.Type == unix.RTM_DELROUTE
		if route && len(m.Data) >= unix.SizeofRtMsg && m.Data[1] == 0 { // rtm_dst_len
			return true
		}
	}
	return false
}

// watchFiles follows the files of the configuration, and the one that names the resolvers.
func watchFiles(ctx context.Context, h host.Host, out chan<- cause) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("following the configuration: %w", err)
	}
	own := filepath.Dir(h.Path(h.Config))
	layers := filepath.Join(own, "config.d")
	resolvers := h.Entry("/etc/resolv.conf")
	followLink := func() { // which leads elsewhere when another service takes the resolvers over
		if target, err := filepath.EvalSymlinks(resolvers); err == nil {
			_ = w.Add(filepath.Dir(target))
		}
	}
	for _, dir := range []string{filepath.Dir(own), own, layers, filepath.Dir(resolvers)} {
		_ = w.Add(dir) // one that is missing tells nothing
	}
	followLink()
	go func() {
		defer func() { _ = w.Close() }()
		quiet := time.NewTimer(time.Hour)
		quiet.Stop()
		for {
			select {
			case e := <-w.Events:
				if e.Name == own || e.Name == layers { // which may be another directory now
					_, _ = w.Add(own), w.Add(layers)
				}
				if name := filepath.Base(e.Name); name == "resolv.conf" || name == "hosts" {
					followLink()
					send(ctx, out, network)
				} else if dir := filepath.Dir(e.Name); dir == layers || e.Name == layers || e.Name == own || e.Name == h.Path(h.Config) || strings.HasPrefix(filepath.Base(e.Name), "..") {
					quiet.Reset(configQuiet)
				}
			case <-w.Errors: //nolint:errcheck // events were lost: everything may have changed
				quiet.Reset(configQuiet)
			case <-quiet.C:
				send(ctx, out, configuration)
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// noticedLate is why changes of a file are not told of.
func noticedLate(path string, err error) error {
	if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	if f, failed := os.Open(os.DevNull); failed == nil { // it was not for want of descriptors
		_ = f.Close()
		return fault.Inotify.New(path).Because(errors.New(err.Error()))
	}
	return fault.From(err)
}
