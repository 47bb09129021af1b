package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	burst       = 200 // logins at once
	burstRounds = 3
	weighed     = 16 // handlers whose memory is measured together
)

// measureBurst has the kernel ask for as many logins at once as a machine makes that loses its network with all its
// shares mounted. Every one must be answered.
func measureBurst(ctx context.Context, dir string) error {
	var ours, theirs series
	for range burstRounds {
		if err := errors.Join(theirs.burst(ctx, markTheirs), ours.burst(ctx, markOurs)); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%d logins at once, per login, by ", burst)
	line(what+"azfiles.upcall", ours, "")
	line(what+"cifs.upcall", theirs, "")
	line(medians, ratio(ours, theirs), "at most cifs.upcall's")
	return weighTogether(ctx, dir)
}

// burst adds what one login took of many that began together.
func (s *series) burst(ctx context.Context, suffix string) error {
	began := time.Now()
	if err := together(burst, func(i int) error { return new(series).login(ctx, fmt.Sprintf(";n=%d%s", i, mark(suffix))) }); err != nil {
		return err
	}
	s.wall = append(s.wall, time.Since(began)/burst)
	return nil
}

// together runs n calls at once. Of their errors it gives one, with how many there were.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d: %w", len(failed), n, failed[0])
	}
	return nil
}

// weighTogether measures the memory of handlers that are all about to end, each with its share of what they have in
// common (Pss in proc_pid_smaps_rollup(5)).
func weighTogether(ctx context.Context, dir string) error {
	for _, h := range []struct{ name, suffix string }{{"azfiles.upcall", markWeighOurs}, {"cifs.upcall", markWeighTheirs}} {
		scale := filepath.Join(dir, h.suffix)
		if err := os.Mkdir(scale, 0o700); err != nil {
			return err
		}
		if err := together(weighed, func(i int) error { return new(series).login(ctx, fmt.Sprintf(";n=%d%s", i, mark(h.suffix))) }); err != nil {
			return err
		}
		files, err := filepath.Glob(filepath.Join(scale, "pss.*"))
		if err != nil || len(files) != weighed {
			return fmt.Errorf("%s: %d of %d were weighed: %w", h.name, len(files), weighed, err)
		}
		sum := 0
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			kib, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				return err
			}
			sum += kib
		}
		line(fmt.Sprintf("%d logins by %s at their ends", weighed, h.name), fmt.Sprintf("%.1f MiB together", float64(sum)/1024), "")
	}
	return nil
}

// load is how busy the machine is beside what is measured.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown load"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return fmt.Sprintf("load %s on %d processors", one, runtime.NumCPU())
}
