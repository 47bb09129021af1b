package main

import (
	"context"
	"fmt"
	"os"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const medians = "ratio of the medians"

// bench is what is measured in the namespaces.
type bench struct {
	ctx    context.Context
	fake   *azurefake.Fake
	binary string
	peer   string // another azfilesauthmanager, "" without one
	runs   int
}

// measure runs in the namespaces, in a scratch folder that holds the yardsticks.
func measure(ctx context.Context, binary string, runs int) error {
	fake, err := stage()
	if err != nil {
		return err
	}
	defer fake.Close()
	b := bench{ctx, fake, binary, os.Getenv("PEER"), runs}
	for _, part := range []struct {
		name string
		run  func() error
	}{{"mount", b.mount}, {"set", b.set}, {"storm", b.storm}, {"list", b.list}, {"version", b.version}} {
		if !wanted(part.name) {
			continue
		}
		fmt.Println("machine, before " + part.name + ": " + load())
		if err := part.run(); err != nil {
			return err
		}
	}
	return nil
}

// manager is our azfilesauthmanager.
func (b *bench) manager(args ...string) program {
	return program{path: b.binary, args: append([]string{"azfilesauthmanager"}, args...)}
}

// other is the peer's.
func (b *bench) other(args ...string) program {
	return program{path: b.peer, args: append([]string{b.peer}, args...)}
}

// emptied has p find no ticket, so that every run asks for one.
func emptied(p program) program {
	p.before = func() { _ = os.Remove(cacheFile) }
	return p
}

func barepost() program {
	return program{path: "./barepost", args: []string{"barepost", bundle, "https://" + host + "/?restype=service&comp=kerbticket", tokenFile}}
}

func (b *bench) mount() error {
	return b.exchange("ticket by mount.azfiles (mount.cifs replaced by true)", "at most 1.25 times the bare program", program{
		path: b.binary,
		args: []string{"mount.azfiles", "//" + host + "/share", "/mnt", "-o", "identity=token,token_file=" + tokenFile},
	})
}

func (b *bench) set() error {
	err := b.exchange("azfilesauthmanager set", "at most 1.15 times the bare program", b.manager("set", "https://"+host, "--token-file", tokenFile))
	if err != nil || b.peer == "" {
		return err
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	args := []string{"set", "https://" + host, string(token)} // both programs know this form
	return b.compare("set", emptied(b.manager(args...)), emptied(b.other(args...)))
}

// exchange measures a program that gets one ticket against one request of a bare program.
func (b *bench) exchange(what, bound string, p program) error {
	b.fake.ResetRequests()
	all, err := inTurn(b.ctx, b.runs, emptied(p), barepost())
	if err != nil {
		return err
	}
	if n, want := len(b.fake.Requests()), 2*(b.runs+peaks); n != want {
		return fmt.Errorf("%s: %d requests, not %d", what, n, want)
	}
	line(what, all[0], "")
	line("one TLS POST by a bare Go program", all[1], "")
	line(medians, ratio(all[0], all[1]), bound)
	return nil
}

func (b *bench) list() error {
	if err := fillCache(b.ctx); err != nil {
		return err
	}
	if err := b.checkList(); err != nil {
		return err
	}
	all, err := inTurn(b.ctx, b.runs, b.manager("list", "--json"), b.manager("--version"))
	if err != nil {
		return err
	}
	line(fmt.Sprintf("azfilesauthmanager list --json, %d tickets", tickets), all[0], "")
	line("azfilesauthmanager --version", all[1], "")
	line(medians, ratio(all[0], all[1]), "at most 2.5 times --version (cpu)")
	if b.peer == "" {
		return nil
	}
	return b.compare("list --json", b.manager("list", "--json"), b.other("list", "--json"))
}

func (b *bench) version() error {
	all, err := inTurn(b.ctx, b.runs, b.manager("--version"), program{path: "./empty", args: []string{"empty"}})
	if err != nil {
		return err
	}
	line("azfilesauthmanager --version", all[0], "")
	line("an empty Go program", all[1], "")
	line(medians, ratio(all[0], all[1]), "at most 1.8 times the empty program")
	if b.peer == "" {
		return nil
	}
	return b.compare("--version", b.manager("--version"), b.other("--version"))
}

// compare measures ours against the peer's.
func (b *bench) compare(what string, ours, theirs program) error {
	all, err := inTurn(b.ctx, b.runs, ours, theirs)
	if err != nil {
		return fmt.Errorf("%s, beside PEER: %w", what, err)
	}
	line(what+": ours", all[0], "")
	line(what+": PEER", all[1], "")
	line(medians, ratio(all[0], all[1]), "none")
	return nil
}
