package host

import "os"

// InPod reports whether the kubelet made the container that is h: it puts a file there for the last words of each.
// There is no systemctl in it, and the machine is another one.
func (h Host) InPod() bool {
	_, err := os.Stat(h.Path("/dev/termination-log"))
	return err == nil
}
