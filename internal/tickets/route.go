package tickets

import (
	"net/http"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// Chosen is the proxy that the record of a ticket names: the choice of the caller of azfilesauthmanager who obtained
// it, which those who renew it follow. A record that somebody else than root could have written chooses nothing.
func Chosen(snap ccache.Snapshot, spn string) transport.Choice {
	if snap.Cache == nil || !snap.Trusted {
		return transport.Choice{}
	}
	rec, _ := snap.Cache.RecordAlone(spn)
	proxy, err := transport.ParseProxy(rec.Proxy)
	if err != nil { // none, as a rule
		return transport.Choice{}
	}
	except, _ := transport.Exceptions(rec.NoProxy)
	return transport.Choice{Proxy: proxy, Except: except, Source: "the ticket's record, as azfilesauthmanager found it in its environment"}
}

// withProxy puts a choice into a record. A login is not for those who may read the credential cache.
func withProxy(rec ccache.Record, chosen transport.Choice) ccache.Record {
	rec.Proxy, rec.NoProxy = "", ""
	if chosen.Proxy != nil && chosen.Proxy.User == nil {
		rec.Proxy, rec.NoProxy = chosen.Proxy.String(), chosen.Except
	}
	return rec
}

// route is the way to Entra and the storage account by a choice.
func (m *Manager) route(chosen transport.Choice) (http.RoundTripper, error) {
	way, ok := m.Transport.(*transport.Route)
	if !ok || chosen.Proxy == nil {
		return m.Transport, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := chosen.Proxy.String() + " " + chosen.Except + " " + chosen.Source
	if r := m.routes[name]; r != nil {
		return r, nil
	}
	r, err := way.Through(chosen)
	if err == nil {
		m.routes[name] = r
	}
	return r, err
}

// closeRoutes closes the connections that nothing uses at the moment.
func (m *Manager) closeRoutes() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.routes {
		r.CloseIdleConnections()
	}
}
