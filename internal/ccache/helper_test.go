package ccache_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// The realm, client and host of the vectors, and the users of these tests.
const (
	realm   = "KERBEROS.MICROSOFTONLINE.COM"
	host    = "acct.file.core.windows.net"
	spn     = "cifs/" + host
	cruid   = 1001
	cruidG  = 1002
	mallory = 4242
)

var (
	me       = os.Geteuid()
	owner    = ownerFor(me)
	issuedAt = time.Unix(1795448904, 0).UTC()
	record   = ccache.Record{Identity: "system", ObtainedAt: issuedAt, Refreshable: true}
)

// ownerFor is the credential uid of these tests: another user's for root, one's own for an ordinary user, who
// can give nothing away.
func ownerFor(uid int) int {
	if uid == 0 {
		return cruid
	}
	return uid
}

// openIn opens a cache on a machine whose trusted user is the caller.
func openIn(run, name string, owner int) (*ccache.Store, error) {
	h := machine.Real().Trusting(me)
	h.Run = run
	return ccache.Open(h, name, owner)
}

// give gives a file away; to uid 0, to the caller.
func give(t testing.TB, path string, uid, gid int) {
	t.Helper()
	if uid == 0 && me != 0 {
		return
	}
	needs.Root(t)
	must(t, os.Lchown(path, uid, gid))
}

func TestMain(m *testing.M) {
	if job := os.Getenv("CCACHE_HELPER"); job != "" {
		if err := helper(job, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// helper is what this binary does as a second process: a job on the cache args[0] with locks under args[1].
func helper(job string, args []string) error {
	store, err := openIn(args[1], args[0], owner)
	if err != nil {
		return err
	}
	ctx := context.Background()
	switch job {
	case "put": // puts tickets for <prefix>0, <prefix>1, ... for ever or args[3] times, and says so
		var count int
		_, _ = fmt.Sscan(args[3], &count)
		for n := 0; count == 0 || n < count; n++ {
			cred := ticket(fmt.Sprintf("%s%d.file.core.windows.net", args[2], n), realm, uint64(n))
			err := store.Update(ctx, func(c *ccache.Cache) error { c.Put(cred, record); return nil })
			if err != nil {
				return err
			}
			fmt.Println(n)
		}
		return nil
	case "die": // is killed between reading and writing
		return store.Update(ctx, func(c *ccache.Cache) error {
			c.Remove(spn)
			return unix.Kill(unix.Getpid(), unix.SIGKILL)
		})
	case "hold": // holds the lock of an endpoint until its input ends
		unlock, err := store.LockEndpoint(ctx, args[2])
		if err != nil {
			return err
		}
		fmt.Println("held")
		_, err = io.Copy(io.Discard, os.Stdin)
		unlock()
		return err
	}
	return errors.New("unknown job " + job)
}

// process is a helper at work.
type process struct {
	*exec.Cmd
	in    io.Closer
	lines *bufio.Scanner
}

func start(t *testing.T, job string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "CCACHE_HELPER="+job)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &process{cmd, in, bufio.NewScanner(out)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	must(t, err)
	return data
}

func parse(t testing.TB, data []byte) *ccache.Cache {
	t.Helper()
	c, err := ccache.Parse(data)
	must(t, err)
	return c
}

// ticket is a credential for cifs/host@realm with a DER ticket of MIT's that differs for each host and n.
// It lasts from the vectors' time for ten hours and n seconds.
func ticket(host, realm string, n uint64) ccache.Credential {
	data, err := os.ReadFile("testdata/vectors/svconly")
	if err != nil {
		panic(err)
	}
	c, err := ccache.Parse(data)
	if err != nil {
		panic(err)
	}
	cred := c.Credentials[0]
	cred.Server = ccache.Principal{NameType: 2, Realm: realm, Components: []string{"cifs", host}}
	der := slices.Clone(cred.Ticket.Reveal())
	binary.BigEndian.PutUint64(der[len(der)-8:], n)
	copy(der[len(der)-100:len(der)-8], host)
	cred.Ticket = secret.New(der)
	cred.EndTime = issuedAt.Add(10*time.Hour + time.Duration(n)*time.Second)
	return cred
}

// of gives cred to another client.
func of(cred ccache.Credential, name, realm string) ccache.Credential {
	cred.Client = ccache.Principal{NameType: 1, Realm: realm, Components: []string{name}}
	return cred
}

// folder is a folder that only root can write to and everybody can enter.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func shared(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(folder(t), "tmp")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	return dir
}

func open(t testing.TB, path string) *ccache.Store {
	t.Helper()
	s, err := openIn(filepath.Join(folder(t), "run"), path, owner)
	must(t, err)
	return s
}

func put(t testing.TB, s *ccache.Store, creds ...ccache.Credential) {
	t.Helper()
	must(t, s.Update(t.Context(), func(c *ccache.Cache) error {
		for _, cred := range creds {
			c.Put(cred, record)
		}
		return nil
	}))
}

func load(t testing.TB, s *ccache.Store) *ccache.Cache {
	t.Helper()
	snap, err := s.Load()
	must(t, err)
	if snap.Cache == nil {
		t.Fatal("there is no cache")
	}
	return snap.Cache
}

func wantFault(t testing.TB, err error, id fault.Named, words ...string) {
	t.Helper()
	if !fault.Is(err, id) {
		t.Fatalf("got %v, want %s", err, id)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is missing in: %v", w, err)
		}
	}
}

// names lists a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func hosts(creds []*ccache.Credential) []string {
	var list []string
	for _, c := range creds {
		list = append(list, strings.TrimPrefix(c.Server.String(), "cifs/"))
	}
	return list
}
