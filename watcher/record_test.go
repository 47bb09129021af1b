package watcher

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/metrics"
)

var record = flag.String("record", "", "the `directory` to write the series of TestRecord to, for packaging/prometheus/picture")

// days are six hours of two machines, by the minute at which something happens.
var days = map[string]map[int]string{
	"node-1": {
		0: "mount 1 /mnt/1", 1: "mount 2 /mnt/2", 90: `azure {"target":"storage","host":"acct2.file.core.windows.net","status":403,"code":"AuthorizationPermissionMismatch"}`,
		190: "azure", 240: "mount 3 /mnt/3",
	},
	"node-2": {0: "mount 1 /mnt/1", 120: "mount 4 /mnt/4", 200: `azure {"target":"storage","status":503}`, 260: "azure"},
}

// TestRecord writes what a daemon tells of itself each minute of six hours in virtual time. The kernel's requests are counted
// as the upcall does it, at times of the story's.
func TestRecord(t *testing.T) {
	dir := *record
	if dir == "" {
		dir = t.TempDir()
	}
	for name, story := range days {
		a, home := newAzure(t, "acct1.file.core.windows.net", "acct2.file.core.windows.net", "acct3.file.core.windows.net", "acct4.file.core.windows.net"), t.TempDir()
		check(os.Mkdir(filepath.Join(home, "cc"), 0o755))
		var text strings.Builder
		synctest.Test(t, func(t *testing.T) {
			play6h(t, newWorld(t, a, home, "default_identity: system\nmetrics: {socket: on}\n"), story, &text)
		})
		check(os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text.String()), 0o644))
		if got := strings.Count(text.String(), "azfilesauth_build_info{"); got != 360 || !strings.Contains(text.String(), `result="failed"`) || !strings.Contains(text.String(), "azfilesauth_upcall_duration_seconds_bucket") {
			t.Errorf("%s: %d times, or nothing failed, or no upcalls", name, got)
		}
	}
}

func play6h(t *testing.T, w *world, story map[int]string, text *strings.Builder) {
	h := w.host()
	h.Run = t.TempDir()
	w.start()
	w.watcher.upcalls = func() map[string]metrics.Upcall { return metrics.Upcalls(h) }
	var said strings.Builder
	for minute := range 360 {
		if line := story[minute]; line != "" {
			w.command(line, &said)
		}
		if minute%7 == 3 { // a login with a ticket of the cache; each time that no other one did, from Azure
			check(metrics.CountUpcall(t.Context(), h, metrics.Answered, time.Duration(3+minute%5)*time.Millisecond))
		}
		if minute%45 == 20 {
			check(metrics.CountUpcall(t.Context(), h, metrics.Answered, 180*time.Millisecond))
		}
		if minute > 150 && minute < 190 && story[190] != "" {
			check(metrics.CountUpcall(t.Context(), h, "AZF-ROLE-MISSING", 240*time.Millisecond))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		fmt.Fprintf(text, "# at %d\n", w.wall().Unix())
		w.WriteMetrics(text)
	}
	w.stop()
}
