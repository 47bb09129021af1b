package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const (
	audience   = "https://storage.azure.com"
	bundle     = "/etc/ssl/certs/ca-certificates.crt"
	cacheFile  = "/run/azfilesauth/krb5cc_0"
	configFile = "/etc/azfilesauth/config.yaml"
	tokenFile  = "/run/token"
)

// stage makes the machine look like a VM in Azure, for the processes in these namespaces.
func stage() (*azurefake.Fake, error) {
	for _, c := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", "169.254.169.254/32", "dev", "lo"},
		{"mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"},
		{"mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/etc/azfilesauth"},
	} {
		if c[0] == "mount" {
			if err := os.MkdirAll(c[len(c)-1], 0o755); err != nil {
				return nil, err
			}
		}
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w: %s", c, err, out)
		}
	}
	fake, err := azurefake.Start(azurefake.Options{
		Hosts: []string{host}, StorageAddr: "127.0.0.1:443", IMDSAddr: "169.254.169.254:80",
		Identities: []azurefake.ManagedIdentity{{ClientID: stormClient, ObjectID: "b0000000-0000-4000-8000-0000000000ff"}},
	})
	if err != nil {
		return nil, err
	}
	certs, err := os.ReadFile(bundle)
	if err != nil {
		return nil, err
	}
	token := fake.MintToken(azurefake.MintOptions{Audience: audience, Lifetime: time.Hour})
	for name, text := range map[string]string{
		tokenFile:     token,
		"/run/hosts":  "127.0.0.1 localhost " + host + "\n",
		"/run/bundle": string(certs) + string(fake.CA()),
		configFile:    "KRB5_CC_NAME: " + cacheFile + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, bind := range [][2]string{{"/run/hosts", "/etc/hosts"}, {"/run/bundle", bundle}} {
		if err := syscall.Mount(bind[0], bind[1], "", syscall.MS_BIND, ""); err != nil {
			return nil, fmt.Errorf("bind %s: %w", bind[1], err)
		}
	}
	return fake, replaceMountCIFS()
}

// replaceMountCIFS puts "true" where mount.cifs is looked for first: this machine need not have it.
func replaceMountCIFS() error {
	const name = "/usr/sbin/mount.cifs"
	trueBin, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	if err := os.MkdirAll("/run/sbin", 0o755); err != nil {
		return err
	}
	if err := os.Symlink(trueBin, "/run/sbin/mount.cifs"); err != nil {
		return err
	}
	return syscall.Mount("/run/sbin", filepath.Dir(name), "", syscall.MS_BIND, "")
}
