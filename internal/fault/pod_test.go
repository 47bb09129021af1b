package fault

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machines are programs that the image does not hold, and what only a machine has.
var machines = regexp.MustCompile(`\b(systemctl|journalctl|timedatectl|chronyc|sudo|apt-get|curl|openssl|getent|dmesg|modprobe|findmnt|fuser|auditctl|` +
	`sysctl|prlimit|ulimit|free|df|ls|rm|mv|mkdir|chown|useradd|usermod|nc|azcmagent|docker|ip route|cat|grep|mount -[a-z])\b|/etc/|90-local`)

// TestFixesInAPod: what a fix asks for in a pod works there, for each row of the table: kubectl, az and the program itself,
// or it says that it is for the node, and how one gets there.
func TestFixesInAPod(t *testing.T) {
	InPod = func() bool { return true }
	t.Cleanup(func() { InPod = nil })
	for _, k := range Table() {
		fix := k.Blank().Fix()
		if strings.Contains(fix, "azfilesrefresh") || strings.Contains(fix, "systemctl") && k != ArcUnreachable.Kind { // the agent of Arc is the node's
			t.Errorf("%s speaks of a unit: %s", k.ID, fix)
		}
		if found := machines.FindString(fix); found != "" && !strings.Contains(fix, "the node") {
			t.Errorf("%s: %q works on a machine alone: %s", k.ID, found, fix)
		}
		if strings.Contains(fix, asOnMachine) || len(fix) > MaxLine {
			t.Errorf("%s: %s", k.ID, fix)
		}
		expand(pods[k], func(_, name string) string {
			if name != "fix" && !slices.Contains(k.names(), name) {
				t.Errorf("%s has no place %s", k.ID, name)
			}
			return ""
		})
	}
	if got := CCacheDamaged.New("/var/lib/kubelet/kerberos/krb5cc_0", "cut").Fix(); got != OnNode+"rm '/var/lib/kubelet/kerberos/krb5cc_0'" {
		t.Error(got)
	}
	for _, kind := range []*Kind{TokenFile.Kind, EntraAssertion.Kind} { // of a volume with a workload identity
		if fix := kind.Blank().Fix(); !strings.Contains(fix, "CSI driver writes it") {
			t.Errorf("%s does not say whose the file is: %s", kind, fix)
		}
	}
	if got := CLIFailed.New("root").First("install it").Fix(); strings.Contains(got, "install it") {
		t.Error(got)
	}
	InPod = func() bool { return false }
	if got := CCacheDamaged.New("/x", "cut").Fix(); got != "rm '/x'" {
		t.Error(got)
	}
}
