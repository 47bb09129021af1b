package identity

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is a user of this machine as far as a process of theirs needs it.
type account struct {
	name, home string
	credential *syscall.Credential // nil is this process's
}

// userLookup finds a user by name and their groups; "" is this process's user.
type userLookup func(name string) (u *user.User, groups []string, err error)

// lookupUser asks the machine. This program is linked without the C library, so that it knows the users
// and groups of /etc/passwd and /etc/group, not those of a directory.
func lookupUser(name string) (*user.User, []string, error) {
	u, err := find(name)
	if err != nil {
		return nil, nil, err
	}
	groups, err := u.GroupIds()
	return u, groups, err
}

func find(name string) (*user.User, error) {
	if name == "" {
		return user.LookupId(strconv.Itoa(os.Geteuid()))
	}
	return user.Lookup(name)
}

// account finds who is to run az. A name that is not known is an error and never another user.
func (i Identity) account(lookup userLookup) (account, error) {
	if lookup == nil {
		lookup = lookupUser
	}
	u, groups, err := lookup(i.User)
	if err != nil {
		return account{}, fmt.Errorf("not in /etc/passwd: %w", err)
	}
	a := account{name: u.Username, home: u.HomeDir}
	if i.User == "" {
		return a, nil
	}
	a.credential, err = credential(u, groups)
	return a, err
}

func credential(u *user.User, groups []string) (*syscall.Credential, error) {
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	err := errors.Join(errUID, errGID)
	for _, g := range groups {
		id, errGroup := strconv.ParseUint(g, 10, 32)
		c.Groups = append(c.Groups, uint32(id))
		err = errors.Join(err, errGroup)
	}
	return c, err
}
