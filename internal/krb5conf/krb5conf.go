// Package krb5conf is the only reader of krb5.conf, a profile of MIT Kerberos (krb5.conf(5);
// util/profile/prof_parse.c): sections of relations, of which some are sections again, and directives
// that read further files as if they stood there.
//
// Invariants: what libkrb5 refuses is an error with its file and line; the tests ask the real one. The
// reading goes on behind an error, since who shows or changes the files must know all of them, and it
// ends whatever the files include.
package krb5conf

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// Path is where libkrb5 looks, and the vendor's where that of SUSE looks after it: what is set first counts.
const (
	Path   = "/etc/krb5.conf"
	vendor = "/usr/etc/krb5.conf"
)

// Bounds of what is read; libkrb5 has none.
const (
	maxFiles = 200
	maxDepth = 10
	maxLines = 100_000
)

// Files gives the content of a file, and the names in a directory, sorted.
type Files interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]fs.DirEntry, error)
}

// Profile is what was read.
type Profile struct {
	Missing     bool       // there is no file at all
	Relations   []Relation // in the order in which libkrb5 meets them
	Paths       []string   // of the files, the first one included, also of those that cannot be read
	Directories []string   // that are included, also those that cannot be read
	Err         error      // the first *Error, or that of reading the first file

	included, lines int  // were read
	full            bool // a bound was reached
}

// Relation is one "tag = value", with the names of the sections that it is in.
type Relation struct {
	Section string // such as "libdefaults", or "realms/EXAMPLE.COM" for a section in a section
	Tag     string
	Value   string
	Place   string // FILE:LINE
}

// Error is what makes libkrb5 refuse a profile.
type Error struct {
	Place string // FILE:LINE
	Text  string
	Fix   string // a command; "" is to correct the line
}

func (e *Error) Error() string { return e.Place + ": " + e.Text }

// Of reads the profile of a machine, of whose files none may have more than 4 MiB.
func Of(h host.Host) *Profile { return Read(machine{h}, Path) }

type machine struct{ host.Host }

func (m machine) ReadFile(path string) ([]byte, error) {
	const most = 4 << 20 // bytes
	content, _, err := m.Host.ReadFile(path, most, 0)
	return content, err
}

func (m machine) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(m.Path(path)) }

// Read reads the profile at path and all that it includes; with Path also that of the vendor.
func Read(files Files, path string) *Profile {
	p := &Profile{Paths: []string{path}, Missing: true}
	for _, at := range []string{path, vendor} {
		if at == vendor && path != Path {
			break
		}
		content, err := files.ReadFile(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if p.Missing = false; !slices.Contains(p.Paths, at) {
			p.Paths = append(p.Paths, at)
		}
		if err == nil {
			p.parse(files, at, string(content), 0)
		} else if p.Err == nil {
			p.Err = err
		}
	}
	return p
}

// Get gives the first value of a relation, which is the one that counts.
func (p *Profile) Get(section, tag string) (Relation, bool) {
	i := slices.IndexFunc(p.Relations, func(r Relation) bool { return r.Section == section && r.Tag == tag })
	if i < 0 {
		return Relation{}, false
	}
	return p.Relations[i], true
}

// RealmOf finds the mapping of a host as libkrb5 does (lib/krb5/os/hostrealm_profile.c): that of the
// host itself, or else that of the nearest of its domains, with a dot before it or without.
func (p *Profile) RealmOf(host string) (Relation, bool) {
	for name := strings.ToLower(host); name != ""; {
		if r, ok := p.Get("domain_realm", name); ok {
			return r, true
		}
		if strings.HasPrefix(name, ".") {
			name = name[1:]
			continue
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			break
		}
		name = name[dot:]
	}
	return Relation{}, false
}
