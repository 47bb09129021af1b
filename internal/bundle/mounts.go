package bundle

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// safeOptions are mount options whose value may be shown when it has one of the forms of optionForm.
var safeOptions = slices.Concat(mounts.Names(mounts.Own), strings.Fields(`vers uid gid file_mode dir_mode actimeo acregmax acdirmax closetimeo cache addr ip srcaddr
	port max_channels rsize wsize bsize retrans echo_interval snapshot iocharset nosharesock upcall_target
	backupuid backupgid esize rasize handletimeout max_credits min_enc_offload mode size`))

var optionWords = oneOf(strings.Fields(`root none strict loose krb5 krb5i krb5p ntlmssp ntlmsspi mount app utf8 default
	1.0 2.0 2.1 3 3.0 3.02 3.1.1`)...)

// optionForm is what the value of a safe option looks like.
func optionForm(name string) form {
	switch name {
	case "identity": // a name that the user invents
		return anyOf(optionWords, kinds, matches(account))
	case "user", "username":
		return anyOf(optionWords, kinds, func(v string) bool { return identity.Selector(v) != "" })
	case "resource_id":
		return forms["id"]
	}
	return anyOf(optionWords, kinds, matches(guid, number, octal, address, filePath, webPlace, domain))
}

var (
	// optionName is the form of an option's name.
	optionName = lazily(`^[a-z_.-]{1,40}[0-9]?$`)
	// unitName is what systemd's options have: names of units, and times.
	unitName = lazily(`^[A-Za-z0-9@._/\\-]{1,64}$`)
	// place is a share or a device without what stands before an @ or behind a ?.
	place = lazily(`^(https:)?(//|\\\\)[A-Za-z0-9._-]+([/\\][^@?#%:;=\s]*)?$`)
)

// option shows one mount option. What is none may be the rest of a password with a comma.
func (s *secrets) option(o mounts.Option) string {
	if !optionName().MatchString(o.Name) || !o.IsMeant() {
		s.add([]byte(o.Name))
		s.add([]byte(o.Value))
		return secret.Redacted
	}
	var ok form
	if strings.HasPrefix(o.Name, "x-systemd.") {
		ok = func(v string) bool { return unitName().MatchString(v) }
	} else if slices.Contains(safeOptions, o.Name) {
		if _, password, both := strings.Cut(o.Value, "%"); both { // user%password, mount.cifs(8)
			s.add([]byte(password))
		}
		ok = optionForm(o.Name)
	}
	o.Value = s.showOrRedact(o.Value, ok)
	return o.String()
}

func (s *secrets) options(all mounts.Options) string {
	shown := make([]string, len(all))
	for i, o := range all {
		shown[i] = s.option(o)
	}
	return strings.Join(shown, ",")
}

func (s *secrets) source(text string) string { return s.showOrRedact(text, place().MatchString) }

var networkFS = []string{"azfiles", "azsmb", "cifs", "smb3", "smbfs"}

// fstab shows the lines of SMB shares.
func (m *machine) fstab(context.Context) (string, error) {
	var b strings.Builder
	for _, l := range m.Fstab {
		if !slices.Contains(networkFS, l.Type) {
			continue
		}
		m.secrets.collectFrom(l.Spec)
		for _, o := range l.Options {
			m.secrets.collectFrom(o.String())
			if o.Is("credentials") || o.Is("cred") {
				m.credentials(o.Text())
			}
		}
		fmt.Fprintf(&b, "line %d: %s %s %s %s\n", l.Line, m.secrets.source(l.Spec), legible.Line(l.Target), l.Type, m.secrets.options(l.Options))
	}
	return b.String(), m.FstabErr
}

// credentials notes what a credentials file of mount.cifs(8) holds.
func (m *machine) credentials(path string) {
	if !filepath.IsAbs(path) {
		return
	}
	content, _ := m.ReadFile(path) // what cannot be read gets nowhere
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.HasPrefix(name, "pass") {
			m.secrets.add([]byte(value))
		}
	}
}

// mounted shows the lines of SMB shares in the mount table (proc_pid_mountinfo(5)), of all servers.
func (m *machine) mounted(context.Context) (string, error) {
	content, err := m.ReadFile(m.Host.Mounts)
	var b strings.Builder
	for line := range strings.Lines(string(content)) {
		before, after, _ := strings.Cut(line, " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(fs) < 3 || !slices.Contains(networkFS, fs[0]) {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", legible.Line(strings.Join(mount[:5], " ")), fs[0], m.secrets.source(fs[1]),
			m.secrets.options(mounts.ParseShown(strings.Join(fs[2:], " "))))
	}
	return b.String(), err
}
