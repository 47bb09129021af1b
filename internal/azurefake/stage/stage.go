// Package stage is where the testscripts of a face play: each script has an Azure of its own and a
// machine made of files in its folder, and commands to direct the one and look at the other.
//
// Invariants: a file that the script brings is left as it is; what Open starts ends with the script.
package stage

import (
	"net/http"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// Names of variables in the scripts' environment.
const (
	storage = "TEST_STORAGE" // where the storage accounts listen
	imds    = "TEST_IMDS"    // where the machine's identity service listens
)

const authority = "ca.pem" // the file of the certificate authority

// fake is the key of the script's Azure, proxy that of the proxy to it.
const (
	fake  = "fake"
	proxy = "proxy"
)

// Open starts an Azure for a script. The script's programs reach it by Transport, its commands by Fake.
func Open(env *testscript.Env, o azurefake.Options) (*azurefake.Fake, error) {
	f, err := azurefake.Start(o)
	if err != nil {
		return nil, err
	}
	env.Defer(f.Close)
	env.Values[fake] = f
	Set(env, map[string]string{
		storage:  f.StorageAddr(),
		imds:     f.IMDSAddr(),
		"GORACE": "atexit_sleep_ms=0", // else each program under the race detector waits a second at its end
	})
	return f, os.WriteFile(filepath.Join(env.WorkDir, authority), f.CA(), 0o600)
}

// Transport reaches the Azure of the script that started this program, by the product's own transport.
func Transport() (http.RoundTripper, error) {
	return transport.NewRoute(transport.Options{
		Bundles: []string{filepath.Join(os.Getenv("WORK"), authority)}, Dial: azurefake.Dial(os.Getenv(storage), os.Getenv(imds)),
	})
}

// OpenProxy starts a CONNECT proxy to the script's Azure and gives its address as $PROXY. The command proxied counts
// what it was asked.
func OpenProxy(env *testscript.Env) error {
	p, err := azurefake.StartProxy(env.Values[fake].(*azurefake.Fake).StorageAddr(), 0)
	if err != nil {
		return err
	}
	env.Defer(p.Close)
	env.Values[proxy] = p
	env.Setenv("PROXY", p.Addr)
	return nil
}

// Fake is the Azure of a script.
func Fake(ts *testscript.TestScript) *azurefake.Fake { return ts.Value(fake).(*azurefake.Fake) }

// Set puts variables into a script's environment.
func Set(env *testscript.Env, values map[string]string) {
	for name, value := range values {
		env.Setenv(name, value)
	}
}

// Write makes the files of a machine, by path in the script's folder, with mode 0600. What the script
// brings takes precedence.
func Write(env *testscript.Env, files map[string]string) error {
	for name, content := range files {
		path := filepath.Join(env.WorkDir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Configure puts head before the script's config.yaml, whose mode becomes 0600.
func Configure(env *testscript.Env, head string) error {
	path := filepath.Join(env.WorkDir, "config.yaml")
	config, _ := os.ReadFile(path) // none is an empty one
	_ = os.Remove(path)
	return os.WriteFile(path, append([]byte(head), config...), 0o600)
}
