package setup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
)

// The files of accounts: passwd(5), shadow(5), group(5), gshadow(5).
const (
	passwdFile  = "/etc/passwd"
	shadowFile  = "/etc/shadow"
	groupFile   = "/etc/group"
	gshadowFile = "/etc/gshadow"

	accountsLock = "/etc/.pwd.lock" // lckpwdf(3)
)

// System users are numbered downwards from 999 (login.defs(5): SYS_UID_MAX). Below 201 some
// distributions number by hand.
const (
	lastSystemID  = 999
	firstSystemID = 201
)

// The fields of the accounts' files.
const (
	nameField    = 0
	idField      = 2 // uid in passwd, gid in group
	membersField = 3 // of group and gshadow
)

// planUser makes the user who owns the tickets of a configuration that does not say USER_UID, with
// the lines that useradd(8) and systemd-sysusers(8) would write. The files are edited here because
// neither can show first what it will do, take it back exactly, or work beneath a root whose
// programs cannot be run.
func planUser(p *planner) error {
	cfg, err := p.config()
	if err != nil || cfg.Missing() || saysUID(cfg) {
		return err
	}
	users, err := p.accounts(passwdFile)
	if err != nil || find(users, nameField, config.SystemUser) != nil {
		return err
	}
	groups, err := p.accounts(groupFile)
	if err != nil {
		return err
	}
	uid, gid := free(users, groups), ""
	if group := find(groups, nameField, config.SystemUser); len(group) > idField {
		gid = group[idField]
	}
	if uid == "" {
		return fmt.Errorf("no uid from %d to %d is free", firstSystemID, lastSystemID)
	}
	var added [][2]string
	if gid == "" {
		gid = uid
		added = append(added, [2]string{groupFile, config.SystemUser + ":x:" + gid + ":"}, [2]string{gshadowFile, config.SystemUser + ":!::"})
	}
	days := p.host.now().Unix() / int64(24*time.Hour/time.Second)
	added = append(added,
		[2]string{shadowFile, fmt.Sprintf("%s:!:%d::::::", config.SystemUser, days)},
		[2]string{passwdFile, strings.Join([]string{config.SystemUser, "x", uid, gid, "Azure Files tickets", "/nonexistent", "/usr/sbin/nologin"}, ":")})
	for _, line := range added {
		if err := p.addAccount(line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// addAccount appends a line to a file of accounts. A machine may be without the shadow files.
func (p *planner) addAccount(path, line string) error {
	v, err := p.look(path)
	if err != nil || v.state == nil && (path == shadowFile || path == gshadowFile) {
		return err
	}
	return p.accountFile(path, append(ended(v.content), line+"\n"...))
}

// accountFile plans a file of accounts. Nothing around the change is shown: it may be a hash.
func (p *planner) accountFile(path string, content []byte) error {
	return p.edit(path, content, 0)
}

// accounts reads the fields of each line.
func (p *planner) accounts(path string) ([][]string, error) {
	v, err := p.look(path)
	if err != nil {
		return nil, err
	}
	var all [][]string
	for line := range bytes.Lines(v.content) {
		all = append(all, strings.Split(strings.TrimSuffix(string(line), "\n"), ":"))
	}
	return all, nil
}

// find gives the line with this value in a field, or nil.
func find(lines [][]string, field int, value string) []string {
	i := slices.IndexFunc(lines, func(f []string) bool { return len(f) > field && f[field] == value })
	if i < 0 {
		return nil
	}
	return lines[i]
}

// free finds a number that neither a user nor a group has, or "".
func free(users, groups [][]string) string {
	for id := lastSystemID; id >= firstSystemID; id-- {
		text := strconv.Itoa(id)
		if find(users, idField, text) == nil && find(groups, idField, text) == nil {
			return text
		}
	}
	return ""
}

// rootGroups are those whose members may become root.
var rootGroups = []string{"sudo", "wheel", "admin"}

// planGroups takes the system user out of the groups into which an earlier program put him. One
// change for each line keeps what is shown to that line.
func planGroups(p *planner) error {
	for _, path := range []string{groupFile, gshadowFile} {
		groups, err := p.accounts(path)
		if err != nil {
			return err
		}
		for i, group := range groups {
			if len(group) <= membersField || !slices.Contains(rootGroups, group[nameField]) {
				continue
			}
			members := strings.Split(group[membersField], ",")
			left := slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == config.SystemUser })
			if len(left) == len(members) {
				continue
			}
			groups[i] = slices.Clone(group)
			groups[i][membersField] = strings.Join(left, ",")
			if err := p.accountFile(path, joined(groups)); err != nil {
				return err
			}
		}
	}
	return nil
}

func joined(lines [][]string) []byte {
	var b bytes.Buffer
	for _, fields := range lines {
		b.WriteString(strings.Join(fields, ":") + "\n")
	}
	return b.Bytes()
}

func isAccount(path string) bool {
	return slices.Contains([]string{passwdFile, shadowFile, groupFile, gshadowFile}, path)
}

// errBusy means that another program is changing the accounts.
var errBusy = errors.New("another program is changing the accounts (useradd, passwd); try again")

// lockAccounts keeps other programs from changing the accounts, as lckpwdf(3) does. Where there is
// no lock file, nobody ever took the lock, and none is made: it would stay behind.
func (h Host) lockAccounts() (unlock func(), err error) {
	name, err := h.within(accountsLock)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return func() {}, nil
	} else if err != nil {
		return nil, err
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		_ = f.Close()
		return nil, errors.Join(errBusy, err)
	}
	return func() { _ = f.Close() }, nil
}
