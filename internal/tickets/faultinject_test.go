package tickets

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// TestWritePathUnderFaults replaces a ticket and lets strace kill the process at each system call
// that touches the directory of the cache, and lets each call that changes or opens something fail. (A
// process that is killed at a call does not carry it out, but has carried out the one before.)
// Afterwards MIT's klist shows every ticket that was there before.
func TestWritePathUnderFaults(t *testing.T) {
	s := newStage(t)
	calls := s.calls()
	faults := 0
	for _, c := range calls {
		kinds := []string{"signal=SIGKILL"}
		if canFail.MatchString(c.name) {
			kinds = append(kinds, "error=ENOSPC", "error=EROFS", "error=EDQUOT")
		}
		for _, kind := range kinds {
			faults++
			t.Run(fmt.Sprintf("%s %d %s", c.name, c.nth, kind), func(t *testing.T) {
				t.Parallel()
				s.disturb(t, c, kind)
			})
		}
	}
	t.Logf("%d faults at %d system calls", faults, len(calls))
}

// canFail are the calls that a full or read-only disk or a quota can refuse; some architectures have
// only the newer rename.
var canFail = regexp.MustCompile(`^(openat2?|p?write(64)?|fsync|fchown|fchmod|close|rename(at2?)?|unlink(at)?)$`)

const (
	privateAcct = "acct.privatelink.file.core.windows.net"
	otherGID    = 4242 // nobody's by default, so that only what is kept is right
	oldMode     = 0o440
	newMode     = 0o600
	leftover    = ".krb5cc.0123456789abcdef.tmp" // as a killed process leaves it behind
)

// stage is a cache with tickets of several accounts, and a program that replaces one of them.
type stage struct {
	*world
	program string    // testdata/writer
	before  []byte    // the cache
	shown   shown     // what klist shows of it
	rest    []byte    // the cache without the ticket that is replaced
	answers [2]string // folders with what Azure answers; the second is for the update after
	tickets [2]ccache.Credential
}

func newStage(t *testing.T) *stage {
	t.Helper()
	needs.Root(t) // the cache has a group that is not the caller's
	hosts := []string{"one.file.core.windows.net", "two.file.core.windows.net", "three.file.core.windows.net"}
	s := &stage{world: newWorld(t, hosts...), program: buildWriter(t)}
	for i, h := range append(hosts, privateAcct) { // lifetimes that differ make tickets that klist tells apart
		s.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Lifetime: time.Duration(20+i) * time.Minute, Times: 1})
		s.ensure(s.request(h, system))
	}
	s.before = must(os.ReadFile(s.path))
	s.shown = klist(t, s.path)
	if len(s.shown) != len(hosts)+2 { // the private name is an alias
		t.Fatalf("klist shows %v", s.shown)
	}
	c := s.cache()
	c.Remove("cifs/" + acct)
	s.rest = c.Marshal()
	for i := range s.answers {
		s.answers[i], s.tickets[i] = s.record(time.Duration(40+i) * time.Minute)
	}
	return s
}

func buildWriter(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "writer")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/writer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// recorder keeps each answer in a file that is named after the host. They do not say when they were given: on a busy machine they
// are played so much later that the machine's clock would seem to be wrong.
type recorder struct {
	http.RoundTripper
	folder string
}

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, text, err := trip(r.RoundTripper, req)
	if err != nil {
		return nil, err
	}
	text = regexp.MustCompile(`(?m)^Date: .*\n`).ReplaceAll(text, nil)
	return resp, os.WriteFile(filepath.Join(r.folder, req.URL.Hostname()), text, 0o600)
}

// record asks Azure for a ticket, in a cache of its own, and keeps the answers.
func (s *stage) record(life time.Duration) (string, ccache.Credential) {
	s.t.Helper()
	r := recorder{s.fake.Transport(), s.t.TempDir()}
	m := managerOver(s.t, configFor(s.t, s.t.TempDir()), r)
	s.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Lifetime: life, Times: 1})
	res := must(m.Ensure(s.t.Context(), s.request(acct, system)))
	cred, _ := must(ccache.Parse(must(os.ReadFile(res.CCache)))).Ticket("cifs/" + acct)
	return r.folder, cred
}

// sysCall is one system call: the nth of its name in one run of the program, and in every run the same
// one of those that are alike.
type sysCall struct {
	name string
	nth  int
	what string // see whatIs
	same int    // so many calls before it have the same what
}

// opensDirectory tells whether the call opens the cache's directory to list or to sync it.
func (c sysCall) opensDirectory() bool { return strings.HasSuffix(c.what, `, "."`) }

