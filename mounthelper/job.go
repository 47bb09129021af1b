package mounthelper

import (
	"fmt"
	"strconv"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// job is one mount and all that is known about it.
type job struct {
	inv    invocation
	opts   settings
	cfg    *config.Config
	share  share
	target string         // the mount point
	live   []mounts.Mount // what is mounted on it

	identity identity.Identity
	who      string // the identity in words
	username string // for mount.cifs
	cruid    int
	ccache   string // the credential cache

	mountCIFS string // the program
	tryTarget bool   // with the option that not every kernel knows
}

// read understands the command line and finds out what is mounted.
func (h *Helper) read(j *job) error {
	options, err := splitOptions(j.inv.options)
	if err != nil {
		return err
	}
	if j.opts, err = sortOptions(options); err != nil {
		return err
	}
	if j.cfg, err = config.Load(h.Config); err != nil {
		return err
	}
	h.step(j, "configuration: %s", h.Config)
	for _, w := range j.cfg.Warnings() {
		h.step(j, "warning: %s", w)
	}
	if j.share, err = parseSource(j.inv.spec, j.cfg.Resolver()); err != nil {
		return err
	}
	h.step(j, "endpoint: %s", j.share.endpoint)
	if j.target, err = absolute(j.inv.dir); err != nil {
		return err
	}
	all, err := h.mounts(j)
	j.live = mountedOn(j.target, all)
	return err
}

func (h *Helper) mounts(j *job) ([]mounts.Mount, error) {
	return mounts.ListFrom(h.MountTable, j.cfg.Resolver())
}

// decide settles who logs in, and checks all that the mount will need on this machine.
func (h *Helper) decide(j *job) error {
	login := h.login
	if j.opts.remount {
		login = h.keep
	}
	err := login(j)
	if err != nil {
		return err
	}
	j.ccache = j.cfg.CCacheName(j.cruid)
	j.tryTarget = h.wantsTarget(j)
	if j.mountCIFS, err = findMountCIFS(h.Folders); err != nil {
		return err
	}
	if n := len(j.options()); n > maxOptions {
		return invalid("-o", tooLong(n))
	}
	return nil
}

// login takes the login from options and configuration.
func (h *Helper) login(j *job) error {
	id, err := chooseIdentity(j.opts, j.cfg, j.share.endpoint)
	if err != nil {
		return err
	}
	if j.cruid, err = j.cfg.CRUID(j.opts.cruid, h.Passwd); err != nil {
		return err
	}
	j.identity, j.who, j.username = id, id.String(), id.Username()
	h.step(j, "identity: %s, credential uid: %d", j.who, j.cruid)
	if len(j.live) > 0 {
		return nil // the folder must not be touched
	}
	return checkTarget(j.target)
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
	j.username, j.cruid = top.Username, top.CRUID
	if j.username == "" {
		j.username = "root"
	}
	if j.opts.sec == "" {
		j.opts.sec = top.Sec
	}
	j.who = "of the live mount"
	return nil
}

// mounted reports whether the mount point has the very share and directory.
func (j *job) mounted() bool {
	for _, m := range j.live {
		if m.Same(j.share.endpoint, j.share.name, j.share.dir) {
			return true
		}
	}
	return false
}

// args is the command line of mount.cifs without the program's name.
func (j *job) args() []string {
	args := []string{j.share.spec, j.target}
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

// options is what mount.cifs gets behind -o: what is not ours, and the login.
func (j *job) options() string {
	sec := "krb5"
	if j.opts.sec != "" {
		sec = j.opts.sec
	}
	all := append(j.opts.rest[:len(j.opts.rest):len(j.opts.rest)],
		option{"sec", sec, true},
		option{"cruid", strconv.Itoa(j.cruid), true},
		option{"username", j.username, true})
	if j.tryTarget {
		all = append(all, option{upcallTarget, "mount", true})
	}
	return joinOptions(all)
}

func tooLong(n int) string {
	return fmt.Sprintf("there are %d bytes of options, and mount.cifs takes %d", n, maxOptions)
}
