package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

const (
	azTimeout = time.Minute // az needs two seconds or three, and more to renew a login
	azWait    = time.Second // for a process of az's that holds its output
	maxAzText = maxAnswer   // bytes of each output
	azPath    = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	azHint    = "nobody can renew this ticket when it ends: name the user who has run az login with user="
)

// azureCLI is a person who has logged in with az. azidentity runs az by a shell as this process's user
// and with its environment, whereas the login is in the home of a person and must not be taken over by
// root: its files would be root's. So az is run here, as that user and with nothing but that user's
// surroundings.
//
// Without a user it is run as this process's, which is how a person gets a ticket by hand. A daemon
// cannot know whether that was meant to last, so that it is not refreshable.
func fromAz(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	who, err := i.account(o.users)
	if err != nil {
		return AccessToken{}, azFault(i.User, err, nil)
	}
	run, cancel := context.WithTimeout(ctx, azTimeout)
	defer cancel()
	out, text, err := who.runAz(run, o.azFolders, i.resource(o))
	switch {
	case err == nil:
	case run.Err() != nil:
		return AccessToken{}, fault.Ended(run).Because(fmt.Errorf("az: %w", run.Err()))
	default:
		return AccessToken{}, azFault(who.name, err, text)
	}
	t, err := i.fromAzText(out, o)
	if err == nil && i.User == "" {
		t.Hint = azHint
	}
	return t, err
}

// azFault shows what az says, without anything that looks like a token.
func azFault(user string, err error, text []byte) error {
	said := strings.Fields(string(text))
	for n, word := range said {
		if strings.Contains(word, "eyJ") { // how a JWT begins
			said[n] = secret.Redacted
		}
	}
	if len(said) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.Join(said, " "))
	}
	return fault.CLIFailed.New(user).Because(err)
}

// runAz gives both outputs of az. All of its processes end with ctx.
func (a account) runAz(ctx context.Context, folders []string, resource string) (out, text []byte, err error) {
	program, err := findAz(folders)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout, stderr := bounded{full: stop}, bounded{full: stop}
	cmd := exec.CommandContext(ctx, program, "account", "get-access-token", "--resource", resource, "--output", "json")
	cmd.Env = []string{
		"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "PATH=" + azPath, "LANG=C.UTF-8",
		"AZURE_CORE_ONLY_SHOW_ERRORS=true", "AZURE_CORE_NO_COLOR=true",
		"AZURE_CORE_COLLECT_TELEMETRY=false", // its sender would outlive us
	}
	cmd.Dir = "/" // where we are may be closed to the user
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = azWait
	err = cmd.Run()
	switch {
	case errors.Is(context.Cause(ctx), errTooMuch):
		err = errTooMuch
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, something that it started has not
		err = nil
	}
	return stdout.buf.Bytes(), stderr.buf.Bytes(), err
}

// findAz looks for az in folders, without regard to this process's PATH.
func findAz(folders []string) (string, error) {
	if folders == nil {
		folders = filepath.SplitList(azPath)
	}
	for _, f := range folders {
		name := filepath.Join(f, "az")
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", errors.New("there is no az in " + strings.Join(folders, ", "))
}

// fromAzText reads what az prints. expires_on is there since version 2.54; a token of Entra tells its
// end itself as well.
func (i Identity) fromAzText(out []byte, o Options) (AccessToken, error) {
	var answer struct {
		Token     string `json:"accessToken"`
		ExpiresOn int64  `json:"expires_on"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return AccessToken{}, fault.TokenInvalid.New("az", "it printed no JSON with an accessToken")
	}
	t, err := i.FromText([]byte(answer.Token), "az", o)
	if err == nil && t.ExpiresOn.IsZero() && answer.ExpiresOn > 0 {
		t.ExpiresOn = time.Unix(answer.ExpiresOn, 0).UTC()
	}
	return t, err
}

// errTooMuch is met by an az that prints what cannot be a token or a message.
var errTooMuch = errors.New("it prints too much")

// bounded is an output of which maxAzText bytes are taken; full ends what prints more. It has no other
// methods of a buffer, by which the bound would be passed.
type bounded struct {
	buf  bytes.Buffer
	full context.CancelCauseFunc
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > maxAzText {
		b.full(errTooMuch)
		return 0, errTooMuch
	}
	return b.buf.Write(p)
}
