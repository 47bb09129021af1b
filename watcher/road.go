package watcher

import (
	"fmt"
	"net/http"

	"github.com/azfilesauth/azfilesauth/internal/azfiles"
	"github.com/azfilesauth/azfilesauth/internal/config"
)

// road is how to reach Azure and the machine's identity service.
type road struct{ azure, imds http.RoundTripper }

// roads gives the transports for a configuration: those in use, with their open connections, as long as
// it leads the same way.
func (w *watcher) roads(cfg *config.Config) (road, error) {
	r := road{w.Transport, w.IMDS}
	if old := w.cfg; old != nil && fmt.Sprint(old.Proxy()) == fmt.Sprint(cfg.Proxy()) && old.ConnectTimeout() == cfg.ConnectTimeout() {
		return w.road, nil
	}
	direct := azfiles.TransportOptions{ConnectTimeout: cfg.ConnectTimeout()}
	if r.imds == nil {
		t, err := azfiles.NewTransport(direct)
		if err != nil {
			return r, err
		}
		r.imds = t
	}
	if r.azure == nil {
		direct.Proxy = cfg.Proxy()
		t, err := azfiles.NewTransport(direct)
		if err != nil {
			return r, err
		}
		r.azure = t
	}
	return r, nil
}

func (r road) closeIdle() {
	for _, t := range []http.RoundTripper{r.azure, r.imds} {
		if c, ok := t.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}
