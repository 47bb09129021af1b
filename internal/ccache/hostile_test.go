package ccache_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// Each case puts something at path that must be neither read nor written; some have a victim.
func TestForeignCaches(t *testing.T) {
	file := func(t *testing.T, path string, uid int, mode os.FileMode) {
		must(t, os.WriteFile(path, vector(t, "svconly"), 0o600))
		give(t, path, uid, uid)
		must(t, os.Chmod(path, mode))
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, path, victim string)
		says []string
	}{
		"another user's": {func(t *testing.T, path, _ string) { file(t, path, mallory, 0o644) }, []string{"owner uid 4242, mode 0644"}},
		"open to all":    {func(t *testing.T, path, _ string) { file(t, path, 0, 0o666) }, []string{fmt.Sprintf("owner uid %d, mode 0666", me)}},
		"open to its group": {
			func(t *testing.T, path, _ string) { file(t, path, cruid, 0o660) },
			[]string{"owner uid 1001, mode 0660"},
		},
		"link": {func(t *testing.T, path, victim string) { must(t, os.Symlink(victim, path)) }, []string{"symbolic link", fmt.Sprint("owner uid ", me)}},
		"dangling link": {
			func(t *testing.T, path, victim string) { must(t, os.Symlink(victim+".new", path)) },
			[]string{"symbolic link"},
		},
		"hard link": {func(t *testing.T, path, victim string) { must(t, os.Link(victim, path)) }, []string{"2 names"}},
		"folder":    {func(t *testing.T, path, _ string) { must(t, os.Mkdir(path, 0o755)) }, []string{"not a regular file"}},
		"pipe":      {func(t *testing.T, path, _ string) { must(t, unix.Mkfifo(path, 0o600)) }, []string{"not a regular file"}},
		"device": {func(t *testing.T, path, _ string) {
			needs.Root(t)
			must(t, unix.Mknod(path, unix.S_IFCHR|0o600, 0x103))
		}, []string{"not a regular file"}},
		"socket": {func(t *testing.T, path, _ string) { must(t, unix.Mknod(path, unix.S_IFSOCK|0o600, 0)) }, []string{"not a regular file"}},
	} {
		for kind, dir := range map[string]string{"root's folder": folder(t), "shared folder": shared(t)} {
			t.Run(name+" in "+kind, func(t *testing.T) {
				path, victim := filepath.Join(dir, "krb5cc"), filepath.Join(folder(t), "victim")
				if name == "hard link" {
					victim = filepath.Join(dir, "victim") // a file system does not link to another
				}
				file(t, victim, 0, 0o600)
				test.make(t, path, victim)
				uid, gid, mode, inode := stat(t, path)
				s := open(t, path)
				_, err := s.Load()
				wantFault(t, err, fault.CCacheForeign, append(test.says, path)...)
				err = s.Update(t.Context(), func(*ccache.Cache) error { t.Error("its content was used"); return nil })
				wantFault(t, err, fault.CCacheForeign, append(test.says, path)...)
				if u, g, m, i := stat(t, path); u != uid || g != gid || m != mode || i != inode {
					t.Error("it was changed")
				}
				if got, _ := os.ReadFile(victim); !bytes.Equal(got, vector(t, "svconly")) {
					t.Error("the victim was changed")
				}
				if _, err := os.Lstat(victim + ".new"); err == nil {
					t.Error("the link was followed")
				}
			})
		}
	}
}

