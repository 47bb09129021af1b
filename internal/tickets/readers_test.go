package tickets

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// TestReadersDuringRefreshes lets processes ask libkrb5 for a ticket again and again while it is
// replaced again and again. Each look-up finds a ticket, and the session key beside it is its own.
func TestReadersDuringRefreshes(t *testing.T) {
	const processes, lookUps, refreshes = 8, 2500, 400
	w := newWorld(t)
	w.ring = newMapRing() // one token serves all
	again := w.request(acct, system)
	again.Fresh = Always
	w.ensure(w.request(acct2, system))
	w.ensure(again)
	keytab := filepath.Join(t.TempDir(), "keytab")
	if err := os.WriteFile(keytab, must(w.fake.Keytab()), 0o600); err != nil {
		t.Fatal(err)
	}
	program := buildLookup(t)
	var readers []*reader
	for range processes {
		readers = append(readers, startReader(t, program, "FILE:"+w.path, keytab, acct, fmt.Sprint(lookUps)))
	}
	n := 0
	for ; n < refreshes || slices.ContainsFunc(readers, (*reader).busy); n++ {
		w.ensure(again)
	}
	total, least := 0, n
	for _, r := range readers {
		made, seen := r.end(t)
		total, least = total+made, min(least, seen)
	}
	t.Logf("%d look-ups during %d refreshes, of which each process has seen %d or more", total, n, least)
	if total < processes*lookUps || least < 2 {
		t.Error("that is too little to show anything")
	}
	verifyWithMIT(t, w, keytab)
}

// verifyWithMIT reads the cache with MIT's own programs.
func verifyWithMIT(t *testing.T, w *world, keytab string) {
	t.Helper()
	if s := klist(t, w.path); len(s) != 2 {
		t.Errorf("klist shows %v", s)
	}
	for _, host := range []string{acct, acct2} {
		out := mit(t, "kvno", "--cached-only", "-k", keytab, "-c", "FILE:"+w.path, "cifs/"+host+"@"+azurefake.DefaultRealm)
		if !strings.Contains(out, "keytab entry valid") {
			t.Errorf("kvno %s: %s", host, out)
		}
	}
}

func buildLookup(t *testing.T) string {
	t.Helper()
	cc := tool(t, "cc", "gcc and libc6-dev")
	flags, err := exec.Command(tool(t, "krb5-config", "libkrb5-dev"), "--cflags", "--libs", "krb5").Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lookup")
	args := append([]string{"-O2", "-Wall", "-Werror", "-o", path, "testdata/lookup.c"}, strings.Fields(string(flags))...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// reader is a running testdata/lookup.c.
type reader struct {
	cmd    *exec.Cmd
	in     io.Closer
	out    *bufio.Reader
	enough chan struct{} // closed when it has made its minimum of look-ups or has failed
	first  string        // its first line
}

func startReader(t *testing.T, program string, args ...string) *reader {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = mitEnv(t)
	in := must(cmd.StdinPipe())
	out := must(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r := &reader{cmd: cmd, in: in, out: bufio.NewReader(out), enough: make(chan struct{})}
	go func() {
		r.first, _ = r.out.ReadString('\n') // what is missing is reported by end
		close(r.enough)
	}()
	return r
}

func (r *reader) busy() bool {
	select {
	case <-r.enough:
		return false
	default:
		return true
	}
}

// end stops the reader, and gives how many look-ups it made and how many tickets it saw.
func (r *reader) end(t *testing.T) (made, seen int) {
	t.Helper()
	_ = r.in.Close()
	<-r.enough
	last, _ := io.ReadAll(r.out)
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s%s", err, r.first, last)
	}
	if _, err := fmt.Sscan(string(last), &made, &seen); err != nil {
		t.Fatalf("%v: %s%s", err, r.first, last)
	}
	return made, seen
}

// repeater asks each host for so many answers and then gives them again and again: a handshake takes
// longer than all else.
type repeater struct {
	http.RoundTripper
	many    int
	answers map[string][][]byte
	asked   map[string]int
}

func (r *repeater) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Hostname()
	r.asked[host]++
	if r.asked[host] > r.many {
		text := r.answers[host][r.asked[host]%r.many]
		return http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), req)
	}
	resp, text, err := trip(r.RoundTripper, req)
	r.answers[host] = append(r.answers[host], text)
	return resp, err
}

// trip asks, and gives the answer as it is and as text.
func trip(to http.RoundTripper, req *http.Request) (*http.Response, []byte, error) {
	resp, err := to.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	text, err := httputil.DumpResponse(resp, true)
	return resp, text, err
}

func managerOver(t *testing.T, conf string, azure http.RoundTripper) *Manager {
	t.Helper()
	m, err := New(Options{
		Host: machine(conf), Config: read(conf), Access: Access{Transport: azure, IMDS: azure},
		Mounted: func() ([]mounts.Mount, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// configFor names the cache krb5cc in dir. The file is elsewhere, so that dir holds nothing else.
func configFor(t *testing.T, dir string) string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(conf, []byte("KRB5_CC_NAME: "+filepath.Join(dir, "krb5cc")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}

// TestCacheDoesNotGrow refreshes the tickets of a cache, one of which has an alias.
func TestCacheDoesNotGrow(t *testing.T) {
	const refreshes = 1000
	w := newWorld(t)
	w.Manager = managerOver(t, w.conf, &repeater{w.fake.Transport(), 5, map[string][][]byte{}, map[string]int{}})
	w.ensure(w.request(privateAcct, system))
	w.ensure(w.request(acct2, system))
	requests := []Request{w.request(acct, system), w.request(acct2, system)}
	size, entries := 0, 0
	for n := 1; n <= refreshes; n++ {
		r := requests[n%len(requests)]
		r.Fresh = Always
		before := must(os.ReadFile(w.path))
		w.ensure(r)
		if bytes.Equal(before, must(os.ReadFile(w.path))) {
			t.Fatal("the cache is the same as before")
		}
		if n == 1 {
			size, entries = len(must(os.ReadFile(w.path))), len(w.cache().Credentials)
		}
	}
	if now := len(must(os.ReadFile(w.path))); now != size {
		t.Errorf("%d bytes after one refresh, %d after %d", size, now, refreshes)
	}
	if now := len(w.cache().Credentials); now != entries {
		t.Errorf("%d entries after one refresh, %d after %d", entries, now, refreshes)
	}
	if got := filesIn(t, filepath.Dir(w.path)); !slices.Equal(got, []string{".krb5cc.lock", "krb5cc"}) {
		t.Errorf("the folder holds %v", got)
	}
}

// shown is what klist shows: for each service principal when its ticket begins and ends.
type shown map[string]string

func klist(t *testing.T, path string) shown {
	t.Helper()
	out := mit(t, "klist", "-c", "FILE:"+path)
	s := shown{}
	for _, m := range regexp.MustCompile(`(?m)^(\S+ \S+  \S+ \S+)  (cifs/\S+)$`).FindAllStringSubmatch(out, -1) {
		s[m[2]] = m[1]
	}
	return s
}

// mit runs one of MIT's programs; it can ask nobody.
func mit(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name, "krb5-user"), args...)
	cmd.Env = mitEnv(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

func mitEnv(t *testing.T) []string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "krb5.conf")
	text := "[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"KRB5_CONFIG=" + conf, "TZ=UTC", "LC_ALL=C"}
}

// tool finds a program that is in a Debian package.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install %s", err, debian)
	}
	return path
}
