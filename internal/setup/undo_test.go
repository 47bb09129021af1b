package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// What somebody else changed since stays, is named, and is taken back when it is as it was.
func TestUndoLeavesWhatWasChanged(t *testing.T) {
	h := tree(t, usual, map[string]string{rulePath: ourRule[:len(ourRule)-1]})
	before := snapshot(t, h.Root)
	apply(t, h, Directories, Config, Rule, Unit)
	const config = "/etc/azfilesauth/config.yaml"
	shipped := h.content(t, config)
	must(t, os.WriteFile(h.Root+config, []byte("USER_UID: 7\n"), 0o600))
	must(t, os.Chmod(h.Root+rulePath, 0o600))

	var out strings.Builder
	err := Undo(context.Background(), h, &out)
	if !fault.Is(err, fault.SetupChanged) || !strings.Contains(err.Error(), config) || !strings.Contains(err.Error(), rulePath) || strings.Contains(err.Error(), adminUnit) {
		t.Errorf("got %v", err)
	}
	if h.content(t, config) != "USER_UID: 7\n" || h.content(t, adminUnit) != "missing" || h.content(t, rulePath) != ourRule {
		t.Error("the wrong files were taken back")
	}
	if !strings.Contains(out.String(), "/etc/azfilesauth: kept, because it is not empty\n") {
		t.Errorf("%s", &out)
	}

	must(t, os.WriteFile(h.Root+config, []byte(shipped), 0o600))
	must(t, os.Chmod(h.Root+rulePath, 0o644))
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back at last")
}

// A rule that somebody edited stays, and so does its program: every mount with Kerberos asks for it. Both go when the rule
// is as it was, or gone.
func TestUndoKeepsTheProgramOfARule(t *testing.T) {
	h := tree(t, usual, map[string]string{"/usr/sbin/azfiles.upcall": "gone", "/usr/sbin/mount.azfiles": "gone"})
	before := snapshot(t, h.Root)
	apply(t, h, Links, Rule)
	must(t, os.WriteFile(h.Root+rulePath, []byte("# mine\n"+ourRule), 0o644))
	var out strings.Builder
	if err := Undo(context.Background(), h, &out); !fault.Is(err, fault.SetupChanged) || !strings.Contains(err.Error(), rulePath) {
		t.Errorf("got %v", err)
	}
	if target, err := os.Readlink(h.Root + "/usr/sbin/azfiles.upcall"); err != nil || h.content(t, "/usr/sbin/mount.azfiles") != "missing" {
		t.Errorf("%s, %v\n%s", target, err, &out)
	}
	if !strings.Contains(out.String(), "/usr/sbin/azfiles.upcall: kept, because "+rulePath+" stays and names it\n") {
		t.Errorf("%s", &out)
	}
	must(t, os.Remove(h.Root+rulePath))
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back at last")
}

// A package that came after setup has put its own over what setup made; the rest is taken back.
func TestUndoWithAPackage(t *testing.T) {
	none := map[string]string{krb5Conf: "[libdefaults]\n"}
	for _, name := range []string{"/usr/sbin/azfiles.upcall", "/usr/sbin/mount.azfiles", "/usr/bin/azfilesauthmanager", "/usr/bin/azfilesrefresh"} {
		none[name] = "gone"
	}
	h := tree(t, usual, none)
	apply(t, h, Directories, Config, Links, Rule, Unit, KRB5Conf)
	before := packageOver(t, h)
	must(t, Undo(context.Background(), h, io.Discard))
	stays(t, h, before)
	if got := h.content(t, krb5Conf); got != none[krb5Conf] {
		t.Errorf("krb5.conf is %q", got)
	}
}

