package watcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// maxFights is how many tickets in a row may be taken away before somebody is said to fight us.
const maxFights = 3

// noticeFights counts the tickets that were taken away as soon as they were there. Somebody who does so is not
// fed with more than one exchange a minute.
func (w *watcher) noticeFights(now time.Time) {
	for k, m := range w.memos {
		_, known := w.tickets[k]
		if m.Success.IsZero() || w.busy[k] != nil {
			continue
		}
		young := now.Sub(m.Success) < fightWait
		if known && !young {
			m.fought = 0
		}
		if known || m.lost.Equal(m.Success) {
			continue
		}
		if m.lost = m.Success; !young {
			m.fought = 0
		}
		if m.fought++; m.fought >= maxFights {
			f := fault.CCacheFought.New(w.paths[k.CRUID])
			if who := watching(filepath.Dir(w.paths[k.CRUID])); who != "" {
				f = f.Because(errors.New(who))
			}
			m.At, m.Failures, m.Fault = m.Success, m.fought-maxFights+1, f
		}
	}
}

// maxWatching bounds how many processes are named.
const maxWatching = 5

// watching names the processes that have changes of a directory reported to them (proc_pid_fdinfo(5)): as a
// rule whoever cleans it up is one of them. It is "" when there is none, or none that may be looked at.
func watching(dir string) string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return ""
	}
	// The kernel numbers devices in its own way there.
	sign := fmt.Sprintf(" ino:%x sdev:%x ", st.Ino, unix.Major(st.Dev)<<20|unix.Minor(st.Dev))
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*") // what may not be seen is missing
	var found []string
	for _, info := range infos {
		pid := strings.Split(info, "/")[2]
		text, err := os.ReadFile(info)
		if err != nil || pid == fmt.Sprint(os.Getpid()) || !strings.Contains(string(text), "inotify ") || !strings.Contains(string(text), sign) {
			continue
		}
		name, _ := os.ReadFile("/proc/" + pid + "/comm") // for people
		found = append(found, fmt.Sprintf("%s (process %s)", fault.Line(strings.TrimSpace(string(name))), pid))
	}
	found = slices.Compact(found)
	if len(found) == 0 || len(found) > maxWatching {
		return ""
	}
	return dir + " is watched by " + strings.Join(found, ", ")
}
