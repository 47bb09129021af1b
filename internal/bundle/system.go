package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// principalForm is that of a name that a Kerberos principal of ours can have.
var principalForm = lazily(`^[A-Za-z0-9_.@:-]{1,100}(/[A-Za-z0-9_.-]{1,253})?(@[A-Za-z0-9.-]{0,253})?$`)

func principal(text string) bool {
	pieces := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/@.", r) })
	return principalForm().MatchString(text) && !slices.ContainsFunc(pieces, random)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// legible is a text on one line that cannot drive a terminal.
func legible(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

func legibleLines(content []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(content)) {
		b.WriteString(legible(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")) + "\n")
	}
	return b.String()
}

// reason is an error without the path, which the reader has seen and which may be that of a root.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// ask runs a program where this machine may be asked, and shows what it said.
func (m *machine) ask(ctx context.Context, b *strings.Builder, program string, args ...string) {
	const limit = 10 * time.Second
	path := m.FirstOf("/usr/bin/"+program, "/usr/sbin/"+program, "/bin/"+program, "/sbin/"+program)
	if !m.Live() || path == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := m.Exec(ctx, path, args...)
	fmt.Fprintf(b, "$ %s %s\n%s", program, strings.Join(args, " "), legibleLines([]byte(out)))
	if err != nil {
		fmt.Fprintf(b, "(%v)\n", err)
	}
}

// versions are those of all that takes part in a mount.
func versions(ctx context.Context, m *machine) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "azfilesauth %s, %s, %s/%s\n", m.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	var u unix.Utsname
	if m.Live() && unix.Uname(&u) == nil {
		fmt.Fprintf(&b, "kernel %s %s %s\n", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]), unix.ByteSliceToString(u.Machine[:]))
	}
	b.WriteString(m.files([]string{"/etc/os-release", "/sys/module/cifs/version", "/proc/sys/crypto/fips_enabled"}))
	m.ask(ctx, &b, "mount.cifs", "-V")
	m.ask(ctx, &b, "cifs.upcall", "-v")
	m.ask(ctx, &b, "request-key", "--version")
	m.ask(ctx, &b, "klist", "-V")
	m.ask(ctx, &b, "systemctl", "--version")
	packages := []string{"azfilesauth", "cifs-utils", "keyutils", "krb5-user", "libkrb5-3", "krb5-config"}
	m.ask(ctx, &b, "dpkg-query", append([]string{"-W"}, packages...)...)
	m.ask(ctx, &b, "rpm", "-q", "azfilesauth", "cifs-utils", "keyutils", "krb5-libs")
	return b.String(), nil
}

const service = "azfilesrefresh.service"

// unit is the service and what stands in its files.
func unit(ctx context.Context, m *machine) (string, error) {
	var b strings.Builder
	m.ask(ctx, &b, "systemctl", "--no-pager", "show", service, "-p",
		"LoadState,ActiveState,SubState,Result,UnitFileState,FragmentPath,DropInPaths,NRestarts,ExecMainStatus,ActiveEnterTimestamp,StatusText")
	m.ask(ctx, &b, "systemctl", "--no-pager", "list-units", "--all", "--type=mount,automount", "--state=failed")
	var paths []string
	for _, dir := range []string{"/etc/systemd/system", "/usr/lib/systemd/system"} {
		paths = append(paths, dir+"/"+service)
		drops, _ := m.ReadDir(dir + "/" + service + ".d")
		for _, d := range drops {
			paths = append(paths, dir+"/"+service+".d/"+d.Name())
		}
	}
	b.WriteString(m.files(paths))
	return b.String(), nil
}

// ours are the names under which the programs of a mount log.
var ours = []string{"azfilesauth", "azfilesauthmanager", "azfilesrefresh", "azfiles.upcall", "mount.azfiles", "cifs.upcall", "request-key", "libazfilesauth"}

// journal is what they wrote into the journal of this boot.
func journal(ctx context.Context, m *machine) (string, error) {
	var b strings.Builder
	args := []string{"-b", "--no-pager", "-q", "-o", "short-iso", "-n", "400", "_SYSTEMD_UNIT=" + service}
	for _, name := range ours {
		args = append(args, "+", "SYSLOG_IDENTIFIER="+name)
	}
	m.ask(ctx, &b, "journalctl", args...)
	return b.String(), nil
}

// logs are the ends of our log files, and of our lines in the machine's.
func logs(_ context.Context, m *machine) (string, error) {
	var b strings.Builder
	_, path := m.Config.Log()
	for _, name := range []string{path, "/var/log/azfilesrefresh.log", "/var/log/azfilesauth.log"} {
		if !strings.Contains(b.String(), "==> "+name+"\n") {
			m.tail(&b, name, func(string) bool { return true })
		}
	}
	isOurs := func(line string) bool {
		for _, name := range ours {
			if strings.Contains(line, " "+name+"[") || strings.Contains(line, " "+name+":") {
				return true
			}
		}
		return false
	}
	m.tail(&b, "/var/log/syslog", isOurs)
	m.tail(&b, "/var/log/messages", isOurs)
	return b.String(), nil
}

// maxTail is how much of a log's end is looked at, in bytes.
const maxTail = 256 << 10

// tail shows the wanted lines at the end of a log.
func (m *machine) tail(b *strings.Builder, path string, wanted func(line string) bool) {
	f, err := m.Open(path)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil && info.Size() > maxTail {
		_, _ = f.Seek(-maxTail, io.SeekEnd)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxTail))
	fmt.Fprintf(b, "==> %s\n", path)
	for line := range strings.Lines(string(content)) {
		if wanted(line) {
			b.WriteString(legible(strings.TrimRight(line, "\n")) + "\n")
		}
	}
	if err != nil {
		fmt.Fprintf(b, "(%v)\n", err)
	}
}

var kernelWords = lazily(`(?i)cifs|smb3|spnego|request-key|key_type|dns_resolver|apparmor="DENIED"|avc:\s+denied|fips|usermode`)

// maxKernelLines bounds what is shown of the kernel's log.
const maxKernelLines = 400

// kernelLog shows what the kernel said about SMB, keys and denials.
func kernelLog(_ context.Context, m *machine) (string, error) {
	if !m.Live() {
		return "", nil
	}
	all, err := m.Kernel.Log()
	var lines []string
	for _, l := range all {
		if kernelWords().MatchString(l.Text) {
			lines = append(lines, fmt.Sprintf("[%12.6f] %s\n", l.At.Seconds(), legible(l.Text)))
		}
	}
	return strings.Join(lines[max(0, len(lines)-maxKernelLines):], ""), err
}