// Tickets in our folder are no reason to fail.
func TestUndoKeepsTickets(t *testing.T) {
	h := tree(t, usual)
	apply(t, h, Default()[0].ID)
	must(t, os.WriteFile(h.Root+host.RunDir+"/krb5cc_0", nil, 0o600))
	must(t, Undo(context.Background(), h, io.Discard))
	if h.content(t, host.RunDir+"/krb5cc_0") != "" || h.content(t, journalPath) != "missing" {
		t.Error("the cache or the journal is not as it should be")
	}
}

// A cache that has a successor is not put over it.
func TestUndoAfterANewCache(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{host.RunDir + "/krb5cc_0 0640": "damage"})
	apply(t, h, CCache)
	must(t, os.WriteFile(h.Root+host.RunDir+"/krb5cc_0", []byte("new"), 0o600))
	if err := Undo(context.Background(), h, io.Discard); !fault.Is(err, fault.SetupChanged) {
		t.Errorf("got %v", err)
	}
	if h.content(t, host.RunDir+"/krb5cc_0") != "new" {
		t.Error("the new cache is gone")
	}
}

// Changes of one file by several runs are taken back one by one.
func TestUndoSeveralRuns(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{
		groupFile: "sudo:x:27:me,azfilesuser\n", "/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n",
	})
	before := snapshot(t, h.Root)
	apply(t, h, UserGroups)
	apply(t, h, User)
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back")
}

// The accounts are files of others too: what they put there since stays, and what setup put there goes. That he was
// in a group of root is not brought back then.
func TestUndoAmongOtherAccounts(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{
		groupFile: "sudo:x:27:me,azfilesuser\n", "/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n",
	})
	want := map[string]string{}
	for _, path := range accountFiles {
		want[path] = "first:x:1:\n" + h.content(t, path) + "other:x:5:\n"
	}
	want[groupFile] = strings.Replace(want[groupFile], ",azfilesuser", "", 1)
	apply(t, h, UserGroups)
	apply(t, h, User)
	for _, path := range accountFiles {
		must(t, os.WriteFile(h.Root+path, []byte("first:x:1:\n"+h.content(t, path)+"other:x:5:\n"), 0o600))
	}
	var out strings.Builder
	must(t, Undo(context.Background(), h, &out))
	for path, text := range want {
		if got := h.content(t, path); got != text {
			t.Errorf("%s: %s\nwant %s", path, got, text)
		}
	}
	if h.content(t, journalPath) != "missing" || !strings.Contains(out.String(), groupFile+": kept, because it was changed since, and nothing of the setup is in it\n") {
		t.Errorf("%s", &out)
	}
}

// An undo that was killed before it could write the journal is finished by the next one.
func TestUndoTwice(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{
		groupFile: "sudo:x:27:me,azfilesuser\nwheel:x:10:azfilesuser\n", "/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n",
	})
	before := snapshot(t, h.Root)
	apply(t, h, UserGroups)
	apply(t, h, User)
	journal := h.content(t, journalPath)
	must(t, Undo(context.Background(), h, io.Discard))
	must(t, os.Mkdir(h.Root+"/var/lib/azfilesauth", 0o755))
	must(t, os.WriteFile(h.Root+journalPath, []byte(journal), 0o600))
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back twice")
}

// Accounts that were changed themselves stay, until somebody takes them out by hand.
func TestUndoneByHand(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n"})
	apply(t, h, User)
	edited := func(by func(line string) string) {
		for _, path := range accountFiles {
			content := h.content(t, path)
			line := string(accountLine([]byte(content)))
			must(t, os.WriteFile(h.Root+path, []byte(strings.Replace(content, line, by(line), 1)), 0o600))
		}
	}
	edited(func(line string) string { return strings.TrimSuffix(line, "\n") + "x\n" })
	if err := Undo(context.Background(), h, io.Discard); !fault.Is(err, fault.SetupChanged) || strings.Count(err.Error(), "/etc/") != len(accountFiles) {
		t.Errorf("got %v", err)
	}
	edited(func(string) string { return "" })
	must(t, Undo(context.Background(), h, io.Discard))
	if h.content(t, journalPath) != "missing" {
		t.Error("the journal is still there")
	}
}

