// Package azurefake is the part of Azure that a mount talks to before it talks SMB, for tests and
// the demo: the ticket endpoint of storage accounts over HTTPS, and what gives access tokens. That
// is the instance metadata service (IMDS) and the one of Azure Arc's agent over HTTP for managed
// identities, Entra ID over HTTPS for apps with a secret, a certificate or a federated token, and a
// stand-in for the program az for people.
//
// The servers are real and so are the tickets: each is sealed with the service key of
// cifs/<host>, which Keytab hands to a real SMB server or to MIT tools. Nothing else of Azure is
// there. An Order makes the servers misbehave in one chosen way; the request log tells what they
// were asked.
//
// Entra is behind the listener of the storage accounts, which goes by the host that it is asked for.
//
// Invariants: only the listeners that Start names are opened; a request for a token or a ticket is in the log before it is
// answered; no token, no client secret and no session key is ever in the log. A Fake may be used by several
// goroutines at once.
package azurefake

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What the fields of Options are when they are left empty.
const (
	DefaultRealm      = "FILES.AZURE.STORAGE.MICROSOFT.COM"
	DefaultClient     = "AzureFileClient"
	DefaultEtype      = 18 // aes256-cts-hmac-sha1-96
	DefaultLifetime   = time.Hour
	DefaultServiceKey = "azurefake service key"
)

// Options say what Start starts. The zero Options are a machine with a system identity and no
// storage account.
type Options struct {
	// Hosts are the canonical hosts of the storage accounts. Each has the service principal
	// cifs/<host> and answers to its privatelink name as well.
	Hosts []string
	// StorageAddr, IMDSAddr, ControlAddr and ArcAddr are where to listen; "" means 127.0.0.1:0.
	StorageAddr, IMDSAddr, ControlAddr, ArcAddr string
	// Control asks for the control API, with which another process gives orders. It is not
	// authenticated.
	Control bool
	// Realm is that of clients and services, Client the name that every ticket is issued to.
	Realm, Client string
	// Etype is the encryption type of tickets and session keys: 17, 18, 19, 20 or 23.
	Etype int32
	// Lifetime is that of tickets.
	Lifetime time.Duration
	// ServiceSecret is the password that all service keys are derived from.
	ServiceSecret string
	// Identities are the user-assigned identities of this machine.
	Identities []ManagedIdentity
	// NoSystem takes the system-assigned identity away.
	NoSystem bool
	// Instance is what the metadata service says of the machine ("compute" of the instance metadata), in JSON;
	// "" is nothing. Who asks for it asks for no token: it is not in the request log.
	Instance string
	// Authorities are hosts of Entra in clouds of their own, beside those of the public, the US
	// Government and the China cloud, which are always there. Storage accepts their tokens as well.
	Authorities []string
	// Apps are the applications that are registered with Entra.
	Apps []App
	// Arc asks for Azure Arc's agent, as a non-empty ArcAddr does. Its identity is the system identity.
	Arc bool
	// ArcKeyFolder is where the agent writes its challenges, and is made when it is missing; default
	// DefaultArcKeyFolder, the only one that clients accept.
	ArcKeyFolder string
	// CACert and CAKey, in PEM, are the authority that signs the server certificates; see NewCA.
	// Without them Start makes one.
	CACert, CAKey []byte
	// Now is the clock of the servers; nil means time.Now.
	Now func() time.Time
}

// ManagedIdentity is one user-assigned identity.
type ManagedIdentity struct {
	ClientID   string // the application id, a GUID
	ObjectID   string // the principal's id, a GUID
	ResourceID string // the ARM resource id
}

// Fake is a running set of servers.
type Fake struct {
	opt       Options
	canonical map[string]string // every name of an account -> its canonical host
	now       func() time.Time
	ca        *authority
	stranger  *authority // nobody trusts it; see Order.Untrusted
	keys      *serviceKeys
	tokens    *tokenIssuer

	clouds     map[string]string // every host of an authority -> the first host of its cloud
	apps       directory
	federation *tokenIssuer // of federated tokens
	challenges *challenges  // nil without Arc

	orders    orderBook
	log       *requestLog
	transport *http.Transport

	storage, imds, control, arc net.Listener
	servers                     []*http.Server
	serving                     sync.WaitGroup
	closeOnce                   sync.Once
}

// Start listens and serves until Close.
func Start(o Options) (*Fake, error) {
	o = o.withDefaults()
	if keyLength(o.Etype) == 0 {
		return nil, fmt.Errorf("azurefake: etype %d is not one of 17, 18, 19, 20 and 23", o.Etype)
	}
	f := &Fake{
		opt:       o,
		now:       o.Now,
		canonical: namesOf(o.Hosts),
		keys:      newServiceKeys(o.Realm, o.ServiceSecret),
		tokens:    newTokenIssuer(),
		log:       newRequestLog(),

		federation: newTokenIssuer(),
		apps:       directory{apps: make(map[string]*registration)},
	}
	if err := f.enroll(); err != nil {
		return nil, err
	}
	if err := f.certify(); err != nil {
		return nil, err
	}
	if err := f.listen(); err != nil {
		f.Close()
		return nil, err
	}
	f.transport = newTransport(f.StorageAddr(), f.IMDSAddr(), f.ArcAddr(), f.CA())
	return f, nil
}

