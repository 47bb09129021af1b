package ccache_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

func TestNames(t *testing.T) {
	dir := folder(t)
	for name, problem := range map[string]string{
		dir + "/cc":            "",
		"FILE:" + dir + "/cc":  "",
		dir + "//./cc:1":       "",
		"KEYRING:persistent:0": "of type KEYRING",
		"KCM:":                 "of type KCM",
		"DIR:" + dir:           "of type DIR",
		"MEMORY:x":             "of type MEMORY",
		"API:":                 "of type API",
		"file:" + dir + "/cc":  "of type file",
		"":                     "not absolute",
		"FILE:":                "not absolute",
		"cc":                   "not absolute",
		"FILE:cc":              "not absolute",
		"tmp/a:b":              "not absolute",
		dir + "/":              "names no file",
		dir + "/..":            "names no file",
		dir + "/a\x00b":        "names no file",
		dir + "/cc_%{uid}":     "%{}",
	} {
		s, err := openIn(folder(t), name, owner)
		if problem != "" {
			wantFault(t, err, fault.CCacheType, problem)
		} else if err != nil || s.Path() != strings.TrimPrefix(name, "FILE:") {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestOpen(t *testing.T) {
	s, err := openIn(folder(t)+"/run", "FILE:"+filepath.Join(folder(t), "cc"), owner)
	must(t, err)
	put(t, s, ticket(host, realm, 1))
	wantLabels(t, load(t, s), spn+"@"+realm+" 1")
	_, err = openIn(folder(t), "KCM:", owner)
	wantFault(t, err, fault.CCacheType)
}

func stat(t *testing.T, path string) (uid, gid int, mode os.FileMode, inode uint64) {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid), info.Mode(), st.Ino
}

func TestNewFile(t *testing.T) {
	for _, umask := range []int{0, 0o077} {
		old := syscall.Umask(umask)
		t.Cleanup(func() { syscall.Umask(old) })
		path := filepath.Join(folder(t), "cc")
		s := open(t, path)
		if snap, err := s.Load(); err != nil || snap.Cache != nil || snap.Trusted {
			t.Errorf("without a file: %+v, %v", snap, err)
		}
		put(t, s, ticket(host, realm, 1))
		uid, gid, mode, _ := stat(t, path)
		want := os.FileMode(0o600)
		if owner != me {
			want = 0o640 // how a list of readers is shown
		}
		if uid != me || gid != os.Getegid() || mode != want {
			t.Errorf("umask %o: owner %d:%d, mode %v", umask, uid, gid, mode)
		}
		snap, err := s.Load()
		must(t, err)
		if _, ok := snap.Cache.Ticket(spn); !ok || !snap.Trusted {
			t.Errorf("the ticket is lost, or root's cache is not trusted")
		}
		if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{".cc.lock", "cc"}) {
			t.Errorf("the folder holds %v", got)
		}
	}
}

// TestExistingFileIsTightened: whoever else could read it cannot read what is written now; who owned it owns
// it still, because the incumbent's tools do not know what to do with a file of root's.
func TestExistingFileIsTightened(t *testing.T) {
	needs.Root(t)
	for _, test := range []struct {
		uid, gid int
		mode     os.FileMode
		trusted  bool
	}{
		{cruid, cruidG, 0o600, false}, {cruid, 7, 0o640, false}, {0, 0, 0o644, true}, {0, cruidG, 0o400, true},
	} {
		path := filepath.Join(folder(t), "cc")
		must(t, os.WriteFile(path, vector(t, "svconly"), 0o600))
		give(t, path, test.uid, test.gid)
		must(t, os.Chmod(path, test.mode))
		s := open(t, path)
		put(t, s, ticket(other, realm, 1))
		uid, gid, mode, _ := stat(t, path)
		wantGID, wantMode := test.gid, os.FileMode(0o600)
		if test.uid == 0 {
			wantGID, wantMode = 0, 0o640 // how a list of readers is shown
		}
		if uid != test.uid || gid != wantGID || mode != wantMode {
			t.Errorf("%+v became %d:%d %v", test, uid, gid, mode)
		}
		if who := ccache.Loose(machine.Real(), path, owner); who != "" {
			t.Errorf("%+v: %s can read it", test, who)
		}
		snap, err := s.Load()
		must(t, err)
		if snap.Trusted != test.trusted || len(snap.Cache.Tickets()) != 2 {
			t.Errorf("%+v: trusted %v, %d tickets", test, snap.Trusted, len(snap.Cache.Tickets()))
		}
	}
}

// The user reads the cache and cannot forge it.
func TestTheCredentialUIDReadsAndCannotWrite(t *testing.T) {
	needs.Root(t)
	path := filepath.Join(folder(t), "cc")
	put(t, open(t, path), ticket(host, realm, 1))
	as := func(uid, gid uint32, script string) error {
		cmd := exec.Command("/bin/sh", "-c", script, "sh", path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		return cmd.Run()
	}
	if err := as(cruid, cruidG, `cat "$1" >/dev/null`); err != nil {
		t.Errorf("the credential uid cannot read: %v", err)
	}
	for _, script := range []string{`echo x >>"$1"`, `rm -f "$1"`, `echo x >"$1.new"`} {
		if as(cruid, cruidG, script+" 2>/dev/null") == nil {
			t.Errorf("the credential uid can: %s", script)
		}
	}
	for _, gid := range []uint32{mallory, cruidG, 0} { // the credential uid's own group, too
		if as(mallory, gid, `cat "$1" >/dev/null 2>&1`) == nil {
			t.Errorf("somebody else of group %d can read", gid)
		}
	}
}

func TestLoose(t *testing.T) {
	needs.Root(t)
	path := filepath.Join(folder(t), "cc")
	for _, test := range []struct {
		uid, gid int
		mode     os.FileMode
		who      string
	}{
		{0, 0, 0o600, ""},
		{cruid, 7, 0o600, ""},
		{0, cruidG, 0o640, "everybody in group 1002"},
		{0, 0, 0o604, "every user"},
		{cruid, 100, 0o640, "everybody in group 100"},
		{mallory, 0, 0o600, "uid 4242"},
	} {
		must(t, os.WriteFile(path, nil, 0o600))
		give(t, path, test.uid, test.gid)
		must(t, os.Chmod(path, test.mode))
		if who := ccache.Loose(machine.Real(), path, cruid); (who == "") != (test.who == "") || !strings.HasPrefix(who, test.who) {
			t.Errorf("%+v: %q", test, who)
		}
	}
}

// TestWithoutAccessControlLists runs itself in a mount namespace of its own with a file system that has none. The
// uid's group reads the cache only if it is nobody else's.
func TestWithoutAccessControlLists(t *testing.T) {
	const inside = "CCACHE_NO_ACL"
	if dir := os.Getenv(inside); dir != "" {
		must(t, unix.Mount("none", dir, "ramfs", 0, "mode=755"))
		for name, test := range map[string]struct {
			passwd, group string
			uid, gid      int
			mode          os.FileMode
		}{
			"own group":          {"", "app:x:1002:\n", 0, cruidG, 0o640},
			"member":             {"", "app:x:1002:mallory\n", cruid, 0, 0o600},
			"primary of another": {"other:x:7:1002::/:/bin/sh\n", "app:x:1002:\n", cruid, 0, 0o600},
			"group not listed":   {"", "", cruid, 0, 0o600},
		} {
			h := machine.Real()
			h.Run, h.Passwd, h.Group = filepath.Join(dir, "run"), filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
			must(t, os.WriteFile(h.Passwd, []byte("app:x:1001:1002::/:/bin/sh\n"+test.passwd), 0o600))
			must(t, os.WriteFile(h.Group, []byte(test.group), 0o600))
			path := filepath.Join(dir, "cc")
			_ = os.Remove(path)
			s, err := ccache.Open(h, path, cruid)
			must(t, err)
			put(t, s, ticket(host, realm, 1))
			if uid, gid, mode, _ := stat(t, path); uid != test.uid || gid != test.gid || mode != test.mode {
				t.Errorf("%s: %d:%d %v", name, uid, gid, mode)
			}
			if who := ccache.Loose(h, path, cruid); who != "" {
				t.Errorf("%s: %s can read it", name, who)
			}
		}
		return
	}
	needs.Capability(t, "CAP_SYS_ADMIN")
	cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutAccessControlLists$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+folder(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (it needs to mount a ramfs in a namespace of its own)\n%s", err, out)
	}
}

func TestUpdateThatFailsOrChangesNothing(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	s := open(t, path)
	sentinel := errors.New("no")
	for range 2 { // without a file and with one
		before, _ := os.ReadFile(path)
		err := s.Update(t.Context(), func(c *ccache.Cache) error {
			c.Put(ticket(other, realm, 2), record)
			return sentinel
		})
		after, _ := os.ReadFile(path)
		if !errors.Is(err, sentinel) || !bytes.Equal(before, after) {
			t.Errorf("error %v, %d bytes became %d", err, len(before), len(after))
		}
		must(t, s.Update(t.Context(), func(*ccache.Cache) error { return nil }))
		if before == nil {
			if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{".cc.lock"}) {
				t.Errorf("a change of nothing makes %v", got)
			}
		}
		put(t, s, ticket(host, realm, 1))
	}
	_, _, _, inode := stat(t, path)
	put(t, s, ticket(host, realm, 1))
	if _, _, _, now := stat(t, path); now != inode {
		t.Error("a cache that did not change was written")
	}
	put(t, s, ticket(host, realm, 2))
	if _, _, _, now := stat(t, path); now == inode {
		t.Error("the file was changed in place, under its readers")
	}
}

func TestAnotherClient(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	must(t, os.WriteFile(path, vector(t, "full"), 0o600))
	s := open(t, path)
	err := s.Update(t.Context(), func(c *ccache.Cache) error {
		c.Put(of(ticket(host, realm, 1), "AzureFileClient", realm), record)
		return nil
	})
	wantFault(t, err, fault.CCachePrincipal, "alice@"+realm, "AzureFileClient@"+realm, path)
	if got, _ := os.ReadFile(path); !bytes.Equal(got, vector(t, "full")) {
		t.Error("the cache of alice was changed")
	}
}

func TestDamagedCaches(t *testing.T) {
	for name, damaged := range map[string][]byte{
		"cut": vector(t, "cctrunc"), "empty": {}, "text": []byte("hello"), "huge": make([]byte, ccache.MaxSize+1),
	} {
		path := filepath.Join(folder(t), "krb5cc")
		must(t, os.WriteFile(path, damaged, 0o600))
		uid, gid := me, os.Getegid()
		if me == 0 {
			uid, gid = cruid, 7
			give(t, path, uid, gid)
		}
		s := open(t, path)
		_, err := s.Load()
		wantFault(t, err, fault.CCacheDamaged, path, "byte")
		sentinel := errors.New("no")
		if err := s.Update(t.Context(), func(*ccache.Cache) error { return sentinel }); !errors.Is(err, sentinel) || slices.Contains(names(t, filepath.Dir(path)), "cc.damaged") {
			t.Errorf("%s: a change that failed: %v, or the cache was renamed", name, err)
		}
		put(t, s, ticket(host, realm, 1))
		if got, _ := os.ReadFile(path + ".damaged"); !bytes.Equal(got, damaged) {
			t.Errorf("%s: %d bytes set aside", name, len(got))
		}
		if u, g, mode, _ := stat(t, path); u != uid || g != gid || mode != 0o600 || len(load(t, s).Tickets()) != 1 {
			t.Errorf("%s: the new cache is of %d:%d, mode %v", name, u, g, mode)
		}
	}
}

// KRB5_CC_NAME can name anything by mistake. What is no cache, and is not called as caches are, is neither read, moved
// away nor written over: it may be the machine's keytab.
func TestNoCacheAtAll(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"passwd": func(path string) error { return os.WriteFile(path, []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o600) },
		"krb5.keytab": func(path string) error {
			return os.WriteFile(path, []byte("\x05\x02\x00\x00\x00\x2c\x00\x01\x00\x07EXAMPLE"), 0o600)
		},
		"image":       func(path string) error { return os.WriteFile(path, append(make([]byte, 1<<16), 1), 0o600) },
		"directory":   func(path string) error { return os.MkdirAll(path+"/full", 0o700) },
		"pipe":        func(path string) error { return unix.Mkfifo(path, 0o600) },
		"resolv.conf": func(path string) error { return os.Symlink("/run/systemd/resolve/resolv.conf", path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t), name)
			must(t, put(path))
			_, _, _, before := stat(t, path)
			s := open(t, path)
			_, err := s.Load()
			wantFault(t, err, fault.CCacheType, path)
			err = s.Update(t.Context(), func(*ccache.Cache) error { t.Error("it was used"); return nil })
			wantFault(t, err, fault.CCacheType, path)
			if _, _, _, after := stat(t, path); after != before {
				t.Error("it is another one now")
			}
			if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"." + name + ".lock", name}) {
				t.Errorf("the directory holds %v", got)
			}
		})
	}
}

