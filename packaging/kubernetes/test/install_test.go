package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine makes a package's files and the root of a node in temporary folders.
func machine(t *testing.T) (own, node string) {
	t.Helper()
	own, node = t.TempDir(), t.TempDir()
	write(t, filepath.Join(own, "usr/bin/azfilesauth"), "#!/bin/sh\necho azfilesauth 2.0.0\n", 0o755)
	write(t, filepath.Join(own, "etc/azfilesauth/config.yaml"), "USER_UID: 0\n", 0o600)
	write(t, filepath.Join(own, "etc/request-key.d/azfiles.conf"), string(file(t, "../../../etc/request-key.d/azfiles.conf")), 0o644)
	write(t, filepath.Join(node, "usr/sbin/mount.cifs"), "", 0o755)
	write(t, filepath.Join(node, "etc/request-key.d/cifs.spnego.conf"), "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n", 0o644)
	return own, node
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func install(t *testing.T, own string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("../install.sh", args...)
	cmd.Env = append(os.Environ(), "OWN_ROOT="+own)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestInstall(t *testing.T) {
	own, node := machine(t)
	for range 2 {
		out, err := install(t, own, node)
		if err != nil || !strings.Contains(out, "installed azfilesauth 2.0.0") || !strings.Contains(out, "install the package keyutils") || strings.Contains(out, "cifs-utils") {
			t.Fatalf("%v\n%s", err, out)
		}
		write(t, filepath.Join(node, "etc/azfilesauth/config.yaml"), "USER_UID: 7\n", 0o600) // the administrator's
	}
	if got := string(file(t, filepath.Join(node, "etc/azfilesauth/config.yaml"))); got != "USER_UID: 7\n" {
		t.Errorf("the configuration is now %q", got)
	}
	for _, link := range []string{"usr/bin/azfilesauthmanager", "usr/sbin/mount.azfiles", "usr/sbin/azfiles.upcall"} {
		if to, err := os.Readlink(filepath.Join(node, link)); err != nil || to != "/usr/bin/azfilesauth" {
			t.Errorf("%s: %s, %v", link, to, err)
		}
	}
	for path, mode := range map[string]os.FileMode{"usr/bin/azfilesauth": 0o755, "etc/request-key.d/azfiles.conf": 0o644} {
		if info, err := os.Stat(filepath.Join(node, path)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}

	if out, err := install(t, own, "--remove", node); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var left []string
	err := filepath.WalkDir(node, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, strings.TrimPrefix(path, node+"/"))
		}
		return err
	})
	if got := strings.Join(left, " "); err != nil || got != "etc/azfilesauth/config.yaml etc/request-key.d/cifs.spnego.conf usr/sbin/mount.cifs" {
		t.Errorf("left: %s, %v", got, err)
	}
}

func TestInstallRefuses(t *testing.T) {
	own, node := machine(t)
	for _, args := range [][]string{nil, {node, node}, {"--remove"}, {t.TempDir()}, {filepath.Join(node, "none")}} {
		if out, err := install(t, own, args...); err == nil || out == "" {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
}
