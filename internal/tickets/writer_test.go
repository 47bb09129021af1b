package tickets

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// TestWriterGathers runs in virtual time, in which a write takes none.
func TestWriterGathers(t *testing.T) {
	dir := t.TempDir()
	store := must(ccache.Open(machine(filepath.Join(dir, "krb5cc")), filepath.Join(dir, "krb5cc"), 0))
	renames := countRenames(t, dir)
	put := func(t *testing.T, w *writer, n int) time.Duration {
		begun := time.Now()
		name := ccache.Principal{Realm: "R", Components: []string{"cifs", fmt.Sprintf("a%d.file.core.windows.net", n)}}
		cred := ccache.Credential{
			Client: ccache.Principal{Realm: "R", Components: []string{"c"}}, Server: name,
			Ticket: secret.FromString(fmt.Sprint("ticket ", begun.UnixNano(), n)),
		}
		if err := w.put(t.Context(), store, func(c *ccache.Cache) { c.Put(cred, ccache.Record{}) }); err != nil {
			t.Error(err)
		}
		return time.Since(begun)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWriter()
		const together = 50
		var all sync.WaitGroup
		for n := range together {
			w.expect()
			all.Go(func() {
				time.Sleep(time.Duration(n) * minGather / together)
				put(t, w, n)
			})
		}
		all.Wait()
		if n := renames(); n != 1 {
			t.Errorf("%d tickets that arrive together go out in %d writes", together, n)
		}
		w.expect() // it hangs
		w.expect()
		if took := put(t, w, 1); took != minGather {
			t.Errorf("beside a fetch that hangs, a write waited for %s", took)
		}
		w.expect()
		w.giveUp()
		w.expect()
		time.AfterFunc(minGather/3, w.giveUp) // the one that hung
		if took := put(t, w, 1); took != minGather/3 {
			t.Errorf("after the last fetch has failed, a write waited for %s", took)
		}
		w.expect()
		if took := put(t, w, 1); took != 0 {
			t.Errorf("a single write waited for %s", took)
		}
	})
	if n := renames(); n != 3 {
		t.Errorf("%d writes for three tickets that came one by one", n)
	}
}

// TestWriterSurvivesPanics: a daemon goes on after one.
func TestWriterSurvivesPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "krb5cc")
	store := must(ccache.Open(machine(path), path, 0))
	w := newWriter()
	note := func(c *ccache.Cache) { c.Note("cifs/a.file.core.windows.net", ccache.Record{Identity: "system"}) }
	errs := make([]error, 2)
	w.expect()
	w.expect()
	var all sync.WaitGroup
	for i, change := range []func(*ccache.Cache){func(*ccache.Cache) { panic("of what is in the cache") }, note} {
		all.Go(func() { errs[i] = w.put(t.Context(), store, change) })
	}
	all.Wait()
	if !fault.Is(errs[0], fault.Internal) || errs[1] != nil {
		t.Errorf("the change that panics: %v, the other: %v", errs[0], errs[1])
	}
	w.expect()
	if err := w.put(t.Context(), store, note); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// panicking is a way on which nothing comes back.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("of what Azure answered") }

func TestPanicIsNotExpected(t *testing.T) {
	w := newWorld(t)
	w.Transport, w.client.Transport = panicking{}, panicking{}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it goes on")
			}
		}()
		_, _ = w.Ensure(t.Context(), w.request(acct, system))
	}()
	if !w.caches[0].writer.complete() {
		t.Error("the writer waits for a ticket that does not come")
	}
}

// countRenames gives a function that counts the files that were renamed in dir since it was last called.
func countRenames(t *testing.T, dir string) func() int {
	t.Helper()
	fd := must(unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC))
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_FROM)) // their names differ, and so the kernel does not merge them
	return func() (n int) {
		events := make([]byte, 64<<10)
		got, err := unix.Read(fd, events)
		if err != nil {
			return 0 // EAGAIN: there were none
		}
		for events = events[:got]; len(events) > 0; n++ { // inotify(7): the length of the name is the fourth field
			events = events[unix.SizeofInotifyEvent+binary.NativeEndian.Uint32(events[12:]):]
		}
		return n
	}
}
