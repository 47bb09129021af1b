// Command lab builds the guest machine and runs it from the command line.
//
//	lab build [-suite SUITE]            makes the guest
//	lab test [-suite SUITE] [STORY...]  runs the stories, all or the named ones: mount under both
//	                                    handlers, native/mount under ours, native is all of ours;
//	                                    long NAME is the long form of one that has it
//	lab run [-keep] STORY               runs one story and shows what it does, as -v does elsewhere;
//	                                    -keep: then a shell there
//	lab shell [-suite SUITE]            a shell in the guest, on a clean machine
//	lab boots [-suite SUITE]            boots the systemd guest once for each of its stories
//	lab pods [-suite SUITE] [LIFE...]   runs the pods of kustomize and the chart in a guest with containerd
//	lab doctor [-suite SUITE] [ROW...]  breaks one thing after the other and has the doctor find it
//	lab demo [-suite SUITE]             shows a mount step by step
//	lab data [-suite SUITE] [-doc PAGE] [long] [password|native|stock] [OPTION...]  checks what programs write
//	                                    while tickets expire and the server is restarted, with further mount options
//	lab kernels [-only STORY,...] [SUITE...]  tries the stories of docs/kernels.md with each kernel, all or
//	                                    the named ones, and writes the page
//	lab bench [-suite SUITE]            measures a mount against mount.cifs alone
//	lab bench-boot [-suite SUITE] [-units N]  measures so many mount units of systemd, 40 if not said, against mount.cifs
//	                                    alone; each account has two
//	lab bench-mount [-suite SUITE] [WORD...]  compares mount options by what applications feel of them, or the
//	                                    rows with such a word in their names: read
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/lab"
)

// A run is bounded, the first build with its downloads included.
const (
	limit     = 20 * time.Minute
	limitLong = 2 * time.Hour // for what is measured on a machine that has other things to do
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("lab "+verb, flag.ContinueOnError)
	suite := flags.String("suite", os.Getenv("SUITE"), "Debian suite of the guest; this machine's if empty")
	keep := flags.Bool("keep", false, "run: give a shell where the story has ended")
	page := flags.String("doc", "", "data: the page to write the table into")
	only := flags.String("only", "", "kernels: the stories to try, with commas between")
	units := flags.Int("units", 40, "bench-boot: how many mount units, an even number up to 500")
	flags.Bool("v", true, "run: show what the story does, which it does in any case")
	names, err := parse(flags, args)
	if err != nil {
		return err
	}
	l, err := guestOf(verb)(*suite, os.Stderr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if verb == "shell" || verb == "run" && *keep {
		l.Terminal = os.Stdout
		return explain(l, l.Run(ctx, show, "shell", names...))
	}
	if verb == "kernels" {
		return kernels(ctx, *only, names)
	}
	bound := limit
	if verb == "bench-mount" || verb == "bench-boot" || verb == "data" || verb == "pods" {
		bound = limitLong
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	switch verb {
	case "build":
		return l.Build(ctx)
	case "run":
		return explain(l, l.Run(ctx, show, "run", names...))
	case "test":
		return explain(l, l.Run(ctx, show, "stories", names...))
	case "boots":
		return explain(l, l.RunBoots(ctx, lab.NewMachine, show))
	case "pods":
		return explain(l, l.RunPods(ctx, show, names...))
	case "bench-boot":
		return explain(l, bootMany(ctx, l, *units))
	case "doctor":
		return explain(l, l.Run(ctx, show, "doctor", names...))
	case "data":
		return data(ctx, l, *page, names)
	case "demo", "bench", "bench-mount":
		l.Counted = verb == "bench-mount"
		return explain(l, l.Run(ctx, show, verb, names...))
	}
	return fmt.Errorf("usage: lab build|test|run|shell|boots|pods|doctor|demo|data|kernels|bench|bench-boot|bench-mount [-suite SUITE] [-v] [-keep] [STORY...|ROW...]")
}

// guestOf gives what makes the guest that a verb boots.
func guestOf(verb string) func(suite string, log io.Writer) (*lab.Lab, error) {
	switch verb {
	case "boots", "bench-boot":
		return lab.NewSystemd
	case "pods":
		return lab.NewKubernetes
	}
	return lab.New
}

// parse takes switches before and after the names.
func parse(flags *flag.FlagSet, args []string) (names []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return names, err
		}
		names, args = append(names, flags.Arg(0)), flags.Args()[1:]
	}
}

// bootMany measures a boot with many mount units.
func bootMany(ctx context.Context, l *lab.Lab, units int) error {
	if units < 2 || units > 500 || units%2 != 0 {
		return fmt.Errorf("-units %d: an even number from 2 to 500 is needed", units)
	}
	l.Counted = true
	return l.RunBoots(ctx, lab.ManyShares, show, fmt.Sprintf("UNITS=%d", units), fmt.Sprintf("ACCOUNTS=%d", units/2))
}

// data writes its table into the part of a page that is the suite's.
func data(ctx context.Context, l *lab.Lab, page string, words []string) error {
	table := ""
	err := l.Run(ctx, func(line string) {
		show(line)
		if strings.HasPrefix(line, "| ") {
			table += line + "\n"
		}
	}, "data", words...)
	if page != "" && table != "" {
		err = errors.Join(err, lab.ReplacePart(page, "data "+l.Suite, table))
	}
	return explain(l, err)
}

// kernels has no limit of its own: each kernel's stories have one.
func kernels(ctx context.Context, only string, suites []string) error {
	if len(suites) == 0 {
		suites = lab.Kernels
	}
	return lab.TryKernels(ctx, suites, strings.FieldsFunc(only, func(r rune) bool { return r == ',' }), os.Stderr, show)
}

func show(line string) { fmt.Println(line) }

// explain adds where the logs of a failed run are.
func explain(l *lab.Lab, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; console and logs: %s", err, l.Logs())
}
