package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// issued are the tickets that a storage account has issued since a time.
func (m *machine) issued(host string, since time.Time) (list []azurefake.Request, err error) {
	list, err = m.azure.requests(azurefake.TargetStorage)
	return slices.DeleteFunc(list, func(r azurefake.Request) bool {
		return r.Host != host || r.Status != http.StatusOK || r.Time.Before(since)
	}), err
}

// refreshed HOST IDENTITY LIFETIME N [MARK] waits until a storage account has issued N tickets, which
// last that long, since the mark or in all. It demands that each was issued to the identity, and before
// the one that it follows had ended.
func (m *machine) refreshed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 && len(args) != 5 {
		ts.Fatalf("usage: refreshed HOST IDENTITY LIFETIME N [MARK]")
	}
	host, identity := args[0], args[1]
	lifetime, err := time.ParseDuration(args[2])
	ts.Check(err)
	n, err := strconv.Atoi(args[3])
	ts.Check(err)
	var since time.Time
	if len(args) == 5 {
		since = m.marks[args[4]]
	}
	var list []azurefake.Request
	for end := time.Now().Add(time.Duration(n+1) * lifetime); ; time.Sleep(pause) {
		list, err = m.issued(host, since)
		ts.Check(err)
		if len(list) >= n {
			break
		}
		if time.Now().After(end) {
			ts.Fatalf("%s has issued %d tickets, not %d", host, len(list), n)
		}
	}
	demand(ts, judgeTickets(list, identity, lifetime))
}

// judgeTickets finds what is wrong with who got tickets and when.
func judgeTickets(list []azurefake.Request, identity string, lifetime time.Duration) (problems []string) {
	for i, r := range list {
		if r.Identity != identity {
			problems = append(problems, fmt.Sprintf("%s issued a ticket to %s, not to %s", r.Host, r.Identity, identity))
		}
		if i > 0 && r.Time.Sub(list[i-1].Time) >= lifetime {
			problems = append(problems, fmt.Sprintf("%s was asked for a ticket %v after the last one", r.Host, r.Time.Sub(list[i-1].Time)))
		}
	}
	return problems
}

// unasked HOST [MARK] demands that a storage account was asked nothing since the mark, or at all.
func (m *machine) unasked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: unasked HOST [MARK]")
	}
	var since time.Time
	if len(args) == 2 {
		since = m.marks[args[1]]
	}
	list, err := m.azure.requests(azurefake.TargetStorage)
	ts.Check(err)
	for _, r := range list {
		if r.Host == args[0] && r.Time.After(since) {
			ts.Fatalf("%s was asked: %+v", args[0], r)
		}
	}
}

// never-as IDENTITY demands that nobody has asked for a token of the identity, nor for a ticket with one.
func (m *machine) neverAs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: never-as IDENTITY")
	}
	list, err := m.azure.requests("")
	ts.Check(err)
	for _, r := range list {
		if r.Identity == args[0] {
			ts.Fatalf("%s was asked as %s: %+v", r.Host, args[0], r)
		}
	}
}

// expiries HOST N demands that the kernel has logged in to a server N times after the first.
func (m *machine) expiries(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: expiries HOST N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	text, err := m.log.since("syslog")
	ts.Check(err)
	logins := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "key description:") && strings.Contains(line, ";host="+args[0]+";") {
			logins++
		}
	}
	fmt.Printf("%s: %d logins\n", args[0], logins)
	if logins <= want {
		ts.Fatalf("the kernel has logged in to %s %d times in all", args[0], logins)
	}
}
