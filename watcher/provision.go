package watcher

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// provisionTimeout bounds all of --provision: a unit that runs it before the mounts is given up after
// 90 s (DefaultTimeoutStartSec= in systemd-system.conf(5)).
const provisionTimeout = time.Minute

// requires is the option by which a line of fstab asks for this service (systemd.mount(5)).
const requires = "x-systemd.requires"

// provisioner gets the tickets of the lines in fstab before anybody mounts them: those of type cifs
// have no helper that would, and after a boot the cache can be empty.
type provisioner struct {
	config     string // path of the configuration
	fstab      string // as /etc/fstab
	passwd     string // as /etc/passwd
	mountTable string // as /proc/self/mountinfo

	// transport reaches Entra and the storage accounts, imds the machine's identity service; nil
	// means what the configuration says.
	transport, imds http.RoundTripper
	now             func() time.Time // nil is the clock
	openRing        func() (keyring.Ring, error)

	log *slog.Logger
}

// provision is azfilesrefresh --provision on this machine, for root. What fails is logged and never
// more: the boot must go on, and the shares that have their tickets be mounted.
func provision(ctx context.Context, args arguments, log *slog.Logger) {
	p := provisioner{
		config: args.Config, fstab: "/etc/fstab", passwd: "/etc/passwd", mountTable: args.Mountinfo,
		openRing: keyring.OpenRing, log: log,
	}
	p.run(ctx)
}

// wanted is a line of fstab that wants a ticket.
type wanted struct {
	line int
	tickets.Request
}

func (p provisioner) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	cfg, err := config.Load(p.config)
	if err != nil {
		p.fail("no ticket can be fetched", err)
		return
	}
	lines, err := p.lines()
	if err != nil {
		p.log.Error("the table of file systems cannot be read", "problem", err.Error())
		return
	}
	m, err := tickets.New(tickets.Options{
		Config: cfg, Transport: p.transport, IMDS: p.imds, Now: p.now, OpenRing: p.openRing,
		Mounted: func() ([]mounts.Mount, error) { return mounts.ListFrom(p.mountTable, cfg.Resolver()) },
	})
	if err != nil {
		p.fail("no ticket can be fetched", err)
		return
	}
	p.ensure(ctx, m, p.choose(cfg, m, lines), cfg.Refresh().Concurrency)
}

// lines are those of fstab that opted in. A machine without the file mounts nothing.
func (p provisioner) lines() ([]mounts.FstabLine, error) {
	f, err := os.Open(p.fstab)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all, err := mounts.ParseFstab(f)
	return slices.DeleteFunc(all, func(l mounts.FstabLine) bool { return !optedIn(l) }), err
}

// optedIn reports whether a line wants its ticket before it is mounted: one of type azfiles that is
// mounted at boot, or one written for mount.cifs that logs in by Kerberos and names this service.
func optedIn(l mounts.FstabLine) bool {
	switch l.Type {
	case "azfiles":
		_, noauto := l.Option("noauto")
		return !noauto
	case "cifs", "smb3":
		sec, _ := l.Option("sec")
		return strings.HasPrefix(sec, "krb5") && slices.ContainsFunc(l.Options, namesUs)
	}
	return false
}

// namesUs reports whether an option is the request for this service, under either of its names.
func namesUs(option string) bool {
	name, unit, _ := strings.Cut(option, "=")
	unit = strings.TrimSuffix(strings.Trim(unit, `"`), ".service")
	return name == requires && (unit == dropin || unit == "azfilesauth")
}

// choose turns lines into requests, each once. A line that makes no sense is logged.
func (p provisioner) choose(cfg *config.Config, m *tickets.Manager, lines []mounts.FstabLine) []wanted {
	var all []wanted
	for _, l := range lines {
		w, err := p.request(cfg, m, l)
		if err != nil {
			p.fail("a line of fstab gets no ticket", err, "line", l.Line)
			continue
		}
		i := slices.IndexFunc(all, func(o wanted) bool { return o.Endpoint.Host() == w.Endpoint.Host() && o.CRUID == w.CRUID })
		switch {
		case i < 0 || all[i].Identity == w.Identity && all[i].Endpoint.Alias() != w.Endpoint.Alias():
			all = append(all, w)
		case all[i].Identity != w.Identity:
			p.fail("a line of fstab gets no ticket", fault.IdentityConflict.New(w.Endpoint.Host(), all[i].Identity.String(), w.Identity.String()), "line", l.Line)
		}
	}
	return all
}

