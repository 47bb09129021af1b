// Command endure shows what the product does while Azure, the network or a server fails, and after.
//
//	endure faults [-j N] [-only TEXT] [-doc PAGE] BINARY
//	endure soak [-for TIME] [-endpoints N] [-seed N] [-plot FILE] [-doc PAGE] BINARY
//
// faults runs each cell of a table: a target (IMDS, Entra, the storage account, the name server, port 445) fails in a way
// (refused, hanging, slow, 500, 429, garbage, reset, flapping) for seven seconds, while somebody mounts, the kernel logs in,
// a daemon keeps short-lived tickets, 40 calls come at once, or a daemon starts. It prints how long after the end of the
// fault all was well again, and what that took. soak lets one daemon keep many tickets that live 20 seconds while one thing
// after another fails by chance, and fails itself when a ticket has expired of an account that answered.
//
// Each cell is in network and mount namespaces of its own, with the real programs: they find Azure at its own names and
// addresses. mount.cifs is a stand-in, which reaches port 445 and mounts nothing. Logins are asked for at the kernel,
// whose request-key starts the handler (built for keys of the type user) in the cell's namespaces. It needs root. The
// machine's clock is the one thing that cannot fail here: see clock_*.txtar in watcher/testdata/scenario.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const module = "github.com/azfilesauth/azfilesauth/"

func main() {
	if filepath.Base(os.Args[0]) == standIn {
		os.Exit(mountCIFS())
	}
	if len(os.Args) < 2 {
		usage()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1], os.Args[2:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "endure:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: endure faults|soak [FLAG...] BINARY")
	os.Exit(2)
}

func run(ctx context.Context, what string, args []string) error {
	flags := flag.NewFlagSet("endure "+what, flag.ExitOnError)
	var f faultFlags
	var s soakFlags
	switch what {
	case "cell": // in the namespaces: BINARY SOCKET CELL
		go endWithParent()
		return runCell(args[0], args[1], args[2])
	case "soaking":
		go endWithParent()
		s.add(flags)
		_ = flags.Parse(args) // it exits
		return s.soak(flags.Arg(0))
	case "faults":
		f.add(flags)
	case "soak":
		s.add(flags)
	default:
		usage()
	}
	_ = flags.Parse(args) // it exits
	if flags.NArg() != 1 {
		usage()
	}
	binary, err := filepath.Abs(flags.Arg(0))
	if err != nil {
		return err
	}
	if what == "soak" {
		return s.run(ctx, binary)
	}
	return f.run(ctx, binary)
}

// endWithParent ends the process when the one that started it has ended.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}
