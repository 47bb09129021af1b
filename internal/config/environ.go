package config

import (
	"errors"
	"os"
	"strings"
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
		if steers(strings.ToUpper(name)) {
			ignored[name] = value
			_ = os.Unsetenv(name) // fails for names that cannot be set either
		}
	}
	return ignored
}

func steers(name string) bool {
	if strings.HasSuffix(name, "_PROXY") {
		return true
	}
	for _, prefix := range inherited {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Environment is what the file has under ENVIRONMENT, for those who ask for tokens: root's word, unlike
// what was inherited. It is not to be changed. Values can be secret.
func (c *Config) Environment() map[string]string { return c.environment }

// AuthorityHost is where tokens come from instead of the endpoint's cloud, "" when the file does not
// say so under ENVIRONMENT.
func (c *Config) AuthorityHost() string {
	return strings.TrimRight(c.environment["AZURE_AUTHORITY_HOST"], "/")
}
