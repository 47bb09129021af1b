// Command azurefake runs the fake of Azure's ticket endpoint, Entra ID and metadata services, for the
// demo and for machines without Azure, and talks to one that is running.
//
//	azurefake [flags]                    serve until SIGTERM
//	azurefake order JSON                 make the servers misbehave; see azurefake.Order
//	azurefake answers                    the names of the answers of people's reports that an order can want
//	azurefake clear                      forget all orders
//	azurefake requests [-json] [-target T] [-host H]
//	azurefake count [-target T] [-host H]
//	azurefake reset                      forget the request log
//	azurefake token [-oid ID] [-app ID] [-aud A] [-life D]
//	azurefake app APP                    register an app, as -app does
//	azurefake federated CLIENT           a fresh federated token of an app, as the kubelet writes it
//	azurefake ca CERT KEY                make an authority for -ca-cert and -ca-key
//
// All that talk to a running one take -control ADDR, the address of the running one's control API.
// The exit status is 0, 1 for a failure and 2 for a mistake in the arguments.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const defaultControl = "127.0.0.1:8765"

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if usage, ok := errors.AsType[usageError](err); ok {
		if !usage.said {
			fmt.Fprintln(os.Stderr, "azurefake:", err)
		}
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "azurefake:", err)
	os.Exit(1)
}

// usageError is a mistake in the arguments; said means that package flag has written it out.
type usageError struct {
	text string
	said bool
}

func (e usageError) Error() string { return e.text }

func run(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return serve(args, stdout, stderr)
	}
	commands := map[string]func(args []string, stdout, stderr io.Writer) error{
		"order": order, "answers": answers, "clear": clearOrders, "requests": requests, "count": count,
		"reset": reset, "token": token, "app": registerApp, "federated": federated, "ca": ca,
	}
	command, ok := commands[args[0]]
	if !ok {
		return usageError{text: fmt.Sprintf("unknown command %q", args[0])}
	}
	return command(args[1:], stdout, stderr)
}

// answers lists what "answer" in an order can be beside the path of a file.
func answers(args []string, stdout, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("answers", flag.ContinueOnError), args, stderr, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, strings.Join(azurefake.AnswerNames(), "\n"))
	return err
}

// parse reads flags and checks the number of arguments that follow them.
func parse(fs *flag.FlagSet, args []string, stderr io.Writer, operands int) error {
	fs.SetOutput(stderr)
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return usageError{err.Error(), true}
	}
	if fs.NArg() != operands {
		return usageError{text: fmt.Sprintf("%s takes %d arguments, not %d", fs.Name(), operands, fs.NArg())}
	}
	return nil
}