func TestDamagedCacheWithoutANewTicket(t *testing.T) {
	path := filepath.Join(folder(t), "krb5cc")
	must(t, os.WriteFile(path, []byte("hello"), 0o600))
	must(t, open(t, path).Update(t.Context(), func(c *ccache.Cache) error { c.Remove(spn); return nil }))
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{".krb5cc.lock", "krb5cc.damaged"}) {
		t.Errorf("the folder holds %v", got)
	}
}

// Nobody keeps a damaged cache where it is by putting something at the name that it would get.
func TestDamagedCacheWhoseNewNameIsTaken(t *testing.T) {
	path := filepath.Join(folder(t), "krb5cc")
	must(t, os.WriteFile(path, []byte("hello"), 0o600))
	must(t, os.MkdirAll(path+".damaged/full", 0o700))
	s := open(t, path)
	put(t, s, ticket(host, realm, 1))
	aside, _ := filepath.Glob(path + ".damaged.*")
	if len(aside) != 1 || len(load(t, s).Tickets()) != 1 {
		t.Fatalf("it is kept as %q", aside)
	}
	if got, _ := os.ReadFile(aside[0]); string(got) != "hello" {
		t.Errorf("%s holds %q", aside[0], got)
	}
}

// That no more files can be opened is no fault of the cache's directory.
func TestOpenFilesAreExhausted(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	s := open(t, path)
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}))
	_, err := s.Load()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	wantFault(t, err, fault.OpenFiles, "too many open files")
}