// vital tells whether a failure of the call must be reported: what is not read or written any more
// may fail to close, a leftover may stay for another time, and a lock need not name its holder.
func (c sysCall) vital() bool {
	return !c.opensDirectory() && !(c.name == "write" && strings.Contains(c.what, ".lock>")) && !strings.HasPrefix(c.name, "unlink") && (c.name != "close" || strings.HasSuffix(c.what, ".tmp>"))
}

// calls runs the program undisturbed and gives its calls that have to do with the cache's folder.
func (s *stage) calls() []sysCall {
	s.t.Helper()
	r := s.newTrial(s.t)
	list := r.undisturbed(s.t)
	if _, fresh := s.state(s.t, r.path); !fresh {
		s.t.Fatal("without a fault the ticket was not replaced")
	}
	// A kill does not show what a power failure would: that the content is on the disk before the name.
	if got := order(list); got != "write unlink fchown fchmod write fsync rename fsync" {
		s.t.Errorf("the order is %s", got)
	}
	return list
}

// order has the calls that change something, but for opening.
func order(list []sysCall) string {
	var names []string
	for _, c := range list {
		if canFail.MatchString(c.name) && c.name != "close" && !strings.HasPrefix(c.name, "open") {
			names = append(names, strings.TrimRight(c.name, "at26"))
		}
	}
	return strings.Join(names, " ")
}

// trial is one run of the program on a copy of the cache.
type trial struct {
	*stage
	dir, path, conf, log string
}

func (s *stage) newTrial(t *testing.T) *trial {
	t.Helper()
	r := &trial{stage: s, dir: filepath.Join(t.TempDir(), "d"), log: filepath.Join(t.TempDir(), "log")}
	r.path, r.conf = filepath.Join(r.dir, "krb5cc"), configFor(t, r.dir)
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{r.path: s.before, filepath.Join(r.dir, leftover): []byte("x")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(r.path, 0, otherGID), os.Chmod(r.path, oldMode)); err != nil {
		t.Fatal(err)
	}
	return r
}

// undisturbed runs the program without a fault and gives its calls that have to do with the cache's folder.
func (r *trial) undisturbed(t *testing.T) (list []sysCall) {
	t.Helper()
	if out, err := r.strace().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	count, same := map[string]int{}, map[string]int{}
	for _, line := range r.lines() {
		name, _, isCall := strings.Cut(line, "(")
		count[name]++
		if isCall && strings.Contains(line, r.dir) && !strings.Contains(line, r.conf) && name != "execve" {
			what := r.whatIs(line)
			list = append(list, sysCall{name, count[name], what, same[what]})
			same[what]++
		}
	}
	return list
}

// strace runs the program with faults. Without -f strace sees the first thread only, see
// testdata/writer. Go's signals for preemption would only fill the log.
func (r *trial) strace(inject ...string) *exec.Cmd {
	args := []string{"-y", "-o", r.log, "-e", "trace=%file,%desc"}
	for _, i := range inject {
		args = append(args, "-e", "inject="+i)
	}
	cmd := exec.Command(tool(r.t, "strace", "strace"), append(args, r.program, r.conf, r.answers[0], acct)...)
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	return cmd
}

func (r *trial) lines() []string {
	return strings.Split(strings.TrimSpace(string(must(os.ReadFile(r.log)))), "\n")
}

// whatIs takes out of a line of strace's log what is alike in all runs: the call's name, the path
// behind its first argument and, in calls like openat, the name in that folder.
func (r *trial) whatIs(line string) string {
	what := regexp.MustCompile(`^(\w+at2?\(\w*<[^>]*>, "[^"]*"|\w+\(\w*(<[^>]*>)?)`).FindString(line)
	what = regexp.MustCompile(`[0-9a-f]{16}(\.tmp)|\d+(<)`).ReplaceAllString(what, "$1$2")
	return strings.ReplaceAll(what, filepath.Dir(r.dir), "")
}

// struck gives the call that was disturbed.
func (r *trial) struck() string {
	lines := r.lines()
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasSuffix(l, "(INJECTED)") })
	if at < 0 && strings.HasPrefix(lines[len(lines)-1], "+++ killed by SIGKILL") {
		at = len(lines) - 2
	}
	if at < 0 {
		return "nothing"
	}
	return r.whatIs(lines[at])
}