func (p provisioner) request(cfg *config.Config, m *tickets.Manager, l mounts.FstabLine) (w wanted, err error) {
	w = wanted{line: l.Line}
	if w.Endpoint, err = endpointOf(l.Spec, cfg.Resolver()); err != nil {
		return w, err
	}
	cruid, _ := l.Option("cruid")
	if w.CRUID, err = cfg.CRUID(cruid, p.passwd); err != nil {
		return w, err
	}
	if l.Type == "azfiles" {
		w.Identity, err = chosen(cfg, w.Endpoint, l)
	} else {
		w.Identity, err = owner(cfg, m, w.Request, l)
	}
	return w, err
}

// endpointOf is the endpoint of a source in one of the forms that mount.azfiles takes.
func endpointOf(spec string, res endpoint.Resolver) (endpoint.Endpoint, error) {
	unc := strings.ReplaceAll(spec, `\`, "/")
	if scheme, rest, ok := strings.Cut(unc, "://"); ok && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "smb")) {
		unc = "//" + rest
	}
	src, err := mounts.ParseSource(unc)
	if err != nil {
		return endpoint.Endpoint{}, err
	}
	e, err := res.Resolve(src.Host)
	var unknown *endpoint.Error
	if errors.As(err, &unknown) {
		err = fault.HostUnknown.New(src.Host, unknown.Problem)
	}
	return e, err
}

// chosen is the identity that mount.azfiles will take for a line.
func chosen(cfg *config.Config, e endpoint.Endpoint, l mounts.FstabLine) (identity.Identity, error) {
	option := func(name string) string { value, _ := l.Option(name); return value }
	ch := config.Choice{
		Name: option("identity"), ClientID: option("client_id"), ObjectID: option("object_id"), ResourceID: option("resource_id"),
		TenantID: option("tenant_id"), TokenFile: option("token_file"), Authority: option("authority_host"), Resource: option("resource"),
	}
	if ch.ClientID == "" {
		ch.ClientID = option("username")
	}
	id, err := cfg.Choose(e.Host(), ch)
	var unfit *config.ChoiceError
	if errors.As(err, &unfit) {
		err = fault.OptionInvalid.New(unfit.Key, unfit.Problem)
	}
	if err == nil {
		err = id.Validate()
	}
	return id, err
}

// owner is the identity of a line written for mount.cifs. Where nothing else names one it is the
// machine's own: that is what such lines mean, which say username=root or nothing, and root wrote them.
func owner(cfg *config.Config, m *tickets.Manager, r tickets.Request, l mounts.FstabLine) (identity.Identity, error) {
	username, _ := l.Option("username")
	if username == "" {
		username = "root" // what mount.cifs makes of it, and no question of what is mounted now
	}
	id, err := m.Owner(r.Endpoint, r.CRUID, username)
	if fault.Is(err, fault.IdentityUnknown) {
		return cfg.Choose(r.Endpoint.Host(), config.Choice{})
	}
	return id, err
}

// ensure gets the tickets, so many at once.
func (p provisioner) ensure(ctx context.Context, m *tickets.Manager, all []wanted, concurrency int) {
	var done sync.WaitGroup
	slots := make(chan struct{}, concurrency)
	for _, w := range all {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			got, err := m.Ensure(ctx, w.Request)
			if err != nil {
				p.fail("no ticket", err, "endpoint", w.Endpoint.Host(), "line", w.line)
				return
			}
			p.log.Info("ticket for a line of fstab", "endpoint", w.Endpoint.Host(), "identity", w.Identity.String(),
				"until", got.EndTime.UTC().Format(time.RFC3339), "ccache", got.CCache, "fetched", !got.Cached, "line", w.line)
		})
	}
	done.Wait()
}

// fail logs a fault and what mends it.
func (p provisioner) fail(what string, err error, attrs ...any) {
	f := fault.From(err)
	attrs = append(attrs, "id", string(f.ID()), "what", f.What(), "fix", f.Fix())
	if cause := f.Cause(); cause != "" {
		attrs = append(attrs, "cause", cause)
	}
	p.log.Error(what, attrs...)
}
