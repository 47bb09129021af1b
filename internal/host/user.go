package host

import (
	"bufio"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoUser says that a user is not known to the machine.
var ErrNoUser = errors.New("there is no such user")

// User is a line of passwd(5).
type User struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
}

// RootGroups are the groups whose members may become root, on the distributions that have them.
func RootGroups() []string { return []string{"sudo", "wheel", "admin"} }

// LookupUser finds a user by name or number: in the file Passwd, and of a live machine whoever getent(1)
// knows, such as the users of a directory service, which answers to a name in another case or with another domain and
// gives it in its own form. This program is linked without the C library, which would ask them itself. Errors:
// ErrNoUser, and those of Open.
func (h Host) LookupUser(want string) (User, error) {
	user, err := h.LocalUser(want)
	if !errors.Is(err, ErrNoUser) {
		return user, err
	}
	fields := strings.Split(h.getent("passwd", want), ":")
	if strings.Trim(want, "+0123456789") != "" { // what getent takes for a number must be the user's
		want = fields[0]
	}
	if user, ok := parseUser(fields, want); ok {
		return user, nil
	}
	return User{}, ErrNoUser
}

// LocalUser finds a user by name or number in the file Passwd alone, without a program: for a name that only
// this machine gives, and where the kernel waits. Errors: ErrNoUser, and those of Open.
func (h Host) LocalUser(want string) (user User, err error) {
	found := false
	err = h.EachRecord(h.Passwd, 7, func(fields []string) bool {
		user, found = parseUser(fields, want)
		return !found
	})
	if err == nil && !found {
		err = ErrNoUser
	}
	return user, err
}

// parseUser reads the fields of a line of passwd(5) that is that of the wanted user.
func parseUser(fields []string, want string) (User, bool) {
	if len(fields) < 7 || fields[0] == "" || fields[0] != want && fields[2] != want {
		return User{}, false
	}
	uid, errUID := strconv.ParseUint(fields[2], 10, 32)
	gid, errGID := strconv.ParseUint(fields[3], 10, 32)
	if uid == noID || gid == noID { // chown(2) takes it for: leave it as it is
		return User{}, false
	}
	return User{fields[0], int(uid), int(gid), fields[5], fields[6]}, errUID == nil && errGID == nil
}

// getentTime bounds a question to a directory service, which may be down.
const getentTime = 3 * time.Second

// getent is the answer of getent(1), one line, "" for none.
func (h Host) getent(database, key string) string {
	program, err := h.Program("getent")
	if err != nil || !h.Live() || h.Exec == nil || strings.HasPrefix(key, "-") {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), getentTime)
	defer cancel()
	text, err := h.Exec(ctx, program, database, key)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Groups are the ids of all groups of a user: the primary one, those of the file Group, and of a live
// machine those that getent(1) knows. Errors are those of Open.
func (h Host) Groups(user User) ([]uint32, error) {
	gids := []uint32{uint32(user.GID)}
	add := func(text string) {
		if gid, err := strconv.ParseUint(text, 10, 32); err == nil && !slices.Contains(gids, uint32(gid)) {
			gids = append(gids, uint32(gid))
		}
	}
	err := h.EachRecord(h.Group, 4, func(fields []string) bool {
		if slices.Contains(strings.Split(fields[3], ","), user.Name) {
			add(fields[2])
		}
		return true
	})
	if name, rest, ok := strings.Cut(h.getent("initgroups", user.Name), " "); ok && name == user.Name {
		for word := range strings.FieldsSeq(rest) {
			add(word)
		}
	}
	return gids, err
}

// GroupID finds a group by its name in the file Group.
func (h Host) GroupID(name string) (gid int, found bool) {
	_ = h.EachRecord(h.Group, 3, func(fields []string) bool { // what cannot be read has no groups
		if fields[0] == name {
			id, err := strconv.ParseUint(fields[2], 10, 31)
			gid, found = int(id), err == nil
		}
		return !found
	})
	return gid, found
}

// OwnGroup gives the primary group of a user if it is his alone: nobody else has it as primary group, and it has
// no members. ok is false as well where that cannot be told, as for users of a directory service.
func (h Host) OwnGroup(uid int) (gid int, ok bool) {
	user, err := h.LookupUser(strconv.Itoa(uid))
	if err != nil {
		return 0, false
	}
	text := strconv.Itoa(user.GID)
	alone, listed := true, false
	err = errors.Join(
		h.EachRecord(h.Passwd, 4, func(fields []string) bool {
			alone = alone && (fields[3] != text || fields[2] == strconv.Itoa(uid))
			return alone
		}),
		h.EachRecord(h.Group, 4, func(fields []string) bool {
			if fields[2] == text {
				listed, alone = true, alone && (fields[3] == "" || fields[3] == user.Name)
			}
			return alone
		}))
	return user.GID, err == nil && alone && listed
}

// maxLine bounds a line in bytes: that of a group with a hundred thousand members.
const maxLine = 1 << 20

// EachRecord takes the lines of a file like passwd(5) apart that have at least so many fields, until use has had enough.
func (h Host) EachRecord(path string, least int, use func(fields []string) bool) error {
	f, _, err := h.Open(path, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if fields := strings.Split(lines.Text(), ":"); len(fields) >= least && !use(fields) {
			return nil
		}
	}
	return lines.Err()
}
