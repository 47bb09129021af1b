package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	certificates = "/etc/ssl/certs/ca-certificates.crt"
	cacheFile    = "/run/azfilesauth/krb5cc_0"
	configFile   = "/etc/azfilesauth/config.yaml"
	mountTable   = "/run/mountinfo"
	daemonLog    = "/var/log/azfilesrefresh.log"
	standIn      = "mount.cifs"
	clientID     = "a0000000-0000-4000-8000-00000000000a"
	clientSecret = "secret-of-the-tests"
)

// The targets.
const (
	imds    = "IMDS"
	entra   = "Entra"
	storage = "storage"
	dns     = "DNS"
	port445 = "445"
)

// machine is a VM in Azure, for the processes in these namespaces.
type machine struct {
	fake     *azurefake.Fake
	accounts []string // their hosts
	breakers map[string]*breaker
	names    *names
	store    *ccache.Store
	tokens   time.Duration // the life of access tokens
}

func account(i int) string { return fmt.Sprintf("endure%d.file.core.windows.net", i) }

// newMachine makes one with n accounts whose tickets live so long. Whoever logs in is default_identity.
func newMachine(n int, lifetime time.Duration, identity string) (*machine, error) {
	m := &machine{breakers: map[string]*breaker{}, tokens: time.Minute}
	for i := range n {
		m.accounts = append(m.accounts, account(i))
	}
	if err := furnish(); err != nil {
		return nil, err
	}
	var err error
	m.fake, err = azurefake.Start(azurefake.Options{
		Hosts: m.accounts, Lifetime: lifetime,
		Apps: []azurefake.App{{ClientID: clientID, TenantID: azurefake.TenantID, Secret: clientSecret}},
	})
	if err != nil {
		return nil, err
	}
	if err := m.write(identity); err != nil {
		return nil, err
	}
	for target, at := range map[string][2]string{
		imds: {"169.254.169.254:80", m.fake.IMDSAddr()}, entra: {"127.0.0.2:443", m.fake.StorageAddr()},
		storage: {"127.0.0.1:443", m.fake.StorageAddr()}, port445: {"127.0.0.1:445", "127.0.0.1:446"},
	} {
		if m.breakers[target], err = newBreaker(at[0], at[1]); err != nil {
			return nil, err
		}
	}
	if m.names, err = newNames("127.0.0.1:53"); err != nil {
		return nil, err
	}
	m.calm()
	if err := serveShares("127.0.0.1:446"); err != nil {
		return nil, err
	}
	m.store, err = ccache.Open(host.Real(), cacheFile, 0)
	return m, err
}

// furnish makes the namespaces' network and directories.
func furnish() error {
	commands := []string{
		"ip link set lo up", "ip addr add 169.254.169.254/32 dev lo",
		"mount -t tmpfs -o mode=755 tmpfs /run", "mount -t tmpfs -o mode=755 tmpfs /etc/azfilesauth", "mount -t tmpfs -o mode=755 tmpfs /var/log",
	}
	if err := os.MkdirAll("/etc/azfilesauth", 0o755); err != nil {
		return err
	}
	for _, c := range commands {
		f := strings.Fields(c)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, out)
		}
	}
	return os.MkdirAll("/run/mnt", 0o755)
}

// write makes the files of the machine, and puts those of /etc over the real ones.
func (m *machine) write(identity string) error {
	certs, err := os.ReadFile(certificates)
	if err != nil {
		return err
	}
	if err := os.Mkdir("/run/sbin", 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for path, text := range map[string]string{
		"/run/hosts": "127.0.0.1 localhost\n", "/run/resolv.conf": "nameserver 127.0.0.1\n", "/run/nsswitch.conf": "hosts: files dns\n",
		"/run/bundle": string(certs) + string(m.fake.CA()), "/run/secret": clientSecret,
		// The kernel's keyring is the machine's, not these namespaces'.
		configFile: "KRB5_CC_NAME: " + cacheFile + "\nUSER_UID: 0\ntoken_cache: off\ndefault_identity: " + identity + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Symlink(self, "/run/sbin/"+standIn); err != nil {
		return err
	}
	for _, bind := range [][2]string{
		{"/run/hosts", "/etc/hosts"},
		{"/run/resolv.conf", "/etc/resolv.conf"},
		{"/run/nsswitch.conf", "/etc/nsswitch.conf"},
		{"/run/bundle", certificates},
		{"/run/sbin", "/usr/sbin"},
	} {
		if err := syscall.Mount(bind[0], bind[1], "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", bind[1], err)
		}
	}
	return nil
}

// mounted makes a mount table with all accounts.
func (m *machine) mounted() error {
	var b strings.Builder
	fmt.Fprintln(&b, "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw")
	for i, h := range m.accounts {
		fmt.Fprintf(&b, "%d 20 0:%d / /mnt/%d rw,relatime shared:1 - cifs //%s/share rw,vers=3.1.1,sec=krb5,cruid=0,cache=strict,username=root,uid=0,addr=127.0.0.1\n", 30+i, 30+i, i, h)
	}
	return os.WriteFile(mountTable, []byte(b.String()), 0o600)
}

// orders are what the fake is told to answer when it fails by itself.
func orders(f fault) (o azurefake.Order, ok bool) {
	switch f {
	case status5:
		return azurefake.Order{Status: 500}, true
	case busy:
		return azurefake.Order{Status: 429, RetryAfter: "3600"}, true
	case garbage:
		return azurefake.Order{Garbage: azurefake.GarbageJSON}, true
	}
	return o, false
}

// inflict lets a target fail; none ends it. host bounds what the storage accounts answer with to one of them.
func (m *machine) inflict(target string, f fault, host string) error {
	m.calm()
	if target == dns {
		return m.names.set(f)
	}
	fakes := map[string]string{imds: azurefake.TargetIMDS, entra: azurefake.TargetEntra, storage: azurefake.TargetStorage}
	if o, ok := orders(f); ok && fakes[target] != "" {
		o.Target = fakes[target]
		if target == storage {
			o.Host = host
		}
		m.fake.ClearOrders()
		m.fake.Order(o)
		m.shorten()
		return nil
	}
	return m.breakers[target].set(f)
}

// calm has the fake answer as it should.
func (m *machine) calm() {
	m.fake.ClearOrders()
	m.shorten()
}

// shorten gives the tokens their life. Those of a minute are not kept: each ticket takes all of the way.
func (m *machine) shorten() {
	for _, target := range []string{azurefake.TargetIMDS, azurefake.TargetEntra} {
		m.fake.Order(azurefake.Order{Target: target, Lifetime: m.tokens})
	}
}

// heal ends all faults.
func (m *machine) heal() error {
	m.calm()
	err := m.names.set(none)
	for _, b := range m.breakers {
		err = errors.Join(err, b.set(none))
	}
	return err
}

// asked counts the requests so far, and the tickets and tokens that were given for them.
func (m *machine) asked() (requests, tickets int) {
	for _, r := range m.fake.Requests() {
		requests++
		if r.Ticket != "" {
			tickets++
		}
	}
	return requests, tickets
}

// unexpired are the accounts that have a ticket which has not expired.
func (m *machine) unexpired() map[string]time.Time {
	found := map[string]time.Time{}
	snap, err := m.store.Load()
	if err != nil || snap.Cache == nil {
		return found
	}
	for _, t := range snap.Cache.Tickets() {
		if time.Until(t.EndTime) > 0 && len(t.Server.Components) == 2 {
			found[t.Server.Components[1]] = t.EndTime
		}
	}
	return found
}
