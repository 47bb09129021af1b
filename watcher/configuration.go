package watcher

import (
	"os"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// useConfiguration makes cfg the configuration in effect, unless it cannot be.
func (w *watcher) useConfiguration(cfg *config.Config) (err error) {
	if w.manager == nil {
		h, access := w.Host, w.Access
		h.Now, access.ForgetFailures = w.now, nil // perform has the kernel forget, where it may matter
		w.manager, err = tickets.New(tickets.Options{
			Access: access, Host: h, Config: cfg,
			Mounted:  func() ([]mounts.Mount, error) { return *w.live.Load(), nil },
			Attempts: 1, // the plan is what tries again
		})
	} else if next, failure := w.manager.With(cfg); failure != nil {
		err = failure
	} else {
		w.manager = next
	}
	if err != nil {
		return err
	}
	w.cfg = cfg
	for _, problem := range cfg.Warnings {
		w.Log.Warn("the configuration: "+problem, "file", cfg.Path)
	}
	return nil
}

// reload is what SIGHUP asks for.
func (w *watcher) reload() {
	w.notify(reloading())
	if w.Reopen != nil {
		w.Reopen()
	}
	delete(w.logged, w.Host.Config) // whoever asks again hears it again
	w.forgive(anyFault)
	w.loadConfig()
	w.scanMachine()
	w.notify(ready)
}

// loadConfig reads the configuration again. One that is broken changes nothing.
func (w *watcher) loadConfig() {
	cfg, err := config.Read(w.Host)
	if err == nil {
		err = w.useConfiguration(cfg)
	}
	if err != nil {
		w.logOnce(w.Host.Config, err.Error(), func() {
			w.Log.Error("the configuration stays as it was: " + err.Error())
		})
		return
	}
	delete(w.logged, w.Host.Config)
	w.Log.Info("the configuration was read again", "config", cfg.Path)
	for _, m := range w.memos {
		m.sign = ""
	}
	w.forgive(anyFault)
	w.claimCache()
}

// loadMissing reads a configuration that was missing when the daemon was started.
func (w *watcher) loadMissing() {
	if !w.cfg.Missing {
		return
	}
	if _, err := os.Stat(w.Host.Path(w.Host.Config)); err == nil {
		w.loadConfig()
	}
}
