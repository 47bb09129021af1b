package doctor

import (
	"context"
	"os"
	"strings"
)

// Where the Azure Files CSI driver keeps the credential cache, and what it writes to krb5.conf.
const (
	kubeletFolder  = "/var/lib/kubelet"
	kubeletCaches  = kubeletFolder + "/kerberos"
	csiDriverWrote = "FILE:" + kubeletCaches + "/krb5cc_%{uid}"
)

func kubernetesCheck() Check {
	return Check{
		ID: "kubernetes", Group: Surroundings, Title: "Kubernetes node", Severity: Latent, Offline: true,
		Proves: "On a node of Kubernetes, the Azure Files CSI driver and this program get along.",
		Why:    "The driver overwrites the configuration and krb5.conf whenever its pod starts, and its containers see other folders than the node.",
		Run:    checkKubernetes,
	}
}

func checkKubernetes(_ context.Context, s *Subject) Result {
	var f several
	f.add(s.container())
	if s.FirstOf(kubeletFolder) == "" {
		return f.result(Good("it is none"))
	}
	if strings.HasPrefix(strings.TrimPrefix(s.Config.CCacheName(0), "FILE:"), kubeletCaches+"/") && s.ConfigErr == nil {
		f.add(Known("%s names the credential cache of the CSI driver, which writes the file anew whenever its pod starts", s.ConfigPath))
	}
	f.add(s.overwrittenKrb5Conf())
	return f.result(Good("the CSI driver has left no trace"))
}

// overwrittenKrb5Conf finds that the driver's krb5.conf has put the site's own settings out of force.
func (s *Subject) overwrittenKrb5Conf() Result {
	text, err := s.ReadFile("/etc/krb5.conf")
	if err != nil || !strings.Contains(string(text), csiDriverWrote) {
		return Result{Status: OK}
	}
	others, _ := s.ReadDir("/etc/krb5.conf.d")
	if len(others) == 0 || strings.Contains(string(text), "includedir") {
		return Known("the CSI driver has written /etc/krb5.conf")
	}
	return Warned("put the line \"includedir /etc/krb5.conf.d/\" at the top of /etc/krb5.conf, and again after each start of the CSI driver's pod",
		"the CSI driver has overwritten /etc/krb5.conf, so that the files in /etc/krb5.conf.d count no more")
}

// container finds that this process is in a container and so sees other files than the kernel's upcall.
func (s *Subject) container() Result {
	mark := s.FirstOf("/.dockerenv", "/run/.containerenv")
	if mark == "" {
		return Result{Status: OK}
	}
	here, errHere := s.Stat("/run")
	node, errNode := s.Stat("/proc/1/root/run")
	switch {
	case errHere == nil && errNode == nil && os.SameFile(here, node), errNode != nil:
		return Known("this is a container (%s): the upcall runs on the node, whose files this process does not see", mark)
	}
	return Known("this is a container (%s) that does not share /run with the node: azfilesauth doctor --root /proc/1/root looks at the node", mark)
}
