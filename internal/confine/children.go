package confine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// children are the children of this process (proc_pid_children(5), and where the kernel was configured
// without it proc_pid_stat(5), which the daemon's unit hides for other users' processes).
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range files {
		text, _ := os.ReadFile(file) // of a thread that has ended: nothing
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if len(files) > 0 {
		return pids
	}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	self := strconv.Itoa(os.Getpid())
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		if fields := host.ProcessStat(pid); len(fields) > 1 && fields[1] == self { // the parent
			pids = append(pids, pid)
		}
	}
	return pids
}
