package upcall

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/fault"
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

// delegate has the cifs.upcall of cifs-utils answer. It is a child and does not take our place,
// because it never rejects a key and its exit status tells nothing (cifs.upcall.c, main).
func (r *request) delegate(got tickets.Result) error {
	conf, err := r.writeConf(got.CCache)
	if err != nil {
		return fault.Internal.New().Because(err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), r.began.Add(r.cfg.UpcallDeadline()))
	defer cancel()
	cmd := exec.CommandContext(ctx, r.helper, "-E", "-k", conf, fmt.Sprint(r.key))
	cmd.Env = r.env
	// It has inherited the authority, so it must not outlive us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	waits, keyErr := keyring.UnderConstruction(r.key)
	if keyErr == nil && !waits {
		return nil
	}
	return fault.UpcallHelper.New(r.helper, r.endpoint.Host()).Because(err)
}

// writeConf leaves the configuration for libkrb5. There is one for each credential uid, since each
// has a cache of its own, and cifs.upcall reads it as that user.
func (r *request) writeConf(ccache string) (path string, err error) {
	path = filepath.Join(r.run, fmt.Sprintf("krb5.%d.conf", r.desc.creduid))
	content := fmt.Sprintf(krb5Conf, ccache)
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return path, nil
	}
	if err := os.MkdirAll(r.run, 0o711); err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(r.run, ".krb5-")
	if err != nil {
		return "", err
	}
	_, err = temp.WriteString(content)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if e := temp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return path, err
}
