package upcall

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// krb5Conf is all that libkrb5 needs to find the ticket: where it is, and not to look for anything on
// the network. The realm of the host is left open, since the cache has the ticket in the client's
// realm too, where libkrb5 then looks.
const krb5Conf = `# written by azfiles.upcall for cifs.upcall
[libdefaults]
	default_ccache_name = FILE:%s
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	rdns = false
`

// delegate has the cifs.upcall of cifs-utils answer.
func (r *request) delegate(got tickets.Result) error {
	conf, err := r.writeConf(got.CCache)
	if err != nil {
		return fault.Internal.New().Because(err)
	}
	ctx, cancel := r.limit()
	defer cancel()
	answered, err := r.child(ctx, r.helper, []string{r.helper, "-E", "-k", conf, fmt.Sprint(r.key)}, r.env)
	if answered {
		return nil
	}
	return fault.UpcallHelper.New(r.helper, r.endpoint.Host()).Because(err)
}

// child runs a program that is to answer the key, and reports whether it did. It does not take our place, because
// cifs.upcall never rejects a key and its exit status tells nothing (cifs.upcall.c, main).
func (r *request) child(ctx context.Context, path string, argv, env []string) (answered bool, err error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Env = argv, env
	// It has inherited the authority, so it must not outlive us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	answered, keyErr := keyring.Answered(r.key)
	return answered && keyErr == nil, err
}

// writeConf leaves the configuration for libkrb5. There is one for each credential uid, since each
// has a cache of its own, and cifs.upcall reads it as that user.
func (r *request) writeConf(ccache string) (path string, err error) {
	d, err := r.OpenDir(r.Run, r.Run)
	if err != nil {
		return "", err
	}
	defer d.Close()
	name, content := fmt.Sprintf("krb5.%d.conf", r.desc.creduid), fmt.Sprintf(krb5Conf, ccache)
	if old, err := d.Read(name, len(content)); err != nil || string(old) != content {
		err = d.Replace(name, r.Own(0o644), machine.Content([]byte(content)))
		return filepath.Join(r.Run, name), err
	}
	return filepath.Join(r.Run, name), nil
}