// What a setup that was killed leaves is taken away: a directory before it got its mode, a copy of a file that was to be put
// in place.
func TestKilled(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{
		"/run/azfilesauth/": "gone", "/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n",
	})
	before := snapshot(t, h.Root)
	unmade := h.content(t, groupFile)
	apply(t, h, Directories, User)
	must(t, os.Chmod(h.Root+"/run/azfilesauth", 0o700)) //nolint:gosec // a directory is searched
	must(t, os.WriteFile(h.Root+groupFile, []byte(unmade), 0o644))
	for _, path := range []string{journalPath, shadowFile, groupFile} {
		temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".0123456789abcdef.tmp")
		must(t, os.WriteFile(h.Root+temp, []byte("root:$y$hash:"), 0o600))
	}
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back")
}

// Where the journal cannot be written, nothing is changed and nothing left behind.
func TestDiskFull(t *testing.T) {
	needs.Root(t)
	h := tree(t, usual)
	ownMounts(t)
	must(t, unix.Mount("tmpfs", h.Root+"/var/lib", "tmpfs", 0, "nr_inodes=3")) // itself, the directory, its lock
	t.Cleanup(func() { _ = unix.Unmount(h.Root+"/var/lib", unix.MNT_DETACH) })
	before := snapshot(t, h.Root)
	if _, err := Run(context.Background(), h, Default(), io.Discard); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	unchanged(t, h, before, "full")
}

