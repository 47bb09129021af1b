package setup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

const rulePath = requestkey.OurFile

var testTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// usual is a small machine with systemd and our program.
var usual = map[string]string{
	"/etc/passwd":                 "root:x:0:0:root:/root:/bin/sh\nsshd:x:999:65534::/run/sshd:/usr/sbin/nologin\n",
	"/etc/group":                  "root:x:0:\nsudo:x:27:\nssh:x:998:\n",
	"/etc/shadow":                 "root:$y$j9T$secrethash:20000:0:99999:7:::\n",
	"/etc/gshadow":                "root:*::\nsudo:*::\n",
	"/etc/.pwd.lock":              "",
	"/usr/lib/systemd/systemd":    "",
	"/usr/bin/azfilesauth":        "",
	"/usr/sbin/azfiles.upcall":    "->/usr/bin/azfilesauth",
	"/usr/sbin/mount.azfiles":     "->/usr/bin/azfilesauth",
	"/usr/bin/azfilesauthmanager": "->azfilesauth",
	"/usr/bin/azfilesrefresh":     "->azfilesauth",
	"/run/":                       "",
	"/etc/request-key.d/":         "",
	"/var/lib/":                   "",
}

// healthy is what a machine needs no setup with.
var healthy = map[string]string{
	"/run/azfilesauth/ 0711":                                  "",
	"/etc/azfilesauth/":                                       "",
	"/etc/azfilesauth/config.yaml 0600":                       "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n",
	"/etc/request-key.d/azfiles.conf":                         "create cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k\n",
	"/lib":                                                    "->usr/lib",
	"/usr/lib/systemd/system/" + unitName:                     "[Install]\nWantedBy=multi-user.target\nAlias=azfilesauth.service\n",
	"/etc/systemd/system/azfilesauth.service":                 "->/usr/lib/systemd/system/" + unitName,
	"/etc/systemd/system/multi-user.target.wants/" + unitName: "->/usr/lib/systemd/system/" + unitName,
}

// tree builds a machine from paths: "/folder/ MODE UID", "/file MODE UID",
// or "/link" with "->target"; what is "gone" is left out.
func tree(t *testing.T, parts ...map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{} // by path; a later part takes the place of an earlier one
	keys := map[string]string{}
	for _, part := range parts {
		for key, text := range part {
			path, _, _ := strings.Cut(key, " ")
			all[path], keys[path] = text, key
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		put(t, root, keys[path], all[path])
	}
	h := Host{Host: host.Beneath(root).Trusting(os.Geteuid()), Tools: host.Real()}
	h.Now = func() time.Time { return testTime }
	return h
}

func put(t *testing.T, root, key, text string) {
	t.Helper()
	var path string
	mode, uid := fs.FileMode(0o644), 0
	if _, err := fmt.Sscanf(key, "%s %o %d", &path, &mode, &uid); err != nil && path == "" {
		t.Fatal(err)
	}
	name := root + path
	target, link := strings.CutPrefix(text, "->")
	if text == "gone" {
		return
	}
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	switch {
	case strings.HasSuffix(path, "/"):
		if !strings.Contains(key, " ") {
			mode = 0o755
		}
		must(t, os.MkdirAll(name, 0o755))
	case link:
		must(t, os.Symlink(target, name))
		return
	default:
		must(t, os.WriteFile(name, []byte(text), 0o600))
	}
	if uid != 0 { // of another than the trusted user
		needs.Root(t)
		must(t, os.Chown(name, uid, 0))
	}
	must(t, unix.Chmod(name, uint32(mode))) // which knows the sticky bit
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot is everything in a tree: kind, owner, mode and content, by path.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		what := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			h := sha256.New()
			_, err = io.Copy(h, f)
			what += fmt.Sprintf(" %x", h.Sum(nil))
			if err != nil {
				return err
			}
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " " + target
		}
		all[strings.TrimPrefix(path, root)] = what
		return nil
	}))
	return all
}

// differences names what differs between two snapshots.
func differences(a, b map[string]string) []string {
	var all []string
	for path := range a {
		if a[path] != b[path] {
			all = append(all, fmt.Sprintf("%s: %q, then %q", path, a[path], b[path]))
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			all = append(all, path+" is new")
		}
	}
	slices.Sort(all)
	return all
}

func unchanged(t *testing.T, h Host, before map[string]string, when string) {
	t.Helper()
	for _, d := range differences(before, snapshot(t, h.Root)) {
		t.Errorf("%s: %s", when, d)
	}
}

// roundTrip shows, runs twice and undoes, and gives the changes and the output of the first run.
func roundTrip(t *testing.T, h Host, actions ...Action) ([]Change, string) {
	t.Helper()
	before := snapshot(t, h.Root)
	var shown, out strings.Builder
	wanted, err := Show(context.Background(), h, actions, &shown)
	must(t, err)
	unchanged(t, h, before, "shown only")
	made, err := Run(context.Background(), h, actions, &out)
	must(t, err)
	if len(made) != len(wanted) || out.String() != shown.String() {
		t.Errorf("shown:\n%s\ndone:\n%s", &shown, &out)
	}
	after := snapshot(t, h.Root)
	again, err := Run(context.Background(), h, actions, io.Discard)
	must(t, err)
	if len(again) > 0 {
		t.Errorf("the second run changes %+v", again)
	}
	unchanged(t, h, after, "run again")
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back")
	return made, out.String()
}

// action finds one by its id.
func action(t *testing.T, id string) Action {
	t.Helper()
	a, ok := ByID(id)
	if !ok {
		t.Fatalf("there is no action %s", id)
	}
	return a
}

// apply runs one action and leaves it so.
func apply(t *testing.T, h Host, ids ...string) []Change {
	t.Helper()
	var all []Action
	for _, id := range ids {
		all = append(all, action(t, id))
	}
	changes, err := Run(context.Background(), h, all, io.Discard)
	must(t, err)
	return changes
}

func (h Host) content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(h.Root + path)
	if errors.Is(err, fs.ErrNotExist) {
		return "missing"
	}
	must(t, err)
	return string(text)
}
