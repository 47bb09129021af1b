package mounthelper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// step tells what is being done, to those who want to know.
func (h *Helper) step(j *job, format string, a ...any) {
	if j.inv.verbose {
		h.say(format, a...)
	}
}

func (h *Helper) say(format string, a ...any) {
	_, _ = fmt.Fprintf(h.Stderr, program+": "+format+"\n", a...)
}

// fail tells what happened and how to fix it, in the system's log and on stderr, and gives the exit status. Once the
// configuration has been put to use, it says what of it: in a container another file may have been read than the
// one that people look at.
func (h *Helper) fail(err error, j *job) int {
	f := fault.From(err)
	j.failure = f
	j.recorded = h.record(f, j) == nil && h.Journaled
	if !j.recorded {
		h.say("%s: %s", f.ID(), f.Sentence())
		h.say("fix: %s", f.Fix())
		if cause := f.Unwrap(); cause != nil {
			h.step(j, "cause: %s", fault.Line(cause.Error()))
		}
		if j.decided {
			h.say("used: configuration %s, identity %s, credential cache %s", config.Place(h.Host), j.who, j.ccache)
		}
	}
	return int(f.Exit())
}

// remember leaves the failure for the doctor, since a mount by hand has no line in fstab, or takes the last one
// back. Nothing depends on it: where it cannot be left, as in a /run that is full, the doctor knows less.
func (h *Helper) remember(j *job, status int) {
	target, err := absolute(j.inv.dir)
	if err != nil || j.inv.fake {
		return
	}
	if status == 0 {
		lastfault.ClearAttempt(h.Host, target)
		return
	}
	if j.failure == nil || fault.Is(j.failure, fault.Interrupted) {
		return
	}
	options := mounts.ParseOptions(j.inv.options).WithoutSecrets().String()
	_ = lastfault.SaveAttempt(h.Host, lastfault.Attempt{Source: mounts.Presentable(j.inv.spec), Target: target, Options: options}, j.failure)
}

// record sends a failure to the system's log: at boot nobody sees stderr, and later nobody remembers it.
func (h *Helper) record(f *fault.Fault, j *job) error {
	if h.Syslog == "" || os.Geteuid() != h.Host.UID {
		return errors.New("nothing is logged")
	}
	text := f.Error()
	if command := examination(j, int(f.Exit())); command != "" {
		text += "; to find the cause: " + command
	}
	e := log.Event{Program: program, Level: slog.LevelError, Message: text, Fields: []slog.Attr{
		slog.String("fault", string(f.ID())), slog.String("fix", f.Fix()), slog.String("endpoint", j.Endpoint.Host()),
		slog.String("identity", j.who), slog.String("ccache", j.ccache), slog.String("source", j.source.UNC), slog.String("target", j.target),
	}}
	return e.Send(h.Syslog, log.Patience)
}

// sayUpcall tells why azfiles.upcall had no answer, if it has left something since the mount began. It has
// logged that itself.
func (h *Helper) sayUpcall(j *job, began time.Time) {
	last, ok := lastfault.Load(h.Host, j.Endpoint.Host())
	if ok && last.At.After(began) && !j.recorded {
		h.say("azfiles.upcall: %s: %s", last.ID, last.Text)
		h.say("fix: %s", last.Fix)
	}
}

// sayDoctor ends what is said of a failure with the command that examines it.
func (h *Helper) sayDoctor(j *job, status int) {
	if command := examination(j, status); command != "" && !j.recorded {
		h.say("to find the cause: %s", command)
	}
}

// examination is the command that examines a failure. A mistake on the command line and an interruption leave
// nothing to examine.
func examination(j *job, status int) string {
	switch fault.Exit(status) {
	case 0, fault.ExitUsage, fault.ExitInterrupted:
		return ""
	}
	if j.source.UNC == "" {
		return ""
	}
	return "azfilesauth doctor " + fault.Word("source", j.source.UNC)
}
