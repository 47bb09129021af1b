package mounts

import "testing"

func TestAt(t *testing.T) {
	mounted := []Mount{{Target: "/mnt/a", Source: "//old/s"}, {Target: "/mnt/a", Source: "//new/s"}}
	fstab := []FstabLine{{Target: "/mnt/a", Spec: "//fstab/s"}, {Target: "/mnt/b/", Spec: "//other/s"}}
	for path, want := range map[string]string{
		"/mnt/a": "//new/s", "/mnt/a/": "//new/s", "/mnt//b": "//other/s", "/mnt/c": "", "": "", "mnt/a": "", "//mnt/a": "",
	} {
		if got := At(path, mounted, fstab).Source(); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
