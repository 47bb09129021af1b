package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

// What a machine mounts at once when it boots: each account has two shares, every second account is the user-assigned identity's.
const (
	bootMounts   = 200
	bootAccounts = 100
	bootClient   = "b0000000-0000-4000-8000-00000000000b"
	bootLatency  = 100 * time.Millisecond // of each answer of Azure
)

// boot mounts all at once, as mount -a -F and systemd do, with no ticket and then with all of them.
func (w *watched) boot() error {
	w.fake.Order(azurefake.Order{Target: azurefake.TargetIMDS, Delay: bootLatency})
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: bootLatency})
	defer w.fake.ClearOrders()
	// Tokens are kept in the kernel's keyring, sealed by a key below /run, which is these namespaces' own.
	if err := os.WriteFile(configFile, []byte("KRB5_CC_NAME: "+cacheFile+"\nUSER_UID: 0\n"), 0o600); err != nil {
		return err
	}
	_ = os.Remove(cacheFile)
	if _, err := keyring.ForgetSealed(machine.Real()); err != nil {
		return err
	}
	w.fake.ResetRequests()
	asked, spent, err := w.mountAll()
	if err != nil {
		return err
	}
	tokens, exchanges := w.count()
	if tokens != 2 || exchanges != bootAccounts {
		return fmt.Errorf("%d token requests and %d exchanges", tokens, exchanges)
	}
	again, least, err := w.mountAll()
	if err != nil {
		return err
	}
	line(fmt.Sprintf("%d mounts of %d accounts at once, %s latency", bootMounts, bootAccounts, bootLatency),
		fmt.Sprintf("%.2f s, %.2f s cpu of the helpers, 2 tokens, %d exchanges", asked.Seconds(), spent.Seconds(), exchanges), "")
	line("the same with their tickets cached (mount.cifs replaced by true)", fmt.Sprintf("%.2f s, %.2f s cpu", again.Seconds(), least.Seconds()), "")
	line("ratio, less the latency of a token and an exchange", fmt.Sprintf("%.2f", (asked-2*bootLatency).Seconds()/again.Seconds()), "at most 1.3")
	return nil
}

// mountAll runs mount.azfiles once for each mount, all at once, and waits for the last one. cpu is what all of them used.
func (w *watched) mountAll() (took, cpu time.Duration, err error) {
	errs := make([]error, bootMounts)
	used := make([]time.Duration, bootMounts)
	start := time.Now()
	var all sync.WaitGroup
	for i := range bootMounts {
		account := i % bootAccounts
		who := "identity=system"
		if account%2 == 1 {
			who = "client_id=" + bootClient
		}
		c := exec.CommandContext(w.ctx, w.binary)
		c.Args = []string{"mount.azfiles", fmt.Sprintf("//%s/share%d", w.hosts[account], i/bootAccounts), "/mnt", "-o", "_netdev,nofail," + who}
		all.Go(func() {
			if out, err := c.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("mount.azfiles: %w: %.500s", err, out)
				return
			}
			used[i] = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		})
	}
	all.Wait()
	took = time.Since(start)
	for _, d := range used {
		cpu += d
	}
	return took, cpu, errors.Join(errs...)
}

// count gives the requests for tokens and for tickets.
func (w *watched) count() (tokens, exchanges int) {
	for _, r := range w.fake.Requests() {
		if r.Target == azurefake.TargetIMDS {
			tokens++
		} else {
			exchanges++
		}
	}
	return tokens, exchanges
}
