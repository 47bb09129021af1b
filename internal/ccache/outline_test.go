package ccache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// shown is what a list shows of tickets.
func shown(creds []*ccache.Credential) []string {
	var list []string
	for _, c := range creds {
		list = append(list, fmt.Sprint(c.Server, c.Client, c.Key.Etype, c.Flags, c.AuthTime, c.StartTime, c.EndTime, c.RenewTill))
	}
	return list
}

// sameOutline holds that an outline has the tickets of a whole cache, and is refused when that is damaged.
func sameOutline(t testing.TB, data []byte) {
	t.Helper()
	whole, wanted := ccache.Parse(bytes.Clone(data))
	outline, err := ccache.Outline(bytes.NewReader(data), len(data))
	if wanted != nil || err != nil {
		if wanted == nil || err == nil || err.Error() != wanted.Error() {
			t.Fatalf("the outline: %v, the whole: %v", err, wanted)
		}
		return
	}
	if got, want := shown(outline.AllTickets()), shown(whole.AllTickets()); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
	for _, c := range outline.Credentials {
		if c.Key.Value.Len()+c.SecondTicket.Len()+len(c.Addresses)+len(c.AuthData) > 0 || c.Ticket.Len() > 12 {
			t.Fatalf("the outline keeps more of %s than it needs", c.Server)
		}
	}
}

func TestOutlineHasTheTicketsOfTheWhole(t *testing.T) {
	for _, name := range whole {
		data := vector(t, name)
		for cut := range len(data) + 1 {
			sameOutline(t, data[:cut])
		}
		sameOutline(t, append(bytes.Clone(data), 0))
	}
	sameOutline(t, version3(t, vector(t, "ccalias")))

	// Aliases, with and without a record, a further identity, and entries that are in two pieces of the file.
	c := thousand()
	c.Put(ticket(host, realm, 1), withAliases("alias.test"))
	alias := ticket(other, realm, 2)
	c.Credentials = append(c.Credentials, alias)
	alias.Server.Components = []string{"cifs", "second.test"}
	c.Credentials = append(c.Credentials, alias)
	c.PutPrivate("azfiles-system", ticket("h7.test", realm, 3), record)
	data := c.Marshal()
	sameOutline(t, data)
	for cut := 1; cut < len(data); cut += 19997 {
		sameOutline(t, data[:cut])
	}
}

// An entry can be larger than what is read at a time.
func TestOutlineOfALargeEntry(t *testing.T) {
	c := parse(t, vector(t, "svconly"))
	large := c.Credentials[0]
	large.SecondTicket = secret.New(make([]byte, 1<<20))
	c.Credentials = append(c.Credentials, large, ticket(other, realm, 1))
	data := c.Marshal()
	sameOutline(t, data)
	sameOutline(t, data[:len(data)/2])
}

func TestOutlineOfALargeFile(t *testing.T) {
	c := parse(t, vector(t, "svconly"))
	c.Credentials[0].SecondTicket = secret.New(make([]byte, ccache.MaxSize-len(vector(t, "svconly"))))
	data := c.Marshal()
	sameOutline(t, data)
	sameOutline(t, append(data, 0))
	_, err := ccache.Outline(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errors.New("too far"))), len(data))
	if err == nil || !strings.Contains(err.Error(), "too far") {
		t.Errorf("a file that cannot be read to its end: %v", err)
	}
}

func TestOutlineNeedsLittleMemory(t *testing.T) {
	c := thousand()
	for i := range c.Credentials {
		if !c.Credentials[i].IsConfig() {
			c.Credentials[i].Ticket = secret.New(bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 2000))
		}
	}
	data := c.Marshal()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	outline, err := ccache.Outline(bytes.NewReader(data), 0)
	runtime.ReadMemStats(&after)
	must(t, err)
	if n := len(outline.Tickets()); n != 1000 {
		t.Errorf("%d tickets", n)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(data))/2 {
		t.Errorf("%d bytes allocated for a cache of %d", used, len(data))
	}
}

// Look trusts the files that Load trusts.
func TestLookRefusesWhatLoadRefuses(t *testing.T) {
	for name, spoil := range map[string]func(dir, path string) error{
		"nothing":         func(string, string) error { return nil },
		"no file":         func(_, path string) error { return os.Remove(path) },
		"damaged":         func(_, path string) error { return os.Truncate(path, 300) },
		"another kind":    func(_, path string) error { return os.WriteFile(path, []byte("hello"), 0o600) },
		"others write":    func(_, path string) error { return os.Chmod(path, 0o622) },
		"two names":       func(dir, path string) error { return os.Link(path, dir+"/other") },
		"link":            func(dir, path string) error { return errors.Join(os.Rename(path, dir+"/x"), os.Symlink("x", path)) },
		"directory":       func(_, path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"writable folder": func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"no folder":       func(dir, _ string) error { return os.Rename(dir, dir+"x") },
	} {
		dir := filepath.Join(folder(t), "d")
		must(t, os.Mkdir(dir, 0o755))
		path := dir + "/cc"
		s := open(t, path)
		put(t, s, ticket(host, realm, 1), ticket(other, realm, 2))
		must(t, spoil(dir, path))
		want, wanted := s.Load()
		got, err := s.Look()
		if fmt.Sprint(err) != fmt.Sprint(wanted) {
			t.Errorf("%s: %v, want %v", name, err, wanted)
		}
		if (got.Cache == nil) != (want.Cache == nil) || got.Trusted != want.Trusted {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		} else if got.Cache != nil && len(got.Cache.Tickets()) != 2 {
			t.Errorf("%s: %d tickets", name, len(got.Cache.Tickets()))
		}
	}
}
