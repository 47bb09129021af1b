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
func (h Host) LookupUser(want string) (User, error) {
	f, _, err := h.Open(h.Passwd, 0)
	if err != nil {
		return User{}, err
	}
	defer func() { _ = f.Close() }() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 7 || fields[0] != want && fields[2] != want {
			continue
		}
		uid, errUID := strconv.ParseUint(fields[2], 10, 32)
		gid, errGID := strconv.ParseUint(fields[3], 10, 32)
		if errUID == nil && errGID == nil {
			return User{fields[0], int(uid), int(gid), fields[5]}, nil
		}
	}
	return User{}, ErrNoUser
}
