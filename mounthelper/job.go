package mounthelper

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/internal/waiting"
)

// job is one mount and all that is known about it.
type job struct {
	inv     invocation
	waiting *waiting.Line
	opts    mounts.Login
	cfg     *config.Config
	source  mounts.Source  // in the form for mount.cifs
	target  string         // the mount point
	live    []mounts.Mount // what is mounted on it

	tickets.Request        // what is to be logged in with
	who             string // the identity in words
	username        string // for mount.cifs
	ccache          string // the credential cache

	given     mounts.Options // that the line does not have
	mountCIFS string         // the program
	confined  bool           // this is a container that may forbid mounts
	tryTarget bool           // with the option that not every kernel knows
	decided   bool           // the configuration has been put to use
	recorded  bool           // the failure is in the journal, which is all that standard error is
	alone     bool           // with a session of its own

	failure *fault.Fault // that was told last, nil for none
}

// read understands the command line and finds out what is mounted.
func (h *Helper) read(j *job) (err error) {
	j.opts = mounts.ParseOptions(j.inv.options).Login()
	if err = j.opts.Err(); err != nil {
		for _, other := range h.otherMistakes(j) {
			f := fault.From(other)
			h.say("%s: %s", f.ID(), f.Sentence())
		}
		return err
	}
	for _, note := range j.opts.Notes {
		h.say("note: %s", note)
	}
	if j.cfg, err = config.Read(h.Host); err != nil {
		return err
	}
	h.step(j, "configuration: %s", h.Host.Config)
	for _, w := range j.cfg.Warnings {
		h.step(j, "warning: %s", w)
	}
	if j.source, j.Endpoint, err = mounts.Mountable(j.inv.spec, j.cfg.Resolver); err != nil {
		return err
	}
	h.step(j, "endpoint: %s", j.Endpoint)
	if j.target, err = absolute(j.inv.dir); err != nil {
		return err
	}
	all, err := h.mounts(j)
	j.live = mountedOn(j.target, all)
	return err
}

// otherMistakes are those of a line beside the first, so that all can be corrected at once: of its options, its source and its identity.
func (h *Helper) otherMistakes(j *job) []error {
	all := slices.Clone(j.opts.Problems[1:])
	cfg, err := config.Read(h.Host)
	if err != nil {
		return all
	}
	_, e, err := mounts.Mountable(j.inv.spec, cfg.Resolver)
	if err != nil {
		return append(all, err)
	}
	login := j.opts
	login.Problems = nil
	if _, _, err = login.Resolve(cfg, e, h.Host); fault.Is(err, fault.IdentityInvalid) {
		all = append(all, err)
	}
	return all
}

func (h *Helper) mounts(j *job) ([]mounts.Mount, error) {
	return mounts.ListFrom(h.Host.Mounts, j.cfg.Resolver)
}

// decide settles who logs in, and checks all that the mount will need on this machine.
func (h *Helper) decide(j *job) (err error) {
	login := h.login
	if j.opts.Remount {
		login = h.keep
	}
	if err = login(j); err != nil {
		return err
	}
	j.ccache = j.cfg.CCacheName(j.CRUID)
	if j.given, err = j.opts.Given(j.cfg, j.Endpoint, h.Host.KernelRelease()); err != nil {
		return err
	}
	if len(j.given) > 0 {
		h.step(j, "options by default: %s (azfilesauth explain options tells why; azfiles_defaults=none leaves them out)", j.given)
	}
	j.tryTarget = h.wantsTarget(j)
	if j.alone, err = h.standsAlone(j); err != nil {
		return err
	}
	if j.mountCIFS, err = h.Host.Program("mount.cifs"); err != nil {
		return fault.MountCIFSMissing.New()
	}
	return mounts.CheckLength(j.options())
}

func (h *Helper) login(j *job) (err error) {
	if j.Identity, j.CRUID, err = j.opts.Resolve(j.cfg, j.Endpoint, h.Host); err != nil {
		return err
	}
	j.who, j.username = j.Identity.String(), j.Identity.Username()
	j.Username = j.username
	h.step(j, "identity: %s, credential uid: %d", j.who, j.CRUID)
	if len(j.live) > 0 {
		return nil // the directory must not be touched
	}
	if err := mounts.CheckTarget(h.Host, j.target); err != nil {
		return mounts.TargetInvalid(j.target, err)
	}
	return nil
}

// keep takes the login of the mount that is to be remounted. The kernel refuses another user name,
// and mount.cifs makes one up where none is given (fs/smb/client/fs_context.c,
// smb3_verify_reconfigure_ctx).
func (h *Helper) keep(j *job) error {
	if len(j.live) == 0 {
		return usage("no share is mounted on " + j.target + ", so there is nothing to remount")
	}
	top := j.live[len(j.live)-1]
	if top.CRUID < 0 { // only logins by Kerberos have one
		return usage("what is mounted on " + j.target + " did not log in by Kerberos; use mount -t cifs -o remount")
	}
	j.username, j.CRUID = top.Username, top.CRUID
	if j.username == "" {
		j.username = "root"
	}
	if j.opts.Sec == "" {
		j.opts.Sec = top.Sec
	}
	j.who = "of the live mount"
	if j.opts.Choice != (config.Choice{}) {
		h.say("note: remount keeps the login of the live mount, so options of the identity change nothing; umount it and mount it again")
	}
	return nil
}

// standsAlone reports whether the mount needs a session of its own: where another identity has the account mounted for
// the same credential uid, and where the kernel would share a session with the next one that has. A remount keeps its.
func (h *Helper) standsAlone(j *job) (bool, error) {
	if j.opts.Remount {
		return false, nil
	}
	if !mounts.TellsUsers(h.Host.KernelRelease(), h.Host.KernelVersion()) { // not even where nothing is known of it
		return true, nil
	}
	all, err := h.mounts(j)
	return slices.ContainsFunc(all, func(m mounts.Mount) bool {
		return m.Endpoint.Host() == j.Endpoint.Host() && m.CRUID == j.CRUID && m.Username != j.username
	}), err
}

// mounted reports whether the mount point has the very share and directory.
func (j *job) mounted() bool {
	return slices.ContainsFunc(j.live, func(m mounts.Mount) bool { return m.Same(j.Endpoint, j.source.Share, j.source.Dir) })
}

// args is the command line of mount.cifs without the program's name.
func (j *job) args() []string {
	args := []string{j.source.UNC, j.target}
	for _, s := range []struct {
		on     bool
		letter string
	}{{j.inv.sloppy, "-s"}, {j.inv.noMtab, "-n"}, {j.inv.verbose, "-v"}} {
		if s.on {
			args = append(args, s.letter)
		}
	}
	return append(args, "-o", j.options())
}

// options is what mount.cifs gets behind -o: what is not ours, what the line leaves to us, and the login.
func (j *job) options() string {
	added := mounts.ParseOptions(fmt.Sprintf("sec=%s,cruid=%d", cmp.Or(j.opts.Sec, "krb5"), j.CRUID))
	added = append(added, mounts.Option{Name: "username", Value: j.username, Valued: true})
	if _, given := j.opts.Rest.Get(mounts.UnsharedSocket); j.alone && !given {
		added = append(added, mounts.Option{Name: mounts.UnsharedSocket})
	}
	if j.tryTarget {
		added = append(added, mounts.Option{Name: mounts.UpcallTarget, Value: "mount", Valued: true})
	}
	return slices.Concat(j.opts.Rest, j.given, added).String()
}
