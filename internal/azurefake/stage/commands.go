package stage

import (
	"context"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// patience is how long a script waits for what has to come.
const patience = time.Minute

// Command is a command of scripts.
type Command = func(ts *testscript.TestScript, neg bool, args []string)

// With adds the commands that every face has to its own: asked, proxied, order, clean, arrived.
func With(own map[string]Command) map[string]Command {
	all := map[string]Command{"asked": asked, "proxied": proxied, "order": order, "clean": clean, "arrived": arrived}
	maps.Copy(all, own)
	return all
}

// Status is the command NAME STATUS ARG..., which runs a program and checks its exit status.
func Status(program string) Command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 1 {
			ts.Fatalf("usage: STATUS ARG... of %s", program)
		}
		want := number(ts, args[0])
		got := 0
		if err := ts.Exec(program, args[1:]...); err != nil {
			got = Exit(ts, err)
		}
		if got != want {
			ts.Fatalf("exit status %d, want %d", got, want)
		}
	}
}

// Exit is the exit status in the error of a program that ran.
func Exit(ts *testscript.TestScript, err error) int {
	e, ok := err.(interface{ ExitCode() int })
	if !ok {
		ts.Fatalf("it did not run: %v", err)
	}
	return e.ExitCode()
}

// Token reports whether a text holds an access token: each one of the fake is a JWT, whose header
// begins like this.
func Token(text string) bool { return strings.Contains(text, "eyJ") }

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// asked N [TARGET] checks how many requests Azure got so far; of those to Entra the ones for a token
// count.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: asked N [storage|imds|entra]")
	}
	requests := Fake(ts).Requests()
	if len(args) > 1 {
		requests = slices.DeleteFunc(requests, func(r azurefake.Request) bool {
			return r.Target != args[1] || r.Target == azurefake.TargetEntra && r.Method != http.MethodPost
		})
	}
	if want := number(ts, args[0]); len(requests) != want {
		ts.Fatalf("%d requests, want %d: %+v", len(requests), want, requests)
	}
}

// proxied N checks how many connections the proxy was asked for so far.
func proxied(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: proxied N")
	}
	got := ts.Value(proxy).(*azurefake.Proxy).Requests()
	if want := number(ts, args[0]); len(got) != want {
		ts.Fatalf("%d connections by the proxy, want %d", len(got), want)
	}
}

// order JSON makes Azure misbehave.
func order(ts *testscript.TestScript, neg bool, args []string) {
	var o azurefake.Order
	if neg || len(args) != 1 {
		ts.Fatalf("usage: order JSON")
	}
	ts.Check(o.UnmarshalJSON([]byte(args[0])))
	Fake(ts).Order(o)
}

// clean FILE... checks that no access token is in the files, such as stdout and stderr.
func clean(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		if Token(ts.ReadFile(name)) == !neg {
			ts.Fatalf("%s: token: %v", name, !neg)
		}
	}
}

// arrived TARGET N waits until Azure has got so many requests.
func arrived(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: arrived TARGET N")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(Fake(ts).WaitRequests(ctx, args[0], number(ts, args[1])))
}

// Federate is the command federate FILE, which writes a new service account token for an application;
// the one before it is invalid from then on.
func Federate(app string) Command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: federate FILE")
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(Fake(ts).FederatedToken(app)), 0o600))
	}
}
