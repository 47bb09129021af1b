package doctor

import (
	"context"
	"strings"
)

func usermodeHelperCheck() Check {
	return Check{
		ID: "usermode-helper", Group: Upcall, Title: "programs that the kernel starts", Severity: Fails, Offline: true,
		Proves: "The kernel may start programs, with all capabilities.",
		Why:    "The kernel asks for a ticket by starting /sbin/request-key; hardened kernels forbid or redirect that.",
		Run:    checkUsermodeHelper,
	}
}

func checkUsermodeHelper(_ context.Context, s *Subject) Result {
	release := s.release()
	if release == "" {
		return NotChecked("no kernel runs beneath %s", s.Root)
	}
	config, _ := s.kernelConfig(release)
	if config["CONFIG_STATIC_USERMODEHELPER"] == "y" {
		helper := config["CONFIG_STATIC_USERMODEHELPER_PATH"]
		if helper == "" {
			return Broken("use a kernel without CONFIG_STATIC_USERMODEHELPER", "the kernel %s starts no programs (CONFIG_STATIC_USERMODEHELPER)", release)
		}
		return Warned("see to it that "+helper+" runs /sbin/request-key", "the kernel starts %s in the place of every program (CONFIG_STATIC_USERMODEHELPER_PATH)", helper)
	}
	bset, err := s.ReadFile("/proc/sys/kernel/usermodehelper/bset")
	if err != nil {
		return Good("nothing is known to the contrary")
	}
	const all = "4294967295" // of one half of the capabilities
	if low, _, _ := strings.Cut(strings.TrimSpace(string(bset)), "\t"); low != all {
		return Warned("remove kernel.usermodehelper.bset from /etc/sysctl.conf and /etc/sysctl.d, and reboot",
			"programs that the kernel starts have not all capabilities: kernel.usermodehelper.bset is %s", strings.TrimSpace(string(bset)))
	}
	return Good("allowed")
}
