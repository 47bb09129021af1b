package tickets

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
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
