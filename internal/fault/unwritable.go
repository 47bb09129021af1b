package fault

import (
	"errors"
	"syscall"
)

// Unwritable gives the fault of a directory beneath /run that takes no files, or nil when err has another cause.
func Unwritable(dir string, err error) *Fault {
	for _, errno := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, errno) {
			return RunDir.New(dir).Because(err)
		}
	}
	return nil
}
