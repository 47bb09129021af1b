package doctor

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Whatever a link says, what is read is beneath the root.
func TestRoot(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("outside"), 0o644))
	root := t.TempDir()
	plant(t, root, `
-- etc/file --
inside
-- etc/absolute -> /etc/file --
-- etc/up -> ../../../../../etc/file --
-- etc/chain -> absolute --
-- etc/loop -> loop --
-- etc/escape -> `+outside+`/secret --
-- etc/folder -> `+outside+` --
-- usr/lib/x --
x
-- lib -> usr/lib --
`)
	s, err := New(Options{Host: machine(root)})
	must(t, err)
	for _, path := range []string{"/etc/file", "/etc/absolute", "/etc/up", "/etc/chain", "/../etc/file", "etc/file"} {
		if got, err := s.ReadFile(path); err != nil || string(got) != "inside\n" {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if got, err := s.ReadFile("/lib/x"); err != nil || string(got) != "x\n" {
		t.Errorf("through a folder: %q, %v", got, err)
	}
	for _, path := range []string{"/etc/escape", "/etc/folder/secret", "/etc/loop", "/etc"} {
		if got, err := s.ReadFile(path); err == nil {
			t.Errorf("%s: %q", path, got)
		}
	}
	if info, err := s.Lstat("/etc/chain"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the last link was followed: %v, %v", info, err)
	}
}

// A FIFO does not hold up the checks.
func TestFIFO(t *testing.T) {
	root := t.TempDir()
	mkfifo(t, filepath.Join(root, "fifo"))
	s, err := New(Options{Host: machine(root)})
	must(t, err)
	if _, err := s.ReadFile("/fifo"); err == nil {
		t.Error("a FIFO was read")
	}
}

func TestTargets(t *testing.T) {
	root := hostTree(t, `
-- etc/azfilesauth/config.yaml 600 --
USER_UID: 0
endpoints:
  files.example.internal: {canonical: third.file.core.windows.net}
-- etc/fstab --
//First.privatelink.file.core.windows.net/s /mnt/first azfiles _netdev 0 0
//nas.example.com/s /mnt/nas cifs sec=krb5 0 0
UUID=1 / ext4 rw 0 0
-- proc/1/mountinfo --
39 1 0:26 / /mnt/second rw,relatime - cifs //second.file.core.windows.net/share rw,sec=krb5,cruid=0
40 1 0:27 / /mnt/first rw,relatime - cifs //first.privatelink.file.core.windows.net/s rw,sec=krb5,cruid=0
`)
	all := []string{"first.file.core.windows.net", "second.file.core.windows.net", "third.file.core.windows.net"}
	tests := map[string][]string{
		"":                                     all,
		"/mnt/second":                          all[1:2],
		"/mnt/first/":                          all[:1],
		"files.example.internal":               all[2:],
		"//second.file.core.windows.net/other": all[1:2],
		`\\second.file.core.windows.net\other`: all[1:2],
		"https://new.file.core.windows.net/share": {"new.file.core.windows.net"},
	}
	for named, want := range tests {
		s, err := New(Options{Host: machine(root), Endpoint: named})
		must(t, err)
		var got []string
		for _, target := range s.Targets {
			got = append(got, target.Endpoint.Host())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v", named, got)
		}
	}
	s, err := New(Options{Host: machine(root), Endpoint: "/mnt/first"})
	must(t, err)
	if from := s.Targets[0].From; len(from) != 3 || from[0].Mount == nil || from[1].Fstab == nil || !from[2].Argument {
		t.Errorf("it comes from %+v", from)
	}
	for _, wrong := range []string{"nas.example.com", "/mnt/none", "//", "https://"} {
		if _, err := New(Options{Host: machine(root), Endpoint: wrong}); !fault.Is(err, fault.HostUnknown) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// A name of the configuration's that could be an account's is the one that it stands for, as for every other command.
func TestNamedByTheConfiguration(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "-- etc/azfilesauth/config.yaml 600 --\nendpoints: {backup: {canonical: acct7.file.core.windows.net}}\n")
	for named, want := range map[string]string{"backup": "acct7.file.core.windows.net", "acct7": "acct7.file.core.windows.net", "acct8": "acct8.file.core.windows.net"} {
		s, err := New(Options{Host: machine(root), Endpoint: named})
		must(t, err)
		if got := s.Targets[0].Endpoint.Host(); got != want {
			t.Errorf("%s: %s", named, got)
		}
	}
}

// The cache that is looked for is the one that every program puts tickets into, also where nobody has its uid.
func TestCacheOfAnUnknownUID(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "-- etc/azfilesauth/config.yaml 600 --\nUSER_UID: 4321\n-- etc/passwd --\nroot:x:0:0::/root:/bin/sh\n")
	s, err := New(Options{Host: machine(root)})
	must(t, err)
	if _, _, ours, _ := s.defaultCache(); ours != s.Config.CCacheName(4321) {
		t.Errorf("got %s", ours)
	}
	if r := checkUserUID(t.Context(), s); r.Fault != fault.UIDUnknown.ID {
		t.Errorf("%+v", r)
	}
}

// The users are those beneath the root, never this machine's.
func TestUsersBeneathRoot(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "-- etc/passwd --\nazfilesuser:x:4321:4321::/:/usr/sbin/nologin\n")
	s, err := New(Options{Host: machine(root)})
	must(t, err)
	if uids := s.cruids(); !slices.Equal(uids, []int{4321}) {
		t.Errorf("got %v", uids)
	}
}

// What a name of the program leads to is found on this machine too, whose links the kernel follows.
func TestOursOnThisMachine(t *testing.T) {
	folder := t.TempDir()
	plant(t, folder, "-- azfilesauth 755 --\n-- other 755 --\n-- mount.azfiles -> azfilesauth --\n-- mount.other -> other --\n")
	s, err := New(Options{Offline: true})
	must(t, err)
	if !s.isOurProgram(folder+"/mount.azfiles") || s.isOurProgram(folder+"/mount.other") {
		t.Error("a link is not judged by where it leads")
	}
}
