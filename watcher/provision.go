package watcher

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// provisionTimeout bounds all of --provision: a unit that runs it before the mounts is given up after
// 90 s (DefaultTimeoutStartSec= in systemd-system.conf(5)).
const provisionTimeout = time.Minute

// provisioner gets the tickets of the lines in fstab before anybody mounts them: those of type cifs
// have no helper that would, and after a boot the cache can be empty.
type provisioner struct {
	host host.Host
	log  *slog.Logger

	tickets.Access
	handles func(host string) bool // see tickets.Options
}

// wanted is a line of fstab that wants a ticket.
type wanted struct {
	line int
	tickets.Request
}

// run is azfilesrefresh --provision. What fails is logged and never more: the boot must go on, and the shares that have
// their tickets be mounted.
func (p provisioner) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	cfg, err := config.Read(p.host)
	if err != nil {
		p.fail("no ticket can be fetched", err)
		return
	}
	lines, err := mounts.Fstab(p.host)
	if err != nil {
		p.log.Error("the table of file systems cannot be read", "problem", err.Error())
		return
	}
	m, err := tickets.New(tickets.Options{Access: p.Access, Host: p.host, Config: cfg, Handles: p.handles})
	if err != nil {
		p.fail("no ticket can be fetched", err)
		return
	}
	wanting := slices.DeleteFunc(lines, func(l mounts.FstabLine) bool { return !l.WantsTicket() })
	p.ensure(ctx, m, p.choose(m, wanting))
}

func (p provisioner) choose(m *tickets.Manager, lines []mounts.FstabLine) []wanted {
	var all []wanted
	for _, l := range lines {
		r, err := m.OfLine(l)
		w := wanted{l.Line, r}
		if err == nil {
			err = w.conflict(all, m.Separates(w.Endpoint))
		}
		if err != nil {
			p.fail("a line of fstab gets no ticket", err, "line", l.Line)
		} else if !slices.ContainsFunc(all, w.same) {
			all = append(all, w)
		}
	}
	return all
}

// same reports whether two lines want one ticket under one name.
func (w wanted) same(o wanted) bool {
	return w.account(o) && w.Identity == o.Identity && w.Endpoint.Alias() == o.Endpoint.Alias()
}

func (w wanted) account(o wanted) bool {
	return o.Endpoint.Host() == w.Endpoint.Host() && o.CRUID == w.CRUID
}

// conflict tells of a line before whose mount this one would be refused.
func (w wanted) conflict(before []wanted, separated bool) error {
	for _, o := range before {
		if w.account(o) && w.Identity != o.Identity && tickets.Collide(separated, w.Username, o.Username) {
			refused := fault.IdentityConflict
			if separated {
				refused = fault.IdentityUnnamed
			}
			return refused.New(w.Endpoint.Host(), o.Identity.String(), w.Identity.String())
		}
	}
	return nil
}

func (p provisioner) ensure(ctx context.Context, m *tickets.Manager, all []wanted) {
	var done sync.WaitGroup
	for _, w := range all {
		done.Go(func() {
			got, err := m.Ensure(ctx, w.Request)
			if err != nil {
				p.fail("Error getting ticket for "+w.Endpoint.Host(), err, "endpoint", w.Endpoint.Host(), "identity", w.Identity.String(), "line", w.line)
				return
			}
			p.log.Info("Ticket for "+w.Endpoint.Host()+" of a line of fstab", "endpoint", w.Endpoint.Host(), "identity", w.Identity.String(),
				"until", got.EndTime.UTC().Format(time.RFC3339), "ccache", got.CCache, "fetched", !got.Cached, "line", w.line)
		})
	}
	done.Wait()
}

func (p provisioner) fail(what string, err error, attrs ...any) {
	f := fault.From(err)
	attrs = append(attrs, "fault", string(f.ID()), "what", f.What(), "fix", f.Fix())
	if cause := f.Cause(); cause != "" {
		attrs = append(attrs, "cause", cause)
	}
	p.log.Error(what, attrs...)
}
