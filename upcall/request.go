package upcall

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/spnego"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// attempts is how often a storage account is asked for a request: a thread of the kernel waits, and
// asks us again when the kernel has forgotten the rejection, which is a retry that costs nobody more.
const attempts = 1

// request is one login and what is known about it.
type request struct {
	*handler
	key   keyring.Serial
	asked time.Time             // when it began
	began time.Time             // when it began to wait for others; zero before
	dog   *time.Timer           // the watchdog, see bite
	known atomic.Pointer[known] // the watchdog looks at it, too

	cfg      *config.Config
	endpoint endpoint.Endpoint
	desc     description
}

// known is what a failure is told with.
type known struct {
	host     string // canonical; "" before it is known to be an endpoint's
	identity string // who is to obtain the ticket, as a line of text; "" before that is known
	deadline time.Duration
	counted  bool // the configuration wants it to be
}

// attempt answers the key, or says why not. A panic is a reason like any other.
func (r *request) attempt() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal.New().Because(fmt.Errorf("panic: %v", p))
		}
	}()
	// request-key has assumed it already. Without it nothing could be answered, so nothing is asked.
	if err := keyring.AssumeAuthority(r.key); err != nil {
		return r.keyFault(err, "this process was not started to answer it")
	}
	r.begin()
	d, err := keyring.Describe(r.key)
	if err != nil {
		return r.keyFault(err, "it cannot be described")
	}
	if d.Type != r.keyType {
		return r.keyFault(nil, "it is of type "+d.Type)
	}
	if d.UID != 0 || d.GID != 0 {
		return r.keyFault(nil, fmt.Sprintf("it belongs to uid %d and gid %d, not to the kernel's SMB client", d.UID, d.GID))
	}
	host, ok := hostOf(d.Text)
	if !ok {
		return fault.UpcallRequest.New("its description does not begin with " + start)
	}
	if host != "" && !r.isEndpoint(host) && !r.isOurChannel(d.Text) {
		return r.handOver(d, host)
	}
	return r.login(d)
}

func (r *request) keyFault(err error, problem string) error {
	return fault.UpcallKey.New(fmt.Sprint(r.key), problem).Because(err)
}

func (r *request) isEndpoint(host string) bool {
	e, err := endpoint.Resolver{}.Resolve(host)
	if err != nil {
		e, err = r.configured(host)
	}
	r.known.Store(&known{host: e.Host(), deadline: r.deadline})
	return err == nil
}

// configured looks for a host that only the configuration can name. Whatever goes wrong means that
// it does not.
func (r *request) configured(host string) (e endpoint.Endpoint, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	cfg, err := config.Read(r.Host)
	if err != nil {
		return e, err
	}
	return cfg.Resolver.Resolve(host)
}

// login serves a request that is ours. From here on this process is confined, and so is the program of another's rule where
// nothing names an identity (see yields); those of other servers' requests are behind us, run as request-key would run them.
func (r *request) login(d keyring.Description) (err error) {
	if err := confine.Enter(program, r.env); err != nil {
		return fault.Internal.New().Because(err)
	}
	if r.desc, err = parseDescription(d.Text); err != nil {
		return fault.UpcallRequest.New(err.Error())
	}
	if r.cfg, err = config.Read(r.Host); err != nil {
		return err
	}
	if r.desc.named() {
		r.endpoint, err = mounts.Resolve(r.desc.host, r.cfg.Resolver)
	} else {
		r.endpoint, err = r.channel()
	}
	if err != nil {
		return err
	}
	r.known.Store(&known{host: r.endpoint.Host(), deadline: r.cfg.Upcall.Deadline, counted: r.cfg.Metrics.On()})
	mech, err := spnego.ParseMechanism(r.desc.sec)
	if err != nil {
		return err
	}
	who := tickets.Login{Endpoint: r.endpoint, CRUID: int(r.desc.creduid), Username: r.desc.user}
	got, ok := tickets.Held(r.Host, r.cfg, who)
	if !ok {
		answered := false
		if got, answered, err = r.ticket(d, who); err != nil {
			return err
		}
		if answered {
			r.forgive(nil)
			return nil
		}
	}
	// cifs.upcall reads the description itself, and fails without a host's name in it. A further identity's ticket it does not
	// find: it would answer with that of the first.
	if r.cfg.Upcall.Mode == "cifs" && r.desc.named() && !got.Private {
		err = r.delegate(got)
	} else {
		err = r.answer(got, mech)
	}
	if err == nil {
		r.remember()
		r.forgive(got.Failure)
		r.count(metrics.Answered)
	}
	return err
}

