package upcall

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	rule, macros, problem, err := r.winner(d)
	if problem != "" {
		return failed(problem, err)
	}
	if err := r.runRule(rule, macros); err != nil {
		return failed(fmt.Sprintf("the rule of %s:%d failed", rule.Path, rule.Line), err)
	}
	return nil
}

// yields has that rule's program answer for an account as well, where the login may be one with a ticket of a user's own, of a
// domain or of Entra Kerberos, which worked before we were installed. It reports whether there is an answer. Without one the
// login goes on as ours, so the program is a child; one that is cut off has not said that there is no such ticket.
func (r *request) yields(d keyring.Description) (answered bool, err error) {
	rule, macros, problem, _ := r.winner(d)
	if problem != "" || slices.Contains(r.env, handedOn) {
		return false, nil
	}
	path, argv, pipe, err := rule.Argv(macros)
	if err != nil || pipe || filepath.Base(path) == "keyctl" { // the published hardening of cifs.spnego.conf, which rejects all
		return false, nil
	}
	ctx, cancel := r.limit()
	defer cancel()
	answered, err = r.child(ctx, path, argv, append(r.env, handedOn))
	if answered || ctx.Err() == nil {
		return answered, nil
	}
	return false, r.deadlineFault(err)
}

// winner gives the rule that would have won without ours and what it is run with, else the problem.
func (r *request) winner(d keyring.Description) (rule requestkey.Rule, m requestkey.Macros, problem string, err error) {
	callout, err := keyring.Callout()
	if err != nil {
		return rule, m, "the request cannot be read", err
	}
	m = requestkey.Macros{
		Request: requestkey.Request{Op: "create", Type: d.Type, Description: d.Text, Callout: callout},
		Key:     fmt.Sprint(r.key), UID: fmt.Sprint(d.UID), GID: fmt.Sprint(d.GID),
	}
	rule, err = r.rules.Winner(m.Request, r.isOurRule)
	if errors.Is(err, requestkey.ErrNoRule) {
		return rule, m, "no other rule of request-key matches", nil
	} else if err != nil {
		return rule, m, "the rules of request-key cannot be followed", err
	}
	return rule, m, "", nil
}

func (r *request) runRule(rule requestkey.Rule, m requestkey.Macros) error {
	if slices.Contains(r.env, handedOn) {
		return errors.New("it leads back to this program")
	}
	path, argv, pipe, err := rule.Argv(m)
	if err != nil {
		return err
	}
	if pipe {
		return r.pipe(path, argv, m.Callout)
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
