package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// The results of status --check, which are its exit statuses, for probes and monitoring.
const (
	checkFresh       = iota
	checkDegraded    // something fails, and every mount has a ticket for a while
	checkWithout     // a mount is, or will soon be, without a ticket
	checkNoDaemon    // none runs, or it did not answer within checkTimeout
	checkTimeout     = 2 * time.Second
	checkExpiresSoon = 10 * time.Minute // before it expires a ticket that nobody replaces counts as gone
	checkFromFirst   = "1"              // the level without a value
)

var checkNames = [...]string{"fresh", "degraded", "without a ticket", "no daemon"}

// verdict is the result of status --check.
type verdict struct {
	Check   int      `json:"check"` // 0 to 3
	Result  string   `json:"result"`
	Reasons []string `json:"reasons"` // one for each endpoint that is not fresh, or why there is no answer
}

func checkFlag(f *pflag.FlagSet, s *session) {
	f.StringVar(&s.level, "check", "", "exit status: 0 fresh, 1 degraded, 2 a mount is or will be without ticket, 3 no daemon; below `LEVEL` it is 0")
	f.Lookup("check").NoOptDefVal = checkFromFirst
}

// wrongCheck tells of a level that is none.
func wrongCheck(s *session, args []string) string {
	if s.level != "" && len(args) == 1 && slices.Contains([]string{"1", "2", "3"}, args[0]) {
		return "the level of --check follows an equals sign; did you mean --check=" + args[0] + "?"
	}
	if s.level != "" && !slices.Contains([]string{"1", "2", "3"}, s.level) {
		return "the level of --check must be 1, 2 or 3"
	}
	if s.level != "" && s.live {
		return "--check and --watch exclude each other"
	}
	return ""
}

// checkDaemon is status --check.
func (s *session) checkDaemon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	told, err := control.NewClient(s.Socket).Status(ctx)
	c := verdict{Check: checkNoDaemon, Reasons: []string{}}
	if err == nil {
		c = judgeStatus(told, s.Now())
	} else if errors.Is(err, fs.ErrPermission) {
		c.Reasons = []string{"the daemon answers only root and members of the group " + control.Readers}
	} else if errors.Is(err, control.ErrNotRunning) {
		c.Reasons = []string{"the daemon is not running; start it: " + control.HowToStart(s.Host)}
	} else {
		c.Reasons = []string{legible.Line(err.Error())}
	}
	c.Result = checkNames[c.Check]
	if from, _ := strconv.Atoi(s.level); c.Check >= from { // wrongCheck has read it
		s.exit = c.Check
	}
	return s.result(c, func(w io.Writer) {
		_, _ = fmt.Fprintln(w, c.Result)
		for _, reason := range c.Reasons {
			_, _ = fmt.Fprintln(w, reason)
		}
	})
}

// judgeStatus says how it stands with what the daemon knows.
func judgeStatus(told control.Status, now time.Time) verdict {
	c := verdict{Reasons: []string{}}
	for _, e := range told.Endpoints {
		level := judgeEndpoint(e, now)
		if level == checkFresh {
			continue
		}
		c.Check = max(c.Check, level)
		reason := fmt.Sprintf("%s: %s", legible.Line(e.Host), e.State)
		if e.LastFault != nil {
			reason += ": " + legible.Line(e.LastFault.ID+": "+e.LastFault.What)
		} else if e.Why != "" {
			reason += ": " + legible.Line(e.Why)
		}
		c.Reasons = append(c.Reasons, reason)
	}
	return c
}

func judgeEndpoint(e control.Endpoint, now time.Time) int {
	if e.CRUID < 0 { // it is mounted without Kerberos
		return checkFresh
	}
	if !e.TicketEnd.After(now) {
		return checkWithout
	}
	replaced := e.State != control.Failing && e.State != control.Foreign
	if !replaced && e.TicketEnd.Sub(now) < checkExpiresSoon {
		return checkWithout
	}
	if e.State == control.Failing || e.State == control.Foreign && e.LastFault != nil {
		return checkDegraded
	}
	return checkFresh
}