// Of several setups at once each one succeeds, and all that they did can be taken back.
func TestSetupsAtOnce(t *testing.T) {
	h := tree(t, usual)
	before := snapshot(t, h.Root)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := Run(context.Background(), h, Default(), io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back")
}

// What another setup did between the look and the change is not done again, and while it is at work nothing is changed.
func TestAnotherSetup(t *testing.T) {
	h := tree(t, usual)
	before := snapshot(t, h.Root)
	first := true
	changes, err := Run(context.Background(), h, Default(), writerFunc(func(p []byte) (int, error) {
		if first {
			first = false
			apply(t, h, Directories, Config, Rule, User, Unit)
		}
		return len(p), nil
	}))
	if must(t, err); len(changes) > 0 {
		t.Errorf("%+v", changes)
	}
	_, done, err := h.openJournal(context.Background(), journalPath)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	_, err = Run(ctx, h, []Action{action(t, KRB5Conf)}, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if !fault.Is(err, fault.SetupFailed) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	done()
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back")
}

// A change that is no longer what was shown is not made.
func TestChangedBeforeApply(t *testing.T) {
	h := tree(t, usual, map[string]string{rulePath: ourRule[:len(ourRule)-1]})
	swap := Action{ID: Rule, plan: func(p *planner) error {
		err := planRule(p)
		return errors.Join(err, os.WriteFile(h.Root+rulePath, []byte("# mine\n"), 0o644))
	}}
	p := &planner{host: h, ctx: context.Background(), planned: map[string]view{}}
	must(t, swap.plan(p))
	j := &journal{path: journalPath, Schema: journalSchema}
	if err := j.do(context.Background(), h, p.changes[0]); !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
	if h.content(t, rulePath) != "# mine\n" || h.content(t, journalPath) != "missing" {
		t.Error("it was changed all the same")
	}
}

// What an interruption leaves can be taken back.
func TestInterrupted(t *testing.T) {
	h := tree(t, usual)
	before := snapshot(t, h.Root)
	p, err := plan(context.Background(), h, Default())
	must(t, err)
	j := &journal{path: journalPath, Schema: journalSchema}
	for i, c := range p.changes {
		j.Entries = append(j.Entries, entry{c.Action, c.Path, testTime, c.step})
		must(t, j.write(h))
		if i == len(p.changes)/2 {
			break // written down, and not made
		}
		must(t, c.apply(context.Background(), h))
	}
	must(t, Undo(context.Background(), h, io.Discard))
	unchanged(t, h, before, "taken back")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, h, Default(), io.Discard); !fault.Is(err, fault.Interrupted) {
		t.Errorf("got %v", err)
	}
	unchanged(t, h, before, "interrupted at once")
}

// A journal that others could have written is not followed.
func TestJournalIsRoots(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		mode  os.FileMode
		owner int
	}{
		"user's":   {`{"schema":1}`, 0o600, 65534},
		"writable": {`{"schema":1}`, 0o622, 0},
		"damaged":  {`{"schema`, 0o600, 0},
		"newer":    {`{"schema":2}`, 0o600, 0},
	} {
		h := tree(t, usual)
		if test.owner != 0 && os.Geteuid() != 0 {
			continue
		}
		must(t, os.MkdirAll(h.Root+"/var/lib/azfilesauth", 0o755))
		must(t, os.WriteFile(h.Root+journalPath, []byte(test.text), 0o600))
		must(t, os.Chmod(h.Root+journalPath, test.mode))
		if test.owner != 0 {
			must(t, os.Chown(h.Root+journalPath, test.owner, 0))
		}
		before := snapshot(t, h.Root)
		if err := Undo(context.Background(), h, io.Discard); !fault.Is(err, fault.SetupFailed) {
			t.Errorf("%s: undo: %v", name, err)
		}
		if _, err := Run(context.Background(), h, Default(), io.Discard); !fault.Is(err, fault.SetupFailed) {
			t.Errorf("%s: run: %v", name, err)
		}
		unchanged(t, h, before, name)
	}
	h := tree(t, usual)
	apply(t, h, Config)
	info, err := os.Stat(h.Root + journalPath)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// fakeSystemd is systemctl on a machine where systemd runs, and notes what it is asked; active is what it says
// of the service.
type fakeSystemd struct {
	active, broken bool
	asked          []string
}

func (f *fakeSystemd) run(_ context.Context, _ string, args ...string) (string, error) {
	f.asked = append(f.asked, strings.Join(args, " "))
	switch args[0] {
	case "is-active":
		if !f.active {
			return "", errors.New("inactive")
		}
	case "restart":
		if f.broken {
			return "", errors.New("failed")
		}
		f.active = true
	case "stop":
		f.active = false
	}
	return "", nil
}

func TestService(t *testing.T) {
	needs.Program(t, "systemctl", "systemd")
	var systemd fakeSystemd
	forgotten := 0
	h := tree(t, usual, map[string]string{"/usr/bin/systemctl 0755": ""})
	h.Booted, h.Exec = true, systemd.run
	h.Forget = func() (bool, error) { forgotten++; return true, nil }
	apply(t, h, Unit)
	if got, want := strings.Join(systemd.asked, "; "), "is-active --quiet azfilesrefresh.service; daemon-reload; restart azfilesrefresh.service"; got != want {
		t.Errorf("got %s", got)
	}
	if len(apply(t, h, Unit)) > 0 || forgotten != 1 {
		t.Errorf("the second run changed something; the failures were forgotten %d times", forgotten)
	}
	systemd.active, systemd.asked = false, nil // somebody stopped it
	if changes := apply(t, h, Unit); len(changes) != 1 || !systemd.active {
		t.Errorf("%+v", changes)
	}
	systemd.asked = nil
	must(t, Undo(context.Background(), h, io.Discard))
	if got, want := strings.Join(systemd.asked, "; "), "stop azfilesrefresh.service; stop azfilesrefresh.service; daemon-reload"; got != want {
		t.Errorf("got %s", got)
	}
	systemd.broken = true
	if _, err := Run(context.Background(), h, []Action{action(t, Unit)}, io.Discard); !fault.Is(err, fault.ServiceFailed) {
		t.Errorf("got %v", err)
	}
}
