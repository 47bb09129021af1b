package main

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what the stories have besides testscript's own.
func (m *machine) commands() map[string]command {
	return map[string]command{
		"order":          m.order,
		"requests":       m.requests,
		"token":          m.token,
		"status":         m.status,
		"mounted":        mounted,
		"nothing-stored": nothingStored,
		"said":           m.said,
		"soon":           m.soon,
		"server":         m.serverWith,
		"end-sessions":   m.endSessions,
		"ticket-for":     ticketFor,
		"io":             m.io,
		"healed":         m.healed,
		"logged-in":      m.loggedIn,
		"tap":            m.startTap,
		"logged-in-as":   m.loggedInAs,
		"renewed":        m.renewed,
		"mark":           m.mark,
		"outlasted":      m.outlasted,
		"forget-orders":  m.forgetOrders,
		"daemon":         m.startDaemon,
		"daemon-ends":    m.endDaemon,
		"memory":         m.memory,
		"noticed":        noticed,
		"planned":        m.planned,
		"refreshed":      m.refreshed,
		"unasked":        m.unasked,
		"never-as":       m.neverAs,
		"expiries":       m.expiries,
		"kubelet":        kubelet,
		"point":          m.point,
	}
}

// setup makes the mount point and the fstab of a story. $CACHE and a uid are its credential cache.
func (m *machine) setup(env *testscript.Env) error {
	text, err := os.ReadFile(filepath.Join(env.WorkDir, "fstab"))
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(fstab)
	} else if err != nil {
		return err
	}
	if err := os.WriteFile("/etc/fstab", text, 0o644); err != nil {
		return err
	}
	env.Setenv("CACHE", m.cache)
	return os.MkdirAll("/mnt/share", 0o755)
}

// order JSON makes Azure behave otherwise than usual; see azurefake.Order.
func (m *machine) order(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: order JSON")
	}
	ts.Check(m.azure.order(args[0]))
}

// forget-orders lets Azure behave as usual from now on.
func (m *machine) forgetOrders(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: forget-orders")
	}
	ts.Check(m.azure.forgetOrders())
}

// requests TARGET N demands that Azure has seen N requests for storage or imds in this story.
func (m *machine) requests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests storage|imds N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	list, err := m.azure.requests(args[0])
	ts.Check(err)
	if len(list) != want {
		ts.Fatalf("%s has seen %d requests, not %d: %+v", args[0], len(list), want, list)
	}
}

// token FILE writes an access token for storage, as a user could bring along.
func (m *machine) token(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: token FILE")
	}
	text, err := m.azure.token(azurefake.MintOptions{})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// status N [-within DURATION] COMMAND... runs a command that must exit with N, in good time.
func (m *machine) status(ts *testscript.TestScript, neg bool, args []string) {
	limit := 20 * time.Second
	if len(args) > 3 && args[1] == "-within" {
		d, err := time.ParseDuration(args[2])
		ts.Check(err)
		limit = d
		args = append(args[:1:1], args[3:]...)
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N [-within DURATION] COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	start := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	took := time.Since(start)
	var exit *exec.ExitError
	got := 0
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
	if took > limit && !m.patient {
		ts.Fatalf("it took %v, more than %v", took, limit)
	}
}

// mounted TARGET WORD... demands one mount at the mount point whose line in mountinfo has every word, and none of -WORD;
// ! mounted TARGET demands no mount.
func mounted(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || neg && len(args) > 1 {
		ts.Fatalf("usage: [!] mounted TARGET [[-]WORD...]")
	}
	lines, err := cifsMounts()
	ts.Check(err)
	var found []string
	for _, line := range lines {
		if target(line) == args[0] {
			found = append(found, line)
		}
	}
	if neg != (len(found) == 0) || len(found) > 1 {
		ts.Fatalf("%d mounts at %s: %q", len(found), args[0], found)
	}
	for _, word := range args[1:] {
		name, absent := strings.CutPrefix(word, "-")
		if hasWord(found[0], name) == absent {
			ts.Fatalf("%s: %s", word, found[0])
		}
	}
	if len(found) > 0 {
		ts.Logf("%s", found[0])
	}
}

// hasWord reports whether a line of mountinfo has a field, or an option in its last one.
func hasWord(line, word string) bool {
	return slices.Contains(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' }), word)
}

// said kernel|syslog|daemon REGEXP demands that a log has a line of this story that matches; ! said none.
func (m *machine) said(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] said kernel|syslog|daemon REGEXP")
	}
	line, err := regexp.Compile("(?m)^.*" + args[1] + ".*$")
	ts.Check(err)
	text, err := m.log.since(args[0])
	ts.Check(err)
	if found := line.Find(text); neg != (found == nil) {
		ts.Fatalf("what the %s said: %s", args[0], cmp.Or(string(found), "no such line"))
	}
}

// soon DURATION COMMAND... runs a command until it ends with 0, at most for that long.
func (m *machine) soon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: soon DURATION COMMAND...")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	if m.patient {
		limit *= 6
	}
	for end := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		switch {
		case err == nil:
			return
		case time.Now().After(end):
			ts.Fatalf("not within %v: %v", limit, err)
		}
	}
}

// server LINE... restarts Samba with further lines of smb.conf.
func (m *machine) serverWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: server LINE...")
	}
	ts.Check(m.server.add(args))
}

// end-sessions kills the server's half of every session.
func (m *machine) endSessions(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: end-sessions")
	}
	ts.Check(m.server.endSessions())
}

// nothing-stored demands that there is no credential cache with anything in it.
func nothingStored(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: nothing-stored")
	}
	for _, p := range []string{"/tmp/krb5cc*", "/run/azfilesauth/krb5cc*"} {
		found, err := filepath.Glob(p)
		ts.Check(err)
		for _, name := range found {
			out, _ := exec.Command("klist", "-C", name).CombinedOutput() // an empty cache is an error too
			ts.Fatalf("%s exists: %s", name, out)
		}
	}
}