func TestTooManyTickets(t *testing.T) {
	path := filepath.Join(folder(t), "cc")
	s := open(t, path)
	put(t, s, ticket(host, realm, 1))
	before, _ := os.ReadFile(path)
	err := s.Update(t.Context(), func(c *ccache.Cache) error {
		cred := ticket(other, realm, 1)
		cred.AuthData = []ccache.TypedData{{Data: make([]byte, ccache.MaxSize)}}
		c.Put(cred, record)
		return nil
	})
	wantFault(t, err, fault.CCacheIO, path, "allowed")
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the old cache is gone")
	}
}

func TestTemporaryFilesOfKilledProcesses(t *testing.T) {
	needs.Root(t)
	dir := folder(t)
	s := open(t, filepath.Join(dir, "cc"))
	temp := func(n int) string { return fmt.Sprintf(".cc.%016x.tmp", n) }
	mine, users := temp(1), temp(2)
	stay := []string{".cc.x.0123456789abcdef.tmp", temp(3), temp(4), temp(5), ".cc.notes.tmp", ".cc.00.tmp"}
	for _, name := range append(stay[3:], mine, users, stay[0], stay[1]) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	give(t, filepath.Join(dir, users), cruid, cruidG)
	give(t, filepath.Join(dir, stay[1]), mallory, mallory)
	must(t, os.Mkdir(filepath.Join(dir, stay[2]), 0o700))
	must(t, os.Remove(filepath.Join(dir, stay[3])))
	must(t, os.Symlink("cc", filepath.Join(dir, stay[3])))
	put(t, s, ticket(host, realm, 1))
	want := append(stay, "cc", ".cc.lock")
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestFullDisk runs itself in a mount namespace of its own, where it may mount a small file system.
func TestFullDisk(t *testing.T) {
	const inside = "CCACHE_FULL_DISK"
	if dir := os.Getenv(inside); dir != "" {
		must(t, unix.Mount("none", dir, "tmpfs", 0, "size=64k,mode=755"))
		fullDisk(t, dir)
		return
	}
	needs.Capability(t, "CAP_SYS_ADMIN")
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+folder(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (it needs to mount a tmpfs in a namespace of its own)\n%s", err, out)
	}
}

func fullDisk(t *testing.T, dir string) {
	path, filler := filepath.Join(dir, "cc"), filepath.Join(dir, "filler")
	s := open(t, path)
	put(t, s, ticket(host, realm, 1))
	err := os.WriteFile(filler, make([]byte, 1<<20), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	before, _ := os.ReadFile(path)
	err = s.Update(t.Context(), func(c *ccache.Cache) error { c.Put(ticket(host, realm, 2), record); return nil })
	wantFault(t, err, fault.CCacheIO, path, "no space left")
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the cause is lost: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the old ticket is gone")
	}
	if got := names(t, dir); !slices.Equal(got, []string{".cc.lock", "cc", "filler"}) {
		t.Errorf("the folder holds %v", got)
	}
	// A damaged cache stays too, as long as there is no new one to take its place.
	must(t, os.Truncate(path, 700))
	err = s.Update(t.Context(), func(c *ccache.Cache) error { c.Put(ticket(host, realm, 2), record); return nil })
	wantFault(t, err, fault.CCacheIO)
	if got := names(t, dir); !slices.Equal(got, []string{".cc.lock", "cc", "filler"}) {
		t.Errorf("the folder holds %v", got)
	}
	must(t, os.Remove(filler))
	put(t, s, ticket(host, realm, 3))
	wantLabels(t, load(t, s), fmt.Sprintf("%s@%s 3", spn, realm))
}
