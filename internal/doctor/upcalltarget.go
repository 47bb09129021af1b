package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func upcallTargetCheck() Check {
	return Check{
		ID: "upcall-target", Group: Machine, Title: "upcall_target", Severity: Tells,
		Proves: "The kernel knows the mount option upcall_target=mount.",
		Why:    "It keeps cifs.upcall in the namespaces of the host when a container has a share log in again; azfiles.upcall stays there in any case.",
		Run:    checkUpcallTarget,
	}
}

func checkUpcallTarget(_ context.Context, s *Subject) Result {
	const option = "upcall_target"
	for _, m := range s.Mounts {
		if slices.ContainsFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, option+"=") }) {
			return Good("known to the kernel")
		}
	}
	if !s.hasFileSystem("cifs") { // asking would load it
		return NotChecked("the module cifs is not loaded")
	}
	switch err := s.Kernel.MountOption("cifs", option, "mount"); {
	case err == nil:
		return Good("known to the kernel")
	case errors.Is(err, unix.EINVAL):
		return Known("this kernel does not know it, so mount.azfiles leaves it out")
	case errors.Is(err, unix.EPERM):
		return NotChecked("only root can ask the kernel: run it again with sudo")
	default:
		return NotChecked("the kernel cannot be asked: %v", err)
	}
}
