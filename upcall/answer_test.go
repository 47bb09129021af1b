package upcall

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
)

func TestAnswer(t *testing.T) {
	w := newWorld(t)
	w.good(describe(host), host)
	if w.asked("storage") != 1 || w.asked("imds") != 1 {
		t.Errorf("%+v", w.fake.Requests())
	}
	w.fake.ResetRequests()
	for _, d := range []string{
		describe(host),
		describe(host, "pid=0xa5", "pid=0xa6;upcall_target=mount;newer=1"),
		describe("ACCT.File.core.windows.net"),
		describe("acct.privatelink.file.core.windows.net"),
		describe(host, "sec=krb5", "sec=mskrb5"),
		describe(host, "user=root;", ""),
		describe(host, "user=root", "user=ä b"),
		describe(host, "ip4=10.99.0.1", "ip6=fd00:0000:0000:0000:0000:0000:0000:0001"),
	} {
		w.good(d, host)
	}
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests for tickets that were there", n)
	}
	w.good(describe(host2), host2)
	w.silent()
}

func TestAnswerInTheCacheOfTheCredentialUID(t *testing.T) {
	w := newWorld(t)
	w.good(describe(host, "creduid=0x0", "creduid=0xfffe"), host)
	if _, err := os.Stat(w.ccache(65534)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.ccache(0)); err == nil {
		t.Error("root's cache was used")
	}
}

func TestDescriptionsOfEveryLength(t *testing.T) {
	w := newWorld(t)
	w.fetched()
	short := describe(host, "user=root", "user=")
	for _, n := range []int{maxDescription - len(short), maxDescription - len(short) - 1, 255, 256} {
		w.good(strings.Replace(short, "user=", "user="+strings.Repeat("u", n), 1), host)
	}
	w.silent()
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: 300 * time.Millisecond})
	w.ask(describe("", "ip4", "none")) // writes the surroundings
	w.logged()
	var all sync.WaitGroup
	replies := make([]reply, 50)
	for i := range replies {
		all.Go(func() { replies[i] = <-requestKey(0, describe(host, "pid=0xa5", "pid=0x"+strings.Repeat("1", i%8+1))) })
	}
	all.Wait()
	for _, r := range replies {
		if r.err != nil {
			t.Fatalf("%v: %s", r.err, w.logged())
		}
		w.accept(r.payload, host)
	}
	if n := w.asked("storage"); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

// The way of a cached ticket touches no network, no certificate and no file of the process that asked.
func TestCachedTicketTouchesLittle(t *testing.T) {
	w := newWorld(t)
	w.fetched()
	trace := filepath.Join(w.dir, "trace")
	w.program("strace -f -qq -o " + trace + " -e trace=socket,connect,open,openat,execve,clone,clone3,fork,vfork " + shared.program + ` "$@"`)
	w.good(describe(host), host)
	text := string(must(os.ReadFile(trace)))
	for _, word := range []string{"socket(", "connect(", "/etc/ssl", "/etc/pki", "certs", "resolv.conf", "/proc/165"} {
		if strings.Contains(text, word) {
			t.Errorf("%s in:\n%s", word, text)
		}
	}
	if !strings.Contains(text, w.ccache(0)[len(w.dir)+4:]) {
		t.Errorf("the trace shows nothing:\n%s", text)
	}
}

func TestFailureIsToldUntilTheNextSuccess(t *testing.T) {
	w := newWorld(t)
	m := w.machine()
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Code: "AuthorizationPermissionMismatch"})
	began := time.Now()
	w.rejected(describe(host), 3, "AZF-ROLE-MISSING")
	last, ok := lastfault.Load(m, host)
	if !ok || last.ID != fault.RoleMissing.ID || last.At.Before(began) || !strings.Contains(last.Fix, "az role assignment create") {
		t.Fatalf("%+v, %v", last, ok)
	}
	if n := w.asked("storage"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.fake.ClearOrders()
	w.good(describe(host, "pid=0xa5", "pid=0xa6"), host)
	if last, ok := lastfault.Load(m, host); ok {
		t.Errorf("after the success: %+v", last)
	}
	w.silent()
}

// The kernel remembers a rejection: the same request does not reach us again.
func TestRejectionIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 503, Code: "ServerBusy"})
	w.rejected(describe(host), 3, "AZF-AZURE-BUSY")
	if n := w.asked("storage"); n > attempts {
		t.Errorf("asked %d times", n)
	}
}

// A ticket near its end does for a login when Azure is away, but not one that has ended.
func TestOldTicketIsTheLastResort(t *testing.T) {
	w := newWorld(t)
	w.hurry()
	cred := w.fetched()
	cred.AuthTime, cred.StartTime = cred.AuthTime.Add(-time.Hour), cred.StartTime.Add(-time.Hour)
	cred.EndTime = time.Now().Add(time.Minute).Truncate(time.Second)
	w.store(0, cred, systemLine)
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Hang: true})
	r := w.good(describe(host), host)
	if line := w.logged(); !strings.Contains(line, "the old ticket for "+host+" was used: AZF-UPCALL-DEADLINE") {
		t.Errorf("logged: %s", line)
	}
	if r.took < hurried || r.took > patience || w.asked("storage") == 0 {
		t.Errorf("after %s and %d requests", r.took, w.asked("storage"))
	}
	cred.EndTime = time.Now().Add(-time.Second).Truncate(time.Second)
	w.store(0, cred, systemLine)
	w.rejected(describe(host, "pid=0xa5", "pid=0xa6"), 3, "AZF-UPCALL-DEADLINE")
	w.fake.ClearOrders()
	w.good(describe(host, "pid=0xa5", "pid=0xa7"), host)
}

// TestProxyOfTheRecord: the kernel's request, which has no environment, renews the ticket through the proxy that
// azfilesauthmanager found in its own.
func TestProxyOfTheRecord(t *testing.T) {
	w := newWorld(t)
	cred := w.fetched()
	p := must(azurefake.StartProxy(w.fake.StorageAddr(), 0))
	t.Cleanup(p.Close)
	cred.EndTime = time.Now().Add(-time.Second).Truncate(time.Second)
	record := ccache.Record{Identity: systemLine, ObtainedAt: time.Now(), Refreshable: true, Proxy: "http://" + p.Addr}
	s := must(ccache.Open(w.machine(), w.ccache(0), 0))
	check(s.Update(t.Context(), func(c *ccache.Cache) error {
		c.Put(cred, record)
		return nil
	}))
	w.good(describe(host), host)
	if r := p.Requests(); len(r) != 1 || r[0].Host != host+":443" || w.asked("storage") != 1 {
		t.Errorf("by the proxy: %v, to the account: %d", r, w.asked("storage"))
	}
	if rec, _ := must(s.Load()).Cache.Record("cifs/" + host); rec.Proxy != record.Proxy {
		t.Errorf("%+v", rec)
	}
}
