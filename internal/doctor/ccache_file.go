package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func ccacheFileCheck() Check {
	return Check{
		ID: "ccache-file", Group: Cache, Title: "credential cache file", Severity: Fails, Offline: true,
		Proves: "The credential cache is a file that nobody but root or the credential uid can write, in folders that are root's.",
		Why:    "A cache that somebody else can write could hold forged tickets; it is refused, and so is every mount.",
		Run:    checkCCacheFile,
	}
}

func checkCCacheFile(_ context.Context, s *Subject) Result {
	var f several
	for _, uid := range s.cruids() {
		f.add(s.examineFile(s.cacheOf(uid)))
	}
	return f.result(Result{Status: OK})
}

func (s *Subject) examineFile(c *cacheFile) Result {
	if c.path == "" {
		return Failed(c.fault(fault.CCacheType, "KRB5_CC_NAME is no absolute path of a file"))
	}
	if c.info == nil && errors.Is(c.err, fs.ErrPermission) {
		return s.CannotSee(c.path, c.err)
	}
	if problem, missing := s.folderProblem(c.path); missing && above(c.path)[len(above(c.path))-1] == runFolder {
		return Good("%s is not there yet; its folder is made when it is needed", c.path)
	} else if problem != "" {
		return Failed(fault.New(fault.CCacheFolder, fault.V{"problem": problem}))
	}
	switch {
	case c.info == nil && c.err != nil:
		return s.CannotSee(c.path, c.err)
	case c.info == nil:
		return Good("%s is not there yet; it is made with the first ticket", c.path)
	}
	mode := c.info.Mode().Perm()
	if problem := c.refusal(); problem != "" {
		return s.mending(c, Failed(c.fault(fault.CCacheForeign, problem)))
	}
	if mode&0o004 != 0 {
		return Warned(fmt.Sprintf("chmod o-r '%s'", c.path), "every user of this machine can read the tickets in %s, its mode is %04o", c.path, mode)
	}
	return Good("%s belongs to uid %d, mode %04o", c.path, owner(c.info), mode)
}
