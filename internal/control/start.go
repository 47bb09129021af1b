package control

import "github.com/azfilesauth/azfilesauth/internal/host"

// StartUnit is the command that starts the daemon on a machine, now and at each boot.
const StartUnit = "systemctl enable --now azfilesrefresh"

// startPod is how the daemon comes back in a pod, whose containers do not share a socket and have no systemctl.
const startPod = "kubectl delete pod POD, whose DaemonSet makes another; where it runs in another container of the pod: kubectl exec -c azfilesrefresh POD -- azfilesauth status"

// HowToStart is the command that starts the daemon where h is.
func HowToStart(h host.Host) string {
	if h.InPod() {
		return startPod
	}
	return StartUnit
}

// HowToRestart is the command for a daemon that does not answer.
func HowToRestart(h host.Host) string {
	if h.InPod() {
		return startPod
	}
	return "systemctl restart azfilesrefresh"
}
