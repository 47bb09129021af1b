package config

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// enterVariable begins a variable of ENVIRONMENT. Its value can be a secret, so no error shows it.
func (p *parser) enterVariable(name string, _ place) error {
	if name == "" || strings.ContainsAny(name, "=\x00 ") {
		return errors.New("it is not the name of an environment variable")
	}
	p.variable = name
	return nil
}

// inherited are prefixes of variables that libraries of this program would obey: who we are to
// Entra and where its services are, what to trust, where Kerberos files are, where names are looked up.
var inherited = []string{
	"AZURE_", "IDENTITY_", "MSI_", "IMDS_", "ARM_", "AAD_", "SERVICE_FABRIC_",
	"SSL_CERT_", "KRB5", "RES_OPTIONS", "LOCALDOMAIN",
}

// IgnoreEnvironment removes from this process's environment what would steer it past the
// configuration. At boot and in the kernel's upcall there is no environment: a mount that works by
// hand because of a variable would fail at the first reconnect. Call it before anything else. It returns
// what it removed, for the face of which a caller expects that it knows its own environment.
func IgnoreEnvironment() map[string]string {
	ignored := make(map[string]string)
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if isTransportVariable(strings.ToUpper(name)) {
			ignored[name] = value
			_ = os.Unsetenv(name) // fails for names that cannot be set either
		}
	}
	return ignored
}

func isTransportVariable(name string) bool {
	return strings.HasSuffix(name, "_PROXY") || slices.ContainsFunc(inherited, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// proxyVariables of ENVIRONMENT name a proxy, the first one that can be used.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy"}

// takeEnvironment takes from ENVIRONMENT what the keys of the files do not say. Others who read these variables ignore
// what cannot be understood, and so does this.
func (p *parser) takeEnvironment(h host.Host) {
	if p.Transport.Proxy != nil {
		p.Transport.Source = "proxy: in " + p.places["proxy"].file
	}
	for _, name := range proxyVariables {
		if u, err := transport.ParseVariable(p.Environment[name]); err == nil && p.Transport.Proxy == nil {
			p.Transport.Proxy, p.Transport.Source = u, name+" under ENVIRONMENT: in "+p.places[within("ENVIRONMENT", name)].file
		}
	}
	if p.Transport.Proxy == nil {
		p.Transport.Ignored = transport.Variable(h.Ignored)
	}
	if !p.Sets("no_proxy") {
		p.Transport.NoProxy, _ = transport.Exceptions(cmp.Or(p.Environment["NO_PROXY"], p.Environment["no_proxy"]))
	}
}

// AuthorityHost is where tokens come from instead of the endpoint's cloud, "" when the file does not
// say so under ENVIRONMENT.
func (c *Config) AuthorityHost() string {
	return strings.TrimRight(c.Environment["AZURE_AUTHORITY_HOST"], "/")
}
