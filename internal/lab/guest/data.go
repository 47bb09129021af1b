package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The directory that data works in, as the server and as the client have it, and a mount of the share beside.
const (
	dataServer = "/srv/share/data"
	dataClient = benchTarget + "/data"
	dataOther  = "/mnt/other"
)

const (
	dataLifetime = 10 * time.Second // of a ticket
	dataRest     = 8 * time.Second  // between two restarts of the server
	dataPause    = time.Second      // between two operations of a kind
	dataPatience = 3 * time.Minute  // with a restart, and with each step at the end
)

// way is one of those to log in that data compares.
type way struct {
	word    string // that selects it
	name    string
	machine *machine
	source  string // type and options of the mount
	options string
	expires bool // the login does, with its ticket
	daemon  bool
}

// What the server's user says at a login without Kerberos; its NT hash is in samUsers, which is of Samba's smbpasswd(5).
const plainWord = "password"

const samUsers = "azurefileclient:1500:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:8846F7EAEE8FB117AD06BDD830B7586C:[U          ]:LCT-65000000:\n"

func waysOf(machines []*machine) []way {
	return []way{
		{word: "password", name: "a password", machine: machines[0], source: "cifs", options: "username=azurefileclient,password=" + plainWord},
		{word: "native", name: "our handler", machine: nativeOf(machines), source: "azfiles", options: "identity=system", expires: true},
		{word: "stock", name: "`cifs.upcall` and the daemon", machine: machines[0], source: "azfiles", options: "identity=system", expires: true, daemon: true},
	}
}

// runData has programs write, fsync, rename, map, lock and read while tickets expire and the server is restarted, by each
// handler and, beside it, by mount.cifs with a password, where nothing expires. It prints what the applications saw, and
// fails when bytes were lost or changed, or when an operation does not come back.
func runData(machines []*machine, args []string) error {
	expiries, restarts := 3, 2
	if slices.Contains(args, longRun) {
		expiries, restarts = 20, 5
	}
	ways := waysOf(machines)
	if some := slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return !slices.Contains(args, w.word) }); len(some) > 0 {
		ways = some
	}
	var options []string // of the mounts, besides
	for _, a := range args {
		if a != longRun && !slices.ContainsFunc(ways, func(w way) bool { return w.word == a }) {
			options = append(options, a)
		}
	}
	var columns []column
	var problems []string
	for _, w := range ways {
		w.options = strings.Join(append([]string{w.options}, options...), ",")
		found, wrong, err := w.run(expiries, restarts)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Printf("%s: done, with %d errors that no application should see\n", w.name, len(wrong))
		columns = append(columns, found...)
		for _, p := range wrong {
			problems = append(problems, w.name+": "+p)
		}
	}
	problems = append(problems, judgeKinds(columns)...)
	with := ""
	if len(options) > 0 {
		with = ", with " + strings.Join(options, ",")
	}
	fmt.Printf("| Linux %s%s |%s", kernelRelease(), with, dataTable(columns))
	for _, p := range problems {
		fmt.Println("WRONG:", p)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d things that no application should see", len(problems))
	}
	return nil
}

// prepare makes the machine for a way to log in, and mounts.
func (w way) prepare() error {
	m := w.machine
	if err := m.reset(); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(dataServer, 0o777), os.Chmod(dataServer, 0o777), os.MkdirAll(benchTarget, 0o755), os.MkdirAll(dataOther, 0o755),
		os.WriteFile("/run/samba/smbpasswd", []byte(samUsers), 0o600), m.log.begin("data"),
		m.server.add([]string{"passdb backend = smbpasswd:/run/samba/smbpasswd"}),
		m.azure.order(fmt.Sprintf(`{"target":"storage","lifetime":"%v"}`, dataLifetime)))
}

// run works on a mount until the tickets have expired and the server was restarted as often as it should.
func (w way) run(expiries, restarts int) (columns []column, problems []string, err error) {
	if err := w.prepare(); err != nil {
		return nil, nil, err
	}
	if w.daemon {
		d := exec.Command(daemonName)
		if err := d.Start(); err != nil {
			return nil, nil, err
		}
		defer func() { _, _ = d.Process.Kill(), d.Wait() }()
	}
	if err := syncRun("mount", "-t", w.source, benchSource, benchTarget, "-o", w.options); err != nil {
		return nil, nil, err
	}
	fmt.Printf("%s: mounted\n", w.name)
	work, err := startWork(dataClient, dataServer)
	if err != nil {
		return nil, nil, err
	}
	if w.expires {
		time.Sleep(time.Duration(expiries) * dataLifetime)
	}
	first := time.Now() // restart
	for i := range restarts {
		fmt.Printf("%s: restart %d of the server\n", w.name, i+1)
		if err = within(dataPatience, "a restart of the server", w.machine.server.restart); errors.As(err, new(hung)) {
			return nil, nil, err
		} else if err != nil {
			break
		}
		time.Sleep(dataRest)
	}
	var events []event
	if workErr := within(dataPatience, "the operations that are under way", func() (err error) { events, err = work.end(); return err }); workErr != nil {
		return nil, nil, errors.Join(err, workErr)
	}
	problems = judgeData(events)
	if err == nil {
		err = within(dataPatience, "a second mount", func() error {
			if err := syncRun("mount", "-t", w.source, benchSource, dataOther, "-o", w.options+",nosharesock"); err != nil {
				return err
			}
			problems = append(problems, (&dataOps{dir: dataClient, server: dataServer}).same(dataOther+"/data")...)
			return nil
		})
	}
	err = errors.Join(err, within(dataPatience, "to end", w.machine.reset))
	if w.expires {
		columns = append(columns, column{fmt.Sprintf("%s, %d tickets of %v", w.name, expiries, dataLifetime), false, startedBefore(events, first, true)})
	}
	columns = append(columns, column{fmt.Sprintf("%s, %d restarts of the server", w.name, restarts), !w.expires, startedBefore(events, first, false)})
	return columns, problems, err
}

