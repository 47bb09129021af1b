package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

const daemonName = "azfilesrefresh"

// daemon is azfilesrefresh, and what it was started by.
type daemon struct {
	*exec.Cmd
	ended chan struct{}
}

// daemon [WRAPPER...] starts azfilesrefresh and waits until it says so. It ends with the story.
func (m *machine) startDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: daemon [WRAPPER...]")
	}
	before, err := m.log.since("daemon")
	ts.Check(err)
	command := append(slices.Clone(args), daemonName)
	d := &daemon{exec.Command(command[0], command[1:]...), make(chan struct{})}
	d.Dir = ts.MkAbs(".")
	ts.Check(d.Start())
	go func() { _ = d.Wait(); close(d.ended) }()
	m.daemon = d
	ts.Defer(func() {
		if pid, err := daemonPID(); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-d.ended
	})
	ts.Check(until("the daemon", func() bool {
		now, err := m.log.since("daemon")
		return err == nil && bytes.Contains(now[len(before):], []byte(" [INFO] AZ Files Refresh Daemon started. "))
	}))
}

// daemonPID finds the daemon, which may be PID 1 in a namespace of its own.
func daemonPID() (int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if comm, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(comm)) == daemonName {
			return strconv.Atoi(filepath.Base(filepath.Dir(name)))
		}
	}
	return 0, errors.New("the daemon is not running")
}

// daemonEnd is within what time the daemon ends at SIGTERM.
const daemonEnd = 5 * time.Second

// daemon-ends TERM|KILL sends the signal to the daemon, which must end in good time.
func (m *machine) endDaemon(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	if neg || len(args) != 1 || signals[args[0]] == 0 {
		ts.Fatalf("usage: daemon-ends TERM|KILL")
	}
	pid, err := daemonPID()
	ts.Check(err)
	start := time.Now()
	ts.Check(syscall.Kill(pid, signals[args[0]]))
	select {
	case <-m.daemon.ended:
	case <-time.After(daemonEnd):
		ts.Fatalf("it has not ended within %v", daemonEnd)
	}
	fmt.Printf("the daemon: SIG%s ended it within %v\n", args[0], time.Since(start).Round(time.Millisecond))
	if code := m.daemon.ProcessState.ExitCode(); args[0] == "TERM" && code != 0 {
		ts.Fatalf("its exit status was %d", code)
	}
}

// memory MIB demands that the daemon has less memory than that, and never had more.
func (m *machine) memory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: memory MIB")
	}
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	pid, err := daemonPID()
	ts.Check(err)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	ts.Check(err)
	now, own, peak := kib(status, "VmRSS:"), kib(status, "RssAnon:"), kib(status, "VmHWM:")
	fmt.Printf("the daemon: %.1f MiB resident, of which %.1f its own and the rest its program's; %.1f at most\n",
		float64(now)/1024, float64(own)/1024, float64(peak)/1024)
	if peak == 0 || peak >= limit*1024 {
		ts.Fatalf("the daemon had %d KiB resident", peak)
	}
}

// kib finds a number of KiB in a process's status (proc(5)), 0 if it is not there.
func kib(status []byte, name string) int {
	_, rest, _ := strings.Cut(string(status), name)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(f[0]) // 0 is as good as an error
	return n
}

// told is what the daemon tells of an endpoint.
func told(host string) (control.Endpoint, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := control.NewClient(control.DefaultPath).Status(ctx)
	if err != nil {
		return control.Endpoint{}, false
	}
	i := slices.IndexFunc(s.Endpoints, func(e control.Endpoint) bool { return e.Host == host })
	if i < 0 {
		return control.Endpoint{}, false
	}
	return s.Endpoints[i], true
}

// noticed HOST LEAST MOST demands that the daemon soon knows of a ticket that ends in that time.
func noticed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: noticed HOST LEAST MOST")
	}
	least, err := time.ParseDuration(args[1])
	ts.Check(err)
	most, err := time.ParseDuration(args[2])
	ts.Check(err)
	var e control.Endpoint
	err = until("the daemon to notice", func() bool {
		e, _ = told(args[0])
		left := time.Until(e.TicketEnd)
		return left >= least && left <= most
	})
	if err != nil {
		ts.Fatalf("%v: it knows %+v", err, e)
	}
}

const (
	// planLimit is how soon after the change of the mount table a mount is in the plan.
	planLimit = 100 * time.Millisecond
	// planTries is how often that is measured at most: this machine may have other things to do.
	planTries = 5
)

// planned HOST TARGET mounts the share at TARGET, as fstab says, and demands that the daemon has HOST in
// its plan at once. It stays mounted.
func (m *machine) planned(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: planned HOST TARGET")
	}
	for try := 1; ; try++ {
		took, err := m.timeToPlan(args[0], args[1])
		ts.Check(err)
		fmt.Printf("the daemon: %s was in the plan %v after the change of the mount table\n", args[0], took.Round(100*time.Microsecond))
		if took <= planLimit {
			return
		}
		if try == planTries {
			ts.Fatalf("it took more than %v each time", planLimit)
		}
		ts.Check(syncRun("umount", args[1]))
		ts.Check(until("the end of the mount", func() bool { _, known := told(args[0]); return !known }))
	}
}

// timeToPlan is the time from the change of the mount table, as the kernel tells it to us as well, to the
// daemon's line that the host is watched.
func (m *machine) timeToPlan(host, target string) (time.Duration, error) {
	before, err := m.log.since("daemon")
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changes, err := mounts.Watch(ctx, "/proc/self/mountinfo")
	if err != nil {
		return 0, err
	}
	result := make(chan error, 1)
	go func() { result <- syncRun("mount", target) }()
	var changed time.Time
	for !mountedAt(target) {
		select {
		case <-changes:
			changed = time.Now()
		case <-time.After(time.Minute):
			return 0, fmt.Errorf("nothing was mounted at %s", target)
		}
	}
	var planned time.Time
	err = until("the daemon to watch "+host, func() bool {
		now, _ := m.log.since("daemon") // there was an earlier part of it
		planned = lineTime(now[len(before):], " [INFO] watched host="+host+" ")
		return !planned.IsZero()
	})
	return max(planned.Sub(changed), 0), errors.Join(err, <-result) // it may have heard of it first
}

// lineTime is the time of the first line of the daemon's log with a text, zero if there is none.
func lineTime(log []byte, text string) time.Time {
	for line := range strings.Lines(string(log)) {
		if stamp, _, found := strings.Cut(line, text); found {
			at, _ := time.ParseInLocation("2006-01-02 15:04:05,000", stamp, time.Local) // zero is as good as an error
			return at
		}
	}
	return time.Time{}
}

func mountedAt(path string) bool {
	all, err := mounts.ListFrom("/proc/self/mountinfo", endpoint.Resolver{})
	return err == nil && slices.ContainsFunc(all, func(m mounts.Mount) bool { return m.Target == path })
}