func TestFolders(t *testing.T) {
	const safe = ""
	type scene struct{ root string } // a folder that is root's alone
	mkdir := func(t *testing.T, path string, uid int, mode uint32) string {
		must(t, os.Mkdir(path, 0o700))
		give(t, path, uid, uid)
		must(t, unix.Chmod(path, mode))
		return path
	}
	for name, test := range map[string]struct {
		make func(t *testing.T, s scene) string // gives the cache's folder
		says string
	}{
		"root's": {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", 0, 0o700) }, safe},
		"sticky": {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", 0, 0o1777) }, safe},
		"root's in sticky": {func(t *testing.T, s scene) string {
			return mkdir(t, mkdir(t, s.root+"/d", 0, 0o1777)+"/e", 0, 0o755)
		}, safe},
		"missing":              {func(_ *testing.T, s scene) string { return s.root + "/none/d" }, "none does not exist"},
		"for all":              {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", 0, 0o777) }, "mode 0777"},
		"for group":            {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", 0, 0o775) }, "mode 0775"},
		"user's":               {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", mallory, 0o755) }, "uid 4242"},
		"the credential uid's": {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", cruid, 0o700) }, "uid 1001"},
		"user's sticky":        {func(t *testing.T, s scene) string { return mkdir(t, s.root+"/d", mallory, 0o1777) }, "uid 4242"},
		"below a user's": {func(t *testing.T, s scene) string {
			return mkdir(t, mkdir(t, s.root+"/d", mallory, 0o755)+"/e", 0, 0o755)
		}, "uid 4242"},
		"below one for all": {func(t *testing.T, s scene) string {
			return mkdir(t, mkdir(t, s.root+"/d", 0, 0o777)+"/e", 0, 0o755)
		}, "mode 0777"},
		"below a file": {func(t *testing.T, s scene) string {
			must(t, os.WriteFile(s.root+"/f", nil, 0o600))
			return s.root + "/f/d"
		}, "f is not a directory"},
		"a file": {func(t *testing.T, s scene) string {
			must(t, os.WriteFile(s.root+"/f", nil, 0o600))
			return s.root + "/f"
		}, "f is not a directory"},
		"a pipe": {func(t *testing.T, s scene) string { must(t, unix.Mkfifo(s.root+"/p", 0o600)); return s.root + "/p" }, "p is not a directory"},
		"root's link": {func(t *testing.T, s scene) string {
			must(t, os.Symlink(mkdir(t, s.root+"/d", 0, 0o755), s.root+"/l"))
			return s.root + "/l"
		}, safe},
		"root's relative link": {func(t *testing.T, s scene) string {
			mkdir(t, mkdir(t, s.root+"/d", 0, 0o755)+"/e", 0, 0o755)
			must(t, os.Symlink("./d/../d//e", s.root+"/l"))
			return s.root + "/l/../e"
		}, safe},
		"root's link to a user's": {func(t *testing.T, s scene) string {
			must(t, os.Symlink(mkdir(t, s.root+"/d", mallory, 0o755), s.root+"/l"))
			return s.root + "/l"
		}, "uid 4242"},
		"a user's link": {func(t *testing.T, s scene) string {
			must(t, os.Symlink(mkdir(t, s.root+"/d", 0, 0o755), s.root+"/l"))
			give(t, s.root+"/l", mallory, mallory)
			return s.root + "/l"
		}, "link that others"},
		"a link in a shared folder": {func(t *testing.T, s scene) string {
			d := mkdir(t, s.root+"/d", 0, 0o1777)
			must(t, os.Symlink(s.root, d+"/l"))
			return d + "/l"
		}, "link that others"},
		"a dangling link": {func(t *testing.T, s scene) string {
			must(t, os.Symlink("none", s.root+"/l"))
			return s.root + "/l"
		}, "none does not exist"},
		"a link to itself": {func(t *testing.T, s scene) string {
			must(t, os.Symlink("l", s.root+"/l"))
			return s.root + "/l"
		}, "too many links"},
		"links that grow": {func(t *testing.T, s scene) string {
			must(t, os.Symlink("l/l/l", s.root+"/l"))
			return s.root + "/l"
		}, "too many links"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := test.make(t, scene{folder(t)})
			s, err := openIn(filepath.Join(folder(t), "run"), dir+"/cc", owner)
			if test.says != safe {
				wantFault(t, err, fault.CCacheFolder, test.says)
				return
			}
			must(t, err)
			put(t, s, ticket(host, realm, 1))
			if got := labels(load(t, s)); len(got) != 1 {
				t.Errorf("%v", got)
			}
			if _, err := os.Stat(dir + "/cc"); err != nil {
				t.Error("the cache is elsewhere")
			}
		})
	}
}

// A folder that goes bad after Open is noticed, and one that is replaced is followed.
func TestFolderChangesUnderAStore(t *testing.T) {
	dir := filepath.Join(folder(t), "d")
	must(t, os.Mkdir(dir, 0o755))
	s := open(t, dir+"/cc")
	put(t, s, ticket(host, realm, 1))
	must(t, os.Chmod(dir, 0o777))
	_, err := s.Load()
	wantFault(t, err, fault.CCacheFolder, "0777", "chmod +t "+dir)
	must(t, os.Chmod(dir, 0o777|os.ModeSticky)) // as the fix says
	load(t, s)
	must(t, os.Chmod(dir, 0o777))
	wantFault(t, s.Update(t.Context(), nil), fault.CCacheFolder)
	_, err = s.LockEndpoint(t.Context(), host)
	wantFault(t, err, fault.CCacheFolder)
	must(t, os.RemoveAll(dir))
	_, err = s.Load()
	wantFault(t, err, fault.CCacheFolder, "does not exist")
	must(t, os.Mkdir(dir, 0o755))
	put(t, s, ticket(other, realm, 2))
	wantLabels(t, load(t, s), "cifs/"+other+"@"+realm+" 2")
}

func TestRunFolderIsMade(t *testing.T) {
	base := folder(t)
	run := filepath.Join(base, "run", "azfilesauth")
	_, err := openIn(run, run+"/krb5cc_0", owner)
	wantFault(t, err, fault.CCacheFolder, filepath.Dir(run)+" does not exist")
	must(t, os.Mkdir(filepath.Dir(run), 0o755))
	must(t, os.Symlink("run", base+"/link")) // as /var/run is
	for _, umask := range []int{0, 0o077} {
		old := unix.Umask(umask)
		t.Cleanup(func() { unix.Umask(old) })
		s, err := openIn(run, base+"/link/azfilesauth/krb5cc_0", owner)
		must(t, err)
		put(t, s, ticket(host, realm, 1))
		if uid, gid, mode, _ := stat(t, run); uid != me || gid != os.Getegid() || mode != os.ModeDir|0o711 {
			t.Errorf("%d:%d, %v", uid, gid, mode)
		}
		must(t, os.Chmod(run, 0o777|os.ModeSticky))
		_, err = s.Load()
		wantFault(t, err, fault.CCacheFolder, "1777", "chmod go-w "+run)
		must(t, os.RemoveAll(run)) // at shutdown of a service, say
		put(t, s, ticket(host, realm, 1))
		must(t, os.RemoveAll(run))
	}
	_, err = openIn(run, run+"/cc/krb5cc_0", owner)
	wantFault(t, err, fault.CCacheFolder, "cc does not exist")
}

// In a shared folder a stranger exchanges the cache all the time. Whatever we meet, we never follow
// his links, never give him a ticket and never take his.
func TestStrangerWhoExchangesTheFile(t *testing.T) {
	needs.Root(t)
	dir := shared(t)
	path, victim := filepath.Join(dir, "krb5cc"), filepath.Join(folder(t), "victim")
	must(t, os.WriteFile(victim, vector(t, "svconly"), 0o600))
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- exchange(path, victim, vectorBytes("ccexp"), stop) }()
	s := open(t, path)
	for n := range uint64(200) {
		snap, err := s.Load()
		if err == nil && snap.Cache != nil && !snap.Trusted {
			t.Fatal("a stranger's file was read")
		}
		if err != nil && !fault.Is(err, fault.CCacheForeign) && !fault.Is(err, fault.CCacheIO) {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(c *ccache.Cache) error { c.Put(ticket(host, realm, n), record); return nil })
		if err != nil && !fault.Is(err, fault.CCacheForeign) && !fault.Is(err, fault.CCacheIO) {
			t.Fatal(err)
		}
	}
	close(stop)
	must(t, <-done)
	if got, _ := os.ReadFile(victim); !bytes.Equal(got, vector(t, "svconly")) {
		t.Error("the victim was changed")
	}
}

// What is looked at must be what is opened, though a stranger exchanges the two as fast as he can.
func TestExchangeBetweenLookingAndOpening(t *testing.T) {
	needs.Root(t)
	for name, plant := range map[string]func(path, victim string) error{
		"link": func(path, victim string) error { return os.Symlink(victim, path) },
		"file": func(path, victim string) error {
			return errors.Join(os.WriteFile(path, vectorBytes("svconly"), 0o600), os.Lchown(path, mallory, mallory))
		},
	} {
		dir := shared(t)
		path, evil, victim := filepath.Join(dir, "krb5cc"), filepath.Join(dir, "evil"), filepath.Join(folder(t), "victim")
		must(t, os.WriteFile(victim, vector(t, "svconly"), 0o600))
		s := open(t, path)
		put(t, s, ticket(other, realm, 1))
		must(t, plant(evil, victim))
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- swap(path, evil, stop) }()
		var good, refused int
		for n := 0; n < 1e6 && (n < 5000 || good == 0 || refused == 0); n++ {
			snap, err := s.Load()
			switch {
			case fault.Is(err, fault.CCacheForeign), fault.Is(err, fault.CCacheIO):
				refused++
			case err != nil || !slices.Equal(labels(snap.Cache), []string{"cifs/" + other + "@" + realm + " 1"}):
				t.Fatalf("%s: the stranger's was read: %v", name, err)
			default:
				good++
			}
		}
		close(stop)
		must(t, <-done)
		if good == 0 || refused == 0 {
			t.Errorf("%s: %d read, %d refused: nothing was tried", name, good, refused)
		}
	}
}

// swap exchanges two files until stop.
func swap(a, b string, stop chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
			return err
		}
	}
}

func vectorBytes(name string) []byte {
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	if err != nil {
		panic(err)
	}
	return data
}

// exchange puts mallory's link, mallory's file and nothing at path, in turn, until stop.
func exchange(path, victim string, evil []byte, stop chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		temp := fmt.Sprintf("%s.%d", path, n%2)
		_ = os.Remove(temp)
		var err error
		switch n % 3 {
		case 0:
			if err = os.Symlink(victim, temp); err == nil {
				err = os.Lchown(temp, mallory, mallory)
			}
		case 1:
			if err = os.WriteFile(temp, evil, 0o600); err == nil {
				err = os.Lchown(temp, mallory, mallory)
			}
		case 2:
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			continue
		}
		if err == nil {
			err = os.Rename(temp, path)
		}
		if err != nil {
			return err
		}
	}
}

