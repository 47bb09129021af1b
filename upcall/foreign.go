package upcall

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// handedOn marks the environment of the program that a request is passed on to. The kernel's own has
// two variables, so if it is there when we start, that program has started us again.
const handedOn = "AZFILES_UPCALL_PASSED_ON=1"

// maxPiped is the largest answer that request-key takes from a program behind a bar, in bytes.
const maxPiped = 32 << 10

// handOver makes this process the program of the rule that would have won without ours. It returns
// only when that fails.
func (r *request) handOver(d keyring.Description, host string) error {
	failed := func(problem string, err error) error { return fault.UpcallForeign.New(host, problem).Because(err) }
	callout, err := keyring.Callout()
	if err != nil {
		return failed("the request cannot be read", err)
	}
	wanted := requestkey.Request{Op: "create", Type: d.Type, Description: d.Text, Callout: callout}
	rule, err := r.rules.Winner(wanted, r.isOurRule)
	if errors.Is(err, requestkey.ErrNoRule) {
		return failed("no other rule of request-key matches", nil)
	} else if err != nil {
		return failed("the rules of request-key cannot be followed", err)
	}
	if err := r.runRule(rule, wanted, d); err != nil {
		return failed(fmt.Sprintf("the rule of %s:%d failed", rule.Path, rule.Line), err)
	}
	return nil
}

// runRule does what a rule says.
func (r *request) runRule(rule requestkey.Rule, wanted requestkey.Request, d keyring.Description) error {
	if slices.Contains(r.env, handedOn) {
		return errors.New("it leads back to this program")
	}
	path, argv, pipe, err := rule.Argv(requestkey.Macros{
		Request: wanted, Key: fmt.Sprint(r.key), UID: fmt.Sprint(d.UID), GID: fmt.Sprint(d.GID),
	})
	if err != nil {
		return err
	}
	if pipe {
		return r.pipe(path, argv, wanted.Callout)
	}
	return syscall.Exec(path, argv, append(r.env, handedOn))
}

// isOurRule reports whether a rule is our own, or runs this very program under whatever name.
func (h *handler) isOurRule(rule requestkey.Rule) bool {
	return rule.Path == h.rules.Ours() || rule.RunsOurs(func(program string) bool {
		self, err := os.Stat("/proc/self/exe")
		if err != nil {
			return false
		}
		info, err := os.Stat(program)
		return err == nil && os.SameFile(self, info)
	})
}

// pipe does what request-key does for a program behind a bar: it gets the callout information and
// prints the answer. As with request-key there is no limit to its time.
func (r *request) pipe(path string, argv []string, callout string) error {
	r.dog.Reset(24 * time.Hour)
	cmd := exec.Cmd{Path: path, Args: argv, Env: append(r.env, handedOn), Stdin: strings.NewReader(callout)}
	answer, err := cmd.Output()
	if err != nil {
		return err
	}
	if len(answer) > maxPiped {
		return fmt.Errorf("an answer of %d bytes", len(answer))
	}
	return keyring.Instantiate(r.key, answer)
}
