package host

import (
	"bufio"
	"errors"
	"strconv"
	"strings"
)

// ErrNoUser says that a user is not known to the machine.
var ErrNoUser = errors.New("there is no such user")

// User is a line of passwd(5).
type User struct {
	Name     string
	UID, GID int
	Home     string
}

// LookupUser finds a user by name or number in the file Passwd. What a directory service knows is not
// found: this program is linked without the C library. Errors: ErrNoUser, and those of Open.
func (h Host) LookupUser(want string) (user User, err error) {
	err = h.eachLine(h.Passwd, func(fields []string) bool {
		if len(fields) < 7 || fields[0] != want && fields[2] != want {
			return true
		}
		uid, errUID := strconv.ParseUint(fields[2], 10, 32)
		gid, errGID := strconv.ParseUint(fields[3], 10, 32)
		if errUID != nil || errGID != nil {
			return true
		}
		user = User{fields[0], int(uid), int(gid), fields[5]}
		return false
	})
	if err == nil && user.Name == "" {
		err = ErrNoUser
	}
	return user, err
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
		h.eachLine(h.Passwd, func(fields []string) bool {
			alone = alone && (len(fields) < 4 || fields[3] != text || fields[2] == strconv.Itoa(uid))
			return alone
		}),
		h.eachLine(h.Group, func(fields []string) bool {
			if len(fields) > 3 && fields[2] == text {
				listed, alone = true, alone && (fields[3] == "" || fields[3] == user.Name)
			}
			return alone
		}))
	return user.GID, err == nil && alone && listed
}

// eachLine takes a file like passwd(5) apart, until use has had enough.
func (h Host) eachLine(path string, use func(fields []string) bool) error {
	f, _, err := h.Open(path, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if !use(strings.Split(lines.Text(), ":")) {
			return nil
		}
	}
	return lines.Err()
}
