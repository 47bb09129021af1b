package upcall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
)

// logLimit bounds the wait for the system's log, which may itself wait for a mount.
const logLimit = 100 * time.Millisecond

// report leaves one line in the log and, for an endpoint, the failure where mount.azfiles finds it.
func (r *request) report(f *fault.Fault) {
	k := r.known.Load()
	if k.host != "" && !r.hidesBetter(k.host, f) {
		_ = lastfault.Save(r.Host, k.host, f) // the log has it, too
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", program, f) // for who calls it by hand; else it is /dev/null
	r.log(slog.LevelError, f.Error(), append(k.fields(), slog.String("fault", string(f.ID())), slog.String("fix", f.Fix()))...)
	r.count(string(f.ID()))
}

// fields are those of a line about the request.
func (k *known) fields() []slog.Attr {
	fields := []slog.Attr{slog.String("host", k.host)}
	if k.identity != "" {
		fields = append(fields, slog.String("identity", k.identity))
	}
	return fields
}

// count adds a request to the counters, which is nothing that it could fail of.
func (r *request) count(result string) {
	if r.known.Load().counted {
		ctx, cancel := context.WithTimeout(context.Background(), logLimit)
		defer cancel()
		_ = metrics.CountUpcall(ctx, r.Host, result, time.Since(r.asked))
	}
}

// hidesBetter reports whether a failure would only hide a better one: of requests that come together one
// asks Azure, and the others run out of time waiting for it.
func (h *handler) hidesBetter(host string, f *fault.Fault) bool {
	if !fault.Is(f, fault.LockTimeout) {
		return false
	}
	_, known := lastfault.Load(h.Host, host)
	return known
}

// log writes a line to the system's log, for the journal with fields, or, where there is none, to the kernel's.
func (h *handler) log(level slog.Level, text string, fields ...slog.Attr) {
	e := log.Event{Program: program, Level: level, Message: text, Fields: fields}
	if err := e.Send(h.syslog, logLimit); err != nil && !errors.Is(err, log.ErrHangs) {
		h.logKernel(fmt.Sprintf("%s%s[%d]: %s\n", log.Prefix(level), program, os.Getpid(), text))
	}
}

func (h *handler) logKernel(line string) {
	f, err := os.OpenFile(h.kmsg, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, _ = f.WriteString(line)
}

// forgive removes what a failure has left: our file, and the kernel's memory of rejections, for
// which applications would wait without result. failure is why an old ticket had to do, nil when it is new.
func (r *request) forgive(failure error) {
	if failure != nil {
		r.log(slog.LevelWarn, "the old ticket for "+r.endpoint.Host()+" was used: "+failure.Error(),
			append(r.known.Load().fields(), slog.String("fault", string(fault.From(failure).ID())))...)
	} else if lastfault.Clear(r.Host, r.endpoint.Host()) {
		_, _ = keyring.ForgetFailures() // they are forgotten in a few seconds anyway
	}
}
