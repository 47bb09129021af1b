package log

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// System is the socket of the system's log, journald's or a syslog daemon's.
const System = "/dev/log"

// The facilities of syslog(3) that are in use: the drop-in's is user, as its readers know it.
const (
	facilityUser   = 1
	facilityDaemon = 3
)

// Prefix is facility daemon and a level as they begin a line of syslog(3) and of the kernel's log.
func Prefix(l slog.Level) string { return prefix(facilityDaemon, l) }

func prefix(facility int, l slog.Level) string {
	return fmt.Sprintf("<%d>", facility<<3|rankOf(l).severity)
}

// ident is the name under which all lines of the syslog handler are, whichever of our programs wrote them.
const ident = "azfilesauth"

// system is a connection to the system's log.
type system struct {
	net.Conn
	socket string
	end    string // of a line
}

// elsewhere is where syslog daemons listen that do not make System, as log/syslog of the standard library knows.
var elsewhere = []string{"/var/run/syslog", "/var/run/log"}

// dial connects to the log at socket or, where the system's has another place, there.
func dial(socket string) (*system, error) {
	s, err := connect(socket)
	if err == nil || socket != System {
		return s, err
	}
	for _, other := range elsewhere {
		if s, err := connect(other); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// connect connects. A datagram socket takes a connection at once; where there is a stream, lines need an end.
func connect(socket string) (*system, error) {
	conn, err := net.Dial("unixgram", socket)
	if err == nil {
		return &system{conn, socket, ""}, nil
	}
	if conn, err := net.DialTimeout("unix", socket, Patience); err == nil {
		return &system{conn, socket, "\n"}, nil
	}
	return nil, err
}

// send writes a line. A daemon that is stopped lets the socket's buffer fill up, which limit is for; one
// that was restarted is connected to again.
func (s *system) send(limit time.Duration, level slog.Level, facility int, ident, text string) error {
	now := time.Now()
	line := fmt.Appendf(nil, "%s%s %s[%d]: %s%s", prefix(facility, level), now.Format(time.Stamp), ident, os.Getpid(), text, s.end)
	_ = s.SetWriteDeadline(now.Add(limit))
	_, err := s.Write(line)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	again, err := dial(s.socket)
	if err != nil {
		return err
	}
	_ = s.Close()
	*s = *again
	_ = s.SetWriteDeadline(now.Add(limit))
	_, err = s.Write(line)
	return err
}

// newSyslogHandler gives the handler of the drop-in's lines. The text is that of slog's text handler without
// what syslog adds itself.
func newSyslogHandler(to *system, least slog.Level) slog.Handler {
	return newLines(least, syslogForm.without, func(r slog.Record, text string, _ []slog.Attr) {
		_ = to.send(Patience, r.Level, facilityUser, ident, text) // a log that cannot be written stops nobody
	})
}