func TestSharedFolderHoldsNoLock(t *testing.T) {
	dir, run := shared(t), filepath.Join(folder(t), "run")
	s, err := openIn(run, dir+"/cc", owner)
	must(t, err)
	put(t, s, ticket(host, realm, 1))
	if got := names(t, dir); !slices.Equal(got, []string{"cc"}) {
		t.Errorf("the shared folder holds %v", got)
	}
	locks := names(t, run+"/lock")
	if len(locks) != 1 {
		t.Fatalf("locks: %v", locks)
	}
	for path, want := range map[string]os.FileMode{run: os.ModeDir | 0o711, run + "/lock": os.ModeDir | 0o700, run + "/lock/" + locks[0]: 0o600} {
		if uid, _, mode, _ := stat(t, path); uid != me || mode != want {
			t.Errorf("%s: uid %d, %v", path, uid, mode)
		}
	}
	// The same cache by another spelling has the same lock, another cache another one.
	for _, test := range []struct {
		path  string
		locks int
	}{{dir + "/../tmp//cc", 1}, {shared(t) + "/cc", 2}} {
		s, err := openIn(run, test.path, owner)
		must(t, err)
		put(t, s, ticket(host, realm, 2))
		if got := names(t, run+"/lock"); len(got) != test.locks {
			t.Errorf("%s: locks %v", test.path, got)
		}
	}
}

