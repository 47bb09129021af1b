package watcher

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// TestTenThousandRefreshes: nothing is left behind by a refresh.
func TestTenThousandRefreshes(t *testing.T) {
	needs.Capability(t, "CAP_SYS_ADMIN")
	const hosts = 32 // all due at the same moment
	bubble(t, system+"refresh: {jitter: 0%}\n", hosts, func(w *world) {
		check(unix.Mount("tmpfs", w.path("cc"), "tmpfs", 0, "size=1m,mode=0755")) // a disk takes its time
		defer func() { check(unix.Unmount(w.path("cc"), 0)) }()
		w.replay = &replay{first: map[string][]byte{}}
		w.azure.Order(azurefake.Order{Target: azurefake.TargetStorage, Lifetime: 10 * time.Minute})
		for i := range hosts {
			w.mount(share(i), fmt.Sprint("/mnt/", i))
		}
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		goroutines, files := atMost(runtime.NumGoroutine, 0), atMost(descriptors, 0)
		for w.replay.exchanges() < 10_000 {
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		if n := atMost(runtime.NumGoroutine, goroutines); n > goroutines {
			t.Errorf("%d goroutines, then %d", goroutines, n)
		}
		if n := atMost(descriptors, files); n > files {
			t.Errorf("%d descriptors, then %d", files, n)
		}
		if len(w.memos) != hosts || len(w.logged) != 0 || len(w.busy) != 0 {
			t.Errorf("it remembers %d, %d, %d", len(w.memos), len(w.logged), len(w.busy))
		}
		w.stop()
	})
}

func descriptors() int { return len(must(os.ReadDir("/proc/self/fd"))) }

// atMost gives the count once it is no more than most, or the least that it was for a second of real
// time: the fake closes the connections of its last answers when it gets to it.
func atMost(count func() int, most int) int {
	least := count()
	for n := 0; least > most && n < 1000; n++ {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(time.Millisecond)}, nil) // a signal may cut it short
		least = min(least, count())
	}
	return least
}

// replay gives each account's first answer again and again, with the times of the moment: thousands of
// handshakes would take minutes.
type replay struct {
	mu    sync.Mutex
	first map[string][]byte // KRB-CREDs by host
	given int
}

const generalized = "20060102150405Z" // RFC 4120, 5.2.3

var stamp = regexp.MustCompile(`\d{14}Z`)

func (p *replay) answer(r *http.Request, now time.Time, ask func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	host := r.URL.Hostname()
	if host == imdsHost {
		return ask(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given++; p.first[host] == nil {
		response, err := ask(r)
		if err != nil {
			return nil, err
		}
		p.first[host] = must(base64.StdEncoding.DecodeString(field(response.Body)))
	}
	text := must(json.Marshal(map[string]string{ticketField: base64.StdEncoding.EncodeToString(renew(p.first[host], now))}))
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(text))}, nil
}

func (p *replay) exchanges() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.given
}

const (
	imdsHost    = "169.254.169.254"
	ticketField = "kerberosServiceTicket"
)

func field(body io.Reader) string {
	var doc map[string]string
	check(json.NewDecoder(body).Decode(&doc))
	return doc[ticketField]
}

// renew moves the times that a KRB-CRED tells, of which the first is the earliest.
func renew(cred []byte, now time.Time) []byte {
	begin := must(time.Parse(generalized, string(stamp.Find(cred))))
	return stamp.ReplaceAllFunc(cred, func(b []byte) []byte {
		at := must(time.Parse(generalized, string(b)))
		return []byte(now.UTC().Add(at.Sub(begin)).Format(generalized))
	})
}
