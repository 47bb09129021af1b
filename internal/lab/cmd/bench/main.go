// Command bench measures, on this machine, what the product's programs cost, each in turn with a
// yardstick, and prints medians, ratios and the bounds that they should keep.
//
//	bench [-n RUNS] [-only PART] BINARY
//
// It needs root. Getting and listing tickets is measured in a network and mount namespace, where the
// storage account's name leads to a fake of Azure that this program runs; the product is not told of
// any of that. Logins are measured outside, since the kernel starts request-key there: for that time
// there is a rule in /etc/request-key.d that matches only the keys of this program.
//
// All programs are copied before they are run, as a package's installation writes them: what the linker has written
// is in the page cache in pieces of 4 KiB, each of which costs a fault, and starts up to half as slow again.
//
// PEER in the environment is the path of another azfilesauthmanager, which is then measured in turn
// with ours. It must not be in /usr/sbin, which is hidden.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

const (
	host   = "acct.file.core.windows.net"
	inside = "BENCH_INSIDE" // set in the process that is in the namespaces
	module = "github.com/azfilesauth/azfilesauth/"
	here   = module + "internal/lab/cmd/bench/testdata/"
)

// only is the part that is measured alone: mount, set, storm, list, version, daemon, boot or logins; "" is all.
var only string

// wanted reports whether a part is to be measured.
func wanted(part string) bool { return only == "" || only == part }

func main() {
	runs := flag.Int("n", 50, "runs of each program")
	flag.StringVar(&only, "only", "", "measure mount, set, storm, list, version, daemon, boot or logins alone")
	flag.Parse()
	if flag.NArg() != 1 || *runs < 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [-n RUNS] [-only PART] BINARY")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	run := outside
	switch os.Getenv(inside) {
	case "":
	case insideWatcher:
		run = measureWatcher
	default:
		run = measure
	}
	err := run(ctx, flag.Arg(0), *runs)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// outside builds the yardsticks, starts this program again in namespaces of its own, and then
// measures what cannot be measured there.
func outside(ctx context.Context, binary string, runs int) error {
	dir, err := os.MkdirTemp("", "azfilesauth-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, pkg := range map[string]string{
		"barepost": module + "internal/lab/cmd/barepost", "empty": here + "empty", "peak": here + "peak", "scale": here + "scale",
	} {
		if err := build(ctx, filepath.Join(dir, name), pkg, "-ldflags", "-s -w"); err != nil {
			return err
		}
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	fmt.Println("machine: " + load())
	if binary, err = installed(binary, filepath.Join(dir, "azfilesauth")); err != nil {
		return err
	}
	if only != "logins" && only != "daemon" && only != "boot" {
		if err := enter(ctx, dir, binary, runs); err != nil {
			return err
		}
	}
	if wanted("daemon") || wanted("boot") {
		if err := enterWatcher(ctx, dir, binary); err != nil {
			return err
		}
	}
	if !wanted("logins") {
		return nil
	}
	fmt.Println("machine, before the logins: " + load())
	return measureUpcall(ctx, dir)
}

func build(ctx context.Context, out, pkg string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-o", out}, flags...)
	c := exec.CommandContext(ctx, "go", append(args, pkg)...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("go build %s: %w", pkg, err)
	}
	linked := out + ".linked"
	if err := os.Rename(out, linked); err != nil {
		return err
	}
	_, err := installed(linked, out)
	return err
}

// installed copies a program to a place and gives the place.
func installed(program, place string) (string, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	return place, os.WriteFile(place, text, 0o755)
}

// enter starts this program again, in namespaces of its own and in dir.
func enter(ctx context.Context, dir, binary string, runs int) error {
	again := exec.CommandContext(ctx, "/proc/self/exe", "-n", fmt.Sprint(runs), "-only", only, binary)
	again.Dir = dir
	again.Env = append(os.Environ(), inside+"=1")
	if peer := os.Getenv("PEER"); peer != "" {
		path, err := filepath.Abs(peer)
		if err != nil {
			return err
		}
		again.Env = append(again.Env, "PEER="+path)
	}
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	// Go makes the mounts of a process with CLONE_NEWNS private when it is asked to unshare.
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := again.Run(); err != nil {
		return fmt.Errorf("in the namespaces: %w", err)
	}
	return nil
}
