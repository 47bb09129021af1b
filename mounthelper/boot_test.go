package mounthelper

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// What a machine mounts at boot: each account has two shares of one identity, every second account is the other identity's.
const (
	bootLines    = 2 * bootAccounts
	azureLatency = 100 * time.Millisecond
	imdsPerSec   = 20 // requests that the metadata service may see in a second
)

// sharedRing is a keyring that all processes of a machine see.
type sharedRing struct {
	mu     sync.Mutex
	values map[string]secret.Value
}

func (r *sharedRing) Get(name string) (secret.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.values[name]
	if !ok {
		return v, keyring.ErrNotFound
	}
	return v, nil
}

func (r *sharedRing) Set(name string, v secret.Value, _ time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[name] = v
	return nil
}

func (r *sharedRing) Remove(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.values, name)
	return nil
}

// bootMachine has an Azure of its own and a mount.cifs that mounts nothing.
func bootMachine(t *testing.T) (*azurefake.Fake, func() *Helper) {
	t.Helper()
	var hosts []string
	for i := range bootAccounts {
		hosts = append(hosts, bootHost(i))
	}
	fake, err := azurefake.Start(azurefake.Options{Hosts: hosts, Identities: []azurefake.ManagedIdentity{{ClientID: clientID, ObjectID: objectID, ResourceID: resourceID}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	if _, err := fake.Keytab(); err != nil { // derives the keys of all accounts, which no real account does when it is asked
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Mkdir(in("sbin"), 0o755), os.Symlink(program, in("sbin/mount.cifs")), os.Mkdir(in("cc"), 0o700), os.Mkdir(in("mnt"), 0o755), os.Mkdir(in("run"), 0o711),
		os.WriteFile(in("config.yaml"), []byte("KRB5_CC_NAME: "+in("cc")+"/krb5cc_%{uid}\n"), 0o600), os.WriteFile(in("mountinfo"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ring := &sharedRing{values: make(map[string]secret.Value)}
	return fake, func() *Helper {
		h := host.Real().Trusting(os.Geteuid())
		h.Run, h.Config, h.Mounts, h.Programs = in("run"), in("config.yaml"), in("mountinfo"), []string{in("sbin")}
		return &Helper{
			Version: "2.0.0", Host: h, BootID: in("boot_id"), Confined: func() bool { return false },
			Access: tickets.Access{Transport: fake.Transport(), IMDS: fake.Transport(), OpenRing: func() (keyring.Ring, error) { return ring, nil }},
			Stdout: new(bytes.Buffer), Stderr: new(bytes.Buffer),
		}
	}
}

func bootHost(i int) string { return fmt.Sprintf("boot%d.file.core.windows.net", i) }

// bootLine is what mount(8) runs for a line of fstab.
func bootLine(h *Helper, i int) []string {
	account := i % bootAccounts
	identity := "identity=system"
	if account%2 == 1 {
		identity = "client_id=" + clientID
	}
	return []string{"mount.azfiles", fmt.Sprintf("//%s/share%d", bootHost(account), i/bootAccounts), filepath.Join(filepath.Dir(h.Host.Config), "mnt"), "-o", "_netdev,nofail," + identity}
}

// TestManySharesAtBoot has all lines mounted at once, as mount -a -F and systemd do: one token for each identity, one
// exchange for each account, and no rush on the metadata service.
func TestManySharesAtBoot(t *testing.T) {
	fake, newHelper := bootMachine(t)
	fake.Order(azurefake.Order{Target: azurefake.TargetIMDS, Delay: azureLatency})
	fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: azureLatency})
	began := time.Now()
	var all sync.WaitGroup
	told := make([]bytes.Buffer, bootLines)
	for i := range told {
		h := newHelper()
		h.Stderr = &told[i]
		all.Go(func() {
			if status := h.Run(append(bootLine(h, i), "-v")); status != 0 {
				t.Errorf("line %d: %d: %s", i, status, &told[i])
			}
		})
	}
	all.Wait()
	t.Logf("%d lines of %d accounts: %s", bootLines, bootAccounts, time.Since(began).Round(time.Millisecond))

	// impatient is how many calls asked without the lock of others that ask for the same: a busy machine takes longer than it
	// is waited for.
	impatient := func(what string) (n int) {
		for i := range told {
			n += strings.Count(told[i].String(), "lock of the "+what+": another process has held it")
		}
		return n
	}
	var tokens []time.Time
	exchanges := make(map[string]int)
	for _, r := range fake.Requests() {
		if r.Target == azurefake.TargetIMDS {
			tokens = append(tokens, r.Time)
		} else {
			exchanges[r.Host]++
		}
	}
	if most := 2 + impatient("identity"); len(tokens) < 2 || len(tokens) > most {
		t.Errorf("%d requests for tokens of 2 identities, %d calls did without the lock", len(tokens), most-2)
	}
	slices.SortFunc(tokens, time.Time.Compare)
	for i := imdsPerSec; i < len(tokens); i++ {
		if within := tokens[i].Sub(tokens[i-imdsPerSec]); within < time.Second {
			t.Errorf("%d requests to the metadata service within %s", imdsPerSec+1, within)
		}
	}
	more := -bootAccounts
	for i := range bootAccounts {
		n := exchanges[bootHost(i)]
		if more += n; n == 0 {
			t.Errorf("%s: no exchange", bootHost(i))
		}
	}
	if given := impatient("endpoint"); more > given {
		t.Errorf("%d exchanges more than accounts, %d calls did without the lock", more, given)
	}
}

// TestThousandMountsInARow leave no descriptor, key, note or record behind but those of their accounts.
func TestThousandMountsInARow(t *testing.T) {
	const mounts, accounts = 1000, 5
	fake, newHelper := bootMachine(t)
	var h *Helper
	run := func(i int) {
		h = newHelper()
		if status := h.Run(bootLine(h, i%accounts)); status != 0 {
			t.Fatalf("mount %d: %d: %s", i, status, h.Stderr)
		}
	}
	for i := range accounts {
		run(i)
	}
	machine := filepath.Dir(h.Host.Config)
	ring, err := h.OpenRing()
	if err != nil {
		t.Fatal(err)
	}
	descriptors, files, keys := entries(t, "/proc/self/fd"), filesBelow(t, machine), len(ring.(*sharedRing).values)
	for i := range mounts {
		run(i)
	}
	if n := entries(t, "/proc/self/fd"); n > descriptors {
		t.Errorf("%d descriptors, %d before", n, descriptors)
	}
	if after := filesBelow(t, machine); !slices.Equal(after, files) {
		t.Errorf("files: %q, before: %q", after, files)
	}
	if n := len(ring.(*sharedRing).values); n != keys || n != 2 {
		t.Errorf("%d keys, %d before", n, keys)
	}
	if n := len(fake.Requests()); n != accounts+2 {
		t.Errorf("%d requests", n)
	}
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// filesBelow gives the files of a machine with their sizes.
func filesBelow(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		all = append(all, fmt.Sprint(path, " ", info.Size()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
