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

// Priority is a facility and a severity of syslog(3).
type Priority int

// The priorities that are in use: the drop-in's facility is user, as its readers know it.
const (
	UserErr     Priority = 1<<3 | 3
	UserWarning Priority = 1<<3 | 4
	UserInfo    Priority = 1<<3 | 6
	DaemonErr   Priority = 3<<3 | 3
)

// ident is the name under which all lines of the syslog handler are, whichever of our programs wrote them.
const ident = "azfilesauth"

// Send writes one line to the log at socket, in the form of syslog(3), and waits for it no longer than limit.
func Send(socket string, limit time.Duration, p Priority, ident, text string) error {
	s, err := dial(socket)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return s.send(limit, p, ident, text)
}

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
// that was started anew is connected to again.
func (s *system) send(limit time.Duration, p Priority, ident, text string) error {
	now := time.Now()
	line := fmt.Appendf(nil, "<%d>%s %s[%d]: %s%s", p, now.Format(time.Stamp), ident, os.Getpid(), text, s.end)
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

// sender takes the lines of a syslog handler.
type sender interface {
	send(limit time.Duration, p Priority, ident, text string) error
}

// newSyslogHandler turns slog's levels into syslog's severities (RFC 5424, 6.2.1). The text is that of
// slog's text handler without what syslog adds itself.
func newSyslogHandler(to sender) slog.Handler {
	return newLines([]string{slog.TimeKey, slog.LevelKey}, func(r slog.Record, text string) {
		p := UserInfo
		if r.Level >= slog.LevelError {
			p = UserErr
		} else if r.Level >= slog.LevelWarn {
			p = UserWarning
		}
		_ = to.send(Patience, p, ident, text) // a log that cannot be written stops nobody
	})
}
