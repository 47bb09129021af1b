package bundle

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// safeOptions are mount options whose value may be shown when it has one of the forms of optionForm.
var safeOptions = slices.Concat(mounts.Names(mounts.Own), strings.Fields(`vers uid gid file_mode dir_mode actimeo acregmax acdirmax closetimeo cache addr ip srcaddr
	port max_channels rsize wsize bsize retrans echo_interval snapshot iocharset nosharesock upcall_target
	backupuid backupgid esize rasize handletimeout max_credits min_enc_offload mode size`))

// optionForm is what such a value looks like.
func optionForm(name, value string) bool {
	words := among("root", "none", "strict", "loose", "krb5", "krb5i", "krb5p", "ntlmssp", "ntlmsspi", "mount", "app", "utf8", "default",
		"1.0", "2.0", "2.1", "3", "3.0", "3.02", "3.1.1", "system", "workload", "cli", "arc", "token", "service-principal", "user-assigned")
	switch name {
	case "identity": // a name that the user invents
		return either(words, matches(account))(value)
	case "user", "username":
		return either(words, matches(guid))(value)
	case "resource_id":
		return resource().MatchString(value)
	}
	return either(words, matches(guid, number, octal, address, filePath, webPlace, domain))(value)
}

// optionName is the form of an option's name, and of no password that a machine made.
var optionName = lazily(`^[a-z_.-]{1,40}[0-9]?$`)

// options shows mount options. Systemd's (x-systemd...) are names of units and times.
func (s *secrets) options(all mounts.Options) string {
	var shown []string
	for _, o := range all {
		name, value, has := o.Name, o.Value, o.Valued
		switch {
		case !optionName().MatchString(name):
			s.add([]byte(name))
			s.add([]byte(value))
			name, has = secret.Redacted, false
		case strings.HasPrefix(name, "x-systemd."):
			value = s.shown(value, regexp.MustCompile(`^[A-Za-z0-9@._/\\-]{1,64}$`).MatchString)
		case slices.Contains(safeOptions, name):
			if _, password, ok := strings.Cut(value, "%"); ok { // user%password, mount.cifs(8)
				s.add([]byte(password))
			}
			value = s.shown(value, func(v string) bool { return optionForm(name, v) })
		default:
			value = s.shown(value, nil)
		}
		if has {
			name += "=" + value
		}
		shown = append(shown, name)
	}
	return strings.Join(shown, ",")
}

// place is a share or a device without what stands before an @ or behind a ?.
var place = lazily(`^(https:)?(//|\\\\)[A-Za-z0-9._-]+([/\\][^@?#%:;=\s]*)?$`)

func (s *secrets) source(text string) string {
	return s.shown(text, place().MatchString)
}

var networkFS = []string{"azfiles", "azsmb", "cifs", "smb3", "smbfs"}

// fstab shows the lines of SMB shares.
func fstab(_ context.Context, m *machine) (string, error) {
	var b strings.Builder
	for _, l := range m.Fstab {
		if !slices.Contains(networkFS, l.Type) {
			continue
		}
		for _, name := range []string{"credentials", "cred"} {
			if file, ok := l.Options.Get(name); ok {
				m.credentials(file)
			}
		}
		m.secrets.learn(l.Spec)
		for _, o := range l.Options {
			m.secrets.learn(o.String())
		}
		fmt.Fprintf(&b, "line %d: %s %s %s %s\n", l.Line, m.secrets.source(l.Spec), legible(l.Target), l.Type, m.secrets.options(l.Options))
	}
	return b.String(), m.FstabErr
}

// credentials notes what a credentials file of mount.cifs(8) holds.
func (m *machine) credentials(path string) {
	if !filepath.IsAbs(path) {
		return
	}
	content, err := m.ReadFile(path)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.HasPrefix(name, "pass") {
			m.secrets.add([]byte(value))
		}
	}
}

// fields of a line of mountinfo (proc(5)) and of what follows its lone hyphen.
const (
	minMountFields = 10
	targetField    = 4
)

// mounted shows the lines of SMB shares in the mount table.
func mounted(_ context.Context, m *machine) (string, error) {
	table := "/proc/1/mountinfo"
	if filepath.Clean(m.Root) == "/" {
		table = "/proc/self/mountinfo"
	}
	content, err := m.ReadFile(table)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		hyphen := slices.Index(fields, "-")
		if len(fields) < minMountFields || hyphen < 0 || hyphen+3 >= len(fields) || !slices.Contains(networkFS, fields[hyphen+1]) {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", legible(strings.Join(fields[:targetField+1], " ")), fields[hyphen+1],
			m.secrets.source(fields[hyphen+2]), m.secrets.options(mounts.ParseShown(strings.Join(fields[hyphen+3:], " "))))
	}
	return b.String(), nil
}
