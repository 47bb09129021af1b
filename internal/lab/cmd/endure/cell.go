package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// The bounds of a cell.
const (
	faultTime   = 7 * time.Second
	recoverTime = 5 * time.Second // after the fault's end, unless the plan says otherwise
	giveUp      = 100 * time.Second
	cellTickets = 10 * time.Second // the life of tickets
	logBound    = 32 << 10         // bytes a minute and account
	askBound    = 120              // requests a minute and account, of the daemon: one attempt may ask four times
	rssBound    = 48 << 10         // KiB
	openBound   = 64
	goBound     = 64
)

// cell is one experiment: a target fails in a way while something is done.
type cell struct {
	Target    string
	Fault     fault
	Situation string
}

func (c cell) String() string { return fmt.Sprintf("%s %s, %s", c.Target, c.Fault, c.Situation) }

// outcome is what came of it. Durations are in seconds.
type outcome struct {
	cell
	Recovery  float64 // after the end of the fault
	Bound     float64
	Idle      float64 // what a program takes that does nothing, on the machine as busy as it is
	Why       string  // the bound is not recoverTime
	Without   float64 // the longest time that an account was without a ticket, since it had one
	Requests  int
	Tickets   int
	PerMinute float64 // requests of the daemon, by minute and account, while the fault lasted
	Log       float64 // bytes by minute
	Said      string  // the last words of what failed
	weight
	Goroutines int
	Problems   []string
}

// problem notes what is wrong with the cell.
func (o *outcome) problem(format string, a ...any) {
	o.Problems = append(o.Problems, fmt.Sprintf(format, a...))
}

// situations, in the order of the table.
var situations = []struct {
	name string
	run  func(*trial) error
}{
	{"mount", (*trial).mount},
	{"login", (*trial).login},
	{"mounted", (*trial).expiring},
	{"storm", (*trial).storm},
	{"start", (*trial).start},
}

// trial is a cell under way, in its namespaces.
type trial struct {
	outcome
	*machine
	binary string
	parent string // where to knock for logins, see knock
}

// cells are all of them.
func cells() (all []cell) {
	for _, target := range []string{imds, entra, storage, dns, port445} {
		for _, f := range []fault{down, hang, slow, status5, busy, garbage, reset, flapping} {
			for _, s := range situations {
				if target == port445 && (s.name != "mount" || f == status5 || f == busy) {
					continue // there are no statuses, and only a mount reaches it
				}
				all = append(all, cell{target, f, s.name})
			}
		}
	}
	return all
}

// runCell is the process in the namespaces: it prints its outcome.
func runCell(binary, parent, text string) error {
	var c cell
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	t := &trial{outcome: outcome{cell: c, Bound: recoverTime.Seconds()}, binary: binary, parent: parent}
	who, n := "system", 1
	if c.Target == entra {
		who = "service-principal tenant_id=" + azurefake.TenantID + " client_id=" + clientID + " secret_file=/run/secret"
	}
	if c.Situation == "mounted" || c.Situation == "start" {
		n = 5
	}
	var err error
	if t.machine, err = newMachine(n, cellTickets, who); err != nil {
		return err
	}
	defer t.fake.Close()
	t.Idle = t.idle().Seconds()
	t.Bound += idles * t.Idle
	for _, s := range situations {
		if s.name == c.Situation {
			err = s.run(t)
		}
	}
	if err != nil {
		return err
	}
	if t.Recovery > t.Bound {
		t.problem("recovered after %.1f s, bound %.1f s", t.Recovery, t.Bound)
	}
	return json.NewEncoder(os.Stdout).Encode(t.outcome)
}

// idles is how many times what a program takes that does nothing is added to a bound.
const idles = 5

// idle is how long a program takes that does nothing: the longest of a few runs.
func (t *trial) idle() (longest time.Duration) {
	for range 5 {
		began := time.Now()
		t.program(time.Minute, "azfilesauth", "version")
		longest = max(longest, time.Since(began))
	}
	return longest
}

// begin lets the fault begin.
func (t *trial) begin() error { return t.inflict(t.Target, t.Fault, "") }

// program runs a program of the product, and gives its exit status and what it said.
func (t *trial) program(limit time.Duration, name string, args ...string) (status int, said string) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, t.binary)
	c.Args = append([]string{name}, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return -1, "it was still running after " + limit.String()
	}
	if c.ProcessState == nil {
		return -1, err.Error()
	}
	return c.ProcessState.ExitCode(), strings.TrimSpace(string(out))
}

// until looks every few milliseconds, and reports whether it came to be.
func until(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return done()
}
