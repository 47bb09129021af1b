package compat

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// heavyRows need the machine for themselves.
func heavyRows() []peerRow {
	return []peerRow{
		{"defect_15_look_ups", "400 `set` while libkrb5 looks tickets up in 8 threads", "624 of 60 000 look-ups fail", lookUpsWhileReplacing},
		{"defect_15_disk_full", "`set` when the disk is full", "the old ticket is gone, too", diskFull},
		{"defect_26_first_use_race", "100 times four first `set` at once", "in 2 of them a ticket is lost; all say success", firstUseRace},
	}
}

// lookUpsWhileReplacing replaces tickets while others look them up with libkrb5, as cifs.upcall does:
// whoever looks finds a ticket, the old or the new one.
func lookUpsWhileReplacing(m *machine) string {
	const sets, threads, enough = 400, 8, 20_000
	for _, h := range hosts {
		m.works("set", "https://"+h, m.token)
	}
	finish := m.lookUp(threads)
	var all sync.WaitGroup
	for _, h := range hosts {
		all.Go(func() {
			for range sets / len(hosts) {
				if r := m.run("set", "https://"+h, m.token); r.status != 0 {
					m.Error(r.err)
				}
			}
		})
	}
	all.Wait()
	var lookups, failures int
	out := finish()
	if _, err := fmt.Sscanf(out, "look-ups %d failures %d", &lookups, &failures); err != nil || failures > 0 || lookups < enough {
		m.Errorf("%s, want %d look-ups and no failures (%v)", out, enough, err)
	}
	m.Log(out)
	return "0 of 20 000 and more"
}

// firstUseRace lets four first calls for four accounts make the cache at once.
func firstUseRace(m *machine) string {
	for round := range 100 {
		m.write("config.yaml", fmt.Sprintf("KRB5_CC_NAME: %s.%d\n", m.ccache, round))
		var all sync.WaitGroup
		for _, h := range hosts {
			all.Go(func() {
				if r := m.run("set", "https://"+h, m.token); r.status != 0 {
					m.Errorf("round %d, %s: %s", round, h, r.err)
				}
			})
		}
		all.Wait()
		if n := len(m.rows()); n != len(hosts) {
			m.Fatalf("round %d: %d tickets of %d", round, n, len(hosts))
		}
	}
	return "none is lost"
}

// diskFull fills a small file system of its own under the cache.
func diskFull(m *machine) string {
	needs.Capability(m.T, "CAP_SYS_ADMIN")
	cmd := m.process()
	cmd.Args = []string{"unshare", "-m", "sh", "-ec", `
		mkdir $WORK/small
		mount -t tmpfs -o size=64k,mode=700 none $WORK/small
		echo "KRB5_CC_NAME: $WORK/small/cc" >$WORK/config.yaml
		azfilesauthmanager set $1 --system
		dd if=/dev/zero of=$WORK/small/fill bs=1k 2>/dev/null || true
		azfilesauthmanager set $2 --system && exit 9
		klist -c $WORK/small/cc
		azfilesauthmanager list --json
	`, "sh", uri, otherURI}
	cmd.Path, cmd.Err = exec.LookPath("unshare")
	b, err := cmd.CombinedOutput()
	out := string(b)
	if err != nil || !strings.Contains(out, program+": "+string(fault.CCacheIO.ID)) || !strings.Contains(out, "no space left") ||
		!strings.Contains(out, "  cifs/"+storageHost) || strings.Count(out, `"server": "cifs/`+storageHost) != 1 {
		m.Errorf("%v\n%s", err, out)
	}
	return "1: `" + string(fault.CCacheIO.ID) + "`; the tickets that are there stay"
}

// lookUp starts threads that look tickets up until finish is called, which gives what they found.
func (m *machine) lookUp(threads int) (finish func() string) {
	m.Helper()
	binary := m.in("lookup")
	if out, err := exec.Command("cc", "-O1", "-Wall", "-Werror", "-o", binary, filepath.Join("testdata", "lookup.c"), "-lkrb5", "-lpthread").CombinedOutput(); err != nil {
		m.Fatalf("%v: install gcc, libc6-dev and libkrb5-dev (Debian, Ubuntu)\n%s", err, out)
	}
	if _, err := m.mit("", "klist", "-c", m.ccache); err != nil { // which writes krb5.conf
		m.Fatal(err)
	}
	args := []string{"FILE:" + m.ccache, fmt.Sprint(threads)}
	for _, h := range hosts {
		args = append(args, "cifs/"+h+"@"+realm)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"KRB5_CONFIG=" + m.in("krb5.conf")}
	cmd.Stdout, cmd.Stderr = &out, &errs
	stdin, err := cmd.StdinPipe()
	must(m.T, err)
	must(m.T, cmd.Start())
	return func() string {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			m.Errorf("%v %s", err, errs.String())
		}
		return strings.TrimSpace(out.String())
	}
}
