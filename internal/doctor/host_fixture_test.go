package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// machine is one whose files are in a directory of the caller, at that time.
func machine(root string) host.Host {
	h := host.Beneath(root).Trusting(os.Geteuid())
	h.Now = func() time.Time { return hostNow }
	return h
}

// hostNow is when the fixtures are looked at.
var hostNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// plant makes a tree of the files of a txtar text. A file's header is PATH, PATH MODE, PATH MODE UID,
// PATH -> TARGET for a link, PATH/ for a folder with a mode and an owner likewise, and PATH REMOVED
// for what an earlier text had.
func plant(t testing.TB, root, text string) {
	t.Helper()
	for _, f := range txtar.Parse([]byte(text)).Files {
		words := strings.Fields(f.Name)
		path := filepath.Join(root, words[0])
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case len(words) == 3 && words[1] == "->":
			_ = os.RemoveAll(path)
			must(t, os.Symlink(words[2], path))
			continue
		case len(words) == 2 && words[1] == "REMOVED":
			must(t, os.RemoveAll(path))
			continue
		case strings.HasSuffix(words[0], "/"):
			must(t, os.MkdirAll(path, 0o755))
		default:
			_ = os.RemoveAll(path)
			content := strings.ReplaceAll(string(f.Data), "<NUL>", "\x00")
			if cut, ok := strings.CutSuffix(content, "<NO LINE END>\n"); ok {
				content = cut
			}
			must(t, os.WriteFile(path, []byte(content), 0o644))
		}
		if len(words) > 1 {
			mode, err := strconv.ParseUint(words[1], 8, 32)
			must(t, err)
			must(t, unix.Chmod(path, uint32(mode)))
		}
		if len(words) > 2 {
			uid, err := strconv.Atoi(words[2])
			must(t, err)
			needs.Root(t)
			must(t, os.Chown(path, uid, uid))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// product is what installing azfilesauth brings.
const product = `
-- usr/bin/azfilesauth 755 --
-- usr/bin/azfilesauthmanager -> azfilesauth --
-- usr/bin/azfilesrefresh -> azfilesauth --
-- usr/sbin/mount.azfiles -> /usr/bin/azfilesauth --
-- usr/sbin/azfiles.upcall -> /usr/bin/azfilesauth --
-- etc/azfilesauth/config.yaml 600 --
USER_UID: 0
-- etc/request-key.d/azfiles.conf --
# our rule
create cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k
`

// runningKernel is what a kernel shows of itself.
const runningKernel = `
-- proc/filesystems --
nodev	sysfs
	ext4
nodev	cifs
-- proc/sys/kernel/osrelease --
6.12.0-azure
-- proc/sys/kernel/usermodehelper/bset --
4294967295	511
-- proc/sys/crypto/fips_enabled --
0
-- proc/uptime --
7200.00 10000.00
-- proc/keys --
0b3f6a1c I--Q---     1 perm 3f030000     0     0 keyring   _ses: 1
2b5a1a3e I------     1 perm 1f0b0000     0     0 keyring   .cifs_spnego: empty
-- proc/1/mountinfo --
-- proc/1/ns/mnt -> mnt:[4026531841] --
-- proc/self/ns/mnt -> mnt:[4026531841] --
-- proc/200/ns/mnt -> mnt:[4026531841] --
-- proc/200/cmdline --
/usr/bin/azfilesrefresh<NUL>
-- proc/201/cmdline --
/usr/bin/dbus-daemon<NUL>watch<NUL>
-- sys/module/cifs/parameters/enable_gcm_256 --
Y
-- sys/module/cifs/parameters/require_gcm_256 --
N
`

// ubuntuLike is a distribution as its packages leave it: what the findings' trees are variations of.
const ubuntuLike = `
-- bin -> usr/bin --
-- sbin -> usr/sbin --
-- lib -> usr/lib --
-- etc/os-release -> ../usr/lib/os-release --
-- usr/lib/os-release --
ID=ubuntu
ID_LIKE=debian
-- tmp/ 1777 --
-- etc/passwd --
root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
-- etc/krb5.conf --
[libdefaults]
	default_realm = EXAMPLE.COM
includedir /etc/krb5.conf.d
-- etc/krb5.conf.d/ --
-- etc/request-key.conf --
create  dns_resolver *		*               /sbin/key.dns_resolver %k
create	user	debug:loop:*	*		|/bin/cat
negate	*	*		*		/bin/keyctl negate %k 30 %S
-- etc/request-key.d/cifs.spnego.conf --
create  cifs.spnego    * * /usr/sbin/cifs.upcall %k
-- usr/sbin/request-key 755 --
-- usr/sbin/key.dns_resolver 755 --
-- usr/sbin/mount.cifs 4755 --
-- usr/sbin/cifs.upcall 755 --
<NUL>version: %s<NUL>7.4<NUL>
`

// hostTree is a healthy, running machine with the variations.
func hostTree(t testing.TB, variations ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, text := range append([]string{ubuntuLike, product, runningKernel}, variations...) {
		plant(t, root, text)
	}
	return root
}

// programs answers for the programs of a tree.
type programs map[string]string

func (p programs) run(_ context.Context, path string, _ ...string) (string, error) {
	out, ok := p[filepath.Base(path)]
	if !ok {
		return "", os.ErrNotExist
	}
	return out, nil
}

func hostPrograms() programs {
	return programs{
		"request-key": "request-key from keyutils-1.6.3 (Built 2020-02-10)\n", "mount.cifs": "mount.cifs version: 7.4\n",
		"azfiles.upcall": "azfiles.upcall from azfilesauth 2.0.0\n",
	}
}

// toldKernel is a kernel that answers as it is told to.
type toldKernel struct {
	addKey, logErr error
	log            []LogLine
}

func (k toldKernel) AddKey(string, string) error { return k.addKey }

// Describe knows a keyring of root's and a failed request, and what a user has named like one.
func (k toldKernel) Describe(key keyring.Serial) (keyring.Description, error) {
	d, ok := map[keyring.Serial]keyring.Description{
		0x2b5a1a3e: {Type: "keyring", Text: ".cifs_spnego"}, 0x3b5a1a3e: {Type: "cifs.spnego", Text: "ver=0x2;host=x"},
		0x4b5a1a3e: {Type: "user", UID: 1000, Text: "x"}, 0x5b5a1a3e: {Type: "cifs.spnego", UID: 1000, Text: "ver=0x2;host=x"},
	}[key]
	if !ok {
		return d, unix.ENOKEY
	}
	return d, nil
}

func (k toldKernel) Log() ([]LogLine, error) { return k.log, k.logErr }

// look runs the checks of the host in a tree as if it were this machine's.
func look(t testing.TB, root string, change func(*Options)) Report {
	t.Helper()
	o := Options{Host: machine(root), Version: "2.0.0", asLive: true, Kernel: toldKernel{addKey: unix.EPERM}}
	o.Exec = hostPrograms().run
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	must(t, err)
	return Run(context.Background(), s, hostChecks())
}

// checksOf are the checks of some links of the chain, with or without those that are named.
func checksOf(groups []Group, with, without []ID) []Check {
	return slices.DeleteFunc(All(), func(c Check) bool {
		return slices.Contains(without, c.ID) || !slices.Contains(groups, c.Group) && !slices.Contains(with, c.ID)
	})
}

// hostChecks are those of the machine, the upcall and Kerberos on the host.
func hostChecks() []Check {
	return checksOf([]Group{Configuration, Machine, Upcall, Kerberos}, []ID{"namespaces", "selinux", "kernel-log"}, []ID{"fstab", "host-form"})
}

// azureChecks are those of the identity, Azure, the credential cache and the surroundings.
func azureChecks() []Check {
	return checksOf([]Group{Identity, Network, Exchange, Cache, Surroundings}, []ID{"fstab", "host-form"}, []ID{"namespaces", "selinux"})
}

// checkOf is the check of that id.
func checkOf(id ID) Check {
	return checksOf(nil, []ID{id}, nil)[0]
}

// ids are the checks that ended with a status.
func ids(r Report, status Status) []string {
	var found []string
	for _, f := range r.Checks {
		if f.Status == status {
			found = append(found, string(f.ID))
		}
	}
	return found
}

// show is a report for a failing test.
func show(r Report) string {
	var b strings.Builder
	r.Write(&b, nil)
	return b.String()
}

func mkfifo(t testing.TB, path string) {
	t.Helper()
	must(t, unix.Mkfifo(path, 0o600))
}
