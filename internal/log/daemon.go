package log

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// DaemonFile is the log file of azfilesrefresh, which the program that it takes the place of wrote as well
// and which people read. It is always written, whatever LOG_DESTINATION says.
const DaemonFile = "/var/log/azfilesrefresh.log"

// daemonMode is what its readers find it to be.
const daemonMode = 0o644

// Daemon is the log of a program that runs on and waits for no log.
type Daemon struct {
	*slog.Logger
	queues []*Queue
	file   *reopened
}

// NewDaemon gives a log that hands every record on to each handler, by a queue of its own: a log that hangs
// holds no other one up.
func NewDaemon(handlers ...slog.Handler) *Daemon {
	d := &Daemon{}
	var all []slog.Handler
	for _, h := range handlers {
		q := NewQueue(h)
		d.queues = append(d.queues, q)
		all = append(all, q)
	}
	d.Logger = slog.New(slog.NewMultiHandler(all...))
	return d
}

// Dropin gives the log of azfilesrefresh: lines as Dated makes them, appended to the file at path, and
// without the time to stderr. A file that cannot be opened is told once on stderr, which then is all
// there is until a Reopen finds it well.
func Dropin(h host.Host, path string, stderr io.Writer) *Daemon {
	plain := Dated(stderr, false)
	f := &reopened{host: h, path: path, mode: daemonMode}
	d := NewDaemon(plain, Dated(f, true))
	f.complain = func(err error) {
		const what = "only this is logged, the log file cannot be opened: "
		r := slog.NewRecord(time.Now(), slog.LevelWarn, what+err.Error(), 0)
		_ = d.queues[0].Handle(context.Background(), r)
	}
	d.file = f
	d.Reopen()
	return d
}

// Foreground gives the log of a daemon that somebody started by hand or a unit of his own: slog's text form
// on stderr, and what the configuration wants. When stderr is the journal already, which adds the time
// itself (systemd.exec(5), JOURNAL_STREAM), only a file is written beside it.
func Foreground(h host.Host, destination, path string, stderr io.Writer, journal bool) *Daemon {
	text := slog.NewTextHandler(stderr, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if journal && len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	if destination == File {
		f := &reopened{host: h, path: path, mode: fileMode, complain: func(error) {}}
		d := NewDaemon(text, slog.NewTextHandler(f, nil).WithAttrs(own(ident)))
		d.file = f
		d.Reopen()
		return d
	}
	if s, err := dial(System); err == nil && !journal {
		return NewDaemon(text, newSyslogHandler(s))
	}
	return NewDaemon(text)
}

// Reopen opens the log file anew before the next line, for SIGHUP after the file was renamed.
func (d *Daemon) Reopen() {
	if d.file != nil {
		d.file.stale.Store(true)
	}
}

// Flush waits until what was logged is written, for each log no longer than limit.
func (d *Daemon) Flush(limit time.Duration) {
	for _, q := range d.queues {
		q.Flush(limit)
	}
}

// reopened is a log file. All but stale belongs to the goroutine of its queue, for opening can hang, too.
type reopened struct {
	host     host.Host
	path     string
	mode     fs.FileMode
	complain func(error)

	stale  atomic.Bool
	file   *os.File // nil: it could not be opened
	failed bool     // and that was told
}

// Write is for io.Writer.
func (f *reopened) Write(text []byte) (int, error) {
	if f.stale.Swap(false) {
		if f.file != nil {
			_ = f.file.Close()
		}
		var err error
		f.file, err = f.host.OpenLog(f.path, f.mode)
		if err != nil && !f.failed {
			f.complain(err)
		}
		f.failed = err != nil
	}
	if f.file == nil {
		return 0, fs.ErrClosed
	}
	return f.file.Write(text)
}