func (o Options) withDefaults() Options {
	setDefault(&o.Realm, DefaultRealm)
	setDefault(&o.Client, DefaultClient)
	setDefault(&o.Etype, DefaultEtype)
	setDefault(&o.Lifetime, DefaultLifetime)
	setDefault(&o.ServiceSecret, DefaultServiceKey)
	setDefault(&o.StorageAddr, "127.0.0.1:0")
	setDefault(&o.IMDSAddr, "127.0.0.1:0")
	setDefault(&o.ControlAddr, "127.0.0.1:0")
	setDefault(&o.Arc, o.ArcAddr != "")
	setDefault(&o.ArcAddr, "127.0.0.1:0")
	setDefault(&o.ArcKeyFolder, DefaultArcKeyFolder)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// namesOf maps every name that an account answers to, in lower case, to its canonical host.
func namesOf(hosts []string) map[string]string {
	names := make(map[string]string)
	for _, host := range hosts {
		host = strings.ToLower(host)
		names[host] = host
		account, rest, _ := strings.Cut(host, ".")
		names[account+".privatelink."+rest] = host
	}
	return names
}

// enroll makes what Entra knows of: clouds and apps.
func (f *Fake) enroll() (err error) {
	if f.clouds, err = cloudsOf(f.opt.Authorities); err != nil {
		return err
	}
	for name := range f.canonical {
		if f.clouds[name] != "" {
			return fmt.Errorf("azurefake: %s is both a storage account and an authority", name)
		}
	}
	for _, a := range f.opt.Apps {
		if err := f.SetApp(a); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fake) certify() (err error) {
	if f.opt.CACert == nil && f.opt.CAKey == nil {
		if f.opt.CACert, f.opt.CAKey, err = NewCA(); err != nil {
			return err
		}
	}
	if f.ca, err = loadAuthority(f.opt.CACert, f.opt.CAKey); err != nil {
		return err
	}
	cert, key, err := NewCA()
	if err != nil {
		return err
	}
	f.stranger, err = loadAuthority(cert, key)
	return err
}

func (f *Fake) listen() (err error) {
	if f.storage, err = f.serve(f.opt.StorageAddr, f.storageServer()); err != nil {
		return err
	}
	if f.imds, err = f.serve(f.opt.IMDSAddr, f.plainServer(f.serveIMDS)); err != nil {
		return err
	}
	if f.opt.Arc {
		if f.challenges, err = newChallenges(f.opt.ArcKeyFolder); err != nil {
			return err
		}
		if f.arc, err = f.serve(f.opt.ArcAddr, f.plainServer(f.serveArc)); err != nil {
			return err
		}
	}
	if f.opt.Control {
		f.control, err = f.serve(f.opt.ControlAddr, f.plainServer(f.controlMux().ServeHTTP))
	}
	return err
}

// plainServer has no keep-alive: with it, whether a client notices a closed connection before it
// sends the next request on it would be a matter of luck, and so would the request log.
func (f *Fake) plainServer(h http.HandlerFunc) *http.Server {
	s := &http.Server{
		Handler:           h,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that refuse our certificate are no news
		ReadHeaderTimeout: time.Minute,
	}
	s.SetKeepAlivesEnabled(false)
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true) // the real services know no other
	return s
}

func (f *Fake) serve(addr string, s *http.Server) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("azurefake: %w", err)
	}
	f.servers = append(f.servers, s)
	f.serving.Go(func() {
		if s.TLSConfig != nil {
			_ = s.ServeTLS(l, "", "") // ends with http.ErrServerClosed
			return
		}
		_ = s.Serve(l)
	})
	return l, nil
}

// Close ends all servers and all connections, and with them every request that hangs. It may be
// called twice.
func (f *Fake) Close() {
	f.closeOnce.Do(func() {
		if f.transport != nil {
			f.transport.CloseIdleConnections()
		}
		for _, s := range f.servers {
			_ = s.Close() // nothing is left to tell anybody
		}
		f.serving.Wait()
		if f.challenges != nil {
			f.challenges.remove()
		}
	})
}

// StorageAddr is where the storage accounts and Entra listen, as host:port.
func (f *Fake) StorageAddr() string { return f.storage.Addr().String() }

// IMDSAddr is where the instance metadata service listens, as host:port.
func (f *Fake) IMDSAddr() string { return f.imds.Addr().String() }

// ControlAddr is where the control API listens, as host:port; "" without Options.Control.
func (f *Fake) ControlAddr() string { return addrOf(f.control) }

// ArcAddr is where Azure Arc's agent listens, as host:port; "" without it.
func (f *Fake) ArcAddr() string { return addrOf(f.arc) }

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// CA is the certificate, in PEM, that clients of the storage accounts and of Entra must trust.
func (f *Fake) CA() []byte { return f.ca.pem }

// Keytab is a keytab file with the service keys of all hosts, in every encryption type that a
// ticket can have.
func (f *Fake) Keytab() ([]byte, error) { return f.keys.keytab(f.opt.Hosts) }

// Transport sends what goes to an https URL to the storage accounts and Entra, with the certificate
// verified for the host that was asked, what goes to http://169.254.169.254 to the metadata service,
// and what goes to http://127.0.0.1:40342 or to ArcAddr to Azure Arc's agent.
// All else is an error, so that a test never reaches the network.
func (f *Fake) Transport() http.RoundTripper { return f.transport }
