package bundle

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// ask runs a program where this machine may be asked, and shows what it said.
func (m *machine) ask(ctx context.Context, b *strings.Builder, command ...string) {
	const limit = 10 * time.Second
	path, err := m.Program(command[0])
	if !m.Live() || err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := m.Exec(ctx, path, command[1:]...)
	fmt.Fprintf(b, "$ %s\n%s", strings.Join(command, " "), legible.Lines(out))
	if err != nil {
		fmt.Fprintf(b, "(%v)\n", err)
	}
}

// files shows small files one after the other, with owner and mode.
func (m *machine) files(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&b, "==> %s", path)
		if info, err := m.Lstat(path); err == nil {
			fmt.Fprintf(&b, " (%s)", owner(info))
		}
		content, err := m.ReadFile(path)
		if err != nil {
			fmt.Fprintf(&b, "\n(%v)\n", host.WithoutPath(err))
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", legible.Lines(string(content)))
	}
	return b.String()
}

func (m *machine) directory(dir string) ([]string, error) {
	entries, err := m.ReadDir(dir)
	paths := make([]string, len(entries))
	for i, e := range entries {
		paths[i] = filepath.Join(dir, e.Name())
	}
	return paths, err
}

func (m *machine) requestKey(context.Context) (string, error) {
	paths, err := m.directory(requestkey.Directory)
	return m.files(append([]string{requestkey.LastFile}, paths...)), err
}

func (m *machine) krb5(context.Context) (string, error) {
	return m.files(krb5conf.Of(m.Host).Paths), nil
}

// versions are those of all that takes part in a mount.
func (m *machine) versions(ctx context.Context) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "azfilesauth %s, %s, %s/%s\n", m.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	var u unix.Utsname
	if m.Live() && unix.Uname(&u) == nil {
		fmt.Fprintf(&b, "kernel %s %s %s\n", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]), unix.ByteSliceToString(u.Machine[:]))
	}
	b.WriteString(m.files([]string{"/etc/os-release", "/sys/module/cifs/version", "/proc/sys/crypto/fips_enabled"}))
	for _, command := range []string{
		"mount.cifs -V", "request-key --version", "klist -V", "systemctl --version",
		"dpkg-query -W azfilesauth cifs-utils keyutils krb5-user libkrb5-3 krb5-config", "rpm -q azfilesauth cifs-utils keyutils krb5-libs",
	} {
		m.ask(ctx, &b, strings.Fields(command)...)
	}
	return b.String(), nil
}

const service = "azfilesrefresh.service"

// unit is the service and what stands in its files.
func (m *machine) unit(ctx context.Context) (string, error) {
	var b strings.Builder
	m.ask(ctx, &b, "systemctl", "--no-pager", "show", service, "-p",
		"LoadState,ActiveState,SubState,Result,UnitFileState,FragmentPath,DropInPaths,NRestarts,ExecMainStatus,ActiveEnterTimestamp,StatusText")
	m.ask(ctx, &b, "systemctl", "--no-pager", "list-units", "--all", "--type=mount,automount", "--state=failed")
	for _, dir := range []string{"/etc/systemd/system/", "/usr/lib/systemd/system/"} {
		drops, _ := m.directory(dir + service + ".d")
		b.WriteString(m.files(append([]string{dir + service}, drops...)))
	}
	return b.String(), nil
}

// ours are the names under which the programs of a mount log.
var ours = []string{"azfilesauth", "azfilesauthmanager", "azfilesrefresh", "azfiles.upcall", "mount.azfiles", "cifs.upcall", "request-key", "libazfilesauth", "azfiles-mount-retry"}

// journal is what they wrote into the journal of this boot, and what systemd did with our units and with those of the
// mounts that fstab has of type azfiles. Each unit has lines of its own: one that fails all the time leaves room for
// the others.
func (m *machine) journal(ctx context.Context) (string, error) {
	var b strings.Builder
	show := strings.Fields("journalctl -b --no-pager -q -o short-iso -n 400")
	named := append(slices.Clone(show), "_SYSTEMD_UNIT="+service)
	for _, name := range ours {
		named = append(named, "+", "SYSLOG_IDENTIFIER="+name)
	}
	m.ask(ctx, &b, named...)
	m.ask(ctx, &b, append(slices.Clone(show), "-u", "azfiles*")...)
	const most = 50 // of units of one machine
	for _, l := range m.Fstab[:min(len(m.Fstab), most)] {
		if unit := mounts.UnitOf(l.Place(m.Host, m.Mounts)); l.IsOurs() && unit != "" {
			m.ask(ctx, &b, append(slices.Clone(show), "-u", unit+".mount", "-u", unit+".automount")...)
		}
	}
	return b.String(), nil
}

// logs are the ends of our log files, and of our lines in the machine's.
func (m *machine) logs(context.Context) (string, error) {
	var b strings.Builder
	files := []string{m.Config.Log.Path, log.DaemonFile, "/var/log/azfilesauth.log"}
	slices.Sort(files)
	for _, name := range slices.Compact(files) {
		m.tail(&b, name, func(string) bool { return true })
	}
	isOurs := func(line string) bool {
		return slices.ContainsFunc(ours, func(name string) bool {
			return strings.Contains(line, " "+name+"[") || strings.Contains(line, " "+name+":")
		})
	}
	m.tail(&b, "/var/log/syslog", isOurs)
	m.tail(&b, "/var/log/messages", isOurs)
	return b.String(), nil
}

// maxTail is how much of a log's end is looked at, in bytes.
const maxTail = 256 << 10

// tail shows the wanted lines at the end of a log.
func (m *machine) tail(b *strings.Builder, path string, wanted func(line string) bool) {
	content, err := m.ReadEnd(path, maxTail)
	if content == nil {
		return
	}
	fmt.Fprintf(b, "==> %s\n", path)
	for line := range strings.Lines(string(content)) {
		if wanted(line) {
			b.WriteString(legible.Line(strings.TrimRight(line, "\n")) + "\n")
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
func (m *machine) kernelLog(context.Context) (string, error) {
	if !m.Live() {
		return "", nil
	}
	all, err := m.Kernel.Log()
	var lines []string
	for _, l := range all {
		if kernelWords().MatchString(l.Text) {
			lines = append(lines, fmt.Sprintf("[%12.6f] %s\n", l.At.Seconds(), legible.Line(l.Text)))
		}
	}
	return strings.Join(lines[max(0, len(lines)-maxKernelLines):], ""), err
}
