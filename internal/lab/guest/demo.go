package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// demoSteps are what an administrator would type, each with what it shows and what is different on Azure.
var demoSteps = []struct{ why, azure, command string }{
	{
		"One line in fstab. The machine has a managed identity; there is no password and no Kerberos configuration.",
		"before: az vm identity assign, and az role assignment create --role 'Storage File Data SMB MI Admin' for it (README)",
		"cat /etc/fstab",
	},
	{
		"mount(8) finds our helper by the type. It gets a token from the machine's identity service, a ticket from Azure Files, and calls mount.cifs.",
		"the same; the identity service is at 169.254.169.254 there as it is here, and acct is your storage account",
		"mount /mnt/share",
	},
	{"The share is an ordinary directory.", "the same", "echo 'hello from Linux' >/mnt/share/hello.txt; ls -l /mnt/share; cat /mnt/share/hello.txt"},
	{"The kernel mounted it with Kerberos.", "the same; addr= is an address of Azure's", "grep ' cifs ' /proc/self/mountinfo"},
	{
		"The service ticket is in an ordinary credential cache. There is no ticket-granting ticket.",
		"the same, for hours instead of minutes; your tenant decides how long", "klist -e /run/azfilesauth/krb5cc_0",
	},
	{"Our own handler gave it to the kernel: there is no other here.", "the same", "grep -h ^create.*cifs /etc/request-key.d/*.conf"},
	{"A second mount uses the ticket that is there.", "the same", "umount /mnt/share && mount /mnt/share && cat /mnt/share/hello.txt"},
}

// runDemo mounts the share of an fstab line, keeps its ticket fresh for a while, has the doctor find
// what is broken then, and shows every step; the first that fails ends it.
func runDemo(m *machine) error {
	if err := os.WriteFile("/etc/fstab", []byte(fstab), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll("/mnt/share", 0o755); err != nil {
		return err
	}
	fmt.Printf("\nLinux %s mounts an Azure Files share; Samba and a fake of Azure play the other side.\n", kernelRelease())
	for _, step := range demoSteps {
		why := step.why + "\n# On Azure: " + step.azure + "."
		if err := showStep(why, step.command); err != nil {
			return err
		}
	}
	list, err := m.azure.requests(azurefake.TargetStorage)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("two mounts asked Azure for %d tickets, not for one", len(list))
	}
	if err != nil {
		return err
	}
	if err := showRefresh(m); err != nil {
		return err
	}
	if err := showStep("", "umount /mnt/share"); err != nil {
		return err
	}
	return showDoctor()
}

// showStep runs a command and shows what it prints.
func showStep(why, command string) error {
	if why != "" {
		fmt.Printf("\n# %s\n", why)
	}
	fmt.Printf("$ %s\n", command)
	start := time.Now()
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	fmt.Print(string(out))
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if strings.Contains(command, "mount") && len(out) == 0 {
		fmt.Printf("(%.1f s, on an emulated processor)\n", time.Since(start).Seconds())
	}
	return nil
}

func kernelRelease() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(text))
}
