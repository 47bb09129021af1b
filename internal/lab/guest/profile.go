package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
)

// The files that a story may change. A pattern stands for all files of a folder.
var keptFiles = []string{
	"/etc/fstab", "/etc/hosts", "/etc/passwd", "/etc/krb5.conf", configFile, packagesLayer, "/etc/request-key.d/*",
	"/etc/ssl/certs/ca-certificates.crt", serverConf, "/usr/sbin/mount.cifs", stockHandler,
}

const (
	configFile    = "/etc/azfilesauth/config.yaml"
	packagesLayer = config.ShippedPath
	serverConf    = "/etc/samba/story.conf"
	ourRule       = "/etc/request-key.d/azfiles.conf"
	stockRule     = "/etc/request-key.d/cifs.spnego.conf"
	stockHandler  = "/usr/sbin/cifs.upcall"
)

// file is what belongs at a path.
type file struct {
	text []byte
	mode fs.FileMode
}

// profile is a machine with one of the programs that answer the kernel's request for a ticket.
type profile struct {
	name  string
	cache string          // the credential cache of uid N is this and N
	files map[string]file // all that there is at the paths and patterns of keptFiles
}

// newProfiles gives the machines with the stock handler and with our own. The first has none of our
// rules and the second none of the stock handler.
func newProfiles() ([]profile, error) {
	installed, err := readFiles()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{configFile, packagesLayer, ourRule, stockRule, stockHandler} {
		if _, ok := installed[name]; !ok {
			return nil, fmt.Errorf("%s is missing, and nothing can be said without it", name)
		}
	}
	stock := profile{"stock", "/tmp/krb5cc_", maps.Clone(installed)}
	delete(stock.files, ourRule)
	delete(stock.files, packagesLayer)
	native := profile{"native", "/run/azfilesauth/krb5cc_", installed}
	delete(native.files, stockRule)
	delete(native.files, stockHandler)
	return []profile{stock, native}, nil
}

// readFiles reads what there is now.
func readFiles() (map[string]file, error) {
	files := make(map[string]file)
	for _, pattern := range keptFiles {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				return nil, err
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files[name] = file{text, info.Mode()}
		}
	}
	return files, nil
}

// apply makes the files as they are to be, and touches none that are so already.
func (p profile) apply() error {
	now, err := readFiles()
	if err != nil {
		return err
	}
	var errs []error
	for name := range now {
		if _, ok := p.files[name]; !ok {
			errs = append(errs, os.Remove(name))
		}
	}
	for name, want := range p.files {
		if got, ok := now[name]; !ok || got.mode != want.mode || !bytes.Equal(got.text, want.text) {
			errs = append(errs, replaceFile(name, want))
		}
	}
	return errors.Join(errs...)
}

// replaceFile makes a new file: a program that runs cannot be written to.
func replaceFile(name string, f file) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name))
	if err := os.WriteFile(tmp, f.text, f.mode); err != nil {
		return err
	}
	return errors.Join(os.Chmod(tmp, f.mode), os.Rename(tmp, name))
}

// stories are the files of the profile's stories, all or the named ones: those that are told under
// every profile and those of its own. A name may begin with that of the profile, or be it.
func (p profile) stories(names []string) (files []string, err error) {
	for _, folder := range []string{storyFolder, filepath.Join(storyFolder, p.name)} {
		found, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if len(names) == 0 || p.named(names, storyName(f)) {
				files = append(files, f)
			}
		}
	}
	return files, nil
}

func (p profile) named(names []string, story string) bool {
	for _, n := range names {
		if n == p.name || n == story || n == p.name+"/"+story {
			return true
		}
	}
	return false
}

func storyName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }
