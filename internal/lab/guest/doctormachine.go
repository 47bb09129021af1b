package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/control"
)

// away has what is missing at present, at the paths that it belongs to: the files of a package, for
// example, that is not installed.
const away = "/lab/away"

// tools are what breaks and fixes have besides the machine's own programs.
const tools = `set -e
take() { for f; do mkdir -p /lab/away${f%/*}; mv $f /lab/away$f; done; }
bring() { for f; do mv /lab/away$f $f; done; }
config() { printf '%s\n' "$1" >>/etc/azfilesauth/config.yaml; }
krb5() { printf '%b' "$1" >>/etc/krb5.conf; }
line() { sed -i "s|azfiles .*|azfiles $1 0 0|" /etc/fstab; }
source() { sed -i "s|^//[^/]*|//$1|" /etc/fstab; }
`

// aptGet stands in for apt-get, which has no archive here: it brings back the files of a package.
const aptGet = `#!/bin/sh
[ "$1" = install ] || exit 100
for package; do :; done
case $package in
keyutils) files=/usr/sbin/request-key ;;
cifs-utils) files="/usr/sbin/mount.cifs /usr/sbin/cifs.upcall" ;;
*) echo "E: Unable to locate package $package"; exit 100 ;;
esac
for f in $files; do [ ! -e /lab/away$f ] || mv /lab/away$f $f; done
`

// installed are the files of a machine on which Debian's packages and ours are installed, besides those
// of the lab. libkrb5 is as its package sets it up, but for a search that nobody would answer.
func installed() map[string]file {
	return map[string]file{
		"/etc/os-release":  {[]byte("ID=debian\n"), 0o644},
		"/etc/krb5.conf":   {[]byte("[libdefaults]\n\tdefault_realm = EXAMPLE.ORG\n\tdns_lookup_kdc = false\n"), 0o644},
		"/etc/group":       {[]byte("root:x:0:\nsudo:x:27:\nazfilesuser:x:988:\n"), 0o644},
		"/etc/fstab":       {[]byte(fstab), 0o644},
		"/usr/bin/apt-get": {[]byte(aptGet), 0o755},
	}
}

// table is the machine on which one thing after the other is broken.
type table struct {
	*machine
	daemon *exec.Cmd
}

// newTable makes a healthy machine with the daemon. Nothing may have been changed before.
func newTable(m *machine) (*table, error) {
	files, err := readFiles()
	if err != nil {
		return nil, err
	}
	whole := *m
	whole.profile = profile{"doctor", "/run/azfilesauth/krb5cc_", files}
	maps.Copy(files, installed())
	t := &table{machine: &whole}
	errs := []error{t.reset(), os.Mkdir("/mnt/share", 0o755), t.startWatch()}
	return t, errors.Join(errs...)
}

// startWatch starts the daemon and waits until it answers.
func (t *table) startWatch() error {
	t.daemon = exec.Command(daemonName)
	if err := t.daemon.Start(); err != nil {
		return err
	}
	return until("the daemon", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := control.NewClient(control.DefaultPath).Status(ctx)
		return err == nil
	})
}

// close ends what newTable began.
func (t *table) close() {
	_ = unmountAll()
	t.stopWatch()
}

// stopWatch ends the daemon, if it runs.
func (t *table) stopWatch() {
	if t.daemon == nil {
		return
	}
	_ = t.daemon.Process.Kill() // it may have ended
	_ = t.daemon.Wait()
	t.daemon = nil
}

// healthy undoes what was broken. The daemon goes on.
func (t *table) healthy() error {
	errs := []error{unmountAll(), t.azure.reset(), t.bring(), t.apply()}
	for _, p := range []string{"/run/azfilesauth/krb5*", "/run/azfilesauth/last-fault", "/tmp/krb5cc*", "/etc/krb5.conf.d", "/var/lib/azfilesauth"} {
		found, err := filepath.Glob(p)
		errs = append(errs, err)
		for _, f := range found {
			errs = append(errs, os.RemoveAll(f))
		}
	}
	_ = exec.Command("ip", "rule", "del", "pref", "1").Run() // there may be none
	errs = append(errs, clearSpnego(), syncRun("keyctl", "clear", "@u"))
	if t.daemon == nil {
		errs = append(errs, t.startWatch())
	}
	return errors.Join(errs...)
}

// bring puts back everything that was taken away.
func (t *table) bring() error {
	return filepath.WalkDir(away, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		to := path[len(away):]
		_ = os.Remove(to) // a stand-in, if there is one
		if err := os.Rename(path, to); err != nil || !strings.Contains(to, ".ko") {
			return err
		}
		return syncRun("modprobe", "cifs")
	})
}

// prepare makes the machine healthy, has somebody answer the kernel and breaks one thing.
func (t *table) prepare(r row) error {
	if err := t.healthy(); err != nil {
		return err
	}
	if err := t.log.begin("doctor/" + r.title()); err != nil {
		return err
	}
	set := map[string]string{
		byUs:    "",
		byOrder: "config 'upcall: {mode: cifs}'\n",
		byOther: "rm /etc/request-key.d/azfiles.conf; config 'KRB5_CC_NAME: /tmp/krb5cc_%{uid}'\n",
	}
	if r.breaks == stopDaemon {
		t.stopWatch()
		return nil
	}
	if r.order != "" {
		if err := t.azure.order(r.order); err != nil {
			return err
		}
	}
	return syncRun("sh", "-c", tools+set[r.handler]+r.breaks)
}

// mount mounts the share by its line in fstab.
func (t *table) mount() error { return syncRun("mount", "/mnt/share") }

// mend does what the doctor says, in the way of the row. The share is not mounted meanwhile.
func (t *table) mend(o outcome) error {
	if err := unmountAll(); err != nil {
		return err
	}
	switch o.mend {
	case mendRun:
		return syncRun("sh", "-c", o.advice)
	case mendFix:
		_, err := exec.Command("azfilesauth", "doctor", "--fix").Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() <= 2 { // as of the doctor: it is looked at again below
			return nil
		}
		return err
	case mendLine:
		at := regexp.MustCompile(`^(?:correct|remove) line (\d+) of (\S+)$`).FindStringSubmatch(o.advice)
		if at == nil {
			return fmt.Errorf("this names no line: %s", o.advice)
		}
		return syncRun("sed", "-i", at[1]+"d", at[2])
	case mendOrders:
		return t.azure.forgetOrders()
	case mendDaemon:
		return t.startWatch()
	}
	return syncRun("sh", "-c", tools+o.mend)
}