// disturb runs the program with one fault and looks at what is left. Under load the Go runtime writes to
// an eventfd of its own once more or less, so it can take some runs to meet the call that is meant. The run
// whose calls were counted can be the odd one, in which case no other run meets the call there: so after
// each miss they are counted again.
func (s *stage) disturb(t *testing.T, c sysCall, kind string) {
	for range 20 {
		r := s.newTrial(t)
		out, err := r.strace(fmt.Sprintf("%s:%s:when=%d", c.name, kind, c.nth)).CombinedOutput()
		if r.struck() == c.what {
			r.verify(t, c, string(out), err)
			return
		}
		t.Logf("struck %s, wanted %s", r.struck(), c.what)
		again := s.newTrial(t).undisturbed(t)
		if i := slices.IndexFunc(again, func(o sysCall) bool { return o.what == c.what && o.same == c.same }); i >= 0 {
			c.nth = again[i].nth
		}
	}
	t.Fatal("the call was never met")
}

func (r *trial) verify(t *testing.T, c sysCall, out string, err error) {
	t.Helper()
	old, fresh := r.state(t, r.path)
	var exit *exec.ExitError
	switch {
	case !old && !fresh:
		t.Errorf("the cache is neither the old nor the new one")
	case err == nil && !fresh:
		t.Error("success is reported and the ticket is not there")
	case err == nil && c.vital():
		t.Error("success is reported although the call failed")
	case err == nil:
	case !errors.As(err, &exit):
		t.Fatal(err)
	case exit.Sys().(syscall.WaitStatus).Signaled():
	case exit.ExitCode() != 1 || !strings.HasPrefix(out, "AZF-"):
		t.Errorf("no fault: %v: %s", err, out)
	case !old && c.name != "fsync" && !c.opensDirectory(): // only of the folder it is not known whether the rename will last
		t.Errorf("after a failure the cache is not the old one: %s", out)
	}
	r.verifyTemps(t)
	if out, err := exec.Command(r.program, r.conf, r.answers[1], acct).CombinedOutput(); err != nil {
		t.Errorf("the next update: %v: %s", err, out)
	}
	if !r.holds(t, r.path, r.tickets[1]) {
		t.Error("the next update's ticket is not there, or another ticket is not there any more")
	}
	if got := filesIn(t, r.dir); !slices.Equal(got, []string{".krb5cc.lock", "krb5cc"}) {
		t.Errorf("after the next update the folder holds %v", got)
	}
}

// state tells whether a cache is the old one or the one with the new ticket, after it has made sure that
// klist shows every ticket and that the old one has the owner and mode that it had, the new one its own.
func (s *stage) state(t *testing.T, path string) (old, fresh bool) {
	t.Helper()
	fresh = s.holds(t, path, s.tickets[0])
	uid, gid, mode := ownerOf(t, path)
	if fresh && (uid != 0 || gid != 0 || mode != newMode) || !fresh && (uid != 0 || gid != otherGID || mode != oldMode) {
		t.Errorf("the cache belongs to %d:%d, mode %v; new: %v", uid, gid, mode, fresh)
	}
	now := klist(t, path)
	for label, times := range s.shown {
		replaced := strings.HasPrefix(label, "cifs/acct.")
		if now[label] == "" || !replaced && now[label] != times {
			t.Errorf("%s was shown with %s, now with %q", label, times, now[label])
		}
	}
	if len(now) != len(s.shown) {
		t.Errorf("klist shows %v", now)
	}
	return maps.Equal(now, s.shown) && bytes.Equal(must(os.ReadFile(path)), s.before), fresh
}

// holds reports whether a cache holds the ticket for the account and its alias, and all else as it was.
func (s *stage) holds(t *testing.T, path string, want ccache.Credential) bool {
	t.Helper()
	c, err := ccache.Parse(must(os.ReadFile(path)))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{acct, privateAcct} {
		if got, ok := c.Ticket("cifs/" + host); !ok || !got.Ticket.Equal(want.Ticket) || !got.Key.Value.Equal(want.Key.Value) {
			return false
		}
	}
	c.Remove("cifs/" + acct)
	return bytes.Equal(c.Marshal(), s.rest)
}

// verifyTemps makes sure that a new file had its final owner and mode before it had a ticket.
func (r *trial) verifyTemps(t *testing.T) {
	t.Helper()
	for _, name := range filesIn(t, r.dir) {
		path := filepath.Join(r.dir, name)
		if !strings.HasSuffix(name, ".tmp") || name == leftover || len(must(os.ReadFile(path))) == 0 {
			continue
		}
		if uid, gid, mode := ownerOf(t, path); uid != 0 || gid != 0 || mode != newMode {
			t.Errorf("%s holds tickets and belongs to %d:%d, mode %v", name, uid, gid, mode)
		}
	}
}

func ownerOf(t *testing.T, path string) (uid, gid int, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid), info.Mode()
}

// filesIn lists a folder.
func filesIn(t *testing.T, dir string) (list []string) {
	t.Helper()
	for _, e := range must(os.ReadDir(dir)) {
		list = append(list, e.Name())
	}
	return list
}
