package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"time"
)

// What an application may see.
const (
	recovery = 3 * time.Second  // after an error of the kernel's own, the operation is good again
	patience = 10 * time.Second // longer than any stall
	// While nobody can log in an operation fails, it does not hang: it waits at most for the login of each
	// other thread and for the kernel's own 10 s between two looks at a connection (smb2_reconnect), which a
	// busy machine stretches.
	quick    = 20 * time.Second
	comeback = 15 * time.Second // after Azure is back, all is good: the kernel remembers a rejection for 3 s, and waits as above
)

// readEvents reads what runIO has printed.
func readEvents(r io.Reader) (events []event, err error) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		e, err := parseEvent(sc.Text())
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, sc.Err()
}

// byOp sorts events into those of each operation, in the order of time.
func byOp(events []event) map[string][]event {
	ops := make(map[string][]event)
	for _, e := range events {
		ops[e.op] = append(ops[e.op], e)
	}
	return ops
}

// ofTheKernel says whether the kernel's SMB client shows this error at the end of a session, however
// well it is answered: to an operation under way, or to one that still bears the old session's id or that
// of its tree (STATUS_NETWORK_NAME_DELETED is EREMCHG). The size of a share is asked for by way of the
// folder that Linux 6.12 keeps open, EBADF is of that. No login without an answer shows so.
func ofTheKernel(e event) bool {
	switch e.err {
	case "EAGAIN", "EHOSTDOWN", "EREMCHG":
		return true
	}
	return e.op == opReaddir && e.err == "ENOENT" || e.op == opStatfs && e.err == "EBADF"
}

// limits are those of judgeHealing.
type limits struct {
	recovery time.Duration // after an error of the kernel's own, the operation is good again
	patience time.Duration // longer than any stall
	apart    time.Duration // two sessions did not end closer together
	streaks  bool          // errors with no success between them are of one end
}

// judgeHealing finds what an application should not have seen while sessions ended and every login
// was answered.
func judgeHealing(events []event, l limits) (problems []string) {
	for _, op := range byOp(events) {
		var last event // the last error
		for i, e := range op {
			if d := e.end.Sub(e.start); d > l.patience {
				problems = append(problems, fmt.Sprintf("it took %v: %v", d, e))
			}
			if e.err == "ok" {
				continue
			}
			switch {
			case !ofTheKernel(e):
				problems = append(problems, fmt.Sprintf("no such error should be seen: %v", e))
			case e.end.Sub(last.end) < l.apart && (!l.streaks || op[i-1].err == "ok"):
				problems = append(problems, fmt.Sprintf("the second error of one end: %v after %v", e, last))
			case !good(op[i:], e.end, l.recovery):
				problems = append(problems, fmt.Sprintf("not good again within %v: %v", l.recovery, e))
			}
			last = e
		}
	}
	return problems
}

// judgeLogins finds the errors that a login without an answer shows as, and operations that did not
// come back.
func judgeLogins(events []event) (problems []string) {
	refusals := []string{"ENOKEY", "EKEYEXPIRED", "EKEYREVOKED", "EKEYREJECTED", "EACCES", "EIO"}
	for name, op := range byOp(events) {
		for _, e := range op {
			if slices.Contains(refusals, e.err) {
				problems = append(problems, fmt.Sprintf("a login failed: %v", e))
			}
		}
		if op[len(op)-1].err != "ok" {
			problems = append(problems, name+" is not good in the end")
		}
	}
	return problems
}

// judgeOutage finds what an application should not have seen while Azure was away and a session ended.
func judgeOutage(events []event, gone, back time.Time) (problems []string) {
	refused := slices.IndexFunc(events, func(e event) bool { return e.err == "ENOKEY" && e.end.Before(back) })
	if refused < 0 {
		return []string{"nobody was without a ticket: the outage was none"}
	}
	for name, op := range byOp(events) {
		for _, e := range op {
			if problem := duringOutage(e, gone, back, events[refused].end); problem != "" {
				problems = append(problems, problem+": "+e.String())
			}
		}
		if !good(op, back, comeback) || op[len(op)-1].err != "ok" {
			problems = append(problems, fmt.Sprintf("%s is not good again after %v", name, comeback))
		}
	}
	return problems
}

// negative is how long the kernel remembers that there was no ticket, for one thread; the threads
// are one for each operation and the kernel's own two that repair connections.
const (
	negative = 3 * time.Second
	threads  = 5 + 2
)

// askLimit is how often Azure may be asked between two times: once in a while by each thread, from
// when the session had ended.
func askLimit(events []event, gone, back time.Time) int {
	for _, e := range events {
		if e.err == "ENOKEY" && e.end.After(gone) {
			return threads * (int(back.Sub(e.start)/negative) + 1)
		}
	}
	return 0
}

// duringOutage finds what is wrong with one operation; the first that found no ticket ended at dead.
func duringOutage(e event, gone, back, dead time.Time) string {
	switch {
	case e.err != "ok" && e.end.Before(gone):
		return "an error before the outage"
	case e.err != "ok" && e.end.After(back.Add(comeback)):
		return "an error long after the outage"
	case e.err != "ok" && e.err != "ENOKEY" && !ofTheKernel(e):
		return "no such error should be seen"
	case e.op != opHeld && e.start.After(dead) && e.end.Before(back) && e.end.Sub(e.start) > quick:
		return "it did not fail at once" // what is held open waits, and is written in the end
	}
	return ""
}

// good says whether an operation has succeeded within a time.
func good(op []event, from time.Time, within time.Duration) bool {
	return slices.ContainsFunc(op, func(e event) bool {
		return e.err == "ok" && e.end.After(from) && !e.end.After(from.Add(within))
	})
}

// summary tells how often each operation was done, the longest it took, and its errors.
func summary(events []event) string {
	text := ""
	for _, name := range []string{opStat, opCreate, opReaddir, opStatfs, opHeld} {
		var longest time.Duration
		var wrong []string
		op := byOp(events)[name]
		for _, e := range op {
			longest = max(longest, e.end.Sub(e.start))
			if e.err != "ok" && !slices.Contains(wrong, e.err) {
				wrong = append(wrong, e.err)
			}
		}
		text += fmt.Sprintf("%s %d times, at most %v, errors %q; ", name, len(op), longest.Round(10*time.Millisecond), wrong)
	}
	return text
}