// TestManyEntriesCostLittle: a user can fill his own cache with tiny entries, each an alias of the others, or with
// records that name no ticket; root reads it, under a lock, and must be done at once.
func TestManyEntriesCostLittle(t *testing.T) {
	fill := func(n int, kind func(i int) ccache.Credential) []byte {
		c := parse(t, vector(t, "svconly"))
		for i := range n {
			cred := kind(i)
			cred.Client = c.Principal
			c.Credentials = append(c.Credentials, cred)
		}
		return c.Marshal()
	}
	proto := ticket(host, realm, 1)
	aliases := func(i int) ccache.Credential {
		return ccache.Credential{Server: ccache.Principal{Realm: realm, Components: []string{"cifs", fmt.Sprint(i)}}, Ticket: proto.Ticket}
	}
	records := func(i int) ccache.Credential {
		c := ccache.Cache{}
		c.Put(ticket(fmt.Sprint("h", i), realm, 1), record)
		return c.Credentials[1]
	}
	privates := func(i int) ccache.Credential {
		return ccache.Credential{Server: ccache.Principal{Realm: realm, Components: []string{"azfiles", fmt.Sprint("h", i), "me"}}, Ticket: proto.Ticket}
	}
	for name, kind := range map[string]func(int) ccache.Credential{"aliases": aliases, "records": records, "private": privates} {
		if _, err := ccache.Parse(fill(ccache.MaxEntries, kind)); err == nil {
			t.Errorf("%s: one more than %d entries", name, ccache.MaxEntries)
		}
		c := parse(t, fill(ccache.MaxEntries-1, kind))
		begun := time.Now()
		for range 3 {
			c.Records()
			c.Record(spn)
			c.Ticket(spn)
			c.Tickets()
		}
		c.Put(proto, record)
		c.PutPrivate("me", proto, record)
		c.DropExpired(issuedAt.Add(100*time.Hour), nil)
		if took := time.Since(begun); took > 5*time.Second { // a hundred thousand entries took minutes
			t.Errorf("%s: %s", name, took)
		}
		if left := len(c.Tickets()); left != 0 {
			t.Errorf("%s: %d tickets outlive their time", name, left)
		}
	}
	path := filepath.Join(folder(t), "cc")
	s := open(t, path)
	put(t, s, ticket(host, realm, 1))
	err := s.Update(t.Context(), func(c *ccache.Cache) error {
		for i := range ccache.MaxEntries {
			c.Credentials = append(c.Credentials, aliases(i))
		}
		return nil
	})
	wantFault(t, err, fault.CCacheIO, "entries")
}
