package watcher

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

var update = flag.Bool("update", false, "rewrite what the scenarios expect")

// TestScenarios plays testdata/scenario/*.txtar in virtual time. The text in front of the files of an
// archive is for readers; config is added to the configuration, script says what happens, one command on
// a line, and want is the transcript of what the watcher does and logs, with the time since its start.
// go test -run Scenarios -update writes want anew: read the difference.
func TestScenarios(t *testing.T) {
	files := must(filepath.Glob(filepath.Join("testdata", "scenario", "*.txtar")))
	if len(files) == 0 {
		t.Fatal("there are no scenarios")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	archive := must(txtar.ParseFile(file))
	part := func(name string) *txtar.File {
		for i := range archive.Files {
			if archive.Files[i].Name == name {
				return &archive.Files[i]
			}
		}
		archive.Files = append(archive.Files, txtar.File{Name: name})
		return &archive.Files[len(archive.Files)-1]
	}
	var hosts []string
	for i := 1; i <= 5; i++ {
		hosts = append(hosts, fmt.Sprintf("acct%d.file.core.windows.net", i))
	}
	a, dir := newAzure(t, hosts...), t.TempDir()
	check(os.Mkdir(filepath.Join(dir, "cc"), 0o755))
	t.Cleanup(func() {
		for unix.Unmount(filepath.Join(dir, "cc"), 0) == nil { // what the script mounted
		}
	})
	var got strings.Builder
	script := string(part("script").Data)
	if mounting.MatchString(script) {
		needs.Capability(t, "CAP_CHOWN", "CAP_SYS_ADMIN")
	}
	conf := string(part("config").Data)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, a, dir, conf)
		for line := range strings.Lines(script) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			fmt.Fprintf(&got, "> %s\n", line)
			w.command(line, &got)
			if w.watcher != nil { // time for what follows at once
				time.Sleep(merge + merge/2)
				synctest.Wait()
			}
			got.WriteString(w.transcript())
		}
		if w.watcher != nil {
			w.stop()
		}
	})
	if want := part("want"); *update {
		want.Data = []byte(got.String())
		check(os.WriteFile(file, txtar.Format(archive), 0o644))
	} else if got.String() != string(want.Data) {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want.Data)
	}
}

// mounting finds the commands that only root can do.
var mounting = regexp.MustCompile(`(?m)^(folder|cache chown) |cruid=[1-9]`)