// startedBefore gives the events that began before a time, or the others.
func startedBefore(events []event, t time.Time, wanted bool) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.start.Before(t) != wanted })
}

// judgeData finds lost and changed bytes, and operations that do not come back.
func judgeData(events []event) (problems []string) {
	for name, op := range byOp(events) {
		for _, e := range op {
			if strings.HasPrefix(e.err, `"`) { // no error number, see errnoName
				problems = append(problems, name+": "+e.err)
			}
		}
		if last := op[len(op)-1]; last.err != "ok" {
			problems = append(problems, fmt.Sprintf("%s: %s to the end", name, last.err))
		}
	}
	slices.Sort(problems)
	return problems
}

// transient are the errors of which docs/sessions.md says what to do.
var transient = []string{"EAGAIN", "EBADF", "EHOSTDOWN", "ENOENT"}

// explained are the errors of one operation alone whose cause docs/sessions.md tells: a lease that the server keeps under the name that
// the file had when the session ended, and an unlock while the kernel has no connection. The table shows them.
var explained = map[string]string{opRead: "EINVAL", opLock: "EINVAL"}

// judgeKinds finds errors of another kind than those, unless a login that does not expire has it too.
func judgeKinds(columns []column) (problems []string) {
	expected := slices.Clone(transient)
	for _, c := range columns {
		for kind := range errorsOf(c.events) {
			if c.baseline {
				expected = append(expected, kind)
			}
		}
	}
	for _, c := range columns {
		for name, op := range byOp(c.events) {
			for kind, n := range errorsOf(op) {
				if explained[name] == kind {
					continue
				}
				if !slices.Contains(expected, kind) && !strings.HasPrefix(kind, `"`) { // judgeData has told of those
					problems = append(problems, fmt.Sprintf("%s: %s: %s, %d times", c.title, name, kind, n))
				}
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// errorsOf counts the errors of each kind.
func errorsOf(events []event) map[string]int {
	kinds := map[string]int{}
	for _, e := range events {
		if strings.HasPrefix(e.err, `"`) {
			kinds[e.err]++
		} else if e.err != "ok" {
			for kind := range strings.SplitSeq(e.err, errnoSep) {
				kinds[kind]++
			}
		}
	}
	return kinds
}

// column is what the applications saw in one part of a run.
type column struct {
	title    string
	baseline bool // of a login that does not expire
	events   []event
}

// dataTable has a row for each operation: how often it failed with which error, and for how long it did not succeed at
// most. Its first cell, which tells of what kernel it is, is the caller's.
func dataTable(columns []column) string {
	var b strings.Builder
	row := func(cell func(c column) string) {
		for _, c := range columns {
			b.WriteString(" " + cell(c) + " |")
		}
		b.WriteString("\n")
	}
	row(func(c column) string { return c.title })
	b.WriteString("| --- |")
	row(func(column) string { return "---" })
	for _, name := range dataOrder {
		b.WriteString("| " + name + " |")
		row(func(c column) string { return dataCell(byOp(c.events)[name]) })
	}
	return b.String()
}

// dataCell tells of one operation, as "EAGAIN 2, EBADF 1 of 250; 1.4 s".
func dataCell(op []event) string {
	if len(op) == 0 {
		return "not done"
	}
	var longest time.Duration
	good := op[0].start
	for _, e := range op {
		longest = max(longest, e.end.Sub(good))
		if e.err == "ok" {
			good = e.end
		}
	}
	kinds := errorsOf(op)
	var words []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		words = append(words, fmt.Sprintf("%s %d", k, kinds[k]))
	}
	if len(words) == 0 {
		words = []string{"none"}
	}
	return fmt.Sprintf("%s of %d; %.1f s", strings.Join(words, ", "), len(op), longest.Seconds())
}
