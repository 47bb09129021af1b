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

// daemonName is the identifier of azfilesrefresh in the journal.
const daemonName = "azfilesrefresh"

// DaemonFile is the log file of azfilesrefresh, which the program that it takes the place of wrote as well
// and which people read. It is always written, whatever LOG_DESTINATION says.
const DaemonFile = "/var/log/azfilesrefresh.log"

// daemonMode is what its readers find it to be.
const daemonMode = 0o644

// daemon is the log of a program that runs on and waits for no log.
type daemon struct {
	*slog.Logger
	queues []*Queue
	file   *reopened
}

// newDaemon gives a log that hands every record on to each handler, by a queue of its own: a log that hangs
// holds no other one up.
func newDaemon(handlers ...slog.Handler) *daemon {
	d := &daemon{}
	var all []slog.Handler
	for _, h := range handlers {
		q := newQueue(h)
		d.queues = append(d.queues, q)
		all = append(all, q)
	}
	d.Logger = slog.New(slog.NewMultiHandler(all...))
	return d
}

// Dropin gives the log of azfilesrefresh: lines as Dated makes them, appended to the file at path, and
// without the time to stderr or, when that is the journal, with their fields there. A file that cannot be opened is
// told once on stderr, which then is all there is until Reopen finds that it can be.
func Dropin(h host.Host, path string, stderr io.Writer, s Settings, toJournal bool) *daemon {
	plain := s.handler(stderr, func(w io.Writer) slog.Handler { return Dated(w, false, s.Level) })
	if toJournal {
		plain = newJournal(daemonName, facilityDaemon, s.Level, datedForm)
	}
	f := &reopened{host: h, path: path, mode: daemonMode}
	d := newDaemon(plain, s.handler(f, func(w io.Writer) slog.Handler { return Dated(w, true, s.Level) }))
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
// on stderr, and what the configuration wants. When stderr is the journal, its entries have fields and only a file is
// written beside it.
func Foreground(h host.Host, stderr io.Writer, s Settings, toJournal bool) *daemon {
	text := s.handler(stderr, s.plain)
	if toJournal {
		text = newJournal(ident, facilityDaemon, s.Level, syslogForm)
	}
	if s.Destination == File {
		f := &reopened{host: h, path: s.Path, mode: fileMode, complain: func(error) {}}
		d := newDaemon(text, s.handler(f, s.plain).WithAttrs(processAttrs(ident)))
		d.file = f
		d.Reopen()
		return d
	}
	if toJournal {
		return newDaemon(text)
	}
	system, _, err := openHandler(h, s, ident)
	if err != nil {
		return newDaemon(text)
	}
	return newDaemon(text, system)
}

// Reopen reopens the log file before the next line, for SIGHUP after the file was renamed.
func (d *daemon) Reopen() {
	if d.file != nil {
		d.file.stale.Store(true)
	}
}

// Flush waits until what was logged is written, for each log no longer than limit.
func (d *daemon) Flush(limit time.Duration) {
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