// command does what one line of a script says. HOST is the number of an account.
func (w *world) command(line string, out *strings.Builder) {
	f := strings.Fields(line)
	host := func(n string) string { return "acct" + n + ".file.core.windows.net" }
	cache := w.path("cc/krb5cc_0")
	switch f[0] {
	case "start": // the watcher
		w.start()
	case "mount": // HOST[.privatelink] TARGET [option...]
		n, alias, _ := strings.Cut(f[1], ".")
		source := "//" + host(n) + "/share"
		if alias != "" {
			source = strings.Replace(source, ".file.", "."+alias+".file.", 1)
		}
		w.mount(source, f[2], f[3:]...)
	case "unmount": // TARGET
		w.unmount(f[1])
	case "set": // HOST IDENTITY...: by another process
		check(w.other(host(f[1]), strings.Join(f[2:], " "), "", 0))
	case "refused": // HOST IDENTITY...: another process was refused a ticket
		if err := w.other(host(f[1]), strings.Join(f[2:], " "), "", 0); err == nil {
			w.t.Errorf("%s: it was not refused", line)
		}
	case "hand": // HOST: another process was handed a token
		w.azure.clock.Store(w.wall().UnixNano())
		check(w.other(host(f[1]), "token", w.azure.MintToken(azurefake.MintOptions{}), 0))
	case "deaf": // on|off: events get lost
		w.deaf = f[1] == "on"
	case "wait": // DURATION
		time.Sleep(must(time.ParseDuration(f[1])))
		synctest.Wait()
	case "clock": // DURATION: the machine's clock is set
		w.step(must(time.ParseDuration(f[1])))
	case "sleep": // DURATION: the machine does
		w.azure.slept += must(time.ParseDuration(f[1]))
		w.step(must(time.ParseDuration(f[1])))
	case "azure": // ORDER in JSON, or nothing
		w.azure.ClearOrders()
		if len(f) > 1 {
			var o azurefake.Order
			check(json.Unmarshal([]byte(strings.TrimPrefix(line, "azure ")), &o))
			w.azure.Order(o)
		}
	case "lifetime": // DURATION of tickets
		w.azure.Order(azurefake.Order{Target: azurefake.TargetStorage, Lifetime: must(time.ParseDuration(f[1]))})
	case "trouble": // HOST hang|dns|tls|down|none
		w.trouble[host(f[1])] = f[2]
	case "cache": // garbage|delete|chown UID|forge IDENTITY
		w.disturb(cache, f[1:])
		w.cacheChanged()
	case "folder": // small|fill|free|readonly|writable
		w.folder(f[1])
	case "config": // TEXT, whose lines are parted by a semicolon
		w.configure(strings.ReplaceAll(strings.TrimPrefix(line, "config "), "; ", "\n") + "\n")
	case "reload":
		w.hangups <- unix.SIGHUP
		synctest.Wait()
	case "refresh": // [HOST]
		name := ""
		if len(f) > 1 {
			name = host(f[1])
		}
		got, err := w.Refresh(w.t.Context(), name)
		for _, o := range got {
			fmt.Fprintf(out, "outcome: %s fault=%v\n", o.Host, o.Fault != nil)
		}
		if err != nil {
			fmt.Fprintln(out, "error:", w.plain(err.Error()))
		}
	case "status":
		for _, e := range w.Status().Endpoints {
			next := "never"
			if !e.NextRefresh.IsZero() {
				next = e.NextRefresh.Sub(w.begun).Round(time.Second).String()
			}
			last := ""
			if e.LastFault != nil {
				last = " fault=" + e.LastFault.ID
			}
			fmt.Fprintf(out, "status: %s cruid=%d %s next=%s identity=%q mounts=%d failures=%d why=%q%s\n",
				e.Host, e.CRUID, e.State, next, e.Identity, len(e.Mounts), e.Failures, w.plain(e.Why), last)
		}
	case "metrics": // [FILE]: what is counted, as the socket tells or as it was written
		var text strings.Builder
		if len(f) == 1 {
			w.WriteMetrics(&text)
		} else {
			text.Write(must(os.ReadFile(w.path(f[1]))))
		}
		for line := range strings.Lines(text.String()) {
			if strings.Contains(line, "_total{") || strings.Contains(line, "_failures{") || strings.HasPrefix(line, "azfilesauth_identity_unknown{") && strings.HasSuffix(line, " 1\n") || strings.Contains(line, " off;") {
				out.WriteString(w.plain(line))
			}
		}
	case "mkdir": // NAME
		check(os.Mkdir(w.path(f[1]), 0o755))
	case "asked": // how often each account
		for i := 1; i <= 5; i++ {
			fmt.Fprintf(out, "%d ", w.exchanges(host(strconv.Itoa(i))))
		}
		fmt.Fprintln(out)
	case "exchanges": // HOST: as whom it was asked how often, by Azure's own log
		asked := map[string]int{}
		for _, r := range w.azure.Requests() {
			if r.Target == azurefake.TargetStorage && r.Host == host(f[1]) {
				asked[r.Identity]++
			}
		}
		for _, who := range slices.Sorted(maps.Keys(asked)) {
			fmt.Fprintf(out, "exchanges: %d as %s\n", asked[who], who)
		}
	case "list": // the cache
		all := must(w.manager.List(0))
		for _, t := range slices.Concat(all.Tickets, all.Further) {
			fmt.Fprintf(out, "ticket: %s identity=%q ends=%s\n", t.Server, t.Identity, t.EndTime.Sub(w.begun).Round(time.Second))
		}
	default:
		w.t.Fatalf("there is no command %s", f[0])
	}
}

// disturb is what others do to a cache.
func (w *world) disturb(cache string, f []string) {
	switch f[0] {
	case "garbage":
		check(os.WriteFile(cache, []byte("garbage"), 0o640))
	case "delete":
		check(os.Remove(cache))
	case "chown":
		check(os.Chown(cache, must(strconv.Atoi(f[1])), 0))
	case "chmod":
		check(os.Chmod(cache, os.FileMode(must(strconv.ParseUint(f[1], 8, 32)))))
	default:
		w.t.Fatalf("there is no cache %s", f[0])
	}
}

// folder is what happens to the directory of the cache: a file system of its own that is small.
func (w *world) folder(what string) {
	dir := w.path("cc")
	switch what {
	case "small":
		check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32k,mode=0755"))
	case "fill":
		f := must(os.Create(filepath.Join(dir, "fill")))
		for {
			if _, err := f.Write(make([]byte, 4096)); err != nil {
				break
			}
		}
		check(f.Close())
	case "free":
		check(os.Remove(filepath.Join(dir, "fill")))
	case "readonly":
		// A second mount on top, because nobody can make one read-only that has a file open for writing.
		check(unix.Mount(dir, dir, "", unix.MS_BIND, ""))
		check(unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	case "writable":
		check(unix.Unmount(dir, 0))
	default:
		w.t.Fatalf("there is not a directory %s", what)
	}
}
