package setup

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// The files of accounts: passwd(5), shadow(5), group(5), gshadow(5).
const (
	passwdFile  = host.Passwd
	shadowFile  = "/etc/shadow"
	groupFile   = "/etc/group"
	gshadowFile = "/etc/gshadow"

	accountsLock = "/etc/.pwd.lock" // lckpwdf(3)
)

// accountFiles are in the order in which a user comes to be: nobody meets one without his group.
var accountFiles = []string{groupFile, gshadowFile, shadowFile, passwdFile}

// userLine is the system user, in the words of sysusers.d(5).
const userLine = "u " + config.SystemUser + ` - "Azure Files tickets" /nonexistent` + "\n"

// planUser makes the user who owns the tickets of a configuration that does not say USER_UID. The lines
// are those that systemd-sysusers(8) adds to copies of the machine's accounts, without their hashes; what
// else it does to the files, such as leaving out what it cannot read, is not done to the machine's own.
func planUser(p *planner) error {
	cfg, err := p.config()
	if err != nil || cfg.Missing || cfg.Sets("USER_UID") {
		return err
	}
	files := map[string][]byte{"/usr/lib/sysusers.d/azfilesauth.conf": []byte(userLine)}
	for _, path := range append(slices.Clone(accountFiles), "/etc/login.defs") { // which says what numbers are a system's
		v, err := p.read(path)
		if err != nil {
			return err
		}
		if v.state != nil && path != shadowFile && path != gshadowFile {
			files[path] = v.content
		} else if v.state != nil {
			files[path] = nil // without the hashes
		}
	}
	if accountLine(files[passwdFile]) != nil {
		return nil
	}
	err = p.runInScratch(files, p.takeAccounts, "systemd-sysusers")
	if errors.Is(err, fs.ErrNotExist) {
		return fault.SetupTool.New("systemd-sysusers", config.SystemUser).Because(err)
	}
	return err
}

// takeAccounts plans the lines that systemd-sysusers added to the files in dir.
func (p *planner) takeAccounts(dir string) error {
	for _, path := range accountFiles {
		v, err := p.read(path)
		if err != nil {
			return err
		}
		if v.state == nil { // a machine may be without the shadow files
			continue
		}
		_ = os.Chmod(dir+path, 0o600) // that of shadow is 0: root needs none
		made, err := os.ReadFile(dir + path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		line := accountLine(made)
		if line == nil || accountLine(v.content) != nil {
			continue
		}
		if err := p.edit(path, append(ended(v.content), line...), true); err != nil {
			return err
		}
	}
	return nil
}

// accountLine is the line of the system user or his group, nil for none.
func accountLine(content []byte) []byte {
	for line := range bytes.Lines(content) {
		if bytes.HasPrefix(line, []byte(config.SystemUser+":")) {
			return line
		}
	}
	return nil
}

// planGroups takes the system user out of the groups into which an earlier program put him. One
// change for each line keeps what is shown to that line.
func planGroups(p *planner) error {
	const name, members = 0, 3 // fields of group and gshadow
	for _, path := range []string{groupFile, gshadowFile} {
		v, err := p.read(path)
		if err != nil {
			return err
		}
		lines := strings.SplitAfter(string(v.content), "\n")
		for i, line := range lines {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
			if len(fields) <= members || !slices.Contains(host.RootGroups(), fields[name]) {
				continue
			}
			left := slices.DeleteFunc(strings.Split(fields[members], ","), func(m string) bool { return m == config.SystemUser })
			text := strings.Join(append(fields[:members:members], strings.Join(left, ",")), ":")
			lines[i] = strings.Join(append([]string{text}, fields[members+1:]...), ":") + line[len(strings.TrimSuffix(line, "\n")):]
			if err := p.edit(path, []byte(strings.Join(lines, "")), true); err != nil {
				return err
			}
		}
	}
	return nil
}

// errBusy means that another program is changing the accounts.
var errBusy = errors.New("another program is changing the accounts (useradd, passwd); try again")

// lockAccounts keeps other programs from changing the accounts, as lckpwdf(3) does, where one of the paths
// is a file of theirs. Where there is no lock file, nobody ever took the lock, and none is made: it would
// stay behind.
func (h Host) lockAccounts(paths ...string) (unlock func(), err error) {
	none := func() {}
	if !slices.ContainsFunc(paths, func(path string) bool { return slices.Contains(accountFiles, path) }) {
		return none, nil
	}
	f, err := os.OpenFile(h.Entry(accountsLock), os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err == nil {
		if err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
			_ = f.Close()
			err = errors.Join(errBusy, err)
		}
	}
	if err != nil {
		return nil, failed(accountsLock, err)
	}
	return func() { _ = f.Close() }, nil
}
