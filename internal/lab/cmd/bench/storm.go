package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const (
	volumes      = 40 // of one account, staged at once
	stormRounds  = 3
	stormClient  = "b0000000-0000-4000-8000-00000000000b"
	maxExchanges = 2
	stormBound   = 5 * time.Second
)

// storm has as many calls of azfilesauthmanager ask for one account's ticket at once as a node makes that is given 40
// volumes, with an Azure that takes a second. Every call must be answered. Calls that begin after an exchange has ended
// make another one, so that a machine that is busy with other things sees more.
func (b *bench) storm() error {
	const delay = time.Second
	defer b.fake.ClearOrders()
	b.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: delay})
	var last []time.Duration
	most := 0
	for range stormRounds {
		if err := os.Remove(cacheFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		b.fake.ResetRequests()
		began := time.Now()
		err := together(volumes, func(int) error {
			p := b.manager("set", "https://"+host, "--imds-client-id", stormClient)
			c := exec.CommandContext(b.ctx, p.path)
			c.Args = p.args
			if out, err := c.CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %.300s", err, out)
			}
			return nil
		})
		if err != nil {
			return err
		}
		last = append(last, time.Since(began))
		exchanges := 0
		for _, r := range b.fake.Requests() {
			if r.Target == azurefake.TargetStorage {
				exchanges++
			}
		}
		most = max(most, exchanges)
	}
	line(fmt.Sprintf("%d calls of set for one account at once, Azure at %s: the last is answered", volumes, delay),
		fmt.Sprintf("after %s to %s, %d exchanges at most", slices.Min(last).Round(time.Millisecond), slices.Max(last).Round(time.Millisecond), most),
		fmt.Sprintf("at most %s, %d exchanges", stormBound, maxExchanges))
	return nil
}
