package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

func ccachePathCheck() Check {
	return Check{
		ID: "ccache-path", Group: Cache, Title: "credential cache in reach of its user", Severity: CIFSMode, Offline: true, Needs: []ID{"ccache-file"},
		Proves: "The credential uid can pass through the folders of its credential cache and read the file.",
		Why:    "cifs.upcall, klist and kvno read the cache as that user.",
		Run:    checkCCachePath,
	}
}

func checkCCachePath(_ context.Context, s *Subject) Result {
	var f several
	for _, uid := range s.cruids() {
		if c := s.cacheOf(uid); c.path != "" && uid != 0 {
			f.add(s.examinePath(c))
		}
	}
	return f.result(Result{Status: OK, Evidence: []string{"what belongs to root can read everything"}}.onlyIf(len(f.results) == 0))
}

// onlyIf keeps the evidence where it says something.
func (r Result) onlyIf(so bool) Result {
	if !so {
		r.Evidence = nil
	}
	return r
}

func (s *Subject) examinePath(c *cacheFile) Result {
	gid := s.primaryGroup(c.cruid)
	for _, dir := range above(c.path) {
		info, err := s.Stat(dir)
		if err == nil && !may(info, c.cruid, gid, 0o1) {
			return Broken(fmt.Sprintf("chmod o+x '%s'", dir), "uid %d cannot pass through %s, its mode is %04o", c.cruid, dir, info.Mode().Perm())
		}
	}
	if c.info != nil && !may(c.info, c.cruid, gid, 0o4) {
		return Broken(fmt.Sprintf("chgrp %d '%s' && chmod g+r '%s'", max(gid, 0), c.path, c.path),
			"uid %d cannot read %s, which belongs to uid %d, mode %04o", c.cruid, c.path, owner(c.info), c.info.Mode().Perm())
	}
	return Good("uid %d can read %s", c.cruid, c.path)
}

// may reports whether a user with that primary group has the permission bit, 4, 2 or 1. Other groups of
// the user are not looked at: cifs.upcall drops them.
func may(info fs.FileInfo, uid, gid int, bit fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case int(st.Uid) == uid:
		return info.Mode().Perm()&(bit<<6) != 0
	case int(st.Gid) == gid:
		return info.Mode().Perm()&(bit<<3) != 0
	}
	return info.Mode().Perm()&bit != 0
}

// primaryGroup is that of a uid in passwd(5), -1 when it is not listed.
func (s *Subject) primaryGroup(uid int) int {
	text, _ := s.ReadFile("/etc/passwd")
	for line := range strings.SplitSeq(string(text), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 7 || fields[2] != strconv.Itoa(uid) {
			continue
		}
		if gid, err := strconv.Atoi(fields[3]); err == nil {
			return gid
		}
	}
	return -1
}