// ticket gets the service ticket for a login that the cache does not serve, unless the program of another rule has answered it.
func (r *request) ticket(d keyring.Description, who tickets.Login) (got tickets.Result, answered bool, err error) {
	manager, err := tickets.New(tickets.Options{
		Access: r.Access, Host: r.Host, Config: r.cfg, Attempts: attempts, NoPrograms: true,
	})
	if err != nil {
		return got, false, err
	}
	if manager.MayBeOthers(who) {
		if !r.desc.named() { // its first login was not ours, and a ticket of ours would be there for the next
			return got, false, fault.UpcallChannel.New("its mount may be one with a ticket of a user's own")
		}
		if answered, err := r.yields(d); answered || err != nil {
			return got, answered, err
		}
	}
	r.identify(manager, who)
	r.contain(who.CRUID)
	ctx, cancel := r.limit()
	defer cancel()
	got, err = manager.Ensure(ctx, tickets.Request{
		Endpoint: who.Endpoint, CRUID: who.CRUID, Username: who.Username, Fresh: tickets.LastResort,
	})
	got.Failure = r.late(ctx, got.Failure)
	return got, false, r.late(ctx, err)
}

// identify finds out with which identity a failure is told.
func (r *request) identify(manager *tickets.Manager, who tickets.Login) {
	if id, err := manager.Owner(who.Endpoint, who.CRUID, who.Username); err == nil {
		k := *r.known.Load()
		k.identity = id.String()
		r.known.Store(&k)
	}
}

// contain gives up, before anything is read that another machine has written, what getting a ticket and answering with
// it does not take: a flaw there changes no file but caches and our own. Where cifs.upcall answers nothing is given up,
// because it needs more. What cannot be given up is no reason to refuse a login.
func (r *request) contain(cruid int) {
	if r.cfg.Upcall.Mode == "cifs" {
		return
	}
	if d, err := r.OwnDir(r.Run); err == nil { // after a reboot it may not be there yet
		d.Close()
	}
	_ = confine.Contain([]string{r.Run, filepath.Dir(r.cfg.CCacheName(cruid)), r.kmsg, os.DevNull},
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, // for caches of users
		unix.CAP_SYS_ADMIN) // to have the kernel forget failed requests
}

// limit ends at the request's deadline, which bounds waiting for others: locks, the network, another program. It
// begins with the first wait, since what a login takes on a machine that is busy with 200 of them is no reason to
// refuse it.
func (r *request) limit() (context.Context, context.CancelFunc) {
	if r.began.IsZero() {
		r.began = r.Now()
		r.dog.Reset(r.cfg.Upcall.Deadline + r.grace)
	}
	return fault.WithDeadline(context.Background(), r.began.Add(r.cfg.Upcall.Deadline), fault.BoundUpcall)
}

// late tells of the deadline where it cut something off. Of requests that come together one asks Azure;
// the others, who wait for it, know less.
func (r *request) late(ctx context.Context, err error) error {
	_, late := fault.Late(ctx)
	if err == nil || !late || !fault.From(err).Retryable() || fault.Is(err, fault.LockTimeout) {
		return err
	}
	return r.deadlineFault(err)
}

// answer builds the login and gives it to the kernel.
func (r *request) answer(got tickets.Result, mech spnego.Mechanism) error {
	payload, err := spnego.Payload(got.Ticket, mech, r.Now())
	if err != nil {
		return err
	}
	defer payload.Wipe()
	if err := keyring.Instantiate(r.key, payload.Reveal()); err != nil {
		return r.keyFault(err, "the kernel does not take the answer")
	}
	return nil
}

// refuse rejects the key and says why. The rejection comes first, because a log can be slow.
func (r *request) refuse(err error) {
	f := fault.From(err)
	_ = keyring.Reject(r.key, remembered(f), unix.ENOKEY) // fails when it is answered, or not ours to answer
	r.dog.Reset(r.grace)
	r.report(f)
}

// remembered is for how long the kernel shall remember a rejection. A mount goes on with the channels
// that it has, so there is no hurry to ask for others.
func remembered(f *fault.Fault) time.Duration {
	if fault.Is(f, fault.UpcallChannel) {
		return 5 * time.Second
	}
	return 3 * time.Second
}
