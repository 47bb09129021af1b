package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

const (
	azTimeout = time.Minute // az needs two seconds or three, and more to renew a login
	maxAzText = maxAnswer   // bytes of each output
	maxAzLine = 300         // bytes of what az says that are shown
	azPath    = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	azHint    = "this ticket cannot be renewed when it expires: name the user who has run az login with user="
)

// azDirs are where az is beside azPath: the places of pip and of the installation script in the user's
// home, of that script for all, and of snap.
func azDirs(home string) []string {
	dirs := filepath.SplitList(azPath)
	if home != "" && home != "/" {
		dirs = append(dirs, filepath.Join(home, "bin"), filepath.Join(home, ".local/bin"))
	}
	return append(dirs, "/opt/az/bin", "/snap/bin")
}

// fromAz asks az for the token of a person who has logged in with it. azidentity runs az by a shell as this
// process's user and with its environment, whereas the login is in the home of a person and must not be
// taken over by root: its files would be root's. So az is run here, as that user, with nothing but that
// user's surroundings and nothing of root's within reach.
//
// Without a user it is run as this process's, which is how a person gets a ticket by hand. A daemon
// cannot know whether that was meant to last, so that it is not refreshable.
func fromAz(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	who, err := i.account(o.host())
	if err != nil {
		return AccessToken{}, azFault(i.User, err, nil).First("name a user that getent passwd lists")
	}
	if o.NoPrograms {
		return AccessToken{}, fault.CLINotHere.New(who.name)
	}
	program, err := findAz(o.azDirs, who.home)
	if err != nil {
		return AccessToken{}, azFault(who.name, err, nil).First("install the Azure CLI (package azure-cli)")
	}
	run, cancel := context.WithTimeout(ctx, azTimeout)
	defer cancel()
	out, text, err := who.runAz(run, program, i.resource(o))
	if err != nil && run.Err() != nil {
		return AccessToken{}, fault.Ended(run).Because(fmt.Errorf("az: %w", run.Err()))
	}
	if err != nil {
		return AccessToken{}, azFault(who.name, err, text)
	}
	t, err := i.fromAzText(out, o)
	if err == nil && i.User == "" {
		t.Hint = azHint
	}
	return t, err
}

// account is a user of this machine as far as a process of theirs needs it.
type account struct {
	name, home string
	credential *syscall.Credential // nil is this process's
}

// account finds who is to run az. A name that is not known is an error and never another user.
func (i Identity) account(h host.Host) (account, error) {
	want := i.User
	if want == "" {
		want = strconv.Itoa(os.Geteuid())
	}
	u, err := h.LookupUser(want)
	if err != nil {
		return account{}, fmt.Errorf("getent passwd does not list the user %s: %w", want, err)
	}
	a := account{name: u.Name, home: u.Home}
	if i.User == "" {
		return a, nil
	}
	if _, err := strconv.Atoi(i.User); err == nil { // a number is no name
		return account{}, fmt.Errorf("the user %s: %w", i.User, host.ErrNoUser)
	}
	groups, err := h.Groups(u)
	a.credential = &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID), Groups: groups}
	return a, err
}

// azFault shows the line in which az says why: what it prints is the user's, and can hold what it must not.
func azFault(user string, err error, text []byte) *fault.Fault {
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "AADSTS") || strings.HasPrefix(line, "ERROR:") || strings.HasPrefix(line, "fork/exec ") ||
			strings.HasPrefix(line, confine.NotStarted) {
			err = fmt.Errorf("%w: %s", err, reply.Guarded(line, maxAzLine))
			break
		}
	}
	return fault.CLIFailed.New(user).Because(err)
}

// runAz gives both outputs of az. All of its processes end with it.
func (a account) runAz(ctx context.Context, program, resource string) (out, text []byte, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout, stderr := bounded{full: stop}, bounded{full: stop}
	err = confine.Program{
		Path: program, Args: []string{"account", "get-access-token", "--resource", resource, "--output", "json"},
		Env: []string{
			"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "PATH=" + azPath, "LANG=C.UTF-8",
			"AZURE_CORE_ONLY_SHOW_ERRORS=true", "AZURE_CORE_NO_COLOR=true",
			"AZURE_CORE_COLLECT_TELEMETRY=false", // its sender would be ended with us
		},
		User: a.credential,
	}.Run(ctx, &stdout, &stderr)
	if errors.Is(context.Cause(ctx), errTooMuch) {
		err = errTooMuch
	}
	return stdout.buf.Bytes(), stderr.buf.Bytes(), err
}

// findAz looks for az, without regard to this process's PATH. That of a home is run as its owner, like any.
func findAz(dirs []string, home string) (string, error) {
	if dirs == nil {
		dirs = azDirs(home)
	}
	for _, f := range dirs {
		name := filepath.Join(f, "az")
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", errors.New("there is no az in " + strings.Join(dirs, ", "))
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
